"""How fast a model moves: reachable states, the mixing time of a policy's chain, the diameter."""

from math import gcd

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.planning import ConvergenceError
from tabular_rl.planning.evaluation import as_policy, policy_system

DOUBLINGS = 50  # a chain slower than 2^50 steps is beyond what float64 powers can tell
STATIONARY = "only a DiscountedMDP has the same transition at every step"
RELATIVE_ERROR = 1e-6  # what the diameter certifies at least; mostly it is near 1e-12


def reachable(mdp, policy=None):
    """Which states ``policy`` (default: any policy) reaches from the start with positive probability: bool [H, S], or [S] if discounted."""
    if isinstance(check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP), DiscountedMDP):
        moves = _moves(mdp) if policy is None else _graph(policy_system(mdp, as_policy(mdp, policy))[0])
        reached = frontier = mdp.initial > 0
        while frontier.any():
            frontier = (frontier @ moves > 0) & ~reached
            reached = reached | frontier
        return reached
    H, S, _ = mdp.shape
    played = mdp.available if policy is None else as_policy(mdp, policy) > 0
    reached = np.zeros((H, S), bool)
    reached[0] = mdp.initial > 0
    for h in range(H - 1):
        reached[h + 1] = (mdp.transition[h][reached[h][:, None] & played[h]] > 0).any(axis=0)
    return reached


def mixing_time(mdp, policy, epsilon=0.25):
    """Least number of steps after which the chain of ``policy`` is within ``epsilon`` of its stationary law, from every state.

        min { t >= 0 : max_s TV(P^t[s, :], stationary) <= epsilon },   TV = half the l1 distance

    The distance never grows with t, so squaring and a bisection find the step exactly: O(S^3 log t).

    Parameters
    ----------
    mdp : DiscountedMDP
        Its discount and rewards play no role.
    policy : array [S, A] of probabilities or [S] of actions
    epsilon : float
        In (0, 1).

    Returns
    -------
    int, or inf when the chain has several closed classes or a periodic one

    Raises
    ------
    ConvergenceError
        Beyond 2^50 steps.

    Source: Levin, Peres (2017), section 4.5.
    """
    check.kind("mdp", mdp, DiscountedMDP, FiniteHorizonMDP=STATIONARY)
    epsilon = check.number("epsilon", epsilon, above=0, below=1)
    P, _ = policy_system(mdp, as_policy(mdp, policy))
    P = P.toarray() if mdp.is_sparse else P
    stationary = _stationary(P)
    if stationary is None:
        return np.inf

    def mixed(power):
        return 0.5 * np.abs(power - stationary).sum(axis=1).max() <= epsilon

    power, powers = np.eye(len(P)), [P]
    if mixed(power):
        return 0
    while not mixed(powers[-1]):
        if len(powers) > DOUBLINGS:
            raise ConvergenceError(f"the chain has not mixed after 2**{DOUBLINGS} steps")
        powers.append(powers[-1] @ powers[-1])
    steps = 0
    for k in reversed(range(len(powers) - 1)):  # bit by bit the last step at which it has not mixed
        longer = power @ powers[k]
        if not mixed(longer):
            steps, power = steps + 2**k, longer
    return steps + 1


def diameter(mdp):
    """Largest over ordered pairs (s, t) of the least expected number of steps from s to t; inf when some state is out of reach.

    Each target is a shortest-path problem with unit costs: policy iteration from a policy that surely arrives, O(S^4) in all at the
    least. The answer carries a certificate: if |T v - v| <= e, the true times lie in [v / (1 + e), v / (1 - e)], for each step costs 1.

    Parameters
    ----------
    mdp : DiscountedMDP
        Its discount and rewards play no role.

    Returns
    -------
    float

    Raises
    ------
    ConvergenceError
        When the relative error cannot be brought below 1e-6 (times of 1e9 steps and more).

    Source: Jaksch, Ortner, Auer (2010), definition 1; Bertsekas, Tsitsiklis (1991) for the shortest paths.
    """
    from scipy.sparse.csgraph import connected_components

    check.kind("mdp", mdp, DiscountedMDP, FiniteHorizonMDP=STATIONARY)
    S, A = mdp.shape
    moves = _moves(mdp)
    if connected_components(moves, directed=True, connection="strong", return_labels=False) > 1:
        return np.inf
    P = mdp.transition.toarray().reshape(S, A, S) if mdp.is_sparse else mdp.transition
    return max(float(_hitting_times(P, target, _levels(moves.T.tocsr(), target)).max()) for target in range(S))


def _hitting_times(P, target, distances):
    """[S] least expected steps to ``target``, which every state can reach; ``distances`` [S] counts moves of positive probability."""
    S = len(P)
    states, others = np.arange(S), np.arange(S) != target
    # moving to a nearer state with positive probability in every state arrives surely, and so does each improvement
    actions = np.where(P > 0, distances, S).min(axis=2).argmin(axis=1)
    times = np.zeros(S)
    while True:
        chain = P[states, actions][np.ix_(others, others)]
        times[others] = np.linalg.solve(np.eye(S - 1) - chain, np.ones(S - 1))
        steps = 1 + P @ times
        improvement = np.where(others, times - steps.min(axis=1), 0)
        better = improvement > 1e-10 + 32 * np.finfo(float).eps * times.max()
        if not better.any():
            break
        actions = np.where(better, steps.argmin(axis=1), actions)
    if np.abs(improvement).max() > RELATIVE_ERROR:
        raise ConvergenceError(f"the hitting times of state {target}, up to {times.max():.2g} steps, are too long for float64")
    return times


def _stationary(P):
    """Stationary distribution [S] of an aperiodic chain with one closed class, else None."""
    from scipy.sparse.csgraph import connected_components

    graph = _graph(P)
    _, component = connected_components(graph, directed=True, connection="strong")
    source, successor = graph.nonzero()
    closed = np.setdiff1d(component, component[source[component[source] != component[successor]]])
    members = np.flatnonzero(component == closed[0])
    if len(closed) > 1 or _period(graph[members][:, members]) > 1:
        return None
    balance = P[np.ix_(members, members)].T - np.eye(len(members))
    balance[-1] = 1  # one balance equation follows from the others: the sum takes its place
    stationary = np.zeros(len(P))
    stationary[members] = np.linalg.solve(balance, np.arange(len(members)) == len(members) - 1)
    return stationary


def _period(graph):
    """Greatest common divisor of the lengths of all cycles of a strongly connected graph."""
    levels = _levels(graph, 0)
    source, successor = graph.nonzero()
    return gcd(*(levels[source] + 1 - levels[successor]).tolist())


def _levels(graph, root):
    """[S] number of edges from ``root`` to each state of a graph in which it reaches all."""
    from scipy.sparse.csgraph import breadth_first_order

    order, before = breadth_first_order(graph, root)
    levels = np.zeros(graph.shape[0], np.int64)
    for s in order[1:]:
        levels[s] = levels[before[s]] + 1
    return levels


def _graph(P):
    """CSR (S, S) of ones where a chain [S, S] has positive probability."""
    from scipy.sparse import csr_array

    return csr_array(P > 0).astype(np.int32)


def _moves(mdp):
    """CSR (S, S): positive where some action may move."""
    if not mdp.is_sparse:
        return _graph(mdp.transition.max(axis=1))  # missing pairs move as an existing one does
    return _graph(policy_system(mdp, mdp.uniform_policy)[0])
