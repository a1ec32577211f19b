"""Trajectories: the right laws, streams of their own, gains that are differences of F; exact against enumeration."""

import numpy as np
import pytest
from scipy.stats import chi2

from tabular_rl.instances import submodular as shelf
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.simulation import sample_trajectories
from tabular_rl.submodular import Modular

LEVEL = 1e-6  # false alarms of each statistical test


def law_of_paths(problem, policy):
    """{(states, actions): probability} of all trajectories."""
    paths = {((s,), ()): p for s, p in enumerate(problem.initial) if p > 0}
    P = problem.probabilities
    for h in range(problem.horizon):
        paths = {
            ((*states, t), (*actions, a)): p * policy[h, states[-1], a] * P[h, states[-1], a, t]
            for (states, actions), p in paths.items()
            for a in range(problem.n_actions)
            for t in np.flatnonzero(P[h, states[-1], a])
            if policy[h, states[-1], a] > 0
        }
    return paths


def some_policy(problem, seed=0):
    policy = np.random.default_rng(seed).dirichlet(np.ones(problem.n_actions), problem.shape[:2])
    policy[0, :, -1] = 0  # an action that is never played
    return policy / policy.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "problem",
    [
        shelf.random_problem(3, 3, 2, seed=1),
        SubmodularMDP(np.array([[0, 1], [1, 2], [2, 0]]), [0.2, 0.3, 0.5], Modular([1.0, 2, 3]), 3, slip=0.4),
        SubmodularMDP(np.random.default_rng(0).dirichlet(np.ones(3), (3, 2)), 1, Modular([1.0, 2, 3]), 3),
    ],
    ids=["every step", "slip", "stationary"],
)
def test_trajectories_have_the_law_of_the_enumeration(problem):
    policy, n = some_policy(problem), 50_000
    law = law_of_paths(problem, policy)
    assert sum(law.values()) == pytest.approx(1)
    found = sample_trajectories(problem, policy, n, seed=3)
    keys, counts = np.unique(np.hstack([found.states, found.actions]), axis=0, return_counts=True)
    H = problem.horizon
    seen = {(tuple(key[: H + 1].tolist()), tuple(key[H + 1 :].tolist())): count for key, count in zip(keys, counts, strict=True)}
    assert set(seen) <= set(law)
    rare = {path for path, p in law.items() if n * p < 10}  # put together: chi-square wants 5 and more
    expected = [n * p for path, p in law.items() if path not in rare] + [n * sum(law[path] for path in rare)]
    observed = [seen.get(path, 0) for path in law if path not in rare] + [sum(seen.get(path, 0) for path in rare)]
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True) if e > 5)
    assert statistic < chi2.ppf(1 - LEVEL, len(expected) - 1)


@pytest.mark.parametrize("kind", ["coverage", "soft", "ddesign", "truncated", "facility"])
@pytest.mark.parametrize("repeats", [False, True])
def test_gains_are_those_of_the_model(kind, repeats):
    random = shelf.random_problem(4, 2, 5, kind, seed=2)
    problem = SubmodularMDP(random.transition, random.initial, random.objective, elements=[[0, -1, 2, 3]] * 6, repeats=repeats)
    found = sample_trajectories(problem, some_policy(problem), 200)
    np.testing.assert_allclose(found.gains, problem.gains(found.states), atol=1e-12)
    np.testing.assert_allclose(found.values, problem.value(found.states), atol=1e-12)


def test_a_trajectory_depends_on_the_seed_and_its_number_alone():
    problem = shelf.gp30(slip=0.1)
    policy = np.full(problem.shape, 0.2)
    few, many = sample_trajectories(problem, policy, 10, seed=5), sample_trajectories(problem, policy, 300, seed=5)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other[:10])
    assert len(np.unique(many.states, axis=0)) == 300
    assert not np.array_equal(few.states, sample_trajectories(problem, policy, 10, seed=6).states)
    again = sample_trajectories(problem, policy, 10, seed=np.random.SeedSequence(5))
    np.testing.assert_array_equal(few.states, again.states)


def test_actions_may_be_given_in_place_of_probabilities():
    problem = shelf.tiny(3, 3, 4)
    found = sample_trajectories(problem, np.ones((4, 9), int), 3)
    assert found.states.tolist() == [[4, 5, 5, 5, 5]] * 3


@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_greedy_takes_the_largest_expected_gain(slip):
    problem = shelf.tiny(3, 3, 5, slip, "2x2", seed=4)
    dense = SubmodularMDP(problem.packed_transition, problem.initial, problem.objective, 5)
    for world in (problem, dense):
        found = sample_trajectories(world, "greedy", 30)
        for states, actions in zip(found.states, found.actions, strict=True):
            for h in range(5):
                before = problem.objective.value(states[: h + 1])
                after = [problem.objective.value([*states[: h + 1], t]) - before for t in range(9)]
                expected = problem.packed_transition[0, states[h]] @ after
                assert expected[actions[h]] >= expected.max() - 1e-9


def test_greedy_breaks_ties_evenly():
    problem = SubmodularMDP(np.array([[1, 2, 0], [1, 1, 1], [2, 2, 2]]), 0, Modular([0.0, 1, 1]), 1)
    first = np.sum(sample_trajectories(problem, "greedy", 4000).actions == 0)
    assert abs(first - 2000) < np.sqrt(4000 * np.log(2 / LEVEL) / 2)


def test_errors():
    problem = shelf.tiny()
    with pytest.raises(ValueError, match="policy must be one of 'greedy'"):
        sample_trajectories(problem, "best", 3)
    with pytest.raises(ValueError, match="n must be at least 1"):
        sample_trajectories(problem, "greedy", 0)
    with pytest.raises(ValueError, match="policy must have shape"):
        sample_trajectories(problem, np.ones((2, 2)) / 2, 3)
