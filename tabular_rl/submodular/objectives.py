"""The monotone submodular objectives."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.submodular.base import Objective, Sets, matrix_of, read_only, symmetric, weights_of

FORMS = ("sqrt", "log1p", "saturating")  # of Concave, in the order of the kernel's codes
PROBES = 1025  # points at which a concave function given in Python is read


@dataclass(frozen=True, eq=False, repr=False)
class Coverage(Objective):
    """F(A) = sum of ``weights`` [U] over the items that some element of A covers (``sensor``)."""

    weights: Any
    sensor: Any

    def __post_init__(self):
        weights = weights_of("weights", self.weights)
        self._set(weights=weights, sensor=Sets.of("sensor", self.sensor, len(weights)))

    n_elements = property(lambda self: len(self.sensor))
    sets = property(lambda self: self.sensor)

    def _pack(self):
        return {"code": "COVERAGE", "sets": self.sensor, "weights": self.weights}


@dataclass(frozen=True, eq=False, repr=False)
class Truncated(Objective):
    """F(A) = sum over groups k of min(number of distinct elements of A in group k, caps[k]); ``groups`` [n] in -1..K-1, -1: none."""

    groups: Any
    caps: Any

    def __post_init__(self):
        caps = weights_of("caps", self.caps)
        self._set(groups=_integers("groups", self.groups, len(caps)), caps=caps)

    n_elements = property(lambda self: len(self.groups))

    def _pack(self):
        return {"code": "TRUNCATED", "items": self.groups, "weights": self.caps}


@dataclass(frozen=True, eq=False, repr=False)
class Soft(Objective):
    """F(A) = sum_u weights[u] (1 + beta + ... + beta^(n_u - 1)), n_u the number of elements of A that cover item u; beta in (0, 1].

    With copies (a model with ``repeats=True``) revisits are worth less and less, without they are worth nothing.
    """

    weights: Any
    sensor: Any
    beta: float = 0.5

    def __post_init__(self):
        weights = weights_of("weights", self.weights)
        beta = check.number("beta", self.beta, above=0, at_most=1)
        self._set(weights=weights, sensor=Sets.of("sensor", self.sensor, len(weights)), beta=beta)

    n_elements = property(lambda self: len(self.sensor))
    sets = property(lambda self: self.sensor)

    def _pack(self):
        return {"code": "SOFT", "scalars": [self.beta], "sets": self.sensor, "weights": self.weights}


@dataclass(frozen=True, eq=False, repr=False)
class Facility(Objective):
    """F(A) = sum_u weights[u] max_{e in A} similarity[e, u]; ``similarity`` [n, U] >= 0, ``weights`` [U] default to 1."""

    similarity: Any
    weights: Any = None

    def __post_init__(self):
        similarity = matrix_of("similarity", self.similarity)
        weights = np.ones(similarity.shape[1]) if self.weights is None else self.weights
        self._set(similarity=similarity, weights=weights_of("weights", weights, similarity.shape[1]))

    n_elements = property(lambda self: len(self.similarity))

    def _pack(self):
        return {"code": "FACILITY", "weights": self.weights, "matrix": self.similarity}


@dataclass(frozen=True, eq=False, repr=False)
class Concave(Objective):
    """F(A) = sum_u weights[u] phi(sum_{e in A} measure[e, u]) with phi concave and nondecreasing, phi(0) = 0.

    ``measure`` [n, U] >= 0, ``weights`` [U] default to 1. ``phi``: "sqrt", "log1p", "saturating" (1 - exp(-x)), knots [k, 2] (x, y) of a
    piecewise-linear function (its last slope goes on), or a Python function. The latter is read at 1025 points up to what all elements
    together amount to, must be concave there, and its piecewise-linear interpolation is phi.
    """

    measure: Any
    weights: Any = None
    phi: Any = "sqrt"

    def __post_init__(self):
        measure = matrix_of("measure", self.measure)
        weights = np.ones(measure.shape[1]) if self.weights is None else self.weights
        phi = self.phi
        if callable(phi):
            grid = np.linspace(0, max(measure.sum(axis=0).max(), 1e-300), PROBES)
            phi = np.stack([grid, [float(phi(x)) for x in grid]], axis=1)
        phi = check.choice("phi", phi, FORMS) if isinstance(phi, str) else _knots(phi)
        self._set(measure=measure, weights=weights_of("weights", weights, measure.shape[1]), phi=phi)

    n_elements = property(lambda self: len(self.measure))

    def _pack(self):
        named = isinstance(self.phi, str)
        sets = Sets.of("measure", self.measure > 0, self.measure.shape[1])
        form = FORMS.index(self.phi) if named else len(FORMS)
        entries = self.measure[self.measure > 0]
        knots = None if named else _with_slopes(self.phi)
        return {"code": "CONCAVE", "scalars": [form], "sets": sets, "entries": entries, "weights": self.weights, "matrix": knots}


@dataclass(frozen=True, eq=False, repr=False)
class DDesign(Objective):
    """F(A) = 1/2 log det(I + K_AA / noise), the information that noisy observations at A carry; natural logarithm.

    ``kernel`` [n, n], symmetric and positive semidefinite (not checked beyond symmetry): a gain costs O(h^2) after h elements. Or
    ``features`` [n, d], K = X X^T: it costs O(d^2), which is less on trajectories longer than d. ``noise`` > 0.
    """

    kernel: Any = None
    noise: float = 1.0
    features: Any = None

    def __post_init__(self):
        if (self.kernel is None) == (self.features is None):
            raise ValueError("give one of kernel and features")
        noise = check.number("noise", self.noise, above=0)
        if self.features is None:
            self._set(kernel=symmetric("kernel", self.kernel), noise=noise)
        else:
            features = check.real_array("features", self.features, (None, None))
            if 0 in features.shape:
                raise ValueError(f"features must have at least one row and column, got shape {features.shape}")
            self._set(features=check.frozen(features, self.features), noise=noise)

    n_elements = property(lambda self: len(self.kernel if self.features is None else self.features))

    def covariance(self, elements):
        """[m, m] K of some elements [m]."""
        if self.features is None:
            return self.kernel[np.ix_(elements, elements)]
        return self.features[elements] @ self.features[elements].T

    def _pack(self):
        if self.features is not None:
            return {"code": "LOW_RANK", "matrix": self.features / np.sqrt(self.noise)}
        return {"code": "GAUSSIAN", "scalars": [self.noise, -0.5 * np.log(self.noise)], "matrix": self.kernel}


@dataclass(frozen=True, eq=False, repr=False)
class Entropy(Objective):
    """F(A) = 1/2 ln det(K_AA + jitter I) + offset |A|; repeats are kept as rows where the model allows them.

    The defaults are those of the authors' code. Monotone as long as 1/2 ln(jitter) + offset >= 0, which is checked.
    """

    kernel: Any
    jitter: float = 1e-6
    offset: float = float(-np.log2(1e-3))

    def __post_init__(self):
        jitter, offset = check.number("jitter", self.jitter, above=0), check.number("offset", self.offset)
        if 0.5 * np.log(jitter) + offset < 0:
            raise ValueError(f"offset must be at least -ln(jitter) / 2 = {-0.5 * np.log(jitter):.6g} for a monotone entropy, got {offset}")
        self._set(kernel=symmetric("kernel", self.kernel), jitter=jitter, offset=offset)

    n_elements = property(lambda self: len(self.kernel))

    def covariance(self, elements):
        """[m, m] K of some elements [m]."""
        return self.kernel[np.ix_(elements, elements)]

    def _pack(self):
        return {"code": "GAUSSIAN", "scalars": [self.jitter, self.offset], "matrix": self.kernel}


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Objective):
    """F = (1 - c) modular + c coverage, of curvature at most c: F({e}) of the coverage part may not exceed ``modular`` [n]; c in [0, 1]."""

    c: float
    modular: Any
    weights: Any
    sensor: Any

    def __post_init__(self):
        weights, modular = weights_of("weights", self.weights), weights_of("modular", self.modular)
        sensor = Sets.of("sensor", self.sensor, len(weights))
        if len(modular) != len(sensor):
            raise ValueError(f"modular must have {len(sensor)} entries, one per set of sensor, got {len(modular)}")
        covered = np.array([weights[sensor.items[i:j]].sum() for i, j in itertools.pairwise(sensor.offsets)])
        if np.any(covered > modular + 1e-12):
            e = int(np.argmax(covered > modular + 1e-12))
            raise ValueError(f"modular[{e}] is {modular[e]}, expected at least the weight that element {e} covers, {covered[e]}")
        self._set(c=check.number("c", self.c, at_least=0, at_most=1), modular=modular, weights=weights, sensor=sensor)

    n_elements = property(lambda self: len(self.modular))
    sets = property(lambda self: self.sensor)

    def _pack(self):
        return {"code": "MIXTURE", "scalars": [self.c], "sets": self.sensor, "entries": self.modular, "weights": self.weights}


@dataclass(frozen=True, eq=False, repr=False)
class Modular(Objective):
    """F(A) = sum of ``weights`` [n] over A: additive reinforcement learning as a special case."""

    weights: Any

    def __post_init__(self):
        self._set(weights=weights_of("weights", self.weights))

    n_elements = property(lambda self: len(self.weights))

    def _pack(self):
        sets = Sets(np.zeros(self.n_elements + 1, np.int64), np.zeros(0, np.int64))
        return {"code": "MIXTURE", "scalars": [0.0], "sets": sets, "entries": self.weights}


def _integers(name, value, n):
    """Validated integers from -1 to n - 1."""
    array = check.unmasked(name, value)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a sequence of integers, got {array.dtype} of shape {array.shape}")
    if array.min() < -1 or array.max() >= n:
        index = int(np.argmax((array < -1) | (array >= n)))
        raise ValueError(f"{name}[{index}] is {array[index]}, expected -1 to {n - 1}")
    return read_only(array.astype(np.int64))


def _with_slopes(knots):
    """[k, 3] knots and the slope to the right of each."""
    slopes = np.diff(knots[:, 1]) / np.diff(knots[:, 0])
    return np.column_stack([knots, np.append(slopes, slopes[-1])])


def _knots(value):
    """Validated knots [k, 2] of a concave, nondecreasing piecewise-linear function through the origin."""
    knots = check.real_array("phi", value, (None, 2))
    x, y = knots.T
    if len(knots) < 2 or x[0] != 0 or np.any(np.diff(x) <= 0):
        raise ValueError("phi must have at least two knots, the first at x = 0, with x increasing")
    if y[0] != 0:
        raise ValueError(f"phi(0) is {y[0]}, expected 0")
    slopes, scale = np.diff(y) / np.diff(x), 1e-9 * np.abs(y).max() / x[-1] * len(x)
    if slopes.min() < -scale:
        raise ValueError(f"phi must not decrease, it does after x = {x[np.argmin(slopes)]}")
    if len(slopes) > 1 and np.diff(slopes).max() > scale:
        raise ValueError(f"phi must be concave, its slope grows at x = {x[1 + np.argmax(np.diff(slopes))]}")
    return check.frozen(knots, value)
