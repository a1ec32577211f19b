"""Episodes of a fixed policy, and trajectories of submodular problems, sampled from a known model."""

from typing import NamedTuple

import numpy as np

from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.evaluation import as_policy

MOST_STEPS = 2**28  # that one call samples: 4 GB


class Episodes(NamedTuple):
    """``states``, ``actions`` [n, L] (int32) and mean ``rewards`` [n, L] along the paths; after the end of a shorter episode -1, -1, 0."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray

    @property
    def lengths(self):
        """[n] steps of each episode."""
        return np.count_nonzero(self.states >= 0, axis=1)

    @property
    def returns(self):
        """[n] sum of the rewards of each episode; of random length, its mean is the discounted value (see ``sample_episodes``)."""
        return self.rewards.sum(axis=1)


def sample_episodes(mdp, policy, n, seed=0, horizon=None):
    """Sample ``n`` >= 1 episodes of ``policy``.

    Episodes of a FiniteHorizonMDP have its H steps. Those of a DiscountedMDP have ``horizon`` steps if it is given. Else they go on with
    probability ``discount`` after each step, at least one: step t is then played with probability discount^t, so that the plain sum of
    rewards is an unbiased estimate of the policy's value from the start, and the last pair is a draw of ``occupancy``.

    Parameters
    ----------
    mdp : FiniteHorizonMDP or DiscountedMDP, dense or sparse
    policy : as ``evaluate`` takes it
    n : int
    seed : anything that ``numpy.random.default_rng`` takes
    horizon : int, optional
        Of a DiscountedMDP only.

    Returns
    -------
    Episodes

    Raises
    ------
    ValueError
        Episodes of more than 2^28 steps in all, with the padding to the longest.
    """
    check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP, SubmodularMDP="planning.sample_trajectories samples it")
    policy, n = as_policy(mdp, policy), check.integer("n", n, 1)
    if isinstance(mdp, DiscountedMDP):
        return _walks(mdp, policy, n, check.generator(seed), horizon)
    if horizon is not None:
        raise ValueError(f"horizon must be None for a FiniteHorizonMDP, whose episodes have its own {mdp.horizon} steps, got {horizon}")
    from tabular_rl.kernels import sampling

    H, S, A = mdp.shape
    P = mdp.packed_transition
    accept, alias = sampling.alias_tables(P.reshape(-1, S))
    policy_accept, policy_alias = sampling.alias_tables(policy.reshape(-1, A))
    start_accept, start_alias = sampling.alias_tables(mdp.initial.reshape(1, S))
    states = np.empty((n, H), np.int32)
    actions = np.empty_like(states)
    sampling.sample_episodes(
        accept.reshape(len(P), S * A, S),
        alias.reshape(len(P), S * A, S),
        policy_accept.reshape(H, S, A),
        policy_alias.reshape(H, S, A),
        start_accept[0],
        start_alias[0],
        check.generator(seed),
        states,
        actions,
    )
    return Episodes(states, actions, mdp.reward[np.arange(H), states, actions])


def _walks(mdp, policy, n, rng, horizon):
    """Episodes of a discounted model: of ``horizon`` steps, or None: of geometric length."""
    from scipy.sparse import csr_array

    from tabular_rl.kernels import sampling

    lengths = rng.geometric(1 - mdp.discount, n) if horizon is None else np.full(n, check.integer("horizon", horizon, 1))
    longest = int(lengths.max())
    if n * longest > MOST_STEPS:
        raise ValueError(f"n={n} episodes of up to {longest} steps are more than {MOST_STEPS} steps; give a smaller n or a horizon")
    S, A = mdp.shape
    P = mdp.transition if mdp.is_sparse else csr_array(mdp.transition.reshape(S * A, S))
    start = sampling.alias_tables(mdp.initial.reshape(1, S))
    states, actions = np.full((2, n, longest), -1, np.int32)
    sampling.sample_walks(
        *sampling.sparse_alias_tables(P.data, P.indptr), P.indices, P.indptr, *sampling.alias_tables(policy), start[0][0], start[1][0],
        rng, lengths, states, actions,
    )  # fmt: skip
    return Episodes(states, actions, np.where(states >= 0, mdp.reward[states, actions], 0.0))


class Trajectories(NamedTuple):
    """``states`` [n, H + 1], ``actions`` [n, H] (int64) and marginal ``gains`` [n, H + 1]; F of a trajectory is the sum of its gains."""

    states: np.ndarray
    actions: np.ndarray
    gains: np.ndarray

    @property
    def values(self):
        """[n] F of each."""
        return self.gains.sum(axis=1)


def sample_trajectories(problem, policy, n, seed=0):
    """Sample ``n`` >= 1 trajectories of a SubmodularMDP.

    ``policy``: probabilities [H, S, A] or actions [H, S], or "greedy": the history-dependent rule that takes the action of largest
    expected next gain given what is collected already, ties at random. Trajectory i depends on ``seed`` and i alone.
    """
    from tabular_rl.kernels.submodular.objectives import workspace
    from tabular_rl.kernels.submodular.rollouts import Batch, greedy_rollouts, rollouts

    sampler = "planning.sample_episodes samples it"
    H, _, A = check.kind("problem", problem, SubmodularMDP, FiniteHorizonMDP=sampler, DiscountedMDP=sampler).shape
    n, objective, world = check.integer("n", n, 1), problem.objective.packed, problem.world
    found = Trajectories(np.empty((n, H + 1), np.int64), np.empty((n, H), np.int64), np.empty((n, H + 1)))
    work = workspace(objective, problem.objective.n_elements, H + 1)
    sequence = check.seed_sequence(seed)
    key = sequence.generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):  # the random streams count modulo 2^64; uncompiled, NumPy would warn of it
        if isinstance(policy, str):
            check.choice("policy", policy, ("greedy",))
            transition = np.zeros((0, 1, A, 1)) if problem.successors is not None else np.array(problem.packed_transition)
            greedy_rollouts(world, objective, work, transition, key, 0, Batch(*found))
        else:
            rollouts(world, objective, work, np.array(as_policy(problem, policy)), key, 0, 0, Batch(*found))
    return found
