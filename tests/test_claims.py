"""Every claim holds, its negative control is refuted, and its ratio has not fallen; a statistical control would be refuted again."""

import pytest

from proofs_check.engine import verify
from proofs_check.registry import find_claims


@pytest.mark.parametrize("claim", find_claims(), ids=lambda claim: claim.id)
def test_claim(claim):
    verdict = verify(claim)
    assert verdict.ok, verdict.reason
    if claim.kind.name == "high_probability":
        assert verdict.alternative_power >= 0.9
    if claim.kind.statistical and claim.control:
        assert verdict.power >= 0.99
        assert verdict.level <= 1e-6 or claim.kind.name == "rate"
