"""The catalogue of named problems: every function decorated with ``instance``."""

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustLinearMDP, RobustMDP, SubmodularMDP

KINDS = {
    FiniteHorizonMDP: "finite horizon",
    DiscountedMDP: "discounted",
    RobustMDP: "robust",
    RobustLinearMDP: "robust linear",
    SubmodularMDP: "submodular",
}
SHELVES = {RobustLinearMDP: "robust_linear", SubmodularMDP: "submodular"}  # modules of their own: some of their names are on both
_ENTRIES: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """A named problem as its defaults build it.

    Attributes
    ----------
    name : str
        Also the place of ``function``: ``tabular_rl.instances.<name>``, as in "river_swim" and "robust_linear.river_swim".
    function : callable
        Builds the model.
    builds : class
        The kind of the model.
    shape : tuple of int
        (H, S, A) of a finite horizon, (S, A) of a discounted model.
    discount : float or None
        None for a finite horizon.
    parameters : dict
        Names of the parameters and their defaults.
    description, source : str
        The first line of the function's docstring; what it, or else its module's docstring, has under "Source".
    """

    name: str
    function: Callable
    builds: type
    shape: tuple[int, ...]
    discount: float | None
    parameters: dict[str, Any]
    description: str
    source: str

    @property
    def kind(self):
        """ "finite horizon", "discounted", "robust", "robust linear" or "submodular"."""
        return KINDS[self.builds]

    @property
    def robust(self):
        """Whether it is a RobustMDP."""
        return self.builds is RobustMDP

    @property
    def short_name(self):
        """The name on its shelf, which ``make`` takes as well where only one shelf has it."""
        return self.name.rpartition(".")[2]


def instance(shape, discount=None, builds=None):
    """Decorator: enter a function into the catalogue with the ``shape``, ``discount`` and kind of model that its defaults give.

    ``builds`` is a model class; by default DiscountedMDP with a ``discount``, FiniteHorizonMDP without.
    """
    builds = builds or (FiniteHorizonMDP if discount is None else DiscountedMDP)

    def enter(function):
        text = inspect.getdoc(function) or ""
        parameters = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
        name = ".".join([*([SHELVES[builds]] if builds in SHELVES else []), function.__name__])
        source = _source(text) or _source(inspect.getdoc(sys.modules[function.__module__]) or "")
        _ENTRIES[name] = Entry(name, function, builds, shape, discount, parameters, text.split("\n")[0], source)
        return function

    return enter


def _source(text):
    """What a docstring says after "Source:", or "Source of ...:"."""
    found = re.search(r"Source[^:.]*: (.*?)(\n\n|\Z)", text, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def catalogue(*kinds):
    """List of every ``Entry``, by name; with ``kinds`` (model classes) those that build one of them."""
    return [_ENTRIES[name] for name in sorted(_ENTRIES) if not kinds or issubclass(_ENTRIES[name].builds, kinds)]


def find(name, *kinds):
    """The Entry called ``name``, in full or on its shelf; of several the one that builds one of ``kinds``, else the one on no shelf.

    Raises
    ------
    ValueError
        Unknown name; the message has the nearest ones.
    """
    named = [entry for entry in catalogue() if isinstance(name, str) and name in (entry.name, entry.short_name)]
    if not named:
        name = str(name)[:40]
        near = get_close_matches(name, {entry.short_name for entry in catalogue()}, n=3)
        there = ", ".join(near or [entry.short_name for entry in catalogue(*kinds)])
        raise ValueError(f"there is no instance {name!r}; {'the nearest are' if near else 'there are'} {there}")
    return min(named, key=lambda entry: (not issubclass(entry.builds, kinds), "." in entry.name))


def make(name, /, *kinds, **parameters):
    """The problem called ``name``, built with ``parameters`` in place of its defaults.

    Two shelves may have the name: "robust_linear.river_swim" says which one is meant, and so does a model class after the name.

    Raises
    ------
    ValueError
        Unknown name; the message has the nearest ones. Or one of another kind, or a parameter's value that the problem refuses.
    TypeError
        Unknown parameter; the message has those that there are.
    """
    entry = find(name, *kinds)
    if kinds and not issubclass(entry.builds, kinds):
        others = ", ".join(other.short_name for other in catalogue(*kinds))
        raise ValueError(f"{entry.name} builds a {entry.builds.__name__}; those that build a {kinds[0].__name__} are {others}")
    unknown = [key for key in parameters if key not in entry.parameters]
    if unknown:
        known = ", ".join(entry.parameters) or "none"
        raise TypeError(f"{entry.short_name} has no parameter {', '.join(map(repr, unknown))}; it has {known}")
    return entry.function(**parameters)
