"""Whatever the bytes are, ``load`` answers with the model or with an error that names the file."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular_rl import ambiguity, delays, instances, losses, submodular
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP, SubmodularMDP, load, save

dense = instances.random_discounted(3, 2)
SPARSE = sp.csr_array(dense.transition.reshape(6, 3))
MODELS = {
    "episodic": FiniteHorizonMDP(dense.transition, dense.reward, horizon=4, states="abc"),
    "discounted": dense,
    "sparse": DiscountedMDP(sp.csr_array(dense.transition.reshape(6, 3)), dense.reward, 0.9),
    "adversarial": losses.switching(FiniteHorizonMDP(dense.transition, np.full((2, 3, 2), 0.5)), 5),
    "linear": instances.linear_mdp(2, 3, 2, 2),
    "robust": RobustMDP.from_mdp(dense, ambiguity.L1(np.full((3, 2), 0.25))),
    "robust, sparse": RobustMDP(SPARSE, 2 * SPARSE, 0.9, 0, ambiguity.Interval(np.zeros(3), np.ones(3))),
    "robust, some actions": RobustMDP(dense.transition, dense.reward, 0.9, 0, ambiguity.KL(0.1), available=[[1, 1], [0, 1], [1, 0]]),
    "robust linear": instances.robust_linear.random_linear(3, 2, 2, 2),
    "submodular": SubmodularMDP(dense.transition, 0, submodular.Coverage([0.5, 2.0], [[0], [0, 1], []]), 3),
    "delayed": delays.delayed(FiniteHorizonMDP(dense.transition, dense.reward, horizon=2), delays.geometric(1.5, 3)),
}
each = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    for kind, mdp in MODELS.items():
        save(mdp, path / f"{kind}.npz")
    return path


def assert_refused(path, content, message="is not a model file of tabular_rl, or is damaged: .+"):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path} {message}"):
        load(path)


@each
def test_a_truncated_file_is_refused_at_every_length(kind, folder, tmp_path):
    content = (folder / f"{kind}.npz").read_bytes()
    for length in [*range(0, len(content) - 30, 23), *range(len(content) - 30, len(content))]:
        assert_refused(tmp_path / "cut.npz", content[:length])


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"idstatefrom,idaction\n",
    "pickle": pickle.dumps({"format": 1}),
    "npy": npy(np.eye(3)),
    "empty zip": archive(),
    "zip of text": archive(readme="hello"),
    "npz of others": npz({"weights": np.eye(3)}),
    "format alone": npz({"format": 1}),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused(content, tmp_path):
    assert_refused(tmp_path / "foreign.npz", content)


def test_nothing_is_unpickled(tmp_path):
    array = np.empty(1, object)
    array[0] = Bomb()
    for content in (pickle.dumps(array), npy(array, allow_pickle=True), npz({"format": 1, "kind": array})):
        assert_refused(tmp_path / "bomb.npz", content)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def contents(folder, kind):
    with np.load(folder / f"{kind}.npz") as file:
        return dict(file)


def test_a_newer_format_is_named(folder, tmp_path):
    assert_refused(tmp_path / "new.npz", npz(contents(folder, "discounted") | {"format": 2}), "has format 2, this version reads up to 1$")


def test_a_compressed_file_is_read(folder, tmp_path):
    (tmp_path / "small.npz").write_bytes(npz(contents(folder, "discounted"), np.savez_compressed))
    np.testing.assert_array_equal(load(tmp_path / "small.npz").transition, dense.transition)


@each
def test_every_array_is_needed(kind, folder, tmp_path):
    arrays = contents(folder, kind)
    for name in arrays.keys() - {"states", "reward_range", "available"}:
        message = f"is not a model file of tabular_rl, or is damaged: (it has no {name}|{type(MODELS[kind]).__name__} needs the array ')"
        assert_refused(tmp_path / "lacks.npz", npz({key: value for key, value in arrays.items() if key != name}), message)


LONG = 10**9
CHANGES = [
    np.nan,
    -1,
    LONG,
    "x",
    b"",
    True,
    np.zeros(0),
    np.zeros((2, 2)),
    [[1.5]],
    np.full(3, np.inf),
    1j,
    np.array(["a", "b"]),
    "[",
    "(" * 999,
]


# what another model might hold there
RIGHT = {
    "bernoulli": [True],
    "world.bernoulli": [True],
    "repeats": [True],
    "horizon": [LONG],
    "delays.mean": [LONG],
    "ambiguity.radius": [LONG, True],
    "world.parameters": [CHANGES[6]],
    "radius": [True, CHANGES[7]],
}


@each
def test_no_array_may_hold_anything_else(kind, folder, tmp_path):
    """What the arrays hold is checked as if a caller had brought it."""
    path = tmp_path / "wrong.npz"
    arrays = contents(folder, kind)
    for name in arrays:
        for value in (value for value in CHANGES if not any(value is right for right in RIGHT.get(name, ()))):
            path.write_bytes(npz(arrays | {name: value}))
            with pytest.raises(ValueError, match=f"^{path} (is not a model file of tabular_rl, or is damaged: .+|has format)"):
                load(path)


def test_wrong_indices_are_not_followed(folder, tmp_path):
    arrays = contents(folder, "sparse")
    for name in ("indices", "indptr"):
        for value in (-1, 3 + 10**6, -(2**31), 2**31 - 1):
            changed = arrays[name].copy()
            changed[-1] = value
            assert_refused(tmp_path / "wrong.npz", npz(arrays | {name: changed}))


def test_a_header_that_promises_too_much_is_refused(folder, tmp_path):
    members = {name: npy(array) for name, array in contents(folder, "discounted").items()}
    members["reward"] = npy(np.zeros((1, 10**9 - 1))[:, :0]).replace(b"(1, 0)", b"(9999999999999,)")
    assert_refused(tmp_path / "huge.npz", archive(**{f"{name}.npy": content for name, content in members.items()}))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        load(tmp_path)
    for wrong in (0, None):
        with pytest.raises(TypeError):
            load(wrong)


@each
@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_flipped_bytes_give_the_model_or_an_error(kind, folder, data):
    content = bytearray((folder / f"{kind}.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # the directory at the end, the start of the first member, or anywhere
        region = data.draw(st.sampled_from([(len(content) - 400, len(content)), (0, 200), (0, len(content))]))
        content[data.draw(st.integers(region[0], region[1] - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / "flipped.npz"
    path.write_bytes(content)
    try:
        mdp = load(path)
    except ValueError as error:
        if not str(error).startswith(str(path)):
            raise
    else:
        assert type(mdp) is type(MODELS[kind])
        for name in ("reward", "tables", "initial"):
            np.testing.assert_array_equal(getattr(mdp, name, 0), getattr(MODELS[kind], name, 0))


START, CSR = [1.0, 0, 0], {part: getattr(SPARSE, part) for part in ("data", "indices", "indptr")}
FIRST = {
    "episodic": {
        "transition": dense.transition[None], "reward": dense.reward[None], "horizon": 4, "initial": START, "states": "('a', 'b', 'c')",
    },
    "discounted": {"reward": dense.reward, "discount": dense.discount, "initial": dense.initial, "transition": dense.transition},
    "sparse": {"reward": dense.reward, "discount": 0.9, "initial": START, **CSR},
    "adversarial": {
        "transition": dense.transition[None], "initial": START, "tables": np.full((2, 2, 3, 2), 0.5), "schedule": "periodic",
        "parameters": np.array([5.0, 0.0]), "bernoulli": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FIRST)
def test_files_of_the_first_version_are_read(kind, folder, tmp_path):
    mdp = MODELS[kind]
    (tmp_path / "old.npz").write_bytes(npz({"format": 1, "kind": type(mdp).__name__} | FIRST[kind]))
    save(load(tmp_path / "old.npz"), tmp_path / "new.npz")
    assert (tmp_path / "new.npz").read_bytes() == (folder / f"{kind}.npz").read_bytes()


def test_an_array_that_means_nothing_is_refused(folder, tmp_path):
    """It may come from a later version, and matter."""
    content = npz(contents(folder, "discounted") | {"mask": np.ones((3, 2))})
    assert_refused(tmp_path / "more.npz", content, "is not .*, or is damaged: DiscountedMDP has no use for the array 'mask'$")


@pytest.mark.parametrize("name", ["AmbiguitySet", "DiscountedMDP", "L3", "Any", "Objective", "np", ""])
def test_no_other_class_is_made(name, folder, tmp_path):
    assert_refused(tmp_path / "class.npz", npz(contents(folder, "robust") | {"ambiguity.class": name}))
