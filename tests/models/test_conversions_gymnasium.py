"""Gymnasium's tables in, environments out: the same arrays back, and returns that agree with the exact value."""

import gymnasium
import numpy as np
import pytest
import scipy.sparse as sp
from gymnasium.utils.env_checker import check_env
from scipy.stats import binomtest

from tabular_rl import instances, losses
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, from_gymnasium, to_gymnasium
from tabular_rl.planning import evaluate, solve

LEVEL = 1e-6  # chance of a false alarm, each test
TOY_TEXT = {"FrozenLake": (16, 4), "CliffWalking": (49, 4), "Taxi": (501, 6)}


def newest(name):
    return max((i for i in gymnasium.registry if i.startswith(f"{name}-v")), key=lambda i: int(i.rpartition("-v")[2]))


toy_text = pytest.mark.parametrize("name", TOY_TEXT)


@toy_text
def test_the_rows_are_those_of_the_table(name):
    env = gymnasium.make(newest(name))
    mdp, table, start = from_gymnasium(env, discount=0.9), env.unwrapped.P, env.unwrapped.initial_state_distrib
    assert mdp.shape == TOY_TEXT[name]
    np.testing.assert_array_equal(mdp.initial[: len(start)], start)
    for s, a in np.ndindex(len(table), mdp.n_actions):
        row, reward = np.zeros(mdp.n_states), 0.0
        for p, t, r, end in table[s][a]:
            row[mdp.n_states - 1 if end and mdp.n_states > len(table) else t] += p
            reward += p * r
        np.testing.assert_allclose(mdp.transition[s, a], row, atol=1e-15)
        assert mdp.reward[s, a] == pytest.approx(reward, abs=1e-14)


@toy_text
def test_the_horizon_changes_the_kind_and_not_the_rows(name):
    discounted, episodic = from_gymnasium(newest(name), discount=0.9), from_gymnasium(newest(name), horizon=7)
    assert isinstance(discounted, DiscountedMDP)
    assert isinstance(episodic, FiniteHorizonMDP)
    assert episodic.horizon == 7
    np.testing.assert_array_equal(episodic.transition[3], discounted.transition)


def test_arguments_go_to_gymnasium():
    assert from_gymnasium(newest("FrozenLake"), horizon=5, map_name="8x8").n_states == 64
    sure = from_gymnasium(newest("FrozenLake"), horizon=5, is_slippery=False)
    assert set(np.unique(sure.transition)) == {0, 1}


MODELS = {
    "frozen lake": instances.frozen_lake(),
    "cliff": instances.cliff_walking(),
    "river": instances.river_swim(6, discount=0.9),
    "random": instances.random_discounted(7, 3, seed=2),
    "one state": DiscountedMDP([[[1]]], [[1]], 0.5),
}


@pytest.mark.parametrize("mdp", MODELS.values(), ids=MODELS)
def test_there_and_back_is_the_same_model(mdp):
    again = from_gymnasium(to_gymnasium(mdp), discount=mdp.discount)
    for name in ("transition", "reward", "initial"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mdp, name))


def test_there_and_back_of_a_sparse_model():
    dense = MODELS["random"]
    sparse = DiscountedMDP(sp.csr_array(dense.transition.reshape(21, 7)), dense.reward, 0.9, dense.initial)
    np.testing.assert_array_equal(from_gymnasium(to_gymnasium(sparse), discount=0.9).transition, dense.transition)


@pytest.mark.filterwarnings("ignore:.*(spec|render).*")
@pytest.mark.parametrize("mdp", [*MODELS.values(), instances.river_swim(4, horizon=3), instances.deep_sea(3, horizon=3)])
def test_gymnasium_approves_of_our_environments(mdp):
    check_env(to_gymnasium(mdp), skip_render_check=True)


def returns(env, policy, episodes, discount=1.0):
    """Returns of a deterministic policy ([S], or [H, S]) in so many episodes."""
    found = np.zeros(episodes)
    for k in range(episodes):
        (s, info), weight, over = env.reset(seed=2026 if k == 0 else None), 1.0, False
        while not over:
            action = policy[info["step"], s] if policy.ndim == 2 else policy[s]
            s, reward, terminated, truncated, info = env.step(action)
            found[k] += weight * reward
            weight *= discount
            over = terminated or truncated
    return found


def test_frequencies_of_success_agree_with_the_exact_value():
    """Returns are 0 or 1, so their sum is binomial: an exact test. A value that is off by a quarter is refuted."""
    mdp = instances.frozen_lake(horizon=20)
    best = solve(mdp)
    value = mdp.initial @ best.values[0]
    wins = int(returns(to_gymnasium(mdp), best.actions, 3000).sum())
    assert binomtest(wins, 3000, value).pvalue > LEVEL
    assert binomtest(wins, 3000, 0.75 * value).pvalue <= LEVEL


def test_mean_returns_agree_with_the_exact_value():
    """Hoeffding's inequality for returns in [0, H]: conservative."""
    mdp, n = instances.random_episodic(4, 5, 2, seed=3), 3000
    policy = np.random.default_rng(0).integers(2, size=(4, 5))
    value = mdp.initial @ evaluate(mdp, policy).values[0]
    radius = 4 * np.sqrt(np.log(2 / LEVEL) / (2 * n))
    mean = returns(to_gymnasium(mdp), policy, n).mean()
    assert abs(mean - value) <= radius
    assert abs(mean - value - 2 * radius) > radius


def test_mean_discounted_returns_agree_with_the_exact_value():
    """Hoeffding's inequality for returns in [0, 1 / (1 - discount)], cut after T steps: less than discount^T / (1 - discount) is lost."""
    mdp, n, T = instances.random_discounted(5, 2, 0.7, seed=4), 1000, 40
    policy = np.ones(5, int)
    value = mdp.initial @ evaluate(mdp, policy).values
    mean = returns(to_gymnasium(mdp, max_episode_steps=T), policy, n, 0.7).mean()
    assert abs(mean - value) <= (np.sqrt(np.log(2 / LEVEL) / (2 * n)) + 0.7**T) / (1 - 0.7)


def test_successors_are_drawn_from_the_row():
    """Exact binomial tests of every successor, with the level divided among them."""
    row = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    env = to_gymnasium(FiniteHorizonMDP(np.tile(row, (5, 1, 1)), np.zeros((5, 1)), row, horizon=1))
    starts, successors = zip(*((env.reset(seed=5 if k == 0 else None)[0], env.step(0)[0]) for k in range(4000)), strict=True)
    for drawn in (starts, successors):
        counts = np.bincount(drawn, minlength=5)
        assert all(binomtest(int(k), 4000, p).pvalue > LEVEL / 10 for k, p in zip(counts, row, strict=True))


def test_a_seed_fixes_the_episode():
    env = to_gymnasium(MODELS["random"])
    walks = [[env.reset(seed=7)[0]] + [env.step(1)[0] for _ in range(20)] for _ in range(2)]
    assert walks[0] == walks[1]


def test_a_finite_horizon_terminates_after_its_steps():
    env = to_gymnasium(instances.river_swim(4, horizon=3))
    assert env.reset()[1]["step"] == 0
    steps = [env.step(1) for _ in range(3)]
    assert [(ended, cut, info["step"]) for *_, ended, cut, info in steps] == [(False, False, 1), (False, False, 2), (True, False, 3)]
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode ended after 3 steps"):
        env.step(1)


def test_an_absorbing_state_without_reward_terminates():
    stay, go = [[0, 1], [0, 1]], [[1, 0], [1, 0]]
    for reward, ends in (([1, 0], True), ([1, 0.5], False)):
        env = to_gymnasium(DiscountedMDP([stay, stay], np.repeat([reward], 2, 0).T, 0.9))
        env.reset(seed=0)
        assert env.step(0)[1:4] == (1, ends, False)
    env = to_gymnasium(DiscountedMDP([go, go], np.zeros((2, 2)), 0.9, initial=1), max_episode_steps=5)
    env.reset()
    assert env.step(1)[2]


def test_an_episode_is_cut_on_request():
    env = to_gymnasium(MODELS["random"], max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]
    with pytest.raises(ValueError, match=r"^max_episode_steps must be at least 1"):
        to_gymnasium(MODELS["random"], max_episode_steps=0)


def test_steps_need_a_start_and_an_action():
    env = to_gymnasium(MODELS["random"])
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset()
    for wrong in (3, -1, None, 0.5):
        with pytest.raises(ValueError, match=r"action must be in 0\.\.2, got"):
            env.step(wrong)


class Toy:
    """A table as toy-text environments carry it."""

    def __init__(self, table, start=(1, 0)):
        self.P, self.initial_state_distrib = table, np.array(start, float)


def test_terminal_transitions_of_other_tables_lead_to_one_absorbing_state():
    mdp = from_gymnasium(Toy({0: {0: [(0.5, 1, 2.0, True), (0.5, 0, 0.0, False)]}, 1: {0: [(1.0, 0, 1.0, False)]}}), discount=0.5)
    assert mdp.transition[:, 0].tolist() == [[0.5, 0, 0.5], [1, 0, 0], [0, 0, 1]]
    assert mdp.reward[:, 0].tolist() == [1, 1, 0]


def test_impossible_transitions_decide_nothing():
    goal = [(1.0, 1, 0.0, True), (0.0, 0, 5.0, False)]
    mdp = from_gymnasium(Toy({0: {0: [(1.0, 1, 1.0, True), (0.0, 0, 0.0, True)]}, 1: {0: goal}}), discount=0.5)
    assert mdp.n_states == 2
    np.testing.assert_array_equal(mdp.reward, [[1], [0]])


def test_states_may_have_different_actions():
    mdp = from_gymnasium(Toy({0: {0: [(1.0, 1, 1.0, False)]}, 1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 3.0, False)]}}), discount=0.5)
    np.testing.assert_array_equal(mdp.transition[0, 0], mdp.transition[0, 1])
    assert mdp.reward.tolist() == [[1, 1], [0, 3]]
    mdp = from_gymnasium(Toy({0: {1: [(1.0, 1, 1.0, False)]}, 1: {0: [(1.0, 0, 2.0, False)]}}), discount=0.5)
    assert mdp.reward.tolist() == [[1, 1], [2, 2]]


WRONG = [
    (Toy({0: {0: [(0.5, 0, 0.0, False)]}, 1: {0: [(1.0, 1, 0.0, False)]}}), r"transition\[0, 0\] sums to 0.5"),
    (Toy({0: {0: [(1.0, 0, np.nan, False)]}, 1: {0: [(1.0, 1, 0.0, False)]}}), r"reward\[0, 0\] is nan"),
    (Toy({0: {0: [(1.0, 0, 0.0, False)]}, 1: {0: [(1.0, 1, 0.0, False)]}}, (0.5, 0.4)), "initial sums to 0.9"),
    (Toy({0: {0: [(1.0, 2, 0.0, False)]}, 1: {0: [(1.0, 1, 0.0, False)]}}), "env.P leads to state 2, expected one of 0..1"),
    (Toy({0: {0: [(1.0, 0, 0.0)]}}, (1,)), r"env.P\[s\]\[a\] must hold transitions \(probability"),
    (Toy([[[(1.0, 0, 0.0, False)]]], (1,)), "env.P must be a dictionary whose keys are the states"),
    (Toy({1: {0: [(1.0, 0, 0.0, False)]}}, (1,)), "env.P must be a dictionary whose keys are the states"),
    (Toy({0: {}}, (1,)), r"env.P\[s\]\[a\] must hold transitions"),
]


@pytest.mark.parametrize("env, message", WRONG)
def test_a_wrong_table_is_an_error(env, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_gymnasium(env, discount=0.9)


@pytest.mark.parametrize("entry", [
    (1.0, "a", 0.0, False), (1.0, 0.0, 0.0, False), (1.0, 0, 0.0, "False"), (1.0, 0, 0.0, 1), ("1", 0, 0.0, False), (1.0, 0, None, True),
    1.0, None, "1000",
])  # fmt: skip
def test_a_transition_of_other_types_is_named(entry):
    """ "False" is true: what the table means by it is not what would be read."""
    with pytest.raises(ValueError, match=r"^env.P\[s\]\[a\] must hold transitions .*; got .* in env.P\[0\]\[0\]$"):
        from_gymnasium(Toy({0: {0: [entry]}}, (1,)), discount=0.9)
    with pytest.raises(ValueError, match=r"^env.P\[s\]\[a\] must hold transitions"):
        from_gymnasium(Toy({0: {0: entry}}, (1,)), discount=0.9)


@pytest.mark.parametrize("choices", [[[(1.0, 0, 0.0, False)]], {"up": [(1.0, 0, 0.0, False)]}, {-1: [(1.0, 0, 0.0, False)]}, None])
def test_actions_that_are_no_numbers_are_named(choices):
    with pytest.raises(TypeError, match=r"^env.P\[0\] must be a dictionary whose keys are actions 0, 1, ..., got"):
        from_gymnasium(Toy({0: choices}, (1,)), discount=0.9)


def test_a_start_of_another_length_is_named():
    with pytest.raises(ValueError, match=r"^env.initial_state_distrib must have shape \(1\), got \(2,\)"):
        from_gymnasium(Toy({0: {0: [(1.0, 0, 0.0, False)]}}, (0.5, 0.5)), discount=0.9)


def test_what_has_no_table_is_named():
    for env in (gymnasium.make("CartPole-v1"), to_gymnasium(instances.river_swim(4, horizon=3)), 3):
        with pytest.raises(TypeError, match=r"^env must carry a transition table P and initial_state_distrib, .* does not"):
            from_gymnasium(env, discount=0.9)
    with pytest.raises(TypeError, match=r"^color: only an environment given by its id"):
        from_gymnasium(to_gymnasium(MODELS["river"]), discount=0.9, color=1)
    for wrong in (None, losses.stochastic(instances.river_swim(4, horizon=3))):
        with pytest.raises(TypeError, match=r"^mdp must be a FiniteHorizonMDP or a DiscountedMDP, got"):
            to_gymnasium(wrong)


@pytest.mark.parametrize("setting", [{}, {"discount": 0.9, "horizon": 3}])
def test_a_horizon_or_a_discount(setting):
    with pytest.raises(ValueError, match=r"^give exactly one of discount and horizon"):
        from_gymnasium(newest("FrozenLake"), **setting)
