"""What the claims of DAPO compute with: the list of all trajectories, the weights, the linear program, the conditions."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from proofs_check.claims.delayed.dapo_confidence import largest_expectation
from proofs_check.claims.delayed.dapo_estimator import estimator_mean, implicit_exploration, importance_weights, trajectories
from proofs_check.claims.delayed.dapo_steps import KAPPA, constants
from proofs_check.claims.delayed.delays import counting, lossy_delays, tie_breaks
from proofs_check.claims.foundations.bonus import dilated_telescoping
from proofs_check.rational import rational
from proofs_check.strategies import MODEL_STYLES, Model, Simplex, episodic, policy
from tabular_rl.kernels.episodic.feedback import delay_weight
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import dilated_bonus, evaluate, occupancy, sample_episodes, state_occupancy


@pytest.mark.parametrize("style", MODEL_STYLES)
@pytest.mark.parametrize(("H", "S", "A"), [(1, 1, 1), (1, 3, 2), (2, 1, 3), (3, 3, 3)])
def test_all_trajectories_have_the_occupancy_and_the_values_of_the_solver(H, S, A, style):
    mdp = episodic(H, S, A, style, 1)
    pi = policy(mdp, "pi", "peaked", 2)
    paths = trajectories(mdp, pi)
    assert paths.probability.shape == ((S * A) ** H,)
    assert paths.probability.sum() == pytest.approx(1)
    visited = occupancy(mdp, pi)
    np.testing.assert_allclose(paths.mean_at(1.0 + 0 * paths.to_go, mdp.shape), visited, atol=1e-14)
    np.testing.assert_allclose(paths.mean_at(paths.to_go, mdp.shape), visited * evaluate(mdp, pi).q_values, atol=1e-14)


def test_all_trajectories_agree_with_sampled_ones():
    mdp = episodic(3, 2, 2, "smooth", 3)
    pi = policy(mdp, "pi", "smooth", 4)
    paths, n = trajectories(mdp, pi), 40_000
    sampled = sample_episodes(mdp, pi, n, seed=0)
    number = (sampled.states * 2 + sampled.actions) @ 4 ** np.arange(2, -1, -1)  # the row of each path in the list
    assert (sampled.states * 2 + sampled.actions == paths.cells[:, number].T).all()
    np.testing.assert_allclose(np.cumsum(sampled.rewards[:, ::-1], axis=1)[:, ::-1].T, paths.to_go[:, number])
    frequency = np.bincount(number, minlength=64) / n
    assert (np.abs(frequency - paths.probability) < 6 * np.sqrt(paths.probability / n) + 6 / n).all()


def test_trajectories_of_fractions_have_probability_exactly_one():
    mdp = episodic(2, 2, 2, "smooth", 0)
    pi = rational(policy(mdp, "pi", "smooth", 0), Simplex())
    paths = trajectories(rational(mdp, Model()), pi)
    assert isinstance(paths.probability[0], Fraction)
    assert paths.probability.sum() == 1


@pytest.mark.parametrize("form", ["adapted", "adapted_joint", "plain", "arrival_only"])
def test_weights_are_those_of_the_kernel(form):
    rng = np.random.default_rng(0)
    q, pi, p = rng.random((2, 3)), rng.dirichlet(np.full(3, 0.3), (2, 3)), rng.dirichlet(np.full(3, 0.3), (2, 3))
    pi[0, 0], p[0, 0] = [1, 0, 0], [0.5, 0, 0.5]
    code = ["adapted", "adapted_joint", "plain", "arrival_only"].index(form)
    kernel = [[[delay_weight(code, q[h, s], pi[h, s, a], p[h, s, a], 0.1) for a in range(3)] for s in range(3)] for h in range(2)]
    np.testing.assert_allclose(importance_weights(q, pi, p, 0.1, form), kernel)


@pytest.mark.parametrize("seed", range(30))
def test_the_vertices_attain_the_optimum_of_the_linear_program(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    estimate, values = rng.dirichlet(np.full(n, 0.5)), rng.uniform(-1, 1, n)
    radius = rng.choice([0.0, 1.0], n) * rng.random(n)
    bounds = np.stack([np.maximum(estimate - radius, 0), np.minimum(estimate + radius, 1)], axis=1)
    found = linprog(-values, A_eq=np.ones((1, n)), b_eq=[1], bounds=bounds, method="highs")
    assert largest_expectation(estimate, radius, values) == pytest.approx(-found.fun, abs=1e-9)


@pytest.mark.parametrize(("H", "gamma"), [(1, 1e-3), (2, 0.1), (3, 1.0), (3, 1e-3), (5, 1e-2)])
def test_learning_rates_meet_the_conditions_and_only_just(H, gamma):
    free, capped = constants(H, gamma, 1e-9), constants(H, gamma, 1.0)
    assert free.eta == 1e-9
    assert max(capped.theta, KAPPA * H * capped.theta) == pytest.approx(1)
    assert capped.beta[0] == pytest.approx(capped.c / gamma * H * ((1 + 1 / H) ** H - 1))


def test_counting_of_a_small_schedule():
    """Three episodes, the first observed last: the other two are processed between its play and its arrival."""
    delays = np.array([2, 0, 0])
    one, other = counting(delays, np.arange(3))
    assert one == other == 2
    assert lossy_delays(4, "none", 1.0, 0).tolist() == [-1] * 4
    assert sorted(tie_breaks(delays, 0)) == [0, 1, 2]


def one_state(losses, pi):
    losses = np.array(losses, float)
    return FiniteHorizonMDP(np.ones((1, 1, len(losses), 1)), losses[None, None], np.ones(1)), np.array([[pi]])


def test_a_ratio_that_has_seen_the_trajectory_is_biased_by_what_the_spec_says():
    mdp, pi = one_state([0.5, 1.0], [0.3, 0.7])
    p = np.array([[[0.6, 0.4]]])
    lhs, rhs, _ = estimator_mean(mdp, pi, p, 0.1, "adapted", policy="after the update")
    assert lhs[0, 0, 0] - rhs[0, 0, 0] == pytest.approx(0.0275, abs=5e-5)


@pytest.mark.parametrize("gamma", [0.05, 0.2])
def test_implicit_exploration_has_no_room_for_twice_the_exponent(gamma):
    """The instance of the dapo spec 5.2: an action of probability gamma, all weight on it, loss 1."""
    mdp, pi = one_state([1.0, 0.0], [gamma, 1 - gamma])
    z = np.array([1.0, 0.0])
    once, twice = (implicit_exploration(mdp, pi, pi, z, gamma, "adapted", factor=factor) for factor in (2, 4))
    assert once[0] <= once[1]
    assert twice[0] > twice[1]
    assert twice[0] == pytest.approx(np.log(1 + gamma * np.expm1(2)))


@pytest.mark.parametrize("small", [0.3, 1e-2, 1e-6])
def test_what_the_adaptation_saves(small):
    """pi = (1 - e, e) and p = (e, 1 - e): the plain sum is about 1 / e, the adapted one 1 / (1 - e)."""
    pi, p = np.array([[[1 - small, small]]]), np.array([[[small, 1 - small]]])
    plain, adapted = (np.sum(p * importance_weights(np.ones((1, 1)), pi, p, 0.0, form)) for form in ("plain", "adapted"))
    assert plain == pytest.approx(small / (1 - small) + (1 - small) / small)
    assert adapted == pytest.approx(1 / (1 - small))


def test_without_dilation_the_bonus_falls_short_by_what_the_spec_says():
    """(1/H) sum over h >= 1 of <q*[h], Bbar[h]>."""
    mdp = episodic(3, 2, 2, "smooth", 0)
    pi, comparator = (policy(mdp, name, "smooth", 0) for name in ("pi", "comparator"))
    b = np.random.default_rng(0).random((3, 2))
    lhs, rhs, _ = dilated_telescoping(mdp, pi, comparator, b, dilation=1)
    missing = np.sum(state_occupancy(mdp, comparator)[1:] * np.sum(pi * dilated_bonus(mdp, pi, b, 1.0), axis=-1)[1:])
    assert lhs - rhs == pytest.approx(missing / 3)
