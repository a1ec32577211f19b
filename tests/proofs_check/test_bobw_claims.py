"""What the claims of best of both worlds compute with: the solver, the replay, the conditions, controls as in the bobw spec 7.7."""

import math

import numpy as np
import pytest

from proofs_check.claims.adversarial.bobw_bonus import theory
from proofs_check.claims.adversarial.bobw_entropy import entropy_factors
from proofs_check.claims.adversarial.bobw_ftrl import REGULARIZERS, bregman, follow_the_leader, gradient_of_psi, leader, psi, stability
from proofs_check.claims.adversarial.bobw_paths import closed_forms
from proofs_check.claims.adversarial.bobw_replay import Replay, Settings
from proofs_check.claims.adversarial.bobw_sums import clip_bias, clip_growth, inverse_occupancies, occupancies
from proofs_check.claims.adversarial.replaying import switching
from tabular_rl import instances
from tabular_rl.kernels.ftrl import leader as compiled_leader


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_the_leader_is_the_compiled_one_and_meets_the_optimality_conditions(regularizer):
    rng = np.random.default_rng(0)
    for _ in range(50):
        A = int(rng.integers(2, 8))
        cumulative, beta = 10.0 ** rng.uniform(-3, 4) * rng.standard_normal(A), 10.0 ** rng.uniform(-2, 3)
        x, compiled = leader(regularizer, cumulative, beta), np.empty(A)
        compiled_leader(REGULARIZERS.index(regularizer), cumulative, beta, 0.0, compiled)
        np.testing.assert_allclose(x, compiled, atol=1e-12)
        if x.min() > 1e-200:
            slope = cumulative + beta * gradient_of_psi(regularizer, x)
            assert (
                np.ptp(slope) <= 1e-9 * (1 + beta) * (1 + np.abs(gradient_of_psi(regularizer, x)).max()) + 1e-11 * np.abs(cumulative).max()
            )


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_bregman_divergence_is_that_of_psi(regularizer):
    x, y = (np.random.default_rng(seed).dirichlet(np.ones(4)) for seed in (0, 1))
    expected = psi(regularizer, x) - psi(regularizer, y) - gradient_of_psi(regularizer, y) @ (x - y)
    assert bregman(regularizer, x, y) == pytest.approx(expected)


def test_stability_is_infinite_where_the_local_norm_ends():
    y = np.array([0.25, 0.75])
    assert stability("tsallis", y, np.array([-2.0, 0.0]), 1.0) == np.inf
    assert stability("log_barrier", y, np.array([-4.0, 0.0]), 1.0) == np.inf
    assert stability("shannon", y, np.array([-4.0, 0.0]), 1.0) == pytest.approx(0.25 * (math.exp(4) - 5))


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("A", [2, 3])
def test_without_its_stability_the_bound_along_a_path_fails_for_each_regularizer(regularizer, A):
    """The adversary W4 of the bobw spec 7.0: loss 1 on the likeliest action, beta = 1; the log barrier hides it from A = 4 on."""
    run = A, "greedy", np.ones(401), np.zeros((400, A + 1))
    regret, bound, _ = follow_the_leader(run, regularizer)
    assert (regret <= bound).all()
    regret, bound, _ = follow_the_leader(run, regularizer, stable=0.0)
    assert regret.max() > bound.max()


def test_entropy_factors_differ_by_more_than_a_half():
    two = [entropy_factors(np.array([p, 1 - p]), 1.0) for p in np.linspace(1e-4, 0.5, 500)]
    assert max(lhs[2] / rhs[2] for lhs, rhs, _ in two) == pytest.approx(1.707, abs=1e-3)


@pytest.mark.parametrize(("eps", "times"), [(1.0, 9.99), (math.sqrt(2) / 4, 9.39)])
def test_a_rate_that_counts_episodes_fails_by_what_the_spec_says(eps, times):
    visits = np.full(2000, 0.1), False
    lhs, rhs, _ = inverse_occupancies(visits, eps, 400 * eps**2, unit=True)
    assert lhs / rhs == pytest.approx(times, abs=5e-3)
    lhs, rhs, _ = inverse_occupancies(visits, eps, 400 * eps**2)
    assert lhs <= rhs


def test_without_the_clip_rates_explode():
    visits = 2.0 ** -np.arange(1, 41), False
    lhs, rhs = clip_growth(visits, 1.0, 400.0, clip=False)
    assert lhs > 100 * rhs
    lhs, rhs = clip_growth(visits, 1.0, 400.0)
    assert lhs <= rhs


def test_half_the_threshold_attains_what_the_clip_may_hide():
    lhs, rhs, _ = clip_bias(occupancies(100, "half_threshold", 0), 1.0, 1e4)
    assert 0.98 < lhs / rhs <= 1


def test_constants_are_those_of_the_spec():
    c0, eps, N0 = theory("tsallis", 3, 3, 2)
    assert round(N0, 2) == 12403.17
    assert eps == pytest.approx(1 / (4 * c0))
    adversarial, self_bounding = closed_forms((3, 3, 2), 200_000, gap=0.25, reachable=[1, 3, 3])  # about 9e4 and 4e5
    assert adversarial == pytest.approx(9e4, rel=0.06)
    assert self_bounding == pytest.approx(4e5, rel=0.1)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_on_runs_of_theory_no_bonus_exceeds_its_budget_and_every_path_keeps_its_bound(regularizer):
    mdp = instances.gap_instance()
    for seed in range(2):
        replay = Replay(mdp, switching(mdp.reward, 20), 100, Settings(regularizer)).run(np.random.default_rng(seed))
        assert replay.violations == 0
        assert (replay.linear <= replay.paid + 1e-9 * np.abs(replay.paid)).all()
        assert replay.entropy_ratio < 1.4
