"""Policy optimization with dilated exploration bonuses, fixed learning rate (Luo, Wei, Lee 2021).

Setting: episodic MDP, adversarial losses in [0, 1], bandit feedback on the played path, transition known or unknown.

    pi_k         = softmax(-eta * sum_{j<k} (Qhat_j - B_j))                                           per (h, s)
    Qhat[h,s,a]  = 1{(s_h,a_h) = (s,a)} * L_h * w[h,s,a],   L_h = losses from step h on
    w[h,s,a]     = 1 / (u[h,s] pi[h,s,a] + gamma)                                                      u = occupancy, or its upper bound
    b[h,s]       = sum_a pi w * (c + (H - h) (u - l)[h,s] pi)                                          l = its lower bound
    B[h,s,a]     = b[h,s] + (1 + 1/H) * E_{t ~ P or max over the confidence set} sum_a' pi[h+1,t,a'] B[h+1,t,a']

Status of the constants. ``theory``: the delay-adapted bound at zero delay, dapo spec section 6 (SEQ) [derived there]; with it
E regret <= E certificate. ``practical``: dapo spec 6.1, chosen by looking at one small instance; no theorem. ``luo``: the shape of
the paper, bobw spec 6.1 [reconstructed]. Unknown transition: dapo spec 2.5 [reconstructed], and with it the certificate has a
term 4 delta H k: with probability at most 4 delta the transition leaves a confidence set, and then an episode costs at most H (argument and
worlds as for certificate C of ``dapo``).
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.confidence import bernstein_confidence, observe, occupancy_bounds, optimistic_dilated_bonus, renew
from tabular_rl.kernels.episodic.episodes import (
    dilated_bonus,
    expected_loss,
    exponential_weights,
    least_loss,
    sample_episode,
    state_occupancy,
)
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP
from tabular_rl.models import validation as check

__all__ = ["DilatedBonusPO"]

KAPPA = math.e - 2  # exp(-y) <= 1 - y + KAPPA * y**2 for y >= -1


class Rules(NamedTuple):
    """The numbers in force: learning rate, exploration, bonus constant, whether the transition is known, logarithm of the radii."""

    eta: Any
    gamma: Any
    c: Any
    known: Any
    log_term: Any


@dataclass(frozen=True)
class DilatedBonusPO:
    """Exponential weights in every state on importance-weighted losses, with a dilated exploration bonus.

    Parameters
    ----------
    preset : str
        "theory" (guarantee), "practical" (plots) or "luo": where the three numbers below come from when they are None.
    learning_rate : float, optional
        eta > 0.
    exploration : float, optional
        Implicit exploration gamma > 0.
    bonus_scale : float, optional
        Multiplies the bonus constant c, >= 0. Below the preset "theory" with scale 1 there is no guarantee.
    transition : str
        "known", or "unknown": learned, with confidence sets at level ``delta`` in (0, 1), all of which hold with probability 1 - 4 delta.
    confidence_scale : float
        Multiplies the logarithm of the confidence radii, >= 0; 1 is the theory's, below it there is no guarantee.
    """

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"preset": "practical"}, {"preset": "luo", "transition": "unknown"})

    preset: str = "theory"
    learning_rate: float | None = None
    exploration: float | None = None
    bonus_scale: float | None = None
    transition: str = "known"
    delta: float = 0.1
    confidence_scale: float = 1.0

    def __post_init__(self):
        check.choice("preset", self.preset, ("theory", "practical", "luo"))
        check.choice("transition", self.transition, ("known", "unknown"))
        for name in ("learning_rate", "exploration", "bonus_scale"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name), zero=name == "bonus_scale")
        check.failure("delta", self.delta)
        check.rate("confidence_scale", self.confidence_scale, zero=True)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of an AdversarialMDP (or FiniteHorizonMDP).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's
            expected total), and ``certificate`` when the parameters satisfy the theorem and the losses are fixed in advance: after
            each episode its mean bounds the mean of ``regret``. In worlds that look at the policies (``losses.anti_greedy``,
            ``losses.corrupted``) the best policy in hindsight depends on the draws, the theorem speaks of policies fixed in advance
            alone, and there is no certificate.
        """
        problem = self.plays.of(problem)
        index = checkpoints(n)
        H, S, A = problem.sizes
        eta, gamma, c, proven = self.resolve(problem.sizes, n)
        log_term = self.confidence_scale * np.log(H * S * A * n / self.delta)
        known = self.transition == "known"
        loss, least, bonus, policy = _run(problem.world, Rules(eta, gamma, c, known, log_term), index, check.generator(seed))
        series = {"regret": loss - least, "loss": loss}
        proven = proven and problem.oblivious
        if proven:
            series["certificate"] = self.certificate(problem.sizes, eta, bonus, index)
        parameters = {"learning_rate": eta, "exploration": gamma, "bonus": c, "guarantee": proven}
        return Trace(index, series, policy, parameters, seed)

    def resolve(self, shape, n):
        """(eta, gamma, c, whether the theorem's conditions hold) for shape (H, S, A) and n episodes."""
        H, S, A = shape
        log_actions, dilation = np.log(max(A, 2)), (1 + 1 / H) ** H
        extra = self.transition == "unknown"  # the term (H - h)(u - l) pi adds at most H to the largest bonus
        if self.preset == "theory":
            largest = H * (1 + KAPPA + extra) * H * (dilation - 1)  # beta_0 at gamma = eta H
            spread = dilation * H**3 * (1 + KAPPA) * S * A * n
            # slightly below the thresholds, so that the conditions also hold in floating point
            eta = min(np.sqrt(H * log_actions / spread), (1 - 1e-12) / largest, (1 - 1e-12) / (KAPPA * H * largest))
            ratio, scale = 1.0, 1.0
        elif self.preset == "practical":
            eta, ratio, scale = 10 * np.sqrt(log_actions / (5 * H**2 * S * A * n)), 0.5, 0.1
        else:
            eta, ratio, scale = np.sqrt(log_actions / (S * A * n)) / H, 2.0, 1.0
        eta = eta if self.learning_rate is None else self.learning_rate
        gamma = ratio * eta * H if self.exploration is None else self.exploration
        scale = scale if self.bonus_scale is None else self.bonus_scale
        least_bonus = gamma * H + KAPPA * eta * H**2
        c = scale * (3 * gamma * H if self.preset == "luo" else least_bonus)
        theta = eta * (c / gamma + extra * H) * H * (dilation - 1)
        covered = not extra or self.confidence_scale >= 1
        return float(eta), float(gamma), float(c), bool(covered and c >= least_bonus and theta <= 1 and KAPPA * H * theta <= 1)

    def certificate(self, shape, eta, bonus, k):
        """The bound on the mean regret of ``k`` episodes whose bonuses sum to ``bonus``, <initial, Bbar[0]> each."""
        H, _, A = shape
        missed = 0 if self.transition == "known" else 4 * self.delta * H * k
        return H * np.log(A) / eta + (1 + 1 / H) * bonus + missed


@njit
def _run(world, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    eta, gamma, c, known, log_term = rules
    _, H, S, A = tables.shape
    total, log_weights, policy = barrier.copy(), 0.0 - barrier, np.empty((H, S, A))
    occupancy, local_bonus = np.empty((H, S)), np.empty((H, S))
    bonus, bonus_values = np.empty((H, S, A)), np.empty((H + 1, S))
    upper, lower = (occupancy, occupancy) if known else (np.empty((H, S)), np.empty((H, S)))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    means, work = np.empty((H, S, A)), np.empty((2, S))
    loss, paid, losses, least, bonuses, row = 0.0, 0.0, np.empty(len(index)), np.empty(len(index)), np.empty(len(index)), 0

    size = 0 if known else H
    visits, at_epoch, seen = np.zeros((size, S, A)), np.zeros((size, S, A)), np.zeros((size, S, A, S))
    estimate, radius = np.empty((size, S, A, S)), np.empty((size, S, A, S))
    bernstein_confidence(visits, seen, log_term, estimate, radius)

    for k in range(index[-1]):
        exponential_weights(log_weights, policy)
        mean_losses(schedule, tables, parameters, k, policy, means)
        state_occupancy(P, policy, initial, occupancy)
        loss += expected_loss(occupancy, policy, means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        if not known:
            occupancy_bounds(estimate, radius, policy, initial, upper, lower)

        local_bonuses(upper, lower, policy, gamma, c, local_bonus)
        if known:
            dilated_bonus(P, policy, local_bonus, 1 + 1 / H, bonus, bonus_values)
        else:
            optimistic_dilated_bonus(estimate, radius, policy, local_bonus, 1 + 1 / H, bonus, bonus_values)
        for s in range(S):
            paid += initial[s] * bonus_values[0, s]

        learn(eta, gamma, bonus, states, actions, path_losses, upper, policy, log_weights)
        if not known:
            observe(visits, seen, states, actions)
            renew(visits, seen, at_epoch, log_term, estimate, radius)

        if k + 1 == index[row]:
            losses[row], least[row], bonuses[row] = loss, least_loss(P, total, initial, work), paid
            row += 1
    return losses, least, bonuses, policy


@njit
def local_bonuses(upper, lower, policy, gamma, c, b):
    """b[h,s] = sum_a pi / (u pi + gamma) (c + (H - h) (u - l) pi), see the head; ``upper`` and ``lower``: u and l [H, S]."""
    H, S, A = policy.shape
    for h in range(H):
        for s in range(S):
            b[h, s] = 0.0
            for a in range(A):
                pi = policy[h, s, a]
                b[h, s] += pi / (upper[h, s] * pi + gamma) * (c + (H - h) * (upper[h, s] - lower[h, s]) * pi)


@njit
def learn(eta, gamma, bonus, states, actions, losses, upper, policy, log_weights):
    """log_weights -= eta (Qhat - B), with Qhat = L / (u pi + gamma) on the played path [H], L the ``losses`` to go."""
    H, S, A = policy.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                log_weights[h, s, a] += eta * bonus[h, s, a]
    to_go = 0.0
    for h in range(H - 1, -1, -1):
        s, a = states[h], actions[h]
        to_go += losses[h]
        log_weights[h, s, a] -= eta * to_go / (upper[h, s] * policy[h, s, a] + gamma)
