"""Named problems with their exact numbers, a catalogue of them, and measures of how hard they are.

``catalogue()`` lists the problems, ``make(name, ...)`` builds one by name, ``hardness(mdp)`` measures any model.
"""

from tabular_rl.instances import loss_tables, submodular
from tabular_rl.instances.chains import chain, ladder, line, river_swim
from tabular_rl.instances.exploration import combination_lock, deep_sea
from tabular_rl.instances.generated import (
    GarnetDraws,
    delay_instance,
    draw_garnet,
    gap_instance,
    garnet,
    large_garnet,
    linear_mdp,
    random_discounted,
    random_episodic,
    random_losses,
)
from tabular_rl.instances.gymnasium import cliff_walking, frozen_lake, frozen_lake_8x8, taxi
from tabular_rl.instances.measures import Hardness, gaps, hardness, minimal_gap, value_span, visitation_ratio
from tabular_rl.instances.registry import Entry, catalogue, make
from tabular_rl.instances.small import bandit, trap, two_path
from tabular_rl.instances.travel import diameter, mixing_time, reachable
from tabular_rl.instances.worlds import gridworld, mountain_car
from tabular_rl.models import from_gymnasium, read_csv, to_gymnasium, write_csv

__all__ = [
    "Entry",
    "GarnetDraws",
    "Hardness",
    "bandit",
    "catalogue",
    "chain",
    "cliff_walking",
    "combination_lock",
    "deep_sea",
    "delay_instance",
    "diameter",
    "draw_garnet",
    "from_gymnasium",
    "frozen_lake",
    "frozen_lake_8x8",
    "gap_instance",
    "gaps",
    "garnet",
    "gridworld",
    "hardness",
    "ladder",
    "large_garnet",
    "line",
    "linear_mdp",
    "loss_tables",
    "make",
    "minimal_gap",
    "mixing_time",
    "mountain_car",
    "random_discounted",
    "random_episodic",
    "random_losses",
    "reachable",
    "read_csv",
    "river_swim",
    "submodular",
    "taxi",
    "to_gymnasium",
    "trap",
    "two_path",
    "value_span",
    "visitation_ratio",
    "write_csv",
]
