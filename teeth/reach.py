"""Which claims and tests reach a file through their imports, the nearest first."""

import re
from functools import cache
from pathlib import Path

from tabular_rl.experiments import imports
from teeth.planting import ROOT

# what runs all claims, and what reads the lists of faults themselves
NOT_TESTS = {"tests.test_claims", "tests.test_teeth"}
LAYERS = {word[:5] for word in ("tabular", "kernels", "planning", "algorithms", "proofs", "check", "claims", "tests", "test", "and")}


def module_of(file):
    """The dotted name of a file of the repository."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def reaching(file, where, family=""):
    """Modules below ``where`` ("proofs_check/claims" or "tests") that reach ``file``: those of like names and ``family`` first, then those
    that are few imports away."""
    goal, found = module_of(file), []
    for module in _modules(where):
        steps = _distances(module).get(goal)
        if steps is not None:
            found.append((-len(_words(module) & _words(f"{goal}.{family}")), steps, module))
    return [module for *_, module in sorted(found)]


@cache
def _modules(where):
    names = [module_of(path.relative_to(ROOT)) for path in sorted((ROOT / where).rglob("*.py")) if path.name != "__init__.py"]
    return [name for name in names if name not in NOT_TESTS and (where != "tests" or name.rpartition(".")[2].startswith("test_"))]


@cache
def _distances(module):
    """{module reached: imports on the shortest way there}."""
    # the list of all claims loads every one of them, and decides nothing about one
    uses = imports.closure([(module, None)], without={"proofs_check.registry"} if module.startswith("proofs_check.") else ()).uses
    steps, front = {module: 0}, [module]
    while front:
        following = []
        for name in front:
            for other in uses.get(name, ()):
                if other not in steps:
                    steps[other] = steps[name] + 1
                    following.append(other)
        front = following
    return steps


def _words(module):
    """The beginnings of the words of a dotted name that tell families and subjects apart."""
    return {word[:5] for word in re.findall(r"[a-z]{3,}", module)} - LAYERS
