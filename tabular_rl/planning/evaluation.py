"""Values and occupancy measures of a given policy."""

from typing import NamedTuple

import numpy as np

from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP, SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.bellman import bellman_backup, deterministic_policy

DIRECT_STATES = 3000  # a dense factorization is exact and quicker up to here
EVALUATORS = {
    "RobustMDP": "planning.robust_evaluate has the worst case of a policy",
    "RobustLinearMDP": "planning.robust_linear_evaluate has the worst case of a policy",
    "SubmodularMDP": "planning.submodular_value has the value of a policy",
}


class Evaluation(NamedTuple):
    """Values of a policy: ``values`` [S] or [H + 1, S], ``q_values`` [S, A] or [H, S, A] (-inf where the state lacks the action)."""

    values: np.ndarray
    q_values: np.ndarray


def evaluate(mdp, policy):
    """Exact values and q-values of ``policy``.

    Parameters
    ----------
    mdp : FiniteHorizonMDP or DiscountedMDP
    policy : array [H, S, A] (or [S, A]: the same at every step) of probabilities, or [H, S] (or [S]) of actions

    Returns
    -------
    Evaluation
        Finite horizon: one backward pass. Discounted: the linear system (I - discount P) V = r, by LAPACK or SuperLU.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP, **EVALUATORS)
    policy = as_policy(mdp, policy)
    if isinstance(mdp, DiscountedMDP):
        P, reward = policy_system(mdp, policy)
        values = solve_chain(mdp, P, reward)
        return Evaluation(values, bellman_backup(mdp, values))
    from tabular_rl.kernels.episodic.episodes import evaluate_episodic

    H, S, A = mdp.shape
    values, q_values = np.empty((H + 1, S)), np.empty((H, S, A))
    evaluate_episodic(mdp.packed_transition, mdp.packed_reward, policy, q_values, values)
    return Evaluation(values, mdp.barred(q_values, -np.inf))


def state_occupancy(mdp, policy):
    """[H, S]: probability of being in s at step h; discounted [S]: (1 - discount) * sum_t discount^t Pr(s_t = s), which sums to 1."""
    _check_controlled(mdp)
    policy = as_policy(mdp, policy)
    if isinstance(mdp, DiscountedMDP):
        P, _ = policy_system(mdp, policy)
        return (1 - mdp.discount) * solve_chain(mdp, P.T, mdp.initial)
    from tabular_rl.kernels.episodic import episodes

    result = np.empty(mdp.shape[:2])
    episodes.state_occupancy(mdp.packed_transition, policy, mdp.initial, result)
    return result


def occupancy(mdp, policy):
    """[H, S, A] or [S, A]: the state occupancy times the policy."""
    _check_controlled(mdp)
    policy = as_policy(mdp, policy)
    return state_occupancy(mdp, policy)[..., None] * policy


def _check_controlled(mdp):
    """Occupancies need a start and transitions alone: loss worlds and submodular problems have them too."""
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP, AdversarialMDP, SubmodularMDP)


def as_policy(mdp, policy):
    """``policy`` as validated probabilities [H, S, A] or [S, A], from probabilities or actions, with or without the step axis.

    ValueError: it plays an action that its state does not have.
    """
    policy, states = check.unmasked("policy", policy), mdp.shape[:-1]
    if policy.dtype.kind in "iu":
        if policy.shape not in (states, states[-1:]):
            raise ValueError(f"policy of actions must have shape {states}, got {policy.shape}")
        outside = (policy < 0) | (policy >= mdp.shape[-1])
        if outside.any():
            index = check.first_index(outside)
            raise ValueError(f"policy{list(index)} is {policy[index]}, expected an action in 0..{mdp.shape[-1] - 1}")
        policy = deterministic_policy(policy, mdp.shape[-1])
    if policy.shape not in (mdp.shape, mdp.shape[-2:]):
        raise ValueError(f"policy must have shape {mdp.shape}, got {policy.shape}")
    policy = np.ascontiguousarray(np.broadcast_to(check.distribution("policy", policy), mdp.shape))
    if not getattr(mdp, "has_all_actions", True) and (policy[~mdp.available] > 0).any():
        *place, s, a = check.first_index((policy > 0) & ~mdp.available)
        step = f" at step {place[0]}" if place else ""
        raise ValueError(f"policy plays action {a} in state {s}{step}, which does not have it, with probability {policy[(*place, s, a)]:g}")
    return policy


def policy_system(mdp, policy):
    """(P, reward) of the Markov chain under a policy of a discounted MDP: [S, S] (sparse if the model is) and [S]."""
    S, A = mdp.shape
    if policy.ndim == 1:
        rows = np.arange(S) * A + policy
        reward = mdp.reward[np.arange(S), policy]
        return (mdp.transition[rows] if mdp.is_sparse else mdp.transition[np.arange(S), policy]), reward
    reward = np.sum(policy * mdp.reward, axis=1)
    if not mdp.is_sparse:
        return np.einsum("sa,sat->st", policy, mdp.transition, optimize=True), reward
    from scipy.sparse import csr_array

    mix = csr_array((policy.ravel(), np.arange(S * A), np.arange(0, S * A + 1, A)), shape=(S, S * A))
    return mix @ mdp.transition, reward


def solve_chain(mdp, P, right):
    """x of (I - discount P) x = right."""
    S = mdp.n_states
    if mdp.is_sparse and S > DIRECT_STATES:
        from scipy.sparse import eye_array
        from scipy.sparse.linalg import spsolve

        return spsolve((eye_array(S) - mdp.discount * P).tocsc(), right)
    return np.linalg.solve(np.eye(S) - mdp.discount * (P.toarray() if mdp.is_sparse else P), right)


def refined(mdp, P, right, x):
    """``x`` of ``solve_chain`` after one step of iterative refinement, its residual in extended precision where there is one.

    1 - discount p is rounded before it is solved with, which moves x by eps / (1 - discount); the residual sees P and discount as they are.
    """
    wide = x.astype(np.longdouble)
    residual = right + np.longdouble(mdp.discount) * (P.astype(np.longdouble) @ wide) - wide
    return x + solve_chain(mdp, P, residual.astype(np.float64))
