"""UOB-FTRL and UOB-REPS: the known polytope at radius 0, the truth inside the set, learning, errors; whole runs of DAPO at radius 0."""

import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DAPO, DelayedOREPS, DelayedUOB, Uniform
from tabular_rl.algorithms.delayed_uob import ConfidencePolytope
from tabular_rl.kernels.flow_projection import mirror_step, reachable_cells
from tabular_rl.planning import occupancy, state_occupancy

MDP = instances.delay_instance(2, 2, 2)
WORLD = losses.stochastic(MDP)
LATE = delays.delayed(WORLD, delays.fixed(3))
RNG = np.random.default_rng(0)


def test_with_radius_0_it_is_the_projection_of_the_known_transition():
    mdp = instances.random_losses(3, 3, 2, seed=4)
    weights, log_q = RNG.normal(size=mdp.shape), np.empty(mdp.shape)
    reachable_cells(mdp.transition.copy(), mdp.initial, log_q)
    mirror_step(mdp.transition.copy(), mdp.initial, weights, log_q, 1e-12, 200)
    q = ConfidencePolytope(mdp.shape, mdp.initial).project(weights, mdp.transition, np.zeros(mdp.transition.shape))
    np.testing.assert_allclose(q, np.exp(log_q), atol=2e-6)


def relative_entropy(q, weights):
    return np.sum(np.where(q > 0, q * (np.log(np.maximum(q, 1e-300)) - weights), 0))


def test_a_set_that_holds_the_truth_holds_its_occupancies_and_larger_sets_come_nearer():
    mdp, weights = instances.random_losses(3, 2, 2, seed=5), RNG.normal(size=(3, 2, 2))
    polytope, estimate = ConfidencePolytope(mdp.shape, mdp.initial), RNG.dirichlet(np.ones(2), mdp.shape)
    error = np.abs(estimate - mdp.transition)
    values = []
    for spare in (0.0, 0.1, 0.5):
        q = polytope.project(weights, estimate, np.minimum(error + spare, 1))
        values.append(relative_entropy(q, weights))
        for _ in range(50):
            other = occupancy(mdp, RNG.dirichlet(np.ones(2), mdp.shape[:2]))
            assert values[-1] <= relative_entropy(other, weights) + 1e-6
        np.testing.assert_allclose(q.sum(axis=(1, 2)), 1, atol=1e-6)
    assert values[0] >= values[1] - 1e-7 >= values[2] - 2e-7
    free = polytope.project(weights, estimate, np.ones(estimate.shape))  # any state may follow any other
    best = np.array([np.log(np.sum(np.exp(weights[h]))) for h in (1, 2)])
    first = np.log(np.sum(np.exp(weights[0][0])))  # the start is state 0
    assert relative_entropy(free, weights) == pytest.approx(-first - best.sum(), abs=1e-5)


@pytest.mark.parametrize("lazy", [True, False])
def test_whole_runs_with_radius_0_are_those_of_the_known_transition(lazy):
    rates = {"learning_rate": 0.05, "exploration": 0.02, "lazy": lazy}
    unknown = DelayedUOB(**rates, confidence_scale=0, prior_visits=1e9).run(LATE, 120, seed=1)
    known = DelayedOREPS(**rates).run(LATE, 120, seed=1)
    np.testing.assert_allclose(unknown["loss"], known["loss"], rtol=1e-4, atol=1e-3)  # the conic accuracy, added up
    visited = state_occupancy(MDP, known.policy) > 1e-6
    np.testing.assert_allclose(unknown.policy[visited], known.policy[visited], atol=1e-3)


@pytest.mark.parametrize("lazy", [True, False])
def test_it_learns(lazy):
    trace = DelayedUOB(lazy=lazy).run(LATE, 300)
    assert trace["regret"][-1] < Uniform().run(WORLD, 300)["regret"][-1]
    assert trace.parameters["epochs"] > 5
    again = DelayedUOB(lazy=lazy).run(LATE, 300)
    np.testing.assert_array_equal(trace["loss"], again["loss"])


@pytest.mark.parametrize("process", [delays.none(), delays.fixed(7), delays.uniform(9)], ids=str)
@pytest.mark.parametrize("batch", ["joint", "sequential"])
def test_dapo_s_whole_runs_with_radius_0_are_those_of_the_known_transition(process, batch):
    mdp = instances.delay_instance()
    problem = delays.delayed(losses.switching(mdp, 200), process)
    known = DAPO("practical", batch=batch).run(problem, 400, seed=2)
    unknown = DAPO("practical", batch=batch, transition="unknown", confidence_scale=0, prior_visits=1e12).run(problem, 400, seed=2)
    np.testing.assert_allclose(unknown["loss"], known["loss"], rtol=1e-7)
    np.testing.assert_allclose(unknown.policy, known.policy, atol=1e-7)
    np.testing.assert_allclose(unknown["uncertainty"], 0, atol=1e-6)
    without = DAPO("practical", batch=batch, transition="unknown", confidence_scale=0).run(problem, 400, seed=2)
    assert np.abs(without["loss"] - known["loss"]).max() > 0.1  # rows never seen keep radius 1


def test_errors():
    with pytest.raises(ValueError, match="H \\* S \\* A <= 30"):
        DelayedUOB().run(instances.delay_instance(4, 4, 2), 5)
    for arguments in ({"learning_rate": 0}, {"exploration": -1}, {"delta": 1}, {"confidence_scale": -1}, {"prior_visits": -1}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            DelayedUOB(**arguments)
    with pytest.raises(TypeError, match="lazy"):
        DelayedUOB(lazy=1)
    with pytest.raises(ValueError, match="prior_visits"):
        DAPO(prior_visits=-1)
