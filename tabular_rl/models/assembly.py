"""Models from lists of transitions: what every conversion ends in."""

from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.availability import no_action
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP

DENSE_BYTES = 64 * 2**20  # a discounted model up to this size is stored dense
EPISODIC_BYTES = 4 * 2**30  # finite horizons are dense; beyond this it is surely a mistake


def check_setting(discount, horizon):
    """Exactly one of ``discount`` and ``horizon`` is given, and it is in its range."""
    if (discount is None) == (horizon is None):
        raise ValueError(f"give exactly one of discount and horizon, got discount={discount}, horizon={horizon}")
    if horizon is None:
        check.discount(discount)
    else:
        check.integer("horizon", horizon, 1)


def check_dense(S, A):
    """A finite horizon's transition fits into memory."""
    size = 8 * S * A * S
    if size > EPISODIC_BYTES:
        raise ValueError(f"a finite horizon needs a dense transition, {size / 2**30:.1f} GiB for S={S}, A={A}; give a discount instead")


def assemble(
    shape, pairs, successors, probabilities, rewards, *,
    initial, discount=None, horizon=None, states=None, actions=None, normalize=False,
):  # fmt: skip
    """A model of ``shape`` (S, A) from parallel arrays of transitions.

    Transition i leads from pair ``pairs[i]`` = s * A + a to ``successors[i]`` with ``probabilities[i]`` and earns ``rewards[i]``.
    Repeated ones add up. A pair without transitions is an action that its state does not have. Where a pair earns different rewards, the
    model has rewards of moves; in a dense one a move that is not listed would earn the pair's mean. Dense when small, else sparse
    (discounted only).
    """
    from scipy.sparse import csr_array

    check_setting(discount, horizon)
    S, A = shape
    pairs, successors = np.asarray(pairs, np.int64), np.asarray(successors, np.int64)
    probabilities, rewards = np.asarray(probabilities, float), np.asarray(rewards, float)
    available = np.bincount(pairs, minlength=S * A).reshape(S, A) > 0
    empty = ~available.any(axis=1)
    if empty.any():
        s = int(np.argmax(empty))
        raise no_action((s,), None if states is None else states[s])
    possible = probabilities != 0
    pairs, successors, probabilities, rewards = (x[possible] for x in (pairs, successors, probabilities, rewards))
    moves, which = np.unique(pairs * S + successors, return_inverse=True)
    total = np.bincount(which, probabilities, len(moves))
    of_moves, _ = group_means(which, probabilities / total[which], rewards, len(moves))
    of_pairs, vary = group_means(moves // S, total, of_moves, S * A)
    pointer = np.concatenate([[0], np.cumsum(np.bincount(moves // S, minlength=S * A))])
    transition: Any = csr_array((total, moves % S, pointer), shape=(S * A, S))
    reward: Any = of_pairs.reshape(S, A)
    if horizon is not None:
        check_dense(S, A)
    if horizon is not None or 8 * S * A * S <= DENSE_BYTES:
        transition = transition.toarray().reshape(S, A, S)
        if vary:
            reward = np.repeat(of_pairs, S)
            reward[moves] = of_moves
            reward = reward.reshape(S, A, S)
    elif vary:
        reward = csr_array((of_moves, moves % S, pointer), shape=(S * A, S))
    if horizon is not None:
        return FiniteHorizonMDP(transition, reward[None] if vary else reward, initial, horizon, states, actions, available, normalize)
    return DiscountedMDP(transition, reward, discount, initial, states, actions, available, normalize)


def group_means(groups, weights, numbers, n):
    """([n] weighted mean of the ``numbers`` of every group, whether any group has different ones).

    Exactly the number where all of a group agree, whatever its weights round to; 0 for empty groups.
    """
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    with np.errstate(invalid="ignore"):  # a number that is none is the model's to complain of
        np.minimum.at(low, groups, numbers)
        np.maximum.at(high, groups, numbers)
    return np.where(low == high, low, np.bincount(groups, weights * numbers, n)), bool((low < high).any())
