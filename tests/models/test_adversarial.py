"""Loss worlds: what the schedules ask for, and that a stationary transition is checked like any other."""

import numpy as np
import pytest

from tabular_rl import losses
from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models.adversarial import PARAMETERS, SCHEDULES

H, S, A = 3, 2, 2
P, TABLES = np.full((H, S, A, S), 0.5), np.full((4, H, S, A), 0.25)
GOOD = {"constant": (), "periodic": (2, 0), "phases": (1.5,), "drifting": (10,), "anti_greedy": (np.inf,), "block": (3, 0)}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_world_is_what_the_compiled_loops_read(schedule):
    mdp = AdversarialMDP(P, 0, TABLES, schedule, GOOD[schedule], False)
    P_read, initial, code, tables, parameters, bernoulli, barrier = mdp.world
    assert np.array_equal(P_read, P)
    assert initial is mdp.initial
    assert barrier is mdp.barrier
    assert SCHEDULES[code] == schedule
    assert tables is mdp.tables
    assert parameters.tolist() == [*GOOD[schedule], 0, 0][:2]
    assert bernoulli is False
    assert repr(mdp) == f"AdversarialMDP(H=3, S=2, A=2, {schedule} losses)"


def test_schedules_are_in_the_order_of_the_kernels():
    from tabular_rl.kernels.episodic import losses as kernel

    assert [getattr(kernel, name.upper()) for name in SCHEDULES] == list(range(len(SCHEDULES)))


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if GOOD[name]])
@pytest.mark.parametrize("wrong", [-1, np.nan, "1", None])
def test_every_parameter_of_a_schedule_is_checked(schedule, wrong):
    for i, name in enumerate(PARAMETERS[schedule]):
        values = list(GOOD[schedule])
        values[i] = wrong
        with pytest.raises((ValueError, TypeError), match=f"^{name} must (lie in|be a real number)"):
            AdversarialMDP(P, 0, TABLES, schedule, values)


@pytest.mark.parametrize("schedule, parameters", [("periodic", (0, 0)), ("phases", (1,)), ("drifting", (0,)), ("block", (0, 1)),
                                                  ("drifting", (np.inf,))])  # fmt: skip
def test_no_parameter_makes_a_loop_divide_by_zero(schedule, parameters):
    with pytest.raises(ValueError, match=r"must lie in"):
        AdversarialMDP(P, 0, TABLES, schedule, parameters)


@pytest.mark.parametrize("parameters", [(), (1,), (1, 2, 3), None, 5, {1, 2}])
def test_the_number_of_parameters_is_checked(parameters):
    with pytest.raises(ValueError, match=r"^parameters of a periodic schedule must be \(period, offset\), got"):
        AdversarialMDP(P, 0, TABLES, "periodic", parameters)


@pytest.mark.parametrize("schedule", ["random", None, 3])
def test_an_unknown_schedule_gets_the_known_ones(schedule):
    with pytest.raises(ValueError, match=r"^schedule must be one of 'constant', 'periodic'"):
        AdversarialMDP(P, 0, TABLES, schedule)


@pytest.mark.parametrize("loss", [-0.001, 1.001])
def test_losses_are_means_of_coins(loss):
    tables = TABLES.copy()
    tables[3, 2, 1, 0] = loss
    with pytest.raises(ValueError, match=rf"^tables\[3, 2, 1, 0\] is {loss}, expected a mean loss in \[0, 1\]"):
        AdversarialMDP(P, 0, tables)


def test_bernoulli_is_yes_or_no():
    with pytest.raises(TypeError, match=r"^bernoulli must be True or False, got 1"):
        AdversarialMDP(P, 0, TABLES, bernoulli=1)


def test_a_repeated_transition_is_checked_too():
    for wrong, message in ((np.nan, r"\[0, 0, 0, 0\] is nan"), (0.7, r"\[0, 0, 0\] sums to 1.4")):
        repeated = np.broadcast_to(np.full((S, A, S), wrong), (H, S, A, S))
        with pytest.raises(ValueError, match=f"^transition{message}"):
            AdversarialMDP(repeated, 0, TABLES)


def test_the_transition_has_as_many_steps_as_the_tables():
    for wrong in (P[:2], np.broadcast_to(P[0], (4, S, A, S))):
        with pytest.raises(ValueError, match=r"^transition has \d steps, expected 3 as in tables"):
            AdversarialMDP(wrong, 0, TABLES)
    np.testing.assert_array_equal(AdversarialMDP(P[:1], 0, TABLES).transition, P)


def test_a_loss_world_shares_the_transition_of_its_model():
    for transition in (P, P[0]):
        mdp = FiniteHorizonMDP(transition, np.full((H, S, A), 0.5))
        world = losses.stochastic(mdp)
        assert np.shares_memory(world.transition, mdp.transition)
        assert world.packed_transition.shape == mdp.packed_transition.shape
        assert (world.horizon, world.shape) == (H, (H, S, A))
