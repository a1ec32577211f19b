"""Smoothed robust policy gradient for contaminated kernels (after Wang, Zou 2022).

Setting: a RobustMDP whose set is ``Contamination``: in a fraction R of its moves nature chooses the next state. Known model. The maximum
over next states is replaced by a soft one of temperature discount / sigma, which makes the objective differentiable:

    v[s]    = sum_a pi[s,a] q[s,a],    q[s,a] = (1 - R) P0[s,a] . z + R (discount / sigma) log sum_t exp(sigma z_t / discount)
    z_t     = cost + discount v[t]         (costs of pairs: q = cost + discount ((1-R) P0 v + R logsumexp(sigma v) / sigma))
    w       = softmax(sigma z / discount),  P = (1 - R) P0 + R w,  d = occupancy of (pi, P),   G[s,a] = d[s] q[s,a] / (1 - discount)
    pi     <- projection of pi - alpha G

The fixed point is found by Newton's method, which is policy iteration of an adversary that is paid for the entropy of w: v increases
(after the first step), quadratically. Without smoothing this is DRPG on the same set.

Provenance. Smoothing and gradient: reconstructed (drpg spec 8.3). Bias, smoothness and descent are derived here: with C the largest
|cost|, Q = (C + discount R log S / sigma) / (1 - discount) bounds |q|, the second derivative along a unit direction is at most

    ell = 2 discount A Q / (1 - discount)^2 + discount R sigma A Q^2 / (1 - discount)^3

(twice differentiate the fixed point; the soft maximum's curvature is sigma times a variance), so steps alpha <= 1 / ell never increase the
smoothed objective; and 0 <= J_sigma - Phi <= discount R log S / (sigma (1 - discount)).
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.markov_systems import factor, solve_factored
from tabular_rl.kernels.robust.evaluation import (
    answer_to,
    copy,
    descend,
    discounted_occupancy,
    policy_chain,
    policy_gradient,
    total,
    worst_kernel,
)
from tabular_rl.kernels.robust.rows import CONTAMINATION
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.policy import check_start, first_policy
from tabular_rl.planning.robust.solve import compiled

__all__ = ["ContaminationGradient"]

RULES = ("constant", "smooth")
SOLVES = 100  # of Newton's method, which takes about ten cold and three warm
SETTLED = 1e-13  # the residual, relative to the values, at which it ends


@dataclass(frozen=True, eq=False)
class ContaminationGradient:
    """Projected gradient descent on the smoothed worst case.

    Parameters
    ----------
    sigma : float
        > 0: the sharpness of the soft maximum. The bias is at most discount max R log S / (sigma (1 - discount)).
    rule : str
        "constant": alpha = scale. "smooth": alpha = scale / ell_sigma, with scale <= 1 a descent method (derived), and a slow one.
    scale : float, optional
        > 0. Default: 0.25 for "constant", 1 for "smooth".
    start : array [S, A], optional
        The first policy. Default: uniform.
    keep : bool
        Whether ``parameters`` hold "policies" [n + 1, S, A].
    """

    plays = RobustMDP
    unit = "iteration"
    series = ("objective", "smoothed", "gradient", "inner")

    sigma: float = 100.0
    rule: str = "constant"
    scale: float | None = None
    start: Any = None
    keep: bool = False

    def __post_init__(self):
        check.rate("sigma", self.sigma)
        check.choice("rule", self.rule, RULES)
        check.flag("keep", self.keep)
        if self.scale is not None:
            check.rate("scale", self.scale)
        check_start(self)

    def suits(self, problem):
        """A TypeError if its set is another one."""
        if problem.ambiguity.code != CONTAMINATION:
            raise TypeError(f"ContaminationGradient needs the set Contamination, got {type(problem.ambiguity).__name__}; DRPG takes others")

    def run(self, problem, n, seed=0):
        """``n`` >= 1 updates of the policy. Nothing is random: ``seed`` changes nothing.

        Returns
        -------
        Trace
            On ``index`` 0..n: ``objective`` Phi(pi_t), the worst case without smoothing, ``smoothed`` J_sigma(pi_t), ``gradient`` |G_t|,
            ``inner`` solves of Newton's method. ``output`` is the policy of the least Phi. ``parameters``: ``step``, ``bias`` (the bound of
            J_sigma - Phi), ``smoothness`` ell, ``best_iteration``, ``converged`` (every fixed point was found).

        Raises
        ------
        TypeError
            The problem is not a RobustMDP, or its set is not ``Contamination``.
        """
        problem = self.plays.of(problem)
        check.generator(seed)
        self.suits(problem)
        game, n, (S, A) = compiled(problem), check.integer("n", n, 1), problem.shape
        policy = first_policy(problem, self.start)
        step = (0.25 if self.scale is None else self.scale) if self.rule == "constant" else (self.scale or 1.0) / self.smoothness(problem)
        policies = np.empty((n + 1 if self.keep else 0, S, A))
        soft = Soft(self.sigma, np.zeros(S), np.empty((S, A)), np.empty(S * A * S), np.empty((S, A)))
        objective, smoothed, gradient, inner, residual, best = _run(game, soft, step, n, SOLVES, policy, policies, answer_to(game))
        missed = int(np.sum(residual > 100 * SETTLED))
        if missed:
            warnings.warn(f"{missed} fixed points were not found to rounding, residual {residual.max():.1g}", stacklevel=2)
        parameters = {
            "step": step,
            "bias": self.bias(problem),
            "smoothness": self.smoothness(problem),
            "best_iteration": int(np.argmin(objective)),
            "converged": missed == 0,
        }
        series = {"objective": objective, "smoothed": smoothed, "gradient": gradient, "inner": inner}
        parameters |= {"policies": policies} if self.keep else {}
        return Trace(np.arange(n + 1), series, policy, parameters, seed, self.unit, output=best)

    def bias(self, problem):
        """How much more than the worst case the smoothed objective may be."""
        g, S = problem.discount, problem.n_states
        return float(g * np.max(problem.ambiguity.fraction) * np.log(S) / (self.sigma * (1 - g)))

    def smoothness(self, problem):
        """ell: the largest second derivative of the smoothed objective along unit directions of the policy."""
        g, A, R = problem.discount, int(problem.available.sum(axis=1).max()), float(np.max(problem.ambiguity.fraction))
        largest = max(np.abs(problem.cost_range)) / (1 - g) + self.bias(problem)
        return float(2 * g * A * largest / (1 - g) ** 2 + g * R * self.sigma * A * largest**2 / (1 - g) ** 3)


class Soft(NamedTuple):
    """The smoothed game at a policy: its sharpness ``sigma``, ``values`` [S], ``q`` [S, A], ``kernel`` [entries] and ``bonus`` [S, A]."""

    sigma: float
    values: np.ndarray
    q: np.ndarray
    kernel: np.ndarray
    bonus: np.ndarray


@njit
def _run(game, soft, step, n, limit, policy, policies, answer):
    S, A = policy.shape
    objective, smoothed, gradients = np.empty(n + 1), np.empty(n + 1), np.empty(n + 1)
    counts, residuals = np.empty(n + 1, np.int64), np.empty(n + 1)
    least, best = np.inf, policy.copy()
    for t in range(n + 1):
        worst_kernel(game, policy, 0.0, limit, answer)
        objective[t] = total(game.initial, answer.values)

        # v, q, w and P of the smoothed game
        counts[t], residuals[t] = soft_values(game, soft, policy, limit, answer)
        smoothed[t] = total(game.initial, soft.values)

        # G[s,a] = d[s] q[s,a] / (1 - discount)
        policy_chain(game.rows, soft.kernel, policy, game.discount, answer.system, answer.improved)
        factor(answer.system)
        discounted_occupancy(answer.system, game.initial, game.discount, answer.occupancy)
        gradients[t] = policy_gradient(game, answer.occupancy, soft.q, soft.q)
        if objective[t] < least:
            least = objective[t]
            copy(policy.reshape(S * A), best.reshape(S * A))
        if len(policies) > 0:
            copy(policy.reshape(S * A), policies[t].reshape(S * A))

        # pi <- projection of pi - alpha G
        if t < n:
            descend(policy, step, soft.q, game.missing)
    return objective, smoothed, gradients, counts, residuals, best


@njit
def soft_values(game, soft, policy, limit, answer):
    """The smoothed fixed point by Newton's method, from soft.values on: (solves, relative residual); q and the kernel are of its values."""
    values, system, residual, solves = soft.values, answer.system, np.inf, 0
    soft_backup(game.rows, game.discount, soft, answer.work.numbers[0])
    while residual > SETTLED and solves < limit:
        policy_chain(game.rows, soft.kernel, policy, game.discount, system, values)
        for s in range(len(values)):
            values[s] += total(policy[s], soft.bonus[s])
        factor(system)
        solve_factored(system, values)
        soft_backup(game.rows, game.discount, soft, answer.work.numbers[0])
        solves += 1
        residual = 0.0
        for s in range(len(values)):
            residual = max(residual, abs(total(policy[s], soft.q[s]) - values[s]) / max(1.0, abs(values[s])))
    return solves, residual


@njit
def soft_backup(rows, discount, soft, z):
    """soft.q [S, A] with the soft maximum, the kernel that it puts the mass on, and ``bonus`` = q - p . z, what its entropy is worth.

    Contaminated rows are full: row r has all S states in their order.
    """
    q, p, bonus, values = soft.q, soft.kernel, soft.bonus, soft.values
    S, A = q.shape
    temperature = discount / soft.sigma
    for r in range(S * A):
        first, share = r * S, rows.radius[r]
        top, mass, mean, q_mean = -np.inf, 0.0, 0.0, 0.0
        for t in range(S):
            z[t] = (rows.cost[r] if rows.pair_costs else rows.cost[first + t]) + discount * values[t]
            top = max(top, z[t])
        for t in range(S):
            p[first + t] = np.exp((z[t] - top) / temperature)
            mass += p[first + t]
        for t in range(S):
            weight = p[first + t] / mass
            mean += weight * z[t]
            p[first + t] = (1 - share) * rows.nominal[first + t] + share * weight
            q_mean += p[first + t] * z[t]
        bonus[r // A, r % A] = share * (top + temperature * np.log(mass) - mean)
        q[r // A, r % A] = bonus[r // A, r % A] + q_mean
