"""Loss worlds as an algorithm sees them: their tables, means and errors."""

import numpy as np
import pytest

from tabular_rl import instances, losses
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP

MDP = instances.random_episodic(2, 3, 2, 1)
MEANS = np.random.default_rng(5).uniform(0.1, 0.9, MDP.shape)


def means_of(world, episodes, policy=None):
    """[episodes, H, S, A] that a run would see."""
    _, _, schedule, tables, parameters, _, _ = world.world
    policy = np.full(world.shape, 1 / world.shape[-1]) if policy is None else policy
    means, result = np.empty(world.shape), []
    for k in range(episodes):
        mean_losses(schedule, tables, parameters, k, policy, means)
        result.append(means.copy())
    return np.array(result)


def test_stochastic_losses_are_the_same_in_every_episode():
    np.testing.assert_array_equal(means_of(losses.stochastic(MDP, MEANS), 5), np.tile(MEANS, (5, 1, 1, 1)))
    np.testing.assert_array_equal(means_of(losses.stochastic(MDP), 1)[0], 1 - MDP.reward)


def test_switching_losses_turn_into_their_mirror_image_and_back():
    seen = means_of(losses.switching(MDP, 3, MEANS), 9)
    for k in range(9):
        np.testing.assert_allclose(seen[k], MEANS if k // 3 % 2 == 0 else 1 - MEANS)


def test_periodic_losses_go_around():
    tables = np.random.default_rng(0).random((3, *MDP.shape))
    seen = means_of(losses.periodic(MDP, tables, 4, offset=2), 30)
    np.testing.assert_array_equal(seen, tables[[(k + 2) // 4 % 3 for k in range(30)]])


def test_drifting_losses_swing():
    seen = means_of(losses.drifting(MDP, 8, MEANS), 9)
    for k, swing in ((0, 1), (2, 0), (4, -1), (6, 0), (8, 1)):
        np.testing.assert_allclose(seen[k], 0.5 + swing * (MEANS - 0.5))


def test_phases_halve_the_gaps_and_jump_by_a_level():
    seen = means_of(losses.phases(MDP, MEANS), 300)
    for k in range(300):
        phase = int(np.floor(np.log(k + 1) / np.log(1.6)))
        np.testing.assert_allclose(seen[k], 0.5 * MEANS + 0.55 * (phase % 2))
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_recorded_losses_are_played_back_and_start_over():
    tables = np.random.default_rng(0).random((4, *MDP.shape))
    world = losses.recorded(MDP, tables)
    np.testing.assert_array_equal(means_of(world, 9), tables[np.arange(9) % 4])
    assert not world.bernoulli


def test_anti_greedy_charges_the_likeliest_action():
    policy = np.random.default_rng(0).dirichlet(np.ones(2), MDP.shape[:2])
    policy[0, 0] = 0.5
    charged = np.eye(2)[policy.argmax(axis=-1)]
    np.testing.assert_array_equal(means_of(losses.anti_greedy(MDP), 50, policy)[[0, 49]], [charged, charged])
    seen = means_of(losses.corrupted(MDP, 3, MEANS), 6, policy)
    np.testing.assert_array_equal(seen, [charged] * 3 + [MEANS] * 3)
    np.testing.assert_array_equal(means_of(losses.corrupted(MDP, 0, MEANS), 2, policy), [MEANS] * 2)


def test_block_losses_are_opposite_bits_that_stay_for_a_block():
    seen = means_of(losses.block(MDP, 4, seed=3), 400)
    assert set(np.unique(seen)) == {0, 1}
    np.testing.assert_array_equal(seen[..., 1], 1 - seen[..., 0])
    np.testing.assert_array_equal(seen, np.repeat(seen[::4], 4, axis=0))
    bits = seen[::4, :, :, 0]
    assert len(np.unique(bits.reshape(100, -1), axis=0)) > 50  # of 64 patterns


def test_block_losses_follow_their_seed():
    one, again, other = (means_of(losses.block(MDP, 2, seed), 60) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


def test_the_longest_periods_never_end():
    """k + offset and 2**53 are whole numbers that int64 holds: nothing wraps around."""
    tables = np.stack([MEANS, 1 - MEANS])
    np.testing.assert_array_equal(means_of(losses.periodic(MDP, tables, 2**53), 3), [MEANS] * 3)
    np.testing.assert_array_equal(means_of(losses.periodic(MDP, tables, 1, offset=2**53), 3), tables[[0, 1, 0]])
    assert len(np.unique(means_of(losses.block(MDP, 2**53), 9), axis=0)) == 1


def test_a_world_without_noise_shows_the_means():
    assert losses.stochastic(MDP).bernoulli
    assert not losses.stochastic(MDP, bernoulli=False).bernoulli
    assert AdversarialMDP.of(MDP).bernoulli  # a plain model is the textbook's, with 0/1 draws


def test_a_learner_keeps_worlds_and_turns_rewards_into_losses():
    world = losses.switching(MDP, 3)
    assert AdversarialMDP.of(world) is world
    np.testing.assert_array_equal(AdversarialMDP.of(MDP).tables[0], 1 - MDP.reward)
    with pytest.raises(TypeError, match="problem must be an AdversarialMDP or a FiniteHorizonMDP, got DiscountedMDP"):
        AdversarialMDP.of(DiscountedMDP([[[1.0]]], [[1.0]], 0.5))


def test_worlds_keep_a_stationary_transition_packed():
    river = instances.river_swim(4, horizon=6)
    assert losses.stochastic(river).packed_transition.shape == (1, 4, 2, 4)


def test_rewards_outside_of_the_unit_interval_ask_for_means():
    reward = np.array(MDP.reward)
    reward[1, 2, 0] = 1.5
    mdp = FiniteHorizonMDP(MDP.transition, reward)
    with pytest.raises(ValueError, match=r"reward\[1, 2, 0\] is 1.5, expected rewards in \[0, 1\]"):
        losses.stochastic(mdp)
    assert isinstance(losses.stochastic(mdp, MEANS), AdversarialMDP)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: losses.stochastic(MDP, MEANS[0]), ValueError, r"means must have shape \(2, 3, 2\), got \(3, 2\)"),
        (lambda: losses.stochastic(MDP, MEANS + 1), ValueError, r"0, 0, 0\] is 1.*, expected a mean.* in \[0, 1\]"),
        (lambda: losses.switching(MDP, 3, MEANS - 1), ValueError, r"expected a mean.* in \[0, 1\]"),
        (lambda: losses.switching(MDP, 0), ValueError, "period must be at least 1, got 0"),
        (lambda: losses.periodic(MDP, MEANS[None], 2.5), TypeError, "period must be an integer"),
        (lambda: losses.periodic(MDP, MEANS[None], 2, offset=-1), ValueError, "offset must be at least 0"),
        (lambda: losses.periodic(MDP, MEANS, 2), ValueError, "tables must have shape"),
        (lambda: losses.drifting(MDP, 0), ValueError, "period"),
        (lambda: losses.phases(MDP, MEANS, ratio=1.0), ValueError, "ratio must lie in"),
        (lambda: losses.phases(MDP, np.full(MDP.shape, 0.95)), ValueError, "means must be at most 0.9"),
        (lambda: losses.corrupted(MDP, -1), ValueError, "episodes must be at least 0"),
        (lambda: losses.block(MDP, 0), ValueError, "length must be at least 1"),
        (lambda: losses.block(MDP, 2, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: losses.block(MDP, 2, seed=2**53), ValueError, "seed must be below"),
        (lambda: losses.block(MDP, 2**54), ValueError, "length must lie in"),
        (lambda: losses.periodic(MDP, MEANS[None], 2**63), ValueError, "period must be at most"),
        (lambda: losses.periodic(MDP, MEANS[None], 2, offset=2**63), ValueError, "offset must be at most"),
        (lambda: losses.switching(MDP, 10**400), ValueError, r"period must be at most \d+, got 1000.{1,40}$"),
        (lambda: losses.drifting(MDP, 10**400), ValueError, "period must be at most"),
        (lambda: losses.corrupted(MDP, 10**400), ValueError, "episodes must be at most"),
        (lambda: losses.recorded(MDP, np.full((2, *MDP.shape), np.nan)), ValueError, "expected a finite number"),
        (lambda: losses.recorded(MDP, np.zeros((0, *MDP.shape))), ValueError, "tables must have shape"),
    ],
)
def test_bad_input_is_named(build, error, message):
    with pytest.raises(error, match=message):
        build()
