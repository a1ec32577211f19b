"""Online sensitivity sampling with high probability: two-sided norms, how much is kept, charges (lpo spec, 5.6 and 5.8).

The two-sided bound is looked at after every block of points, and at the end: fewer times than the theorem allows for.
"""

import math

import numpy as np

from proofs_check import HighProbability, claim
from proofs_check.claims.exploration.sensitivity import extreme_ratios, random_class
from tabular_rl import instances
from tabular_rl.algorithms import LinearClass, SensitivitySampler, sampling_constant
from tabular_rl.algorithms.exploration.lpo_certificate import optimistic_mdp
from tabular_rl.kernels.discounted.rollouts import Cover, collect, room_for, world_of

SOURCE = "lpo spec"
STEPS, BLOCK, DELTA = 20_000, 400, 1e-6  # two failures of nineteen replicates refute it


def ill_conditioned(size, rng, rare=2e-4):
    """(LinearClass of 200 features whose scales halve from one dimension to the next, rotated, and one more; frequencies [201]).

    That one spans the last dimension alone, and comes with probability ``rare``.
    """
    scales = 2.0 ** -np.arange(size - 1)
    features = np.concatenate([rng.standard_normal((200, size - 1)) * scales, np.zeros((200, 1))], axis=1)
    features = np.concatenate([features / np.linalg.norm(features, axis=1).max(), np.eye(size)[-1:]])
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return LinearClass(features @ rotation), np.append(np.full(200, (1 - rare) / 200), rare)


def follow(sampler, length, frequency, block, rng, adversary=False):
    """Feed ``length`` points in blocks; yields the smallest and largest H(v) / A(v) after each.

    The adversary offers every second point of a block: the one whose own direction is now furthest off.
    """
    functions, (features, differences) = sampler.function_class, sampler.function_class.packed
    squares = (features @ features.T) ** 2 if features.shape[1] else differences if len(differences) else np.eye(functions.n_points)
    for _ in range(length // block):
        points = rng.choice(functions.n_points, block, p=frequency)
        if adversary:
            H, A = (sampler.lam + squares @ weights for weights in (sampler.weights, sampler.full_weights))
            points[::2] = np.argmax(squares[np.argmax(np.abs(H / A - 1))])
        sampler.extend(points)
        yield extreme_ratios(functions, sampler.weights, sampler.full_weights, sampler.lam)


def falling(n):
    """Frequencies [n] like k^-1.5."""
    frequency = np.arange(1.0, n + 1) ** -1.5
    return frequency / frequency.sum()


@claim("sensitivity.two-sided", kind=HighProbability(failure=DELTA, replicates=19), source=f"{SOURCE} 5.6 (S2)", provenance="derived",
       given={"cells, power law": lambda: ("tabular", 12, False), "cells, an adversary who sees the coins": lambda: ("tabular", 12, True),
              "pairs of functions": lambda: ("finite", 6, False), "pairs, an adversary": lambda: ("finite", 6, True),
              "linear, an adversary": lambda: ("linear", 2, True)},
       control={"constant": 1.0})  # fmt: skip
def two_sided(kind, size, adversary, rng, constant=None):
    """A_n / 2 <= H_n <= 3 A_n / 2 for all n <= 20000 and v at once, with C of ``sampling_constant``, with probability 1 - 1e-6.

    Control: C = 1.

    Freedman's inequality along the stream, stopped at its first failure, peeled over dyadic levels of A; linear: on a net of directions.
    """
    functions = random_class(kind, size, rng)
    sampler = SensitivitySampler(functions, constant or sampling_constant(functions, STEPS, delta=DELTA), track_full=True, seed=rng)
    ratios = follow(sampler, STEPS, falling(functions.n_points), BLOCK, rng, adversary)
    return all(low >= 1 / 2 and high <= 3 / 2 for low, high in ratios)


@claim("sensitivity.rare-direction", kind=HighProbability(failure=DELTA, replicates=19), source=f"{SOURCE} 5.6 (S2), 9.2",
       provenance="derived", given={"linear, d = 10": lambda: (10,), "linear, d = 3": lambda: (3,)}, control={"uniform": True})  # fmt: skip
def rare_direction(size, rng, uniform=False):
    """In the linear class, with C of a stream that is fixed in advance (matrix Freedman), the same holds in every direction, one that
    comes with probability 2e-4 included.  Control: a uniform sample of the same size, weighted by the inverse of its share.
    """
    functions, frequency = ill_conditioned(size, rng)
    sampler = SensitivitySampler(functions, sampling_constant(functions, STEPS, delta=DELTA, adaptive=False), track_full=True, seed=rng)
    points = rng.choice(functions.n_points, STEPS, p=frequency)
    kept = sampler.extend(points)
    if uniform:
        share = np.count_nonzero(kept) / STEPS
        kept = (rng.random(STEPS) < share) / share
    blocks = np.arange(STEPS) // (5 * BLOCK)
    H, A = np.zeros((2, functions.n_points, blocks[-1] + 1))
    np.add.at(H, (points, blocks), kept)
    np.add.at(A, (points, blocks), 1.0)
    low, high = extreme_ratios(functions, *(np.cumsum(weights, axis=1).T for weights in (H, A)))
    return low.min() >= 1 / 2 and high.max() <= 3 / 2


@claim("sensitivity.weights-needed", kind=HighProbability(failure=DELTA, replicates=19), source=f"{SOURCE} 5.6 (S2), 9.2",
       provenance="derived", given={"cells": lambda: ("tabular", 12), "pairs of functions": lambda: ("finite", 6),
       "linear, d = 5": lambda: ("linear", 5)}, control={"reweight": False})  # fmt: skip
def weights_needed(kind, size, rng, reweight=True):
    """The same at the end of a stream of 20000 points that is fixed in advance.  Control: kept points count once, not 1/p."""
    functions = random_class(kind, size, rng)
    constant = sampling_constant(functions, STEPS, delta=DELTA, adaptive=False)
    sampler = SensitivitySampler(functions, constant, reweight=reweight, track_full=True, seed=rng)
    ((low, high),) = follow(sampler, STEPS, falling(functions.n_points), STEPS, rng)
    return low >= 1 / 2 and high <= 3 / 2


@claim("sensitivity.size", kind=HighProbability(failure=0.05, replicates=500), source=f"{SOURCE} 5.6 (S3a)", provenance="derived",
       given={"cells, C = 1": lambda: ("tabular", 12, 1.0), "linear, C = 2": lambda: ("linear", 3, 2.0)},
       control={"factor": 1.0, "spare": 0.5})  # fmt: skip
def size(kind, size, constant, rng, factor=math.e - 1, spare=1.0):
    """With probability 1 - delta the sampler has at all times kept <= (e - 1) sum p + log(1 / delta) points, delta = 0.05.

    Control: sum p and half of the logarithm.  Proof: E exp(kept - (e - 1) p) <= 1, Ville.
    """
    functions = random_class(kind, size, np.random.default_rng(0))
    sampler = SensitivitySampler(functions, constant, seed=rng)
    for block in rng.choice(functions.n_points, (12, 25)):
        sampler.extend(block)
        if sampler.n_kept > factor * sampler.sum_probability + spare * math.log(20):
            return False
    return True


def _policy_and_price():
    mdp, known = instances.river_swim(4, discount=0.8), np.ones((4, 2), bool)
    known[3] = False
    pi = np.full((4, 2), [0.3, 0.7])
    K = optimistic_mdp(mdp, known, np.where(known, 0.3, 0.0), pi[None], True)
    return mdp, pi, known, 0.3 * K.occupancy.sum() + K.escapes[0]


@claim("sensitivity.charges", kind=HighProbability(failure=0.05, replicates=500), source=f"{SOURCE} 5.8 (M1)", provenance="derived",
       given={"a policy of a chain, its end unknown": _policy_and_price}, control={"share": 1.0, "spare": 0.25})  # fmt: skip
def charges(mdp, pi, known, price, rng, share=1 - 1 / math.e, spare=1.0):
    """With probability 1 - delta at all times sum E[X | past] <= (sum X + log(1 / delta)) / (1 - 1/e) for X in [0, 1], delta = 0.05: X is
    the bonus 0.3 of the pair where a rollout of LPO stops, or 1 at an unknown one; its mean is the certificate's price.

    Control: the factor 1 and a quarter of the logarithm.
    """
    rollouts, cover = room_for(1000, 0), Cover(pi[None, None], known[None], np.ones(1))
    collect(world_of(mdp), cover, pi, known, np.ones(4, bool), True, rollouts, rng)
    X = np.cumsum(np.where(known.ravel()[rollouts.first], 0.3, 1.0))
    return bool(np.all(price * np.arange(1, 1001) <= (X + spare * math.log(20)) / share))
