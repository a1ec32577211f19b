"""Which named problems an algorithm plays, and what they must be given for it."""

from dataclasses import replace
from functools import cache
from math import prod

from tabular_rl import ambiguity, instances
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP

SETS = {"L1(0.2)": ambiguity.L1(0.2), "Contamination(0.1)": ambiguity.Contamination(0.1)}


def examples(kind):
    """Objects of an algorithm's class: with its defaults, and with each of its ``examples``, which are dictionaries of parameters."""
    return [kind(**parameters) for parameters in ({}, *getattr(kind, "examples", ()))]


def takes(kind):
    """Model classes that ``kind.run`` takes: what it plays, and what is converted into that."""
    return kind.plays, *kind.plays.made_of


def build(entry, uncertain=None, **parameters):
    """The problem of an instance's Entry; with a set of ``tabular_rl.ambiguity`` the robust problem around it."""
    problem = entry.function(**parameters)
    if uncertain is None:
        return problem
    if isinstance(problem, RobustMDP):
        return replace(problem, ambiguity=uncertain)
    return RobustMDP.from_mdp(problem, uncertain)


def needs(kind, entry):
    """What the instance must be given so that ``kind`` plays it: {}, {"horizon": 20} or {"ambiguity": "L1(0.2)"}; None if nothing helps."""
    ways: list[dict] = []
    if issubclass(entry.builds, takes(kind)):
        ways = [{}]
    elif entry.builds is DiscountedMDP and FiniteHorizonMDP in takes(kind) and "horizon" in entry.parameters:
        ways = [{"horizon": 20}] if prod(entry.shape) <= 1000 else []  # a dense table for every step
    elif entry.builds is DiscountedMDP and kind.plays is RobustMDP:
        ways = [{"ambiguity": name} for name in SETS]
    return next((way for way in ways if fits(kind, entry, **way)), None)


def fits(kind, entry, **way):
    """Whether the algorithm, with its defaults, plays the instance when it is given that: it is built and looked at, not run."""
    try:
        problem = kind.plays.of(_built(entry.name, *way.items()))
        if hasattr(kind, "suits"):
            kind().suits(problem)
    except (TypeError, ValueError):
        return False
    return True


@cache
def _built(name, *way):
    given = dict(way)
    return build(instances.find(name), SETS.get(given.pop("ambiguity", "")), **given)
