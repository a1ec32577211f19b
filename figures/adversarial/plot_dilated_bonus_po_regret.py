r"""
Exploration bonuses against an adversary
========================================

An adversary may change the losses of every episode, and the learner sees only those of the states it walked through. Optimism
(UCBVI) trusts that the losses stay what they were; exponential weights do not, if a bonus pays for exploration.

Dilated-bonus policy optimization keeps weights :math:`\pi_k(a \mid s) \propto \exp(-\eta \sum_{j<k} (\hat Q_j - B_j)(s, a))`. Its
bonus :math:`B_j` solves a Bellman equation whose future counts :math:`1 + 1/H` times, and pays for the variance of the estimate
:math:`\hat Q_j` in the states that any comparator may want to visit. Then :math:`E[\mathrm{regret}] = O(H^2 \sqrt{S A K \log A})`
in every world, against every policy fixed in advance (Luo, Wei, Lee 2021; here with the constants derived for delayed feedback at
delay zero). The plots compare with the best policy in hindsight: in the adaptive world that asks for more than is proven.

Two maps (a river that pulls back, and Gymnasium's frozen lake without ice) against an adversary who charges whatever action the learner
likes best; and the river once more with losses drawn from one distribution.
"""

# %%
# The problems. Eight steps suffice to cross either map; losses are 1 - reward.
import numpy as np

import tabular_rl as trl
from tabular_rl.plotting import band, figure, legend_below, reference_slope, save, size

river, lake = trl.instances.river_swim(n=4, horizon=8), trl.instances.frozen_lake(horizon=8, is_slippery=False)
problems = {
    "river swim, adversary": trl.losses.anti_greedy(river),
    "frozen lake, adversary": trl.losses.anti_greedy(lake),
    "river swim, stochastic": trl.losses.stochastic(river),
}

# %%
# The learners, all told the transition, so that only the losses are unknown. "theory" has every constant of the proof; "practical"
# explores less and learns faster, without a theorem: its constants were chosen on another, smaller problem, before these were drawn.
algorithms = {
    "PO, theory": trl.algorithms.DilatedBonusPO(),
    "PO, practical": trl.algorithms.DilatedBonusPO("practical"),
    "UCBVI": trl.algorithms.UCBVI(transition="known"),
    "uniform": trl.algorithms.Uniform(),
}

# %%
# Every learner meets every world, eight times. The learning rate belongs to the number of episodes, and so does the theorem: it speaks of
# the end of a run, not of the way there. Hence runs of several lengths, and of each its last episode. Finished runs are kept: run the
# script again and only the plot is redrawn.
SEEDS, lengths = 8, size(quick=[300, 3_000, 30_000], full=[1_000, 10_000, 100_000, 1_000_000])
grid = [trl.experiments.Experiment(f"dilated-bonus-po-regret, K={K}", problems, algorithms, K, replicates=SEEDS) for K in lengths]
results = trl.experiments.run_cells([cell for experiment in grid for cell in experiment.cells])
ends = results[results.episode == results.length]

# %%
# Regret is exact: the occupancy measure of each policy against the best fixed policy in hindsight. Dotted lines have slope 1/2, the
# theorem's, and slope 1: a learner that learns nothing.
fig, axes = figure(1, 3, height=3.1, sharex=True, sharey=True)
axes[0, 0].set(xscale="log", yscale="log", xlim=(0.7 * lengths[0], 1.4 * lengths[-1]), ylabel="regret (loss units)")
for axis, name in zip(axes[0], problems, strict=True):
    band(axis, ends[ends.problem == name], x="length", y="regret", by="algorithm", marker="o")
    axis.set(title=name, xlabel="episodes $K$")
axes[0, 0].set_ylim(0.6 * ends.regret.min(), 2 * ends.regret.max())
for axis, name in zip(axes[0], problems, strict=True):
    first = ends[(ends.problem == name) & (ends.length == lengths[0])].groupby("algorithm").regret.median()
    reference_slope(axis, 1, "$K$", through=(lengths[0], 2 * first.max()))
    reference_slope(axis, 1 / 2, r"$\sqrt{K}$", through=(lengths[0], first["PO, practical"] / 2.5))
message = "Against an adversary the regret of policy optimization is sublinear, that of optimism linear"
fig.suptitle(f"{message}\nmedian and middle 90 % of {SEEDS} seeds", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_dilated_bonus_po_regret", ends)

# %%
# The exponents between neighboring lengths, of the medians.
medians = ends.groupby(["problem", "algorithm", "length"], sort=False).regret.median().unstack()
slopes = np.log(medians).diff(axis=1).iloc[:, 1:] / np.diff(np.log(lengths))
print(slopes.round(2).to_string())

# %%
# What to see. Against the adversary UCBVI suffers in every episode alike: its regret has slope 1, whatever it has learned. Policy
# optimization turns to slope 1/2: at full size (a million episodes) 0.5 in the river, and still 0.6 on the lake, which has four times the
# states. In the stochastic world UCBVI wins: the constants of :math:`H^2 \sqrt{S A K}` are the price of a guarantee against everybody.
#
# Exercises: (1) Set ``bonus_scale=0`` and find a map where it matters. (2) Draw the way of one long run beside the ends of short ones: why
# does it rise faster than the square root in the end?
