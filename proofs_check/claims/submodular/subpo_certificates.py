"""Upper bounds on every history-dependent policy, and searches that they prove optimal (subpo spec, sections 7 and 10.5).

q[h,s,a]: occupancies, which obey the flow constraints whatever the policy remembers. P(u is ever covered) <= min(1, expected entries
into what covers u); U(lambda) = sum (w - lambda) + value of the additive problem that pays lambda_u for every entry into u.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import (
    SOURCE,
    deterministic_problems,
    problems,
    seeds,
    submodular_policies,
    tagged_problems,
)
from proofs_check.claims.submodular.subpo_exact import formula_objective
from proofs_check.claims.submodular.subpo_gradient import all_paths
from proofs_check.strategies import draw
from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.kernels.submodular import graph as kernels
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.bounds import _extension
from tabular_rl.planning.submodular.exact import additive_optimum
from tabular_rl.planning.submodular.flows import flow_program, optimal_flow
from tabular_rl.planning.submodular.graph import coverage_graph
from tabular_rl.planning.submodular.search import _search
from tabular_rl.submodular import CountSquared

COVERAGES = ("coverage", "facility", "mixture", "modular")
PATHS = (*COVERAGES, "units", "halves")  # of deterministic problems


def small_grid(H, seed):
    """A 3 x 4 grid, where the best history is not always the best so far, and the prices of the start often leave a gap."""
    return instances.tiny(3, 4, H, 0, "self", seed)


path_problems = st.one_of(deterministic_problems(PATHS, horizons=(2, 4)), draw(small_grid, st.integers(5, 7)))


class TakenForSubmodular(CountSquared):
    """F(A) = |A|^2, which says that it is submodular: otherwise the bounds refuse it, and the control has nothing to refute."""

    is_submodular = True


def _optimum(mdp):
    return planning.history_optimum(mdp).value


@claim("subpo-certificates.prices", kind=inequality, source=f"{SOURCE} U2, 7", provenance="derived",
       given=(problems(COVERAGES), seeds), control={"start": False})  # fmt: skip
def any_prices(mdp, seed, start=True):
    """OPT <= U(lambda) for every lambda in [0, w]: weak duality, so that a certificate needs no trust in a solver.

    Control: without what the start covers.
    """
    graph = coverage_graph(mdp)
    prices = np.random.default_rng(seed).random(len(graph.weights)) ** 0.2 * graph.weights
    graph = graph if start else replace(graph, started=0 * graph.started)
    return _optimum(mdp), graph.bound(prices), graph.weights.sum(), graph.weights.sum()


def _random_prices(graph, rng):
    return rng.choice([0.0, 1.0, 0.3, 0.7], len(graph.weights)) ** rng.choice([0.1, 1.0]) * graph.weights


def _bound_and_slope(graph, prices):
    """U(lambda) and the subgradient that the descent uses."""
    additive, slope = kernels.additive_problem(graph.arrays), np.empty(len(prices))
    bound, flow = kernels.price_bound(graph.arrays, graph.cover, prices, additive), np.zeros(additive.values.shape)
    flow[0] = graph.initial
    kernels.price_slope(graph.arrays, graph.cover, additive, flow, slope)
    return bound, slope


@claim("subpo-certificates.subgradient", kind=inequality, source=f"{SOURCE} 10.5 c", provenance="derived",
       given=(problems(COVERAGES), seeds), control={"start": False})  # fmt: skip
def subgradient(mdp, seed, start=True):
    """U(mu) >= U(lambda) + <g, mu - lambda>, g_u = P(start covers u) + expected entries into u under the plan for lambda - 1; with equality
    on the ray through the origin: U(lambda) = sum w + <g, lambda>.

    Control: g without the start.
    """
    graph, rng = coverage_graph(mdp), np.random.default_rng(seed)
    here, there = _random_prices(graph, rng), _random_prices(graph, rng)
    (low, slope), (high, _) = _bound_and_slope(graph, here), _bound_and_slope(graph, there)
    slope = slope if start else slope - graph.started
    total, ray = graph.weights.sum(), low - slope @ here
    return np.array([low + slope @ (there - here), ray, total]), np.array([high, total, ray]), total * mdp.horizon


@claim("subpo-certificates.polyak", kind=inequality, source="Polyak 1969", provenance="classical",
       given=(problems(COVERAGES), seeds, st.floats(0.1, 1.0)), control={"length": -1.0})  # fmt: skip
def polyak(mdp, seed, beta, length=1.0):
    """A step of length beta (U - t) / |g|^2 comes nearer to every lambda* with U(lambda*) <= t: |lambda+ - lambda*|^2 is at most
    |lambda - lambda*|^2 - beta (2 - beta) (U - t)^2 / |g|^2, |g| without the coordinates that point out of [0, w]. The prices stay there.

    Control: a step along g.
    """
    graph, rng = coverage_graph(mdp), np.random.default_rng(seed)
    now, goal = _random_prices(graph, rng), _random_prices(graph, rng)
    if graph.bound(goal) > graph.bound(now):
        now, goal = goal, now
    (bound, slope), target = _bound_and_slope(graph, now), graph.bound(goal)
    after, pointing = now.copy(), slope.copy()
    out = ((slope > 0) & (now <= 0)) | ((slope < 0) & (now >= graph.weights))
    kernels.step_prices(graph.weights, np.arange(len(now)), pointing, length * beta * (bound - target), after)
    size = np.sum(slope[~out] ** 2)
    gain = beta * (2 - beta) * (bound - target) ** 2 / size if size > 0 else 0.0
    nearer = np.sum((now - goal) ** 2) - gain
    left = [np.sum((after - goal) ** 2), np.max(after - graph.weights), -after.min()]
    return np.array(left), np.array([nearer, 0.0, 0.0]), 1.0 + np.sum(graph.weights) ** 2


@claim("subpo-certificates.descent", kind=inequality, source=f"{SOURCE} 10.5 c", provenance="derived", given=(problems(COVERAGES), seeds),
       control={"iterations": 1})  # fmt: skip
def descent(mdp, seed, iterations=400):
    """The prices of K steps that aim at U2 show a bound within |lambda_0 - lambda*| sqrt(U) (H + 1) / sqrt(K) of it, the optimum of the
    linear program, and no better than U2; it is U of the prices returned, no more than at the start, and more steps do not raise it.

    Control: one step.
    """
    graph, rng = coverage_graph(mdp), np.random.default_rng(seed)
    least, start = planning.coverage_bound(mdp).relaxation, graph.weights * rng.random(len(graph.weights))
    found = planning.coverage_prices(mdp, iterations, least, start)
    within = _reach(mdp, start, 400)
    shown = min(graph.bound(found.prices), graph.weights.sum())
    early = [planning.coverage_prices(mdp, k, 0.0, start).upper for k in (1, 2, 3, 5)]  # far too long steps
    left = [found.upper, least, found.upper, shown, found.upper, *early[1:]]
    right = [least + within, found.upper, shown, found.upper, graph.bound(start), *early[:-1]]
    return np.array(left), np.array(right), 1e3 * graph.weights.sum()


@claim("subpo-certificates.coverage", kind=inequality, source=f"{SOURCE} U1, U2, U5", provenance="derived", given=(problems(COVERAGES),),
       control={"start": False})  # fmt: skip
def coverage_certificates(mdp, start=True):
    """Greedy, modular RL, ascent, and OPT with memory <= U2 (entries) <= U1 (visits); facility location by the coverage of its levels.

    Control: U2 without the start term.
    """
    graph = coverage_graph(mdp)
    if start:
        entries, visits = planning.coverage_bound(mdp).upper, planning.coverage_bound(mdp, entering=False).upper
    else:
        graph = replace(graph, started=0 * graph.started)
        entries = visits = optimal_flow(flow_program(graph), graph.weights).value
    modular = planning.submodular_value(mdp, planning.modular_policy(mdp))
    below = [planning.greedy_history(mdp).value, modular, planning.block_ascent(mdp)[0], _optimum(mdp)]
    return np.array([*below, entries]), np.append(np.full(4, entries), visits * (1 + 3e-9)), graph.weights.sum()


@claim("subpo-certificates.duals", kind=inequality, source=f"{SOURCE} 7", provenance="derived",
       given=(problems((*COVERAGES, "truncated")),), control={"shrink": 0.5})  # fmt: skip
def duals(mdp, shrink=1.0):
    """The multipliers of the linear program, evaluated again by dynamic programming, give its value back within 1e-6 of it.

    Control: half of these prices.
    """
    found = planning.coverage_bound(mdp)
    upper = found.upper
    if shrink != 1.0:
        mdp = instances.tiny(3, 3, 4, 0.2, "2x2", 5)
        found = planning.coverage_bound(mdp)
        upper = coverage_graph(mdp).bound(shrink * found.prices)
    return abs(upper - found.relaxation), 1e-6 * max(1.0, found.relaxation)


@claim("subpo-certificates.caps", kind=inequality, source=f"{SOURCE} U3", provenance="derived", given=(problems(("truncated",)),),
       control={"caps": False})  # fmt: skip
def caps(mdp, caps=True):
    """OPT <= U3 <= sum of the caps, for truncated groups.  Control: that OPT reaches the smaller of U3 and the sum of caps always."""
    optimum, upper, everything = _optimum(mdp), planning.coverage_bound(mdp).upper, float(mdp.objective.caps.sum())
    if caps:
        return np.array([optimum, upper]), np.array([upper, everything * (1 + 3e-9) + 1e-9]), everything
    return upper, optimum * (1 + 1e-6), everything


@claim("subpo-certificates.cuts", kind=inequality, source=f"{SOURCE} U4", provenance="derived",
       given=(st.one_of(problems(), tagged_problems),),
       control={"objective": "count2"})  # fmt: skip
def cuts(mdp, objective="own"):
    """OPT <= max of min over sets A of F(A) + sum_v y_v F(v | A), for every monotone submodular F.  Control: F(A) = |A|^2."""
    if objective == "count2":
        mdp = SubmodularMDP(mdp.transition, mdp.initial, TakenForSubmodular(mdp.n_states))
    all_cuts, one = planning.cut_bound(mdp).upper, planning.cut_bound(mdp, sets=[0]).upper
    return np.array([_optimum(mdp), all_cuts]), np.array([all_cuts, one * (1 + 3e-9)]), mdp.table().max()


@claim("subpo-certificates.jensen", kind=inequality, source=f"{SOURCE} U6", provenance="derived", given=(problems(("ddesign", "concave")),),
       control={"visited": 0.8})  # fmt: skip
def jensen(mdp, visited=1.0):
    """OPT <= max g(y), y_v <= min(1, entries into v), g the concave extension of a D-design or a concave-over-modular F.

    Control: 0.8 of it.
    """
    upper, one = planning.concave_bound(mdp, 3).upper, planning.concave_bound(mdp, 1).upper
    tangent = planning.tangent_bound(mdp, np.random.default_rng(mdp.n_states).random(mdp.n_states)).upper
    return np.array([_optimum(mdp)] * 3 + [upper]), np.array([visited * upper, tangent, one, one]), mdp.table().max()


@claim("subpo-certificates.extension", kind=inequality, source=f"{SOURCE} U6", provenance="derived",
       given=(draw(formula_objective, st.sampled_from(("ddesign", "kernel", "entropy", "concave", "log1p", "saturating", "knots")),
                   st.integers(2, 5)), seeds), control={"factor": 0.9})  # fmt: skip
def extension(f, seed, factor=1.0):
    """The concave extension g of F has its values at sets, and lies below its tangents: g(z) <= g(y) + <slope, z - y> for y, z in [0, 1]^n.

    Control: 0.9 of the slopes.
    """
    rng, F, n = np.random.default_rng(seed), f.table(), f.n_elements
    g, mask = _extension(f, np.arange(n)), int(rng.integers(1, 2**n))
    y, z, there = rng.random(n), rng.random(n), (mask >> np.arange(n) & 1).astype(float)
    (at, slope), (other, _), (value, _) = g(y), g(z), g(there)
    last = g(y + 1e-7 * (z - y))[0]
    tangent = at + factor * slope @ (z - y)
    slack = 1e-5 * (1 + np.abs(slope).max())  # of square roots at 0, and of the difference quotient
    left = [other, value, F[mask], at + 1e-7 * factor * slope @ (z - y)]
    return np.array(left), np.array([tangent, F[mask] + slack, value + slack, last + 1e-7 * slack]), 1.0 + 0 * F.max()


@claim("subpo-certificates.online", kind=inequality, source=f"{SOURCE} U7", provenance="derived",
       given=(st.one_of(problems(), tagged_problems), submodular_policies),
       control={"factor": 0.5})  # fmt: skip
def online(mdp, policy, factor=1.0):
    """OPT <= J(pi) + optimum of the additive problem with rewards E F({v} | what pi collects), for any Markov pi.

    Two independent trajectories: F(tau') <= F(tau and tau'). Control: half of the additive part, at the uniform policy of a grid.
    """
    if factor != 1.0:
        mdp, policy = instances.tiny(3, 3, 4, 0, "self", 0), None
    found = planning.online_bound(mdp, policy)
    if factor != 1.0:
        return _optimum(mdp), found.value + factor * found.gap, mdp.table().max()
    paths = all_paths(mdp, policy)
    value, most = paths.probability @ mdp.value(paths.states), _on_top(mdp, paths.states, paths.probability)
    left, right = [_optimum(mdp), found.gap, most, found.value, value], [found.upper, most, found.gap, value, found.value]
    return np.array([*left, found.upper]), np.array([*right, value + most]), mdp.table().max()


def _on_top(mdp, states, chances):
    """The optimum of the additive problem that pays the expected gain of every visit on top of a path drawn with ``chances``."""
    F, e, times = mdp.table(), mdp.ground_set().elements, np.arange(mdp.horizon + 1)
    collected = np.where(e[times, states] >= 0, 1 << np.maximum(e[times, states], 0), 0)
    masks, which = np.unique(np.bitwise_or.reduce(collected, axis=1), return_inverse=True)
    rewards = np.zeros(e.shape)
    for mask, chance in zip(masks, np.bincount(which.ravel(), chances), strict=True):
        rewards += chance * np.where(e >= 0, F[mask | 1 << np.maximum(e, 0)] - F[mask], 0)
    return additive_optimum(mdp, rewards)[0]


@claim("subpo-certificates.online-sampled", kind=inequality, source="extends subpo spec U7", provenance="derived",
       given=(st.one_of(problems(), tagged_problems), submodular_policies, seeds), control={"factor": 0.5})  # fmt: skip
def online_sampled(mdp, policy, seed, factor=1.0):
    """The same for three sampled trajectories of pi in place of its law, surely: F(tau') <= F(B) + sum F(v | B) for every fixed set B.

    No confidence radius is needed. Control: half of the additive part, at the uniform policy of a grid.
    """
    if factor != 1.0:
        mdp, policy = instances.tiny(3, 3, 4, 0, "self", 0), None
    found = planning.online_bound(mdp, policy, 3, seed)
    policy = np.full(mdp.shape, 1 / mdp.n_actions) if policy is None else policy
    drawn = planning.sample_trajectories(mdp, policy, 3, seed).states
    most, value = _on_top(mdp, drawn, np.full(3, 1 / 3)), mdp.value(drawn).mean()
    left = [_optimum(mdp), found.gap, found.value, value, found.upper]
    right = [found.value + factor * found.gap, most, value, found.value, value + most]
    return np.array(left), np.array(right), 1e5 * mdp.table().max()


@claim("subpo-certificates.search", kind=identity, source=f"{SOURCE} 10.5 b", provenance="derived", given=(deterministic_problems(),),
       control={"labels": 1})  # fmt: skip
def search_without_refusal(mdp, labels=3000):
    """Truncated dynamic programming that refuses no history finds OPT, in deterministic worlds, for every objective; with one step one
    history for each state is enough.

    Control: one history for each (h, s), on a grid where the best history is not always the best so far.
    """
    if labels == 1:
        mdp = instances.tiny(3, 4, 7, 0, "self", 8)
    return planning.truncated_search(mdp, 1 if mdp.horizon == 1 else labels).value, _optimum(mdp), mdp.table().max()


@claim("subpo-certificates.pruning", kind=identity, source=f"{SOURCE} 10.5 c", provenance="derived",
       given=(deterministic_problems(COVERAGES, horizons=(2, 4)), seeds), control={"slack": False})  # fmt: skip
def pruning(mdp, seed, slack=True):
    """Dropping every label with score + sum (w - lambda) + V_lambda <= incumbent loses nothing, for any lambda in [0, w].

    Control: without V_lambda.
    """
    graph = coverage_graph(mdp)
    prices = np.random.default_rng(seed).random(len(graph.weights)) * graph.weights
    values = graph.values(prices) if slack else None
    first = planning.truncated_search(mdp, 1).value * (1 - 1e-6)  # so that the optimum has to be found again
    value = _search(graph, prices, values, 3000, first)[0]
    return max(value, 0.0), _optimum(mdp), graph.weights.sum()


@claim("subpo-certificates.integer", kind=identity, source=f"{SOURCE} 7", provenance="derived",
       given=(deterministic_problems(("coverage",), horizons=(2, 4)),), control={"integer": False})  # fmt: skip
def integer(mdp, integer=True):
    """The mixed-integer program over paths has the value of dynamic programming over collected sets, in deterministic worlds.

    Control: its linear relaxation, U2.
    """
    value = planning.integer_optimum(mdp) if integer else planning.coverage_bound(mdp).relaxation
    return value, _optimum(mdp), 1e4 * mdp.table().max()  # the solver's feasibility tolerance is 1e-9


@claim("subpo-certificates.branching", kind=identity, source="prefixes with prices of their own; after subpo spec, 10.5",
       provenance="derived", given=(path_problems, st.integers(0, 5)),
       control={"branch": False})  # fmt: skip
def branching(mdp, iterations, branch=True):
    """Branch and bound on prefixes, each with prices of its own, ends with value = upper = OPT when no prefix was dropped.

    Control: the certificate of the start alone, on a grid with a duality gap.
    """
    if not branch:
        mdp = instances.tiny(3, 4, 7, 0, "self", 3)
        return planning.coverage_prices(mdp, 3000).upper, _optimum(mdp)
    found = planning.branch_and_bound(mdp, iterations=iterations, root_iterations=5)
    return np.array([found.value, found.upper]), _optimum(mdp), 1e4 * mdp.table().max()  # closed up to 1e-9


@claim("subpo-certificates.brackets", kind=inequality, source=f"{SOURCE} 10.5", provenance="derived",
       given=(path_problems, st.integers(1, 3)), control={"upper": False})  # fmt: skip
def brackets(mdp, labels, upper=True):
    """With room for few histories a search still says what it knows: value <= OPT <= upper for the truncated one, the one with prices, and
    branch and bound; value is F of its states, to which its actions lead. Prices aim at that value: they come within it and U2, mirrored.

    Control: that the value is the upper bound, on a grid where the best history is not always the best so far.
    """
    if not upper:
        mdp, labels = instances.tiny(3, 4, 7, 0, "self", 8), 1
    found = [planning.truncated_search(mdp, labels), planning.priced_search(mdp, labels, 5)]
    found += [planning.branch_and_bound(mdp, labels, iterations, 5) for iterations in (0, 2)]
    optimum, top = _optimum(mdp), mdp.table().max()
    left, right = [], []
    for path in found:
        led = [mdp.start]
        for a in path.actions:
            led.append(mdp.successors[led[-1], a])
        left += [path.value, optimum, mdp.value(np.array(led)), path.value, np.abs(np.array(led) - path.states).max()]
        right += [optimum, path.upper if upper else path.value, path.value, mdp.value(path.states), 0.0]
    least, prices = planning.coverage_bound(mdp).upper, planning.coverage_prices(mdp, 300)
    left.append(prices.upper - (least - planning.truncated_search(mdp).value))
    right.append(least + _reach(mdp, coverage_graph(mdp).weights / 2, 300))
    return np.array(left), np.array(right), 1e4 * top


def _reach(mdp, start, steps):
    """How near to U2, or to its mirror image at what they aim at, Polyak's steps come from prices ``start``."""
    G = np.sqrt(len(start)) * (mdp.horizon + 1)
    return np.linalg.norm(start - planning.coverage_bound(mdp).prices) * G / np.sqrt(steps)


@claim("subpo-certificates.reach", kind=identity, source=f"{SOURCE} 10.5 b", provenance="derived",
       given=(st.one_of(problems(COVERAGES), deterministic_problems(COVERAGES)),), control={"steps": 1})  # fmt: skip
def reach(mdp, steps=None):
    """Histories count as one where they agree on all items that may still be entered: those covered by some later state of some policy and
    not by the state before it, by recursion over successors. ``started`` is the probability that the start covers an item.

    Control: of the next step only.
    """
    graph, (H, S, _) = coverage_graph(mdp), mdp.shape
    moves = [mdp.probabilities[h].max(axis=1) > 0 for h in range(H)]
    row = lambda h, s: set(graph.sets.items[graph.sets.offsets[e] : graph.sets.offsets[e + 1]]) if (e := mdp.elements[h, s]) >= 0 else set()
    later: list = [set() for _ in range(S)]
    found, expected, expanded = [], [], len(graph.initial) > S
    for h in range(H, -1, -1):
        if h < H:
            ahead = [
                [(row(h + 1, t) - row(h, s)) | (later[t] if steps is None else set()) for t in np.flatnonzero(moves[h][s])]
                for s in range(S)
            ]
            later = [set().union(*sets) for sets in ahead]
        for s in range(S):
            place = graph.reachable.place[h, h * S + s if expanded else s]
            if place >= 0:
                words = graph.reachable.items[place]
                found.append([bool(words[u >> 6] >> np.uint64(u & 63) & np.uint64(1)) for u in range(len(graph.weights))])
                expected.append([u in later[s] for u in range(len(graph.weights))])
    covered = np.array([[u in row(0, s) for u in range(len(graph.weights))] for s in range(S)], float)
    found.append(graph.started)
    expected.append(mdp.initial @ covered)
    return np.array(found, float), np.array(expected, float)


@claim("subpo-certificates.replanning", kind=identity, source=f"{SOURCE} 10.5", provenance="derived",
       given=(deterministic_problems(COVERAGES, horizons=(2, 3)), st.sampled_from((0.0, 0.4)), seeds), control={"labels": 1})  # fmt: skip
def replanning(mdp, slip, seed, labels=3000):
    """Replanning with room for all histories attains OPT where nothing slips; what it says of its trajectories under slips is F of them,
    and every step is one that some action makes; where all slips, 64 trajectories do not begin alike.

    Control: one history for each (h, s).
    """
    if labels == 1:
        mdp, slip = instances.tiny(3, 4, 7, 0, "self", 8), 0.0
    world = SubmodularMDP(mdp.successors, mdp.start, mdp.objective, mdp.horizon, slip=slip)
    values, states = planning.replan(world, 4, seed, labels, 1.0)
    possible = np.all([np.isin(path[1:], mdp.successors[path[:-1]]) for path in states]) and np.all(states[:, 0] == mdp.start)
    true = world.value(states)
    goal = np.full(4, _optimum(mdp)) if slip == 0 else true
    chaos = SubmodularMDP(mdp.successors, mdp.start, mdp.objective, mdp.horizon, slip=1.0)
    first = len(np.unique(planning.replan(chaos, 64, seed, 1)[1][:, 1])) > 1
    several = len(np.unique(mdp.successors[mdp.start])) > 1
    return np.concatenate([values, values, [possible, first]]), np.concatenate([goal, true, [1, several]]), mdp.table().max()


theorem(
    "subpo-certificates",
    statement=r"$\mathrm{OPT} \le \sum_u (w_u - \lambda_u) + V_\lambda$ for every $0 \le \lambda \le w$, where $V_\lambda$ is the value of "
    r"the additive problem that pays $\lambda_u$ for each entry into $u$; its minimum is the linear program of expected entries. Pruning "
    r"histories with it is exact, and a truncated search that drops nothing else is optimal.",
    source="subpo spec, sections 7 and 10.5",
    provenance="derived",
    claims=(
        "subpo-certificates.prices", "subpo-certificates.coverage", "subpo-certificates.duals", "subpo-certificates.caps",
        "subpo-certificates.cuts", "subpo-certificates.jensen", "subpo-certificates.online", "subpo-certificates.online-sampled",
        "subpo-certificates.search", "subpo-certificates.pruning", "subpo-certificates.integer",
        "subpo-certificates.branching", "subpo-certificates.subgradient", "subpo-certificates.polyak", "subpo-certificates.descent",
        "subpo-certificates.extension", "subpo-certificates.brackets", "subpo-certificates.replanning",
        "subpo-certificates.reach",
    ),
    uses={
        "subpo-certificates.coverage": ("subpo-certificates.duals",),
        "subpo-certificates.duals": ("subpo-certificates.prices",),
        "subpo-certificates.pruning": ("subpo-certificates.prices", "subpo-certificates.search"),
        "subpo-certificates.branching": ("subpo-certificates.pruning",),
        "subpo-certificates.polyak": ("subpo-certificates.subgradient",),
        "subpo-certificates.descent": ("subpo-certificates.polyak", "subpo-certificates.duals"),
        "subpo-certificates.jensen": ("subpo-certificates.extension",),
    },
)  # fmt: skip
