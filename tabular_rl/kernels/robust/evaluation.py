"""A policy against an adversary: values of a policy and a kernel, the adversary's ways to a worst kernel, the steps of both.

A kernel is a flat array [entries] of moves; ``policy``, ``q`` [S, A]; the rest [S]. ``Game``, ``Answer``: see ``rows``.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_inline, njit_sums
from tabular_rl.kernels.discounted.markov_systems import factor, solve_factored, solve_transposed
from tabular_rl.kernels.robust.rows import FINITE, HULL, INTERVAL, S_KL, S_L1, S_L2, Answer, workspace
from tabular_rl.kernels.robust.sweeps import average, backup, expected, greedy, project, state_evaluation
from tabular_rl.kernels.simplex import project_rows

ROUNDING = 1e-13  # of values, relative to their size: no smaller rise is told from none


def answer_to(game, kernel=None, direct=True):
    """An ``Answer`` to fill, from a copy of ``kernel`` [entries] on; not ``direct``: without the system.

    Default: the nominal kernel, or any member of a set that need not have it.
    """
    S, A, entries = game.rows.states, game.rows.actions, len(game.rows.nominal)
    answer = Answer(
        np.array(game.rows.nominal if kernel is None else kernel), np.zeros(S), np.empty((S, S) if direct else (0, 0)), np.empty(S),
        np.empty(entries), np.empty(S), np.empty((S, A)), np.empty(entries), np.arange(S * A), workspace(game.rows, game.code),
    )  # fmt: skip
    if kernel is None and game.code in (FINITE, HULL, INTERVAL):
        policy_backup(game, np.full((S, A), 1 / A), answer)
        answer.kernel[:] = answer.greedy
    return answer


@njit_sums
def policy_chain(rows, p, policy, discount, system, mean_cost):
    """Fill ``system`` [S, S] = I - discount P_policy and the expected cost [S] of a step."""
    S, A = policy.shape
    dense = len(rows.successor) == 0
    for s in range(S):
        row, total = system[s], 0.0
        for t in range(S):
            row[t] = 0.0
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
    """Exact values of a policy against a kernel; ``system`` holds the factors afterwards, for ``discounted_occupancy``."""
    policy_chain(rows, p, policy, discount, system, values)
    factor(system)
    solve_factored(system, values)


@njit
def discounted_occupancy(system, initial, discount, occupancy):
    """(1 - discount) initial (I - discount P_policy)^-1, which sums to 1, from the factors of ``evaluate_policy``."""
    for s in range(len(initial)):
        occupancy[s] = (1 - discount) * initial[s]
    solve_transposed(system, occupancy)


@njit
def policy_gradient(game, occupancy, q, gradient):
    """``gradient`` [S, A] = dJ/dpolicy = occupancy[s] q[s, a] / (1 - discount), 0 at pairs that do not exist; returns its norm.

    It may be ``q``, the mean costs to go of the pairs against the kernel of J (drpg spec 6.1).
    """
    S, A = q.shape
    square = 0.0
    for r in game.missing:
        q[r // A, r % A] = 0.0
    for s in range(S):
        for a in range(A):
            gradient[s, a] = q[s, a] * (occupancy[s] / (1 - game.discount))
            square += gradient[s, a] ** 2
    return np.sqrt(square)


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
def descend(policy, step, gradient, missing):
    """policy <- the projection of policy - step gradient: every row onto the simplex of the actions that the state has.

    ``missing``: rows s * A + a of the others.
    """
    S, A = policy.shape
    for s in range(S):
        for a in range(A):
            policy[s, a] -= step * gradient[s, a]
    for r in missing:
        policy[r // A, r % A] = -np.inf
    project_rows(policy)


@njit
def ascend(game, policy, step, answer):
    """kernel <- the projection of kernel + step dJ/dkernel on the set, from the values and factors of (policy, kernel)."""
    p, moved = answer.kernel, answer.moved
    discounted_occupancy(answer.system, game.initial, game.discount, answer.occupancy)
    kernel_gradient(game.rows, answer.occupancy, policy, game.discount, answer.values, moved)
    for i in range(len(p)):
        moved[i] = p[i] + step * moved[i]
    project(game.code, game.rows, moved, p, answer.work)


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
            s, least = r // A, np.inf
            for a in range(A):
                least = min(least, q[s, a])
        if q[s, r % A] - least > cut:
            q[s, r % A] = np.inf
        else:
            picked[count] = r
            count += 1
    return count


@njit
def improve_pairs(game, picked, cut, values, agent, improved, worst):
    """A sweep over the rows ``picked`` that survive ``cut``: agent.q, ``improved`` [S], agent.actions, and ``worst`` unless empty.

    Returns (rows left at the front of ``picked``, min and max of improved - values).
    """
    q = agent.q
    count = surviving(q, cut, picked) if cut < np.inf else len(picked)
    backup(game.code, game.rows, picked[:count], game.discount, values, q.reshape(q.size), worst, agent.work)
    low, high = greedy(q, values, improved, agent.actions)
    return count, low, high


@njit
def sweep_policy(game, agent, values, scratch, target, sweeps):
    """Robust sweeps v <- T_policy v until the span of a change is below ``target``, at most ``sweeps``; then the last change's mid-point.

    The policy is agent.actions [S] for (s,a)-rectangular sets, agent.policy [S, A] for the others. Returns the number of sweeps.
    """
    code, rows, discount = game.code, game.rows, game.discount
    picked, q, nothing = agent.rows_of_policy, agent.of_policy, np.empty(0)
    by_state = code in (S_L1, S_KL, S_L2)
    shift = discount / (1 - discount)
    now, after = values, scratch
    for s in range(rows.states):
        picked[s] = s * rows.actions + agent.actions[s]
    for sweep in range(1, sweeps + 1):
        if by_state:
            low, high = state_evaluation(code, rows, agent.policy, discount, now, after, nothing, agent.work)
        else:
            backup(code, rows, picked, discount, now, q, nothing, agent.work)
            low, high = np.inf, -np.inf
            for s in range(rows.states):
                after[s] = q[picked[s]]
                low, high = min(low, after[s] - now[s]), max(high, after[s] - now[s])
        now, after = after, now
        if high - low <= target:
            break
    for s in range(rows.states):
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
def copy(source, target):
    """target[i] = source[i]; an array assignment would take the compiler seconds."""
    for i in range(len(target)):
        target[i] = source[i]


@njit_inline
def hull_backup(game, policy, answer):
    """T_policy v of the s-rectangular hull of the ``kernels`` [M, entries]: in every state the worst of them (ties: the first)."""
    rows, kernels, q, improved, worst = game.rows, game.kernels, answer.q, answer.improved, answer.greedy
    S, A = policy.shape
    for m in range(len(kernels)):
        expected(rows, kernels[m], answer.pairs, game.discount, answer.values, q.reshape(S * A))
        for s in range(S):
            here = total(policy[s], q[s])
            if m == 0 or here > improved[s]:
                improved[s] = here
                for i in range(rows.pointer[s * A], rows.pointer[s * A + A]):
                    worst[i] = kernels[m, i]


@njit_inline
def policy_backup(game, policy, answer):
    """answer.improved = T_policy values, and answer.greedy, the kernel that attains it: in all pairs where the set is (s,a)-rectangular."""
    code, rows, values, improved, worst = game.code, game.rows, answer.values, answer.improved, answer.greedy
    if code == HULL:
        hull_backup(game, policy, answer)
    elif code in (S_L1, S_KL, S_L2):
        state_evaluation(code, rows, policy, game.discount, values, improved, worst, answer.work)
    else:
        q = answer.q
        backup(code, rows, answer.pairs, game.discount, values, q.reshape(q.size), worst, answer.work)
        average(q, policy, values, improved)


@njit
def certificate(values, improved, discount):
    """(gap, its rounding): no kernel has values more than gap = max (improved - values)^+ / (1 - discount) above ``values``, where
    ``improved`` = T_policy values (drpg spec L9).

    >>> float(certificate(np.array([1.0, 2.0]), np.array([1.25, 2.0]), 0.5)[0])
    0.5
    """
    rise, size = 0.0, 1.0
    for s in range(len(values)):
        rise, size = max(rise, improved[s] - values[s]), max(size, abs(values[s]))
    return rise / (1 - discount), ROUNDING * size / (1 - discount)


@njit_inline
def certify(game, policy, answer):
    """Values of (policy, kernel) and their backup: the ``certificate`` of the kernel."""
    evaluate_policy(game.rows, answer.kernel, policy, game.discount, answer.system, answer.values)
    policy_backup(game, policy, answer)
    return certificate(answer.values, answer.improved, game.discount)


@njit
def worst_kernel(game, policy, tolerance, limit, answer):
    """The adversary's policy iteration (drpg spec 5.1) from answer.kernel, which becomes the answer. Returns (solves, gap).

    J(policy, kernel) <= worst case <= J(policy, kernel) + gap, and gap <= tolerance (or the rounding of the values) unless ``limit``
    solves did not suffice. ``greedy`` is the last backup's kernel: as bad as the answer, and also where the policy does not go.
    """
    for solves in range(1, limit + 1):
        gap, rounding = certify(game, policy, answer)
        if gap <= tolerance or gap <= rounding:
            break
        if solves < limit:
            copy(answer.greedy, answer.kernel)
    return solves, gap


@njit
def ascend_kernel(game, policy, tolerance, step, limit, answer):
    """Projected gradient ascent on the kernel, p <- project(p + step dJ/dp), until the certificate of ``worst_kernel`` is small enough.

    Monotone for every step > 0 on rectangular sets (drpg spec L20). Returns (steps, gap).
    """
    for steps in range(limit + 1):
        gap, rounding = certify(game, policy, answer)
        if gap <= tolerance or gap <= rounding or steps == limit:
            break
        ascend(game, policy, step, answer)
    return steps, gap


@njit
def worst_of_list(game, policy, answer):
    """The worst of finitely many whole kernels, by trying each (ties: the first). Returns (solves, 0)."""
    kernels, worst, index = game.kernels, -np.inf, 0
    for m in range(len(kernels)):
        evaluate_policy(game.rows, kernels[m], policy, game.discount, answer.system, answer.values)
        objective = total(game.initial, answer.values)
        if objective > worst:
            worst, index = objective, m
    copy(kernels[index], answer.kernel)
    evaluate_policy(game.rows, answer.kernel, policy, game.discount, answer.system, answer.values)
    return len(kernels) + 1, 0.0


@njit
def weaken(game, policy, loss, answer):
    """Mix the kernel with the nominal one until J has fallen by ``loss`` (all the way if that is less): a worst feasible inner solver.

    Values and factors become those of the mixture; returns what J lost.
    """
    p, mixed, values = answer.kernel, answer.moved, answer.values
    evaluate_policy(game.rows, p, policy, game.discount, answer.system, values)
    top, low, high = total(game.initial, values), 0.0, 1.0
    copy(p, mixed)
    share = 1.0
    for _ in range(60):
        for i in range(len(p)):
            p[i] = (1 - share) * mixed[i] + share * game.rows.nominal[i]
        evaluate_policy(game.rows, p, policy, game.discount, answer.system, values)
        lost = top - total(game.initial, values)
        if lost <= loss:
            low = share
        else:
            high = share
        if low == 1.0 or abs(lost - loss) <= 1e-10 * (1 + loss):
            break
        share = 0.5 * (low + high)
    return lost


@njit
def finish_unused(game, policy, answer):
    """Where the policy never goes the kernel is the greedy one too: J is the same, and steps become monotone (drpg spec L19)."""
    S, A = policy.shape
    for s in range(S):
        for a in range(A):
            if policy[s, a] == 0.0:
                for i in range(game.rows.pointer[s * A + a], game.rows.pointer[s * A + a + 1]):
                    answer.kernel[i] = answer.greedy[i]
