r"""
The theorem of robust policy gradient, with its constants
=========================================================

For a convex rectangular set, a start that is positive everywhere, certified inner gaps :math:`\varepsilon_t` and a constant step
:math:`\alpha` (drpg spec 7.4, derived after Wang, Ho, Petrik 2023):

.. math:: \min_t U_t - J^* \le K \sqrt{\frac{2 (\Phi(\pi_0) - J^*)}{\alpha T} + 2 \ell L^2 \alpha + \frac{4 \ell}{T} \sum_t \varepsilon_t}
          + \frac{1}{T} \sum_t \varepsilon_t, \qquad K = \frac{D \sqrt{2 S}}{1 - \gamma} + \frac{L}{2 \ell} .

It holds for every instance, step and length. When does it say more than the trivial bound, that costs in [0, 1] add up to at most
:math:`1 / (1 - \gamma)`? Left, an instance where it does: two states, discount 0.1. Right, the number of updates that the formula asks for
at the experiments' sizes.
"""

# %%
# Garnet(2, 2, 2) of seed 3, with discount 0.1 and a uniform start (so that D <= 2), and the step that makes the right side least. It was
# chosen for being small; ten more seeds are run for the spread.
import numpy as np
import pandas as pd

from tabular_rl import RobustMDP
from tabular_rl.algorithms import DRPG, convergence_bound
from tabular_rl.instances import garnet_policy, garnet_robust
from tabular_rl.planning import constants, robust_evaluate, solve
from tabular_rl.plotting import COLORS, figure, floor, legend_below, reference_slope, save, size

DISCOUNT, LENGTHS = 0.1, size(quick=[100, 300, 1000, 3000, 10_000, 30_000, 100_000], full=[10**k for k in range(2, 8)])


def uniform_start(mdp):
    """The same problem, started anywhere."""
    S = mdp.n_states
    return RobustMDP(mdp.nominal, mdp.cost, mdp.discount, np.full(S, 1 / S), mdp.ambiguity)


def best_step(mdp, excess, T):
    """The step that makes the theorem's right side least, with an exact inner solver."""
    c = constants(mdp)
    return np.sqrt(excess / (c.ell_policy * c.L_policy**2 * T))


rows = []
for kind in ("sa", "s"):
    for seed in (3, *range(10, 20)):
        mdp = uniform_start(garnet_robust(2, 2, 2, seed, discount=DISCOUNT, rectangularity=kind))
        start, optimum = garnet_policy(2, 2, seed), solve(mdp, tolerance="exact").objective
        excess = robust_evaluate(mdp, start).objective - optimum
        for T in LENGTHS if seed == 3 else LENGTHS[:3]:
            step = best_step(mdp, excess, T)
            trace = DRPG(rule="constant", scale=step, start=start).run(mdp, T)
            gaps = (trace["upper"] - trace["objective"])[:T]
            bound = convergence_bound(mdp, step, T, excess, gaps)
            rows.append({"set": kind, "seed": seed, "T": T, "error": trace["upper"][:T].min() - optimum, "bound": bound})
results = pd.DataFrame(rows)
assert (results.error <= results.bound).all()

# %%
# The right side alone, with Phi(pi_0) - J* at its largest possible value 1 / (1 - discount): no run is needed. From which T on is it less?
COUNTS = np.geomspace(1, 1e24, 241)
needed = {}
for S, A, discount in ((2, 2, 0.1), (2, 2, 0.5), (5, 6, 0.5), (5, 6, 0.95), (15, 8, 0.95)):
    mdp = uniform_start(garnet_robust(S, A, 2, 0, discount=discount))
    most = 1 / (1 - discount)
    bound = np.array([convergence_bound(mdp, best_step(mdp, most, T), T, most, np.zeros(1)) for T in COUNTS])
    needed[f"S = {S}, A = {A}\n$\\gamma$ = {discount:g}"] = COUNTS[np.argmax(bound < most)]

# %%
# Left: both sides; an error of 0 stands at the lowest tick. Right: the lengths, beside the longest run of the left.
fig, axes = figure(1, 2, height=3.8)
left, right = axes[0]
main = results[results.seed == 3]
left.axhline(1 / (1 - DISCOUNT), color="0.6", linewidth=1.6, label="trivial bound")
for i, (kind, name) in enumerate({"sa": "a set for each pair", "s": "one budget per state"}.items()):
    line = main[main.set == kind]
    left.plot(line["T"], line.bound, linestyle="--", color=COLORS[i], marker="ox"[i], markersize=4, label=f"theorem, {name}")
    left.plot(line["T"], line.error, color=COLORS[i], marker="ox"[i], markersize=4, label=f"least error, {name}")
left.set(xscale="log", yscale="log", xlabel="updates T", ylabel="error and its bound (cost)", ylim=(1e-9, 100))
left.set_title("two states, discount 0.1: true, loose, not empty", fontsize=8)
floor(left, 1e-9)
reference_slope(left, -0.25, "slope -1/4", (100, 15))
places = np.arange(len(needed))[::-1]
right.plot(list(needed.values()), places, "o", color="black", markersize=5)
for place, T in zip(places, needed.values(), strict=True):
    power = int(np.log10(T))
    name = rf"${T / 10**power:.0f} \cdot 10^{{{power}}}$"
    right.annotate(name, (T, place), fontsize=8, xytext=(7, 0), textcoords="offset points", va="center")
right.axvline(LENGTHS[-1], color="0.45", linestyle=":", linewidth=0.9, label="longest run of the left")
right.set_yticks(places, list(needed), fontsize=8)
right.set(xscale="log", xlim=(0.3, 1e27), ylim=(-0.6, len(needed) - 0.3), xlabel="updates T until theorem < trivial bound")
right.set_title("discount 0.95: true and empty", fontsize=8)
fig.suptitle("left: Garnets(2, 2, 2) of seed 3, uniform start; right: any start, costs in [0, 1]", fontsize=9)
legend_below(fig, left, right, columns=2)
save(fig, "plot_drpg_bound", results)

# %%
# Numbers: both sides, their ratio, the slope of the right side, and the length at which it stops being vacuous.
print(main.assign(ratio=main.error / main.bound).to_string(index=False, float_format="%.4g"))
print("largest ratio over all seeds:", f"{(results.error / results.bound).max():.3g}")
ends = main[main.set == "sa"].iloc[[0, -1]]
print("slope of the right side:", f"{np.diff(np.log(ends.bound))[0] / np.diff(np.log(ends['T']))[0]:.4f}")
for name, T in needed.items():
    print(f"{name.replace(chr(10), ', ')}: below the trivial bound from T = {T:.0e} on")

# %%
# What to see. The right side falls like T^-1/4 exactly, the error much faster, until it is 0 to rounding (the lowest
# tick). The constants scale with the largest cost, 0.96 here, which makes the right side 3 % smaller than for costs up to 1. It is
# a true statement about all instances, and an empty one about those of the experiments: at discount 0.95 it starts to say something after
# more updates than anyone can make.
#
# Exercises: (1) Replace L by the largest gradient that the run saw (``convergence_bound(..., largest_gradient=...)``). What does it gain?
# (2) Which of D, S and the discount costs most? (3) Which step of the proof is the loosest? ``tabular-rl verify drpg`` prints ratios.
