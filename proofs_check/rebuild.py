"""The names that the code of printed instances uses: ``from proofs_check.rebuild import *`` stands at its top."""

import numpy as np

from proofs_check.registry import find_claims
from proofs_check.strategies import (
    delays,
    discounted,
    episodic,
    features,
    policy,
    simplex_point,
    state_table,
    table,
    vector,
)
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP

__all__ = [
    "DiscountedMDP", "FiniteHorizonMDP", "delays", "discounted", "episodic", "features", "find_claims", "np", "policy", "simplex_point",
    "state_table", "table", "vector",
]  # fmt: skip
