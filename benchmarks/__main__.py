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

    from benchmarks import online, planning, process  # noqa: F401 (each lists its benchmarks)
    from benchmarks.timing import BENCHMARKS

    console, records = Console(), []
    unknown = [name for name in names or () if name not in BENCHMARKS]
    if unknown:
        raise ValueError(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    for name in names or BENCHMARKS:
        console.print(f"[bold]{name}[/bold]: {BENCHMARKS[name].function.__doc__.splitlines()[0]}", highlight=False)
        for row in BENCHMARKS[name].rows(repeats):
            record = {"benchmark": name} | row.record()
            records.append(record)
            console.print(line(record), highlight=False)
    pd.DataFrame(records).to_csv(output, index=False)
    console.print(f"load {os.getloadavg()[0]:.1f}, {repeats} samples a side; written to {output}")


def line(record):
    """One result as a line or two of text."""
    text = f"  {record['job']}: {span(record, 'ours')} {record['unit']}"
    if record["peer"]:
        kind = "x" if record["goal_kind"] == "overhead" else "times faster than"
        text += f"\n    {span(record, 'ratio')} {kind} {record['peer']} ({span(record, 'peer')} {record['unit']})"
    if record["plain_read_median"] > 0:
        text += f"\n    {record['ours_median'] / record['plain_read_median']:.2f} x reading its {record['moved_bytes'] / 1e6:.3g} MB once"
    if record["verdict"]:
        word = {"faster": "at least", "overhead": "at most", "value": "at most"}[record["goal_kind"]]
        colour = {"reached": "green", "missed": "red"}.get(record["verdict"], "yellow")
        text += f"\n    goal {word} {record['goal']:g}: [{colour}]{record['verdict']}[/{colour}]"
    return text + (f"\n    {record['note']}" if record["note"] else "")


def span(record, name):
    """Median and range."""
    return f"{record[f'{name}_median']:.3g} ({record[f'{name}_min']:.3g} .. {record[f'{name}_max']:.3g})"


if __name__ == "__main__":
    typer.run(benchmarks)
