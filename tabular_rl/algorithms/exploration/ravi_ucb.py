"""RAVI-UCB: optimistic planning by regularized dynamic programming, one backup per rollout (Moulin, Neu 2023).

    V_0 = 1 / (1 - gamma), pi_0 uniform;  for every rollout k = 1, 2, .. of the stream:
        Q_k  = clip(r + CB_k + gamma P_k V_{k-1}, 0, 1 / (1 - gamma))          P_k, CB_k from all data so far
        V_k  = (1 / eta) log sum_a pi_{k-1} exp(eta Q_k),    pi_k proportional to pi_{k-1} exp(eta Q_k)
        play pi_k from the start; after each step the rollout ends with probability 1 - gamma

No fixed point is ever computed: what is lost by backing up the values of the last policy is paid by how slowly the policy moves.

Tables: P_k counts, CB = gamma H sqrt(L / (2 n)), H = 1 / (1 - gamma), L = S log 2 + log(S A N / delta), n visits of the pair, N steps in
all; a pair never tried is worth H (one that does not exist is never played; S A counts those that do, A is the most that a state has).
Linear mixtures, P = sum_i theta_i basis_i with theta in the simplex: with x_t = (basis_i V_k)(s_t, a_t) and y_t = V_k(s_{t+1}), P_k V is
the ridge regression of y on x, CB = gamma beta |x| in the norm of Lambda^-1, Lambda = H^2 I + sum x x^T,
beta = H / 2 sqrt(log det(Lambda / H^2) + 2 log(1 / delta)) + H.

Provenance: the update [paper; ravi_ucb spec 1]; where a rollout ends, both bonuses and the guarantee [derived, see
``proofs_check.claims.exploration.ravi_ucb``]: with scale >= 1 and any eta > 0, with probability 1 - delta for all K at once,
sum_{k <= K} V* - V_{pi_k} <= ``certificate``, and in expectation of order sqrt(H^5 K log A) + S H^(3/2) sqrt(A K) at the default eta,
for mixtures d H^(3/2) sqrt(K) in place of the second term.
Another end of an epoch, when a count doubles in the middle of a rollout, is left out: its price is of lower order.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.exploration.value_learning import dense_shape
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.markov_systems import factor, solve_transposed
from tabular_rl.kernels.discounted.rollouts import pick_cumulated, successor, world_of
from tabular_rl.kernels.episodic.episodes import draw
from tabular_rl.kernels.linear.ridge import quadratic_form, regression_update
from tabular_rl.kernels.linear.robust_induction import soft_maximum
from tabular_rl.models import DiscountedMDP
from tabular_rl.models import validation as check

__all__ = ["RAVIUCB"]


class Truth(NamedTuple):
    """What the certificate is computed with: transition [S, A, S], start [S], V* [S], and how much each action falls short of it [S, A]."""

    transition: Any
    initial: Any
    best: Any
    lost: Any


class Rules(NamedTuple):
    """``tau`` = 1 / eta; ``width`` and ``unknown`` are the bonus of one visit and of none; ``log_delta`` = log(1 / delta), ``most`` = A."""

    tau: Any
    scale: Any
    width: Any
    unknown: Any
    log_delta: Any
    most: Any


@dataclass(frozen=True)
class RAVIUCB:
    """Regularized approximate value iteration with upper confidence bounds.

    Parameters
    ----------
    learning_rate : float, optional
        eta > 0; default 2 sqrt(log A / (gamma K H^3)), K = n / H, which balances the bound. infinity: no regularizer, greedy policies:
        optimistic value iteration, one backup per rollout; certified, but the certificate need not grow like sqrt(K).
    scale : float
        Multiplies the bonus, >= 0; 1: theory; 0: none, not even for pairs that were never tried.
    delta : float
        Failure probability in (0, 1].
    basis : array [d, S, A, S], optional
        Transition kernels whose mixture is the world: then its d weights are learned in place of S A rows.
    """

    plays = DiscountedMDP
    unit = "step"
    series = ("regret", "gap", "optimism", "rollouts", "misses")

    learning_rate: float | None = None
    scale: float = 1.0
    delta: float = 0.05
    basis: Any = field(default=None, repr=False)

    def __post_init__(self):
        if self.learning_rate is not None and not (isinstance(self.learning_rate, float) and self.learning_rate == math.inf):
            check.rate("learning_rate", self.learning_rate)
        check.rate("scale", self.scale, zero=True)
        check.failure("delta", self.delta, at_most=1)

    suits = staticmethod(dense_shape)

    def run(self, problem, n, seed=0):
        """``n`` environment steps of a dense DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        Trace
            After each step, over the K rollouts begun by then, all exact: ``regret`` = sum V* - V of pi_k at the start, ``gap`` the last
            of them, ``certificate`` >= regret on the good event, ``optimism`` = min_s mean_k V_k - V* + H log A / (eta K) >= 0 there,
            ``rollouts`` = K, and ``misses``, in how many of them some confidence bound was wrong (0 on the good event). The event has
            probability 1 - delta when scale >= 1; below, nothing is known of it, and the same sum is called ``uncertified``.

        Raises
        ------
        ValueError
            A ``basis`` of which the problem's transition is not a mixture.
        """
        problem = self.plays.of(problem)
        S, A = dense_shape(problem)
        index, best = checkpoints(n), planning.solve(problem, tolerance="exact")
        basis = np.empty((0, S, A, S)) if self.basis is None else self.mixture(problem)
        truth = Truth(problem.transition, problem.initial, best.values, best.advantage_lost)
        rules = self.rules(problem, index[-1])
        tau = rules.tau
        series, policy = _run(world_of(problem), truth, basis, rules, index, check.generator(seed))
        guarantee = self.scale >= 1
        names = ("regret", "gap", "certificate" if guarantee else "uncertified", "optimism", "rollouts", "misses")
        parameters = {"learning_rate": 1 / tau if tau > 0 else math.inf, "scale": self.scale, "delta": self.delta, "guarantee": guarantee}
        return Trace(index, dict(zip(names, series, strict=True)), policy, parameters, seed, self.unit)

    def rules(self, problem, n):
        """The Rules of a run of ``n`` steps."""
        pairs, most = int(problem.available.sum()), int(problem.available.sum(axis=1).max())
        H, scale = 1 / (1 - problem.discount), float(self.scale)
        width = scale * count_width(problem.n_states, pairs, n, problem.discount, self.delta)
        tau = 1 / self.rate(most, problem.discount, n)
        return Rules(tau, scale, width, H if scale > 0 else 0.0, math.log(1 / self.delta), most)

    def rate(self, A, gamma, n):
        """The learning rate in force."""
        if self.learning_rate is not None:
            return self.learning_rate
        rollouts = max(1.0, n * (1 - gamma))
        return 2 * math.sqrt(math.log(max(A, 2)) * (1 - gamma) ** 3 / (gamma * rollouts))

    def mixture(self, problem):
        """``basis``, checked: distributions, a mixture of which is the problem's transition."""
        from scipy.optimize import nnls  # slow to import

        S, A = problem.shape
        basis = check.distribution("basis", self.basis, (None, S, A, S))
        columns = basis.reshape(len(basis), -1).T
        theta, _ = nnls(columns, problem.transition.ravel())
        error = np.abs(columns @ theta - problem.transition.ravel()).max()
        if error > 1e-8:
            raise ValueError(f"basis must hold kernels whose mixture is the problem's transition, the nearest is off by {error:.2g}")
        return np.array(basis)


def count_width(S, pairs, n, gamma, delta):
    """gamma H sqrt(L / 2), L = S log 2 + log(pairs n / delta): times 1 / sqrt(visits), a bound on gamma |(P_k - P) V| at all times."""
    return gamma * (1 / (1 - gamma)) * math.sqrt((S * math.log(2) + math.log(pairs * n / delta)) / 2)


@njit
def regression_width(H, logdet, log_delta):
    """beta = H / 2 sqrt(log det(Lambda / H^2) + 2 log(1 / delta)) + H: |P V - <x, regression>| <= beta |x| at all times."""
    return 0.5 * H * np.sqrt(logdet + 2.0 * log_delta) + H


@njit
def _run(world, truth, basis, rules, index, rng):
    accept, alias, start, reward, gamma = world  # the reward is -inf where the state lacks the action
    P, initial, best, lost = truth
    tau, scale, width, unknown, log_delta, most = rules
    S, A = reward.shape
    d, H = len(basis), 1.0 / (1.0 - gamma)
    visits, arrivals = np.zeros((S, A)), np.zeros((S, A, S))
    moments, targets, inverse, logdet = np.zeros(d), np.empty((S, A, d)), np.eye(d) / H**2, 0.0
    estimate, bonus, work = np.empty((S, A)), np.empty((S, A)), np.empty(d)
    q, policy, log_policy = np.empty((S, A)), np.zeros((S, A)), np.full((S, A), -np.inf)
    values, before, total = np.full(S, H), np.empty(S), np.zeros(S)
    system, occupancy, series, row = np.empty((S, S)), np.empty(S), np.zeros((6, len(index))), 0
    regret, gap, excess, price, rollouts, misses = 0.0, 0.0, 0.0, H * np.log(most) * tau, 0, 0
    uniform_policy(reward, policy, log_policy)
    expected_values(basis, values, targets)
    s = -1

    for step in range(index[-1]):
        if s < 0:  # a rollout begins: one backup
            if d > 0:
                beta = regression_width(H, logdet, log_delta)
                regression_estimates(targets, moments, inverse, gamma * scale * beta, work, estimate, bonus)
            else:
                count_estimates(visits, arrivals, values, width, unknown, estimate, bonus)
            misses += wrong(P, reward, values, gamma, estimate, bonus)
            for s in range(S):
                before[s] = values[s]
            backup(reward, bonus, estimate, gamma, tau, q, values, policy, log_policy)
            for s in range(S):
                total[s] += values[s]
            expected_values(basis, values, targets)
            rollouts += 1

            occupy(P, policy, gamma, initial, system, occupancy)
            gap, excess = charge(occupancy, initial, before, values, policy, bonus, lost, H, excess)
            regret += gap
            s = pick_cumulated(start, rng)

        a = draw(policy[s], rng)
        t = successor(accept, alias, s * A + a, rng)
        if d > 0:
            logdet += regression_update(targets[s, a], values[t], inverse, moments, work)
        visits[s, a] += 1.0
        arrivals[s, a, t] += 1.0
        s = t if rng.random() < gamma else -1

        if step + 1 == index[row]:
            series[0, row], series[1, row], series[2, row] = regret, gap, price + excess
            series[3, row], series[4, row], series[5, row] = optimism(total, best, price, rollouts), rollouts, misses
            row += 1
    return series, policy


@njit
def uniform_policy(reward, policy, log_policy):
    """Fill ``policy`` and ``log_policy`` [S, A]: uniform over the actions that a state has."""
    S, A = reward.shape
    for s in range(S):
        count = np.sum(reward[s] > -np.inf)
        for a in range(A):
            if reward[s, a] > -np.inf:
                policy[s, a], log_policy[s, a] = 1.0 / count, -np.log(count)


@njit
def backup(reward, bonus, estimate, gamma, tau, q, values, policy, log_policy):
    """Q = clip(r + bonus + gamma estimate, 0, H); ``values`` and the policy move to the soft maximum of Q about the policy before."""
    S, A = reward.shape
    H = 1.0 / (1.0 - gamma)
    for s in range(S):
        for a in range(A):
            q[s, a] = min(max(reward[s, a] + bonus[s, a] + gamma * estimate[s, a], 0.0), H) if reward[s, a] > -np.inf else -np.inf
        values[s] = soft_maximum(q[s], log_policy[s], tau, policy[s], log_policy[s])


@njit
def charge(occupancy, initial, before, values, policy, bonus, lost, H, excess):
    """(gap V* - V of the policy, ``excess`` + <mu, min(2 bonus, H)> + <d - nu, before - values>): one rollout of the certificate."""
    S, A = policy.shape
    gap = 0.0
    for s in range(S):
        excess += (occupancy[s] - initial[s]) * (before[s] - values[s])
        for a in range(A):
            gap += max(occupancy[s], 0.0) * policy[s, a] * lost[s, a]  # the performance difference
            excess += occupancy[s] * policy[s, a] * min(2.0 * bonus[s, a], H)
    return gap, excess


@njit
def optimism(total, best, price, rollouts):
    """min_s mean_k V_k - V* + price / K, ``total`` [S] = sum_k V_k: not negative on the good event."""
    least = np.inf
    for s in range(len(total)):
        least = min(least, total[s] / rollouts - best[s] + price / rollouts)
    return least


@njit
def count_estimates(visits, arrivals, values, width, unknown, estimate, bonus):
    """``estimate`` [S, A] of P values from counts and ``bonus`` = width / sqrt(n), or ``unknown`` where nothing was seen."""
    S, A = visits.shape
    for s in range(S):
        for a in range(A):
            estimate[s, a], bonus[s, a] = 0.0, unknown
            if visits[s, a] > 0.0:
                for t in range(S):
                    estimate[s, a] += arrivals[s, a, t] * values[t]
                estimate[s, a] /= visits[s, a]
                bonus[s, a] = width / np.sqrt(visits[s, a])


@njit
def regression_estimates(targets, moments, inverse, width, work, estimate, bonus):
    """``estimate`` = <x, inverse moments> and ``bonus`` = width |x| in the norm of ``inverse``, x = targets[s, a] [d]."""
    S, A, d = targets.shape
    for i in range(d):
        work[i] = 0.0
        for j in range(d):
            work[i] += inverse[i, j] * moments[j]
    for s in range(S):
        for a in range(A):
            estimate[s, a] = 0.0
            for i in range(d):
                estimate[s, a] += targets[s, a, i] * work[i]
            bonus[s, a] = width * np.sqrt(max(quadratic_form(inverse, targets[s, a], targets[s, a]), 0.0))


@njit
def expected_values(basis, values, targets):
    """targets[s, a, i] = <basis[i, s, a], values>."""
    for i in range(len(basis)):
        for s in range(len(values)):
            for a in range(targets.shape[1]):
                total = 0.0
                for t in range(len(values)):
                    total += basis[i, s, a, t] * values[t]
                targets[s, a, i] = total


@njit
def wrong(P, reward, values, gamma, estimate, bonus):
    """Whether gamma |P values - estimate| exceeds the bonus (by more than rounding) at any pair that exists, where reward > -inf."""
    S, A = bonus.shape
    for s in range(S):
        for a in range(A):
            error = -estimate[s, a]
            for t in range(S):
                error += P[s, a, t] * values[t]
            if gamma * abs(error) > bonus[s, a] + 1e-9 and reward[s, a] > -np.inf:
                return True
    return False


@njit
def occupy(P, policy, gamma, initial, system, occupancy):
    """``occupancy`` [S] = sum_t gamma^t P(s_t = s): its sum is 1 / (1 - gamma)."""
    S, A = policy.shape
    for s in range(S):
        occupancy[s] = initial[s]
        for t in range(S):
            system[s, t] = 1.0 if s == t else 0.0
            for a in range(A):
                system[s, t] -= gamma * policy[s, a] * P[s, a, t]
    factor(system)
    solve_transposed(system, occupancy)
