"""The ambiguity sets: validated, frozen, without the nominal kernel they are put around."""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from tabular_rl.kernels.robust import rows as codes
from tabular_rl.models import validation as check
from tabular_rl.models.availability import filled

SUPPORTS = ("nominal", "full")


@dataclass(frozen=True, eq=False)
class AmbiguitySet:
    """What all sets share; not a set by itself."""

    rectangularity: ClassVar[str] = "sa"
    code: ClassVar[int] = -1
    scale: ClassVar[float] = 1.0  # of the radius that the kernel works with
    full_by_nature: ClassVar[bool] = False
    by_entry: ClassVar[bool] = False  # whether the table looks at the entries' places, which are not made otherwise

    def __post_init__(self):
        if type(self) is AmbiguitySet:
            raise TypeError("AmbiguitySet is what all sets share; use one of the sets of tabular_rl.ambiguity")
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

    def where(self, available):
        """The set where some pairs [S, A] do not exist: what it says about these becomes what it says about the state's first action."""
        changes, value = {}, None
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "kernels":
                changes[field.name] = np.stack([filled(kernel, available) for kernel in value])
            elif np.shape(value)[:2] == available.shape and (field.name in ("radius", "level", "fraction", "zeta") or np.ndim(value) == 3):
                changes[field.name] = filled(value, available)
        return replace(self, **changes)

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
        """What the kernel needs to know beside the radius: [k, entries] at the entries (row, successor) of the model if ``by_entry``."""
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
    by_entry: ClassVar[bool] = True

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
    by_entry: ClassVar[bool] = True

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

    ``matrix`` is the diagonal [S], or [S, S] symmetric positive definite. On the nominal support it is this same ball, met with the rows
    that vanish elsewhere (the inverse is of the whole matrix). Only diagonal ones are compiled: ``planning.worst_case`` takes the others
    one row at a time, which is slow.
    """

    matrix: Any
    radius: Any
    support: str = "nominal"
    code: ClassVar[int] = codes.ELLIPSOID
    by_entry: ClassVar[bool] = True

    def _checked(self, name, value):
        if name == "matrix" and value.ndim == 2:
            if value.shape[0] != value.shape[1] or not np.allclose(value, value.T, rtol=1e-12, atol=0):
                raise ValueError("matrix must be symmetric")
            least, most = np.linalg.eigvalsh(value)[[0, -1]]
            if not least > 4e-16 * len(value) * most:
                raise ValueError(f"matrix must be positive definite, got eigenvalues from {least:.3g} to {most:.3g}")
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
    """Row by row one of the M ``kernels`` [M, S, A, S]; the nominal kernel is not used (include it in the list if it is to be allowed)."""

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
