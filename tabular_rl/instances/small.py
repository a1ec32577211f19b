"""Problems small enough for paper and pencil."""

import numpy as np

from tabular_rl.instances.registry import instance
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.models import validation as check


@instance(shape=(1, 1, 10))
def bandit(means=10):
    """One state, one step: a bandit with the given mean rewards, or with n >= 1 arms of rewards ``linspace(0, 1, n)``.

    Source: n=10 is the bandit10 of the policy gradient experiments.
    """
    if isinstance(means, int | np.integer):
        means = np.linspace(0, 1, check.integer("means", means, 1))
    means = check.real_array("means", means, (None,))
    return FiniteHorizonMDP(np.ones((1, len(means), 1)), means[None], horizon=1)


@instance(shape=(2, 2, 2))
def trap(bait=0.1):
    """Two steps: a reward ``bait`` now, or a reward 1 in the next step; greedy learners never look at the second. V* = 1.

    States 0 (start) and 1. In the first step action 0 takes the bait and stays in 0, action 1 goes to state 1, which pays 1 at the end.

    Source: the control of the regret bounds' experiments: without a bonus the regret is 1 - bait in every episode.
    """
    transition, reward = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1
    reward[0, 0, 0] = check.number("bait", bait)
    reward[1, 1] = 1
    return FiniteHorizonMDP(transition, reward)


@instance(shape=(2, 2, 2))
def two_path(difference=0.1):
    """Two steps, two states at random: only action 1 of the start makes the paying state likelier, by ``difference`` / 2.

    Everything moves to either state with probability 1/2; action 1 in state 0 at the first step to state 1 with (1 + difference) / 2.
    State 1 pays 1 in the second step. ``difference`` in [0, 1]; with 2 / sqrt(K) it is the hardest two-point problem of K episodes.

    Source: the standard two-point lower bound (Lattimore, Szepesvari 2020, section 15.2), as an MDP.
    """
    difference = check.number("difference", difference, at_least=0, at_most=1)
    transition, reward = np.full((2, 2, 2, 2), 0.5), np.zeros((2, 2, 2))
    transition[0, 0, 1] += 0.5 * difference * np.array([-1, 1])
    reward[1, 1] = 1
    return FiniteHorizonMDP(transition, reward)
