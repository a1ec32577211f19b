"""Running claims and tests against one fault, in copies of the tree outside of it.

One copy stays as it is: it keeps compiled code warm, and tells what fails without any fault. Each fault gets a copy of hard links to it,
in which only the planted file is a new one, so that only what reaches it is compiled again. Numba and Python replace their caches, and
never write into them: what a fault compiles never gets into the other copy, nor into the repository.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from proofs_check.registry import claims_in
from teeth.planting import ROOT
from teeth.reach import reaching

LEFT_OUT = (".git", ".venv", "venv", "results", "output", ".*_cache", ".hypothesis", "build", "dist")
CHUNK = 4  # files of tests in the first process; the next take twice as many


class Seen(NamedTuple):
    """``by``: the claim or test that noticed ("" when none did) and ``why``; ``tried`` of ``of`` claims, or files of tests, had not.

    ``late``: time ran out before the last one.
    """

    by: str
    why: str
    tried: int
    of: int
    late: bool = False


@dataclass
class Bench:
    """The copies: ``clean`` as the repository is, and one at a time per fault beside it. ``limit``: seconds for the claims, and for the
    tests, of one fault; ``patience``: seconds after which a single claim or test counts as hanging."""

    folder: Path
    limit: float
    patience: float

    def __post_init__(self):
        self.clean = self.folder / "clean"
        shutil.copytree(ROOT, self.clean, ignore=shutil.ignore_patterns(*LEFT_OUT))
        self.fails_anyway, self.reach = {}, {}

    def prepare(self, faults, kinds):
        """Look up what reaches the faults' files, so that the repository may be edited from then on."""
        for fault in faults:
            for kind in kinds:
                (self._claims if kind == "claims" else self._tests)(fault.file, fault.family)

    def _claims(self, file, family):
        """["module:claim"] of those that reach the file."""
        if ("claims", file, family) not in self.reach:
            modules = reaching(file, "proofs_check/claims", family)
            self.reach["claims", file, family] = [f"{module}:{claim.id}" for module in modules for claim in claims_in(module)]
        return self.reach["claims", file, family]

    def _tests(self, file, family):
        """Files of tests that reach the file."""
        if ("tests", file, family) not in self.reach:
            self.reach["tests", file, family] = [name.replace(".", "/") + ".py" for name in reaching(file, "tests", family)]
        return list(self.reach["tests", file, family])

    @contextmanager
    def planted(self, fault):
        """A tree with the fault in it."""
        text = fault.planted((self.clean / fault.file).read_text(encoding="utf-8"))
        tree = Path(tempfile.mkdtemp(dir=self.folder)) / "tree"
        shutil.copytree(self.clean, tree, copy_function=os.link)
        path = tree / fault.file
        path.unlink()
        path.write_text(text, encoding="utf-8")
        try:
            yield tree
        finally:
            shutil.rmtree(tree.parent, ignore_errors=True)

    # --- claims

    def claims(self, tree, file, family=""):
        """Seen by claims: one fails, or its control is no longer refuted, or it crashes or never ends; without the fault all is well."""
        names, deadline = self._claims(file, family), time.monotonic() + self.limit
        waiting = names
        while waiting:
            lines, late = self._python(tree, ["-m", "teeth.worker", str(self.patience), *waiting], deadline)
            records = [record for record in map(_record, lines) if "ok" in record]
            good = sum(record["ok"] for record in records)
            tried = len(names) - len(waiting) + good
            if late or good == len(waiting):
                return Seen("", "", tried, len(names), late)
            if not self._fails_anyway("claim", waiting[good]):
                why = records[-1]["reason"] if len(records) > good else "crashed, or did not end"
                return Seen(waiting[good].partition(":")[2], why, tried, len(names))
            waiting = waiting[good + 1 :]
        return Seen("", "", len(names), len(names))

    # --- tests

    def tests(self, tree, file, family=""):
        """Whether a test notices, slow ones left out."""
        files, deadline = self._tests(file, family), time.monotonic() + self.limit
        done, size, skipped = 0, CHUNK, []
        while done < len(files):
            chunk = files[done : done + size]
            lines, late = self._pytest(tree, [*chunk, *(f"--deselect={name}" for name in skipped)], deadline)
            if late:
                return Seen("", "", done, len(files), True)
            failed = next(
                (found for line in lines if (found := re.match(r"(?:FAILED|ERROR) (\S+?\.py(?:::.*?)?)(?: - (.*))?$", line))), None
            )
            if failed is None and not any(re.search(r"\d+ (passed|skipped|deselected)|no tests ran", line) for line in lines[-3:]):
                return Seen(chunk[0], "crashed, or did not end", done, len(files))
            if failed is None:
                done, size = done + size, 2 * size
            elif self._fails_anyway("test", failed[1]):
                skipped.append(failed[1])
                if "::" not in failed[1]:  # it cannot even be collected
                    files.remove(failed[1])
            else:
                return Seen(failed[1], failed[2] or "", done, len(files))
        return Seen("", "", len(files), len(files))

    # --- both

    def _fails_anyway(self, kind, name):
        """Whether it fails without any fault: then it says nothing about one."""
        if (kind, name) not in self.fails_anyway:
            if kind == "claim":
                lines, _ = self._python(self.clean, ["-m", "teeth.worker", str(self.patience), name], None)
                bad = not lines or not _record(lines[-1]).get("ok", False)
            else:
                lines, _ = self._pytest(self.clean, [name], None)
                bad = any(line.startswith(("FAILED", "ERROR")) for line in lines)
            self.fails_anyway[kind, name] = bad
        return self.fails_anyway[kind, name]

    def _pytest(self, tree, words, deadline):
        options = ["-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", f"--timeout={self.patience}", "--timeout-method=thread"]
        return self._python(tree, ["-m", "pytest", *options, *words], deadline)

    def _python(self, tree, words, deadline):
        """(lines printed, whether time ran out)."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_CACHE", "PYTEST_"))}
        environment |= {"PYTHONPATH": str(tree), "COLUMNS": "1000"}
        process = subprocess.Popen(
            [sys.executable, *words], cwd=tree, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=None if deadline is None else max(deadline - time.monotonic(), 1))
            return output.splitlines(), False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0].splitlines(), True
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _record(line):
    """What a worker says in a line; {} for anything else that is printed."""
    return json.loads(line) if line.startswith('{"') else {}
