"""DAPO's special cases, the numbers of its theorem, and bad input; its runs are replayed by the claim dapo.replay."""

import warnings

import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DAPO, DilatedBonusPO
from tabular_rl.algorithms.delayed import dapo
from tabular_rl.kernels.episodic.feedback import allocate_slots

MDP = instances.delay_instance()
WORLD = losses.stochastic(MDP, bernoulli=False)
H, S, A = MDP.shape


@pytest.mark.parametrize("transition", ["known", "unknown"])
@pytest.mark.parametrize("batch", ["joint", "sequential"])
def test_without_delays_it_is_dilated_bonus_policy_optimization(transition, batch):
    for world in (losses.stochastic(MDP), losses.anti_greedy(MDP)):
        late = DAPO(batch=batch, transition=transition).run(world, 2000, seed=3)
        direct = DilatedBonusPO(transition=transition).run(world, 2000, seed=3)
        np.testing.assert_allclose(late["loss"], direct["loss"], rtol=1e-12)
        np.testing.assert_allclose(late["regret"], direct["regret"], rtol=1e-12, atol=1e-9)


def test_sequential_run_without_delays_ends_like_the_direct_one():
    late, direct = DAPO(batch="sequential").run(WORLD, 500, seed=1), DilatedBonusPO().run(WORLD, 500, seed=1)
    np.testing.assert_allclose(late.policy, direct.policy, rtol=1e-12)
    assert late.parameters["certificate"] == pytest.approx(direct["certificate"][-1], rel=1e-12)


@pytest.mark.parametrize("transition", ["known", "unknown"])
def test_what_comes_too_late_changes_nothing(transition):
    K = 200
    d = np.random.default_rng(1).integers(-1, 400, K)
    effective = delays.schedule(d).effective
    algorithm = DAPO(transition=transition, learning_rate=0.05, exploration=0.15, preset="practical")
    one, other = (algorithm.run(delays.delayed(WORLD, given), K, seed=2) for given in (d, effective))
    assert np.array_equal(one["loss"], other["loss"])


def test_batches_agree_when_nothing_arrives_together():
    K = 400
    problem = delays.delayed(WORLD, np.append(np.full(K - 5, 5), np.arange(4, -1, -1) + 100))
    settings = {"preset": "practical", "learning_rate": 0.05}
    one, other = (DAPO(batch=batch, **settings).run(problem, K, seed=2) for batch in ("joint", "sequential"))
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-12)


def test_radius_zero_makes_a_learned_deterministic_transition_known():
    """Without width the sets are the observed moves; a deterministic transition is then known wherever it was tried."""
    lake = losses.stochastic(instances.ladder(n=3))
    algorithm = DAPO("practical", transition="unknown", confidence_scale=0.0, learning_rate=1e-9)
    trace = algorithm.run(lake, 3000, seed=0)
    per_episode = np.diff(trace["uncertainty"]) / np.diff(trace.index)
    assert per_episode[0] > 0.1
    assert per_episode[-1] < 1e-12


def test_paths_that_arrive_at_once_shrink_the_confidence_sets_sooner():
    problem = delays.delayed(losses.stochastic(MDP), delays.fixed(500))
    width = {
        t: DAPO("practical", transition="unknown", trajectory=t).run(problem, 2000, seed=0)["uncertainty"][-1]
        for t in ("delayed", "immediate")
    }
    assert width["immediate"] < width["delayed"]


def test_paths_at_once_are_no_news_where_the_transition_is_known():
    problem = delays.delayed(losses.stochastic(MDP), delays.fixed(5))
    base = DAPO().run(problem, 500, seed=1)["loss"]
    assert np.array_equal(DAPO(trajectory="immediate").run(problem, 500, seed=1)["loss"], base)


def test_bound_is_that_of_the_specification():
    """dapo spec 9.1 at K = 40000 and section 6: 14817 without delays, 43984 (sequential) with delay 5."""
    K = 40_000
    for d, batch, expected in [(0, "joint", 14817), (5, "sequential", 43984)]:
        plan = delays.schedule(delays.fixed(d).sequence(K))
        algorithm = DAPO(batch=batch)
        eta, gamma, c, condition = algorithm.resolve(MDP.shape, K, plan)
        assert condition
        assert algorithm.bound(MDP.shape, K, plan, eta, gamma, c) == pytest.approx(expected, rel=1e-4)


def test_theory_rate_minimizes_the_bound():
    """Exactly without delays; with them the specification's formula has e - 1 in place of omega, and is a little cautious."""
    K = 10_000
    plan = delays.schedule(delays.none().sequence(K))
    eta, *_ = DAPO(batch="sequential").resolve(MDP.shape, K, plan)
    kappa = dapo.KAPPA

    def bound(factor):
        e = factor * eta
        gamma = e * H
        return DAPO(batch="sequential").bound(MDP.shape, K, plan, e, gamma, gamma * H + kappa * e * H**2)

    assert bound(1) < min(bound(0.9), bound(1.1))


def test_vacuous_bounds_are_marked():
    trace = DAPO().run(delays.delayed(WORLD, delays.fixed(100)), 2000)
    assert trace.parameters["vacuous"]
    assert trace.parameters["bound"] >= H * 2000
    assert DAPO("practical").run(WORLD, 100).parameters["bound"] is None


def test_certificate_only_where_something_is_proven():
    problem = delays.delayed(WORLD, delays.fixed(3))
    assert DAPO(batch="sequential").run(problem, 100).parameters["certificate"] > 0
    for broken in (DAPO(), DAPO("practical", batch="sequential"), DAPO(batch="sequential", estimator="plain")):
        assert broken.run(problem, 100).parameters["certificate"] is None
    heuristic = DAPO(batch="sequential", transition="unknown", trajectory="immediate")
    assert heuristic.run(problem, 100).parameters["certificate"] is None


def test_the_same_seed_gives_the_same_run_and_others_do_not():
    problem = delays.delayed(losses.stochastic(MDP), delays.pareto(5.0))
    one, same, other = (DAPO("practical").run(problem, 300, seed=s)["loss"] for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_memory_does_not_grow_with_the_number_of_episodes():
    sizes = []
    for K in (1_000, 10_000):
        plan = delays.schedule(delays.fixed(4).sequence(K))
        sizes.append(allocate_slots(plan.arrival, plan.order, plan.pointer, False)[1])
    assert sizes == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"preset": "best"}, ValueError, "preset must be one of"),
        ({"estimator": "unbiased"}, ValueError, "estimator must be one of"),
        ({"batch": "both"}, ValueError, "batch must be one of"),
        ({"transition": "learned"}, ValueError, "transition must be one of"),
        ({"trajectory": "late"}, ValueError, "trajectory must be one of"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must lie in"),
        ({"exploration": -0.1}, ValueError, "exploration must lie in"),
        ({"bonus_scale": -1}, ValueError, "bonus_scale must lie in"),
        ({"delta": 1.0}, ValueError, "delta must lie in"),
        ({"confidence_scale": "wide"}, TypeError, "confidence_scale must be a real number"),
    ],
)
def test_bad_hyper_parameters_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        DAPO(**arguments)


def test_bad_problems_are_refused():
    with pytest.raises(TypeError, match="problem must be"):
        DAPO().run("world", 10)
    with pytest.raises(ValueError, match="n must be at least 1"):
        DAPO().run(WORLD, 0)
    with pytest.raises(ValueError, match="got 3 for 10 episodes"):
        DAPO().run(delays.delayed(WORLD, [0, 0, 0]), 10)


def test_theory_preset_warns_when_its_conditions_are_broken():
    with pytest.warns(UserWarning, match="conditions do not hold"):
        DAPO(learning_rate=1.0).run(WORLD, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DAPO().run(WORLD, 10)
        DAPO("practical").run(WORLD, 10)


def test_one_action_has_no_regret():
    trace = DAPO().run(losses.stochastic(instances.random_losses(A=1)), 50)
    np.testing.assert_allclose(trace["regret"], 0, atol=1e-9)
