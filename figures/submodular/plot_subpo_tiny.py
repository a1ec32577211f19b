r"""
What memory, locality and myopia cost
=====================================

On a 3 x 3 or 3 x 4 grid the optimum over *history-dependent* policies, OPT, is a dynamic program over (time, cell, set of what has been
seen). Everything else is a ratio to it: the gradient with marginal gains to go (SubPO, a Markov policy learned from samples without P), the
best Markov policy found, the greedy rule that remembers, additive RL (ModPO, exact), and the uniform policy. The bar above them is the
certificate: the linear program of expected entries, a bound for every policy.

The best Markov policy found is the best end of exact coordinate ascent over time blocks from every other Markov policy that is drawn, and
from two random ones. The ascent never falls, so none of them is better; that it is the best there is, nobody has proven.
Proven: no dot exceeds OPT, and OPT does not exceed the certificate. Not proven, and false in general: any constant factor for SubPO,
coordinate ascent or greedy (see ``bait`` in the exercises). SubPO: natural gradient, step 0.5, batch 500; chosen once, for all grids.
"""

# %%
# Seven grids: rows, columns, horizon, slip, sensor, seed of the weights.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl import planning
from tabular_rl.algorithms import SubPO
from tabular_rl.instances import submodular
from tabular_rl.plotting import COLORS, figure, legend_below, save, size

GRIDS = [
    (3, 3, 4, 0.0, "self", 0), (3, 3, 6, 0.0, "self", 1), (3, 4, 7, 0.0, "self", 3), (3, 3, 6, 0.2, "self", 2),
    (3, 3, 4, 0.2, "2x2", 5), (3, 4, 7, 0.2, "self", 4), (3, 4, 7, 0.4, "self", 6),
]  # fmt: skip
SEEDS, ITERATIONS = 5, size(quick=250, full=2_000)


def best_markov(mdp, learned):
    """The best of coordinate ascent from uniform, the additive optimum, the ``learned`` policies, and two random deterministic ones."""
    starts = [np.random.default_rng(i).integers(mdp.n_actions, size=mdp.shape[:2]) for i in range(2)]
    return max(planning.block_ascent(mdp, init)[0] for init in ("uniform", "modpo", *learned, *starts))


# %%
# Everything is exact but the learning: the value of a final policy is computed by the dynamic program, not sampled.
rows = []
for grid in GRIDS:
    mdp = submodular.tiny(*grid)
    optimum = planning.history_optimum(mdp).value
    learned = [SubPO(optimizer="npg", learning_rate=0.5).run(mdp, ITERATIONS, seed=seed).output for seed in range(SEEDS)]
    values = np.array([planning.submodular_value(mdp, policy) for policy in learned]) / optimum
    rows.append(
        {
            "grid": f"{grid[0]}x{grid[1]}, H={grid[2]}\nslip {grid[3]:g}, {grid[4]}",
            "optimum": optimum,
            "certificate": planning.coverage_bound(mdp).upper / optimum,
            "SubPO": np.median(values),
            "smallest": values.min(),
            "largest": values.max(),
            "best Markov found": best_markov(mdp, learned) / optimum,
            "greedy with memory": planning.greedy_history(mdp).value / optimum,
            "ModPO": planning.submodular_value(mdp, planning.modular_policy(mdp)) / optimum,
            "uniform": planning.submodular_value(mdp) / optimum,
        }
    )
results = pd.DataFrame(rows)

# %%
# A group of dots for each grid; whiskers are the range of the seeds. Forgetting is what lies between "best Markov found" and 1.
shown = {"SubPO": "o", "best Markov found": "D", "greedy with memory": "s", "ModPO": "^", "uniform": "v"}
fig, axes = figure(1, 1, height=3.6, width=7.0)
axis, place = axes[0, 0], np.arange(len(results))
for i, (name, marker) in enumerate(shown.items()):
    label = f"SubPO, median and range of {SEEDS} seeds" if name == "SubPO" else name
    axis.plot(place + 0.15 * (i - 2), results[name], marker, color=COLORS[i], markersize=5.5, label=label)
axis.vlines(place - 0.3, results.smallest, results.largest, color=COLORS[0], linewidth=1.2)
axis.hlines(results.certificate, place - 0.42, place + 0.42, color="black", linewidth=1.4, label="certificate, a bound for every policy")
axis.axhline(1, color="0.4", linewidth=0.9, linestyle=":", label="OPT, policies with memory")
for edge in place[1:] - 0.5:
    axis.axvline(edge, color="0.85", linewidth=0.8)
axis.set(
    xticks=place,
    xlabel="grid, horizon H, slip, sensor (own cell or 2x2)",
    ylabel="value / OPT",
    xlim=(-0.5, len(results) - 0.5),
    ylim=(0, 1.25),
)
axis.set_title("OPT bounds every policy, the certificate bounds OPT; without slip some Markov policy attains OPT")
axis.set_xticklabels(results.grid, fontsize=7.5)
axis.grid(axis="x", visible=False)
legend_below(fig, axis, columns=3)
save(fig, "plot_subpo_tiny", results)
plt.show()

# %%
# The theorems hold, no Markov policy is better than the best one found, and the sure worlds need no memory: there the best Markov policy
# is as good as any (subpo spec, S2).
assert (results[list(shown)].to_numpy() <= 1 + 1e-9).all()
assert (results[["SubPO", "largest", "ModPO", "uniform"]].max(axis=1) <= results["best Markov found"] + 1e-9).all()
assert (results.certificate >= 1 - 1e-9).all()
print(results.drop(columns=["grid"]).round(3).to_string(index=False))

# %%
# Greedy with memory beats a learned Markov policy on slippery grids: part of what SubPO loses there is its class, part is local optima, as
# better Markov policies exist. ModPO returns to the heaviest cell again and again: it is paid for it, the true objective is not.
#
# Exercises: (1) Replace a grid by ``submodular.bait(4, 100)``: which dots survive? (2) ``weights="prefix"`` is what the authors'
# released code does: where does its dot stand? (3) On which grid is the certificate loosest, and does ``branch_and_bound`` close it?
