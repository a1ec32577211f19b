"""Objectives: gains against the formulas of their docstrings, checks that refuse, controls that are refused."""

import itertools

import numpy as np
import pytest

from tabular_rl import submodular
from tabular_rl.instances.submodular import matern, random_objective
from tabular_rl.instances.submodular_small import KINDS
from tabular_rl.submodular import (
    Concave,
    CountSquared,
    Coverage,
    Cut,
    DDesign,
    Entropy,
    Facility,
    Mixture,
    Modular,
    Soft,
    Tabulated,
    Truncated,
)

RNG = np.random.default_rng(0)
N, U = 6, 9
WEIGHTS, SENSOR, SIMILARITY = RNG.random(U), RNG.random((N, U)) < 0.4, RNG.random((N, U))
FEATURES = RNG.standard_normal((N, 3))
KERNEL = FEATURES @ FEATURES.T / 4 + 0.1 * np.eye(N)
GROUPS, CAPS = np.array([0, 0, 1, -1, 1, 0]), np.array([2.0, 1.0])
MODULAR = SENSOR @ WEIGHTS + RNG.random(N)
KNOTS = np.array([[0, 0], [0.5, 1], [2, 2], [8, 4.0]])
CUT = np.triu(RNG.random((N, N)), 1)


def covered(A):
    return WEIGHTS @ SENSOR[list(A)].any(axis=0)


def measured(phi):
    return lambda A: WEIGHTS @ phi(SIMILARITY[list(A)].sum(axis=0))


def logdet(matrix):
    return np.linalg.slogdet(matrix)[1]


def submatrix(matrix, A):
    return matrix[np.ix_(list(A), list(A))]


# objective, and F of a list of distinct elements in plain NumPy
FORMULAS = {
    "coverage": (Coverage(WEIGHTS, SENSOR), covered),
    "truncated": (Truncated(GROUPS, CAPS), lambda A: sum(min(np.sum(GROUPS[list(A)] == k), CAPS[k]) for k in (0, 1))),
    "soft": (Soft(WEIGHTS, SENSOR, 0.3), lambda A: WEIGHTS @ ((1 - 0.3 ** SENSOR[list(A)].sum(axis=0)) / (1 - 0.3))),
    "facility": (Facility(SIMILARITY, WEIGHTS), lambda A: WEIGHTS @ SIMILARITY[list(A)].max(axis=0)),
    "sqrt": (Concave(SIMILARITY, WEIGHTS), measured(np.sqrt)),
    "log1p": (Concave(SIMILARITY, WEIGHTS, "log1p"), measured(np.log1p)),
    "saturating": (Concave(SIMILARITY, WEIGHTS, "saturating"), measured(lambda x: 1 - np.exp(-x))),
    "knots": (Concave(SIMILARITY, WEIGHTS, KNOTS), measured(lambda x: np.interp(x, *KNOTS.T))),
    "ddesign": (DDesign(KERNEL, 0.2), lambda A: 0.5 * logdet(np.eye(len(A)) + submatrix(KERNEL, A) / 0.2)),
    "features": (DDesign(features=FEATURES, noise=0.7), lambda A: 0.5 * logdet(np.eye(3) + FEATURES[list(A)].T @ FEATURES[list(A)] / 0.7)),
    "entropy": (Entropy(KERNEL), lambda A: 0.5 * logdet(submatrix(KERNEL, A) + 1e-6 * np.eye(len(A))) - np.log2(1e-3) * len(A)),
    "mixture": (Mixture(0.6, MODULAR, WEIGHTS, SENSOR), lambda A: 0.4 * MODULAR[list(A)].sum() + 0.6 * covered(A)),
    "modular": (Modular(MODULAR), lambda A: MODULAR[list(A)].sum()),
    "tabulated": (Tabulated(lambda A: len(A) ** 0.5, n=N), lambda A: len(A) ** 0.5),
    "cut": (Cut(CUT + CUT.T), lambda A: (CUT + CUT.T)[np.ix_(list(A), [e for e in range(N) if e not in A])].sum()),
    "count2": (CountSquared(N), lambda A: len(A) ** 2),
}
each = pytest.mark.parametrize("name", FORMULAS)


@each
def test_the_table_of_all_subsets_is_the_formula(name):
    objective, formula = FORMULAS[name]
    table = objective.table()
    subsets = [A for size in range(1, N + 1) for A in itertools.combinations(range(N), size)]
    found = [table[sum(1 << e for e in A)] for A in subsets]
    np.testing.assert_allclose(found, [formula(A) for A in subsets], rtol=1e-9, atol=1e-9)
    assert table[0] == 0
    np.testing.assert_allclose(objective.singles, [formula((e,)) for e in range(N)], rtol=1e-9)


@each
def test_gains_are_differences_of_the_table_in_every_order(name):
    objective, _ = FORMULAS[name]
    table = objective.table()
    orders = np.array([np.random.default_rng(seed).permutation(N) for seed in range(20)])
    masks = np.cumsum(1 << orders, axis=1)
    expected = np.diff(table[np.column_stack([np.zeros(20, int), masks])], axis=1)
    np.testing.assert_allclose(objective.gains(orders), expected, atol=1e-9)
    np.testing.assert_allclose(objective.value(orders), table[-1], rtol=1e-9, atol=1e-12)
    # a revisit gains nothing, and neither does no element
    visits = np.column_stack([orders[:, :3], orders[:, :3], np.full((20, 1), -1), orders[:, 3:4]])
    gains = objective.gains(visits, distinct=True)
    np.testing.assert_array_equal(gains[:, 3:7], 0)
    np.testing.assert_allclose(gains[:, [0, 1, 2, 7]], expected[:, :4], atol=1e-9)


@each
def test_what_is_promised_of_the_family_is_true_of_its_table(name):
    objective, _ = FORMULAS[name]
    if objective.is_monotone and objective.is_submodular:
        submodular.check_table(objective.table())
    else:
        with pytest.raises(ValueError, match="not monotone" if objective.is_submodular else "not submodular"):
            submodular.check_table(objective.table())
    assert objective.curvature() == pytest.approx(submodular.curvature(objective.table()), abs=1e-9)


def test_low_rank_gains_stay_exact_along_histories_longer_than_the_refresh():
    """130 elements with copies in three dimensions, small noise: against determinants, and against the same design by its kernel."""
    features = np.random.default_rng(5).normal(size=(9, 3))
    path = np.random.default_rng(6).integers(0, 9, 130)
    gains = DDesign(features=features, noise=1e-3).gains(path)
    information = np.array([np.eye(3) + features[path[:h]].T @ features[path[:h]] / 1e-3 for h in range(131)])
    np.testing.assert_allclose(gains, np.diff(0.5 * np.linalg.slogdet(information)[1]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gains, DDesign(features @ features.T, noise=1e-3).gains(path), rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="features must have at least one row"):
        DDesign(features=np.zeros((0, 3)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_random_objectives_are_what_their_family_promises(kind, seed):
    objective = random_objective(kind, 6, seed)
    if objective.is_monotone and objective.is_submodular:
        submodular.check_table(objective.table())
    else:
        with pytest.raises(ValueError, match="not"):
            submodular.check_table(objective.table())


@pytest.mark.parametrize(
    ("name", "copies"),
    [
        ("soft", lambda types: WEIGHTS @ ((1 - 0.3 ** SENSOR[types].sum(axis=0)) / 0.7)),
        ("sqrt", lambda types: WEIGHTS @ np.sqrt(SIMILARITY[types].sum(axis=0))),
        ("ddesign", lambda types: 0.5 * logdet(np.eye(len(types)) + submatrix(KERNEL, types) / 0.2)),
        ("entropy", lambda types: 0.5 * logdet(submatrix(KERNEL, types) + 1e-6 * np.eye(len(types))) - np.log2(1e-3) * len(types)),
        ("modular", lambda types: MODULAR[types].sum()),
        ("coverage", covered),
        ("count2", lambda types: len(types) ** 2),
    ],
)
def test_copies_count_again(name, copies):
    objective, types = FORMULAS[name][0], np.array([0, 2, 0, 0, 5, 2])
    table = objective.table(types)
    for m in range(1, 64):
        picked = types[[e for e in range(6) if m >> e & 1]]
        assert table[m] == pytest.approx(copies(picked), rel=1e-7)
        assert objective.value(picked) == pytest.approx(copies(picked), rel=1e-7)
    if objective.is_submodular:
        submodular.check_table(table, tolerance=1e-9)


def test_entropy_of_long_paths_agrees_with_slogdet():
    kernel = matern()
    objective, rng, row = Entropy(kernel), np.random.default_rng(0), np.arange(900) // 30
    for _ in range(5):
        path = [34]
        for step in rng.integers(5, size=39):
            path.append(path[-1] + (0, 1, -1, 30, -30)[step] if 0 < row[path[-1]] < 29 and 0 < path[-1] % 30 < 29 else 34)
        path = np.array(path)
        expected = 0.5 * logdet(submatrix(kernel, path) + 1e-6 * np.eye(40)) - 40 * np.log2(1e-3)
        assert objective.value(path) == pytest.approx(expected, abs=1e-8)


def test_a_python_function_as_phi_is_its_interpolation():
    objective = Concave(SIMILARITY, WEIGHTS, lambda x: x / (1 + x))
    assert objective.value([0, 3, 4]) == pytest.approx(measured(lambda x: x / (1 + x))([0, 3, 4]), rel=1e-5)
    submodular.check_table(objective.table())


def test_the_last_slope_of_knots_goes_on():
    objective = Concave([[2.0], [10.0]], phi=[[0, 0], [1, 2], [3, 3]])
    np.testing.assert_allclose(objective.table(), [0, 2.5, 6.5, 7.5])


def test_sets_may_be_lists_or_booleans_or_sets():
    lists = Coverage(WEIGHTS, [np.flatnonzero(row).tolist() for row in SENSOR])
    again = Coverage(WEIGHTS, FORMULAS["coverage"][0].sensor)
    np.testing.assert_array_equal(lists.table(), FORMULAS["coverage"][0].table())
    np.testing.assert_array_equal(again.table(), lists.table())
    assert Coverage([1.0], [[], [0]]).table().tolist() == [0, 0, 1, 1]


def test_the_counterexample_is_shown():
    with pytest.raises(ValueError, match=r"^table is not normalized: F of nothing is 1"):
        submodular.check_table([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^table is not monotone: F\{0\} = 2, with 1 more it is 1.5$"):
        submodular.check_table([0, 2, 1, 1.5])
    with pytest.raises(ValueError, match=r"^table is not submodular: 1 gains 1 after \{\} but 2 when 0 is there too$"):
        submodular.check_table([0, 1, 1, 3.0])
    with pytest.raises(ValueError, match=r"is not submodular: 2 gains 1 after \{0\} but 2 when 1 is there too|1 gains"):
        Tabulated(lambda A: 3.0 if len(A) == 3 else float(len(A) > 0) + (len(A) > 1) * 0.5, n=3)
    assert Tabulated([0, 1, 1, 3.0], verify=False).table()[3] == 3
    assert submodular.curvature([0, 1, 1, 1.5]) == pytest.approx(0.5)
    assert submodular.curvature([0, 0, 1, 1.0]) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coverage([-1.0], [[0]]), r"weights\[0\] is -1.0, expected a number >= 0"),
        (lambda: Coverage([1.0], [[1]]), r"sensor\[0\] holds item 1, expected items from 0 to 0"),
        (lambda: Coverage([1.0], [[0, 0]]), r"sensor\[0\] holds an item twice"),
        (lambda: Coverage([1.0], []), "sensor must have at least one element"),
        (lambda: Coverage([1.0], np.ones((2, 2), bool)), r"sensor must have shape \[n, 1\]"),
        (lambda: Coverage([], [[]]), "weights must have at least one entry"),
        (lambda: Truncated([0], [-1.0]), r"caps\[0\] is -1.0, expected a number >= 0"),
        (lambda: Truncated([0, 1], [1.0]), r"groups\[1\] is 1, expected -1 to 0"),
        (lambda: Truncated([0.5], [1.0]), "groups must be a sequence of integers"),
        (lambda: Soft([1.0], [[0]], 0), r"beta must lie in \(0, 1\]"),
        (lambda: Soft([1.0], [[0]], 1.1), r"beta must lie in \(0, 1\]"),
        (lambda: Facility([[-1.0]]), r"similarity\[0, 0\] is -1.0"),
        (lambda: Facility([[1.0]], [1.0, 2.0]), "weights must have shape"),
        (lambda: Concave([[1.0]], phi="square"), "phi must be one of 'sqrt'"),
        (lambda: Concave([[1.0]], phi=lambda x: x * x), "phi must be concave, its slope grows"),
        (lambda: Concave([[1.0]], phi=lambda x: -x), "phi must not decrease"),
        (lambda: Concave([[1.0]], phi=lambda x: x + 1), r"phi\(0\) is 1.0, expected 0"),
        (lambda: Concave([[1.0]], phi=[[0, 0], [1, 1], [1, 2]]), "phi must have at least two knots"),
        (lambda: DDesign(), "give one of kernel and features"),
        (lambda: DDesign([[1.0]], noise=0), "noise must lie in"),
        (lambda: DDesign([[1.0, 2], [0, 1]]), "kernel must be symmetric"),
        (lambda: DDesign([[1.0, 2]]), r"kernel must have shape \[n, n\]"),
        (lambda: Entropy([[1.0]], jitter=1e-12), "offset must be at least"),
        (lambda: Mixture(0.5, [0.5], [1.0], [[0]]), r"modular\[0\] is 0.5, expected at least the weight that element 0 covers, 1.0"),
        (lambda: Mixture(1.5, [1.0], [1.0], [[0]]), "c must lie in"),
        (lambda: Mixture(0.5, [1.0, 1.0], [1.0], [[0]]), "modular must have 1 entries"),
        (lambda: Tabulated([0, 1, 2.0]), r"table must have 2\^n entries"),
        (lambda: Tabulated([0, 1.0], n=2), "n must fit the table of 2 entries"),
        (lambda: Tabulated(len, n=21), "n must be at most 20"),
        (lambda: Cut([[0, -1.0], [-1, 0]]), "weights must be >= 0"),
        (lambda: CountSquared(0), "n must be at least 1"),
        (lambda: Modular(np.ones(21)).table(), "a table of all subsets needs at most 20 elements, got 21"),
        (lambda: Cut([[0, 1.0], [1, 0]]).table([0, 0]), "Cut has no copies"),
        (lambda: Cut([[0, 1.0], [1, 0]]).gains([0, 0]), "elements of Cut must be distinct"),
        (lambda: Modular([1.0]).value([1]), r"elements must lie in -1..0, got 1..1"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_errors_of_type():
    with pytest.raises(TypeError, match="elements must be integers"):
        Modular([1.0]).gains([0.0])


def test_what_was_validated_stays():
    weights = np.ones(2)
    objective = Coverage(weights, [[0], [1]])
    weights[0] = -1
    assert objective.weights[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        objective.weights[0] = 2
