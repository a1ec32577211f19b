"""States that lack actions: learners never play what does not exist, and nothing that stands there counts."""

import itertools

import numpy as np
import pytest

from tabular_rl import delays, instances, losses, planning
from tabular_rl.algorithms import (
    DAPO,
    UCBVI,
    BestOfBothWorlds,
    DelayedHedge,
    DelayedOPPO,
    DelayedOREPS,
    DelayedUOB,
    DilatedBonusPO,
    LinearDAPO,
    OccupancyFTRL,
    TsallisINF,
    Uniform,
)
from tabular_rl.algorithms.delayed.hedge import deterministic_occupancies
from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP

H, S, A, N = 2, 3, 3, 40
FAST = {"learning_rate": 0.5, "exploration": 0.1}
rng = np.random.default_rng(7)
AVAILABLE = rng.random((H, S, A)) < 0.6
AVAILABLE[np.arange(H)[:, None], np.arange(S), rng.integers(A, size=(H, S))] = True
P, REWARD, START = rng.dirichlet(np.ones(S), (H, S, A)), rng.random((H, S, A)), rng.dirichlet(np.ones(S))
HOLES = FiniteHorizonMDP(P, np.where(AVAILABLE, REWARD, np.nan), START, available=AVAILABLE)
INDICATORS = np.eye(S * A).reshape(S, A, S * A)

AT_ONCE = [
    Uniform(),
    DilatedBonusPO(),
    DilatedBonusPO("practical", transition="unknown"),
    UCBVI(0.1),
    UCBVI(0.1, transition="known"),
    BestOfBothWorlds(),
    BestOfBothWorlds("shannon", "practical"),
    BestOfBothWorlds("shannon", entropy="current"),
    BestOfBothWorlds("log_barrier"),
    BestOfBothWorlds("shannon", "practical", transition="unknown"),
]
LATE = [
    DAPO(batch="sequential"),
    DAPO("practical"),
    DAPO("practical", batch="sequential", transition="unknown", estimator="plain"),
    DelayedHedge(0.5),
    DelayedOPPO(**FAST),
    DelayedOPPO(**FAST, transition="unknown"),
    DelayedOREPS(**FAST),
    DelayedOREPS(**FAST, batch="sequential", lazy=True),
    DelayedUOB(**FAST),
    DelayedUOB(False, **FAST),
    LinearDAPO(INDICATORS, "practical"),
]
DELAYS = rng.integers(-1, 5, N)


def play(learner, world, n=N, seed=3):
    late = isinstance(learner, (DAPO, DelayedHedge, DelayedOPPO, DelayedOREPS, DelayedUOB, LinearDAPO))
    return learner.run(delays.delayed(world, DELAYS[:n]) if late else world, n, seed=seed)


def least(world, total):
    """The smallest expected loss of the deterministic policies that exist, one by one."""
    found = np.inf
    choices = [np.flatnonzero(row) for row in world.available.reshape(-1, A)]
    for actions in itertools.product(*choices):
        value = np.zeros(S)
        for h in reversed(range(H)):
            a = np.reshape(actions, (H, S))[h]
            value = total[h, np.arange(S), a] + world.transition[h, np.arange(S), a] @ value
        found = min(found, world.initial @ value)
    return found


learners = pytest.mark.parametrize("learner", AT_ONCE + LATE, ids=repr)


@learners
def test_only_what_exists_is_played(learner):
    for world in (losses.stochastic(HOLES), losses.anti_greedy(HOLES), losses.switching(HOLES, 7)):
        trace = play(learner, world)
        assert (trace.policy[~AVAILABLE] == 0).all()
        np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
        assert all(np.isfinite(series).all() for series in trace.series.values())
        assert all(np.isfinite(x) for x in trace.parameters.values() if isinstance(x, float))
        if not isinstance(learner, Uniform):
            other = play(learner, world, seed=4)
            assert not np.array_equal(other["loss"], trace["loss"]) or isinstance(learner, UCBVI)


@learners
def test_the_best_policy_in_hindsight_is_one_that_exists(learner):
    world = losses.switching(HOLES, 7)
    trace = play(learner, world)
    totals = np.cumsum([world.tables[k // 7 % 2] for k in range(N)], axis=0)
    for row in (0, 5, -1):
        assert trace["loss"][row] - trace["regret"][row] == pytest.approx(least(world, totals[trace.index[row] - 1]), abs=1e-9)
    assert least(world, totals[-1]) > least(losses.switching(FiniteHorizonMDP(P, REWARD, START), 7), totals[-1]) or AVAILABLE.all()


@learners
def test_the_first_policy_is_uniform_over_what_exists(learner):
    n = 3 if getattr(learner, "regularizer", None) == "log_barrier" else 1
    cost = np.sum(planning.occupancy(HOLES, AVAILABLE / AVAILABLE.sum(axis=-1, keepdims=True)) * np.where(AVAILABLE, 1 - REWARD, 0))
    first = play(learner, losses.stochastic(HOLES), n)["loss"][0]
    # others: actions of index 0, the largest entropy, the mean of all policies
    other = isinstance(learner, UCBVI | DelayedOREPS | DelayedUOB | DelayedHedge)
    assert other or first == pytest.approx(cost, rel=1e-12)


@learners
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_column_that_no_state_has_may_be_left_out(learner, column):
    """Equal rates, bounds, draws and numbers: nothing but the array is wider."""
    there = np.delete(np.arange(A), column)
    mask = np.ones((H, S, A), bool)
    mask[..., column] = False
    filled = np.where(mask, REWARD, -5.0)
    wide = losses.switching(FiniteHorizonMDP(np.where(mask[..., None], P, np.nan), filled, START, available=mask), 7)
    narrow = losses.switching(FiniteHorizonMDP(P[:, :, there], REWARD[:, :, there], START), 7)
    assert wide.sizes == narrow.sizes == narrow.shape
    one = play(learner, wide)
    other = play(LinearDAPO(INDICATORS[:, there], "practical") if isinstance(learner, LinearDAPO) else learner, narrow)
    assert one.series.keys() == other.series.keys()
    for name in one.series:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(one.policy[..., there], other.policy, rtol=1e-7, atol=1e-9)
    for name, value in other.parameters.items():
        if value is not None and name != "newton_steps":  # their bracket is as wide as the array
            assert one.parameters[name] == pytest.approx(value, rel=1e-8, abs=1e-9), name


@learners
def test_a_state_with_one_action_has_nothing_to_learn(learner):
    """Each state has one action, in different columns: the regret is 0 and the policy is that one."""
    only = np.zeros((H, S, A), bool)
    only[np.arange(H)[:, None], np.arange(S), rng.integers(A, size=(H, S))] = True
    trace = play(learner, losses.stochastic(FiniteHorizonMDP(P, REWARD, START, available=only)))
    np.testing.assert_array_equal(trace.policy, only)
    np.testing.assert_allclose(trace["regret"], 0, atol=1e-9)


def test_a_bandit_with_an_arm_too_few():
    arms = FiniteHorizonMDP(np.ones((1, 1, 4, 1)), np.array([[[0.5, 1.0, 0.2, 0.9]]]), available=[[True, False, True, True]])
    narrow = FiniteHorizonMDP(np.ones((1, 1, 3, 1)), np.array([[[0.5, 0.2, 0.9]]]))
    for learner in (TsallisINF(), BestOfBothWorlds(preset="practical")):
        one, other = learner.run(arms, 3000, seed=1), learner.run(narrow, 3000, seed=1)
        np.testing.assert_allclose(one["regret"], other["regret"], rtol=1e-9)
        assert one.policy[0, 0, 1] == 0
        assert one.policy.argmax() == 3
    assert (losses.anti_greedy(arms).sizes) == (1, 1, 3)


def test_the_program_over_occupancies_leaves_out_what_does_not_exist():
    pytest.importorskip("cvxpy")
    trace = OccupancyFTRL().run(losses.stochastic(HOLES), 5, seed=1)
    assert (trace.policy[~AVAILABLE] == 0).all()
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    assert trace["loss"][-1] - trace["regret"][-1] == pytest.approx(5 * least(losses.stochastic(HOLES), np.where(AVAILABLE, 1 - REWARD, 0)))


def test_hedge_counts_the_policies_that_exist():
    found = deterministic_occupancies(P, START, available=AVAILABLE)
    assert len(found) == np.prod(AVAILABLE.sum(axis=-1))  # every state is reached at every step
    assert (found[:, ~AVAILABLE] == 0).all()
    assert DelayedHedge().run(losses.stochastic(HOLES), 3).parameters["policies"] == len(found)


def test_an_adversary_who_looks_charges_what_exists():
    """With one action in a state its loss is 1 in every episode; all of them together cost H."""
    only = np.zeros((H, S, A), bool)
    only[..., 2] = True
    trace = DilatedBonusPO().run(losses.anti_greedy(FiniteHorizonMDP(P, REWARD, START, available=only)), 10)
    np.testing.assert_allclose(trace["loss"], H * trace.index)


def test_shared_steps_need_shared_actions():
    stationary = FiniteHorizonMDP(P[:1], REWARD, START, H, available=AVAILABLE)
    with pytest.raises(ValueError, match=r"^share_steps=True needs states that have the same actions at every step"):
        UCBVI(share_steps=True).run(stationary, 3)
    same = FiniteHorizonMDP(P[0], REWARD[0], START, H, available=AVAILABLE[0])
    assert (UCBVI(0.1, share_steps=True).run(same, 30).policy[:, ~AVAILABLE[0]] == 0).all()


def test_a_comparator_must_exist():
    forbidden = np.full((H, S, A), 1 / A)
    with pytest.raises(ValueError, match="action"):
        BestOfBothWorlds().run(losses.stochastic(HOLES), 3, comparator=forbidden)
    legal = HOLES.uniform_policy
    assert "comparator_regret" in BestOfBothWorlds().run(losses.stochastic(HOLES), 3, comparator=legal).series


def test_the_largest_number_of_actions_is_what_rates_depend_on():
    assert losses.stochastic(HOLES).sizes == (H, S, AVAILABLE.sum(axis=-1).max())
    ordinary = instances.random_losses(H, S, A)
    assert losses.stochastic(ordinary).sizes == ordinary.shape
    assert isinstance(losses.stochastic(ordinary), AdversarialMDP)
