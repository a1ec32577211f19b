"""Marginal gains of set functions, one element at a time, without allocation.

An objective is the tuple (code, scalars, offsets, items, entries, weights, matrix) that ``tabular_rl.submodular`` packs; a workspace is
the tuple (seen, stamp, level, factor, picked, held) of ``workspace``. Trajectories are told apart by a number t > 0 that grows: what
carries another stamp than t is as good as cleared. ``gain`` counts a repeated element as one more copy; ``collect`` adds the rule of
sets, that a revisit gains nothing (subpo spec, sections 2 and 8).

    code           scalars            offsets, items        entries            weights          matrix
    COVERAGE                          item lists of e                          w[u]
    TRUNCATED                         items[e] = group, -1                     cap[k]
    SOFT           beta               item lists of e                          w[u]
    FACILITY                                                                   w[u]             similarity [n, U]
    CONCAVE        form of phi        item lists of e       m of each item     w[u]             knots [k, 3] of phi: x, y, slope
    GAUSSIAN       noise, offset                                                                kernel [n, n]
    MIXTURE        c                  item lists of e       modular weights    w[u]
    CUT                                                     row sums           (empty)          weights [n, n]
    COUNT_SQUARED
    TABULATED                                                                  F [2^n]
"""

import numpy as np

from tabular_rl.kernels.compiling import njit

COVERAGE, TRUNCATED, SOFT, FACILITY, CONCAVE, GAUSSIAN, MIXTURE, CUT, COUNT_SQUARED, TABULATED = range(10)
SQRT, LOG1P, SATURATING, PIECEWISE = range(4)


@njit
def workspace(objective, n, length):
    """Room for the histories of at most ``length`` elements of a ground set of ``n`` (n the number of elements that can be collected)."""
    code, weights = objective[0], objective[5]
    universe = len(weights) if code != TABULATED else 0
    square = length if code == GAUSSIAN else 0
    seen, stamp, level = np.zeros(n, np.int64), np.zeros(max(n, universe), np.int64), np.zeros(universe)
    return seen, stamp, level, np.zeros((square, square)), np.zeros(length, np.int64), np.zeros(2, np.int64)


@njit
def begin(objective, work):
    """Forget the history."""
    code, level = objective[0], work[2]
    work[5][:] = 0
    if code in (TRUNCATED, FACILITY):
        level[:] = 0.0


@njit
def collect(objective, work, e, t, repeats):
    """Gain of visiting element ``e`` (-1: nothing there) in trajectory ``t``, and remember it."""
    if e < 0:
        return 0.0
    seen = work[0]
    if not repeats:
        if seen[e] == t:
            return 0.0
        seen[e] = t
    return gain(objective, work, e, t, True)


@njit
def peek(objective, work, e, t, repeats):
    """The same gain, and the history stays as it is."""
    if e < 0 or (not repeats and work[0][e] == t):
        return 0.0
    return gain(objective, work, e, t, False)


@njit
def gain(objective, work, e, t, keep):
    """F(history and e) - F(history); with ``keep`` e becomes part of the history."""
    code, scalars, offsets, items, entries, weights, matrix = objective
    _, stamp, level, factor, picked, held = work
    total = 0.0
    if code in (COVERAGE, MIXTURE):
        for i in range(offsets[e], offsets[e + 1]):
            u = items[i]
            if stamp[u] != t:
                total += weights[u]
                if keep:
                    stamp[u] = t
        if code == MIXTURE:
            total = (1 - scalars[0]) * entries[e] + scalars[0] * total
    elif code == TRUNCATED:
        k = items[e]
        if k >= 0 and stamp[e] != t:
            total = max(0.0, min(1.0, weights[k] - level[k]))
            if keep:
                stamp[e] = t
                level[k] += 1
    elif code == SOFT:
        for i in range(offsets[e], offsets[e + 1]):
            u = items[i]
            present = level[u] if stamp[u] == t else 1.0
            total += weights[u] * present
            if keep:
                stamp[u], level[u] = t, scalars[0] * present
    elif code == FACILITY:
        for u in range(len(weights)):
            more = matrix[e, u] - level[u]
            if more > 0:
                total += weights[u] * more
                if keep:
                    level[u] = matrix[e, u]
    elif code == CONCAVE:
        for i in range(offsets[e], offsets[e + 1]):
            u = items[i]
            present = level[u] if stamp[u] == t else 0.0
            total += weights[u] * (concave(scalars, matrix, present + entries[i]) - concave(scalars, matrix, present))
            if keep:
                stamp[u], level[u] = t, present + entries[i]
    elif code == GAUSSIAN:
        total = gaussian_gain(scalars, matrix, factor, picked, held[0], e)
    elif code == CUT:
        total = entries[e]
        for i in range(held[0]):
            total -= 2 * matrix[picked[i], e]
    elif code == COUNT_SQUARED:
        total = 2.0 * held[0] + 1
    elif code == TABULATED:
        mask = held[1] | (1 << e)
        total = weights[mask] - weights[held[1]]
        if keep:
            held[1] = mask
    if keep:
        picked[held[0]] = e
        held[0] += 1
    return total


@njit
def gaussian_gain(scalars, kernel, factor, picked, held, e):
    """log(v) / 2 + offset with v the variance of ``e`` given the history, noise included: one more row of a Cholesky factor, O(held^2)."""
    noise, offset = scalars[0], scalars[1]
    row = factor[held]
    variance = kernel[e, e] + noise
    for j in range(held):
        rest = kernel[e, picked[j]]
        before = factor[j]
        for k in range(j):
            rest -= before[k] * row[k]
        rest /= before[j]
        row[j] = rest
        variance -= rest * rest
    variance = max(variance, noise)
    row[held] = np.sqrt(variance)
    return 0.5 * np.log(variance) + offset


@njit
def concave(scalars, knots, x):
    """phi(x) for x >= 0."""
    form = int(scalars[0])
    if form == SQRT:
        return np.sqrt(x)
    if form == LOG1P:
        return np.log1p(x)
    if form == SATURATING:
        return -np.expm1(-x)
    low, high = 0, len(knots) - 1
    while low < high:  # the last knot that is not beyond x
        middle = (low + high + 1) // 2
        if knots[middle, 0] <= x:
            low = middle
        else:
            high = middle - 1
    return knots[low, 1] + knots[low, 2] * (x - knots[low, 0])


@njit
def path_gains(objective, paths, repeats, n, gains):
    """Fill ``gains`` [m, L] of the element sequences ``paths`` [m, L] (-1: nothing)."""
    work = workspace(objective, n, paths.shape[1])
    for i in range(len(paths)):
        begin(objective, work)
        for j in range(paths.shape[1]):
            gains[i, j] = collect(objective, work, paths[i, j], i + 1, repeats)


@njit
def table(objective, types, n, values):
    """Fill ``values`` [2^m]: F of every subset of m elements, the j-th a copy of element ``types[j]`` of the objective's ``n``."""
    m = len(types)
    work = workspace(objective, n, m)
    for mask in range(1, len(values)):
        begin(objective, work)
        total = 0.0
        for j in range(m):
            if mask >> j & 1:
                total += gain(objective, work, types[j], mask, True)
        values[mask] = total
    values[0] = 0.0
