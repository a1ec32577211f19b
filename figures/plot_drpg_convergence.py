r"""
Robust policy gradient: how fast it falls, and where it stays
=============================================================

DRPG (Wang, Ho, Petrik 2023) descends :math:`\Phi(\pi) = \max_P J(\pi, P)` by the gradient at a worst kernel. Left: relative errors
:math:`(\Phi(\pi_t) - J^*) / J^*` on Garnets with L1 sets for each pair, exact inner solver, from random policies. The order
:math:`T^{-1/4}` of the theorem is a guarantee for convex rectangular sets and positive starts (derived), whose constants are vacuous at
this discount; its line is drawn for its slope, through a point chosen by eye, and the faster fall is measured, not proven. Right: two
kernels and a start next to the bad local minimum. With the list alone, which is not rectangular, the run stays at 0.49, with its
s-rectangular hull it reaches the optimum 0. Settings: steps 0.25 (for costs in [0, 1] what the published 0.05 for S = 5 is for costs in
[0, 5]; here for all sizes) and :math:`0.2 / \sqrt{t + 1}`, chosen by trying.
"""

# %%
# The Garnets of the paper's sizes, each from its random policy.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from figures.style import band, figure, legend_below, reference_slope, save, size
from tabular_rl.algorithms import DRPG
from tabular_rl.instances import garnet_policy, garnet_robust, nonrect_two_kernels
from tabular_rl.planning import solve

SEEDS, STEPS = 20, size(quick=1000, full=4000)
tables = []
for S, A, b in ((5, 6, 3), (10, 6, 3), (15, 8, 3)):
    for seed in range(SEEDS):
        mdp = garnet_robust(S, A, b, seed)
        best = solve(mdp, tolerance=1e-9).objective
        trace = DRPG(rule="constant", start=garnet_policy(S, A, seed)).run(mdp, STEPS)
        error = np.maximum(trace["upper"] / best - 1, 1e-9)
        tables.append(pd.DataFrame({"step": trace.index + 1, "error": error, "problem": f"Garnet({S}, {A}, {b})", "replicate": seed}))
errors = pd.concat(tables)

# %%
# The counterexample: the same two kernels, as a list and as the hull of their rows.
start = np.array([[0.5, 0.5], [0.1, 0.9], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]])
runs = {
    "list of two (not rectangular)": DRPG(rule="decreasing", scale=0.2, start=start).run(nonrect_two_kernels(), STEPS),
    "their s-rectangular hull": DRPG(rule="decreasing", scale=0.2, start=start).run(nonrect_two_kernels(rectangularity="s"), STEPS),
}

# %%
# Both, against the number of updates of the policy.
fig, axes = figure(1, 2, height=3.0)
left, right = axes[0]
band(left, errors, x="step", y="error", by="problem")
left.set(xscale="log", yscale="log", xlabel="updates of the policy + 1", ylabel="relative error of the worst case")
left.set_ylim(1e-9, 3)
reference_slope(left, -0.25, "slope -1/4", (1, 1.5))
left.set_title(f"median of {SEEDS} seeds, middle 90 % (cut at 1e-9)", fontsize=8)
for (name, trace), style in zip(runs.items(), ("-", "--"), strict=True):
    right.plot(trace.index + 1, trace["upper"], style, color="black", label=name)
right.set(xscale="log", xlabel="updates of the policy + 1", ylabel="worst case, cost", ylim=(0, None))
right.legend(fontsize=7)
legend_below(fig, left, columns=3)
save(fig, "plot_drpg_convergence", errors)
plt.close(fig)

# %%
# What the last iterations are.
for name, trace in runs.items():
    print(f"{name}: {trace['upper'][0]:.4f} at the start, {trace['upper'][-1]:.4f} at the end")
print(errors[errors.step == errors.step.max()].groupby("problem").error.agg(["mean", "median", "max"]))

# %%
# Exercises
# ---------
# 1. Draw steps of 0.05 and of 1. Which one is better here, and why may it not be with sets that join the rows of a state?
# 2. Start the counterexample from the uniform policy.
# 3. Replace the exact inner solver by ``inner="projected"`` and draw the certified ``upper``.
