"""Robust mirror descent: exponential weights on robust q-values (after the robust natural policy gradient).

Setting: a RobustMDP with an (s,a)-rectangular set, known model.

    v, q        = robust values of pi, worst-case costs of every pair at v
    log weights -= eta_k q,      pi = softmax(log weights),      eta_{k+1} = eta_k / discount

Guarantee [derived, drpg spec 8.4]: v_{k+1} <= v_k and |v_{k+1} - v*| <= discount |v_k - v*| + max_s log(1 / pi_k(a_k*|s)) / eta_k,
a_k* the greedy action of q_k. With steps that grow geometrically the error does fall geometrically, in the end as discount^k.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.evaluation import answer_to, copy, policy_backup, total, worst_kernel
from tabular_rl.kernels.simplex import log_softmax
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.policy import check_start
from tabular_rl.planning.robust.solve import compiled, precision

__all__ = ["RobustMirrorDescent"]

SOLVES = 1000  # at most, of the adversary's policy iteration, which takes a handful
LARGEST_STEP = 1e12  # beyond this the policy is greedy to rounding


@dataclass(frozen=True, eq=False)
class RobustMirrorDescent:
    """Exponential weights with geometrically growing steps.

    Parameters
    ----------
    learning_rate : float
        eta_0 > 0.
    growth : float, optional
        eta_{k+1} / eta_k >= 1. Default: 1 / discount, the theory's.
    start : array [S, A], optional
        The first policy, positive everywhere (actions that a state lacks are left out). Default: uniform.
    keep : bool
        Whether ``parameters`` hold "values", "q_values" and "log_policies" of every iteration.
    """

    plays = RobustMDP
    unit = "iteration"
    series = ("objective", "upper", "inner")

    learning_rate: float = 1.0
    growth: float | None = None
    start: Any = None
    keep: bool = False

    def __post_init__(self):
        check.rate("learning_rate", self.learning_rate)
        check.flag("keep", self.keep)
        if self.growth is not None:
            check.number("growth", self.growth, at_least=1, at_most=check.MOST)
        check_start(self)
        if self.start is not None and (self.start == 0).any():
            raise ValueError(f"start{list(check.first_index(self.start == 0))} is 0, expected probabilities > 0: they stay 0 for ever")

    def suits(self, problem):
        """A TypeError if its set is not (s,a)-rectangular."""
        if problem.ambiguity.rectangularity != "sa":
            raise TypeError(f"robust mirror descent needs an (s,a)-rectangular set, got {type(problem.ambiguity).__name__}")

    def run(self, problem, n, seed=0):
        """``n`` >= 1 updates on a RobustMDP. Trace on 0..n: ``objective`` Phi(pi_k) to rounding, ``upper`` certified, ``inner`` solves."""
        problem = self.plays.of(problem)
        check.generator(seed)
        self.suits(problem)
        game, n, (S, A) = compiled(problem), check.integer("n", n, 1), problem.shape
        start = problem.uniform_policy if self.start is None else self.start
        if start.shape != (S, A):
            raise ValueError(f"start must have shape {(S, A)}, got {start.shape}")
        growth = 1 / problem.discount if self.growth is None else float(self.growth)
        with np.errstate(divide="ignore"):
            log_start = np.array(problem.barred(np.log(start), -np.inf))  # -infinity: for ever
        with np.errstate(over="ignore"):  # to infinity, and from there to the largest step
            rates = np.minimum(LARGEST_STEP, self.learning_rate * growth ** np.minimum(np.arange(n), 5000))
        size = n + 1 if self.keep else 0
        history = History(np.empty((size, S)), np.empty((size, S, A)), np.empty((size, S, A)))
        objective, gaps, inner, policy = _run(game, rates, SOLVES, log_start, history, answer_to(game))
        history = history._replace(q_values=problem.barred(history.q_values, np.inf))
        parameters: dict[str, Any] = {"learning_rate": self.learning_rate, "growth": growth, "converged": bool(inner.max() < SOLVES)}
        parameters |= history._asdict() if self.keep else {}
        series = {"objective": objective, "upper": objective + gaps + precision(problem), "inner": inner}
        return Trace(np.arange(n + 1), series, policy, parameters, seed, self.unit)


class History(NamedTuple):
    """Of every iteration, if it is kept: ``values`` [T + 1, S], ``q_values`` and ``log_policies`` [T + 1, S, A]."""

    values: np.ndarray
    q_values: np.ndarray
    log_policies: np.ndarray


@njit
def _run(game, rates, limit, log_policy, history, answer):
    (S, A), T, q = log_policy.shape, len(rates), answer.q
    policy, objective, gaps, counts = np.empty((S, A)), np.empty(T + 1), np.empty(T + 1), np.empty(T + 1, np.int64)
    for k in range(T + 1):
        # pi = softmax(log weights)
        for s in range(S):
            log_softmax(log_policy[s], log_policy[s], policy[s])
            mass = 0.0
            for a in range(A):
                mass += policy[s, a]
            for a in range(A):
                policy[s, a] /= mass

        # v, q = robust values of pi, worst-case costs of every pair at v
        counts[k], gaps[k] = worst_kernel(game, policy, 0.0, limit, answer)
        policy_backup(game, policy, answer)
        objective[k] = total(game.initial, answer.values)
        if len(history.values) > 0:
            copy(answer.values, history.values[k])
            copy(q.reshape(S * A), history.q_values[k].reshape(S * A))
            copy(log_policy.reshape(S * A), history.log_policies[k].reshape(S * A))

        # log weights -= eta_k q
        if k < T:
            for s in range(S):
                for a in range(A):
                    log_policy[s, a] -= rates[k] * q[s, a]
    return objective, gaps, counts, policy
