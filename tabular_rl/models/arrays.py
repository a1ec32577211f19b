"""The forms of other libraries: QuantEcon's ``DiscreteDP``, and the (P, R) arrays of the MDP toolboxes."""

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_setting
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP


def from_quantecon(ddp, initial=None):
    """A DiscountedMDP from a ``quantecon.markov.DiscreteDP``, in product or in state-action-pair form, dense or sparse.

    Infeasible actions (reward -inf, or pairs that are not listed) copy a feasible action of their state: no value changes.
    """
    from scipy.sparse import coo_array

    beta = check.number("ddp.beta", ddp.beta, above=0, below=1)
    if ddp.s_indices is None:
        S, A = ddp.R.shape
        pairs, reward, Q = np.arange(S * A), np.asarray(ddp.R).ravel(), np.asarray(ddp.Q).reshape(S * A, S)
    else:
        S, A = ddp.num_states, int(np.max(ddp.a_indices)) + 1
        pairs, reward, Q = np.asarray(ddp.s_indices) * A + ddp.a_indices, np.asarray(ddp.R), ddp.Q
    entries = coo_array(Q)
    feasible = reward[entries.row] > -np.inf
    row = entries.row[feasible]
    return assemble((S, A), pairs[row], entries.col[feasible], entries.data[feasible], reward[row], initial=initial, discount=beta)


def to_quantecon(mdp):
    """A ``quantecon.markov.DiscreteDP`` of a DiscountedMDP: product form when dense, state-action pairs when sparse."""
    from quantecon.markov import DiscreteDP

    if not isinstance(mdp, DiscountedMDP):
        raise TypeError(f"mdp must be a DiscountedMDP, got {type(mdp).__name__}")
    S, A = mdp.shape
    if not mdp.is_sparse:
        return DiscreteDP(np.array(mdp.reward), np.array(mdp.transition), mdp.discount)
    from scipy.sparse import csr_matrix  # QuantEcon asks for the matrix interface

    states, actions = np.repeat(np.arange(S), A), np.tile(np.arange(A), S)
    return DiscreteDP(mdp.reward.ravel(), csr_matrix(mdp.transition), mdp.discount, states, actions)


def from_arrays(P, R, *, discount=None, horizon=None, initial=None):
    """A model from the (P, R) of the toolboxes.

    ``P`` [A, S, S] or a sequence of A (sparse) matrices; ``R`` [S], [S, A], or [A, S, S] (or A matrices) of rewards per transition.
    """
    check_setting(discount, horizon)
    sparse = any(hasattr(matrix, "tocsr") for matrix in P) if not isinstance(P, np.ndarray) else False
    A = len(P)
    if A == 0:
        raise ValueError("P must hold one matrix per action, got none")
    S = P[0].shape[0] if hasattr(P[0], "shape") else len(P[0])
    if sparse:
        from scipy.sparse import csr_array, vstack

        by_action = vstack([csr_array(matrix) for matrix in P]).tocsr()  # row a * S + s
        transition = by_action[(np.arange(A) * S + np.arange(S)[:, None]).ravel()]
    else:
        transition = np.ascontiguousarray(check.real_array("P", P, (A, S, S)).transpose(1, 0, 2))
    reward = _reward(R, P, S, A)
    if horizon is None:
        return DiscountedMDP(transition, reward, discount, initial)
    return FiniteHorizonMDP(transition.toarray().reshape(S, A, S) if sparse else transition, reward, initial, horizon)


def to_arrays(mdp):
    """(P [A, S, S], or a list of A sparse matrices; R [S, A]) of a DiscountedMDP."""
    if not isinstance(mdp, DiscountedMDP):
        raise TypeError(f"mdp must be a DiscountedMDP, got {type(mdp).__name__}")
    if mdp.is_sparse:
        return [mdp.transition[a :: mdp.n_actions] for a in range(mdp.n_actions)], np.array(mdp.reward)
    return np.ascontiguousarray(mdp.transition.transpose(1, 0, 2)), np.array(mdp.reward)


def _reward(R, P, S, A):
    """[S, A] from any of the toolboxes' three forms."""
    if isinstance(R, list | tuple) and len(R) == A and getattr(R[0], "ndim", 0) == 2:
        # elementwise product with P, matrix by matrix: rewards of transitions, possibly sparse
        columns = [(r.multiply(p) if hasattr(r, "multiply") else np.asarray(p.toarray() if hasattr(p, "toarray") else p) * r).sum(axis=1)
                   for r, p in zip(R, P, strict=True)]  # fmt: skip
        return np.stack([np.asarray(column).ravel() for column in columns], axis=1)
    array = check.real_array("R", R)
    if array.shape == (S,):
        return np.repeat(array[:, None], A, axis=1)
    if array.shape == (S, A):
        return array
    if array.shape == (A, S, S):
        return _reward(list(array), P, S, A)
    raise ValueError(f"R must have shape ({S},), ({S}, {A}) or ({A}, {S}, {S}), got {array.shape}")
