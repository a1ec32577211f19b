"""Mirror steps in relative entropy on the occupancy measures of all transitions of a confidence set: one smooth convex dual.

    x = argmin KL(x || w)   over x[h,s,a,t] >= 0 with   sum_{a,t} x[0,s,a,t] = initial[s],
                            sum_{a,t} x[h,s,a,t] = sum_{r,b} x[h-1,r,b,s],   low <= x[h,s,a,t] / sum_t x[h,s,a,t] <= high
    (the last step has no successor: there x is [S, A], and so is w)

With multipliers v[1..H-1] of the flow, v[0] = v[H] = 0, the box constraints separate into rows. Each row has the closed form

    c[h,s,a](v) = min_p  sum_t p[t] (log(p[t] / w[h,s,a,t]) + v[h+1,t])        p a distribution with low <= p <= high
    p[t]        = w[h,s,a,t] exp(-v[h+1,t]) times a common factor, cut to [low, high]

and q = sum_t x is proportional to exp(v[h,s] - c[h,s,a]), in every layer (in every state of layer 0). The v minimize the sum of the
log-normalizers, convex, and its gradient, the flow residual, is piecewise smooth: damped semismooth Newton steps. As q
and p solve their own problems exactly, x is the exact solution of the program whose flow constraints are off by that residual.
With low = high it is ``flow_projection``. Source: UOB-REPS (Jin, Jin, Luo, Sra, Yu 2020), whose dual keeps two multipliers per
(h, s, a, t); their elimination is derived here.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.flow_projection import descends, flow_hessian, flow_residual, newton_direction
from tabular_rl.kernels.ordering import argsort

FLOOR = -600.0  # logarithm of the least weight: what a set has excluded may come back in the next one


@njit
def corners(estimate, radius, low, high):
    """Fill the box [``low``, ``high``] of every row, both [H, S, A, S]."""
    H, S, A, _ = estimate.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                for t in range(S):
                    low[h, s, a, t] = max(0.0, estimate[h, s, a, t] - radius[h, s, a, t])
                    high[h, s, a, t] = min(1.0, estimate[h, s, a, t] + radius[h, s, a, t])


@njit
def confidence_step(low, high, initial, log_weights, log_moves, v, log_q, moves, tolerance, max_steps):
    """Fill ``log_q`` [H, S, A] and the rows ``moves`` [H, S, A, S] of the projection of w = exp(log_weights + log_moves).

    ``log_q`` comes in as 0 in the states that can be reached, -inf in the others (``reachable_cells`` of ``high``). ``v`` [H + 1, S] is
    where Newton's method begins (zeros, or the last solution's), and ends: when no entry of the flow residual exceeds ``tolerance``,
    after ``max_steps``, or when rounding allows no more descent. Where it fails it begins again and raises w to w by powers.
    Returns (steps, largest residual left). O(H S^2 (A log S + S)) flops per step.
    """
    H, S, A = log_weights.shape
    weights, rows, largest = np.empty((H, S, A)), np.zeros((H, S, A, S)), 0.0
    for h in range(H):
        for s in range(S):
            for a in range(A):
                weights[h, s, a] = -np.inf
                if log_q[h, s, a] > -np.inf:
                    weights[h, s, a] = FLOOR if log_weights[h, s, a] == -np.inf else log_weights[h, s, a]
                    largest = max(largest, abs(weights[h, s, a]))
                if h + 1 < H:
                    for t in range(S):
                        rows[h, s, a, t] = max(log_moves[h, s, a, t], FLOOR)
                        largest = max(largest, abs(rows[h, s, a, t]))
    steps, residual = _newton(low, high, initial, weights, rows, 1.0, v, log_q, moves, tolerance, max_steps)
    parts = int(np.ceil(largest / 5))
    if residual > tolerance and parts > 1:
        v.fill(0.0)
        for part in range(1, parts + 1):
            more, again = _newton(low, high, initial, weights, rows, part / parts, v, log_q, moves, tolerance, max_steps)
            steps, residual = steps + more, again
    return steps, residual


@njit
def _newton(low, high, initial, weights, log_moves, power, v, log_q, moves, tolerance, max_steps):
    """(Steps, residual left) of the projection of w to this ``power``, from ``v`` on."""
    H, S, A = weights.shape
    n = (H - 1) * S
    gradient, step, hessian = np.empty((H, S)), np.empty(n), np.empty((n, n))
    q, trial, free = np.empty((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S, A, S), np.bool_)
    dual, residual = _dual(low, high, initial, weights, log_moves, power, v, log_q, q, moves, free, gradient)
    steps = 0
    while residual > tolerance and steps < max_steps:
        flow_hessian(moves, initial, q, hessian)
        _row_curvature(q, moves, free, hessian)
        slope, length = newton_direction(gradient, hessian, step)
        before, moved = residual, False
        for _ in range(40):
            for i in range(n):
                trial[1 + i // S, i % S] = v[1 + i // S, i % S] + length * step[i]
            new, residual = _dual(low, high, initial, weights, log_moves, power, trial, log_q, q, moves, free, gradient)
            if descends(new, dual, length * slope, residual, before):
                moved = True
                break
            length *= 0.5
        steps += 1
        if not moved:
            _, residual = _dual(low, high, initial, weights, log_moves, power, v, log_q, q, moves, free, gradient)
            break
        dual = new
        v[1:H] = trial[1:H]
    return steps, residual


@njit
def _dual(low, high, initial, weights, log_moves, power, v, log_q, q, moves, free, gradient):
    """(The sum of log-normalizers at ``v``, the largest flow residual); fill all the rest."""
    H, S, A = weights.shape
    dual, residual = 0.0, 0.0
    tilted, points, order, spare = np.empty(S), np.empty(2 * S), np.empty(2 * S, np.int64), np.empty(2 * S, np.int64)
    gradient.fill(0.0)
    for h in range(H):
        for s in range(S):
            for a in range(A):
                x = power * weights[h, s, a] + v[h, s]
                if h + 1 < H:
                    for t in range(S):
                        tilted[t] = power * log_moves[h, s, a, t] - v[h + 1, t]
                    x -= nearest_row(low[h, s, a], high[h, s, a], tilted, moves[h, s, a], free[h, s, a], points, order, spare)
                log_q[h, s, a] = x
        normalizer, left = flow_residual(h, moves[h], initial, log_q, q, gradient)
        dual, residual = dual + normalizer, max(residual, left)
    return dual, residual


@njit
def nearest_row(low, high, log_g, p, free, points, order, spare):
    """min KL(p || exp(log_g)) over the distributions p with low <= p <= high, and that p; ``free``: where it is cut on neither side.

    p[t] = exp(log_g[t] + f) cut to [low, high]; its sum increases in f, and between two of the 2 S values of f where an entry meets a
    bound it is a constant plus a multiple of exp(f): a search among those values, then a logarithm. ``points``, ``order``, ``spare``
    [2 S] are work space.
    """
    S = len(p)
    for t in range(S):
        points[t] = np.log(low[t]) - log_g[t] if low[t] > 0.0 else -np.inf
        points[S + t] = np.log(high[t]) - log_g[t] if high[t] > 0.0 else -np.inf
    argsort(points, 2 * S, order, spare)
    first, last = 0, 2 * S - 1  # the sum is at most 1 at the first value, at least 1 at the last, up to rounding
    while last - first > 1:
        middle = (first + last) // 2
        f, total = points[order[middle]], 0.0
        for t in range(S):
            total += _cut(f, log_g[t], low[t], high[t], points[t], points[S + t])
        if total <= 1.0:
            first = middle
        else:
            last = middle
    start, stop = points[order[first]], points[order[last]]
    fixed, top, mass = 0.0, -np.inf, 0.0
    for t in range(S):
        free[t] = points[t] <= start and points[S + t] >= stop and points[t] < points[S + t]
        if free[t]:
            top = max(top, log_g[t])
        else:
            p[t] = low[t] if points[t] >= stop else high[t]
            fixed += p[t]
    for t in range(S):
        if free[t]:
            mass += np.exp(log_g[t] - top)
    f = start
    if mass > 0.0:
        f = min(max(np.log(max(1.0 - fixed, 1e-300)) - top - np.log(mass), start), stop)
    distance = 0.0
    for t in range(S):
        if free[t]:
            p[t] = min(max(np.exp(f + log_g[t]), low[t]), high[t])
            distance += p[t] * f
        elif p[t] > 0.0:
            distance += p[t] * (np.log(p[t]) - log_g[t])
    return distance


@njit
def _cut(f, log_g, low, high, enters, leaves):
    if f <= enters:
        return low
    return high if f >= leaves else np.exp(f + log_g)


@njit
def _row_curvature(q, moves, free, hessian):
    """Add what the rows' change with v adds: q (diag(p) - p p^T / sum p) over the entries that are free."""
    H, S, A = q.shape
    for h in range(H - 1):
        for s in range(S):
            for a in range(A):
                mass = 0.0
                for t in range(S):
                    if free[h, s, a, t]:
                        mass += moves[h, s, a, t]
                if mass > 0.0 and q[h, s, a] > 0.0:
                    for t in range(S):
                        if free[h, s, a, t]:
                            weight = q[h, s, a] * moves[h, s, a, t]
                            hessian[h * S + t, h * S + t] += weight
                            for u in range(S):
                                if free[h, s, a, u]:
                                    hessian[h * S + t, h * S + u] -= weight * moves[h, s, a, u] / mass
