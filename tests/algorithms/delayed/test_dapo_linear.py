"""Linear DAPO against tabular DAPO, matrix geometric resampling against its own mean, theorem LIN's numbers, and bad input."""

import itertools

import numpy as np
import pytest

from tabular_rl import LinearMDP, delays, instances, losses
from tabular_rl.algorithms import DAPO, LinearDAPO, Uniform
from tabular_rl.algorithms.delayed.dapo import KAPPA
from tabular_rl.kernels.linear.ridge import add_covariance, invert, quadratic_form, resample_inverse
from tabular_rl.planning import evaluate

MDP = instances.delay_instance()
H, S, A = MDP.shape
INDICATORS = np.eye(S * A).reshape(S, A, S * A)
LINEAR = instances.linear_mdp(S=6, A=3)


@pytest.mark.parametrize("batch", ["joint", "sequential"])
@pytest.mark.parametrize("adapted", [True, False])
@pytest.mark.parametrize("late", [delays.none(), delays.uniform(4), delays.missing(0.2)], ids=lambda late: late.kind)
def test_indicator_features_make_it_tabular(batch, adapted, late):
    problem = delays.delayed(losses.stochastic(MDP), late)
    estimator = "adapted" if adapted else "plain"
    tabular = DAPO("practical", learning_rate=0.05, exploration=0.1, batch=batch, estimator=estimator).run(problem, 300, seed=1)
    numbers = {"learning_rate": 0.05, "exploration": 0.1, "bonus": 0.0, "policy_bonus": tabular.parameters["bonus"]}
    linear = LinearDAPO(INDICATORS, "practical", adapted=adapted, batch=batch, **numbers).run(problem, 300, seed=1)
    np.testing.assert_allclose(linear["loss"], tabular["loss"], rtol=1e-9)
    assert np.abs(tabular.policy - 1 / A).max() > 0.05


def test_covariance_and_its_inverse():
    rng = np.random.default_rng(0)
    phi, weights, policy = rng.random((4, 3, 5)), rng.random(4), rng.dirichlet(np.ones(3), 4)
    matrix = 0.1 * np.eye(5)
    add_covariance(phi, weights, policy, matrix)
    expected = 0.1 * np.eye(5) + np.einsum("s,sa,sai,saj->ij", weights, policy, phi, phi)
    np.testing.assert_allclose(matrix, expected, rtol=1e-13)
    inverse = np.empty((5, 5))
    invert(matrix.copy(), inverse)
    np.testing.assert_allclose(inverse @ expected, np.eye(5), atol=1e-12)
    assert quadratic_form(inverse, phi[0, 0], phi[1, 1]) == pytest.approx(phi[0, 0] @ inverse @ phi[1, 1])


def resampled(draws, gamma, step):
    d = draws.shape[1]
    product, inverse, work = np.eye(d), step * np.eye(d), np.empty(d)
    for phi in draws:
        resample_inverse(np.ascontiguousarray(phi), gamma, step, product, work, inverse)
    return inverse


@pytest.mark.parametrize("N", [1, 3])
def test_resampling_has_the_mean_that_is_claimed(N):
    """E G = M^-1 (I - (I - step M)^(N + 1)), by enumeration of all draws."""
    rng, gamma, step = np.random.default_rng(1), 0.2, 0.5
    support, probability = rng.dirichlet(np.ones(3), 4), rng.dirichlet(np.ones(4))
    mean = np.zeros((3, 3))
    for draws in itertools.product(range(4), repeat=N):
        mean += np.prod(probability[list(draws)]) * resampled(support[list(draws)], gamma, step)
    M = gamma * np.eye(3) + np.einsum("i,ij,ik->jk", probability, support, support)
    expected = np.linalg.inv(M) @ (np.eye(3) - np.linalg.matrix_power(np.eye(3) - step * M, N + 1))
    np.testing.assert_allclose(mean, expected, rtol=1e-12)


def test_resampling_stays_bounded_and_its_bias_vanishes():
    rng, gamma, step, N = np.random.default_rng(2), 0.1, 0.5, 200
    support = rng.dirichlet(np.ones(3), 4)
    M = gamma * np.eye(3) + support.T @ support / 4
    estimates = [resampled(support[rng.integers(4, size=N)], gamma, step) for _ in range(400)]
    assert max(np.linalg.norm(G, 2) for G in estimates) <= step * (N + 1)
    bias = (1 - step * gamma) ** (N + 1) / gamma
    error = np.std(estimates, axis=0).max() / np.sqrt(400)
    assert np.abs(np.mean(estimates, axis=0) - np.linalg.inv(M)).max() <= bias + 5 * error


def test_resampling_learns_like_the_exact_covariance():
    world = losses.stochastic(LINEAR.tabular)
    exact = [LinearDAPO(LINEAR.features, "practical").run(world, 400, seed=s)["regret"][-1] for s in range(12)]
    sampled = [LinearDAPO(LINEAR.features, "practical", covariance="resampling").run(world, 400, seed=s)["regret"][-1] for s in range(12)]
    uniform = Uniform().run(world, 400)["regret"][-1]
    assert np.mean(exact) < 0.8 * uniform
    assert abs(np.mean(sampled) - np.mean(exact)) < 5 * np.hypot(np.std(exact), np.std(sampled)) / np.sqrt(12)


@pytest.mark.parametrize(
    ("K", "late", "mean", "error", "uniform"), [(1000, 0, 205, 6, 567), (4000, 0, 610, 8, 2290), (1000, 50, 431, 6, 567)]
)
def test_regrets_are_those_of_the_experiments(K, late, mean, error, uniform):
    """dapo spec 9.6, within five combined standard errors; the losses are seen without noise, and the uniform policy's regret is exact."""
    mdp = instances.linear_mdp()
    world = losses.recorded(mdp.tabular, instances.loss_tables.linear(mdp.features, 3, K))
    assert Uniform().run(world, K)["regret"][-1] == pytest.approx(uniform, abs=0.6)
    learner = LinearDAPO(mdp.features, "practical")
    ours = [learner.run(delays.delayed(world, delays.fixed(late)), K, seed=s)["regret"][-1] for s in range(8)]
    assert abs(np.mean(ours) - mean) < 5 * np.hypot(np.std(ours, ddof=1) / np.sqrt(8), error)


def test_features_of_every_step_are_as_good_as_one_map_repeated():
    phi = LINEAR.features[0]
    world = losses.stochastic(MDP)
    one, repeated = INDICATORS, np.repeat(INDICATORS[None], H, axis=0)
    runs = [LinearDAPO(features, "practical", learning_rate=0.05).run(world, 100, seed=1)["loss"] for features in (one, repeated)]
    assert np.array_equal(*runs)
    model = LinearMDP(phi, LINEAR.factors, LINEAR.reward)
    np.testing.assert_allclose(model.tabular.transition[2], np.einsum("sad,dt->sat", phi, LINEAR.factors[2]))


def test_theory_preset_minimizes_the_bound_and_says_when_it_is_vacuous():
    plan = delays.schedule(delays.fixed(2).sequence(5000))
    learner = LinearDAPO(LINEAR.features)
    eta, gamma, beta, beta_p = learner.resolve(LINEAR.shape, 5000, plan)
    least = learner.bound(LINEAR.shape, 5000, plan, eta, gamma, beta, beta_p)
    assert beta_p == pytest.approx(beta + 2 * KAPPA * eta * 9)
    for factor in (0.5, 2.0):
        for e, g in ((factor * eta, gamma), (eta, factor * gamma)):
            other = learner.bound(LINEAR.shape, 5000, plan, e, g, *learner._bonuses(3, 3, e, g))
            assert other is None or other >= least * (1 - 1e-12)
    trace = learner.run(delays.delayed(losses.stochastic(LINEAR.tabular), delays.fixed(2)), 200)
    assert trace.parameters["vacuous"]


def test_no_bound_where_the_theorem_says_nothing():
    world = losses.stochastic(LINEAR.tabular)
    for learner in (
        LinearDAPO(LINEAR.features, batch="joint"),
        LinearDAPO(LINEAR.features, adapted=False),
        LinearDAPO(LINEAR.features, bonus=0.0),
        LinearDAPO(LINEAR.features, learning_rate=10.0),
        LinearDAPO(LINEAR.features, covariance="resampling", samples=3),
    ):
        assert learner.run(world, 20).parameters["bound"] is None


def test_a_bound_only_where_action_values_are_linear():
    tables = instances.loss_tables.linear(LINEAR.features, 3, 4)
    curved = np.clip(1 - LINEAR.reward + 0.1 * np.random.default_rng(0).random(LINEAR.shape), 0, 1)
    foreign = instances.random_losses(*LINEAR.shape)
    stochastic = losses.stochastic(LINEAR.tabular)
    covered = {
        stochastic: True,
        losses.recorded(LINEAR.tabular, tables): True,
        losses.drifting(LINEAR.tabular, 50): True,
        losses.stochastic(LINEAR.tabular, curved): False,  # losses that are not linear
        losses.stochastic(foreign, 1 - LINEAR.reward): False,  # moves that are not
        losses.anti_greedy(LINEAR.tabular): False,
        losses.corrupted(LINEAR.tabular, 5): False,
        losses.corrupted(LINEAR.tabular, 0): True,
        losses.block(LINEAR.tabular, 5): False,
    }
    learner = LinearDAPO(LINEAR.features)
    for world, expected in covered.items():
        assert (learner.run(world, 20).parameters["bound"] is not None) == expected, world
    assert not LinearDAPO(LINEAR.features, parameter_norm=0.5).covers(stochastic)
    for policy in np.random.default_rng(1).dirichlet(np.ones(LINEAR.shape[2]), (20, *LINEAR.shape[:2])):  # |theta| <= sqrt(d) H indeed
        q = -evaluate(LINEAR.tabular, policy).q_values + np.arange(3, 0, -1)[:, None, None]
        for h in range(3):
            theta, residual, *_ = np.linalg.lstsq(LINEAR.features[h].reshape(-1, 3), q[h].ravel(), rcond=None)
            assert np.linalg.norm(theta) <= np.sqrt(3) * 3
            assert residual.sum() < 1e-20
    assert LinearDAPO(INDICATORS).covers(losses.stochastic(MDP))  # tables are linear in indicators


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"features": [[1.0]]}, ValueError, "features must have shape"),
        ({"features": 2 * INDICATORS}, ValueError, "expected at most 1"),
        ({"preset": "best"}, ValueError, "preset must be one of"),
        ({"covariance": "known"}, ValueError, "covariance must be one of"),
        ({"learning_rate": 0}, ValueError, "learning_rate must lie in"),
        ({"bonus": -1.0}, ValueError, "bonus must lie in"),
        ({"samples": 0}, ValueError, "samples must be at least 1"),
        ({"adapted": 1}, TypeError, "adapted must be True or False"),
    ],
)
def test_bad_hyper_parameters_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        LinearDAPO(**({"features": INDICATORS} | arguments))


def test_features_of_another_problem_are_refused():
    with pytest.raises(ValueError, match=r"features must have shape \(6, 3, d\) or"):
        LinearDAPO(INDICATORS).run(losses.stochastic(LINEAR.tabular), 10)


# --- the model


def test_a_linear_mdp_is_its_products():
    model = LINEAR.tabular
    assert model.shape == LINEAR.shape == (3, 6, 3)
    np.testing.assert_allclose(model.transition[1, 2, 1], LINEAR.features[1, 2, 1] @ LINEAR.factors[1], rtol=1e-15)


def test_action_values_of_the_instance_are_linear():
    from tabular_rl.planning import evaluate

    policy = np.random.default_rng(0).dirichlet(np.ones(3), (3, 6))
    q_values = (np.arange(3, 0, -1)[:, None, None] - evaluate(LINEAR.tabular, policy).q_values).reshape(3, -1)  # in losses
    for phi, q in zip(LINEAR.features.reshape(3, -1, 3), q_values, strict=True):
        theta, *_ = np.linalg.lstsq(phi, q, rcond=None)
        np.testing.assert_allclose(phi @ theta, q, atol=1e-12)
        assert np.linalg.norm(theta) <= np.sqrt(3) * 3


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"features": 2 * LINEAR.features}, "norm"),
        ({"factors": 2 * LINEAR.factors}, "sums to"),
        ({"factors": -LINEAR.factors}, "expected a probability"),
        ({"reward": np.zeros((2, 6, 3))}, "reward must have shape"),
        ({"initial": 6}, "initial must be a state"),
    ],
)
def test_bad_linear_models_are_refused(changes, match):
    arguments = {"features": LINEAR.features, "factors": LINEAR.factors, "reward": LINEAR.reward} | changes
    with pytest.raises(ValueError, match=match):
        LinearMDP(**arguments)
