"""What a run of the claims looks like: a table in the terminal, one HTML file for people, JSON and JUnit XML for programs."""

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from proofs_check.citations import proofs
from tabular_rl.models.atomic import replacing

TEMPLATE = Path(__file__).with_name("report.html.j2")


NAMES = ("claim", "holds", "control", "tried", "tightest", "power", "seconds", "remarks")


def rows(claims, verdicts):
    """The cells under NAMES, in Rich markup, of every claim that has a verdict. ``tried`` "+ 10": in exact fractions.

    ``tightest`` is the largest lhs / rhs of an inequality: 1 is attained. ``power``: with which a statistical claim would be refuted if it
    failed twice as often as it says, or 0.2 of the time.
    """
    return [
        (
            claim.id,
            "[green]yes[/green]" if verdict.holds else "[red]NO[/red]",
            control_word(verdict, "[green]{}[/green]", "[red]{}[/red]"),
            f"{verdict.examples}" + (f" + {verdict.exact_examples}" if verdict.exact_examples else ""),
            f"{verdict.ratio:.3f}" if verdict.kind == "inequality" else "",
            "" if verdict.alternative_power is None else f"{verdict.alternative_power:.2f}",
            f"{verdict.seconds:.1f}",
            "[red]says less[/red]" if verdict.fallen else "[yellow]" * bool(verdict.remarks) + ", ".join(verdict.remarks),
        )
        for claim in claims
        if (verdict := verdicts.get(claim.id)) is not None
    ]


def weak(verdicts):
    """Lines that count the claims with a remark, and name them."""
    verdicts = list(verdicts)
    for word, meaning in (
        ("loose", "have no instance where lhs / rhs is 0.5 or more"),
        ("vacuous", "say no more than the trivial bound on most of their instances"),
        ("power", "would miss a failure twice as frequent as stated, or of 0.2, more often than one time in ten"),
    ):
        found = [
            verdict.id for verdict in verdicts if any(remark.split()[0] == word and " on " not in remark for remark in verdict.remarks)
        ]
        if found:
            yield f"{len(found)} of {len(verdicts)} claims {meaning} ({word}): {', '.join(found)}"


def control_word(verdict, good="{}", bad="{}"):
    """What became of the negative control, in a word."""
    if not verdict.control_needed:
        return "none can exist"
    return good.format("refuted") if verdict.refuted_control else bad.format("SURVIVES" if verdict.holds else "not tried")


def status(verdict):
    """ "ok", "failed", "error" or "missing"."""
    if verdict is None:
        return "missing"
    return "ok" if verdict.ok else "error" if verdict.error else "failed"


def write(path, claims, theorems, verdicts, tightest, profile):
    """Write the report to ``path``: HTML, or JSON when it ends in .json. Atomic."""
    path = check_format(path)
    text = (
        as_json(claims, theorems, verdicts, tightest, profile)
        if path.suffix == ".json"
        else as_html(claims, theorems, verdicts, tightest, profile)
    )
    _write(path, text)


def check_format(path):
    """``path``, if it ends in .html or .json."""
    if Path(path).suffix not in (".html", ".json"):
        raise ValueError(f"a report must end in .html or .json, got {path}")
    return Path(path)


def as_json(claims, theorems, verdicts, tightest, profile):
    """Everything, for programs."""
    record = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile": asdict(profile),
        "claims": [
            {"id": claim.id, "kind": claim.kind.name, "source": claim.source, "provenance": claim.provenance, "statement": claim.statement}
            | {"proofs": _proofs(claim), "control": claim.control_statement, "status": status(verdicts.get(claim.id))}
            | {"verdict": asdict(verdicts[claim.id]) | {"remarks": verdicts[claim.id].remarks} if claim.id in verdicts else None}
            | {"tightest": asdict(tightest[claim.id]) if claim.id in tightest else None}
            for claim in claims
        ],
        "weak": list(weak(verdicts.values())),
        "theorems": [asdict(theorem) | {"edges": theorem.edges, "proofs": _proofs(theorem)} for theorem in theorems],
    }
    return json.dumps(record, indent=1)


def _proofs(entry):
    return [asdict(place) | {"path": place.path} for place in proofs(entry)]


def write_junit(path, claims, verdicts):
    """JUnit XML, one test case per claim, for continuous integration."""
    statuses = [status(verdicts.get(claim.id)) for claim in claims]
    counts = {
        "tests": len(claims),
        "failures": statuses.count("failed"),
        "errors": statuses.count("error"),
        "skipped": statuses.count("missing"),
    }
    suite = ElementTree.Element("testsuite", {"name": "proofs_check"} | {name: str(count) for name, count in counts.items()})
    for claim, outcome in zip(claims, statuses, strict=True):
        verdict = verdicts.get(claim.id)
        seconds = f"{verdict.seconds:.3f}" if verdict else "0"
        case = ElementTree.SubElement(suite, "testcase", classname=claim.id.split(".")[0], name=claim.id, time=seconds)
        if outcome in ("failed", "error"):
            ElementTree.SubElement(
                case, {"failed": "failure"}.get(outcome, outcome), message=verdict.reason.split("\n")[0]
            ).text = verdict.reason
        elif outcome == "missing":
            ElementTree.SubElement(case, "skipped", message="the run was interrupted before this claim")
    _write(Path(path), ElementTree.tostring(suite, encoding="unicode"))


def as_html(claims, theorems, verdicts, tightest, profile):
    """One HTML page that needs nothing else: styles inside, mathematics as MathML, graphs as SVG."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    names = {claim.id for claim in claims}
    shown = [theorem for theorem in theorems if names & set(theorem.claims)]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        claims=claims,
        theorems=shown,
        anchors={f"claim-{name}" for name in names} | {f"theorem-{theorem.id}" for theorem in shown},
        verdicts=verdicts,
        tightest=tightest,
        profile=profile,
        status=status,
        control_word=control_word,
        mathematics=mathematics,
        graph=graph,
        proofs=proofs,
        slack=slack,
        weak=list(weak(verdicts.values())),
        counts={word: sum(status(verdicts.get(claim.id)) == word for claim in claims) for word in ("ok", "failed", "error", "missing")},
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def mathematics(text):
    """``text`` with what stands between dollar signs as MathML, the rest escaped."""
    from latex2mathml.converter import convert
    from markupsafe import Markup, escape

    parts = re.split(r"\$(.+?)\$", text)
    return Markup("").join(Markup(convert(part)) if i % 2 else escape(part) for i, part in enumerate(parts))


def slack(theorem, verdicts, tightest):
    """[(ratio, claim id)] of a theorem's inequalities, the loosest first: where its constant loses most."""
    ratios = []
    for id in theorem.claims:
        if id in verdicts and verdicts[id].kind == "inequality":
            ratios.append((max(verdicts[id].ratio, tightest[id].ratio if id in tightest else 0.0), id))
    return sorted(ratios)


def graph(theorem, verdicts, anchors):
    """The theorem's graph as SVG: what is used stands lower, nodes have the color of their verdict and link to those of ``anchors``."""
    from markupsafe import Markup, escape

    depth = _depths(theorem)
    layers: dict[int, list[str]] = {}
    for node, level in depth.items():
        layers.setdefault(level, []).append(node)
    width = {node: 7.3 * len(node) + 22 for node in depth}
    total = max(sum(width[node] + 18 for node in layer) for layer in layers.values())
    place = {}
    for level, layer in layers.items():
        x = (total - sum(width[node] + 18 for node in layer)) / 2
        for node in layer:
            place[node] = (x + 9 + width[node] / 2, 24 + 72 * level)
            x += width[node] + 18
    height = 24 + 72 * max(layers) + 24
    lines = [
        f'<path class="edge" d="M{x1:.1f},{y1 + 14:.1f} C{x1:.1f},{y1 + 42:.1f} {x2:.1f},{y2 - 42:.1f} {x2:.1f},{y2 - 14:.1f}"/>'
        for (x1, y1), (x2, y2) in ((place[upper], place[lower]) for upper, lower in theorem.edges)
    ]
    boxes = []
    for node, (x, y) in place.items():
        kind = "theorem" if node == theorem.id else status(verdicts.get(node))
        anchor = f"claim-{node}" if f"claim-{node}" in anchors else f"theorem-{node}"
        box = f'<rect x="{x - width[node] / 2:.1f}" y="{y - 14:.1f}" width="{width[node]:.1f}" height="28" rx="6"/>'
        text = f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle">{escape(node)}</text>'
        group = f'<g class="node {kind}">{box}{text}</g>'
        boxes.append(f'<a href="#{escape(anchor)}">{group}</a>' if anchor in anchors else group)
    title = f"<title>Graph of the claims of {escape(theorem.id)}</title>"
    return Markup(
        f'<svg role="img" viewBox="0 0 {total:.0f} {height}" style="max-width:{total:.0f}px">{title}{"".join(lines + boxes)}</svg>'
    )


def _depths(theorem):
    """{node: longest way down from the theorem}."""
    below: dict[str, list[str]] = {}
    for upper, lower in theorem.edges:
        below.setdefault(upper, []).append(lower)
    depth: dict[str, int] = {}

    def visit(node, level):
        if level > depth.get(node, -1):
            depth[node] = level
            for lower in below.get(node, ()):
                visit(lower, level + 1)

    visit(theorem.id, 0)
    return depth


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
