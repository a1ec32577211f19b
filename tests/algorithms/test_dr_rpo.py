"""DR-RPO: equivalences, optimism and certificates at the theory's constants, what it learns and where it must be stuck."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tabular_rl.algorithms.dr_rpo import DRRPO
from tabular_rl.algorithms.dr_rpo_baselines import DRLSVIUCB, LSVIUCB, LinearOPPO
from tabular_rl.instances import robust_linear as instances
from tabular_rl.planning.robust_linear import robust_linear_evaluate, robust_linear_solve

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


@pytest.mark.parametrize("mdp", [RIVER, OFF, instances.random_linear(6, 6, 4, 4)], ids=["river", "off", "random"])
def test_at_scale_one_values_are_optimistic_and_certified(mdp):
    trace = DRRPO(tau=0.02, scale=1).run(mdp, 1000)
    assert trace["optimism"].min() >= -1e-9
    assert (trace["suboptimality"] <= trace["certificate"] + 1e-9).all()


def test_without_a_bonus_nothing_is_certified():
    trace = DRRPO(tau=0.02, scale=0).run(RIVER, 2000)
    assert trace["certificate"][-1] == 0
    assert trace["suboptimality"][-1] > 0.1
    assert trace["optimism"].min() < -1


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
    from tabular_rl.algorithms.dr_rpo import mirror_step
    from tabular_rl.kernels.linear_robust import soft_maximum

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


def test_degenerate_problems():
    start_failed = replace(OFF, initial=3)
    assert (DRRPO().run(start_failed, 20)["suboptimality"] == 0).all()
    hopeless = instances.random_linear(radius=1.0)
    np.testing.assert_allclose(DRRPO(tau=0.1).run(hopeless, 20)["suboptimality"], 0, atol=1e-12)
    short = instances.random_linear(horizon=1)
    trace = DRRPO().run(short, 20)
    assert trace.parameters["beta"].tolist() == [0]
    np.testing.assert_allclose(trace["suboptimality"], 0, atol=1e-12)


def test_errors_name_the_argument():
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tau": -1}, "tau"),
        ({"ridge": 0}, "ridge"),
        ({"update": "mirror"}, "eta"),
        ({"update": "mirror", "eta": -1}, "eta"),
        ({"reference": "previous", "tau": 0}, "previous"),
        ({"reference": "other"}, "reference"),
        ({"penalty": 0}, "penalty"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            DRRPO(**arguments)
    with pytest.raises(ValueError, match="one-hot"):
        DRRPO(kind="tabular").run(OFF, 10)
    with pytest.raises(ValueError, match="beta"):
        DRRPO(beta=-np.ones(3)).run(OFF, 10)
    with pytest.raises(TypeError, match="RobustLinearMDP"):
        DRRPO().run(OFF.nominal, 10)
