"""What is registered is complete, and what is incomplete is refused."""

import numpy as np
import pytest

from proofs_check import registry
from proofs_check.registry import Theorem, all_claims, all_theorems, claim, find_claims, theorem
from proofs_check.strategies import simplex_points
from proofs_check.verdicts import inequality


def sides(x):
    """x <= x.  Control: doubled."""
    return x, x


def silent(x):
    """x <= x."""
    return x, x


GOOD = {
    "id": "test.registered",
    "kind": inequality,
    "source": "here",
    "provenance": "derived",
    "given": (simplex_points(),),
    "control": {"factor": 2},
}


@pytest.mark.parametrize(
    ("changes", "function", "match"),
    [
        ({"control": {}}, sides, "has no negative control, and no reason"),
        ({"provenance": "rumor"}, sides, "must be one of paper"),
        ({"id": "mw.identity"}, sides, "registered twice"),
        ({"varied": {"window": (1, 2)}}, sides, "varies 'window', which its function does not take"),
        ({}, lambda x: (x, x), "no docstring"),
        ({}, silent, "no 'Control:'"),
    ],
)
def test_incomplete_claims_are_refused(changes, function, match):
    all_claims()
    with pytest.raises(ValueError, match=match):
        claim(**(GOOD | changes))(function)
    assert "test.registered" not in registry._CLAIMS


@pytest.fixture
def scratch(monkeypatch):
    """A registry of theorems that forgets afterwards."""
    all_theorems()
    monkeypatch.setattr(registry, "_THEOREMS", {})
    all_theorems.cache_clear()
    yield
    all_theorems.cache_clear()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"claims": ("mw.identify",)}, "'mw.identify', which is unknown"),
        ({"uses": {"mw.identity": ("bonus.unrolled",)}}, "not among its claims"),
        ({"uses": {"mw.identity": ("mw.hoeffding",), "mw.hoeffding": ("mw.identity",)}}, "in a circle"),
    ],
)
def test_theorems_with_broken_graphs_are_refused(scratch, changes, match):
    theorem("t", **({"statement": "s", "source": "here", "provenance": "derived", "claims": ("mw.identity", "mw.hoeffding")} | changes))
    with pytest.raises(ValueError, match=match):
        all_theorems()


def test_a_theorem_follows_from_the_claims_that_nothing_else_uses():
    result = Theorem("t", "s", "here", "derived", ("a.1", "a.2", "a.3"), {"a.1": ("a.2",)})
    assert result.edges == [("t", "a.1"), ("t", "a.3"), ("a.1", "a.2")]


def test_claims_are_found_by_id_group_and_theorem():
    assert [found.id for found in find_claims(["mw"])] == ["mw.hoeffding", "mw.identity"]
    assert [found.id for found in find_claims(["mw.identity"])] == ["mw.identity"]
    assert [found.id for found in find_claims(["multiplicative-weights"])] == ["mw.hoeffding", "mw.identity"]
    with pytest.raises(ValueError, match=r"did you mean 'mw\.identity'"):
        find_claims(["mw.identities"])


def test_every_claim_says_what_its_control_is():
    for found in find_claims():
        assert found.statement
        assert found.control_statement
        assert "Control" not in found.statement


def test_every_claim_belongs_to_a_theorem_or_stands_for_itself():
    used = {name for result in all_theorems().values() for name in result.claims}
    alone = {found.id for found in find_claims()} - used
    replays = {"tsallis-inf.run", "uniform.run"}
    processes = {"delays.fixed-processes", "delays.random-processes"}
    others = {"submodular.telescoping", "submodular.diminishing", "ucbvi.logarithmic", "dilated-bonus-po.confidence"}
    assert alone <= replays | processes | others


@pytest.mark.slow  # a clock decides: not for machines that are busy with something else
def test_every_exact_claim_costs_at_most_a_millisecond_per_instance():
    import time

    from proofs_check.engine import Search

    for found in find_claims():
        # these solve, run the algorithm, walk along a sequence, or list all trajectories
        slower = (
            "bellman.span-bounds",
            "dapo.filtration",
            "dapo.replay",
            "dapo.optimistic-bonus-value",
            "dapo-linear.replay",
            "delayed-hedge.replay",
            "delayed-uob",
            "delayed-oppo",
            "delayed-oreps",
            "bobw.path",
            "bobw.episode",
            "bobw-shannon",
            "bobw-unknown",
            "subpo",
            "lpo.half-bonus",
            "lpo.optimism",
            "lpo.pathwise",
            "sensitivity",
            "drpg",
            "robust",
            "worst.same-sets",
            "states",
            "ravi",
            "dr-rpo.plans",
            "dr-rpo.bias",
            "dr-rpo.corollary",
            "dr-rpo.coverage",
            "dr-rpo.separate",
            "dr-rpo.telescoping",
        )
        if found.kind.statistical or found.id.startswith(slower):
            continue
        search = Search(found).run(64)
        values = [part.value for part in search.parts]
        times = []
        for _ in range(50):
            start = time.process_time()
            found.kind(*found.sides(*values))
            times.append(time.process_time() - start)
        assert np.median(times) < 1e-3, found.id
