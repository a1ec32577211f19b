"""Worst-case expectations over ellipsoids with axes along the coordinates: L2 balls, chi-square balls and their weighted relatives.

    max p.z   over the simplex with   sum_i (p_i - p0_i)^2 / q_i <= radius^2         (q = 1: L2; q = p0: chi-square, radius squared)

On a set of active states, with the others at 0, the maximizer is explicit:

    p_i = p0_i + q_i (tau (z_i - mean) - delta),    mean = sum q z / sum q,    delta = -(nominal mass of the others) / sum q,
    tau^2 sum q (z - mean)^2 = radius^2 - (squared distance of p0 to these p's)

Start with all states active and drop those where this p_i is negative, until none is. No state of the solution is ever dropped
(derived): with too many states active the ball is left at a smaller tau, because the projection onto the simplex does not expand
distances to its points; active sets shrink as tau grows; and at a fixed tau a negative entry of the affine projection is 0 in the
projection onto the simplex (Michelot 1986). So the end is exact after at most n rounds of O(n), usually three to six, without a sort
or a search. Conventions as in ``worst_case_l1``. Source: drpg spec 2.4, 2.6, 2.8 (the certificates; derived), this scheme derived here.
"""

import math

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.worst_case_l1 import dot


@njit
def worst_ellipsoid(z, p0, q, radius, p, order):
    """(value, mu, tau): a maximizer p - p0 = tau q (z - mu) where p > 0; states with q = 0 stay at 0 (they must have p0 = 0).

    tau is infinite where the ball does not bind (mu = max z), and for radius 0 (mu = min z). ``order`` [n] is overwritten.
    """
    n, top, bottom = len(z), -np.inf, np.inf
    count, heaviest = 0, 0
    for i in range(n):
        p[i] = 0.0
        if q[i] > 0.0:
            order[count] = i
            count += 1
            top, bottom = max(top, z[i]), min(bottom, z[i])
            if q[i] > q[heaviest]:
                heaviest = i
    unit = math.ldexp(
        1.0, max(min(-math.frexp(top - bottom)[1], 1000), -1000)
    )  # z is counted in a power of 2 near its range: nothing underflows
    squared, outside, lost = radius * radius, 0.0, 0.0  # lost: sum of p0^2 / q over what was dropped
    while True:
        zero, total, mean, binding = z[heaviest], 0.0, 0.0, False
        for k in range(count):  # z counted from the heaviest state: the mean may lie closer to it than a float of its size can say
            i = order[k]
            total += q[i]
            mean += q[i] * (unit * (z[i] - zero))
            if z[i] != zero:
                binding = True
        mean /= total
        rest, spread = 0.0, 0.0  # the mean is ``mean + rest``
        for k in range(count):
            i = order[k]
            rest += q[i] * (unit * (z[i] - zero) - mean)
        rest /= total
        for k in range(count):
            i = order[k]
            spread += q[i] * (unit * (z[i] - zero) - mean - rest) ** 2
        delta = -outside / total
        binding = binding and spread > 0.0
        tau = np.sqrt(max(squared - lost - outside * (outside / total), 0.0)) / np.sqrt(spread) if binding else 0.0
        kept, heaviest = 0, order[0]
        for k in range(count):
            i = order[k]
            p[i] = p0[i] + q[i] * (tau * (unit * (z[i] - zero) - mean - rest) - delta)
            if p[i] >= 0.0:
                order[kept] = i
                kept += 1
                if q[i] > q[heaviest] or p[heaviest] == 0.0:
                    heaviest = i
            else:
                p[i] = 0.0
                outside += p0[i]
                lost += p0[i] * (p0[i] / q[i])
        if kept == count:
            break
        count = kept
    if not binding:
        return dot(p, z), top, np.inf
    if tau == 0.0:
        return dot(p, z), bottom, np.inf
    return dot(p, z), zero + (mean + (rest + delta / tau)) / unit, tau * unit


@njit
def dual_ellipsoid(z, p0, q, radius, mu, tau):
    """p0.y + radius sqrt(sum q (y - mu)^2) with y = max(z, mu - p0 / (tau q)): an upper bound for every mu and tau > 0 (Cauchy-Schwarz)."""
    total, square = 0.0, 0.0
    for i in range(len(z)):
        if q[i] > 0.0:
            y = max(z[i], mu - p0[i] / q[i] / tau)
            total += p0[i] * (y - mu)
            square += q[i] * (y - mu) ** 2
    return mu + total + radius * np.sqrt(square)


@njit
def worst_chi_square(z, p0, radius, p, order):
    """max p.z with sum (p - p0)^2 / p0 <= radius on the support of p0. Dual: t, where p is proportional to p0 (z - t)^+; -inf for radius 0,
    max z if the ball does not bind.
    """
    value, mu, tau = worst_ellipsoid(z, p0, p0, np.sqrt(radius), p, order)
    if tau < 1e-140 or radius < 1e-280:  # t^2 would overflow
        return value, -np.inf
    return value, mu - 1.0 / tau


@njit
def dual_chi_square(z, p0, radius, t):
    """t + sqrt((1 + radius) E (z - t)^+^2), E under p0: an upper bound for every t; without cancellation where t is far below z.

    Its limit at -inf is E z + sqrt(radius Var z).
    """
    if t == -np.inf:
        average, spread = dot(p0, z), 0.0
        for i in range(len(z)):
            spread += p0[i] * (z[i] - average) ** 2
        return average + np.sqrt(radius * spread)
    least, top = np.inf, t  # y = max(z, t) is counted from its least value, in units of its range above t
    for i in range(len(z)):
        if p0[i] > 0.0:
            least, top = min(least, z[i]), max(top, z[i])
    least, width = max(least, t), top - t
    if width == 0.0:
        return t
    mean, square, variance = 0.0, 0.0, 0.0  # of y - least, of (y - t)^2
    for i in range(len(z)):
        if p0[i] > 0.0:
            y = max(z[i], t)
            mean += p0[i] * ((y - least) / width)
            square += p0[i] * ((y - t) / width) ** 2
    for i in range(len(z)):
        if p0[i] > 0.0:
            variance += p0[i] * ((max(z[i], t) - least) / width - mean) ** 2
    spread, root = np.sqrt(square), np.sqrt(radius)
    part = np.sqrt(1.0 + radius) * spread + mean + (least - t) / width
    return least + width * (mean + variance / part + root * spread * (root * spread / part))
