"""Confidence sets against linear programs, every vertex of the set, and plain NumPy."""

import itertools

import cvxpy
import numpy as np
import pytest
from scipy.optimize import linprog

from tabular_rl.kernels.episodic.confidence import bernstein_confidence, extreme_expectation, occupancy_bounds, optimistic_dilated_bonus
from tabular_rl.kernels.episodic.episodes import dilated_bonus, state_occupancy


def test_the_bernstein_radius_is_its_formula():
    rng = np.random.default_rng(0)
    transitions = rng.integers(0, 4, size=(2, 3, 2, 3)).astype(float) * (rng.random((2, 3, 2, 1)) < 0.7)
    transitions[0, 0, 0], transitions[0, 0, 1], transitions[1, 1, 1] = [1, 0, 0], [0, 1, 1], [4000, 0, 0]
    n = transitions.sum(axis=-1)
    for log_term in (0.0, 0.01, 3.0):
        estimate, radius = np.full(transitions.shape, np.nan), np.full(transitions.shape, np.nan)
        bernstein_confidence(n, transitions, log_term, estimate, radius)
        with np.errstate(invalid="ignore"):
            mean = np.where(n[..., None] > 0, transitions / n[..., None], 1 / 3)
        m = np.maximum(n - 1, 1)[..., None]
        width = 2 * np.sqrt(mean * log_term / m) + 14 * log_term / (3 * m)
        np.testing.assert_allclose(estimate, mean, rtol=1e-15)
        np.testing.assert_allclose(radius, np.where(n[..., None] > 0, np.minimum(1, width), 1), rtol=1e-14)


def random_set(rng, S, style):
    estimate = rng.dirichlet(np.full(S, rng.choice([0.1, 1.0])))
    radius = {"box": rng.random(S) * rng.choice([0.05, 0.5]), "point": np.zeros(S), "simplex": np.ones(S)}[style]
    values = rng.normal(size=S)
    return estimate, radius, np.round(values) if rng.random() < 0.3 else values  # some with ties


def extremes(estimate, radius, values):
    """(smallest, largest) by the kernel."""
    up, down = np.argsort(values), np.argsort(-values)
    return extreme_expectation(estimate, radius, up, values), extreme_expectation(estimate, radius, down, values)


@pytest.mark.parametrize("style", ["box", "point", "simplex"])
def test_extreme_expectations_are_linear_programs(style):
    rng = np.random.default_rng(len(style))
    for _ in range(40):
        estimate, radius, values = random_set(rng, rng.integers(1, 7), style)
        box = np.column_stack([np.maximum(0, estimate - radius), np.minimum(1, estimate + radius)])
        row = {"A_eq": np.ones((1, len(values))), "b_eq": [1.0], "bounds": box}
        low, high = extremes(estimate, radius, values)
        assert low == pytest.approx(linprog(values, **row).fun, abs=1e-9)
        assert high == pytest.approx(-linprog(-values, **row).fun, abs=1e-9)
        assert low <= estimate @ values + 1e-14
        assert high >= estimate @ values - 1e-14


def test_extreme_expectations_are_cvxpys():
    rng = np.random.default_rng(9)
    for _ in range(4):
        estimate, radius, values = random_set(rng, 5, "box")
        p = cvxpy.Variable(5, nonneg=True)
        program = cvxpy.Problem(cvxpy.Maximize(values @ p), [cvxpy.sum(p) == 1, cvxpy.abs(p - estimate) <= radius])
        assert extremes(estimate, radius, values)[1] == pytest.approx(program.solve(solver="CLARABEL"), abs=1e-7)


def test_a_reversed_order_gives_less_than_the_maximum():
    estimate, radius, values = np.array([0.2, 0.3, 0.5]), np.full(3, 0.1), np.array([1.0, 2.0, 5.0])
    low, high = extremes(estimate, radius, values)
    assert (low, high) == pytest.approx((2.9, 3.7))


class Case:
    def __init__(self, H, S, A, width, seed):
        rng = np.random.default_rng(seed)
        self.estimate = rng.dirichlet(np.ones(S), (H, S, A))
        self.radius = width * rng.random((H, S, A, S))
        self.policy, self.initial = rng.dirichlet(np.full(A, 0.5), (H, S)), rng.dirichlet(np.ones(S))
        self.policy[-1, 0] = np.eye(A)[0]  # a probability of zero
        self.local, self.rng, self.shape = rng.random((H, S)), rng, (H, S, A)

    def bounds(self):
        lower, upper = np.full(self.shape[:2], np.nan), np.full(self.shape[:2], np.nan)
        occupancy_bounds(self.estimate, self.radius, self.policy, self.initial, upper, lower)
        return lower, upper

    def bonus(self, dilation):
        H, S, _ = self.shape
        bonus, values = np.empty(self.shape), np.empty((H + 1, S))
        optimistic_dilated_bonus(self.estimate, self.radius, self.policy, self.local, dilation, bonus, values)
        return bonus, values

    def member(self):
        """A model of the set: a random step from the estimate, shortened until it stays inside."""
        step = self.rng.dirichlet(np.ones(self.shape[1]), self.shape) - self.estimate
        with np.errstate(divide="ignore"):
            length = np.min(np.where(step == 0, 1, np.minimum(1, self.radius / np.abs(step))), axis=-1, keepdims=True)
        return self.estimate + length * step


def occupancy_of(P, policy, initial):
    result = np.empty(policy.shape[:2])
    state_occupancy(np.ascontiguousarray(P), policy, initial, result)
    return result


def vertices(estimate, radius):
    """All vertices of a box met with the simplex: every entry at an end but one, which takes the rest."""
    S = len(estimate)
    low, high = np.maximum(0, estimate - radius), np.minimum(1, estimate + radius)
    for free in range(S):
        for ends in itertools.product((0, 1), repeat=S - 1):
            p = np.insert(np.where(ends, np.delete(high, free), np.delete(low, free)), free, 0.0)
            p[free] = 1 - p.sum()
            if low[free] - 1e-12 <= p[free] <= high[free] + 1e-12:
                yield p


@pytest.mark.parametrize(("H", "S", "A", "width"), [(2, 2, 2, 0.4), (3, 2, 1, 0.3), (2, 2, 2, 1.0), (3, 1, 2, 0.5), (1, 3, 2, 0.5)])
def test_occupancy_bounds_are_attained_by_vertices_and_never_passed(H, S, A, width):
    """An occupancy is linear in each row, so that its extremes are at vertices: all products of rows' vertices are tried."""
    case = Case(H, S, A, width, seed=H)
    rows = [list(vertices(case.estimate[h, s, a], case.radius[h, s, a])) for h, s, a in np.ndindex(H - 1, S, A)]
    every = []
    for choice in itertools.product(*rows):
        P = np.array(case.estimate)
        P[: H - 1] = np.reshape(choice, (H - 1, S, A, S))
        every.append(occupancy_of(P, case.policy, case.initial))
    lower, upper = case.bounds()
    np.testing.assert_allclose(lower, np.min(every, axis=0), atol=1e-13)
    np.testing.assert_allclose(upper, np.max(every, axis=0), atol=1e-13)


@pytest.mark.parametrize(("H", "S", "A", "width"), [(4, 3, 2, 0.2), (3, 5, 3, 1.0), (5, 2, 2, 0.01)])
def test_occupancies_of_the_set_lie_between_the_bounds(H, S, A, width):
    case = Case(H, S, A, width, seed=1)
    lower, upper = case.bounds()
    for _ in range(30):
        inside = occupancy_of(case.member(), case.policy, case.initial)
        assert np.all(lower <= inside + 1e-14)
        assert np.all(inside <= upper + 1e-14)
    assert np.all((lower >= 0) & (upper <= 1))
    assert np.any(upper - lower > 1e-3)


def test_radius_zero_leaves_one_model():
    case = Case(4, 3, 2, 0.0, seed=2)
    lower, upper = case.bounds()
    exact = occupancy_of(case.estimate, case.policy, case.initial)
    np.testing.assert_allclose(lower, exact, atol=1e-15)
    np.testing.assert_allclose(upper, exact, atol=1e-15)
    bonus, values = case.bonus(1.25)
    plain, plain_values = np.empty(case.shape), np.empty((5, 3))
    dilated_bonus(case.estimate, case.policy, case.local, 1.25, plain, plain_values)
    np.testing.assert_allclose(bonus, plain, rtol=1e-14)
    np.testing.assert_allclose(values, plain_values, rtol=1e-14)


def test_a_set_of_all_models_bounds_nothing_but_the_start():
    case = Case(3, 3, 2, 0.0, seed=3)
    case.radius[:] = 1
    lower, upper = case.bounds()
    np.testing.assert_allclose(lower, [case.initial, np.zeros(3), np.zeros(3)])
    np.testing.assert_allclose(upper, [case.initial, np.ones(3), np.ones(3)])


def test_bounds_grow_with_the_radius():
    narrow, wide = Case(4, 3, 2, 0.1, seed=4), Case(4, 3, 2, 0.1, seed=4)
    wide.radius *= 2
    assert np.all(wide.bounds()[1] >= narrow.bounds()[1] - 1e-15)
    assert np.all(wide.bounds()[0] <= narrow.bounds()[0] + 1e-15)


@pytest.mark.parametrize("width", [0.05, 0.5])
def test_the_optimistic_bonus_takes_the_largest_expectation_of_every_row(width):
    H, S, A = 3, 3, 2
    case = Case(H, S, A, width, seed=5)
    bonus, values = case.bonus(4 / 3)
    twin, following = np.zeros((H, S, A)), np.zeros(S)
    for h in reversed(range(H)):
        for s, a in np.ndindex(S, A):
            best = max(p @ following for p in vertices(case.estimate[h, s, a], case.radius[h, s, a]))
            twin[h, s, a] = case.local[h, s] + 4 / 3 * best
        following = np.sum(case.policy[h] * twin[h], axis=1)
        np.testing.assert_allclose(values[h], following, rtol=1e-12)
    np.testing.assert_allclose(bonus, twin, rtol=1e-12)
    plain, plain_values = np.empty((H, S, A)), np.empty((H + 1, S))
    dilated_bonus(np.ascontiguousarray(case.member()), case.policy, case.local, 4 / 3, plain, plain_values)
    assert np.all(plain <= bonus + 1e-13)
