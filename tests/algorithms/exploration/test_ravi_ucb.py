"""RAVI-UCB: replayed in plain Python, its limits, its certificate at the theory's constants and without a bonus, errors."""

import math

import numpy as np
import pytest

from proofs_check.claims.exploration.ravi_ucb import replay
from tabular_rl import instances
from tabular_rl.algorithms import RAVIUCB
from tabular_rl.algorithms.exploration.ravi_ucb import occupy
from tabular_rl.kernels.linear.ridge import regression_update
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate

SWIM = instances.river_swim(4, discount=0.8)


def mixture(d=3, S=5, A=3, gamma=0.8):
    """(model, basis): its transition is a mixture of ``d`` kernels."""
    rng = np.random.default_rng(0)
    basis, theta = rng.dirichlet(np.ones(S), (d, S, A)), rng.dirichlet(np.ones(d))
    return DiscountedMDP(np.tensordot(theta, basis, 1), rng.random((S, A)), gamma), basis


MIXED, BASIS = mixture()


@pytest.mark.parametrize("eta", [0.3, math.inf], ids=["soft", "greedy"])
@pytest.mark.parametrize("basis", [None, BASIS], ids=["tables", "mixture"])
def test_a_run_replayed_in_plain_python(basis, eta):
    """Without the regularizer this is optimistic value iteration with one backup per rollout."""
    trace = RAVIUCB(eta, basis=basis).run(MIXED, 400, 7)
    regret, certificate, policy, _ = replay(MIXED, 400, 7, eta, basis)
    np.testing.assert_allclose(trace["regret"][-1], regret, atol=1e-7)
    np.testing.assert_allclose(trace["certificate"][-1], certificate, rtol=1e-9)
    np.testing.assert_allclose(trace.policy, policy, atol=1e-8)


def test_occupancies_and_regressions_are_what_they_say():
    policy, d = np.full((4, 2), 0.5), np.empty(4)
    occupy(SWIM.transition, policy, 0.8, SWIM.initial, np.empty((4, 4)), d)
    assert d.sum() == pytest.approx(5)
    assert np.sum(d[:, None] * policy * SWIM.reward) == pytest.approx(SWIM.initial @ evaluate(SWIM, policy).values)
    rng = np.random.default_rng(0)
    X, y, inverse, moments = rng.random((50, 3)), rng.random(50), np.eye(3) / 2, np.zeros(3)
    growth = sum(regression_update(x, target, inverse, moments, np.empty(3)) for x, target in zip(X, y, strict=True))
    gram = 2 * np.eye(3) + X.T @ X
    np.testing.assert_allclose(inverse @ moments, np.linalg.solve(gram, X.T @ y))
    assert growth == pytest.approx(np.linalg.slogdet(gram / 2)[1])


@pytest.mark.parametrize("eta", [None, 1.0, math.inf])
@pytest.mark.parametrize(("problem", "basis"), [(SWIM, None), (MIXED, None), (MIXED, BASIS)], ids=["swim", "tables", "mixture"])
def test_at_scale_one_it_is_certified(problem, basis, eta):
    """The good event has probability 0.95; here it happens on every one of the 27 runs, and then nothing is left to chance."""
    for seed in range(3):
        trace = RAVIUCB(eta, basis=basis).run(problem, 5000, seed)
        assert trace["misses"][-1] == 0
        assert trace["optimism"].min() >= -1e-9
        assert (trace["regret"] <= trace["certificate"] + 1e-9).all()


def test_greed_without_a_bonus_is_stuck_and_not_certified():
    trace = RAVIUCB(math.inf, scale=0).run(instances.river_swim(6, discount=0.9), 20_000)
    assert trace["misses"][-1] == trace["rollouts"][-1]
    assert trace["optimism"][-1] < -1
    assert trace["regret"][-1] > 10 * trace["uncertified"][-1]
    assert "certificate" not in trace.series
    assert trace["gap"][-1] > 1


def test_it_learns():
    swim = instances.river_swim(6, discount=0.9)
    for eta in (0.1, 1.0):
        assert RAVIUCB(eta, scale=0.1).run(swim, 300_000)["gap"][-1] < 1e-2 * RAVIUCB(eta, scale=0.1).run(swim, 1)["gap"][0]
    assert RAVIUCB(1.0, scale=0.1, basis=BASIS).run(MIXED, 20_000)["gap"][-1] < 1e-2


def test_seeds_and_the_share_of_rollouts():
    one, two, other = (RAVIUCB(1.0).run(SWIM, 20_000, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one["regret"], two["regret"])
    assert not np.array_equal(one["regret"], other["regret"])
    assert abs(one["rollouts"][-1] - 4000) < 6 * math.sqrt(20_000 * 0.2 * 0.8)  # a binomial number, at six deviations
    assert one.index_name == "step"


def test_one_state_and_one_action():
    mdp = DiscountedMDP(np.ones((1, 1, 1)), np.array([[0.5]]), 0.5)
    trace = RAVIUCB().run(mdp, 50)
    np.testing.assert_allclose(trace["regret"], 0, atol=1e-12)
    assert trace.policy.tolist() == [[1.0]]


def test_errors():
    with pytest.raises(ValueError, match="learning_rate"):
        RAVIUCB(0.0)
    with pytest.raises(ValueError, match="scale"):
        RAVIUCB(scale=-1)
    with pytest.raises(ValueError, match="delta"):
        RAVIUCB(delta=0)
    with pytest.raises(TypeError, match="problem must be a DiscountedMDP"):
        RAVIUCB().run(instances.gap_instance(), 10)
    with pytest.raises(ValueError, match="mixture is the problem's transition"):
        RAVIUCB(basis=BASIS[:1]).run(MIXED, 10)
    with pytest.raises(ValueError, match="basis must have shape"):
        RAVIUCB(basis=BASIS[0]).run(MIXED, 10)
