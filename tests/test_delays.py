"""Delays: their processes, the order of delivery, and where feedback waits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular_rl import delays, instances, losses
from tabular_rl.delays import DelayedMDP, Delays, schedule
from tabular_rl.kernels.episodic.feedback import ADAPTED, ADAPTED_JOINT, ARRIVAL_ONLY, PLAIN, allocate_slots, delay_weight

quick = settings(derandomize=True, deadline=None, max_examples=200)
sequences = st.lists(st.integers(-1, 12), min_size=1, max_size=12).map(np.array)
WORLD = losses.stochastic(instances.delay_instance())


@quick
@given(sequences)
def test_everything_is_delivered_once_in_time_and_early_episodes_first(d):
    plan, K = schedule(d), len(d)
    assert sorted(plan.order) == list(range(K))
    assert plan.pointer[0] == 0
    assert plan.pointer[-1] == K
    for t in range(K):
        batch = plan.order[plan.pointer[t] : plan.pointer[t + 1]]
        assert list(batch) == sorted(batch)
        for j in batch:
            assert t == min(j + d[j], K - 1) if d[j] >= 0 else t == K - 1


@quick
@given(sequences)
def test_totals_count_what_never_arrives_up_to_the_end(d):
    plan, K = schedule(d), len(d)
    left = K - 1 - np.arange(K)
    assert plan.total == sum(left[k] if d[k] < 0 else d[k] for k in range(K))
    assert plan.effective_total == sum(min(left[k], d[k]) if d[k] >= 0 else left[k] for k in range(K)) <= plan.total
    pairs = [(i, j) for i in range(K) for j in range(i) if plan.arrival[i] == plan.arrival[j]]
    assert plan.within_batches == len(pairs)


@quick
@given(sequences, st.booleans())
def test_waiting_feedback_never_shares_a_place_and_no_place_is_wasted(d, keep_last):
    plan, K = schedule(d), len(d)
    slot, n_slots = allocate_slots(plan.arrival, plan.order, plan.pointer, keep_last)
    most = 0
    for k in range(K):
        waiting = [j for j in range(k + 1) if plan.arrival[j] >= k and (keep_last or plan.arrival[j] < K - 1)]
        places = [slot[j] for j in waiting]
        assert len(set(places)) == len(places)
        most = max(most, len(waiting))
    assert n_slots == max(most, 1)
    assert all((slot[k] >= 0) == (keep_last or plan.arrival[k] < K - 1) for k in range(K))


def test_memory_is_that_of_the_outstanding_feedback():
    for K in (1_000, 100_000):
        plan = schedule(delays.fixed(7).sequence(K))
        assert allocate_slots(plan.arrival, plan.order, plan.pointer, False)[1] == 8


PROCESSES = {
    "none": (delays.none(), 0),
    "fixed": (delays.fixed(5), 5),
    "uniform": (delays.uniform(5), 5),
    "geometric": (delays.geometric(5.0), 5),
    "pareto": (delays.pareto(30.0), 30),
    "giant": (delays.giant(), 1),
    "blackout": (delays.blackout(30), 30),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_processes_have_about_their_mean(name):
    process, mean = PROCESSES[name]
    d = process.sequence(20_000)
    assert d.dtype == np.int64
    assert d.min() >= 0
    assert d.mean() == pytest.approx(mean, rel=0.1, abs=0.01)
    assert np.array_equal(d, process.sequence(20_000))


def test_processes_are_those_of_the_specification():
    K, rng = 1000, np.random.default_rng(3)
    assert np.array_equal(delays.geometric(5.0, seed=3).sequence(K), rng.geometric(1 / 6, K) - 1)
    rng = np.random.default_rng(3)
    assert np.array_equal(delays.pareto(9.0, seed=3).sequence(K), np.minimum(np.floor(3 * (rng.pareto(1.5, K) + 1)), K))
    blackout = delays.blackout(8).sequence(K)  # m = isqrt(2 * 8 * 1000) = 126, from 250 on
    assert np.array_equal(np.flatnonzero(blackout), np.arange(250, 376))
    assert set(np.arange(250, 376) + blackout[250:376]) == {376}
    assert delays.giant().sequence(5).tolist() == [4, 0, 0, 0, 0]


def test_missing_and_skipped_feedback_never_arrives():
    d = delays.missing(0.25, seed=1).sequence(10_000)
    assert set(d) == {-1, 0}
    assert np.mean(d == -1) == pytest.approx(0.25, abs=0.03)
    skipped = delays.skip(delays.uniform(10), 5)
    raw, kept = delays.uniform(10).sequence(500), skipped.sequence(500)
    assert np.array_equal(kept, np.where(raw > 5, -1, raw))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: delays.fixed(-1), ValueError, "delay must be at least 0"),
        (lambda: delays.fixed(1.5), TypeError, "delay must be an integer"),
        (lambda: delays.missing(1.5), ValueError, r"mean must lie in .*1\], got 1.5"),
        (lambda: Delays("late"), ValueError, "kind must be one of"),
        (lambda: delays.skip([1, 2], 3), TypeError, "must be a delay process"),
        (lambda: schedule([0, -2]), ValueError, r"delays\[1\] is -2"),
        (lambda: schedule([0.5]), TypeError, "whole numbers"),
        (lambda: schedule([]), ValueError, "one per episode"),
        (lambda: delays.delayed(WORLD, [0, 1, 2]).schedule(4), ValueError, "got 3 for 4 episodes"),
        (lambda: delays.delayed("world", [0]), TypeError, "must be an AdversarialMDP"),
    ],
)
def test_bad_delays_are_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_given_delays_cannot_be_changed_afterwards():
    given_delays = np.array([1, 0, 0])
    problem = DelayedMDP(WORLD, given_delays)
    given_delays[0] = 2
    assert problem.delays.tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        problem.delays[0] = 2


@quick
@given(*[st.floats(0.0, 1.0)] * 3, st.floats(1e-3, 1.0))
def test_weights_of_the_estimators(q, pi, p, gamma):
    larger = max(pi, p, 1e-300)
    assert delay_weight(PLAIN, q, pi, p, gamma) == pytest.approx(1 / (q * pi + gamma))
    assert delay_weight(ADAPTED, q, pi, p, gamma) == pytest.approx(pi / larger / (q * pi + gamma))
    assert delay_weight(ADAPTED_JOINT, q, pi, p, gamma) == pytest.approx(1 / (q * larger + gamma))
    assert delay_weight(ARRIVAL_ONLY, q, pi, p, gamma) == pytest.approx(1 / (q * p + gamma))


def test_adaptation_survives_policies_that_underflow():
    assert delay_weight(ADAPTED, 1.0, 0.0, 0.0, 0.1) == 0.0
    assert np.isfinite(delay_weight(ADAPTED_JOINT, 1.0, 0.0, 0.0, 0.1))


@pytest.mark.parametrize("delay", [2**32 - 1, 2**62, 2**63 - 1])
def test_totals_do_not_wrap_around(delay):
    assert delays.schedule(np.full(500, delay)).total == 500 * delay
    mixed = np.array([delay, 0, -1, 7, delay])
    assert delays.schedule(mixed).total == 2 * delay + 2 + 7
    assert delays.schedule(mixed).effective.tolist() == [4, 0, 2, 1, 0]


def test_what_no_integer_holds_is_refused():
    for wide in (np.full(3, 2**63, np.uint64), [2**63], [2**64 - 1]):
        with pytest.raises(ValueError, match=r"^delays\[\d\] is \d+, expected at most 2\*\*63 - 1"):
            delays.schedule(wide)
    with pytest.raises(ValueError, match=f"^delay must be at most {2**61}, got {2**62}"):
        delays.fixed(2**62)
    for make in (delays.uniform, delays.geometric, delays.pareto, delays.blackout):
        with pytest.raises(ValueError, match=r"^mean must lie in"):
            make(2**62)
        drawn = make(2**61).sequence(50)
        assert drawn.min() >= 0
        assert delays.schedule(drawn).total == sum(drawn.tolist())
