"""Generated faults: one operator, constant, index, comparison or argument of a function that a family's claims name, or that those call.

Only texts are changed, as by hand, so that compiled functions are mutated like any other.
"""

import ast
import contextlib
import importlib
import random
import types
from dataclasses import replace
from functools import cache
from pathlib import Path

from teeth.planting import ROOT, Fault

ROOMS = tuple(f"tabular_rl.{room}" for room in ("algorithms", "kernels", "planning", "submodular", "ambiguity", "delays", "losses"))
OPERATORS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*")}
COMPARISONS = {ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!=")}
PAIRS = {"min": "max", "minimum": "maximum", "argmin": "argmax"}
PAIRS |= {b: a for a, b in PAIRS.items()}


def generate(family, size, seed):
    """``size`` faults (or all there are), drawn function by function; the same for the same text and seed."""
    rng, places = random.Random(seed), {}
    for file, names in sorted(_named(family).items()):
        for name in sorted(names):
            if found := mutations(file, name):
                places[file, name] = found
    chosen = []
    while len(chosen) < size and places:
        place = rng.choice(sorted(places))
        fault = replace(places[place].pop(rng.randrange(len(places[place]))), family=family)
        if not places[place]:
            del places[place]
        with contextlib.suppress(ValueError):  # one that changes nothing, or does not parse
            fault.planted((ROOT / fault.file).read_text(encoding="utf-8"))
            chosen.append(fault)
    return chosen


def probe(fault):
    """The fault that stops the program where ``fault`` stands: what does not notice it never gets there."""
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    statements = [
        (start, node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef)
        if (start := _offset(text, node.lineno, node.col_offset)) <= fault.at < _offset(text, node.end_lineno, node.end_col_offset)
    ]
    for start, node in sorted(statements, key=lambda entry: -entry[0]):  # the innermost that another statement may stand before
        stopped = Fault(f"stop at {fault.name}", fault.file, "", f"raise AssertionError\n{' ' * node.col_offset}", fault.family, start)
        try:
            stopped.planted(text)
        except ValueError:
            continue
        return stopped
    return None


def mutations(file, qualname):
    """The faults of one function: all that can be changed in it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    node = _definition(_parsed(text), qualname.split("."))
    if node is None:
        return []
    found = []
    for start, end, new in _edits(text, node):
        old = text[start:end]
        line = text.count("\n", 0, start) + 1
        fault = Fault(f"{qualname}:{line}: {old.strip()} -> {new.strip() or 'nothing'} (column {start - text.rfind(chr(10), 0, start)})",
                      file, old, new, at=start)  # fmt: skip
        found.append(fault)
    return found


def _edits(text, function):
    """(start, end, new text) of each change."""
    at = lambda node: (_offset(text, node.lineno, node.col_offset), _offset(text, node.end_lineno, node.end_col_offset))
    for node in _code(function):
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            yield from _between(text, at(node.left)[1], at(node.right)[0], *OPERATORS[type(node.op)])
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
            yield from _between(text, at(node.left)[1], at(node.comparators[0])[0], *COMPARISONS[type(node.ops[0])])
        elif isinstance(node, ast.BoolOp):
            word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield from _between(text, at(node.values[0])[1], at(node.values[1])[0], word, other)
        elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
            yield from _between(text, at(node.target)[1], at(node.value)[0], *OPERATORS[type(node.op)])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield at(node)[0], at(node.operand)[0], ""
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield *at(node), repr(node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
                if isinstance(index, ast.Name):
                    yield *at(index), f"{index.id} - 1"
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in PAIRS:
                yield at(node.func)[1] - len(name), at(node.func)[1], PAIRS[name]
            for one, two in zip(node.args, node.args[1:], strict=False):
                if isinstance(one, ast.Name) and isinstance(two, ast.Name) and one.id != two.id:
                    between = text[at(one)[1] : at(two)[0]]
                    yield at(one)[0], at(two)[1], f"{two.id}{between}{one.id}"


def _code(node):
    """The nodes of a function without docstring, annotations, decorators, messages of errors and checks of its input."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
                continue
            if isinstance(child, ast.Call) and ast.unparse(child.func).startswith("check."):
                continue
            yield child
            yield from _code(child)


def _between(text, start, end, old, new):
    """The operator between two operands, brackets aside."""
    place = text.find(old, start, end)
    if place >= 0 and "#" not in text[start:end]:
        yield place, place + len(old), new


def _offset(text, line, column):
    """Place in the text of a line and a column of its bytes."""
    lines = _lines(text)
    return lines[line - 1][0] + len(lines[line - 1][1].encode()[:column].decode())


_parsed = cache(ast.parse)


@cache
def _lines(text):
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        found.append((start, line))
        start += len(line)
    return found


def _definition(tree, names):
    """The function of a dotted name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == names[0]:
            return node if len(names) == 1 and isinstance(node, ast.FunctionDef) else _definition(node, names[1:]) if names[1:] else None
    return None


# --- which functions


def _named(family):
    """{file: qualified names} of the product"s functions that claims of the family use, and those that these call.

    Through calls it does not go into the rooms of other families.
    """
    others = {path.name for path in (ROOT / "proofs_check" / "claims").iterdir() if path.is_dir()} - {family}
    folder, waiting = ROOT / "proofs_check" / "claims" / family, []
    for path in sorted(folder.glob("*.py")):
        module = importlib.import_module(f"proofs_check.claims.{family}.{path.stem}")
        codes = [value.__code__ for value in vars(module).values() if isinstance(value, types.FunctionType)]
        for code in codes:
            waiting += _used(code, vars(module))
    found: dict[str, set[str]] = {}
    seen: set[types.FunctionType] = set()
    while waiting:
        function = waiting.pop()
        path = Path(function.__code__.co_filename)  # "<string>" of a method that dataclasses wrote
        if function in seen or not function.__module__.startswith(ROOMS) or "<" in function.__qualname__ or not path.is_relative_to(ROOT):
            continue
        seen.add(function)
        found.setdefault(str(path.relative_to(ROOT)), set()).add(function.__qualname__)
        waiting += (called for called in _used(function.__code__, function.__globals__) if not others & set(called.__module__.split(".")))
    return found


def _used(code, names):
    """Functions of the product among the names of a code object, those of modules and classes that it names included."""
    values = []
    for name in code.co_names:
        value = names.get(name)
        if value is None and name.startswith("tabular_rl."):  # imported inside of the function
            value = importlib.import_module(name)
        values.append(value)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("tabular_rl"):
            values += [getattr(value, other) for other in code.co_names if hasattr(value, other)]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _used(constant, names)
    for value in values:
        if isinstance(value, type) and value.__module__.startswith("tabular_rl"):
            members = [getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
                       for member in vars(value).values()]  # fmt: skip
            yield from (member for member in members if isinstance(member, types.FunctionType) and member.__module__ == value.__module__)
        function = getattr(value, "py_func", value)
        if isinstance(function, types.FunctionType) and function.__module__.startswith("tabular_rl"):
            yield function
