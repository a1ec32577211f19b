"""Searches over histories of a coverage problem: truncated labels, and branch and bound with prices (subpo spec, section 10.5).

Graphs, sets of items and prices are those of ``kernels.submodular_graph``. A label is a history as far as its future is concerned: the
node where it is, what it covers, the value of that.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.submodular.graph import agree, has, hashed, put


@njit
def label_search(graph, weights, prices, values, place, reach, start, covered, h0, m, incumbent, grain, discount):
    """Best history from node ``start`` at step ``h0`` with ``covered`` [W]: (value, path [H + 1], refused, made).

    ``value``: weight of what is covered beyond ``covered``, -inf when the bounds prune everything; ``refused``: the largest bound of a
    label without room (-inf: there was room for all, which proves that nothing above max(value, incumbent) exists). A label is
    (what it covers, value, score); its score adds up ``discount``^(step - h0) times the price of what it enters. Of labels that agree
    on all that may still be entered the one of larger value stays: the others can end no better. A label whose bound

        score + sum_u (w_u - lambda_u) over u not in ``covered`` + values[h, x]        (discount 1)

    is at most ``incumbent`` + ``grain`` is pruned (not with ``incumbent`` = -inf).
    """
    edge_offsets, targets, item_offsets, items, _, _, _, layer_offsets, layer_nodes = graph
    H, W = len(layer_offsets) - 2, len(covered)
    widest = np.max(np.diff(layer_offsets))
    sets, value, score = np.empty((2, widest, m, W), np.uint64), np.empty((2, widest, m)), np.empty((2, widest, m))
    keys, parents = np.empty((2, widest, m), np.uint64), np.empty((len(layer_nodes), m), np.int32)
    count, new = np.zeros((2, widest), np.int64), np.empty(W, np.uint64)
    slack = 0.0
    for u in range(len(weights)):
        if not has(covered, u):
            slack += weights[u] - prices[u]
    here = place[h0, start] - layer_offsets[h0]
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
                    mask, t = reach[t], t - above
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
def expand(graph, weights, place, reach, h, nodes, sets, value):
    """All successors of the labels (``nodes`` [n], ``sets`` [n, W], ``value`` [n]) of layer h: (nodes, sets, value, parents), of those
    with the same future the best only."""
    edge_offsets, targets, item_offsets, items = graph[0], graph[1], graph[2], graph[3]
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
            mask = reach[place[h + 1, y]]
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
    return next_nodes[:count].copy(), next_sets[:count].copy(), next_value[:count].copy(), parents[:count].copy()


@njit
def cone_from(edge_offsets, targets, node, h, H, cone, cone_offsets, marked, stamp):
    """Fill ``cone`` with the nodes that follow ``node`` of layer h, layer by layer; returns the last ``stamp`` used in ``marked`` [N]."""
    cone[0], cone_offsets[h], cone_offsets[h + 1] = node, 0, 1
    for g in range(h, H):
        stamp += 1
        end = cone_offsets[g + 1]
        for p in range(cone_offsets[g], cone_offsets[g + 1]):
            for e in range(edge_offsets[cone[p]], edge_offsets[cone[p] + 1]):
                if marked[targets[e]] != stamp:
                    marked[targets[e]] = stamp
                    cone[end] = targets[e]
                    end += 1
        cone_offsets[g + 2] = end
    return stamp


@njit
def open_in_cone(edge_offsets, item_offsets, items, cone, acting, covered, marked, stamp, seen, i, actors, open_items):
    """Fill ``actors`` with the distinct nodes of ``cone[:acting]``, ``open_items`` with what they may enter and ``covered`` lacks (``seen``
    = ``i`` there); returns both counts."""
    n_actors, n_open = 0, 0
    for p in range(acting):
        x = cone[p]
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
def values_in_cone(edge_offsets, targets, item_offsets, items, prices, cone, cone_offsets, actors, h, H, pay, values, greedy):
    """Fill ``values`` and ``greedy`` (edges; ties: lowest) of the additive problem that pays ``prices``, on the cone."""
    for x in actors:
        for e in range(edge_offsets[x], edge_offsets[x + 1]):
            total = 0.0
            for j in range(item_offsets[e], item_offsets[e + 1]):
                total += prices[items[j]]
            pay[e] = total
    for p in range(cone_offsets[H], cone_offsets[H + 1]):
        values[H, cone[p]] = 0.0
    for g in range(H - 1, h - 1, -1):
        following = values[g + 1]
        for p in range(cone_offsets[g], cone_offsets[g + 1]):
            x = cone[p]
            top, choice = -np.inf, 0
            for e in range(edge_offsets[x], edge_offsets[x + 1]):
                q = pay[e] + following[targets[e]]
                if q > top:
                    top, choice = q, e
            values[g, x], greedy[g, x] = top, choice


@njit
def greedy_walk(targets, item_offsets, items, weights, greedy, node, h, H, seen, i, counts, walked):
    """Weight that the greedy path from ``node`` newly covers of the open items; their entries are added to ``counts``."""
    x, found = node, 0.0
    walked[h] = x
    for g in range(h, H):
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
def step_prices(weights, open_items, counts, length, distance, prices):
    """One projected subgradient step on the open items; False where none is left to make."""
    square = 0.0
    for u in open_items:
        d = counts[u] - 1
        if (d > 0 and prices[u] <= 0) or (d < 0 and prices[u] >= weights[u]):
            d = 0.0
        counts[u] = d
        square += d * d
    if square == 0.0:
        return False
    for u in open_items:
        prices[u] = min(max(prices[u] - length * distance / square * counts[u], 0.0), weights[u])
    return True


@njit
def residual_bounds(graph, weights, h, nodes, sets, value, prices, parents, incumbent, grain, iterations, bounds, kept, path):
    """Fill ``bounds`` [n] on the value of any history that continues label i, by price descent on what it has not covered.

    It starts from the prices of the parent, ``prices`` [parents[i]], and takes ``iterations`` steps, or fewer when the bound falls to
    ``incumbent`` + ``grain``; ``kept`` [n, U] holds the best prices. The greedy paths are histories themselves: the best value found is
    returned with its label (-1: none above ``incumbent``), its nodes from layer h on in ``path``.
    """
    edge_offsets, targets, item_offsets, items, _, _, _, layer_offsets, layer_nodes = graph
    N, H, U = len(edge_offsets) - 1, len(layer_offsets) - 2, len(weights)
    cone, cone_offsets, marked, actors = (
        np.empty(len(layer_nodes), np.int64),
        np.empty(H + 2, np.int64),
        np.full(N, -1),
        np.empty(N, np.int64),
    )
    values, greedy, pay = np.zeros((H + 1, N)), np.zeros((H, N), np.int64), np.empty(len(targets))
    open_items, seen, counts, now = np.empty(U, np.int64), np.full(U, -1), np.empty(U), np.empty(U)
    winner, stamp, walked = -1, 0, np.empty(H + 1, np.int64)
    for i in range(len(nodes)):
        stamp = 1 + cone_from(edge_offsets, targets, nodes[i], h, H, cone, cone_offsets, marked, stamp)
        n_actors, n_open = open_in_cone(
            edge_offsets, item_offsets, items, cone, cone_offsets[H], sets[i], marked, stamp, seen, i, actors, open_items
        )
        acting, uncovered = actors[:n_actors], open_items[:n_open]
        now[:] = 0.0
        for u in uncovered:
            now[u] = prices[parents[i], u]
        best, length, failures = np.inf, 1.0, 0
        for k in range(iterations + 1):
            values_in_cone(edge_offsets, targets, item_offsets, items, now, cone, cone_offsets, acting, h, H, pay, values, greedy)
            bound = value[i] + values[h, nodes[i]]
            for u in uncovered:
                bound += weights[u] - now[u]
                counts[u] = 0.0
            failures = 0 if bound < best - 1e-4 * abs(best) else failures + 1
            if bound < best:
                best = bound
                kept[i] = now
            found = value[i] + greedy_walk(targets, item_offsets, items, weights, greedy, nodes[i], h, H, seen, i, counts, walked)
            if found > incumbent + 1e-9:
                incumbent, winner = found, i
                path[:] = walked
            if best <= incumbent + grain:
                break
            if failures >= 3:
                length, failures = 0.6 * length, 0
            if k < iterations and not step_prices(weights, uncovered, counts, length, bound - incumbent, now):
                break
        bounds[i] = best
    return incumbent, winner


@njit
def replanned(graph, weights, place, reach, start, covered, already, slip, m, discount, rng, values, states):
    """Fill ``values`` [n] and ``states`` [n, H + 1] with trajectories that replan at every step by ``label_search`` without slips."""
    edge_offsets, targets, item_offsets, items, choices, _, _, layer_offsets, _ = graph
    H, A = len(layer_offsets) - 2, choices.shape[1]
    nothing, now = np.zeros(place.shape), np.empty_like(covered)
    for i in range(len(values)):
        x, total = start, already
        now[:] = covered
        states[i, 0] = x
        for h in range(H):
            _, path, _, _ = label_search(graph, weights, weights, nothing, place, reach, x, now, h, m, -np.inf, 0.0, discount)
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
