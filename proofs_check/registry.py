"""What a claim is, and the list of all claims."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

PROVENANCE = ("paper", "reconstructed", "derived", "classical")
_CLAIMS: dict[str, "Claim"] = {}


@dataclass(frozen=True)
class Claim:
    """An executable statement about every instance that ``given`` can draw.

    ``sides(*instance)`` returns what ``kind`` compares; ``sides(*instance, **control)`` is the broken twin, which the same
    procedure must refute.
    """

    id: str
    sides: Callable
    kind: Callable
    source: str
    provenance: str
    given: tuple
    control: dict[str, Any]

    @cached_property
    def statement(self):
        """What the docstring claims, without its control and proof."""
        return " ".join((self.sides.__doc__ or "").partition("Control:")[0].split("\n\n")[0].split())

    @cached_property
    def control_statement(self):
        """What the docstring says about the negative control."""
        return " ".join((self.sides.__doc__ or "").partition("Control:")[2].split("\n\n")[0].split())


def claim(id, *, kind, source, provenance, given, control):
    """Register the decorated function as a claim. A claim without a negative control is refused."""
    if not control:
        raise ValueError(f"claim {id!r} has no negative control")
    if provenance not in PROVENANCE:
        raise ValueError(f"provenance of {id!r} must be one of {', '.join(PROVENANCE)}, got {provenance!r}")
    if id in _CLAIMS:
        raise ValueError(f"claim {id!r} is registered twice")

    def register(function):
        if not function.__doc__:
            raise ValueError(f"claim {id!r} does not say what it claims: its function has no docstring")
        if "Control:" not in function.__doc__:
            raise ValueError(f"claim {id!r} does not say what its negative control is: its docstring has no 'Control:'")
        _CLAIMS[id] = Claim(id, function, kind, source, provenance, tuple(given), control)
        return function

    return register


@cache
def all_claims():
    """Every claim of ``proofs_check.claims``, by id."""
    package = importlib.import_module("proofs_check.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_CLAIMS.items()))


def find_claims(ids=()):
    """The claims named by ``ids`` (a full id, or the part before its dot); all when empty. Unknown ones: ValueError with the nearest."""
    claims = all_claims()
    if not ids:
        return list(claims.values())
    chosen = {}
    for name in ids:
        found = {id: claim for id, claim in claims.items() if id == name or id.split(".")[0] == name}
        if not found:
            near = difflib.get_close_matches(name, [*claims, *{id.split(".")[0] for id in claims}], n=1, cutoff=0.4)
            raise ValueError(f"no claim {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
        chosen |= found
    return list(chosen.values())
