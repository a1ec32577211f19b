"""The largest lhs / rhs ever seen of every bound, and where: ``ratios.toml``, written by ``python -m proofs_check --record``.

What the two sides are on the recorded instance must not change: if their ratio falls, the claim says less than it did (its right side has
grown), or the product does less. The instance is kept with the number, so that neither the draws of another version of Hypothesis nor a
search that was luckier once decide. A statistical bound has no instance; its ratio is that of the quick profile, whose seeds are fixed.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tabular_rl.models.atomic import replacing

PATH = Path(__file__).with_name("ratios.toml")
LOOSE = 0.5  # a bound whose largest ratio is smaller than this is called loose
SLACK = {"inequality": 0.01, "expectation": 0.3}  # share by which a ratio may fall: rounding; another order of the same draws


class Record(NamedTuple):
    """``ratio`` at ``instance``, lines of code (empty for a statistical bound)."""

    ratio: float
    instance: str = ""


@cache
def records():
    """{claim: Record}."""
    if not PATH.exists():
        return {}
    return {id: Record(**entry) for id, entry in tomllib.loads(PATH.read_text(encoding="utf-8")).items()}


def assignments(code):
    """The lines of an instance's code that say what its parts are."""
    return "\n".join(line for line in code.splitlines() if " = " in line and not line.startswith(("from ", "#", "find_claims(")))


def fallen(kind, now, recorded):
    """Whether a ratio is clearly smaller than the recorded one."""
    return now < (1 - SLACK[kind]) * recorded


def record(verdicts, tightest):
    """Keep the largest ratio of each verdict that holds, of its record as it is now and of the search in ``tightest``."""
    kept = dict(records())
    for verdict in verdicts:
        if verdict.kind not in SLACK or not verdict.holds or verdict.ratio <= 0:
            kept.pop(verdict.id, None)
            continue
        best = Record(verdict.ratio, assignments(verdict.instance) if verdict.kind == "inequality" else "")
        found = tightest.get(verdict.id)
        if found is not None and not found.violated and found.ratio > best.ratio:
            best = Record(found.ratio, assignments(found.instance))
        kept[verdict.id] = best
    text = ["# Written by `python -m proofs_check --record`: the largest ratio of each bound, and the instance where it was seen.\n"]
    for id, entry in sorted(kept.items()):
        text.append(f'\n["{id}"]\nratio = {entry.ratio!r}\n' + (f"instance = '''\n{entry.instance}\n'''\n" if entry.instance else ""))
    with replacing(PATH) as temporary:
        temporary.write_text("".join(text), encoding="utf-8")
    records.cache_clear()
