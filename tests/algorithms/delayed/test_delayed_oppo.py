"""Delayed OPPO: its optimistic values against linear programs, its defaults; its runs are replayed by the claim delayed-oppo.replay."""

import numpy as np
import pytest
from scipy.optimize import linprog

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DelayedOPPO
from tabular_rl.algorithms.delayed.oppo import evaluate_optimistic

MDP = instances.delay_instance()
WORLD = losses.stochastic(MDP, bernoulli=False)
H, S, A = MDP.shape


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
def test_the_defaults_minimize_the_bound(d):
    plan, n, shape = delays.schedule(delays.fixed(d).sequence(2000)), 2000, (3, 4, 2)
    eta, gamma = DelayedOPPO().resolve(shape, n, plan)
    best = DelayedOPPO.bound(shape, n, plan, eta, gamma)
    grid = np.exp(np.linspace(-1, 1, 41))
    assert best <= min(DelayedOPPO.bound(shape, n, plan, x * eta, y * gamma) for x in grid for y in grid) * (1 + 1e-12)
    given = DelayedOPPO(eta).resolve(shape, n, plan)
    assert given == pytest.approx((eta, gamma))
