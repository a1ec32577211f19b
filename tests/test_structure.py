"""The house: no circle between files, one family for an algorithm, its claims, its figures and its tests."""

import ast
import re
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ("tabular_rl", "proofs_check", "figures", "benchmarks", "teeth")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"  # a package's list of names imports all of its files, and they import names from it
}


def imported(path):
    """The files that a file imports, at its top or inside of functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def circles(graph):
    """Sets of names {name: names} that lead to each other."""
    names = list(graph)
    arrows = [(names.index(a), names.index(b)) for a in graph for b in graph[a] if b in graph]
    rows, columns = np.reshape(arrows, (-1, 2)).T
    n, which = connected_components(csr_array((np.ones(len(arrows)), (rows, columns)), (len(names),) * 2), connection="strong")
    return [
        {name for name, k in zip(names, which, strict=True) if k == part} for part in np.flatnonzero(np.bincount(which, minlength=n) > 1)
    ]


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


def test_no_file_imports_itself_in_a_circle():
    assert circles({name: set(imported(path)) for name, path in FILES.items()}) == []


def folders(path):
    return {folder.name for folder in (ROOT / path).iterdir() if folder.is_dir() and any(folder.glob("*.py"))}


def test_algorithms_claims_figures_and_tests_have_the_same_families():
    families = folders("tabular_rl/algorithms")
    assert len(families) >= 7
    for path in ("proofs_check/claims", "figures", "tests/algorithms"):
        assert folders(path) - {"foundations"} <= families


def room(name):
    """The room of a module: what stands directly below ``tabular_rl``, or one of the other packages."""
    top, _, below = name.partition(".")
    return below.partition(".")[0] if top == "tabular_rl" else top


def reduced(graph):
    """The arrows of a graph {name: names} without circles that no longer way implies."""

    def reached(start):
        return set(graph[start]).union(*(reached(name) for name in graph[start]))

    return {(a, b) for a in graph for b in graph[a] if not any(b in reached(c) for c in graph[a])}


def test_arrows_that_others_imply_are_left_out():
    assert reduced({"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}) == {("a", "b"), ("b", "c"), ("c", "d")}


def test_the_drawing_of_the_architecture_has_the_rooms_and_their_imports():
    rooms = {room(name): set() for name in FILES}
    for name, path in FILES.items():
        rooms[room(name)] |= {room(other or "") for other in imported(path)} & rooms.keys() - {room(name)}
    drawing = re.search(r"```mermaid\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert set(re.findall(r"^ *(\w+)\[", drawing, re.MULTILINE)) == rooms.keys()
    assert set(re.findall(r"(\w+) --> (\w+)", drawing)) == reduced(rooms)


def test_the_drawing_names_families_and_smaller_rooms():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in ("algorithms", "kernels", "planning"):
        label = re.search(rf"^ *{path}\[(.*)\]$", text, re.MULTILINE)[1]
        assert set(re.findall(r"\w+", label)) >= folders(f"tabular_rl/{path}"), path
