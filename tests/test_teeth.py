"""Faults: those of the lists still apply, those of the mutator parse, and the runner sees what notices."""

import pytest

from teeth import planting

FAULTS = [fault for family in planting.families() for fault in planting.load(family)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.family}: {fault.name}")
def test_fault_of_a_list_applies(fault):
    text = (planting.ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.planted(text) != text


def test_a_fault_that_does_not_apply_is_refused():
    plant = lambda old, new: planting.Fault("f", "x.py", old, new).planted("x = 1\ny = 1\n")
    assert plant("x = 1", "x = 2") == "x = 2\ny = 1\n"
    with pytest.raises(ValueError, match="occurs 2 times"):
        plant("= 1", "= 2")
    with pytest.raises(ValueError, match="changes nothing"):
        plant("x = 1", "x =  1")
    with pytest.raises(ValueError, match="does not parse"):
        plant("x = 1", "x = ")


def test_samples_take_turns():
    faults = list(range(7))
    assert [planting.rotating(faults, 3, turn) for turn in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]
    assert planting.rotating(faults, 10, 0) == faults


def test_the_nearest_files_come_first():
    from teeth.reach import reaching

    claims = reaching("tabular_rl/planning/bonuses.py", "proofs_check/claims", "foundations")
    assert claims[0] == "proofs_check.claims.foundations.bonus"
    assert "proofs_check.claims.foundations.softmax" not in claims
    tests = reaching("tabular_rl/kernels/discounted/sweeps.py", "tests")
    assert tests[0] == "tests.kernels.test_sweeps"
    assert "tests.test_claims" not in tests


def test_generated_faults_apply_and_are_the_same_for_the_same_seed():
    from teeth import mutate

    faults = mutate.generate("foundations", 40, 1)
    assert faults == mutate.generate("foundations", 40, 1) != mutate.generate("foundations", 40, 2)
    assert len({fault.name for fault in faults}) == 40
    for fault in faults:
        text = (planting.ROOT / fault.file).read_text(encoding="utf-8")
        assert fault.planted(text) != text
        assert "raise AssertionError" in mutate.probe(fault).planted(text)


def test_every_kind_of_mutation_is_made(tmp_path, monkeypatch):
    from teeth import mutate

    text = """def f(x, i, a, b):
    '''Not 1 < 2 here.'''
    if a < b and i == 0:
        raise ValueError(f"{a + b}")
    check.number("a", a, above=3)
    x[i] += 0.5 * min(a, -b)
    return x[i]  # é 1 + 1
"""
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    made = {fault.name.partition(": ")[2].partition(" (")[0] for fault in mutate.mutations("m.py", "f")}
    assert made == {
        "< -> <=", "and -> or", "== -> !=", "0 -> 1", "+ -> -", "0.5 -> 1.0", "* -> /", "min -> max", "- -> nothing", "i -> i - 1",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".md", ".csv"])
def test_the_table_says_who_noticed(tmp_path, suffix):
    from teeth.__main__ import write
    from teeth.running import Seen

    row = {"family": "f", "fault": "a | b", "file": "x.py", "seconds": 3.2}
    seen, none, late = (Seen("c.claim", "why", 3, 9)._asdict(), Seen("", "", 9, 9)._asdict(), Seen("", "", 2, 9, True)._asdict())
    rows = [row | {"claims": seen, "tests": none}, row | {"claims": none, "tests": late, "reached": "never reached"}]
    write(tmp_path / f"t{suffix}", rows, ["claims", "tests"])
    text = (tmp_path / f"t{suffix}").read_text()
    for word in ("c.claim", "none of 9", "none of 2, time ran out before the other 7", "none of 9; never reached"):
        assert word in text
    write(tmp_path / f"t{suffix}", [row | {"claims": seen}], ["claims"])
    assert "not run" in (tmp_path / f"t{suffix}").read_text()


@pytest.mark.slow
def test_planted_faults_are_noticed(tmp_path):
    """One that a claim sees, and one that changes nothing that anybody could see."""
    from teeth.running import Bench

    bench = Bench(tmp_path, limit=600, patience=200)
    seen, why = (
        planting.Fault("sign", "proofs_check/claims/foundations/softmax.py", old, new)
        for old, new in (("constant=1 / 2", "constant=1 / 6"), ("return weights / weights.sum()", "return 1 * weights / weights.sum()"))
    )
    with bench.planted(seen) as tree:
        assert bench.claims(tree, seen.file).by == "softmax.smoothness-sharp"
    with bench.planted(why) as tree:
        assert bench.claims(tree, why.file).by == ""
        assert not (tree / ".git").exists()


@pytest.mark.slow
def test_a_sample_of_the_lists_is_noticed(tmp_path, monkeypatch):
    """Another sample every week."""
    import datetime

    from teeth.__main__ import teeth

    monkeypatch.chdir(planting.ROOT)
    teeth(sample=3, seed=datetime.date.today().isocalendar().week, output=tmp_path / "teeth.md")
