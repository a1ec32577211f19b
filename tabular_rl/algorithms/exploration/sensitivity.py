"""Online sensitivity sampling: a point is kept the more likely, the more the data so far leave open at it (lpo spec, 3 and 5.6).

One set of data in three classes of functions on n points, chosen by the shapes of its arrays:

    tabular   features [n, 0], differences [0, n]: cells, kept weight of each
    linear    features [n, d]: inverse [d, d] of Lam = lam I + sum weight phi phi^T
    finite    differences [J, n]: squared differences of pairs of functions, h[J] = sum weight D[j, point]

``weights`` [n] are the kept weights of the points in every class.
"""

from typing import Any, NamedTuple

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


@njit
def squared_width(point, features, differences, lam, weights, inverse, h):
    """w2 of a point: 1 / (lam + weight), phi^T Lam^-1 phi, or max_j D[j, point] / (lam + h[j])."""
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
def sample_stream(
    points, coins, constant, integer_weights, reweight, features, differences, lam, weights, gram, inverse, h, work, sensitivities, kept
):  # fmt: skip
    """Offer the ``points`` [N] one by one; fill ``sensitivities`` [N] and ``kept`` [N] (the weight of a kept point, else 0)."""
    for i in range(len(points)):
        sensitivities[i] = min(1.0, squared_width(points[i], features, differences, lam, weights, inverse, h))
        p = keep_probability(sensitivities[i], constant, integer_weights)
        kept[i] = 0.0
        if coins[i] < p:
            kept[i] = 1.0 / p if reweight else 1.0
            add_point(points[i], kept[i], features, differences, weights, gram, inverse, h, work)
