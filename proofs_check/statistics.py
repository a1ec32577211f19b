"""The mathematics of the statistical verdicts: an exact binomial test, betting against a bounded mean, fitted growth.

Closed forms in a few lines, where SciPy has none; ``tests/proofs_check/test_calibration.py`` measures their false alarms.
"""

from typing import NamedTuple

import numpy as np

BETS = np.concatenate([np.geomspace(1e-4, 0.5, 24), [0.7, 0.9]])  # fractions of the stake, mixed with equal weights
RESAMPLES = 2000


def binomial_excess(failures, n, probability, level):
    """(p-value, power): P(Bin(n, probability) >= failures), and the chance that n new replicates of the observed rate give p <= level."""
    from scipy.stats import binom

    p_value = float(binom.sf(failures - 1, n, probability))
    critical = int(binom.isf(level, n, probability)) + 1  # the least count with P(Bin >= count) <= level
    while binom.sf(critical - 1, n, probability) > level:
        critical += 1
    return p_value, float(binom.sf(critical - 1, n, failures / n))


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


def bootstrap_power(games, level, resamples=200):
    """How often n replicates drawn from the observed ones would refute at ``level`` (by their last stake alone: a lower estimate)."""
    n, m = games.shape
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    with np.errstate(over="ignore"):
        growth = np.log1p(BETS * (np.minimum(games, 1e300)[..., None] - 1)).reshape(n, -1)
    last = (counts @ growth).reshape(resamples, m, len(BETS))
    top = last.max(axis=-1)
    mixed = top + np.log(np.mean(np.exp(last - top[..., None]), axis=-1))
    return float(np.mean(mixed.max(axis=1) >= -np.log(level)))


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
