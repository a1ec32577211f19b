"""The harness: CPU seconds of one thread, contestants in alternating order, ratios of neighboring runs.

A shared machine drifts by tens of percent within minutes. Both sides of a ratio are therefore taken in the same second, in an order
that turns with every repeat, and a ratio is the median of those pairs. A goal is called reached or missed only if the 95 % confidence
interval of that median agrees; otherwise the row says that it is within noise.
"""

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit_sums

SAMPLE_SECONDS = 0.02  # quick functions are repeated until a sample lasts about this long
BENCHMARKS = {}  # name -> Benchmark


class Benchmark(NamedTuple):
    """``function(repeats, *size)`` gives the rows of one size; ``tiny`` sizes only show that it runs."""

    function: object
    sizes: list
    tiny: list

    def rows(self, repeats, tiny=False):
        """All rows, one after the other."""
        for size in self.tiny if tiny else self.sizes:
            yield from self.function(repeats, *size)


def benchmark(sizes, tiny):
    """Decorator: list a generator of rows under its name, with the sizes it is called with."""

    def register(function):
        BENCHMARKS[function.__name__.replace("_", "-")] = Benchmark(function, sizes, tiny)
        return function

    return register


class Goal(NamedTuple):
    """``kind``: "faster" (peer / ours is at least ``value``), "overhead" (ours / peer is at most it), "value" (so is ours)."""

    kind: str
    value: float


@dataclass(frozen=True)
class Row:
    """One job: samples of ours and of what it is compared with, [repeats] each, in ``unit``.

    ``moved`` bytes is what the job must read at least, ``plain`` the samples of reading them with nothing else to do.
    """

    job: str
    unit: str
    ours: np.ndarray
    peer: str = ""
    theirs: np.ndarray | None = None
    goal: Goal | None = None
    moved: int = 0
    plain: np.ndarray | None = None
    note: str = ""

    @property
    def ratios(self):
        """Peer / ours, pair by pair; ours / peer where the peer is a limit."""
        if self.theirs is None:
            return None
        return self.ours / self.theirs if self.goal and self.goal.kind == "overhead" else self.theirs / self.ours

    @property
    def verdict(self):
        """reached, missed, or "within noise": the confidence interval of the median holds the goal."""
        if self.goal is None:
            return ""
        kind, goal = self.goal
        samples = self.ours if kind == "value" else self.ratios
        low, high = median_interval(samples)
        if low <= goal <= high and low < high:
            return "within noise"
        return "reached" if (low >= goal) == (kind == "faster") else "missed"

    def record(self):
        """The row as a flat dict, for the table of results."""
        result = {"job": self.job, "unit": self.unit, **summary("ours", self.ours), "peer": self.peer}
        result |= summary("peer", self.theirs) | summary("ratio", self.ratios)
        result |= {"goal_kind": self.goal.kind if self.goal else "", "goal": self.goal.value if self.goal else math.nan}
        result |= {"verdict": self.verdict, "moved_bytes": self.moved, **summary("plain_read", self.plain)}
        return result | {"repeats": len(self.ours), "note": self.note}


def summary(name, samples):
    """Median, least and largest of ``samples``, NaN without any."""
    numbers = [math.nan] * 3 if samples is None else [np.median(samples), np.min(samples), np.max(samples)]
    return dict(zip((f"{name}_median", f"{name}_min", f"{name}_max"), map(float, numbers), strict=True))


def median_interval(samples, level=0.95):
    """Distribution-free confidence interval of the median: two order statistics; with fewer than six samples, least and largest."""
    n, ordered = len(samples), np.sort(samples)
    outside, cut = 0.0, 0  # Pr(at most cut - 1 of n fair coins) on either side
    while cut < (n - 1) // 2 and 2 * (outside + math.comb(n, cut) / 2**n) <= 1 - level:
        outside += math.comb(n, cut) / 2**n
        cut += 1
    cut = max(cut - 1, 0)
    return ordered[cut], ordered[n - 1 - cut]


def race(contestants, repeats):
    """CPU seconds of one call of each function of the dict ``contestants``: {name: array [repeats]}.

    The first two calls are not counted: they compile, fill caches, and tell how often a quick function is called per sample.
    """
    calls = {}
    for name, function in contestants.items():
        function()
        calls[name] = max(1, min(10_000, int(SAMPLE_SECONDS / max(cpu_seconds(function, 1), 1e-6))))
    seconds = {name: np.empty(repeats) for name in contestants}
    for repeat in range(repeats):
        for name in list(contestants)[:: 1 if repeat % 2 == 0 else -1]:
            seconds[name][repeat] = cpu_seconds(contestants[name], calls[name])
    return seconds


def cpu_seconds(function, calls):
    """CPU seconds of one of ``calls`` calls, all threads of the process together."""
    start = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - start) / calls


@njit_sums
def plain_read(array):
    """The sum of a flat array: what reading its bytes takes with nothing else to do."""
    total = 0.0
    for i in range(len(array)):
        total += array[i]
    return total
