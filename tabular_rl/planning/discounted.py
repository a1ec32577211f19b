"""Certified solvers of discounted MDPs: value iteration, policy iteration, modified policy iteration; dense and sparse.

Every solver alternates Bellman sweeps ``w = T v`` with its own way of improving v, and stops on two-sided bounds (MacQueen 1966,
Porteus 1971): with d = w - v and shift = discount / (1 - discount),

    w + shift * min d  <=  value of the greedy policy  <=  V*  <=  w + shift * max d.

The mid-point is the answer, half the width its certified error. Rows that sum to 1 only up to ``row_error`` and the rounding of
the sweep itself widen the bounds (``span_bounds``), so that the certificate holds for the model as it is stored.
Actions that the bounds prove suboptimal are not looked at again (MacQueen 1967); on fast-mixing models this leaves little more
than one full pass over P.

"exact" goes on until rounding has halted the sweeps, and returns what it has with its certificate. Under "auto", where a linear solve is
cheaper than the sweeps that are left (slow chains, discounts near 1, the last digits), policy iteration ends what sweeps began.
"""

import numpy as np

from tabular_rl.kernels.discounted import sweeps as kernels
from tabular_rl.models import validation as check
from tabular_rl.planning.evaluation import DIRECT_STATES, policy_system, refined, solve_chain
from tabular_rl.planning.solution import ConvergenceError, Solution, target

METHODS = ("modified_policy_iteration", "policy_iteration", "value_iteration")
EVALUATION_SWEEPS = 100  # of a fixed policy between two improvements, at most
PATIENCE = 10  # times 1 / (1 - discount) sweeps without a smaller certified error: rounding has brought the iteration to a halt
EVALUATION_TARGET = 0.1  # an evaluation ends when the span of its change is this fraction of the improvement's


def solve_discounted(mdp, method, tolerance, max_iterations):
    """Values within ``tolerance`` of V* (None, "exact" or a number: see ``solution.target``), with their certificate."""
    auto = check.choice("method", method, ("auto", *METHODS)) == "auto"
    method = METHODS[0] if auto else method
    if mdp.discount * (1 + _row_error(mdp)) >= 1:
        raise ValueError(
            f"discount {mdp.discount!r} cannot outweigh rows that sum to 1 only within {_row_error(mdp):.1g}: normalize the rows"
        )
    model = (SparseSweeps if mdp.is_sparse else DenseSweeps)(mdp)
    S, A = mdp.shape
    default, tolerance, strict = target(tolerance, np.abs(mdp.reward).max() / (1 - mdp.discount))
    # sweeps of this many improvements have cost as much as a factorization; never where it does not fit
    enough = max(100, S**2 // (EVALUATION_SWEEPS * mdp.row_entries)) if auto and S <= DIRECT_STATES else np.inf
    values, improved, actions = np.zeros(S), np.empty(S), np.empty(S, np.int64)
    solved, polished = np.full(S, -1), False  # the actions of the last linear solve, and whether it was refined
    patience = 100 if method == "policy_iteration" else PATIENCE / (1 - mdp.discount)
    q_values, cut, evaluations, best, found = np.zeros((S, A)), np.inf, 0, np.inf, 0

    for iteration in range(1, max_iterations + 1):
        if iteration == 1:  # the sweep from zero needs no look at P
            low, high = _first_sweep(mdp.barred_reward, q_values, improved, actions)
        else:
            low, high = model.improve(values, cut, q_values, improved, actions)
        below, above, rounding = span_bounds(mdp, values, low, high)
        error = 0.5 * (above - below)
        if error <= tolerance:
            lower, upper = improved + below, improved + above
            solution = Solution(mdp, 0.5 * (lower + upper), actions, lower, upper, iteration, evaluations, method)
            error = solution.radius  # with the rounding of the bounds themselves
            if error <= tolerance:
                return solution
        if error < best:
            best, found = error, iteration
        closed = high - low <= 2 * rounding
        # a closed span may still hide a constant, which imperfect rows turn into an error: one more sweep, or refinement, removes it
        halted = iteration - found > (0 if closed and (polished or method != "policy_iteration") else patience)
        if method != "policy_iteration" and enough < np.inf and (halted or iteration > enough or tolerance < error <= default):
            method, patience, found, halted = "policy_iteration", 100, iteration, False
        if halted:
            if strict:
                raise ValueError(
                    f"tolerance {tolerance:g} is below what float64 can certify for this model by {method}, about {best:.1g}; "
                    "'exact' goes as far as it can"
                )
            lower, upper = improved + below, improved + above
            # policy iteration has solved for these values to their last digits; the bounds' middle carries the bounds' rounding
            middle = np.clip(values, lower, upper) if method == "policy_iteration" else 0.5 * (lower + upper)
            return Solution(mdp, middle, actions, lower, upper, iteration, evaluations, method)
        cut = above - below
        values, improved = improved, values
        if method == "modified_policy_iteration":
            evaluations += model.evaluate(actions, values, improved, EVALUATION_TARGET * (high - low))
        elif method == "policy_iteration":
            polished = solved[0] >= 0 and (closed or np.array_equal(actions, solved))  # ties may still change places
            if not polished:
                solved[:] = actions
            P, reward = policy_system(mdp, solved)
            values = refined(mdp, P, reward, improved) if polished else solve_chain(mdp, P, reward)
        else:
            values += 0.5 * (below + above)
    raise ConvergenceError(f"{method} stopped after {max_iterations} sweeps with certified error {error:.2g} > tolerance {tolerance:g}")


def span_bounds(mdp, values, low, high):
    """(below, above, rounding): T values + below <= V* <= T values + above, from the extremes of T values - values as computed.

    With row sums in [1 - e, 1 + e] a constant k passes a sweep as at most discount * (1 + e) * k (or 1 - e for k < 0), so the
    geometric series of a change c is at most c * x / (1 - x), x = discount * (1 +- e). A sweep's rounding is at most n + 3 units in
    the last place of its largest term, for rows with n non-zero entries in any order of summation.
    """
    size = np.abs(mdp.reward).max() + (1 + mdp.discount) * np.abs(values).max()
    rounding = (mdp.row_entries + 3) * np.finfo(float).eps * size
    return (*two_sided_bounds(mdp.discount, _row_error(mdp), rounding, low, high), rounding)


def two_sided_bounds(discount, row_error, rounding, low, high):
    """(below, above) of ``span_bounds``, for any operator that is monotone and shifts by discount * k (1 +- row_error)."""

    def series(change):
        x = discount * (1 + row_error) if change > 0 else discount * (1 - row_error)
        return change * x / (1 - x)

    return -series(rounding - low) - rounding, series(high + rounding) + rounding


def _row_error(mdp):
    """Bound on |row sum - 1| in exact arithmetic: the computed sums are off by up to n units of rounding, the factor 1 + e by two more."""
    return mdp.row_error + (mdp.row_entries + 2) * np.finfo(float).eps


def _first_sweep(reward, q_values, improved, actions):
    q_values[:] = reward
    np.argmax(reward, axis=1, out=actions)
    np.max(reward, axis=1, out=improved)
    return improved.min(), improved.max()


class DenseSweeps:
    """The two sweeps over a dense model."""

    def __init__(self, mdp):
        self.model = mdp.transition, mdp.barred_reward, mdp.discount

    def improve(self, values, cut, q_values, improved, actions):
        return kernels.improve_dense(*self.model, values, cut, q_values, improved, actions)

    def evaluate(self, actions, values, scratch, target):
        return kernels.evaluate_dense(*self.model, actions, values, scratch, target, EVALUATION_SWEEPS)


class SparseSweeps:
    """The two sweeps over a CSR model; the rows of the policy under evaluation are copied together first."""

    def __init__(self, mdp):
        P, S = mdp.transition, mdp.n_states
        indices = P.indices.view(f"u{P.indices.itemsize}")
        self.csr, self.reward, self.discount = (P.data, indices, P.indptr), mdp.barred_reward, mdp.discount
        lengths = np.diff(P.indptr)
        self.width = next((width for width in kernels.WIDTHS if width >= lengths.max()), None)
        self.rows: tuple[np.ndarray, ...]
        if self.width is not None:
            self.rows = np.empty((S, self.width)), np.empty((S, self.width), indices.dtype), np.empty(S)
        else:
            longest = int(lengths.reshape(mdp.shape).max(axis=1).sum())
            self.rows = np.empty(longest), np.empty(longest, indices.dtype), np.empty(S + 1, np.int64), np.empty(S)

    def improve(self, values, cut, q_values, improved, actions):
        return kernels.improve_sparse(*self.csr, self.reward, self.discount, values, cut, q_values, improved, actions)

    def evaluate(self, actions, values, scratch, target):
        extract, sweep = kernels.rows_of_policy, kernels.evaluate_sparse
        if self.width is not None:
            extract, sweep = kernels.padded_rows_of_policy, kernels.evaluate_padded
        extract(*self.csr, self.reward, actions, *self.rows)
        return sweep(*self.rows, self.discount, values, scratch, target, EVALUATION_SWEEPS)
