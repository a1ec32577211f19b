"""Online sensitivity sampling: a weighted sub-sample of a stream that keeps a class's norms (Li, Wang, Cheng, Yang 2023).

    s = min(1, sup_v x(v) / H(v)),   H(v) = lam(v) + kept weights' sum of x(v),   x(v) the squared value of v at the new point
    keep it with probability p = min(1, C s) and weight 1 / p

With C of ``sampling_constant``, (1 - eps) A_n(v) <= H_n(v) <= (1 + eps) A_n(v) for all v and n at once, A_n the norm with all points, with
probability 1 - delta, though the stream may depend on the past coins (lpo spec, S2 [derived]; algorithm [paper], constants [derived]).
What is kept grows like C d log n (S3, S4).
"""

import math

import numpy as np

from tabular_rl.algorithms.exploration.function_classes import FiniteClass, LinearClass, TabularClass
from tabular_rl.algorithms.exploration.sensitivity import add_point, keep_probability, no_data, sample_stream, squared_width
from tabular_rl.models import validation as check

__all__ = ["SensitivitySampler", "sampling_constant"]

__all__ = ["SensitivitySampler", "sampling_constant"]


def sampling_constant(function_class, n, eps=0.5, delta=0.05, lam=1.0, adaptive=True):
    """The constant C of the two-sided bound for ``n`` points (lpo spec, S2 [derived]).

    Parameters
    ----------
    function_class : TabularClass, LinearClass or FiniteClass
    n : int
        Length of the stream.
    eps, delta : float
        Accuracy in (0, 1) (linear: at most 1/2), failure probability in (0, 1).
    lam : float
        Regularization > 0.
    adaptive : bool
        Whether points may depend on past coins; a linear class gains from a stream that is fixed in advance.
    """
    check.integer("n", n, 1)
    check.number("eps", eps, above=0, below=1)
    check.number("delta", delta, above=0, below=1)
    check.number("lam", lam, above=0)
    check.flag("adaptive", adaptive)
    levels = math.ceil(math.log2((lam + n) / lam)) + 1
    if isinstance(function_class, LinearClass):
        if eps > 1 / 2:
            raise ValueError(f"eps must be at most 1/2 for a linear class, got {eps}")
        d = function_class.dimension
        if not adaptive:
            return 2 * (1 + eps) * (1 + eps / 3) / eps**2 * math.log(2 * d * n / delta)
        cover = math.log(2 * levels / delta) + d * math.log(1 + 20 * (lam + n) / (eps * lam))
        return 8 * (1 + eps) * (1 + eps / 12) / (eps / 2) ** 2 * cover
    tabular = isinstance(function_class, TabularClass)
    m = function_class.n_points if tabular else len(function_class.packed[1])
    peeled = 8 * (1 + eps) * (1 + eps / 6) / eps**2 * math.log(2 * m * levels / delta)
    return min(peeled, 2 * (1 + eps) * (1 + eps / 3) / eps**2 * math.log(2 * m * n / delta)) if tabular else peeled


class SensitivitySampler:
    """A stream of points, sub-sampled as it comes.

    >>> import numpy as np
    >>> from tabular_rl.algorithms import SensitivitySampler, TabularClass
    >>> stream = np.random.default_rng(0).zipf(2.5, 100_000).clip(max=12) - 1  # 12 cells, some of them rare
    >>> sampler = SensitivitySampler(TabularClass((12,)), constant=16, seed=1)
    >>> kept = sampler.extend(stream)
    >>> bool(sampler.n_kept < 2_000 and abs(sampler.weights / np.bincount(stream) - 1).max() < 1)
    True

    Parameters
    ----------
    function_class : TabularClass, LinearClass or FiniteClass
    constant : float, optional
        C > 0; default: ``sampling_constant`` for a million points.
    lam : float
        Regularization > 0.
    integer_weights : bool
        Round probabilities up to 1 / k, so that weights are integers; keeps at most twice as many.
    reweight : bool
        False keeps points with weight 1: a negative control, biased.
    track_full : bool
        Also keep what all points would have given (``full_weights``), to compare.
    seed : int, SeedSequence or Generator

    Attributes
    ----------
    weights : array [n_points]
        Kept weights.
    gram, inverse : arrays [d, d]
        Linear class: Lam = lam I + sum weight phi phi^T, and its inverse.
    h : array [J]
        Finite class: sum weight D[j] for every distinct pair difference.
    n_seen, n_kept : int
    sum_probability : float
    """

    def __init__(self, function_class, constant=None, lam=1.0, integer_weights=False, reweight=True, track_full=False, seed=0):
        check.kind("function_class", function_class, TabularClass, LinearClass, FiniteClass)
        self.function_class, self.lam = function_class, check.number("lam", lam, above=0)
        self.constant = sampling_constant(function_class, 10**6) if constant is None else check.number("constant", constant, above=0)
        self.integer_weights, self.reweight = check.flag("integer_weights", integer_weights), check.flag("reweight", reweight)
        self.rng = check.generator(seed)
        self.features, self.differences = function_class.packed
        self._data = no_data(self.features, self.differences, lam)
        self.weights, self.h, self.gram, self.inverse, *_ = self._data
        self._work = np.empty(self.features.shape[1])
        self.full_weights = np.zeros(function_class.n_points) if check.flag("track_full", track_full) else None
        self.n_seen, self.n_kept, self.sum_probability = 0, 0, 0.0

    def score(self, point):
        """The sensitivity in [0, 1] of ``point``, an index into the flattened points, given what is kept."""
        point = self._points([point])[0]
        return min(1.0, squared_width(point, self.features, self.differences, self.lam, self.weights, self.inverse, self.h))

    def offer(self, point, coin=None):
        """(whether ``point`` was kept, its probability p); ``coin`` in [0, 1): kept if below p; drawn when None."""
        p = keep_probability(self.score(point), self.constant, self.integer_weights)
        kept = (self.rng.random() if coin is None else coin) < p
        if kept:
            weight = 1 / p if self.reweight else 1.0
            add_point(int(point), weight, self.features, self.differences, self.weights, self.gram, self.inverse, self.h, self._work)
        self._count(np.array([point]), int(kept), p)
        return kept, p

    def extend(self, points, coins=None):
        """Offer many points [N]; returns the weights [N] with which they were kept, 0 for those that were not."""
        points = self._points(points)
        coins = self.rng.random(len(points)) if coins is None else check.real_array("coins", coins, (len(points),))
        sensitivities, kept = np.empty(len(points)), np.empty(len(points))
        rule, classes = (self.constant, self.integer_weights, self.reweight), (self.features, self.differences)
        sample_stream(points, coins, rule, classes, self._data, self.lam, self._work, sensitivities, kept)
        probabilities = [keep_probability(s, self.constant, self.integer_weights) for s in sensitivities] if self.integer_weights else None
        total = np.sum(np.minimum(1, self.constant * sensitivities) if probabilities is None else probabilities)
        self._count(points, int(np.count_nonzero(kept)), float(total))
        return kept

    def squared_widths(self):
        """w2 at every point, in the class's shape: 1 / (lam + weight), phi^T Lam^-1 phi, or max_j D[j] / (lam + h[j])."""
        if self.features.shape[1]:
            return np.einsum("ni,ij,nj->n", self.features, self.inverse, self.features).reshape(self.function_class.shape)
        if len(self.differences):
            return np.max(self.differences / (self.lam + self.h)[:, None], axis=0).reshape(self.function_class.shape)
        return (1 / (self.lam + self.weights)).reshape(self.function_class.shape)

    def _points(self, points):
        points = check.unmasked("points", points)
        if points.dtype.kind not in "iu" or (len(points) and (points.min() < 0 or points.max() >= self.function_class.n_points)):
            raise ValueError(f"points must be integers in [0, {self.function_class.n_points}), got {points}")
        return points.astype(np.int64)

    def _count(self, points, kept, probability):
        self.n_seen += len(points)
        self.n_kept += kept
        self.sum_probability += probability
        if self.full_weights is not None:
            np.add.at(self.full_weights, points, 1.0)
