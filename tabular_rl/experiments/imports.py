"""The source files that a module reaches through its imports, read without running anything.

Names are followed, not packages: ``from tabular_rl.planning import evaluate`` leads to the file that defines ``evaluate``, and not to all
that ``planning`` offers; so does a stub of lazy_loader, and a package of ``tabular_rl.discovery``. Imports inside functions count. Where a
name cannot be followed (a module handed on as a value, a package whose ``__getattr__`` decides, ``import_module`` of a computed name) the
whole package counts. The ``__init__`` files above a module are read for its names alone: what a package does to others when it is imported
is not seen.
"""

import ast
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import struct
import sys
import types
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tabular_rl import discovery


class Import(NamedTuple):
    """``import module as alias`` (``name`` None), or ``from module import name as alias``."""

    module: str
    name: str | None
    alias: str


@dataclass(frozen=True)
class Parsed:
    """One file: its imports, what its top level binds (None: by itself, else the Imports), its text without import statements."""

    text: str  # a digest
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    imports: tuple[Import, ...] = ()
    binds: dict[str, list[Import] | None] = field(default_factory=dict)
    only_names: bool = True  # the top level does nothing but define names
    late: bool = False  # a module-level __getattr__
    stub: bool = False  # lazy_loader reads the .pyi beside it
    offers: bool = False  # tabular_rl.discovery reads what its files offer
    computed: tuple[str, ...] = ()  # packages of which import_module may load anything

    @cached_property
    def uses(self):
        """{name: attribute chains that are taken from it}; () where it stands alone."""
        found: dict[str, set[tuple[str, ...]]] = {}
        inner = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
                chain: list[str] = []
                while isinstance(node, ast.Attribute):
                    chain.insert(0, node.attr)
                    node = node.value
                    inner.add(id(node))
                if isinstance(node, ast.Name):
                    found.setdefault(node.id, set()).add(tuple(chain))
        return found


@dataclass
class Closure:
    """``files``: {module: digest of its text}; ``digest``: of them, of how they refer to each other, and of the ``libraries``.

    ``uses``: {module: those of the files that it refers to}.
    """

    files: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    uses: dict[str, set[str]] = field(default_factory=dict)


def closure(roots, without=(), own=()):
    """The Closure of ``roots``: pairs (module, name in it; None for all of it).

    ``without``: modules that do not count; ``own``: installed packages that are read like the user's own.

    A module is read once per load: what was loaded is what runs, however its file is edited afterwards.
    """
    question = tuple(sorted(set(roots), key=str)), frozenset(without), frozenset(own)
    if question in _ANSWERS:
        answer, texts = _ANSWERS[question]
        if all(_is_at(module, path) and read(module, path) == text for module, (path, text) in texts.items()):
            return answer
    walk = _Walk(*question)
    _ANSWERS[question] = walk.closure, {module: (path := walk.path(module), read(module, path)) for module in walk.closure.files}
    return walk.closure


def _is_at(module, path):
    loaded = sys.modules.get(module)
    return os.path.exists(path) if loaded is None else getattr(loaded, "__file__", None) == path


def is_own(module, own=()):
    """Whether the module's numbers are those of its source: everything but the standard library and installed packages, except ``own``."""
    top = module.partition(".")[0]
    if top in _OWN or top in own:
        return True
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return False
    place = _place(top)
    return place is not None and not {"site-packages", "dist-packages"} & set(Path(place).parts)


def source_file(module):
    """The file of a module, or None (a namespace package, a built-in module, no module at all)."""
    loaded = sys.modules.get(module)
    origin = getattr(loaded, "__file__", None)
    if origin is not None:
        return origin
    top, *rest = module.split(".")
    place = _place(top)
    if place is None:
        return None
    path = Path(place)
    if not rest:
        return str(path) if path.is_file() else None
    if path.name == "__init__.py":
        path = path.parent
    if not path.is_dir():
        return None
    path = path.joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
        if candidate.is_file():
            return str(candidate)
    return next((str(found) for suffix in COMPILED if (found := path.with_name(path.name + suffix)).is_file()), None)


@cache
def library_version(top):
    """The version of what ``import top`` brings; "none" when it is not installed."""
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        names = _distributions().get(top)
        return importlib.metadata.version(names[0]) if names else "none"


def read(module, path):
    """The text of a module, as bytes: of the file ``path`` as it was when the module was loaded (or as it is, when it was not).

    Raises
    ------
    TypeError
        The file was edited after the module was loaded and before it was first read here: what runs is not what is written.
    """
    loaded = sys.modules.get(module)
    spec = getattr(loaded, "__spec__", None)
    if spec is not None and module in _READ and _READ[module][0] is spec:
        return _READ[module][1]
    content = Path(path).read_bytes()
    if spec is not None and not getattr(spec, "_initializing", False):  # one that is being imported is read again
        if _was_edited(loaded, spec, path, content):
            raise TypeError(
                f"{module} was loaded before its file {path} was edited, so that results would be stored for code that did not run: "
                f"importlib.reload({module}) and make its objects anew, or restart Python"
            )
        _READ[module] = spec, content
    return content


_OWN = frozenset({"tabular_rl", "proofs_check"})
COMPILED = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_READ: dict[str, tuple[Any, bytes]] = {}
_ANSWERS: dict[Any, tuple[Closure, dict[str, tuple[str, bytes]]]] = {}


def _place(top):
    """File or folder of a top-level module, or None."""
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
    if (file := getattr(loaded, "__file__", None)) is not None:
        return file
    if spec is None:
        return None
    if spec.has_location:
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), None)


@cache
def _distributions():
    return importlib.metadata.packages_distributions()


# --- one file


def _parse(module, path):
    content = read(module, path)
    if path.endswith(COMPILED):
        return Parsed(hashlib.sha256(content).hexdigest())
    return _parsed(content, module, os.path.basename(path) == "__init__.py")


@cache
def _parsed(content, module, is_package):
    package = module if is_package else module.rpartition(".")[0]
    tree = ast.parse(content)
    walk = _Statements(package)
    walk.visit(tree.body, top=True)
    computed = []
    for node in ast.walk(tree) if b"import_module" in content or b"__import__" in content else ():
        if isinstance(node, ast.Call) and id(node) not in walk.late_calls:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                computed.append(_computed(node.args[0] if node.args else None, package, module))
    text, lines = [], content.splitlines(keepends=True)
    position = (1, 0)
    for begin, end in [*walk.spans, ((len(lines) + 1, 0), None)]:  # without the import statements
        for line in range(position[0], min(begin[0], len(lines)) + 1):
            text.append(lines[line - 1][position[1] if line == position[0] else 0 : begin[1] if line == begin[0] else None])
        position = end
    return Parsed(
        hashlib.sha256(b"\0".join(text)).hexdigest(), tree, tuple(walk.imports), walk.binds, walk.only_names,
        "__getattr__" in walk.binds, is_package and b"attach_stub" in content, is_package and b"discovery.load" in content, tuple(computed),
    )  # fmt: skip


class _Statements:
    """A walk over the statements of a file."""

    def __init__(self, package):
        self.package, self.imports, self.binds, self.spans, self.only_names, self.late_calls = package, [], {}, [], True, set()

    def visit(self, body, top):
        for place, node in enumerate(body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found = [*_imports(node, self.package)]
                self.imports += found
                self.spans.append(((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)))
                if top:
                    for each in found:
                        if self.binds.setdefault(each.alias, []) is not None:
                            self.binds[each.alias].append(each)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if top:
                    self.binds[node.name] = None
                    if node.name == "__getattr__":
                        self.late_calls |= {id(inner) for inner in ast.walk(node)}
                self.visit(node.body, False)
            else:
                if top:
                    self._top(node, place)
                for part in ("body", "orelse", "finalbody"):
                    self.visit(getattr(node, part, ()), top)
                for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                    self.visit(part.body, top)

    def _top(self, node, place):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for each in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                if isinstance(each, ast.Name):
                    self.binds[each.id] = None
                elif each is not None:
                    self.only_names = False
        if isinstance(node, ast.Expr):
            self.only_names &= isinstance(node.value, ast.Constant)
        elif not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.If | ast.Try | ast.Pass):
            self.only_names = False


def _imports(node, package):
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield Import(alias.name, None, alias.asname)
            else:
                yield Import(alias.name.partition(".")[0], None, alias.name.partition(".")[0])
                if "." in alias.name:  # loads it, whichever way it is then used
                    yield Import(alias.name, None, "")
        return
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        yield Import(base, alias.name, alias.asname or alias.name)


def _computed(argument, package, module):
    """What import_module(argument) may load: the module named, or the package that the constant beginning of the name is in."""
    name = ""
    if isinstance(argument, ast.JoinedStr) and argument.values and isinstance(argument.values[0], ast.Constant):
        name = str(argument.values[0].value).rpartition(".")[0]
    elif isinstance(argument, ast.Constant):
        name = str(argument.value)
    if name and not name.startswith("."):
        return name
    if not package:
        raise TypeError(f"{module} imports a module by a computed name, which cannot be followed: name it in an import statement")
    return package + name.rstrip(".")


# --- from file to file


class _Walk:
    def __init__(self, roots, without, installed):
        self.installed = installed
        self.closure, self.parsed, self.edges, self.paths, self.folders = Closure(), {}, {}, {}, {}
        waiting = []
        for module, name in roots:
            waiting += self.origin(Import(module, name, "")) if name else self.whole(module)
        while waiting:
            module = waiting.pop()
            if module in self.edges or module in without:
                continue
            edges = self.edges[module] = []
            file = self.file(module)
            for each in file.imports:
                targets = self.targets(each, file)
                edges.append((each, targets))
                waiting += targets
            for name in file.computed:
                targets = self.whole(name)
                edges.append((Import(name, None, ""), targets))
                waiting += targets
        texts = self.closure.files = {module: self.file(module).text for module in sorted(self.edges)}
        self.closure.uses = {
            module: {target for _, targets in edges for target in targets if target in texts} for module, edges in self.edges.items()
        }
        records = []
        for module, edges in self.edges.items():
            refers = [f"{each.alias} {each.name} {sorted(texts[target] for target in targets if target in texts) or each.module}"
                      for each, targets in edges]  # fmt: skip
            records.append(f"{texts[module]} {sorted(refers)}")
        digest = hashlib.sha256("\n".join([*sorted(records), *map(str, sorted(self.closure.libraries.items()))]).encode())
        self.closure.digest = digest.hexdigest()[:32]

    def file(self, module):
        if module not in self.parsed:
            self.parsed[module] = _parse(module, self.path(module))
        return self.parsed[module]

    def path(self, module):
        if module not in self.paths:
            self.paths[module] = source_file(module)
        return self.paths[module]

    def exists(self, module):
        return self.path(module) is not None

    def own(self, module):
        """Whether to follow it; else its version counts."""
        if is_own(module, self.installed):
            return True
        top = module.partition(".")[0]
        if top and top not in sys.stdlib_module_names and top not in self.closure.libraries:
            self.closure.libraries[top] = library_version(top)
        return False

    def targets(self, each, file):
        """Modules whose code an import in ``file`` reaches."""
        if not self.own(each.module):
            return []
        if each.name == "*":
            return self.whole(each.module)
        found = self.origin(each)
        if not isinstance(found, str):
            return sorted(found)
        chains = file.uses.get(each.alias, set())
        if not self.is_package(found):
            return [found]
        return sorted({module for chain in chains for module in self.follow(found, chain)})

    def origin(self, each, seen=()):
        """Where an import leads: the name of a module that it binds, or the set of modules that define the name."""
        if each.name is None:
            return each.module if self.own(each.module) else set()
        return self.lookup(each.module, each.name, seen)

    def lookup(self, module, name, seen=()):
        """What ``module.name`` is: a module (its dotted name), or the set of modules whose code it is."""
        if not self.own(module):
            return set()
        submodule = f"{module}.{name}"
        if (module, name) in seen:  # `from . import name` in the package itself
            return submodule if self.exists(submodule) or self.is_package(submodule) else {module}
        if not self.is_package(module):
            return {module} if self.exists(module) else set()
        if not self.exists(module):  # a namespace
            return submodule if self.exists(submodule) or self.is_package(submodule) else set()
        file = self.file(module)
        if not file.only_names:
            return {module, *([submodule] if self.exists(submodule) else [])}
        binds = file.binds
        if file.stub and name not in binds:
            binds = self.stub(module).binds
        if name in binds:
            if binds[name] is None:
                return {module}
            found = [self.origin(each, (*seen, (module, name))) for each in binds[name]]
            if len(found) == 1:
                return found[0]
            return {target for entry in found for target in ([entry] if isinstance(entry, str) else entry) if self.exists(target)}
        if self.exists(submodule) or self.is_package(submodule):
            return submodule
        if file.offers and (offered := discovery.offered(module, str(self.folder(module)))).get(name):
            return set(offered[name])
        return set(self.whole(module)) if file.late else {module}

    def follow(self, module, chain):
        """The modules that ``module.a.b`` reaches, for the attributes in ``chain``."""
        if not self.own(module):
            return set()
        if not chain or not self.is_package(module):
            return set(self.whole(module))
        found = self.lookup(module, chain[0])
        return self.follow(found, chain[1:]) if isinstance(found, str) else found

    def whole(self, module):
        """A module, or a package with all that is in it."""
        if not self.own(module):
            return []
        if not self.is_package(module):
            return [module] if self.exists(module) else []
        folder = self.folder(module)
        names = [".".join([module, *path.relative_to(folder).with_suffix("").parts]) for path in sorted(folder.rglob("*.py"))]
        return [name.removesuffix(".__init__") for name in names]

    def folder(self, module):
        if module not in self.folders:
            self.folders[module] = self._folder(module)
        return self.folders[module]

    def _folder(self, module):
        path = self.path(module)
        if path is not None:
            return Path(path).parent if os.path.basename(path) == "__init__.py" else None
        top, *rest = module.split(".")
        place = _place(top)
        if place is None:
            return None
        path = Path(place)
        path = (path.parent if path.is_file() else path).joinpath(*rest)
        return path if path.is_dir() and (not Path(place).is_file() or Path(place).name == "__init__.py") else None

    def is_package(self, module):
        return self.folder(module) is not None

    def stub(self, module):
        path = Path(self.path(module)).with_suffix(".pyi")
        return _parsed(path.read_bytes(), module, True) if path.is_file() else Parsed("")


# --- whether what runs is what is written


@cache
def _process_start():
    """Seconds since the epoch, or 0 where nobody tells."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return boot + ticks / os.sysconf("SC_CLK_TCK") - 1  # btime is a whole second
    except (OSError, StopIteration, ValueError, IndexError):
        return 0.0


def _was_edited(module, spec, path, content):
    """Whether the file was certainly edited after the module was loaded: its bytecode is of another text, or its functions are."""
    stat = os.stat(path)
    if max(stat.st_mtime, stat.st_ctime) < _process_start() or type(spec.loader) is not importlib.machinery.SourceFileLoader:
        return False
    if not sys.dont_write_bytecode and spec.cached and os.path.exists(spec.cached) and os.stat(spec.cached).st_mtime > _process_start():
        header = Path(spec.cached).read_bytes()[:16]
        if header[4:8] == bytes(4) and header[8:] != struct.pack("<II", int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF):
            return True
    written = {code_digest(code) for code in _nested(compile(content, path, "exec", dont_inherit=True))}
    return any(code.co_filename == path and code_digest(code) not in written for code in _codes(module))


def _nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _codes(module):
    """The code of the functions and methods that a module holds, those that decorators wrap too."""
    for value in list(vars(module).values()):
        for member in [value, *(vars(value).values() if isinstance(value, type) and value.__module__ == module.__name__ else ())]:
            for inner in (member, *(getattr(member, name, None) for name in ("__wrapped__", "__func__", "fget", "func", "py_func"))):
                if isinstance(inner, types.FunctionType):
                    yield inner.__code__


def code_digest(code):
    """What a code object does, whatever file and line it is from; docstrings and comments do not count."""
    return hashlib.sha256(repr(_code(code)).encode()).hexdigest()


def _code(code):
    return (
        code.co_code, [_constant(x) for x in code.co_consts], code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_exceptiontable,
    )  # fmt: skip


def _constant(value):
    if isinstance(value, types.CodeType):
        return _code(value)
    if isinstance(value, frozenset):
        return ["frozenset", *sorted(map(repr, value))]
    if isinstance(value, tuple):
        return [_constant(item) for item in value]
    return type(value).__name__, repr(value)
