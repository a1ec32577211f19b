"""What an object's numbers come from: the source that its class reaches, wherever it was written.

A class or function of a module with a file stands for that file and for what it imports (``imports``). One of a script, a notebook or a
prompt has no lasting file: it is read as it is loaded, method by method, with the globals, closures and base classes that it reaches, the
values among them by their contents. Whatever cannot be read in this way is refused. Not seen: files that a run reads, modules changed from
outside after they were loaded.
"""

import builtins
import dis
import enum
import functools
import hashlib
import logging
import re
import sys
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

from tabular_rl.experiments import imports
from tabular_rl.models import validation as check

PLAIN = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...), type(NotImplemented), Fraction, Decimal, PurePath, np.dtype,
)  # fmt: skip
GENERATED = {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__", "__getstate__", "__setstate__"}
COMPUTED = {"eval", "exec", "globals"}
INERT = {
    "__module__", "__dict__", "__weakref__", "__doc__", "__qualname__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__dataclass_params__", "__dataclass_fields__", "__match_args__", "__abstractmethods__", "_abc_impl",
    "__firstlineno__", "__static_attributes__", "__parameters__", "__orig_bases__", "__type_params__",
}  # fmt: skip


@dataclass(frozen=True)
class Sources:
    """``digest`` of all that counts; ``files`` {module: digest} and ``libraries`` {name: version} among it, found from ``roots``."""

    digest: str
    files: dict[str, str]
    libraries: dict[str, str]
    roots: tuple

    def differences(self):
        """Modules and libraries that differ in this process, a worker, from those in the process that asked."""
        here = imports.closure(*self.roots)
        pairs = (self.files, here.files), (self.libraries, here.libraries)
        return sorted({name for there, here in pairs for name in there.keys() | here.keys() if there.get(name) != here.get(name)})


def sources(*things, without=()):
    """The Sources of objects, classes and functions. ``without``: modules that are known to decide nothing.

    Raises
    ------
    TypeError
        What cannot be read, by name, with a remedy.
    """
    own = frozenset(thing.__module__.partition(".")[0] for thing in things if isinstance(thing, type | types.FunctionType))
    reader = _Reader(own - sys.stdlib_module_names)
    definitions = [reader.read(thing, "") for thing in things]
    roots = tuple(sorted(reader.roots, key=str)), frozenset(without), reader.own
    found = imports.closure(*roots)
    libraries = found.libraries | {top: imports.library_version(top) for top in reader.libraries}
    digest = hashlib.sha256(repr((definitions, found.digest, sorted(libraries.items()))).encode()).hexdigest()[:32]
    return Sources(digest, found.files, found.libraries, roots)


def public_name(thing):
    """The shortest path that leads to a class or function: ``tabular_rl.algorithms.DAPO``, wherever its file is."""
    parts = thing.__module__.split(".")
    for length in range(1, len(parts)):
        package = ".".join(parts[:length])
        if _named(package, thing.__qualname__) is thing:
            return f"{package}.{thing.__qualname__}"
    return f"{thing.__module__}.{thing.__qualname__}"


def is_filed(thing):
    """Whether a class or function is what its module, a file, holds under its name."""
    return _has_file(thing.__module__) and _named(thing.__module__, thing.__qualname__) is thing


def array_digest(array):
    """Type, shape and hash of an array; one step of a stationary table stands for all."""
    if array.dtype.hasobject:
        raise TypeError(f"an array of objects cannot be hashed: give it a type of numbers, got {check.describe(array)}")
    one = array[:1] if array.ndim and array.strides[0] == 0 else array
    return [str(array.dtype), list(array.shape), hashlib.sha256(np.ascontiguousarray(one).data).hexdigest()]


class _Reader:
    """Tokens for objects, which ``repr`` alike where they compute alike; roots for the closure of imports."""

    def __init__(self, own):
        self.own, self.roots, self.libraries, self.seen = own, set(), set(), {}

    def root(self, thing):
        """The file of a class or function counts; of a package's __init__, what it needs for that name."""
        package = hasattr(sys.modules[thing.__module__], "__path__")
        self.roots.add((thing.__module__, thing.__qualname__.partition(".")[0] if package else None))

    def is_own(self, module):
        return imports.is_own(module, self.own)

    def read(self, value, where):
        """A token for ``value``; ``where`` says how it was reached."""
        if isinstance(value, PLAIN):
            return type(value).__name__, repr(value)
        if id(value) in self.seen:
            return "seen", self.seen[id(value)][0]
        self.seen[id(value)] = len(self.seen), value  # holds it: no id is used twice
        if isinstance(value, types.ModuleType):
            return self.module(value, (), where)
        if isinstance(value, type):
            return self.kind(value, where)
        if isinstance(value, types.FunctionType):
            return self.function(value, where)
        return self.object(value, where)

    def object(self, value, where):
        if isinstance(value, enum.Enum):
            return "enum", self.read(type(value), where), value.name
        if isinstance(value, np.generic):
            return type(value).__name__, repr(value.item())
        if isinstance(value, np.ndarray):
            return self._hashed(array_digest, value, where)
        if isinstance(value, re.Pattern):
            return "pattern", value.pattern, value.flags
        if isinstance(value, list | tuple):
            return type(value).__name__, *(self.read(item, f"{where}[{i}]") for i, item in enumerate(value))
        if isinstance(value, set | frozenset):
            return type(value).__name__, *sorted((self.read(item, where) for item in value), key=repr)
        if isinstance(value, dict | types.MappingProxyType):
            return "dict", *((self.read(key, where), self.read(item, f"{where}[{key!r}]")) for key, item in value.items())
        if isinstance(value, staticmethod | classmethod | types.MethodType):
            return type(value).__name__, self.read(value.__func__, where), self.read(getattr(value, "__self__", None), where)
        if isinstance(value, property):
            return "property", *(self.read(part, where) for part in (value.fget, value.fset, value.fdel))
        if isinstance(value, functools.cached_property):
            return "cached_property", self.read(value.func, where)
        if isinstance(value, functools.partial):
            return "partial", *(self.read(part, where) for part in (value.func, value.args, value.keywords))
        if isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType | logging.Logger):
            return (type(value).__name__,)
        if hasattr(value, "py_func"):  # compiled by Numba
            return "compiled", self.read(value.py_func, where), repr(sorted(getattr(value, "targetoptions", {}).items(), key=str))
        if hasattr(value, "tocsr"):
            matrix = value.tocsr()
            return "sparse", *(array_digest(part) for part in (matrix.data, matrix.indices, matrix.indptr))
        if hasattr(value, "__wrapped__"):  # lru_cache and its like
            return "wrapped", self.read(value.__wrapped__, where)
        kind = type(value)
        if kind.__module__ in ("typing", "types") or kind.__name__ == "_tuplegetter":
            return "type", repr(value)
        if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType | np.ufunc):
            return "builtin", self.library(getattr(value, "__module__", None) or type(value).__module__), value.__name__
        if not self.is_read(kind) and not is_dataclass(value):
            raise TypeError(self.refusal(where, value))
        attributes = vars(value) if hasattr(value, "__dict__") else {}
        names = [field.name for field in fields(value)] if is_dataclass(value) else []
        names += [name for name in attributes if name not in names and not is_cached(kind, name)]
        if not hasattr(value, "__dict__") and not is_dataclass(value):
            raise TypeError(self.refusal(where, value))
        return "object", self.read(kind, where), *((name, self.read(getattr(value, name), f"{where}.{name}")) for name in names)

    def module(self, module, chain, where):
        """A module of which the attributes in ``chain`` are taken."""
        name = module.__name__
        if chain and isinstance(inner := getattr(module, chain[0], None), types.ModuleType):
            return self.module(inner, chain[1:], f"{where}.{chain[0]}")
        if name == "__main__" or (self.is_own(name) and imports.source_file(name) is None and not hasattr(module, "__path__")):
            if not chain:
                raise TypeError(f"{where or name} is a module without a file, used as a whole: name what is used of it")
            return "attribute", self.read(getattr(module, chain[0], None), f"{where}.{chain[0]}")
        if self.is_own(name):
            self.roots.add((name, chain[0] if chain else None))
        else:
            self.library(name)
        return "module", name, chain[:1]

    def kind(self, kind, where):
        """A class."""
        if not self.is_read(kind):
            return "class", self.library(kind.__module__), kind.__qualname__
        where = where or kind.__qualname__
        if (imports.source_file(kind.__module__) or "").endswith(imports.COMPILED):
            raise TypeError(
                f"{where} is a class of the compiled module {kind.__module__}, whose source cannot be read: "
                "define the class in Python and call the compiled functions from there"
            )
        members = {name: value for name, value in vars(kind).items() if name not in INERT}
        if is_filed(kind):
            self.root(kind)
            home = vars(sys.modules[kind.__module__])
            patched = {
                name: value
                for name, value in members.items()
                if isinstance(value, types.FunctionType) and value.__globals__ is not home and self.is_read(value)
            }
            return "class", public_name(kind), self._members(patched, kind, where)
        if _has_file(kind.__module__):  # made inside a function, or since then reloaded
            self.root(kind)
        factories = [f.default_factory for f in fields(kind) if f.default_factory is not MISSING] if is_dataclass(kind) else []
        bases = [self.read(base, where) for base in (*kind.__bases__, type(kind))]
        return "class", kind.__qualname__, bases, self._members(members, kind, where), self.read(factories, where)

    def _members(self, members, kind, where):
        return [
            (name, self.read(value, f"{where}.{name}"))
            for name, value in sorted(members.items())
            if not (is_dataclass(kind) and name in GENERATED and _file_of(value) == "<string>")
        ]

    def function(self, function, where):
        if not self.is_read(function):
            return "function", self.library(function.__module__), function.__qualname__
        home = function.__module__
        filed = _has_file(home) and function.__globals__ is vars(sys.modules[home])
        if filed:
            self.root(function)
            if _named(home, function.__qualname__) is function:
                return "function", public_name(function)
        names, cells = function.__code__.co_freevars, function.__closure__ or ()
        enclosed = [(name, self.read(_content(cell), f"{name} in {where}")) for name, cell in zip(names, cells, strict=True)]
        defaults = self.read([function.__defaults__, function.__kwdefaults__], where)
        attached = vars(function)
        if "registry" in attached:  # functools.singledispatch: the variants are reached from nowhere else
            attached = {"registry": attached["registry"]}
        tokens = [enclosed, defaults, self.read(attached, where), [] if filed else self.globals(function, where)]
        return "function", imports.code_digest(function.__code__), *tokens

    def globals(self, function, where):
        """What the names in a function's code mean where it was defined."""
        tokens, known = [], function.__globals__
        for name, chain in sorted(_names(function.__code__)):
            if name in ("import_module", "__import__") or chain[-1:] == ("import_module",):
                raise TypeError(f"{where} imports by a computed name, which cannot be followed: use an import statement")
            if name in COMPUTED and name not in known:
                raise TypeError(f"{where} reaches what it uses through {name}(), which cannot be followed: write the names themselves")
            if name == "":
                module, *names = chain
                if self.is_own(module):
                    self.roots |= {(module, each if each != "*" else None) for each in names or [None]}
                else:
                    self.library(module)
                tokens.append(("import", chain))
                continue
            reached = f"{name}, which {where} reaches" if where else name
            if name in known:
                value = known[name]
            elif hasattr(builtins, name):
                continue
            else:
                tokens.append((name, "undefined"))
                continue
            tokens.append((name, self.module(value, chain, name) if isinstance(value, types.ModuleType) else self.read(value, reached)))
        return tokens

    def is_read(self, thing):
        """Whether the source of a class or function counts; else the version of its library."""
        module = thing.__module__
        if module in sys.stdlib_module_names:  # so say also what exec and make_dataclass define
            made = module == "builtins" if isinstance(thing, types.FunctionType) else thing.__flags__ & 1 << 9
            return bool(made) and _named(module, thing.__qualname__) is not thing
        return module == "__main__" or module not in sys.modules or self.is_own(module)

    def library(self, module):
        top = (module or "builtins").partition(".")[0]
        if top not in sys.stdlib_module_names and top not in sys.builtin_module_names:
            self.libraries.add(top)
        return module

    def refusal(self, where, value):
        return (
            f"results are kept under all that they come from, and {where or 'it'} cannot be hashed: {check.describe(value)}; "
            "make it a field of the dataclass that numbers, arrays and dataclasses describe, or move what uses it into a module of its own"
        )

    def _hashed(self, hashed, value, where):
        try:
            return hashed(value)
        except TypeError:
            raise TypeError(self.refusal(where, value)) from None


def _has_file(module):
    """Whether a module has a file that is its source."""
    return module != "__main__" and module in sys.modules and (imports.source_file(module) or "").endswith(".py")


def _named(module, qualname):
    value = sys.modules.get(module)
    for name in qualname.split("."):
        value = getattr(value, name, None)
    return value


def _file_of(function):
    return getattr(getattr(function, "__code__", None), "co_filename", "<string>")


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def is_cached(kind, name):
    """Whether an attribute is the remembered value of a cached property."""
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in kind.__mro__)


def _names(code):
    """{(global name, attributes taken from it)} in a code object and those inside; ("", (module, *names)) is an import."""
    found, name = set(), None
    chain: list[str] = []
    pending: list[Any] = []  # what stands on the stack before an import: its level and its names
    for step in dis.get_instructions(code):
        if name is not None and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            chain.append(step.argval)
            continue
        if name is not None and step.opname not in ("CACHE", "EXTENDED_ARG"):
            found.add((name, tuple(chain)))
            name = None
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"):
            name, chain = step.argval, []
        elif step.opname == "IMPORT_NAME":
            names = pending[-1].argval if pending and isinstance(pending[-1].argval, tuple) else ()
            found.add(("", (step.argval, *names)))
        pending = [*pending[-1:], step]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found
