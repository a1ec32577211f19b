r"""
Bounded curvature, and a stationary point that loses exponentially
==================================================================

If the gain of an element never falls below :math:`1 - c` times its value alone (curvature :math:`c`), additive RL is safe: its optimum has
:math:`J \ge (1 - c)\,\mathrm{OPT}`, and so has everything that ascends from it (proven, claims ``subpo-curvature.modular``, ``.ascent``).
The paper states the same factor for the policy that the gradient obtains. For arbitrary stationary points it is false: on the family
``counter(c, L)`` of curvature exactly :math:`c` the policy "always action 0" cannot be improved in any single time block, every choice it
makes is strictly the best given the rest, and yet

.. math:: J \approx (1 - c)^L\,\mathrm{OPT}, \qquad H = L + 1,

all of the loss that the theorem :math:`J \ge (1 - c)^{H-1}\,\mathrm{OPT}` for block-stationary points allows (proven, ``.stationary``,
``.counter``).
"""

# %%
# Everything is exact: dynamic programs over (time, state, collected set).
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl import planning
from tabular_rl.instances import submodular
from tabular_rl.plotting import COLORS, LINES, figure, save, size

LENGTHS = size(quick=[1, 2, 3, 4, 5], full=[1, 2, 3, 4, 5, 6, 7])
rows = []
for c in (0.2, 0.5, 0.8):
    for L in LENGTHS:
        mdp = submodular.counter(c, L)
        first = np.zeros(mdp.shape)
        first[..., 0] = 1
        optimum, found = planning.history_optimum(mdp).value, planning.submodular_gradient(mdp, first)
        improvement = np.max(found.policy - found.policy[..., :1])
        ascended = planning.block_ascent(mdp, "modpo")[0]
        rows.append({"c": c, "L": L, "J": found.value / optimum, "from ModPO": ascended / optimum, "improvement": improvement})
results = pd.DataFrame(rows)
assert (results.improvement <= 1e-12).all()

# %%
# The same policy after a nudge: mix it with the uniform one, then follow exact gradient ascent, one block at a time. How far from the trap
# does it have to start?
nudges = np.geomspace(1e-12, 0.1, size(quick=45, full=200))
escapes = []
for L in (1, 2, 3):
    mdp = submodular.counter(0.5, L)
    first = np.zeros(mdp.shape)
    first[..., 0] = 1
    optimum = planning.history_optimum(mdp).value
    for nudge in nudges:
        start = (1 - nudge) * first + nudge / mdp.n_actions
        escapes.append({"L": L, "nudge": nudge, "reached": planning.block_ascent(mdp, start)[0] / optimum})
escapes = pd.DataFrame(escapes)

# %%
# Left: the ratio on a log axis; dashed, the factor claimed for stationary points; dotted, (1 - c)^L.
fig, axes = figure(1, 2, height=3.1)
left, right = axes[0]
for i, (c, group) in enumerate(results.groupby("c")):
    left.plot(group.L, group.J, "o", color=COLORS[i], label=f"stationary policy, $c$ = {c:g}")
    left.plot(group.L, (1 - c) ** group.L, ":", color=COLORS[i], linewidth=1.2)
    left.axhline(1 - c, color=COLORS[i], linestyle="--", linewidth=0.9)
    left.plot(group.L, group["from ModPO"], "^", color=COLORS[i], markersize=4, markerfacecolor="none")
left.plot([], [], "^", color="0.3", markerfacecolor="none", markersize=4, label="ascent from ModPO")
left.plot([], [], "--", color="0.3", label="$1 - c$")
left.plot([], [], ":", color="0.3", label="$(1 - c)^L$")
left.set(yscale="log", xlabel="length of the chain $L = H - 1$", ylabel="$J$ / OPT", xticks=LENGTHS, title="exact values")
for i, (L, group) in enumerate(escapes.groupby("L")):
    right.plot(group.nudge, group.reached, color=COLORS[3 + i], linestyle=LINES[i], label=f"ascent after a nudge, $L$ = {L}")
right.set(
    xscale="log", xlabel="share of the uniform policy in the start", ylabel="$J$ / OPT after ascent", ylim=(0, 1.05), title="$c$ = 0.5"
)
handles = [axis.get_legend_handles_labels() for axis in (left, right)]
fig.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="outside lower center", ncols=3)
save(fig, "plot_subpo_curvature", results)
plt.show()

# %%
print(results.pivot(index="L", columns="c", values="J").round(4).to_string())

# %%
# The points lie on (1 - c)^L, below the dashed line from L = 2 on (where it comes near eps = 1/1000, the weight of a decoy, these show).
# Ascent from the additive optimum (triangles) keeps 1 - c, as proven, and here reaches OPT: where one starts is what the theorem is about.
# The trap is thin, of the order eps * delta = 1e-9 (here about 1e-8): so little exploration shows s_k to histories without a decoy, and
# coordinate ascent leaves it. The counterexample refutes a theorem; it does not say that learners meet it.
#
# Exercises: (1) Why do the decoys, of probability 1/1000, decide what a Markov policy does in s_k? (2) Draw random mixtures of curvature c
# (``proofs_check.claims.submodular.subpo_curvature.mixture_problem``): how close to 1 - c do their stationary points come?
