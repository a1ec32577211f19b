"""Hedge over policies with delayed feedback: the steps of its bound (dapo spec, section 4, theorem HEDGE).

Experts i are policies with occupancies occ_i. An episode is played with the mixture x, of occupancy q; its losses arrive when the weights
are z, of occupancy q_z.

    lhat[h,s,a] = 1{(s_h,a_h) = (s,a)} loss / max(q, q_z),   y_i = eta <occ_i, lhat>,   z' = z exp(-y) / Z
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import occupancy
from proofs_check.claims.delayed.dapo_estimator import total_variation, trajectories
from proofs_check.claims.delayed.dapo_steps import comparators, entropy_decrease, interior, rates, updated
from proofs_check.claims.delayed.delayed_replay import SlowHedge, both_sides, chosen, late_worlds, replay, scaled
from proofs_check.strategies import MODEL_STYLES, STYLES, Model, Simplex, draw, episodic, policy, simplex_point, simplex_points, vectors
from tabular_rl.algorithms import DelayedHedge

SOURCE = "dapo spec, theorem HEDGE"


def experts(mdp, n, style, seed):
    """``n`` policies of ``mdp``: [n, H, S, A]."""
    return np.stack([policy(mdp, f"expert {i}", style, seed) for i in range(n)])


def weights_of_experts(mdp, n, name, style, seed):
    """A distribution over ``n`` experts; the ``name`` tells apart those of one instance."""
    return simplex_point(n, style, [seed, *name.encode()])


_tiny_mdps = draw(episodic, *[st.integers(1, 2)] * 3, st.sampled_from(MODEL_STYLES), space=Model())
_experts = draw(experts, 3, st.sampled_from(STYLES), space=Simplex(), fit=True)
_played, _arrived = (
    draw(weights_of_experts, 3, name, st.sampled_from(STYLES), space=Simplex(), fit=True) for name in ("played", "arrived")
)


class Feedback(NamedTuple):
    """Occupancies ``q``, ``q_now`` of both mixtures, the mean of lhat, and the ``charges`` <occ_i, lhat> [n, m] along all m paths."""

    q: Any
    q_now: Any
    mean: Any
    charges: Any
    probability: Any


def feedback(mdp, policies, x, z, adapt=True):
    """The Feedback of an episode played with weights ``x`` that arrives at the weights ``z``."""
    occ = np.stack([occupancy(mdp, pi) for pi in policies])
    q, q_now = np.tensordot(x, occ, 1), np.tensordot(z, occ, 1)
    larger = np.maximum(q, q_now) if adapt else q
    charged = np.where(larger > 0, mdp.reward / np.maximum(larger, 1e-300), 0)
    paths = [trajectories(mdp, pi) for pi in policies]
    probability = sum(weight * path.probability for weight, path in zip(x, paths, strict=True))
    charges = np.stack([np.sum(paths[0].at(one * charged), axis=0) for one in occ])
    mean = paths[0]._replace(probability=probability).mean_at(paths[0].at(charged), mdp.shape)
    return Feedback(q, q_now, mean, charges, probability)


@claim("delayed-hedge.weights-step", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(), vectors(0.0, 100.0), comparators, rates), control={"constant": 1 / 4})  # fmt: skip
def hedge_step(z, charges, u, eta, constant=1 / 2):
    """<z - u, f> <= (KL(u, z) - KL(u, z')) / eta + eta <z, f^2> / 2 for charges f >= 0 and every u.  Control: the constant 1/4."""
    z = interior(z)
    paid = entropy_decrease(z, eta * charges, u) / eta + constant * eta * (z @ charges**2)
    return (z - u) @ charges, paid, 100 * (1 + 1 / eta)


@claim("delayed-hedge.estimator", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, _experts, _played, _arrived), control={"drift": 0})  # fmt: skip
def hedge_estimator(mdp, policies, x, z, drift=1):
    """E lhat <= loss, and <q_z, loss - E lhat> <= sum (q_z - q)^+ <= H TV(z, x).  Control: as if lhat were unbiased."""
    heard = feedback(mdp, policies, x, z)
    H, increase = mdp.horizon, np.sum(np.maximum(heard.q_now - heard.q, 0))
    lhs = [*heard.mean.ravel(), np.sum(heard.q_now * (mdp.reward - heard.mean)), increase]
    return np.array(lhs), np.array([*mdp.reward.ravel(), drift * increase, H * total_variation(z, x)]), H


@claim("delayed-hedge.second-moment", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, _experts, _played, _arrived), control={"adapt": False})  # fmt: skip
def hedge_second_moment(mdp, policies, x, z, adapt=True):
    """E sum_i z_i <occ_i, lhat>^2 <= H^2 S A.  Control: importance weights 1 / q, without the delay adaptation.

    Proof: (sum of H terms)^2 <= H sum of squares, occ_i^2 <= occ_i, and q_z q / max(q, q_z)^2 <= 1.
    """
    heard = feedback(mdp, policies, x, z, adapt)
    return z @ heard.charges**2 @ heard.probability, mdp.horizon * np.prod(mdp.shape)


@claim("delayed-hedge.drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, _experts, _played, _arrived, rates), control={"factor": 1 / 2})  # fmt: skip
def hedge_drift(mdp, policies, x, z, eta, factor=1):
    """E TV(z, z') <= eta E <z, <occ, lhat>> <= eta H: how far one update moves the weights.  Control: half of it."""
    heard, z = feedback(mdp, policies, x, z), interior(z)
    moved = total_variation(np.exp(updated(z, eta * heard.charges.T)), z) @ heard.probability
    bound = eta * (z @ heard.charges @ heard.probability)
    return np.array([moved, bound]), np.array([factor * bound, eta * mdp.horizon]), eta


@claim("delayed-hedge.value-drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, _experts, _played, _arrived), control={"factor": 1 / 2})  # fmt: skip
def hedge_value_drift(mdp, policies, x, z, factor=1):
    """<x - z, L> <= H TV(x, z) for the experts' losses L_i = <occ_i, loss>: playing x in place of z.  Control: half of it."""
    losses = np.array([np.sum(occupancy(mdp, pi) * mdp.reward) for pi in policies])
    return (x - z) @ losses, factor * mdp.horizon * total_variation(x, z), mdp.horizon


@claim("delayed-hedge.replay", kind=identity, source="dapo spec, section 4 item 4", provenance="derived",
       given=(late_worlds(2, 2, 2), chosen([True, True, False], [0.03, 0.3, None])), control={"delay": 1})  # fmt: skip
def hedge_replay(late, settings, delay=0):
    """A run is that of the pseudo-code, draw by draw; its bound is log(N) / eta + eta H^2 (S A K / 2 + 2 D~), which the default eta
    makes least.

    Control: all feedback comes one episode later.
    """
    (adapted, eta, seed), (H, S, A), K = settings, late.shape, late.episodes
    trace, slow = DelayedHedge(eta, adapted).run(late.problem, K, seed=seed), SlowHedge(late, eta, adapted)
    N, spread = len(slow.x), sum(H * (H * S * A) / 2 for _ in range(K)) + sum(2 * H * H for _ in range(sum(late.waits)))
    slow.eta = best = math.sqrt(math.log(max(N, 2)) / spread) if eta is None else eta
    told, stated = trace.parameters, math.log(N) / best + best * spread if adapted else None
    numbers = scaled(1.0, told["bound"], stated), (told["learning_rate"], best), (told["policies"], N)
    return both_sides(trace, replay(late, slow, seed, delay=delay), *numbers)
