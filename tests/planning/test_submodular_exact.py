"""Dynamic programs over collected sets against plain enumeration of trajectories and policies."""

import itertools

import numpy as np
import pytest

from tabular_rl import planning
from tabular_rl.instances import submodular as instances

KINDS = ("coverage", "truncated", "soft", "facility", "concave", "ddesign", "mixture", "modular", "cut")


def enumerate_paths(mdp):
    """Every (probability without policy, states, actions) of positive probability."""
    H, S, A = mdp.shape
    paths = [(mdp.initial[s], (s,), ()) for s in range(S) if mdp.initial[s] > 0]
    for h in range(H):
        P = mdp.probabilities[h]
        paths = [
            (p * P[x[-1], a, t], (*x, t), (*acts, a)) for p, x, acts in paths for a in range(A) for t in range(S) if P[x[-1], a, t] > 0
        ]
    return paths


def enumerated_value(mdp, policy):
    """J by the list of all trajectories."""
    total = 0.0
    for p, states, actions in enumerate_paths(mdp):
        chance = np.prod([policy[h, s, a] for h, (s, a) in enumerate(zip(states[:-1], actions, strict=True))])
        total += p * chance * mdp.value(np.array(states))
    return total


def policy_of(mdp, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(mdp.n_actions), mdp.shape[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_value_is_that_of_all_trajectories(kind):
    mdp = instances.random_problem(3, 2, 3, kind, seed=1)
    policy = policy_of(mdp, 2)
    assert planning.submodular_value(mdp, policy) == pytest.approx(enumerated_value(mdp, policy), abs=1e-12)


def test_repeats_count_as_copies():
    base = instances.random_problem(2, 2, 2, "soft", seed=3)
    mdp = type(base)(base.transition, base.initial, base.objective, repeats=True)
    policy = policy_of(mdp, 1)
    assert planning.submodular_value(mdp, policy) == pytest.approx(enumerated_value(mdp, policy), abs=1e-12)


def test_gradient_is_the_finite_difference():
    mdp, step = instances.random_problem(3, 2, 3, "facility", seed=5), 1e-5
    theta = np.random.default_rng(0).standard_normal(mdp.shape)
    softmax = lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    found = planning.submodular_gradient(mdp, softmax(theta))
    for index in np.ndindex(mdp.shape):
        up, down = theta.copy(), theta.copy()
        up[index] += step
        down[index] -= step
        slope = (planning.submodular_value(mdp, softmax(up)) - planning.submodular_value(mdp, softmax(down))) / (2 * step)
        assert found.logits[index] == pytest.approx(slope, abs=1e-8)
    np.testing.assert_allclose(found.occupancy.sum(axis=1), 1)
    np.testing.assert_allclose(np.sum(softmax(theta) * found.advantage, axis=-1), 0, atol=1e-12)


def plain_history_optimum(mdp):
    """The optimum by recursion over histories, no states merged."""
    H, S, A = mdp.shape

    def best(states):
        h = len(states) - 1
        if h == H:
            return mdp.value(np.array(states))
        row = mdp.probabilities[h, states[-1]]
        return max(sum(row[a, t] * best((*states, t)) for t in range(S) if row[a, t] > 0) for a in range(A))

    return sum(mdp.initial[s] * best((s,)) for s in range(S) if mdp.initial[s] > 0)


@pytest.mark.parametrize("kind", ["coverage", "ddesign", "truncated"])
def test_history_optimum_is_that_of_the_tree_of_histories(kind):
    mdp = instances.random_problem(3, 2, 3, kind, seed=7)
    found = planning.history_optimum(mdp)
    assert found.value == pytest.approx(plain_history_optimum(mdp), abs=1e-12)
    assert planning.greedy_history(mdp).value <= found.value + 1e-12


def test_memory_helps_on_gap_and_nothing_else_reaches_it():
    mdp = instances.gap()
    assert planning.history_optimum(mdp).value == pytest.approx(2.0)
    H, S, A = mdp.shape
    values = [planning.submodular_value(mdp, np.reshape(rows, (H, S))) for rows in itertools.product(range(A), repeat=H * S)]
    assert max(values) == pytest.approx(1.5)


TINY = {  # OPT_NM; then ratios to it: modular, greedy history, uniform, block ascent (subpo spec, table 10.1)
    (3, 3, 4, 0, "self", 0): (3.6058, 0.479, 1.000, 0.487, 1.0000),
    (3, 3, 6, 0, "self", 1): (4.5093, 0.280, 1.000, 0.417, 0.9132),
    (3, 3, 6, 0.2, "self", 2): (2.8117, 0.774, 0.985, 0.509, 0.9390),
    (3, 3, 4, 0.2, "2x2", 5): (3.1973, 0.903, 0.989, 0.457, 0.9892),
}


@pytest.mark.parametrize("spec", TINY)
def test_tiny_grids_have_the_numbers_of_the_table(spec):
    mdp, (optimum, modular, greedy, uniform, block) = instances.tiny(*spec), TINY[spec]
    best = planning.history_optimum(mdp).value
    assert best == pytest.approx(optimum, abs=6e-5)
    assert planning.submodular_value(mdp, planning.modular_policy(mdp)) / best == pytest.approx(modular, abs=6e-4)
    assert planning.greedy_history(mdp).value / best == pytest.approx(greedy, abs=6e-4)
    assert planning.submodular_value(mdp) / best == pytest.approx(uniform, abs=6e-4)
    assert planning.block_ascent(mdp)[0] / best == pytest.approx(block, abs=6e-5)


def test_every_ascent_is_monotone_and_block_ascent_ends_where_no_block_improves():
    mdp = instances.random_problem(3, 3, 3, "mixture", seed=11)
    value, policy = planning.block_ascent(mdp, "modpo")
    assert value >= planning.submodular_value(mdp, planning.modular_policy(mdp)) - 1e-12
    W = planning.submodular_gradient(mdp, policy).policy
    assert np.all(W.max(axis=-1) <= np.sum(policy * W, axis=-1) + 1e-12)
    assert np.all(np.diff(planning.projected_ascent(mdp, 20)[0]) >= -1e-12)
    values = [planning.natural_ascent(mdp, 1.0, sweeps)[0] for sweeps in (1, 2, 5)]
    assert np.all(np.diff([planning.submodular_value(mdp), *values]) >= -1e-12)


def test_too_many_elements_are_refused():
    with pytest.raises(ValueError, match="at most 20 elements"):
        planning.submodular_value(instances.two_room())
