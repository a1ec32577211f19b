"""Every benchmark runs, at a size that takes no time, and its rows make sense; timing itself is tested with a clock of our own."""

import numpy as np
import pytest
from rich.console import Console

from benchmarks import online, planning, process, robust, robust_linear  # noqa: F401 (each lists its benchmarks)
from benchmarks.__main__ import goal, table
from benchmarks.timing import BENCHMARKS, Goal, Row, median_interval


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_runs(name):
    rows = list(BENCHMARKS[name].rows(3, tiny=True))
    assert rows
    for row in rows:
        assert np.isfinite(row.ours).all()
        assert (row.ours >= 0).all()
        record = row.record()
        assert record["ours_min"] <= record["ours_median"] <= record["ours_max"]
        assert goal(record) or not row.goal
    console = Console(width=300, record=True)
    console.print(table(name, [row.record() for row in rows]))
    text = console.export_text()
    assert all(row.job in text and row.peer in text for row in rows)


def test_verdicts_follow_the_confidence_interval():
    ours, theirs = np.full(15, 1.0), np.linspace(1.9, 2.1, 15)
    verdict = lambda kind, goal: Row("", "s", ours, "peer", theirs, Goal(kind, goal)).verdict
    assert verdict("faster", 1.5) == "reached"
    assert verdict("faster", 2.5) == "missed"
    assert verdict("faster", 2.0) == "within noise"
    assert Row("", "s", ours, goal=Goal("value", 2)).verdict == "reached"
    assert Row("", "s", ours, goal=Goal("value", 0.5)).verdict == "missed"


def test_interval_of_the_median_covers_it():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        low, high = median_interval(rng.standard_normal(15))
        covered += low <= 0 <= high
    assert covered / 2000 > 0.94
