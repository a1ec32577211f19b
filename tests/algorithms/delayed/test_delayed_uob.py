"""UOB-FTRL and UOB-REPS: their projection against cvxpy, by Pythagoras and at radius 0; their runs against a replay."""

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DelayedOREPS, DelayedUOB, Uniform
from tabular_rl.algorithms.delayed.uob_projection import confidence_step, corners, nearest_row
from tabular_rl.kernels.episodic.flow_projection import mirror_step, reachable_cells

MDP = instances.delay_instance(2, 2, 2)
WORLD = losses.stochastic(MDP)
LATE = delays.delayed(WORLD, delays.fixed(3))
EXACT = {"confidence_scale": 0, "prior_visits": 2.0**60}  # the set is the true transition, and no count of a run moves it
SIZES = [(1, 3, 2), (2, 2, 2), (3, 1, 3), (3, 3, 2), (4, 3, 3), (2, 5, 2)]


def frozen(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


def box(estimate, radius):
    low, high = np.empty(estimate.shape), np.empty(estimate.shape)
    corners(estimate, radius, low, high)
    return low, high


def project(low, high, log_weights, log_moves, v=None):
    """(q, rows, steps, flow residual) of the compiled projection, start in state 0."""
    H, S, _ = log_weights.shape
    log_q, moves, initial = np.empty(log_weights.shape), np.zeros(low.shape), frozen(np.eye(S)[0])
    reachable_cells(high, initial, log_q)
    v = np.zeros((H + 1, S)) if v is None else v
    steps, residual = confidence_step(low, high, initial, log_weights, log_moves, v, log_q, moves, 1e-10, 200)
    return np.exp(log_q), moves, steps, residual


def reference(low, high, log_weights, log_moves, whole=False):
    """The marginals of the convex program over x [h, s, a, t], by an interior point; ``whole``: and x [H - 1, S, A, S]."""
    H, S, A = log_weights.shape
    x, last = [cp.Variable((S * A, S), nonneg=True) for _ in range(H - 1)], cp.Variable((S, A), nonneg=True)
    q = [cp.reshape(cp.sum(layer, axis=1), (S, A), order="C") for layer in x] + [last]
    constraints, distance = [cp.sum(q[0], axis=1) == np.eye(S)[0]], cp.sum(cp.kl_div(last, np.exp(log_weights[-1])))
    for h, layer in enumerate(x):
        pairs = cp.sum(layer, axis=1, keepdims=True) @ np.ones((1, S))
        constraints += [cp.sum(q[h + 1], axis=1) == cp.sum(layer, axis=0)]
        constraints += [layer <= cp.multiply(high[h].reshape(-1, S), pairs), layer >= cp.multiply(low[h].reshape(-1, S), pairs)]
        distance += cp.sum(cp.kl_div(layer, np.exp(log_weights[h][..., None] + log_moves[h]).reshape(-1, S)))
    cp.Problem(cp.Minimize(distance), constraints).solve(solver="CLARABEL")
    marginals = np.stack([layer.value for layer in q])
    return (marginals, np.stack([layer.value for layer in x]).reshape(H - 1, S, A, S)) if whole else marginals


def instance(shape, scale, rng):
    """(low, high, log weights, log moves): a box of this scale around random rows, a random w."""
    H, S, A = shape
    low, high = box(rng.dirichlet(np.full(S, 0.5), shape), np.minimum(1, scale * rng.random((H, S, A, S))))
    return low, high, 2 * rng.normal(size=shape), np.log(rng.dirichlet(np.ones(S), shape))


def measure(low, high, shape, rng):
    """x [H, S, A, S] of a random policy under a random transition of the set; in the last step any rows of it."""
    H, S, A = shape
    policy, state, x = rng.dirichlet(np.full(A, 0.5), (H, S)), np.eye(S)[0], []
    for h in range(H):
        rows = low[h].copy()
        for s in range(S):
            for a in range(A):
                for t in rng.permutation(S):  # fills the box in a random order
                    rows[s, a, t] += min(1 - rows[s, a].sum(), high[h, s, a, t] - low[h, s, a, t])
        x.append(state[:, None, None] * policy[h][..., None] * rows)
        state = x[-1].sum(axis=(0, 1))
    return np.array(x)


def distance(x, log_weights, log_moves):
    """KL(x || w), without the total masses, which are the same for all x; the last step counts by its marginal."""
    pairs = (x[:-1], log_weights[:-1, ..., None] + log_moves[:-1]), (x[-1].sum(axis=-1), log_weights[-1])
    return sum(np.sum(y[y > 0] * (np.log(y[y > 0]) - w[y > 0])) for y, w in pairs)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("scale", [0.03, 0.2, 1.0])
def test_projection_is_that_of_the_convex_program(shape, scale):
    low, high, log_weights, log_moves = instance(shape, scale, np.random.default_rng(sum(shape)))
    q, moves, _, residual = project(low, high, log_weights, log_moves)
    assert residual <= 1e-10
    assert np.all(moves[:-1] >= low[:-1])
    assert np.all(moves[:-1] <= high[:-1])
    np.testing.assert_allclose(moves[:-1].sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(q, reference(low, high, log_weights, log_moves), atol=1e-4)  # the interior point's accuracy


@pytest.mark.parametrize("seed", range(10))
def test_projection_is_the_nearest_by_pythagoras(seed):
    """KL(y || w) >= KL(y || x) + KL(x || w) for every y of the polytope: necessary and sufficient for x to be the projection."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 5, 3))
    low, high, log_weights, log_moves = instance(shape, 10 ** rng.uniform(-2, 0), rng)
    q, moves, *_ = project(low, high, log_weights, log_moves)
    moves[-1] = low[-1] + (high - low)[-1] * ((1 - low[-1].sum(-1)) / np.maximum((high - low)[-1].sum(-1), 1e-300))[..., None]
    x = q[..., None] * moves
    nearest = distance(x, log_weights, log_moves)
    with np.errstate(divide="ignore"):
        log_q, log_rows = np.log(q), np.log(moves)
    for _ in range(50):
        y = measure(low, high, shape, rng)
        assert distance(y, log_weights, log_moves) >= distance(y, log_q, log_rows) + nearest - 1e-8


def test_the_dual_has_no_gap():
    """At the solution the sum of log-normalizers, maximal over v, is minus the distance."""
    rng = np.random.default_rng(3)
    low, high, log_weights, log_moves = instance((3, 3, 2), 0.2, rng)
    v = np.zeros((4, 3))
    q, moves, *_ = project(low, high, log_weights, log_moves, v)
    rows, free, points = np.empty(3), np.zeros(3, bool), np.empty(6)
    order, spare, dual = np.empty(6, np.int64), np.empty(6, np.int64), 0.0
    for h in range(3):
        logs = np.full((3, 2), -np.inf)
        for s, a in np.ndindex(3, 2):
            if h > 0 or s == 0:
                cost = nearest_row(low[h, s, a], high[h, s, a], log_moves[h, s, a] - v[h + 1], rows, free, points, order, spare)
                logs[s, a] = log_weights[h, s, a] + v[h, s] - (cost if h < 2 else 0)
        dual += np.log(np.exp(logs).sum())
    moves[-1] = 1 / 3
    assert -dual == pytest.approx(distance(q[..., None] * moves, log_weights, log_moves), rel=1e-9)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_with_radius_0_it_is_the_projection_of_the_known_transition(shape):
    rng = np.random.default_rng(sum(shape))
    P, log_weights, initial = frozen(rng.dirichlet(np.full(shape[1], 0.5), shape)), 3 * rng.normal(size=shape), frozen(np.eye(shape[1])[0])
    q, moves, *_ = project(P, P, log_weights, np.log(P))
    log_q = np.empty(shape)
    reachable_cells(P, initial, log_q)
    mirror_step(P, initial, log_weights, log_q, 1e-10, 200)
    np.testing.assert_allclose(q, np.exp(log_q), atol=1e-9)
    np.testing.assert_array_equal(moves[:-1], P[:-1])


def test_larger_sets_come_nearer_until_nothing_binds():
    rng = np.random.default_rng(5)
    estimate, radius = rng.dirichlet(np.ones(3), (3, 3, 2)), rng.random((3, 3, 2, 3))
    log_weights, log_moves, values = rng.normal(size=(3, 3, 2)), np.log(rng.dirichlet(np.ones(3), (3, 3, 2))), []
    for scale in (0.0, 0.05, 0.2, 1.0):
        low, high = box(estimate, np.minimum(1, scale * radius))
        q, moves, *_ = project(low, high, log_weights, log_moves)
        moves[-1] = 1 / 3
        values.append(distance(q[..., None] * moves, log_weights, log_moves))
    assert np.all(np.diff(values) < 1e-9)
    free, *_ = project(*box(estimate, np.ones(estimate.shape)), np.zeros((3, 3, 2)), np.zeros(estimate.shape))
    np.testing.assert_allclose(free[1:], 1 / 6, atol=1e-9)  # the uniform x that the paper begins with


def test_rows_are_nearest_by_bisection():
    """Against a bisection of the common factor, also for bounds that touch, vanish, or leave nothing free."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        S = int(rng.integers(1, 7))
        estimate, radius = rng.dirichlet(np.full(S, 0.3)), 10 ** rng.uniform(-3, 0.3) * rng.random(S) * (rng.random(S) < 0.8)
        low, high = np.maximum(estimate - radius, 0), np.minimum(estimate + radius, 1)
        log_g, p = 10 ** rng.uniform(-1, 2) * rng.normal(size=S), np.empty(S)
        work = np.zeros(S, bool), np.empty(2 * S), np.empty(2 * S, np.int64), np.empty(2 * S, np.int64)
        value = nearest_row(low, high, log_g, p, *work)
        left, right = -1500.0, 1500.0
        for _ in range(200):
            middle = (left + right) / 2
            cut = np.clip(np.exp(np.minimum(middle + log_g, 0.0)), low, high)
            left, right = (middle, right) if cut.sum() < 1 else (left, middle)
        np.testing.assert_allclose(p, cut, atol=1e-12)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert value == pytest.approx(np.sum(np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - log_g), 0)), abs=1e-9)


def test_projection_converges_in_extreme_cases():
    """Weights down to exp(-1000), bounds that exclude successors, warm starts: the residual is reached in every case."""
    rng, steps = np.random.default_rng(1), []
    for _ in range(300):
        H, S, A = rng.integers(2, 6), rng.integers(1, 6), rng.integers(1, 4)
        kept = rng.random((H, S, A, S)) < 0.9
        low, high = box(rng.dirichlet(np.full(S, 0.3), (H, S, A)), np.minimum(1, 10 ** rng.uniform(-3, 0.5) * kept))
        log_weights = -(10 ** rng.uniform(-1, 2.3)) * rng.exponential(size=(H, S, A))
        log_moves, v = np.log(rng.dirichlet(np.full(S, 0.3), (H, S, A)) + 1e-300), np.zeros((H + 1, S))
        q, _, n, residual = project(low, high, log_weights, log_moves, v)
        again, _, n_again, _ = project(low, high, log_weights, log_moves, v)
        steps.append(n)
        assert residual <= 1e-9
        assert n_again <= 1
        np.testing.assert_allclose(again, q, atol=1e-9)
        np.testing.assert_allclose(q.sum(axis=(1, 2)), 1, rtol=1e-10)
    assert np.median(steps) <= 10


def draw(weights, rng):
    return int(np.searchsorted(np.cumsum(weights), rng.random(), side="right"))


def extremes(estimate, radius, policy):
    """Largest occupancy [S] of step 1 over the set, H = S = 2, start in state 0: each row as far up as its box allows."""
    low, high = np.maximum(estimate - radius, 0), np.minimum(estimate + radius, 1)
    return np.array([policy[0, 0] @ np.minimum(high[0, 0, :, t], 1 - low[0, 0, :, 1 - t]) for t in range(2)])


@pytest.mark.parametrize("lazy", [True, False])
def test_run_is_that_of_the_pseudo_code(lazy):
    K, means, rng, eta, gamma, delta = 14, 1 - MDP.reward, np.random.default_rng(7), 0.3, 0.1, 0.1
    d = np.array([3, 2, 1, 0, 2, 0, -1, 0, 2, 0, 1, 0, 0, 0])
    iota, visits, seen, start, total = 0.002 * np.log(8 * K / delta), np.zeros((2, 2, 2)), np.zeros((2, 2, 2, 2)), None, np.zeros((2, 2, 2))
    rows, x, old, expected = np.full((2, 2, 2, 2), 0.5), np.zeros((2, 2, 2)), [], []
    for k in range(K):
        if start is None or np.any(visits >= np.maximum(1, 2 * start)):
            start = visits.copy()
            estimate = np.where(visits[..., None] > 0, seen / np.maximum(visits, 1)[..., None], 0.5)
            rate = iota / np.maximum(visits - 1, 1)[..., None]
            radius = np.where(visits[..., None] > 0, np.minimum(1, 2 * np.sqrt(estimate * rate) + 14 * rate / 3), 1)
        low, high = np.maximum(estimate - radius, 0), np.minimum(estimate + radius, 1)
        q, joint = reference(low, high, total if lazy else x, np.log(np.full((2, 2, 2, 2), 0.5) if lazy else rows), True)
        policy = q / np.maximum(q.sum(axis=-1, keepdims=True), 1e-12)
        policy[0, 1] = 0.5
        upper = np.stack([MDP.initial, extremes(estimate, radius, policy)])[..., None] * policy
        state = np.stack([MDP.initial, policy[0, 0] @ MDP.transition[0, 0]])
        expected.append(np.sum(state[..., None] * policy * means))
        x, rows[0] = np.log(np.maximum(q, 1e-12)), joint[0] / np.maximum(joint[0].sum(axis=-1, keepdims=True), 1e-12) + 1e-12
        s, path = draw(MDP.initial, rng), []
        for h in range(2):
            path.append((h, s, draw(policy[h, s], rng)))
            if h == 0:
                s = draw(MDP.transition[path[-1]], rng)
        old.append((path, upper))
        for j in [j for j in range(k + 1) if d[j] >= 0 and j + d[j] == k]:
            then, played = old[j]
            for cell in then:
                change = -eta * means[cell] / (max(played[cell], upper[cell]) + gamma)
                x[cell] += change
                total[cell] += change
            visits[then[0]] += 1
            seen[(*then[0], then[1][1])] += 1
    algorithm = DelayedUOB(lazy, eta, gamma, delta, confidence_scale=0.002)
    trace = algorithm.run(delays.delayed(losses.stochastic(MDP, bernoulli=False), d), K, seed=7)
    np.testing.assert_allclose(trace["loss"], np.cumsum(expected)[trace.index - 1], rtol=2e-4)
    assert trace.parameters["epochs"] >= 3
    assert np.abs(np.diff(expected)).max() > 0.01  # something was learned: the comparison has teeth


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("process", [delays.none(), delays.fixed(7), delays.uniform(9)], ids=str)
def test_whole_runs_with_radius_0_are_those_of_the_known_transition(lazy, process):
    rates, problem = {"learning_rate": 0.05, "exploration": 0.02}, delays.delayed(losses.stochastic(instances.delay_instance()), process)
    unknown = DelayedUOB(lazy, **rates, **EXACT).run(problem, 400, seed=1)
    known = DelayedOREPS(**rates).run(problem, 400, seed=1)
    np.testing.assert_allclose(unknown["loss"], known["loss"], rtol=1e-8 if lazy else 1e-11)
    np.testing.assert_allclose(unknown.policy, known.policy, atol=1e-6 if lazy else 1e-9)
    np.testing.assert_allclose(unknown["uncertainty"], 0, atol=1e-10)
    assert unknown.parameters["epochs"] == 1
    without = DelayedUOB(lazy, **rates, confidence_scale=0).run(problem, 400, seed=1)
    assert np.abs(without["loss"] - known["loss"]).max() > 0.1  # rows never seen keep radius 1


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 3, 2), (4, 5, 3)], ids=str)
def test_it_learns(lazy, shape):
    world = losses.stochastic(instances.delay_instance(*shape))
    trace = DelayedUOB(lazy).run(delays.delayed(world, delays.fixed(3)), 3000)
    assert trace["regret"][-1] < Uniform().run(world, 3000)["regret"][-1]
    assert trace.parameters["flow_residual"] <= 1e-9
    assert trace.parameters["epochs"] > 10
    assert np.diff(trace["uncertainty"])[-1] / np.diff(trace.index)[-1] < trace["uncertainty"][0]


def test_a_simulator_s_visits_make_the_set_smaller():
    width = [DelayedUOB(prior_visits=m).run(LATE, 300)["uncertainty"][-1] for m in (0, 1000, 1e5)]
    assert np.all(np.diff(width) < 0)


def test_a_projection_that_stops_early_is_an_error(monkeypatch):
    def stopped(*_):
        return np.ones(9), np.ones(9), np.ones(9), None, 1, 200.0, 1e-3

    monkeypatch.setattr("tabular_rl.algorithms.delayed.uob._run", stopped)
    with pytest.raises(RuntimeError, match="a flow residual of 1"):
        DelayedUOB().run(LATE, 5)


def test_errors():
    for arguments in ({"learning_rate": 0}, {"exploration": -1}, {"delta": 1}, {"confidence_scale": -1}, {"prior_visits": -1}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            DelayedUOB(**arguments)
    with pytest.raises(TypeError, match="lazy"):
        DelayedUOB(lazy=1)
    with pytest.raises(ValueError, match="prior_visits"):
        DelayedUOB(prior_visits=-1)
