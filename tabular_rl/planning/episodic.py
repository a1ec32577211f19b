"""Backward induction: the exact solver of finite horizons."""

import numpy as np

from tabular_rl.kernels.episodic import episodes as kernels
from tabular_rl.models import validation as check
from tabular_rl.planning.solution import Solution


def solve_episodic(mdp, method):
    """At most one backward pass over P (8 H S^2 A bytes, 2 H S^2 A flops); the bounds are the values widened by their rounding.

    A stationary model is read H times at most, and only as far as an action may still be greedy: on fast-mixing models little more
    than one action per state after a few steps. The rounding of step h is at most n + 3 units in the last place of its largest term,
    n = S, and adds up over the steps to go.
    """
    check.choice("method", method, ("auto", "backward_induction"))
    H, S, A = mdp.shape
    P, reward = mdp.packed_transition, mdp.packed_barred_reward
    values, actions, made = np.empty((H + 1, S)), np.empty((H, S), np.int64), {}
    if len(P) == len(reward) == 1:
        kernels.stationary_induction(P[0], reward[0], 2 * check.ROW_TOLERANCE, values, actions)
    else:
        made["q_values"] = np.empty((H, S, A))
        kernels.backward_induction(P, reward, made["q_values"], values, actions)
    largest = 2 * np.abs(values).max() + np.abs(mdp.packed_reward).max()
    error = (S + 3) * np.finfo(float).eps * largest * np.arange(H, -1, -1)[:, None]
    solution = Solution(mdp, values, actions, values - error, values + error, H, 0, "backward_induction")
    solution.__dict__.update(made)  # the pass has made them already
    return solution
