"""One file per algorithm; the update reads like the paper's pseudo-code."""

from tabular_rl.algorithms.dapo import DAPO
from tabular_rl.algorithms.dilated_bonus_po import DilatedBonusPO
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.algorithms.ucbvi import UCBVI
from tabular_rl.algorithms.uniform import Uniform

__all__ = ["DAPO", "UCBVI", "DilatedBonusPO", "Trace", "Uniform", "checkpoints"]
