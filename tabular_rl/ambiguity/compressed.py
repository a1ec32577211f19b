"""A nominal kernel and an ambiguity set as the arguments of the compiled sweeps."""

import numpy as np

from tabular_rl.kernels.robust import rows as codes


def rows(nominal, cost, ambiguity):
    """The model as compiled kernels read it: a ``tabular_rl.kernels.robust.rows.Rows``.

    Rows that sum to 1 only up to 1e-9 are normalized. A dense kernel without zeros, or any kernel of which the set may fill the zeros,
    stays dense; others are compressed to their support.

    Parameters
    ----------
    nominal : array [S, A, S] or scipy.sparse CSR (S*A, S)
    cost : array [S, A] or [S, A, S], or CSR with the entries of ``nominal``
    ambiguity : an (s,a)- or s-rectangular set; None for the nominal kernel alone

    Raises
    ------
    TypeError
        The set is not rectangular.
    ValueError
        A shape that does not fit, or a full support too large to unfold.
    """
    if ambiguity is not None and ambiguity.rectangularity == "none":
        raise TypeError(f"robust sweeps need a rectangular set, got {type(ambiguity).__name__}")
    S = nominal.shape[-1]
    A = nominal.shape[0] // S if hasattr(nominal, "tocsr") else nominal.shape[1]
    if ambiguity is not None:
        ambiguity.check_shape(S, A)
    full = ambiguity is not None and ambiguity.is_full
    if hasattr(nominal, "tocsr") and full:
        if S * S * A > codes.LARGEST_DENSE:
            raise ValueError(f"support: the full support of this sparse kernel has {S * S * A} entries, more than {codes.LARGEST_DENSE}")
        nominal = nominal.toarray().reshape(S, A, S)
        cost = cost.toarray().reshape(S, A, S) if hasattr(cost, "tocsr") else cost
    if hasattr(nominal, "tocsr"):
        pointer, successor, data = nominal.indptr.astype(np.int64), nominal.indices.astype(np.uint32), nominal.data
        cost = cost.data if hasattr(cost, "tocsr") else cost
        sums = np.add.reduceat(data, pointer[:-1])
    else:
        pointer, successor, data, cost, sums = _from_dense(nominal.reshape(S * A, S), cost, full)
    pair_costs = np.ndim(cost) == 2
    if ambiguity is None:
        radius, table = np.zeros(S * A), np.zeros((0, 0))
    else:
        places = _places(pointer, successor, S) if ambiguity.by_entry else (None, None)
        radius, table = ambiguity.radii(S, A), ambiguity.table(*places, pointer)
    arrays = (pointer, successor, _normalized(data, sums, pointer), np.ravel(cost), radius, table)
    pointer, successor, data, cost, radius, table = (read_only(x) for x in arrays)
    return codes.Rows(S, A, pointer, successor, data, cost, pair_costs, radius, table)


def _from_dense(flat, cost, full):
    """(pointer, successor, nominal, cost, row sums) of a dense kernel [S*A, S]; ``successor`` is empty where it stays dense."""
    from tabular_rl.kernels.robust import compression  # compiles: sets alone do not

    counts, sums = np.empty(len(flat), np.int64), np.empty(len(flat))
    entries = compression.measure(flat, counts, sums)
    if full or entries == flat.size:
        pointer = np.arange(len(flat) + 1) * flat.shape[1]
        return pointer, np.empty(0, np.uint32), flat.reshape(-1), cost if cost.ndim == 2 else cost.reshape(-1), sums
    pointer = np.concatenate([[0], np.cumsum(counts)])
    successor, data = np.empty(entries, np.uint32), np.empty(entries)
    of_moves = np.empty(entries if cost.ndim == 3 else 0)
    compression.compress(flat, cost.reshape(flat.shape) if cost.ndim == 3 else flat, successor, data, of_moves)
    return pointer, successor, data, of_moves if cost.ndim == 3 else cost, sums


def _places(pointer, successor, n_states):
    """(row, next state) of every entry."""
    if len(successor) == 0:
        return np.divmod(np.arange(pointer[-1]), n_states)
    return np.repeat(np.arange(len(pointer) - 1), np.diff(pointer)), successor


def kernel(rows, entries):
    """A dense kernel [S, A, S] from its ``entries``, such as the worst rows of a sweep."""
    S, A = rows.states, rows.actions
    if len(rows.successor) == 0:
        return np.array(entries).reshape(S, A, S)
    result = np.zeros((S * A, S))
    result[np.repeat(np.arange(S * A), np.diff(rows.pointer)), rows.successor] = entries
    return result.reshape(S, A, S)


def flat(rows, kernel):
    """The entries of a dense ``kernel`` [S, A, S] that vanishes off the rows' support."""
    S, A = rows.states, rows.actions
    if len(rows.successor) == 0:
        return np.array(kernel, dtype=float).reshape(-1)
    return kernel.reshape(S * A, S)[np.repeat(np.arange(S * A), np.diff(rows.pointer)), rows.successor]


def _normalized(data, sums, pointer):
    """Rows divided by their sums where those are off by more than rounding."""
    off = np.abs(sums - 1) > 1e-14
    return data / np.repeat(np.where(off, sums, 1.0), np.diff(pointer)) if off.any() else data


def read_only(array):
    """A C-contiguous read-only view (or copy)."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array
