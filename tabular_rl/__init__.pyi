from . import algorithms, delays, experiments, instances, losses, models, planning
from .models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP, LinearMDP, from_functions, load, save

__version__: str

__all__ = [
    "AdversarialMDP",
    "DiscountedMDP",
    "FiniteHorizonMDP",
    "LinearMDP",
    "algorithms",
    "delays",
    "experiments",
    "from_functions",
    "instances",
    "load",
    "losses",
    "models",
    "planning",
    "save",
]
