"""Dilated telescoping: the bonus pays for the exploration that any comparator needs (bobw spec, L2; Luo, Wei, Lee 2021).

Proof: q*[h+1] = q*[h] pi* P moves sum q* <pi*, B> one layer down with the factor 1 + 1/H; the layers telescope. Unrolling B instead
gives the weights (1 + 1/H)^(h+1) <= e on the policy's own occupancy.
"""

import math

import numpy as np

from proofs_check import claim, identity, inequality, theorem
from proofs_check.calculus import dilated_bonus, state_occupancy
from proofs_check.strategies import bonuses, finite_horizon_mdps, policies


@claim("bonus.dilated-telescoping", kind=identity, source="Luo, Wei, Lee 2021; bobw spec L2", provenance="derived",
       given=(finite_horizon_mdps(), policies("pi"), policies("comparator"), bonuses()), control={"dilation": 1}, exact=True)  # fmt: skip
def dilated_telescoping(mdp, pi, comparator, b, dilation=None):
    """sum q* (b + Bbar/H) + sum q* <pi - pi*, B> = (1 + 1/H) <initial, Bbar[0]>, with q* the comparator's occupancy and Bbar = <pi, B>.

    Control: without the dilation the sides differ as soon as H > 1 and B is not zero.
    """
    H = mdp.horizon
    B = dilated_bonus(mdp, pi, b, dilation)
    B_bar = np.sum(pi * B, axis=-1)
    q = state_occupancy(mdp, comparator)
    lhs = np.sum(q * (b + B_bar / H)) + np.sum(q[..., None] * (pi - comparator) * B)
    return lhs, (1 + 1 / H) * (mdp.initial @ B_bar[0]), np.abs(B).max() * H


@claim("bonus.unrolled", kind=identity, source="bobw spec L2", provenance="derived",
       given=(finite_horizon_mdps(), policies("pi"), bonuses()), control={"power": 0}, exact=True)  # fmt: skip
def unrolled(mdp, pi, b, power=1):
    """(1 + 1/H) <initial, Bbar[0]> = sum_h (1 + 1/H)^(h+1) <occupancy[h], b[h]>.  Control: the exponent h in place of h + 1."""
    H = mdp.horizon
    B_bar = np.sum(pi * dilated_bonus(mdp, pi, b), axis=-1)
    weights = np.array([(1 + 1 / H) ** (h + power) for h in range(H)])
    return (1 + 1 / H) * (mdp.initial @ B_bar[0]), weights @ np.sum(state_occupancy(mdp, pi) * b, axis=1)


@claim("bonus.at-most-e", kind=inequality, source="bobw spec L2", provenance="derived",
       given=(finite_horizon_mdps(), policies("pi"), bonuses()), control={"constant": 1.0})  # fmt: skip
def at_most_e(mdp, pi, b, constant=math.e):
    """(1 + 1/H) <initial, Bbar[0]> <= e <occupancy, b>: dilation costs a constant factor.  Control: the constant 1."""
    B_bar = np.sum(pi * dilated_bonus(mdp, pi, b), axis=-1)
    return (1 + 1 / mdp.horizon) * mdp.initial @ B_bar[0], constant * np.sum(state_occupancy(mdp, pi) * b)


theorem(
    "dilated-bonus",
    statement=r"For every bonus $b \ge 0$, policy $\pi$ and comparator $\pi^*$, with $B$ of the dilated Bellman equation, "
    r"$\sum_h \langle q^*_h, b_h + \tfrac{1}{H} \bar B_h \rangle + \sum_h \langle q^*_h, \langle \pi_h - \pi^*_h, B_h \rangle \rangle "
    r"\le e \, \langle q^\pi, b \rangle$: what the comparator visits is paid by what the learner visits.",
    source="Luo, Wei, Lee 2021; bobw spec L2",
    provenance="derived",
    claims=("bonus.dilated-telescoping", "bonus.unrolled", "bonus.at-most-e"),
    uses={"bonus.at-most-e": ("bonus.unrolled",)},
)
