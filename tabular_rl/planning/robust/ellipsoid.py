"""The worst case of one expectation over an ellipsoid whose axes do not lie along the coordinates.

    max p.z   over the simplex with   (p - p0)^T Q^-1 (p - p0) <= radius^2

Given which states stand at 0 the maximizer is explicit (derived): d = p - p0 is known on these, F, and on the others, G, it is what a
normal vector of covariance Q is given d_F: d_G = Q_GF Q_FF^-1 d_F + K (alpha + beta (z - m)), K the conditional covariance, alpha so that
d sums to 0, m the mean of z weighted by K, beta so that the radius is used up. Nothing is inverted but Q_FF. A convex solver is asked
for F, unless nothing is at 0, or everything but one maximum of z is.

For every mu and y >= z, p.z <= p.y <= p0.y + radius |y - mu|_Q (Cauchy-Schwarz): a bound whatever found y.
"""

import contextlib
from typing import NamedTuple

import numpy as np

from tabular_rl.extras import extra

ROUNDS = 20  # exchanges between the states at 0 and the others; the solver's answer is one or two away
ROUNDING = 1e-13
NOWHERE, EVERYWHERE = 1e-100, 1e9  # radii that move no float, and that leave the simplex whatever the matrix that is taken for definite


class Ball(NamedTuple):
    """z - max z in units of its range, p0, Q and radius with Q of mean diagonal 1, and the states that may have mass."""

    z: np.ndarray
    p0: np.ndarray
    Q: np.ndarray
    radius: float
    support: np.ndarray


def worst_ellipsoid(z, p0, matrix, radius, support):
    """(value, distribution, mu, bound, whether the solver was asked); z, p0 [n], ``matrix`` [n, n], ``support`` where p may be > 0."""
    top = z[support].max()
    unit = float(top - z[support].min())
    size = float(np.mean(np.diag(matrix)))
    radius *= float(np.sqrt(size))
    if radius < NOWHERE or unit == 0:
        value = float(p0 @ (z - top) + top)
        return value, p0.copy(), float(top), value, False
    ball = Ball(np.minimum((z - top) / unit, 0), p0, matrix / size, min(radius, EVERYWHERE), support)
    best = _improve(ball, [np.zeros(0, int)], 1)
    if best is None:
        best = _improve(ball, [np.setdiff1d(support, i) for i in support[ball.z[support] == 0]], 1)
    slow = best is None
    if slow:
        best = _by_solver(ball)
    p, mu, bound = best
    return float(top + unit * (p @ ball.z)), p, float(top + unit * mu), float(top + unit * bound), slow


def _improve(ball, guesses, rounds):
    """(p, mu, bound) of a certified maximizer from the first guess of the states at 0 that leads to one, else None."""
    for zeros in guesses:
        for _ in range(rounds):
            step = _explicit(ball, zeros)
            if step is None:
                break
            p, y, mu = step
            wanted, paid = p < 0, y < ball.z - ROUNDING
            if not wanted.any() and not paid[zeros].any():
                return p, mu, _bound(ball, y, mu)
            zeros = np.union1d(zeros[~paid[zeros]], np.flatnonzero(wanted))
    return None


def _explicit(ball, zeros):
    """(p, y, mu) with the states ``zeros`` at 0, p perhaps negative elsewhere; None where the ball does not reach that far."""
    z, p0, Q, radius, support = ball
    G = np.setdiff1d(support, zeros)
    F = np.setdiff1d(np.arange(len(z)), G)
    d, y = -p0.copy(), z.copy()
    across = np.linalg.solve(Q[np.ix_(F, F)], np.column_stack([Q[np.ix_(F, G)], d[F]]))
    K, spent = Q[np.ix_(G, G)] - Q[np.ix_(G, F)] @ across[:, :-1], float(d[F] @ across[:, -1])
    weights, center = K.sum(axis=1), Q[np.ix_(G, F)] @ across[:, -1]
    if not len(G) or weights.sum() <= 0:
        return None
    mean = weights @ z[G] / weights.sum()
    mean += weights @ (z[G] - mean) / weights.sum()
    alpha = -(d[F].sum() + center.sum()) / weights.sum()
    rest, spread = radius**2 - spent - alpha**2 * weights.sum(), float((z[G] - mean) @ K @ (z[G] - mean))
    if rest < 0:
        return None
    if np.ptp(z[G]) == 0 or spread <= 0:
        if z[G].max() < 0:
            return None
        d[G] = center + alpha * weights
        return np.where(np.isin(np.arange(len(z)), G), p0 + d, 0), np.where(np.isin(np.arange(len(z)), support), 0.0, z), 0.0
    beta = np.sqrt(rest / spread)
    slope = alpha + beta * (z[G] - mean)
    d[G] = center + K @ slope
    mu = mean - alpha / beta
    y[F] = mu + np.linalg.solve(Q[np.ix_(F, F)], d[F] - Q[np.ix_(F, G)] @ slope) / beta
    return np.where(np.isin(np.arange(len(z)), G), p0 + d, 0), y, mu


def _bound(ball, y, mu):
    """p0.y + radius |y - mu|_Q, with y raised to z where there may be mass."""
    y = y.copy()
    y[ball.support] = np.maximum(y[ball.support], ball.z[ball.support])
    return min(float(ball.p0 @ y + ball.radius * np.sqrt(max((y - mu) @ ball.Q @ (y - mu), 0))), 0.0)


def _by_solver(ball):
    """(p, mu, bound): the states at 0 by CLARABEL, the maximizer from them; the solver's own where the exchange does not end."""
    with extra("programs"):
        import cvxpy as cp

    z, p0, Q, radius, support = ball
    L, n = np.linalg.cholesky(Q), len(z)
    w = cp.Variable(n)
    move = L @ w  # (p - p0) / radius; no entry exceeds sqrt(n), so that what lies further away than that does not bind
    floor = np.minimum(p0[support] / radius, 2 * np.sqrt(n))
    above = move[support] >= -floor
    off = np.setdiff1d(np.arange(n), support)
    rules = [cp.norm2(w) <= 1, cp.sum(move) == 0, above] + ([move[off] == 0] if len(off) else [])
    program = cp.Problem(cp.Maximize(z @ move), rules)
    with contextlib.suppress(cp.SolverError):
        program.solve(cp.CLARABEL)
    if w.value is None:  # nothing was found: the nominal row, and what the ball alone allows
        mean = (Q.sum(axis=1) @ z) / Q.sum()
        return p0.copy(), mean, _bound(ball, z, mean)
    p = np.zeros(n)
    p[support] = np.maximum(p0[support] + radius * (L @ w.value)[support], 0)
    p /= p.sum()
    prices = np.maximum(above.dual_value, 0)
    guesses = [support[(p[support] < cut)] for cut in (1e-9, 1e-7, 1e-5)] + [support[prices > p[support]]]
    exact = _improve(ball, guesses, ROUNDS)
    if exact is not None:
        return exact
    d = p - p0
    length = np.linalg.norm(np.linalg.solve(L, d))
    p = p0 + d * min(1.0, radius / length) if length > 0 else p0.copy()
    y = z.copy()
    y[support] += prices
    if len(off):
        y[off] = z[off] + rules[3].dual_value
    mu = (Q.sum(axis=1) @ y) / Q.sum()
    return p, mu, _bound(ball, y, mu)
