"""The policy gradient of submodular returns, and exact ascent (subpo spec, sections 3 and 4).

score_h = d log pi(a_h | s_h) / d theta,   togo_h = sum_{j > h} Delta_j,   grad J = E sum_h score_h togo_h.

The authors' released tabular code weighs the score of step h with the prefix value F(tau_{0:h+1}) instead; its expectation is that of the
next gain alone. It is the negative control of this file.
"""

from typing import Any, NamedTuple

import numpy as np

from proofs_check import Expectation, claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import SOURCE, problems, seeds, submodular_policies
from proofs_check.strategies import scales
from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.exact import smoothness
from tabular_rl.submodular import Cut, Modular

LISTED = problems(horizons=(1, 3), actions=(2, 2))


class Paths(NamedTuple):
    """All trajectories: ``probability`` [N], ``states`` [N, H+1], ``actions`` [N, H], ``gains`` [N, H+1]."""

    probability: Any
    states: Any
    actions: Any
    gains: Any


def all_paths(mdp, policy):
    """The Paths of a policy."""
    H, S, A = mdp.shape
    states, actions, probability = np.arange(S)[:, None], np.zeros((S, 0), int), np.array(mdp.initial)
    for h in range(H):
        count, s = len(states), states[:, -1]
        chance = (policy[h, s][:, :, None] * mdp.probabilities[h, s]).reshape(count * A * S)
        probability = np.repeat(probability, A * S) * chance
        actions = np.column_stack([np.repeat(actions, A * S, axis=0), np.tile(np.repeat(np.arange(A), S), count)])
        states = np.column_stack([np.repeat(states, A * S, axis=0), np.tile(np.arange(S), count * A)])
    return Paths(probability, states, actions, mdp.gains(states))


def weights_of_steps(gains, form, singles=None):
    """[N, H] what weighs the score of each step: "togo", "full", "prefix", "myopic", or "modular" gains to go."""
    if form == "modular":
        gains = singles
    if form == "full":
        return np.repeat(gains.sum(axis=1, keepdims=True), gains.shape[1] - 1, axis=1)
    if form == "prefix":
        return np.cumsum(gains, axis=1)[:, 1:]
    if form == "myopic":
        return gains[:, 1:]
    return np.cumsum(gains[:, :0:-1], axis=1)[:, ::-1]


def expected_scores(paths, policy, weights, power=1):
    """[H, S, A] E (score * weight)^power, for every coordinate of softmax logits."""
    H, S, A = policy.shape
    moments = np.empty(policy.shape)
    for h in range(H):
        mass, s = paths.probability * weights[:, h] ** power, paths.states[:, h]
        taken = np.bincount(s * A + paths.actions[:, h], mass, S * A).reshape(S, A)
        anyway = np.bincount(s, mass, S)[:, None]
        p = policy[h]
        moments[h] = taken * (1 - p) ** power + (anyway - taken) * (-p) ** power
    return moments


def _estimated(mdp, policy, form):
    paths = all_paths(mdp, policy)
    singles = mdp.additive_reward[np.arange(mdp.horizon + 1), paths.states]
    return expected_scores(paths, policy, weights_of_steps(paths.gains, form, singles))


@claim("subpo.to-go-gradient", kind=identity, source=f"{SOURCE} L3", provenance="paper", given=(LISTED, submodular_policies),
       control={"form": "prefix"})  # fmt: skip
def to_go_gradient(mdp, policy, form="togo"):
    """E sum_h score_h togo_h, over all trajectories, is dJ / dtheta by dynamic programming over collected sets.

    Control: prefix values F(tau_{0:h+1}) as weights, as in the authors' released tabular code.
    """
    return _estimated(mdp, policy, form), planning.submodular_gradient(mdp, policy).logits, mdp.table().max()


@claim("subpo.dynamic-program", kind=identity, source=f"{SOURCE} 3.4", provenance="derived", given=(LISTED, submodular_policies),
       control={"first": 1})  # fmt: skip
def dynamic_program(mdp, policy, first=0):
    """J by dynamic programming over (h, s, collected set) is the mean of F over all trajectories.  Control: without the start's gain."""
    paths = all_paths(mdp, policy)
    return paths.probability @ paths.gains[:, first:].sum(axis=1), planning.submodular_value(mdp, policy), mdp.table().max()


@claim("subpo.gains-need-the-past", kind=identity, source=f"{SOURCE} 3.1, L3", provenance="derived",
       given=(problems(("coverage", "facility", "concave", "ddesign"), (2, 3), actions=(2, 2)), submodular_policies),
       control={"form": "modular"})  # fmt: skip
def gains_need_the_past(mdp, policy, form="togo"):
    """dJ / dtheta[h,s,a] = pi (J(pi with row (h,s) at a) - J(pi)), exactly, as J is affine in a row; the estimate's mean is that.

    Control: gains computed without the past, F({s_j}): the gradient of modular RL.
    """
    J, difference = planning.submodular_value(mdp, policy), np.empty(policy.shape)
    for h, s, a in np.ndindex(policy.shape):
        changed = policy.copy()
        changed[h, s] = np.eye(policy.shape[2])[a]
        difference[h, s, a] = planning.submodular_value(mdp, changed) - J
    return _estimated(mdp, policy, form), policy * difference, mdp.table().max()


@claim("subpo.baseline", kind=identity, source=f"{SOURCE} L4", provenance="paper", given=(LISTED, submodular_policies, seeds),
       control={"future": 0.5})  # fmt: skip
def baseline(mdp, policy, seed, future=0.0):
    """Any function of (tau_{0:h}), here a random b[h,s] plus the square of the past F, may be subtracted from togo_h.

    Control: half of the trajectory's own future in the baseline, as when a batch is its own baseline.
    """
    paths = all_paths(mdp, policy)
    weights = weights_of_steps(paths.gains, "togo")
    past = np.cumsum(paths.gains, axis=1)[:, :-1]
    b = np.random.default_rng(seed).normal(size=policy.shape[:2])[np.arange(mdp.horizon), paths.states[:, :-1]] + past**2
    subtracted = expected_scores(paths, policy, weights - b - future * weights)
    return subtracted, expected_scores(paths, policy, weights), 1 + mdp.table().max() ** 2


@claim("subpo.prefix-is-myopic", kind=identity, source=f"{SOURCE} L5", provenance="derived",
       given=(problems(horizons=(2, 3), actions=(2, 2)), submodular_policies), control={"form": "togo"})  # fmt: skip
def prefix_is_myopic(mdp, policy, form="myopic"):
    """Prefix weights have the mean of the next gain alone: E score_h F(tau_{0:h+1}) = E score_h Delta_{h+1}, as F(tau_{0:h}) is a baseline.

    So the released code follows the gradient of a lookahead of one step, not that of J. Control: that it is the gradient of J.
    """
    return _estimated(mdp, policy, "prefix"), _estimated(mdp, policy, form), mdp.table().max()


@claim("subpo.second-moments", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(LISTED, submodular_policies),
       control={"cut": True})  # fmt: skip
def second_moments(mdp, policy, cut=False):
    """E (score_h togo_h)^2 <= E (score_h F(tau))^2 in every coordinate, for monotone F: 0 <= togo_h <= F(tau) pointwise.

    The means agree, so the variance of the gains to go is smaller. Control: a cut function, whose gains may be negative.
    """
    if cut:  # one step: action 1 collects the other element, and what was cut is cut no more
        mdp = SubmodularMDP([[[1.0, 0], [0, 1]], [[1, 0], [0, 1]]], 0, Cut([[0, 1.0], [1, 0]]), 1)
        policy = np.full((1, 2, 2), [0.75, 0.25])
    paths = all_paths(mdp, policy)
    togo, full = (expected_scores(paths, policy, weights_of_steps(paths.gains, form), 2) for form in ("togo", "full"))
    return togo, full, np.abs(mdp.table()).max() ** 2


def slippery_grid():
    """The 2 x 3 grid with three steps and slip 0.3, and a random softmax policy."""
    from tabular_rl.submodular import Coverage

    weights = [0.3, 0.9, 0.5, 0.7, 0.2, 1.0]
    mdp = SubmodularMDP(instances.grid_successors(2, 3), 4, Coverage(weights, instances.grid_sensor(2, 3, "self")), 3, slip=0.3)
    theta = np.random.default_rng(0).normal(size=mdp.shape)
    return mdp, np.exp(theta) / np.exp(theta).sum(axis=-1, keepdims=True)


@claim("subpo.sampled-gradient", kind=Expectation(replicates=8_000, equal=True), source=f"{SOURCE} L7", provenance="derived",
       given={"2 x 3 grid, slip 0.3": slippery_grid}, control={"form": "prefix"})  # fmt: skip
def sampled_gradient(mdp, policy, rng, form="togo"):
    """The mean over trajectories drawn by the rollout kernel of score * togo is dJ / dtheta; every sample lies in [-F(V), F(V)].

    Control: prefix weights.
    """
    n, (H, S, A) = 8_000, mdp.shape
    drawn = planning.sample_trajectories(mdp, policy, n, seed=int(rng.integers(2**62)))
    weights = weights_of_steps(drawn.gains, form)
    samples = np.zeros((n, H, S, A))
    i, h = np.arange(n)[:, None], np.arange(H)
    s = drawn.states[:, :-1]
    samples[i, h, s] = -policy[h, s] * weights[..., None]
    samples[i, h, s, drawn.actions] += weights
    exact, top = planning.submodular_gradient(mdp, policy), mdp.table().max()
    there = np.repeat((exact.occupancy > 0)[..., None], A, axis=-1).ravel()
    return samples.reshape(n, -1)[:, there], exact.logits.ravel()[there], -top, top


@claim("subpo.block-step", kind=identity, source=f"{SOURCE} L9", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, scales(-1, 1), seeds), control={"blocks": "all"})  # fmt: skip
def block_step(mdp, policy, eta, seed, blocks="one"):
    """J(pi') - J(pi) = (1/eta) sum_s d[h,s] <pi' - pi, log pi' - log pi> for one natural gradient step of size eta in one time block h.

    J is affine in a block, and log pi' - log pi = eta Qbar - const. The right side is a sum of relative entropies, hence J never falls.
    Control: the same step in all blocks at once.
    """
    found = planning.submodular_gradient(mdp, policy)
    chosen = range(mdp.horizon) if blocks == "all" else [np.random.default_rng(seed).integers(mdp.horizon)]
    after, rise = _natural_step(policy, found.advantage, eta, chosen)
    pays = np.sum(found.occupancy * rise) / eta
    rounded = np.finfo(float).eps * mdp.horizon / eta  # probabilities are, also where F is 0
    return planning.submodular_value(mdp, after) - found.value, pays, mdp.table().max() * (1 + 1 / eta) + rounded


def _natural_step(policy, advantage, eta, blocks):
    """(policy after the step, <pi' - pi, log pi' - log pi> [H, S])."""
    after, rise = policy.copy(), np.zeros(policy.shape[:2])
    for h in blocks:
        change = eta * advantage[h]
        change = change - np.log(np.sum(policy[h] * np.exp(change), axis=1, keepdims=True))
        after[h] = policy[h] * np.exp(change)
        rise[h] = np.sum((after[h] - policy[h]) * change, axis=1)
    return after, rise


@claim("subpo.block-steps-ascend", kind=inequality, source=f"{SOURCE} L9", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, scales(-1, 2), seeds), control={"blocks": "all"})  # fmt: skip
def block_steps_ascend(mdp, policy, eta, seed, blocks="one"):
    """A natural gradient step in one block never lowers J, whatever eta > 0.

    Control: all blocks at once at eta = 10, where two steps each choose between elements of weight 1 and 0.9 and the second does not see
    what the first chose (a hub lies between them): both rush to the same element.
    """
    if blocks == "all":
        rows = np.eye(4)[[[1, 2], [3, 3], [3, 3], [1, 2]]]
        mdp, eta = SubmodularMDP(rows, 0, Modular([1.0, 0.9]), 3, elements=[-1, 0, 1, -1]), 10.0
        policy = np.full(mdp.shape, 0.5)
    chosen = range(mdp.horizon) if blocks == "all" else [np.random.default_rng(seed).integers(mdp.horizon)]
    found = planning.submodular_gradient(mdp, policy)
    after, _ = _natural_step(policy, found.advantage, eta, chosen)
    return found.value, planning.submodular_value(mdp, after), mdp.table().max()


@claim("subpo.smoothness", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, seeds), control={"factor": 1e-3})  # fmt: skip
def smooth(mdp, policy, seed, factor=1.0):
    """|D' Hess J D| <= L |D|^2 for D = another policy minus this one, L = F(V) A (H - 1); second differences of two blocks are exact.

    Control: L / 1000. (Random instances come to 1/50 of L: the constant is loose.)
    """
    H = mdp.horizon
    other = np.random.default_rng(seed).dirichlet(np.full(mdp.n_actions, 0.1), mdp.shape[:2])
    value = lambda *blocks: planning.submodular_value(mdp, np.where(np.isin(np.arange(H), blocks)[:, None, None], other, policy))
    mixed = [value(g, h) - value(g) - value(h) + value() for h in range(H) for g in range(h)]
    return abs(2 * sum(mixed)), factor * smoothness(mdp) * np.sum((other - policy) ** 2), smoothness(mdp)


@claim("subpo.projected-ascent", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies), control={"factor": 3})  # fmt: skip
def projected_ascent(mdp, policy, factor=1.0):
    """Projected gradient steps of size 1/L gain |G|^2 / (2 L) each, G = L (step): hence min_k |G_k|^2 <= 2 L (max J - J_0) / K.

    Control: three times as much, more than any direction of small curvature gives.
    """
    from tabular_rl.planning.submodular.exact import onto_simplex

    L = smoothness(mdp) or 1.0
    found = planning.submodular_gradient(mdp, policy)
    after = onto_simplex(policy + found.policy / L)
    gained = planning.submodular_value(mdp, after) - found.value
    return factor * L * np.sum((after - policy) ** 2) / 2, gained, mdp.table().max() + L * 1e-12


theorem(
    "subpo-gradient",
    statement=r"$\nabla J = \mathbb{E} \sum_h \nabla \log \pi(a_h | s_h) \left( \sum_{j > h} \Delta_j - b(\tau_{0:h}) \right)$ with the "
    r"marginal gains $\Delta_j$ of $F$; weighing with prefix values $F(\tau_{0:h+1})$ instead gives the gradient of the next gain only.",
    source="Prajapat, Mutny, Zeilinger, Krause 2024, policy gradient theorem; subpo spec, L2 to L7",
    provenance="paper",
    claims=(
        "subpo.telescoping", "subpo.dynamic-program", "subpo.to-go-gradient", "subpo.gains-need-the-past", "subpo.baseline",
        "subpo.prefix-is-myopic",
        "subpo.second-moments", "subpo.sampled-gradient",
    ),
    uses={
        "subpo.to-go-gradient": ("subpo.telescoping", "subpo.baseline", "subpo.dynamic-program"),
        "subpo.prefix-is-myopic": ("subpo.baseline",),
        "subpo.sampled-gradient": ("subpo.to-go-gradient",),
    },
)  # fmt: skip

theorem(
    "subpo-ascent",
    statement=r"One natural gradient step in one time block satisfies $J(\pi') - J(\pi) = \frac{1}{\eta} \sum_s d_h(s) \langle \pi' - \pi, "
    r"\log \pi' - \log \pi \rangle \ge 0$ for every $\eta > 0$; projected gradient ascent with step $1/L$, $L = F(V) A (H - 1)$, is "
    r"monotone with $\min_{k < K} \|G_k\|^2 \le 2 L (J^* - J_0) / K$.",
    source="subpo spec, L8 to L10",
    provenance="derived",
    claims=("subpo.block-affine", "subpo.block-step", "subpo.block-steps-ascend", "subpo.smoothness", "subpo.projected-ascent"),
    uses={
        "subpo.block-step": ("subpo.block-affine",),
        "subpo.block-steps-ascend": ("subpo.block-step",),
        "subpo.smoothness": ("subpo.block-affine",),
        "subpo.projected-ascent": ("subpo.smoothness",),
    },
)  # fmt: skip
