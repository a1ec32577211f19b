"""What a submodular run reports beside its value: how far above it anything could be."""

import numpy as np

from tabular_rl import planning


def certified_share(problem, policy, value):
    """{"upper_bound", "bound_method", "share"}: ``planning.submodular_upper_bound`` and ``value`` as a share of it.

    The bound reads the model; it is computed after the run and the learner never sees it. NaN where no bound holds, as the objective is
    not monotone and submodular.
    """
    objective = problem.objective
    if not (objective.is_monotone and objective.is_submodular):
        return {"upper_bound": np.nan, "bound_method": "none", "share": np.nan}
    upper, method = planning.submodular_upper_bound(problem, policy)
    share = min(value / upper, 1.0) if upper > 0 else 1.0  # the mean of samples may lie above what no policy's mean exceeds
    return {"upper_bound": upper, "bound_method": method, "share": share}
