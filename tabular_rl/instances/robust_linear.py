"""Linear MDPs with perturbed factors and a fail state.

Every function returns a RobustLinearMDP; a perturbed world is the same function's with its perturbation, ``.nominal`` of it.
Source: dr_rpo spec, section 6, with its numbers.
"""

import itertools

import numpy as np

from tabular_rl.instances.gymnasium import frozen_lake as frozen_lake_of_gymnasium
from tabular_rl.instances.registry import instance
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check


@instance(shape=(3, 5, 16), builds=RobustLinearMDP)
def off_dynamics(radius=0.3, delta=0.3, spread=0.1, m=4, leak=1e-3, q=None):
    """Five states, 2^m actions, horizon 3; only the factor that pays, at step 0, is uncertain.

    Source: structure of the experiments of Liu, Xu 2024. ``q``: target world whose first step falls from that factor with probability q.
    """
    A, radius = 2 ** check.integer("m", m, 1, 20), _share("radius", radius)
    delta, spread, leak = check.number("delta", delta), check.number("spread", spread), _share("leak", leak)
    g = delta + spread * np.array(list(itertools.product([-1, 1], repeat=m))).mean(1)
    features = np.zeros((5, A, 4))
    for j in range(3):
        features[j, :, j], features[j, :, 3] = 1 - g, g
    features[3, :, 2] = features[4, :, 3] = 1
    factors = np.zeros((3, 4, 5))
    factors[:, 0, 1], factors[:, 0, 3] = 1 - leak, leak
    factors[:, 1, 2], factors[:, 1, 3] = 1 - leak, leak
    factors[:, 2, 3] = factors[:, 3, 4] = 1
    if q is not None:
        q = check.number("q", q, at_least=0, at_most=1)
        factors[0, 0], factors[0, 3] = np.eye(5)[1], [0, 0, 0, q, 1 - q]
    reward = np.zeros((3, 5, A))
    reward[1:] = features[..., 3]
    radii = np.zeros((3, 4))
    radii[0, 3] = radius
    return RobustLinearMDP(features, factors, reward, 3, radii)


@instance(shape=(12, 6, 2), builds=RobustLinearMDP)
def river_swim(radius=0.05, n=5, horizon=12, left_reward=0.1, q=0.0, fail=0.0):
    """RiverSwim with a fail state; the adversary touches moves to the right.

    ``fail``: probability that a move right fails; ``q``: that it goes one step back.
    """
    n, left_reward, q, fail = check.integer("n", n, 2), _share("left_reward", left_reward), _share("q", q), _share("fail", fail)
    S, A = n + 1, 2
    moves = np.zeros((n, A, S))
    for s in range(n):
        back, up = max(s - 1, 0), min(s + 1, n - 1)
        moves[s, 0, back] = 1
        stay, forward, backward = (0.4, 0.6, 0.0) if s == 0 else (0.6, 0.0, 0.4) if s == n - 1 else (0.6, 0.35, 0.05)
        for t, p in ((s, stay), (up, forward), (back, backward)):
            moves[s, 1, t] += p
        moves[s, 1] *= 1 - q
        moves[s, 1, back] += q
        moves[s, 1] *= 1 - fail
        moves[s, 1, n] += fail
    reward = np.zeros((S, A))
    reward[0, 0], reward[n - 1, 1] = left_reward, 1
    return _tabular(moves, reward, horizon, np.arange(n * A) % 2 == 1, radius, 0)


@instance(shape=(10, 33, 2), builds=RobustLinearMDP)
def american_put(
    radius=0.1, horizon=10, p0=0.5, low=75, high=135, n_anchor=13, strike=100, starts=(95, 97.5, 100, 102.5, 105), up=1.02, down=0.98
):
    """An exactly linear American put: the price is rounded at random to an anchor, then moves up or down.

    Source: dr_rpo spec, section 6 (published with continuous prices and hat features, where it is only nearly linear). Rewards in units of
    ``strike - low``. ``p0``: probability of a move up, also the perturbation.
    """
    H, n_anchor, p0, radius = (
        check.integer("horizon", horizon, 1),
        check.integer("n_anchor", n_anchor, 2),
        _share("p0", p0),
        _share("radius", radius),
    )
    low, up, down = check.number("low", low), check.number("up", up, above=0), check.number("down", down, above=0)
    high, strike = check.number("high", high, above=low), check.number("strike", strike, above=low)
    starts = check.real_array("starts", starts, (None,))
    if len(starts) == 0 or starts.min() < low or starts.max() > high:
        raise ValueError(f"starts must be prices from low={low} to high={high}, got {check.describe(starts)}")
    anchors = np.linspace(low, high, n_anchor)
    moved = np.stack([np.clip(up * anchors, low, high), np.clip(down * anchors, low, high)], 1)
    prices = np.concatenate([starts, moved.ravel()])
    n = len(prices)
    S, d, leave, root = n + 2, n_anchor + 2, n_anchor, n_anchor + 1
    features, factors, reward = np.zeros((S, 2, d)), np.zeros((d, S)), np.zeros((S, 2))
    position = (prices - low) / (high - low) * (n_anchor - 1)
    below = np.minimum(position.astype(int), n_anchor - 2)
    features[np.arange(n), 0, below] = 1 - (position - below)
    features[np.arange(n), 0, below + 1] += position - below
    features[:n, 1, leave] = features[n + 1, :, leave] = features[n, :, root] = 1
    reward[:n, 1] = np.maximum(0, strike - prices) / (strike - low)
    for i in range(n_anchor):
        factors[i, len(starts) + 2 * i] += p0
        factors[i, len(starts) + 2 * i + 1] += 1 - p0
    factors[leave, n + 1], factors[root, : len(starts)] = 1, 1 / len(starts)
    radii = np.where(np.arange(d) < n_anchor, radius, 0.0)
    factors, reward, radii = (np.stack([x] * H) for x in (factors, reward, radii))
    return RobustLinearMDP(features, factors, reward, n + 1, radii, None, n)


@instance(shape=(12, 13, 4), builds=RobustLinearMDP)
def cliff(radius=0.2, horizon=12, slip=0.02, rows=3, columns=5, fail=0.0):
    """Walk along a cliff to a goal that pays at every step; the adversary touches moves that can fall. ``fail``: its perturbation."""
    rows, columns = check.integer("rows", rows, 2), check.integer("columns", columns, 3)
    text = ["F" * columns] * (rows - 1) + ["S" + "H" * (columns - 2) + "G"]
    slip, fail = _share("slip", slip), _share("fail", fail)
    moves, goal, start = _grid(text, slip / 2)
    moves[goal] = np.eye(moves.shape[-1])[goal]
    reward = np.zeros((len(moves) + 1, 4))
    reward[goal] = 1
    risky = moves[..., -1].ravel() > 0
    touched = risky.reshape(len(moves), 4)
    moves[touched] *= 1 - fail
    moves[touched, -1] += fail
    return _tabular(moves, reward, horizon, risky, radius, start)


@instance(shape=(20, 14, 4), builds=RobustLinearMDP)
def frozen_lake(radius=0.05, horizon=20, slip=0.1, adjacent=False):
    """FrozenLake by Gymnasium's own table, holes merged to the fail state; reward 1 on the step taken in the goal, then nothing.

    A move goes to either side with probability ``slip``, in [0, 1/2]; Gymnasium's ice is 1/3.
    ``adjacent``: only moves that can fall are uncertain. A uniform radius acts like a death rate: it makes paths shorter, not safer.
    """
    moves, goal, start = _lake(check.number("slip", slip, at_least=0, at_most=0.5))
    n = len(moves)
    wide = np.zeros((n + 1, 4, n + 2))  # one more state: done
    wide[:n, ..., :n], wide[:n, ..., -1] = moves[..., :n], moves[..., n]
    wide[goal] = wide[n] = np.eye(n + 2)[n]
    reward = np.zeros((n + 2, 4))
    reward[goal] = 1
    touched = wide[..., -1].ravel() > 0 if check.flag("adjacent", adjacent) else np.ones(4 * (n + 1), bool)
    return _tabular(wide, reward, horizon, touched, radius, start)


@instance(shape=(5, 8, 4), builds=RobustLinearMDP)
def random_linear(S=8, A=4, d=5, horizon=5, seed=0, radius=0.2):
    """Features and factors Dirichlet(0.5), rewards linear in the features, the last state fails."""
    S, A, d, horizon = check.integer("S", S, 2), check.integer("A", A, 1), check.integer("d", d, 2), check.integer("horizon", horizon, 1)
    rng = check.generator(seed)
    features = rng.dirichlet(np.full(d, 0.5), (S, A))
    factors = rng.dirichlet(np.full(S, 0.5), (horizon, d))
    theta = rng.random((horizon, d))
    features[-1] = np.eye(d)[-1]
    factors[:, -1] = np.eye(S)[-1]
    theta[:, -1] = 0
    reward = np.clip(np.einsum("sad,hd->hsa", features, theta), 0, 1)
    return RobustLinearMDP(features, factors, reward, S - 1, radius)


def _tabular(moves, reward, horizon, touched, radius, start):
    """One-hot model of ``moves`` [S-1, A, S], whose last state fails, with ``radius`` on the ``touched`` pairs."""
    H, radius = check.integer("horizon", horizon, 1), _share("radius", radius)
    n, A, S = moves.shape
    d = n * A + 1
    features = np.zeros((S, A, d))
    features[:n] = np.eye(d)[: d - 1].reshape(n, A, d)
    features[n, :, -1] = 1
    factors = np.concatenate([moves.reshape(-1, S), np.eye(S)[-1:]])
    radii = np.append(np.where(touched, radius, 0.0), 0.0)
    factors, reward, radii = (np.stack([x] * H) for x in (factors, reward, radii))
    return RobustLinearMDP(features, factors, reward, n, radii, None, start)


def _share(name, value):
    return check.number(name, value, at_least=0, at_most=1)


def _lake(slip):
    """The same as ``_grid``, by Gymnasium's table of sure moves."""
    lake = frozen_lake_of_gymnasium(horizon=1, is_slippery=False)
    sure, goal = lake.transition[0].argmax(axis=-1), int(lake.transition[0][lake.reward[0] > 0].argmax())
    absorbing = (sure == np.arange(len(sure))[:, None]).all(axis=1)
    cells = np.flatnonzero(~absorbing | (np.arange(len(sure)) == goal))
    number = np.full(len(sure), len(cells))
    number[cells] = np.arange(len(cells))
    sides = [np.eye(len(cells) + 1)[number[np.roll(sure[cells], turn, axis=1)]] for turn in (-1, 0, 1)]
    return slip * (sides[0] + sides[2]) + (1 - 2 * slip) * sides[1], number[goal], number[lake.initial.argmax()]


def _grid(text, slip):
    """(moves [n, 4, n + 1], goal, start): left, down, right, up; each side with probability ``slip``; holes are the last state."""
    cells = [(r, c) for r, line in enumerate(text) for c, kind in enumerate(line) if kind != "H"]
    number = {cell: i for i, cell in enumerate(cells)}
    n, steps = len(cells), [(0, -1), (1, 0), (0, 1), (-1, 0)]
    moves = np.zeros((n, 4, n + 1))
    for (r, c), i in number.items():
        for a, turn in itertools.product(range(4), (-1, 0, 1)):
            dr, dc = steps[(a + turn) % 4]
            inside = 0 <= r + dr < len(text) and 0 <= c + dc < len(text[0])
            moves[i, a, number.get((r + dr, c + dc), n) if inside else i] += slip if turn else 1 - 2 * slip
    place = {text[r][c]: i for (r, c), i in number.items()}
    return moves, place["G"], place["S"]
