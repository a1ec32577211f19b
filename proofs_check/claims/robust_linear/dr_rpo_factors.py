"""DR-RPO, one factor at a time: the adversary's value and its duals, constraints and penalties (dr_rpo spec, 1.4 and 4, L1, L2, L6, L7)."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import STYLES, draw, rows
from tabular_rl.kernels.linear import robust_induction as kernel

SOURCE = "dr_rpo spec 4"


class Factor(NamedTuple):
    """``values`` [S], 0 in the last state (fail); ``mass`` [S] a distribution, ``other`` another one, ``signed`` [S] any weights."""

    values: Any
    mass: Any
    other: Any
    signed: Any
    radius: float
    sigma: float


def factor(S, style, seed):
    """A Factor on S states."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=S)
    values[-1] = 0
    mass = rows(rng, (S,), style)
    radius = float(rng.choice([0.0, 0.1, 0.35, 0.8, 1.0]))
    return Factor(values, mass, rows(rng, (S,), "smooth"), rng.normal(size=S), radius, float(np.exp(rng.uniform(-2, 1))))


def dipped(S, ordered, seed):
    """A Factor with V >= 0; ordered: signed weights that grow with the values and sum to 0 off fail: the dual falls, then rises."""
    f = factor(S, "smooth", seed)
    values, signed = np.abs(f.values), f.signed
    if ordered:
        signed = np.append(np.sort(signed[:-1] - signed[:-1].mean())[np.argsort(np.argsort(values[:-1]))], signed[-1])
    return f._replace(values=values, signed=signed)


_factors = draw(factor, st.integers(2, 8), st.sampled_from(STYLES))
_smooth = draw(factor, st.integers(3, 8), st.just("smooth"))
_dipped = draw(dipped, st.integers(3, 8), st.booleans())


def dual(code, values, weights, radius, sigma=1.0):
    """The adversary's value by the planner's kernel."""
    return kernel.worst_factor(code, values, np.argsort(values), weights, radius, sigma, np.empty(len(values)))


def moved(values, mass, radius, target, largest=True):
    """``mass`` after at most ``radius`` of it has left the states above ``target`` for it, the largest value first (or the smallest)."""
    after = mass.copy()
    for s in np.argsort(-values if largest else values):
        if values[s] > values[target]:
            part = min(radius, after[s])
            after[s] -= part
            after[target] += part
            radius -= part
    return after


@claim("dr-rpo.dual-fail", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_dipped,), control={"largest": False})
def dual_of_fail(f, largest=True):
    """max over alpha >= 0 of m min(V, alpha) - radius alpha is the value of the kernel that moves mass from the largest values to fail.

    Control: from the smallest positive ones.  (The greedy kernel is optimal in the linear program: a fractional knapsack.)
    """
    after = moved(f.values, f.mass, f.radius, len(f.values) - 1, largest)
    return dual(kernel.FAIL, f.values, f.mass, f.radius), after @ f.values, 1.0


@claim("dr-rpo.dual-ball", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_smooth,), control={"code": kernel.FAIL})
def dual_of_ball(f, code=kernel.BALL):
    """In the whole ball the mass goes to the least value: min V plus the same dual of V - min V.  Control: the dual of the fail set."""
    after = moved(f.values, f.mass, f.radius, int(np.argmin(f.values)))
    return dual(code, f.values, f.mass, f.radius), after @ f.values, 1.0


@claim("dr-rpo.dual-signed", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_dipped,), control={"early": True})
def dual_of_signed_weights(f, early=False):
    """With signed weights (ridge estimates) the dual's maximum lies at 0 or at a positive value.

    Control: stop at the first decrease, which is right for concave functions only.
    """
    points = np.concatenate([[0.0], np.sort(f.values[f.values > 0])])
    g = np.minimum(f.values, points[:, None]) @ f.signed - f.radius * points
    best = g[0]
    for x in g[1:]:
        if early and x < best:
            break
        best = max(best, x)
    return dual(kernel.FAIL, f.values, f.signed, f.radius), best, np.sum(np.abs(f.signed))


@claim("dr-rpo.ball-is-fail", kind=identity, source=f"{SOURCE} L2", provenance="derived", given=(_factors,), control={"negative": True})
def ball_is_fail(f, negative=False):
    """For V >= 0 the ball and the fail set have the same value.  Control: V of any sign."""
    values = f.values if negative else np.abs(f.values)
    return dual(kernel.FAIL, values, f.mass, f.radius), dual(kernel.BALL, values, f.mass, f.radius), 1.0


def divergence(name, other, mass):
    """Df(other || mass); ``other`` is on the support of ``mass``, unless in total variation."""
    if name == "tv":
        return np.sum(np.abs(other - mass)) / 2
    if name == "kl":
        positive = other > 0
        return np.sum(other[positive] * np.log(other[positive] / mass[positive]))
    return np.sum((other - mass)[mass > 0] ** 2 / mass[mass > 0])


def penalized_worst(name, values, mass, sigma):
    """The minimizer of m V + sigma Df(m || mass), by its first order condition."""
    if name == "tv":
        after, least = np.where(values > values.min() + sigma, 0, mass), int(np.argmin(values))
        after[least] += 1 - after.sum()
        return after
    if name == "kl":
        after = mass * np.exp((values.min() - values) / sigma)
        return after / after.sum()
    low, high = values.min(), values.max() + 2 * sigma
    for _ in range(60):  # mean of (alpha - V)^+ = 2 sigma
        alpha = (low + high) / 2
        low, high = (alpha, high) if mass @ np.maximum(alpha - values, 0) < 2 * sigma else (low, alpha)
    after = mass * np.maximum(low - values, 0)
    return after / after.sum()


@claim("dr-rpo.penalties", kind=inequality, source="dr_rpo spec 1.4", provenance="derived",
       given=(_smooth, st.sampled_from(["tv", "kl", "chi_square"])), control={"factor": 2.0})  # fmt: skip
def penalties(f, name, factor=1.0):
    """The duals of total variation, KL and chi^2 penalties are the least m V + sigma Df(m || mu): below every m, attained by one.

    Control: twice the penalty in the dual.
    """
    code = {"tv": kernel.TV, "kl": kernel.KL, "chi_square": kernel.CHI_SQUARE}[name]
    value = dual(code, f.values, f.mass, 0.0, factor * f.sigma)
    worst = penalized_worst(name, f.values, f.mass, f.sigma)
    paid = [m @ f.values + f.sigma * divergence(name, m, f.mass) for m in (f.other, f.mass, worst)]
    return np.array([value, value, value, paid[2]]), np.array([*paid, value]), 10 + abs(paid[0])


@claim("dr-rpo.supergradient", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(_smooth,), control={"swap": True})
def supergradient(f, swap=False):
    """w(V) (V - V') <= D(V) - D(V') <= w(V') (V - V') and |D(V) - D(V')| <= max |V - V'|, w the worst kernel.

    Control: the two kernels exchanged.
    """
    values, others = f.values, np.append(f.signed[:-1], 0.0)
    first, second = (moved(v, f.mass, f.radius, len(v) - 1) for v in (values, others))
    change = dual(kernel.FAIL, values, f.mass, f.radius) - dual(kernel.FAIL, others, f.mass, f.radius)
    low, high = first @ (values - others), second @ (values - others)
    low, high = (high, low) if swap else (low, high)
    return np.array([low, change, abs(change)]), np.array([change, high, np.max(np.abs(values - others))]), 10.0


def flat(S, even, seed):
    """A Factor with V >= 0; even: one value in all states but fail, where no mass is."""
    f = factor(S, "smooth", seed)
    values, mass = np.abs(f.values), f.mass
    if even:
        values, mass = np.append(np.full(S - 1, values[0]), 0.0), np.append(mass[:-1] / mass[:-1].sum(), 0.0)
    return f._replace(values=values, mass=mass, radius=0.1 + 0.7 * f.radius)


_flats = draw(flat, st.integers(3, 8), st.booleans())


@claim("dr-rpo.factor-range", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(_flats,), control={"factor": 1.2})  # fmt: skip
def range_of_factor(f, factor=1.0):
    """0 <= D(V) <= (1 - radius) max V for V >= 0: the fail set has (1 - radius) mu + radius delta_fail.  Control: 1.2 times the radius."""
    D = dual(kernel.FAIL, f.values, f.mass, f.radius)
    return np.array([-D, D]), np.array([0.0, (1 - factor * f.radius) * f.values.max()]), 1.0


@claim("dr-rpo.penalty-fail", kind=inequality, source="dr_rpo spec 1.4", provenance="derived", given=(_flats,), control={"factor": 2.0})
def penalty_towards_fail(f, factor=1.0):
    """E min(V, sigma) is the least m V + sigma TV(m || mu) over the m that only move mass to fail; all with V > sigma moves, none arrives.

    So the visits off fail are again at most the nominal ones. For V >= 0. Control: twice the penalty in the dual.
    """
    value = dual(kernel.TV_FAIL, f.values, f.mass, 0.0, factor * f.sigma)
    removed = np.array([f.mass * (f.values > f.sigma), f.mass * f.other / f.other.max(), 0 * f.mass])
    removed[:, -1] = 0
    paid = (f.mass - removed) @ f.values + f.sigma * removed.sum(axis=1)
    return np.append([value] * 3, paid[0]), np.append(paid, value), 10.0
