"""Baselines for SubPO: the largest next gain, with memory, and the uniform policy.

Both play ``n`` trajectories and learn nothing. ``HistoryGreedy`` knows P and the whole history: it takes the action of largest expected
next gain, ties at random. It has no constant factor (subpo spec, S4), is strong on small grids, and is not a Markov policy.
"""

from dataclasses import dataclass

import numpy as np

from tabular_rl.algorithms.submodular.report import certified_share
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.simulation import sample_trajectories

__all__ = ["HistoryGreedy", "RandomWalk"]


@dataclass(frozen=True)
class HistoryGreedy:
    """The largest expected marginal gain of the next step given the history; needs P.

    It is not a Markov policy: a trace's policy [H, S, A] counts the actions played, uniform in unvisited states.
    """

    plays = SubmodularMDP
    unit = "trajectory"
    series = ("environment_steps", "sampled_value", "best_value")

    def run(self, problem, n, seed=0):
        """Play ``n`` trajectories; see ``RandomWalk`` for the Trace."""
        return _trace(self.plays.of(problem), "greedy", n, seed)


@dataclass(frozen=True)
class RandomWalk:
    """Every action with probability 1 / A."""

    plays = SubmodularMDP
    unit = "trajectory"
    series = ("environment_steps", "sampled_value", "best_value")

    def run(self, problem, n, seed=0):
        """Play ``n`` trajectories of a SubmodularMDP.

        Returns
        -------
        Trace
            By trajectory: ``environment_steps``, ``sampled_value``, the mean of F so far, and ``best_value``, the largest.
            ``parameters``: ``final_value`` with its ``standard_error``, ``path_value``, ``path_states`` and ``path_actions`` of the best
            trajectory; ``upper_bound``, ``bound_method`` and ``share`` as of ``SubPO``.
        """
        return _trace(self.plays.of(problem), None, n, seed)


def _trace(problem, rule, n, seed):
    H, _, A = problem.shape
    policy = np.full(problem.shape, 1 / A)
    played = sample_trajectories(problem, policy if rule is None else rule, n, seed)
    states, actions, values = played.states, played.actions, played.values
    index, best = checkpoints(n), int(values.argmax())
    if rule is not None:
        counts = np.zeros(problem.shape)
        np.add.at(counts, (np.arange(H), states[:, :-1], actions), 1)
        visits = counts.sum(axis=-1, keepdims=True)
        policy = np.where(visits > 0, counts / np.maximum(visits, 1), policy)
    series = {
        "environment_steps": index * H,
        "sampled_value": (np.cumsum(values) / np.arange(1, n + 1))[index - 1],
        "best_value": np.maximum.accumulate(values)[index - 1],
    }
    parameters = {
        "final_value": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf,
        "path_value": float(values[best]),
        "path_states": states[best].copy(),
        "path_actions": actions[best].copy(),
    }
    parameters |= certified_share(problem, policy, parameters["final_value"])
    return Trace(index, series, policy, parameters, seed, "trajectory")
