"""Tsallis-INF: one algorithm for stochastic and adversarial bandits (Zimmert, Seldin 2021).

Setting: a bandit, that is an episodic MDP of one step and one state. With importance-weighted estimates lhat = 1{drawn} loss / x:

    x_t = argmin_x <x, Lhat> - (4 / eta_t) sum sqrt(x) = 4 / (eta_t (Lhat - z))^2,     eta_t = 2 / sqrt(t)                     [paper]

with z, below the least Lhat, such that the x sum to 1: the sum is convex and increasing in z, and Newton's method from above falls to it.

``BestOfBothWorlds`` on such a problem with c0 = 1 and N0 -> 0 is this algorithm; the tests hold the two against each other.
"""

from dataclasses import dataclass

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import sample_episode
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP
from tabular_rl.models import validation as check

__all__ = ["TsallisINF"]


@dataclass(frozen=True)
class TsallisINF:
    """The bandit algorithm that best-of-both-worlds policy optimization reduces to."""

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")

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
        index = checkpoints(n)
        loss, least, policy = _run(problem.world, index, check.generator(seed))
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, {}, seed)


@njit
def _run(world, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    A = tables.shape[-1]
    total, estimates, policy, means = barrier[0, 0].copy(), barrier[0, 0].copy(), np.empty((1, 1, A)), np.empty((1, 1, A))
    states, actions, path_losses = np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1)
    loss, row, losses, least = 0.0, 0, np.empty(len(index)), np.empty(len(index))

    for t in range(1, index[-1] + 1):
        x = policy[0, 0]
        weights(estimates, 2 / np.sqrt(t), x)
        mean_losses(schedule, tables, parameters, t - 1, policy, means)
        for a in range(A):
            loss += x[a] * means[0, 0, a]
            total[a] += means[0, 0, a]
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        estimates[actions[0]] += path_losses[0] / x[actions[0]]

        if t == index[row]:
            losses[row], least[row] = loss, total.min()
            row += 1
    return losses, least, policy


@njit
def weights(estimates, eta, x):
    """Fill ``x`` [A] = 4 / (eta (estimates - z))^2, z by Newton's method from above so that they sum to 1."""
    A = len(x)
    z = estimates.min() - 2 / eta  # the sum is at least 1 here
    for _ in range(100):
        total, slope = 0.0, 0.0
        for a in range(A):
            root = 2 / (eta * (estimates[a] - z))
            x[a] = root * root
            total += x[a]
            slope += eta * root**3
        if total - 1 < 1e-14:
            break
        z -= (total - 1) / slope
    x /= x.sum()
