"""Coverage on a layered graph, and prices by dynamic programming (subpo spec, sections 7 and 10.5).

Sets of items are rows of 64-bit words. ``prices`` lambda [U] lie in [0, weights].
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit

ONE = np.uint64(1)
PRIME = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)


class Graph(NamedTuple):
    """Nodes (states, or pairs of time and state) and what their edges newly cover.

    edges of node x      edge_offsets[x] : edge_offsets[x + 1], to the node targets[e], one edge for each successor
    items of edge e      items[item_offsets[e] : item_offsets[e + 1]]: those that e newly enters (covered at its end, not at its start)
    choices [N, A]       the edge that action a takes; with probability ``slip`` an edge drawn with ``odds`` [E] instead; or choices is
                         [0, A] and ``odds`` has A numbers for each edge: odds[A * edge_offsets[x] + a * degree + i]
    layer h              layer_nodes[layer_offsets[h] : layer_offsets[h + 1]]: where some policy can be after h of H steps
    """

    edge_offsets: Any
    targets: Any
    item_offsets: Any
    items: Any
    choices: Any
    odds: Any
    slip: Any
    layer_offsets: Any
    layer_nodes: Any


class Cover(NamedTuple):
    """``weights`` [U] of the items; the start: ``initial`` [N], and ``started`` [U], the probability that it covers u."""

    weights: Any
    initial: Any
    started: Any


class Additive(NamedTuple):
    """Solution of an additive problem: what edges ``pay`` [E], ``values`` [H + 1, N], ``greedy`` actions or edges [H, N] (ties: lowest)."""

    pay: Any
    values: Any
    greedy: Any


class Reach(NamedTuple):
    """``place`` [H + 1, N]: position of (h, x) in the layers, or -1; ``items`` [positions, W]: what may still be entered from there."""

    place: Any
    items: Any


@njit
def has(words, u):
    """Whether item u is in the set."""
    return (words[u >> 6] >> np.uint64(u & 63)) & ONE == ONE


@njit
def put(words, u):
    """Add item u."""
    words[u >> 6] |= ONE << np.uint64(u & 63)


@njit
def hashed(words, mask, seed):
    """64 bits of the set ``words`` and ``mask``."""
    x = np.uint64(seed)
    for k in range(len(words)):
        x = (x ^ (words[k] & mask[k])) * PRIME
        x ^= x >> SHIFT
    return x


@njit
def agree(a, b, mask):
    """Whether two sets have the same items within ``mask``."""
    equal = True
    for k in range(len(a)):
        equal = equal and not (a[k] ^ b[k]) & mask[k]
    return equal


# --- the graph


@njit
def edges_of(P, successors, S, expanded, H):
    """(edge_offsets, targets, successor states, choices, odds); nodes are states, or h * S + s with ``expanded``."""
    A = successors.shape[1] if len(successors) else P.shape[2]
    N = (H + 1) * S if expanded else S
    acting = H * S if expanded else S  # nobody acts in the last layer
    offsets, targets = np.zeros(N + 1, np.int64), np.empty(acting * (A if len(successors) else S), np.int64)
    ends, choices = np.empty_like(targets), np.empty((acting if len(successors) else 0, A), np.int64)
    odds, place = np.zeros(targets.shape[0] * (1 if len(successors) else A)), np.full(S, -1)
    count = 0
    for x in range(acting):
        h, s, first = x // S, x % S, count
        for a in range(A):
            for t in range(S):
                if len(successors) and t > 0:
                    break
                y = successors[s, a] if len(successors) else t
                if len(successors) == 0 and P[h % len(P), s, a, t] == 0:
                    continue
                if place[y] < 0:
                    place[y] = count
                    ends[count], targets[count] = y, (h + 1) * S + y if expanded else y
                    count += 1
                if len(successors):
                    choices[x, a] = place[y]
                    odds[place[y]] += 1 / A
        if len(successors) == 0:
            degree = count - first
            for a in range(A):
                for i in range(degree):
                    odds[A * first + a * degree + i] = P[h % len(P), s, a, ends[first + i]]
        for e in range(first, count):
            place[ends[e]] = -1
        offsets[x + 1] = count
    offsets[acting + 1 :] = count
    return offsets, targets[:count].copy(), ends[:count].copy(), choices, odds[: count * (1 if len(successors) else A)].copy()


@njit
def entered_items(edge_offsets, ends, elements, set_offsets, set_items, S, n_items, entering):
    """(item_offsets, items): what every edge newly covers; all that its end covers without ``entering``."""
    E = len(ends)
    offsets, seen = np.zeros(E + 1, np.int64), np.full(n_items, -1)
    items, count = np.empty(16 + 4 * E, np.int64), 0
    for x in range(len(edge_offsets) - 1):
        h, s = x // S, x % S
        here = elements[h % len(elements), s]
        if here >= 0 and entering:
            for i in range(set_offsets[here], set_offsets[here + 1]):
                seen[set_items[i]] = x
        for e in range(edge_offsets[x], edge_offsets[x + 1]):
            there = elements[(h + 1) % len(elements), ends[e]]
            if there >= 0:
                for i in range(set_offsets[there], set_offsets[there + 1]):
                    u = set_items[i]
                    if seen[u] != x:
                        if count == len(items):
                            items = np.concatenate((items, np.empty_like(items)))
                        items[count] = u
                        count += 1
            offsets[e + 1] = count
    return offsets, items[:count].copy()


@njit
def layers_of(edge_offsets, targets, starts, H):
    """(layer_offsets, layer_nodes) of the nodes that can be reached from ``starts``."""
    N = len(edge_offsets) - 1
    reached = np.zeros((H + 1, N), np.bool_)
    for x in starts:
        reached[0, x] = True
    offsets, total = np.zeros(H + 2, np.int64), 0
    for h in range(H + 1):
        for x in range(N):
            if reached[h, x]:
                total += 1
                if h < H:
                    for e in range(edge_offsets[x], edge_offsets[x + 1]):
                        reached[h + 1, targets[e]] = True
        offsets[h + 1] = total
    nodes = np.empty(total, np.int64)
    k = 0
    for h in range(H + 1):
        for x in range(N):
            if reached[h, x]:
                nodes[k] = x
                k += 1
    return offsets, nodes


@njit
def reachable_items(graph, W):
    """The Reach of a graph, sets of ``W`` words."""
    edge_offsets, targets, item_offsets, items, _, _, _, layer_offsets, layer_nodes = graph
    H, N = len(layer_offsets) - 2, len(edge_offsets) - 1
    place, reach = np.full((H + 1, N), -1, np.int32), np.zeros((len(layer_nodes), W), np.uint64)
    for h in range(H, -1, -1):
        for p in range(layer_offsets[h], layer_offsets[h + 1]):
            x = layer_nodes[p]
            place[h, x] = p
            if h < H:
                for e in range(edge_offsets[x], edge_offsets[x + 1]):
                    reach[p] |= reach[place[h + 1, targets[e]]]
                    for i in range(item_offsets[e], item_offsets[e + 1]):
                        put(reach[p], items[i])
    return Reach(place, reach)


# --- prices: the additive problem that pays lambda_u for every entry into u


@njit
def additive_problem(graph):
    """Room for an Additive."""
    H, N = len(graph.layer_offsets) - 2, len(graph.edge_offsets) - 1
    return Additive(np.empty(len(graph.targets)), np.zeros((H + 1, N)), np.zeros((H, N), np.int64))


@njit
def priced_values(graph, prices, additive):
    """Solve the additive problem that pays lambda_u for every entry into u."""
    edge_offsets, targets, item_offsets, items, choices, odds, slip, layer_offsets, layer_nodes = graph
    pay, values, greedy = additive
    H, A = len(layer_offsets) - 2, choices.shape[1]
    for e in range(len(targets)):
        total = 0.0
        for i in range(item_offsets[e], item_offsets[e + 1]):
            total += prices[items[i]]
        pay[e] = total
    for p in range(layer_offsets[H], layer_offsets[H + 1]):
        values[H, layer_nodes[p]] = 0.0
    for h in range(H - 1, -1, -1):
        following = values[h + 1]
        for p in range(layer_offsets[h], layer_offsets[h + 1]):
            x = layer_nodes[p]
            first, last = edge_offsets[x], edge_offsets[x + 1]
            best, action = -np.inf, 0
            if len(choices):
                for a in range(A):
                    e = choices[x, a]
                    q = pay[e] + following[targets[e]]
                    if q > best:
                        best, action = q, a
                if slip > 0:
                    mean = 0.0
                    for e in range(first, last):
                        mean += odds[e] * (pay[e] + following[targets[e]])
                    best = (1 - slip) * best + slip * mean
            else:
                row = A * first
                for a in range(A):
                    q = 0.0
                    for e in range(first, last):
                        q += odds[row] * (pay[e] + following[targets[e]])
                        row += 1
                    if q > best:
                        best, action = q, a
            values[h, x], greedy[h, x] = best, action


@njit
def entries(graph, greedy, flow, counts):
    """Add to ``counts`` [U] the expected entries under the greedy policy; ``flow`` [H + 1, N] holds the start in row 0."""
    edge_offsets, targets, item_offsets, items, choices, odds, slip, layer_offsets, layer_nodes = graph
    H, A = len(layer_offsets) - 2, choices.shape[1]
    for h in range(H):
        for x in range(flow.shape[1]):
            flow[h + 1, x] = 0.0
        for p in range(layer_offsets[h], layer_offsets[h + 1]):
            x = layer_nodes[p]
            mass = flow[h, x]
            if mass == 0.0:
                continue
            first, last = edge_offsets[x], edge_offsets[x + 1]
            for e in range(first, last):
                if len(choices):
                    chance = (1 - slip) * (choices[x, greedy[h, x]] == e) + slip * odds[e]
                else:
                    chance = odds[A * first + greedy[h, x] * (last - first) + e - first]
                if chance > 0.0:
                    flow[h + 1, targets[e]] += mass * chance
                    for i in range(item_offsets[e], item_offsets[e + 1]):
                        counts[items[i]] += mass * chance


@njit
def price_bound(graph, cover, prices, additive):
    """U(lambda) = sum (w - lambda) + <initial, V_lambda> + <lambda, started>, at least the value of every policy."""
    weights, initial, started = cover
    priced_values(graph, prices, additive)
    bound = 0.0
    for p in range(graph.layer_offsets[0], graph.layer_offsets[1]):
        x = graph.layer_nodes[p]
        bound += initial[x] * additive.values[0, x]
    for u in range(len(weights)):
        bound += weights[u] - prices[u] * (1 - started[u])
    return bound


@njit
def price_slope(graph, cover, additive, flow, slope):
    """Fill ``slope`` [U] with a subgradient of U at the prices that ``additive`` solves: started + expected entries of its plan - 1."""
    for u in range(len(slope)):
        slope[u] = cover.started[u]
    entries(graph, additive.greedy, flow, slope)
    for u in range(len(slope)):
        slope[u] -= 1


@njit
def step_prices(weights, items, slope, length, prices):
    """Move the prices of ``items`` by Polyak's step, ``length`` / |slope|^2 against the slope, projected onto [0, weights].

    Coordinates of ``slope`` that point out of [0, weights] become 0; False where no other is left, at a minimum. ``length`` is the
    distance to the value that one aims at.

    >>> prices = np.array([1.0, 0.5, 0.0])
    >>> step_prices(np.ones(3), np.arange(3), np.array([1.0, -1.0, 3.0]), 0.5, prices)
    True
    >>> prices  # item 2 would be pushed below 0: it does not count, the others share the step
    array([0.75, 0.75, 0.  ])
    """
    square = 0.0
    for u in items:
        if (slope[u] > 0 and prices[u] <= 0) or (slope[u] < 0 and prices[u] >= weights[u]):
            slope[u] = 0.0
        square += slope[u] * slope[u]
    if square == 0.0:
        return False
    for u in items:
        prices[u] = min(max(prices[u] - length / square * slope[u], 0.0), weights[u])
    return True


@njit
def price_descent(graph, cover, target, prices, iterations, patience, shrink):
    """Projected subgradient on U over [0, weights] from ``prices``, which end at the best; returns U there.

    Steps aim at ``target``, a lower bound on min U; after ``patience`` steps without a relative gain of 1e-4 they shrink, from the best.
    """
    N, H, U = len(graph.edge_offsets) - 1, len(graph.layer_offsets) - 2, len(cover.weights)
    additive, items = additive_problem(graph), np.arange(U)
    flow, slope, now = np.zeros((H + 1, N)), np.empty(U), prices.copy()
    for x in range(N):
        flow[0, x] = cover.initial[x]
    best, reference, since, length = np.inf, np.inf, 0, 1.0
    for k in range(iterations):
        bound = price_bound(graph, cover, now, additive)
        if bound < best:
            best = bound
            for u in range(U):
                prices[u] = now[u]
        since += 1
        if best < reference - 1e-4 * abs(reference) or k == 0:
            reference, since = best, 0
        elif since >= patience:
            length, since = length * shrink, 0
            for u in range(U):
                now[u] = prices[u]
            bound = price_bound(graph, cover, now, additive)
        price_slope(graph, cover, additive, flow, slope)
        if bound <= target or not step_prices(cover.weights, items, slope, length * (bound - target), now):
            break
    return best
