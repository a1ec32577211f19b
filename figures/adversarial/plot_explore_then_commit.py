r"""
How long to explore
===================

Explore-then-commit tries each of two arms m times and then plays the better looking one forever. Too little exploration, and it commits to
the wrong arm; too much, and it pays the gap :math:`\Delta` for nothing. Its expected regret after n rounds is at most

.. math:: \Delta \left(m + (n - 2m) e^{-m \Delta^2}\right)

(Lattimore, Szepesvari 2020, theorem 6.1, with Hoeffding's inequality). The best m depends on the gap, which nobody knows beforehand.
"""

# %%
# Bandits of two arms, one bandit per gap; losses are 0/1 draws with means 1/2 on either side of the gap.
import numpy as np

import tabular_rl as trl
from tabular_rl.algorithms.adversarial.explore_then_commit import ExploreThenCommit
from tabular_rl.experiments import Experiment
from tabular_rl.plotting import COLORS, band, figure, legend_below, save, size

N, GAPS = 10_000, (0.1, 0.4)
M = size(quick=[1, 3, 10, 30, 100, 300, 1000, 3000], full=np.unique(np.geomspace(1, 4000, 30).round().astype(int)).tolist())
bandits = {f"gap {gap}": trl.instances.bandit([0.5 - gap / 2, 0.5 + gap / 2]) for gap in GAPS}
learners = {str(m): ExploreThenCommit(m) for m in M}

# %%
# Every learner meets every bandit, 64 times each. Finished runs are kept: run the script again and only the plot is redrawn.
results = Experiment("explore-then-commit", bandits, learners, episodes=N, replicates=64).run()
last = results[results.episode == N].assign(m=lambda table: table.algorithm.astype(int))

# %%
# Mean regret (dots) below its bound (dotted, in the same color).
fig, axes = figure(1, 1, height=3.2, width=5)
axis = axes[0, 0]
band(axis, last, x="m", y="regret", by="problem", center="mean", marker="o")
m = np.geomspace(M[0], M[-1], 200)
for gap, color in zip(GAPS, COLORS, strict=False):
    axis.plot(m, gap * (m + (N - 2 * m) * np.exp(-m * gap**2)), ":", color=color, linewidth=1.2, label=f"bound, gap {gap}")
axis.axvline(ExploreThenCommit().run(bandits["gap 0.1"], N).parameters["m"], color="0.45", linewidth=0.9, gid="guide")
axis.set(xscale="log", yscale="log", xlabel="rounds of exploration per arm m", ylabel="regret (loss units)")
axis.set_title(
    f"Explore, then commit: the best m depends on the gap\nmean of 64 seeds, bands 5 % to 95 %, n = {N}; line: default m", fontsize=9
)
legend_below(fig, axis, columns=2)
save(fig, "plot_explore_then_commit", last)

# %%
# The best m that was tried, for each gap.
print(last.groupby(["problem", "m"]).regret.mean().groupby("problem").idxmin().map(lambda best: best[1]))

# %%
# Exercises: (1) Where is the least bound for each gap, and how does it move when n grows? (2) Why is the band so wide on the left?
