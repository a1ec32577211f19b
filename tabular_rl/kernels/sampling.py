"""Sampling many episodes of a fixed policy from alias tables: O(1) per step whatever the number of states."""

import numpy as np

from tabular_rl.kernels.compiling import njit


@njit
def alias_tables(weights):
    """(accept, alias) [n, m] of the distributions ``weights`` [n, m] (Walker 1977, in the stable form of Vose 1991)."""
    n, m = weights.shape
    accept, alias = np.ones((n, m)), np.zeros((n, m), np.int32)
    scaled, small, large = np.empty(m), np.empty(m, np.int32), np.empty(m, np.int32)
    for row in range(n):
        fill_table(weights[row], accept[row], alias[row], scaled, small, large)
    return accept, alias


@njit
def sparse_alias_tables(weights, pointer):
    """(accept, alias) [nnz] of the distributions ``weights[pointer[i] : pointer[i + 1]]``; an alias counts from the row's first entry."""
    accept, alias = np.ones(len(weights)), np.zeros(len(weights), np.int32)
    m = np.max(pointer[1:] - pointer[:-1])
    scaled, small, large = np.empty(m), np.empty(m, np.int32), np.empty(m, np.int32)
    for row in range(len(pointer) - 1):
        i, j = pointer[row], pointer[row + 1]
        fill_table(weights[i:j], accept[i:j], alias[i:j], scaled, small, large)
    return accept, alias


@njit
def fill_table(weights, accept, alias, scaled, small, large):
    """One row of ``alias_tables``, ``accept`` being 1 everywhere; ``scaled``, ``small``, ``large`` [m or more] are work space."""
    m, n_small, n_large = len(weights), 0, 0
    for i in range(m):
        scaled[i] = weights[i] * m
        alias[i] = i
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        i, j = small[n_small], large[n_large - 1]
        accept[i], alias[i] = scaled[i], j
        scaled[j] -= 1.0 - scaled[i]
        if scaled[j] < 1.0:
            n_large -= 1
            small[n_small] = j
            n_small += 1
    # what is left over has weight 1 up to rounding, as the rows sum to 1: it is always accepted


@njit
def pick(accept, alias, rng):
    """An index drawn by one row of alias tables; its integer part and its fraction serve the column and its acceptance test."""
    u = rng.random() * len(accept)
    i = int(u)
    return i if u - i < accept[i] else alias[i]


@njit
def sample_episodes(accept, alias, policy_accept, policy_alias, initial_accept, initial_alias, rng, states, actions):
    """Fill ``states`` and ``actions`` [n, H]; tables of P [T, S*A, S], of the policy [T', S, A] and of the start [S].

    One uniform number serves a column and its acceptance test: its integer part and its fraction.
    """
    n, H = states.shape
    S, A = policy_accept.shape[1:]
    for episode in range(n):
        u = rng.random() * S
        s = int(u)
        if u - s >= initial_accept[s]:
            s = initial_alias[s]
        for h in range(H):
            rows, choices = h % len(accept), h % len(policy_accept)
            u = rng.random() * A
            a = int(u)
            if u - a >= policy_accept[choices, s, a]:
                a = policy_alias[choices, s, a]
            states[episode, h], actions[episode, h] = s, a
            if h + 1 < H:
                u = rng.random() * S
                t = int(u)
                if u - t >= accept[rows, s * A + a, t]:
                    t = alias[rows, s * A + a, t]
                s = t


@njit
def sample_walks(
    accept, alias, successor, pointer, policy_accept, policy_alias, initial_accept, initial_alias, rng, lengths, states, actions
):
    """Fill the first ``lengths[i]`` entries of row i of ``states`` and ``actions`` [n, L] with walks of a stationary policy.

    Tables of the rows s * A + a of P (``sparse_alias_tables``, of moves to ``successor`` [nnz]), of the policy [S, A] and of the start [S].
    """
    A = policy_accept.shape[1]
    for walk in range(len(states)):
        s = pick(initial_accept, initial_alias, rng)
        for t in range(lengths[walk]):
            a = pick(policy_accept[s], policy_alias[s], rng)
            states[walk, t], actions[walk, t] = s, a
            if t + 1 < lengths[walk]:
                i, j = pointer[s * A + a], pointer[s * A + a + 1]
                s = successor[i + pick(accept[i:j], alias[i:j], rng)]
