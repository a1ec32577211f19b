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

    def _checked(self, name, value):
        if name in ("radius", "weights", "distance"):
            _require(name, value, value >= 0, "a number >= 0")
        return value

    def check_shape(self, n_states, n_actions):
        """ValueError if the set does not fit a model of S states and A actions."""
        radius = self._radius()
        shape = (n_states,) if self.rectangularity == "s" else (n_states, n_actions)
        if radius is not None and radius[1].shape not in ((), shape):
            raise ValueError(f"{radius[0]} must be a number or have shape {shape}, got {radius[1].shape}")
        for name in ("weights", "lower", "upper"):
            value = getattr(self, name, None)
            if value is not None and value.shape not in ((n_states,), (n_states, n_actions, n_states)):
                raise ValueError(f"{name} must have shape ({n_states},) or ({n_states}, {n_actions}, {n_states}), got {value.shape}")
        for name, shapes in (
            ("distance", ((n_states, n_states),)),
            ("matrix", ((n_states,), (n_states, n_states))),
        ):
            value = getattr(self, name, None)
            if value is not None and value.shape not in shapes:
                raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {value.shape}")
        kernels = getattr(self, "kernels", None)
        if kernels is not None and kernels.shape[1:] != (n_states, n_actions, n_states):
            raise ValueError(f"kernels must have shape (M, {n_states}, {n_actions}, {n_states}), got {kernels.shape}")

    @property
    def is_full(self):
        """Whether mass may move to where the nominal kernel has none."""
        return self.full_by_nature or getattr(self, "support", None) == "full"

    def _radius(self):
        """(name, array) of what plays the part of the radius, or None."""
        for name in ("radius", "level", "fraction"):
            if hasattr(self, name):
                return name, getattr(self, name)
        return None

    def radii(self, n_states, n_actions):
        """The kernel's radius of every row [S*A], or of every state [S]."""
        radius = self._radius()
        shape = (n_states,) if self.rectangularity == "s" else (n_states, n_actions)
        return np.ravel(np.broadcast_to(0.0 if radius is None else self.scale * radius[1], shape)).copy()

    def entries(self, places):
        """``table`` of the kernel: arrays of the set at the entries ``places`` = (row, successor), each [entries]."""
        names = [name for name in ("weights", "lower", "upper") if hasattr(self, name)]
        if not names:
            return np.zeros((0, 0))
        row, successor = places
        arrays = [getattr(self, name) for name in names]
        return np.stack([x[successor] if x.ndim == 1 else x.reshape(-1, x.shape[-1])[row, successor] for x in arrays])


def _require(name, value, good, expected):
    if not np.all(good):
        index = check.first_index(~np.asarray(good))
        raise ValueError(f"{name}{list(index) if index else ''} is {value[index]}, expected {expected}")


@dataclass(frozen=True, eq=False)
class L1(AmbiguitySet):
    """sum_t |P[s,a,t] - nominal[s,a,t]| <= radius[s,a]; radius >= 0, everything above 2 is the whole simplex."""

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
class SRectangularL1(AmbiguitySet):
    """sum_{a,t} |P[s,a,t] - nominal[s,a,t]| <= radius[s]: the adversary spreads one budget over the actions of a state."""

    radius: Any
    support: str = "nominal"
    rectangularity: ClassVar[str] = "s"
    code: ClassVar[int] = codes.S_L1


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
        radius, table = ambiguity.radii(S, A), ambiguity.entries(places)
    arrays = (pointer, successor, _normalised(data, pointer), np.ravel(cost), radius, table)
    pointer, successor, data, cost, radius, table = (_read_only(x) for x in arrays)
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


def _read_only(array):
    """A C-contiguous read-only view (or copy)."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array
