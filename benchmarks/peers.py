"""What we are compared with: QuantEcon, and NumPy as a careful user writes it."""

import warnings

import numpy as np


def quantecon(transition, reward, discount=1.0):
    """QuantEcon's model of P [S, A, S], or CSR (S*A, S), and ``reward`` [S, A]."""
    from quantecon.markov import DiscreteDP

    if not hasattr(transition, "tocsr"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # discount 1 is meant
            return DiscreteDP(np.array(reward), np.array(transition), discount)
    from scipy.sparse import csr_matrix

    S, A = reward.shape
    return DiscreteDP(reward.ravel(), csr_matrix(transition), discount, np.repeat(np.arange(S), A), np.tile(np.arange(A), S))


def occupancy(P, policy, initial):
    """[H, S, A] of a policy [H, S, A] under a stationary P [S, A, S]: one matrix product a step."""
    H, S, A = policy.shape
    result, flat = np.empty((H, S, A)), P.reshape(S * A, S)
    state = initial
    for h in range(H):
        result[h] = state[:, None] * policy[h]
        state = result[h].ravel() @ flat
    return result


def ucbvi(P, loss, start, H, episodes, seed, delta=0.05):
    """UCBVI with one count per (s, a), as in ``algorithms.UCBVI(share_steps=True)``; the total loss of all episodes.

    H vectorized backups per episode, steps by ``rng.choice``; P [S, A, S], ``loss`` [S, A] its means, which are seen.
    """
    S, A = loss.shape
    rng = np.random.default_rng(seed)
    radius = np.sqrt(np.log(2 * S * A * H * H * episodes / delta) / 2)
    visits, arrivals, losses = np.zeros((S, A)), np.zeros((S, A, S)), np.zeros((S, A))
    q_values, total = np.empty((H, S, A)), 0.0
    for _ in range(episodes):
        n = np.maximum(visits, 1)
        estimate, mean = arrivals / n[:, :, None], losses / n
        bonus = np.where(visits > 0, radius / np.sqrt(n), np.inf)
        values = np.zeros(S)
        for h in range(H - 1, -1, -1):
            np.maximum(mean + estimate @ values - (H - h) * bonus, 0, out=q_values[h])
            values = q_values[h].min(axis=1)
        policy = q_values.argmin(axis=2)
        s = start
        for h in range(H):
            a = policy[h, s]
            t = rng.choice(S, p=P[s, a])
            visits[s, a] += 1
            arrivals[s, a, t] += 1
            losses[s, a] += loss[s, a]
            total += loss[s, a]
            s = t
    return total


def dapo(P, loss, initial, delays, eta, gamma, c, seed):
    """DAPO, transition known, joint batches: the total expected loss. P [H, S, A, S]; mean ``loss`` [H, S, A], seen without noise."""
    H, S, A = loss.shape
    rng, log_weights, waiting, total = np.random.default_rng(seed), np.zeros((H, S, A)), {}, 0.0
    for k in range(len(delays)):
        weights = np.exp(log_weights - log_weights.max(axis=2, keepdims=True))
        policy = weights / weights.sum(axis=2, keepdims=True)
        occupancy = np.empty((H, S))
        occupancy[0] = initial
        for h in range(H - 1):
            occupancy[h + 1] = np.einsum("s,sa,sat->t", occupancy[h], policy[h], P[h])
        total += np.sum(occupancy[:, :, None] * policy * loss)
        s, path = rng.choice(S, p=initial), []
        for h in range(H):
            a = rng.choice(A, p=policy[h, s])
            path.append((h, s, a))
            s = rng.choice(S, p=P[h, s, a])
        waiting.setdefault(k + delays[k], []).append((policy, occupancy, path))
        for played, visited, steps in waiting.pop(k, ()):
            w = played / np.maximum(played, policy) / (visited[:, :, None] * played + gamma)
            b = c * np.sum(policy * w, axis=2)
            following = np.zeros(S)
            for h in range(H - 1, -1, -1):
                bonus = b[h][:, None] + (1 + 1 / H) * (P[h] @ following)
                following = np.sum(policy[h] * bonus, axis=1)
                log_weights[h] += eta * bonus
            to_go = 0.0
            for step in reversed(steps):
                to_go += loss[step]
                log_weights[step] -= eta * w[step] * to_go
    return total
