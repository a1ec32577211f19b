"""The submodular MDP: two forms of the transition, elements, the ground set of exact tools, errors."""

import copy
import pickle

import numpy as np
import pytest

from tabular_rl.models import SubmodularMDP
from tabular_rl.submodular import CountSquared, Coverage, Cut, Modular

MOVES = np.array([[0, 1], [0, 2], [1, 2]])
WALK = {"transition": MOVES, "objective": Modular([1.0, 2.0, 4.0]), "horizon": 3}


def test_successors_and_probabilities_are_the_same_problem():
    walk, dense = SubmodularMDP(**WALK, slip=0.4), SubmodularMDP(**WALK)
    np.testing.assert_allclose(walk.packed_transition[0, 1], [[0.8, 0, 0.2], [0.2, 0, 0.8]])
    np.testing.assert_array_equal(dense.packed_transition[0], np.eye(3)[MOVES])
    np.testing.assert_allclose(
        SubmodularMDP(**WALK, slip=1.0).packed_transition[0], np.eye(3)[MOVES].mean(axis=1, keepdims=True).repeat(2, 1)
    )
    assert walk.probabilities.shape == (3, 3, 2, 3)
    assert walk.shape == dense.shape == (3, 3, 2)
    assert (dense.is_deterministic, walk.is_deterministic) == (True, False)
    again = SubmodularMDP(walk.packed_transition, 0, walk.objective, 3)
    assert again.shape == walk.shape
    assert again.successors is None
    assert not again.is_deterministic
    assert SubmodularMDP(dense.packed_transition[0], 0, walk.objective, 3).is_deterministic
    assert repr(walk) == "SubmodularMDP(H=3, S=3, A=2, Modular, slip=0.4)"


def test_value_and_gains_follow_the_elements():
    mdp = SubmodularMDP(**WALK)
    assert mdp.gains([0, 1, 0, 1]).tolist() == [1, 2, 0, 0]
    assert mdp.value([[0, 1, 2, 2], [0, 0, 0, 0]]).tolist() == [7, 1]
    assert isinstance(mdp.value([0, 0, 0, 0]), float)
    repeated = SubmodularMDP(**WALK, repeats=True)
    assert repeated.gains([0, 1, 0, 1]).tolist() == [1, 2, 1, 2]
    late = SubmodularMDP(**WALK, elements=[[-1, -1, -1], [0, 1, 2], [0, 1, 2], [2, 2, 2]])
    assert late.gains([0, 1, 1, 2]).tolist() == [0, 2, 0, 4]
    assert late.additive_reward.tolist() == [[0, 0, 0], [1, 2, 4], [1, 2, 4], [4, 4, 4]]
    shared = SubmodularMDP(MOVES, 0, Modular([3.0]), 3, elements=[0, -1, 0])
    assert shared.gains([0, 1, 2, 2]).tolist() == [3, 0, 0, 0]


def test_the_ground_set_is_time_tagged_with_repeats():
    mdp = SubmodularMDP(**WALK)
    assert mdp.ground_set().n == 3
    assert mdp.table().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    tagged = SubmodularMDP(**{**WALK, "objective": CountSquared(3), "horizon": 2}, repeats=True)
    assert tagged.reachable.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    ground = tagged.ground_set()
    assert ground.n == 6
    assert ground.elements.tolist() == [[0, -1, -1], [1, 2, -1], [3, 4, 5]]
    assert ground.types.tolist() == [0, 0, 1, 0, 1, 2]
    table = tagged.table()
    for path in ([0, 1, 2], [0, 0, 1]):
        assert table[sum(1 << ground.elements[h, s] for h, s in enumerate(path))] == tagged.value(path) == 9


def test_a_random_start_has_no_start_state():
    assert SubmodularMDP(**WALK, initial=2).start == 2
    assert SubmodularMDP(**WALK, initial=[0.5, 0.5, 0]).start is None
    assert SubmodularMDP(**WALK, initial=[0.5, 0.5, 0]).reachable[0].tolist() == [True, True, False]


@pytest.mark.parametrize("slip", [0.0, 0.25])
def test_copies_and_pickles_are_equal_and_read_only(slip):
    mdp = SubmodularMDP(**WALK, slip=slip, elements=[0, 2, 1], states="abc")
    for other in (copy.copy(mdp), pickle.loads(pickle.dumps(mdp))):
        np.testing.assert_array_equal(other.packed_transition, mdp.packed_transition)
        np.testing.assert_array_equal(other.elements, mdp.elements)
        assert other.states == ("a", "b", "c")
        assert not other.transition.flags.writeable
        assert not other.elements.flags.writeable
    large = SubmodularMDP(np.zeros((1000, 5), int), 0, Modular(np.ones(1000)), 50)
    assert len(pickle.dumps(large)) < 200_000
    moves = np.array(MOVES)
    mdp = SubmodularMDP(**{**WALK, "transition": moves})
    moves[0] = 2
    assert mdp.successors[0, 0] == 0


def test_the_written_out_transition_has_a_limit():
    large = SubmodularMDP(np.zeros((4000, 5), int), 0, Modular(np.ones(4000)), 2)
    with pytest.raises(ValueError, match="too large to be written out"):
        _ = large.packed_transition


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"objective": None}, TypeError, "objective must be one of tabular_rl.submodular, got NoneType"),
        ({"objective": Modular([1.0])}, ValueError, "objective has 1 elements, expected one for each of the 3 states"),
        ({"horizon": None}, ValueError, "horizon is needed"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1"),
        ({"transition": np.array([[3, 0], [0, 0], [0, 0]])}, ValueError, r"transition\[0, 0\] is 3, expected an integer from 0 to 2"),
        ({"transition": np.array([[-1, 0], [0, 0], [0, 0]])}, ValueError, r"transition\[0, 0\] is -1"),
        ({"transition": np.full((3, 2, 3), 0.25)}, ValueError, r"transition\[0, 0\] sums to 0.75"),
        ({"transition": np.full((3, 2, 3), 1 / 3), "slip": 0.1}, ValueError, "slip must be 0 with transition probabilities"),
        ({"transition": np.full((3, 2, 3), 1 / 3), "horizon": None}, ValueError, "horizon is needed"),
        ({"transition": np.full((2, 3, 2, 3), 1 / 3)}, ValueError, "transition has 2 steps, expected horizon=3"),
        ({"transition": np.ones((3, 2))}, ValueError, "transition must have shape"),
        ({"slip": 1.5}, ValueError, "slip must lie in"),
        ({"elements": [0, 1, 3]}, ValueError, r"elements\[2\] is 3, expected an integer from -1 to 2"),
        ({"elements": [0, 1, -2]}, ValueError, r"elements\[2\] is -2"),
        ({"elements": [0, 1]}, ValueError, "elements must be integers"),
        ({"elements": [0.0, 1, 2]}, ValueError, "elements must be integers"),
        ({"initial": 3}, ValueError, "initial must be a state below 3"),
        ({"initial": [0.5, 0.4, 0]}, ValueError, "initial sums to 0.9"),
        ({"repeats": 1}, TypeError, "repeats must be True or False"),
        ({"objective": Cut(np.ones((3, 3))), "repeats": True}, ValueError, "repeats must be False for Cut"),
        ({"states": ["a", "a", "b"]}, ValueError, "states must be distinct"),
    ],
)
def test_errors_name_the_argument(change, error, message):
    with pytest.raises(error, match=f"^{message}"):
        SubmodularMDP(**{**WALK, **change})


def test_trajectories_must_fit():
    with pytest.raises(ValueError, match="states must have 4 entries"):
        SubmodularMDP(**WALK).value([0, 1])


def test_the_repeated_step_axis_is_stored_once():
    mdp = SubmodularMDP(np.full((3, 2, 3), 1 / 3), 0, Coverage([1.0], [[0], [], [0]]), 7)
    assert mdp.probabilities.shape == (7, 3, 2, 3)
    assert mdp.packed_transition.shape == (1, 3, 2, 3)
    assert SubmodularMDP(mdp.transition, 0, mdp.objective).packed_transition.shape == (1, 3, 2, 3)
