"""Effective occupancies, learning rates and local bonuses that vanish with the policy's doubt (bobw spec, 3.1 to 3.4 and 3.8).

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

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.ftrl import LOG_BARRIER, SHANNON, TSALLIS, leader, local_norm, stability

CURRENT_RATIO = 2.5  # Ent(pi_{t+1}) <= 5/2 log A max(Ent(pi_t) / log A, 1 / t), claim bobw-shannon.growth


@njit
def inverse_rate(regularizer, R, A, c0, log_T, N):
    """beta, see the head."""
    if regularizer == LOG_BARRIER:
        return math.sqrt(N / (A * log_T)) / c0
    return R * math.sqrt(N * (A if regularizer == SHANNON else 1)) / c0


@njit
def entropy(x):
    """- sum x log x."""
    total = 0.0
    for p in x:
        if p > 0.0:
            total -= p * math.log(p)
    return total


@njit
def layer(
    h, A, regularizer, current, reachable, c0, eps, log_T, t, floor, upper, flow, doubt, cumulative, N, beta, growth, u, clipped, z, policy
):  # fmt: skip
    """Effective occupancy, rate and policy of the states of step ``h`` in episode t = 1, 2, ...; returns (clips, Newton steps, solved).

    ``upper`` is mu or its bound, ``flow`` what u sends here (log barrier), ``doubt`` the entropy of the last policy over log A, ``growth``
    by how much beta grew, ``floor`` the least u of the log barrier, ``z`` the warm starts.
    """
    H, S, _ = policy.shape
    R, barrier = H - h, regularizer == LOG_BARRIER
    clips, steps, solved = 0, 0, 0
    for s in range(S):
        if not reachable[h, s]:
            continue
        threshold = min(1.0, (R if barrier else 1.0) / (eps * math.sqrt(N[h, s])))
        there = max(flow[h, s], floor) if barrier else upper[h, s]
        u[h, s] = min(1.0, max(there, threshold))
        clipped[h, s] = there < threshold
        clips += clipped[h, s]
        if not (barrier or current):
            increment = 1 / u[h, s]
            if regularizer == SHANNON:
                increment = 1 / (u[h, s] * max(doubt[h, s], 1 / t))
                if increment > N[h, s] / 10:
                    increment = max(N[h, s] / 10, 1 / u[h, s])
            N[h, s] += increment
            grown = inverse_rate(regularizer, R, A, c0, log_T, N[h, s])
            growth[h, s] = grown - beta[h, s]
            beta[h, s] = grown
        if A > 1:
            z[h, s], count = leader(regularizer, cumulative[h, s], beta[h, s], z[h, s], policy[h, s])
            steps += count
            solved += 1
    return clips, steps, solved


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
def zeta(pi, a):
    """(1 - pi_a)^2 + sum of the other pi^2: the squared estimation error of a policy that is nearly sure is small."""
    total = (1 - pi[a]) ** 2
    for b in range(len(pi)):
        if b != a:
            total += pi[b] ** 2
    return total


@njit
def local_bonuses(
    A, regularizer, current, known, reachable, c0, log_T, t, policy, upper, lower, states, actions, to_go, clipped, u, doubt, N, beta,
    growth, b,
):  # fmt: skip
    """Fill the local bonuses ``b``; where rates follow the episode (log barrier, ``current``) let N grow and fill ``growth``.

    Returns the largest ratio of an entropy to the one its rate was set by (Shannon).
    """
    H, S, _ = policy.shape
    ratio, barrier = 0.0, regularizer == LOG_BARRIER
    for h in range(H):
        R = H - h
        for s in range(S):
            if not reachable[h, s] or (regularizer == SHANNON and A == 1):
                b[h, s] = 0.0
                continue
            pi, u_s, beta_s = policy[h, s], u[h, s], beta[h, s]
            visited = upper[h, s] if known else u_s
            bias = R * (1 - lower[h, s] / u_s)
            if regularizer == TSALLIS:
                b[h, s] = bias + tsallis_bonus(R, pi, visited, u_s, beta_s, growth[h, s])
                continue
            seen = 0.0
            if barrier:
                seen = (to_go[h] / u_s) ** 2 * zeta(pi, actions[h]) if states[h] == s else 0.0
                N[h, s] += seen + ((R / u_s) ** 2 if clipped[h, s] else 0.0)
            else:
                now, before = entropy(pi) / math.log(A), max(doubt[h, s], 1 / t)
                ratio, doubt[h, s] = max(ratio, now / before), now
                if current:
                    now = max(now, 1 / t)
                    N[h, s] += max(min(1 / (u_s * now), N[h, s] / (8 * math.log(math.e * A * (t + 1)))), 1 / u_s)
            if barrier or current:
                growth[h, s] = inverse_rate(regularizer, R, A, c0, log_T, N[h, s]) - beta_s
            if barrier:
                b[h, s] = bias + growth[h, s] * A * log_T + 2 * seen / beta_s
            else:
                penalty = growth[h, s] * math.log(A) * (CURRENT_RATIO * now if current else now)
                b[h, s] = bias + penalty + R * R * visited * A / (u_s * u_s * beta_s)
    return ratio


@njit
def learn(bonus_scale, B, states, actions, to_go, u, policy, cumulative):
    """cumulative += Qhat - bonus_scale B, Qhat = to_go / (u pi) on the path: unbiased up to the factor mu / u."""
    H, S, A = cumulative.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                cumulative[h, s, a] -= bonus_scale * B[h, s, a]
        s, a = states[h], actions[h]
        cumulative[h, s, a] += to_go[h] / (u[h, s] * policy[h, s, a])


@njit
def settle_rates(beta, growth):
    """The rates of the next episode, where they follow the last one."""
    for h in range(beta.shape[0]):
        for s in range(beta.shape[1]):
            beta[h, s] += growth[h, s]
            growth[h, s] = 0.0


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
def excess(regularizer, reachable, policy, B, values, beta):
    """What the bonus costs beyond what its dilation pays (bobw spec, (C_B) and the extended certificate of 4.4).

    Returns (the largest 4 H local(pi) B / beta, how many exceed 1, if there are any sum_h max_s [stab(pi, -B, beta / 2) - Bbar / H]^+,
    sum_h max B). Where stab is infinite B is shifted by its maximum, which is free and always finite.
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
                    cost = stability(regularizer, policy[h, s], B[h, s], -1.0, 0.0, beta[h, s] / 2)
                    if cost == math.inf:
                        cost = stability(regularizer, policy[h, s], B[h, s], -1.0, top_of(B[h, s], policy[h, s]), beta[h, s] / 2)
                    worst = max(worst, cost - values[h, s] / H)
            unpaid += worst
    return largest, violations, unpaid, most


@njit
def top_of(row, pi):
    """The maximum of a row, over the actions that exist."""
    top = -math.inf
    for a in range(len(row)):
        if pi[a] > 0.0:
            top = max(top, row[a])
    return top


@njit
def comparator_cost(regularizer, comparator, visits, policy, b, B, scale, beta):
    """sum mu^p (b + <pi - p, k B> + stab(pi, -k B, beta / 2)), k = ``scale``: the bound of 4.4 that holds for every k, of one episode.

    B is shifted by its minimum over the actions, and where that makes stab infinite by its maximum: both are free.
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
            cost = stability(regularizer, pi, bonus, -scale, bottom, beta[h, s] / 2)
            if cost == math.inf:
                cost = stability(regularizer, pi, bonus, -scale, top_of(bonus, pi), beta[h, s] / 2)
            total += visits[h, s] * (b[h, s] + scale * linear + cost)
    return total


@njit
def raise_most_truncated(A, regularizer, H, c0, eps, log_T, reachable, policy, u, old_N, old_beta, N, beta, b):
    """The virtual episode of the state with the largest 1 / (u eps sqrt(N)), if that is above 1; returns whether there was one.

    Rates go back to those before the trial, but that state's beta grows by a share 1 / (24 H log T); ``b`` becomes the penalty of that,
    0 elsewhere. Where clipping would start is where episodes are made up [reconstructed, bobw spec 3.6].
    """
    S = policy.shape[1]
    worst, at_h, at_s = 1.0, -1, -1
    for h in range(H):
        for s in range(S):
            if reachable[h, s]:
                neglect = 1 / (max(u[h, s], 1e-300) * eps * math.sqrt(N[h, s]))
                if neglect > worst:
                    worst, at_h, at_s = neglect, h, s
    if at_h < 0:
        return False
    old_N[at_h, at_s] *= (1 + 1 / (24 * H * log_T)) ** 2
    N[:] = old_N
    before = old_beta[at_h, at_s]
    old_beta[at_h, at_s] = inverse_rate(regularizer, H - at_h, A, c0, log_T, N[at_h, at_s])
    beta[:] = old_beta
    b[:] = 0.0
    pi, roots = policy[at_h, at_s], 0.0
    for p in pi:
        roots += math.sqrt(p)
    b[at_h, at_s] = (old_beta[at_h, at_s] - before) * (entropy(pi) if regularizer == SHANNON else 2 * (roots - 1))
    return True
