"""Whole runs, replayed in slow plain Python from the same random numbers: nothing is incremental, nothing is shared with the kernels.

Expected losses come from value recursion (the algorithms use occupancies), the comparator from a list of all policies, counts from the
list of all trajectories, confidence sets of two states from their two end points.
"""

import itertools

import numpy as np
import pytest
from scipy.special import softmax

from tabular_rl import losses
from tabular_rl.algorithms import UCBVI, DilatedBonusPO, Uniform
from tabular_rl.models import FiniteHorizonMDP

H, S, A = 3, 2, 2
EPISODES = 80
MEANS = np.random.default_rng(3).uniform(0.1, 0.9, (H, S, A))


def model(kind):
    rng = np.random.default_rng(11)
    initial = [0.3, 0.7]
    if kind == "stationary":
        return FiniteHorizonMDP(rng.dirichlet(np.ones(S), (S, A)), np.zeros((S, A)), initial, H)
    if kind == "deterministic":
        return FiniteHorizonMDP(np.eye(S)[rng.integers(S, size=(H, S, A))], np.zeros((H, S, A)), 0)
    return FiniteHorizonMDP(rng.dirichlet(np.ones(S), (H, S, A)), np.zeros((H, S, A)), initial)


def world(kind, mdp):
    """The problem, and its means as a function of the episode and the policy."""
    if kind == "switching":
        return losses.switching(mdp, 30, MEANS), lambda k, policy: MEANS if k // 30 % 2 == 0 else 1 - MEANS
    if kind == "anti-greedy":
        return losses.anti_greedy(mdp), lambda k, policy: np.eye(A)[policy.argmax(axis=-1)]
    return losses.stochastic(mdp, MEANS, bernoulli=kind == "noisy"), lambda k, policy: MEANS


def value(mdp, policy, loss):
    following = np.zeros(S)
    for h in reversed(range(H)):
        following = np.einsum("sa,sa->s", policy[h], loss[h] + mdp.transition[h] @ following)
    return mdp.initial @ following


def occupancy(mdp, policy):
    rows = [mdp.initial]
    for h in range(H - 1):
        rows.append(np.einsum("s,sa,sat->t", rows[-1], policy[h], mdp.transition[h]))
    return np.array(rows)


def all_occupancies(mdp):
    policies = (np.eye(A)[np.reshape(actions, (H, S))] for actions in itertools.product(range(A), repeat=H * S))
    return np.array([occupancy(mdp, policy)[..., None] * policy for policy in policies])


def draw(weights, rng):
    return int(np.searchsorted(np.cumsum(weights), rng.random(), side="right"))


def play(mdp, policy, means, bernoulli, rng, states):
    s, path = draw(mdp.initial, rng), []
    for h in range(H):
        a = draw(policy[h, s], rng)
        loss = float(rng.random() < means[h, s, a]) if bernoulli else means[h, s, a]
        t = draw(mdp.transition[h, s, a], rng) if h + 1 < states else None
        path.append((s, a, loss, t))
        s = t
    return path


def replay(mdp, means_of, bernoulli, learner, states, seed):
    """(regret, loss) after every episode of a learner with ``policy(k)`` and ``learn(path, policy)``."""
    rng, every = np.random.default_rng(seed), all_occupancies(mdp)
    total, loss, regrets, lost = np.zeros((H, S, A)), 0.0, [], []
    for k in range(EPISODES):
        policy = learner.policy(k)
        means = means_of(k, policy)
        loss, total = loss + value(mdp, policy, means), total + means
        learner.learn(play(mdp, policy, means, bernoulli, rng, states), policy)
        regrets.append(loss - np.min(np.sum(every * total, axis=(1, 2, 3))))
        lost.append(loss)
    return np.array(regrets), np.array(lost)


class SlowDilatedBonus:
    def __init__(self, mdp, eta, gamma, c, log_term=None):
        self.mdp, self.eta, self.gamma, self.c, self.log_term = mdp, eta, gamma, c, log_term
        self.total, self.paid, self.certificate = np.zeros((H, S, A)), 0.0, []
        self.paths, self.epoch, self.policies = [], [], []

    def policy(self, k):
        self.policies.append(softmax(-self.eta * self.total, axis=-1))
        return self.policies[-1]

    def interval(self, h, s, a):
        """The smallest and the largest probability of state 0 after (h, s, a)."""
        if self.log_term is None:
            return (self.mdp.transition[h, s, a, 0],) * 2
        seen = [path[h + 1][0] for path in self.epoch if path[h][:2] == (s, a)]
        n = len(seen)
        if n == 0:
            return 0.0, 1.0
        ends = []
        for state in range(S):
            p, m = seen.count(state) / n, max(n - 1, 1)
            width = min(1, 2 * np.sqrt(p * self.log_term / m) + 14 * self.log_term / (3 * m))
            ends.append((max(0, p - width), min(1, p + width)))
        return max(ends[0][0], 1 - ends[1][1]), min(ends[0][1], 1 - ends[1][0])

    def reach(self, policy, target_h, target, best):
        value = np.eye(S)[target]
        for h in reversed(range(target_h)):
            ends = [[[p * value[0] + (1 - p) * value[1] for p in self.interval(h, s, a)] for a in range(A)] for s in range(S)]
            value = np.sum(policy[h] * best(ends, axis=2), axis=1)
        return self.mdp.initial @ value

    def learn(self, path, policy):
        upper = np.array([[self.reach(policy, h, s, np.max) for s in range(S)] for h in range(H)])
        lower = np.array([[self.reach(policy, h, s, np.min) for s in range(S)] for h in range(H)])
        weight = 1 / (upper[..., None] * policy + self.gamma)
        uncertain = (H - np.arange(H))[:, None, None] * (upper - lower)[..., None] * policy
        local = np.sum(policy * weight * (self.c + uncertain), axis=-1)
        bonus, following = np.zeros((H, S, A)), np.zeros(S)
        for h in reversed(range(H)):
            for s, a in np.ndindex(S, A):
                ends = self.interval(h, s, a) if h + 1 < H else (0.0,)
                bonus[h, s, a] = local[h, s] + (1 + 1 / H) * max(p * following[0] + (1 - p) * following[1] for p in ends)
            following = np.sum(policy[h] * bonus[h], axis=1)
        self.paid += self.mdp.initial @ following
        self.certificate.append(H * np.log(A) / self.eta + (1 + 1 / H) * self.paid)
        self.total -= bonus
        for h, (s, a, _, _) in enumerate(path):
            self.total[h, s, a] += weight[h, s, a] * sum(step[2] for step in path[h:])
        self.paths.append(path)
        pairs = [(h, path[h][:2]) for h in range(H - 1)]
        if any(count(self.paths, *pair) >= max(1, 2 * count(self.epoch, *pair)) for pair in pairs):
            self.epoch = list(self.paths)


def count(paths, h, pair):
    return sum(path[h][:2] == pair for path in paths)


class SlowUCBVI:
    def __init__(self, mdp, scale=1.0, delta=0.05, transition="unknown", anytime=False, share_steps=False):
        self.mdp, self.scale, self.delta, self.known = mdp, scale, delta, transition == "known"
        self.anytime, self.shared = anytime, share_steps
        self.steps = []  # (h, s, a, loss, successor)

    def policy(self, k):
        union = 2 * S * A * H * (k + 1 if self.anytime else EPISODES) * (H if self.shared else 1)
        values, policy = np.zeros(S), np.zeros((H, S, A))
        for h in reversed(range(H)):
            q = np.zeros((S, A))
            for s, a in np.ndindex(S, A):
                seen = [step for step in self.steps if (self.shared or step[0] == h) and step[1:3] == (s, a)]
                if seen:
                    ahead = self.mdp.transition[h, s, a] @ values if self.known else np.mean([values[step[4]] for step in seen])
                    bonus = self.scale * (1 if self.known else H - h) * np.sqrt(np.log(union / self.delta) / (2 * len(seen)))
                    q[s, a] = max(0, np.mean([step[3] for step in seen]) + ahead - bonus)
            values, policy[h] = q.min(axis=1), np.eye(A)[q.argmin(axis=1)]
        return policy

    def learn(self, path, policy):
        self.steps += [(h, *step) for h, step in enumerate(path)]


MODELS = ["steps", "stationary", "deterministic"]
WORLDS = ["noisy", "quiet", "switching", "anti-greedy"]


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mdp", MODELS)
@pytest.mark.parametrize("preset", ["theory", "practical", "luo"])
def test_dilated_bonus_with_known_transition(mdp, kind, preset):
    mdp = model(mdp)
    problem, means_of = world(kind, mdp)
    trace = DilatedBonusPO(preset).run(problem, EPISODES, seed=5)
    numbers = [trace.parameters[name] for name in ("learning_rate", "exploration", "bonus")]
    slow = SlowDilatedBonus(mdp, *numbers)
    regret, loss = replay(mdp, means_of, problem.bernoulli, slow, H, seed=5)
    np.testing.assert_allclose(trace["regret"], regret[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace["loss"], loss[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace.policy, slow.policies[-1], atol=1e-10)
    assert ("certificate" in trace.series) == (preset == "theory" and kind != "anti-greedy")
    if "certificate" in trace.series:
        np.testing.assert_allclose(trace["certificate"], np.array(slow.certificate)[trace.index - 1], rtol=1e-11)


@pytest.mark.parametrize("kind", ["noisy", "switching"])
@pytest.mark.parametrize("mdp", ["steps", "deterministic"])
@pytest.mark.parametrize("confidence", [0.0, 0.01, 1.0])
def test_dilated_bonus_with_unknown_transition(mdp, kind, confidence):
    mdp = model(mdp)
    problem, means_of = world(kind, mdp)
    learner = DilatedBonusPO("theory", transition="unknown", delta=0.2, confidence_scale=confidence, learning_rate=0.01)
    trace = learner.run(problem, EPISODES, seed=6)
    numbers = [trace.parameters[name] for name in ("learning_rate", "exploration", "bonus")]
    slow = SlowDilatedBonus(mdp, *numbers, log_term=confidence * np.log(H * S * A * EPISODES / 0.2))
    regret, loss = replay(mdp, means_of, problem.bernoulli, slow, H, seed=6)
    np.testing.assert_allclose(trace["regret"], regret[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace["loss"], loss[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace.policy, slow.policies[-1], atol=1e-10)
    assert ("certificate" in trace.series) == (confidence == 1)
    if confidence == 1:  # with probability 4 delta = 0.8 the sets fail, and an episode may cost all of H
        promised = np.array(slow.certificate)[trace.index - 1] + 0.8 * H * trace.index
        np.testing.assert_allclose(trace["certificate"], promised, rtol=1e-11)


@pytest.mark.parametrize("kind", ["noisy", "quiet", "switching"])  # anti-greedy losses tie actions up to rounding
@pytest.mark.parametrize(
    ("mdp", "settings"),
    [
        ("steps", {"transition": "unknown", "scale": 0.1}),
        ("steps", {"transition": "known", "scale": 0.15}),
        ("steps", {"transition": "known", "scale": 1.0, "anytime": True}),
        ("deterministic", {"transition": "unknown", "scale": 0.05, "anytime": True}),
        ("stationary", {"transition": "known", "scale": 0.15}),
        ("stationary", {"transition": "unknown", "scale": 0.1, "share_steps": True}),
        ("stationary", {"transition": "known", "scale": 0.1, "share_steps": True, "delta": 1.0}),
    ],
    ids=str,
)
def test_ucbvi(mdp, settings, kind):
    mdp = model(mdp)
    problem, means_of = world(kind, mdp)
    trace = UCBVI(**settings).run(problem, EPISODES, seed=7)
    slow = SlowUCBVI(mdp, **settings)
    regret, loss = replay(mdp, means_of, problem.bernoulli, slow, H + 1, seed=7)
    np.testing.assert_allclose(trace["loss"], loss[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace["regret"], regret[trace.index - 1], atol=1e-10)


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mdp", MODELS)
def test_uniform(mdp, kind):
    mdp = model(mdp)
    problem, means_of = world(kind, mdp)
    trace, policy = Uniform().run(problem, EPISODES), np.full((H, S, A), 1 / A)
    every, means = all_occupancies(mdp), [means_of(k, policy) for k in range(EPISODES)]
    lost = np.cumsum([value(mdp, policy, loss) for loss in means])
    least = [np.min(np.sum(every * np.sum(means[:n], axis=0), axis=(1, 2, 3))) for n in trace.index]
    np.testing.assert_allclose(trace["loss"], lost[trace.index - 1], atol=1e-10)
    np.testing.assert_allclose(trace["regret"], lost[trace.index - 1] - least, atol=1e-10)
