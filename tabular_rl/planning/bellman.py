"""The Bellman backup that every solver is made of."""

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check


def deterministic_policy(actions, n_actions):
    """Probabilities [..., A] of the policy that plays ``actions`` [...]."""
    actions = check.integers("actions", actions, 0, check.integer("n_actions", n_actions, 1) - 1)
    return (actions[..., None] == np.arange(n_actions)).astype(np.float64)


def bellman_backup(mdp, values):
    """q_values = reward + discount * P values (finite horizon: discount 1, ``values`` [H + 1, S] gives [H, S, A]).

    -inf where the state lacks the action.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP, RobustMDP="planning.robust_backup(mdp, values) is its backup")
    values = check.real_array("values", values, (mdp.n_states,) if isinstance(mdp, DiscountedMDP) else (mdp.horizon + 1, mdp.n_states))
    if isinstance(mdp, DiscountedMDP):
        flat = mdp.transition if mdp.is_sparse else mdp.transition.reshape(-1, mdp.n_states)
        return mdp.barred_reward + mdp.discount * (flat @ values).reshape(mdp.shape)
    P = mdp.packed_transition
    return mdp.barred_reward + np.stack([P[h % len(P)] @ values[h + 1] for h in range(mdp.horizon)])
