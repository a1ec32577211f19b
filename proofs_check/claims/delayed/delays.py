"""What delays do whatever the learner: counting, truncation, and an adversary with an exact answer (dapo spec, sections 1, 7.3, L7)."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity
from proofs_check.claims.delayed.dapo_estimator import SOURCE, forms, importance_weights
from proofs_check.strategies import DELAYS, delay_sequences, draw, scales
from proofs_check.strategies import delays as delays_of
from tabular_rl.delays import NEVER, schedule


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
