"""Robust problems whose states have different actions: the agent plays, and nature spends on, what exists alone; costs of moves.

The reference is filled by hand: a missing pair costs so much in every move that no policy plays it.
"""

from fractions import Fraction
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

import tabular_rl as trl
from tabular_rl import ambiguity as sets
from tabular_rl.algorithms import DRPG, IWOCS, BestResponses, ContaminationGradient, GradientDescentAscent, RobustMirrorDescent
from tabular_rl.models import DiscountedMDP, RobustMDP
from tabular_rl.planning import constants, gradients, robust_backup, robust_evaluate, saddle_certificate, solve

S, A, HIGH = 5, 3, 1e3
AVAILABLE = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]], bool)
LINE = np.abs(np.subtract.outer(np.arange(S), np.arange(S))) / S
SETS = {
    "L1": lambda r: sets.L1(0.4),
    "L1 full": lambda r: sets.L1(0.4, "full"),
    "weighted": lambda r: sets.WeightedL1(1 + r.random((S, A, S)), 0.4),
    "LInf": lambda r: sets.LInf(0.1),
    "L2": lambda r: sets.L2(0.2),
    "KL": lambda r: sets.KL(r.random((S, A))),
    "chi-square": lambda r: sets.ChiSquare(0.3),
    "density ratio": lambda r: sets.DensityRatio(0.6),
    "contamination": lambda r: sets.Contamination(0.2),
    "Wasserstein": lambda r: sets.Wasserstein(LINE, 0.1, "full"),
    "finite rows": lambda r: sets.FiniteRows(r.dirichlet(np.ones(S), (3, S, A))),
    "s L1": lambda r: sets.SRectangularL1(0.6 * r.random(S)),
    "s KL": lambda r: sets.SRectangularKL(0.4 * r.random(S)),
    "s L2": lambda r: sets.SRectangularL2(0.4 * r.random(S)),
}
METHODS = ("modified_policy_iteration", "value_iteration", "partial_policy_iteration")


def parts(kind, moves=False, seed=0):
    """(nominal with zeros, cost, set)."""
    rng = np.random.default_rng([seed, sum(map(ord, kind))])
    P = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < 0.7) + 0.1 * np.eye(S)[:, None]
    return P / P.sum(axis=2, keepdims=True), rng.random((S, A, S) if moves else (S, A)), SETS[kind](rng)


def pair(kind, moves=False, seed=0):
    """(the model with its mask, the same filled by hand)."""
    P, cost, ambiguity = parts(kind, moves, seed)
    dear = np.where(AVAILABLE[..., None] if moves else AVAILABLE, cost, HIGH)
    noise = np.where(AVAILABLE[..., None] if moves else AVAILABLE, cost, np.nan)  # whatever stands at missing pairs
    start = np.full(S, 1 / S)
    return RobustMDP(P, noise, 0.9, start, ambiguity, available=AVAILABLE), RobustMDP(P, dear, 0.9, start, ambiguity)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("kind", SETS)
def test_solvers_evaluators_and_saddle_points(kind, moves):
    masked, filled = pair(kind, moves)
    wanted = solve(filled, tolerance=1e-9).values
    for method in METHODS:
        solution = solve(masked, method, tolerance=1e-9)
        np.testing.assert_allclose(solution.values, wanted, atol=3e-9)
        assert solution.converged
        assert np.all(solution.policy[~AVAILABLE] == 0)
        assert np.all(np.isposinf(solution.q_values[~AVAILABLE]))
        assert np.all(np.isfinite(solution.q_values[AVAILABLE]))
    np.testing.assert_array_equal(solution.kernel[~AVAILABLE], masked.nominal[~AVAILABLE])
    saddle = saddle_certificate(masked, solution.policy, solution.kernel)
    assert saddle.lower <= masked.initial @ wanted + 1e-8
    assert saddle.gap <= 1e-7
    backup = robust_backup(masked, wanted)
    np.testing.assert_allclose(backup.values, wanted, atol=1e-8)
    assert not backup.policy[~AVAILABLE].any()
    policy = masked.uniform_policy
    ours, theirs = robust_evaluate(masked, policy), robust_evaluate(filled, policy)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-9)
    np.testing.assert_array_equal(ours.kernel[~AVAILABLE], masked.nominal[~AVAILABLE])
    slopes = gradients(masked, policy, ours.kernel)
    references = gradients(filled, policy, np.where(AVAILABLE[..., None], ours.kernel, filled.nominal))
    assert not slopes.policy[~AVAILABLE].any()
    np.testing.assert_allclose(slopes.policy[AVAILABLE], references.policy[AVAILABLE], rtol=1e-12)
    np.testing.assert_allclose(slopes.kernel, references.kernel, rtol=1e-12)
    with pytest.raises(ValueError, match="policy plays action 1 in state 0, which does not have it"):
        robust_evaluate(masked, np.full((S, A), 1 / A))


@pytest.mark.parametrize("ball", [sets.SRectangularL1(0.4), sets.L1(0.4)])
def test_an_action_elsewhere_changes_nothing_for_a_state_with_one(ball):
    """State 0 has one action; nature moves 0.2 of its mass: V(0) = 1 / (1 - 0.9 * 0.3), in fractions."""
    wanted = 1 / (1 - Fraction(9, 10) * (Fraction(1, 2) - Fraction(2, 5) / 2))
    step = {(0, "go"): {0: 0.5, 1: 0.5}, (1, "go"): {1: 1.0}, (1, "rest"): {1: 1.0}}
    for second in ([], ["rest"]):
        mdp = trl.from_functions(
            [0, 1], lambda s, a=second: ["go"] + a * s, lambda s, a: step[s, a], lambda s, a: 1.0 - s, initial=0, discount=0.9
        )
        robust = RobustMDP.from_mdp(mdp, ball)
        values = robust.to_rewards(solve(robust, tolerance=1e-12).values)
        assert values[0] == pytest.approx(float(wanted), abs=1e-11)


@pytest.mark.parametrize("kind", ["s L1", "s KL", "s L2"])
def test_one_backup_is_a_convex_program_over_the_rows_that_exist(kind):
    masked, _ = pair(kind, moves=True)
    values = np.random.default_rng(3).random(S)
    for s in range(S):
        rows, z = masked.nominal[s][AVAILABLE[s]], (masked.cost[s] + 0.9 * values)[AVAILABLE[s]]
        P, u, on = cp.Variable(rows.shape, nonneg=True), cp.Variable(), rows > 0
        radius = masked.ambiguity.radius[s]
        rules = [cp.sum(P, axis=1) == 1, cp.multiply(P, 1.0 * ~on) == 0, cp.sum(cp.multiply(P, z), axis=1) >= u]
        spent = {"s L1": cp.sum(cp.abs(P - rows)), "s L2": cp.norm(cp.vec(P - rows, order="C"), 2), "s KL": None}[kind]
        rules.append((cp.sum(cp.kl_div(P[on], rows[on])) if kind == "s KL" else spent) <= radius)
        assert robust_backup(masked, values).values[s] == pytest.approx(cp.Problem(cp.Maximize(u), rules).solve(cp.CLARABEL), abs=1e-5)


def test_what_a_set_says_about_missing_pairs_does_not_count():
    rng = np.random.default_rng(5)
    P, cost, _ = parts("L1")
    lower, upper = 0.5 * P, np.minimum(1.5 * P, 1)
    lower[~AVAILABLE], upper[~AVAILABLE] = 1, 0  # an empty set, there
    absurd = np.where(AVAILABLE, 0.3, 1e6)
    weights, kernels = 1 + rng.random((S, A, S)), rng.dirichlet(np.ones(S), (2, S, A))
    for there, plain in (
        (sets.Interval(lower, upper), sets.Interval(0.5 * P, np.minimum(1.5 * P, 1))),
        (sets.L1(absurd), sets.L1(0.3)),
        (sets.WeightedL1(np.where(AVAILABLE[..., None], weights, 1e-9), 0.3), sets.WeightedL1(weights, 0.3)),
        (sets.FiniteRows(np.where(AVAILABLE[..., None], kernels, 1 / S)), sets.FiniteRows(kernels)),
    ):
        dear = np.where(AVAILABLE, cost, HIGH)
        masked = RobustMDP(P, cost, 0.9, 0, there, available=AVAILABLE)
        wanted = solve(RobustMDP(P, dear, 0.9, 0, plain), tolerance=1e-9)
        np.testing.assert_allclose(solve(masked, tolerance=1e-9).values, wanted.values, atol=3e-9)


@pytest.mark.parametrize("kind", ["L1", "s L1", "contamination"])
def test_algorithms_play_what_exists(kind):
    masked, filled = pair(kind)
    optimum = float(masked.initial @ solve(filled, tolerance=1e-10).values)
    learners = [DRPG(), DRPG(inner="projected"), BestResponses(), GradientDescentAscent(step=0.05)]
    if kind != "s L1":
        learners += [RobustMirrorDescent(), IWOCS(), IWOCS(variant="minq")]
    if kind == "contamination":
        learners.append(ContaminationGradient())
    for learner in learners:
        trace = learner.run(masked, 60)
        policy = trace.policy
        assert not policy[~AVAILABLE].any()
        np.testing.assert_allclose(policy.sum(axis=1), 1, atol=1e-12)
        worst = robust_evaluate(masked, policy).objective
        assert worst >= optimum - 1e-9
        if not isinstance(learner, BestResponses | GradientDescentAscent):
            assert worst <= optimum + (0.05 if kind == "s L1" else 1e-3)
        if isinstance(learner, RobustMirrorDescent):
            first = RobustMirrorDescent(start=np.full((S, A), 1 / A), keep=True).run(masked, 2).parameters["log_policies"][0]
            np.testing.assert_allclose(np.exp(first), masked.uniform_policy)
        elif hasattr(learner, "start"):
            with pytest.raises(ValueError, match="which does not have it"):
                type(learner)(start=np.full((S, A), 1 / A)).run(masked, 2)
    assert not DRPG(keep=True).run(masked, 5).parameters["policies"][:, ~AVAILABLE].any()


def test_constants_count_the_most_actions_of_a_state():
    P, cost, ball = parts("L1")
    two = AVAILABLE.copy()
    two[2] = [True, True, False]
    masked = RobustMDP(P, cost, 0.9, 0, ball, available=two)
    size = max(np.abs(masked.cost_range))
    assert constants(masked).L_policy == pytest.approx(np.sqrt(2) * size / 0.01)
    assert constants(masked).ell_policy == pytest.approx(2 * 2 * 0.9 * size / 0.001)


@pytest.mark.parametrize("kind", ["L1", "KL", "s L1", "s KL", "s L2"])
def test_sparse_models_are_the_dense_ones(kind):
    P, cost, ambiguity = parts(kind, moves=True)
    dense = RobustMDP(P, cost, 0.9, 0, ambiguity, available=AVAILABLE)
    moves = sp.csr_array(np.where(P > 0, cost, 0).reshape(S * A, S))
    sparse = RobustMDP(sp.csr_array(P.reshape(S * A, S)), moves, 0.9, 0, ambiguity, available=AVAILABLE)
    ours, theirs = solve(sparse, tolerance=1e-10), solve(dense, tolerance=1e-10)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-9)
    np.testing.assert_allclose(ours.kernel.toarray().reshape(S, A, S), theirs.kernel, atol=1e-6)


@pytest.mark.parametrize("support", ["nominal", "full"])
def test_rewards_of_moves_become_costs_of_moves(support):
    """Dense, sparse and by hand; ranges are those of moves that can be made, and what nobody lists earns 0."""
    P, rewards, _ = parts("L1", moves=True)
    rewards = np.where(P > 0, 5 + 5 * rewards, 0)
    ball, start = sets.L1(0.5, support), np.full(S, 1 / S)
    dense = DiscountedMDP(P, rewards, 0.9, start, available=AVAILABLE)
    sparse = DiscountedMDP(sp.csr_array(P.reshape(S * A, S)), sp.csr_array(rewards.reshape(S * A, S)), 0.9, start, available=AVAILABLE)
    hand = RobustMDP(P, np.where(AVAILABLE[..., None], -rewards, HIGH), 0.9, start, ball)
    wanted = -solve(hand, tolerance=1e-9).values
    for mdp in (dense, sparse):
        robust = RobustMDP.from_mdp(mdp, ball)
        there = rewards[AVAILABLE[..., None] & ((P > 0) | (support == "full"))]
        assert robust.reward_range == pytest.approx((there.min(), there.max()))
        np.testing.assert_allclose(robust.to_rewards(solve(robust, tolerance=1e-10).values), wanted, atol=1e-7)


@pytest.mark.parametrize("kind", ["L1", "s L1", "contamination"])
def test_every_algorithm_counts_costs_of_moves(kind):
    masked, filled = pair(kind, moves=True, seed=1)
    optimum = float(masked.initial @ solve(filled, tolerance=1e-10).values)
    learners = [DRPG()] + ([RobustMirrorDescent(), IWOCS()] if kind != "s L1" else [])
    learners += [ContaminationGradient()] if kind == "contamination" else []
    for learner in learners:
        worst = robust_evaluate(masked, learner.run(masked, 400).output).objective
        assert optimum - 1e-9 <= worst <= optimum + (0.05 if kind == "s L1" else 1e-3)


@pytest.mark.parametrize("kind", [sets.FiniteSRectangular, sets.FiniteKernels])
def test_lists_of_whole_kernels(kind):
    rng = np.random.default_rng(8)
    kernels, cost = rng.dirichlet(np.ones(S), (3, S, A)), rng.random((S, A, S))
    masked = RobustMDP(kernels[0], cost, 0.9, 0, kind(kernels), available=AVAILABLE)
    filled = RobustMDP(kernels[0], np.where(AVAILABLE[..., None], cost, HIGH), 0.9, 0, kind(kernels))
    ours, theirs = robust_evaluate(masked, masked.uniform_policy), robust_evaluate(filled, masked.uniform_policy)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-10)
    np.testing.assert_array_equal(ours.kernel[~AVAILABLE], masked.nominal[~AVAILABLE])
    trace = DRPG().run(masked, 20)
    assert not trace.policy[~AVAILABLE].any()


@pytest.mark.parametrize("name", ["machine_replacement", "riverswim", "riverswim2", "riverswim3"])
@pytest.mark.parametrize("dropped", [(), ((1, 0), (3, 1))])
def test_published_files_against_a_plain_loop(name, dropped, tmp_path):
    """Rewards of moves under the worst of an L1 ball, by sorting the lines of the file; some pairs taken out."""
    file = Path(trl.__file__).parent / "instances" / "data" / "rmdp" / f"{name}_mdp.csv"
    head, *lines = [line for line in file.read_text().splitlines() if line]
    table = [[float(x) for x in line.split(",")] for line in lines]
    table = [row for row in table if (int(row[0]), int(row[1])) not in dropped]
    (tmp_path / "model.csv").write_text("\n".join([head, *(",".join(f"{x:g}" for x in row) for row in table)]))
    pairs: dict = {}
    for s, a, t, p, r in table:
        pairs.setdefault((int(s), int(a)), []).append((int(t), p, r))
    values = np.zeros(1 + max(s for s, _ in pairs))
    for _ in range(300):
        q = {}
        for (s, _), moves in pairs.items():
            z = sorted((r + 0.9 * values[t], p) for t, p, r in moves)
            worst, left = sum(x * p for x, p in z), 0.2
            for x, p in reversed(z):
                moved = min(p, left)
                worst, left = worst - moved * (x - z[0][0]), left - moved
            q[s] = max(q.get(s, -np.inf), worst)
        values = np.array([q[s] for s in range(len(values))])
    mdp = trl.models.read_csv(tmp_path / "model.csv", discount=0.9)
    robust = RobustMDP.from_mdp(mdp, sets.L1(0.4))
    assert mdp.has_all_actions == (not dropped)
    size = np.ptp(robust.reward_range)
    np.testing.assert_allclose(robust.to_rewards(solve(robust, tolerance=1e-11).values), values, atol=1e-9 * size)
