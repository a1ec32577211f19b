"""Delays of feedback: when the losses of an episode are observed, and in what order.

``delayed(world, delays)`` is the problem; ``delays`` is one of the processes below, or an array. Episode k is observed at the end of
episode k + d[k], and never if d[k] = -1. All processes are oblivious: drawn before the run from a seed of their own.

Source: dapo spec, sections 1 (delivery order, effective delays) and 7.1 (processes).
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.models.playable import Playable

NEVER = -1
LONGEST = 2**61  # of the delays that a process draws: sums of two fit into int64
KINDS = ("none", "fixed", "uniform", "geometric", "pareto", "giant", "blackout", "missing")


@dataclass(frozen=True)
class Delays:
    """A delay process; build one with the functions of this module.

    ``mean`` is the average delay it aims at (the probability of a loss for "missing"), ``threshold``: longer delays never arrive.
    """

    kind: str = "none"
    mean: float = 0.0
    seed: int = 0
    threshold: int | None = None

    def __post_init__(self):
        check.choice("kind", self.kind, KINDS)
        check.number("mean", self.mean, at_least=0, at_most=1 if self.kind == "missing" else LONGEST)
        check.integer("seed", self.seed, 0, None)
        if self.threshold is not None:
            check.integer("threshold", self.threshold, 0)

    def sequence(self, n):
        """d [n] int64: the delays of n episodes, NEVER where nothing arrives."""
        d = self._draw(check.integer("n", n, 1)).astype(np.int64)
        return d if self.threshold is None else np.where(d > self.threshold, NEVER, d)

    def _draw(self, n):
        rng, mean, k = np.random.default_rng(self.seed), self.mean, np.arange(n)
        if self.kind == "fixed":
            return np.full(n, round(mean))
        if self.kind == "uniform":
            return rng.integers(0, 2 * round(mean) + 1, n)
        if self.kind == "geometric":
            return rng.geometric(1 / (1 + mean), n) - 1
        if self.kind == "pareto":
            return np.minimum(np.floor(mean / 3 * (rng.pareto(1.5, n) + 1)), n)
        if self.kind == "giant":
            return np.where(k == 0, n - 1, 0)
        if self.kind == "blackout":
            start, length = n // 4, min(int(math.sqrt(2 * mean * n)), n // 2)
            return np.where((k >= start) & (k < start + length), start + length - k, 0)
        if self.kind == "missing":
            return np.where(rng.random(n) < mean, NEVER, 0)
        return np.zeros(n)


def none():
    """Feedback at the end of each episode: the usual protocol."""
    return Delays()


def fixed(delay):
    """Every delay is ``delay``."""
    return Delays("fixed", check.integer("delay", delay, 0, LONGEST))


def uniform(mean, seed=0):
    """Whole numbers from 0 to 2 ``mean``, each as likely."""
    return Delays("uniform", check.integer("mean", mean, 0), seed)


def geometric(mean, seed=0):
    """Geometric delays: each episode the feedback arrives with the same probability."""
    return Delays("geometric", mean, seed)


def pareto(mean, seed=0):
    """Heavy tails: min(floor(mean / 3 * Pareto(1.5)), K), of about this mean and of infinite variance."""
    return Delays("pareto", mean, seed)


def giant():
    """The first episode is observed at the very end, all others at once."""
    return Delays("giant")


def blackout(mean):
    """A window of about sqrt(2 mean K) episodes from K / 4 on, all observed at its end: the total delay is about ``mean`` K."""
    return Delays("blackout", mean)


def missing(probability, seed=0):
    """With this probability an episode is never observed."""
    return Delays("missing", probability, seed)


def skip(delays, threshold):
    """``delays``, but what takes longer than ``threshold`` never arrives."""
    check.quack("delays", delays, "sequence", "a delay process")
    return Delays(delays.kind, delays.mean, delays.seed, check.integer("threshold", threshold, 0))


@dataclass(frozen=True, eq=False)
class DelayedMDP(Playable):
    """An AdversarialMDP whose feedback is late.

    ``delays``: a process, or an array [K] of whole numbers >= 0, and -1 for what never arrives; an array fixes the number of episodes.
    """

    world: AdversarialMDP
    delays: Any

    made_of = (AdversarialMDP, FiniteHorizonMDP)

    def __post_init__(self):
        object.__setattr__(self, "world", AdversarialMDP.of(self.world, "world"))
        if not isinstance(self.delays, Delays):
            object.__setattr__(self, "delays", check.frozen(_checked(self.delays), self.delays))

    @classmethod
    def convert(cls, problem):
        """The problem without delays."""
        return cls(problem, none())

    shape = property(lambda self: self.world.shape)

    def schedule(self, n):
        """The Schedule of a run of ``n`` episodes."""
        if isinstance(self.delays, Delays):
            return schedule(self.delays.sequence(n))
        if len(self.delays) != n:
            raise ValueError(f"delays must have one entry per episode, got {len(self.delays)} for {n} episodes")
        return schedule(self.delays)

    def __repr__(self):
        delays = self.delays if isinstance(self.delays, Delays) else f"{len(self.delays)} given delays"
        return f"DelayedMDP({self.world!r}, {delays})"


def delayed(world, delays):
    """The problem ``world`` (an AdversarialMDP, or a FiniteHorizonMDP with losses 1 - reward) with ``delays``: a process or an array."""
    return DelayedMDP(world, delays)


class Schedule(NamedTuple):
    """Which episode is observed when, in a run of K episodes.

    ``effective`` [K]: d~[k] = min(d[k], K - 1 - k), and K - 1 - k for what never arrives: it would come too late to matter; ``arrival``
    [K] = k + d~[k]. At the end of episode t the feedback of ``order[pointer[t] : pointer[t + 1]]`` arrives, earlier episodes first.
    ``total``: D = sum d[k], with K - 1 - k for what never arrives; ``effective_total``: D~ = sum d~[k].
    """

    effective: np.ndarray
    arrival: np.ndarray
    order: np.ndarray
    pointer: np.ndarray
    total: int
    effective_total: int

    @property
    def within_batches(self):
        """D_in: pairs that arrive together, sum_t n_t (n_t - 1) / 2."""
        n = np.diff(self.pointer)
        return int(np.sum(n * (n - 1) // 2))


def schedule(delays):
    """The Schedule of delays d [K]."""
    d = _checked(delays)
    K = len(d)
    left = K - 1 - np.arange(K)
    effective = np.where(d == NEVER, left, np.minimum(d, left))
    arrival = np.arange(K) + effective
    order = np.lexsort((np.arange(K), arrival))
    pointer = np.searchsorted(arrival[order], np.arange(K + 1))
    return Schedule(effective, arrival, order, pointer, _total(np.where(d == NEVER, left, d)), int(effective.sum()))


def _total(delays):
    """The sum of delays below 2^63 as a Python int: the upper and lower halves of their digits are summed apart, so that none wraps."""
    return (int(np.sum(delays >> 32)) << 32) + int(np.sum(delays & (2**32 - 1)))


def _checked(delays):
    array = check.unmasked("delays", delays)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"delays must have shape [K], one per episode, got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"delays must be whole numbers, got dtype {array.dtype}")
    if (array < NEVER).any():
        index = check.first_index(array < NEVER)
        raise ValueError(f"delays{list(index)} is {array[index]}, expected a delay >= 0, or -1 for never")
    if array.max() > np.iinfo(np.int64).max:
        index = check.first_index(array > np.iinfo(np.int64).max)
        raise ValueError(f"delays{list(index)} is {array[index]}, expected at most 2**63 - 1 (-1 for never)")
    return array.astype(np.int64)
