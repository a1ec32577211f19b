"""The reference itself: feasibility, duality and its errors. It meets the solvers in their own tests."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate, linear_program, occupancy


def test_the_discounted_measure_flows_and_is_that_of_its_policy():
    mdp = instances.random_discounted(5, 3, 0.9, 0)
    program = linear_program(mdp)
    flow = program.occupancy.sum(axis=1) - 0.9 * np.einsum("sa,sat->t", program.occupancy, mdp.transition)
    np.testing.assert_allclose(flow, 0.1 * mdp.initial, atol=1e-8)
    np.testing.assert_allclose(occupancy(mdp, program.policy), program.occupancy, atol=1e-5)
    assert program.value == pytest.approx(mdp.initial @ program.values, rel=1e-6)
    assert program.value == pytest.approx(np.sum(program.occupancy * mdp.reward) / 0.1, rel=1e-6)


def test_the_episodic_measure_flows_and_is_that_of_its_policy():
    mdp = instances.random_episodic(4, 3, 2, 0)
    program = linear_program(mdp)
    np.testing.assert_allclose(program.occupancy[0].sum(axis=1), mdp.initial, atol=1e-8)
    for h in range(3):
        arriving = np.einsum("sa,sat->t", program.occupancy[h], mdp.transition[h])
        np.testing.assert_allclose(program.occupancy[h + 1].sum(axis=1), arriving, atol=1e-8)
    np.testing.assert_allclose(occupancy(mdp, program.policy), program.occupancy, atol=1e-5)
    assert program.value == pytest.approx(mdp.initial @ program.values[0], rel=1e-6)


def test_sparse_models_give_the_same_program():
    dense = instances.garnet(6, 2, 3)
    sparse = DiscountedMDP(csr_array(dense.transition.reshape(12, 6)), dense.reward, dense.discount, dense.initial)
    np.testing.assert_allclose(linear_program(sparse).values, linear_program(dense).values, rtol=1e-6)


def test_another_solver_finds_the_same_value():
    mdp = instances.random_discounted(4, 2, 0.8, 3)
    assert linear_program(mdp, solver="HIGHS").value == pytest.approx(linear_program(mdp).value, rel=1e-7)


def test_where_nothing_goes_the_policy_is_uniform():
    river = instances.river_swim(3, horizon=2)
    program = linear_program(river)
    np.testing.assert_allclose(program.policy[0, 1:], 0.5)
    np.testing.assert_allclose(program.policy.sum(axis=-1), 1)
    assert evaluate(river, program.policy).values.shape == (3, 3)


def test_a_program_without_optimum_is_an_error(monkeypatch):
    import cvxpy

    monkeypatch.setattr(cvxpy.Problem, "status", "infeasible")
    with pytest.raises(RuntimeError, match="ended with status 'infeasible'"):
        linear_program(instances.random_discounted(2, 2, 0.5, 0))
