"""Running a claim: its instances must satisfy it, and its negative control must be refuted by the same procedure."""

import ast
import contextlib
import functools
import hashlib
import inspect
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from proofs_check import ratios, strategies
from proofs_check.rational import rational
from proofs_check.statistics import POWER
from proofs_check.strategies import Drawn
from tabular_rl.models import validation as check
from tabular_rl.models.atomic import replacing


@dataclass(frozen=True)
class Profile:
    """How much to try: ``examples`` per exact claim, as many fractions as ``exact``, ``replicates`` times what a statistical claim asks.

    ``vary``: also with other values of what claims set by hand.
    """

    examples: int
    exact: int
    replicates: float = 1.0
    vary: bool = False


PROFILES = {"quick": Profile(100, 10), "full": Profile(2_000, 100, 4.0), "nightly": Profile(100_000, 1_000, 16.0, vary=True)}
SIBLINGS = 16
CONTROL_EXAMPLES = 400  # a control is given more draws than its claim: it must be caught, not merely be wrong somewhere


@dataclass(frozen=True)
class Verdict:
    """The outcome for one claim.

    Attributes
    ----------
    holds, refuted_control : bool
        No instance violated the claim (or no test refuted it); the broken twin was caught.
    examples, rejected, exact_examples : int
        Instances (or replicates) tried, draws that did not meet the assumptions, instances of fractions verified without a tolerance.
    ratio : float
        Largest lhs / rhs seen, and ``instance``: the code that rebuilds where (or what violates the claim); ``control_instance`` likewise.
    vacuous : float or None
        Share of the instances on which the bound says no more than the trivial one.
    test, control_test : str
        What the statistical test of the claim, and of its control, found.
    level, power, alternative_power : float or None
        Probability to refute a statistical claim that is true; estimated probability to refute its control; probability to refute it if it
        failed by the margin that its kind states (twice as often as claimed).
    recorded, replayed : float or None
        The ratio on record, and what it is on the recorded instance now (``ratios``).
    error : str
        Why there is no verdict.
    seconds : float
    code : str
        The version of the claim (``results.version``) that was checked; empty where nobody knows.
    """

    id: str
    kind: str
    holds: bool = False
    refuted_control: bool = False
    examples: int = 0
    rejected: int = 0
    exact_examples: int = 0
    ratio: float = 0.0
    instance: str = ""
    control_instance: str = ""
    vacuous: float | None = None
    test: str = ""
    control_test: str = ""
    level: float | None = None
    power: float | None = None
    alternative_power: float | None = None
    recorded: float | None = None
    replayed: float | None = None
    error: str = ""
    seconds: float = 0.0
    control_needed: bool = True
    code: str = ""

    @property
    def ok(self):
        """The claim held, its control did not, and it says no less than it did."""
        return self.holds and (self.refuted_control or not self.control_needed) and not self.fallen and not self.error

    @property
    def fallen(self):
        """Whether the two sides are further apart on the recorded instance than they were."""
        return self.recorded is not None and self.replayed is not None and ratios.fallen(self.kind, self.replayed, self.recorded)

    @property
    def remarks(self):
        """Words for what is weak about the claim: "loose" bounds, "vacuous" ones, statistical tests with little "power"."""
        words = []
        if self.kind == "inequality" and max(self.ratio, self.recorded or 0.0) < ratios.LOOSE:
            words.append("loose")
        if self.vacuous:
            words.append("vacuous" if self.vacuous > 0.5 else f"vacuous on {100 * self.vacuous:.0f} %")
        if self.alternative_power is not None and self.alternative_power < POWER:
            words.append(f"power {self.alternative_power:.2f}")
        return words

    @property
    def reason(self):
        """Why it is not ok."""
        if self.error:
            return self.error
        if not self.holds:
            return f"violated by\n{self.instance}\n{self.test}".rstrip()
        if self.fallen:
            return (
                f"it says less than it did: lhs / rhs was {self.recorded:.4g} on the recorded instance, and is {self.replayed:.4g}. "
                f"If that is meant: python -m proofs_check {self.id} --record"
            )
        return f"the negative control was not refuted: the check has no teeth. {self.control_test}".rstrip()


def verify(claim, profile=PROFILES["quick"], database=None):
    """The Verdict on ``claim``. The same instances in every run of the same code (Hypothesis also tries constants that it
    finds in the loaded sources), after what violated it before.

    ``database`` is a folder of violations, one file of Python per claim: the code that rebuilds the instance (Hypothesis's own database
    is not used with fixed seeds, and nobody can read it). A file is deleted once its instance no longer violates the claim.

    An exception inside the claim is its verdict's ``error``.
    """
    start = time.perf_counter()
    found = {"id": claim.id, "kind": claim.kind.name, "control_needed": bool(claim.control)}
    try:
        judge = _verify_statistical if claim.kind.statistical else _verify_exact
        found |= judge(claim, profile, database)
        for twin in _varied(claim) if profile.vary and found["holds"] else ():
            other = judge(twin, profile, None)
            if not other["holds"]:
                found |= {"holds": False, "instance": f"# {twin.id}\n{other['instance']}", "test": other.get("test", "")}
                break
    except Unsatisfiable:
        found["error"] = "the assumptions of the claim were not met by any drawn instance"
    except Exception as problem:  # a claim that cannot be computed is an error, and the others go on
        found["error"] = f"{type(problem).__name__}: {problem}"
    return Verdict(**found, seconds=time.perf_counter() - start)


def _varied(claim):
    """The claim with other values of what it sets by hand, one at a time; their controls are the claim's own business."""
    for keyword, values in claim.varied.items():
        for value in values:
            sides = functools.partial(claim.sides, **{keyword: value})
            yield replace(claim, id=f"{claim.id}, {keyword}={value!r}", sides=sides, control={}, no_control="varied")


# --- exact kinds


class _Refuted(AssertionError):
    """An instance violates the claim."""


@dataclass
class Search:
    """What a search over instances has seen: how many, and the one that matters most."""

    claim: Any
    keywords: dict = field(default_factory=dict)
    fractions: bool = False
    started: int = 0
    examples: int = 0
    vacuous: int = 0
    ratio: float = 0.0
    parts: tuple | None = None
    violated: bool = False
    said_trivial: bool = False
    best_of_shape: dict = field(default_factory=dict)

    def run(self, examples, targeted=False, shrink=True):
        """Try ``examples`` instances; stop at a violation, shrunk as far as it goes.

        Long searches try SIBLINGS seeds of every instance that Hypothesis draws, whose own work would otherwise be most of it.
        """
        siblings = SIBLINGS if examples >= 1000 else 1
        phases = [Phase.generate] + [Phase.target] * targeted + [Phase.shrink] * shrink

        @seed(int.from_bytes(hashlib.sha256(self.claim.id.encode()).digest()[:4], "big"))
        @settings(
            max_examples=-(-examples // siblings),
            database=None,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(instances(self.claim))
        def check(parts):
            for i in range(siblings):
                comparison = self.judge(parts if i == 0 else _siblings(parts, i))
                if comparison.violation > 0:
                    raise _Refuted(self.claim.id)
            if targeted:
                target(comparison.ratio)

        with contextlib.suppress(_Refuted):
            check()
        return self

    def judge(self, parts):
        """The Comparison on one instance, and a note of it."""
        self.started += 1
        values = [rational(part.value, part.space) if self.fractions else part.value for part in parts]
        comparison = compared(self.claim, values, self.keywords)
        self.examples += 1
        self.vacuous += bool(comparison.vacuous)
        if comparison.violation > 0:  # the last one is Hypothesis's simplest
            self.violated, self.ratio, self.parts = True, comparison.ratio, parts
        elif not self.violated and (comparison.ratio > self.ratio or self.parts is None):
            self.ratio, self.parts = comparison.ratio, parts
        self.said_trivial = comparison.vacuous is not None
        shape = tuple(getattr(value, "shape", ()) for value in values)
        if comparison.ratio > self.best_of_shape.get(shape, (-1.0, ()))[0]:
            self.best_of_shape[shape] = comparison.ratio, parts
        return comparison

    @property
    def code(self):
        """Python that rebuilds the instance and the two sides on it."""
        return "" if self.parts is None else code_of(self.claim, self.parts, self.keywords)


def compared(claim, values, keywords=None):
    """The Comparison of the two sides that an exact claim returns."""
    return claim.kind(*returned(claim, claim.sides(*values, **keywords or {})))


def returned(claim, value):
    """What the claim returned, which must have the form that its kind asks for."""
    if not claim.kind.admits(value):
        raise TypeError(
            f"a claim of the kind {claim.kind.name} must return {claim.kind.returns}; {claim.id} returned {check.describe(value)}"
        )
    return value


def _verify_exact(claim, profile, database):
    search, remembered = Search(claim), None if database is None else Path(database) / f"{claim.id}.py"
    if remembered is not None and remembered.exists():
        search.judge(_parts_of(claim, remembered.read_text(encoding="utf-8")))
    found: dict[str, Any] = {}
    if not search.violated and claim.id in ratios.records():
        found |= _replay(claim, search)
    if not search.violated:
        search.run(profile.examples)
    if remembered is not None:
        _remember(remembered, search)
    found |= {"holds": not search.violated, "examples": search.examples, "rejected": search.started - search.examples}
    found |= {"ratio": search.ratio, "instance": search.code}
    if search.said_trivial:
        found["vacuous"] = search.vacuous / search.examples
    if claim.exact and not search.violated:
        fractions = Search(claim, fractions=True).run(profile.exact)
        found["exact_examples"] = fractions.examples
        if fractions.violated:
            found |= {"holds": False, "instance": f"# in fractions near this instance (proofs_check.rational.rational)\n{fractions.code}"}
    if claim.control and found["holds"]:
        try:
            control = Search(claim, claim.control).run(max(profile.examples, CONTROL_EXAMPLES), shrink=False)
            if not control.violated:  # violations may be rare: look once more, SIBLINGS times as long
                control.run(SIBLINGS * max(profile.examples, CONTROL_EXAMPLES), shrink=False)
        except Exception as problem:
            return found | {"error": f"control: {type(problem).__name__}: {problem}"}
        found |= {"refuted_control": control.violated, "control_instance": control.code if control.violated else ""}
    return found


def _replay(claim, search):
    """The recorded ratio and the one on its instance now; of a claim that was held before: what can no longer be judged is an error."""
    record = ratios.records()[claim.id]
    try:
        ratio = search.judge(_parts_of(claim, record.instance)).ratio
    except Exception as problem:
        said = f"{type(problem).__name__}: {problem}".rstrip(": ")
        raise RuntimeError(
            f"the recorded instance can no longer be judged ({said}); if that is meant: python -m proofs_check {claim.id} --record"
        ) from problem
    return {"recorded": record.ratio, "replayed": ratio}


def _parts_of(claim, code):
    """The instance that ``code_of`` wrote."""
    code = ratios.assignments(code)
    lines = dict(line.split(" = ", 1) for line in code.splitlines())
    namespace = vars(strategies) | vars(inspect.getmodule(claim.sides))
    exec("\n".join([*_imports(claim, code.splitlines()), code]), namespace)
    return tuple(Drawn(namespace[name], lines[name]) for name in claim.argument_names)


def _remember(path, search):
    """Keep what violates a claim; forget it when nothing does."""
    if not search.violated:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(search.code, encoding="utf-8")


def instances(claim):
    """The strategy for tuples of Drawn that ``claim.given`` describes: entries are strategies, or functions of the first drawn value."""

    @st.composite
    def draw_all(draw):
        drawn: list = []
        for entry in claim.given:
            part = draw(entry if isinstance(entry, st.SearchStrategy) else entry(drawn[0].value))
            drawn.append(part if isinstance(part, Drawn) else Drawn(part, repr(part)))
        return tuple(drawn)

    return draw_all()


def _siblings(parts, i):
    """The instance of the same sizes and styles with other seeds."""
    siblings: list = [part if part.sibling is None else None for part in parts]
    siblings[0] = siblings[0] or parts[0].sibling(None, i)
    return tuple(sibling or part.sibling(siblings[0].value, i) for sibling, part in zip(siblings, parts, strict=True))


def code_of(claim, parts, keywords=None):
    """Python code that rebuilds an instance."""
    names = claim.argument_names
    lines = [f"{name} = {part.code.format(names[0])}" for name, part in zip(names, parts, strict=True)]
    arguments = ", ".join([*names, *(f"{key}={value!r}" for key, value in (keywords or {}).items())])
    lines.append(f"find_claims([{claim.id!r}])[0].sides({arguments})")
    return "\n".join([*_imports(claim, lines), *lines])


def _imports(claim, lines):
    """The import statements of an instance's code: what the files of claims build for themselves, and the product's classes, by name."""
    own = inspect.unwrap(getattr(claim.sides, "func", claim.sides)).__globals__  # a varied claim is a functools.partial
    near = {function.__module__ for function in own.values() if inspect.isfunction(function)}
    files = [own, *(vars(sys.modules[name]) for name in sorted(near) if name.startswith("proofs_check.claims."))]
    statements = ["from proofs_check.rebuild import *"]
    for name in sorted({node.id for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Name)}):
        found = next((file[name] for file in files if inspect.isfunction(file.get(name)) or inspect.isclass(file.get(name))), None)
        if found is not None and found.__module__.startswith(("proofs_check.claims.", "tabular_rl.algorithms.")):
            statements.append(f"from {found.__module__} import {name}")
    return statements


# --- statistical kinds


def _verify_statistical(claim, profile, database):
    level, tests, powers = claim.kind.level / len(claim.given), {}, []
    for name in claim.given:
        tests[name], batches = _test(claim, name, {}, profile, level)
        powers.append(claim.kind.alternative_power(batches, level, profile.replicates))
        if tests[name].refuted:
            break
    worst = max(tests, key=lambda name: (tests[name].refuted, tests[name].ratio))
    found: dict[str, Any] = {"holds": not tests[worst].refuted, "examples": sum(test.n for test in tests.values())}
    found |= {"ratio": tests[worst].ratio, "instance": worst}
    found |= {"level": claim.kind.level, "test": "; ".join(f"{name}: {test.summary}" for name, test in tests.items())}
    if found["holds"]:
        found["alternative_power"] = min((power for power in powers if power is not None), default=None)
    if claim.id in ratios.records() and claim.kind.name in ratios.SLACK and profile == PROFILES["quick"]:
        found |= {"recorded": ratios.records()[claim.id].ratio, "replayed": tests[worst].ratio}
    if tests[worst].vacuous is not None:
        found["vacuous"] = float(np.mean([test.vacuous for test in tests.values()]))
    if claim.control and found["holds"]:
        for name in claim.given:  # teeth on one instance suffice
            try:
                control, _ = _test(claim, name, claim.control, profile, level)
            except Exception as problem:
                return found | {"error": f"control: {type(problem).__name__}: {problem}"}
            found |= {"refuted_control": control.refuted, "power": control.power, "control_instance": name * control.refuted}
            found["control_test"] = f"{name}: {control.summary}"
            if control.refuted:
                break
    return found


def _test(claim, name, keywords, profile, level):
    """(the kind's Test, the batches) of fresh replicates on the instance called ``name``, as many as it takes to decide."""
    words = np.frombuffer(hashlib.sha256(f"{claim.id}/{name}/{keywords}".encode()).digest(), np.uint32)
    rng, instance = np.random.default_rng(words), claim.given[name]()
    batches: list = []
    have, look, control = 0, 1.0, bool(keywords)
    while True:
        batches.append(returned(claim, claim.sides(*instance, rng, **keywords)))
        have += claim.kind.count(batches[-1])
        if have >= look:
            test = claim.kind.judge(batches, level, profile.replicates, control)
            if test.decided:
                return test, batches
            look = 1.05 * have
