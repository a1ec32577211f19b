"""What a problem is: frozen, validated dataclasses over plain arrays, and their conversions."""

from tabular_rl.models.adversarial import AdversarialMDP
from tabular_rl.models.arrays import from_arrays, from_quantecon, to_arrays, to_quantecon
from tabular_rl.models.csv import read_csv, write_csv
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.files import load, save
from tabular_rl.models.finite_horizon import FiniteHorizonMDP
from tabular_rl.models.functions import from_functions
from tabular_rl.models.gymnasium import from_gymnasium, to_gymnasium
from tabular_rl.models.linear import LinearMDP
from tabular_rl.models.robust import RobustMDP
from tabular_rl.models.robust_linear import RobustLinearMDP
from tabular_rl.models.submodular import SubmodularMDP

__all__ = [
    "AdversarialMDP",
    "DiscountedMDP",
    "FiniteHorizonMDP",
    "LinearMDP",
    "RobustLinearMDP",
    "RobustMDP",
    "SubmodularMDP",
    "from_arrays",
    "from_functions",
    "from_gymnasium",
    "from_quantecon",
    "load",
    "read_csv",
    "save",
    "to_arrays",
    "to_gymnasium",
    "to_quantecon",
    "write_csv",
]
