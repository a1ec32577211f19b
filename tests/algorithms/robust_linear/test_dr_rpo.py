"""DR-RPO: equivalences, optimism and certificates at the theory's constants, what it learns and where it must be stuck."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tabular_rl.algorithms.robust_linear.baselines import DRLSVIUCB, LSVIUCB, LinearOPPO
from tabular_rl.algorithms.robust_linear.dr_rpo import DRRPO
from tabular_rl.instances import robust_linear as instances
from tabular_rl.planning.robust.linear import robust_linear_evaluate, robust_linear_solve

RIVER, OFF = instances.river_swim(0.02), instances.off_dynamics(0.3)


def test_counts_and_ridge_give_the_same_run():
    beta, _ = DRRPO(tau=0.02).resolve(RIVER, 1000, True)
    runs = [DRRPO(tau=0.02, kind=kind, beta=beta).run(RIVER, 1000, 3) for kind in ("tabular", "linear")]
    np.testing.assert_allclose(runs[0].policy, runs[1].policy, rtol=0, atol=1e-10)
    np.testing.assert_allclose(runs[0]["regret"], runs[1]["regret"], rtol=0, atol=1e-8)


def test_the_recorded_gaps_are_the_planners_and_regret_is_their_sum():
    trace = DRRPO(tau=0.02, evaluate_every=1).run(RIVER, 12)
    best, played = robust_linear_solve(RIVER, 0.02), robust_linear_evaluate(RIVER, trace.policy, 0.02)
    np.testing.assert_allclose(trace["suboptimality"][-1], best.values[0, 0] - played.values[0, 0], atol=1e-12)
    np.testing.assert_allclose(trace["regret"], np.cumsum(trace["suboptimality"]), atol=1e-12)  # every episode is a checkpoint here
    coarse = DRRPO(tau=0.02, evaluate_every=4).run(RIVER, 12)
    held = coarse["suboptimality"][[4 * (k // 4) for k in range(12)]]
    np.testing.assert_allclose(coarse["regret"], np.cumsum(held), atol=1e-12)


NUMBERS = [
    (RIVER, DRRPO(tau=0.02), 229.4305452003926, 3.6309169756188617, 1000),
    (RIVER, DRRPO(tau=0.02, rare=True), 221.44204689090733, 3.7194934211886577, 94),
    (OFF, DRRPO(tau=0.02), 16.21428933266723, 0.7048145433740043, 1000),
    (OFF, LinearOPPO(), 188.42993896889683, 0, 1000),
    (instances.american_put(), DRRPO(penalty=0.5), 24.85209319144367, 14.406949641395796, 1000),
    (instances.random_linear(), DRRPO(evaluate_every=7, rare=True, kind="linear"), 13.58476666566886, 4.5000548560922375, 23),
]


@pytest.mark.parametrize(("mdp", "learner", "regret", "allowance", "plans"), NUMBERS)
def test_numbers_stay(mdp, learner, regret, allowance, plans):
    """Recorded when the loop was one function: a rewrite that only rewrites keeps them."""
    trace = learner.run(mdp, 1000, 5)
    np.testing.assert_allclose([trace["regret"][-1], trace["allowance"][-1]], [regret, allowance], rtol=1e-9)
    assert trace["plans"][-1] == plans


def replay_of_least_squares(mdp, beta, n, seed):
    """LSVI-UCB in plain NumPy, solving the normal equations anew in every episode: the policy [H, S, A] of the last one."""
    (H, S, A), d, rng = mdp.shape, mdp.dimension, np.random.default_rng(seed)
    gram, sums, unknown = np.tile(np.eye(d), (H, 1, 1)), np.zeros((H, d, S)), ~mdp.known
    for _ in range(n):
        value, policy = np.zeros(S), np.full((H, S, A), 1 / A)
        for h in reversed(range(H)):
            weights = np.maximum(np.linalg.solve(gram[h], sums[h] @ value), 0) * unknown
            width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.features, np.linalg.inv(gram[h]), mdp.features))
            q = np.minimum(mdp.reward[h] + beta * width + mdp.features @ weights, H - h)
            q[mdp.fail_state] = 0
            best = q >= q.max(axis=1, keepdims=True) - 1e-12
            policy[h], value = best / best.sum(axis=1, keepdims=True), q.max(axis=1)
        s = mdp.initial
        for h in range(H):
            if s == mdp.fail_state:
                break
            a = np.searchsorted(np.cumsum(policy[h, s]), rng.random(), side="right")
            i = np.searchsorted(np.cumsum(mdp.features[s, a]), rng.random(), side="right")
            t = np.searchsorted(np.cumsum(mdp.factors[h, i]), rng.random(), side="right")
            gram[h] += np.outer(mdp.features[s, a], mdp.features[s, a])
            sums[h, :, t] += mdp.features[s, a]
            s = t
    return policy


@pytest.mark.parametrize(
    "mdp", [OFF, instances.random_linear(6, 3, 4, 4), instances.river_swim(0.02, horizon=5)], ids=["off", "random", "river"]
)
def test_least_squares_value_iteration_is_its_replay(mdp):
    trace = LSVIUCB(beta=0.5).run(mdp, 60, 7)
    np.testing.assert_allclose(trace.policy, replay_of_least_squares(mdp, 0.5, 60, 7), atol=1e-12)


@pytest.mark.parametrize("mdp", [RIVER, OFF, instances.random_linear(6, 6, 4, 4)], ids=["river", "off", "random"])
def test_at_scale_one_values_are_optimistic_and_certified(mdp):
    learner = DRRPO(tau=0.02, scale=1)
    trace = learner.run(mdp, 1000)
    assert trace["optimism"].min() >= -1e-9
    beta, cap = trace.parameters["beta"], trace.parameters["cap"]
    assert trace["need"].max() <= beta[0] / cap[1]  # the good event E1, at every checkpoint
    assert (trace["suboptimality"] <= trace["certificate"] + 1e-9).all()


def test_without_a_bonus_nothing_is_certified():
    trace = DRRPO(tau=0.02, scale=0).run(RIVER, 2000)
    assert trace["allowance"][-1] == 0
    assert trace["suboptimality"][-1] > 0.1
    assert trace["optimism"].min() < -1


NOT_PROVEN = [
    {"scale": 0.03}, {"scale": 1, "ridge": 0.5}, {"scale": 1, "factor_clip": False}, {"scale": 1, "reference": "previous"},
    {"scale": 1, "bonus": "elliptical"}, {"scale": 1, "update": "mirror", "eta": 0.1}, {"scale": 1, "successors": 1},
    {"scale": 1, "penalty": 0.5}, {"beta": np.full(RIVER.horizon, 0.1)},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:the theorems' constants")
def test_what_certifies_nothing_is_not_called_a_certificate():
    for options in NOT_PROVEN:
        trace = DRRPO(**({"tau": 0.02} | options)).run(RIVER, 20)
        assert not trace.parameters["guarantee"]
        assert "certificate" not in trace.to_frame()
        assert "allowance" in trace.to_frame()
    theory = DRRPO(tau=0.02, scale=1).run(RIVER, 20)
    more = DRRPO(tau=0.02, beta=2 * theory.parameters["beta"]).run(RIVER, 20)
    for trace in (theory, more, DRRPO(tau=0, scale=1, rare=True, successors=7).run(RIVER, 20)):
        assert trace.parameters["guarantee"]
        assert (trace["suboptimality"] <= trace["certificate"]).all()


def test_it_learns_where_the_softmax_covers_the_factors_and_greed_is_stuck():
    soft = DRRPO(tau=0.02).run(OFF, 5000)
    assert soft["suboptimality"][-1] < 0.1 * soft["suboptimality"][0]
    greedy = DRLSVIUCB().run(OFF, 5000)
    np.testing.assert_allclose(greedy["suboptimality"], greedy["suboptimality"][0], atol=1e-9)


def test_robust_policies_win_in_the_worst_world_and_pay_in_the_nominal_one():
    mdp = instances.off_dynamics(0.6)
    robust, nominal = DRRPO(tau=0.005).run(mdp, 5000).policy, LinearOPPO().run(mdp, 5000).policy
    for q, least in ((1.0, 0.1), (0.0, 0.05)):
        world = instances.off_dynamics(0, q=q)
        returns = [robust_linear_evaluate(world, policy).values[0, 0] for policy in (robust, nominal)]
        assert (returns[0] - returns[1]) * (1 if q else -1) > least


def test_rare_plans_stay_within_the_determinants_bound():
    trace = DRRPO(tau=0.02, rare=True).run(RIVER, 5000)
    d, H = RIVER.dimension, RIVER.horizon
    assert trace["plans"][-1] <= 1 + H * d * np.log2(1 + 5000 / d)
    assert trace["plans"][-1] < 500


def test_the_mirror_step_with_an_infinite_rate_is_the_closed_form():
    from tabular_rl.algorithms.robust_linear.dr_rpo import mirror_step
    from tabular_rl.kernels.linear.robust_induction import soft_maximum

    rng = np.random.default_rng(0)
    q, reference = rng.random((2, 3, 4)), rng.dirichlet(np.ones(4), (2, 3))
    log_policy, policy = np.log(rng.dirichlet(np.ones(4), (2, 3))), np.empty((2, 3, 4))
    mirror_step(log_policy, policy, np.log(reference), q, 0.05, 1e12)
    for index in np.ndindex(2, 3):
        expected = np.empty(4)
        soft_maximum(q[index], np.log(reference[index]), 0.05, expected, np.empty(4))
        np.testing.assert_allclose(policy[index], expected, atol=1e-6)


@pytest.mark.parametrize(
    "learner",
    [
        DRRPO(penalty=0.5),
        DRRPO(reference="previous", tau=0.1),
        DRRPO(update="mirror", eta=1.0),
        DRRPO(factor_clip=False, shrink=False),
        LSVIUCB(),
        LinearOPPO(),
        LinearOPPO(robust=True),
    ],
)
def test_variants_run_and_repeat_bit_for_bit(learner):
    one, two, other = (learner.run(OFF, 200, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.policy, two.policy)
    assert not isinstance(learner, DRRPO) or not np.array_equal(one.policy, other.policy)  # greedy policies may coincide
    np.testing.assert_allclose(one.policy.sum(-1), 1)
    assert (one["plain_suboptimality"] >= -1e-9).all()


class Fixed:
    """Draws the given numbers."""

    def __init__(self, *numbers):
        self.numbers = iter(numbers)

    def random(self):
        return next(self.numbers)


def test_draws_stay_within_their_row():
    """Also where rounding leaves a sum below the number drawn; a number on a border belongs to what follows."""
    from tabular_rl.algorithms.robust_linear.learning import successor

    draw = getattr(successor, "py_func", successor)
    pointer, column, amount = np.array([0, 2, 4]), np.array([0, 2, 1, 2]), np.array([0.25, 0.75 - 1e-9, 0.5, 0.5])
    cumulative = np.array([[0.5, 1.0], [0.0, 1.0], [0.5, 1 - 1e-9]])
    last = 1 - 2**-53
    for row, numbers, found in [
        (0, (0.0, 0.0), (0, 0)),
        (0, (0.25, 0.5), (2, 1)),
        (0, (last, last), (2, 1)),
        (1, (0.0, 0.0), (1, 1)),
        (1, (0.5, 0.4), (2, 0)),
    ]:
        assert draw(pointer, column, amount, cumulative, row, Fixed(*numbers)) == found


def test_degenerate_problems():
    start_failed = replace(OFF, initial=3)
    assert (DRRPO().run(start_failed, 20)["suboptimality"] == 0).all()
    hopeless = instances.random_linear(radius=1.0)
    np.testing.assert_allclose(DRRPO(tau=0.1).run(hopeless, 20)["suboptimality"], 0, atol=1e-12)
    short = instances.random_linear(horizon=1)
    trace = DRRPO().run(short, 20)
    assert trace.parameters["beta"].tolist() == [0]
    np.testing.assert_allclose(trace["suboptimality"], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": -1}, "tau"),
        ({"tau": np.nan}, "tau"),
        ({"ridge": 0}, "ridge"),
        ({"scale": -0.1}, "scale"),
        ({"delta": 0}, "delta"),
        ({"delta": 1.5}, "delta"),
        ({"kind": "dense"}, "kind"),
        ({"successors": 0}, "successors"),
        ({"update": "other"}, "update"),
        ({"update": "mirror"}, "eta"),
        ({"update": "mirror", "eta": -1}, "eta"),
        ({"reference": "previous", "tau": 0}, "previous"),
        ({"reference": "previous", "update": "mirror", "eta": 1}, "previous"),
        ({"reference": "other"}, "reference"),
        ({"penalty": 0}, "penalty"),
        ({"bonus": "other"}, "bonus"),
        ({"evaluate_every": 0}, "evaluate_every"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        DRRPO(**arguments)


RUNS: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": "tabular"}, 10, "one-hot"),
    ({"beta": -np.ones(3)}, 10, "beta must be at least 0"),
    ({"beta": np.ones(2)}, 10, "beta"),
    ({"beta": np.array([1, np.nan, 1])}, 10, "beta"),
    ({"reference": np.zeros(OFF.shape)}, 10, "reference must be positive"),
    ({"reference": np.eye(OFF.shape[-1])[0] + np.zeros(OFF.shape)}, 10, "reference must be positive"),
    ({"reference": np.full(OFF.shape, 1 / 8)}, 10, "reference .* sum to 1"),
    ({"reference": np.ones((2, 2))}, 10, "reference"),
    ({"radius": 1.5}, 10, "radius"),
    ({"radius": np.full((3, 4), 0.1)}, 10, "radius must be 0 at known"),
    ({}, 0, "n must be at least 1"),
]


@pytest.mark.parametrize(("arguments", "n", "message"), RUNS)
def test_errors_of_a_run_name_the_argument(arguments, n, message):
    with pytest.raises(ValueError, match=message):
        DRRPO(**arguments).run(OFF, n)


def test_what_the_theorems_do_not_cover_is_said():
    with pytest.warns(UserWarning, match="need ridge >= 1"):
        DRRPO(ridge=0.5, scale=1)
    with pytest.raises(TypeError, match="RobustLinearMDP"):
        DRRPO().run(OFF.nominal, 10)
