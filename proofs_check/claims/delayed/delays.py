"""What delays do whatever the learner: counting, truncation, and an adversary with an exact answer (dapo spec, sections 1, 7.3, L7)."""

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, identity
from proofs_check.claims.delayed.dapo_estimator import SOURCE, forms, importance_weights
from proofs_check.strategies import DELAYS, delay_sequences, draw, scales
from proofs_check.strategies import delays as delays_of
from tabular_rl import delays as processes
from tabular_rl.delays import NEVER, schedule
from tabular_rl.kernels.episodic.feedback import deliver


def lossy_delays(episodes, kind, share, seed):
    """Delays of which this ``share`` never arrives: -1."""
    lost = np.random.default_rng([seed, 1]).random(episodes) < share
    return np.where(lost, NEVER, delays_of(episodes, kind, seed))


_lossy = draw(lossy_delays, st.integers(1, 12), st.sampled_from(DELAYS), st.sampled_from([0.0, 0.3, 1.0]))


def tie_breaks(delays, seed):
    """An order in which feedback of the same time is processed: ranks [K]."""
    return np.random.default_rng(seed).permutation(len(delays))


def _overtaking(arrival, ranks):
    """(before [K, K], together [K, K]): whether row j is processed before column k and after k was played; arrived together."""
    place = np.empty(len(arrival), int)
    place[np.lexsort((ranks, arrival))] = np.arange(len(arrival))
    together = (arrival[:, None] == arrival) & (place[:, None] != place)
    return (place[:, None] < place) & (arrival[:, None] >= np.arange(len(arrival))), together


@claim("delays.counting", kind=identity, source=f"{SOURCE} L7", provenance="derived",
       given=(_lossy, draw(tie_breaks, fit=True)), control={"truncated": False}, exact=True)  # fmt: skip
def counting(delays, ranks, truncated=True):
    """sum_k |N_k| = D~ for N_k = {j processed before k, at the end of episode k or later}, in every order of what arrives together.

    N_k are the updates between play and arrival. D~ = sum d~, d~[k] = min(d[k], K-1-k), K-1-k for what never arrives.
    Control: D, not truncated at the end of the run.

    Proof: a pair i < j with i + d~[i] >= j is counted once: i in N_j if i is processed first, else j in N_i. No other pair ever is.
    """
    plan = schedule(delays)
    before, _ = _overtaking(plan.arrival, ranks)
    return Fraction(int(before.sum())), Fraction(plan.effective_total if truncated else plan.total)


@claim("delays.counting-joint", kind=identity, source=f"{SOURCE} L7", provenance="derived",
       given=(delay_sequences(), draw(tie_breaks, fit=True)), control={"within": False}, exact=True)  # fmt: skip
def counting_joint(delays, ranks, within=True):
    """Of the D~ pairs, D_in = sum_t n_t (n_t - 1) / 2 arrive together, and D_out = D~ - D_in one after the other.

    Control: all D~ pairs one after the other.
    """
    plan = schedule(delays)
    before, together = _overtaking(plan.arrival, ranks)
    inside = plan.within_batches
    counted = [Fraction(int((before & together).sum())), Fraction(int((before & ~together).sum()))]
    return np.array(counted), np.array([Fraction(inside), Fraction(plan.effective_total - inside * within)])


@claim("delays.truncation", kind=identity, source="dapo spec section 1", provenance="derived",
       given=(_lossy,), control={"horizon": 2}, exact=True)  # fmt: skip
def truncation(delays, horizon=1):
    """What is known before each of the K episodes is the same for d and for d~: what comes at the end or later is never used.

    So every bound in D~ covers feedback that never arrives. Control: delays cut one episode shorter, at K-2-k.
    """
    K = len(delays)
    k = np.arange(K)
    arrival = np.where(delays == NEVER, 10 * K, k + delays)
    shortened = np.maximum(np.minimum(schedule(delays).effective, K - horizon - k), 0)
    known, known_too = (late[:, None] < k for late in (arrival, k + shortened))
    as_fractions = np.vectorize(lambda flag: Fraction(int(flag)), otypes=[object])
    return as_fractions(known), as_fractions(known_too)


@cache
def _bits(n):
    return np.indices((2,) * n).reshape(n, -1)


@claim("delays.block-adversary", kind=identity, source="dapo spec 7.3", provenance="derived",
       given=(st.sampled_from([2, 4, 6, 8]), st.integers(1, 6)), control={"blocks": False}, exact=True)  # fmt: skip
def block_adversary(n, length, blocks=True):
    """E R_K = b (n/2) C(n, n/2) / 2^n for n blocks of b episodes with losses (x, 1 - x), x a fair bit per block, and delays b - 1.

    Every learner loses 1/2 per episode, so the regret is K/2 - E min(X, K - X), here over all 2^n bits: of order sqrt(K b).
    Control: a fair bit per episode, which forgets that feedback is late.
    """
    K, losses = n * length, length * _bits(n).sum(axis=0)
    expected = sum(Fraction(K, 2) - int(least) for least in np.minimum(losses, K - losses)) / 2**n
    m, b = (n, length) if blocks else (K, 1)
    return expected, Fraction(b * m * math.comb(m, m // 2), 2 * 2**m)


@claim("delays.zero-information", kind=identity, source="dapo spec 7.3", provenance="derived",
       given=(st.sampled_from([(1, 4), (2, 2), (3, 2), (2, 3)]), scales(-2, 1), scales(-2, 0), forms), control={"leak": 1})  # fmt: skip
def zero_information(sizes, eta, gamma, form, leak=0):
    """Against the block adversary every episode's expected loss is 1/2: no feedback of a block can be used within it.

    Exponential weights with the delay-adapted estimator, H = S = 1, two actions, exact: all bits and all actions of the run are listed.
    Control: feedback is usable one episode early.
    """
    b, n = sizes
    K, d = b * n, b - 1 - leak if b > 1 else 0
    bits, actions = _bits(n + K)[:n], _bits(n + K)[n:]
    losses = np.where(actions == 0, bits.repeat(b, axis=0), 1 - bits.repeat(b, axis=0))
    plan = schedule(np.full(K, d))
    likely, log_weight, policies, q = np.full(losses.shape[1], 0.5**n), np.zeros(losses.shape[1]), [], np.ones(1)
    expected = np.empty(K)
    for k in range(K):
        first = np.exp(-np.logaddexp(0, -log_weight))  # log_weight: of action 0 over action 1
        policies.append(np.stack([first, 1 - first], axis=-1))
        chosen = np.where(actions[k] == 0, first, 1 - first)
        likely = likely * chosen
        expected[k] = likely @ losses[k] * 2.0 ** (k + 1 - K)  # the actions still to come are listed 2^(K-1-k) times
        for j in plan.order[plan.pointer[k] : plan.pointer[k + 1]]:
            w = importance_weights(q, policies[j], policies[-1], gamma, form)
            estimate = np.where(actions[j] == 0, w[:, 0], w[:, 1]) * losses[j]
            log_weight = log_weight - eta * np.where(actions[j] == 0, estimate, -estimate)
    return expected, np.full(K, 0.5), 1.0


@claim("delays.delivery", kind=identity, source="dapo spec section 1", provenance="derived",
       given=(_lossy, st.booleans()), control={"early": 1}, exact=True)  # fmt: skip
def delivery(delays, keep_last, early=0):
    """At the end of episode t the Delivery has those j with j + d[j] = t, the earliest first, at the end of the last one all that is left;
    d~, D~ and D count them; and what waits has a slot of its own from play to arrival, of no more slots than wait at once.

    Control: feedback one episode early.
    """
    K, plan = len(delays), schedule(delays)
    arrival = [K - 1 if d == NEVER else min(k + max(int(d) - early, 0), K - 1) for k, d in enumerate(delays)]
    found = deliver(plan, keep_last)
    kept = [k for k in range(K) if keep_last or arrival[k] < K - 1]
    waiting = [[j for j in kept if j <= k <= arrival[j]] for k in range(K)]
    told: list[Any] = [
        [(k, *found.order[found.pointer[k] : found.pointer[k + 1]]) for k in range(K)],
        [plan.arrival, [plan.effective_total, plan.total]],
        [[len({found.slot[j] for j in group}) for group in waiting], [found.n_slots], found.slot >= 0],
    ]
    expected: list[Any] = [
        [(k, *(i for i in range(K) if arrival[i] == k)) for k in range(K)],
        [arrival, [sum(t - k for k, t in enumerate(arrival)), sum(K - 1 - k if d == NEVER else int(d) for k, d in enumerate(delays))]],
        [[len(group) for group in waiting], [max(1, *(len(group) for group in waiting))], [k in kept for k in range(K)]],
    ]
    lhs, rhs = ([Fraction(int(x)) for part in side for row in part for x in row] for side in (told, expected))
    size = max(len(lhs), len(rhs))  # a list of another length differs
    one, other = (side + [Fraction(-1)] * (size - len(side)) for side in (lhs, rhs))
    return np.array(one), np.array(other)


@claim("delays.fixed-processes", kind=identity, source="dapo spec 7.1", provenance="derived",
       given=(st.integers(1, 60), st.integers(0, 20)), control={"longer": 1}, exact=True)  # fmt: skip
def fixed_processes(n, mean, longer=0):
    """fixed: all d; giant: K - 1 and zeros; blackout: m = min(floor(sqrt(2 d K)), floor(K / 2)) episodes from floor(K / 4) on are heard of
    at the end of the one after them, a total of m (m + 1) / 2; none: zeros; what takes longer than the threshold of ``skip`` never arrives.

    Control: a window that is longer by one.
    """
    m, first = min(math.isqrt(2 * mean * n), n // 2) + longer, n // 4
    window = [first + m - k if first <= k < first + m else 0 for k in range(n)]
    made = [
        processes.fixed(mean),
        processes.giant(),
        processes.blackout(mean),
        processes.none(),
        processes.skip(processes.blackout(mean), 3),
    ]
    expected = [[mean] * n, [n - 1] + [0] * (n - 1), window, [0] * n, [NEVER if d > 3 else d for d in window]]
    lhs = [x for process in made for x in process.sequence(n)] + [processes.blackout(mean).sequence(n).sum()]
    rhs = [x for one in expected for x in one] + [m * (m + 1) // 2]
    return np.array([Fraction(int(x)) for x in lhs]), np.array([Fraction(int(x)) for x in rhs])


@claim("delays.random-processes", kind=Expectation(replicates=4000, equal=True), source="dapo spec 7.1", provenance="derived",
       given={"mean 3": lambda: (3,), "mean 1": lambda: (1,)}, control={"shift": 1})  # fmt: skip
def random_processes(mean, rng, shift=0):
    """The laws of the delays: uniform on 0 .. 2 mean; geometric with success 1 / (1 + mean); Pareto of index 3/2 from mean / 3 on, rounded
    down; lost with the given probability. Here the probabilities of the first few values.

    Control: delays longer by one.
    """
    n, seed, p, lost = 2000, int(rng.integers(2**40)), 1 / (1 + mean), 0.2
    uniform, geometric, pareto = (
        make(mean, seed).sequence(n) + shift for make in (processes.uniform, processes.geometric, processes.pareto)
    )
    events, chances = [processes.missing(lost, seed).sequence(n) == NEVER], [lost]
    for v in range(2 * mean + 2):
        events += [uniform == v, geometric == v, pareto >= v + 1]
        chances += [(v <= 2 * mean) / (2 * mean + 1), p * (1 - p) ** v, min(1.0, (mean / (3 * (v + 1))) ** 1.5)]
    return np.stack(events, axis=1).astype(float), np.array(chances), 0.0, 1.0
