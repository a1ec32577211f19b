"""When two sides count as equal, or as ordered: exact up to a stated multiple of rounding error.

A claim returns (lhs, rhs), or (lhs, rhs, scale) when the terms that were added up are larger than the sides. A side may be an array. The
tolerance is ROUNDING units in the last place of max(scale, |lhs|, |rhs|, tiny): it follows the magnitudes, nobody tunes it.
"""

from dataclasses import dataclass

import numpy as np

ROUNDING = 2**14
TINY = 1e-200


@dataclass(frozen=True)
class Comparison:
    """``violation`` > 0 refutes; ``ratio`` is the largest lhs / rhs seen where both are clearly positive (1 = tight)."""

    violation: float
    ratio: float


def identity(lhs, rhs, scale=0.0):
    """lhs == rhs."""
    lhs, rhs, tolerance = _prepare(lhs, rhs, scale)
    return Comparison(float(np.max(np.abs(lhs - rhs) - tolerance)), 1.0)


def inequality(lhs, rhs, scale=0.0):
    """lhs <= rhs."""
    lhs, rhs, tolerance = _prepare(lhs, rhs, scale)
    clear = (rhs > tolerance) & (lhs > 0)
    ratio = float(np.max(lhs[clear] / rhs[clear])) if clear.any() else 0.0
    return Comparison(float(np.max(lhs - rhs - tolerance)), ratio)


def _prepare(lhs, rhs, scale):
    lhs, rhs = np.broadcast_arrays(np.atleast_1d(np.asarray(lhs, float)), np.asarray(rhs, float))
    if not (np.isfinite(lhs).all() and np.isfinite(rhs).all()):
        raise FloatingPointError("a side of the claim is not finite")
    size = max(float(np.max(scale)), float(np.abs(lhs).max()), float(np.abs(rhs).max()), TINY)
    return lhs, rhs, ROUNDING * np.finfo(float).eps * size
