"""What the figure scripts share: size and look, curves with bands, reference slopes, saving."""

import os
from pathlib import Path

from tabular_rl.extras import extra

with extra("figures"):
    import matplotlib

if os.environ.get("TABULAR_RL_FIGURES"):  # a run of the whole gallery draws into files
    matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

# Okabe, Ito (2008): told apart with every kind of colour vision, and in this order also in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), ":")
LOOK = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "tabular_rl",
}


def size(quick, full):
    """``full`` when the gallery is made with ``--full``, else ``quick``: the one knob of every script."""
    return full if os.environ.get("TABULAR_RL_FULL") == "1" else quick


def figure(rows=1, columns=1, height=2.8, width=None, **arguments):
    """A figure with a grid of axes [rows, columns], sized for a text column of 7 inches."""
    plt.rcParams.update(LOOK)
    width = min(7.0, 3.6 * columns) if width is None else width
    return plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False, **arguments)


def band(axis, results, x, y, by, level=0.9, centre="median"):
    """Median (or ``centre="mean"``) over replicates of column ``y`` against ``x`` for each value of ``by``, with the band of the middle
    ``level`` of them.
    """
    for i, (name, group) in enumerate(results.groupby(by, sort=False)):
        low, middle, high = _quantiles(group, x, y, level, centre)
        axis.plot(middle.index, middle, label=name, linewidth=1.6, color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)])
        axis.fill_between(middle.index, low, high, color=COLOURS[i % len(COLOURS)], alpha=0.2, linewidth=0)


def points(axis, results, x, y, by, level=0.9):
    """The same as dots with whiskers, in the colours of ``band``."""
    for i, (_, group) in enumerate(results.groupby(by, sort=False)):
        low, middle, high = _quantiles(group, x, y, level)
        whiskers = [middle - low, high - middle]
        axis.errorbar(middle.index, middle, whiskers, fmt="o", markersize=3.5, linewidth=1, capsize=2, color=COLOURS[i % len(COLOURS)])


def _quantiles(group, x, y, level, centre="median"):
    table = group.pivot(index=x, columns="replicate", values=y)
    low, middle, high = (table.quantile(q, axis=1) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return low, table.mean(axis=1) if centre == "mean" else middle, high


def reference_slope(axis, exponent, label, through):
    """A thin grey line of slope ``exponent`` on log-log axes through the point ``through``, named at its right end; set limits first."""
    x = np.array(axis.get_xlim())
    y = through[1] * (x / through[0]) ** exponent
    axis.plot(x, y, color="0.45", linewidth=0.9, linestyle=":", zorder=0, scalex=False, scaley=False)
    axis.annotate(label, (x[1], y[1]), color="0.35", fontsize=8, ha="right", xytext=(-2, 4), textcoords="offset points")


def legend_below(fig, axis, columns=4):
    """One legend for all axes, under the figure, from the labels of ``axis``."""
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def save(fig, name, data):
    """Write ``name``.png, ``name``.pdf and the numbers behind them, ``name``.csv, into the output folder; no dates, so reruns are equal."""
    folder = Path(os.environ.get("TABULAR_RL_FIGURES", Path(__file__).parent / "output"))
    folder.mkdir(parents=True, exist_ok=True)
    fig.savefig(folder / f"{name}.png", metadata={"Software": None})
    fig.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "ModDate": None})
    data.to_csv(folder / f"{name}.csv", index=False, float_format="%.10g")
