"""Runs of the proofs on disk: every verdict as soon as it is there, so that an interrupted run can go on; tightest ratios between runs."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from proofs_check.engine import Verdict
from proofs_check.tightness import Tightest
from tabular_rl.experiments import code_version
from tabular_rl.models.files import replacing


def proofs_version():
    """Hash of the sources that verdicts depend on: those of the claims and of what they check."""
    digest = hashlib.sha256(code_version().encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Run:
    """Verdicts in ``folder``/verdicts.jsonl: a first line that says what the run was, then one line per claim."""

    def __init__(self, folder, profile):
        self.path = Path(os.fspath(folder)) / "verdicts.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.header = {"profile": asdict(profile), "code": proofs_version()}

    def resume(self):
        """{id: Verdict} of an interrupted run of the same profile and code; empty when there is none."""
        header, verdicts = _read(self.path)
        return verdicts if header == self.header else {}

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
    record = {"code": proofs_version(), "claims": {id: asdict(tightest) for id, tightest in sorted(kept.items())}}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return kept


def load_tightest(folder):
    """{id: Tightest} that this version of the code found."""
    path = Path(os.fspath(folder)) / "tightest.json"
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = {id: Tightest(**row) for id, row in record["claims"].items()}
        return found if record["code"] == proofs_version() else {}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a file of ratios, or is damaged; move it away: {error}") from None
