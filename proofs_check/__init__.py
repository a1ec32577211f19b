"""The papers' proofs, executed: every lemma is a claim over concrete arrays, with a broken twin that must be refuted."""

from proofs_check.registry import Claim, claim
from proofs_check.verdicts import identity, inequality

__all__ = ["Claim", "claim", "identity", "inequality"]
