"""What all objectives share: sets of items, gains and tables through the kernels, validation."""

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tabular_rl.models import validation as check

LARGEST = 20  # elements of an exact table


@dataclass(frozen=True, eq=False)
class Sets:
    """Items of every element: element e covers ``items[offsets[e] : offsets[e + 1]]``, each at most once."""

    offsets: Any
    items: Any

    def __post_init__(self):
        for name in ("offsets", "items"):
            array = check.unmasked(name, getattr(self, name))
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise TypeError(f"{name} must be a sequence of integers, got {array.dtype} of shape {array.shape}")
            object.__setattr__(self, name, check.frozen(array.astype(np.int64), array))
        if len(self.offsets) < 2 or self.offsets[0] != 0 or self.offsets[-1] != len(self.items) or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets must grow from 0 to the number of items, {len(self.items)}, got {check.describe(self.offsets)}")

    @classmethod
    def of(cls, name, value, n_items):
        """Validated sets from lists of items, a boolean array [n, ``n_items``], or Sets."""
        if isinstance(value, cls):
            value = [value.items[i:j] for i, j in itertools.pairwise(value.offsets)]
        elif isinstance(value, np.ndarray) and value.dtype == bool:
            if value.ndim != 2 or value.shape[1] != n_items:
                raise ValueError(f"{name} must have shape [n, {n_items}], got {value.shape}")
            value = [np.flatnonzero(row) for row in value]
        try:
            rows = [row if isinstance(row, np.ndarray) and row.ndim else list(row) for row in value]
        except TypeError:
            raise TypeError(f"{name} must be lists of items, a boolean array or Sets, got {check.describe(value)}") from None
        rows = [_items(f"{name}[{e}]", row, n_items) for e, row in enumerate(rows)]
        for e, row in enumerate(rows):
            if len(np.unique(row)) < len(row):
                raise ValueError(f"{name}[{e}] holds an item twice")
        if not rows:
            raise ValueError(f"{name} must have at least one element")
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        return cls(offsets, np.concatenate(rows))

    def __len__(self):
        return len(self.offsets) - 1


def _items(name, row, n_items):
    """Items of one element as integers."""
    items = check.unmasked(name, row) if len(row) else np.zeros(0, np.int64)
    if items.ndim != 1 or items.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a list of items, got {check.describe(row)}")
    if len(items) and (items.min() < 0 or items.max() >= n_items):
        raise ValueError(f"{name} holds item {items[(items < 0) | (items >= n_items)][0]}, expected items from 0 to {n_items - 1}")
    return items


class Objective(ABC):
    """What every objective can do; the kernels do the arithmetic."""

    is_monotone: ClassVar[bool] = True
    is_submodular: ClassVar[bool] = True
    allows_copies: ClassVar[bool] = True

    def _set(self, **values):
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    @abstractmethod
    def n_elements(self):
        """n, the size of the ground set."""

    @abstractmethod
    def _pack(self):
        """Code and what differs from an empty tuple of the kernels, as keyword arguments of ``packed``."""

    @cached_property
    def packed(self):
        """The Function of ``kernels.submodular.objectives``."""
        return packed(**self._pack())

    def gains(self, elements, distinct=False):
        """Marginal gains [..., L] of sequences of elements [..., L]; -1 gains nothing. ``distinct``: a repeated element gains nothing."""
        from tabular_rl.kernels.submodular.objectives import path_gains

        elements = check.unmasked("elements", elements)
        if elements.ndim == 0:
            raise ValueError(f"elements must be a sequence, got {check.describe(elements)}")
        if elements.size == 0:
            return np.zeros(elements.shape)
        if elements.dtype.kind not in "iu":
            raise TypeError(f"elements must be integers, got dtype {elements.dtype}")
        if elements.min() < -1 or elements.max() >= self.n_elements:
            raise ValueError(f"elements must lie in -1..{self.n_elements - 1}, got {elements.min()}..{elements.max()}")
        if not distinct and not self.allows_copies:
            for row in elements.reshape(-1, elements.shape[-1]):
                if len(np.unique(row[row >= 0])) < np.sum(row >= 0):
                    raise ValueError(f"elements of {type(self).__name__} must be distinct, got {row.tolist()}")
        found = np.empty(elements.shape)
        rows = np.ascontiguousarray(elements, np.int64).reshape(-1, elements.shape[-1])
        path_gains(self.packed, rows, not distinct, self.n_elements, found.reshape(rows.shape))
        return found

    def value(self, elements, distinct=False):
        """F of a sequence of elements [L], a float, or of many [..., L]."""
        total = self.gains(elements, distinct).sum(axis=-1)
        return float(total) if np.ndim(total) == 0 else total

    @cached_property
    def singles(self):
        """[n] F({e})."""
        return read_only(self.gains(np.arange(self.n_elements)[:, None])[:, 0])

    def table(self, types=None):
        """[2^m] F of every subset of m elements; element j is a copy of ``types[j]`` (default: every element once).

        Raises
        ------
        ValueError
            For m above 20, or for copies where they mean nothing.
        """
        from tabular_rl.kernels.submodular.objectives import table

        types = np.arange(self.n_elements) if types is None else check.integers("types", types, 0, self.n_elements - 1, (None,))
        if len(types) > LARGEST:
            raise ValueError(f"a table of all subsets needs at most {LARGEST} elements, got {len(types)}")
        if not self.allows_copies and len(np.unique(types)) < len(types):
            raise ValueError(f"{type(self).__name__} has no copies of an element")
        values = np.empty(2 ** len(types))
        table(self.packed, np.ascontiguousarray(types), self.n_elements, values)
        return values

    def curvature(self):
        """Total curvature, from ``n_elements`` + 1 values (0: modular; 1: some element is worth nothing at the end)."""
        n = self.n_elements
        whole = self.value(np.arange(n))
        without = np.array([self.value(np.delete(np.arange(n), e)) if n > 1 else 0.0 for e in range(n)])
        return total_curvature(whole - without, self.singles)

    def __repr__(self):
        return f"{type(self).__name__}({self.n_elements} elements)"


def read_only(array):
    """The array, which nobody else holds, which must no longer be written into."""
    array.flags.writeable = False
    return array


def weights_of(name, value, n=None):
    """Validated numbers [n] >= 0."""
    weights = check.real_array(name, value, (n,))
    if len(weights) == 0:
        raise ValueError(f"{name} must have at least one entry")
    if weights.min() < 0:
        index = int(np.argmin(weights))
        raise ValueError(f"{name}[{index}] is {weights[index]}, expected a number >= 0")
    return check.frozen(weights, value)


def matrix_of(name, value):
    """Validated numbers [n, U] >= 0."""
    matrix = check.real_array(name, value, (None, None))
    if 0 in matrix.shape:
        raise ValueError(f"{name} must have at least one row and column, got shape {matrix.shape}")
    if matrix.min() < 0:
        index = check.first_index(matrix < 0)
        raise ValueError(f"{name}{list(index)} is {matrix[index]}, expected a number >= 0")
    return check.frozen(matrix, value)


def symmetric(name, value):
    """A validated symmetric matrix [n, n]: symmetric within 1e-9 of its largest entry, then exactly."""
    matrix = check.real_array(name, value, (None, None))
    if 0 in matrix.shape or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must have shape [n, n] with n >= 1, got {matrix.shape}")
    if (gap := np.abs(matrix - matrix.T)).max() > 1e-9 * np.abs(matrix).max():
        index = check.first_index(gap == gap.max())
        raise ValueError(f"{name} must be symmetric, got {matrix[index]} at {list(index)} and {matrix.T[index]} at {list(index[::-1])}")
    return check.frozen(matrix, value) if gap.max() == 0 else read_only((matrix + matrix.T) / 2)


def total_curvature(last, singles):
    """1 - min of last / singles over the elements that are worth something; 0 when none is."""
    some = singles > 0
    return float(1 - np.min(last[some] / singles[some])) if some.any() else 0.0


def packed(code, scalars=(), sets=None, items=None, entries=None, weights=None, matrix=None):
    """The Function of these parts, in the types that the kernels expect."""
    from tabular_rl.kernels.submodular import objectives as kernels

    offsets = np.zeros(1, np.int64) if sets is None else sets.offsets
    items = (np.zeros(0, np.int64) if items is None else items) if sets is None else sets.items
    floats = [np.zeros(0) if part is None else part for part in (entries, weights)]
    parts = np.asarray(scalars, np.float64).reshape(-1), offsets, items, *floats, np.zeros((0, 0)) if matrix is None else matrix
    # one type for every objective, so that the kernels are compiled once: all arrays read-only
    return kernels.Function(getattr(kernels, code), *(check.frozen(np.ascontiguousarray(part), part) for part in parts))
