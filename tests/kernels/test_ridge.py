"""Rank-one ridge updates against NumPy's solve, and what rounding does in a long run."""

import numpy as np

from tabular_rl.kernels.linear.ridge import doubled, quadratic_form, ridge_refresh, ridge_update


def updated(n, d, S, ridge, refresh=0, seed=0):
    rng = np.random.default_rng(seed)
    gram, inverse = ridge * np.eye(d), np.eye(d) / ridge
    moments, weights, direction, work = np.zeros((d, S)), np.zeros((d, S)), np.empty(d), np.empty((d, d))
    logdet = potential = 0.0
    for k, phi in enumerate(rng.dirichlet(np.full(d, 0.5), n)):
        potential += min(1.0, quadratic_form(inverse, phi, phi))
        logdet += ridge_update(phi, rng.integers(S), inverse, weights, gram, moments, direction)
        if refresh and k % refresh == 0:
            ridge_refresh(gram, moments, inverse, weights, work)
    return gram, inverse, moments, weights, logdet, potential


def test_estimates_and_determinant_are_numpys_and_the_potential_is_bounded():
    gram, inverse, moments, weights, logdet, potential = updated(300, 5, 7, 0.5)
    np.testing.assert_allclose(inverse, np.linalg.inv(gram), rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights, np.linalg.solve(gram, moments), rtol=0, atol=1e-12)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(gram / 0.5)[1], rtol=1e-12)
    assert potential <= logdet / np.log(2) <= 5 / np.log(2) * np.log(1 + 300 / (5 * 0.5))


def test_a_hundred_thousand_updates_do_not_drift():
    gram, inverse, moments, weights, _, _ = updated(100_000, 15, 4, 1.0)
    assert np.abs(gram @ inverse - np.eye(15)).max() < 1e-10
    assert np.abs(weights - np.linalg.solve(gram, moments)).max() < 1e-12


def test_a_refresh_restores_what_rounding_took():
    gram, inverse, moments, weights, _, _ = updated(2000, 6, 3, 1e-6, refresh=512)
    assert np.abs(gram @ inverse - np.eye(6)).max() < 1e-8
    assert np.abs(weights - np.linalg.solve(gram, moments)).max() < 1e-8
    spoiled = inverse + 1e-3
    ridge_refresh(gram, moments, spoiled, weights, np.empty((6, 6)))
    assert np.abs(gram @ spoiled - np.eye(6)).max() < 1e-10
    assert (spoiled == spoiled.T).all()


def test_doubling_of_any_step_counts():
    assert doubled(np.array([0.0, np.log(2)]), np.zeros(2))
    assert not doubled(np.array([0.3, 0.6]), np.zeros(2))
