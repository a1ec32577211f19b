"""Late feedback: where it waits until it arrives, and the importance weights that the delay-adapted estimators put on it."""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit

ADAPTED, ADAPTED_JOINT, PLAIN, ARRIVAL_ONLY = range(4)


class Delivery(NamedTuple):
    """Episode k ends with the feedback of ``order[pointer[k] : pointer[k + 1]]``, which waited in its ``slot`` [K] (-1: not kept)."""

    order: Any
    pointer: Any
    slot: Any
    n_slots: Any


def deliver(schedule, keep_last=False):
    """The Delivery of a ``delays.Schedule``; with ``keep_last`` also of what arrives when no policy is left to play."""
    return Delivery(schedule.order, schedule.pointer, *allocate_slots(schedule.arrival, schedule.order, schedule.pointer, keep_last))


@njit
def charge(change, eta, then, occupancy, policy, adapted, gamma, states, actions, losses):
    """change -= eta * lhat on one path, lhat = 1{(s_h,a_h) = (s,a)} loss / (max(q, p) + gamma); not ``adapted``: loss / (q + gamma).

    ``then`` [H]: the occupancies q of the path's cells at play; ``occupancy`` [H, S] and ``policy`` [H, S, A] make p, that of now.
    """
    for h in range(len(states)):
        s, a, q = states[h], actions[h], then[h]
        if adapted:
            q = max(q, occupancy[h, s] * policy[h, s, a])
        change[h, s, a] -= eta * losses[h] / (q + gamma)


@njit
def allocate_slots(arrival, order, pointer, keep_last):
    """(slot [K], number of slots): the place of each episode's feedback, free again once it was used.

    Without ``keep_last`` what arrives at the end of the last episode gets no place (-1).
    """
    K = len(arrival)
    slot, free, n_free, n_slots = np.full(K, -1), np.empty(K, np.int64), 0, 0
    for k in range(K):
        if keep_last or arrival[k] < K - 1:
            if n_free == 0:
                slot[k] = n_slots
                n_slots += 1
            else:
                n_free -= 1
                slot[k] = free[n_free]
        for j in order[pointer[k] : pointer[k + 1]]:
            if slot[j] >= 0:
                free[n_free] = slot[j]
                n_free += 1
    return slot, max(n_slots, 1)


@njit
def delay_weight(form, occupancy, played, arrived, gamma):
    """The weight w of a loss in the estimate, for one (h, s, a): ``played`` is the policy then, ``arrived`` the policy now (dapo spec 2.1).

    adapted         r / (q pi + gamma),   r = pi / M,   M = max(pi, p)
    adapted joint   1 / (q M + gamma)
    plain           1 / (q pi + gamma)
    arrival only    1 / (q p + gamma)      a negative control: its mean can exceed the loss

    The action was played with probability 1/4 in a state of occupancy 1; at arrival the policy has moved to it, with probability 1:

    >>> float(delay_weight(PLAIN, 1.0, 0.25, 1.0, 0.25)), float(delay_weight(ADAPTED, 1.0, 0.25, 1.0, 0.25))
    (2.0, 0.5)
    >>> float(delay_weight(ADAPTED_JOINT, 1.0, 0.25, 1.0, 0.25))
    0.8
    """
    if form == PLAIN:
        return 1 / (occupancy * played + gamma)
    if form == ARRIVAL_ONLY:
        return 1 / (occupancy * arrived + gamma)
    larger = max(played, arrived, 1e-300)
    if form == ADAPTED_JOINT:
        return 1 / (occupancy * larger + gamma)
    return played / larger / (occupancy * played + gamma)
