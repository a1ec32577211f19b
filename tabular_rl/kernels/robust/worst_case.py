"""The worst case of one row, by the code of its set: what the sweeps and ``planning.worst_case`` have in common.

The kinds live in ``worst_case_l1``, ``worst_case_box``, ``worst_case_ellipsoid``, ``worst_case_kl`` and ``worst_case_transport``.
"""

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.robust import worst_case_box as box
from tabular_rl.kernels.robust import worst_case_ellipsoid as ellipsoid
from tabular_rl.kernels.robust import worst_case_kl as kl
from tabular_rl.kernels.robust import worst_case_l1 as l1
from tabular_rl.kernels.robust import worst_case_transport as transport
from tabular_rl.kernels.robust.rows import (
    CHI_SQUARE,
    CONTAMINATION,
    DENSITY_RATIO,
    ELLIPSOID,
    FINITE,
    INTERVAL,
    KL,
    L1,
    L2,
    L_INFINITY,
    WASSERSTEIN,
    WEIGHTED_L1,
)


@njit
def worst_row(code, z, p0, radius, table, start, p, work):
    """(value, dual, second dual) of the row whose entries begin at ``start``; p [n] becomes its worst distribution.

    ``table`` is that of ``Rows``; for WASSERSTEIN ``work.places[5]`` holds the row's states. The second dual is 0 but for ellipsoids.
    """
    n, numbers, places = len(z), work.numbers, work.places
    stop, second = start + n, 0.0
    if code == L1:
        value, dual = l1.worst_l1(z, p0, radius, p, places[0])
    elif code == WEIGHTED_L1:
        value, dual = transport.worst_weighted_l1(z, p0, table[0, start:stop], radius, p)
    elif code in (INTERVAL, L_INFINITY, DENSITY_RATIO):
        lower, upper = bounds(code, p0, radius, table, start, work)
        value, dual = box.worst_interval(z, lower, upper, p, numbers[4], numbers[5], places[0])
    elif code in (L2, ELLIPSOID):
        value, dual, second = ellipsoid.worst_ellipsoid(z, p0, axes(code, n, table, start, work), radius, p, places[0])
    elif code == KL:
        value, dual = kl.worst_kl(z, p0, radius, p)
    elif code == CHI_SQUARE:
        value, dual = ellipsoid.worst_chi_square(z, p0, radius, p, places[0])
    elif code == WASSERSTEIN:
        value, dual = transport.worst_wasserstein(z, p0, table, places[5], radius, p, places)
    elif code == CONTAMINATION:
        value, dual = box.worst_contamination(z, p0, radius, p)
    elif code == FINITE:
        value, dual = box.worst_of_rows(z, table, start, p)
    else:
        raise ValueError("no (s, a)-rectangular set has this code")
    return value, dual, second


@njit
def dual_row(code, z, p0, radius, table, start, work, dual, second):
    """The upper bound that these dual variables certify."""
    n = len(z)
    if code == L1:
        return l1.dual_l1(z, p0, radius, dual)
    if code == WEIGHTED_L1:
        return transport.dual_weighted_l1(z, p0, table[0, start : start + n], radius, dual)
    if code in (INTERVAL, L_INFINITY, DENSITY_RATIO):
        lower, upper = bounds(code, p0, radius, table, start, work)
        return box.dual_interval(z, lower, upper, dual)
    if code in (L2, ELLIPSOID):
        return ellipsoid.dual_ellipsoid(z, p0, axes(code, n, table, start, work), radius, dual, second)
    if code == KL:
        return kl.dual_kl(z, p0, radius, dual)
    if code == CHI_SQUARE:
        return ellipsoid.dual_chi_square(z, p0, radius, dual)
    if code == WASSERSTEIN:
        return transport.dual_wasserstein(z, p0, table, work.places[5], radius, dual)
    if code == CONTAMINATION:
        return box.dual_contamination(z, p0, radius, dual)
    return box.dual_of_rows(z, table, start)


@njit
def bounds(code, p0, radius, table, start, work):
    """(lower, upper) [n] of a box."""
    n = len(p0)
    if code == INTERVAL:
        return table[0, start : start + n], table[1, start : start + n]
    lower, upper = work.numbers[2, :n], work.numbers[3, :n]
    if code == L_INFINITY:
        box.l_infinity_bounds(p0, radius, lower, upper)
    else:
        box.density_ratio_bounds(p0, radius, lower, upper)
    return lower, upper


@njit
def axes(code, n, table, start, work):
    """q [n] of an ellipsoid; ones for L2."""
    if code == ELLIPSOID:
        return table[0, start : start + n]
    ones = work.numbers[2, :n]
    for i in range(n):
        ones[i] = 1.0
    return ones
