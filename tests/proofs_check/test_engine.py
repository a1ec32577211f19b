"""The engine catches false claims, toothless controls and claims that cannot be computed."""

import numpy as np
import pytest
from hypothesis import strategies as st

from proofs_check import registry
from proofs_check.engine import verify
from proofs_check.registry import Claim, claim, find_claims
from proofs_check.strategies import finite_horizon_mdps, policies
from proofs_check.verdicts import identity, inequality

numbers = (st.floats(0, 10), st.floats(0, 10))


def build(sides, kind=inequality, given=numbers, **control):
    return Claim("test.claim", sides, kind, "here", "derived", given, control)


def test_true_claim_with_a_control_that_fails_is_ok():
    verdict = verify(build(lambda x, y, factor=1: (factor * x, x + y), factor=3))
    assert verdict.ok
    assert verdict.examples == 100
    assert 0.9 < verdict.ratio <= 1 + 1e-12


def test_false_claim_is_refuted_by_a_small_instance():
    verdict = verify(build(lambda x, y, flip=1: (flip * x, y), flip=2))
    assert not verdict.ok
    assert not verdict.holds
    assert verdict.instance == "1.0, 0.0"
    assert "violated by 1.0, 0.0" in verdict.reason


def test_control_that_holds_as_well_is_reported():
    verdict = verify(build(lambda x, y, factor=1: (factor * x, 5 * (x + y)), factor=2))
    assert verdict.holds
    assert not verdict.ok
    assert "no teeth" in verdict.reason


@pytest.mark.parametrize("where", ["claim", "control"])
def test_claim_that_cannot_be_computed_is_an_error(where):
    def sides(x, y, broken=where == "claim"):
        return (np.nan if broken else x), x + y

    verdict = verify(build(sides, broken=True))
    assert not verdict.ok
    assert "not finite" in verdict.reason


def test_same_instances_every_time():
    seen = []
    record = build(
        lambda mdp, pi, off=0: (seen.append((mdp.recipe, pi.tobytes())) or off, 0), identity, (finite_horizon_mdps(), policies()), off=1
    )
    verify(record, examples=20)
    first, seen[:] = list(seen), []
    verify(record, examples=20)
    assert seen == first
    assert len(set(first)) >= 15


def test_recipe_rebuilds_the_instance():
    from proofs_check.strategies import discounted, episodic

    for mdp in (episodic(2, 3, 2, "peaked", 7), discounted(3, 2, 0.9, "deterministic", 1)):
        again = eval(mdp.recipe)
        assert np.array_equal(again.transition, mdp.transition)
        assert np.array_equal(again.reward, mdp.reward)


def sides(x):
    """x <= x.  Control: doubled."""
    return x, x


GOOD = {"id": "test.registered", "kind": inequality, "source": "here", "provenance": "derived", "given": numbers, "control": {"factor": 2}}


@pytest.mark.parametrize(
    ("changes", "function", "match"),
    [
        ({"control": {}}, sides, "has no negative control"),
        ({"provenance": "rumour"}, sides, "must be one of paper"),
        ({"id": "mw.identity"}, sides, "registered twice"),
        ({}, lambda x: (x, x), "no docstring"),
    ],
)
def test_registry_refuses(changes, function, match):
    find_claims()
    with pytest.raises(ValueError, match=match):
        claim(**(GOOD | changes))(function)
    assert "test.registered" not in registry._CLAIMS


def test_registry_refuses_a_docstring_without_its_control():
    def silent(x):
        """x <= x."""

    with pytest.raises(ValueError, match=r"no .Control:."):
        claim(**GOOD)(silent)


def test_claims_are_found_by_id_and_by_group():
    assert [found.id for found in find_claims(["mw"])] == ["mw.hoeffding", "mw.identity"]
    assert [found.id for found in find_claims(["mw.identity"])] == ["mw.identity"]
    with pytest.raises(ValueError, match=r"did you mean 'mw\.identity'"):
        find_claims(["mw.identities"])


def test_every_claim_says_what_its_control_is():
    for found in find_claims():
        assert found.statement
        assert found.control_statement
        assert "Control" not in found.statement
