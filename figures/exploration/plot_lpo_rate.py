r"""
Two factors between eps^-3 and eps^-6
=====================================

How many rollouts does it take to halve the error? LPO needs N = M = O(eps^-2) outer samples and rollouts per refresh, O(log) switches and
O(1/eps) refreshes per switch, as importance weights let a rollout serve many iterations: eps^-3 altogether. Without reuse each of the
T = O(eps^-2) iterations needs its own rollouts: eps^-4. Without sub-sampling each outer sample is a switch: eps^-5 at most. With neither:
eps^-6. The four are flags of one program, so the two factors can be seen apart.

RiverSwim with four states, discount 0.8. N = M = 80 / eps^2, T = 30 / eps^2, learning rate 1.5 / sqrt(T); the other constants were chosen
on this instance. The exponents are those of the accounting of rollouts, which is exact; the constants carry no guarantee.
"""

# %%
# The schedule for one eps, and how far down each variant can go in reasonable time.
import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.algorithms import LPO
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

SEEDS = size(quick=4, full=8)
swim = trl.instances.river_swim(4, discount=0.8)
variants = {
    "LPO": ({}, size([1, 0.7, 0.5, 0.35], [1, 0.7, 0.5, 0.35, 0.25, 0.18])),
    "no reuse": ({"reuse": False}, size([1, 0.7, 0.5], [1, 0.7, 0.5, 0.35, 0.25])),
    "no sub-sampling": ({"subsample": False, "switch": "every"}, size([1, 0.7, 0.5], [1, 0.7, 0.5, 0.35, 0.25])),
    "neither": ({"reuse": False, "subsample": False, "switch": "every"}, size([1, 0.7], [1, 0.7, 0.5])),
}


def learner(eps, **flags):
    """LPO on the schedule of ``eps``."""
    M, T = round(80 / eps**2), round(30 / eps**2)
    constants = {"learning_rate": 1.5 / np.sqrt(T), "bonus_scale": 0.3, "known_width": 1 / 4, "constant": 2, "window": 0.1, "horizon": 60}
    return LPO(T, M, **constants, mixture=True, **flags)


# %%
# Run them all; the gap of a run is the average over its outer samples of the mixture in force.
cells = []
for name, (flags, grid) in variants.items():
    for eps in grid:
        n = round(80 / eps**2)
        cells += [Cell(("lpo-rate", f"eps {eps}", name, seed), swim, learner(eps, **flags), n) for seed in range(SEEDS)]
results = run_cells(cells)
rows = []
for (problem, name, seed), run in results.groupby(["problem", "algorithm", "replicate"], sort=False):
    eps = float(problem.split()[1])
    N = round(80 / eps**2)
    shares = np.diff(np.append(run["outer sample"], N)) / N
    rows.append(
        (
            name,
            eps,
            seed,
            run.rollouts.iloc[-1] + N - run["outer sample"].iloc[-1],
            len(run),
            shares @ run.gap_mixture,
            run.gap_last.iloc[-1],
        )
    )
table = pd.DataFrame(rows, columns=["algorithm", "eps", "replicate", "rollouts", "switches", "gap", "gap_last"])

# %%
# Left: rollouts against 1/eps. Right: what they buy.
fig, axes = figure(1, 2, height=3.0)
for i, (name, group) in enumerate(table.groupby("algorithm", sort=False)):
    mean = group.groupby("eps", sort=False)[["rollouts", "gap"]].mean()
    axes[0, 0].plot(1 / mean.index, mean.rollouts, "o", color=COLORS[i], linestyle=LINES[i], label=name, markersize=4)
    axes[0, 1].plot(mean.rollouts, mean.gap, "o", color=COLORS[i], linestyle=LINES[i], markersize=4)
    axes[0, 1].plot(group.rollouts, group.gap, ".", color=COLORS[i], markersize=3, alpha=0.5)
axes[0, 0].set(xscale="log", yscale="log", xlabel="1 / eps", ylabel="rollouts", ylim=(8e3, size(2e7, 1e9)))
axes[0, 0].set_xticks([1, 2, 4], ["1", "2", "4"])
axes[0, 0].tick_params(axis="x", which="minor", labelbottom=False)
axes[0, 1].set(xscale="log", yscale="log", xlabel="rollouts", ylabel="average gap (reward units)")
first = table[(table.algorithm == "LPO")].groupby("eps", sort=False)[["rollouts", "gap"]].mean().iloc[0]
for exponent in (3, 6):
    reference_slope(axes[0, 0], exponent, f"eps^-{exponent}", (1, first.rollouts))
reference_slope(axes[0, 1], -1 / 3, "-1/3", (first.rollouts, first.gap))
fig.suptitle(f"RiverSwim, 4 states, discount 0.8; means and points of {SEEDS} seeds", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_lpo_rate", table)

# %%
# The exponents, fitted; predictions 3, 4, at most 5, and 6.
for name, group in table.groupby("algorithm", sort=False):
    print(f"{name}: rollouts ~ eps^{np.polyfit(np.log(group.eps), np.log(group.rollouts), 1)[0]:.2f}")

# %%
# What to see. Without sub-sampling the exponent stays below 5: the adaptive window refreshes less often than its worst case.
#
# Exercises: (1) Which of N, M, T must be of order eps^-2, and why? (2) Compare the variants at equal rollouts, not at equal eps: who wins?
