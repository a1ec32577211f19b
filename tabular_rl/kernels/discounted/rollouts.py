"""Rollouts of discounted MDPs with random stopping, and their importance-weighted returns (lpo spec, sections 1, 2 and 7).

``accept``, ``alias`` [S*A, S] are alias tables of the transition, ``start`` [S] cumulated start probabilities; ``policy`` and ``known``
[S, A]. With ``terminal`` a rollout also ends at the first pair that is not known.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import draw
from tabular_rl.kernels.sampling import alias_tables

LARGEST = 1e100  # return that importance weights may make; sums of such returns are finite, and far above any value


class World(NamedTuple):
    """A model to be sampled: alias tables [S*A, S], cumulated start probabilities [S], reward [S, A], discount.

    The reward is -inf where the state lacks the action.
    """

    accept: Any
    alias: Any
    start: Any
    reward: Any
    discount: Any


class Cover(NamedTuple):
    """What rollouts roll in by: epoch i with weight ``cumulated`` [E], then one of its ``policies`` [E, T, S, A]; ``knowns`` [E, S, A]."""

    policies: Any
    knowns: Any
    cumulated: Any


class Rollouts(NamedTuple):
    """M rollouts of at most L pairs s A + a after the first.

    ``first`` [M] (-1: the rollout teaches nothing), ``pairs`` [M, L], ``lengths`` [M] how many pairs follow the first, ``ended`` [M]
    whether the last of them is not known.
    """

    first: Any
    pairs: Any
    lengths: Any
    ended: Any


def world_of(problem):
    """The World of a DiscountedMDP with a dense transition."""
    S, A = problem.shape
    accept, alias = alias_tables(problem.transition.reshape(S * A, S))
    return World(accept, alias, np.cumsum(problem.initial), problem.barred_reward.copy(), problem.discount)


def room_for(rollouts, length):
    """Rollouts that ``collect`` fills: ``rollouts`` of at most ``length`` pairs after the first."""
    return Rollouts(np.empty(rollouts, np.int64), np.empty((rollouts, length), np.int32), np.empty(rollouts, np.int64),
                    np.empty(rollouts, bool))  # fmt: skip


@njit
def pick_cumulated(cumulated, rng):
    """An index i with probability proportional to cumulated[i] - cumulated[i - 1]."""
    u = rng.random() * cumulated[-1]
    low, high = 0, len(cumulated) - 1
    while low < high:
        middle = (low + high) // 2
        if cumulated[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@njit
def successor(accept, alias, row, rng):
    """The next state after the pair ``row`` = s A + a."""
    u = rng.random() * accept.shape[1]
    t = int(u)
    return alias[row, t] if u - t >= accept[row, t] else t


@njit
def roll_in(accept, alias, start, discount, policy, known, terminal, rng):
    """(s, a, pairs played): the pair at which a rollout stops, with probability 1 - discount after each pair: a draw of the occupancy."""
    A = policy.shape[1]
    s, played = pick_cumulated(start, rng), 0
    while True:
        a = draw(policy[s], rng)
        played += 1
        if (terminal and not known[s, a]) or rng.random() >= discount:
            return s, a, played
        s = successor(accept, alias, s * A + a, rng)


@njit
def collect(world, cover, policy, known, wanted, terminal, rollouts, rng):
    """Fill ``rollouts``: each rolls in by the ``cover`` to its first pair, then follows ``policy``; returns the pairs played.

    Where the first state is not ``wanted`` [S] the rollout ends there, and ``first`` is -1.
    """
    accept, alias, start, _, discount = world
    policies, knowns, cumulated = cover
    first, pairs, lengths, ended = rollouts
    A, total = policy.shape[1], 0
    for m in range(len(first)):
        epoch = pick_cumulated(cumulated, rng)
        iterate = int(rng.random() * policies.shape[1])
        s, a, played = roll_in(accept, alias, start, discount, policies[epoch, iterate], knowns[epoch], terminal, rng)
        first[m], lengths[m], ended[m], total = s * A + a, 0, False, total + played
        if not wanted[s]:
            first[m] = -1
            continue
        while lengths[m] < pairs.shape[1] and rng.random() < discount:
            s = successor(accept, alias, s * A + a, rng)
            a = draw(policy[s], rng)
            pairs[m, lengths[m]] = s * A + a
            lengths[m] += 1
            total += 1
            if terminal and not known[s, a]:
                ended[m] = True
                break
    return total


@njit
def weighted_return(reward, pairs, ended, ratio, paid, lump):
    """G = ``reward`` + sum_j (ratio of pairs 1 .. j) x_j of one rollout, x_j what pair j pays: per-decision importance weights.

    ``ratio`` [S*A] is the new policy over the one that was followed, ``paid`` [S*A] reward and bonus; ``lump`` is what the last pair is
    worth if the rollout ``ended`` at one that is not known.

    >>> import numpy as np
    >>> ratio, paid = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    >>> weighted_return(1.0, np.array([1, 0, 1]), False, ratio, paid, 10.0)  # 1 + 2 * 3 + 2 * 0.5 * 1 + 2 * 0.5 * 2 * 3
    14.0
    >>> weighted_return(1.0, np.array([1, 0, 1]), True, ratio, paid, 10.0)  # the last pair is worth 10
    28.0
    """
    G, weight, last = reward, 1.0, len(pairs) - 1
    for j in range(len(pairs)):
        weight *= ratio[pairs[j]]
        G += weight * (lump if ended and j == last else paid[pairs[j]])
    return G


@njit
def weighted_returns(rollouts, ratio, reward, paid, lump, sums, counts):
    """``sums`` and ``counts`` [S*A] by first pair of the ``weighted_return`` of every rollout; ``reward`` [S*A] is that of first pairs.

    A return beyond ``LARGEST`` is cut there.
    """
    first, pairs, lengths, ended = rollouts
    for pair in range(len(sums)):
        sums[pair], counts[pair] = 0.0, 0.0
    for m in range(len(first)):
        if first[m] < 0:
            continue
        G = weighted_return(reward[first[m]], pairs[m, : lengths[m]], ended[m], ratio, paid, lump)
        sums[first[m]] += G if G <= LARGEST else LARGEST  # weights may have gone through infinity to NaN
        counts[first[m]] += 1.0
