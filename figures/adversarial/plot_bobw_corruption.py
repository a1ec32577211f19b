r"""
A thousand bad episodes
=======================

An adversary rules for the first C0 episodes, then losses are stochastic. The regret against the best policy of the stochastic world, on the
losses that were really charged, should grow like sqrt(C0) in a self-bounding analysis: k sqrt(C), with C = 2 H C0. Optimism, which believes
that losses repeat, never recovers: it has driven the estimates of all actions up and their widths down.

The exponent 1/2 is proven as an upper bound, with a constant far above what is drawn; the practical constants have no guarantee. A
corruption that merely swaps good and bad would be useless here: a learner who follows the swap has negative regret.
"""

# %%
# The same instance and the same adversary as ever; only the length of its reign varies.
import numpy as np

import tabular_rl as trl
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

SEEDS, T = 16, size(quick=100_000, full=1_000_000)
mdp = trl.instances.gap_instance()
reigns = [0, T // 100, 3 * T // 100, T // 10, 3 * T // 10]
learners = {
    "Tsallis, practical": BestOfBothWorlds(preset="practical"),
    "Tsallis, theory": BestOfBothWorlds(),
    "UCBVI": UCBVI(0.7 * 2**0.5, 1.0, "known", anytime=True),
}
cells = [
    Cell(("bobw-corruption", f"C0 = {reign}", name, seed), trl.losses.corrupted(mdp, reign), learner, T)
    for reign in reigns
    for name, learner in learners.items()
    for seed in range(SEEDS)
]
results = run_cells(cells)
results = results[results.episode == T].assign(reign=lambda frame: frame.problem.str.split().str[-1].astype(int))

# %%
# The price of the reign: regret beyond that of a run without it.
mean = results.groupby(["algorithm", "reign"], sort=False).regret.mean().unstack()
error = (results.groupby(["algorithm", "reign"], sort=False).regret.std() / np.sqrt(SEEDS)).unstack()
fig, axes = figure(1, 2, height=3.0)
for i, name in enumerate(learners):
    style = {"color": COLORS[i], "linestyle": LINES[i], "marker": "o", "markersize": 4, "capsize": 2, "label": name}
    axes[0, 0].errorbar(range(len(reigns)), mean.loc[name], 2 * error.loc[name], **style)
    excess = mean.loc[name][reigns[1:]] - mean.loc[name][0]
    axes[0, 1].errorbar(reigns[1:], excess, 2 * np.hypot(error.loc[name][reigns[1:]], error.loc[name][0]), **style)
axes[0, 0].set_xticks(range(len(reigns)), [f"{reign:,}" for reign in reigns])
axes[0, 0].set(yscale="log", xlabel="episodes of the adversary C0", ylabel="regret (loss units)", title="regret")
axes[0, 1].set(xscale="log", yscale="log", xlabel="episodes of the adversary C0", title="beyond C0 = 0")
practical = mean.loc["Tsallis, practical"]
reference_slope(axes[0, 1], 0.5, "1/2", (reigns[1], 0.4 * max(1.0, practical[reigns[1]] - practical[0])))
fig.suptitle(f"T = {T:,}; means of {SEEDS} seeds, two standard errors", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_bobw_corruption", results)

# %%
# The numbers, against the best policy in hindsight (at these lengths that is the best policy of the stochastic world).
print(mean.round().astype(int).to_string())

# %%
# What to see. A hundredth of corrupted episodes costs UCBVI two orders of magnitude. The curve of the theory's constants is steeper than
# 1/2 at this length: their large N0 has not been used up yet.
#
# Exercises: (1) Where in the proof does sqrt(C) come from? (2) Corrupt at the end instead of at the beginning: what changes, and for whom?
