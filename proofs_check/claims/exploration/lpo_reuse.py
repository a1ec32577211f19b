"""LPO's rollouts, used again: importance weights in a window, the moments of weighted returns, estimation (lpo spec, 5.5 and 5.7).

``then`` is the policy that was followed, pi the one that is estimated: its tilt pi ~ then e^x on the known states, of span W in each.
"""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, identity, inequality
from proofs_check.claims.exploration.lpo_optimism import Optimistic, _models, _optimism, _policy, known_and_bonus, restricted
from proofs_check.strategies import draw, rows
from tabular_rl import instances
from tabular_rl.kernels.discounted.rollouts import Cover, collect, room_for, weighted_returns, world_of

SOURCE = "lpo spec"


def tilt(first, span, worst, seed):
    """Logits [A] of span W; worst: (0, W) on the first two."""
    x = np.random.default_rng(seed).random(len(first))
    x = (x - x.min()) / max(np.ptp(x), 1e-12)
    return span * np.where(np.arange(len(first)) == 1, 1.0, 0.0) if worst else span * x


def followed(actions, style, seed):
    """The policy that was followed; "worst": e^W / (1 + e^W) on the first of two actions, for W = 2."""
    worst = np.array([math.e**2, 1]) / (1 + math.e**2)
    return worst if style == "worst" else rows(np.random.default_rng(seed), (actions,), "smooth")


@claim("lpo.window", kind=inequality, source=f"{SOURCE} 5.5 (W)", provenance="derived",
       given=(draw(followed, st.integers(2, 5), st.sampled_from(["worst", "smooth"])),
              draw(tilt, st.sampled_from([2.0, 0.5, 5.0]), st.booleans(), fit=True)), control={"share": 1 / 8})  # fmt: skip
def second_moment_of_ratio(pi_then, x, share=1 / 4):
    """log sum_a pi^2 / pi_then <= 2 log cosh(W / 2) <= W^2 / 4 and |log pi / pi_then| <= W for pi = pi_then e^x / Z, W the span of x.

    Control: W^2 / 8 in place of W^2 / 4.

    Proof: Kantorovich's inequality for y = e^x, E y^2 / (E y)^2 <= (1 + e^W)^2 / (4 e^W).
    """
    W = np.ptp(x)
    pi = pi_then * np.exp(x - x.max())
    pi /= pi.sum()
    moment = np.log(np.sum(pi**2 / pi_then))
    middle = 2 * np.log(np.cosh(W / 2))
    largest = np.max(np.abs(np.log(pi / pi_then)))
    return np.array([moment, middle, largest]), np.array([middle if share == 1 / 4 else share * W**2, share * W**2, W]), 10.0


class Tail(NamedTuple):
    """Exact moments of the importance-weighted return G of a rollout that follows ``then`` and is weighed for ``pi``."""

    mean: Any
    square: Any
    log_moment: float


def moments(K, pi, then):
    """E G, E G^2 [S, A] and c = max over I of log sum pi^2 / then."""
    g, inside, P, paid = K.mdp.discount, K.inside, K.mdp.transition, K.paid
    largest = 1 / (1 - g)
    weight = np.where(then > 0, pi**2 / np.where(then > 0, then, 1), 0)

    def tail(weights, constant, outside):
        move = g * np.einsum("sa,sat->st", weights, P)
        move_in = np.eye(len(inside)) - move * inside[:, None] * inside
        right = np.where(inside, g * np.sum(weights * constant, axis=1) + move @ (~inside * outside), 0)
        return np.where(inside, np.linalg.solve(move_in, right), outside)

    first = tail(pi, paid, g * largest)
    ahead = P @ first
    second = tail(weight, paid**2 + 2 * paid * ahead, g * largest**2)
    reward = K.data[2]
    log_moment = np.log(np.max(np.where(inside, weight.sum(axis=1), 1)))
    return Tail(reward + ahead, reward**2 + 2 * reward * ahead + P @ second, log_moment)


def moved_policy(mdp, span, seed):
    """Logits [S, A] by which the policy has moved since the rollouts: span at most ``span`` in every state."""
    return span * np.random.default_rng(seed).random(mdp.shape)


_moved = draw(moved_policy, st.sampled_from([0.0, 0.3, 1.0]), fit=True)


def _weighed(mdp, data, then, logits):
    K = Optimistic(mdp, data, True)
    then = K.policy(then)
    tilted = then * np.exp(logits)
    return K, K.policy(tilted / np.sum(tilted, axis=1, keepdims=True)), then


@claim("lpo.importance-mean", kind=identity, source=f"{SOURCE} 5.5 (IS1)", provenance="derived",
       given=(_models, _optimism, _policy, _moved), control={"weighed": False})  # fmt: skip
def importance_mean(mdp, data, then, logits, weighed=True):
    """E G = Q_K - b = reward + discount P V_K for the per-decision weighted return G.  Control: returns without weights."""
    K, pi, then = _weighed(mdp, data, then, logits)
    mean = moments(K, pi if weighed else then, then).mean
    return mean, data[2] + mdp.discount * mdp.transition @ K.solve(pi)[0], K.scale()


@claim("lpo.importance-square", kind=inequality, source=f"{SOURCE} 5.5 (IS1)", provenance="derived",
       given=(_models, _optimism, _policy, _moved), control={"naive": True})  # fmt: skip
def importance_square(mdp, data, then, logits, naive=False):
    """E G^2 <= ((1 + bmax) / (1 - sqrt(discount e^c)))^2 where discount e^c < 1, c = max log sum pi^2 / pi_then over the known states.

    Control: ((1 + bmax) / (1 - discount))^2, which forgets c and that the horizon is random.

    Proof: Minkowski over the steps, each of norm at most (1 + bmax) (discount e^c)^(j / 2).
    """
    K, pi, then = _weighed(mdp, data, then, logits)
    tail, g, largest = moments(K, pi, then), mdp.discount, 1 + data[1].max()
    growth = g if naive else np.sqrt(g * np.exp(tail.log_moment))
    bounded = g * np.exp(tail.log_moment) < 1
    return np.max(tail.square) if bounded else 0.0, (largest / (1 - growth)) ** 2 if bounded else 0.0, K.scale() / (1 - g)


class Returns:
    """Rollouts of one policy ``then``, capped at L pairs after the first, and the mean weighted returns of other policies on them."""

    def __init__(self, mdp, data, then, rollouts, length, rng):
        self.K = Optimistic(mdp, data, True)
        self.mdp, self.data, self.then = mdp, data, self.K.policy(then)
        (S, A), known, self.stored = mdp.shape, data[0].astype(bool), room_for(rollouts, length)
        cover = Cover(np.full((1, 1, S, A), 1 / A), np.ones((1, S, A), bool), np.ones(1))
        collect(world_of(mdp), cover, self.then, known, np.ones(S, bool), True, self.stored, rng)

    def tilted(self, logits):
        """then e^logits on the known states."""
        weights = self.then * np.exp(logits - logits.max(axis=1, keepdims=True))
        return self.K.policy(weights / weights.sum(axis=1, keepdims=True))

    def means(self, pi):
        """(mean of G, number of rollouts) [S*A] by the pair that they begin with."""
        sums, counts = np.empty(self.data[0].size), np.empty(self.data[0].size)
        ratio = np.where(self.then > 0, pi / np.where(self.then > 0, self.then, 1), 1).ravel()
        largest = 1 / (1 - self.mdp.discount)
        weighted_returns(self.stored, ratio, self.data[2].ravel(), self.K.paid.ravel(), largest, sums, counts)
        return sums / np.maximum(counts, 1), counts

    def targets(self, pi):
        """Q_K - b [S*A], what the means estimate."""
        return (self.data[2] + self.mdp.discount * self.mdp.transition @ self.K.solve(pi)[0]).ravel()

    def allowed(self, counts, log_moment, span, log_term):
        """Bernstein's bound [S*A]: sqrt(2 v l / n) + R l / (3 n), log second moments at most ``log_moment``, spans at most ``span``."""
        g, X, L = self.mdp.discount, 1 + self.data[1].max(), self.stored.pairs.shape[1]
        v, n = (X / (1 - np.sqrt(g * np.exp(log_moment)))) ** 2, np.maximum(counts, 1)
        R = X * np.sum(np.exp(span * np.arange(L + 1))) + np.exp(span * L) / (1 - g)
        return np.sqrt(2 * v * log_term / n) + R * log_term / (3 * n)

    @property
    def cut(self):
        """What the cap on the length costs at most."""
        return self.mdp.discount ** self.stored.pairs.shape[1] * (1 + self.data[1].max()) / (1 - self.mdp.discount)


def _estimation(discount, span):
    mdp = instances.random_discounted(4, 2, discount, seed=3)
    then = restricted(mdp, "then", "smooth", 1)
    return mdp, known_and_bonus(mdp, "prize", 0), then, span


@claim("lpo.estimation", kind=HighProbability(failure=0.05, replicates=60), source=f"{SOURCE} 5.7 (E1)", provenance="derived",
       given={"random model, one pair unknown": lambda: _estimation(0.8, 0.02)}, control={"share": 0.05})  # fmt: skip
def estimation(mdp, data, then, span, rng, share=1.0):
    """For a policy that is fixed before the rollouts, with probability 1 - delta at every pair that n of them began with:
    |mean of G - (Q_K - b)| <= sqrt(2 v l / n) + R l / (3 n) + discount^L X Vmax, v = (X / (1 - sqrt(discount e^c)))^2, X = 1 + bmax,
    l = log(2 S A / delta), R = X sum_{j <= L} e^(W j) + e^(W L) Vmax, L = 60, delta = 0.05.  Control: a twentieth of it.

    Bernstein's inequality, second moments by ``lpo.importance-square``. So it is with a refresh at every iteration.
    """
    returns = Returns(mdp, data, then, 2_000, 60, rng)
    pi = returns.tilted(span * np.random.default_rng(2).random(mdp.shape))
    mean, counts = returns.means(pi)
    log_moment = moments(returns.K, pi, returns.then).log_moment
    allowed = returns.allowed(counts, log_moment, span, math.log(2 * mean.size / 0.05)) + returns.cut
    return bool(np.all(np.abs(mean - returns.targets(pi))[counts > 0] <= share * allowed[counts > 0]))


@claim("lpo.estimation-reused", kind=HighProbability(failure=0.05, replicates=30), source=f"{SOURCE} 5.7 (E1)", provenance="derived",
       given={"random model, one pair unknown": lambda: _estimation(0.5, 0.2)}, control={"share": 0.02})  # fmt: skip
def estimation_reused(mdp, data, then, span, rng, share=1.0):
    """For ALL policies of the window at once (tilts of span W of ``then``), so for those chosen by the same rollouts too, with
    probability 1 - delta: |mean of G - (Q_K - b)| <= e^k (sqrt(2 v l / n) + R l / (3 n)) + (e^(2 k) - 1) B + discount^L X Vmax,
    l = log(2 S A / delta) + |I| (A - 1) log ceil(2 W M L), k = 2 / M, c = W^2 / 4 in v, M rollouts of at most L = 12 further pairs.
    Tried on the iterates of the policy gradient that learns from these very rollouts, and on the corners and centres of the window.

    Control: a fiftieth of it.

    Proof: with x[s, 0] = 0 the tilts fill a cube of side 2 W in |I| (A - 1) dimensions. Cut it into cubes of side m = 1 / (M L) and take a
    member of each. Bernstein holds for all of them at once. Two tilts in one cube have policies within a factor e^(2 m) of each other in
    every action, so their returns, sums of products of at most L ratios times what is not negative, are within a factor e^(2 m L) = e^k,
    path by path and in the mean.

    What cannot be had: R grows like e^(W L), so that for the window of the presets (W = 2 sqrt(window) ~ 1/2 to 1) and the horizons of
    their discounts the bound exceeds B for any M that could be run. The adaptive rule bounds second moments alone, not W: it is covered
    with W = eta B T only. Here W L is 2.4 and the bound is below B.
    """
    M, L = 40_000, 12
    returns = Returns(mdp, data, then, M, L, rng)
    inside, (S, A) = returns.K.inside, mdp.shape
    dimensions, B = inside.sum() * (A - 1), (1 + data[1].max()) / (1 - mdp.discount)
    log_term = math.log(2 * S * A / 0.05) + dimensions * math.log(math.ceil(2 * span * M * L))
    tilts = [np.zeros((S, A))]
    while np.ptp(tilts[-1], axis=1)[inside].max() <= span:  # the policy gradient, as far as the window goes
        mean, counts = returns.means(returns.tilted(tilts[-1]))
        tilts.append(tilts[-1] + 0.2 * span * np.clip(mean.reshape(S, A) + data[1] / 2, 0, B) / B)
    tilts.pop()
    for corner in product((-1, 0, 1), repeat=int(inside.sum())):
        signs = np.zeros(S)
        signs[inside] = corner
        tilts.append(span * signs[:, None] * (np.arange(A) == A - 1))
    allowed = np.exp(2 / M) * returns.allowed(counts, span**2 / 4, span, log_term) + np.expm1(4 / M) * B + returns.cut
    assert np.max(allowed[counts > 0]) < B
    errors = [np.abs(returns.means(pi)[0] - returns.targets(pi)) for pi in map(returns.tilted, tilts)]
    return bool(np.all(np.max(errors, axis=0)[counts > 0] <= share * allowed[counts > 0]))
