"""A cell: one algorithm on one problem with one seed, and the hash of everything that its numbers depend on."""

import enum
import hashlib
import inspect
import json
import sys
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from tabular_rl.algorithms.trace import Trace
from tabular_rl.experiments import imports
from tabular_rl.experiments.sources import PLAIN, array_digest, is_cached, public_name, sources
from tabular_rl.models import validation as check


@dataclass(frozen=True)
class Cell:
    """One run: ``algorithm.run(problem, n, seed)``.

    ``labels`` (experiment, problem's name, algorithm's name, replicate) alone determine the seed, never a worker's number or the clock.
    ``problem`` and ``algorithm`` are dataclasses: their fields, and the source that their classes reach, are in the cell's key.
    """

    labels: tuple[str, str, str, int]
    problem: Any
    algorithm: Any
    n: int

    @property
    def seed(self):
        """The ``numpy.random.SeedSequence`` of this cell."""
        *names, replicate = self.labels
        words = np.frombuffer(hashlib.sha256(json.dumps(names).encode()).digest(), np.uint32)
        return np.random.SeedSequence([int(word) for word in words], spawn_key=(replicate,))

    @cached_property
    def classes(self):
        """Every class among the problem, the algorithm and their fields."""
        found: dict[type, None] = {}
        for part in ("problem", "algorithm"):
            describe(getattr(self, part), part, found)
        return tuple(found)

    @cached_property
    def description(self):
        """What defines the cell, as JSON can hold it; arrays stand there as hashes.

        Raises
        ------
        TypeError
            A problem or algorithm whose contents or source cannot be read, by name, with a remedy.
        """
        return {
            "labels": list(self.labels),
            "problem": describe(self.problem, "problem"),
            "algorithm": describe(self.algorithm, "algorithm"),
            "n": self.n,
            "code": code_version(),
            "sources": self.sources.digest,
        }

    @cached_property
    def sources(self):
        """The Sources that the numbers come from."""
        return sources(*self.classes)

    @cached_property
    def key(self):
        """32 hexadecimal digits that name the cell."""
        return hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()[:32]

    def run(self):
        """The cell's Trace; TypeError or ValueError when ``run`` does not return one, or not such a one."""
        name = type(self.algorithm).__name__
        check_runs(name, self.algorithm)
        return check_trace(f"{name}.run", self.algorithm.run(self.problem, self.n, seed=self.seed))

    def __str__(self):
        experiment, problem, algorithm, replicate = self.labels
        return f"{experiment}: {algorithm} on {problem}, replicate {replicate}"


RUN = "an algorithm is a dataclass with a method run(problem, n, seed) that returns a Trace"
TRACE = (
    "it returns a tabular_rl.experiments.Trace(index, series, policy): index counts finished episodes, increasing, and every series "
    "is an array of as many numbers, as in Trace(checkpoints(n), {'regret': regret}, policy)"
)


def check_runs(name, algorithm):
    """``algorithm``, whose ``run`` can be called as a cell calls it."""
    if isinstance(algorithm, type):
        raise TypeError(f"{name} must be an algorithm such as UCBVI(), got the class {algorithm.__name__}: call it")
    if not callable(getattr(algorithm, "run", None)):
        raise TypeError(f"{name} must be an algorithm such as UCBVI(), got {check.describe(algorithm)}: {RUN}")
    try:
        signature = inspect.signature(algorithm.run)
    except (TypeError, ValueError):  # compiled: nobody knows
        return algorithm
    try:
        signature.bind(None, 1, seed=None)
    except TypeError as error:
        raise TypeError(f"{name} is called as run(problem, n, seed=seed), and has run{signature}: {error}") from None
    return algorithm


def check_trace(name, trace):
    """``trace``, which must be a Trace whose index and series make a table of numbers."""
    if not isinstance(trace, Trace):
        raise TypeError(f"{name} returned {check.describe(trace)}: {TRACE}")
    if not isinstance(trace.series, dict) or not isinstance(trace.parameters, dict):
        raise TypeError(f"{name} returned a Trace whose series or parameters are not a dict: {TRACE}")
    columns = {"index": trace.index, **{f"series[{key!r}]": column for key, column in trace.series.items()}}
    for key, column in columns.items():
        array = np.asarray(column)
        if array.dtype.kind not in "biuf" or array.ndim != 1 or len(array) != np.size(trace.index) or not len(array):
            raise ValueError(
                f"{name} returned a Trace whose {key} is {check.describe(column)}, beside an index of {np.size(trace.index)}: {TRACE}"
            )
    if np.any(np.diff(np.asarray(trace.index)) <= 0):
        raise ValueError(f"{name} returned a Trace whose index does not increase: {TRACE}")
    taken = {"problem", "algorithm", "replicate", "length"}
    if clash := [key for key in (trace.index_name, *trace.series) if not isinstance(key, str) or key in taken]:
        raise ValueError(f"{name} returned a Trace with a series called {clash[0]!r}: a column of results has another text for a name")
    if trace.index_name in trace.series:
        raise ValueError(f"{name} returned a Trace with a series called {trace.index_name!r}, like its index")
    return trace


def describe(value, where="it", classes=None):
    """``value`` as JSON can hold it, the same in every process: a dataclass by its class and fields, an array by its hash.

    ``where`` says what it is; ``classes``, a dict, collects the classes of dataclasses.

    Raises
    ------
    TypeError
        For values whose numbers cannot be told apart in this way (functions, arbitrary objects).
    """
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        value = value.item()
    if isinstance(value, np.ndarray):
        return array_digest(value)
    if hasattr(value, "tocsr"):
        matrix = value.tocsr()
        return [list(matrix.shape), *(describe(part) for part in (matrix.data, matrix.indices, matrix.indptr))]
    if isinstance(value, dict):
        pairs = [[describe(key, where, classes), describe(item, f"{where}[{key!r}]", classes)] for key, item in value.items()]
        return {"dict": sorted(pairs, key=repr)}
    if isinstance(value, set | frozenset):
        return {"set": sorted((describe(item, where, classes) for item in value), key=repr)}
    if isinstance(value, list | tuple):
        return [describe(item, f"{where}[{i}]", classes) for i, item in enumerate(value)]
    kind = type(value)
    if isinstance(value, PLAIN):
        return {kind.__name__: repr(value)}
    if classes is not None and (is_dataclass(kind) or isinstance(value, enum.Enum)):
        classes[kind] = None
    if isinstance(value, enum.Enum):
        return {"class": public_name(kind), "name": value.name}
    if is_dataclass(kind):
        names = [field.name for field in fields(value)]  # and what an __init__ of its own, or somebody later, has set
        names += [name for name in getattr(value, "__dict__", ()) if name not in names and not is_cached(kind, name)]
        return {"class": public_name(kind)} | {name: describe(getattr(value, name), f"{where}.{name}", classes) for name in names}
    remedy = (
        "a field holds numbers, texts, arrays or dataclasses; a function becomes a dataclass with __call__"
        if callable(value)
        else "decorate its class with @dataclass(frozen=True) and declare what it holds as fields"
    )
    raise TypeError(f"a result is kept under all that it depends on, and {where} cannot be hashed: {check.describe(value)}; {remedy}")


@cache
def code_version():
    """Hash of the versions of Python and of the libraries that every number comes from; ``sources`` adds what one object reaches."""
    versions = [f"{top} {imports.library_version(top)}" for top in ("numpy", "numba", "scipy")]
    return hashlib.sha256(", ".join([f"python {sys.version_info[0]}.{sys.version_info[1]}", *versions]).encode()).hexdigest()[:16]
