"""What the files of a package offer, found without a list of them: the names in their ``__all__``, which load when first used."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

OFFER = re.compile(r"^__all__ = (\[.*?\])", re.MULTILINE | re.DOTALL)


@cache
def offered(package, folder):
    """{name: modules that offer it, which should be one} for all files below ``folder``, which are read, not imported."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*.py")):
        match = None if path.name == "__init__.py" else OFFER.search(path.read_text(encoding="utf-8"))
        for name in ast.literal_eval(match[1]) if match else ():
            found.setdefault(name, []).append(".".join([package, *path.relative_to(folder).with_suffix("").parts]))
    return found


def load(package, folder, name):
    """What ``package.name`` is: what a file offers, or a module below."""
    where = offered(package, folder).get(name, [])
    if len(where) > 1:
        raise ImportError(f"{name} is offered more than once, by {' and by '.join(where)}")
    if where:
        return getattr(importlib.import_module(where[0]), name)
    if (Path(folder) / name).is_dir() or (Path(folder) / f"{name}.py").is_file():
        return importlib.import_module(f"{package}.{name}")
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
