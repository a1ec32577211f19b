"""How hard a model is: gaps, spans and visitation ratios of its optimal solution; ``hardness`` collects all measures."""

from dataclasses import dataclass

import numpy as np

from tabular_rl.instances.travel import diameter, mixing_time, reachable
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.planning import solve, state_occupancy

DIAMETER_STATES = 200  # `hardness` leaves the diameter out beyond: its cost grows like S^4


@dataclass(frozen=True)
class Hardness:
    """What ``hardness`` found; None stands for what is not defined for a finite horizon, or not computed.

    Attributes
    ----------
    minimal_gap, value_span, visitation_ratio : float
        See the functions of these names; the ratio is that of the optimal policy to the start distribution.
    mixing_time : int, inf or None
        Of the uniform policy.
    diameter : float or None
    """

    minimal_gap: float
    value_span: float
    visitation_ratio: float
    mixing_time: float | None
    diameter: float | None


def hardness(mdp):
    """Every measure of a FiniteHorizonMDP or DiscountedMDP, as a ``Hardness``; the diameter up to 200 states."""
    discounted = isinstance(check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP), DiscountedMDP)
    return Hardness(
        minimal_gap(mdp),
        value_span(mdp),
        visitation_ratio(mdp),
        mixing_time(mdp, mdp.uniform_policy) if discounted else None,
        diameter(mdp) if discounted and mdp.n_states <= DIAMETER_STATES else None,
    )


def gaps(mdp, tolerance=1e-9):
    """Suboptimality gaps V* - Q*: [H, S, A], or [S, A] if discounted; at least 0, exactly 0 for the best action of each state, and inf for
    those that it does not have.

    ``tolerance`` > 0 bounds their error, relative to the largest conceivable value: max |reward| times the horizon or 1 / (1 - discount).
    """
    q_values = _solution(mdp, tolerance).q_values
    return q_values.max(axis=-1, keepdims=True) - q_values


def minimal_gap(mdp, tolerance=1e-9):
    """Smallest positive gap over the actions of all (h, s) that some policy reaches from the start; inf when every action is optimal.

    Gaps up to ``tolerance`` (relative as in ``gaps``) are ties.
    """
    found = gaps(mdp, tolerance)[reachable(mdp)]
    return float(found[found > tolerance * _largest_value(mdp)].min(initial=np.inf))


def value_span(mdp, tolerance=1e-9):
    """max_s V*(s) - min_s V*(s) over all states; with a finite horizon the largest over the steps. ``tolerance`` as in ``gaps``."""
    values = _solution(mdp, tolerance).values
    return float(np.ptp(values, axis=-1).max())


def visitation_ratio(mdp, policy=None, comparator="optimal"):
    """How much more often a comparator visits a state than the start distribution, or ``policy``, does.

        D = max_s d[s] / reference[s],    with a horizon  D = max_{h,s} d[h, s] / reference[h, s]

    d is the normalized (discounted) state occupancy; states with d = 0 do not count, a state that only d visits makes D infinite.
    A start distribution as the reference of a finite horizon is the same at every step.

    Parameters
    ----------
    mdp : FiniteHorizonMDP or DiscountedMDP
    policy : array, optional
        Its state occupancy is the reference (concentrability of data from it). Default: the start distribution (distribution mismatch).
    comparator : str
        "optimal": the optimal policy, ties to the lowest action. "every": the largest D over all policies, which is the constant of the
        policy gradient bounds, at most 1 / min(initial); S planning problems.

    Source: Agarwal, Kakade, Lee, Mahajan (2021); "every" is the D of Wang, Ho, Petrik (2023) for a single transition kernel.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP)
    check.choice("comparator", comparator, ("optimal", "every"))
    visited = _most_visits(mdp) if comparator == "every" else _visits(mdp, _solution(mdp, 1e-9).policy)
    reference = np.broadcast_to(mdp.initial, visited.shape) if policy is None else _visits(mdp, policy)
    counted = visited > 0
    with np.errstate(divide="ignore"):
        return float(np.max(visited[counted] / reference[counted]))


def _visits(mdp, policy):
    """State occupancy with exact zeros where the policy never goes: a linear solve leaves rounding there."""
    return np.where(reachable(mdp, policy), state_occupancy(mdp, policy), 0)


def _most_visits(mdp):
    """For each (h, s) the largest occupancy that a policy can give it: planning with reward 1 in that state alone."""
    if isinstance(mdp, DiscountedMDP):
        seen, most = reachable(mdp), np.zeros(mdp.n_states)
        for s in np.flatnonzero(seen):
            reward = np.zeros(mdp.shape)
            reward[s] = 1
            most[s] = (
                (1 - mdp.discount) * mdp.initial @ _solution(DiscountedMDP(mdp.transition, reward, mdp.discount, mdp.initial), 1e-9).values
            )
        return most
    H, S, _ = mdp.shape
    most = np.empty((H, S))
    for h in range(H):
        chance = np.eye(S)  # [s, t]: largest probability of being in t at step h, seen from s
        for k in reversed(range(h)):
            chance = np.where(mdp.available[k][..., None], mdp.transition[k] @ chance, 0).max(axis=1)
        most[h] = mdp.initial @ chance
    return most


def _solution(mdp, tolerance):
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP)
    tolerance = check.number("tolerance", tolerance, above=0)
    return solve(mdp, tolerance=0.25 * tolerance * _largest_value(mdp))  # a gap or span is off by twice the values' error at most


def _largest_value(mdp):
    """Largest conceivable |value|; 1 when there is no reward at all."""
    steps = 1 / (1 - mdp.discount) if isinstance(mdp, DiscountedMDP) else mdp.horizon
    return float(np.abs(mdp.reward).max() * steps) or 1.0
