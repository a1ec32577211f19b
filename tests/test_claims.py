"""Every claim holds, and its negative control is refuted; a statistical one would be refuted again in 99 of 100 repetitions."""

import pytest

from proofs_check.engine import verify
from proofs_check.registry import find_claims


@pytest.mark.parametrize("claim", find_claims(), ids=lambda claim: claim.id)
def test_claim(claim):
    verdict = verify(claim)
    assert verdict.ok, verdict.reason
    if claim.kind.statistical and claim.control:
        assert verdict.power >= 0.99
        assert verdict.level <= 1e-6 or claim.kind.name == "rate"
