r"""
Delays cost like episodes: regret against the square root of K + D
==================================================================

The losses of episode k arrive d episodes late. What does that cost? For delay-adapted policy optimization the regret is at most of order
:math:`H^2 \sqrt{S A K} + H^3 \sqrt{D}` with :math:`D = \sum_k d_k` the total delay (Lancewicki, Rosenberg, Sotnikov 2023), and no learner
can avoid the shape :math:`\sqrt{K + D}`. This adversary shows why: in blocks of d + 1 episodes the losses are the same fair coins, so
that nothing that is observed within a block can be used in it. Every learner suffers H / 2 per episode; with one state and one step
the regret of every learner is exactly, with n = K / (d + 1) blocks,

.. math:: E R_K = (d + 1) \frac{n}{2} \binom{n}{n/2} 2^{-n} \approx \sqrt{(K + D) / (2 \pi)}.
"""

# %%
# The adversary on a bandit (where the answer is known), and on a random model with H = 3, S = 3, A = 2.
import numpy as np
import pandas as pd
from scipy.special import gammaln

import tabular_rl as trl
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import COLORS, figure, save, size

SEEDS = 40
models = {"H = S = 1": trl.FiniteHorizonMDP(np.ones((1, 2, 1)), np.zeros((1, 2)), horizon=1), "H = S = 3": trl.instances.delay_instance()}
lengths = size(quick=[1_200, 4_800, 19_200], full=[1_200, 4_800, 19_200, 76_800])
delays = [0, 1, 3, 15, 47]  # blocks of 1, 2, 4, 16, 48 episodes divide every length

# %%
# The learning rate follows K + D, with the constants of the practical preset: at the rate of the theorem little is learned at this length.
cells = []
for name, mdp in models.items():
    H = mdp.horizon
    for K in lengths:
        for d in delays:
            rate = 4 * np.sqrt(np.log(2) / (H**2 * K * (1 + d)))
            learner = trl.algorithms.DAPO("practical", learning_rate=rate)
            for seed in range(SEEDS):  # the seed of the coins; the learner's own comes from the labels
                world = trl.delays.delayed(trl.losses.block(mdp, length=d + 1, seed=seed), trl.delays.fixed(d))
                cells.append(Cell((f"dapo-collapse, d={d}, K={K}", name, f"d = {d}", seed), world, learner, K))
results = run_cells(cells)
results = results[results.episode == results.length].assign(d=lambda rows: rows.algorithm.str[4:].astype(int))
results["delayed_length"] = results.length * (1 + results.d)  # K + D


# %%
# Dots are means with twice their standard error. The line is exact and has nothing to do with the learner: whoever is below it has read
# feedback early.
def exact(K, d):
    n = K / (d + 1)
    return (d + 1) * n / 2 * np.exp(gammaln(n + 1) - 2 * gammaln(n / 2 + 1) - n * np.log(2))


fig, axes = figure(1, 2, height=3.2)
for axis, name in zip(axes[0], models, strict=True):
    for i, d in enumerate(delays):
        group = results[(results.problem == name) & (results.d == d)].groupby("delayed_length").regret
        error = 2 * group.std() / np.sqrt(SEEDS)
        axis.errorbar(np.sqrt(group.mean().index), group.mean(), error, fmt="o", markersize=4, capsize=2, color=COLORS[i], label=f"d = {d}")
    x = np.sqrt(np.array([lengths[0], lengths[-1] * (1 + delays[-1])]))
    if name == "H = S = 1":
        axis.plot(x, [exact(lengths[0], 0), exact(lengths[-1], delays[-1])], color="0.3", linewidth=1, label="every learner (exact)")
    else:
        axis.plot(x, 1.2 * x, color="0.5", linestyle=":", linewidth=1, label="slope 1")
    axis.set(title=name, xscale="log", yscale="log", xlabel=r"$\sqrt{K + D}$", ylabel="regret (loss units)")
    axis.legend(fontsize=7)
fig.suptitle(f"DAPO against the block adversary, {SEEDS} seeds: mean, two standard errors", fontsize=9)
keep = ["problem", "length", "d", "replicate", "regret", "delayed_length"]
save(fig, "plot_dapo_collapse", pd.DataFrame(results[keep]))

# %%
# How well do the points of the larger model lie on one line? The fitted exponent, and the spread of regret over the square root.
points = results[results.problem == "H = S = 3"].groupby(["length", "d", "delayed_length"]).regret.mean().reset_index()
slope, _ = np.polyfit(np.log(points.delayed_length), np.log(points.regret), 1)
ratio = points.regret / np.sqrt(points.delayed_length)
print(f"regret ~ (K + D)^{slope:.3f}, regret / sqrt(K + D) between {ratio.min():.2f} and {ratio.max():.2f}")

# %%
# Only this adversary makes regret collapse on one curve. Against losses drawn from one distribution regret has the order of a square root,
# but no single weight of K and D fits all instances.
#
# Exercises: (1) Let the feedback of a block arrive one episode early (``fixed(d - 1)``): where do the dots go? (2) Try ``DAPO("theory")``.
