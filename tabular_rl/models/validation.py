"""Checks that every model runs once, when it is built. An error names the argument, the index, the value and what was expected."""

import numpy as np

ROW_TOLERANCE = 1e-9


def real_array(name, value, shape=None):
    """A C-contiguous float64 array of finite numbers. ``shape`` may hold None (any length)."""
    if (isinstance(value, np.ndarray) and value.dtype == object) or isinstance(value, str):
        raise TypeError(f"{name} must be an array of numbers, got {_describe(value)}")
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged nested lists
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if shape is not None and (array.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, array.shape, strict=True))):
        expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        index = first_index(~finite)
        raise ValueError(f"{name}{list(index)} is {array[index]}, expected a finite number")
    return array


def distribution(name, value, shape=None):
    """An array whose last axis holds probability distributions: entries >= 0, sums 1 within 1e-9."""
    array = real_array(name, value, shape)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one entry along its last axis, got shape {array.shape}")
    if array.size and array.min() < 0:
        index = first_index(array < 0)
        raise ValueError(f"{name}{list(index)} is {array[index]}, expected a probability >= 0")
    check_row_sums(name, array.sum(axis=-1))
    return array


def check_row_sums(name, sums):
    """Every entry of ``sums`` is 1 within 1e-9, or an error that names the row."""
    off = np.abs(sums - 1) > ROW_TOLERANCE
    if np.any(off):
        index = first_index(off)
        raise ValueError(f"{name}{list(index) if index else ''} sums to {sums[index]!r}, expected 1 within {ROW_TOLERANCE:g}")


def integer(name, value, minimum):
    """``value`` as an int of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {_describe(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def number(name, value, *, above=None, at_least=None, below=None, at_most=None):
    """``value`` as a float inside the stated bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a real number, got {_describe(value)}")
    inside = (
        np.isfinite(value)
        and (above is None or value > above)
        and (at_least is None or value >= at_least)
        and (below is None or value < below)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        left = f"({above}" if above is not None else f"[{at_least}" if at_least is not None else "(-inf"
        right = f"{below})" if below is not None else f"{at_most}]" if at_most is not None else "inf)"
        raise ValueError(f"{name} must lie in {left}, {right}, got {value}")
    return float(value)


def choice(name, value, choices):
    """``value``, which must be one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def labels(name, value, n):
    """None, or a tuple of ``n`` distinct hashable labels."""
    if value is None:
        return None
    value = tuple(value)
    if len(value) != n:
        raise ValueError(f"{name} must have {n} labels, got {len(value)}")
    if len(set(value)) != n:
        raise ValueError(f"{name} must be distinct, {next(x for x in value if value.count(x) > 1)!r} stands there twice")
    return value


def freeze(array):
    """The array, read-only: what was validated stays valid."""
    array = array.view()
    array.flags.writeable = False
    return array


def private(array, original):
    """``array``, copied if it shares memory with the caller's ``original`` (who could write into it later)."""
    return array.copy() if np.may_share_memory(array, original) and array.flags.writeable else array


def first_index(mask):
    """Index (a tuple of ints) of the first True entry."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(mask), np.shape(mask)))


def _describe(value):
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
