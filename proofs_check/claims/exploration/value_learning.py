"""Baselines: optimistic value iteration is optimistic on its event, Q-learning's steps make an average (lpo spec, section 4)."""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl.algorithms import QLearning, UCBVIDiscounted
from tabular_rl.algorithms.exploration.value_learning import TOLERANCE, optimistic_values, step_size
from tabular_rl.kernels.discounted.rollouts import world_of
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate, solve

SOURCE = "lpo spec 4"


def counted(states, actions, discount, most, seed):
    """(model, visits [S, A], arrivals [S, A, S]): up to ``most`` draws of the next state of every pair, none of some."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(states, 0.5), (states, actions))
    mdp = DiscountedMDP(P, rng.random((states, actions)), discount, rng.dirichlet(np.ones(states)))
    arrivals = np.array([[rng.multinomial(rng.integers(most + 1), row) for row in rows] for rows in P], float)
    return mdp, arrivals.sum(axis=-1), arrivals


_counted = draw(counted, st.integers(1, 5), st.integers(1, 3), st.sampled_from([0.9, 0.5, 0.99]), st.sampled_from([5, 100]))


def plans(case, scale):
    """(Q, V) of the learner's own planning, from the values that it starts with."""
    mdp, visits, arrivals = case
    q, values = np.full(mdp.shape, 1 / (1 - mdp.discount)), np.empty(mdp.n_states)
    optimistic_values(visits, arrivals, mdp.reward, mdp.discount, scale, q, values)
    return q, values


def backup(case, scale, values):
    """min(Vmax, r + c Vmax / sqrt(n) + gamma mean of V), or Vmax without visits [S, A]."""
    mdp, visits, arrivals = case
    largest, n = 1 / (1 - mdp.discount), np.maximum(visits, 1)
    q = mdp.reward + scale * largest / np.sqrt(n) + mdp.discount * arrivals @ values / n
    return np.where(visits > 0, np.minimum(largest, q), largest)


@claim("value-learning.fixed-point", kind=inequality, source=SOURCE, provenance="derived",
       given=(_counted, st.sampled_from([0.1, 0.0, 1.0])),       control={"scale": 0.9})  # fmt: skip
def fixed_point(case, c, scale=1.0):
    """Optimistic value iteration ends where one more backup moves nothing by more than its tolerance, relative to Vmax, and V = max Q.

    Control: a bonus and rewards of nine tenths.
    """
    mdp, visits, arrivals = case
    q, values = plans(case, c)
    other = DiscountedMDP(mdp.transition, scale * mdp.reward, mdp.discount, mdp.initial)
    largest = 1 / (1 - mdp.discount)
    error = np.abs(q - backup((other, visits, arrivals), scale * c, values)).max()
    return np.array([error, np.abs(q.max(axis=1) - values).max()]), np.array([TOLERANCE * largest, 0.0]), largest


@claim("value-learning.optimism", kind=inequality, source=SOURCE, provenance="derived", given=(_counted,), control={"share": 0.3})
def optimism(case, share=1.0):
    """With a bonus scale c for which gamma |(P_n - P) V*| <= c Vmax / sqrt(n) at every pair that was tried, Q >= Q* and V >= V*.

    c is the least one for these counts; iterations from Vmax fall towards the fixed point, which is above Q* as the backup is monotone.
    Control: three tenths of it.
    """
    mdp, visits, arrivals = case
    best, n = solve(mdp, tolerance="exact"), np.maximum(visits, 1)
    error = mdp.discount * np.abs(arrivals @ best.values / n - mdp.transition @ best.values) * (visits > 0)
    q, values = plans(case, share * np.max(error * np.sqrt(n)) * (1 - mdp.discount))
    return np.append(best.q_values, best.values), np.append(q, values), 1 / (1 - mdp.discount) ** 2


@claim("value-learning.step-size", kind=inequality, source="Jin, Allen-Zhu, Bubeck, Jordan 2018; lpo spec 4", provenance="classical",
       given=(st.sampled_from([2.0, 20.0, 4.0, 200.0]), st.integers(1, 400)), control={"power": 2})  # fmt: skip
def averages_of_targets(H, t, power=1):
    """After t visits Q is an average of the t targets with weights a_i = alpha_i prod_{j > i} (1 - alpha_j): sum 1, none above 2 H / t, the
    sum of squares at most 2 H / t, and 1 / sqrt(t) <= sum a_i / sqrt(i) <= 2 / sqrt(t). The start has no weight.  Control: alpha_i squared.
    """
    alpha = np.array([step_size(H, float(i)) for i in range(1, t + 1)]) ** power
    left = np.append(np.cumprod((1 - alpha)[::-1])[::-1][1:], 1.0)
    a, root = alpha * left, np.sqrt(np.arange(1.0, t + 1))
    lhs = [a.sum(), 1, a.max(), np.sum(a**2), 1 / math.sqrt(t), np.sum(a / root), H * a[-1] * (1 + t / H) / (1 + H)]
    return np.array(lhs), np.array([1, a.sum(), 2 * H / t, 2 * H / t, np.sum(a / root), 2 / math.sqrt(t), 1]), 10.0


# --- whole runs


def short_run(states, actions, discount, n, number, seed):
    """(model, n, c or epsilon, seed); some models lack actions."""
    rng = np.random.default_rng(seed)
    available = rng.random((states, actions)) < 0.8
    available[:, 0] = True
    P = rng.dirichlet(np.full(states, 0.5), (states, actions))
    return DiscountedMDP(P, np.round(rng.random((states, actions)), 1), discount, available=available), n, number, seed


_runs = draw(short_run, st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.8, 0.5]), st.integers(1, 120), st.sampled_from([0.1, 0.5]))


class Walk:
    """The draws of the compiled loops."""

    def __init__(self, mdp, seed):
        self.mdp, self.rng, self.world = mdp, np.random.default_rng(seed), world_of(mdp)

    def start(self):
        return int(np.searchsorted(self.world.start, self.rng.random() * self.world.start[-1], side="right"))

    def step(self, s, a):
        row, u = s * self.mdp.n_actions + a, self.rng.random() * self.mdp.n_states
        t = int(u)
        return int(self.world.alias[row, t]) if u - t >= self.world.accept[row, t] else t

    def gap(self, q):
        return self.mdp.initial @ (solve(self.mdp, tolerance="exact").values - evaluate(self.mdp, np.argmax(q, axis=1)).values)


@claim("value-learning.ucbvi-run", kind=identity, source=SOURCE, provenance="reconstructed", given=(_runs,), control={"growth": 1.0})
def replay_of_optimism(case, growth=2.0):
    """A run of optimistic value iteration, replayed: it plans before the next step whenever the visits of the pair have doubled since the
    last plan, plays greedily, and restarts with probability 1 - gamma.  Control: a plan after every step.
    """
    mdp, n, c, seed = case
    trace, walk, available = UCBVIDiscounted(c).run(mdp, n, seed), Walk(mdp, seed), mdp.available
    (S, A), s, due, planned, made = mdp.shape, -1, True, 0, np.zeros(mdp.shape)
    arrivals, q, values = np.zeros((S, A, S)), np.where(available, 1 / (1 - mdp.discount), -np.inf), np.empty(S)
    for _ in range(n):
        s = walk.start() if s < 0 else s
        if due:
            optimistic_values(arrivals.sum(axis=-1), arrivals, np.where(available, mdp.reward, -np.inf), mdp.discount, c, q, values)
            made, planned = arrivals.sum(axis=-1), planned + 1
        a = int(np.argmax(q[s]))
        t = walk.step(s, a)
        arrivals[s, a, t] += 1
        due = arrivals[s, a].sum() >= growth * max(made[s, a], 0.5)
        s = t if walk.rng.random() < mdp.discount else -1
    lhs = [trace["plans"][-1], trace["gap"][-1], *np.argmax(trace.policy, axis=1)]
    return np.array(lhs), np.array([planned, walk.gap(q), *np.argmax(q, axis=1)]), 100.0


@claim("value-learning.q-run", kind=identity, source=SOURCE, provenance="reconstructed", given=(_runs,), control={"restart": 2.0})
def replay_of_q_learning(case, restart=1.0):
    """A run of Q-learning, replayed: from 0, steps (H + 1) / (H + n), H = 2 / (1 - gamma), a random action with probability epsilon, else
    one of the best, restart after H steps; the policy is the one that would be played.  Control: restart after twice as many.
    """
    mdp, n, epsilon, seed = case
    trace, walk, H = QLearning(epsilon).run(mdp, n, seed), Walk(mdp, seed), 2 / (1 - mdp.discount)
    q, visits, s, age, rng = np.where(mdp.available, 0.0, -np.inf), np.zeros(mdp.shape), -1, 0, walk.rng
    for _ in range(n):
        before = q.copy()
        if s < 0 or age >= restart * H:
            s, age = walk.start(), 0
        a = ties = 0
        for b in np.flatnonzero(mdp.available[s]):  # what is better starts the count of ties anew
            if ties == 0 or q[s, b] > q[s, a]:
                a, ties = int(b), 1
            elif q[s, b] == q[s, a]:
                ties += 1
                a = int(b) if rng.random() * ties < 1 else a
        if rng.random() < epsilon:
            a = int(np.flatnonzero(mdp.available[s])[int(rng.random() * mdp.available[s].sum())])
        t = walk.step(s, a)
        visits[s, a] += 1
        q[s, a] += (H + 1) / (H + visits[s, a]) * (mdp.reward[s, a] + mdp.discount * q[t].max() - q[s, a])
        s, age = t, age + 1
    greedy = before == before.max(axis=1, keepdims=True)
    policy = (1 - epsilon) * greedy / greedy.sum(axis=1, keepdims=True) + epsilon * mdp.uniform_policy
    return np.append(trace.policy, trace["gap"][-1]), np.append(policy, walk.gap(q)), 100.0


theorem(
    "value-learning",
    statement=r"Optimistic value iteration with counts $n$ and bonus $c V_{\max} / \sqrt n$ is above $Q^\star$ wherever "
    r"$\gamma |(\hat P - P) V^\star| \le c V_{\max} / \sqrt n$; Q-learning with steps $(H + 1) / (H + n)$ holds an average of its targets "
    r"of which none weighs more than $2 H / n$.",
    source="lpo spec 4; Jin, Allen-Zhu, Bubeck, Jordan 2018 (the step)",
    provenance="derived",
    claims=("value-learning.fixed-point", "value-learning.optimism", "value-learning.ucbvi-run", "value-learning.step-size",
            "value-learning.q-run"),
    uses={"value-learning.optimism": ("value-learning.fixed-point",)},
)  # fmt: skip
