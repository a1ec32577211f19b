"""``python -m teeth``: plant faults, and see what notices."""

import csv
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tabular_rl.terminal import command, paragraph

STORE = Path("results/teeth.jsonl")
COLUMNS = ("family", "fault", "file", "claims", "tests", "seconds")


@command
def teeth(
    family: Annotated[list[str] | None, typer.Option(help="Lists of faults (teeth/faults/FAMILY.toml); all when left out.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Faults by name.")] = None,
    claims: Annotated[bool, typer.Option("--claims", help="Claims only.")] = False,
    tests: Annotated[bool, typer.Option("--tests", help="Tests only.")] = False,
    sample: Annotated[int | None, typer.Option(min=1, help="This many of the faults; --seed counts on to the next ones.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which sample.")] = 0,
    generate: Annotated[
        int | None,
        typer.Option(min=1, help="This many mutations of the functions that the claims of --family name, in place of the lists."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the faults, and plant none.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the table: .md or .csv.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the rows of the last runs whose code has not changed since.")] = False,
    limit: Annotated[float, typer.Option(help="Seconds for the claims, and for the tests, of one fault.")] = 900,
    patience: Annotated[float, typer.Option(help="Seconds after which one claim or test counts as hanging.")] = 240,
):
    """Plant one fault at a time into a copy of the tree; run the claims, then the tests, that reach its file, until one notices.

    Exit code 1 when a fault of a list is noticed by nothing. Of a generated one that is not noticed, it says whether the checks get there:
    if they do, it is equivalent to what was there, or a hole.
    """
    from rich.console import Console
    from rich.markup import escape

    from teeth import mutate, planting
    from teeth.running import Bench

    if output is not None and output.suffix not in (".md", ".csv"):
        raise ValueError(f"a table must end in .md or .csv, got {output}")
    if generate is None:
        chosen = [entry for name in family or planting.families() for entry in planting.load(name)]
    else:
        chosen = [entry for name in family or planting.families() for entry in mutate.generate(name, generate, seed)]
    if fault:
        unknown = set(fault) - {entry.name for entry in chosen}
        if unknown:
            raise ValueError(f"there is no fault {min(unknown)!r}; --list shows what there is")
        chosen = [entry for entry in chosen if entry.name in fault]
    if sample is not None and generate is None:
        chosen = planting.rotating(chosen, sample, seed)
    console = Console()
    if show:
        for entry in chosen:
            paragraph(console, escape(f"{entry.family}: {entry.name}, {entry.file}"))
        return
    kinds = [kind for kind, wanted in (("claims", claims), ("tests", tests)) if wanted or not (claims or tests)]
    kept, rows, tree_digest = _kept(), [], digest()
    with tempfile.TemporaryDirectory(prefix="teeth-") as folder:
        bench = Bench(Path(folder), limit, patience)
        bench.prepare(chosen, kinds)
        for number, entry in enumerate(chosen, 1):
            start, row = time.monotonic(), {}
            for kind in kinds:
                key = hashlib.sha256(repr((entry, kind, tree_digest)).encode()).hexdigest()[:24]
                if not (resume and key in kept):
                    with bench.planted(entry) as tree:
                        seen = getattr(bench, kind)(tree, entry.file, entry.family)
                    kept[key] = {"key": key} | seen._asdict()
                    STORE.parent.mkdir(parents=True, exist_ok=True)
                    with open(STORE, "a", encoding="utf-8") as file:
                        file.write(json.dumps(kept[key]) + "\n")
                row[kind] = kept[key]
            if generate and not any(row[kind]["by"] for kind in kinds):
                row["reached"] = _is_reached(bench, mutate.probe(entry), kinds)
            rows.append({"family": entry.family, "fault": entry.name, "file": entry.file} | row | {"seconds": time.monotonic() - start})
            words = "; ".join(
                [*(f"{kind}: {word(row[kind], why=True)}" for kind in kinds), *([row["reached"]] if "reached" in row else [])]
            )
            paragraph(console, escape(words), escape(f"[{number}/{len(chosen)}, {rows[-1]['seconds']:.0f} s] {entry.name}"), hang=4)
            if output is not None:
                write(output, rows, kinds)
    for line in totals(rows, kinds):
        paragraph(console, escape(line))
    if not generate and not all(any(row[kind]["by"] for kind in kinds) for row in rows):
        raise SystemExit(1)


def _is_reached(bench, probe, kinds):
    """Whether the checks notice when the program stops where an unnoticed fault was."""
    if probe is None:
        return "nobody can say whether they get there"
    with bench.planted(probe) as tree:
        reached = any(getattr(bench, kind)(tree, probe.file, probe.family).by for kind in kinds)
    return "reached, unnoticed: equivalent, or a hole" if reached else "never reached"


def word(seen, why=False):
    """What one kind of check saw, in words."""
    if seen["by"]:
        return seen["by"] + (f" ({' '.join(seen['why'].split())[:120]})" if why and seen["why"] else "")
    return f"none of {seen['tried']}" + (f", time ran out before the other {seen['of'] - seen['tried']}" if seen["late"] else "")


def totals(rows, kinds):
    """Lines: how many faults of each family were noticed, by what."""
    for family in sorted({row["family"] for row in rows}):
        own = [row for row in rows if row["family"] == family]
        counts = [f"{kind} notice {sum(bool(row[kind]['by']) for row in own)}" for kind in kinds]
        missed = sum(not any(row[kind]["by"] for kind in kinds) for row in own)
        unreached = sum(row.get("reached") == "never reached" for row in own)
        yield f"{family}: of {len(own)} faults {', '.join(counts)}, {missed} noticed by nothing" + (
            f", {unreached} of them never reached" if unreached else ""
        )


def write(path, rows, kinds):
    """The table as Markdown or CSV."""
    cells = []
    for row in rows:
        seen = [word(row[kind]) if kind in kinds else "not run" for kind in ("claims", "tests")]
        seen[0] += f"; {row['reached']}" if "reached" in row else ""
        cells.append([row["family"], row["fault"], row["file"], *seen, f"{row['seconds']:.0f}"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows([COLUMNS, *cells])
            return
        bar = lambda entries: "| " + " | ".join(entry.replace("|", "\\|") for entry in entries) + " |\n"
        file.write(bar(COLUMNS) + bar(["---"] * len(COLUMNS)) + "".join(map(bar, cells)) + "\n")
        file.writelines(f"{line}\n" for line in totals(rows, kinds))


def digest():
    """Hash of all Python files that a row depends on."""
    from teeth.planting import ROOT

    found = hashlib.sha256()
    for top in ("tabular_rl", "proofs_check", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _kept():
    """{key: what was seen} of the last runs; a last line that an interruption cut off does not count."""
    if not STORE.exists():
        return {}
    lines = STORE.read_text(encoding="utf-8").splitlines(keepends=True)
    return {record["key"]: record for record in (json.loads(line) for line in lines if line.endswith("\n"))}


if __name__ == "__main__":
    typer.run(teeth)
