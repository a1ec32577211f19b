"""A fault is a piece of a file and what stands there instead; lists of them are in ``teeth/faults``, one file per family."""

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTS = Path(__file__).parent / "faults"


@dataclass(frozen=True)
class Fault:
    """``new`` in place of ``old`` in ``file`` (a path from the root of the repository).

    ``old`` occurs exactly once, or stands at the offset ``at``. ``family`` is the name of its list.
    """

    name: str
    file: str
    old: str
    new: str
    family: str = ""
    at: int | None = None

    def planted(self, text):
        """The file's ``text`` with the fault in it; a fault that does not apply, or changes nothing, is a ValueError."""
        where = f"fault {self.name!r} of {self.file}"
        if self.at is None and (count := text.count(self.old)) != 1:
            raise ValueError(f"{where}: its old text must occur exactly once, and occurs {count} times:\n{self.old}")
        start = text.index(self.old) if self.at is None else self.at
        if text[start : start + len(self.old)] != self.old:
            raise ValueError(f"{where}: {self.old!r} does not stand at offset {start}")
        changed = text[:start] + self.new + text[start + len(self.old) :]
        try:
            if ast.dump(ast.parse(changed)) == _dump(text):
                raise ValueError(f"{where} changes nothing")
        except SyntaxError as error:
            raise ValueError(f"{where} leaves a file that does not parse: {error}") from None
        return changed


@cache
def _dump(text):
    """What the text says, whatever its blanks; many faults are of one file."""
    return ast.dump(ast.parse(text))


def families():
    """Names of the lists."""
    return sorted(path.stem for path in LISTS.glob("*.toml"))


def load(family):
    """The faults of one list; an entry with other keys, or two of one name, is a ValueError."""
    path = LISTS / f"{family}.toml"
    if not path.exists():
        raise ValueError(f"there is no list of faults {family!r}; there are {', '.join(families())}")
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    if set(entries) != {"fault"}:
        raise ValueError(f"{path}: a list of faults is made of [[fault]] entries, got {', '.join(entries) or 'none'}")
    found = []
    for entry in entries["fault"]:
        if set(entry) != {"name", "file", "old", "new"}:
            raise ValueError(f"{path}: a fault has name, file, old and new, got {', '.join(entry)}")
        found.append(Fault(**entry, family=family))
    if len({fault.name for fault in found}) != len(found):
        raise ValueError(f"{path}: two faults have the same name")
    return found


def rotating(faults, size, turn):
    """``size`` of the faults; the next ``turn`` has the next ones, and after enough turns each had its own."""
    start = turn * size % len(faults)
    return [faults[(start + i) % len(faults)] for i in range(min(size, len(faults)))]
