"""Linear programs over flows through a layered graph, with coverage rows on top."""

from typing import Any, NamedTuple

import numpy as np

LARGE = 20_000  # arcs from which the interior-point method is quicker


class FlowProgram(NamedTuple):
    """The rows that every program shares: variables q [arcs] then y [U].

    ``balance``, ``supply``: flow conservation; ``entries`` [U, arcs]: expected entries of a unit of q; ``started`` [U].
    """

    balance: Any
    supply: np.ndarray
    entries: Any
    started: np.ndarray


class Flow(NamedTuple):
    """A solution: ``value``, ``covered`` y [U], ``prices`` [U] (multipliers of y <= started + entries; the weight where nothing can be
    entered), ``shares``: multipliers of the caps' or cuts' rows."""

    value: float
    covered: np.ndarray
    prices: np.ndarray
    shares: np.ndarray


def flow_program(graph):
    """The FlowProgram of a CoverageGraph. Arcs are (layer position, action), layer by layer."""
    from scipy.sparse import csr_array

    edge_offsets, targets, item_offsets, items, choices, odds, slip, layer_offsets, layer_nodes = graph.arrays
    H, A, U = len(layer_offsets) - 2, choices.shape[1], len(graph.weights)
    arcs = layer_offsets[H] * A
    degrees = np.diff(edge_offsets)
    rows, columns, chances, entry_rows, entry_columns, entry_chances = [], [], [], [], [], []
    place = np.full(len(degrees), -1)
    for h in range(H):
        nodes = layer_nodes[layer_offsets[h] : layer_offsets[h + 1]]
        following = layer_nodes[layer_offsets[h + 1] : layer_offsets[h + 2]]
        place[following] = np.arange(layer_offsets[h + 1], layer_offsets[h + 2])
        degree = degrees[nodes]
        # every (node, action, edge)
        node = np.repeat(np.arange(len(nodes)), A * degree)
        local = np.arange(len(node)) - np.repeat(np.cumsum(A * degree) - A * degree, A * degree)
        action, edge = local // degree[node], edge_offsets[nodes[node]] + local % degree[node]
        if len(choices):
            chance = (1 - slip) * (choices[nodes[node], action] == edge) + slip * odds[edge]
        else:
            chance = odds[A * edge_offsets[nodes[node]] + local]
        keep = chance > 0
        arc, edge, chance = (layer_offsets[h] + node[keep]) * A + action[keep], edge[keep], chance[keep]
        if h < H - 1:
            rows.append(place[targets[edge]])
            columns.append(arc)
            chances.append(-chance)
        lengths = item_offsets[edge + 1] - item_offsets[edge]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entry_rows.append(items[np.repeat(item_offsets[edge], lengths) + within])
        entry_columns.append(np.repeat(arc, lengths))
        entry_chances.append(np.repeat(chance, lengths))
    rows.append(np.repeat(np.arange(layer_offsets[H]), A))
    columns.append(np.arange(arcs))
    chances.append(np.ones(arcs))
    pairs = np.concatenate(rows), np.concatenate(columns)
    balance = csr_array((np.concatenate(chances), pairs), shape=(layer_offsets[H], arcs))
    supply = np.zeros(layer_offsets[H])
    supply[: layer_offsets[1]] = graph.initial[layer_nodes[: layer_offsets[1]]]
    pairs = np.concatenate(entry_rows), np.concatenate(entry_columns)
    entries = csr_array((np.concatenate(entry_chances), pairs), shape=(U, arcs))
    return FlowProgram(balance, supply, entries, graph.started)


def optimal_flow(program, weights, groups=None, caps=None, cuts=None, integer=False, time_limit=None):
    """Maximize <weights, y> over flows q >= 0 and 0 <= y <= min(1, started + entries q), as a Flow.

    With ``groups`` [U] and ``caps`` [K]: plus sum z, z_k <= cap_k, z_k <= sum of y over group k. With ``cuts`` = (F [m], gains [m, U]):
    plus z, z <= F[i] + <gains[i], y>. RuntimeError when the solver finds no optimum. The solver sees numbers of order 1, whatever the
    unit of F: its tolerances are absolute, and it refuses very large ones.
    """
    from scipy.optimize import linprog, milp
    from scipy.sparse import block_array, coo_array, csr_array, eye_array

    (U, arcs), extra, size = program.entries.shape, 0, 1.0
    if groups is None:
        largest = max(float(np.abs(array).max(initial=0.0)) for array in (weights, *(cuts or ())))
        size = 2.0 ** np.floor(np.log2(largest)) if largest > 0 else 1.0  # a power of two: exact
        weights, cuts = weights / size, None if cuts is None else (cuts[0] / size, cuts[1] / size)
    blocks: list[list[Any]] = [[-program.entries, eye_array(U)]]
    right = [program.started]
    if groups is not None:
        extra = len(caps)
        member = np.flatnonzero(groups >= 0)
        summed = coo_array((-np.ones(len(member)), (groups[member], member)), shape=(extra, U))
        blocks, right = [[*blocks[0], None], [None, summed, eye_array(extra)]], [*right, np.zeros(extra)]
    elif cuts is not None:
        extra = 1
        blocks = [[*blocks[0], None], [None, csr_array(-cuts[1]), csr_array(np.ones((len(cuts[0]), 1)))]]
        right.append(cuts[0])
    cost = -np.concatenate([np.zeros(arcs), weights, np.ones(extra)])
    upper = np.concatenate([np.full(arcs, np.inf), np.ones(U), np.full(extra, np.inf) if caps is None else caps])
    lower = np.zeros(len(cost))
    if cuts is not None:
        lower[-1] = -np.inf
    A_ub, b_ub = block_array(blocks, format="csr"), np.concatenate(right)
    padding = csr_array((program.balance.shape[0], U + extra))
    A_eq = block_array([[program.balance, padding]], format="csr")
    if integer:
        from scipy.optimize import Bounds, LinearConstraint

        rows = LinearConstraint(A_ub, -np.inf, b_ub), LinearConstraint(A_eq, program.supply, program.supply)
        kind = np.concatenate([np.ones(arcs), np.zeros(U + extra)])
        result = milp(cost, constraints=rows, integrality=kind, bounds=Bounds(lower, upper), options={"time_limit": time_limit})
        if result.status != 0:
            raise RuntimeError(f"the mixed-integer program ended without an optimum: {result.message}")
        return Flow(-result.fun * size, result.x[arcs : arcs + U], np.zeros(U), np.zeros(extra))
    method = "highs-ipm" if arcs > LARGE else "highs"
    bounds = np.stack([lower, upper], axis=1)
    result = linprog(cost, A_ub, b_ub, A_eq, program.supply, bounds, method=method)
    if result.status != 0:
        raise RuntimeError(f"the flow program ended without an optimum: {result.message}")
    multipliers = -result.ineqlin.marginals
    enterable = np.diff(program.entries.indptr) > 0
    prices = np.where(enterable, multipliers[:U], weights)
    return Flow(-result.fun * size, result.x[arcs : arcs + U], prices * size, multipliers[U:])
