"""What a run of the claims looks like."""

from rich.table import Table


def table(claims, verdicts):
    """A Rich table with one row per claim. ``tightest`` is the largest lhs / rhs of an inequality: 1 is attained."""
    result = Table(title="Executed proofs", title_justify="left", box=None, padding=(0, 2, 0, 0))
    result.add_column("claim", no_wrap=True)
    for name in ("holds", "control", "instances", "tightest", "seconds"):
        result.add_column(name, justify="right", no_wrap=True)
    for claim, verdict in zip(claims, verdicts, strict=True):
        result.add_row(
            claim.id,
            "[green]yes[/green]" if verdict.holds else "[red]NO[/red]",
            "[green]refuted[/green]" if verdict.refuted_control else "[red]SURVIVES[/red]",
            str(verdict.examples),
            f"{verdict.ratio:.3f}" if claim.kind.__name__ == "inequality" else "=",
            f"{verdict.seconds:.1f}",
        )
    return result
