"""Online sensitivity sampling: a point is kept the more likely, the more the data so far leave open at it (lpo spec, 3 and 5.6).

One set of data in three classes of functions on n points, chosen by the shapes of its arrays:

    tabular   features [n, 0], differences [0, n]: cells, kept weight of each
    linear    features [n, d]: inverse [d, d] of Lam = lam I + sum weight phi phi^T
    finite    differences [J, n]: squared differences of pairs of functions, h[J] = sum weight D[j, point]

``weights`` [n] are the kept weights of the points in every class.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.linear.ridge import quadratic_form


class Data(NamedTuple):
    """What was kept, in every class, and what it was ``_then``, at an earlier time."""

    weights: Any
    h: Any
    gram: Any
    inverse: Any
    weights_then: Any
    h_then: Any


def no_data(features, differences, lam):
    """The Data of a class before anything was kept."""
    (n, d), J = features.shape, len(differences)
    return Data(np.zeros(n), np.zeros(J), lam * np.eye(d), np.eye(d) / lam, np.zeros(n), np.zeros(J))


@njit
def squared_width(point, features, differences, lam, weights, inverse, h):
    """w2 of a point: 1 / (lam + weight), phi^T Lam^-1 phi, or max_j D[j, point] / (lam + h[j]).

    Tables: a cell of kept weight 3 (features and differences are empty).

    >>> import numpy as np
    >>> none, empty = np.zeros((2, 0)), np.zeros((0, 2))
    >>> squared_width(0, none, empty, 1.0, np.array([3.0, 0.0]), np.zeros((0, 0)), np.zeros(0))
    0.25

    Linear: Lam = diag(2, 4).

    >>> squared_width(1, np.eye(2), empty, 1.0, np.zeros(2), np.diag([0.5, 0.25]), np.zeros(0))
    0.25
    """
    if features.shape[1] > 0:
        return quadratic_form(inverse, features[point], features[point])
    if len(differences) > 0:
        widest = 0.0
        for j in range(len(differences)):
            widest = max(widest, differences[j, point] / (lam + h[j]))
        return widest
    return 1.0 / (lam + weights[point])


@njit
def add_point(point, weight, features, differences, weights, gram, inverse, h, work):
    """Add a point with its weight; the inverse by Sherman and Morrison's formula, O(d^2)."""
    weights[point] += weight
    if features.shape[1] > 0:
        phi, d = features[point], features.shape[1]
        leverage = 0.0
        for i in range(d):
            work[i] = 0.0
            for j in range(d):
                work[i] += inverse[i, j] * phi[j]
            leverage += work[i] * phi[i]
        scale = 1.0 / (1.0 / weight + leverage)
        for i in range(d):
            for j in range(d):
                inverse[i, j] -= work[i] * work[j] * scale
                gram[i, j] += weight * phi[i] * phi[j]
    for j in range(len(differences)):
        h[j] += weight * differences[j, point]


@njit
def keep_probability(sensitivity, constant, integer_weights):
    """p = min(1, C sensitivity); with integer weights the next 1 / k above."""
    p = min(1.0, constant * sensitivity)
    if integer_weights and p > 0.0:
        p = 1.0 / int((1.0 + 1e-12) / p)
    return p


@njit
def sample_stream(points, coins, rule, classes, data, lam, work, sensitivities, kept):
    """Offer the ``points`` [N] one by one; fill ``sensitivities`` [N] and ``kept`` [N] (the weight of a kept point, else 0).

    ``rule`` = (C, whether weights are whole, whether they are 1 / p), ``classes`` = (features, differences); ``work`` [d].
    """
    constant, integer_weights, reweight = rule
    features, differences = classes
    weights, h, gram, inverse, _, _ = data
    for i in range(len(points)):
        sensitivities[i] = min(1.0, squared_width(points[i], features, differences, lam, weights, inverse, h))
        p = keep_probability(sensitivities[i], constant, integer_weights)
        kept[i] = 0.0
        if coins[i] < p:
            kept[i] = 1.0 / p if reweight else 1.0
            add_point(points[i], kept[i], features, differences, weights, gram, inverse, h, work)


@njit
def doubled(data, log_det_gain, lam):
    """Whether the determinant, or any regularized count, has doubled since the last switch."""
    weights, h, gram, _, weights_then, h_then = data
    if len(gram) > 0:
        return log_det_gain >= np.log(2.0)
    now, then = (h, h_then) if len(h) > 0 else (weights, weights_then)
    return np.any(lam + now >= 2 * (lam + then))


@njit
def remember(data):
    """What was kept becomes what it was ``_then``."""
    weights, h, _, _, weights_then, h_then = data
    for pair in range(len(weights)):
        weights_then[pair] = weights[pair]
    for j in range(len(h)):
        h_then[j] = h[j]
