"""Unknown transitions: occupancy bounds and optimistic bonuses over a confidence set, with the kernels that DAPO runs (dapo spec 2.5, L10).

The set of a row is {p' in the simplex: |p' - estimate| <= radius entrywise}. In these instances it contains the true row.
"""

import math
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import evaluate, state_occupancy
from proofs_check.claims.delayed.dapo_estimator import (
    explorations,
    forms,
    importance_weights,
    ratio_of,
    to_go,
    total_variation,
    trajectories,
    weighed,
)
from proofs_check.strategies import STYLES, Box, Simplex, bonuses, draw, enumerable_mdps, policies, rows, scales, simplex_points, vectors
from tabular_rl.kernels.episodic.confidence import bernstein_confidence, extreme_expectation, occupancy_bounds, optimistic_dilated_bonus
from tabular_rl.models import FiniteHorizonMDP

SOURCE = "Jin, Jin, Luo, Sra, Yu 2020; dapo spec L10"


def estimated_rows(mdp, style, seed):
    """An estimate of the transition of ``mdp``, as wrong as it likes."""
    return rows(np.random.default_rng(seed), mdp.transition.shape, style)


def slack_of_rows(mdp, seed):
    """What a radius has beyond the error: in [0, 1], half of the entries 0."""
    return np.maximum(np.random.default_rng(seed).uniform(-1, 1, mdp.transition.shape), 0)


_estimates = draw(estimated_rows, st.sampled_from(STYLES), space=Simplex(), fit=True)
_slacks = draw(slack_of_rows, space=Box(0.0, 1.0), fit=True)


def _bounds(mdp, pi, estimate, radius):
    upper, lower = np.empty(mdp.shape[:2]), np.empty(mdp.shape[:2])
    occupancy_bounds(np.ascontiguousarray(estimate), np.minimum(radius, 1), np.ascontiguousarray(pi), mdp.initial, upper, lower)
    return upper, lower


@cache
def _corners(n):
    """Rows (free coordinate, upper end or not of the others): where a box meets the simplex in a vertex."""
    return np.array([(i, *sides) for i in range(n) for sides in product((0, 1), repeat=n)])


def largest_expectation(estimate, radius, values):
    """max <p', values> over the set of a row: the linear program, by listing the vertices of its polytope."""
    n = len(estimate)
    corners = _corners(n)
    low, high = np.maximum(estimate - radius, 0), np.minimum(estimate + radius, 1)
    points, free = np.where(corners[:, 1:] == 1, high, low), corners[:, 0]
    index = np.arange(len(points))
    points[index, free] = 0
    points[index, free] = 1 - points.sum(axis=1)
    feasible = (points[index, free] >= low[free] - 1e-13) & (points[index, free] <= high[free] + 1e-13)
    return np.max(points[feasible] @ values)


@claim("dapo.extreme-expectation", kind=identity, source=SOURCE, provenance="derived",
       given=(simplex_points(5), vectors(), vectors(-1.0, 1.0)), control={"descending": False})  # fmt: skip
def greedy_extreme(estimate, radius, values, descending=True):
    """Filling the box from its lower ends in decreasing order of the values attains the maximum of the linear program.

    The program is solved by listing the vertices of its polytope. Control: the increasing order.
    """
    order = np.argsort(-values if descending else values)
    return extreme_expectation(estimate, radius, order, values), largest_expectation(estimate, radius, values), 1.0


@claim("dapo.occupancy-bounds", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies(), _estimates, _slacks), control={"covered": 0.5})  # fmt: skip
def bounds_of_occupancy(mdp, pi, estimate, slack, covered=1.0):
    """l <= q <= u when the set contains the true transition.  Control: radii of half of the error."""
    q = state_occupancy(mdp, pi)
    upper, lower = _bounds(mdp, pi, estimate, covered * np.abs(mdp.transition - estimate) + (covered == 1) * slack)
    return np.stack([lower, q]), np.stack([q, upper]), 1


@claim("dapo.occupancy-bounds-exact", kind=identity, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies()), control={"radius": 0.01})  # fmt: skip
def bounds_without_radius(mdp, pi, radius=0.0):
    """u = l = q when the estimate is the truth and the radius 0.  Control: the radius 0.01."""
    q = state_occupancy(mdp, pi)
    return np.stack(_bounds(mdp, pi, mdp.transition, np.full(mdp.transition.shape, radius))), np.stack([q, q]), 1


@claim("dapo.occupancy-bounds-monotone", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies(), _estimates, _slacks), control={"swapped": True})  # fmt: skip
def bounds_are_monotone(mdp, pi, estimate, slack, swapped=False):
    """A larger radius never lowers u, and never raises l.  Control: the other way round for l."""
    radius = np.abs(mdp.transition - estimate) / 2
    (u, l), (wide_u, wide_l) = _bounds(mdp, pi, estimate, radius), _bounds(mdp, pi, estimate, radius + slack)
    return np.stack([u, l if swapped else wide_l]), np.stack([wide_u, wide_l if swapped else l]), 1


@claim("dapo.optimistic-telescoping", kind=inequality, source="dapo spec 2.5 and L4", provenance="derived",
       given=(enumerable_mdps(), policies("arrived"), policies("comparator"), _estimates, _slacks, bonuses()),
       control={"covered": 0.5})  # fmt: skip
def optimistic_telescoping(mdp, p, comparator, estimate, slack, b, covered=1.0):
    """sum q* (b + Bbar/H) + sum q* <p - pi*, B> <= (1 + 1/H) <initial, Bbar[0]> for B propagated with the best transition of the set.

    The dapo spec L4 as an inequality, when the set contains the true transition. Control: radii of half of the error.
    """
    H = mdp.horizon
    radius = covered * np.abs(mdp.transition - estimate) + (covered == 1) * slack
    B, values = np.empty(mdp.shape), np.empty((H + 1, mdp.n_states))
    optimistic_dilated_bonus(estimate, np.minimum(radius, 1), p, b, 1 + 1 / H, B, values)
    B_bar, q_star = np.sum(p * B, axis=-1), state_occupancy(mdp, comparator)
    lhs = np.sum(q_star * (b + B_bar / H)) + np.sum(q_star[..., None] * (p - comparator) * B)
    return lhs, (1 + 1 / H) * (mdp.initial @ B_bar[0]), np.abs(B).max() * H


def _around(q, above, below):
    return q + above * (1 - q), q * below


@claim("dapo.optimistic-bias", kind=inequality, source="dapo spec 2.5 and L2b", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), bonuses(), bonuses(), explorations, forms),
       control={"width": 0})  # fmt: skip
def optimistic_bias(mdp, pi, p, above, below, gamma, form, width=1):
    """0 <= Q - E Qhat <= (H - h) ((1 - r) + w (gamma + (u - l) pi)) for importance weights with u in place of q, l <= q <= u.

    Control: the bias of the known transition.
    """
    q = state_occupancy(mdp, pi)
    upper, lower = _around(q, above, below)
    paths, w = trajectories(mdp, pi), importance_weights(upper, pi, p, gamma, form)
    bias = evaluate(mdp, pi).q_values - paths.mean_at(paths.at(w) * paths.to_go, mdp.shape)
    bound = to_go(mdp) * ((1 - ratio_of(pi, p)) + w * (gamma + width * (upper - lower)[..., None] * pi))
    return np.stack([-bias, bias]), np.stack([0 * bound, bound]), mdp.horizon


@claim("dapo.optimistic-cost", kind=inequality, source="dapo spec section 6, unknown dynamics", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), bonuses(), bonuses(), explorations, forms),
       control={"estimator": "plain"})  # fmt: skip
def optimistic_cost(mdp, pi, p, one, other, gamma, form, estimator=None):
    """u b <= c A + (H - h) (u - l) per state for b = sum_a p w (c + (H - h) (u - l) pi), any 0 <= l <= u <= 1 and c = gamma H.

    Control: the plain estimator.
    """
    upper, lower, c = np.maximum(one, other), np.minimum(one, other), gamma * mdp.horizon
    b = weighed(upper, lower, pi, p, gamma, estimator or form, c).bonus
    return upper * b, c * mdp.shape[2] + to_go(mdp)[..., 0] * (upper - lower)


class Uncertain(NamedTuple):
    """``mdp`` with rows in the confidence set of ``estimate`` and ``radius`` [H, S, A, S]; the policy ``pi`` meets ``p`` at arrival."""

    mdp: FiniteHorizonMDP
    estimate: Any
    radius: Any
    pi: Any
    p: Any


def uncertain_model(H, kind, seed):
    """An Uncertain: "random", or the "detour" of the dapo spec, section 6, to which the true transition never leads."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        P, estimate = rows(rng, (H, 3, 2, 3), "smooth"), rows(rng, (H, 3, 2, 3), "smooth")
        pi, p = (rows(rng, (H, 3, 2), style) for style in ("peaked", "smooth"))
        radius = np.abs(P - estimate) + np.maximum(rng.uniform(-1, 0.3, P.shape), 0)
        return Uncertain(FiniteHorizonMDP(P, np.zeros((H, 3, 2)), 0), estimate, np.minimum(radius, 1), pi, p)
    start, x, known, y, z = range(5)  # known: where the start leads; x: where the set also allows to go; y, z: absorbing
    P, radius, likely = np.zeros((H, 5, 2, 5)), np.zeros((H, 5, 2, 5)), rng.uniform(0.02, 0.4)
    P[:, start, :, known] = P[:, known, :, z] = P[:, y, :, y] = P[:, z, :, z] = P[:, x, 0, z] = P[:, x, 1, y] = 1
    radius[0, start, :, x] = radius[0, start, :, known] = likely
    pi = np.tile([1.0, 0.0], (H, 5, 1))
    p = pi.copy()
    p[:, x] = 0.0, 1.0
    return Uncertain(FiniteHorizonMDP(P, np.zeros((H, 5, 2)), start), P, radius, pi, p)


_uncertain = draw(uncertain_model, st.integers(1, 4), st.sampled_from(("random", "detour")))


@claim("dapo.optimistic-bonus-value", kind=inequality, source="dapo spec 6, unknown transition", provenance="derived",
       given=(_uncertain, explorations, forms), control={"weighted_by": "occupancy"})  # fmt: skip
def optimistic_bonus_value(instance, gamma, form, weighted_by="upper"):
    """(1 + 1/H) <initial, Bbar[0]> <= (1 + 1/H)^H [c H S A + sum_h (H - h) U_h + bmax sum_h (H - 1 - h) sum_s u TV(p, pi)] for the bonus of
    an unknown transition, with U_h = sum_s (u - l), bmax = c / gamma + H and c = gamma H.

    Control: the drift under the true occupancy, as first stated (see the correction in the dapo spec, section 6).
    """
    mdp, estimate, radius, pi, p = instance
    (H, S, A), c = mdp.shape, gamma * mdp.horizon
    upper, lower = _bounds(mdp, pi, estimate, radius)
    local, B, values = weighed(upper, lower, pi, p, gamma, form, c), np.empty(mdp.shape), np.empty((H + 1, S))
    optimistic_dilated_bonus(estimate, radius, p, local.bonus, 1 + 1 / H, B, values)
    U, steps = np.sum(upper - lower, axis=1), np.arange(H, 0, -1)
    weights = upper if weighted_by == "upper" else state_occupancy(mdp, pi)
    moved = (steps - 1) @ np.sum(weights * total_variation(p, pi), axis=1)
    bound = (1 + 1 / H) ** H * (c * H * S * A + steps @ U + (c / gamma + H) * moved)
    return (1 + 1 / H) * (mdp.initial @ values[0]), bound


def counted(S, K, seed):
    """Counts [K, S] of 1 to K draws from a row that is often nearly deterministic."""
    rng = np.random.default_rng(seed)
    row = rows(rng, (S,), rng.choice(["smooth", "peaked", "deterministic"]))
    return np.cumsum(rng.multinomial(1, row, size=K), axis=0).astype(float)


@claim("dapo.confidence-radius", kind=inequality, source="Maurer, Pontil 2009; dapo spec 2.5, CS", provenance="derived",
       given=(draw(counted, st.integers(2, 12), st.sampled_from((2, 3, 8, 50))), st.integers(1, 3), st.integers(1, 3), scales(-3, 0)),
       control={"factor": 0.6})  # fmt: skip
def confidence_radius(counts, H, A, delta, factor=1):
    """The radius at log(H S A K / delta) is at least that of the empirical Bernstein inequality for the level 4 delta / (H S^2 A K), sqrt(
    2 m L / (n - 1)) + 7 L / (3 (n - 1)) at a mean m with L = log(4 / level), or the largest deviation possible. Added up over H S A rows, S
    entries and K counts these levels are the failure probability 4 delta.

    Control: radii of three fifths.
    """
    K, S = counts.shape
    n = np.arange(1.0, K + 1)
    estimate, radius = (np.empty((K, S, 1, S)) for _ in range(2))  # S times the same row
    visits, seen = np.tile(n[:, None, None], (1, S, 1)), np.tile(counts[:, None, None], (1, S, 1, 1))
    bernstein_confidence(visits, seen, math.log(H * S * A * K / delta), estimate, radius)
    level, left, mean = 4 * delta / (H * S**2 * A * K), np.maximum(n - 1, 1)[:, None], counts / n[:, None]
    needed = np.sqrt(2 * mean * math.log(4 / level) / left) + 7 * math.log(4 / level) / (3 * left)
    most = np.maximum(mean, 1 - mean)
    needed = np.where(n[:, None] == 1, most, np.minimum(needed, most))
    return np.array([*needed.ravel(), *mean.ravel()]), np.array([*(factor * radius[:, 0, 0]).ravel(), *estimate[:, -1, 0].ravel()])
