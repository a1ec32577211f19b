"""Draws and episodes from the generator that is passed in: twins that read the same stream, and zeros that are never drawn."""

import numpy as np
import pytest
from scipy import stats

from tabular_rl.kernels.episodic.episodes import draw, sample_episode


class Stream:
    """A generator with given uniforms."""

    def __init__(self, *uniforms):
        self.uniforms = iter(uniforms)

    def random(self):
        return next(self.uniforms)


def draw_twin(weights, rng):
    """Inverse distribution function by bisection in the cumulated weights."""
    return min(int(np.searchsorted(np.cumsum(weights), rng.random(), side="right")), int(np.flatnonzero(weights)[-1]))


WEIGHTS = [[1.0], [0.25, 0.75], [0, 0.5, 0, 0.5, 0], [0, 0, 1.0], [1.0, 0, 0], [1e-300, 1.0], [0.5, 0.5 - 1e-9, 0], [1 / 3] * 3]


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_draw_inverts_the_distribution_function(weights):
    weights, one, two = np.array(weights), np.random.default_rng(1), np.random.default_rng(1)
    assert [draw(weights, one) for _ in range(300)] == [draw_twin(weights, two) for _ in range(300)]


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_draw_never_takes_an_index_without_weight(weights):
    plain = getattr(draw, "py_func", draw)  # the same function, with uniforms that a generator hardly ever gives
    for u in (0.0, 2.0**-53, 0.25, 0.5, 1 - 2.0**-53):
        index = plain(np.array(weights), Stream(u))
        assert weights[index] > 0
        assert index == draw_twin(np.array(weights), Stream(u))


def test_draw_has_its_probabilities():
    """Chi-square over 4 cells, expected 10000 or more in each; a correct draw fails with probability 1e-6."""
    weights, rng = np.array([0.1, 0.0, 0.4, 0.3, 0.2]), np.random.default_rng(0)
    counts = np.bincount([draw(weights, rng) for _ in range(100_000)], minlength=5)
    assert counts[1] == 0
    assert stats.chisquare(np.delete(counts, 1), 1e5 * np.delete(weights, 1)).pvalue > 1e-6


def episode_twin(P, policy, initial, means, bernoulli, rng, room):
    """In the order start, (action, loss, successor), ...; the last successor only where there is room for it."""
    H = len(policy)
    states, actions, losses = [draw_twin(initial, rng)], [], []
    for h in range(H):
        s = states[h]
        actions.append(draw_twin(policy[h, s], rng))
        mean = means[h, s, actions[h]]
        losses.append(float(rng.random() < mean) if bernoulli else mean)
        if h + 1 < room:
            states.append(draw_twin(P[h % len(P), s, actions[h]], rng))
    return states, actions, losses


@pytest.mark.parametrize("bernoulli", [True, False])
@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("stages", [1, 4])
def test_an_episode_reads_the_stream_in_the_stated_order(bernoulli, extra, stages):
    fill = np.random.default_rng(0)
    P, policy = fill.dirichlet(np.full(3, 0.3), (stages, 3, 2)), fill.dirichlet(np.full(2, 0.3), (4, 3))
    initial, means = fill.dirichlet(np.ones(3)), fill.random((4, 3, 2))
    one, two = np.random.default_rng(7), np.random.default_rng(7)
    for _ in range(50):
        states, actions, losses = np.full(4 + extra, -1), np.full(4, -1), np.full(4, np.nan)
        sample_episode(P, policy, initial, means, bernoulli, one, states, actions, losses)
        expected = episode_twin(P, policy, initial, means, bernoulli, two, 4 + extra)
        assert (states.tolist(), actions.tolist(), losses.tolist()) == expected
    assert one.random() == two.random()


def test_means_zero_and_one_are_certain_losses():
    states, actions, losses = np.empty(2, int), np.empty(2, int), np.empty(2)
    P, policy, rng = np.ones((1, 1, 1, 1)), np.ones((2, 1, 1)), np.random.default_rng(0)
    for _ in range(200):
        sample_episode(P, policy, np.ones(1), np.array([[[0.0]], [[1.0]]]), True, rng, states, actions, losses)
        assert losses.tolist() == [0, 1]
