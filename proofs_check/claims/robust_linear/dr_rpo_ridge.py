"""Ridge regression one visit at a time: rank-one updates against matrices inverted anew (dr_rpo spec, section 2.2), and resampling."""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity
from proofs_check.claims.robust_linear.dr_rpo_twin import rectangular_model
from proofs_check.strategies import draw
from tabular_rl.algorithms import DRRPO
from tabular_rl.algorithms.robust_linear.dr_rpo import learn
from tabular_rl.kernels.linear import ridge as kernel


class Pairs(NamedTuple):
    """Vectors ``x`` [K, d] with sum 1, or unit vectors; labels ``t`` [K] of S kinds; targets ``y`` [K]; ``ridge`` > 0."""

    x: Any
    t: Any
    y: Any
    S: int
    ridge: float


def pairs_of(d, S, K, hot, seed):
    """Pairs."""
    rng = np.random.default_rng(seed)
    x = np.eye(d)[rng.integers(d, size=K)] if hot else rng.dirichlet(np.ones(d), K)
    return Pairs(x, rng.integers(S, size=K), rng.normal(size=K), S, float(np.exp(rng.uniform(-2, 1))))


_pairs = draw(pairs_of, st.integers(1, 5), st.integers(1, 4), st.integers(1, 12), st.booleans())


@claim("dr-rpo.ridge-update", kind=identity, source="dr_rpo spec 2.2", provenance="classical",
       given=(_pairs,), control={"share": 0.9})  # fmt: skip
def ridge_updates(p, share=1.0):
    """Rank-one updates keep inverse = (ridge I + sum x x^T)^-1, weights = inverse moments and the growth of log det; a refresh makes both
    anew; counts do the same for unit vectors; regression_update for one target.

    Control: 0.9 of the ridge.
    """
    (K, d), S = p.x.shape, p.S
    inverse, weights, gram, moments, direction = np.eye(d) / p.ridge, np.zeros((d, S)), p.ridge * np.eye(d), np.zeros((d, S)), np.empty(d)
    single, sums, counts, visits = np.eye(d) / p.ridge, np.zeros(d), np.zeros((d, S)), np.zeros(d)
    grown, doubled = np.zeros(3), []
    for x, t, y in zip(p.x, p.t, p.y, strict=True):
        grown[0] += kernel.ridge_update(x, t, inverse, weights, gram, moments, direction)
        grown[1] += kernel.regression_update(x, y, single, sums, direction)
        if x.max() == 1:
            i = int(x.argmax())
            grown[2] += kernel.count_update(counts[i], t, visits[i] + p.ridge)
            visits[i] += 1
        doubled.append(kernel.doubled(np.array([-1.0, grown[0]]), np.array([0.0, 0.0])))
    hot, fresh, stale = visits.sum() == K, np.full((d, d), 7.0), np.full((d, S), 7.0)
    kernel.ridge_refresh(gram, moments, fresh, stale, np.empty((d, d)))
    length = [kernel.quadratic_form(inverse, p.x[0], p.x[-1]), kernel.update_direction(p.x[0], inverse, direction)]
    G = share * p.ridge * np.eye(d) + p.x.T @ p.x
    L, M, prefixes = np.linalg.inv(G), p.x.T @ np.eye(S)[p.t], [p.x[: k + 1].T @ p.x[: k + 1] for k in range(K)]
    logdets = [np.linalg.slogdet(np.eye(d) + P / p.ridge)[1] for P in prefixes]
    W, logdet = np.linalg.solve(G, M), np.linalg.slogdet(G / (share * p.ridge))[1]
    lhs = [inverse, weights, gram, moments, fresh, stale, single, single @ sums, grown[:2], doubled, length, direction]
    rhs = [L, W, G, M, L, W, L, np.linalg.solve(G, p.x.T @ p.y), [logdet] * 2, np.array(logdets) >= math.log(2) - 1e-9]
    rhs += [[p.x[0] @ L @ p.x[-1], 1 + p.x[0] @ L @ p.x[0]], L @ p.x[0]]
    if hot:
        lhs, rhs = [*lhs, counts, grown[2:]], [*rhs, W, [logdet]]
    return np.concatenate([np.ravel(side) for side in lhs]), np.concatenate([np.ravel(side) for side in rhs]), 100.0


@claim("dr-rpo.ridge-learner", kind=identity, source="dr_rpo spec 2.2", provenance="derived",
       given=(draw(rectangular_model, st.integers(3, 5), st.integers(2, 3), st.integers(2, 4), st.integers(1, 4), st.just(False)),
              st.sampled_from([0, 1, 3])), control={"repaired": False})  # fmt: skip
def ridge_learner(mdp, refresh, repaired=True):
    """After 12 episodes the learner's inverses, estimates, determinants and widths are those of its own sums over visits.

    Also where the inverses are refreshed, at every visit or at every third; at every visit even after damage done before the run.
    Control: the damage without the repair.
    """
    state, damaged = DRRPO(tau=0.2, scale=0.1, kind="linear", evaluate_every=12).prepare(mdp, 12), refresh == 1 or not repaired
    rules, learner, plan = state.rules, state.learner, state.plan
    if damaged:
        learner.inverse[:] *= 1.01
    unused = np.zeros((2, *plan.values.shape))
    state = state._replace(rules=rules._replace(refresh=refresh if repaired else 0))
    learn(*state, unused, 12, np.array([12]), np.random.default_rng(7))
    met = learner.moments.sum(axis=(1, 2)) > 0
    L = np.linalg.inv(learner.gram)
    if not met.any():  # the start fails
        L = learner.inverse.copy()
    width = rules.beta[:, None] * np.sqrt(np.einsum("hii->hi", L)) * met[:, None]
    logdet = np.linalg.slogdet(learner.gram)[1]
    visits = learner.gram.sum(axis=(1, 2)) - mdp.dimension, learner.moments.sum(axis=(1, 2))
    lhs = [learner.inverse, learner.weights, learner.width * met[:, None], visits[0]]
    rhs = [L, L @ learner.moments, width, visits[1]]
    if not damaged:
        lhs, rhs = [*lhs, learner.logdet], [*rhs, logdet]
    return np.concatenate([np.ravel(side) for side in lhs]), np.concatenate([np.ravel(side) for side in rhs]), 10.0


@claim("dr-rpo.ridge-resampling", kind=identity, source="dapo spec 3.1", provenance="classical",
       given=(_pairs, st.integers(1, 20)), control={"late": 0})  # fmt: skip
def resampled_inverse(p, N, late=1):
    """N steps of geometric resampling from one vector x give M^-1 (I - (I - step M)^(N+1)), M = gamma I + x x^T; covariances add up.

    Control: the power N.
    """
    x, gamma = p.x[0], p.ridge
    d, step = len(x), 0.5 / (gamma + 1)
    product, inverse, work = np.eye(d), step * np.eye(d), np.empty(d)
    for _ in range(N):
        kernel.resample_inverse(x, gamma, step, product, work, inverse)
    M = gamma * np.eye(d) + np.outer(x, x)
    power = np.linalg.matrix_power(np.eye(d) - step * M, N + late)
    policy, weights, covariance, inverted = np.abs(p.y)[:, None] / 3, np.abs(p.y[::-1]).copy(), gamma * np.eye(d), np.empty((d, d))
    weights[0] = 0.0
    kernel.add_covariance(np.ascontiguousarray(p.x[:, None]), weights, policy, covariance)
    C = gamma * np.eye(d) + np.einsum("s,s,si,sj->ij", weights, policy[:, 0], p.x, p.x)
    kernel.invert(covariance.copy(), inverted)
    lhs, rhs = [inverse, covariance, inverted], [np.linalg.solve(M, np.eye(d) - power), C, np.linalg.inv(C)]
    return np.concatenate([side.ravel() for side in lhs]), np.concatenate([side.ravel() for side in rhs]), 1000.0
