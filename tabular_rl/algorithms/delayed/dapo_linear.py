"""DAPO with linear action values: delay-adapted policy optimization where Q = <phi, theta> (Lancewicki, Rosenberg, Sotnikov 2023).

Setting: as in ``dapo``, transition known (or a simulator of it), |phi| <= 1 and Q^{pi,loss}[h] = phi theta_h with |theta_h| <= Theta.

    when the feedback of episode j arrives, with pi its policy, q its occupancy and p the policy now, r = pi / max(pi, p):
    G_h          = (gamma I + E_pi phi phi^T)^-1, exactly, or estimated by matrix geometric resampling
    Qhat[h,s,a]  = r <phi[s,a], G_h phi[s_h,a_h]> L_h,   L_h = losses from step h on
    x2[h,s,a]    = phi^T G_h phi
    b[h,s,a]     = beta r x2 + beta' sum_a' p r x2
    B[h,s,a]     = b[h,s,a] + (1 + 1/H) E_{t ~ P, a' ~ p} B[h+1,t,a']
    log weights -= eta * (Qhat - B);    p = softmax(log weights)

Provenance: dapo spec, section 3 [reconstructed, 70 %; dilated bonuses as in Luo, Wei, Lee 2021]. Theorem LIN (section 3.3) [derived] bounds
the mean regret for exact covariances and sequential batches; at the lengths of the experiments it is vacuous. ``practical`` are the
constants of section 9.6: no theorem. With indicators as features, beta = 0 and beta' = c this is tabular DAPO.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.delayed.dapo import KAPPA
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import expected_loss, exponential_weights, least_loss, sample_episode, state_occupancy
from tabular_rl.kernels.episodic.feedback import deliver
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.kernels.linear.ridge import add_covariance, invert, quadratic_form, resample_inverse
from tabular_rl.models import validation as check
from tabular_rl.models.linear import feature_map

__all__ = ["LinearDAPO"]

LEAST_EXPLORATION = 1e-10  # gamma I + E phi phi^T is still well inverted
MOST_SAMPLES = 10**7


class Rules(NamedTuple):
    """``features`` [T, S, A, d], T = 1 or H, whether estimates are adapted and batches joint, the number of ``samples`` of the resampling
    (0: exact) and their ``step``, and the numbers in force: eta, gamma, beta, beta'."""

    features: Any
    adapted: Any
    joint: Any
    samples: Any
    step: Any
    eta: Any
    gamma: Any
    beta: Any
    beta_p: Any


@dataclass(frozen=True)
class LinearDAPO:
    """Exponential weights on late losses, whose estimates share what they know through features.

    Parameters
    ----------
    features : array [S, A, d], or [H, S, A, d], optional
        phi, rows of norm at most 1. Default: indicators of the pairs (s, a).
    preset : str
        "theory" (the numbers that minimize theorem LIN) or "practical".
    learning_rate, exploration, bonus, policy_bonus : float, optional
        eta > 0, gamma >= 1e-10, beta >= 0 and beta' >= 0.
    adapted : bool
        Whether estimates are adapted to the delay.
    batch : str
        "joint" or "sequential" (the theorem's), as in DAPO.
    covariance : str
        "exact", or "resampling": from simulated episodes, ``samples`` of them for each feedback (default: as many as make the bias of
        the inverse at most a tenth).
    parameter_norm : float, optional
        Theta >= 0; default sqrt(d) H, which serves losses phi lambda with lambda in [0, 1]^d and features in the simplex.
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss")

    features: Any = field(default=None, repr=False)
    preset: str = "theory"
    learning_rate: float | None = None
    exploration: float | None = None
    bonus: float | None = None
    policy_bonus: float | None = None
    adapted: bool = True
    batch: str = "sequential"
    covariance: str = "exact"
    samples: int | None = None
    parameter_norm: float | None = None

    def __post_init__(self):
        if self.features is not None:
            features = feature_map(self.features)
            object.__setattr__(self, "features", check.frozen(features, self.features))
        check.choice("preset", self.preset, ("theory", "practical"))
        check.choice("batch", self.batch, ("joint", "sequential"))
        check.choice("covariance", self.covariance, ("exact", "resampling"))
        check.flag("adapted", self.adapted)
        for name in ("learning_rate", "bonus", "policy_bonus", "parameter_norm"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name), zero=name != "learning_rate")
        if self.exploration is not None:
            check.number("exploration", self.exploration, at_least=LEAST_EXPLORATION, at_most=check.MOST)
        if self.samples is not None:
            check.integer("samples", self.samples, 1)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays) with linear action values.

        Returns
        -------
        Trace
            ``regret`` (exact, against the best fixed policy in hindsight) and ``loss``. ``parameters`` hold the numbers in force, and
            theorem LIN's ``bound`` with whether it is ``vacuous`` (None where the theorem says nothing, as for losses that look at the
            policies, or where action values are not seen to be linear with parameters within Theta: see ``covers``).
        """
        problem = self.plays.of(problem)
        H, S, A = problem.shape
        if self.features is None:
            return replace(self, features=np.eye(S * A).reshape(S, A, S * A)).run(problem, n, seed)
        sizes = problem.world.sizes
        if self.features.shape[:-1] not in ((S, A), (H, S, A)):
            raise ValueError(f"features must have shape ({S}, {A}, d) or ({H}, {S}, {A}, d) for this problem, got {self.features.shape}")
        features = self.features if self.features.ndim == 4 else self.features[None]
        schedule, index = problem.schedule(n), checkpoints(n)
        numbers = self.resolve(sizes, n, schedule)
        eta, gamma, beta, beta_p = numbers
        step = 0.5 if gamma <= 1 else 0.5 / gamma
        samples = 0
        if self.covariance == "resampling":
            samples = self.samples or int(np.ceil(np.log(max(10 / gamma, math.e)) / (step * gamma)))
            if samples > MOST_SAMPLES:
                raise ValueError(f"exploration {gamma:.3g} asks for {samples} samples for each feedback: give samples, or a larger one")
        rules = Rules(features, self.adapted, self.batch == "joint", samples, step, eta, gamma, beta, beta_p)
        loss, least, policy = _run(problem.world.world, deliver(schedule), rules, index, check.generator(seed))
        proven = self.adapted and self.batch == "sequential" and samples == 0 and self.covers(problem.world)
        bound = self.bound(sizes, n, schedule, *numbers) if proven else None
        parameters = {"learning_rate": eta, "exploration": gamma, "bonus": beta, "policy_bonus": beta_p, "samples": samples}
        parameters |= {"delay": schedule.total, "effective_delay": schedule.effective_total}
        parameters |= {"bound": bound, "vacuous": None if bound is None else bound >= H * n}
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, parameters, seed)

    def resolve(self, shape, n, schedule):
        """(eta, gamma, beta, beta') in force for shape (H, S, A), n episodes and their delivery."""
        H, _, A = shape
        d, log_actions = self.features.shape[-1], np.log(max(A, 2))
        if self.preset == "practical":
            defaults = 4 * np.sqrt(log_actions / (H**2 * d * (n + schedule.effective_total))), 0.05, 0.002, 0.002
        else:
            grid = [(eta, gamma) for eta in np.geomspace(1e-7, 1, 40) for gamma in np.geomspace(1e-5, 1, 25)]
            candidates = [(eta, gamma, *self._bonuses(H, d, eta, gamma)) for eta, gamma in grid]
            bounds = [self.bound(shape, n, schedule, *numbers) or np.inf for numbers in candidates]
            defaults = candidates[int(np.argmin(bounds))]
        given = self.learning_rate, self.exploration, self.bonus, self.policy_bonus
        return tuple(float(default if value is None else value) for value, default in zip(given, defaults, strict=True))

    def bound(self, shape, n, schedule, eta, gamma, beta, beta_p):
        """Theorem LIN's bound on the mean regret; None where its conditions fail."""
        H, _, A = shape
        d, to_go, dilation = self.features.shape[-1], np.arange(H, 0, -1), (1 + 1 / H) ** H
        largest = (beta + beta_p) / gamma
        betas = largest * H * ((1 + 1 / H) ** to_go - 1)
        charged = beta > 0 and beta_p >= beta + 2 * KAPPA * eta * H**2 - 1e-15
        if not charged or eta * (H / gamma + betas[0]) > 1 or 2 * KAPPA * eta * betas[0] * H > 1:
            return None
        step = (math.e - 1) * eta * (to_go / np.sqrt(gamma) + betas)
        drift = np.sum((2 * to_go + dilation * largest * (to_go - 1)) * step)
        bias = n * H * gamma * self._parameter_norm(H, d) ** 2 / (2 * beta)
        learning = H * np.log(max(A, 2)) / eta + dilation * (beta + beta_p) * d * H * n
        return float(learning + bias + schedule.effective_total * drift)

    def covers(self, world):
        """Whether theorem LIN's assumption is seen to hold: losses fixed in advance, Q = <phi, theta_h> and |theta_h| <= Theta.

        Sufficient: transition rows and mean losses are linear in phi, and the least-squares theta of the losses, plus the largest
        |factors V| with 0 <= V <= H - h - 1, is within Theta. Losses that drift lie between a table and its mirror image; those of
        ``losses.block`` are as arbitrary as their coins and are not looked into.
        """
        if not world.oblivious or world.schedule == "block":
            return False
        H, S, A = world.shape
        tables = np.concatenate([world.tables, 1 - world.tables]) if world.schedule == "drifting" else world.tables
        features = np.broadcast_to(self.features, (H, *self.features.shape[-3:])).reshape(H, S * A, -1)
        for h in range(H):
            rows, there = np.column_stack([tables[:, h].reshape(-1, S * A).T, world.transition[h].reshape(S * A, S)]), world.available[h]
            phi, rows = features[h][there.ravel()], rows[there.ravel()]
            found = np.linalg.lstsq(phi, rows, rcond=None)[0]
            checked = len(tables) + (S if h + 1 < H else 0)  # the last transition leads nowhere
            if np.abs(phi @ found - rows)[:, :checked].max() > 1e-9:
                return False
            factors = found[:, len(tables) :]
            swing = np.maximum(np.maximum(factors, 0).sum(axis=1), np.maximum(-factors, 0).sum(axis=1))
            largest = np.linalg.norm(found[:, : len(tables)], axis=0).max() + (H - h - 1) * np.linalg.norm(swing)
            if largest > self._parameter_norm(H, self.features.shape[-1]) * (1 + 1e-9):
                return False
        return True

    def _bonuses(self, H, d, eta, gamma):
        """beta = alpha and beta' = alpha + 2 kappa eta H^2, with the alpha that balances bias and bonus."""
        alpha = np.sqrt(gamma) * self._parameter_norm(H, d) / (2 * np.sqrt((1 + 1 / H) ** H * d))
        return alpha, alpha + 2 * KAPPA * eta * H**2

    def _parameter_norm(self, H, d):
        return np.sqrt(d) * H if self.parameter_norm is None else self.parameter_norm


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    features, adapted, joint, samples, step, eta, gamma, beta, beta_p = rules
    _, H, S, A = tables.shape
    d = features.shape[3]
    total, log_weights, policy, occupancy = barrier.copy(), 0.0 - barrier, np.empty((H, S, A)), np.empty((H, S))
    exponential_weights(log_weights, policy)
    ratio, bonus, inverse = np.empty((H, S, A)), np.empty((H, S, A)), np.empty((H, d, d))
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    loss, losses, least, row = 0.0, np.empty(len(index)), np.empty(len(index)), 0

    # what waits for its losses
    old_policy, old_occupancy = np.empty((n_slots, H, S, A)), np.empty((n_slots, H, S))
    old_states, old_actions, old_losses = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64), np.empty((n_slots, H))

    for k in range(index[-1]):
        mean_losses(schedule, tables, parameters, k, policy, means)
        state_occupancy(P, policy, initial, occupancy)
        loss += expected_loss(occupancy, policy, means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        i = slot[k]
        if i >= 0:
            old_policy[i], old_occupancy[i] = policy, occupancy
            old_states[i], old_actions[i], old_losses[i] = states, actions, path_losses

        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            if samples == 0:
                invert_covariances(features, old_occupancy[i], old_policy[i], gamma, inverse)
            else:
                resample_inverses(P, initial, features, old_policy[i], gamma, samples, step, rng, inverse)
            delay_ratio(old_policy[i], policy, adapted, ratio)
            propagate(P, features, inverse, ratio, policy, beta, beta_p, bonus)
            learn(log_weights, eta, features, inverse, ratio, bonus, old_states[i], old_actions[i], old_losses[i])
            if not joint:
                exponential_weights(log_weights, policy)
        if joint:
            exponential_weights(log_weights, policy)

        if k + 1 == index[row]:
            losses[row], least[row] = loss, least_loss(P, total, initial, work)
            row += 1
    return losses, least, policy


@njit
def invert_covariances(features, occupancy, policy, gamma, inverse):
    """Fill ``inverse`` [H, d, d]: G_h = (gamma I + E phi phi^T)^-1 under the ``occupancy`` [H, S] of the ``policy``, exactly."""
    H, d, _ = inverse.shape
    covariance = np.empty((d, d))
    for h in range(H):
        for m in range(d):
            for m2 in range(d):
                covariance[m, m2] = gamma if m == m2 else 0.0
        add_covariance(features[h % len(features)], occupancy[h], policy[h], covariance)
        invert(covariance, inverse[h])


@njit
def resample_inverses(P, initial, features, policy, gamma, samples, step, rng, inverse):
    """Fill ``inverse`` [H, d, d] by matrix geometric resampling from ``samples`` simulated episodes of the ``policy``."""
    H, d, _ = inverse.shape
    product, work = np.empty((H, d, d)), np.empty(d)
    states, actions, losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    for h in range(H):
        for m in range(d):
            for m2 in range(d):
                product[h, m, m2], inverse[h, m, m2] = (1.0, step) if m == m2 else (0.0, 0.0)
    for _ in range(samples):
        sample_episode(P, policy, initial, policy, False, rng, states, actions, losses)  # its losses are not looked at
        for h in range(H):
            resample_inverse(features[h % len(features), states[h], actions[h]], gamma, step, product[h], work, inverse[h])


@njit
def delay_ratio(played, arrived, adapted, ratio):
    """Fill the ``ratio`` [H, S, A]: r = pi / max(pi, p) of the policies then and now, or 1 where estimates are not ``adapted``."""
    H, S, A = ratio.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                ratio[h, s, a] = played[h, s, a] / max(played[h, s, a], arrived[h, s, a], 1e-300) if adapted else 1.0


@njit
def propagate(P, features, inverse, ratio, policy, beta, beta_p, bonus):
    """Fill the ``bonus`` [H, S, A]: B = b + (1 + 1/H) E B of the policy now, b = beta r x2 + beta' sum_a p r x2, x2 = phi^T G phi."""
    H, S, A = bonus.shape
    x2, values = np.empty(A), np.zeros((H + 1, S))
    for h in range(H - 1, -1, -1):
        phi, stage, following = features[h % len(features)], P[h % len(P)], values[h + 1]
        for s in range(S):
            shared = 0.0
            for a in range(A):
                x2[a] = max(0.0, quadratic_form(inverse[h], phi[s, a], phi[s, a]))
                shared += policy[h, s, a] * ratio[h, s, a] * x2[a]
            value = 0.0
            for a in range(A):
                expected = 0.0
                for t in range(S):
                    expected += stage[s, a, t] * following[t]
                bonus[h, s, a] = beta * ratio[h, s, a] * x2[a] + beta_p * shared + (1 + 1 / H) * expected
                value += policy[h, s, a] * bonus[h, s, a]
            values[h, s] = value


@njit
def learn(log_weights, eta, features, inverse, ratio, bonus, states, actions, losses):
    """log weights -= eta * (Qhat - B), Qhat = r <phi, G phi(s_h, a_h)> L_h on one path [H] with its ``losses``."""
    H, S, A = bonus.shape
    d = inverse.shape[1]
    direction, to_go = np.empty(d), 0.0
    for h in range(H - 1, -1, -1):
        phi = features[h % len(features)]
        seen = phi[states[h], actions[h]]
        to_go += losses[h]
        for m in range(d):
            direction[m] = 0.0
            for m2 in range(d):
                direction[m] += inverse[h, m, m2] * seen[m2]
        for s in range(S):
            for a in range(A):
                estimate = 0.0
                for m in range(d):
                    estimate += phi[s, a, m] * direction[m]
                log_weights[h, s, a] = log_weights[h, s, a] - eta * ratio[h, s, a] * estimate * to_go + eta * bonus[h, s, a]
