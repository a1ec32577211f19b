"""DRPG: double-loop robust policy gradient (Wang, Ho, Petrik 2023).

Setting: a RobustMDP, the agent minimizes Phi(pi) = max over kernels P of the set of J(pi, P). Known model, exact gradients.

    for t = 0 .. T:
        P, gap_t  = inner(pi)                         J(pi, P) >= Phi(pi) - gap_t
        J_t, U_t  = J(pi, P), J(pi, P) + gap_t        U_t >= Phi(pi), certified
        pi       -= alpha_t * G,  G[s,a] = d[s] q[s,a] / (1 - discount)
        pi        = projection of every row onto the simplex
    return the policy of the least U_t

Provenance. Outer loop, gradients, tolerances eps_0 discount^t: the paper's. Returning the argmin of U_t instead of J_t, the certified
gap and ``convergence_bound`` are derived (drpg spec 6.2, 7.4). Guarantee: rectangular sets and a start distribution that is positive
everywhere; without rectangularity the claim is false (``instances.nonrect_two_kernels``).
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.robust.drpg_parametric import Family, ascend_family, center
from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit, njit_inline
from tabular_rl.kernels.robust.evaluation import (
    answer_to,
    ascend_kernel,
    copy,
    descend,
    discounted_occupancy,
    evaluate_policy,
    finish_unused,
    policy_gradient,
    total,
    weaken,
    worst_kernel,
    worst_of_list,
)
from tabular_rl.kernels.robust.rows import LIST, PROJECTABLE
from tabular_rl.kernels.robust.sweeps import expected
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.policy import check_start, constants, first_policy, optimality_radius
from tabular_rl.planning.robust.solve import compiled, kernel_of, precision

__all__ = ["DRPG", "convergence_bound"]

INNER = ("exact", "projected", "parametric", "nominal")  # in the order of the kernel's codes
EXACT, PROJECTED, PARAMETRIC, NOMINAL = range(4)
RULES = ("practical", "constant", "decreasing", "theory", "smooth")
INNER_STEP = {"projected": 0.5, "parametric": 0.01}
LARGEST_STEP = 1e6  # of the ascents: a kernel is projected back from there without a loss of digits that matter
SETTLED = 1e-4  # the parametric inner loop ends when no value moves by as much


@dataclass(frozen=True, eq=False)
class DRPG:
    """Projected gradient descent on the policy against the worst kernel of each iteration.

    Parameters
    ----------
    inner : str
        "exact": the adversary's policy iteration (a list of kernels: each of them is tried). "projected": gradient ascent on the kernel,
        p <- project(p + inner_step dJ/dp). "parametric": ascent on the parameters of a ``Parametric`` set, no certificate. "nominal": no
        adversary (the non-robust policy gradient); its series ``upper`` is still the worst case.
    rule : str
        Steps alpha_t. "practical": 0.25 for (s,a)-rectangular sets, else 0.5 / sqrt(t + 1). "constant": scale. "decreasing":
        scale / sqrt(t + 1). "theory": scale / sqrt(T), the theorem's. "smooth": scale / ell_pi, of smooth optimization.
    scale : float, optional
        > 0. Default: 0.25 for "constant", 0.5 for "decreasing", 1 for the others; of "practical" it is a factor.
    start : array [S, A], optional
        The first policy. Default: uniform.
    tolerance : float, optional
        eps_0 >= 0 of the inner solver, eps_t = eps_0 discount^t. Default: 0 for the exact one, else 1.
    inner_step, inner_limit : float, int
        Step > 0 of the ascents (default 0.5 projected, 0.01 parametric), and the most solves of an inner loop.
    loss, loss_factor : float
        What the inner solver gives away on purpose, loss * loss_factor^t >= 0: it mixes the worst kernel with the nominal one. An ablation.
    keep : bool
        Whether ``parameters`` hold "policies" [T + 1, S, A] and "kernels" (flat, [T + 1, nnz]) of all iterations.
    """

    plays = RobustMDP
    unit = "iteration"
    series = ("objective", "upper", "gradient", "inner")
    examples = ({"inner": "projected"},)

    inner: str = "exact"
    rule: str = "practical"
    scale: float | None = None
    start: Any = None
    tolerance: float | None = None
    inner_step: float | None = None
    inner_limit: int = 10_000
    loss: float = 0.0
    loss_factor: float = 1.0
    keep: bool = False

    def __post_init__(self):
        check.choice("inner", self.inner, INNER)
        check.choice("rule", self.rule, RULES)
        check.flag("keep", self.keep)
        for name, most in (("scale", check.MOST), ("inner_step", LARGEST_STEP)):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name), most=most)
        if self.tolerance is not None:
            check.rate("tolerance", self.tolerance, zero=True)
        check.integer("inner_limit", self.inner_limit, 1)
        check.rate("loss", self.loss, zero=True)
        check.number("loss_factor", self.loss_factor, at_least=0, at_most=1)
        check_start(self)

    def run(self, problem, n, seed=0):
        """``n`` >= 1 updates of the policy on a RobustMDP. Nothing is random: ``seed`` changes nothing.

        Returns
        -------
        Trace
            On ``index`` 0..n: ``objective`` J_t, ``upper`` U_t (nan where nothing is certified), ``gradient`` |G_t|, ``inner`` (solves or
            steps of the inner loop). ``output`` is the policy of the least U_t (of J_t without certificates). ``parameters``: ``step``
            alpha_0, ``best_iteration``, ``guarantee`` "global" or "none", ``converged`` (every inner loop met its tolerance),
            ``cost_range`` (the theory's constants are for costs in [0, 1] and scale with the largest).

        Raises
        ------
        TypeError
            An inner solver that the ambiguity set does not allow.
        """
        problem = self.plays.of(problem)
        self.suits(problem)
        game, n = compiled(problem), check.integer("n", n, 1)
        if problem.initial.min() == 0:
            state = int(np.argmin(problem.initial))
            warnings.warn(f"initial[{state}] is 0: no global guarantee, which needs a start in every state", UserWarning, stacklevel=2)
        check.generator(seed)
        policy, steps, decay = first_policy(problem, self.start), self.steps(problem, n), np.arange(n + 1)
        eps = (0.0 if self.inner in ("exact", "nominal") else 1.0) if self.tolerance is None else self.tolerance
        rules = Rules(
            INNER.index(self.inner), steps, eps * problem.discount**decay, self.loss * self.loss_factor**decay,
            self.inner_step or INNER_STEP.get(self.inner, 1.0), self.inner_limit,
        )  # fmt: skip
        size, family, answer = n + 1 if self.keep else 0, _family(problem), answer_to(game)
        policies, kernels = np.empty((size, *problem.shape)), np.empty((size, len(answer.kernel)))
        objective, gap, gradient, inner, best = _run(game, rules, family, center(family), policy, answer, policies, kernels)
        upper = objective + gap + precision(problem)
        ended = int(np.sum(inner >= self.inner_limit))
        if ended:
            warnings.warn(f"the {self.inner} inner loop ended at inner_limit={self.inner_limit} in {ended} iterations", stacklevel=2)
        guaranteed = self.inner in ("exact", "projected") and problem.ambiguity.rectangularity != "none" and problem.initial.min() > 0
        parameters: dict[str, Any] = {
            "step": float(steps[0]),
            "best_iteration": int(np.argmin(objective if np.isnan(gap).any() else upper)),
            "guarantee": "global" if guaranteed else "none",
            "converged": ended == 0,
            "cost_range": problem.cost_range,
        }
        if self.keep:
            parameters |= {"policies": policies, "kernels": [kernel_of(problem, kernel) for kernel in kernels]}
        series = {"objective": objective, "upper": upper, "gradient": gradient, "inner": inner}
        return Trace(np.arange(n + 1), series, policy, parameters, seed, self.unit, output=best)

    def steps(self, problem, n):
        """alpha_t [n] of the rule."""
        if self.rule == "smooth":
            return np.full(n, (self.scale or 1.0) / constants(problem).ell_policy)
        if self.rule == "theory":
            return np.full(n, (self.scale or 1.0) / np.sqrt(n))
        constant = self.rule == "constant" or (self.rule == "practical" and problem.ambiguity.rectangularity == "sa")
        scale = (0.25 if constant else 0.5) * (self.scale or 1.0) if self.rule == "practical" else self.scale or (0.25 if constant else 0.5)
        return np.full(n, scale) if constant else scale / np.sqrt(np.arange(1, n + 1))

    def suits(self, problem):
        """A TypeError if the inner solver does not know its set."""
        kind, family = type(problem.ambiguity).__name__, hasattr(problem.ambiguity, "phi")
        if (self.inner == "parametric") != family:
            raise TypeError(f'inner="{self.inner}" does not fit the set {kind}: a Parametric set needs "parametric", others do not')
        if self.inner == "projected" and compiled(problem).code not in PROJECTABLE:
            raise TypeError(f'inner="projected" needs a set with a Euclidean projection, got {kind}')


def _family(problem):
    """The parametric set as kernels read it; empty for the others, which do not look at it."""
    S, A = problem.shape
    if hasattr(problem.ambiguity, "phi"):
        f = problem.ambiguity
        phi, zeta, theta, lam = (np.array(x) for x in (f.phi, f.zeta, f.theta, f.lam))  # writable: no second version is compiled
        return Family(phi, zeta, theta, lam, float(f.theta_radius), float(f.lam_radius))
    return Family(np.empty((S, 0)), np.empty((S, A, 0)), np.empty(0), np.empty(0), 0.0, 0.0)


class Rules(NamedTuple):
    """``inner``: the code of the inner solver; alpha_t [T]; eps_t and what it gives away on purpose [T + 1]; of ascents step and limit."""

    inner: int
    steps: np.ndarray
    tolerances: np.ndarray
    losses: np.ndarray
    inner_step: float
    limit: int


def envelope_change(c, step, gap, gradient):
    """What one step may add to the Moreau envelope beside -(step / 2) |its gradient|^2 (drpg spec L18) [derived]:

        2 alpha ell gap + ell alpha^2 |G|^2

    ``c``: the ``constants`` of the model; ``gap`` of the inner solver; ``gradient`` |G| of the step.
    """
    return 2 * step * c.ell_policy * gap + c.ell_policy * step**2 * gradient**2


def convergence_bound(mdp, step, n, excess, gaps, largest_gradient=None):
    """The theorem: min_t U_t - J* after ``n`` constant steps is at most (drpg spec 7.4) [derived]

        K sqrt(2 excess / (alpha T) + 2 ell L^2 alpha + (4 ell / T) sum gaps) + sum gaps / T

    Any instance with a rectangular convex set, any step; ``excess`` = Phi(pi_0) - J*, ``gaps`` [n] the certified gaps of the inner
    solver; ``largest_gradient`` max |G_t| of the run may stand for L. Vacuous above the trivial bound (cost range) / (1 - discount).
    """
    c, lost = constants(mdp), float(np.sum(gaps)) / n
    L = c.L_policy if largest_gradient is None else largest_gradient
    inside = 2 * (excess + n * envelope_change(c, step, lost, L)) / (step * n)  # the envelope stays above J*: the sum of |its gradient|^2
    return optimality_radius(mdp) * np.sqrt(inside) + lost


@njit_inline
def respond(game, rules, family, member, policy, t, answer):
    """P, gap_t = inner(policy): a kernel that is worst up to the gap, with its values and factors in ``answer``. Returns (moves, gap)."""
    gap = np.nan
    if rules.inner == PARAMETRIC:
        moves = ascend_family(game, family, member, policy, rules.inner_step, SETTLED, rules.limit, answer)
    elif rules.inner == PROJECTED:
        moves, gap = ascend_kernel(game, policy, rules.tolerances[t], rules.inner_step, rules.limit, answer)
    elif game.code == LIST:
        moves, gap = worst_of_list(game, policy, answer)
    else:
        moves, gap = worst_kernel(game, policy, rules.tolerances[t], rules.limit, answer)
        finish_unused(game, policy, answer)
    if rules.losses[t] > 0.0:
        gap += weaken(game, policy, rules.losses[t], answer)
    return moves, gap


@njit
def _run(game, rules, family, member, policy, answer, policies, kernels):
    T, (S, A) = len(rules.steps), policy.shape
    values, q, nominal = answer.values, answer.q, rules.inner == NOMINAL
    objective, gaps, gradients, counts = np.empty(T + 1), np.empty(T + 1), np.empty(T + 1), np.empty(T + 1, np.int64)
    least, best = np.inf, policy.copy()
    for t in range(T + 1):
        # P, gap_t = inner(pi);  J_t = J(pi, P)
        counts[t], gaps[t] = respond(game, rules, family, member, policy, t, answer)
        objective[t] = total(game.initial, values)
        if nominal:  # J is that of the nominal kernel; the worst one stays, the next iteration starts from it
            worst = objective[t] + gaps[t]
            evaluate_policy(game.rows, game.rows.nominal, policy, game.discount, answer.system, values)
            objective[t] = total(game.initial, values)
            gaps[t] = worst - objective[t]

        # G[s,a] = d[s] q[s,a] / (1 - discount)
        discounted_occupancy(answer.system, game.initial, game.discount, answer.occupancy)
        expected(game.rows, game.rows.nominal if nominal else answer.kernel, answer.pairs, game.discount, values, q.reshape(S * A))
        gradients[t] = policy_gradient(game, answer.occupancy, q, q)

        # the policy of the least U_t = J_t + gap_t
        bound = objective[t] if np.isnan(gaps[t]) else objective[t] + gaps[t]
        if bound < least:
            least = bound
            copy(policy.reshape(S * A), best.reshape(S * A))
        if len(policies) > 0:
            copy(policy.reshape(S * A), policies[t].reshape(S * A))
            copy(answer.kernel, kernels[t])

        # pi <- projection of pi - alpha_t G
        if t < T:
            descend(policy, rules.steps[t], q, game.missing)
    return objective, gaps, gradients, counts, best
