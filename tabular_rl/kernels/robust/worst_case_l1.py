"""Worst-case expectations over L1 balls: max p.z over the simplex with ||p - p0||_1 <= radius.

Arrays are rows: ``z``, ``p0``, ``p`` [n]; ``p`` receives a maximizer. Every kernel returns (value, dual); ``dual_*`` turns ANY value of
the dual variable into an upper bound (weak duality), so that ``dual_*(...) - value`` certifies optimality. Inputs are trusted: p0 >= 0 sums
to 1 up to rounding, z is finite, radius >= 0. Ties go to the lowest index. Total variation r is radius 2 r.

Source: Ho, Petrik, Wiesemann 2018, 2021 (sorting); drpg spec 2.1 (derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums

FEW = 24  # up to so many candidates the donors are found one minimum after the other; beyond, by partition


@njit
def worst_l1(z, p0, radius, p, order):
    """The receiver, the state of largest z, gets min(radius / 2, 1 - p0[receiver]) from the states of least z. O(n), no sort.

    Dual: z of the last donor, max z if the budget is not exhausted. ``order`` [n] is overwritten.

    >>> z, p0, p = np.array([1.0, 3.0, 2.0, 0.0]), np.array([0.4, 0.1, 0.2, 0.3]), np.empty(4)
    >>> p0.flags.writeable = False
    >>> value, dual = worst_l1(z, p0, 0.4, p, np.empty(4, np.int64))
    >>> round(float(value), 12), float(dual), p.round(12).tolist()
    (1.7, 0.0, [0.4, 0.3, 0.2, 0.1])
    """
    receiver = 0
    for i in range(len(z)):
        p[i] = p0[i]
        if z[i] > z[receiver]:
            receiver = i
    moved, gain, dual = take_least(z, p0, 0.5 * radius, z[receiver], p, order)
    p[receiver] += moved
    return dot(p0, z) + gain, dual


@njit
def value_l1_few(z, p0, radius):
    """The value of ``worst_l1`` alone for a short row, of which z is at least as long; no state is looked up by its number."""
    top, total, budget, last = -np.inf, 0.0, 0.5 * radius, -np.inf
    for i in range(len(p0)):
        top = max(top, z[i])
        total += p0[i] * z[i]
    while budget > 0.0:
        least = np.inf
        for i in range(len(p0)):  # the least z above the last one
            x = z[i] if z[i] > last else np.inf
            least = min(least, x)
        if not least < top:
            break
        for i in range(len(p0)):
            if z[i] == least:
                given = min(p0[i], budget)
                budget -= given
                total += given * (top - least)
        last = least
    return total


@njit
def take_least(keys, mass, budget, limit, left, order):
    """Takes ``budget`` of ``mass`` out of ``left`` [n] (a copy of ``mass``) where the keys are least, of keys below ``limit`` alone.

    Returns (what was taken, sum of taken (limit - key), key of the last that gave, or ``limit`` if the budget outlasts them all).
    """
    count = np.int64(0)  # not a literal, for which the compiler would make one more version of what is called
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
    return dot(p0, z) + gain, dual


@njit
def value_l1_ordered(z, p0, radius, order, depth):
    """The value of ``worst_l1_ordered`` alone: a dot product, then the few donors, eight at a time while the budget outlasts them.

    ``depth`` [n] = max z - z[order], the same for all rows of a sweep: only p0 is then looked up out of order.
    """
    n, mean = len(z), dot(p0, z)  # the dot product first: it brings the row into the cache
    left, gain, i = 0.5 * radius, 0.0, np.int64(0)
    while i + 8 <= n:
        mass, profit = _eight(p0, order, depth, i)
        if mass > left:
            break
        left, gain, i = left - mass, gain + profit, i + 8
    while left > 0.0 and i < n:
        given = min(p0[order[i]], left)
        left, gain, i = left - given, gain + given * depth[i], i + 1
    return mean + gain


@njit_sums
def _eight(p0, order, depth, start):
    mass, profit = 0.0, 0.0
    for k in range(8):
        donor = p0[np.uintp(order[start + k])]
        mass += donor
        profit += donor * depth[start + k]
    return mass, profit


@njit_sums
def dual_l1(z, p0, radius, t):
    """(radius / 2) (max z - t) + p0 . max(z, t), an upper bound for every t <= max z."""
    top, total = z[0], 0.0
    for i in range(len(z)):
        top = max(top, z[i])
        total += p0[i] * max(z[i], t)
    return 0.5 * radius * (top - t) + total


@njit_sums
def dot(p, z):
    total = 0.0
    for i in range(len(z)):
        total += p[i] * z[i]
    return total
