"""The mean losses of every schedule against the formulas of their docstring, in plain Python; the block adversary's coin."""

import math

import numpy as np
import pytest
from scipy import stats

from tabular_rl.kernels.episodic import losses as kernels
from tabular_rl.models.adversarial import SCHEDULES

SHAPE = (2, 3, 2)
TABLES = np.random.default_rng(0).random((3, *SHAPE))
POLICIES = np.random.default_rng(1).dirichlet(np.ones(2), (200, 2, 3))
POLICIES[3] = 0.5  # ties


def coin_twin(seed, counter):
    """SplitMix64 with Python's integers."""
    z = (seed * 0xD1342543DE82EF95 + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) >> 63


def constant(k, h, s, a, policy):
    return TABLES[0, h, s, a]


def periodic(k, h, s, a, policy):
    return TABLES[((k + 4) // 7) % 3, h, s, a]


def phases(k, h, s, a, policy):
    index = 0
    while 1.6 ** (index + 1) <= k + 1:
        index += 1
    return TABLES[index % 3, h, s, a]


def drifting(k, h, s, a, policy):
    return 0.5 + (TABLES[0, h, s, a] - 0.5) * math.cos(2 * math.pi * k / 40)


def anti_greedy(k, h, s, a, policy):
    return float(a == policy[h, s].tolist().index(max(policy[h, s]))) if k < 150 else TABLES[0, h, s, a]


def block(k, h, s, a, policy):
    x = coin_twin(9, ((k // 5) * 2 + h) * 3 + s)
    return x if a == 0 else 1 - x


WORLDS = [(constant, ()), (periodic, (7, 4)), (phases, (1.6,)), (drifting, (40,)), (anti_greedy, (150,)), (block, (5, 9))]


@pytest.mark.parametrize(("formula", "parameters"), WORLDS, ids=lambda item: getattr(item, "__name__", ""))
def test_mean_losses_are_their_formula(formula, parameters):
    schedule = list(SCHEDULES).index(formula.__name__)
    packed, means = np.zeros(2), np.full(SHAPE, np.nan)
    packed[: len(parameters)] = parameters
    for k in range(200):
        kernels.mean_losses(schedule, TABLES, packed, k, POLICIES[k], means)
        expected = [[[formula(k, h, s, a, POLICIES[k]) for a in range(2)] for s in range(3)] for h in range(2)]
        np.testing.assert_allclose(means, expected, atol=1e-15)


def test_schedules_and_codes_belong_together():
    assert [getattr(kernels, name.upper()) for name in SCHEDULES] == list(range(len(SCHEDULES)))


@pytest.mark.parametrize("ratio", [2, 3, 10])
def test_phases_change_at_the_powers_of_their_ratio(ratio):
    """Also where the logarithm of a power is a rounding error below its exponent."""
    tables, means = np.arange(64.0).reshape(64, 1, 1, 1), np.empty((1, 1, 1))
    for exponent in range(8):
        for k in (ratio**exponent - 1, ratio ** (exponent + 1) - 2):  # the first and the last episode of the phase
            kernels.mean_losses(kernels.PHASES, tables, np.array([ratio, 0.0]), k, np.ones((1, 1, 1)), means)
            assert means[0, 0, 0] == exponent


def test_the_coin_is_splitmix():
    for seed in (0, 1, 77, 2**53 - 1):
        for counter in (*range(50), 10**9, 2**40):
            assert kernels.coin(seed, counter) == coin_twin(seed, counter)


@pytest.mark.parametrize("seed", [0, 1, 123456789])
def test_the_coin_is_fair_and_its_neighbors_independent(seed):
    """Exact binomial tests over 20000 tosses; a fair independent coin fails any of the four with probability 4e-6."""
    n = 20_000
    tosses = np.array([kernels.coin(seed, counter) for counter in range(n)])
    other = np.array([kernels.coin(seed + 1, counter) for counter in range(n)])
    for heads in (tosses.sum(), (tosses[1:] ^ tosses[:-1]).sum(), (tosses[6:] ^ tosses[:-6]).sum(), (tosses ^ other).sum()):
        assert stats.binomtest(int(heads), n, 0.5).pvalue > 1e-6
