"""Where cells run: threads (compiled loops release the interpreter lock), processes, or a Dask cluster. The numbers are the same."""

from tabular_rl.models import validation as check

BACKENDS = ("threads", "processes", "dask")


def execute(cells, jobs, backend):
    """Run ``cells``, ``jobs`` at a time, and yield (cell, trace) as they finish, in any order."""
    check.choice("backend", backend, BACKENDS)
    if not cells:
        return
    finished = _on_dask(cells, jobs) if backend == "dask" else _on_this_machine(cells, jobs, backend)
    for index, trace in finished:
        yield cells[index], trace


def _on_this_machine(cells, jobs, backend):
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=jobs, backend={"threads": "threading", "processes": "loky"}[backend], return_as="generator_unordered")
    yield from parallel(delayed(_run)(index, cell) for index, cell in enumerate(cells))


def _on_dask(cells, jobs):
    """On the cluster at ``DASK_SCHEDULER_ADDRESS``, or on one of ``jobs`` processes started here."""
    import dask
    from distributed import Client, as_completed

    local = {} if dask.config.get("scheduler-address", None) else {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**local) as client:
        for future in as_completed(client.map(_run, range(len(cells)), cells, pure=False)):
            yield future.result()


def _run(index, cell):
    try:
        return index, cell.run()
    except Exception as error:
        error.add_note(f"in the cell {cell}")
        raise
