"""Robust sweeps: every kind of set, dense and sparse, full and nominal support, against one row at a time and plain NumPy."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_array

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.kernels.robust import sweeps
from tabular_rl.planning import worst_case

S, A, DISCOUNT = 7, 3, 0.9
RNG = np.random.default_rng(0)
VALUES = RNG.random(S) * 10
FULL = RNG.dirichlet(np.ones(S), (S, A))
HOLES = FULL * (RNG.random((S, A, S)) < 0.5)
HOLES[HOLES.sum(axis=-1) == 0, 2] = 1
HOLES /= HOLES.sum(axis=-1, keepdims=True)
RADIUS = RNG.uniform(0.02, 0.8, (S, A))
DISTANCE = np.abs(np.subtract.outer(np.arange(S), np.arange(S))).astype(float)
COSTS = {"pairs": RNG.random((S, A)), "moves": RNG.random((S, A, S))}
KERNELS = {"dense": FULL, "holes": HOLES, "sparse": csr_array(HOLES.reshape(S * A, S))}
SETS = {
    "nominal": None,
    "L1": sets.L1(RADIUS),
    "L1 full": sets.L1(0.3, "full"),
    "total variation": sets.TotalVariation(RADIUS / 2),
    "weighted L1": sets.WeightedL1(RNG.uniform(0.5, 2, (S, A, S)), RADIUS),
    "L infinity": sets.LInf(RADIUS),
    "interval": sets.Interval(np.zeros(S), np.full((S, A, S), 1.0)),
    "density ratio": sets.DensityRatio(1 - RADIUS),
    "L2": sets.L2(RADIUS),
    "KL": sets.KL(RADIUS),
    "chi-square": sets.ChiSquare(RADIUS),
    "Wasserstein": sets.Wasserstein(DISTANCE, RADIUS),
    "Wasserstein full": sets.Wasserstein(DISTANCE, RADIUS, "full"),
    "contamination": sets.Contamination(RADIUS),
    "ellipsoid": sets.Ellipsoid(RNG.uniform(0.5, 2, S), RADIUS),
    "finite": sets.FiniteRows(RNG.dirichlet(np.ones(S), (4, S, A))),
}


def dense(kernel):
    return kernel.toarray().reshape(S, A, S) if hasattr(kernel, "tocsr") else kernel


def costs(kind, kernel):
    """[S, A], or [S, A, S] as the model stores them beside this kernel; and the same as [S, A, S]."""
    cost = COSTS[kind]
    everywhere = np.broadcast_to(cost[..., None], (S, A, S)) if cost.ndim == 2 else cost
    if cost.ndim == 3 and hasattr(kernel, "tocsr"):
        everywhere = np.where(dense(kernel) > 0, cost, 0)
        return csr_array((cost.reshape(S * A, S)[dense(kernel).reshape(S * A, S) > 0], kernel.indices, kernel.indptr)), everywhere
    return cost, everywhere


def one_row(ambiguity, s, a):
    """The set of the row (s, a) alone."""
    changes = {}
    for field in dataclasses.fields(ambiguity):
        value = getattr(ambiguity, field.name)
        if field.name in ("radius", "level", "fraction") and value.ndim:
            changes[field.name] = value[s, a]
        if field.name in ("weights", "lower", "upper") and value.ndim > 1:
            changes[field.name] = value[s, a]
        if field.name == "kernels":
            changes[field.name] = value[:, s : s + 1, a : a + 1]
    return dataclasses.replace(ambiguity, **changes)


@pytest.mark.parametrize("cost_kind", COSTS)
@pytest.mark.parametrize("kernel_kind", KERNELS)
@pytest.mark.parametrize("name", SETS)
def test_a_sweep_is_the_worst_case_of_every_row(name, kernel_kind, cost_kind):
    ambiguity, kernel = SETS[name], KERNELS[kernel_kind]
    cost, everywhere = costs(cost_kind, kernel)
    rows = sets.rows(kernel, cost, ambiguity)
    code = codes.NOMINAL if ambiguity is None else ambiguity.code
    work, picked = codes.workspace(rows, code), np.arange(S * A)
    q, again, worst = np.empty(S * A), np.full(S * A, np.nan), np.zeros(len(rows.nominal))
    sweeps.backup(code, rows, picked, DISCOUNT, VALUES, q, worst, work)
    sweeps.backup(code, rows, picked[::2].copy(), DISCOUNT, VALUES, again, np.empty(0), work)
    np.testing.assert_allclose(again[::2], q[::2], rtol=1e-12)
    assert np.isnan(again[1::2]).all()
    P, z = sets.kernel(rows, worst), everywhere + DISCOUNT * VALUES
    np.testing.assert_allclose((P * z).sum(axis=-1).ravel(), q, rtol=1e-12)
    np.testing.assert_allclose(sets.kernel(rows, sets.flat(rows, P)), P, atol=0)
    sweeps.expected(rows, worst, picked, DISCOUNT, VALUES, again)
    np.testing.assert_allclose(again, q, rtol=1e-12)
    for s in range(S):
        for a in range(A):
            p0 = dense(kernel)[s, a]
            value = p0 @ z[s, a] if ambiguity is None else worst_case(z[s, a], p0, one_row(ambiguity, s, a)).value
            assert q[s * A + a] == pytest.approx(value, rel=1e-11)


def test_rows_longer_than_any_of_known_length():
    rng = np.random.default_rng(1)
    for branching in range(1, 14):
        kernel = np.zeros((30, 2, 30))
        for row in kernel.reshape(-1, 30):
            row[rng.permutation(30)[:branching]] = rng.dirichlet(np.ones(branching))
        ambiguity, values = sets.L1(rng.random((30, 2))), rng.random(30)
        rows = sets.rows(kernel, np.zeros((30, 2)), ambiguity)
        q, r, worst = np.empty(60), np.empty(60), np.empty(len(rows.nominal))
        for out, array in ((q, np.empty(0)), (r, worst)):
            sweeps.backup(codes.L1, rows, np.arange(60), 0.9, values, out, array, codes.workspace(rows))
        np.testing.assert_allclose(q, r, rtol=1e-13)


def test_greedy_and_average():
    q = np.array([[1.0, 0.5, 0.5], [2.0, 3.0, 2.0]])
    improved, actions = np.empty(2), np.empty(2, np.int64)
    assert sweeps.greedy(q, np.array([0.0, 3.0]), improved, actions) == (-1, 0.5)
    np.testing.assert_array_equal(actions, [1, 0])
    assert sweeps.average(q, np.array([[0.5, 0.5, 0], [0, 1, 0]]), np.zeros(2), improved) == (0.75, 3)
    np.testing.assert_array_equal(improved, [0.75, 3])


@pytest.mark.parametrize("cost_kind", COSTS)
@pytest.mark.parametrize("kernel_kind", KERNELS)
def test_sweeps_over_states(kernel_kind, cost_kind):
    kernel = KERNELS[kernel_kind]
    cost, everywhere = costs(cost_kind, kernel)
    ambiguity = sets.SRectangularL1(RADIUS.sum(axis=1))
    rows = sets.rows(kernel, cost, ambiguity)
    work, policy = codes.workspace(rows, ambiguity.code), np.empty((S, A))
    improved, evaluated, worst = np.empty(S), np.empty(S), np.empty(len(rows.nominal))
    low, high = sweeps.state_backup(ambiguity.code, rows, DISCOUNT, VALUES, improved, policy, worst, work)
    assert (low, high) == ((improved - VALUES).min(), (improved - VALUES).max())
    P = sets.kernel(rows, worst)
    means = (P * (everywhere + DISCOUNT * VALUES)).sum(axis=-1)
    np.testing.assert_allclose(means.min(axis=1), improved, rtol=1e-12)  # the rows are the adversary's best
    sweeps.state_evaluation(ambiguity.code, rows, policy, DISCOUNT, VALUES, evaluated, worst, work)
    np.testing.assert_allclose(evaluated, improved, rtol=1e-12)  # the policy is the agent's
    assert (np.abs(sets.kernel(rows, worst) - dense(kernel)).sum(axis=(1, 2)) <= ambiguity.radius + 1e-12).all()


def test_rows_that_sum_to_one_only_nearly_are_normalized():
    rows = sets.rows(FULL * (1 + 5e-10), COSTS["pairs"], sets.L1(0.1))
    np.testing.assert_allclose(np.add.reduceat(rows.nominal, rows.pointer[:-1]), 1, atol=1e-15)


def test_a_large_sparse_kernel_is_not_unfolded():
    n = 20_000
    kernel = csr_array((np.ones(n), np.arange(n), np.arange(n + 1)))
    with pytest.raises(ValueError, match="full support"):
        sets.rows(kernel, np.zeros((n, 1)), sets.Contamination(0.1))
