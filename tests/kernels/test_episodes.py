"""Episodic kernels against their plain-NumPy twins, on random and degenerate arrays."""

import itertools

import numpy as np
import pytest

from tabular_rl.kernels.episodic import episodes as kernels

SHAPES = [(1, 1, 1), (1, 3, 2), (4, 1, 3), (3, 2, 1), (3, 4, 2), (2, 9, 3)]  # the last one fills the blocks of eight rows


class Case:
    """Arrays of one shape: smooth, with many zeros, or point masses; stationary transitions have one stage."""

    def __init__(self, shape, style, stages=None):
        H, S, A = shape
        rng = self.rng = np.random.default_rng([*shape, len(style)])

        def rows(*size):
            if style == "points":
                return np.eye(size[-1])[rng.integers(size[-1], size=size[:-1])]
            weights = rng.random(size)
            if style == "zeros":
                weights *= rng.random(size) < 0.4
                weights[..., 0] += weights.sum(axis=-1) == 0
            return weights / weights.sum(axis=-1, keepdims=True)

        self.P, self.policy, self.initial = rows(stages or H, S, A, S), rows(H, S, A), rows(S)
        self.loss, self.local = rng.random(shape), rng.random((H, S))
        self.full = np.broadcast_to(self.P, (H, S, A, S))
        self.shape = shape


CASES = [Case(shape, style) for shape in SHAPES for style in ("smooth", "zeros", "points")] + [Case((5, 3, 2), "smooth", 1)]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.shape}")


def occupancy_twin(case):
    result = [case.initial]
    for h in range(case.shape[0] - 1):
        result.append(np.einsum("s,sa,sat->t", result[-1], case.policy[h], case.full[h]))
    return np.array(result)


def values_twin(case, reward):
    H, S, _ = case.shape
    values, q_values = np.zeros((H + 1, S)), np.zeros(case.shape)
    for h in reversed(range(H)):
        q_values[h] = reward[h % len(reward)] + case.full[h] @ values[h + 1]
        values[h] = np.einsum("sa,sa->s", case.policy[h], q_values[h])
    return q_values, values


def optimum_twin(case, reward, choose):
    values, q_values = np.zeros(case.shape[1]), []
    for h in reversed(range(case.shape[0])):
        q_values.insert(0, reward[h % len(reward)] + case.full[h] @ values)
        values = choose(q_values[0], axis=1)
    return np.array(q_values)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 23])
@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
def test_weighted_rows_is_a_product(n, kept):
    rng = np.random.default_rng(n)
    weights, rows, out = rng.normal(size=n) * (rng.random(n) < kept), rng.normal(size=(n, 5)), np.full(5, np.nan)
    kernels.weighted_rows(weights, rows, out)
    np.testing.assert_allclose(out, weights @ rows if n else np.zeros(5), atol=1e-14)


def test_weighted_rows_does_not_look_at_rows_without_weight():
    out = np.empty(2)
    kernels.weighted_rows(np.array([0.0, 2.0, 0.0]), np.array([[np.nan, np.inf], [1.0, 3.0], [np.inf, np.nan]]), out)
    assert out.tolist() == [2, 6]


@cases
def test_state_occupancy(case):
    result = np.full(case.shape[:2], np.nan)
    kernels.state_occupancy(case.P, case.policy, case.initial, result)
    np.testing.assert_allclose(result, occupancy_twin(case), atol=1e-15)
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-14)


@cases
def test_evaluate_episodic(case):
    H, S, _ = case.shape
    q_values, values = np.full(case.shape, np.nan), np.full((H + 1, S), np.nan)
    for reward in (case.loss, -1e8 * case.loss, case.loss[:1]):  # the last one is the same at every step
        kernels.evaluate_episodic(case.P, reward, case.policy, q_values, values)
        q_twin, twin = values_twin(case, reward)
        np.testing.assert_allclose(q_values, q_twin, rtol=1e-13)
        np.testing.assert_allclose(values, twin, rtol=1e-13)


@cases
def test_backward_induction(case):
    H, S, _ = case.shape
    q_values, values, actions = np.full(case.shape, np.nan), np.full((H + 1, S), np.nan), np.full((H, S), -1)
    for reward in (case.loss, -case.loss, np.zeros_like(case.loss), case.loss[:1]):
        kernels.backward_induction(case.P, reward, q_values, values, actions)
        twin = optimum_twin(case, reward, np.max)
        np.testing.assert_allclose(q_values, twin, atol=1e-14, rtol=1e-13)
        np.testing.assert_array_equal(actions, q_values.argmax(axis=-1))  # ties: lowest index
        np.testing.assert_array_equal(values[:-1], q_values.max(axis=-1))


@cases
def test_least_loss(case):
    work = np.full((2, case.shape[1]), np.nan)
    for loss in (case.loss, 1e8 * case.loss, np.zeros_like(case.loss)):
        expected = case.initial @ optimum_twin(case, loss, np.min)[0].min(axis=1)
        assert kernels.least_loss(case.P, loss, case.initial, work) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 2, 2), (2, 3, 2)])
def test_least_loss_is_the_least_of_all_policies(shape):
    case = Case(shape, "smooth")
    H, S, A = shape
    every = []
    for actions in itertools.product(range(A), repeat=H * S):
        case.policy = np.eye(A)[np.reshape(actions, (H, S))]
        every.append(np.sum(occupancy_twin(case)[..., None] * case.policy * case.loss))
    assert kernels.least_loss(case.P, case.loss, case.initial, np.empty((2, S))) == pytest.approx(min(every), rel=1e-13)


@cases
def test_expected_loss(case):
    occupancy = occupancy_twin(case)
    expected = np.einsum("hs,hsa,hsa", occupancy, case.policy, case.loss)
    assert kernels.expected_loss(occupancy, case.policy, case.loss) == pytest.approx(expected, rel=1e-13)
    assert expected == pytest.approx(case.initial @ values_twin(case, case.loss)[1][0], rel=1e-13)


@cases
@pytest.mark.parametrize("dilation", [0.0, 1.0, 1.25])
def test_dilated_bonus(case, dilation):
    H, S, _ = case.shape
    bonus, values = np.full(case.shape, np.nan), np.full((H + 1, S), np.nan)
    kernels.dilated_bonus(case.P, case.policy, case.local, dilation, bonus, values)
    twin, following = np.zeros(case.shape), np.zeros(S)
    for h in reversed(range(H)):
        for s, a in np.ndindex(case.shape[1:]):
            twin[h, s, a] = case.local[h, s] + dilation * sum(case.full[h, s, a, t] * following[t] for t in range(S))
        following = np.sum(case.policy[h] * twin[h], axis=1)
        np.testing.assert_allclose(values[h], following, rtol=1e-13)
    np.testing.assert_allclose(bonus, twin, rtol=1e-13)


@pytest.mark.parametrize("S", [1, 3, 255, 256, 300])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_expectations_of_picked_rows(S, count):
    rng = np.random.default_rng(S)
    rows, values, picked = rng.normal(size=(9, S)), rng.normal(size=S), rng.permutation(9)
    out = np.full(9, np.nan)
    kernels.expectations(rows, picked, count, values, out)
    expected = np.full(9, np.nan)
    expected[picked[:count]] = rows[picked[:count]] @ values
    np.testing.assert_allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("S", [1, 4, 30, 300])
@pytest.mark.parametrize("kind", ["dense", "sticky", "deterministic", "rows off by 1e-9", "losses", "huge", "equal actions"])
def test_stationary_induction_leaves_out_nothing_that_matters(S, kind):
    A, H, rng = 6, 40, np.random.default_rng(S)
    P, reward = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
    if kind == "sticky":  # mixes slowly: hardly an action can be ruled out
        P = 0.01 * P + 0.99 * np.eye(S)[:, None]
    elif kind == "deterministic":
        P = np.eye(S)[rng.integers(0, S, (S, A))]
    elif kind == "rows off by 1e-9":
        P *= 1 + rng.uniform(-1e-9, 1e-9, (S, A, 1))
    elif kind in ("losses", "huge"):
        reward = {"losses": -reward, "huge": 1e8 * (reward - 0.5)}[kind]
    elif kind == "equal actions":
        P, reward = np.repeat(P[:, :1], A, axis=1), np.repeat(reward[:, :1], A, axis=1)
    q_values, full, greedy = np.empty((H, S, A)), np.empty((H + 1, S)), np.empty((H, S), np.int64)
    kernels.backward_induction(P[None], reward[None], q_values, full, greedy)
    values, actions = np.full((H + 1, S), np.nan), np.full((H, S), -1)
    rows = kernels.stationary_induction(P, reward, 2e-9, values, actions)
    assert rows <= (H - 1) * S * A
    if S < 256:  # row by row: the same sums
        np.testing.assert_array_equal(values, full)
        np.testing.assert_array_equal(actions, greedy)
    np.testing.assert_allclose(values, full, rtol=1e-13, atol=1e-13)
    chosen = np.take_along_axis(q_values, actions[..., None], axis=2)[..., 0]
    np.testing.assert_allclose(chosen, full[:-1], rtol=1e-13, atol=1e-13)


def test_stationary_induction_reads_little_where_mixing_is_fast():
    S, A, H, rng = 60, 10, 50, np.random.default_rng(0)
    P, reward = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
    rows = kernels.stationary_induction(P, reward, 2e-9, np.empty((H + 1, S)), np.empty((H, S), np.int64))
    assert H * S <= rows + S <= 1.5 * H * S  # of H * S * A
