# mypy: ignore-errors
"""The algorithm once more, in plain NumPy, with everything that the theorems speak of written down.

All of bobw spec 3.1 to 3.5, 3.8 and 4.8. It shares no code with ``tabular_rl.algorithms`` and the kernels: claim ``bobw.run`` holds the
two against each other, on the same random numbers.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from proofs_check.calculus import state_occupancy
from proofs_check.claims.adversarial import bobw_bonus as formulas
from proofs_check.claims.adversarial.bobw_entropy import shannon, zeta
from proofs_check.claims.adversarial.bobw_ftrl import leader, local, psi, stability, vertices
from proofs_check.claims.adversarial.bobw_shannon_rate import RATIO, log_term
from proofs_check.claims.adversarial.replaying import Transition, least_loss, log_of_union, play


class Settings(NamedTuple):
    """Of a run: as the fields of ``BestOfBothWorlds``; ``constants`` None: those of the theory, ``delta`` None: 1 / (4 H T)."""

    regularizer: str = "tsallis"
    constants: Any = None
    bonus_scale: float = 1.0
    current: bool = False
    known: bool = True
    delta: float | None = None
    radius_scale: float = 1.0


class Replay:
    """One run of T episodes; ``means(t)`` is the table [H, S, A] of mean losses of episode t = 1, 2, ..., drawn as 0/1.

    Attributes
    ----------
    loss, against, regret, certificate, always, mixing : lists of T numbers
        After every episode: expected losses of the learner and of ``comparator``, regret against the best policy in hindsight, sum of the
        (extended) certificate's steps, the bound of 4.4 for any ``bonus_scale``, both without I0, and (1 / T) sum_h max B.
    initial : float
        I0; the log barrier's without ``mixing``.
    largest, violations, clips : numbers
        The largest 4 H local(pi) B / beta, how many exceeded 1, how many (t, h, s) were clipped.
    linear, paid, start : [H, S, A]
        The two sides of ``bobw.ftrl`` for every (h, s) and action; ``start``: the share beta_0 (psi(e) - psi(pi_1)) of ``paid``.
    entropy_ratio : float
        r = max Ent(pi_t) / (log(A) htil_t), Shannon.
    amplified : float
        The largest estimate beside the least rate: what one rounding of an estimate becomes in a policy, relatively.
    """

    def __init__(self, mdp, means, T, settings, comparator=None):
        self.mdp, self.means, self.T, self.shape = mdp, means, T, mdp.shape
        self.regularizer, constants, self.bonus_scale, self.current, self.known, delta, scale = settings
        (H, S, A), barrier = self.shape, self.regularizer == "log_barrier"
        self.c0, self.eps, self.N0 = constants or formulas.theory(self.regularizer, H, S, A, T)
        self.R, self.log_T = formulas.to_go(H), math.log(T)
        self.follow = barrier or self.current  # rates move after the episode
        self.reachable = np.zeros((H, S), bool)
        reach = mdp.initial > 0
        for h in range(H):
            self.reachable[h] = reach
            reach = (mdp.transition[h][reach] > 0).any(axis=(0, 1)) if self.known else np.ones(S, bool)
        self.p = np.full((H, S, A), 1 / A) if comparator is None else comparator
        self.mu_p = state_occupancy(mdp, self.p)
        self.pi, self.cumulative = np.full((H, S, A), 1 / A), np.zeros((H, S, A))
        self.N = self.N0 * (self.R**2 if barrier else 1) + np.zeros((H, S))
        self.beta = self.beta_before = self._beta(self.N)
        self.u, self.doubt, self.total = np.ones((H, S)), np.ones((H, S)), np.zeros((H, S, A))
        self.transition = Transition(mdp, self.known, log_of_union(self.shape, T, delta or 1 / (4 * H * T)), scale)
        self.vertices = vertices(self.regularizer, A, T)
        self.psi_vertex = psi(self.regularizer, self.vertices)  # [A]
        start = self.psi_vertex - psi(self.regularizer, np.full(A, 1 / A))
        self.start = self.beta[..., None] * start
        self.linear, self.paid = np.zeros((H, S, A)), self.start.copy()
        self.initial = float(np.sum(self.beta.max(axis=-1) * (self.log_T * A if barrier else start[0]))) + barrier * H * (H + 1) / 2
        self.loss, self.against, self.regret, self.certificate, self.always, self.mixing = [], [], [], [], [], []
        self.largest = self.entropy_ratio = self.amplified = 0.0
        self.violations = self.clips = 0

    def run(self, rng):
        H, steps = self.shape[0], np.arange(self.shape[0])
        sums = np.zeros(5)
        for t in range(1, self.T + 1):
            self._forward(t)
            means = self.means(t)
            states, actions, losses = play(self.mdp, self.pi, means, rng)
            L = np.cumsum(losses[::-1])[::-1]
            b = self._bonus(t, states, actions, L)
            B, values = self.transition.dilated(self.pi, b)
            self.total += means
            sums += [
                np.sum(self.mu[..., None] * self.pi * means), np.sum(self.mu_p[..., None] * self.p * means),
                (1 + 1 / H) * values[0] @ self.mdp.initial + self._excess(B, values), self._any_scale(b, B),
                np.where(self.reachable[..., None], B, 0).max(axis=(1, 2)).sum() / self.T,
            ]  # fmt: skip
            for series, value in zip((self.loss, self.against, self.certificate, self.always, self.mixing), sums.tolist(), strict=True):
                series.append(value)
            self.regret.append(self.loss[-1] - least_loss(self.mdp, self.total))
            losses, baseline = -self.bonus_scale * B, np.zeros(self.N.shape)
            drawn = L / (self.u[steps, states] * self.pi[steps, states, actions])
            losses[steps, states, actions] += drawn
            baseline[steps, states] = L / self.u[steps, states]
            self.amplified = max(self.amplified, drawn.max() / self.beta.min(), np.abs(B / self.beta[..., None]).max())
            self._path(losses, baseline)
            self.cumulative = self.cumulative + losses
            self.beta_before, self.beta = self.beta, (self._beta(self.N) if self.follow else self.beta)
            if not self.known:
                self.transition.observe(states, actions)
        return self

    def _beta(self, N):
        A = self.shape[-1]
        if self.regularizer == "log_barrier":
            return np.sqrt(N / (A * self.log_T)) / self.c0
        return self.R * np.sqrt((A if self.regularizer == "shannon" else 1) * N) / self.c0

    def _forward(self, t):
        """mu, u, N, beta and pi, layer by layer: u needs the policies of the layers before."""
        (H, S, A), barrier = self.shape, self.regularizer == "log_barrier"
        self.mu, self.upper, self.lower, self.clipped = (np.zeros((H, S)) for _ in range(4))
        mu = inflow = self.mdp.initial
        self.N, self.pi, self.u = self.N.copy(), self.pi.copy(), self.u.copy()
        for h in range(H):
            there, N, R = self.reachable[h], self.N[h], self.R[h]
            self.mu[h], self.upper[h], self.lower[h] = mu, mu, mu
            if not self.known:
                self.upper[h], self.lower[h] = self.transition.arrivals(h, self.pi)
            threshold = np.minimum(1, (R if barrier else 1) / (self.eps * np.sqrt(N)))
            floored = np.maximum(inflow, 1 / self.T) if barrier else self.upper[h]
            self.clipped[h] = (floored < threshold) & there
            u = self.u[h] = np.where(there, np.minimum(1, np.maximum(floored, threshold)), 1)
            if not self.follow:
                relative = np.maximum(self.doubt[h], 1 / t)
                grown = 1 / u if self.regularizer == "tsallis" else formulas.shannon_increment(N, u, relative)
                self.N[h] = np.where(there, N + grown, N)
            beta = self._beta(self.N)[h]
            self.pi[h] = np.where(there[:, None], leader(self.regularizer, self.cumulative[h], beta), 1 / A)
            sent = np.stack([np.where(there, weights, 0) for weights in (self.mu[h], u)])
            mu, inflow = np.einsum("ks,sa,sat->kt", sent, self.pi[h], self.mdp.transition[h])
        self.beta = self._beta(self.N)
        self.clips += int(self.clipped.sum())

    def _bonus(self, t, states, actions, L):
        """b [H, S]; where rates follow the episode N grows."""
        (H, S, A), R, u, steps = self.shape, self.R, self.u, np.arange(self.shape[0])
        visited = self.mu if self.known else u
        beta, before, bias = self.beta, self.beta_before, R * (u - self.lower) / u
        if self.regularizer == "log_barrier":
            square, there = np.zeros((H, S)), np.zeros((H, S))
            there[steps, states] = 1
            square[steps, states] = L**2 * zeta(self.pi)[steps, states, actions]
            self.N = self.N + self.reachable * formulas.log_barrier_increment(R, u, self.clipped, there, square)
            b = (self._beta(self.N) - beta) * A * self.log_T + there * 2 * square / (u**2 * beta) + bias
        elif self.regularizer == "tsallis":
            stable = R**2 * visited / (u**2 * beta) * formulas.variance_factor(self.pi, 2 * R / (beta * u))
            b = 2 * (beta - before) * formulas.h1(self.pi) + stable + bias
        elif A == 1:
            b = np.zeros((H, S))
        else:
            entropy, relative = shannon(self.pi) / math.log(A), np.maximum(self.doubt, 1 / t)
            self.entropy_ratio = max(self.entropy_ratio, (entropy / relative)[self.reachable].max())
            self.doubt, growth, paid = np.where(self.reachable, entropy, self.doubt), beta - before, entropy
            if self.current:
                paid = np.maximum(entropy, 1 / t)
                capped = np.minimum(1 / (u * paid), self.N / (8 * log_term(A, t)))
                self.N = np.where(self.reachable, self.N + np.maximum(capped, 1 / u), self.N)
                growth, paid = self._beta(self.N) - beta, RATIO * paid
            b = growth * math.log(A) * paid + R**2 * visited * A / (u**2 * beta) + bias
        return np.where(self.reachable, b, 0)

    def _excess(self, B, values):
        """What the extended certificate adds: sum over layers of max_s [stab(pi, -B, beta / 2) - Bbar / H]^+, if some B is too large."""
        H, reg = self.shape[0], self.regularizer
        size = np.where(self.reachable[..., None], 4 * H * local(reg, self.pi) * B / self.beta[..., None], 0)
        self.largest = max(self.largest, float(size.max()))
        self.violations += int(np.sum(size > 1))
        if not np.any(size > 1):
            return 0.0
        plain, moved = (stability(reg, self.pi, shift - B, self.beta / 2) for shift in (0, B.max(axis=-1, keepdims=True)))
        missing = np.where(np.isfinite(plain), plain, moved) - values[:H] / H
        return np.where(self.reachable, np.maximum(missing, 0), 0).max(axis=1).sum()

    def _any_scale(self, b, B):
        """sum mu^p [b + <pi - p, k B> + stab(pi, -k B, beta / 2)], the least shift of B where it is finite, else the largest."""
        k, reg = self.bonus_scale, self.regularizer
        low, high = (
            stability(reg, self.pi, k * (shift - B), self.beta / 2) for shift in (B.min(-1, keepdims=True), B.max(-1, keepdims=True))
        )
        stable = np.where(np.isfinite(low), low, high)
        return np.sum(self.mu_p * (b + k * np.sum((self.pi - self.p) * B, axis=-1) + np.where(self.mu_p > 0, stable, 0)))

    def _path(self, losses, baseline):
        reg = self.regularizer
        stable = np.minimum(*(stability(reg, self.pi, losses - c[..., None], self.beta) for c in (0 * baseline, baseline)))
        growth = (self.beta - self.beta_before)[..., None] * (self.psi_vertex - psi(reg, self.pi)[..., None])
        linear = np.sum(self.pi * losses, axis=-1, keepdims=True) - losses @ self.vertices.T
        self.linear = self.linear + np.where(self.reachable[..., None], linear, 0)  # elsewhere the policy is uniform by definition
        self.paid = self.paid + growth + stable[..., None]
