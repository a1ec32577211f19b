"""Discounted MDPs, dense or sparse."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import initial_distribution


@dataclass(frozen=True, eq=False, repr=False)
class DiscountedMDP:
    """An infinite-horizon discounted Markov decision process, validated when built and read-only afterwards.

    Parameters
    ----------
    transition : array [S, A, S] or scipy.sparse (S*A, S)
        ``transition[s, a, t]`` is the probability of state t after action a in state s; rows sum to 1 within 1e-9.
        A sparse matrix holds the pair (s, a) in row ``s * A + a`` and is kept as CSR with int32 indices.
    reward : array [S, A]
        Mean reward, finite.
    discount : float
        In (0, 1).
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.
    states, actions : sequences of hashables, optional
        Labels, for people.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.
    """

    transition: Any
    reward: Any
    discount: Any
    initial: Any = None
    states: Any = None
    actions: Any = None
    # for the solvers' certificates: the largest |row sum - 1|, and the most non-zero entries of a row
    row_error: float = field(init=False)
    row_entries: int = field(init=False)

    def __post_init__(self):
        reward = check.real_array("reward", self.reward, (None, None))
        S, A = reward.shape
        if 0 in (S, A):
            raise ValueError(f"reward must have at least one state and one action, got shape {reward.shape}")
        sparse = hasattr(self.transition, "tocsr")
        transition, sums, entries = (sparse_kernel if sparse else dense_kernel)("transition", self.transition, S, A)
        for name, value in {
            "transition": transition,
            "reward": check.frozen(reward, self.reward),
            "discount": check.number("discount", self.discount, above=0, below=1),
            "initial": initial_distribution(self.initial, S),
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
            "row_error": float(np.max(np.abs(sums - 1))),
            "row_entries": int(np.max(entries)),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self):
        """(S, A)."""
        return self.reward.shape

    n_states = property(lambda self: self.shape[0])
    n_actions = property(lambda self: self.shape[1])

    @property
    def is_sparse(self):
        """Whether the transition is stored as CSR."""
        return not isinstance(self.transition, np.ndarray)

    @property
    def nbytes(self):
        """Bytes of the transition and reward arrays."""
        P = self.transition
        return self.reward.nbytes + (P.data.nbytes + P.indices.nbytes + P.indptr.nbytes if self.is_sparse else P.nbytes)

    def __reduce__(self):
        """Pickled as its arguments: what comes out is read-only as well."""
        return type(self), (self.transition, self.reward, self.discount, self.initial, self.states, self.actions)

    def __repr__(self):
        S, A = self.shape
        kind = f"sparse, {self.transition.nnz} entries" if self.is_sparse else "dense"
        return f"DiscountedMDP(S={S}, A={A}, discount={self.discount}, {kind})"


def dense_kernel(name, value, S, A):
    """(read-only [S, A, S], row sums, non-zero entries of each row) of an argument called ``name``."""
    kernel = check.distribution(name, value, (S, A, S))
    return check.frozen(kernel, value), kernel.sum(axis=-1), np.count_nonzero(kernel, axis=-1)


def sparse_kernel(name, value, S, A):
    """The same of a scipy.sparse matrix (S*A, S), as CSR."""
    if value.shape != (S * A, S):
        raise ValueError(f"{name} must be a sparse matrix of shape ({S * A}, {S}), row s * A + a, got {value.shape}")
    matrix = check.sparse_array(name, value)
    sums = check.sparse_probabilities(name, matrix)
    if matrix.nnz < 2**31:
        matrix.indices, matrix.indptr = (x.astype(np.int32, copy=False) for x in (matrix.indices, matrix.indptr))
    for name in ("data", "indices", "indptr"):
        array = getattr(matrix, name)
        setattr(matrix, name, array if array.base is None else array.copy())  # pruned arrays are views, of what could be written
        getattr(matrix, name).flags.writeable = False
    return matrix, sums, np.diff(matrix.indptr)
