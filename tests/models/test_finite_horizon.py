"""Episodic models: where the horizon comes from, and what stationary means."""

import numpy as np
import pytest

from tabular_rl import instances
from tabular_rl.models import FiniteHorizonMDP

H, S, A = 4, 3, 2
rng = np.random.default_rng(0)
P, R = rng.dirichlet(np.ones(S), (H, S, A)), rng.random((H, S, A))


@pytest.mark.parametrize("transition", [P, P[0], P[:1]], ids=["steps", "stationary", "one step"])
@pytest.mark.parametrize("reward", [R, R[0], R[:1]], ids=["steps", "stationary", "one step"])
def test_either_array_may_be_stationary(transition, reward):
    mdp = FiniteHorizonMDP(transition, reward, horizon=H)
    assert mdp.shape == (H, S, A) == (mdp.horizon, mdp.n_states, mdp.n_actions)
    np.testing.assert_array_equal(mdp.transition, np.broadcast_to(transition, (H, S, A, S)))
    np.testing.assert_array_equal(mdp.reward, np.broadcast_to(reward, (H, S, A)))


@pytest.mark.parametrize("transition, reward", [(P, R), (P, R[0]), (P[0], R), (P[:1], R), (P, R[:1])])
def test_the_horizon_is_read_off_the_arrays(transition, reward):
    assert FiniteHorizonMDP(transition, reward).horizon == H


def test_without_steps_the_horizon_is_needed():
    with pytest.raises(ValueError, match=r"^horizon is needed"):
        FiniteHorizonMDP(P[0], R[0])


def test_a_horizon_may_be_long_but_not_endless():
    assert FiniteHorizonMDP(P[0], R[0], horizon=10**12).shape == (10**12, S, A)
    with pytest.raises(ValueError, match=r"^horizon must be below .* for \d+ states and \d+ actions, got 10000000000000000000"):
        FiniteHorizonMDP(P[0], R[0], horizon=10**19)


def test_horizons_that_differ_are_named():
    with pytest.raises(ValueError, match=r"^transition has 4 steps, expected horizon=5"):
        FiniteHorizonMDP(P, R, horizon=5)
    with pytest.raises(ValueError, match=r"^reward has 4 steps, expected horizon=2"):
        FiniteHorizonMDP(P[:2], R, horizon=2)
    with pytest.raises(ValueError, match=r"^transition has 4 steps and reward has 3"):
        FiniteHorizonMDP(P, R[:3])


@pytest.mark.parametrize("horizon, error", [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError), ("4", TypeError)])
def test_the_horizon_is_a_positive_integer(horizon, error):
    with pytest.raises(error, match=r"^horizon must be"):
        FiniteHorizonMDP(P[0], R[0], horizon=horizon)


def test_a_stationary_model_is_stored_once():
    mdp = FiniteHorizonMDP(P[0], R[0], horizon=10**9)
    assert mdp.transition.shape == (10**9, S, A, S)
    assert mdp.packed_transition.shape == (1, S, A, S)
    assert mdp.packed_reward.shape == (1, S, A)
    assert mdp.packed_transition.flags.c_contiguous


def test_a_model_made_of_another_stays_stationary_and_shares_its_memory():
    first = FiniteHorizonMDP(P[0], R[0], horizon=10**9)
    second = FiniteHorizonMDP(first.transition, first.reward, 1)
    assert second.horizon == 10**9
    assert np.shares_memory(first.packed_transition, second.packed_transition)


def test_equal_rows_in_every_state_are_not_a_step_axis():
    rows = np.broadcast_to(P[0, 0], (S, A, S))
    np.testing.assert_array_equal(FiniteHorizonMDP(rows, R).transition[1], rows)


def test_the_shape_is_complained_of_before_the_sums():
    with pytest.raises(ValueError, match=r"^transition must have shape \[H, S, A, S\] or \[S, A, S\], got \(3, 2, 4\)"):
        FiniteHorizonMDP(np.ones((3, 2, 4)), np.ones((3, 2)))


def test_one_state_one_action_one_step():
    assert FiniteHorizonMDP([[[1]]], [[7]], horizon=1).reward.tolist() == [[[7]]]


def test_a_model_prints_its_size():
    assert repr(instances.random_episodic(4, 3, 2)) == "FiniteHorizonMDP(H=4, S=3, A=2)"
