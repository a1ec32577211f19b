"""Submodular problems small enough for exact tools, and constructions that separate what can be proved from what cannot.

Source: subpo spec, sections 1, 4, 5, 6 and 9 (derived there unless said otherwise).
"""

import numpy as np

from tabular_rl.instances.building import deterministic
from tabular_rl.instances.registry import instance
from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.submodular import Concave, CountSquared, Coverage, Cut, DDesign, Facility, Mixture, Modular, Soft, Truncated

KINDS = ("coverage", "truncated", "soft", "facility", "concave", "ddesign", "mixture", "modular", "cut", "count2")


@instance(shape=(4, 9, 5), builds=SubmodularMDP)
def tiny(R=3, C=3, H=4, slip=0.0, sensor="self", seed=0):
    """A grid with weights ``default_rng(seed).random(R * C)``, start in cell (R // 2) * C + C // 2; ``sensor`` "self" or "2x2"."""
    R, C = check.integer("R", R, 1), check.integer("C", C, 1)
    weights = np.random.default_rng(check.integer("seed", seed, 0, None)).random(R * C)
    return SubmodularMDP(grid_successors(R, C), (R // 2) * C + C // 2, Coverage(weights, grid_sensor(R, C, sensor)), H, slip=slip)


@instance(shape=(3, 4, 2), builds=SubmodularMDP)
def gap():
    """Memory helps: chance shows one of two elements, and only who remembers which collects the other. OPT_M = 1.5, OPT_NM = 2.

    States start, x1, x2, hub; H = 3. The start goes to x1 or x2 by a fair coin, both to the hub, whose action chooses x1 or x2.
    """
    transition = np.zeros((4, 2, 4))
    transition[0, :, 1:3] = 0.5
    transition[1:3, :, 3] = 1
    transition[3] = np.eye(4)[[1, 2]]
    return SubmodularMDP(transition, 0, Modular([1.0, 1.0]), 3, elements=[-1, 0, 1, -1], states=("start", "x1", "x2", "hub"))


@instance(shape=(3, 10, 2), builds=SubmodularMDP)
def counter(c=0.5, L=2, eps=1e-3, delta=1e-6):
    """A policy with no improvement in any time block, at (1 - c)^L of the optimum: curvature alone does not make stationary points good.

    H = L + 1. The start is m0, or with probability ``eps`` each a decoy U_k (k = 1..L) that collects u_k, waits and enters s_k at time k.
    Action 0 takes b_k and ends, action 1 goes on; the last one takes v. u_k and the prize t_k behind s_k (v, or b_{k+1}) share an item
    of weight c * value(t_k), so that in histories with u_k going on is worth 1 - c of what it is worth to m0. The policy "always
    action 0" is the stationary one. Element order: u_1..u_L, b_0..b_L, v; state order: m0, U_1..U_L, s_1..s_L, b_0..b_L, v, sink.
    """
    c, L = check.number("c", c, above=0, below=1), check.integer("L", L, 1)
    eps, delta = check.number("eps", eps, above=0, at_most=1 / L), check.number("delta", delta, above=0)
    value = np.zeros(L + 2)  # of b_0 .. b_L, v
    value[L + 1] = 1
    for k in range(L, 0, -1):
        value[k] = (1 - c) * value[k + 1] + delta
    value[0] = value[1] + delta
    prizes = value[2:]  # t_1 .. t_L
    # items: shared ones of t_1..t_L, private ones of u_1..u_L, private ones of b_0, b_1, b_2..b_L, v
    weights = np.concatenate([c * prizes, (1 - c) * prizes, value[:2], (1 - c) * prizes])
    sensor = [[k, L + k] for k in range(L)] + [[2 * L], [2 * L + 1]] + [[k, 2 * L + 2 + k] for k in range(L)]
    H, S = L + 1, 3 * L + 4
    m0, U, s, terminal, sink = 0, 1, 1 + L, 1 + 2 * L, 3 * L + 3  # U_k is U + k - 1, s_k is s + k - 1, terminals b_0..b_L, v
    successors = np.full((H, S, 2), sink)
    successors[:, m0] = terminal, s
    for k in range(1, L + 1):
        successors[:, U + k - 1] = U + k - 1
        successors[k - 1, U + k - 1] = s + k - 1
        successors[:, s + k - 1] = terminal + k, terminal + L + 1 if k == L else s + k
    elements = np.full((H + 1, S), -1)
    elements[0, U : U + L] = np.arange(L)
    elements[:, terminal:sink] = np.arange(L, 2 * L + 2)
    initial = np.zeros(S)
    initial[m0], initial[U : U + L] = 1 - L * eps, eps
    return SubmodularMDP(deterministic(successors, S), initial, Coverage(weights, sensor), elements=elements)


@instance(shape=(3, 7, 3), builds=SubmodularMDP)
def bandit(H=3, A=3, n=6, seed=0, epsilon=0.0, objective=None, distributions=None):
    """A bandit SMDP: where an action leads does not depend on the state. State 0 starts and collects nothing, state e + 1 collects e.

    ``distributions`` D [H, A, n]: law of the element collected by action a at step h. Default: "its" element, drawn by
    ``default_rng(seed).integers(n, size=(H, A))``, with probability 1 - ``epsilon`` (a number or [H]), the others evenly.
    ``objective``: over n elements; default: ``bandit_objective(n, seed)``.

    Source: the epsilon-bandit SMDP of Prajapat, Mutny, Zeilinger, Krause (2024), as subpo spec, section 5, reconstructs it.
    """
    n = check.integer("n", n, 2)
    if distributions is None:
        H, A = check.integer("H", H, 1), check.integer("A", A, 1)
        targets = np.random.default_rng(check.integer("seed", seed, 0, None)).integers(n, size=(H, A))
        epsilon = check.real_array("epsilon", epsilon)
        epsilon = check.real_array("epsilon", np.full(H, epsilon) if epsilon.ndim == 0 else epsilon, (H,))[:, None, None]
        if epsilon.min() < 0 or epsilon.max() > 1:
            raise ValueError(f"epsilon must lie in [0, 1], got {epsilon.min()} to {epsilon.max()}")
        its = np.eye(n)[targets]
        distributions = (1 - epsilon) * its + epsilon * (1 - its) / (n - 1)
    distributions = check.distribution("distributions", distributions)
    if distributions.ndim != 3:
        raise ValueError(f"distributions must have shape [H, A, n], got {distributions.shape}")
    H, A, n = distributions.shape
    transition = np.zeros((H, n + 1, A, n + 1))
    transition[..., 1:] = distributions[:, None]
    objective = bandit_objective(n, seed) if objective is None else objective
    return SubmodularMDP(transition, 0, objective, elements=np.arange(-1, n))


def bandit_objective(n=6, seed=0):
    """Coverage of 8 items by n elements: weights ``rng.random(8)``, then each element holds each item with probability 0.4."""
    rng = np.random.default_rng([check.integer("seed", seed, 0, None), 1])
    return Coverage(rng.random(8), rng.random((check.integer("n", n, 1), 8)) < 0.4)


@instance(shape=(3, 4, 3), builds=SubmodularMDP)
def permutation(H=3):
    """H unit elements, and every one of H steps may collect any of them: continuous greedy that breaks no tie gets 1 - (1 - 1/H)^H of H."""
    H = check.integer("H", H, 1)
    return bandit(objective=Modular(np.ones(H)), distributions=np.broadcast_to(np.eye(H), (H, H, H)))


@instance(shape=(4, 6, 3), builds=SubmodularMDP)
def bait(H=4, M=100.0):
    """A crumb next door and a prize M at the end of a corridor of H steps: greedy gets 1, and no policy gradient step sees the prize.

    State 0 starts, 1 is a dead end of weight 1, 2..H the corridor, H + 1 the goal of weight M. In 0: stay, to 1, to the corridor; in the
    corridor actions 0 and 1 step back, 2 goes on.
    """
    H, M = check.integer("H", H, 2), check.number("M", M, at_least=0)
    successors, weights = np.zeros((H + 2, 3), np.int64), np.zeros(H + 2)
    successors[0], successors[1], successors[H + 1] = (0, 1, 2), 1, H + 1
    for state in range(2, H + 1):
        successors[state] = [state - 1 if state > 2 else 0] * 2 + [state + 1]
    weights[1], weights[H + 1] = 1, M
    return SubmodularMDP(successors, 0, Modular(weights), H)


@instance(shape=(3, 3, 2), builds=SubmodularMDP)
def random_problem(S=3, A=2, H=3, kind="coverage", seed=0, concentration=0.5):
    """Dirichlet(``concentration``) transitions of every step, Dirichlet(1) start, a random objective over the states; in this order."""
    S, A, H = check.integer("S", S, 1), check.integer("A", A, 1), check.integer("H", H, 1)
    rng = np.random.default_rng(check.integer("seed", seed, 0, None))
    alpha = np.full(S, check.number("concentration", concentration, above=0))
    transition, initial = rng.dirichlet(alpha, (H, S, A)), rng.dirichlet(np.ones(S))
    return SubmodularMDP(transition, initial, random_objective(kind, S, rng))


def random_objective(kind, n, rng):
    """An objective of ``kind`` over n elements from a Generator (or a seed); 2 n items."""
    check.choice("kind", kind, KINDS)
    n, rng = check.integer("n", n, 1), check.generator(rng, "rng")
    weights, sensor = rng.random(2 * n), rng.random((n, 2 * n)) < 0.4
    if kind == "coverage":
        return Coverage(weights, sensor)
    if kind == "truncated":
        return Truncated(rng.integers(-1, 2, n), rng.integers(1, 3, 2))
    if kind == "soft":
        return Soft(weights, sensor, rng.uniform(0.2, 0.9))
    if kind == "facility":
        return Facility(rng.random((n, 2 * n)), weights)
    if kind == "concave":
        return Concave(rng.random((n, 2 * n)), weights)
    if kind == "ddesign":
        return DDesign(features=rng.standard_normal((n, 3)), noise=0.5)
    if kind == "mixture":
        return Mixture(rng.uniform(0.1, 0.9), sensor @ weights + rng.random(n), weights, sensor)
    if kind == "modular":
        return Modular(weights[:n])
    if kind == "cut":
        upper = np.triu(rng.random((n, n)), 1)
        return Cut(upper + upper.T)
    return CountSquared(n)


def grid_successors(R, C, free=None):
    """[R * C, 5] of stay, right, down, left, up; moves off the grid, or into or out of cells that are not ``free`` [R * C] stay."""
    row, column = np.divmod(np.arange(R * C), C)
    moves = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    cells = np.stack([np.clip(row + i, 0, R - 1) * C + np.clip(column + j, 0, C - 1) for i, j in moves], axis=1)
    if free is not None:
        cells = np.where(free[cells] & free[:, None], cells, np.arange(R * C)[:, None])
    return cells


def grid_sensor(R, C, sensor="2x2"):
    """List of the cells that each cell's sensor sees: "self", or "2x2" (itself, right, down, right down)."""
    reach = 1 if check.choice("sensor", sensor, ("self", "2x2")) == "2x2" else 0
    return [
        [(r + i) * C + c + j for i in range(reach + 1) for j in range(reach + 1) if r + i < R and c + j < C]
        for r in range(R)
        for c in range(C)
    ]
