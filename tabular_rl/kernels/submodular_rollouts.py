"""Trajectories of a submodular problem: random numbers of their own, states, actions and marginal gains in one pass.

A world is the tuple (successors, slip, accept, alias, start_accept, start_alias, elements, repeats):
``successors`` [S, A] with ``slip`` the probability that a uniform action is executed instead of the chosen one, or an empty array
[0, A] and the alias tables [T * S * A, S] of a general transition; ``elements`` [T', S] (-1: nothing there), read at h modulo T'.

Every trajectory draws from a stream of its own, keyed by (key, batch, number): what one trajectory draws depends on no other, and runs
with the same key see the same luck. The stream is SplitMix64 (Steele, Lea, Flood 2014).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.submodular_objectives import begin, collect, peek

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
R27, R30, R31, R11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53


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
def pick(probabilities, u):
    """Index whose stretch of the distribution holds ``u``; rounding falls to the last index of positive probability."""
    last = 0
    for a in range(len(probabilities)):
        if probabilities[a] > 0:
            if u < probabilities[a]:
                return a
            u -= probabilities[a]
            last = a
    return last


@njit
def pick_alias(accept, alias, u):
    """The same from a row of alias tables: one number serves a column and its acceptance test."""
    u *= len(accept)
    i = int(u)
    return i if u - i < accept[i] else alias[i]


@njit
def first_state(world, state):
    """(state of the stream, start)."""
    start_accept, start_alias = world[4], world[5]
    if len(start_accept) == 1:  # a sure start draws nothing
        return state, start_alias[0]
    state, u = uniform(state)
    return state, pick_alias(start_accept, start_alias, u)


@njit
def next_state(world, h, s, a, state):
    """(state of the stream, successor)."""
    successors, slip, accept, alias = world[0], world[1], world[2], world[3]
    S, A = world[6].shape[1], successors.shape[1]
    if len(successors):
        if slip > 0:
            state, u = uniform(state)
            if u < slip:  # u / slip is again uniform
                a = min(int(u / slip * A), A - 1)
        return state, successors[s, a]
    state, u = uniform(state)
    row = (h * S + s) * A + a
    row = row if row < len(accept) else row % len(accept)
    return state, pick_alias(accept[row], alias[row], u)


@njit
def rollouts(world, objective, work, policy, key, batch, first, states, actions, gains):
    """Fill ``states``, ``gains`` [n, H + 1] and ``actions`` [n, H] with trajectories of ``policy`` [H, S, A].

    Row i is trajectory ``first`` + i of its batch. ``work`` must be fresh, or have seen no trajectory number above ``first``.
    """
    elements, repeats = world[6], world[7]
    n, H = actions.shape
    for i in range(n):
        t = first + i + 1
        state = stream(key, batch, first + i)
        state, s = first_state(world, state)
        begin(objective, work)
        states[i, 0], gains[i, 0] = s, collect(objective, work, elements[0, s], t, repeats)
        for h in range(H):
            state, u = uniform(state)
            a = pick(policy[h, s], u)
            state, s = next_state(world, h, s, a, state)
            actions[i, h], states[i, h + 1] = a, s
            gains[i, h + 1] = collect(objective, work, elements[(h + 1) % len(elements), s], t, repeats)


@njit
def greedy_rollouts(world, objective, work, transition, key, batch, states, actions, gains):
    """The same for the action of largest expected gain given the history, ties at random; ``transition`` [T, S, A, S] or empty."""
    elements, repeats, successors = world[6], world[7], world[0]
    n, H = actions.shape
    A = successors.shape[1]
    chances = np.empty(A)
    for i in range(n):
        t = i + 1
        state = stream(key, batch, i)
        state, s = first_state(world, state)
        begin(objective, work)
        states[i, 0], gains[i, 0] = s, collect(objective, work, elements[0, s], t, repeats)
        for h in range(H):
            there = elements[(h + 1) % len(elements)]
            for a in range(A):
                if len(successors):
                    chances[a] = peek(objective, work, there[successors[s, a]], t, repeats)
                else:
                    chances[a] = 0.0
                    row = transition[h % len(transition), s, a]
                    for x in range(len(row)):
                        if row[x] > 0:
                            chances[a] += row[x] * peek(objective, work, there[x], t, repeats)
            # a slip executes a uniform action whatever is chosen: it leaves the order of the actions as it is
            best = np.max(chances)
            chances[:] = chances >= best - 1e-12 * max(1.0, abs(best))
            chances /= np.sum(chances)
            state, u = uniform(state)
            a = pick(chances, u)
            state, s = next_state(world, h, s, a, state)
            actions[i, h], states[i, h + 1] = a, s
            gains[i, h + 1] = collect(objective, work, there[s], t, repeats)
