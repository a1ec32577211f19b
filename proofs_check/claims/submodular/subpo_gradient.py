"""The policy gradient of submodular returns, and exact ascent (subpo spec, sections 3 and 4).

score_h = d log pi(a_h | s_h) / d theta,   togo_h = sum_{j > h} Delta_j,   grad J = E sum_h score_h togo_h.

Every estimate here is the one that SubPO's loop forms (``algorithms.submodular.subpo.estimate``), from one trajectory at a time; its
expectation is the sum over all trajectories. The authors' released tabular code weighs the score of step h with the prefix value
F(tau_{0:h+1}) instead; its expectation is that of the next gain alone. It is the negative control of this file.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import SOURCE, prefix_values, problems, seeds, submodular_policies
from proofs_check.strategies import scales
from tabular_rl import planning
from tabular_rl.algorithms import SubPO
from tabular_rl.algorithms.submodular.subpo import additive_gains, estimate
from tabular_rl.instances import submodular as instances
from tabular_rl.kernels.submodular.objectives import workspace
from tabular_rl.kernels.submodular.rollouts import Batch, rollouts
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


def estimates(mdp, policy, paths, algorithm, b=None):
    """[N, H, S, A] what SubPO estimates from each trajectory alone, with baselines ``b`` [N, H, S] (default: none)."""
    (H, S, A), N = mdp.shape, len(paths.states)
    found, window, pi, gains = np.zeros((N, H * S, A)), algorithm.windows(H)[0], policy.reshape(H * S, A), paths.gains
    b = np.zeros((1, H * S)) if b is None else b.reshape(N, H * S)
    if algorithm.modular:
        gains = np.empty_like(paths.gains)
        additive_gains(paths.states, np.array(mdp.packed_elements), mdp.objective.singles, gains)
    for i in range(N):
        one = Batch(paths.states[i : i + 1], paths.actions[i : i + 1], gains[i : i + 1])
        estimate(window, one, b[i % len(b)], pi, np.zeros((H * S, A + 3)), np.empty(H * S, np.int64), found[i])
    return found.reshape(N, H, S, A)


def expected_estimate(mdp, policy, algorithm=None, power=1):
    """[H, S, A] E estimate^power over all trajectories."""
    paths = all_paths(mdp, policy)
    return np.tensordot(paths.probability, estimates(mdp, policy, paths, algorithm or SubPO()) ** power, 1)


def expected_scores(paths, policy, weights):
    """[H, S, A] E sum_h score_h weights[h] over all trajectories, from the chances of s_h and (s_h, a_h)."""
    H, S, A = policy.shape
    means = np.empty(policy.shape)
    for h in range(H):
        mass, s = paths.probability * weights[:, h], paths.states[:, h]
        taken = np.bincount(s * A + paths.actions[:, h], mass, S * A).reshape(S, A)
        means[h] = taken - np.bincount(s, mass, S)[:, None] * policy[h]
    return means


@claim("subpo.to-go-gradient", kind=identity, source=f"{SOURCE} L3", provenance="paper", given=(LISTED, submodular_policies),
       control={"weights": "prefix"})  # fmt: skip
def to_go_gradient(mdp, policy, weights="togo"):
    """The mean of SubPO's estimate over all trajectories is dJ / dtheta by dynamic programming over collected sets, with gains to go and
    with F of the whole trajectory.

    Control: prefix values F(tau_{0:h+1}) as weights, as in the authors' released tabular code.
    """
    found = [expected_estimate(mdp, policy, SubPO(weights=form)) for form in (weights, "full")]
    exact = planning.submodular_gradient(mdp, policy).logits
    return np.stack(found), np.stack([exact, exact]), mdp.table().max()


@claim("subpo.lookahead", kind=identity, source=f"{SOURCE} 3.2", provenance="derived",
       given=(problems(horizons=(2, 3), actions=(2, 2)), submodular_policies, st.integers(1, 3)), control={"all": True})  # fmt: skip
def lookahead(mdp, policy, k, all=False):
    """With the next k gains as weights the mean is E sum_h score_h F(tau_{0:min(h+k,H)}), F read from the table of all sets.

    F(tau_{0:h}) is a baseline. Control: all gains to go.
    """
    paths = all_paths(mdp, policy)
    prefix = prefix_values(mdp, paths.states)
    k, H = (1, mdp.horizon) if all else (k, mdp.horizon)
    weights = prefix[:, np.minimum(np.arange(H) + k, H)]
    return expected_estimate(mdp, policy, SubPO(lookahead=None if all else k)), expected_scores(paths, policy, weights), mdp.table().max()


@claim("subpo.dynamic-program", kind=identity, source=f"{SOURCE} 3.4", provenance="derived", given=(LISTED, submodular_policies),
       control={"first": 1})  # fmt: skip
def dynamic_program(mdp, policy, first=0):
    """J by dynamic programming over (h, s, collected set) is the mean of F over all trajectories.  Control: without the start's gain."""
    paths = all_paths(mdp, policy)
    return paths.probability @ paths.gains[:, first:].sum(axis=1), planning.submodular_value(mdp, policy), mdp.table().max()


@claim("subpo.gains-need-the-past", kind=identity, source=f"{SOURCE} 3.1, L3", provenance="derived",
       given=(problems(("coverage", "facility", "concave", "ddesign"), (2, 3), actions=(2, 2)), submodular_policies),
       control={"modular": True})  # fmt: skip
def gains_need_the_past(mdp, policy, modular=False):
    """dJ / dtheta[h,s,a] = pi (J(pi with row (h,s) at a) - J(pi)), exactly, as J is affine in a row; the estimate's mean is that.

    Control: gains computed without the past, F({s_j}): the gradient of modular RL.
    """
    J, difference = planning.submodular_value(mdp, policy), np.empty(policy.shape)
    for h, s, a in np.ndindex(policy.shape):
        changed = policy.copy()
        changed[h, s] = np.eye(policy.shape[2])[a]
        difference[h, s, a] = planning.submodular_value(mdp, changed) - J
    return expected_estimate(mdp, policy, SubPO(modular=modular)), policy * difference, mdp.table().max()


@claim("subpo.modular", kind=identity, source=f"{SOURCE} 3.2, ModPO", provenance="paper", given=(LISTED, submodular_policies),
       control={"modular": False})  # fmt: skip
def modular_gradient(mdp, policy, modular=True):
    """ModPO's mean estimate is the policy gradient d pi (Q - V) of the additive problem with rewards F({s_j}), by backward induction.

    Control: SubPO's.
    """
    P, reward, H = mdp.probabilities, mdp.additive_reward, mdp.horizon
    V, occupancy, advantage = reward[H], [mdp.initial], np.empty(mdp.shape)
    for h in range(H - 1, -1, -1):
        Q = P[h] @ V
        advantage[h] = Q - np.sum(policy[h] * Q, axis=1, keepdims=True)
        V = reward[h] + np.sum(policy[h] * Q, axis=1)
    for h in range(H - 1):
        occupancy.append(np.einsum("s,sa,sat->t", occupancy[h], policy[h], P[h]))
    exact = np.stack(occupancy)[..., None] * policy * advantage
    return expected_estimate(mdp, policy, SubPO(modular=modular)), exact, reward.sum()


@claim("subpo.baseline", kind=identity, source=f"{SOURCE} L4", provenance="paper", given=(LISTED, submodular_policies, seeds),
       control={"future": 0.5})  # fmt: skip
def baseline(mdp, policy, seed, future=0.0):
    """Any function of (tau_{0:h}), here a random b[h,s] plus the square of the past F, may be subtracted from togo_h.

    Control: half of the trajectory's own future in the baseline, as when a batch is its own baseline.
    """
    paths = all_paths(mdp, policy)
    F = np.cumsum(paths.gains, axis=1)
    rows = np.arange(len(F))[:, None], np.arange(mdp.horizon), paths.states[:, :-1]
    b = np.repeat(np.random.default_rng(seed).normal(size=(1, *policy.shape[:2])), len(F), axis=0)
    b[rows] += F[:, :-1] ** 2 + future * (F[:, -1:] - F[:, :-1])
    subtracted = np.tensordot(paths.probability, estimates(mdp, policy, paths, SubPO(), b), 1)
    return subtracted, expected_estimate(mdp, policy), 1 + mdp.table().max() ** 2


@claim("subpo.batch-mean", kind=identity, source=f"{SOURCE} 3.2", provenance="derived", given=(problems(), submodular_policies, seeds),
       control={"drop": 1})  # fmt: skip
def batch_mean(mdp, policy, seed, drop=0):
    """The estimate of a batch is the mean of those of its trajectories, and its sums count advantages, returns and visits.

    Control: without its last trajectory.
    """
    drawn, (H, S, A), rng = planning.sample_trajectories(mdp, policy, 7, seed), mdp.shape, np.random.default_rng(seed)
    b, sums, rows, found = rng.normal(size=H * S), np.zeros((H * S, A + 3)), np.empty(H * S, np.int64), np.zeros((H * S, A))
    visited = rows[: estimate(SubPO().windows(H)[0], Batch(*drawn), b, policy.reshape(H * S, A), sums, rows, found)]
    each = estimates(mdp, policy, Paths(None, *drawn), SubPO(), np.repeat(b[None], 7, axis=0)).reshape(7, H * S, A)
    F, there = np.cumsum(drawn.gains, axis=1), drawn.states[:, :-1] + S * np.arange(H)
    expected, togo = np.zeros((H * S, A + 3)), F[:, -1:] - F[:, :-1]
    np.add.at(expected, (there, drawn.actions), togo - b[there])
    for column, added in enumerate((togo - b[there], togo, 1.0)):
        np.add.at(expected[:, A + column], there, added)
    mean, order = each[: 7 - drop].mean(axis=0), np.array([sorted(visited) == np.unique(there).tolist()], float)
    return np.concatenate([found.ravel(), sums.ravel(), order]), np.concatenate([mean.ravel(), expected.ravel(), [1]]), 7 * F.max()


@claim("subpo.prefix-is-myopic", kind=identity, source=f"{SOURCE} L5", provenance="derived",
       given=(problems(horizons=(2, 3), actions=(2, 2)), submodular_policies), control={"weights": "togo"})  # fmt: skip
def prefix_is_myopic(mdp, policy, weights="myopic"):
    """Prefix weights have the mean of the next gain alone: E score_h F(tau_{0:h+1}) = E score_h Delta_{h+1}, as F(tau_{0:h}) is a baseline.

    So the released code follows the gradient of a lookahead of one step, not that of J. Control: that it is the gradient of J.
    """
    prefix, other = (expected_estimate(mdp, policy, SubPO(weights=form)) for form in ("prefix", weights))
    return prefix, other, mdp.table().max()


@claim("subpo.second-moments", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(LISTED, submodular_policies),
       control={"cut": True})  # fmt: skip
def second_moments(mdp, policy, cut=False):
    """E (score_h togo_h)^2 <= E (score_h F(tau))^2 in every coordinate, for monotone F: 0 <= togo_h <= F(tau) pointwise.

    The means agree, so the variance of the gains to go is smaller. Control: a cut function, whose gains may be negative.
    """
    if cut:  # one step: action 1 collects the other element, and what was cut is cut no more
        mdp = SubmodularMDP([[[1.0, 0], [0, 1]], [[1, 0], [0, 1]]], 0, Cut([[0, 1.0], [1, 0]]), 1)
        policy = np.full((1, 2, 2), [0.75, 0.25])
    togo, full = (expected_estimate(mdp, policy, SubPO(weights=form), 2) for form in ("togo", "full"))
    return togo, full, np.abs(mdp.table()).max() ** 2


def slippery_grid():
    """The 2 x 3 grid with three steps and slip 0.3, and a random softmax policy."""
    from tabular_rl.submodular import Coverage

    weights = [0.3, 0.9, 0.5, 0.7, 0.2, 1.0]
    mdp = SubmodularMDP(instances.grid_successors(2, 3), 4, Coverage(weights, instances.grid_sensor(2, 3, "self")), 3, slip=0.3)
    theta = np.random.default_rng(0).normal(size=mdp.shape)
    return mdp, np.exp(theta) / np.exp(theta).sum(axis=-1, keepdims=True)


def tagged_world():
    """Random transitions of every step and a random start, two elements for three states, time-tagged, and a random softmax policy."""
    base = instances.random_problem(3, 2, 3, "soft", seed=5, concentration=1.0)
    objective = instances.random_objective("soft", 2, 1)
    mdp = SubmodularMDP(base.transition, base.initial, objective, elements=[[0, 1, -1]] * 4, repeats=True)
    theta = np.random.default_rng(1).normal(size=mdp.shape)
    return mdp, np.exp(theta) / np.exp(theta).sum(axis=-1, keepdims=True)


WORLDS = {"2 x 3 grid, slip 0.3": slippery_grid, "random transitions, time-tagged": tagged_world}


@claim("subpo.sampled-gradient", kind=Expectation(replicates=8_000, equal=True), source=f"{SOURCE} L7", provenance="derived",
       given={"2 x 3 grid, slip 0.3": slippery_grid}, control={"weights": "prefix"})  # fmt: skip
def sampled_gradient(mdp, policy, rng, weights="togo"):
    """The mean over trajectories drawn by the rollout kernel of SubPO's estimate is dJ / dtheta; every sample lies in [-F(V), F(V)].

    Control: prefix weights.
    """
    drawn = planning.sample_trajectories(mdp, policy, 8_000, seed=int(rng.integers(2**62)))
    samples = estimates(mdp, policy, Paths(None, *drawn), SubPO(weights=weights))
    exact, top = planning.submodular_gradient(mdp, policy), mdp.table().max()
    there = np.repeat((exact.occupancy > 0)[..., None], mdp.n_actions, axis=-1).ravel()
    return samples.reshape(len(samples), -1)[:, there], exact.logits.ravel()[there], -top, top


@claim("subpo.trajectories", kind=Expectation(replicates=4_000, equal=True), source=f"{SOURCE} 8.1", provenance="classical",
       given=WORLDS, control={"uniform": True})  # fmt: skip
def trajectories(mdp, policy, rng, uniform=False):
    """The rollout kernel visits (s_h, a_h, s_{h+1}) as often as d_h(s) pi_h(a|s) P_h(s'|s, a), for every step, over 40 batches of one run.

    Control: trajectories of the uniform policy.
    """
    (H, S, A), P, n, objective, world = mdp.shape, mdp.probabilities, 4_000, mdp.objective, mdp.world
    drawn, key = Batch(np.empty((n, H + 1), int), np.empty((n, H), int), np.empty((n, H + 1))), rng.integers(2**62, dtype=np.uint64)
    played, work = np.full(mdp.shape, 1 / A) if uniform else policy, workspace(objective.packed, objective.n_elements, H + 1)
    with np.errstate(over="ignore"):
        for number, first in enumerate(range(0, n, 100)):  # no two batches have the same luck
            rollouts(world, objective.packed, work, played, key, number, first, Batch(*(part[first : first + 100] for part in drawn)))
    law, at = np.empty((H, S, A, S)), mdp.initial
    for h in range(H):
        law[h] = at[:, None, None] * policy[h][..., None] * P[h]
        at = law[h].sum(axis=(0, 1))
    index = ((np.arange(H) * S + drawn.states[:, :-1]) * A + drawn.actions) * S + drawn.states[:, 1:]
    seen = np.zeros((n, law.size))
    seen[np.arange(n)[:, None], index] = 1
    often = law.ravel() > 0.01
    return np.column_stack([seen[:, often], seen[:, law.ravel() == 0].any(axis=1)]), np.append(law.ravel()[often], 0), 0.0, 1.0


@claim("subpo.block-step", kind=identity, source=f"{SOURCE} L9", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, scales(-1, 1), seeds), control={"blocks": "all"})  # fmt: skip
def block_step(mdp, policy, eta, seed, blocks="one"):
    """J(pi') - J(pi) = (1/eta) sum_s d[h,s] <pi' - pi, log pi' - log pi> for one natural gradient step of size eta in one time block h.

    J is affine in a block, and log pi' - log pi = eta Qbar - const. The right side is a sum of relative entropies, hence J never falls.
    Control: the same step in all blocks at once.
    """
    found = planning.submodular_gradient(mdp, policy)
    chosen = range(mdp.horizon) if blocks == "all" else [np.random.default_rng(seed).integers(mdp.horizon)]
    after = _natural_step(mdp, policy, eta, chosen)
    change = np.log(np.maximum(after, 1e-300)) - np.log(policy)
    rise = np.sum((after - policy) * change, axis=2)
    pays = np.sum(found.occupancy * rise) / eta
    rounded = np.finfo(float).eps * mdp.horizon / eta  # probabilities are, also where F is 0
    return planning.submodular_value(mdp, after) - found.value, pays, mdp.table().max() * (1 + 1 / eta) + rounded


def _natural_step(mdp, policy, eta, blocks):
    """The policy after the suite's natural gradient step in some blocks, each from ``policy``."""
    after = policy.copy()
    for h in blocks:
        after[h] = planning.natural_block_step(mdp, policy, int(h), eta)[h]
    return after


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
    after = _natural_step(mdp, policy, eta, chosen)
    return found.value, planning.submodular_value(mdp, after), mdp.table().max()


@claim("subpo.smoothness", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, seeds), control={"factor": 1e-3})  # fmt: skip
def smooth(mdp, policy, seed, factor=1.0):
    """|D' Hess J D| <= L |D|^2 for D = another policy minus this one, L = F(V) A (H - 1), which is what ``smoothness`` says; second
    differences of two blocks are exact.

    Control: L / 1000. (Random instances come to 1/50 of L: the constant is loose.)
    """
    H = mdp.horizon
    other = np.random.default_rng(seed).dirichlet(np.full(mdp.n_actions, 0.1), mdp.shape[:2])
    value = lambda *blocks: planning.submodular_value(mdp, np.where(np.isin(np.arange(H), blocks)[:, None, None], other, policy))
    mixed = [value(g, h) - value(g) - value(h) + value() for h in range(H) for g in range(h)]
    L, said = mdp.table().max() * mdp.n_actions * (H - 1), smoothness(mdp)
    return np.array([abs(2 * sum(mixed)), L, said]), np.array([factor * said * np.sum((other - policy) ** 2), said, L]), said


@claim("subpo.projected-ascent", kind=inequality, source=f"{SOURCE} L10", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies), control={"factor": 3})  # fmt: skip
def projected_ascent(mdp, policy, factor=1.0):
    """Projected gradient steps of size 1/L gain |G|^2 / (2 L) each, G = L (step): hence min_k |G_k|^2 <= 2 L (max J - J_0) / K. No policy
    is nearer to pi + grad / L than the step's: <pi + grad / L - pi', pi'' - pi'> <= 0 for every pi''.

    Control: three times as much, more than any direction of small curvature gives.
    """
    L = smoothness(mdp) or 1.0
    found, (values, after) = planning.submodular_gradient(mdp, policy), planning.projected_ascent(mdp, 1, init=policy)
    goal = policy + found.policy / L
    farther = np.array([np.sum((goal - after) * (other - after)) for other in (policy, *np.eye(mdp.n_actions))])
    gained = [values[1] - found.value, values[0] - found.value, found.value - values[0]]
    top, least = mdp.table().max(), [factor * L * np.sum((after - policy) ** 2) / 2, 0.0, 0.0]
    return np.array([*least, *(top * farther)]), np.array([*gained, *(0 * farther)]), top + L * 1e-12


theorem(
    "subpo-gradient",
    statement=r"$\nabla J = \mathbb{E} \sum_h \nabla \log \pi(a_h | s_h) \left( \sum_{j > h} \Delta_j - b(\tau_{0:h}) \right)$ with the "
    r"marginal gains $\Delta_j$ of $F$; weighing with prefix values $F(\tau_{0:h+1})$ instead gives the gradient of the next gain only.",
    source="Prajapat, Mutny, Zeilinger, Krause 2024, policy gradient theorem; subpo spec, L2 to L7",
    provenance="paper",
    claims=(
        "subpo.telescoping", "subpo.dynamic-program", "subpo.to-go-gradient", "subpo.gains-need-the-past", "subpo.baseline",
        "subpo.prefix-is-myopic", "subpo.lookahead", "subpo.modular", "subpo.batch-mean",
        "subpo.second-moments", "subpo.sampled-gradient", "subpo.trajectories",
    ),
    uses={
        "subpo.to-go-gradient": ("subpo.telescoping", "subpo.baseline", "subpo.dynamic-program"),
        "subpo.prefix-is-myopic": ("subpo.baseline",),
        "subpo.lookahead": ("subpo.baseline",),
        "subpo.sampled-gradient": ("subpo.to-go-gradient", "subpo.batch-mean", "subpo.trajectories"),
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
