"""The engine catches false claims, toothless controls and claims that cannot be computed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from proofs_check.engine import Profile, Search, verify
from proofs_check.registry import Claim, find_claims
from proofs_check.strategies import finite_horizon_mdps, policies
from proofs_check.verdicts import Expectation, HighProbability, Rate, identity, inequality

numbers = (st.floats(0, 10), st.floats(0, 10))
EXACT = [claim for claim in find_claims() if not claim.kind.statistical]


def build(sides, kind=inequality, given=numbers, no_control="", exact=False, **control):
    return Claim("test.claim", sides, kind, "here", "derived", given, control, no_control, exact)


def test_true_claim_with_a_control_that_fails_is_ok():
    verdict = verify(build(lambda x, y, factor=1: (factor * x, x + y), factor=3))
    assert verdict.ok
    assert verdict.examples == 100
    assert 0.9 < verdict.ratio <= 1 + 1e-12


def test_false_claim_is_refuted_by_a_small_instance_that_its_code_rebuilds():
    verdict = verify(build(lambda x, y, flip=1: (flip * x, y), flip=2))
    assert not verdict.ok
    assert not verdict.holds
    assert verdict.instance.splitlines()[1:3] == ["x = 1.0", "y = 0.0"]
    assert "violated by" in verdict.reason


def test_control_that_holds_as_well_is_reported():
    verdict = verify(build(lambda x, y, factor=1: (factor * x, 5 * (x + y)), factor=2))
    assert verdict.holds
    assert not verdict.ok
    assert "no teeth" in verdict.reason


def test_claim_with_a_reason_for_having_no_control_is_ok_without_one():
    assert verify(build(lambda x, y: (x, x + y), no_control="it is a definition")).ok


@pytest.mark.parametrize("where", ["claim", "control"])
def test_claim_that_cannot_be_computed_is_an_error(where):
    def sides(x, y, broken=where == "claim"):
        return (np.nan if broken else x), x + y

    verdict = verify(build(sides, broken=True))
    assert not verdict.ok
    assert "not finite" in verdict.reason


def test_rejected_draws_are_counted():
    def sides(x, y, flip=1):
        assume(x <= 5)
        return flip * x, 5 + y

    verdict = verify(build(sides, flip=100))
    assert verdict.ok
    assert verdict.rejected > 0
    assert verdict.examples == 100


def test_assumptions_that_nothing_meets_are_an_error():
    def sides(x, y, flip=1):
        assume(x > 10)
        return x, y

    assert "were not met by any drawn instance" in verify(build(sides, flip=2)).error


def test_violations_are_kept_as_code_tried_first_and_forgotten(tmp_path):
    tried = []

    def sides(x, y, flip=1):
        tried.append(x)
        return flip * (x > 7.5), 0

    claim, path = build(sides, flip=2), tmp_path / "test.claim.py"
    assert not verify(claim, database=tmp_path).holds
    assert "x = 8.0" in path.read_text()
    tried.clear()
    verdict = verify(claim, database=tmp_path)
    assert not verdict.holds
    assert "x = 8.0" in verdict.instance
    assert tried == [8.0]
    assert verify(build(lambda x, y, off=0: (x + off, x), off=1), database=tmp_path).ok
    assert not path.exists()


@pytest.mark.parametrize("examples", [20, 2000])
def test_same_instances_every_time(examples):
    seen = []
    given = (finite_horizon_mdps(), policies())
    record = build(lambda mdp, pi, off=0: (seen.append((mdp.transition.tobytes(), pi.tobytes())) or off, 0), identity, given, off=1)
    Search(record).run(examples)
    first, seen[:] = list(seen), []
    Search(record).run(examples)
    assert seen == first
    assert len(set(first)) >= 0.5 * examples


def test_long_searches_reach_their_number_of_instances():
    verdict = verify(build(lambda x, y, off=0: (x + off, x), identity, off=1), Profile(5000, 0))
    assert 5000 <= verdict.examples <= 5016


@pytest.mark.parametrize("claim", EXACT, ids=lambda claim: claim.id)
def test_code_rebuilds_the_instance_to_the_last_bit(claim):
    for keywords in ({}, claim.control):
        search = Search(claim, keywords).run(5, shrink=False)
        namespace: dict = {}
        setup, call = search.code.rsplit("\n", 1)
        exec(setup, namespace)
        rebuilt = eval(call, namespace)
        expected = claim.sides(*(part.value for part in search.parts), **keywords)
        for side, other in zip(rebuilt, expected, strict=True):
            assert np.array_equal(side, other)


def test_exact_claims_are_verified_in_fractions_as_well():
    def sides(x, y, off=0):
        slip = 0 if isinstance(x, float) else off + 1e-30  # a tolerance would hide it
        return x + y, y + x + (slip if isinstance(x, float) else type(x)(slip))

    verdict = verify(build(sides, identity, exact=True, off=1))
    assert not verdict.holds
    assert "fractions" in verdict.instance


@pytest.mark.parametrize("kind", ["exact", "statistical"])
def test_what_was_set_by_hand_is_varied_where_the_profile_says_so(kind):
    if kind == "exact":
        claim = build(lambda x, y, slope=1, flip=1: (flip * x, slope * x + y), flip=12)
    else:
        claim = build(lambda rng, slope=1, flip=0: rng.random(50) < slope - flip, HighProbability(0.1), {"": tuple}, flip=0.9)
    good, bad = (replace(claim, varied={"slope": values}) for values in ((2, 1.5), (2, 0.5)))
    assert verify(bad, Profile(100, 0)).ok
    assert verify(good, Profile(100, 0, vary=True)).ok
    verdict = verify(bad, Profile(100, 0, vary=True))
    assert not verdict.holds
    assert "slope=0.5" in verdict.reason


# --- statistical kinds


def coin(probability):
    return lambda rng, bias=0.0: rng.random(100) < probability - bias


def test_high_probability_holds_and_is_refuted():
    kind = HighProbability(failure=0.1, replicates=400)
    verdict = verify(build(coin(0.95), kind, {"coin": tuple}, bias=0.4))
    assert verdict.ok
    assert verdict.examples == 400
    assert verdict.power > 0.99
    assert not verify(build(coin(0.5), kind, {"coin": tuple}, bias=0.4)).holds


def test_expectation_is_refuted_on_the_instance_that_violates_it():
    def sides(mean, rng, shift=0.0):
        return rng.random(50) * 2 * mean + shift, 0.5, 0.0, 2.0

    kind = Expectation(replicates=1000)
    assert verify(build(sides, kind, {"half": lambda: (0.5,)}, shift=0.5)).ok
    verdict = verify(build(sides, kind, {"half": lambda: (0.5,), "more": lambda: (0.8,)}, shift=0.5))
    assert not verdict.holds
    assert verdict.instance == "more"


def test_equality_of_means_is_two_sided():
    def sides(rng, shift=0.0):
        return rng.random((500, 2)) + np.array([0, shift]), [0.5, 0.5], -1.0, 2.0

    kind = Expectation(replicates=2000, equal=True)
    assert verify(build(sides, kind, {"": tuple}, shift=-0.3)).ok
    assert verify(build(sides, kind, {"": tuple}, shift=0.3)).ok


def test_samples_outside_of_the_stated_range_are_an_error():
    verdict = verify(build(lambda rng, off=0: (rng.random(10) + 5, 0.5, 0.0, 1.0), Expectation(10), {"": tuple}, off=1))
    assert "must lie in the range" in verdict.error


def test_rate_tells_exponents_and_logarithms_apart():
    x = np.array([10.0, 100, 1000, 10000])

    def sides(rng, power=0.5, log=False):
        return x, (np.log(x) if log else x**power) * rng.uniform(0.8, 1.2, (1, 4))

    assert verify(build(sides, Rate(exponent=0.5), {"": tuple}, power=1.0)).ok
    assert not verify(build(lambda rng, power=0.7: sides(rng, power), Rate(exponent=0.5), {"": tuple}, power=1.0)).holds
    assert verify(build(lambda rng, log=True: sides(rng, log=log), Rate(exponent=0), {"": tuple}, log=False)).ok


KINDS = [inequality, identity, HighProbability(0.1), Expectation(), Rate(0.5)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("returned", [None, (), (None, None, None, None), "sides", {}], ids=repr)
def test_a_claim_that_returns_something_else_is_told_what_to_return(kind, returned):
    given = {"one": lambda: ()} if kind.statistical else numbers
    verdict = verify(build(lambda *instance, **control: returned, kind=kind, given=given, factor=2))
    expected = f"TypeError: a claim of the kind {kind.name} must return {kind.returns}; test.claim returned {type(returned).__name__}"
    assert verdict.error.startswith(expected)


def test_a_control_that_returns_nothing_is_told_what_to_return():
    verdict = verify(build(lambda x, y, broken=False: None if broken else (x, x + y), broken=True))
    assert verdict.holds
    assert "control: TypeError: a claim of the kind inequality must return two sides" in verdict.error
