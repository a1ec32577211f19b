r"""
Why gains to go: variance and bias of four gradient estimators
==============================================================

A policy gradient weighs the score of step :math:`h` by some return. Four choices, without a baseline: the marginal gains to go (SubPO);
the whole :math:`F(\tau)`; the value so far :math:`F(\tau_{0:h+1})`, as the authors' released code has it; the next gain alone. For
monotone :math:`F` the gains to go are at least 0 and at most :math:`F(\tau)` on every path, and a coordinate :math:`\theta_{h,s,a}`
receives one step only, so that

.. math:: \mathrm{Var}\big[\text{gains to go}\big] \le \mathrm{Var}\big[F(\tau)\big] \quad\text{in every coordinate (proven),}

with equal means. The value so far has the mean of the next gain alone (proven): its direction is another one, and the right panel shows by
how much. A baseline that is known from earlier batches takes most of the variance away and no bias enters.

The policy is uniform, the problem a 6 x 6 grid with a 2 x 2 sensor. Nothing is fitted and nothing is tuned.
"""

# %%
# A batch of trajectories for each horizon, split into two halves: products of the halves' means have no bias from noise.
import numpy as np
import pandas as pd

from tabular_rl.instances import submodular
from tabular_rl.planning import sample_trajectories
from tabular_rl.plotting import COLORS, LINES, figure, legend_below, reference_slope, save, size

HORIZONS = size(quick=[2, 4, 8, 16, 32], full=[2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
N = 40_000
NAMES = ("gains to go", "gains to go, baseline", "whole F", "value so far", "next gain")


def returns(gains, baseline):
    """What each estimator weighs the score of step h with, [n, H]; ``baseline`` [n, H] comes from other trajectories."""
    total, so_far = gains.sum(axis=1, keepdims=True), np.cumsum(gains, axis=1)
    to_go = total - so_far[:, :-1]
    return dict(zip(NAMES, (to_go, to_go - baseline, total + 0 * to_go, so_far[:, 1:], gains[:, 1:]), strict=True))


def mean_direction(problem, states, actions, weights):
    """[H, S, A] mean of score times weight under the uniform policy."""
    H, S, A = problem.shape
    row = np.arange(H) * S + states[:, :-1]
    taken = np.bincount((row * A + actions).ravel(), weights.ravel(), H * S * A).reshape(H * S, A)
    return (taken - taken.sum(axis=1, keepdims=True) / A).reshape(H, S, A) / len(states)


# %%
# The variance, summed over coordinates, is E|score|^2 R^2 - |mean|^2, and |score|^2 = 1 - 1/A for a uniform policy.
rows = []
for H in HORIZONS:
    problem = submodular.tiny(6, 6, H, sensor="2x2", seed=0)
    policy = np.full(problem.shape, 1 / problem.n_actions)
    halves = [sample_trajectories(problem, policy, N, seed=[H, half]) for half in (0, 1)]
    weights, means = [], []
    for half, other in zip(halves, halves[::-1], strict=True):
        to_go = other.gains.sum(axis=1, keepdims=True) - np.cumsum(other.gains, axis=1)[:, :-1]
        place = np.arange(H) * problem.n_states + other.states[:, :-1]
        visits = np.bincount(place.ravel(), minlength=H * problem.n_states)
        b = np.bincount(place.ravel(), to_go.ravel(), H * problem.n_states) / np.maximum(visits, 1)
        weights.append(returns(half.gains, b[np.arange(H) * problem.n_states + half.states[:, :-1]]))
        means.append({name: mean_direction(problem, half.states, half.actions, w) for name, w in weights[-1].items()})
    for name in NAMES:
        square = np.sum(means[0][name] * means[1][name])
        second = (1 - 1 / problem.n_actions) * np.mean([np.sum(w[name] ** 2, axis=1).mean() for w in weights])
        cross = np.mean([np.sum(means[i][name] * means[1 - i]["gains to go, baseline"]) for i in (0, 1)])
        gradient = np.sum(means[0]["gains to go, baseline"] * means[1]["gains to go, baseline"])
        rows.append((H, name, second - square, cross / np.sqrt(square * gradient) if square > 0 else np.nan))
table = pd.DataFrame(rows, columns=["horizon", "estimator", "variance", "cosine"])

# %%
# Left: the variance of one trajectory's estimate. Right: the cosine between its mean and the gradient of J.
fig, axes = figure(1, 2, height=3.0, width=7.4)
for i, name in enumerate(NAMES):
    here = table[table.estimator == name]
    style = {"color": COLORS[i], "linestyle": LINES[i], "marker": "o", "markersize": 3, "label": name}
    axes[0, 0].plot(here.horizon, here.variance, **style)
    axes[0, 1].plot(here.horizon, here.cosine, **style)
axes[0, 0].set(xscale="log", yscale="log", xlabel="horizon (steps)", ylabel=r"variance (units of $F^2$)")
axes[0, 1].set(xscale="log", xlabel="horizon (steps)", ylabel="cosine to the gradient of J", ylim=(-0.05, 1.08))
for axis in axes[0]:
    axis.set_xticks(table.horizon.unique(), table.horizon.unique())
    axis.minorticks_off()
axes[0, 0].set_ylim(0.3, 5 * table.variance.max())
longest = table[(table.estimator == "whole F") & (table.horizon == table.horizon.max())]
reference_slope(axes[0, 0], 2, "slope 2", (longest.horizon.item(), 2.5 * longest.variance.item()))
axes[0, 1].axhline(1, color="0.5", linewidth=0.7)
fig.suptitle(f"two halves of {N} trajectories each, uniform policy", fontsize=9)
legend_below(fig, axes[0, 0], columns=5)
save(fig, "plot_subpo_variance", table)

# %%
# What the theorem says, on these numbers: the ratio of the variances is at most 1.
wide = table.pivot(index="horizon", columns="estimator", values="variance")
print((wide["gains to go"] / wide["whole F"]).to_string())
assert (wide["gains to go"] <= wide["whole F"]).all()

# %%
# What to see. The order of the variances is the theorem's. That of the whole is (1 - 1/A) H E F^2, of slope 3 if F grew like H and 2 if
# it grew like its root; in a walk that comes back to where it was F grows more slowly than that. The next gain has the least variance,
# and its direction drifts away from the gradient as there is more to lose by being in the wrong place; the value so far pays a variance
# like that of the whole for the same wrong direction.
#
# Exercises: (1) Replace the uniform policy by a trained one: what happens to the baseline's share? (2) For which F do gains to go and the
# whole have the same variance? (3) Why can the order fail for a cut function, which is not monotone?
