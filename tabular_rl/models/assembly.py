"""Models from lists of transitions: what every conversion ends in."""

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP

DENSE_BYTES = 64 * 2**20  # a discounted model up to this size is stored dense
EPISODIC_BYTES = 4 * 2**30  # finite horizons are dense; beyond this it is surely a mistake


def check_setting(discount, horizon):
    """Exactly one of ``discount`` and ``horizon`` is given, and it is in its range."""
    if (discount is None) == (horizon is None):
        raise ValueError(f"give exactly one of discount and horizon, got discount={discount}, horizon={horizon}")
    if horizon is None:
        check.number("discount", discount, above=0, below=1)
    else:
        check.integer("horizon", horizon, 1)


def check_dense(S, A):
    """A finite horizon's transition fits into memory."""
    size = 8 * S * A * S
    if size > EPISODIC_BYTES:
        raise ValueError(f"a finite horizon needs a dense transition, {size / 2**30:.1f} GiB for S={S}, A={A}; give a discount instead")


def assemble(shape, pairs, successors, probabilities, rewards, *, initial, discount=None, horizon=None, states=None, actions=None):
    """A model of ``shape`` (S, A) from parallel arrays of transitions.

    Transition i leads from pair ``pairs[i]`` = s * A + a to ``successors[i]`` with ``probabilities[i]`` and earns ``rewards[i]``.
    Repeated ones add up. A pair without transitions is an action that its state does not have: it copies the first action that the
    state has, which changes no value. Dense when small, else sparse (discounted only).
    """
    from scipy.sparse import coo_array

    check_setting(discount, horizon)
    S, A = shape
    pairs, successors = np.asarray(pairs, np.int64), np.asarray(successors, np.int64)
    probabilities, rewards = np.asarray(probabilities, float), np.asarray(rewards, float)
    source = _feasible(S, A, pairs)
    transition = coo_array((probabilities, (pairs, successors)), shape=(S * A, S)).tocsr()[source]
    reward = expected_reward(S * A, pairs, probabilities, rewards)[source].reshape(S, A)
    if horizon is not None:
        check_dense(S, A)
        return FiniteHorizonMDP(transition.toarray().reshape(S, A, S), reward, initial, horizon, states, actions)
    if 8 * S * A * S <= DENSE_BYTES:
        transition = transition.toarray().reshape(S, A, S)
    return DiscountedMDP(transition, reward, discount, initial, states, actions)


def expected_reward(n_pairs, pairs, probabilities, rewards):
    """Expected reward of every pair; exactly the reward where a pair has only one, whatever its probabilities round to."""
    low, high = np.full(n_pairs, np.inf), np.full(n_pairs, -np.inf)
    with np.errstate(invalid="ignore"):  # a reward that is not a number is the model's to complain of
        np.minimum.at(low, pairs, rewards)
        np.maximum.at(high, pairs, rewards)
    return np.where(low == high, low, np.bincount(pairs, probabilities * rewards, n_pairs))


def _feasible(S, A, pairs):
    """For every pair the pair whose transitions it uses: itself, or the first one of its state."""
    present = np.bincount(pairs, minlength=S * A).reshape(S, A) > 0
    empty = ~present.any(axis=1)
    if empty.any():
        raise ValueError(f"state {int(np.argmax(empty))} has no action with transitions")
    first = np.arange(S) * A + present.argmax(axis=1)
    return np.where(present, np.arange(S * A).reshape(S, A), first[:, None]).ravel()
