"""Rewards of moves are kept: planners use their mean, nature and environments the move's own."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

import tabular_rl as trl
from tabular_rl.models import (
    DiscountedMDP,
    FiniteHorizonMDP,
    RobustMDP,
    from_arrays,
    from_functions,
    from_gymnasium,
    read_csv,
    to_arrays,
    to_gymnasium,
    write_csv,
)
from tabular_rl.planning import evaluate, solve

rng = np.random.default_rng(3)
S, A = 4, 3
P = rng.dirichlet(np.full(S, 0.3), (S, A))
P[P < 0.05] = 0
P /= P.sum(axis=-1, keepdims=True)
MOVES = rng.normal(size=(S, A, S)) * (P > 0)
MEAN = (P * MOVES).sum(axis=-1)
DENSE = DiscountedMDP(P, MOVES, 0.8)
SPARSE = DiscountedMDP(sp.csr_array(P.reshape(S * A, S)), sp.csr_array(MOVES.reshape(S * A, S)), 0.8)
each = pytest.mark.parametrize("mdp", [DENSE, SPARSE], ids=["dense", "sparse"])


def moves_of(mdp):
    R = mdp.move_rewards
    return R.toarray().reshape(S, A, S) if sp.issparse(R) else R


@each
def test_planning_uses_the_mean(mdp):
    np.testing.assert_allclose(mdp.reward, MEAN, atol=1e-15)
    np.testing.assert_array_equal(moves_of(mdp)[P > 0], MOVES[P > 0])
    plain = DiscountedMDP(P, MEAN, 0.8)
    np.testing.assert_allclose(solve(mdp, tolerance=1e-10).values, solve(plain, tolerance=1e-10).values, atol=1e-9)


def test_a_reward_of_all_moves_is_the_mean_bit_for_bit():
    third = np.array([[[1 / 3, 1 / 3, 1 - 2 / 3]]] * 3)
    assert DiscountedMDP(third, np.full((3, 1, 3), 0.1), 0.5).reward.tolist() == [[0.1]] * 3


@each
def test_every_conversion_keeps_them(mdp, tmp_path):
    write_csv(mdp, tmp_path / "model.csv")
    ways = {
        "csv": read_csv(tmp_path / "model.csv", 0.8),
        "arrays": from_arrays(*to_arrays(mdp), discount=0.8),
        "gymnasium": from_gymnasium(to_gymnasium(mdp), discount=0.8),
        "pickle": pickle.loads(pickle.dumps(mdp)),
        "saved": (trl.save(mdp, tmp_path / "model.npz"), trl.load(tmp_path / "model.npz"))[1],
    }
    for name, again in ways.items():
        np.testing.assert_allclose(moves_of(again)[P > 0], MOVES[P > 0], rtol=1e-15, err_msg=name)
        np.testing.assert_allclose(again.reward, MEAN, atol=1e-15, err_msg=name)


@each
def test_an_environment_pays_what_the_move_pays(mdp):
    env = to_gymnasium(mdp)
    state, _ = env.reset(seed=1)
    for k in range(200):
        after, reward, *_ = env.step(k % A)
        assert reward == MOVES[state, k % A, after]
        state = after


def test_finite_horizons_too():
    mdp = FiniteHorizonMDP(P, MOVES[None], horizon=3)
    np.testing.assert_allclose(mdp.reward[2], MEAN, atol=1e-15)
    varying = FiniteHorizonMDP(P, np.stack([MOVES, 2 * MOVES, 0 * MOVES]))
    np.testing.assert_allclose(varying.reward[1], 2 * MEAN, atol=1e-15)
    assert pickle.loads(pickle.dumps(varying)).move_rewards.tobytes() == varying.move_rewards.tobytes()
    env = to_gymnasium(varying)
    state, _ = env.reset(seed=1)
    after, reward, *_ = env.step(1)
    assert reward == MOVES[state, 1, after]
    state = after
    after, reward, *_ = env.step(2)
    assert reward == 2 * MOVES[state, 2, after]


def test_functions_and_toolboxes_bring_them():
    walk = from_functions(
        None, [0, 1], lambda s, a: {(s + 1) % 3: 0.5, s: 0.5}, lambda s, a, t: float(10 * (s == t)), initial=0, discount=0.9
    )
    assert walk.move_rewards[0, 0].tolist() == [10, 0, 5]  # what is not listed would earn the mean
    toolbox = from_arrays(P.transpose(1, 0, 2), MOVES.transpose(1, 0, 2), discount=0.9)
    np.testing.assert_array_equal(toolbox.move_rewards, MOVES)
    plain = from_functions(None, [0, 1], lambda s, a: (s + 1) % 3, lambda s, a: 1.0, initial=0, discount=0.9)
    assert plain.move_rewards is None


def test_nature_chooses_what_is_earned():
    """Staying in state 0 pays 10, leaving nothing; nature moves 0.2 of the mass: V = 0.3 (10 + 0.9 V)."""
    mdp = DiscountedMDP([[[0.5, 0.5]], [[0, 1]]], [[[10, 0]], [[0, 0]]], 0.9)
    robust = RobustMDP.from_mdp(mdp, trl.ambiguity.L1(0.4))
    exact = float(Fraction(3) / (1 - Fraction(9, 10) * Fraction(3, 10)))
    assert robust.to_rewards(solve(robust, tolerance=1e-10).values)[0] == pytest.approx(exact, abs=1e-8)
    by_hand = RobustMDP([[[0.5, 0.5]], [[0, 1]]], 1 - np.array([[[10, 0]], [[0, 0]]]) / 10, 0.9, 0, trl.ambiguity.L1(0.4))
    assert 10 * (1 / (1 - 0.9) - solve(by_hand, tolerance=1e-10).values[0]) == pytest.approx(exact, abs=1e-7)


@each
def test_without_ambiguity_robust_is_not_robust(mdp):
    robust = RobustMDP.from_mdp(mdp, trl.ambiguity.L1(0.0))
    np.testing.assert_allclose(robust.to_rewards(solve(robust, tolerance=1e-10).values), solve(mdp, tolerance=1e-10).values, atol=1e-7)


SHAPES = r"reward must have shape \(4, 3\) or"
WRONG = [
    (P, MOVES[..., :2], SHAPES + r" \(4, 3, 4\), of moves, got \(4, 3, 2\)"),
    (SPARSE.transition, MOVES, SHAPES + r" be a sparse matrix \(12, 4\) of moves"),
    (SPARSE.transition, sp.csr_array(np.ones((S * A, S))), r"reward\[\d+, \d\] belongs to a move that the kernel does not make"),
    (P, np.where(MOVES[1, 1].max() == MOVES, np.nan, MOVES), r"reward\[1, 1, \d\] is nan"),
]


@pytest.mark.parametrize("transition, moves, message", WRONG)
def test_wrong_rewards_of_moves_are_named(transition, moves, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        DiscountedMDP(transition, moves, 0.8)


def test_a_policy_earns_the_mean():
    policy = rng.dirichlet(np.ones(A), S)
    chain = np.einsum("sa,sat->st", policy, P)
    expected = np.linalg.solve(np.eye(S) - 0.8 * chain, np.einsum("sa,sat,sat->s", policy, P, MOVES))
    np.testing.assert_allclose(evaluate(DENSE, policy).values, expected, atol=1e-12)
