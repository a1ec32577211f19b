"""The exact robust planner against linear programs, direct minimization and the numbers of the dr_rpo spec, section 6."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from tabular_rl.instances import robust_linear as instances
from tabular_rl.kernels.linear import robust_induction as kernel
from tabular_rl.models import RobustLinearMDP
from tabular_rl.planning.robust.linear import (
    factor_coverage,
    feature_moments,
    performance_difference,
    robust_linear_evaluate,
    robust_linear_solve,
    worst_factors,
)

NUMBERS = [
    (instances.off_dynamics(0), 0, 1.423232144),
    (instances.off_dynamics(0.3), 0, 1.183232144),
    (instances.off_dynamics(0.3), 0.1, 1.020274980),
    (instances.river_swim(0), 0, 1.624655510),
    (instances.river_swim(0.05), 0, 1.2),
    (instances.river_swim(0), 0.05, 1.247151195),
    (instances.american_put(0), 0, 0.152582951),
    (instances.american_put(0.1), 0, 0.092971541),
    (instances.frozen_lake(0), 0, 0.778635680),
    (instances.frozen_lake(0.05), 0, 0.490750432),
]


@pytest.mark.parametrize(("mdp", "tau", "value"), NUMBERS)
def test_values_of_the_spec(mdp, tau, value):
    for uncertainty in ("fail", "ball"):
        solution = robust_linear_solve(mdp, tau, uncertainty=uncertainty)
        np.testing.assert_allclose(solution.values[0, mdp.initial], value, rtol=0, atol=1e-8)
        again = robust_linear_evaluate(mdp, solution.policy, tau, uncertainty=uncertainty)
        np.testing.assert_allclose(again.values, solution.values, rtol=0, atol=1e-10)


def dual(code, values, weights, radius=0.0, penalty=1.0):
    return kernel.worst_factor(code, values, np.argsort(values), weights, radius, penalty, np.empty(len(values)))


@pytest.mark.parametrize("radius", [0.0, 0.1, 0.35, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_total_variation_duals_are_the_linear_programs(radius, seed):
    rng = np.random.default_rng(seed)
    S = int(rng.integers(2, 9))
    values, weights = rng.normal(size=S), rng.dirichlet(np.ones(S))
    values[-1] = 0
    for code in (kernel.FAIL, kernel.BALL):
        # m = weights - x + y with x <= weights, sum x <= radius, y anywhere or only in the last state
        upper = [(0, w) for w in weights] + [(0, None if code == kernel.BALL or s == S - 1 else 0) for s in range(S)]
        balance, budget = np.append(np.ones(S), -np.ones(S))[None], np.append(np.ones(S), np.zeros(S))[None]
        program = linprog(np.append(-values, values), budget, [radius], balance, [0.0], upper)
        np.testing.assert_allclose(dual(code, values, weights, radius), weights @ values + program.fun, atol=1e-8)


def test_signed_weights_need_every_break_point():
    assert dual(kernel.FAIL, np.array([1.0, 2.0]), np.array([-0.5, 0.6]), 0.2) == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["TV", "KL", "CHI_SQUARE"])
@pytest.mark.parametrize("seed", range(4))
def test_penalties_are_the_minimum_over_distributions(name, seed):
    rng = np.random.default_rng(seed)
    values, weights, sigma = rng.normal(size=4), rng.dirichlet(np.ones(4)), rng.uniform(0.1, 1)
    divergence = {
        "TV": lambda m: 0.5 * np.abs(m - weights).sum(),
        "KL": lambda m: (m * np.log(np.maximum(m, 1e-300) / weights)).sum(),
        "CHI_SQUARE": lambda m: ((m - weights) ** 2 / weights).sum(),
    }[name]
    value = dual(getattr(kernel, name), values, weights, 0.0, sigma)

    def cost(m):
        return m @ values + sigma * divergence(m)

    if name == "TV":  # a linear program in m = weights - x + y
        program = linprog(
            np.append(sigma / 2 - values, sigma / 2 + values), None, None, np.append(np.ones(4), -np.ones(4))[None], [0.0],
            [(0, w) for w in weights] + [(0, None)] * 4,
        )  # fmt: skip
        best = weights @ values + program.fun
    else:
        constraint = {"type": "eq", "fun": lambda m: m.sum() - 1}
        best = minimize(cost, weights, bounds=[(0, 1)] * 4, constraints=constraint, options={"ftol": 1e-14, "maxiter": 500}).fun
    np.testing.assert_allclose(value, best, atol=1e-6)
    assert all(value <= cost(m) + 1e-9 for m in rng.dirichlet(np.ones(4), 200))


@pytest.mark.parametrize("seed", range(8))
def test_performance_difference_is_between_its_sides(seed):
    mdp = instances.random_linear(5, 3, 4, 4, seed, radius=0.3)
    rng = np.random.default_rng(seed)
    one, two, reference = rng.dirichlet(np.ones(3), (3, 4, 5))
    one[:, -1] = two[:, -1] = reference[:, -1]
    low, difference, high = performance_difference(mdp, one, two, 0.2, reference)
    assert low - 1e-12 <= difference <= high + 1e-12
    solution = robust_linear_solve(mdp, 0.2, reference)
    assert (robust_linear_evaluate(mdp, one, 0.2, reference).values <= solution.values + 1e-12).all()
    following = np.einsum("hit,ht->hi", worst_factors(mdp, solution.values), solution.values[1:])
    np.testing.assert_allclose(following, solution.factor_values, atol=1e-12)


def test_errors_name_the_argument():
    mdp = instances.random_linear()
    parts = {"features": mdp.features, "factors": mdp.factors, "reward": mdp.reward, "fail_state": 7}
    signed, leaky, nowhere = np.array(mdp.features), np.array(mdp.factors), np.array(mdp.features)
    signed[0, 0] = [-0.1, 0.6, 0.5, 0, 0]
    leaky[2, -1] = np.eye(8)[0]
    nowhere[7] = 1 / 5
    for change, message in [
        ({"features": signed}, r"features\[0, 0\] is not a probability"),
        ({"features": mdp.features * np.nan}, "features"),
        ({"features": nowhere}, r"features\[7\] of fail_state must be the unit vector"),
        ({"factors": mdp.factors * 0.9}, r"factors\[0, 0\] is not a probability"),
        ({"factors": mdp.factors * np.nan}, "factors"),
        ({"factors": leaky}, "known factors must lead"),
        ({"reward": mdp.reward * np.nan}, "reward"),
        ({"reward": mdp.reward - 0.1}, r"reward must be in \[0, 1\]"),
        ({"fail_state": 8}, "below S=8"),
        ({"initial": -1}, "initial"),
        ({"known": np.zeros(5, bool)}, r"unit vector of one known factor"),
        ({"radius": -0.1}, "radius"),
        ({"radius": np.nan}, "radius"),
        ({"features": mdp.features * 0.9}, "features"),
        ({"reward": mdp.reward + 1}, r"reward must be in \[0, 1\]"),
        ({"fail_state": 1}, "reward must be 0 in fail_state 1"),
        ({"radius": 1.5}, "radius"),
        ({"radius": np.full((5, 5), 0.1)}, "radius must be 0 at known"),
        ({"known": np.ones(5, bool)}, "known factors must lead"),
    ]:
        with pytest.raises(ValueError, match=message):
            RobustLinearMDP(**parts | change)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tau": -1}, "tau"),
        ({"reference": np.zeros(mdp.shape)}, "reference"),
        ({"penalty": ("kl", 0)}, "penalty"),
        ({"uncertainty": "other"}, "uncertainty"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            robust_linear_solve(mdp, **arguments)


def test_coverage_is_the_specs_and_the_least():
    """The numbers of the dr_rpo spec, section 6: one-hot features, fewer feature vectors than factors; against a bisection."""
    random = instances.random_linear(6, 6, 4, 4, seed=0, radius=0.2)
    policy = robust_linear_solve(random, 0.1).policy
    np.testing.assert_allclose(factor_coverage(random, policy), [32.1, 9.1, 6.2, 4.7], atol=0.05)
    off = instances.off_dynamics(0.3)
    for tau, value in ((0.0, np.inf), (0.005, 1155), (0.02, 122), (1.0, 84)):
        assert factor_coverage(off, robust_linear_solve(off, tau).policy)[0] == pytest.approx(value, rel=5e-3)
    np.testing.assert_allclose(factor_coverage(instances.river_swim(), robust_linear_solve(instances.river_swim(), 0.1).policy), 1)
    few = instances.random_linear(8, 4, 5, 5, seed=0)  # 4 actions in the start state, 5 factors
    assert factor_coverage(few, robust_linear_solve(few, 0.02).policy)[0] == np.inf
    mean, second = feature_moments(random, policy)
    for h, C in enumerate(factor_coverage(random, policy)):
        gap = [np.linalg.eigvalsh(c * second[h] - np.diag(np.where(random.known, 0, mean[h])))[0] for c in (C * (1 + 1e-9), 0.99 * C)]
        assert gap[0] >= -1e-12
        assert gap[1] < 0


@pytest.mark.parametrize("tau", [0.0, 0.1])
def test_names_of_states_actions_and_factors_do_not_matter(tau):
    """Relabeled, the values are the same ones in their new places; without a radius factors are plain expectations."""
    mdp, rng = instances.random_linear(7, 3, 5, 4, seed=2, radius=0.3), np.random.default_rng(0)
    (_, S, A), d = mdp.shape, mdp.dimension
    s, a, i = rng.permutation(S), rng.permutation(A), rng.permutation(d)
    other = RobustLinearMDP(
        mdp.features[s][:, a][:, :, i], mdp.factors[:, i][:, :, s], mdp.reward[:, s][:, :, a], int(np.argmax(s == mdp.fail_state)),
        mdp.radius[:, i], mdp.known[i], int(np.argmax(s == mdp.initial)),
    )  # fmt: skip
    here, there = robust_linear_solve(mdp, tau), robust_linear_solve(other, tau)
    np.testing.assert_allclose(there.values, here.values[:, s], atol=1e-12)
    np.testing.assert_allclose(there.policy, here.policy[:, s][:, :, a], atol=1e-9)
    np.testing.assert_allclose(there.factor_values, here.factor_values[:, i], atol=1e-12)
    nominal = robust_linear_solve(mdp.with_radius(0.0), tau)
    expected = np.where(mdp.known, 0, np.einsum("hdt,ht->hd", mdp.factors, nominal.values[1:]))
    np.testing.assert_allclose(nominal.factor_values, expected, atol=1e-12)


def test_frozen_lake_is_gymnasiums():
    """On Gymnasium's ice: reaching the goal in H - 1 moves there pays what standing in it pays here, one step later."""
    from tabular_rl import instances as shelf
    from tabular_rl.planning import solve

    ours = instances.frozen_lake(0.0, horizon=20, slip=1 / 3)
    assert robust_linear_solve(ours).values[0, ours.initial] == pytest.approx(solve(shelf.frozen_lake(horizon=19)).values[0, 0], abs=1e-12)
    table = shelf.frozen_lake(horizon=1).transition[0]  # their sixteen cells; holes 5, 7, 11, 12
    cells = np.delete(np.arange(16), [5, 7, 11, 12])
    moves = np.einsum("sad,dt->sat", ours.features, ours.factors[0])
    np.testing.assert_allclose(moves[:11, :, :12], table[np.ix_(cells[:11], range(4), cells)], atol=1e-12)
    np.testing.assert_allclose(moves[:11, :, -1], table[cells[:11]][..., [5, 7, 11, 12]].sum(axis=-1), atol=1e-12)
