"""Exact verdicts: rounding passes, anything larger does not, whatever the scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs_check.verdicts import identity, inequality

quick = settings(derandomize=True, deadline=None, max_examples=200)
sizes = st.floats(-100, 100).map(lambda exponent: 10.0**exponent)


@quick
@given(sizes, st.integers(0, 2**16))
def test_sums_in_another_order_are_equal(size, seed):
    terms = size * np.random.default_rng(seed).standard_normal(50)
    total = np.abs(terms).sum()
    assert identity(terms.sum(), terms[::-1].cumsum()[-1], total).violation <= 0
    assert inequality(terms.sum(), terms[::-1].cumsum()[-1], total).violation <= 0


@quick
@given(sizes, st.floats(1e-10, 1.0))
def test_a_relative_difference_of_1e_10_is_a_violation(size, difference):
    assert identity(size, size * (1 + difference)).violation > 0
    assert identity(size * (1 + difference), size).violation > 0
    assert inequality(size * (1 + difference), size).violation > 0
    assert inequality(size, size * (1 + difference)).violation <= 0


def test_one_entry_of_an_array_suffices():
    lhs, rhs = np.zeros((3, 4)), np.ones((3, 4))
    assert inequality(lhs, rhs).violation <= 0
    lhs[1, 2] = 1.1
    assert inequality(lhs, rhs).violation > 0


def test_ratio_is_the_largest_where_both_sides_are_positive():
    assert inequality([1.0, -5.0, 0.5], [2.0, -4.0, 0.5]).ratio == 1.0
    assert inequality([-1.0], [2.0]).ratio == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_sides_that_are_not_finite_are_errors_not_verdicts(bad):
    for kind in (identity, inequality):
        with pytest.raises(FloatingPointError):
            kind(bad, 1.0)
        with pytest.raises(FloatingPointError):
            kind([0.0, 1.0], [0.0, bad])
