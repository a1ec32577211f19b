"""Upper bounds on every history-dependent policy, and searches that they prove optimal (subpo spec, sections 7 and 10.5).

q[h,s,a]: occupancies, which obey the flow constraints whatever the policy remembers. P(u is ever covered) <= min(1, expected entries
into what covers u); U(lambda) = sum (w - lambda) + value of the additive problem that pays lambda_u for every entry into u.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import SOURCE, deterministic_problems, problems, seeds, submodular_policies
from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.flows import flow_program, optimal_flow
from tabular_rl.planning.submodular.graph import coverage_graph
from tabular_rl.planning.submodular.search import _search
from tabular_rl.submodular import CountSquared

COVERAGES = ("coverage", "facility", "mixture", "modular")


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


@claim("subpo-certificates.cuts", kind=inequality, source=f"{SOURCE} U4", provenance="derived", given=(problems(),),
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
    upper = planning.concave_bound(mdp, 3).upper
    return _optimum(mdp), visited * upper, mdp.table().max()


@claim("subpo-certificates.online", kind=inequality, source=f"{SOURCE} U7", provenance="derived", given=(problems(), submodular_policies),
       control={"factor": 0.5})  # fmt: skip
def online(mdp, policy, factor=1.0):
    """OPT <= J(pi) + optimum of the additive problem with rewards E F({v} | what pi collects), for any Markov pi.

    Two independent trajectories: F(tau') <= F(tau and tau'). Control: half of the additive part, at the uniform policy of a grid.
    """
    if factor != 1.0:
        mdp, policy = instances.tiny(3, 3, 4, 0, "self", 0), None
    found = planning.online_bound(mdp, policy)
    return _optimum(mdp), found.value + factor * found.gap, mdp.table().max()


@claim("subpo-certificates.online-sampled", kind=inequality, source="extends subpo spec U7", provenance="derived",
       given=(problems(), submodular_policies, seeds), control={"factor": 0.5})  # fmt: skip
def online_sampled(mdp, policy, seed, factor=1.0):
    """The same for three sampled trajectories of pi in place of its law, surely: F(tau') <= F(B) + sum F(v | B) for every fixed set B.

    No confidence radius is needed. Control: half of the additive part, at the uniform policy of a grid.
    """
    if factor != 1.0:
        mdp, policy = instances.tiny(3, 3, 4, 0, "self", 0), None
    found = planning.online_bound(mdp, policy, 3, seed)
    return _optimum(mdp), found.value + factor * found.gap, mdp.table().max()


@claim("subpo-certificates.search", kind=identity, source=f"{SOURCE} 10.5 b", provenance="derived", given=(deterministic_problems(),),
       control={"labels": 1})  # fmt: skip
def search_without_refusal(mdp, labels=3000):
    """Truncated dynamic programming that refuses no history finds OPT, in deterministic worlds, for every objective.

    Control: one history for each (h, s), on a grid where the best history is not always the best so far.
    """
    if labels == 1:
        mdp = instances.tiny(3, 4, 7, 0, "self", 8)
    return planning.truncated_search(mdp, labels).value, _optimum(mdp), mdp.table().max()


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
       provenance="derived", given=(deterministic_problems(COVERAGES, horizons=(2, 4)), st.integers(0, 5)),
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
        "subpo-certificates.branching",
    ),
    uses={
        "subpo-certificates.coverage": ("subpo-certificates.duals",),
        "subpo-certificates.duals": ("subpo-certificates.prices",),
        "subpo-certificates.pruning": ("subpo-certificates.prices", "subpo-certificates.search"),
        "subpo-certificates.branching": ("subpo-certificates.pruning",),
    },
)  # fmt: skip
