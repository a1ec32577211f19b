"""Episodes of a fixed policy, and trajectories of submodular problems, sampled from a known model."""

from typing import NamedTuple

import numpy as np

from tabular_rl.models import FiniteHorizonMDP, SubmodularMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.evaluation import as_policy


class Episodes(NamedTuple):
    """``states``, ``actions`` [n, H] (int32) and mean ``rewards`` [n, H] along the paths."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


def sample_episodes(mdp, policy, n, seed=0):
    """Sample ``n`` >= 1 episodes of ``policy`` in a FiniteHorizonMDP; ``seed`` is anything ``numpy.random.default_rng`` takes."""
    from tabular_rl.kernels import sampling

    H, S, A = check.kind("mdp", mdp, FiniteHorizonMDP, SubmodularMDP="planning.sample_trajectories samples it").shape
    policy = as_policy(mdp, policy)
    P = mdp.packed_transition
    accept, alias = sampling.alias_tables(P.reshape(-1, S))
    policy_accept, policy_alias = sampling.alias_tables(policy.reshape(-1, A))
    start_accept, start_alias = sampling.alias_tables(mdp.initial.reshape(1, S))
    states = np.empty((check.integer("n", n, 1), H), np.int32)
    actions = np.empty_like(states)
    sampling.sample_episodes(
        accept.reshape(len(P), S * A, S),
        alias.reshape(len(P), S * A, S),
        policy_accept.reshape(H, S, A),
        policy_alias.reshape(H, S, A),
        start_accept[0],
        start_alias[0],
        np.random.default_rng(seed),
        states,
        actions,
    )
    return Episodes(states, actions, mdp.reward[np.arange(H), states, actions])


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
    from tabular_rl.kernels.submodular_objectives import workspace
    from tabular_rl.kernels.submodular_rollouts import greedy_rollouts, rollouts

    sampler = "planning.sample_episodes samples it"
    H, _, A = check.kind("problem", problem, SubmodularMDP, FiniteHorizonMDP=sampler, DiscountedMDP=sampler).shape
    n, objective, world = check.integer("n", n, 1), problem.objective.packed, problem.world
    found = Trajectories(np.empty((n, H + 1), np.int64), np.empty((n, H), np.int64), np.empty((n, H + 1)))
    work = workspace(objective, problem.objective.n_elements, H + 1)
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    key = sequence.generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):  # the random streams count modulo 2^64; uncompiled, NumPy would warn of it
        if isinstance(policy, str):
            check.choice("policy", policy, ("greedy",))
            transition = np.zeros((0, 1, A, 1)) if problem.successors is not None else np.array(problem.packed_transition)
            greedy_rollouts(world, objective, work, transition, key, 0, *found)
        else:
            rollouts(world, objective, work, np.array(as_policy(problem, policy)), key, 0, 0, *found)
    return found
