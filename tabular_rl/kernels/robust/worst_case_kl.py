"""Worst-case expectations over relative-entropy balls: max p.z with sum p log(p / p0) <= radius, on the support of p0.

The maximizer is the tilt p_eta proportional to p0 exp(eta z). All moments are taken of x = z - max z, and the logarithm of
sum p0 exp(eta x) as log1p(sum p0 expm1(eta x)) where that is near 0: the textbook log-sum-exp loses 6e-10 at small radii.
Conventions as in ``worst_case_l1``.

Source: Donsker, Varadhan 1975; Nilim, El Ghaoui 2005; drpg spec 2.5 (derived).
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust.worst_case_l1 import dot

PRECISION = 2e-15  # of the gap (radius - KL) / eta, relative to max |z|
STEPS = 200  # Newton takes six to ten; the bound serves bisections at the limits of float64
BISECTION = 8  # every eighth step halves the bracket, whatever the slope says: rounding may leave nothing of it


@njit
def worst_kl(z, p0, radius, p):
    """Safeguarded Newton for KL(p_eta, p0) = radius. Dual: lambda = 1 / eta; 0 if the ball does not bind, infinite for radius 0."""
    top, size, mass, mean, square = row_moments(z, p0)
    if mean < 0.0 and radius >= -np.log(mass):
        tilted(z, p0, np.inf, p)
        return top, 0.0
    low = lower_end(radius, mean)
    if radius == 0.0 or low == np.inf:
        for i in range(len(z)):
            p[i] = p0[i]
        return dot(p0, z), np.inf if mean < 0.0 and radius == 0.0 else 0.0
    eta, high, best = max(np.sqrt(2.0 * radius) / np.sqrt(square), low) if square > 0.0 else low, np.inf, low
    for step in range(STEPS):
        entropy, _, spread = tilt(z, p0, top, eta)
        if entropy <= radius:
            low = best = eta
        else:
            high = eta
        if abs(radius - entropy) <= PRECISION * size * eta and entropy - radius <= 1e-13 * max(1.0, radius):
            best = eta
            break
        after = next_point(eta, low, high, eta + eta * ((radius - entropy) / spread), step)
        if after in (low, high, eta):
            break
        eta = after
    tilted(z, p0, best, p)
    return dot(p, z), 1.0 / best


@njit
def lower_end(radius, mean):
    """A tilt that is too weak: KL(p_eta, p0) <= eta E(max z - z) by Jensen; ``mean`` = -E(max z - z). Infinite where z is constant."""
    return max(radius / abs(mean), 5e-324)


@njit
def next_point(now, low, high, newton, step):
    """Newton's point where it lies between 0 < low and high; else twice ``now`` while nothing lies above, or the middle of the magnitudes.

    A point that is not a number lies nowhere.
    """
    if low < newton < high and step % BISECTION != BISECTION - 1:
        return newton
    if high == np.inf:
        return 2.0 * now
    return np.sqrt(low) * np.sqrt(high) if low < 0.25 * high else low + 0.5 * (high - low)


@njit
def row_moments(z, p0):
    """(max z, max |z|, nominal mass of the maximum, mean and variance of z - max z), on the support."""
    top, size = -np.inf, 0.0
    for i in range(len(z)):
        if p0[i] > 0.0:
            top, size = max(top, z[i]), max(size, abs(z[i]))
    mass, mean, square = 0.0, 0.0, 0.0
    for i in range(len(z)):
        if p0[i] > 0.0:
            mean += p0[i] * (z[i] - top)
            if z[i] == top:
                mass += p0[i]
    if mean < 0.0:  # else z is constant there
        for i in range(len(z)):
            square += p0[i] * (z[i] - top - mean) ** 2 if p0[i] > 0.0 else 0.0
    return top, size, min(mass, 1.0), mean, square


@njit
def tilted(z, p0, eta, p):
    """``p`` [n] becomes the tilt p_eta; an infinite eta keeps the maxima alone."""
    top, total = -np.inf, 0.0
    for i in range(len(z)):
        if p0[i] > 0.0:
            top = max(top, z[i])
    for i in range(len(z)):
        p[i] = p0[i] * (np.exp(eta * (z[i] - top)) if z[i] < top else 1.0) if p0[i] > 0.0 else 0.0
        total += p[i]
    for i in range(len(z)):
        p[i] /= total


@njit
def _grow(x):
    """(exp(x), exp(x) - 1), both with full relative accuracy."""
    if x > -0.5:
        less = np.expm1(x)
        return 1.0 + less, less
    more = np.exp(x)
    return more, more - 1.0


@njit
def _logarithm(mean, excess):
    """log(mean), given excess = mean - 1 as well."""
    return np.log1p(excess) if excess > -0.5 else np.log(mean)


@njit
def tilt(z, p0, top, eta):
    """(KL(p_eta, p0), mean of x, variance of x), x = eta (z - max z), under the tilt p_eta, eta finite. The derivative of KL is that
    variance over eta.
    """
    mean, excess, first, second = 0.0, 0.0, 0.0, 0.0
    for i in range(len(z)):
        if p0[i] > 0.0:
            x = eta * (z[i] - top)
            grown, more = _grow(x)
            mean += p0[i] * grown
            excess += p0[i] * more
            if grown > 0.0:
                first += p0[i] * grown * x
                second += p0[i] * grown * x * x
    first /= mean
    second /= mean
    return first - _logarithm(mean, excess), first, max(second - first * first, 0.0)


@njit
def dual_kl(z, p0, radius, multiplier):
    """l radius + m + l log sum p0 exp((z - m) / l), m = max z on the support: an upper bound for every l >= 0 (infinite: for radius 0)."""
    top, _, _, mean, _ = row_moments(z, p0)
    if multiplier == 0.0:
        return top
    if multiplier == np.inf:
        return top + mean if radius == 0.0 else np.inf
    average, excess = 0.0, 0.0
    for i in range(len(z)):
        if p0[i] > 0.0:
            grown, more = _grow((z[i] - top) / multiplier)
            average += p0[i] * grown
            excess += p0[i] * more
    return multiplier * radius + top + multiplier * _logarithm(average, excess)
