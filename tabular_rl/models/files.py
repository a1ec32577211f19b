"""Models in ``.npz`` files: every array bit for bit, nothing unpickled."""

import ast
import contextlib
import os
import threading
import zipfile
from pathlib import Path

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.adversarial import AdversarialMDP
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP, packed

FORMAT = 1


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(mdp, path):
    """Write a model to ``path`` (``.npz``), atomically; ``load`` gives it back bit for bit.

    Labels of states and actions are kept when they are Python literals (numbers, strings, tuples ...); others: ValueError.
    """
    if isinstance(mdp, FiniteHorizonMDP):
        arrays = {"transition": mdp.packed_transition, "reward": mdp.packed_reward, "horizon": mdp.horizon, "initial": mdp.initial}
    elif isinstance(mdp, DiscountedMDP):
        arrays = {"reward": mdp.reward, "discount": mdp.discount, "initial": mdp.initial}
        if mdp.is_sparse:
            P = mdp.transition
            arrays |= {"data": P.data, "indices": P.indices, "indptr": P.indptr}
        else:
            arrays["transition"] = mdp.transition
    elif isinstance(mdp, AdversarialMDP):
        arrays = {"transition": packed(mdp.transition), "initial": mdp.initial, "tables": mdp.tables, "schedule": mdp.schedule}
        arrays |= {"parameters": np.array(mdp.parameters), "bernoulli": mdp.bernoulli}
    else:
        raise TypeError(f"mdp must be a model of tabular_rl, got {type(mdp).__name__}")
    for name in ("states", "actions"):
        if getattr(mdp, name, None) is not None:
            arrays[name] = _literal(name, getattr(mdp, name))
    path = Path(os.fspath(path))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, format=FORMAT, kind=type(mdp).__name__, **arrays)


def load(path):
    """The model that ``save`` wrote to ``path``. A damaged or foreign file: ValueError naming it; one that cannot be read: OSError."""
    with open(os.fspath(path), "rb") as file:
        try:
            return _read(file)
        except _Newer as error:
            raise ValueError(f"{path} {error}") from None
        except Exception as error:  # damaged bytes fail in many ways: in zipfile, in zlib, in NumPy's headers, in our own checks
            raise ValueError(f"{path} is not a model file of tabular_rl, or is damaged: {error or type(error).__name__}") from error


class _Newer(Exception):
    """The file is sound, but of a later format."""


def _read(file):
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no zip archive, or not all of one")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    missing = next((name for name in ("format", "kind") if name not in arrays), None)
    if missing:
        raise ValueError(f"it has no {missing}")
    version = check.integer("format", arrays["format"].item(), 1)
    if version > FORMAT:
        raise _Newer(f"has format {version}, this version reads up to {FORMAT}")
    kind = check.choice("kind", arrays["kind"].item(), _READERS)
    labels = {name: ast.literal_eval(arrays[name].item()) for name in ("states", "actions") if name in arrays}
    try:
        return _READERS[kind](arrays, labels)
    except KeyError as missing:
        raise ValueError(f"{kind} needs the array {missing}") from None


def _read_finite_horizon(a, labels):
    return FiniteHorizonMDP(a["transition"], a["reward"], a["initial"], a["horizon"].item(), **labels)


def _read_discounted(a, labels):
    transition = a.get("transition")
    if transition is None:
        from scipy.sparse import csr_array

        for name in ("indices", "indptr"):
            if a[name].dtype.kind != "i":
                raise TypeError(f"{name} must hold integers, got dtype {a[name].dtype}")
        S, A = a["reward"].shape
        transition = csr_array((a["data"], a["indices"], a["indptr"]), shape=(S * A, S))
    return DiscountedMDP(transition, a["reward"], a["discount"].item(), a["initial"], **labels)


def _read_adversarial(a, labels):
    parameters, bernoulli = tuple(a["parameters"].tolist()), a["bernoulli"].item()
    return AdversarialMDP(a["transition"], a["initial"], a["tables"], a["schedule"].item(), parameters, bernoulli, **labels)


_READERS = {"FiniteHorizonMDP": _read_finite_horizon, "DiscountedMDP": _read_discounted, "AdversarialMDP": _read_adversarial}


def _literal(name, labels):
    """The labels as text that ``ast.literal_eval`` turns back into them."""
    for label in labels:
        try:
            same = ast.literal_eval(repr(label)) == label
        except (ValueError, SyntaxError):
            same = False
        if not same:
            raise ValueError(f"{name} cannot be saved: the label {label!r} is no Python literal; save a model without labels")
    return repr(labels)
