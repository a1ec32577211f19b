"""The occupancy-measure linear program: an independent reference for every solver, in cvxpy."""

from typing import NamedTuple

import numpy as np

from tabular_rl.extras import extra
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check

SOLVER_NOISE = 1e-8  # an interior point leaves this much mass everywhere


class LinearProgram(NamedTuple):
    """Solution of the occupancy-measure program.

    ``value`` is the optimal expected return from the start distribution, ``occupancy`` [H, S, A] or [S, A] an optimal occupancy
    measure, ``policy`` its conditional (uniform where the occupancy is zero up to 1e-8), ``values`` the dual variables: V* wherever the
    program's optimum visits, shape [H, S] or [S].
    """

    value: float
    occupancy: np.ndarray
    policy: np.ndarray
    values: np.ndarray


def linear_program(mdp, solver="CLARABEL"):
    """Maximize <occupancy, reward> over all occupancy measures (Puterman 1994, sections 6.9 and 4.4).

    Discounted: sum_a d[t,a] - discount * sum_{s,a} P[s,a,t] d[s,a] = (1 - discount) initial[t], d >= 0.
    Finite horizon: layer 0 sums to ``initial`` over actions, layer h + 1 to the flow out of layer h.
    Meant for reference on small instances: an interior-point method over S*A (or H*S*A) variables.

    Raises
    ------
    ImportError
        Without cvxpy (extra ``programs``).
    RuntimeError
        When the solver does not report an optimum.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP)
    with extra("programs"):
        import cvxpy as cp

    check.choice("solver", solver, tuple(cp.installed_solvers()))

    if isinstance(mdp, DiscountedMDP):
        S, A = mdp.shape
        scale = 1 / (1 - mdp.discount)
        P = mdp.transition.toarray() if mdp.is_sparse else mdp.transition.reshape(S * A, S)
        d = cp.Variable(S * A, nonneg=True)
        leaving = np.repeat(np.eye(S), A, axis=0)
        flow = [(leaving - mdp.discount * P).T @ d == (1 - mdp.discount) * mdp.initial]
        layers, rewards = [d], [mdp.reward.ravel()]
    else:
        H, S, A = mdp.shape
        scale = 1.0
        layers = [cp.Variable(S * A, nonneg=True) for _ in range(H)]
        leaving = np.repeat(np.eye(S), A, axis=0)
        flow = [leaving.T @ layers[0] == mdp.initial]
        flow += [leaving.T @ layers[h + 1] == mdp.transition[h].reshape(S * A, S).T @ layers[h] for h in range(H - 1)]
        rewards = list(mdp.reward.reshape(H, -1))
    available = np.broadcast_to(mdp.available.reshape(-1, S * A), (len(layers), S * A))
    missing = [x[~there] == 0 for x, there in zip(layers, available, strict=True) if not there.all()]
    problem = cp.Problem(cp.Maximize(sum(r @ x for r, x in zip(rewards, layers, strict=True))), flow + missing)
    problem.solve(solver=solver)
    if problem.status != cp.OPTIMAL:
        raise RuntimeError(f"the occupancy program ended with status {problem.status!r}")
    measure = (available * np.maximum(np.stack([np.asarray(x.value) for x in layers]), 0)).reshape(len(layers), S, A)
    mass = measure.sum(axis=-1, keepdims=True)
    policy = np.where(mass > SOLVER_NOISE, measure / np.maximum(mass, SOLVER_NOISE), mdp.uniform_policy)
    policy /= policy.sum(axis=-1, keepdims=True)
    # the multipliers of a maximization, in the sign that makes them values
    values = np.stack([constraint.dual_value for constraint in flow])
    squeeze = 0 if isinstance(mdp, DiscountedMDP) else slice(None)
    return LinearProgram(scale * problem.value, measure[squeeze], policy[squeeze], values[squeeze])
