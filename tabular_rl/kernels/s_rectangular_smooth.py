"""One state of an s-rectangular KL or L2 set: sum_a f_a(P_a) <= budget, f_a the relative entropy or the squared Euclidean distance.

Layout as in ``s_rectangular``. Every row moves along its own path p_a(t): the tilt p0 exp(t z), or the projection of p0 + t z onto the
simplex. Against a policy all rows share one multiplier, t_a = policy_a t (Lagrange). Over policies, x_a(u) = min f_a(p) over p.z_a >= u
is convex with slope t_a (KL) or 2 t_a (L2), the value is the largest u with sum_a x_a(u) <= budget, and the policy is proportional to the
t_a there (envelope theorem). Source: drpg spec section 3 (general sets; derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust_rows import S_KL
from tabular_rl.kernels.worst_case_kl import tilt

STEPS = 200


@njit
def evaluate_kl(z, p0, pointer, budget, policy, p):
    """max sum_a policy_a p_a.z_a over sum_a KL(p_a, p0_a) <= budget; p [n] becomes the maximiser. Newton's method on the multiplier."""
    A, origin, size = len(policy), pointer[0], 1.0
    spread, ceiling = 0.0, 0.0  # sum of policy^2 variance; the divergence at which every row stands at its maximum
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        p[start:stop] = p0[start:stop]
        if policy[a] > 0.0:
            top = _top(z, p0, start, stop)
            size = max(size, abs(top))
            mean, square, mass = 0.0, 0.0, 0.0
            for i in range(start, stop):
                if p0[i] > 0.0:
                    mean += p0[i] * (z[i] - top)
                    square += p0[i] * (z[i] - top) ** 2
                    mass += p0[i] if z[i] == top else 0.0
            spread += policy[a] ** 2 * max(square - mean * mean, 0.0)
            ceiling -= np.log(min(mass, 1.0))
    if budget >= ceiling:
        for a in range(A):
            if policy[a] > 0.0:
                _concentrate(z, p0, pointer[a] - origin, pointer[a + 1] - origin, p)
    elif budget > 0.0 and spread > 0.0:
        t, low, high, best = np.sqrt(2.0 * budget / spread), 0.0, np.inf, 0.0
        for _ in range(STEPS):
            entropy, slope = 0.0, 0.0
            for a in range(A):
                start, stop = pointer[a] - origin, pointer[a + 1] - origin
                if policy[a] > 0.0:
                    x, rise = tilt(z[start:stop], p0[start:stop], _top(z, p0, start, stop), policy[a] * t)
                    entropy += x
                    slope += policy[a] * rise
            if entropy <= budget:
                low = best = t
            else:
                high = t
            if abs(budget - entropy) <= 4e-16 * size * t and entropy - budget <= 1e-13 * max(1.0, budget):
                best = t
                break
            after = t + (budget - entropy) / slope if slope > 0.0 else np.inf
            if not (low < after < high):
                after = 2.0 * t if high == np.inf else 0.5 * (low + high)
            if after in (low, high, np.inf):
                break
            t = after
        for a in range(A):
            if policy[a] > 0.0:
                _tilted(z, p0, pointer[a] - origin, pointer[a + 1] - origin, policy[a] * best, p)
    return _value(z, p, pointer, policy)


@njit
def evaluate_l2(z, p0, pointer, radius, policy, p, active):
    """The same over sum_a ||p_a - p0_a||^2 <= radius^2: the elimination of ``worst_ellipsoid``, with the rows' sums kept apart."""
    A, origin = len(policy), pointer[0]
    n, lost = pointer[A] - origin, 0.0
    active[:n] = 1
    while True:
        spread, shifts = 0.0, 0.0
        for a in range(A):
            start, stop = pointer[a] - origin, pointer[a + 1] - origin
            mean, rest, delta, count = _row(z, p0, start, stop, active)
            top = _top_active(z, start, stop, active)
            shifts += delta * delta * count
            for i in range(start, stop):
                if active[i] == 1:
                    spread += (policy[a] * (z[i] - top - mean - rest)) ** 2
        t = np.sqrt(max(radius * radius - lost - shifts, 0.0) / spread) if spread > 0.0 else 0.0
        dropped = 0
        for a in range(A):
            start, stop = pointer[a] - origin, pointer[a + 1] - origin
            gone, away = _move(z, p0, start, stop, policy[a] * t, active, p)
            dropped += gone
            lost += away
        if dropped == 0:
            break
    return _value(z, p, pointer, policy)


@njit
def optimise(code, z, p0, pointer, budget, policy, p, active):
    """min over policies of the worst case: value, ``policy`` [A] and rows ``p`` [n] (both written), by bisection on the value.

    ``budget``: of the divergence, or squared radius. ``active`` [n] is overwritten.
    """
    A, origin = len(policy), pointer[0]
    ceiling, floor, lowest, easiest = np.inf, np.inf, 0, 0
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        top, mean = -np.inf, 0.0
        for i in range(start, stop):
            if p0[i] > 0.0 or code != S_KL:
                top = max(top, z[i])
            mean += p0[i] * z[i]
        if top < ceiling:
            ceiling, lowest = top, a
        if mean < floor:
            floor, easiest = mean, a
    low, high = min(floor, ceiling), ceiling
    if _spend(code, z, p0, pointer, high, policy, p, active) <= budget:
        for a in range(A):
            policy[a] = 1.0 if a == lowest else 0.0
        return high
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if _spend(code, z, p0, pointer, middle, policy, p, active) <= budget:
            low = middle
        else:
            high = middle
    _spend(code, z, p0, pointer, low, policy, p, active)
    total = 0.0
    for a in range(A):
        total += policy[a]
    for a in range(A):
        if total > 0.0:
            policy[a] /= total
        else:
            policy[a] = 1.0 if a == easiest else 0.0
    return low


@njit
def _spend(code, z, p0, pointer, level, times, p, active):
    """sum_a x_a(level); ``times`` [A] become the t_a, ``p`` the rows that reach the level at least cost."""
    spent, origin = 0.0, pointer[0]
    for a in range(len(times)):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        mean = 0.0
        for i in range(start, stop):
            p[i] = p0[i]
            mean += p0[i] * z[i]
        times[a] = 0.0
        if level <= mean:
            continue
        if code == S_KL:
            times[a] = _tilt_to(z, p0, start, stop, level, p)
            for i in range(start, stop):
                if p[i] > 0.0:
                    x = p[i] / p0[i] - 1.0
                    spent += p0[i] * ((1.0 + x) * np.log1p(x) - x)
                else:
                    spent += p0[i]
        else:
            times[a] = _move_to(z, p0, start, stop, level, active, p)
            for i in range(start, stop):
                spent += (p[i] - p0[i]) ** 2
    return spent


@njit
def _tilt_to(z, p0, start, stop, level, p):
    """t with mean z = level under the tilt, which becomes p; infinite where that is the maximum."""
    top = _top(z, p0, start, stop)
    if level >= top:
        _concentrate(z, p0, start, stop, p)
        return np.inf
    t, low, high = 0.0, 0.0, np.inf
    for _ in range(STEPS):
        mass, mean, square = 0.0, 0.0, 0.0
        for i in range(start, stop):
            if p0[i] > 0.0:
                weight = p0[i] * np.exp(t * (z[i] - top))
                mass += weight
                mean += weight * (z[i] - top)
                square += weight * (z[i] - top) ** 2
        mean, square = mean / mass, square / mass
        if mean < level - top:
            low = t
        else:
            high = t
        slope = square - mean * mean
        after = t + (level - top - mean) / slope if slope > 0.0 else np.inf
        if not (low < after < high):
            after = max(2.0 * t, 1.0) if high == np.inf else 0.5 * (low + high)
        if after in (low, high, t, np.inf):
            break
        t = after
    _tilted(z, p0, start, stop, t, p)
    return t


@njit
def _move_to(z, p0, start, stop, level, active, p):
    """t where the projection p of p0 + t z has mean z = level; infinite where that is the maximum."""
    active[start:stop] = 1
    while True:
        mean, rest, delta, _ = _row(z, p0, start, stop, active)
        top = _top_active(z, start, stop, active)
        spread, reached = 0.0, 0.0
        for i in range(start, stop):
            if active[i] == 1:
                spread += (z[i] - top - mean - rest) ** 2
                reached += (p0[i] - delta) * (z[i] - top)
        t = max((level - top - reached) / spread, 0.0) if spread > 0.0 else 0.0
        gone, _ = _move(z, p0, start, stop, t, active, p)
        if gone == 0:
            return t if spread > 0.0 else np.inf


@njit
def _row(z, p0, start, stop, active):
    """(mean, its rest, delta, count) of the active states of a row, z counted from the largest active one."""
    outside, mean, rest, count, top = 0.0, 0.0, 0.0, 0, _top_active(z, start, stop, active)
    for i in range(start, stop):
        if active[i] == 1:
            count += 1
            mean += z[i] - top
        else:
            outside += p0[i]
    mean /= count
    for i in range(start, stop):
        if active[i] == 1:
            rest += z[i] - top - mean
    return mean, rest / count, -outside / count, count


@njit
def _move(z, p0, start, stop, t, active, p):
    """p = p0 + t (z - mean) - delta on the active states; those below 0 are dropped: (how many, sum of their p0^2)."""
    mean, rest, delta, _ = _row(z, p0, start, stop, active)
    top, gone, away = _top_active(z, start, stop, active), 0, 0.0
    for i in range(start, stop):
        p[i] = 0.0
        if active[i] == 1:
            p[i] = p0[i] + (t * (z[i] - top - mean - rest) - delta)
            if p[i] < 0.0:
                p[i], active[i] = 0.0, 0
                gone += 1
                away += p0[i] ** 2
    return gone, away


@njit
def _top(z, p0, start, stop):
    top = -np.inf
    for i in range(start, stop):
        if p0[i] > 0.0:
            top = max(top, z[i])
    return top


@njit
def _top_active(z, start, stop, active):
    top = -np.inf
    for i in range(start, stop):
        if active[i] == 1:
            top = max(top, z[i])
    return top


@njit
def _concentrate(z, p0, start, stop, p):
    """p = p0 given that z is largest."""
    top, mass = _top(z, p0, start, stop), 0.0
    for i in range(start, stop):
        mass += p0[i] if z[i] == top else 0.0
    for i in range(start, stop):
        p[i] = p0[i] / mass if z[i] == top else 0.0


@njit
def _tilted(z, p0, start, stop, t, p):
    top, mass = _top(z, p0, start, stop), 0.0
    for i in range(start, stop):
        p[i] = p0[i] * np.exp(t * (z[i] - top)) if p0[i] > 0.0 else 0.0
        mass += p[i]
    for i in range(start, stop):
        p[i] /= mass


@njit
def _value(z, p, pointer, policy):
    total = 0.0
    for a in range(len(policy)):
        mean = 0.0
        for i in range(pointer[a] - pointer[0], pointer[a + 1] - pointer[0]):
            mean += p[i] * z[i]
        total += policy[a] * mean
    return total
