"""Linear MDPs whose factor distributions an adversary may perturb, one at a time (d-rectangular), with a fail state."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.linear import LinearMDP, feature_map
from tabular_rl.models.playable import Playable


@dataclass(frozen=True, eq=False, repr=False)
class RobustLinearMDP(Playable):
    """transition[h, s, a, t] = sum_i features[s, a, i] factors[h, i, t], each factor within ``radius`` in total variation.

    Source: Liu, Xu 2024 (d-rectangular linear MDPs, fail state); dr_rpo spec, sections 1.1 and 1.2.

    Parameters
    ----------
    features : array [S, A, d]
        Rows in the probability simplex.
    factors : array [H, d, S]
        mu, rows in the probability simplex.
    reward : array [H, S, A]
        In [0, 1], known to learners, 0 in the fail state.
    fail_state : int
        Absorbing: its features are a unit vector, whose factor is known and stays there.
    radius : float or array [H, d]
        Total variation in [0, 1], 0 at known factors (a number: at all others).
    known : array [d] of bool, optional
        Factors the learner knows to lead to the fail state surely. Default: the fail state's own.
    initial : int
        The start state.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was wrong and what was expected.
    """

    features: Any
    factors: Any
    reward: Any
    fail_state: int
    radius: Any = 0.0
    known: Any = None
    initial: int = 0

    def __post_init__(self):
        features = feature_map(self.features)
        factors = check.real_array("factors", self.factors, (None, features.shape[-1], len(features)))
        if features.ndim != 3:
            raise ValueError(f"features must have shape [S, A, d], got {features.shape}")
        for name, rows in (("features", features), ("factors", factors)):
            wrong = (np.abs(rows.sum(-1) - 1) > 1e-8) | (rows.min(-1) < 0)
            if wrong.any():
                at = check.first_index(wrong)
                raise ValueError(f"{name}{list(at)} is not a probability distribution (>= 0, sum 1): sum {rows[at].sum():.9g}")
        model = LinearMDP(features, factors, self.reward, self.initial)
        features, factors, reward = model.features, model.factors, model.reward
        (H, S, _), d = reward.shape, features.shape[-1]
        if reward.min() < 0 or reward.max() > 1:
            raise ValueError(f"reward must be in [0, 1], got values from {reward.min()} to {reward.max()}")
        fail, start = check.integer("fail_state", self.fail_state, 0), check.integer("initial", self.initial, 0)
        if max(fail, start) >= S:
            raise ValueError(f"fail_state and initial must be below S={S}, got {fail} and {start}")
        if (reward[:, fail] != 0).any():
            raise ValueError(f"reward must be 0 in fail_state {fail}")
        factor = int(features[fail, 0].argmax())
        known = np.eye(d, dtype=bool)[factor] if self.known is None else np.array(check.unmasked("known", self.known))
        if known.shape != (d,) or known.dtype != bool:
            raise ValueError(f"known must be {d} booleans, got shape {known.shape} of {known.dtype}")
        if (features[fail, :, factor] != 1).any() or not known[factor]:
            raise ValueError(f"features[{fail}] of fail_state must be the unit vector of one known factor")
        if (factors[:, known, fail] != 1).any():
            raise ValueError(f"known factors must lead to fail_state {fail} surely")
        radius = check.real_array("radius", self.radius)
        radius = np.where(known, 0.0, np.broadcast_to(radius, (H, d))) if radius.ndim == 0 else radius
        if radius.shape != (H, d) or radius.min() < 0 or radius.max() > 1:
            raise ValueError(f"radius must be a number or [{H}, {d}] in [0, 1], got shape {radius.shape}")
        if (radius[:, known] != 0).any():
            raise ValueError("radius must be 0 at known factors")
        values = {"features": features, "factors": factors, "reward": reward, "fail_state": fail, "initial": start}
        for name, array in (("radius", radius), ("known", known)):
            array = np.array(array)
            array.flags.writeable = False
            values[name] = array
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self):
        """(H, S, A)."""
        return self.reward.shape

    horizon = property(lambda self: self.shape[0])
    dimension = property(lambda self: self.features.shape[-1])

    @cached_property
    def nominal(self):
        """The FiniteHorizonMDP of the unperturbed factors."""
        return LinearMDP(self.features, self.factors, self.reward, self.initial).tabular

    @cached_property
    def compressed(self):
        """(pointer [S*A + 1], index, amount): the nonzero features of every row s * A + a."""
        rows = self.features.reshape(-1, self.dimension)
        pointer = np.concatenate([[0], np.cumsum((rows != 0).sum(1))])
        row, index = np.nonzero(rows)
        return pointer, index, rows[row, index]

    @property
    def one_hot(self):
        """Whether every pair (s, a) outside the fail state has a factor of its own: the tabular case."""
        rows = np.delete(self.features, self.fail_state, axis=0).reshape(-1, self.dimension)
        return bool(((rows == 0) | (rows == 1)).all() and rows.sum(0).max(initial=0) <= 1 and not rows[:, self.known].any())

    def with_radius(self, radius):
        """The same model with another radius."""
        return replace(self, radius=radius)

    def target(self, factors):
        """The FiniteHorizonMDP of perturbed ``factors`` [H, d, S]: what a deployed policy meets."""
        return LinearMDP(self.features, factors, self.reward, self.initial).tabular

    def __repr__(self):
        H, S, A = self.shape
        return f"RobustLinearMDP(H={H}, S={S}, A={A}, d={self.dimension})"
