"""Robust solvers against means that share nothing with them: convex programs of whole evaluations, and enumeration of kernels and policies.

The program of a policy: minimize sum v subject to v >= T_policy v, each worst case written by its dual, which is jointly convex in v and
the dual's variables; its solution is the fixed point. The reference optimum of an (s,a)-rectangular set is the best deterministic one.
"""

import itertools

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import RobustMDP, ambiguity
from tabular_rl.planning import robust_evaluate, solve

S, A, DISCOUNT = 3, 2, 0.8
POLICIES = [np.eye(A)[list(actions)] for actions in itertools.product(range(A), repeat=S)]
METHODS = ("modified_policy_iteration", "value_iteration", "partial_policy_iteration")
LINE = np.abs(np.subtract.outer(np.arange(S), np.arange(S))).astype(float)


def model(make, seed, moves=True):
    rng = np.random.default_rng(seed)
    nominal, cost = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A, S) if moves else (S, A))
    nominal[0, 0] = [0.3, 0.7, 0.0]  # a zero, and a row of one point
    nominal[1, 1] = np.eye(S)[2]
    return RobustMDP(nominal, cost, DISCOUNT, np.full(S, 1 / S), make(rng))


def ball(p0, z, norm, radius):
    """(dual objective, constraints) of max p.z over the simplex and a norm ball: p.z <= p0.y + radius ||y - mu||_*, y >= z."""
    y, mu = cp.Variable(len(p0)), cp.Variable()
    return p0 @ y + radius * cp.norm(y - mu, norm), [y >= z]


def weighted(p0, z, s):
    lam, mu, y = cp.Variable(nonneg=True), cp.Variable(), cp.Variable(len(p0))
    constraints = [y >= z - mu, y >= cp.multiply(-s.weights, lam), mu >= z - cp.multiply(s.weights, lam)]
    return lam * s.radius + mu + p0 @ y, constraints


def interval(p0, z, s):
    mu = cp.Variable()
    return mu + s.lower @ (z - mu) + (s.upper - s.lower) @ cp.pos(z - mu), []


def entropic(p0, z, s):
    """lam r + lam log sum p0 exp(z / lam) as an epigraph of exponential cones."""
    n = len(p0)
    lam, bound, u = cp.Variable(nonneg=True), cp.Variable(), cp.Variable(n)
    cone = cp.ExpCone(z - bound, lam * np.ones(n), u)
    return lam * s.radius + bound, [cone, p0 @ u <= lam]


def chi_square(p0, z, s):
    t, y = cp.Variable(), cp.Variable(len(p0), nonneg=True)
    return t + np.sqrt(1 + s.radius) * cp.norm(cp.multiply(np.sqrt(p0), y)), [y >= z - t]


def transport(p0, z, s):
    lam, y = cp.Variable(nonneg=True), cp.Variable(len(p0))
    return lam * s.radius + p0 @ y, [y[i] >= z[j] - lam * s.distance[i, j] for i in range(len(p0)) for j in range(len(p0))]


def contamination(p0, z, s):
    return (1 - s.fraction) * p0 @ z + s.fraction * cp.max(z), []


def density_ratio(p0, z, s):
    mu = cp.Variable()
    return mu + p0 @ cp.pos(z - mu) / s.level, []


# name: (set of a generator, dual of a row; on the nominal support only unless "full")
KINDS = {
    "L1": (lambda g: ambiguity.L1(0.4), lambda p0, z, s: ball(p0, z, "inf", s.radius), False),
    "L1 full": (lambda g: ambiguity.L1(0.4, "full"), lambda p0, z, s: ball(p0, z, "inf", s.radius), True),
    "total variation": (lambda g: ambiguity.TotalVariation(0.2), lambda p0, z, s: ball(p0, z, "inf", 2 * s.radius), False),
    "weighted L1": (lambda g: ambiguity.WeightedL1(g.uniform(0.5, 2, S), 0.4, "full"), weighted, True),
    "L infinity": (lambda g: ambiguity.LInf(0.2, "full"), lambda p0, z, s: ball(p0, z, 1, s.radius), True),
    "interval": (lambda g: ambiguity.Interval(np.full(S, 0.1), np.full(S, 0.7), "full"), interval, True),
    "L2": (lambda g: ambiguity.L2(0.3, "full"), lambda p0, z, s: ball(p0, z, 2, s.radius), True),
    "KL": (lambda g: ambiguity.KL(0.1), entropic, False),
    "chi-square": (lambda g: ambiguity.ChiSquare(0.5), chi_square, False),
    "Wasserstein": (lambda g: ambiguity.Wasserstein(LINE, 0.3, "full"), transport, True),
    "contamination": (lambda g: ambiguity.Contamination(0.2), contamination, True),
    "density ratio": (lambda g: ambiguity.DensityRatio(0.5), density_ratio, False),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def reference(mdp, policy, kind):
    """Robust values of a policy by one convex program."""
    _, dual, full = KINDS[kind]
    cost = np.broadcast_to(mdp.cost[..., None], mdp.nominal.shape) if mdp.cost.ndim == 2 else mdp.cost
    values, constraints = cp.Variable(S), []
    for s in range(S):
        worst = 0
        for a in np.flatnonzero(policy[s]):
            on = np.arange(S) if full else np.flatnonzero(mdp.nominal[s, a])
            bound, more = dual(mdp.nominal[s, a, on], cost[s, a, on] + DISCOUNT * values[on], mdp.ambiguity)
            worst, constraints = worst + policy[s, a] * bound, constraints + more
        constraints.append(values[s] >= worst)
    cp.Problem(cp.Minimize(cp.sum(values)), constraints).solve(cp.CLARABEL)
    return values.value


@kinds
def test_evaluations_and_optima_are_those_of_the_programs(kind):
    for seed in range(2):
        mdp = model(KINDS[kind][0], seed, moves=seed == 0)
        mixed = np.random.default_rng(seed).dirichlet(np.ones(A), S)
        found = robust_evaluate(mdp, mixed)
        assert found.converged
        np.testing.assert_allclose(found.values, reference(mdp, mixed, kind), atol=2e-5)
        best = np.min([reference(mdp, policy, kind) for policy in POLICIES], axis=0)  # one policy attains it in every state
        for method in METHODS:
            solution = solve(mdp, method, tolerance=1e-8)
            assert solution.converged
            np.testing.assert_allclose(solution.values, best, atol=2e-5)


def vertices(p0, radius):
    """All vertices of the L1 ball in the simplex of three states: where two constraints beside the sum are tight."""
    signs = np.array(list(itertools.product((-1, 1), repeat=S)))
    left, right = np.vstack([signs, -np.eye(S)]), np.concatenate([radius + signs @ p0, np.zeros(S)])
    found = []
    for pair in itertools.combinations(range(len(left)), S - 1):
        system = np.vstack([left[list(pair)], np.ones(S)])
        if abs(np.linalg.det(system)) > 1e-9:
            p = np.linalg.solve(system, np.append(right[list(pair)], 1))
            if np.all(left @ p <= right + 1e-12):
                found.append(p)
    return np.unique(np.round(found, 13), axis=0)


def values_of(kernel, cost, policy):
    """Values of many kernels [N, S, S] of a policy, costs [N, S]."""
    return np.linalg.solve(np.eye(S) - DISCOUNT * kernel, cost[..., None])[..., 0]


@pytest.mark.parametrize("radius", [0.0, 0.3, 1.0, 2.5])
def test_optima_are_those_of_all_vertices_and_all_policies(radius):
    mdp = model(lambda g: ambiguity.L1(radius, "full"), 5)
    rows = {(s, a): vertices(mdp.nominal[s, a], radius) for s in range(S) for a in range(A)}
    best = []
    for policy in POLICIES:
        actions = policy.argmax(axis=1)
        choices = itertools.product(*(rows[s, a] for s, a in enumerate(actions)))
        kernels = np.array(list(choices))
        cost = np.einsum("nst,st->ns", kernels, mdp.cost[np.arange(S), actions])
        worst = values_of(kernels, cost, policy).max(axis=0)  # one kernel attains it in every state
        best.append(worst)
        np.testing.assert_allclose(robust_evaluate(mdp, policy).values, worst, atol=1e-10)
    np.testing.assert_allclose(solve(mdp, tolerance=1e-10).values, np.min(best, axis=0), atol=1e-9)


def joint_reference(mdp, policy):
    """Robust values of a policy against an s-rectangular L1 set: one multiplier for the rows of a state."""
    values, constraints = cp.Variable(S), []
    for s in range(S):
        lam, worst = cp.Variable(nonneg=True), 0
        for a in range(A):
            on = np.flatnonzero(mdp.nominal[s, a])
            z = policy[s, a] * (mdp.cost[s, a, on] + DISCOUNT * values[on])
            y, mu = cp.Variable(len(on)), cp.Variable()
            constraints += [y >= z, cp.norm(y - mu, "inf") <= lam]
            worst = worst + mdp.nominal[s, a, on] @ y
        constraints.append(values[s] >= worst + lam * mdp.ambiguity.radius[s])
    cp.Problem(cp.Minimize(cp.sum(values)), constraints).solve(cp.CLARABEL)
    return values.value


@pytest.mark.parametrize("seed", range(4))
def test_both_sides_of_an_s_rectangular_saddle_point(seed):
    """Upper: the program of our policy. Lower: every deterministic policy against our kernel, which is in the set. They meet."""
    mdp = model(lambda g: ambiguity.SRectangularL1(g.uniform(0.1, 1.5, S)), seed)
    solution = solve(mdp, tolerance=1e-9)
    upper = joint_reference(mdp, solution.policy)
    np.testing.assert_allclose(robust_evaluate(mdp, solution.policy).values, upper, atol=2e-5)
    P = solution.kernel
    assert np.all(np.abs(P - mdp.nominal).sum(axis=(1, 2)) <= mdp.ambiguity.radius + 1e-12)
    np.testing.assert_allclose(P.sum(axis=2), 1, atol=1e-12)
    lower = np.min([values_of(P[np.arange(S), p.argmax(1)][None], (P * mdp.cost).sum(2)[p > 0][None], p)[0] for p in POLICIES], axis=0)
    np.testing.assert_allclose(lower, upper, atol=2e-5)
    np.testing.assert_allclose(solution.values, upper, atol=2e-5)


def test_finite_sets_are_enumerated():
    rng = np.random.default_rng(0)
    kernels, cost = rng.dirichlet(np.ones(S), (3, S, A)), rng.random((S, A))
    policy, initial = rng.dirichlet(np.ones(A), S), np.full(S, 1 / S)

    def values(kernel, policy):
        return values_of(np.einsum("sa,sat->st", policy, kernel)[None], (policy * cost).sum(axis=1)[None], policy)[0]

    def states(choice):
        return np.stack([kernels[m, s] for s, m in enumerate(choice)])

    def problem(ambiguous):
        return RobustMDP(kernels[0], cost, DISCOUNT, initial, ambiguous)

    hull = robust_evaluate(problem(ambiguity.FiniteSRectangular(kernels)), policy)
    by_state = [values(states(choice), policy) for choice in itertools.product(range(3), repeat=S)]
    np.testing.assert_allclose(hull.values, np.max(by_state, axis=0), atol=1e-12)
    listed = robust_evaluate(problem(ambiguity.FiniteKernels(kernels)), policy)
    assert listed.objective == pytest.approx(max(initial @ values(kernel, policy) for kernel in kernels), abs=1e-12)
    s, a = np.arange(S)[:, None], np.arange(A)
    pairs = [kernels[np.reshape(choice, (S, A)), s, a] for choice in itertools.product(range(3), repeat=S * A)]
    worst = [np.max([values(kernel, p) for kernel in pairs], axis=0) for p in POLICIES]
    np.testing.assert_allclose(solve(problem(ambiguity.FiniteRows(kernels)), tolerance=1e-10).values, np.min(worst, axis=0), atol=1e-9)


def test_general_ellipsoids_are_refused_where_a_sweep_needs_them():
    matrix = np.eye(S) + 0.3
    with pytest.raises(ValueError, match="matrix must be diagonal in a sweep"):
        solve(model(lambda g: ambiguity.Ellipsoid(matrix, 0.1), 0))
