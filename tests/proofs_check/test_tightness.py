"""The search for tight instances finds known constants, stays inside of the assumptions, and refutes what is false."""

import numpy as np
import pytest

from proofs_check.registry import Claim, find_claims
from proofs_check.strategies import finite_horizon_mdps, policies, simplex_points, vectors
from proofs_check.tightness import tighten
from proofs_check.verdicts import identity, inequality


def build(sides, given, kind=inequality):
    return Claim("test.tight", sides, kind, "here", "derived", given, {"off": 1})


def test_dilation_loses_exactly_its_worst_factor():
    """Over horizons up to 5 the constant e is missed by (1 + 1/5)^5 / e, with all of the bonus in the last step."""
    found = tighten(find_claims(["bonus.at-most-e"])[0])
    assert found.ratio == pytest.approx(1.2**5 / np.e, rel=1e-4)
    assert found.ratio > found.drawn


def test_smoothness_constant_of_two_arms():
    """The sharp constant of the softmax objective is 1 / (3 sqrt 3) of the span; the claim says 1/2."""
    found = tighten(find_claims(["softmax.smoothness-sharp"])[0])
    assert found.ratio == pytest.approx(2 / (3 * np.sqrt(3)), rel=1e-3)


def test_local_search_refutes_what_draws_did_not():
    seen = []

    def sides(p, f, off=0):
        seen.append((p, f))
        return p @ f, 1 - 1e-7  # false, but only at a corner that smooth draws never reach

    claim = build(sides, (simplex_points().filter(lambda part: "'smooth'" in part.code), vectors()))
    found = tighten(claim, examples=50)
    assert found.violated
    assert all(abs(p.sum() - 1) < 1e-9 and p.min() >= 0 and f.min() >= 0 and f.max() <= 1 for p, f in seen)


def test_models_and_policies_stay_what_they_are():
    seen = []

    def sides(mdp, pi, off=0):
        seen.append((mdp, pi))
        return mdp.initial @ np.sum(pi * mdp.reward, axis=-1)[0], 2.0

    found = tighten(build(sides, (finite_horizon_mdps(), policies())), examples=50, steps=500)
    assert found.ratio == pytest.approx(0.5, abs=1e-3)
    for mdp, pi in seen:
        np.testing.assert_allclose(mdp.transition.sum(axis=-1), 1, atol=1e-9)
        np.testing.assert_allclose(pi.sum(axis=-1), 1, atol=1e-9)
        assert 0 <= mdp.reward.min() <= mdp.reward.max() <= 1


def test_code_of_the_tightest_instance_gives_its_ratio():
    found = tighten(find_claims(["mw.hoeffding"])[0], examples=50, steps=200)
    namespace: dict = {}
    setup, call = found.instance.rsplit("\n", 1)
    exec(setup, namespace)
    assert inequality(*eval(call, namespace)).ratio == pytest.approx(found.ratio, rel=1e-12)


def test_same_search_every_time():
    claim = find_claims(["mw.hoeffding"])[0]
    assert tighten(claim, examples=30, steps=100) == tighten(claim, examples=30, steps=100)


def test_only_inequalities_have_a_ratio():
    with pytest.raises(ValueError, match="of the kind identity"):
        tighten(build(lambda p, off=0: (p, p), (simplex_points(),), identity))
