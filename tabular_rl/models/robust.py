"""Robust MDPs: a nominal transition kernel, costs, and a set of kernels that an adversary chooses from."""

from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.kernels.robust.rows import LARGEST_DENSE
from tabular_rl.models import availability
from tabular_rl.models import validation as check
from tabular_rl.models.discounted import DiscountedMDP, dense_kernel, sizes, sparse_kernel
from tabular_rl.models.finite_horizon import initial_distribution
from tabular_rl.models.moves import check_shape, mean_of_moves, of_pairs_or_moves
from tabular_rl.models.playable import Playable


@dataclass(frozen=True, eq=False, repr=False)
class RobustMDP(availability.Available, Playable):
    """A discounted MDP whose transition kernel an adversary chooses: the agent minimizes cost, the adversary maximizes it.

    Validated when built and read-only afterwards. Robust values lie in [min cost, max cost] / (1 - discount).

    Parameters
    ----------
    nominal : array [S, A, S] or scipy.sparse (S*A, S)
        The kernel in the middle of the ambiguity set, as the transition of a DiscountedMDP.
    cost : array [S, A] or [S, A, S], or scipy.sparse (S*A, S) beside a sparse ``nominal``
        Of a pair, or of a move to a next state. [0, 1] by convention; any finite costs are allowed: the theory's constants scale with
        ``cost_range``. A sparse matrix holds the costs of the nominal's moves (what it does not store costs 0) and of no others.
    discount : float
        In (0, 1).
    initial : array [S] or int
        Start distribution or state. Global guarantees of policy gradients need it positive everywhere.
    ambiguity : a set of ``tabular_rl.ambiguity``
        What the adversary may choose; it is checked against the shape.
    states, actions : sequences of hashables, optional
        Labels, for people.
    reward_range : (low, high), optional
        Set by ``from_mdp``: rewards were turned into costs (high - reward) / (high - low).
    available : bool array [S, A], optional
        Which actions each state has, at least one. Default: all. What the other arrays hold at missing pairs is replaced by the numbers of
        the state's first action: they never count, and nature needs no budget for them.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

    Source: Iyengar (2005), Wiesemann, Kuhn, Rustem (2013); drpg spec section 1.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.
    """

    nominal: Any
    cost: Any
    discount: Any
    initial: Any
    ambiguity: Any
    states: Any = None
    actions: Any = None
    reward_range: Any = None
    available: Any = None
    normalize: InitVar[bool] = False
    # for the solvers' certificates, as in a DiscountedMDP
    row_error: float = field(init=False)
    row_entries: int = field(init=False)

    def __post_init__(self, normalize):
        sparse = hasattr(self.nominal, "tocsr")
        S, A = sizes("nominal", self.nominal)
        check_shape("cost", self.cost, self.nominal, S, A)
        available, normalize = availability.mask(self.available, (S, A)), check.flag("normalize", normalize)
        nominal, sums, entries = (sparse_kernel if sparse else dense_kernel)("nominal", self.nominal, available, normalize)
        for name, value in {
            "nominal": nominal,
            "cost": of_pairs_or_moves("cost", self.cost, nominal, available),
            "discount": check.discount(self.discount),
            "initial": initial_distribution(self.initial, S, normalize),
            "available": available,
            "reward_range": _range(self.reward_range),
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
            "row_error": float(np.max(np.abs(sums - 1))),
            "row_entries": int(np.max(entries)),
        }.items():
            object.__setattr__(self, name, value)
        check.quack("ambiguity", self.ambiguity, "rectangularity", "a set of tabular_rl.ambiguity")
        self.ambiguity.check_shape(S, A)

    @classmethod
    def from_mdp(cls, mdp, ambiguity):
        """The robust form of a DiscountedMDP with rewards.

        Rewards inside [0, 1] become costs 1 - reward, others (high - reward) / (high - low) of their range; ``to_rewards`` maps back.
        Rewards of moves become costs of moves: nature also chooses what is earned. Moves that the model does not make do not count for the
        range, unless the set may make them: then a dense model says what they earn, and what a sparse one does not store earns 0.
        """
        check.kind("mdp", mdp, DiscountedMDP)
        transition, rewards = mdp.transition, mdp.reward if mdp.move_rewards is None else mdp.move_rewards
        full = getattr(ambiguity, "is_full", False)
        if full and not isinstance(rewards, np.ndarray) and np.prod(transition.shape) <= LARGEST_DENSE:
            transition, rewards = (array.toarray().reshape(*mdp.shape, -1) for array in (transition, rewards))
        if isinstance(rewards, np.ndarray):
            made = transition > 0 if rewards.ndim == 3 and not full else np.broadcast_to(True, rewards.shape)
            low, high = reward_range(rewards[made])
            cost = np.where(made, (high - rewards) / (high - low), 0.0)
        else:
            low, high = reward_range(rewards.data)
            cost = rewards.copy()
            cost.data = (high - rewards.data) / (high - low)
        labels = mdp.states, mdp.actions
        return cls(transition, cost, mdp.discount, mdp.initial, ambiguity, *labels, (low, high), mdp.packed_available)

    def to_rewards(self, values):
        """Cost values (or J) as values of the rewards that ``from_mdp`` started from: (high - (high - low) cost), summed up."""
        low, high = (0.0, 1.0) if self.reward_range is None else self.reward_range
        return high / (1 - self.discount) - (high - low) * np.asarray(values)

    @property
    def shape(self):
        """(S, A)."""
        S = self.nominal.shape[-1]
        return S, (self.nominal.shape[0] // S if self.is_sparse else self.nominal.shape[1])

    n_states = property(lambda self: self.shape[0])
    n_actions = property(lambda self: self.shape[1])

    @property
    def is_sparse(self):
        """Whether the kernels are stored as CSR."""
        return not isinstance(self.nominal, np.ndarray)

    @property
    def costs_of_moves(self):
        """Whether costs depend on the next state."""
        return not (isinstance(self.cost, np.ndarray) and self.cost.ndim == 2)

    @cached_property
    def cost_range(self):
        """(least, largest) cost."""
        values = self.cost if isinstance(self.cost, np.ndarray) else self.cost.data
        return float(values.min()), float(values.max())

    @property
    def nbytes(self):
        """Bytes of the nominal kernel and the costs."""
        P, cost = self.nominal, self.cost if isinstance(self.cost, np.ndarray) else self.cost.data
        return cost.nbytes + (P.data.nbytes + P.indices.nbytes + P.indptr.nbytes if self.is_sparse else P.nbytes)

    def expected_cost(self, kernel=None):
        """[S, A]: mean cost of each pair under ``kernel`` (default: the nominal one)."""
        kernel = self.nominal if kernel is None else kernel
        if not self.costs_of_moves:
            return self.cost
        if not self.is_sparse:
            return mean_of_moves(kernel, self.cost)
        return np.asarray(self.cost.multiply(kernel).sum(axis=1)).reshape(self.shape)

    def against(self, kernel=None):
        """The ordinary DiscountedMDP that the agent faces when the adversary plays ``kernel`` (default: nominal); rewards are -cost."""
        kernel = self.nominal if kernel is None else kernel
        reward, labels = -self.expected_cost(kernel), (self.states, self.actions)
        return DiscountedMDP(kernel, reward, self.discount, self.initial, *labels, self.packed_available)

    def __reduce__(self):
        """Pickled as its arguments: what comes out is read-only as well."""
        names = ("nominal", "cost", "discount", "initial", "ambiguity", "states", "actions", "reward_range", "packed_available")
        return type(self), tuple(getattr(self, name) for name in names)

    def __repr__(self):
        S, A = self.shape
        kind = f"sparse, {self.nominal.nnz} entries" if self.is_sparse else "dense"
        return f"RobustMDP(S={S}, A={A}, discount={self.discount}, {kind}, {type(self.ambiguity).__name__})"


def _range(value):
    """None, or the validated (low, high) as floats."""
    if value is None:
        return None
    low, high = check.real_array("reward_range", value, (2,)).tolist()
    if low >= high:
        raise ValueError(f"reward_range must be (low, high) with low < high, got ({low}, {high})")
    return low, high


def reward_range(rewards):
    """(0, 1) when all rewards lie in it, else their own range: what costs are made with."""
    low, high = float(np.min(rewards)), float(np.max(rewards))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, (high if high > low else low + 1)
