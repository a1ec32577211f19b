"""Episodic MDPs: horizon H, S states, A actions."""

from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.models import availability
from tabular_rl.models import validation as check
from tabular_rl.models.moves import mean_of_moves
from tabular_rl.models.playable import Playable


@dataclass(frozen=True, eq=False, repr=False)
class FiniteHorizonMDP(availability.Available, Playable):
    """An episodic Markov decision process, validated when built and read-only afterwards.

    Parameters
    ----------
    transition : array [H, S, A, S] or [S, A, S]
        ``transition[h, s, a, t]`` is the probability of state t after action a in state s at step h; rows sum to 1 within 1e-9.
        Without the leading axis the transition is the same at every step and stored once. The last step's rows are never used.
    reward : array [H, S, A] or [S, A], or [H, S, A, S] (or [1, S, A, S]: the same at every step)
        Mean reward of a pair, finite; or rewards of moves, then kept in ``move_rewards`` (else None), ``reward`` being their mean.
        Algorithms with a regret guarantee ask for [0, 1] and say so.
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.
    horizon : int, optional
        H >= 1; needed when neither array carries the step axis.
    states, actions : sequences of hashables, optional
        Labels, for people.
    available : bool array [H, S, A] or [S, A], optional
        Which actions each state has, at least one. Default: all. What the other arrays hold at missing pairs is replaced by the numbers of
        the state's first action: they never count.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

    Attributes ``transition`` [H, S, A, S] and ``reward`` [H, S, A] always have the step axis (a view without cost when stationary).

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.
    """

    transition: Any
    reward: Any
    initial: Any = None
    horizon: Any = None
    states: Any = None
    actions: Any = None
    available: Any = None
    normalize: InitVar[bool] = False
    move_rewards: Any = field(init=False)

    def __post_init__(self, normalize):
        normalize = check.flag("normalize", normalize)
        given = {"transition": unrepeated(self.transition, 4), "reward": unrepeated(unrepeated(self.reward, 3), 4)}
        transition, reward = (check.real_array(name, value, finite=False) for name, value in given.items())
        if transition.ndim not in (3, 4) or transition.shape[-1] != transition.shape[-3] or 0 in transition.shape:
            raise ValueError(f"transition must have shape [H, S, A, S] or [S, A, S], got {np.shape(self.transition)}")
        S, A = transition.shape[-3:-1]
        of_moves = reward.ndim == 4 and reward.shape[1:] == (S, A, S)
        if (not of_moves and (reward.ndim not in (2, 3) or reward.shape[-2:] != (S, A))) or len(reward) == 0:
            shapes = f"[H, {S}, {A}] or [{S}, {A}], or [H, {S}, {A}, {S}] of moves"
            raise ValueError(f"reward must have shape {shapes}, got {np.shape(self.reward)}")
        H = _horizon(self.horizon, np.shape(self.transition), np.shape(self.reward), np.shape(self.available))
        check.horizon(H, S, A)
        available = availability.mask(self.available, (H, S, A))
        if not availability.complete(available):
            steps, at_some_step = packed(available), available.any(axis=0)
            transition = availability.filled(transition, steps if transition.ndim == 4 else at_some_step)
            reward = availability.filled(reward, steps if reward.ndim > 2 else at_some_step)
        for name, array in ("transition", transition), ("reward", reward):
            check.check_finite(name, array)
        transition = check.frozen(check.probabilities("transition", transition, normalize), given["transition"])
        reward, moves = check.frozen(reward, given["reward"]), None
        if of_moves:
            reward, moves = mean_of_moves(transition, reward), np.broadcast_to(reward, (H, S, A, S))
        for name, value in {
            "transition": np.broadcast_to(transition, (H, S, A, S)),
            "reward": np.broadcast_to(reward, (H, S, A)),
            "initial": initial_distribution(self.initial, S, normalize),
            "horizon": H,
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
            "available": available,
            "move_rewards": moves,
        }.items():
            object.__setattr__(self, name, value)

    @cached_property
    def packed_barred_reward(self):
        """The reward for kernels that maximize: ``packed_reward`` with -inf at pairs that do not exist."""
        return self.barred(self.packed_reward, -np.inf)

    @property
    def barred_reward(self):
        """[H, S, A]: the reward, -inf at pairs that do not exist."""
        return np.broadcast_to(self.packed_barred_reward, self.shape)

    @property
    def shape(self):
        """(H, S, A)."""
        return self.reward.shape

    n_states = property(lambda self: self.shape[1])
    n_actions = property(lambda self: self.shape[2])

    @property
    def packed_transition(self):
        """The transition for kernels, C-contiguous: [H, S, A, S], or [1, S, A, S] when it is the same at every step."""
        return packed(self.transition)

    @property
    def packed_reward(self):
        """The reward for kernels, C-contiguous: [H, S, A], or [1, S, A] when it is the same at every step."""
        return packed(self.reward)

    def __reduce__(self):
        """Pickled as its arguments: small when stationary, and what comes out is read-only as well."""
        reward = self.packed_reward if self.move_rewards is None else packed(self.move_rewards)
        return type(self), (self.packed_transition, reward, self.initial, self.horizon, self.states, self.actions, self.packed_available)

    def __repr__(self):
        H, S, A = self.shape
        return f"FiniteHorizonMDP(H={H}, S={S}, A={A})"


def packed(array):
    """The array without the repetition of a stationary step axis: kernels read step h at ``h % len(array)``."""
    return array[:1] if array.strides[0] == 0 else array


def unrepeated(value, ndim):
    """The argument as given, but a stationary array [H, ...] of another model comes without its repetition: [1, ...]."""
    return value[:1] if isinstance(value, np.ndarray) and value.ndim == ndim and value.strides[0] == 0 else value


def initial_distribution(value, S, normalize=None):
    """A validated start distribution [S] from None (state 0), a state's index, or an array."""
    if value is None or (isinstance(value, int | np.integer) and not isinstance(value, bool)):
        state = check.integer("initial", 0 if value is None else value, 0, None)
        if state >= S:
            raise ValueError(f"initial must be a state below {S} or a distribution over {S} states, got {state}")
        value = np.zeros(S)
        value[state] = 1
    return check.frozen(check.distribution("initial", value, (S,), normalize), value)


def _horizon(horizon, transition, reward, available):
    """H, from the argument and the shapes of the arrays."""
    found = {"transition": transition[0]} if len(transition) == 4 else {}
    found |= {"reward": reward[0]} if len(reward) > 2 else {}
    found |= {"available": available[0]} if len(available) == 3 else {}
    if horizon is not None:
        horizon = check.integer("horizon", horizon, 1, None)
        for name, length in found.items():
            if length not in (1, horizon):
                raise ValueError(f"{name} has {length} steps, expected horizon={horizon}")
        return horizon
    if not found:
        raise ValueError("horizon is needed: neither transition nor reward has a step axis")
    if len(set(found.values()) - {1}) > 1:
        steps = " and ".join(
            f"{name} has {length} steps" if n == 0 else f"{name} has {length}" for n, (name, length) in enumerate(found.items())
        )
        raise ValueError(f"{steps}, expected the same number")
    return max(found.values())
