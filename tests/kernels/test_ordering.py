"""The allocation-free sort is NumPy's stable one."""

import numpy as np
import pytest

from tabular_rl.kernels.ordering import argsort


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 33, 64, 100, 257, 1000])
def test_argsort_is_stable(n):
    for seed in range(5):
        rng = np.random.default_rng([n, seed])
        keys = rng.integers(0, n // 2 + 1, n).astype(float) if seed % 2 else rng.normal(size=n)
        order, spare = np.full(n + 3, -1), np.empty(n, np.int64)
        argsort(keys, n, order, spare)
        np.testing.assert_array_equal(order[:n], np.argsort(keys, kind="stable"))
        assert (order[n:] == -1).all()
