"""Discounted MDPs, dense or sparse."""

from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.models import availability
from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import initial_distribution
from tabular_rl.models.moves import check_shape, mean_of_moves, of_pairs_or_moves
from tabular_rl.models.playable import Playable


@dataclass(frozen=True, eq=False, repr=False)
class DiscountedMDP(availability.Available, Playable):
    """An infinite-horizon discounted Markov decision process, validated when built and read-only afterwards.

    Parameters
    ----------
    transition : array [S, A, S] or scipy.sparse (S*A, S)
        ``transition[s, a, t]`` is the probability of state t after action a in state s; rows sum to 1 within 1e-9.
        A sparse matrix holds the pair (s, a) in row ``s * A + a`` and is kept as CSR with int32 indices.
    reward : array [S, A] or [S, A, S], or scipy.sparse (S*A, S) beside a sparse ``transition``
        Mean reward of a pair, finite; or rewards of moves, then kept in ``move_rewards`` (else None), ``reward`` being their mean.
        A sparse matrix holds the rewards of the transition's moves (what it does not store earns 0) and of no others.
    discount : float
        In (0, 1).
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.
    states, actions : sequences of hashables, optional
        Labels, for people.
    available : bool array [S, A], optional
        Which actions each state has, at least one. Default: all. What the other arrays hold at missing pairs is replaced by the numbers of
        the state's first action: they never count.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

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
    available: Any = None
    normalize: InitVar[bool] = False
    move_rewards: Any = field(init=False)
    # for the solvers' certificates: the largest |row sum - 1|, and the most non-zero entries of a row
    row_error: float = field(init=False)
    row_entries: int = field(init=False)

    def __post_init__(self, normalize):
        sparse = hasattr(self.transition, "tocsr")
        S, A = sizes("transition", self.transition)
        check_shape("reward", self.reward, self.transition, S, A)
        available = availability.mask(self.available, (S, A))
        normalize = check.flag("normalize", normalize)
        transition, sums, entries = (sparse_kernel if sparse else dense_kernel)("transition", self.transition, available, normalize)
        reward = of_pairs_or_moves("reward", self.reward, transition, available)
        moves = None if isinstance(reward, np.ndarray) and reward.ndim == 2 else reward
        for name, value in {
            "transition": transition,
            "reward": reward if moves is None else mean_of_moves(transition, moves, (S, A)),
            "discount": check.discount(self.discount),
            "initial": initial_distribution(self.initial, S, normalize),
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
            "available": available,
            "move_rewards": moves,
            "row_error": float(np.max(np.abs(sums - 1))),
            "row_entries": int(np.max(entries)),
        }.items():
            object.__setattr__(self, name, value)

    @cached_property
    def barred_reward(self):
        """[S, A]: the reward, -inf at pairs that do not exist; what maximizers read."""
        return self.barred(self.reward, -np.inf)

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
        reward = self.reward if self.move_rewards is None else self.move_rewards
        return type(self), (self.transition, reward, self.discount, self.initial, self.states, self.actions, self.packed_available)

    def __repr__(self):
        S, A = self.shape
        kind = f"sparse, {self.transition.nnz} entries" if self.is_sparse else "dense"
        return f"DiscountedMDP(S={S}, A={A}, discount={self.discount}, {kind})"


def sizes(name, kernel):
    """(S, A) of a transition kernel [S, A, S], or sparse (S*A, S), called ``name``."""
    sparse = hasattr(kernel, "tocsr")
    shape = kernel.shape if sparse else check.shape(name, kernel)
    if sparse and len(shape) == 2 and shape[1] > 0 and shape[0] % shape[1] == 0 and shape[0] > 0:
        return shape[1], shape[0] // shape[1]
    if not sparse and len(shape) == 3 and shape[0] == shape[2] and 0 not in shape:
        return shape[:2]
    raise ValueError(f"{name} must have shape [S, A, S], or be sparse of shape (S*A, S) with row s * A + a, got {shape}")


def dense_kernel(name, value, available, normalize):
    """(read-only [S, A, S], row sums, non-zero entries of each row) of an argument called ``name``."""
    S, A = available.shape
    kernel = availability.real_where(available, name, value, (S, A, S))
    kernel = check.frozen(check.probabilities(name, kernel, normalize), value)
    return kernel, kernel.sum(axis=-1), np.count_nonzero(kernel, axis=-1)


def sparse_kernel(name, value, available, normalize):
    """The same of a scipy.sparse matrix (S*A, S), as CSR."""
    matrix = availability.sparse_where(available, name, value)
    sums = check.sparse_probabilities(name, matrix, normalize)
    if matrix.nnz < 2**31:
        matrix.indices, matrix.indptr = (x.astype(np.int32, copy=False) for x in (matrix.indices, matrix.indptr))
    for part in ("data", "indices", "indptr"):
        array = getattr(matrix, part)
        setattr(matrix, part, array if array.base is None else array.copy())  # pruned arrays are views, of what could be written
        getattr(matrix, part).flags.writeable = False
    return matrix, sums, np.diff(matrix.indptr)
