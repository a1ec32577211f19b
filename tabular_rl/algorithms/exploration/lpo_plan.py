"""Natural policy gradient in an optimistic MDP, from importance-weighted rollouts that are used again (lpo spec, section 2, SOLVE).

Pairs are s A + a; ``classes`` = (features [S*A, d], differences [J, S*A], functions [K, S*A]) of a tabular (all empty), linear or finite
class. ``rules`` are an LPO run's ``Rules``; World, Cover and Rollouts are those of ``kernels.discounted.rollouts``.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.rollouts import collect, weighted_returns
from tabular_rl.kernels.linear.ridge import invert


@njit
def what_is_known(widths, rules, discount, known, bonus):
    """Fill ``known`` and ``bonus`` [S, A] from the squared ``widths`` [S*A].

    b = 2 alpha sqrt(w2) where w2 <= tau2; what is not known is worth 1 / (1 - discount): in the mode "bonus" it is paid on top.
    """
    S, A = known.shape
    for s in range(S):
        for a in range(A):
            w2 = widths[s * A + a]
            known[s, a] = not rules.explore or w2 <= rules.known_width * (1 + 1e-9)  # counts hit the limit exactly
            bonus[s, a] = 2 * rules.bonus_scale * np.sqrt(w2) if known[s, a] and rules.explore else 0.0
            if not known[s, a] and not rules.terminal:
                bonus[s, a] = 1 / (1 - discount)


@njit
def plan(world, classes, cover, known, bonus, theta, rules, rollouts, iterates, q_estimates, rng):
    """T steps of natural policy gradient into ``iterates`` [T, S, A]; (environment steps, refreshes of the rollouts).

    ``cover`` is what rollouts roll in by; if it is empty nothing is learned. ``theta`` [S, A] are logits to start from; ``q_estimates``
    [T, S, A], or empty, receives Qhat. Where a state lacks an action its ``theta`` and the world's reward are -inf, and it is ``known``:
    no policy ever plays it.
    """
    features, _, functions = classes
    (T, S, A), d = iterates.shape, features.shape[1]
    known_state, policy, log_policy, log_then = np.empty(S, np.bool_), np.empty((S, A)), np.zeros((S, A)), np.zeros((S, A))
    wanted, ratio, paid = np.empty(S, np.bool_), np.ones(S * A), np.empty(S * A)
    sums, counts, estimate, inverse = np.zeros(S * A), np.zeros(S * A), np.zeros(S * A), np.empty((d, d))
    reward, lump, played, refreshes, last = np.empty(S * A), 1 / (1 - world.discount), 0, 0, 0

    start_policy(known, theta, known_state, policy, log_policy)
    for s in range(S):
        wanted[s] = known_state[s] or d > 0 or len(functions) > 0  # tables learn nothing of known states from unknown ones
        for a in range(A):
            reward[s * A + a], paid[s * A + a] = world.reward[s, a], world.reward[s, a] + bonus[s, a]
    for t in range(T):
        copy_table(policy, iterates[t])
        if len(cover.cumulated) == 0 or not known_state.any():
            continue
        fresh = refreshes == 0 or refresh_is_due(rules, t - last, log_policy, log_then, known_state)
        if fresh:
            copy_table(log_policy, log_then)
            played += collect(world, cover, policy, known, wanted, rules.terminal, rollouts, rng)
            refreshes, last = refreshes + 1, t
        importance_ratios(log_policy, log_then, known_state, ratio)
        weighted_returns(rollouts, ratio, reward, paid, lump, sums, counts)
        if fresh and d > 0:
            invert_covariance(features, counts, rules.lam, inverse)
        regress(features, functions, inverse, sums, counts, estimate)
        improve(estimate, bonus, rules, known_state, theta, policy, log_policy, q_estimates, t)
    return played, refreshes


@njit
def copy_table(source, target):
    """``target`` [S, A] becomes ``source``."""
    for s in range(source.shape[0]):
        for a in range(source.shape[1]):
            target[s, a] = source[s, a]


@njit
def start_policy(known, theta, known_state, policy, log_policy):
    """softmax(theta) where all actions are known (``known_state``), elsewhere uniform over the unknown ones."""
    S, A = known.shape
    for s in range(S):
        unknown = 0
        for a in range(A):
            unknown += not known[s, a]
        known_state[s] = unknown == 0
        if known_state[s]:
            log_softmax(theta[s], policy[s], log_policy[s])
        else:
            for a in range(A):
                policy[s, a] = 0.0 if known[s, a] else 1.0 / unknown
                log_policy[s, a] = -np.inf if known[s, a] else np.log(policy[s, a])


@njit
def refresh_is_due(rules, age, log_policy, log_then, known_state):
    """Whether rollouts that are ``age`` iterations old must be drawn anew: at a fixed interval, or once the policy has left the window."""
    return age >= rules.interval if rules.interval > 0 else moved(log_policy, log_then, known_state) > rules.window


@njit
def importance_ratios(log_policy, log_then, known_state, ratio):
    """``ratio`` [S*A] = pi / pi_then on known states; elsewhere the policy does not move: 1."""
    S, A = log_policy.shape
    for s in range(S):
        for a in range(A):
            played = known_state[s] and log_policy[s, a] > -np.inf
            ratio[s * A + a] = np.exp(log_policy[s, a] - log_then[s, a]) if played else 1.0


@njit
def improve(estimate, bonus, rules, known_state, theta, policy, log_policy, q_estimates, t):
    """theta += eta Qhat, Qhat = clip(estimate + bonus / 2, 0, B), and the policy's softmax, on known states."""
    S, A = policy.shape
    for s in range(S):
        if known_state[s]:
            for a in range(A):
                q = min(max(estimate[s * A + a] + bonus[s, a] / 2, 0.0), rules.B)
                theta[s, a] += rules.learning_rate * q
                if len(q_estimates) > 0:
                    q_estimates[t, s, a] = q
            log_softmax(theta[s], policy[s], log_policy[s])


@njit
def log_softmax(logits, probabilities, logs):
    """probabilities = softmax(logits), and their logarithms."""
    top, total = -np.inf, 0.0
    for a in range(len(logits)):
        top = max(top, logits[a])
    for a in range(len(logits)):
        total += np.exp(logits[a] - top)
    for a in range(len(logits)):
        logs[a] = logits[a] - top - np.log(total)
        probabilities[a] = np.exp(logs[a])


@njit
def moved(log_policy, log_then, known_state):
    """max over known states of log sum_a pi^2 / pi_then, in log space."""
    largest = 0.0
    for s in range(len(known_state)):
        if known_state[s]:
            top, total = -np.inf, 0.0
            for a in range(log_policy.shape[1]):
                if log_policy[s, a] > -np.inf:
                    top = max(top, 2 * log_policy[s, a] - log_then[s, a])
            for a in range(log_policy.shape[1]):
                if log_policy[s, a] > -np.inf:
                    total += np.exp(2 * log_policy[s, a] - log_then[s, a] - top)
            largest = max(largest, top + np.log(total))
    return largest


@njit
def invert_covariance(features, counts, lam, inverse):
    """inverse = (lam I + sum counts phi phi^T)^-1."""
    d = features.shape[1]
    gram = np.zeros((d, d))
    for i in range(d):
        gram[i, i] = lam
    for pair in range(len(counts)):
        if counts[pair] > 0.0:
            for i in range(d):
                for j in range(d):
                    gram[i, j] += counts[pair] * features[pair, i] * features[pair, j]
    invert(gram, inverse)


@njit
def regress(features, functions, inverse, sums, counts, estimate):
    """Least squares in the class: means of each pair (0 without data), ridge regression, or the best function of the list."""
    d = features.shape[1]
    if d > 0:
        target, coefficients = np.zeros(d), np.zeros(d)
        for pair in range(len(sums)):
            if counts[pair] > 0.0:
                for i in range(d):
                    target[i] += features[pair, i] * sums[pair]
        for i in range(d):
            for j in range(d):
                coefficients[i] += inverse[i, j] * target[j]
        for pair in range(len(sums)):
            estimate[pair] = 0.0
            for i in range(d):
                estimate[pair] += features[pair, i] * coefficients[i]
    elif len(functions) > 0:
        best, chosen = np.inf, 0
        for k in range(len(functions)):
            error = 0.0
            for pair in range(len(sums)):
                error += functions[k, pair] * (counts[pair] * functions[k, pair] - 2 * sums[pair])
            if error < best:
                best, chosen = error, k
        for pair in range(len(sums)):
            estimate[pair] = functions[chosen, pair]
    else:
        for pair in range(len(sums)):
            estimate[pair] = sums[pair] / counts[pair] if counts[pair] > 0.0 else 0.0
