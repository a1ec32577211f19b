"""Robust Bellman sweeps: every row's worst case in one compiled loop per kind of set.

Cost convention: the agent minimizes, the adversary maximizes, q[s, a] = max over the row's set of sum_t p_t (cost + discount values[t]).
Rows are kept compressed (``Rows``), so that a loop runs over the successors of a row and not over all states. The kind of set is an
integer code, dispatched once per sweep. Source: drpg spec sections 2, 3, 11.
"""

import numpy as np
from numba import literally

from tabular_rl.kernels.compiling import njit, njit_inline, njit_sums
from tabular_rl.kernels.ordering import argsort
from tabular_rl.kernels.robust import projections, s_rectangular, s_rectangular_smooth
from tabular_rl.kernels.robust import worst_case_l1 as l1
from tabular_rl.kernels.robust.rows import (
    CONTAMINATION,
    DENSITY_RATIO,
    INTERVAL,
    L1,
    L2,
    L_INFINITY,
    NOMINAL,
    S_KL,
    S_L1,
    S_L2,
    WASSERSTEIN,
)
from tabular_rl.kernels.robust.worst_case import bounds, worst_row
from tabular_rl.kernels.simplex import project_simplex


@njit
def backup(code, rows, picked, discount, values, q, worst, work):
    """q[r] for every row r of ``picked``; ``worst`` [entries] gets their worst kernels, unless it is empty."""
    if code == NOMINAL:
        expected(rows, rows.nominal, picked, discount, values, q)
        if len(worst) > 0:
            _copy_nominal(rows, picked, worst)
    elif code == L1 and rows.pair_costs and len(rows.successor) == 0:
        _sweep_l1_ordered(rows, picked, discount, values, q, worst, work)
    elif code == L1 and len(worst) == 0:
        _values_l1(rows, picked, discount, values, q, work)
    else:
        _sweep(code, rows, picked, discount, values, q, worst, work)


@njit
def expected(rows, kernel, picked, discount, values, q):
    """q[r] = sum_t kernel[r, t] (cost + discount values[t]) of the rows ``picked``, under any ``kernel`` [entries]."""
    if len(rows.successor) == 0:
        _expected_dense(rows, kernel, picked, discount, values, q)
        return
    pointer, successor, cost = rows.pointer, rows.successor, rows.cost
    for r in picked:
        total = 0.0
        if rows.pair_costs:
            for i in range(np.uintp(pointer[r]), np.uintp(pointer[r + 1])):
                total += kernel[i] * values[successor[i]]
            q[r] = cost[r] + discount * total
        else:
            for i in range(np.uintp(pointer[r]), np.uintp(pointer[r + 1])):
                total += kernel[i] * (cost[i] + discount * values[successor[i]])
            q[r] = total


@njit_sums
def _expected_dense(rows, kernel, picked, discount, values, q):
    S = rows.states
    for r in picked:
        row, total = kernel[r * S : (r + 1) * S], 0.0
        if rows.pair_costs:
            for t in range(S):
                total += row[t] * values[t]
            q[r] = rows.cost[r] + discount * total
        else:
            cost = rows.cost[r * S : (r + 1) * S]
            for t in range(S):
                total += row[t] * (cost[t] + discount * values[t])
            q[r] = total


@njit
def _copy_nominal(rows, picked, worst):
    for r in picked:
        for i in range(rows.pointer[r], rows.pointer[r + 1]):
            worst[i] = rows.nominal[i]


@njit
def gather(rows, r, discount, values, z):
    """z[:n] of row r: values of its successors if costs are of pairs (q is then cost + discount max p.z), else cost + discount values."""
    start, stop = rows.pointer[r], rows.pointer[r + 1]
    if len(rows.successor) == 0:
        for i in range(stop - start):
            z[i] = values[i]
    else:
        for i in range(np.uintp(start), np.uintp(stop)):
            z[i - np.uintp(start)] = values[rows.successor[i]]
    if not rows.pair_costs:
        for i in range(stop - start):
            z[i] = rows.cost[start + i] + discount * z[i]


@njit_inline
def _sweep(code, rows, picked, discount, values, q, worst, work):
    """One row after the other, each by ``worst_row``; the branch on the code is always the same one, which costs nothing measurable."""
    z, p, states = work.numbers[0], work.numbers[1], work.places[5]
    for r in picked:
        start, stop = rows.pointer[r], rows.pointer[r + 1]
        n = stop - start
        gather(rows, r, discount, values, z)
        if code == WASSERSTEIN:
            for i in range(n):
                states[i] = i if len(rows.successor) == 0 else np.int64(rows.successor[start + i])
        row = worst[start:stop] if len(worst) > 0 else p[:n]
        value = worst_row(code, z[:n], rows.nominal[start:stop], rows.radius[r], rows.table, start, row, work)[0]
        q[r] = rows.cost[r] + discount * value if rows.pair_costs else value


@njit
def _sweep_l1_ordered(rows, picked, discount, values, q, worst, work):
    """Full rows whose costs are of pairs: one order of the values serves all rows."""
    order, depth, S = work.places[0], work.numbers[0], rows.states
    argsort(values, S, order, work.places[1])
    for i in range(S):
        depth[i] = values[order[S - 1]] - values[order[i]]
    for r in picked:
        p0 = rows.nominal[r * S : (r + 1) * S]
        if len(worst) > 0:
            value = l1.worst_l1_ordered(values, p0, rows.radius[r], worst[r * S : (r + 1) * S], order)[0]
        else:
            value = l1.value_l1_ordered(values, p0, rows.radius[r], order, depth)
        q[r] = rows.cost[r] + discount * value


@njit
def _values_l1(rows, picked, discount, values, q, work):
    """Rows without their maximizers; short ones of one length that the compiler knows are 3 times faster."""
    z, p, order = work.numbers[0], work.numbers[1], work.places[0]
    width = rows.pointer[1]
    for r in picked:
        if rows.pointer[r + 1] - rows.pointer[r] != width:
            width = 0
            break
    if len(rows.successor) == 0 or not rows.pair_costs:
        width = 0
    if width == 2:
        _short_l1(rows, picked, discount, values, q, z, 2)
    elif width == 3:
        _short_l1(rows, picked, discount, values, q, z, 3)
    elif width == 4:
        _short_l1(rows, picked, discount, values, q, z, 4)
    elif width == 5:
        _short_l1(rows, picked, discount, values, q, z, 5)
    elif width == 6:
        _short_l1(rows, picked, discount, values, q, z, 6)
    else:
        for r in picked:
            start, stop = rows.pointer[r], rows.pointer[r + 1]
            gather(rows, r, discount, values, z)
            if stop - start <= l1.FEW:
                value = l1.value_l1_few(z, rows.nominal[start:stop], rows.radius[r])
            else:
                n = stop - start
                value = l1.worst_l1(z[:n], rows.nominal[start:stop], rows.radius[r], p[:n], order)[0]
            q[r] = rows.cost[r] + discount * value if rows.pair_costs else value


@njit_sums
def _short_l1(rows, picked, discount, values, q, z, width):
    """The least of the dual bounds at t = z_j: no branches, width^2 fused operations."""
    literally(width)
    for r in picked:
        start, budget, top = np.uintp(rows.pointer[r]), 0.5 * rows.radius[r], -np.inf
        for i in range(width):
            z[i] = values[rows.successor[start + np.uintp(i)]]
            top = max(top, z[i])
        best = top
        for j in range(width):
            bound = budget * (top - z[j])
            for i in range(width):
                bound += rows.nominal[start + np.uintp(i)] * max(z[i], z[j])
            best = min(best, bound)
        q[r] = rows.cost[r] + discount * best


@njit
def greedy(q, values, improved, actions):
    """``improved`` [S] = min over actions of q [S, A], ``actions`` where (ties: lowest index); returns (min, max) of improved - values."""
    low, high = np.inf, -np.inf
    for s in range(len(q)):
        best, least = 0, q[s, 0]
        for a in range(1, q.shape[1]):
            if q[s, a] < least:
                best, least = a, q[s, a]
        improved[s], actions[s] = least, best
        low, high = min(low, least - values[s]), max(high, least - values[s])
    return low, high


@njit
def average(q, policy, values, improved):
    """``improved`` [S] = sum over actions of policy q, both [S, A] (an action of probability 0 is not looked at); returns (min, max) of
    improved - values."""
    low, high = np.inf, -np.inf
    for s in range(len(q)):
        total = 0.0
        for a in range(q.shape[1]):
            if policy[s, a] > 0.0:
                total += policy[s, a] * q[s, a]
        improved[s] = total
        low, high = min(low, total - values[s]), max(high, total - values[s])
    return low, high


@njit
def state_backup(code, rows, discount, values, improved, policy, worst, work):
    """T values of an s-rectangular set: ``improved`` [S], the minimizing ``policy`` [S, A], and, unless empty, ``worst`` [entries].

    Returns (min, max) of improved - values.
    """
    A, low, high = rows.actions, np.inf, -np.inf
    z, mass, gain, order, spare = work.numbers[0], work.numbers[1], work.numbers[2], work.places[0], work.places[1]
    if code not in (S_L1, S_KL, S_L2):
        raise ValueError("no s-rectangular set has this code")
    for s in range(rows.states):
        pointer = rows.pointer[s * A : (s + 1) * A + 1]
        start, stop = pointer[0], pointer[A]
        p0, radius = rows.nominal[start:stop], rows.radius[s]
        gather_state(rows, s, discount, values, z)
        p = worst[start:stop] if len(worst) > 0 else mass[: stop - start]
        if code == S_L1:
            p = p if len(worst) > 0 else worst
            u = s_rectangular.optimise_l1(z, p0, pointer, radius, policy[s], p, mass, gain, order, spare)
        else:
            budget = radius if code == S_KL else radius * radius
            u = s_rectangular_smooth.optimize(code, z, p0, pointer, budget, policy[s], p, order)
        improved[s] = u
        low, high = min(low, u - values[s]), max(high, u - values[s])
    return low, high


@njit
def state_evaluation(code, rows, policy, discount, values, improved, worst, work):
    """T_policy values of an s-rectangular set: ``improved`` [S] and, unless empty, ``worst`` [entries]; rows of actions of probability 0
    keep the nominal ones. Returns (min, max) of improved - values.
    """
    A, low, high = rows.actions, np.inf, -np.inf
    z, keys, left, order = work.numbers[0], work.numbers[1], work.numbers[2], work.places[0]
    if code not in (S_L1, S_KL, S_L2):
        raise ValueError("no s-rectangular set has this code")
    for s in range(rows.states):
        pointer = rows.pointer[s * A : (s + 1) * A + 1]
        start, stop = pointer[0], pointer[A]
        p0, radius = rows.nominal[start:stop], rows.radius[s]
        gather_state(rows, s, discount, values, z)
        p = worst[start:stop] if len(worst) > 0 else left[: stop - start]
        if code == S_L1:
            u = s_rectangular.evaluate_l1(z, p0, pointer, radius, policy[s], p, keys, order)
        elif code == S_KL:
            u = s_rectangular_smooth.evaluate_kl(z, p0, pointer, radius, policy[s], p)
        else:
            u = s_rectangular_smooth.evaluate_l2(z, p0, pointer, radius, policy[s], p, order)
        improved[s] = u
        low, high = min(low, u - values[s]), max(high, u - values[s])
    return low, high


@njit
def gather_state(rows, s, discount, values, z):
    """z = cost + discount values of the successors of all rows of state s, one after the other."""
    first = rows.pointer[s * rows.actions]
    for r in range(s * rows.actions, (s + 1) * rows.actions):
        start, stop = rows.pointer[r], rows.pointer[r + 1]
        for i in range(start, stop):
            value = values[i - start] if len(rows.successor) == 0 else values[rows.successor[i]]
            z[i - first] = (rows.cost[r] if rows.pair_costs else rows.cost[i]) + discount * value


@njit
def project(code, rows, x, out, work):
    """``out`` [entries] = the Euclidean projection of ``x`` on the set, row by row or state by state; for the codes of PROJECTABLE.

    NOMINAL stands for the simplex here.
    """
    depth, capacity, order = work.numbers[4], work.numbers[5], work.places[0]
    step = rows.actions if code == S_L1 else 1
    for r in range(0, rows.states * rows.actions, step):
        start, stop = rows.pointer[r], rows.pointer[r + step]
        n = stop - start
        y, p0, p = x[start:stop], rows.nominal[start:stop], out[start:stop]
        if code == NOMINAL:
            project_simplex(y, p)
        elif code == L1:
            projections.project_l1(y, p0, rows.radius[r], p, depth[:n], capacity[:n])
        elif code == L2:
            projections.project_l2(y, p0, rows.radius[r], p, depth[:n], capacity[:n], order)
        elif code == S_L1:
            pointer = rows.pointer[r : r + step + 1]
            projections.project_state_l1(y, p0, pointer, rows.radius[r // step], p)
        elif code == CONTAMINATION:
            lower, upper = work.numbers[2, :n], work.numbers[3, :n]
            for i in range(n):
                lower[i], upper[i] = (1.0 - rows.radius[r]) * p0[i], 1.0
            projections.project_box(y, lower, upper, p, depth[:n], capacity[:n])
        elif code in (INTERVAL, L_INFINITY, DENSITY_RATIO):
            lower, upper = bounds(code, p0, rows.radius[r], rows.table, start, work)
            projections.project_box(y, lower, upper, p, depth[:n], capacity[:n])
        else:
            raise ValueError("no projection is known for this code")
