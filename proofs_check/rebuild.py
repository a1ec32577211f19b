"""The names that the code of printed instances uses: ``from proofs_check.rebuild import *`` stands at its top."""

import inspect

import numpy as np

from proofs_check.registry import all_claims, find_claims
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

# what the files of claims build for themselves
for _claim in all_claims().values():
    for _name, _function in inspect.getmembers(inspect.getmodule(_claim.sides), inspect.isfunction):
        if _function.__module__ == _claim.sides.__module__ and not _name.startswith("_"):
            globals()[_name] = _function
            __all__ += [_name] * (_name not in __all__)
