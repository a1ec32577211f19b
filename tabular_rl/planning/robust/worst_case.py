"""The worst case of one expectation over an ambiguity set, with its certificate."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.ellipsoid import worst_ellipsoid


@dataclass(frozen=True, eq=False)
class WorstCase:
    """A maximizer and the proof that it is one.

    Attributes
    ----------
    value : float
        ``distribution @ z``, in the units of z.
    distribution : array [n]
    dual : float or tuple of floats
        The variable of the dual bound (drpg spec, section 2); its meaning depends on the set.
    bound : float
        The dual objective: no distribution of the set has a larger expectation.
    slow : bool
        Whether a general convex solver was asked (ellipsoids that are not diagonal): for milliseconds, the gap is no larger for it.
    """

    value: float
    distribution: np.ndarray
    dual: Any
    bound: float
    slow: bool = field(default=False)

    @property
    def gap(self):
        """``bound - value``: 0 up to rounding, at most 1e-12 max(1, |z|)."""
        return self.bound - self.value


def worst_case(z, nominal, ambiguity):
    """max p.z over the distributions p of an (s,a)-rectangular ambiguity set around ``nominal``.

    Cost convention: the adversary maximizes. With rewards r the worst case is a minimum: min p.r = -worst_case(-r, ...).value, attained by
    the same distribution.

    Parameters
    ----------
    z : array [n]
        What the adversary wants much of, such as cost + discount * values of the next states. Finite.
    nominal : array [n]
        The distribution that the set is built around.
    ambiguity : a set of ``tabular_rl.ambiguity``
        Fitting one row: radius a number; weights, lower, upper [n]; distance [n, n]; kernels [M, 1, 1, n].

    Returns
    -------
    WorstCase

    Source: drpg spec section 2.

    Raises
    ------
    TypeError
        The set is not (s,a)-rectangular.
    ValueError
        An argument that does not fit, or an empty set.
    """
    from tabular_rl.kernels.robust import worst_case as kernels

    z = check.real_array("z", z, (None,))
    nominal = check.distribution("nominal", nominal, (len(z),))
    check.quack("ambiguity", ambiguity, "rectangularity", "a set of tabular_rl.ambiguity")
    if ambiguity.rectangularity != "sa":
        raise TypeError(f"ambiguity must be an (s,a)-rectangular set of tabular_rl.ambiguity, got {type(ambiguity).__name__}")
    p0, support = nominal / nominal.sum(), np.arange(len(z))
    _check_row(ambiguity, len(z))
    if not ambiguity.is_full:
        support = np.flatnonzero(p0)
    if isinstance(ambiguity, sets.Ellipsoid) and ambiguity.diagonal is None:
        value, distribution, mu, bound, slow = worst_ellipsoid(z, p0, ambiguity.matrix, float(ambiguity.radii(1, 1)[0]), support)
        return WorstCase(value, distribution, mu, bound, slow)
    n = len(support)
    table = sets.read_only(ambiguity.table(np.zeros(n, int), support, np.array([0, n])))
    radius, work = float(ambiguity.radii(1, 1)[0]), codes.Work(np.zeros((8, n)), np.zeros((6, max(n, 2)), np.int64))
    work.places[5, :n] = support
    p, arguments = np.empty(n), (ambiguity.code, z[support], sets.read_only(p0[support]), radius, table, 0)
    value, dual, second = kernels.worst_row(*arguments, p, work)
    bound = kernels.dual_row(*arguments, work, dual, second)
    distribution = np.zeros(len(z))
    distribution[support] = p
    return WorstCase(value, distribution, (dual, second) if ambiguity.code in (codes.L2, codes.ELLIPSOID) else dual, bound)


def _check_row(ambiguity, n):
    """The set fits a row of n states."""
    expected = {"weights": (n,), "lower": (n,), "upper": (n,), "distance": (n, n)} | dict.fromkeys(("radius", "level", "fraction"), ())
    if hasattr(ambiguity, "matrix"):
        expected["matrix"] = (n,) * ambiguity.matrix.ndim
    if hasattr(ambiguity, "kernels"):
        expected["kernels"] = (len(ambiguity.kernels), 1, 1, n)
    for name, shape in expected.items():
        if hasattr(ambiguity, name) and getattr(ambiguity, name).shape not in (shape, (1,) * len(shape)):
            raise ValueError(f"{name} of one row must have shape {shape}, got {getattr(ambiguity, name).shape}")
