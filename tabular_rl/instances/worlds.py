"""Problems with a geometry: a grid of cells, and a car on a hill."""

import numpy as np

from tabular_rl.instances.building import build, dense_if_small, rows_to
from tabular_rl.instances.registry import instance
from tabular_rl.models import validation as check

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}  # each next to those it may slip to


@instance(shape=(25, 4), discount=0.99)
def gridworld(n=5, horizon=None, discount=None, slip=0.1, stay=0.05, goals="corner", seed=0):
    """An n x n grid: four moves that may slip to either side or fail; a wall keeps the walker in place.

    Parameters
    ----------
    n : int
        Side >= 2; the cell (row, column) is state row * n + column. Actions: up, right, down, left. Start in cell (0, 0).
    horizon, discount : int or float, optional
        One of them; without either the discount is 0.99.
    slip, stay : float
        Probability of each of the two sideways moves, and of not moving; 2 * slip + stay <= 1.
    goals : str
        "corner": reward 1 for every step in cell (n - 1, n - 1), else 0. "scattered": -U[0, 0.1] for each pair, and 1 more in one
        cell of a hundred (at least one), drawn from ``seed`` in this order.

    Source: the grid worlds of the benchmarks (after Sutton, Barto 2018, chapter 4).
    """
    n, S = check.integer("n", n, 2), n * n
    slip = check.number("slip", slip, at_least=0, at_most=0.5)
    stay = check.number("stay", stay, at_least=0, at_most=1)
    if (ahead := 1 - 2 * slip - stay) < -1e-15:
        raise ValueError(f"slip and stay must satisfy 2 * slip + stay <= 1, got slip={slip} and stay={stay}")
    row, column = np.divmod(np.arange(S), n)
    moved = [np.clip(row + i, 0, n - 1) * n + np.clip(column + j, 0, n - 1) for i, j in MOVES.values()]
    successors = np.stack([*moved, np.arange(S)], axis=1)  # [S, 5]: the four neighbors and the cell itself
    probabilities = np.zeros((4, 5))
    for a in range(4):
        probabilities[a, [a, (a + 1) % 4, (a - 1) % 4, 4]] = max(ahead, 0), slip, slip, stay
    shape = (S, 4, 5)
    transition = dense_if_small(rows_to(np.broadcast_to(successors[:, None], shape), np.broadcast_to(probabilities, shape)))
    reward = _goal_rewards(goals, S, seed)
    labels = {"states": list(zip(row.tolist(), column.tolist(), strict=True)), "actions": tuple(MOVES)}
    return build(transition, reward, horizon=horizon, discount=discount, default_discount=0.99, **labels)


def _goal_rewards(goals, S, seed):
    if check.choice("goals", goals, ("corner", "scattered")) == "corner":
        return np.tile(np.arange(S) == S - 1, (4, 1)).T
    rng = np.random.default_rng(check.integer("seed", seed, 0, None))
    reward = -0.1 * rng.random((S, 4))
    reward[rng.choice(S, max(1, S // 100), replace=False)] += 1.0
    return reward


@instance(shape=(122, 3), discount=0.95)
def mountain_car(nx=11, nv=11, repeat=8, horizon=None, discount=None):
    """A weak car that must swing up to the top of a hill, as a table: positions and velocities on a grid.

    Positions ``linspace(-1.2, 0.6, nx)``, velocities ``linspace(-0.07, 0.07, nv)``, state position * nv + velocity, and an absorbing
    goal at the end. Actions 0, 1, 2 push left, not at all, right, for ``repeat`` >= 1 micro-steps; passing 0.5 pays 1 and ends.
    Other landings are split over the four surrounding grid points with bilinear weights: a stochastic table, whose mean is the true
    landing. nx, nv >= 2, odd nv to have velocity 0 on the grid. Start at the grid point nearest to rest in the valley (-0.5, 0).
    Default discount 0.95.

    Source: Moore (1990), with the constants of Sutton, Barto (2018, example 10.1); the interpolation after Davies (1997).
    """
    nx, nv, repeat = check.integer("nx", nx, 2), check.integer("nv", nv, 2), check.integer("repeat", repeat, 1)
    positions, velocities = np.linspace(-1.2, 0.6, nx), np.linspace(-0.07, 0.07, nv)
    goal = nx * nv
    x, v, arrived = _drive(*np.meshgrid(positions, velocities, np.arange(3) - 1, indexing="ij"), repeat)
    (i, right), (j, up) = _bracket(x, positions), _bracket(v, velocities)
    corners = np.stack([(i + k) * nv + j + m for k in (0, 1) for m in (0, 1)], axis=-1)
    weights = np.stack([a * b for a in (1 - right, right) for b in (1 - up, up)], axis=-1)
    successors, probabilities, reward = np.full((goal + 1, 3, 4), goal), np.full((goal + 1, 3, 4), 0.25), np.zeros((goal + 1, 3))
    successors[:goal] = np.where(arrived[..., None], goal, corners).reshape(goal, 3, 4)
    probabilities[:goal] = np.where(arrived[..., None], 0.25, weights).reshape(goal, 3, 4)
    reward[:goal] = arrived.reshape(goal, 3)
    start = int(np.argmin(np.abs(positions + 0.5)) * nv + np.argmin(np.abs(velocities)))
    transition = dense_if_small(rows_to(successors, probabilities))
    states = [*((round(float(p), 6), round(float(w), 6)) for p in positions for w in velocities), "goal"]
    labels = {"states": states, "actions": ("push left", "coast", "push right")}
    return build(transition, reward, start, horizon=horizon, discount=discount, default_discount=0.95, **labels)


def _drive(x, v, push, repeat):
    """Position, velocity and whether the goal was passed after ``repeat`` micro-steps; arrays of one shape."""
    arrived = np.zeros(x.shape, bool)
    for _ in range(repeat):
        v = np.clip(v + 0.001 * push - 0.0025 * np.cos(3 * x), -0.07, 0.07)
        x = np.clip(x + v, -1.2, 0.6)
        v = np.where((x <= -1.2) & (v < 0), 0.0, v)
        arrived |= x >= 0.5
    return x, v, arrived


def _bracket(value, grid):
    """(index of the grid point below, weight in [0, 1] of the one above) of each value; the last interval holds the end of the grid."""
    place = (value - grid[0]) / (grid[1] - grid[0])
    below = np.clip(place.astype(int), 0, len(grid) - 2)
    return below, np.clip(place - below, 0, 1)
