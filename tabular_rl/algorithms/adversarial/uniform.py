"""The learner that learns nothing: its regret is a straight line, the reference beside every other curve."""

from dataclasses import dataclass

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import expected_loss, least_loss, state_occupancy
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP
from tabular_rl.models import validation as check

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform:
    """Every action that a state has with the same probability, always."""

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of an AdversarialMDP (or FiniteHorizonMDP). Exact regret needs no sampling: ``seed`` changes nothing."""
        problem = self.plays.of(problem)
        check.generator(seed)
        index = checkpoints(n)
        policy = np.ascontiguousarray(problem.uniform_policy)
        loss, least = _run(problem.world, policy, index)
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, {}, seed)


@njit
def _run(world, policy, index):
    P, initial, schedule, tables, parameters, _, barrier = world
    H, S, A = policy.shape
    total, means, work = barrier.copy(), np.empty((H, S, A)), np.empty((2, S))
    occupancy = np.empty((H, S))
    state_occupancy(P, policy, initial, occupancy)
    loss, losses, least, row = 0.0, np.empty(len(index)), np.empty(len(index)), 0
    for k in range(index[-1]):
        mean_losses(schedule, tables, parameters, k, policy, means)
        loss += expected_loss(occupancy, policy, means)
        total += means
        if k + 1 == index[row]:
            losses[row], least[row] = loss, least_loss(P, total, initial, work)
            row += 1
    return losses, least
