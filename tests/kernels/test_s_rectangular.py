"""One state of an s-rectangular set: the worked instance, the saddle point's own certificate, cvxpy."""

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.kernels.robust import s_rectangular as kernels
from tabular_rl.kernels.robust.sweeps import state_backup, state_evaluation


def optimize(Z, P0, radius):
    """(value, policy [A], worst rows [A, n])."""
    A, n = Z.shape
    policy, p, pointer = np.empty(A), np.empty(A * n), sets.read_only(np.arange(A + 1) * n)
    mass, gain, order, spare = np.empty(A * n), np.empty(A * n), np.empty(A * n, np.int64), np.empty(A * n, np.int64)
    u = kernels.optimise_l1(Z.ravel(), sets.read_only(P0.ravel()), pointer, radius, policy, p, mass, gain, order, spare)
    return u, policy, p.reshape(A, n)


def evaluate(Z, P0, radius, policy):
    """(value, worst rows [A, n]) of a policy."""
    A, n = Z.shape
    p, keys, order = np.empty(A * n), np.empty(A * n), np.empty(A * n, np.int64)
    pointer = sets.read_only(np.arange(A + 1) * n)
    value = kernels.evaluate_l1(Z.ravel(), sets.read_only(P0.ravel()), pointer, radius, policy, p, keys, order)
    return value, p.reshape(A, n)


def instances(count, size):
    for seed in range(count):
        rng = np.random.default_rng([size, seed])
        A, n = rng.integers(1, 5), rng.integers(1, size)
        Z = np.round(rng.random((A, n)) * 10, rng.integers(0, 4)) * 10.0 ** rng.integers(-2, 2)
        P0 = rng.dirichlet(np.full(n, 0.5), A) * (rng.random((A, n)) < 0.7)
        P0[P0.sum(axis=1) == 0] = np.eye(n)[0]
        yield Z, P0 / P0.sum(axis=1, keepdims=True), rng


def scaled(count, size):
    """``instances`` at scales from 1e-14 to 1e14, some with rows of zeros or constants, entries and masses of 1e-300."""
    for index, (Z, P0, rng) in enumerate(instances(count, size)):
        if index % 4 == 1:
            Z, P0 = Z * rng.choice([1, 0, 1e-300], Z.shape), P0 * 10.0 ** -rng.choice([0, 0, 3, 20, 300], P0.shape)
            P0[P0.sum(axis=1) == 0] = np.eye(P0.shape[1])[0]
        if index % 4 == 2:
            Z[0] = Z[0, 0]
        yield Z * 10.0 ** rng.choice([-12, -3, 0, 3, 12]), P0 / P0.sum(axis=1, keepdims=True), rng


def check_rows(p, P0, radius):
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    assert np.abs(p - P0).sum() <= radius + 1e-12 * max(1, radius)


def test_worked_instance():
    Z, P0 = np.array([[1.0, 3, 2, 0], [0, 2, 4, 1]]), np.array([[0.4, 0.1, 0.2, 0.3], [0.5, 0.2, 0.1, 0.2]])
    u, policy, p = optimize(Z, P0, 0.8)
    assert u == pytest.approx(1.7428571429, abs=1e-10)
    np.testing.assert_allclose(policy, [4 / 7, 3 / 7], atol=1e-14)
    np.testing.assert_allclose(np.abs(p - P0).sum(axis=1), [3 / 7, 13 / 35], atol=1e-14)


@pytest.mark.parametrize("size", [7, 60])
def test_the_policy_attains_the_value_and_so_do_the_rows(size):
    for Z, P0, rng in scaled(300, size):
        for radius in (0, 1e-300, 1e-14, 0.1 * rng.random(), rng.random(), 5 * rng.random(), 1e3, 1e300):
            scale = np.abs(Z).max()
            u, policy, p = optimize(Z, P0, radius)
            check_rows(p, P0, radius)
            assert policy.min() >= 0
            assert policy.sum() == pytest.approx(1, abs=1e-12)
            upper, worst = evaluate(Z, P0, radius, policy)
            check_rows(worst, P0, radius)
            assert policy @ (worst * Z).sum(axis=1) == pytest.approx(upper, rel=0, abs=1e-12 * scale)
            lower = (p * Z).sum(axis=1).min()  # of every policy against these rows
            assert -1e-13 * scale <= upper - lower <= 1e-12 * scale
            assert lower - 1e-13 * scale <= u <= upper + 1e-12 * scale


@pytest.mark.parametrize("count", [25, pytest.param(60, marks=pytest.mark.slow)])
def test_values_are_those_of_cvxpy(count):
    for Z, P0, rng in instances(count, 6):
        A, n = Z.shape
        radius, policy = 2 * rng.random(), rng.dirichlet(np.ones(A))
        P, u = cp.Variable((A, n), nonneg=True), cp.Variable()
        ball = [cp.sum(P, axis=1) == 1, cp.sum(cp.abs(P - P0)) <= radius]
        means = cp.sum(cp.multiply(P, Z), axis=1)
        scale = max(1, np.abs(Z).max())
        value = cp.Problem(cp.Maximize(u), [*ball, means >= u]).solve(cp.CLARABEL)
        assert optimize(Z, P0, radius)[0] == pytest.approx(value, abs=1e-5 * scale)
        value = cp.Problem(cp.Maximize(policy @ means), ball).solve(cp.CLARABEL)
        assert evaluate(Z, P0, radius, policy)[0] == pytest.approx(value, abs=1e-5 * scale)


def entropy(p, p0):
    """Without cancellation, and whatever the ratio: sum of p0 ((1 + x) log(1 + x) - x) of x = p / p0 - 1."""
    on = p0 > 0
    x, logarithm = p[on] / p0[on] - 1, np.log(np.maximum(p[on], 5e-324)) - np.log(p0[on])
    small, safe = np.abs(x) < 1e-4, np.clip(x, -1e-4, 1e-4)
    return np.sum(np.where(small, p0[on] * (safe**2 / 2 - safe**3 / 6 + safe**4 / 12), p[on] * logarithm - p[on] + p0[on]))


SMOOTH = {
    "KL": (sets.SRectangularKL, entropy),
    "L2": (sets.SRectangularL2, lambda p, p0: np.linalg.norm(p - p0)),
}


def one_state(kind, Z, P0, radius, policy=None):
    """(value, policy [A], worst rows [A, n]) of a state whose rows are P0, in a model with n states."""
    A, n = Z.shape
    P, cost = np.tile(np.eye(n)[:, None], (1, A, 1)), np.zeros((n, A, n))
    P[0], cost[0] = P0, Z
    ambiguity = SMOOTH[kind][0](np.where(np.arange(n) == 0, radius, 0))
    rows = sets.rows(P, cost, ambiguity)
    work, improved, worst = codes.workspace(rows, ambiguity.code), np.empty(n), np.empty(len(rows.nominal))
    if policy is None:
        policy = np.empty((n, A))
        state_backup(ambiguity.code, rows, 0.5, np.zeros(n), improved, policy, worst, work)
    else:
        policy = np.tile(policy, (n, 1))
        state_evaluation(ambiguity.code, rows, policy, 0.5, np.zeros(n), improved, worst, work)
    return improved[0], policy[0], sets.kernel(rows, worst)[0]


@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_sets_close_their_own_gap(kind):
    for Z, P0, rng in scaled(150, 7):
        for radius in (0, 1e-300, 1e-14, 1e-6, 0.05 * rng.random(), rng.random(), 1e3, 1e300):
            scale = np.abs(Z).max()
            u, policy, p = one_state(kind, Z, P0, radius)
            upper, _, worst = one_state(kind, Z, P0, radius, policy)
            for rows in (p, worst):
                assert rows.min() >= 0
                np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
                assert SMOOTH[kind][1](rows, P0) <= radius + 1e-12 * max(1, radius)
            assert policy.sum() == pytest.approx(1)
            lower = (p * Z).sum(axis=1).min()
            assert u == pytest.approx(lower, rel=0, abs=1e-12 * scale)
            assert -1e-12 * scale <= upper - lower <= 1e-12 * scale


@pytest.mark.parametrize("seed", range(16))
def test_one_policy_against_relative_entropy_in_400_digits(seed):
    """min over l of l budget + sum_a l log E exp(policy_a z_a / l): a bound for every l, no maximizer needed."""
    import mpmath

    rng = np.random.default_rng([seed, 3])
    A, n, budget = 1 + seed % 3, 2 + seed % 4, float(rng.choice([1e-14, 1e-4, 0.1, 0.5, 3]))
    Z = rng.normal(size=(A, n)) * rng.choice([1, 1, 1e-300], (A, n)) * 10.0 ** rng.choice([-12, 0, 12])
    P0 = 10.0 ** -rng.choice([0, 0, 1, 20, 300], (A, n))
    P0, policy = P0 / P0.sum(axis=1, keepdims=True), rng.dirichlet(np.ones(A))
    value, size = one_state("KL", Z, P0, budget, policy)[0], np.abs(Z).max()
    with mpmath.workdps(400):
        rows = [
            [(mpmath.mpf(float(p)), mpmath.mpf(float(w)) * mpmath.mpf(float(x))) for p, x in zip(*r, strict=True)]
            for w, *r in zip(policy, P0, Z, strict=True)
        ]

        def dual(log_l):
            multiplier, total = mpmath.exp(log_l), mpmath.mpf(0)
            for row in rows:
                top = max(x for _, x in row)
                moment = mpmath.fsum(p * mpmath.exp((x - top) / multiplier) for p, x in row) / mpmath.fsum(p for p, _ in row)
                total += top + multiplier * mpmath.log(moment)
            return total + multiplier * budget

        low, high, golden = mpmath.log(size) - 60, mpmath.log(size) + 60, (mpmath.sqrt(5) - 1) / 2
        for _ in range(150):
            left, right = high - golden * (high - low), low + golden * (high - low)
            low, high = (low, right) if dual(left) < dual(right) else (left, high)
        assert abs(float(dual(low) - mpmath.mpf(value))) <= 1e-12 * size


@pytest.mark.parametrize("count", [12, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_values_are_those_of_cvxpy(kind, count):
    for Z, P0, rng in instances(count, 6):
        A, n = Z.shape
        radius, policy, on = rng.uniform(0.01, 1), rng.dirichlet(np.ones(A)), P0 > 0
        P, u = cp.Variable((A, n), nonneg=True), cp.Variable()
        ball = [cp.sum(P, axis=1) == 1, cp.multiply(P, 1.0 * ~on) == 0]
        ball.append(cp.sum(cp.kl_div(P[on], P0[on])) <= radius if kind == "KL" else cp.norm(cp.vec(P - P0, order="C"), 2) <= radius)
        means, scale = cp.sum(cp.multiply(P, Z / np.abs(Z).max()), axis=1), np.abs(Z).max()
        value = cp.Problem(cp.Maximize(u), [*ball, means >= u]).solve(cp.CLARABEL)
        assert one_state(kind, Z, P0, radius)[0] == pytest.approx(scale * value, abs=1e-5 * scale)
        value = cp.Problem(cp.Maximize(policy @ means), ball).solve(cp.CLARABEL)
        assert one_state(kind, Z, P0, radius, policy)[0] == pytest.approx(scale * value, abs=1e-5 * scale)
