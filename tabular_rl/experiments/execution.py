"""Where cells run: threads (compiled loops release the interpreter lock), processes, or a Dask cluster. The numbers are the same."""

import os
import pickle
import traceback
from itertools import islice
from typing import Any, NamedTuple

from tabular_rl.extras import extra
from tabular_rl.models import validation as check

BACKENDS = ("threads", "processes", "dask")
_LOADED: dict[str, str] = {}  # {module: digest} of what the processes that wait for work may have loaded


class Outcome(NamedTuple):
    """The ``trace`` of one cell, or the ``error`` that ended it; ``report`` is its traceback where that stays in another process."""

    place: int
    trace: Any = None
    error: Exception | None = None
    report: str = ""


def execute(cells, jobs, backend):
    """Run ``cells``, ``jobs`` at a time, and yield (cell, trace) as they finish, in any order.

    After an error no further cell is started; those that run are finished and yielded, and then the error is raised.
    """
    check.choice("backend", backend, BACKENDS)
    if not cells:
        return
    failed: list[Outcome] = []
    tasks = (task for task in _tasks(cells) if not failed)
    for outcome in _on_dask(tasks, jobs) if backend == "dask" else _on_this_machine(tasks, cells, jobs, backend):
        if outcome.error is None:
            yield cells[outcome.place], outcome.trace
        else:
            failed.append(outcome)
    if failed:
        first, *others = sorted(failed, key=lambda outcome: outcome.place)
        error: Any = first.error
        error.add_note(f"in the cell {cells[first.place]}")
        for other in others:
            error.add_note(f"also in the cell {cells[other.place]}: {type(other.error).__name__}: {other.error}")
        if first.report and error.__cause__ is None:
            error.__cause__ = RuntimeError(f"in a process at work:\n{first.report}")
        raise error


def _tasks(cells):
    for index, cell in enumerate(cells):
        yield index, cell, cell.sources, os.getpid()


def _on_this_machine(tasks, cells, jobs, backend):
    from joblib import Parallel, delayed

    if backend == "processes":
        _renew_processes({module: digest for cell in cells for module, digest in cell.sources.files.items()})
    parallel = Parallel(n_jobs=jobs, backend={"threads": "threading", "processes": "loky"}[backend], return_as="generator_unordered")
    yield from parallel(delayed(_run)(*task) for task in tasks)


def _renew_processes(files):
    """Joblib's processes wait for more work and keep what they have loaded: end them when any of it has changed.

    Also when a module of the user's is new: the path to it may be.
    """
    from joblib.externals.loky import get_reusable_executor

    known = {module: digest for module, digest in files.items() if module.startswith("tabular_rl.")} | _LOADED
    if any(known.get(module) != digest for module, digest in files.items()):
        get_reusable_executor().shutdown(wait=True)
        _LOADED.clear()
    _LOADED.update(files)


def _on_dask(tasks, jobs):
    """On the cluster at ``DASK_SCHEDULER_ADDRESS``, or on one of ``jobs`` processes started here."""
    with extra("distributed"):
        import dask
        from distributed import Client, as_completed

    local = {} if dask.config.get("scheduler-address", None) else {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**local) as client:
        ahead = 2 * max(jobs, sum(client.ncores().values()))
        running = as_completed(client.submit(_run, *task, pure=False) for task in islice(tasks, ahead))
        for future in running:
            yield future.result()
            for task in islice(tasks, 1):
                running.add(client.submit(_run, *task, pure=False))


def _run(index, cell, sources, asker):
    """The Outcome of a cell, in a process that must have loaded what the one that asks has."""
    elsewhere = os.getpid() != asker
    try:
        trace = cell.run()
        if differences := sources.differences():
            raise RuntimeError(
                f"{', '.join(differences)} {'in a process at work' if elsewhere else 'as loaded by now'} is not what the result would be "
                "kept under: a file was edited since it was loaded, or a worker has another version; reload it here, restart the workers"
            )
        return Outcome(index, trace)
    except Exception as error:
        return Outcome(index, None, _portable(error) if elsewhere else error, traceback.format_exc() if elsewhere else "")


def _portable(error):
    """The error, or what it says where it does not survive the way between processes."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
