"""Covariances of features, their regularized inverses, exact and by resampling. Shapes: ``features`` [S, A, d]; a matrix [d, d]."""

import numpy as np

from tabular_rl.kernels.compiling import njit


@njit
def add_covariance(features, state_weights, policy, matrix):
    """matrix += sum_{s,a} weight[s] policy[s,a] phi phi^T: 2 S A d^2 flops."""
    S, A, d = features.shape
    for s in range(S):
        if state_weights[s] > 0.0:
            for a in range(A):
                weight = state_weights[s] * policy[s, a]
                for i in range(d):
                    for j in range(d):
                        matrix[i, j] += weight * features[s, a, i] * features[s, a, j]


@njit
def invert(matrix, inverse):
    """Fill ``inverse`` of a symmetric positive definite ``matrix``, which is destroyed: Gauss-Jordan without pivots."""
    d = len(matrix)
    for i in range(d):
        for j in range(d):
            inverse[i, j] = 1.0 if i == j else 0.0
    for i in range(d):
        pivot = matrix[i, i]
        for j in range(d):
            matrix[i, j] /= pivot
            inverse[i, j] /= pivot
        for r in range(d):
            factor = matrix[r, i]
            if r != i and factor != 0.0:
                for j in range(d):
                    matrix[r, j] -= factor * matrix[i, j]
                    inverse[r, j] -= factor * inverse[i, j]


@njit
def resample_inverse(phi, gamma, step, product, work, inverse):
    """One step of matrix geometric resampling (Neu, Olkhovskaya 2020).

        product <- product (I - step (gamma I + phi phi^T)),   inverse <- inverse + step product

    Started at product = I, inverse = step I. After N steps E inverse = M^-1 (I - (I - step M)^(N + 1)), M = gamma I + E phi phi^T.
    """
    d = len(phi)
    for i in range(d):
        work[i] = 0.0
        for j in range(d):
            work[i] += product[i, j] * phi[j]
    for i in range(d):
        for j in range(d):
            product[i, j] -= step * (gamma * product[i, j] + work[i] * phi[j])
            inverse[i, j] += step * product[i, j]


@njit
def quadratic_form(matrix, x, y):
    """x^T matrix y."""
    total = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            total += x[i] * matrix[i, j] * y[j]
    return total


@njit
def update_direction(phi, inverse, direction):
    """Fill ``direction`` [d] = inverse phi; returns c = 1 + phi^T inverse phi: a visit to phi multiplies the determinant by c.

    (inverse^-1 + phi phi^T)^-1 = inverse - direction direction^T / c (Sherman-Morrison).
    """
    d, c = len(phi), 1.0
    for i in range(d):
        direction[i] = 0.0
        for j in range(d):
            direction[i] += inverse[i, j] * phi[j]
        c += phi[i] * direction[i]
    return c


@njit
def ridge_update(phi, successor, inverse, weights, gram, moments, direction):
    """One visit with features ``phi`` [d] and next state ``successor``: Sherman-Morrison for the inverse AND the estimates.

        inverse [d, d] = (lambda I + sum phi phi^T)^-1,   weights [d, S] = inverse moments,   moments [:, t] = sum of phi before t

    ``weights @ f`` is then the ridge estimate of (E_mu_i f)_i for every f at once, at O(d^2 + d S) per visit, whatever the number of
    visits. ``gram`` and ``moments`` are exact sums, kept for ``ridge_refresh``. Returns log det(new gram) - log det(old gram).
    """
    d, S = weights.shape
    c = update_direction(phi, inverse, direction)
    for t in range(S):
        predicted = 0.0
        for i in range(d):
            if phi[i] != 0.0:
                predicted += phi[i] * weights[i, t]
        predicted -= 1.0 if t == successor else 0.0
        for i in range(d):
            weights[i, t] -= direction[i] * predicted / c
    for i in range(d):
        for j in range(d):
            inverse[i, j] -= direction[i] * direction[j] / c
        if phi[i] != 0.0:
            moments[i, successor] += phi[i]
            for j in range(d):
                gram[i, j] += phi[i] * phi[j]
    return np.log(c)


@njit
def regression_update(x, y, inverse, moments, direction):
    """One pair of a ridge regression: inverse = (lambda I + sum x x^T)^-1 and moments = sum x y. Returns the growth of log det."""
    d, c = len(x), 1.0
    for i in range(d):
        direction[i] = 0.0
        for j in range(d):
            direction[i] += inverse[i, j] * x[j]
        c += x[i] * direction[i]
        moments[i] += x[i] * y
    for i in range(d):
        for j in range(d):
            inverse[i, j] -= direction[i] * direction[j] / c
    return np.log(c)


@njit
def count_update(weights, successor, count):
    """``ridge_update`` for a unit vector: ``weights`` [S] is its row of estimates, ``count`` its visits so far plus lambda. O(S).

    >>> weights = np.zeros(2)
    >>> for visits, successor in enumerate([1, 0, 1]):
    ...     growth = count_update(weights, successor, visits + 1.0)
    >>> weights  # one visit of state 0 and two of state 1, among three and lambda = 1
    array([0.25, 0.5 ])
    """
    for t in range(len(weights)):
        weights[t] *= count / (count + 1.0)
    weights[successor] += 1.0 / (count + 1.0)
    return np.log((count + 1.0) / count)


@njit
def ridge_refresh(gram, moments, inverse, weights, work):
    """Drift control: ``inverse`` and ``weights`` anew from the exact sums, the inverse made symmetric. ``work`` [d, d]."""
    d, S = weights.shape
    for i in range(d):
        for j in range(d):
            work[i, j] = gram[i, j]
    invert(work, inverse)
    for i in range(d):
        for j in range(i):
            inverse[i, j] = inverse[j, i] = 0.5 * (inverse[i, j] + inverse[j, i])
    for i in range(d):
        for t in range(S):
            weights[i, t] = 0.0
        for j in range(d):
            for t in range(S):
                weights[i, t] += inverse[i, j] * moments[j, t]


@njit
def doubled(logdet, logdet_then):
    """Whether some step's determinant has doubled since ``logdet_then`` [H] (rare switching)."""
    growth = -np.inf
    for h in range(len(logdet)):
        growth = max(growth, logdet[h] - logdet_then[h])
    return growth >= np.log(2.0) - 1e-9
