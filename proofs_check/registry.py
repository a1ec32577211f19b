"""What a claim and a theorem are, and the lists of all of them."""

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

PROVENANCE = ("paper", "reconstructed", "derived", "classical")
_CLAIMS: dict[str, "Claim"] = {}
_THEOREMS: dict[str, "Theorem"] = {}


@dataclass(frozen=True)
class Claim:
    """An executable statement about every instance of ``given``.

    ``sides(*instance)`` returns what ``kind`` judges; ``sides(*instance, **control)`` is the broken twin, which the same procedure must
    refute. A claim of a statistical kind gets a generator as well: ``sides(*instance, rng)``.

    Attributes
    ----------
    id : str
        "group.name".
    kind : a kind of ``proofs_check.verdicts``
    source, provenance : str
        Where the statement comes from; one of "paper", "reconstructed", "derived", "classical".
    given : tuple, or dict
        Exact kinds: strategies, or functions of the first drawn value that return one. Statistical kinds: {name: function without
        arguments that returns an instance, a tuple}.
    control : dict
        Keywords that break the claim.
    no_control : str
        The reason why none can exist; only then may ``control`` be empty.
    exact : bool
        Whether the function also runs on fractions, so that the engine verifies it without a tolerance as well.
    varied : dict
        {keyword: other values} of what was set by hand, a window or a number of episodes: the nightly profile puts each in its place, one
        at a time, and the claim must hold there too.
    """

    id: str
    sides: Callable
    kind: Any
    source: str
    provenance: str
    given: Any
    control: dict[str, Any]
    no_control: str = ""
    exact: bool = False
    varied: Mapping[str, tuple] = field(default_factory=dict)

    @property
    def module(self):
        """Of the file that enters it."""
        return self.sides.__module__

    @cached_property
    def statement(self):
        """What the docstring claims, without its control and proof."""
        return " ".join((self.sides.__doc__ or "").partition("Control:")[0].split("\n\n")[0].split())

    @cached_property
    def control_statement(self):
        """What the docstring says about the negative control, or why there is none."""
        return " ".join((self.sides.__doc__ or "").partition("Control:")[2].split("\n\n")[0].split()) or self.no_control

    @cached_property
    def argument_names(self):
        """Names of an instance's parts."""
        names = [name for name in inspect.signature(self.sides).parameters if name != "rng"]
        return names[: len(self.given)] if isinstance(self.given, tuple) else names


@dataclass(frozen=True)
class Theorem:
    """A theorem as the graph of its claims.

    Attributes
    ----------
    id : str
    statement : str
        Prose with mathematics between dollar signs.
    source, provenance : str
        As for a claim.
    claims : tuple of str
        Ids of its lemmas, in the order of the proof.
    uses : dict
        Edges: {claim or theorem: ids of what it follows from}; the theorem itself follows from all claims that nothing else uses.
    module : str
        Of the file that states it.
    """

    id: str
    statement: str
    source: str
    provenance: str
    claims: tuple[str, ...]
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    module: str = ""

    @property
    def edges(self):
        """Every (from, to) of the graph: ``to`` is used by ``from``."""
        inner = [(node, used) for node, all_used in self.uses.items() for used in all_used]
        below = {used for _, used in inner}
        return [(self.id, claim) for claim in self.claims if claim not in below] + inner


def claim(id, *, kind, source, provenance, given, control=None, no_control="", exact=False, varied=None):
    """Register the decorated function as a claim; without a negative control, or a reason why none can exist, it is refused."""
    if not control and not no_control:
        raise ValueError(f"claim {id!r} has no negative control, and no reason (no_control=) why none can exist")
    _check_provenance(id, provenance)
    if id in _CLAIMS:
        raise ValueError(f"claim {id!r} is registered twice")

    def register(function):
        if not function.__doc__:
            raise ValueError(f"claim {id!r} does not say what it claims: its function has no docstring")
        if control and "Control:" not in function.__doc__:
            raise ValueError(f"claim {id!r} does not say what its negative control is: its docstring has no 'Control:'")
        given_ = given if isinstance(given, Mapping) else tuple(given)
        unknown_ = set(varied or {}) - set(inspect.signature(function).parameters)
        if unknown_:
            raise ValueError(f"claim {id!r} varies {min(unknown_)!r}, which its function does not take")
        _CLAIMS[id] = Claim(id, function, kind, source, provenance, given_, control or {}, no_control, exact, varied or {})
        return function

    return register


def theorem(id, *, statement, source, provenance, claims, uses=None):
    """Register a theorem; its ids are checked when all claims are known."""
    _check_provenance(id, provenance)
    if id in _THEOREMS:
        raise ValueError(f"theorem {id!r} is registered twice")
    module = sys._getframe(1).f_globals["__name__"]  # of the file that states it
    _THEOREMS[id] = Theorem(id, statement, source, provenance, tuple(claims), dict(uses or {}), module)


def registered(id):
    """The claim that a file has entered under ``id``, or None."""
    return _CLAIMS.get(id)


def claims_in(module):
    """The claims that the file of ``module`` enters, in its order; no other is loaded."""
    importlib.import_module(module)
    return [claim for claim in _CLAIMS.values() if claim.sides.__module__ == module]


@cache
def all_claims():
    """Every claim of ``proofs_check.claims``, by id."""
    package = importlib.import_module("proofs_check.claims")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_CLAIMS.items()))


@cache
def all_theorems():
    """Every theorem, by id; one that names an unknown claim or whose graph has a circle is a ValueError."""
    claims = all_claims()
    for result in _THEOREMS.values():
        known = {result.id, *result.claims, *_THEOREMS}
        for name in (*result.claims, *(end for edge in result.edges for end in edge)):
            if (name not in claims and name not in _THEOREMS) or name not in known:
                raise ValueError(
                    f"theorem {result.id!r} speaks of {name!r}, which is {'not among its claims' if name in claims else 'unknown'}"
                )
        _check_acyclic(result)
    return dict(sorted(_THEOREMS.items()))


def find_claims(ids=()):
    """The claims named by ``ids`` (a claim, a group, or a theorem with all its claims); all when empty.

    Unknown ones: ValueError with the nearest.
    """
    claims = all_claims()
    if not ids:
        return list(claims.values())
    chosen = {}
    for name in ids:
        members = all_theorems()[name].claims if name in all_theorems() else ()
        found = {id: claim for id, claim in claims.items() if id == name or id.split(".")[0] == name or id in members}
        if not found:
            raise ValueError(unknown("claim", name, [*claims, *{id.split(".")[0] for id in claims}, *all_theorems()]))
        chosen |= found
    return list(chosen.values())


def unknown(what, name, known):
    """The message for a name that is not ``known``."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"no {what} {name!r}" + (f", did you mean {near[0]!r}?" if near else "; `tabular-rl list` shows what there is")


def _check_provenance(id, provenance):
    if provenance not in PROVENANCE:
        raise ValueError(f"provenance of {id!r} must be one of {', '.join(PROVENANCE)}, got {provenance!r}")


def _check_acyclic(result):
    below, seen = {}, set()
    for node, used in result.edges:
        below.setdefault(node, []).append(used)

    def visit(node, path):
        if node in path:
            raise ValueError(f"theorem {result.id!r} argues in a circle: {' <- '.join([*path, node])}")
        if node not in seen:
            for used in below.get(node, ()):
                visit(used, [*path, node])
            seen.add(node)

    for node in list(below):
        visit(node, [])
