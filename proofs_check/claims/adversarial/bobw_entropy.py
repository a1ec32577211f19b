"""Scalars of one policy row that vanish where it is deterministic, whichever action it takes (bobw spec, L3 and L4).

h1(x) = sum_a sqrt(x_a) - 1,   h2(x) = sum_a sqrt(x_a) (1 - x_a),   zeta_a(x) = (1 - x_a)^2 + sum_{b != a} x_b^2

The bonus can therefore be small near a deterministic policy without knowing which one: this is what makes the regret bound itself.
"""

import numpy as np

from proofs_check import claim, identity, inequality
from proofs_check.strategies import simplex_points

SOURCE = "bobw spec"


def h1(x):
    """sum sqrt(x) - 1 along the last axis: half of the Tsallis entropy."""
    return np.sum(np.sqrt(x), axis=-1) - 1


def h2(x):
    """sum sqrt(x) (1 - x) along the last axis."""
    return np.sum(np.sqrt(x) * (1 - x), axis=-1)


def shannon(x):
    """sum x log(1 / x) along the last axis."""
    return -np.sum(x * np.log(np.where(x > 0, x, 1)), axis=-1)


def zeta(x):
    """[..., A] zeta_a for each drawn action a."""
    return (1 - x) ** 2 + np.sum(x**2, axis=-1, keepdims=True) - x**2


@claim("bobw.entropy-factors", kind=inequality, source=f"{SOURCE} L3a", provenance="derived",
       given=(simplex_points(8),), control={"constant": 1.5})  # fmt: skip
def entropy_factors(x, constant=2.0):
    """0 <= h1 <= h2 <= 2 h1.  Control: h2 <= 1.5 h1.

    Proof: sum x^(3/2) <= 1, and with r = sqrt(x) the terms r + r^3 - 2 r^2 = r (1 - r)^2 add up to h1 + 1 + sum x^(3/2) - 2 >= 0.
    """
    return [0.0, h1(x), h2(x)], [h1(x), h2(x), constant * h1(x)], len(x)


@claim("bobw.entropy-of-deviations", kind=inequality, source=f"{SOURCE} L3b", provenance="derived",
       given=(simplex_points(8),), control={"power": 1.0})  # fmt: skip
def entropy_of_deviations(x, power=0.5):
    """h1 <= sum_{a != a*} sqrt(x_a) for every action a*.  Control: x_a in place of its root."""
    roots = x**power
    return h1(x), np.sum(roots) - roots, len(x)


@claim("bobw.shannon-of-deviations", kind=inequality, source=f"{SOURCE} L3c", provenance="derived",
       given=(simplex_points(8),), control={"actions": 1})  # fmt: skip
def shannon_of_deviations(x, actions=None):
    """Ent(x) <= p log(e A / p) with p = 1 - x_{a*}, for every action a*.  Control: without the number of actions A.

    Proof: grouping, then (1 - p) log(1 / (1 - p)) <= p.
    """
    p = np.array([np.sum(np.delete(x, a)) for a in range(len(x))])
    return shannon(x), p * (1 + np.log((actions or len(x)) / np.maximum(p, 1e-300))), 1.0


@claim("bobw.deviation-in-mean", kind=identity, source=f"{SOURCE} L3d", provenance="derived",
       given=(simplex_points(8),), control={"shift": 0})  # fmt: skip
def deviation_in_mean(x, shift=1):
    """E_{a ~ x} zeta_a = sum_a x_a (1 - x_a).  Control: E 1, which is what the estimate without the shift has."""
    return x @ (zeta(x) if shift else np.ones(len(x))), x @ (1 - x), 1.0


@claim("bobw.deviation", kind=inequality, source=f"{SOURCE} L3d", provenance="derived",
       given=(simplex_points(8),), control={"constant": 1})  # fmt: skip
def deviation(x, constant=2):
    """zeta_a <= 2 (1 - x_a)^2 for every a, and E_{a ~ x} zeta_a <= 2 (1 - x_{a*}) for every a*.  Control: without the 2."""
    others = np.array([np.sum(np.delete(x, a)) for a in range(len(x))])
    return [zeta(x), np.full(len(x), x @ zeta(x))], constant * np.stack([others**2, others]), 1.0


@claim("bobw.loss-shift", kind=identity, source=f"{SOURCE} L4", provenance="derived",
       given=(simplex_points(8),), control={"shift": 0})  # fmt: skip
def loss_shift(y, shift=1):
    """E_{a ~ y} sum_b y_b^(3/2) (lhat_b - c)^2 = h2(y) for lhat_b = 1{b = a} / y_b and c = <y, lhat> = 1.

    A constant subtracted from the estimates leaves the policy as it is, and makes their variance vanish at deterministic policies.
    Control: without the shift, where it is sum_b sqrt(y_b).
    """
    y = np.maximum(y, 1e-12) / np.maximum(y, 1e-12).sum()
    estimates = np.eye(len(y)) / y  # one row for each drawn action
    return y @ ((estimates - shift) ** 2 @ y**1.5), h2(y), np.sum(np.sqrt(y))
