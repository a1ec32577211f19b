"""Discounted learners where states lack actions: no mass, no optimism, no rollout there; gaps are those of the legal policies.

References: the model without the column when all states lack the same action, enumeration of legal policies, QuantEcon's own -inf.
"""

import itertools

import numpy as np
import pytest
import quantecon

from tabular_rl import instances
from tabular_rl.algorithms import LPO, RAVIUCB, FiniteClass, LinearClass, QLearning, UCBVIDiscounted, pathwise_certificate
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate, solve

SHORT = {"iterations": 8, "rollouts": 60, "learning_rate": 0.5, "bonus_scale": 0.2, "mixture": True}
LEARNERS = {
    "Q-learning": (QLearning(epsilon=0.3), 3000),
    "UCBVI": (UCBVIDiscounted(), 3000),
    "RAVI": (RAVIUCB(learning_rate=0.3), 3000),
    "RAVI, its own rate": (RAVIUCB(), 3000),
    "RAVI, greedy": (RAVIUCB(learning_rate=np.inf), 1000),
    "RAVI, no bonus": (RAVIUCB(scale=0.0), 1000),
    "LPO": (LPO(**SHORT, certify=True), 120),
    "LPO, bonus": (LPO(**SHORT, unknown="bonus", certify=True), 120),
    "LPO, warm": (LPO(**SHORT, warm_start=0.5, certify=True), 120),
    "LPO, no reuse": (LPO(**SHORT, reuse=False, fixed_window=True), 60),
    "LPO, doubling": (LPO(**SHORT, subsample=False, switch="doubling"), 120),
    "natural gradient": (LPO(**SHORT, explore=False, subsample=False, switch="every"), 30),
    "linear": (LPO, 120),
    "finite": (LPO, 120),
}
learners = pytest.mark.parametrize("name", LEARNERS)


def rows(S, A, seed):
    """(transition, reward, features) of a linear model: every kind of learner has something to learn."""
    rng = np.random.default_rng(seed)
    features, factors = rng.dirichlet(np.full(3, 0.3), (S, A)), rng.dirichlet(np.full(S, 0.3), 3)
    return features @ factors, features @ rng.random(3), features


def run(name, mdp, features, seed=1):
    """The trace of a learner, its function class on the pairs of ``features`` [S, A, d]."""
    learner, n = LEARNERS[name]
    if learner is LPO:
        functions = LinearClass(features) if name == "linear" else FiniteClass.grid(features, 0.25, 2, signed=False)
        learner = LPO(**SHORT, function_class=functions)
    return learner.run(mdp, n, seed, **({"keep_q": True} if isinstance(learner, LPO) else {}))


@learners
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_an_action_that_no_state_has_changes_nothing(name, missing):
    """The same draws and policies, bit for bit, as in the model without the column, whatever stands in it; sums may round otherwise."""
    P, reward, features = rows(5, 3, 0)
    kept, available = np.delete(np.arange(3), missing), np.ones((5, 3), bool)
    available[:, missing] = False
    P[:, missing], reward[:, missing] = np.nan, -np.inf
    with_it, without = DiscountedMDP(P, reward, 0.8, available=available), DiscountedMDP(P[:, kept], reward[:, kept], 0.8)
    one, two = run(name, with_it, features), run(name, without, np.ascontiguousarray(features[:, kept]))
    assert one.series.keys() == two.series.keys()
    for series in one.series:
        np.testing.assert_allclose(one[series], two[series], rtol=1e-12, atol=1e-14, err_msg=series)
    if hasattr(one, "epochs"):
        np.testing.assert_array_equal(one.epochs.policies[..., kept], two.epochs.policies)
        np.testing.assert_array_equal(one.epochs.visits[..., kept], two.epochs.visits)
    np.testing.assert_array_equal(one.policy[:, kept], two.policy)
    assert np.all(one.policy[:, missing] == 0)


def state_dependent(seed):
    """(model, features, mask): each state has one to three of three actions, the best of all missing where it can be."""
    P, reward, features = rows(5, 3, seed)
    available = np.random.default_rng(seed).random((5, 3)) < 0.6
    available[np.arange(5), np.random.default_rng(seed + 1).integers(3, size=5)] = True
    available[0] = [True, True, False]  # at the start what would be best is missing
    reward[~available] = 1
    return DiscountedMDP(P, reward, 0.8, available=available), features, available


def best_of_legal_policies(mdp):
    S, best = np.arange(mdp.n_states), -np.inf
    for actions in itertools.product(*(np.flatnonzero(row) for row in mdp.available)):
        best = np.maximum(best, np.linalg.solve(np.eye(len(S)) - 0.8 * mdp.transition[S, actions], mdp.reward[S, actions]))
    return best


@learners
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gaps_are_to_the_best_legal_policy_and_no_missing_action_is_ever_played(name, seed):
    mdp, features, available = state_dependent(seed)
    best = best_of_legal_policies(mdp)
    peer = quantecon.markov.DiscreteDP(np.where(available, mdp.reward, -np.inf), mdp.transition, 0.8).policy_iteration()
    np.testing.assert_allclose(best, peer.v, atol=1e-12)
    np.testing.assert_allclose(solve(mdp, tolerance="exact").values, best, atol=1e-13)
    trace = run(name, mdp, features)
    gap = trace["gap_last" if "gap_last" in trace.series else "gap"]
    assert np.all(trace.policy[~available] == 0)
    np.testing.assert_allclose(trace.policy.sum(axis=1), 1)
    assert np.all(gap >= 0)
    assert gap[-1] == pytest.approx(mdp.initial @ (best - evaluate(mdp, trace.output).values), abs=1e-12)
    if hasattr(trace, "epochs"):
        epochs = trace.epochs
        assert np.all(epochs.policies[:, :, ~available] == 0)
        np.testing.assert_allclose(epochs.policies.sum(axis=-1), 1)
        assert np.all(epochs.visits[:, ~available] == 0)
        assert np.all(np.array(trace.parameters["weights"])[~available] == 0)
        assert trace["known"].max() <= available.sum()
        unknown = "bonus" if name == "LPO, bonus" else "terminal"
        assert np.all(trace["gap_mixture"] <= pathwise_certificate(mdp, epochs, unknown).total)


@learners
def test_the_first_policy_is_uniform_over_what_exists_or_greedy_among_it(name):
    mdp, features, _ = state_dependent(3)
    trace = run(name, mdp, features)
    if hasattr(trace, "epochs"):
        np.testing.assert_allclose(trace.epochs.policies[0, 0], mdp.uniform_policy, rtol=1e-15)
    if name == "RAVI":
        first = RAVIUCB(learning_rate=1e-9).run(mdp, 1).policy
        np.testing.assert_allclose(first, mdp.uniform_policy, rtol=1e-7)


def test_ravi_s_guarantee_holds_where_states_lack_actions():
    for seed in range(5):
        mdp, _, _ = state_dependent(seed)
        for learner in (RAVIUCB(), RAVIUCB(learning_rate=np.inf)):
            trace = learner.run(mdp, 5000, seed)
            assert trace["misses"][-1] == 0
            assert np.all(trace["optimism"] >= 0)
            assert np.all(trace["regret"] <= trace["certificate"])
    scale_0 = RAVIUCB(scale=0.0).run(DiscountedMDP(np.eye(2)[[[0, 1], [1, 0]]], [[0.5, 1], [0, 1]], 0.5, available=[[1, 0], [1, 0]]), 50)
    assert scale_0["misses"][-1] <= 2  # bounds of pairs that do not exist cannot be wrong: before the first visits only


def test_every_learner_finds_the_best_legal_policy():
    mdp, _, _ = state_dependent(4)
    assert QLearning(epsilon=0.5).run(mdp, 100_000)["gap"][-1] < 0.01
    assert UCBVIDiscounted().run(mdp, 30_000)["gap"][-1] < 0.01
    assert LPO(rollouts=2000).run(mdp, 300)["gap_last"][-1] < 0.1


def test_all_pairs_that_exist_become_known():
    swim = instances.river_swim(4, discount=0.8)
    available = np.ones((4, 2), bool)
    available[2, 0] = False
    mdp = DiscountedMDP(swim.transition, swim.reward, 0.8, swim.initial, available=available)
    trace = LPO(20, 200).run(mdp, 300)
    assert trace["known"][-1] == 7
    assert trace["refreshes"][-1] > 0
