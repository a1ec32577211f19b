"""One state of an s-rectangular L1 set: max over sum_a ||P_a - P0_a||_1 <= radius of sum_a policy_a P_a.z_a, and its minimum over policies.

The rows of a state lie one after the other: ``z``, ``p0``, ``p`` [n], row a at ``pointer[a] - pointer[0] : pointer[a + 1] - pointer[0]``.
q_a(x), the worst case of row a alone with radius x, is concave and piecewise linear: giving mass p0_j of the j-th least z to the receiver
costs 2 p0_j of the radius and gains (max z_a - z_j) / 2 for each unit of it.

Source: Ho, Petrik, Wiesemann 2018, 2021; drpg spec section 3 (derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.ordering import argsort
from tabular_rl.kernels.robust.worst_case_l1 import take_least


@njit
def evaluate_l1(z, p0, pointer, radius, policy, p, keys, order):
    """The worst case of a ``policy`` [A]: all pieces of all q_a in the order of their slopes, until the radius is spent. O(n) on average.

    Rows of actions of probability 0 keep p0. ``keys`` [n] and ``order`` [n] are overwritten. Returns the value.
    """
    n, value = pointer[len(policy)] - pointer[0], 0.0
    for a in range(len(policy)):
        start, stop = pointer[a] - pointer[0], pointer[a + 1] - pointer[0]
        top, mean = -np.inf, 0.0
        for i in range(start, stop):
            top = max(top, z[i])
            mean += p0[i] * z[i]
        for i in range(start, stop):
            p[i] = p0[i]
            keys[i] = -policy[a] * (top - z[i])
        if policy[a] > 0.0:
            value += policy[a] * mean
    _, gain, _ = take_least(keys[:n], p0, 0.5 * radius, 0.0, p, order)
    for a in range(len(policy)):
        start, stop = pointer[a] - pointer[0], pointer[a + 1] - pointer[0]
        moved, receiver = 0.0, start
        for i in range(start, stop):
            moved += p0[i] - p[i]
            if z[i] > z[receiver]:
                receiver = i
        p[receiver] += moved
    return value + gain


@njit
def optimise_l1(z, p0, pointer, radius, policy, p, mass, gain, order, spare):
    """min over policies of the worst case: the value, its ``policy`` [A] (written) and worst rows ``p`` [n] (written unless empty).

    By minimax it is the largest u with sum_a x_a(u) <= radius, x_a(u) the least radius that lifts row a to u: convex and piecewise linear
    in u, so that Newton's steps from above end at the root after finitely many, each at O(A log n). The policy equalizes
    policy_a * (slope of q_a). ``mass``, ``gain`` [n] (prefix sums), ``order``, ``spare`` [n] are overwritten. O(n log n).

    A row of infinite z belongs to an action that the state does not have: it gets no probability and costs nature nothing.
    """
    A, origin = len(policy), pointer[0]
    ceiling, floor, lowest, easiest = np.inf, np.inf, 0, 0
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        if z[start] == np.inf:
            policy[a] = np.inf
            continue
        base, top = prepare_row(z, p0, start, stop, mass, gain, order, spare)
        policy[a] = base
        if top < ceiling:
            ceiling, lowest = top, a
        if base < floor:
            floor, easiest = base, a
    level, spent = ceiling, 0.0
    while True:
        spent, steepness = 0.0, 0.0
        for a in range(A):
            start, stop = pointer[a] - origin, pointer[a + 1] - origin
            x, slope = _least_radius(level - policy[a], z, start, stop, mass, gain, order)
            spent += x
            if x > 0.0:
                steepness += 1.0 / slope
        if spent <= radius or level <= floor:
            break
        below = max(level - (spent - radius) / steepness, floor)
        if below >= level:  # near ties: a step too short for a float, while the radius is spent many times over
            if steepness == np.inf:
                break
            below = max(np.nextafter(level, -np.inf), floor)
        level = below
    shrink = min(1.0, radius / spent) if spent > 0.0 else 1.0
    total, flattest, saturated = 0.0, np.inf, level == ceiling and spent <= radius
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        x, slope = _least_radius(level - policy[a], z, start, stop, mass, gain, order)
        if len(p) > 0 and z[start] == np.inf:
            for i in range(start, stop):
                p[i] = p0[i]
        elif len(p) > 0:
            _spend(p0, start, stop, 0.5 * x * shrink, p, order)
        policy[a] = slope if x > 0.0 else np.inf
        flattest = min(flattest, policy[a])
    for a in range(A):
        policy[a] = flattest / policy[a] if policy[a] < np.inf else 0.0
        total += policy[a]
    for a in range(A):
        if saturated:
            policy[a] = 1.0 if a == lowest else 0.0
        elif total == 0.0:
            policy[a] = 1.0 if a == easiest else 0.0
        else:
            policy[a] /= total
    return level


@njit
def prepare_row(z, p0, start, stop, mass, gain, order, spare):
    """(q(0), max z) of the row start : stop. ``order`` there: its places by increasing z, relative to ``start``, the lowest index of the
    largest z last; ``mass``, ``gain``: what the donors up to there have, and what giving it gains.
    """
    n = stop - start
    argsort(z[start:stop], n, order[start:stop], spare)
    last = stop - 1
    top = z[start + order[last]]
    first = last
    while first > start and z[start + order[first - 1]] == top:
        first -= 1
    order[first], order[last] = order[last], order[first]
    base, m, g = 0.0, 0.0, 0.0
    for k in range(start, stop):
        i = start + order[k]
        base += p0[i] * z[i]
        m += p0[i]
        g += p0[i] * (top - z[i])
        mass[k], gain[k] = m, g
    return base, top


@njit
def _least_radius(need, z, start, stop, mass, gain, order):
    """(x, slope of q left of x) for the least x with q(x) >= q(0) + need; need beyond the last gain counts as the last gain."""
    if need <= 0.0:
        return 0.0, np.inf
    low, high = start, stop - 1  # the first place where gain >= need
    while low < high:
        middle = (low + high) // 2
        if gain[middle] >= need:
            high = middle
        else:
            low = middle + 1
    top = z[start + order[stop - 1]]
    if gain[low] < need:  # rounding has asked for more than there is
        while low > start and gain[low] == gain[low - 1]:
            low -= 1
    step = top - z[start + order[low]]
    if step <= 0.0:
        return 0.0, np.inf
    before, had = (mass[low - 1], gain[low - 1]) if low > start else (0.0, 0.0)
    x = before + min((need - had) / step, mass[low] - before)
    return 2.0 * x, 0.5 * step


@njit
def _spend(p0, start, stop, budget, p, order):
    """p of the row: its first donors give ``budget`` to the last place."""
    moved = 0.0
    for k in range(start, stop - 1):
        i = start + order[k]
        given = min(p0[i], budget - moved)
        p[i] = p0[i] - given
        moved += given
    receiver = start + order[stop - 1]
    p[receiver] = p0[receiver] + moved
