"""A robust model as kernels read it: rows of successors, and the codes of the kinds of sets. Brings no compiler with it."""

from typing import NamedTuple

import numpy as np

NOMINAL, L1, WEIGHTED_L1, INTERVAL, L_INFINITY, DENSITY_RATIO, L2, KL, CHI_SQUARE, WASSERSTEIN, CONTAMINATION, ELLIPSOID, FINITE = range(13)
S_L1, S_KL, S_L2 = range(20, 23)
PER_STATE = (S_L1, S_KL, S_L2)
PROJECTABLE = (NOMINAL, L1, L2, L_INFINITY, INTERVAL, DENSITY_RATIO, CONTAMINATION, S_L1)  # have a Euclidean projection
LARGEST_DENSE = 2**28  # entries that a set of full support may unfold a sparse nominal kernel to
HULL, LIST = -101, -102  # of whole kernels [M, entries]: their s-rectangular hull, or one of them (not rectangular)


class Rows(NamedTuple):
    """A robust model as kernels read it; row r = s * A + a. All arrays are read-only: one compiled version serves every model.

    ``pointer`` [S*A + 1]: row r owns the entries pointer[r] : pointer[r + 1]. ``successor`` [entries], uint32; EMPTY when every row has all
    S states in their order. ``nominal`` [entries]. ``cost``: of the row [S*A] if ``pair_costs``, else of the entry. ``radius`` [S*A], or
    [S] for sets of whole states. ``table`` [k, n]: what else the set is made of (weights; lower and upper; distances; rows of kernels).
    """

    states: int
    actions: int
    pointer: np.ndarray
    successor: np.ndarray
    nominal: np.ndarray
    cost: np.ndarray
    pair_costs: bool
    radius: np.ndarray
    table: np.ndarray


class Work(NamedTuple):
    """Buffers of one thread: ``numbers`` [8, n], ``places`` [6, n]."""

    numbers: np.ndarray
    places: np.ndarray


class Game(NamedTuple):
    """A robust MDP as compiled loops read it: the code of its set, its rows, the start distribution [S] and the discount.

    ``kernels`` [M, entries]: the whole kernels of a finite set, else empty. ``missing``: rows s * A + a of pairs that do not exist.
    """

    code: int
    rows: Rows
    kernels: np.ndarray
    initial: np.ndarray
    discount: float
    missing: np.ndarray


class Answer(NamedTuple):
    """The adversary's answer to a policy and what belongs to it; filled in place.

    ``kernel`` [entries], ``values`` [S] of the policy against it, ``system`` [S, S]: the factors of I - discount P_policy (see
    ``evaluate_policy``), ``occupancy`` [S], which sums to 1. ``greedy`` [entries] and ``improved`` [S]: the worst kernel at ``values`` and
    T_policy values; ``q`` [S, A]: a value, or a gradient, of every pair. ``moved`` [entries], ``work``: buffers; ``pairs``: 0 .. S*A - 1.
    """

    kernel: np.ndarray
    values: np.ndarray
    system: np.ndarray
    occupancy: np.ndarray
    greedy: np.ndarray
    improved: np.ndarray
    q: np.ndarray
    moved: np.ndarray
    pairs: np.ndarray
    work: Work


def workspace(rows, code=L1):
    """Buffers for rows of this length; sets of whole states need the rows of a state together."""
    step = rows.actions if code in PER_STATE else 1
    longest = max(int(np.diff(rows.pointer[::step]).max()), rows.states)
    return Work(np.zeros((8, longest)), np.zeros((6, longest), np.int64))
