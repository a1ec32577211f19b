"""Worst-case expectations over boxes (intervals, L-infinity balls, density ratios), contaminations, and finite lists of rows.

Conventions as in ``worst_case_l1``. Source: Givan, Leach, Dean 2000 (intervals); Rockafellar, Uryasev 2000 (density ratios: the
conditional value at risk); Wang, Zou 2022 (contamination); drpg spec 2.3, 2.8 (derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.robust.worst_case_l1 import dot, take_least


@njit
def worst_interval(z, lower, upper, p, keys, room, order):
    """max p.z with lower <= p <= upper: start from ``lower``, fill up to ``upper`` where z is largest. O(n) on average.

    Needs sum lower <= 1 <= sum upper. Dual: z of the last state that was filled. ``keys``, ``room``, ``order`` [n] are overwritten.
    """
    n, missing, lowest = len(z), 1.0, np.inf
    for i in range(n):
        keys[i] = -z[i]
        lowest = min(lowest, z[i])
        room[i] = min(upper[i], 1.0) - lower[i]  # no more than 1, or what is left of it says nothing about what was given
        p[i] = room[i]
        missing -= lower[i]
    limit = max(1.0, abs(lowest)) - lowest  # above all keys
    _, _, last = take_least(keys[:n], room, max(missing, 0.0), limit, p, order)
    if last == limit:
        last = -lowest
    for i in range(n):
        p[i] = min(upper[i], 1.0) - p[i] if p[i] < room[i] else lower[i]
    return dot(p, z), -last


@njit
def l_infinity_bounds(p0, radius, lower, upper):
    """The box |p - p0| <= radius within [0, 1]."""
    for i in range(len(p0)):
        lower[i], upper[i] = max(p0[i] - radius, 0.0), min(p0[i] + radius, 1.0)


@njit
def density_ratio_bounds(p0, level, lower, upper):
    """The box 0 <= p <= min(p0 / level, 1), level in (0, 1]: the worst case is the conditional value at risk of that level."""
    for i in range(len(p0)):
        lower[i], upper[i] = 0.0, min(p0[i] / level, 1.0)


@njit_sums
def dual_interval(z, lower, upper, level):
    """m + sum_i upper_i (z_i - m)^+ - lower_i (m - z_i)^+, an upper bound for every m."""
    total = 0.0
    for i in range(len(z)):
        total += upper[i] * max(z[i] - level, 0.0) - lower[i] * max(level - z[i], 0.0)
    return level + total


@njit
def worst_contamination(z, p0, fraction, p):
    """max p.z over p = (1 - fraction) p0 + fraction q, q any distribution. Dual: max z."""
    top = 0
    for i in range(len(z)):
        p[i] = (1.0 - fraction) * p0[i]
        if z[i] > z[top]:
            top = i
    p[top] += fraction
    return (1.0 - fraction) * dot(p0, z) + fraction * z[top], z[top]


@njit
def dual_contamination(z, p0, fraction, top):
    """(1 - fraction) p0.z + fraction m + sum of what z exceeds m by: an upper bound for every m."""
    excess = 0.0
    for i in range(len(z)):
        excess = max(excess, z[i] - top)
    return (1.0 - fraction) * dot(p0, z) + fraction * (top + excess)


@njit
def worst_of_rows(z, table, start, p):
    """max of p.z over the list of rows table[m, start : start + n] (ties: the first). Dual: that m."""
    best, value = 0, -np.inf
    for m in range(len(table)):
        mean = dot(table[m, start : start + len(z)], z)
        if mean > value:
            best, value = m, mean
    for i in range(len(z)):
        p[i] = table[best, start + i]
    return value, float(best)


@njit
def dual_of_rows(z, table, start):
    """The largest of the means: the list is its own certificate."""
    value = -np.inf
    for m in range(len(table)):
        value = max(value, dot(table[m, start : start + len(z)], z))
    return value
