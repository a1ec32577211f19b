r"""
DR-RPO: what a temperature buys, and what it costs
==================================================

The KL cost :math:`\tau` keeps DR-RPO's policies random. Where features mix factors (left), that is what makes the factors identifiable: a
deterministic policy meets one feature vector in a state, its coverage :math:`C` (the least number with
:math:`E\,\mathrm{diag}(\phi) \preceq C\,E\,\phi \phi^T` under the policy, for the features of unknown factors) is infinite, and no data
tell it which factor pays. The price is a bias, the exact gap :math:`V^*_0 - V_0(\pi^*_\tau)` of the best regularized policy (dashed): the
gap of what is learned is U-shaped. In a table (right) :math:`C = 1` for every policy, nothing is bought, and the gap only grows.

Both are measured without the KL cost, exactly, after the last episode. Proven (derived in this project): theorem 2's regret is of order
:math:`\sqrt{C K}` at bonus scale 1; the scale 0.1 used here was chosen by trying and carries no guarantee.
"""

# %%
# Ten seeds for each temperature; the exact planner gives the bias and the coverage of the best regularized policy.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRRPO
from tabular_rl.instances import robust_linear
from tabular_rl.planning.robust.linear import factor_coverage, robust_linear_evaluate, robust_linear_solve
from tabular_rl.plotting import COLORS, figure, legend_below, points, save, size

SEEDS, EPISODES = 10, size(quick=4000, full=10_000)
ZERO = 1e-3  # where tau = 0 stands on the logarithmic axis
problems = {
    "off-dynamics, radius 0.3": (robust_linear.off_dynamics(0.3), (0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1)),
    "RiverSwim, radius 0.02": (robust_linear.river_swim(0.02), (0, 0.005, 0.02, 0.05, 0.1, 0.3)),
}
learned, exact = [], []
for name, (mdp, temperatures) in problems.items():
    best = robust_linear_solve(mdp).values[0, mdp.initial]
    for tau in temperatures:
        policy = robust_linear_solve(mdp, tau).policy
        bias = best - robust_linear_evaluate(mdp, policy).values[0, mdp.initial]
        exact.append((name, tau, bias, factor_coverage(mdp, policy)[0]))
        for seed in range(SEEDS):
            gap = DRRPO(tau=tau, evaluate_every=10**6).run(mdp, EPISODES, seed)["plain_suboptimality"][-1]
            learned.append((name, "learned", tau, seed, gap))
learned = pd.DataFrame(learned, columns=["problem", "learner", "tau", "replicate", "gap"])
exact = pd.DataFrame(exact, columns=["problem", "tau", "bias", "coverage"])

# %%
# Above: the gap. Below: the coverage of step 0; a triangle stands for infinity.
fig, axes = figure(2, 2, height=2.3)
top = 4 * exact.coverage[np.isfinite(exact.coverage)].max()
for i, name in enumerate(problems):
    table = exact[exact.problem == name].assign(tau=lambda rows: rows.tau.replace(0, ZERO))
    dots = learned[learned.problem == name].assign(tau=lambda rows: rows.tau.replace(0, ZERO))
    points(axes[0, i], dots, x="tau", y="gap", by="learner")
    axes[0, i].plot([], [], "o", color=COLORS[0], markersize=3.5, label=f"learned in {EPISODES:,} episodes")
    axes[0, i].plot(table.tau, table.bias, "--", color=COLORS[1], label="bias of the best regularized policy (exact)")
    axes[0, i].set(xscale="log", ylabel="gap without KL cost (reward)" if i == 0 else "")
    axes[0, i].set_title(f"{name}", fontsize=8)
    finite = np.isfinite(table.coverage)
    axes[1, i].plot(table.tau[finite], table.coverage[finite], "s-", color=COLORS[2], markersize=3.5)
    axes[1, i].plot(
        table.tau[~finite],
        np.full((~finite).sum(), top),
        "^",
        color=COLORS[2],
        markersize=6,
        label="C is infinite" if i == 0 else None,
    )
    axes[1, i].set(xscale="log", yscale="log", ylim=(0.5, 2 * top), xlabel="temperature tau (reward)", ylabel="")
    for axis in axes[:, i]:
        axis.set_xticks([ZERO, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
        axis.minorticks_off()
axes[1, 0].set_ylabel("coverage C, step 0")
fig.suptitle(f"Mixed factors need some temperature, a table none (median of {SEEDS} seeds, whiskers: middle 90 %)", fontsize=9)
legend_below(fig, axes[0, 0], axes[1, 0], columns=2)
save(fig, "plot_dr_rpo_tau", learned.merge(exact, on=["problem", "tau"]))
plt.close(fig)

# %%
# The numbers.
for (name, tau), group in learned.groupby(["problem", "tau"], sort=False):
    row = exact[(exact.problem == name) & (exact.tau == tau)].iloc[0]
    print(f"{name}, tau {tau:g}: learned {group.gap.mean():.4f} +- {group.gap.std():.4f}, bias {row.bias:.4f}, C {row.coverage:.3g}")

# %%
# Exercises: (1) Why is the learned gap at small tau that of never learning? (2) Give the reference ``0.7 * optimal + 0.3 * uniform`` on
# RiverSwim: where does the bias go? (3) Draw more episodes: which side of the U moves?
