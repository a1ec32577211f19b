"""The papers' proofs, executed: every lemma is a claim over concrete arrays, with a broken twin that must be refuted."""

from proofs_check.registry import Claim, Theorem, claim, theorem
from proofs_check.verdicts import Expectation, HighProbability, Rate, Sides, identity, inequality

__all__ = ["Claim", "Expectation", "HighProbability", "Rate", "Sides", "Theorem", "claim", "identity", "inequality", "theorem"]
