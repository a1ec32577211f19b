"""Delayed O-REPS: mirror descent on occupancy measures in relative entropy, on late bandit feedback (Zimin, Neu 2013; with delays).

Setting: episodic MDP with known transition, oblivious losses in [0, 1]; those of episode j are observed at the end of episode j + d[j].

    q^0     = argmax entropy(q) over the occupancy measures;   play pi = q / sum_a q
    when the feedback of episode j arrives, with q = q^j and p the occupancy now:
    lhat    = 1{(s_h,a_h) = (s,a)} * loss / (max(q, p) + gamma)           the delay adaptation; plain: loss / (q + gamma)
    p       = argmin_x  eta <x, lhat> + KL(x || p)  over the occupancy measures                   one convex dual, by Newton's method

Provenance: dapo spec, section 4 item 5 [reconstructed]; the delay adaptation is that of Hedge there.

Theorem OREPS [derived: dapo spec, section 4 item 5], adapted, one after the other, any eta > 0 and gamma >= 0:

    E R_K <= entropy(q^0) / eta + (eta / 2 + gamma) H S A K + eta D~ H sqrt(S A)
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import expected_loss, least_loss, sample_episode, state_occupancy
from tabular_rl.kernels.episodic.feedback import charge, deliver
from tabular_rl.kernels.episodic.flow_projection import conditional, mirror_step, reachable_cells
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import validation as check

__all__ = ["DelayedOREPS"]

RESIDUAL, MOST_STEPS = 1e-10, 200


class Rules(NamedTuple):
    """``log_q`` [H, S, A] of the first occupancy measure; whether estimates are adapted, batches joint, projections lazy; eta, gamma."""

    start: Any
    adapted: Any
    joint: Any
    lazy: Any
    eta: Any
    gamma: Any


@dataclass(frozen=True)
class DelayedOREPS:
    """Online relative entropy policy search: the multiplicative update, projected on the flow constraints.

    Parameters
    ----------
    learning_rate, exploration : float, optional
        eta > 0 and gamma > 0; by default eta minimizes theorem OREPS at gamma = eta / 2, so that eta lhat <= 2.
    adapted : bool
        Whether estimates are adapted to the delay; plain ones have no bound.
    batch : str
        What arrives together is one update against one occupancy ("joint", one projection per episode), or one after the other
        ("sequential", the theorem's).
    lazy : bool
        Project the sum of all estimates from q^0 anew (follow the regularized leader: delayed UOB-FTRL with a known transition, dapo
        spec, section 4 item 6), in place of the newest ones from the last occupancy. The two are one algorithm: with a constant eta
        and an entropy that is a Bregman divergence on the same constraints they visit the same occupancies.

    Speed: 2 to 4 Newton steps per projection; 6 to 9 microseconds per episode of S=3, A=2, H=3, lazily 15 to 30 (its changes add up).
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"adapted": False, "batch": "sequential"},)

    learning_rate: float | None = None
    exploration: float | None = None
    adapted: bool = True
    batch: str = "joint"
    lazy: bool = False

    def __post_init__(self):
        check.choice("batch", self.batch, ("joint", "sequential"))
        for name in ("learning_rate", "exploration"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name))
        for name in ("adapted", "lazy"):
            check.flag(name, getattr(self, name))

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's expected
            total). ``parameters`` also hold ``delay`` D, ``effective_delay`` D~, the theorem's ``bound`` on the mean regret and whether
            it is ``vacuous`` (at least H K; None where it does not apply, as for losses that look at the policies, or projections that
            stopped early), the mean number of ``newton_steps`` of a projection and the largest ``flow_residual`` that one left; above
            1e-6 there is a warning.
        """
        problem = self.plays.of(problem)
        schedule, index = problem.schedule(n), checkpoints(n)
        H, sizes = problem.shape[0], problem.world.sizes
        log_q, entropy = start(problem.world)
        eta, gamma = self.resolve(sizes, n, schedule, entropy)
        rules = Rules(log_q, self.adapted, self.batch == "joint", self.lazy, eta, gamma)
        loss, least, policy, steps, residual = _run(problem.world.world, deliver(schedule), rules, index, check.generator(seed))
        if residual > 1e-6:
            warnings.warn(f"{self}: a projection stopped at a flow residual of {residual:.1e}; use a smaller learning_rate", stacklevel=2)
        together = np.diff(schedule.pointer)[:-1].max(initial=0) > 1  # what arrives after the last episode is used by no one
        proven = self.adapted and (self.batch == "sequential" or not together) and residual <= 1e-6 and problem.world.oblivious
        bound = self.bound(sizes, n, schedule, eta, gamma, entropy) if proven else None
        parameters = {"learning_rate": eta, "exploration": gamma, "delay": schedule.total, "effective_delay": schedule.effective_total}
        parameters |= {"bound": bound, "vacuous": None if bound is None else bound >= H * n}
        return Trace(
            index, {"regret": loss - least, "loss": loss}, policy, parameters | {"newton_steps": steps, "flow_residual": residual}, seed
        )

    def resolve(self, shape, n, schedule, entropy):
        """(eta, gamma) for shape (H, S, A), n episodes, their delivery and the largest entropy of an occupancy measure."""
        H, S, A = shape
        spread = H * S * A * n + schedule.effective_total * H * np.sqrt(S * A)
        eta = np.sqrt(max(entropy, np.log(2)) / spread) if self.learning_rate is None else self.learning_rate
        return float(eta), float(eta / 2 if self.exploration is None else self.exploration)

    @staticmethod
    def bound(shape, n, schedule, eta, gamma, entropy):
        """Theorem OREPS: what the mean regret cannot exceed."""
        H, S, A = shape
        return float(entropy / eta + (eta / 2 + gamma) * H * S * A * n + eta * schedule.effective_total * H * np.sqrt(S * A))


def start(world):
    """(logarithm [H, S, A] of the occupancy measure of largest entropy, -inf out of reach; its entropy) of an AdversarialMDP."""
    log_q = np.empty(world.shape)
    reachable_cells(world.packed_transition, world.initial, log_q, world.barrier)
    mirror_step(world.packed_transition, world.initial, np.zeros(world.shape), log_q, RESIDUAL, MOST_STEPS)
    return log_q, -float(np.sum(np.exp(log_q) * np.where(np.isfinite(log_q), log_q, 0.0)))


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    start, adapted, joint, lazy, eta, gamma = rules
    H, S, A = start.shape
    total = barrier.copy()
    log_q, policy, change = start.copy(), np.empty((H, S, A)), np.zeros((H, S, A))
    occupancy, arrived, policy_now = np.empty((H, S)), np.empty((H, S)), np.empty((H, S, A))
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    old_states, old_actions = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64)
    old_losses, old_q = np.empty((n_slots, H)), np.empty((n_slots, H))
    loss, losses, least, row = 0.0, np.empty(len(index)), np.empty(len(index)), 0
    projections, steps, worst = 0, 0, 0.0
    conditional(log_q, barrier, policy)
    state_occupancy(P, policy, initial, occupancy)

    for k in range(index[-1]):
        mean_losses(schedule, tables, parameters, k, policy, means)
        loss += expected_loss(occupancy, policy, means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        i = slot[k]
        if i >= 0:
            old_states[i], old_actions[i], old_losses[i] = states, actions, path_losses
            for h in range(H):
                old_q[i, h] = occupancy[h, states[h]] * policy[h, states[h], actions[h]]

        arrived[:], policy_now[:] = occupancy, policy
        waiting = 0
        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            charge(change, eta, old_q[i], arrived, policy_now, adapted, gamma, old_states[i], old_actions[i], old_losses[i])
            waiting += 1
            if not joint or j == order[pointer[k + 1] - 1]:
                if lazy:
                    log_q[:] = start
                more, residual = mirror_step(P, initial, change, log_q, RESIDUAL, MOST_STEPS)
                projections, steps, worst = projections + 1, steps + more, max(worst, residual)
                conditional(log_q, barrier, policy_now)
                state_occupancy(P, policy_now, initial, arrived)
                if not lazy:
                    change[:] = 0.0
        if waiting > 0:
            policy[:], occupancy[:] = policy_now, arrived

        if k + 1 == index[row]:
            losses[row], least[row] = loss, least_loss(P, total, initial, work)
            row += 1
    return losses, least, policy, steps / max(projections, 1), worst
