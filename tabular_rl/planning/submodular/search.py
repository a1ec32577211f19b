"""Planning when the model of a submodular problem is known: histories by truncated dynamic programming, prices, branch and bound.

    truncated_search   at most m histories for each (h, s): any objective, deterministic worlds
    coverage_prices    the dual of the coverage bound by projected subgradient: a certificate for every history-dependent policy, slips too
    priced_search      both: the certificate prunes and steers the search
    branch_and_bound   every prefix with prices of its own: proves optimality where the certificate of the start leaves a gap
    replan             one trajectory in a slippery world, planning anew at every step

Source: subpo spec, section 10.5 (derived); branch and bound on prefixes with residual prices is ours.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.submodular.graph import CoverageGraph, coverage_graph

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Path:
    """A history and what is known about it.

    Attributes
    ----------
    value : float
        F of the history ``states`` [H + 1]; ``actions`` [H] lead along it.
    upper : float
        No policy, history-dependent or not, has a larger value (inf: the search did not find out).
    labels : int
        Histories that were kept at some time.
    """

    value: float
    states: np.ndarray
    actions: np.ndarray
    upper: float
    labels: int

    @property
    def optimal(self):
        """Whether ``value`` is the optimum over all policies, up to 1e-9 of it."""
        return self.value >= self.upper - 2 * ROUNDING * abs(self.upper)

    def __repr__(self):
        return f"Path(value={self.value:.6g}, upper={self.upper:.6g}{', optimal' if self.optimal else ''})"


class Prices(NamedTuple):
    """``prices`` [U] in [0, weights], and the bound ``upper`` on every policy's value that they certify."""

    prices: np.ndarray
    upper: float


def truncated_search(mdp, labels=10):
    """The best of at most ``labels`` histories for each (h, s), ranked by F: a lower bound on the optimum, which it equals when no history
    was ever refused for want of room.

    Histories that can still gain the same from the same place count as one. A slippery world is planned as if nothing slipped: then
    nothing is known about the optimum.

    Parameters
    ----------
    mdp : SubmodularMDP
        With one start and one successor for each pair (up to slips).
    labels : int
        m >= 1; the cost is O(H S m A) gains.

    Returns
    -------
    Path
    """
    check.integer("labels", labels, 1)
    _check_one_path(mdp)
    graph = coverage_graph(mdp, slips=False)
    if graph is None:
        value, states, room, made = _replayed(mdp, labels)
    else:
        value, states, refused, made = _search(graph, graph.weights, None, labels, -np.inf)
        room = refused == -np.inf
    # histories of the same elements were told apart by 64-bit keys: without the sets at hand that is not a proof
    proven = value if room and graph is not None else np.inf
    upper = np.inf if mdp.slip > 0 else min(proven, everything(mdp))
    return _path(mdp, states, upper, made)


def coverage_prices(mdp, iterations=1000, target=None, prices=None):
    """Prices lambda that make U(lambda) small: its minimum is the bound U2 of ``coverage_bound``, and every lambda gives a valid one.

    U(lambda) = sum_u (w_u - lambda_u) + optimum of the additive problem that pays lambda_u for every entry into u.

    Parameters
    ----------
    mdp : SubmodularMDP
        With an objective that is a coverage (Coverage, Mixture, Modular, Facility).
    iterations : int
        Steps, each one dynamic program over the reachable (h, s). 1000 bring the 30 x 30 grids within 1e-4 of the minimum.
    target : float, optional
        What the steps aim at, below the minimum. Default: the value of a truncated search, times 0.8 under slips; without one start and
        one successor for each pair, 0.8 times the best bound of no iteration.
    prices : array [U], optional
        Where to start; default half the weights.

    Returns
    -------
    Prices
        Those of the smallest bound, or zero prices where the total weight is smaller still.
    """
    from tabular_rl.kernels.submodular import graph as kernels

    check.integer("iterations", iterations, 1)
    graph = coverage_graph(mdp) or _refuse(mdp)
    now = graph.prices(graph.weights / 2 if prices is None else prices)
    if target is not None:
        target = check.number("target", target)
    else:
        target = 0.8 * graph.bound(now)
        if mdp.start is not None and (mdp.successors is not None or mdp.is_deterministic):
            target = (1.0 if mdp.slip == 0 else 0.8) * truncated_search(mdp).value
    upper = kernels.price_descent(graph.arrays, graph.cover, float(target), now, iterations, 60, 0.7)
    total = graph.weights.sum()
    return Prices(now, float(upper)) if upper < total else Prices(np.zeros_like(now), float(total))


def priced_search(mdp, labels=100, iterations=1000):
    """A truncated search, prices that aim at it, and a search with both: ``score`` = prices covered, pruned by the bound of the prices.

    Deterministic coverage problems with one start. ``upper`` is the certificate, or the value itself where nothing was refused.
    """
    check.integer("labels", labels, 1)
    graph = _deterministic_coverage(mdp)
    first = truncated_search(mdp)
    if first.optimal:
        return first
    prices, upper = coverage_prices(mdp, iterations, first.value)
    return _priced(mdp, graph, prices, upper, first, labels)


def _priced(mdp, graph, prices, upper, first, labels):
    upper = graph.floor(upper)
    value, states, refused, made = _search(graph, prices, graph.values(prices), labels, first.value)
    states = states if value > first.value else first.states
    found = max(value, first.value)
    return _path(mdp, states, min(upper, max(found, graph.floor(refused))), made + first.labels)


def branch_and_bound(mdp, labels=3000, iterations=20, root_iterations=1000):
    """Breadth first over prefixes, each with prices of its own; proves optimality unless more than ``labels`` prefixes are open at once.

    The bound of a prefix is price descent on what it leaves uncovered (``iterations`` steps from its parent's prices), and the greedy path
    of every step is a history: bounds fall and the incumbent rises. What is dropped for want of room keeps its bound: ``upper`` is
    valid in any case, and never above the certificate.

    Parameters
    ----------
    mdp : SubmodularMDP
        A deterministic coverage problem with one start.
    labels : int
        Open prefixes at most; memory 8 ``labels`` U bytes, time at most ``labels`` * ``iterations`` dynamic programs for each step.

    Returns
    -------
    Path
    """
    from tabular_rl.kernels.submodular import search as kernels

    check.integer("labels", labels, 1)
    check.integer("iterations", iterations, 0)
    graph = _deterministic_coverage(mdp)
    first = priced_search(mdp, 100, root_iterations)
    if first.optimal:
        return first
    root = coverage_prices(mdp, root_iterations, first.value)
    H, incumbent, states, made, dropped = mdp.horizon, first.value, first.states, first.labels, -np.inf
    start = mdp.start
    prefixes = kernels.Labels(np.array([start]), graph.covered_at(start)[None], np.array([graph.weight_at(start)]))
    prices, history = root.prices[None], []
    for h in range(H):
        with np.errstate(over="ignore"):
            prefixes, parents = kernels.expand(graph.arrays, graph.weights, graph.reachable, h, prefixes)
        n = len(parents)
        history.append((prefixes.nodes, parents))
        found = kernels.Residual(np.empty(n), np.empty((n, len(graph.weights))), np.empty(H + 1, np.int64))
        limits = incumbent, graph.grain(incumbent), iterations
        incumbent, winner = kernels.residual_bounds(graph.arrays, graph.weights, h + 1, prefixes, prices, parents, limits, found)
        if winner >= 0:
            states = np.concatenate([[start], _prefix(history, winner), found.path[h + 2 :]]) % mdp.n_states
        made += n
        order = np.argsort(-found.bounds, kind="stable")
        alive = int(np.sum(found.bounds > incumbent + graph.grain(incumbent)))
        if alive > labels:
            dropped = max(dropped, found.bounds[order[labels]])
        order = order[: min(alive, labels)]
        prefixes, prices = kernels.Labels(*(part[order] for part in prefixes)), found.prices[order]
        history[-1] = prefixes.nodes, parents[order]
        if not len(order):
            break
    return _path(mdp, states, min(first.upper, graph.floor(max(incumbent, dropped))), made)


def replan(mdp, n=1, seed=0, labels=1, discount=None):
    """``n`` trajectories of a slippery coverage problem that plan anew at every step, as if nothing slipped: (values [n], states [n, H+1]).

    A gain k steps ahead counts ``discount``^k; default 1 - slip (1 - 1/A), the probability that a step goes as planned: what is late in a
    plan is the least sure. No guarantee; a history-dependent policy, so ``coverage_prices`` bounds its mean.
    """
    from tabular_rl.kernels.submodular import search as kernels

    check.integer("n", n, 1)
    graph = coverage_graph(mdp, slips=False) or _refuse(mdp)
    _check_one_path(mdp)
    if mdp.successors is None:
        raise ValueError("mdp must be given by successors, got transition probabilities")
    discount = check.number("discount", 1 - mdp.slip * (1 - 1 / mdp.n_actions) if discount is None else discount, above=0, at_most=1)
    rng = check.generator(seed)
    values, states = np.full(n, graph.weight_at(mdp.start)), np.empty((n, mdp.horizon + 1), np.int64)
    start, limits = kernels.Start(mdp.start, graph.covered_at(mdp.start), 0), kernels.Limits(labels, -np.inf, 0.0, discount)
    with np.errstate(over="ignore"):
        kernels.replanned(graph.arrays, graph.weights, graph.reachable, start, mdp.slip, limits, rng, values, states)
    return values, states % mdp.n_states


def everything(mdp):
    """F of all elements, the trivial bound; inf for objectives that are not monotone, or where elements repeat."""
    if not mdp.objective.is_monotone or mdp.repeats:
        return np.inf
    return mdp.objective.value(np.arange(mdp.objective.n_elements)) * (1 + ROUNDING)


def _replayed(mdp, labels):
    """(value, states, whether there was room for every label, labels made)."""
    from tabular_rl.kernels.submodular.replay import replay_search

    if mdp.successors is not None:
        successors = np.array(mdp.successors)[None]
    else:
        successors = mdp.packed_transition.argmax(axis=-1)
    elements, n = np.array(mdp.packed_elements), mdp.objective.n_elements
    with np.errstate(over="ignore"):
        found = replay_search(successors, elements, mdp.repeats, mdp.objective.packed, n, mdp.start, mdp.horizon, labels)
    value, states, refused, made = found
    return value, states, not refused, made


def _search(graph: CoverageGraph, prices, values, labels, incumbent) -> tuple[float, Any, float, int]:
    from tabular_rl.kernels.submodular import search as kernels

    values = np.zeros(graph.reachable.place.shape) if values is None else values
    node = int(np.argmax(graph.initial))
    start, already = kernels.Start(node, graph.covered_at(node), 0), graph.weight_at(node)
    incumbent, grain = (incumbent, 0.0) if incumbent == -np.inf else (incumbent - already, graph.grain(incumbent))
    limits = kernels.Limits(labels, incumbent, grain, 1.0)
    with np.errstate(over="ignore"):  # sets are hashed modulo 2^64; uncompiled, NumPy would warn of it
        value, path, refused, made = kernels.label_search(graph.arrays, graph.reachable, graph.weights, prices, values, start, limits)
    return value + already, path % graph.n_states, refused + already, made


def _path(mdp, states, upper, labels):
    """The Path through ``states``, its value computed by the objective."""
    value = mdp.value(states)
    actions = np.empty(mdp.horizon, np.int64)
    for h in range(mdp.horizon):
        if mdp.successors is not None:
            actions[h] = np.argmax(mdp.successors[states[h]] == states[h + 1])
        else:
            actions[h] = np.argmax(mdp.packed_transition[h % len(mdp.packed_transition), states[h], :, states[h + 1]])
    return Path(value, states, actions, float(max(upper, value)), int(labels))


def _prefix(history, last):
    """Nodes of the layers from 1 on that lead to label ``last`` of the newest."""
    nodes = []
    for layer, parents in reversed(history):
        nodes.append(layer[last])
        last = parents[last]
    return nodes[::-1]


def _check_one_path(mdp):
    check.kind("mdp", mdp, SubmodularMDP)
    if mdp.start is None:
        raise ValueError("mdp must start in one state, its start is random: no policy gives a single history")
    if mdp.successors is None and not mdp.is_deterministic:
        raise ValueError("mdp must have one successor for each pair (up to slips), its transition is random")


def _deterministic_coverage(mdp):
    _check_one_path(mdp)
    if mdp.slip > 0:
        raise ValueError(f"mdp must be deterministic, got slip={mdp.slip}")
    return coverage_graph(mdp) or _refuse(mdp)


def _refuse(mdp):
    raise ValueError(f"the objective must be a coverage (Coverage, Mixture, Modular, Facility), got {type(mdp.objective).__name__}")
