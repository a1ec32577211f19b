"""Measured numbers of the baselines of robust policy gradient, instance by instance (drpg spec 8, 10)."""

import numpy as np
import pytest

from tabular_rl import instances
from tabular_rl.algorithms import DRPG, IWOCS, BestResponses, RobustMirrorDescent
from tabular_rl.planning import robust_evaluate, solve


def wide(seed):
    return instances.garnet_robust(4, 2, 4, seed, low=0.5, high=2.0)


def cycles(learner, mdp):
    return learner.run(mdp, 60).parameters["period"] not in (None, 1)


def above(upper, mdp):
    return upper / solve(mdp, tolerance=1e-9).objective - 1


def test_iwocs_on_the_seeds_where_minq_fails():
    for seed in (104, 185, 341):
        assert above(IWOCS("minq").run(wide(seed), 20)["upper"][-1], wide(seed)) > 0.2
        assert above(IWOCS("hull").run(wide(seed), 20)["upper"][-1], wide(seed)) < 1e-7


def test_best_responses_cycle_where_the_adversary_is_stale():
    for seed in (47, 81, 160, 190):
        assert cycles(BestResponses("stale"), wide(seed))
        assert not cycles(BestResponses(), wide(seed))


@pytest.mark.slow
def test_the_nominal_policy_is_a_few_percent_too_dear():
    found = []
    for seed in range(30):
        mdp = instances.garnet_robust(seed=seed)
        found.append(above(robust_evaluate(mdp, solve(mdp.against()).policy).objective, mdp))
    assert np.mean(found) == pytest.approx(0.034, abs=5e-4)
    assert np.max(found) == pytest.approx(0.14, abs=5e-3)


@pytest.mark.slow
def test_mirror_descent_on_thirty_garnets():
    found = []
    for seed in range(30):
        mdp = instances.garnet_robust(seed=seed)
        values = RobustMirrorDescent(start=instances.garnet_policy(seed=seed), keep=True).run(mdp, 59).parameters["values"]
        assert np.all(np.diff(values, axis=0) <= 1e-9)
        found.append(np.abs(values - solve(mdp, tolerance=1e-10).values).max(axis=1)[[5, 20, 59]])
    np.testing.assert_allclose(np.mean(found, axis=0), (2.20, 0.125, 0.00119), rtol=5e-3)


@pytest.mark.slow
def test_iwocs_on_four_hundred_seeds():
    wrong, kernels = {"stale": [], "complete": []}, []
    for seed in range(400):
        mdp = wide(seed)
        hull = IWOCS().run(mdp, 20)
        assert hull.parameters["status"] == "optimal"
        assert above(hull["upper"][-1], mdp) < 1e-6
        kernels.append(len(hull.index))
        for name, minq in (("stale", IWOCS("minq", complete=False)), ("complete", IWOCS("minq"))):
            if above(minq.run(mdp, 20)["upper"][-1], mdp) > 1e-6:
                wrong[name].append(seed)
    assert wrong == {"stale": [104, 153, 185, 341, 354, 383], "complete": [104, 153, 185, 205, 341]}
    assert np.mean(kernels) == pytest.approx(2.5, abs=0.05)
    assert max(kernels) <= 5


@pytest.mark.slow
def test_iwocs_on_the_garnets():
    for shape in ((5, 6, 3), (10, 6, 10)):
        for variant in ("hull", "minq"):
            for seed in range(30):
                mdp = instances.garnet_robust(*shape, seed)
                trace = IWOCS(variant).run(mdp, 20)
                assert above(trace["upper"][-1], mdp) < 1e-6
                assert len(trace.index) <= 5


@pytest.mark.slow
def test_who_cycles():
    joint = [instances.garnet_robust(10, 5, 10, seed, rectangularity="s") for seed in range(40)]
    assert all(cycles(BestResponses(), mdp) for mdp in joint)
    best = [above(BestResponses().run(mdp, 100)["objective"][-30:].min(), mdp) for mdp in joint]
    assert np.mean(best) == pytest.approx(0.42, abs=0.01)
    garnets = [instances.garnet_robust(seed=seed) for seed in range(40)]
    assert sum(cycles(BestResponses("lazy"), mdp) for mdp in garnets) == 35
    assert not any(cycles(BestResponses(), mdp) for mdp in garnets)
    assert [seed for seed in range(200) if cycles(BestResponses("stale"), wide(seed))] == [47, 81, 160, 190]
    assert not any(cycles(BestResponses(), wide(seed)) for seed in range(600))


@pytest.mark.slow
def test_floors_of_constant_steps_on_s_rectangular_sets():
    for scale, floor in ((0.25, 0.013), (1.0, 0.125), (5.0, 0.30)):
        found = []
        for seed in range(20):
            mdp = instances.garnet_robust(10, 5, 10, seed, rectangularity="s")
            trace = DRPG(rule="constant", scale=scale, start=instances.garnet_policy(10, 5, seed)).run(mdp, 1000)
            found.append(above(trace["upper"][-100:].mean(), mdp))
        assert np.mean(found) == pytest.approx(floor, rel=0.1)
