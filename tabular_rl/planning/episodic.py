"""Backward induction: the exact solver of finite horizons."""

import numpy as np

from tabular_rl.kernels import episodes as kernels
from tabular_rl.models import validation as check
from tabular_rl.planning.solution import Solution


def solve_episodic(mdp, method):
    """One backward pass over P (8 H S^2 A bytes, 2 H S^2 A flops); the bounds are the values widened by their rounding.

    The rounding of step h is at most n + 3 units in the last place of its largest term, n = S, and adds up over the steps to go.
    """
    check.choice("method", method, ("auto", "backward_induction"))
    H, S, A = mdp.shape
    values, q_values, actions = np.empty((H + 1, S)), np.empty((H, S, A)), np.empty((H, S), np.int64)
    kernels.backward_induction(mdp.packed_transition, mdp.packed_reward, q_values, values, actions)
    reward = mdp.packed_reward
    largest = 2 * np.abs(values).max() + max(reward.max(), -reward.min())
    error = (S + 3) * np.finfo(float).eps * largest * np.arange(H, -1, -1)[:, None]
    solution = Solution(mdp, values, actions, values - error, values + error, H, 0, "backward_induction")
    solution.__dict__["q_values"] = q_values  # the pass has made them already
    return solution
