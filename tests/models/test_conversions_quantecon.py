"""QuantEcon's DiscreteDP in each of its forms, in and out: solved by both to the same values."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from quantecon.markov import DiscreteDP

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, from_quantecon, to_quantecon
from tabular_rl.planning import solve

S, A, BETA = 6, 3, 0.9
rng = np.random.default_rng(7)
Q = rng.dirichlet(np.full(S, 0.4), (S, A))
R = rng.normal(size=(S, A))
LACKS = [(0, 1), (0, 2), (3, 0), (5, 1)]
LISTED = [(s, a) for s in range(S) for a in range(A) if (s, a) not in LACKS]


def product_form(infeasible=()):
    reward = R.copy()
    for pair in infeasible:
        reward[pair] = -np.inf
    return DiscreteDP(reward, Q, BETA)


def pair_form(pairs, convert=np.asarray):
    s, a = np.array(pairs).T
    return DiscreteDP(R[s, a], convert(Q[s, a]), BETA, s, a)


ALL = list(np.ndindex(S, A))
FORMS = {
    "product": (product_form(), ALL),
    "product, infeasible": (product_form(LACKS), LISTED),
    "pairs": (pair_form(ALL), ALL),
    "pairs, some": (pair_form(LISTED), LISTED),
    "pairs, any order": (pair_form(LISTED[::-1]), LISTED),
    "pairs, sparse": (pair_form(LISTED, sp.csr_matrix), LISTED),
    "from product to pairs": (product_form(LACKS).to_sa_pair_form(), LISTED),
    "from pairs to product": (pair_form(LISTED).to_product_form(), LISTED),
}
each = pytest.mark.parametrize("ddp, pairs", FORMS.values(), ids=FORMS)


@each
def test_feasible_pairs_keep_their_rows_and_rewards(ddp, pairs):
    mdp = from_quantecon(ddp)
    assert mdp.shape == (S, A)
    assert mdp.discount == BETA
    for s, a in ALL:
        source = a if (s, a) in pairs else next(b for b in range(A) if (s, b) in pairs)
        np.testing.assert_allclose(mdp.transition[s, a], Q[s, source], atol=1e-16)
        assert mdp.reward[s, a] == R[s, source]


@each
def test_both_solve_it_to_the_same_values(ddp, pairs):
    theirs = ddp.solve(method="policy_iteration").v
    np.testing.assert_allclose(solve(from_quantecon(ddp), tolerance=1e-10).values, theirs, atol=1e-9)


def test_large_problems_stay_sparse():
    n = 3000
    ddp = DiscreteDP(np.zeros(n), sp.eye_array(n, format="csr").tocsr()[np.roll(np.arange(n), 1)], 0.5, np.arange(n), np.zeros(n, int))
    mdp = from_quantecon(ddp, initial=4)
    assert mdp.is_sparse
    assert np.argmax(mdp.initial) == 4


MODELS = [instances.garnet(), instances.river_swim(discount=0.99), instances.large_garnet(60, 4, 5), instances.frozen_lake()]


@pytest.mark.parametrize("mdp", MODELS, ids=repr)
def test_there_they_are_solved_to_our_values(mdp):
    theirs = to_quantecon(mdp).solve(method="policy_iteration")
    np.testing.assert_allclose(solve(mdp, tolerance=1e-9).values, theirs.v, atol=1e-8)


@pytest.mark.parametrize("mdp", MODELS, ids=repr)
def test_there_and_back_is_the_same_model(mdp):
    again = from_quantecon(to_quantecon(mdp), mdp.initial)
    flat = mdp.transition.toarray().reshape(again.transition.shape) if mdp.is_sparse else mdp.transition
    np.testing.assert_array_equal(again.transition, flat)
    np.testing.assert_array_equal(again.reward, mdp.reward)
    np.testing.assert_array_equal(again.initial, mdp.initial)


def test_what_goes_out_can_be_written():
    mdp = instances.garnet()
    ddp = to_quantecon(mdp)
    ddp.R[:] = 0
    ddp.Q[:] = 0
    assert mdp.reward.max() > 0


def test_sparse_models_go_out_as_pairs():
    mdp = DiscountedMDP(sp.csr_array(Q.reshape(S * A, S)), R, BETA)
    ddp = to_quantecon(mdp)
    assert sp.issparse(ddp.Q)
    assert ddp.num_sa_pairs == S * A


def changed(**attributes):
    ddp = product_form()
    return SimpleNamespace(**({name: getattr(ddp, name) for name in ("R", "Q", "beta", "s_indices", "a_indices")} | attributes))


WRONG = [
    ({"beta": 1.0}, r"ddp.beta must lie in \(0, 1\), got 1.0"),
    ({"beta": 0}, r"ddp.beta must lie in \(0, 1\)"),
    ({"R": np.where(R[1, 2] == R, np.nan, R)}, r"reward\[1, 2\] is nan"),
    ({"R": np.where(R[1, 2] == R, np.inf, R)}, r"reward\[1, 2\] is inf"),
    ({"R": np.full((S, A), -np.inf)}, "state 0 has no action: give it one"),
    ({"Q": np.zeros((S, A, S))}, r"ddp.Q\[0, 0\] sums to 0.0, expected 1"),
    ({"Q": 2 * Q}, r"ddp.Q\[0, 0\] sums to 2"),
    ({"Q": Q - np.eye(S)[[0]] + np.eye(S)[[1]]}, r"transition\[0, 0, 0\] is -"),
]


@pytest.mark.parametrize("attributes, message", WRONG)
def test_a_wrong_problem_is_an_error(attributes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_quantecon(changed(**attributes))


def test_what_is_no_problem_of_quantecon_is_named():
    for wrong in (None, 3, np.eye(2), instances.garnet()):
        with pytest.raises(TypeError, match=r"^ddp must be a quantecon DiscreteDP, got"):
            from_quantecon(wrong)
    with pytest.raises(TypeError, match=r"^mdp must be a DiscountedMDP, got FiniteHorizonMDP"):
        to_quantecon(instances.bandit())
