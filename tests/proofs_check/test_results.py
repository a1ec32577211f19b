"""A verdict is kept under what its claim reaches: ``--resume`` checks again what an edit can have changed, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import proofs_check
from proofs_check import registry
from proofs_check.results import version
from tabular_rl.cli import app

PACKAGE = Path(proofs_check.__file__).parent
VERIFY = [sys.executable, "-m", "proofs_check", "bonus", "mw", "--examples", "3", "--jobs", "1", "--resume", "--folder"]
LOOK = """
import json, sys
from proofs_check.registry import find_claims
from proofs_check.results import version
print(json.dumps({claim.id: version(claim) for claim in find_claims()}))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the repository's packages, to be edited."""
    for name in ("tabular_rl", "proofs_check"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder, *words):
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_edit_changes_the_versions_of_the_claims_that_reach_it(copy):
    before = json.loads(run(PACKAGE.parent, sys.executable, "-c", LOOK))
    assert all(before.values())
    (copy / "proofs_check" / "claims" / "another.py").write_text("x = 1\n")
    for path in ("tabular_rl/algorithms/robust/drpg.py", "tabular_rl/cli.py", "proofs_check/report.py", "proofs_check/registry.py"):
        (copy / path).write_text((copy / path).read_text() + "\n# edited\n")
    after = json.loads(run(copy, sys.executable, "-c", LOOK))
    redone = {id for id in before if before[id] != after[id]}
    family = {claim.id for claim in registry.find_claims() if claim.sides.__module__.startswith("proofs_check.claims.robust.")}
    assert {"drpg.local_minimum", "drpg.rate"} & set(before) <= redone <= family
    assert redone
    engine = copy / "proofs_check" / "verdicts.py"
    engine.write_text(engine.read_text() + "\n# edited\n")
    assert all(before[id] != code for id, code in json.loads(run(copy, sys.executable, "-c", LOOK)).items())


def test_resuming_keeps_what_no_edit_reaches(copy):
    seconds = lambda: {row["id"]: row["seconds"] for row in map(json.loads, (copy / "p" / "verdicts.jsonl").read_text().splitlines()[1:])}
    run(copy, *VERIFY, "p")
    first = seconds()
    path = copy / "proofs_check" / "claims" / "foundations" / "bonus.py"
    path.write_text(path.read_text() + "\n# edited\n")
    run(copy, *VERIFY, "p")
    second = seconds()
    assert first.keys() == second.keys()
    redone = {id for id in first if first[id] != second[id]}
    assert redone == {id for id in first if id.startswith("bonus.")}


def test_a_claim_that_was_replaced_is_checked_again(tmp_path, monkeypatch):
    def verify():
        return CliRunner().invoke(app, ["verify", "mw.hoeffding", "--examples", "5", "--jobs", "1", "--resume", "--folder", str(tmp_path)])

    assert verify().exit_code == 0
    claims = registry.all_claims()
    broken = replace(claims["mw.hoeffding"], sides=lambda p, f, eta, constant=0: (1.0, 0.0))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "all_claims", lambda: claims | {"mw.hoeffding": broken})
        assert version(broken) == ""
        assert verify().exit_code == 1
    assert verify().exit_code == 0


def test_explain_says_what_was_checked_before_an_edit(tmp_path):
    folder = ["--folder", str(tmp_path)]
    assert CliRunner().invoke(app, ["verify", "mw.hoeffding", "--examples", "5", "--jobs", "1", *folder]).exit_code == 0
    assert "before the last edit" not in CliRunner().invoke(app, ["explain", "mw.hoeffding", *folder]).output
    path = tmp_path / "verdicts.jsonl"
    header, row = map(json.loads, path.read_text().splitlines())
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, row | {"code": "another"})))
    assert "before the last edit" in CliRunner().invoke(app, ["explain", "mw.hoeffding", *folder]).output
