"""Objectives given by their table of all subsets, the checks that make such a table an objective, and two negative controls: one that is
not submodular, one that is not monotone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.submodular.base import LARGEST, Objective, read_only, symmetric, total_curvature


def check_table(table, tolerance=1e-12):
    """Raise unless F [2^n] over bit masks is normalized, monotone and submodular, up to ``tolerance`` times its largest value (at least 1).

    Raises
    ------
    ValueError
        With the counterexample: the set, the elements, and the values of F.
    """
    F = check.real_array("table", table, (None,))
    _elements_of(F)
    slack = check.number("tolerance", tolerance, at_least=0) * max(1.0, np.abs(F).max())
    _check_monotone(F, slack)
    _check_submodular(F, slack)


def _check_monotone(F, slack):
    masks = np.arange(len(F))
    if abs(F[0]) > slack:
        raise ValueError(f"table is not normalized: F of nothing is {F[0]}, expected 0")
    for i in range(_elements_of(F)):
        without = masks[masks >> i & 1 == 0]
        gain = F[without | 1 << i] - F[without]
        if gain.min() < -slack:
            m = without[np.argmin(gain)]
            raise ValueError(f"table is not monotone: F{_set(m)} = {F[m]:.12g}, with {i} more it is {F[m | 1 << i]:.12g}")


def _check_submodular(F, slack):
    masks = np.arange(len(F))
    for i in range(_elements_of(F)):
        for j in range(i):
            m = masks[(masks >> i & 1 == 0) & (masks >> j & 1 == 0)]
            growth = (F[m | 1 << i | 1 << j] - F[m | 1 << j]) - (F[m | 1 << i] - F[m])
            if growth.max() > slack:
                k = int(np.argmax(growth))
                first, second = F[m[k] | 1 << i] - F[m[k]], F[m[k] | 1 << i | 1 << j] - F[m[k] | 1 << j]
                where = f"{i} gains {first:.12g} after {_set(m[k])} but {second:.12g} when {j} is there too"
                raise ValueError(f"table is not submodular: {where}")


def curvature(table):
    """Total curvature 1 - min_e (F(V) - F(V without e)) / F({e}) of a table [2^n], over the elements with F({e}) > 0."""
    F = check.real_array("table", table, (None,))
    bits = 1 << np.arange(_elements_of(F))
    return total_curvature(F[-1] - F[len(F) - 1 - bits], F[bits])


def _elements_of(F):
    n = int(np.log2(max(len(F), 1)))
    if n < 1 or n > LARGEST or len(F) != 2**n:
        raise ValueError(f"table must have 2^n entries with n from 1 to {LARGEST}, got {len(F)}")
    return n


def _set(mask):
    return "{" + ", ".join(str(e) for e in range(int(mask).bit_length()) if mask >> e & 1) + "}"


@dataclass(frozen=True, eq=False, repr=False)
class Tabulated(Objective):
    """Your own objective: ``values`` [2^n] of F over bit masks, or a Python function of a frozenset of elements, with ``n``; n <= 20.

    Checked to be normalized, monotone and submodular; the error shows the counterexample. ``verify=False`` admits anything finite, for
    controls: ``is_monotone`` and ``is_submodular`` then say what the table is, and bounds that need both refuse one that is not.
    """

    values: Any
    n: int | None = None
    verify: bool = True
    allows_copies: ClassVar[bool] = False

    def __post_init__(self):
        table = self.values
        if callable(table):
            n = check.integer("n", self.n, 1)
            if n > LARGEST:
                raise ValueError(f"n must be at most {LARGEST}, got {n}")
            table = np.array([float(self.values(frozenset(e for e in range(n) if m >> e & 1))) for m in range(2**n)])
        table = check.real_array("table", table, (None,))
        n = _elements_of(table)
        if self.n is not None and check.integer("n", self.n, 1) != n:
            raise ValueError(f"n must fit the table of {len(table)} entries, which has n={n}, got {self.n}")
        if check.flag("verify", self.verify):
            check_table(table)
        self._set(values=check.frozen(table, self.values), n=n)

    n_elements = property(lambda self: self.n)

    @cached_property
    def is_monotone(self):  # type: ignore[override]
        """Whether the table is normalized and monotone."""
        return self.verify or self._passes(_check_monotone)

    @cached_property
    def is_submodular(self):  # type: ignore[override]
        """Whether the table is submodular."""
        return self.verify or self._passes(_check_submodular)

    def _passes(self, test):
        try:
            test(self.values, 1e-12 * max(1.0, np.abs(self.values).max()))
        except ValueError:
            return False
        return True

    def table(self, types=None):
        """[2^n] F of every subset."""
        return self.values.copy() if types is None else super().table(types)

    def _pack(self):
        return {"code": "TABULATED", "weights": self.values}


@dataclass(frozen=True, eq=False, repr=False)
class Cut(Objective):
    """A control: F(A) = sum of ``weights`` [n, n] between A and the rest; symmetric, >= 0; submodular but not monotone."""

    weights: Any
    is_monotone: ClassVar[bool] = False
    allows_copies: ClassVar[bool] = False

    def __post_init__(self):
        weights = np.array(symmetric("weights", self.weights))
        if weights.min() < 0:
            raise ValueError(f"weights must be >= 0, got {weights.min()}")
        np.fill_diagonal(weights, 0)
        self._set(weights=read_only(weights))

    n_elements = property(lambda self: len(self.weights))

    def _pack(self):
        return {"code": "CUT", "entries": self.weights.sum(axis=1), "matrix": self.weights}


@dataclass(frozen=True, eq=False, repr=False)
class CountSquared(Objective):
    """A control: F(A) = |A|^2 over ``n`` elements; monotone but supermodular."""

    n: int
    is_submodular: ClassVar[bool] = False

    def __post_init__(self):
        self._set(n=check.integer("n", self.n, 1))

    n_elements = property(lambda self: self.n)

    def _pack(self):
        return {"code": "COUNT_SQUARED"}
