"""Runs of the proofs on disk: every verdict as soon as it is there, so that an interrupted run can go on; tightest ratios between runs."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from proofs_check import ratios
from proofs_check.engine import Verdict, verify
from proofs_check.registry import all_claims, registered
from proofs_check.tightness import Tightest, tighten
from tabular_rl.experiments import code_version
from tabular_rl.experiments.sources import is_filed, sources
from tabular_rl.models.atomic import replacing


def version(claim):
    """Hash of all that the verdict on ``claim`` depends on: its file, the engine, what they import, the libraries, its recorded ratio.

    Empty for a claim that is not its file's own (made in a notebook, or from another claim): nobody can say whether it has changed.
    """
    if registered(claim.id) is not claim or not is_filed(claim.sides):
        return ""
    # the list of all claims loads every file of claims, and decides nothing about one of them
    found = sources(claim.sides, verify, tighten, without={"proofs_check.registry"})
    return hashlib.sha256(f"{code_version()} {found.digest} {claim.id} {ratios.records().get(claim.id)}".encode()).hexdigest()[:16]


class Run:
    """Verdicts in ``folder``/verdicts.jsonl: a first line that says what the run was, then one line per claim."""

    def __init__(self, folder, profile):
        self.path = Path(os.fspath(folder)) / "verdicts.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.header = {"profile": asdict(profile)}

    def resume(self, claims):
        """{id: Verdict} of those ``claims`` that a run of the same profile has checked, as they and what they reach still are."""
        header, verdicts = _read(self.path)
        found = {claim.id: verdicts[claim.id] for claim in claims if claim.id in verdicts and header == self.header}
        return {claim.id: found[claim.id] for claim in claims if claim.id in found and found[claim.id].code == version(claim) != ""}

    def begin(self, verdicts):
        """Start the file anew with the ``verdicts`` that are kept."""
        with replacing(self.path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in [self.header, *map(asdict, verdicts)]), encoding="utf-8")

    def add(self, verdict):
        """Append one verdict."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(verdict)) + "\n")


def last_verdicts(folder):
    """{id: Verdict} of the last run in ``folder``, whatever it was."""
    return _read(Path(os.fspath(folder)) / "verdicts.jsonl")[1]


def _read(path):
    """(header, {id: Verdict}); a last line that an interruption cut off does not count, anything else that is wrong: ValueError."""
    if not path.exists():
        return None, {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        header, *rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return header, {row["id"]: Verdict(**row) for row in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a file of verdicts, or is damaged; move it away: {error}") from None


def save_tightest(folder, found):
    """Keep {id: Tightest} in ``folder``/tightest.json, beside those of other claims and before weaker ones of the same code."""
    path = Path(os.fspath(folder)) / "tightest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = load_tightest(folder)
    for id, tightest in found.items():
        if id not in kept or tightest.violated or tightest.ratio >= kept[id].ratio:
            kept[id] = tightest
    claims = all_claims()
    record = {id: asdict(tightest) | {"code": version(claims[id])} for id, tightest in sorted(kept.items())}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"claims": record}, indent=1), encoding="utf-8")
    return kept


def load_tightest(folder):
    """{id: Tightest} that was found for the claims as they are."""
    path = Path(os.fspath(folder)) / "tightest.json"
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["claims"]
        codes = {id: row.pop("code", "") for id, row in rows.items()}
        found = {id: Tightest(**row) for id, row in rows.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a file of ratios, or is damaged; move it away: {error}") from None
    claims = all_claims()
    return {id: tightest for id, tightest in found.items() if codes[id] and id in claims and version(claims[id]) == codes[id]}
