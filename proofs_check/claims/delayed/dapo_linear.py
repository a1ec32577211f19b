"""DAPO with linear action values: one step of theorem LIN, with exact covariances, and their estimate by resampling (dapo spec, section 3).

Linear MDP: phi[h,s,a] in the simplex of R^n, P[h,s,a] = phi @ factors[h], loss = phi @ parameters[h], so Q = phi @ theta[h].

    Sigma[h] = E_pi[phi phi^T],  G = (gamma I + Sigma)^-1,  Qhat = r phi^T G phi(s_h,a_h) L_h,  x2 = phi^T G phi,  r = pi / max(pi, p)
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import evaluate, occupancy, state_occupancy
from proofs_check.claims.delayed.dapo_estimator import explorations, ratio_of, to_go, total_variation, trajectories
from proofs_check.claims.delayed.dapo_steps import KAPPA, comparators, entropy_decrease, interior, rates, updated
from proofs_check.claims.delayed.delayed_replay import SlowLinearDAPO, both_sides, chosen, late_worlds, replay
from proofs_check.strategies import STYLES, draw, policies, rows, scales, simplex_points, vectors
from tabular_rl.algorithms import LinearDAPO
from tabular_rl.models import FiniteHorizonMDP

SOURCE = "dapo spec, theorem LIN"


@dataclass(frozen=True)
class LinearWorld:
    """``mdp`` with ``features`` [H, S, A, n], ``factors`` [H, n, S] and loss ``parameters`` [H, n]."""

    mdp: FiniteHorizonMDP
    features: Any
    factors: Any
    parameters: Any

    shape = property(lambda self: self.mdp.shape)

    def theta(self, pi):
        """[H, n] with Q = features @ theta."""
        return self.parameters + np.einsum("hnt,ht->hn", self.factors, evaluate(self.mdp, pi).values[1:])


def linear_world(H, S, A, n, style, seed):
    """A LinearWorld; half of its loss parameters are at the ends of [0, 1]."""
    rng = np.random.default_rng(seed)
    features, factors, initial = rows(rng, (H, S, A, n), style), rows(rng, (H, n, S), style), rows(rng, (S,), style)
    parameters = np.clip(rng.uniform(-0.5, 1.5, (H, n)), 0, 1)
    transition = np.einsum("hsan,hnt->hsat", features, factors)
    transition /= transition.sum(axis=-1, keepdims=True)
    losses = np.clip(np.einsum("hsan,hn->hsa", features, parameters), 0, 1)
    return LinearWorld(FiniteHorizonMDP(transition, losses, initial), features, factors, parameters)


_sizes = (st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
_worlds = draw(linear_world, *_sizes, st.sampled_from(STYLES))
_given: tuple[Any, ...] = (_worlds, policies("played"), policies("arrived"), explorations)


def geometry(world, pi, gamma):
    """(G [H, n, n], x2 [H, S, A]) of the policy ``pi``."""
    phi = world.features
    covariance = np.einsum("hsa,hsai,hsaj->hij", occupancy(world.mdp, pi), phi, phi)
    G = np.linalg.inv(gamma * np.eye(phi.shape[-1]) + covariance)
    return G, np.einsum("hsai,hij,hsaj->hsa", phi, G, phi)


def _moments(world, pi, p, G):
    """(E Qhat, E |Qhat|, E Qhat^2), each [H, S, A], over all trajectories of ``pi``."""
    H, S, A = world.shape
    paths = trajectories(world.mdp, pi)
    flat = world.features.reshape(H, S * A, -1)
    kernel = np.einsum("hci,hij,hdj->hcd", flat, G, flat)  # phi(cell)^T G phi(visited cell)
    first, second = (paths.mean_at(paths.to_go**power, world.shape).reshape(H, -1, 1) for power in (1, 2))
    ratio, shape = ratio_of(pi, p), world.shape
    mean, absolute, square = ((K @ m).reshape(shape) for K, m in ((kernel, first), (np.abs(kernel), first), (kernel**2, second)))
    return ratio * mean, ratio * absolute, ratio**2 * square


@claim("dapo-linear.estimator-mean", kind=identity, source=SOURCE, provenance="derived", given=_given,
       control={"shrinkage": 0})  # fmt: skip
def linear_mean(world, pi, p, gamma, shrinkage=1):
    """E Qhat = r (Q - gamma phi^T G theta).  Control: without the shrinkage of the regularization."""
    G, _ = geometry(world, pi, gamma)
    shrunk = gamma * np.einsum("hsai,hij,hj->hsa", world.features, G, world.theta(pi))
    mean = _moments(world, pi, p, G)[0]
    return mean, ratio_of(pi, p) * (evaluate(world.mdp, pi).q_values - shrinkage * shrunk), 1 / gamma


@claim("dapo-linear.bias", kind=inequality, source=SOURCE, provenance="derived", given=_given, control={"power": 1})  # fmt: skip
def linear_bias(world, pi, p, gamma, power=1 / 2):
    """|r Q - E Qhat| <= r sqrt(gamma) Theta sqrt(x2), Theta = sqrt(n) H.  Control: gamma in place of its root."""
    G, x2 = geometry(world, pi, gamma)
    ratio, largest = ratio_of(pi, p), np.sqrt(world.features.shape[-1]) * world.mdp.horizon
    bias = ratio * evaluate(world.mdp, pi).q_values - _moments(world, pi, p, G)[0]
    return np.abs(bias), ratio * gamma**power * largest * np.sqrt(x2), 1 / gamma


@claim("dapo-linear.parameters", kind=inequality, source=SOURCE, provenance="derived",
       given=(_worlds, policies("played")), control={"power": 0})  # fmt: skip
def linear_parameters(world, pi, power=1 / 2):
    """|theta_h| <= sqrt(n) (H - h).  Control: H - h, without the dimension."""
    n = world.features.shape[-1]
    return np.linalg.norm(world.theta(pi), axis=1), n**power * to_go(world.mdp).ravel()


@claim("dapo-linear.moments", kind=inequality, source=SOURCE, provenance="derived", given=_given,
       control={"covariance": "arrival policy"})  # fmt: skip
def linear_moments(world, pi, p, gamma, covariance="policy played"):
    """E |Qhat| <= (H - h) r sqrt(x2) and E Qhat^2 <= (H - h)^2 r^2 x2.  Control: the covariance of the arrival policy."""
    G, x2 = geometry(world, p if covariance == "arrival policy" else pi, gamma)
    _, absolute, square = _moments(world, pi, p, G)
    bound = to_go(world.mdp) * ratio_of(pi, p) * np.sqrt(x2)
    return np.stack([absolute, square * gamma]), np.stack([bound, bound**2 * gamma]), world.mdp.horizon / np.sqrt(gamma)


@claim("dapo-linear.dimension", kind=inequality, source=SOURCE, provenance="derived", given=_given,
       control={"adapted": False})  # fmt: skip
def linear_dimension(world, pi, p, gamma, adapted=True):
    """sum_s q sum_a p r x2 <= sum q pi x2 <= n, and gamma x2 <= 1: exploration costs the dimension, whatever the policy has become.

    Control: without the ratio r.
    """
    _, x2 = geometry(world, pi, gamma)
    visited = occupancy(world.mdp, pi)
    adapted_sum = visited.sum(axis=-1)[..., None] * p * (ratio_of(pi, p) if adapted else 1) * x2
    played, late = (np.sum(table, axis=(1, 2)) for table in (visited * x2, adapted_sum))
    rhs = [*played, *np.full(len(played), world.features.shape[-1]), *np.ones(x2.size)]
    return np.array([*late, *played, *(gamma * x2).ravel()]), np.array(rhs), 1


@claim("dapo-linear.weights-step", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(), vectors(-1.0, 1.0), vectors(), comparators, rates), control={"factor": 1})  # fmt: skip
def linear_step(p, estimate, bonus, u, eta, factor=2):
    """<p - u, Qhat - B> <= (KL(u, p) - KL(u, p')) / eta + 2 kappa eta <p, Qhat^2 + B^2> for eta (|Qhat| + B) <= 1, Qhat of any sign.

    Control: without the factor 2, as for estimates that are never negative.
    """
    p, size = interior(p), eta * np.max(np.abs(estimate) + bonus).clip(1e-3)
    x, paid = (estimate - bonus) / size, factor * KAPPA * eta * (p @ (estimate**2 + bonus**2)) / size**2
    return (p - u) @ x, entropy_decrease(p, eta * x, u) / eta + paid, 100 * (1 + 1 / eta)


@claim("dapo-linear.step-drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(), vectors(), vectors()), control={"constant": 1.0})  # fmt: skip
def linear_step_drift(p, charges, gains, constant=math.e - 1):
    """TV(p, p') <= (e - 1) <p, |y|> for p' = p exp(-y) / Z, |y| <= 1.  Control: the constant 1."""
    p, y = interior(p), charges - gains
    return total_variation(p, np.exp(updated(p, y))), constant * (p @ np.abs(y)), 1


@claim("dapo-linear.episode", kind=inequality, source=SOURCE, provenance="derived",
       given=(_worlds, policies("played"), policies("arrived"), scales(-6, 0), policies("comparator"), explorations, scales(-6, 0),
              scales(-5, 0)), control={"charge": 0})  # fmt: skip
def linear_episode(world, pi, p, distance, comparator, gamma, alpha, eta, charge=1):
    """V_pi - V_* <= E sum q* (KL(pi*, p) - KL(pi*, p')) / eta + 2 sum (H - h) q* TV(pi, p) + H gamma Theta^2 / (2 alpha)
    + (1 + 1/H) <initial, Bbar[0]> for b = alpha r x2 + (alpha + 2 kappa eta H^2) <p, r x2> and the conditions of LIN on eta.

    The p of an instance is drawn at every distance from pi. Control: the shrinkage of the regularization is free.
    """
    H, n = world.mdp.horizon, world.features.shape[-1]
    p = interior(pi + distance * (p - pi))
    while True:
        beta = 2 * (alpha + KAPPA * eta * H**2) / gamma * H * ((1 + 1 / H) ** H - 1)
        if max(eta * (H / gamma + beta), 2 * KAPPA * eta * beta * H) <= 1:
            break
        eta /= 2
    G, x2 = geometry(world, pi, gamma)
    ratio = ratio_of(pi, p)
    b = alpha * ratio * x2 + (alpha + 2 * KAPPA * eta * H**2) * np.sum(p * ratio * x2, axis=-1, keepdims=True)
    B = np.zeros_like(b)
    for h in reversed(range(H)):
        B[h] = b[h] + ((1 + 1 / H) * world.mdp.transition[h] @ np.sum(p[h + 1] * B[h + 1], axis=-1) if h + 1 < H else 0)
    paths, phi = trajectories(world.mdp, pi), world.features
    visited = np.stack([phi[h].reshape(-1, n)[cells] for h, cells in enumerate(paths.cells)])  # [H, paths, n]
    kernel = np.einsum("hsai,hij,hkj->khsa", phi, G, visited)
    estimate = ratio * kernel * paths.to_go.T[:, :, None, None]
    q_star = state_occupancy(world.mdp, comparator)
    decrease = np.tensordot(paths.probability, entropy_decrease(p, eta * (estimate - B), comparator), 1)
    drift = 2 * to_go(world.mdp)[..., 0] * total_variation(pi, p)
    paid = (1 + 1 / H) * (world.mdp.initial @ np.sum(p[0] * B[0], axis=-1)) + charge * H * gamma * n * H**2 / (2 * alpha)
    regret = world.mdp.initial @ (evaluate(world.mdp, pi).values[0] - evaluate(world.mdp, comparator).values[0])
    return regret, np.sum(q_star * (decrease / eta + drift)) + paid, 30 * H / eta, H


@cache
def _draws(support, n):
    return np.indices((support,) * n).reshape(n, -1)


def feature_sample(support, n, style, seed):
    """A sample space of ``support`` features in the simplex of R^n, and their distribution: [support, n + 1], the last column."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rows(rng, (support, n), style), rows(rng, (1, support), style).T], axis=1)


def _resampled(sample, gamma, steps, cc):
    """(probability [m], G [m, n, n]) over all sequences of ``steps`` features."""
    phi, weights, n = sample[:, :-1], sample[:, -1], sample.shape[1] - 1
    shrink = np.eye(n) - cc * (gamma * np.eye(n) + phi[:, :, None] * phi[:, None, :])
    chosen = _draws(len(phi), steps)
    product = np.broadcast_to(np.eye(n), (chosen.shape[1], n, n))
    total = product
    for row in chosen:
        product = product @ shrink[row]
        total = total + product
    return np.prod(weights[chosen], axis=0), cc * total


_samples = draw(feature_sample, st.integers(1, 3), st.integers(1, 3), st.sampled_from(STYLES))


@claim("dapo-linear.resampling-mean", kind=identity, source="Neu, Olkhovskaya 2020; dapo spec 3.1", provenance="derived",
       given=(_samples, scales(-2, 0), st.integers(1, 4)), control={"residual": 0})  # fmt: skip
def resampling_mean(sample, gamma, steps, residual=1):
    """E G = M^-1 (I - (I - cc M)^(N+1)), M = gamma I + Sigma, for G = cc sum_{m <= N} prod_{i <= m} (I - cc (gamma I + phi_i phi_i^T)).

    Matrix geometric resampling, cc = 1/2, exact over all samples of N features. Control: as if N were infinite.
    """
    probability, G = _resampled(sample, gamma, steps, 0.5)
    phi, identity_matrix = sample[:, :-1], np.eye(sample.shape[1] - 1)
    M = gamma * identity_matrix + np.einsum("k,ki,kj->ij", sample[:, -1], phi, phi)
    left = residual * np.linalg.matrix_power(identity_matrix - 0.5 * M, steps + 1)
    return np.tensordot(probability, G, 1), np.linalg.solve(M, identity_matrix - left), 1 / gamma


@claim("dapo-linear.resampling-norm", kind=inequality, source="Neu, Olkhovskaya 2020; dapo spec 3.1", provenance="derived",
       given=(_samples, scales(-2, 0), st.integers(1, 4)), control={"more": 0})  # fmt: skip
def resampling_norm(sample, gamma, steps, more=1):
    """|G| <= cc (N + 1), and |E G - (gamma I + Sigma)^-1| <= (1 - cc gamma)^(N+1) / gamma, cc = 1/2.  Control: N in place of N + 1."""
    probability, G = _resampled(sample, gamma, steps, 0.5)
    phi, n = sample[:, :-1], sample.shape[1] - 1
    M = gamma * np.eye(n) + np.einsum("k,ki,kj->ij", sample[:, -1], phi, phi)
    bias = np.linalg.norm(np.tensordot(probability, G, 1) - np.linalg.inv(M), 2)
    lhs = np.array([np.linalg.norm(G, 2, axis=(1, 2)).max(), bias])
    return lhs, np.array([(steps + more) / 2, (1 - gamma / 2) ** (steps + 1) / gamma]), 1 / gamma


def step_features(late, d, seed):
    """Features [H, S, A, d] for a LateWorld, of norm at most 1 and any sign."""
    phi = np.random.default_rng(seed).standard_normal((*late.shape, d))
    return phi / np.maximum(np.linalg.norm(phi, axis=-1, keepdims=True), 1)


@claim("dapo-linear.replay", kind=identity, source="dapo spec 3.1", provenance="derived",
       given=(late_worlds(), draw(step_features, st.integers(1, 3), fit=True),
              chosen([True, False], ["sequential", "joint"], [0, 1, 4], (-2, 0), (-2, 0.3), (-2, 0), (-2, 0))),
       control={"dilation": 1})  # fmt: skip
def linear_replay(late, features, settings, dilation=None):
    """A run is that of the pseudo-code, draw by draw, with exact covariances or with resampled ones (``samples`` > 0).

    Control: the bonus is propagated without its dilation.
    """
    adapted, batch, samples, eta, gamma, beta, beta_p, seed = settings
    covariance = {"covariance": "resampling", "samples": samples} if samples else {}
    learner = LinearDAPO(features, learning_rate=eta, exploration=gamma, bonus=beta, policy_bonus=beta_p, adapted=adapted, batch=batch,
                         **covariance)  # fmt: skip
    slow = SlowLinearDAPO(late, features, eta, gamma, beta, beta_p, adapted, batch == "joint", samples, dilation)
    trace = learner.run(late.problem, late.episodes, seed=seed)
    lhs, rhs, scale = both_sides(trace, replay(late, slow, seed))
    return lhs, rhs, scale / gamma**2


@claim("dapo-linear.bound-stated", kind=identity, source="dapo spec 3.3, LIN", provenance="derived",
       given=(late_worlds(), draw(step_features, st.integers(1, 3), fit=True), chosen((-6, -2), (-2, 0), (-3, 0))),
       control={"dimension": False})  # fmt: skip
def linear_bound_stated(late, features, settings, dimension=True):
    """The bound LIN of the product is what the steps add up to, pair by pair, under its conditions, and there is none without them;
    and the bonuses of the preset are alpha and alpha + 2 kappa eta H^2 with the alpha that makes bias and bonus least.

    Control: exploration that costs the same in every dimension.
    """
    (eta, gamma, norm, _), (H, S, A), K, n = settings, late.shape, late.episodes, features.shape[-1]
    learner, plan = LinearDAPO(features, parameter_norm=norm), late.problem.schedule(K)
    kappa, dilation = math.e - 2, (1 + 1 / H) ** H
    alpha = min(np.geomspace(0.5, 2, 3) * math.sqrt(gamma * norm**2 / (4 * dilation * n)),
                key=lambda x: gamma * norm**2 / (2 * x) + 2 * dilation * x * n)  # fmt: skip
    beta, beta_p = learner._bonuses(H, n, eta, gamma)
    largest = (alpha + alpha + 2 * kappa * eta * H**2) / gamma
    sizes = [0.0]
    for _ in range(H):
        sizes.insert(0, largest + (1 + 1 / H) * sizes[0])
    told = learner.bound((H, S, A), K, plan, eta, gamma, beta, beta_p)
    scarce = learner.bound((H, S, A), K, plan, eta, gamma, beta, beta + 1.9 * kappa * eta * H**2)
    stated = None
    if eta * (H / gamma + sizes[0]) <= 1 and 2 * kappa * eta * sizes[0] * H <= 1:
        moved = [(math.e - 1) * eta * ((H - h) / math.sqrt(gamma) + sizes[h]) for h in range(H)]
        one = sum((2 * (H - h) + dilation * largest * (H - 1 - h)) * moved[h] for h in range(H))
        paid = sum(gamma * norm**2 / (2 * alpha) + dilation * gamma * largest * (n if dimension else 1) for _ in range(K * H))
        stated = H * math.log(max(A, 2)) / eta + paid + sum(late.waits) * one
    numbers = [(1 + eta * x if x is not None else 0.0) for x in (told, stated)]
    return np.array([numbers[0], beta, beta_p, float(scarce is None)]), np.array([numbers[1], alpha, alpha + 2 * kappa * eta * H**2, 1.0])
