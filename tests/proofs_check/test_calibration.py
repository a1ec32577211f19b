"""Statistical verdicts keep the false-alarm level that they state, and have the power that they claim.

Levels are tested at 1 % and 5 % (1e-6 would take 10^8 runs); that the observed rate is not above them is itself an exact binomial test with
false-alarm level 1e-6, so these tests never fail by chance.
"""

import numpy as np
import pytest
from scipy.stats import binom

from proofs_check import statistics
from proofs_check.verdicts import Expectation, HighProbability, Rate

FALSE_ALARM = 1e-6


def assert_rate_at_most(alarms, level):
    """The number of alarms is not evidence for a rate above ``level``."""
    assert binom.sf(np.sum(alarms) - 1, len(alarms), level) > FALSE_ALARM, f"{np.mean(alarms)} > {level}"


@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize("failure", [0.01, 0.1, 0.5])
def test_binomial_false_alarms(failure, level):
    rng = np.random.default_rng(1)
    kind = HighProbability(failure)
    alarms = [kind.judge([rng.random(200) >= failure], level).refuted for _ in range(2000)]
    assert_rate_at_most(alarms, level)


@pytest.mark.parametrize(("failure", "alternative"), [(1e-9, 0.2), (0.05, 0.2), (0.1, 0.2), (0.2, 0.4), (0.6, 1.0)])
def test_a_guarantee_that_fails_twice_as_often_is_refuted(failure, alternative):
    """The exact power is that of a simulation, and at least 0.9 within the replicates that are drawn."""
    rng = np.random.default_rng(2)
    test = statistics.sequential(failure, 1e-6, 6)
    assert test.alternative == pytest.approx(alternative)
    power, _ = test.power(alternative)
    assert power >= 0.9
    refuted = [test.outcome(flags)[0] == "refuted" for flags in rng.random((1000, test.most)) < alternative]
    assert abs(np.mean(refuted) - power) < 5 * np.sqrt(power * (1 - power) / 1000) + 1e-12


def test_a_dozen_replicates_without_a_failure_decide():
    test = statistics.sequential(0.05, 1e-6, 6)
    outcome, n = test.outcome(np.zeros(test.most, bool))
    assert (outcome, n <= 13) == ("upheld", True)
    assert test.outcome(np.zeros(6, bool)) == ("", 6)
    assert test.outcome(np.ones(7, bool)) == ("refuted", 6)
    assert statistics.sequential(0.05, 1e-6, 100).outcome(np.zeros(test.most, bool)) == ("upheld", 100)


def test_more_effort_misses_less():
    powers = [statistics.sequential(0.05, 1e-6, 6, effort).power(0.2)[0] for effort in (1.0, 4.0)]
    assert powers[0] < 0.95
    assert powers[1] > 0.999


def test_power_of_a_mean_is_that_of_a_simulation():
    rng = np.random.default_rng(10)
    limits = np.array([0.1]), np.array([0.0]), np.array([1.0])
    power = statistics.power_of_mean((rng.random((150, 1)) < 0.05).astype(float), *limits, 1e-3, 150, resamples=2000)
    won = [statistics.capital(statistics.stakes((rng.random((150, 1)) < 0.2).astype(float), *limits))[0] > np.log(1e3) for _ in range(500)]
    assert power - 0.05 < np.mean(won) < power + 0.2  # the estimate looks at the last stake alone


NULLS = {  # (draws [n], bound = mean, low, high): distributions on the border of the claim
    "bernoulli": lambda rng, n: (rng.random(n) < 0.5, 0.5, 0.0, 1.0),
    "rare": lambda rng, n: (rng.random(n) < 0.01, 0.01, 0.0, 1.0),
    "uniform": lambda rng, n: (rng.random(n), 0.5, 0.0, 1.0),
    "heavy above": lambda rng, n: (np.where(rng.random(n) < 0.01, 50.0, 0.5 / 0.99), 1.0, 0.0, np.inf),
    "negative": lambda rng, n: (rng.uniform(-3, 1, n), -1.0, -3.0, 1.0),
    "constant": lambda rng, n: (np.full(n, 0.3), 0.3, 0.0, 1.0),
}


@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize("null", NULLS)
def test_expectation_false_alarms(null, level):
    rng = np.random.default_rng(3)
    kind = Expectation()
    alarms = [kind.judge([NULLS[null](rng, 300)], level).refuted for _ in range(500)]
    assert_rate_at_most(alarms, level)


@pytest.mark.parametrize("null", ["bernoulli", "uniform", "negative"])
def test_two_sided_expectation_false_alarms(null):
    rng = np.random.default_rng(4)
    kind = Expectation(equal=True)

    def batch():
        columns = [NULLS[null](rng, 300) for _ in range(3)]
        return np.stack([column[0] for column in columns], axis=1), columns[0][1], columns[0][2], columns[0][3]

    assert_rate_at_most([kind.judge([batch()], 0.05).refuted for _ in range(300)], 0.05)


def test_means_clearly_below_their_bound_are_decided_early_and_those_above_hardly_ever():
    rng = np.random.default_rng(11)
    kind = Expectation(replicates=400)
    n = lambda mean: next(n for n in range(24, 401) if kind.judge([(samples[mean][:n], 0.5, 0.0, 1.0)], 1e-6).decided)
    samples = {mean: (rng.random(400) < mean).astype(float) for mean in (0.1, 0.5)}
    assert n(0.1) < 60
    assert n(0.5) == 400
    early = [kind.judge([(rng.random(100) < 0.5, 0.5, 0.0, 1.0)], 1e-6).decided for _ in range(1000)]
    assert_rate_at_most(early, 1e-3)
    assert not Expectation(replicates=400, equal=True).judge([(samples[0.1][:100], 0.1, 0.0, 1.0)], 1e-6).decided


def test_stopping_early_does_not_raise_the_false_alarms():
    """The stake may be looked at after every replicate: what is judged is its maximum."""
    rng = np.random.default_rng(5)
    games = statistics.stakes((rng.random((1000, 400)) < 0.5).T.astype(float), 0.5, 0.0, 1.0)
    assert_rate_at_most(statistics.capital(games) >= -np.log(0.05), 0.05)


@pytest.mark.parametrize("shift", [0.2, -0.2])
def test_expectation_has_power_and_estimates_it(shift):
    rng = np.random.default_rng(6)
    kind = Expectation(equal=True)
    tests = [kind.judge([(rng.random(1500), 0.5 + shift, -1.0, 2.0)], 1e-6) for _ in range(40)]
    assert all(test.refuted for test in tests)
    assert np.median([test.power for test in tests]) > 0.99


def test_stakes_are_games_that_are_fair_at_the_bound():
    rng = np.random.default_rng(7)
    samples = rng.uniform(-2, 5, (100_000, 1))
    games = statistics.stakes(samples, 1.5, -2.0, 5.0)
    assert games.min() >= 0
    assert abs(games.mean() - 1) < 0.01


def test_bound_at_the_end_of_the_range_is_refuted_by_one_sample_above_it():
    kind = Expectation()
    assert not kind.judge([(np.zeros(100), 0.0, 0.0, 1.0)], 1e-6).refuted
    assert kind.judge([(np.append(np.zeros(99), 0.1), 0.0, 0.0, 1.0)], 1e-6).refuted


X = np.geomspace(100, 10_000, 5)


def curves(rng, power, n=16, noise=0.3):
    """Growth x^power with correlated noise, as regrets of runs have."""
    steps = np.exp(noise * rng.standard_normal((n, len(X))).cumsum(axis=1) / np.sqrt(len(X)))
    return X**power * steps


@pytest.mark.parametrize("level", [0.01, 0.05])
def test_rate_false_alarms(level):
    """A bootstrap of 16 replicates is not exact: what is tested is twice the level, and the docstring says asymptotic."""
    rng = np.random.default_rng(8)
    kind = Rate(exponent=0.5)
    # noise of mean 1 at every x, so that the mean curve has exponent 1/2
    alarms = []
    for _ in range(300):
        y = curves(rng, 0.5)
        y /= np.exp(0.5 * 0.3**2 * np.arange(1, len(X) + 1) / len(X))
        alarms.append(kind.judge([(X, y)], level).refuted)
    assert_rate_at_most(alarms, 2 * level)


def test_rate_power_and_logarithms():
    rng = np.random.default_rng(9)
    assert all(Rate(exponent=0.5).judge([(X, curves(rng, 0.9))], 1e-3).refuted for _ in range(100))
    assert all(Rate(exponent=0).judge([(X, curves(rng, 0.5))], 1e-3).refuted for _ in range(100))
    logs = [
        Rate(exponent=0).judge([(X, (3 + 2 * np.log(X)) * np.exp(0.1 * rng.standard_normal((16, 5))))], 1e-3).refuted for _ in range(100)
    ]
    assert_rate_at_most(logs, 1e-3)


def test_fitted_exponent_is_that_of_a_straight_line():
    fit = statistics.growth(X, np.array([3 * X**0.7, 3 * X**0.7]), 0.01)
    assert fit.exponent == pytest.approx(0.7)
    assert (fit.low, fit.high) == (pytest.approx(0.7), pytest.approx(0.7))
    assert fit.log_share == 0


@pytest.mark.parametrize(
    ("x", "y", "match"), [(X[:2], np.ones((4, 2)), "3 points"), (X, np.ones((1, 5)), "2 replicates"), (X, -np.ones((4, 5)), "positive")]
)
def test_growth_of_too_little_is_refused(x, y, match):
    with pytest.raises(ValueError, match=match):
        statistics.growth(x, y, 0.01)
