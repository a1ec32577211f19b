"""Best-of-both-worlds policy optimization: reductions, certificates, degenerate problems, errors, both worlds."""

import dataclasses
import math

import numpy as np
import pytest

from proofs_check.claims.adversarial.replaying import least_loss, play
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds, DilatedBonusPO, OccupancyFTRL, TsallisINF
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import occupancy, solve

MDP = instances.gap_instance()  # I1
VARIANTS = {
    "tsallis": BestOfBothWorlds(),
    "practical": BestOfBothWorlds(preset="practical"),
    "shannon": BestOfBothWorlds("shannon"),
    "current": BestOfBothWorlds("shannon", entropy="current"),
    "log_barrier": BestOfBothWorlds("log_barrier"),
    "unknown": BestOfBothWorlds(transition="unknown"),
}
variants = pytest.mark.parametrize("algorithm", VARIANTS.values(), ids=VARIANTS)


def bandit(means):
    return FiniteHorizonMDP(np.ones((1, 1, len(means), 1)), 1 - np.array([[means]]))


# --- reductions


def test_one_state_and_one_step_is_tsallis_inf():
    problem = losses.stochastic(bandit([0.3, 0.4, 0.6]))
    one = TsallisINF().run(problem, 1000, 3)
    for bonus_scale in (0.0, 1.0):  # the bonus is constant over the actions
        other = BestOfBothWorlds(preset="practical", c0=1.0, N0=1e-300, bonus_scale=bonus_scale).run(problem, 1000, 3)
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-8)  # importance weights magnify rounding, ever more
        np.testing.assert_allclose(one.policy, other.policy, rtol=1e-7)


def test_a_program_over_occupancies_of_one_state_is_tsallis_inf():
    problem = losses.stochastic(bandit([0.3, 0.6]))
    one, other = OccupancyFTRL().run(problem, 40, 3), TsallisINF().run(problem, 40, 3)
    np.testing.assert_allclose(one["loss"], other["loss"], atol=2e-3)
    np.testing.assert_allclose(one.policy, other.policy, atol=1e-3)


def test_a_program_over_occupancies_plays_policies_of_the_model():
    trace = OccupancyFTRL().run(losses.stochastic(instances.random_losses(2, 2, 2)), 12)
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    assert np.all(np.diff(trace["loss"]) > 0)


def test_a_program_over_occupancies_follows_the_regularized_leader():
    """Its policies' occupancies q minimize <q, Lhat> - 2 sqrt(t) sum sqrt(q), Lhat += 1{visited} loss / q, replayed on the same numbers."""
    mdp = instances.random_losses(2, 2, 2, seed=5)
    traces = [OccupancyFTRL().run(losses.stochastic(mdp), t, 7) for t in (1, 2, 3, 4)]
    estimates, means, loss, drawn, rng = np.zeros(mdp.shape), 1 - mdp.reward, 0.0, np.random.default_rng(7), np.random.default_rng(0)

    def objective(q, t):
        return np.sum(q * estimates) - 2 * np.sqrt(t) * np.sum(np.sqrt(q))

    for t, trace in enumerate(traces, start=1):
        q = occupancy(mdp, trace.policy)
        others = [rng.choice([0.01, 0.1, 1]) * (rng.dirichlet(np.ones(2), (2, 2)) - trace.policy) + trace.policy for _ in range(100)]
        assert objective(q, t) <= min(objective(occupancy(mdp, other), t) for other in others) + 1e-5
        loss += np.sum(q * means)
        states, actions, seen = play(mdp, trace.policy, means, drawn)
        estimates[np.arange(2), states, actions] += seen / q[np.arange(2), states, actions]
        assert trace["loss"][-1] == pytest.approx(loss, rel=1e-12)
        assert trace["regret"][-1] == pytest.approx(loss - t * least_loss(mdp, means), rel=1e-9)


def test_tsallis_inf_wants_a_bandit():
    with pytest.raises(ValueError, match=r"problem must have one step and one state, got shape \(3, 3, 2\)"):
        TsallisINF().run(MDP, 10)


# --- certificates


def margins(algorithm, problem, episodes, runs, **kwargs):
    """Certificate minus regret of every run."""
    traces = [algorithm.run(problem, episodes, seed, **kwargs) for seed in range(1000, 1000 + runs)]
    return np.array([trace["certificate"][-1] - trace["regret"][-1] for trace in traces]), traces


@pytest.mark.parametrize("size", [(1, 1, 2, 0), (2, 2, 2, 1), (3, 2, 4, 3)])
@pytest.mark.parametrize("name", ["tsallis", "shannon", "current"])
def test_the_certificate_holds_by_four_standard_errors(size, name):
    """Also the regret against the best policy in hindsight of an adversary who looks, for which nothing is claimed."""
    mdp = instances.random_losses(*size[:3], seed=size[3])
    for problem in (losses.stochastic(mdp), losses.anti_greedy(mdp)):
        margin, traces = margins(VARIANTS[name], problem, 2000, 16, comparator=solve(mdp).policy)
        assert margin.mean() > 4 * margin.std(ddof=1) / 4
        assert all(trace.parameters["violations"] == 0 for trace in traces)


@pytest.mark.parametrize("name", ["log_barrier", "unknown"])
def test_the_certificate_of_the_other_variants(name):
    for problem in (losses.stochastic(MDP), losses.anti_greedy(MDP)):
        margin, traces = margins(VARIANTS[name], problem, 3000, 8, comparator=solve(MDP).policy)
        assert margin.mean() > 4 * margin.std(ddof=1) / math.sqrt(8)
        assert all(trace.parameters["violations"] == 0 for trace in traces)


def test_the_extended_certificate_pays_for_a_bonus_that_is_too_large():
    margin, traces = margins(BestOfBothWorlds(preset="practical", bonus_scale=1.0), losses.stochastic(MDP), 4000, 16)
    assert all(trace.parameters["violations"] > 0 for trace in traces)
    assert margin.mean() > 4 * margin.std(ddof=1) / 4
    assert np.isfinite(margin).all()


@pytest.mark.parametrize("bonus_scale", [0.0, 0.1, 1.0])
def test_the_bound_against_a_comparator_holds_for_every_scale_of_the_bonus(bonus_scale):
    algorithm = BestOfBothWorlds(preset="practical", bonus_scale=bonus_scale)
    comparator = solve(MDP).policy
    traces = [algorithm.run(losses.stochastic(MDP), 2000, seed, comparator) for seed in range(16)]
    margin = np.array([trace["comparator_bound"][-1] - trace["comparator_regret"][-1] for trace in traces])
    assert margin.mean() > 4 * margin.std(ddof=1) / 4
    assert ("certificate" in traces[0].series) == (bonus_scale == 1)
    np.testing.assert_allclose(traces[0]["comparator_regret"], traces[0]["regret"], atol=1e-8)  # it is the best policy in hindsight here


def test_regret_is_that_of_visits_to_gaps():
    """Stochastic losses: one episode of the uniform policy costs the sum of q Delta (L1)."""
    trace = BestOfBothWorlds().run(losses.stochastic(MDP), 1)
    best = solve(MDP)
    gaps = best.values[:-1, :, None] - best.q_values
    assert trace["regret"][0] == pytest.approx(np.sum(occupancy(MDP, np.full(MDP.shape, 0.5)) * gaps), rel=1e-12)


# --- degenerate problems


@variants
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 3, 2), (3, 1, 2), (3, 3, 1)])
def test_small_sizes_are_legal(algorithm, size):
    trace = algorithm.run(losses.stochastic(instances.random_losses(*size)), 200)
    assert all(np.isfinite(series).all() for series in trace.series.values())
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    if size[2] == 1:
        np.testing.assert_allclose(trace["regret"], 0, atol=1e-10)
    if size == (3, 3, 1) and algorithm.regularizer == "shannon":
        assert trace["certificate"][-1] == 0


@variants
def test_unreachable_states_stay_uniform_and_cost_nothing(algorithm):
    H, S, A = 3, 3, 2
    transition = np.zeros((H, S, A, S))
    transition[:, :, :, :2] = np.random.default_rng(1).dirichlet(np.ones(2), (H, S, A))
    means = np.random.default_rng(2).random((H, S, A))
    big = losses.stochastic(FiniteHorizonMDP(transition, 1 - means, [0.5, 0.5, 0]))
    small = losses.stochastic(FiniteHorizonMDP(transition[:, :2, :, :2], 1 - means[:, :2], [0.5, 0.5]))
    if algorithm.regularizer == "log_barrier":
        algorithm = dataclasses.replace(algorithm, preset="practical")  # the theory's constants know S
    one, other = algorithm.run(big, 400), algorithm.run(small, 400)
    np.testing.assert_array_equal(one.policy[0, 2], 0.5)
    if algorithm.transition == "known":
        np.testing.assert_array_equal(one.policy[:, 2], 0.5)
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-9)


def test_clipped_rounds_are_counted_and_the_clip_never_starts_above_one():
    rare = np.zeros((2, 2, 2, 2))
    rare[0, :, :] = [1 - 1e-6, 1e-6]
    rare[1] = 0.5
    problem = losses.stochastic(FiniteHorizonMDP(rare, np.full((2, 2, 2), 0.5)))
    trace = BestOfBothWorlds().run(problem, 500)
    assert 0 < trace.parameters["clipped"] <= 500
    assert trace.parameters["violations"] == 0


@pytest.mark.parametrize("name", ["tsallis", "shannon", "practical"])
def test_it_does_not_know_the_number_of_episodes(name):
    algorithm = VARIANTS[name]
    short, long = algorithm.run(losses.stochastic(MDP), 100), algorithm.run(losses.stochastic(MDP), 3000)
    shared = np.intersect1d(short.index, long.index)
    assert len(shared) > 10
    np.testing.assert_array_equal(short["loss"][np.isin(short.index, shared)], long["loss"][np.isin(long.index, shared)])


def test_the_constants_of_the_theory():
    c0, eps, N0, scale, proven = BestOfBothWorlds().resolve((3, 3, 2), 10)
    assert (c0, eps, scale, proven) == (1 / math.sqrt(2), math.sqrt(2) / 4, 1.0, True)
    assert pytest.approx(12403.17, rel=1e-6) == N0
    assert BestOfBothWorlds().initial_term((3, 3, 2), 10, c0, N0) == pytest.approx(
        math.sqrt(2) * 12 * math.sqrt(N0) * (math.sqrt(2) - 1), rel=1e-12
    )


def test_newton_takes_three_steps_on_average():
    assert BestOfBothWorlds().run(losses.stochastic(MDP), 5000).parameters["newton_steps"] < 3


# --- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularizer": "entropy"}, "regularizer must be one of"),
        ({"preset": "best"}, "preset must be one of"),
        ({"c0": 0.0}, "c0 must lie in"),
        ({"eps": -1.0}, "eps must lie in"),
        ({"N0": 0.0}, "N0 must lie in"),
        ({"bonus_scale": -0.1}, "bonus_scale must lie in"),
        ({"eps": math.nan}, "eps"),
        ({"transition": "learned"}, "transition must be one of"),
        ({"transition": "unknown", "delta": 1.0}, "delta must lie in"),
        ({"transition": "unknown", "radius_scale": 0.0}, "radius_scale must lie in"),
        ({"regularizer": "log_barrier", "transition": "unknown"}, "transition must be 'known' with regularizer 'log_barrier'"),
        ({"entropy": "current"}, "entropy 'current' is a rate of regularizer 'shannon'"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        BestOfBothWorlds(**arguments)


@pytest.mark.parametrize(
    ("algorithm", "n", "arguments", "message"),
    [
        (BestOfBothWorlds(), 0, {}, "n must be at least 1"),
        (BestOfBothWorlds("log_barrier"), 2, {}, "n must be at least 3"),
        (BestOfBothWorlds(eps=0.001, N0=2.0), 5, {}, r"eps \* sqrt\(N0\) must be at least 1 in theory"),
        (BestOfBothWorlds("log_barrier", eps=0.001, N0=2.0), 5, {}, r"eps \* sqrt\(N0\) must be at least 1 in theory"),
        (BestOfBothWorlds(preset="practical"), 5, {"certified": True}, "give a comparator, whose comparator_bound is valid"),
        (BestOfBothWorlds(), 5, {"comparator": np.ones((3, 3, 2))}, "comparator"),
    ],
)
def test_wrong_runs(algorithm, n, arguments, message):
    with pytest.raises(ValueError, match=message):
        algorithm.run(MDP, n, **arguments)


# --- both worlds (numbers: bobw spec, section 7, on seeds of our own)


def curve(algorithm, problem, episodes, runs, at):
    traces = [algorithm.run(problem, episodes, seed) for seed in range(2000, 2000 + runs)]
    return np.array([np.interp(np.log(at), np.log(trace.index), trace["regret"]) for trace in traces])


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


HALF_DECADES = 10 ** np.arange(4, 6.1, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(3, 3, 2, 0.25, 0), (2, 2, 3, 0.3, 11), (4, 3, 2, 0.25, 12)])
def test_logarithmic_against_chance_and_a_square_root_against_an_adversary(size):
    """Increments per half decade grow by less than 1.3 on average (a square root: 1.78), local exponents fall; against W4 about 1/2."""
    mdp = instances.gap_instance(*size)
    regret = curve(BestOfBothWorlds(), losses.stochastic(mdp), 1_000_000, 8, HALF_DECADES).mean(axis=0)
    increments, exponents = np.diff(regret), np.diff(np.log(regret))
    assert np.mean(increments[1:] / increments[:-1]) < 1.3
    assert np.all(np.diff(exponents) < 0)
    at = np.geomspace(2e4, 2e5, 9)
    against = curve(BestOfBothWorlds(), losses.anti_greedy(mdp), 200_000, 8, at).mean(axis=0)
    assert 0.4 < slope(at, against) < 0.65


def test_optimism_breaks_against_the_adversary():
    at = np.geomspace(2e3, 2e4, 9)
    optimist = curve(UCBVI(0.7 * math.sqrt(2), 1.0, "known", True), losses.anti_greedy(MDP), 20_000, 4, at).mean(axis=0)
    assert slope(at, optimist) > 0.95
    assert optimist[-1] > 10 * curve(BestOfBothWorlds(), losses.anti_greedy(MDP), 20_000, 4, at[-1:]).mean()


@pytest.mark.slow
def test_a_fixed_rate_pays_a_square_root_against_chance():
    """One run of the fixed-rate learner per number of episodes, which it must know; one run of ours for all of them."""
    lengths, problem = np.array([20_000, 50_000, 100_000]), losses.stochastic(MDP)
    fixed = [curve(DilatedBonusPO("luo", bonus_scale=0.1), problem, n, 8, [n]).mean() for n in lengths]
    ours = curve(BestOfBothWorlds(preset="practical"), problem, 100_000, 8, lengths).mean(axis=0)
    assert slope(lengths, fixed) > 0.45
    assert slope(lengths, ours) < 0.35
    assert fixed[-1] > 4 * ours[-1]
