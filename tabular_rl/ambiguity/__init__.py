"""Ambiguity sets: what the adversary of a robust MDP may choose instead of the nominal kernel.

A set is a frozen dataclass; it does not hold the nominal kernel. ``rows`` joins it with one and makes the arguments of the compiled
sweeps. ``rectangularity`` says how the adversary may choose: "sa", every row (s, a) on its own; "s", the rows of a state together; "none".

``support="nominal"`` (the default) keeps P[s, a, t] = 0 where the nominal kernel has it; ``support="full"`` lets mass move anywhere.
A full support unfolds a sparse nominal kernel to a dense one of S * S * A entries: more than 2^28 of them are a ValueError.
Sets without that field are nominal by nature (KL, ChiSquare, DensityRatio) or full by nature (Contamination, FiniteRows).

Source: Iyengar 2005; Nilim, El Ghaoui 2005; Wiesemann, Kuhn, Rustem 2013; drpg spec sections 1, 2, 12.
"""

from tabular_rl.ambiguity.compressed import flat, kernel, read_only, rows
from tabular_rl.ambiguity.parametric import Parametric
from tabular_rl.ambiguity.sets import (
    KL,
    L1,
    L2,
    AmbiguitySet,
    ChiSquare,
    Contamination,
    DensityRatio,
    Ellipsoid,
    FiniteKernels,
    FiniteRows,
    FiniteSRectangular,
    Interval,
    LInf,
    SRectangularKL,
    SRectangularL1,
    SRectangularL2,
    TotalVariation,
    Wasserstein,
    WeightedL1,
)

__all__ = [
    "AmbiguitySet",
    "L1",
    "TotalVariation",
    "WeightedL1",
    "LInf",
    "Interval",
    "DensityRatio",
    "L2",
    "KL",
    "ChiSquare",
    "Wasserstein",
    "Contamination",
    "Ellipsoid",
    "FiniteRows",
    "SRectangularL1",
    "SRectangularKL",
    "SRectangularL2",
    "FiniteSRectangular",
    "FiniteKernels",
    "Parametric",
    "flat",
    "kernel",
    "rows",
    "read_only",
]
