"""Follow the regularized leader over occupancy measures, with Tsallis entropy (after Jin, Luo 2020; Jin, Huang, Luo 2021).

Setting: episodic MDP with known transition, adversarial losses in [0, 1], bandit feedback on the played path.

    q_t = argmin over the occupancy measures of <q, Lhat> - 2 sqrt(t) sum sqrt(q);   pi_t = q_t / sum_a q_t
    Lhat += 1{(s_h,a_h) = (s,a)} loss / q_t

The global counterpart of ``BestOfBothWorlds``: the papers' shape with a plain rate [reconstructed, bobw spec 6.3], no theorem here. Each
episode is a convex program for cvxpy, some 0.1 s even at H = S = A = 2: only for a few hundred episodes of tiny instances. With one step
and one state it is ``TsallisINF``.
"""

from dataclasses import dataclass

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.extras import extra
from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check

__all__ = ["OccupancyFTRL"]


@dataclass(frozen=True)
class OccupancyFTRL:
    """One convex program over the flow polytope per episode.

    Parameters
    ----------
    solver : str
        A conic solver of cvxpy.
    """

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")

    solver: str = "CLARABEL"

    def __post_init__(self):
        if not isinstance(self.solver, str):
            raise TypeError(f"solver must be the name of one of cvxpy's, got {check.short(self.solver)}")

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of an AdversarialMDP (or FiniteHorizonMDP); needs cvxpy (extra ``programs``).

        Returns
        -------
        Trace
            ``regret`` (exact, against the best fixed policy in hindsight) and ``loss`` (the learner's expected total).
        """
        from tabular_rl.kernels.episodic.episodes import sample_episode
        from tabular_rl.kernels.episodic.losses import mean_losses

        problem = self.plays.of(problem)
        index, rng, H = checkpoints(n), check.generator(seed), problem.horizon
        model = FiniteHorizonMDP(problem.transition, np.zeros(problem.shape), problem.initial, available=problem.packed_available)
        program = self._program(model)
        _, _, schedule, tables, numbers, bernoulli, _ = problem.world
        estimates, means, total, loss, curve = np.zeros(problem.shape), np.empty(problem.shape), np.zeros(problem.shape), 0.0, {}
        states, actions, path_losses = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H)
        for t in range(1, n + 1):
            policy = program(estimates, np.sqrt(t))
            occupancy = planning.state_occupancy(model, policy)[:, :, None] * policy
            mean_losses(schedule, tables, numbers, t - 1, policy, means)
            loss += np.sum(occupancy * means)
            total += means
            sample_episode(problem.packed_transition, policy, problem.initial, means, bernoulli, rng, states, actions, path_losses)
            visited = np.arange(H), states, actions
            estimates[visited] += path_losses / occupancy[visited]
            if t in index:
                best = FiniteHorizonMDP(problem.transition, -total, problem.initial, available=problem.packed_available)
                curve[t] = loss, loss + problem.initial @ planning.solve(best).values[0]
        series = np.array([curve[t] for t in index])
        return Trace(index, {"regret": series[:, 1], "loss": series[:, 0]}, policy, {"solver": self.solver}, seed)

    def _program(self, model):
        """(estimates, beta) -> policy: the program with its data as parameters."""
        with extra("programs"):
            import cvxpy as cp

        H, S, A = model.shape
        tilt, layers = cp.Parameter((H, S * A)), [cp.Variable(S * A, nonneg=True) for _ in range(H)]
        leaving = np.repeat(np.eye(S), A, axis=0)
        flow = [leaving.T @ layers[0] == model.initial]
        flow += [leaving.T @ layers[h + 1] == model.transition[h].reshape(S * A, S).T @ layers[h] for h in range(H - 1)]
        flow += [layer[~there.ravel()] == 0 for layer, there in zip(layers, model.available, strict=True) if not there.all()]
        objective = sum(tilt[h] @ layers[h] - 2 * cp.sum(cp.sqrt(layers[h])) for h in range(H))
        program = cp.Problem(cp.Minimize(objective), flow)

        def solve(estimates, beta):
            tilt.value = estimates.reshape(H, S * A) / beta
            program.solve(solver=self.solver)
            if program.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
                raise RuntimeError(f"the program over occupancy measures ended with status {program.status!r}")
            q = model.available * np.maximum(np.stack([np.asarray(x.value) for x in layers]), 1e-12).reshape(H, S, A)
            return q / q.sum(axis=-1, keepdims=True)

        return solve
