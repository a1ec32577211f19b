"""Traces and the grids on which they are recorded."""

import numpy as np
import pytest

from tabular_rl.algorithms import Trace, checkpoints


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 1000, 123_457, 10**7])
@pytest.mark.parametrize("per_decade", [1, 5, 20])
def test_checkpoints_rise_from_one_to_the_end(n, per_decade):
    grid = checkpoints(n, per_decade)
    assert grid[0] == 1
    assert grid[-1] == n
    assert np.all(np.diff(grid) > 0)
    assert grid.dtype == np.int64
    assert len(grid) <= per_decade * np.log10(n) + 2


def test_checkpoints_are_dense_at_first_and_spread_by_a_factor_later():
    grid = checkpoints(10_000)
    assert grid[:8].tolist() == list(range(1, 9))
    later = grid[grid > 100]
    ratios = later[1:] / later[:-1]
    assert ratios.max() < 10 ** (1 / 20) * 1.02
    assert ratios.min() > 10 ** (1 / 20) * 0.98


def test_checkpoints_end_where_floats_are_whole_numbers():
    assert checkpoints(2**53, 1)[-1] == 2**53
    for n, shown in ((2**53 + 1, 2**53 + 1), (10**19, 10**19), (10**400, r"1000+\.\.\.0+")):  # no error prints 400 digits
        with pytest.raises(ValueError, match=f"n must be at most {2**53}, got {shown}"):
            checkpoints(n)


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-3, ValueError), (10.0, TypeError), (True, TypeError), ("10", TypeError)])
def test_checkpoints_need_a_positive_integer(n, error):
    with pytest.raises(error, match="n must be"):
        checkpoints(n)


def test_a_trace_gives_its_series_by_name():
    trace = Trace(np.array([1, 2]), {"regret": np.array([0.5, 0.7]), "loss": np.array([1.0, 2.0])}, np.ones((1, 1, 1)))
    assert trace["loss"].tolist() == [1, 2]
    with pytest.raises(KeyError, match="no series 'reward' in this trace, it has regret, loss"):
        trace["reward"]


def test_a_trace_becomes_a_tidy_frame():
    trace = Trace(np.array([1, 10]), {"regret": np.array([0.5, 0.7])}, np.ones((1, 1, 1)), index_name="iteration")
    frame = trace.to_frame()
    assert list(frame.columns) == ["iteration", "regret"]
    assert frame["iteration"].tolist() == [1, 10]
    assert frame["regret"].tolist() == [0.5, 0.7]
