"""Follow the regularized leader on the simplex: against cvxpy, the KKT conditions and 50 digits, on stressed inputs."""

import math
from decimal import Decimal, localcontext

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl.kernels.ftrl import LOG_BARRIER, SHANNON, TSALLIS, leader, local_norm, stability

REGULARIZERS = (TSALLIS, SHANNON, LOG_BARRIER)
regularizers = pytest.mark.parametrize("regularizer", REGULARIZERS, ids=("tsallis", "shannon", "log_barrier"))
newton = pytest.mark.parametrize("regularizer", [TSALLIS, LOG_BARRIER], ids=("tsallis", "log_barrier"))


def solve(regularizer, cumulative, beta, z=0.0):
    x = np.full(len(cumulative), np.nan)
    z, steps = leader(regularizer, np.asarray(cumulative, float), beta, z, x)
    return x, z, steps


def stress(count, seed):
    """Problems (cumulative, beta): up to 19 actions, distances from 1e-8 to 1e12, beta from 1e-6 to 1e8, the least loss anywhere."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        A = int(rng.integers(1, 20))
        spread = 10 ** rng.uniform(-8, 12) * rng.random(A) ** rng.choice([1, 4, 20])
        yield spread + rng.choice([0.0, -1e4, 1e7, rng.normal()]), 10 ** rng.uniform(-6, 8)


def gradient(regularizer, x):
    return np.log(x) if regularizer == SHANNON else -1 / (np.sqrt(x) if regularizer == TSALLIS else x)


@regularizers
def test_the_minimizer_is_that_of_cvxpy(regularizer):
    rng = np.random.default_rng(0)
    for _ in range(12):
        losses, beta, x = rng.normal(size=4) * 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-0.5, 1), cp.Variable(4)
        psi = (-2 * cp.sum(cp.sqrt(x)), -cp.sum(cp.entr(x)), -cp.sum(cp.log(x)))[regularizer]
        cp.Problem(cp.Minimize(losses @ x + beta * psi), [cp.sum(x) == 1]).solve(solver=cp.CLARABEL)
        np.testing.assert_allclose(solve(regularizer, losses, beta)[0], np.asarray(x.value, float), atol=2e-4)


@regularizers
def test_the_kkt_conditions_hold_on_stressed_problems_within_eight_steps(regularizer):
    most = 0
    for cumulative, beta in stress(4000, 1):
        x, _, steps = solve(regularizer, cumulative, beta)
        most = max(most, steps)
        assert np.all(x > 0)
        assert abs(x.sum() - 1) <= 1e-14
        kept = x > 1e-250  # below, probabilities are held up
        level = (cumulative + beta * gradient(regularizer, x))[kept]
        assert np.ptp(level) <= 1e-9 * (1 + beta) + 1e-12 * np.abs(cumulative).max()
    assert most <= (8 if regularizer != SHANNON else 0)


@newton
def test_a_warm_start_from_anywhere_finds_the_same_point(regularizer):
    rng = np.random.default_rng(2)
    for cumulative, beta in stress(500, 3):
        cold, z, _ = solve(regularizer, cumulative, beta)
        for start in (z, z * 10 ** rng.uniform(-3, 3), np.inf, -1.0):
            warm, _, steps = solve(regularizer, cumulative, beta, start)
            np.testing.assert_allclose(warm, cold, rtol=1e-9)
            assert steps <= 8
        assert solve(regularizer, cumulative, beta, z)[2] <= 1


@newton
def test_the_root_lies_in_the_bracket(regularizer):
    for cumulative, beta in stress(500, 4):
        power = 1 if regularizer == LOG_BARRIER else 0.5
        assert beta * (1 - 1e-12) <= solve(regularizer, cumulative, beta)[1] <= beta * len(cumulative) ** power * (1 + 1e-12)


@regularizers
@pytest.mark.parametrize("level", [0.0, -1e7, 3.7])
def test_equal_losses_give_the_uniform_distribution(regularizer, level):
    for A in (1, 2, 3, 7, 19):
        np.testing.assert_allclose(solve(regularizer, np.full(A, level), 0.3)[0], 1 / A, rtol=1e-15)


@regularizers
def test_a_constant_changes_nothing(regularizer):
    losses = np.random.default_rng(5).integers(-9, 9, 6) / 4.0
    np.testing.assert_array_equal(solve(regularizer, losses, 0.7)[0], solve(regularizer, losses + 2.0**30, 0.7)[0])


@regularizers
def test_stability_is_attained_and_never_exceeded(regularizer):
    rng = np.random.default_rng(6)
    for _ in range(300):
        A, beta = int(rng.integers(1, 9)), 10 ** rng.uniform(-2, 3)
        y = np.maximum(rng.dirichlet(np.full(A, rng.choice([0.05, 0.3, 1, 5]))), 1e-6)
        size = np.array([local_norm(regularizer, p) for p in y])
        w = rng.uniform(-0.9, 3, A)
        losses = w * beta / size
        value = stability(regularizer, y, losses, 1.0, 0.0, beta)
        best = (y / (1 + w) ** 2, y * np.exp(-w), y / (1 + w))[regularizer]

        def gain(x, y=y, losses=losses, beta=beta):
            breg = {
                TSALLIS: lambda: (np.sqrt(x) - np.sqrt(y)) ** 2 / np.sqrt(y),
                SHANNON: lambda: x * np.log(x / y) - x + y,
                LOG_BARRIER: lambda: x / y - 1 - np.log(x / y),
            }[regularizer]()
            return (y - x) @ losses - beta * breg.sum()

        size = np.abs(losses) @ y + beta * A
        assert abs(gain(best) - value) <= 1e-12 * size
        assert all(gain(best * rng.uniform(0.3, 2, A)) <= value + 1e-12 * size for _ in range(5))
        shifted = stability(regularizer, y, losses - 1.5, 1.0, -1.5, beta)
        assert shifted == pytest.approx(value, rel=1e-6, abs=1e-9 * size)


@newton
def test_stability_is_infinite_where_the_local_norm_ends(regularizer):
    assert stability(regularizer, np.array([0.25, 0.75]), np.array([-4.0, 0.0]), 1.0, 0.0, 1.0) == math.inf


@regularizers
def test_small_losses_do_not_cancel(regularizer):
    """Against 50 digits: the closed forms without care have no correct digit at w = 1e-9."""
    y, beta = np.array([0.3, 0.7]), 2.0
    with localcontext() as context:
        context.prec = 50
        for scale in (1e-9, 1e-6, 0.9e-4, 1.1e-4, 1e-2):
            exact = Decimal(0)
            for p, loss in zip(y.tolist(), (scale, -scale / 2), strict=True):
                size = (Decimal(p).sqrt(), Decimal(1), Decimal(p))[regularizer]
                w = size * Decimal(loss) / Decimal(beta)
                phi = (w * w / (1 + w), (-w).exp() - 1 + w, w - (1 + w).ln())[regularizer]
                exact += Decimal(beta) * Decimal(p) / size * phi
            assert stability(regularizer, y, np.array([1.0, -0.5]), scale, 0.0, beta) == pytest.approx(float(exact), rel=1e-7)
