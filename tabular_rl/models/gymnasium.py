"""Gymnasium's toy-text tables in, a Gymnasium environment out."""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_setting
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP


def from_gymnasium(env, *, horizon=None, discount=None, normalize=False, **make_arguments):
    """The exact model of a Gymnasium environment that carries its table (``env.unwrapped.P`` and ``initial_state_distrib``).

    Parameters
    ----------
    env : str or gymnasium.Env
        An id such as "FrozenLake-v1" (``make_arguments`` go to ``gymnasium.make``), or an environment.
    horizon, discount
        Exactly one: an episodic or a discounted model.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

    An action that ``P[s]`` does not list, or lists without transitions, is one that the state does not have.

    After a transition that the table marks as terminal nothing more is earned. Where the table's own rows do not say so (CliffWalking,
    Taxi), terminal transitions lead to one extra absorbing state, the last one.
    """
    check_setting(discount, horizon)
    if isinstance(env, str):
        import gymnasium

        env = gymnasium.make(env, **make_arguments)
    elif make_arguments:
        raise TypeError(f"{', '.join(make_arguments)}: only an environment given by its id can be made with arguments")
    core = getattr(env, "unwrapped", env)
    table, initial = getattr(core, "P", None), getattr(core, "initial_state_distrib", None)
    if table is None or initial is None:
        raise TypeError(f"env must carry a transition table P and initial_state_distrib, {check.describe(env)} does not")
    if not isinstance(table, Mapping) or set(table) != set(range(len(table))):
        raise ValueError("env.P must be a dictionary whose keys are the states 0..S-1")
    S, (A, rows) = len(table), _listed(table)
    initial = check.real_array("env.initial_state_distrib", initial, (S,))
    pairs, probabilities, successors, rewards, ends = (np.array(column) for column in zip(*rows, strict=True))
    possible = probabilities != 0
    ends = ends & possible

    leaves = possible & ((pairs // A != successors) | (rewards != 0))
    absorbing = np.bincount(pairs[leaves] // A, minlength=S) == 0
    if not absorbing[successors[ends]].all():
        successors = np.where(ends, S, successors)
        loops = S * A + np.arange(A)
        pairs, successors = np.append(pairs, loops), np.append(successors, np.full(A, S))
        probabilities, rewards = np.append(probabilities, np.ones(A)), np.append(rewards, np.zeros(A))
        initial, S = np.append(initial, 0.0), S + 1
    setting = {"discount": discount, "horizon": horizon, "normalize": normalize}
    return assemble((S, A), pairs, successors, probabilities, rewards, initial=initial, **setting)


def _listed(table):
    """(A, rows (s * A + a, probability, successor, reward, terminated)) of a toy-text table."""
    S, A = len(table), 0
    for s in range(S):
        if not isinstance(table[s], Mapping) or not all(isinstance(a, int | np.integer) and a >= 0 for a in table[s]):
            raise TypeError(f"env.P[{s}] must be a dictionary whose keys are actions 0, 1, ..., got {check.describe(table[s])}")
        A = max(A, 1 + max(table[s], default=-1))
    rows = [(s * A + a, *_transition(s, a, entry)) for s in range(S) for a in table[s] for entry in _entries(s, a, table[s][a])]
    if not rows:
        raise ValueError("env.P[s][a] must hold transitions (probability, successor, reward, terminated)")
    outside = [row[2] for row in rows if not 0 <= row[2] < S]
    if outside:
        raise ValueError(f"env.P leads to state {outside[0]}, expected one of 0..{S - 1}")
    return A, rows


def _entries(s, a, entries):
    if not isinstance(entries, list | tuple):
        raise _no_transition(s, a, entries)
    return entries


def _transition(s, a, entry):
    """``entry``, of the right length and types; the model looks at its numbers."""
    kinds = Real, int | np.integer, Real, bool | np.bool_
    if not isinstance(entry, list | tuple) or len(entry) != 4 or not all(map(isinstance, entry, kinds)):
        raise _no_transition(s, a, entry)
    return entry


def _no_transition(s, a, got):
    return ValueError(
        "env.P[s][a] must hold transitions (probability, successor, reward, terminated): two numbers around a state, then True or "
        f"False; got {check.short(got)} in env.P[{s}][{a}]"
    )


def to_gymnasium(mdp, max_episode_steps=None):
    """A ``gymnasium.Env`` that samples from the model.

    States and actions are ``Discrete``; ``info["action_mask"]`` (int8 [A], as in Gymnasium's toy-text) marks the actions that the state
    has, others are refused. A step pays the reward of its move where the model has such. A finite horizon terminates after H steps
    (``info["step"]`` counts them); a discounted model terminates when it enters an absorbing state without reward, and is cut after
    ``max_episode_steps`` if given. Discounted models also carry the toy-text table ``P`` and ``initial_state_distrib``, so that
    ``from_gymnasium`` gives the same model back.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP)
    from tabular_rl.models.environment import TabularEnv

    return TabularEnv(mdp, max_episode_steps)
