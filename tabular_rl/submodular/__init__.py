"""Set functions over the elements that a trajectory collects: monotone submodular objectives, and two controls that are not.

Every objective F is normalized, F(nothing) = 0, and knows

    n_elements                     size of its ground set
    value(elements), gains(...)    F of a sequence and its marginal gains; a repeated element counts as one more copy of itself
    singles [n]                    F({e})
    table(types=None) [2^m]        F of every subset (bit j of the index: element j, a copy of ``types[j]``), m <= 20
    curvature()                    1 - min_e (F(V) - F(V without e)) / F({e})
    is_monotone, is_submodular     what is true of the family
    allows_copies                  whether several copies of one element are meaningful
    packed                         what the kernels read

``sensor`` says which items an element covers: a list of n lists of items, a boolean array [n, U], or a ``Sets``.
Source: subpo spec, section 2, after Prajapat, Mutny, Zeilinger, Krause (2024).
"""

from tabular_rl.submodular.base import Objective, Sets
from tabular_rl.submodular.objectives import Concave, Coverage, DDesign, Entropy, Facility, Mixture, Modular, Soft, Truncated
from tabular_rl.submodular.tables import CountSquared, Cut, Tabulated, check_table, curvature

__all__ = [
    "Concave",
    "CountSquared",
    "Coverage",
    "Cut",
    "DDesign",
    "Entropy",
    "Facility",
    "Mixture",
    "Modular",
    "Objective",
    "Sets",
    "Soft",
    "Tabulated",
    "Truncated",
    "check_table",
    "curvature",
]
