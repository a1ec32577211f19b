"""The mathematics of the statistical verdicts: betting against a probability and against a bounded mean, fitted growth.

Closed forms in a few lines, where SciPy has none; ``tests/proofs_check/test_calibration.py`` measures their false alarms.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

BETS = np.concatenate([np.geomspace(1e-4, 0.5, 24), [0.7, 0.9]])  # fractions of the stake, mixed with equal weights
RESAMPLES = 2000
POWER = 0.9  # with which a guarantee that fails LEAST_ALTERNATIVE of the time, or twice as often as stated, must be refuted
LEAST_ALTERNATIVE = 0.2
LONGEST = 4000  # flags of a sequential test


class Sequential(NamedTuple):
    """A sequential test of "P(failure) <= claimed" against "P(failure) >= alternative".

    After n flags with k failures there are two stakes, each the mean of a few bets on independent flags: one grows when the claim is false,
    the other when the alternative is. The first to reach its goal decides: 1 / ``level`` refutes, 1 / ``miss`` upholds, the latter not
    before ``least`` flags. A true claim is refuted with probability at most ``level``, a true alternative upheld with at most ``miss``
    (Ville's inequality, twice). After ``most`` flags nothing more is refuted.
    """

    claimed: float
    alternative: float
    level: float
    miss: float
    least: int
    most: int

    def outcome(self, failed):
        """("refuted" or "upheld", n): what the flags ``failed`` decide in their order, and after how many; ("", all) while nothing."""
        n = np.arange(1, len(failed) + 1)
        refuted, upheld = self.reached(n, np.cumsum(failed))
        at = np.flatnonzero((refuted | upheld) & (n <= self.most))
        if len(at):
            return ("refuted" if refuted[at[0]] else "upheld"), int(n[at[0]])
        return ("upheld", self.most) if len(failed) >= self.most else ("", len(failed))

    def reached(self, n, k):
        """Which stake has reached its goal after n flags with k failures, arrays."""
        p, q = self.claimed, self.alternative
        against = _stake(n, k, p, np.array([q, 0.75 * q + 0.25, 0.5 * q + 0.5, 1.0]))
        favor = _stake(n, k, q, np.array([0.0, 0.5 * p, p]))
        refuted = against >= -np.log(self.level)
        return refuted, (favor >= -np.log(self.miss)) & (n >= self.least) & ~refuted

    @cache  # noqa: B019 (a tuple of numbers)
    def power(self, rate, goal=2.0):
        """(chance, n): the exact one to refute when each flag fails with probability ``rate``, within n flags (where it is ``goal``)."""
        alive, done = np.ones(1), 0.0
        for n in range(1, self.most + 1):
            now = np.zeros(n + 1)
            now[:-1] += alive * (1 - rate)
            now[1:] += alive * rate
            refuted, upheld = self.reached(n, np.arange(n + 1))
            done += now[refuted].sum()
            alive = np.where(refuted | upheld, 0.0, now)
            if done >= goal or alive.sum() < 1e-9:
                return float(done), n
        return float(done), self.most


@cache
def sequential(claimed, level, least, effort=1.0):
    """The Sequential test of a claimed failure probability, as long as it takes to refute one of twice the size, or 0.2, with POWER.

    ``effort`` times as many flags make the probability to miss that as many times a power smaller.
    """
    alternative = min(max(2 * claimed, LEAST_ALTERNATIVE), 1.0)
    test = Sequential(claimed, alternative, level, (1 - POWER) ** effort, math.ceil(least * effort), LONGEST)
    _, enough = test._replace(least=least, miss=1 - POWER).power(alternative, goal=POWER)
    return test._replace(most=max(test.least, math.ceil(enough * effort)))


def _stake(n, k, fair, bets):
    """Logarithm of the mean stake after n flags, k of them failures, of bets that failures have probability ``bets`` and not ``fair``."""
    from scipy.special import xlogy

    n, k = np.asarray(n, float)[..., None], np.asarray(k, float)[..., None]
    growth = xlogy(k, bets / fair) + xlogy(n - k, (1 - bets) / (1 - fair)) if fair < 1 else np.where(k < n, np.inf, 0.0) + 0 * bets
    return np.logaddexp.reduce(growth, axis=-1) - np.log(len(bets))


def stakes(samples, bound, low, high):
    """[n, m] nonnegative variables whose mean is at most 1 if that of ``samples`` [n, m] >= ``low`` is at most ``bound``.

    Outside of [low, high] the claim's own range is wrong: ValueError.
    """
    bound, low, high = np.asarray(bound, float), np.asarray(low, float), np.asarray(high, float)
    slack = 1e-9 * (1 + np.abs(samples))
    if np.any(samples < low - slack) or np.any(samples > high + slack):
        seen = f"{np.min(samples):g} .. {np.max(samples):g}"
        raise ValueError(f"samples must lie in the range that the claim states, [{np.min(low):g}, {np.max(high):g}], got {seen}")
    room = np.where(bound > low, bound - low, np.inf)  # a bound at the end of the range: nothing above it can be lost
    exceeded = np.where(bound > low, 0.0, np.where(samples > bound + slack, np.inf, 1.0))
    return np.where(bound > low, np.maximum(samples - low, 0) / room, exceeded)


def capital(games):
    """[m] largest logarithm that a stake of 1 ever reaches, betting equal parts with each fraction of BETS on games [n, m] >= 0.

    If the mean of each game is at most 1, whatever came before, the probability to ever reach log(1 / level) is at most ``level``
    (Ville's inequality for the nonnegative supermartingale prod_t (1 + bet (game_t - 1)), averaged over bets).
    """
    with np.errstate(over="ignore"):
        growth = np.log1p(BETS * (games[..., None] - 1))  # [n, m, bets]
    paths = np.cumsum(growth, axis=0)
    top = paths.max(axis=-1, keepdims=True)
    finite = np.where(np.isfinite(top), top, 0)
    mixed = np.where(np.isfinite(top[..., 0]), finite[..., 0] + np.log(np.mean(np.exp(paths - finite), axis=-1)), np.inf)
    return np.maximum(mixed.max(axis=0), 0.0)


def bootstrap_power(games, level, n=None, resamples=200):
    """How often ``n`` replicates drawn from the observed ones would refute at ``level`` (by their last stake alone: a lower estimate)."""
    weights = np.full(len(games), 1 / len(games))
    return _resampled_power(games, weights, level, n or len(games), resamples)


def _resampled_power(games, weights, level, n, resamples):
    m = games.shape[1]
    counts = np.random.default_rng(0).multinomial(n, weights, size=resamples).astype(float)
    with np.errstate(over="ignore"):
        growth = np.log1p(BETS * (np.minimum(games, 1e300)[..., None] - 1)).reshape(len(games), -1)
    last = (counts @ growth).reshape(resamples, m, len(BETS))
    top = last.max(axis=-1)
    mixed = top + np.log(np.mean(np.exp(last - top[..., None]), axis=-1))
    return float(np.mean(mixed.max(axis=1) >= -np.log(level)))


def power_of_mean(samples, bound, low, high, level, n, columns=4, resamples=100):
    """Estimated probability to refute a mean twice as far above ``low`` as the ``bound``, or 0.2 of the range if that is more (and at most
    halfway from the bound to ``high``): the observed samples, mixed with ``high``, or stretched where there is no end.

    The least over the coordinates that scatter most; None where every bound is at or above the end of its range, so that no mean can
    exceed it. ``samples`` [seen, m], [m] limits; ``n`` replicates of the test.
    """
    seen, powers = len(samples), []
    spread = samples.std(axis=0) / np.where(bound > low, bound - low, 1.0)
    for j in np.argsort(-spread)[:columns]:
        x, room, mean = samples[:, j] - low[j], bound[j] - low[j], samples[:, j].mean() - low[j]
        if room <= 0:  # one sample above the bound refutes
            powers.append(1.0)
        elif np.isinf(high[j]):
            stretched = x * (2 * room / mean) if mean > 0 else np.full(seen, 2 * room)
            powers.append(_resampled_power((stretched / room)[:, None], np.full(seen, 1 / seen), level, n, resamples))
        elif high[j] > bound[j]:
            width = high[j] - low[j]
            goal = min(max(2 * room, LEAST_ALTERNATIVE * width), (room + width) / 2)
            share = min(max((goal - mean) / (width - mean), 0.0), 1.0)  # 0: the samples lie above it already
            games = np.append(x, width)[:, None] / room
            powers.append(_resampled_power(games, np.append(np.full(seen, (1 - share) / seen), share), level, n, resamples))
    return min(powers, default=None)


class Growth(NamedTuple):
    """A fitted ``exponent`` with its bootstrap interval [``low``, ``high``], the ``exponents`` of all resamples, and in which share of
    them logarithmic growth describes the mean curve better than a power law."""

    exponent: float
    low: float
    high: float
    exponents: np.ndarray
    log_share: float


def growth(x, y, level):
    """How the mean of ``y`` [n, m] grows along ``x`` [m]: least squares on logarithms, replicates resampled. n >= 2, m >= 3, mean y > 0."""
    if len(y) < 2 or len(x) < 3:
        raise ValueError(f"growth needs at least 2 replicates and 3 points, got {len(y)} and {len(x)}")
    rng = np.random.default_rng(0)
    means = y[rng.integers(len(y), size=(RESAMPLES, len(y)))].mean(axis=1)
    if (y.mean(axis=0) <= 0).any():
        raise ValueError("growth is fitted to logarithms, and a mean is not positive")
    means = np.where(means > 0, means, y.mean(axis=0))  # a resample that falls below zero keeps the mean there
    exponent = _slope(x, y.mean(axis=0)[None])[0]
    exponents = _slope(x, means)
    low, high = np.quantile(exponents, [level / 2, 1 - level / 2])
    return Growth(
        float(exponent), float(low), float(high), exponents, float(np.mean(_misfit_of_log(x, means) < _misfit_of_power(x, means)))
    )


def _slope(x, curves):
    u = np.log(x) - np.log(x).mean()
    return np.log(curves) @ u / (u @ u)


def _misfit_of_power(x, curves):
    """Sum of squared relative residuals of the best c x^p, fitted on logarithms."""
    u = np.log(x) - np.log(x).mean()
    logs = np.log(curves)
    fitted = logs.mean(axis=1, keepdims=True) + _slope(x, curves)[:, None] * u
    return np.sum((np.exp(fitted - logs) - 1) ** 2, axis=1)


def _misfit_of_log(x, curves):
    """Sum of squared relative residuals of the best a + b log x, fitted with weights 1 / y^2."""
    design = np.stack([np.ones_like(x), np.log(x)], axis=1)[None] / curves[..., None]  # [B, m, 2], target 1
    gram, right = np.einsum("bmi,bmj->bij", design, design), design.sum(axis=1)
    coefficients = np.linalg.solve(gram, right[..., None])[..., 0]
    return np.sum((np.einsum("bmi,bi->bm", design, coefficients) - 1) ** 2, axis=1)
