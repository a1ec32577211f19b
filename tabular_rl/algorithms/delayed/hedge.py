"""Delayed Hedge: exponential weights over all deterministic policies, with delay-adapted loss estimates. For tiny MDPs.

Setting: episodic MDP with known transition, oblivious losses in [0, 1]; those of episode j are observed at the end of episode j + d[j].

    occ[i,h,s,a]   occupancy of the i-th deterministic policy, i < N; x[i] its weight;   qbar = sum_i x[i] occ[i], played as one policy
    when the feedback of episode j arrives, with q = qbar of then and p = qbar of now:
    lhat[h,s,a]    = 1{(s_h,a_h) = (s,a)} * loss / max(q, p)[h,s,a]                 the delay adaptation; plain: loss / q
    x[i]           proportional to x[i] exp(-eta <occ[i], lhat>)                     one after the other

Theorem HEDGE (dapo spec, section 4 item 4) [derived there], adapted, every eta > 0:

    E R_K <= ln N / eta + eta H^2 (S A K / 2 + 2 D~)        the best eta, the default, makes it 2 sqrt(H^2 (S A K / 2 + 2 D~) ln N)
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import exponential_weights, least_loss, sample_episode
from tabular_rl.kernels.episodic.feedback import deliver
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import validation as check

__all__ = ["DelayedHedge"]

MOST_POLICIES = 5000


class Rules(NamedTuple):
    """``occupancies`` [H, S, A, N] of the policies, the ``uniform`` policy [H, S, A], whether estimates are adapted, eta."""

    occupancies: Any
    uniform: Any
    adapted: Any
    eta: Any


@dataclass(frozen=True)
class DelayedHedge:
    """Hedge whose experts are the deterministic policies with distinct occupancies, at most 5000 of them.

    Parameters
    ----------
    learning_rate : float, optional
        eta > 0; by default the one that minimizes theorem HEDGE.
    adapted : bool
        Whether estimates are adapted to the delay. Plain ones are unbiased, but have no bound: their size is not under control.

    Speed: an episode costs N (H S A + 3 H) multiplications and N exponentials; 1 microsecond at N = 8, H = S = A = 2.
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss")

    learning_rate: float | None = None
    adapted: bool = True

    def __post_init__(self):
        if self.learning_rate is not None:
            check.rate("learning_rate", self.learning_rate)
        check.flag("adapted", self.adapted)

    def suits(self, problem):
        """A ValueError if it has too many policies."""
        deterministic_occupancies(problem.world.transition, problem.world.initial, available=problem.world.available)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's expected
            total). ``parameters`` also hold ``policies`` N, ``delay`` D, ``effective_delay`` D~, the theorem's ``bound`` on the mean
            regret (None if not adapted, and for losses that look at the policies) and whether it is ``vacuous`` (at least H K).

        Raises
        ------
        ValueError
            With more than 5000 deterministic policies of distinct occupancy.
        """
        problem = self.plays.of(problem)
        schedule, index = problem.schedule(n), checkpoints(n)
        world, H = problem.world, problem.world.horizon
        occupancies = deterministic_occupancies(world.transition, world.initial, available=world.available)
        N = len(occupancies)
        eta = self.resolve(world.sizes, n, schedule, N)
        columns = np.ascontiguousarray(np.moveaxis(occupancies, 0, -1))
        rules = Rules(columns, np.ascontiguousarray(world.uniform_policy), self.adapted, eta)
        loss, least, policy = _run(world.world, deliver(schedule), rules, index, check.generator(seed))
        bound = self.bound(world.sizes, n, schedule, N, eta) if self.adapted and world.oblivious else None
        parameters = {"learning_rate": eta, "policies": N, "delay": schedule.total, "effective_delay": schedule.effective_total}
        parameters |= {"bound": bound, "vacuous": None if bound is None else bound >= H * n}
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, parameters, seed)

    def resolve(self, shape, n, schedule, policies):
        """eta for shape (H, S, A), n episodes, their delivery and the number of ``policies``."""
        best = np.sqrt(np.log(max(policies, 2)) / self._spread(shape, n, schedule))
        return float(best) if self.learning_rate is None else self.learning_rate

    @staticmethod
    def bound(shape, n, schedule, policies, eta):
        """Theorem HEDGE: what the mean regret cannot exceed."""
        return float(np.log(policies) / eta + eta * DelayedHedge._spread(shape, n, schedule))

    @staticmethod
    def _spread(shape, n, schedule):
        """H^2 (S A K / 2 + 2 D~)."""
        H, S, A = shape
        return H**2 * (S * A * n / 2 + 2 * schedule.effective_total)


def deterministic_occupancies(transition, initial, most=MOST_POLICIES, available=None):
    """[N, H, S, A]: the distinct occupancies of deterministic policies, for ``transition`` [H, S, A, S] and ``initial`` [S].

    ``available`` [H, S, A]: which actions the states have; default: all.

    Step by step: every choice of actions in the states that the policy reaches gives another occupancy, all other choices the same.

    Raises
    ------
    ValueError
        With more than ``most`` of them, before they are built; the number named is that of the steps looked at so far.
    """
    H, S, A, _ = transition.shape
    available = np.ones((H, S, A), bool) if available is None else available
    found = [(np.zeros((H, S, A)), np.asarray(initial))]
    for h in range(H):
        choices = [np.flatnonzero(row).tolist() for row in available[h]]
        number = sum(math.prod(len(choices[s]) for s in np.flatnonzero(now)) for _, now in found)
        if number > most:
            shown = str(number) if number < 10**15 else f"about 10^{len(str(number)) - 1}"
            raise ValueError(f"problem must have at most {most} deterministic policies of distinct occupancy, it has at least {shown}")
        grown = []
        for occupancy, now in found:
            reached = np.flatnonzero(now)
            for actions in product(*(choices[s] for s in reached)):
                longer = occupancy.copy()
                longer[h, reached, actions] = now[reached]
                grown.append((longer, now[reached] @ transition[h, reached, actions]))
        found = grown
    return np.stack([occupancy for occupancy, _ in found])


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    occupancies, uniform, adapted, eta = rules
    H, S, A, N = occupancies.shape
    total = barrier.copy()
    log_weights, weights = np.zeros((1, 1, N)), np.full((1, 1, N), 1.0 / N)
    x, mixture, policy = weights[0, 0], np.empty((H, S, A)), np.empty((H, S, A))
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    old_states, old_actions = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64)
    old_losses, old_mixture = np.empty((n_slots, H)), np.empty((n_slots, H))
    estimated = np.empty(H)
    loss, losses, least, row, changed = 0.0, np.empty(len(index)), np.empty(len(index)), 0, True

    for k in range(index[-1]):
        if changed:
            mixture.reshape(H * S * A)[:] = np.dot(occupancies.reshape(H * S * A, N), x)
            conditional(mixture, uniform, policy)
            changed = False
        mean_losses(schedule, tables, parameters, k, policy, means)
        loss += np.sum(mixture * means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        i = slot[k]
        if i >= 0:
            old_states[i], old_actions[i], old_losses[i] = states, actions, path_losses
            for h in range(H):
                old_mixture[i, h] = mixture[h, states[h], actions[h]]

        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            estimate(occupancies, x, old_mixture[i], adapted, old_states[i], old_actions[i], old_losses[i], estimated)
            learn(log_weights[0, 0], eta, occupancies, old_states[i], old_actions[i], estimated)
            exponential_weights(log_weights, weights)
            changed = True

        if k + 1 == index[row]:
            losses[row], least[row] = loss, least_loss(P, total, initial, work)
            row += 1
    return losses, least, policy


@njit
def estimate(occupancies, x, mixture, adapted, states, actions, losses, estimated):
    """Fill ``estimated`` [H] with lhat on one path: loss / max(q, p), q the ``mixture`` [H] then and p that of the weights ``x`` now."""
    for h in range(len(estimated)):
        q = mixture[h]
        if adapted:
            q = max(q, np.dot(occupancies[h, states[h], actions[h]], x))
        estimated[h] = losses[h] / q


@njit
def learn(log_weights, eta, occupancies, states, actions, estimated):
    """log weights -= eta <occ, lhat>, ``log_weights`` [N]."""
    for h in range(len(estimated)):
        charge, column = eta * estimated[h], occupancies[h, states[h], actions[h]]
        for i in range(len(log_weights)):
            log_weights[i] -= charge * column[i]


@njit
def conditional(occupancy, uniform, policy):
    """Fill the ``policy`` that has this ``occupancy`` [H, S, A]; the ``uniform`` one in unreachable states."""
    H, S, A = occupancy.shape
    for h in range(H):
        for s in range(S):
            mass = np.sum(occupancy[h, s])
            for a in range(A):
                policy[h, s, a] = occupancy[h, s, a] / mass if mass > 0.0 else uniform[h, s, a]
