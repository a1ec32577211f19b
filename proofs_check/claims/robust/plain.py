"""The robust MDP in plain NumPy, by other ways than the product's: what the claims of this family hold its functions against.

L1 balls by sorting, finite sets by enumeration, derivatives by complex steps. Costs are of moves, [S, A, S].
"""

import itertools

import numpy as np

STEP = 1e-30  # of complex differentiation: nothing cancels


def values_of(mdp, policy, kernel):
    """[S]: by one linear system; complex arguments are allowed."""
    chain = np.einsum("sa,sat->st", policy, kernel)
    cost = np.einsum("sa,sat,sat->s", policy, kernel, costs(mdp))
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * chain, cost)


def costs(mdp):
    """[S, A, S]."""
    cost = mdp.cost.toarray().reshape(*mdp.shape, -1) if hasattr(mdp.cost, "toarray") else mdp.cost
    return cost if cost.ndim == 3 else np.repeat(cost[:, :, None], mdp.n_states, axis=2)


def derivatives(function, x):
    """Of a function of an array, entry by entry."""
    slopes = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * STEP
        slopes[place] = np.imag(function(moved)) / STEP
    return slopes


def policy_gradient(mdp, policy, kernel):
    """dJ/dpolicy [S, A]."""
    return derivatives(lambda moved: mdp.initial @ values_of(mdp, moved, kernel), policy)


def spent_by_sorting(p0, prices, receivers, mass):
    """Rows [n, m]: ``mass`` [n] is taken where ``prices`` are largest, as far as there is any, and given to the row's ``receivers`` [n, m]
    (a map from entries to entries)."""
    order = np.argsort(-prices, axis=1, kind="stable")
    have = np.take_along_axis(np.where(prices > 0, p0, 0.0), order, axis=1)
    before = np.cumsum(have, axis=1) - have
    given = np.clip(mass[:, None] - before, 0, have)
    taken = np.zeros_like(p0)
    np.put_along_axis(taken, order, given, axis=1)
    p = p0 - taken
    for row in range(len(p)):
        np.add.at(p[row], receivers[row], taken[row])
    return p


def worst_kernel_at(mdp, policy, values):
    """The worst rows [S, A, S] of an L1 set at ``values``: of every pair, or of every state against ``policy``."""
    z, (S, A), radius = costs(mdp) + mdp.discount * values, mdp.shape, np.asarray(mdp.ambiguity.radius)
    reach = np.where(mdp.nominal > 0, z, -np.inf)  # mass stays on the nominal support
    best = reach.argmax(axis=2)
    gains = np.take_along_axis(z, best[:, :, None], 2) - z
    if mdp.ambiguity.rectangularity == "sa":
        receivers = np.repeat(best.reshape(-1, 1), S, axis=1)
        mass = np.broadcast_to(radius, (S, A)).reshape(-1) / 2
        return spent_by_sorting(mdp.nominal.reshape(S * A, S), gains.reshape(S * A, S), receivers, mass).reshape(S, A, S)
    prices = (policy[:, :, None] * gains).reshape(S, A * S)
    receivers = np.repeat((best + np.arange(A) * S)[:, :, None], S, axis=2).reshape(S, A * S)
    mass = np.broadcast_to(radius, S) / 2
    return spent_by_sorting(mdp.nominal.reshape(S, A * S), prices, receivers, mass).reshape(S, A, S)


def robust_values(mdp, policy):
    """(values [S], worst kernel) of a policy against an L1 set: kernels improve until none does."""
    kernel, best = mdp.nominal, np.full(mdp.n_states, -np.inf)
    for _ in range(200):
        values = values_of(mdp, policy, kernel)
        if np.max(values - best) <= 1e-14 * max(1.0, np.abs(values).max()):
            break
        best, kernel = values, worst_kernel_at(mdp, policy, values)
    return np.maximum(values, best), kernel


def deterministic_policies(mdp):
    """Every deterministic policy [S, A] of a small model."""
    choices = [np.flatnonzero(row) for row in mdp.available]
    return (np.eye(mdp.n_actions)[list(actions)] for actions in itertools.product(*choices))


def optimal_values(mdp):
    """[S]: least robust values over all deterministic policies of an (s,a)-rectangular L1 set."""
    return np.min([robust_values(mdp, policy)[0] for policy in deterministic_policies(mdp)], axis=0)


def rows_onto_simplex(x):
    """Euclidean projection of every row onto the simplex, by sorting."""
    ordered = -np.sort(-x, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1
    count = np.sum(ordered - excess / np.arange(1, x.shape[1] + 1) > 0, axis=1)
    level = excess[np.arange(len(x)), count - 1] / count
    return np.maximum(x - level[:, None], 0)
