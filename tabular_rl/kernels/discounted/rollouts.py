"""Rollouts of discounted MDPs with random stopping, and their importance-weighted returns (lpo spec, sections 1, 2 and 7).

``accept``, ``alias`` [S*A, S] are alias tables of the transition, ``start`` [S] cumulated start probabilities; ``policy`` and ``known``
[S, A]. With ``terminal`` a rollout also ends at the first pair that is not known.
"""

from typing import Any, NamedTuple

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import draw

LARGEST = 1e100  # return that importance weights may make; sums of such returns are finite, and far above any value


class World(NamedTuple):
    """A model to be sampled: alias tables [S*A, S], cumulated start probabilities [S], reward [S, A], discount."""

    accept: Any
    alias: Any
    start: Any
    reward: Any
    discount: Any


class Rollouts(NamedTuple):
    """Room for M rollouts of at most L pairs after the first, as ``collect`` fills it."""

    first: Any
    pairs: Any
    lengths: Any
    ended: Any


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
def collect(
    accept, alias, start, discount, policies, knowns, cumulated, policy, known, wanted, terminal, rng, first, pairs, lengths, ended
):  # fmt: skip
    """One rollout per row of ``pairs`` [M, L]: roll in by the cover to ``first``, then follow ``policy``; returns the pairs played.

    The cover draws epoch i with weight of ``cumulated``, then one of its iterates ``policies[i, t]`` [E, T, S, A]. ``first`` [M] and
    ``pairs`` hold s A + a, ``lengths`` [M] how many pairs follow the first, ``ended`` [M] whether the last of them is not known. Where the
    first state is not ``wanted`` [S] the rollout ends there, and ``first`` is -1.
    """
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
def weighted_returns(first, pairs, lengths, ended, ratio, reward, paid, lump, sums, counts):
    """Sums and counts [S*A] by first pair of G = reward(first) + sum_j (ratio of pairs 1 .. j) x_j, per-decision importance weights.

    ``ratio`` [S*A] is the new policy over the one that was followed, ``paid`` [S*A] reward and bonus, ``lump`` for a last unknown pair.
    A return beyond ``LARGEST`` is cut there.
    """
    sums[:], counts[:] = 0.0, 0.0
    for m in range(len(first)):
        if first[m] < 0:
            continue
        G, weight, last = reward[first[m]], 1.0, lengths[m] - 1
        for j in range(lengths[m]):
            pair = pairs[m, j]
            weight *= ratio[pair]
            G += weight * (lump if ended[m] and j == last else paid[pair])
        sums[first[m]] += G if G <= LARGEST else LARGEST  # weights may have gone through infinity to NaN
        counts[first[m]] += 1.0
