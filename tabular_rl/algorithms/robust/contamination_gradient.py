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
from typing import Any

import numpy as np

from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.markov_systems import factor, solve_factored
from tabular_rl.kernels.robust.evaluation import occupy, policy_chain, project_policy, total, worst_kernel
from tabular_rl.kernels.robust.rows import CONTAMINATION, workspace
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.policy import first_policy
from tabular_rl.planning.robust.solve import compiled, missing_pairs

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
        if self.start is not None:
            object.__setattr__(self, "start", check.frozen(check.distribution("start", self.start, (None, None)), self.start))

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
            The problem is no RobustMDP, or its set is not ``Contamination``.
        """
        problem = self.plays.of(problem)
        check.generator(seed)
        self.suits(problem)
        game, n, (S, A) = compiled(problem), check.integer("n", n, 1), problem.shape
        policy = first_policy(problem, self.start)
        step = (0.25 if self.scale is None else self.scale) if self.rule == "constant" else (self.scale or 1.0) / self.smoothness(problem)
        policies = np.empty((n + 1 if self.keep else 0, S, A))
        objective, smoothed, gradient, inner, residual, best = _run(
            *game[1:],
            problem.initial,
            problem.discount,
            self.sigma,
            step,
            n,
            policy,
            missing_pairs(problem),
            policies,
            workspace(game.rows, game.code),
        )
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


@njit
def _run(rows, listed, initial, discount, sigma, step, n, policy, missing, policies, work):
    S, A = policy.shape
    picked, nnz = np.arange(S * A), len(rows.nominal)
    p, worst, greedy, system = np.empty(nnz), rows.nominal.copy(), np.empty(nnz), np.empty((S, S))
    q, bonus, values, hard, improved, occupancy = np.empty((S, A)), np.empty((S, A)), np.zeros(S), np.empty(S), np.empty(S), np.empty(S)
    objective, smoothed, gradients = np.empty(n + 1), np.empty(n + 1), np.empty(n + 1)
    counts, residuals = np.empty(n + 1, np.int64), np.empty(n + 1)
    least, best = np.inf, policy.copy()
    for t in range(n + 1):
        worst_kernel(CONTAMINATION, rows, listed, policy, discount, 0.0, SOLVES, worst, greedy, system, hard, improved, q, picked, work)
        objective[t] = total(initial, hard)

        # the smoothed fixed point by Newton's method; afterwards q, p and the factors in ``system`` are those of ``values``
        residuals[t], counts[t] = np.inf, 0
        soft_backup(rows, discount, sigma, values, q, p, bonus, work.numbers[0])
        while residuals[t] > SETTLED and counts[t] < SOLVES:
            policy_chain(rows, p, policy, discount, system, values)
            for s in range(S):
                values[s] += total(policy[s], bonus[s])
            factor(system)
            solve_factored(system, values)
            soft_backup(rows, discount, sigma, values, q, p, bonus, work.numbers[0])
            counts[t] += 1
            residuals[t] = 0.0
            for s in range(S):
                residuals[t] = max(residuals[t], abs(total(policy[s], q[s]) - values[s]) / max(1.0, abs(values[s])))
        smoothed[t] = total(initial, values)

        policy_chain(rows, p, policy, discount, system, improved)
        factor(system)
        occupy(system, initial, discount, occupancy)
        square = 0.0
        for r in missing:
            q[r // A, r % A] = 0.0
        for s in range(S):
            for a in range(A):
                q[s, a] *= occupancy[s] / (1 - discount)  # the gradient
                square += q[s, a] ** 2
        gradients[t] = np.sqrt(square)
        if objective[t] < least:
            least, best = objective[t], policy.copy()
        if len(policies) > 0:
            policies[t] = policy
        if t < n:
            for s in range(S):
                for a in range(A):
                    policy[s, a] -= step * q[s, a]
            project_policy(policy, missing)
    return objective, smoothed, gradients, counts, residuals, best


@njit
def soft_backup(rows, discount, sigma, values, q, p, bonus, z):
    """``q`` [S, A] with the soft maximum, the kernel ``p`` that it puts the mass on, and ``bonus`` = q - p . z, what its entropy is worth.

    Contaminated rows are full: row r has all S states in their order.
    """
    S, A = q.shape
    temperature = discount / sigma
    for r in range(S * A):
        p0, out, share = rows.nominal[r * S : (r + 1) * S], p[r * S : (r + 1) * S], rows.radius[r]
        top, mass, mean = -np.inf, 0.0, 0.0
        for t in range(S):
            z[t] = (rows.cost[r] if rows.pair_costs else rows.cost[r * S + t]) + discount * values[t]
            top = max(top, z[t])
        for t in range(S):
            out[t] = np.exp((z[t] - top) / temperature)
            mass += out[t]
        for t in range(S):
            weight = out[t] / mass
            mean += weight * z[t]
            out[t] = (1 - share) * p0[t] + share * weight
        bonus[r // A, r % A] = share * (top + temperature * np.log(mass) - mean)
        q[r // A, r % A] = bonus[r // A, r % A] + total(out, z)
