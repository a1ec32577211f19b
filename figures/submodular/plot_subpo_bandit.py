r"""
Submodular bandits: continuous greedy beside its guarantee
==========================================================

When an action leads to the same law from every state, J is monotone and DR-submodular in the table :math:`x_{h,a}` of probabilities, and
constant factors of the optimum over *history-dependent* policies can be proved. Continuous greedy takes K steps
:math:`x \leftarrow x + y/K` towards the best actions of the gradient g. For every k

.. math:: J(x_k) \ge \left( 1 - (1 - \tfrac{1}{K})^k \right) \mathrm{OPT} - \frac{k}{K} \cdot \frac{M_1 H (H - 1)}{2 K},
          \qquad \mathrm{OPT} \le J(x) + \sum_h \max_a g_{h,a}(x)

(proven, claims ``subpo-bandit.continuous-greedy`` and ``.start``). The first curve is a promise before the run, the second a certificate of
every point on the way, which needs no OPT. Settings: none; K = 100 everywhere.
"""

# %%
# A random bandit with noisy actions, one with sure ones, and the instance where ties keep x uniform and the promise is tight as H grows.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from tabular_rl import planning
from tabular_rl.instances import submodular
from tabular_rl.planning.submodular import bandit as bandits
from tabular_rl.plotting import COLORS, LINES, figure, save, size

K = 100
problems = {
    "noisy actions (eps = 0.5)": submodular.bandit(4, 3, 6, seed=3, epsilon=0.5),
    "sure actions": submodular.bandit(4, 3, 6, seed=3),
    "permutation(4)": submodular.permutation(4),
}

# %%
# The path of continuous greedy, with the certificate of every iterate (its rows sum to k / K < 1: the bound holds for these as well).
rows = []
for name, mdp in problems.items():
    bandit, optimum = bandits.bandit_of(mdp), planning.history_optimum(mdp).value
    x = np.zeros(bandit.shape)
    for k in range(K + 1):
        g, value = bandits.relaxed_gradient(bandit, x), bandits.relaxed_value(bandit, x)
        promise = 1 - (1 - 1 / K) ** k
        upper = value + g.max(axis=1).sum()
        H, top = mdp.horizon, mdp.objective.singles.max()
        assert value >= promise * optimum - k * top * H * (H - 1) / (2 * K**2) - 1e-9
        rows.append({"problem": name, "k": k, "value": value / optimum, "certificate": upper / optimum, "promise": promise})
        x = x + np.eye(bandit.shape[1])[g.argmax(axis=1)] / K
results = pd.DataFrame(rows)

# %%
# How tight are the factors on random bandits? The worst ratios of the three methods to the optimum with memory.
ratios = []
for seed in range(size(quick=200, full=2_000)):
    mdp = submodular.bandit(3, 3, 5, seed=seed, epsilon=0.4 * (seed % 2))
    bandit, optimum = bandits.bandit_of(mdp), planning.history_optimum(mdp).value
    found = {
        "continuous greedy": bandits.continuous_greedy(bandit, 50).values[-1],
        "block-stationary": bandits.relaxed_value(bandit, bandits.block_stationary(bandit)),
        "sequential greedy": bandits.relaxed_value(bandit, bandits.sequential_greedy(bandit)),
    }
    ratios += [{"method": method, "ratio": value / optimum} for method, value in found.items()]
ratios = pd.DataFrame(ratios)

# %%
fig, axes = figure(1, 4, height=3.0, width=7.0)
for i, (axis, (name, group)) in enumerate(zip(axes[0], results.groupby("problem", sort=False), strict=False)):
    share = group.k / K
    axis.plot(share, group.value, color=COLORS[0], linewidth=1.6, label="$J(x_k)$ / OPT")
    axis.plot(share, group.promise, color="0.45", linestyle=":", label="promise $1 - (1 - 1/K)^k$")
    axis.plot(share, group.certificate, color=COLORS[1], linestyle="--", label="certificate / OPT")
    axis.axhline(1, color="black", linewidth=0.7)
    axis.set(title=name, xlabel="$k / K$", ylabel="ratio to OPT" if i == 0 else None, ylim=(0, 1.05 * results.certificate.max()))
last = axes[0, 3]
for i, (method, group) in enumerate(ratios.groupby("method", sort=False)):
    ordered = np.sort(group.ratio)
    last.plot(ordered, (np.arange(len(ordered)) + 1) / len(ordered), color=COLORS[2 + i], linestyle=LINES[i], label=method)
last.axvline(1 - np.exp(-1), color="0.45", linestyle=(0, (1, 3)), label="$1 - 1/e$")
last.set(title=f"{len(ratios) // 3} random bandits", xlabel="$J$ / OPT", ylabel="share of the bandits", xlim=(0.45, 1.02))
last.axvline(0.5, color="0.45", linestyle="-.", label="1/2, proven for the last two")
handles = [axis.get_legend_handles_labels() for axis in (axes[0, 0], last)]
fig.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="outside lower center", ncols=3)
save(fig, "plot_subpo_bandit", results)
plt.show()

# %%
# Nothing is refuted: the certificate stays above OPT, and the values stayed above the promise less its slack.
assert (results.certificate >= 1 - 1e-9).all()
print(ratios.groupby("method").ratio.describe()[["min", "50%", "mean"]].round(3).to_string())

# %%
# On ``permutation`` continuous greedy breaks no tie in time and ends at 1 - (1 - 1/H)^H of OPT, near the promise; its certificate is
# exact at x = 0, where it is the sum of the best single elements. With sure actions the certificate proves the end optimal. The vertical
# lines are 1/2 (dash-dotted), proven for the two other methods, and 1 - 1/e (dotted).
#
# Exercises: (1) Let the certificate choose: stop as soon as J exceeds 0.9 of the smallest one so far. (2) Break the ties of
# ``permutation`` at random. (3) Let rows depend a little on the state: ``bandits.nearest_bandit`` says what is lost.
