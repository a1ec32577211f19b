"""What the figure scripts share: size and look, curves with bands, reference slopes, marks for what an axis cannot show, saving.

A script of the gallery needs nothing else beside the package: a copy runs anywhere.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tabular_rl.extras import extra

__all__ = [
    "COLORS",
    "LINES",
    "LOOK",
    "band",
    "beyond",
    "figure",
    "floor",
    "guide_label",
    "legend_below",
    "output_folder",
    "points",
    "reference_slope",
    "save",
    "size",
]

# Okabe, Ito (2008): told apart with every kind of color vision, and in this order also in gray
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), ":")
LOOK: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.formatter.min_exponent": 3,  # 0.6 and 20 beside logarithmic axes, not 6 x 10^-1
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3, matplotlib's default
    "ps.fonttype": 42,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "tabular_rl",
}


def size(quick, full):
    """``full`` when the gallery is made with ``--full``, else ``quick``: the one knob of every script."""
    return full if os.environ.get("TABULAR_RL_FULL") == "1" else quick


def figure(rows=1, columns=1, height=2.8, width=None, **arguments):
    """A figure with a grid of axes [rows, columns], sized for a page whose text is 7 inches wide; ``arguments``: of ``plt.subplots``.

    Raises
    ------
    ModuleNotFoundError
        Without matplotlib, which comes with the extra ``figures``.
    """
    with extra("figures"):
        import matplotlib.pyplot as plt
    plt.style.use(LOOK)
    width = min(7.0, 3.6 * columns) if width is None else width
    return plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False, **arguments)


def band(axis, results, x, y, by, level=0.9, center="median", marker=None):
    """Median (or ``center="mean"``) over replicates of column ``y`` against ``x`` for each value of ``by``, with the band of the middle
    ``level`` of them; ``marker="o"``: with dots at the values of ``x``.
    """
    for i, (name, group) in enumerate(results.groupby(by, sort=False)):
        low, middle, high = _quantiles(group, x, y, level, center)
        style = {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)], "marker": marker, "markersize": 4}
        axis.plot(middle.index, middle, label=name, linewidth=1.6, **style)
        axis.fill_between(middle.index, low, high, color=COLORS[i % len(COLORS)], alpha=0.2, linewidth=0)


def points(axis, results, x, y, by, level=0.9):
    """The same as dots with whiskers, in the colors of ``band``."""
    for i, (_, group) in enumerate(results.groupby(by, sort=False)):
        low, middle, high = _quantiles(group, x, y, level)
        whiskers = [middle - low, high - middle]
        axis.errorbar(middle.index, middle, whiskers, fmt="o", markersize=3.5, linewidth=1, capsize=2, color=COLORS[i % len(COLORS)])


def _quantiles(group, x, y, level, center="median"):
    table = group.pivot(index=x, columns="replicate", values=y)
    low, middle, high = (table.quantile(q, axis=1) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return low, table.mean(axis=1) if center == "mean" else middle, high


def reference_slope(axis, exponent, label, through):
    """A thin gray line of slope ``exponent`` on log-log axes through the point ``through``, named on the line where the most room is; plot
    the data and set limits first.
    """
    left, right = axis.get_xlim()
    x = np.geomspace(left, right, 201)
    y = through[1] * (x / through[0]) ** exponent
    axis.plot(x, y, color="0.45", linewidth=0.9, linestyle=":", zorder=0, scalex=False, scaley=False, gid="guide")
    places = axis.transData.transform(np.column_stack([x, y]))
    shares = axis.transAxes.inverted().transform(places)
    seen = np.flatnonzero(((shares > (0.12, 0.06)) & (shares < (0.88, 0.94))).all(axis=1))
    if len(seen):
        taken = _drawn(axis)
        name = guide_label(axis, label, (x[seen[0]], y[seen[0]]))
        room = [np.abs((taken - place) / name.get_window_extent().size).max(axis=1).min(initial=9) for place in places[seen]]
        name.set_position((x[seen[np.argmax(room)]], y[seen[np.argmax(room)]]))


def guide_label(axis, label, place):
    """The small gray name of a reference line, at ``place`` on the line, which it interrupts."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    return axis.text(*place, label, color="0.35", fontsize=8, ha="center", va="center", bbox=box, in_layout=False)


def _drawn(axis):
    """Points [n, 2] of the page along all that is drawn in ``axis`` but for guides."""
    paths = [line.get_path().transformed(line.get_transform()).interpolated(8) for line in axis.lines if line.get_gid() != "guide"]
    paths += [path.transformed(artist.get_transform()).interpolated(8) for artist in axis.collections for path in artist.get_paths()]
    names = axis.transData.transform([text.get_position() for text in axis.texts]).reshape(-1, 2)
    points = np.concatenate([*(path.vertices for path in paths), names])
    return points[np.isfinite(points).all(axis=1)]


def floor(axis, least):
    """Draw what is below ``least``, a power of ten, at ``least``, and say so at its tick: for zeros and for errors below what was solved
    for, on a logarithmic y axis; after plotting and setting its upper limit. Only the drawing changes: files keep the numbers.
    """
    top = axis.get_ylim()[1]
    for line in axis.lines:
        line.set_ydata(np.maximum(line.get_ydata(), least))
    for path in (path for artist in axis.collections for path in artist.get_paths()):
        path.vertices[:, 1] = np.maximum(path.vertices[:, 1], least)
    low, high = round(np.log10(least)), int(np.floor(np.log10(top)))
    powers = range(low, high + 1, 1 + (high - low) // 6)
    axis.set_yticks([10.0**power for power in powers], [rf"$\leq 10^{{{low}}}$", *(f"$10^{{{power}}}$" for power in powers[1:])])
    axis.set_ylim(least / (top / least) ** 0.03, top)
    axis.axhline(least, color="0.45", linewidth=0.9, linestyle=":", zorder=0, gid="guide")


def beyond(axis):
    """A caret at the edge for every drawn dot that the limits of the y axis cut off, and for every place where a curve leaves them."""
    low, high = axis.get_ylim()
    for line in [line for line in axis.lines if line.get_transform() == axis.transData and line.get_gid() != "guide"]:
        x, y = (np.asarray(values, float) for values in line.get_data())
        for edge, caret, out in ((low, "v", y < low), (high, "^", y > high)):
            entered = np.append(True, ~out[:-1]) if line.get_marker() in ("None", None) else True
            marked = x[out & entered & (x >= axis.get_xlim()[0]) & (x <= axis.get_xlim()[1])]
            style = {"color": line.get_color(), "markersize": 5, "clip_on": False, "zorder": 4, "gid": "guide"}
            if len(marked):
                axis.plot(marked, np.full(len(marked), edge), caret, scalex=False, scaley=False, **style)


def legend_below(fig, *axes, columns=4):
    """One legend for all axes, under the figure, from the labels of ``axes``, each label once."""
    named = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    fig.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns)


def save(fig, name, data):
    """Write ``name``.png, ``name``.pdf and the numbers behind them, ``name``.csv; no dates, so reruns are equal.

    Into the folder that ``TABULAR_RL_FIGURES`` names, by default ``output_folder()``.
    """
    folder = Path(os.environ.get("TABULAR_RL_FIGURES") or output_folder())
    folder.mkdir(parents=True, exist_ok=True)
    fig.savefig(folder / f"{name}.png", metadata={"Software": None})
    fig.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "ModDate": None})
    data.to_csv(folder / f"{name}.csv", index=False, float_format="%.10g")


def output_folder():
    """``figures`` in the current folder; where that holds figure scripts, as in the repository, its ``output``."""
    folder = Path("figures")
    return folder / "output" if any(folder.rglob("plot_*.py")) else folder
