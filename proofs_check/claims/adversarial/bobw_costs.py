"""What the bonuses of all episodes cost where the learner goes, in closed form (bobw spec, 4.5 to 4.7).

For any learner: occupancies mu_t [H, S] that sum to 1 in every layer, policies pi_t [H, S, A], R = H - h, Lam the largest log(N_T / N_0).
By ``bonus.at-most-e`` the certificate is at most e times the cost.
"""

import math
from functools import partial

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality
from proofs_check.claims.adversarial.bobw_bonus import (
    log_barrier_bonus,
    log_barrier_increment,
    shannon_bonus,
    shannon_increment,
    theory,
    to_go,
    tsallis_bonus,
)
from proofs_check.claims.adversarial.bobw_entropy import SOURCE, shannon, zeta
from proofs_check.claims.adversarial.bobw_ftrl import inner
from proofs_check.strategies import STYLES, draw, rows, scales


def histories(H, S, A, rounds, steady, style, seed):
    """(mu [T, H, S], pi [T, H, S, A], uniforms [T, H, S, 2]); ``steady``: the same occupancies in all episodes."""
    rng = np.random.default_rng(seed)
    mu = rows(rng, (1 if steady else rounds, H, S), "tiny" if rng.random() < 0.3 else "smooth")
    pi = np.full((rounds, H, S, A), 1 / A) if style == "uniform" else inner(rows(rng, (rounds, H, S, A), style), 1e-12)
    return np.broadcast_to(mu, (rounds, H, S)), pi, rng.random((rounds, H, S, 2))


def _histories(least_actions=2):
    sizes = st.integers(1, 3), st.integers(1, 3), st.integers(least_actions, 5), st.integers(1, 30)
    return draw(histories, *sizes, st.booleans(), st.sampled_from(["uniform", *STYLES]))


class _Rates:
    """u [T, H, S] and N [T + 1, H, S] of the clip without propagation; ``increment(t, N, u)``."""

    def __init__(self, mu, eps, N0, increment):
        self.N, self.u = np.empty((len(mu) + 1, *mu.shape[1:])), np.empty(mu.shape)
        self.N[0] = N0
        for t, row in enumerate(mu):
            self.u[t] = np.maximum(row, np.minimum(1, 1 / (eps * np.sqrt(self.N[t]))))
            self.N[t + 1] = self.N[t] + increment(t, self.N[t], self.u[t])
        self.d, self.lam = eps / math.sqrt(N0), np.log(self.N[-1] / self.N[0])


def _tsallis(mu, pi):
    """(sum over the episodes of mu b [H, S], d, Lam, R [H, 1], the bias's share of the bound [H, 1] per Lam)."""
    _, H, S, A = pi.shape
    c0, eps, N0 = theory("tsallis", H, S, A)
    rates, R = _Rates(mu, eps, N0, lambda t, N, u: 1 / u), to_go(H)
    beta = R * np.sqrt(rates.N) / c0
    cost = np.sum(mu * tsallis_bonus(R, pi, mu, rates.u, beta[1:], beta[:-1]), axis=0)
    return cost, rates.d, rates.lam.max(), R, R * (1 + rates.d) / (4 * eps**2)


@claim("bobw.adversarial-cost", kind=inequality, source=f"{SOURCE} 4.5", provenance="derived",
       given=(_histories(),), control={"stable": 0})  # fmt: skip
def adversarial_cost(history, stable=1):
    """Tsallis entropy, theory's constants: sum mu b <= sqrt(2) (sqrt(1 + d) (sqrt(A) - 1) + sqrt(A)) sum_h R sqrt(S T Lam) + G / e.

    G / e = (1 + d) / (4 eps^2) Lam sum_{h,s} R. Control: without the stability's share.
    """
    mu, pi, _ = history
    T, _, S, A = pi.shape
    cost, d, lam, R, bias = _tsallis(mu, pi)
    factor = math.sqrt(2) * (math.sqrt(1 + d) * (math.sqrt(A) - 1) + stable * math.sqrt(A))
    return cost.sum(), factor * R.sum() * math.sqrt(S * T * lam) + S * lam * bias.sum()


@claim("bobw.stochastic-cost", kind=inequality, source=f"{SOURCE} 4.5", provenance="derived",
       given=(_histories(),), control={"stable": 0})  # fmt: skip
def stochastic_cost(history, stable=1):
    """Tsallis entropy, theory's constants, any actions a* and gaps Delta > 0: with K = e sqrt(2) (sqrt(1 + d) + 4), sums over a != a*,
    e sum mu b <= K sqrt(Lam) sum R sqrt(sum_t mu pi) + G <= K sqrt(Lam U) sqrt(sum_t mu pi Delta) + G,   U = sum R^2 / Delta.

    Control: K without the stability's share.
    """
    mu, pi, uniforms = history
    _, H, S, A = pi.shape
    cost, d, lam, R, bias = _tsallis(mu, pi)
    K, G = math.e * math.sqrt(2) * (math.sqrt(1 + d) + 4 * stable), math.e * S * lam * bias.sum()
    rng = np.random.default_rng((2**32 * uniforms[0, 0, 0]).astype(np.int64))
    others = np.eye(A)[rng.integers(A, size=(H, S))] == 0
    gaps = np.where(others, 10.0 ** rng.uniform(-3, 0, (H, S, A)), 1)
    visits = others * np.sum(mu[..., None] * pi, axis=0)
    middle = K * math.sqrt(lam) * np.sum(R[..., None] * np.sqrt(visits)) + G
    U = np.sum(others * R[..., None] ** 2 / gaps)
    return [math.e * cost.sum(), middle], [middle, K * math.sqrt(lam * U * np.sum(visits * gaps)) + G], 1.0


@claim("bobw.shannon-cost", kind=inequality, source=f"{SOURCE} 4.6", provenance="derived",
       given=(_histories(),), control={"penalty": 0})  # fmt: skip
def shannon_cost(history, penalty=1):
    """Shannon, theory's constants, in each state, with r = max Ent(pi_t) / (log(A) htil_t) and D = max(1/10, d): sum mu b is at most
    R sqrt(A) (r log(A) / (2 c0) + c0) [sqrt((1 + D) Lam sum mu htil) + Lam / (log(1.1) sqrt(N_0))] + R (1 + d) / (4 eps^2) Lam.

    Control: without the penalty's share.

    Proof: 1 / (u htil) is what N grows by, except in the capped episodes, of which there are at most Lam / log(1.1); Cauchy-Schwarz.
    """
    mu, pi, _ = history
    T, H, S, A = pi.shape
    c0, eps, N0 = theory("shannon", H, S, A)
    entropy, R = shannon(pi) / math.log(A), to_go(H)
    relative = np.minimum(1, np.maximum(np.concatenate([np.ones((1, H, S)), entropy[:-1]]), 1 / np.arange(1, T + 1)[:, None, None]))
    rates = _Rates(mu, eps, N0, lambda t, N, u: shannon_increment(N, u, relative[t]))
    beta, r = R * np.sqrt(A * rates.N) / c0, (entropy / relative).max(axis=0)
    cost = np.sum(mu * shannon_bonus(R, pi, mu, rates.u, beta[1:], beta[:-1]), axis=0)
    factor = R * math.sqrt(A) * (penalty * r * math.log(A) / (2 * c0) + c0)
    roots = np.sqrt((1 + max(0.1, rates.d)) * rates.lam * np.sum(mu * relative, axis=0)) + rates.lam / (math.log(1.1) * math.sqrt(N0))
    return cost, factor * roots + R * (1 + rates.d) / (4 * eps**2) * rates.lam


class _Barrier:
    """The log barrier in every state by itself, along any path: visits, drawn actions and losses as the uniforms say."""

    def __init__(self, history, log_T, small, excess, c0=0.5):
        mu, pi, uniforms = history
        T, H, S, A = pi.shape
        self.R, self.eps, self.c0, self.root = to_go(H), small / (4 * c0 * math.sqrt(A * log_T)), c0, math.sqrt(A * log_T)
        actions = np.argmin(np.cumsum(pi, axis=-1) < uniforms[..., 1:], axis=-1)
        visited = uniforms[..., 0] < np.maximum(mu, 0.3)
        self.L = self.R * (uniforms[..., 0] * 7919 % 1) ** 0.2
        self.square = self.L**2 * np.take_along_axis(zeta(pi), actions[..., None], axis=-1)[..., 0]
        self.N, self.u, self.clipped = np.empty((T + 1, H, S)), np.empty((T, H, S)), np.empty((T, H, S))
        self.N[0] = excess * self.R**2 / self.eps**2
        self.floor, grown = math.exp(-log_T), np.zeros((H, S))
        for t in range(T):
            threshold = np.minimum(1, self.R / (self.eps * np.sqrt(self.N[t])))
            inflow = np.maximum(mu[t], self.floor)
            self.u[t], self.clipped[t] = np.maximum(inflow, threshold), inflow < threshold
            grown += log_barrier_increment(self.R, self.u[t], self.clipped[t], visited[t], self.square[t])
            self.N[t + 1] = self.N[0] + grown
        self.visited, self.mu, self.lam = visited, mu, np.log1p(grown / self.N[0])  # the increments may be below the rounding of N


_smaller, _excess = scales(-2, 0), scales(0, 2)
_log_T = st.sampled_from([math.log(10), math.log(1e3), math.log(1e6)])


@claim("bobw.log-barrier-cost", kind=inequality, source=f"{SOURCE} 4.7", provenance="derived",
       given=(_histories(), _log_T, _smaller, _excess), control={"share": 0.25})  # fmt: skip
def log_barrier_cost(history, log_T, small, excess, share=1):
    """Log barrier, eps <= 1 / (4 c0 sqrt(A log T)), eps^2 N_0 >= R^2, along every path in each state: sum mu (penalty + stability) <=
    (1 / (2 c0) + 2 c0) sqrt(A log T) sqrt((1 + 3 eps^2) Lam sum 1{visited} 2 R L) + clipped episodes x eps R sqrt(A log T) / (2 c0).

    This is where losses enter instead of episodes: the first-order bound. Control: a quarter of the first term.
    """
    path = _Barrier(history, log_T, small, excess)
    A, R, c0 = history[1].shape[-1], path.R, path.c0
    beta = np.sqrt(path.N) / (path.root * c0)
    bonus = partial(log_barrier_bonus, R, A, log_T)
    b = bonus(path.mu, path.u, beta[:-1], beta[1:], path.visited, path.square) - R * (1 - path.mu / path.u)
    losses = np.sum(path.visited * 2 * R * path.L, axis=0)
    main = share * (1 / (2 * c0) + 2 * c0) * path.root * np.sqrt((1 + 3 * path.eps**2) * path.lam * losses)
    return np.sum(path.mu * b, axis=0), main + path.clipped.sum(axis=0) * path.eps * R * path.root / (2 * c0), b.max()


@claim("bobw.clipped-episodes", kind=inequality, source=f"{SOURCE} 4.7", provenance="derived",
       given=(_histories(), _log_T, _smaller, _excess), control={"share": 0.1})  # fmt: skip
def clipped_episodes(history, log_T, small, excess, share=1):
    """Log barrier, in each state: clipped episodes <= Lam / log(1 + eps^2), and Lam <= log(1 + 3 T^3 / n_0) for n_0 = N_0 / R^2.

    T is here the number of episodes or 1 / floor, the larger. Control: a tenth of the first.
    """
    path = _Barrier(history, log_T, small, excess)
    T = max(len(path.u), 1 / path.floor)
    most = np.log1p(3 * T**3 / (excess / path.eps**2)) + 0 * path.lam
    return np.stack([path.clipped.sum(axis=0), path.lam]), np.stack([share * path.lam / np.log1p(path.eps**2), most]), 100.0
