from . import algorithms, ambiguity, delays, experiments, instances, losses, models, planning, plotting, submodular
from .models import (
    AdversarialMDP,
    DiscountedMDP,
    FiniteHorizonMDP,
    LinearMDP,
    RobustLinearMDP,
    RobustMDP,
    SubmodularMDP,
    from_functions,
    load,
    save,
)

__version__: str

__all__ = [
    "AdversarialMDP",
    "DiscountedMDP",
    "FiniteHorizonMDP",
    "LinearMDP",
    "RobustLinearMDP",
    "RobustMDP",
    "SubmodularMDP",
    "algorithms",
    "ambiguity",
    "delays",
    "experiments",
    "from_functions",
    "instances",
    "load",
    "losses",
    "models",
    "planning",
    "plotting",
    "save",
    "submodular",
]
