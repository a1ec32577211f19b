"""Projections onto ambiguity sets: the variational inequality, idempotence, nonexpansiveness, cvxpy; through the sweep that users see."""

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.kernels.robust.sweeps import backup, project, state_evaluation

S, A = 6, 3
RADII = (0, 1e-14, 0.05, 0.4, 1.3, 1e3)


def balls(radius):
    lower = np.random.default_rng(1).random((S, A, S)) / 10
    return {
        "L1": sets.L1(radius, "full"),
        "L1 nominal": sets.L1(radius),
        "L infinity": sets.LInf(radius, "full"),
        "interval": sets.Interval(lower, lower + 0.2 + min(radius, 1), "full"),
        "density ratio": sets.DensityRatio(1 / (1 + radius)),
        "contamination": sets.Contamination(min(radius, 1)),
        "L2": sets.L2(radius, "full"),
        "L2 nominal": sets.L2(radius),
        "s-rectangular L1": sets.SRectangularL1(radius),
    }


def set_up(name, radius, seed):
    """(ambiguity, rows, workspace, generator) of a model with zeros in its kernel."""
    rng = np.random.default_rng(seed)
    nominal = rng.dirichlet(np.full(S, 0.6), (S, A)) * (rng.random((S, A, S)) < 0.8)
    nominal[nominal.sum(axis=-1) == 0, 0] = 1
    ambiguity = balls(radius)[name]
    rows = sets.rows(nominal / nominal.sum(axis=-1, keepdims=True), np.zeros((S, A, S)), ambiguity)
    return ambiguity, rows, codes.workspace(rows, ambiguity.code), rng


def projected(ambiguity, rows, work, x):
    out = np.empty(len(rows.nominal))
    project(ambiguity.code, rows, x, out, work)
    return out


def support_points(ambiguity, rows, work, direction):
    """The members of the set that are furthest in ``direction`` [entries]: they carry every inequality."""
    rows = rows._replace(cost=sets.read_only(direction))  # as it always is: no other version is compiled
    worst = np.empty(len(rows.nominal))
    if ambiguity.rectangularity == "s":
        state_evaluation(ambiguity.code, rows, np.ones((S, A)), 0.5, np.zeros(S), np.empty(S), worst, work)
    else:
        backup(ambiguity.code, rows, np.arange(S * A), 0.5, np.zeros(S), np.empty(S * A), worst, work)
    return worst


names = pytest.mark.parametrize("name", balls(1))


@names
@pytest.mark.parametrize("radius", RADII)
def test_variational_inequality(name, radius):
    for seed in range(8):
        ambiguity, rows, work, rng = set_up(name, radius, seed)
        x = rows.nominal + rng.normal(size=len(rows.nominal)) * 10.0 ** rng.uniform(-3, 1)
        p = projected(ambiguity, rows, work, x)
        assert p.min() >= 0
        np.testing.assert_allclose(np.add.reduceat(p, rows.pointer[:-1]), 1, atol=1e-12)
        y = support_points(ambiguity, rows, work, x - p)  # maximizes (x - p).y over the whole set
        step = A if ambiguity.rectangularity == "s" else 1
        assert np.add.reduceat((x - p) * (y - p), rows.pointer[:-1:step]).max() <= 1e-11 * max(1, np.abs(x).max())
        # p belongs to the set: its own projection, and not beyond the furthest member in any direction
        np.testing.assert_allclose(projected(ambiguity, rows, work, p), p, atol=1e-12)
        for _ in range(3):
            direction = rng.normal(size=len(p))
            beyond = direction * (p - support_points(ambiguity, rows, work, direction))
            assert np.add.reduceat(beyond, rows.pointer[:-1:step]).max() <= 1e-11


@names
def test_distances_do_not_grow(name):
    for seed in range(30):
        ambiguity, rows, work, rng = set_up(name, rng_radius(seed), seed)
        x, y = rng.normal(size=(2, len(rows.nominal)))
        p, q = projected(ambiguity, rows, work, x), projected(ambiguity, rows, work, y)
        assert np.linalg.norm(p - q) <= np.linalg.norm(x - y) + 1e-12


def rng_radius(seed):
    return 1.5 * np.random.default_rng([seed, 7]).random()


@pytest.mark.parametrize("name", ["L1", "L2", "s-rectangular L1"])
def test_projections_are_those_of_cvxpy(name):
    for seed in range(4):
        ambiguity, rows, work, rng = set_up(name, rng_radius(seed), seed)
        x = rows.nominal + 0.5 * rng.normal(size=len(rows.nominal))
        p, step = projected(ambiguity, rows, work, x), A if ambiguity.rectangularity == "s" else 1
        start, stop = rows.pointer[0], rows.pointer[step]
        ours, y, p0 = p[start:stop], cp.Variable(stop - start, nonneg=True), rows.nominal[start:stop]
        constraints = [cp.sum(y[rows.pointer[r] : rows.pointer[r + 1]]) == 1 for r in range(step)]
        constraints.append(cp.norm(y - p0, 2 if name == "L2" else 1) <= rows.radius[0])
        cp.Problem(cp.Minimize(cp.sum_squares(y - x[start:stop])), constraints).solve(cp.CLARABEL)
        np.testing.assert_allclose(ours, y.value, atol=1e-5)
