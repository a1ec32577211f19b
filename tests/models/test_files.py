"""Models in .npz files: bit for bit, with labels, all or nothing."""

import enum
import os
import threading
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl import instances, losses
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, load, save

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
each = pytest.mark.parametrize("mdp", MODELS.values(), ids=MODELS)


def bits(mdp):
    """All that a model is, in bytes."""
    found = {}
    for name, value in vars(mdp).items():
        parts = [value.data, value.indices, value.indptr] if sp.issparse(value) else [value]
        found[name] = [(x.dtype, x.shape, x.strides, x[:5].tobytes()) if isinstance(x, np.ndarray) else (type(x), x) for x in parts]
    return found


@each
def test_a_loaded_model_is_the_saved_one_bit_for_bit(mdp, tmp_path):
    save(mdp, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is type(mdp)
    assert bits(again) == bits(mdp)


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


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "label", [Colour.RED, Fraction(1, 2), np.float64(1), frozenset({1}), float("nan"), (0, Colour.RED), object], ids=repr
)
def test_labels_that_are_no_literals_are_named(label, tmp_path):
    mdp = DiscountedMDP([[[1, 0]], [[0, 1]]], [[0], [0]], 0.9, states=["a", label])
    with pytest.raises(ValueError, match=r"^states cannot be saved: the label .* is no Python literal"):
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
    with pytest.raises(TypeError):
        save(dense, 3)
    assert not list(tmp_path.iterdir())
