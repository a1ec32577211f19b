"""An experiment: every algorithm meets every problem, several times; finished cells are kept and never run again."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabular_rl.experiments.cells import Cell, check_runs, describe
from tabular_rl.experiments.execution import BACKENDS, execute
from tabular_rl.experiments.store import Store
from tabular_rl.models import validation as check


@dataclass(frozen=True)
class Experiment:
    """A grid of cells.

    Parameters
    ----------
    name : str
        Part of every cell's seed: two experiments never share randomness.
    problems, algorithms : dicts
        What stands under a name meets everything in the other dict.
    episodes : int
        Length of each run, >= 1.
    replicates : int
        Independent runs of each pair, >= 1.
    """

    name: str
    problems: Mapping[str, Any]
    algorithms: Mapping[str, Any]
    episodes: int
    replicates: int = 16

    def __post_init__(self):
        for name in ("problems", "algorithms"):
            if not isinstance(getattr(self, name), Mapping) or not getattr(self, name):
                got = check.describe(getattr(self, name))
                raise TypeError(f"{name} must be a dict from names to {name}, with at least one, got {got}")
        for name, algorithm in self.algorithms.items():
            check_runs(f"algorithms[{name!r}]", algorithm)
            describe(algorithm, f"algorithms[{name!r}]")
        for name, problem in self.problems.items():
            describe(problem, f"problems[{name!r}]")
        check.integer("episodes", self.episodes, 1)
        check.integer("replicates", self.replicates, 1)

    @property
    def cells(self):
        """Every Cell, the replicates of a pair side by side."""
        return [
            Cell((self.name, problem, algorithm, replicate), self.problems[problem], self.algorithms[algorithm], self.episodes)
            for problem in self.problems
            for algorithm in self.algorithms
            for replicate in range(self.replicates)
        ]

    def run(self, store=None, **execution):
        """``run_cells`` of this grid; the keywords are those of that function."""
        return run_cells(self.cells, store, **execution)


def run_cells(cells, store=None, jobs=None, backend=None, progress=True):
    """Run the cells that ``store`` does not hold yet, and return all of them.

    Parameters
    ----------
    cells : list of Cell
        Any, of one experiment or of several.
    store : path, optional
        Folder of the results. Default: the environment's ``TABULAR_RL_STORE``, else ``results``. It may serve many experiments.
    jobs : int, optional
        Cells at a time, >= 1. Default: ``TABULAR_RL_JOBS``, else the number of cores.
    backend : str, optional
        "threads", "processes" or "dask" (the cluster at ``DASK_SCHEDULER_ADDRESS``, or a local one).
        Default: ``TABULAR_RL_BACKEND``, else "threads". Neither it nor ``jobs`` changes a number.
    progress : bool
        Show a bar with rate and time left.

    Returns
    -------
    pandas.DataFrame
        Columns ``problem``, ``algorithm``, ``replicate``, ``length`` (episodes of the run), then those of the traces (``episode``,
        ``regret``, ...), in the order of ``cells``.

    Raises
    ------
    ValueError
        A damaged or foreign file in the store, an unknown backend.
    TypeError
        A problem or an algorithm whose contents or source cannot be hashed; a ``run`` that does not return a Trace.
    OSError
        A store that cannot be written.

    When a cell fails, those that are running are finished and kept before its error is raised. Interrupt it at any time: what is
    finished is kept, and the next call goes on from there.
    """
    import pandas as pd

    store = Store(store if store is not None else os.environ.get("TABULAR_RL_STORE", "results"))
    jobs = check.integer("jobs", jobs if jobs is not None else _default_jobs(), 1)
    check.flag("progress", progress)
    backend = check.choice("backend", backend if backend is not None else os.environ.get("TABULAR_RL_BACKEND", "threads"), BACKENDS)
    frames = {cell.key: frame for cell in cells if (frame := store.load(cell)) is not None}
    missing = [cell for cell in cells if cell.key not in frames]
    with _Progress(len(cells), missing, progress) as bar:
        for cell, trace in execute(missing, jobs, backend):
            store.save(cell, trace)
            frames[cell.key] = trace.to_frame()
            bar.finish(cell)
    for cell in cells:
        _, problem, algorithm, replicate = cell.labels
        labels = {"problem": problem, "algorithm": algorithm, "replicate": replicate, "length": cell.n}
        for place, (column, value) in enumerate(labels.items()):
            frames[cell.key].insert(place, column, value)
    return pd.concat([frames[cell.key] for cell in cells], ignore_index=True)


class _Progress:
    """A line on the terminal: cells done, episodes per second, time left. Silent when nothing has to be run."""

    def __init__(self, total, missing, shown):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.done, self.total = total - len(missing), total
        kept = f", {self.done} kept" if self.done else ""
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[cells]} cells" + kept),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=Console(stderr=True), disable=not (shown and missing),
        )  # fmt: skip
        self.task = self.bar.add_task(
            missing[0].labels[0] if missing else "", total=sum(cell.n for cell in missing), cells=f"{self.done}/{total}", rate=""
        )

    def finish(self, cell):
        self.done += 1
        self.bar.update(self.task, advance=cell.n, cells=f"{self.done}/{self.total}")
        speed = self.bar.tasks[0].finished_speed or self.bar.tasks[0].speed
        self.bar.update(self.task, rate=f"{speed:,.0f} episodes/s" if speed else "")

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()


def _default_jobs():
    import joblib

    text = os.environ.get("TABULAR_RL_JOBS", "")
    if text and not text.isdecimal():
        raise ValueError(f"TABULAR_RL_JOBS must be a number of jobs, got {text!r}")
    return int(text) if text else joblib.cpu_count()
