"""Tables of mean losses for ``tabular_rl.losses``: what the worlds of the delayed-feedback experiments charge.

Each is an array with values in [0, 1]; ``losses.stochastic(mdp, means)`` and ``losses.periodic(mdp, tables, ...)`` make worlds of them.
"""

import numpy as np

from tabular_rl.models import validation as check

__all__ = ["linear", "spread", "square", "uniform"]


def uniform(H, S, A, seed=0):
    """Mean losses [H, S, A], independent U[0.2, 0.8]."""
    return np.random.default_rng(check.integer("seed", seed, 0, None)).uniform(0.2, 0.8, _shape(H, S, A))


def square(H, S, A, gap=0.2):
    """Two tables [2, H, S, A]: action 0 is better than action 1 by ``gap`` in [0, 1], then worse; further actions cost 1/2.

    The square wave of period T is ``losses.periodic(mdp, square(H, S, A, gap), T, offset=T // 2)``.
    """
    gap = check.number("gap", gap, at_least=0, at_most=1)
    H, S, A = _shape(H, S, A)
    tables = np.full((2, H, S, check.integer("A", A, 2)), 0.5)
    tables[:, :, :, :2] += 0.5 * gap * np.array([[-1, 1], [1, -1]])[:, None, None, :]
    return tables


def spread(H, S, A, episodes, seed=0):
    """Mean losses [H, S, A]: 1/2 everywhere, less by min(1/4, sqrt(S A / episodes) / 2) for one random action of each (h, s).

    The gap shrinks with the number of episodes just so that no learner can find it in time: regret of order sqrt(episodes).
    """
    H, S, A = _shape(H, S, A)
    best = np.random.default_rng(check.integer("seed", seed, 0, None)).integers(A, size=(H, S))
    gap = min(0.25, 0.5 * np.sqrt(S * A / check.integer("episodes", episodes, 1)))
    return 0.5 - gap * (np.arange(A) == best[..., None])


def linear(features, H, episodes, seed=7, spread=0.3):
    """Losses [episodes, H, S, A] that are linear in ``features`` ([S, A, d] or [H, S, A, d], rows in the simplex); the parameters jitter.

    <phi, clip(lambda_h + spread U(-1, 1), 0, 1)>, lambda U[0, 1]^d per step; draws: lambda, then the jitter of all episodes.
    """
    features = check.distribution("features", features)
    rng, d = np.random.default_rng(check.integer("seed", seed, 0, None)), features.shape[-1]
    base = rng.random((check.integer("H", H, 1), d))
    jitter = check.number("spread", spread, at_least=0) * rng.uniform(-1, 1, (check.integer("episodes", episodes, 1), *base.shape))
    return np.minimum(np.einsum("...sad,k...d->k...sa", features, np.clip(base + jitter, 0, 1)), 1.0)


def _shape(H, S, A):
    return check.integer("H", H, 1), check.integer("S", S, 1), check.integer("A", A, 1)
