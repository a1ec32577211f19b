"""Two value-based baselines for discounted MDPs with resets: optimistic value iteration, and Q-learning with random exploration.

``UCBVIDiscounted``: whenever a count has doubled, plan with empirical rows and the bonus c Vmax / sqrt(n), Vmax = 1 / (1 - discount):

    Q(s, a) = min(Vmax, r + c Vmax / sqrt(n) + discount sum_t n(s, a, t) / n V(t)),   V = max_a Q,   Vmax where nothing was tried

play greedily, restart with probability 1 - discount after each step.

``QLearning``: with H = 2 / (1 - discount), after the n-th visit of (s, a),

    Q(s, a) += (H + 1) / (H + n) (r + discount max_b Q(t, b) - Q(s, a))

play a random action with probability epsilon, else a best one, ties broken at random; restart every H steps. Source: lpo spec, section 4
[reconstructed].
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.rollouts import pick_cumulated, successor, world_of
from tabular_rl.models import DiscountedMDP
from tabular_rl.models import validation as check

__all__ = ["QLearning", "UCBVIDiscounted"]

TOLERANCE = 1e-6  # of the plans of UCBVIDiscounted, relative to the largest value


class Counts(NamedTuple):
    """``visits`` [S, A], ``arrivals`` [S, A, S], and the visits ``at_plan`` [S, A] when the last plan was made (-1: there was none)."""

    visits: Any
    arrivals: Any
    at_plan: Any


def dense_shape(problem):
    """(S, A) of a DiscountedMDP, which must be dense (TypeError) with rewards in [0, 1] (ValueError)."""
    if problem.is_sparse:
        raise TypeError(f"problem must be a DiscountedMDP with a dense transition, got {check.describe(problem)}")
    if problem.reward.min() < 0 or problem.reward.max() > 1:
        raise ValueError(f"rewards must lie in [0, 1], got [{problem.reward.min()}, {problem.reward.max()}]")
    return problem.shape


@dataclass(frozen=True)
class UCBVIDiscounted:
    """Optimism in the face of uncertainty, from counts.

    Parameters
    ----------
    scale : float
        c >= 0 of the bonus.
    """

    plays = DiscountedMDP
    unit = "step"
    series = ("gap", "plans")

    scale: float = 0.1

    def __post_init__(self):
        check.rate("scale", self.scale, zero=True)

    suits = staticmethod(dense_shape)

    def run(self, problem, n, seed=0):
        """``n`` environment steps of a dense DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        Trace
            ``gap`` = V* - V of the greedy policy, exact (``Solution.gap``), and ``plans``, how often it has planned.
        """
        problem = self.plays.of(problem)
        S, A = dense_shape(problem)
        index, rng, world = checkpoints(n), check.generator(seed), world_of(problem)
        counts = Counts(np.zeros((S, A)), np.zeros((S, A, S)), np.full((S, A), -1.0))
        q_values, state = np.where(problem.available, 1 / (1 - problem.discount), -np.inf), np.array([-1, 0, 1])
        gap, gaps, plans, done = greedy_gap(problem), [], [], 0
        for end in index:
            _optimistic(world, float(self.scale), end - done, counts, q_values, state, rng)
            done = end
            gaps.append(gap(q_values))
            plans.append(state[1])
        return Trace(index, {"gap": np.array(gaps), "plans": np.array(plans)}, _greedy(q_values), {"scale": self.scale}, seed, self.unit)


@dataclass(frozen=True)
class QLearning:
    """Q-learning that explores by chance.

    Parameters
    ----------
    epsilon : float
        Probability of a random action, in [0, 1].
    """

    plays = DiscountedMDP
    unit = "step"
    series = ("gap",)

    epsilon: float = 0.1

    def __post_init__(self):
        check.number("epsilon", self.epsilon, at_least=0, at_most=1)

    suits = staticmethod(dense_shape)

    def run(self, problem, n, seed=0):
        """``n`` environment steps of a dense DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        Trace
            ``gap`` = V* - V of the greedy policy, exact (``Solution.gap``), which is the ``output``; ``policy`` explores with ``epsilon``.
        """
        problem = self.plays.of(problem)
        S, A = dense_shape(problem)
        index, rng, world = checkpoints(n), check.generator(seed), world_of(problem)
        visits, q_values, state = np.zeros((S, A)), np.where(problem.available, 0.0, -np.inf), np.array([-1, 0])
        gap, gaps, done, choices = greedy_gap(problem), [], 0, actions_of_states(problem.available)
        for end in index:
            for steps in (end - done - 1, 1):  # what the last step teaches plays no more
                best_actions = q_values == q_values.max(axis=1, keepdims=True)
                _learn(world, float(self.epsilon), steps, choices, visits, q_values, state, rng)
            done = end
            gaps.append(gap(q_values))
        policy = (1 - self.epsilon) * best_actions / best_actions.sum(axis=1, keepdims=True) + self.epsilon * problem.uniform_policy
        return Trace(index, {"gap": np.array(gaps)}, policy, {"epsilon": self.epsilon}, seed, self.unit, output=_greedy(q_values))


def actions_of_states(available):
    """(actions [S, A], counts [S]): the first ``counts[s]`` entries of row s are the actions that s has."""
    return np.argsort(~available, axis=1, kind="stable"), available.sum(axis=1)


def greedy_gap(problem):
    """A function that tells the exact V* - V of the policy that is greedy in ``q_values`` [S, A]; a policy seen before costs nothing."""
    best = planning.solve(problem, tolerance="exact")
    gap_of = cache(lambda actions: best.gap(np.array(actions)))
    return lambda q_values: gap_of(tuple(np.argmax(q_values, axis=1)))


def _greedy(q_values):
    return np.eye(q_values.shape[1])[np.argmax(q_values, axis=1)]


@njit
def _optimistic(world, scale, n, counts, q_values, state, rng):
    """``n`` steps; ``state``: where the walker is (-1: at a reset), how often it has planned, whether a plan is due (1) before it moves."""
    accept, alias, start, reward, gamma = world
    visits, arrivals, at_plan = counts
    S, A = reward.shape
    s, due, values = state[0], state[2] == 1, np.empty(S)
    for _ in range(n):
        if s < 0:
            s = pick_cumulated(start, rng)
        if due:
            optimistic_values(visits, arrivals, reward, gamma, scale, q_values, values)
            at_plan[:] = visits
            state[1] += 1
        a = np.argmax(q_values[s])
        t = successor(accept, alias, s * A + a, rng)
        visits[s, a] += 1.0
        arrivals[s, a, t] += 1.0
        due = visits[s, a] >= 2 * max(at_plan[s, a], 0.5)
        s = t if rng.random() < gamma else -1
    state[0], state[2] = s, int(due)


@njit
def optimistic_values(visits, arrivals, reward, gamma, scale, q_values, values):
    """Value iteration with the empirical rows and the bonus, until no value changes by more than ``TOLERANCE`` times the largest one.

    Fills ``q_values`` [S, A] (from which it starts) and ``values`` [S]; Vmax where nothing was tried, -inf where there is no action.
    """
    S, A = reward.shape
    largest = 1 / (1 - gamma)
    change = largest
    for s in range(S):
        values[s] = np.max(q_values[s])
    while change > TOLERANCE * largest:
        change = 0.0
        for s in range(S):
            best = 0.0
            for a in range(A):
                q = largest if reward[s, a] > -np.inf else -np.inf
                if visits[s, a] > 0.0:
                    expected = 0.0
                    for t in range(S):
                        expected += arrivals[s, a, t] * values[t]
                    bonus = scale * largest / np.sqrt(visits[s, a])
                    q = min(largest, reward[s, a] + bonus + gamma * expected / visits[s, a])
                q_values[s, a] = q
                best = max(best, q)
            change = max(change, abs(best - values[s]))
            values[s] = best


@njit
def _learn(world, epsilon, n, choices, visits, q_values, state, rng):
    """``n`` steps; ``state``: where the walker is (-1: at a reset), and its steps since then."""
    accept, alias, start, reward, gamma = world
    actions, counts = choices
    A, H = reward.shape[1], 2 / (1 - gamma)
    s, age = state[0], state[1]
    for _ in range(n):
        if s < 0 or age >= H:
            s, age = pick_cumulated(start, rng), 0
        a = a_best_action(q_values[s], rng)
        if rng.random() < epsilon:
            a = actions[s, int(rng.random() * counts[s])]
        t = successor(accept, alias, s * A + a, rng)
        visits[s, a] += 1.0
        q_values[s, a] += step_size(H, visits[s, a]) * (reward[s, a] + gamma * np.max(q_values[t]) - q_values[s, a])
        s, age = t, age + 1
    state[0], state[1] = s, age


@njit
def a_best_action(q_values, rng):
    """A random one of the best actions; missing ones have the value -inf."""
    best, ties, a = -np.inf, 0, 0
    for b in range(len(q_values)):
        if q_values[b] > best:
            best, ties, a = q_values[b], 1, b
        elif q_values[b] == best and best > -np.inf:
            ties += 1
            if rng.random() * ties < 1.0:
                a = b
    return a


@njit
def step_size(H, n):
    """(H + 1) / (H + n) of the n-th visit (Jin, Allen-Zhu, Bubeck, Jordan 2018): recent targets count about H / n each."""
    return (H + 1) / (H + n)
