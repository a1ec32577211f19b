"""Worst cases over L1 balls: the worked instances, and two implementations that agree."""

import numpy as np
import pytest

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import worst_case_l1 as kernels

Z, P0 = np.array([1.0, 3, 2, 0]), np.array([0.4, 0.1, 0.2, 0.3])


def l1(z, p0, radius, variant="selection"):
    """(value, dual, p) by one of the two implementations."""
    p0 = sets.read_only(p0)  # as the sweeps have it: the same compiled version
    p, order = np.empty(len(z)), np.empty(len(z), np.int64)
    if variant == "selection":
        return *kernels.worst_l1(z, p0, radius, p, order), p
    order = np.argsort(z, kind="stable")
    value, dual = kernels.worst_l1_ordered(z, p0, radius, p, order)
    assert kernels.value_l1_ordered(z, p0, radius, order, z[order[-1]] - z[order]) == pytest.approx(
        value, abs=1e-13 * max(1, np.abs(z).max())
    )
    return value, dual, p


variants = pytest.mark.parametrize("variant", ["selection", "order"])


@variants
def test_worked_instance(variant):
    value, dual, p = l1(Z, P0, 0.4, variant)
    assert (value, dual) == (pytest.approx(1.7, abs=1e-14), 0)
    np.testing.assert_allclose(p, [0.4, 0.3, 0.2, 0.1], atol=1e-15)


@variants
@pytest.mark.parametrize("n", [1, 2, 5, 24, 25, 60, 300])
def test_the_dual_closes_the_gap(variant, n):
    for seed in range(40):
        rng = np.random.default_rng([n, seed])
        z = np.round(rng.normal(size=n) * 5, rng.integers(0, 4)) * 10.0 ** rng.integers(-2, 2)
        p0 = rng.dirichlet(np.full(n, 0.5)) * (rng.random(n) < 0.8)
        p0 = p0 / p0.sum() if p0.sum() > 0 else np.eye(n)[0]
        for radius in (0, 1e-14, 0.01, rng.random(), 2 * rng.random(), 2, 1e3):
            value, dual, p = l1(z, p0, radius, variant)
            size = max(1, np.abs(z).max())
            assert -1e-13 * size <= kernels.dual_l1(z, sets.read_only(p0), radius, dual) - value <= 1e-12 * size
            assert p.min() >= 0
            assert abs(p.sum() - 1) <= 1e-12
            assert np.abs(p - p0).sum() <= radius + 1e-12 * max(1, radius)
            assert p @ z == pytest.approx(value, abs=1e-12 * size)
