"""Delayed O-REPS: its projection against cvxpy, its numbers; its runs are replayed by the claim delayed-oreps.replay."""

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DelayedOREPS
from tabular_rl.kernels.episodic.flow_projection import mirror_step, reachable_cells
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import occupancy

MDP = instances.delay_instance(2, 2, 2)
WORLD = losses.stochastic(MDP, bernoulli=False)
SIZES = [(1, 3, 2), (2, 2, 2), (3, 1, 3), (3, 3, 2), (4, 3, 3), (2, 5, 1)]


def reference(P, initial, weights):
    """The projection of ``weights`` [H, S, A] on the occupancy measures, by an interior point."""
    H, S, A, _ = P.shape
    q = [cp.Variable((S, A), nonneg=True) for _ in range(H)]
    flow = [cp.sum(q[0], axis=1) == initial]
    flow += [cp.sum(q[h + 1], axis=1) == sum(P[h][:, a].T @ q[h][:, a] for a in range(A)) for h in range(H - 1)]
    distance = sum(cp.sum(cp.kl_div(q[h], weights[h])) for h in range(H))
    cp.Problem(cp.Minimize(distance), flow).solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    return np.stack([x.value for x in q])


def frozen(array):
    """Read-only, as models are: the compiled loops are those of a run."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def project(P, initial, log_weights):
    """(q, Newton steps, flow residual) of the compiled projection."""
    log_q, P, initial = np.empty(log_weights.shape), frozen(P), frozen(initial)
    reachable_cells(P, initial, log_q)
    steps, residual = mirror_step(P, initial, log_weights, log_q, 1e-10, 200)
    return np.exp(log_q), steps, residual


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("start", ["state", "distribution"])
def test_projection_is_that_of_the_convex_program(shape, start):
    H, S, A = shape
    rng = np.random.default_rng(sum(shape))
    P = rng.dirichlet(np.full(S, 0.5), (H, S, A))
    initial = np.eye(S)[0] if start == "state" else rng.dirichlet(np.ones(S))
    weights = np.exp(rng.normal(size=shape))
    q, _, residual = project(P, initial, np.log(weights))
    assert residual <= 1e-10
    np.testing.assert_allclose(q, reference(P, initial, weights), atol=2e-5)


def test_projection_leaves_out_what_no_policy_reaches():
    sea = instances.deep_sea(4, horizon=4)
    q, _, residual = project(sea.transition, sea.initial, np.random.default_rng(0).normal(size=sea.shape))
    assert residual <= 1e-10
    np.testing.assert_array_equal(q > 0, occupancy(sea, np.full(sea.shape, 1 / 2)) > 0)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_projection_converges_on_sparse_transitions(scale):
    rng, steps = np.random.default_rng(1), []
    for _ in range(200):
        P = rng.dirichlet(np.full(4, 0.2), (5, 4, 3))
        P[P < 1e-3] = 0
        P /= P.sum(axis=-1, keepdims=True)
        change = -scale * rng.exponential(size=(5, 4, 3))
        q, n, residual = project(P, np.eye(4)[0], change)
        steps.append(n / np.ceil(np.abs(change).max() / 10))  # a large change is made in parts of at most 10
        assert residual <= 1e-10
        np.testing.assert_allclose(q.sum(axis=(1, 2)), 1, rtol=1e-12)
    assert np.mean(steps) < 12


def test_an_occupancy_is_its_own_projection():
    q = occupancy(MDP, np.random.default_rng(0).dirichlet(np.ones(2), (2, 2)))
    log_q = np.log(np.maximum(q, 1e-300))
    log_q[0, 1] = -np.inf  # the start is state 0
    steps, _ = mirror_step(MDP.transition, MDP.initial, np.zeros(q.shape), log_q, 1e-10, 200)
    np.testing.assert_allclose(np.exp(log_q), q, atol=1e-14)
    assert steps == 0


@pytest.mark.parametrize("size", [1.0, 6.0])
def test_steps_add_up(size):
    """Two mirror steps are one with the sum of both: follow the regularized leader, and why long steps may be cut."""
    rng, P = np.random.default_rng(2), instances.random_losses(3, 3, 2).transition
    one, two = -size * rng.exponential(size=(2, 3, 3, 2))
    log_q, initial = np.zeros((3, 3, 2)), frozen(np.full(3, 1 / 3))
    for change in (one, two):
        mirror_step(P, initial, change, log_q, 1e-10, 200)
    assert (np.abs(one).max() > 10) == (size > 1)  # the second case is cut in parts
    np.testing.assert_allclose(np.exp(log_q), project(P, initial, one + two)[0], atol=1e-9)


@pytest.mark.parametrize("d", [0, 10])
def test_the_default_minimizes_the_bound(d):
    trace = DelayedOREPS().run(delays.delayed(WORLD, delays.fixed(d)), 400)
    eta, n, plan = trace.parameters["learning_rate"], 400, delays.schedule(delays.fixed(d).sequence(400))
    q = reference(MDP.transition, MDP.initial, np.ones(MDP.shape))
    entropy = -np.sum(q * np.log(np.maximum(q, 1e-12)))
    bounds = [DelayedOREPS.bound(MDP.shape, n, plan, x * eta, x * eta / 2, entropy) for x in (0.8, 1.0, 1.25)]
    assert bounds[1] < min(bounds[0], bounds[2])
    assert trace.parameters["bound"] == pytest.approx(bounds[1], rel=1e-4)


def test_the_bound_is_given_where_the_theorem_applies():
    late = delays.delayed(WORLD, [3, 2, 1, 0, 0, 0])
    assert DelayedOREPS().run(late, 6).parameters["bound"] is None
    assert DelayedOREPS(batch="sequential").run(late, 6).parameters["bound"] > 0
    assert DelayedOREPS(adapted=False, batch="sequential").run(late, 6).parameters["bound"] is None
    assert DelayedOREPS().run(delays.delayed(WORLD, delays.fixed(2)), 6).parameters["bound"] > 0  # together only at the end


def test_without_delays_all_variants_are_one():
    runs = [
        DelayedOREPS(0.05, 0.1, a, b).run(losses.stochastic(MDP), 300, seed=2)["loss"]
        for a in (True, False)
        for b in ("joint", "sequential")
    ]
    for other in runs[1:]:
        np.testing.assert_allclose(other, runs[0], rtol=1e-12)


def test_huge_steps_go_on_or_warn():
    world = losses.stochastic(FiniteHorizonMDP(instances.random_losses(4, 3, 2).transition, np.zeros((4, 3, 2))))
    trace = DelayedOREPS(5.0, 0.1).run(world, 300)
    assert trace.parameters["flow_residual"] <= 1e-6
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)


@pytest.mark.parametrize("batch", ["joint", "sequential"])
def test_the_regularized_leader_visits_the_same_occupancies(batch):
    problem = delays.delayed(losses.stochastic(instances.delay_instance()), delays.uniform(4))
    mirror, leader = (DelayedOREPS(learning_rate=0.05, batch=batch, lazy=lazy).run(problem, 300, seed=1) for lazy in (False, True))
    np.testing.assert_allclose(leader["loss"], mirror["loss"], rtol=1e-8)
    np.testing.assert_allclose(leader.policy, mirror.policy, atol=1e-7)
    assert np.abs(leader.policy - 0.5).max() > 0.2  # something was learned


def test_the_regularized_leader_is_that_of_the_convex_program():
    """argmin <q, total> + sum q log q / eta is the projection of exp(-eta total)."""
    rng, mdp, eta = np.random.default_rng(0), instances.random_episodic(3, 3, 2, seed=4), 0.3
    total = 5 * rng.random((3, 3, 2))
    q, _, residual = project(mdp.transition, mdp.initial, -eta * total)
    x = [cp.Variable((3, 2), nonneg=True) for _ in range(3)]
    flow = [cp.sum(x[0], axis=1) == mdp.initial]
    flow += [cp.sum(x[h + 1], axis=1) == sum(mdp.transition[h][:, a].T @ x[h][:, a] for a in range(2)) for h in range(2)]
    objective = sum(cp.sum(cp.multiply(x[h], total[h])) - cp.sum(cp.entr(x[h])) / eta for h in range(3))
    cp.Problem(cp.Minimize(objective), flow).solve(solver="CLARABEL")
    np.testing.assert_allclose(q, np.stack([layer.value for layer in x]), atol=2e-5)
    assert residual <= 1e-10
