"""Delayed UOB-FTRL and UOB-REPS: entropy on occupancy measures when the transition is unknown, on late bandit feedback (Jin et al. 2020).

Setting: episodic MDP with unknown transition, oblivious losses in [0, 1]; those of episode j are heard of at the end of episode j + d[j].

    set     every transition whose rows lie within the Bernstein radius of the counts of what was heard; a new one when a count has doubled
    lhat    = 1{(s_h,a_h) = (s,a)} * loss / (max(u_j pi_j, u pi) + gamma)             u: largest occupancy over the set, now and at play
    q       = argmin eta <q, sum of all lhat> + sum q log q                           UOB-FTRL
    q       = argmin eta <q, newest lhat> + KL(q || last q)                           UOB-REPS
              over the occupancy measures of all transitions of the set;   play pi = q / sum_a q

q [H, S, A] is the marginal of x [H-1, S, A, S] >= 0, and the constraints are linear in x: flow, and |x - estimate q| <= radius q.
Source: dapo spec, section 4 items 5 and 6 [reconstructed]; rates quoted there, sections 3 and 4, not proven here. One conic program per
episode: for tiny instances (H S A <= 30, K <= 2000), as a yardstick. With radius 0 it is ``DelayedOREPS``.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.delays import as_delayed
from tabular_rl.kernels.confidence import bernstein_confidence, occupancy_bounds
from tabular_rl.kernels.episodes import expected_loss, least_loss, sample_episode
from tabular_rl.kernels.feedback import allocate_slots
from tabular_rl.kernels.losses import mean_losses
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.models import validation as check


class ConfidencePolytope:
    """Entropy projections on the occupancy measures of all transitions whose rows lie in boxes of a given centre and radius.

    Parameters
    ----------
    shape : (H, S, A)
    initial : array [S]
    """

    def __init__(self, shape, initial):
        import cvxpy as cp

        H, S, A = shape
        self.shape, self.q = shape, cp.Variable((H * S, A), nonneg=True)
        self.log_weights = cp.Parameter((H * S, A))
        self.low, self.high = ([cp.Parameter((S * A, S), nonneg=True) for _ in range(H - 1)] for _ in range(2))
        moves = [cp.Variable((S * A, S), nonneg=True) for _ in range(H - 1)]
        constraints = [cp.sum(self.q[:S], axis=1) == initial]
        for h, x in enumerate(moves):
            pairs = cp.reshape(self.q[h * S : (h + 1) * S], (S * A, 1), order="C")
            there = pairs @ np.ones((1, S))
            arrived = cp.sum(self.q[(h + 1) * S : (h + 2) * S], axis=1)
            constraints += [cp.sum(x, axis=1, keepdims=True) == pairs, arrived == cp.sum(x, axis=0)]
            constraints += [x <= cp.multiply(self.high[h], there), x >= cp.multiply(self.low[h], there)]
        cost = -cp.sum(cp.entr(self.q)) - cp.sum(cp.multiply(self.log_weights, self.q))
        self.program = cp.Problem(cp.Minimize(cost), constraints)

    def project(self, log_weights, estimate, radius):
        """argmin KL(q || exp(log_weights)) [H, S, A] over the occupancy measures of the set; a solver that fails is a RuntimeError."""
        H, S, A = self.shape
        self.log_weights.value = np.maximum(log_weights, -500.0).reshape(H * S, A)
        for h in range(H - 1):
            self.low[h].value = np.maximum(estimate[h] - radius[h], 0).reshape(S * A, S)
            self.high[h].value = np.minimum(estimate[h] + radius[h], 1).reshape(S * A, S)
        with warnings.catch_warnings():  # its word for a gap of 1e-8 or so
            warnings.filterwarnings("ignore", "Solution may be inaccurate")
            self.program.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        if self.program.status not in ("optimal", "optimal_inaccurate"):
            raise RuntimeError(f"the projection on the confidence set ended as {self.program.status!r}")
        return np.maximum(self.q.value, 0).reshape(H, S, A)


@dataclass(frozen=True)
class DelayedUOB:
    """Entropy-regularized occupancy measures over a confidence set, with upper occupancy bounds in the estimates.

    Parameters
    ----------
    lazy : bool
        True: UOB-FTRL, from the sum of all estimates; False: UOB-REPS, from the last occupancy measure.
    learning_rate, exploration : float, optional
        eta > 0 and gamma > 0; default eta = sqrt(H log(S A) / (S A K + D~)) / H and gamma = eta / 2.
    delta : float
        Level of the confidence sets, in (0, 1).
    confidence_scale : float
        Multiplies the logarithm of the radii, >= 0.
    prior_visits : float
        Visits with the true frequencies that every row has had before the run, >= 0: a simulator's data.
    """

    lazy: bool = True
    learning_rate: float | None = None
    exploration: float | None = None
    delta: float = 0.1
    confidence_scale: float = 1.0
    prior_visits: float = 0.0

    def __post_init__(self):
        for name in ("learning_rate", "exploration"):
            if getattr(self, name) is not None:
                check.number(name, getattr(self, name), above=0)
        check.number("delta", self.delta, above=0, below=1)
        for name in ("confidence_scale", "prior_visits"):
            check.number(name, getattr(self, name), at_least=0)
        if not isinstance(self.lazy, bool):
            raise TypeError(f"lazy must be True or False, got {self.lazy!r}")

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a DelayedMDP with H S A <= 30 (an AdversarialMDP or FiniteHorizonMDP has no delays). Needs cvxpy.

        Returns
        -------
        Trace
            ``regret`` (exact: occupancy of each policy against the best fixed policy in hindsight) and ``loss`` (the learner's expected
            total). ``parameters``: the rates, ``delay`` D, ``effective_delay`` D~, and the number of ``epochs``.
        """
        problem = as_delayed(problem)
        world, schedule, index = problem.world, problem.schedule(n), checkpoints(n)
        H, S, A = problem.shape
        if H * S * A > 30:
            raise ValueError(f"problem must have H * S * A <= 30, got {H * S * A}: a conic program is solved after every episode")
        eta, gamma = self.resolve(problem.shape, n, schedule)
        rng, P = np.random.default_rng(seed), world.packed_transition
        model = FiniteHorizonMDP(world.transition, np.zeros((H, S, A)), world.initial)
        polytope, log_term = ConfidencePolytope(problem.shape, world.initial), self.confidence_scale * np.log(H * S * A * n / self.delta)
        visits, seen = np.full((H, S, A), self.prior_visits), self.prior_visits * world.transition
        at_epoch, estimate, radius, upper, lower = visits.copy(), *np.empty((2, H, S, A, S)), *np.empty((2, H, S))
        bernstein_confidence(visits, seen, log_term, estimate, radius)
        log_weights, means, total, epochs = np.zeros((H, S, A)), np.empty((H, S, A)), np.zeros((H, S, A)), 1
        q, policy = self._play(polytope, log_weights, estimate, radius)
        slot, _ = allocate_slots(schedule.arrival, schedule.order, schedule.pointer, False)
        paths, loss, losses, least, row = {}, 0.0, [], [], 0

        for k in range(n):
            mean_losses(*world.world[:3], k, policy, means)
            loss += expected_loss(planning.state_occupancy(model, policy), policy, means)
            total += means
            occupancy_bounds(estimate, radius, policy, world.initial, upper, lower)
            weight = upper[..., None] * policy
            states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
            sample_episode(P, policy, world.initial, means, world.bernoulli, rng, states, actions, path_losses)
            paths[k] = states, actions, path_losses, weight
            heard = [j for j in schedule.order[schedule.pointer[k] : schedule.pointer[k + 1]] if slot[j] >= 0]
            change = np.zeros((H, S, A))
            for j in heard:
                states, actions, path_losses, played = paths.pop(int(j))
                steps = np.arange(H)
                here = steps, states, actions
                change[here] -= eta * path_losses / (np.maximum(played[here], weight[here]) + gamma)
                np.add.at(visits, tuple(part[:-1] for part in here), 1)
                np.add.at(seen, (*(part[:-1] for part in here), states[1:]), 1)
            if np.any(visits >= np.maximum(1, 2 * at_epoch)):
                at_epoch, epochs = visits.copy(), epochs + 1
                bernstein_confidence(visits, seen, log_term, estimate, radius)
            if heard:
                log_weights = (log_weights if self.lazy else np.log(np.maximum(q, 1e-300))) + change
                q, policy = self._play(polytope, log_weights, estimate, radius)
            if k + 1 == index[row]:
                losses.append(loss)
                least.append(least_loss(P, total, world.initial, np.empty((2, S))))
                row += 1
        series = {"regret": np.array(losses) - np.array(least), "loss": np.array(losses)}
        parameters = {"learning_rate": eta, "exploration": gamma, "delay": schedule.total, "effective_delay": schedule.effective_total}
        return Trace(index, series, policy, parameters | {"epochs": epochs}, seed)

    def resolve(self, shape, n, schedule):
        """(eta, gamma) for shape (H, S, A), n episodes and their delivery."""
        H, S, A = shape
        eta = np.sqrt(H * np.log(max(S * A, 2)) / (S * A * n + schedule.effective_total)) / H
        eta = eta if self.learning_rate is None else self.learning_rate
        return float(eta), float(eta / 2 if self.exploration is None else self.exploration)

    @staticmethod
    def _play(polytope, log_weights, estimate, radius):
        """(q, its policy); uniform where q is zero."""
        q = polytope.project(log_weights, estimate, radius)
        visited, A = q.sum(axis=-1, keepdims=True), q.shape[-1]
        policy = np.where(visited > 1e-12, q / np.maximum(visited, 1e-300), 1 / A)
        return q, np.ascontiguousarray(policy / policy.sum(axis=-1, keepdims=True))
