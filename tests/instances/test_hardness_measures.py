"""Hardness measures against independent methods: enumeration of policies, matrix powers, linear programs, closed forms."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from tabular_rl import instances
from tabular_rl.instances import diameter, gaps, hardness, minimal_gap, mixing_time, reachable, value_span, visitation_ratio
from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP
from tabular_rl.planning import evaluate, solve, state_occupancy

TINY_DISCOUNTED = [
    instances.random_discounted(S, A, discount, seed) for S, A, discount, seed in [(3, 2, 0.9, 0), (2, 3, 0.5, 1), (4, 2, 0.99, 2)]
]
TINY_EPISODIC = [instances.random_episodic(H, S, A, seed) for H, S, A, seed in [(2, 2, 2, 0), (3, 2, 2, 1), (2, 3, 2, 2)]]


def every_policy(mdp):
    """(values, state occupancy) of every deterministic policy, in NumPy alone."""
    S = mdp.n_states
    for actions in itertools.product(range(mdp.n_actions), repeat=int(np.prod(mdp.shape[:-1]))):
        if isinstance(mdp, DiscountedMDP):
            P, r = mdp.transition[np.arange(S), actions], mdp.reward[np.arange(S), actions]
            values = np.linalg.solve(np.eye(S) - mdp.discount * P, r)
            yield values, (1 - mdp.discount) * np.linalg.solve(np.eye(S) - mdp.discount * P.T, mdp.initial)
            continue
        H = mdp.horizon
        actions = np.reshape(actions, (H, S))
        values, occupancy = np.zeros((H + 1, S)), np.zeros((H, S))
        occupancy[0] = mdp.initial
        for h in range(H - 1):
            occupancy[h + 1] = occupancy[h] @ mdp.transition[h, np.arange(S), actions[h]]
        for h in reversed(range(H)):
            values[h] = mdp.reward[h, np.arange(S), actions[h]] + mdp.transition[h, np.arange(S), actions[h]] @ values[h + 1]
        yield values, occupancy


tiny = pytest.mark.parametrize("mdp", TINY_DISCOUNTED + TINY_EPISODIC, ids=repr)


@tiny
def test_gaps_and_span_are_those_of_the_best_of_all_policies(mdp):
    best = np.max([values for values, _ in every_policy(mdp)], axis=0)
    if isinstance(mdp, DiscountedMDP):
        q_values = mdp.reward + mdp.discount * mdp.transition @ best
    else:
        q_values = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, best[1:])
        best = best[:-1]
    expected = best[..., None] - q_values
    np.testing.assert_allclose(gaps(mdp), expected, atol=1e-7)
    assert gaps(mdp).min() == 0
    assert minimal_gap(mdp) == pytest.approx(expected[expected > 1e-6].min(), abs=1e-7)
    assert value_span(mdp) == pytest.approx(np.ptp(np.atleast_2d(best), axis=1).max(), abs=1e-7)


@tiny
def test_visitation_ratios_are_those_of_all_policies(mdp):
    pairs = list(every_policy(mdp))
    _, best = max(pairs, key=lambda pair: pair[0].sum())
    assert visitation_ratio(mdp) == pytest.approx((best / mdp.initial).max(), rel=1e-9)
    every = np.max([occupancy for _, occupancy in pairs], axis=0) / mdp.initial
    assert visitation_ratio(mdp, comparator="every") == pytest.approx(every.max(), rel=1e-7)
    assert visitation_ratio(mdp) <= every.max() * (1 + 1e-7) <= (1 + 2e-7) / mdp.initial.min()
    data = np.random.default_rng(0).dirichlet(np.ones(mdp.n_actions), mdp.shape[:-1])
    assert visitation_ratio(mdp, data) == pytest.approx((best / state_occupancy(mdp, data)).max(), rel=1e-9)
    assert visitation_ratio(mdp, solve(mdp).policy) == pytest.approx(1)


def test_visitation_ratio_is_infinite_where_the_reference_never_goes():
    chain = instances.chain(4)
    assert visitation_ratio(chain, np.zeros(4, int)) < np.inf  # the random start covers all states
    river = instances.river_swim(4, discount=0.9)
    assert visitation_ratio(river) == np.inf
    assert visitation_ratio(river, np.zeros(4, int)) == np.inf
    uniform = visitation_ratio(river, np.full((4, 2), 0.5))
    assert 1 < uniform < visitation_ratio(river, np.full((4, 2), [0.9, 0.1]))


def test_states_that_the_optimal_policy_never_visits_do_not_count():
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 0] = transition[0, 1, 1] = 1
    transition[1:, :, 2] = 1
    stays = DiscountedMDP(transition, [[1.0, 0], [0, 0], [0, 0]], 0.9)
    assert visitation_ratio(stays) == pytest.approx(1)
    assert visitation_ratio(stays, comparator="every") == np.inf
    assert reachable(stays).all()
    assert reachable(stays, np.zeros(3, int)).tolist() == [True, False, False]


def test_minimal_gap_of_instances_that_are_made_for_it():
    assert minimal_gap(instances.gap_instance(4, 3, 3, gap=0.17)) == pytest.approx(0.17)
    assert minimal_gap(instances.trap(bait=0.3)) == pytest.approx(0.7)
    assert minimal_gap(instances.two_path(0.2)) == pytest.approx(0.1)


def test_minimal_gap_looks_only_where_a_policy_can_be():
    transition = np.zeros((3, 2, 3))
    transition[:, :, 0] = 1
    reward = np.array([[1.0, 0.5], [1.0, 0.999], [1.0, 1.0]])
    from_zero = DiscountedMDP(transition, reward, 0.9)
    assert minimal_gap(from_zero) == pytest.approx(0.5)
    assert minimal_gap(DiscountedMDP(transition, reward, 0.9, 1)) == pytest.approx(0.001)
    assert minimal_gap(DiscountedMDP(transition, reward * 0, 0.9)) == np.inf
    episodic = FiniteHorizonMDP(transition, reward, 1, horizon=3)
    assert minimal_gap(episodic) == pytest.approx(0.001)
    assert reachable(episodic).tolist() == [[False, True, False], [True, False, False], [True, False, False]]


def test_minimal_gap_counts_small_differences_as_ties():
    reward = np.array([[1.0, 1.0 - 1e-7, 0.4]])
    one = DiscountedMDP(np.ones((1, 3, 1)), reward, 0.5)
    assert minimal_gap(one) == pytest.approx(1e-7, rel=1e-2)
    assert minimal_gap(one, tolerance=1e-6) == pytest.approx(0.6, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_reachable_states_are_those_that_the_uniform_policy_visits(seed):
    rng = np.random.default_rng(seed)
    S, A, H = 12, 2, 4
    P = np.eye(S)[rng.integers(0, S, (H, S, A))]
    episodic = FiniteHorizonMDP(P, np.zeros((S, A)), 3)
    np.testing.assert_array_equal(reachable(episodic), state_occupancy(episodic, np.full((H, S, A), 0.5)) > 0)
    mdp = DiscountedMDP(P[0], np.zeros((S, A)), 0.9, 3)
    expected = np.linalg.matrix_power(np.eye(S) + P[0].mean(axis=1), S)[3] > 0
    np.testing.assert_array_equal(reachable(mdp), expected)
    np.testing.assert_array_equal(reachable(sparse(mdp)), expected)


def sparse(mdp):
    return DiscountedMDP(csr_array(mdp.transition.reshape(-1, mdp.n_states)), mdp.reward, mdp.discount, mdp.initial)


def brute_mixing_time(P, epsilon):
    stationary = np.linalg.matrix_power(P, 2**20)[0]
    power, steps = np.eye(len(P)), 0
    while 0.5 * np.abs(power - stationary).sum(axis=1).max() > epsilon:
        power, steps = power @ P, steps + 1
    return steps


@pytest.mark.parametrize("epsilon", [0.6, 0.25, 0.01])
@pytest.mark.parametrize("mdp", [instances.river_swim(), instances.gridworld(4), instances.deep_sea(5), *TINY_DISCOUNTED], ids=repr)
def test_mixing_time_is_that_of_matrix_powers(mdp, epsilon):
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    found = mixing_time(mdp, uniform, epsilon)
    assert found == brute_mixing_time(mdp.transition.mean(axis=1), epsilon)
    assert mixing_time(sparse(mdp), uniform, epsilon) == found


def two_states(p, q):
    return DiscountedMDP([[[1 - p, p]], [[q, 1 - q]]], [[0.0], [1.0]], 0.9)


@pytest.mark.parametrize(("p", "q"), [(0.1, 0.3), (1e-4, 3e-3), (1e-7, 1e-6)])
def test_mixing_time_of_two_states_has_a_closed_form(p, q):
    # distance(t) = max(p, q) / (p + q) * (1 - p - q)^t
    expected = int(np.ceil(np.log(0.25 * (p + q) / max(p, q)) / np.log1p(-p - q)))
    assert mixing_time(two_states(p, q), np.zeros(2, int)) == pytest.approx(expected, rel=1e-6)


def test_chains_that_do_not_mix_take_for_ever():
    only = np.zeros(2, int)
    assert mixing_time(two_states(1, 1), only) == np.inf  # periodic
    assert mixing_time(two_states(0, 0), only) == np.inf  # two closed classes
    assert mixing_time(two_states(0, 1), only) == 1  # absorbed at once
    assert mixing_time(one_state(), np.zeros(1, int)) == 0


@pytest.mark.parametrize(("chord", "period"), [((5, 3), 3), ((0, 3), 2), ((0, 2), 1), ((2, 2), 1), ((5, 0), 6)])
def test_a_cycle_of_six_with_a_chord_mixes_if_its_cycles_have_no_common_divisor(chord, period):
    P = np.zeros((7, 7))
    P[6, 0] = 1  # a transient state in front
    P[np.arange(6), (np.arange(6) + 1) % 6] = 1
    P[chord[0]] = 0.5 * P[chord[0]] + 0.5 * np.eye(7)[chord[1]]
    mdp = DiscountedMDP(P[:, None], np.zeros((7, 1)), 0.9)
    found = mixing_time(mdp, np.zeros(7, int))
    assert found == (brute_mixing_time(P, 0.25) if period == 1 else np.inf)


def one_state():
    return DiscountedMDP(np.ones((1, 2, 1)), [[0.0, 1.0]], 0.9)


def program_of_hitting_times(P, target):
    """max sum v subject to v[s] <= 1 + P[s, a] v for s other than the target, v[target] = 0."""
    S = len(P)
    rows = (np.eye(S)[:, None] - P)[np.arange(S) != target].reshape(-1, S)
    bounds = [(0, 0) if s == target else (None, None) for s in range(S)]
    return linprog(-np.ones(S), A_ub=rows, b_ub=np.ones(len(rows)), bounds=bounds).x


@pytest.mark.parametrize(
    "mdp", [instances.river_swim(), instances.gridworld(3), instances.garnet(8, 2, 4, seed=3), *TINY_DISCOUNTED], ids=repr
)
def test_diameter_is_that_of_linear_programs(mdp):
    expected = max(program_of_hitting_times(mdp.transition, t).max() for t in range(mdp.n_states))
    assert diameter(mdp) == pytest.approx(expected, rel=1e-7)
    assert diameter(sparse(mdp)) == pytest.approx(diameter(mdp), rel=1e-12)


def test_diameter_of_river_swim_is_the_quoted_one():
    assert diameter(instances.river_swim(6)) == pytest.approx(14.72, abs=0.005)


def test_diameter_in_closed_form():
    S = 7
    cycle = DiscountedMDP(np.eye(S)[(np.arange(S) + 1) % S][:, None], np.zeros((S, 1)), 0.9)
    assert diameter(cycle) == S - 1
    assert diameter(instances.chain(9)) == 8
    assert diameter(two_states(1e-3, 0.5)) == pytest.approx(1000)
    assert diameter(two_states(1e-9, 0.5)) == pytest.approx(1e9, rel=1e-6)
    assert diameter(one_state()) == 0


def test_diameter_is_infinite_where_there_is_no_way_back():
    assert diameter(instances.deep_sea(4)) == np.inf
    assert diameter(two_states(0, 0.5)) == np.inf
    lost = instances.garnet(8, 2, 2, seed=3)  # one state has no way in: its program is unbounded
    assert any(program_of_hitting_times(lost.transition, t) is None for t in range(8))
    assert diameter(lost) == np.inf


def test_hardness_collects_the_measures():
    river = instances.river_swim()
    found = hardness(river)
    assert found.minimal_gap == minimal_gap(river)
    assert found.value_span == value_span(river)
    assert found.visitation_ratio == visitation_ratio(river)
    assert found.mixing_time == mixing_time(river, np.full((6, 2), 0.5))
    assert found.diameter == diameter(river)
    episodic = hardness(instances.random_episodic())
    assert episodic.mixing_time is None
    assert episodic.diameter is None
    assert hardness(instances.gridworld(15)).diameter is None  # 225 states


def test_a_reward_of_zero_is_no_obstacle():
    mdp = DiscountedMDP(instances.river_swim().transition, np.zeros((6, 2)), 0.9)
    assert value_span(mdp) == 0
    assert np.all(gaps(mdp) == 0)
    assert visitation_ratio(mdp) == 1  # ties go to action 0, left


def test_the_value_span_of_a_horizon_is_the_largest_over_the_steps():
    mdp = instances.random_episodic(3, 4, 2, seed=5)
    values = solve(mdp).values
    assert value_span(mdp) == max(values[h].max() - values[h].min() for h in range(3))
    assert evaluate(mdp, solve(mdp).policy).values[0] == pytest.approx(values[0])


@pytest.mark.parametrize("measure", [gaps, minimal_gap, value_span, visitation_ratio, reachable, hardness])
def test_other_models_have_no_such_measure(measure):
    adversarial = AdversarialMDP(np.ones((1, 1, 1, 1)), 0, np.zeros((1, 1, 1, 1)))
    with pytest.raises(TypeError, match=r"^mdp must be a FiniteHorizonMDP or a DiscountedMDP, got AdversarialMDP"):
        measure(adversarial)


def test_travel_is_defined_for_stationary_models():
    episodic = instances.random_episodic()
    with pytest.raises(TypeError, match=r"^mdp must be a DiscountedMDP"):
        diameter(episodic)
    with pytest.raises(TypeError, match=r"^mdp must be a DiscountedMDP"):
        mixing_time(episodic, np.zeros(4, int))


def test_arguments_of_the_measures_are_named():
    river = instances.river_swim()
    with pytest.raises(ValueError, match=r"^epsilon must lie"):
        mixing_time(river, np.zeros(6, int), epsilon=0)
    with pytest.raises(ValueError, match=r"^policy"):
        mixing_time(river, np.zeros(5, int))
    with pytest.raises(ValueError, match=r"^comparator must be one of 'optimal', 'every'"):
        visitation_ratio(river, comparator="best")
    with pytest.raises(ValueError, match=r"^tolerance must lie"):
        gaps(river, tolerance=0)
