"""The delay-adapted estimator: its mean, its bias, its second moment, and what it costs (dapo spec, lemmas L2 and L9).

An episode was played with ``pi``, and its losses arrive when the policy is ``p``. The losses of these claims are the model's ``reward``.
Expectations are exact: sums over all trajectories of ``pi``. On floats weights and bonuses are those that DAPO's loop computes (``weigh``).

    Qhat[h,s,a] = 1{(s_h,a_h) = (s,a)} w[h,s,a] L_h,   L_h = losses from step h on,   r = pi / max(pi, p)
    adapted         w = r / (q pi + gamma),   q the occupancy of pi
    adapted_joint   w = 1 / (q max(pi, p) + gamma)

Where nothing else is said, both forms are drawn; ``plain`` (1 / (q pi + gamma)) and ``arrival_only`` (1 / (q p + gamma)) are the controls.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import dilated_bonus, evaluate, occupancy, state_occupancy
from proofs_check.strategies import STYLES, Simplex, draw, enumerable_mdps, policies, rows, scales
from tabular_rl.algorithms.delayed.dapo import ESTIMATORS, weigh

ADAPTED = ("adapted", "adapted_joint")
forms = st.sampled_from(ADAPTED)
explorations = scales(-3, 0)
SOURCE = "Lancewicki, Rosenberg, Sotnikov 2023; dapo spec"


class Trajectories(NamedTuple):
    """All n paths of a policy: ``cells`` [H, n] with s * A + a, their ``probability`` [n], and the losses to go ``to_go`` [H, n]."""

    cells: Any
    probability: Any
    to_go: Any

    def mean_at(self, values, shape):
        """E[1{(s_h, a_h) = (s, a)} X_h] [H, S, A] for ``values`` X [H, n]."""
        weighted, n = self.probability * values, shape[1] * shape[2]
        return np.stack([row.reshape(n**h, n, -1).sum(axis=(0, 2)) for h, row in enumerate(weighted)]).reshape(shape)

    def at(self, table):
        """A table [H, S, A] along the paths: [H, n]."""
        return np.stack([layer.ravel()[cells] for layer, cells in zip(table, self.cells, strict=True)])


@cache
def _cells(H, n):
    return np.indices((n,) * H).reshape(H, -1)


def trajectories(mdp, pi):
    """The Trajectories of ``pi``, on floats or fractions."""
    H, S, A = mdp.shape
    cells = _cells(int(H), S * A)
    probability = (mdp.initial[:, None] * pi[0]).ravel()
    for h in range(1, len(pi)):
        step = mdp.transition[h - 1].reshape(S * A, S)[:, :, None] * pi[h]
        probability = (probability.reshape(-1, S * A, 1) * step.reshape(S * A, S * A)).ravel()
    losses = np.stack([layer.ravel()[row] for layer, row in zip(mdp.reward, cells, strict=True)])
    return Trajectories(cells, probability, np.cumsum(losses[::-1], axis=0)[::-1])


def ratio_of(pi, p):
    """r = pi / max(pi, p), 0 where both are 0."""
    larger = np.maximum(pi, p)
    return pi / np.where(larger > 0, larger, 1)


class Weighed(NamedTuple):
    """``weights`` w [H, S, A], local ``bonus`` [H, S] and ``drift`` [H, S] of late feedback."""

    weights: Any
    bonus: Any
    drift: Any


def weighed(upper, lower, pi, p, gamma, form, c=0.0, confidence_bonus=1.0):
    """The Weighed that the loop of DAPO computes, for bounds on the occupancy [H, S]."""
    found = Weighed(np.empty(pi.shape), np.empty(pi.shape[:2]), np.zeros(pi.shape[:2]))
    tables = [np.array(table, float) for table in (upper, lower, pi, p)]
    weigh(ESTIMATORS.index(form), *tables, float(gamma), float(c), float(confidence_bonus), *found)
    return found


def local_bonus(q, pi, p, gamma, form, c):
    """b [H, S] = c sum_a p w: on floats the loop's."""
    if pi.dtype == object:
        return c * np.sum(p * importance_weights(q, pi, p, gamma, form), axis=-1)
    return weighed(q, q, pi, p, gamma, form, c).bonus


def importance_weights(q, pi, p, gamma, form):
    """w [H, S, A] of the estimator's ``form``, for the occupancy q [H, S]: on floats the loop's."""
    if pi.dtype != object and pi.ndim == 3:
        return weighed(q, q, pi, p, gamma, form).weights
    q = q[..., None]
    if form == "plain":
        return 1 / (q * pi + gamma)
    if form == "arrival_only":
        return 1 / (q * p + gamma)
    return 1 / (q * np.maximum(pi, p) + gamma) if form == "adapted_joint" else ratio_of(pi, p) / (q * pi + gamma)


def total_variation(p, pi):
    """[H, S], or one number for two distributions."""
    return np.sum(np.abs(p - pi), axis=-1) / 2


def to_go(mdp):
    """H - h as [H, 1, 1]: the most that the losses from step h on add up to."""
    return np.arange(len(mdp.transition), 0, -1)[:, None, None]


@claim("dapo.estimator-mean", kind=identity, source=f"{SOURCE} L2", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-1.8, 0),
              st.sampled_from((*ADAPTED, "plain", "arrival_only"))),
       control={"policy": "after the update"}, exact=True)  # fmt: skip
def estimator_mean(mdp, pi, p, gamma, form, policy="before"):
    """E Qhat = w q pi Q over the trajectories of pi, for every form of w, as long as the arrival policy does not depend on the trajectory.

    Control: the ratio looks at the policy after the update, which has seen the trajectory.
    """
    paths, q = trajectories(mdp, pi), state_occupancy(mdp, pi)
    w = importance_weights(q, pi, p, gamma, form)
    along = paths.at(w)
    if policy != "before":
        along = _weights_after_update(mdp, paths, q, pi, p, gamma, along)
    return paths.mean_at(along * paths.to_go, mdp.shape), w * q[..., None] * pi * evaluate(mdp, pi).q_values, mdp.horizon


def _weights_after_update(mdp, paths, q, pi, p, gamma, along, eta=0.5):
    """[H, n]: the adapted weights at the visited cells, with p' = p exp(-eta (Qhat - B)) / Z in place of p."""
    H, _, A = mdp.shape
    steps, states = np.arange(H)[:, None], paths.cells // A
    b = eta * H * np.sum(p * importance_weights(q, pi, p, gamma, "adapted"), axis=-1)
    gain = (eta * dilated_bonus(mdp, p, b))[steps, states]
    gain[np.arange(H)[:, None], np.arange(states.shape[1]), paths.cells % A] -= eta * along * paths.to_go
    row = p[steps, states] * np.exp(gain - gain.max(axis=-1, keepdims=True))
    row /= np.maximum(row.sum(axis=-1, keepdims=True), 1e-300)
    after = np.take_along_axis(row, (paths.cells % A)[..., None], axis=-1)[..., 0]
    played = paths.at(pi)
    return played / np.maximum(np.maximum(played, after), 1e-300) / (paths.at(q[..., None] * pi) + gamma)


@claim("dapo.estimator-below", kind=inequality, source=f"{SOURCE} L2a", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, st.sampled_from((*ADAPTED, "plain"))),
       control={"estimator": "arrival_only"})  # fmt: skip
def estimator_below(mdp, pi, p, gamma, form, estimator=None):
    """E Qhat <= Q: losses are never overestimated.  Control: the importance weight of the arrival policy alone."""
    paths = trajectories(mdp, pi)
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, estimator or form)
    return paths.mean_at(paths.at(w) * paths.to_go, mdp.shape), evaluate(mdp, pi).q_values, mdp.horizon


@claim("dapo.estimator-bias", kind=inequality, source=f"{SOURCE} L2b", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, forms), control={"drift": 0})  # fmt: skip
def estimator_bias(mdp, pi, p, gamma, form, drift=1):
    """Q - E Qhat <= (H - h) ((1 - r) + gamma w): the bias is how far the policy has moved, and the implicit exploration.

    Control: implicit exploration alone, as without delays.
    """
    paths = trajectories(mdp, pi)
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    bias = evaluate(mdp, pi).q_values - paths.mean_at(paths.at(w) * paths.to_go, mdp.shape)
    return bias, to_go(mdp) * (drift * (1 - ratio_of(pi, p)) + gamma * w), mdp.horizon


@claim("dapo.second-moment", kind=inequality, source=f"{SOURCE} L2c", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, st.sampled_from((*ADAPTED, "plain"))),
       control={"estimator": "arrival_only"})  # fmt: skip
def second_moment(mdp, pi, p, gamma, form, estimator=None):
    """E Qhat^2 <= (H - h)^2 w.  Control: the importance weight of the arrival policy alone."""
    paths = trajectories(mdp, pi)
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, estimator or form)
    return paths.mean_at((paths.at(w) * paths.to_go) ** 2, mdp.shape), to_go(mdp) ** 2 * w


@claim("dapo.importance-sum", kind=inequality, source=f"{SOURCE} L2d", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-1.8, 0), forms), control={"estimator": "plain"},
       exact=True)  # fmt: skip
def importance_sum(mdp, pi, p, gamma, form, estimator=None):
    """q sum_a p w <= A, whatever the policy has become: this is what the adaptation is for.  Control: the plain estimator.

    Proof: p pi / max(pi, p) <= pi, so every term is at most q pi / (q pi + gamma).
    """
    q = state_occupancy(mdp, pi)
    return q * np.sum(p * importance_weights(q, pi, p, gamma, estimator or form), axis=-1), mdp.shape[2] + 0 * q


@claim("dapo.exploration-sum", kind=inequality, source=f"{SOURCE} L2e", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-1.8, 0), forms), control={"weighted": False},
       exact=True)  # fmt: skip
def exploration_sum(mdp, pi, p, gamma, form, weighted=True):
    """gamma sum_a p w <= 1, also in states that pi never reaches.  Control: the sum without the weights p."""
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    cost = gamma * np.sum((p if weighted else 1) * w, axis=-1)
    return cost, 1 + 0 * cost


@claim("dapo.ratio-drift", kind=identity, source=f"{SOURCE} L2f", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived")), control={"weight": "played"}, exact=True)  # fmt: skip
def ratio_drift(mdp, pi, p, weight="arrived"):
    """sum_a p (1 - r) = TV(p, pi): the bound is an identity, p (1 - pi / max(pi, p)) = (p - pi)^+.  Control: weighted by pi."""
    moved = total_variation(p, pi) if pi.dtype == object else weighed(pi[..., 0], pi[..., 0], pi, p, 1.0, "adapted").drift
    return np.sum((p if weight == "arrived" else pi) * (1 - ratio_of(pi, p)), axis=-1), moved, 1


def cell_weights(mdp, style, seed):
    """A distribution over the H S A cells of ``mdp``, flat."""
    return rows(np.random.default_rng(seed), (int(np.prod(mdp.shape)),), style)


_weights = draw(cell_weights, st.sampled_from(STYLES), space=Simplex(), fit=True)


@claim("dapo.implicit-exploration", kind=inequality, source="Neu 2015; dapo spec L9", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), _weights, explorations, st.sampled_from((*ADAPTED, "plain"))),
       control={"exploration": 0})  # fmt: skip
def implicit_exploration(mdp, pi, p, z, gamma, form, exploration=1, factor=2):
    """log E exp((2 gamma / H) <z, Qhat>) <= (2 gamma / H) <z, Q> for weights z >= 0 of sum 1 over all (h, s, a).

    Multiplied over episodes: sum <z_n, Qhat_n - Q_n> <= H log(1/delta) / (2 gamma) with probability 1 - delta.
    Control: importance weights 1 / (q pi) without implicit exploration.

    Proof: x / (1 + x/2) <= log(1 + x) for x = 2 gamma L 1{.} / (H q pi); exp is convex in z.
    """
    paths, z = trajectories(mdp, pi), z.reshape(mdp.shape)
    visited = occupancy(mdp, pi)
    w = importance_weights(visited.sum(axis=-1), pi, p, gamma, form) if exploration else 1 / np.maximum(visited, 1e-200)
    likely = paths.probability > 0
    exponent = factor * gamma / mdp.horizon * np.sum(paths.at(z * w) * paths.to_go, axis=0)[likely]
    largest = exponent.max()
    lhs = largest + np.log(paths.probability[likely] @ np.exp(exponent - largest))
    return lhs, factor * gamma / mdp.horizon * np.sum(z * evaluate(mdp, pi).q_values), 1.0


def several_policies(mdp, n, style, seed):
    """``n`` policies of ``mdp``: [n, H, S, A]."""
    return rows(np.random.default_rng(seed), (n, *mdp.shape), style)


@claim("dapo.drift-deviation", kind=inequality, source="dapo spec, HP (E4, E5)", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), policies("comparator"),
              draw(several_policies, st.integers(1, 4), st.sampled_from(STYLES), space=Simplex(), fit=True), st.integers(0, 3),
              explorations, forms), control={"shrunk": 2})  # fmt: skip
def drift_deviation(mdp, pi, p, comparator, waiting, more, gamma, form, shrunk=1):
    """log E exp((2 gamma / H) <z, Qhat>) <= (2 gamma / H) <z, Q> for the weights with which one update enters the drift of the m episodes
    that wait: z = m (H - h) q* p / (m_max H^2) under the comparator's occupancy, of total at most (H + 1) / (2 H), and z = (H - 1 - h) W p
    / (m_max H^2) under those of the policies that wait, W the sum of theirs, of total at most (H - 1) / (2 H); m <= m_max.

    Control: half of the two totals.
    """
    H, m = mdp.horizon, len(waiting)
    m_max, paths = m + more, trajectories(mdp, pi)
    w, q_values = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form), evaluate(mdp, pi).q_values
    W = sum(state_occupancy(mdp, one) for one in waiting)[..., None]
    E4 = m * to_go(mdp) * state_occupancy(mdp, comparator)[..., None] * p / (m_max * H**2)
    E5 = (to_go(mdp) - 1) * W * p / (m_max * H**2)
    lhs, rhs = [E4.sum(), E5.sum()], [(H + 1) / (2 * H) / shrunk, (H - 1) / (2 * H) / shrunk]
    likely = paths.probability > 0
    for z in (E4, E5):
        exponent = 2 * gamma / H * np.sum(paths.at(z * w) * paths.to_go, axis=0)[likely]
        lhs.append(np.log(paths.probability[likely] @ np.exp(exponent)))
        rhs.append(2 * gamma / H * np.sum(z * q_values))
    return np.array(lhs), np.array(rhs), 1.0


@claim("dapo.lower-deviation", kind=inequality, source="dapo spec, HP (E1)", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), policies("comparator"), explorations, scales(-2, 1), forms),
       control={"constant": 1 / 4})  # fmt: skip
def lower_deviation(mdp, pi, p, comparator, gamma, rate, form, constant=1 / 2):
    """log E exp(l (E Y - Y)) <= l^2 E Y^2 / 2 for Y = sum_h <q* p, Qhat> >= 0 and every l > 0.

    Multiplied over episodes it bounds how much of the estimated loss may be missing. Control: the constant 1/4.
    """
    paths = trajectories(mdp, pi)
    Y = _weighted_estimate(mdp, paths, pi, p, comparator, gamma, form)
    rate, mean = rate / max(1.0, Y.max()), paths.probability @ Y
    return np.log(paths.probability @ np.exp(rate * (mean - Y))), constant * rate**2 * (paths.probability @ Y**2), 1.0


@claim("dapo.squared-sum", kind=inequality, source="dapo spec, HP (E1)", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), policies("comparator"), explorations, forms),
       control={"power": 2})  # fmt: skip
def squared_sum(mdp, pi, p, comparator, gamma, form, power=3):
    """E Y^2 <= H^3 sum_h <q*, <p, w>> for Y = sum_h <q* p, Qhat>.  Control: H^2, as if the steps were independent."""
    paths = trajectories(mdp, pi)
    Y = _weighted_estimate(mdp, paths, pi, p, comparator, gamma, form)
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    return paths.probability @ Y**2, mdp.horizon**power * np.sum(state_occupancy(mdp, comparator)[..., None] * p * w)


def _weighted_estimate(mdp, paths, pi, p, comparator, gamma, form):
    """Y [n] = sum_h <q* p, Qhat> along the paths."""
    w = importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    return np.sum(paths.at(state_occupancy(mdp, comparator)[..., None] * p * w) * paths.to_go, axis=0)
