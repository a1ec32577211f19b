"""Episodes of a fixed policy, sampled from a known model."""

from typing import NamedTuple

import numpy as np

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

    H, S, A = mdp.shape
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
