"""Two value-based yardsticks for discounted MDPs with resets: optimistic value iteration, and Q-learning with random exploration.

``UCBVIDiscounted``: plan with empirical rows and the bonus c Vmax / sqrt(n), values clipped at Vmax = 1 / (1 - discount), whenever a count
has doubled; play greedily, restart with probability 1 - discount after each step. ``QLearning``: step size (H + 1) / (H + n),
H = 2 / (1 - discount), restart every H steps, a random action with probability epsilon, ties broken at random. Source: lpo spec, section 4
[reconstructed].
"""

from dataclasses import dataclass

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.rollouts import pick_cumulated, successor
from tabular_rl.kernels.sampling import alias_tables
from tabular_rl.models import DiscountedMDP
from tabular_rl.models import validation as check


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

    def run(self, problem, n, seed=0):
        """``n`` environment steps of a dense DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        Trace
            ``gap`` = V* - V of the greedy policy, exact (``Solution.gap``), and ``plans``, how often it has planned.
        """
        problem = self.plays.of(problem)
        S, A = dense_shape(problem)
        index, rng, tables = checkpoints(n), check.generator(seed), sampling_tables(problem)
        visits, arrivals, at_plan = np.zeros((S, A)), np.zeros((S, A, S)), np.full((S, A), -1.0)
        q_values, state = np.where(problem.available, 1 / (1 - problem.discount), -np.inf), np.array([-1, 0, 1])
        best, gaps, plans, done = planning.solve(problem, tolerance="exact"), [], [], 0
        for end in index:
            arrays = visits, arrivals, at_plan, q_values, state
            _optimistic(*tables, problem.barred_reward, problem.discount, float(self.scale), end - done, *arrays, rng)
            done = end
            gaps.append(best.gap(np.argmax(q_values, axis=1)))
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

    def run(self, problem, n, seed=0):
        """``n`` environment steps of a dense DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        Trace
            ``gap`` = V* - V of the greedy policy, exact (``Solution.gap``), which is the ``output``; ``policy`` explores with ``epsilon``.
        """
        problem = self.plays.of(problem)
        S, A = dense_shape(problem)
        index, rng, tables = checkpoints(n), check.generator(seed), sampling_tables(problem)
        visits, q_values, state = np.zeros((S, A)), np.where(problem.available, 0.0, -np.inf), np.array([-1, 0])
        actions, counts = actions_of_states(problem.available)
        best, gaps, done = planning.solve(problem, tolerance="exact"), [], 0
        for end in index:
            for steps in (end - done - 1, 1):  # what the last step teaches plays no more
                best_actions = q_values == q_values.max(axis=1, keepdims=True)
                _learn(*tables, problem.reward, problem.discount, self.epsilon, steps, actions, counts, visits, q_values, state, rng)
            done = end
            gaps.append(best.gap(np.argmax(q_values, axis=1)))
        policy = (1 - self.epsilon) * best_actions / best_actions.sum(axis=1, keepdims=True) + self.epsilon * problem.uniform_policy
        return Trace(index, {"gap": np.array(gaps)}, policy, {"epsilon": self.epsilon}, seed, self.unit, output=_greedy(q_values))


def dense_shape(problem):
    """(S, A) of a DiscountedMDP, which must be dense (TypeError) with rewards in [0, 1] (ValueError)."""
    if problem.is_sparse:
        raise TypeError(f"problem must be a DiscountedMDP with a dense transition, got {check.describe(problem)}")
    if problem.reward.min() < 0 or problem.reward.max() > 1:
        raise ValueError(f"rewards must lie in [0, 1], got [{problem.reward.min()}, {problem.reward.max()}]")
    return problem.shape


def actions_of_states(available):
    """(actions [S, A], counts [S]): the first ``counts[s]`` entries of row s are the actions that s has."""
    return np.argsort(~available, axis=1, kind="stable"), available.sum(axis=1)


def sampling_tables(problem):
    """(accept, alias, cumulated start) for ``kernels.rollouts``."""
    S, A = problem.shape
    return *alias_tables(problem.transition.reshape(S * A, S)), np.cumsum(problem.initial)


def _greedy(q_values):
    return np.eye(q_values.shape[1])[np.argmax(q_values, axis=1)]


@njit
def _optimistic(accept, alias, start, reward, gamma, scale, n, visits, arrivals, at_plan, q_values, state, rng):
    """``n`` steps; ``state``: where the walker is (-1: at a reset), how often it has planned, whether a plan is due (1) before it moves."""
    S, A = reward.shape
    s, due = state[0], state[2] == 1
    values = np.empty(S)
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
    """Value iteration with the empirical rows and the bonus, to 1e-6; what was never tried is worth Vmax, and -inf if it does not exist."""
    S, A = reward.shape
    largest, change = 1 / (1 - gamma), 1.0
    for s in range(S):
        values[s] = np.max(q_values[s])
    while change > 1e-6:
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
def _learn(accept, alias, start, reward, gamma, epsilon, n, actions, counts, visits, q_values, state, rng):
    """``n`` steps; ``state``: where the walker is (-1: at a reset), and its steps since then."""
    A, H = reward.shape[1], 2 / (1 - gamma)  # missing actions have the value -inf
    s, age = state[0], state[1]
    for _ in range(n):
        if s < 0 or age >= H:
            s, age = pick_cumulated(start, rng), 0
        best, ties, a = -np.inf, 0, 0
        for b in range(A):  # a random one of the best
            if q_values[s, b] > best:
                best, ties, a = q_values[s, b], 1, b
            elif q_values[s, b] == best and best > -np.inf:
                ties += 1
                if rng.random() * ties < 1.0:
                    a = b
        if rng.random() < epsilon:
            a = actions[s, int(rng.random() * counts[s])]
        t = successor(accept, alias, s * A + a, rng)
        visits[s, a] += 1.0
        q_values[s, a] += (H + 1) / (H + visits[s, a]) * (reward[s, a] + gamma * np.max(q_values[t]) - q_values[s, a])
        s, age = t, age + 1
    state[0], state[1] = s, age
