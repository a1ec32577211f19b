"""Worst-case expectations over L1 balls: max p.z over the simplex with ||p - p0||_1 <= radius, and the weighted ball.

Arrays are rows: ``z``, ``p0``, ``p`` [n]; ``p`` receives a maximiser. Every kernel returns (value, dual); ``dual_*`` turns ANY value of
the dual variable into an upper bound (weak duality), so that ``dual_*(...) - value`` certifies optimality. Inputs are trusted: p0 >= 0 sums
to 1 up to rounding, z is finite, radius >= 0. Ties go to the lowest index. Total variation r is radius 2 r.

Source: Ho, Petrik, Wiesemann 2018, 2021 (sorting, homotopy); drpg spec 2.1, 2.2 (derived).
"""

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.ordering import argsort

FEW = 24  # up to so many candidates the donors are found one minimum after the other; beyond, by partition


@njit
def worst_l1(z, p0, radius, p, order):
    """The receiver, the state of largest z, gets min(radius / 2, 1 - p0[receiver]) from the states of least z. O(n), no sort.

    Dual: z of the last donor, max z if the budget is not exhausted. ``order`` [n] is overwritten.
    """
    receiver = 0
    for i in range(len(z)):
        p[i] = p0[i]
        if z[i] > z[receiver]:
            receiver = i
    moved, gain, dual = take_least(z, p0, 0.5 * radius, z[receiver], p, order)
    p[receiver] += moved
    return _dot(p0, z) + gain, dual


@njit
def take_least(keys, mass, budget, limit, left, order):
    """Takes ``budget`` of ``mass`` out of ``left`` [n] (a copy of ``mass``) where the keys are least, of keys below ``limit`` alone.

    Returns (what was taken, sum of taken (limit - key), key of the last that gave, or ``limit`` if the budget outlasts them all).
    """
    count = 0
    for i in range(len(keys)):
        if mass[i] > 0.0 and keys[i] < limit:
            order[count] = i
            count += 1
    if count > FEW:
        return _partition(keys, mass, budget, limit, left, order, count)
    taken, gain = 0.0, 0.0
    while count > 0:
        least = 0
        for i in range(1, count):
            if keys[order[i]] < keys[order[least]]:
                least = i
        donor = order[least]
        given = min(mass[donor], budget - taken)
        left[donor] = mass[donor] - given
        taken += given
        gain += given * (limit - keys[donor])
        if given < mass[donor] or taken >= budget:
            return taken, gain, keys[donor]
        count -= 1
        for i in range(least, count):  # keeps the order of ties
            order[i] = order[i + 1]
    return taken, gain, limit


@njit
def _partition(keys, mass, budget, limit, left, order, count):
    """``take_least`` from the ``count`` places in ``order``: a quickselect by weight, O(n) on average."""
    low, high, taken, gain = 0, count, 0.0, 0.0
    while low < high:
        a, b, c = keys[order[low]], keys[order[(low + high) // 2]], keys[order[high - 1]]
        pivot = max(min(a, b), min(max(a, b), c))
        less, more, i, weight, profit = low, high, low, 0.0, 0.0
        while i < more:  # three ways: below, equal to and above the pivot
            j = order[i]
            if keys[j] < pivot:
                order[i], order[less] = order[less], j
                weight += mass[j]
                profit += mass[j] * (limit - keys[j])
                less += 1
                i += 1
            elif keys[j] > pivot:
                more -= 1
                order[i], order[more] = order[more], j
            else:
                i += 1
        if taken + weight > budget:
            high = less
            continue
        for i in range(low, less):
            left[order[i]] = 0.0
        taken, gain = taken + weight, gain + profit
        for i in range(less, more):
            j = order[i]
            given = min(mass[j], budget - taken)
            left[j] = mass[j] - given
            taken += given
            gain += given * (limit - pivot)
            if given < mass[j]:
                return taken, gain, pivot
        if taken >= budget:
            return taken, gain, pivot
        low = more
    return taken, gain, limit


@njit
def worst_l1_sorted(z, p0, radius, p, order, spare):
    """``worst_l1`` by a sort of this row alone."""
    argsort(z, len(z), order, spare)
    return worst_l1_ordered(z, p0, radius, p, order)


@njit
def worst_l1_ordered(z, p0, radius, p, order):
    """``worst_l1`` given ``order``, the indices of increasing z: one order serves every row of a sweep whose costs do not depend on the
    next state. Only the few states at both ends are looked at twice.
    """
    n = len(z)
    last = n - 1
    while last > 0 and z[order[last - 1]] == z[order[n - 1]]:  # the lowest index of a tie
        last -= 1
    for i in range(n):
        p[i] = p0[i]
    receiver, budget = order[last], 0.5 * radius
    moved, gain, dual = 0.0, 0.0, z[receiver]
    for i in range(last):
        donor = order[i]
        if p0[donor] == 0.0:
            continue
        given = min(p0[donor], budget - moved)
        p[donor] = p0[donor] - given
        moved += given
        gain += given * (z[receiver] - z[donor])
        if given < p0[donor] or moved >= budget:
            dual = z[donor]
            break
    p[receiver] += moved
    return _dot(p0, z) + gain, dual


@njit
def value_l1_ordered(z, p0, radius, order):
    """The value of ``worst_l1_ordered`` alone: a dot product and the few donors."""
    n = len(z)
    top, budget, moved, gain = z[order[n - 1]], 0.5 * radius, 0.0, 0.0
    for i in range(n):
        donor = order[i]
        given = min(p0[donor], budget - moved)
        moved += given
        gain += given * (top - z[donor])
        if moved >= budget:
            break
    return _dot(p0, z) + gain


@njit_sums
def dual_l1(z, p0, radius, t):
    """(radius / 2) (max z - t) + p0 . max(z, t), an upper bound for every t <= max z."""
    top, total = z[0], 0.0
    for i in range(len(z)):
        top = max(top, z[i])
        total += p0[i] * max(z[i], t)
    return 0.5 * radius * (top - t) + total


@njit_sums
def _dot(p, z):
    total = 0.0
    for i in range(len(z)):
        total += p[i] * z[i]
    return total


@njit
def worst_weighted_l1(z, p0, weights, radius, p):
    """max p.z with sum_i weights[i] |p[i] - p0[i]| <= radius, weights > 0.

    For a multiplier l the receiver k maximises z - l w, and donor i gives all it has if z_i + l w_i < z_k - l w_k; the budget that this
    uses falls in l. Bisection to neighbouring floats, then the two vertices are mixed so that the radius is used up. Dual: l.
    """
    n = len(z)
    low_z, high_z, least = z[0], z[0], weights[0]
    for i in range(n):
        low_z, high_z, least = min(low_z, z[i]), max(high_z, z[i]), min(least, weights[i])
    lo, hi = 0.0, 2 * (high_z - low_z) / least  # at half of this a tie decided by rounding could still use a budget
    used_low, used_high = _weighted_budget(z, p0, weights, lo), 0.0
    if used_low <= radius:
        hi, used_high, share = lo, used_low, 1.0
    elif radius == 0.0:
        for i in range(n):
            p[i] = p0[i]
        return _dot(p0, z), (high_z - low_z) / least
    else:
        while True:
            middle = 0.5 * (lo + hi)
            if middle <= lo or middle >= hi:
                break
            used = _weighted_budget(z, p0, weights, middle)
            if used > radius:
                lo, used_low = middle, used
            else:
                hi, used_high = middle, used
        share = 1.0 - (radius - used_high) / (used_low - used_high)
    for i in range(n):
        p[i] = p0[i]
    gain = _move(z, p0, weights, hi, share, p)
    if share < 1.0:
        gain += _move(z, p0, weights, lo, 1.0 - share, p)
    return _dot(p0, z) + gain, hi


@njit
def _receiver(z, weights, multiplier):
    best = 0
    for i in range(1, len(z)):
        if z[i] - multiplier * weights[i] > z[best] - multiplier * weights[best]:
            best = i
    return best


@njit
def _weighted_budget(z, p0, weights, multiplier):
    k = _receiver(z, weights, multiplier)
    level, used = z[k] - multiplier * weights[k], 0.0
    for i in range(len(z)):
        if i != k and z[i] - level < -multiplier * weights[i]:
            used += p0[i] * (weights[i] + weights[k])
    return used


@njit
def _move(z, p0, weights, multiplier, share, p):
    """Adds ``share`` of the vertex of this multiplier to p, which started from p0; returns what it gains."""
    k = _receiver(z, weights, multiplier)
    level, gain, moved = z[k] - multiplier * weights[k], 0.0, 0.0
    for i in range(len(z)):
        if i != k and z[i] - level < -multiplier * weights[i]:
            given = min(share * p0[i], p[i])
            p[i] -= given
            moved += given
            gain += given * (z[k] - z[i])
    p[k] += moved
    return gain


@njit
def dual_weighted_l1(z, p0, weights, radius, multiplier):
    """l radius + m + sum_i p0_i max(z_i - m, -l w_i) with m = max_i (z_i - l w_i): an upper bound for every l >= 0."""
    k = _receiver(z, weights, multiplier)
    level, total = z[k] - multiplier * weights[k], 0.0
    for i in range(len(z)):
        total += p0[i] * max(z[i] - level, -multiplier * weights[i])
    return multiplier * radius + level + total
