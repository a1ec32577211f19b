"""The bonus of DAPO: how large it is, what it pays for, and what it costs where the learner goes (dapo spec, L4, L5 and SEQ).

b[h,s] = c sum_a p w,   B[h,s,a] = b[h,s] + (1 + 1/H) E_{t ~ P, a' ~ p} B[h+1,t,a'],   Bbar = <p, B>
"""

import numpy as np

from proofs_check import claim, identity, inequality
from proofs_check.calculus import dilated_bonus, state_occupancy
from proofs_check.claims.delayed.dapo_estimator import SOURCE, explorations, forms, local_bonus, total_variation
from proofs_check.strategies import bonuses, enumerable_mdps, policies, scales


@claim("dapo.telescoping", kind=identity, source=f"{SOURCE} L4", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), policies("comparator"), scales(-1.8, 0), forms),
       control={"sign": -1}, exact=True)  # fmt: skip
def telescoping(mdp, pi, p, comparator, gamma, form, sign=1):
    """sum q* (b + Bbar/H) + sum q* <p - pi*, B> = (1 + 1/H) <initial, Bbar[0]> for DAPO's own bonus, propagated with the arrival policy.

    Control: the learner subtracts the bonus where it should add it.
    """
    H = mdp.horizon
    b = local_bonus(state_occupancy(mdp, pi), pi, p, gamma, form, H)
    B = dilated_bonus(mdp, p, b)
    B_bar, q_star = np.sum(p * B, axis=-1), state_occupancy(mdp, comparator)
    lhs = np.sum(q_star * (b + B_bar / H)) + sign * np.sum(q_star[..., None] * (p - comparator) * B)
    return lhs, (1 + 1 / H) * (mdp.initial @ B_bar[0]), np.abs(B).max() * H


@claim("dapo.bonus-bound", kind=inequality, source=f"{SOURCE} L4a", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-1.8, 0), forms), control={"dilated": False},
       exact=True)  # fmt: skip
def bonus_bound(mdp, pi, p, gamma, form, dilated=True):
    """gamma B[h] / c <= H ((1 + 1/H)^(H-h) - 1) = beta_h gamma / c.  Control: H - h, the bound without the dilation."""
    H = mdp.horizon
    b = local_bonus(state_occupancy(mdp, pi), pi, p, gamma, form, gamma)
    B = dilated_bonus(mdp, p, b)
    growth = np.array([H * ((1 + 1 / H) ** (H - h) - 1) if dilated else H - h for h in range(H)])
    return B, growth[:, None, None] + 0 * B


@claim("dapo.bonus-cost", kind=inequality, source=f"{SOURCE} L4c", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), scales(-1.8, 0), forms), control={"estimator": "plain"},
       exact=True)  # fmt: skip
def bonus_cost(mdp, pi, p, gamma, form, estimator=None):
    """sum_s q[h,s] b[h,s] <= c S A for the occupancy of the policy that was played.  Control: the plain estimator."""
    q = state_occupancy(mdp, pi)
    cost = np.sum(q * local_bonus(q, pi, p, gamma, estimator or form, 1), axis=-1)
    return cost, mdp.shape[1] * mdp.shape[2] + 0 * cost


@claim("dapo.occupancy-drift", kind=inequality, source=f"{SOURCE} L5", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), bonuses()), control={"lag": 2}, exact=True)  # fmt: skip
def occupancy_drift(mdp, pi, p, b, lag=1):
    """TV(q_p[h], q_pi[h]) <= sum over h' < h of E_{q_pi[h']} TV(p, pi), and <q_p - q_pi, b>[h] no more for any 0 <= b <= 1.

    Control: the deviation of the step before h is forgotten.
    """
    q, q_p = state_occupancy(mdp, pi), state_occupancy(mdp, p)
    moved = np.cumsum(np.sum(q * total_variation(p, pi), axis=1))
    before = np.concatenate([0 * moved[:1], 0 * moved[:1], moved])[2 - lag :][: len(moved)]
    return np.stack([np.sum(np.abs(q_p - q), axis=1) / 2, np.sum((q_p - q) * b, axis=1)]), np.stack([before, before]), 1


@claim("dapo.bonus-value", kind=inequality, source="dapo spec, SEQ", provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, forms), control={"estimator": "plain"})  # fmt: skip
def bonus_value(mdp, pi, p, gamma, form, estimator=None):
    """(1 + 1/H) <initial, Bbar[0]> <= (1 + 1/H)^H (c H S A + (c / gamma) sum_h (H - 1 - h) E_{q_pi[h]} TV(p, pi)).

    What an episode pays for its bonus: exploration where the learner was, and how far it has moved since. Control: the plain estimator.
    """
    H, S, A = mdp.shape
    q = state_occupancy(mdp, pi)
    b = local_bonus(q, pi, p, gamma, estimator or form, 1)
    moved = np.arange(H - 1, -1, -1) @ np.sum(q * total_variation(p, pi), axis=1)
    lhs = (1 + 1 / H) * (mdp.initial @ np.sum(p[0] * dilated_bonus(mdp, p, b)[0], axis=-1))
    return lhs, (1 + 1 / H) ** H * (H * S * A + moved / gamma)
