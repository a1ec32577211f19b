"""DR-RPO with linear features: why one radius serves every value function that the learner can plan (dr_rpo spec 4, L10).

The values of a plan are f = min(V_u, alpha), V_u(s) = soft maximum of min(r + <phi, u>, cap), for one vector u in [0, B]^d and one alpha
in [0, B]. For a fixed f the estimate's noise is self-normalized (dr-rpo.self-normalized); f moves at most as (u, alpha) does; a grid of
(1 + 2 sqrt K)^(d+1) points comes within B / (4 sqrt K) of all of them; and what a distance of B / (2 sqrt K) in the targets can do to the
regression is B / 2. Hence beta.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, inequality
from proofs_check.claims.robust_linear.dr_rpo import Visits, visits
from proofs_check.claims.robust_linear.dr_rpo_factors import SOURCE
from proofs_check.claims.robust_linear.dr_rpo_steps import soft
from proofs_check.strategies import draw
from tabular_rl.algorithms import DRRPO
from tabular_rl.instances import robust_linear as instances
from tabular_rl.kernels.linear.ridge import ridge_update


class Class(NamedTuple):
    """Reward [S, A], features [S, A, d], temperature, cap B; two members (u [d], alpha) of the class."""

    reward: Any
    features: Any
    tau: float
    cap: float
    first: Any
    second: Any


def value_class(S, A, d, shifted, seed):
    """A Class; shifted: the second member is the first plus a constant, and nothing is clipped."""
    rng = np.random.default_rng(seed)
    B = float(rng.uniform(1, 4))
    first, second = ((B * rng.random(d), B * rng.random()) for _ in range(2))
    if shifted:
        first = 0.4 * first[0], B
        second = first[0] + 0.4 * B * rng.random(), B
    reward = (0.1 if shifted else 1.0) * rng.random((S, A))
    return Class(reward, rng.dirichlet(np.ones(d), (S, A)), float(np.exp(rng.uniform(-4, 0))), B, first, second)


def member(c, u, alpha):
    """min(V_u, alpha) [S + 1], 0 in the fail state, around the uniform reference."""
    q = np.minimum(c.reward + c.features @ u, c.cap)
    reference = np.full(q.shape[1], 1 / q.shape[1])
    return np.append(np.minimum([soft(row, reference, c.tau)[0] for row in q], alpha), 0.0)


@claim("dr-rpo.lipschitz", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(draw(value_class, st.integers(1, 4), st.integers(2, 3), st.integers(1, 4), st.booleans()),),
       control={"factor": 0.5})  # fmt: skip
def lipschitz(c, factor=1.0):
    """max_s |min(V_u, alpha) - min(V_u', alpha')| <= max(max_i |u_i - u'_i|, |alpha - alpha'|): features are averages, so are soft maxima.

    Control: half of it.
    """
    change = np.abs(member(c, *c.first) - member(c, *c.second)).max()
    return change, factor * max(np.abs(c.first[0] - c.second[0]).max(), abs(c.first[1] - c.second[1])), 10.0


def grid_point(d, K, seed):
    """A point of [0, 1]^(d+1), and K."""
    return np.random.default_rng(seed).random(d + 1), K


@claim("dr-rpo.covering", kind=inequality, source=f"{SOURCE} L10", provenance="classical",
       given=(draw(grid_point, st.integers(2, 6), st.integers(1, 10_000)),), control={"coarse": 2})  # fmt: skip
def covering(case, coarse=1):
    """ceil(2 sqrt K) cell centers on each axis come within B / (4 sqrt K) of every (u, alpha): at most (1 + 2 sqrt K)^(d+1) points.

    Control: half as many on each axis.
    """
    point, K = case
    cells = math.ceil(2 * math.sqrt(K) / coarse)
    nearest = (np.minimum(np.floor(point * cells), cells - 1) + 0.5) / cells
    sizes = np.array([np.abs(point - nearest).max(), len(point) * math.log(cells)])
    return sizes, np.array([1 / (4 * math.sqrt(K)), len(point) * math.log(1 + 2 * math.sqrt(K))]), 1.0


class Errors(NamedTuple):
    """Visits, and a change ``c`` [K] of the targets at each of them."""

    visits: Visits
    c: Any


def errors(d, length, aligned, seed):
    """Errors; aligned: c lies along the features' main direction."""
    v, rng = visits(d, length, True, seed), np.random.default_rng(seed)
    main = np.linalg.svd(v.phi)[2][0]
    return Errors(v, v.phi @ main if aligned else rng.uniform(-1, 1, length))


@claim("dr-rpo.residual", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(draw(errors, st.integers(2, 5), st.integers(20, 60), st.booleans()),), control={"factor": 0.8})  # fmt: skip
def residual(e, factor=1.0):
    """|sum phi_k c_k| in the norm of Lambda^-1 <= |c|_2, as Phi Lambda^-1 Phi^T <= 1: targets 2 e off cost at most 2 e sqrt K = B / 2.

    Control: 0.8 of it.
    """
    total = e.c @ e.visits.phi
    return math.sqrt(total @ e.visits.inverse[-1] @ total), factor * np.linalg.norm(e.c), 1.0


def _model():
    return (instances.random_linear(6, 6, 4, 4, seed=0, radius=0.2),)


@claim("dr-rpo.linear-radius", kind=HighProbability(failure=0.005, replicates=45), source=f"{SOURCE} L10", provenance="derived",
       given={"random linear": _model}, control={"scale": 0.05})  # fmt: skip
def linear_radius(mdp, rng, scale=1.0):
    """|(W f)_i - E_{mu_i} f| <= beta (Lambda^-1)_ii^(1/2) for all f = min(V_u, alpha) at once, all rounds and all unknown factors i.

    300 rounds at step 0, as a uniform policy on all states makes them; the supremum is searched over the corners of [0, B]^d, random u and
    four alphas, at ten rounds; delta = 0.005. Control: beta / 20 (between a tenth and a fifth of beta are needed here).
    """
    (_, S, A), d, K = mdp.shape, mdp.dimension, 300
    beta, cap = DRRPO(scale=scale, delta=0.005).resolve(mdp, K, False)
    B = cap[1]
    corners = B * (np.arange(2**d)[:, None] >> np.arange(d) & 1)
    c = Class(mdp.reward[0, :-1], mdp.features[:-1], 0.1, B, None, None)
    f = np.array([member(c, u, alpha) for u in [*corners, *(B * rng.random((8, d)))] for alpha in B * np.array([0.25, 0.5, 0.75, 1])])
    inverse, weights, gram, moments, direction = np.eye(d), np.zeros((d, S)), np.eye(d), np.zeros((d, S)), np.empty(d)
    for k in range(K):
        phi = mdp.features[rng.integers(S - 1), rng.integers(A)]
        ridge_update(phi, rng.choice(S, p=phi @ mdp.factors[0]), inverse, weights, gram, moments, direction)
        if (k + 1) % 30 == 0:
            error = np.abs((weights - mdp.factors[0]) @ f.T).max(axis=1)
            if np.any((error > beta[0] * np.sqrt(np.diag(inverse)))[~mdp.known]):
                return False
    return True
