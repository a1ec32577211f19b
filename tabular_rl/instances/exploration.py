"""Problems that undirected exploration solves only by luck: small rewards lead away from the large one."""

import numpy as np

from tabular_rl.instances.building import build, deterministic
from tabular_rl.instances.registry import instance
from tabular_rl.models import validation as check


@instance(shape=(56, 2), discount=0.9)
def deep_sea(N=10, seed=0, horizon=None, discount=None):
    """A triangle of cells: one dive of N steps to the right finds the treasure, and each step left pays a little.

    From (row i, column j <= i) right goes to (i + 1, j + 1), left to (i + 1, max(j - 1, 0)), the last row to an absorbing sink of
    reward 0. Which action is right in a cell is a random bit of ``seed``. Left pays 0.01 / N, right nothing, except 1 in the
    last cell of the diagonal. S = N (N + 1) / 2 + 1, N >= 2, start (0, 0). Default discount 1 - 1/N; V* = discount^(N - 1).
    With a ``horizon`` of N or more, V* = 1.

    Source: Osband, Van Roy, Russo, Wen (2019), with a small reward for left in place of their cost of right.
    """
    N = check.integer("N", N, 2)
    swapped = np.random.default_rng(check.integer("seed", seed, 0, None)).integers(0, 2, (N, N))
    cells = [(i, j) for i in range(N) for j in range(i + 1)]
    index, sink = {cell: s for s, cell in enumerate(cells)}, len(cells)
    successors, reward = np.full((sink + 1, 2), sink), np.zeros((sink + 1, 2))
    for s, (i, j) in enumerate(cells):
        right = 1 - swapped[i, j]
        successors[s, right] = index.get((i + 1, j + 1), sink)
        successors[s, 1 - right] = index.get((i + 1, max(j - 1, 0)), sink)
        reward[s, 1 - right] = 0.01 / N
        reward[s, right] = i == j == N - 1
    transition = deterministic(successors, sink + 1)
    return build(transition, reward, horizon=horizon, discount=discount, default_discount=1 - 1 / N, states=[*cells, "sink"])


@instance(shape=(62, 4), discount=1 - 1 / 12)
def combination_lock(depth=10, A=4, seed=0, horizon=None, discount=None):
    """Two locks of ``depth`` levels: the wrong one pays 0.2, the right one 1, and a wrong action 0.1 / depth before it ends all hope.

    The first action chooses: below A // 2 lock 0, else lock 1. Each level has two good slots, entered with probability 1/2 each, and
    a dead one. In a good slot the correct action (random, of ``seed``) goes on to a good slot of the next level, every other one to
    the dead slot, for 0.1 / depth. After the last level comes an absorbing end; there the correct action pays 0.2 or 1.
    S = 2 + 6 depth, A >= 2. Default discount 1 - 1 / (depth + 2), where V* = discount^depth. An episode takes depth + 1 steps.

    Source: the lock family of Agarwal, Henaff, Kakade, Sun (2020), with the numbers of the low-switching experiments.
    """
    depth, A = check.integer("depth", depth, 1), check.integer("A", A, 2)
    correct = np.random.default_rng(check.integer("seed", seed, 0, None)).integers(0, A, (2, depth, 2))
    end, prizes = 1 + 6 * depth, (0.2, 1.0)
    transition, reward = np.zeros((end + 1, A, end + 1)), np.zeros((end + 1, A))

    def slot(lock, level, i):
        return 1 + 3 * depth * lock + 3 * level + i if level < depth else end

    for a in range(A):
        for i in (0, 1):
            transition[0, a, slot(a >= A // 2, 0, i)] += 0.5
    for lock, level in np.ndindex(2, depth):
        dead = slot(lock, level + 1, 2)
        transition[slot(lock, level, 2), :, dead] = 1
        for i in (0, 1):
            s, key = slot(lock, level, i), correct[lock, level, i]
            transition[s, :, dead], reward[s] = 1, 0.1 / depth
            transition[s, key], reward[s, key] = 0, prizes[lock] if level == depth - 1 else 0
            for j in (0, 1):
                transition[s, key, slot(lock, level + 1, j)] += 0.5
    transition[end, :, end] = 1
    return build(transition, reward, horizon=horizon, discount=discount, default_discount=1 - 1 / (depth + 2))
