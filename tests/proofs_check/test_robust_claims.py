"""What the claims of robust policy gradient compute with: prox points against a grid, steps of the adversary, the quoted numbers."""

import itertools

import numpy as np
import pytest

from proofs_check.claims.robust.drpg import game
from proofs_check.claims.robust.drpg_inner import adversary_step, diameter
from proofs_check.claims.robust.drpg_moreau import prox
from proofs_check.registry import find_claims
from tabular_rl.planning import constants, gradients, robust_evaluate


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
@pytest.mark.parametrize("discount", [0.1, 0.9])
def test_prox_points_are_the_best_of_a_grid(rectangularity, discount):
    """All policies of two states and two actions on a grid: none is below the certified lower bound, the best one is near the point."""
    mdp, (policy, _), _ = game(2, 2, discount, rectangularity, 4)
    ell, found = constants(mdp).ell_policy, prox(mdp, policy)
    half = 0.1 if discount == 0.9 else 1.0  # how far to look: all of them, or around the policy
    lines = [np.linspace(max(policy[s, 0] - half, 0), min(policy[s, 0] + half, 1), 33) for s in range(2)]
    values, grid = [], [np.column_stack([x, 1 - np.array(x)]) for x in itertools.product(*lines)]
    for other in grid:
        values.append(robust_evaluate(mdp, other).objective + ell * np.sum((other - policy) ** 2))
    assert found.lower <= min(values)
    away = max(float(np.diff(line)[0]) for line in lines) * np.sqrt(2)  # a grid point is that near to the prox point
    slope = constants(mdp).L_policy + 2 * ell * (np.linalg.norm(found.point - policy) + away)
    assert min(values) <= found.upper + slope * away
    # strong convexity
    assert np.linalg.norm(grid[int(np.argmin(values))] - found.point) <= np.sqrt(2 * (min(values) - found.lower) / ell) + found.radius


def test_certificates_of_prox_points_are_tight():
    """Most cutting-plane searches end at their target: the certified radius is below 1e-5 in 9 of 10 games, and the bounds are in order."""
    radii = []
    for seed in range(40):
        mdp, (policy, _), _ = game(3, 2, (0.1, 0.5, 0.9)[seed % 3], "sa" if seed % 2 else "s", seed)
        found = prox(mdp, policy)
        assert found.lower <= found.upper <= found.worst + 2e-12 / (1 - mdp.discount) ** 2
        radii.append(found.radius)
    assert np.quantile(radii, 0.9) <= 1e-5


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
def test_long_steps_of_the_adversary_reach_the_worst_kernel(rectangularity):
    mdp, (policy, _), (kernel, _) = game(4, 3, 0.9, rectangularity, 0)
    for _ in range(30):
        kernel = adversary_step(mdp, policy, kernel, 100.0)[1]
    assert gradients(mdp, policy, kernel).objective == pytest.approx(robust_evaluate(mdp, policy).objective, abs=1e-9)
    assert np.linalg.norm(kernel - mdp.nominal) <= diameter(mdp)
    np.testing.assert_allclose(kernel.sum(axis=-1), 1)


def test_gradients_of_pennies_have_the_quoted_numbers():
    found, _, _ = find_claims(["drpg.kink"])[0].sides(1.0, 0.9)
    assert found[:4] == pytest.approx([19.4846260, 17.1635734, 17.1635734, 19.4846260], abs=1e-6)
