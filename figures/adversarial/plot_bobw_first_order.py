r"""
Small losses, small regret
==========================

If even the best policy loses little, L* say, a learner with the log barrier as its regularizer pays sqrt(L*) in place of sqrt(T): a
first-order bound. Here the mean losses of one instance are multiplied by p, and with them L*.

Proven for the theory's constants, known transition, clipped-occupancy variant. Those barely learn at this length; drawn beside them are
the bonus of the theory at larger rates, where the condition on its size is violated (the run says how often), and the practical
constants. As the gaps shrink with p as well, and regret cannot exceed p T times the spread of the values, this illustrates sqrt(L*) but
does not isolate it.
"""

# %%
# One instance, five scales of its losses.
import math

import numpy as np

import tabular_rl as trl
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

SEEDS, T = 12, size(quick=50_000, full=500_000)
mdp = trl.instances.gap_instance()
H, S, A = mdp.shape
least = H - mdp.initial @ trl.planning.solve(mdp).values[0]  # losses are 1 - reward
scales = [1.0, 0.3, 0.1, 0.03, 0.01]
eps = 1 / (4 / math.sqrt(2) * math.sqrt(A * math.log(T)))
learners = {
    "log barrier, theory": BestOfBothWorlds("log_barrier"),
    "log barrier, larger rates": BestOfBothWorlds("log_barrier", c0=1 / math.sqrt(2), eps=eps, N0=1.001 / eps**2),
    "log barrier, practical": BestOfBothWorlds("log_barrier", preset="practical"),
    "Tsallis, practical": BestOfBothWorlds(preset="practical"),
}
cells = [
    Cell(("bobw-first-order", f"p = {p}", name, seed), trl.losses.stochastic(mdp, p * (1 - mdp.reward)), learner, T)
    for p in scales
    for name, learner in learners.items()
    for seed in range(SEEDS)
]
results = run_cells(cells)
results = results[results.episode == T].assign(L=lambda frame: frame.problem.str.split().str[-1].astype(float) * T * least)

# %%
# Regret against the loss of the best policy.
fig, axes = figure(1, 1, height=3.3, width=5.2)
axis = axes[0, 0]
for i, (name, group) in enumerate(results.groupby("algorithm", sort=False)):
    table = group.groupby("L").regret
    style = {"color": COLORS[i], "linestyle": LINES[i], "marker": "o", "markersize": 4, "capsize": 2, "label": name}
    axis.errorbar(table.mean().index, table.mean(), 2 * table.std() / np.sqrt(SEEDS), **style)
    print(f"{name}: exponent {np.polyfit(np.log(table.mean().index), np.log(table.mean()), 1)[0]:.2f}")
axis.set(xscale="log", yscale="log", xlabel="L*, loss of the best policy (loss units)", ylabel="regret (loss units)")
axis.set_title(f"T = {T:,}; means of {SEEDS} seeds, two standard errors", fontsize=9)
larger = results[results.algorithm == "log barrier, larger rates"].groupby("L").regret.mean()
reference_slope(axis, 0.5, "1/2", (larger.index[-1], larger.iloc[-1]))
legend_below(fig, axis, columns=2)
save(fig, "plot_bobw_first_order", results)

# %%
# Exercises: (1) Why does the Tsallis entropy stay where it is until the cap p T bends it down? (2) Keep the gaps fixed while L* shrinks.
