"""Discounted solvers against enumeration of policies, the occupancy program, QuantEcon, and each other."""

import itertools

import numpy as np
import pytest
import quantecon
from scipy.sparse import csr_array

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, to_quantecon
from tabular_rl.planning import bellman_backup, evaluate, linear_program, solve

METHODS = ["modified_policy_iteration", "policy_iteration", "value_iteration"]
methods = pytest.mark.parametrize("method", METHODS)


def sparse(mdp):
    return DiscountedMDP(csr_array(mdp.transition.reshape(-1, mdp.n_states)), mdp.reward, mdp.discount, mdp.initial)


def best_of_all_policies(mdp):
    """Elementwise the largest value of any deterministic policy."""
    S, best = np.arange(mdp.n_states), -np.inf
    for actions in itertools.product(range(mdp.n_actions), repeat=mdp.n_states):
        best = np.maximum(best, np.linalg.solve(np.eye(len(S)) - mdp.discount * mdp.transition[S, actions], mdp.reward[S, actions]))
    return best


def corner_cases():
    rng = np.random.default_rng(0)
    point = np.eye(4)[rng.integers(4, size=(4, 3))]
    yield "one state, one action", DiscountedMDP([[[1.0]]], [[-2.5]], 0.999)
    yield "one action", DiscountedMDP(rng.dirichlet(np.ones(4), (4, 1)), rng.random((4, 1)), 0.9)
    yield "ties everywhere", DiscountedMDP(np.full((3, 4, 3), 1 / 3), np.full((3, 4), 0.25), 0.5)
    yield "zero rewards", DiscountedMDP(point, np.zeros((4, 3)), 0.99)
    yield "deterministic, unreachable states", DiscountedMDP(point, np.round(rng.random((4, 3))), 0.999)
    yield "all states absorbing", DiscountedMDP(np.broadcast_to(np.eye(3)[:, None], (3, 2, 3)), rng.normal(size=(3, 2)), 0.99)
    yield "a cycle", DiscountedMDP(np.roll(np.eye(4), 1, axis=1)[:, None], np.arange(4.0)[:, None], 0.99)
    yield "huge losses", DiscountedMDP(rng.dirichlet(np.ones(3), (3, 2)), -1e8 * rng.random((3, 2)), 0.9)
    yield "nearly no future", DiscountedMDP(rng.dirichlet(np.ones(4), (4, 3)), rng.random((4, 3)), 0.01)
    yield "two timescales", DiscountedMDP(np.array([[[1 - 1e-7, 1e-7]], [[1e-7, 1 - 1e-7]]]), [[0.0], [1.0]], 0.999)


CASES = [pytest.param(mdp, id=name) for name, mdp in corner_cases()] + [
    pytest.param(instances.random_discounted(S, A, discount, seed), id=f"random {S} {A} {discount}")
    for seed, (S, A, discount) in enumerate([(2, 4, 0.5), (4, 3, 0.9), (5, 2, 0.999), (3, 3, 0.01)])
]
cases = pytest.mark.parametrize("mdp", CASES)


@methods
@cases
def test_values_are_the_best_of_all_policies(mdp, method):
    size = np.abs(mdp.reward).max() / (1 - mdp.discount)
    tolerance = 1e-9 * max(size, 1)
    for model in (mdp, sparse(mdp)):
        solution = solve(model, method, tolerance)
        best = best_of_all_policies(mdp)
        np.testing.assert_allclose(solution.values, best, rtol=1e-12, atol=1.1 * tolerance)
        np.testing.assert_allclose(evaluate(mdp, solution.policy).values, best, rtol=1e-12, atol=2.2 * tolerance)
        assert solution.method == method
        assert solution.policy.shape == solution.q_values.shape == mdp.shape
        np.testing.assert_array_equal(solution.policy.argmax(axis=1), solution.actions)


@cases
def test_values_are_those_of_the_occupancy_program(mdp):
    if np.abs(mdp.reward).max() > 1e3:
        mdp = DiscountedMDP(mdp.transition, mdp.reward / 1e8, mdp.discount, mdp.initial)  # an interior point is exact to 1e-8 of the data
    uniform = DiscountedMDP(mdp.transition, mdp.reward, mdp.discount, np.full(mdp.n_states, 1 / mdp.n_states))
    program, solution = linear_program(uniform), solve(uniform)
    size = max(1, np.abs(mdp.reward).max()) / (1 - mdp.discount)
    assert program.value == pytest.approx(solution.values.mean(), abs=1e-6 * size)
    np.testing.assert_allclose(program.values, solution.values, atol=1e-5 * size)


@pytest.mark.parametrize("discount", [0.01, 0.9, 0.999])
@pytest.mark.parametrize("make", [lambda mdp: mdp, sparse], ids=["dense", "sparse"])
def test_values_and_actions_are_those_of_quantecon(make, discount):
    for seed in range(3):
        mdp = make(instances.random_discounted(25, 4, discount, seed))
        peer = to_quantecon(mdp).solve(method="policy_iteration")
        for method in METHODS:
            solution = solve(mdp, method, 1e-10 / (1 - discount))
            np.testing.assert_allclose(solution.values, peer.v, atol=2e-10 / (1 - discount), rtol=1e-12)
            np.testing.assert_array_equal(solution.actions, peer.sigma)


def test_a_sweep_is_quantecons_bellman_operator():
    mdp = instances.random_discounted(12, 3, 0.8, 4)
    peer = to_quantecon(mdp)
    values = np.random.default_rng(0).normal(size=12)
    np.testing.assert_allclose(bellman_backup(mdp, values).max(axis=1), peer.bellman_operator(values), atol=1e-13)


def test_the_backup_is_its_definition():
    rng = np.random.default_rng(1)
    mdp = instances.random_discounted(3, 2, 0.7, 1)
    values = rng.normal(size=3)
    expected = [[mdp.reward[s, a] + 0.7 * sum(mdp.transition[s, a, t] * values[t] for t in range(3)) for a in range(2)] for s in range(3)]
    np.testing.assert_allclose(bellman_backup(mdp, values), expected, atol=1e-15)
    np.testing.assert_allclose(bellman_backup(sparse(mdp), values), expected, atol=1e-15)


@methods
def test_ties_go_to_the_lowest_action(method):
    rng = np.random.default_rng(2)
    P, reward = rng.dirichlet(np.ones(5), (5, 1)), rng.random((5, 1))
    worse = DiscountedMDP(np.repeat(P, 4, axis=1), np.repeat(reward, 4, axis=1) - [0.5, 0, 0, 0], 0.9)
    for mdp in (worse, sparse(worse)):
        assert solve(mdp, method).actions.tolist() == [1] * 5


@methods
def test_dense_and_sparse_agree(method):
    for seed, (S, A, successors) in enumerate([(40, 3, 4), (60, 2, 60), (1, 3, 1)]):
        dense = instances.garnet(S, A, successors, seed=seed, discount=0.97)
        one, two = solve(dense, method, 1e-8), solve(sparse(dense), method, 1e-8)
        assert np.all(one.lower <= two.upper)
        assert np.all(two.lower <= one.upper)
        np.testing.assert_allclose(one.values, two.values, atol=2e-8)
        np.testing.assert_array_equal(one.actions, two.actions)


def test_elimination_of_actions_changes_no_policy():
    """Hopeless actions, actions that look bad first, and copies of the best one."""
    rng = np.random.default_rng(3)
    P, reward = rng.dirichlet(np.full(30, 0.1), (30, 12)), rng.random((30, 12))
    reward[:, 3] -= 50
    P[:, 7], reward[:, 7] = P[:, 5], reward[:, 5]
    mdp = DiscountedMDP(P, reward, 0.95)
    peer = to_quantecon(mdp).solve(method="policy_iteration")
    for method in METHODS:
        np.testing.assert_array_equal(solve(mdp, method, 1e-9).actions, peer.sigma)


def test_long_horizons_of_quantecon_tend_to_the_solution():
    mdp = instances.random_discounted(6, 3, 0.8, 5)
    values, _ = quantecon.markov.backward_induction(to_quantecon(mdp), 120)
    np.testing.assert_allclose(values[0], solve(mdp, tolerance=1e-10).values, atol=1e-9)


def test_the_default_is_modified_policy_iteration_and_says_what_it_did():
    solution = solve(instances.random_discounted(8, 2, 0.95, 0))
    assert solution.method == "modified_policy_iteration"
    assert solution.evaluations > 0
    assert "modified_policy_iteration, error <=" in repr(solution)
