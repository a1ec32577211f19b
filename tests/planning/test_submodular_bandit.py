"""Bandit routines against enumeration, and against the history-dependent optimum."""

import itertools

import numpy as np
import pytest

from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular import bandit as bandits
from tabular_rl.submodular import Modular


def problem(seed, epsilon=0.3):
    return instances.bandit(3, 3, 5, seed=seed, epsilon=epsilon)


def sub_probabilities(bandit, seed):
    x = np.random.default_rng(seed).dirichlet(np.ones(bandit.shape[1] + 1), bandit.shape[0])
    return x[:, :-1]


def enumerated(bandit, x):
    """Jt by the list of all draws."""
    law = np.einsum("ha,hae->he", x, bandit.distributions)
    law[:, -1] += 1 - x.sum(axis=1)
    n, total = law.shape[1] - 1, 0.0
    for draw in itertools.product(range(n + 1), repeat=len(law)):
        mask = bandit.start
        for e in draw:
            mask |= 1 << e if e < n else 0
        total += np.prod(law[np.arange(len(law)), draw]) * bandit.table[mask]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_are_those_of_all_draws(seed):
    bandit = bandits.bandit_of(problem(seed))
    x = sub_probabilities(bandit, seed)
    assert bandits.relaxed_value(bandit, x) == pytest.approx(enumerated(bandit, x), abs=1e-12)
    g = bandits.relaxed_gradient(bandit, x)
    for h, a in np.ndindex(x.shape):
        with_it, without = x.copy(), x.copy()
        with_it[h], without[h] = np.eye(3)[a], 0
        difference = enumerated(bandit, with_it) - enumerated(bandit, without)
        assert g[h, a] == pytest.approx(difference, abs=1e-12)


def test_policies_of_the_bandit_have_the_same_value_in_the_model():
    mdp = problem(5)
    bandit = bandits.bandit_of(mdp)
    x = np.random.default_rng(0).dirichlet(np.ones(3), 3)
    value = planning.submodular_value(mdp, bandit.policy(x, mdp.n_states))
    assert bandits.relaxed_value(bandit, x) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_guarantees_hold_against_the_history_dependent_optimum(seed):
    mdp = problem(seed)
    bandit, optimum = bandits.bandit_of(mdp), planning.history_optimum(mdp).value
    found = bandits.continuous_greedy(bandit, 100)
    assert found.values[-1] >= found.factor * optimum - found.slack - 1e-12
    assert np.all(np.diff(found.values) >= -1e-12)
    assert bandits.relaxed_value(bandit, bandits.sequential_greedy(bandit)) >= optimum / 2 - 1e-12
    for x in (found.x, bandits.block_stationary(bandit)):
        certificate = bandits.bandit_certificate(bandit, x)
        assert optimum <= certificate.upper + 1e-12
        assert optimum <= 2 * certificate.value + certificate.gap + 1e-12
    assert certificate.gap <= 1e-11


@pytest.mark.parametrize("H", [2, 3, 4])
def test_permutation_is_tight_for_continuous_greedy(H):
    found = bandits.continuous_greedy(bandits.bandit_of(instances.permutation(H)), 4 * H)
    assert found.values[-1] / H == pytest.approx(1 - (1 - 1 / H) ** H)
    np.testing.assert_allclose(found.x, 1 / H)


def test_sequential_greedy_is_exactly_half_on_the_tight_instance():
    laws = np.zeros((2, 2, 2))
    laws[0, 0, 0] = laws[0, 1, 1] = laws[1, :, 0] = 1
    bandit = bandits.bandit_of(instances.bandit(distributions=laws, objective=Modular([1.0, 1.0])))
    x = bandits.sequential_greedy(bandit)
    certificate = bandits.bandit_certificate(bandit, x)
    assert certificate == (1.0, 1.0, 2.0)  # OPT is 2: the online certificate knows it
    np.testing.assert_allclose(bandits.relaxed_gradient(bandit, x)[0], [0, 1])


def test_a_perturbed_bandit_keeps_its_bounds_with_the_error():
    mdp = problem(1)
    rows = 0.97 * mdp.transition + 0.03 * np.random.default_rng(0).dirichlet(np.ones(mdp.n_states), mdp.shape)
    near = SubmodularMDP(rows, mdp.initial, mdp.objective, elements=mdp.elements)
    with pytest.raises(ValueError, match="must not depend on the state"):
        bandits.bandit_of(near)
    bandit, eps = bandits.nearest_bandit(near)
    assert 0 < eps.max() <= 0.03
    optimum = planning.history_optimum(near).value
    x = bandits.block_stationary(bandit)
    assert abs(planning.submodular_value(near, bandit.policy(x, mdp.n_states)) - bandits.relaxed_value(bandit, x)) <= bandit.error
    assert optimum <= bandits.bandit_certificate(bandit, x).upper


def test_a_random_start_that_collects_is_refused():
    mdp = problem(0)
    initial = np.zeros(mdp.n_states)
    initial[1:3] = 0.5
    with pytest.raises(ValueError, match="random start"):
        bandits.bandit_of(SubmodularMDP(mdp.transition, initial, mdp.objective, elements=mdp.elements))
