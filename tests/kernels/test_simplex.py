"""Rows of the simplex: soft maxima and entropies against SciPy, the projection against sorting, KKT conditions and the examples."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from tabular_rl.kernels import simplex


def rows(n, seed):
    rng = np.random.default_rng([n, seed])
    return rng.normal(size=n) * 10.0 ** rng.uniform(-3, 6)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_soft_maxima_are_those_of_scipy(n):
    for seed in range(20):
        x = rows(n, seed)
        p, logs = np.empty(n), np.empty(n)
        simplex.softmax(x, p)
        np.testing.assert_allclose(p, special.softmax(x), rtol=1e-13, atol=0)
        simplex.log_softmax(x, logs, p)
        np.testing.assert_allclose(logs, special.log_softmax(x), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(p, special.softmax(x), rtol=1e-12, atol=0)
        weights = x.copy()
        simplex.floored_softmax(weights, p)
        np.testing.assert_array_equal(weights, np.maximum(x - x.max(), -600))
        assert p.min() > 0
        np.testing.assert_allclose(p, special.softmax(x), atol=1e-200, rtol=1e-13)
        simplex.softmax(x, x)
        np.testing.assert_allclose(x, p, atol=1e-200, rtol=1e-13)


def test_actions_that_do_not_exist_have_probability_zero():
    x, p = np.array([-np.inf, 3.0, 3.0]), np.empty(3)
    for fill in (simplex.softmax, simplex.floored_softmax, simplex.project_simplex):
        fill(x.copy(), p)
        np.testing.assert_array_equal(p, [0, 0.5, 0.5])
    logs = np.empty(3)
    simplex.log_softmax(x, logs, p)
    assert logs[0] == -np.inf
    np.testing.assert_allclose(p, [0, 0.5, 0.5], rtol=1e-15)


def exact_divergence(p, q):
    """sum p log(p / q) - p + q in 40 digits."""
    with localcontext() as context:
        context.prec = 40
        pairs = [(Decimal(float(x)), Decimal(float(y))) for x, y in zip(p, q, strict=True)]
        return float(sum((x * (x / y).ln() if x else x) - x + y for x, y in pairs))


def test_entropies_are_those_of_scipy():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p, q = rng.dirichlet(np.ones(6), 2)
        if seed % 2:
            q = p * (1 + 1e-6 * rng.normal(size=6))
            q /= q.sum()
        p[0] = 0 if seed % 4 == 0 else p[0]
        p /= p.sum()
        assert simplex.entropy(p) == pytest.approx(special.entr(p).sum(), rel=1e-13)
        with np.errstate(divide="ignore"):
            assert simplex.relative_entropy(p, np.log(p), np.log(q)) == pytest.approx(exact_divergence(p, q), rel=1e-8)


def exact_projection(x):
    """By sorting, in fractions."""
    x = [Fraction(float(value)) for value in x]
    total, threshold = Fraction(0), None
    for count, value in enumerate(sorted(x, reverse=True), 1):
        total += value
        if value > (total - 1) / count:
            threshold = (total - 1) / count
    return np.array([float(max(value - threshold, 0)) for value in x])


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_projection_is_that_of_sorted_fractions(n):
    for seed in range(20):
        x = rows(n, seed) if seed % 4 else np.round(rows(n, seed))
        p = np.empty(n)
        simplex.project_simplex(x, p)
        np.testing.assert_allclose(p, exact_projection(x), atol=4e-16 * max(1, min(np.abs(x).max(), 1e3)) * n)
        many = np.stack([x, x[::-1]])
        simplex.project_rows(many)
        np.testing.assert_array_equal(many, [p, p[::-1]] if n < 3 else many)
        np.testing.assert_allclose(many, [p, p[::-1]], atol=1e-12)
