"""Every worst-case kernel keeps its contract at every radius, on degenerate rows too, and agrees with cvxpy.

The contract, at scales of z from 1e-12 to 1e12: gap <= 1e-12 max |z|, p >= 0 sums to 1 within 1e-12, the ball is left by at most
1e-12 max(1, radius).
"""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabular_rl import ambiguity as sets
from tabular_rl.planning import worst_case

Z, P0 = np.array([1.0, 3, 2, 0]), np.array([0.4, 0.1, 0.2, 0.3])
LINE = np.abs(np.subtract.outer(range(4), range(4))).astype(float)
RADII = (0, 1e-300, 1e-160, 1e-14, 1e-9, 1e-4, 0.1, 0.5, 1, 2, 1e3, 1e6, 1e300)


def weights(rng, n):
    return rng.uniform(0.1, 3, n) if rng.random() < 0.7 else np.ones(n)


def distances(rng, n):
    if rng.random() < 0.5:
        return np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    D = rng.random((n, n)) * (rng.random((n, n)) < 0.9)
    np.fill_diagonal(D, 0)
    return D


def coupling(p, D, p0, radius):
    """p comes from p0 by a plan whose transport cost is at most the radius."""
    T = cp.Variable(D.shape, nonneg=True)
    return [cp.sum(T, axis=1) == p0, cp.sum(T, axis=0) == p, cp.sum(cp.multiply(T, D)) <= radius]


def entropy(p, p0):
    """Without cancellation, and whatever the ratio: sum of p0 ((1 + x) log(1 + x) - x) of x = p / p0 - 1."""
    on = p0 > 0
    x, logarithm = p[on] / p0[on] - 1, np.log(np.maximum(p[on], 5e-324)) - np.log(p0[on])
    small, safe = np.abs(x) < 1e-4, np.clip(x, -1e-4, 1e-4)
    return np.sum(np.where(small, p0[on] * (safe**2 / 2 - safe**3 / 6 + safe**4 / 12), p[on] * logarithm - p[on] + p0[on]))


def intervals(r, n, rng):
    """Boxes around a part of the mass, wide enough for all of it."""
    lower = rng.random() * rng.dirichlet(np.ones(n))
    return sets.Interval(lower, lower + min(r, 1) * rng.random(n) + (1 - lower.sum()) / n, "full")


# name: (set of (radius, n, rng), how far p is outside)
KINDS = {
    "L1": (lambda r, n, g: sets.L1(r, "full"), lambda p, p0, s: np.abs(p - p0).sum() - s.radius),
    "L1 nominal": (lambda r, n, g: sets.L1(r), lambda p, p0, s: np.abs(p - p0).sum() - s.radius),
    "total variation": (lambda r, n, g: sets.TotalVariation(r), lambda p, p0, s: np.abs(p - p0).sum() / 2 - s.radius),
    "weighted L1": (lambda r, n, g: sets.WeightedL1(weights(g, n), r, "full"), lambda p, p0, s: s.weights @ np.abs(p - p0) - s.radius),
    "L infinity": (lambda r, n, g: sets.LInf(r, "full"), lambda p, p0, s: np.abs(p - p0).max() - s.radius),
    "interval": (intervals, lambda p, p0, s: max(np.max(s.lower - p), np.max(p - s.upper))),
    "L2": (lambda r, n, g: sets.L2(r, "full"), lambda p, p0, s: np.linalg.norm(p - p0) - s.radius),
    "L2 nominal": (lambda r, n, g: sets.L2(r), lambda p, p0, s: np.linalg.norm(p - p0) - s.radius),
    "ellipsoid": (
        lambda r, n, g: sets.Ellipsoid(weights(g, n), r, "full"),
        lambda p, p0, s: np.sqrt(np.sum((p - p0) ** 2 / s.matrix)) - s.radius,
    ),
    "KL": (lambda r, n, g: sets.KL(r), lambda p, p0, s: entropy(p, p0) - s.radius),
    "chi-square": (
        lambda r, n, g: sets.ChiSquare(r),
        lambda p, p0, s: np.sum((p - p0)[p0 > 0] ** 2 / p0[p0 > 0]) - s.radius,
    ),
    "Wasserstein": (lambda r, n, g: sets.Wasserstein(distances(g, n), r, "full"), None),
    "Wasserstein nominal": (lambda r, n, g: sets.Wasserstein(distances(g, n), r), None),
    "contamination": (lambda r, n, g: sets.Contamination(min(r, 1)), lambda p, p0, s: np.max((1 - s.fraction) * p0 - p)),
    "density ratio": (lambda r, n, g: sets.DensityRatio(1 / (1 + r)), lambda p, p0, s: np.max(p - p0 / s.level)),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def instance(n, style, seed):
    """(z, p0, rng): ties, zeros, one point, tiny probabilities, near ties, 1e-300 in either, scales from 0.01 to 20."""
    rng = np.random.default_rng([n, seed])
    z = rng.normal(size=n) * 10.0 ** rng.uniform(-2, 1.3)
    p0 = rng.dirichlet(np.full(n, 0.7))
    if style == "ties":
        z = np.round(z / np.abs(z).max() * 2) * rng.uniform(0.1, 10)
    elif style == "constant":
        z[:] = z[0]
    elif style == "near ties":
        z = z[0] + 1e-9 * rng.integers(-2, 3, n) + 1e-15 * rng.normal(size=n)
    elif style == "zeros":
        p0 *= rng.random(n) < 0.6
    elif style == "point":
        p0 = np.zeros(n)
    elif style == "tiny":
        p0 = 10.0 ** -rng.uniform(0, 20, n)
    elif style == "extreme":
        z, p0 = z * rng.choice([1, 1, 0, 1e-300], n), 10.0 ** -rng.choice([0, 0, 3, 16, 20, 100, 300], n)
    elif style == "offset":
        z = 20 + 1e-5 * rng.normal(size=n)
    if p0.sum() == 0:
        p0[rng.integers(n)] = 1
    return z, p0 / p0.sum(), rng


STYLES = ("plain", "ties", "constant", "near ties", "zeros", "point", "tiny", "offset", "extreme")


@kinds
@settings(max_examples=100, deadline=None)
@given(
    n=st.one_of(st.integers(1, 12), st.integers(25, 60)),
    style=st.sampled_from(STYLES),
    radius=st.one_of(st.sampled_from(RADII), st.floats(0, 3)),
    scale=st.sampled_from((1, 1, 2.0**-40, 2.0**-10, 2.0**10, 2.0**40)),
    seed=st.integers(0, 2**16),
)
@example(n=1, style="plain", radius=0.5, scale=1, seed=0)
def test_contract(kind, n, style, radius, scale, seed):
    z, p0, rng = instance(n, style, seed)
    z = scale * z
    make, outside = KINDS[kind]
    ambiguity = make(radius, n, rng)
    result = worst_case(z, p0, ambiguity)
    p, size = result.distribution, np.abs(z).max()
    assert -2e-13 * size <= result.gap <= 1e-12 * size
    assert result.value == pytest.approx(p @ z, abs=1e-12 * size)
    assert p.min() >= 0
    assert abs(p.sum() - 1) <= 1e-12
    if not ambiguity.is_full:
        assert p[p0 == 0].max(initial=0) == 0
    if outside is not None:
        assert outside(p, p0, ambiguity) <= 1e-12 * max(1, radius)


def reference_kl(z, p0, radius):
    """min over l >= 0 of l radius + l log E exp(z / l), in 400 digits: a bound whatever the l."""
    import mpmath

    with mpmath.workdps(400):
        on = p0 > 0
        x, p = [mpmath.mpf(float(v)) for v in z[on]], [mpmath.mpf(float(v)) for v in p0[on]]
        top, mass = max(x), mpmath.fsum(p)
        if max(x) == min(x):
            return top

        def dual(log_l):
            multiplier = mpmath.exp(log_l)
            moment = mpmath.fsum(w * mpmath.exp((v - top) / multiplier) for v, w in zip(x, p, strict=True)) / mass
            return top + multiplier * (radius + mpmath.log(moment))

        low, high = mpmath.log(top - min(x)) - 60 - mpmath.log(max(radius, 1)), mpmath.log(top - min(x)) + 60 - mpmath.log(radius) / 2
        golden = (mpmath.sqrt(5) - 1) / 2
        for _ in range(150):
            left, right = high - golden * (high - low), low + golden * (high - low)
            low, high = (low, right) if dual(left) < dual(right) else (left, high)
        return min(top, dual(low))


@pytest.mark.parametrize("seed", range(24))
def test_kl_balls_against_400_digits(seed):
    """At every scale and radius, masses of 1e-300 at the top: a tilt of 1e150 is the wrong place to start from."""
    z, p0, rng = instance(2 + seed % 4, STYLES[-(seed % 3) - 1] if seed % 4 else "plain", seed)
    z, radius = z / np.abs(z).max() * 10.0 ** rng.choice([-12, 0, 12]), float(rng.choice([1e-300, 1e-14, 1e-4, 0.1, 0.5, 1, 40]))
    result, size = worst_case(z, p0, sets.KL(radius)), np.abs(z).max()
    reference = reference_kl(z, p0, radius)
    assert abs(float(result.value - reference)) <= 2e-12 * size
    assert float(result.bound - reference) >= -1e-13 * size


def test_a_rare_state_is_found_by_the_relative_entropy():
    for mass in (1e-20, 1e-100, 1e-300):
        z, p0 = np.array([0.0, 1.0]), np.array([1 - mass, mass])
        result = worst_case(z, p0, sets.KL(0.5))
        p = result.value  # p log(p / mass) + (1 - p) log(1 - p) = 0.5
        assert p * np.log(p / mass) + (1 - p) * np.log1p(-p) == pytest.approx(0.5, rel=1e-10)
        assert abs(result.gap) <= 1e-12


@kinds
@pytest.mark.parametrize("seed", range(8))
def test_values_scale_with_z(kind, seed):
    z, p0, _ = instance(6 + 20 * (seed % 2), STYLES[seed], seed)
    ambiguity = KINDS[kind][0](0.2, len(z), np.random.default_rng(seed))
    value, size = worst_case(z, p0, ambiguity).value, np.abs(z).max()
    for scale in (2.0**-40, 2.0**40):
        assert worst_case(scale * z, p0, ambiguity).value / scale == pytest.approx(value, rel=0, abs=1e-13 * size)


@pytest.mark.parametrize(
    ("ambiguity", "value"),
    [
        (sets.L1(0.4), 1.7),
        (sets.TotalVariation(0.2), 1.7),
        (sets.WeightedL1([1, 2, 1, 0.5], 0.4), 1.6333333333),
        (sets.LInf(0.15), 1.7),
        (sets.Interval(np.maximum(P0 - 0.15, 0), P0 + 0.15), 1.7),
        (sets.L2(0.3), 1.7708203932),
        (sets.Ellipsoid(np.ones(4), 0.3), 1.7708203932),
        (sets.Ellipsoid(np.eye(4), 0.3), 1.7708203932),
        (sets.Ellipsoid(P0, np.sqrt(1.5)), 2.2022686333),
        (sets.KL(0.1), 1.5345636441),
        (sets.ChiSquare(0.5), 1.7670832032),
        (sets.ChiSquare(1.5), 2.2022686333),
        (sets.Wasserstein(LINE, 0.5), 2.1),
        (sets.Contamination(0.2), 1.48),
        (sets.DensityRatio(0.5), 1.8),
        (sets.FiniteRows(np.stack([P0, P0[::-1], np.eye(4)[0]])[:, None, None]), 1.1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_worked_instances(ambiguity, value):
    result = worst_case(Z, P0, ambiguity)
    assert result.value == pytest.approx(value, abs=1e-10)
    assert abs(result.gap) <= 1e-12


def test_multipliers_of_the_worked_instances():
    assert worst_case(Z, P0, sets.KL(0.1)).dual == pytest.approx(2.21822810, abs=1e-8)
    assert worst_case(Z, P0, sets.WeightedL1([1, 2, 1, 0.5], 0.4)).dual == pytest.approx(4 / 3)
    assert worst_case(Z, P0, sets.Wasserstein(LINE, 0.5)).dual == pytest.approx(2)


PROGRAMS = {
    "L1": lambda p, p0, on, s: [cp.norm1(p - p0) <= s.radius],
    "L1 nominal": lambda p, p0, on, s: [cp.norm1(p - p0) <= s.radius],
    "total variation": lambda p, p0, on, s: [cp.norm1(p - p0) <= 2 * s.radius],
    "weighted L1": lambda p, p0, on, s: [cp.sum(cp.multiply(s.weights, cp.abs(p - p0))) <= s.radius],
    "L infinity": lambda p, p0, on, s: [cp.norm_inf(p - p0) <= s.radius],
    "L2": lambda p, p0, on, s: [cp.norm2(p - p0) <= s.radius],
    "L2 nominal": lambda p, p0, on, s: [cp.norm2(p - p0) <= s.radius],
    "ellipsoid": lambda p, p0, on, s: [cp.norm2(cp.multiply(1 / np.sqrt(s.matrix), p - p0)) <= s.radius],
    "KL": lambda p, p0, on, s: [cp.sum(cp.kl_div(p[on], p0[on])) <= s.radius],
    "chi-square": lambda p, p0, on, s: [cp.sum_squares(cp.multiply(1 / np.sqrt(p0[on]), (p - p0)[on])) <= s.radius],
    "Wasserstein": lambda p, p0, on, s: coupling(p, s.distance, p0, s.radius),
    "Wasserstein nominal": lambda p, p0, on, s: coupling(p, s.distance, p0, s.radius),
    "interval": lambda p, p0, on, s: [p >= s.lower, p <= s.upper],
    "contamination": lambda p, p0, on, s: [p >= (1 - s.fraction) * p0],
    "density ratio": lambda p, p0, on, s: [p <= p0 / s.level],
    "finite rows": lambda p, p0, on, s: [p == cp.Variable(len(s.kernels), nonneg=True) @ s.kernels[:, 0, 0]],
}
FINITE = {"finite rows": lambda r, n, rng: sets.FiniteRows(rng.dirichlet(np.ones(n), (3, 1, 1)))}
compared = pytest.mark.parametrize("kind", PROGRAMS)


def compare_with_cvxpy(kind, seeds):
    for seed in seeds:
        z, p0, rng = instance(2 + seed % 6, "zeros" if seed % 3 == 0 else "plain", seed)
        make = FINITE[kind] if kind in FINITE else KINDS[kind][0]
        ambiguity = make(float(rng.uniform(0.02, 1.2)), len(z), rng)
        p, on = cp.Variable(len(z), nonneg=True), p0 > 0
        constraints = [cp.sum(p) == 1, *PROGRAMS[kind](p, p0, on, ambiguity)]
        if not ambiguity.is_full and not on.all():
            constraints.append(p[~on] == 0)
        scale = np.abs(z).max()
        value = cp.Problem(cp.Maximize((z / scale) @ p), constraints).solve(cp.CLARABEL)
        assert worst_case(z, p0, ambiguity).value == pytest.approx(scale * value, abs=1e-5 * scale)


@compared
def test_values_are_those_of_cvxpy(kind):
    compare_with_cvxpy(kind, range(12))


@pytest.mark.slow
@compared
def test_values_are_those_of_cvxpy_at_length(kind):
    compare_with_cvxpy(kind, range(12, 72))


def test_general_ellipsoids_ask_a_solver_only_where_the_closed_form_leaves_the_simplex():
    root = np.random.default_rng(0).normal(size=(4, 4))
    Q = root @ root.T + 0.1 * np.eye(4)
    for radius, slow in ((0.02, False), (0.7, True)):
        result = worst_case(Z, P0, sets.Ellipsoid(Q, radius))
        assert result.slow == slow
        p = cp.Variable(4, nonneg=True)
        inside = cp.norm2(np.linalg.cholesky(np.linalg.inv(Q)).T @ (p - P0)) <= radius
        assert result.value == pytest.approx(cp.Problem(cp.Maximize(Z @ p), [cp.sum(p) == 1, inside]).solve(cp.CLARABEL), abs=1e-5)
        assert abs(result.gap) <= (1e-6 if slow else 1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1, 1e12])
def test_nothing_gains_on_constant_costs(scale):
    """The nominal row stays, or another one that is a distribution; the worst case is the constant."""
    p0 = np.array([0.4, 0.6])
    for ambiguity in (
        sets.Ellipsoid([[2, 1], [1, 3]], 0.1), sets.Ellipsoid([2, 3], 0.1), sets.L1(0.1), sets.L2(0.1), sets.KL(0.1), sets.ChiSquare(0.1),
        sets.WeightedL1([1, 2], 0.1), sets.LInf(0.1), sets.Wasserstein([[0, 1], [1, 0]], 0.1), sets.Contamination(0.1),
        sets.DensityRatio(0.5),
    ):  # fmt: skip
        result = worst_case([0.3 * scale, 0.3 * scale], p0, ambiguity)
        assert result.value == pytest.approx(0.3 * scale, rel=1e-15)
        assert result.bound == pytest.approx(0.3 * scale, rel=1e-15)
        assert result.distribution.sum() == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("seed", range(40))
def test_general_ellipsoids(seed):
    """Certified at every scale of z and of the matrix, on the support as documented; the same value as cvxpy on the rows themselves."""
    rng = np.random.default_rng(seed)
    n, radius = 2 + seed % 6, (0.05, 0.3, 1, 3, 1e-9, 1e9, 0)[seed % 7]
    root, p0, z = rng.normal(size=(n, n)), rng.dirichlet(np.ones(n)), np.round(rng.normal(size=n), seed % 3)
    Q = root @ root.T + 10.0 ** -rng.integers(0, 5) * np.eye(n)
    if seed % 3 == 0:
        p0[rng.permutation(n)[: n // 2]] = 0
        p0 /= p0.sum()
    support, on = ("nominal", "full")[seed % 2], p0 > 0
    p = cp.Variable(n, nonneg=True)
    rules = [cp.sum(p) == 1, cp.norm2(np.linalg.inv(np.linalg.cholesky(Q)) @ (p - p0)) <= radius]
    if support == "nominal" and not on.all():
        rules.append(p[~on] == 0)
    wanted = cp.Problem(cp.Maximize(z @ p), rules).solve(cp.CLARABEL) if 1e-6 < radius < 1e6 else None
    for of_z, of_matrix in ((1, 1), (1e-12, 1e6), (1e12, 1e-12)):
        result = worst_case(of_z * z, p0, sets.Ellipsoid(of_matrix * Q, radius / np.sqrt(of_matrix), support))
        size, d = of_z * np.abs(z).max(), result.distribution - p0
        assert -1e-12 * size <= result.gap <= 1e-9 * size
        assert result.value == pytest.approx(of_z * z @ result.distribution, rel=0, abs=1e-13 * size)
        assert result.distribution.min() >= 0
        assert result.distribution.sum() == pytest.approx(1, abs=1e-12)
        assert d @ np.linalg.solve(Q, d) <= (radius * (1 + 1e-9) + 1e-14) ** 2
        assert support == "full" or not result.distribution[~on].any()
        if wanted is not None:
            assert result.value == pytest.approx(of_z * wanted, abs=1e-6 * size)


def test_a_general_ellipsoid_with_an_axis_of_the_coordinates_is_the_compiled_one():
    for radius in (0.1, 0.4, 0.8, 5):
        Q = np.diag([1.0, 2, 0.5, 3])
        Q[0, 1] = Q[1, 0] = 1e-14  # no longer diagonal
        general, compiled = worst_case(Z, P0, sets.Ellipsoid(Q, radius)), worst_case(Z, P0, sets.Ellipsoid(np.diag(Q), radius))
        assert general.value == pytest.approx(compiled.value, abs=1e-11)


@pytest.mark.parametrize("matrix", [np.ones((2, 2)), [[1, 2], [2, 4]], [[1e-20, 0.5e-20], [0.5e-20, 0.25e-20]]])
def test_singular_ellipsoids_are_refused(matrix):
    with pytest.raises(ValueError, match="matrix must be positive definite"):
        sets.Ellipsoid(matrix, 0.1)


def test_rewards_are_costs_with_the_other_sign():
    rewards = 1 - Z
    p = cp.Variable(4, nonneg=True)
    least = cp.Problem(cp.Minimize(rewards @ p), [cp.sum(p) == 1, cp.norm1(p - P0) <= 0.4]).solve(cp.CLARABEL)
    assert -worst_case(-rewards, P0, sets.L1(0.4)).value == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sets.L1(-0.1), ValueError, "radius is -0.1, expected a number >= 0"),
        (lambda: sets.L1([[0.1, np.nan]]), ValueError, r"radius\[0, 1\] is nan"),
        (lambda: sets.L1(0.1, support="all"), ValueError, "support must be one of"),
        (lambda: sets.WeightedL1([1, 0.0, 1, 1], 0.1), ValueError, r"weights\[1\] is 0.0, expected a number > 0"),
        (lambda: sets.DensityRatio(0.0), ValueError, r"level is 0.0, expected a number in \(0, 1\]"),
        (lambda: sets.Contamination(1.2), ValueError, "fraction is 1.2"),
        (lambda: sets.Wasserstein(np.ones((2, 3)), 1), ValueError, "distance must be square"),
        (lambda: sets.Wasserstein(np.ones((2, 2)), 1), ValueError, "the diagonal of distance"),
        (lambda: sets.Wasserstein([[0, -1], [1, 0]], 1), ValueError, r"distance\[0, 1\] is -1.0, expected a number >= 0"),
        (lambda: sets.KL(-1), ValueError, "radius is -1"),
        (lambda: sets.SRectangularL1([0.1, -2]), ValueError, r"radius\[1\] is -2"),
        (lambda: sets.L2(np.inf), ValueError, "radius is inf"),
        (lambda: worst_case([1, np.nan, 0, 0], P0, sets.L1(0.2)), ValueError, r"z\[1\] is nan"),
        (lambda: worst_case(Z, [0, 0, 0, 0], sets.KL(0.2)), ValueError, "nominal sums to 0"),
        (lambda: sets.Ellipsoid([[1, 2], [2, 1]], 1), ValueError, "matrix must be positive definite"),
        (lambda: sets.Ellipsoid([[1, 2], [0, 1]], 1), ValueError, "matrix must be symmetric"),
        (lambda: sets.FiniteRows(np.ones((1, 1, 1, 4))), ValueError, r"kernels\[0, 0, 0\] sums to 4"),
        (lambda: worst_case(Z, P0, sets.Interval(0.3 * np.ones(4), np.ones(4))), ValueError, "lower sums to more than 1"),
        (lambda: worst_case(Z, P0, sets.Interval(np.zeros(4), 0.2 * np.ones(4))), ValueError, "upper sums to less than 1"),
        (lambda: worst_case(Z, P0, sets.WeightedL1(np.ones(3), 0.2)), ValueError, r"weights of one row must have shape \(4,\)"),
        (lambda: worst_case(Z, [0.5, 0.6, 0, 0], sets.L1(0.2)), ValueError, "nominal sums to 1.1"),
        (lambda: worst_case(Z, P0, sets.SRectangularL1(0.2)), TypeError, r"must be an \(s,a\)-rectangular set"),
        (lambda: sets.L1([0.1, 0.2]).check_shape(2, 2), ValueError, r"radius must have shape a number or \(2, 2\), got \(2,\)"),
        (lambda: sets.rows(np.ones((1, 1, 1)), np.ones((1, 1)), sets.FiniteKernels(np.ones((1, 1, 1, 1)))), TypeError, "rectangular set"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("seed", range(60))
def test_prices_of_moves_over_hundreds_of_magnitudes(seed):
    """Weights and distances from 1e-250 to 1e250: certified; at 1e-300 the multipliers overflow, and the search still ends."""
    rng = np.random.default_rng(seed)
    n, radius = 2 + seed % 5, float(rng.choice([0, 1e-300, 1e-14, 0.1, 1, 1e3, 1e300]))
    z, p0 = rng.normal(size=n) * 10.0 ** rng.choice([-12, 0, 12]), rng.dirichlet(np.ones(n))
    w, D = 10.0 ** rng.choice([-250, -12, 0, 12, 250], n), rng.random((n, n)) * 10.0 ** rng.choice([-250, -12, 0, 12, 250], (n, n))
    D[rng.random((n, n)) < 0.1] = 0
    np.fill_diagonal(D, 0)
    for ambiguity in (sets.WeightedL1(w, radius, "full"), sets.Wasserstein(D, radius, "full")):
        result, size = worst_case(z, p0, ambiguity), np.abs(z).max()
        assert -2e-13 * size <= result.gap <= 1e-12 * size
        assert result.distribution.min() >= 0
        assert result.distribution.sum() == pytest.approx(1, abs=1e-12)
    for ambiguity in (sets.WeightedL1(np.maximum(1e-60 * w, 1e-305), radius, "full"), sets.Wasserstein(1e-60 * D, radius, "full")):
        assert np.isfinite(worst_case(z, p0, ambiguity).value)
