"""Euclidean projections onto ambiguity sets: the simplex met with a box, an L1 ball or an L2 ball; rows one by one or those of a state.

Most of them pour water: with depths d and capacities c the level of an ``amount`` is the l with sum_i clip(l - d_i, 0, c_i) = amount.
The simplex alone is a row of ``kernels.simplex``.

* box: p = clip(x - mu, lower, upper).
* L1 ball (derived): where the simplex projection leaves the ball, the states that gain and those that lose each move radius / 2, and
  these two problems have nothing in common: sum (x - p0 - alpha)^+ = radius / 2 and sum min(p0, (beta - (x - p0))^+) = radius / 2.
* L2 ball: p = proj_simplex(p0 + s (x - p0)), which is the path of ``worst_ellipsoid`` for z = x - p0.

Arrays are rows ``x``, ``p0``, ``p`` [n]; ``p`` receives the projection. Source: drpg spec section 4 (by KKT conditions; the two levels of
the L1 ball are derived here), Michelot 1986.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.worst_case_ellipsoid import worst_ellipsoid
from tabular_rl.kernels.simplex import project_simplex

STEPS = 200  # Newton ends after a handful; bisections guard it


@njit
def water_level(depth, capacity, amount):
    """The level at which ``amount`` > 0 is poured in; the capacities [n], which may be infinite, hold at least that much.

    Newton's method on a piecewise linear function, bisection where it leaves the bracket.
    """
    low, high = np.inf, -np.inf
    for i in range(len(depth)):
        if capacity[i] > 0.0:
            low, high = min(low, depth[i]), max(high, depth[i] + min(capacity[i], amount))
    level = high
    for _ in range(STEPS):
        poured, width = 0.0, 0.0
        for i in range(len(depth)):
            height = level - depth[i]
            if height > 0.0:
                poured += min(height, capacity[i])
                if height <= capacity[i]:
                    width += 1.0
        if poured == amount:
            break
        if poured > amount:
            high = level
        else:
            low = level
        after = level - (poured - amount) / width if width > 0.0 else 0.5 * (low + high)
        if not (low < after < high):
            after = 0.5 * (low + high)
        if after in (low, high, level):
            break
        level = after
    return level


@njit
def project_box(x, lower, upper, p, depth, capacity):
    """Onto the simplex met with lower <= p <= upper, which is not empty. ``depth``, ``capacity`` [n] are overwritten, here and below."""
    amount = 1.0
    for i in range(len(x)):
        depth[i], capacity[i] = lower[i] - x[i], upper[i] - lower[i]
        p[i] = lower[i]
        amount -= lower[i]
    if amount > 0.0:
        level = water_level(depth, capacity, amount)
        for i in range(len(x)):
            p[i] += min(max(level - depth[i], 0.0), capacity[i])


@njit
def project_l1(x, p0, radius, p, depth, capacity):
    """Onto the simplex met with ||p - p0||_1 <= radius."""
    project_simplex(x, p)
    distance = 0.0
    for i in range(len(x)):
        distance += abs(p[i] - p0[i])
    if distance <= radius:
        return
    for i in range(len(x)):
        p[i] = p0[i]
        depth[i], capacity[i] = -(x[i] - p0[i]), np.inf
    if radius == 0.0:
        return
    alpha = -water_level(depth, capacity, 0.5 * radius)
    for i in range(len(x)):
        depth[i], capacity[i] = x[i] - p0[i], p0[i]
    beta = water_level(depth, capacity, 0.5 * radius)
    for i in range(len(x)):
        p[i] = _between(x[i], p0[i], alpha, beta)


@njit
def _between(x, p0, alpha, beta):
    """p of one state: it gains above alpha, loses below beta <= alpha, and stays between."""
    gap = x - p0
    if gap > alpha:
        return p0 + (gap - alpha)
    if gap < beta:
        return max(p0 - (beta - gap), 0.0)
    return p0


@njit
def project_l2(x, p0, radius, p, depth, capacity, order):
    """Onto the simplex met with ||p - p0||_2 <= radius."""
    project_simplex(x, p)
    square = 0.0
    for i in range(len(x)):
        square += (p[i] - p0[i]) ** 2
    if square > radius * radius:
        for i in range(len(x)):
            depth[i], capacity[i] = x[i] - p0[i], 1.0
        worst_ellipsoid(depth[: len(x)], p0, capacity, radius, p, order)


@njit
def project_state_l1(x, p0, pointer, radius, p):
    """The rows of a state (laid out as in ``s_rectangular``) onto rows of the simplex met with sum_a ||p_a - p0_a||_1 <= radius.

    One multiplier l for all rows: row a gains above mu_a + l and loses below mu_a - l. The distance falls in l: bisection, and the
    feasible end of the bracket.
    """
    A, origin, high = len(pointer) - 1, pointer[0], 0.0
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        project_simplex(x[start:stop], p[start:stop])
        low_gap, high_gap = np.inf, -np.inf
        for i in range(start, stop):
            low_gap, high_gap = min(low_gap, x[i] - p0[i]), max(high_gap, x[i] - p0[i])
        high = max(high, high_gap - low_gap)  # from here on nobody moves
    low, n = 0.0, pointer[A] - origin
    if _distance(p, p0, n) <= radius:
        return
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        _rows_at(x, p0, pointer, middle, p)
        if _distance(p, p0, n) <= radius:
            high = middle
        else:
            low = middle
    _rows_at(x, p0, pointer, high, p)


@njit
def _distance(p, p0, n):
    total = 0.0
    for i in range(n):
        total += abs(p[i] - p0[i])
    return total


@njit
def _rows_at(x, p0, pointer, multiplier, p):
    """p for this multiplier: every row finds its mu with sum 1, by Newton's method guarded by bisection."""
    for a in range(len(pointer) - 1):
        start, stop = pointer[a] - pointer[0], pointer[a + 1] - pointer[0]
        low, high = np.inf, -np.inf
        for i in range(start, stop):
            low, high = min(low, x[i] - p0[i] - multiplier), max(high, x[i] - p0[i] + multiplier)
        mu = 0.5 * (low + high)
        for _ in range(STEPS):
            surplus, width = 0.0, 0.0
            for i in range(start, stop):
                p[i] = _between(x[i], p0[i], mu + multiplier, mu - multiplier)
                surplus += p[i] - p0[i]
                if p[i] > 0.0 and p[i] != p0[i]:
                    width += 1.0
            if surplus == 0.0:
                break
            if surplus > 0.0:
                low = mu
            else:
                high = mu
            after = mu + surplus / width if width > 0.0 else 0.5 * (low + high)
            if not (low < after < high):
                after = 0.5 * (low + high)
            if after in (low, high, mu):
                break
            mu = after
