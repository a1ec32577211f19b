"""The mean losses of an episode: one switch for all loss worlds, outside of every hot loop."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import config

from tabular_rl.kernels.compiling import njit

CONSTANT, PERIODIC, PHASES, DRIFTING, ANTI_GREEDY, BLOCK = range(6)


class World(NamedTuple):
    """An AdversarialMDP as compiled loops read it; they unpack it in their first line.

    ``P`` [T, S, A, S], T = H, or 1 when the transition is the same at every step; ``initial`` [S]; ``schedule``: code of how the
    ``tables`` [M, H, S, A] and ``parameters`` [2] make the mean losses; ``bernoulli``: losses are 0/1 draws; ``barrier`` [H, S, A]: 0,
    and infinite at pairs that do not exist, where the summed losses begin.
    """

    P: Any
    initial: Any
    schedule: Any
    tables: Any
    parameters: Any
    bernoulli: Any
    barrier: Any


@njit
def mean_losses(schedule, tables, parameters, k, policy, means):
    """Write the mean losses of episode k = 0, 1, ... into ``means`` [H, S, A]; ``policy`` [H, S, A] is the one about to be played.

    The caller keeps ``means`` from episode to episode: a constant table is written once.

    constant                     tables[0]
    periodic (period, offset)    tables[(k + offset) // period  mod M]
    phases (ratio)               tables[floor(log(k + 1) / log(ratio))  mod M]
    drifting (period)            1/2 + (tables[0] - 1/2) * cos(2 pi k / period)
    anti_greedy (episodes)       1 on the likeliest action (ties: lowest index), 0 elsewhere; tables[0] from that episode on
    block (length, seed)         per block, step and state a fair bit x: loss x for action 0, 1 - x for the others
    """
    H, S, A = means.shape
    if schedule == CONSTANT and k > 0:
        return
    if schedule == DRIFTING:
        swing = math.cos(2 * math.pi * k / parameters[0])
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    means[h, s, a] = 0.5 + (tables[0, h, s, a] - 0.5) * swing
    elif schedule == ANTI_GREEDY and k < parameters[0]:
        for h in range(H):
            for s in range(S):
                likeliest = 0
                for a in range(A):
                    means[h, s, a] = 0.0
                    if policy[h, s, a] > policy[h, s, likeliest]:
                        likeliest = a
                means[h, s, likeliest] = 1.0
    elif schedule == BLOCK:
        block = k // int(parameters[0])
        for h in range(H):
            for s in range(S):
                bit = coin(int(parameters[1]), (block * H + h) * S + s)
                for a in range(A):
                    means[h, s, a] = bit if a == 0 else 1 - bit
    else:
        index = 0
        if schedule == PERIODIC:
            index = (k + int(parameters[1])) // int(parameters[0])
        elif schedule == PHASES:
            index = math.floor(math.log(k + 1.0) / math.log(parameters[0]) + 1e-12)
        table = tables[index % len(tables)]
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    means[h, s, a] = table[h, s, a]


@njit
def coin(seed, counter):
    """A fair bit that depends on (seed, counter) alone: an oblivious adversary's coin (SplitMix64, Steele, Lea, Flood 2014)."""
    z = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + np.uint64(counter + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int((z ^ (z >> np.uint64(31))) >> np.uint64(63))


if config.DISABLE_JIT:
    coin = np.errstate(over="ignore")(coin)  # the products wrap around on purpose; only NumPy's scalars warn of it
