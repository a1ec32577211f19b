"""Multiplicative weights: the exact identity behind every mirror-descent regret bound (catalogue MW)."""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import scales, simplex_points, vectors


def _relative_entropy(p, q):
    support = p > 0
    return np.sum(p[support] * np.log(p[support] / q[support]))


def _brackets(p, eta, gains):
    """Run the updates from ``p``; returns (weights [T + 1, n], log <p_t, exp(eta f_t)> - eta <p_t, f_t> [T])."""
    weights, brackets = [p], []
    for f in gains:
        p = weights[-1]
        # log-mean-exp around the mean, so that small steps keep their digits
        mean = p @ f
        total = p @ np.expm1(eta * (f - mean))
        brackets.append(np.log1p(total))
        following = p * np.exp(eta * (f - mean))
        weights.append(following / following.sum())
    return np.array(weights), np.array(brackets)


def _sequences(first):
    return st.builds(
        lambda rounds, seed: np.random.default_rng(seed).uniform(-1, 1, (rounds, len(first))), st.integers(1, 8), st.integers(0, 2**16)
    )


@claim("mw.identity", kind=identity, source="catalogue MW", provenance="derived",
       given=(simplex_points(), _sequences, lambda p: simplex_points().map(lambda q: np.resize(q, len(p)) / np.resize(q, len(p)).sum()
              if np.resize(q, len(p)).sum() > 0 else np.full(len(p), 1 / len(p))), scales(-2, 0.5)),
       control={"last_entropy": 0.0})  # fmt: skip
def multiplicative_weights(p, gains, comparator, eta, last_entropy=1.0):
    """sum <q - p_t, f_t> = (KL(q, p_1) - KL(q, p_{T+1})) / eta + (1/eta) sum [log <p_t, exp(eta f_t)> - eta <p_t, f_t>].

    Control: the entropy left over at the end is dropped.
    """
    p = np.maximum(p, 1e-12) / np.maximum(p, 1e-12).sum()
    weights, brackets = _brackets(p, eta, gains)
    lhs = np.sum((comparator - weights[:-1]) * gains)
    entropy = _relative_entropy(comparator, weights[0]) - last_entropy * _relative_entropy(comparator, weights[-1])
    return lhs, (entropy + brackets.sum()) / eta, 100 * (1 + 1 / eta)


@claim("mw.hoeffding", kind=inequality, source="Hoeffding 1963; catalogue MW", provenance="classical",
       given=(simplex_points(), vectors(), scales(-1, 0.5)), control={"constant": 1 / 10})  # fmt: skip
def hoeffding(p, f, eta, constant=1 / 8):
    """log <p, exp(eta f)> - eta <p, f> <= eta^2 (max f - min f)^2 / 8.  Control: the constant 1/10."""
    _, brackets = _brackets(p, eta, f[None])
    return brackets[0], constant * eta**2 * np.ptp(f) ** 2, eta * np.abs(f).max()
