"""Marginal gains of set functions, one element at a time, allocation-free.

Trajectories are told apart by a number t > 0 that grows: what carries another stamp than t is as good as cleared. ``gain`` counts a
repeated element as one more copy; ``visit`` adds the rule of sets, that a revisit gains nothing (subpo spec, sections 2 and 8).

    code           scalars            offsets, items        entries            weights          matrix
    COVERAGE                          item lists of e                          w[u]
    TRUNCATED                         items[e] = group, -1                     cap[k]
    SOFT           beta               item lists of e                          w[u]
    FACILITY                                                                   w[u]             similarity [n, U]
    CONCAVE        form of phi        item lists of e       m of each item     w[u]             knots [k, 3] of phi: x, y, slope
    GAUSSIAN       noise, offset                                                                kernel [n, n]
    LOW_RANK                                                                                    x [n, d], features / sqrt(noise)
    MIXTURE        c                  item lists of e       modular weights    w[u]
    CUT                                                     row sums           (empty)          weights [n, n]
    COUNT_SQUARED
    TABULATED                                                                  F [2^n]
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.linear.ridge import invert, update_direction

COVERAGE, TRUNCATED, SOFT, FACILITY, CONCAVE, GAUSSIAN, LOW_RANK, MIXTURE, CUT, COUNT_SQUARED, TABULATED = range(11)
SQRT, LOG1P, SATURATING, PIECEWISE = range(4)
REFRESH = 50  # elements after which the inverse of LOW_RANK is computed anew, against drift


class Function(NamedTuple):
    """A set function, as the table above says; ``tabular_rl.submodular`` packs it."""

    code: Any
    scalars: Any
    offsets: Any
    items: Any
    entries: Any
    weights: Any
    matrix: Any


class History(NamedTuple):
    """Room for what a trajectory has collected.

    ``stamps`` [2, n or U]: the last trajectory that collected the element, and that met the item; ``level`` [U]: how far the item is;
    ``factor``: of GAUSSIAN and LOW_RANK; ``picked`` [L + 2]: how many elements there are, their bit mask, and the elements.
    """

    stamps: Any
    level: Any
    factor: Any
    picked: Any


@njit
def workspace(objective, n, length):
    """A History of at most ``length`` elements of a ground set of ``n`` (the number of elements that can be collected)."""
    code, weights, matrix = objective.code, objective.weights, objective.matrix
    universe = len(weights) if code != TABULATED else 0
    rows = columns = 0
    if code == GAUSSIAN:
        rows = columns = length
    elif code == LOW_RANK:
        rows, columns = 2 * matrix.shape[1] + 1, matrix.shape[1]
    stamps, picked = np.zeros((2, max(n, universe)), np.int64), np.zeros(length + 2, np.int64)
    return History(stamps, np.zeros(universe), np.zeros((rows, columns)), picked)


@njit
def begin(objective, work):
    """Forget the history."""
    work.picked[0], work.picked[1] = 0, 0
    if objective.code in (TRUNCATED, FACILITY):
        for u in range(len(work.level)):
            work.level[u] = 0.0


@njit
def visit(objective, work, e, t, repeats, keep):
    """Gain of visiting element ``e`` (-1: nothing there) in trajectory ``t``; with ``keep`` it becomes part of the history."""
    if e < 0 or (not repeats and work.stamps[0, e] == t):
        return 0.0
    if keep:
        work.stamps[0, e] = t
    return gain(objective, work, e, t, keep)


@njit
def gain(objective, work, e, t, keep):
    """F(history and e) - F(history); with ``keep`` e becomes part of the history."""
    code, picked, total = objective.code, work.picked, 0.0  # only what a branch needs is taken out of the tuples: each array costs atomics
    if code == COVERAGE:
        total = cover(objective.offsets, objective.items, objective.weights, work.stamps, e, t, keep)
    elif code == MIXTURE:
        c = objective.scalars[0]
        covered = cover(objective.offsets, objective.items, objective.weights, work.stamps, e, t, keep)
        total = (1 - c) * objective.entries[e] + c * covered
    elif code == TRUNCATED:
        total = take(objective.items, objective.weights, work.stamps, work.level, e, t, keep)
    elif code == SOFT:
        total = repeat(objective, work, e, t, keep)
    elif code == FACILITY:
        total = improve(objective.matrix, objective.weights, work.level, e, keep)
    elif code == CONCAVE:
        total = amass(objective, work, e, t, keep)
    elif code == GAUSSIAN:
        total = gaussian_gain(objective.scalars, objective.matrix, work.factor, picked, e)
    elif code == LOW_RANK:
        total = low_rank_gain(objective.matrix, work.factor, picked, e, keep)
    elif code == CUT:
        matrix, total = objective.matrix, objective.entries[e]
        for i in range(picked[0]):
            total -= 2 * matrix[picked[2 + i], e]
    elif code == COUNT_SQUARED:
        total = 2.0 * picked[0] + 1
    elif code == TABULATED:
        table = objective.weights
        total = table[picked[1] | (1 << e)] - table[picked[1]]
        if keep:
            picked[1] |= 1 << e
    if keep:
        picked[2 + picked[0]] = e
        picked[0] += 1
    return total


@njit
def cover(offsets, items, weights, stamps, e, t, keep):
    """Weight of the items of ``e`` that are not covered yet."""
    total = 0.0
    for i in range(offsets[e], offsets[e + 1]):
        u = items[i]
        if stamps[1, u] != t:
            total += weights[u]
            if keep:
                stamps[1, u] = t
    return total


@njit
def take(items, caps, stamps, level, e, t, keep):
    """1 if the group of ``e`` has room for it and ``e`` is new; ``level`` counts the group."""
    k = items[e]
    if k < 0 or stamps[1, e] == t:
        return 0.0
    gain = max(0.0, min(1.0, caps[k] - level[k]))
    if keep:
        stamps[1, e] = t
        level[k] += 1
    return gain


@njit
def repeat(objective, work, e, t, keep):
    """Weight of the items of ``e``, each times beta for every earlier element that covers it."""
    offsets, items, weights, stamps, level = objective.offsets, objective.items, objective.weights, work.stamps, work.level
    beta, total = objective.scalars[0], 0.0
    for i in range(offsets[e], offsets[e + 1]):
        u = items[i]
        present = level[u] if stamps[1, u] == t else 1.0
        total += weights[u] * present
        if keep:
            stamps[1, u], level[u] = t, beta * present
    return total


@njit
def improve(similarity, weights, level, e, keep):
    """By how much ``e`` exceeds the largest similarity so far, ``level`` [U], weighted."""
    total = 0.0
    for u in range(len(weights)):
        more = similarity[e, u] - level[u]
        if more > 0:
            total += weights[u] * more
            if keep:
                level[u] = similarity[e, u]
    return total


@njit
def amass(objective, work, e, t, keep):
    """Weighted growth of phi at the amounts so far, ``level`` [U], by what ``e`` adds to them."""
    offsets, items, entries, weights = objective.offsets, objective.items, objective.entries, objective.weights
    scalars, knots, stamps, level, total = objective.scalars, objective.matrix, work.stamps, work.level, 0.0
    for i in range(offsets[e], offsets[e + 1]):
        u = items[i]
        present = level[u] if stamps[1, u] == t else 0.0
        total += weights[u] * (concave(scalars, knots, present + entries[i]) - concave(scalars, knots, present))
        if keep:
            stamps[1, u], level[u] = t, present + entries[i]
    return total


@njit_sums
def gaussian_gain(scalars, kernel, factor, picked, e):
    """log(v) / 2 + offset with v the variance of ``e`` given the history, noise included: one more row of a Cholesky factor, O(held^2)."""
    noise, offset, held = scalars[0], scalars[1], picked[0]
    variance = kernel[e, e] + noise
    for j in range(held):
        rest = kernel[e, picked[2 + j]]
        for k in range(j):
            rest -= factor[j, k] * factor[held, k]
        rest *= factor[j, j]
        factor[held, j] = rest
        variance -= rest * rest
    variance = max(variance, noise)
    factor[held, held] = 1 / np.sqrt(variance)  # the diagonal is kept inverted: a tenth of the time
    return 0.5 * np.log(variance) + offset


@njit
def low_rank_gain(x, factor, picked, e, keep):
    """log(1 + x^T M x) / 2, M = (I + sum of x x^T over the history)^-1 in the first d rows of ``factor``: O(d^2), however long it is."""
    d, held = x.shape[1], picked[0]
    inverse, gram, direction = factor[:d], factor[d : 2 * d], factor[2 * d]
    if held == 0 or (held % REFRESH == 0 and keep):
        gram[:] = 0.0
        for i in range(d):
            gram[i, i] = 1.0
            for k in range(held):
                for j in range(d):
                    gram[i, j] += x[picked[2 + k], i] * x[picked[2 + k], j]
        invert(gram, inverse)
    c = update_direction(x[e], inverse, direction)
    if keep:
        for i in range(d):
            for j in range(d):
                inverse[i, j] -= direction[i] * direction[j] / c
    return 0.5 * np.log(c)


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
def follow(objective, work, path, t, repeats, gains):
    """Fill ``gains`` [L] along the elements ``path`` [L] (-1: nothing) of trajectory ``t``."""
    code, scalars, offsets, items, _, weights, matrix = objective
    stamps, level, factor, picked = work
    begin(objective, work)
    if code in (COVERAGE, TRUNCATED):  # loops of their own: two to five times faster than with the call below
        for j in range(len(path)):
            gains[j] = 0.0
            e = path[j]
            if e >= 0 and stamps[0, e] != t:  # a repeated element gains nothing, copy or not
                stamps[0, e] = t
                if code == COVERAGE:
                    gains[j] = cover(offsets, items, weights, stamps, e, t, True)
                else:
                    gains[j] = take(items, weights, stamps, level, e, t, True)
        return
    if code in (GAUSSIAN, LOW_RANK):
        for j in range(len(path)):
            gains[j] = 0.0
            e = path[j]
            if e >= 0 and (repeats or stamps[0, e] != t):
                stamps[0, e] = t
                if code == GAUSSIAN:
                    gains[j] = gaussian_gain(scalars, matrix, factor, picked, e)
                else:
                    gains[j] = low_rank_gain(matrix, factor, picked, e, True)
                picked[2 + picked[0]] = e
                picked[0] += 1
        return
    for j in range(len(path)):
        gains[j] = visit(objective, work, path[j], t, repeats, True)


@njit
def path_gains(objective, paths, repeats, n, gains):
    """Fill ``gains`` [m, L] of the element sequences ``paths`` [m, L]; ``n`` elements in the ground set."""
    work = workspace(objective, n, paths.shape[1])
    for i in range(len(paths)):
        follow(objective, work, paths[i], i + 1, repeats, gains[i])


@njit
def total_gains(objective, paths, repeats, n, totals, values, again):
    """What is left to gain after element sequences ``paths`` [m, L], over all of them.

    Adds F(e | path) to ``totals`` [n]; fills F(path) in ``values`` [m] and F(e | path) of the path's own elements in ``again`` [m, L] (for
    ``repeats``, where it is another copy that would gain).
    """
    work = workspace(objective, n, paths.shape[1] + 1)
    gains = np.empty(paths.shape[1])
    for i in range(len(paths)):
        follow(objective, work, paths[i], i + 1, repeats, gains)
        values[i] = np.sum(gains)
        for e in range(n):
            totals[e] += visit(objective, work, e, i + 1, repeats, False)
        for j in range(paths.shape[1]):
            again[i, j] = visit(objective, work, paths[i, j], i + 1, repeats, False)


@njit
def table(objective, types, n, values):
    """Fill ``values`` [2^m]: F of every subset of m elements, the j-th a copy of element ``types[j]`` of the objective's ``n``."""
    work = workspace(objective, n, len(types))
    for mask in range(1, len(values)):
        begin(objective, work)
        total = 0.0
        for j in range(len(types)):
            if mask >> j & 1:
                total += gain(objective, work, types[j], mask, True)
        values[mask] = total
    values[0] = 0.0
