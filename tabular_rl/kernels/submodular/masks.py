"""Exact dynamic programs over (h, s, collected set), for ground sets of at most 20 elements (subpo spec, section 3.4).

Shapes: ``P`` [T, S, A, S] with T = H or 1; ``initial`` [S]; ``elements`` [T', S] with T' = H + 1 or 1, -1 where nothing is collected;
``F`` [2^n] over bit masks; ``policy`` [H, S, A]; ``mu`` and ``values`` [H + 1, S, 2^n].
"""

import numpy as np

from tabular_rl.kernels.compiling import njit


@njit
def joined(mask, elements, h, s):
    """The mask with what (h, s) collects."""
    e = elements[h % len(elements), s]
    return mask if e < 0 else mask | (1 << e)


@njit
def forward(P, initial, elements, policy, mu):
    """Fill ``mu``: the probability of being in s at time h with ``mask`` collected."""
    H, S, A = policy.shape
    mu[:] = 0.0
    for s in range(S):
        mu[0, s, joined(0, elements, 0, s)] += initial[s]
    for h in range(H):
        stage = P[h % len(P)]
        for s in range(S):
            for t in range(S):
                chance = 0.0
                for a in range(A):
                    chance += policy[h, s, a] * stage[s, a, t]
                if chance > 0.0:
                    for mask in range(mu.shape[2]):
                        if mu[h, s, mask] > 0.0:
                            mu[h + 1, t, joined(mask, elements, h + 1, t)] += chance * mu[h, s, mask]


@njit
def backward(P, elements, F, policy, mu, values, derivative):
    """Fill ``values`` (expected final F from (h, s, mask)) and ``derivative`` [H, S, A] = sum_mask mu Q, which is dJ / dpolicy."""
    H, S, A = policy.shape
    derivative[:] = 0.0
    values[H] = F
    for h in range(H - 1, -1, -1):
        stage = P[h % len(P)]
        values[h] = 0.0
        for s in range(S):
            for a in range(A):
                total = 0.0
                for t in range(S):
                    p = stage[s, a, t]
                    if p > 0.0:
                        for mask in range(len(F)):
                            v = p * values[h + 1, t, joined(mask, elements, h + 1, t)]
                            values[h, s, mask] += policy[h, s, a] * v
                            total += mu[h, s, mask] * v
                derivative[h, s, a] = total


@njit
def optimal_history(P, elements, F, values, actions):
    """Fill ``values`` with the optimum over history-dependent policies and ``actions`` [H, S, 2^n] (ties: lowest)."""
    H, S, A = actions.shape[0], actions.shape[1], P.shape[2]
    q = np.empty(len(F))
    values[H] = F
    for h in range(H - 1, -1, -1):
        stage = P[h % len(P)]
        values[h] = -np.inf
        for s in range(S):
            for a in range(A):
                q[:] = 0.0
                for t in range(S):
                    p = stage[s, a, t]
                    if p > 0.0:
                        for mask in range(len(F)):
                            q[mask] += p * values[h + 1, t, joined(mask, elements, h + 1, t)]
                for mask in range(len(F)):
                    if q[mask] > values[h, s, mask]:
                        values[h, s, mask], actions[h, s, mask] = q[mask], a


@njit
def history_values(P, elements, F, actions, values):
    """Fill ``values`` of the history-dependent policy that plays ``actions`` [H, S, 2^n]."""
    H, S = actions.shape[:2]
    values[H] = F
    for h in range(H - 1, -1, -1):
        stage = P[h % len(P)]
        for s in range(S):
            for mask in range(len(F)):
                total = 0.0
                row = stage[s, actions[h, s, mask]]
                for t in range(S):
                    if row[t] > 0.0:
                        total += row[t] * values[h + 1, t, joined(mask, elements, h + 1, t)]
                values[h, s, mask] = total


@njit
def greedy_actions(P, elements, F, actions):
    """Fill ``actions`` [H, S, 2^n] with those of largest expected gain of the next element (ties: lowest)."""
    H, S = actions.shape[:2]
    for h in range(H):
        stage = P[h % len(P)]
        for s in range(S):
            for mask in range(len(F)):
                best = -np.inf
                for a in range(P.shape[2]):
                    gain = 0.0
                    for t in range(S):
                        p = stage[s, a, t]
                        if p > 0.0:
                            gain += p * F[joined(mask, elements, h + 1, t)]
                    if gain > best + 1e-12:
                        best, actions[h, s, mask] = gain, a


@njit
def expected_gains(elements, F, distribution, gains):
    """Fill ``gains`` [H + 1, S] with E F(element of (h, s) | a set drawn from ``distribution`` [2^n])."""
    H, S = gains.shape[0] - 1, gains.shape[1]
    for h in range(H + 1):
        for s in range(S):
            gains[h, s] = 0.0
            if elements[h % len(elements), s] >= 0:
                for mask in range(len(F)):
                    if distribution[mask] > 0.0:
                        gains[h, s] += distribution[mask] * (F[joined(mask, elements, h, s)] - F[mask])
