"""What holds for every learner: seeds, first episodes, exact regret, degenerate problems, errors."""

import dataclasses

import numpy as np
import pytest

from tabular_rl import algorithms, instances, losses
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds, DilatedBonusPO, Uniform
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import evaluate, solve

LEARNERS = [
    DilatedBonusPO(),
    DilatedBonusPO("practical"),
    DilatedBonusPO("luo", transition="unknown"),
    UCBVI(),
    UCBVI(0.1, transition="known", anytime=True),
    BestOfBothWorlds(),
    BestOfBothWorlds("shannon", "practical", transition="unknown"),
    BestOfBothWorlds("log_barrier"),
    Uniform(),
]
learners = pytest.mark.parametrize("learner", LEARNERS, ids=repr)
MDP = instances.random_losses(3, 4, 2, seed=1)


def same(one, two):
    return all(np.array_equal(one[name], two[name]) for name in one.series) and np.array_equal(one.policy, two.policy)


@learners
def test_the_same_seed_gives_the_same_trace_bit_for_bit(learner):
    world = losses.stochastic(MDP)
    runs = [learner.run(world, 300, seed) for seed in (1, 1, np.random.SeedSequence(1), 2)]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    assert same(runs[0], runs[3]) == isinstance(learner, Uniform)
    assert runs[3].seed == 2


@learners
def test_a_trace_has_a_policy_and_series_on_the_grid(learner):
    trace = learner.run(MDP, 50)
    assert trace.index[[0, -1]].tolist() == [1, 50]
    assert all(series.shape == trace.index.shape for series in trace.series.values())
    assert trace.policy.shape == MDP.shape
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    assert list(trace.to_frame().columns) == ["episode", *trace.series]
    assert {"regret", "loss"} <= set(trace.series)


@learners
def test_a_plain_model_is_its_stochastic_world(learner):
    """0/1 draws with means 1 - reward, not the means themselves."""
    one, two, quiet = (learner.run(p, 200, 1) for p in (MDP, losses.stochastic(MDP), losses.stochastic(MDP, bernoulli=False)))
    assert same(one, two)
    assert same(one, quiet) == isinstance(learner, Uniform)


@learners
def test_regret_is_loss_against_the_best_policy_of_the_model(learner):
    trace = learner.run(MDP, 200)
    best = MDP.horizon - MDP.initial @ solve(MDP).values[0]  # losses are 1 - reward
    np.testing.assert_allclose(trace["regret"], trace["loss"] - trace.index * best, atol=1e-10)
    assert np.all(np.diff(trace["regret"]) >= -1e-12)


@learners
def test_a_world_of_tables_and_its_switch_are_the_same_problem(learner):
    tables = np.stack([1 - MDP.reward, MDP.reward])
    one = learner.run(losses.switching(MDP, 40, bernoulli=False), 160)
    two = learner.run(losses.recorded(MDP, np.repeat(tables, 40, axis=0)), 160)
    assert same(one, two)


@pytest.mark.parametrize("learner", [UCBVI(anytime=True), Uniform(), DilatedBonusPO(learning_rate=0.01)], ids=repr)
def test_a_longer_run_begins_like_a_shorter_one(learner):
    world = losses.stochastic(MDP)
    short, long = learner.run(world, 60), learner.run(world, 400)
    shared = np.intersect1d(short.index, long.index)
    assert len(shared) > 10
    np.testing.assert_array_equal(short["loss"][np.isin(short.index, shared)], long["loss"][np.isin(long.index, shared)])


@pytest.mark.parametrize("learner", [DilatedBonusPO(), DilatedBonusPO(transition="unknown"), Uniform()], ids=repr)
def test_the_first_policy_is_uniform(learner):
    uniform = evaluate(MDP, np.full(MDP.shape, 1 / 2)).values[0]
    assert learner.run(MDP, 1)["loss"][0] == pytest.approx(MDP.horizon - MDP.initial @ uniform, rel=1e-14)


@learners
def test_packed_and_repeated_steps_give_the_same_run(learner):
    river = instances.river_swim(4, horizon=5)
    full = FiniteHorizonMDP(np.array(river.transition), np.array(river.reward), river.initial)
    assert same(learner.run(losses.stochastic(river), 100), learner.run(losses.stochastic(full), 100))


@learners
@pytest.mark.parametrize(("H", "S", "A"), [(1, 1, 1), (1, 1, 3), (1, 3, 2), (4, 1, 2), (3, 3, 1)])
def test_degenerate_shapes_run(learner, H, S, A):
    mdp = instances.random_losses(H, S, A)
    trace = learner.run(losses.stochastic(mdp), 40)
    assert np.isfinite(trace.to_frame()).all(axis=None)
    if A == 1:
        np.testing.assert_allclose(trace["regret"], 0, atol=1e-12)


@learners
def test_losses_of_zero_and_one_leave_nothing_to_regret(learner):
    for level in (0.0, 1.0):
        trace = learner.run(losses.stochastic(MDP, np.full(MDP.shape, level)), 100)
        np.testing.assert_allclose(trace["regret"], 0, atol=1e-10)
        np.testing.assert_allclose(trace["loss"], 3 * level * trace.index, atol=1e-10)


@learners
@pytest.mark.parametrize(
    ("problem", "n", "error", "message"),
    [
        (MDP, 0, ValueError, "n must be at least 1, got 0"),
        (MDP, 10.0, TypeError, "n must be an integer"),
        (instances.random_discounted(), 10, TypeError, "problem must be an AdversarialMDP or a FiniteHorizonMDP"),
        (instances.cliff_walking(horizon=4), 10, ValueError, r"expected rewards in \[0, 1\]"),
    ],
)
def test_bad_problems_are_named(learner, problem, n, error, message):
    with pytest.raises(error, match=message):
        learner.run(problem, n)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DilatedBonusPO("best"), ValueError, "preset must be one of 'theory', 'practical', 'luo', got 'best'"),
        (lambda: DilatedBonusPO(transition="guessed"), ValueError, "transition must be one of"),
        (lambda: DilatedBonusPO(learning_rate=0), ValueError, "learning_rate must lie in"),
        (lambda: DilatedBonusPO(learning_rate=np.nan), ValueError, "learning_rate"),
        (lambda: DilatedBonusPO(exploration=-0.1), ValueError, "exploration"),
        (lambda: DilatedBonusPO(bonus_scale=-1), ValueError, "bonus_scale"),
        (lambda: DilatedBonusPO(delta=1), ValueError, "delta"),
        (lambda: DilatedBonusPO(confidence_scale=-1), ValueError, "confidence_scale"),
        (lambda: DilatedBonusPO(learning_rate="fast"), TypeError, "learning_rate must be a real number"),
        (lambda: UCBVI(scale=-1), ValueError, "scale"),
        (lambda: UCBVI(delta=0), ValueError, "delta"),
        (lambda: UCBVI(transition=None), ValueError, "transition must be one of"),
        (lambda: UCBVI(anytime="yes"), TypeError, "anytime must be True or False, got 'yes'"),
        (lambda: UCBVI(share_steps=1), TypeError, "share_steps must be True or False, got 1"),
    ],
)
def test_bad_parameters_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


FLAGS = [
    pytest.param(kind, field.name, id=f"{name}.{field.name}")
    for name in algorithms.__all__
    if dataclasses.is_dataclass(kind := getattr(algorithms, name))
    for field in dataclasses.fields(kind)
    if field.type in (bool, "bool")
]


@pytest.mark.parametrize(("kind", "flag"), FLAGS)
def test_a_flag_is_true_or_false_and_nothing_else(kind, flag):
    """ "False" is true, and 0.5 as well: what was meant is not what would be done."""
    needed = {"features": np.ones((1, 2, 1))} if kind is algorithms.LinearDAPO else {}
    for value in ("False", 0.5, 1, 0, None, np.array([True])):
        with pytest.raises(TypeError, match=f"{flag} must be True or False"):
            kind(**needed, **{flag: value})
    for value in (True, False):
        kind(**needed, **{flag: value})


def test_flags_of_what_is_no_algorithm():
    sampler, tables = algorithms.SensitivitySampler, algorithms.TabularClass((3,))
    for flag in ("integer_weights", "reweight", "track_full"):
        with pytest.raises(TypeError, match=f"{flag} must be True or False, got 'False'"):
            sampler(tables, **{flag: "False"})
    for call in (
        lambda: algorithms.sampling_constant(tables, 10, adaptive="no"),
        lambda: algorithms.FiniteClass.grid(np.ones((2, 2, 1)), 0.1, 2, signed=1),
        lambda: algorithms.LPO().run(instances.river_swim(3, discount=0.5), 2, keep_q="yes"),
        lambda: losses.stochastic(MDP, bernoulli=1),
        lambda: instances.frozen_lake(horizon=3, is_slippery="no"),
    ):
        with pytest.raises(TypeError, match=r"(adaptive|signed|keep_q|bernoulli|is_slippery) must be True or False"):
            call()
