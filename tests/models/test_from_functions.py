"""Models from plain functions agree with those built by hand and with an independent enumeration."""

import operator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, from_functions
from tabular_rl.planning import solve

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}


def move(cell, action):
    """The neighboring cell of the 3 x 3 grid; into a wall is to stay."""
    return tuple(min(max(x + d, 0), 2) for x, d in zip(cell, MOVES[action], strict=True))


def grid(**options):
    defaults = {"initial": (0, 0), "terminal": lambda cell: cell == (2, 2), "discount": 0.9}
    return from_functions(None, MOVES, move, lambda cell, action, successor: float(successor == (2, 2)), **(defaults | options))


def test_a_gridworld_in_a_few_lines():
    mdp = grid()
    assert mdp.shape == (9, 4)
    assert mdp.actions == ("up", "right", "down", "left")
    assert set(mdp.states) == {(i, j) for i in range(3) for j in range(3)}
    values = dict(zip(mdp.states, solve(mdp, tolerance=1e-10).values, strict=True))
    for (i, j), value in values.items():
        steps = 4 - i - j
        assert value == pytest.approx(0.9 ** (steps - 1) if steps else 0)


def test_states_are_numbered_as_they_are_found():
    mdp = grid()
    assert mdp.states == ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0), (1, 2), (2, 1), (2, 2))
    assert mdp.initial[0] == 1


def test_every_row_is_the_function():
    mdp = grid()
    for s, cell in enumerate(mdp.states[:-1]):
        for a, action in enumerate(mdp.actions):
            assert mdp.states[np.argmax(mdp.transition[s, a])] == move(cell, action)
            assert mdp.reward[s, a] == (move(cell, action) == (2, 2))


def test_terminal_states_stay_without_reward_and_are_not_asked():
    def never(cell, action):
        assert cell != (2, 2)
        return move(cell, action)

    mdp = from_functions(None, MOVES, never, lambda s, a: 1.0, initial=(0, 0), terminal=lambda cell: cell == (2, 2), discount=0.9)
    assert np.all(mdp.transition[-1, :, -1] == 1)
    assert np.all(mdp.reward[-1] == 0)


def test_a_horizon_enumerates_what_is_reached_within_it():
    mdp = grid(discount=None, horizon=2)
    assert isinstance(mdp, FiniteHorizonMDP)
    assert mdp.shape == (2, 6, 4)
    assert all(i + j <= 2 for i, j in mdp.states)
    assert grid(discount=None, horizon=4).initial @ solve(grid(discount=None, horizon=4)).values[0] == 1


def test_a_horizon_ends_endless_walks():
    walk = from_functions(None, [1, 2], operator.add, lambda s, a: a, initial=0, horizon=3)
    assert walk.states == tuple(range(7))
    assert solve(walk).values[0, 0] == 6


HAND = DiscountedMDP([[[0.5, 0.5], [0, 1]], [[1, 0], [1, 0]]], [[1, 2], [-1, -1]], 0.8)
ROWS = {("a", 0): {"a": 0.5, "b": 0.5}, ("a", 1): {"b": 1.0}, ("b", 0): {"a": 1.0}, ("b", 1): {"a": 1.0}}
GAINS = {("a", 0): 1, ("a", 1): 2, ("b", 0): -1, ("b", 1): -1}
OUTCOMES = {
    "mapping": lambda row: row,
    "list": lambda row: list(row.items()),
    "items": lambda row: row.items(),
    "lists": lambda row: [list(pair) for pair in row.items()],
    "generator": lambda row: (pair for pair in row.items()),
    "zip": lambda row: zip(row.keys(), row.values(), strict=True),
    "in parts": lambda row: [(state, p / 2) for state, p in row.items()] * 2,
    "one alone": lambda row: row if len(row) > 1 else next(iter(row)),
    "with impossible ones": lambda row: [*row.items(), ("nowhere", 0.0), ("never", 0)],
    "fractions": lambda row: {state: Fraction(p) for state, p in row.items()},
    "NumPy": lambda row: {state: np.float32(p) for state, p in row.items()},
}


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("states", [None, "ab"])
def test_every_form_of_a_transition_is_the_model_built_by_hand(outcome, states):
    def transition(s, a):
        return outcome(ROWS[s, a])

    mdp = from_functions(states, (0, 1), transition, lambda s, a: GAINS[s, a], initial="a", discount=0.8)
    assert mdp.states == ("a", "b")
    for name in ("transition", "reward", "initial"):
        np.testing.assert_array_equal(getattr(mdp, name), getattr(HAND, name))


@dataclass(frozen=True)
class Position:
    x: int


@pytest.mark.parametrize("first, second", [(Position(0), Position(1)), (frozenset(), frozenset({1})), ("", "x"), ((), ((),)), (b"", b"x"),
                                           (0.0, np.float64(1)), (None, 1), (int, str)])  # fmt: skip
def test_anything_hashable_is_a_state(first, second):
    mdp = from_functions(None, [0], lambda s, a: second if s == first else first, lambda s, a: s == first, initial=first, discount=0.5)
    assert mdp.states == (first, second)
    assert mdp.transition[:, 0].tolist() == [[0, 1], [1, 0]]
    assert mdp.reward.tolist() == [[1], [0]]


def test_rewards_of_successors_are_averaged():
    mdp = from_functions(None, [0], lambda s, a: {0: 0.25, 1: 0.75}, lambda s, a, t: 8 if t == 0 else -4, initial=0, discount=0.5)
    assert mdp.reward.tolist() == [[-1], [-1]]


REWARDS = {
    "two": lambda s, a: 3,
    "three": lambda s, a, t: 3,
    "a default is not a parameter": lambda s, a, weight=3: weight,
    "any number": lambda *arguments: 3,
    "partial": partial(lambda weight, s, a: weight, 3),
    "builtin": partial(max, 3),
}


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_rewards_are_told_apart_by_their_parameters(reward):
    assert from_functions(None, [0], lambda s, a: s, reward, initial=0, discount=0.5).reward.tolist() == [[3]]


def test_the_start_may_be_spread():
    mdp = from_functions(None, [0], lambda s, a: s, lambda s, a: 0, initial={"a": 0.25, "b": Fraction(3, 4), "c": 0}, discount=0.5)
    assert mdp.states == ("a", "b")
    assert mdp.initial.tolist() == [0.25, 0.75]


def test_given_states_are_all_kept_in_their_order():
    mdp = from_functions(range(5, 0, -1), ["stay"], lambda s, a: s, lambda s, a: s, initial=3, discount=0.5)
    assert mdp.states == (5, 4, 3, 2, 1)
    assert mdp.initial.tolist() == [0, 0, 1, 0, 0]
    assert mdp.reward[:, 0].tolist() == [5, 4, 3, 2, 1]


def test_given_states_have_their_rows_however_short_the_horizon():
    mdp = from_functions(range(4), ["on"], lambda s, a: (s + 1) % 4, lambda s, a: s, initial=0, horizon=1)
    assert mdp.transition[0, :, 0].argmax(axis=1).tolist() == [1, 2, 3, 0]


def test_states_may_have_their_own_actions():
    def choices(s):
        return iter(["up", "left"] if s == 0 else ["down"])

    mdp = from_functions(None, choices, lambda s, a: 1 - s, lambda s, a: {"up": 1, "left": 2, "down": 3}[a], initial=0, discount=0.5)
    assert mdp.actions == ("up", "left", "down")
    assert mdp.reward.tolist() == [[1, 2, 1], [3, 3, 3]]
    np.testing.assert_allclose(solve(mdp, tolerance=1e-9).values, [(2 + 1.5) / 0.75, (3 + 1) / 0.75])


def test_a_start_that_is_terminal_is_a_model():
    for actions in ((0, 1), lambda s: 1 / 0):
        mdp = from_functions(None, actions, None.__class__, lambda s, a: 1, initial="end", terminal=lambda s: True, discount=0.5)
        assert mdp.n_states == 1
        assert mdp.reward.max() == 0


def test_large_models_are_sparse():
    n = 4000
    mdp = from_functions(None, [1], lambda s, a: (s + a) % n, lambda s, a: 0.0, initial=0, discount=0.5)
    assert mdp.is_sparse
    assert mdp.transition.nnz == n
    assert np.all(mdp.transition.indices == np.roll(np.arange(n), -1))
    with pytest.raises(ValueError, match=r"^a finite horizon needs a dense transition, .* give a discount instead"):
        from_functions(range(30_000), [1], lambda s, a: 0, lambda s, a: 0.0, initial=0, horizon=2)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3), st.sampled_from([None, 1, 2, 3]))
def test_the_states_are_those_of_an_independent_enumeration(seed, S, A, horizon):
    """Against the powers of the reachability matrix, and each row against the arrays that the functions read."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < 0.4) + 1e-3 * np.eye(S)[rng.integers(S, size=(S, A))]
    P, R = P / P.sum(axis=-1, keepdims=True), rng.normal(size=(S, A))
    steps = (P.max(axis=1) > 0) | np.eye(S, dtype=bool)
    reached = np.flatnonzero(np.linalg.matrix_power(steps.astype(int), S if horizon is None else horizon)[0])
    setting = {"discount": 0.9} if horizon is None else {"horizon": horizon}
    mdp = from_functions(None, range(A), lambda s, a: dict(enumerate(P[s, a])), lambda s, a: R[s, a], initial=0, **setting)
    assert sorted(mdp.states) == reached.tolist()
    transition = mdp.transition if horizon is None else mdp.transition[0]
    full = DiscountedMDP(P, R, 0.9) if horizon is None else FiniteHorizonMDP(P, R, horizon=horizon)
    found, expected = (np.atleast_2d(solve(x, tolerance=1e-9).values)[0, 0] for x in (mdp, full))
    assert found == pytest.approx(expected, abs=3e-9)
    last = transition.shape[0] if horizon is None else 1
    for s in range(last):
        np.testing.assert_allclose(transition[s], P[mdp.states[s]][:, list(mdp.states)], atol=1e-15)
