"""``python -m benchmarks [NAME ...]``: time what the suite promises to be fast at."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tabular_rl.terminal import command

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@command
def benchmarks(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; all when left out.")] = None,
    repeats: Annotated[int, typer.Option(min=3, help="Samples of each side, in alternating order.")] = 15,
    output: Annotated[Path, typer.Option(help="Write the results as CSV.")] = Path("results/benchmarks.csv"),
):
    """Time the suite beside QuantEcon, careful NumPy and the machine's limits: CPU time, one thread, alternating runs.

    A goal is reached or missed when the 95 % confidence interval of the median ratio says so.
    """
    os.environ |= dict.fromkeys(THREADS, "1")  # one thread each, before NumPy is imported
    import pandas as pd
    from rich.console import Console

    from benchmarks import online, planning, process, robust, robust_linear  # noqa: F401 (each lists its benchmarks)
    from benchmarks.timing import BENCHMARKS

    console, records = Console(), []
    unknown = [name for name in names or () if name not in BENCHMARKS]
    if unknown:
        raise ValueError(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    for name in names or BENCHMARKS:
        rows = [{"benchmark": name} | row.record() for row in BENCHMARKS[name].rows(repeats)]
        records += rows
        console.print(table(f"{name}: {BENCHMARKS[name].function.__doc__.splitlines()[0]}", rows))
    pd.DataFrame(records).to_csv(output, index=False)
    console.print(f"load {os.getloadavg()[0]:.1f}, {repeats} samples a side; written to {output}")


def table(title, records):
    """The rows of one benchmark: medians with their ranges, and the goals."""
    from rich.table import Table

    result = Table(
        "job", "ours", "beside it", "ratio", "goal", "plain read", title=title, title_justify="left", expand=True, show_lines=True
    )
    for record in records:
        unit, peer, note = record["unit"], record["peer"], record["note"]
        job = record["job"] + (f"\n[dim]{note}[/dim]" if note else "")
        beside = f"{peer}\n{span(record, 'peer')} {unit}" if peer else ""
        factor = "\nours / it" if record["goal_kind"] == "overhead" else "\nit / ours"
        plain = f"{record['moved_bytes'] / 1e6:.3g} MB\n{span(record, 'plain_read')} {unit}" if record["plain_read_median"] > 0 else ""
        ratio = span(record, "ratio") + factor if peer else ""
        result.add_row(job, f"{span(record, 'ours')} {unit}", beside, ratio, goal(record), plain)
    return result


def goal(record):
    """The goal in words and the verdict in color; empty without a goal."""
    if not record["verdict"]:
        return ""
    color = {"reached": "green", "missed": "red"}.get(record["verdict"], "yellow")
    return f"{'≥' if record['goal_kind'] == 'faster' else '≤'} {record['goal']:g}\n[{color}]{record['verdict']}[/{color}]"


def span(record, name):
    """Median and range."""
    return f"{record[f'{name}_median']:.3g} \\[{record[f'{name}_min']:.3g} .. {record[f'{name}_max']:.3g}]"


if __name__ == "__main__":
    typer.run(benchmarks)
