"""What the contract says of the last policy that played, where it takes a closer look: variants, replays, what only some recommend."""

import numpy as np
import pytest

from tabular_rl import delays, instances, losses, planning
from tabular_rl.algorithms import (
    DAPO,
    DRLSVIUCB,
    DRRPO,
    IWOCS,
    LPO,
    DelayedOREPS,
    HistoryGreedy,
    LinearDAPO,
    LinearOPPO,
    QLearning,
    RandomWalk,
    SubPO,
)
from tabular_rl.instances import robust_linear
from tabular_rl.instances import submodular as shelf
from tabular_rl.kernels.submodular.objectives import workspace
from tabular_rl.kernels.submodular.rollouts import Batch, rollouts
from tabular_rl.planning.robust.linear import robust_linear_evaluate, robust_linear_solve
from tabular_rl.planning.robust.policy import robust_evaluate

N = 12  # its grid has every episode
MDP = instances.random_losses(2, 3, 2, seed=1)
LINEAR = instances.linear_mdp(S=4, A=2)
SWIM = instances.river_swim(4, discount=0.8)
ROBUST = instances.garnet_robust(S=4, A=3)
ROBUST_LINEAR = robust_linear.random_linear(S=4, A=2, d=3, horizon=3)
GRID = shelf.tiny(2, 3, 3, 0.3, "2x2", seed=1)
FAST = {"learning_rate": 0.5, "exploration": 0.1}

EPISODIC = [
    *((DAPO("practical", **FAST, batch=batch, transition=t), MDP) for batch in ("joint", "sequential") for t in ("known", "unknown")),
    (DAPO(batch="sequential", transition="unknown"), MDP),  # certified: it looks at feedback that comes too late
    (DelayedOREPS(**FAST, batch="sequential", lazy=True), MDP),
    *((LinearDAPO(LINEAR.features, **FAST, batch=batch), LINEAR.tabular) for batch in ("joint", "sequential")),
]
SCHEDULES = {
    "at once": delays.none(),
    "never": np.full(N, -1),
    "at the end": np.arange(N)[::-1].copy(),
    "random": np.random.default_rng(0).integers(-1, 6, N),
}


@pytest.mark.parametrize(("learner", "mdp"), EPISODIC, ids=repr)
def test_the_last_episode_costs_what_the_policy_costs(learner, mdp):
    world = losses.stochastic(mdp)
    for late in SCHEDULES.values():
        trace = learner.run(delays.delayed(world, late), N, seed=3)
        assert trace.index.tolist() == list(range(1, N + 1))
        cost = np.sum(planning.occupancy(mdp, trace.policy) * (1 - mdp.reward))
        assert np.diff(trace["loss"])[-1] == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("batch", ["joint", "sequential"])
@pytest.mark.parametrize("late", ["never", "at the end"])
def test_what_arrives_too_late_leaves_the_policy_uniform(batch, late):
    trace = DAPO(batch=batch).run(delays.delayed(losses.stochastic(MDP), SCHEDULES[late]), N)
    np.testing.assert_array_equal(trace.policy, 1 / 2)


def suboptimality(problem, trace):
    tau = trace.parameters["tau"]
    best = robust_linear_solve(problem, tau).values[0, problem.initial]
    return trace["suboptimality"][-1], best - robust_linear_evaluate(problem, trace.policy, tau).values[0, problem.initial]


def least_of_all_played(problem, trace):
    played = [IWOCS().run(problem, k).policy for k in trace.index]
    return [trace["upper"][-1]] * 2, [
        robust_evaluate(problem, trace.output).objective,
        min(robust_evaluate(problem, p).objective for p in played),
    ]


def replayed(problem, trace):
    """The last batch, drawn once more by the policy that is said to have played it."""
    H, batch = problem.horizon, 50
    states, actions, gains = np.empty((batch, H + 1), np.int64), np.empty((batch, H), np.int64), np.empty((batch, H + 1))
    work = workspace(problem.objective.packed, problem.objective.n_elements, H + 1)
    key, it = np.random.SeedSequence(3).generate_state(1, np.uint64)[0], N - 1
    with np.errstate(over="ignore"):
        rollouts(problem.world, problem.objective.packed, work, trace.policy, key, it, it * batch, Batch(states, actions, gains))
    return trace["sampled_value"][-1], gains.sum(axis=1).mean()


def uniform(problem, trace):
    return trace.policy, 1 / problem.shape[-1]


def counted(problem, trace):
    """A policy with a memory, so what is counted are all trajectories."""
    played = planning.simulation.sample_trajectories(problem, "greedy", N, 3)
    counts = np.zeros(problem.shape)
    for states, actions in zip(played.states, played.actions, strict=True):
        for h, a in enumerate(actions):
            counts[h, states[h], a] += 1
    visits = counts.sum(axis=-1, keepdims=True)
    return trace.policy * visits, counts


OTHERS = [
    *((learner, ROBUST_LINEAR, suboptimality) for learner in (DRRPO(), DRLSVIUCB(), LinearOPPO(robust=True))),
    (IWOCS(), ROBUST, least_of_all_played),
    *((SubPO(50, optimizer=optimizer, learning_rate=0.5), GRID, replayed) for optimizer in ("sgd", "adam", "npg")),
    (RandomWalk(), GRID, uniform),
    (HistoryGreedy(), GRID, counted),
]


@pytest.mark.parametrize(("learner", "problem", "sides"), OTHERS, ids=lambda x: getattr(x, "__name__", repr(x)[:60]))
def test_the_last_row_is_about_the_policy(learner, problem, sides):
    recorded, found = sides(problem, learner.run(problem, N, seed=3))
    np.testing.assert_allclose(recorded, found, rtol=1e-9, atol=1e-9)


def test_the_policy_of_q_learning_explores_and_its_output_does_not():
    """The first step knows nothing, so that all actions are as good; what the last one teaches is in the output alone."""
    np.testing.assert_array_equal(QLearning(0.0).run(SWIM, 1).policy, 1 / 2)
    np.testing.assert_array_equal(QLearning(1.0).run(SWIM, 100).policy, 1 / 2)
    before, after = (QLearning(0.0).run(SWIM, n, seed=3) for n in (99, 100))
    unique = after.policy.max(axis=1) == 1
    assert unique.any()
    np.testing.assert_array_equal(after.policy[unique], before.output[unique])
    assert {round(p, 9) for p in QLearning(0.3).run(SWIM, 100, seed=3).policy.ravel()} <= {0.15, 0.5, 0.85}


def test_the_iterate_of_lpo_that_played_last_is_among_its_last_epoch():
    trace = LPO(5, 20).run(SWIM, N, seed=3)
    np.testing.assert_array_equal(trace.policy, trace.epochs.policies[-1, trace.parameters["iterate"]])
    np.testing.assert_array_equal(trace.output, trace.epochs.policies[-1, -1])
