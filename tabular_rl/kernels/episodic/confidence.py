"""Confidence sets of an unknown transition: counts, Bernstein radii, extreme expectations, upper and lower occupancies.

The set of a row is the box ``|p - estimate| <= radius`` (entrywise) met with the simplex. Shapes: ``visits`` [T, S, A], ``estimate``
and ``radius`` [T, S, A, S]; T = H. Source: Jin, Jin, Luo, Sra, Yu 2020; dapo spec 2.5, bobw spec 3.8 and 5.3.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.ordering import argsort


@njit
def bernstein_confidence(visits, transitions, log_term, estimate, radius, scale=1.0):
    """Refresh ``estimate`` (uniform rows where nothing was seen) and the empirical Bernstein ``radius``, at most 1 per entry:

    radius = scale (2 sqrt(estimate * log_term / max(n - 1, 1)) + 14 log_term / (3 max(n - 1, 1))),   1 where n = 0.

    The theory's ``scale`` is 1.
    """
    T, S, A = visits.shape
    for h in range(T):
        for s in range(S):
            for a in range(A):
                n = visits[h, s, a]
                rate = log_term / max(n - 1.0, 1.0)
                for t in range(S):
                    p = transitions[h, s, a, t] / n if n > 0 else 1.0 / S
                    estimate[h, s, a, t] = p
                    radius[h, s, a, t] = min(1.0, scale * (2 * np.sqrt(p * rate) + 14 * rate / 3)) if n > 0 else 1.0


@njit_sums
def extreme_expectation(estimate, radius, order, values):
    """Extreme of <p, values> over one row's set, exactly: fill the box from its lower corner in the given ``order`` of states.

    ``order`` sorts ``values`` decreasingly for the maximum, increasingly for the minimum.

    Around (1/2, 1/4, 1/4) with radii 1/4 the largest mean moves 1/4 from the last state to the first:

    >>> estimate, radius, values = np.array([0.5, 0.25, 0.25]), np.full(3, 0.25), np.array([2.0, 1.0, 0.0])
    >>> float(extreme_expectation(estimate, radius, np.array([0, 1, 2]), values))
    1.75
    >>> float(extreme_expectation(estimate, radius, np.array([2, 1, 0]), values))
    0.75
    """
    S = len(values)
    left, total = 1.0, 0.0
    for t in range(S):
        low = max(0.0, estimate[t] - radius[t])
        left -= low
        total += low * values[t]
    for i in range(S):
        if left <= 0.0:
            break
        t = order[i]
        room = min(1.0, estimate[t] + radius[t]) - max(0.0, estimate[t] - radius[t])
        given = min(left, room)
        total += given * values[t]
        left -= given
    return total


@njit
def layer_occupancy_bounds(estimate, radius, policy, initial, target_h, upper, lower):
    """Fill ``upper`` and ``lower`` [S]: extremes of Pr(s_h = s), h = ``target_h``, of the policy of the steps before, over the set.

    One backward pass per target and side; one sort per pass and step, shared by all (s, a).
    """
    S, A = policy.shape[1:]
    reach, before, keys, order, spare = np.empty(S), np.empty(S), np.empty(S), np.empty(S, np.int64), np.empty(S, np.int64)
    for target in range(S):
        for side in range(2):
            reach[:] = 0.0
            reach[target] = 1.0
            for h in range(target_h - 1, -1, -1):
                for s in range(S):
                    keys[s] = -reach[s] if side == 0 else reach[s]
                argsort(keys, S, order, spare)
                for s in range(S):
                    before[s] = 0.0
                    if h == 0 and initial[s] == 0.0:
                        continue
                    for a in range(A):
                        if policy[h, s, a] > 0.0:
                            before[s] += policy[h, s, a] * extreme_expectation(estimate[h, s, a], radius[h, s, a], order, reach)
                reach[:] = before
            total = 0.0
            for s in range(S):
                total += initial[s] * reach[s]
            if side == 0:
                upper[target] = min(total, 1.0)
            else:
                lower[target] = total


@njit
def occupancy_bounds(estimate, radius, policy, initial, upper, lower):
    """``layer_occupancy_bounds`` of all steps, ``upper`` and ``lower`` [H, S]: O(H^2 S^3 A) flops."""
    for h in range(len(policy)):
        layer_occupancy_bounds(estimate, radius, policy, initial, h, upper[h], lower[h])


@njit
def optimistic_dilated_bonus(estimate, radius, policy, local_bonus, dilation, bonus, values):
    """``dilated_bonus`` with the maximum over the confidence set in place of the expectation."""
    H, S, A = policy.shape
    keys, order, spare = np.empty(S), np.empty(S, np.int64), np.empty(S, np.int64)
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        following = values[h + 1]
        for s in range(S):
            keys[s] = -following[s]
        argsort(keys, S, order, spare)
        for s in range(S):
            value = 0.0
            for a in range(A):
                expected = extreme_expectation(estimate[h, s, a], radius[h, s, a], order, following) if h + 1 < H else 0.0
                bonus[h, s, a] = local_bonus[h, s] + dilation * expected
                value += policy[h, s, a] * bonus[h, s, a]
            values[h, s] = value


@njit
def observe(visits, seen, states, actions):
    """Add the transitions of one path, ``states`` and ``actions`` [H], to ``visits`` [H, S, A] and ``seen`` [H, S, A, S]."""
    for h in range(len(states) - 1):
        visits[h, states[h], actions[h]] += 1
        seen[h, states[h], actions[h], states[h + 1]] += 1


@njit
def renew(visits, seen, at_epoch, log_term, estimate, radius, scale=1.0):
    """Whether some count has doubled since the last epoch began: then a new one begins, with new ``estimate`` and ``radius``."""
    H, S, A = visits.shape
    doubled = False
    for h in range(H):
        for s in range(S):
            for a in range(A):
                doubled |= visits[h, s, a] >= max(1.0, 2 * at_epoch[h, s, a])
    if doubled:
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    at_epoch[h, s, a] = visits[h, s, a]
        bernstein_confidence(visits, seen, log_term, estimate, radius, scale)
    return doubled
