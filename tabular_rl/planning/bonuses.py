"""The dilated Bellman equation of exploration bonuses, as a planner's function."""

import numpy as np

from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.evaluation import as_policy


def dilated_bonus(mdp, policy, local_bonus, dilation=None):
    """B [H, S, A] with B[h,s,a] = b[h,s] + dilation * E_{t ~ P[h,s,a], a' ~ policy} B[h+1,t,a'] (Luo, Wei, Lee 2021).

    ``local_bonus`` b [H, S]; the default dilation is the theory's 1 + 1/H. 0 where the state lacks the action.
    """
    from tabular_rl.kernels.episodic import episodes

    H, S, A = check.kind("mdp", mdp, FiniteHorizonMDP, AdversarialMDP).shape
    dilation = 1 + 1 / H if dilation is None else check.number("dilation", dilation, at_least=0)
    bonus, values = np.empty((H, S, A)), np.empty((H + 1, S))
    local_bonus = check.real_array("local_bonus", local_bonus, (H, S))
    episodes.dilated_bonus(mdp.packed_transition, as_policy(mdp, policy), local_bonus, dilation, bonus, values)
    return mdp.barred(bonus, 0.0)
