"""A dense kernel to its support, in two passes over it."""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums


@njit_sums
def measure(flat, counts, sums):
    """``counts`` [n] of the non-zeros and ``sums`` [n] of every row of ``flat`` [n, S]; returns how many there are in all."""
    entries = 0
    for r in range(len(flat)):
        row, total, count = flat[r], 0.0, 0
        for t in range(len(row)):
            total += row[t]
            count += row[t] != 0.0
        counts[r], sums[r] = count, total
        entries += count
    return entries


@njit
def compress(flat, cost, successor, nominal, of_moves):
    """The non-zeros of ``flat`` [n, S] row by row: their columns, themselves, and the costs [n, S] there (unless that array is empty)."""
    i = 0
    for r in range(len(flat)):
        for t in range(flat.shape[1]):
            if flat[r, t] != 0.0:
                successor[i], nominal[i] = np.uint32(t), flat[r, t]
                if len(of_moves) > 0:
                    of_moves[i] = cost[r, t]
                i += 1
