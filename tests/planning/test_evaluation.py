"""Values and occupancies of policies against sums over all paths, power series, and each other."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from tabular_rl import instances, losses
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.planning import bellman_backup, deterministic_policy, dilated_bonus, evaluate, occupancy, solve, state_occupancy
from tabular_rl.planning import evaluation as module

EPISODIC = [
    instances.random_episodic(H, S, A, seed) for seed, (H, S, A) in enumerate([(1, 1, 1), (1, 2, 3), (3, 2, 2), (2, 3, 2), (4, 1, 2)])
]
DISCOUNTED = [
    instances.random_discounted(S, A, discount, seed) for seed, (S, A, discount) in enumerate([(1, 1, 0.9), (3, 2, 0.01), (4, 3, 0.8)])
]


def random_policy(mdp, seed=0):
    """Half of its probabilities are zero: whatever is never played must not matter."""
    rng = np.random.default_rng(seed)
    weights = rng.random(mdp.shape) * (rng.random(mdp.shape) < 0.5)
    weights[..., 0] += 1e-9
    return weights / weights.sum(axis=-1, keepdims=True)


def all_paths(mdp, policy):
    """(return, [H, S, A] probability-weighted visits), summed over every path of states and actions."""
    H, S, A = mdp.shape
    value, visits = 0.0, np.zeros((H, S, A))
    for path in itertools.product(range(S), range(A), repeat=H):
        states, actions = path[::2], path[1::2]
        probability = mdp.initial[states[0]]
        for h in range(H):
            probability *= policy[h, states[h], actions[h]]
            if h + 1 < H:
                probability *= mdp.transition[h, states[h], actions[h], states[h + 1]]
        value += probability * sum(mdp.reward[h, states[h], actions[h]] for h in range(H))
        visits[range(H), states, actions] += probability
    return value, visits


@pytest.mark.parametrize("mdp", EPISODIC, ids=repr)
def test_episodic_values_and_occupancies_are_sums_over_paths(mdp):
    policy = random_policy(mdp)
    value, visits = all_paths(mdp, policy)
    assert mdp.initial @ evaluate(mdp, policy).values[0] == pytest.approx(value, abs=1e-13)
    np.testing.assert_allclose(occupancy(mdp, policy), visits, atol=1e-14)
    np.testing.assert_allclose(state_occupancy(mdp, policy), visits.sum(axis=-1), atol=1e-14)


@pytest.mark.parametrize("mdp", EPISODIC, ids=repr)
def test_episodic_q_values_are_a_backup_and_values_their_average(mdp):
    policy = random_policy(mdp)
    values, q_values = evaluate(mdp, policy)
    np.testing.assert_allclose(q_values, bellman_backup(mdp, values), atol=1e-13)
    np.testing.assert_allclose(values[:-1], np.sum(policy * q_values, axis=-1), atol=1e-13)
    assert np.all(values[-1] == 0)


@pytest.mark.parametrize("mdp", DISCOUNTED, ids=repr)
def test_discounted_values_and_occupancies_are_power_series(mdp):
    policy = random_policy(mdp)
    P, reward = np.einsum("sa,sat->st", policy, mdp.transition), np.sum(policy * mdp.reward, axis=1)
    value, visits, at = np.zeros(len(P)), np.zeros(len(P)), np.array(mdp.initial)
    ahead = np.array(reward)
    for step in range(200):
        value += mdp.discount**step * ahead
        visits += (1 - mdp.discount) * mdp.discount**step * at
        ahead, at = P @ ahead, at @ P
    np.testing.assert_allclose(evaluate(mdp, policy).values, value, atol=1e-7)
    np.testing.assert_allclose(state_occupancy(mdp, policy), visits, atol=1e-8)
    assert state_occupancy(mdp, policy).sum() == pytest.approx(1)
    assert np.sum(occupancy(mdp, policy) * mdp.reward) == pytest.approx((1 - mdp.discount) * mdp.initial @ evaluate(mdp, policy).values)


@pytest.mark.parametrize("discount", [0.01, 0.999])
def test_sparse_models_are_evaluated_alike_by_both_factorizations(discount, monkeypatch):
    dense = instances.garnet(20, 3, 4, discount=discount)
    sparse = DiscountedMDP(csr_array(dense.transition.reshape(60, 20)), dense.reward, discount, dense.initial)
    policy = random_policy(dense)
    for limit in (3000, 0):  # LAPACK, then SuperLU
        monkeypatch.setattr(module, "DIRECT_STATES", limit)
        np.testing.assert_allclose(evaluate(sparse, policy).values, evaluate(dense, policy).values, rtol=1e-10)
        np.testing.assert_allclose(evaluate(sparse, policy).q_values, evaluate(dense, policy).q_values, rtol=1e-10)
        np.testing.assert_allclose(occupancy(sparse, policy), occupancy(dense, policy), atol=1e-12)


def test_unreachable_states_have_no_occupancy_and_absorbing_ones_keep_it():
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 0] = transition[0, 1, 1] = 1
    transition[1, :, 1] = transition[2, :, 0] = 1
    mdp = FiniteHorizonMDP(transition, np.zeros((3, 2)), horizon=4)
    np.testing.assert_allclose(
        state_occupancy(mdp, np.full((3, 2), 0.5)), [[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 4, 3 / 4, 0], [1 / 8, 7 / 8, 0]]
    )
    long = DiscountedMDP(transition, np.zeros((3, 2)), 0.9)
    at_start = 0.1 / (1 - 0.9 / 2)
    np.testing.assert_allclose(state_occupancy(long, np.full((3, 2), 0.5)), [at_start, 1 - at_start, 0], atol=1e-15)


def test_a_policy_may_come_as_actions_or_without_steps():
    mdp = instances.random_episodic(3, 4, 2, 1)
    actions = np.array([0, 1, 1, 0])
    expected = evaluate(mdp, np.broadcast_to(np.eye(2)[actions], (3, 4, 2))).values
    for policy in (actions, actions.tolist(), np.tile(actions, (3, 1)), np.eye(2)[actions], deterministic_policy(actions, 2)):
        np.testing.assert_array_equal(evaluate(mdp, policy).values, expected)
    np.testing.assert_array_equal(deterministic_policy([[1], [0]], 3), [[[0, 1, 0]], [[1, 0, 0]]])


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.zeros((2, 2), int), r"policy of actions must have shape \(3, 4\), got \(2, 2\)"),
        (np.array([0, 1, 2, 0]), r"policy\[2\] is 2, expected an action in 0..1"),
        (np.array([0, -1, 0, 0]), r"policy\[1\] is -1, expected an action in 0..1"),
        (np.full((4, 3), 1 / 3), r"policy must have shape \(3, 4, 2\), got \(4, 3\)"),
        (np.full((4, 2), 0.6), r"policy\[0\] sums to .*1.2.*, expected 1 within 1e-09"),
        (np.tile([1.5, -0.5], (4, 1)), r"policy\[0, 1\] is -0.5, expected a probability >= 0"),
        (np.full((4, 2), np.nan), r"policy\[0, 0\] is nan"),
    ],
)
@pytest.mark.parametrize("function", [evaluate, occupancy, state_occupancy])
def test_bad_policies_are_named(function, policy, message):
    with pytest.raises(ValueError, match=message):
        function(instances.random_episodic(3, 4, 2), policy)


def test_occupancies_also_take_the_model_of_a_loss_world():
    mdp = instances.random_episodic(3, 4, 2, 1)
    actions = solve(mdp).actions
    np.testing.assert_array_equal(occupancy(losses.stochastic(mdp), actions), occupancy(mdp, actions))


def test_the_dilated_bonus_is_a_sum_over_paths_with_growing_weights():
    """B[0] of one start state: sum over steps of dilation^h times the expected local bonus there; the start's own comes without policy."""
    mdp, rng = instances.random_episodic(4, 3, 2, 5), np.random.default_rng(0)
    policy, local = random_policy(mdp), rng.random((4, 3))
    for dilation in (None, 1.0, 0.0, 2.5):
        factor = 1 + 1 / 4 if dilation is None else dilation
        bonus = dilated_bonus(mdp, policy, local, dilation)
        for s in range(3):
            start = FiniteHorizonMDP(mdp.transition, mdp.reward, s)
            weights = factor ** np.arange(4)[:, None]
            assert policy[0, s] @ bonus[0, s] == pytest.approx(np.sum(weights * state_occupancy(start, policy) * local))
    with pytest.raises(ValueError, match="dilation"):
        dilated_bonus(mdp, policy, local, -1)
    with pytest.raises(ValueError, match="local_bonus must have shape"):
        dilated_bonus(mdp, policy, local[0])
