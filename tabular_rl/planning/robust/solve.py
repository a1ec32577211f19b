"""Certified solvers of robust MDPs: robust value iteration, modified policy iteration, partial policy iteration.

    (T v)[s] = min over the agent, max over the adversary, of sum_a pi[a] sum_t P[a,t] (cost + discount v[t])

T is monotone and T(v + k) = T v + discount k, so the two-sided bounds of ``planning.discounted`` hold word for word, for V* and for the
robust value of the greedy policy; actions that they prove suboptimal are not looked at again. s-rectangular sets need randomized policies.
All need a rectangular set: without it robust dynamic programming is wrong, and they raise TypeError.

Source: Iyengar (2005), Kaufman, Schaefer (2013), Ho, Petrik, Wiesemann (2021: partial policy iteration); drpg spec section 5.
"""

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import ambiguity
from tabular_rl.kernels.robust import evaluation
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.kernels.robust import sweeps as kernels
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.bellman import deterministic_policy
from tabular_rl.planning.discounted import EVALUATION_SWEEPS, EVALUATION_TARGET, PATIENCE, two_sided_bounds
from tabular_rl.planning.solution import target

METHODS = ("modified_policy_iteration", "value_iteration", "partial_policy_iteration")
DIRECT_STATES = 300  # exact linear solves of the evaluation are quicker up to here
EPSILON = float(np.finfo(float).eps)
NOTHING = np.empty(0)  # in place of an output that was not requested
PRECISION = 1e-12  # what the worst-case kernels of the sets without an exact algorithm promise, relative to max(1, max |z|)
EXACT = (
    codes.NOMINAL, codes.L1, codes.INTERVAL, codes.L_INFINITY, codes.DENSITY_RATIO, codes.CONTAMINATION, codes.FINITE,
    codes.S_L1, codes.HULL, codes.LIST,
)  # fmt: skip


class Agent(NamedTuple):
    """The agent's side of a sweep, filled in place: ``q`` [S, A], greedy ``actions`` [S] or ``policy`` [S, A]; the rest are buffers."""

    q: np.ndarray
    actions: np.ndarray
    policy: np.ndarray
    of_policy: np.ndarray
    rows_of_policy: np.ndarray
    work: codes.Work


_games: weakref.WeakKeyDictionary[RobustMDP, codes.Game] = weakref.WeakKeyDictionary()


def compiled(mdp):
    """The ``Game`` of a RobustMDP, made once for each model. Sets of rectangularity "none" have the nominal rows, or a list of kernels."""
    if check.kind("mdp", mdp, RobustMDP) not in _games:
        _games[mdp] = _compiled(mdp)
    return _games[mdp]


def _compiled(mdp):
    uncertain = mdp.ambiguity if mdp.has_all_actions else mdp.ambiguity.where(mdp.available)
    if uncertain.code not in (codes.HULL, codes.LIST):
        parametric = uncertain.rectangularity == "none"
        rows = ambiguity.rows(mdp.nominal, mdp.cost, None if parametric else uncertain)
        return codes.Game(codes.NOMINAL if parametric else uncertain.code, rows, np.empty((0, 0)), *_of_model(mdp))
    # every move that the nominal kernel or one of the list makes
    nominal = mdp.nominal.toarray().reshape(*mdp.shape, -1) if mdp.is_sparse else mdp.nominal
    cost = mdp.cost.toarray().reshape(nominal.shape) if mdp.is_sparse and mdp.costs_of_moves else mdp.cost
    uncertain.check_shape(*mdp.shape)
    mean = (nominal + uncertain.kernels.sum(axis=0)) / (1 + len(uncertain.kernels))
    rows = ambiguity.rows(mean, cost, None)
    listed = np.stack([ambiguity.flat(rows, kernel) for kernel in uncertain.kernels])
    return codes.Game(uncertain.code, rows._replace(nominal=ambiguity.read_only(ambiguity.flat(rows, nominal))), listed, *_of_model(mdp))


def _of_model(mdp):
    """(initial, discount, rows s * A + a of the pairs that do not exist)."""
    return mdp.initial, float(mdp.discount), np.flatnonzero(~mdp.available)


def precision(mdp):
    """How much more than the certified gap the worst case may be, where the worst-case kernels are only precise to ``PRECISION``."""
    size = max(1.0, np.abs(mdp.cost_range).max() / (1 - mdp.discount))
    return 0.0 if compiled(mdp).code in EXACT else PRECISION * size / (1 - mdp.discount)


def kernel_of(mdp, flat):
    """A kernel from its flat entries: [S, A, S], or CSR (S*A, S) when the model is sparse. Missing pairs have the nominal filler."""
    rows = compiled(mdp).rows
    return moves_of(mdp, flat if mdp.has_all_actions else np.where(entries_of(mdp, mdp.available), flat, rows.nominal))


def entries_of(mdp, pairs):
    """What stands in ``pairs`` [S, A], at every flat entry of their rows."""
    return np.repeat(pairs.ravel(), np.diff(compiled(mdp).rows.pointer))


def moves_of(mdp, flat):
    """[S, A, S], or CSR (S*A, S) when the model is sparse, of flat entries."""
    rows = compiled(mdp).rows
    if not mdp.is_sparse or len(rows.successor) == 0:
        return ambiguity.kernel(rows, flat)
    from scipy.sparse import csr_array

    S, A = mdp.shape
    return csr_array((np.array(flat), rows.successor.astype(np.int32), rows.pointer), shape=(S * A, S))


def flat_kernel(mdp, kernel):
    """The flat entries of a kernel [S, A, S] or CSR; ValueError where it moves to states that the set does not reach."""
    rows, S = compiled(mdp).rows, mdp.n_states
    if hasattr(kernel, "tocsr"):
        if kernel.shape != (mdp.n_actions * S, S):
            raise ValueError(f"kernel must have shape ({mdp.n_actions * S}, {S}), row s * A + a, got {kernel.shape}")
        kernel = kernel.toarray().reshape(*mdp.shape, S)
    if not mdp.has_all_actions and np.shape(kernel) == (*mdp.shape, S):
        kernel = np.where(mdp.available[..., None], kernel, ambiguity.kernel(rows, rows.nominal))
    kernel = check.distribution("kernel", kernel, (*mdp.shape, S))
    flat = ambiguity.flat(rows, kernel)
    if abs(flat.sum() - kernel.sum()) > 1e-9 * S:
        raise ValueError("kernel moves to next states that the ambiguity set does not reach")
    return flat


@dataclass(frozen=True, eq=False, repr=False)
class RobustSolution:
    """Optimal robust values with a certificate.

    Attributes
    ----------
    values : array [S]
        Cost to go against the worst kernel; ``lower <= V* <= upper`` elementwise, and so for the robust value of ``policy``.
    lower, upper : arrays [S]
    policy : array [S, A]
        Greedy; deterministic (ties: lowest index) for (s,a)-rectangular sets, randomized for s-rectangular ones.
    iterations, evaluations : int
        Sweeps over all actions, and sweeps (or linear solves) of a fixed policy.
    converged : bool
        Whether the certified error reached the tolerance; for None and "exact" also where rounding halted the sweeps first.
    """

    mdp: RobustMDP
    values: np.ndarray
    policy: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    iterations: int
    evaluations: int
    method: str
    converged: bool

    @property
    def actions(self):
        """[S]: the likeliest action of the policy."""
        return np.argmax(self.policy, axis=1)

    @property
    def radius(self):
        """Largest distance from ``values`` to the bounds: the certified error."""
        return float(max(np.max(self.upper - self.values), np.max(self.values - self.lower)))

    @property
    def objective(self):
        """J*: the robust cost from the start distribution, up to ``radius``."""
        return float(self.mdp.initial @ self.values)

    @cached_property
    def kernel(self):
        """The adversary's side of the saddle point: worst rows [S, A, S] (or CSR) at ``values``."""
        return robust_backup(self.mdp, self.values).kernel

    @cached_property
    def q_values(self):
        """[S, A]: cost of each pair against the saddle point's kernel; for (s,a)-rectangular sets its worst case; inf at missing pairs."""
        flat = flat_kernel(self.mdp, self.kernel)
        q = np.empty(self.mdp.shape)
        rows = compiled(self.mdp).rows
        kernels.expected(rows, flat, np.arange(q.size), self.mdp.discount, self.values, q.reshape(-1))
        return self.mdp.barred(q, np.inf)

    def __repr__(self):
        state = f"error <= {self.radius:.2g}" + ("" if self.converged else ", NOT CONVERGED")
        sweeps = f"{self.iterations} sweeps, {self.evaluations} evaluation sweeps"
        return f"RobustSolution({self.mdp!r}, {self.method}, {state}, {sweeps})"


class RobustBackup(NamedTuple):
    """T v [S], the greedy ``policy`` [S, A] and the worst ``kernel``."""

    values: np.ndarray
    policy: np.ndarray
    kernel: Any


def robust_backup(mdp, values):
    """One robust Bellman sweep of ``values`` [S]."""
    sweeps = _sweeps(mdp)
    values = check.real_array("values", values, (mdp.n_states,))
    improved, worst = np.empty(mdp.n_states), np.empty(len(sweeps.rows.nominal))
    sweeps.improve(values, np.inf, improved, worst)
    return RobustBackup(improved, sweeps.policy, kernel_of(mdp, worst))


def solve_robust(mdp, method="auto", tolerance=None, max_iterations=1_000_000):
    """Optimal robust values, certified within ``tolerance``, by one of ``METHODS`` ("auto": the first).

    ``tolerance`` is in cost units, or None for 1e-7 max |cost| / (1 - discount), or "exact" (see ``solution.target``). Returns a
    RobustSolution, with ``converged`` False when the sweeps ran out, or rounding halted them short of a number. TypeError: the set is
    not rectangular, or only policies can be evaluated against it.
    """
    method = METHODS[0] if check.choice("method", method, ("auto", *METHODS)) == "auto" else method
    _, tolerance, strict = target(tolerance, np.abs(mdp.cost_range).max() / (1 - mdp.discount))
    limit = check.integer("max_iterations", max_iterations, 1)
    sweeps = _sweeps(mdp)
    values, improved = np.zeros(mdp.n_states), np.empty(mdp.n_states)
    cut, evaluations, best, found, delta = np.inf, 0, np.inf, 0, np.inf
    for iteration in range(1, limit + 1):
        low, high = sweeps.improve(values, cut, improved)
        below, above, rounding = _bounds(mdp, sweeps, values, low, high)
        error = 0.5 * (above - below)
        if error < best:
            best, found = error, iteration
        stuck = iteration - found > (0 if high - low <= 2 * rounding else PATIENCE / (1 - mdp.discount))
        if error <= tolerance or stuck or iteration == limit:
            break
        cut = above - below
        values, improved = improved, values
        if method == "value_iteration":
            values += 0.5 * (below + above)
        elif method == "modified_policy_iteration":
            evaluations += sweeps.evaluate(values, improved, EVALUATION_TARGET * (high - low))
        else:
            delta = min(mdp.discount**2 * delta, EVALUATION_TARGET * (high - low))
            evaluations += sweeps.evaluate_fully(values, improved, delta)
    lower, upper = improved + below, improved + above
    converged = bool(error <= tolerance or (stuck and not strict))
    return RobustSolution(mdp, 0.5 * (lower + upper), sweeps.policy, lower, upper, iteration, evaluations, method, converged)


def _bounds(mdp, sweeps, values, low, high):
    """(below, above, rounding): T v + below <= V* <= T v + above, with what a sweep's rounding and the kernels' precision may hide.

    ``rows`` are normalized, so they sum to 1 up to n + 2 units in the last place; so do the worst ones.
    """
    size = max(map(abs, mdp.cost_range)) + (1 + mdp.discount) * float(np.abs(values).max())
    units = (mdp.row_entries + 8) * EPSILON
    rounding = units * size + (0 if sweeps.code in EXACT else PRECISION * max(1.0, size))
    return (*two_sided_bounds(mdp.discount, units, rounding, low, high), rounding)


def _sweeps(mdp):
    game = compiled(mdp)
    if mdp.ambiguity.rectangularity == "none" or game.code == codes.HULL:
        need = "a rectangular set" if mdp.ambiguity.rectangularity == "none" else "a set that it can optimize against"
        raise TypeError(f"robust dynamic programming needs {need}, got {type(mdp.ambiguity).__name__}")
    return (_StateSweeps if game.code in codes.PER_STATE else _PairSweeps)(mdp, game)


class _Sweeps:
    """Buffers and the sweeps of a game, and the greedy policy of the last ``improve``."""

    policy: np.ndarray

    def __init__(self, mdp, game):
        S, A = mdp.shape
        self.game, self.code, self.rows, self.discount = game, game.code, game.rows, game.discount
        self.agent = Agent(
            np.zeros((S, A)), np.zeros(S, np.int64), np.empty((S, A)), np.empty(S * A), np.empty(S, np.int64),
            codes.workspace(game.rows, game.code),
        )  # fmt: skip

    def evaluate(self, values, scratch, target):
        return evaluation.sweep_policy(self.game, self.agent, values, scratch, target, EVALUATION_SWEEPS)

    def evaluate_fully(self, values, scratch, delta):
        """Until |T_policy v - v| <= delta: linear solves of the adversary's policy iteration, or sweeps in large models."""
        if len(values) > DIRECT_STATES:
            return evaluation.sweep_policy(self.game, self.agent, values, scratch, delta * (1 - self.discount), 1_000_000)
        answer, policy = evaluation.answer_to(self.game)._replace(values=values, improved=scratch), self.policy
        evaluation.policy_backup(self.game, policy, answer)
        answer.kernel[:] = answer.greedy
        return evaluation.worst_kernel(self.game, policy, delta / (1 - self.discount), 1000, answer)[0]


class _PairSweeps(_Sweeps):
    """(s,a)-rectangular: deterministic policies; rows that do not exist or can no longer be optimal are left out."""

    def __init__(self, mdp, game):
        super().__init__(mdp, game)
        self.picked = np.flatnonzero(mdp.available)
        self.agent.q.reshape(-1)[game.missing] = np.inf

    @property
    def policy(self):  # type: ignore[override]
        return deterministic_policy(self.agent.actions, self.rows.actions)

    def improve(self, values, cut, improved, worst=NOTHING):
        if self.rows.pair_costs and len(worst) == 0 and not values.any():  # the sweep from zero needs no look at P
            q = self.agent.q
            q.reshape(-1)[:] = self.rows.cost
            q.reshape(-1)[self.game.missing] = np.inf
            return kernels.greedy(q, values, improved, self.agent.actions)
        count, low, high = evaluation.improve_pairs(self.game, self.picked, cut, values, self.agent, improved, worst)
        self.picked = self.picked[:count]
        return low, high


class _StateSweeps(_Sweeps):
    """s-rectangular: randomized policies."""

    def __init__(self, mdp, game):
        super().__init__(mdp, game)
        self.barred = self.rows  # what optimizes over policies reads infinite costs at pairs that do not exist
        if len(game.missing):
            there = mdp.available.ravel() if self.rows.pair_costs else entries_of(mdp, mdp.available)
            self.barred = self.rows._replace(cost=ambiguity.read_only(np.where(there, self.rows.cost, np.inf)))

    @property
    def policy(self):  # type: ignore[override]
        return self.agent.policy.copy()

    def improve(self, values, cut, improved, worst=NOTHING):
        self.agent.actions[:] = 0
        return kernels.state_backup(self.code, self.barred, self.discount, values, improved, self.agent.policy, worst, self.agent.work)
