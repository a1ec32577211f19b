"""The catalogue of named problems: every function decorated with ``instance``."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

_ENTRIES: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """A named problem as its defaults build it.

    Attributes
    ----------
    name : str
    function : callable
        Builds the model; also ``tabular_rl.instances.<name>``.
    shape : tuple of int
        (H, S, A) of a finite horizon, (S, A) of a discounted model.
    discount : float or None
        None for a finite horizon.
    robust : bool
        Whether it is a RobustMDP.
    parameters : dict
        Names of the parameters and their defaults.
    description, source : str
        The first line and the "Source:" paragraph of the function's docstring.
    """

    name: str
    function: Callable
    shape: tuple[int, ...]
    discount: float | None
    robust: bool
    parameters: dict[str, Any]
    description: str
    source: str

    @property
    def kind(self):
        """ "finite horizon", "discounted" or "robust"."""
        return "robust" if self.robust else "finite horizon" if self.discount is None else "discounted"


def instance(shape, discount=None, robust=False):
    """Decorator: enter a function into the catalogue with the ``shape`` and ``discount`` that its defaults give."""

    def enter(function):
        text = inspect.getdoc(function) or ""
        parameters = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
        description, source = text.split("\n")[0], " ".join(text.partition("\nSource: ")[2].partition("\n\n")[0].split())
        _ENTRIES[function.__name__] = Entry(function.__name__, function, shape, discount, robust, parameters, description, source)
        return function

    return enter


def catalogue():
    """List of every ``Entry``, by name."""
    return [_ENTRIES[name] for name in sorted(_ENTRIES)]


def make(name, **parameters):
    """The problem called ``name``, built with ``parameters`` in place of its defaults.

    Raises
    ------
    ValueError
        Unknown name; the message has the nearest ones. Or a parameter's value that the problem refuses.
    TypeError
        Unknown parameter; the message has those that there are.
    """
    if not isinstance(name, str) or name not in _ENTRIES:
        name = str(name)[:40]
        near = get_close_matches(name, _ENTRIES, n=3) or sorted(_ENTRIES)
        raise ValueError(f"there is no instance {name!r}; {'the nearest are' if len(near) <= 3 else 'there are'} {', '.join(near)}")
    entry = _ENTRIES[name]
    unknown = [key for key in parameters if key not in entry.parameters]
    if unknown:
        raise TypeError(f"{name} has no parameter {', '.join(map(repr, unknown))}; it has {', '.join(entry.parameters) or 'none'}")
    return entry.function(**parameters)
