"""Soft maxima at every temperature against many digits: a large temperature must not multiply the rounding of a logarithm near 0."""

import mpmath
import numpy as np
import pytest

from tabular_rl.instances import robust_linear as instances
from tabular_rl.kernels.linear import robust_induction as kernels
from tabular_rl.planning.robust.linear import performance_difference, robust_linear_evaluate, robust_linear_solve

TEMPERATURES = (5e-324, 1e-300, 1e-12, 1e-3, 1, 1e3, 1e6, 1e12, 1e150, 1e300)


def exact(q, reference, tau):
    """(tau log sum ref exp(q / tau), the maximizer), with rows that sum to 1; 80 digits and those that log(1 + q / tau) cancels."""
    with mpmath.workdps(80 + round(max(np.log10(tau), 0))):
        top, tau = max(q), mpmath.mpf(float(tau))
        weights = [mpmath.mpf(float(r)) * mpmath.exp((mpmath.mpf(float(x)) - float(top)) / tau) for x, r in zip(q, reference, strict=True)]
        total = mpmath.fsum(weights) / mpmath.fsum(mpmath.mpf(float(r)) for r in reference)
        policy = [float(w / mpmath.fsum(weights)) for w in weights]
        return float(float(top) + tau * mpmath.log(total)), policy


@pytest.mark.parametrize("tau", TEMPERATURES)
@pytest.mark.parametrize("size", [1e-12, 1, 1e12])
def test_soft_maximum(tau, size):
    rng = np.random.default_rng(0)
    for case in range(12):
        n = 1 + case % 5
        q, reference = size * np.round(rng.normal(size=n), case % 4), rng.dirichlet(np.ones(n))
        if case % 3 == 1 and n > 1:
            reference[0] = 1e-300
            reference /= reference.sum()
        policy, logs = np.empty(n), np.empty(n)
        value = kernels.soft_maximum(q, np.log(reference), tau, policy, logs)
        wanted, maximizer = exact(q, reference, tau)
        scale, underflow = np.abs(q).max(), 5e-324 * tau  # of q / tau
        assert value == pytest.approx(wanted, rel=1e-14, abs=1e-14 * scale + underflow)
        np.testing.assert_allclose(policy, maximizer, rtol=0, atol=1e-13)
        attained = kernels.regularized_mean(q, policy, logs, np.log(reference), tau)
        assert attained == pytest.approx(value, rel=1e-13, abs=1e-13 * scale + underflow)
        in_place, again = np.log(reference), np.empty(n)
        assert kernels.soft_maximum(q, in_place, tau, again, in_place) == value
        np.testing.assert_array_equal(in_place, logs)
        own = kernels.regularized_mean(q, reference, np.log(reference), np.log(reference), tau)
        assert own == pytest.approx(reference / reference.sum() @ q, rel=1e-13, abs=1e-13 * scale)
        assert own <= value + 1e-14 * scale + underflow


@pytest.mark.parametrize("sigma", TEMPERATURES[1:])
def test_relative_entropy_penalty(sigma):
    """low - sigma log sum w exp((low - v) / sigma) is minus the soft maximum of -v."""
    rng = np.random.default_rng(1)
    for n in range(1, 6):
        values, weights = 5 * rng.random(n), rng.dirichlet(np.ones(n))
        order = np.argsort(values)
        result = kernels.worst_factor(kernels.KL, values, order, weights, 0.0, sigma, np.empty(n))
        assert result == pytest.approx(-exact(-values, weights, sigma)[0], rel=1e-14)


@pytest.mark.parametrize("mdp", [instances.river_swim(0.02, horizon=6), instances.random_linear(6, 3, 4, 4)], ids=["river", "random"])
def test_planners_at_large_temperatures_approach_the_reference_from_above(mdp):
    H, S, A = mdp.shape
    reference = np.random.default_rng(2).dirichlet(np.ones(A), (H, S))
    own = robust_linear_evaluate(mdp, reference, 0.0).values
    for tau in (1e6, 1e9, 1e12, 1e100):
        solution = robust_linear_solve(mdp, tau, reference)
        assert np.all(solution.values >= own - 1e-13)
        np.testing.assert_allclose(solution.values, own, atol=H**3 / tau + 1e-12)
        np.testing.assert_allclose(robust_linear_evaluate(mdp, reference, tau, reference).values, own, atol=1e-13)
        np.testing.assert_allclose(robust_linear_evaluate(mdp, solution.policy, tau, reference).values, solution.values, atol=1e-12)
        low, difference, high = performance_difference(mdp, solution.policy, reference, tau, reference)
        assert low - 1e-11 <= difference <= high + 1e-11
    greedy = robust_linear_solve(mdp, 0.0).values
    np.testing.assert_allclose(robust_linear_solve(mdp, 1e-300, reference).values, greedy, atol=1e-12)
