r"""
Where the learner walks
=======================

Three maps with the density that a walk of 39 steps collects: a smooth one seen through a 2 x 2 sensor (gp30), two rooms of which every free
cell counts once, and six kinds of items of which only so many are wanted (steiner). A good walk does not cross itself.

Thin lines: 10 trajectories of SubPO's final policy; thick line: the best trajectory it ever sampled, which in a deterministic world is a
policy as good as its F (derived, S2). SubPO knows nothing of the map. The dashed black line does: it is the best path of a search that is
priced by the dual of a linear program, and the number below is a bound on every policy (proven), history-dependent ones included.

Settings: a schedule of 3 gains ahead, then all, and a few restarts of which the best one is kept; chosen by trying on these maps.
"""

# %%
# Learn without a model, and plan with one.
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from tabular_rl.algorithms import SubPO
from tabular_rl.instances import submodular
from tabular_rl.planning import priced_search, sample_trajectories, truncated_search
from tabular_rl.plotting import COLORS, figure, legend_below, save, size

RESTARTS = size(quick=4, full=16)
KINDS = ListedColormap(["#A6CEE3", "#B2DF8A", "#FDBF6F", "#CAB2D6", "#FFFF99", "#DDDDDD"])
problems = {"gp30": (submodular.gp30(1), 30), "two_room": (submodular.two_room(), 14), "steiner": (submodular.steiner(1), 15)}
learner = SubPO(lookahead=(3, None), restarts=RESTARTS)
learned = {name: learner.run(problem, 400) for name, (problem, _) in problems.items()}
planned = {name: truncated_search(problem) if name == "steiner" else priced_search(problem) for name, (problem, _) in problems.items()}


# %%
# What a cell is worth as colors; in steiner a color is a kind, and cells of none are white.
def background(name, problem, columns):
    """[rows, columns] picture of the density, walls and empty cells as NaN."""
    if name == "steiner":
        groups = problem.objective.groups
        return np.where(groups >= 0, groups + 1.0, np.nan).reshape(-1, columns)
    weights = problem.objective.weights
    return np.where(weights > 0, weights, np.nan).reshape(-1, columns)


def walk(axis, states, columns, shift=0.0, **style):
    """A line through the cells, ``shift`` cells off their centers so that several can be told apart."""
    axis.plot(np.asarray(states) % columns + shift, np.asarray(states) // columns + shift, **style)


# %%
# The maps. Rows grow downwards, as in the authors' code; the square is the start. Under each map, what its colors mean.
fig, axes = figure(1, 3, height=4.0, width=7.0)
rows, shift = [], np.random.default_rng(0).uniform(-0.18, 0.18, 10)
for axis, (name, (problem, columns)) in zip(axes[0], problems.items(), strict=True):
    trace, path = learned[name], planned[name]
    scale = {"gp30": {"cmap": "YlGn"}, "two_room": {"cmap": "YlGn", "vmin": 0, "vmax": 2.5}}
    scale |= {"steiner": {"cmap": KINDS, "vmin": 0.5, "vmax": 6.5}}
    shades = axis.imshow(background(name, problem, columns), alpha=0.9, aspect="auto", **scale[name])
    key = fig.colorbar(shades, ax=axis, location="bottom", shrink=0.9, aspect=25, pad=0.02)
    key.set_label({"gp30": "density", "two_room": "every free cell counts 1", "steiner": "kind of item"}[name], fontsize=8)
    if name != "gp30":
        key.set_ticks([1] if name == "two_room" else range(1, 7))
    key.ax.tick_params(labelsize=7)
    played = sample_trajectories(problem, trace.output, 10)
    for states, off in zip(played.states, shift, strict=True):
        walk(axis, states, columns, off, color=COLORS[1], linewidth=0.6, alpha=0.5)
    axis.plot([], [], color=COLORS[1], linewidth=0.6, label="ten of its policy")
    walk(axis, trace.parameters["path_states"], columns, color=COLORS[1], linewidth=1.8, label="SubPO's best trajectory")
    walk(axis, path.states, columns, 0.12, color="black", linewidth=1.2, linestyle="--", label="planned path (knows P)")
    axis.plot(problem.start % columns, problem.start // columns, "s", color=COLORS[0], markersize=5, label="start")
    value, best, upper = trace.parameters["final_value"], trace.parameters["path_value"], path.upper
    axis.set_title(f"{name}\nSubPO: mean F {value:.4g}, best {best:.4g}\nplanned {path.value:.4g}, bound {upper:.4g}", fontsize=8)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    for who, states in (("SubPO", trace.parameters["path_states"]), ("planned", path.states)):
        rows += [(name, who, h, int(s) // columns, int(s) % columns) for h, s in enumerate(states)]
legend_below(fig, axes[0, 0], columns=4)
save(fig, "plot_subpo_paths", pd.DataFrame(rows, columns=["problem", "path", "time", "row", "column"]))

# %%
# As shares of the bound.
for name, trace in learned.items():
    mean, plan = trace.parameters["final_value"] / planned[name].upper, planned[name].value / planned[name].upper
    print(f"{name}: SubPO {mean:.4f}, planned {plan:.4f}")

# %%
# What to see. On gp30 both walk to the ridge and down along it; the learner turns round where the plan goes on into the richest part. In
# the two rooms it has to leave the room that it is in: most single runs end with a policy that never does. In steiner there are many
# optimal walks, and what comes after the last wanted item is noise.
#
# Exercises: (1) ``restarts=1``: how often is one room all that is seen? (2) Start from the planned path, ``init="path"`` with
# ``batch=2000``: what does learning forget, and what does it keep? (3) Let actions slip (``slip=0.1``) and compare the two again.
