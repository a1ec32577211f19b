r"""
What memory, locality and myopia cost
=====================================

On a 3 x 3 or 3 x 4 grid the optimum over *history-dependent* policies, OPT, is a dynamic program over (time, cell, set of what has been
seen). Everything else is a ratio to it: the gradient with marginal gains to go (SubPO, a Markov policy learned from samples without P), the
best Markov policy that exact coordinate ascent over time blocks finds from four starts, the greedy rule that remembers, additive RL (ModPO,
exact), and the uniform policy. The cap is the certificate: the linear program of expected entries, a bound for every policy.

Proven: no bar exceeds OPT, and OPT does not exceed the cap. Not proven, and false in general: any constant factor for SubPO, coordinate
ascent or greedy (see ``bait`` in the exercises). SubPO: natural gradient, step 0.5, batch 500; chosen once, for all grids.
"""

# %%
# Seven grids: rows, columns, horizon, slip, sensor, seed of the weights.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from figures.style import COLOURS, figure, save, size
from tabular_rl import planning
from tabular_rl.algorithms import SubPO
from tabular_rl.instances import submodular

GRIDS = [
    (3, 3, 4, 0.0, "self", 0), (3, 3, 6, 0.0, "self", 1), (3, 4, 7, 0.0, "self", 3), (3, 3, 6, 0.2, "self", 2),
    (3, 3, 4, 0.2, "2x2", 5), (3, 4, 7, 0.2, "self", 4), (3, 4, 7, 0.4, "self", 6),
]  # fmt: skip
SEEDS, ITERATIONS = 5, size(quick=250, full=2_000)


def best_markov(mdp):
    """The best of coordinate ascent from uniform, the additive optimum, and two random deterministic policies."""
    starts = [np.random.default_rng(i).integers(mdp.n_actions, size=mdp.shape[:2]) for i in range(2)]
    return max(planning.block_ascent(mdp, init)[0] for init in ("uniform", "modpo", *starts))


# %%
# Everything is exact but the learning: the value of a final policy is computed by the dynamic program, not sampled.
rows = []
for grid in GRIDS:
    mdp = submodular.tiny(*grid)
    optimum = planning.history_optimum(mdp).value
    learned = [SubPO(optimizer="npg", learning_rate=0.5).run(mdp, ITERATIONS, seed=seed).policy for seed in range(SEEDS)]
    values = np.array([planning.submodular_value(mdp, policy) for policy in learned]) / optimum
    rows.append(
        {
            "grid": f"{grid[0]}x{grid[1]}, H={grid[2]}\nslip {grid[3]:g}, {grid[4]}",
            "optimum": optimum,
            "certificate": planning.coverage_bound(mdp).upper / optimum,
            "SubPO": np.median(values),
            "smallest": values.min(),
            "largest": values.max(),
            "best Markov found": best_markov(mdp) / optimum,
            "greedy with memory": planning.greedy_history(mdp).value / optimum,
            "ModPO": planning.submodular_value(mdp, planning.modular_policy(mdp)) / optimum,
            "uniform": planning.submodular_value(mdp) / optimum,
        }
    )
results = pd.DataFrame(rows)

# %%
# Bars in the order of the grids; whiskers are the range of the seeds.
bars = ["SubPO", "best Markov found", "greedy with memory", "ModPO", "uniform"]
fig, axes = figure(1, 1, height=3.4, width=7.6)
axis, place, width = axes[0, 0], np.arange(len(results)), 0.16
for i, name in enumerate(bars):
    axis.bar(place + (i - 2) * width, results[name], width, color=COLOURS[i], label=name)
whiskers = [results.SubPO - results.smallest, results.largest - results.SubPO]
axis.errorbar(place - 2 * width, results.SubPO, whiskers, fmt="none", color="black", linewidth=1, capsize=2)
axis.hlines(results.certificate, place - 0.45, place + 0.45, color="black", linewidth=1.4, label="certificate (bounds every policy)")
axis.axhline(1, color="0.4", linewidth=0.9, linestyle=":")
axis.set(xticks=place, ylabel="value / optimum with memory", ylim=(0, 1.25))
axis.set_xticklabels(results.grid, fontsize=7.5)
axis.grid(axis="x", visible=False)
axis.set_title(f"median and range of {SEEDS} seeds for SubPO; everything else exact; dotted: OPT over history-dependent policies")
fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
save(fig, "plot_subpo_tiny", results)
plt.show()

# %%
# The theorems hold, and the sure worlds need no memory: there the best Markov policy is as good as any (subpo spec, S2).
assert (results[bars].to_numpy() <= 1 + 1e-9).all()
assert (results.certificate >= 1 - 1e-9).all()
print(results.drop(columns=["grid"]).round(3).to_string(index=False))

# %%
# Greedy with memory beats a learned Markov policy on slippery grids: part of what SubPO loses there is its class, part is local optima, as
# better Markov policies exist. ModPO returns to the heaviest cell again and again: it is paid for it, the true objective is not.
#
# Exercises: (1) Replace a grid by ``submodular.bait(4, 100)``: which bars survive? (2) ``weights="prefix"`` is what the authors'
# released code does: where does its bar stand? (3) On which grid is the certificate loosest, and does ``branch_and_bound`` close it?
