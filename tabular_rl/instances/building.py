"""What several instances share: the choice between the two kinds of model, and transitions from lists of successors."""

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP


def build(transition, reward, initial=None, *, horizon=None, discount=None, default_discount, **labels):
    """The episodic model when ``horizon`` is given, the discounted one when ``discount`` is, ``default_discount`` when neither is."""
    discount = one_of(horizon, discount, default_discount)
    if horizon is None:
        return DiscountedMDP(transition, reward, discount, initial, **labels)
    return FiniteHorizonMDP(transition, reward, initial, horizon=horizon, **labels)


def one_of(horizon, discount, default_discount):
    """The discount in force (None for an episodic model), or an error when horizon and discount are both given."""
    if horizon is not None and discount is not None:
        raise ValueError(f"horizon and discount exclude each other, got horizon={horizon} and discount={discount}")
    return default_discount if horizon is None and discount is None else discount


def transition_from(successors, probabilities, S, sparse=False):
    """Transition [S, A, S], or CSR (S*A, S), that moves to ``successors`` [S, A, k] with ``probabilities`` [S, A, k].

    A successor that a pair names several times gets the sum.
    """
    _, A, k = successors.shape
    pairs = np.repeat(np.arange(S * A), k)
    if sparse:
        from scipy.sparse import csr_array  # 0.4 s to import: only for those who ask for a sparse model

        matrix = csr_array((probabilities.ravel(), (pairs, successors.ravel())), shape=(S * A, S))
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return matrix
    transition = np.zeros((S * A, S))
    np.add.at(transition, (pairs, successors.ravel()), probabilities.ravel())
    return transition.reshape(S, A, S)


def deterministic(successors, S):
    """Transition [..., S] that surely moves to ``successors`` [...] (ints)."""
    return np.eye(S)[np.asarray(successors)]
