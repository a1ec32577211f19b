"""Exact robust regularized values of a RobustLinearMDP (dr_rpo spec, section 5 [derived])."""

from dataclasses import dataclass

import numpy as np

from tabular_rl.kernels.linear import robust_induction as kernel
from tabular_rl.kernels.simplex import relative_entropy
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.evaluation import as_policy

CODES = {"fail": kernel.FAIL, "ball": kernel.BALL}
PENALTIES = {"tv": kernel.TV, "kl": kernel.KL, "chi_square": kernel.CHI_SQUARE, "tv_fail": kernel.TV_FAIL}


@dataclass(frozen=True, eq=False)
class RobustLinearSolution:
    """``values`` [H+1, S], ``q_values`` and ``policy`` [H, S, A], ``factor_values`` [H, d] (what the adversary leaves of each factor)."""

    values: np.ndarray
    q_values: np.ndarray
    policy: np.ndarray
    factor_values: np.ndarray


def robust_linear_solve(mdp, tau=0.0, reference=None, uncertainty="fail", penalty=None):
    """Optimal values under the worst factors and tau KL(policy || reference).

    Parameters
    ----------
    mdp : RobustLinearMDP
    tau : float
        Temperature, >= 0; 0: greedy, uniform on ties.
    reference : array [H, S, A], optional
        Positive; default uniform.
    uncertainty : str
        "fail" (mass may only move to the fail state) or "ball" (total variation).
    penalty : (str, float), optional
        ("tv" | "tv_fail" | "kl" | "chi_square", sigma > 0) in place of the constraint.
    """
    return _induction(mdp, tau, reference, uncertainty, penalty, None)


def robust_linear_evaluate(mdp, policy, tau=0.0, reference=None, uncertainty="fail", penalty=None):
    """Robust regularized values of ``policy`` [H, S, A] (which counts as the reference in the fail state)."""
    policy = check.real_array("policy", policy, check.kind("mdp", mdp, RobustLinearMDP).shape)
    if policy.min() < 0 or np.abs(policy.sum(-1) - 1).max() > 1e-8:
        raise ValueError("policy must have rows that are probability distributions")
    return _induction(mdp, tau, reference, uncertainty, penalty, policy)


def _induction(mdp, tau, reference, uncertainty, penalty, policy):
    (H, S, _), d = check.kind("mdp", mdp, RobustLinearMDP).shape, mdp.dimension
    tau = check.number("tau", tau, at_least=0)
    check.choice("uncertainty", uncertainty, tuple(CODES))
    code, sigma = CODES[uncertainty], 1.0
    if penalty is not None:
        if not isinstance(penalty, tuple | list) or len(penalty) != 2:
            raise TypeError(f"penalty must be (name, sigma), got {check.describe(penalty)}")
        check.choice("penalty", penalty[0], tuple(PENALTIES))
        code, sigma = PENALTIES[penalty[0]], check.number("penalty", penalty[1], above=0)
    log_reference = log_policy_of(reference, mdp.shape)
    fixed = policy is not None
    policy = _normalized(policy.copy()) if fixed else np.empty(mdp.shape)
    with np.errstate(divide="ignore"):
        log_policy = np.log(policy) if fixed else np.empty(mdp.shape)
    world = world_of(mdp, code, sigma)
    exact = kernel.Belief(world.factors, np.zeros((H, d)), world.reward)
    unlimited = kernel.Limits(-np.inf, np.full((H, d), np.inf), np.full(H, np.inf))
    plan = kernel.Plan(policy, log_policy, np.empty((H + 1, S)), np.empty(mdp.shape), np.empty((H, d)))
    kernel.robust_induction(world, exact, unlimited, tau, log_reference, fixed, plan, work_space(S))
    return RobustLinearSolution(plan.values, plan.q, plan.policy, plan.u)


def world_of(mdp, code=kernel.FAIL, sigma=1.0):
    """The kernels' World of a model, against the adversary ``code`` with penalty ``sigma``. Its arrays are copies: kernels that may write
    to their arrays compile for those that are written to and those that are not, once each."""
    pointer, column, amount = mdp.compressed
    factors, reward, known, radius = (np.array(a) for a in (mdp.factors, mdp.reward, mdp.known, mdp.radius))
    return kernel.World(pointer, column, amount, factors, reward, known, radius, code, float(sigma), mdp.fail_state, mdp.initial)


def work_space(S):
    """The kernels' Work for S states."""
    return kernel.Work(np.empty(S, np.int64), np.empty(S, np.int64), np.empty(S))


def log_policy_of(reference, shape):
    """log of a positive policy [H, S, A]; uniform for None."""
    if reference is None:
        return np.full(shape, -np.log(shape[-1]))
    reference = check.real_array("reference", reference, shape)
    if reference.min() <= 0 or np.abs(reference.sum(-1) - 1).max() > 1e-8:
        raise ValueError(f"reference must be positive with rows that sum to 1, got a least entry of {reference.min()}")
    return np.log(_normalized(reference))


def _normalized(policy):
    """Rows divided by their sums, where those are off by more than rounding."""
    sums = policy.sum(axis=-1, keepdims=True)
    return policy / sums if np.abs(sums - 1).max() > 1e-14 else policy


def worst_factors(mdp, values):
    """[H, d, S]: minimizers over the fail set for ``values`` [H+1, S]: mass leaves the largest positive values first."""
    worst = np.array(check.kind("mdp", mdp, RobustLinearMDP).factors)
    values = check.real_array("values", values, (mdp.horizon + 1, mdp.shape[1]))
    for h, i in np.ndindex(worst.shape[:2]):
        budget = mdp.radius[h, i]
        for s in np.argsort(-values[h + 1], kind="stable"):
            if values[h + 1, s] <= 0 or s == mdp.fail_state:
                continue
            moved = min(budget, worst[h, i, s])
            worst[h, i, s] -= moved
            worst[h, i, mdp.fail_state] += moved
            budget -= moved
    return worst


def state_laws(mdp, policy, factors=None):
    """[H, S]: where ``policy`` [H, S, A] is at each step, under the nominal ``factors`` or others [H, d, S]."""
    policy = as_policy(check.kind("mdp", mdp, RobustLinearMDP), policy)
    factors = mdp.factors if factors is None else check.real_array("factors", factors, mdp.factors.shape)
    laws = [np.eye(mdp.shape[1])[mdp.initial]]
    for h, stage in enumerate(factors[:-1]):
        laws.append(np.einsum("s,sa,sad,dt->t", laws[-1], policy[h], mdp.features, stage))
    return np.array(laws)


def feature_moments(mdp, policy):
    """(mean [H, d], second moment [H, d, d]) of the features that ``policy`` meets in the nominal world, which are 0 in the fail state."""
    policy = as_policy(check.kind("mdp", mdp, RobustLinearMDP), policy)
    weights = state_laws(mdp, policy)[..., None] * policy
    weights[:, mdp.fail_state] = 0
    return np.einsum("hsa,sad->hd", weights, mdp.features), np.einsum("hsa,sad,sae->hde", weights, mdp.features, mdp.features)


def factor_coverage(mdp, policy):
    """C [H]: the least number with E diag(phi 1{unknown}) <= C E phi phi^T under ``policy`` (dr_rpo spec, theorem 2 [derived]).

    1 for one-hot features; infinite where some unknown factor's share cannot be told from the features met (ranges are compared up to
    singular values 1e-12 of the largest).
    """
    bounds = []
    for mean, second in zip(*feature_moments(mdp, policy), strict=True):
        m = np.where(mdp.known, 0.0, mean)
        values, vectors = np.linalg.eigh(second)
        seen = values > 1e-12 * max(values[-1], 1e-300)
        inside = vectors[:, seen].T * np.sqrt(m)  # [rank, d]
        if np.any(m > 1e-12 * max(m.max(), 1e-300) + np.sum(inside**2, axis=0)):
            bounds.append(np.inf)
        else:
            bounds.append(np.linalg.eigvalsh(inside.T / values[seen] @ inside)[-1] if m.any() else 0.0)
    return np.array(bounds)


def performance_difference(mdp, policy, other, tau=0.0, reference=None):
    """(low, difference, high) with low <= V_policy - V_other <= high at the start (lemma L6 [derived]).

    The sides are the mean advantages of ``policy`` over ``other``'s values, under the worst factors for V_policy and for V_other.
    """
    ours = robust_linear_evaluate(mdp, policy, tau, reference)
    theirs = robust_linear_evaluate(mdp, other, tau, reference)
    policy, log_reference = _normalized(policy), log_policy_of(reference, mdp.shape)
    log_policy = np.log(np.where(policy > 0, policy, 1.0))
    divergence = np.empty(policy.shape[:2])
    for h, s in np.ndindex(divergence.shape):
        divergence[h, s] = relative_entropy(policy[h, s], log_policy[h, s], log_reference[h, s])
    advantage = (policy * theirs.q_values).sum(-1) - tau * divergence - theirs.values[:-1]
    advantage[:, mdp.fail_state] = 0
    sides = []
    for values in (ours.values, theirs.values):
        sides.append(np.sum(state_laws(mdp, policy, worst_factors(mdp, values)) * advantage))
    return sides[0], ours.values[0, mdp.initial] - theirs.values[0, mdp.initial], sides[1]
