"""The (P, R) of the MDP toolboxes, in each of their forms."""

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, from_arrays, to_arrays
from tabular_rl.planning import solve

A, S = 3, 4
rng = np.random.default_rng(5)
P = rng.dirichlet(np.full(S, 0.3), (A, S))
P[0, 0], P[2, 1] = np.eye(S)[2], np.eye(S)[0]
R = rng.normal(size=(A, S, S))
EXPECTED = np.einsum("ast,ast->sa", P, R)


def cells(matrices):
    """An object array of matrices, as the toolboxes make them."""
    found = np.empty(len(matrices), object)
    found[:] = list(matrices)
    return found


def sparse(form):
    return lambda x: [form(matrix) for matrix in x]


WAYS = {
    "array": np.asarray,
    "lists": np.ndarray.tolist,
    "list of arrays": list,
    "tuple of arrays": tuple,
    "object array": lambda x: x.astype(object),
    "sparse": sparse(sp.csr_array),
    "sparse matrices": sparse(sp.coo_matrix),
    "some sparse": lambda x: [x[0], *sparse(sp.csc_matrix)(x[1:])],
    "sparse in cells": lambda x: cells(sparse(sp.lil_matrix)(x)),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
def test_every_form_of_the_transitions(way):
    mdp = from_arrays(way(P), R[0, :, :A], discount=0.9)
    flat = mdp.transition.toarray().reshape(S, A, S) if mdp.is_sparse else mdp.transition
    np.testing.assert_array_equal(flat, P.transpose(1, 0, 2))
    np.testing.assert_array_equal(mdp.reward, R[0, :, :A])


@each_way
@pytest.mark.parametrize("form", [np.asarray, sparse(sp.csr_matrix)], ids=["dense", "sparse"])
def test_every_form_of_the_rewards_of_transitions(way, form):
    np.testing.assert_allclose(from_arrays(form(P), way(R), discount=0.9).reward, EXPECTED, atol=1e-15)


def test_rewards_of_states_and_of_pairs():
    state, pair = rng.random(S), rng.random((S, A))
    np.testing.assert_array_equal(from_arrays(P, state, discount=0.9).reward, np.repeat(state[:, None], A, axis=1))
    np.testing.assert_array_equal(from_arrays(P, pair.tolist(), discount=0.9).reward, pair)


@each_way
def test_a_horizon_makes_episodes(way):
    mdp = from_arrays(way(P), R, horizon=5, initial=3)
    assert isinstance(mdp, FiniteHorizonMDP)
    assert mdp.shape == (5, S, A)
    np.testing.assert_array_equal(mdp.transition[4], P.transpose(1, 0, 2))
    assert mdp.initial[3] == 1


@pytest.mark.parametrize("mdp", [instances.garnet(), instances.large_garnet(40, 3, 4)], ids=repr)
def test_there_and_back_is_the_same_model(mdp):
    again = from_arrays(*to_arrays(mdp), discount=mdp.discount, initial=mdp.initial)
    assert again.is_sparse == mdp.is_sparse
    for name in ("data", "indices", "indptr") if mdp.is_sparse else ():
        np.testing.assert_array_equal(getattr(again.transition, name), getattr(mdp.transition, name))
    if not mdp.is_sparse:
        np.testing.assert_array_equal(again.transition, mdp.transition)
    np.testing.assert_array_equal(again.reward, mdp.reward)


def test_the_forest_of_the_toolboxes():
    """Their first example: three ages, wait or cut, a fire with probability 0.1, discount 0.9; their policy is (0, 0, 0)."""
    waits = [[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]]
    mdp = from_arrays([waits, [[1, 0, 0]] * 3], [[0, 0], [0, 1], [4, 2]], discount=0.9)
    solution = solve(mdp, tolerance=1e-9)
    assert solution.actions.tolist() == [0, 0, 0]
    np.testing.assert_allclose(solution.values, [26.244, 29.484, 33.484], atol=1e-6)


def with_entry(value):
    array = P.copy()
    array[1, 2, 3] = value
    return array


WRONG_P = [
    (with_entry(np.nan), ValueError, r"P\[1, 2, 3\] is nan"),
    (with_entry(-1), ValueError, r"P\[1, 2, 3\] is -1.0, expected a probability"),
    (with_entry(2), ValueError, r"P\[1, 2\] sums to"),
    (P[0], ValueError, r"P must have shape \(any, any, any\), got \(4, 4\)"),
    (P[:2, :3], ValueError, r"P\[0\] must have shape \(S, S\), the same for every action, got \(3, 4\)"),
    (P[:0], ValueError, "P must hold one matrix per action, got none"),
    ([], ValueError, "P must have shape"),
    (np.zeros((2, 0, 0)), ValueError, r"P\[0\] must have shape"),
    ([P[0], P[1, :3]], ValueError, "P must be a rectangular array"),
    ([sp.csr_array(P[0]), sp.csr_array(P[1, :3])], ValueError, r"P\[1\] must have shape"),
    ([sp.csr_array(P[0]), "x"], TypeError, r"P\[1\] must be an array of numbers"),
    ([sp.csr_array(P[0]), 3], ValueError, r"P\[1\] must have shape \(any, any\), got \(\)"),
    ([sp.csr_array(np.where(P[0] == P[0, 1, 1], np.nan, P[0]))], ValueError, r"P\[0\]\[1, 1\] is nan"),
    ([sp.csr_array(P[0] * np.nan)], ValueError, "state 0 has no action"),
    ([sp.csr_array(P[0] * 0.5)], ValueError, r"P\[0\]\[0\] sums to 0.5"),
    ([sp.csr_array(P[0] * 1j)], TypeError, r"P\[0\] must be a matrix of real numbers"),
    (None, TypeError, "P must be an array of real numbers"),
    (3, ValueError, "P must have shape"),
    (iter(P), TypeError, "P must be an array of real numbers"),
    (sp.csr_array(P[0]), TypeError, "P must be an array of real numbers"),
]


@pytest.mark.parametrize("wrong, error, message", WRONG_P)
def test_wrong_transitions_are_named(wrong, error, message):
    with pytest.raises(error, match=f"^{message}"):
        from_arrays(wrong, np.zeros(S), discount=0.9)


WRONG_R = [
    (np.zeros(S + 1), ValueError, r"R must have shape \(4,\), \(4, 3\) or \(3, 4, 4\), got \(5,\)"),
    (np.zeros((A, S)), ValueError, "R must have shape"),
    (np.full((S, A), np.inf), ValueError, r"R\[0, 0\] is inf"),
    (None, TypeError, "R must be an array"),
    ([sp.csr_array((S, S))] * 2, ValueError, r"R must hold 3 matrices of shape \(4, 4\), got 2 of shape"),
    ([sp.csr_array((S + 1, S + 1))] * A, ValueError, r"R must hold 3 matrices of shape \(4, 4\), got 3 of shape \(5, 5\)"),
    ([sp.csr_array(np.diag(np.full(S - 1, np.nan), 1) + 1)] * A, ValueError, r"R\[0\]\[0, 1\] is nan"),
]


@pytest.mark.parametrize("wrong, error, message", WRONG_R)
def test_wrong_rewards_are_named(wrong, error, message):
    with pytest.raises(error, match=f"^{message}"):
        from_arrays(P, wrong, discount=0.9)


@pytest.mark.parametrize("setting, error, message", [
    ({}, ValueError, "give exactly one of discount and horizon"),
    ({"discount": 0.9, "horizon": 3}, ValueError, "give exactly one of discount and horizon"),
    ({"discount": 1.5}, ValueError, r"discount must lie in \(0, 1\)"),
    ({"horizon": 0}, ValueError, "horizon must be at least 1"),
    ({"horizon": 2.5}, TypeError, "horizon must be an integer"),
])  # fmt: skip
def test_a_horizon_or_a_discount(setting, error, message):
    with pytest.raises(error, match=f"^{message}"):
        from_arrays(P, np.zeros(S), **setting)


def test_episodes_that_fit_no_memory_are_refused():
    n = 40_000
    with pytest.raises(ValueError, match=r"^a finite horizon needs a dense transition, 11.9 GiB for S=40000, A=1; give a discount instead"):
        from_arrays([sp.eye_array(n, format="csr")], np.zeros(n), horizon=2)


def test_only_discounted_models_have_these_arrays():
    with pytest.raises(TypeError, match=r"^mdp must be a DiscountedMDP, got FiniteHorizonMDP"):
        to_arrays(instances.bandit())
    assert isinstance(from_arrays(P, R, discount=0.5), DiscountedMDP)


SQUARE = np.random.default_rng(7).dirichlet(np.ones(3), (3, 3))  # [s, a, t], as many states as actions


@pytest.mark.parametrize("layout, axes", [("ast", (1, 0, 2)), ("sat", (0, 1, 2)), ("sta", (0, 2, 1))])
def test_a_layout_is_told_or_guessed_where_only_one_fits(layout, axes):
    oblong = np.random.default_rng(8).dirichlet(np.ones(4), (4, 3))
    rewards = np.random.default_rng(9).random(oblong.shape)
    for P, R in ((oblong, rewards), (SQUARE, rewards[:3, :, :3])):
        mdp = from_arrays(P.transpose(axes), R.transpose(axes), discount=0.9, layout=layout)
        np.testing.assert_array_equal(mdp.transition, P)
        np.testing.assert_array_equal(mdp.move_rewards, R)
    np.testing.assert_array_equal(from_arrays(oblong.transpose(axes), rewards.transpose(axes), discount=0.9).transition, oblong)


def test_rows_decide_between_layouts():
    np.testing.assert_array_equal(from_arrays(SQUARE.transpose(0, 2, 1), np.zeros(3), discount=0.9).transition, SQUARE)


@pytest.mark.parametrize("P", [SQUARE, SQUARE.transpose(1, 0, 2), SQUARE.tolist(), list(SQUARE)])
def test_a_layout_that_cannot_be_told_is_asked_for(P):
    with pytest.raises(ValueError, match=r"^layout is needed: P of shape \(3, 3, 3\) reads as 'ast' or as 'sat'"):
        from_arrays(P, np.zeros(3), discount=0.9)


def test_a_layout_that_makes_no_difference_is_not_asked_for():
    P = np.broadcast_to(SQUARE[0, 0], (3, 3, 3))
    np.testing.assert_array_equal(from_arrays(P, np.zeros(3), discount=0.9).transition, P)


@pytest.mark.parametrize("layout, message", [
    ("SAS", "layout must be one of 'ast', 'sat', 'sta', got 'SAS'"),
    ("sta", "P must have the axes 'sta'"),
])  # fmt: skip
def test_a_wrong_layout_is_named(layout, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_arrays(P, np.zeros(S), discount=0.9, layout=layout)


def test_float32_and_rounded_rows_are_normalized_on_request():
    rounded, single = P.round(6), P.astype(np.float32)
    for given in (rounded, single, [sp.csr_array(p) for p in rounded], [sp.csr_array(p) for p in single]):
        with pytest.raises(ValueError, match=r"sums to .*normalize=True divides every row by its sum"):
            from_arrays(given, np.zeros(S), discount=0.9)
        mdp = from_arrays(given, np.zeros(S), discount=0.9, normalize=True)
        flat = mdp.transition.toarray() if mdp.is_sparse else mdp.transition.reshape(S * A, S)
        np.testing.assert_allclose(flat, P.transpose(1, 0, 2).reshape(S * A, S), atol=2e-6)
        assert mdp.row_error < 1e-15
    with pytest.raises(ValueError, match=r"^P\[0, 0\] sums to 2.0, expected 1 within 0.05$"):
        from_arrays(2 * P, np.zeros(S), discount=0.9, normalize=True)
    with pytest.raises(TypeError, match=r"^normalize must be True or False, got 'yes'"):
        from_arrays(P, np.zeros(S), discount=0.9, normalize="yes")
