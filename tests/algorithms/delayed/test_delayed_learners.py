"""What holds for every learner with late feedback: seeds, effective delays, exact regret, degenerate problems, errors."""

import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DelayedHedge, DelayedOPPO, DelayedOREPS, DelayedUOB
from tabular_rl.planning import solve

LEARNERS = [
    DelayedOPPO(),
    DelayedOPPO(0.05, 0.1, transition="unknown"),
    DelayedHedge(),
    DelayedHedge(0.1, adapted=False),
    DelayedOREPS(),
    DelayedOREPS(0.1, adapted=False, batch="sequential"),
    DelayedUOB(),
    DelayedUOB(lazy=False),
]
learners = pytest.mark.parametrize("learner", LEARNERS, ids=repr)
MDP = instances.random_losses(2, 3, 2, seed=1)
WORLD = losses.stochastic(MDP)
LATE = delays.delayed(WORLD, delays.geometric(4.0))


@learners
def test_the_same_seed_gives_the_same_run_and_others_do_not(learner):
    one, same, other = (learner.run(LATE, 200, seed) for seed in (1, np.random.SeedSequence(1), 2))
    assert np.array_equal(one["loss"], same["loss"])
    assert np.array_equal(one.policy, same.policy)
    assert not np.array_equal(one["loss"], other["loss"])


@learners
def test_a_trace_has_a_policy_and_exact_regret_on_the_grid(learner):
    trace = learner.run(LATE, 200)
    assert trace.index[[0, -1]].tolist() == [1, 200]
    best = MDP.horizon - MDP.initial @ solve(MDP).values[0]  # losses are 1 - reward
    np.testing.assert_allclose(trace["regret"], trace["loss"] - trace.index * best, atol=1e-10)
    assert np.all(np.diff(trace["regret"]) >= -1e-12)
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    plan = LATE.schedule(200)
    assert (trace.parameters["delay"], trace.parameters["effective_delay"]) == (plan.total, plan.effective_total)


@learners
def test_what_comes_too_late_changes_nothing(learner):
    d = np.random.default_rng(1).integers(-1, 300, 150)
    one, other = (learner.run(delays.delayed(WORLD, given), 150, seed=2) for given in (d, delays.schedule(d).effective))
    assert np.array_equal(one["loss"], other["loss"])


@learners
def test_nothing_is_learned_before_something_arrives(learner):
    trace = learner.run(delays.delayed(WORLD, delays.fixed(30)), 60)
    before = trace["loss"][trace.index <= 31] / trace.index[trace.index <= 31]
    np.testing.assert_allclose(before, before[0], rtol=1e-9)
    after = np.diff(trace["loss"]) / np.diff(trace.index)
    assert abs(after[-1] - before[0]) > 1e-5


@learners
@pytest.mark.parametrize(("H", "S", "A"), [(1, 1, 1), (1, 1, 3), (1, 3, 2), (4, 1, 2), (3, 3, 1)])
def test_degenerate_shapes_run(learner, H, S, A):
    trace = learner.run(delays.delayed(losses.stochastic(instances.random_losses(H, S, A)), delays.fixed(2)), 40)
    assert np.isfinite(trace.to_frame()).all(axis=None)
    if A == 1:
        np.testing.assert_allclose(trace["regret"], 0, atol=1e-9)


@learners
def test_packed_and_repeated_steps_give_the_same_run(learner):
    sea = instances.ladder(n=2)
    full = type(sea)(np.array(sea.transition), np.array(sea.reward), sea.initial)
    one, other = (learner.run(delays.delayed(losses.stochastic(mdp), delays.fixed(2)), 100) for mdp in (sea, full))
    assert np.array_equal(one["loss"], other["loss"])


@learners
def test_models_without_delays_are_problems_too(learner):
    assert np.array_equal(learner.run(WORLD, 50)["loss"], learner.run(delays.delayed(WORLD, delays.none()), 50)["loss"])
    assert np.isfinite(learner.run(MDP, 50)["regret"]).all()


@learners
@pytest.mark.parametrize(
    ("problem", "n", "error", "message"),
    [
        (WORLD, 0, ValueError, "n must be at least 1, got 0"),
        (WORLD, 10.0, TypeError, "n must be an integer"),
        ("world", 10, TypeError, "problem must be a DelayedMDP, an AdversarialMDP or a FiniteHorizonMDP, got str"),
        (delays.delayed(WORLD, [0, 0, 0]), 10, ValueError, "got 3 for 10 episodes"),
    ],
)
def test_bad_problems_are_named(learner, problem, n, error, message):
    with pytest.raises(error, match=message):
        learner.run(problem, n)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DelayedOPPO(learning_rate=0), ValueError, "learning_rate must lie in"),
        (lambda: DelayedOPPO(exploration=-1), ValueError, "exploration must lie in"),
        (lambda: DelayedOPPO(transition="guessed"), ValueError, "transition must be one of"),
        (lambda: DelayedOPPO(delta=1), ValueError, "delta must lie in"),
        (lambda: DelayedOPPO(confidence_scale="wide"), TypeError, "confidence_scale must be a real number"),
        (lambda: DelayedHedge(learning_rate=np.nan), ValueError, "learning_rate must lie in"),
        (lambda: DelayedHedge(adapted="yes"), TypeError, "adapted must be True or False, got 'yes'"),
        (lambda: DelayedOREPS(learning_rate=-1), ValueError, "learning_rate must lie in"),
        (lambda: DelayedOREPS(exploration=0), ValueError, "exploration must lie in"),
        (lambda: DelayedOREPS(adapted=1), TypeError, "adapted must be True or False, got 1"),
        (lambda: DelayedOREPS(batch="both"), ValueError, "batch must be one of 'joint', 'sequential', got 'both'"),
    ],
)
def test_bad_parameters_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
