"""LPO's optimistic MDP: performance differences, optimism with explicit slack, its price, importance weights (lpo spec, 5.1 to 5.5).

A pair is known or not; I = the states all of whose actions are known. Policies of the class agree outside I: uniform over unknown actions.

    terminal   an unknown pair ends the episode and is worth Vmax = 1 / (1 - discount); known pairs pay reward + bonus
    bonus      nothing ends; unknown pairs pay Vmax on top of the reward
    d_K[s,a] = (1 - discount) sum_t discount^t Pr(s_t = s, a_t = a, nothing unknown so far),   esc = sum_t discount^t Pr(first unknown at t)
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, identity, inequality
from proofs_check.strategies import STYLES, Box, discounted_mdps, draw, rows, scales
from tabular_rl import instances, planning
from tabular_rl.kernels.rollouts import collect, weighted_returns
from tabular_rl.kernels.sampling import alias_tables
from tabular_rl.models import DiscountedMDP

SOURCE = "lpo spec"
MODES = st.sampled_from(["terminal", "bonus"])


def optimism(mdp, style, seed):
    """[3, S, A]: which pairs are known (0 or 1), the width bonus in [0, 1/2] of the known ones, rewards.

    "prize": all known but one action of the last state, where rewards are at least 0.9.
    """
    rng = np.random.default_rng(seed)
    known, reward = rng.random(mdp.shape) < (0.9 if style == "most" else 0.6), mdp.reward.copy()
    if style == "prize":
        known[:] = True
        known[-1, 0] = False
        reward[-1] = 0.9 + 0.1 * reward[-1]
    return np.stack([known, known * rng.uniform(0, 0.5, mdp.shape), reward])


def restricted(mdp, name, style, seed):
    """A policy to be used on the known states; the ``name`` tells apart those of one instance."""
    return rows(np.random.default_rng([seed, *name.encode()]), mdp.shape, style)


def noise(mdp, scale, seed):
    """Normal errors [S, A] of action values."""
    return scale * np.random.default_rng(seed).standard_normal(mdp.shape)


_models = discounted_mdps()
_optimism = draw(optimism, st.sampled_from(["most", "prize", "some"]), space=Box(0.0, 1.0), fit=True)
_policy, _other = (draw(restricted, name, st.sampled_from(STYLES), fit=True) for name in ("policy", "other"))
_noise = draw(noise, st.sampled_from([3.0, 0.3, 0.0]), fit=True)


class Optimistic(NamedTuple):
    """The optimistic MDP of a model and ``data`` = (known, bonus, reward), in one of the two modes."""

    mdp: Any
    data: Any
    terminal: bool
    unknown_bonus: float = 1.0

    @property
    def inside(self):
        """[S]: whether every action is known; in the bonus mode too it is where policies may differ."""
        return self.data[0].all(axis=1)

    @property
    def paid(self):
        """Reward and bonus [S, A]."""
        known, bonus, reward = self.data
        extra = 0 if self.terminal else self.unknown_bonus / (1 - self.mdp.discount)
        return reward + bonus + extra * (1 - known)

    def policy(self, pi):
        """``pi`` on the known states, uniform over the unknown actions elsewhere."""
        unknown = 1 - self.data[0]
        return np.where(self.inside[:, None], pi, unknown / np.maximum(unknown.sum(axis=1, keepdims=True), 1))

    @property
    def lives(self):
        """[S]: where the episode goes on."""
        return self.inside if self.terminal else np.ones(self.mdp.n_states, bool)

    def solve(self, pi):
        """(values, action values, d_K, esc) of a policy of the class."""
        g, lives, largest = self.mdp.discount, self.lives, 1 / (1 - self.mdp.discount)
        P = np.einsum("sa,sat->st", pi, self.mdp.transition)
        move = np.eye(len(P)) - g * P * lives[:, None] * lives
        pays = np.where(lives, np.sum(pi * self.paid, axis=1) + g * P @ (~lives * largest), 0)
        values = np.where(lives, np.linalg.solve(move, pays), largest)
        q = np.where(lives[:, None], self.paid + g * self.mdp.transition @ values, largest)
        d = (1 - g) * np.linalg.solve(move.T, self.mdp.initial * lives)
        esc = self.mdp.initial @ ~lives + g / (1 - g) * d @ (P @ ~lives)
        return values, q, d[:, None] * pi, esc

    def scale(self):
        return 10 / (1 - self.mdp.discount) ** 2


@claim("lpo.performance-difference", kind=identity, source=f"{SOURCE} 5.1 (P1)", provenance="derived",
       given=(_models, _optimism, _policy, _other, MODES), control={"occupancy": "other"})  # fmt: skip
def performance_difference(mdp, data, p, q, mode, occupancy="policy"):
    """V_K = sum d_K (r + b) / (1 - discount) + esc Vmax, and V_K^p - V_K^q = sum over I of d_K^p (Q_K^q - V_K^q) / (1 - discount).

    Control: the occupancy of q.
    """
    K = Optimistic(mdp, data, mode == "terminal")
    p, q = K.policy(p), K.policy(q)
    (values_p, _, d_p, esc), (values_q, action_values, d_q, _) = K.solve(p), K.solve(q)
    largest = 1 / (1 - mdp.discount)
    advantage = (action_values - values_q[:, None]) * K.inside[:, None]
    start = mdp.initial
    lhs = [largest * np.sum(d_p * K.paid) + esc * largest, largest * np.sum((d_p if occupancy == "policy" else d_q) * advantage)]
    return lhs, [start @ values_p, start @ (values_p - values_q)], K.scale()


def _optimal(mdp, reward):
    solution = planning.solve(DiscountedMDP(mdp.transition, reward, mdp.discount, mdp.initial), method="policy_iteration")
    return solution.values, solution.policy


def optimism_sides(K, pi, errors, slack=1.0):
    """(V* - V_K^pi at the start, the bound of O1) for action values that are wrong by ``errors``."""
    mdp, inside = K.mdp, K.inside
    best, optimal = _optimal(mdp, K.data[2])
    values, q, _, _ = K.solve(pi)
    estimates = q - errors
    excess = slack * (np.maximum(errors - K.data[1], 0) + np.sum(pi * np.maximum(-errors, 0), axis=1, keepdims=True))
    d = K.solve(K.policy(optimal))[2] * inside[:, None]
    spread = estimates - np.sum(pi * estimates, axis=1, keepdims=True)
    return mdp.initial @ (best - values), np.sum(d * (spread + excess)) / (1 - mdp.discount)


@claim("lpo.optimism", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy, _noise, MODES), control={"slack": 0.0})  # fmt: skip
def optimism_with_slack(mdp, data, pi, errors, mode, slack=1.0):
    """V* - V_K^pi <= sum over I of d_K^pt (Qhat - <pi, Qhat> + slack) / (1 - discount), for ANY Qhat = Q_K^pi - e.

    slack = (e - b)^+ + <pi, (-e)^+>, and pt plays pi* on I.  Control: without the slack.
    """
    K = Optimistic(mdp, data, mode == "terminal")
    lhs, rhs = optimism_sides(K, K.policy(pi), errors, slack)
    return lhs, rhs, K.scale() * (1 + np.abs(errors).max())


@claim("lpo.optimism-unknown", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy), control={"unknown_bonus": 0.0})  # fmt: skip
def optimism_of_unknown(mdp, data, pi, unknown_bonus=1.0):
    """The same with exact action values, in the bonus mode: Vmax on unknown pairs suffices.  Control: no bonus there."""
    K = Optimistic(mdp, data, False, unknown_bonus)
    lhs, rhs = optimism_sides(K, K.policy(pi), np.zeros(mdp.shape))
    return lhs, rhs, K.scale()


@claim("lpo.price-of-optimism", kind=inequality, source=f"{SOURCE} 5.3 (O2)", provenance="derived",
       given=(_models, _optimism, _policy), control={"escape": 0.0})  # fmt: skip
def price_of_optimism(mdp, data, pi, escape=1.0):
    """V_K^pi - V^pi <= (sum d_K b + esc) / (1 - discount), and sum d_K + (1 - discount)-weighted escapes is 1: sum d_K + esc = 1.

    Here esc weighs the first unknown pair by discount^t, which is the chance that a rollout ends there.  Control: escapes are free.
    """
    K = Optimistic(mdp, data, True)
    pi = K.policy(pi)
    values, _, d, esc = K.solve(pi)
    plain = planning.evaluate(DiscountedMDP(mdp.transition, data[2], mdp.discount, mdp.initial), pi).values
    bound = (np.sum(d * data[1]) + escape * esc) / (1 - mdp.discount)
    total = np.sum(d) + esc
    return np.array([mdp.initial @ (values - plain), total, -total]), np.array([bound, 1, -1]), K.scale()


# --- the policy gradient and its importance weights


def value_sequence(actions, rounds, style, seed):
    """[T, A]: action values in [0, 1] of one state; "adversary" charges what softmax likes best."""
    rng = np.random.default_rng(seed)
    Q = rng.random((rounds, actions)) if style != "bernoulli" else rng.integers(0, 2, (rounds, actions)).astype(float)
    if style == "adversary":
        rate, total = np.sqrt(8 * np.log(actions) / rounds), np.zeros(actions)
        for t in range(rounds):
            Q[t] = np.arange(actions) == np.argmin(rate * total)
            total += Q[t]
    return Q


_sequences = draw(value_sequence, st.integers(2, 4), st.integers(1, 60), st.sampled_from(["adversary", "bernoulli", "uniform"]),
                  space=Box(0.0, 1.0))  # fmt: skip


@claim("lpo.policy-gradient", kind=inequality, source=f"{SOURCE} 5.4 (N1)", provenance="derived",
       given=(_sequences, scales(-2, 1), st.booleans()), control={"factor": 1 / 2})  # fmt: skip
def policy_gradient(Q, eta, tuned, factor=1.0):
    """sum_t (Q_t[a] - <pi_t, Q_t>) <= log(A) / eta + (eta / 8) sum_t span(Q_t)^2 for every a.  Control: half of it."""
    T, A = Q.shape
    eta = np.sqrt(8 * np.log(A) / T) if tuned else eta
    theta = eta * (np.cumsum(Q, axis=0) - Q)
    pi = np.exp(theta - theta.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    gained = np.sum(Q - np.sum(pi * Q, axis=1, keepdims=True), axis=0)
    return gained, factor * (np.log(A) / eta + eta / 8 * np.sum(np.ptp(Q, axis=1) ** 2)) * np.ones(A), T


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
    """log sum_a pi^2 / pi_then <= 2 log cosh(W / 2) <= W^2 / 4 for pi = pi_then e^x / Z, W the span of x.  Control: W^2 / 8.

    Proof: Kantorovich's inequality for y = e^x, E y^2 / (E y)^2 <= (1 + e^W)^2 / (4 e^W).
    """
    W = np.ptp(x)
    pi = pi_then * np.exp(x - x.max())
    pi /= pi.sum()
    moment = np.log(np.sum(pi**2 / pi_then))
    middle = 2 * np.log(np.cosh(W / 2))
    return np.array([moment, middle]), np.array([middle if share == 1 / 4 else share * W**2, share * W**2]), 10.0


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


def _estimation():
    mdp = instances.random_discounted(4, 2, 0.8, seed=3)
    return mdp, optimism(mdp, "prize", 0), restricted(mdp, "then", "smooth", 1), 0.02 * np.random.default_rng(2).random(mdp.shape)


@claim("lpo.estimation", kind=HighProbability(failure=0.05, replicates=60), source=f"{SOURCE} 5.7 (E1)", provenance="derived",
       given={"random model, one pair unknown": _estimation}, control={"share": 0.05})  # fmt: skip
def estimation(mdp, data, then, logits, rng, share=1.0):
    """For a fixed policy, with probability 1 - delta at every pair that n rollouts began with: |mean of G - (Q_K - b)| <= sqrt(2 v l / n)
    + R l / (3 n) + discount^L X Vmax, v = (X / (1 - sqrt(discount e^c)))^2, X = 1 + bmax, l = log(2 S A / delta), delta = 0.05.

    R = X sum_{j <= L} e^(W j) + e^(W L) Vmax for tilts of span W, L = 60. Bernstein's inequality, second moments by
    ``lpo.importance-square``. Control: a twentieth of it. (For policies that depend on the same rollouts the spec adds a cover: not here.)
    """
    K, pi, then = _weighed(mdp, data, then, logits)
    (S, A), g, M, L = mdp.shape, mdp.discount, 2_000, 60
    known, largest = data[0].astype(bool), 1 / (1 - g)
    first, pairs, lengths, ended = np.empty(M, np.int64), np.empty((M, L), np.int32), np.empty(M, np.int64), np.empty(M, bool)
    tables, everywhere = alias_tables(mdp.transition.reshape(S * A, S)), np.full((S, A), 1 / A)
    cover = everywhere[None, None], np.ones((1, S, A), bool), np.ones(1)
    collect(*tables, np.cumsum(mdp.initial), g, *cover, then, known, np.ones(S, bool), True, rng, first, pairs, lengths, ended)
    sums, counts = np.empty(S * A), np.empty(S * A)
    ratio = np.where(then > 0, pi / np.where(then > 0, then, 1), 1).ravel()
    weighted_returns(first, pairs, lengths, ended, ratio, data[2].ravel(), K.paid.ravel(), largest, sums, counts)
    target = (data[2] + g * mdp.transition @ K.solve(pi)[0]).ravel()
    X, W, c = 1 + data[1].max(), np.ptp(logits, axis=1).max(), moments(K, pi, then).log_moment
    v, log_term = (X / (1 - np.sqrt(g * np.exp(c)))) ** 2, np.log(2 * S * A / 0.05)
    R = X * np.sum(np.exp(W * np.arange(L + 1))) + np.exp(W * L) * largest
    n = np.maximum(counts, 1)
    allowed = np.sqrt(2 * v * log_term / n) + R * log_term / (3 * n) + g**L * X * largest
    return bool(np.all(np.abs(sums / n - target)[counts > 0] <= share * allowed[counts > 0]))
