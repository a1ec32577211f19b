"""Explore-then-commit on bandits: try every arm equally often, then play the one that looked best (Lattimore, Szepesvari 2020, chapter 6).

Setting: a bandit, that is an episodic MDP of one step and one state, with fixed mean losses in [0, 1] and gaps D_a to the best arm.

    rounds 1 .. m A     arm t modulo A
    afterwards          an arm with the least total of the losses seen

Guarantee [derived from Hoeffding's inequality]: the expected regret after n >= m A rounds is at most

    sum_a D_a (m + (n - m A) exp(-m D_a^2)).

As D exp(-m D^2) <= 1 / sqrt(2 e m) for all D, the default m = (n^2 / 8e)^(1/3), rounded up, needs no gap: regret of order A n^(2/3).
"""

import math
from dataclasses import dataclass

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import sample_episode
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP
from tabular_rl.models import validation as check

__all__ = ["ExploreThenCommit"]


@dataclass(frozen=True)
class ExploreThenCommit:
    """Explore every arm ``m`` times, then commit.

    Parameters
    ----------
    m : int, optional
        Rounds of exploration per arm, >= 1. Default: the theory's, from the length of the run.
    """

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"m": 2},)

    m: int | None = None

    def __post_init__(self):
        if self.m is not None:
            check.integer("m", self.m, 1)

    def suits(self, problem):
        """A ValueError if it is not a bandit."""
        if problem.shape[:2] != (1, 1):
            raise ValueError(f"problem must have one step and one state, got shape {problem.shape}: this is a bandit algorithm")

    def run(self, problem, n, seed=0):
        """Play ``n`` rounds of an AdversarialMDP (or FiniteHorizonMDP) with one step and one state.

        Returns
        -------
        Trace
            ``regret`` (by mean losses, against the best arm in hindsight) and ``loss`` (the learner's expected total).
        """
        problem = self.plays.of(problem)
        self.suits(problem)
        index, rng = checkpoints(n), check.generator(seed)
        m = math.ceil((int(n) ** 2 / (8 * math.e)) ** (1 / 3)) if self.m is None else self.m
        arms = np.flatnonzero(problem.available[0, 0])
        loss, least, policy = _run(problem.world, arms, m, index, rng)
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, {"m": m}, seed)


@njit
def _run(world, arms, m, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    A, total = tables.shape[-1], barrier[0, 0].copy()
    seen, policy, means = total.copy(), np.zeros((1, 1, A)), np.empty((1, 1, A))  # a missing arm has seen an infinite loss
    states, actions, path_losses = np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1)
    loss, row, losses, least = 0.0, 0, np.empty(len(index)), np.empty(len(index))

    for t in range(index[-1]):
        arm = arms[t % len(arms)] if t < m * len(arms) else np.argmin(seen)
        policy[:] = 0.0
        policy[0, 0, arm] = 1.0

        mean_losses(schedule, tables, parameters, t, policy, means)
        loss += means[0, 0, arm]
        for a in range(A):
            total[a] += means[0, 0, a]
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        if t < m * len(arms):  # what comes later changes nothing
            seen[arm] += path_losses[0]

        if t + 1 == index[row]:
            losses[row], least[row] = loss, total.min()
            row += 1
    return losses, least, policy
