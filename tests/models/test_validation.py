"""Every argument is checked once, and an error names the argument, the index, the value and what was expected."""

from fractions import Fraction
from itertools import count

import numpy as np
import pytest

from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check

H, S, A = 3, 2, 4
P, R, TABLES = np.full((H, S, A, S), 0.5), np.full((H, S, A), 0.25), np.full((5, H, S, A), 0.75)
VALID = {
    FiniteHorizonMDP: {"transition": P, "reward": R},
    DiscountedMDP: {"transition": P[0], "reward": R[0], "discount": 0.9},
    AdversarialMDP: {"transition": P, "initial": 0, "tables": TABLES},
}
each_model = pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
each_array = pytest.mark.parametrize(
    "model, name",
    [(model, name) for model, arguments in VALID.items() for name, value in arguments.items() if isinstance(value, np.ndarray)],
    ids=lambda x: getattr(x, "__name__", x),
)


def build(model, **changes):
    return model(**(VALID[model] | changes))


def changed(model, name, value):
    """The valid array of the argument with its last entry changed."""
    array = VALID[model][name].copy()
    array[(-1,) * array.ndim] = value
    return array


def last(model, name):
    return str([n - 1 for n in VALID[model][name].shape]).replace("[", r"\[").replace("]", r"\]")


@each_model
def test_what_is_valid_builds(model):
    assert build(model).shape[-2:] == (S, A)


@each_array
@pytest.mark.parametrize("value, printed", [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_are_finite(model, name, value, printed):
    with pytest.raises(ValueError, match=f"^{name}{last(model, name)} is {printed}, expected a finite number"):
        build(model, **{name: changed(model, name, value)})


@each_array
@pytest.mark.parametrize(
    "convert, message",
    [
        (lambda x: x.astype(object), "array of numbers"),
        (lambda x: x.astype(complex), "real numbers, got dtype complex128"),
        (lambda x: x.astype(str), "real numbers, got dtype <U"),
        (lambda x: np.ma.masked_array(x, mask=x > 0), "array of numbers, got MaskedArray"),
        (lambda x: x.astype("datetime64[s]"), "real numbers, got dtype datetime64"),
        (lambda x: "0.5", "array of numbers, got str '0.5'"),
        (lambda x: None, "real numbers"),
        (lambda x: {0.5}, "real numbers"),
        (lambda x: 10**400, "real numbers"),
    ],
    ids=["object", "complex", "strings", "masked", "dates", "string", "None", "set", "huge"],
)
def test_arrays_hold_real_numbers(model, name, convert, message):
    with pytest.raises(TypeError, match=f"^{name} must be an .*{message}"):
        build(model, **{name: convert(VALID[model][name])})


@each_array
def test_ragged_lists_are_refused(model, name):
    ragged = VALID[model][name].tolist()
    ragged[-1] = ragged[-1][:-1]
    with pytest.raises(ValueError, match=f"^{name} must be a rectangular array of numbers"):
        build(model, **{name: ragged})


@each_array
def test_shapes_fit_together(model, name):
    array = VALID[model][name]
    wrong = [array.sum(), array.ravel(), array[None, None]]
    wrong += [np.repeat(array, 2, axis) for axis in range(name == "tables", array.ndim)]  # any number of tables is right
    wrong += [np.take(array, [], axis) for axis in range(array.ndim)]
    for value in wrong:
        with pytest.raises(ValueError, match=r"must have (shape|at least one)|has \d steps"):
            build(model, **{name: value})


@each_model
def test_probabilities_are_not_negative(model):
    array = changed(model, "transition", -0.25)
    with pytest.raises(ValueError, match=f"^transition{last(model, 'transition')} is -0.25, expected a probability >= 0"):
        build(model, transition=array)


@each_model
@pytest.mark.parametrize("value, total", [(0.25, "0.75"), (0.5 + 2e-9, "1.000000002"), (0.5 - 2e-9, "0.999999998"), (1e308, "1e\\+308")])
def test_rows_sum_to_one(model, value, total):
    row = last(model, "transition").replace(f", {S - 1}\\]", "\\]")
    with pytest.raises(ValueError, match=f"^transition{row} sums to {total}[0-9]*, expected 1 within 1e-09"):
        build(model, transition=changed(model, "transition", value))


@each_model
def test_rows_that_overflow_do_not_sum_to_one(model):
    with pytest.raises(ValueError, match=r"sums to inf"):
        build(model, transition=np.full_like(VALID[model]["transition"], 1e308))


@each_model
def test_rows_may_be_off_by_rounding(model):
    array = changed(model, "transition", 0.5 + 5e-10)
    assert build(model, transition=array).transition[(-1,) * array.ndim] == 0.5 + 5e-10


@each_model
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.longdouble])
def test_every_real_dtype_becomes_float64(model, dtype):
    sure = np.zeros(VALID[model]["transition"].shape)
    sure[..., 1] = 1
    np.testing.assert_array_equal(build(model, transition=sure.astype(dtype)).transition, sure)
    assert build(model, transition=sure.astype(dtype)).transition.dtype == np.float64


@each_model
def test_lists_and_strided_arrays_are_welcome(model):
    arrays = {name: value for name, value in VALID[model].items() if isinstance(value, np.ndarray)}
    for convert in (np.ndarray.tolist, np.asfortranarray, lambda x: np.repeat(x, 2, 0)[::2], lambda x: x.astype(">f8")):
        mdp = build(model, **{name: convert(array) for name, array in arrays.items()})
        for name, array in arrays.items():
            np.testing.assert_array_equal(getattr(mdp, name), array)
            assert getattr(mdp, name).flags.c_contiguous
            assert getattr(mdp, name).dtype.isnative


@each_model
@pytest.mark.parametrize("initial", [1, np.int8(1), [0, 1], np.array([0.0, 1.0])])
def test_the_start_is_a_state_or_a_distribution(model, initial):
    assert build(model, initial=initial).initial.tolist() == [0, 1]


@each_model
@pytest.mark.parametrize(
    "initial, error, message",
    [
        (2, ValueError, "must be a state below 2 or a distribution over 2 states, got 2"),
        (10**30, ValueError, "must be a state below 2"),
        (-1, ValueError, "must be at least 0, got -1"),
        ([0.5, 0.4], ValueError, "sums to 0.9, expected 1 within 1e-09"),
        ([1.5, -0.5], ValueError, r"\[1\] is -0.5"),
        ([np.nan, 1], ValueError, r"\[0\] is nan"),
        ([1.0], ValueError, r"must have shape \(2\), got \(1,\)"),
        (0.0, ValueError, "must have shape"),
        (True, ValueError, "must have shape"),
        ("0", TypeError, "must be an array of numbers"),
        (np.array([1j, 0]), TypeError, "must be an array of real numbers"),
    ],
)
def test_a_wrong_start_is_named(model, initial, error, message):
    with pytest.raises(error, match=f"^initial ?{message}"):
        build(model, initial=initial)


labeled = pytest.mark.parametrize("model", [FiniteHorizonMDP, DiscountedMDP])


@labeled
def test_labels_are_kept_as_tuples(model):
    mdp = build(model, states=[(0, 0), "end"], actions=np.arange(4))
    assert mdp.states == ((0, 0), "end")
    assert mdp.actions == (0, 1, 2, 3)
    assert type(mdp.actions[0]) is int
    assert build(model).states is None


@labeled
@pytest.mark.parametrize(
    "labels, error, message",
    [
        (["a"], ValueError, "must have 2 labels, got 1"),
        ("abc", ValueError, "must have 2 labels, got more"),
        (count(), ValueError, "must have 2 labels, got more"),
        (["a", "a"], ValueError, "must be distinct, 'a' stands there twice"),
        ([1, True], ValueError, "must be distinct, True stands there twice"),
        ([[0], [1]], TypeError, r"must be hashable, got list \[0\]"),
        (7, TypeError, "must be a sequence, got int 7"),
    ],
)
def test_wrong_labels_are_named(model, labels, error, message):
    with pytest.raises(error, match=f"^states {message}"):
        build(model, states=labels)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(1), Fraction(1, 2)])
def test_a_number_is_anything_real(value):
    assert check.number("x", value) == float(value)
    assert type(check.number("x", value)) is float


@pytest.mark.parametrize("value", [True, "1", None, 1j, [1], np.ones(1), np.True_])
def test_a_number_is_nothing_else(value):
    with pytest.raises(TypeError, match=r"^x must be a real number, got"):
        check.number("x", value)


def test_the_bounds_of_a_number_are_in_its_error():
    with pytest.raises(ValueError, match=r"^x must lie in \(0, 1\), got 1.0"):
        check.number("x", 1, above=0, below=1)
    with pytest.raises(ValueError, match=r"^x must lie in \[0, 1\], got -1.0"):
        check.number("x", -1, at_least=0, at_most=1)
    for value in (np.nan, np.inf, 10**400):
        with pytest.raises(ValueError, match=r"^x must lie in \(-inf, inf\), got (nan|inf)"):
            check.number("x", value)


def test_a_choice_names_the_choices():
    assert check.choice("method", "a", ("a", "b")) == "a"
    for value in ("c", None, ["a"], np.array(["a"])):
        with pytest.raises(ValueError, match=r"^method must be one of 'a', 'b', got"):
            check.choice("method", value, ("a", "b"))
