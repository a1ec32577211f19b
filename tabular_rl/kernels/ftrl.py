"""Follow the regularized leader on the simplex: x = argmin <x, cumulative> + beta psi(x), and its exact stability (bobw spec, L5 and 5.1).

    TSALLIS       psi(x) = 2 (1 - sum sqrt(x))     x = (beta / (d + z))^2     local(x) = sqrt(x)
    SHANNON       psi(x) = sum x log x             x ~ exp(-d / beta)         local(x) = 1
    LOG_BARRIER   psi(x) = - sum log x             x = beta / (d + z)         local(x) = x

d = cumulative - min cumulative, and z in [beta, beta A^(1/p)], p = 2 or 1, makes the x sum to 1. Rows of one state: arrays [A].
"""

import math

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.simplex import floored_softmax

TSALLIS, SHANNON, LOG_BARRIER = range(3)
TOLERANCE = 1e-13  # of the sum of x, before it is renormalized
MAX_STEPS = 100  # six are the most ever seen: only inputs that are not numbers get here


@njit
def leader(regularizer, cumulative, beta, z, x):
    """Fill ``x`` [A], all entries positive; returns (z, number of Newton steps).

    ``z`` is where Newton starts, moved into the bracket: the last solution of the state, or 0. ``beta`` > 0.

    The sum is taken to 1 along g(z) = (sum (d + z)^-p)^(-1/p) = beta, a power mean of affine functions: concave and increasing, so that
    Newton from any point lands at or left of the root and then rises to it [derived, bobw spec 5.1]. Shannon needs no steps; its
    probabilities are kept above e^-600. Where ``cumulative`` is infinite, as for actions that do not exist, ``x`` is exactly 0.

    >>> x = np.empty(2)
    >>> float(leader(TSALLIS, np.array([0.0, 5 / 12]), 1.0, 0.0, x)[0])  # x = (1 / (d + z))^2
    1.25
    >>> x.round(12)
    array([0.64, 0.36])
    """
    A = len(x)
    least = cumulative[0]
    for a in range(1, A):
        least = min(least, cumulative[a])
    if regularizer == SHANNON:
        for a in range(A):
            x[a] = (least - cumulative[a]) / beta
        floored_softmax(x, x)
        return 0.0, 0
    tsallis = regularizer == TSALLIS
    low, high = beta, beta * (math.sqrt(A) if tsallis else A)
    z = min(max(z, low), high)
    total, steps = 0.0, 0
    while True:
        total, slope = 0.0, 0.0
        for a in range(A):
            ratio = beta / (cumulative[a] - least + z)
            power = ratio * ratio if tsallis else ratio
            x[a] = power
            total += power
            slope += power * ratio
        if abs(total - 1) < TOLERANCE or steps == MAX_STEPS:
            break
        move = beta * (total - 1) * total / slope
        if tsallis:  # total^(3/2) - total, without cancellation
            move /= math.sqrt(total) + 1
        following = min(max(z + move, low), high)
        steps += 1
        if abs(following - z) <= 1e-15 * z:
            break
        z = following
    for a in range(A):
        x[a] = max(x[a] / total, 1e-300) if cumulative[a] < np.inf else 0.0  # a loss of 1e150 beta would underflow
    return z, steps


@njit
def local_norm(regularizer, p):
    """sqrt(p), 1 or p."""
    return math.sqrt(p) if regularizer == TSALLIS else (1.0 if regularizer == SHANNON else p)


@njit
def stability(regularizer, y, losses, scale, shift, beta):
    """max over x >= 0 of <y - x, l> - beta Breg_psi(x, y) for l = scale (losses - shift), exactly; infinite where some w <= -1.

    y > 0, and 0 at actions that do not exist: they add nothing.

    With w = local(y) l / beta it is beta sum_a y / local(y) phi(w), phi(w) = w^2 / (1 + w), e^-w - 1 + w, w - log(1 + w).

    >>> y, losses = np.array([0.25, 0.75]), np.array([2.0, 0.0])
    >>> float(stability(TSALLIS, y, losses, 1.0, 0.0, 1.0))  # w = 1: 0.25 / 0.5 * 1 / 2
    0.25
    >>> float(stability(TSALLIS, y, losses, -1.0, 0.0, 1.0))  # w = -1
    inf
    """
    total = 0.0
    for a in range(len(y)):
        if y[a] == 0.0:
            continue
        size = local_norm(regularizer, y[a])
        w = size * scale * (losses[a] - shift) / beta
        if regularizer == SHANNON:
            phi = math.expm1(-w) + w if abs(w) > 1e-4 else w * w * (0.5 - w / 6)
        elif w <= -1.0:
            return np.inf
        elif regularizer == TSALLIS:
            phi = w * w / (1 + w)
        else:
            phi = w - math.log1p(w) if abs(w) > 1e-4 else w * w * (0.5 - w / 3)
        total += beta * y[a] / size * phi
    return total
