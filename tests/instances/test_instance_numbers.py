"""The numbers that the specifications quote for their instances, and what can be said of them in closed form."""

import numpy as np
import pytest

from tabular_rl import instances, losses
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.planning import evaluate, solve


def optimal(mdp):
    values = solve(mdp, tolerance=1e-10).values
    return mdp.initial @ (values if isinstance(mdp, DiscountedMDP) else values[0])


def uniform(mdp):
    values = evaluate(mdp, np.full(mdp.shape, 1 / mdp.n_actions)).values
    return mdp.initial @ (values if isinstance(mdp, DiscountedMDP) else values[0])


def test_river_swim_of_the_low_switching_experiments():
    river = instances.river_swim(6, discount=0.95)
    assert optimal(river) == pytest.approx(4.6693002, abs=5e-8)
    assert uniform(river) == pytest.approx(0.0466685, abs=5e-8)
    river = instances.river_swim(6, discount=0.9)
    assert optimal(river) == pytest.approx(1.3044777, abs=5e-8)
    assert optimal(river) - uniform(river) == pytest.approx(1.2835, abs=5e-5)
    assert optimal(instances.river_swim(14, discount=0.96)) == pytest.approx(2.3676, abs=5e-5)


def test_river_swim_of_the_robust_linear_experiments():
    assert optimal(instances.river_swim(5, horizon=12, left_reward=0.1)) == pytest.approx(1.624655510, abs=5e-10)


def test_river_swim_of_the_robust_tabular_experiments():
    river = instances.river_swim(
        6, discount=0.95, first_forward=0.3, middle=(0.1, 0.6, 0.3), last_stay=0.3, right_reward=0.3, initial=np.full(6, 1 / 6)
    )
    assert 1 / (1 - 0.95) - optimal(river) == pytest.approx(18.942223221, abs=2e-9)


def test_river_swim_has_the_average_reward_of_the_online_experiments():
    P, r = instances.river_swim().transition, instances.river_swim().reward
    values = np.zeros(6)
    for _ in range(3000):  # undiscounted value iteration: the increments tend to the optimal average reward
        after = (r + P @ values).max(axis=1)
        low, high, values = (after - values).min(), (after - values).max(), after
    assert low == pytest.approx(0.4286, abs=5e-5)
    assert high == pytest.approx(0.4286, abs=5e-5)


def test_copies_of_the_left_action_change_no_value():
    many = instances.river_swim(5, horizon=20, A=4)
    assert many.shape == (20, 5, 4)
    np.testing.assert_array_equal(many.transition[:, :, 3], many.transition[:, :, 0])
    assert optimal(many) == optimal(instances.river_swim(5, horizon=20))


@pytest.mark.parametrize("N", [2, 8, 10, 16])
def test_deep_sea_has_its_closed_form(N):
    sea = instances.deep_sea(N)
    assert sea.shape == (N * (N + 1) // 2 + 1, 2)
    assert optimal(sea) == pytest.approx((1 - 1 / N) ** (N - 1), abs=1e-9)
    assert optimal(instances.deep_sea(N, horizon=N, seed=3)) == pytest.approx(1)
    assert {8: 0.3926959, 10: 0.3874205}.get(N, optimal(sea)) == pytest.approx(optimal(sea), abs=5e-8)


def test_deep_sea_is_right_where_its_bit_says():
    sea = instances.deep_sea(4, seed=5)
    bits = np.random.default_rng(5).integers(0, 2, (4, 4))
    index = {cell: s for s, cell in enumerate(sea.states)}
    for i, j in list(index)[:-1]:
        for a in (0, 1):
            right = (a ^ bits[i, j]) == 1
            goes_to = (i + 1, min(j + 1, 3) if right else max(j - 1, 0)) if i < 3 else "sink"
            assert sea.transition[index[i, j], a, index[goes_to]] == 1
            assert sea.reward[index[i, j], a] == (float((i, j) == (3, 3)) if right else 0.01 / 4)
    assert np.all(sea.reward[-1] == 0)
    assert np.all(sea.transition[-1, :, -1] == 1)


@pytest.mark.parametrize(("depth", "A", "quoted"), [(10, 4, 0.4189), (12, 5, 0.4109), (6, 4, 0.4488), (4, 3, 0.48225)])
def test_combination_lock_has_its_closed_form(depth, A, quoted):
    lock = instances.combination_lock(depth, A)
    assert lock.shape == (2 + 6 * depth, A)
    assert optimal(lock) == pytest.approx((1 - 1 / (depth + 2)) ** depth, abs=1e-9)
    assert optimal(lock) == pytest.approx(quoted, abs=5e-5)
    assert optimal(instances.combination_lock(depth, A, horizon=depth + 1)) == pytest.approx(1)


def test_combination_lock_pays_as_its_definition_says():
    H, A, seed = 3, 5, 2
    lock = instances.combination_lock(H, A, seed)
    keys = np.random.default_rng(seed).integers(0, A, (2, H, 2))

    def slot(side, h, i):
        return 1 + 3 * H * side + 3 * h + i

    for a in range(A):
        side = 0 if a < A // 2 else 1
        assert lock.transition[0, a, [slot(side, 0, 0), slot(side, 0, 1)]].tolist() == [0.5, 0.5]
    for side, h, i, a in np.ndindex(2, H, 2, A):
        s, right, last = slot(side, h, i), a == keys[side, h, i], h == H - 1
        prize = (0.2, 1.0)[side] if last else 0
        assert lock.reward[s, a] == (prize if right else 0.1 / H)
        successors = np.flatnonzero(lock.transition[s, a]).tolist()
        good, dead = [slot(side, h + 1, 0), slot(side, h + 1, 1)], [slot(side, h + 1, 2)]
        assert successors == ([1 + 6 * H] if last else good if right else dead)
    assert np.all(lock.reward[[0, 1 + 6 * H]] == 0)


def test_mountain_car_of_the_low_switching_experiments():
    car = instances.mountain_car(11, 11, 8, discount=0.95)
    assert car.shape == (122, 3)
    assert optimal(car) == pytest.approx(0.542933, abs=5e-7)
    assert uniform(car) == pytest.approx(0.126715, abs=5e-7)
    assert car.states[np.argmax(car.initial)] == (-0.48, 0.0)


def test_mountain_car_lands_in_the_mean_where_the_car_does():
    car = instances.mountain_car(7, 5, 3)
    grid = np.array(car.states[:-1])
    for s, (x, _) in enumerate(car.states[:-1]):
        for a in range(3):
            position, velocity, passed = x, np.linspace(-0.07, 0.07, 5)[s % 5], False
            for _ in range(3):
                velocity = np.clip(velocity + 0.001 * (a - 1) - 0.0025 * np.cos(3 * position), -0.07, 0.07)
                position = np.clip(position + velocity, -1.2, 0.6)
                velocity = 0 if position <= -1.2 and velocity < 0 else velocity
                if position >= 0.5:
                    passed = True
                    break
            if passed:
                assert car.transition[s, a, -1] == car.reward[s, a] == 1
            else:
                np.testing.assert_allclose(car.transition[s, a, :-1] @ grid, [position, velocity], atol=1e-6)  # labels have six digits


def test_chain_and_bandit_of_the_policy_gradient_experiments():
    chain = instances.chain()
    assert chain.shape == (6, 2)
    assert chain.discount == 0.9
    np.testing.assert_allclose(chain.initial, [0.5 + 0.5 / 6] + [0.5 / 6] * 5)
    assert solve(chain, tolerance=1e-10).values[0] == pytest.approx(0.9**5 / (1 - 0.9))
    arms = instances.bandit()
    assert arms.shape == (1, 1, 10)
    np.testing.assert_array_equal(arms.reward[0, 0], np.linspace(0, 1, 10))
    assert optimal(instances.bandit([0.2, 0.7])) == 0.7


def test_ladder_trap_and_two_path_of_the_online_experiments():
    ladder = instances.ladder(6)
    myopic = np.zeros((6, 6), int)
    assert optimal(ladder) == 1
    assert ladder.initial @ evaluate(ladder, myopic).values[0] == pytest.approx(0.1)
    assert np.count_nonzero(ladder.reward == 1) == 1
    assert ladder.reward[5, 5, 1] == 1
    trap = instances.trap()
    assert optimal(trap) == 1
    assert trap.initial @ evaluate(trap, np.array([0, 1])).values[0] == 0.1
    paths = instances.two_path(0.4)
    np.testing.assert_allclose(solve(paths).q_values[0], [[0.5, 0.7], [0.5, 0.5]])


def test_gridworld_is_that_of_the_benchmarks():
    n, slip = 4, 0.1
    world = instances.gridworld(n, horizon=20)
    for s, a in np.ndindex(n * n, 4):
        row = np.zeros(n * n)
        row[s] += 0.05
        for move, probability in ((a, 0.75), ((a + 1) % 4, slip), ((a - 1) % 4, slip)):
            i, j = np.add(divmod(s, n), [(-1, 0), (0, 1), (1, 0), (0, -1)][move]).clip(0, n - 1)
            row[i * n + j] += probability
        np.testing.assert_allclose(world.transition[0, s, a], row, atol=1e-15)
    assert np.all(world.reward[:, -1] == 1)
    assert np.all(world.reward[:, :-1] == 0)
    assert world.states[n * n - 1] == (n - 1, n - 1)


def test_large_gridworlds_are_sparse_and_their_goals_follow_the_seed():
    world = instances.gridworld(60, goals="scattered", seed=4)
    rng = np.random.default_rng(4)
    reward = -0.1 * rng.random((3600, 4))
    reward[rng.choice(3600, 36, replace=False)] += 1
    assert world.is_sparse
    assert world.transition.nnz <= 5 * 3600 * 4
    np.testing.assert_array_equal(world.reward, reward)


@pytest.mark.parametrize(("slippery", "steps", "value"), [(True, 20, 0.1991), (True, 100, 0.7442), (False, 5, 0), (False, 6, 1)])
def test_frozen_lake(slippery, steps, value):
    assert optimal(instances.frozen_lake(horizon=steps, is_slippery=slippery)) == pytest.approx(value, abs=5e-5)


def test_frozen_lake_has_two_sizes():
    assert instances.frozen_lake(map_name="8x8").shape == instances.frozen_lake_8x8().shape == (64, 4)
    assert optimal(instances.frozen_lake_8x8(200)) == pytest.approx(0.9132, abs=5e-5)


def test_cliff_walking_takes_13_steps():
    assert optimal(instances.cliff_walking(horizon=50)) == -13
    assert optimal(instances.cliff_walking(discount=0.9)) == pytest.approx(-(1 - 0.9**13) / (1 - 0.9))
    assert optimal(instances.cliff_walking(horizon=50, is_slippery=True)) < -13


def test_taxi_serves_every_passenger_in_18_steps():
    short, long = (solve(instances.taxi(horizon=H)).values[0] for H in (18, 100))
    start = instances.taxi().initial > 0
    assert start.sum() == 300
    np.testing.assert_array_equal(short[start], long[start])
    assert short[start].min() == 3
    assert solve(instances.taxi(horizon=17)).values[0][start].min() < 0


def test_square_losses_follow_the_sign_of_their_wave():
    T, gap = 7, 0.3
    tables = instances.loss_tables.square(2, 3, 4, gap)
    world = losses.periodic(instances.random_episodic(2, 3, 4), tables, T, offset=T // 2)
    period, offset = world.parameters
    for k in range(40):
        sign = 1 if ((k + T // 2) // T) % 2 == 0 else -1
        table = tables[int((k + offset) // period) % 2]
        np.testing.assert_allclose(table[1, 2], [0.5 - gap / 2 * sign, 0.5 + gap / 2 * sign, 0.5, 0.5])


def test_spread_losses_shrink_with_the_number_of_episodes():
    best = np.random.default_rng(0).integers(2, size=(3, 4))
    for episodes, gap in ((10, 0.25), (800, 0.05)):
        expected = np.where(np.arange(2) == best[..., None], 0.5 - gap, 0.5)
        np.testing.assert_allclose(instances.loss_tables.spread(3, 4, 2, episodes), expected)


def test_a_horizon_makes_episodes_and_a_discount_does_not():
    for build in (instances.river_swim, instances.chain, instances.deep_sea, instances.gridworld, instances.mountain_car):
        assert isinstance(build(horizon=4), FiniteHorizonMDP)
        assert build(horizon=4).horizon == 4
        assert build(discount=0.5).discount == 0.5
        np.testing.assert_array_equal(build(horizon=4).transition[2], build(discount=0.5).transition)
