"""Episodic kernels: occupancy, values, best policy in hindsight, sampled episodes.

Shapes: ``P`` [T, S, A, S] with T = H, or T = 1 for a stationary transition (step h reads ``P[h % T]``); ``policy`` [H, S, A];
``reward`` or ``loss`` [T', S, A] likewise; ``initial`` [S].
"""

import numpy as np

from tabular_rl.kernels.compiling import njit, njit_sums


@njit_sums
def weighted_rows(weights, rows, out):
    """out = sum_i weights[i] * rows[i], without the rows of weight 0.

    Eight rows at a time: ``out`` is then read and written an eighth as often (3 times faster than row by row at 16 to 64 columns).
    """
    picked, held = np.empty(8, np.int64), 0
    out[:] = 0.0
    for i in range(len(weights)):
        if weights[i] != 0.0:
            picked[held] = i
            held += 1
        if held == 8:
            i0, i1, i2, i3 = picked[0], picked[1], picked[2], picked[3]
            i4, i5, i6, i7 = picked[4], picked[5], picked[6], picked[7]
            r0, r1, r2, r3, r4, r5, r6, r7 = rows[i0], rows[i1], rows[i2], rows[i3], rows[i4], rows[i5], rows[i6], rows[i7]
            w0, w1, w2, w3 = weights[i0], weights[i1], weights[i2], weights[i3]
            w4, w5, w6, w7 = weights[i4], weights[i5], weights[i6], weights[i7]
            for t in range(len(out)):
                out[t] += w0 * r0[t] + w1 * r1[t] + w2 * r2[t] + w3 * r3[t] + w4 * r4[t] + w5 * r5[t] + w6 * r6[t] + w7 * r7[t]
            held = 0
    for k in range(held):
        row, w = rows[picked[k]], weights[picked[k]]
        for t in range(len(out)):
            out[t] += w * row[t]


@njit_sums
def expectations(rows, picked, count, values, out):
    """out[a] = <rows[a], values> for the first ``count`` actions a in ``picked``.

    Long rows are read four at a time: that keeps four streams of memory busy (1.2 times faster at 1000 columns). Short ones gain
    nothing, and row by row equal rows have equal sums to the last bit, so that ties stay ties.
    """
    i, long_rows = 0, len(values) >= 256
    while long_rows and i + 4 <= count:
        a0, a1, a2, a3 = picked[i], picked[i + 1], picked[i + 2], picked[i + 3]
        r0, r1, r2, r3 = rows[a0], rows[a1], rows[a2], rows[a3]
        e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
        for t in range(len(values)):
            e0 += r0[t] * values[t]
            e1 += r1[t] * values[t]
            e2 += r2[t] * values[t]
            e3 += r3[t] * values[t]
        out[a0], out[a1], out[a2], out[a3] = e0, e1, e2, e3
        i += 4
    while i < count:
        row = rows[picked[i]]
        expected = 0.0
        for t in range(len(values)):
            expected += row[t] * values[t]
        out[picked[i]] = expected
        i += 1


@njit_sums
def state_occupancy(P, policy, initial, occupancy):
    """Fill ``occupancy`` [H, S]: the probability of being in s at step h. Streams the rows of P once: 2 H S^2 A flops."""
    H, S, A = policy.shape
    weights = np.empty((S, A))
    occupancy[0] = initial
    for h in range(H - 1):
        for s in range(S):
            for a in range(A):
                weights[s, a] = occupancy[h, s] * policy[h, s, a]
        weighted_rows(weights.reshape(S * A), P[h % len(P)].reshape(S * A, S), occupancy[h + 1])


@njit_sums
def evaluate_episodic(P, reward, policy, q_values, values):
    """Fill ``q_values`` [H, S, A] and ``values`` [H + 1, S] of a policy: 2 H S^2 A flops, one pass over P."""
    H, S, A = policy.shape
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        stage, r, following = P[h % len(P)], reward[h % len(reward)], values[h + 1]
        for s in range(S):
            value = 0.0
            for a in range(A):
                row = stage[s, a]
                expected = 0.0
                for t in range(S):
                    expected += row[t] * following[t]
                q_values[h, s, a] = r[s, a] + expected
                value += policy[h, s, a] * q_values[h, s, a]
            values[h, s] = value


@njit_sums
def backward_induction(P, reward, q_values, values, actions):
    """Fill optimal ``q_values`` [H, S, A], ``values`` [H + 1, S] and greedy ``actions`` [H, S] (ties: lowest index)."""
    H, S, A = q_values.shape
    everything = np.arange(A)
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        stage, r = P[h % len(P)], reward[h % len(reward)]
        for s in range(S):
            expectations(stage[s], everything, A, values[h + 1], q_values[h, s])
            best, greedy = -np.inf, 0
            for a in range(A):
                q = r[s, a] + q_values[h, s, a]
                q_values[h, s, a] = q
                if q > best:
                    best, greedy = q, a
            values[h, s], actions[h, s] = best, greedy


@njit_sums
def stationary_induction(P, reward, row_error, values, actions):
    """``backward_induction`` with the same ``P`` [S, A, S] and ``reward`` [S, A] at every step, reading no row that cannot matter.

    With d = values[h+1] - values[h+2], every q-value changes by P d, so by min d at least and max d at most, from step h + 1 to h. An
    action whose last q-value plus all max d since then stays under the state's value plus min d is not greedy (MacQueen 1967, for
    finite horizons): its row is left alone. Row sums within ``row_error`` of 1 and the sums' rounding widen the two. The values are
    those of ``backward_induction`` up to rounding. The first step needs no P. Returns the number of rows read.
    """
    H, S = actions.shape
    A = reward.shape[1]
    above, picked, expected, rows = reward.copy(), np.empty(A, np.int64), np.empty(A), 0
    largest = 0.0
    for s in range(S):
        best, greedy = -np.inf, 0
        for a in range(A):
            if reward[s, a] > -np.inf:  # the state has the action
                largest = max(largest, abs(reward[s, a]))
            if reward[s, a] > best:
                best, greedy = reward[s, a], a
        values[H, s], values[H - 1, s], actions[H - 1, s] = 0.0, best, greedy
    for h in range(H - 2, -1, -1):
        low, high, size = np.inf, -np.inf, 0.0
        for s in range(S):
            change = values[h + 1, s] - values[h + 2, s]
            low, high, size = min(low, change), max(high, change), max(size, abs(values[h + 1, s]), abs(values[h + 2, s]))
        slack = row_error * max(abs(low), abs(high)) + 4 * (S + 4) * 2.0**-52 * (largest + size)
        low, high = low - slack, high + slack
        for s in range(S):
            count, floor = 0, values[h + 1, s] + low
            for a in range(A):
                above[s, a] += high
                if not above[s, a] < floor:
                    picked[count] = a
                    count += 1
            expectations(P[s], picked, count, values[h + 1], expected)
            rows += count
            best, greedy = -np.inf, 0
            for i in range(count):
                a = picked[i]
                q = reward[s, a] + expected[a]
                above[s, a] = q
                if q > best:
                    best, greedy = q, a
            values[h, s], actions[h, s] = best, greedy
    return rows


@njit_sums
def least_loss(P, loss, initial, values):
    """The smallest expected total loss of any policy, ``loss`` [H, S, A]; ``values`` [2, S] is work space.

    A ``loss`` of infinity: the pair does not exist.
    """
    H, S, A = loss.shape
    values[H % 2] = 0.0
    for h in range(H - 1, -1, -1):
        stage, following, now = P[h % len(P)], values[(h + 1) % 2], values[h % 2]
        for s in range(S):
            best = np.inf
            for a in range(A):
                row = stage[s, a]
                expected = 0.0
                for t in range(S):
                    expected += row[t] * following[t]
                best = min(best, loss[h, s, a] + expected)
            now[s] = best
    least = 0.0
    for s in range(S):
        least += initial[s] * values[0, s]
    return least


@njit_sums
def expected_loss(occupancy, policy, loss):
    """<occupancy, loss> of a policy: its expected total loss, from ``occupancy`` [H, S], ``policy`` and ``loss`` [H, S, A]."""
    H, S, A = policy.shape
    total = 0.0
    for h in range(H):
        for s in range(S):
            if occupancy[h, s] > 0.0:
                at_state = 0.0
                for a in range(A):
                    at_state += policy[h, s, a] * loss[h, s, a]
                total += occupancy[h, s] * at_state
    return total


@njit
def draw(weights, rng):
    """An index drawn with probabilities ``weights`` (sum 1 up to rounding), never one of weight 0."""
    u = rng.random()
    last = 0
    for i in range(len(weights)):
        if weights[i] > 0.0:
            last = i
            u -= weights[i]
            if u < 0.0:
                break
    return last


@njit
def sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, losses):
    """Play one episode: fill ``states``, ``actions``, ``losses`` [H]; a loss is a 0/1 draw with its mean, or the mean itself.

    With room for H + 1 ``states`` the one after the last step is drawn too.
    """
    s = draw(initial, rng)
    for h in range(len(actions)):
        a = draw(policy[h, s], rng)
        states[h], actions[h], losses[h] = s, a, means[h, s, a]
        if bernoulli:
            losses[h] = 1.0 if rng.random() < means[h, s, a] else 0.0
        if h + 1 < len(states):
            s = draw(P[h % len(P), s, a], rng)
            states[h + 1] = s


@njit_sums
def dilated_bonus(P, policy, local_bonus, dilation, bonus, values):
    """Fill ``bonus`` [H, S, A] and its policy average ``values`` [H + 1, S] by the dilated Bellman equation (Luo, Wei, Lee 2021).

    B[h,s,a] = b[h,s] + dilation * sum_t P[h,s,a,t] sum_a' policy[h+1,t,a'] B[h+1,t,a'],   B[H] = 0;   the theory's dilation is 1 + 1/H.

    One state, one action, three steps and a local bonus of 1: B[0] = 1 + 4/3 + (4/3)^2 = 37/9.

    >>> bonus, values = np.empty((3, 1, 1)), np.empty((4, 1))
    >>> dilated_bonus(np.ones((1, 1, 1, 1)), np.ones((3, 1, 1)), np.ones((3, 1)), 4 / 3, bonus, values)
    >>> (9 * bonus.ravel()).round(12).tolist()
    [37.0, 21.0, 9.0]
    """
    H, S, A = policy.shape
    values[H] = 0.0
    for h in range(H - 1, -1, -1):
        stage, following = P[h % len(P)], values[h + 1]
        for s in range(S):
            value = 0.0
            for a in range(A):
                row = stage[s, a]
                expected = 0.0
                for t in range(S):
                    expected += row[t] * following[t]
                bonus[h, s, a] = local_bonus[h, s] + dilation * expected
                value += policy[h, s, a] * bonus[h, s, a]
            values[h, s] = value


@njit
def softmax(log_weights, probabilities):
    """probabilities [A] = softmax(log_weights), in log space; the two may be the same array.

    The maximum is subtracted from ``log_weights`` in place and entries are kept above -600, so that no probability is zero. But one of
    -inf, of an action that does not exist, stays so.
    """
    A = len(probabilities)
    top = log_weights[0]
    for a in range(1, A):
        top = max(top, log_weights[a])
    total = 0.0
    for a in range(A):
        x = log_weights[a] - top
        if x < -600.0 and x > -np.inf:  # two selections: a jump would cost a quarter of the time
            x = -600.0
        log_weights[a] = x
        probabilities[a] = np.exp(x)
        total += probabilities[a]
    for a in range(A):
        probabilities[a] /= total


@njit
def exponential_weights(log_weights, policy):
    """``softmax`` of every row [H, S, A]."""
    H, S, _ = policy.shape
    for h in range(H):
        for s in range(S):
            softmax(log_weights[h, s], policy[h, s])
