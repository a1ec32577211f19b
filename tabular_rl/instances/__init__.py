"""Named problems with their exact numbers, a catalogue of them, and measures of how hard they are.

``catalogue()`` lists the problems, those on the shelves ``submodular`` and ``robust_linear`` too, ``make(name, ...)`` builds one by name,
``hardness(mdp)`` measures any model.
"""

from tabular_rl.instances import loss_tables, robust_linear, submodular
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
    random_linear,
    random_linear_features,
    random_losses,
)
from tabular_rl.instances.gymnasium import cliff_walking, frozen_lake, frozen_lake_8x8, taxi
from tabular_rl.instances.measures import Hardness, gaps, hardness, minimal_gap, value_span, visitation_ratio
from tabular_rl.instances.registry import Entry, catalogue, find, make
from tabular_rl.instances.robust import (
    chain_robust,
    chain_robust_values,
    garnet_policy,
    garnet_robust,
    inventory,
    inventory_param,
    machine_replacement,
    nonrect_two_kernels,
    pennies,
    pennies_values,
    riverswim_robust,
    rmdp_benchmark,
    twin_pennies,
    twin_pennies_kernel,
)
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
    "chain_robust",
    "chain_robust_values",
    "cliff_walking",
    "combination_lock",
    "deep_sea",
    "delay_instance",
    "diameter",
    "find",
    "draw_garnet",
    "from_gymnasium",
    "frozen_lake",
    "frozen_lake_8x8",
    "gap_instance",
    "gaps",
    "garnet",
    "garnet_policy",
    "garnet_robust",
    "gridworld",
    "hardness",
    "inventory",
    "inventory_param",
    "ladder",
    "large_garnet",
    "line",
    "linear_mdp",
    "loss_tables",
    "machine_replacement",
    "make",
    "minimal_gap",
    "mixing_time",
    "mountain_car",
    "nonrect_two_kernels",
    "pennies",
    "pennies_values",
    "random_discounted",
    "random_linear",
    "random_linear_features",
    "random_episodic",
    "random_losses",
    "reachable",
    "read_csv",
    "river_swim",
    "riverswim_robust",
    "rmdp_benchmark",
    "robust_linear",
    "submodular",
    "taxi",
    "to_gymnasium",
    "trap",
    "twin_pennies",
    "twin_pennies_kernel",
    "two_path",
    "value_span",
    "visitation_ratio",
    "write_csv",
]
