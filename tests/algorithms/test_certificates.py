"""What certificates and bounds of learners promise: in which worlds, and what an unknown transition adds."""

import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DAPO, BestOfBothWorlds, DelayedHedge, DelayedOPPO, DelayedOREPS, DilatedBonusPO, LinearDAPO
from tabular_rl.planning import solve

MDP = instances.random_losses(2, 3, 2, seed=1)
N = 60
FIXED = {
    "stochastic": losses.stochastic(MDP),
    "switching": losses.switching(MDP, 20),
    "drifting": losses.drifting(MDP, 50),
    "phases": losses.phases(MDP, 0.9 * (1 - MDP.reward)),
    "blocks": losses.block(MDP, 3),
    "recorded": losses.recorded(MDP, np.random.default_rng(0).random((5, *MDP.shape))),
    "corrupted, but never": losses.corrupted(MDP, 0),
}
LOOKING = {"anti-greedy": losses.anti_greedy(MDP), "corrupted": losses.corrupted(MDP, 10)}
INDICATORS = np.eye(6).reshape(3, 2, 6)
PROVEN = [
    DilatedBonusPO(),
    DilatedBonusPO(transition="unknown"),
    BestOfBothWorlds(),
    BestOfBothWorlds("shannon", transition="unknown"),
    BestOfBothWorlds("log_barrier"),
    DAPO(),
    DAPO(batch="sequential"),
    DAPO(batch="sequential", transition="unknown"),
    DelayedHedge(),
    DelayedOPPO(),
    DelayedOREPS(),
    LinearDAPO(INDICATORS),
]


def promises(trace):
    """What a trace promises about its regret."""
    found = {name: trace.parameters.get(name) for name in ("bound", "certificate")}
    return [name for name, value in found.items() if value is not None] + ["certificate"] * ("certificate" in trace.series)


@pytest.mark.parametrize("learner", PROVEN, ids=repr)
def test_worlds_that_look_at_the_policies_get_no_promise(learner):
    for name, world in FIXED.items():
        assert world.oblivious
        assert promises(learner.run(world, N)) or (name == "blocks" and isinstance(learner, LinearDAPO)), name
    for name, world in LOOKING.items():
        assert not world.oblivious
        trace = learner.run(world, N)
        assert not promises(trace), name
        assert trace.parameters.get("vacuous") is None
        assert not trace.parameters.get("guarantee")


def test_delays_do_not_help_an_adversary_who_looks():
    for learner in (DAPO(), DAPO(batch="sequential"), DelayedHedge(), DelayedOPPO(), DelayedOREPS()):
        assert promises(learner.run(delays.delayed(FIXED["stochastic"], delays.fixed(3)), N))
        assert not promises(learner.run(delays.delayed(LOOKING["corrupted"], delays.fixed(3)), N))


@pytest.mark.parametrize("learner", PROVEN[2:5], ids=repr)
def test_a_comparator_fixed_in_advance_is_promised_in_every_world(learner):
    """bobw spec 4.4: the losses of an episode depend on the past alone, so each step of the proof holds given the past."""
    comparator = solve(MDP).policy
    for world in LOOKING.values():
        trace = learner.run(world, N, comparator=comparator, certified=True)
        assert {"certificate", "comparator_regret"} <= set(trace.series)
        with pytest.raises(ValueError, match="certified=True needs losses fixed in advance, got AdversarialMDP"):
            learner.run(world, N, certified=True)


@pytest.mark.parametrize("delta", [0.001, 0.1, 0.4])
def test_the_event_that_a_confidence_set_fails_is_paid_for(delta):
    """With one step no transition is ever used: known and unknown are one run, and what the certificates differ by is 4 delta H k."""
    world = losses.stochastic(instances.random_losses(1, 3, 2, seed=2))
    pinned = {"learning_rate": 0.01, "exploration": 0.01}
    known, unknown = (DilatedBonusPO(**pinned, transition=t, delta=delta).run(world, N) for t in ("known", "unknown"))
    np.testing.assert_array_equal(known["loss"], unknown["loss"])
    np.testing.assert_allclose(unknown["certificate"] - known["certificate"], 4 * delta * known.index, rtol=1e-9)
    known, unknown = (DAPO(**pinned, batch="sequential", transition=t, delta=delta).run(world, N) for t in ("known", "unknown"))
    np.testing.assert_array_equal(known["loss"], unknown["loss"])
    assert unknown.parameters["certificate"] - known.parameters["certificate"] == pytest.approx(4 * delta * N, rel=1e-9)


@pytest.mark.parametrize("delta", [0.01, 0.3])
def test_both_policy_optimizations_promise_the_same_without_delays(delta):
    world = losses.stochastic(MDP)
    late = DAPO(batch="sequential", transition="unknown", delta=delta).run(world, N, seed=1)
    direct = DilatedBonusPO(transition="unknown", delta=delta).run(world, N, seed=1)
    assert late.parameters["certificate"] == pytest.approx(direct["certificate"][-1], rel=1e-12)


def test_more_failure_allowed_is_more_regret_promised():
    """With sets at their widest (every radius is 1) the run does not depend on delta, and the certificate rises with it."""
    world = losses.stochastic(MDP)
    learners = (DAPO(batch="sequential", transition="unknown", delta=delta) for delta in (1e-9, 0.1, 0.2, 0.9))
    promised = [learner.run(world, 4).parameters["certificate"] for learner in learners]
    np.testing.assert_allclose(np.diff(promised), 4 * MDP.horizon * 4 * np.diff([1e-9, 0.1, 0.2, 0.9]), rtol=1e-9)
