r"""
Matching pennies with nature
============================

In state 0 the agent chooses a row, and nature moves the probability of the bad state, with one budget for both rows. A nature that knows
which row will be played spends everything there; against a fair coin it must split. The robust value of playing action 0 with probability x
is known in closed form, :math:`\Phi(x) = c_0 + c_1 \max(x, 1 - x)`, a kink with the optimum in it: randomising is worth 25 % of the cost.

Three ways to look for it: robust policy gradient (DRPG), best responses that alternate, and both players following their gradients at once.
Only the first is proven to arrive. That the second has period 2 is exact; the orbit of the third is measured.
"""

# %%
# The start of all three is x = 0.3. The simultaneous gradients use the constant step 0.01.
import numpy as np
import pandas as pd

from figures.style import COLOURS, LINES, figure, save, size
from tabular_rl.algorithms import DRPG, BestResponses, GradientDescentAscent
from tabular_rl.instances import pennies, pennies_values

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
paths["alternating best responses"] = np.array([0.3, *(float(policy[0] == 0) for policy in last)])
tables = [pd.DataFrame({"t": np.arange(len(x)), "x": x, "cost": [worst_case(p) for p in x], "method": name}) for name, x in paths.items()]
results = pd.concat(tables)

# %%
# Left, the plane of policies and worst cases: every method moves on the curve. The last 500 iterates of each are drawn thick (of the
# alternation, all but the start). Right, against the iteration.
fig, axes = figure(1, 2, height=3.2, sharey=True)
left, right = axes[0]
ticks = np.linspace(0, 1, 201)
left.plot(ticks, [worst_case(x) for x in ticks], color="0.3", linewidth=0.8)
for i, (name, path) in enumerate(results.groupby("method", sort=False)):
    end = path.iloc[1:].iloc[-500:]
    lift = 0.03 * (i + 1)  # beside each other instead of on top
    left.plot(end.x, end.cost + lift, "o" if len(path) < 100 else "-", color=COLOURS[i], linewidth=3, markersize=5, solid_capstyle="round")
    left.plot(end.x.iloc[-1], end.cost.iloc[-1] + lift, "o", color=COLOURS[i], markersize=5)
    right.plot(path.t + 1, path.cost, color=COLOURS[i], linestyle=LINES[i], label=name, linewidth=1.3)
for axis in (left, right):
    axis.axhline(worst_case(0.5), color="0.45", linewidth=0.9, linestyle=":")
left.annotate("J*", (0.02, worst_case(0.5)), color="0.35", fontsize=8, xytext=(0, 3), textcoords="offset points")
left.set(xlabel="x = π(0 | state 0)", ylabel="worst case Φ (cost)", title="the last 500 iterates (lifted to tell apart)", ylim=(3.5, 5.4))
right.set(xscale="log", xlabel="iteration + 1", title="worst case of each iterate")
right.legend(fontsize=7, loc="upper right")
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
# theorem? (3) Lower ``radius`` to 0.2: how much is randomising worth then? Compare with the closed form.
