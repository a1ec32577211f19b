"""Citations of the derivations: "dapo spec, section 6, SEQ" or "drpg spec 5.1 and L19", found in a text and looked up in the documents.

"NAME spec" is the document docs/derivations/NAME.md (in an installed package proofs_check/derivations/NAME.md). What follows says where in
it: numbers of sections, labels (the bold words that a statement begins with), items and parts of these.
"""

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SHIPPED = Path(__file__).with_name("derivations")
FOLDER = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[1] / "docs" / "derivations"
PATH = "/".join(FOLDER.parts[-2:])

_WORD = r"(?P<word>sections?|items?|theorems?|lemmas?|tables?|certificate|checks?|part|step|proof|proposition|corollary)"
_NAME = r"(?P<open>\()?(?P<name>\d+(?:\.\d+)*|[A-Z][A-Z_]*(?:-?\d+)?[a-z]?|[a-z])(?(open)\))(?![\w.]*\w)"
_UNIT = re.compile(rf"(?P<gap>(?:\s|,|-|\band\b|\bto\b)*)(?:{_WORD}\b\s*)?(?:{_NAME})?")
_CITED = re.compile(
    r"(?P<document>\w+)\s+spec\b(?!\w|\s*[=.]\s*\w)(?=\s*[,(]?\s*(?P<place>\w*))"
    r"|(?<![\w-])[Ss]pec(?:'s)?,?\s+(?:section|lemma|theorem|\d+\.\d|[A-Z]\d)"
    r"|catalogue(?:'s)?,?\s+(?:section|number|\(?\d+|[A-Z]{2,})"
)
_LABELS = re.compile(r"^(?:- )?\*\*(.+?)\*\*", re.MULTILINE)
_KINDS = ("theorem", "item", "check", "step", "proposition", "corollary", "lemma")


@dataclass(frozen=True)
class Place:
    """Where something stands: a document, the heading above it, that heading's anchor, the label below it if there is one.

    A short proof stands in the docstring of the file of its claims: then the document is the path of that file.
    """

    document: str
    section: str
    anchor: str
    label: str = ""

    @property
    def path(self):
        """Of the document, from the root of the project."""
        return self.document if self.document.endswith(".py") else f"{PATH}/{self.document}.md"

    def __str__(self):
        return f"{self.path}, {self.section}" + (f", {self.label}" if self.label else "")


@dataclass(frozen=True)
class Citation:
    """``text`` in line ``line`` of what was searched; (word, name) of every place that it names in ``document``, in order."""

    line: int
    text: str
    document: str
    names: tuple[tuple[str, str], ...]

    def places(self):
        """Every place that is cited. LookupError: the document, or a place in it, does not exist, or none is named."""
        if self.document not in documents():
            raise LookupError(f"{self.text!r} names no document; there are {', '.join(documents())}")
        if not self.names:
            raise LookupError(f"{self.text!r} does not say where in {PATH}/{self.document}.md")
        document, found = read(self.document), []
        for word, name in self.names:
            place = document.find(word, name, found)
            if place is None:
                raise LookupError(f"{self.text!r}: {f'{word} {name}'.strip()} is not in {PATH}/{self.document}.md")
            found.append(place)
        return [document.place(*place) for place in found]


@cache
def documents():
    """The names of all documents."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README"))


@cache
def read(name):
    """The Document called ``name``."""
    return Document(name, (FOLDER / f"{name}.md").read_text(encoding="utf-8"))


class Document:
    """Headings and labels of a document; a found place is (start, end, label) in its text."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.headings = [(m.start(), len(m[1]), m[2].strip()) for m in re.finditer(r"^(#+) (.+)$", text, re.MULTILINE)]
        self.sections = {}
        for i, (start, depth, title) in enumerate(self.headings):
            end = next((s for s, other, _ in self.headings[i + 1 :] if other <= depth), len(text))
            if number := re.match(r"(\d+(?:\.\d+)*)\.? ", title):
                self.sections[number[1]] = (start, end, "")
        marks = [(m.start(), _key(m[1])) for m in _LABELS.finditer(text)]
        stops = sorted([start for start, _ in marks] + [start for start, *_ in self.headings] + [len(text)])
        self.labels = [(start, next(stop for stop in stops if stop > start), key) for start, key in marks]

    def find(self, word, name, before):
        """The place called ``name``, searched first where the places ``before`` stand; None if there is none."""
        word = word.rstrip("s")
        if word in ("", "section", "table") and name[:1].isdigit():
            return self.sections.get(name)
        keys = {f"{word} {name}".strip(), name} - {""} if name else {word}
        near = [(s, e) for s, e, _ in reversed(before)]
        for start, end in (*near, (0, len(self.text))):
            for label in self.labels:
                if label[2] in keys and start <= label[0] < end and not (len(name) == 1 and name.islower() and not near):
                    return label
        if len(name) == 1 and name.islower():  # a part of what was named before
            return next(((s, e, f"({name})") for s, e in near if f"({name})" in self.text[s:e]), None)
        if re.fullmatch(r"[A-Z]+\d+[a-z]", name) and (whole := self.find("", name[:-1], before)):
            return (*whole[:2], name) if f"({name[-1]})" in self.text[whole[0] : whole[1]] else None
        return None

    def place(self, start, end, label):
        """What is at ``start``, as a Place."""
        title = self._above(start)[1]
        return Place(self.name, title, anchor(title), label)

    def named(self, id):
        """Every place that names the claim or theorem ``id``."""
        found = []
        for match in re.finditer(rf"`{re.escape(id)}`", self.text):
            heading = self._above(match.start())[0]
            label = next((key for at, _, key in reversed(self.labels) if heading <= at < match.start()), "")
            found.append(self.place(match.start(), match.end(), label))
        return found

    def _above(self, at):
        return next((start, title) for start, _, title in reversed(self.headings) if start <= at)


def anchor(title):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def proofs(entry):
    """Where the proof of a claim or theorem stands: what its source cites, else the statements whose documents name it; maybe nothing.

    Where no document does, the docstring of the file that enters it may begin a paragraph with "Proof:".
    """
    places = []
    for citation in find(entry.source):
        with suppress(LookupError):  # another's document
            places += citation.places()
    places = places or [place for name in documents() for place in read(name).named(entry.id)]
    if not places and re.search(r"^Proof:", getattr(sys.modules.get(entry.module), "__doc__", None) or "", re.MULTILINE):
        places = [Place(f"{entry.module.replace('.', '/')}.py", "Proof", "")]
    labeled = {(place.document, place.anchor) for place in places if place.label}  # "section 6, SEQ" is SEQ
    return list(dict.fromkeys(place for place in places if place.label or (place.document, place.anchor) not in labeled))


def find(text):
    """All citations of ``text``: prose, or the source of a program, where {SOURCE} stands for the constant of that name."""
    if constant := re.search(r'^SOURCE = "(.*)"$', text, re.MULTILINE):
        text = text.replace(constant[0], constant[0] if not constant[1].endswith("spec") else "").replace("{SOURCE}", constant[1])
    # a line that goes on in the next, of a comment or of a string, is one line; the positions stay
    joined = re.sub(r'"[ \t]*\n[ \t]*[rf]*"(?!"")|\n[ \t]*#?', lambda match: " " * len(match[0]), text)
    found = []
    for match in _CITED.finditer(joined):
        name = match["document"] or ""
        known = name in documents()
        vague = not name or name in ("the", "The", "family") or re.match(r"(section|lemma|theorem)s?$|\d|[A-Z]\d", match["place"])
        if not known and not vague:
            continue  # a variable, or another word
        end, names = _names(joined, match.end(), name) if known else (match.end(), [])
        at = match.end() - 1 if name and not known else match.start()  # the word before "spec" may be another line's
        found.append(Citation(text.count("\n", 0, at) + 1, " ".join(joined[match.start() : end].split()), name, tuple(names)))
    return found


def _names(text, at, document):
    """(where they end, [(word, name)]) of the places that are named from ``at`` on."""
    labels = {key for *_, key in read(document).labels}
    names, depth, end, word = [], 0, at, ""
    while unit := _UNIT.match(text, at):
        at, name = unit.end("gap"), unit["name"] or ""
        word = unit["word"] or (word if word.endswith("s") else "")  # "items 5 and 6": both are items
        if len(name) == 1 and name.isalpha() and not word and name not in labels and not (names and (name.islower() or text[at] == "(")):
            name = ""  # a letter of what comes next
        if name.islower() and not word and not name[1:] and text[at] != "(" and (name == "a" or text[end:at] != " "):
            name = ""  # an article, a variable
        if name or unit["word"] in labels:
            at = end = unit.end() if name else unit.end("word")
            names.append(("" if word == "proof" else word, name))
        elif text[at : at + 1] == "(":
            depth, at = depth + 1, at + 1
        elif text[at : at + 1] == ")" and depth:
            depth, at = depth - 1, at + 1
        else:
            break
    return end, names


def _key(bold):
    """The label that a bold beginning is cited by: "L7" of "L7 (potential).", "theorem M" of "Theorem M, known transition."."""
    words = [word.strip("().,:") if i == 0 else word.rstrip(".,:") for i, word in enumerate(bold.split())]
    first = words[0].lower()
    if first in _KINDS:
        return f"{first} {words[1]}" if len(words) > 1 and not words[1].startswith("(") else first
    return words[0]
