"""A policy against an adversary: values of a policy and a kernel, and the adversary's ways to a worst kernel.

``rows``: the named tuple of ``ambiguity.rows``; a kernel is a flat array [nnz] of its moves; ``policy``, ``q`` [S, A]; the rest [S].
``code``: the ambiguity set; ``kernels`` [M, nnz]: the finite sets' whole kernels.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.discounted.markov_systems import factor, solve_factored, solve_transposed
from tabular_rl.kernels.robust.rows import HULL, S_KL, S_L1, S_L2
from tabular_rl.kernels.robust.sweeps import average, backup, expected, greedy, project, state_evaluation


@njit_sums
def policy_chain(rows, p, policy, discount, system, mean_cost):
    """Fill ``system`` [S, S] = I - discount P_policy and the expected cost [S] of a step."""
    S, A = policy.shape
    dense = len(rows.successor) == 0
    system[:] = 0.0
    for s in range(S):
        row, total = system[s], 0.0
        for a in range(A):
            r, weight = s * A + a, policy[s, a]
            if weight == 0.0:
                continue
            first, last = rows.pointer[r], rows.pointer[r + 1]
            if dense:
                for i in range(first, last):
                    row[i - first] -= discount * weight * p[i]
            else:
                for i in range(first, last):
                    row[rows.successor[i]] -= discount * weight * p[i]
            if rows.pair_costs:
                mass = 0.0
                for i in range(first, last):
                    mass += p[i]
                total += weight * mass * rows.cost[r]
            else:
                for i in range(first, last):
                    total += weight * p[i] * rows.cost[i]
        row[s] += 1.0
        mean_cost[s] = total


@njit
def evaluate_policy(rows, p, policy, discount, system, values):
    """Exact values of a policy against a kernel; ``system`` holds the factors afterwards, for ``occupy``."""
    policy_chain(rows, p, policy, discount, system, values)
    factor(system)
    solve_factored(system, values)


@njit
def occupy(system, initial, discount, occupancy):
    """Discounted occupancy, which sums to 1, from the factors of ``evaluate_policy``."""
    for s in range(len(initial)):
        occupancy[s] = (1 - discount) * initial[s]
    solve_transposed(system, occupancy)


@njit
def kernel_gradient(rows, occupancy, policy, discount, values, gradient):
    """dJ/dp of every move: occupancy[s] policy[s,a] (cost + discount v[t]) / (1 - discount) (drpg spec 6.1)."""
    S, A = policy.shape
    dense = len(rows.successor) == 0
    for r in range(S * A):
        weight = occupancy[r // A] * policy[r // A, r % A] / (1 - discount)
        first = rows.pointer[r]
        for i in range(first, rows.pointer[r + 1]):
            t = i - first if dense else np.int64(rows.successor[i])
            cost = rows.cost[r] if rows.pair_costs else rows.cost[i]
            gradient[i] = weight * (cost + discount * values[t])


@njit
def surviving(q, cut, picked):
    """How many of the rows ``picked`` are still in play; they move to its front.

    A row of q [S, A] more than ``cut`` above the least of its state leaves for good (it becomes infinite): with the width of the two-sided
    bounds it is proven suboptimal (MacQueen 1967; it uses that T is monotone and shifts by discount k, as robust T does).
    """
    A, count, s, least = q.shape[1], 0, -1, 0.0
    for i in range(len(picked)):
        r = picked[i]
        if r // A != s:
            s = r // A
            least = np.min(q[s])
        if q[s, r % A] - least > cut:
            q[s, r % A] = np.inf
        else:
            picked[count] = r
            count += 1
    return count


@njit
def improve_pairs(code, rows, picked, cut, discount, values, q, improved, actions, worst, work):
    """A sweep over the rows ``picked`` that survive ``cut``: q [S, A], ``improved`` [S], greedy ``actions`` [S], ``worst`` unless empty.

    Returns (rows left at the front of ``picked``, min and max of improved - values).
    """
    count = surviving(q, cut, picked) if cut < np.inf else len(picked)
    backup(code, rows, picked[:count], discount, values, q.reshape(q.size), worst, work)
    low, high = greedy(q, values, improved, actions)
    return count, low, high


@njit
def sweep_policy(code, rows, actions, policy, discount, values, scratch, target, sweeps, picked, q, work):
    """Robust sweeps v <- T_policy v until the span of a change is below ``target``, at most ``sweeps``; then the last change's mid-point.

    ``actions`` [S] is the policy of (s,a)-rectangular sets, ``policy`` [S, A] of the others; ``picked`` [S], ``q`` [S*A] are buffers.
    Returns the number of sweeps.
    """
    S, A = policy.shape
    by_state = code in (S_L1, S_KL, S_L2)
    shift, nothing = discount / (1 - discount), np.empty(0)
    now, after = values, scratch
    for s in range(S):
        picked[s] = s * A + actions[s]
    for sweep in range(1, sweeps + 1):
        if by_state:
            low, high = state_evaluation(code, rows, policy, discount, now, after, nothing, work)
        else:
            backup(code, rows, picked, discount, now, q, nothing, work)
            low, high = np.inf, -np.inf
            for s in range(S):
                after[s] = q[picked[s]]
                low, high = min(low, after[s] - now[s]), max(high, after[s] - now[s])
        now, after = after, now
        if high - low <= target:
            break
    for s in range(S):
        values[s] = now[s] + shift * 0.5 * (low + high)
    return sweep


@njit
def total(x, y):
    """Sum of products."""
    result = 0.0
    for i in range(len(x)):
        result += x[i] * y[i]
    return result


@njit
def hull_backup(rows, kernels, policy, discount, values, improved, worst, q):
    """T_policy v of the s-rectangular hull of ``kernels`` [M, nnz]: in every state the worst of them (ties: the first)."""
    S, A = policy.shape
    picked, flat = np.arange(S * A), q.reshape(S * A)
    for m in range(len(kernels)):
        expected(rows, kernels[m], picked, discount, values, flat)
        for s in range(S):
            here = total(policy[s], q[s])
            if m == 0 or here > improved[s]:
                improved[s] = here
                first, last = rows.pointer[s * A], rows.pointer[s * A + A]
                worst[first:last] = kernels[m, first:last]


@njit
def policy_backup(code, rows, kernels, policy, discount, values, improved, worst, q, picked, work):
    """``improved`` = T_policy v, and the kernel ``worst`` that attains it, greedy in all pairs where the set is (s,a)-rectangular."""
    if code == HULL:
        hull_backup(rows, kernels, policy, discount, values, improved, worst, q)
    elif code in (S_L1, S_KL, S_L2):
        state_evaluation(code, rows, policy, discount, values, improved, worst, work)
    else:
        backup(code, rows, picked, discount, values, q.reshape(q.size), worst, work)
        average(q, policy, values, improved)


@njit
def worst_kernel(code, rows, kernels, policy, discount, tolerance, limit, p, greedy, system, values, improved, q, picked, work):
    """The adversary's policy iteration (drpg spec 5.1) from the kernel ``p``, which becomes the answer. Returns (solves, gap).

    J(policy, p) <= worst case <= J(policy, p) + gap, ``values`` those of p, and gap <= tolerance (or the rounding of the values) unless
    ``limit`` solves did not suffice. ``greedy`` is the last backup's kernel: as bad as p, and also where the policy does not go.
    """
    for solves in range(1, limit + 1):
        evaluate_policy(rows, p, policy, discount, system, values)
        policy_backup(code, rows, kernels, policy, discount, values, improved, greedy, q, picked, work)
        rise, size = 0.0, 1.0
        for s in range(len(values)):
            rise, size = max(rise, improved[s] - values[s]), max(size, abs(values[s]))
        gap = rise / (1 - discount)
        if gap <= tolerance or gap <= 1e-13 * size / (1 - discount):
            break
        if solves < limit:
            p[:] = greedy
    return solves, gap


@njit
def worst_of_list(rows, kernels, policy, discount, initial, p, system, values):
    """The worst of finitely many whole kernels, by trying each (ties: the first). Returns (solves, 0)."""
    worst, index = -np.inf, 0
    for m in range(len(kernels)):
        evaluate_policy(rows, kernels[m], policy, discount, system, values)
        objective = total(initial, values)
        if objective > worst:
            worst, index = objective, m
    p[:] = kernels[index]
    evaluate_policy(rows, p, policy, discount, system, values)
    return len(kernels) + 1, 0.0


@njit
def ascend_kernel(
    code, rows, kernels, policy, discount, initial, tolerance, step, limit,
    p, moved, greedy, system, values, occupancy, improved, q, picked, work,
):  # fmt: skip
    """Projected gradient ascent on the kernel, p <- project(p + step dJ/dp), until the certificate of ``worst_kernel`` is small enough.

    Monotone for every step > 0 on rectangular sets (drpg spec L20). Returns (steps, gap).
    """
    for steps in range(limit + 1):
        evaluate_policy(rows, p, policy, discount, system, values)
        policy_backup(code, rows, kernels, policy, discount, values, improved, greedy, q, picked, work)
        rise, size = 0.0, 1.0
        for s in range(len(values)):
            rise, size = max(rise, improved[s] - values[s]), max(size, abs(values[s]))
        gap = rise / (1 - discount)
        if gap <= tolerance or gap <= 1e-13 * size / (1 - discount) or steps == limit:
            break
        occupy(system, initial, discount, occupancy)
        kernel_gradient(rows, occupancy, policy, discount, values, moved)
        for i in range(len(p)):
            moved[i] = p[i] + step * moved[i]
        project(code, rows, moved, p, work)
    return steps, gap


@njit
def weaken(rows, policy, discount, initial, loss, p, mixed, system, values):
    """Mix ``p`` with the nominal kernel until J has fallen by ``loss`` (all the way if that is less): a worst feasible inner solver.

    ``p``, ``values`` and ``system`` become those of the mixture; returns what J lost.
    """
    evaluate_policy(rows, p, policy, discount, system, values)
    top, low, high = total(initial, values), 0.0, 1.0
    mixed[:] = p
    share = 1.0
    for _ in range(60):
        for i in range(len(p)):
            p[i] = (1 - share) * mixed[i] + share * rows.nominal[i]
        evaluate_policy(rows, p, policy, discount, system, values)
        lost = top - total(initial, values)
        if lost <= loss:
            low = share
        else:
            high = share
        if low == 1.0 or abs(lost - loss) <= 1e-10 * (1 + loss):
            break
        share = 0.5 * (low + high)
    return lost


@njit
def project_policy(policy, missing):
    """Every row of ``policy`` [S, A] onto the simplex of the actions that the state has; ``missing``: rows s * A + a of the others."""
    A = policy.shape[1]
    for r in missing:
        policy[r // A, r % A] = -np.inf
    project_simplex_rows(policy)


@njit
def project_simplex_rows(policy):
    """Every row onto the simplex, in the Euclidean norm: exact threshold, by dropping what lies below it (Michelot 1986).

    Entries of -infinity become 0. Rows far from 0 are moved there first, which changes nothing but how many digits are left of the
    threshold's differences.
    """
    S, A = policy.shape
    for s in range(S):
        row = policy[s]
        top = row[0]
        for a in range(1, A):
            top = max(top, row[a])
        if abs(top) > 1e3:
            for a in range(A):
                row[a] -= top
        mass, count, before = 0.0, A, A + 1
        for a in range(A):
            mass += row[a]
        threshold = (mass - 1.0) / count
        while count < before:
            before, mass, count = count, 0.0, 0
            for a in range(A):
                if row[a] > threshold:
                    mass += row[a]
                    count += 1
            threshold = (mass - 1.0) / count
        for a in range(A):
            row[a] = max(0.0, row[a] - threshold)
