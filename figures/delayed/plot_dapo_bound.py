r"""
A theorem beside its runs
=========================

With every constant of its proof, delay-adapted policy optimization satisfies (dapo spec, theorem SEQ, at learning rate :math:`\eta`)

.. math:: E R_K \le \frac{H \log A}{\eta} + (1 + \tfrac{1}{H})^H c H S A K + \tilde D \sum_h (\ldots) \delta_h,

where :math:`\tilde D` counts each delay only as far as the run goes. The proof also gives a number for each run, computed from what the
learner saw: the certificate :math:`C`, with :math:`E[R_K - C] \le 0`. Both are statements about means, and both are loose. How loose?
"""

# %%
# One random model (H = 3, S = 3, A = 2, losses drawn anew in each episode), two delays, and runs of several lengths, each with the
# learning rate of the theorem.
import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.algorithms import DAPO, Uniform
from tabular_rl.plotting import COLORS, figure, save, size

SEEDS = 16
mdp = trl.instances.delay_instance()
world, H = trl.losses.stochastic(mdp), mdp.horizon
lengths = size(quick=[500, 1_000, 2_000, 4_000, 8_000, 16_000], full=[500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000])
rows = []
for d in (0, 5):
    for K in lengths:
        problem = trl.delays.delayed(world, trl.delays.fixed(d))
        runs = [DAPO(batch="sequential").run(problem, K, seed=[d, K, seed]) for seed in range(SEEDS)]
        uniform = Uniform().run(world, K)["regret"][-1]
        for seed, run in enumerate(runs):
            numbers = {"regret": run["regret"][-1], "certificate": run.parameters["certificate"], "bound": run.parameters["bound"]}
            rows.append({"delay": d, "episodes": K, "seed": seed, **numbers, "uniform": uniform, "trivial": H * K})
results = pd.DataFrame(rows)

# %%
# From above: what nobody can exceed, the theorem, the certificate of the runs, their regret, and a learner that learns nothing, which
# crosses the bound and so proves that something was learned.
fig, axes = figure(1, 2, height=3.2, sharey=True)
curves = {"trivial": "$H K$", "bound": "theorem", "certificate": "certificate", "uniform": "uniform policy", "regret": "DAPO"}
for axis, (d, group) in zip(axes[0], results.groupby("delay"), strict=True):
    for i, (column, label) in enumerate(curves.items()):
        values = group.groupby("episodes")[column]
        axis.plot(
            values.median().index, values.median(), color=["0.6", *COLORS][i], label=label, linewidth=1.6 if column == "regret" else 1.1
        )
        axis.fill_between(values.median().index, values.min(), values.max(), color=["0.6", *COLORS][i], alpha=0.25, linewidth=0)
    axis.plot(lengths, 12 * np.sqrt(lengths), color="0.5", linestyle=":", linewidth=0.9)
    axis.annotate(
        r"$\sqrt{K}$",
        (lengths[-1], 12 * np.sqrt(lengths[-1])),
        ha="right",
        fontsize=8,
        color="0.35",
        xytext=(0, 3),
        textcoords="offset points",
    )
    axis.set(title=f"every delay {d}", xscale="log", yscale="log", xlabel="episodes $K$", ylabel="regret (loss units)" if d == 0 else None)
    axis.legend(fontsize=7)
fig.suptitle(f"theorem, certificate and regret at the theorem's learning rate; median, smallest and largest of {SEEDS} seeds", fontsize=9)
save(fig, "plot_dapo_bound", results)

# %%
# Is the statement about means refuted? It is not; and where does the bound say something at all?
means = results.groupby(["delay", "episodes"])[["regret", "certificate", "bound", "uniform", "trivial"]].mean()
assert (means.regret <= means.certificate).all()
assert (means.regret <= means.bound).all()
for d, group in means.groupby("delay"):
    said, learned = group[group.bound < group.trivial], group[group.bound < group.uniform]
    first = lambda rows: rows.index[0][1] if len(rows) else "no length tried"
    print(f"delay {d}: the bound is below H K from K = {first(said)} on, below the uniform policy's regret from K = {first(learned)} on")

# %%
# Without delays the bound is below the trivial one from about 600 episodes on, and below the uniform policy after 16000; with a delay of 5
# both take much longer. The certificate knows how far the policy really moved while feedback was on its way, and is a fifth to a third
# smaller; the regret itself is far below both.
#
# Exercises: (1) Run at ten times the learning rate: the certificate stays useful where the theorem is vacuous. (2) Replace ``fixed`` by
# ``pareto``: does the bound see the difference?
