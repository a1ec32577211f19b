"""Whole runs of best-of-both-worlds policy optimization, replayed in slow plain Python from the same random numbers.

Nothing is shared with the kernels: policies by bisection, occupancies from all trajectories, the comparator from a list of all policies,
confidence sets of two states from their two end points, the certificate as in the bobw spec 4.4.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from tabular_rl import losses
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.models import FiniteHorizonMDP

H, S, A, EPISODES = 3, 2, 2, 60
MEANS = np.random.default_rng(3).uniform(0.1, 0.9, (H, S, A))
COMPARATOR = np.eye(A)[np.array([[0, 1], [1, 1], [0, 0]])]


def model(kind):
    rng = np.random.default_rng(11)
    if kind == "partly unreachable":
        transition = rng.dirichlet(np.ones(S), (H, S, A))
        transition[0] = [1.0, 0.0]
        return FiniteHorizonMDP(transition, np.zeros((H, S, A)), 0)
    if kind == "stationary":
        return FiniteHorizonMDP(rng.dirichlet(np.ones(S), (S, A)), np.zeros((S, A)), [0.3, 0.7], H)
    return FiniteHorizonMDP(rng.dirichlet(np.ones(S), (H, S, A)), np.zeros((H, S, A)), [0.3, 0.7])


def trajectories(initial, transition, policy):
    """(states, actions, probability) of all trajectories that may be."""
    for states, actions in itertools.product(itertools.product(range(S), repeat=H), itertools.product(range(A), repeat=H)):
        p = initial[states[0]] * policy[0, states[0], actions[0]]
        for h in range(1, H):
            p *= transition[h - 1, states[h - 1], actions[h - 1], states[h]] * policy[h, states[h], actions[h]]
        if p > 0:
            yield states, actions, p


def occupancy(mdp, policy):
    mu = np.zeros((H, S))
    for states, _, p in trajectories(mdp.initial, mdp.transition, policy):
        mu[np.arange(H), list(states)] += p
    return mu


def value(mdp, policy, table):
    return sum(p * sum(table[h, s[h], a[h]] for h in range(H)) for s, a, p in trajectories(mdp.initial, mdp.transition, policy))


def leader(regularizer, row, beta):
    d = row - row.min()
    if regularizer == "shannon":
        x = np.exp(-d / beta)
        return x / x.sum()
    power = 2 if regularizer == "tsallis" else 1
    z = brentq(lambda z: np.sum((beta / (d + z)) ** power) - 1, beta * 0.999, beta * A * 1.001, xtol=1e-14 * beta, rtol=1e-15)
    x = (beta / (d + z)) ** power
    return x / x.sum()


def stab(regularizer, y, l, beta):
    if regularizer == "shannon":
        return beta * np.sum(y * (np.exp(-l / beta) - 1 + l / beta))
    w = (np.sqrt(y) if regularizer == "tsallis" else y) * l / beta
    if w.min() <= -1:
        return math.inf
    return np.sum(y**1.5 * l**2 / (beta * (1 + w))) if regularizer == "tsallis" else beta * np.sum(w - np.log1p(w))


class Slow:
    """The pseudo-code of the bobw spec, sections 3.1 to 3.5 and 3.8, state by state."""

    def __init__(self, mdp, regularizer, constants, known=True, current=False, log_term=0.0):
        self.mdp, self.reg, self.known, self.current, self.log_term = mdp, regularizer, known, current, log_term
        self.c0, self.eps, N0, self.k = constants
        self.R = [H - h for h in range(H)]
        self.N = {(h, s): N0 * (self.R[h] ** 2 if regularizer == "log_barrier" else 1) for h in range(H) for s in range(S)}
        everywhere = occupancy(mdp, np.full((H, S, A), 1 / A))
        self.masked = {(h, s): everywhere[h, s] == 0 if known else (h == 0 and mdp.initial[s] == 0) for h in range(H) for s in range(S)}
        self.cum, self.pi = np.zeros((H, S, A)), np.full((H, S, A), 1 / A)
        self.paths, self.epoch = [], []
        self.paid = self.mixing = self.bound = 0.0
        self.over, self.largest, self.clips = 0, 0.0, 0

    def beta_of(self, h, N):
        if self.reg == "log_barrier":
            return math.sqrt(N / (A * math.log(EPISODES))) / self.c0
        return self.R[h] * math.sqrt((A if self.reg == "shannon" else 1) * N) / self.c0

    def interval(self, h, s, a):
        if self.known:
            return (self.mdp.transition[h, s, a, 0],) * 2
        seen = [path[h + 1][0] for path in self.epoch if path[h][:2] == (s, a)]
        n, ends = len(seen), []
        if n == 0:
            return 0.0, 1.0
        for state in range(S):
            p, m = seen.count(state) / n, max(n - 1, 1)
            width = min(1, 2 * np.sqrt(p * self.log_term / m) + 14 * self.log_term / (3 * m))
            ends.append((max(0, p - width), min(1, p + width)))
        return max(ends[0][0], 1 - ends[1][1]), min(ends[0][1], 1 - ends[1][0])

    def reach(self, h, s, best):
        f = np.eye(S)[s]
        for k in reversed(range(h)):
            ends = [[best([p * f[0] + (1 - p) * f[1] for p in self.interval(k, x, a)]) for a in range(A)] for x in range(S)]
            f = np.sum(self.pi[k] * ends, axis=1)
        return self.mdp.initial @ f

    def forward(self, t):
        entropy = -np.sum(self.pi * np.log(self.pi), axis=-1) / math.log(A)
        self.u, self.beta, self.before, self.hi, self.lo, self.clipped, flow = {}, {}, {}, {}, {}, {}, self.mdp.initial
        for h in range(H):
            sent = np.zeros(S)
            for s in range(S):
                at = h, s
                if self.masked[at]:
                    self.pi[at] = 1 / A
                    continue
                self.hi[at], self.lo[at], N = self.reach(h, s, max), self.reach(h, s, min), self.N[at]
                if self.reg == "log_barrier":
                    threshold, inflow = min(1, self.R[h] / (self.eps * math.sqrt(N))), max(flow[s], 1 / EPISODES)
                    self.u[at] = min(1, max(inflow, threshold))
                else:
                    threshold, inflow = min(1, 1 / (self.eps * math.sqrt(N))), self.hi[at]
                    self.u[at] = max(inflow, threshold)
                self.clipped[at] = inflow < threshold
                self.clips += self.clipped[at]
                self.before[at] = self.beta_of(h, N)
                if self.reg == "tsallis":
                    self.N[at] += 1 / self.u[at]
                elif self.reg == "shannon" and not self.current:
                    inc = 1 / (self.u[at] * (max(entropy[at], 1 / t) if t > 1 else 1))
                    self.N[at] += max(N / 10, 1 / self.u[at]) if inc > N / 10 else inc
                self.beta[at] = self.beta_of(h, self.N[at])
                self.pi[at] = leader(self.reg, self.cum[at], self.beta[at])
                if h + 1 < H:
                    sent += self.u[at] * self.pi[at] @ self.mdp.transition[at]
            flow = sent

    def local(self, at, path, t):
        h, s = at
        pi, u, beta, R = self.pi[at], self.u[at], self.beta[at], self.R[h]
        visited, bias = self.hi[at] if self.known else u, R * (1 - self.lo[at] / u)
        if self.reg == "tsallis":
            roots, w = np.sqrt(pi).sum(), 2 * R / (beta * u)
            g = min(2 * roots, 2 * np.sum(np.sqrt(pi) * (1 - pi)) / (1 - w)) if w < 1 else 2 * roots
            return 2 * (beta - self.before[at]) * (roots - 1) + R**2 * visited / (u**2 * beta) * g + bias
        if self.reg == "shannon":
            entropy, stability = -np.sum(pi * np.log(pi)), R**2 * visited * A / (u**2 * beta)
            if not self.current:
                return (beta - self.before[at]) * entropy + stability + bias
            hat = max(entropy / math.log(A), 1 / t)
            self.N[at] += max(min(1 / (u * hat), self.N[at] / (8 * math.log(math.e * A * (t + 1)))), 1 / u)
            return (self.beta_of(h, self.N[at]) - beta) * 2.5 * math.log(A) * hat + stability + bias
        seen = 0.0
        if path[h][0] == s:
            a = path[h][1]
            zeta = (1 - pi[a]) ** 2 + sum(pi[b] ** 2 for b in range(A) if b != a)
            seen = (sum(step[2] for step in path[h:]) / u) ** 2 * zeta
        self.N[at] += seen + self.clipped[at] * (R / u) ** 2
        return (self.beta_of(h, self.N[at]) - beta) * A * math.log(EPISODES) + 2 * seen / beta + bias

    def learn(self, path, t, mu_comparator):
        b = {at: 0.0 if self.masked[at] else self.local(at, path, t) for at in self.masked}
        B, V = np.zeros((H, S, A)), np.zeros((H + 1, S))
        for h in reversed(range(H)):
            for s, a in np.ndindex(S, A):
                ends = self.interval(h, s, a) if h + 1 < H else (0.0,)
                B[h, s, a] = b[h, s] + (1 + 1 / H) * max(p * V[h + 1, 0] + (1 - p) * V[h + 1, 1] for p in ends)
            V[h] = np.sum(self.pi[h] * B[h], axis=1)
        self.paid += (1 + 1 / H) * self.mdp.initial @ V[0]
        over, unpaid = 0, np.zeros(H)
        for h in range(H):
            self.mixing += max(B[h, s].max() for s in range(S) if not self.masked[h, s])
            for s in range(S):
                at = h, s
                if self.masked[at]:
                    continue
                size = {"tsallis": np.sqrt(self.pi[at]), "shannon": 1.0, "log_barrier": self.pi[at]}[self.reg]
                ratio = 4 * H * size * B[at] / self.beta[at]
                over, self.largest = over + np.sum(ratio > 1), max(self.largest, ratio.max())
                moved = stab(self.reg, self.pi[at], -B[at], self.beta[at] / 2)
                if moved == math.inf:
                    moved = stab(self.reg, self.pi[at], B[at].max() - B[at], self.beta[at] / 2)
                unpaid[h] = max(unpaid[h], moved - V[at] / H)
                paid = stab(self.reg, self.pi[at], -self.k * (B[at] - B[at].min()), self.beta[at] / 2)
                if paid == math.inf:
                    paid = stab(self.reg, self.pi[at], -self.k * (B[at] - B[at].max()), self.beta[at] / 2)
                self.bound += mu_comparator[at] * (b[at] + self.k * (self.pi[at] - COMPARATOR[at]) @ B[at] + paid)
        self.over += over
        self.paid += unpaid.sum() if over else 0.0
        self.cum -= self.k * B
        for h, (s, a, _) in enumerate(path):
            self.cum[h, s, a] += sum(step[2] for step in path[h:]) / (self.u[h, s] * self.pi[h, s, a])
        self.paths.append(path)

        def visits(paths, h):
            return sum(p[h][:2] == path[h][:2] for p in paths)

        if any(visits(self.paths, h) >= max(1, 2 * visits(self.epoch, h)) for h in range(H - 1)):
            self.epoch = list(self.paths)


def draw(weights, rng):
    return int(np.searchsorted(np.cumsum(weights), rng.random(), side="right"))


def play(mdp, policy, means, rng):
    s, path = draw(mdp.initial, rng), []
    for h in range(H):
        a = draw(policy[h, s], rng)
        path.append((s, a, float(rng.random() < means[h, s, a])))
        if h + 1 < H:
            s = draw(mdp.transition[h, s, a], rng)
    return path


CASES = {
    "tsallis theory": (BestOfBothWorlds(), "layered", "stochastic"),
    "tsallis practical": (BestOfBothWorlds(scale="practical"), "stationary", "anti-greedy"),
    "tsallis, the bonus too large": (BestOfBothWorlds(scale="practical", bonus_scale=1.0), "partly unreachable", "stochastic"),
    "shannon practical": (BestOfBothWorlds("shannon", "practical"), "layered", "anti-greedy"),
    "shannon theory": (BestOfBothWorlds("shannon"), "partly unreachable", "stochastic"),
    "shannon current": (BestOfBothWorlds("shannon", "practical", bonus_scale=1.0, entropy="current"), "stationary", "stochastic"),
    "log barrier theory": (BestOfBothWorlds("log_barrier"), "partly unreachable", "stochastic"),
    "log barrier practical": (BestOfBothWorlds("log_barrier", "practical"), "layered", "anti-greedy"),
    "unknown theory": (BestOfBothWorlds(transition="unknown"), "layered", "stochastic"),
    "unknown practical": (BestOfBothWorlds(scale="practical", transition="unknown", delta=0.1), "partly unreachable", "anti-greedy"),
    "unknown shannon": (BestOfBothWorlds("shannon", transition="unknown", delta=0.3), "stationary", "stochastic"),
}


@pytest.mark.parametrize("case", CASES)
def test_replay(case):
    algorithm, kind, world = CASES[case]
    mdp, known = model(kind), algorithm.transition == "known"
    c0, eps, N0, k, proven = algorithm.resolve((H, S, A), EPISODES)
    delta = algorithm.delta or 1 / (4 * H * EPISODES)
    slow = Slow(mdp, algorithm.regularizer, (c0, eps, N0, k), known, algorithm.entropy == "current", math.log(EPISODES * H * S * A / delta))
    rng, mu_comparator = np.random.default_rng(5), occupancy(mdp, COMPARATOR)
    policies = [np.eye(A)[np.reshape(a, (H, S))] for a in itertools.product(range(A), repeat=H * S)]
    every = np.array([occupancy(mdp, p)[..., None] * p for p in policies])
    total, loss, expected = np.zeros((H, S, A)), 0.0, {"regret": [], "loss": [], "paid": [], "mixing": [], "bound": [], "against": []}
    for t in range(1, EPISODES + 1):
        slow.forward(t)
        means = MEANS if world == "stochastic" else np.eye(A)[slow.pi.argmax(axis=-1)]
        loss, total = loss + value(mdp, slow.pi, means), total + means
        slow.learn(play(mdp, slow.pi, means, rng), t, mu_comparator)
        expected["loss"].append(loss)
        expected["regret"].append(loss - np.min(np.sum(every * total, axis=(1, 2, 3))))
        expected["against"].append(loss - np.sum(mu_comparator[..., None] * COMPARATOR * total))
        for name in ("paid", "mixing", "bound"):
            expected[name].append(getattr(slow, name))
    problem = losses.stochastic(mdp, MEANS) if world == "stochastic" else losses.anti_greedy(mdp)
    trace = algorithm.run(problem, EPISODES, 5, comparator=COMPARATOR)
    curve = {name: np.array(series)[trace.index - 1] for name, series in expected.items()}

    def same(name, series):
        np.testing.assert_allclose(trace[name], series, rtol=1e-8, atol=1e-8)

    np.testing.assert_allclose(trace.policy, slow.pi, rtol=1e-7)
    same("regret", curve["regret"])
    same("loss", curve["loss"])
    same("comparator_regret", curve["against"])
    start, mixing = trace.parameters["initial_term"], curve["mixing"] / EPISODES * (algorithm.regularizer == "log_barrier")
    if proven and k == 1:
        same("certificate", curve["paid"] + start + mixing + (0 if known else 4 * delta * H * EPISODES))
    assert ("comparator_bound" in trace.series) == (known and proven)
    if known and proven:
        same("comparator_bound", curve["bound"] + start + k * mixing)
    assert trace.parameters["violations"] == slow.over
    assert trace.parameters["clipped"] == slow.clips
    assert trace.parameters["bonus_ratio"] == pytest.approx(slow.largest, rel=1e-8)
    if case == "tsallis, the bonus too large":
        assert slow.over > 0
