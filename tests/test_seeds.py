"""Seeds: what NumPy takes is taken everywhere; what it refuses is refused by the name of the argument, before anything runs."""

import inspect

import numpy as np
import pytest

from tabular_rl import algorithms, delays, instances, losses, planning
from tabular_rl.instances import loss_tables, robust, robust_linear, submodular

MDP = instances.random_losses(2, 3, 2, seed=1)
SWIM = instances.river_swim(4, discount=0.8)
GRID = submodular.tiny(2, 3, 3, 0.3, "2x2", seed=1)
WRONG = [-1, np.int64(-3), [1, -1], 1.5, "one", object(), {1: 2}]
PLAYED = {"DilatedBonusPO": MDP, "DAPO": MDP, "TsallisINF": instances.bandit([0.2, 0.5]), "RandomWalk": GRID, "RAVIUCB": SWIM}


@pytest.mark.parametrize("name", PLAYED)
def test_what_numpy_takes_is_taken(name):
    learner = getattr(algorithms, name)()
    seeds = [7, np.int64(7), True, [7, 3], (7, 3), None, np.random.SeedSequence(7)]
    for seed in [*seeds, np.random.default_rng(7), np.random.PCG64(7)][: None if name != "RandomWalk" else len(seeds)]:
        assert learner.run(PLAYED[name], 3, seed=seed).index[-1] == 3
    one, two = (learner.run(PLAYED[name], 20, seed=seed) for seed in (7, np.random.SeedSequence(7)))
    np.testing.assert_array_equal(one.policy, two.policy)


SHELVES = (instances, robust, robust_linear, submodular, loss_tables, losses, delays, planning)
ARGUMENTS = {
    "draw_garnet": {"S": 3, "A": 2, "branching": 2},
    "linear": {"features": instances.linear_mdp(S=4, A=2).features, "H": 3, "episodes": 2},
    "spread": {"H": 2, "S": 2, "A": 2, "episodes": 2},
    "block": {"mdp": MDP, "length": 2},
    "geometric": {"mean": 2.0},
    "pareto": {"mean": 2.0},
    "missing": {"probability": 0.1},
    "sample_episodes": {"mdp": MDP, "policy": np.full(MDP.shape, 0.5), "n": 2},
    "sample_trajectories": {"problem": GRID, "policy": "greedy", "n": 2},
    "online_bound": {"mdp": GRID},
    "submodular_upper_bound": {"mdp": GRID},
    "replan": {"mdp": submodular.cov30(slip=0.1, horizon=2)},
    "gridworld": {"goals": "scattered", "horizon": 3},
    "random_objective": {"kind": "coverage", "n": 3},
}


def drawn():
    """(function, arguments, name of its seed) of everything public that draws."""
    for shelf in SHELVES:
        for name in getattr(shelf, "__all__", dir(shelf)):
            function = getattr(shelf, name)
            if not callable(function) or name.startswith("_") or (inspect.isclass(function) and function is not delays.Delays):
                continue
            for parameter in inspect.signature(function).parameters:
                if parameter in ("seed", "loss_seed", "rng"):
                    yield pytest.param(function, name, parameter, id=f"{shelf.__name__}.{name}.{parameter}")


@pytest.mark.parametrize(("function", "name", "parameter"), list(drawn()))
def test_everything_that_draws_names_a_wrong_seed(function, name, parameter):
    given = ARGUMENTS.get(name, {})
    if function is loss_tables.uniform:
        given = {"H": 2, "S": 2, "A": 2}
    elif function is delays.uniform:
        given = {"mean": 2}
    for seed in (-1, "one", 1.5):
        with pytest.raises((ValueError, TypeError), match=f"^{parameter} must be (at least 0|an integer)"):
            function(**given, **{parameter: seed})
