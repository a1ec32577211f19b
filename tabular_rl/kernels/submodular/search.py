"""Searches over histories of a coverage problem: truncated labels, and branch and bound with prices (subpo spec, section 10.5).

Graphs, sets of items and prices are those of ``kernels.submodular.graph``. A label is a history as far as its future is concerned: the
node where it is, what it covers, the value of that.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.submodular.graph import additive_problem, agree, has, hashed, put, step_prices


class Start(NamedTuple):
    """Where a search begins: a ``node`` of layer ``step``, with ``covered`` [W]."""

    node: Any
    covered: Any
    step: Any


class Limits(NamedTuple):
    """Of a search: ``labels`` for each (h, x); what is not above ``incumbent`` + ``grain`` is pruned; ``discount`` of a step."""

    labels: Any
    incumbent: Any
    grain: Any
    discount: Any


class Labels(NamedTuple):
    """``nodes`` [n] of one layer, the items covered, ``sets`` [n, W], and their ``value`` [n]."""

    nodes: Any
    sets: Any
    value: Any


class Residual(NamedTuple):
    """``bounds`` [n] on the value of all histories that continue a label, ``prices`` [n, U] that show them, the best ``path`` [H + 1]."""

    bounds: Any
    prices: Any
    path: Any


class Cone(NamedTuple):
    """What follows one node: ``nodes`` of layer h from ``offsets[h]`` on, the distinct ``actors`` among them, the items ``open`` to them.

    ``marked`` [N] and ``seen`` [U] carry the last stamp or label that met a node or an item; ``counts`` [U], ``walked`` [H + 1]: of a walk.
    """

    nodes: Any
    offsets: Any
    marked: Any
    actors: Any
    open: Any
    seen: Any
    counts: Any
    walked: Any


@njit
def label_search(graph, reach, weights, prices, values, start, limits):
    """Best history from a Start within Limits: (value, path [H + 1], refused, made).

    ``value``: weight of what is covered beyond ``covered``, -inf when the bounds prune everything; ``refused``: the largest bound of a
    label without room (-inf: there was room for all, which proves that nothing above max(value, incumbent) exists). A label is
    (what it covers, value, score); its score adds up ``discount``^(step - h0) times the price of what it enters. Of labels that agree
    on all that may still be entered the one of larger value stays: the others can end no better. A label whose bound

        score + sum_u (w_u - lambda_u) over u not in ``covered`` + values[h, x]        (discount 1)

    is at most ``incumbent`` + ``grain`` is pruned (not with ``incumbent`` = -inf).
    """
    edge_offsets, targets, item_offsets, items, _, _, _, layer_offsets, layer_nodes = graph
    place, enterable = reach
    node, covered, h0 = start
    m, incumbent, grain, discount = limits
    H, W = len(layer_offsets) - 2, len(covered)
    widest = np.max(np.diff(layer_offsets))
    sets, value, score = np.empty((2, widest, m, W), np.uint64), np.empty((2, widest, m)), np.empty((2, widest, m))
    keys, parents = np.empty((2, widest, m), np.uint64), np.empty((len(layer_nodes), m), np.int32)
    count, new = np.zeros((2, widest), np.int64), np.empty(W, np.uint64)
    slack = 0.0
    for u in range(len(weights)):
        if not has(covered, u):
            slack += weights[u] - prices[u]
    here = place[h0, node] - layer_offsets[h0]
    sets[h0 % 2, here, 0], value[h0 % 2, here, 0], score[h0 % 2, here, 0], count[h0 % 2, here] = covered, 0.0, 0.0, 1
    made, refused, factor, pruning = 0, -np.inf, 1.0, incumbent > -np.inf
    for h in range(h0, H):
        old, now = h % 2, (h + 1) % 2
        below, above = layer_offsets[h], layer_offsets[h + 1]
        count[now] = 0
        for p in range(above - below):
            x = layer_nodes[below + p]
            for i in range(count[old, p]):
                for e in range(edge_offsets[x], edge_offsets[x + 1]):
                    y = targets[e]
                    f, q = value[old, p, i], score[old, p, i]
                    for j in range(item_offsets[e], item_offsets[e + 1]):
                        u = items[j]
                        if not has(sets[old, p, i], u):
                            f += weights[u]
                            q += factor * prices[u]
                    bound = q + slack + values[h + 1, y]
                    if pruning and bound <= incumbent + grain:
                        continue
                    made += 1
                    t, key, k = place[h + 1, y], np.uint64(0), 0
                    mask, t = enterable[t], t - above
                    room = count[now, t]
                    if discount < 1 and m == 1:
                        if room == 1 and q <= score[now, t, 0]:
                            continue
                        count[now, t] = 1
                    new[:] = sets[old, p, i]
                    for j in range(item_offsets[e], item_offsets[e + 1]):
                        put(new, items[j])
                    if not (discount < 1 and m == 1):
                        key = hashed(new, mask, 0)
                        while k < room and not (keys[now, t, k] == key and agree(sets[now, t, k], new, mask)):
                            k += 1
                        if k < room:  # the same future
                            if f <= value[now, t, k]:
                                continue
                        elif room < m:
                            count[now, t] += 1
                        else:
                            k = 0
                            for j in range(1, m):
                                if score[now, t, j] < score[now, t, k]:
                                    k = j
                            if q <= score[now, t, k]:
                                refused = max(refused, bound)
                                continue
                            refused = max(refused, score[now, t, k] + slack + values[h + 1, y])
                    sets[now, t, k], value[now, t, k], score[now, t, k], keys[now, t, k] = new, f, q, key
                    parents[above + t, k] = p * m + i
        factor *= discount
    best, k, path = -np.inf, 0, np.full(H + 1, -1)
    last = H % 2
    for p in range(layer_offsets[H + 1] - layer_offsets[H]):
        for i in range(count[last, p]):
            f = value[last, p, i] if discount == 1 else score[last, p, i]
            if f > best:
                best, k = f, p * m + i
    if best > -np.inf:
        best = value[last, k // m, k % m]
        for h in range(H, h0 - 1, -1):
            at = layer_offsets[h] + k // m
            path[h] = layer_nodes[at]
            if h > h0:
                k = parents[at, k % m]
    return best, path, refused, made


# --- branch and bound on prefixes: every label has prices of its own


@njit
def expand(graph, weights, reach, h, labels):
    """(Labels, parents): all successors of the Labels of layer h, of those with the same future the best only."""
    edge_offsets, targets, item_offsets, items, _, _, _, _, _ = graph
    place, enterable = reach
    nodes, sets, value = labels
    n, W = sets.shape
    room = 0
    for i in range(n):
        room += edge_offsets[nodes[i] + 1] - edge_offsets[nodes[i]]
    size = 16
    while size < 2 * room:
        size *= 2
    table = np.full(size, -1)
    next_nodes, next_sets, next_value = np.empty(room, np.int64), np.empty((room, W), np.uint64), np.empty(room)
    parents, count, new = np.empty(room, np.int64), 0, np.empty(W, np.uint64)
    for i in range(n):
        for e in range(edge_offsets[nodes[i]], edge_offsets[nodes[i] + 1]):
            y, f = targets[e], value[i]
            new[:] = sets[i]
            for j in range(item_offsets[e], item_offsets[e + 1]):
                u = items[j]
                if not has(new, u):
                    put(new, u)
                    f += weights[u]
            mask = enterable[place[h + 1, y]]
            slot = np.int64(hashed(new, mask, y + 1) & np.uint64(size - 1))
            while table[slot] >= 0 and not (next_nodes[table[slot]] == y and agree(next_sets[table[slot]], new, mask)):
                slot = (slot + 1) & (size - 1)
            k = table[slot]
            if k < 0:
                k = count
                table[slot] = k
                count += 1
            elif f <= next_value[k]:
                continue
            next_nodes[k], next_sets[k], next_value[k], parents[k] = y, new, f, i
    return Labels(next_nodes[:count].copy(), next_sets[:count].copy(), next_value[:count].copy()), parents[:count].copy()


@njit
def cone_from(graph, node, h, cone, stamp):
    """Fill the ``nodes`` of the cone with those that follow ``node`` of layer h, layer by layer; returns the last ``stamp`` used."""
    edge_offsets, targets, _, _, _, _, _, layer_offsets, _ = graph
    nodes, offsets, marked, _, _, _, _, _ = cone
    nodes[0], offsets[h], offsets[h + 1] = node, 0, 1
    for g in range(h, len(layer_offsets) - 2):
        stamp += 1
        end = offsets[g + 1]
        for p in range(offsets[g], offsets[g + 1]):
            for e in range(edge_offsets[nodes[p]], edge_offsets[nodes[p] + 1]):
                if marked[targets[e]] != stamp:
                    marked[targets[e]] = stamp
                    nodes[end] = targets[e]
                    end += 1
        offsets[g + 2] = end
    return stamp


@njit
def open_in_cone(graph, covered, cone, stamp, i):
    """Fill ``actors`` with the distinct nodes that act, ``open`` with what they may enter and ``covered`` lacks (``seen`` = ``i`` there);
    returns both counts."""
    edge_offsets, _, item_offsets, items, _, _, _, layer_offsets, _ = graph
    nodes, offsets, marked, actors, open_items, seen, _, _ = cone
    n_actors, n_open = 0, 0
    for p in range(offsets[len(layer_offsets) - 2]):
        x = nodes[p]
        if marked[x] != stamp:
            marked[x] = stamp
            actors[n_actors] = x
            n_actors += 1
            for j in range(item_offsets[edge_offsets[x]], item_offsets[edge_offsets[x + 1]]):
                u = items[j]
                if seen[u] != i and not has(covered, u):
                    seen[u] = i
                    open_items[n_open] = u
                    n_open += 1
    return n_actors, n_open


@njit
def values_in_cone(graph, prices, cone, n_actors, h, additive):
    """Solve the additive problem that pays ``prices``, on the cone."""
    edge_offsets, targets, item_offsets, items, _, _, _, layer_offsets, _ = graph
    nodes, offsets, _, actors, _, _, _, _ = cone
    pay, values, greedy = additive
    H = len(layer_offsets) - 2
    for x in actors[:n_actors]:
        for e in range(edge_offsets[x], edge_offsets[x + 1]):
            total = 0.0
            for j in range(item_offsets[e], item_offsets[e + 1]):
                total += prices[items[j]]
            pay[e] = total
    for p in range(offsets[H], offsets[H + 1]):
        values[H, nodes[p]] = 0.0
    for g in range(H - 1, h - 1, -1):
        following = values[g + 1]
        for p in range(offsets[g], offsets[g + 1]):
            x = nodes[p]
            top, choice = -np.inf, 0
            for e in range(edge_offsets[x], edge_offsets[x + 1]):
                q = pay[e] + following[targets[e]]
                if q > top:
                    top, choice = q, e
            values[g, x], greedy[g, x] = top, choice


@njit
def greedy_walk(graph, weights, greedy, node, h, cone, i):
    """Weight that the greedy path from ``node`` newly covers of the open items; their entries are added to the cone's ``counts``."""
    _, targets, item_offsets, items, _, _, _, layer_offsets, _ = graph
    _, _, _, _, _, seen, counts, walked = cone
    x, found = node, 0.0
    walked[h] = x
    for g in range(h, len(layer_offsets) - 2):
        e = greedy[g, x]
        for j in range(item_offsets[e], item_offsets[e + 1]):
            u = items[j]
            if seen[u] == i:
                if counts[u] == 0.0:
                    found += weights[u]
                counts[u] += 1
        x = targets[e]
        walked[g + 1] = x
    return found


@njit
def residual_bounds(graph, weights, h, labels, prices, parents, limits, residual):
    """Fill the Residual of the Labels of layer h, by price descent on what each has not covered.

    It starts from the prices of the parent, ``prices`` [parents[i]]. ``limits`` = (incumbent, grain, iterations): it takes ``iterations``
    steps, or fewer when the bound falls to ``incumbent`` + ``grain``. The greedy paths are histories themselves: the best value found is
    returned with its label (-1: none above ``incumbent``), its nodes from layer h on in ``path``.
    """
    nodes, sets, value = labels
    incumbent, grain, iterations = limits
    N, H, U = len(graph.edge_offsets) - 1, len(graph.layer_offsets) - 2, len(weights)
    cone = Cone(
        np.empty(len(graph.layer_nodes), np.int64), np.empty(H + 2, np.int64), np.full(N, -1), np.empty(N, np.int64),
        np.empty(U, np.int64), np.full(U, -1), np.empty(U), np.empty(H + 1, np.int64),
    )  # fmt: skip
    additive, now, counts = additive_problem(graph), np.empty(U), cone.counts
    winner, stamp = -1, 0
    for i in range(len(nodes)):
        stamp = 1 + cone_from(graph, nodes[i], h, cone, stamp)
        n_actors, n_open = open_in_cone(graph, sets[i], cone, stamp, i)
        uncovered = cone.open[:n_open]
        for u in range(U):
            now[u] = 0.0
        for u in uncovered:
            now[u] = prices[parents[i], u]
        best, length, failures = np.inf, 1.0, 0
        for k in range(iterations + 1):
            values_in_cone(graph, now, cone, n_actors, h, additive)
            bound = value[i] + additive.values[h, nodes[i]]
            for u in uncovered:
                bound += weights[u] - now[u]
                counts[u] = 0.0
            failures = 0 if bound < best - 1e-4 * abs(best) else failures + 1
            if bound < best:
                best = bound
                for u in range(U):
                    residual.prices[i, u] = now[u]
            found = value[i] + greedy_walk(graph, weights, additive.greedy, nodes[i], h, cone, i)
            if found > incumbent + 1e-9:
                incumbent, winner = found, i
                for g in range(h, H + 1):
                    residual.path[g] = cone.walked[g]
            if best <= incumbent + grain:
                break
            if failures >= 3:
                length, failures = 0.6 * length, 0
            for u in uncovered:
                counts[u] -= 1
            if k < iterations and not step_prices(weights, uncovered, counts, length * (bound - incumbent), now):
                break
        residual.bounds[i] = best
    return incumbent, winner


@njit
def replanned(graph, weights, reach, start, slip, limits, rng, values, states):
    """Fill ``states`` [n, H + 1] with trajectories that replan at every step by ``label_search`` without slips, and add to ``values`` [n]
    the weight that they newly cover."""
    edge_offsets, targets, item_offsets, items, choices, _, _, layer_offsets, _ = graph
    H, A = len(layer_offsets) - 2, choices.shape[1]
    nothing, now = np.zeros(reach.place.shape), np.empty_like(start.covered)
    for i in range(len(values)):
        x, total = start.node, values[i]
        for w in range(len(now)):
            now[w] = start.covered[w]
        states[i, 0] = x
        for h in range(H):
            _, path, _, _ = label_search(graph, reach, weights, weights, nothing, Start(x, now, h), limits)
            e = edge_offsets[x]
            while targets[e] != path[h + 1]:
                e += 1
            if rng.random() < slip:
                e = choices[x, min(int(rng.random() * A), A - 1)]
            for j in range(item_offsets[e], item_offsets[e + 1]):
                u = items[j]
                if not has(now, u):
                    put(now, u)
                    total += weights[u]
            x = targets[e]
            states[i, h + 1] = x
        values[i] = total
