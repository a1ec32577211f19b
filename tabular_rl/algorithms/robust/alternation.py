"""Two ways to play a robust MDP that do not converge: alternating best responses, and simultaneous gradient descent-ascent.

    BestResponses:          P <- worst kernel of pi;   pi <- best policy of the ordinary MDP of P
    GradientDescentAscent:  P <- project(P + step dJ/dP),  pi <- project(pi - step dJ/dpi), both from the same point

Teaching controls, without any guarantee: on matching pennies the first cycles for ever and the second orbits (drpg spec 8.6) [derived].
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.evaluation import answer_to, ascend, copy, descend, evaluate_policy, policy_gradient, total, worst_kernel
from tabular_rl.kernels.robust.rows import PROJECTABLE
from tabular_rl.kernels.robust.sweeps import expected
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning import evaluate, solve
from tabular_rl.planning.bellman import deterministic_policy
from tabular_rl.planning.robust.policy import check_start, first_policy, robust_evaluate
from tabular_rl.planning.robust.solve import compiled, flat_kernel, kernel_of

__all__ = ["BestResponses", "GradientDescentAscent"]

LARGEST_STEP = 1e6  # a kernel is projected back from there without a loss of digits that matter
SOLVES = 1000  # at most, of the adversary's policy iteration, which takes a handful


@dataclass(frozen=True, eq=False)
class BestResponses:
    """Each side answers the other's last move in full.

    Parameters
    ----------
    adversary : str
        "true": worst rows everywhere. "stale": rows of unused actions as the policy iteration of the adversary leaves them (nominal at
        the start). "lazy": the nominal rows for every action that the policy does not play.
    start : array [S] of actions, or [S, A], optional
        The first policy. Default: the first action of every state.
    """

    plays = RobustMDP
    unit = "iteration"
    series = ("objective",)

    adversary: str = "true"
    start: Any = None

    def __post_init__(self):
        check.choice("adversary", self.adversary, ("true", "stale", "lazy"))

    def suits(self, problem):
        """A TypeError if its worst cases are not found exactly."""
        if hasattr(problem.ambiguity, "phi"):
            raise TypeError(f"best responses need a rectangular set or a list of kernels, got {type(problem.ambiguity).__name__}")

    def run(self, problem, n, seed=0):
        """``n`` >= 1 rounds on a RobustMDP with a rectangular set. Trace on 0..n: ``objective`` = Phi(pi_k).

        ``parameters["period"]``: the length of the cycle the policies ended in (1: a fixed point, None: none seen);
        "converged": whether every worst case was found.
        """
        problem = self.plays.of(problem)
        check.generator(seed)
        n = check.integer("n", n, 1)
        policy = problem.available.argmax(axis=1) if self.start is None else check.unmasked("start", self.start)
        seen, objective, period, converged = {}, np.empty(n + 1), None, True
        for k in range(n + 1):
            response = robust_evaluate(problem, policy, complete=self.adversary == "true")
            objective[k], converged = response.objective, converged and response.converged
            key = policy.tobytes()
            period = k - seen[key] if period is None and key in seen else period
            seen[key] = k
            if k < n:
                policy = _best_response(problem, self._kernel(problem, policy, response.kernel))
        policy = policy if policy.ndim == 2 else deterministic_policy(policy, problem.n_actions)
        return Trace(np.arange(n + 1), {"objective": objective}, policy, {"period": period, "converged": converged}, seed, self.unit)

    def _kernel(self, problem, policy, kernel):
        if self.adversary != "lazy":
            return kernel
        rows, p = compiled(problem).rows, flat_kernel(problem, kernel)
        played = policy > 0 if policy.ndim == 2 else policy[:, None] == np.arange(problem.n_actions)
        return kernel_of(problem, np.where(np.repeat(played.ravel(), np.diff(rows.pointer)), p, rows.nominal))


def _best_response(problem, kernel):
    """Optimal actions [S] of the ordinary MDP of a kernel; ties, up to rounding, to the lowest index."""
    mdp = problem.against(kernel)
    q = evaluate(mdp, solve(mdp, "policy_iteration", tolerance="exact").actions).q_values
    return np.argmax(q >= q.max(axis=1, keepdims=True) - 1e-10 / (1 - mdp.discount), axis=1)


@dataclass(frozen=True, eq=False)
class GradientDescentAscent:
    """Both sides follow their gradient at once, with the same constant ``step`` > 0. ``start`` [S, A], default uniform.

    ``keep``: whether ``parameters`` hold all "policies" [n + 1, S, A].
    """

    plays = RobustMDP
    unit = "iteration"
    series = ("objective", "played")

    step: float = 0.01
    start: Any = None
    keep: bool = False

    def __post_init__(self):
        check.rate("step", self.step, most=LARGEST_STEP)
        check.flag("keep", self.keep)
        check_start(self)

    def suits(self, problem):
        """A TypeError if its set has no projection."""
        if hasattr(problem.ambiguity, "phi") or compiled(problem).code not in PROJECTABLE:
            raise TypeError(f"gradient descent-ascent needs a set with a Euclidean projection, got {type(problem.ambiguity).__name__}")

    def run(self, problem, n, seed=0):
        """``n`` >= 1 steps on a RobustMDP whose set has a projection. Trace on 0..n: ``objective`` Phi(pi_k), ``played`` J(pi_k, P_k)."""
        problem = self.plays.of(problem)
        check.generator(seed)
        self.suits(problem)
        game, n = compiled(problem), check.integer("n", n, 1)
        policy = first_policy(problem, self.start)
        policies = np.empty((n + 1 if self.keep else 0, *problem.shape))
        objective, played, solves = _descend_ascend(game, self.step, n, SOLVES, policy, policies, answer_to(game), answer_to(game))
        parameters = {"step": self.step, "converged": solves < SOLVES} | ({"policies": policies} if self.keep else {})
        return Trace(np.arange(n + 1), {"objective": objective, "played": played}, policy, parameters, seed, self.unit)


@njit
def _descend_ascend(game, step, n, limit, policy, policies, worst, now):
    (S, A), q, most = policy.shape, now.q, 0
    objective, played = np.empty(n + 1), np.empty(n + 1)
    for k in range(n + 1):
        solves = worst_kernel(game, policy, 0.0, limit, worst)[0]
        most = max(most, solves)
        objective[k] = total(game.initial, worst.values)
        evaluate_policy(game.rows, now.kernel, policy, game.discount, now.system, now.values)
        played[k] = total(game.initial, now.values)
        if len(policies) > 0:
            copy(policy.reshape(S * A), policies[k].reshape(S * A))
        if k < n:  # both from the same point
            expected(game.rows, now.kernel, now.pairs, game.discount, now.values, q.reshape(S * A))
            ascend(game, policy, step, now)
            policy_gradient(game, now.occupancy, q, q)
            descend(policy, step, q, game.missing)
    return objective, played, most
