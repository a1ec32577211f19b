"""LPO's optimistic MDP: performance differences, optimism with explicit slack, its price, the policy gradient (lpo spec, 5.1 to 5.4).

A pair is known or not; I = the states all of whose actions are known. Policies of the class agree outside I: uniform over unknown actions.

    terminal   an unknown pair ends the episode and is worth Vmax = 1 / (1 - discount); known pairs pay reward + bonus
    bonus      nothing ends; unknown pairs pay Vmax on top of the reward
    d_K[s,a] = (1 - discount) sum_t discount^t Pr(s_t = s, a_t = a, nothing unknown so far),   esc = sum_t discount^t Pr(first unknown at t)
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import STYLES, Box, discounted_mdps, draw, rows, scales
from tabular_rl import planning
from tabular_rl.models import DiscountedMDP

SOURCE = "lpo spec"
MODES = st.sampled_from(["terminal", "bonus"])


def known_and_bonus(mdp, style, seed):
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
_optimism = draw(known_and_bonus, st.sampled_from(["most", "prize", "some"]), space=Box(0.0, 1.0), fit=True)
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
        """(values, action values, d_K, esc) of a policy of the class, or of many: ``pi`` [..., S, A]."""
        g, lives, largest = self.mdp.discount, self.lives, 1 / (1 - self.mdp.discount)
        P = np.einsum("...sa,sat->...st", pi, self.mdp.transition)
        move = np.eye(len(lives)) - g * P * lives[:, None] * lives
        pays = np.where(lives, np.sum(pi * self.paid, axis=-1) + g * P @ (~lives * largest), 0)
        values = np.where(lives, np.linalg.solve(move, pays[..., None])[..., 0], largest)
        q = np.where(lives[:, None], self.paid + g * np.einsum("sat,...t->...sa", self.mdp.transition, values), largest)
        starts = np.broadcast_to(self.mdp.initial * lives, values.shape)[..., None]
        d = (1 - g) * np.linalg.solve(np.swapaxes(move, -1, -2), starts)[..., 0]
        esc = self.mdp.initial @ ~lives + g / (1 - g) * np.sum(d * (P @ ~lives), axis=-1)
        return values, q, d[..., None] * pi, esc

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


@claim("lpo.price-of-bonuses", kind=identity, source=f"{SOURCE} 5.3 (O2)", provenance="derived",
       given=(_models, _optimism, _policy), control={"unknown": 0.0})  # fmt: skip
def price_of_bonuses(mdp, data, pi, unknown=1.0):
    """In the bonus mode V_K^pi - V^pi = sum d (b + Vmax [unknown]) / (1 - discount).  Control: unknown pairs are free."""
    K, largest = Optimistic(mdp, data, False), 1 / (1 - mdp.discount)
    pi = K.policy(pi)
    values, _, d, _ = K.solve(pi)
    plain = planning.evaluate(DiscountedMDP(mdp.transition, data[2], mdp.discount, mdp.initial), pi).values
    return mdp.initial @ (values - plain), largest * np.sum(d * (data[1] + unknown * largest * (1 - data[0]))), K.scale()


def place(mdp, seed):
    """Where in its interval an estimate lies: shares in [0, 1], one per pair; half of them at the ends."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(mdp.shape) < 0.5, np.round(rng.random(mdp.shape)), rng.random(mdp.shape))


@claim("lpo.half-bonus", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy, draw(place, space=Box(0.0, 1.0), fit=True), MODES), control={"error": 50.0})  # fmt: skip
def half_bonus(mdp, data, pi, share, mode, error=1.0):
    """Where |f - (Q_K - b)| <= b / 2 on I, Qhat = clip(f + b / 2, 0, B) needs no slack: optimism holds with Qhat alone.

    Control: f is fifty times as far off.
    """
    K = Optimistic(mdp, data, mode == "terminal")
    pi, known_bonus = K.policy(pi), data[1]
    q, most = K.solve(pi)[1], max(1.0, np.max(K.paid)) / (1 - mdp.discount)
    estimate = np.clip(q - known_bonus + error * known_bonus * (share - 1 / 2) + known_bonus / 2, 0, most)
    lhs, rhs = optimism_sides(K, pi, q - estimate, slack=0.0)
    return lhs, rhs, K.scale()


# --- the policy gradient


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


def logits(Q, spread, seed):
    """Logits [A] to start from."""
    return spread * np.random.default_rng(seed).standard_normal(Q.shape[1])


@claim("lpo.warm-start", kind=inequality, source=f"{SOURCE} 5.4 (N1)", provenance="derived",
       given=(_sequences, scales(-2, 1), draw(logits, st.sampled_from([10.0, 1.0]), fit=True)), control={"cold": True})  # fmt: skip
def warm_start(Q, eta, start, cold=False):
    """From any policy pi_0: sum_t (Q_t[a] - <pi_t, Q_t>) <= log(1 / pi_0[a]) / eta + (eta / 8) sum_t span(Q_t)^2 for every a.

    Control: log(A) / eta, as if pi_0 were uniform.
    """
    theta = start + eta * (np.cumsum(Q, axis=0) - Q)
    pi = np.exp(theta - theta.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    gained = np.sum(Q - np.sum(pi * Q, axis=1, keepdims=True), axis=0)
    surprise = np.log(Q.shape[1]) * np.ones(Q.shape[1]) if cold else -np.log(pi[0])
    return gained, surprise / eta + eta / 8 * np.sum(np.ptp(Q, axis=1) ** 2), len(Q) + 30 / eta
