"""Online sensitivity sampling: unbiased increments, two-sided norms, how much is kept (lpo spec, 5.6 and 5.8).

A stream of points in a tabular, linear or finite class; x(v) is the squared value of an index v (cell, direction, pair of functions) at a
point, A_n(v) = lam(v) + sum x(v) over all points, H_n(v) the same with the kept weights.
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl.algorithms import FiniteClass, LinearClass, SensitivitySampler, TabularClass, sampling_constant

SOURCE = "lpo spec"
KINDS = ("tabular", "linear", "finite")


_EVERYTHING = 1e9  # a constant with which every point is kept


class Stream:
    """Points of a class, coins, and what the sampler did with them: ``kept`` weights, ``probability`` and ``score`` of each."""

    def __init__(self, kind, size, length, constant, integer, seed):
        rng = np.random.default_rng(seed)
        self.functions = random_class(kind, size, rng)
        n = self.functions.n_points
        frequency = np.arange(1.0, n + 1) ** -1.5
        self.points = rng.choice(n, length, p=frequency / frequency.sum())
        sampler = SensitivitySampler(self.functions, constant, integer_weights=integer)
        outcomes, self.scores, self.widths = [], [], [sampler.squared_widths()]
        for point, coin in zip(self.points, rng.random(length), strict=True):
            self.scores.append(sampler.score(point))
            outcomes.append(sampler.offer(point, coin))
            self.widths.append(sampler.squared_widths())
        self.kept = np.array([kept for kept, _ in outcomes])
        self.probability = np.array([p for _, p in outcomes])
        self.sampler, self.constant = sampler, constant

    @property
    def squares(self):
        """[n, J]: x(v) of every point, for every cell, pair, or a hundred directions (after lam(v) is divided out)."""
        features, differences = self.functions.packed
        if features.shape[1]:
            directions = np.random.default_rng(0).standard_normal((100, features.shape[1]))
            directions = np.concatenate([directions, features, features @ self.sampler.inverse])
            return (features @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T) ** 2
        return differences.T if len(differences) else np.eye(self.functions.n_points)


def random_class(kind, size, rng):
    """A class on a few points: ``size`` cells, features of that dimension, or that many functions."""
    if kind == "tabular":
        return TabularClass((size,))
    if kind == "linear":
        features = rng.standard_normal((4 * size, size)) * 2.0 ** -np.arange(size)
        return LinearClass(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1))
    return FiniteClass(np.round(rng.random((size + 1, 6)), 2))


def stream(kind, size, length, constant, integer, seed):
    """A Stream of ``length`` points."""
    return Stream(kind, size, length, constant, integer, seed)


_streams = draw(stream, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 400), st.sampled_from([1.0, 2.0, 8.0]), st.booleans())


@claim("sensitivity.increments", kind=inequality, source=f"{SOURCE} 5.6 (S1)", provenance="derived",
       given=(_streams,), control={"factor": 1 / 8})  # fmt: skip
def increments(run, factor=1.0):
    """|Y_i(v)| <= H_{i-1}(v) / C and E[Y_i(v)^2 | past] <= H_{i-1}(v) x_i(v) / C for Y = (kept / p - 1) x, where p < 1.

    Control: an eighth of both.  Proof: p >= C x(v) / H(v) for every v, as the sensitivity is the largest of these ratios.
    """
    x = run.squares[run.points]
    weights = np.where(run.kept, 1 / run.probability, 0)[:, None]
    H = run.sampler.lam + np.cumsum(weights * x, axis=0) - weights * x
    p, open_ = run.probability[:, None], (run.probability < 1)[:, None]
    Y, variance = np.abs(weights - 1) * x * open_, (1 / p - 1) * x**2 * open_
    allowed = factor * H / run.constant
    return np.stack([Y, variance]), np.stack([allowed * open_, allowed * x * open_]), np.max(H)


def potential_bound(functions, points, lam=1.0):
    """S4: what the sensitivities of all points can sum to."""
    n = len(points)
    if isinstance(functions, LinearClass):
        d = functions.dimension
        return d * math.log(1 + n / (d * lam)) / math.log(2)
    counts = np.bincount(points, minlength=functions.n_points)
    visits = float(np.sum(np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)))
    if isinstance(functions, TabularClass):
        return float(np.sum(np.minimum(counts, 1 + np.log(np.maximum(counts, 1)))))
    pairs = len(functions.packed[1])
    return min(visits, pairs * math.log(1 + n * functions.packed[1].max() / lam) / math.log(2))


@claim("sensitivity.potential", kind=inequality, source=f"{SOURCE} 5.6 (S4)", provenance="derived",
       given=(draw(stream, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 400), _EVERYTHING, False),),
       control={"factor": 1 / 2})  # fmt: skip
def potential(run, factor=1.0):
    """sum_i min(1, sup_v x_i(v) / A_{i-1}(v)) <= d log2(1 + n / d), sum over cells of 1 + log(visits), or pairs log2(1 + n): logarithmic.

    Everything is kept here. Control: half of it.
    """
    return float(np.sum(run.scores)), factor * potential_bound(run.functions, run.points)


@claim("sensitivity.eluder", kind=inequality, source=f"{SOURCE} 5.6 (S4)", provenance="derived",
       given=(draw(stream, "finite", st.integers(1, 3), st.integers(20, 400), _EVERYTHING, False),), control={"levels": 0.02})  # fmt: skip
def eluder(run, levels=1.0):
    """sum_i min(1, sup_v x_i(v) / A_{i-1}(v)) <= 1 + L dE (2 log n + 1), dE the eluder dimension at scale sqrt(lam / (2 n)) by brute force.

    L = floor(log2(max D n / lam)) + 2 dyadic levels.  Control: a fiftieth of them.
    """
    D, n = run.functions.packed[1], len(run.points)
    L = max(math.floor(math.log2(max(D.max() * n, 1e-12))) + 2, 0)
    return float(np.sum(run.scores)), 1 + levels * L * eluder_dimension(D, math.sqrt(1 / (2 * n))) * (2 * math.log(n) + 1)


def eluder_dimension(D, scale):
    """The longest sequence of points each of which some pair tells apart by more than e', though it agrees within e' on those before.

    ``D`` [pairs, points]; one e' >= ``scale`` for the whole sequence: only scale^2 and the values just below entries of D matter.
    """
    thresholds = [scale**2, *(v * (1 - 1e-12) for v in np.unique(D) if v * (1 - 1e-12) > scale**2)]

    def longest(agreed, allowed, threshold):
        best = 0
        for z in allowed:
            if np.any((agreed <= threshold) & (D[:, z] > threshold)):
                best = max(best, 1 + longest(agreed + D[:, z], allowed, threshold))
        return best

    return max(longest(np.zeros(len(D)), range(D.shape[1]), threshold) for threshold in thresholds)


@claim("sensitivity.monotone", kind=inequality, source=f"{SOURCE} 5.6 (S5)", provenance="derived",
       given=(_streams,), control={"order": -1})  # fmt: skip
def monotone(run, order=1):
    """Squared widths never grow, so what is known stays known.  Control: they never shrink."""
    widths = np.array(run.widths).reshape(len(run.widths), -1)[::order]
    return widths[1:], widths[:-1], 10.0


def _tabular():
    return "tabular", 12, 2000


def _finite():
    return "finite", 6, 2000


def _adversary():
    return "adversary", 12, 1500


@claim("sensitivity.two-sided", kind=HighProbability(failure=0.05, replicates=40), source=f"{SOURCE} 5.6 (S2)", provenance="derived",
       given={"cells, power law": _tabular, "pairs of functions": _finite, "cells, an adversary who sees the coins": _adversary},
       control={"constant": 1.0})  # fmt: skip
def two_sided(kind, size, length, rng, constant=None):
    """A_n / 2 <= H_n <= 3 A_n / 2 for all n and v at once, with C of ``sampling_constant``, with probability 95 %.  Control: C = 1.

    Freedman's inequality along the stream, stopped at its first failure, peeled over dyadic levels of A.
    """
    functions = random_class("finite" if kind == "finite" else "tabular", size, rng)
    sampler = SensitivitySampler(functions, constant or sampling_constant(functions, length), track_full=True, seed=rng)
    D = functions.packed[1] if kind == "finite" else np.eye(functions.n_points)
    frequency = np.arange(1.0, functions.n_points + 1) ** -1.5
    chunk = 1 if kind == "adversary" else 50
    for i in range(length // chunk):
        H, A = (sampler.lam + D @ np.asarray(weights) for weights in (sampler.weights, sampler.full_weights))
        if np.any(np.abs(H / A - 1) > 1 / 2):
            return False
        points = rng.choice(functions.n_points, chunk, p=frequency / frequency.sum())
        if kind == "adversary" and i % 2:
            points = np.array([np.argmax(np.abs(H / A - 1))])
        sampler.extend(points)
    return True


@claim("sensitivity.size", kind=HighProbability(failure=0.05, replicates=2000), source=f"{SOURCE} 5.6 (S3a)", provenance="derived",
       given={"p = 1/k": lambda: (1 / np.arange(1.0, 400),), "p = 1/10": lambda: (np.full(400, 0.1),)},
       control={"factor": 1.0, "spare": 0.5})  # fmt: skip
def size(p, rng, factor=math.e - 1, spare=1.0):
    """With probability 1 - delta at all times kept <= (e - 1) sum p + log(1 / delta), delta = 0.05.

    Control: sum p and half of the logarithm.  Proof: E exp(kept - (e - 1) p) <= 1, Ville.
    """
    kept = np.cumsum(rng.random(len(p)) < p)
    return bool(np.all(kept <= factor * np.cumsum(p) + spare * math.log(20)))


@claim("sensitivity.charges", kind=HighProbability(failure=0.05, replicates=2000), source=f"{SOURCE} 5.8 (M1)", provenance="derived",
       given={"rare": lambda: (0.01,), "frequent": lambda: (0.3,)}, control={"share": 1.0, "spare": 0.25})  # fmt: skip
def charges(p, rng, share=1 - 1 / math.e, spare=1.0):
    """With probability 1 - delta at all times sum E[X | past] <= (sum X + log(1 / delta)) / (1 - 1/e) for X in [0, 1].

    Here X = 0 or 1, delta = 0.05.  Control: the factor 1 and a quarter of the logarithm.
    """
    X = np.cumsum(rng.random(1000) < p)
    return bool(np.all(p * np.arange(1, 1001) <= (X + spare * math.log(20)) / share))


theorem(
    "sensitivity-sampling",
    statement=r"A point is kept with probability $p = \min(1, C s)$ and weight $1/p$, $s = \min(1, \sup_v x(v) / H(v))$. With $C$ "
    r"(finite and tabular: $8 (1 + \epsilon)(1 + \epsilon / 6) \epsilon^{-2} \log(2 m L / \delta)$), $(1 - \epsilon) A_n(v) \le H_n(v) \le "
    r"(1 + \epsilon) A_n(v)$ for all $n \le N$ and $v$ with probability $1 - \delta$, for adaptive streams too; then at most "
    r"$(e - 1) \tfrac{C}{1 - \epsilon} \mathrm{Pot}_N + \log(1 / \delta)$ points are kept, $\mathrm{Pot}_N = O(d \log N)$.",
    source="Li, Wang, Cheng, Yang 2023 (algorithm); constants from the lpo spec, 5.6",
    provenance="derived",
    claims=(
        "sensitivity.increments", "sensitivity.two-sided", "sensitivity.size", "sensitivity.potential", "sensitivity.eluder",
        "sensitivity.monotone",
    ),
    uses={"sensitivity.two-sided": ("sensitivity.increments",)},
)  # fmt: skip
