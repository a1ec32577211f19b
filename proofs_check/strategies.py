"""Hypothesis strategies for instances: sizes, a style that reaches the corners, and a seed that fills the arrays.

Hypothesis shrinks sizes, styles and seeds; a model's ``recipe`` is the call that rebuilds it.
Strategies for things that must fit a model (policies, tables, bonuses) are functions of it.
"""

import numpy as np
from hypothesis import strategies as st

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP

STYLES = ("smooth", "peaked", "deterministic")
_CONCENTRATION = {"smooth": 1.0, "peaked": 0.1}
_seeds = st.integers(0, 2**16)
_styles = st.sampled_from(STYLES)


def rows(rng, shape, style):
    """Probability rows [*shape]: Dirichlet(1), Dirichlet(0.1), or point masses."""
    if style == "deterministic":
        return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    weights = rng.standard_gamma(_CONCENTRATION[style], size=shape) + 1e-300
    return weights / weights.sum(axis=-1, keepdims=True)


def episodic(H, S, A, style, seed):
    """A FiniteHorizonMDP; rewards uniform, or 0/1 in the deterministic style (ties)."""
    rng = np.random.default_rng(seed)
    P, reward, initial = rows(rng, (H, S, A, S), style), rng.random((H, S, A)), rows(rng, (S,), style)
    return _remember(
        FiniteHorizonMDP(P, np.round(reward) if style == "deterministic" else reward, initial),
        f"episodic({H}, {S}, {A}, {style!r}, {seed})",
    )


def discounted(S, A, discount, style, seed):
    """A DiscountedMDP, likewise."""
    rng = np.random.default_rng(seed)
    P, reward, initial = rows(rng, (S, A, S), style), rng.random((S, A)), rows(rng, (S,), style)
    reward = np.round(reward) if style == "deterministic" else reward
    return _remember(DiscountedMDP(P, reward, discount, initial), f"discounted({S}, {A}, {discount}, {style!r}, {seed})")


def _remember(mdp, recipe):
    object.__setattr__(mdp, "recipe", recipe)
    return mdp


def finite_horizon_mdps(min_horizon=1):
    """H up to 5, S up to 4, A up to 3, the single state and the single action included."""
    return st.builds(episodic, st.integers(min_horizon, 5), st.integers(1, 4), st.integers(1, 3), _styles, _seeds)


def discounted_mdps():
    """S up to 5, A up to 4, discounts from nearly 0 to nearly 1."""
    discounts = st.sampled_from([0.9, 0.01, 0.5, 0.99])
    return st.builds(discounted, st.integers(1, 5), st.integers(1, 4), discounts, _styles, _seeds)


def policies(name="policy"):
    """Policies of the drawn model; ``name`` tells them apart in a signature."""

    def fit(mdp):
        return st.builds(lambda style, seed: rows(np.random.default_rng([seed, len(name)]), mdp.shape, style), _styles, _seeds)

    return fit


def tables(low=-1.0, high=1.0):
    """Any numbers in [low, high] over the shape of the drawn model: [H, S, A] or [S, A]."""

    def fit(mdp):
        return st.builds(lambda seed: np.random.default_rng(seed).uniform(low, high, mdp.shape), _seeds)

    return fit


def state_tables(low=-1.0, high=1.0):
    """Any numbers in [low, high] over the states of the drawn model: [H, S] or [S]; a third of them on the ends of the interval."""

    def fit(mdp):
        def fill(seed):
            rng = np.random.default_rng(seed)
            values = rng.uniform(low, high, mdp.shape[:-1])
            return np.where(rng.random(values.shape) < 1 / 3, np.where(rng.random(values.shape) < 0.5, low, high), values)

        return st.builds(fill, _seeds)

    return fit


def bonuses():
    """Local bonuses b >= 0, [H, S] of the drawn model."""
    return state_tables(0.0, 1.0)


def simplex_points(max_size=6):
    """Distributions over 2 to ``max_size`` points, the uniform one often (bounds are tight there)."""

    def point(size, style, seed):
        return np.full(size, 1 / size) if style == "uniform" else rows(np.random.default_rng(seed), (size,), style)

    return st.builds(point, st.integers(2, max_size), st.sampled_from(["uniform", *STYLES]), _seeds)


def vectors(low=0.0, high=1.0):
    """A vector as long as the first drawn value; half of them with entries at the ends of [low, high] only."""

    def fit(first):
        def fill(corners, seed):
            values = np.random.default_rng(seed).uniform(low, high, len(first))
            return np.where(values > (low + high) / 2, high, low) if corners else values

        return st.builds(fill, st.booleans(), _seeds)

    return fit


def scales(*powers_of_ten):
    """A positive number, log-uniform between the two powers of ten."""
    return st.floats(*powers_of_ten).map(lambda exponent: 10.0**exponent)
