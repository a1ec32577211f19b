"""Multiplicative weights: the exact identity behind every mirror-descent regret bound (foundations spec MW)."""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import STYLES, Box, Simplex, draw, scales, simplex_point, simplex_points, vectors
from tabular_rl.kernels import simplex


def _relative_entropy(p, q):
    with np.errstate(divide="ignore"):
        return simplex.relative_entropy(p, np.log(p), np.log(q))


def _brackets(p, eta, gains):
    """Run the learners' updates from ``p``; returns (weights [T + 1, n], log <p_t, exp(eta f_t)> - eta <p_t, f_t> [T])."""
    weights, brackets, logs = [p], [], np.empty(len(p))
    for f in gains:
        p, top = weights[-1], int(np.argmax(np.log(weights[-1]) + eta * f))
        weights.append(np.empty(len(p)))
        simplex.softmax(np.log(p) + eta * f, weights[-1])
        simplex.log_softmax(np.log(p) + eta * f, logs, np.empty(len(p)))
        # what the logarithms were normalized by is <p, exp(eta f)>
        brackets.append(np.log(p[top]) + eta * f[top] - logs[top] - eta * (p @ f))
    return np.array(weights), np.array(brackets)


def gain_sequence(first, rounds, seed):
    """Gains [rounds, n] in [-1, 1] for the n points of the drawn distribution."""
    return np.random.default_rng(seed).uniform(-1, 1, (rounds, len(first)))


def comparator_like(first, style, seed):
    """A distribution over as many points as the drawn one."""
    return simplex_point(len(first), style, seed)


_gains = draw(gain_sequence, st.integers(1, 8), space=Box(-1.0, 1.0), fit=True)
_comparators = draw(comparator_like, st.sampled_from(STYLES), space=Simplex(), fit=True)


@claim("mw.identity", kind=identity, source="foundations spec MW", provenance="derived",
       given=(simplex_points(), _gains, _comparators, scales(-2, 0.5)), control={"last_entropy": 0.0})  # fmt: skip
def multiplicative_weights(p, gains, comparator, eta, last_entropy=1.0):
    """sum <q - p_t, f_t> = (KL(q, p_1) - KL(q, p_{T+1})) / eta + (1/eta) sum [log <p_t, exp(eta f_t)> - eta <p_t, f_t>].

    Control: the entropy left over at the end is dropped.
    """
    p = np.maximum(p, 1e-12) / np.maximum(p, 1e-12).sum()
    weights, brackets = _brackets(p, eta, gains)
    lhs = np.sum((comparator - weights[:-1]) * gains)
    entropy = _relative_entropy(comparator, weights[0]) - last_entropy * _relative_entropy(comparator, weights[-1])
    return lhs, (entropy + brackets.sum()) / eta, 100 * (1 + 1 / eta)


@claim("mw.hoeffding", kind=inequality, source="Hoeffding 1963; foundations spec MW", provenance="classical",
       given=(simplex_points(), vectors(), scales(-1, 0.5)), control={"constant": 1 / 10})  # fmt: skip
def hoeffding(p, f, eta, constant=1 / 8):
    """log <p, exp(eta f)> - eta <p, f> <= eta^2 (max f - min f)^2 / 8.  Control: the constant 1/10."""
    _, brackets = _brackets(np.maximum(p, 1e-300), eta, f[None])
    return brackets[0], constant * eta**2 * np.ptp(f) ** 2, 1 + eta * np.abs(f).max()


theorem(
    "multiplicative-weights",
    statement=r"For gains $f_t$ of span at most 1, the weights $p_{t+1} \propto p_t e^{\eta f_t}$ have regret "
    r"$\sum_t \langle q - p_t, f_t \rangle \le \mathrm{KL}(q, p_1) / \eta + \eta T / 8$ against every $q$.",
    source="Freund, Schapire 1997; foundations spec MW",
    provenance="classical",
    claims=("mw.identity", "mw.hoeffding"),
)
