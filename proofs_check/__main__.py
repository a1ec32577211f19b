"""``python -m proofs_check``: execute the proofs."""

from pathlib import Path
from typing import Annotated

import typer

from tabular_rl.terminal import command, number_table, paragraph

FOLDER = Path("results/proofs")
Folder = Annotated[Path, typer.Option(help="Where verdicts, tightest ratios and violating instances are kept.")]


@command
def verify(
    claims: Annotated[
        list[str] | None, typer.Argument(help="Claims (bonus.at-most-e), groups (bonus) or theorems; all when left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="quick, full, or nightly: 100, 2000 or 100000 instances per exact claim.")] = "quick",
    examples: Annotated[int | None, typer.Option(min=1, help="Instances per exact claim, in place of the profile's.")] = None,
    tighten: Annotated[bool, typer.Option("--tighten", help="Search for the instances where the inequalities are tightest.")] = False,
    report: Annotated[list[Path] | None, typer.Option(help="Write a report: .html or .json; may be given twice.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Claims at a time; default: the number of cores.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last run of the same profile: what was edited since is checked again.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Write the largest ratios into proofs_check/ratios.toml, from where they must not fall.")
    ] = False,
    folder: Folder = FOLDER,
):
    """Execute the proofs: every claim on many instances, and its broken twin, which must be refuted.

    Exit code 1 when a claim fails, or when its negative control does not.
    """
    from dataclasses import replace

    from rich.console import Console
    from rich.markup import escape

    from proofs_check import ratios
    from proofs_check.engine import PROFILES
    from proofs_check.registry import all_theorems, find_claims
    from proofs_check.report import NAMES, check_format, rows, weak, write, write_junit
    from proofs_check.results import Run, load_tightest, save_tightest
    from tabular_rl.models import validation as check

    effort = PROFILES[check.choice("profile", profile, tuple(PROFILES))]
    effort = effort if examples is None else replace(effort, examples=examples)
    for path in report or ():
        check_format(path)
    chosen, run, console = find_claims(claims or ()), Run(folder, effort), Console()
    verdicts = run.resume(chosen if resume else ())  # a damaged file is an error either way
    run.begin(list(verdicts.values()))
    interrupted = False
    try:
        for verdict in _verdicts([claim for claim in chosen if claim.id not in verdicts], effort, str(folder / "violations"), jobs):
            run.add(verdict)
            verdicts[verdict.id] = verdict
        if tighten:
            save_tightest(folder, _tightest(chosen))
    except KeyboardInterrupt:
        interrupted = True
    tightest = load_tightest(folder)
    if record:
        if effort != PROFILES["quick"]:
            raise ValueError("--record is for the quick profile: its seeds and numbers of replicates are those that are compared later")
        ratios.record(verdicts.values(), tightest)
        console.print(f"ratios are recorded in {ratios.PATH}")
    number_table(console, NAMES, rows(chosen, verdicts), title="Executed proofs")
    for path in report or ():
        write(path, chosen, all_theorems().values(), verdicts, tightest, effort)
    if junit is not None:
        write_junit(junit, chosen, verdicts)
    if tighten:
        for id, found in tightest.items():
            if id in verdicts:
                paragraph(console, f"{id}: tightest ratio {found.ratio:.6f} ({found.drawn:.6f} before the local search)")
                if found.violated:
                    console.print(f"[bold red]{id} is violated by[/bold red]\n{escape(found.instance)}", highlight=False, soft_wrap=True)
    failed = [verdict for verdict in verdicts.values() if not verdict.ok]
    for verdict in failed:
        console.print(f"[bold red]{verdict.id}[/bold red]: {escape(verdict.reason)}", highlight=False, soft_wrap=True)
    for line in weak(verdicts.values()):
        paragraph(console, line, hang=4)
    console.print(f"{len(verdicts) - len(failed)} of {len(chosen)} claims hold and have refuted controls")
    if interrupted:
        console.print(f"interrupted with {len(chosen) - len(verdicts)} claims to go: --resume goes on from here")
        raise SystemExit(130)
    if failed or (tighten and any(found.violated for found in tightest.values())):
        raise SystemExit(1)


@command
def explain(name: Annotated[str, typer.Argument(help="A theorem or a claim.")], folder: Folder = FOLDER):
    """Explain a theorem: its statement, the chain of its claims, where they come from and are proven, what was checked in the last run."""
    from rich.console import Console
    from rich.markup import escape

    from proofs_check.citations import proofs
    from proofs_check.registry import all_claims, all_theorems, unknown
    from proofs_check.results import last_verdicts, version

    theorems, claims, console = all_theorems(), all_claims(), Console(highlight=False)
    if name not in theorems and name not in claims:
        raise ValueError(unknown("theorem or claim", name, [*theorems, *claims]))
    verdicts = last_verdicts(folder)

    def proof(entry):
        places = "; ".join(map(str, proofs(entry)))
        return f"\n[dim]proof: {escape(places)}[/dim]" if places else ""

    def line(id):
        if id not in claims:
            return f"[bold]{id}[/bold]  (theorem)"
        claim, verdict = claims[id], verdicts.get(id)
        checked = "not checked yet: tabular-rl verify " + id
        if verdict is not None:
            tried = f"{verdict.examples} tried" + (f", {verdict.exact_examples} exactly" if verdict.exact_examples else "")
            checked = f"[green]holds[/green], {tried}" if verdict.ok else f"[red]{'error' if verdict.error else 'fails'}[/red]"
            checked += f", tightest ratio {verdict.ratio:.3f}" if verdict.kind == "inequality" else ""
            checked += "".join(f", [yellow]{word}[/yellow]" for word in verdict.remarks)
            if "loose" in verdict.remarks:
                worst = verdict.instance.splitlines()
                checked += f"; the worst instance found:\n[dim]{escape(chr(10).join(worst[1:-1]))}[/dim]"
            checked += "" if verdict.code and verdict.code == version(claim) else " (before the last edit)"
        control = escape(claim.control_statement)
        origin = f"[dim]{claim.kind.name}, {claim.provenance}: {escape(claim.source)}. Control: {control}[/dim]{proof(claim)}"
        return f"[bold]{id}[/bold]  {escape(claim.statement)}\n{origin}\n{checked}"

    if name in claims:
        paragraph(console, line(name))
        used = [theorem.id for theorem in theorems.values() if name in theorem.claims]
        paragraph(console, f"used by {', '.join(used)}" if used else "used by no theorem yet")
        return
    theorem, shown = theorems[name], set()
    head = f"[bold]{theorem.id}[/bold]\n{escape(theorem.statement)}\n[dim]{theorem.provenance}: {escape(theorem.source)}[/dim]"
    paragraph(console, f"{head}{proof(theorem)}\n\nfollows from")

    def grow(node, depth):
        hang = min(4 * depth, console.width // 4)  # deep down it stays there, so that the text has room
        for upper, lower in theorem.edges:
            if upper == node:
                known = lower in shown
                paragraph(console, f"[bold]{lower}[/bold]  (above)" if known else line(lower), " " * (hang - 3) + "[dim]└─[/dim]", hang)
                if not known:
                    shown.add(lower)
                    grow(lower, depth + 1)

    grow(name, 1)


def _verdicts(claims, profile, database, jobs):
    """Verdicts as they come, in any order, with a progress bar. Processes: Hypothesis does not run in threads."""
    from joblib import Parallel, cpu_count, delayed
    from rich.console import Console
    from rich.progress import track

    jobs = min(jobs or cpu_count(), len(claims))
    if jobs > 1:
        found = Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(_verify)(claim.id, profile, database) for claim in claims)
    else:
        found = (_verify(claim.id, profile, database) for claim in claims)
    yield from track(found, "verifying", total=len(claims), console=Console(stderr=True), transient=True)


def _verify(id, profile, database):
    from dataclasses import replace

    from proofs_check.engine import verify as verify_claim
    from proofs_check.registry import find_claims
    from proofs_check.results import version

    claim = find_claims([id])[0]
    return replace(verify_claim(claim, profile, database), code=version(claim))


def _tightest(claims):
    from rich.console import Console
    from rich.progress import track

    from proofs_check.tightness import tighten

    inequalities = [claim for claim in claims if claim.kind.name == "inequality"]
    return {claim.id: tighten(claim) for claim in track(inequalities, "tightening", console=Console(stderr=True), transient=True)}


if __name__ == "__main__":
    typer.run(verify)
