"""Linear MDPs: transitions that factor through a feature map."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import FiniteHorizonMDP, initial_distribution


@dataclass(frozen=True, eq=False, repr=False)
class LinearMDP:
    """An episodic MDP with transition[h, s, a, t] = <features[h, s, a], factors[h, :, t]> (Jin, Yang, Wang, Jordan 2020).

    Parameters
    ----------
    features : array [S, A, d], or [H, S, A, d]
        phi, rows of Euclidean norm at most 1; without the leading axis the same at every step.
    factors : array [H, d, S]
        mu; every product with a feature must be a probability distribution within 1e-9.
    reward : array [H, S, A]
        Mean rewards, finite. For action values that are linear they must be linear in the features, which is not checked.
    initial : array [S] or int, optional
        Start distribution, or the start state. Default: state 0.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.
    """

    features: Any
    factors: Any
    reward: Any
    initial: Any = None

    def __post_init__(self):
        features = feature_map(self.features)
        S, A, d = features.shape[-3:]
        factors = check.real_array("factors", self.factors, (None, d, S))
        if features.ndim == 4 and len(features) != len(factors):
            raise ValueError(f"features has {len(features)} steps and factors has {len(factors)}, expected the same number")
        reward = check.real_array("reward", self.reward, (len(factors), S, A))
        for name, value in {
            "features": check.frozen(features, self.features),
            "factors": check.frozen(factors, self.factors),
            "reward": check.frozen(reward, self.reward),
            "initial": initial_distribution(self.initial, S),
        }.items():
            object.__setattr__(self, name, value)
        self.tabular  # noqa: B018 (its validation is this model's)

    @cached_property
    def tabular(self):
        """The FiniteHorizonMDP [H, S, A] of the same numbers."""
        transition = np.einsum("...sad,...dt->...sat", self.features, self.factors)
        if transition.min() < -1e-9:
            index = check.first_index(transition < -1e-9)
            raise ValueError(f"features @ factors is {transition[index]} at {list(index)}, expected a probability >= 0")
        return FiniteHorizonMDP(np.maximum(transition, 0), self.reward, self.initial)

    @property
    def shape(self):
        """(H, S, A)."""
        return self.reward.shape

    horizon = property(lambda self: self.shape[0])
    dimension = property(lambda self: self.features.shape[-1])

    def __repr__(self):
        H, S, A = self.shape
        return f"LinearMDP(H={H}, S={S}, A={A}, d={self.dimension})"


def feature_map(value):
    """Validated features [S, A, d] or [H, S, A, d], rows of norm at most 1."""
    features = check.real_array("features", value)
    if features.ndim not in (3, 4) or 0 in features.shape:
        raise ValueError(f"features must have shape [S, A, d] or [H, S, A, d], got {features.shape}")
    norms = np.linalg.norm(features, axis=-1)
    if (norms > 1 + 1e-9).any():
        index = check.first_index(norms > 1 + 1e-9)
        raise ValueError(f"features{list(index)} has norm {norms[index]:.6g}, expected at most 1")
    return features
