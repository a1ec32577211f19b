"""Robust solvers where nothing is generic: one state, rows of one point, ties, zeros, radii from 0 through the tiniest to the huge."""

import warnings

import numpy as np
import pytest

from tabular_rl import RobustMDP, ambiguity, instances
from tabular_rl.algorithms import DRPG, BestResponses, GradientDescentAscent, RobustMirrorDescent
from tabular_rl.planning import robust_evaluate, solve, worst_case

DISCOUNT = 0.9


def line(S):
    return np.abs(np.subtract.outer(np.arange(S), np.arange(S))).astype(float)


# name: set of (radius, S); all are the nominal kernel at 0 and everything on the support when huge
SETS = {
    "L1": lambda r, S: ambiguity.L1(r),
    "total variation": lambda r, S: ambiguity.TotalVariation(r),
    "weighted L1": lambda r, S: ambiguity.WeightedL1(1 + np.arange(S) % 3, r),
    "L infinity": lambda r, S: ambiguity.LInf(r),
    "L2": lambda r, S: ambiguity.L2(r),
    "ellipsoid": lambda r, S: ambiguity.Ellipsoid(1 + np.arange(S) % 2, r),
    "KL": lambda r, S: ambiguity.KL(r),
    "chi-square": lambda r, S: ambiguity.ChiSquare(r),
    "Wasserstein": lambda r, S: ambiguity.Wasserstein(line(S), r),
    "density ratio": lambda r, S: ambiguity.DensityRatio(1 / (1 + r)),
    "s-rectangular L1": lambda r, S: ambiguity.SRectangularL1(r),
    "s-rectangular KL": lambda r, S: ambiguity.SRectangularKL(r),
    "s-rectangular L2": lambda r, S: ambiguity.SRectangularL2(r),
}


def models():
    """{name: (nominal, cost)}."""
    rng = np.random.default_rng(0)
    point = np.eye(4)[rng.integers(4, size=(4, 2))]
    holes = rng.dirichlet(np.ones(5), (5, 3)) * (rng.random((5, 3, 5)) < 0.5)
    holes[holes.sum(axis=2) == 0, 0] = 1
    holes /= holes.sum(axis=2, keepdims=True)
    tiny = np.tile([1 - 1e-12, 1e-12, 0.0], (3, 2, 1))
    return {
        "one state": (np.ones((1, 1, 1)), np.full((1, 1), 0.5)),
        "rows of one point": (point, rng.random((4, 2))),
        "all costs equal": (rng.dirichlet(np.ones(4), (4, 2)), np.full((4, 2, 4), 0.25)),
        "ties": (holes, np.round(rng.random((5, 3, 5)) * 2) / 2),
        "equal rows": (np.full((4, 2, 4), 0.25), np.tile([[0.0, 1.0]], (4, 1))),
        "tiny probability": (tiny, np.array([[0.0, 1], [1, 1], [0, 0]])),
    }


MODELS = models()


def problem(model, kind, radius):
    nominal, cost = MODELS[model]
    S = len(nominal)
    return RobustMDP(nominal, cost, DISCOUNT, np.full(S, 1 / S), SETS[kind](radius, S))


def iterate(nominal, cost, worst):
    """Values of min over actions, with ``worst`` of the rows (kernel, z), by plain iteration."""
    cost = np.broadcast_to(cost[..., None], nominal.shape) if cost.ndim == 2 else cost
    values = np.zeros(len(nominal))
    for _ in range(400):
        values = worst(nominal, cost + DISCOUNT * values).min(axis=1)
    return values


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", SETS)
def test_no_radius_and_every_radius(model, kind):
    nominal, cost = MODELS[model]
    expected = iterate(nominal, cost, lambda P, z: (P * z).sum(axis=2))
    largest = iterate(nominal, cost, lambda P, z: np.where(P > 0, z, -np.inf).max(axis=2))
    found = {}
    for radius in (0.0, 1e-300, 1e-14, 0.2, 1e13 if kind == "density ratio" else 1e3 if kind != "chi-square" else 1e13):
        solution = solve(problem(model, kind, radius), tolerance=1e-7)
        assert solution.converged, (radius, solution)
        assert np.all(solution.lower <= solution.upper)
        np.testing.assert_allclose(solution.policy.sum(axis=1), 1, atol=1e-12)
        again = robust_evaluate(problem(model, kind, radius), solution.policy, tolerance=1e-8)
        assert again.converged
        np.testing.assert_allclose(again.values, solution.values, atol=3e-7)
        found[radius] = solution.values
    values = list(found.values())
    np.testing.assert_allclose(values[0], expected, atol=2e-7)
    np.testing.assert_allclose(values[1], expected, atol=2e-7)
    np.testing.assert_allclose(values[2], expected, atol=2e-5)  # KL and chi-square move like the root of the radius
    np.testing.assert_allclose(values[-1], largest, atol=2e-7)
    assert np.all(np.diff(values, axis=0) >= -2e-7)  # nothing gets cheaper with the radius


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["L1", "KL", "chi-square", "s-rectangular L1"])
def test_learners_run_on_all_of_them(model, kind):
    for radius in (0.0, 0.3, 1e3):
        mdp = problem(model, kind, radius)
        best = solve(mdp, tolerance=1e-8).objective
        learners = [DRPG(), DRPG(inner="nominal"), BestResponses()]
        learners += [RobustMirrorDescent()] if mdp.ambiguity.rectangularity == "sa" else []
        learners += [DRPG("projected"), GradientDescentAscent()] if kind.endswith("L1") else []
        for learner in learners:
            trace = learner.run(mdp, 5)
            assert np.all(np.isfinite(trace["objective"]))
            assert trace.parameters.get("converged", True)
            if "upper" in trace.series:
                assert np.all(trace["upper"] >= best - 1e-7)


def test_an_inner_loop_that_runs_out_says_so():
    mdp, policy = instances.garnet_robust(), instances.garnet_policy()
    short = robust_evaluate(mdp, policy, tolerance=0, max_iterations=1)
    assert not short.converged
    assert short.gap > 0.1
    long = robust_evaluate(mdp, policy, tolerance=0)
    assert long.converged
    assert short.objective <= long.objective <= short.objective + short.gap + 1e-12  # and its certificate holds
    for drpg, problem in (
        (DRPG("projected", tolerance=0, inner_step=1e-4, inner_limit=3), mdp),
        (DRPG(inner_limit=1), mdp),
        (DRPG("parametric", inner_limit=2), instances.inventory_param()),
    ):
        with pytest.warns(UserWarning, match="inner loop ended at inner_limit"):
            trace = drpg.run(problem, 3)
        assert trace.parameters["converged"] is False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DRPG().run(mdp, 3).parameters["converged"] is True


@pytest.mark.parametrize("radius", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("support", ["nominal", "full"])
def test_general_ellipsoids_of_no_size_and_of_every_size(radius, support):
    """1e-150 moves no float; 1e150 holds the simplex, so that the worst row is at the largest z of the support."""
    z, p0 = np.array([0.0, 0.2, 0.5, 0.9]), np.array([0.25, 0.25, 0.5, 0.0])
    matrix = np.array([[214.3, -201.2, -94.2, 1.0], [-201.2, 267.2, 145.4, 0.0], [-94.2, 145.4, 101.1, 0.0], [1.0, 0.0, 0.0, 3.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = worst_case(z, p0, ambiguity.Ellipsoid(matrix, radius, support))
    wanted = p0 if radius < 1 else np.eye(4)[3 if support == "full" else 2]
    np.testing.assert_allclose(found.distribution, wanted, atol=1e-12)
    assert found.value == pytest.approx(wanted @ z, abs=1e-12)
    assert abs(found.gap) <= 1e-12
