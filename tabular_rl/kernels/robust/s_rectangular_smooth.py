"""One state of an s-rectangular KL or L2 set: sum_a f_a(P_a) <= budget, f_a the relative entropy or the squared Euclidean distance.

Layout as in ``s_rectangular``. Every row moves along its own path p_a(t): the tilt p0 exp(t z), or the projection of p0 + t z onto the
simplex. Against a policy all rows share one multiplier, t_a = policy_a t (Lagrange). Over policies, x_a(u) = min f_a(p) over p.z_a >= u
is convex with slope t_a (KL) or 2 t_a (L2), the value is the largest u with sum_a x_a(u) <= budget, and the policy is proportional to the
t_a there (envelope theorem). Source: drpg spec section 3 (general sets; derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust import worst_case_kl as kl
from tabular_rl.kernels.robust.rows import S_KL


@njit
def evaluate_kl(z, p0, pointer, budget, policy, p):
    """max sum_a policy_a p_a.z_a over sum_a KL(p_a, p0_a) <= budget; p [n] becomes the maximizer. Newton's method on the multiplier."""
    A, origin, size = len(policy), pointer[0], 0.0
    mean, spread, ceiling = 0.0, 0.0, 0.0  # of policy z, policy^2 variance; the divergence at which every row stands at its maximum
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        for i in range(start, stop):
            p[i] = p0[i]
        if policy[a] > 0.0:
            _, largest, mass, of_row, square = kl.row_moments(z[start:stop], p0[start:stop])
            size = max(size, largest)
            mean += policy[a] * of_row
            spread += policy[a] ** 2 * square
            ceiling -= np.log(mass)
    low = kl.lower_end(budget, mean)
    best = low if budget < ceiling else np.inf
    if budget == 0.0 or mean == 0.0 or (low == np.inf and budget < ceiling):
        return _value(z, p, pointer, policy)
    if budget < ceiling:
        t, high = max(np.sqrt(2.0 * budget) / np.sqrt(spread), low) if spread > 0.0 else low, np.inf
        for step in range(kl.STEPS):
            entropy, slope = 0.0, 0.0
            for a in range(A):
                start, stop = pointer[a] - origin, pointer[a + 1] - origin
                if policy[a] > 0.0:
                    x, _, variance = kl.tilt(z[start:stop], p0[start:stop], _top(z, p0, start, stop), policy[a] * t)
                    entropy += x
                    slope += variance
            if entropy <= budget:
                low = best = t
            else:
                high = t
            if abs(budget - entropy) <= kl.PRECISION * size * t and entropy - budget <= 1e-13 * max(1.0, budget):
                best = t
                break
            after = kl.next_point(t, low, high, t + t * ((budget - entropy) / slope), step)
            if after in (low, high, t):
                break
            t = after
    for a in range(A):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        if policy[a] > 0.0:
            kl.tilted(z[start:stop], p0[start:stop], policy[a] * best, p[start:stop])
    return _value(z, p, pointer, policy)


@njit
def evaluate_l2(z, p0, pointer, radius, policy, p, active):
    """The same over sum_a ||p_a - p0_a||^2 <= radius^2: the elimination of ``worst_ellipsoid``, with the rows' sums kept apart."""
    A, origin = len(policy), pointer[0]
    n, lost = pointer[A] - origin, 0.0
    for i in range(n):
        active[i] = 1
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
def optimize(code, z, p0, pointer, budget, policy, p, active):
    """min over policies of the worst case: value, ``policy`` [A] and rows ``p`` [n] (both written). Newton's method on the value.

    ``budget``: of the divergence, or squared radius. A row of infinite z: an action that the state lacks. ``active`` [n] is overwritten.
    """
    A, origin, size = len(policy), pointer[0], 0.0
    ceiling, floor, lowest, easiest = np.inf, np.inf, 0, 0
    for a in range(A):
        policy[a] = 0.0
        if z[pointer[a] - origin] == np.inf:
            continue
        top, mean, largest = _range(code, z, p0, pointer[a] - origin, pointer[a + 1] - origin)
        size = max(size, largest)
        if top < ceiling:
            ceiling, lowest = top, a
        if top + mean < floor:
            floor, easiest = top + mean, a
    low, high = min(floor, ceiling), ceiling
    spent, _ = _spend(code, z, p0, pointer, high, policy, p, active)
    if spent <= budget:
        for a in range(A):
            policy[a] = 1.0 if a == lowest else 0.0
        return high
    step, level = 0, low + 0.5 * (high - low)
    while low < level < high:
        spent, slope = _spend(code, z, p0, pointer, level, policy, p, active)
        if spent <= budget:
            low = level
        else:
            high = level
        if abs(budget - spent) <= kl.PRECISION * size * slope and spent - budget <= 1e-13 * max(1.0, budget):
            low = level
            break
        step += 1
        level += (budget - spent) / slope
        if not (low < level < high) or step % kl.BISECTION == 0:
            level = low + 0.5 * (high - low)
    if level != low:
        _spend(code, z, p0, pointer, low, policy, p, active)
    total, most = 0.0, 0.0
    for a in range(A):
        most = max(most, policy[a])
    for a in range(A):
        policy[a] = policy[a] / most if most < np.inf else (1.0 if policy[a] == np.inf else 0.0)
        total += policy[a]
    for a in range(A):
        if most > 0.0:
            policy[a] /= total
        else:
            policy[a] = 1.0 if a == easiest else 0.0
    return low


@njit
def _range(code, z, p0, start, stop):
    """(max z, nominal mean of z - max z, max |z|) of a row, of a KL set on its support."""
    top, mean, size = -np.inf, 0.0, 0.0
    for i in range(start, stop):
        if p0[i] > 0.0 or code != S_KL:
            top, size = max(top, z[i]), max(size, abs(z[i]))
    for i in range(start, stop):
        if p0[i] > 0.0:
            mean += p0[i] * (z[i] - top)
    return top, mean, size


@njit
def _spend(code, z, p0, pointer, level, times, p, active):
    """(sum_a x_a(level), its derivative); ``times`` [A] become the t_a (at first 0 or where to start), ``p`` the rows that reach the
    level at least cost."""
    spent, slope, origin = 0.0, 0.0, pointer[0]
    for a in range(len(times)):
        start, stop = pointer[a] - origin, pointer[a + 1] - origin
        for i in range(start, stop):
            p[i] = p0[i]
        if z[start] == np.inf:
            times[a] = 0.0
            continue
        top, mean, _ = _range(code, z, p0, start, stop)
        if level - top <= mean:
            times[a] = 0.0
        elif code == S_KL:
            times[a], x = _tilt_to(z[start:stop], p0[start:stop], level, times[a], p[start:stop])
            spent += x
            slope += times[a]
        else:
            times[a] = _move_to(z, p0, start, stop, level, active, p)
            for i in range(start, stop):
                spent += (p[i] - p0[i]) ** 2
            slope += 2.0 * times[a]
    return spent, slope


@njit
def _tilt_to(z, p0, level, guess, p):
    """(t, divergence) of the tilt with mean z = level, above the nominal mean; it becomes p. t is infinite where that is the maximum.

    The variance is at most a quarter of the squared range: that is where t is at least (derived), and Newton's bracket begins.
    """
    top, _, mass, mean, square = kl.row_moments(z, p0)
    need, width, t = level - top, 0.0, np.inf
    for i in range(len(z)):
        if p0[i] > 0.0:
            width = max(width, top - z[i])
    entropy = -np.log(mass)
    if need < 0.0:
        low, high = max(4.0 * ((need - mean) / width) / width, 5e-324), np.inf
        t = guess if low < guess < np.inf else max((need - mean) / square, low) if square > 0.0 else low
        for step in range(kl.STEPS):
            entropy, first, variance = kl.tilt(z, p0, top, t)
            reached = first / t
            if reached < need:
                low = t
            else:
                high = t
            if abs(reached - need) <= 1e-16 * width:
                break
            after = kl.next_point(t, low, high, t + t * ((need - reached) * t / variance), step)
            if after in (low, high, t):
                break
            t = after
    kl.tilted(z, p0, t, p)
    return t, entropy


@njit
def _move_to(z, p0, start, stop, level, active, p):
    """t where the projection p of p0 + t z has mean z = level; infinite where that is the maximum."""
    for i in range(start, stop):
        active[i] = 1
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
def _value(z, p, pointer, policy):
    total = 0.0
    for a in range(len(policy)):
        mean = 0.0
        for i in range(pointer[a] - pointer[0], pointer[a + 1] - pointer[0]):
            mean += p[i] * z[i]
        total += policy[a] * mean
    return total
