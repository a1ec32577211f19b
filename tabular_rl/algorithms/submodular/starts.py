"""Where SubPO may start: uniform, at the additive optimum, or tracking a path."""

import numpy as np

from tabular_rl import planning
from tabular_rl.models import validation as check

UNREACHABLE = 99.0  # distance of states from which the path cannot be reached


def starting_logits(problem, init="uniform", path=None, kappa=6.0):
    """Logits [H, S, A] of a start: "uniform", "modpo" (argmax of the additive DP), "path", or given ones."""
    H, S, A = problem.shape
    if not isinstance(init, str):
        return check.real_array("init", init, (H, S, A))
    logits = np.zeros((H, S, A))
    if init == "modpo":
        logits = kappa * planning.modular_policy(problem)
    elif init == "path":
        np.put_along_axis(logits, tracking_actions(problem, _path(problem, path))[..., None], kappa, axis=-1)
    return logits


def expected_next(problem, h, values):
    """[S, A] expectation of ``values`` [S] after each action at step h."""
    if problem.successors is None:
        return problem.packed_transition[h % len(problem.packed_transition)] @ values
    there = values[problem.successors]
    return (1 - problem.slip) * there + problem.slip * there.mean(axis=1, keepdims=True)


def tracking_actions(problem, path):
    """[H, S] actions that follow the states ``path`` [H + 1] and return to it as soon as possible (subpo spec, section 10.5)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    H, S, A = problem.shape
    if problem.successors is not None:
        pairs = np.repeat(np.arange(S), A), problem.successors.ravel()
        graph = csr_array((np.ones(S * A), pairs), shape=(S, S))
    else:
        graph = csr_array((problem.packed_transition > 0).any(axis=(0, 2)).astype(float))
    targets, place = np.unique(path, return_inverse=True)
    distance = shortest_path(graph.T.tocsr(), unweighted=True, indices=targets)[place]
    _, policy = planning.additive_optimum(problem, -np.where(np.isfinite(distance), distance, UNREACHABLE))
    actions = policy.argmax(axis=-1)
    for h in range(H):
        onwards = np.zeros(S)
        onwards[path[h + 1]] = 1
        actions[h, path[h]] = expected_next(problem, h, onwards)[path[h]].argmax()
    return actions


def _path(problem, path):
    if path is None:
        coverage = hasattr(problem.objective, "sets") and problem.is_deterministic
        return (planning.priced_search if coverage else planning.truncated_search)(problem).states
    H, S, _ = problem.shape
    path = check.unmasked("path", path)
    if path.shape != (H + 1,) or path.dtype.kind not in "iu" or path.min() < 0 or path.max() >= S:
        raise ValueError(f"path must be {H + 1} states from 0 to {S - 1}, got {path.dtype} of shape {path.shape}")
    return path
