r"""
Matching pennies with nature
============================

In state 0 the agent chooses a row, and nature moves the probability of the bad state, with one budget for both rows. A nature that knows
which row will be played spends everything there; against a fair coin it must split. The robust value of playing action 0 with probability x
is known in closed form, :math:`\Phi(x) = c_0 + c_1 \max(x, 1 - x)`, a kink with the optimum in it: randomizing is worth 25 % of the cost.

Three ways to look for it: robust policy gradient (DRPG), best responses that alternate, and both players following their gradients at once.
Only the first is proven to arrive. That the second has period 2 is exact; the orbit of the third is measured.
"""

# %%
# The start of all three is x = 0.3. The simultaneous gradients use the constant step 0.01.
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRPG, BestResponses, GradientDescentAscent
from tabular_rl.instances import pennies, pennies_values
from tabular_rl.plotting import COLORS, figure, guide_label, save, size

mdp, STEPS = pennies(), size(quick=4000, full=20_000)
start = np.array([[0.3, 0.7], [0.5, 0.5], [0.5, 0.5]])


def worst_case(x):
    """Phi of the policy that plays action 0 with probability x, in closed form."""
    return mdp.initial @ pennies_values(x)


paths = {
    r"DRPG, $0.5 / \sqrt{t + 1}$": DRPG(start=start, keep=True).run(mdp, STEPS).parameters["policies"][:, 0, 0],
    "DRPG, 0.02": DRPG(rule="constant", scale=0.02, start=start, keep=True).run(mdp, STEPS).parameters["policies"][:, 0, 0],
    "simultaneous gradients": GradientDescentAscent(0.01, start, keep=True).run(mdp, STEPS).parameters["policies"][:, 0, 0],
}
rounds = BestResponses(start=start)
period = rounds.run(mdp, 40).parameters["period"]
last = [rounds.run(mdp, k).policy for k in range(1, 41)]
paths["alternating best responses"] = np.array([0.3, *(float(policy[0, 0]) for policy in last)])
tables = [pd.DataFrame({"t": np.arange(len(x)), "x": x, "cost": [worst_case(p) for p in x], "method": name}) for name, x in paths.items()]
results = pd.concat(tables)

# %%
# Left, the plane of policies and worst cases, where every method moves on the curve: what its last 500 iterates cover (of the alternation,
# all but the start), narrow ranges on top of wide ones. Right, the range of the iterates' worst cases, in windows of the iteration whose
# ends have a ratio of 1.25: methods that jump draw an area, methods that arrive a line.
fig, axes = figure(1, 2, height=3.3, sharey=True)
left, right = axes[0]
ticks = np.linspace(0, 1, 201)
left.plot(ticks, [worst_case(x) for x in ticks], color="0.3", linewidth=0.8)
for width, name in zip((4, 7, 12, None), paths, strict=True):
    path, color = results[results.method == name], COLORS[list(paths).index(name)]
    end = path.iloc[1:].iloc[-500:].sort_values("x")
    if width is None:
        left.plot(end.x, end.cost, "D", color=color, markersize=7, zorder=4)
    else:
        left.plot(end.x, end.cost, "-", color=color, linewidth=width, solid_capstyle="round", zorder=4 - width / 4)
    window = np.floor(np.log(path.t + 1) / np.log(1.25))
    low, high = (path.groupby(window).cost.agg(end).to_numpy() for end in ("min", "max"))
    middle = np.exp(np.log(path.t + 1).groupby(window).mean())
    right.fill_between(middle, low, high, color=color, alpha=0.35, linewidth=1.2, label=name)
for axis in (left, right):
    axis.axhline(worst_case(0.5), color="0.45", linewidth=0.9, linestyle=":")
guide_label(left, "$J^*$", (0.06, worst_case(0.5)))
left.set(
    xlabel=r"$x = \pi(0 \mid \mathrm{state}\ 0)$",
    ylabel=r"worst case $\Phi$ (cost)",
    title="the last 500 iterates, on the curve of all policies",
)
right.set(xscale="log", xlabel="iteration + 1", title="range of the iterates, by time")
right.legend(fontsize=7, loc="upper right")
fig.suptitle("Only robust policy gradient with decreasing steps settles at the kink (one run each: nothing is random)", fontsize=9)
save(fig, "plot_drpg_pennies", results)

# %%
# Numbers: the optimum, the deterministic policies, and what each method does at the end.
print(f"J* {worst_case(0.5):.4f}, deterministic {worst_case(1.0):.4f}, best responses repeat with period {period}")
ends = results.groupby("method", sort=False).tail(500).groupby("method", sort=False)
print(ends.agg({"x": ["min", "max"], "cost": ["min", "mean", "max"]}).round(4).to_string())

# %%
# What to see. A constant step jumps over the kink for ever, at a distance that is proportional to the step; a decreasing one settles. The
# gradients that do not wait for the adversary's answer go round: when nature has moved its budget, the agent has left.
#
# Exercises: (1) Start the simultaneous gradients at x = 0.5. (2) Average their policies over time. Is the mean near 1/2, and is that a
# theorem? (3) Lower ``radius`` to 0.2: how much is randomizing worth then? Compare with the closed form.
