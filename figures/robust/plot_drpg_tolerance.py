r"""
How exact must the adversary be?
================================

Each iteration of robust policy gradient asks for a kernel whose cost is within :math:`\varepsilon_t` of the worst one. The theorem wants
:math:`\varepsilon_{t + 1} \le \gamma \varepsilon_t`, so that the errors have a finite sum; an inner solver that always misses by the same
amount is only guaranteed an error of the order of that amount. Here the inner solver misses on purpose and as badly as it may: it mixes
the worst kernel with the nominal one until exactly :math:`\varepsilon_t` of the cost is lost (or all that can be lost). Right: honest inner
solvers, which stop at a certificate of :math:`\varepsilon_t`: the adversary's policy iteration, and projected gradient ascent.
"""

# %%
# Garnet(5, 6, 3) of the paper, step 0.25, 200 updates; J* is about 7 here, so a loss of 0.05 is 0.7 % of it. All losses were chosen before
# looking, a factor of 10 apart. Errors are those of the worst case of pi_t, not of what the inexact adversary showed to the agent.
from dataclasses import replace

import numpy as np
import pandas as pd

from tabular_rl.algorithms import DRPG
from tabular_rl.instances import garnet_policy, garnet_robust
from tabular_rl.planning import solve
from tabular_rl.plotting import COLORS, LINES, figure, floor, save, size

SEEDS, STEPS = size(quick=10, full=50), 200
given = DRPG(rule="constant", scale=0.25)
LOSSES = {
    "5": replace(given, loss=5.0),
    "0.5": replace(given, loss=0.5),
    "0.05": replace(given, loss=0.05),
    r"$\gamma^t$": replace(given, loss=1.0, loss_factor=0.95),
    "0": given,
}
ASCENTS = {
    "exact": given,
    r"ascent, $10 \gamma^t$": replace(given, inner="projected", tolerance=10.0),
    r"ascent, $\gamma^t$": replace(given, inner="projected"),
    r"ascent, $0.1 \gamma^t$": replace(given, inner="projected", tolerance=0.1),
}
tables = []
for seed in range(SEEDS):
    mdp, start = garnet_robust(seed=seed), garnet_policy(seed=seed)
    optimum = solve(mdp, tolerance="exact").objective
    for panel, solvers in (("loss", LOSSES), ("ascent", ASCENTS)):
        for name, solver in solvers.items():
            trace = replace(solver, start=start).run(mdp, STEPS)
            solves = np.cumsum(trace["inner"] + (solver.inner == "projected"))  # an ascent of k steps evaluates k + 1 kernels
            columns = {"t": trace.index, "error": trace["upper"] / optimum - 1, "solves": solves}
            tables.append(pd.DataFrame(columns | {"name": name, "panel": panel, "replicate": seed}))
results = pd.concat(tables)

# %%
# Left: the mean over the Garnets, thin: the largest; most seeds reach the optimum, so means are made by the few that have not. Right: the
# end of each run, and beside the name of its solver how many kernels an update evaluated. Zero has no place on these axes: it is drawn at
# the lowest tick.
fig, axes = figure(1, 2, height=3.4, width_ratios=[1, 1.15])
left, right = axes[0]
for i, (name, group) in enumerate(results[results.panel == "loss"].groupby("name", sort=False)):
    errors = group.pivot(index="t", columns="replicate", values="error")
    left.plot(errors.index + 1, errors.mean(axis=1), color=COLORS[i], linestyle=LINES[i], linewidth=1.8, label=name)
    left.plot(errors.index + 1, errors.max(axis=1), color=COLORS[i], linestyle=LINES[i], linewidth=0.6)
left.set(xscale="log", yscale="log", xlabel="updates of the policy t + 1", ylabel=r"relative error $\Phi(\pi_t) / J^* - 1$", ylim=(1e-6, 3))
left.set_title("constant losses of 5 and 0.5 leave floors", fontsize=8)
left.legend(title=r"loss $\varepsilon_t$ (cost)", fontsize=7, title_fontsize=7, loc="lower left")
floor(left, 1e-6)
jitter, ascents = np.linspace(-0.3, 0.3, SEEDS), results[(results.panel == "ascent") & (results.t == STEPS)]
for i, (_, group) in enumerate(ascents.groupby("name", sort=False)):
    right.plot(i + jitter, group.error, "osD^"[i], color=COLORS[i], markersize=4, alpha=0.8)
solves = ascents.groupby("name", sort=False).solves.mean() / (STEPS + 1)
right.set_xticks(range(len(solves)), [f"{name}\n{count:.2f}" for name, count in solves.items()], fontsize=7)
right.set(yscale="log", xlabel="inner solver; linear solves per update", ylabel=f"relative error after {STEPS} updates", ylim=(1e-9, 1))
right.set_title("solvers with a certificate: as good as the exact one", fontsize=8)
floor(right, 1e-9)
fig.suptitle(f"Garnet(5, 6, 3), L1 sets; {SEEDS} seeds; left: mean, thin: largest; right: a point per seed", fontsize=9)
save(fig, "plot_drpg_tolerance", results)

# %%
# The means that the theory's two cases lead to. The geometric tolerance costs nothing; a constant one leaves a floor.
final = results[results.t == STEPS].groupby(["panel", "name"], sort=False).agg(error=("error", "mean"), largest=("error", "max"))
final["solves per update"] = results[results.t == STEPS].groupby(["panel", "name"], sort=False).solves.mean() / (STEPS + 1)
print(final.to_string(float_format="%.2g"))
if STEPS == 200:
    assert final.error["loss", "5"] > 1e-3  # an adversary that is off by 5 does not lead to 1e-3

# %%
# What to see. Ascent with a certificate is as good as the exact solver: warm starts leave it little to do, most iterations take no step at
# all. A loss of 0.05 in every iteration is below the run's own error at that time and changes nothing that could be seen; 0.5 and 5
# leave floors, far below the loss itself divided by J*: the guarantee is a worst case over how the loss is hidden, and this way of
# hiding it is one of many. Nothing is proven about the size of these floors.
#
# Exercises: (1) Let the loss shrink like 1 / t. Is the sum of errors still bounded, and does one see it? (2) The ascent's step is 0.5; the
# theory's is ``1 / constants(mdp).ell_kernel``. How many inner steps does that take? (3) Mix with another kernel of the set.
