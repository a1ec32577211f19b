"""A parametric family of kernels, p[s,a,t] ~ nominal[s,a,t] exp(theta . phi[t] / lam_sa) with lam_sa = lam . zeta[s,a], and ascent on it.

``phi`` [S, n], ``zeta`` [S, A, m]; ``theta`` [n] and ``lam`` [m] lie in L1 balls around their centers, lam >= LEAST. Source: Wang, Ho,
Petrik (2023), the gradients derived; drpg spec 6.3.
"""

from typing import NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.evaluation import copy, discounted_occupancy, evaluate_policy, total

LEAST = 1e-5  # of every lam


class Family(NamedTuple):
    """``phi``, ``zeta``, centers and radii, as the kernels read them."""

    phi: np.ndarray
    zeta: np.ndarray
    theta: np.ndarray
    lam: np.ndarray
    theta_radius: float
    lam_radius: float


class Member(NamedTuple):
    """A member of the family, ``theta`` [n] and ``lam`` [m], and dJ/dtheta, dJ/dlam there; moved in place."""

    theta: np.ndarray
    lam: np.ndarray
    of_theta: np.ndarray
    of_lam: np.ndarray


def center(family):
    """The member that the parameters' balls are put around."""
    return Member(family.theta.copy(), family.lam.copy(), np.empty_like(family.theta), np.empty_like(family.lam))


@njit
def _weighted(features, weights):
    """[S]: features [S, n] times weights [n]."""
    result = np.empty(len(features))
    for s in range(len(features)):
        result[s] = total(features[s], weights)
    return result


@njit
def tilt(rows, family, theta, lam, p):
    """The kernel ``p`` of (theta, lam), in log-space with the largest exponent of a row at 0."""
    score = _weighted(family.phi, theta)
    dense = len(rows.successor) == 0
    for r in range(rows.states * rows.actions):
        first, last = rows.pointer[r], rows.pointer[r + 1]
        temperature = total(family.zeta[r // rows.actions, r % rows.actions], lam)
        top, mass = -np.inf, 0.0
        for i in range(first, last):
            t = i - first if dense else np.int64(rows.successor[i])
            p[i] = score[t] / temperature
            if rows.nominal[i] > 0.0:
                top = max(top, p[i])
        for i in range(first, last):
            p[i] = rows.nominal[i] * np.exp(p[i] - top) if rows.nominal[i] > 0.0 else 0.0
            mass += p[i]
        for i in range(first, last):
            p[i] /= mass


@njit
def family_gradient(game, family, member, policy, answer):
    """Fill dJ/dtheta [n] and dJ/dlam [m]: covariances, under every row, of features and cost + discount v."""
    rows, discount, theta, lam, of_theta, of_lam = game.rows, game.discount, member.theta, member.lam, member.of_theta, member.of_lam
    p, values = answer.kernel, answer.values
    for k in range(len(of_theta)):
        of_theta[k] = 0.0
    for k in range(len(of_lam)):
        of_lam[k] = 0.0
    score = _weighted(family.phi, theta)
    dense = len(rows.successor) == 0
    for r in range(rows.states * rows.actions):
        s, a = r // rows.actions, r % rows.actions
        weight = answer.occupancy[s] * policy[s, a] / (1 - discount)
        if weight == 0.0:
            continue
        first, last = rows.pointer[r], rows.pointer[r + 1]
        temperature = total(family.zeta[s, a], lam)
        mean = 0.0
        for i in range(first, last):
            t = i - first if dense else np.int64(rows.successor[i])
            mean += p[i] * ((rows.cost[r] if rows.pair_costs else rows.cost[i]) + discount * values[t])
        spread = 0.0
        for i in range(first, last):
            t = i - first if dense else np.int64(rows.successor[i])
            centered = p[i] * ((rows.cost[r] if rows.pair_costs else rows.cost[i]) + discount * values[t] - mean)
            spread += centered * score[t]
            for k in range(len(of_theta)):
                of_theta[k] += weight * centered * family.phi[t, k] / temperature
        for k in range(len(of_lam)):
            of_lam[k] -= weight * spread * family.zeta[s, a, k] / temperature**2


@njit
def into_ball(x, center, radius, least):
    """``x`` becomes its projection onto {|x - center|_1 <= radius, x >= least}, given center >= least: a soft threshold, by bisection."""
    low, high = 0.0, 0.0
    for k in range(len(x)):
        high = max(high, abs(x[k] - center[k]))
    for step in range(101):
        threshold = 0.0 if step == 0 else 0.5 * (low + high)
        distance = 0.0
        for k in range(len(x)):
            distance += abs(_shrunk(x[k], center[k], threshold, least) - center[k])
        if distance <= radius:
            high = threshold
            if step == 0:
                break
        else:
            low = threshold
    for k in range(len(x)):
        x[k] = _shrunk(x[k], center[k], high, least)


@njit
def _shrunk(x, center, threshold, least):
    offset = x - center
    return max(least, center + np.sign(offset) * max(0.0, abs(offset) - threshold))


@njit
def ascend_family(game, family, member, policy, step, tolerance, limit, answer):
    """Projected gradient ascent on (theta, lam) until no value moves by ``tolerance``. Returns the number of steps. No certificate."""
    values, before = answer.values, answer.improved
    theta, lam, of_theta, of_lam = member.theta, member.lam, member.of_theta, member.of_lam
    tilt(game.rows, family, theta, lam, answer.kernel)
    evaluate_policy(game.rows, answer.kernel, policy, game.discount, answer.system, values)
    for steps in range(1, limit + 1):
        copy(values, before)
        discounted_occupancy(answer.system, game.initial, game.discount, answer.occupancy)
        family_gradient(game, family, member, policy, answer)
        for k in range(len(theta)):
            theta[k] += step * of_theta[k]
        for k in range(len(lam)):
            lam[k] += step * of_lam[k]
        into_ball(theta, family.theta, family.theta_radius, -np.inf)
        into_ball(lam, family.lam, family.lam_radius, LEAST)
        tilt(game.rows, family, theta, lam, answer.kernel)
        evaluate_policy(game.rows, answer.kernel, policy, game.discount, answer.system, values)
        change = 0.0
        for s in range(len(values)):
            change = max(change, abs(values[s] - before[s]))
        if change < tolerance:
            break
    return steps
