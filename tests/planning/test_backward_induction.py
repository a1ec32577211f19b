"""Finite horizons against enumeration of policies, the occupancy program and QuantEcon."""

import itertools

import numpy as np
import pytest
import quantecon

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, to_quantecon
from tabular_rl.planning import bellman_backup, evaluate, linear_program, solve


def value_of(mdp, actions):
    """[H + 1, S] by recursion on single steps."""
    H, S, _ = mdp.shape
    values = np.zeros((H + 1, S))
    for h, s in itertools.product(reversed(range(H)), range(S)):
        a = actions[h][s]
        values[h, s] = mdp.reward[h, s, a] + sum(mdp.transition[h, s, a, t] * values[h + 1, t] for t in range(S))
    return values


def corner_cases():
    rng = np.random.default_rng(0)
    yield "one of each", FiniteHorizonMDP([[[1.0]]], [[0.7]], horizon=1)
    yield "bandit", FiniteHorizonMDP(np.ones((1, 3, 1)), [[0.2, 0.9, 0.9]], horizon=1)
    yield "one state", FiniteHorizonMDP(np.ones((1, 2, 1)), rng.random((5, 1, 2)))
    yield "one action", FiniteHorizonMDP(rng.dirichlet(np.ones(3), (4, 3, 1)), rng.random((4, 3, 1)))
    yield "ties", FiniteHorizonMDP(np.full((2, 2, 2), 0.5), np.ones((2, 2)), horizon=3)
    yield "zero", FiniteHorizonMDP(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), horizon=2)
    yield "absorbing", FiniteHorizonMDP(np.broadcast_to(np.eye(2)[:, None], (2, 2, 2)), rng.normal(size=(3, 2, 2)))
    yield "unreachable", FiniteHorizonMDP(np.broadcast_to(np.eye(3)[0], (2, 3, 2, 3)), rng.random((2, 3, 2)))
    yield "huge losses", FiniteHorizonMDP(rng.dirichlet(np.ones(2), (3, 2, 2)), -1e8 * rng.random((3, 2, 2)))


CASES = [pytest.param(mdp, id=name) for name, mdp in corner_cases()] + [
    pytest.param(instances.random_episodic(H, S, A, seed), id=f"random {H} {S} {A}")
    for seed, (H, S, A) in enumerate([(2, 2, 3), (3, 2, 2), (2, 3, 2), (1, 3, 3)])
]
cases = pytest.mark.parametrize("mdp", CASES)


@cases
def test_values_are_the_best_of_all_policies(mdp):
    H, S, A = mdp.shape
    policies = (np.reshape(actions, (H, S)) for actions in itertools.product(range(A), repeat=H * S))
    best = np.max([value_of(mdp, actions) for actions in policies], axis=0)
    solution = solve(mdp)
    np.testing.assert_allclose(solution.values, best, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(value_of(mdp, solution.actions), best, rtol=1e-13, atol=1e-13)
    assert np.all(solution.values[H] == 0)


@cases
def test_q_values_are_one_backup_of_the_values(mdp):
    solution = solve(mdp)
    np.testing.assert_allclose(solution.q_values, bellman_backup(mdp, solution.values), rtol=1e-13, atol=1e-13)
    expected = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, solution.values[1:])
    np.testing.assert_allclose(solution.q_values, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(solution.q_values.argmax(axis=-1), solution.actions)  # ties: lowest index
    assert solution.policy.shape == mdp.shape


@cases
def test_the_occupancy_program_has_the_same_value_and_policy(mdp):
    scale = max(1.0, np.abs(mdp.reward).max())
    mdp = FiniteHorizonMDP(mdp.transition, mdp.reward / scale, np.full(mdp.n_states, 1 / mdp.n_states))
    program, solution = linear_program(mdp), solve(mdp)
    assert program.value == pytest.approx(mdp.initial @ solution.values[0], abs=1e-6)
    np.testing.assert_allclose(mdp.initial @ evaluate(mdp, program.policy).values[0], program.value, atol=1e-4)
    visited = program.occupancy.sum(axis=-1) > 1e-3
    np.testing.assert_allclose(program.values[visited], solution.values[:-1][visited], atol=1e-4)


def test_quantecon_agrees_where_the_discount_is_nearly_one():
    discounted = instances.random_discounted(7, 3, 1 - 1e-12, 2)
    values, actions = quantecon.markov.backward_induction(to_quantecon(discounted), 9)
    solution = solve(FiniteHorizonMDP(discounted.transition, discounted.reward, horizon=9))
    np.testing.assert_allclose(solution.values, values, atol=1e-9)
    np.testing.assert_array_equal(solution.actions, actions)


def test_a_discount_is_a_chance_to_end():
    """With probability 1 - discount the episode enters a state without reward: long episodes earn the discounted value."""
    mdp = instances.random_discounted(4, 2, 0.6, 3)
    transition, reward = np.zeros((5, 2, 5)), np.zeros((5, 2))
    transition[:4, :, :4], transition[:4, :, 4], transition[4, :, 4] = 0.6 * mdp.transition, 0.4, 1
    reward[:4] = mdp.reward
    episodic = FiniteHorizonMDP(transition, reward, horizon=60)
    np.testing.assert_allclose(solve(episodic).values[0, :4], solve(mdp, tolerance=1e-12).values, atol=1e-11)


def test_stationary_models_are_those_with_repeated_steps():
    packed = FiniteHorizonMDP(instances.random_discounted(4, 3, 0.5, 7).transition, np.random.default_rng(7).random((4, 3)), horizon=6)
    full = FiniteHorizonMDP(np.array(packed.transition), np.array(packed.reward))
    assert len(packed.packed_transition) == 1
    assert len(full.packed_transition) == 6
    np.testing.assert_array_equal(solve(packed).values, solve(full).values)
    np.testing.assert_array_equal(bellman_backup(packed, solve(packed).values), bellman_backup(full, solve(full).values))
    assert isinstance(instances.random_discounted(4, 3, 0.5, 7), DiscountedMDP)
