"""Instances of fractions: claims that can be verified without any tolerance."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_check.strategies import Model, Simplex


class Whole(Fraction):
    """A whole number that divides into fractions, so that 1 / H is exact, and still counts: range(H)."""

    def __index__(self):
        return self.numerator


@dataclass(frozen=True)
class RationalMDP:
    """A FiniteHorizonMDP or DiscountedMDP of fractions, with the attributes that claims read; ``discount`` 1 when it has a ``horizon``."""

    transition: Any
    reward: Any
    initial: Any
    discount: Any
    horizon: Any = None

    @classmethod
    def near(cls, mdp):
        """The model of fractions with denominators of 64 near ``mdp``."""
        horizon = getattr(mdp, "horizon", None)
        discount = Fraction(1) if horizon else Fraction(mdp.discount).limit_denominator(1000)
        arrays = rational_rows(mdp.transition), rational_array(mdp.reward), rational_rows(mdp.initial)
        return cls(*arrays, discount, horizon and Whole(horizon))

    shape = property(lambda self: self.reward.shape)
    n_states = property(lambda self: self.shape[-2])
    n_actions = property(lambda self: self.shape[-1])


def rational(value, space):
    """``value`` with fractions for entries: what the engine verifies without any tolerance."""
    if isinstance(space, Model):
        return RationalMDP.near(value)
    if isinstance(space, Simplex):
        return rational_rows(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return rational_array(value)
    return Fraction(round(value * 64), 64) if isinstance(value, float) else value


def rational_array(values):
    """Entries rounded to multiples of 1/64, as fractions in an object array."""
    return np.array([Fraction(round(float(x) * 64), 64) for x in np.ravel(values)], dtype=object).reshape(np.shape(values))


def rational_rows(rows):
    """Probability rows near ``rows`` whose fractions sum to exactly 1."""
    rounded = rational_array(rows)
    best = np.eye(np.shape(rows)[-1], dtype=int)[np.argmax(rows, axis=-1)]
    return rounded + best * (1 - rounded.sum(axis=-1, keepdims=True))
