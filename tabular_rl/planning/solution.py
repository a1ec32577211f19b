"""What a solver returns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.bellman import bellman_backup, deterministic_policy
from tabular_rl.planning.evaluation import as_policy, evaluate, state_occupancy

RELATIVE_TOLERANCE = 1e-7  # of the largest conceivable value, by default


class ConvergenceError(RuntimeError):
    """A solver stopped at its limit of iterations before its certificate closed."""


def target(tolerance, scale):
    """(default, tolerance, strict) in units of the values, of which ``scale`` is the largest conceivable size.

    None asks for the default, "exact" for 0; when rounding halts a solver first, these take what there is. A number > 0 is ``strict``.
    """
    default = RELATIVE_TOLERANCE * float(scale)
    if tolerance is None:
        return default, default, False
    if isinstance(tolerance, str) and tolerance == "exact":
        return default, 0.0, False
    return default, check.number("tolerance", tolerance, above=0), True


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """Optimal values with a certificate.

    Attributes
    ----------
    values : array [S], or [H + 1, S] for a finite horizon
        The estimate of V*; ``lower <= V* <= upper`` holds elementwise, rounding included, and so it does for the value of ``policy``.
    lower, upper : arrays of the shape of ``values``
    actions : int array [S] or [H, S]
        Greedy actions, ties to the lowest index.
    policy : array [S, A] or [H, S, A]
        The same as probabilities (made when first asked for).
    q_values : array [S, A] or [H, S, A]
        One Bellman backup of ``values`` (made when first asked for); -inf where the state lacks the action.
    iterations, evaluations : int
        Bellman sweeps over all actions, and sweeps of a fixed policy.
    """

    mdp: DiscountedMDP | FiniteHorizonMDP
    values: np.ndarray
    actions: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    iterations: int
    evaluations: int
    method: str

    @cached_property
    def policy(self):
        return deterministic_policy(self.actions, self.mdp.n_actions)

    @cached_property
    def q_values(self):
        if isinstance(self.mdp, DiscountedMDP):
            return bellman_backup(self.mdp, self.values)
        return evaluate(self.mdp, self.actions).q_values  # the same sums as the solver's: its ties stay ties

    @property
    def advantage_lost(self):
        """[S, A] or [H, S, A], >= 0: V* - Q*, by how much each action falls short of the best one; 0 exactly for the best.

        Also 0 where the state lacks the action: no policy loses anything there.
        """
        return self.mdp.barred(self.q_values.max(axis=-1, keepdims=True) - self.q_values, 0.0)

    def gap(self, policy):
        """V* - V of ``policy`` (probabilities or actions) from the start: never negative, 0 exactly for ``policy`` itself.

        The performance difference: the sum over all pairs of how often the policy plays them times ``advantage_lost``. It has the relative
        error of that sum, where a difference of two values has the values' own.
        """
        policy = as_policy(self.mdp, policy)
        visits = np.maximum(state_occupancy(self.mdp, policy), 0.0)  # rounding leaves -1e-17 where nothing ever is
        steps = 1 / (1 - self.mdp.discount) if isinstance(self.mdp, DiscountedMDP) else 1.0
        return float(steps * np.sum(visits[..., None] * policy * self.advantage_lost))

    @property
    def radius(self):
        """Largest distance from ``values`` to the bounds: the certified error."""
        return float(max(np.max(self.upper - self.values), np.max(self.values - self.lower)))

    def __repr__(self):
        sweeps = f"{self.iterations} sweeps, {self.evaluations} evaluation sweeps"
        return f"Solution({self.mdp!r}, {self.method}, error <= {self.radius:.2g}, {sweeps})"
