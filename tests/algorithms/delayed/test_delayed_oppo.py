"""Delayed OPPO against a slow replay, its theorem's steps by enumeration, its optimistic values against linear programs."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import softmax

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DelayedOPPO
from tabular_rl.algorithms.delayed.oppo import evaluate_optimistic
from tabular_rl.planning import state_occupancy

MDP = instances.delay_instance()
WORLD = losses.stochastic(MDP, bernoulli=False)
H, S, A = MDP.shape


def draw(weights, rng):
    return int(np.searchsorted(np.cumsum(weights), rng.random(), side="right"))


def estimate(mdp, policy, path, path_losses, gamma):
    """Qhat [H, S, A] of one path, by backward recursion."""
    H, S, A = mdp.shape
    q, lhat, result, values = state_occupancy(mdp, policy), np.zeros((H, S, A)), np.zeros((H, S, A)), np.zeros(S)
    for h, (s, a) in enumerate(path):
        lhat[h, s, a] = path_losses[h] / (q[h, s] * policy[h, s, a] + gamma)
    for h in reversed(range(H)):
        result[h] = lhat[h] + mdp.transition[h] @ values
        values = np.sum(policy[h] * result[h], axis=-1)
    return result


def test_run_is_that_of_the_pseudo_code():
    K, means, rng = 60, 1 - MDP.reward, np.random.default_rng(7)
    d = np.random.default_rng(5).integers(-1, 9, K)
    theta, waiting, expected = np.zeros((H, S, A)), [], []
    for k in range(K):
        pi = softmax(theta, axis=-1)
        expected.append(np.sum(state_occupancy(MDP, pi)[..., None] * pi * means))
        s, path = draw(MDP.initial, rng), []
        for h in range(H):
            path.append((s, draw(pi[h, s], rng)))
            if h + 1 < H:
                s = draw(MDP.transition[h][path[-1]], rng)
        waiting.append(estimate(MDP, pi, path, [means[(h, *cell)] for h, cell in enumerate(path)], 0.1))
        for j in range(k + 1):
            if d[j] >= 0 and j + d[j] == k:
                theta = theta - 0.05 * waiting[j]
    trace = DelayedOPPO(0.05, 0.1).run(delays.delayed(WORLD, d), K, seed=7)
    np.testing.assert_allclose(trace["loss"], np.cumsum(expected)[trace.index - 1], rtol=1e-12)
    assert np.abs(trace.policy - 1 / A).max() > 0.1  # something was learned: the comparison has teeth


@pytest.mark.parametrize("seed", range(10))
def test_the_mean_and_second_moment_of_the_estimate(seed):
    """E Qhat <= Q, 0 <= Qhat <= (H - h) / gamma, E Qhat^2 <= (H - h)^2 / gamma, over all paths."""
    rng = np.random.default_rng(seed)
    mdp = instances.random_losses(3, 2, 2, seed=seed)
    means, gamma, P = 1 - mdp.reward, 10 ** rng.uniform(-3, 0), mdp.transition
    policy = rng.dirichlet(np.ones(2), (3, 2))
    first, second, weight, to_go = np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), 0.0, np.arange(3, 0, -1)[:, None, None]
    for cells in product(product(range(2), range(2)), repeat=3):
        probability = mdp.initial[cells[0][0]] * np.prod([policy[(h, *cell)] for h, cell in enumerate(cells)])
        probability *= np.prod([P[h][cells[h]][cells[h + 1][0]] for h in range(2)])
        qhat = estimate(mdp, policy, cells, [means[(h, *cell)] for h, cell in enumerate(cells)], gamma)
        assert probability == 0 or np.all(qhat <= to_go / gamma)
        first, second, weight = first + probability * qhat, second + probability * qhat**2, weight + probability
    q_values, values = np.zeros((3, 2, 2)), np.zeros(2)
    for h in reversed(range(3)):
        q_values[h] = means[h] + P[h] @ values
        values = np.sum(policy[h] * q_values[h], axis=-1)
    assert weight == pytest.approx(1)
    assert np.all(first <= q_values + 1e-12)
    assert np.all(second <= to_go**2 / gamma + 1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_optimistic_values_are_those_of_linear_programs(seed):
    rng = np.random.default_rng(seed)
    center, radius = rng.dirichlet(np.ones(3), (2, 3, 2)), rng.uniform(0, 0.3, (2, 3, 2, 3))
    loss, policy = rng.exponential(size=(2, 3, 2)), rng.dirichlet(np.ones(2), (2, 3))
    q_values, values = np.empty((2, 3, 2)), np.empty((3, 3))
    evaluate_optimistic(center, radius, loss, policy, q_values, values)
    following = np.sum(policy[1] * loss[1], axis=-1)
    np.testing.assert_allclose(q_values[1], loss[1], rtol=1e-14)
    for s, a in np.ndindex(3, 2):
        box = np.stack([np.maximum(0, center[0, s, a] - radius[0, s, a]), np.minimum(1, center[0, s, a] + radius[0, s, a])], axis=1)
        least = linprog(following, A_eq=np.ones((1, 3)), b_eq=[1], bounds=box).fun
        assert q_values[0, s, a] == pytest.approx(loss[0, s, a] + least, rel=1e-9)
    np.testing.assert_allclose(values[0], np.sum(policy[0] * q_values[0], axis=-1), rtol=1e-12)


def test_an_unknown_transition_without_transitions_is_known():
    problem = delays.delayed(losses.stochastic(instances.random_losses(1, 3, 2)), delays.fixed(3))
    settings = {"learning_rate": 0.1, "exploration": 0.1}
    known, unknown = (DelayedOPPO(transition=t, **settings).run(problem, 300, seed=1) for t in ("known", "unknown"))
    np.testing.assert_allclose(known["loss"], unknown["loss"], rtol=1e-12)


def test_unknown_transitions_are_learned():
    trace = DelayedOPPO(transition="unknown").run(losses.stochastic(MDP), 20_000)
    width = np.diff(trace["uncertainty"]) / np.diff(trace.index)
    assert width[-1] < 0.5 * width[0]
    assert trace.parameters["bound"] is None


@pytest.mark.parametrize("d", [0, 7, 300])
def test_the_defaults_minimise_the_bound(d):
    plan, n, shape = delays.schedule(delays.fixed(d).sequence(2000)), 2000, (3, 4, 2)
    eta, gamma = DelayedOPPO().resolve(shape, n, plan)
    best = DelayedOPPO.bound(shape, n, plan, eta, gamma)
    grid = np.exp(np.linspace(-1, 1, 41))
    assert best <= min(DelayedOPPO.bound(shape, n, plan, x * eta, y * gamma) for x in grid for y in grid) * (1 + 1e-12)
    given = DelayedOPPO(eta).resolve(shape, n, plan)
    assert given == pytest.approx((eta, gamma))


@pytest.mark.parametrize("process", [delays.none(), delays.fixed(20), delays.pareto(5.0), delays.missing(0.001)], ids=lambda p: p.kind)
def test_the_mean_regret_is_below_its_bound(process):
    runs = [DelayedOPPO().run(delays.delayed(losses.stochastic(MDP), process), 20_000, seed) for seed in range(4)]
    assert not runs[0].parameters["vacuous"]
    assert np.mean([run["regret"][-1] for run in runs]) < 0.6 * runs[0].parameters["bound"]
