"""Models in .npz files: bit for bit, with labels, all or nothing."""

import dataclasses
import enum
import os
import threading
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl import ambiguity, delays, instances, losses, submodular
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, LinearMDP, RobustMDP, SubmodularMDP, from_functions, load, save

episodic = instances.random_episodic(3, 4, 2, seed=1)
dense = instances.random_discounted(4, 2, 1 / 3)
tables = np.random.default_rng(3).random((2, 3, 4, 2))
MODELS = {
    "episodic": episodic,
    "stationary": FiniteHorizonMDP(episodic.transition[0], episodic.reward[0], horizon=10**6, states="abcd"),
    "stationary transition": FiniteHorizonMDP(episodic.transition[0], episodic.reward),
    "stationary reward": FiniteHorizonMDP(episodic.transition, -episodic.reward[:1], 2),
    "one step": instances.bandit(),
    "discounted": dense,
    "sparse": DiscountedMDP(sp.csr_array(dense.transition.reshape(8, 4)), dense.reward, 0.9, 3, states="wxyz", actions=[-1, 1]),
    "adversarial": losses.periodic(episodic, tables, 5, 2),
    "adversarial, stationary": losses.anti_greedy(FiniteHorizonMDP(episodic.transition[0], episodic.reward)),
    "adversarial, no coins": losses.drifting(episodic, 9, tables[0], bernoulli=False),
}
rng = np.random.default_rng(5)
S, A, WIDE = 4, 2, rng.random((4, 2)) / 2
KERNELS, UNIT = rng.dirichlet(np.ones(4), (3, 4, 2)), 1 - np.eye(4)
SETS = {
    type(x).__name__: x
    for x in (
        ambiguity.L1(WIDE, "full"), ambiguity.TotalVariation(0.25), ambiguity.WeightedL1(1 + rng.random(4), WIDE),
        ambiguity.LInf(1 / 3), ambiguity.Interval(np.zeros(4), rng.random((4, 2, 4)) + 1, "full"), ambiguity.DensityRatio(1 - WIDE),
        ambiguity.L2(WIDE), ambiguity.KL(0.1), ambiguity.ChiSquare(WIDE), ambiguity.Wasserstein(UNIT, WIDE, "full"),
        ambiguity.Contamination(WIDE), ambiguity.Ellipsoid(np.eye(4) + 0.1 * np.ones((4, 4)), 0.2), ambiguity.FiniteRows(KERNELS),
        ambiguity.SRectangularL1(rng.random(4)), ambiguity.SRectangularKL(0.2), ambiguity.SRectangularL2(rng.random(4), "full"),
        ambiguity.FiniteSRectangular(KERNELS), ambiguity.FiniteKernels(KERNELS),
        ambiguity.Parametric(np.eye(4), np.ones((4, 2, 1)), np.zeros(4), [1.0], 0.5, 0.25),
    )
}  # fmt: skip
WEIGHTS, SENSOR = rng.random(6), rng.random((4, 6)) < 0.4
OBJECTIVES = {
    f"{type(x).__name__} {n}": x
    for n, x in enumerate((
        submodular.Coverage(WEIGHTS, SENSOR), submodular.Coverage([1.0], [[0], [], [0], []]), submodular.Truncated([0, -1, 1, 0], [1.0, 2]),
        submodular.Soft(WEIGHTS, SENSOR, 1 / 3), submodular.Facility(rng.random((4, 6))), submodular.Facility(rng.random((4, 6)), WEIGHTS),
        submodular.Concave(rng.random((4, 6)), WEIGHTS, "log1p"), submodular.Concave(rng.random((4, 6)), None, [[0, 0], [1, 2], [3, 2.5]]),
        submodular.Concave(rng.random((4, 6)), None, np.sqrt), submodular.DDesign(np.eye(4), 0.3),
        submodular.DDesign(features=rng.random((4, 2)), noise=2), submodular.Entropy(np.eye(4), 0.5, 0.75),
        submodular.Mixture(0.5, SENSOR @ WEIGHTS + 1, WEIGHTS, SENSOR), submodular.Modular(rng.random(4)), submodular.Cut(1 - np.eye(4)),
        submodular.CountSquared(4), submodular.Tabulated(lambda A: len(A) ** 0.5, 4), submodular.Tabulated(rng.random(16), verify=False),
    ))
}  # fmt: skip
ROWS = sp.csr_array(dense.transition.reshape(8, 4))
COSTS = ROWS * 2
COSTS.data[1] = 0.0
linear = instances.linear_mdp(2, 4, 3, 2)
successors = rng.integers(0, 4, (4, 2))
MODELS |= {f"robust {name}": RobustMDP(dense.transition, rng.random((4, 2)), 0.9, 1, x) for name, x in SETS.items()}
MODELS |= {
    "robust, costs of moves": RobustMDP(dense.transition, rng.random((4, 2, 4)), 0.9, [0.25] * 4, SETS["KL"], "abcd", ["u", "v"]),
    "robust, sparse": RobustMDP(ROWS, COSTS, 0.9, 0, SETS["L2"]),
    "robust, from rewards": RobustMDP.from_mdp(MODELS["sparse"], SETS["ChiSquare"]),
    "robust, from rewards beyond 1": RobustMDP.from_mdp(instances.river_swim(5, discount=0.5, left_reward=3.5), ambiguity.L1(0.1)),
    "linear": linear,
    "linear, same features": LinearMDP(linear.features[0], linear.factors, np.zeros((2, 4, 3)), 3),
    "robust linear": instances.robust_linear.random_linear(),
    "robust linear, radii": instances.robust_linear.river_swim(),
} | {
    f"submodular {name}": SubmodularMDP(episodic.transition[0], 2, x, 3, [0, 1, 2, -1], x.allows_copies) for name, x in OBJECTIVES.items()
} | {
    "submodular, successors": SubmodularMDP(successors, 0, submodular.Modular(rng.random(4)), 5, slip=0.125, states="abcd"),
    "submodular, elements in time": SubmodularMDP(
        episodic.transition, [0.5, 0.5, 0, 0], OBJECTIVES["Coverage 0"], elements=rng.integers(-1, 4, (4, 4))
    ),
    "delayed": delays.delayed(episodic, delays.pareto(3, seed=2**100)),
    "delayed, given": delays.delayed(losses.periodic(episodic, tables, 5, 2), [0, 3, -1, 2]),
    "delayed, skipped": delays.delayed(losses.block(episodic, 2, 7), delays.skip(delays.geometric(2.5), 9)),
}  # fmt: skip
SOME = np.array([[1, 1], [0, 1], [1, 0], [1, 1]], bool)
MOVES, STEPS = rng.random((4, 2, 4)), np.array([SOME, SOME[::-1], SOME])
MODELS |= {
    "some actions": FiniteHorizonMDP(episodic.transition, episodic.reward, available=STEPS),
    "some actions at every step": FiniteHorizonMDP(episodic.transition[0], episodic.reward, available=SOME),
    "rewards of moves": FiniteHorizonMDP(episodic.transition[0], MOVES[None], horizon=9),
    "rewards of moves in time": FiniteHorizonMDP(episodic.transition, rng.random((3, 4, 2, 4)), available=STEPS),
    "discounted, some actions": DiscountedMDP(dense.transition, dense.reward, 0.5, available=SOME),
    "discounted, rewards of moves": DiscountedMDP(dense.transition, MOVES, 0.5, available=SOME),
    "sparse, some actions": DiscountedMDP(ROWS, dense.reward, 0.5, available=SOME),
    "sparse, rewards of moves": DiscountedMDP(ROWS, COSTS, 0.5, 2, available=SOME),
    "adversarial, some actions": losses.periodic(FiniteHorizonMDP(episodic.transition, episodic.reward, available=STEPS), tables, 5, 2),
}
MODELS |= {
    f"robust, {name}": RobustMDP.from_mdp(mdp, ambiguity.L1(0.1))
    for name, mdp in MODELS.items()
    if isinstance(mdp, DiscountedMDP) and not mdp.has_all_actions
}
each = pytest.mark.parametrize("mdp", MODELS.values(), ids=MODELS)


def bits(thing):
    """All that a model is, in bytes."""
    if sp.issparse(thing):
        return [bits(part) for part in (thing.data, thing.indices, thing.indptr)]
    if isinstance(thing, np.ndarray):
        return thing.dtype, thing.shape, thing.strides, thing[:5].tobytes() if thing.ndim else thing.tobytes()
    if dataclasses.is_dataclass(thing):
        return {field.name: bits(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
    return type(thing), thing


def test_every_set_and_objective_is_among_them():
    assert SETS.keys() == {name for name in ambiguity.__all__ if isinstance(getattr(ambiguity, name), type)} - {"AmbiguitySet"}
    classes = {name for name in submodular.__all__ if isinstance(getattr(submodular, name), type)} - {"Objective", "Sets"}
    assert {name.split()[0] for name in OBJECTIVES} == classes


@each
def test_a_loaded_model_is_the_saved_one_bit_for_bit(mdp, tmp_path):
    save(mdp, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is type(mdp)
    assert bits(again) == bits(mdp)


@pytest.mark.parametrize("entry", instances.catalogue(), ids=lambda entry: entry.name)
def test_every_catalogued_problem_comes_back_bit_for_bit(entry, tmp_path):
    mdp = entry.function()
    save(mdp, tmp_path / "model.npz")
    assert bits(load(tmp_path / "model.npz")) == bits(mdp)


def test_stationary_models_have_small_files(tmp_path):
    save(MODELS["stationary"], tmp_path / "model.npz")
    assert (tmp_path / "model.npz").stat().st_size < 5000


def test_odd_floats_come_back(tmp_path):
    reward = np.array([[-0.0, 5e-324], [1.7e308, np.nextafter(1, 2)]])
    save(DiscountedMDP(np.full((2, 2, 2), 0.5), reward, np.nextafter(1, 0)), tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.reward.tobytes() == reward.tobytes()
    assert again.discount == np.nextafter(1, 0)


LABELS = ["it's", 'a "b"\n\0é\ud800', (0, (1, -2.5)), None, True, b"\xff", 3 + 4j, 10**100, (), "", 1e-320]


def test_labels_come_back_with_their_types(tmp_path):
    S = len(LABELS)
    mdp = DiscountedMDP(np.eye(S)[:, None], np.zeros((S, 1)), 0.9, states=LABELS, actions=["stay"])
    save(mdp, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.states == tuple(LABELS)
    assert [type(x) for x in again.states] == [type(x) for x in LABELS]
    assert again.actions == ("stay",)


NUMPY_LABELS = [
    np.int64(3),
    np.uint8(4),
    np.float64(0.5),
    np.float32(0.1),
    np.str_("s"),
    np.bytes_(b"s"),
    np.complex128(1j),
    (np.int32(1), (np.str_("t"),)),
]


def test_labels_made_by_numpy_come_back_as_equal_python_values(tmp_path):
    S = len(NUMPY_LABELS)
    mdp = DiscountedMDP(np.eye(S)[:, None].repeat(2, axis=1), np.zeros((S, 2)), 0.9, states=NUMPY_LABELS, actions=(np.False_, np.True_))
    save(mdp, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.states == tuple(NUMPY_LABELS)
    assert again.actions == (False, True)
    assert [type(x) for x in again.states] == [int, int, float, float, str, bytes, complex, tuple]
    assert [type(x) for x in again.actions] == [bool, bool]
    assert type(again.states[-1][1][0]) is str


def test_models_of_walks_over_numpy_states_are_saved(tmp_path):
    walk = from_functions(None, [0, 1], lambda s, a: (s + np.int64(a)) % 5, lambda s, a: float(s == 4), initial=0, discount=0.9)
    save(walk, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").states == walk.states


class Color(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "label", [Color.RED, Fraction(1, 2), np.datetime64("2026-01-01"), frozenset({1}), float("nan"), (0, Color.RED), object], ids=repr
)
def test_labels_that_are_no_literals_are_named(label, tmp_path):
    mdp = DiscountedMDP([[[1, 0]], [[0, 1]]], [[0], [0]], 0.9, states=["a", label])
    with pytest.raises(ValueError, match=r"^states cannot be saved: the label .* is not a Python literal"):
        save(mdp, tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_any_name_will_do(tmp_path):
    for path in (tmp_path / "no suffix", str(tmp_path / "ünï.npz"), tmp_path / ".hidden"):
        save(dense, path)
        assert bits(load(path)) == bits(dense)
    assert len(list(tmp_path.iterdir())) == 3


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "model.npz"
    for mdp in MODELS.values():
        save(mdp, path)
    assert bits(load(path)) == bits(mdp)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fails", ["numpy.savez", "os.replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk full", "interrupted"])
def test_a_failing_write_leaves_the_old_file(fails, error, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    save(episodic, path)

    def broken(file, *args, **kwargs):
        if fails == "numpy.savez":
            file.write(b"half of it")
        raise error

    monkeypatch.setattr(fails, broken)
    with pytest.raises(type(error)):
        save(dense, path)
    assert list(tmp_path.iterdir()) == [path]
    assert bits(load(path)) == bits(episodic)


def test_the_last_of_many_writers_wins_and_none_disturbs_another(tmp_path):
    path, models = tmp_path / "model.npz", [instances.random_discounted(30, 4, seed=seed) for seed in range(4)]
    threads = [threading.Thread(target=lambda mdp=mdp: [save(mdp, path) for _ in range(10)]) for mdp in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bits(load(path)) in [bits(mdp) for mdp in models]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(dense, tmp_path / "nowhere" / "model.npz")
    with pytest.raises(NotADirectoryError, match="file"):
        save(dense, tmp_path / "file" / "model.npz")
    with pytest.raises(IsADirectoryError):
        save(dense, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert not list(tmp_path.parent.glob(".*.tmp"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="every folder is open to root")
def test_a_closed_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=tmp_path.name):
        save(dense, tmp_path / "model.npz")
    tmp_path.chmod(0o700)


def test_what_is_no_model_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match=r"^mdp must be a model of tabular_rl, got dict"):
        save({}, tmp_path / "model.npz")
    with pytest.raises(TypeError, match=r"^mdp must be a model of tabular_rl, got the class DiscountedMDP"):
        save(DiscountedMDP, tmp_path / "model.npz")

    @dataclasses.dataclass(frozen=True, eq=False)
    class Mine(ambiguity.L1):
        pass

    with pytest.raises(TypeError, match=r"^ambiguity cannot be saved: Mine is not a class of tabular_rl"):
        save(RobustMDP(dense.transition, dense.reward, 0.9, 0, Mine(0.1)), tmp_path / "model.npz")
    with pytest.raises(TypeError):
        save(dense, 3)
    assert not list(tmp_path.iterdir())
