# mypy: ignore-errors
"""What the replays of whole runs share: an episode on the algorithm's random numbers, a learned transition, the best policy in hindsight.

Plain NumPy, which shares no code with the kernels.
"""

import math

import numpy as np

from tabular_rl import losses
from tabular_rl.models import FiniteHorizonMDP


def play(mdp, pi, means, rng, bernoulli=True, last=False):
    """states, actions and losses [H], drawn in the order of the kernel; with ``last`` the state after the last step too, [H + 1]."""
    H, path = len(pi), []
    s = _draw(mdp.initial, rng)
    for h in range(H):
        a = _draw(pi[h, s], rng)
        path.append((s, a, float(rng.random() < means[h, s, a]) if bernoulli else means[h, s, a]))
        if h + 1 < H or last:
            s = _draw(mdp.transition[h, s, a], rng)
    states, actions, losses = zip(*path, strict=True)
    return np.array([*states, s] if last else states), np.array(actions), np.array(losses)


def _draw(row, rng):
    """One index, by the inverse of the distribution function."""
    return min(int(np.searchsorted(np.cumsum(row), rng.random(), side="right")), int(np.flatnonzero(row)[-1]))


def least_loss(mdp, table):
    """The smallest expected sum of ``table`` [H, S, A] that a policy has."""
    values = np.zeros(mdp.n_states)
    for h in range(len(table) - 1, -1, -1):
        values = (table[h] + mdp.transition[h] @ values).min(axis=-1)
    return float(mdp.initial @ values)


class Transition:
    """The transition of ``mdp``; if it is not ``known``, a confidence set of counts that is renewed when one of them doubles.

    A row's set: the box around frequencies with ``scale`` times Bernstein's radii at ``log_term``, met with the simplex (bobw spec 3.8).
    """

    def __init__(self, mdp, known, log_term, scale=1.0):
        self.mdp, self.known, self.log_term, self.scale, self.epochs = mdp, known, log_term, scale, 0
        self.visits, self.at_epoch, self.seen = np.zeros(mdp.shape), np.zeros(mdp.shape), np.zeros(mdp.transition.shape)
        self._renew()

    def observe(self, states, actions):
        """Count the transitions of a path [H]."""
        for h in range(len(actions) - 1):
            self.visits[h, states[h], actions[h]] += 1
            self.seen[h, states[h], actions[h], states[h + 1]] += 1
        if np.any(self.visits >= np.maximum(1, 2 * self.at_epoch)):
            self.at_epoch = self.visits.copy()
            self.epochs += 1
            self._renew()

    def _renew(self):
        n = self.visits[..., None]
        center = np.where(n > 0, self.seen / np.maximum(n, 1), 1 / self.mdp.n_states)
        rate = self.log_term / np.maximum(n - 1, 1)
        radius = np.where(n > 0, np.minimum(1, self.scale * (2 * np.sqrt(center * rate) + 14 * rate / 3)), 1)
        self.low = np.maximum(0, center - radius)
        self.room = np.minimum(1, center + radius) - self.low

    def _extreme(self, h, values, sign):
        order = np.argsort(-sign * values, kind="stable")
        room = self.room[h][..., order]
        left = 1 - self.low[h].sum(axis=-1, keepdims=True) - (np.cumsum(room, axis=-1) - room)
        return self.low[h] @ values + np.clip(left, 0, room) @ values[order]

    def expected(self, h, values):
        """The expectation [S, A] of ``values`` [S] after step h; over a confidence set the largest."""
        return self.mdp.transition[h] @ values if self.known else self._extreme(h, values, 1)

    def arrivals(self, h, pi):
        """(upper [S], lower [S]): extremes of the probability that ``pi`` is in s at step h, over the confidence set."""
        ends = np.empty((2, self.mdp.n_states))
        for side, sign in enumerate((1, -1)):
            for s, reach in enumerate(np.eye(self.mdp.n_states)):
                for k in range(h - 1, -1, -1):
                    reach = np.sum(pi[k] * self._extreme(k, reach, sign), axis=-1)
                ends[side, s] = self.mdp.initial @ reach
        return np.minimum(ends[0], 1), ends[1]

    def dilated(self, pi, b):
        """(B [H, S, A], its average over the policy [H + 1, S]) of local bonuses [H, S]."""
        H, values = len(pi), np.zeros((len(pi) + 1, self.mdp.n_states))
        B = np.empty(pi.shape)
        for h in range(H - 1, -1, -1):
            B[h] = b[h, :, None] + (1 + 1 / H) * (self.expected(h, values[h + 1]) if h + 1 < H else 0)
            values[h] = np.sum(pi[h] * B[h], axis=-1)
        return B, values


def log_of_union(shape, T, delta):
    """log(T H S A / delta), of the confidence sets."""
    return math.log(T * np.prod(shape) / delta)


def stochastic(means):
    """The same table in every episode t = 1, 2, ..."""
    return lambda t: means


def switching(means, period):
    """The means and their opposites 1 - means, in turns of ``period`` episodes."""
    return lambda t: means if (t - 1) // period % 2 == 0 else 1 - means


def stationary(mdp):
    """The model with the first step's transition at every step."""
    return FiniteHorizonMDP(mdp.transition[0], mdp.reward[0], mdp.initial, mdp.horizon)


WORLDS = ("stochastic", "switching", "stationary")


def world_of(mdp, kind):
    """(model, loss world, mean losses of episode t) with the ``reward`` of ``mdp`` as mean losses: drawn in every episode, or turned into
    their opposites every 8, or drawn on a model with one transition for all steps."""
    if kind == "switching":
        return mdp, losses.switching(mdp, 8, mdp.reward), switching(mdp.reward, 8)
    model = stationary(mdp) if kind == "stationary" else mdp
    return model, losses.stochastic(model, mdp.reward), stochastic(mdp.reward)
