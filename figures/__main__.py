"""``python -m figures``: make the figures of the suite again, from nothing."""

import typer

from tabular_rl.gallery import make_figures

if __name__ == "__main__":
    typer.run(make_figures)
