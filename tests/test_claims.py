"""Every claim holds, and its negative control is refuted."""

import pytest

from proofs_check.engine import verify
from proofs_check.registry import find_claims


@pytest.mark.parametrize("claim", find_claims(), ids=lambda claim: claim.id)
def test_claim(claim):
    verdict = verify(claim)
    assert verdict.ok, verdict.reason
