"""Robust backward induction in linear MDPs: the adversary perturbs each factor distribution, the policy pays for leaving a reference.

Names: H steps, S states, A actions, d factors; ``values`` [S] with values[fail] = 0, ``weights`` [S] a factor distribution mu_i or its
(signed) estimate. The tuples hold arrays that kernels overwrite. Rewards: the adversary minimizes.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.ordering import argsort
from tabular_rl.kernels.simplex import relative_entropy

FAIL, BALL, TV, KL, CHI_SQUARE, TV_FAIL = range(6)


class World(NamedTuple):
    """A robust MDP with linear features. Row s * A + a of the features has the entries pointer[row], ..., pointer[row + 1] - 1."""

    pointer: Any  # [S * A + 1]
    column: Any  # the factor of each entry
    amount: Any  # its weight in the row, > 0
    factors: Any  # [H, d, S] nominal distributions
    reward: Any  # [H, S, A]
    known: Any  # [d] factors that surely lead to the fail state
    radius: Any  # [H, d]
    code: int  # the adversary: FAIL or BALL, or one of the penalties
    penalty: float  # sigma > 0 of a penalty
    fail: int
    start: int


class Belief(NamedTuple):
    """What an induction takes the world for: the world itself, or estimates and what optimism adds to them."""

    weights: Any  # [H, d, S] factors
    width: Any  # [H, d] added to each factor's worst value
    reward: Any  # [H, S, A]


class Limits(NamedTuple):
    """Clips: of a factor's value to [low, ceiling], of an action's value to at most cap."""

    low: float
    ceiling: Any  # [H, d]
    cap: Any  # [H]


class Plan(NamedTuple):
    """What an induction fills: a policy and its values."""

    policy: Any  # [H, S, A]
    log_policy: Any  # [H, S, A]
    values: Any  # [H + 1, S]
    q: Any  # [H, S, A]
    u: Any  # [H, d] what the adversary leaves of each factor


class Work(NamedTuple):
    """Work space of one step."""

    order: Any  # [S] states by increasing value
    spare: Any  # [S] int
    shifted: Any  # [S] float


@njit
def removal_dual(values, order, weights, radius):
    """max_{alpha >= 0} sum_s w_s min(v_s, alpha) - radius alpha: at most ``radius`` of mass moves to a state of value 0.

    ``order`` sorts ``values``. Piecewise linear in alpha, and not concave for signed weights: every break point is tried. O(S).

    >>> values = np.array([0.0, 4.0, 1.0])
    >>> removal_dual(values, np.argsort(values), np.array([0.0, 0.5, 0.5]), 0.25)  # a quarter falls from 4 to 0
    1.5
    >>> removal_dual(values, np.argsort(values), np.array([0.0, 0.75, -0.5]), 0.25)  # 0 at alpha = 0, 0 at 1, then rising
    1.5
    """
    base = tail = 0.0
    for s in range(len(values)):
        if values[s] <= 0.0:
            base += weights[s] * values[s]
        else:
            tail += weights[s]
    g = best = base
    previous = 0.0
    for s in order:
        if values[s] > 0.0:
            g += (tail - radius) * (values[s] - previous)
            previous = values[s]
            tail -= weights[s]
            best = max(best, g)
    return best


@njit
def worst_factor(code, values, order, weights, radius, penalty, shifted):
    """The adversary's value of one factor: FAIL and BALL under the constraint, the others under ``penalty`` (sigma > 0) times a divergence.

    TV_FAIL may only send mass to the fail state. ``shifted`` [S] is overwritten. The last four and BALL need a probability vector,
    FAIL and TV_FAIL take signed estimates.
    """
    S = len(values)
    least = values[order[0]]
    if code == FAIL:
        return removal_dual(values, order, weights, radius)
    if code == BALL:
        for s in range(S):
            shifted[s] = values[s] - least
        return least + removal_dual(shifted, order, weights, radius)
    total = 0.0
    if code in (TV, TV_FAIL):
        level = penalty + (least if code == TV else 0.0)
        for s in range(S):
            total += weights[s] * min(values[s], level)
        return total
    if code == KL:
        low = np.inf
        for s in range(S):
            if weights[s] > 0.0:
                low = min(low, values[s])
        mass = excess = 0.0
        for s in range(S):
            if weights[s] > 0.0:
                mass += weights[s]
                excess += weights[s] * np.expm1((low - values[s]) / penalty)
                total += weights[s] * np.exp((low - values[s]) / penalty)
        return low - penalty * (np.log1p(excess / mass) if excess > -0.5 * mass else np.log(total))  # log 1 of a large penalty is lost
    return chi_square_penalty(values, order, weights, penalty)


@njit
def chi_square_penalty(values, order, weights, penalty):
    """E X - Var X / (4 sigma), X = min(v, alpha), alpha - E X = 2 sigma: alpha is found by one pass over the sorted values."""
    mass = first = 0.0
    alpha = np.inf
    for n in range(len(values)):
        s = order[n]
        if weights[s] <= 0.0:
            continue
        if mass > 0.0 and (2.0 * penalty + first) / mass <= values[s]:
            alpha = (2.0 * penalty + first) / mass  # alpha mass - first = 2 sigma, before the next value
            break
        mass += weights[s]
        first += weights[s] * values[s]
    mean = square = 0.0
    for s in range(len(values)):
        mean += weights[s] * min(values[s], alpha)
    for s in range(len(values)):
        square += weights[s] * (min(values[s], alpha) - mean) ** 2
    return mean - square / (4.0 * penalty)


@njit
def soft_maximum(q, log_reference, tau, policy, log_policy):
    """tau log sum ref exp(q / tau) and its maximizer; tau = 0: the maximum, uniform on ties (within 1e-12).

    ``log_policy`` may be ``log_reference`` itself.
    """
    A, top = len(q), -np.inf
    if tau == 0.0:
        ties = 0
        for a in range(A):
            top = max(top, q[a])
        for a in range(A):
            ties += q[a] >= top - 1e-12
        for a in range(A):
            policy[a] = 1.0 / ties if q[a] >= top - 1e-12 else 0.0
            log_policy[a] = np.log(policy[a]) if policy[a] > 0.0 else -np.inf
        return top
    for a in range(A):
        top = max(top, q[a])
    peak, total, mass, excess = -np.inf, 0.0, 0.0, 0.0
    flat = tau > abs(top)  # then tau times the rounding of a logarithm near 0 would be more than the rounding of q
    for a in range(A):
        x = (q[a] - top) / tau
        if flat and log_reference[a] > -np.inf:
            weight = np.exp(log_reference[a])
            mass += weight
            excess += weight * np.expm1(x)
        log_policy[a] = log_reference[a] + x
        peak = max(peak, log_policy[a])
    for a in range(A):
        policy[a] = np.exp(log_policy[a] - peak)
        total += policy[a]
    shift = peak + np.log(total)
    for a in range(A):
        policy[a] /= total
        log_policy[a] -= shift
    return top + tau * (np.log1p(excess / mass) if flat and excess > -0.5 * mass else shift)


@njit
def regularized_mean(q, policy, log_policy, log_reference, tau):
    """<policy, q> - tau KL(policy || reference)."""
    value = largest = 0.0
    for a in range(len(q)):
        if policy[a] > 0.0:
            largest = max(largest, abs(q[a]))
    if tau > largest:
        for a in range(len(q)):
            if policy[a] > 0.0:
                value += policy[a] * q[a]
        return value - tau * relative_entropy(policy, log_policy, log_reference)
    for a in range(len(q)):
        if policy[a] > 0.0:
            value += policy[a] * (q[a] - (tau * (log_policy[a] - log_reference[a]) if tau > 0.0 else 0.0))
    return value


@njit
def robust_induction(world, belief, limits, tau, log_reference, fixed, plan, work):
    """Backward induction over all steps, exact (the world's factors, width 0) or optimistic; the policy is kept if ``fixed``.

    u[h,i]   = clip(worst value of factor i for values[h+1] + width[h,i], low, ceiling[h,i]),   0 at known factors
    q[h,s,a] = min(reward + <phi, u[h]>, cap[h])
    values   = soft maximum of q around the reference, or <policy, q> - tau KL;   0 in the fail state, where the policy is the reference
    """
    pointer, column, amount, _, _, known, radius, code, penalty, fail, _ = world
    (weights, width, reward), (low, ceiling, cap) = belief, limits
    (policy, log_policy, values, q, u), (order, spare, shifted) = plan, work
    H, S, A = reward.shape
    for s in range(S):
        values[H, s] = 0.0
    for h in range(H - 1, -1, -1):
        argsort(values[h + 1], S, order, spare)
        for i in range(len(known)):
            u[h, i] = 0.0
            if not known[i]:
                estimate = worst_factor(code, values[h + 1], order, weights[h, i], radius[h, i], penalty, shifted)
                u[h, i] = max(low, min(estimate + width[h, i], ceiling[h, i]))
        for s in range(S):
            if s == fail:
                values[h, s] = 0.0
                for a in range(A):
                    q[h, s, a] = 0.0
                    if not fixed:
                        log_policy[h, s, a] = log_reference[h, s, a]
                        policy[h, s, a] = np.exp(log_reference[h, s, a])
                continue
            for a in range(A):
                total = reward[h, s, a]
                for e in range(pointer[s * A + a], pointer[s * A + a + 1]):
                    total += amount[e] * u[h, column[e]]
                q[h, s, a] = min(total, cap[h])
            if fixed:
                values[h, s] = regularized_mean(q[h, s], policy[h, s], log_policy[h, s], log_reference[h, s], tau)
            else:
                values[h, s] = soft_maximum(q[h, s], log_reference[h, s], tau, policy[h, s], log_policy[h, s])
