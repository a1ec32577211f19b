"""Functions that are wrong: the error names the state and the action, and no walk goes on for ever."""

from itertools import count, repeat

import numpy as np
import pytest

from tabular_rl.models import from_functions


def build(states=None, actions=("go",), transition=lambda s, a: s, reward=lambda s, a: 0.0, initial="x", discount=0.9, **options):
    return from_functions(states, actions, transition, reward, initial=initial, discount=discount, **options)


def test_what_is_right_builds():
    assert build().states == ("x",)


WRONG_TRANSITIONS = [
    ({"x": 0.5}, ValueError, "transition: the probabilities after state 'x', action 'go' sum to 0.5, expected 1"),
    ({"x": 0.5, "y": 0.75}, ValueError, "transition: the probabilities after state 'x', action 'go' sum to 1.25"),
    ({}, ValueError, "transition: the probabilities after state 'x', action 'go' sum to 0.0"),
    ([], ValueError, "transition: the probabilities after state 'x', action 'go' sum to 0.0"),
    ({"x": 1.5, "y": -0.5}, ValueError, "transition: the probabilities after state 'x', action 'go' sum to 1.5"),
    ({"y": -0.5, "x": 1.5}, ValueError, r"probability of 'y' after state 'x', action 'go' must lie in \[0, inf\), got -0.5"),
    ({"y": np.nan}, ValueError, "probability of 'y' after state 'x', action 'go' must lie in .*, got nan"),
    ({"y": np.inf}, ValueError, "probability of 'y' after state 'x', action 'go' must lie in .*, got inf"),
    ({"y": "1"}, TypeError, "probability of 'y' after state 'x', action 'go' must be a real number, got str '1'"),
    ({"y": None}, TypeError, "probability of 'y' after state 'x', action 'go' must be a real number"),
    (["y"], TypeError, r"transition\('x', 'go'\) must hold pairs \(successor, probability\), got 'y'"),
    ([("y", 1, 0)], TypeError, r"transition\('x', 'go'\) must hold pairs"),
    (np.array([0.5, 0.5]), TypeError, r"transition\('x', 'go'\) must hold pairs"),
    ([([1], 1.0)], TypeError, r"states must be hashable, got \[1\], after state 'x', action 'go'"),
    ([(["y"], 1.0)], TypeError, "states must be hashable"),
    (zip(count(), repeat(0.3)), ValueError, "transition: the probabilities after state 'x', action 'go' sum to 1.2"),
]


@pytest.mark.parametrize("outcome, error, message", WRONG_TRANSITIONS)
def test_a_wrong_transition_is_named(outcome, error, message):
    with pytest.raises(error, match=f"^{message}"):
        build(transition=lambda s, a: outcome)


NO_REWARDS = [(np.nan, ValueError), (np.inf, ValueError), (10**400, ValueError), (None, TypeError), ("1", TypeError), (1j, TypeError)]


@pytest.mark.parametrize("gain, error", [*NO_REWARDS, ([1], TypeError)])
def test_a_wrong_reward_is_named(gain, error):
    with pytest.raises(error, match=r"^reward of state 'x', action 'go' must"):
        build(reward=lambda s, a: gain)
    with pytest.raises(error, match=r"^reward of state 'x', action 'go' must"):
        build(reward=lambda s, a, t: gain)


WRONG_STARTS = [
    (["x"], TypeError, r"initial must be hashable, got list \['x'\]"),
    ({}, ValueError, "initial sums to 0"),
    ({"x": 0.5}, ValueError, "initial sums to 0.5, expected 1"),
    ({"x": 1.5, "y": -0.5}, ValueError, r"initial probability of 'y' must lie in \[0, inf\), got -0.5"),
    ({"x": np.nan}, ValueError, "initial probability of 'x' must lie in"),
    ({"x": "1"}, TypeError, "initial probability of 'x' must be a real number"),
]


@pytest.mark.parametrize("initial, error, message", WRONG_STARTS)
def test_a_wrong_start_is_named(initial, error, message):
    with pytest.raises(error, match=f"^{message}"):
        build(initial=initial)


WRONG_STATES = [
    ("ab", ValueError, "initial state 'x' is not among the states"),
    ([], ValueError, "initial state 'x' is not among the states"),
    (["x", "y", "x"], ValueError, "states must be distinct, 'x' stands there twice"),
    (["x", ["y"]], TypeError, r"states must be hashable, got list \['y'\]"),
    (3, TypeError, "states must be a sequence, got int 3"),
]


@pytest.mark.parametrize("states, error, message", WRONG_STATES)
def test_wrong_states_are_named(states, error, message):
    with pytest.raises(error, match=f"^{message}"):
        build(states=states)


def test_a_successor_outside_of_the_given_states_is_named():
    with pytest.raises(ValueError, match=r"^successor 'z' is not among the states, after state 'y', action 'go'"):
        build(states="xy", transition=lambda s, a: "z" if s == "y" else s)


WRONG_ACTIONS = [
    ([], ValueError, "actions must not be empty"),
    (None, TypeError, "actions must be a sequence, got NoneType None"),
    (["go", "go"], ValueError, "actions must be distinct, 'go' stands there twice"),
    ([["go"]], TypeError, "actions must be hashable"),
    (lambda s: [], ValueError, "actions of state 'x' must not be empty"),
    (lambda s: iter(()), ValueError, "actions of state 'x' must not be empty"),
    (lambda s: 2, TypeError, "actions of state 'x' must be a sequence, got int 2"),
    (lambda s: [0, 0], ValueError, "actions of state 'x' must be distinct, 0 stands there twice"),
    (lambda s: [{}], TypeError, "actions of state 'x' must be hashable"),
]


@pytest.mark.parametrize("actions, error, message", WRONG_ACTIONS)
def test_wrong_actions_are_named(actions, error, message):
    with pytest.raises(error, match=f"^{message}"):
        build(actions=actions)


ENDLESS = {
    "states": {"states": count(), "initial": 0},
    "walk": {"transition": lambda s, a: s + 1, "initial": 0},
    "actions": {"actions": count()},
    "actions of a state": {"actions": lambda s: count()},
    "not equal to themselves": {"transition": lambda s, a: float("nan")},
}


@pytest.mark.parametrize("options", ENDLESS.values(), ids=ENDLESS)
def test_nothing_endless_is_waited_for(options):
    with pytest.raises(ValueError, match=r"more than max_states=1000"):
        build(**options, max_states=1000)


def test_as_many_states_as_allowed_are_allowed():
    ring = {"transition": lambda s, a: (s + 1) % 10, "initial": 0}
    assert build(**ring, max_states=10).n_states == 10
    assert build(states=range(10), **ring, max_states=10).n_states == 10
    for states in (None, range(10)):
        with pytest.raises(ValueError, match=r"more than max_states=9 states"):
            build(states=states, **ring, max_states=9)


@pytest.mark.parametrize("name", ["transition", "reward", "terminal"])
@pytest.mark.parametrize("value", [3, {"x": 1}, "x"])
def test_functions_are_functions(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be a function, got"):
        build(**{name: value})


def test_errors_of_the_functions_themselves_pass_through():
    with pytest.raises(ZeroDivisionError):
        build(transition=lambda s, a: 1 / 0)
    with pytest.raises(KeyError, match="go"):
        build(reward=lambda s, a: {}[a])
    with pytest.raises(LookupError):
        build(terminal=lambda s: [][0])


SETTINGS = [
    ({"discount": None}, ValueError, "give exactly one of discount and horizon"),
    ({"horizon": 3}, ValueError, "give exactly one of discount and horizon, got discount=0.9, horizon=3"),
    ({"discount": 1}, ValueError, r"discount must lie in \(0, 1\), got 1.0"),
    ({"discount": "0.9"}, TypeError, "discount must be a real number"),
    ({"discount": None, "horizon": 0}, ValueError, "horizon must be at least 1, got 0"),
    ({"discount": None, "horizon": "3"}, TypeError, "horizon must be an integer, got str '3'"),
    ({"max_states": 0}, ValueError, "max_states must be at least 1"),
    ({"max_states": 1.5}, TypeError, "max_states must be an integer"),
]


@pytest.mark.parametrize("options, error, message", SETTINGS)
def test_settings_are_checked_before_anything_is_walked(options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        build(transition=lambda s, a: 1 / 0, **options)
