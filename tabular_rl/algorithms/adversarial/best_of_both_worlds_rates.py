"""Effective occupancies, learning rates and local bonuses that vanish as the policy becomes deterministic (bobw spec, 3.1 to 3.4 and 3.8).

One (h, s): R = H - h, mu the occupancy (or an upper bound on it), u >= mu its clipped value, beta the inverse learning rate.

    TSALLIS       beta = R sqrt(N) / c0           N grows by 1 / u, before the episode
    SHANNON       beta = R sqrt(A N) / c0         N grows by 1 / (u e), e the last policy's entropy / log A; at most a tenth, or 1 / u
        current                                   e of the policy that is played, after the episode (claims bobw_shannon_rate)
    LOG_BARRIER   beta = sqrt(N / (A log T)) / c0 N grows by what was seen, after the episode

    b = penalty + stability + R (1 - lower / u), lower = mu, or a lower bound on the occupancy when the transition is unknown

Shapes: arrays [H, S] unless said otherwise; rows of unreachable states are never touched. ``A`` is the largest number of actions of a
state; actions that do not exist have probability 0, all others more.
"""

import math
from typing import Any, NamedTuple

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.ftrl import LOG_BARRIER, SHANNON, TSALLIS, leader, local_norm, stability
from tabular_rl.kernels.simplex import entropy

CURRENT_RATIO = 2.5  # Ent(pi_{t+1}) <= 5/2 log A max(Ent(pi_t) / log A, 1 / t), claim bobw-shannon.growth


class Rules(NamedTuple):
    """Switches and numbers in force: ``regularizer`` a code of ``kernels.ftrl``, ``A`` the largest number of actions of a state,
    ``floor`` the least u of the log barrier, 1 / T; ``log_term`` and ``radius_scale`` belong to the confidence sets."""

    regularizer: Any
    current: Any
    known: Any
    A: Any
    c0: Any
    eps: Any
    N0: Any
    bonus_scale: Any
    log_T: Any
    floor: Any
    log_term: Any
    radius_scale: Any


# --- one (h, s)


@njit
def inverse_rate(rules, R, N):
    """beta, see the head."""
    if rules.regularizer == LOG_BARRIER:
        return math.sqrt(N / (rules.A * rules.log_T)) / rules.c0
    return R * math.sqrt(N * (rules.A if rules.regularizer == SHANNON else 1)) / rules.c0


@njit
def clip_threshold(rules, R, N):
    """The least effective occupancy: 1 / (eps sqrt(N)), for the log barrier R / (eps sqrt(N)), and at most 1."""
    return min(1.0, (R if rules.regularizer == LOG_BARRIER else 1.0) / (rules.eps * math.sqrt(N)))


@njit
def increment_before(rules, t, N, u, doubt):
    """What N grows by before episode t: 1 / u; Shannon 1 / (u e), e = max(doubt, 1 / t), but at most N / 10 where that is above 1 / u."""
    if rules.regularizer == TSALLIS:
        return 1 / u
    increment = 1 / (u * max(doubt, 1 / t))
    if increment > N / 10:
        increment = max(N / 10, 1 / u)
    return increment


@njit
def increment_after(rules, t, R, N, u, doubt, clipped, seen):
    """What N grows by after episode t. Shannon, current: 1 / (u doubt), but at most N / (8 log(e A (t + 1))) where that is above 1 / u;
    log barrier: what was ``seen``, (L / u)^2 zeta, and (R / u)^2 where the occupancy was clipped."""
    if rules.regularizer == LOG_BARRIER:
        return seen + ((R / u) ** 2 if clipped else 0.0)
    return max(min(1 / (u * doubt), N / (8 * math.log(math.e * rules.A * (t + 1)))), 1 / u)


@njit
def zeta(pi, a):
    """(1 - pi_a)^2 + sum of the other pi^2: the squared estimation error of a policy that is nearly sure is small.

    >>> import numpy as np
    >>> [float(zeta(np.array([0.75, 0.25]), a)) for a in (0, 1)]
    [0.125, 1.125]
    """
    total = (1 - pi[a]) ** 2
    for b in range(len(pi)):
        if b != a:
            total += pi[b] ** 2
    return total


@njit
def tsallis_bonus(R, pi, visited, u, beta, growth):
    """Penalty 2 growth h1 and stability R^2 mu g / (u^2 beta) of one state, h1 = sum sqrt(pi) - 1, h2 = sum sqrt(pi) (1 - pi).

    g is the smaller of 2 sum sqrt(pi) and, where w = 2 R / (beta u) < 1, 2 h2 / (1 - w): both h1 and h2 vanish at a vertex.
    """
    roots, h2 = 0.0, 0.0
    for p in pi:
        root = math.sqrt(p)
        roots += root
        h2 += root * (1 - p)
    g, w = 2 * roots, 2 * R / (beta * u)
    if w < 1:
        g = min(g, 2 * h2 / (1 - w))
    return 2 * growth * max(roots - 1, 0.0) + R * R * visited / (u * u * beta) * g


@njit
def shannon_stability(R, A, visited, u, beta):
    """R^2 mu A / (u^2 beta)."""
    return R * R * visited * A / (u * u * beta)


@njit
def squared_error(to_go, u, pi, a):
    """(L / u)^2 zeta of the action that was drawn: what the log barrier's N grows by; its stability is 2 / beta of it."""
    return (to_go / u) ** 2 * zeta(pi, a)


@njit
def clip_bias(R, lower, u):
    """R (1 - lower / u): what the clip hides of the losses to come, at most."""
    return R * (1 - lower / u)


@njit
def estimate(to_go, u, pi):
    """Qhat = L / (u pi) of the pair that was visited: its mean is Q, up to the factor mu / u."""
    return to_go / (u * pi)


# --- one episode


class Rates(NamedTuple):
    """Of every state [H, S]: ``N`` and the inverse rate ``beta``, the ``growth`` of beta that the bonus pays for, and ``doubt``, the
    entropy of the last policy over log A (Shannon)."""

    N: Any
    beta: Any
    growth: Any
    doubt: Any


class Reach(NamedTuple):
    """Of every state [H, S]: bounds ``upper`` and ``lower`` on the occupancy (known transition: both are the occupancy), ``u``, the
    effective occupancy, and whether it was ``clipped``."""

    upper: Any
    lower: Any
    u: Any
    clipped: Any


class Path(NamedTuple):
    """One played path [H]: ``states``, ``actions`` and the losses ``to_go``, from each step on."""

    states: Any
    actions: Any
    to_go: Any


@njit
def layer(h, t, rules, reachable, reach, flow, rates, cumulative, z, policy):
    """Effective occupancy, rate and policy of the states of step ``h`` in episode t = 1, 2, ...; returns (clips, Newton steps, solved).

    ``flow`` is what u sends here (log barrier), ``z`` the warm starts.
    """
    N, beta, growth, doubt = rates
    upper, _, u, clipped = reach
    H, S, _ = policy.shape
    R, barrier = H - h, rules.regularizer == LOG_BARRIER
    clips, steps, solved = 0, 0, 0
    for s in range(S):
        if not reachable[h, s]:
            continue
        threshold = clip_threshold(rules, R, N[h, s])
        there = max(flow[h, s], rules.floor) if barrier else upper[h, s]
        u[h, s] = min(1.0, max(there, threshold))
        clipped[h, s] = there < threshold
        clips += clipped[h, s]
        if not (barrier or rules.current):
            N[h, s] += increment_before(rules, t, N[h, s], u[h, s], doubt[h, s])
            grown = inverse_rate(rules, R, N[h, s])
            growth[h, s] = grown - beta[h, s]
            beta[h, s] = grown
        if rules.A > 1:
            z[h, s], count = leader(rules.regularizer, cumulative[h, s], beta[h, s], z[h, s], policy[h, s])
            steps += count
            solved += 1
    return clips, steps, solved


@njit
def advance(P, h, policy, occupancy, u, reachable, flows, flow):
    """Occupancies of step h + 1; where ``flows`` also what u in place of the occupancy sends there."""
    H, S, A = policy.shape
    if h + 1 == H:
        return
    stage = P[h % len(P)]
    occupancy[h + 1] = 0.0
    flow[h + 1] = 0.0
    for s in range(S):
        if not reachable[h, s]:
            continue
        for a in range(A):
            there, sent, row = occupancy[h, s] * policy[h, s, a], u[h, s] * policy[h, s, a], stage[s, a]
            for y in range(S):
                occupancy[h + 1, y] += there * row[y]
            if flows:
                for y in range(S):
                    flow[h + 1, y] += sent * row[y]


@njit
def local_bonuses(t, rules, reachable, policy, reach, path, rates, b):
    """Fill the local bonuses ``b``; where rates follow the episode (log barrier, ``current``) let N grow and fill ``growth``.

    Returns the largest ratio of an entropy to the one its rate was set by (Shannon).
    """
    N, beta, growth, doubt = rates
    upper, lower, u, clipped = reach
    states, actions, to_go = path
    H, S, _ = policy.shape
    A, ratio = rules.A, 0.0
    for h in range(H):
        R = H - h
        for s in range(S):
            if not reachable[h, s] or (rules.regularizer == SHANNON and A == 1):
                b[h, s] = 0.0
                continue
            pi, u_s, beta_s = policy[h, s], u[h, s], beta[h, s]
            visited = upper[h, s] if rules.known else u_s
            bias = clip_bias(R, lower[h, s], u_s)
            if rules.regularizer == TSALLIS:
                b[h, s] = bias + tsallis_bonus(R, pi, visited, u_s, beta_s, growth[h, s])
            elif rules.regularizer == SHANNON:
                now, before = entropy(pi) / math.log(A), max(doubt[h, s], 1 / t)
                ratio, doubt[h, s] = max(ratio, now / before), now
                if rules.current:
                    N[h, s] += increment_after(rules, t, R, N[h, s], u_s, max(now, 1 / t), False, 0.0)
                    growth[h, s] = inverse_rate(rules, R, N[h, s]) - beta_s
                    now = CURRENT_RATIO * max(now, 1 / t)
                penalty = growth[h, s] * math.log(A) * now
                b[h, s] = bias + penalty + shannon_stability(R, A, visited, u_s, beta_s)
            else:
                seen = squared_error(to_go[h], u_s, pi, actions[h]) if states[h] == s else 0.0
                N[h, s] += increment_after(rules, t, R, N[h, s], u_s, 1.0, clipped[h, s], seen)
                growth[h, s] = inverse_rate(rules, R, N[h, s]) - beta_s
                b[h, s] = bias + growth[h, s] * A * rules.log_T + 2 * seen / beta_s
    return ratio


@njit
def learn(bonus_scale, B, path, u, policy, cumulative):
    """cumulative += Qhat - bonus_scale B."""
    H, S, A = cumulative.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                cumulative[h, s, a] -= bonus_scale * B[h, s, a]
        s, a = path.states[h], path.actions[h]
        cumulative[h, s, a] += estimate(path.to_go[h], u[h, s], policy[h, s, a])


@njit
def settle(rates):
    """The rates of the next episode, where they follow the last one."""
    beta, growth = rates.beta, rates.growth
    for h in range(beta.shape[0]):
        for s in range(beta.shape[1]):
            beta[h, s] += growth[h, s]
            growth[h, s] = 0.0


@njit
def recenter(cumulative):
    """Subtract the least entry of every row, which no policy notices: only differences matter, and they keep their digits."""
    for h in range(cumulative.shape[0]):
        for s in range(cumulative.shape[1]):
            least = cumulative[h, s, 0]
            for a in range(1, cumulative.shape[2]):
                least = min(least, cumulative[h, s, a])
            for a in range(cumulative.shape[2]):
                cumulative[h, s, a] -= least


# --- what the bonus costs


@njit
def certify(paid, initial, values):
    """``paid``, grown by what one episode adds to the certificate: (1 + 1/H) <initial, Bbar[0]>."""
    H = len(values) - 1
    for s in range(len(initial)):
        paid += (1 + 1 / H) * initial[s] * values[0, s]
    return paid


@njit
def bonus_stability(regularizer, pi, B, scale, shift, beta):
    """stab(pi, -scale (B - shift), beta / 2); where that is infinite the shift is the maximum of B. Shifts are free, this one is finite."""
    cost = stability(regularizer, pi, B, -scale, shift, beta / 2)
    if cost == math.inf:
        top = -math.inf
        for a in range(len(pi)):
            if pi[a] > 0.0:
                top = max(top, B[a])
        cost = stability(regularizer, pi, B, -scale, top, beta / 2)
    return cost


@njit
def excess(regularizer, reachable, policy, B, values, beta):
    """What the bonus costs beyond what its dilation pays (bobw spec, (C_B) and the extended certificate of 4.4).

    Returns (the largest 4 H local(pi) B / beta, how many exceed 1, if there are any sum_h max_s [stab(pi, -B, beta / 2) - Bbar / H]^+,
    sum_h max B).
    """
    H, S, A = policy.shape
    largest, violations, most = 0.0, 0, 0.0
    for h in range(H):
        top = 0.0
        for s in range(S):
            if not reachable[h, s]:
                continue
            for a in range(A):
                if policy[h, s, a] == 0.0:
                    continue
                size = 4 * H * local_norm(regularizer, policy[h, s, a]) * B[h, s, a] / beta[h, s]
                largest = max(largest, size)
                violations += size > 1
                top = max(top, B[h, s, a])
        most += top
    unpaid = 0.0
    if violations:
        for h in range(H):
            worst = 0.0
            for s in range(S):
                if reachable[h, s]:
                    worst = max(worst, bonus_stability(regularizer, policy[h, s], B[h, s], 1.0, 0.0, beta[h, s]) - values[h, s] / H)
            unpaid += worst
    return largest, violations, unpaid, most


@njit
def comparator_cost(regularizer, comparator, visits, policy, b, B, scale, beta):
    """sum mu^p (b + <pi - p, k B> + stab(pi, -k B, beta / 2)), k = ``scale``: the bound of 4.4 that holds for every k, of one episode.

    Inside stab, B is shifted by its minimum over the actions, which is free.
    """
    H, S, A = policy.shape
    total = 0.0
    for h in range(H):
        for s in range(S):
            if visits[h, s] == 0.0:
                continue
            pi, bonus, linear = policy[h, s], B[h, s], 0.0
            bottom = math.inf
            for a in range(A):
                if pi[a] > 0.0:
                    bottom = min(bottom, bonus[a])
                linear += (pi[a] - comparator[h, s, a]) * bonus[a]
            total += visits[h, s] * (b[h, s] + scale * linear + bonus_stability(regularizer, pi, bonus, scale, bottom, beta[h, s]))
    return total
