"""Parameters out of their range are named, with what was expected; flags of what is no algorithm are flags too."""

import numpy as np
import pytest

from tabular_rl import algorithms, instances, losses
from tabular_rl.algorithms import UCBVI, DelayedHedge, DelayedOPPO, DelayedOREPS, DilatedBonusPO


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DilatedBonusPO("best"), ValueError, "preset must be one of 'theory', 'practical', 'luo', got 'best'"),
        (lambda: DilatedBonusPO(transition="guessed"), ValueError, "transition must be one of"),
        (lambda: DilatedBonusPO(learning_rate=0), ValueError, "learning_rate must lie in"),
        (lambda: DilatedBonusPO(learning_rate=np.nan), ValueError, "learning_rate"),
        (lambda: DilatedBonusPO(exploration=-0.1), ValueError, "exploration"),
        (lambda: DilatedBonusPO(bonus_scale=-1), ValueError, "bonus_scale"),
        (lambda: DilatedBonusPO(delta=1), ValueError, "delta"),
        (lambda: DilatedBonusPO(confidence_scale=-1), ValueError, "confidence_scale"),
        (lambda: DilatedBonusPO(learning_rate="fast"), TypeError, "learning_rate must be a real number"),
        (lambda: UCBVI(scale=-1), ValueError, "scale"),
        (lambda: UCBVI(delta=0), ValueError, "delta"),
        (lambda: UCBVI(transition=None), ValueError, "transition must be one of"),
        (lambda: UCBVI(anytime="yes"), TypeError, "anytime must be True or False, got 'yes'"),
        (lambda: UCBVI(share_steps=1), TypeError, "share_steps must be True or False, got 1"),
        (lambda: DelayedOPPO(learning_rate=0), ValueError, "learning_rate must lie in"),
        (lambda: DelayedOPPO(exploration=-1), ValueError, "exploration must lie in"),
        (lambda: DelayedOPPO(transition="guessed"), ValueError, "transition must be one of"),
        (lambda: DelayedOPPO(delta=1), ValueError, "delta must lie in"),
        (lambda: DelayedOPPO(confidence_scale="wide"), TypeError, "confidence_scale must be a real number"),
        (lambda: DelayedHedge(learning_rate=np.nan), ValueError, "learning_rate must lie in"),
        (lambda: DelayedHedge(adapted="yes"), TypeError, "adapted must be True or False, got 'yes'"),
        (lambda: DelayedOREPS(learning_rate=-1), ValueError, "learning_rate must lie in"),
        (lambda: DelayedOREPS(exploration=0), ValueError, "exploration must lie in"),
        (lambda: DelayedOREPS(adapted=1), TypeError, "adapted must be True or False, got 1"),
        (lambda: DelayedOREPS(batch="both"), ValueError, "batch must be one of 'joint', 'sequential', got 'both'"),
    ],
)
def test_bad_parameters_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_flags_of_what_is_no_algorithm():
    sampler, tables = algorithms.SensitivitySampler, algorithms.TabularClass((3,))
    for flag in ("integer_weights", "reweight", "track_full"):
        with pytest.raises(TypeError, match=f"{flag} must be True or False, got 'False'"):
            sampler(tables, **{flag: "False"})
    for call in (
        lambda: algorithms.sampling_constant(tables, 10, adaptive="no"),
        lambda: algorithms.FiniteClass.grid(np.ones((2, 2, 1)), 0.1, 2, signed=1),
        lambda: algorithms.LPO().run(instances.river_swim(3, discount=0.5), 2, keep_q="yes"),
        lambda: losses.stochastic(instances.trap(), bernoulli=1),
        lambda: instances.frozen_lake(horizon=3, is_slippery="no"),
    ):
        with pytest.raises(TypeError, match=r"(adaptive|signed|keep_q|bernoulli|is_slippery) must be True or False"):
            call()
