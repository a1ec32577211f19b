"""One episode: the estimator, what it hides, the certificate's step, and gaps (bobw spec, L1, 3.1, 4.4 and section 1).

Expectations are exact: sums over all trajectories of the policy. The losses of these claims are the model's ``reward``.

    Qhat[h,s,a] = 1{(s_h,a_h) = (s,a)} L_h / (u pi),   u >= mu the effective occupancy,   L_h = losses from step h on
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import evaluate, occupancy, state_occupancy
from proofs_check.claims.adversarial.bobw_bonus import (
    log_barrier_bonus,
    log_barrier_increment,
    propagated,
    shannon_bonus,
    shannon_increment,
    theory,
    to_go,
    tsallis_bonus,
)
from proofs_check.claims.adversarial.bobw_entropy import SOURCE, h2, shannon, zeta
from proofs_check.claims.adversarial.bobw_ftrl import inner, regularizers, stability
from proofs_check.claims.delayed.dapo_estimator import trajectories
from proofs_check.strategies import enumerable_mdps, finite_horizon_mdps, policies, scales, state_tables, tables
from tabular_rl.algorithms.adversarial.best_of_both_worlds_rates import Path, learn


def _estimate(mdp, pi, least, divided=True):
    """(E Qhat, Q, mu / u) with u = max(mu, least)."""
    mu = state_occupancy(mdp, pi)
    u = np.maximum(mu, least)
    paths = trajectories(mdp, pi)
    chosen = np.where(pi > 0, pi, 1)
    weights = 1 / ((u[..., None] if divided else 1) * chosen)
    return paths.mean_at(paths.at(weights) * paths.to_go, mdp.shape), evaluate(mdp, pi).q_values, (mu / u)[..., None]


@claim("bobw.estimator", kind=identity, source=f"{SOURCE} 3.1", provenance="derived",
       given=(enumerable_mdps(), policies(), scales(-1.8, 0)), control={"divided": False}, exact=True)  # fmt: skip
def estimator(mdp, pi, least, divided=True):
    """E Qhat = (mu / u) Q wherever pi > 0, for any u >= mu: biased downwards by the clip alone.  Control: L / pi, not divided by u."""
    mean, q_values, ratio = _estimate(mdp, pi, least, divided)
    return mean, ratio * q_values * (pi > 0), mdp.horizon


@claim("bobw.estimator-bias", kind=inequality, source=f"{SOURCE} 4.4", provenance="derived",
       given=(enumerable_mdps(), policies(), scales(-1.8, 0)), control={"factor": 1}, exact=True)  # fmt: skip
def estimator_bias(mdp, pi, least, factor=None):
    """0 <= Q - E Qhat <= (H - h) (1 - mu / u) wherever pi > 0.  Control: 1 - mu / u, as if one loss were all that follows."""
    mean, q_values, ratio = _estimate(mdp, pi, least)
    hidden = (q_values - mean) * (pi > 0)
    bound = (1 - ratio) * (np.arange(len(mean), 0, -1)[:, None, None] if factor is None else factor) + 0 * hidden
    return np.stack([-hidden, hidden]), np.stack([0 * hidden, bound]), mdp.horizon


@claim("bobw.estimate", kind=identity, source=f"{SOURCE} 3.1 and 3.5", provenance="derived",
       given=(enumerable_mdps(), policies(), scales(-1.8, 0), tables(0.0, 1.0), st.sampled_from([0.0, 0.1, 1.0])),
       control={"divided": False})  # fmt: skip
def estimate_in_mean(mdp, pi, least, B, k, divided=True):
    """What the algorithm adds to its sums, ``learn``, is (mu / u) Q - k B in the mean over all trajectories, wherever pi > 0.

    Control: Q - k B.
    """
    mu, (H, _, A) = state_occupancy(mdp, pi), mdp.shape
    u, paths, mean = np.maximum(mu, least), trajectories(mdp, pi), np.zeros(mdp.shape)
    for n in np.flatnonzero(paths.probability):
        cells, (states, actions) = np.zeros(mdp.shape), np.divmod(paths.cells[:, n], A)
        learn(k, B, Path(states, actions, np.ascontiguousarray(paths.to_go[:, n])), u, pi, cells)
        mean += paths.probability[n] * cells
    ratio = (mu / u)[..., None] if divided else 1
    return mean, ratio * evaluate(mdp, pi).q_values * (pi > 0) - k * B, 100 * H / least


_progress = state_tables(0.0, 1.0)  # of log N, up to a factor of a million


class _Step:
    """Everything of one episode under theory's constants: arrays [n, H, S] and [n, H, S, A] over the n trajectories."""

    def __init__(self, mdp, pi, regularizer, progress, T, bonus=1.0):
        H, S, A = mdp.shape
        c0, eps, N0 = theory(regularizer, H, S, A, T)
        R, mu, barrier = to_go(H), state_occupancy(mdp, pi), regularizer == "log_barrier"
        self.probability, self.drawn, L = self._paths(mdp, pi)
        visited = self.drawn.sum(axis=-1)
        N = N0 * (R**2 if barrier else 1) * 10 ** (6 * progress)
        threshold = np.minimum(1, (R if barrier else 1) / (eps * np.sqrt(N)))
        u, inflow = propagated(mdp, pi, threshold, 1 / T) if barrier else (np.maximum(mu, threshold), mu)
        L_there = visited * L[..., None]
        self.estimates = self.drawn * (L_there / u)[..., None] / pi
        self.baseline = L_there / u
        if barrier:
            square = L_there**2 * np.sum(self.drawn * zeta(pi), axis=-1)
            after = N + log_barrier_increment(R, u, np.maximum(inflow, 1 / T) < threshold, visited, square)
            self.beta, beta_after = (np.sqrt(each / (A * math.log(T))) / c0 for each in (N, after))
            self.penalty = (beta_after - self.beta) * A * math.log(T)
            b = log_barrier_bonus(R, A, math.log(T), mu, u, self.beta, beta_after, visited, square)
        else:
            entropy = np.maximum(shannon(pi) / math.log(max(A, 2)), 1e-6)
            after = N + (1 / u if regularizer == "tsallis" else shannon_increment(N, u, np.minimum(1, entropy)))
            before, self.beta = (R * np.sqrt((1 if regularizer == "tsallis" else A) * each) / c0 for each in (N, after))
            b = (tsallis_bonus if regularizer == "tsallis" else shannon_bonus)(R, pi, mu, u, self.beta, before)
            self.penalty = b - (tsallis_bonus if regularizer == "tsallis" else shannon_bonus)(R, pi, mu, u, self.beta, self.beta)
            if regularizer == "shannon":
                self.baseline = 0 * self.baseline
            else:  # the better of the two shifts, as g takes it
                w = 2 * R / (self.beta * u)
                keep = (w >= 1) | (np.sum(np.sqrt(pi), axis=-1) * (1 - w) <= h2(pi))
                self.baseline = np.where(keep, 0, self.baseline)
        b = bonus * np.broadcast_to(b, visited.shape)
        self.B = self._propagate(mdp, pi, b)
        self.values = np.sum(pi * self.B, axis=-1)

    @staticmethod
    def _paths(mdp, pi):
        paths, (H, S, A) = trajectories(mdp, pi), mdp.shape
        possible = np.flatnonzero(paths.probability)
        drawn = np.eye(S * A)[paths.cells[:, possible].T].reshape(-1, H, S, A)
        return paths.probability[possible], drawn, paths.to_go[:, possible].T

    @staticmethod
    def _propagate(mdp, pi, b):
        following, layers = np.zeros(b[:, 0].shape), []
        for h in range(mdp.horizon - 1, -1, -1):
            layers.append(b[:, h, :, None] + (1 + 1 / mdp.horizon) * np.einsum("sat,nt->nsa", mdp.transition[h], following))
            following = np.sum(pi[h] * layers[-1], axis=-1)
        return np.stack(layers[::-1], axis=1)

    def mean(self, values):
        """Expectation over the trajectories."""
        return np.tensordot(self.probability, values, axes=1)


@claim("bobw.episode", kind=inequality, source=f"{SOURCE} 4.4", provenance="derived",
       given=(enumerable_mdps(), policies("pi"), policies("comparator"), _progress, regularizers, st.sampled_from([10, 10_000])),
       control={"bonus": 0.0})  # fmt: skip
def episode(mdp, pi, comparator, progress, regularizer, T, bonus=1.0):
    """V_pi - V_* <= E (1 + 1/H) <initial, Bbar[0]> + sum q* E [<pi - pi*, Qhat - B> - penalty - stab(pi, Qhat - c - B, beta)].

    Theory's constants. Along a path the bracket adds up to at most beta_0 (psi(pi*) - psi(pi_1)) in every state: the certificate. For
    each regularizer, any N >= N_0. Control: no bonus.
    """
    pi = inner(pi, 1e-9)
    step = _Step(mdp, pi, regularizer, progress, T, bonus)
    stable = stability(regularizer, pi, step.estimates - step.baseline[..., None] - step.B, step.beta)
    linear = np.sum((pi - comparator) * step.mean(step.estimates - step.B), axis=-1)
    bracket = linear - step.mean(np.broadcast_to(step.penalty, stable.shape) + stable)
    certificate = (1 + 1 / mdp.horizon) * step.mean(step.values)[0] @ mdp.initial
    promised = certificate + np.sum(state_occupancy(mdp, comparator) * bracket)
    regret = mdp.initial @ (evaluate(mdp, pi).values[0] - evaluate(mdp, comparator).values[0])
    return regret, promised, 100 * (1 + np.abs(step.mean(step.estimates)).max() + certificate)


def best_policy(mdp):
    """(values [H + 1, S], q_values [H, S, A], policy [H, S, A]) of the least losses, by backward induction on floats or fractions."""
    values, q_values = [0 * mdp.initial], []
    for h in range(len(mdp.transition) - 1, -1, -1):
        q_values.append(mdp.reward[h] + mdp.transition[h] @ values[-1])
        values.append(q_values[-1].min(axis=-1))
    q_table = np.stack(q_values[::-1])
    rows = np.eye(mdp.shape[-1], dtype=int if q_table.dtype == object else float)
    return np.stack(values[::-1]), q_table, rows[np.argmin(q_table, axis=-1)]


@claim("bobw.gaps", kind=identity, source=f"{SOURCE} L1", provenance="derived",
       given=(finite_horizon_mdps(), policies()), control={"ahead": False}, exact=True)  # fmt: skip
def regret_by_gaps(mdp, pi, ahead=True):
    """V_pi - V* = sum mu pi (Q* - V*): where losses repeat, regret counts the visits to gaps.  Control: gaps of single losses."""
    values, q_values, _ = best_policy(mdp)
    gaps = q_values - values[:-1, :, None] if ahead else mdp.reward - mdp.reward.min(axis=-1, keepdims=True)
    return mdp.initial @ (evaluate(mdp, pi).values[0] - values[0]), np.sum(occupancy(mdp, pi) * gaps), mdp.horizon


@claim("bobw.corruption", kind=inequality, source=f"{SOURCE} 1", provenance="derived",
       given=(finite_horizon_mdps(), policies(), tables()), control={"share": 0.0625}, exact=True)  # fmt: skip
def corruption(mdp, pi, c, share=None):
    """Losses m + c: sum mu pi Delta <= V_pi - V_{pi*} + 2 sum_h max |c[h]|, with the gaps and the best policy of m.

    Control: a sixteenth of what corruption may cost.
    """
    values, q_values, best = best_policy(mdp)
    charged = np.sum((occupancy(mdp, pi) - occupancy(mdp, best)) * (mdp.reward + c))
    cost = 2 * np.abs(c).reshape(len(c), -1).max(axis=1).sum()
    if share is not None:
        cost = cost * type(cost)(share)
    return np.sum(occupancy(mdp, pi) * (q_values - values[:-1, :, None])), charged + cost, mdp.horizon
