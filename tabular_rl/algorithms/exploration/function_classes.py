"""Classes of functions on state-action pairs: every table, linear functions of features, a finite list (lpo spec, section 3)."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tabular_rl.models import validation as check

__all__ = ["FiniteClass", "LinearClass", "TabularClass"]

__all__ = ["FiniteClass", "LinearClass", "TabularClass"]


@dataclass(frozen=True)
class TabularClass:
    """All functions with values in [0, 1] on ``shape`` = (S, A) pairs, or on n points (n,)."""

    shape: tuple

    def __post_init__(self):
        if not isinstance(self.shape, tuple) or not self.shape:
            raise ValueError(f"shape must be (S, A) or (n,), got {check.short(self.shape)}")
        for size in self.shape:
            check.integer("shape", size, 1)

    @property
    def n_points(self):
        return int(np.prod(self.shape))

    dimension = n_points

    @property
    def packed(self):
        """(features [n, d], squared differences [J, n]) for the kernels."""
        return np.zeros((self.n_points, 0)), np.zeros((0, self.n_points))


@dataclass(frozen=True, eq=False)
class LinearClass:
    """w . phi for ``features`` [S, A, d] or [n, d] of norm at most 1."""

    features: Any

    def __post_init__(self):
        features = check.real_array("features", self.features, (None,) * np.ndim(self.features))
        if features.ndim < 2 or 0 in features.shape:
            raise ValueError(f"features must have shape [S, A, d] or [n, d] without zeros, got {features.shape}")
        norms = np.linalg.norm(features, axis=-1)
        if norms.max() > 1 + 1e-9:
            index = check.first_index(norms > 1 + 1e-9)
            raise ValueError(f"features{list(index)} has norm {norms[index]:.6g}, expected at most 1: rescale them")
        object.__setattr__(self, "features", check.frozen(features, self.features))

    @property
    def shape(self):
        return self.features.shape[:-1]

    @property
    def n_points(self):
        return int(np.prod(self.shape))

    @property
    def dimension(self):
        return self.features.shape[-1]

    @property
    def packed(self):
        """(features [n, d], squared differences [J, n]) for the kernels."""
        return self.features.reshape(self.n_points, -1).copy(), np.zeros((0, self.n_points))


@dataclass(frozen=True, eq=False)
class FiniteClass:
    """A list of K >= 2 ``functions`` [K, S, A] or [K, n], any two within 1 of each other at every point.

    Two pairs with the same differences count once: a grid of linear functions has far fewer than K (K - 1) / 2.
    """

    functions: Any

    def __post_init__(self):
        functions = check.real_array("functions", self.functions, (None,) * np.ndim(self.functions))
        if functions.ndim < 2 or len(functions) < 2 or 0 in functions.shape:
            raise ValueError(f"functions must have shape [K, S, A] or [K, n] with K >= 2, got {functions.shape}")
        span = np.ptp(functions, axis=0)
        if span.max() > 1 + 1e-9:
            index = check.first_index(span > 1 + 1e-9)
            raise ValueError(f"functions must differ by at most 1 at every point, got {span[index]:.6g} at {list(index)}: rescale them")
        object.__setattr__(self, "functions", check.frozen(functions, self.functions))

    @classmethod
    def grid(cls, features, step, size, signed=True):
        """{theta . phi : theta in step * {-size, ..., size}^d}, or step * {0, ..., size}^d, for ``features`` [S, A, d]."""
        signed = check.flag("signed", signed)
        axes = np.meshgrid(*[step * np.arange(-size if signed else 0, size + 1)] * np.shape(features)[-1], indexing="ij")
        theta = np.stack([axis.ravel() for axis in axes], axis=-1)
        return cls(np.einsum("kd,...d->k...", theta, features))

    @property
    def shape(self):
        return self.functions.shape[1:]

    @property
    def n_points(self):
        return int(np.prod(self.shape))

    @property
    def dimension(self):
        """log K: what the logarithm of the cover is."""
        return float(np.log(len(self.functions)))

    @property
    def packed(self):
        """(features [n, d], squared differences [J, n]) for the kernels."""
        flat = self.functions.reshape(len(self.functions), -1)
        first, second = np.array(list(combinations(range(len(flat)), 2))).T
        differences = (flat[first] - flat[second]) ** 2
        _, distinct = np.unique(np.round(differences, 12), axis=0, return_index=True)
        return np.zeros((self.n_points, 0)), np.ascontiguousarray(differences[np.sort(distinct)])
