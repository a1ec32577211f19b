"""Exact solvers for known models."""

import importlib

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.bellman import bellman_backup, deterministic_policy
from tabular_rl.planning.bonuses import dilated_bonus
from tabular_rl.planning.evaluation import Evaluation, evaluate, occupancy, state_occupancy
from tabular_rl.planning.linear_program import LinearProgram, linear_program
from tabular_rl.planning.robust.worst_case import WorstCase, worst_case
from tabular_rl.planning.simulation import Episodes, Trajectories, sample_episodes, sample_trajectories
from tabular_rl.planning.solution import ConvergenceError, Solution

_ROBUST = {
    "RobustBackup": "robust.solve",
    "RobustEvaluation": "robust.policy",
    "RobustSolution": "robust.solve",
    "constants": "robust.policy",
    "gradients": "robust.policy",
    "optimality_radius": "robust.policy",
    "robust_backup": "robust.solve",
    "robust_evaluate": "robust.policy",
    "robust_linear_evaluate": "robust.linear",
    "robust_linear_solve": "robust.linear",
    "saddle_certificate": "robust.policy",
}

_SUBMODULAR = {
    "Certificate": "submodular.bounds",
    "Derivative": "submodular.exact",
    "HistoryPolicy": "submodular.exact",
    "OnlineBound": "submodular.online",
    "Path": "submodular.search",
    "Prices": "submodular.search",
    "UpperBound": "submodular.online",
    "additive_optimum": "submodular.exact",
    "block_ascent": "submodular.exact",
    "branch_and_bound": "submodular.search",
    "collected_distribution": "submodular.exact",
    "concave_bound": "submodular.bounds",
    "coverage_bound": "submodular.bounds",
    "coverage_prices": "submodular.search",
    "cut_bound": "submodular.bounds",
    "greedy_history": "submodular.exact",
    "history_optimum": "submodular.exact",
    "integer_optimum": "submodular.bounds",
    "modular_policy": "submodular.exact",
    "natural_ascent": "submodular.exact",
    "natural_block_step": "submodular.exact",
    "online_bound": "submodular.online",
    "priced_search": "submodular.search",
    "projected_ascent": "submodular.exact",
    "replan": "submodular.search",
    "submodular_gradient": "submodular.exact",
    "submodular_upper_bound": "submodular.online",
    "submodular_value": "submodular.exact",
    "tangent_bound": "submodular.bounds",
    "truncated_search": "submodular.search",
}
_LATE = _ROBUST | _SUBMODULAR

__all__ = [
    "ConvergenceError",
    "Episodes",
    "Evaluation",
    "LinearProgram",
    "Solution",
    "Trajectories",
    "WorstCase",
    "bellman_backup",
    "deterministic_policy",
    "dilated_bonus",
    "evaluate",
    "linear_program",
    "occupancy",
    "sample_episodes",
    "sample_trajectories",
    "solve",
    "state_occupancy",
    "worst_case",
    *_ROBUST,
    *_SUBMODULAR,
]


def __getattr__(name):
    """The robust and the submodular solvers import Numba: they load when first used."""
    if name in _LATE:
        return getattr(importlib.import_module(f"tabular_rl.planning.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def solve(mdp, method="auto", tolerance=None, max_iterations=1_000_000):
    """Optimal values, policy and certified bounds.

    Parameters
    ----------
    mdp : FiniteHorizonMDP, DiscountedMDP or RobustMDP
    method : str
        Finite horizon: "backward_induction". Discounted: "modified_policy_iteration" (the default, which policy iteration takes over from
        where its linear solves are cheaper), "policy_iteration", "value_iteration". Robust: "modified_policy_iteration",
        "value_iteration", "partial_policy_iteration".
    tolerance : float, None or "exact"
        Certified bound on the error of the values. A number > 0 is in reward (robust: cost) units, and is kept or refused. None, the
        default, is relative to the scale of the values: 1e-7 max |reward| / (1 - discount), or as near as float64 comes. "exact" stops
        when rounding has halted the solver. ``lower`` and ``upper`` certify what was reached. Finite horizons are solved to rounding.
    max_iterations : int
        Bellman sweeps at most.

    Returns
    -------
    Solution, or RobustSolution (which has ``converged`` instead of errors for sweeps that ran out or rounding that halted them)

    Raises
    ------
    ValueError
        Unknown method, or a tolerance that float64 cannot certify for this model.
    ConvergenceError
        The sweeps ran out first.
    TypeError
        An ambiguity set that is not rectangular: robust dynamic programming would be wrong.
    """
    if isinstance(mdp, FiniteHorizonMDP):
        from tabular_rl.planning.episodic import solve_episodic

        return solve_episodic(mdp, method)
    if isinstance(mdp, DiscountedMDP):
        from tabular_rl.planning.discounted import solve_discounted

        return solve_discounted(mdp, method, tolerance, check.integer("max_iterations", max_iterations, 1))
    if isinstance(mdp, RobustMDP):
        from tabular_rl.planning.robust.solve import solve_robust

        return solve_robust(mdp, method, tolerance, max_iterations)
    remedies = {"SubmodularMDP": "planning.history_optimum solves it", "RobustLinearMDP": "planning.robust_linear_solve does"}
    return check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP, RobustMDP, **remedies)
