"""Numbers that belong to moves (s, a, t): rewards and costs that depend on the next state."""

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.availability import real_where, sparse_where


def check_shape(name, value, kernel, S, A):
    """``value`` may be numbers of pairs, or of moves beside ``kernel``: an error of its shape comes before any of its contents."""
    if not hasattr(value, "tocsr"):
        shape, sparse = check.shape(name, value), hasattr(kernel, "tocsr")
        if shape != (S, A) and (sparse or shape != (S, A, S)):
            also = f"or be a sparse matrix ({S * A}, {S}) of moves" if sparse else f"or ({S}, {A}, {S}), of moves"
            raise ValueError(f"{name} must have shape ({S}, {A}) {also}, got {shape}")
    elif not hasattr(kernel, "tocsr"):
        raise TypeError(f"{name} must be an array of real numbers beside a dense kernel, got {type(value).__name__}")
    elif value.shape != (S * A, S):
        raise ValueError(f"{name} of moves must have the kernel's shape ({S * A}, {S}), got {value.shape}")


def of_pairs_or_moves(name, value, kernel, available):
    """Rewards or costs, read-only: [S, A]; or of moves, [S, A, S] beside a dense ``kernel``, CSR with its entries beside a sparse one."""
    if hasattr(value, "tocsr"):
        return _aligned(name, sparse_where(available, name, value), kernel)
    return check.frozen(real_where(available, name, value, check.shape(name, value)), value)


def mean_of_moves(kernel, moves, shape=None):
    """[..., S, A] mean under ``kernel`` of numbers of moves, read-only; exactly their value where all moves of a pair agree.

    ``shape`` (S, A) of CSR rows.
    """
    if isinstance(kernel, np.ndarray):
        possible = kernel > 0
        low, high = np.where(possible, moves, np.inf).min(axis=-1), np.where(possible, moves, -np.inf).max(axis=-1)
        mean = np.einsum("...t,...t->...", kernel, moves)
    else:
        starts = kernel.indptr[:-1]
        low, high = np.minimum.reduceat(moves.data, starts), np.maximum.reduceat(moves.data, starts)
        mean = np.add.reduceat(moves.data * kernel.data, starts)
    mean = np.where(low == high, low, mean)  # whatever its row rounds to
    mean.flags.writeable = False
    return mean if shape is None else mean.reshape(shape)


def _aligned(name, values, kernel):
    """The numbers of moves as CSR with exactly the entries of ``kernel``."""
    from scipy.sparse import csr_array

    S = kernel.shape[1]

    def keys(matrix):
        return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * S + matrix.indices

    wanted, there = keys(kernel), keys(values)
    place = np.searchsorted(there, wanted)
    found = place < len(there)
    found[found] = there[place[found]] == wanted[found]
    if found.sum() < len(there):
        row, column = divmod(int(np.setdiff1d(there, wanted)[0]), S)
        raise ValueError(f"{name}[{row}, {column}] belongs to a move that the kernel does not make")
    data = np.zeros(len(wanted))
    data[found] = values.data[place[found]]
    result = csr_array((data, kernel.indices, kernel.indptr), shape=kernel.shape)
    result.data.flags.writeable = False
    return result
