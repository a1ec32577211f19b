r"""
An adversary with four parameters
=================================

Instead of a ball around every row the adversary may have a family of kernels,

.. math:: P_\xi(t | s, a) \propto P_0(t | s, a) \exp \frac{\theta \cdot \phi(t)}{\lambda \cdot \zeta(s, a)}, \qquad \xi = (\theta, \lambda)

with :math:`\theta` and :math:`\lambda` in two balls. It is neither rectangular nor convex: the inner problem is climbed by projected
gradient ascent, which may end at a local maximum, nothing is certified and nothing is guaranteed, neither for the inner nor for the outer
loop. Inventory of Wang, Ho, Petrik (2023), 8 states, 3 actions, with positive features.
"""

# %%
# Policy gradient against the family, and against the nominal kernel alone, with the two published steps. What is drawn for both is the cost
# against the kernel where an ascent of its own ends, started at the center of the family: the same adversary for both.
from dataclasses import replace

import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.algorithms import DRPG
from tabular_rl.instances import inventory_param
from tabular_rl.plotting import COLORS, figure, save, size

SEEDS, STEPS = size(quick=20, full=100), 200
grid = np.unique(np.concatenate([np.arange(10), np.geomspace(10, STEPS, 30).astype(int)]))


def against_the_ascent(mdp, policy):
    """J of a policy at the end of an ascent from the center."""
    return DRPG("parametric", start=policy).run(mdp, 1)["objective"][0]


tables = []
for seed in range(SEEDS):
    mdp = inventory_param(seed=seed)
    alone = trl.RobustMDP(mdp.nominal, mdp.cost, mdp.discount, mdp.initial, trl.ambiguity.L1(0.0))
    for step in (0.1, 0.01):
        given = DRPG("parametric", "constant", step, keep=True)
        for name, run in (("robust", given.run(mdp, STEPS)), ("non-robust", replace(given, inner="nominal").run(alone, STEPS))):
            costs = [against_the_ascent(mdp, run.parameters["policies"][t]) for t in grid]
            tables.append(pd.DataFrame({"t": grid, "cost": costs, "method": name, "step": step, "replicate": seed}))
results = pd.concat(tables)

# %%
# Left, one inventory, as it was published: the first seed. Right, all of them at the end of the run, in the order of their ratios: below
# the line robust is better.
fig, axes = figure(1, 2, height=3.2)
left, right = axes[0]
looks = {("robust", 0.1): "-", ("robust", 0.01): "--", ("non-robust", 0.1): "-", ("non-robust", 0.01): "--"}
for (method, step), line in looks.items():
    curve = results[(results.method == method) & (results.step == step) & (results.replicate == 0)]
    left.plot(curve.t, curve.cost, line, color=COLORS[method != "robust"], label=f"{method}, step {step:g}", linewidth=1.6)
left.set(xlabel="updates of the policy t", ylabel=r"cost $J(\pi_t)$ against the ascent's kernel")
left.set_title("seed 0; at jumps the ascent ends elsewhere", fontsize=8)
left.legend(fontsize=7)
ends = results[results.t == STEPS].pivot(index=["step", "replicate"], columns="method", values="cost")
for i, step in enumerate((0.1, 0.01)):
    ratio = np.sort(ends.loc[step, "robust"] / ends.loc[step, "non-robust"])
    lower = (ratio < 1).sum()
    right.plot(np.arange(1, SEEDS + 1), ratio, "o^"[i], markersize=4, color=COLORS[2 + i], label=f"step {step:g}: below 1 for {lower}")
right.axhline(1, color="0.5", linewidth=0.8, linestyle=":")
right.set(xlabel="inventories, by their ratio", ylabel="robust / non-robust cost")
right.set_title(f"{SEEDS} inventories after {STEPS} updates: no clear winner", fontsize=8)
right.legend(fontsize=7)
save(fig, "plot_drpg_parametric", results)

# %%
# How often the robust run ends lower, and by how much; the falls of the curves themselves.
share = (ends["robust"] < ends["non-robust"] - 1e-6).groupby("step").agg(["mean", "sum", "count"])
share["median of robust / non-robust"] = (ends["robust"] / ends["non-robust"]).groupby("step").median()
print(share.to_string(float_format="%.3f"))
first, last = (results[results.t == t].groupby(["method", "step"]).cost.mean() for t in (0, STEPS))
print((last / first).to_string(float_format="%.3f"))

# %%
# What to see. Every curve falls by about a third. Looking at the adversary does not pay here: with step 0.1 the robust run ends lower on 8
# of these 20 inventories and on 38 of 100, with step 0.01 on 15 and 57; medians of the ratio are within 1.5 % of 1. The published picture,
# robust curves below the others, is one inventory.
# The jumps are the ascent, which ends at another local maximum as the policy moves; the robust run keeps the one its own ascent is at.
#
# Exercises: (1) Search (theta, lam) at random: how far is the ascent's kernel from the worst one of the family? (2) Let the ascent start
# anew in every iteration. (3) Use features phi = identity and zeta one-hot: the family then holds the KL ball's worst kernels.
