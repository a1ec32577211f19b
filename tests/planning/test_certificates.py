"""The certificate of a solution against optimal values in exact rational arithmetic: rounding cannot hide in the reference."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_array

from tabular_rl import ambiguity, instances
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP, from_arrays, to_quantecon
from tabular_rl.planning import ConvergenceError, evaluate, solve

METHODS = ["modified_policy_iteration", "policy_iteration", "value_iteration"]


def rational(array):
    return np.vectorize(Fraction, otypes=[object])(array)


def solve_exactly(matrix, right):
    """Gauss elimination of rational numbers."""
    rows = np.column_stack([matrix, right])
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j, i] != 0)
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in range(len(rows)):
            if j != i:
                rows[j] = rows[j] - rows[i] * rows[j, i]
    return rows[:, -1]


def value_exactly(mdp, actions):
    P = mdp.transition.toarray().reshape(*mdp.shape, -1) if mdp.is_sparse else mdp.transition
    S = np.arange(mdp.n_states)
    matrix = rational(np.eye(len(S))) - Fraction(mdp.discount) * rational(P[S, actions])
    return solve_exactly(matrix, rational(mdp.reward[S, actions]))


def optimum_exactly(mdp):
    """Policy iteration of rational numbers: it ends at V* itself."""
    P = mdp.transition.toarray().reshape(*mdp.shape, -1) if mdp.is_sparse else mdp.transition
    P, actions = rational(P), np.zeros(mdp.n_states, int)
    while True:
        values = value_exactly(mdp, actions)
        q_values = rational(mdp.reward) + Fraction(mdp.discount) * (P @ values)
        best = q_values.max(axis=1)
        played = q_values[np.arange(mdp.n_states), actions]
        if np.all(played == best):
            return values
        actions = np.where(played == best, actions, [int(np.argmax(row)) for row in q_values])


def model(S, A, discount, kind, seed):
    """A tiny model of a kind that has made a certificate fail somewhere."""
    rng = np.random.default_rng(seed)
    P, reward = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
    if kind == "deterministic":
        P, reward = np.eye(S)[rng.integers(S, size=(S, A))], np.round(reward)
    elif kind == "nearly deterministic":
        P = 1e-9 * P + (1 - 1e-9) * np.eye(S)[rng.integers(S, size=(S, A))]
    elif kind == "absorbing":
        P = np.broadcast_to(np.eye(S)[:, None], (S, A, S))
    elif kind == "leaking rows":
        P = P * (1 + rng.uniform(-9e-10, 9e-10, (S, A, 1)))
    elif kind == "constant":
        reward = np.ones((S, A))
    elif kind == "constant, leaking":
        P, reward = P * (1 + 9e-10 * rng.choice([-1, 1], (S, A, 1))), np.ones((S, A))
    elif kind == "zero":
        reward = np.zeros((S, A))
    elif kind == "negative":
        reward = -reward
    elif kind == "huge":
        reward = rng.uniform(-1e8, 1e8, (S, A))
    elif kind == "ties":
        P, reward = np.repeat(P[:, :1], A, axis=1), np.repeat(reward[:, :1], A, axis=1)
    return DiscountedMDP(P, reward, discount)


KINDS = ["smooth", "deterministic", "nearly deterministic", "absorbing", "leaking rows", "constant", "constant, leaking", "zero",
         "negative", "huge", "ties"]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_the_optimum_and_the_policy(kind, method):
    for seed, (S, A) in enumerate([(1, 1), (1, 3), (2, 2), (3, 2), (4, 1), (4, 3)]):
        for discount in (0.01, 0.7, 0.999):
            mdp = model(S, A, discount, kind, seed)
            optimum = optimum_exactly(mdp)
            size = max(1.0, np.abs(mdp.reward).max()) / (1 - discount)
            for tolerance in (1e-2 * size, 1e-10 * size / (1 - discount)):
                solution = solve(mdp, method, tolerance)
                assert np.all(rational(solution.lower) <= optimum)
                assert np.all(optimum <= rational(solution.upper))
                assert np.all(rational(solution.lower) <= value_exactly(mdp, solution.actions))
                assert solution.radius <= tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_for_sparse_models_too(kind):
    for seed, (S, A) in enumerate([(1, 1), (3, 2), (4, 3)]):
        dense = model(S, A, 0.99, kind, seed)
        mdp = DiscountedMDP(csr_array(dense.transition.reshape(S * A, S)), dense.reward, 0.99)
        optimum = optimum_exactly(mdp)
        for method in METHODS:
            solution = solve(mdp, method, 1e-7 * max(1, np.abs(mdp.reward).max()))
            assert np.all(rational(solution.lower) <= optimum)
            assert np.all(optimum <= rational(solution.upper))
            assert np.all(rational(solution.lower) <= value_exactly(mdp, solution.actions))


@pytest.mark.parametrize("method", METHODS)
def test_bounds_hold_as_tight_as_float64_can_certify(method):
    for seed in range(8):
        mdp = model(3, 2, 0.95, ["smooth", "leaking rows", "constant", "negative"][seed % 4], seed)
        optimum, tolerance, certified = optimum_exactly(mdp), 1e-8, 0
        while True:
            try:
                solution = solve(mdp, method, tolerance)
            except ValueError as error:
                assert "float64" in str(error)  # noqa: PT017
                break
            assert np.all(rational(solution.lower) <= optimum)
            assert np.all(optimum <= rational(solution.upper))
            assert solution.radius <= tolerance
            tolerance, certified = tolerance / 2, certified + 1
        assert certified > 10
        assert tolerance > 1e-15


@pytest.mark.parametrize("method", METHODS)
def test_the_radius_keeps_the_tolerance_where_bounds_are_coarse_numbers(method):
    """Values near 1e11, in steps of 1e-5: half the width of the bounds and the radius are not the same number."""
    mdp, kept = model(3, 2, 0.999, "huge", 0), 0
    first = solve(mdp, method, 10)
    for k in range(1, 15):
        tolerance = first.radius * (1 - 10.0**-k)
        try:
            solution = solve(mdp, method, tolerance)
        except ValueError:  # the first one was as good as it gets
            continue
        assert solution.radius <= tolerance
        kept += 1
    assert kept > 0 or method == "policy_iteration"


def test_bounds_of_a_finite_horizon_hold_the_optimum():
    for seed, (H, S, A) in enumerate([(1, 1, 1), (1, 2, 3), (4, 2, 2), (6, 3, 2), (3, 1, 2)]):
        for scale in (1.0, -1.0, 1e8, 0.0):
            rng = np.random.default_rng(seed)
            P = rng.dirichlet(np.ones(S), (H, S, A)) * (1 + rng.uniform(-9e-10, 9e-10, (H, S, A, 1)))
            mdp = FiniteHorizonMDP(P, scale * rng.random((H, S, A)))
            solution = solve(mdp)
            values, played = rational(np.zeros(S)), rational(np.zeros(S))
            for h in reversed(range(H)):
                values = (rational(mdp.reward[h]) + rational(P[h]) @ values).max(axis=1)
                chosen = np.arange(S), solution.actions[h]
                played = rational(mdp.reward[h][chosen]) + rational(P[h][chosen]) @ played
                for exact in (values, played):
                    assert np.all(rational(solution.lower[h]) <= exact)
                    assert np.all(exact <= rational(solution.upper[h]))
            assert solution.radius <= 1e-12 * max(1, abs(scale))


@pytest.mark.parametrize("method", METHODS)
def test_a_tolerance_below_rounding_is_refused(method):
    with pytest.raises(ValueError, match="tolerance 1e-16 is below what float64 can certify"):
        solve(instances.random_discounted(4, 2, 0.9, 0), method, tolerance=1e-16)
    with pytest.raises(ValueError, match="float64"):
        solve(model(1, 1, 0.999, "constant", 0), method, tolerance=1e-16)


def test_sweeps_that_rounding_brings_to_a_halt_are_refused_and_policy_iteration_goes_on():
    """A nearly periodic chain: a sweep shortens an alternating error by 1 - discount of it, less than the values can resolve."""
    mdp = DiscountedMDP(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), [[1.0], [0.9]], 0.999)
    for method in ("modified_policy_iteration", "value_iteration"):
        with pytest.raises(ValueError, match=f"float64 can certify for this model by {method}"):
            solve(mdp, method, 2e-9)
    solution = solve(mdp, "policy_iteration", 2e-9)
    assert np.all(rational(solution.lower) <= optimum_exactly(mdp))
    assert np.all(optimum_exactly(mdp) <= rational(solution.upper))


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_may_gain_mass_need_a_discount_that_outweighs_it(method):
    P = np.full((2, 1, 2), 0.5 + 2e-10)
    with pytest.raises(ValueError, match="row"):
        solve(DiscountedMDP(P, [[0.0], [1.0]], 1 - 1e-10), method)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_sweeps_are_an_error_that_says_how_far_they_came(method):
    mdp = instances.random_discounted(6, 3, 0.99, 1)
    with pytest.raises(ConvergenceError, match=rf"{method} stopped after 1 sweeps with certified error .* > tolerance 1e-06"):
        solve(mdp, method, 1e-6, max_iterations=1)
    needed = solve(mdp, method).iterations
    assert solve(mdp, method, max_iterations=needed).iterations == needed
    with pytest.raises(ConvergenceError):
        solve(mdp, method, max_iterations=needed - 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "newton"}, ValueError, "method must be one of 'auto', 'modified_policy_iteration', .*, got 'newton'"),
        ({"method": "backward_induction"}, ValueError, "method"),
        ({"tolerance": 0}, ValueError, "tolerance"),
        ({"tolerance": -1e-3}, ValueError, "tolerance"),
        ({"tolerance": np.nan}, ValueError, "tolerance"),
        ({"tolerance": "tight"}, TypeError, "tolerance must be a real number, got str 'tight'"),
        ({"tolerance": True}, TypeError, "tolerance must be a real number"),
        ({"max_iterations": 0}, ValueError, "max_iterations"),
        ({"max_iterations": 1.5}, TypeError, "max_iterations must be an integer"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        solve(instances.random_discounted(2, 2, 0.5, 0), **arguments)


def test_solve_takes_models_only():
    with pytest.raises(TypeError, match="mdp must be a FiniteHorizonMDP, a DiscountedMDP or a RobustMDP, got ndarray"):
        solve(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="'backward_induction', got 'value_iteration'"):
        solve(instances.random_episodic(2, 2, 2), "value_iteration")


# --- as far as float64 certifies


def sparse(mdp):
    return DiscountedMDP(csr_array(mdp.transition.reshape(-1, mdp.n_states)), mdp.reward, mdp.discount, mdp.initial)


@pytest.mark.parametrize("discount", [0.01, 0.9, 0.999, 0.999999, 1 - 1e-9])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "leaking" not in kind])
def test_exact_values_are_those_of_rational_arithmetic(kind, discount):
    """The certificate holds; values are right to a few units in the last place, near 1 to those of extended precision's residual."""
    units = 8 * np.finfo(float).eps + 4 * float(np.finfo(np.longdouble).eps) / (1 - discount)
    for seed, (S, A) in enumerate([(1, 2), (3, 2), (4, 3)]):
        mdp = model(S, A, discount, kind, seed)
        optimum = optimum_exactly(mdp)
        for made in (mdp, sparse(mdp)):
            solution = solve(made, tolerance="exact")
            assert np.all(rational(solution.lower) <= optimum)
            assert np.all(optimum <= rational(solution.upper))
            if kind in ("constant", "ties"):  # which action is best rests on the last digit of a row's sum
                continue
            nearest = optimum.astype(float)
            np.testing.assert_allclose(solution.values, nearest, rtol=0, atol=units * np.abs(nearest).max())
            assert np.all(value_exactly(mdp, solution.actions) == optimum)


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_never_fails_and_says_what_it_certifies(kind, method):
    for seed, discount in enumerate((0.5, 0.99)):
        mdp = model(4, 3, discount, kind, seed)
        solution, optimum = solve(mdp, method, "exact"), optimum_exactly(mdp)
        assert np.all(rational(solution.lower) <= optimum)
        assert np.all(optimum <= rational(solution.upper))
        size = np.abs(mdp.reward).max() / (1 - discount)
        assert solution.radius <= 1e-13 * size / (1 - discount) * (1e4 if method == "value_iteration" else 100)


def test_a_slow_chain_at_a_discount_near_1_is_finished_by_a_linear_solve():
    cycle = DiscountedMDP(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), [[1.0], [0.9]], 0.999999)
    for tolerance in (None, "exact", 0.1):
        solution = solve(cycle, tolerance=tolerance)
        assert solution.method == "policy_iteration"
        assert np.all(rational(solution.lower) <= optimum_exactly(cycle))
        assert np.all(optimum_exactly(cycle) <= rational(solution.upper))


NEAR_ONE = (
    np.array([[[0.25, 0.25, 0.5], [0.75, 0, 0.25], [0.5, 0.5, 0]], [[0, 0.25, 0.75], [0.25, 0, 0.75], [0.25, 0.25, 0.5]]]),
    np.array([[0.55, 0.75], [1, 0.8], [1.2, 1]]),
)


def best_gain(P, reward):
    """(gain, actions) of the best of all policies of an ergodic model: its stationary distribution times its reward."""
    S, best = np.arange(len(reward)), (-np.inf, None)
    for actions in np.ndindex(*[reward.shape[1]] * len(S)):
        chain = np.vstack([P[S, actions].T - np.eye(len(S)), np.ones(len(S))])
        stationary = np.linalg.lstsq(chain, np.append(np.zeros(len(S)), 1), rcond=None)[0]
        best = max(best, (stationary @ reward[S, actions], actions))
    return best


@pytest.mark.parametrize("discount", [0.9999, 0.99999, 0.999999, 0.9999999])
@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_default_settings_solve_a_model_whose_discount_is_near_1(method, discount):
    mdp = from_arrays(*NEAR_ONE, discount=discount)
    gain, actions = best_gain(mdp.transition, mdp.reward)
    assert gain == pytest.approx(0.975676, abs=1e-6)
    solution = solve(mdp, method)
    assert tuple(solution.actions) == actions
    np.testing.assert_allclose((1 - discount) * solution.values, gain, atol=2 * (1 - discount) + 1e-7)
    assert np.abs(solution.values - optimum_exactly(mdp).astype(float)).max() <= solution.radius <= 1e-6 * 1.2 / (1 - discount)


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1.0, 1e9, 1e150])
def test_the_default_tolerance_is_relative_to_the_values(scale):
    plain = model(4, 3, 0.9, "smooth", 0)
    mdp = DiscountedMDP(plain.transition, scale * plain.reward, 0.9)
    solution = solve(mdp)
    np.testing.assert_array_equal(solution.actions, solve(plain).actions)
    assert solution.radius <= 1e-6 * np.abs(mdp.reward).max()
    robust = RobustMDP(plain.transition, scale * plain.reward, 0.9, 0, ambiguity.L1(0.2))
    found = solve(robust)
    assert found.converged
    assert found.radius <= 1e-6 * np.abs(mdp.reward).max()
    np.testing.assert_allclose(
        found.values,
        scale * solve(RobustMDP(plain.transition, plain.reward, 0.9, 0, ambiguity.L1(0.2)), tolerance=1e-12).values,
        rtol=1e-6,
    )


@pytest.mark.parametrize("set_of", [ambiguity.L1, ambiguity.KL, ambiguity.SRectangularL1])
def test_robust_problems_at_discounts_near_1_solve_at_default_settings(set_of):
    P, reward = from_arrays(*NEAR_ONE, discount=0.5).transition, NEAR_ONE[1]
    for discount in (0.999, 0.99999):
        mdp = RobustMDP(P, reward, discount, 0, set_of(0.1))
        for tolerance in (None, "exact"):
            solution = solve(mdp, tolerance=tolerance)
            assert solution.converged
            assert solution.radius <= 1e-6 * 1.2 / (1 - discount)


def test_exact_robust_values_of_a_set_of_one_kernel_are_the_ordinary_ones():
    mdp = model(4, 3, 0.9, "smooth", 0)
    for radius in (ambiguity.L1(0.0), ambiguity.Contamination(0.0)):
        robust = solve(RobustMDP(mdp.transition, -mdp.reward, 0.9, 0, radius), tolerance="exact")
        np.testing.assert_allclose(-robust.values, optimum_exactly(mdp).astype(float), atol=1e-13)


# --- gaps


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.9999])
def test_a_gap_is_that_of_rational_arithmetic_and_never_negative(discount):
    """Relative to what is lost, not to the values: policies that differ from the best by 1e-12 have a gap of that order."""
    rng = np.random.default_rng(0)
    for seed in range(4):
        mdp = model(4, 3, discount, "smooth", seed)
        best = solve(mdp, tolerance="exact")
        optimum = optimum_exactly(mdp)
        assert best.gap(best.policy) == best.gap(best.actions) == 0
        for weight in (1.0, 1e-4, 1e-12, 1e-30):
            policy = (1 - weight) * best.policy + weight * rng.dirichlet(np.ones(3), 4)
            mixed = rational(policy)
            chain = rational(np.eye(4)) - Fraction(discount) * np.einsum("sa,sat->st", mixed, rational(mdp.transition))
            values = solve_exactly(chain, np.sum(mixed * rational(mdp.reward), axis=1))
            rows = np.abs(policy.sum(axis=1) - 1).max()  # as stored, a mixture's rows need not sum to 1
            exact = float(rational(mdp.initial) @ (optimum - values))
            allowed = 1e-6 * abs(exact) + 4 * (rows + 1e-16) / (1 - discount) ** 2
            assert 0 <= best.gap(policy) == pytest.approx(exact, abs=allowed)


def test_gaps_of_horizons_and_sparse_models():
    rng = np.random.default_rng(1)
    episodic = instances.random_episodic(4, 3, 5, 2)
    discounted = sparse(model(5, 3, 0.9, "smooth", 2))
    for mdp in (episodic, discounted):
        best = solve(mdp, tolerance="exact")
        assert best.gap(best.policy) == 0
        for _ in range(5):
            policy = rng.dirichlet(np.ones(mdp.shape[-1]), mdp.shape[:-1])
            lost = best.values - evaluate(mdp, policy).values
            assert best.gap(policy) == pytest.approx(mdp.initial @ (lost[0] if lost.ndim == 2 else lost), rel=1e-9)


def test_exact_values_are_quantecons():
    for seed, discount in enumerate((0.5, 0.99, 0.9999)):
        mdp = instances.random_discounted(20, 3, discount, seed)
        peer, solution = to_quantecon(mdp).solve(method="policy_iteration"), solve(mdp, tolerance="exact")
        np.testing.assert_array_equal(solution.actions, peer.sigma)
        np.testing.assert_allclose(solution.values, peer.v, rtol=1e-14 / (1 - discount))
