"""Exact values, gradients and ascents of small submodular problems, by dynamic programming over (h, s, collected set).

For F over n elements the collected set is a sufficient statistic of the history, so all of this costs O(H S A S 2^n): n <= 20, and
16 in practice. For each h the value J(policy) is affine in the whole block policy[h] (subpo spec S1), which is why ascents that change
one block at a time are monotone. Source: subpo spec, sections 3.4, 4 and 6 (derived).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check

LARGEST_TABLE = 2**28  # numbers in a table over (h, s, set): 2 GB
STRICT = 1e-12  # what an improvement must exceed, or ties let coordinate ascent cycle


class MaskArrays(NamedTuple):
    """What the kernels read: ``P`` [T, S, A, S], ``initial`` [S], ``elements`` [T', S], ``F`` [2^n]."""

    P: np.ndarray
    initial: np.ndarray
    elements: np.ndarray
    F: np.ndarray


class Derivative(NamedTuple):
    """J and what the exact ascents need.

    ``value``: J; ``policy`` [H, S, A]: W = dJ/dpolicy, sum_mask mu Q; ``occupancy`` [H, S]; ``advantage`` [H, S, A]: of the gains to come,
    averaged over histories, mean 0 under the policy (0 where the occupancy is); ``logits`` [H, S, A]: dJ/dtheta of softmax logits.
    """

    value: float
    policy: np.ndarray
    occupancy: np.ndarray
    advantage: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class HistoryPolicy:
    """A policy of (h, s, collected set): ``actions`` [H, S, 2^n], and its exact ``value``."""

    value: float
    actions: np.ndarray

    def __repr__(self):
        return f"HistoryPolicy(value={self.value:.6g})"


def mask_arrays(mdp):
    """The MaskArrays of ``mdp``; ValueError for more than 20 elements, or tables over (h, s, set) above 2 GB."""
    F, ground = check.kind("mdp", mdp, SubmodularMDP).table(), mdp.ground_set()
    H, S, _ = mdp.shape
    if (H + 1) * S * len(F) > LARGEST_TABLE:
        raise ValueError(f"exact tools need (H + 1) S 2^n <= {LARGEST_TABLE}, got H={H}, S={S}, n={ground.n}")
    elements = np.array(ground.elements if mdp.repeats else mdp.packed_elements)
    return MaskArrays(np.array(mdp.packed_transition), np.array(mdp.initial), elements, F)


def _policy(mdp, policy):
    if policy is None:
        return np.full(mdp.shape, 1 / mdp.n_actions)
    from tabular_rl.planning.evaluation import as_policy

    return as_policy(mdp, policy)


def _forward(arrays, policy):
    from tabular_rl.kernels.submodular import masks as kernels

    mu = np.empty((policy.shape[0] + 1, policy.shape[1], len(arrays.F)))
    kernels.forward(arrays.P, arrays.initial, arrays.elements, policy, mu)
    return mu


def collected_distribution(mdp, policy=None):
    """[H + 1, S, 2^n] probability of being in s at time h with each subset of the ground set collected (default policy: uniform)."""
    return _forward(mask_arrays(mdp), _policy(mdp, policy))


def submodular_value(mdp, policy=None):
    """J: the exact expected F of the trajectories of a Markov policy (default: the uniform one)."""
    arrays = mask_arrays(mdp)
    return float(np.sum(_forward(arrays, _policy(mdp, policy))[-1] @ arrays.F))


def submodular_gradient(mdp, policy=None):
    """The exact Derivative of J at a Markov policy (default: the uniform one)."""
    return _derivative(mask_arrays(mdp), _policy(mdp, policy))


def _derivative(arrays, policy):
    from tabular_rl.kernels.submodular import masks as kernels

    mu = _forward(arrays, policy)
    W = np.empty(policy.shape)
    kernels.backward(arrays.P, arrays.elements, arrays.F, policy, mu, np.empty_like(mu), W)
    occupancy = mu[:-1].sum(axis=-1)
    centered = W - np.sum(policy * W, axis=-1, keepdims=True)
    reached = occupancy[..., None] > 0
    advantage = np.where(reached, centered / np.where(reached, occupancy[..., None], 1), 0.0)
    return Derivative(float(np.sum(mu[-1] @ arrays.F)), W, occupancy, advantage, policy * centered)


def history_optimum(mdp):
    """The optimum over all history-dependent policies, as a HistoryPolicy."""
    from tabular_rl.kernels.submodular import masks as kernels

    arrays = mask_arrays(mdp)
    values, actions = _tables(mdp, arrays)
    kernels.optimal_history(arrays.P, arrays.elements, arrays.F, values, actions)
    return HistoryPolicy(_at_start(arrays, values), actions)


def greedy_history(mdp):
    """The history-dependent policy of the largest expected gain of the next step (ties: lowest action). It has no constant factor."""
    from tabular_rl.kernels.submodular import masks as kernels

    arrays = mask_arrays(mdp)
    values, actions = _tables(mdp, arrays)
    kernels.greedy_actions(arrays.P, arrays.elements, arrays.F, actions)
    kernels.history_values(arrays.P, arrays.elements, arrays.F, actions, values)
    return HistoryPolicy(_at_start(arrays, values), actions)


def _tables(mdp, arrays):
    H, S, _ = mdp.shape
    return np.empty((H + 1, S, len(arrays.F))), np.zeros((H, S, len(arrays.F)), np.int8)


def _at_start(arrays, values):
    S = len(arrays.initial)
    e = arrays.elements[0]
    return float(arrays.initial @ values[0, np.arange(S), np.where(e >= 0, 1 << np.maximum(e, 0), 0)])


def modular_policy(mdp):
    """The optimum [H, S, A] of the additive problem with rewards F({element}) (ModPO, exact): (1 - c) OPT at least for curvature c."""
    return additive_optimum(mdp, check.kind("mdp", mdp, SubmodularMDP).additive_reward)[1]


def additive_optimum(mdp, reward):
    """(value, policy [H, S, A]) of the additive problem that pays ``reward`` [H + 1, S] for being in s at time h (ties: lowest action)."""
    H, S, A = check.kind("mdp", mdp, SubmodularMDP).shape
    reward = check.real_array("reward", reward, (H + 1, S))
    values, actions = np.array(reward[H]), np.empty((H, S), np.int64)
    for h in range(H - 1, -1, -1):
        if mdp.successors is None:
            q = mdp.packed_transition[h % len(mdp.packed_transition)] @ values
        else:
            there = values[mdp.successors]
            q = (1 - mdp.slip) * there + mdp.slip * there.mean(axis=1, keepdims=True)
        actions[h] = q.argmax(axis=1)
        values = reward[h] + q.max(axis=1)
    return float(mdp.initial @ values), np.eye(A)[actions]


def _start(mdp, init):
    if isinstance(init, str):
        check.choice("init", init, ("uniform", "modpo"))
        return _policy(mdp, None) if init == "uniform" else modular_policy(mdp)
    return np.array(_policy(mdp, init))


def block_ascent(mdp, init="uniform"):
    """(value, policy): coordinate ascent over the time blocks h = H-1..0, again until nothing improves by more than 1e-12.

    ``init``: "uniform", "modpo" (then the value stays >= (1 - c) OPT for curvature c), or a policy [H, S, A]. Monotone, finite; ends
    where no single block can be improved.
    """
    arrays, policy = mask_arrays(mdp), _start(mdp, init)
    H, _, A = policy.shape
    improved = True
    while improved:
        improved = False
        for h in range(H - 1, -1, -1):
            W = _derivative(arrays, policy).policy[h]
            better = W.max(axis=1) > np.sum(policy[h] * W, axis=1) + STRICT
            if better.any():
                policy[h, better] = np.eye(A)[W[better].argmax(axis=1)]
                improved = True
    return submodular_value(mdp, policy), policy


def natural_block_step(mdp, policy, h, eta):
    """``policy`` with block ``h`` multiplied by exp(eta advantage): an exact natural gradient step: it never lowers J (subpo spec L9)."""
    policy = np.array(_policy(check.kind("mdp", mdp, SubmodularMDP), policy))
    h, eta = check.integer("h", h, 0, mdp.horizon - 1), check.number("eta", eta, at_least=0)
    advantage = submodular_gradient(mdp, policy).advantage[h]
    weights = policy[h] * np.exp(eta * (advantage - advantage.max(axis=1, keepdims=True)))
    policy[h] = weights / weights.sum(axis=1, keepdims=True)
    return policy


def natural_ascent(mdp, eta=1.0, sweeps=100, init="uniform"):
    """(value, policy) after ``sweeps`` rounds of ``natural_block_step`` over all blocks. Monotone."""
    check.integer("sweeps", sweeps, 1)
    policy = _start(check.kind("mdp", mdp, SubmodularMDP), init)
    for _ in range(sweeps):
        for h in range(mdp.horizon - 1, -1, -1):
            policy = natural_block_step(mdp, policy, h, check.number("eta", eta, above=0))
    return submodular_value(mdp, policy), policy


def smoothness(mdp):
    """L = F(V) A max(H - 1, 1): J's gradient in the policy is L-Lipschitz on products of simplices (subpo spec L10); loose by about 50."""
    H, _, A = check.kind("mdp", mdp, SubmodularMDP).shape
    return float(mask_arrays(mdp).F.max()) * A * max(H - 1, 1)


def projected_ascent(mdp, iterations=100, scale=1.0, init="uniform"):
    """(values [iterations + 1], policy): projected gradient ascent with step ``scale`` / L. Monotone for scale <= 1 (the theory's)."""
    from tabular_rl.kernels.simplex import project_rows

    check.integer("iterations", iterations, 1)
    arrays, policy = mask_arrays(mdp), _start(mdp, init)
    step = check.number("scale", scale, above=0) / max(smoothness(mdp), 1e-300)
    values = np.empty(iterations + 1)
    for k in range(iterations + 1):
        found = _derivative(arrays, policy)
        values[k] = found.value
        if k < iterations:
            policy = policy + step * found.policy
            project_rows(policy.reshape(-1, policy.shape[-1]))
    return values, policy
