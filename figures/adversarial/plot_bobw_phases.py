r"""
A constrained adversary
=======================

Between chance and malice: the gaps between actions stay as they are, but the level of all losses jumps up and down in phases that grow.
The best policy is the same throughout, so a self-bounding learner may still hope for little regret. Optimism estimates mean losses, and a
jump of the level teaches it something false about whatever it plays in that phase.

What is proven covers this world as a corrupted one at best; logarithmic growth is not claimed, and the evidence for it is weaker than in
the stochastic world, as the phases themselves grow with time. Settings are those of ``plot_bobw_worlds``.
"""

# %%
# Half the means, plus 0.55 in every other phase; phases grow by the factor 1.6.
import numpy as np

import tabular_rl as trl
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import band, figure, legend_below, reference_slope, save, size

SEEDS, T = 16, size(quick=100_000, full=1_000_000)
world = trl.losses.phases(trl.instances.gap_instance())
learners = {
    "Tsallis, theory": BestOfBothWorlds(),
    "Tsallis, practical": BestOfBothWorlds(preset="practical"),
    "Shannon, practical": BestOfBothWorlds("shannon", preset="practical"),
    "log barrier, practical": BestOfBothWorlds("log_barrier", preset="practical"),
    "UCBVI": UCBVI(0.7 * 2**0.5, 1.0, "known", anytime=True),
}
cells = [Cell(("bobw-phases", "phases", name, seed), world, learner, T) for name, learner in learners.items() for seed in range(SEEDS)]
results = run_cells(cells)

# %%
# Median and band on logarithmic axes; UCBVI breaks on some seeds only, so that its band would cover the picture: its edges are thin lines.
fig, axes = figure(1, 1, height=3.3, width=6.4)
axis, late = axes[0, 0], results[results.episode >= 100]
band(axis, late[late.algorithm != "UCBVI"], x="episode", y="regret", by="algorithm")
optimism = late[late.algorithm == "UCBVI"].groupby("episode").regret
for share, width in ((0.5, 1.6), (0.05, 0.7), (0.95, 0.7)):
    line = optimism.quantile(share)
    axis.plot(line.index, line, color="black", linewidth=width, linestyle="--", label="UCBVI (thin: 5 %, 95 %)" if share == 0.5 else None)
axis.set(xscale="log", yscale="log", xlabel="episodes T", ylabel="regret (loss units)")
axis.set_title(
    f"Losses whose level jumps: optimism breaks on some seeds, the others on none\nmedian of {SEEDS} seeds, bands 5 % to 95 %",
    fontsize=9,
)
axis.set_ylim(late.regret.min() / 4, 4 * late.regret.max())
reference_slope(axis, 0.5, "slope 1/2", (100, late.regret.min() / 3))
reference_slope(axis, 1, "slope 1", (T, 3 * late.regret.max()))
legend_below(fig, axis, columns=3)
save(fig, "plot_bobw_phases", results)

# %%
# Exponents of the means over the last decade.
for name, group in late[late.episode >= T / 10].groupby("algorithm", sort=False):
    mean = group.groupby("episode").regret.mean()
    print(f"{name}: {np.polyfit(np.log(mean.index), np.log(mean), 1)[0]:.2f}")

# %%
# Exercises: (1) Give the phases ``ratio=1.1`` and ``ratio=4``. (2) On which seeds does UCBVI break, and after which jump?
