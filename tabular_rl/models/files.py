"""Models in ``.npz`` files: every array bit for bit, nothing unpickled.

A model is its class and the arguments that build it again (those of ``__reduce__``, where it has one), and so are the ambiguity set, the
objective, the delays within it. An argument is stored under its name: a number, a string or an array as it is, a sparse matrix as three
arrays ``name.data``, ``name.indices``, ``name.indptr`` (without the name for ``transition``), an object as ``name.class`` and its
arguments as ``name.argument``, labels as the text of Python literals, None not at all.
"""

import ast
import importlib
import inspect
import os
import zipfile
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.atomic import replacing

FORMAT = 1
MODELS = (
    "FiniteHorizonMDP", "DiscountedMDP", "AdversarialMDP", "LinearMDP", "RobustMDP", "RobustLinearMDP", "SubmodularMDP", "DelayedMDP",
)  # fmt: skip
MODULES = (
    "models",
    "ambiguity",
    "submodular",
    "delays",
)  # of classes that a file may hold; found by name, as most are above this layer
LITERALS = ("states", "actions", "seed")  # text: labels of any kind, and whole numbers of any size
TUPLES = ("parameters", "reward_range")  # of numbers
# arguments that a file may lack: they were None (``normalize`` has done its work)
NOT_STORED = ("states", "actions", "available", "reward_range", "kernel", "features", "threshold", "normalize")
PARTS = ("data", "indices", "indptr")


def save(mdp, path):
    """Write a model to ``path`` (``.npz``), atomically; ``load`` gives it back bit for bit.

    Labels of states and actions are kept when they are Python literals (numbers, strings, tuples ...) or NumPy's numbers and strings, which
    become Python's; others: ValueError. An objective or ambiguity set of a class of your own: TypeError.
    """
    if type(mdp).__name__ not in MODELS or _class(type(mdp).__name__) is not type(mdp):
        raise check.wrong_kind("mdp", "a model of tabular_rl", mdp)
    arrays = _arrays("", mdp)
    path = Path(os.fspath(path))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, format=FORMAT, kind=type(mdp).__name__, **arrays)


def _arrays(prefix, thing):
    """What ``thing`` is made of, by name."""
    arrays, names = {}, inspect.signature(type(thing)).parameters
    own = type(thing).__reduce__ is not object.__reduce__
    arguments = thing.__reduce__()[1] if own else [getattr(thing, name) for name in names]
    for parameter, value in zip(names, arguments, strict=False):
        name = prefix + parameter
        if value is None:
            continue
        if parameter in LITERALS:
            arrays[name] = _literal(name, value)
        elif hasattr(value, "tocsr"):
            arrays |= {_part(name, part): getattr(value, part) for part in PARTS}
        elif is_dataclass(value):
            arrays[f"{name}.class"] = type(value).__name__
            if _class(type(value).__name__) is not type(value):
                raise TypeError(f"{name} cannot be saved: {type(value).__name__} is not a class of tabular_rl")
            arrays |= _arrays(f"{name}.", value)
        else:
            arrays[name] = np.array(value, float) if parameter in TUPLES else np.asarray(value)
    return arrays


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
        raise ValueError("it is not a (complete) zip archive")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    missing = next((name for name in ("format", "kind") if name not in arrays), None)
    if missing:
        raise ValueError(f"it has no {missing}")
    version = check.integer("format", arrays.pop("format").item(), 1)
    if version > FORMAT:
        raise _Newer(f"has format {version}, this version reads up to {FORMAT}")
    kind = check.choice("kind", arrays.pop("kind").item(), MODELS)
    try:
        model = _thing("", kind, arrays)
    except KeyError as missing:
        raise ValueError(f"{kind} needs the array {missing}") from None
    if arrays:
        raise ValueError(f"{kind} has no use for the array {next(iter(arrays))!r}")
    return model


def _thing(prefix, kind, arrays):
    """The object of class ``kind``, of the arguments that are taken out of ``arrays``."""
    arguments, cls = {}, _class(kind)
    if cls is None:
        raise ValueError(f"{kind!r} is not a class of tabular_rl that a file may hold")
    for parameter, described in inspect.signature(cls).parameters.items():
        name = prefix + parameter
        if _part(name, "data") in arrays:
            arguments[parameter] = _sparse(name, prefix, arrays)
        elif f"{name}.class" in arrays:
            arguments[parameter] = _thing(f"{name}.", arrays.pop(f"{name}.class").item(), arrays)
        elif name in arrays or parameter not in NOT_STORED or described.default is described.empty:
            arguments[parameter] = _argument(name, parameter, arrays)
    return cls(**arguments)


def _argument(name, parameter, arrays):
    value = arrays.pop(name)
    if parameter in LITERALS:
        return ast.literal_eval(value.item())
    if parameter in TUPLES:
        if value.ndim != 1 or value.dtype.kind != "f":
            raise TypeError(f"{name} must be a list of numbers, got {value.dtype} of shape {value.shape}")
        return tuple(value.tolist())
    return value.item() if value.ndim == 0 else value


def _sparse(name, prefix, arrays):
    from scipy.sparse import csr_array

    data, indices, indptr = (arrays.pop(_part(name, part)) for part in PARTS)
    for part, array in ("indices", indices), ("indptr", indptr):
        if array.dtype.kind != "i":
            raise TypeError(f"{_part(name, part)} must hold integers, got dtype {array.dtype}")
    return csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(arrays[f"{prefix}initial"])))


def _part(name, part):
    return part if name == "transition" else f"{name}.{part}"  # as files of the first version have it


def _class(kind):
    """The class of that name in tabular_rl, None if there is none."""
    for module in MODULES:
        found = vars(importlib.import_module(f"tabular_rl.{module}")).get(kind)
        if isinstance(found, type) and is_dataclass(found):
            return found
    return None


def _literal(name, value):
    """``value`` (labels, or one number) as text that ``ast.literal_eval`` turns back into what is equal to it."""
    text = []
    for label in value if isinstance(value, tuple) else (value,):
        plain = _plain(label)
        try:
            same = ast.literal_eval(repr(plain)) == label
        except (ValueError, SyntaxError):
            same = False
        if not same:
            raise ValueError(f"{name} cannot be saved: the label {label!r} is not a Python literal; save a model without labels")
        text.append(repr(plain))
    return f"({', '.join(text)},)" if isinstance(value, tuple) else text[0]


def _plain(label):
    """The label with Python's numbers and strings in place of NumPy's."""
    if isinstance(label, tuple):
        return tuple(map(_plain, label))
    return label.item() if isinstance(label, np.generic) else label
