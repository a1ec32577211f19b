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
        n_small, n_large = 0, 0
        for i in range(m):
            scaled[i] = weights[row, i] * m
            alias[row, i] = i
            if scaled[i] < 1.0:
                small[n_small] = i
                n_small += 1
            else:
                large[n_large] = i
                n_large += 1
        while n_small > 0 and n_large > 0:
            n_small -= 1
            i, j = small[n_small], large[n_large - 1]
            accept[row, i], alias[row, i] = scaled[i], j
            scaled[j] -= 1.0 - scaled[i]
            if scaled[j] < 1.0:
                n_large -= 1
                small[n_small] = j
                n_small += 1
        # what is left over has weight 1 up to rounding, as the rows sum to 1: it is always accepted
    return accept, alias


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
