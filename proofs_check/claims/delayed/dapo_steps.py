"""One update of DAPO: what exponential weights pay, how far a policy moves, and the episode as a whole (dapo spec, L3, L6, 5.3, JOINT).

y = eta (Qhat - B),   p' = p exp(-y) / Z,   c = gamma H + kappa eta H^2,   kappa = e - 2,   b = c sum_a p w,   B dilated by 1 + 1/H
beta_h = (c / gamma) H ((1 + 1/H)^(H-h) - 1) >= B[h],   theta = eta beta_0,   omega = (e^theta - 1) / theta
delta_h = eta (H - h + omega beta_h)
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality
from proofs_check.calculus import dilated_bonus, evaluate, state_occupancy
from proofs_check.claims.delayed.dapo_estimator import (
    ADAPTED,
    SOURCE,
    explorations,
    forms,
    importance_weights,
    local_bonus,
    to_go,
    total_variation,
    trajectories,
)
from proofs_check.claims.foundations.exponential_weights import comparator_like
from proofs_check.strategies import STYLES, Simplex, draw, enumerable_mdps, policies, scales, simplex_points, tables, vectors
from tabular_rl.algorithms import DAPO
from tabular_rl.algorithms.delayed.dapo import KAPPA
from tabular_rl.delays import schedule

rates = scales(-4, 0)
_AT_ONCE = schedule([0])
comparators = draw(comparator_like, st.sampled_from(STYLES), space=Simplex(), fit=True)


class Constants(NamedTuple):
    """Learning rate, bonus constant, ``beta`` [H], ``theta``, ``delta`` [H] of the file's head."""

    eta: float
    c: float
    beta: Any
    theta: float
    delta: Any


def constants(H, gamma, eta):
    """The Constants for the largest learning rate up to ``eta`` that meets COND: theta <= 1 and kappa H theta <= 1; c is DAPO's."""
    growth = H * ((1 + 1 / H) ** np.arange(H, 0, -1) - 1)
    most = min(1.0, 1 / (KAPPA * H))  # theta = growth[0] (H eta + (kappa H^2 / gamma) eta^2)
    square, linear = KAPPA * H**2 / gamma * growth[0], H * growth[0]
    eta = min(eta, 2 * most / (linear + np.sqrt(linear**2 + 4 * square * most)))
    _, _, c, _ = DAPO("practical", learning_rate=eta, exploration=gamma, bonus_scale=1.0).resolve((H, 1, 2), 1, _AT_ONCE)
    beta = c / gamma * growth
    theta = eta * beta[0]
    return Constants(eta, c, beta, theta, eta * (np.arange(H, 0, -1) + np.expm1(theta) / theta * beta))


def bonus_of(mdp, pi, p, gamma, form, c):
    """B [H, S, A] of feedback from the policy ``pi`` that arrives at ``p``."""
    return dilated_bonus(mdp, p, local_bonus(state_occupancy(mdp, pi), pi, p, gamma, form, c))


def interior(p):
    """``p`` with all probabilities at least about 1e-12, so that relative entropies are finite."""
    p = np.maximum(p, 1e-12)
    return p / p.sum(axis=-1, keepdims=True)


def updated(p, y):
    """log p' for p' = p exp(-y) / Z."""
    return _normalized(np.log(p) - y)


def _normalized(log_weights):
    log_weights = log_weights - log_weights.max(axis=-1, keepdims=True)
    return log_weights - np.log(np.exp(log_weights).sum(axis=-1, keepdims=True))


def entropy_decrease(p, y, u):
    """KL(u, p) - KL(u, p')."""
    return np.sum(u * (updated(p, y) - np.log(p)), axis=-1)


@claim("dapo.weights-step", kind=inequality, source=f"{SOURCE} L3", provenance="derived",
       given=(simplex_points(), vectors(), scales(-4, 2), vectors(), comparators, rates), control={"constant": 1 / 2})  # fmt: skip
def weights_step(p, losses, weight, bonus, u, eta, constant=KAPPA):
    """<p - u, Qhat - B> <= (KL(u, p) - KL(u, p')) / eta + kappa eta <p, Qhat^2 + B^2> for Qhat >= 0, 0 <= B <= 1 / eta and every u.

    Control: the constant 1/2, which needs y >= 0.

    Proof: e^-y <= 1 - y + kappa y^2 for y >= -1, and (Qhat - B)^2 <= Qhat^2 + B^2 as both are nonnegative.
    """
    p, estimate, B = interior(p), weight * losses, bonus / eta
    paid = entropy_decrease(p, eta * (estimate - B), u) / eta + constant * eta * (p @ (estimate**2 + B**2))
    return (p - u) @ (estimate - B), paid, 100 * (1 + 1 / eta)


@claim("dapo.step-drift", kind=inequality, source=f"{SOURCE} L6", provenance="derived",
       given=(simplex_points(), vectors(), scales(-4, 2), vectors(), rates), control={"growth": 1})  # fmt: skip
def step_drift(p, losses, weight, bonus, eta, growth=None):
    """TV(p, p') <= eta <p, Qhat> + omega eta <p, B> for Qhat, B >= 0, theta = eta max B <= 1 and omega = (e^theta - 1) / theta.

    Control: omega = 1, which linearizes the exponential.

    Proof: p' / p >= 1 - y - log Z, so TV <= <p, y^+> + (log Z)^+, and Z <= <p, exp(eta B)>, which is convex in B.
    """
    p, estimate, theta = interior(p), weight * losses, max(bonus.max(), 1e-12)
    omega = np.expm1(theta) / theta if growth is None else growth
    return total_variation(p, np.exp(updated(p, eta * estimate - bonus))), eta * (p @ estimate) + omega * (p @ bonus), 1.0


@claim("dapo.mean-step-drift", kind=inequality, source=f"{SOURCE} L6", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, rates, forms), control={"bonus": 0})  # fmt: skip
def mean_step_drift(mdp, pi, p, gamma, eta, form, bonus=1):
    """E TV(p, p') <= eta <p, Q> + omega eta <p, B> <= delta_h in every state, over the trajectories of pi.

    Control: eta <p, Q>, as if the bonus moved nothing.
    """
    p, rate = interior(p), constants(mdp.horizon, gamma, eta)
    paths, w = trajectories(mdp, pi), importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    B = bonus_of(mdp, pi, p, gamma, form, rate.c)
    moved = _mean_of_rows(mdp, paths, p, rate.eta, w, B, lambda log_p, at: total_variation(np.exp(log_p), p[at]))
    omega = np.expm1(rate.theta) / rate.theta
    bound = rate.eta * np.sum(p * (evaluate(mdp, pi).q_values + bonus * omega * B), axis=-1)
    return np.stack([moved, bound]), np.stack([bound, rate.delta[:, None] + 0 * bound]), 1.0


def _mean_of_rows(mdp, paths, p, eta, w, B, function):
    """E function(log p'[at], at) [H, S]: the row that is visited moves with the losses and the bonus, the others with the bonus alone."""
    H, S, A = mdp.shape
    log_moved = np.log(p) + eta * B
    charged, by_bonus = eta * paths.at(w) * paths.to_go, function(_normalized(log_moved), ...)
    for h in range(H):  # all that counts from step h on: the paths before it are summed
        rest = (S * A) ** h, -1
        probability, cells = paths.probability.reshape(rest).sum(axis=0), paths.cells[h].reshape(rest)[0]
        states, log_weights = cells // A, log_moved[h, cells // A]
        log_weights[np.arange(len(cells)), cells % A] -= charged[h].reshape(rest)[0]
        visited = function(_normalized(log_weights), (h, states))
        by_bonus[h] *= 1 - np.bincount(states, probability, S)
        by_bonus[h] += np.bincount(states, probability * visited, S)
    return by_bonus


@claim("dapo.episode", kind=inequality, source="dapo spec 5.3, certificate C", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-4, 0), policies("comparator"), explorations, rates,
              st.sampled_from((*ADAPTED, "plain"))), control={"bonus": 0})  # fmt: skip
def episode(mdp, pi, p, distance, comparator, gamma, eta, form, bonus=1):
    """V_pi - V_* <= E sum q* (KL(pi*, p) - KL(pi*, p')) / eta + 2 sum (H - h) q* TV(pi, p) + (1 + 1/H) <initial, Bbar[0]> under COND.

    Summed in the order of processing the entropies telescope to at most H log A: certificate C. It holds for the plain
    estimator too, whose bonus nothing bounds. The p of an instance is drawn at every distance from pi. Control: no bonus.
    """
    p, rate = interior(pi + distance * (p - pi)), constants(mdp.horizon, gamma, eta)
    paths, w = trajectories(mdp, pi), importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    B = bonus_of(mdp, pi, p, gamma, form, bonus * rate.c)
    log_p, q_star = np.log(p), state_occupancy(mdp, comparator)
    decrease = _mean_of_rows(mdp, paths, p, rate.eta, w, B, lambda log_new, at: np.sum(comparator[at] * (log_new - log_p[at]), axis=-1))
    paid = (1 + 1 / mdp.horizon) * (mdp.initial @ np.sum(p[0] * B[0], axis=-1))
    promised = np.sum(q_star * (decrease / rate.eta + 2 * to_go(mdp)[..., 0] * total_variation(pi, p))) + paid
    regret = mdp.initial @ (evaluate(mdp, pi).values[0] - evaluate(mdp, comparator).values[0])
    return regret, promised, 30 * mdp.horizon / rate.eta, mdp.horizon


@claim("dapo.joint-substep", kind=inequality, source="dapo spec, JOINT", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), policies("substep"), explorations, rates, forms),
       control={"drift": 0})  # fmt: skip
def joint_substep(mdp, pi, p, p_i, gamma, eta, form, drift=1):
    """What a batch costs that p meets, but p_i would have met one after the other: E <p - p_i, Qhat - B> <= (H - h + beta_h) TV(p, p_i),
    <p_i, E Qhat^2> <= (H - h)^2 (<p, w> + TV / gamma), and <p_i, B^2> <= beta_h (<p, B> + beta_h TV).

    Control: without the TV, as if the batch had met one policy.
    """
    rate, n = constants(mdp.horizon, gamma, eta), to_go(mdp)[..., 0]
    paths, w = trajectories(mdp, pi), importance_weights(state_occupancy(mdp, pi), pi, p, gamma, form)
    B = bonus_of(mdp, pi, p, gamma, form, rate.c)
    along, beta, moved = paths.at(w) * paths.to_go, rate.beta[:, None], drift * total_variation(p, p_i)
    mean, square = paths.mean_at(along, mdp.shape), paths.mean_at(along**2, mdp.shape)
    costs = np.sum((p - p_i) * (mean - B), axis=-1), np.sum(p_i * square, axis=-1), np.sum(p_i * B**2, axis=-1)
    bounds = (n + beta) * moved, n**2 * (np.sum(p * w, axis=-1) + moved / gamma), beta * (np.sum(p * B, axis=-1) + beta * moved)
    size = np.concatenate([n + beta, n**2 / gamma + 0 * beta, beta**2])
    return np.concatenate(costs) / size, np.concatenate(bounds) / size, 1.0


@claim("dapo.absorption", kind=inequality, source="dapo spec, SEQ", provenance="derived",
       given=(enumerable_mdps(), policies("arrived"), tables(0.0, 1.0), explorations, rates), control={"condition": False})  # fmt: skip
def absorption(mdp, p, share, gamma, eta, condition=True):
    """kappa eta <p, B^2> <= <p, B> / H for 0 <= B[h] <= beta_h under COND: the dilation pays for the bonus's own square.

    Control: a learning rate ten times what COND allows.
    """
    rate = constants(mdp.horizon, gamma, eta)
    B = share * rate.beta[:, None, None]
    rate_used = rate.eta if condition else 10 * min(1.0, 1 / (KAPPA * mdp.horizon)) / rate.beta[0]
    return KAPPA * rate_used * np.sum(p * B**2, axis=-1), np.sum(p * B, axis=-1) / mdp.horizon
