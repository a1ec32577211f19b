"""Submodular MDPs: what a trajectory is worth is a set function of what it collects."""

from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import initial_distribution, packed, unrepeated
from tabular_rl.models.playable import Playable

DENSE_BYTES = 2**28


class GroundSet(NamedTuple):
    """``n`` elements; ``elements`` [H+1, S]: which one (h, s) collects, -1 none; ``types`` [n]: the objective's element it is a copy of."""

    n: int
    elements: np.ndarray
    types: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class SubmodularMDP(Playable):
    """A controlled Markov chain s_0, a_0, s_1, ..., a_{H-1}, s_H whose return is F of the elements collected on the way.

    Parameters
    ----------
    transition : float array [H, S, A, S] or [S, A, S], or integer array [S, A]
        Probabilities as in FiniteHorizonMDP, or the successor of every pair: a deterministic world, up to ``slip``.
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.
    objective : an objective of ``tabular_rl.submodular``
    horizon : int, optional
        H >= 1, the number of actions; needed when the transition has no step axis.
    elements : integer array [S] or [H+1, S], optional
        Element of the objective that being in s at time h collects, -1 for none. Default: element s.
    repeats : bool
        False: F of the set of collected elements, so that revisits gain nothing. True: every (time, state) is an element of its own,
        a copy of ``elements[h, s]``; the ground set is then time-tagged.
    slip : float
        In [0, 1], with successors only: the probability that a uniform action (over all A) is executed instead of the chosen one.
    states, actions : sequences of hashables, optional
        Labels, for people.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

    ``transition`` stays in the form given; ``successors`` is None in the first; ``probabilities`` are there in both.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.

    Source: Prajapat, Mutny, Zeilinger, Krause (2024); subpo spec, section 1.
    """

    transition: Any
    initial: Any = None
    objective: Any = None
    horizon: Any = None
    elements: Any = None
    repeats: bool = False
    slip: float = 0.0
    states: Any = None
    actions: Any = None
    normalize: InitVar[bool] = False

    def __post_init__(self, normalize):
        check.quack("objective", self.objective, "n_elements", "one of tabular_rl.submodular")
        check.flag("repeats", self.repeats)
        normalize = check.flag("normalize", normalize)
        if self.repeats and not self.objective.allows_copies:
            raise ValueError(f"repeats must be False for {type(self.objective).__name__}, which has no copies of an element")
        given = unrepeated(self.transition, 4)
        slip, array = check.number("slip", self.slip, at_least=0, at_most=1), check.unmasked("transition", given)
        if array.ndim == 2 and array.dtype.kind in "iu":
            S, A = array.shape
            successors = _indices("transition", array, S, least=0)
            stored, H = successors, self.horizon
            if H is None:
                raise ValueError("horizon is needed: successors have no step axis")
        else:
            successors, stored = None, check.real_array("transition", given)
            if stored.ndim not in (3, 4) or stored.shape[-1] != stored.shape[-3] or 0 in stored.shape:
                raise ValueError(f"transition must have shape [H, S, A, S] or [S, A, S], or be integers [S, A], got {np.shape(given)}")
            if slip > 0:
                raise ValueError(f"slip must be 0 with transition probabilities, got {slip}: put it into them")
            stored = check.frozen(check.probabilities("transition", stored, normalize), given)
            S, A = stored.shape[-3:-1]
            H = self._horizon(np.shape(self.transition))
        H = check.horizon(H, S, A)
        for name, value in {
            "transition": stored if successors is not None else np.broadcast_to(stored, (H, S, A, S)),
            "slip": slip,
            "horizon": H,
            "initial": initial_distribution(self.initial, S, normalize),
            "elements": self._elements(H, S),
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self):
        """(H, S, A)."""
        return self.horizon, *self.transition.shape[-3 if self.transition.ndim == 4 else -2 :][:2]

    @property
    def successors(self):
        """[S, A] where every action leads without a slip, None where the transition is given as probabilities."""
        return self.transition if self.transition.ndim == 2 else None

    def _horizon(self, shape):
        if self.horizon is not None:
            check.integer("horizon", self.horizon, 1, None)
        if len(shape) == 4 and self.horizon not in (None, shape[0]) and shape[0] != 1:
            raise ValueError(f"transition has {shape[0]} steps, expected horizon={self.horizon}")
        if self.horizon is None and len(shape) == 3:
            raise ValueError("horizon is needed: transition has no step axis")
        return shape[0] if self.horizon is None else self.horizon

    def _elements(self, H, S):
        n = self.objective.n_elements
        if self.elements is None:
            if n != S:
                raise ValueError(f"objective has {n} elements, expected one for each of the {S} states, or give elements")
            return np.broadcast_to(_indices("elements", np.arange(S), S), (H + 1, S))
        given = check.unmasked("elements", unrepeated(self.elements, 2))
        if given.dtype.kind not in "iu" or given.shape not in ((S,), (1, S), (H + 1, S)):
            raise ValueError(f"elements must be integers [{S}] or [{H + 1}, {S}], got {given.dtype} of shape {given.shape}")
        return np.broadcast_to(_indices("elements", given, n), (H + 1, S))

    @property
    def probabilities(self):
        """[H, S, A, S], slips included (a view without cost of ``packed_transition`` when stationary)."""
        return np.broadcast_to(self.packed_transition, (*self.shape, self.n_states))

    @cached_property
    def packed_transition(self):
        """The transition for kernels: [H, S, A, S], or [1, S, A, S] when it is the same at every step; slips included."""
        if self.successors is None:
            return packed(self.transition)
        _, S, A = self.shape
        if 8 * S * A * S > DENSE_BYTES:
            raise ValueError(f"the transition of {S} states is too large to be written out; use successors and slip")
        moves = np.eye(S)[self.successors]
        dense = (1 - self.slip) * moves + self.slip * moves.mean(axis=1, keepdims=True)
        dense.flags.writeable = False
        return dense[None]

    n_states = property(lambda self: self.shape[1])
    n_actions = property(lambda self: self.shape[2])

    @property
    def packed_elements(self):
        """The elements for kernels: [H + 1, S], or [1, S] when they are the same at every time."""
        return packed(self.elements)

    @property
    def start(self):
        """The start state, None if it is random."""
        sure = np.flatnonzero(self.initial == 1)
        return int(sure[0]) if len(sure) else None

    @property
    def is_deterministic(self):
        """Whether every action has one successor."""
        return self.slip == 0 if self.successors is not None else bool(np.all(self.packed_transition.max(axis=-1) == 1))

    @cached_property
    def reachable(self):
        """[H + 1, S] whether some policy can be in s at time h."""
        H, S, _ = self.shape
        reached = np.zeros((H + 1, S), bool)
        reached[0] = self.initial > 0
        for h in range(H):
            if self.successors is not None:
                reached[h + 1, self.successors[reached[h]]] = True
            else:
                stage = self.packed_transition[h % len(self.packed_transition)]
                reached[h + 1] = (stage[reached[h]] > 0).any(axis=(0, 1))
        return reached

    def ground_set(self):
        """The ``GroundSet`` that bit masks of exact tools run over: time-tagged with ``repeats``, elements out of reach left out then."""
        if not self.repeats:
            n = self.objective.n_elements
            return GroundSet(n, self.elements, np.arange(n))
        there = self.reachable & (self.elements >= 0)
        tagged = np.full(self.elements.shape, -1)
        tagged[there] = np.arange(there.sum())
        return GroundSet(int(there.sum()), tagged, self.elements[there])

    def table(self):
        """[2^n] F of every subset of ``ground_set()``; at most 20 elements."""
        ground = self.ground_set()
        return self.objective.table(ground.types if self.repeats else None)

    def gains(self, states):
        """Marginal gains [..., H + 1] along trajectories of states [..., H + 1]; the first is that of the start."""
        states = check.unmasked("states", states)
        if states.shape[-1:] != (self.horizon + 1,):
            raise ValueError(f"states must have {self.horizon + 1} entries along the last axis, got shape {states.shape}")
        return self.objective.gains(self.elements[np.arange(self.horizon + 1), states], distinct=not self.repeats)

    def value(self, states):
        """F of trajectories of states [..., H + 1]."""
        total = self.gains(states).sum(axis=-1)
        return float(total) if np.ndim(total) == 0 else total

    @property
    def additive_reward(self):
        """[H + 1, S] F({element of (h, s)}): the reward of modular reinforcement learning, 0 where nothing is collected."""
        return np.where(self.elements >= 0, self.objective.singles[self.elements], 0.0)

    @property
    def world(self):
        """The World of ``kernels.submodular.rollouts``."""
        from tabular_rl.kernels.sampling import alias_tables
        from tabular_rl.kernels.submodular.rollouts import World

        _, S, A = self.shape
        if self.successors is None:
            successors = np.zeros((0, A), np.int64)
            accept, alias = alias_tables(self.packed_transition.reshape(-1, S))
        else:
            successors, accept, alias = np.array(self.successors), np.zeros((0, S)), np.zeros((0, S), np.int32)
        if self.start is None:
            start_accept, start_alias = (table[0] for table in alias_tables(self.initial.reshape(1, S)))
        else:
            start_accept, start_alias = np.ones(1), np.full(1, self.start, np.int32)
        return World(successors, self.slip, accept, alias, start_accept, start_alias, np.array(self.packed_elements), self.repeats)

    def __reduce__(self):
        """Pickled as its arguments: small when stationary, and what comes out is read-only as well."""
        transition = packed(self.transition) if self.successors is None else self.successors
        arguments = (transition, self.initial, self.objective, self.horizon, packed(self.elements), self.repeats, self.slip)
        return type(self), (*arguments, self.states, self.actions)

    def __repr__(self):
        H, S, A = self.shape
        slip = f", slip={self.slip:g}" if self.slip else ""
        return f"SubmodularMDP(H={H}, S={S}, A={A}, {type(self.objective).__name__}{slip})"


def _indices(name, array, n, least=-1):
    """Read-only int64 copy of integers from ``least`` to n - 1."""
    bad = (array < least) | (array >= n)
    if bad.any():
        index = check.first_index(bad)
        raise ValueError(f"{name}{list(index)} is {array[index]}, expected an integer from {least} to {n - 1}")
    array = np.array(array, np.int64)
    array.flags.writeable = False
    return array
