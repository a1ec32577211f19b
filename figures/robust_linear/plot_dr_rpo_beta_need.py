r"""
DR-RPO: how large a bonus needs to be
=====================================

The theory's bonus :math:`\beta_h \sqrt{(\Lambda_h^{-1})_{ii}}` covers the error of every factor's worst value, at every step and
episode, with probability :math:`1 - \delta`. A simulation knows these errors, so the least multiple that would have covered them all is
a number: here as a share of the theory's (one-hot features: lemma L11; otherwise: L10), the largest over each run's checkpoints.

Proven (derived in this project): a share above 1 has probability at most :math:`\delta = 0.05` when the bonus itself is the theory's.
The data here were gathered with a tenth of it, as the practical runs are, where nothing is proven. The share says how much a practical
scale could shrink the bonus without losing optimism; learning may still work below it.
"""

# %%
# Four instances, three lengths, ten seeds.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRRPO
from tabular_rl.instances import robust_linear
from tabular_rl.plotting import COLORS, figure, legend_below, save, size

SEEDS, LENGTHS = 10, size(quick=[300, 1000, 3000], full=[1000, 10_000, 100_000])
problems = {
    "off-dynamics (d = 4)": robust_linear.off_dynamics(0.3),
    "RiverSwim (one-hot, d = 11)": robust_linear.river_swim(0.02),
    "random linear (d = 5)": robust_linear.random_linear(),
    "American put (d = 15)": robust_linear.american_put(0.1),
}
rows = []
for name, mdp in problems.items():
    for K in LENGTHS:
        for seed in range(SEEDS):
            trace = DRRPO(tau=0.02, scale=0.1, rare=True).run(mdp, K, seed)
            beta, cap = trace.parameters["beta"][0] / 0.1, trace.parameters["cap"][1]
            rows.append((name, K, seed, trace["need"].max() / (beta / cap)))
needs = pd.DataFrame(rows, columns=["problem", "episodes", "replicate", "share"])

# %%
# An instance a row, a length a dot with its whiskers. A share of 1 is the theory's bonus, the other line the one that gathered the data.
fig, axes = figure(1, 1, height=3.0, width=6.2)
axis, rows = axes[0, 0], list(problems)[::-1]
for i, (K, group) in enumerate(needs.groupby("episodes")):
    low, middle, high = (group.groupby("problem").share.quantile(q)[rows] for q in (0.05, 0.5, 0.95))
    style = {"color": COLORS[i], "marker": "osD^"[i], "markersize": 5, "linewidth": 1.2, "capsize": 2, "linestyle": "none"}
    axis.errorbar(middle, np.arange(len(rows)) + 0.2 * (1 - i), xerr=[middle - low, high - middle], label=f"K = {K:,}", **style)
axis.axvline(1, color="black", linewidth=1, linestyle="--", label="theory (scale 1)")
axis.axvline(0.1, color="0.4", linewidth=1, linestyle=":", label="scale 0.1, used here")
axis.set(xscale="log", xlabel="least bonus that covers all errors / theory's bonus", ylim=(-0.5, len(rows) - 0.5))
axis.set_xlim(min(0.9 * needs.share.min(), 0.05), 1.5)
axis.set_yticks(range(len(rows)), rows)
axis.grid(axis="y", visible=False)
axis.set_title(f"The theory's bonus is larger than any run needed\nmedian and middle 90 % of {SEEDS} seeds", fontsize=9)
legend_below(fig, axis, columns=3)
save(fig, "plot_dr_rpo_beta_need", needs)
plt.close(fig)

# %%
# The numbers.
for (name, K), group in needs.groupby(["problem", "episodes"], sort=False):
    print(f"{name}, K = {K}: {group.share.median():.3f} [{group.share.min():.3f}, {group.share.max():.3f}]")

# %%
# Exercises: (1) Why does the share of the linear bound hardly move with K? (2) Gather the data with scale 1 instead: what changes?
# (3) Which step of lemma L10 pays for the net over value functions, and what would the share be without it?
