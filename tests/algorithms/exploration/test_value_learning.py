"""Optimistic value iteration and Q-learning: against NumPy, a stopped clock of one step, the behavior in the lpo spec 9.1, errors."""

import numpy as np
import pytest

from tabular_rl import instances
from tabular_rl.algorithms import LPO, RAVIUCB, QLearning, UCBVIDiscounted
from tabular_rl.algorithms.exploration import value_learning
from tabular_rl.algorithms.exploration.value_learning import optimistic_values
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate, solve

SWIM = instances.river_swim(6, discount=0.9)


def test_optimistic_values_are_those_of_the_optimistic_model():
    """With exact rows and no bonus it is value iteration; pairs never tried are worth 1 / (1 - discount)."""
    mdp = instances.random_discounted(5, 3, 0.8, seed=1)
    q, values = np.full((5, 3), 5.0), np.empty(5)
    optimistic_values(np.full((5, 3), 100.0), 100 * mdp.transition, mdp.reward, 0.8, 0.0, q, values)
    np.testing.assert_allclose(values, solve(mdp, method="policy_iteration").values, atol=1e-5)
    visits = np.full((5, 3), 100.0)
    visits[2, 1] = 0
    optimistic_values(visits, 100 * mdp.transition, mdp.reward, 0.8, 0.0, q, values)
    assert q[2, 1] == pytest.approx(5)
    assert values[2] == pytest.approx(5)


@pytest.mark.parametrize("learner", [UCBVIDiscounted(), QLearning()], ids=repr)
def test_seeds_and_segments(learner):
    one, two = learner.run(SWIM, 3000, 5), learner.run(SWIM, 3000, 5)
    np.testing.assert_array_equal(one["gap"], two["gap"])
    longer = learner.run(SWIM, 30_000, 5)
    shared = np.intersect1d(one.index, longer.index)
    np.testing.assert_array_equal(one["gap"][np.isin(one.index, shared)], longer["gap"][np.isin(longer.index, shared)])


@pytest.mark.parametrize("learner", [UCBVIDiscounted(), QLearning()], ids=repr)
def test_a_run_does_not_depend_on_when_it_is_looked_at(learner, monkeypatch):
    """A plan that is due when a checkpoint comes is made after it."""
    seldom = learner.run(SWIM, 600, 2)
    monkeypatch.setattr(value_learning, "checkpoints", lambda n: np.arange(1, n + 1))
    always = learner.run(SWIM, 600, 2)
    for name in seldom.series:
        np.testing.assert_array_equal(always[name][seldom.index - 1], seldom[name])
    np.testing.assert_array_equal(always.policy, seldom.policy)
    np.testing.assert_array_equal(always.output, seldom.output)


def test_optimism_opens_the_lock_that_chance_does_not():
    """lpo spec 9.1: UCBVI solves lock(6, 4) within 1e4 steps (for good within 2e5); Q-learning with random actions does not. 4 seeds."""
    lock = instances.combination_lock(6, 4)
    for seed in range(4):
        assert UCBVIDiscounted().run(lock, 200_000, seed)["gap"][-1] < 1e-3
        assert QLearning().run(lock, 100_000, seed)["gap"][-1] > 0.3


def test_q_learning_learns_what_is_easy():
    mdp = instances.random_discounted(4, 2, 0.8, seed=0)
    assert QLearning(0.3).run(mdp, 50_000)["gap"][-1] < 0.05


def test_errors():
    with pytest.raises(ValueError, match="scale"):
        UCBVIDiscounted(-1)
    with pytest.raises(ValueError, match="epsilon"):
        QLearning(1.5)
    for learner in (UCBVIDiscounted(), QLearning()):
        with pytest.raises(TypeError, match="problem must be a DiscountedMDP"):
            learner.run(instances.gap_instance(), 10)
        with pytest.raises(ValueError, match="rewards must lie in"):
            learner.run(DiscountedMDP(SWIM.transition, 2 * SWIM.reward, 0.9), 10)


LEARNERS = [
    (QLearning(epsilon=0.5), "gap", 100_000),
    (UCBVIDiscounted(), "gap", 20_000),
    (RAVIUCB(), "gap", 3000),
    (LPO(20, 200, mixture=True, horizon=300), "gap_last", 200),
    (LPO(20, 200, mixture=True, horizon=300), "gap_mixture", 100),
]


@pytest.mark.parametrize(("learner", "name", "n"), LEARNERS, ids=lambda value: type(value).__name__ if hasattr(value, "run") else value)
def test_gaps_are_those_of_optimal_values_to_the_last_digit_and_never_negative(learner, name, n):
    """Q-learning finds the optimal policy here: a planner that is precise to 1e-6 would show a gap of -1e-7."""
    for seed in (1, 2):
        mdp = instances.garnet(S=10, A=2, branching=3, seed=seed, discount=0.9)
        mdp = DiscountedMDP(mdp.transition, mdp.reward / mdp.reward.max(), 0.9, mdp.initial)
        trace = learner.run(mdp, n, seed)
        best = solve(mdp, "policy_iteration", "exact")
        assert np.all(trace[name] >= 0)
        if name != "gap_mixture":
            last = mdp.initial @ (best.values - evaluate(mdp, trace.output).values)
            assert trace[name][-1] == pytest.approx(last, abs=1e-13)
        if isinstance(learner, QLearning):
            assert trace[name][-1] == 0


@pytest.mark.parametrize(("learner", "n"), [(QLearning(), 2000), (RAVIUCB(), 2000), (LPO(5, 20, horizon=50), 20)], ids=repr)
def test_a_run_ends_well_at_a_discount_near_1(learner, n):
    for discount in (0.9999, 0.999999):
        swim = instances.river_swim(4, discount=discount)
        trace = learner.run(swim, n)
        name = "gap_last" if "gap_last" in trace.series else "gap"
        assert np.all(trace[name] >= 0)
        lost = solve(swim, "policy_iteration", "exact").values - evaluate(swim, trace.output).values
        assert trace[name][-1] == pytest.approx(swim.initial @ lost, rel=1e-6, abs=1e-15 / (1 - discount) ** 2)
