"""Delayed UOB-REPS and UOB-FTRL: entropy on occupancy measures when the transition is unknown, on late bandit feedback (Jin et al. 2020).

Setting: episodic MDP with unknown transition, oblivious losses in [0, 1]; those of episode j are observed at the end of episode j + d[j].

    set     every transition whose rows lie within the Bernstein radius of the counts of what was heard; a new one when a count has doubled
    lhat    = 1{(s_h,a_h) = (s,a)} * loss / (max(u_j pi_j, u pi) + gamma)             u: largest occupancy over the set, at play and now
    x       = argmin eta <x, newest lhat> + KL(x || last x)                           UOB-REPS
    x       = argmin eta <x, sum of all lhat> + KL(x || first center)                 UOB-FTRL
              over the occupancy measures x[h,s,a,t] of all transitions of the set;   play pi = q / sum_a q, q = sum_t x

Both begin at the x nearest to the first set's center, where nothing is known yet the uniform 1 / (S A S) of the paper. With radius 0
KL(x || center) is KL of q alone, and both are ``DelayedOREPS``. While the set changes the two differ: a projection on the old set is
not one on the new.

Provenance: dapo spec, section 4 items 5 and 6 [reconstructed], the adapted denominator as in theorem OREPS. Rates quoted there for K
episodes of total delay D [reconstructed, 80 %], none proven here: H^2 S sqrt(A K) + H (H S A)^(1/4) sqrt(D) for UOB-REPS,
H^2 S sqrt(A K) + H^(3/2) S sqrt(A D) for UOB-FTRL.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.delayed.uob_projection import confidence_step, corners
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import DelayedMDP
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.confidence import bernstein_confidence, observe, occupancy_bounds, renew
from tabular_rl.kernels.episodic.episodes import expected_loss, least_loss, sample_episode, state_occupancy
from tabular_rl.kernels.episodic.feedback import charge, deliver
from tabular_rl.kernels.episodic.flow_projection import conditional, reachable_cells
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import validation as check

__all__ = ["DelayedUOB"]

RESIDUAL, MOST_STEPS, LARGEST_RESIDUAL = 1e-10, 200, 1e-7


class Rules(NamedTuple):
    """The switches and numbers in force: lazy projections, eta, gamma, logarithm of the radii, visits before the run."""

    lazy: Any
    eta: Any
    gamma: Any
    log_term: Any
    prior_visits: Any


@dataclass(frozen=True)
class DelayedUOB:
    """Entropy-regularized occupancy measures over a confidence set, with upper occupancy bounds in the estimates.

    Parameters
    ----------
    lazy : bool
        True: UOB-FTRL, from the sum of all estimates; False: UOB-REPS, from the last occupancy measure.
    learning_rate, exploration : float, optional
        eta > 0 and gamma > 0. Default eta = sqrt(H log(S^2 A) / (H S A K + D~ H sqrt(S A))): that of theorem OREPS, with the largest
        KL(x || uniform) for its entropy; gamma = eta / 2. No theorem here covers it when the transition is unknown.
    delta : float
        Level of the confidence sets, in (0, 1).
    confidence_scale : float
        Multiplies the logarithm of the radii, >= 0; 1 is the theory's.
    prior_visits : float
        Visits with the true frequencies that every row has had before the run, >= 0: as if from a generative model. With 2.0**60 of them
        the counts of a run are lost in rounding, and with ``confidence_scale`` 0 the set is the true transition alone.

    Speed: 1.5 to 2 Newton steps per projection; 10 microseconds per episode of H = S = A = 2, 20 of S=3, A=2, H=3, 100 of S=5, A=3, H=4;
    the occupancy bounds take their part of it.
    """

    plays = DelayedMDP
    unit = "episode"
    series = ("regret", "loss", "uncertainty")
    examples = ({"lazy": False},)

    lazy: bool = True
    learning_rate: float | None = None
    exploration: float | None = None
    delta: float = 0.1
    confidence_scale: float = 1.0
    prior_visits: float = 0.0

    def __post_init__(self):
        for name in ("learning_rate", "exploration"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name))
        check.failure("delta", self.delta)
        for name in ("confidence_scale", "prior_visits"):
            check.rate(name, getattr(self, name), zero=True)
        check.flag("lazy", self.lazy)

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP (an AdversarialMDP or FiniteHorizonMDP has no delays).

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight), ``loss`` (the learner's expected
            total), ``uncertainty``, the sum of u - l. ``parameters`` also hold ``delay`` D, ``effective_delay`` D~, the number of
            ``epochs``, the mean number of ``newton_steps`` of a projection and the largest ``flow_residual`` that one left.

        Raises
        ------
        RuntimeError
            When a projection stopped with a flow residual above 1e-7.
        """
        problem = self.plays.of(problem)
        world, schedule, index = problem.world, problem.schedule(n), checkpoints(n)
        H, S, A = world.sizes
        eta, gamma = self.resolve(world.sizes, n, schedule)
        log_term = self.confidence_scale * np.log(H * S * A * n / self.delta)
        loss, least, width, policy, epochs, steps, residual = _run(
            world.world, deliver(schedule), Rules(self.lazy, eta, gamma, log_term, float(self.prior_visits)), index, check.generator(seed)
        )
        if not residual <= LARGEST_RESIDUAL:  # or not a number
            raise RuntimeError(f"{self}: a projection stopped at a flow residual of {residual:.1e}; use a smaller learning_rate")
        series = {"regret": loss - least, "loss": loss, "uncertainty": width}
        parameters = {"learning_rate": eta, "exploration": gamma, "delay": schedule.total, "effective_delay": schedule.effective_total}
        return Trace(index, series, policy, parameters | {"epochs": epochs, "newton_steps": steps, "flow_residual": residual}, seed)

    def resolve(self, shape, n, schedule):
        """(eta, gamma) for shape (H, S, A), n episodes and their delivery."""
        _, S, A = shape
        eta = np.sqrt(np.log(max(S * S * A, 2)) / (S * A * n + schedule.effective_total * np.sqrt(S * A)))
        eta = eta if self.learning_rate is None else self.learning_rate
        return float(eta), float(eta / 2 if self.exploration is None else self.exploration)


@njit
def _run(world, delivery, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    order, pointer, slot, n_slots = delivery
    lazy, eta, gamma, log_term, prior_visits = rules
    _, H, S, A = tables.shape
    total = barrier.copy()
    means, work = np.empty((H, S, A)), np.empty((2, S))
    states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
    old_states, old_actions = np.empty((n_slots, H), np.int64), np.empty((n_slots, H), np.int64)
    old_losses, old_upper = np.empty((n_slots, H)), np.empty((n_slots, H))
    policy, occupancy, upper, lower = np.empty((H, S, A)), np.empty((H, S)), np.empty((H, S)), np.empty((H, S))
    loss, width, row, epochs, projections, steps, worst = 0.0, 0.0, 0, 1, 0, 0, 0.0
    losses, least, widths = np.empty(len(index)), np.empty(len(index)), np.empty(len(index))

    visits, at_epoch, seen = np.full((H, S, A), prior_visits), np.full((H, S, A), prior_visits), np.empty((H, S, A, S))
    for h in range(H):
        seen[h] = prior_visits * P[h % len(P)]
    estimate, radius, low, high = np.empty((H, S, A, S)), np.empty((H, S, A, S)), np.empty((H, S, A, S)), np.empty((H, S, A, S))
    bernstein_confidence(visits, seen, log_term, estimate, radius)
    corners(estimate, radius, low, high)
    log_weights, log_moves, v = np.zeros((H, S, A)), logarithms(estimate), np.zeros((H + 1, S))
    log_q, moves, changed = np.empty((H, S, A)), np.zeros((H, S, A, S)), True

    for k in range(index[-1]):
        if changed:  # the occupancy measure of the set that is nearest to w = exp(log_weights + log_moves), and what it plays
            reachable_cells(high, initial, log_q, barrier)
            more, residual = confidence_step(low, high, initial, log_weights, log_moves, v, log_q, moves, RESIDUAL, MOST_STEPS)
            projections, steps, worst = projections + 1, steps + more, max(worst, residual)
            conditional(log_q, barrier, policy)
            if not lazy:
                log_weights[:], log_moves[:] = log_q, logarithms(moves)
                v.fill(0.0)
            state_occupancy(P, policy, initial, occupancy)
            occupancy_bounds(estimate, radius, policy, initial, upper, lower)
            changed = False
        mean_losses(schedule, tables, parameters, k, policy, means)
        loss += expected_loss(occupancy, policy, means)
        width += np.sum(upper) - np.sum(lower)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        i = slot[k]
        if i >= 0:
            old_states[i], old_actions[i], old_losses[i] = states, actions, path_losses
            for h in range(H):
                old_upper[i, h] = upper[h, states[h]] * policy[h, states[h], actions[h]]

        for j in order[pointer[k] : pointer[k + 1]]:
            i = slot[j]
            if i < 0:
                continue
            charge(log_weights, eta, old_upper[i], upper, policy, True, gamma, old_states[i], old_actions[i], old_losses[i])
            observe(visits, seen, old_states[i], old_actions[i])
            changed = True
        if renew(visits, seen, at_epoch, log_term, estimate, radius):
            corners(estimate, radius, low, high)
            epochs += 1

        if k + 1 == index[row]:
            losses[row], least[row], widths[row] = loss, least_loss(P, total, initial, work), width
            row += 1
    return losses, least, widths, policy, epochs, steps / projections, worst


@njit
def logarithms(rows):
    """log ``rows``, -inf where they are 0."""
    result = np.full(rows.shape, -np.inf)
    for i in range(rows.size):
        if rows.flat[i] > 0.0:
            result.flat[i] = np.log(rows.flat[i])
    return result
