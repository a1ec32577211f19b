"""Sampled episodes against the exact occupancy. Every statistical test refutes a correct sampler with probability at most 1e-6."""

import itertools

import numpy as np
import pytest
from scipy import stats

from tabular_rl import instances
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import occupancy, sample_episodes

LEVEL = 1e-6


def sparse_case(seed=0):
    """Zeros in the start, the transitions and the policy."""
    rng = np.random.default_rng(seed)
    mdp = instances.random_episodic(3, 4, 3, seed)

    def thin(weights):
        weights = weights * (rng.random(weights.shape) < 0.6) + 1e-300
        weights[weights < 1e-200] = 0
        weights[..., -1] += weights.sum(axis=-1) == 0
        return weights / weights.sum(axis=-1, keepdims=True)

    return FiniteHorizonMDP(thin(mdp.transition), mdp.reward, thin(rng.random(4))), thin(rng.random((3, 4, 3)))


def test_visits_are_binomial_with_the_occupancy_as_probability():
    n = 50_000
    mdp, policy = sparse_case()
    states, actions, _ = sample_episodes(mdp, policy, n, seed=1)
    exact = occupancy(mdp, policy)
    for h, s, a in np.ndindex(exact.shape):
        seen, probability = int(np.sum((states[:, h] == s) & (actions[:, h] == a))), min(exact[h, s, a], 1.0)
        assert stats.binomtest(seen, n, probability).pvalue > LEVEL / exact.size  # Bonferroni over the cells
        assert probability > 0 or seen == 0


def test_whole_paths_have_their_probabilities():
    """All (s, a, s') paths of two steps in one exact multinomial law: a chi-square test over cells expected 20 times or more."""
    n = 50_000
    mdp = instances.random_episodic(2, 2, 2, 3)
    policy = np.random.default_rng(0).dirichlet(np.ones(2), (2, 2))
    states, actions, _ = sample_episodes(mdp, policy, n, seed=2)
    seen, expected = [], []
    for s, a, t, b in itertools.product(range(2), repeat=4):
        expected.append(n * mdp.initial[s] * policy[0, s, a] * mdp.transition[0, s, a, t] * policy[1, t, b])
        seen.append(np.sum((states == [s, t]).all(axis=1) & (actions == [a, b]).all(axis=1)))
    assert min(expected) > 20
    assert stats.chisquare(seen, expected, sum_check=False).pvalue > LEVEL


def test_the_binomial_test_refutes_another_policy():
    n = 50_000
    mdp, policy = sparse_case()
    states, actions, _ = sample_episodes(mdp, np.full((3, 4, 3), 1 / 3), n, seed=1)
    exact = occupancy(mdp, policy)
    seen = np.array([[[np.sum((states[:, h] == s) & (actions[:, h] == a)) for a in range(3)] for s in range(4)] for h in range(3)])
    values = [stats.binomtest(int(k), n, min(p, 1.0)).pvalue for k, p in zip(seen.ravel(), exact.ravel(), strict=True)]
    assert min(values) < LEVEL / exact.size


def test_rewards_are_the_means_along_the_path():
    mdp = instances.random_episodic(3, 4, 2, 1)
    states, actions, rewards = sample_episodes(mdp, np.full((4, 2), 0.5), 20, seed=0)
    for i, h in np.ndindex(20, 3):
        assert rewards[i, h] == mdp.reward[h, states[i, h], actions[i, h]]


def test_point_masses_leave_no_choice():
    for mdp in (instances.deep_sea(5, horizon=5), FiniteHorizonMDP([[[1.0]]], [[0.3]], horizon=2)):
        actions = np.zeros(mdp.n_states, int)
        states, played, _ = sample_episodes(mdp, actions, 30)
        assert np.all(states == states[0])
        assert np.all(played == 0)
        assert np.all(occupancy(mdp, actions)[np.arange(mdp.horizon), states[0], 0] == 1)


def test_a_stationary_model_samples_like_its_repetition():
    packed = instances.river_swim(4, horizon=6)
    full = FiniteHorizonMDP(np.array(packed.transition), np.array(packed.reward), packed.initial)
    policy = np.full((4, 2), 0.5)
    for one, two in zip(sample_episodes(packed, policy, 50, 5), sample_episodes(full, policy, 50, 5), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_seed_decides_everything():
    mdp = instances.random_episodic(3, 4, 2, 1)
    policy = np.full((4, 2), 0.5)
    one, two, other = (sample_episodes(mdp, policy, 100, seed) for seed in (3, np.random.SeedSequence(3), 4))
    np.testing.assert_array_equal(one.states, two.states)
    np.testing.assert_array_equal(one.actions, two.actions)
    assert np.any(one.states != other.states)


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_the_number_of_episodes_is_a_positive_integer(n, error):
    with pytest.raises(error, match="n must be"):
        sample_episodes(instances.random_episodic(), np.full((4, 3), 1 / 3), n)
