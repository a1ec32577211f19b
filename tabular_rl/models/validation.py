"""Checks that every model runs once, when it is built. An error names the argument, the index, the value and what was expected."""

import math
import reprlib
from collections.abc import Mapping
from itertools import islice
from numbers import Real

import numpy as np

ROW_TOLERANCE = 1e-9
LEAST, MOST = 1e-50, 1e50  # of rates and scales: products and quotients of half a dozen of them are finite
LARGEST = 2**62  # of sizes and counts: compiled code counts in int64
NORMALIZABLE = 0.05  # with ``normalize``: rows that sum to 1 up to this are taken for rounded ones

# how a model of one kind is made of what somebody has: {kind: {what it is made of: expression}}, {0} stands for the latter
_WAYS = {
    "DiscountedMDP": {
        "RobustMDP": "{0}.against()",
        "DiscreteDP": "models.from_quantecon({0})",
        "environment": "instances.from_gymnasium(env, discount=...)",
        "array": "models.from_arrays(P, R, discount=...)",
    },
    "FiniteHorizonMDP": {
        "LinearMDP": "{0}.tabular",
        "RobustLinearMDP": "{0}.nominal",
        "DiscountedMDP": "FiniteHorizonMDP({0}.transition, {0}.reward, {0}.initial, horizon=..., available={0}.available)",
        "environment": "instances.from_gymnasium(env, horizon=...)",
        "array": "models.from_arrays(P, R, horizon=...)",
    },
    "AdversarialMDP": {"FiniteHorizonMDP": "losses.stochastic({0})", "DelayedMDP": "{0}.world"},
    "RobustMDP": {"DiscountedMDP": "RobustMDP.from_mdp({0}, ambiguity)"},
}


def kind(name, value, *kinds, detail="", **remedies):
    """``value``, which must be an instance of one of ``kinds`` (classes). A TypeError says what it is and, where there is one, the remedy.

    ``detail``: what else it must be, which the caller checks. ``remedies``: the name of another class -> what to do with such a value here,
    in place of the general advice.
    """
    if isinstance(value, kinds):
        return value
    wanted = [k.__name__ for k in kinds]
    articles = [f"{'an' if w[0] in 'AEIO' else 'a'} {w}" for w in wanted]
    expected = ", ".join(articles[:-1]) + " or " * (len(articles) > 1) + articles[-1] + detail
    brought = [ancestor.__name__ for ancestor in type(value).__mro__]
    remedy = next((remedies[x] for x in brought if x in remedies), None)
    if remedy is None and (way := _way(name, [*brought, _looks(value)], wanted)):
        remedy = f"{way} is one"
    raise wrong_kind(name, expected, value, remedy)


def quack(name, value, attribute, expected):
    """``value``, which must have ``attribute``: ``kind`` for classes that are above this layer."""
    if isinstance(value, type) or not hasattr(value, attribute):
        raise wrong_kind(name, expected, value)
    return value


def wrong_kind(name, expected, value, remedy=None):
    got = type(value).__name__
    if isinstance(value, type):
        got, remedy = f"the class {value.__name__}", "give an instance of it"
    return TypeError(f"{name} must be {expected}, got {got}" + (f"; {remedy}" if remedy else ""))


def _way(name, brought, wanted, steps=2):
    """The expression that makes one of the ``wanted`` of the argument ``name``, in at most so many steps; None if there is none."""
    ways = [(source, way) for target in wanted for source, way in _WAYS.get(target, {}).items()]
    direct = next((way.format(name) for source, way in ways if source in brought), None)
    if direct or steps == 1:
        return direct
    found = ((way, _way(name, brought, [source], steps - 1)) for source, way in ways if way.count("{0}") == 1)
    return next((way.format(first) for way, first in found if first), None)


def _looks(value):
    """What a value that is not a model looks like: "environment" (or its table), "array" or nothing known."""
    if isinstance(value, type | str):
        return None
    if isinstance(value, Mapping) or hasattr(value, "unwrapped"):
        return "environment"
    return "array" if isinstance(value, list | tuple) or hasattr(value, "__array__") or hasattr(value, "tocsr") else None


def unmasked(name, value):
    """``np.asarray(value)``, rectangular; a masked array, or a list of them, is a TypeError: the mask would be lost."""
    if _has_mask(value):
        raise TypeError(f"{name} must be an array of numbers, got {describe(value)}: its mask would be lost, give .filled(...)")
    try:
        return np.asarray(value)
    except ValueError as error:  # ragged nested lists
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None


def _has_mask(value):
    return isinstance(value, np.ma.MaskedArray) or (isinstance(value, list | tuple) and any(map(_has_mask, value)))


def real_array(name, value, shape=None, finite=True):
    """A C-contiguous float64 array of finite numbers. ``shape`` may hold None (any length)."""
    if (isinstance(value, np.ndarray) and value.dtype == object) or isinstance(value, str):
        raise TypeError(f"{name} must be an array of numbers, got {describe(value)}")
    array = unmasked(name, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if shape is not None and (array.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, array.shape, strict=True))):
        expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
    with np.errstate(over="ignore"):  # beyond float64 is infinite, which is the next check
        array = np.asarray(array, dtype=np.float64, order="C")
    return check_finite(name, array) if finite else array


def shape(name, value):
    """The shape of an array of numbers, or of what can be made one."""
    return value.shape if isinstance(value, np.ndarray) else real_array(name, value, finite=False).shape


def check_finite(name, array):
    """``array``, all of whose entries are finite, or an error that names the first one that is not."""
    finite = np.isfinite(array)
    if not finite.all():
        index = first_index(~finite)
        raise ValueError(f"{name}{list(index) if index else ''} is {array[index]}, expected a finite number")
    return array


def distribution(name, value, shape=None, normalize=None):
    """An array whose last axis holds probability distributions: entries >= 0, sums 1 within 1e-9."""
    return probabilities(name, real_array(name, value, shape), normalize)


def probabilities(name, array, normalize=None):
    """The ``distribution`` part of the checks, of a real array.

    ``normalize`` True: rows that sum to 1 within 5 % are divided by their sums; False: they are refused, with that remedy.
    """
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one entry along its last axis, got shape {array.shape}")
    if array.size and array.min() < 0:
        index = first_index(array < 0)
        raise ValueError(f"{name}{list(index)} is {array[index]}, expected a probability >= 0")
    with np.errstate(over="ignore"):
        sums = array.sum(axis=-1)
        check_row_sums(name, sums, normalize)
    return array / sums[..., None] if normalize else array


def sparse_array(name, value):
    """A CSR copy of any scipy.sparse matrix, in float64: indices in range, finite numbers, duplicates added up, no stored zeros."""
    from scipy.sparse import csr_array  # 0.4 s to import: only for those who bring a sparse matrix

    _check_indices(name, value)
    given = value.tocsr()
    _check_indices(name, given)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be a matrix of real numbers, got dtype {given.dtype}")
    with np.errstate(over="ignore"):
        matrix = csr_array(given, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
    matrix.eliminate_zeros()
    _check_entries(name, matrix, np.isfinite(matrix.data), "a finite number")
    return matrix


def csr_within(name, value):
    """A scipy.sparse matrix as CSR whose indices stay inside, its numbers unchecked."""
    from scipy.sparse import csr_array

    _check_indices(name, value)
    given = csr_array(value)
    _check_indices(name, given)
    return given


def sparse_probabilities(name, matrix, normalize=None):
    """The row sums of a CSR matrix whose rows are probability distributions; with ``normalize`` they are made so, in place."""
    _check_entries(name, matrix, matrix.data >= 0, "a probability >= 0")
    with np.errstate(over="ignore"):
        sums = matrix.sum(axis=1)
    check_row_sums(name, sums, normalize)
    if normalize:
        matrix.data /= np.repeat(sums, np.diff(matrix.indptr))
        sums = matrix.sum(axis=1)
    return sums


def _check_indices(name, matrix):
    """The indices of a sparse matrix stay inside: compiled code would follow them out of the arrays."""
    shape, good = matrix.shape, []
    if matrix.format == "coo":
        good += [_within(indices, length) for indices, length in zip(matrix.coords, shape, strict=True)]
    elif matrix.format in ("csr", "csc", "bsr"):
        block = matrix.blocksize if matrix.format == "bsr" else (1, 1)
        major, minor = (length // n for length, n in zip(shape, block, strict=True))
        if matrix.format == "csc":
            major, minor = minor, major
        pointers, used = matrix.indptr, matrix.indices[: max(0, matrix.indptr[-1])]
        good += [len(pointers) == major + 1, pointers[0] == 0, pointers[-1] <= min(len(matrix.indices), len(matrix.data))]
        good += [np.all(pointers[1:] >= pointers[:-1]), _within(used, minor)]
    if not all(good):
        raise ValueError(f"{name} is not a valid sparse matrix: its {matrix.format} indices lead outside of its shape {shape}")


def _within(indices, n):
    return len(indices) == 0 or (indices.min() >= 0 and indices.max() < n)


def _check_entries(name, matrix, good, expected):
    """Every stored entry of the CSR ``matrix`` is ``good`` (a mask over its data), or an error that names row and column."""
    if not good.all():
        entry = int(np.argmin(good))
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        raise ValueError(f"{name}[{row}, {matrix.indices[entry]}] is {matrix.data[entry]}, expected {expected}")


def check_row_sums(name, sums, normalize=None):
    """Every entry of ``sums`` is 1 within 1e-9 (``normalize``: 5 %), or an error that names the row, and the remedy if there is one."""
    tolerance = NORMALIZABLE if normalize else ROW_TOLERANCE
    off = ~(np.abs(sums - 1) <= tolerance)
    if np.any(off):
        index = first_index(off)
        rounded = normalize is False and np.abs(sums - 1).max() <= NORMALIZABLE
        remedy = "; if the numbers were rounded, normalize=True divides every row by its sum" if rounded else ""
        raise ValueError(f"{name}{list(index) if index else ''} sums to {float(sums[index])}, expected 1 within {tolerance:g}{remedy}")


def integer(name, value, minimum, maximum=LARGEST):
    """``value`` as an int from ``minimum`` to ``maximum`` (None: of any size)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {short(value)}")
    return int(value)


def integers(name, value, minimum, maximum, shape=None):
    """An int64 array of integers from ``minimum`` to ``maximum``; ``shape`` as in ``real_array``."""
    array = unmasked(name, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {describe(value)}")
    real_array(name, array, shape)
    outside = (array < minimum) | (array > maximum)
    if outside.any():
        index = first_index(outside)
        raise ValueError(f"{name}{list(index) if index else ''} is {array[index]}, expected an integer from {minimum} to {maximum}")
    return np.asarray(array, np.int64, order="C")


def horizon(value, S, A):
    """``value`` as a horizon of at least 1 such that an array [H, S, A, S] may exist, were it only as a view that repeats its steps."""
    H, most = integer("horizon", value, 1, None), LARGEST // 8 // (S * A * S)
    if most <= H:
        raise ValueError(f"horizon must be below {most:.0e} for {S} states and {A} actions, got {H}")
    return H


def number(name, value, *, above=None, at_least=None, below=None, at_most=None):
    """``value`` as a float inside the stated bounds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {describe(value)}")
    try:
        x = float(value)
    except OverflowError:  # an int beyond 1e308
        x = math.inf
    inside = (
        math.isfinite(x)
        and (above is None or x > above)
        and (at_least is None or x >= at_least)
        and (below is None or x < below)
        and (at_most is None or x <= at_most)
    )
    if not inside:
        left = f"({above}" if above is not None else f"[{at_least}" if at_least is not None else "(-inf"
        right = f"{below})" if below is not None else f"{at_most}]" if at_most is not None else "inf)"
        raise ValueError(f"{name} must lie in {left}, {right}, got {x}")
    return x


def rate(name, value, *, zero=False, most=MOST):
    """``value`` as a float from 1e-50 to 1e50, or 0 where that is allowed: with such rates and scales nothing overflows."""
    if zero and number(name, value, at_least=0, at_most=most) == 0:
        return 0.0
    return number(name, value, at_least=LEAST, at_most=most)


def failure(name, value, *, at_most=None):
    """``value`` as a failure probability: from 1e-50 to less than 1, or to ``at_most``."""
    return number(name, value, at_least=LEAST, at_most=at_most, below=1 if at_most is None else None)


def discount(value):
    """``value`` as a discount in (0, 1); at 1 the error says what there is instead."""
    if not isinstance(value, bool) and isinstance(value, Real) and value == 1:
        raise ValueError(
            "discount must lie in (0, 1), got 1.0: take a FiniteHorizonMDP for total reward, or for the average reward a discount near 1, "
            "say 0.99999, at which (1 - discount) * values are near the gain"
        )
    return number("discount", value, above=0, below=1)


def flag(name, value):
    """``value`` as a bool: a string or a number is not a flag, whatever its truth."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {short(value)}")
    return bool(value)


def generator(seed, name="seed"):
    """``numpy.random.default_rng(seed)``: of None, an int >= 0 or a sequence of them, a SeedSequence, BitGenerator or Generator."""
    return _seeded(np.random.default_rng, name, seed)


def seed_sequence(seed, name="seed"):
    """``seed`` as a ``numpy.random.SeedSequence``: itself, or that of None, of an int >= 0 or of a sequence of them."""
    return seed if isinstance(seed, np.random.SeedSequence) else _seeded(np.random.SeedSequence, name, seed)


def _seeded(make, name, seed):
    try:
        return make(seed)
    except (TypeError, ValueError) as error:  # NumPy's own words do not say which argument they are about
        kind = type(error) if type(error) in (TypeError, ValueError) else ValueError
        raise kind(f"{name} must be an integer >= 0, a sequence of them or a NumPy SeedSequence, got {describe(seed)}") from None


def choice(name, value, choices):
    """``value``, which must be one of ``choices``."""
    if not any(isinstance(value, type(option)) and value == option for option in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {short(value)}")
    return value


def labels(name, value, n):
    """None, or a tuple of ``n`` distinct hashable labels."""
    if value is None:
        return None
    value = distinct(name, value, n)
    if len(value) != n:
        raise ValueError(f"{name} must have {n} labels, got {len(value) if len(value) < n else 'more'}")
    return value


def distinct(name, value, most):
    """The first ``most`` + 1 items of an iterable as a tuple; they are hashable and distinct."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    try:
        items = iter(value)
    except TypeError:
        raise TypeError(f"{name} must be a sequence, got {describe(value)}") from None
    seen = {}
    for item in islice(items, most + 1):
        try:
            twice = item in seen
        except TypeError:
            raise TypeError(f"{name} must be hashable, got {describe(item)}") from None
        if twice:
            raise ValueError(f"{name} must be distinct, {short(item)} stands there twice")
        seen[item] = None
    return tuple(seen)


def frozen(array, original):
    """``array``, read-only: what was validated stays valid. Copied where the caller, who brought ``original``, could write into it."""
    made_here = isinstance(original, list | tuple) or (isinstance(original, np.ndarray) and not np.may_share_memory(array, original))
    if not made_here and not _is_frozen(array):
        array = array.copy()
    array.flags.writeable = False
    return array


def _is_frozen(array):
    """Whether neither the array nor what it is a view of can be written."""
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.base
    return array is None


def first_index(mask):
    """Index (a tuple of ints) of the first True entry."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(mask), np.shape(mask)))


def describe(value):
    """Type and value in an error's text: never more than 40 characters of the value."""
    return f"{type(value).__name__} {short(value)}".rstrip()


def short(value):
    """At most 40 characters of the value, on one line, however large it is and whatever its repr does."""
    try:
        text = " ".join(_SHORT.repr(value).split())
    except Exception:  # the error that is being written matters more than that of the repr
        return ""
    return text if len(text) <= 40 else text[:37] + "..."


_SHORT = reprlib.Repr()  # looks at a few entries only
_SHORT.maxother = _SHORT.maxstring = 60
