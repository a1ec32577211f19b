"""The learners with late feedback once more, in plain Python from the heads of their files: what the compiled loops must do, step by step.

Nothing is incremental and nothing is shared with the kernels: expected losses come from value recursion, counts from the list of all paths
that were heard, confidence sets of at most two states from their end points, arrivals from the delays themselves. The draws are the run's.
"""

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from proofs_check.claims.delayed.delays import lossy_delays
from proofs_check.strategies import DELAYS, MODEL_STYLES, draw, world
from tabular_rl import delays, losses
from tabular_rl.algorithms.delayed import oreps, uob
from tabular_rl.algorithms.delayed.uob_projection import confidence_step
from tabular_rl.kernels.episodic.flow_projection import mirror_step, reachable_cells
from tabular_rl.models import FiniteHorizonMDP

KINDS = ("noisy", "switching", "drifting")


@dataclass(frozen=True)
class LateWorld:
    """``mdp`` with mean losses that start from ``table`` [H, S, A], drawn as 0/1 when "noisy", and ``delays`` [K], -1 for never."""

    mdp: FiniteHorizonMDP
    table: Any
    kind: str
    delays: Any

    shape = property(lambda self: self.table.shape)
    episodes = property(lambda self: len(self.delays))

    @property
    def problem(self):
        """The DelayedMDP of the product."""
        made = {
            "noisy": lambda: losses.stochastic(self.mdp, self.table),
            "switching": lambda: losses.periodic(self.mdp, np.stack([self.table, (1 - self.table) ** 2]), 3, bernoulli=False),
            "drifting": lambda: losses.drifting(self.mdp, 23, self.table, bernoulli=False),
        }
        return delays.delayed(made[self.kind](), self.delays)

    def means(self, k):
        """[H, S, A] of episode k: such that their sums, and so best policies in hindsight, have no ties."""
        if self.kind == "switching":
            return self.table if k // 3 % 2 == 0 else (1 - self.table) ** 2
        return 0.5 + (self.table - 0.5) * math.cos(2 * math.pi * k / 23) if self.kind == "drifting" else self.table

    @property
    def arrival(self):
        """[K]: at the end of which episode each one is heard of, at the end of the last one at the latest."""
        last = self.episodes - 1
        return np.array([last if d < 0 else min(k + int(d), last) for k, d in enumerate(self.delays)])

    @property
    def waits(self):
        """(apart, together): how many updates, all told, lie between play and arrival; of another batch, of the own one."""
        apart, together, arrival = 0, 0, self.arrival
        for j in range(self.episodes):
            for k in range(self.episodes):  # j is processed before k, and after k was played
                if (arrival[j], j) < (arrival[k], k) and arrival[j] >= k:
                    apart, together = apart + (arrival[j] < arrival[k]), together + (arrival[j] == arrival[k])
        return apart, together


def late_world(H, S, A, episodes, seed):
    """A LateWorld up to this size, of any kind; rather a large one, and half of them with delays of a few episodes."""
    rng = np.random.default_rng(seed)
    H, S, A = (int(rng.integers(1, most + 1, 2).max()) for most in (H, S, A))
    transition, _, initial = world(rng, (H,), S, A, rng.choice(MODEL_STYLES))
    mdp = FiniteHorizonMDP(transition, np.zeros((H, S, A)), initial)
    K, lost = int(max(rng.integers(1, episodes + 1, 2))), rng.choice([0.0, 0.0, 0.2])
    d = lossy_delays(K, str(rng.choice(DELAYS)), lost, seed) if rng.random() < 0.5 else rng.integers(0, 4, K)
    return LateWorld(mdp, rng.uniform(0.1, 0.9, (H, S, A)), str(rng.choice(KINDS)), d)


def late_worlds(H=3, S=3, A=3, episodes=9):
    """LateWorlds up to this size. All but a seed is drawn from it: Hypothesis would prefer the simplest of everything."""
    return draw(late_world, H, S, A, episodes)


def choices(late, options, seed):
    """One of every list in ``options``, 10^x with x uniform in every pair (low, high), and the seed of a run."""
    rng = np.random.default_rng([seed, 7])
    picked = [
        option[int(rng.integers(len(option)))] if isinstance(option, list) else float(10 ** rng.uniform(*option)) for option in options
    ]
    return (*picked, seed)


def chosen(*options):
    """Choices for the drawn LateWorld."""
    return draw(choices, options, fit=True)


# --- what a run is made of


def softmax(x):
    """Along the last axis."""
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def pick(weights, rng):
    """An index with these probabilities."""
    return min(int(np.searchsorted(np.cumsum(weights), rng.random(), side="right")), int(np.flatnonzero(weights)[-1]))


def play(mdp, policy, means, bernoulli, rng):
    """One path: (state, action, loss) of every step."""
    s, path = pick(mdp.initial, rng), []
    for h in range(len(policy)):
        a = pick(policy[h, s], rng)
        path.append((s, a, float(rng.random() < means[h, s, a]) if bernoulli else means[h, s, a]))
        if h + 1 < len(policy):
            s = pick(mdp.transition[h, s, a], rng)
    return path


def lost_from(path, h):
    """L_h: the losses of a path from step h on."""
    return sum(step[2] for step in path[h:])


def value(mdp, policy, loss):
    """The expected loss of a policy, by value recursion; of the best one when it is None."""
    following = np.zeros(loss.shape[1])
    for h in reversed(range(len(loss))):
        q_values = loss[h] + mdp.transition[h] @ following
        following = q_values.min(axis=1) if policy is None else np.sum(policy[h] * q_values, axis=1)
    return mdp.initial @ following


def reach(mdp, policy):
    """[H, S]: the occupancy of every state."""
    rows = [mdp.initial]
    for h in range(len(policy) - 1):
        rows.append((rows[-1][:, None] * policy[h]).ravel() @ mdp.transition[h].reshape(-1, len(mdp.initial)))
    return np.array(rows)


def best_policy(mdp, loss):
    """The deterministic policy of least expected ``loss``."""
    following, policy = np.zeros(loss.shape[1]), np.zeros(loss.shape)
    for h in reversed(range(len(loss))):
        q_values = loss[h] + mdp.transition[h] @ following
        policy[h], following = np.eye(loss.shape[2])[q_values.argmin(axis=1)], q_values.min(axis=1)
    return policy


@dataclass
class Replay:
    """The expected ``loss`` and ``regret`` [K] after every episode, and the last ``policy`` that was played."""

    loss: Any
    regret: Any
    policy: Any


def scaled(eta, *numbers):
    """1 + eta x of all numbers x, 0 where there is none: pairs for ``both_sides``."""
    return tuple(0.0 if x is None else 1 + eta * x for x in numbers)


def both_sides(trace, found, *more):
    """The sides of an identity: all that a Trace tells and its Replay, then pairs of numbers in ``more``."""
    at = trace.index - 1
    lhs = [*trace["loss"], *trace["regret"], *trace.policy.ravel(), *(one for one, _ in more)]
    rhs = [*found.loss[at], *found.regret[at], *found.policy.ravel(), *(other for _, other in more)]
    return np.array(lhs), np.array(rhs), found.policy.shape[0] * trace.index[-1]


def replay(late, learner, seed, disturbed=None, delay=0):
    """The Replay of a ``learner``, which ``plays`` a path, ``hears`` of a number of an episode, and ``closes`` a batch.

    The path of the episode ``disturbed`` comes from another generator; ``delay``: how much later than it should all feedback comes.
    """
    rng, K, total, lost, found = np.random.default_rng(seed), late.episodes, np.zeros(late.shape), 0.0, []
    arrival = np.minimum(late.arrival + delay, K - 1)
    for k in range(K):
        policy, means = learner.policy(), late.means(k)
        lost, total = lost + value(late.mdp, policy, means), total + means
        found.append((lost, lost - value(late.mdp, None, total)))
        path = play(late.mdp, policy, means, late.kind == "noisy", rng)
        if k == disturbed:
            path = play(late.mdp, policy, means, late.kind == "noisy", np.random.default_rng(1))
        learner.plays(policy, path, rng)
        for j in range(k + 1):
            if arrival[j] == k:
                learner.hears(j)
        learner.closes()
    loss, regret = np.array(found).T
    return Replay(loss, regret, policy)


class Sets:
    """The confidence sets of at most two states: the two ends of every row, from the paths heard before the last epoch began."""

    def __init__(self, mdp, shape, log_term):
        self.mdp, self.shape, self.log_term, self.heard, self.epoch = mdp, shape, log_term, [], []

    def renew(self):
        """A new epoch, if some count has doubled."""
        H, S, A = self.shape
        if any(self.count(self.heard, *cell) >= max(1, 2 * self.count(self.epoch, *cell)) for cell in np.ndindex(H - 1, S, A)):
            self.epoch = list(self.heard)

    @staticmethod
    def count(paths, h, s, a):
        return sum(path[h][:2] == (s, a) for path in paths)

    def ends(self):
        """[H, S, A, 2, S]; with ``log_term`` None the true rows, twice."""
        H, S, A = self.shape
        if self.log_term is None or S == 1:
            return np.stack([self.mdp.transition] * 2, axis=3)
        rows = np.empty((H, S, A, 2, S))
        for h, s, a in np.ndindex(H - 1, S, A):
            rows[h, s, a, :, 0] = self.interval([path[h + 1][0] for path in self.epoch if path[h][:2] == (s, a)])
        rows[H - 1, ..., 0], rows[..., 1] = 0.5, 1 - rows[..., 0]
        rows[H - 1] = 0.5  # leads nowhere
        return rows

    def interval(self, seen):
        """The least and the largest probability of state 0, after the successors that were ``seen``."""
        if not seen:
            return 0.0, 1.0
        (low, high), (low_1, high_1) = (self.entry(seen, state) for state in range(2))
        return max(low, 1 - high_1), min(high, 1 - low_1)

    def entry(self, seen, state):
        """The ends of the probability of one ``state``, up to a Bernstein radius from its frequency."""
        p, m = seen.count(state) / len(seen), max(len(seen) - 1, 1)
        width = min(1.0, 2 * math.sqrt(p * self.log_term / m) + 14 * self.log_term / (3 * m))
        return max(0.0, p - width), min(1.0, p + width)

    @staticmethod
    def occupancies(ends, policy, initial, best):
        """[H, S]: the extreme probability, ``best`` = np.max or np.min, of being in each state."""
        H, S, _ = policy.shape
        found = np.empty((H, S))
        for target in range(H):
            ahead = np.eye(S)
            for h in reversed(range(target)):
                ahead = np.sum(policy[h][..., None] * best(ends[h] @ ahead, axis=2), axis=1)
            found[target] = initial @ ahead
        return found


# --- the learners


@dataclass
class SlowDAPO:
    """DAPO; ``log_term`` None: the transition is known. ``drift`` and ``paid`` are the sums of its certificate."""

    late: LateWorld
    eta: float
    gamma: float
    c: float
    form: str = "adapted"
    joint: bool = False
    log_term: Any = None
    immediate: bool = False
    confidence_bonus: float = 1.0
    dilation: Any = None
    drift: Any = 0.0
    paid: float = 0.0
    width: list = field(default_factory=list)
    memory: list = field(default_factory=list)

    def __post_init__(self):
        self.theta, self.sets = np.zeros(self.late.shape), Sets(self.late.mdp, self.late.shape, self.log_term)
        self.now = softmax(self.theta)

    def policy(self):
        return softmax(self.theta)

    def plays(self, policy, path, rng):
        mdp, ends = self.late.mdp, self.sets.ends()
        upper, lower = (Sets.occupancies(ends, policy, mdp.initial, best) for best in (np.max, np.min))
        self.memory.append((policy, path, upper, lower, ends))
        self.width.append(np.sum(upper - lower))
        if self.immediate:
            self.sets.heard.append(path)
        self.now = policy

    def hears(self, j):
        H, S, A = self.late.shape
        pi, path, upper, lower, ends = self.memory[j]
        p = self.now if self.joint else softmax(self.theta)
        u, larger = upper[..., None], np.maximum(pi, p)
        w = {"adapted": pi / larger / (u * pi + self.gamma), "adapted_joint": 1 / (u * larger + self.gamma),
             "plain": 1 / (u * pi + self.gamma), "arrival_only": 1 / (u * p + self.gamma)}[self.form]  # fmt: skip
        to_go = np.arange(H, 0, -1)[:, None, None]
        b = np.sum(p * w * (self.c + to_go * self.confidence_bonus * (u - lower[..., None]) * pi), axis=-1)
        B, following = np.empty((H, S, A)), np.zeros(S)
        for h in reversed(range(H)):
            dilation = 1 + 1 / H if self.dilation is None else self.dilation
            B[h] = b[h][:, None] + dilation * np.max(ends[h] @ following, axis=2)
            following = np.sum(p[h] * B[h], axis=1)
        self.drift = self.drift + np.sum(np.abs(pi - p), axis=-1) / 2
        self.paid += self.late.mdp.initial @ following
        self.theta = self.theta + self.eta * B
        for h, (s, a, _) in enumerate(path):
            self.theta[h, s, a] -= self.eta * w[h, s, a] * lost_from(path, h)
        if not self.immediate:
            self.sets.heard.append(path)

    def closes(self):
        self.sets.renew()

    def certificate(self, failure=0.0):
        """Certificate C; with probability ``failure`` a confidence set misses the transition."""
        H, _, A = self.late.shape
        star = best_policy(self.late.mdp, sum(self.late.means(k) for k in range(self.late.episodes)))
        moved = sum(2 * (H - h) * (reach(self.late.mdp, star)[h] @ self.drift[h]) for h in range(H))
        return H * math.log(A) / self.eta + moved + self.paid + self.paid / H + failure * H * self.late.episodes


@dataclass
class SlowLinearDAPO:
    """LinearDAPO with ``features`` [H, S, A, d]; ``samples`` > 0: that many for each estimate of a covariance."""

    late: LateWorld
    features: Any
    eta: float
    gamma: float
    beta: float
    beta_p: float
    adapted: bool = True
    joint: bool = False
    samples: int = 0
    dilation: Any = None
    memory: list = field(default_factory=list)

    def __post_init__(self):
        self.theta = np.zeros(self.late.shape)
        self.now: Any = None
        self.rng: Any = None

    def policy(self):
        return softmax(self.theta)

    def plays(self, policy, path, rng):
        self.memory.append((policy, path))
        self.now, self.rng = policy, rng

    def inverses(self, pi):
        """[H, d, d]: (gamma I + E phi phi^T)^-1."""
        (H, _, _), d, mdp = self.late.shape, self.features.shape[-1], self.late.mdp
        if self.samples == 0:
            visited = reach(mdp, pi)[..., None] * pi
            return np.linalg.inv(self.gamma * np.eye(d) + np.einsum("hsa,hsai,hsaj->hij", visited, self.features, self.features))
        step = 0.5 if self.gamma <= 1 else 0.5 / self.gamma
        products, G = [np.eye(d)] * H, [step * np.eye(d)] * H
        for _ in range(self.samples):
            for h, (s, a, _) in enumerate(play(mdp, pi, self.theta, False, self.rng)):
                phi = self.features[h, s, a]
                products[h] = products[h] @ (np.eye(d) - step * (self.gamma * np.eye(d) + np.outer(phi, phi)))
                G[h] = G[h] + step * products[h]
        return np.array(G)

    def hears(self, j):
        H, S, A = self.late.shape
        pi, path = self.memory[j]
        p, G = self.now if self.joint else softmax(self.theta), self.inverses(pi)
        ratio = pi / np.maximum(pi, p) if self.adapted else np.ones(pi.shape)
        x2 = np.maximum(np.einsum("hsai,hij,hsaj->hsa", self.features, G, self.features), 0)
        b = self.beta * ratio * x2 + self.beta_p * np.sum(p * ratio * x2, axis=-1, keepdims=True)
        B, following = np.empty((H, S, A)), np.zeros(S)
        for h in reversed(range(H)):
            B[h] = b[h] + (1 + 1 / H if self.dilation is None else self.dilation) * self.late.mdp.transition[h] @ following
            following = np.sum(p[h] * B[h], axis=1)
        estimate = np.stack([self.features[h] @ G[h] @ self.features[h, s, a] * lost_from(path, h) for h, (s, a, _) in enumerate(path)])
        self.theta = self.theta - self.eta * (ratio * estimate - B)

    def closes(self):
        pass


@dataclass
class SlowHedge:
    """DelayedHedge over the distinct occupancies of all deterministic policies."""

    late: LateWorld
    eta: Any = None
    adapted: bool = True
    memory: list = field(default_factory=list)

    def __post_init__(self):
        H, S, A = self.late.shape
        every = [np.eye(A)[np.reshape(actions, (H, S))] for actions in product(range(A), repeat=H * S)]
        found = np.array([reach(self.late.mdp, pi)[..., None] * pi for pi in every])
        keys = np.unique(found.reshape(len(found), -1) > 0, axis=0, return_index=True)[1]
        self.occupancies = found[keys]
        self.x = np.full(len(keys), 1 / len(keys))

    def mixture(self):
        return np.tensordot(self.x, self.occupancies, 1)

    def policy(self):
        q = self.mixture()
        mass = q.sum(axis=-1, keepdims=True)
        return np.where(mass > 0, q / np.where(mass > 0, mass, 1), 1 / q.shape[-1])

    def plays(self, policy, path, rng):
        self.memory.append((self.mixture(), path))

    def hears(self, j):
        (q, path), now = self.memory[j], self.mixture()
        charge = sum(
            self.occupancies[:, h, s, a] * loss / (max(q[h, s, a], now[h, s, a]) if self.adapted else q[h, s, a])
            for h, (s, a, loss) in enumerate(path)
        )
        self.x = softmax(np.log(self.x) - self.eta * charge)

    def closes(self):
        pass


@dataclass
class SlowOPPO:
    """DelayedOPPO; ``log_term`` None: the transition is known."""

    late: LateWorld
    eta: float
    gamma: float
    log_term: Any = None
    width: list = field(default_factory=list)
    memory: list = field(default_factory=list)

    def __post_init__(self):
        self.theta, self.sets = np.zeros(self.late.shape), Sets(self.late.mdp, self.late.shape, self.log_term)

    def policy(self):
        return softmax(self.theta)

    def plays(self, policy, path, rng):
        (H, S, A), ends, initial = self.late.shape, self.sets.ends(), self.late.mdp.initial
        upper, lower = (Sets.occupancies(ends, policy, initial, best) for best in (np.max, np.min))
        self.width.append(np.sum(upper - lower))
        q_values, following = np.zeros((H, S, A)), np.zeros(S)
        for h in reversed(range(H)):
            s, a, loss = path[h]
            q_values[h] = np.min(ends[h] @ following, axis=2)
            q_values[h, s, a] += loss / (upper[h, s] * policy[h, s, a] + self.gamma)
            following = np.sum(policy[h] * q_values[h], axis=1)
        self.memory.append((path, q_values))

    def hears(self, j):
        path, q_values = self.memory[j]
        self.theta = self.theta - self.eta * q_values
        self.sets.heard.append(path)

    def closes(self):
        self.sets.renew()


@dataclass
class SlowOREPS:
    """DelayedOREPS, with the product's projection, whose optimality is a claim of its own."""

    late: LateWorld
    eta: float
    gamma: float
    adapted: bool = True
    joint: bool = False
    memory: list = field(default_factory=list)

    def __post_init__(self):
        self.log_q, _ = oreps.start(self.late.problem.world)
        self.waiting = np.zeros(self.late.shape)
        self.now = self.q = np.exp(self.log_q)

    def policy(self):
        mass = self.q.sum(axis=-1, keepdims=True)
        return np.where(mass > 0, self.q / np.where(mass > 0, mass, 1), 1 / self.q.shape[-1])

    def plays(self, policy, path, rng):
        self.memory.append((self.q, path))
        self.now = self.q

    def hears(self, j):
        (then, path), now = self.memory[j], self.now if self.joint else self.q
        for h, (s, a, loss) in enumerate(path):
            q = max(then[h, s, a], now[h, s, a]) if self.adapted else then[h, s, a]
            self.waiting[h, s, a] += self.eta * loss / (q + self.gamma)
        if not self.joint:
            self.project()

    def closes(self):
        if self.waiting.any():
            self.project()

    def project(self):
        mirror_step(self.late.mdp.transition, self.late.mdp.initial, -self.waiting, self.log_q, oreps.RESIDUAL, oreps.MOST_STEPS)
        self.q, self.waiting = np.exp(self.log_q), np.zeros(self.late.shape)


@dataclass
class SlowUOB:
    """DelayedUOB for at most two states, with the product's projection, which a claim of its own characterizes."""

    late: LateWorld
    lazy: bool
    eta: float
    gamma: float
    log_term: float
    width: list = field(default_factory=list)
    memory: list = field(default_factory=list)

    def __post_init__(self):
        H, S, A = self.late.shape
        self.sets, self.changed = Sets(self.late.mdp, self.late.shape, self.log_term), True
        self.log_weights, self.log_moves = np.zeros((H, S, A)), np.full((H, S, A, S), -math.log(S))
        self.now = self.upper = self.lower = np.zeros(0)

    def boxes(self):
        """Both ends of all entries of all rows: [H, S, A, S] each."""
        H, S, A = self.late.shape
        low, high = np.zeros((H, S, A, S)), np.ones((H, S, A, S))
        for h, s, a in np.ndindex(H - 1, S, A):
            seen = [path[h + 1][0] for path in self.sets.epoch if path[h][:2] == (s, a)]
            for t in range(S if seen else 0):
                low[h, s, a, t], high[h, s, a, t] = self.sets.entry(seen, t)
        return low, high

    def policy(self):
        if self.changed:
            H, S, A = self.late.shape
            low, high = self.boxes()
            log_q, moves, v = np.empty((H, S, A)), np.zeros((H, S, A, S)), np.zeros((H + 1, S))
            reachable_cells(high, self.late.mdp.initial, log_q)
            numbers = v, log_q, moves, uob.RESIDUAL, uob.MOST_STEPS
            confidence_step(low, high, self.late.mdp.initial, self.log_weights, self.log_moves, *numbers)
            if not self.lazy:
                self.log_weights = log_q
                self.log_moves = np.where(moves > 0, np.log(np.where(moves > 0, moves, 1.0)), -np.inf)
            q = np.exp(log_q)
            mass = q.sum(axis=-1, keepdims=True)
            self.now, self.changed = np.where(mass > 0, q / np.where(mass > 0, mass, 1), 1 / A), False
            ends, initial = self.sets.ends(), self.late.mdp.initial
            self.upper, self.lower = (Sets.occupancies(ends, self.now, initial, best) for best in (np.max, np.min))
        return self.now

    def plays(self, policy, path, rng):
        self.width.append(np.sum(self.upper - self.lower))
        self.memory.append((path, [self.upper[h, s] * policy[h, s, a] for h, (s, a, _) in enumerate(path)]))

    def hears(self, j):
        path, then = self.memory[j]
        for h, (s, a, loss) in enumerate(path):
            self.log_weights[h, s, a] -= self.eta * loss / (max(then[h], self.upper[h, s] * self.now[h, s, a]) + self.gamma)
        self.sets.heard.append(path)
        self.changed = True

    def closes(self):
        self.sets.renew()
