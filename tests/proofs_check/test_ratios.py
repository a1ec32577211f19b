"""Ratios on record: a claim that says less than it did is noticed, and so are loose, vacuous and powerless ones."""

import functools
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from proofs_check import engine, ratios
from proofs_check.engine import Profile, Verdict, verify
from proofs_check.registry import Claim, find_claims
from proofs_check.report import weak
from proofs_check.verdicts import Expectation, Sides, inequality

RECORDED = [
    claim
    for claim in find_claims(["bellman", "bonus", "mdp", "mw", "softmax"])
    if claim.id in ratios.records() and not getattr(claim.kind, "equal", False)  # a weakened equality does not hold
]
EVERY = [claim for claim in find_claims() if claim.kind.name == "inequality" and claim.id in ratios.records()]

NUMBERS = (st.floats(0, 10), st.floats(0, 10))


@pytest.fixture
def records(tmp_path, monkeypatch):
    """An empty file of ratios."""
    monkeypatch.setattr(ratios, "PATH", tmp_path / "ratios.toml")
    ratios.records.cache_clear()
    yield ratios.records
    ratios.records.cache_clear()


def build(sides, kind=inequality, given=NUMBERS, **control):
    return Claim("test.claim", sides, kind, "here", "derived", given, control)


def weakened(claim, factor):
    """The claim with the size of its right side multiplied, upwards where it is negative."""

    def sides(*instance, **control):
        found = Sides(*claim.sides(*instance, **control))
        return found._replace(rhs=found.rhs if control else found.rhs + (factor - 1) * abs(found.rhs))

    functools.update_wrapper(sides, claim.sides)
    return replace(claim, sides=sides)


@pytest.mark.parametrize(
    ("claim", "factor"),
    [pytest.param(c, factor, id=f"{c.id}-{factor}") for c in RECORDED for factor in (2, 10) if ratios.records()[c.id].ratio > 1 / factor],
)
def test_weakened_claims_are_noticed(claim, factor):
    verdict = verify(weakened(claim, factor), Profile(5, 0))
    assert not verdict.ok
    assert "says less than it did" in verdict.reason


def test_most_bounds_are_on_record():
    assert len(RECORDED) >= 10
    assert len(EVERY) >= 100


def falls(claim, factor):
    """Whether the recorded instance tells that the claim was weakened."""
    other = weakened(claim, factor)
    found = engine._replay(other, engine.Search(other))
    return ratios.fallen("inequality", found["replayed"], found["recorded"])


@pytest.mark.parametrize("claim", EVERY[::12], ids=lambda claim: claim.id)
def test_weakened_claims_of_every_family_are_noticed(claim):
    assert falls(claim, 2)
    assert falls(claim, 10)


@pytest.mark.slow
@pytest.mark.parametrize("claim", EVERY, ids=lambda claim: claim.id)
def test_every_weakened_claim_is_noticed(claim):
    assert falls(claim, 2)


def test_a_ratio_is_recorded_with_its_instance_and_must_not_fall(records):
    tight = build(lambda x, y, factor=1: (factor * x, x + y), factor=3)
    ratios.record([verify(tight)], {})
    (entry,) = records().values()
    assert entry.ratio == pytest.approx(1)
    assert [line.split(" = ")[0] for line in entry.instance.splitlines() if line] == ["x", "y"]
    assert verify(tight).ok
    assert verify(build(lambda x, y, factor=1: (factor * x, 1.005 * (x + y)), factor=3)).ok
    verdict = verify(build(lambda x, y, factor=1: (factor * x, 2 * (x + y)), factor=3))
    assert verdict.holds
    assert not verdict.ok
    assert "was 1 on the recorded instance, and is 0.5" in verdict.reason
    assert "--record" in verdict.reason


def test_a_recorded_instance_that_cannot_be_judged_is_an_error(records):
    ratios.record([Verdict("test.claim", "inequality", True, ratio=0.9, instance="x = no_such_function(3)\ny = 1.0")], {})
    assert "can no longer be judged (NameError" in verify(build(lambda x, y, factor=1: (factor * x, x + y), factor=3)).error


def test_means_are_on_record_too(records):
    def sides(rng, bound=1.0, shift=0.0):
        return 2 * rng.random(100) + shift, bound, 0.0, 10.0

    claim = build(sides, Expectation(replicates=400), {"": tuple}, shift=3.0)
    ratios.record([verify(claim)], {})
    assert records()["test.claim"].instance == ""
    assert verify(claim).ok
    assert verify(build(lambda rng, **control: sides(rng, 2.0, **control), Expectation(400), {"": tuple}, shift=3.0)).fallen


def test_remarks():
    assert Verdict("x", "inequality", True, ratio=0.3).remarks == ["loose"]
    assert Verdict("x", "inequality", True, ratio=0.3, recorded=0.6).remarks == []
    assert Verdict("x", "inequality", True, ratio=1, vacuous=0.8).remarks == ["vacuous"]
    assert Verdict("x", "inequality", True, ratio=1, vacuous=0.2).remarks == ["vacuous on 20 %"]
    assert Verdict("x", "expectation", True, alternative_power=0.5).remarks == ["power 0.50"]
    found = [Verdict("a", "inequality", True, ratio=0.3, vacuous=0.9), Verdict("b", "inequality", True, ratio=1.0, vacuous=0.1)]
    assert [line.partition(" ")[0] + line.rpartition(":")[2] for line in weak(found)] == ["1 a", "1 a"]
