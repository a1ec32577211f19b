"""One file per algorithm; the update reads like the paper's pseudo-code."""

from tabular_rl.algorithms.alternation import BestResponses, GradientDescentAscent
from tabular_rl.algorithms.best_of_both_worlds import BestOfBothWorlds
from tabular_rl.algorithms.contamination_gradient import ContaminationGradient
from tabular_rl.algorithms.dapo import DAPO
from tabular_rl.algorithms.dapo_linear import LinearDAPO
from tabular_rl.algorithms.delayed_hedge import DelayedHedge
from tabular_rl.algorithms.delayed_oppo import DelayedOPPO
from tabular_rl.algorithms.delayed_oreps import DelayedOREPS
from tabular_rl.algorithms.delayed_uob import DelayedUOB
from tabular_rl.algorithms.dilated_bonus_po import DilatedBonusPO
from tabular_rl.algorithms.dr_rpo import DRRPO
from tabular_rl.algorithms.dr_rpo_baselines import DRLSVIUCB, LSVIUCB, LinearOPPO
from tabular_rl.algorithms.drpg import DRPG, convergence_bound
from tabular_rl.algorithms.function_classes import FiniteClass, LinearClass, TabularClass
from tabular_rl.algorithms.iwocs import IWOCS
from tabular_rl.algorithms.lpo import LPO, LPOTrace
from tabular_rl.algorithms.lpo_certificate import PathwiseCertificate, pathwise_certificate
from tabular_rl.algorithms.occupancy_ftrl import OccupancyFTRL
from tabular_rl.algorithms.ravi_ucb import RAVIUCB
from tabular_rl.algorithms.robust_mirror_descent import RobustMirrorDescent
from tabular_rl.algorithms.sensitivity_sampler import SensitivitySampler, sampling_constant
from tabular_rl.algorithms.subpo import SubPO
from tabular_rl.algorithms.subpo_baselines import HistoryGreedy, RandomWalk
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.algorithms.tsallis_inf import TsallisINF
from tabular_rl.algorithms.ucbvi import UCBVI
from tabular_rl.algorithms.uniform import Uniform
from tabular_rl.algorithms.value_learning import QLearning, UCBVIDiscounted

__all__ = [
    "DAPO",
    "DRPG",
    "IWOCS",
    "DRLSVIUCB",
    "DRRPO",
    "LPO",
    "LSVIUCB",
    "LinearOPPO",
    "RAVIUCB",
    "UCBVI",
    "BestOfBothWorlds",
    "BestResponses",
    "ContaminationGradient",
    "DelayedHedge",
    "DelayedOPPO",
    "DelayedOREPS",
    "DelayedUOB",
    "DilatedBonusPO",
    "FiniteClass",
    "GradientDescentAscent",
    "HistoryGreedy",
    "LPOTrace",
    "LinearClass",
    "LinearDAPO",
    "OccupancyFTRL",
    "PathwiseCertificate",
    "QLearning",
    "RandomWalk",
    "RobustMirrorDescent",
    "SensitivitySampler",
    "SubPO",
    "TabularClass",
    "Trace",
    "TsallisINF",
    "UCBVIDiscounted",
    "Uniform",
    "checkpoints",
    "convergence_bound",
    "pathwise_certificate",
    "sampling_constant",
]
