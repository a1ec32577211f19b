"""A given policy of a robust MDP: its worst case with a certificate, the saddle point's two sides, gradients, the theory's constants."""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.robust import evaluation
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.kernels.robust import sweeps as kernels
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.discounted import solve_discounted
from tabular_rl.planning.evaluation import as_policy, evaluate
from tabular_rl.planning.robust.solve import DIRECT_STATES, compiled, flat_kernel, kernel_of, moves_of


def check_start(algorithm):
    """ValueError unless the field ``start`` of an algorithm is None or has rows that are distributions; it becomes read-only."""
    if algorithm.start is not None:
        start = check.frozen(check.distribution("start", algorithm.start, (None, None)), algorithm.start)
        object.__setattr__(algorithm, "start", start)


def first_policy(mdp, start=None):
    """``start`` [S, A] as a policy of the model, writable; None: uniform over the actions that a state has."""
    if start is not None and np.shape(start) != mdp.shape:
        raise ValueError(f"start must have shape {mdp.shape}, got {np.shape(start)}")
    return np.array(mdp.uniform_policy if start is None else as_policy(mdp, start))


class RobustEvaluation(NamedTuple):
    """A policy against its worst kernel.

    ``values`` [S] and ``objective`` are those of ``kernel``; the worst case Phi of the policy lies in [objective, objective + gap], its
    values in [values, values + gap]. ``iterations`` counts linear solves.
    """

    values: np.ndarray
    kernel: Any
    objective: float
    gap: float
    iterations: int
    converged: bool


def robust_evaluate(mdp, policy, tolerance=1e-10, kernel=None, complete=True, max_iterations=1000):
    """The worst case of a policy by the adversary's policy iteration, which starts from ``kernel`` (default: the nominal one).

    Every round solves for the values of the kernel and backs them up: max(T_policy v - v) / (1 - discount) is a certificate. Sets with
    finitely many vertices (L1) end exactly. ``complete``: rows of actions that the policy does not play are worst ones too (else they
    are left as they come, whatever changes nothing for the policy). FiniteKernels: every kernel is tried.

    Raises
    ------
    TypeError
        The set has no exact evaluation (Parametric).

    Source: [derived] drpg spec 5.1.
    """
    game = compiled(mdp)
    policy = np.array(as_policy(mdp, policy))  # writable, as in every compiled loop: no second version is compiled
    tolerance, complete = float(check.number("tolerance", tolerance, at_least=0)), check.flag("complete", complete)
    limit, S = check.integer("max_iterations", max_iterations, 1), mdp.n_states
    direct = S <= DIRECT_STATES or game.code == codes.LIST
    answer = evaluation.answer_to(game, None if kernel is None else flat_kernel(mdp, kernel), direct)
    p, values = answer.kernel, answer.values
    if mdp.ambiguity.rectangularity == "none":
        if game.code != codes.LIST:
            raise TypeError(f"robust evaluation needs a rectangular set or a list of kernels, got {type(mdp.ambiguity).__name__}")
        solves, gap = evaluation.worst_of_list(game, policy, answer)
        return RobustEvaluation(values, kernel_of(mdp, p), float(mdp.initial @ values), gap, solves, True)
    if direct:
        solves, gap = evaluation.worst_kernel(game, policy, tolerance, limit, answer)
    else:
        solves, gap = _by_library(mdp, game, policy, tolerance, limit, answer)
    converged = bool(gap <= max(tolerance, _floor(mdp, values)))
    if complete:
        evaluation.finish_unused(game, policy, answer)
    return RobustEvaluation(values, kernel_of(mdp, p), float(mdp.initial @ values), float(gap), solves, converged)


def _floor(mdp, values):
    """The gap that rounding leaves."""
    return 1e-12 * max(1.0, np.abs(values).max()) / (1 - mdp.discount)


def _by_library(mdp, game, policy, tolerance, limit, answer):
    """The rounds of ``worst_kernel``, the values of each kernel by SuperLU: its factors of a large chain are sparse when the model is."""
    for solves in range(1, limit + 1):
        answer.values[:] = -evaluate(mdp.against(kernel_of(mdp, answer.kernel)), policy).values
        evaluation.policy_backup(game, policy, answer)
        gap, _ = evaluation.certificate(answer.values, answer.improved, mdp.discount)
        if gap <= max(tolerance, _floor(mdp, answer.values)) or solves == limit:
            break
        answer.kernel[:] = answer.greedy
    return solves, gap


class Saddle(NamedTuple):
    """Two sides of J*: ``upper`` is the worst case of a policy, ``lower`` the best policy's cost against a kernel; they meet at ``gap``."""

    lower: float
    upper: float
    gap: float


def saddle_certificate(mdp, policy, kernel):
    """lower <= J* <= upper from any policy [S, A] and any kernel of the set, by means that the robust solvers do not use.

    At the saddle point (``policy`` and ``kernel`` of a RobustSolution) both are J* [derived, drpg spec 5.4].
    """
    worst, kernel = robust_evaluate(mdp, policy), kernel_of(mdp, flat_kernel(mdp, kernel))
    size = max(1.0, np.abs(mdp.cost_range).max()) / (1 - mdp.discount)
    best = solve_discounted(mdp.against(kernel), "policy_iteration", 1e-10 * size, 1000)
    lower, upper = float(mdp.initial @ -best.upper), worst.objective + worst.gap
    return Saddle(lower, upper, upper - lower)


class Gradients(NamedTuple):
    """At (policy, kernel): ``objective`` J, ``values``, ``occupancy`` [S], ``q_values``, ``policy`` = dJ/dpolicy [S, A], and ``kernel`` =
    dJ/dP [S, A, S] (of a sparse model as CSR). At pairs that do not exist gradients are 0 and ``q_values`` infinite.
    """

    objective: float
    values: np.ndarray
    occupancy: np.ndarray
    q_values: np.ndarray
    policy: np.ndarray
    kernel: Any


def gradients(mdp, policy, kernel=None):
    """J(policy, kernel) and its gradients (``kernel`` None: the nominal one).

    dJ/dpolicy = d[s] q[s,a] / (1 - discount), dJ/dP = d[s] policy[s,a] (cost + discount v[t]) / (1 - discount), d the discounted
    occupancy, which sums to 1: the partial derivatives of the rational extension of J off the simplex (drpg spec 6.1).
    """
    game, policy = compiled(mdp), np.array(as_policy(mdp, policy))
    answer = evaluation.answer_to(game, None if kernel is None else flat_kernel(mdp, kernel))
    rows, p, values, occupancy, q, of_policy = game.rows, answer.kernel, answer.values, answer.occupancy, answer.q, np.empty(mdp.shape)
    evaluation.evaluate_policy(rows, p, policy, mdp.discount, answer.system, values)
    evaluation.discounted_occupancy(answer.system, mdp.initial, mdp.discount, occupancy)
    kernels.expected(rows, p, answer.pairs, mdp.discount, values, q.reshape(-1))
    evaluation.policy_gradient(game, occupancy, q, of_policy)
    evaluation.kernel_gradient(rows, occupancy, policy, mdp.discount, values, answer.moved)
    q = mdp.barred(q, np.inf)
    return Gradients(float(mdp.initial @ values), values, occupancy, q, of_policy, moves_of(mdp, answer.moved))


class Constants(NamedTuple):
    """Lipschitz (``L``) and smoothness (``ell``) constants of J in the policy and in the kernel, and the ``mismatch`` bound D."""

    L_policy: float
    ell_policy: float
    L_kernel: float
    ell_kernel: float
    mismatch: float


def constants(mdp):
    """The theory's constants, Euclidean norms, times the size of the costs (1 for costs in [0, 1]).

    L_pi = sqrt(A) / (1-g)^2, ell_pi = 2 g A / (1-g)^3, L_P = sqrt(S) / (1-g)^2, ell_P = 2 g S / (1-g)^3, D = 1 / min initial (infinite
    where a state cannot be the start); A is the most actions that a state has [derived; L_pi and ell_pi are the paper's; drpg spec 7].
    """
    S, g, size = check.kind("mdp", mdp, RobustMDP).n_states, mdp.discount, max(np.abs(mdp.cost_range))
    A = int(mdp.available.sum(axis=1).max())
    slope, bend = size / (1 - g) ** 2, 2 * g * size / (1 - g) ** 3
    least = float(mdp.initial.min())
    return Constants(np.sqrt(A) * slope, A * bend, np.sqrt(S) * slope, S * bend, 1 / least if least > 0 else np.inf)


def optimality_radius(mdp):
    """K with Phi(policy) - J* <= K |gradient of the Moreau envelope|: D sqrt(2 S) / (1 - g) + L_pi / (2 ell_pi) (drpg spec L17)."""
    c = constants(mdp)
    return c.mismatch * np.sqrt(2 * mdp.n_states) / (1 - mdp.discount) + c.L_policy / (2 * c.ell_policy)
