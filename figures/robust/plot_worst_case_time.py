r"""
What does robustness cost per state and action?
===============================================

A robust Bellman sweep replaces each expectation :math:`p_0 \cdot z` by the largest one over a ball around :math:`p_0`,

.. math:: q(s, a) = \max \{ p \cdot z : p \in \Delta_S,\ d(p, p_0) \le r \}, \qquad z_t = c(s, a, t) + \gamma v_t .

Each ball gives a small convex program with structure: none of them needs a solver, and each answer comes with a dual bound that equals it,
so that its optimality is checked and not believed (``trl.planning.worst_case(...).gap``). Left, what the ball's shape does to the
worst case. Right, what one worst case costs; a linear program per row takes milliseconds (``python -m benchmarks robust-program``).
"""

# %%
# A row of four successors: costs to come z, nominal distribution p0. Every curve starts at the nominal mean, is concave in the radius and
# ends at the largest cost. To compare balls of different units, each is scaled by the radius from which on it no longer binds.
import time

import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.kernels.robust.rows import NOMINAL, workspace
from tabular_rl.kernels.robust.sweeps import backup
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

sets = trl.ambiguity
z, p0 = np.array([1.0, 3, 2, 0]), np.array([0.4, 0.1, 0.2, 0.3])
line = np.abs(np.subtract.outer(np.arange(4), np.arange(4))).astype(float)
last = np.eye(4)[np.argmax(z)]
BALLS = {
    "L1": (sets.L1, np.abs(last - p0).sum()),
    "L2": (sets.L2, np.linalg.norm(last - p0)),
    "KL": (sets.KL, -np.log(p0[np.argmax(z)])),
    "chi-square": (sets.ChiSquare, 1 / p0[np.argmax(z)] - 1),
    "Wasserstein": (lambda r: sets.Wasserstein(line, r), float(p0 @ line[np.argmax(z)])),
}
curves, gaps = [], []
for name, (ball, largest) in BALLS.items():
    for share in np.linspace(0, 1, 101):
        answer = trl.planning.worst_case(z, p0, ball(share * largest))
        gaps.append(abs(answer.gap))
        curves.append({"panel": "value", "set": name, "x": share, "y": answer.value})
largest_gap = max(gaps)

# %%
# Microseconds of one worst case within a sweep over full rows. Costs are of next states, so that every row has its own order of z; where
# costs are of pairs (s, a), one order of v serves all rows ("L1, shared order"). CPU time of one thread, the smallest of several runs.
KINDS = {
    "nominal expectation": None,
    "L1, shared order": sets.L1(0.2),
    "L1": sets.L1(0.2),
    "L2": sets.L2(0.1),
    "KL": sets.KL(0.1),
    "chi-square": sets.ChiSquare(0.2),
    "Wasserstein": 0.05,
}


def microseconds(ambiguity, cost, nominal, values, repeats=7):
    """CPU time per row of one sweep, the least of several."""
    rows = sets.rows(nominal, cost, ambiguity)
    code = NOMINAL if ambiguity is None else ambiguity.code
    q, picked, work = np.empty(len(rows.radius)), np.arange(min(len(rows.radius), 400)), workspace(rows)
    arguments = (code, rows, picked, 0.9, values, q, np.empty(0), work)
    backup(*arguments)
    best = np.inf
    for _ in range(repeats):
        start, calls = time.process_time(), 0
        while time.process_time() - start < 0.01:
            backup(*arguments)
            calls += 1
        best = min(best, (time.process_time() - start) / calls)
    return 1e6 * best / len(picked)


times = []
for S in size(quick=[10, 30, 100, 300], full=[10, 20, 40, 80, 160, 320, 640, 1280]):
    rng, A = np.random.default_rng(0), max(2, 400 // S)
    nominal, of_moves, of_pairs, values = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A, S)), rng.random((S, A)), 10 * rng.random(S)
    for name, kind in KINDS.items():
        if name == "Wasserstein":
            kind = sets.Wasserstein(np.abs(np.subtract.outer(np.arange(S), np.arange(S))) / S, kind)
        cost = of_pairs if name == "L1, shared order" else of_moves
        times.append({"panel": "time", "set": name, "x": S, "y": microseconds(kind, cost, nominal, values)})
results = pd.DataFrame(curves + times)

# %%
fig, axes = figure(1, 2, height=3.3)
for axis, panel, names in zip(axes[0], ("value", "time"), (BALLS, KINDS), strict=True):
    for name in names:
        curve, place = results[(results.panel == panel) & (results.set == name)], list(KINDS).index(name) - 1
        style = {"color": "0.4", "linestyle": ":"} if place < 0 else {"color": COLORS[place], "linestyle": LINES[place]}
        axis.plot(curve.x, curve.y, label=name, linewidth=1.6, marker="o" if panel == "time" else "", markersize=3, **style)
axes[0, 0].set(xlabel="radius / least radius that does not bind", ylabel="worst-case cost to come", title="One row, four successors")
axes[0, 1].set(xlabel="successors of a row", ylabel="CPU time per (s, a) (µs)", title="One worst case in a sweep")
axes[0, 1].set(xscale="log", yscale="log")
last_point = results[(results.panel == "time") & (results.set == "KL")].iloc[-1]
reference_slope(axes[0, 1], 1, "slope 1", (last_point.x, 3 * last_point.y))
legend_below(fig, axes[0, 1])
save(fig, "plot_worst_case_time", results)
print(f"largest gap between a worst case and its dual bound: {largest_gap:.0e}")

# %%
# What to see. Left: all curves are concave, which is proven (``tabular-rl verify worst.concave``); the L1 ball's is piecewise linear, a
# piece for each donor. KL and chi-square leave the nominal mean like the square root of the radius times the standard deviation.
# Right: an L1 ball whose rows share one order costs little more than the expectation; everything else grows in proportion to the row,
# with a constant, but for transport, which compares pairs of states. No curve was tuned; times differ from machine to machine.
#
# Exercises: (1) Put the mass of p0 on one state. Which balls still move? (2) Give two states the same largest z: which kernels still have a
# unique maximizer? (3) Show that ``DensityRatio(level)`` is the conditional value at risk, and add its curve.
