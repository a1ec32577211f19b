"""The contract of every class with a ``run``, whatever its family: nothing here names one, the registry is walked.

Each meets the smallest instance that fits, with its defaults and with its ``examples``. Wrong kinds of problems are in
``tests/test_wrong_kinds.py``, mistaken parameters in ``tests/test_mistakes.py``, which walk the registry too.
"""

import dataclasses
import inspect
from functools import cache
from math import prod

import numpy as np
import pytest

from tabular_rl import algorithms, delays, instances, losses
from tabular_rl.algorithms import Trace, fitting
from tabular_rl.delays import DelayedMDP
from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP, RobustLinearMDP, RobustMDP, SubmodularMDP
from tabular_rl.models.playable import Playable
from tabular_rl.planning import evaluate, occupancy, robust_evaluate, solve

N = 12  # the grid of checkpoints has every number up to here
KINDS = algorithms.catalogue()
LEARNERS = [learner for kind in KINDS.values() for learner in fitting.examples(kind)]
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def each(*models):
    """Parametrizes a test over all learners, or over those that play one of the ``models``."""
    chosen = [learner for learner in LEARNERS if not models or issubclass(learner.plays, models)]
    return pytest.mark.parametrize("learner", chosen, ids=lambda learner: repr(learner)[:60])


@cache
def smallest(kind):
    """The smallest named instance that fits; where it needs a horizon, of three steps."""
    for entry in sorted(instances.catalogue(), key=lambda entry: (prod(entry.shape), entry.name)):
        need = fitting.needs(kind, entry)
        if need is not None:
            need = need | ({"horizon": 3} if "horizon" in need else {})
            return fitting.build(entry, fitting.SETS.get(need.pop("ambiguity", "")), **need)
    raise AssertionError(f"no instance fits {kind.__name__}")


def fit(learner, *problems):
    """Those of ``problems`` that the learner plays, a discounted one also within ambiguity sets."""
    robust = [RobustMDP.from_mdp(mdp, each) for mdp in problems if isinstance(mdp, DiscountedMDP) for each in fitting.SETS.values()]
    for problem in (*problems, *robust):
        if isinstance(problem, fitting.takes(type(learner))):
            try:
                getattr(learner, "suits", lambda problem: None)(learner.plays.of(problem))
            except (TypeError, ValueError):
                continue
            yield problem


def same(one, two):
    """Whether two traces have the same bits."""
    arrays = lambda trace: [trace.index, *trace.series.values(), trace.policy, trace.output]
    return list(one.series) == list(two.series) and all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(arrays(one), arrays(two), strict=True)
    )


# --- the protocol


@kinds
def test_a_class_says_what_it_plays_and_records(kind):
    assert issubclass(kind.plays, Playable)
    assert kind.unit
    assert kind.unit == kind.unit.lower()
    assert kind.series
    assert all(isinstance(name, str) for name in kind.series)
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert inspect.getdoc(kind).partition("\n")[0].endswith((".", ":"))
    fields = {field.name for field in dataclasses.fields(kind)}
    assert not fields & {"plays", "unit", "series", "examples"}
    problem, n, seed, *others = list(inspect.signature(kind.run).parameters.values())[1:]
    assert [parameter.name for parameter in (problem, n, seed)] == ["problem", "n", "seed"]
    assert problem.default is inspect.Parameter.empty
    assert seed.default == 0
    assert all(parameter.default is not inspect.Parameter.empty for parameter in others)


@each()
def test_the_same_seed_gives_the_same_bits(learner):
    problem = smallest(type(learner))
    one, again, sequence, other = (learner.run(problem, N, seed) for seed in (1, 1, np.random.SeedSequence(1), 2))
    assert same(one, again)
    assert same(one, sequence)
    assert other.seed == 2


@each()
def test_a_trace_is_on_a_grid_of_its_unit_up_to_the_end(learner):
    problem = smallest(type(learner))
    trace = learner.run(problem, N)
    assert isinstance(trace, Trace)
    assert trace.index_name == learner.unit
    assert trace.index.dtype.kind == "i"
    assert trace.index[0] in (0, 1)
    assert np.all(np.diff(trace.index) > 0)
    assert trace.index[-1] <= N
    if trace.index[-1] < N:  # it stops by itself, or its grid is its own: a longer run begins like this one
        longer, rows = learner.run(problem, 2 * N), slice(len(trace.index))
        assert all(np.array_equal(longer[name][rows], trace[name]) for name in learner.series)
    assert set(learner.series) <= set(trace.series)
    assert all(series.shape == trace.index.shape for series in trace.series.values())
    assert list(trace.to_frame().columns) == [learner.unit, *trace.series]
    assert np.isfinite(trace.to_frame()[list(learner.series)]).all(axis=None)
    for policy in (trace.policy, trace.output):
        assert policy.shape == problem.shape
        assert policy.min() >= 0
        np.testing.assert_allclose(policy.sum(axis=-1), 1)


@each()
@pytest.mark.parametrize("n", [0, -3, 10.0, True, "10", None, np.array([3])])
def test_a_wrong_length_is_named(learner, n):
    with pytest.raises((ValueError, TypeError), match=r"^n must be (an integer|at least 1)"):
        learner.run(smallest(type(learner)), n)


@kinds
@pytest.mark.parametrize("seed", [-1, np.int64(-3), [1, -1], 1.5, "one", {1: 2}, np.nan])
def test_a_wrong_seed_is_named(kind, seed):
    with pytest.raises((ValueError, TypeError), match=r"^seed must be an integer >= 0, a sequence of them or a NumPy SeedSequence"):
        kind().run(smallest(kind), 3, seed=seed)


FLAGS = [(kind, field.name) for kind in KINDS.values() for field in dataclasses.fields(kind) if field.type in (bool, "bool")]


@pytest.mark.parametrize(("kind", "flag"), FLAGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_flag_is_true_or_false_and_nothing_else(kind, flag):
    """ "False" is true, and 0.5 as well: what was meant is not what would be done."""
    for value in ("False", 0.5, 1, 0, None, np.array([True])):
        with pytest.raises(TypeError, match=f"{flag} must be True or False"):
            kind(**{flag: value})
    for value in (True, False):
        kind(**{flag: value})


# --- what it plays


SHAPES = [(1, 1, 1), (1, 1, 3), (1, 3, 2), (4, 1, 2), (3, 3, 1)]  # (H, S, A)


def problem_of_shape(H, S, A):
    """One problem of each kind."""
    return (
        instances.random_losses(H, S, A),
        instances.random_discounted(S, A, discount=0.5),
        instances.robust_linear.random_linear(S + 1, A, 2, H),
        instances.submodular.random_problem(S, A, H),
    )


def needs_more(learner, problem, n):
    """Whether a run of ``n`` is refused, with the least that its bound needs."""
    try:
        return learner.run(problem, n) is None
    except ValueError as error:
        return str(error) == f"n must be at least 3, got {n}"


@each()
def test_degenerate_shapes_run(learner):
    played = 0
    for shape in SHAPES:
        for problem in fit(learner, *problem_of_shape(*shape)):
            for n in (1, 3):
                if n < 3 and needs_more(learner, problem, n):
                    continue
                trace = learner.run(problem, n)
                played += 1
                assert np.isfinite(trace.to_frame()[list(learner.series)]).all(axis=None)
                if problem.shape[-1] == 1 and "regret" in trace.series:
                    np.testing.assert_allclose(trace["regret"], 0, atol=1e-9)
    assert played


def with_holes():
    """Problems whose states lack actions: a bandit, a step after which a state lacks the first or the last one, a discounted model."""
    rng, there = np.random.default_rng(7), np.array([[True, False, True], [False, True, True], [True, True, True]])
    P, reward, start = rng.dirichlet(np.ones(3), (3, 3)), np.where(there, rng.random((3, 3)), np.nan), np.full(3, 1 / 3)
    return (
        FiniteHorizonMDP(P, reward, start, horizon=2, available=there),
        FiniteHorizonMDP(np.ones((1, 3, 1)), [[0.2, np.nan, 0.5]], horizon=1, available=[[True, False, True]]),
        DiscountedMDP(P, reward, 0.5, start, available=there),
    )


MASKED = (AdversarialMDP, DelayedMDP, DiscountedMDP, RobustMDP)  # the kinds whose states may lack actions


@each(*MASKED)
def test_a_missing_action_is_never_played(learner):
    problems = list(fit(learner, *with_holes()))
    assert problems
    for problem in problems:
        trace = learner.run(problem, N, seed=1)
        assert not trace.policy[~problem.available].any()
        assert not trace.output[~problem.available].any()
        assert np.isfinite(trace.to_frame()[list(learner.series)]).all(axis=None)


# --- the last policy that played, and the one that is recommended


def of_episodes(learner):
    """(what the last episode cost, what the policy costs): with feedback at once, never, at the end, at random."""
    problem = smallest(type(learner))
    late = [None, np.full(N, -1), np.arange(N)[::-1].copy(), np.random.default_rng(0).integers(-1, 6, N)]
    for d in late if learner.plays is DelayedMDP else late[:1]:
        trace = learner.run(losses.stochastic(problem) if d is None else delays.delayed(problem, d), N, seed=3)
        yield np.diff(trace["loss"])[-1], np.sum(occupancy(problem, trace.policy) * (1 - problem.reward))


def of_steps(learner):
    """(the last gap, that of the output)."""
    problem, best = smallest(type(learner)), solve(smallest(type(learner)), "policy_iteration", "exact")
    trace = learner.run(problem, N, seed=3)
    name = "gap" if "gap" in trace.series else "gap_last"
    yield trace[name][-1], problem.initial @ (best.values - evaluate(problem, trace.output).values)


def of_worst_cases(learner):
    """(what the trace says of the worst cases of policy and output, what they are)."""
    problem = smallest(type(learner))
    trace = learner.run(problem, N, seed=3)
    last, best = (robust_evaluate(problem, policy).objective for policy in (trace.policy, trace.output))
    if "objective" in trace.series:
        yield trace["objective"][-1], last
        yield trace["objective"][trace.parameters.get("best_iteration", -1)], best
    else:  # certified bounds alone
        assert best <= last + 1e-9
        yield trace["upper"][-1], best


def of_robust_episodes(learner):
    """(the last suboptimality, that of the policy) in a problem without an adversary, where all learners play the same game."""
    problem = instances.robust_linear.random_linear(S=4, A=2, d=3, horizon=3, radius=0.0)
    trace = learner.run(problem, N, seed=3)
    tau = trace.parameters["tau"]
    from tabular_rl.planning.robust.linear import robust_linear_evaluate, robust_linear_solve

    best, found = (found.values[0, problem.initial] for found in (
        robust_linear_solve(problem, tau), robust_linear_evaluate(problem, trace.policy, tau)))  # fmt: skip
    yield trace["suboptimality"][-1], best - found


def of_trajectories(learner):
    """A policy of trajectories is compared with what it draws in its own test: here it exists where it must."""
    trace = learner.run(smallest(type(learner)), N, seed=3)
    yield trace.policy.shape, smallest(type(learner)).shape


SIDES = {
    AdversarialMDP: of_episodes, DelayedMDP: of_episodes, DiscountedMDP: of_steps, RobustMDP: of_worst_cases,
    RobustLinearMDP: of_robust_episodes, SubmodularMDP: of_trajectories,
}  # fmt: skip


@each()
def test_the_last_row_is_about_the_policy(learner):
    sides = list(SIDES[learner.plays](learner))
    assert sides
    for recorded, found in sides:
        np.testing.assert_allclose(recorded, found, rtol=1e-9, atol=1e-9)


# --- learners of episodes with losses


EPISODES = (AdversarialMDP, DelayedMDP)
SMALL = instances.random_losses(3, 4, 2, seed=1)


def episodic(learner):
    return next(fit(learner, SMALL, instances.bandit([0.2, 0.5, 0.9])))


@each(*EPISODES)
def test_regret_is_loss_against_the_best_policy_of_the_model(learner):
    mdp = episodic(learner)
    trace = learner.run(mdp, 60)
    best = mdp.horizon - mdp.initial @ solve(mdp).values[0]  # losses are 1 - reward
    np.testing.assert_allclose(trace["regret"], trace["loss"] - trace.index * best, atol=1e-9)
    assert np.all(np.diff(trace["regret"]) >= -1e-12)


@each(*EPISODES)
def test_a_plain_model_is_its_stochastic_world(learner):
    """0/1 draws with means 1 - reward, not the means themselves, which only who looks at no draw cannot tell apart."""
    mdp = episodic(learner)
    one, two, quiet = (learner.run(p, 60, 1) for p in (mdp, losses.stochastic(mdp), losses.stochastic(mdp, bernoulli=False)))
    assert same(one, two)
    assert same(one, quiet) == same(one, learner.run(mdp, 60, 2))


@each(*EPISODES)
def test_a_world_of_tables_and_its_switch_are_the_same_problem(learner):
    mdp = episodic(learner)
    tables = np.stack([1 - mdp.reward, mdp.reward])
    one = learner.run(losses.switching(mdp, 10, bernoulli=False), 40)
    assert same(one, learner.run(losses.recorded(mdp, np.repeat(tables, 10, axis=0)), 40))


@each(*EPISODES)
def test_packed_and_repeated_steps_give_the_same_run(learner):
    problem = next(fit(learner, instances.ladder(n=2), instances.bandit([0.2, 0.5])))
    full = FiniteHorizonMDP(np.array(problem.transition), np.array(problem.reward), problem.initial)
    assert same(learner.run(losses.stochastic(problem), 40), learner.run(losses.stochastic(full), 40))


@each(*EPISODES)
def test_losses_of_zero_and_one_leave_nothing_to_regret(learner):
    mdp = episodic(learner)
    for level in (0.0, 1.0):
        trace = learner.run(losses.stochastic(mdp, np.full(mdp.shape, level)), 30)
        np.testing.assert_allclose(trace["regret"], 0, atol=1e-9)
        np.testing.assert_allclose(trace["loss"], mdp.horizon * level * trace.index, atol=1e-9)


@each(*EPISODES)
def test_rewards_that_are_no_losses_are_named(learner):
    lake = instances.cliff_walking(horizon=4)
    with pytest.raises(ValueError, match=r"expected rewards in \[0, 1\]"):
        learner.run(lake, 10)


@each(DelayedMDP)
def test_what_comes_too_late_changes_nothing(learner):
    d = np.random.default_rng(1).integers(-1, 80, 40)
    one, other = (learner.run(delays.delayed(SMALL, given), 40, seed=2) for given in (d, delays.schedule(d).effective))
    assert np.array_equal(one["loss"], other["loss"])


@each(DelayedMDP)
def test_nothing_is_learned_before_something_arrives(learner):
    trace = learner.run(delays.delayed(SMALL, delays.fixed(20)), 40)
    early = trace.index <= 21
    np.testing.assert_allclose(trace["loss"][early] / trace.index[early], trace["loss"][0], rtol=1e-9)
    assert abs(np.diff(trace["loss"])[-1] / np.diff(trace.index)[-1] - trace["loss"][0]) > 1e-7


@each(DelayedMDP)
def test_the_delays_are_in_the_parameters(learner):
    late = delays.delayed(SMALL, delays.geometric(4.0))
    trace, plan = learner.run(late, 30), late.schedule(30)
    assert (trace.parameters["delay"], trace.parameters["effective_delay"]) == (plan.total, plan.effective_total)
    with pytest.raises(ValueError, match="got 3 for 10 episodes"):
        learner.run(delays.delayed(SMALL, [0, 0, 0]), 10)


@each(DelayedMDP)
def test_models_without_delays_are_problems_too(learner):
    world = losses.stochastic(SMALL)
    assert same(learner.run(world, 30), learner.run(delays.delayed(world, delays.none()), 30))
