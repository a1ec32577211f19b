"""Submodular problems: grids to be covered, monitored or searched. Small constructions are in ``submodular_small``, and on this shelf too.

Grids: the cell (row r, column c) of R x C is state r * C + c; actions stay, right, down, left, up; a move off the grid, or into a wall,
stays. A 2x2 sensor sees the cell itself and its neighbors to the right, below, and right below, as far as they exist. ``slip`` is the
probability that a uniform action is executed instead. Source of all grids: Prajapat, Mutny, Zeilinger, Krause (2024) and the code they
published (MIT license; its data are shipped); subpo spec, section 9.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np

from tabular_rl.instances import registry
from tabular_rl.instances.registry import instance
from tabular_rl.instances.submodular_small import (
    bait,
    bandit,
    bandit_objective,
    counter,
    gap,
    permutation,
    random_objective,
    random_problem,
    tiny,
)
from tabular_rl.instances.submodular_small import grid_sensor as grid_sensor
from tabular_rl.instances.submodular_small import grid_successors as grid_successors
from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.submodular import Coverage, Entropy, Truncated

__all__ = [
    "bait",
    "bandit",
    "bandit_objective",
    "bimodal30",
    "counter",
    "cov30",
    "entropy30",
    "gap",
    "gp30",
    "grid_points",
    "grid_sensor",
    "grid_successors",
    "make",
    "matern",
    "permutation",
    "random_objective",
    "random_problem",
    "steiner",
    "tiny",
    "two_room",
]

ACTIONS = ("stay", "right", "down", "left", "up")
LN2 = math.log(2)
START = 34  # of all the authors' grids
GROUP_SIZES, CAPS = (18, 14, 13, 16, 18, 14), (3, 2, 3, 4, 6, 3)


def make(name, /, **parameters):
    """The submodular problem called ``name``, built with ``parameters`` in place of its defaults: as ``instances.make``."""
    return registry.make(name, SubmodularMDP, **parameters)


@instance(shape=(39, 900, 5), builds=SubmodularMDP)
def gp30(k=1, data="shipped", slip=0.0, horizon=39):
    """30 x 30 cells with a smooth random density, seen through a 2x2 sensor: F is the mass of what was seen.

    ``data``: "shipped", the authors' environment ``k`` in 0..9, or "generated": a Gaussian process (``matern``) around 3, clipped at 0,
    from the Cholesky factor and one ``default_rng(k).standard_normal(900)``. Certificates: 326.19 for k=0, 289.21 for k=1.
    """
    if check.choice("data", data, ("shipped", "generated")) == "shipped":
        weights = _shipped("gp", k)
    else:
        normal = np.random.default_rng(check.integer("k", k, 0)).standard_normal(900)
        weights = np.maximum(3 + np.linalg.cholesky(matern() + 1e-6 * np.eye(900)) @ normal, 0)
    return _grid(30, 30, Coverage(weights, grid_sensor(30, 30, "2x2")), horizon, slip)


@instance(shape=(39, 900, 5), builds=SubmodularMDP)
def bimodal30(slip=0.0, horizon=39):
    """As ``gp30``, with the density 1 / (1 + exp(-x y)) on [-1, 1]^2: two rich corners."""
    x = np.linspace(-1, 1, 30)
    weights = 1 / (1 + np.exp(-np.outer(x, x)))
    return _grid(30, 30, Coverage(weights.ravel(), grid_sensor(30, 30, "2x2")), horizon, slip)


@instance(shape=(79, 900, 5), builds=SubmodularMDP)
def cov30(slip=0.0, horizon=79):
    """As ``gp30``, with density 1 and 79 steps: how many cells can be seen."""
    return _grid(30, 30, Coverage(np.ones(900), grid_sensor(30, 30, "2x2")), horizon, slip)


@instance(shape=(39, 98, 5), builds=SubmodularMDP)
def two_room(slip=0.0, horizon=39):
    """Two rooms of 7 x 4 cells and a corridor of 2 x 6 between them, start in the corridor; the optimum sees all 68 free cells.

    The 30 wall cells are states that nobody reaches and where nothing moves; the sensor does not see them.
    """
    column, row = np.arange(98) % 14, np.arange(98) // 14
    free = (column < 4) | (column >= 10) | ((row >= 2) & (row < 4))
    sensor = [[u for u in cells if free[u]] for cells in grid_sensor(7, 14, "2x2")]
    return _grid(7, 14, Coverage(free.astype(float), sensor), horizon, slip, free)


@instance(shape=(39, 105, 5), builds=SubmodularMDP)
def steiner(k=1, data="shipped", slip=0.0, horizon=39):
    """7 x 15 cells with six kinds of items, of which 3, 2, 3, 4, 6 and 3 are wanted: F is at most 21.

    ``data``: "shipped", the authors' environment ``k`` in 0..9, or "generated": ``default_rng(k).permutation(105)`` cut into groups of
    18, 14, 13, 16, 18 and 14 cells, in this order. The other 12 cells hold nothing.
    """
    if check.choice("data", data, ("shipped", "generated")) == "shipped":
        groups = _shipped("steiner", k).astype(np.int64)
    else:
        cells = np.random.default_rng(check.integer("k", k, 0)).permutation(105)
        groups = np.full(105, -1)
        groups[cells[: sum(GROUP_SIZES)]] = np.repeat(np.arange(len(GROUP_SIZES)), GROUP_SIZES)
    return _grid(7, 15, Truncated(groups, CAPS), horizon, slip)


@instance(shape=(39, 900, 5), builds=SubmodularMDP)
def entropy30(k=0, posterior=True, slip=0.0, horizon=39):
    """30 x 30 cells, F the entropy of noisy measurements of a Gaussian process (``matern``) along the way, repeats included.

    ``posterior``: after measurements with noise 1e-3 at the 5 points ``10 * default_rng(k).random((5, 2))``; else the prior. The
    authors' covariances, 3 MB each, are not shipped; this is their recipe.
    """
    kernel = matern()
    if check.flag("posterior", posterior):
        measured = 10 * np.random.default_rng(check.integer("k", k, 0)).random((5, 2))
        cross = matern(grid_points(30, 30), measured)
        kernel = kernel - cross @ np.linalg.solve(matern(measured, measured) + 1e-3 * np.eye(5), cross.T)
        kernel = (kernel + kernel.T) / 2
    return _grid(30, 30, Entropy(kernel), horizon, slip, repeats=True)


def grid_points(rows, columns):
    """[R * C, 2] coordinates (1 + r / 10, 1 + c / 10) of the cells."""
    return 1 + 0.1 * np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)


def matern(x=None, y=None, length_scale=1.0, variance=LN2):
    """[n, m] Matérn-5/2 covariance between points x [n, 2] and y [m, 2]; by default of the cells of the 30 x 30 grid."""
    x = grid_points(30, 30) if x is None else check.real_array("x", x, (None, 2))
    y = x if y is None else check.real_array("y", y, (None, 2))
    r = np.sqrt(5) * np.sqrt(np.sum((x[:, None] - y[None]) ** 2, axis=-1)) / length_scale
    return variance * (1 + r + r**2 / 3) * np.exp(-r)


def _grid(rows, columns, objective, horizon, slip, free=None, repeats=False):
    successors = grid_successors(rows, columns, free)
    return SubmodularMDP(successors, START, objective, horizon, slip=slip, repeats=repeats, actions=ACTIONS)


def _shipped(name, k):
    table = _data()[name]
    if check.integer("k", k, 0) >= len(table):
        raise ValueError(f"k must be below {len(table)} for the shipped data, got {k}")
    return table[k]


@cache
def _data():
    with np.load(Path(__file__).parent / "data" / "submodular" / "environments.npz", allow_pickle=False) as file:
        return dict(file)
