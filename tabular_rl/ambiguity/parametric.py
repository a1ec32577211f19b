"""A parametric family of kernels: neither rectangular nor convex."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tabular_rl.ambiguity.sets import AmbiguitySet
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.models import validation as check


@dataclass(frozen=True, eq=False)
class Parametric(AmbiguitySet):
    """P[s,a,t] ~ nominal[s,a,t] exp(theta . phi[t] / (lam . zeta[s,a])), theta and lam in L1 balls around their centers, lam >= 1e-5.

    ``phi`` [S, n]; ``zeta`` [S, A, m] >= 0 with positive sums, so that every temperature is positive; ``theta`` [n] and ``lam`` [m] >= 1e-5
    are the centers. With phi the identity and zeta one-hot it holds the KL ball's worst kernels (drpg spec 6.3).

    Source: Wang, Ho, Petrik (2023).
    """

    phi: Any
    zeta: Any
    theta: Any
    lam: Any
    theta_radius: Any
    lam_radius: Any
    rectangularity: ClassVar[str] = "none"
    code: ClassVar[int] = codes.NOMINAL

    def _checked(self, name, value):
        if name in ("theta_radius", "lam_radius"):
            check.number(name, float(check.real_array(name, value, ())), at_least=0)
        low = {"zeta": 0.0, "lam": 1e-5}.get(name, -np.inf)
        if np.any(value < low):
            index = check.first_index(value < low)
            raise ValueError(f"{name}{list(index)} is {value[index]}, expected at least {low:g}")
        if name == "zeta" and np.any(value.sum(axis=-1) == 0):
            raise ValueError(f"zeta{list(check.first_index(value.sum(axis=-1) == 0))} sums to 0, expected a positive temperature")
        return value

    def check_shape(self, n_states, n_actions):
        """ValueError if the features do not fit a model of S states and A actions."""
        for name, shape in {
            "phi": (n_states, *np.shape(self.theta)),
            "zeta": (n_states, n_actions, *np.shape(self.lam)),
        }.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
