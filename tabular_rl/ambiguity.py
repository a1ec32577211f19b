"""Ambiguity sets: what the adversary of a robust MDP may choose instead of the nominal kernel.

A set is a frozen dataclass; it does not hold the nominal kernel. ``rows`` joins it with one and makes the arguments of the compiled
sweeps. ``rectangularity`` says how the adversary may choose: "sa", every row (s, a) on its own; "s", the rows of a state together; "none".

``support="nominal"`` (the default) keeps P[s, a, t] = 0 where the nominal kernel has it; ``support="full"`` lets mass move anywhere.
Sets without that field are nominal by nature (KL, ChiSquare, DensityRatio) or full by nature (Contamination, FiniteRows).

Source: Iyengar 2005; Nilim, El Ghaoui 2005; Wiesemann, Kuhn, Rustem 2013; drpg spec sections 1, 2, 12.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from tabular_rl.kernels import robust_rows as codes
from tabular_rl.models import validation as check

__all__ = [
    "L1",
    "TotalVariation",
    "WeightedL1",
    "LInf",
    "Interval",
    "DensityRatio",
    "L2",
    "KL",
    "ChiSquare",
    "Wasserstein",
    "Contamination",
    "Ellipsoid",
    "FiniteRows",
    "SRectangularL1",
    "SRectangularKL",
    "SRectangularL2",
    "FiniteSRectangular",
    "FiniteKernels",
    "flat",
    "kernel",
    "rows",
]

SUPPORTS = ("nominal", "full")
LARGEST_DENSE = 2**28  # entries that a set of full support may unfold a sparse nominal kernel to


@dataclass(frozen=True, eq=False)
class AmbiguitySet:
    """What all sets share; not a set by itself."""

    rectangularity: ClassVar[str] = "sa"
    code: ClassVar[int] = -1
    scale: ClassVar[float] = 1.0  # of the radius that the kernel works with
    full_by_nature: ClassVar[bool] = False

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "support":
                value = check.choice("support", value, SUPPORTS)
            else:
                value = check.frozen(check.real_array(field.name, value), value)
            object.__setattr__(self, field.name, self._checked(field.name, value))

    def __reduce__(self):
        """Pickled as its arguments: what comes out is read-only as well."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def _checked(self, name, value):
        """The value of a field, or an error; classes add their own conditions."""
        if name in ("radius", "distance", "lower"):
            _require(name, value, value >= 0, "a number >= 0")
        if name == "kernels":
            value = check.probabilities("kernels", value)
        if name in ("weights", "matrix") and value.ndim != 2:
            _require(name, value, value > 0, "a number > 0")
        return value

    def check_shape(self, n_states, n_actions):
        """ValueError if the set does not fit a model of S states and A actions."""
        S, A = n_states, n_actions
        spread = ((), (S,)) if self.rectangularity == "s" else ((), (S, A))
        shapes: dict[str, tuple] = dict.fromkeys(("radius", "level", "fraction"), spread)
        shapes |= dict.fromkeys(("weights", "lower", "upper"), ((S,), (S, A, S)))
        shapes |= {"distance": ((S, S),), "matrix": ((S,), (S, S)), "kernels": (("any", S, A, S),)}
        for field in fields(self):
            expected, value = shapes.get(field.name), getattr(self, field.name)
            if expected is not None and not any(_fits(value.shape, shape) for shape in expected):
                wanted = " or ".join("a number" if shape == () else str(shape) for shape in expected)
                raise ValueError(f"{field.name} must have shape {wanted}, got {value.shape}")

    @property
    def is_full(self):
        """Whether mass may move to where the nominal kernel has none."""
        return self.full_by_nature or getattr(self, "support", None) == "full"

    def radii(self, n_states, n_actions):
        """The kernel's radius of every row [S*A], or of every state [S]."""
        radius = next((getattr(self, name) for name in ("radius", "level", "fraction") if hasattr(self, name)), 0.0)
        shape = (n_states,) if self.rectangularity == "s" else (n_states, n_actions)
        return np.ravel(np.broadcast_to(self.scale * radius, shape)).copy()

    def table(self, row, successor, pointer):
        """What the kernel needs to know beside the radius, at the entries (row, successor) of the model: [k, entries]."""
        return np.zeros((0, 0))


def _at(array, row, successor):
    """The entries (row, successor) of an array [S] or [S, A, S]."""
    return array[successor] if array.ndim == 1 else array.reshape(-1, array.shape[-1])[row, successor]


def _fits(shape, expected):
    return len(shape) == len(expected) and all(m in ("any", n) for n, m in zip(shape, expected, strict=True))


def _require(name, value, good, expected):
    if not np.all(good):
        index = check.first_index(~np.asarray(good))
        raise ValueError(f"{name}{list(index) if index else ''} is {value[index]}, expected {expected}")


@dataclass(frozen=True, eq=False)
class L1(AmbiguitySet):
    """sum_t |P[s,a,t] - nominal[s,a,t]| <= radius[s,a]; everything above 2 is the whole simplex."""

    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.L1


@dataclass(frozen=True, eq=False)
class TotalVariation(AmbiguitySet):
    """Half the L1 distance is at most the radius."""

    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.L1
    scale: ClassVar[float] = 2.0


@dataclass(frozen=True, eq=False)
class WeightedL1(AmbiguitySet):
    """sum_t weights[t] |P[s,a,t] - nominal[s,a,t]| <= radius[s,a]; weights > 0, [S] or [S, A, S]."""

    weights: Any
    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.WEIGHTED_L1

    def table(self, row, successor, pointer):
        return _at(self.weights, row, successor)[None]


@dataclass(frozen=True, eq=False)
class LInf(AmbiguitySet):
    """max_t |P[s,a,t] - nominal[s,a,t]| <= radius[s,a]."""

    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.L_INFINITY


@dataclass(frozen=True, eq=False)
class Interval(AmbiguitySet):
    """lower <= P[s,a,t] <= upper, both [S] or [S, A, S]; the nominal kernel gives no more than the support."""

    lower: Any
    upper: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.INTERVAL

    def table(self, row, successor, pointer):
        lower, upper = (_at(x, row, successor) for x in (self.lower, self.upper))
        least, most = (np.add.reduceat(x, pointer[:-1]) for x in (lower, upper))
        n = self.lower.shape[-1]
        off = np.broadcast_to(self.lower.reshape(-1, n).sum(axis=1), least.shape) > least + check.ROW_TOLERANCE
        for wrong, what in (
            (off, "puts mass where the nominal kernel has none (support='full' allows it)"),
            (least > 1 + check.ROW_TOLERANCE, "sums to more than 1"),
        ):
            if wrong.any():
                raise ValueError(f"lower {what} in row {np.argmax(wrong)} (s * A + a)")
        if np.any(most < 1 - check.ROW_TOLERANCE) or np.any(lower > upper):
            bad = np.argmax((most < 1 - check.ROW_TOLERANCE) | np.logical_or.reduceat(lower > upper, pointer[:-1]))
            raise ValueError(f"upper sums to less than 1 or lies below lower in row {bad} (s * A + a): the set is empty")
        return np.stack([lower, upper])


@dataclass(frozen=True, eq=False)
class DensityRatio(AmbiguitySet):
    """P[s,a,t] <= nominal[s,a,t] / level[s,a], level in (0, 1]: the worst case is the conditional value at risk of that level."""

    level: Any
    code: ClassVar[int] = codes.DENSITY_RATIO

    def _checked(self, name, value):
        _require(name, value, (value > 0) & (value <= 1), "a number in (0, 1]")
        return value


@dataclass(frozen=True, eq=False)
class L2(AmbiguitySet):
    """The Euclidean distance of the rows is at most radius[s,a]."""

    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.L2


@dataclass(frozen=True, eq=False)
class KL(AmbiguitySet):
    """sum_t P[s,a,t] log(P[s,a,t] / nominal[s,a,t]) <= radius[s,a]."""

    radius: Any
    code: ClassVar[int] = codes.KL


@dataclass(frozen=True, eq=False)
class ChiSquare(AmbiguitySet):
    """sum_t (P[s,a,t] - nominal[s,a,t])^2 / nominal[s,a,t] <= radius[s,a] on the nominal support."""

    radius: Any
    code: ClassVar[int] = codes.CHI_SQUARE


@dataclass(frozen=True, eq=False)
class Wasserstein(AmbiguitySet):
    """Moving nominal[s,a] to P[s,a] costs at most radius[s,a], a unit of mass from t to u costing distance[t, u] >= 0 (0 if t = u)."""

    distance: Any
    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.WASSERSTEIN

    def _checked(self, name, value):
        if name == "distance":
            if value.ndim != 2 or value.shape[0] != value.shape[1]:
                raise ValueError(f"distance must be square, got shape {value.shape}")
            _require("the diagonal of distance", np.diag(value), np.diag(value) == 0, "0")
        return super()._checked(name, value)

    def table(self, row, successor, pointer):
        return self.distance


@dataclass(frozen=True, eq=False)
class Contamination(AmbiguitySet):
    """P[s,a] = (1 - fraction[s,a]) nominal[s,a] + fraction[s,a] q, q any distribution over all states."""

    fraction: Any
    code: ClassVar[int] = codes.CONTAMINATION
    full_by_nature: ClassVar[bool] = True

    def _checked(self, name, value):
        _require(name, value, (value >= 0) & (value <= 1), "a number in [0, 1]")
        return value


@dataclass(frozen=True, eq=False)
class Ellipsoid(AmbiguitySet):
    """(P[s,a] - nominal[s,a])^T matrix^-1 (P[s,a] - nominal[s,a]) <= radius[s,a]^2.

    ``matrix`` is the diagonal [S], or [S, S] symmetric positive definite. Only diagonal ones are compiled: ``planning.worst_case`` asks
    cvxpy about the others, row by row, which is slow.
    """

    matrix: Any
    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.ELLIPSOID

    def _checked(self, name, value):
        if name == "matrix" and value.ndim == 2:
            if value.shape[0] != value.shape[1] or not np.allclose(value, value.T, rtol=1e-12, atol=0):
                raise ValueError("matrix must be symmetric")
            if np.linalg.eigvalsh(value)[0] <= 0:
                raise ValueError("matrix must be positive definite")
        return super()._checked(name, value)

    @property
    def diagonal(self):
        """The diagonal [S], or None if there is more than that."""
        if self.matrix.ndim == 1:
            return self.matrix
        diagonal = np.diag(self.matrix)
        return diagonal if np.count_nonzero(self.matrix) == len(diagonal) else None

    def table(self, row, successor, pointer):
        if self.diagonal is None:
            raise ValueError("matrix must be diagonal in a sweep; planning.worst_case also takes others, one row at a time")
        return self.diagonal[successor][None]


@dataclass(frozen=True, eq=False)
class FiniteRows(AmbiguitySet):
    """Row by row one of the M ``kernels`` [M, S, A, S]; the nominal kernel is not used (put it on the list to have it)."""

    kernels: Any
    code: ClassVar[int] = codes.FINITE
    full_by_nature: ClassVar[bool] = True

    def table(self, row, successor, pointer):
        return self.kernels.reshape(len(self.kernels), -1)


@dataclass(frozen=True, eq=False)
class SRectangularL1(AmbiguitySet):
    """sum_{a,t} |P[s,a,t] - nominal[s,a,t]| <= radius[s]: the adversary spreads one budget over the actions of a state."""

    radius: Any
    support: str = "nominal"
    rectangularity: ClassVar[str] = "s"
    code: ClassVar[int] = codes.S_L1


@dataclass(frozen=True, eq=False)
class SRectangularKL(AmbiguitySet):
    """sum_a KL(P[s,a], nominal[s,a]) <= radius[s]."""

    radius: Any
    rectangularity: ClassVar[str] = "s"
    code: ClassVar[int] = codes.S_KL


@dataclass(frozen=True, eq=False)
class SRectangularL2(AmbiguitySet):
    """sum_{a,t} (P[s,a,t] - nominal[s,a,t])^2 <= radius[s]^2."""

    radius: Any
    support: str = "nominal"
    rectangularity: ClassVar[str] = "s"
    code: ClassVar[int] = codes.S_L2


@dataclass(frozen=True, eq=False)
class FiniteSRectangular(AmbiguitySet):
    """State by state a mixture of the rows of M ``kernels`` [M, S, A, S], the same mixture for all actions of a state."""

    kernels: Any
    rectangularity: ClassVar[str] = "s"
    code: ClassVar[int] = codes.HULL
    full_by_nature: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class FiniteKernels(AmbiguitySet):
    """One of M whole ``kernels`` [M, S, A, S], the same for all states: not rectangular, no robust dynamic programming."""

    kernels: Any
    rectangularity: ClassVar[str] = "none"
    code: ClassVar[int] = codes.LIST
    full_by_nature: ClassVar[bool] = True


def rows(nominal, cost, ambiguity):
    """The model as compiled kernels read it: a ``tabular_rl.kernels.robust_rows.Rows``.

    Rows that sum to 1 only up to 1e-9 are normalised. A dense kernel without zeros, or any kernel of which the set may fill the zeros,
    stays dense; others are compressed to their support.

    Parameters
    ----------
    nominal : array [S, A, S] or scipy.sparse CSR (S*A, S)
    cost : array [S, A] or [S, A, S], or CSR with the entries of ``nominal``
    ambiguity : an (s,a)- or s-rectangular set; None for the nominal kernel alone

    Raises
    ------
    TypeError
        The set is not rectangular.
    ValueError
        A shape that does not fit, or a full support too large to unfold.
    """
    if ambiguity is not None and ambiguity.rectangularity == "none":
        raise TypeError(f"robust sweeps need a rectangular set, got {type(ambiguity).__name__}")
    S = nominal.shape[-1]
    A = nominal.shape[0] // S if hasattr(nominal, "tocsr") else nominal.shape[1]
    if ambiguity is not None:
        ambiguity.check_shape(S, A)
    full = ambiguity is not None and ambiguity.is_full
    places: tuple
    if hasattr(nominal, "tocsr") and full:
        if S * S * A > LARGEST_DENSE:
            raise ValueError(f"support: the full support of this sparse kernel has {S * S * A} entries, more than {LARGEST_DENSE}")
        nominal = nominal.toarray().reshape(S, A, S)
        cost = cost.toarray().reshape(S, A, S) if hasattr(cost, "tocsr") else cost
    if hasattr(nominal, "tocsr"):
        pointer, successor, data = nominal.indptr.astype(np.int64), nominal.indices.astype(np.uint32), nominal.data
        places = np.repeat(np.arange(S * A), np.diff(pointer)), successor
        cost = cost.data if hasattr(cost, "tocsr") else cost
    else:
        flat = nominal.reshape(S * A, S)
        dense = full or np.count_nonzero(flat) == flat.size
        places = np.divmod(np.arange(S * S * A), S) if dense else np.nonzero(flat)
        pointer = np.arange(S * A + 1) * S if dense else np.concatenate([[0], np.cumsum(np.count_nonzero(flat, axis=1))])
        successor = np.empty(0, np.uint32) if dense else places[1].astype(np.uint32)
        data = flat.reshape(-1) if dense else flat[places]
        cost = cost if cost.ndim == 2 else cost.reshape(-1) if dense else cost.reshape(S * A, S)[places]
    pair_costs = np.ndim(cost) == 2
    if ambiguity is None:
        radius, table = np.zeros(S * A), np.zeros((0, 0))
    else:
        radius, table = ambiguity.radii(S, A), ambiguity.table(*places, pointer)
    arrays = (pointer, successor, _normalised(data, pointer), np.ravel(cost), radius, table)
    pointer, successor, data, cost, radius, table = (read_only(x) for x in arrays)
    return codes.Rows(S, A, pointer, successor, data, cost, pair_costs, radius, table)


def kernel(rows, entries):
    """A dense kernel [S, A, S] from its ``entries``, such as the worst rows of a sweep."""
    S, A = rows.states, rows.actions
    if len(rows.successor) == 0:
        return np.array(entries).reshape(S, A, S)
    result = np.zeros((S * A, S))
    result[np.repeat(np.arange(S * A), np.diff(rows.pointer)), rows.successor] = entries
    return result.reshape(S, A, S)


def flat(rows, kernel):
    """The entries of a dense ``kernel`` [S, A, S] that vanishes off the rows' support."""
    S, A = rows.states, rows.actions
    if len(rows.successor) == 0:
        return np.array(kernel, dtype=float).reshape(-1)
    return kernel.reshape(S * A, S)[np.repeat(np.arange(S * A), np.diff(rows.pointer)), rows.successor]


def _normalised(data, pointer):
    """Rows divided by their sums where those are off by more than rounding."""
    sums = np.add.reduceat(data, pointer[:-1])
    off = np.abs(sums - 1) > 1e-14
    return data / np.repeat(np.where(off, sums, 1.0), np.diff(pointer)) if off.any() else data


def read_only(array):
    """A C-contiguous read-only view (or copy)."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array
