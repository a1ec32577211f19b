"""The forms of other libraries: QuantEcon's ``DiscreteDP``, and the (P, R) arrays of the MDP toolboxes."""

from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_dense, check_setting
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP


def from_quantecon(ddp, initial=None):
    """A DiscountedMDP from a ``quantecon.markov.DiscreteDP``, in product or in state-action-pair form, dense or sparse.

    Infeasible actions (reward -inf, or pairs that are not listed) copy a feasible action of their state: no value changes.
    """
    from scipy.sparse import coo_array

    for name in ("R", "Q", "beta", "s_indices", "a_indices"):
        check.quack("ddp", ddp, name, "a quantecon DiscreteDP")
    beta, reward = check.number("ddp.beta", ddp.beta, above=0, below=1), np.asarray(ddp.R)
    if ddp.s_indices is None:
        S, A = reward.shape
        pairs, Q = np.arange(S * A), np.reshape(ddp.Q, (S * A, S))
    else:
        S, A = ddp.num_states, int(np.max(ddp.a_indices)) + 1
        pairs, Q = np.asarray(ddp.s_indices) * A + ddp.a_indices, ddp.Q
    feasible = reward != -np.inf
    check.check_row_sums("ddp.Q", np.where(feasible, np.reshape(Q.sum(axis=1), reward.shape), 1))
    entries, reward = coo_array(Q), reward.ravel()
    listed = feasible.ravel()[entries.row]
    row = entries.row[listed]
    return assemble((S, A), pairs[row], entries.col[listed], entries.data[listed], reward[row], initial=initial, discount=beta)


def to_quantecon(mdp):
    """A ``quantecon.markov.DiscreteDP`` of a DiscountedMDP: product form when dense, state-action pairs when sparse."""
    S, A = check.kind("mdp", mdp, DiscountedMDP).shape
    from quantecon.markov import DiscreteDP

    if not mdp.is_sparse:
        return DiscreteDP(np.array(mdp.reward), np.array(mdp.transition), mdp.discount)
    from scipy.sparse import csr_matrix  # QuantEcon asks for the matrix interface

    states, actions = np.repeat(np.arange(S), A), np.tile(np.arange(A), S)
    return DiscreteDP(mdp.reward.ravel(), csr_matrix(mdp.transition), mdp.discount, states, actions)


def from_arrays(P, R, *, discount=None, horizon=None, initial=None):
    """A model from the (P, R) of the toolboxes.

    ``P`` [A, S, S] or a list of A (sparse) matrices; ``R`` [S], [S, A], or [A, S, S] (or a list of A) of rewards per transition.
    """
    check_setting(discount, horizon)
    P = _by_action("P", P)
    A, S = len(P), P[0].shape[0]
    reward = _reward(R, P, S, A)
    if isinstance(P, np.ndarray):
        transition: Any = np.ascontiguousarray(check.probabilities("P", P).transpose(1, 0, 2))
    else:
        from scipy.sparse import vstack

        for a, matrix in enumerate(P):
            check.sparse_probabilities(f"P[{a}]", matrix)
        transition = vstack(P).tocsr()[(np.arange(A) * S + np.arange(S)[:, None]).ravel()]  # from row a * S + s to row s * A + a
    if horizon is None:
        return DiscountedMDP(transition, reward, discount, initial)
    check_dense(S, A)
    return FiniteHorizonMDP(transition if isinstance(P, np.ndarray) else transition.toarray().reshape(S, A, S), reward, initial, horizon)


def to_arrays(mdp):
    """(P [A, S, S], or a list of A sparse matrices; R [S, A]) of a DiscountedMDP."""
    if check.kind("mdp", mdp, DiscountedMDP).is_sparse:
        return [mdp.transition[a :: mdp.n_actions] for a in range(mdp.n_actions)], np.array(mdp.reward)
    return np.ascontiguousarray(mdp.transition.transpose(1, 0, 2)), np.array(mdp.reward)


def _by_action(name, value):
    """An array [A, S, S], or a list of A CSR matrices (S, S) when any of those given is sparse."""
    if isinstance(value, np.ndarray) and value.dtype == object:  # the toolboxes' arrays of matrices
        value = value.tolist()
    if _any_sparse(value):
        matrices = [_csr(f"{name}[{a}]", matrix) for a, matrix in enumerate(value)]
    else:
        matrices = check.real_array(name, value, (None, None, None))
    if len(matrices) == 0:
        raise ValueError(f"{name} must hold one matrix per action, got none")
    S = matrices[0].shape[0]
    for a, matrix in enumerate(matrices):
        if matrix.shape != (S, S) or S == 0:
            raise ValueError(f"{name}[{a}] must have shape (S, S), the same for every action, got {matrix.shape}")
    return matrices


def _csr(name, matrix):
    from scipy.sparse import csr_array

    return check.sparse_array(name, matrix if hasattr(matrix, "tocsr") else csr_array(check.real_array(name, matrix, (None, None))))


def _any_sparse(value):
    return isinstance(value, list | tuple) and any(hasattr(matrix, "tocsr") for matrix in value)


def _reward(R, P, S, A):
    """[S, A] from any of the toolboxes' three forms."""
    if isinstance(R, np.ndarray) and R.dtype == object:
        R = R.tolist()
    if not _any_sparse(R):
        R = check.real_array("R", R)
        if R.shape == (S,):
            return np.repeat(R[:, None], A, axis=1)
        if R.shape == (S, A):
            return R
        if R.shape != (A, S, S):
            raise ValueError(f"R must have shape ({S},), ({S}, {A}) or ({A}, {S}, {S}), got {R.shape}")
    R = _by_action("R", R)
    if len(R) != A or R[0].shape != (S, S):
        raise ValueError(f"R must hold {A} matrices of shape ({S}, {S}), got {len(R)} of shape {R[0].shape}")
    # rewards of transitions, weighted by their probabilities
    return np.stack([_product(p, r).sum(axis=1) for p, r in zip(P, R, strict=True)], axis=1)


def _product(x, y):
    """Elementwise, of arrays or CSR matrices."""
    if hasattr(x, "multiply"):
        return x.multiply(y)
    return y.multiply(x) if hasattr(y, "multiply") else x * y
