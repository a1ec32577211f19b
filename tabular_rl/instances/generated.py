"""Problems drawn at random from a seed. The order of the draws is part of each definition: equal seeds give equal numbers."""

from typing import NamedTuple

import numpy as np

from tabular_rl.instances import loss_tables
from tabular_rl.instances.building import build, rows_to
from tabular_rl.instances.registry import instance
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, LinearMDP
from tabular_rl.models import validation as check


@instance(shape=(4, 3), discount=0.9)
def random_discounted(S=4, A=3, discount=0.9, seed=0, concentration=0.5):
    """Dirichlet transitions, uniform rewards, Dirichlet(1) start.

    ``concentration`` > 0 of each entry of a transition row: small values give nearly deterministic moves. Rewards in [0, 1].
    Draws: transition, reward, start.

    Source: the RandDisc of the proof checks.
    """
    S, A, rng, alpha = _sizes(S, A, seed, concentration)
    transition, reward, initial = rng.dirichlet(alpha, (S, A)), rng.random((S, A)), rng.dirichlet(np.ones(S))
    return DiscountedMDP(transition, reward, discount, initial)


@instance(shape=(20, 4), discount=0.9)
def random_linear(S=20, A=4, d=5, discount=0.9, seed=0, concentration=0.3):
    """Transitions and rewards that are linear in ``random_linear_features``: P = phi mu, r = phi theta.

    Dirichlet(``concentration``) features and factors, theta U[0, 1]; start in state 0. Draws: features, factors, theta.

    Source: the linear experiments of the low-switching policy gradient.
    """
    features = random_linear_features(S, A, d, seed, concentration)
    S, A, rng, alpha = _sizes(S, A, seed, concentration)
    rng.dirichlet(np.full(d, concentration), (S, A))
    factors, theta = rng.dirichlet(alpha, d), rng.random(d)
    return DiscountedMDP(features @ factors, features @ theta, discount)


def random_linear_features(S=20, A=4, d=5, seed=0, concentration=0.3):
    """The feature map [S, A, d] of ``random_linear``, rows in the simplex."""
    d = check.integer("d", d, 1)
    S, A, rng, _ = _sizes(S, A, seed, concentration)
    return rng.dirichlet(np.full(d, concentration), (S, A))


@instance(shape=(3, 4, 3))
def random_episodic(H=3, S=4, A=3, seed=0, concentration=1.0):
    """Dirichlet transitions and uniform rewards of every step, Dirichlet(1) start.

    ``concentration`` > 0 of each entry of a transition row. Rewards in [0, 1]. Draws: transition, reward, start.

    Source: the RandFin of the proof checks.
    """
    H = check.integer("H", H, 1)
    S, A, rng, alpha = _sizes(S, A, seed, concentration)
    transition, reward, initial = rng.dirichlet(alpha, (H, S, A)), rng.random((H, S, A)), rng.dirichlet(np.ones(S))
    return FiniteHorizonMDP(transition, reward, initial)


@instance(shape=(3, 3, 2))
def random_losses(H=3, S=3, A=2, seed=0):
    """Uniform transitions (Dirichlet(1)) and uniform mean losses in [0, 1] of every step, start in state 0.

    Rewards are 1 - loss. Draws: transition, losses.

    Source: the random instances of the best-of-both-worlds experiments (after Dann, Wei, Zimmert 2023).
    """
    H = check.integer("H", H, 1)
    S, A, rng, alpha = _sizes(S, A, seed, 1.0)
    transition, losses = rng.dirichlet(alpha, (H, S, A)), rng.random((H, S, A))
    return FiniteHorizonMDP(transition, 1 - losses)


@instance(shape=(3, 3, 2))
def delay_instance(H=3, S=3, A=2, seed=1, loss_seed=0):
    """Dirichlet(1/2) transitions and mean losses in [0.2, 0.8] from a seed of their own, start in state 0.

    Rewards are 1 - loss; ``loss_tables`` has the other losses of the same experiments. The default is their instance I3.

    Source: the experiments with delayed feedback (after Lancewicki, Rosenberg, Sotnikov 2023).
    """
    H = check.integer("H", H, 1)
    S, A, rng, alpha = _sizes(S, A, seed, 0.5)
    return FiniteHorizonMDP(rng.dirichlet(alpha, (H, S, A)), 1 - loss_tables.uniform(H, S, A, check.integer("loss_seed", loss_seed, 0)))


@instance(shape=(3, 3, 2))
def gap_instance(H=3, S=3, A=2, gap=0.25, seed=0):
    """Every suboptimal action, in every state and step, is worse by exactly ``gap``.

    Backwards from prescribed values: V[h, s] = 0.4 (H - h) + U(-0.1, 0.1), one optimal action per (h, s), and the mean losses
    Q - P V that make them true. Rewards are 1 - loss, the start is state 0. ``gap`` >= 0; a gap up to 0.4 always fits.
    Draws: transition (Dirichlet(1)), optimal actions, values. The default is the instance I1 of the experiments.

    Source: the stochastic world of the best-of-both-worlds experiments (after Dann, Wei, Zimmert 2023).

    Raises
    ------
    ValueError
        When the gap would need a loss outside [0, 1].
    """
    H, gap = check.integer("H", H, 1), check.number("gap", gap, at_least=0)
    S, A, rng, alpha = _sizes(S, A, seed, 1.0)
    transition = rng.dirichlet(alpha, (H, S, A))
    best = rng.integers(0, A, (H, S))
    values = np.zeros((H + 1, S))
    values[:H] = 0.4 * np.arange(H, 0, -1)[:, None] + rng.uniform(-0.1, 0.1, (H, S))
    q_values = values[:H, :, None] + gap * (np.arange(A) != best[..., None])
    losses = q_values - np.einsum("hsat,ht->hsa", transition, values[1:])
    if losses.min() < 0 or losses.max() > 1:
        raise ValueError(f"gap must fit losses in [0, 1], got {gap}, which needs losses from {losses.min():.3g} to {losses.max():.3g}")
    return FiniteHorizonMDP(transition, 1 - losses)


def linear_mdp(H=3, S=20, A=4, d=3, seed=0, loss_seed=7, concentration=0.3):
    """A LinearMDP with features (of every step) and factors in the simplex, Dirichlet(``concentration``), start in state 0.

    Rewards are 1 - phi lambda with lambda U[0, 1] for each step from ``loss_seed``; ``loss_tables.linear`` has losses that change.
    Draws: features, factors.

    Source: the linear experiments with delayed feedback (after Lancewicki, Rosenberg, Sotnikov 2023).
    """
    H, d = check.integer("H", H, 1), check.integer("d", d, 1)
    S, A, rng, alpha = _sizes(S, A, seed, concentration)
    features, factors = rng.dirichlet(np.full(d, concentration), (H, S, A)), rng.dirichlet(alpha, (H, d))
    return LinearMDP(features, factors, 1 - loss_tables.linear(features, H, 1, check.integer("loss_seed", loss_seed, 0), spread=0.0)[0])


class GarnetDraws(NamedTuple):
    """``nominal`` transition [S, A, S], ``cost`` [S, A, S] in [0, 1] of each move, ``initial`` [S], and the ``generator`` after them."""

    nominal: np.ndarray
    cost: np.ndarray
    initial: np.ndarray
    generator: np.random.Generator


def draw_garnet(S, A, branching, seed):
    """The draws of ``garnet``, for the models that go on drawing from the same generator (radii of ambiguity sets)."""
    S, A, rng, _ = _sizes(S, A, seed, 1.0)
    branching = _branching(branching, S)
    nominal = np.zeros((S, A, S))
    for s in range(S):
        for a in range(A):
            successors, weights = rng.permutation(S)[:branching], rng.random(branching)
            nominal[s, a, successors] = weights / weights.sum()
    cost, initial = rng.random((S, A, S)), rng.random(S)
    return GarnetDraws(nominal, cost, initial / initial.sum(), rng)


@instance(shape=(5, 6), discount=0.95)
def garnet(S=5, A=6, branching=3, seed=0, discount=0.95):
    """Every action leads to ``branching`` random states with normalized uniform weights; random start distribution.

    Moves cost U[0, 1] each; the reward of a pair is 1 - its expected cost, so values are 1 / (1 - discount) - cost to go.
    Draws, pair by pair: permutation of the states, weights; then costs, start. ``large_garnet`` draws whole arrays at once.

    Source: Archibald, McKinnon, Thomas (1995); the numbers are those of the robust policy gradient experiments (Wang, Ho, Petrik 2023).
    """
    draws = draw_garnet(S, A, branching, seed)
    return DiscountedMDP(draws.nominal, 1 - np.sum(draws.nominal * draws.cost, axis=-1), discount, draws.initial)


@instance(shape=(1000, 10), discount=0.99)
def large_garnet(S=1000, A=10, branching=5, seed=0, horizon=None, discount=None):
    """Garnet for speed: drawn as whole arrays, stored as CSR when ``branching`` < S; the benchmarks' instance.

    Fewer than S successors: distinct uniform ones (rows with a repeat are drawn again) with the spacings of uniform points as
    probabilities; exactly S: Dirichlet(1) rows, dense. Rewards U[0, 1]. Default discount 0.99; with ``horizon`` the model is
    episodic, stationary and dense. Draws: successors, repeats, spacings (or rows); rewards.

    Source: Archibald, McKinnon, Thomas (1995), their spacings; the benchmarks' draw order.

    Raises
    ------
    ValueError
        Also when ``branching`` is so near to S that drawing rows again would take for ever: ``garnet`` has no such limit.
    """
    S, A, rng, _ = _sizes(S, A, seed, 1.0)
    branching = _branching(branching, S)
    if branching == S:
        transition = rng.standard_exponential((S * A, S))
        transition = (transition / transition.sum(axis=1, keepdims=True)).reshape(S, A, S)
    else:
        successors = _distinct(rng, S, A, branching)
        cuts = np.sort(rng.random((S * A, branching - 1)), axis=1)
        probabilities = np.diff(cuts, prepend=0, append=1)
        shape = (S, A, branching)
        transition = rows_to(successors.reshape(shape), probabilities.reshape(shape))
    return build(transition, rng.random((S, A)), horizon=horizon, discount=discount, default_discount=0.99)


def _distinct(rng, S, A, k):
    """``k`` distinct states for each pair, sorted, [S * A, k] int32."""
    if np.prod(1 - np.arange(k) / S) < 1e-4:
        raise ValueError(f"branching must be S={S} or well below it, got {k}: rows without a repeat would hardly ever come up")
    successors = np.sort(rng.integers(0, S, (S * A, k), dtype=np.int32), axis=1)
    while (repeats := np.flatnonzero((successors[:, 1:] == successors[:, :-1]).any(axis=1))).size:
        successors[repeats] = np.sort(rng.integers(0, S, (repeats.size, k), dtype=np.int32), axis=1)
    return successors


def _sizes(S, A, seed, concentration):
    S, A = check.integer("S", S, 1), check.integer("A", A, 1)
    rng = np.random.default_rng(check.integer("seed", seed, 0, None))
    return S, A, rng, np.full(S, check.number("concentration", concentration, above=0))


def _branching(value, S):
    value = check.integer("branching", value, 1)
    if value > S:
        raise ValueError(f"branching must be at most S={S}, got {value}")
    return value
