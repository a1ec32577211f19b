"""Rates of any size: refused by name when the learner is made, or nothing but finite numbers."""

import contextlib
import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest

from tabular_rl import ambiguity, delays, instances, losses
from tabular_rl.algorithms import (
    DAPO,
    DRLSVIUCB,
    DRPG,
    DRRPO,
    LSVIUCB,
    RAVIUCB,
    UCBVI,
    BestOfBothWorlds,
    ContaminationGradient,
    DelayedHedge,
    DelayedOPPO,
    DelayedOREPS,
    DelayedUOB,
    DilatedBonusPO,
    GradientDescentAscent,
    LinearDAPO,
    LinearOPPO,
    RobustMirrorDescent,
    UCBVIDiscounted,
)
from tabular_rl.instances import robust_linear

MDP = instances.random_losses(2, 3, 2, seed=1)
WORLD = losses.stochastic(MDP)
LATE = delays.delayed(WORLD, delays.fixed(1))
SWIM = instances.river_swim(4, discount=0.8)
GARNET = instances.garnet_robust(S=3, A=2)
FACTORED = robust_linear.random_linear(S=4, A=2, d=3, horizon=3)
LINEAR = instances.linear_mdp(S=4, A=2)
RATES = ("learning_rate", "exploration")
CASES = [
    (DilatedBonusPO, {}, (*RATES, "bonus_scale"), WORLD),
    (DilatedBonusPO, {"transition": "unknown"}, (*RATES, "bonus_scale", "confidence_scale"), WORLD),
    (DAPO, {"preset": "practical"}, (*RATES, "bonus_scale"), LATE),
    (DAPO, {"batch": "sequential", "transition": "unknown"}, (*RATES, "confidence_bonus_scale"), LATE),
    (LinearDAPO, {"features": LINEAR.features}, (*RATES, "bonus", "policy_bonus"), LINEAR.tabular),
    (DelayedHedge, {}, ("learning_rate",), LATE),
    (DelayedOPPO, {}, RATES, LATE),
    (DelayedOPPO, {"transition": "unknown"}, (*RATES, "confidence_scale"), LATE),
    (DelayedOREPS, {}, RATES, LATE),
    (DelayedOREPS, {"lazy": True}, RATES, LATE),
    (DelayedUOB, {}, (*RATES, "confidence_scale", "prior_visits"), LATE),
    (DelayedUOB, {"lazy": False}, RATES, LATE),
    *((BestOfBothWorlds, {"regularizer": r, "preset": "practical"}, ("c0", "eps", "N0", "bonus_scale"), WORLD)
      for r in ("tsallis", "shannon", "log_barrier")),
    (BestOfBothWorlds, {"transition": "unknown", "preset": "practical"}, ("c0", "eps", "N0", "radius_scale"), WORLD),
    (UCBVI, {}, ("scale",), WORLD),
    (UCBVIDiscounted, {}, ("scale",), SWIM),
    (RAVIUCB, {}, ("learning_rate", "scale"), SWIM),
    (DRRPO, {"kind": "linear"}, ("tau", "scale", "ridge"), FACTORED),
    (DRRPO, {"update": "mirror", "tau": 0.1}, ("eta", "scale"), FACTORED),
    (DRLSVIUCB, {}, ("scale",), FACTORED),
    (LSVIUCB, {}, ("beta",), FACTORED),
    (LinearOPPO, {}, ("beta", "eta"), FACTORED),
    (RobustMirrorDescent, {}, ("learning_rate", "growth"), GARNET),
    (GradientDescentAscent, {}, ("step",), GARNET),
    (DRPG, {}, ("scale", "tolerance", "loss"), GARNET),
    (DRPG, {"inner": "projected"}, ("scale", "inner_step", "loss"), GARNET),
    (ContaminationGradient, {}, ("sigma", "scale"), replace(GARNET, ambiguity=ambiguity.Contamination(0.1))),
]  # fmt: skip
STOPS = {DelayedUOB: (RuntimeError,)}  # "use a smaller learning_rate", where a projection cannot be found


def extremes(kind, names):
    """All combinations of the smallest, a common and the largest value that is taken."""
    least = {"growth": 1.0} | ({"exploration": 1e-10} if kind is LinearDAPO else {})
    most = {"step": 1e6, "inner_step": 1e6}
    for values in itertools.product(*([least.get(name, 1e-50), 1.0, most.get(name, 1e50)] for name in names)):
        yield dict(zip(names, values, strict=True))


@pytest.mark.parametrize(("kind", "given", "names", "problem"), CASES, ids=lambda x: x.__name__ if isinstance(x, type) else "")
def test_what_is_taken_is_finite(kind, given, names, problem):
    ran = 0
    for rates in extremes(kind, names):
        with warnings.catch_warnings(), contextlib.suppress(*STOPS.get(kind, ())):
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            trace = kind(**given, **rates).run(problem, 12, seed=1)
            ran += 1
            for name, series in trace.series.items():
                assert np.isfinite(series).all(), (rates, name, series)
            np.testing.assert_allclose(trace.policy.sum(axis=-1), 1, rtol=1e-9)
            assert all(np.isfinite(x) for x in trace.parameters.values() if isinstance(x, float)), (rates, trace.parameters)
    assert ran >= 2


@pytest.mark.parametrize(("kind", "given", "names", "problem"), CASES, ids=lambda x: x.__name__ if isinstance(x, type) else "")
def test_what_is_no_rate_is_refused_by_name(kind, given, names, problem):
    for name in names:
        for value in (np.nan, np.inf, -1.0, 1e308, 10**400):
            if kind is RAVIUCB and value == np.inf:
                continue  # no regularizer
            with pytest.raises(ValueError, match=f"^{name} must lie in"):
                kind(**given, **{name: value})
        with pytest.raises(TypeError, match=f"^{name} must be a real number"):
            kind(**given, **{name: "fast"})


@pytest.mark.parametrize("kind", [DilatedBonusPO, DAPO, DelayedOPPO, DelayedUOB, BestOfBothWorlds, UCBVI, RAVIUCB])
def test_failure_probabilities_too_small_for_their_logarithm_are_refused(kind):
    assert kind(delta=1e-50).delta == 1e-50
    for value in (0.0, 5e-324, 1e-308, 1.5):
        with pytest.raises(ValueError, match=r"^delta must lie in"):
            kind(delta=value)
