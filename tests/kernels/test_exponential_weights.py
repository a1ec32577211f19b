"""Exponential weights in log space against SciPy's softmax, up to inputs where a naive softmax gives NaN."""

import numpy as np
import pytest
from scipy.special import softmax

from tabular_rl.kernels.episodic.episodes import exponential_weights

INPUTS = {
    "zeros": np.zeros((2, 3, 4)),
    "one action": np.full((1, 2, 1), -1e300),
    "small": np.random.default_rng(0).normal(size=(3, 2, 5)),
    "spread": 300 * np.random.default_rng(1).normal(size=(3, 2, 5)),
    "huge and close": 1e6 + np.random.default_rng(2).normal(size=(2, 2, 3)),
    "tiny differences": 1e-12 * np.random.default_rng(3).normal(size=(2, 2, 3)),
    "far above": np.array([[[1e300, 0.0, -1e300]]]),
    "far below": np.array([[[-1e308, -1e308, -1e307]]]),
    "overflow of a naive softmax": np.array([[[800.0, 799.0, 1000.0]]]),
    "ties at the top": np.array([[[5.0, 5.0, -700.0]]]),
}
inputs = pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)


@inputs
def test_it_is_the_softmax(given):
    policy = np.full(given.shape, np.nan)
    exponential_weights(given.copy(), policy)
    np.testing.assert_allclose(policy, softmax(given, axis=-1), rtol=1e-12, atol=1e-250)
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=1e-14)


@inputs
def test_no_probability_is_zero(given):
    policy = np.empty(given.shape)
    exponential_weights(given.copy(), policy)
    assert policy.min() > 1e-262
    assert policy.max() <= 1


@inputs
def test_the_log_weights_are_shifted_and_floored_in_place(given):
    log_weights, policy = given.copy(), np.empty(given.shape)
    exponential_weights(log_weights, policy)
    np.testing.assert_array_equal(log_weights, np.maximum(given - given.max(axis=-1, keepdims=True), -600))
    again = np.empty(given.shape)
    exponential_weights(log_weights, again)
    np.testing.assert_array_equal(again, policy)


def test_a_shift_of_a_row_changes_nothing():
    given = np.random.default_rng(4).integers(-20, 20, size=(2, 3, 4)).astype(float)
    one, two = np.empty(given.shape), np.empty(given.shape)
    exponential_weights(given.copy(), one)
    exponential_weights(given + 2.0**20 * np.arange(6).reshape(2, 3, 1), two)
    np.testing.assert_array_equal(one, two)
