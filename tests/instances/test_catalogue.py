"""The catalogue is complete, every problem in it builds as it says, and errors name what is wrong."""

import inspect
import subprocess
import sys
from operator import attrgetter

import numpy as np
import pytest

from tabular_rl import instances
from tabular_rl.instances import chains, exploration, generated, gymnasium, robust, small, worlds
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustLinearMDP, RobustMDP, SubmodularMDP
from tabular_rl.planning import solve

ENTRIES = {entry.name: entry for entry in instances.catalogue()}
NOT_SOLVABLE = ("inventory_param", "nonrect_two_kernels", "twin_pennies")  # by robust dynamic programming
each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


def test_every_public_function_that_builds_a_problem_is_in_the_catalogue():
    builders = {
        name
        for module in (chains, exploration, generated, gymnasium, robust, small, worlds)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    others = {"draw_garnet", "random_linear_features", "linear_mdp"}  # draws, and a model of another kind
    others |= {"garnet_policy", "pennies_values", "chain_robust_values", "twin_pennies_kernel"}  # what belongs to robust problems
    assert builders - others == {name for name in ENTRIES if "." not in name}
    assert builders - others < set(instances.__all__)


def test_the_shelves_are_in_the_catalogue_too():
    for kind, shelf in ((SubmodularMDP, instances.submodular), (RobustLinearMDP, instances.robust_linear)):
        entries = instances.catalogue(kind)
        assert len(entries) >= 6
        assert all(entry.function is getattr(shelf, entry.short_name) for entry in entries)
        assert all(entry.name == f"{shelf.__name__.rpartition('.')[2]}.{entry.short_name}" for entry in entries)
    assert {entry.builds for entry in instances.catalogue()} == {FiniteHorizonMDP, DiscountedMDP, RobustMDP, SubmodularMDP, RobustLinearMDP}


def test_a_name_on_two_shelves_is_the_one_that_is_meant():
    assert isinstance(instances.make("river_swim", n=4), DiscountedMDP)
    assert isinstance(instances.make("robust_linear.river_swim", n=4), RobustLinearMDP)
    assert isinstance(instances.make("river_swim", RobustLinearMDP, n=4), RobustLinearMDP)
    assert isinstance(instances.make("gap"), SubmodularMDP)
    assert instances.submodular.make("bandit", A=2).shape == (3, 7, 2)
    with pytest.raises(ValueError, match=r"^chain builds a DiscountedMDP; those that build a SubmodularMDP are bait, bandit, "):
        instances.submodular.make("chain")
    with pytest.raises(TypeError, match=r"^river_swim has no parameter 'A'; it has radius, n, "):
        instances.make("robust_linear.river_swim", A=3)


@each
def test_an_entry_describes_what_its_defaults_build(entry):
    mdp = instances.make(entry.name)
    assert type(mdp) is entry.builds
    assert entry.robust == (entry.kind == "robust") == isinstance(mdp, RobustMDP)
    assert mdp.shape == entry.shape
    assert getattr(mdp, "discount", None) == entry.discount
    if entry.name not in NOT_SOLVABLE and entry.builds in (DiscountedMDP, FiniteHorizonMDP, RobustMDP):
        assert np.isfinite(solve(mdp).values).all()
    assert entry.description.endswith(".")
    assert entry.source
    assert attrgetter(entry.name)(instances) is entry.function


@each
def test_every_parameter_has_a_default_and_can_be_given(entry):
    assert inspect.Parameter.empty not in entry.parameters.values()
    assert instances.make(entry.name, **entry.parameters).shape == entry.shape


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if {"horizon", "discount"} <= set(entry.parameters)])
def test_horizon_or_discount_but_not_both(name):
    episodic = instances.make(name, horizon=3) if name != "large_garnet" else instances.make(name, S=20, horizon=3)
    assert isinstance(episodic, FiniteHorizonMDP)
    assert episodic.horizon == 3
    with pytest.raises(ValueError, match=r"horizon=3 and discount=0.5"):
        instances.make(name, horizon=3, discount=0.5)
    with pytest.raises(ValueError, match=r"^horizon must be at least 1"):
        instances.make(name, **({"S": 20} if name == "large_garnet" else {}), horizon=0)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if "discount" in entry.parameters])
def test_the_discount_is_checked(name):
    with pytest.raises(ValueError, match=r"^discount must lie in \(0, 1\)"):
        instances.make(name, discount=1.0)


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(ValueError, match=r"no instance 'riverswim'; the nearest are river_swim"):
        instances.make("riverswim")
    with pytest.raises(ValueError, match=r"no instance 'qqq'; there are bandit, chain, .*two_path"):
        instances.make("qqq")


def test_an_unknown_parameter_gets_the_known_ones():
    with pytest.raises(TypeError, match=r"deep_sea has no parameter 'size', 'color'; it has N, seed, horizon, discount"):
        instances.make("deep_sea", size=3, color=1)


WRONG = [
    ("bandit", {"means": 0}, ValueError, "means"),
    ("bandit", {"means": [[1.0]]}, ValueError, "means"),
    ("chain", {"n": 1}, ValueError, "n must be at least 2"),
    ("chain", {"reset_reward": "x"}, TypeError, "reset_reward"),
    ("cliff_walking", {"is_slippery": 1}, TypeError, "is_slippery"),
    ("combination_lock", {"depth": 0}, ValueError, "depth"),
    ("combination_lock", {"A": 1}, ValueError, "A must"),
    ("combination_lock", {"seed": -1}, ValueError, "seed"),
    ("deep_sea", {"N": 1}, ValueError, "N must be at least 2"),
    ("deep_sea", {"N": 4.0}, TypeError, "N must be an integer"),
    ("deep_sea", {"seed": None}, TypeError, "seed"),
    ("delay_instance", {"H": 0}, ValueError, "H must"),
    ("delay_instance", {"loss_seed": -1}, ValueError, "loss_seed"),
    ("frozen_lake", {"map_name": "5x5"}, ValueError, "map_name"),
    ("frozen_lake", {"is_slippery": None}, TypeError, "is_slippery"),
    ("gap_instance", {"gap": 0.9}, ValueError, "gap must fit losses"),
    ("gap_instance", {"gap": -0.1}, ValueError, "gap"),
    ("gap_instance", {"H": True}, TypeError, "H must"),
    ("garnet", {"branching": 6}, ValueError, "branching must be at most S=5"),
    ("garnet", {"branching": 0}, ValueError, "branching"),
    ("garnet", {"seed": 0.5}, TypeError, "seed"),
    ("gridworld", {"n": 1}, ValueError, "n must"),
    ("gridworld", {"slip": 0.5, "stay": 0.1}, ValueError, "slip and stay"),
    ("gridworld", {"slip": -0.1}, ValueError, "slip"),
    ("gridworld", {"stay": 1.1}, ValueError, "stay"),
    ("gridworld", {"goals": "none"}, ValueError, "goals must be one of 'corner', 'scattered'"),
    ("gridworld", {"goals": "scattered", "seed": -1}, ValueError, "seed"),
    ("ladder", {"n": 0}, ValueError, "n must"),
    ("large_garnet", {"S": 20, "branching": 19}, ValueError, "branching must be S=20 or well below"),
    ("large_garnet", {"S": 0}, ValueError, "S must"),
    ("line", {"S": 16}, ValueError, "S must be at least 17"),
    ("line", {"half_width": -1}, ValueError, "half_width"),
    ("mountain_car", {"nx": 1}, ValueError, "nx"),
    ("mountain_car", {"nv": 1}, ValueError, "nv"),
    ("mountain_car", {"repeat": 0}, ValueError, "repeat"),
    ("random_discounted", {"concentration": 0}, ValueError, "concentration"),
    ("random_episodic", {"A": 0}, ValueError, "A must"),
    ("random_losses", {"S": "3"}, TypeError, "S must"),
    ("river_swim", {"n": 1}, ValueError, "n must"),
    ("river_swim", {"A": 1}, ValueError, "A must"),
    ("river_swim", {"middle": (0.1, 0.2, 0.3)}, ValueError, "middle sums to"),
    ("river_swim", {"n": 2, "middle": (0.5, 0.5)}, ValueError, "middle must have shape"),
    ("river_swim", {"first_forward": 1.5}, ValueError, "first_forward"),
    ("river_swim", {"last_stay": -0.5}, ValueError, "last_stay"),
    ("river_swim", {"initial": 6}, ValueError, "initial"),
    ("river_swim", {"left_reward": np.nan}, ValueError, "left_reward"),
    ("taxi", {"is_rainy": "yes"}, TypeError, "is_rainy"),
    ("trap", {"bait": np.inf}, ValueError, "bait"),
    ("two_path", {"difference": 1.2}, ValueError, "difference"),
]


@pytest.mark.parametrize(("name", "parameters", "error", "message"), WRONG)
def test_a_wrong_argument_is_named(name, parameters, error, message):
    with pytest.raises(error, match=f"^{message}"):
        instances.make(name, **parameters)


def test_loss_tables_check_their_arguments():
    with pytest.raises(ValueError, match=r"^gap must lie"):
        instances.loss_tables.square(2, 2, 2, 1.5)
    with pytest.raises(ValueError, match=r"^A must be at least 2"):
        instances.loss_tables.square(2, 2, 1)
    with pytest.raises(ValueError, match=r"^episodes"):
        instances.loss_tables.spread(2, 2, 2, 0)
    with pytest.raises(TypeError, match=r"^S must be an integer"):
        instances.loss_tables.uniform(2, 2.0, 2)


def test_importing_the_instances_loads_nothing_heavy():
    code = "import sys, tabular_rl.instances; print([m for m in ('gymnasium', 'pandas', 'numba', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_models_from_elsewhere_are_on_the_same_shelf():
    for name in ("from_gymnasium", "to_gymnasium", "read_csv", "write_csv"):
        assert callable(getattr(instances, name))
