"""Alias tables hold their distribution: summed back they give the weights, and nothing without weight is ever drawn."""

import numpy as np
import pytest

from tabular_rl.kernels.sampling import alias_tables, sample_episodes, sparse_alias_tables


def distribution_of(accept, alias):
    """What a table draws: a column with probability 1 / m, then itself or its alias."""
    m = len(accept)
    result = np.zeros(m)
    for i in range(m):
        result[i] += accept[i] / m
        result[alias[i]] += (1 - accept[i]) / m
    return result


def weights(kind, m, seed):
    rng = np.random.default_rng(seed)
    rows = {
        "smooth": rng.dirichlet(np.ones(m), 20),
        "peaked": rng.dirichlet(np.full(m, 0.02), 20),
        "points": np.eye(m)[rng.integers(m, size=20)],
        "uniform": np.full((20, m), 1 / m),
        "zeros": rng.random((20, m)) * (rng.random((20, m)) < 0.3),
        "powers": np.tile(2.0 ** -np.arange(m), (20, 1)),
    }[kind]
    rows[:, -1] += rows.sum(axis=1) == 0
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("m", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("kind", ["smooth", "peaked", "points", "uniform", "zeros", "powers"])
def test_a_table_sums_back_to_its_weights(kind, m):
    rows = weights(kind, m, m)
    for row, accept, alias in zip(rows, *alias_tables(rows), strict=True):
        np.testing.assert_allclose(distribution_of(accept, alias), row, atol=1e-15)
        assert np.all(distribution_of(accept, alias)[row == 0] == 0)
        assert accept.min() >= 0
        assert accept.max() <= 1


def test_sparse_tables_are_those_of_their_rows():
    rows = [weights(kind, m, m)[0] for m in (1, 2, 7, 64) for kind in ("smooth", "peaked", "powers")]
    pointer = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    accept, alias = sparse_alias_tables(np.concatenate(rows), pointer)
    for row, i, j in zip(rows, pointer[:-1], pointer[1:], strict=True):
        expected = alias_tables(row[None])
        np.testing.assert_array_equal([accept[i:j], alias[i:j]], [expected[0][0], expected[1][0]])


@pytest.mark.parametrize("off", [-9e-10, 9e-10])
@pytest.mark.parametrize("kind", ["smooth", "zeros", "points"])
def test_rows_that_miss_one_by_little_move_little(kind, off):
    rows = weights(kind, 9, 0) * (1 + off)
    for row, accept, alias in zip(rows, *alias_tables(rows), strict=True):
        np.testing.assert_allclose(distribution_of(accept, alias), row, atol=2e-9)
        assert np.all(distribution_of(accept, alias)[row == 0] == 0)


def episodes_twin(tables, H, A, rng):
    """One uniform number per draw: its integer part picks the column, its fraction accepts."""
    (accept, alias), (policy_accept, policy_alias), (start_accept, start_alias) = tables
    S = len(start_accept)

    def pick(accept, alias):
        fraction, column = np.modf(rng.random() * len(accept))
        return int(column) if fraction < accept[int(column)] else int(alias[int(column)])

    s, path = pick(start_accept, start_alias), []
    for h in range(H):
        a = pick(policy_accept[h, s], policy_alias[h, s])
        path.append((s, a))
        if h + 1 < H:
            s = pick(accept[h % len(accept), s * A + a], alias[h % len(accept), s * A + a])
    assert s < S
    return path


@pytest.mark.parametrize("stages", [1, 3])
def test_episodes_read_the_stream_in_order(stages):
    H, S, A, fill = 3, 4, 2, np.random.default_rng(0)
    tables = [
        [table.reshape(shape) for table in alias_tables(fill.dirichlet(np.full(shape[-1], 0.4), int(np.prod(shape[:-1]))))]
        for shape in [(stages, S * A, S), (H, S, A), (S,)]
    ]
    states, actions = np.empty((100, H), np.int32), np.empty((100, H), np.int32)
    sample_episodes(*tables[0], *tables[1], *tables[2], np.random.default_rng(5), states, actions)
    rng = np.random.default_rng(5)
    for i in range(100):
        assert list(zip(states[i], actions[i], strict=True)) == episodes_twin(tables, H, A, rng)
