"""Trajectories of a submodular problem: random numbers of their own, states, actions and marginal gains in one pass.

Every trajectory draws from a stream of its own, keyed by (key, batch, number): what one trajectory draws depends on no other, and runs
with the same key see the same luck. The stream is SplitMix64 (Steele, Lea, Flood 2014).
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.submodular.objectives import begin, follow, visit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
R27, R30, R31, R11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53


class World(NamedTuple):
    """Where actions lead, and what is there.

    ``successors`` [S, A] with ``slip`` the probability that a uniform action is executed instead of the chosen one, or an empty array
    [0, A] and alias tables [T * S * A, S] of a general transition; those [S] of the start, or [1] of a sure one; ``elements`` [T', S]
    (-1: nothing there), T' = H + 1 or 1; ``repeats``: whether a revisited element counts as another copy of it.
    """

    successors: Any
    slip: Any
    accept: Any
    alias: Any
    start_accept: Any
    start_alias: Any
    elements: Any
    repeats: Any


class Batch(NamedTuple):
    """B trajectories: ``states`` [B, H + 1], ``actions`` [B, H], and marginal ``gains`` [B, H + 1], the first that of the start."""

    states: Any
    actions: Any
    gains: Any


@njit
def mix(z):
    """A bijection of 64 bits that leaves no trace of how its arguments are related."""
    z = (z ^ (z >> R30)) * FIRST
    z = (z ^ (z >> R27)) * SECOND
    return z ^ (z >> R31)


@njit
def stream(key, batch, number):
    """First state of the stream of trajectory ``number`` of ``batch``."""
    return mix(mix(mix(key + GOLDEN) + np.uint64(batch) + GOLDEN) + np.uint64(number) + GOLDEN)


@njit
def uniform(state):
    """(next state, a number in [0, 1))."""
    state = state + GOLDEN
    return state, (mix(state) >> R11) * UNIT


@njit
def pick(policy, h, s, u):
    """Action whose stretch of ``policy[h, s]`` holds ``u``; what rounding leaves over falls to the last one of positive probability."""
    last = 0
    for a in range(policy.shape[2]):
        if policy[h, s, a] > 0:
            if u < policy[h, s, a]:
                return a
            u -= policy[h, s, a]
            last = a
    return last


@njit
def first_state(start_accept, start_alias, state):
    """(state of the stream, start)."""
    if len(start_accept) == 1:  # a sure start draws nothing
        return state, start_alias[0]
    state, u = uniform(state)
    u *= len(start_accept)
    s = int(u)
    return state, s if u - s < start_accept[s] else start_alias[s]


@njit
def next_state(successors, slip, accept, alias, h, s, a, state):
    """(state of the stream, successor)."""
    S, A = accept.shape[1], successors.shape[1]
    if len(successors):
        if slip > 0:
            state, u = uniform(state)
            if u < slip:  # u / slip is again uniform
                a = min(int(u / slip * A), A - 1)
        return state, successors[s, a]
    state, u = uniform(state)
    row = s * A + a if len(accept) == S * A else (h * S + s) * A + a
    u *= S  # one number serves a column of the alias table and its acceptance test
    t = int(u)
    return state, t if u - t < accept[row, t] else alias[row, t]


@njit
def rollouts(world, objective, work, policy, key, number, before, batch):
    """Fill the Batch with trajectories of ``policy`` [H, S, A]: row i is trajectory i of the batch called ``number``.

    ``before`` counts the trajectories that ``work`` has seen.
    """
    successors, slip, accept, alias, start_accept, start_alias, elements, repeats = world
    states, actions, gains = batch
    n, H = actions.shape
    path = np.empty(H + 1, np.int64)
    for i in range(n):
        state = stream(key, number, i)
        state, s = first_state(start_accept, start_alias, state)
        states[i, 0], path[0] = s, elements[0, s]
        for h in range(H):
            state, u = uniform(state)
            a = pick(policy, h, s, u)
            state, s = next_state(successors, slip, accept, alias, h, s, a, state)
            actions[i, h], states[i, h + 1] = a, s
            path[h + 1] = elements[h + 1 if len(elements) > 1 else 0, s]
        follow(objective, work, path, before + i + 1, repeats, gains[i])


@njit
def keep_the_best(chances):
    """Replace values [1, 1, A] by the uniform distribution over the largest ones (ties up to rounding)."""
    A, best, count = chances.shape[2], -np.inf, 0
    for a in range(A):
        best = max(best, chances[0, 0, a])
    least = best - 1e-12 * max(1.0, abs(best))
    for a in range(A):
        count += chances[0, 0, a] >= least
    for a in range(A):
        chances[0, 0, a] = 1.0 / count if chances[0, 0, a] >= least else 0.0


@njit
def greedy_rollouts(world, objective, work, transition, key, number, batch):
    """The same for the action of largest expected gain given the history, ties at random; ``transition`` [T, S, A, S] or empty."""
    successors, slip, accept, alias, start_accept, start_alias, elements, repeats = world
    states, actions, gains = batch
    n, H = actions.shape
    A, dense = successors.shape[1], len(successors) == 0
    chances = np.empty((1, 1, A))
    for i in range(n):
        state = stream(key, number, i)
        state, s = first_state(start_accept, start_alias, state)
        begin(objective, work)
        for h in range(H + 1):
            row = h if len(elements) > 1 else 0
            if h > 0:
                # a slip executes a uniform action whatever is chosen: it leaves the order of the actions as it is
                for a in range(A):
                    chances[0, 0, a] = 0.0
                    first, end = (0, transition.shape[3]) if dense else (successors[s, a], successors[s, a] + 1)
                    for t in range(first, end):
                        chance = transition[(h - 1) % len(transition), s, a, t] if dense else 1.0
                        if chance > 0:
                            chances[0, 0, a] += chance * visit(objective, work, elements[row, t], i + 1, repeats, False)
                keep_the_best(chances)
                state, u = uniform(state)
                actions[i, h - 1] = pick(chances, 0, 0, u)
                state, s = next_state(successors, slip, accept, alias, h - 1, s, actions[i, h - 1], state)
            states[i, h] = s
            gains[i, h] = visit(objective, work, elements[row, s], i + 1, repeats, True)
