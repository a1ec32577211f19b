"""Running a claim: many instances must satisfy it, and its negative control must be refuted by the same procedure."""

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 100
CONTROL_EXAMPLES = 400  # a control is given more draws than its claim: it must be caught, not merely be wrong somewhere


@dataclass(frozen=True)
class Verdict:
    """The outcome for one claim.

    ``holds``: no instance violated it; ``refuted_control``: the broken twin was caught. ``instance`` shows the violating instance
    (or the one of the tightest ratio), ``examples`` counts the instances tried, ``ratio`` is the largest lhs / rhs.
    """

    id: str
    holds: bool
    refuted_control: bool
    examples: int
    ratio: float
    instance: str
    error: str
    seconds: float

    @property
    def ok(self):
        """The claim held on every instance, and its control did not."""
        return self.holds and self.refuted_control and not self.error

    @property
    def reason(self):
        """Why it is not ok."""
        if self.error:
            return self.error
        return f"violated by {self.instance}" if not self.holds else "the negative control was not refuted: the check has no teeth"


class _Refuted(AssertionError):
    """An instance violates the claim."""


def verify(claim, examples=EXAMPLES):
    """Check ``claim`` on ``examples`` instances, then its control; always the same instances (Hypothesis, derandomised)."""
    start = time.perf_counter()
    record = _Record()
    error = ""
    try:
        _search(claim, {}, examples, record)
        holds = True
    except _Refuted:
        holds = False
    except Exception as problem:  # a claim that cannot be computed is an error, and the others go on
        holds, error = False, f"{type(problem).__name__}: {problem}"
    refuted = False
    if holds:
        try:
            _search(claim, claim.control, max(examples, CONTROL_EXAMPLES), _Record())
        except _Refuted:
            refuted = True
        except Exception as problem:
            error = f"control: {type(problem).__name__}: {problem}"
    return Verdict(claim.id, holds, refuted, record.examples, record.ratio, record.instance, error, time.perf_counter() - start)


class _Record:
    """What a search has seen: the number of instances, and the one that matters most."""

    def __init__(self):
        self.examples, self.ratio, self.instance, self.violated = 0, 0.0, "", False

    def add(self, comparison, instance):
        self.examples += 1
        if comparison.violation > 0:  # the last one is Hypothesis's simplest
            self.violated, self.ratio, self.instance = True, comparison.ratio, describe(instance)
        elif not self.violated and comparison.ratio > self.ratio:
            self.ratio, self.instance = comparison.ratio, describe(instance)


def _search(claim, keywords, examples, record):
    """Raise ``_Refuted`` when one of ``examples`` instances violates ``claim`` under ``keywords``."""
    phases = [Phase.explicit, Phase.generate] + ([] if keywords else [Phase.shrink])

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(instances(claim))
    def check(instance):
        comparison = claim.kind(*claim.sides(*instance, **keywords))
        record.add(comparison, instance)
        if comparison.violation > 0:
            raise _Refuted(f"{claim.id}: {describe(instance)}")

    check()


def instances(claim):
    """The strategy for tuples that ``claim.given`` describes: entries are strategies, or functions of the first drawn value."""

    @st.composite
    def draw_all(draw):
        drawn = []
        for entry in claim.given:
            drawn.append(draw(entry if isinstance(entry, st.SearchStrategy) else entry(drawn[0])))
        return tuple(drawn)

    return draw_all()


def describe(instance):
    """The instance as a person reads it."""
    return ", ".join(getattr(value, "recipe", repr(value)) for value in instance)
