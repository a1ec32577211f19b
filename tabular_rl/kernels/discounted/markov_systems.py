"""Linear systems I - discount P of Markov chains, dense [S, S]: factored once, solved for values and for occupancies.

No library is called: at a few states LAPACK's overhead is longer than the solve, and its threads would fight with the replicates'.
"""

from tabular_rl.kernels.compiling import njit_sums


@njit_sums
def factor(system):
    """LU in place, unit lower triangle: 2/3 S^3 flops.

    No pivots: the system is strictly diagonally dominant by rows, which bounds every growth by 2.
    """
    n = len(system)
    for k in range(n):
        pivot, above = 1.0 / system[k, k], system[k]
        for i in range(k + 1, n):
            row = system[i]
            multiple = row[k] * pivot
            row[k] = multiple
            if multiple != 0.0:
                for j in range(k + 1, n):
                    row[j] -= multiple * above[j]


@njit_sums
def solve_factored(system, x):
    """``x`` becomes system^-1 x."""
    n = len(system)
    for i in range(n):
        total = 0.0
        for j in range(i):
            total += system[i, j] * x[j]
        x[i] -= total
    for i in range(n - 1, -1, -1):
        total = 0.0
        for j in range(i + 1, n):
            total += system[i, j] * x[j]
        x[i] = (x[i] - total) / system[i, i]


@njit_sums
def solve_transposed(system, x):
    """``x`` becomes system^-T x."""
    n = len(system)
    for i in range(n):
        x[i] /= system[i, i]
        for j in range(i + 1, n):
            x[j] -= system[i, j] * x[i]
    for i in range(n - 1, -1, -1):
        for j in range(i):
            x[j] -= system[i, j] * x[i]
