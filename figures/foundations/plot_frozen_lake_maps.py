r"""
Where a policy walks, and what a state is worth
===============================================

The frozen lake of Gymnasium: from the upper left to the lower right corner, holes (H) end the walk, and on ice a move goes sideways
two times in three. Two pictures say all there is to say about a policy in a known model:

* its values, from backward induction :math:`V_h = \max_a (r + P V_{h+1})(\cdot, a)`, here the chance to arrive;
* its occupancy measure :math:`q_h(s) = P(s_h = s)`, which moves forward by :math:`q_{h+1}(t) = \sum_{s,a} q_h(s) \pi_h(a|s) P(t|s,a)`.

They are dual to each other: :math:`\langle \rho, V_0 \rangle = \sum_{h,s,a} q_h(s) \pi_h(a|s) r(s, a)`.
"""

# %%
# The model is Gymnasium's own table, made episodic.
import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.plotting import figure, save

lake = trl.instances.frozen_lake_8x8(horizon=200)
solution = trl.planning.solve(lake)
occupancy = {
    "optimal policy": trl.planning.occupancy(lake, solution.policy),
    "uniform policy": trl.planning.occupancy(lake, np.full(lake.shape, 1 / lake.n_actions)),
}

# %%
# The duality, to the last digits: what the optimal policy collects along its way is the value of the start.
collected, promised = np.sum(occupancy["optimal policy"] * lake.reward), lake.initial @ solution.values[0]
assert abs(collected - promised) < 1e-12
print(f"chance to arrive in {lake.horizon} steps: {promised:.4f}")

# %%
# Left: the chance to arrive, with the first move of the optimal policy. Right: the expected number of visits in 200 steps.
letters = [*"SFFFFFFF", *"FFFFFFFF", *"FFFHFFFF", *"FFFFFHFF", *"FFFHFFFF", *"FHHFFFHF", *"FHFFHFHF", *"FFFHFFFG"]
absorbing = np.isin(letters, ["H", "G"])
fig, axes = figure(1, 3, height=2.9, width=7.6)


def draw(axis, picture, title, label, marks, **scale):
    """One map: ``picture`` [64] in colors without the absorbing cells, ``marks`` [64] as letters."""
    shades = axis.imshow(np.where(absorbing, np.nan, picture).reshape(8, 8), cmap="viridis", **scale)
    fig.colorbar(shades, ax=axis, location="bottom", shrink=0.9, extend="min" if scale else "neither").set_label(label)
    axis.set(title=title, xticks=[], yticks=[])
    axis.grid(False)
    for s, mark in enumerate(marks):
        color = "black" if absorbing[s] or shades.norm(picture[s]) > 0.6 else "white"
        axis.text(s % 8, s // 8, mark, ha="center", va="center", fontsize=8, color=color)


moves = [letter if end else "←↓→↑"[action] for letter, end, action in zip(letters, absorbing, solution.actions[0], strict=True)]
draw(axes[0, 0], solution.values[0], "value and best first move", "chance to arrive", moves)
visits = {name: measure.sum(axis=(0, 2)) for name, measure in occupancy.items()}
for axis, (name, count) in zip(axes[0, 1:], visits.items(), strict=True):
    marks = [letter.replace("F", "") for letter in letters]
    draw(axis, np.log10(np.maximum(count, 1e-9)), name, r"$\log_{10}$ of expected visits", marks, vmin=-1.5, vmax=1.5)
table = {"state": range(64), "cell": letters, "value": solution.values[0]} | {f"visits, {name}": count for name, count in visits.items()}
save(fig, "plot_frozen_lake_maps", pd.DataFrame(table))

# %%
# What to see. The optimal policy often walks into the wall on purpose: on ice the sideways slips are all the movement it wants.
#
# Exercises: (1) Which cells does the optimal policy never visit, and why are their values positive? (2) Shorten the horizon until the
# first arrows change.
