"""The store keeps finished cells whole, and never takes a wrong file for a result."""

import numpy as np
import pandas as pd
import pytest

import tabular_rl as trl
from tabular_rl.algorithms import Trace
from tabular_rl.experiments import Cell, Store

PROBLEM = trl.losses.stochastic(trl.instances.river_swim(n=3, horizon=4))
CELLS = [Cell(("store", "river", "uniform", replicate), PROBLEM, trl.algorithms.Uniform(), 10) for replicate in range(2)]
TRACE = Trace(np.array([1, 10]), {"regret": np.array([0.1, 1 / 3])}, np.ones((1, 1, 1)), {"learning_rate": 0.1})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_gives_back_what_it_was_given_bit_for_bit(store):
    assert store.load(CELLS[0]) is None
    store.save(CELLS[0], TRACE)
    pd.testing.assert_frame_equal(store.load(CELLS[0]), TRACE.to_frame(), check_exact=True)
    assert store.load(CELLS[1]) is None


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file_is_an_error_that_names_it_and_stays(store, keep):
    store.save(CELLS[0], TRACE)
    path = store.file(CELLS[0])
    content = path.read_bytes()[: int(keep * path.stat().st_size)]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        store.load(CELLS[0])
    assert path.read_bytes() == content


def test_foreign_files_are_errors(store):
    path = store.file(CELLS[0])
    pd.DataFrame({"regret": [1.0]}).to_parquet(path)
    with pytest.raises(ValueError, match="something else"):
        store.load(CELLS[0])
    store.save(CELLS[1], TRACE)
    path.write_bytes(store.file(CELLS[1]).read_bytes())
    with pytest.raises(ValueError, match="something else"):
        store.load(CELLS[0])


def test_failing_write_leaves_nothing_behind(store, monkeypatch):
    import pyarrow.parquet as pq

    def broken(table, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        store.save(CELLS[0], TRACE)
    assert list(store.path.iterdir()) == []


def test_folder_that_cannot_be_made_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file" / "results")
