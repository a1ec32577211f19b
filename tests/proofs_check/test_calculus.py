"""Exact arithmetic is a second implementation of the planner: both agree, and it differentiates."""

from fractions import Fraction

import numpy as np
import pytest

from proofs_check import calculus
from proofs_check.calculus import Dual, solve_linear
from proofs_check.rational import RationalMDP, rational, rational_rows
from proofs_check.strategies import discounted, episodic, policy, state_table
from tabular_rl import DiscountedMDP, FiniteHorizonMDP

MODELS = [episodic(H, S, A, style, 3) for H, S, A, style in [(1, 1, 1, "smooth"), (4, 3, 2, "peaked"), (3, 4, 3, "unreachable")]]
MODELS += [discounted(S, A, g, style, 5) for S, A, g, style in [(1, 1, 0.5, "smooth"), (4, 3, 0.9, "tiny"), (3, 2, 0.999, "absorbing")]]


def floats(exact):
    """The model of floats that a RationalMDP describes."""
    arrays = (np.asarray(array, float) for array in (exact.transition, exact.reward))
    initial = np.asarray(exact.initial, float)
    return DiscountedMDP(*arrays, float(exact.discount), initial) if exact.horizon is None else FiniteHorizonMDP(*arrays, initial)


@pytest.mark.parametrize("mdp", MODELS, ids=repr)
def test_fractions_agree_with_the_solvers(mdp):
    exact = RationalMDP.near(mdp)
    pi = rational_rows(policy(mdp, "pi", "smooth", 1))
    model, pi_floats = floats(exact), np.asarray(pi, float)
    for name in ("evaluate", "occupancy", "state_occupancy"):
        function = getattr(calculus, name)
        mine, theirs = function(exact, pi), function(model, pi_floats)
        for one, other in zip(mine, theirs, strict=True) if name == "evaluate" else [(mine, theirs)]:
            np.testing.assert_allclose(np.asarray(one, float), other, rtol=1e-9, atol=1e-9)
    if exact.horizon is not None:
        b = rational(state_table(mdp, 0.0, 1.0, 2), None)
        bonus = calculus.dilated_bonus(exact, pi, b)
        np.testing.assert_allclose(np.asarray(bonus, float), calculus.dilated_bonus(model, pi_floats, np.asarray(b, float)), rtol=1e-12)


def test_rational_rows_sum_to_exactly_one_and_stay_near():
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 100)
    exact = rational_rows(rows)
    assert (exact.sum(axis=1) == 1).all()
    assert (exact >= 0).all()
    assert np.abs(np.asarray(exact, float) - rows).max() < 5 / 64


def test_linear_solve_is_exact():
    rng = np.random.default_rng(1)
    for n in (1, 2, 5):
        matrix, x = (np.array([Fraction(int(k)) for k in rng.integers(-9, 10, shape).flat]).reshape(shape) for shape in ((n, n), n))
        if np.linalg.matrix_rank(matrix.astype(float)) == n:
            assert (solve_linear(matrix, matrix @ x) == x).all()


def test_dual_numbers_differentiate():
    x = Dual(Fraction(3), Fraction(1))
    f = (x * x + 2) / (1 - x) - x
    assert f.value == Fraction(11, -2) - 3
    # f = (x^2 + 2) / (1 - x) - x, f' = (2 x (1 - x) + x^2 + 2) / (1 - x)^2 - 1
    assert f.slope == Fraction(6 * (1 - 3) + 9 + 2, 4) - 1


@pytest.mark.parametrize("style", ["smooth", "deterministic"])  # zeros with a slope must not be skipped in the elimination
def test_derivative_is_the_limit_of_difference_quotients(style):
    mdp = discounted(3, 2, 0.9, "smooth", 2)
    pi, towards = policy(mdp, "pi", style, 1), policy(mdp, "to", "smooth", 2)
    slope = calculus.directional_derivative(mdp, pi, towards - pi)
    step = 1e-6
    value = lambda t: mdp.initial @ calculus.evaluate(mdp, (1 - t) * pi + t * towards).values
    assert slope == pytest.approx((value(step) - value(0)) / step, rel=1e-4)
    exact = RationalMDP.near(mdp)
    rows = rational_rows(pi), rational_rows(towards)
    exact_slope = calculus.directional_derivative(exact, rows[0], rows[1] - rows[0])
    assert isinstance(exact_slope, Fraction)
    float_rows = [np.asarray(array, float) for array in rows]
    assert float(exact_slope) == pytest.approx(
        calculus.directional_derivative(floats(exact), float_rows[0], float_rows[1] - float_rows[0]), rel=1e-9
    )
