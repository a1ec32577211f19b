"""Robust problems: the agent minimizes cost, an adversary moves the transition kernel inside an ambiguity set."""

from pathlib import Path

import numpy as np

from tabular_rl import ambiguity as sets
from tabular_rl.instances.building import deterministic
from tabular_rl.instances.generated import draw_garnet
from tabular_rl.instances.registry import instance
from tabular_rl.models import RobustMDP
from tabular_rl.models import validation as check
from tabular_rl.models.csv import read_transitions
from tabular_rl.models.robust import reward_range

FILES = Path(__file__).parent / "data" / "rmdp"


@instance(shape=(5, 6), discount=0.95, builds=RobustMDP)
def garnet_robust(S=5, A=6, branching=3, seed=0, discount=0.95, low=0.1, high=0.5, rectangularity="sa"):
    """``garnet`` with L1 balls around its rows, radii U[low, high], on the nominal support; costs of moves in [0, 1].

    Draws: those of ``garnet``, then the radii [S, A]. ``rectangularity`` "sa": each pair has its own ball; "s": the rows of a state
    share the sum of their radii. ``garnet_policy`` is the published start.

    Source: Wang, Ho, Petrik (2023), with costs scaled to [0, 1]; drpg spec 9.1.
    """
    draws = draw_garnet(S, A, branching, seed)
    low = check.number("low", low, at_least=0)
    radii = draws.generator.uniform(low, check.number("high", high, at_least=low), (S, A))
    by_state = check.choice("rectangularity", rectangularity, ("sa", "s")) == "s"
    ambiguity = sets.SRectangularL1(radii.sum(axis=1)) if by_state else sets.L1(radii)
    return RobustMDP(draws.nominal, draws.cost, discount, draws.initial, ambiguity)


def garnet_policy(S=5, A=6, seed=0):
    """[S, A]: the random start policy of the experiments on ``garnet_robust``, weights U[0.1, 0.5] from the seed 10000 + ``seed``."""
    weights = np.random.default_rng(10000 + check.integer("seed", seed, 0, None)).uniform(0.1, 0.5, (S, A))
    return weights / weights.sum(axis=1, keepdims=True)


@instance(shape=(6, 2), discount=0.95, builds=RobustMDP)
def riverswim_robust(n=6, discount=0.95, radius=0.2):
    """RiverSwim with an uncertain current: action 1 swims right, the large reward is for staying at the right end.

    L1 balls of ``radius`` around every pair, on the nominal support; uniform start; costs of moves 1 - reward, the reward 0.005 for
    action 0 in state 0 and 1 for staying in state n - 1. n >= 2.

    Source: Strehl, Littman (2008); the probabilities of the robust benchmarks; drpg spec 9.2.
    """
    n = check.integer("n", n, 2)
    nominal, reward = np.zeros((n, 2, n)), np.zeros((n, 2, n))
    nominal[:, 0] = deterministic(np.maximum(np.arange(n) - 1, 0), n)
    for s in range(1, n - 1):
        nominal[s, 1, s - 1 : s + 2] = 0.1, 0.6, 0.3
    nominal[0, 1, :2] = 0.7, 0.3
    nominal[n - 1, 1, n - 2 :] = 0.7, 0.3
    reward[0, 0], reward[n - 1, 1, n - 1] = 0.005, 1
    return RobustMDP(nominal, 1 - reward, discount, _uniform(n), sets.L1(radius))


@instance(shape=(10, 2), discount=0.9, builds=RobustMDP)
def machine_replacement(discount=0.9, radius=0.2):
    """A machine wears out: run it (action 0) or repair it (action 1).

    States 0..7 are its conditions (7: broken), 8 the long repair, 9 the short one. Costs by the next state: broken 1, long repair 0.5,
    short repair 0.1. L1 balls of ``radius`` around every pair, on the nominal support; uniform start.

    Source: Delage, Mannor (2010), costs scaled by 1 / 20; drpg spec 9.3.
    """
    broken, long, short = 7, 8, 9
    nominal = np.zeros((10, 2, 10))
    for s in range(broken):
        nominal[s, 0, [s, s + 1]] = 0.2, 0.8
    for s in range(broken + 1):
        nominal[s, 1, [min(s + 1, broken), short, long]] = 0.3, 0.6, 0.1
    nominal[broken, 0, broken] = nominal[long, 0, long] = nominal[short, 1, short] = 1
    nominal[long, 1, [short, long]] = 0.6, 0.4
    nominal[short, 0, [short, 0]] = 0.2, 0.8
    cost = np.zeros(10)
    cost[[short, long, broken]] = 0.1, 0.5, 1
    labels = (*range(8), "long repair", "short repair"), ("run", "repair")
    return RobustMDP(nominal, np.broadcast_to(cost, (10, 2, 10)), discount, _uniform(10), sets.L1(radius), *labels)


@instance(shape=(8, 8), discount=0.9, builds=RobustMDP)
def inventory(capacity=7, discount=0.9, radius=0.2):
    """Order a units into a stock of s: unit costs, holding costs, and lost demand is expensive.

    y = min(s + a, capacity), the demand is 0..5 with probabilities .1, .25, .3, .2, .1, .05, the next state t = max(y - demand, 0).
    Cost of a move: (y - s) + t / 2 + 4 max(demand - y, 0), averaged over the demands that lead to t, divided by its bound 27 (for
    capacity 7; in general capacity + max(capacity / 2, 20)). L1 balls of ``radius``, on the nominal support; uniform start.

    Source: after Scarf (1960); drpg spec 9.4.
    """
    n = check.integer("capacity", capacity, 1) + 1
    demand, chance = np.arange(6), np.array([0.1, 0.25, 0.3, 0.2, 0.1, 0.05])
    nominal, cost = np.zeros((n, n, n)), np.zeros((n, n, n))
    for s in range(n):
        for a in range(n):
            y = min(s + a, n - 1)
            arrives = np.maximum(y - demand, 0)
            np.add.at(nominal[s, a], arrives, chance)
            np.add.at(cost[s, a], arrives, chance * 4 * np.maximum(demand - y, 0))
            there = nominal[s, a] > 0
            cost[s, a, there] /= nominal[s, a, there]
            cost[s, a] += (y - s) + 0.5 * np.arange(n)
    return RobustMDP(nominal, cost / (capacity + max(capacity / 2, 20)), discount, _uniform(n), sets.L1(radius))


@instance(shape=(8, 3), discount=0.95, builds=RobustMDP)
def inventory_param(seed=0, discount=0.95, radius=1.0):
    """A parametric family of kernels: tilted by bumps of the next state, with a temperature that bumps of the pair give.

    P[s,a,t] ~ nominal[s,a,t] exp(theta . phi[t] / (lam . zeta[s,a])), theta and lam in L1 balls of ``radius`` around (0.4, 0.9) and
    (0.7, 0.6). Not rectangular, not convex: no guarantee. Draws: nominal weights, costs of pairs. Uniform start.

    Source: the inventory of Wang, Ho, Petrik (2023) with positive features; drpg spec 9.4.
    """
    rng = np.random.default_rng(check.integer("seed", seed, 0, None))
    nominal, cost = rng.random((8, 3, 8)), rng.random((8, 3))
    s, a, center = np.arange(8.0)[:, None, None], np.arange(3.0)[:, None], np.array([2.0, 5.0])
    phi = np.exp(-((np.arange(8.0)[:, None] - center) ** 2) / 8)
    zeta = np.exp(-((s - center) ** 2) / 8 - (a - 1) ** 2 / 2)
    ambiguity = sets.Parametric(phi, zeta, (0.4, 0.9), (0.7, 0.6), radius, radius)
    return RobustMDP(nominal / nominal.sum(axis=-1, keepdims=True), cost, discount, _uniform(8), ambiguity)


@instance(shape=(3, 2), discount=0.9, builds=RobustMDP)
def pennies(radius=1.0, discount=0.9):
    """Matching pennies against the adversary: the rows of a state share one budget, so that randomizing is worth up to 25 %.

    State 0 decides; both actions lead to state 1 (good) or 2 (bad) with probability 1/2 each, which return to 0; leaving 2 costs 1.
    s-rectangular L1 set with radii (``radius``, 0, 0), start (0.8, 0.1, 0.1). ``pennies_values`` is the closed form.

    Source: drpg spec 9.5.
    """
    nominal, cost = np.zeros((3, 2, 3)), np.zeros((3, 2))
    nominal[0, :, 1:], nominal[1:, :, 0], cost[2] = 0.5, 1, 1
    return RobustMDP(nominal, cost, discount, [0.8, 0.1, 0.1], sets.SRectangularL1([radius, 0.0, 0.0]))


def pennies_values(first=0.5, radius=1.0, discount=0.9):
    """[3]: robust values of the policy that plays action 0 with probability ``first`` in state 0 of ``pennies``; radius <= 1."""
    bad = 0.5 + 0.5 * check.number("radius", radius, at_least=0, at_most=1) * max(first, 1 - first)
    value = discount * bad / (1 - discount**2)
    return np.array([value, discount * value, 1 + discount * value])


@instance(shape=(7, 2), discount=0.9, builds=RobustMDP)
def chain_robust(n=6, forward=0.8, radius=0.2, discount=0.9, support="nominal"):
    """n steps to a goal: action 0 goes forward with probability ``forward``, action 1 stays; every step outside of the goal costs 1.

    State k is the number of steps to go, 0 the goal (absorbing, no ambiguity); L1 balls of ``radius`` <= 2 * forward around the other
    pairs, on the nominal ``support`` or the "full" one. Uniform start. ``chain_robust_values`` is the closed form.

    Source: drpg spec 9.6.
    """
    n, forward = check.integer("n", n, 1), check.number("forward", forward, above=0, at_most=1)
    radius, S = check.number("radius", radius, at_least=0, at_most=2 * forward), n + 1
    nominal, radii, cost = np.zeros((S, 2, S)), np.full((S, 2), radius), np.ones((S, 2))
    nominal[:, 1] = np.eye(S)
    for k in range(1, S):
        nominal[k, 0, [k - 1, k]] = forward, 1 - forward
    nominal[0, 0, 0], radii[0], cost[0] = 1, 0, 0
    return RobustMDP(nominal, cost, discount, _uniform(S), sets.L1(radii, support=support))


def chain_robust_values(n=6, forward=0.8, radius=0.2, discount=0.9, support="nominal"):
    """[n + 1]: the closed form of the optimal robust values of ``chain_robust``."""
    g, steps = discount, np.arange(n + 1)
    less = forward - radius / 2
    if support == "nominal":  # the adversary can only hold the walker back
        less = less if forward < 1 else 1.0  # and not even that where the nominal walker never stays
        beta = g * less / (1 - g * (1 - less))
        return (1 - beta**steps) / (1 - g)
    beta = g * less / (1 - g * (1 - forward))  # it throws him back to the start of the chain
    last = (1 - beta**n) / (1 - g + g * (radius / 2) * beta**n)
    scale = (1 + g * (radius / 2) * last) / (1 - g * (1 - forward))
    return scale * (1 - beta**steps) / (1 - beta)


@instance(shape=(5, 2), discount=0.9, builds=RobustMDP)
def twin_pennies(discount=0.9):
    """Two pennies games behind a router: many worst kernels, with the same values and different occupancies.

    The s-rectangular hull of ``twin_pennies_kernel(r, t, u)``, r in [0.1, 0.9], t and u in [0, 1/2]: at the uniform policy every one
    of them is a worst kernel. Leaving state 4 costs 1; uniform start.

    Source: drpg spec 9.7.
    """
    corners = [twin_pennies_kernel(0.1, 0.0, 0.0), twin_pennies_kernel(0.9, 0.5, 0.5)]
    cost = np.zeros((5, 2))
    cost[4] = 1
    return RobustMDP(twin_pennies_kernel(0.5, 0.25, 0.25), cost, discount, _uniform(5), sets.FiniteSRectangular(corners))


def twin_pennies_kernel(r, t, u):
    """[5, 2, 5]: state 0 routes to state 1 with probability r, else to 2; there action 0 ends badly (in 4, not 3) with probability
    1/2 + t (in state 2: u), action 1 with 1 - t; 3 and 4 return to 0.
    """
    P = np.zeros((5, 2, 5))
    P[0, :, [1, 2]] = [[r], [1 - r]]
    for s, tilt in (1, t), (2, u):
        for a, bad in (0, 0.5 + tilt), (1, 1 - tilt):
            P[s, a, [3, 4]] = 1 - bad, bad
    P[3:, :, 0] = 1
    return P


@instance(shape=(5, 2), discount=0.9, builds=RobustMDP)
def nonrect_two_kernels(discount=0.9, slip=0.1, risk=0.5, rectangularity="none"):
    """Two kernels and no rectangularity: a strict local minimum where policy gradients stay, although a policy of cost 0 exists.

    States 0 (start), 1 and 2 (decisions), 3 (good) and 4 (bad), absorbing; entering 4 costs 1. Kernel 1: from 0 to 1 with probability
    1 - ``slip``, else to 2; in 1 action 0 goes to 2, action 1 ends badly with probability ``risk``; in 2 action 0 ends well, action 1
    badly. Kernel 2: 1 and 2 change roles. ``rectangularity`` "none": one of the two; "s": their s-rectangular hull, where the
    optimum is found. Start 0.96 in state 0, 0.01 elsewhere.

    Source: drpg spec 7.6.
    """
    slip, risk = check.number("slip", slip, at_least=0, at_most=1), check.number("risk", risk, at_least=0, at_most=1)
    kernels = []
    for one, two in (1, 2), (2, 1):
        P = np.zeros((5, 2, 5))
        P[0, :, one], P[0, :, two] = 1 - slip, slip
        P[one, 0, two] = P[two, 0, 3] = P[two, 1, 4] = P[3, :, 3] = P[4, :, 4] = 1
        P[one, 1, [3, 4]] = 1 - risk, risk
        kernels.append(P)
    cost = np.zeros((5, 2, 5))
    cost[:4, :, 4] = 1
    hull = check.choice("rectangularity", rectangularity, ("none", "s")) == "s"
    ambiguity = sets.FiniteSRectangular(kernels) if hull else sets.FiniteKernels(kernels)
    return RobustMDP(kernels[0], cost, discount, [0.96, 0.01, 0.01, 0.01, 0.01], ambiguity)


@instance(shape=(6, 2), discount=0.95, builds=RobustMDP)
def rmdp_benchmark(file="riverswim_mdp", discount=0.95, radius=0.2):
    """A model file of the robust-MDP benchmarks, as it stands, with L1 balls of ``radius`` on the nominal support.

    ``file``: "riverswim_mdp", "riverswim2_mdp", "riverswim3_mdp", "machine_replacement_mdp". Rewards of moves become costs by
    ``reward_range`` (``to_rewards`` maps back); uniform start.

    Source: the model files of the CRAAM library (Petrik and IBM, MIT license).
    """
    names = sorted(path.stem for path in FILES.glob("*.csv"))
    file = check.choice("file", file, names)
    (S, A), (source, action, successor, probability, reward) = read_transitions(FILES / f"{file}.csv")
    nominal, rewards = np.zeros((S, A, S)), np.zeros((S, A, S))
    np.add.at(nominal, (source, action, successor), probability)
    rewards[source, action, successor] = reward
    low, high = reward_range(reward)
    cost = (high - rewards) / (high - low)
    return RobustMDP(nominal, cost, discount, _uniform(S), sets.L1(radius), reward_range=(low, high))


def _uniform(n):
    return np.full(n, 1 / n)
