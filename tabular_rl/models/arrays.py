"""The forms of other libraries: QuantEcon's ``DiscreteDP``, and the (P, R) arrays of the MDP toolboxes."""

import numpy as np

from tabular_rl.extras import extra
from tabular_rl.models import availability
from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_dense, check_setting
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP

# the axes of arrays (action, state, next state), and how they come into the order "ast"
LAYOUTS = {"ast": (0, 1, 2), "sat": (1, 0, 2), "sta": (2, 0, 1)}


def from_quantecon(ddp, initial=None, normalize=False):
    """A DiscountedMDP from a ``quantecon.markov.DiscreteDP``, in product or in state-action-pair form, dense or sparse.

    Infeasible actions (reward -inf, or pairs that are not listed) are those that the model's ``available`` leaves out.
    ``normalize``: divide rows that sum to 1 only within 5 % by their sums.
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
    check.check_row_sums("ddp.Q", np.where(feasible, np.reshape(Q.sum(axis=1), reward.shape), 1), check.flag("normalize", normalize))
    entries, reward = coo_array(Q), reward.ravel()
    listed = feasible.ravel()[entries.row]
    row = entries.row[listed]
    return assemble(
        (S, A), pairs[row], entries.col[listed], entries.data[listed], reward[row], initial=initial, discount=beta, normalize=normalize
    )


def to_quantecon(mdp):
    """A ``quantecon.markov.DiscreteDP`` of a DiscountedMDP: product form when dense, state-action pairs when sparse.

    Actions that a state does not have are infeasible there; rewards of moves become their means.
    """
    A = check.kind("mdp", mdp, DiscountedMDP).n_actions
    with extra("quantecon"):
        from quantecon.markov import DiscreteDP

    if not mdp.is_sparse:
        return DiscreteDP(np.array(mdp.barred_reward), np.array(mdp.transition), mdp.discount)
    from scipy.sparse import csr_matrix  # QuantEcon asks for the matrix interface

    pairs = np.flatnonzero(mdp.available)
    return DiscreteDP(mdp.reward.ravel()[pairs], csr_matrix(mdp.transition[pairs]), mdp.discount, pairs // A, pairs % A)


def from_arrays(P, R, *, discount=None, horizon=None, initial=None, available=None, layout=None, normalize=False):
    """A model from the (P, R) of the toolboxes.

    Parameters
    ----------
    P : array with the axes of ``layout``, or list of A (sparse) matrices (S, S)
        Transition probabilities.
    R : array [S] or [S, A], or with the axes of P, or list of A (sparse) matrices
        Rewards of states, of pairs, or of moves: these are kept as ``move_rewards``.
        A pair without a reward but -inf or NaN, or without a probability but 0 or NaN, is an action that its state does not have.
    discount, horizon
        Exactly one.
    available : bool array [S, A], optional
        Which actions each state has.
    layout : str, optional
        The axes of P: "ast" (action, state, next state: the toolboxes in Python), "sat", or "sta" (in MATLAB). Default: the only one whose
        shape fits and whose rows sum to 1. It is needed where several do, as with as many states as actions. Sparse matrices are "ast".
    normalize : bool
        Divide rows that sum to 1 only within 5 % by their sums; otherwise they are refused.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value; an array whose layout cannot be told.
    """
    check_setting(discount, horizon)
    normalize = check.flag("normalize", normalize)
    P = _by_action("P", P)
    if isinstance(P, list) and layout not in (None, "ast"):
        raise ValueError(f"layout must be 'ast' for sparse matrices, one per action, got {layout!r}")
    if isinstance(P, np.ndarray):
        layout = _layout(P) if layout is None else check.choice("layout", layout, tuple(LAYOUTS))
        P = _from_layout("P", P, layout)
    A, S = len(P), P[0].shape[0]
    R = _rewards(R, S, A, layout or "ast")
    exists = availability.mask(available, (S, A)) & ~_nothing_but(0, P) & ~_nothing_but(-np.inf, R)
    if horizon is not None:
        check_dense(S, A)
    transition, reward = _stacked("P", P, exists), _stacked("R", R, exists)
    if isinstance(transition, np.ndarray):
        name = "P" if layout == "ast" else "P[action, state, next state]"
        check.probabilities(name, transition.transpose(1, 0, 2), normalize)
    else:
        for a in range(A):
            check.sparse_probabilities(f"P[{a}]", transition[a::A], normalize)
    if horizon is not None and not isinstance(transition, np.ndarray):
        transition = transition.toarray().reshape(S, A, S)
    if not isinstance(R, np.ndarray) or R.ndim == 3:
        reward = _of_moves(transition, reward)
    if horizon is None:
        return DiscountedMDP(transition, reward, discount, initial, available=exists, normalize=normalize)
    reward = reward[None] if reward.ndim == 3 else reward
    return FiniteHorizonMDP(transition, reward, initial, horizon, available=exists, normalize=normalize)


def to_arrays(mdp):
    """(P [A, S, S], or a list of A sparse matrices; R [S, A]) of a DiscountedMDP; R has the axes of P where moves have rewards.

    Actions that a state does not have earn -inf.
    """
    A, moves = check.kind("mdp", mdp, DiscountedMDP).n_actions, mdp.move_rewards
    if mdp.is_sparse:
        P = [mdp.transition[a::A] for a in range(A)]
        if moves is None:
            return P, np.array(mdp.barred_reward)
        barred = moves.copy()
        barred.data = np.where(np.repeat(mdp.available.ravel(), np.diff(moves.indptr)), moves.data, -np.inf)
        return P, [barred[a::A] for a in range(A)]
    dense = np.ascontiguousarray(mdp.transition.transpose(1, 0, 2))
    if moves is None:
        return dense, np.array(mdp.barred_reward)
    return dense, np.ascontiguousarray(np.where(mdp.available[..., None], moves, -np.inf).transpose(1, 0, 2))


def _by_action(name, value):
    """An array with three axes, or a list of A CSR matrices (S, S) when any of those given is sparse; numbers still unchecked."""
    if isinstance(value, np.ndarray) and value.dtype == object:  # the toolboxes' arrays of matrices
        value = value.tolist()
    if not _any_sparse(value):
        array = check.real_array(name, value, (None, None, None), finite=False)
        if len(array) == 0:
            raise ValueError(f"{name} must hold one matrix per action, got none")
        return array
    matrices = [_csr(f"{name}[{a}]", matrix) for a, matrix in enumerate(value)]
    S = matrices[0].shape[0]
    for a, matrix in enumerate(matrices):
        if matrix.shape != (S, S) or S == 0:
            raise ValueError(f"{name}[{a}] must have shape (S, S), the same for every action, got {matrix.shape}")
    return matrices


def _csr(name, matrix):
    from scipy.sparse import csr_array

    if not hasattr(matrix, "tocsr"):
        matrix = csr_array(check.real_array(name, matrix, (None, None), finite=False))
    return check.csr_within(name, matrix)


def _any_sparse(value):
    return isinstance(value, list | tuple) and any(hasattr(matrix, "tocsr") for matrix in value)


def _layout(P):
    """The layout of P [three axes] that its shape and its rows allow."""
    fits = [layout for layout in LAYOUTS if _shape_fits(P, layout)]
    if len(fits) > 1:
        sums = {layout: np.nansum(P.transpose(LAYOUTS[layout]), axis=-1) for layout in fits}  # rows of missing actions: 0
        good = [layout for layout in fits if np.all((np.abs(sums[layout] - 1) <= check.NORMALIZABLE) | (sums[layout] == 0))]
        fits = good or fits[:1]  # none: the check of the rows will say which
        first = P.transpose(LAYOUTS[fits[0]])
        if any(not np.array_equal(first, P.transpose(LAYOUTS[layout]), equal_nan=True) for layout in fits[1:]):
            raise ValueError(
                f"layout is needed: P of shape {P.shape} reads as {' or as '.join(map(repr, fits))} (a action, s state, t next state)"
            )
    return fits[0] if fits else "ast"


def _shape_fits(P, layout):
    _, S, T = (P.shape[axis] for axis in LAYOUTS[layout])
    return S == T and S > 0


def _from_layout(name, array, layout):
    """The array with the axes (action, state, next state)."""
    if not _shape_fits(array, layout):
        if layout == "ast":
            raise ValueError(f"{name}[0] must have shape (S, S), the same for every action, got {array.shape[1:]}")
        raise ValueError(f"{name} must have the axes {layout!r} (a action, s state, t next state), got shape {array.shape}")
    return array.transpose(LAYOUTS[layout])


def _rewards(R, S, A, layout):
    """[S, A], or [A, S, S] (or a list of A CSR matrices) of moves, from any of the toolboxes' forms."""
    if isinstance(R, np.ndarray) and R.dtype == object:
        R = R.tolist()
    if not _any_sparse(R):
        R = check.real_array("R", R, finite=False)
        if R.shape == (S,):
            return np.repeat(R[:, None], A, axis=1)
        if R.shape == (S, A):
            return R
        of_moves = tuple({"a": A, "s": S, "t": S}[axis] for axis in layout)
        if R.shape != of_moves:
            raise ValueError(f"R must have shape ({S},), ({S}, {A}) or {of_moves}, got {R.shape}")
        return R.transpose(LAYOUTS[layout])
    R = _by_action("R", R)
    if len(R) != A or R[0].shape != (S, S):
        raise ValueError(f"R must hold {A} matrices of shape ({S}, {S}), got {len(R)} of shape {R[0].shape}")
    return R


def _nothing_but(number, x):
    """[S, A] whether a pair has nothing but ``number`` and NaN, in [S, A], [A, S, S] or a list of A CSR matrices.

    A row of rewards without an entry earns 0, one of probabilities goes nowhere.
    """
    if isinstance(x, np.ndarray):
        nothing = (x == number) | np.isnan(x)
        return nothing if x.ndim == 2 else nothing.all(axis=-1).T
    rows = [np.bincount(_row_of(m), (m.data != number) & ~np.isnan(m.data), m.shape[0]) for m in x]
    return np.stack([(count == 0) & ((np.diff(m.indptr) > 0) | (number == 0)) for count, m in zip(rows, x, strict=True)], axis=1)


def _row_of(matrix):
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _stacked(name, x, exists):
    """[S, A], [S, A, S] or CSR (S*A, S), finite, missing pairs filled; errors name the index in ``x``."""
    S, A = exists.shape
    for index in zip(*np.nonzero(~exists.any(axis=1)), strict=True):
        raise availability.no_action(index)
    if isinstance(x, np.ndarray):
        array = x if x.ndim == 2 else x.transpose(1, 0, 2)
        array = array if exists.all() else availability.filled(array, exists)
        check.check_finite(name, array if x.ndim == 2 else array.transpose(1, 0, 2))
        return np.ascontiguousarray(array)
    from scipy.sparse import vstack

    by_pair = vstack(x).tocsr()[(np.arange(A) * S + np.arange(S)[:, None]).ravel()]  # from row a * S + s to row s * A + a
    by_pair = by_pair if exists.all() else availability.filled_rows(by_pair, exists)
    for a in range(A):
        check.sparse_array(f"{name}[{a}]", by_pair[a::A])
    return check.sparse_array(name, by_pair)


def _of_moves(transition, reward):
    """Rewards [S, A, S] or CSR (S*A, S) in the form of ``transition``; beside a sparse one those of the moves that it makes."""
    if isinstance(transition, np.ndarray):
        return reward if isinstance(reward, np.ndarray) else reward.toarray().reshape(transition.shape)
    made = transition.copy()
    made.data = np.ones_like(made.data)
    return made.multiply(reward if hasattr(reward, "tocsr") else reward.reshape(made.shape)).tocsr()
