"""Sweeps over discounted models against plain NumPy, dense and CSR, with and without eliminated actions."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tabular_rl.kernels.discounted import sweeps as kernels

SHAPES = [(1, 1), (1, 4), (5, 1), (6, 3), (20, 4)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def model(shape, style="zeros"):
    rng = np.random.default_rng([*shape, len(style)])
    S, A = shape
    P = rng.random((S, A, S)) * (rng.random((S, A, S)) < 0.4)
    P[..., 0] += P.sum(axis=-1) == 0
    if style == "points":
        P = np.eye(S)[rng.integers(S, size=(S, A))]
    return P / P.sum(axis=-1, keepdims=True), rng.normal(size=shape), rng.normal(size=S)


def csr(P):
    matrix = csr_array(P.reshape(-1, P.shape[-1]))
    return matrix.data, matrix.indices.astype(np.uint32), matrix.indptr.astype(np.int32)


def both(P):
    """(improve with its model bound, ...) for the dense and for the sparse form."""
    return [
        lambda *rest: kernels.improve_dense(P, *rest),
        lambda *rest: kernels.improve_sparse(*csr(P), *rest),
    ]


@shapes
@pytest.mark.parametrize("style", ["zeros", "points"])
@pytest.mark.parametrize("discount", [0.01, 0.999])
def test_a_sweep_is_a_bellman_backup(shape, style, discount):
    P, reward, values = model(shape, style)
    for scale in (1.0, 1e8, 0.0):
        expected = scale * reward + discount * np.einsum("sat,t->sa", P, values)
        for improve in both(P):
            q_values, improved, actions = np.zeros(shape), np.empty(shape[0]), np.empty(shape[0], np.int64)
            low, high = improve(scale * reward, discount, values, np.inf, q_values, improved, actions)
            np.testing.assert_allclose(q_values, expected, rtol=1e-13, atol=1e-14)
            np.testing.assert_array_equal(improved, q_values.max(axis=1))
            np.testing.assert_array_equal(actions, q_values.argmax(axis=1))
            assert (low, high) == ((improved - values).min(), (improved - values).max())


@shapes
def test_actions_far_below_the_best_are_skipped_for_good(shape):
    P, reward, values = model(shape)
    before = np.random.default_rng(0).random(shape)
    kept = before.max(axis=1, keepdims=True) - before <= 0.3
    expected = np.where(kept, reward + 0.9 * np.einsum("sat,t->sa", P, values), -np.inf)
    for improve in both(P):
        q_values, improved, actions = before.copy(), np.empty(shape[0]), np.empty(shape[0], np.int64)
        improve(reward, 0.9, values, 0.3, q_values, improved, actions)
        np.testing.assert_allclose(q_values, expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_array_equal(actions, expected.argmax(axis=1))
        improve(reward, 0.9, values, 1e9, q_values, improved, actions)
        np.testing.assert_array_equal(q_values == -np.inf, ~kept)


def test_ties_go_to_the_lowest_action():
    P, reward = np.full((2, 3, 2), 0.5), np.array([[0.0, 1, 1], [2, 2, 2]])
    for improve in both(P):
        actions = np.empty(2, np.int64)
        improve(reward, 0.5, np.zeros(2), np.inf, np.zeros((2, 3)), np.empty(2), actions)
        assert actions.tolist() == [1, 0]


@shapes
def test_the_rows_of_a_policy_are_its_rows(shape):
    P, reward, _ = model(shape)
    S = shape[0]
    actions = np.random.default_rng(1).integers(shape[1], size=S)
    out = np.empty(P.size), np.empty(P.size, np.uint32), np.empty(S + 1, np.int64), np.empty(S)
    kernels.rows_of_policy(*csr(P), reward, actions, *out)
    data, indices, indptr, out_reward = out
    used = indptr[-1]
    matrix = csr_array((data[:used], indices[:used], indptr), shape=(S, S)).toarray()
    np.testing.assert_array_equal(matrix, P[np.arange(S), actions])
    np.testing.assert_array_equal(out_reward, reward[np.arange(S), actions])


@shapes
def test_padded_rows_are_the_same_rows(shape):
    P, reward, _ = model(shape)
    S = shape[0]
    actions, width = np.random.default_rng(1).integers(shape[1], size=S), S + 2
    data, indices, out_reward = np.empty((S, width)), np.empty((S, width), np.uint32), np.empty(S)
    kernels.padded_rows_of_policy(*csr(P), reward, actions, data, indices, out_reward)
    matrix = np.zeros((S, S))
    np.add.at(matrix, (np.arange(S)[:, None], indices), data)
    np.testing.assert_array_equal(matrix, P[np.arange(S), actions])
    np.testing.assert_array_equal(out_reward, reward[np.arange(S), actions])


@pytest.mark.parametrize("width", kernels.WIDTHS)
def test_padded_sweeps_are_sweeps(width):
    S, discount, rng = 20, 0.9, np.random.default_rng(width)
    data, indices, reward = rng.dirichlet(np.ones(width), S), rng.integers(S, size=(S, width)).astype(np.uint32), rng.random(S)
    P = np.zeros((S, S))
    np.add.at(P, (np.arange(S)[:, None], indices), data)
    values, start = np.zeros(S), rng.random(S)
    values[:] = start
    assert kernels.evaluate_padded(data, indices, reward, discount, values, np.empty(S), 0.0, 3) == 3
    now = start
    for _ in range(3):
        now, before = reward + discount * P @ now, now
    middle = 0.5 * ((now - before).min() + (now - before).max())
    np.testing.assert_allclose(values, now + discount / (1 - discount) * middle, rtol=1e-12)
    kernels.evaluate_padded(data, indices, reward, discount, values, np.empty(S), 1e-13, 10_000)
    np.testing.assert_allclose(values, np.linalg.solve(np.eye(S) - discount * P, reward), rtol=1e-10)


def evaluate_both(P, reward, discount, actions, values, target, sweeps):
    """[(values, sweeps done)] of the dense and of the sparse evaluation."""
    S, one, two = np.arange(len(P)), values.copy(), values.copy()
    rows = csr(P[S, actions][:, None])
    yield one, kernels.evaluate_dense(P, reward, discount, actions, one, np.empty(len(P)), target, sweeps)
    done = kernels.evaluate_sparse(*rows, reward[S, actions], discount, two, np.empty(len(P)), target, sweeps)
    yield two, done


@shapes
@pytest.mark.parametrize("discount", [0.01, 0.9])
def test_evaluation_tends_to_the_linear_solve(shape, discount):
    P, reward, values = model(shape)
    S = shape[0]
    actions = np.random.default_rng(2).integers(shape[1], size=S)
    exact = np.linalg.solve(np.eye(S) - discount * P[np.arange(S), actions], reward[np.arange(S), actions])
    for result, _ in evaluate_both(P, reward, discount, actions, values, 1e-13, 1000):
        np.testing.assert_allclose(result, exact, atol=1e-11)


@pytest.mark.parametrize("sweeps", [1, 2, 3])
def test_evaluation_stops_at_its_limit_and_corrects_by_the_mid_point(sweeps):
    P, reward, values = model((6, 3))
    actions = np.zeros(6, np.int64)
    now = values
    for _ in range(sweeps):
        before, now = now, reward[:, 0] + 0.9 * P[:, 0] @ now
    change = now - before
    expected = now + 0.9 / (1 - 0.9) * (change.min() + change.max()) / 2
    for result, done in evaluate_both(P, reward, 0.9, actions, values, 0.0, sweeps):
        assert done == sweeps
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_evaluation_stops_when_the_change_is_a_constant():
    P, reward = np.full((3, 2, 3), 1 / 3), np.ones((3, 2))
    for result, done in evaluate_both(P, reward, 0.999, np.zeros(3, np.int64), np.zeros(3), 1e-15, 100):
        assert done == 1
        np.testing.assert_allclose(result, 1000)
