"""The submodular instances: their numbers, their draws, and the values that the specification derives for them."""

import numpy as np
import pytest

from tabular_rl import instances
from tabular_rl.instances import submodular as shelf
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.simulation import sample_trajectories

GRIDS = {"gp30": (39, 900), "bimodal30": (39, 900), "cov30": (79, 900), "two_room": (39, 98), "steiner": (39, 105), "entropy30": (39, 900)}


@pytest.mark.parametrize("name", GRIDS)
def test_grids_have_the_authors_sizes_and_start(name):
    problem = getattr(shelf, name)()
    assert problem.shape == (*GRIDS[name], 5)
    assert problem.start == 34
    assert problem.is_deterministic
    assert problem.actions == ("stay", "right", "down", "left", "up")
    assert not getattr(shelf, name)(slip=0.1).is_deterministic
    assert getattr(shelf, name)(horizon=3).horizon == 3
    assert problem.repeats == (name == "entropy30")


def test_moves_and_sensors_of_a_grid():
    successors = shelf.grid_successors(2, 3)
    assert successors[0].tolist() == [0, 1, 3, 0, 0]
    assert successors[4].tolist() == [4, 5, 4, 3, 1]
    assert successors[5].tolist() == [5, 5, 5, 4, 2]
    assert shelf.grid_sensor(2, 3) == [[0, 1, 3, 4], [1, 2, 4, 5], [2, 5], [3, 4], [4, 5], [5]]
    assert shelf.grid_sensor(2, 2, "self") == [[0], [1], [2], [3]]


def test_gp30_is_the_shipped_density_or_ours():
    for k, mean in ((0, None), (1, 2.962688009871377)):
        weights = shelf.gp30(k).objective.weights
        assert weights.min() >= 0.33
        assert weights.max() <= 5.2
        assert mean is None or weights.mean() == pytest.approx(mean, rel=1e-14)
    ours = shelf.gp30(3, "generated").objective.weights
    factor = np.linalg.cholesky(shelf.matern() + 1e-6 * np.eye(900))
    np.testing.assert_allclose(ours, np.clip(3 + factor @ np.random.default_rng(3).standard_normal(900), 0, None))
    kernel = shelf.matern()
    r = np.sqrt(5) * 0.1 * np.sqrt(2)  # from cell (0, 0) to (1, 1)
    assert kernel[0, 31] == pytest.approx(np.log(2) * (1 + r + r * r / 3) * np.exp(-r), rel=1e-12)


def test_cov30_and_bimodal30():
    assert shelf.cov30().value(np.full(80, 34)) == 4
    weights = shelf.bimodal30().objective.weights.reshape(30, 30)
    assert weights[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert weights[0, 29] == pytest.approx(1 / (1 + np.exp(1)))
    np.testing.assert_array_equal(weights, weights.T)


def test_two_room_has_68_free_cells_and_the_sensor_sees_no_wall():
    problem = shelf.two_room()
    assert problem.objective.weights.sum() == 68
    assert problem.reachable.any(axis=0).sum() == 68
    assert problem.objective.value(np.arange(98)) == 68
    cell = lambda r, c: 14 * r + c
    assert problem.successors[cell(2, 6)].tolist() == [cell(2, 6), cell(2, 7), cell(3, 6), cell(2, 5), cell(2, 6)]
    sensor = problem.objective.sensor
    seen = lambda s: sensor.items[sensor.offsets[s] : sensor.offsets[s + 1]].tolist()
    assert seen(cell(1, 3)) == [cell(1, 3), cell(2, 3), cell(2, 4)]  # past a corner the diagonal still counts
    assert seen(cell(3, 6)) == [cell(3, 6), cell(3, 7)]


def test_steiner_has_its_groups_and_caps():
    for problem in (shelf.steiner(0), shelf.steiner(1), shelf.steiner(1, "generated")):
        groups, caps = problem.objective.groups, problem.objective.caps
        assert np.bincount(groups + 1).tolist() == [12, 18, 14, 13, 16, 18, 14]
        assert caps.tolist() == [3, 2, 3, 4, 6, 3]
        assert problem.objective.value(np.arange(105)) == 21
    cells = np.random.default_rng(1).permutation(105)
    assert (groups[cells[:18]] == 0).all()
    assert (groups[cells[93:]] == -1).all()


def test_entropy30_is_a_posterior():
    prior, posterior = shelf.entropy30(posterior=False).objective.kernel, shelf.entropy30(2).objective.kernel
    np.testing.assert_array_equal(prior, shelf.matern())
    measured = 10 * np.random.default_rng(2).random((5, 2))
    assert (np.diag(posterior) <= np.diag(prior) + 1e-12).all()
    # the posterior variance of the cell nearest to a measurement, from the inverse of the joint covariance
    points = shelf.grid_points(30, 30)
    near = int(np.argmin(np.linalg.norm(points[:, None] - measured[None], axis=2).min(axis=1)))
    x = np.concatenate([measured, points[near : near + 1]])
    noisy = shelf.matern(x) + np.diag([1e-3] * 5 + [0])
    assert posterior[near, near] == pytest.approx(1 / np.linalg.inv(noisy)[5, 5], rel=1e-6)


def test_tiny_draws_its_weights_first():
    problem = shelf.tiny(3, 4, 7, 0.2, "2x2", 5)
    np.testing.assert_array_equal(problem.objective.weights, np.random.default_rng(5).random(12))
    assert problem.start == 6
    assert (problem.slip, problem.horizon) == (0.2, 7)


def test_gap_needs_memory():
    values = sample_trajectories(shelf.gap(), "greedy", 50).values
    np.testing.assert_array_equal(values, 2)
    uniform = sample_trajectories(shelf.gap(), np.full((3, 4, 2), 0.5), 4000).values
    assert set(uniform) == {1.0, 2.0}
    assert abs(uniform.mean() - 1.5) < np.sqrt(np.log(2 / 1e-6) / (2 * 4000))  # Hoeffding at 1e-6: the values lie in an interval of 1


@pytest.mark.parametrize(("c", "L", "ratio"), [(0.5, 1, 0.50075), (0.5, 2, 0.25150), (0.5, 3, 0.12709), (0.2, 3, 0.51371)])
def test_counter_has_its_curvature_and_its_bad_stationary_policy(c, L, ratio):
    problem = shelf.counter(c, L)
    assert problem.objective.curvature() == pytest.approx(c, abs=1e-9)
    H, S, _ = problem.shape
    assert (H, S) == (L + 1, 3 * L + 4)
    value = {}
    for plan in (0, 1):  # always action 0, or on to the end
        total = 0.0
        for s in np.flatnonzero(problem.initial):
            states = [int(s)]
            for h in range(H):
                states.append(int(problem.packed_transition[h, states[-1], plan].argmax()))
            total += problem.initial[s] * problem.value(states)
        value[plan] = total
    assert value[0] / value[1] == pytest.approx(ratio, abs=5e-6)


def test_bandit_moves_by_its_table_from_every_state():
    problem = shelf.bandit(2, 3, 4, seed=1, epsilon=0.3)
    targets = np.random.default_rng(1).integers(4, size=(2, 3))
    for h in range(2):
        for a in range(3):
            rows = problem.packed_transition[h, :, a]
            assert (rows == rows[0]).all()
            assert rows[0, 1 + targets[h, a]] == pytest.approx(0.7)
            np.testing.assert_allclose(np.delete(rows[0], [0, 1 + targets[h, a]]), 0.1)
    assert problem.elements[0].tolist() == [-1, 0, 1, 2, 3]
    assert shelf.permutation(3).shape == (3, 4, 3)
    assert shelf.permutation(3).value([0, 1, 2, 3]) == 3
    with pytest.raises(ValueError, match="epsilon must lie"):
        shelf.bandit(epsilon=1.2)
    with pytest.raises(ValueError, match="distributions must have shape"):
        shelf.bandit(distributions=[0.5, 0.5])


def test_bait_misleads_the_greedy():
    problem = shelf.bait(4, 100.0)
    np.testing.assert_array_equal(sample_trajectories(problem, "greedy", 20).values, 1)
    assert problem.value([0, 2, 3, 4, 5]) == 100
    assert problem.successors[2].tolist() == [0, 0, 3]
    assert problem.successors[4].tolist() == [3, 3, 5]


def test_random_problem_draws_in_order():
    rng = np.random.default_rng(7)
    problem = shelf.random_problem(3, 2, 4, "coverage", 7)
    np.testing.assert_array_equal(problem.packed_transition, rng.dirichlet(np.full(3, 0.5), (4, 3, 2)))
    np.testing.assert_array_equal(problem.initial, rng.dirichlet(np.ones(3)))
    np.testing.assert_array_equal(problem.objective.weights, rng.random(6))


def test_problems_are_made_by_name():
    assert all(shelf.make(entry.short_name).objective is not None for entry in instances.catalogue(SubmodularMDP))
    assert shelf.make("tiny", R=2, C=2).shape == (4, 4, 5)
    with pytest.raises(ValueError, match="there is no instance 'matern'; "):
        shelf.make("matern")
    with pytest.raises(TypeError, match="gap has no parameter 'k'; it has none"):
        shelf.make("gap", k=1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: shelf.gp30(10), ValueError, "k must be below 10 for the shipped data, got 10"),
        (lambda: shelf.gp30(data="theirs"), ValueError, "data must be one of"),
        (lambda: shelf.steiner(-1), ValueError, "k must be at least 0"),
        (lambda: shelf.entropy30(posterior=1), TypeError, "posterior must be True or False"),
        (lambda: shelf.tiny(sensor="3x3"), ValueError, "sensor must be one of"),
        (lambda: shelf.counter(1.0), ValueError, "c must lie in"),
        (lambda: shelf.counter(eps=0.6), ValueError, "eps must lie in"),
        (lambda: shelf.bait(1), ValueError, "H must be at least 2"),
        (lambda: shelf.random_objective("cubic", 3, 0), ValueError, "kind must be one of"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
