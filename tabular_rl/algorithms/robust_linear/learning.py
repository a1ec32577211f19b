"""What learners of robust linear MDPs keep and share: their arrays by name, the nominal world's draws, policy steps, the certificate.

H steps, S states, A actions, d factors. Features are compressed as in ``linear_robust``. The tuples hold arrays that kernels overwrite.
"""

from collections import namedtuple

import numpy as np

from tabular_rl.kernels.compiling import njit

CLOSED, MIRROR, PREVIOUS = range(3)

# What episodes are drawn from: features [S, A, d], also compressed, and the factors' cumulative sums [H, d, S].
Nominal = namedtuple("Nominal", "features pointer column amount cumulative fail start")
# What robust values are computed from: factors [H, d, S], reward [H, S, A], known [d], radius [H, d], the kind of adversary.
World = namedtuple("World", "pointer column amount factors reward known radius code penalty fail start")
# Hyper-parameters in force: beta, cap [H], ceiling [H, d] of factor values, log_reference [H, S, A], and switches.
Rules = namedtuple("Rules", "beta cap ceiling ridge tau log_reference update eta tabular elliptical rare refresh")
# What the data say: Gram matrices and inverses [H, d, d], estimates and moments [H, d, S], visits and bonus widths [H, d], logdet [H].
Learner = namedtuple("Learner", "gram inverse weights moments visits width logdet direction work")
# The last plan, with the widths and determinants that it was made from; anchor [H, S, A]: the log of the reference in force.
Plan = namedtuple("Plan", "policy log_policy values q u anchor width logdet")
# Work space; ledger [2, 2]: regret so far and the gap of the last evaluation, with and without the KL cost.
Scratch = namedtuple("Scratch", "values q u zeros free unbounded order spare shifted law ledger")


def blank(rules, shape, d):
    """(Learner, Plan, Scratch) before the first episode."""
    H, S, _ = shape
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
    policy, anchor = np.exp(rules.log_reference), rules.log_reference.copy()
    plan = Plan(policy, anchor.copy(), np.zeros((H + 1, S)), np.zeros(shape), np.zeros((H, d)), anchor, width.copy(), np.zeros(H))
    scratch = Scratch(
        values=np.zeros((H + 1, S)),
        q=np.empty(shape),
        u=np.empty((H, d)),
        zeros=np.zeros((H, d)),
        free=np.full(H, np.inf),
        unbounded=np.full((H, d), np.inf),
        order=np.empty(S, np.int64),
        spare=np.empty(S, np.int64),
        shifted=np.empty(S),
        law=np.empty((2, S)),
        ledger=np.zeros((2, 2)),
    )
    return learner, plan, scratch


@njit
def successor(pointer, column, amount, cumulative, h, row, rng):
    """(factor, next state): a factor drawn from the features of ``row`` = s * A + a, then a state from its distribution."""
    entry, remaining = pointer[row], rng.random()
    while entry + 1 < pointer[row + 1] and remaining >= amount[entry]:
        remaining -= amount[entry]
        entry += 1
    factor, t, u = column[entry], 0, rng.random()
    while t < cumulative.shape[2] - 1 and u >= cumulative[h, factor, t]:
        t += 1
    return factor, t


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
def elliptical_bonus(pointer, column, amount, inverse, beta, reward, extra):
    """extra = reward + beta[h] sqrt(phi^T inverse[h] phi)."""
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
def certificate(pointer, column, amount, factors, policy, width, known, cap, start, fail, law):
    """G = E sum_h min(2 <phi, width[h]>, cap[h]) off the fail state, under ``policy`` and the nominal factors (lemma L14)."""
    H, S, A = policy.shape
    law[:] = 0.0
    law[0, start] = 1.0
    total = 0.0
    for h in range(H):
        now, then = law[h % 2], law[(h + 1) % 2]
        then[:] = 0.0
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
