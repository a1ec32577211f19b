r"""
Learning the transition as well
===============================

When the transition is unknown, the occupancy :math:`q` in the importance weights is replaced by its largest value :math:`u` over a
confidence set, the bonus pays for the width :math:`u - l`, and the set shrinks as trajectories arrive. Three ways to size it: with the
logarithm of the theory, with a hundredth of it (then the set misses the truth: fine for a plot, not for a proof), or knowing the
transition. The sum of the widths is what the learner pays for not knowing; divided by the number of episodes it must go to zero.
"""

# %%
# One random model (H = 3, S = 3, A = 2) with stochastic losses, without delay and with a delay of 50. The bonus is a tenth of the
# theory's (the practical preset), its part for the unknown transition a twentieth.
import tabular_rl as trl
from tabular_rl.algorithms import DAPO
from tabular_rl.plotting import band, figure, legend_below, reference_slope, save, size

mdp = trl.instances.delay_instance()
problems = {f"delay {d}": trl.delays.delayed(trl.losses.stochastic(mdp), trl.delays.fixed(d)) for d in (0, 50)}
learners = {
    "known": DAPO("practical"),
    "unknown": DAPO("practical", transition="unknown", confidence_bonus_scale=0.05),
    "unknown, log / 100": DAPO("practical", transition="unknown", confidence_bonus_scale=0.05, confidence_scale=0.01),
}
episodes = size(quick=10_000, full=64_000)
results = trl.experiments.Experiment("dapo-unknown", problems, learners, episodes, replicates=16).run()

# %%
# Above: regret. Below: the sum of u - l over all steps and states, averaged over the episodes so far: no probability, it starts at
# (H - 1) S = 6, for only the first step is known.
fig, axes = figure(2, 2, height=2.4, sharex=True, sharey="row")
for column, name in enumerate(problems):
    here = results[results.problem == name]
    upper, lower = axes[:, column]
    upper.set(title=name, xscale="log", yscale="log", xlim=(10, episodes), ylim=(5, 1e4))
    band(upper, here, x="episode", y="regret", by="algorithm")
    reference_slope(upper, 1 / 2, r"$\sqrt{K}$", through=(10, 10))
    lower.set(xscale="log", xlabel="episodes $K$", ylim=(0, 6.3))
    widths = here.assign(width=here.uncertainty.fillna(0) / here.episode)
    band(lower, widths, x="episode", y="width", by="algorithm")
axes[0, 0].set_ylabel("regret (loss units)")
axes[1, 0].set_ylabel("sum of widths $u - l$\n(mean per episode)")
fig.suptitle("What is not known about the transition falls, slowly in theory (median of 16 seeds, bands 5 % to 95 %)", fontsize=9)
legend_below(fig, axes[0, 0])
save(fig, "plot_dapo_unknown", results)

# %%
# What to see. With the width of the theory more than a third of the initial uncertainty is left after 10000 episodes: a proof pays for
# every state that it has to be sure about. The price in regret is small here, because the practical bonus is small; with the full bonus
# (``confidence_bonus_scale=1``) the regret is nearly linear at this length.
#
# Exercises: (1) Let trajectories arrive at once (``trajectory="immediate"``) and explain why nothing is proven for that. (2) Read off
# the width at which exploration stops to matter.
