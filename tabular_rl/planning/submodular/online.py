"""Upper bounds that hold a policy against the optimum: U7, exactly and from samples, and the bound that a run reports.

For any fixed set B, F(tau') <= F(B and tau') <= F(B) + sum of F(v | B) over the v in tau'. Averaged over any distribution of sets B:
OPT <= E F(B) + the optimum of the additive problem with rewards E F(v | B). U7 takes what a policy collects for B; the empirical
distribution of sampled trajectories is a distribution as well, so the bound from samples holds with certainty, and the Hoeffding radius
is not added: it would only be needed to estimate the bound of the policy itself. Source: subpo spec, section 7, U7.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.planning.simulation import sample_trajectories
from tabular_rl.planning.submodular import exact
from tabular_rl.planning.submodular.bounds import (
    concave_bound,
    coverage_bound,
    cut_bound,
    priced_visits,
    require_monotone_submodular,
    tangent_bound,
)
from tabular_rl.planning.submodular.graph import coverage_form
from tabular_rl.planning.submodular.search import ROUNDING, coverage_prices
from tabular_rl.submodular import Concave, DDesign, Entropy, Tabulated, Truncated

FEW_ARCS = 3000  # H S A up to which a linear program takes a fraction of a second
FEW_ELEMENTS = 1000  # of a dense covariance
FEW_CUTS = 12  # elements whose cuts take a second at most, with a tenth of those arcs


class OnlineBound(NamedTuple):
    """``upper`` = ``value`` of the policy + ``gap``, the most that an additive problem pays on top of the policy."""

    upper: float
    value: float
    gap: float


class UpperBound(NamedTuple):
    """No policy has a value above ``upper``; ``method``: where it comes from."""

    upper: float
    method: str


def online_bound(mdp, policy=None, trajectories=None, seed=0):
    """U7: OPT <= J(policy) + max over policies of sum E F(element | what ``policy`` collected), an additive problem.

    Any monotone submodular F; the closer the policy to the optimum, the tighter. Exact for at most 20 elements. With ``trajectories``,
    for any number: the same for the empirical distribution of that many samples, which bounds OPT just as surely (see the module). There,
    without ``repeats``, an element pays once however often it is visited (prices know that, the additive problem does not).
    """
    require_monotone_submodular(mdp)
    check.seed_sequence(seed)
    if trajectories is not None:
        return _sampled(mdp, policy, check.integer("trajectories", trajectories, 1), seed)
    from tabular_rl.kernels.submodular import masks as kernels

    arrays = exact.mask_arrays(mdp)
    collected = exact.collected_distribution(mdp, policy)[-1].sum(axis=0)
    gains = np.empty((mdp.horizon + 1, mdp.n_states))
    kernels.expected_gains(arrays.elements, arrays.F, collected, gains)
    value = float(collected @ arrays.F)
    gap = exact.additive_optimum(mdp, gains)[0]
    return OnlineBound(value + gap, value, gap)


def _sampled(mdp, policy, m, seed):
    from tabular_rl.kernels.submodular.objectives import total_gains

    states = sample_trajectories(mdp, _policy(mdp, policy), m, seed).states
    times, n = np.arange(mdp.horizon + 1), mdp.objective.n_elements
    totals, values, again = np.zeros(n), np.empty(m), np.empty(states.shape)
    total_gains(mdp.objective.packed, np.ascontiguousarray(mdp.elements[times, states]), mdp.repeats, n, totals, values, again)
    rewards = np.where(mdp.elements >= 0, totals[mdp.elements], 0.0)
    np.subtract.at(rewards, (times, states), again)  # what is collected already gains nothing; other copies of it may
    gap = exact.additive_optimum(mdp, np.maximum(rewards / m, 0))[0]
    if not mdp.repeats:
        gap = min(gap, priced_visits(mdp, np.maximum(totals / m, 0)).upper)
    value = float(values.mean())
    return OnlineBound((value + gap) * (1 + ROUNDING), value, gap)


def submodular_upper_bound(mdp, policy=None, trajectories=200, seed=0):
    """The smallest bound on what any policy reaches that is computable in about a second: what a run reports beside its value.

    Tried: F of everything; the additive problem that pays F({v}) for every visit; prices for coverages; linear programs for truncated
    groups, for all cuts of few elements and for the concave extension, where these are small; and where none of these applies, what
    ``trajectories`` of ``policy`` (default: uniform) show: a tangent for D-designs, entropies and concave functions that are not too
    large, or U7.

    Raises
    ------
    ValueError
        For an objective that is not monotone and submodular: no bound here holds for it.
    """
    require_monotone_submodular(mdp)
    check.seed_sequence(seed)
    bounds = list(_certain(mdp))
    if not {"prices", "linear program"} & {bound.method for bound in bounds}:
        ground = mdp.ground_set()
        if isinstance(mdp.objective, Concave | DDesign | Entropy) and ground.n <= FEW_ELEMENTS:
            states = sample_trajectories(mdp, _policy(mdp, policy), trajectories, seed).states
            visits = np.zeros((trajectories, ground.n + 1), bool)  # the last column stands for nothing, -1
            visits[np.arange(trajectories)[:, None], ground.elements[np.arange(mdp.horizon + 1), states]] = True
            bounds.append(UpperBound(float(tangent_bound(mdp, visits[:, :-1].mean(axis=0)).upper), "tangent"))
        else:
            bounds.append(UpperBound(online_bound(mdp, policy, trajectories, seed).upper, "online"))
    return min(bounds)


@lru_cache(maxsize=16)  # models are compared by identity: the replicates of an experiment share it
def _certain(mdp):
    """UpperBounds that the model alone gives: two that always exist, and those that take longer."""
    (H, S, A), ground = mdp.shape, mdp.ground_set()
    additive = exact.additive_optimum(mdp, mdp.additive_reward)[0]
    whole = mdp.objective.value(ground.types) if ground.n <= FEW_ELEMENTS or not mdp.repeats else np.inf
    bounds = [UpperBound(whole * (1 + ROUNDING), "all elements"), UpperBound(additive * (1 + ROUNDING), "additive")]
    if coverage_form(mdp) is not None:
        bounds.append(UpperBound(coverage_prices(mdp).upper, "prices"))
        if H * S * A <= FEW_ARCS // 10:  # prices may stop far above the minimum
            least = float(coverage_bound(mdp).upper)
            bounds += [UpperBound(least, "linear program")] * (least < bounds[-1].upper * (1 - 1e-4))
    elif isinstance(mdp.objective, Truncated) and H * S * A <= FEW_ARCS:
        bounds.append(UpperBound(coverage_bound(mdp).upper, "linear program"))
    elif isinstance(mdp.objective, Concave | DDesign | Entropy) and H * S * A <= FEW_ARCS // 3 and ground.n <= FEW_ELEMENTS:
        steps = min(30, 3 * FEW_ARCS // (H * S * A))  # every one a linear program, and a bound
        bounds.append(UpperBound(float(concave_bound(mdp, steps).upper), "concave"))
    small = ground.n <= FEW_CUTS and H * S * A <= FEW_ARCS // 10
    if small or (isinstance(mdp.objective, Tabulated) and ground.n <= 10):
        bounds.append(UpperBound(cut_bound(mdp).upper, "cuts"))
    return tuple(bounds)


def _policy(mdp, policy):
    return np.full(mdp.shape, 1 / mdp.n_actions) if policy is None else policy
