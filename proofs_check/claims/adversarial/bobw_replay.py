# mypy: ignore-errors
"""The algorithm once more, in plain NumPy and for n independent runs at once, with everything that the theorems speak of written down.

Known transition (bobw spec, 3.1 to 3.5). Shares no code with ``tabular_rl.algorithms``: the tests hold the two against each other.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proofs_check.claims.adversarial import bobw_bonus as formulas
from proofs_check.claims.adversarial.bobw_entropy import shannon, zeta
from proofs_check.claims.adversarial.bobw_ftrl import leader, local, psi, stability, vertices
from tabular_rl.planning import state_occupancy


@dataclass
class Replay:
    """n runs of T episodes; ``means(t, policy)`` is the table [..., H, S, A] of mean losses of episode t, drawn as 0/1.

    Attributes
    ----------
    regret : [n]
        Against ``comparator`` (or the uniform policy where none is given), by mean losses.
    certificate, initial : [n], float
        cert_T and I0 without the log barrier's mixing; ``mixing`` [n] is that: H (H + 1) / 2 + (1 / T) sum_t sum_h max B_t.
    excess : [n]
        What the extended certificate adds: sum over episodes and layers of max_s [stab(pi, -B, beta / 2) - Bbar / H]^+.
    always : [n]
        The bound of 4.4 for any ``bonus_scale``, without I0.
    largest, violations : [n]
        (C_B): the largest 4 H local(pi) B / beta, and how many exceeded 1.
    linear, paid, start : [n, H, S, A]
        The two sides of ``bobw.ftrl`` for every (h, s) and action; ``start``: the share beta_0 (psi(e) - psi(pi_1)) of ``paid``.
    entropy_ratio : [n]
        r = max Ent(pi_t) / (log(A) htil_t), Shannon.
    """

    mdp: Any
    means: Any
    T: int
    n: int
    regularizer: str = "tsallis"
    constants: formulas.Constants | None = None
    bonus_scale: float = 1.0
    comparator: Any = None
    play: Any = None  # (policy [H, S, A], means) -> (states, actions, losses) [H]: another source of episodes, n = 1
    log_path: bool = False
    policies: list = field(default_factory=list)

    def run(self, rng):
        H, S, A = self.mdp.shape
        self._prepare(H, S, A)
        for t in range(1, self.T + 1):
            self._forward(t)
            means = np.broadcast_to(self.means(t, self.pi), self.pi.shape)
            states, actions, L = self._episode(means, rng)
            self._learn(states, actions, L)
            q = self.mu[..., None] * self.pi
            self.loss += np.sum(q * means, axis=(1, 2, 3))
            self.regret += np.sum((q - self.q_comparator) * means, axis=(1, 2, 3))
            self.policies += [self.pi[0].copy()] * (self.n == 1)
        if self.regularizer == "log_barrier":
            self.mixing = H * (H + 1) / 2 + self.mixing / self.T
        return self

    def _prepare(self, H, S, A):
        n, mdp, barrier = self.n, self.mdp, self.regularizer == "log_barrier"
        self.c0, self.eps, self.N0 = self.constants or formulas.theory(self.regularizer, H, S, A, self.T)
        self.R, self.log_T = formulas.to_go(H), math.log(self.T)
        self.reachable = np.zeros((H, S), bool)
        reach = mdp.initial > 0
        for h in range(H):
            self.reachable[h] = reach
            reach = np.einsum("s,sat->t", reach.astype(float), mdp.transition[h]) > 0
        comparator = np.full((H, S, A), 1 / A) if self.comparator is None else self.comparator
        self.p, self.mu_p = comparator, state_occupancy(mdp, comparator)
        self.q_comparator = self.mu_p[..., None] * comparator
        self.N = np.broadcast_to(self.N0 * (self.R**2 if barrier else 1) + np.zeros((H, S)), (n, H, S)).copy()
        self.cumulative, self.pi = np.zeros((n, H, S, A)), np.full((n, H, S, A), 1 / A)
        self.beta_before = self._beta(self.N)
        self.beta = self.beta_before.copy()
        self.u, self.mu, self.inflow = np.ones((n, H, S)), np.zeros((n, H, S)), np.zeros((n, H, S))
        self.relative = np.ones((n, H, S))
        self.vertices = vertices(self.regularizer, A, self.T)
        self.psi_vertex = psi(self.regularizer, self.vertices)  # [A]
        start = self.psi_vertex - psi(self.regularizer, np.full(A, 1 / A))
        self.start = self.beta_before[..., None] * start
        self.linear, self.paid = np.zeros((n, H, S, A)), self.start.copy()
        self.initial = float(np.sum(self.beta_before[0].max(axis=-1) * (math.log(self.T) * A if barrier else start[0])))
        names = "loss regret certificate mixing excess always largest violations entropy_ratio"
        for name in names.split():
            setattr(self, name, np.zeros(n))

    def _beta(self, N):
        A = self.pi.shape[-1]
        if self.regularizer == "log_barrier":
            return np.sqrt(N / (A * self.log_T)) / self.c0
        return self.R * np.sqrt((A if self.regularizer == "shannon" else 1) * N) / self.c0

    def _forward(self, t):
        """mu, u, N, beta and pi, layer by layer: u needs the policies of the layers before."""
        H, barrier, A = len(self.R), self.regularizer == "log_barrier", self.pi.shape[-1]
        mu = inflow = np.broadcast_to(self.mdp.initial, self.mu[:, 0].shape)
        if self.regularizer == "shannon" and A > 1:
            entropy = shannon(self.pi) / math.log(A) if t > 1 else np.ones(self.mu.shape)
            self.relative = np.maximum(entropy, 1 / t)
        if not barrier:
            self.beta_before = self.beta.copy()
        for h in range(H):
            N = self.N[:, h]
            threshold = np.minimum(1, (self.R[h] if barrier else 1) / (self.eps * np.sqrt(N)))
            self.mu[:, h], self.inflow[:, h] = mu, inflow
            floored = np.maximum(inflow, 1 / self.T)
            self.u[:, h] = np.minimum(1, np.maximum(floored, threshold)) if barrier else np.maximum(mu, threshold)
            if barrier:
                self.clipped = np.zeros(self.mu.shape) if h == 0 else self.clipped
                self.clipped[:, h] = floored < threshold
            else:
                u = self.u[:, h]
                grown = 1 / u if self.regularizer == "tsallis" else formulas.shannon_increment(N, u, self.relative[:, h])
                self.N[:, h] = np.where(self.reachable[h], N + grown, N)
                self.beta[:, h] = (self._beta(self.N))[:, h]
            pi = leader(self.regularizer, self.cumulative[:, h], self.beta[:, h])
            self.pi[:, h] = np.where(self.reachable[h][:, None], pi, 1 / A)
            flow = np.where(self.reachable[h], self.u[:, h], 0)
            P = self.mdp.transition[h]
            mu = np.einsum("ns,nsa,sat->nt", self.mu[:, h], self.pi[:, h], P)
            inflow = np.einsum("ns,nsa,sat->nt", flow, self.pi[:, h], P) if barrier else mu
        if self.regularizer == "shannon" and A > 1:
            self.entropy_ratio = np.maximum(self.entropy_ratio, (shannon(self.pi) / math.log(A) / self.relative).max(axis=(1, 2)))

    def _episode(self, means, rng):
        """states, actions and losses to go, [n, H]."""
        if self.play is not None:
            states, actions, losses = (np.array(part)[None] for part in self.play(self.pi[0], means[0]))
            return states, actions, np.cumsum(losses[:, ::-1], axis=1)[:, ::-1]
        n, H, S, _ = self.pi.shape
        states, actions, losses, run = np.empty((n, H), int), np.empty((n, H), int), np.empty((n, H)), np.arange(n)
        row = np.broadcast_to(self.mdp.initial, (n, S))
        for h in range(H):
            s = states[:, h] = _draw(row, rng)
            a = actions[:, h] = _draw(self.pi[run, h, s], rng)
            losses[:, h] = rng.random(n) < means[run, h, s, a]
            row = self.mdp.transition[h, s, a]
        return states, actions, np.cumsum(losses[:, ::-1], axis=1)[:, ::-1]

    def _learn(self, states, actions, L):
        n, H, S, A = self.pi.shape
        run, steps = np.arange(n)[:, None], np.arange(H)
        visited = np.zeros((n, H, S))
        visited[run, steps, states] = 1
        there = visited * L[..., None]
        losses, u = np.zeros((n, H, S, A)), self.u
        losses[run, steps, states, actions] = L / (u[run, steps, states] * self.pi[run, steps, states, actions])
        self.b = self._bonus(visited, there, (run, steps, states), actions)
        B, values = self._dilate(self.b)
        losses -= self.bonus_scale * B
        self._account(B, values, losses, there / u)
        self.cumulative += losses
        if self.regularizer == "log_barrier":
            self.beta_before, self.beta = self.beta, self.beta_after

    def _bonus(self, visited, there, place, actions):
        A = self.pi.shape[-1]
        if self.regularizer == "log_barrier":
            square = np.zeros(visited.shape)
            square[place] = zeta(self.pi)[(*place, actions)]
            square *= there**2
            grown = formulas.log_barrier_increment(self.R, self.u, self.clipped, visited, square)
            self.N = np.where(self.reachable, self.N + grown, self.N)
            self.beta_after = self._beta(self.N)
            b = formulas.log_barrier_bonus(self.R, A, self.log_T, self.mu, self.u, self.beta, self.beta_after, visited, square)
        elif self.regularizer == "tsallis":
            b = formulas.tsallis_bonus(self.R, self.pi, self.mu, self.u, self.beta, self.beta_before)
        else:
            b = formulas.shannon_bonus(self.R, self.pi, self.mu, self.u, self.beta, self.beta_before) * (A > 1)
        return np.where(self.reachable, b, 0)

    def _dilate(self, b):
        n, H, S, _ = self.pi.shape
        B, values = np.empty(self.pi.shape), np.zeros((n, H + 1, S))
        for h in range(H - 1, -1, -1):
            B[:, h] = b[:, h, :, None] + (1 + 1 / H) * np.einsum("sat,nt->nsa", self.mdp.transition[h], values[:, h + 1])
            values[:, h] = np.sum(self.pi[:, h] * B[:, h], axis=-1)
        return B, values

    def _account(self, B, values, losses, baseline):
        H, reg, k = len(self.R), self.regularizer, self.bonus_scale
        self.certificate += (1 + 1 / H) * values[:, 0] @ self.mdp.initial
        self.mixing += np.where(self.reachable, B.max(axis=3), 0).max(axis=2).sum(axis=1)
        size = np.where(self.reachable[..., None], 4 * H * local(reg, self.pi) * B / self.beta[..., None], 0)
        self.largest = np.maximum(self.largest, size.max(axis=(1, 2, 3)))
        over = np.sum(size > 1, axis=(1, 2, 3))
        self.violations += over
        half = self.beta / 2
        if over.any():
            missing = np.where(self.reachable, np.maximum(stability(reg, self.pi, -B, half) - values[:, :H] / H, 0), 0)
            self.excess += np.where(over > 0, missing.max(axis=2).sum(axis=1), 0)
        shifted = [stability(reg, self.pi, k * (shift - B), half) for shift in (B.min(-1, keepdims=True), B.max(-1, keepdims=True))]
        moved = np.minimum(*shifted)  # the second is always finite
        self.always += np.sum(self.mu_p * (self.b + k * np.sum((self.pi - self.p) * B, axis=-1) + moved), axis=(1, 2))
        if self.log_path:
            stable = np.minimum(*(stability(reg, self.pi, losses - c[..., None], self.beta) for c in (0 * baseline, baseline)))
            growth = (self.beta - self.beta_before)[..., None] * (self.psi_vertex - psi(reg, self.pi)[..., None])
            linear = np.sum(self.pi * losses, axis=-1, keepdims=True) - losses @ self.vertices.T
            self.linear += np.where(self.reachable[..., None], linear, 0)  # elsewhere the policy is uniform by definition
            self.paid += growth + stable[..., None]


def _draw(rows, rng):
    """One index per row of probabilities."""
    return np.minimum(np.sum(np.cumsum(rows, axis=-1) < rng.random((len(rows), 1)), axis=-1), rows.shape[-1] - 1)


def stochastic(means):
    """The same table in every episode."""
    return lambda t, policy: means


def anti_greedy(t, policy):
    """Loss 1 on the likeliest action of every (h, s), ties to the lowest index."""
    return np.eye(policy.shape[-1])[np.argmax(policy, axis=-1)]


def phases(means):
    """Half of the means, plus a level of 0.55 in every other phase; phases grow by 1.6."""
    return lambda t, policy: 0.5 * means + 0.55 * (int(math.log(t) / math.log(1.6)) % 2)
