"""An experiment gives the same numbers wherever it runs, does only what is missing, and survives interruption."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import tabular_rl as trl
from tabular_rl.algorithms import Trace
from tabular_rl.experiments import Cell, Experiment, run_cells

RIVER = trl.instances.river_swim(n=3, horizon=4)
PROBLEMS = {"stochastic": trl.losses.stochastic(RIVER), "adversary": trl.losses.anti_greedy(RIVER)}
ALGORITHMS = {"PO": trl.algorithms.DilatedBonusPO(), "UCBVI": trl.algorithms.UCBVI()}


def experiment(**changes):
    arguments = {"name": "test", "problems": PROBLEMS, "algorithms": ALGORITHMS, "episodes": 200, "replicates": 3} | changes
    return Experiment(**arguments)


@dataclass(frozen=True)
class Counted:
    """An algorithm that counts its runs, and can be told to fail."""

    fails_on: tuple = ()

    def run(self, problem, n, seed):
        CALLS.append(seed.spawn_key)
        if seed.spawn_key in self.fails_on:
            raise ArithmeticError("went wrong")
        return Trace(np.array([n]), {"regret": np.random.default_rng(seed).random(1)}, np.ones((1, 1, 1)))


CALLS: list = []


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return experiment().run(tmp_path_factory.mktemp("store"), jobs=1, progress=False)


def test_frame_has_every_cell_in_order(reference):
    cells = reference[["problem", "algorithm", "replicate"]].drop_duplicates().to_numpy().tolist()
    assert cells == [list(cell.labels[1:]) for cell in experiment().cells]
    assert list(reference.columns[:6]) == ["problem", "algorithm", "replicate", "length", "episode", "regret"]
    assert not reference.regret.isna().any()


def test_numbers_are_those_of_a_run_by_hand(reference):
    cell = experiment().cells[4]
    _, problem, algorithm, replicate = cell.labels
    trace = ALGORITHMS[algorithm].run(PROBLEMS[problem], 200, seed=cell.seed)
    rows = reference[(reference.problem == problem) & (reference.algorithm == algorithm) & (reference.replicate == replicate)]
    assert np.array_equal(rows.regret, trace["regret"])


@pytest.mark.parametrize(("backend", "jobs"), [("threads", 2), ("threads", 5), ("processes", 2), ("dask", 2)])
def test_neither_jobs_nor_backend_change_a_bit(reference, tmp_path, backend, jobs):
    frame = experiment().run(tmp_path, jobs=jobs, backend=backend, progress=False)
    pd.testing.assert_frame_equal(frame, reference, check_exact=True)


def test_cells_of_any_kind_run_together(tmp_path):
    cells = [Cell(("mixed", "river", "PO", 0), PROBLEMS["stochastic"], ALGORITHMS["PO"], n) for n in (50, 20)]
    frame = run_cells(cells, store=tmp_path, progress=False)
    assert frame.groupby("length", sort=False).episode.max().to_dict() == {50: 50, 20: 20}


def test_replicates_differ(reference):
    last = reference[(reference.episode == 200) & (reference.algorithm == "PO") & (reference.problem == "adversary")]
    assert last.regret.nunique() == 3


def test_rerun_runs_only_what_is_missing(tmp_path):
    few = experiment(algorithms={"counted": Counted()}, problems={"river": RIVER})
    more = experiment(algorithms={"counted": Counted()}, problems={"river": RIVER}, replicates=5)
    CALLS.clear()
    first = few.run(tmp_path, progress=False)
    assert sorted(CALLS) == [(0,), (1,), (2,)]
    again = more.run(tmp_path, progress=False)
    assert sorted(CALLS) == [(0,), (1,), (2,), (3,), (4,)]
    pd.testing.assert_frame_equal(again[:3], first)


def test_cells_finished_before_a_failure_are_kept(tmp_path):
    failing = experiment(algorithms={"counted": Counted(fails_on=((2,),))}, problems={"river": RIVER}, replicates=4)
    with pytest.raises(ArithmeticError) as error:
        failing.run(tmp_path, jobs=1, progress=False)
    assert "in the cell test: counted on river, replicate 2" in error.value.__notes__
    assert len(list(tmp_path.glob("*.parquet"))) == 2


SLOW = """
import sys, tabular_rl as trl
river = trl.instances.river_swim(n=6, horizon=10)
e = trl.experiments.Experiment("slow", {"river": trl.losses.stochastic(river)}, {"PO": trl.algorithms.DilatedBonusPO()}, 20_000, 40)
print("start", flush=True)
print(len(e.run(sys.argv[1], jobs=2, progress=False)))
"""


def test_interrupted_experiment_resumes(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "start\n"
    deadline = time.monotonic() + 120
    while len(kept := list(tmp_path.glob("*.parquet"))) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    assert len(kept) <= len(before) < 40
    assert not list(tmp_path.glob(".*"))
    done = subprocess.run([sys.executable, "-c", SLOW, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[1]) % 40 == 0
    assert len(list(tmp_path.glob("*.parquet"))) == 40
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


@dataclass(frozen=True)
class Returning:
    """An algorithm whose run returns what it is told to."""

    what: str

    def run(self, problem, n, seed):
        index = np.arange(1, 3)
        return {
            "nothing": None,
            "a frame": pd.DataFrame({"episode": index, "regret": index}),
            "a short series": Trace(index, {"regret": np.ones(3)}, None),
            "a matrix": Trace(index, {"regret": np.ones((2, 2))}, None),
            "texts": Trace(index, {"regret": np.array(["a", "b"])}, None),
            "an index that falls": Trace(index[::-1], {"regret": np.ones(2)}, None),
            "no index": Trace(np.zeros(0), {"regret": np.zeros(0)}, None),
            "a list of series": Trace(index, [np.ones(2)], None),
            "a label": Trace(index, {"problem": np.ones(2)}, None),
            "its index": Trace(index, {"episode": np.ones(2)}, None),
            "a number for a name": Trace(index, {1: np.ones(2)}, None),
        }[self.what]


RETURNED = {
    "nothing": "Returning.run returned NoneType.*returns a tabular_rl.experiments.Trace",
    "a frame": "Returning.run returned DataFrame.*returns a tabular_rl.experiments.Trace",
    "a short series": r"series\['regret'\] is ndarray.*beside an index of 2.*increasing",
    "a matrix": r"series\['regret'\]",
    "texts": r"series\['regret'\]",
    "an index that falls": "index does not increase",
    "no index": "index is ndarray",
    "a list of series": "not a dict",
    "a label": "a series called 'problem'",
    "its index": "'episode', like its index",
    "a number for a name": "a series called 1",
}


@pytest.mark.parametrize("what", RETURNED)
def test_what_run_returns_must_be_a_trace(tmp_path, what):
    with pytest.raises((TypeError, ValueError), match=RETURNED[what]) as error:
        experiment(algorithms={"odd": Returning(what)}, problems={"river": RIVER}, replicates=1).run(tmp_path, jobs=1, progress=False)
    assert "in the cell test: odd on river, replicate 0" in error.value.__notes__
    assert not list(tmp_path.glob("*.parquet"))


@dataclass(frozen=True)
class Told:
    """An algorithm without a seed."""

    def run(self, problem):
        return None


@dataclass(frozen=True)
class Patient:
    """Fails at once on replicate 0; the others take a while."""

    def run(self, problem, n, seed):
        if seed.spawn_key == (0,):
            raise ArithmeticError("went wrong")
        time.sleep(0.5)
        return Trace(np.array([n]), {"regret": np.ones(1)}, np.ones((1, 1, 1)))


def test_a_cell_that_fails_does_not_lose_its_neighbors(tmp_path):
    failing = experiment(algorithms={"patient": Patient()}, problems={"river": RIVER}, replicates=12)
    with pytest.raises(ArithmeticError, match="went wrong") as error:
        failing.run(tmp_path, jobs=2, progress=False)
    assert "in the cell test: patient on river, replicate 0" in error.value.__notes__
    assert 1 <= len(list(tmp_path.glob("*.parquet"))) < 11  # those that ran beside it, and not all others


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        (
            {"algorithms": {"function": len}},
            TypeError,
            r"algorithms\['function'\] must be an algorithm such as UCBVI.*run\(problem, n, seed\)",
        ),
        (
            {"algorithms": {"told": Told()}},
            TypeError,
            r"algorithms\['told'\] is called as run\(problem, n, seed=seed\), and has run\(problem\)",
        ),
        ({"problems": {"table": {0: {0: [(1.0, 0, 0.0, False)]}, 1: lambda: 0}}}, TypeError, r"problems\['table'\]\[1\] cannot be hashed"),
        ({"episodes": 0}, ValueError, "episodes must be at least 1"),
        ({"replicates": 1.5}, TypeError, "replicates must be an integer"),
        ({"problems": {}}, TypeError, "problems must be a dict"),
        ({"algorithms": {"a class": trl.algorithms.UCBVI}}, TypeError, "must be an algorithm such as"),
        ({"algorithms": [trl.algorithms.UCBVI()]}, TypeError, "algorithms must be a dict"),
    ],
)
def test_bad_grids_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        experiment(**changes)


def test_bad_execution_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="backend must be one of 'threads'"):
        experiment().run(tmp_path, backend="gpu")
    with pytest.raises(ValueError, match="jobs must be at least 1"):
        experiment().run(tmp_path, jobs=0)
    monkeypatch.setenv("TABULAR_RL_JOBS", "many")
    with pytest.raises(ValueError, match="TABULAR_RL_JOBS must be a number"):
        experiment().run(tmp_path)


def test_settings_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TABULAR_RL_STORE", str(tmp_path / "here"))
    monkeypatch.setenv("TABULAR_RL_JOBS", "1")
    experiment(episodes=5).run(progress=False)
    assert len(os.listdir(tmp_path / "here")) == len(experiment().cells)
