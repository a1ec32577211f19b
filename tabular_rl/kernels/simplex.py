"""The probability simplex, one row [A] at a time: soft maxima, entropies, the Euclidean projection.

What is filled in place comes last. A logarithm of -infinity belongs to an action that does not exist: its probability is 0.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit

FLOOR = -600.0  # of log weights: exp(FLOOR) > 0
FAR = 1e3  # from here on a projection first moves the row near 0
ROUNDING = 4e-16


@njit
def softmax(logits, probabilities):
    """probabilities = exp(logits) / sum exp(logits); the two may be the same array.

    >>> p = np.empty(3)
    >>> softmax(np.array([1000.0, 1000.0, -np.inf]), p)
    >>> p
    array([0.5, 0.5, 0. ])
    """
    top, total = -np.inf, 0.0
    for a in range(len(logits)):
        top = max(top, logits[a])
    for a in range(len(logits)):
        probabilities[a] = np.exp(logits[a] - top)
        total += probabilities[a]
    for a in range(len(logits)):
        probabilities[a] /= total


@njit
def floored_softmax(log_weights, probabilities):
    """``softmax`` that no probability leaves as 0: ``log_weights`` are counted from their maximum, in place, and kept above -600.

    An entry of -infinity stays so. The two may be the same array.
    """
    A = len(probabilities)
    top = log_weights[0]
    for a in range(1, A):
        top = max(top, log_weights[a])
    total = 0.0
    for a in range(A):
        x = log_weights[a] - top
        if x < FLOOR and x > -np.inf:  # two selections: a jump would cost a quarter of the time
            x = FLOOR
        log_weights[a] = x
        probabilities[a] = np.exp(x)
        total += probabilities[a]
    for a in range(A):
        probabilities[a] /= total


@njit
def log_softmax(logits, logs, probabilities):
    """logs = logits - log sum exp(logits), and their exponentials; ``logs`` may be ``logits``."""
    top, total = -np.inf, 0.0
    for a in range(len(logits)):
        top = max(top, logits[a])
    for a in range(len(logits)):
        total += np.exp(logits[a] - top)
    shift = np.log(total)
    for a in range(len(logits)):
        logs[a] = logits[a] - top - shift  # in this order: at large logits top would swallow the sum
        probabilities[a] = np.exp(logs[a])


@njit
def entropy(p):
    """- sum p log p."""
    total = 0.0
    for a in range(len(p)):
        if p[a] > 0.0:
            total -= p[a] * np.log(p[a])
    return total


@njit
def relative_entropy(p, log_p, log_q):
    """KL(p || q) as a sum of terms p log(p / q) - p + q >= 0, of which none cancels where p is near q.

    >>> round(float(relative_entropy(np.array([1.0, 0.0]), np.array([0.0, -np.inf]), np.log([0.5, 0.5]))), 12)
    0.69314718056
    """
    total = 0.0
    for a in range(len(p)):
        mass, q = p[a], np.exp(log_q[a])
        more = mass / q - 1.0
        if abs(more) <= ROUNDING * (1.0 - log_q[a]):  # p is q, up to the rounding of its logarithm
            continue
        if abs(more) < 0.5:
            total += q * ((1.0 + more) * np.log1p(more) - more)
        elif mass > 0.0:
            total += mass * (log_p[a] - log_q[a]) - mass + q
        else:
            total += q
    return total


@njit
def project_simplex(x, p):
    """``p`` = the nearest point of the simplex, (x - threshold)^+; the two may be the same array.

    Exact threshold, by dropping what lies below it until nothing does (Michelot 1986). Entries of -infinity become 0. A row far from 0
    is counted from its maximum, which changes nothing but how many digits are left of the threshold's differences.

    >>> p = np.empty(3)
    >>> project_simplex(np.array([0.75, 0.5, -1.0]), p)
    >>> p
    array([0.625, 0.375, 0.   ])
    """
    A, origin = len(x), x[0]
    for a in range(1, A):
        origin = max(origin, x[a])
    if abs(origin) <= FAR:
        origin = 0.0
    mass, count, before = 0.0, A, A + 1
    for a in range(A):
        mass += x[a] - origin
    threshold = (mass - 1.0) / count
    while count < before:
        before, mass, count = count, 0.0, 0
        for a in range(A):
            if x[a] - origin > threshold:
                mass += x[a] - origin
                count += 1
        threshold = (mass - 1.0) / count
    for a in range(A):
        p[a] = max(0.0, x[a] - origin - threshold)


@njit
def project_rows(points):
    """Every row of ``points`` [n, A] becomes its projection onto the simplex."""
    for i in range(len(points)):
        project_simplex(points[i], points[i])
