r"""
DR-RPO: robust regret, with and without regularization
======================================================

DR-RPO (Gu, He, Liu, Xu 2025, as reconstructed in this project) learns a policy for the worst factors from episodes of the nominal world.
Left: RiverSwim, one factor for each pair. Right: the off-dynamics problem, four factors for 16 actions in a state. The regret is
:math:`\sum_k V^* - V_{\pi_k}`, each method's own: with the KL cost at :math:`\tau = 0.02`, without it at :math:`\tau = 0` (DR-LSVI-UCB, Liu
and Xu 2024). Proven (derived here): order :math:`\sqrt{K}` with one-hot features and bonus scale 1; with general features only while
coverage is finite. On the right a deterministic policy sees one feature vector in a state, so that its factors cannot be told apart: at
:math:`\tau = 0` the regret stays linear. The scale 0.1 that is drawn was chosen by trying and carries no guarantee. The lines of slope 1/2
and 1 are drawn for their slopes. Without a bonus RiverSwim is not learned here; on the right
the soft maximum explores by itself, but late and not on every seed alike.
Curves: mean, band: middle 80 %; policies are evaluated exactly, every tenth episode.
"""

# %%
# Three learners on two problems.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRRPO
from tabular_rl.instances import robust_linear
from tabular_rl.plotting import band, figure, legend_below, reference_slope, save, size

SEEDS, EPISODES = 10, size(quick=3000, full=20_000)
problems = {"RiverSwim, radius 0.02": robust_linear.river_swim(0.02), "off-dynamics, radius 0.3": robust_linear.off_dynamics(0.3)}
learners = {
    "DR-RPO, tau = 0.02": DRRPO(tau=0.02, scale=0.1),
    "DR-LSVI-UCB (tau = 0)": DRRPO(tau=0.0, scale=0.1),
    "tau = 0.02, no bonus": DRRPO(tau=0.02, scale=0.0),
}
tables = []
for problem, mdp in problems.items():
    for name, learner in learners.items():
        for seed in range(SEEDS):
            trace = learner.run(mdp, EPISODES, seed)
            columns = {"problem": problem, "learner": name, "replicate": seed}
            tables.append(pd.DataFrame({"episode": trace.index, "regret": trace["regret"], **columns}))
regret = pd.concat(tables)

# %%
# Cumulative regret against episodes.
fig, axes = figure(1, 2, height=3.0)
for axis, problem in zip(axes[0], problems, strict=True):
    table = regret[(regret.problem == problem) & (regret.episode >= 30)]
    band(axis, table, x="episode", y="regret", by="learner", level=0.8, center="mean")
    axis.set(xscale="log", yscale="log", xlabel="episode", ylabel="robust regret (reward)")
    axis.set_ylim(table.regret.min() / 4, 4 * table.regret.max())
    reference_slope(axis, 0.5, "slope 1/2", (1, 0.5 * (table.regret / table.episode**0.5).min()))  # below all curves
    reference_slope(axis, 1.0, "slope 1", (1, 1.8 * (table.regret / table.episode).max()))  # above them
    axis.set_title(problem, fontsize=8)
message = "Where features mix factors (right), regret without a temperature is linear"
fig.suptitle(f"{message}\nmean of {SEEDS} seeds, bands: middle 80 %", fontsize=9)
legend_below(fig, axes[0, 0], columns=3)
save(fig, "plot_dr_rpo_regret", regret)
plt.close(fig)

# %%
# Slopes of the last nine tenths, fitted to each seed's curve.
for (problem, name), table in regret[regret.episode >= EPISODES / 10].groupby(["problem", "learner"], sort=False):
    slopes = [np.polyfit(np.log(one.episode), np.log(one.regret), 1)[0] for _, one in table.groupby("replicate")]
    last = table[table.episode == EPISODES].regret.mean()
    print(f"{problem}; {name}: regret {last:.1f}, slope {np.mean(slopes):.2f} +- {np.std(slopes):.2f}")

# %%
# Exercises
# ---------
# 1. Draw scale 1. From which episode on does the regret fall below the line of slope 1?
# 2. On the off-dynamics problem, how small may tau be before learning stops?
# 3. Replace the reference by ``0.7 * optimal + 0.3 * uniform`` and draw ``plain_regret``, which has no KL cost.
