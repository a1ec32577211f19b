"""DAPO: delay-adapted policy optimization for adversarial MDPs with delayed bandit feedback (Lancewicki, Rosenberg, Sotnikov 2023).

Setting: episodic MDP, oblivious losses in [0, 1]; the losses of episode j are observed at the end of episode j + d[j].

    when the feedback of episode j arrives, with pi its policy, q its occupancy and p the policy now:
    w[h,s,a]     = r / (q[h,s] pi[h,s,a] + gamma),   r = pi / max(pi, p)            the delay adaptation [paper; denominator 75 %]
    Qhat[h,s,a]  = 1{(s_h,a_h) = (s,a)} * w[h,s,a] * L_h,   L_h = losses from step h on
    b[h,s]       = sum_a p w * (c + (H - h) (u - l)[h,s] pi)                        u, l: bounds on q when the transition is unknown
    B[h,s,a]     = b[h,s] + (1 + 1/H) * E_{t ~ P or max over the confidence set, a' ~ p} B[h+1,t,a']
    log weights -= eta * (Qhat - B);    p = softmax(log weights)

Provenance. The ratio and the implicit exploration are the paper's; structure and constants of the bonus are reconstructed (dapo spec 2.2).
``theory`` has c = gamma H + (e - 2) eta H^2, gamma = eta H and the eta that minimizes theorem SEQ [derived, dapo spec section 6];
``practical`` [dapo spec 6.1] was chosen by looking at one small instance, no theorem. Unknown transition: dapo spec 2.5 [reconstructed].

Certificate C (dapo spec 5.3) [derived], sequential batches, losses and delays fixed in advance, hence also q*, that of the best policy in
hindsight; the last term for an unknown transition only:

    E R_K <= E [H ln A / eta + sum_k 2 sum_h (H - h) <q*_h, TV(pi^k, p^k)> + (1 + 1/H) <initial, Bbar^k_0>] + 4 delta H K

Every step of the proof holds, given what was processed before, as long as P lies in the set of the time of play. Stop the order of
processing at the first episode whose set misses P: that is known before its feedback is used, the terms left out are >= 0, and what
follows costs at most H an episode, with probability at most 4 delta (Jin et al. 2020).
Losses that look at the policies make q* depend on the draws: then neither this nor the theorem says anything.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
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
from tabular_rl.kernels.episodic.feedback import delay_weight, deliver
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.models import validation as check

__all__ = ["DAPO"]

KAPPA = math.e - 2  # exp(-y) <= 1 - y + KAPPA * y**2 for y >= -1
ESTIMATORS = ("adapted", "adapted_joint", "plain", "arrival_only")  # in the order of the kernel's codes


class Rules(NamedTuple):
    """The switches and numbers in force: form of the estimator (its code), joint batches, transition known, paths at once, eta, gamma, c,
    factor of the unknown transition's bonus, logarithm of the radii."""

    form: Any
    joint: Any
    known: Any
    immediate: Any
    eta: Any
    gamma: Any
    c: Any
    confidence_bonus: Any
    log_term: Any


@dataclass(frozen=True)
class DAPO:
    """Exponential weights on late, importance-weighted losses, corrected for how much the policy has moved since.

    Parameters
    ----------
    preset : str
        "theory" (guarantee) or "practical" (plots): where the three numbers below come from when they are None.
    learning_rate, exploration, bonus_scale : float, optional
        eta > 0, gamma > 0, and a factor >= 0 of the bonus constant c.
    estimator : str
        "adapted" (gamma outside of the ratio), "adapted_joint" (gamma joint), "plain" (not adapted: no bound), "arrival_only" (a control).
    batch : str
        What arrives together is weighed against one policy ("joint", the paper's form), or one after the other ("sequential").
    transition : str
        "known", or "unknown": learned, with confidence sets at level ``delta`` in (0, 1), all of which hold with probability 1 - 4 delta.
    trajectory : str
        "delayed", or "immediate": paths arrive at once and only losses late. With an unknown transition that is a heuristic: policies
        then depend on paths whose losses are still to come, and the estimates are no longer unbiased (dapo spec, section 1).
    confidence_scale, confidence_bonus_scale : float
        Multiply the logarithm of the confidence radii, and the bonus term of the unknown transition; >= 0, 1 is the theory's.
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"preset": "practical", "transition": "unknown"}, {"batch": "sequential"})

    preset: str = "theory"
    learning_rate: float | None = None
    exploration: float | None = None
    bonus_scale: float | None = None
    estimator: str = "adapted"
    batch: str = "joint"
    transition: str = "known"
    trajectory: str = "delayed"
    delta: float = 0.1
    confidence_scale: float = 1.0
    confidence_bonus_scale: float = 1.0

    def __post_init__(self):
        check.choice("preset", self.preset, ("theory", "practical"))
        check.choice("estimator", self.estimator, ESTIMATORS)
        check.choice("batch", self.batch, ("joint", "sequential"))
        check.choice("transition", self.transition, ("known", "unknown"))
        check.choice("trajectory", self.trajectory, ("delayed", "immediate"))
        for name in ("learning_rate", "exploration", "bonus_scale"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name), zero=name == "bonus_scale")
        check.failure("delta", self.delta)
        check.rate("confidence_scale", self.confidence_scale, zero=True)
        check.rate("confidence_bonus_scale", self.confidence_bonus_scale, zero=True)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's expected
            total); ``uncertainty``, the sum of u - l, when the transition is unknown. ``parameters`` also hold ``delay`` D,
            ``effective_delay`` D~, the theorem's ``bound`` on the mean regret and whether it is ``vacuous`` (at least H K), and the
            ``certificate`` of this run: the mean of regret - certificate is at most 0. Both are None where nothing is proven, as in
            worlds that look at the policies (``losses.anti_greedy``, ``losses.corrupted``).
        """
        problem = self.plays.of(problem)
        schedule, index = problem.schedule(n), checkpoints(n)
        H, S, A = sizes = problem.world.sizes
        eta, gamma, c, condition = self.resolve(sizes, n, schedule)
        proven = condition and self.estimator.startswith("adapted") and not self._heuristic and problem.world.oblivious
        if self.preset == "theory" and not condition:
            warnings.warn(f"{self}: the theorem's conditions do not hold for eta={eta:.3g}, gamma={gamma:.3g}, c={c:.3g}", stacklevel=2)
        certified = proven and self.batch == "sequential"
        rules = Rules(
            ESTIMATORS.index(self.estimator), self.batch == "joint", self._known, self.trajectory == "immediate", eta, gamma, c,
            float(self.confidence_bonus_scale), self.confidence_scale * np.log(H * S * A * n / self.delta),
        )  # fmt: skip
        loss, least, width, policy, total, drift, paid = _run(
            problem.world.world,
            deliver(schedule, keep_last=certified),
            rules,
            index,
            check.generator(seed),
        )
        series = {"regret": loss - least, "loss": loss} | ({} if self._known else {"uncertainty": width})
        bound = self.bound(sizes, n, schedule, eta, gamma, c) if proven and self._known else None
        certificate = None
        if certified:
            world = problem.world
            hindsight = FiniteHorizonMDP(world.transition, -total, world.initial, available=world.packed_available)
            visited = planning.state_occupancy(hindsight, planning.solve(hindsight).policy)
            certificate = self.certificate(sizes, n, eta, visited, drift, paid)
        parameters = {
            "learning_rate": eta,
            "exploration": gamma,
            "bonus": c,
            "delay": schedule.total,
            "effective_delay": schedule.effective_total,
        }
        parameters |= {"bound": bound, "vacuous": None if bound is None else bound >= H * n, "certificate": certificate}
        return Trace(index, series, policy, parameters, seed)

    @property
    def _known(self):
        return self.transition == "known"

    @property
    def _heuristic(self):
        """Whether a switch leaves what is proven about unknown transitions."""
        return not self._known and (self.trajectory == "immediate" or min(self.confidence_scale, self.confidence_bonus_scale) < 1)

    def resolve(self, shape, n, schedule):
        """(eta, gamma, c, whether COND of the theorems holds) for shape (H, S, A), n episodes and their delivery."""
        H, S, A = shape
        log_actions = np.log(max(A, 2))
        extra = 0 if self._known else self.confidence_bonus_scale  # (H - h)(u - l) pi adds at most H to the largest bonus
        if self.preset == "theory":
            largest = H * (1 + KAPPA + extra)  # bmax at gamma = eta H
            beta = largest * H * ((1 + 1 / H) ** np.arange(H, 0, -1) - 1)
            spread = (1 + 1 / H) ** H * H**3 * (1 + KAPPA) * S * A * n
            spread += schedule.effective_total * self._drift(H, largest, np.arange(H, 0, -1) + (math.e - 1) * beta)
            # slightly below the threshold, so that it also holds in floating point
            eta = min(np.sqrt(H * log_actions / spread), (1 - 1e-12) / beta[0], (1 - 1e-12) / (KAPPA * H * beta[0]))
            ratio, scale = 1.0, 1.0
        else:
            eta = 10 * np.sqrt(log_actions / (H**2 * (5 * S * A * n + schedule.effective_total)))
            ratio, scale = 0.5, 0.1
        eta = eta if self.learning_rate is None else self.learning_rate
        gamma = ratio * eta * H if self.exploration is None else self.exploration
        least_bonus = gamma * H + KAPPA * eta * H**2
        c = (scale if self.bonus_scale is None else self.bonus_scale) * least_bonus
        theta = eta * (c / gamma + extra * H) * H * ((1 + 1 / H) ** H - 1)
        return float(eta), float(gamma), float(c), bool(c >= least_bonus and theta <= 1 and KAPPA * H * theta <= 1)

    def certificate(self, shape, n, eta, visited, drift, paid):
        """Certificate C of a run of ``n`` episodes: what the mean regret cannot exceed in the mean (dapo spec 5.3) [derived].

        ``visited`` [H, S]: occupancy of the best policy in hindsight; ``drift`` [H, S]: sum_k TV(pi^k, p^k); ``paid``: sum_k <initial,
        Bbar^k_0>.
        """
        H, _, A = shape
        moved = 2 * np.arange(H, 0, -1) @ np.sum(visited * drift, axis=1)
        return float(H * np.log(A) / eta + moved + (1 + 1 / H) * paid + (0 if self._known else 4 * self.delta * H * n))

    def bound(self, shape, n, schedule, eta, gamma, c):
        """Theorem SEQ, or JOINT: what the mean regret cannot exceed under COND, transition known (dapo spec, section 6) [derived]."""
        H, S, A = shape
        to_go, largest, dilation = np.arange(H, 0, -1), c / gamma, (1 + 1 / H) ** H
        beta = largest * H * ((1 + 1 / H) ** to_go - 1)
        theta = eta * beta[0]
        step = eta * (to_go + (np.expm1(theta) / theta if theta > 0 else 1.0) * beta)
        inside = schedule.within_batches if self.batch == "joint" else 0
        total = H * np.log(A) / eta + dilation * c * H * S * A * n + (schedule.effective_total - inside) * self._drift(H, largest, step)
        return float(total + inside * np.sum((to_go + KAPPA * eta * to_go**2 / gamma + beta * (1 + KAPPA * theta)) * step))

    @staticmethod
    def _drift(H, largest, step):
        """sum_h [2 (H - h) + (1 + 1/H)^H bmax (H - 1 - h)] step_h: what one episode of delay costs."""
        to_go = np.arange(H, 0, -1)
        return float(np.sum((2 * to_go + (1 + 1 / H) ** H * largest * (to_go - 1)) * step))


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    form, joint, known, immediate, eta, gamma, c, confidence_bonus, log_term = rules
    _, H, S, A = tables.shape
    total, log_weights, policy = barrier.copy(), 0.0 - barrier, np.empty((H, S, A))
    exponential_weights(log_weights, policy)
    occupancy, upper, lower = np.empty((H, S)), np.empty((H, S)), np.empty((H, S))
    weights, local_bonus, bonus, values = np.empty((H, S, A)), np.empty((H, S)), np.empty((H, S, A)), np.empty((H + 1, S))
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    loss, width, row, changed = 0.0, 0.0, 0, True
    losses, least, widths = np.empty(len(index)), np.empty(len(index)), np.empty(len(index))
    drift, paid, last = np.zeros((H, S)), 0.0, np.empty((H, S, A))

    # the counts and sets of an unknown transition
    size = 0 if known else H
    visits, at_epoch, seen = np.zeros((size, S, A)), np.zeros((size, S, A)), np.zeros((size, S, A, S))
    estimate, radius = np.empty((size, S, A, S)), np.empty((size, S, A, S))
    bernstein_confidence(visits, seen, log_term, estimate, radius)

    # what waits for its losses: all of it is of the time of play
    old_policy, old_upper, old_lower = np.empty((n_slots, H, S, A)), np.empty((n_slots, H, S)), np.empty((n_slots, H, S))
    old_states, old_actions, old_losses = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64), np.empty((n_slots, H))
    sets = 0 if known else n_slots
    old_estimate, old_radius = np.empty((sets, size, S, A, S)), np.empty((sets, size, S, A, S))

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
            old_policy[i], old_upper[i], old_lower[i] = policy, upper, lower
            old_states[i], old_actions[i], old_losses[i] = states, actions, path_losses
            if not known:
                old_estimate[i], old_radius[i] = estimate, radius
        if immediate and not known:
            observe(visits, seen, states, actions)
        if k + 1 == index[-1]:
            last[:] = policy  # what arrives from here on is for the certificate alone: no policy that it makes is played

        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            weigh(form, old_upper[i], old_lower[i], old_policy[i], policy, gamma, c, confidence_bonus, weights, local_bonus, drift)
            if known:
                dilated_bonus(P, policy, local_bonus, 1 + 1 / H, bonus, values)
            else:
                optimistic_dilated_bonus(old_estimate[i], old_radius[i], policy, local_bonus, 1 + 1 / H, bonus, values)
            for s in range(S):
                paid += initial[s] * values[0, s]
            learn(log_weights, eta, weights, bonus, old_states[i], old_actions[i], old_losses[i])
            if not joint:
                exponential_weights(log_weights, policy)
            if not (known or immediate):
                observe(visits, seen, old_states[i], old_actions[i])
            changed = True
        if changed and joint:
            exponential_weights(log_weights, policy)

        if not known and renew(visits, seen, at_epoch, log_term, estimate, radius):
            changed = True

        if k + 1 == index[row]:
            losses[row], least[row], widths[row] = loss, least_loss(P, total, initial, work), width
            row += 1

    return losses, least, widths, last, total, drift, paid


@njit
def weigh(form, upper, lower, played, arrived, gamma, c, confidence_bonus, weights, local_bonus, drift):
    """Fill the ``weights`` [H, S, A] and ``local_bonus`` [H, S] of late feedback; add how far the policy has moved to ``drift``."""
    H, S, A = played.shape
    for h in range(H):
        for s in range(S):
            u, gap = upper[h, s], (H - h) * confidence_bonus * (upper[h, s] - lower[h, s])
            local_bonus[h, s] = 0.0
            for a in range(A):
                pi, p = played[h, s, a], arrived[h, s, a]
                weights[h, s, a] = delay_weight(form, u, pi, p, gamma)
                local_bonus[h, s] += p * weights[h, s, a] * (c + gap * pi)
                drift[h, s] += max(0.0, pi - p)  # sums to the total variation


@njit
def learn(log_weights, eta, weights, bonus, states, actions, losses):
    """log weights -= eta * (Qhat - B): ``weights`` w and ``bonus`` B [H, S, A], one path [H] with its ``losses``."""
    H, S, A = log_weights.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                log_weights[h, s, a] += eta * bonus[h, s, a]
    to_go = 0.0
    for h in range(H - 1, -1, -1):
        s, a = states[h], actions[h]
        to_go += losses[h]
        log_weights[h, s, a] -= eta * weights[h, s, a] * to_go
