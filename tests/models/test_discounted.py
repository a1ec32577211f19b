"""Discounted models, dense and in every sparse form."""

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import solve

S, A = 4, 3
rng = np.random.default_rng(1)
P = rng.dirichlet(np.full(S, 0.3), (S, A))
P[0, 0] = [0, 0.25, 0, 0.75]
R = rng.random((S, A))
FLAT = P.reshape(S * A, S)


def sparse_model(matrix):
    return DiscountedMDP(matrix, R, 0.9)


@pytest.mark.parametrize("discount", [0, 1, -0.5, np.nan, np.inf, 10**400, 1 - np.longdouble(1e-18)])
def test_the_discount_lies_between_0_and_1(discount):
    with pytest.raises(ValueError, match=r"^discount must lie in \(0, 1\), got"):
        DiscountedMDP(P, R, discount)


def test_a_discount_of_1_is_answered_with_what_there_is():
    for one in (1, 1.0, np.float64(1)):
        with pytest.raises(ValueError, match=r"got 1.0: take a FiniteHorizonMDP for total reward, or .* a discount near 1"):
            DiscountedMDP(P, R, one)


@pytest.mark.parametrize("discount", ["0.9", None, True, [0.9], np.array(0.9), 0.9j])
def test_the_discount_is_a_number(discount):
    with pytest.raises(TypeError, match=r"^discount must be a real number, got"):
        DiscountedMDP(P, R, discount)


def test_there_is_a_state_and_an_action():
    for shape in ((0, 2), (2, 0)):
        with pytest.raises(
            ValueError, match=r"^transition must have shape \[S, A, S\], or be sparse of shape \(S\*A, S\) with row s \* A \+ a, got"
        ):
            DiscountedMDP(np.zeros((*shape, shape[0])), np.zeros(shape), 0.9)


def test_what_the_solvers_certify_with():
    dense, sparse = DiscountedMDP(P, R, 0.9), sparse_model(sp.csr_array(FLAT))
    for mdp in (dense, sparse):
        assert mdp.row_entries == np.count_nonzero(P, axis=-1).max()
        assert mdp.row_error <= 4e-16
    shifted = P.copy()
    shifted[1, 1, 1] += 5e-10
    assert DiscountedMDP(shifted, R, 0.9).row_error == pytest.approx(5e-10, rel=1e-5)
    assert sparse_model(sp.csr_array(shifted.reshape(S * A, S))).row_error == pytest.approx(5e-10, rel=1e-5)


FORMS = [form for kind in ("array", "matrix") for form in (f"{name}_{kind}" for name in ("csr", "csc", "coo", "lil", "dok", "bsr"))]


@pytest.mark.parametrize("form", FORMS)
def test_every_sparse_form_is_the_same_model(form):
    mdp = sparse_model(getattr(sp, form)(FLAT))
    assert mdp.is_sparse
    assert type(mdp.transition) is sp.csr_array
    assert mdp.transition.indices.dtype == mdp.transition.indptr.dtype == np.int32
    assert mdp.transition.has_sorted_indices
    np.testing.assert_array_equal(mdp.transition.toarray(), FLAT)


def test_duplicates_add_up():
    twice = sp.coo_array((np.tile(sp.coo_array(FLAT).data / 2, 2), tuple(np.tile(sp.coo_array(FLAT).coords, 2))), shape=FLAT.shape)
    mdp = sparse_model(twice)
    assert mdp.transition.nnz == np.count_nonzero(FLAT)
    np.testing.assert_array_equal(mdp.transition.toarray(), FLAT)


def test_unsorted_long_indices_are_put_in_order_and_the_callers_stay():
    csr = sp.csr_array(FLAT)
    start, end = csr.indptr[:2]
    data, indices = csr.data.copy(), csr.indices.astype(np.int64)
    data[start:end], indices[start:end] = data[start:end][::-1].copy(), indices[start:end][::-1].copy()
    given = sp.csr_array((data, indices, csr.indptr.astype(np.int64)), shape=csr.shape)
    before = given.indices.copy()
    mdp = sparse_model(given)
    np.testing.assert_array_equal(mdp.transition.toarray(), FLAT)
    assert np.all(np.diff(mdp.transition.indices[:2]) > 0)
    np.testing.assert_array_equal(given.indices, before)


def test_stored_zeros_are_dropped():
    csr = sp.csr_array(np.where(FLAT == 0, 7, FLAT))
    csr.data[csr.data == 7] = 0
    assert sparse_model(csr).transition.nnz == np.count_nonzero(FLAT)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_every_real_dtype_becomes_float64(dtype):
    mdp = sparse_model(sp.csr_array(np.eye(S)[rng.integers(S, size=S * A)].astype(dtype)))
    assert mdp.transition.data.dtype == np.float64


def test_dense_and_sparse_have_the_same_values():
    sparse, dense = (solve(mdp, tolerance=1e-9).values for mdp in (sparse_model(sp.csr_array(FLAT)), DiscountedMDP(P, R, 0.9)))
    np.testing.assert_allclose(sparse, dense, atol=2e-9)


def wrong_sparse(change):
    matrix = sp.csr_array(FLAT)
    change(matrix)
    return matrix


def entry(value):
    def change(matrix):
        matrix.data[1] = value

    return change


def index(value):
    def change(matrix):
        matrix.indices[1] = value

    return change


WRONG = [
    (entry(np.nan), r"transition\[0, 3\] is nan, expected a finite number"),
    (entry(np.inf), r"transition\[0, 3\] is inf, expected a finite number"),
    (entry(-0.5), r"transition\[0, 3\] is -0.5, expected a probability >= 0"),
    (entry(0.5), r"transition\[0\] sums to 0.75, expected 1 within 1e-09"),
    (entry(0), r"transition\[0\] sums to 0.25"),
    (index(S), "transition is not a valid sparse matrix"),
    (index(-1), "transition is not a valid sparse matrix"),
    (index(10**9), "transition is not a valid sparse matrix"),
]


def pointer(value):
    def change(matrix):
        matrix.indptr[-1] = value

    return change


WRONG += [(pointer(value), "transition is not a valid sparse matrix") for value in (10**9, -1, -(2**31))]


@pytest.mark.parametrize("change, message", WRONG)
def test_a_wrong_entry_is_named(change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        sparse_model(wrong_sparse(change))


def test_wrong_indices_of_every_form_are_found():
    wrong = [getattr(sp, form)(FLAT) for form in ("csc_array", "bsr_array", "coo_array", "coo_matrix")]
    for matrix in wrong:
        (matrix.coords[1] if matrix.format == "coo" else matrix.indices)[-1] = 10**8
        with pytest.raises(ValueError, match=f"^transition is not a valid sparse matrix: its {matrix.format} indices lead outside"):
            sparse_model(matrix)


@pytest.mark.parametrize("shape", [(S * A, S + 1), (S * A + 1, S)])
def test_the_shape_is_pairs_by_states(shape):
    with pytest.raises(
        ValueError, match=r"^transition must have shape \[S, A, S\], or be sparse of shape \(S\*A, S\) with row s \* A \+ a, got"
    ):
        sparse_model(sp.csr_array(shape))


def test_the_reward_belongs_to_the_pairs_of_the_transition():
    with pytest.raises(ValueError, match=r"^reward must have shape \(4, 1\) or be a sparse matrix \(4, 4\) of moves, got \(4, 3\)"):
        sparse_model(sp.csr_array((S, S)))


def test_complex_matrices_are_refused():
    with pytest.raises(TypeError, match=r"^transition must be a matrix of real numbers, got dtype complex128"):
        sparse_model(sp.csr_array(FLAT.astype(complex)))


def test_a_matrix_without_entries_has_no_rows_that_sum_to_one():
    with pytest.raises(ValueError, match=r"^transition\[0\] sums to 0"):
        sparse_model(sp.csr_array(FLAT.shape))


def test_a_sparse_reward_is_refused():
    with pytest.raises(TypeError, match=r"^reward must be an array of real numbers"):
        DiscountedMDP(P, sp.csr_array(R), 0.9)


def test_a_model_prints_its_size():
    assert repr(DiscountedMDP(P, R, 0.9)) == "DiscountedMDP(S=4, A=3, discount=0.9, dense)"
    assert repr(sparse_model(sp.eye_array(S * A, S, format="csr")[[0] * 12])) == "DiscountedMDP(S=4, A=3, discount=0.9, sparse, 12 entries)"
    assert DiscountedMDP(P, R, 0.9).nbytes == 8 * S * A * (S + 1)
