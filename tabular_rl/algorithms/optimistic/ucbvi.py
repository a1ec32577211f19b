"""UCBVI: optimistic value iteration (Azar, Osband, Munos 2017), in losses, with Hoeffding bonuses.

    Q[h,s,a] = max(0, mean loss + <estimate, V[h+1]> - bonus),   0 where nothing was seen;   V = min_a Q;   play argmin Q
    bonus    = scale * range * sqrt(log(2 S A H k / delta) / (2 n))

The range is 1 when the transition is known (only losses are estimated) and H - h when it is not: loss + V*[h+1] then has that range,
and Hoeffding's inequality for the fixed vector V* gives Q <= Q* at all times with probability 1 - delta when scale >= 1, the number of
episodes stands in the logarithm (``anytime=False``) and the losses are i.i.d. [derived, ucbvi spec 2]. In adversarial
worlds there is no guarantee, and the adaptive ones break it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.episodic.episodes import expected_loss, least_loss, sample_episode, state_occupancy, weighted_rows
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP
from tabular_rl.models import validation as check

__all__ = ["UCBVI"]


class Rules(NamedTuple):
    """Numbers and switches in force; ``steps``: 1 when all steps share their counts, else H; ``cells``: how many means an episode adds."""

    scale: Any
    delta: Any
    known: Any
    anytime: Any
    steps: Any
    cells: Any


@dataclass(frozen=True)
class UCBVI:
    """Optimism in the face of uncertainty: plan every episode in the most favorable model that the data allow.

    Parameters
    ----------
    scale : float
        Multiplies the bonus, >= 0; 1 is the theory's, smaller values explore less.
    delta : float
        Failure probability in (0, 1].
    transition : str
        "unknown", or "known": then only losses are learned.
    anytime : bool
        The logarithm grows with the episode k, a heuristic; otherwise k is the number of episodes, as the union bound asks.
    share_steps : bool
        One count per (s, a) for all steps: sound only where neither transition nor losses depend on the step.
    """

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"scale": 0.1, "transition": "known", "anytime": True},)

    scale: float = 1.0
    delta: float = 0.05
    transition: str = "unknown"
    anytime: bool = False
    share_steps: bool = False

    def __post_init__(self):
        check.rate("scale", self.scale, zero=True)
        check.failure("delta", self.delta, at_most=1)
        check.choice("transition", self.transition, ("known", "unknown"))
        for name in ("anytime", "share_steps"):
            check.flag(name, getattr(self, name))

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of an AdversarialMDP (or FiniteHorizonMDP).

        Returns
        -------
        Trace
            ``regret`` (exact, against the best fixed policy in hindsight) and ``loss`` (the learner's expected total).
        """
        problem = self.plays.of(problem)
        index = checkpoints(n)
        H, S, A = problem.sizes
        steps = 1 if self.share_steps else H
        known = self.transition == "known"
        if known and steps == 1 and len(problem.packed_transition) > 1:
            raise ValueError("share_steps=True needs a transition that is the same at every step")
        if steps == 1 and (problem.available != problem.available[:1]).any():
            raise ValueError("share_steps=True needs states that have the same actions at every step")
        cells = float(S * A * H * (H if self.share_steps else 1))  # a cell of shared counts is visited up to H times per episode
        rules = Rules(float(self.scale), float(self.delta), known, self.anytime, steps, cells)
        loss, least, policy = _run(problem.world, rules, index, check.generator(seed))
        return Trace(index, {"regret": loss - least, "loss": loss}, policy, {"scale": self.scale, "delta": self.delta}, seed)

    def bound(self, shape, n):
        """The bound on the mean regret of ``n`` episodes where losses are i.i.d. and the transition is known (ucbvi spec 2), else None:

        S A H (H + 1) / 2 + (1 + scale) H sqrt(2 S A n log(2 S A H n / delta)) + delta H n,   A the largest number of actions of a state.
        """
        if self.transition != "known" or self.anytime or self.share_steps or self.scale < 1:
            return None
        H, S, A = shape
        width = 2 * hoeffding(1.0, float(self.delta), float(S * A * H), n)  # sum over n of 1 / sqrt(n) is at most 2 sqrt(n)
        return S * A * H * (H + 1) / 2 + (1 + self.scale) * H * width * np.sqrt(S * A * n) + self.delta * H * n


@njit
def _run(world, rules, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barrier = world
    scale, delta, known, anytime, steps, cells = rules
    _, H, S, A = tables.shape
    total, mean_loss, width = barrier.copy(), barrier[:steps].copy(), np.zeros((steps, S, A))
    visits = (mean_loss > 0.0).astype(np.float64)  # what does not exist counts as seen, at an infinite loss
    arrival = np.zeros((len(P) if known else steps, S, S * A))  # arrival[h, t, s * A + a]: estimated probability of t after (s, a)
    if known:
        for h in range(len(P)):
            arrival[h] = P[h].reshape(S * A, S).T
    values, expected, policy = np.zeros((H + 1, S)), np.empty(S * A), np.zeros((H, S, A))
    greedy, occupancy = np.full((H, S), -1), np.empty((H, S))
    states, actions, path_losses = np.empty(H + 1, np.int64), np.empty(H, np.int64), np.empty(H)
    means, work = np.empty((H, S, A)), np.empty((2, S))
    loss, losses, least, row = 0.0, np.empty(len(index)), np.empty(len(index)), 0
    episodes = index[-1]
    occupancy[0] = initial

    for k in range(episodes):
        bonus = hoeffding(scale, delta, cells, k + 1 if anytime else episodes)
        first = plan(arrival, mean_loss, bonus, width, visits, known, values, expected, greedy, policy)
        if first < H:  # up to the first changed step the occupancy stays
            state_occupancy(P[first % len(P) :], policy[first:], occupancy[first], occupancy[first:])

        mean_losses(schedule, tables, parameters, k, policy, means)
        loss += expected_loss(occupancy, policy, means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)

        learn(known, states, actions, path_losses, visits, width, mean_loss, arrival)

        if k + 1 == index[row]:
            losses[row], least[row] = loss, least_loss(P, total, initial, work)
            row += 1
    return losses, least, policy


@njit
def hoeffding(scale, delta, cells, episodes):
    """scale sqrt(log(2 cells episodes / delta) / 2): over sqrt(n), the bonus per unit of range of a mean of n losses.

    With probability 1 - delta the means of all ``cells`` and of any number up to ``episodes`` of losses are within it, at scale 1.

    >>> round(float(hoeffding(1.0, 0.5, 12.0, 100)), 6)
    2.058685
    """
    return scale * np.sqrt(np.log(2 * cells * episodes / delta) / 2)


@njit
def learn(known, states, actions, losses, visits, width, mean_loss, arrival):
    """Count one path: ``states`` [H + 1], ``actions`` and ``losses`` [H], into the means and the empirical distributions."""
    steps, S, A = visits.shape
    for h in range(len(actions)):
        g, s, a = h % steps, states[h], actions[h]
        visits[g, s, a] += 1
        n = visits[g, s, a]
        width[g, s, a] = 1 / np.sqrt(n)
        mean_loss[g, s, a] += (losses[h] - mean_loss[g, s, a]) / n
        if not known:  # the empirical distribution of n draws, from that of n - 1 and the n-th
            for t in range(S):
                arrival[g, t, s * A + a] *= (n - 1) / n
            arrival[g, states[h + 1], s * A + a] += 1 / n


@njit_sums
def plan(arrival, mean_loss, bonus, width, visits, known, values, expected, greedy, policy):
    """Optimistic backward induction into ``values``, ``greedy`` [H, S] and ``policy``; the first step where the policy changed, else H."""
    H, S, A = policy.shape
    first = H
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        g, span = h % len(visits), bonus if known else bonus * (H - h)
        weighted_rows(values[h + 1], arrival[h % len(arrival)], expected)
        for s in range(S):
            best, argbest = np.inf, 0
            for a in range(A):
                q = 0.0
                if visits[g, s, a] > 0:
                    q = max(0.0, mean_loss[g, s, a] + expected[s * A + a] - span * width[g, s, a])
                if q < best:
                    best, argbest = q, a
            values[h, s] = best
            if argbest != greedy[h, s]:
                greedy[h, s], first = argbest, h
                policy[h, s] = 0.0
                policy[h, s, argbest] = 1.0
    return first
