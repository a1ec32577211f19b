r"""
How long does it take to solve an MDP?
======================================

A discounted model with S states and A actions is an array of :math:`8 S^2 A` bytes, and whoever wants a certified answer must read each
of them at least once. So the reference for a solver is the time to read its model: once the array has left the cache, that is memory
bandwidth, and nothing computes faster than memory delivers.

The three solvers stop when the two-sided bounds of MacQueen (1966) certify an error of at most :math:`10^{-6}`:
:math:`w + c \min(w - v) \le V^* \le w + c \max(w - v)` with :math:`w = T v` and :math:`c = \gamma / (1 - \gamma)`.
"""

# %%
# Times are CPU seconds of one thread, the smallest of several runs: what the machine can do, not what its other users left of it.
# This is the one figure of the suite that differs from machine to machine.
import time

import numpy as np
import pandas as pd

import tabular_rl as trl
from tabular_rl.plotting import COLORS, LINES, figure, save, size

METHODS = ("modified_policy_iteration", "policy_iteration", "value_iteration")


def seconds(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


# %%
# Garnet models with dense random rows, A = 10 actions, discount 0.99.
sizes = size(quick=[32, 64, 128, 256, 512, 1024], full=[32, 64, 128, 256, 512, 1024, 2048])
rows = []
for method in METHODS:  # the first call of a process loads the compiled sweeps
    trl.planning.solve(trl.instances.large_garnet(8, 10, branching=8), method)
for S in sizes:
    mdp = trl.instances.large_garnet(S, 10, branching=S)
    repeats = 3 + 20_000 // S // (1 + S // 256)
    flat = mdp.transition.ravel()
    rows.append({"S": S, "solver": "read the model once", "seconds": seconds(flat.sum, repeats), "bytes": mdp.nbytes})
    for method in METHODS:
        solution = trl.planning.solve(mdp, method, tolerance=1e-6)
        assert solution.radius <= 1e-6
        spent = seconds(lambda mdp=mdp, method=method: trl.planning.solve(mdp, method, tolerance=1e-6), repeats)
        rows.append({"S": S, "solver": method.replace("_", " "), "seconds": spent, "bytes": mdp.nbytes})
results = pd.DataFrame(rows)

# %%
# The gray line: the bytes of the model over the bandwidth measured at the largest size.
reading = results[results.solver == "read the model once"]
bandwidth = float(reading.bytes.iloc[-1] / reading.seconds.iloc[-1])
fig, axes = figure(1, 1, height=3.2, width=5.2)
axis = axes[0, 0]
for i, (name, rows_of) in enumerate(results.groupby("solver", sort=False)):
    gray = name == "read the model once"
    style = (
        {"color": "0.4", "linestyle": "-"} if gray else {"color": COLORS[i - 1], "linestyle": LINES[i - 1], "marker": "o", "markersize": 3}
    )
    axis.plot(rows_of.S, 1e3 * rows_of.seconds, label=name, **style)
states = np.array(sizes, float)
axis.plot(states, 1e3 * (80 * states**2) / bandwidth, color="0.6", linestyle=":", label=f"memory at {bandwidth / 1e9:.0f} GB/s")
axis.set(
    xscale="log",
    yscale="log",
    xlabel="states $S$  ($A = 10$, dense, discount 0.99)",
    ylabel="CPU time (ms)",
    title="Certified to $10^{-6}$",
)
axis.legend(fontsize=8)
save(fig, "plot_solver_time", results)

# %%
# What to see. Modified policy iteration needs a handful of passes over the model; policy iteration pays :math:`O(S^3)` for each linear
# system and leaves the line behind; small models cost the start of a call. Actions that the bounds prove suboptimal are not read again.
#
# Exercises: (1) Replace the garnet by ``trl.instances.line``, which mixes slowly. Which solver suffers? (2) Plot against the discount.
