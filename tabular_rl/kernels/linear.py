"""Covariances of features, their regularised inverses, exact and by resampling. Shapes: ``features`` [S, A, d]; a matrix [d, d]."""

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
    inverse[:] = 0.0
    for i in range(d):
        inverse[i, i] = 1.0
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
