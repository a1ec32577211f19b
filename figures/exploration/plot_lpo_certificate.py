r"""
What an epoch's error is made of
================================

For every epoch of LPO, whatever its data and its regression, the gap of its mixture is at most (1 / (1 - discount)) times the sum of three
terms, with no probability in it: the regret of the policy gradient, the slack of the value estimates beyond the bonus, and the price of
optimism, which is what the epoch's own rollouts would meet of bonus and unknown pairs. All are drawn with that factor.

The inequality is proven and executed for every epoch drawn here (it needs the true model, so it is a diagnosis and no stopping rule). What
the theorem allows for the first term, B sqrt(log A / (2 T)), is several times as large as the regret that is realized.
"""

# %%
# Two instances, with settings that make all three terms visible.
import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.algorithms import LPO, pathwise_certificate
from tabular_rl.plotting import COLORS, LINES, figure, floor, legend_below, save, size

EPOCHS = size(quick=24, full=48)
problems = {"RiverSwim, 6 states": trl.instances.river_swim(6, discount=0.9), "lock(3, 3)": trl.instances.combination_lock(3, 3)}
learner = LPO(20, 1_000, learning_rate=0.5, bonus_scale=0.1, known_width=1 / 5, constant=2, mixture=True)

# %%
# The terms of epochs along the run.
tables = []
for name, mdp in problems.items():
    trace = learner.run(mdp, 600, seed=0, keep_q=True)
    chosen = np.unique(np.linspace(0, len(trace.index) - 1, EPOCHS).astype(int))
    terms = pathwise_certificate(mdp, trace.epochs, chosen=chosen)._asdict()
    tables.append(pd.DataFrame({"problem": name, "outer samples": trace.index[chosen], "gap": trace["gap_mixture"][chosen], **terms}))
table = pd.concat(tables)
assert np.all(table.gap <= table.regret + table.slack + table.price + 1e-9)

# %%
# Lines: the three terms and their sum, the bound. Dots: the gap. What is below 0.001 (a regret may be negative) stands at the lowest tick.
names = {"price": "price of optimism", "slack": "slack of the estimates", "regret": "regret of the policy gradient"}
table["bound"] = table.regret + table.slack + table.price
fig, axes = figure(1, 2, height=3.2, sharey=True)
for axis, (name, group) in zip(axes[0], table.groupby("problem", sort=False), strict=True):
    axis.plot(1 + group["outer samples"], group.bound, color="black", linewidth=2.2, label="bound, the sum of the three")
    for i, (term, label) in enumerate(names.items()):
        axis.plot(1 + group["outer samples"], group[term], color=COLORS[i], linestyle=LINES[1 + i], linewidth=1.5, label=label)
    axis.plot(1 + group["outer samples"], group.gap, "ko", markersize=3, label="true gap $V^* - V$")
    axis.set(title=name, xlabel="1 + outer samples before the epoch", xscale="log", yscale="log")
axes[0, 0].set(ylabel="gap and its bound (reward)", ylim=(1e-3, 3 * table.bound.max()))
for axis in axes[0]:
    floor(axis, 1e-3)
fig.suptitle("Every epoch's gap lies below the sum of three terms (one run each)", fontsize=9)
legend_below(fig, axes[0, 0], columns=3)
save(fig, "plot_lpo_certificate", table)
print(
    table.groupby("problem", sort=False).apply(lambda g: (g.gap / (g.regret + g.slack + g.price)).max(), include_groups=False).to_string()
)

# %%
# What to see. At first the price is 1 / (1 - discount): everything is unknown. When all is known the bound follows the gap within a small
# factor, and it is the slack, the noise of the rollouts, that is left.
#
# Exercises: (1) ``unknown="bonus"``: which term grows, and by what factor? (2) Which of ``rollouts`` and ``iterations`` lowers which term?
