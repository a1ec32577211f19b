"""What several instances share: the choice between the two kinds of model, and transitions from lists of successors."""

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models.assembly import DENSE_BYTES


def build(transition, reward, initial=None, *, horizon=None, discount=None, default_discount, **labels):
    """The episodic model when ``horizon`` is given, the discounted one when ``discount`` is, ``default_discount`` when neither is.

    ``transition`` [S, A, S], or CSR (S*A, S), which a discounted model keeps.
    """
    discount = one_of(horizon, discount, default_discount)
    if horizon is None:
        return DiscountedMDP(transition, reward, discount, initial, **labels)
    if hasattr(transition, "toarray"):
        transition = dense(transition)
    return FiniteHorizonMDP(transition, reward, initial, horizon=horizon, **labels)


def one_of(horizon, discount, default_discount):
    """The discount in force (None for an episodic model), or an error when horizon and discount are both given."""
    if horizon is not None and discount is not None:
        raise ValueError(f"horizon and discount exclude each other, got horizon={horizon} and discount={discount}")
    return default_discount if horizon is None and discount is None else discount


def rows_to(successors, probabilities):
    """CSR (S*A, S) that moves from (s, a) to ``successors`` [S, A, k] with ``probabilities`` [S, A, k]; repeated successors add up."""
    from scipy.sparse import csr_array  # 0.4 s to import: only for those who need it

    S, A, k = successors.shape
    matrix = csr_array((probabilities.ravel(), successors.ravel(), np.arange(0, S * A * k + 1, k)), shape=(S * A, S))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def dense(matrix):
    """[S, A, S] of a CSR (S*A, S)."""
    rows, S = matrix.shape
    return matrix.toarray().reshape(S, rows // S, S)


def dense_if_small(matrix):
    """[S, A, S] where that is small, else the CSR matrix itself: the rule of all conversions."""
    return dense(matrix) if 8 * np.prod(matrix.shape, dtype=float) <= DENSE_BYTES else matrix


def deterministic(successors, S):
    """Transition [..., S] that surely moves to ``successors`` [...] (ints)."""
    return np.eye(S)[np.asarray(successors)]
