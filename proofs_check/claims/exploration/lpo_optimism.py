"""LPO's optimistic MDP: performance differences, optimism with explicit slack, its price, the policy gradient (lpo spec, 5.1 to 5.4).

A pair is known or not; I = the states all of whose actions are known. Policies of the class agree outside I: uniform over unknown actions.

    terminal   an unknown pair ends the episode and is worth Vmax = 1 / (1 - discount); known pairs pay reward + bonus
    bonus      nothing ends; unknown pairs pay Vmax on top of the reward
    d_K[s,a] = (1 - discount) sum_t discount^t Pr(s_t = s, a_t = a, nothing unknown so far),   esc = sum_t discount^t Pr(first unknown at t)

``Optimistic`` is this by the definitions; what it is held against are LPO's own steps and its certificate.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import STYLES, Box, discounted_mdps, draw, rows, scales
from tabular_rl import planning
from tabular_rl.algorithms import LPO, TabularClass, pathwise_certificate
from tabular_rl.algorithms.exploration import lpo_constants as theory
from tabular_rl.algorithms.exploration.lpo import Epochs
from tabular_rl.algorithms.exploration.lpo_certificate import optimistic_mdp
from tabular_rl.algorithms.exploration.lpo_plan import improve, start_policy, what_is_known
from tabular_rl.models import DiscountedMDP

SOURCE = "lpo spec"
MODES = st.sampled_from(["terminal", "bonus"])
ALPHA, TAU2 = 0.5, 0.25  # the width bonus sqrt(w2) of known pairs is at most 1/2


def widths_and_rewards(mdp, style, seed):
    """[2, S, A]: squared widths in [0, 1], of which a pair is known at up to TAU2, and rewards.

    "prize": all known but one action of the last state, where rewards are at least 0.9; "rich": the largest bonus and reward everywhere.
    """
    rng = np.random.default_rng(seed)
    known, reward = rng.random(mdp.shape) < (0.9 if style == "most" else 0.6), mdp.reward.copy()
    if style == "prize":
        known[:] = True
        known[-1, 0] = False
        reward[-1] = 0.9 + 0.1 * reward[-1]
    small = TAU2 * rng.random(mdp.shape) ** 2
    if style == "rich":
        known[:], small[:], reward[:] = True, TAU2, 1
    return np.stack([np.where(known, small, TAU2 + (1 - TAU2) * rng.uniform(0.01, 1, mdp.shape)), reward])


def restricted(mdp, name, style, seed):
    """A policy to be used on the known states; the ``name`` tells apart those of one instance."""
    return rows(np.random.default_rng([seed, *name.encode()]), mdp.shape, style)


def noise(mdp, scale, seed):
    """Normal errors [S, A] of action values."""
    return scale * np.random.default_rng(seed).standard_normal(mdp.shape)


_models = discounted_mdps()
_optimism = draw(widths_and_rewards, st.sampled_from(["most", "prize", "some", "rich"]), space=Box(0.0, 1.0), fit=True)
_policy, _other = (draw(restricted, name, st.sampled_from(STYLES), fit=True) for name in ("policy", "other"))
_noise = draw(noise, st.sampled_from([3.0, 0.3, 0.0]), fit=True)


class Optimistic(NamedTuple):
    """The optimistic MDP of a model and ``data`` = (known, width bonus, reward) [3, S, A], by the definitions, in one of the two modes."""

    mdp: Any
    data: Any
    terminal: bool
    unknown_bonus: float = 1.0

    @classmethod
    def of(cls, mdp, data, terminal, unknown_bonus=1.0):
        """That of ``data`` = (squared widths, rewards): known where w2 <= TAU2, then with the bonus 2 ALPHA sqrt(w2)."""
        w2, reward = data
        known = w2 <= TAU2
        return cls(mdp, np.stack([known, known * 2 * ALPHA * np.sqrt(w2), reward]), terminal, unknown_bonus)

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

    @property
    def model(self):
        """The true model with the rewards of ``data``."""
        return DiscountedMDP(self.mdp.transition, self.data[2], self.mdp.discount, self.mdp.initial)


def learner(terminal, **arguments):
    """LPO with the bonus and the known set of this file."""
    return LPO(bonus_scale=ALPHA, known_width=TAU2, unknown="terminal" if terminal else "bonus", **arguments)


def known_and_bonus(mdp, w2, terminal):
    """(known, bonus) [S, A] as LPO makes them of squared widths."""
    lpo, known, bonus = learner(terminal), np.empty(mdp.shape, bool), np.empty(mdp.shape)
    rules = lpo.rules(lpo.resolve(TabularClass(mdp.shape), mdp.discount, 100))
    what_is_known(np.ravel(w2), rules, mdp.discount, known, bonus)
    return known, bonus


def certificate(K, w2, pi, estimates):
    """LPO's own certificate of an epoch of one iterate ``pi``, or some, with these ``estimates`` of action values [.., S, A]."""
    known, bonus = known_and_bonus(K.mdp, w2, K.terminal)
    fields = dict.fromkeys(Epochs._fields) | {"policies": pi.reshape(1, -1, *known.shape), "known": known[None], "bonus": bonus[None]}
    epochs = Epochs(**fields | {"q_estimates": np.where(K.inside[:, None], estimates, 0).reshape(1, -1, *known.shape)})
    return pathwise_certificate(K.model, epochs, "terminal" if K.terminal else "bonus")


@claim("lpo.bonus", kind=identity, source=f"{SOURCE} 1.1, 1.2", provenance="derived", given=(_models, _optimism, MODES),
       control={"power": 1})  # fmt: skip
def bonus_of_widths(mdp, data, mode, power=2):
    """A pair is known iff w2 <= tau2, and then b^2 = 4 alpha^2 w2; in the bonus mode b = Vmax on the others, else 0.

    Control: b = 4 alpha^2 w2.
    """
    K, (known, bonus) = Optimistic.of(mdp, data, mode == "terminal"), known_and_bonus(mdp, data[0], mode == "terminal")
    unknown = 0.0 if mode == "terminal" else 1 / (1 - mdp.discount)
    return np.stack([known, bonus**power]), np.stack([K.data[0], np.where(K.data[0], 4 * ALPHA**2 * data[0], unknown**power)])


@claim("lpo.performance-difference", kind=identity, source=f"{SOURCE} 5.1 (P1)", provenance="derived",
       given=(_models, _optimism, _policy, _other, MODES), control={"occupancy": "other"})  # fmt: skip
def performance_difference(mdp, data, p, q, mode, occupancy="policy"):
    """V_K = sum d_K (r + b) / (1 - discount) + esc Vmax, and V_K^p - V_K^q = sum over I of d_K^p (Q_K^q - V_K^q) / (1 - discount).

    Left: the certificate's occupancies and action values; right: values of the definition. Control: the occupancy of q.
    """
    K, largest, start = Optimistic.of(mdp, data, mode == "terminal"), 1 / (1 - mdp.discount), mdp.initial
    p, q = K.policy(p), K.policy(q)
    values_p, values_q = K.solve(p)[0], K.solve(q)[0]
    known, bonus = known_and_bonus(mdp, data[0], K.terminal)
    own = optimistic_mdp(K.model, known, bonus, np.stack([p, q]), K.terminal)
    advantage = (own.q_values[1] - own.values[1][:, None]) * K.inside[:, None]
    d = own.occupancy[0 if occupancy == "policy" else 1][:, None] * p
    lhs = [largest * np.sum(own.occupancy[0][:, None] * p * K.paid) + own.escapes[0] * largest, largest * np.sum(d * advantage)]
    return lhs, [start @ values_p, start @ (values_p - values_q)], K.scale()


def _optimal(mdp, reward):
    solution = planning.solve(DiscountedMDP(mdp.transition, reward, mdp.discount, mdp.initial), method="policy_iteration")
    return solution.values, solution.policy


@claim("lpo.optimism", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy, _noise, MODES), control={"slack": 0.0})  # fmt: skip
def optimism_with_slack(mdp, data, pi, errors, mode, slack=1.0):
    """V* - V_K^pi <= sum over I of d_K^pt (Qhat - <pi, Qhat> + slack) / (1 - discount), for ANY Qhat = Q_K^pi - e.

    slack = (e - b)^+ + <pi, (-e)^+>, and pt plays pi* on I. Right: the certificate's terms.  Control: without the slack.
    """
    K = Optimistic.of(mdp, data, mode == "terminal")
    pi = K.policy(pi)
    values, q, _, _ = K.solve(pi)
    terms = certificate(K, data[0], pi, q - errors)
    lhs = mdp.initial @ (_optimal(mdp, data[1])[0] - values)
    return lhs, terms.regret[0] + slack * terms.slack[0], K.scale() * (1 + np.abs(errors).max())


@claim("lpo.certificate", kind=identity, source=f"{SOURCE} 5.9", provenance="derived",
       given=(_models, _optimism, _policy, _noise, MODES), control={"width": 0.0})  # fmt: skip
def certificate_by_definition(mdp, data, pi, errors, mode, width=1.0):
    """The certificate's regret, slack and price are the sums of the pathwise inequality, computed from the definitions,
    over two iterates.

    Control: the slack beyond no bonus.
    """
    K, g = Optimistic.of(mdp, data, mode == "terminal"), mdp.discount
    pi, inside, errors = K.policy(np.stack([pi, np.roll(pi, 1, axis=1)])), K.inside[:, None], np.stack([errors, -errors / 2])
    _, q, d_pi, esc = K.solve(pi)
    d, estimates = K.solve(K.policy(planning.solve(K.model, tolerance="exact").policy))[2] * inside, q - errors
    regret = np.sum(d * (estimates - np.sum(pi * estimates, axis=-1, keepdims=True))) / 2
    slack = np.sum(d * (np.maximum(errors - width * K.data[1], 0) + np.sum(pi * np.maximum(-errors, 0), axis=-1, keepdims=True))) / 2
    unknown = np.mean(esc) if K.terminal else np.sum(d_pi * (1 - K.data[0])) / 2 / (1 - g)
    terms = certificate(K, data[0], pi, estimates)
    defined = np.array([regret, slack, np.sum(d_pi * K.data[1]) / 2 + unknown]) / (1 - g)
    return np.ravel(terms), defined, K.scale() * (1 + np.abs(errors).max())


@claim("lpo.optimism-unknown", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy), control={"unknown_bonus": 0.0})  # fmt: skip
def optimism_of_unknown(mdp, data, pi, unknown_bonus=1.0):
    """The same with exact action values, in the bonus mode: Vmax on unknown pairs suffices.  Control: no bonus there."""
    K = Optimistic.of(mdp, data, False, unknown_bonus)
    pi = K.policy(pi)
    values, q, _, _ = K.solve(pi)
    terms = certificate(Optimistic.of(mdp, data, False), data[0], pi, q)
    return mdp.initial @ (_optimal(mdp, data[1])[0] - values), terms.regret[0], K.scale()


def _gained(K, pi):
    """V_K^pi - V^pi at the start, d_K and esc, by the definitions."""
    values, _, d, esc = K.solve(pi)
    return K.mdp.initial @ (values - planning.evaluate(K.model, pi).values), d, esc


@claim("lpo.price-of-optimism", kind=inequality, source=f"{SOURCE} 5.3 (O2)", provenance="derived",
       given=(_models, _optimism, _policy), control={"escape": 0.0})  # fmt: skip
def price_of_optimism(mdp, data, pi, escape=1.0):
    """V_K^pi - V^pi <= (sum d_K b + esc) / (1 - discount) = the certificate's price, and sum d_K + esc = 1 for what it computes.

    Here esc weighs the first unknown pair by discount^t, which is the chance that a rollout ends there.  Control: escapes are free.
    """
    K, (known, bonus) = Optimistic.of(mdp, data, True), known_and_bonus(mdp, data[0], True)
    pi = K.policy(pi)
    gained, _, esc = _gained(K, pi)
    own, price = optimistic_mdp(K.model, known, bonus, pi[None], True), certificate(K, data[0], pi, 0 * pi).price[0]
    total = own.occupancy.sum() + own.escapes[0]
    return np.array([gained, total, -total]), np.array([price - (1 - escape) * esc / (1 - mdp.discount), 1, -1]), K.scale()


@claim("lpo.price-of-bonuses", kind=identity, source=f"{SOURCE} 5.3 (O2)", provenance="derived",
       given=(_models, _optimism, _policy), control={"unknown": 0.0})  # fmt: skip
def price_of_bonuses(mdp, data, pi, unknown=1.0):
    """In the bonus mode V_K^pi - V^pi = sum d (b + Vmax [unknown]) / (1 - discount), the certificate's price.

    Control: unknown pairs are free.
    """
    K, largest = Optimistic.of(mdp, data, False), 1 / (1 - mdp.discount)
    pi = K.policy(pi)
    gained, d, _ = _gained(K, pi)
    price = certificate(K, data[0], pi, 0 * pi).price[0] - (1 - unknown) * largest**2 * np.sum(d * (1 - K.data[0]))
    return price, gained, K.scale()


def place(mdp, seed):
    """Where in its interval an estimate lies: shares in [0, 1], one per pair; half of them at the ends."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(mdp.shape) < 0.5, np.round(rng.random(mdp.shape)), rng.random(mdp.shape))


@claim("lpo.half-bonus", kind=inequality, source=f"{SOURCE} 5.2 (O1)", provenance="derived",
       given=(_models, _optimism, _policy, draw(place, space=Box(0.0, 1.0), fit=True), MODES), control={"error": 1.5})  # fmt: skip
def half_bonus(mdp, data, pi, share, mode, error=1.0):
    """Where |f - (Q_K - b)| <= alpha sqrt(w2) = b / 2 on I, what the policy gradient learns of f needs no slack: Q_K - b <= Qhat <= Q_K.

    Qhat = clip(f + b / 2, 0, B) is that of one step of LPO; it lies in [0, B] for any f.  Control: f is half as far off again.
    """
    K = Optimistic.of(mdp, data, mode == "terminal")
    q, inside, lpo = K.solve(K.policy(pi))[1], K.inside, learner(K.terminal, iterations=1)
    _, bonus = known_and_bonus(mdp, data[0], K.terminal)
    estimate = q - K.data[1] + error * ALPHA * np.sqrt(data[0]) * (2 * share - 1)
    rules = lpo.rules(lpo.resolve(TabularClass(mdp.shape), mdp.discount, 100))
    (theta, policy, logs), learned, wild = np.zeros((3, *mdp.shape)), np.zeros((1, *mdp.shape)), np.zeros((1, *mdp.shape))
    improve(estimate.ravel(), bonus, rules, inside, theta, policy, logs, learned, 0)
    improve(3 * K.scale() * (2 * share.ravel() - 1), bonus, rules, inside, theta, policy, logs, wild, 0)
    low, high = (q - K.data[1]) * inside[:, None], q * inside[:, None]
    B = (1 + (1 / 2 if K.terminal else max(1 / 2, 1 / (1 - mdp.discount)))) / (1 - mdp.discount)
    return np.stack([low, learned[0], 0 * low, wild[0]]), np.stack([learned[0], high, wild[0], B + 0 * low]), K.scale()


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


def gradient_path(Q, eta, start=None):
    """Policies [T + 1, A] and logs of the last, of LPO's steps on the action values ``Q`` [T, A] of one state, from logits ``start``."""
    (T, A), lpo, known = Q.shape, LPO(len(Q), learning_rate=float(eta)), np.ones((1, Q.shape[1]), bool)
    rules = lpo.rules(lpo.resolve(TabularClass((1, A)), 0.5, 1))  # B > 1: nothing is clipped
    theta, policy, logs = np.zeros((1, A)) if start is None else start[None].copy(), np.empty((1, A)), np.empty((1, A))
    start_policy(known, theta, np.empty(1, bool), policy, logs)
    policies = [policy[0].copy()]
    for t in range(T):
        improve(Q[t], np.zeros((1, A)), rules, known[:, 0], theta, policy, logs, np.empty((0, 1, A)), t)
        policies.append(policy[0].copy())
    return np.array(policies), logs[0]


@claim("lpo.policy-gradient", kind=inequality, source=f"{SOURCE} 5.4 (N1)", provenance="derived",
       given=(_sequences, scales(-2, 1), st.booleans()), control={"factor": 1 / 2})  # fmt: skip
def policy_gradient(Q, eta, tuned, factor=1.0):
    """LPO's steps: sum_t (Q_t[a] - <pi_t, Q_t>) <= log(A) / eta + (eta / 8) sum_t span(Q_t)^2 for every a.  Control: half of it."""
    T, A = Q.shape
    eta = theory.gradient_rate(A, T, 1.0) if tuned else eta
    pi = gradient_path(Q, eta)[0][:-1]
    gained = np.sum(Q - np.sum(pi * Q, axis=1, keepdims=True), axis=0)
    return gained, factor * (np.log(A) / eta + eta / 8 * np.sum(np.ptp(Q, axis=1) ** 2)) * np.ones(A), T


def logits(Q, spread, seed):
    """Logits [A] to start from."""
    return spread * np.random.default_rng(seed).standard_normal(Q.shape[1])


_starts = draw(logits, st.sampled_from([10.0, 1.0]), fit=True)


@claim("lpo.exponential-weights", kind=identity, source=f"{SOURCE} section 2", provenance="paper",
       given=(_sequences, scales(-2, 1), _starts), control={"gain": 0.5})  # fmt: skip
def exponential_weights(Q, eta, start, gain=1.0):
    """LPO's policies are softmax(start + eta (Q_0 + .. + Q_{t-1})), t = 0 .. T, and so are their logarithms.  Control: half of eta."""
    theta = start + gain * eta * np.concatenate([np.zeros((1, Q.shape[1])), np.cumsum(Q, axis=0)])
    weights = np.exp(theta - theta.max(axis=1, keepdims=True))
    policies, logs = gradient_path(Q, eta, start)
    expected = weights / weights.sum(axis=1, keepdims=True)
    return np.append(policies, np.exp(logs)[None], axis=0), np.append(expected, expected[-1:], axis=0), 10.0 + eta * len(Q)


@claim("lpo.warm-start", kind=inequality, source=f"{SOURCE} 5.4 (N1)", provenance="derived",
       given=(_sequences, scales(-2, 1), _starts), control={"cold": True})  # fmt: skip
def warm_start(Q, eta, start, cold=False):
    """From any policy pi_0: sum_t (Q_t[a] - <pi_t, Q_t>) <= log(1 / pi_0[a]) / eta + (eta / 8) sum_t span(Q_t)^2 for every a.

    Control: log(A) / eta, as if pi_0 were uniform.
    """
    pi = gradient_path(Q, eta, start)[0][:-1]
    gained = np.sum(Q - np.sum(pi * Q, axis=1, keepdims=True), axis=0)
    surprise = np.log(Q.shape[1]) * np.ones(Q.shape[1]) if cold else -np.log(pi[0])
    return gained, surprise / eta + eta / 8 * np.sum(np.ptp(Q, axis=1) ** 2), len(Q) + 30 / eta


# --- the theory's constants


def setting(states, actions, discount, iterations, samples, terminal, reuse, fixed, seed):
    """(LPO with the theory's constants, (S, A), discount, number of outer samples)."""
    lpo = LPO(iterations, preset="theory", unknown="terminal" if terminal else "bonus", reuse=reuse, fixed_window=fixed)
    return lpo, (states, actions), discount, samples


_settings = draw(setting, st.integers(1, 8), st.integers(2, 5), st.sampled_from([0.99, 0.5, 0.8, 0.9, 0.999]), st.integers(1, 300),
                 st.integers(1, 10**6), st.booleans(), st.booleans(), st.booleans())  # fmt: skip


@claim("lpo.rate", kind=inequality, source=f"{SOURCE} 5.4 (N1)", provenance="derived", given=(_settings, st.floats(0.3, 3.0)),
       control={"factor": 1 / 2})  # fmt: skip
def best_rate(case, other, factor=1.0):
    """The theory's eta minimizes log(A) / (eta T) + eta B^2 / 8, and the least value is the closed bound B sqrt(log A / (2 T)).

    B is what a reward of 1 and the largest bonus in every step are worth.  Control: half of that eta.
    """
    lpo, (S, A), g, n = case
    c, T, largest = lpo.resolve(TabularClass((S, A)), g, n), lpo.iterations, 1 / (1 - g)
    B = (1 + max(1.0, largest if lpo.unknown == "bonus" else 0.0)) * largest  # the theory's width bonus is at most 1
    eta, bound = factor * c["learning_rate"], theory.gradient_bound(A, T, c["B"])
    own = theory.gradient_bound(A, T, c["B"], eta)

    def regret(eta):
        return math.log(A) / (eta * T) + eta * B**2 / 8

    lhs = np.array([regret(eta), bound, regret(eta), own, regret(eta)])
    return lhs, np.array([regret(eta * other), regret(eta), bound, regret(eta), own])


@claim("lpo.theory", kind=inequality, source=f"{SOURCE} 2.1, 5.7", provenance="derived", given=(_settings,),
       control={"reused": False})  # fmt: skip
def theory_constants(case, reused=True):
    """In tables, terminal mode or not: 2 alpha tau = 1, discount e^window = (1 + discount) / 2 is below 1, discount^L <= 1e-6, and half a
    bonus alpha sqrt(w2) pays for the leading term sqrt(2 v l / m) of E1 at m = 1 / (2 w2) rollouts, v = (X / (1 - sqrt(discount e^c)))^2,
    c = window where rollouts are used again, else 0, X the largest pay of a pair, l = log(2 S A T n / delta), and for used ones also
    S (A - 1) log ceil(2 W n L), W = eta B T or 2 sqrt(window): once, but not nine tenths of alpha for discounts near 1.

    Control: the window is forgotten.
    """
    lpo, (S, A), g, n = case
    c, T, L = lpo.resolve(TabularClass((S, A)), g, n), lpo.iterations, lpo.longest(g)
    window = math.log((1 + g) / (2 * g))
    X, reuse = (2 if lpo.unknown == "terminal" else 1 + 1 / (1 - g)), lpo.reuse and reused
    v = (X / (1 - math.sqrt(g * math.exp(window if lpo.reuse else 0.0)))) ** 2
    W = 2 * math.sqrt(window) if lpo.fixed_window else math.sqrt(8 * math.log(A) * T)
    l = math.log(2 * S * A * T * n / 0.05) + reuse * S * (A - 1) * math.log(math.ceil(2 * W * n * L))
    pays, alpha = math.sqrt(4 * v * l), c["bonus_scale"]
    most = (0.9 if g < 0.95 else 0.97) if g >= 0.9 else 0.0
    lhs = [pays, most * alpha, 2 * alpha * math.sqrt(c["known_width"]), c["window"], window, g**L, 1e-6]
    return np.array(lhs), np.array([alpha, pays, 1.0, window, c["window"], 1e-6, g ** (L - 1)]), 1.0
