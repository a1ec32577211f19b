r"""
A run that certifies itself
===========================

With the theory's constants a run of best-of-both-worlds policy optimization knows a bound on its own regret: the sum of what its dilated
bonuses are worth at the start, plus what the first policies cost. In expectation the regret against every policy fixed in advance lies
below it, in either world, and the certificate adapts to the world as the regret does: logarithmic here, square root there.

Proven (theorem bobw-certificate of the executed proofs, clipped-occupancy variant). Left: the best policy in hindsight, which stochastic
losses fix in advance. Right: the uniform policy, as an adversary who looks at the learner makes the best one in hindsight depend on the
draws, and of that nothing is proven. The closed form of the theorem is much looser, as the dotted line shows.
"""

# %%
# Three regularizers; Shannon's rate follows the entropy that is played, which has closed bounds.
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import tabular_rl as trl
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

SEEDS, T = 16, size(quick=100_000, full=1_000_000)
mdp = trl.instances.gap_instance()
H, S, A = mdp.shape
worlds = {"stochastic": trl.losses.stochastic(mdp), "anti-greedy adversary": trl.losses.anti_greedy(mdp)}
against = {"stochastic": ("regret", "the best policy"), "anti-greedy adversary": ("comparator_regret", "the uniform policy")}
learners = {"Tsallis": BestOfBothWorlds(), "Shannon": BestOfBothWorlds("shannon", entropy="current")}


@dataclass(frozen=True)
class AgainstUniform:
    """A learner beside the uniform policy, which is fixed in advance."""

    learner: Any

    def run(self, problem, n, seed):
        return self.learner.run(problem, n, seed, comparator=np.full(problem.shape, 1 / problem.shape[-1]), certified=True)


cells = [
    Cell(("bobw-certificate", world, name, seed), problem, AgainstUniform(learner), T)
    for world, problem in worlds.items()
    for name, learner in learners.items()
    for seed in range(SEEDS)
]
results = run_cells(cells)


# %%
# The adversarial closed form of theorem bobw-tsallis.
def closed_form(T):
    """e sqrt(2) (sqrt(1 + d) (sqrt(A) - 1) + sqrt(A)) sum_h R_h sqrt(S T Lam) + G + I0."""
    c0, eps, N0, _, _ = BestOfBothWorlds().resolve(mdp.shape, T)
    d, R = eps / math.sqrt(N0), np.arange(H, 0, -1).sum()
    lam = 2 * np.log1p(eps * T / (2 * math.sqrt(N0)))
    factor = math.e * math.sqrt(2) * (math.sqrt(1 + d) * (math.sqrt(A) - 1) + math.sqrt(A))
    return factor * R * np.sqrt(S * T * lam) + 2 * math.e * (1 + d) * lam * S * R + BestOfBothWorlds().initial_term(mdp.shape, T, c0, N0)


# %%
# Solid: regret. Dashed: certificate, with the band of the seeds.
fig, axes = figure(1, 2, height=3.1, sharey=True)
for axis, (world, (regret, whom)) in zip(axes[0], against.items(), strict=True):
    for i, name in enumerate(learners):
        here = results[(results.problem == world) & (results.algorithm == name) & (results.episode >= 100)]
        for column, style in ((regret, LINES[0]), ("certificate", LINES[1])):
            table = here.pivot(index="episode", columns="replicate", values=column)
            axis.plot(
                table.index, table.median(axis=1), color=COLORS[i], linestyle=style, label=f"{name}: {column.removeprefix('comparator_')}"
            )
            axis.fill_between(table.index, *table.quantile([0.05, 0.95], axis=1).to_numpy(), color=COLORS[i], alpha=0.2, linewidth=0)
    axis.plot(table.index, closed_form(table.index.to_numpy()), color="0.45", linewidth=0.9, linestyle=":", label="closed form (Tsallis)")
    axis.plot(table.index, H * table.index, color="0.7", linewidth=0.9, label="H T, the most to lose")
    axis.set(xscale="log", yscale="log", xlabel="episodes T", title=f"{world}: against {whom}")
for axis in axes[0]:
    reference_slope(axis, 0.5, "slope 1/2", (T, 8))
axes[0, 0].set_ylabel("regret and its bounds (loss units)")
fig.suptitle(f"The certificate bounds the mean regret and adapts to the world (median of {SEEDS} seeds, bands 5 % to 95 %)", fontsize=9)
legend_below(fig, axes[0, 0], columns=3)
save(fig, "plot_bobw_certificate", results)
columns = ["regret", "comparator_regret", "certificate"]
print(results[results.episode == T].groupby(["problem", "algorithm"])[columns].mean().round().to_string())

# %%
# What to see. Against stochastic losses Tsallis' certificate is within a factor three of the regret, Shannon's within four.
# It starts at I0, what the first policies cost, and is trivial (above H T) for a few hundred episodes.
#
# Exercises: (1) Which of penalty, stability and bias makes the largest part of the certificate? (2) Why must the bonus have its full scale?
