"""IWOCS: incremental worst-case search, a robust MDP as a sequence of ordinary ones (after Zouitine, Geist, Rachelson 2024).

Setting: a RobustMDP with an (s,a)-rectangular set, known model. A finite list of kernels grows by one worst response at a time:

    kernels = [nominal]
    repeat:
        "hull":  pi, v = robust optimum of the set whose rows are those of the list;               LB = initial . v
        "minq":  q_j   = optimal costs of the ordinary MDP of kernel j;  pi = argmin_a max_j q_j;  LB = max_j optimal cost of j
        P, UB = worst kernel of pi in the true set, least worst case so far;   stop when UB - LB <= tolerance;   append P

Provenance: "minq" is reconstructed, "hull" derived (drpg spec 8.5). LB <= J* <= UB always. "hull" ends exactly for polytopes; "minq" may
stall short of the optimum, because the maximum of optimal costs underestimates the hull's.
"""

from dataclasses import dataclass

import numpy as np

from tabular_rl import ambiguity
from tabular_rl.algorithms.trace import Trace
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning import evaluate, solve
from tabular_rl.planning.bellman import deterministic_policy
from tabular_rl.planning.robust.policy import robust_evaluate
from tabular_rl.planning.robust.solve import solve_robust

__all__ = ["IWOCS"]


@dataclass(frozen=True)
class IWOCS:
    """Worst kernels one by one.

    Parameters
    ----------
    variant : str
        "hull" (exact) or "minq" (the paper's idea, without a proof of exactness).
    tolerance : float
        > 0: the gap between the bounds that ends the search.
    complete : bool
        Whether a response is the worst also where its policy does not go. Without it rows of unused actions stay nominal.
    """

    plays = RobustMDP
    unit = "kernel"
    series = ("lower", "upper")
    examples = ({"variant": "minq"},)

    variant: str = "hull"
    tolerance: float = 1e-8
    complete: bool = True

    def __post_init__(self):
        check.choice("variant", self.variant, ("hull", "minq"))
        check.number("tolerance", self.tolerance, above=0)
        check.flag("complete", self.complete)

    def suits(self, problem):
        """A TypeError if its set is not (s,a)-rectangular."""
        if problem.ambiguity.rectangularity != "sa":
            raise TypeError(f"IWOCS needs an (s,a)-rectangular set, got {type(problem.ambiguity).__name__}")

    def run(self, problem, n, seed=0):
        """At most ``n`` >= 1 kernels.

        Returns
        -------
        Trace
            On ``index`` 1, 2, ... (kernels in the list): ``lower``, ``upper`` bounds of J*. ``output`` is the policy of ``upper``.
            ``parameters["status"]``: "optimal" (the bounds met), "stalled" (the response was in the list already) or "limit".

        Raises
        ------
        TypeError
            The set is not (s,a)-rectangular.
        """
        problem = self.plays.of(problem)
        check.generator(seed)
        self.suits(problem)
        n = check.integer("n", n, 1)
        kernels, costs, lowers, uppers = [_dense(problem, problem.nominal)], [], [], []
        best, status = np.empty(problem.shape), "limit"
        for _ in range(n):
            actions, lower = self._play(problem, kernels, costs)
            response = robust_evaluate(problem, actions, complete=self.complete)
            upper, kernel = response.objective + response.gap, _dense(problem, response.kernel)
            policy = deterministic_policy(actions, problem.n_actions)
            best = policy if not uppers or upper < uppers[-1] else best
            lowers.append(max(lower, lowers[-1]) if lowers else lower)
            uppers.append(min(upper, uppers[-1]) if uppers else upper)
            if uppers[-1] - lowers[-1] <= self.tolerance:
                status = "optimal"
                break
            if any(np.abs(kernel - other).max() <= 1e-12 for other in kernels):
                status = "stalled"
                break
            kernels.append(kernel)
        index = np.arange(1, len(uppers) + 1)
        series = {"lower": np.array(lowers), "upper": np.array(uppers)}
        return Trace(index, series, policy, {"status": status, "gap": uppers[-1] - lowers[-1]}, seed, self.unit, output=best)

    def _play(self, problem, kernels, costs):
        """(actions [S], lower bound of J*) against the kernels so far; ``costs`` keeps the q_j that are known."""
        if self.variant == "minq":
            solution = solve(problem.against(kernels[-1]), "policy_iteration", tolerance="exact")
            q = -evaluate(problem.against(kernels[-1]), solution.actions).q_values
            costs.append((q, float(problem.initial @ -solution.upper)))
            return np.argmin(np.max([q for q, _ in costs], axis=0), axis=1), max(lower for _, lower in costs)
        nominal, cost = _dense(problem, problem.nominal), _dense(problem, problem.cost)
        hull = RobustMDP(
            nominal, cost, problem.discount, problem.initial, ambiguity.FiniteRows(np.stack(kernels)), available=problem.packed_available
        )
        solution = solve_robust(hull, "partial_policy_iteration", self.tolerance / 10)
        return solution.actions, float(problem.initial @ solution.lower)


def _dense(problem, kernel):
    return kernel.toarray().reshape(*problem.shape, -1) if hasattr(kernel, "toarray") else np.asarray(kernel)
