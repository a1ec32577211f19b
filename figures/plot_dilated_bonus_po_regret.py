r"""
Exploration bonuses against an adversary
========================================

An adversary may change the losses of every episode, and the learner sees only those of the states it walked through. Optimism
(UCBVI) trusts that the losses stay what they were; exponential weights do not, if they are paid to look everywhere.

Dilated-bonus policy optimization keeps weights :math:`\pi_k(a \mid s) \propto \exp(-\eta \sum_{j<k} (\hat Q_j - B_j)(s, a))`. Its
bonus :math:`B_j` solves a Bellman equation whose future counts :math:`1 + 1/H` times, and pays for the variance of the estimate
:math:`\hat Q_j` in the states that any comparator may want to visit. Then :math:`E[\mathrm{regret}] = O(H^2 \sqrt{S A K \log A})`
in every world, against every policy fixed in advance (Luo, Wei, Lee 2021; here with the constants derived for delayed feedback at
delay zero). The plots compare with the best policy in hindsight: in the adaptive world that asks for more than is proven.

Two maps (a river that pulls back, and Gymnasium's frozen lake without ice) times two worlds: losses drawn from one distribution,
and an adversary who charges whatever action the learner likes best.
"""

# %%
# The problems. Eight steps suffice to cross either map; losses are 1 - reward.
import tabular_rl as trl
from figures.style import band, figure, legend_below, points, reference_slope, save, size

maps = {"river swim": trl.instances.river_swim(n=4, horizon=8), "frozen lake": trl.instances.frozen_lake(horizon=8, is_slippery=False)}
worlds = {"stochastic": trl.losses.stochastic, "adversary": trl.losses.anti_greedy}
problems = {f"{place}, {world}": charge(mdp) for place, mdp in maps.items() for world, charge in worlds.items()}

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
# Every learner meets every world, 16 times. The learning rate belongs to the number of episodes, and so does the theorem: it speaks of
# the end of a run, not of the way there. Hence runs of several lengths. Finished runs are kept: run the script again and only the
# plot is redrawn.
lengths = size(quick=[300, 3_000, 30_000], full=[1_000, 10_000, 100_000, 1_000_000])
grid = [trl.experiments.Experiment(f"dilated-bonus-po-regret, K={K}", problems, algorithms, K, replicates=16) for K in lengths]
results = trl.experiments.run_cells([cell for experiment in grid for cell in experiment.cells])

# %%
# Regret is exact: the occupancy measure of each policy against the best fixed policy in hindsight. Curves are the longest runs, dots the
# ends of runs of their own length. Dotted lines have slope 1/2, the theorem's, and slope 1: a learner that learns nothing.
longest = results[results.length == lengths[-1]]
ends = results[(results.episode == results.length) & results.algorithm.str.startswith("PO")]
fig, axes = figure(2, 2, sharex=True, height=2.5)
for axis, name in zip(axes.flat, problems, strict=True):
    axis.set(title=name, xscale="log", yscale="log", xlim=(10, 1.3 * lengths[-1]), ylim=(3, 60 * lengths[-1]))
    band(axis, longest[longest.problem == name], x="episode", y="regret", by="algorithm")
    points(axis, ends[ends.problem == name], x="length", y="regret", by="algorithm")
    reference_slope(axis, 1, "$K$", through=(10, 150))
    reference_slope(axis, 1 / 2, r"$\sqrt{K}$", through=(10, 6))
for axis in axes[-1]:
    axis.set_xlabel("episodes $K$")
for axis in axes[:, 0]:
    axis.set_ylabel("regret (loss units)")
fig.suptitle("median of 16 seeds; bands and whiskers: 5 % to 95 %; dots: runs tuned to their length", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_dilated_bonus_po_regret", results)

# %%
# What to see. Against the adversary UCBVI suffers in every episode alike: its regret has slope 1, whatever it has learned. The dots of
# policy optimization in the river turn to slope 1/2. In the stochastic world UCBVI wins, and on the frozen lake, with four times the
# states, runs of this length have only begun to learn: the constants of :math:`H^2 \sqrt{S A K}` are the price of a guarantee
# against everybody.
#
# Exercises: (1) Set ``bonus_scale=0`` and find a map where it matters. (2) How long must K be before "theory" bends on the lake?
