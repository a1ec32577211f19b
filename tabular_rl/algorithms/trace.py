"""What a run leaves behind: series on a log-spaced grid of episodes, the last policy, the output, the parameters, the seed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tabular_rl.models import validation as check

__all__ = ["Trace", "checkpoints"]


@dataclass(frozen=True, eq=False)
class Trace:
    """Recorded series of one run.

    ``index`` [R] counts finished episodes (or iterations: ``index_name``); ``series`` maps names to arrays [R];
    ``trace["regret"]`` is the regret after each of them. ``policy`` is the last one that played, with nothing learned since; ``output`` is
    the policy that the algorithm recommends, where that is another one (the best iterate, the greedy policy): see its docstring.
    ``parameters`` are those in force.
    """

    index: np.ndarray
    series: dict[str, np.ndarray]
    policy: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: Any = 0
    index_name: str = "episode"
    output: Any = None

    def __post_init__(self):
        if self.output is None:
            object.__setattr__(self, "output", self.policy)

    def __getitem__(self, name):
        if name not in self.series:
            raise KeyError(f"no series {name!r} in this trace, it has {', '.join(self.series)}")
        return self.series[name]

    def to_frame(self):
        """A DataFrame with the index and one column per series."""
        import pandas as pd

        return pd.DataFrame({self.index_name: self.index, **self.series})


def checkpoints(n, per_decade=20):
    """Distinct integers from 1 to ``n``, about ``per_decade`` in each factor of ten, always with both ends."""
    n = check.integer("n", n, 1, 2**53)  # beyond, floats skip whole numbers
    grid = np.geomspace(1, n, 1 + int(np.ceil(per_decade * np.log10(n)))) if n > 1 else np.ones(1)
    return np.unique(np.append(np.round(grid), n)).astype(np.int64)
