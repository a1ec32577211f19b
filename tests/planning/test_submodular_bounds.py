"""Certificates against exact optima, independent programs, and each other."""

import cvxpy as cp
import numpy as np
import pytest

from tabular_rl import planning
from tabular_rl.algorithms import SubPO
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.bounds import _extension
from tabular_rl.submodular import Concave, Coverage, DDesign, Entropy, Facility, Tabulated, Truncated


def problem(kind, seed, S=4, H=3):
    return instances.random_problem(S, 2, H, kind, seed=seed)


def flows(mdp):
    """cvxpy occupancies of every step, their constraints, and expected visits [S] over the times 0..H."""
    H, S, A = mdp.shape
    q = [cp.Variable((S, A), nonneg=True) for _ in range(H)]
    constraints, visits = [cp.sum(q[0], axis=1) == mdp.initial], mdp.initial
    for h in range(H):
        arrived = sum(mdp.probabilities[h, :, a].T @ q[h][:, a] for a in range(A))
        visits = visits + arrived
        if h < H - 1:
            constraints.append(cp.sum(q[h + 1], axis=1) == arrived)
    return q, constraints, visits


def entries(mdp, q, sensor):
    """Expected entries [U] into every item, those of the start included."""
    H, _, A = mdp.shape
    new = sensor[None, :, :] & ~sensor[:, None, :]
    total = mdp.initial @ sensor
    for h in range(H):
        for a in range(A):
            paid = np.einsum("st,stu->su", mdp.probabilities[h, :, a], new)
            total = total + q[h][:, a] @ paid
    return total


@pytest.mark.parametrize("seed", range(3))
def test_coverage_bounds_are_the_optima_of_their_programs(seed):
    mdp = problem("coverage", seed)
    sensor = np.zeros((4, len(mdp.objective.weights)), bool)
    for e in range(4):
        sensor[e, mdp.objective.sets.items[mdp.objective.sets.offsets[e] : mdp.objective.sets.offsets[e + 1]]] = True
    q, constraints, visits = flows(mdp)
    w, optimum = mdp.objective.weights, planning.history_optimum(mdp).value
    for entering, counted in ((False, visits @ sensor), (True, entries(mdp, q, sensor))):
        reference = cp.Problem(cp.Maximize(w @ cp.minimum(1, counted)), constraints).solve(solver="CLARABEL")
        found = planning.coverage_bound(mdp, entering=entering)
        assert found.upper == pytest.approx(reference, rel=1e-6)
        assert found.upper == pytest.approx(found.relaxation, rel=1e-6)  # the dual, evaluated again, loses nothing
        assert found.upper >= optimum
    assert planning.coverage_bound(mdp).upper <= planning.coverage_bound(mdp, entering=False).upper + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_facility_levels_are_the_spec_formula(seed):
    mdp = problem("facility", seed)
    K, w = mdp.objective.similarity, mdp.objective.weights
    _, constraints, visits = flows(mdp)
    total = 0
    for u in range(K.shape[1]):
        levels = np.unique(K[:, u])
        for low, high in zip(np.append(0.0, levels[:-1]), levels, strict=True):
            total = total + w[u] * (high - low) * cp.minimum(1, (K[:, u] >= high).astype(float) @ visits)
    reference = cp.Problem(cp.Maximize(total), constraints).solve(solver="CLARABEL")
    found = planning.coverage_bound(mdp, entering=False)
    assert found.upper == pytest.approx(reference, rel=1e-6)
    entered = planning.coverage_bound(mdp)
    assert planning.history_optimum(mdp).value <= entered.upper <= found.upper * (1 + 1e-8)


def test_facility_is_exactly_its_coverage_of_levels():
    rng = np.random.default_rng(0)
    K = np.round(rng.random((4, 3)), 1)
    mdp = SubmodularMDP(rng.integers(4, size=(4, 2)), 0, Facility(K, rng.random(3)), 4)
    from tabular_rl.planning.submodular.graph import coverage_form
    from tabular_rl.submodular import Coverage

    form = coverage_form(mdp)
    np.testing.assert_allclose(Coverage(form.weights, form.sets).table(), mdp.objective.table(), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_truncated_bound(seed):
    rng = np.random.default_rng(seed)
    base = problem("coverage", seed, S=5)
    mdp = SubmodularMDP(base.transition, base.initial, Truncated(rng.integers(-1, 2, 5), [1, 2]), 3)
    found = planning.coverage_bound(mdp)
    assert planning.history_optimum(mdp).value <= found.upper <= 3 + 1e-6
    assert found.upper == pytest.approx(found.relaxation, rel=1e-6)


@pytest.mark.parametrize("kind", ["coverage", "soft", "facility", "ddesign", "concave", "mixture"])
def test_cuts_bound_every_objective(kind):
    mdp = problem(kind, 3)
    optimum, found = planning.history_optimum(mdp).value, planning.cut_bound(mdp)
    assert optimum <= found.upper <= 1.5 * optimum
    assert found.upper == pytest.approx(found.relaxation, rel=1e-6)
    assert planning.cut_bound(mdp, sets=[0]).upper >= found.upper - 1e-9


def test_generated_cuts_are_valid_and_close_to_all_of_them():
    base = problem("coverage", 4, S=4)
    mdp = SubmodularMDP(base.transition, base.initial, base.objective, 3, repeats=True)  # 12 elements or more
    found = planning.cut_bound(mdp)
    assert mdp.ground_set().n > 10
    assert planning.history_optimum(mdp).value <= found.upper


@pytest.mark.parametrize("kind", ["ddesign", "concave"])
def test_jensen_bounds_are_the_optima_of_their_programs(kind):
    mdp = problem(kind, 2)
    _, constraints, visits = flows(mdp)
    y = cp.Variable(4, nonneg=True)
    rows = [*constraints, y <= 1, y <= visits]
    if kind == "ddesign":
        x = np.linalg.cholesky(mdp.objective.covariance(np.arange(4)) + 1e-12 * np.eye(4)) / np.sqrt(mdp.objective.noise)
        inner = np.eye(4) + sum(y[v] * np.outer(x[v], x[v]) for v in range(4))
        goal = 0.5 * cp.log_det(inner)
    else:
        goal = mdp.objective.weights @ cp.sqrt(y @ mdp.objective.measure)
    reference = cp.Problem(cp.Maximize(goal), rows).solve(solver="CLARABEL")
    found, optimum = planning.concave_bound(mdp, 100), planning.history_optimum(mdp).value
    assert optimum <= found.upper <= reference * (1 + 2e-3)  # by entries: at most the bound by visits


@pytest.mark.parametrize("phi", ["sqrt", "log1p", "saturating", np.array([[0, 0], [1, 1], [2, 1.5]])], ids=str)
def test_tangents_of_extensions_lie_above(phi):
    rng = np.random.default_rng(1)
    objective = Concave(rng.random((4, 3)), rng.random(3), phi)
    table, extension = objective.table(), _extension(objective, np.arange(4))
    for _ in range(20):
        value, slope = extension(rng.random(4) * (rng.random(4) < 0.7))
        assert np.isfinite(slope).all()
        for mask in range(16):
            e = (mask >> np.arange(4)) & 1
            assert table[mask] == pytest.approx(extension(e.astype(float))[0], abs=2e-6)
    y0 = rng.random(4)
    value, slope = extension(y0)
    assert all(extension(y)[0] <= value + slope @ (y - y0) + 1e-9 for y in rng.random((20, 4)))


def test_design_extension_agrees_with_the_table():
    rng = np.random.default_rng(2)
    objective = DDesign(features=rng.normal(size=(4, 2)), noise=0.3)
    extension = _extension(objective, np.arange(4))
    for mask, value in enumerate(objective.table()):
        assert extension(((mask >> np.arange(4)) & 1).astype(float))[0] == pytest.approx(value, abs=1e-10)


def test_online_bound_is_valid_and_tight_at_modular_optima():
    for seed in range(5):
        mdp = problem("facility", seed)
        optimum = planning.history_optimum(mdp).value
        for policy in (None, planning.block_ascent(mdp)[1]):
            found = planning.online_bound(mdp, policy)
            assert found.value <= optimum <= found.upper + 1e-12


@pytest.mark.parametrize("kind", ["coverage", "facility", "ddesign", "concave", "truncated"])
@pytest.mark.parametrize("repeats", [False, True])
def test_sampled_online_bound_is_valid_and_converges_to_the_exact_one(kind, repeats):
    from dataclasses import replace

    mdp = problem(kind, 3)
    mdp = replace(mdp, repeats=repeats) if mdp.objective.allows_copies else mdp
    optimum, exact = planning.history_optimum(mdp).value, planning.online_bound(mdp)
    for seed in range(5):  # any distribution over sets gives a bound, that of one sampled trajectory too
        for trajectories in (1, 10):
            assert planning.online_bound(mdp, None, trajectories, seed).upper >= optimum
    found = planning.online_bound(mdp, None, 100_000, seed=1)
    assert found.value == pytest.approx(exact.value, rel=0.01)
    # elements pay once in the priced problem: it may lie below the additive one
    assert optimum <= found.upper <= exact.upper * 1.005
    if repeats:
        assert found.upper == pytest.approx(exact.upper, rel=0.005)


def test_samples_of_a_sure_policy_in_a_sure_world_give_the_exact_bound():
    mdp = instances.tiny(3, 3, 4, 0, "self", 0)
    policy = planning.block_ascent(mdp)[1]
    found, exact = planning.online_bound(mdp, policy, 3), planning.online_bound(mdp, policy)
    assert found.value == pytest.approx(exact.value, rel=1e-12)
    assert planning.history_optimum(mdp).value <= found.upper <= exact.upper * (1 + 1e-8)


@pytest.mark.parametrize("kind", ["coverage", "truncated", "soft", "facility", "concave", "ddesign", "mixture", "modular"])
def test_the_bound_of_a_run_holds_for_every_family(kind):
    for seed in range(3):
        mdp = problem(kind, seed)
        optimum = planning.history_optimum(mdp).value
        found = planning.submodular_upper_bound(mdp, planning.block_ascent(mdp)[1])
        assert optimum <= found.upper <= 1.6 * optimum


def test_the_bound_of_a_run_holds_for_tables_and_entropies_too():
    from dataclasses import replace

    mdp = problem("coverage", 4)
    kernel = mdp.objective.n_elements * np.eye(4) + 1.0
    for objective in (Tabulated(mdp.objective.table()), Entropy(kernel)):
        for repeats in {False, objective.allows_copies}:
            model = replace(mdp, objective=objective, repeats=repeats)
            found = planning.submodular_upper_bound(model)
            assert planning.history_optimum(model).value <= found.upper
    for control in ("cut", "count2"):
        with pytest.raises(ValueError, match="must be monotone and submodular"):
            planning.submodular_upper_bound(problem(control, 0))


def test_a_tangent_is_a_bound_wherever_it_touches():
    mdp = problem("ddesign", 1)
    optimum, whole = planning.history_optimum(mdp).value, planning.concave_bound(mdp).upper
    for visits in (np.zeros(4), np.full(4, 0.3), np.ones(4)):
        assert planning.tangent_bound(mdp, visits).upper >= max(optimum, whole * (1 - 1e-6))
    with pytest.raises(ValueError, match="visits must lie"):
        planning.tangent_bound(mdp, np.full(4, 1.5))


def test_integer_program_equals_the_dynamic_program():
    for spec in [(3, 3, 4, 0, "self", 0), (2, 3, 4, 0, "2x2", 1), (3, 3, 5, 0, "self", 4)]:
        mdp = instances.tiny(*spec)
        assert planning.integer_optimum(mdp) == pytest.approx(planning.history_optimum(mdp).value, abs=1e-9)
    with pytest.raises(ValueError, match="deterministic"):
        planning.integer_optimum(instances.tiny(slip=0.1))


def test_dropping_the_start_is_seen():
    """The bound without the start's own items falls below the optimum: what U2 counts as covered at time 0 is needed."""
    from dataclasses import replace

    from tabular_rl.planning.submodular.flows import flow_program, optimal_flow
    from tabular_rl.planning.submodular.graph import coverage_graph

    mdp = instances.tiny(3, 3, 4, 0, "self", 0)
    graph = coverage_graph(mdp)
    broken = replace(graph, started=np.zeros_like(graph.started))
    assert optimal_flow(flow_program(broken), graph.weights).value < planning.history_optimum(mdp).value - 0.01


@pytest.mark.slow
def test_forest_program_takes_seconds():
    found = planning.coverage_bound(instances.gp30(1))
    assert found.upper == pytest.approx(289.2148, abs=1e-3)


@pytest.mark.parametrize("unit", [1e-150, 1e-12, 1e8, 1e20, 1e150])
def test_bounds_do_not_depend_on_the_unit_of_the_objective(unit):
    """A linear program's solver refuses numbers of 1e20 and ignores those of 1e-12: a run would end with its error."""
    table = np.array([0.0, 1, 1, 1.5, 1, 1.7, 1.6, 1.9])
    successors = np.eye(3)[[[1, 2], [2, 0], [0, 1]]]
    makers = {
        planning.cut_bound: lambda c: SubmodularMDP(successors, 0, Tabulated(c * table), 3),
        planning.coverage_bound: lambda c: SubmodularMDP(successors, 0, Coverage(c * np.ones(4), [[0, 1], [1, 2], [2, 3]]), 3),
        planning.integer_optimum: lambda c: SubmodularMDP(successors, 0, Coverage(c * np.ones(4), [[0, 1], [1, 2], [2, 3]]), 3),
    }
    for bound, make in makers.items():
        plain, scaled = (getattr(result, "upper", result) for result in (bound(make(1.0)), bound(make(unit))))
        assert scaled / unit == pytest.approx(plain, rel=1e-8)
    assert SubPO().run(makers[planning.cut_bound](unit), 2).parameters["upper_bound"] / unit == pytest.approx(1.9, rel=1e-8)
