"""Hypothesis strategies for instances: sizes, a style that reaches the corners, and a seed that fills the arrays.

What a strategy draws is a ``Drawn``: the value, the code that rebuilds it, and the space in which it may move when a bound is tightened.
Hypothesis shrinks sizes, styles and seeds. Strategies for things that must fit a model (policies, tables, bonuses) are functions of it.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP

STYLES = ("smooth", "peaked", "deterministic", "nearly_deterministic", "tiny")
MODEL_STYLES = (*STYLES, "ties", "absorbing", "unreachable")
_seeds = st.integers(0, 2**16)


class Drawn(NamedTuple):
    """``code`` rebuilds ``value``; "{0}" in it stands for the name of the instance's first part. ``space``: see Box, Simplex, Model.

    ``sibling(first, i)`` is the Drawn of the same sizes and style with the i-th next seed, for an instance whose first part is ``first``.
    """

    value: Any
    code: str
    space: Any = None
    sibling: Any = None


class Box(NamedTuple):
    """Numbers in [low, high]."""

    low: float
    high: float


class Simplex(NamedTuple):
    """Probabilities along the last axis."""


class Model(NamedTuple):
    """A model: transition and start in the simplex, rewards in [0, 1]."""


def draw(function, *arguments, space=None, fit=False):
    """A strategy of Drawn: ``function(*arguments, seed)``, the arguments being strategies or constants.

    With ``fit`` a function of the instance's first part, which then comes before the arguments, that returns the strategy.
    """
    choices = [place for place, argument in enumerate(arguments) if isinstance(argument, st.SearchStrategy)]
    strategy = st.tuples(*(arguments[place] for place in choices), _seeds)

    def build(first, drawn, shift=0):
        given = list(arguments)
        for place, value in zip(choices, drawn[:-1], strict=True):
            given[place] = value
        given.append(drawn[-1] + shift)
        code = f"{function.__name__}({', '.join(['{0}'] * fit + [repr(argument) for argument in given])})"
        value = function(first, *given) if fit else function(*given)
        return Drawn(value, code, space, lambda first, i: build(first, drawn, shift + i))

    if not fit:
        return strategy.map(lambda drawn: build(None, drawn))
    return lambda first: strategy.map(lambda drawn: build(first, drawn))


# --- the functions that the code of an instance calls


def rows(rng, shape, style):
    """Probability rows [*shape] in one of STYLES."""
    if style == "deterministic":
        return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    if style == "nearly_deterministic":
        return (1 - 1e-6) * rows(rng, shape, "deterministic") + 1e-6 * rows(rng, shape, "smooth")
    if style == "tiny":  # probabilities down to 1e-12
        weights = 10.0 ** -rng.uniform(0, 12, size=shape)
    else:
        weights = rng.standard_gamma(0.1 if style == "peaked" else 1.0, size=shape) + 1e-300
    return weights / weights.sum(axis=-1, keepdims=True)


def world(rng, steps, S, A, style):
    """(transition [*steps, S, A, S], reward [*steps, S, A], initial [S]) in one of MODEL_STYLES."""
    base = style if style in STYLES else "smooth"
    P, reward, initial = rows(rng, (*steps, S, A, S), base), rng.random((*steps, S, A)), rows(rng, (S,), base)
    if style in ("deterministic", "ties"):
        reward = np.round(reward)
    if style == "ties":  # all actions are the same, and so are their rewards
        P[..., :, :] = P[..., :1, :]
        reward[...] = reward[..., :1]
    if style == "absorbing":
        P[..., 0, :, :] = np.eye(S)[0]
    if style == "unreachable" and S > 1:
        P[..., -1] = 0
        initial[-1] = 0
        P, initial = (array / array.sum(axis=-1, keepdims=True) for array in (P, initial))
    return P, reward, initial


def episodic(H, S, A, style, seed):
    """A FiniteHorizonMDP with rewards in [0, 1]."""
    return FiniteHorizonMDP(*world(np.random.default_rng(seed), (H,), S, A, style))


def discounted(S, A, discount, style, seed):
    """A DiscountedMDP with rewards in [0, 1]."""
    P, reward, initial = world(np.random.default_rng(seed), (), S, A, style)
    return DiscountedMDP(P, reward, discount, initial)


def policy(mdp, name, style, seed):
    """A policy of ``mdp``; the ``name`` tells apart the policies of one instance."""
    return rows(np.random.default_rng([seed, *name.encode()]), mdp.shape, style)


def table(mdp, low, high, seed):
    """Numbers in [low, high] over the pairs of ``mdp``: [H, S, A] or [S, A]."""
    return np.random.default_rng(seed).uniform(low, high, mdp.shape)


def state_table(mdp, low, high, seed):
    """Numbers in [low, high] over the states of ``mdp``: [H, S] or [S]; a third of them at the ends of the interval."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(low, high, mdp.shape[:-1])
    return np.where(rng.random(values.shape) < 1 / 3, np.where(rng.random(values.shape) < 0.5, low, high), values)


def simplex_point(size, style, seed):
    """A distribution over ``size`` points."""
    return np.full(size, 1 / size) if style == "uniform" else rows(np.random.default_rng(seed), (size,), style)


def vector(first, low, high, corners, seed):
    """A vector as long as the first part of the instance, in [low, high], or at the ends of it only."""
    values = np.random.default_rng(seed).uniform(low, high, len(first))
    return np.where(values > (low + high) / 2, high, low) if corners else values


def features(S, A, d, degenerate, seed):
    """A feature map [S, A, d] with rows of norm at most 1; degenerate: of rank at most 1, with zero rows and repeated ones."""
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((S, A, d))
    if degenerate:
        phi = rng.integers(-1, 2, (S, A, 1)) * rng.standard_normal(d)
    return phi / np.maximum(np.linalg.norm(phi, axis=-1, keepdims=True), 1)


def delays(episodes, kind, seed):
    """Delays [K] of the feedback of K episodes, int, >= 0.

    "none", "constant", "uniform", "last" (all arrive after the last episode), "one_huge" (the first never arrives in time), "reversed"
    (the earlier, the later), "bursts" (blocks arrive together).
    """
    rng, k = np.random.default_rng(seed), np.arange(episodes)
    bound = int(rng.integers(1, episodes + 1))
    return {
        "none": 0 * k,
        "constant": np.full(episodes, bound),
        "uniform": rng.integers(0, bound + 1, episodes),
        "last": episodes - k,
        "one_huge": np.where(k == 0, episodes, 0),
        "reversed": np.maximum(episodes - 1 - 2 * k, 0),
        "bursts": bound - 1 - k % bound,
    }[kind]


DELAYS = ("none", "constant", "uniform", "last", "one_huge", "reversed", "bursts")

# --- the strategies


def finite_horizon_mdps(min_horizon=1):
    """H up to 5, S up to 4, A up to 3, the single state and the single action included."""
    return draw(episodic, st.integers(min_horizon, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from(MODEL_STYLES), space=Model())


def enumerable_mdps(min_horizon=1):
    """H, S and A up to 3: all trajectories, at most 729, can be listed."""
    return draw(episodic, st.integers(min_horizon, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from(MODEL_STYLES), space=Model())


def discounted_mdps():
    """S up to 5, A up to 4, discounts from nearly 0 to nearly 1."""
    discounts = st.sampled_from([0.9, 0.5, 0.99, 0.001, 0.999])
    return draw(discounted, st.integers(1, 5), st.integers(1, 4), discounts, st.sampled_from(MODEL_STYLES), space=Model())


def policies(name="policy"):
    """Policies of the drawn model; ``name`` tells apart those of one instance."""
    return draw(policy, name, st.sampled_from(STYLES), space=Simplex(), fit=True)


def tables(low=-1.0, high=1.0):
    """Any numbers in [low, high] over the pairs of the drawn model."""
    return draw(table, low, high, space=Box(low, high), fit=True)


def state_tables(low=-1.0, high=1.0):
    """Any numbers in [low, high] over the states of the drawn model."""
    return draw(state_table, low, high, space=Box(low, high), fit=True)


def bonuses():
    """Local bonuses b in [0, 1] over the states of the drawn model."""
    return state_tables(0.0, 1.0)


def simplex_points(max_size=6):
    """Distributions over 2 to ``max_size`` points, the uniform one often (bounds are tight there)."""
    return draw(simplex_point, st.integers(2, max_size), st.sampled_from(["uniform", *STYLES]), space=Simplex())


def vectors(low=0.0, high=1.0):
    """A vector as long as the first drawn value; half of them with entries at the ends of [low, high] only."""
    return draw(vector, low, high, st.booleans(), space=Box(low, high), fit=True)


def scales(low, high):
    """A positive number, log-uniform between 10^low and 10^high."""
    return st.floats(low, high).map(lambda exponent: Drawn(10.0**exponent, repr(10.0**exponent), Box(10.0**low, 10.0**high)))


def feature_maps(max_dimension=3):
    """Feature maps [S, A, d], half of them degenerate."""
    return draw(features, st.integers(1, 4), st.integers(1, 3), st.integers(1, max_dimension), st.booleans())


def delay_sequences(max_episodes=12):
    """Delays of up to ``max_episodes`` episodes, those of adversaries included."""
    return draw(delays, st.integers(1, max_episodes), st.sampled_from(DELAYS))
