"""DRPG, its inner solvers and baselines: the quoted numbers, monotone steps, certificates, the counterexample, the controls, errors."""

import numpy as np
import pytest

from tabular_rl import RobustMDP, ambiguity, instances
from tabular_rl.algorithms import DRPG, IWOCS, BestResponses, GradientDescentAscent, RobustMirrorDescent, convergence_bound
from tabular_rl.planning import constants, robust_evaluate, solve


def errors(S, A, branching, scale, seeds):
    result = []
    for seed in range(seeds):
        mdp = instances.garnet_robust(S, A, branching, seed)
        trace = DRPG(rule="constant", scale=scale, start=instances.garnet_policy(S, A, seed)).run(mdp, 200)
        optimum = solve(mdp, tolerance=1e-9).objective
        result.append(trace["objective"] / optimum - 1)
    return np.array(result)


def test_the_quoted_run():
    trace = DRPG(start=instances.garnet_policy()).run(instances.garnet_robust(), 200)
    assert trace["objective"][0] == pytest.approx(13.0131359703, abs=1e-9)
    assert trace["objective"][-1] == pytest.approx(7.3227134466, abs=1e-9)
    assert np.mean(trace["inner"]) < 1.15
    assert trace.parameters["guarantee"] == "global"
    assert trace.parameters["best_iteration"] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "scale", "means"),
    [
        ((5, 6, 3), 0.05, (0.175, 0.016, 4.3e-3, 1.4e-3)),
        ((5, 6, 3), 0.25, (0.016, 9.1e-4, 2.5e-4, 8.4e-5)),
        ((5, 6, 3), 1.0, (1.6e-3, 9.4e-5, 1.6e-5, 5.1e-6)),
        ((10, 6, 3), 0.25, (0.047, 2.4e-3, 7.4e-4, 2.5e-4)),
        ((15, 8, 3), 0.25, (0.105, 7.8e-3, 2.4e-3, 6.2e-4)),
    ],
)
def test_mean_errors_of_fifty_garnets(shape, scale, means):
    found = errors(*shape, scale, 50)
    np.testing.assert_array_less(np.abs(np.log2(found.mean(axis=0)[[10, 50, 100, 200]] / means)), 1)
    assert np.all(np.diff(found, axis=1) <= 1e-9)  # monotone


def test_errors_of_a_few_garnets_fall_monotonically():
    found = errors(5, 6, 3, 0.25, 6)
    assert np.all(np.diff(found, axis=1) <= 1e-9)
    assert found[:, 100].mean() < 2e-3


def test_without_rectangularity_it_stays_in_a_local_minimum():
    start = np.full((5, 2), 0.5)
    start[1:3] = 0.1, 0.9
    stuck, hull = (
        DRPG(rule="decreasing", scale=0.2, start=start).run(instances.nonrect_two_kernels(rectangularity=kind), 1000)
        for kind in ("none", "s")
    )
    assert stuck["upper"].min() > 0.49
    assert stuck.parameters["guarantee"] == "none"
    np.testing.assert_allclose(hull["objective"][[0, 100, 1000]], (0.796, 0.373, 0), atol=1e-3)


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
def test_upper_bounds_hold_for_every_inner_solver(rectangularity):
    mdp = instances.garnet_robust(4, 3, 3, 1, rectangularity=rectangularity)
    for drpg in (DRPG(keep=True), DRPG("projected", keep=True), DRPG("nominal", keep=True), DRPG(loss=0.3, keep=True)):
        trace = drpg.run(mdp, 15)
        worst = [robust_evaluate(mdp, policy).objective for policy in trace.parameters["policies"]]
        assert np.all(worst <= trace["upper"] + 1e-9)
        assert np.all(trace["objective"] <= np.array(worst) + 1e-9)


def test_the_theorem_holds_where_it_says_something():
    mdp = instances.garnet_robust(2, 2, 2, 3, discount=0.1)
    trace = DRPG(rule="theory", start=instances.garnet_policy(2, 2, 3)).run(mdp, 100)
    optimum = solve(mdp, tolerance=1e-12).objective
    bound = convergence_bound(mdp, trace.parameters["step"], 100, trace["objective"][0] - optimum, np.zeros(100))
    assert trace["upper"].min() - optimum <= bound


def test_parametric_kernels_cost_more_than_the_nominal_one():
    mdp = instances.inventory_param()
    trace = DRPG("parametric", "constant", 0.1).run(mdp, 60)
    assert np.isnan(trace["upper"]).all()
    assert trace["objective"][-1] < trace["objective"][0]


def test_mirror_descent_falls_geometrically():
    found = []
    for seed in range(5):
        mdp = instances.garnet_robust(seed=seed)
        trace = RobustMirrorDescent(start=instances.garnet_policy(seed=seed), keep=True).run(mdp, 59)
        values = trace.parameters["values"]
        assert np.all(np.diff(values, axis=0) <= 1e-9)
        found.append(np.abs(values - solve(mdp, tolerance=1e-9).values).max(axis=1)[[5, 20, 59]])
    np.testing.assert_array_less(np.abs(np.log(np.mean(found, axis=0) / (2.2, 0.125, 0.00119))), np.log(4))


def test_iwocs_is_exact_with_the_hull():
    for seed in range(3):
        mdp = instances.garnet_robust(seed=seed)
        trace = IWOCS().run(mdp, 10)
        assert trace.parameters["status"] == "optimal"
        assert trace["upper"][-1] == pytest.approx(solve(mdp, tolerance=1e-9).objective, abs=1e-7)
    mdp = instances.garnet_robust(4, 2, 4, 104, low=0.5, high=2.0)
    assert IWOCS().run(mdp, 10).parameters["status"] == "optimal"
    assert IWOCS("minq").run(mdp, 10).parameters["gap"] > 1e-3


def test_best_responses_cycle_on_pennies_and_gradients_orbit():
    trace = BestResponses().run(instances.pennies(), 20)
    assert trace.parameters["period"] == 2
    start = np.array([[0.3, 0.7], [0.5, 0.5], [0.5, 0.5]])
    orbit = GradientDescentAscent(0.01, start, keep=True).run(instances.pennies(), 4000)
    last = orbit.parameters["policies"][-500:, 0, 0]
    assert (last.min(), last.max()) == pytest.approx((0.137, 0.863), abs=2e-3)
    assert orbit["objective"][-500:].max() == pytest.approx(4.42, abs=0.01)


def with_set(uncertain):
    mdp = instances.pennies()
    return RobustMDP(mdp.nominal, mdp.cost, mdp.discount, mdp.initial, uncertain)


def test_a_start_that_misses_a_state_has_no_guarantee():
    problem = instances.pennies()
    never = RobustMDP(problem.nominal, problem.cost, problem.discount, [0.5, 0.5, 0.0], problem.ambiguity)
    with pytest.warns(UserWarning, match=r"initial\[2\] is 0: no global guarantee"):
        trace = DRPG().run(never, 3)
    assert trace.parameters["guarantee"] == "none"
    assert DRPG().run(problem, 3).parameters["guarantee"] == "global"


def test_costs_of_any_size_are_allowed_and_shown():
    mdp = instances.garnet_robust()
    other = RobustMDP(mdp.nominal, 5 * mdp.cost - 1, mdp.discount, mdp.initial, mdp.ambiguity)
    one, two = (DRPG(rule="constant", scale=scale).run(x, 20) for x, scale in ((mdp, 0.25), (other, 0.05)))
    np.testing.assert_allclose(two["objective"], 5 * one["objective"] - 1 / (1 - mdp.discount), rtol=1e-9)
    assert two.parameters["cost_range"] == other.cost_range != mdp.cost_range
    assert constants(other).ell_policy == pytest.approx(constants(mdp).ell_policy * max(np.abs(other.cost_range)) / mdp.cost_range[1])


def test_kernels_of_a_list_are_tried_one_by_one():
    trace = DRPG().run(instances.nonrect_two_kernels(), 5)
    np.testing.assert_array_equal(trace["upper"], trace["objective"])
    assert trace.parameters["guarantee"] == "none"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DRPG("guess"), ValueError, "inner must be one of"),
        (lambda: DRPG(rule="fast"), ValueError, "rule must be one of"),
        (lambda: DRPG(scale=0), ValueError, "scale must lie"),
        (lambda: DRPG(tolerance=-1), ValueError, "tolerance must lie"),
        (lambda: DRPG(start=[[0.5, 0.6]]), ValueError, r"start\[0\] sums to 1.1"),
        (lambda: DRPG(start=[[1.5, -0.5]]), ValueError, r"start\[0, 1\] is -0.5"),
        (lambda: DRPG(start=[[np.nan, 1.0]]), ValueError, r"start\[0, 0\] is nan"),
        (lambda: DRPG(start=[[0.5, 0.5]]).run(instances.pennies(), 1), ValueError, r"start must have shape \(3, 2\)"),
        (lambda: DRPG(inner_step=0), ValueError, "inner_step must lie"),
        (lambda: DRPG(inner_limit=0), ValueError, "inner_limit must be at least 1"),
        (lambda: DRPG(loss=-1), ValueError, "loss must lie"),
        (lambda: DRPG("projected").run(instances.inventory_param(), 1), TypeError, "does not fit the set Parametric"),
        (lambda: DRPG("parametric").run(instances.pennies(), 1), TypeError, 'a Parametric set needs "parametric"'),
        (lambda: DRPG("projected").run(with_set(ambiguity.KL(0.1)), 1), TypeError, "a set with a Euclidean projection, got KL"),
        (lambda: GradientDescentAscent().run(with_set(ambiguity.KL(0.1)), 1), TypeError, "a set with a Euclidean projection, got KL"),
        (lambda: BestResponses("deaf"), ValueError, "adversary must be one of"),
        (lambda: IWOCS("max"), ValueError, "variant must be one of"),
        (lambda: RobustMirrorDescent(start=[[1.0, 0.0]]), ValueError, r"start\[0, 1\] is 0, expected probabilities > 0"),
        (lambda: DRPG().run(instances.pennies(), 0), ValueError, "n must be at least 1"),
        (lambda: DRPG().run(instances.chain(), 1), TypeError, "problem must be a RobustMDP"),
        (lambda: DRPG().run(instances.inventory_param(), 1), TypeError, "does not fit the set Parametric"),
        (lambda: IWOCS().run(instances.pennies(), 1), TypeError, "IWOCS needs an"),
        (lambda: RobustMirrorDescent().run(instances.pennies(), 1), TypeError, "robust mirror descent needs"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()
