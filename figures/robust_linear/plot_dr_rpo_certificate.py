r"""
DR-RPO: from regret to the theorem's right side, step by step
=============================================================

The proof of theorem 1 (derived in this project, one-hot features) goes

.. math:: \sum_k V^* - V_{\pi_k} \le \sum_k G_k \le 4 \sqrt{S A K} \sum_h \beta_h + \sum_h \mathrm{cap}_h \sqrt{K \log(1/\delta) / 2}:

optimism pays the regret with the certificates :math:`G_k`, the mean of what the bonuses allow, and the potential of the counts pays
these. All three are drawn for one run, so that one sees how loose each step is, with the trivial bound :math:`K\,\mathrm{cap}_0`. On the
left with the theory's bonus; on the right with a tenth of it, where nothing is guaranteed and :math:`G_k` is not a certificate (the same
formulas with the smaller bonus).

:math:`G_k` is recorded at the checkpoints and summed by the trapezoid rule between them; the regret is exact.
"""

# %%
# RiverSwim with radius 0.02, one run for each scale.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRRPO
from tabular_rl.algorithms.robust_linear.dr_rpo import regret_bound
from tabular_rl.instances import robust_linear
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

EPISODES, DELTA = size(quick=20_000, full=200_000), 0.05
mdp = robust_linear.river_swim(0.02)
pairs = int((~mdp.known).sum())
tables = []
for scale in (1.0, 0.1):
    trace = DRRPO(tau=0.02, scale=scale, delta=DELTA, evaluate_every=1).run(mdp, EPISODES)
    k, G = trace.index, trace["certificate" if trace.parameters["guarantee"] else "allowance"]
    beta, cap = trace.parameters["beta"], trace.parameters["cap"]
    summed = np.concatenate([[G[0]], G[0] + np.cumsum(np.diff(k) * (G[1:] + G[:-1]) / 2)])
    lines = {
        "regret (exact)": trace["regret"],
        "sum of what bonuses allow": summed,
        "right side of theorem 1": regret_bound(beta, cap, pairs, k, DELTA),
        "trivial bound": k * cap[0],
    }
    tables += [pd.DataFrame({"scale": scale, "line": name, "episode": k, "value": value}) for name, value in lines.items()]
results = pd.concat(tables)

# %%
# Log-log, with the two slopes that one looks for.
fig, axes = figure(1, 2, height=3.0, sharey=True)
for axis, (scale, table) in zip(axes[0], results.groupby("scale", sort=False), strict=True):
    for i, (name, line) in enumerate(table.groupby("line", sort=False)):
        axis.plot(line.episode, line.value, color=COLORS[i], linestyle=LINES[i], label=name)
    axis.set(xscale="log", yscale="log", xlabel="episode K")
    axis.set_title(f"scale {scale:g}: " + ("guaranteed" if scale == 1 else "no guarantee"), fontsize=8)
low = results[results.episode >= 10].value.min()
for axis in axes[0]:
    axis.set(xlim=(10, EPISODES), ylim=(low / 6, 3 * results.value.max()))
    reference_slope(axis, 0.5, "slope 1/2", (10, low / 4))
    reference_slope(axis, 1.0, "slope 1", (10, low / 4))
axes[0, 0].set_ylabel("regret and its bounds (reward)")
fig.suptitle("The regret lies far below what each step of its proof allows (RiverSwim, one run for each scale)", fontsize=9)
legend_below(fig, axes[0, 0], columns=2)
save(fig, "plot_dr_rpo_certificate", results)
plt.close(fig)

# %%
# At the end: what each step loses.
for scale, table in results[results.episode == EPISODES].groupby("scale", sort=False):
    value = table.set_index("line").value
    print(f"scale {scale:g}: " + ", ".join(f"{name} {value[name]:.4g}" for name in value.index))

# %%
# Exercises: (1) From which K on is the theorem's line below the trivial one? (2) Which of the two steps loses more, and does that change
# with the scale? (3) Replace the counts' bound by the sum of the bonuses along the played path.
