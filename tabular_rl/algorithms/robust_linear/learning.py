"""What learners of robust linear MDPs keep and share: arrays by name, draws of the nominal world, visits, policy steps, the certificate.

H steps, S states, A actions, d factors. The tuples hold arrays that kernels overwrite.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.linear.robust_induction import Plan, Work, World, worst_factor
from tabular_rl.kernels.ordering import argsort

CLOSED, MIRROR, PREVIOUS = range(3)


class Nominal(NamedTuple):
    """What episodes are drawn from."""

    features: Any  # [S, A, d]; pointer, column, amount: the same compressed, as in World
    pointer: Any
    column: Any
    amount: Any
    cumulative: Any  # [H, d, S] the factors' cumulative sums
    fail: int
    start: int


class Rules(NamedTuple):
    """Hyperparameters in force."""

    beta: Any  # [H]
    cap: Any  # [H] range of an action's value
    ceiling: Any  # [H, d] range of a factor's value
    ridge: float
    tau: float
    log_reference: Any  # [H, S, A]
    update: int
    eta: float
    tabular: bool  # counts in place of ridge regression
    elliptical: bool  # a bonus per pair in place of one per factor
    rare: bool  # plan when a determinant has doubled
    refresh: int  # visits between two refreshes of the inverses, 0: never


class Learner(NamedTuple):
    """What the data say."""

    gram: Any  # [H, d, d] ridge I + sum phi phi^T
    inverse: Any  # [H, d, d]
    weights: Any  # [H, d, S] estimates of the factors
    moments: Any  # [H, d, S] sums of phi by next state
    visits: Any  # [H, d] of factors, with one-hot features
    width: Any  # [H, d] bonus of each factor
    logdet: Any  # [H]
    direction: Any  # [d] work space, as is work [d, d]
    work: Any


class Basis(NamedTuple):
    """What the last plan was made from."""

    anchor: Any  # [H, S, A] log of the reference in force
    reward: Any  # [H, S, A] with the elliptical bonus
    width: Any  # [H, d]
    logdet: Any  # [H]


class Scratch(NamedTuple):
    """Work space of a run."""

    played: Plan  # the plan's policy, with the values that it truly has
    zeros: Any  # [H, d]; unbounded [H, d] and free [H]: infinite limits
    unbounded: Any
    free: Any
    work: Work
    law: Any  # [2, S]
    ledger: Any  # [2, 2] regret so far and the gap of the last evaluation, with and without the KL cost


class State(NamedTuple):
    """All that a run reads and overwrites."""

    nominal: Nominal
    world: World
    rules: Rules
    learner: Learner
    plan: Plan
    basis: Basis
    scratch: Scratch


def blank(rules, reward, d, work):
    """(Learner, Plan, Basis, Scratch) before the first episode."""
    H, S, A = reward.shape
    width = np.zeros((H, d)) if rules.elliptical else np.tile(rules.beta[:, None] / np.sqrt(rules.ridge), (1, d))
    learner = Learner(
        gram=np.tile(np.eye(d) * rules.ridge, (H, 1, 1)),
        inverse=np.tile(np.eye(d) / rules.ridge, (H, 1, 1)),
        weights=np.zeros((H, d, S)),
        moments=np.zeros((H, d, S)),
        visits=np.zeros((H, d)),
        width=width,
        logdet=np.zeros(H),
        direction=np.empty(d),
        work=np.empty((d, d)),
    )
    anchor = rules.log_reference.copy()
    plan, played = (
        Plan(policy, logs, np.zeros((H + 1, S)), np.zeros((H, S, A)), np.zeros((H, d)))
        for policy, logs in [(np.exp(anchor), anchor.copy())]
        for _ in range(2)
    )
    basis = Basis(anchor, np.array(reward), width.copy(), np.zeros(H))
    zeros, unbounded, free = np.zeros((H, d)), np.full((H, d), np.inf), np.full(H, np.inf)
    return learner, plan, basis, Scratch(played, zeros, unbounded, free, work, np.empty((2, S)), np.zeros((2, 2)))


@njit
def successor(pointer, column, amount, cumulative, row, rng):
    """(factor, next state): a factor drawn from the features of ``row`` = s * A + a, then a state by ``cumulative`` [d, S]."""
    entry, remaining = pointer[row], rng.random()
    while entry + 1 < pointer[row + 1] and remaining >= amount[entry]:
        remaining -= amount[entry]
        entry += 1
    factor, t, u = column[entry], 0, rng.random()
    while t < cumulative.shape[1] - 1 and u >= cumulative[factor, t]:
        t += 1
    return factor, t


@njit
def bonus_widths(beta, inverse, width):
    """width[i] = beta sqrt(inverse_ii)."""
    for i in range(len(width)):
        width[i] = beta * np.sqrt(max(inverse[i, i], 0.0))


@njit
def mirror_step(log_policy, policy, log_reference, q, tau, eta):
    """policy <- argmax_p <p, q> - tau KL(p || reference) - KL(p || policy) / eta."""
    H, S, A = q.shape
    kept, step = 1.0 / (1.0 + tau * eta), 1.0 / (1.0 / eta + tau)
    for h in range(H):
        for s in range(S):
            top, total = -np.inf, 0.0
            for a in range(A):
                pull = step * tau * log_reference[h, s, a] if tau > 0.0 else 0.0
                log_policy[h, s, a] = kept * log_policy[h, s, a] + step * q[h, s, a] + pull
                top = max(top, log_policy[h, s, a])
            for a in range(A):
                total += np.exp(log_policy[h, s, a] - top)
            for a in range(A):
                log_policy[h, s, a] = log_policy[h, s, a] - top - np.log(total)  # in this order: at large steps top would swallow the sum
                policy[h, s, a] = np.exp(log_policy[h, s, a])


@njit
def elliptical_bonus(world, inverse, beta, extra):
    """extra = reward + beta[h] sqrt(phi^T inverse[h] phi)."""
    pointer, column, amount, reward = world.pointer, world.column, world.amount, world.reward
    H, S, A = reward.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                square, row = 0.0, s * A + a
                for i in range(pointer[row], pointer[row + 1]):
                    for j in range(pointer[row], pointer[row + 1]):
                        square += amount[i] * amount[j] * inverse[h, column[i], column[j]]
                extra[h, s, a] = reward[h, s, a] + beta[h] * np.sqrt(max(square, 0.0))


@njit
def certificate(world, policy, width, cap, law):
    """G = E sum_h min(2 <phi, width[h]>, cap[h]) off the fail state, under ``policy`` and the nominal factors (L14). ``law`` [2, S]."""
    pointer, column, amount, factors, _, known, _, _, _, fail, start = world
    H, S, A = policy.shape
    for s in range(S):
        law[0, s] = 1.0 if s == start else 0.0
    total = 0.0
    for h in range(H):
        now, then = law[h % 2], law[(h + 1) % 2]
        for t in range(S):
            then[t] = 0.0
        for s in range(S):
            if s == fail or now[s] == 0.0:
                continue
            for a in range(A):
                mass, row, bonus = now[s] * policy[h, s, a], s * A + a, 0.0
                for e in range(pointer[row], pointer[row + 1]):
                    i = column[e]
                    if not known[i]:
                        bonus += amount[e] * width[h, i]
                    for t in range(S):
                        then[t] += mass * amount[e] * factors[h, i, t]
                total += mass * min(2.0 * bonus, cap[h])
    return total


@njit
def needed(world, rules, learner, values, work):
    """The least c with |estimated - true worst value of factor i for values[h+1]| <= c cap[h+1] sqrt((Lambda[h]^-1)_ii) for all h, i."""
    least, order = 0.0, work.order
    for h in range(len(rules.cap) - 1):
        following = values[h + 1]
        argsort(following, len(following), order, work.spare)
        for i in range(len(world.known)):
            if not world.known[i]:
                radius = world.radius[h, i]
                error = worst_factor(world.code, following, order, learner.weights[h, i], radius, world.penalty, work.shifted)
                error -= worst_factor(world.code, following, order, world.factors[h, i], radius, world.penalty, work.shifted)
                spread = 1.0 / (learner.visits[h, i] + rules.ridge) if rules.tabular else max(learner.inverse[h, i, i], 0.0)
                least = max(least, abs(error) / (np.sqrt(spread) * rules.cap[h + 1]))
    return least


@njit
def booked(ledger, gap, k, every, episodes):
    """Regret after episode k (from 0) of ``episodes``, if each evaluation counts for its whole block of ``every`` episodes.

    ``gap`` is that of episode k; ``ledger`` = (regret up to the end of the block, gap at its start). What of the block lies ahead is taken
    off again.

    >>> ledger = np.zeros(2)
    >>> [booked(ledger, gap, k, 2, 5) for k, gap in enumerate([3.0, 9.0, 1.0, 9.0, 5.0])]
    [3.0, 6.0, 7.0, 8.0, 13.0]
    """
    if k % every == 0:
        ledger[0] += gap * min(every, episodes - k)
        ledger[1] = gap
    ahead = min(every * (k // every + 1), episodes) - (k + 1)
    return ledger[0] - ledger[1] * ahead
