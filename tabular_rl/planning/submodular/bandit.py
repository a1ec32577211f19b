"""Submodular bandits: where an action leads does not depend on the state, and constant factors of the optimum can be proved.

With P[h, s, a] = D[h, a] for every s, a policy is a table x [H, A] of probabilities. For sub-probabilities, sum_a x[h, a] <= 1, let step h
collect an element of law sum_a x[h, a] D[h, a], and nothing with the mass that is left; Jt(x) = E F(R_x) of the collected set R_x is
monotone and DR-submodular (the polynomial sum prod x F agrees with it on the simplices, but is not). The chance that R_x lies inside
of a set T is a product over the steps, and E F(R_x) a combination of these chances by Moebius inversion: O(H n 2^n), no sampling.

Source: subpo spec, section 5 (derived), after Prajapat, Mutny, Zeilinger, Krause (2024).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check


@dataclass(frozen=True, eq=False, repr=False)
class SubmodularBandit:
    """``distributions`` D [H, A, n + 1] over elements, the last entry is for nothing; ``table`` F [2^n]; ``start``: mask collected at once.

    ``error``: what F differs by at most, for every policy, between this bandit and the problem it stands for (0 if that is a bandit).
    """

    distributions: np.ndarray
    table: np.ndarray
    start: int = 0
    error: float = 0.0

    @property
    def shape(self):
        """(H, A)."""
        return self.distributions.shape[:2]

    @cached_property
    def inside(self):
        """[2^n, n + 1]: whether set T holds element e; nothing is inside of every set."""
        n = self.distributions.shape[-1] - 1
        masks = np.arange(len(self.table))[:, None]
        return np.append((masks >> np.arange(n)) & 1, np.ones_like(masks), axis=1).astype(float)

    @cached_property
    def dual(self):
        """c [2^n] with E F(R) = sum_T c(T) P(R inside of T) for every random set R that holds the start."""
        c = self.table.copy()
        for e in range(self.distributions.shape[-1] - 1):
            halves = c.reshape(-1, 2, 2**e)
            halves[:, 0] -= halves[:, 1]
        return np.where(np.arange(len(c)) & self.start == self.start, c, 0.0)

    def policy(self, x, n_states):
        """The Markov policy [H, S, A] that plays row h of ``x`` in every state."""
        return np.repeat(np.asarray(x)[:, None], n_states, axis=1)


def bandit_of(mdp, tolerance=1e-9):
    """The SubmodularBandit of ``mdp``, n <= 20 elements.

    ValueError when P[h, s, a] depends on s by more than ``tolerance`` in total variation (see ``nearest_bandit``), or when a random
    start collects something: then what is proved for bandits is false.
    """
    tolerance = check.number("tolerance", tolerance, at_least=0)
    bandit, distances = _of(mdp)
    if distances.max() > tolerance:
        raise ValueError(f"transition must not depend on the state, its rows differ by up to {2 * distances.max():.3g} in total variation")
    return bandit


def nearest_bandit(mdp):
    """(SubmodularBandit, eps [H]): D[h, a] is the mean row of the reachable states, eps[h] the largest distance of a row from it.

    ``error`` of the bandit is F(V) min(1, sum eps), by coupling.
    """
    return _of(mdp)


def _of(mdp):
    H, _, A = check.kind("mdp", mdp, SubmodularMDP).shape
    ground, table = mdp.ground_set(), mdp.table()
    started = np.unique(ground.elements[0, mdp.initial > 0])
    if len(started) > 1:
        raise ValueError("the start must be one state, or collect nothing: a random start that collects voids the bandit bounds")
    distributions, distances = np.zeros((H, A, ground.n + 1)), np.empty(H)
    for h in range(H):
        rows = mdp.probabilities[h, mdp.reachable[h]]
        mean = rows.mean(axis=0)
        distances[h] = 0.5 * np.abs(rows - mean).sum(axis=-1).max()
        np.add.at(distributions[h].T, ground.elements[h + 1], mean.T)  # element -1 is the last entry
    start = 0 if started[0] < 0 else 1 << int(started[0])
    error = float(table.max() * min(1.0, distances.sum())) if distances.max() > 1e-9 else 0.0
    return SubmodularBandit(distributions, table, start, error), distances


def _chances(bandit, x):
    """[H, 2^n] probability that what step h collects lies inside of T."""
    x = check.real_array("x", x, _shape(bandit))
    collected = np.einsum("ha,hae->he", x, bandit.distributions)
    collected[:, -1] += 1 - x.sum(axis=1)
    return collected @ bandit.inside.T


def _shape(bandit):
    return check.kind("bandit", bandit, SubmodularBandit, SubmodularMDP="planning.submodular.bandit.bandit_of(mdp) is one").shape


def relaxed_value(bandit, x):
    """Jt(x), the expected F when step h follows ``x`` [H, A] and collects nothing with the mass that its row lacks."""
    chances = _chances(bandit, x)
    return float(bandit.dual @ np.prod(chances, axis=0))


def relaxed_gradient(bandit, x):
    """g [H, A]: E[F(R without step h, and e) - F(R without step h)] for e of law D[h, a]."""
    chances = _chances(bandit, x)
    H = len(chances)
    before, after = np.ones_like(chances), np.ones_like(chances)
    for h in range(1, H):
        before[h] = before[h - 1] * chances[h - 1]
        after[H - 1 - h] = after[H - h] * chances[H - h]
    gains = (before * after * bandit.dual) @ (bandit.inside - 1)
    return np.einsum("hae,he->ha", bandit.distributions, gains)


class ContinuousGreedy(NamedTuple):
    """``x`` [H, A]; ``values`` [K + 1] of Jt on the way; the theory promises ``factor`` * OPT - ``slack``."""

    x: np.ndarray
    values: np.ndarray
    factor: float
    slack: float


def continuous_greedy(bandit, steps=100):
    """Frank-Wolfe from x = 0, 1 / ``steps`` at a time towards the best actions of the gradient (ties: lowest).

    J >= (1 - (1 - 1/K)^K) OPT - M1 H (H - 1) / (2 K) with M1 the largest F({e}); errors of an approximate bandit included.
    """
    K = check.integer("steps", steps, 1)
    H, A = _shape(bandit)
    x, values = np.zeros((H, A)), np.zeros(K + 1)
    values[0] = relaxed_value(bandit, x)
    for k in range(K):
        x = x + np.eye(A)[relaxed_gradient(bandit, x).argmax(axis=1)] / K
        values[k + 1] = relaxed_value(bandit, x)
    factor = 1 - (1 - 1 / K) ** K
    singles = bandit.table[1 << np.arange(bandit.distributions.shape[-1] - 1)]
    slack = singles.max() * H * (H - 1) / (2 * K) + (1 + factor) * bandit.error
    return ContinuousGreedy(x, values, factor, float(slack))


def sequential_greedy(bandit):
    """x [H, A], deterministic: steps h = 0, 1, .. take the best action given the ones before (ties: lowest); at least half of OPT."""
    H, A = _shape(bandit)
    x = np.zeros((H, A))
    for h in range(H):
        x[h, np.argmax(relaxed_gradient(bandit, x)[h])] = 1
    return x


def block_stationary(bandit, x=None):
    """x [H, A] from which no single step can be improved, by coordinate ascent from ``x`` (default uniform); at least half of OPT."""
    H, A = _shape(bandit)
    x = np.full((H, A), 1 / A) if x is None else np.array(check.real_array("x", x, (H, A)))
    improved = True
    while improved:
        improved = False
        for h in range(H):
            g = relaxed_gradient(bandit, x)[h]
            if g.max() > x[h] @ g + 1e-12:
                x[h], improved = np.eye(A)[g.argmax()], True
    return x


class BanditCertificate(NamedTuple):
    """``value`` J(x) in the bandit, ``gap`` of stationarity, and ``upper``: no history-dependent policy has a larger value.

    OPT <= 2 value + gap + error too, with the bandit's ``error``.
    """

    value: float
    gap: float
    upper: float


def bandit_certificate(bandit, x):
    """The BanditCertificate of ``x`` [H, A] with rows that sum to 1: upper = J + sum_h max_a g[h, a], and the bandit's error."""
    x = check.distribution("x", x, _shape(bandit))
    value, g = relaxed_value(bandit, x), relaxed_gradient(bandit, x)
    best = g.max(axis=1)
    return BanditCertificate(value, float(np.sum(best - np.sum(x * g, axis=1))), value + float(best.sum()) + bandit.error)
