"""Sampled episodes against the exact occupancy. Every statistical test refutes a correct sampler with probability at most 1e-6."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_array

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.planning import evaluate, occupancy, sample_episodes

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


def walks_case(sparse, discount=0.8):
    """A discounted model with zeros in its start, its rows and the policy."""
    mdp, policy = sparse_case(2)
    transition, model = mdp.transition[0], instances.random_discounted(4, 3, discount)
    transition = csr_array(transition.reshape(12, 4)) if sparse else transition
    return DiscountedMDP(transition, model.reward, discount, mdp.initial), policy[0]


def assert_binomial(seen, n, probabilities, alternative=False):
    """Every count is a plausible binomial draw at 1e-6 over all of them; with ``alternative`` some is not."""
    values = [stats.binomtest(int(k), n, min(p, 1.0)).pvalue for k, p in zip(np.ravel(seen), np.ravel(probabilities), strict=True)]
    assert (min(values) < LEVEL / len(values)) == alternative


def counts(states, actions, shape):
    return np.histogram2d(states, actions, [np.arange(n + 1) for n in shape])[0]


@pytest.mark.parametrize("sparse", [False, True])
def test_the_last_pair_of_a_walk_is_a_draw_of_the_discounted_occupancy(sparse):
    n = 40_000
    mdp, policy = walks_case(sparse)
    found = sample_episodes(mdp, policy, n, seed=1)
    last = np.arange(n), found.lengths - 1
    seen, exact = counts(found.states[last], found.actions[last], mdp.shape), occupancy(mdp, policy)
    assert seen.sum() == n
    assert_binomial(seen, n, exact)
    assert np.all(seen[exact == 0] == 0)
    other = sample_episodes(mdp, np.full((4, 3), 1 / 3), n, seed=1)
    assert_binomial(counts(other.states[last[0], other.lengths - 1], other.actions[last[0], other.lengths - 1], (4, 3)), n, exact, True)


def test_walks_of_a_given_length_have_the_laws_of_a_finite_horizon():
    n, H = 40_000, 5
    mdp, policy = walks_case(True)
    found = sample_episodes(mdp, policy, n, 3, horizon=H)
    assert found.states.shape == found.actions.shape == found.rewards.shape == (n, H)
    assert np.all(found.lengths == H)
    exact = occupancy(FiniteHorizonMDP(mdp.transition.toarray().reshape(4, 3, 4), mdp.reward, mdp.initial, H), policy)
    assert_binomial([counts(found.states[:, h], found.actions[:, h], (4, 3)) for h in range(H)], n, exact)


def test_whole_walks_have_their_probabilities():
    """Every (length, s, a, s', a') of walks up to two steps, the longer ones by their beginning: one multinomial law."""
    n, discount = 50_000, 0.6
    mdp = DiscountedMDP([[[0.2, 0.8], [0.5, 0.5]], [[0.9, 0.1], [0.3, 0.7]]], np.ones((2, 2)), discount, [0.3, 0.7])
    policy = np.array([[0.4, 0.6], [0.7, 0.3]])
    states, actions, _ = found = sample_episodes(mdp, policy, n, seed=2)
    seen, expected = [], []
    for s, a in itertools.product(range(2), repeat=2):
        first = (states[:, 0] == s) & (actions[:, 0] == a)
        expected.append(n * (1 - discount) * mdp.initial[s] * policy[s, a])
        seen.append(np.sum(first & (found.lengths == 1)))
        for t, b in itertools.product(range(2), repeat=2):
            expected.append(n * discount * mdp.initial[s] * policy[s, a] * mdp.transition[s, a, t] * policy[t, b])
            seen.append(np.sum(first & (found.lengths > 1) & (states[:, 1] == t) & (actions[:, 1] == b)))
    assert min(expected) > 20
    assert sum(seen) == n
    assert stats.chisquare(seen, expected, sum_check=False).pvalue > LEVEL


@pytest.mark.parametrize("discount", [1e-9, 0.5, 0.99])
def test_returns_are_unbiased_estimates_of_the_value(discount):
    """With reward 1 in a state that is never left, reached with probability .4 at the first move or never, the number of returns above 0
    is binomial, and the sum of the lengths is n plus a negative binomial."""
    n = 5000
    transition = np.zeros((3, 1, 3))
    transition[0, 0], transition[1, 0, 1], transition[2, 0, 2] = [0, 0.4, 0.6], 1, 1
    mdp = DiscountedMDP(transition, [[0], [1], [0]], discount)
    found = sample_episodes(mdp, [0, 0, 0], n, seed=4)
    assert_binomial(np.sum(found.returns > 0), n, [0.4 * discount])
    there = (found.states == 1).any(axis=1)
    np.testing.assert_array_equal(found.returns, np.where(there, found.lengths - 1, 0))
    extra = stats.nbinom(n, 1 - discount)
    assert extra.cdf(found.lengths.sum() - n) > LEVEL / 2
    assert extra.sf(found.lengths.sum() - n - 1) > LEVEL / 2
    # conditioned on being there after the first move the return is geometric with mean 1 / (1 - discount): times .4 discount, the value
    assert evaluate(mdp, [0, 0, 0]).values[0] == pytest.approx(0.4 * discount / (1 - discount))


def test_a_walk_is_padded_after_its_end_and_paid_the_mean_rewards():
    mdp, policy = walks_case(True)
    states, actions, rewards = found = sample_episodes(mdp, policy, 50, seed=5)
    after = np.arange(states.shape[1]) >= found.lengths[:, None]
    assert after.any()
    assert found.lengths.max() == states.shape[1]
    assert np.all(states[after] == -1)
    assert np.all(actions[after] == -1)
    assert np.all(rewards[after] == 0)
    np.testing.assert_array_equal(rewards[~after], mdp.reward[states[~after], actions[~after]])


def test_dense_and_sparse_walks_are_the_same():
    (dense, policy), (sparse, _) = walks_case(False), walks_case(True)
    for one, two in zip(sample_episodes(dense, policy, 50, 5), sample_episodes(sparse, policy, 50, 5), strict=True):
        np.testing.assert_array_equal(one, two)
    one, two = (sample_episodes(dense, policy, 50, seed).states for seed in (5, 6))
    assert one.shape != two.shape or np.any(one != two)


def test_large_sparse_models_are_sampled():
    mdp = instances.large_garnet(2000, 3, 4)
    found = sample_episodes(mdp, np.zeros(2000, int), 100, horizon=20)
    flat = mdp.transition[found.states[:, :-1].ravel() * 3]
    assert np.all(flat[np.arange(flat.shape[0]), found.states[:, 1:].ravel()] > 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda mdp, policy: sample_episodes(mdp, policy, 0), ValueError, "n must be at least 1"),
        (lambda mdp, policy: sample_episodes(mdp, policy, 3, horizon=0), ValueError, "horizon must be at least 1"),
        (lambda mdp, policy: sample_episodes(mdp, policy, 3, horizon=2.0), TypeError, "horizon must be an integer"),
        (lambda mdp, policy: sample_episodes(mdp, policy, 3, horizon=2**40), ValueError, "are more than 268435456 steps"),
        (lambda mdp, policy: sample_episodes(replace(mdp, discount=1 - 1e-12), policy, 3), ValueError, "give a smaller n or a horizon"),
        (lambda mdp, policy: sample_episodes(instances.random_episodic(), policy, 3, horizon=2), ValueError, "horizon must be None for"),
    ],
)
def test_impossible_lengths_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(walks_case(False)[0], np.full((4, 3), 1 / 3))
