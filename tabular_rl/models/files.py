"""Models in ``.npz`` files: every array bit for bit, nothing unpickled."""

import ast
import contextlib
import os
import zipfile
from pathlib import Path

import numpy as np

from tabular_rl.models.adversarial import AdversarialMDP
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP, packed

FORMAT = 1


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
    """The model that ``save`` wrote to ``path``. A truncated or foreign file: ValueError naming it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(f"{path} is not a model file of tabular_rl, or is damaged: {error}") from None
    if "format" not in arrays or "kind" not in arrays:
        raise ValueError(f"{path} is not a model file of tabular_rl: it has no format and kind")
    if int(arrays["format"]) > FORMAT:
        raise ValueError(f"{path} has format {int(arrays['format'])}, this version reads up to {FORMAT}")
    kind, labels = str(arrays["kind"]), {name: ast.literal_eval(str(arrays[name])) for name in ("states", "actions") if name in arrays}
    try:
        return _READERS[kind](arrays, labels)
    except KeyError as missing:
        raise ValueError(f"{path} is damaged: a {kind} file without {missing}") from None


def _read_finite_horizon(a, labels):
    transition, reward = (a[name][0] if len(a[name]) == 1 else a[name] for name in ("transition", "reward"))
    return FiniteHorizonMDP(transition, reward, a["initial"], int(a["horizon"]), **labels)


def _read_discounted(a, labels):
    transition = a.get("transition")
    if transition is None:
        from scipy.sparse import csr_array

        S, A = a["reward"].shape
        transition = csr_array((a["data"], a["indices"], a["indptr"]), shape=(S * A, S))
    return DiscountedMDP(transition, a["reward"], float(a["discount"]), a["initial"], **labels)


def _read_adversarial(a, labels):
    transition = a["transition"]
    transition = np.broadcast_to(transition, (a["tables"].shape[1], *transition.shape[1:]))
    return AdversarialMDP(transition, a["initial"], a["tables"], str(a["schedule"]), tuple(a["parameters"]), bool(a["bernoulli"]), **labels)


_READERS = {"FiniteHorizonMDP": _read_finite_horizon, "DiscountedMDP": _read_discounted, "AdversarialMDP": _read_adversarial}


def _literal(name, labels):
    text = repr(tuple(labels))
    try:
        same = ast.literal_eval(text) == tuple(labels)
    except (ValueError, SyntaxError):
        same = False
    if not same:
        raise ValueError(
            f"{name} cannot be saved: its labels are not all Python literals, the first is {labels[0]!r}; save a model without labels"
        )
    return text
