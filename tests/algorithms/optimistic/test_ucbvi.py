"""UCBVI: what it recomputes, its regret, its shared counts, and the world that breaks it (its optimism is a claim)."""

import numpy as np
import pytest

from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, Uniform
from tabular_rl.algorithms.optimistic.ucbvi import plan
from tabular_rl.kernels.episodic.episodes import sample_episode, state_occupancy
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import evaluate, occupancy, solve

MDP = instances.random_losses(3, 3, 2, seed=2)


class Planner:
    """The arrays of the algorithm, refilled from the list of all steps before every plan."""

    def __init__(self, mdp, known):
        H, S, A = self.shape = mdp.shape
        self.mdp, self.known, self.steps = mdp, known, []
        self.values, self.policy, self.greedy = np.zeros((H + 1, S)), np.zeros((H, S, A)), np.full((H, S), -1)
        self.loss, self.visits, self.seen = np.zeros((H, S, A)), np.zeros((H, S, A)), np.zeros((H, S, A, S))

    def plan(self, bonus):
        H, S, A = self.shape
        n = np.maximum(self.visits, 1)
        rows = self.mdp.transition if self.known else self.seen / n[..., None]
        arrival = np.ascontiguousarray(rows.reshape(H, S * A, S).transpose(0, 2, 1))
        work = np.empty(S * A)
        return plan(arrival, self.loss / n, bonus, 1 / np.sqrt(n), self.visits, self.known, self.values, work, self.greedy, self.policy)

    def play(self, rng):
        H = self.shape[0]
        states, actions, seen = np.empty(H + 1, int), np.empty(H, int), np.empty(H)
        sample_episode(self.mdp.packed_transition, self.policy, self.mdp.initial, 1 - self.mdp.reward, True, rng, states, actions, seen)
        for h in range(H):
            cell = h, states[h], actions[h]
            self.visits[cell] += 1
            self.loss[cell] += seen[h]
            self.seen[(*cell, states[h + 1])] += 1


def test_the_occupancy_changes_only_after_the_first_changed_step():
    """What ``plan`` returns lets a run keep the occupancies up to there; recomputed from the start they are the same."""
    planner, rng, firsts = Planner(MDP, False), np.random.default_rng(0), set()
    P, kept = MDP.packed_transition, np.empty((3, 3))
    kept[0] = MDP.initial
    for _ in range(300):
        before = planner.policy.copy()
        first = planner.plan(0.1)
        firsts.add(first)
        changed = np.flatnonzero(np.any(planner.policy != before, axis=(1, 2)))
        assert first == (changed[0] if len(changed) else 3)
        if first < 3:
            state_occupancy(P[first:], planner.policy[first:], kept[first], kept[first:])
        np.testing.assert_allclose(kept[..., None] * planner.policy, occupancy(MDP, planner.policy), atol=1e-14)
        np.testing.assert_array_equal(planner.policy.argmax(axis=-1), planner.greedy)
        planner.play(rng)
    assert firsts == {0, 1, 2, 3}


@pytest.mark.parametrize("settings", [{"scale": 0.1}, {"scale": 0.1, "transition": "known"}, {"scale": 0.3, "anytime": True}], ids=str)
def test_it_regrets_less_than_the_uniform_learner(settings):
    world, n = losses.stochastic(MDP), 20_000
    uniform = Uniform().run(world, n)
    for seed in range(3):
        trace = UCBVI(**settings).run(world, n, seed)
        assert trace["regret"][-1] < 0.2 * uniform["regret"][-1]
        late = np.searchsorted(trace.index, n // 2)
        assert trace["regret"][-1] - trace["regret"][late] < 0.6 * trace["regret"][late]
    assert MDP.initial @ evaluate(MDP, trace.policy).values[0] == pytest.approx(MDP.initial @ solve(MDP).values[0], abs=0.05)


def mean_regret(learner, world, n):
    return np.mean([learner.run(world, n, seed)["regret"][-1] for seed in range(4)])


def test_knowing_the_transition_helps():
    world, n = losses.stochastic(MDP), 5000
    known, unknown = (
        np.mean([UCBVI(transition=kind).run(world, n, seed)["regret"][-1] for seed in range(4)]) for kind in ("known", "unknown")
    )
    assert known < unknown


def test_sharing_steps_learns_faster_where_steps_are_alike():
    river = instances.river_swim(4, horizon=8)
    world = losses.stochastic(river)
    shared, apart = (
        np.mean([UCBVI(0.1, share_steps=share).run(world, 3000, seed)["regret"][-1] for seed in range(4)]) for share in (True, False)
    )
    assert shared < apart


def test_sharing_steps_needs_one_transition_where_it_is_known():
    with pytest.raises(ValueError, match="share_steps=True needs a transition that is the same at every step"):
        UCBVI(share_steps=True, transition="known").run(MDP, 10)


def test_an_adversary_that_sees_the_policy_charges_everything():
    """A deterministic policy loses 1 in every step, the uniform one 1 / A."""
    trace = UCBVI(0.1).run(losses.anti_greedy(MDP), 2000)
    np.testing.assert_allclose(trace["loss"], 3 * trace.index, rtol=1e-12)
    assert trace["regret"][-1] > 0.3 * 2000


def test_the_trap_is_no_trap_for_optimism():
    trap = instances.trap()
    trace = UCBVI(0.2).run(trap, 4000)
    assert evaluate(trap, trace.policy).values[0, 0] == 1
    assert trace["regret"][-1] < 0.2 * Uniform().run(trap, 4000)["regret"][-1]
    assert isinstance(trap, FiniteHorizonMDP)
