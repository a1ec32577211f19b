"""One file per algorithm; the update reads like the paper's pseudo-code."""

from tabular_rl.algorithms.adversarial.best_of_both_worlds import BestOfBothWorlds
from tabular_rl.algorithms.adversarial.dilated_bonus_po import DilatedBonusPO
from tabular_rl.algorithms.adversarial.occupancy_ftrl import OccupancyFTRL
from tabular_rl.algorithms.adversarial.tsallis_inf import TsallisINF
from tabular_rl.algorithms.adversarial.uniform import Uniform
from tabular_rl.algorithms.delayed.dapo import DAPO
from tabular_rl.algorithms.delayed.dapo_linear import LinearDAPO
from tabular_rl.algorithms.delayed.hedge import DelayedHedge
from tabular_rl.algorithms.delayed.oppo import DelayedOPPO
from tabular_rl.algorithms.delayed.oreps import DelayedOREPS
from tabular_rl.algorithms.delayed.uob import DelayedUOB
from tabular_rl.algorithms.exploration.function_classes import FiniteClass, LinearClass, TabularClass
from tabular_rl.algorithms.exploration.lpo import LPO, LPOTrace
from tabular_rl.algorithms.exploration.lpo_certificate import PathwiseCertificate, pathwise_certificate
from tabular_rl.algorithms.exploration.ravi_ucb import RAVIUCB
from tabular_rl.algorithms.exploration.sensitivity_sampler import SensitivitySampler, sampling_constant
from tabular_rl.algorithms.exploration.value_learning import QLearning, UCBVIDiscounted
from tabular_rl.algorithms.optimistic.ucbvi import UCBVI
from tabular_rl.algorithms.robust.alternation import BestResponses, GradientDescentAscent
from tabular_rl.algorithms.robust.contamination_gradient import ContaminationGradient
from tabular_rl.algorithms.robust.drpg import DRPG, convergence_bound
from tabular_rl.algorithms.robust.iwocs import IWOCS
from tabular_rl.algorithms.robust.robust_mirror_descent import RobustMirrorDescent
from tabular_rl.algorithms.robust_linear.baselines import DRLSVIUCB, LSVIUCB, LinearOPPO
from tabular_rl.algorithms.robust_linear.dr_rpo import DRRPO
from tabular_rl.algorithms.submodular.baselines import HistoryGreedy, RandomWalk
from tabular_rl.algorithms.submodular.subpo import SubPO
from tabular_rl.algorithms.trace import Trace, checkpoints

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
