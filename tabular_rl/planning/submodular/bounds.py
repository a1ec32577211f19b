"""Upper bounds on what any policy, history-dependent ones included, can reach in a submodular problem.

The occupancies of history-dependent policies satisfy the same flow constraints as those of Markov ones, so a linear program over flows
bounds them all; every bound here is returned as a dual solution that has been evaluated again by dynamic programming, hence valid
whatever the solver did, up to rounding:

    coverage_bound   U1 (every visit counts), U2 (entries only, the default), U3 (groups with caps), U5 (facility location, by its levels)
    cut_bound        U4, any monotone submodular F over at most 20 elements
    concave_bound    U6, D-design, entropy and concave-over-modular, by Jensen and Frank-Wolfe; ``tangent_bound``: one step, for large ones
    integer_optimum  the exact optimum of tiny deterministic coverage problems, by mixed-integer programming

``submodular_online`` has U7, which needs no program, and picks a bound for a run.

Source: subpo spec, section 7 (derived).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.submodular.flows import flow_program, optimal_flow
from tabular_rl.planning.submodular.graph import coverage_graph, graph_of_sets
from tabular_rl.submodular import Concave, DDesign, Entropy, Sets, Truncated

INFLATION = 1e-9  # for the rounding of the evaluation, relative


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """``upper``: no policy has a larger value. ``prices`` [U] and ``weights`` [U] show it: U = constant + sum (weights - prices) + value of
    the additive problem that pays the prices. ``relaxation``: the optimum of the program that they come from, as its solver reports it."""

    upper: float
    prices: Any
    weights: Any
    relaxation: float

    def __repr__(self):
        return f"Certificate(upper={self.upper:.8g})"


def require_monotone_submodular(mdp):
    """Raise unless the objective of ``mdp`` is monotone and submodular: the bounds here hold for no other."""
    objective = check.kind("mdp", mdp, SubmodularMDP).objective
    if not (objective.is_monotone and objective.is_submodular):
        raise ValueError(f"the objective must be monotone and submodular, got {check.describe(objective)}: no bound here holds for it")


def coverage_bound(mdp, entering=True):
    """Bound by the coverage program: P(u is covered) <= min(1, expected number of entries into what covers u).

    Parameters
    ----------
    mdp : SubmodularMDP
        With Coverage, Mixture, Modular, Facility or Truncated objective; any transition.
    entering : bool
        Count transitions that newly cover u (U2; never worse, far tighter where sensors overlap), or every visit (U1).

    Returns
    -------
    Certificate
        30 x 30 grids with 39 steps (60 000 arcs) take seconds; ``coverage_prices`` comes within 1e-4 of it in a quarter of one.
    """
    check.flag("entering", entering)
    if isinstance(check.kind("mdp", mdp, SubmodularMDP).objective, Truncated):
        return _truncated_bound(mdp, entering)
    graph = coverage_graph(mdp, entering=entering)
    if graph is None:
        raise ValueError(
            f"the objective must be Coverage, Mixture, Modular, Facility or Truncated, got {type(mdp.objective).__name__}; see cut_bound"
        )
    flow = optimal_flow(flow_program(graph), graph.weights)
    return _certificate(graph, graph.weights, flow.prices, 0.0, flow.value)


def _certificate(graph, weights, prices, constant, relaxation):
    weights = np.maximum(weights, 0.0)
    prices = np.clip(prices, 0.0, weights)
    upper = constant + replace(graph, weights=weights).bound(prices)
    return Certificate(upper + INFLATION * max(abs(constant), abs(upper)), prices, weights, relaxation)


def _truncated_bound(mdp, entering):
    """U3: sum_k z_k with z_k <= cap_k and z_k <= sum of y_u over group k."""
    groups, caps = mdp.objective.groups, mdp.objective.caps
    member = [[e] if groups[e] >= 0 else [] for e in range(len(groups))]
    graph = graph_of_sets(mdp, Sets.of("groups", member, len(groups)), (groups >= 0).astype(float), entering=entering)
    flow = optimal_flow(flow_program(graph), np.zeros(len(groups)), groups, caps)
    shares = np.clip(flow.shares, 0.0, 1.0)  # multipliers of z_k <= sum y: what a member of group k is worth
    weights = np.where(groups >= 0, shares[np.maximum(groups, 0)], 0.0)
    return _certificate(graph, weights, flow.prices, float(np.sum((1 - shares) * caps)), flow.value)


def cut_bound(mdp, sets=None):
    """U4: z <= F(A) + sum_v y_v F(v | A) for every set A, y_v <= min(1, expected entries into v); n <= 20 elements.

    ``sets``: bit masks of the cuts; default all for n <= 10, else generated until z is stable. Any monotone submodular F; ValueError
    for others.
    """
    require_monotone_submodular(mdp)
    ground, F = mdp.ground_set(), mdp.table()
    n = ground.n
    if n == 0:
        return Certificate(0.0, np.zeros(0), np.zeros(0), 0.0)
    graph = _ground_graph(mdp, ground)
    program, bits = flow_program(graph), 1 << np.arange(n)

    def solve(cuts):
        gains = F[cuts[:, None] | bits] - F[cuts][:, None]
        return gains, optimal_flow(program, np.zeros(n), cuts=(F[cuts], gains))

    if sets is not None or n <= 10:
        cuts = np.arange(len(F)) if sets is None else check.integers("sets", sets, 0, len(F) - 1, (None,))
        gains, flow = solve(cuts)
    else:
        cuts, before = np.array([0]), np.inf
        while True:
            gains, flow = solve(cuts)
            if flow.value > before - 1e-9 * abs(before) or len(cuts) > 2000:
                break
            before = flow.value
            order = np.argsort(-flow.covered, kind="stable")
            prefixes = np.cumsum(bits[order[flow.covered[order] > 1e-9]])
            cuts = np.unique(np.concatenate([cuts, [int(bits[flow.covered > 0.5].sum())], prefixes]))
    shares = np.maximum(flow.shares, 0.0)
    shares /= shares.sum()
    return _certificate(graph, shares @ gains, flow.prices, float(shares @ F[cuts]), flow.value)


def _ground_graph(mdp, ground):
    """The graph whose items are the elements of the ground set themselves."""
    itself = Sets(np.arange(ground.n + 1), np.arange(ground.n))
    elements = ground.elements if mdp.repeats else mdp.packed_elements
    return graph_of_sets(mdp, itself, np.ones(ground.n), elements=elements)


def concave_bound(mdp, iterations=30):
    """U6: E F <= g(y) with y_v = P(v is visited) <= min(1, expected entries), g the concave extension of F, maximized by Frank-Wolfe.

    DDesign and Entropy: g = 1/2 log det(I + sum_v y_v x_v x_v^T / noise) (+ offset); Concave: sum_u w_u phi(sum_v y_v m[v, u]). Every
    iterate gives a bound: g is below its tangents, and a tangent is a coverage problem. The smallest one is returned.
    """
    check.integer("iterations", iterations, 1)
    ground = check.kind("mdp", mdp, SubmodularMDP).ground_set()
    extension = _extension(mdp.objective, ground.types)
    graph = _ground_graph(mdp, ground)
    program, y, best = flow_program(graph), np.zeros(ground.n), None
    for k in range(iterations):
        value, slope = extension(y)
        flow = optimal_flow(program, slope)
        found = _certificate(graph, slope, flow.prices, value - slope @ y, value - slope @ y + flow.value)
        if best is None or found.upper < best.upper:
            best = found
        if best.upper <= value + 1e-7 * max(1.0, value):
            break
        step = _line_search(extension, y, flow.covered - y)
        y = y + step * (flow.covered - y)
    return best


def tangent_bound(mdp, visits, iterations=500):
    """U6 from one tangent of g, at any ``visits`` [n] in [0, 1] of the elements of ``mdp.ground_set()``, and prices in place of a program.

    Tight where ``visits`` are those of a good policy; takes a fraction of a second where ``concave_bound`` takes minutes.
    """
    ground = check.kind("mdp", mdp, SubmodularMDP).ground_set()
    visits = check.real_array("visits", visits, (ground.n,))
    if visits.min() < 0 or visits.max() > 1:
        raise ValueError(f"visits must lie in [0, 1], got {visits.min()}..{visits.max()}")
    value, slope = _extension(mdp.objective, ground.types)(visits)
    return priced_visits(mdp, slope, value - slope @ visits, iterations)


def priced_visits(mdp, weights, constant=0.0, iterations=500):
    """Certificate of ``constant`` + the most that visits pay if v of ``mdp.ground_set()`` pays ``weights[v]`` >= 0 once, by prices."""
    from tabular_rl.kernels.submodular import graph as kernels

    graph = replace(_ground_graph(mdp, check.kind("mdp", mdp, SubmodularMDP).ground_set()), weights=weights)
    prices = weights / 2
    target = 0.8 * graph.bound(prices)
    check.integer("iterations", iterations, 1)
    kernels.price_descent(graph.arrays, graph.cover, target, prices, iterations, 60, 0.7)
    return _certificate(graph, weights, prices, constant, np.nan)


def _line_search(extension, y, direction):
    """The best step in [0, 1] for a concave function, by bisection of its slope."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if extension(y + middle * direction)[1] @ direction > 0 else (low, middle)
    return high


def _extension(objective, types):
    """y -> (g(y), gradient)."""
    if isinstance(objective, Concave):
        measure = objective.measure[types]

        def concave(y):
            amount = y @ measure
            value, slope = _tangent(objective.phi, amount)
            return float(objective.weights @ value), measure @ (objective.weights * slope)

        return concave
    if not isinstance(objective, DDesign | Entropy):
        raise ValueError(f"the objective must be DDesign, Entropy or Concave, got {type(objective).__name__}")
    noise = objective.noise if isinstance(objective, DDesign) else objective.jitter
    each = 0.0 if isinstance(objective, DDesign) else objective.offset + 0.5 * np.log(noise)
    if isinstance(objective, DDesign) and objective.features is not None:
        x = objective.features[types] / np.sqrt(noise)
    else:
        eigenvalues, vectors = np.linalg.eigh(objective.covariance(types))
        x = vectors * np.sqrt(np.maximum(eigenvalues, 0) / noise)

    def design(y):
        information = np.eye(x.shape[1]) + (x * y[:, None]).T @ x
        slope = 0.5 * np.einsum("vi,iv->v", x, np.linalg.solve(information, x.T)) + each
        return 0.5 * np.linalg.slogdet(information)[1] + each * y.sum(), slope

    return design


def _tangent(phi, x):
    """(value at ``x``, slope) of a tangent of phi: at x, or for phi = sqrt at 1e-12 at least, where the slope is still finite."""
    at = np.maximum(x, 1e-12)
    if isinstance(phi, str):
        if phi == "sqrt":
            value, slope = np.sqrt(at), 0.5 / np.sqrt(at)
        elif phi == "log1p":
            value, slope = np.log1p(at), 1 / (1 + at)
        else:
            value, slope = -np.expm1(-at), np.exp(-at)
        return value + slope * (x - at), slope
    slopes = np.diff(phi[:, 1]) / np.diff(phi[:, 0])
    piece = np.clip(np.searchsorted(phi[:, 0], x, side="right") - 1, 0, len(slopes) - 1)
    return phi[piece, 1] + slopes[piece] * (x - phi[piece, 0]), slopes[piece]


def integer_optimum(mdp, time_limit=60.0):
    """The optimum of a deterministic coverage problem with one start, by ``scipy.optimize.milp`` over paths; tiny ones only.

    RuntimeError when the solver does not prove optimality in ``time_limit`` seconds; ``branch_and_bound`` is the tool for larger ones.
    """
    if check.kind("mdp", mdp, SubmodularMDP).start is None or not mdp.is_deterministic:
        raise ValueError("mdp must be deterministic with one start, got a random transition or start")
    graph = coverage_graph(mdp)
    if graph is None:
        raise ValueError(f"the objective must be Coverage, Mixture, Modular or Facility, got {type(mdp.objective).__name__}")
    return optimal_flow(flow_program(graph), graph.weights, integer=True, time_limit=time_limit).value
