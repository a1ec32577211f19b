r"""
Does the delay adaptation help? Both answers
============================================

When late losses arrive the policy has moved from :math:`\pi` to :math:`p`. Delay adaptation multiplies the importance weight by
:math:`\pi / \max(\pi, p)`, and with it :math:`q \sum_a p\, w \le A` holds whatever the policy did in between: this is the step where the
proof of the plain estimator breaks. A worst-case guarantee is not an average gain, though. Here are environments where the adaptation
helps and others where it hurts, over a range of learning rates.

How these settings were chosen: they are examples of both directions out of a sweep over 99 pairs of environment and learning rate, where
the adapted estimator was better in 22, the plain one in 27, and no difference was seen in 50. No bonus is used, as in that sweep.
"""

# %%
# Three environments: losses that stay, losses that switch once while feedback is 2000 episodes late, and a bandit with a square wave whose
# half period is about the delay.
import numpy as np

import tabular_rl as trl
from tabular_rl.experiments import Cell, run_cells
from tabular_rl.plotting import band, figure, legend_below, save, size

SEEDS, K = 16, size(quick=20_000, full=20_000)
mdp = trl.instances.delay_instance()
bandit = trl.FiniteHorizonMDP(np.ones((1, 3, 1)), np.zeros((1, 3)), horizon=1)
wave = trl.instances.loss_tables.square(1, 1, 3, gap=0.9)
wave[:, :, :, 2] = 0.4
environments = {
    "stochastic, delay 100": (trl.losses.stochastic(mdp), 100),
    "one switch, delay 2000": (trl.losses.switching(mdp, K // 2), 2000),
    "wave of 500, delay 500": (trl.losses.periodic(bandit, wave, 500, offset=250), 500),
}
multipliers = size(quick=[1, 3, 10, 30, 100, 300], full=[0.3, 1, 3, 10, 30, 100, 200, 300, 1000])

# %%
# The learning rates are multiples of :math:`\sqrt{\log A / (H^2 (S A K + D))}`, with exploration :math:`\gamma = \eta H / 2`.
cells = []
for name, (world, d) in environments.items():
    H, S, A = world.shape
    problem = trl.delays.delayed(world, trl.delays.fixed(d))
    base = np.sqrt(np.log(A) / (H**2 * (S * A * K + d * K)))
    for multiplier in multipliers:
        for estimator in ("adapted", "plain"):
            learner = trl.algorithms.DAPO(
                "practical", learning_rate=multiplier * base, bonus_scale=0, estimator=estimator, batch="sequential"
            )
            cells += [Cell((f"dapo-eta, {multiplier}", name, estimator, seed), problem, learner, K) for seed in range(SEEDS)]
results = run_cells(cells)
results["multiplier"] = np.repeat(
    [float(cell.labels[0].split()[-1]) for cell in cells], results.groupby("problem").episode.nunique().iloc[0]
)
results = results[results.episode == K]

# %%
# Regret may be negative where the world changes: the learner follows it, the best fixed policy cannot.
fig, axes = figure(1, 3, height=2.8)
for axis, name in zip(axes[0], environments, strict=True):
    band(axis, results[results.problem == name], x="multiplier", y="regret", by="algorithm")
    axis.axhline(0, color="0.4", linewidth=0.8)
    axis.set(title=name, xscale="log", xlabel="learning rate (multiples)")
axes[0, 0].set_ylabel("regret (loss units)")
fig.suptitle(f"after {K} episodes; median of {SEEDS} seeds, bands 5 % to 95 %", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_dapo_eta", results[["problem", "algorithm", "replicate", "multiplier", "regret"]])

# %%
# What to see. Left: plain feedback learns faster, for the ratio discards evidence against the very actions that the policy moved to. In
# the middle the adapted learner follows the switch at a rate where the plain one is lost. On the right the plain one is better at
# moderate rates, and breaks first at the largest. The adaptation buys the guarantee, and robustness to a rate that is too large; it is not
# an empirical gain overall.
#
# Exercises: (1) Switch the bonus on. (2) Find an environment of your own for each direction, and say how many you tried.
