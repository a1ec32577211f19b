"""The strategies reach the corners that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs_check.strategies import (
    DELAYS,
    MODEL_STYLES,
    STYLES,
    delay_sequences,
    delays,
    discounted,
    discounted_mdps,
    episodic,
    feature_maps,
    features,
    finite_horizon_mdps,
    policies,
    rows,
    simplex_point,
    state_table,
)

quick = settings(derandomize=True, deadline=None, max_examples=200)


def corners_of(strategy, describe, examples=400):
    seen = set()

    @settings(derandomize=True, deadline=None, max_examples=examples, database=None)
    @given(strategy)
    def collect(part):
        seen.update(describe(part.value))

    collect()
    return seen


def test_finite_horizon_models_reach_every_corner():
    def describe(mdp):
        H, S, A = mdp.shape
        yield from (name for name, there in {"H=1": H == 1, "S=1": S == 1, "A=1": A == 1}.items() if there)
        positive = mdp.transition[mdp.transition > 0]
        if S > 1 and (positive == 1).all():
            yield "deterministic"
        if S > 1 and (positive > 1 - 1e-5).any() and (positive < 1e-5).any():
            yield "nearly deterministic or tiny"
        if S > 1 and (mdp.transition[..., -1] == 0).all() and mdp.initial[-1] == 0:
            yield "unreachable"
        if S > 1 and H > 1 and (mdp.transition[:, 0, :, 0] == 1).all() and not (positive == 1).all():
            yield "absorbing"
        if A > 1 and (mdp.reward == mdp.reward[..., :1]).all() and (mdp.transition == mdp.transition[:, :, :1]).all():
            yield "ties"
        if set(np.unique(mdp.reward)) == {0.0, 1.0}:
            yield "rewards 0 and 1"

    expected = {"H=1", "S=1", "A=1", "deterministic", "nearly deterministic or tiny", "unreachable", "absorbing", "ties", "rewards 0 and 1"}
    assert corners_of(finite_horizon_mdps(), describe) == expected


def test_discounts_come_near_0_and_near_1():
    assert corners_of(discounted_mdps(), lambda mdp: [mdp.discount]) >= {0.001, 0.5, 0.999}


def test_delays_and_features_reach_their_adversaries():
    delayed = corners_of(
        delay_sequences(), lambda d: ["all lost"] * bool((d + np.arange(len(d)) >= len(d)).all()) + ["none"] * bool((d == 0).all())
    )
    assert delayed == {"all lost", "none"}
    ranks = corners_of(
        feature_maps(), lambda phi: [("deficient", np.linalg.matrix_rank(phi.reshape(-1, phi.shape[-1])) < min(phi.shape[-1], 2))]
    )
    assert ("deficient", True) in ranks
    assert ("deficient", False) in ranks


@quick
@given(st.sampled_from(STYLES), st.integers(1, 6), st.integers(0, 2**16))
def test_rows_are_distributions(style, n, seed):
    drawn = rows(np.random.default_rng(seed), (3, 2, n), style)
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn.sum(axis=-1), 1, atol=1e-12)


@quick
@given(st.integers(1, 20), st.sampled_from(DELAYS), st.integers(0, 2**16))
def test_delays_are_whole_and_not_negative(K, kind, seed):
    d = delays(K, kind, seed)
    assert d.shape == (K,)
    assert d.dtype.kind == "i"
    assert d.min() >= 0


@quick
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.integers(0, 2**16))
def test_features_have_norm_at_most_one(S, A, d, degenerate, seed):
    assert np.linalg.norm(features(S, A, d, degenerate, seed), axis=-1).max() <= 1 + 1e-12


@pytest.mark.parametrize("style", MODEL_STYLES)
def test_equal_arguments_give_equal_instances(style):
    one, other = episodic(2, 3, 2, style, 7), episodic(2, 3, 2, style, 7)
    assert np.array_equal(one.transition, other.transition)
    assert np.array_equal(discounted(3, 2, 0.9, style, 1).reward, discounted(3, 2, 0.9, style, 1).reward)


def test_policies_of_different_names_differ():
    mdp = episodic(2, 3, 2, "smooth", 0)
    one, other = (policies(name)(mdp) for name in ("pi", "comparator"))
    drawn = []
    settings(derandomize=True, max_examples=1, database=None)(given(one, other)(lambda a, b: drawn.append((a.value, b.value))))()
    assert not np.array_equal(*drawn[0])


def test_tables_lie_in_their_interval_and_reach_its_ends():
    values = state_table(episodic(5, 4, 1, "smooth", 0), -2.0, 3.0, 1)
    assert values.min() == -2.0
    assert values.max() == 3.0
    assert simplex_point(4, "uniform", 0).tolist() == [0.25] * 4
