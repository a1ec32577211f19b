"""Truncated search for any objective: the gains of a label are computed by replaying its history (subpo spec, section 10.5 b)."""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.submodular.graph import PRIME, SHIFT
from tabular_rl.kernels.submodular.objectives import begin, visit, workspace


@njit
def element_key(e, copies):
    """64 bits of the pair (element, how many copies of it there are already)."""
    x = np.uint64(e + 1) * PRIME + np.uint64(copies)
    x = (x ^ (x >> SHIFT)) * PRIME
    return x ^ (x >> SHIFT)


@njit
def replay_search(successors, elements, repeats, objective, n, start, H, m):
    """(value, path [H + 1], refused, made): best of at most ``m`` histories for each (h, s), ranked by F.

    ``successors`` [T, S, A]. Histories of the same elements (with ``repeats``: as often) count as one, the first found stays.
    """
    T, S, A = successors.shape
    work = workspace(objective, n, H + 2)
    values, keys = np.empty((2, S, m)), np.empty((2, S, m), np.uint64)
    parents, count = np.empty((H + 1, S, m), np.int32), np.zeros((2, S), np.int64)
    path, copies = np.empty(H + 1, np.int64), np.zeros(n, np.int64)
    values[0, start, 0], keys[0, start, 0], count[0, start] = 0.0, np.uint64(0), 1
    made, refused, t = 0, False, 0
    for h in range(H):
        old, now = h % 2, (h + 1) % 2
        count[now] = 0
        for s in range(S):
            for i in range(count[old, s]):
                # the history of this label, replayed
                x, k = s, i
                for g in range(h, -1, -1):
                    path[g] = x
                    if g > 0:
                        k = parents[g, x, k]
                        x, k = k // m, k % m
                t += 1
                begin(objective, work)
                total = 0.0
                for g in range(h + 1):
                    e = elements[g % len(elements), path[g]]
                    total += visit(objective, work, e, t, repeats, True)
                    if e >= 0:
                        copies[e] += 1
                for a in range(A):
                    y, fresh = successors[h % T, s, a], True
                    for b in range(a):
                        fresh = fresh and successors[h % T, s, b] != y
                    if not fresh:
                        continue
                    e = elements[(h + 1) % len(elements), y]
                    value = total + visit(objective, work, e, t, repeats, False)
                    key = keys[old, s, i]
                    if e >= 0 and (repeats or copies[e] == 0):
                        key ^= element_key(e, copies[e])
                    made += 1
                    room, k = count[now, y], 0
                    while k < room and keys[now, y, k] != key:
                        k += 1
                    if k < room:
                        continue
                    if room < m:
                        count[now, y] += 1
                    else:
                        refused, k = True, 0
                        for j in range(1, m):
                            if values[now, y, j] < values[now, y, k]:
                                k = j
                        if value <= values[now, y, k]:
                            continue
                    values[now, y, k], keys[now, y, k], parents[h + 1, y, k] = value, key, s * m + i
                for g in range(h + 1):
                    e = elements[g % len(elements), path[g]]
                    if e >= 0:
                        copies[e] = 0
    best, s, k = -np.inf, 0, 0
    for y in range(S):
        for i in range(count[H % 2, y]):
            if values[H % 2, y, i] > best:
                best, s, k = values[H % 2, y, i], y, i
    for h in range(H, -1, -1):
        path[h] = s
        if h > 0:
            k = parents[h, s, k]
            s, k = k // m, k % m
    return best, path, refused, made
