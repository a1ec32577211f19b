"""``python -m proofs_check``: execute the proofs."""

from typing import Annotated

import typer

from tabular_rl.terminal import command


@command
def verify(
    claims: Annotated[list[str] | None, typer.Argument(help="Claims (bonus.at-most-e) or groups (bonus); all when left out.")] = None,
    examples: Annotated[int, typer.Option(min=1, help="Instances tried per claim; the same ones in every run.")] = 100,
):
    """Execute the proofs: every claim on many instances, and its broken twin, which must be refuted.

    Exit code 1 when a claim fails, or when its negative control does not.
    """
    from rich.console import Console
    from rich.progress import track

    from proofs_check.engine import verify as check
    from proofs_check.registry import find_claims
    from proofs_check.report import table

    chosen = find_claims(claims or ())
    verdicts = [check(claim, examples) for claim in track(chosen, "verifying", console=Console(stderr=True), transient=True)]
    console = Console()
    console.print(table(chosen, verdicts))
    failed = [verdict for verdict in verdicts if not verdict.ok]
    for verdict in failed:
        console.print(f"[bold red]{verdict.id}[/bold red]: {verdict.reason}", highlight=False)
    console.print(f"{len(verdicts) - len(failed)} of {len(verdicts)} claims hold and have refuted controls")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(verify)
