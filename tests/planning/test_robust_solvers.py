"""Robust solvers: the quoted optima, closed forms, the saddle point's two sides, ordinary MDPs as a special case, errors."""

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl import ambiguity, instances
from tabular_rl.algorithms import DRPG
from tabular_rl.models import DiscountedMDP, RobustMDP
from tabular_rl.planning import constants, gradients, robust_backup, robust_evaluate, saddle_certificate, solve

METHODS = ("modified_policy_iteration", "value_iteration", "partial_policy_iteration")
GARNETS = [7.3217261788, 6.1300528097, 5.3735719784]
S_GARNETS = [11.4682066566, 12.0304432291, 12.0805384776]


@pytest.mark.parametrize("method", METHODS)
def test_optima_of_the_garnets(method):
    for seed, optimum in enumerate(GARNETS):
        solution = solve(instances.garnet_robust(seed=seed), method, tolerance=1e-10)
        assert solution.converged
        assert solution.objective == pytest.approx(optimum, abs=2e-10)
    assert solve(instances.garnet_robust()).actions.tolist() == [3, 3, 4, 2, 0]
    for seed, optimum in enumerate(S_GARNETS):
        solution = solve(instances.garnet_robust(10, 5, 10, seed, rectangularity="s"), method, tolerance=2e-10)
        assert solution.converged
        assert solution.objective == pytest.approx(optimum, abs=4e-10)
        assert np.all(solution.policy.max(axis=1) < 1)  # every row randomizes


@pytest.mark.parametrize(
    ("build", "optima"),
    [
        (instances.riverswim_robust, (18.942223221, 19.749684513, 19.902982239)),
        (instances.machine_replacement, (0.483394156, 0.759376476, 1.318512904)),
        (instances.inventory, (1.134734228, 1.259119203, 1.398407011)),
    ],
)
def test_optima_of_the_classical_problems(build, optima):
    for radius, optimum in zip((0, 0.2, 0.5), optima, strict=True):
        assert solve(build(radius=radius), tolerance=1e-10).objective == pytest.approx(optimum, abs=1e-9)


def test_robust_policies_of_the_classical_problems():
    rivers = [solve(instances.riverswim_robust(radius=radius)).actions.tolist() for radius in (0, 0.2, 0.5)]
    assert rivers == [[1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
    assert solve(instances.machine_replacement()).actions.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]
    nominal = solve(instances.inventory(radius=0)).policy
    assert robust_evaluate(instances.inventory(radius=0.5), nominal).objective == pytest.approx(1.425457872, abs=1e-9)


@pytest.mark.parametrize("support", ["nominal", "full"])
def test_the_chain_has_its_closed_form(support):
    for n, forward, radius, discount in ((6, 0.8, 0.2, 0.9), (3, 0.5, 1.0, 0.7), (1, 1.0, 0.3, 0.99)):
        given = {"n": n, "forward": forward, "radius": radius, "discount": discount, "support": support}
        values = solve(instances.chain_robust(**given), tolerance=1e-10).values
        np.testing.assert_allclose(values, instances.chain_robust_values(**given), atol=1e-10)


def test_pennies_have_their_closed_form_and_randomizing_is_worth_a_quarter():
    solution = solve(instances.pennies(), tolerance=1e-10)
    np.testing.assert_allclose(solution.policy[0], 0.5)
    np.testing.assert_allclose(solution.values, instances.pennies_values(), atol=1e-10)
    assert instances.pennies_values()[0] == pytest.approx(3.5526315789)
    for first in (0.0, 0.3, 1.0):
        policy = np.array([[first, 1 - first], [0.5, 0.5], [0.5, 0.5]])
        np.testing.assert_allclose(robust_evaluate(instances.pennies(), policy).values, instances.pennies_values(first), atol=1e-10)


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
def test_the_two_sides_of_the_saddle_point_meet(rectangularity):
    mdp = instances.garnet_robust(6, 3, 4, 3, rectangularity=rectangularity)
    solution = solve(mdp, tolerance=1e-11)
    saddle = saddle_certificate(mdp, solution.policy, solution.kernel)
    assert -1e-9 <= saddle.gap <= 1e-9
    assert saddle.lower - 1e-9 <= solution.objective <= saddle.upper + 1e-9
    wrong = saddle_certificate(mdp, instances.garnet_policy(6, 3, 3), mdp.nominal)  # still bounds, but apart
    assert wrong.lower + 1e-3 < solution.objective < wrong.upper - 1e-3


@pytest.mark.parametrize("ambiguous", [ambiguity.L1(0.0), ambiguity.SRectangularL1(0.0), ambiguity.Contamination(0.0)])
def test_without_ambiguity_it_is_an_ordinary_mdp(ambiguous):
    garnet = instances.garnet(6, 3, 4)
    robust = RobustMDP.from_mdp(garnet, ambiguous)
    solution = solve(robust, tolerance=1e-10)
    np.testing.assert_allclose(robust.to_rewards(solution.values), solve(garnet, tolerance=1e-10).values, atol=1e-9)


def test_all_contaminated_is_the_worst_of_all_states():
    draws = instances.draw_garnet(5, 3, 3, 1)
    cost = draws.cost[:, :, 0]
    values = solve(RobustMDP(draws.nominal, cost, 0.9, draws.initial, ambiguity.Contamination(1.0)), tolerance=1e-10).values
    np.testing.assert_allclose(values, cost.min(axis=1) + 0.9 * values.max(), atol=1e-8)


def test_sparse_is_dense():
    mdp = instances.garnet_robust(8, 3, 3, 2)
    nominal, cost = sp.csr_array(mdp.nominal.reshape(24, 8)), sp.csr_array((mdp.cost * (mdp.nominal > 0)).reshape(24, 8))
    sparse = RobustMDP(nominal, cost, mdp.discount, mdp.initial, mdp.ambiguity)
    one, two = solve(mdp, tolerance=1e-10), solve(sparse, tolerance=1e-10)
    np.testing.assert_allclose(one.values, two.values, atol=1e-10)
    np.testing.assert_allclose(two.kernel.toarray().reshape(8, 3, 8), one.kernel, atol=1e-12)
    assert saddle_certificate(sparse, two.policy, two.kernel).gap < 1e-8


def test_relabeled_states_and_shifted_costs():
    mdp = instances.garnet_robust(seed=4)
    order = np.random.default_rng(0).permutation(5)
    nominal, cost = (x[np.ix_(order, range(6), order)] for x in (mdp.nominal, mdp.cost))
    other = RobustMDP(nominal, cost + 0.5, mdp.discount, mdp.initial[order], ambiguity.L1(mdp.ambiguity.radius[order]))
    np.testing.assert_allclose(solve(other, tolerance=1e-9).values, solve(mdp, tolerance=1e-9).values[order] + 0.5 / 0.05, atol=1e-8)


def test_gradients_are_finite_differences():
    mdp, policy = instances.garnet_robust(seed=5), instances.garnet_policy(seed=5)
    at = gradients(mdp, policy)
    toward = solve(mdp).policy - policy
    ahead = gradients(mdp, policy + 1e-6 * toward).objective
    assert (ahead - at.objective) / 1e-6 == pytest.approx(np.sum(at.policy * toward), rel=1e-4)
    worst = robust_evaluate(mdp, policy).kernel - mdp.nominal
    ahead = gradients(mdp, policy, mdp.nominal + 1e-6 * worst).objective
    assert (ahead - at.objective) / 1e-6 == pytest.approx(np.sum(at.kernel * worst), rel=1e-4)
    assert np.linalg.norm(at.policy) <= constants(mdp).L_policy
    assert np.linalg.norm(at.kernel) <= constants(mdp).L_kernel
    assert at.occupancy.sum() == pytest.approx(1)


def test_running_out_of_sweeps_is_not_silent():
    solution = solve(instances.chain_robust(), "value_iteration", tolerance=1e-9, max_iterations=3)
    assert not solution.converged
    assert "NOT CONVERGED" in repr(solution)
    exact = instances.chain_robust_values()
    assert np.all(solution.lower <= exact + 1e-12)
    assert np.all(exact <= solution.upper + 1e-12)


@pytest.mark.parametrize("name", ["nonrect_two_kernels", "inventory_param", "twin_pennies"])
def test_sets_that_dynamic_programming_cannot_solve(name):
    mdp = instances.make(name)
    with pytest.raises(TypeError, match="robust dynamic programming needs"):
        solve(mdp)
    with pytest.raises(TypeError, match="robust dynamic programming needs"):
        robust_backup(mdp, np.zeros(mdp.n_states))


def broken(**changes):
    given = {"nominal": np.full((2, 1, 2), 0.5), "cost": np.zeros((2, 1)), "discount": 0.9, "initial": 0, "ambiguity": ambiguity.L1(0.1)}
    return lambda: RobustMDP(**given | changes)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (broken(nominal=[[[0.5, 0.6]], [[1, 0]]]), ValueError, r"^nominal\[0, 0\] sums to 1.1"),
        (broken(nominal=[[[-0.5, 1.5]], [[1, 0]]]), ValueError, r"^nominal\[0, 0, 0\] is -0.5"),
        (broken(nominal=[[[np.nan, 1]], [[1, 0]]]), ValueError, r"^nominal\[0, 0, 0\] is nan"),
        (broken(nominal=np.ones((2, 1))), ValueError, r"^nominal must have shape"),
        (broken(cost=[[0], [np.inf]]), ValueError, r"^cost\[1, 0\] is inf"),
        (broken(cost=np.zeros((1, 2))), ValueError, r"^cost must have shape"),
        (broken(nominal=[[[0.0, 0.0]], [[1, 0]]], ambiguity=ambiguity.KL(0.1)), ValueError, r"^nominal\[0, 0\] sums to 0"),
        (broken(nominal=np.full((2, 1, 2), 0.5 + 1e-7)), ValueError, r"^nominal\[0, 0\] sums to 1"),
        (broken(discount=0), ValueError, r"^discount must lie"),
        (broken(discount=np.nan), ValueError, r"^discount"),
        (broken(initial=[np.nan, 1]), ValueError, r"^initial\[0\] is nan"),
        (broken(initial=[-0.5, 1.5]), ValueError, r"^initial\[0\] is -0.5"),
        (broken(cost=[[0], [np.nan]]), ValueError, r"^cost\[1, 0\] is nan"),
        (broken(ambiguity=ambiguity.SRectangularL1([0.1, 0.2, 0.3])), ValueError, r"^radius must have shape a number or \(2,\)"),
        (broken(ambiguity=ambiguity.WeightedL1(np.ones(3), 0.1)), ValueError, r"^weights must have shape"),
        (broken(ambiguity=ambiguity.Wasserstein(1 - np.eye(3), 0.1)), ValueError, r"^distance must have shape"),
        (broken(ambiguity=ambiguity.FiniteRows(np.full((1, 3, 1, 3), 1 / 3))), ValueError, r"^kernels must have shape"),
        (lambda: solve(broken(ambiguity=ambiguity.Interval([0.4, 0.4], [0.45, 0.45]))()), ValueError, "the set is empty"),
        (lambda: robust_evaluate(instances.inventory_param(), np.full((8, 3), 1 / 3)), TypeError, "robust evaluation needs"),
        (lambda: robust_evaluate(instances.pennies(), [[0.5, 0.5], [1.5, -0.5], [1, 0]]), ValueError, r"^policy\[1, 1\] is -0.5"),
        (lambda: robust_evaluate(instances.pennies(), [[0.5, 0.5], [np.nan, 1], [1, 0]]), ValueError, r"^policy\[1, 0\] is nan"),
        (lambda: robust_evaluate(instances.pennies(), np.full((3, 2), 0.5), tolerance=-1), ValueError, r"^tolerance"),
        (broken(discount=1), ValueError, r"^discount must lie"),
        (broken(initial=[0.5, 0.6]), ValueError, r"^initial sums to"),
        (broken(ambiguity=0.1), TypeError, r"^ambiguity must be a set"),
        (broken(ambiguity=ambiguity.L1(np.ones((3, 1)))), ValueError, r"^radius must have shape"),
        (lambda: RobustMDP.from_mdp(1, ambiguity.L1(0.1)), TypeError, r"^mdp must be a DiscountedMDP"),
        (lambda: robust_evaluate(instances.pennies(), np.full((3, 2), 0.6)), ValueError, r"^policy\[0\] sums to"),
        (lambda: solve(instances.pennies(), "simplex"), ValueError, r"^method must be one of"),
        (lambda: solve(instances.pennies(), tolerance=0), ValueError, r"^tolerance"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("kind", ["rows", "interval", "hull"])
def test_a_nominal_kernel_outside_of_the_set_is_no_answer(kind):
    """The nominal kernel stays in the dear state, which no member does."""
    cheap = np.tile([0.9, 0.1], (2, 1, 1)).reshape(2, 1, 2)
    outside = {
        "rows": ambiguity.FiniteRows(cheap[None]),
        "interval": ambiguity.Interval([0.9, 0.0], [1.0, 0.1]),
        "hull": ambiguity.FiniteSRectangular(cheap[None]),
    }[kind]
    mdp = RobustMDP(np.tile([0.5, 0.5], (2, 1, 1)).reshape(2, 1, 2), [[0.0], [1.0]], 0.9, [0.5, 0.5], outside)
    found, expected = robust_evaluate(mdp, np.ones((2, 1))), np.linalg.solve(np.eye(2) - 0.9 * cheap[:, 0], [0.0, 1.0])
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    np.testing.assert_allclose(found.kernel, cheap, atol=1e-15)
    np.testing.assert_allclose(DRPG().run(mdp, 2)["upper"], mdp.initial @ expected, rtol=1e-12)


def test_rewards_outside_of_the_unit_interval_are_mapped_back():
    mdp = DiscountedMDP(np.full((2, 1, 2), 0.5), [[-20.0], [4.0]], 0.9)
    robust = RobustMDP.from_mdp(mdp, ambiguity.L1(0.0))
    assert robust.cost_range == (0, 1)
    np.testing.assert_allclose(robust.to_rewards(solve(robust, tolerance=1e-10).values), solve(mdp, tolerance=1e-9).values, atol=1e-7)


@pytest.mark.parametrize("kind", [ambiguity.SRectangularKL, ambiguity.SRectangularL2, ambiguity.SRectangularL1])
def test_certificates_hold_for_the_policy_itself(kind):
    """``upper`` bounds the worst case of the policy that is returned, by its own evaluation."""
    for seed in (15, 30, 100, 103, 120, 161, 181, *range(40)):
        rng = np.random.default_rng(seed)
        P, cost = rng.dirichlet(np.full(4, 0.5), (4, 3)), rng.random((4, 3, 4) if seed % 2 else (4, 3))
        mdp = RobustMDP(P, cost, 0.95, 0, kind(rng.uniform(0, 1.5)))
        solution = solve(mdp)
        worst = robust_evaluate(mdp, solution.policy)
        assert solution.converged
        assert np.all(worst.values <= solution.upper + 1e-11)
        assert np.all(worst.values + worst.gap >= solution.lower - 1e-11)
