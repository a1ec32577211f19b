"""``tabular-rl figures``: make the figures of the suite again, from nothing."""

import difflib
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from tabular_rl.extras import extra
from tabular_rl.terminal import command

INSTALLED, REPOSITORY = Path(__file__).with_name("_gallery"), Path(__file__).parents[1] / "figures"
SCRIPTS = INSTALLED if INSTALLED.is_dir() else REPOSITORY  # the wheel carries the repository's folder inside the package


def scripts():
    """{name: path} of all figures; a name is that of the file, without the prefix ``plot_``."""
    return {path.stem.removeprefix("plot_"): path for path in sorted(SCRIPTS.rglob("plot_*.py"), key=lambda path: path.stem)}


def names():
    """Names of all figures, without the prefix ``plot_``."""
    return list(scripts())


def choose(chosen):
    """The figures called ``chosen`` (all when empty); an unknown one: ValueError with the nearest."""
    known = names()
    for name in chosen:
        if name.removeprefix("plot_") not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            guess = f", did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"there is no figure {name!r}{guess} (there are {', '.join(known)})")
    return [name.removeprefix("plot_") for name in chosen] or known


def docstring(name):
    """What a script says about its figure; the first line is its title."""
    import ast

    return (ast.get_docstring(ast.parse(scripts()[name].read_text(encoding="utf-8"))) or "").strip()


@command
def make_figures(
    figures: Annotated[list[str] | None, typer.Argument(help="Names of figures; all when left out. See `tabular-rl list`.")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="Full size (minutes to an hour) or quick (all under 3 minutes).")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: the number of cores.")] = None,
    backend: Annotated[str, typer.Option(help="threads, processes or dask; changes no number.")] = "threads",
    output: Annotated[
        Path | None, typer.Option(help="Folder for PNG, PDF and CSV; default: ./figures, in the repository ./figures/output.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of finished runs: what is there is not run again.")] = Path("results"),
):
    """Make figures: PNG, PDF, and the data behind each as CSV.

    Interrupt at any time; the next call goes on where this one stopped.
    """
    import runpy

    with extra("figures"):
        import matplotlib.pyplot as plt
    from rich.console import Console

    from tabular_rl.experiments import BACKENDS
    from tabular_rl.models import validation as check
    from tabular_rl.plotting import output_folder

    console = Console(stderr=True)
    chosen = choose(figures or [])
    check.choice("backend", backend, BACKENDS)
    output = output_folder() if output is None else output
    output.mkdir(parents=True, exist_ok=True)
    # the scripts read the environment: they run alone as well, and in the documentation's gallery
    os.environ |= {"TABULAR_RL_FULL": str(int(full)), "TABULAR_RL_FIGURES": str(output)}
    os.environ |= {"TABULAR_RL_STORE": str(store), "TABULAR_RL_BACKEND": backend, "TABULAR_RL_JOBS": str(jobs or "")}
    plt.switch_backend("Agg")  # into files
    for number, name in enumerate(chosen, 1):
        start = time.perf_counter()
        console.print(f"[bold]{number}/{len(chosen)} {name}[/bold]  {docstring(name).splitlines()[0]}", soft_wrap=True)
        runpy.run_path(str(scripts()[name]), run_name="__main__")
        plt.close("all")
        console.print(f"    {output / f'plot_{name}'}.png, .pdf, .csv   {time.perf_counter() - start:.1f} s", soft_wrap=True)
