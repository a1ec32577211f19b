r"""
Robust policy gradient: how fast it falls
=========================================

DRPG (Wang, Ho, Petrik 2023) descends :math:`\Phi(\pi) = \max_P J(\pi, P)` by the gradient at a worst kernel. Relative errors
:math:`(\Phi(\pi_t) - J^*) / J^*` on Garnets with L1 sets, exact inner solver, from the paper's random policies.

Left, a set for each pair (s, a). The dotted orders: :math:`T^{-1/4}` is what the theorem guarantees for the least error so far (derived for
convex rectangular sets and positive starts; its constants are vacuous at this discount), :math:`T^{-1}` is drawn for comparison and is
proven by nobody. That every single step goes down is proven (L19, greedy kernels). Right, one budget for all actions of a state: the
optimum randomizes and sits at a kink, a constant step stops at a floor that grows with it, decreasing steps do not; the least error so far.
"""

# %%
# The paper's Garnets. Steps 0.25, which for costs in [0, 1] is what the published 0.05 is for costs in [0, 5]; the published 0.01 of the
# larger sizes was not used: one step for all three.
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRPG
from tabular_rl.instances import garnet_policy, garnet_robust
from tabular_rl.planning import solve
from tabular_rl.plotting import COLORS, LINES, figure, floor, reference_slope, save, size

SEEDS, STEPS = size(quick=50, full=50), 200
tables = []
for S, A, b in ((5, 6, 3), (10, 6, 3), (15, 8, 3)):
    for seed in range(SEEDS):
        mdp = garnet_robust(S, A, b, seed)
        trace = DRPG(rule="constant", scale=0.25, start=garnet_policy(S, A, seed)).run(mdp, STEPS)
        error = trace["upper"] / solve(mdp, tolerance="exact").objective - 1
        tables.append(pd.DataFrame({"t": trace.index, "error": error, "name": f"Garnet({S}, {A}, {b})", "replicate": seed, "panel": "sa"}))

# %%
# The rows of a state together: Garnet(10, 5, 10), five rules of steps. The constant ones were chosen to show the floor, the decreasing
# ones by trying.
RULES = {
    r"$\alpha = 1$": ("constant", 1.0),
    r"$\alpha = 0.25$": ("constant", 0.25),
    r"$\alpha = 0.025$": ("constant", 0.025),
    r"$\alpha_t = 0.5 / \sqrt{t + 1}$": ("decreasing", 0.5),
    r"$\alpha_t = 0.1 / \sqrt{t + 1}$": ("decreasing", 0.1),
}
JOINT, LONG = size(quick=[6, 1000], full=[20, 4000])
for seed in range(JOINT):
    mdp = garnet_robust(10, 5, 10, seed, rectangularity="s")
    optimum = solve(mdp, tolerance="exact").objective
    for name, (rule, scale) in RULES.items():
        trace = DRPG(rule=rule, scale=scale, start=garnet_policy(10, 5, seed)).run(mdp, LONG)
        error = np.minimum.accumulate(trace["upper"]) / optimum - 1
        tables.append(pd.DataFrame({"t": trace.index, "error": error, "name": name, "replicate": seed, "panel": "s"}))
results = pd.concat(tables)
left, right = (results[results.panel == panel].assign(t=lambda table: table.t + 1) for panel in ("sa", "s"))

# %%
# Thick: means over the Garnets; thin: the largest. On the left most seeds have found the optimal policy long before the mean falls: what is
# left is the few that have not, and errors of 0 stand at the lowest tick.
fig, axes = figure(1, 2, height=3.4, sharey=True)
for axis, table, title in (
    (axes[0, 0], left, f"a set for each pair, {SEEDS} Garnets of each size"),
    (axes[0, 1], right, f"one budget per state, {JOINT} Garnets(10, 5, 10)"),
):
    for i, (name, group) in enumerate(table.groupby("name", sort=False)):
        errors = group.pivot(index="t", columns="replicate", values="error")
        axis.plot(errors.index, errors.mean(axis=1), color=COLORS[i], linestyle=LINES[i], linewidth=1.8, label=name)
        axis.plot(errors.index, errors.max(axis=1), color=COLORS[i], linestyle=LINES[i], linewidth=0.6)
    axis.set(xscale="log", yscale="log", xlabel="updates of the policy t + 1", ylim=(1e-6, 20))
    axis.set_title(title, fontsize=8)
    floor(axis, 1e-6)
    for exponent, label in ((-0.25, "slope -1/4"), (-1, "slope -1")):
        reference_slope(axis, exponent, label, (1, 4))
    axis.legend(fontsize=7, loc="lower left")
axes[0, 0].set_ylabel(r"$\Phi(\pi_t) / J^* - 1$ (right: least so far)")
fig.suptitle("Faster than the theorem's slope -1/4; a constant step stops at a floor (mean, thin: largest)", fontsize=9)
save(fig, "plot_drpg_convergence", results)

# %%
# The numbers: mean relative errors at a few updates, and the share of steps that went down.
at = [t for t in (0, 10, 50, 100, 200, 1000) if t <= max(STEPS, LONG)]
means = results[results.t.isin(at)].pivot_table(index=["panel", "name"], columns="t", values="error", sort=False)
print(means.to_string(float_format="%.2g"))
down = left.groupby("name").apply(lambda g: np.mean(g.pivot(index="t", columns="replicate", values="error").diff().iloc[1:] <= 1e-9))
print(down.to_string())

# %%
# What to see. On (s,a) sets the fall is faster than both lines: a deterministic policy is optimal, and once its actions are found nothing
# is left to do. One budget per state takes that away, and a constant step then keeps jumping over the kink.
#
# Exercises: (1) Draw steps of 0.05 and of 1 on the left. Which one is better, and why may it not be on the right? (2) Replace the exact
# inner solver by ``inner="projected"`` and draw the certified ``upper``. (3) Put ``objective`` in place of ``upper``: what does the
# right panel show then, and why is it not an error of the policy?
