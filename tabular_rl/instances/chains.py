"""Problems on a line: the reward is at the far end, and something pulls back."""

import numpy as np

from tabular_rl.instances.building import build, deterministic, rows_to
from tabular_rl.instances.registry import instance
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check


@instance(shape=(6, 2), discount=0.95)
def river_swim(
    n=6,
    horizon=None,
    discount=None,
    left_reward=0.005,
    right_reward=1.0,
    first_forward=0.6,
    middle=(0.05, 0.6, 0.35),
    last_stay=0.6,
    initial=None,
    A=2,
):
    """Swimming right against the current: a small reward at the left bank, a large one at the far right.

    Parameters
    ----------
    n : int
        States 0..n-1, n >= 2. Action 0 (left) surely goes to max(s - 1, 0).
    horizon, discount : int or float, optional
        One of them; without either the discount is 0.95.
    left_reward, right_reward : float
        Of action 0 in state 0 and of action 1 in state n - 1; all other pairs have reward 0.
    first_forward : float
        Probability that action 1 (right) leaves state 0; else it stays.
    middle : three floats
        Probabilities that action 1 goes back, stays, goes forward, between the ends.
    last_stay : float
        Probability that action 1 stays in state n - 1; else it goes back.
    initial : array [n] or int, optional
        Start distribution or state. Default: state 0.
    A : int
        Actions; those from 2 on are copies of action 0, to make larger tables of the same problem.

    The robust experiments have first_forward=0.3, middle=(0.1, 0.6, 0.3), last_stay=0.3, a uniform start, and pay for staying at the
    right end only: right_reward=0.3 in the mean. Those with a fail state have left_reward=0.1.

    Source: Strehl, Littman (2008), with the probabilities of Osband, Russo, Van Roy (2013).
    """
    n, A = check.integer("n", n, 2), check.integer("A", A, 2)
    first_forward = check.number("first_forward", first_forward, at_least=0, at_most=1)
    last_stay = check.number("last_stay", last_stay, at_least=0, at_most=1)
    middle = check.distribution("middle", middle, (3,))
    transition, reward = np.zeros((n, A, n)), np.zeros((n, A))
    for s in range(1, n - 1):
        transition[s, 1, s - 1 : s + 2] = middle
    transition[0, 1, :2] = 1 - first_forward, first_forward
    transition[n - 1, 1, n - 2 :] = 1 - last_stay, last_stay
    left = [a for a in range(A) if a != 1]
    transition[:, left] = deterministic(np.maximum(np.arange(n) - 1, 0), n)[:, None]
    reward[0, 0] = check.number("left_reward", left_reward)
    reward[n - 1, 1] = check.number("right_reward", right_reward)
    return build(transition, reward, initial, horizon=horizon, discount=discount, default_discount=0.95)


@instance(shape=(6, 2), discount=0.9)
def chain(n=6, horizon=None, discount=None, reset_reward=0.05):
    """Action 1 moves one state up, action 0 resets to state 0 for a small reward; reward 1 at the top.

    n >= 2 states; staying on at the top with action 1 pays 1 each step. The start is state 0 with probability 1/2, else uniform.
    Default discount 0.9.

    Source: after the chain of Strens (2000); n=6 is the chain6 of the policy gradient experiments.
    """
    n = check.integer("n", n, 2)
    states = np.arange(n)
    reward = np.stack([np.full(n, check.number("reset_reward", reset_reward)), states == n - 1], axis=1)
    transition = deterministic(np.stack([0 * states, np.minimum(states + 1, n - 1)], axis=1), n)
    initial = np.full(n, 0.5 / n) + 0.5 * (states == 0)
    return build(transition, reward, initial, horizon=horizon, discount=discount, default_discount=0.9)


@instance(shape=(6, 6, 2))
def ladder(n=6):
    """n steps on n rungs: the last step pays 1 on the top rung, which only climbing at every step reaches; stepping down pays 0.1 / n.

    Action 0: to max(s - 1, 0); action 1: to min(s + 1, n - 1). Horizon n >= 1, start on rung 0; V* = 1.

    Source: a small deep sea (Osband, Van Roy, Russo, Wen 2019); n=6 is the Ladder6 of the regret experiments.
    """
    n = check.integer("n", n, 1)
    rungs, reward = np.arange(n), np.zeros((n, n, 2))
    reward[:, :, 0] = 0.1 / n
    reward[n - 1, n - 1, 1] = 1
    return FiniteHorizonMDP(deterministic(np.stack([np.maximum(rungs - 1, 0), np.minimum(rungs + 1, n - 1)], axis=1), n), reward)


@instance(shape=(1000, 5), discount=0.99)
def line(S=1000, A=5, half_width=8, seed=0, discount=0.99):
    """A line that mixes slowly, sparse: span-based stopping rules find nothing to stop at; the benchmarks' instance.

    Action a drifts by a - A // 2 and lands within ``half_width`` of there, with random weights; what would leave the line is put
    on its end. Reward 1 in the last state, 0.1 in the first, -U[0, 0.02] elsewhere. S >= 2 * half_width + 1. Draws: weights, rewards.

    Source: the benchmarks.
    """
    A, half_width = check.integer("A", A, 1), check.integer("half_width", half_width, 0)
    S, width = check.integer("S", S, 2 * half_width + 1), 2 * half_width + 1
    rng = np.random.default_rng(check.integer("seed", seed, 0, None))
    weights = rng.random((S * A, width)) + 0.05
    weights /= weights.sum(axis=1, keepdims=True)
    centers = np.arange(S)[:, None] + np.arange(A) - A // 2
    landing = np.clip(centers[..., None] + np.arange(-half_width, half_width + 1), 0, S - 1)
    reward = -0.02 * rng.random((S, A))
    reward[0], reward[-1] = 0.1, 1.0
    return DiscountedMDP(rows_to(landing, weights.reshape(S, A, width)), reward, discount)
