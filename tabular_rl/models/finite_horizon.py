"""Episodic MDPs: horizon H, S states, A actions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tabular_rl.models import validation as check


@dataclass(frozen=True, eq=False, repr=False)
class FiniteHorizonMDP:
    """An episodic Markov decision process, validated when built and read-only afterwards.

    Parameters
    ----------
    transition : array [H, S, A, S] or [S, A, S]
        ``transition[h, s, a, t]`` is the probability of state t after action a in state s at step h; rows sum to 1 within 1e-9.
        Without the leading axis the transition is the same at every step and stored once. The last step's rows are never used.
    reward : array [H, S, A] or [S, A]
        Mean reward, finite. Algorithms with a regret guarantee ask for [0, 1] and say so.
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.
    horizon : int, optional
        H >= 1; needed when neither array carries the step axis.
    states, actions : sequences of hashables, optional
        Labels, for people.

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

    def __post_init__(self):
        given = {"transition": unrepeated(self.transition, 4), "reward": unrepeated(self.reward, 3)}
        transition, reward = (check.real_array(name, value) for name, value in given.items())
        if transition.ndim not in (3, 4) or transition.shape[-1] != transition.shape[-3] or 0 in transition.shape:
            raise ValueError(f"transition must have shape [H, S, A, S] or [S, A, S], got {np.shape(self.transition)}")
        S, A = transition.shape[-3:-1]
        if reward.ndim not in (2, 3) or reward.shape[-2:] != (S, A) or len(reward) == 0:
            raise ValueError(f"reward must have shape [H, {S}, {A}] or [{S}, {A}], got {np.shape(self.reward)}")
        H = _horizon(self.horizon, np.shape(self.transition), np.shape(self.reward))
        transition = check.frozen(check.probabilities("transition", transition), given["transition"])
        reward = check.frozen(reward, given["reward"])
        for name, value in {
            "transition": np.broadcast_to(transition, (H, S, A, S)),
            "reward": np.broadcast_to(reward, (H, S, A)),
            "initial": initial_distribution(self.initial, S),
            "horizon": H,
            "states": check.labels("states", self.states, S),
            "actions": check.labels("actions", self.actions, A),
        }.items():
            object.__setattr__(self, name, value)

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
        return type(self), (self.packed_transition, self.packed_reward, self.initial, self.horizon, self.states, self.actions)

    def __repr__(self):
        H, S, A = self.shape
        return f"FiniteHorizonMDP(H={H}, S={S}, A={A})"


def packed(array):
    """The array without the repetition of a stationary step axis: kernels read step h at ``h % len(array)``."""
    return array[:1] if array.strides[0] == 0 else array


def unrepeated(value, ndim):
    """The argument as given, but a stationary array [H, ...] of another model comes without its repetition: [1, ...]."""
    return value[:1] if isinstance(value, np.ndarray) and value.ndim == ndim and value.strides[0] == 0 else value


def initial_distribution(value, S):
    """A validated start distribution [S] from None (state 0), a state's index, or an array."""
    if value is None or (isinstance(value, int | np.integer) and not isinstance(value, bool)):
        state = check.integer("initial", 0 if value is None else value, 0)
        if state >= S:
            raise ValueError(f"initial must be a state below {S} or a distribution over {S} states, got {state}")
        value = np.zeros(S)
        value[state] = 1
    return check.frozen(check.distribution("initial", value, (S,)), value)


def _horizon(horizon, transition, reward):
    """H, from the argument and the shapes of the arrays."""
    found = {"transition": transition[0]} if len(transition) == 4 else {}
    found |= {"reward": reward[0]} if len(reward) == 3 else {}
    if horizon is not None:
        horizon = check.integer("horizon", horizon, 1)
        for name, length in found.items():
            if length not in (1, horizon):
                raise ValueError(f"{name} has {length} steps, expected horizon={horizon}")
        return horizon
    if not found:
        raise ValueError("horizon is needed: neither transition nor reward has a step axis")
    if len(set(found.values()) - {1}) > 1:
        raise ValueError(f"transition has {found['transition']} steps and reward has {found['reward']}, expected the same number")
    return max(found.values())
