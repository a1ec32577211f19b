"""A cell: one algorithm on one problem with one seed, and the hash of everything that its numbers depend on."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

# What a run can reach: an edit there makes other numbers possible, so that stored ones are not used again.
REACHABLE = ("algorithms", "ambiguity", "kernels", "models", "planning", "submodular", "delays.py", "losses.py")


@dataclass(frozen=True)
class Cell:
    """One run: ``algorithm.run(problem, n, seed)``.

    ``labels`` (experiment, problem's name, algorithm's name, replicate) alone determine the seed, never a worker's number or the clock.
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
    def description(self):
        """What defines the cell, as JSON can hold it; arrays stand there as hashes."""
        return {
            "labels": list(self.labels),
            "problem": describe(self.problem),
            "algorithm": describe(self.algorithm),
            "n": self.n,
            "code": code_version(),
        }

    @cached_property
    def key(self):
        """32 hexadecimal digits that name the cell."""
        return hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()[:32]

    def run(self):
        """The cell's Trace."""
        return self.algorithm.run(self.problem, self.n, seed=self.seed)

    def __str__(self):
        experiment, problem, algorithm, replicate = self.labels
        return f"{experiment}: {algorithm} on {problem}, replicate {replicate}"


def describe(value):
    """``value`` as JSON can hold it, the same in every process: a dataclass by its class and fields, an array by its hash.

    Raises
    ------
    TypeError
        For values whose numbers cannot be told apart in this way (functions, arbitrary objects).
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating | np.integer):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(_without_repetition(value)).data)
        return [str(value.dtype), list(value.shape), digest.hexdigest()]
    if hasattr(value, "tocsr"):
        matrix = value.tocsr()
        return [describe(part) for part in (matrix.data, matrix.indices, matrix.indptr)]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if is_dataclass(value):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"class": kind} | {field.name: describe(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"a cell is named by its contents, and a {type(value).__name__} has none that can be hashed: {value!r}")


@cache
def code_version():
    """Hash of the source files that a run can reach, and of the libraries that its numbers come from."""
    import numba

    digest = hashlib.sha256(f"numpy {np.__version__}, numba {numba.__version__}".encode())
    root = Path(__file__).parents[1]
    for path in sorted(path for name in REACHABLE for path in ((root / name).rglob("*.py") if (root / name).is_dir() else [root / name])):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _without_repetition(array):
    """One step of a stationary table stands for all (the shape is hashed beside it)."""
    return array[:1] if array.ndim and array.strides[0] == 0 else array
