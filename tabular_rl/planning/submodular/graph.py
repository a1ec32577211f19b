"""Coverage problems as graphs for the kernels: which objectives are coverages, and the bound of prices."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.submodular import Coverage, Facility, Mixture, Modular, Sets


class CoverageForm(NamedTuple):
    """Weights [U] of items and the ``sets`` of items of ground elements; ``elements`` [1 or H+1, S] as in the model."""

    weights: np.ndarray
    sets: Sets
    elements: np.ndarray


def coverage_form(mdp):
    """The CoverageForm of a problem whose objective is one (Coverage, Mixture, Modular, Facility), else None.

    Facility location is the coverage of levels: the item (u, i) has the weight of the step from the (i-1)-th to the i-th smallest
    similarity to u, and the elements at least that similar cover it. What is modular is covered by items of its own.
    """
    objective = check.kind("mdp", mdp, SubmodularMDP).objective
    if isinstance(objective, Coverage):
        return CoverageForm(objective.weights, objective.sets, mdp.packed_elements)
    if isinstance(objective, Facility):
        weights, sets = _levels(objective.similarity, objective.weights)
        return CoverageForm(weights, sets, mdp.packed_elements)
    if not isinstance(objective, Mixture | Modular):
        return None
    ground = mdp.ground_set()
    elements = ground.elements if mdp.repeats else mdp.packed_elements
    if isinstance(objective, Mixture):
        modular, covered = (1 - objective.c) * objective.modular, objective.c * objective.weights
        rows = [[*_row(objective.sets, e), len(covered) + j] for j, e in enumerate(ground.types)]
    else:
        modular, covered, rows = objective.weights, np.zeros(0), [[j] for j in range(ground.n)]
    weights = np.concatenate([covered, modular[ground.types]])
    return CoverageForm(weights, Sets.of("sets", rows, len(weights)), elements)


def _row(sets, e):
    return sets.items[sets.offsets[e] : sets.offsets[e + 1]]


def _levels(similarity, weights):
    """(weights, sets) of the levels of a facility location."""
    n, rows, steps, first = len(similarity), [[] for _ in range(len(similarity))], [], 0
    for u in range(similarity.shape[1]):
        levels = np.unique(similarity[:, u][similarity[:, u] > 0])
        steps.append(weights[u] * np.diff(levels, prepend=0.0))
        for v in range(n):
            rows[v].extend(range(first, first + int(np.searchsorted(levels, similarity[v, u], side="right"))))
        first += len(levels)
    return np.concatenate(steps), Sets.of("similarity", rows, max(first, 1))


@dataclass(frozen=True, eq=False)
class CoverageGraph:
    """A coverage problem: ``arrays``, the Graph of ``kernels.submodular.graph``; ``initial`` [N], ``weights`` [U], ``started`` [U]: the
    probability that the start covers u; ``sets``, ``elements`` [1 or H+1, S].
    """

    arrays: Any
    initial: np.ndarray
    weights: np.ndarray
    started: np.ndarray
    sets: Sets
    elements: np.ndarray

    @property
    def n_states(self):
        """S; node h * S + s is (h, s) where the world changes with time, else nodes are states."""
        return self.elements.shape[1]

    @property
    def words(self):
        """64-bit words of a set of items."""
        return (len(self.weights) + 63) // 64

    @property
    def cover(self):
        """The Cover of ``kernels.submodular.graph``."""
        from tabular_rl.kernels.submodular.graph import Cover

        return Cover(self.weights, self.initial, self.started)

    @cached_property
    def reachable(self):
        """The Reach of ``kernels.submodular.graph``."""
        from tabular_rl.kernels.submodular.graph import reachable_items

        return reachable_items(self.arrays, self.words)

    def items_at(self, s):
        """Items that state s covers at time 0."""
        e = self.elements[0, s]
        return _row(self.sets, e) if e >= 0 else np.zeros(0, np.int64)

    def covered_at(self, s):
        """The same as a set of words."""
        bits = np.zeros(64 * self.words, np.uint8)
        bits[self.items_at(s)] = 1
        return np.packbits(bits, bitorder="little").view(np.uint64)

    def weight_at(self, s):
        """Their weight."""
        return float(self.weights[self.items_at(s)].sum())

    def prices(self, prices):
        """A validated copy of ``prices``."""
        prices = np.array(check.real_array("prices", prices, self.weights.shape))
        outside = (prices < 0) | (prices > self.weights)
        if outside.any():
            u = int(np.argmax(outside))
            raise ValueError(f"prices[{u}] is {prices[u]}, expected a number in [0, {self.weights[u]}], the weight")
        return prices

    def values(self, prices):
        """[H + 1, N] values of the additive problem that pays ``prices`` for entries."""
        return self._evaluate(prices)[1]

    def bound(self, prices):
        """U(prices), a bound on the value of every policy."""
        return self._evaluate(prices)[0]

    def _evaluate(self, prices):
        from tabular_rl.kernels.submodular import graph as kernels

        additive = kernels.additive_problem(self.arrays)
        return float(kernels.price_bound(self.arrays, self.cover, prices, additive)), additive.values

    def grain(self, value):
        """What a bound may exceed ``value`` by without a better history existing: integer weights give integer values."""
        return 1 - 1e-6 if self._whole else 1e-9 * abs(value)

    def floor(self, bound):
        """The largest value of a deterministic policy up to ``bound``."""
        return float(np.floor(bound + 1e-6)) if self._whole and np.isfinite(bound) else float(bound)

    @cached_property
    def _whole(self):
        return bool(np.all(self.weights == np.round(self.weights)))


def coverage_graph(mdp, slips=True, entering=True):
    """The CoverageGraph of ``mdp``, None if its objective is not a coverage.

    Without ``slips`` every action does what it means; without ``entering`` every visit counts, not only the first of a stay.
    """
    form = coverage_form(mdp)
    if form is None:
        return None
    return graph_of_sets(mdp, form.sets, form.weights, form.elements, slips, entering)


def graph_of_sets(mdp, sets, weights, elements=None, slips=True, entering=True):
    """The CoverageGraph of the coverage by ``sets`` of the ``elements`` [1 or H + 1, S] (default: the model's), with ``weights`` [U]."""
    from tabular_rl.kernels.submodular import graph as kernels

    H, S, A = check.kind("mdp", mdp, SubmodularMDP).shape
    elements = np.array(mdp.packed_elements if elements is None else elements)
    if mdp.successors is not None:
        P, successors = np.zeros((1, 1, A, 1)), np.array(mdp.successors)
    else:
        P, successors = np.array(mdp.packed_transition), np.zeros((0, A), np.int64)
    expanded = len(elements) > 1 or len(P) > 1
    edge_offsets, targets, ends, choices, odds = kernels.edges_of(P, successors, S, expanded, H)
    offsets, items = np.array(sets.offsets), np.array(sets.items)
    item_offsets, entered = kernels.entered_items(edge_offsets, ends, elements, offsets, items, S, len(weights), entering)
    layer_offsets, layer_nodes = kernels.layers_of(edge_offsets, targets, np.flatnonzero(mdp.initial), H)
    slip = float(mdp.slip) if slips else 0.0
    arrays = kernels.Graph(edge_offsets, targets, item_offsets, entered, choices, odds, slip, layer_offsets, layer_nodes)
    initial = np.zeros(len(edge_offsets) - 1)
    initial[:S] = mdp.initial
    started = np.zeros(len(weights))
    for s in np.flatnonzero(mdp.initial):
        if elements[0, s] >= 0:
            started[_row(sets, elements[0, s])] += mdp.initial[s]
    return CoverageGraph(arrays, initial, np.array(weights), np.minimum(started, 1.0), sets, elements)
