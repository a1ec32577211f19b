"""Compressing a dense kernel, against NumPy."""

import numpy as np
import pytest

from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import compression


@pytest.mark.parametrize("moves", [False, True])
def test_compression_keeps_what_is_not_zero(moves):
    rng = np.random.default_rng(0)
    flat, cost = rng.random((12, 7)) * (rng.random((12, 7)) < 0.4), rng.random((12, 7))
    counts, sums = np.empty(12, np.int64), np.empty(12)
    entries = compression.measure(flat, counts, sums)
    np.testing.assert_array_equal(counts, np.count_nonzero(flat, axis=1))
    np.testing.assert_allclose(sums, flat.sum(axis=1), rtol=1e-14)
    assert entries == np.count_nonzero(flat)
    successor, nominal, of_moves = np.empty(entries, np.uint32), np.empty(entries), np.empty(entries if moves else 0)
    compression.compress(flat, cost if moves else flat, successor, nominal, of_moves)
    places = np.nonzero(flat)
    np.testing.assert_array_equal(successor, places[1])
    np.testing.assert_array_equal(nominal, flat[places])
    np.testing.assert_array_equal(of_moves, cost[places] if moves else [])


def test_only_sets_that_look_at_places_are_told_them():
    kernel = np.full((2, 1, 2), 0.5)
    asked = []

    class Curious(sets.L1):
        def table(self, row, successor, pointer):
            asked.append(row)
            return super().table(row, successor, pointer)

    sets.rows(kernel, np.zeros((2, 1)), Curious(0.1))
    assert asked == [None]
    assert sets.rows(kernel, np.zeros((2, 1)), sets.WeightedL1([1.0, 2.0], 0.1)).table.tolist() == [[1, 2, 1, 2]]
