"""The report says what happened: in the terminal, as a page that stands alone, as JSON and as JUnit XML."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from proofs_check import report
from proofs_check.engine import PROFILES, Profile, Verdict, verify
from proofs_check.registry import Theorem, all_theorems, find_claims
from proofs_check.tightness import Tightest

CLAIMS = find_claims(["dilated-bonus", "mw", "mdp.gradient"])
GOOD = {claim.id: verify(claim, Profile(20, 2)) for claim in CLAIMS}
BROKEN = GOOD | {
    "mw.identity": Verdict("mw.identity", "identity", False, instance="p = <&>", examples=3),
    "mdp.gradient": Verdict("mdp.gradient", "identity", error="ValueError: no <value>"),
}
del BROKEN["bonus.unrolled"]
TIGHTEST = {"bonus.at-most-e": Tightest("bonus.at-most-e", 0.9154, 0.8, "mdp = FiniteHorizonMDP(...)", False, 100)}


class Page(HTMLParser):
    """Ids, links and tags of a page, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.tags, self.open = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.ids += [value for name, value in attributes.items() if name == "id"]
        self.links += [value for name, value in attributes.items() if name == "href"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(params=["good", "broken"])
def verdicts(request):
    return {"good": GOOD, "broken": BROKEN}[request.param]


@pytest.fixture
def page(verdicts):
    return report.as_html(CLAIMS, all_theorems().values(), verdicts, TIGHTEST, PROFILES["quick"])


def test_page_is_well_formed_and_every_link_leads_somewhere(page):
    parsed = Page(page)
    assert not parsed.open
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert all(link.startswith("#") for link in parsed.links)


def test_page_needs_no_network_and_no_script(page):
    assert "script" not in Page(page).tags
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "url(" not in page
    assert "@import" not in page


def test_page_renders_mathematics_and_graphs(page):
    assert {"math", "svg", "table", "pre"} <= Page(page).tags
    assert "$" not in page


def test_report_says_where_the_proofs_stand(page):
    assert "proof: " in page
    assert "docs/derivations/bobw.md, 4.1 Two identities, L2" in page
    record = json.loads(report.as_json(CLAIMS, all_theorems().values(), GOOD, TIGHTEST, PROFILES["quick"]))
    found = {entry["id"]: entry["proofs"] for entry in record["claims"] + record["theorems"]}
    assert found["dilated-bonus"] == [
        {
            "document": "bobw",
            "section": "4.1 Two identities",
            "anchor": "41-two-identities",
            "label": "L2",
            "path": "docs/derivations/bobw.md",
        }
    ]
    assert [(place["document"], place["label"]) for place in found["mdp.gradient"]] == [("foundations", "PD")]


def test_page_says_what_failed():
    page = report.as_html(CLAIMS, all_theorems().values(), BROKEN, TIGHTEST, PROFILES["quick"])
    assert "p = &lt;&amp;&gt;" in page
    assert "ValueError: no &lt;value&gt;" in page
    assert f"{len(CLAIMS) - 3} hold with a refuted control, 1 failed" in " ".join(page.split())
    assert "1 errors, 1 not run" in page
    for word in ("ok", "failed", "error", "missing"):
        assert f'badge {word}"' in page


def test_page_shows_the_tightest_ratio_found():
    page = report.as_html(CLAIMS, all_theorems().values(), GOOD, TIGHTEST, PROFILES["quick"])
    assert "0.915400" in page
    assert "FiniteHorizonMDP(...)" in page


def test_json_holds_everything(tmp_path, verdicts):
    report.write(tmp_path / "report.json", CLAIMS, all_theorems().values(), verdicts, TIGHTEST, PROFILES["quick"])
    record = json.loads((tmp_path / "report.json").read_text())
    assert [claim["id"] for claim in record["claims"]] == [claim.id for claim in CLAIMS]
    assert {claim["status"] for claim in record["claims"]} == ({"ok"} if verdicts is GOOD else {"ok", "failed", "error", "missing"})
    assert {theorem["id"] for theorem in record["theorems"]} == set(all_theorems())


def test_junit_counts(tmp_path):
    report.write_junit(tmp_path / "junit.xml", CLAIMS, BROKEN)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": str(len(CLAIMS)), "failures": "1", "errors": "1", "skipped": "1"}
    assert suite.find("testcase[@name='mw.identity']/failure") is not None
    assert suite.find("testcase[@name='mdp.gradient']/error").get("message") == "ValueError: no <value>"
    assert len(suite.findall("testcase")) == len(CLAIMS)


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.html or \.json"):
        report.write(tmp_path / "report.pdf", CLAIMS, (), GOOD, {}, PROFILES["quick"])


def test_deeper_claims_stand_lower_in_the_graph():
    theorem = Theorem("t", "", "", "derived", ("a", "b", "c"), {"a": ("b",), "b": ("c",)})
    assert report._depths(theorem) == {"t": 0, "a": 1, "b": 2, "c": 3}
    short_cut = Theorem("t", "", "", "derived", ("a", "b"), {"t": ("b",), "a": ("b",)})
    assert report._depths(short_cut)["b"] == 2


def test_slack_lists_the_loosest_inequality_first():
    verdicts = {
        "x": Verdict("x", "inequality", ratio=0.9),
        "y": Verdict("y", "inequality", ratio=0.2),
        "z": Verdict("z", "identity", ratio=1.0),
    }
    theorem = Theorem("t", "", "", "derived", ("x", "y", "z"))
    assert report.slack(theorem, verdicts, {"y": Tightest("y", 0.4, 0.2, "", False, 1)}) == [(0.4, "y"), (0.9, "x")]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_page_opens_in_a_browser_and_prints(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, CLAIMS, all_theorems().values(), GOOD, TIGHTEST, PROFILES["quick"])
    browser = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]  # fmt: skip
    shown = subprocess.run([*browser, "--dump-dom", path.as_uri()], capture_output=True, text=True, check=True, timeout=120).stdout
    assert "executed proofs" in shown.lower()
    assert "<math" in shown
    subprocess.run([*browser, f"--print-to-pdf={tmp_path / 'report.pdf'}", path.as_uri()], capture_output=True, check=True, timeout=120)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
