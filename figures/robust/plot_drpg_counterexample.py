r"""
Without rectangularity, policy gradient stays where it should not
=================================================================

Five states, two kernels, and the agent wants the policy that is best against the worse of the two: :math:`\Phi = \max(J_1, J_2)`. Only
two numbers matter, the probabilities x and y of action 0 in the two states of decision. At :math:`x = y = 0` the cost is 0.49 and each
kernel's slope into the square is compensated by the other's: a STRICT local minimum, while :math:`x = y = 1` costs nothing. So global
convergence of robust policy gradient, read for arbitrary compact sets, is false (derived here by hand and drawn below); for convex
rectangular sets it is proven, and with the s-rectangular hull of the same two kernels the same run from the same start finds the optimum.
"""

# %%
# The two kernels, and J by hand. From the start one comes to the first decision with probability 0.9, to the second with 0.1; the second
# kernel swaps their roles. Leaving the first by action 0 leads to the second, which action 0 leaves well.
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRPG
from tabular_rl.instances import nonrect_two_kernels
from tabular_rl.planning import robust_evaluate
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, save, size

SLIP, RISK, DISCOUNT, STEPS, GRID = 0.1, 0.5, 0.9, size(quick=1000, full=3000), 51
problems = {"list": nonrect_two_kernels(), "hull": nonrect_two_kernels(rectangularity="s")}


def policy(x, y):
    """Action 0 with probability x in state 1 and y in state 2; nothing depends on the others."""
    result = np.full((5, 2), 0.5)
    result[1], result[2] = (x, 1 - x), (y, 1 - y)
    return result


def by_hand(x, y):
    """J of the first kernel; the second one's is J(y, x)."""
    second = 1 - y
    first = x * DISCOUNT * second + (1 - x) * RISK
    return 0.96 * DISCOUNT * ((1 - SLIP) * first + SLIP * second) + 0.01 * (first + second)


ticks = np.linspace(0, 1, GRID)
x, y = np.meshgrid(ticks, ticks, indexing="ij")
surfaces = {
    "list": np.maximum(by_hand(x, y), by_hand(y, x)),
    "hull": np.array([[robust_evaluate(problems["hull"], policy(a, b)).objective for b in ticks] for a in ticks]),
}
some = np.random.default_rng(0).integers(GRID, size=(50, 2))
off = max(abs(robust_evaluate(problems["list"], policy(*ticks[i])).objective - surfaces["list"][tuple(i)]) for i in some)
print(f"largest difference between J by hand and by the solver, at 50 points: {off:.0e}")

# %%
# DRPG with the exact worst kernel and steps 0.2 / sqrt(t + 1) (chosen by trying) from six starts.
STARTS = ((0.1, 0.1), (0.3, 0.1), (0.35, 0.45), (0.6, 0.4), (0.5, 0.6), (0.9, 0.3))
runs = {}
for kind, mdp in problems.items():
    for start in STARTS:
        trace = DRPG(rule="decreasing", scale=0.2, start=policy(*start), keep=True).run(mdp, STEPS)
        path = trace.parameters["policies"][:, 1:3, 0].clip(0, 1)  # a projection may end an ulp outside
        table = pd.DataFrame({"t": trace.index, "x": path[:, 0], "y": path[:, 1], "cost": trace["upper"]})
        runs[kind, start] = table.assign(set=kind, start=str(start))
results = pd.concat(runs.values())

# %%
# Contours of the worst case with the paths on them; right, the worst case along the two runs from x = y = 0.1.
fig, axes = figure(1, 3, height=3.0, width=7.0)
names = {"list": "worse of two kernels", "hull": "their s-rectangular hull"}
for axis, kind in zip(axes[0], names, strict=False):
    contours = axis.contourf(ticks, ticks, surfaces[kind].T, levels=np.linspace(0, 1, 21), cmap="Greys", vmin=0, vmax=1.6)
    axis.contour(ticks, ticks, surfaces[kind].T, levels=np.linspace(0, 1, 21), colors="white", linewidths=0.4)
    for i, start in enumerate(STARTS):
        path = runs[kind, start]
        axis.plot(path.x, path.y, color=COLORS[i], linewidth=1.3)
        axis.plot(*start, "o", color=COLORS[i], markersize=4, clip_on=False)
        axis.plot(path.x.iloc[-1], path.y.iloc[-1], "*", color=COLORS[i], markersize=9, clip_on=False, zorder=3)
    for marker, end in (("o", "start"), ("*", f"after {STEPS} updates")):
        axis.plot([], [], marker, color="0.3", markersize=6, label=end)
    axis.set_title(names[kind], fontsize=8)
    axis.set(xlabel="x = π(0 | state 1)", ylabel="y = π(0 | state 2)", xlim=(0, 1), ylim=(0, 1), aspect="equal")
bar = fig.colorbar(contours, ax=axes[0, :2].tolist(), location="bottom", shrink=0.5, aspect=30, ticks=[0, 0.25, 0.5, 0.75, 1])
bar.set_label("worst case Φ (cost)", fontsize=8)
for i, (kind, name) in enumerate(names.items()):
    axes[0, 2].plot(runs[kind, STARTS[0]].t + 1, runs[kind, STARTS[0]].cost, linestyle=LINES[i], color="black", label=name)
axes[0, 2].set(xscale="log", xlabel="updates + 1", ylabel="worst case Φ (cost)", ylim=(0, 1))
axes[0, 2].set_title("from x = y = 0.1", fontsize=8)
fig.suptitle("A strict local minimum of the worst case: without rectangularity the descent ends there", fontsize=9)
legend_below(fig, axes[0, 0], axes[0, 2])
save(fig, "plot_drpg_counterexample", results)

# %%
# Strict local minima of the first surface on the grid (less than all neighbors), and where the runs ended.
padded = np.pad(surfaces["list"], 1, constant_values=np.inf)
near = [padded[1 + i : GRID + 1 + i, 1 + j : GRID + 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
for i, j in np.argwhere(np.all([surfaces["list"] < other for other in near], axis=0)):
    print(f"strict local minimum {surfaces['list'][i, j]:.4f} at x = {ticks[i]:g}, y = {ticks[j]:g}")
print(results.groupby(["set", "start"], sort=False)[["x", "y", "cost"]].last().round(4).to_string())

# %%
# What to see. On the left two basins: who starts in the lower left one stays at 0.49. In the middle the adversary may choose the row of
# each state from either kernel; no policy costs less for that, but there is one basin. Nature was made stronger, and the problem easier.
#
# Exercises: (1) Show that both directional derivatives of Phi at x = y = 0 into the square are positive. (2) For which risks is that corner
# not a local minimum? (3) Start the first problem with a constant step of 5: does a large step help, and can one know beforehand?
