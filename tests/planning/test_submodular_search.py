"""Searches and prices against the dynamic program over sets; the two-room and forest grids at full size."""

import numpy as np
import pytest

from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.graph import coverage_graph
from tabular_rl.planning.submodular.search import _deterministic_coverage, _priced
from tabular_rl.submodular import Coverage, Entropy, Facility, Mixture, Modular, Truncated


def deterministic(objective, seed, H=4, **keywords):
    """Random successors over the elements of ``objective``."""
    rng = np.random.default_rng(seed)
    return SubmodularMDP(rng.integers(objective.n_elements, size=(objective.n_elements, 3)), 0, objective, H, **keywords)


def objectives(seed, n=6):
    rng = np.random.default_rng(seed)
    weights, sensor = rng.random(8), rng.random((n, 8)) < 0.4
    covered = sensor @ weights
    return [
        Coverage(weights, sensor),
        Coverage(np.ones(8), sensor),
        Facility(rng.random((n, 4)) * (rng.random((n, 4)) < 0.6), rng.random(4)),
        Mixture(0.4, covered + rng.random(n), weights, sensor),
        Modular(rng.random(n)),
        Truncated(rng.integers(-1, 2, n), [1, 2]),
        Entropy(np.eye(n) + 0.3),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_search_that_refused_nothing_is_optimal(seed):
    for objective in objectives(seed):
        mdp = deterministic(objective, seed)
        optimum = planning.history_optimum(mdp).value
        found = planning.truncated_search(mdp, labels=3000)
        assert found.value == pytest.approx(optimum, rel=1e-12)
        assert mdp.value(found.states) == found.value
        assert all(mdp.successors[s, a] == t for s, a, t in zip(found.states, found.actions, found.states[1:], strict=False))
        assert found.upper >= optimum * (1 - 1e-12)
        few = planning.truncated_search(mdp, labels=1)
        assert few.value <= optimum + 1e-12 <= few.upper + 2e-12


@pytest.mark.parametrize("seed", range(4))
def test_random_prices_bound_and_prune_without_losing_the_optimum(seed):
    rng = np.random.default_rng(seed)
    for objective in objectives(seed)[:5]:
        mdp = deterministic(objective, seed)
        optimum = planning.history_optimum(mdp).value
        graph = _deterministic_coverage(mdp)
        prices = rng.random(len(graph.weights)) * graph.weights
        upper = graph.bound(prices)
        assert upper >= optimum - 1e-12
        found = _priced(mdp, graph, prices, upper, planning.truncated_search(mdp, 1), labels=3000)
        assert found.value == pytest.approx(optimum, rel=1e-12)
        assert found.optimal
        best = planning.branch_and_bound(mdp)
        assert best.value == pytest.approx(optimum, rel=1e-12)
        assert best.optimal


def test_labels_that_are_dropped_keep_their_bound():
    mdp = instances.tiny(3, 4, 7, 0, "self", 3)
    optimum = planning.history_optimum(mdp).value
    for labels in (1, 2, 5):
        for found in (planning.priced_search(mdp, labels), planning.branch_and_bound(mdp, labels, root_iterations=20)):
            assert found.value <= optimum + 1e-12
            assert found.upper >= optimum - 1e-12


@pytest.mark.parametrize("changing", [False, True])
def test_prices_bound_stochastic_problems_given_by_rows(changing):
    base = instances.random_problem(4, 2, 3, "coverage", seed=2)
    mdp = SubmodularMDP(base.transition if changing else base.transition[0], base.initial, base.objective, 3)
    found = planning.coverage_prices(mdp, 500)
    optimum, program = planning.history_optimum(mdp).value, planning.coverage_bound(mdp)
    assert optimum <= program.upper <= found.upper * (1 + 1e-8)
    assert found.upper == pytest.approx(program.upper, rel=1e-3)
    assert coverage_graph(mdp).bound(found.prices) == pytest.approx(found.upper, abs=1e-12)


def test_successors_with_slips_are_the_same_problem_as_their_rows():
    mdp = instances.tiny(3, 3, 4, 0.2, "2x2", 5)
    rows = SubmodularMDP(mdp.packed_transition[0], mdp.initial, mdp.objective, mdp.horizon)
    prices = np.random.default_rng(0).random(9) * mdp.objective.weights
    assert coverage_graph(mdp).bound(prices) == pytest.approx(coverage_graph(rows).bound(prices), abs=1e-12)
    assert planning.coverage_bound(mdp).upper == pytest.approx(planning.coverage_bound(rows).upper, abs=1e-8)


def test_time_dependent_elements_and_rewards_that_repeat():
    rng = np.random.default_rng(4)
    mdp = SubmodularMDP(rng.integers(3, size=(3, 2)), 0, Modular(rng.random(4)), 3, elements=rng.integers(-1, 4, (4, 3)))
    assert planning.truncated_search(mdp, 100).value == pytest.approx(planning.history_optimum(mdp).value)
    repeated = SubmodularMDP(rng.integers(3, size=(3, 2)), 0, Modular(rng.random(3)), 3, repeats=True)
    found = planning.truncated_search(repeated, 100)
    assert found.value == pytest.approx(planning.additive_optimum(repeated, repeated.additive_reward)[0])
    assert found.optimal


def test_two_room_is_solved_and_proven():
    found = planning.truncated_search(instances.two_room())
    assert found.value == 68
    assert found.optimal


def test_steiner_collects_everything():
    assert planning.truncated_search(instances.steiner(1), 1).value == 21


@pytest.mark.parametrize(("k", "value"), [(1, 287.322), (3, 308.189)])
def test_forest_with_prices(k, value):
    mdp = instances.gp30(k)
    found = planning.priced_search(mdp)
    assert found.value == pytest.approx(value, abs=1e-3)
    assert found.value >= 0.983 * found.upper
    assert found.upper <= planning.coverage_prices(mdp, 1000).upper + 1e-9


def test_branch_and_bound_proves_the_forest_whose_certificate_leaves_a_gap():
    mdp = instances.gp30(2)
    found = planning.branch_and_bound(mdp, labels=1000)
    assert found.value == pytest.approx(262.678, abs=1e-3)
    assert found.optimal
    assert planning.coverage_prices(mdp).upper > found.value + 1.5


def test_replanning_is_a_policy_and_without_slips_the_plan():
    mdp = instances.tiny(3, 3, 6, 0.2, "self", 2)
    values, states = planning.replan(mdp, 300, seed=1)
    np.testing.assert_allclose(values, mdp.value(states), atol=1e-12)
    optimum = planning.history_optimum(mdp).value
    radius = mdp.objective.weights.sum() * np.sqrt(np.log(2e6) / (2 * 300))  # Hoeffding, false alarms at most 1e-6
    assert abs(values.mean() - optimum) <= radius
    undiscounted = planning.replan(mdp, 3000, seed=1, labels=50, discount=1.0)[0].mean()
    assert planning.replan(mdp, 3000, seed=1, labels=50)[0].mean() > undiscounted  # 0.9995 against 0.96 of the optimum, errors 0.003
    sure = instances.tiny(3, 3, 6, 0, "self", 1)
    assert planning.replan(sure, 1, labels=100)[0][0] == pytest.approx(planning.truncated_search(sure, 100).value)


@pytest.mark.parametrize(
    ("mdp", "match"),
    [
        (instances.random_problem(3, 2, 3), "start"),
        (instances.gap(), "one successor"),
        (instances.tiny(slip=0.1), "deterministic"),
        (deterministic(Entropy(np.eye(3)), 0), "must be a coverage"),
    ],
)
def test_what_has_no_single_history_is_refused(mdp, match):
    with pytest.raises(ValueError, match=match):
        planning.branch_and_bound(mdp)


def test_prices_outside_of_the_weights_are_refused():
    with pytest.raises(ValueError, match=r"prices\[0\]"):
        planning.coverage_prices(instances.tiny(), 10, prices=np.full(9, 5.0))


OPTIMA = {0: 325.90708, 1: 287.32220, 3: 308.18928, 5: 323.63633, 7: 319.11558, 8: 289.16236, 9: 313.55715}


@pytest.mark.slow
@pytest.mark.parametrize("k", OPTIMA)
def test_optima_of_the_forests_are_proven(k):
    found = planning.branch_and_bound(instances.gp30(k))
    assert found.value == pytest.approx(OPTIMA[k], abs=1e-4)
    assert found.optimal
