"""What code, claims, figures and tests cite of the derivations exists, and so does what the derivations name."""

import re
from pathlib import Path

import pytest

from proofs_check import citations
from proofs_check.registry import all_claims, all_theorems

ROOT = Path(__file__).parents[1]
FILES = [
    path for folder in ("tabular_rl", "proofs_check", "figures", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
]
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(citations.FOLDER.glob("*.md"))]
ABOUT = {Path(__file__), Path(citations.__file__)}  # their citations are examples


def unresolved(text):
    """[(line, what is wrong)] of every citation that leads nowhere."""
    wrong = []
    for citation in citations.find(text):
        try:
            citation.places()
        except LookupError as error:
            wrong.append((citation.line, error.args[0]))
    return wrong


def shown(text):
    """[(document, label or section's number)] of what a text cites."""
    places = [place for citation in citations.find(text) for place in citation.places()]
    return [(place.document, place.label or place.section.split()[0].rstrip(".")) for place in places]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("(dapo spec, section 6, SEQ).", [("dapo", "6"), ("dapo", "SEQ")]),
        ("drpg spec 2.1-2.8 and L19, though", [("drpg", "2.1"), ("drpg", "2.8"), ("drpg", "L19")]),
        ("constants are derived in the lpo spec (sections 2 and 5). L9", [("lpo", "2"), ("lpo", "5")]),
        ("dapo spec 2.5, bobw spec 3.8 and 5.3", [("dapo", "2.5"), ("bobw", "3.8"), ("bobw", "5.3")]),
        ("bobw spec, (C_B) and the certificate of 4.4", [("bobw", "C_B")]),
        ("bobw spec 4.4 (theorem M)", [("bobw", "4.4"), ("bobw", "theorem M")]),
        ("bobw spec L3d; dr_rpo spec L10, theorem 2", [("bobw", "L3d"), ("dr_rpo", "L10"), ("dr_rpo", "theorem 2")]),
        ("dr_rpo spec 3 (proposition)", [("dr_rpo", "3"), ("dr_rpo", "proposition")]),
        ("drpg spec section 13 item 4, drpg spec 7.4 (b)", [("drpg", "13"), ("drpg", "item 4"), ("drpg", "7.4"), ("drpg", "b")]),
        ("dapo spec, section 4 items 5 and 6 [reconstructed]", [("dapo", "4"), ("dapo", "5"), ("dapo", "6")]),
        ("subpo spec 10.5 b", [("subpo", "10.5"), ("subpo", "b")]),
        ("# the dapo\n# spec,\n#  sections 1 and\n# 7.3", [("dapo", "1"), ("dapo", "7.3")]),
        ('SOURCE = "drpg spec"\nsource=f"{SOURCE} L7"', [("drpg", "L7")]),
        ('f"after X; dapo "\n    f"spec L2"', [("dapo", "L2")]),
        ("lpo spec 9.1, n = 5 and a lock", [("lpo", "9.1")]),
        ("if spec is None: spec = find_spec(name)", []),
    ],
)
def test_citations_are_found_whole(text, cited):
    assert shown(text) == cited


@pytest.mark.parametrize(
    "text",
    ["dapo spec 66", "dapo spec, SEK", "drpg spec L77", "drpg spec 2.1, 2.99", "dr_rpo spec L10z", "bobw spec 4.4 (theorem Q)",
     "dapo spec 4 item 9", "the lpo spec says so", "spec 5.9", "Spec L1 holds", "as the spec has it", "dopa spec 6",
     "the family spec on games, 6.1", "catalogue MW"],
)  # fmt: skip
def test_a_broken_or_vague_citation_is_noticed(text):
    assert unresolved(f"first line\n{text}.")[0][0] == 2


def test_every_citation_resolves():
    files = [*FILES, *PROSE]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {what}" for path in files if path not in ABOUT for line, what in unresolved(path.read_text())
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(len(citations.find(path.read_text())) for path in FILES) > 350  # they are found at all


def test_what_the_documents_name_exists_and_names_its_sources_back():
    entries = all_claims() | all_theorems()
    groups = {id.split(".")[0] for id in all_claims()}
    named, wrong, executed = {}, [], 0
    for name in citations.documents():
        text = citations.read(name).text
        named[name] = set(re.findall(r"`([\w.-]+)`", text))
        ids = {id for id in named[name] if "." in id and id.split(".")[0] in groups}
        for after in re.findall(r"Executed(.*?)(?=\n\n|Executed|\Z)", text, re.DOTALL):
            ids |= {id for id in re.findall(r"`([\w-]+\.[\w-]+)`", after) if not id.startswith("instances.")}
        for after in re.findall(r"[Gg]raphs?\b[^`.]*:((?:\s*`[\w-]+`,?)+)", text):
            ids |= set(re.findall(r"`([\w-]+)`", after))
        executed += len(ids)
        wrong += [f"{name}.md names {id}" for id in sorted(ids) if id not in entries]
    for entry in entries.values():
        for name in {citation.document for citation in citations.find(entry.source)}:
            if entry.id not in named[name]:
                wrong.append(f"{name}.md does not name {entry.id}, whose source it is")
    assert not wrong, "\n".join(wrong)
    assert executed > 200


def test_proofs_are_where_the_source_says_or_where_the_claim_is_named():
    claims = all_claims()
    assert [str(place) for place in citations.proofs(claims["bonus.unrolled"])] == ["docs/derivations/bobw.md, 4.1 Two identities, L2"]
    assert [place.label for place in citations.proofs(claims["mdp.gradient"])] == ["PD"]
    assert [entry.id for entry in [*claims.values(), *all_theorems().values()] if not citations.proofs(entry)] == []


def test_links_between_documents_lead_somewhere():
    for path in [*citations.FOLDER.glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", path.read_text()):
            assert not target or (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_index_lists_every_document():
    index = (citations.FOLDER / "README.md").read_text()
    assert set(re.findall(r"^- \[(\w+)\.md\]\(\1\.md\)", index, re.MULTILINE)) == set(citations.documents())


def test_anchors_are_those_of_the_headings():
    assert citations.anchor("4.5 Theorem T: Tsallis entropy, explicit constants") == "45-theorem-t-tsallis-entropy-explicit-constants"
