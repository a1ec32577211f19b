"""Discounted kernels: one Bellman sweep, and repeated sweeps of a fixed policy; dense and CSR.

Shapes: ``P`` [S, A, S] or CSR arrays with row s * A + a; ``reward``, ``q_values`` [S, A]; ``values`` [S]; ``actions`` [S] int.
A dense sweep reads 8 S^2 A bytes and does 2 S^2 A flops: it runs at the speed of memory. A sparse one reads 12 bytes per entry.
"""

import numpy as np
from numba import literally

from tabular_rl.kernels.compiling import njit, njit_sums
from tabular_rl.kernels.episodic.episodes import expectations


@njit_sums
def improve_dense(P, reward, discount, values, cut, q_values, improved, actions):
    """One Bellman sweep: ``improved`` = T values, its greedy ``actions`` (ties: lowest index); returns (min, max) of improved - values.

    An action whose old q-value lies more than ``cut`` under the best of its state is skipped for good (its q-value becomes -inf):
    with the cut of the two-sided bounds it is proven suboptimal (MacQueen 1967).
    """
    S, A = reward.shape
    picked, expected = np.empty(A, np.int64), np.empty(A)
    low, high = np.inf, -np.inf
    for s in range(S):
        top = -np.inf
        for a in range(A):
            top = max(top, q_values[s, a])
        count = 0
        for a in range(A):
            if top - q_values[s, a] > cut:
                q_values[s, a] = -np.inf
            else:
                picked[count] = a
                count += 1
        expectations(P[s], picked, count, values, expected)
        best, greedy = -np.inf, 0
        for i in range(count):
            a = picked[i]
            q = reward[s, a] + discount * expected[a]
            q_values[s, a] = q
            if q > best:
                best, greedy = q, a
        improved[s], actions[s] = best, greedy
        low, high = min(low, best - values[s]), max(high, best - values[s])
    return low, high


@njit  # rows are short: vector gathers would lose
def improve_sparse(data, indices, indptr, reward, discount, values, cut, q_values, improved, actions):
    """``improve_dense`` over CSR rows; unsigned indices and positions spare the test for negative ones (2 times faster)."""
    S, A = reward.shape
    low, high = np.inf, -np.inf
    for s in range(S):
        top = -np.inf
        for a in range(A):
            top = max(top, q_values[s, a])
        best, greedy = -np.inf, 0
        for a in range(A):
            if top - q_values[s, a] > cut:
                q_values[s, a] = -np.inf
                continue
            expected = 0.0
            for i in range(np.uintp(indptr[s * A + a]), np.uintp(indptr[s * A + a + 1])):
                expected += data[i] * values[indices[i]]
            q = reward[s, a] + discount * expected
            q_values[s, a] = q
            if q > best:
                best, greedy = q, a
        improved[s], actions[s] = best, greedy
        low, high = min(low, best - values[s]), max(high, best - values[s])
    return low, high


@njit_sums
def evaluate_dense(P, reward, discount, actions, values, scratch, target, sweeps):
    """Sweep a fixed policy until the span of a change is below ``target``, at most ``sweeps`` times; the last change's mid-point
    correction is applied. ``values`` is updated in place; returns the number of sweeps.
    """
    shift = discount / (1 - discount)
    now, after = values, scratch
    for sweep in range(1, sweeps + 1):
        low, high = np.inf, -np.inf
        for s in range(len(now)):
            row = P[s, actions[s]]
            expected = 0.0
            for t in range(len(now)):
                expected += row[t] * now[t]
            after[s] = reward[s, actions[s]] + discount * expected
            change = after[s] - now[s]
            low, high = min(low, change), max(high, change)
        now, after = after, now
        if high - low <= target:
            break
    values[:] = now + shift * 0.5 * (low + high)
    return sweep


@njit
def rows_of_policy(data, indices, indptr, reward, actions, out_data, out_indices, out_indptr, out_reward):
    """The CSR rows and rewards of a deterministic policy, contiguous: what its evaluation sweeps read again and again."""
    S, A = reward.shape
    out_indptr[0] = 0
    for s in range(S):
        row = s * A + actions[s]
        length = indptr[row + 1] - indptr[row]
        start = out_indptr[s]
        for i in range(length):
            out_data[start + i] = data[indptr[row] + i]
            out_indices[start + i] = indices[indptr[row] + i]
        out_indptr[s + 1] = start + length
        out_reward[s] = reward[s, actions[s]]


@njit
def evaluate_sparse(data, indices, indptr, reward, discount, values, scratch, target, sweeps):
    """``evaluate_dense`` on the CSR rows of a policy, ``reward`` [S]."""
    shift = discount / (1 - discount)
    now, after = values, scratch
    for sweep in range(1, sweeps + 1):
        low, high = np.inf, -np.inf
        for s in range(len(now)):
            expected = 0.0
            for i in range(np.uintp(indptr[s]), np.uintp(indptr[s + 1])):
                expected += data[i] * now[indices[i]]
            after[s] = reward[s] + discount * expected
            change = after[s] - now[s]
            low, high = min(low, change), max(high, change)
        now, after = after, now
        if high - low <= target:
            break
    values[:] = now + shift * 0.5 * (low + high)
    return sweep


WIDTHS = (2, 4, 5, 6, 8)  # row lengths that have a sweep of their own


@njit
def padded_rows_of_policy(data, indices, indptr, reward, actions, out_data, out_indices, out_reward):
    """The same rows, each filled up with zeros to one of WIDTHS: ``out_data``, ``out_indices`` [S, width]."""
    S, A = reward.shape
    for s in range(S):
        row = s * A + actions[s]
        start, length = indptr[row], indptr[row + 1] - indptr[row]
        for i in range(out_data.shape[1]):
            out_data[s, i] = data[start + i] if i < length else 0.0
            out_indices[s, i] = indices[start + i] if i < length else 0
        out_reward[s] = reward[s, actions[s]]


@njit
def evaluate_padded(data, indices, reward, discount, values, scratch, target, sweeps):
    """``evaluate_sparse`` on rows [S, width] of ``padded_rows_of_policy``: a width that the compiler knows is twice as fast."""
    shift, width = discount / (1 - discount), data.shape[1]
    now, after = values, scratch
    for sweep in range(1, sweeps + 1):
        if width == 2:
            low, high = _padded_sweep(data, indices, reward, discount, now, after, 2)
        elif width == 4:
            low, high = _padded_sweep(data, indices, reward, discount, now, after, 4)
        elif width == 5:
            low, high = _padded_sweep(data, indices, reward, discount, now, after, 5)
        elif width == 6:
            low, high = _padded_sweep(data, indices, reward, discount, now, after, 6)
        else:
            low, high = _padded_sweep(data, indices, reward, discount, now, after, 8)
        now, after = after, now
        if high - low <= target:
            break
    values[:] = now + shift * 0.5 * (low + high)
    return sweep


@njit
def _padded_sweep(data, indices, reward, discount, now, after, width):
    literally(width)
    low, high = np.inf, -np.inf
    for s in range(len(now)):
        expected = 0.0
        for i in range(width):
            expected += data[s, i] * now[indices[s, i]]
        after[s] = reward[s] + discount * expected
        change = after[s] - now[s]
        low, high = min(low, change), max(high, change)
    return low, high
