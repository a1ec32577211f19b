"""Delayed OPPO: optimistic policy optimization on late bandit feedback, without a bonus (Lancewicki, Rosenberg, Mansour 2022).

Setting: episodic MDP, oblivious losses in [0, 1]; the losses of episode j are observed at the end of episode j + d[j].

    lhat[h,s,a] = 1{(s_h,a_h) = (s,a)} * loss / (u[h,s] pi[h,s,a] + gamma)          u = occupancy of pi = pi^j, or its upper bound
    Qhat[h,s,a] = lhat[h,s,a] + E_{t ~ P, or min over the confidence set} sum_a' pi[h+1,t,a'] Qhat[h+1,t,a']
    when it arrives:   log weights -= eta * Qhat;   p = softmax(log weights)

Nothing in Qhat depends on the policy p at arrival: what arrives together may be processed in any order, joint and sequential batches
are one algorithm. The confidence set is that of the time of play. Provenance: dapo spec, section 4 item 3 [reconstructed, 70 %].

Theorem OPPO [derived: dapo spec, section 4 item 3], transition known:

    E R_K <= H ln A / eta + gamma H S A K + eta (K / (2 gamma) + D~) sum_h (H - h)^2

The best gamma and eta make this K^(2/3) + sqrt(D~) up to H, S, A: a better delay term than the paper's (K + D)^(2/3), which holds with
high probability and for unknown transitions.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.confidence import bernstein_confidence, extreme_expectation, observe, occupancy_bounds, renew
from tabular_rl.kernels.episodic.episodes import (
    evaluate_episodic,
    expected_loss,
    exponential_weights,
    least_loss,
    sample_episode,
    state_occupancy,
)
from tabular_rl.kernels.episodic.feedback import deliver
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import validation as check

__all__ = ["DelayedOPPO"]


class Rules(NamedTuple):
    """The numbers in force: whether the transition is known, eta, gamma, logarithm of the radii."""

    known: Any
    eta: Any
    gamma: Any
    log_term: Any


@dataclass(frozen=True)
class DelayedOPPO:
    """Exponential weights on q-values of importance-weighted losses, in an optimistic model.

    Parameters
    ----------
    learning_rate, exploration : float, optional
        eta > 0 and gamma > 0; by default those that minimize theorem OPPO.
    transition : str
        "known", or "unknown": learned, with confidence sets at level ``delta`` in (0, 1).
    confidence_scale : float
        Multiplies the logarithm of the confidence radii, >= 0; 1 is the theory's.

    Speed: 2 microseconds per episode of S=3, A=2, H=3 with the transition known, 20 unknown.
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"transition": "unknown"},)

    learning_rate: float | None = None
    exploration: float | None = None
    transition: str = "known"
    delta: float = 0.1
    confidence_scale: float = 1.0

    def __post_init__(self):
        check.choice("transition", self.transition, ("known", "unknown"))
        for name in ("learning_rate", "exploration"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name))
        check.failure("delta", self.delta)
        check.rate("confidence_scale", self.confidence_scale, zero=True)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's expected
            total); ``uncertainty``, the sum of u - l, when the transition is unknown. ``parameters`` also hold ``delay`` D,
            ``effective_delay`` D~, the theorem's ``bound`` on the mean regret (None when the transition is unknown, and for losses that
            look at the policies) and whether it is ``vacuous`` (at least H K).
        """
        problem = self.plays.of(problem)
        schedule, index = problem.schedule(n), checkpoints(n)
        H, S, A = sizes = problem.world.sizes
        eta, gamma = self.resolve(sizes, n, schedule)
        log_term = self.confidence_scale * np.log(H * S * A * n / self.delta)
        known = self.transition == "known"
        rules = Rules(known, eta, gamma, log_term)
        loss, least, width, policy = _run(problem.world.world, deliver(schedule), rules, index, check.generator(seed))
        series = {"regret": loss - least, "loss": loss} | ({} if known else {"uncertainty": width})
        bound = self.bound(sizes, n, schedule, eta, gamma) if known and problem.world.oblivious else None
        parameters = {"learning_rate": eta, "exploration": gamma, "delay": schedule.total, "effective_delay": schedule.effective_total}
        parameters |= {"bound": bound, "vacuous": None if bound is None else bound >= H * n}
        return Trace(index, series, policy, parameters, seed)

    def resolve(self, shape, n, schedule):
        """(eta, gamma) for shape (H, S, A), n episodes and their delivery: the theorem's best, of gamma also for a given eta."""
        H, S, A = shape
        squares, late = _squares(H), schedule.effective_total
        # the best gamma leaves H ln A / eta + K sqrt(2 eta H S A squares) + eta D~ squares; its derivative vanishes where, x = sqrt(eta),
        # D~ squares x^4 + K sqrt(H S A squares / 2) x^3 = H ln A
        roots = np.roots([late * squares, n * np.sqrt(H * S * A * squares / 2), 0, 0, -H * np.log(max(A, 2))])
        best = max(root.real for root in roots if abs(root.imag) < 1e-9 * abs(root)) ** 2
        eta = best if self.learning_rate is None else self.learning_rate
        gamma = np.sqrt(eta * squares / (2 * H * S * A)) if self.exploration is None else self.exploration
        return float(eta), float(gamma)

    @staticmethod
    def bound(shape, n, schedule, eta, gamma):
        """Theorem OPPO: what the mean regret cannot exceed, transition known."""
        H, S, A = shape
        return float(H * np.log(A) / eta + gamma * H * S * A * n + eta * (n / (2 * gamma) + schedule.effective_total) * _squares(H))


def _squares(H):
    return H * (H + 1) * (2 * H + 1) / 6  # sum_h (H - h)^2


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    known, eta, gamma, log_term = rules
    _, H, S, A = tables.shape
    total, log_weights, policy = barrier.copy(), 0.0 - barrier, np.empty((H, S, A))
    exponential_weights(log_weights, policy)
    occupancy, upper, lower = np.empty((H, S)), np.empty((H, S)), np.empty((H, S))
    estimated, values = np.empty((H, S, A)), np.empty((H + 1, S))
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    waiting = np.empty((n_slots, H, S, A))  # Qhat of what waits: nothing in it changes until it arrives
    old_states, old_actions = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64)
    loss, width, row, changed = 0.0, 0.0, 0, True
    losses, least, widths = np.empty(len(index)), np.empty(len(index)), np.empty(len(index))

    size = 0 if known else H
    visits, at_epoch, seen = np.zeros((size, S, A)), np.zeros((size, S, A)), np.zeros((size, S, A, S))
    estimate, radius = np.empty((size, S, A, S)), np.empty((size, S, A, S))
    bernstein_confidence(visits, seen, log_term, estimate, radius)

    for k in range(index[-1]):
        mean_losses(schedule, tables, parameters, k, policy, means)
        if changed:
            state_occupancy(P, policy, initial, occupancy)
            if known:
                upper[:], lower[:] = occupancy, occupancy
            else:
                occupancy_bounds(estimate, radius, policy, initial, upper, lower)
            changed = False
        loss += expected_loss(occupancy, policy, means)
        width += np.sum(upper) - np.sum(lower)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        i = slot[k]
        if i >= 0:
            estimate_losses(upper, policy, gamma, states, actions, path_losses, estimated)
            if known:
                evaluate_episodic(P, estimated, policy, waiting[i], values)
            else:
                evaluate_optimistic(estimate, radius, estimated, policy, waiting[i], values)
            old_states[i], old_actions[i] = states, actions

        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            learn(log_weights, eta, waiting[i])
            changed = True
            if not known:
                observe(visits, seen, old_states[i], old_actions[i])
        if changed:
            exponential_weights(log_weights, policy)

        if not known and renew(visits, seen, at_epoch, log_term, estimate, radius):
            changed = True

        if k + 1 == index[row]:
            losses[row], least[row], widths[row] = loss, least_loss(P, total, initial, work), width
            row += 1
    return losses, least, widths, policy


@njit
def estimate_losses(upper, policy, gamma, states, actions, losses, estimated):
    """Fill ``estimated`` [H, S, A] with lhat = 1{(s_h,a_h) = (s,a)} loss / (u pi + gamma), u the ``upper`` occupancy [H, S]."""
    estimated.fill(0.0)
    for h in range(len(states)):
        s, a = states[h], actions[h]
        estimated[h, s, a] = losses[h] / (upper[h, s] * policy[h, s, a] + gamma)


@njit
def learn(log_weights, eta, q_values):
    """log weights -= eta * Qhat, all [H, S, A]."""
    H, S, A = q_values.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                log_weights[h, s, a] -= eta * q_values[h, s, a]


@njit
def evaluate_optimistic(estimate, radius, loss, policy, q_values, values):
    """``evaluate_episodic`` of losses, with the minimum over the confidence set in place of the expectation."""
    H, S, A = policy.shape
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        order = np.argsort(values[h + 1])
        for s in range(S):
            values[h, s] = 0.0
            for a in range(A):
                following = extreme_expectation(estimate[h, s, a], radius[h, s, a], order, values[h + 1]) if h + 1 < H else 0.0
                q_values[h, s, a] = loss[h, s, a] + following
                values[h, s] += policy[h, s, a] * q_values[h, s, a]
