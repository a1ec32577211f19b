"""Explore-then-commit against sums by hand; what every algorithm must do is tested in ``test_every_algorithm.py``."""

import numpy as np
import pytest

from tabular_rl import instances, losses
from tabular_rl.algorithms import ExploreThenCommit


def test_without_noise_only_exploration_costs():
    world = losses.stochastic(instances.bandit([0.2, 0.9, 0.5]), bernoulli=False)
    trace = ExploreThenCommit(m=2).run(world, 100)
    np.testing.assert_allclose(trace["regret"][-1], 2 * (0.7 + 0.4))
    assert trace.policy[0, 0].tolist() == [0, 1, 0]
    np.testing.assert_allclose(ExploreThenCommit(m=50).run(world, 4)["loss"], [0.8, 0.9, 1.4, 2.2])


def test_what_comes_after_the_exploration_teaches_nothing():
    """The best arm turns into the worst one afterwards: who commits stays with it."""
    world = losses.recorded(instances.bandit(2), np.array([[[[0.0, 1.0]]]] * 6 + [[[[1.0, 0.0]]]] * 94))
    trace = ExploreThenCommit(m=3).run(world, 100)
    assert trace.policy[0, 0].tolist() == [1, 0]
    assert trace["loss"][-1] == 3 + 94


def test_the_default_explores_as_the_theory_says():
    for n in (1, 10, 1000, 10**6):
        m = ExploreThenCommit().run(instances.bandit(2), n).parameters["m"]
        assert m - 1 < (n**2 / (8 * np.e)) ** (1 / 3) <= m


@pytest.mark.parametrize("m", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_rounds_is_named(m):
    with pytest.raises((ValueError, TypeError), match=r"^m must be"):
        ExploreThenCommit(m)
