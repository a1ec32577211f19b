"""Worst-case expectations over ambiguity sets: a maximizer and its certificate, for every kind of set (drpg spec, sections 2 to 4, 13).

Costs: the adversary maximizes p.z over a ball around p0. Certificates are weak duality: the bound holds for any value of the dual
variable, so a bound that equals the value proves the value.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl import ambiguity as sets
from tabular_rl.planning import worst_case

SOURCE = "drpg spec"
RADII = (0.0, 1e-14, 1e-6, 0.05, 0.3, 1.0, 2.5, 1e3)
radii = st.one_of(st.sampled_from(RADII), st.floats(0.01, 1.5))
moderate_radii = st.floats(0.01, 1.0)


def row(n, style, seed):
    """(z, p0) as an array [2, n]: costs to come, and the nominal distribution; with ties, zeros, nearly equal costs, a single point."""
    rng = np.random.default_rng(seed)
    z, p0 = rng.normal(size=n) * 10.0 ** rng.uniform(-2, 1), rng.dirichlet(np.full(n, 0.8))
    if style == "ties":
        z = np.round(2 * z / np.abs(z).max())
    elif style == "constant":
        z[:] = z[0]
    elif style == "near ties":
        z = 1 + 1e-9 * rng.integers(-2, 3, n)
    elif style == "zeros":
        p0 *= rng.random(n) < 0.6
    elif style == "point":
        p0 *= np.arange(n) == 0
    if p0.sum() == 0:
        p0[0] = 1
    return np.stack([z, p0 / p0.sum()])


rows = draw(
    row, st.one_of(st.integers(1, 12), st.just(40)), st.sampled_from(["plain", "plain", "ties", "constant", "near ties", "zeros", "point"])
)
plain_rows = draw(row, st.integers(2, 8), st.sampled_from(["plain", "ties", "zeros"]))


def metric(n):
    """Distances |i - j| / n of states on a line."""
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / n


def weights(n):
    """Prices of moving mass at each state."""
    return 1 + np.arange(n) % 3


# kind: (set of (radius, n), distance of p from p0 on the support, in the units of the radius)
BALLS = {
    "L1": (lambda r, n: sets.L1(r), lambda p, p0: np.abs(p - p0).sum()),
    "total variation": (lambda r, n: sets.TotalVariation(r), lambda p, p0: np.abs(p - p0).sum() / 2),
    "weighted L1": (lambda r, n: sets.WeightedL1(weights(n), r), lambda p, p0: weights(len(p)) @ np.abs(p - p0)),
    "L infinity": (lambda r, n: sets.LInf(r), lambda p, p0: np.abs(p - p0).max()),
    "L2": (lambda r, n: sets.L2(r), lambda p, p0: np.linalg.norm(p - p0)),
    "ellipsoid": (lambda r, n: sets.Ellipsoid(weights(n), r), lambda p, p0: np.sqrt(np.sum((p - p0) ** 2 / weights(len(p))))),
    "KL": (lambda r, n: sets.KL(r), lambda p, p0: relative_entropy(p, p0)),
    "chi-square": (lambda r, n: sets.ChiSquare(r), lambda p, p0: np.sum((p - p0)[p0 > 0] ** 2 / p0[p0 > 0])),
    "Wasserstein": (lambda r, n: sets.Wasserstein(metric(n), r), lambda p, p0: np.abs(np.cumsum(p - p0)).sum() / len(p)),
}
CONVEX = (*BALLS, "contamination")
MAKERS = {name: ball[0] for name, ball in BALLS.items()} | {
    "contamination": lambda r, n: sets.Contamination(min(r, 1)),
    "density ratio": lambda r, n: sets.DensityRatio(1 / (1 + r)),
}
CERTIFIED = MAKERS | {"interval": lambda r, n: sets.Interval(np.full(n, 0.5 / n), np.full(n, min((1 + r / 2) / n, 1)), "full")}
balls, kinds, convex_kinds, certified = (st.sampled_from(tuple(names)) for names in (BALLS, MAKERS, CONVEX, CERTIFIED))


def relative_entropy(p, p0):
    """KL(p, p0) as a sum of terms >= 0, (1 + x) log(1 + x) - x with x = p / p0 - 1: nothing cancels."""
    from scipy.special import xlog1py

    x = p[p0 > 0] / p0[p0 > 0] - 1
    return p0[p0 > 0] @ np.where(np.abs(x) < 1e-4, x**2 / 2 - x**3 / 6 + x**4 / 12, xlog1py(1 + x, x) - x)


def _size(z):
    return max(1.0, np.abs(z).max())


def _value(kind, z, p0, radius):
    return worst_case(z, p0, MAKERS[kind](radius, len(z))).value


@claim("worst.certificate", kind=identity, source=f"{SOURCE} section 2", provenance="derived",
       given=(rows, certified, radii), control={"shrink": 0.9})  # fmt: skip
def certificate(pair, kind, radius, shrink=1.0):
    """The value of the maximizer equals the dual bound, and the gap is their difference: for every set, radius from 0 to 1000, ties, zeros,
    one-point support.

    Control: the maximizer of 0.9 times the radius.
    """
    z, p0 = pair
    value, bound = (worst_case(z, p0, CERTIFIED[kind](r, len(z))) for r in (shrink * radius, radius))
    found = [value.value, value.distribution @ z, bound.gap]
    return found, [bound.bound, bound.bound, bound.bound - bound.value], _size(z)


def matrix_for(first, seed):
    """A positive definite matrix for the row ``first``, of condition up to 1e4."""
    rng = np.random.default_rng(seed)
    n = first.shape[1]
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0]
    matrix = axes * 10.0 ** rng.uniform(-2, 2, n) @ axes.T
    return (matrix + matrix.T) / 2


@claim("worst.ellipsoid", kind=inequality, source=f"{SOURCE} 2.8", provenance="derived",
       given=(draw(row, st.integers(2, 5), st.sampled_from(["plain", "zeros"])), draw(matrix_for, fit=True), st.floats(0.001, 3.0)),
       control={"radius_of": 0.9})  # fmt: skip
def ellipsoid(pair, matrix, radius, radius_of=1.0):
    """Ellipsoids whose axes lie anywhere: the maximizer is a distribution on the support, within the radius, and its value is the dual
    bound; no scaling of the matrix and the radius that keeps the set changes it.

    Control: within 0.9 times the radius.
    """
    z, p0 = pair
    found, again = worst_case(z, p0, sets.Ellipsoid(matrix, radius)), worst_case(z, p0, sets.Ellipsoid(4 * matrix, radius / 2))
    p, size = found.distribution, _size(z)
    away = np.sqrt((p - p0) @ np.linalg.solve(matrix, p - p0))
    off = p[p0 == 0].sum() + np.maximum(-p, 0).sum() + abs(p.sum() - 1)
    lhs = [found.bound - found.value, found.value - found.bound, abs(p @ z - found.value), abs(again.value - found.value), away, off]
    return lhs, [1e-9 * size] * 4 + [radius_of * radius * (1 + 1e-7), 1e-9], size


@claim("worst.feasible", kind=inequality, source=f"{SOURCE} section 2", provenance="derived",
       given=(rows, balls, radii), control={"radius_of": 0.9})  # fmt: skip
def feasible(pair, kind, radius, radius_of=1.0):
    """The maximizer lies in the ball, on the nominal support, is nonnegative and sums to 1; the ball is used up where it binds.

    Control: it lies in the ball of 0.9 times the radius.
    """
    z, p0 = pair
    make, distance = BALLS[kind]
    p = worst_case(z, p0, make(radius, len(z))).distribution
    outside = p[p0 == 0].sum() + np.maximum(-p, 0).sum() + abs(p.sum() - 1)
    return [distance(p, p0), outside], [radius_of * radius, 0.0], max(1.0, radius)


def competitor(first, seed):
    """A distribution on the nominal support of the row ``first``, drawn towards a vertex."""
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(first.shape[1], 0.3)) * (first[1] > 0)
    return q / q.sum() if q.sum() > 0 else first[1]


def inside(make, distance, q, p0, radius):
    """The point of the ball's boundary (or q itself) on the way from p0 to q: 60 bisections, the feasible end."""
    low, high = 0.0, 1.0
    if distance(q, p0) <= radius:
        return q
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(p0 + middle * (q - p0), p0) <= radius else (low, middle)
    return p0 + low * (q - p0)


@claim("worst.maximum", kind=inequality, source=f"{SOURCE} section 2", provenance="derived",
       given=(plain_rows, balls, moderate_radii, draw(competitor, fit=True)), control={"sign": -1})  # fmt: skip
def maximum(pair, kind, radius, q, sign=1):
    """No other member of the ball has a larger expectation, whichever way one leaves p0.  Control: argmin in place of argmax."""
    z, p0 = pair
    make, distance = BALLS[kind]
    member = inside(make, distance, q, p0, radius)
    return member @ z, sign * _value(kind, sign * z, p0, radius), _size(z)


@claim("worst.same-sets", kind=identity, source=f"{SOURCE} 2.1-2.8", provenance="derived",
       given=(rows, radii), control={"half": 1.0})  # fmt: skip
def same_sets(pair, radius, half=0.5):
    """Sets that are the same have the same value: L1 as weighted L1 with weights 1, as total variation of half the radius, as transport at
    price 1; chi-square as an ellipsoid with the axes p0; L infinity as intervals; all vertices of the simplex as L1 balls of radius 2; the
    density ratio as conditional value at risk.

    Control: total variation of the same radius.
    """
    z, p0 = pair
    n, level, on = len(z), 1 / (1 + radius), p0 > 0
    box = sets.Interval(np.where(on, np.maximum(p0 - radius, 0), 0), np.where(on, np.minimum(p0 + radius, 1), 0))
    axes = sets.Ellipsoid(np.where(on, p0, 1), np.sqrt(radius))
    pairs = [
        (sets.L1(radius), sets.WeightedL1(np.ones(n), radius)),
        (sets.L1(radius), sets.TotalVariation(half * radius)),
        (sets.L1(radius), sets.Wasserstein(1 - np.eye(n), radius / 2)),
        (sets.ChiSquare(radius), axes),
        (sets.LInf(radius), box),
        (sets.FiniteRows(np.eye(n)[:, None, None]), sets.L1(2, support="full")),
    ]
    values = np.array([[worst_case(z, p0, one).value for one in same] for same in pairs])
    # Rockafellar, Uryasev: the least t + E (z - t)^+ / level, attained at one of the z
    tail = min(t + p0 @ np.maximum(z - t, 0) / level for t in z[on])
    return [*values[:, 0], worst_case(z, p0, sets.DensityRatio(level)).value], [*values[:, 1], tail], _size(z)


@claim("worst.shift", kind=identity, source=f"{SOURCE} section 11", provenance="derived",
       given=(rows, kinds, radii, st.floats(0.1, 3), st.floats(-5, 5)), control={"sign": -1})  # fmt: skip
def shift(pair, kind, radius, factor, constant, sign=1):
    """max p.(f z + c) = f max p.z + c for f > 0: costs of pairs need not enter a row's worst case.  Control: f < 0."""
    z, p0 = pair
    f = sign * factor
    return _value(kind, f * z + constant, p0, radius), f * _value(kind, z, p0, radius) + constant, 10 * _size(z)


@claim("worst.monotone", kind=inequality, source=f"{SOURCE} section 13 item 3", provenance="derived",
       given=(rows, kinds, radii, st.floats(0, 1)), control={"reverse": True})  # fmt: skip
def monotone(pair, kind, radius, share, reverse=False):
    """A larger ball has no smaller worst case; radius 0 gives the nominal mean.  Control: the reverse."""
    z, p0 = pair
    small, large = _value(kind, z, p0, share * radius), _value(kind, z, p0, radius)
    sides = ([p0 @ z, small], [_value(kind, z, p0, 0.0), large])
    return (*(sides[::-1] if reverse else sides), _size(z))


@claim("worst.concave", kind=inequality, source=f"{SOURCE} section 13 item 3", provenance="derived",
       given=(plain_rows, convex_kinds, moderate_radii, moderate_radii, st.floats(0.1, 0.9)), control={"slack": 0.05})  # fmt: skip
def concave(pair, kind, r, s, share, slack=0.0):
    """The worst case is concave in the radius: {(p, r): distance(p, p0) <= r} is convex.

    Control: it exceeds the chord by a twentieth of the range of z.
    """
    z, p0 = pair
    chord = share * _value(kind, z, p0, r) + (1 - share) * _value(kind, z, p0, s)
    return chord + slack * np.ptp(z), _value(kind, z, p0, share * r + (1 - share) * s), _size(z)


@claim("worst.pinsker", kind=inequality, source="Pinsker 1964; drpg spec section 13 item 4", provenance="classical",
       given=(plain_rows, st.floats(0.01, 0.5)), control={"constant": 4})  # fmt: skip
def pinsker(pair, radius, constant=2):
    """KL <= 2 r^2 lies inside total variation <= r: its worst case is no larger.  Control: KL <= 4 r^2."""
    z, p0 = pair
    return _value("KL", z, p0, constant * radius**2), _value("total variation", z, p0, radius), _size(z)


@claim("worst.chi-square-in-kl", kind=inequality, source="Gibbs, Su 2002; drpg spec section 13 item 4", provenance="classical",
       given=(plain_rows, moderate_radii), control={"share": 0.4})  # fmt: skip
def chi_square_in_kl(pair, radius, share=1.0):
    """KL <= log(1 + chi-square): the chi-square ball of r lies inside the KL ball of log(1 + r).  Control: of 0.4 log(1 + r)."""
    z, p0 = pair
    return _value("chi-square", z, p0, radius), _value("KL", z, p0, share * np.log1p(radius)), _size(z)


@claim("worst.norms", kind=inequality, source=f"{SOURCE} section 13 item 4", provenance="derived",
       given=(plain_rows, moderate_radii), control={"power": 0})  # fmt: skip
def norms(pair, radius, power=0.5):
    """||.||_1 <= sqrt(n) ||.||_2 on n states: the L2 ball of r / sqrt(n) lies inside the L1 ball of r.  Control: the L2 ball of r."""
    z, p0 = pair
    return _value("L2", z, p0, radius / len(z) ** power), _value("L1", z, p0, radius), _size(z)


@claim("worst.variance", kind=inequality, source=f"{SOURCE} 2.6", provenance="derived",
       given=(rows, radii), control={"factor": 0.9})  # fmt: skip
def variance(pair, radius, factor=1.0):
    """Over chi-square <= r no more than the standard deviation times sqrt(r) is added to the mean; with equality while every state keeps
    mass. Control: 0.9 of it.
    """
    z, p0 = pair
    mean = p0 @ z
    deviation = np.sqrt(p0 @ (z - mean) ** 2)
    return _value("chi-square", z, p0, radius) - mean, factor * np.sqrt(radius) * deviation, _size(z)


@claim("worst.fractions", kind=inequality, source=f"{SOURCE} 2.8", provenance="derived",
       given=(plain_rows, st.floats(0.05, 1)), control={"factor": 0.9})  # fmt: skip
def contamination_in_l1(pair, fraction, factor=1.0):
    """Contamination by R moves p by at most 2 R in L1: its worst case is at most that of the full L1 ball of 2 R, with equality where the
    worst state has no nominal mass and the others' costs are the same. Control: the L1 ball of 1.8 R.
    """
    z, p0 = pair
    ball = sets.L1(2 * factor * fraction, support="full")
    bad = int(np.argmax(z))
    z = np.where(np.arange(len(z)) == bad, z, z.min())
    p0 = np.where(np.arange(len(z)) == bad, 0, p0) if p0[bad] < 1 else p0
    p0 = p0 / p0.sum()
    return worst_case(z, p0, sets.Contamination(fraction)).value, worst_case(z, p0, ball).value, _size(z)


theorem(
    "worst-case-kernels",
    statement="For each kind of ball around $p_0$ the kernel returns a member that maximizes $p \\cdot z$, at every radius from 0 on: "
    "its value equals a dual bound that no member exceeds. Values grow with the radius, are concave in it, commute with shifts and "
    "positive factors of $z$, and balls that contain each other are ordered.",
    source=f"{SOURCE} section 2; Iyengar 2005; Nilim, El Ghaoui 2005",
    provenance="derived",
    claims=(
        "worst.certificate", "worst.ellipsoid", "worst.feasible", "worst.maximum", "worst.same-sets", "worst.shift", "worst.monotone",
        "worst.concave", "worst.pinsker", "worst.chi-square-in-kl", "worst.norms", "worst.variance", "worst.fractions",
    ),
    uses={
        "worst.maximum": ("worst.certificate",),
        "worst.monotone": ("worst.maximum", "worst.feasible"),
        "worst.concave": ("worst.maximum", "worst.feasible"),
    },
)  # fmt: skip
