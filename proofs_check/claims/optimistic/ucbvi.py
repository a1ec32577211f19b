"""UCBVI: its bonus, its counts, its optimistic plans, what they cost (ucbvi spec, 1 and 2).

Losses; R = H - h, or 1 if the transition is known. The claims plan and count with the algorithm's own ``plan``, ``learn`` and
``hoeffding``, step by step where they need what a run does not leave behind; ``ucbvi.run`` holds whole runs against a plain learner that
keeps a list of all steps.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, HighProbability, Rate, claim, identity, inequality, theorem
from proofs_check.calculus import state_occupancy
from proofs_check.claims.adversarial.bobw_steps import best_policy
from proofs_check.claims.adversarial.replaying import least_loss, play, stationary
from proofs_check.strategies import draw, enumerable_mdps, episodic, finite_horizon_mdps, rows, scales
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, Uniform
from tabular_rl.algorithms.optimistic.ucbvi import hoeffding, learn, plan
from tabular_rl.models import FiniteHorizonMDP

SOURCE = "ucbvi spec"


class Memory(NamedTuple):
    """What the algorithm knows: arrays [steps, S, A] and ``arrival`` [steps, S, S * A], steps = 1 where all steps share their counts."""

    visits: Any
    width: Any
    mean_loss: Any
    arrival: Any


def nothing_seen(mdp, known, shared=False):
    """The Memory before the first episode."""
    (H, S, A), steps = mdp.shape, 1 if shared else mdp.horizon
    rows_ = mdp.transition.reshape(H, S * A, S) if known else np.zeros((steps, S * A, S))
    visits, width, mean_loss = np.zeros((3, steps, S, A))
    return Memory(visits, width, mean_loss, rows_.transpose(0, 2, 1).copy())


def planned(mdp, memory, bonus, known):
    """(values [H + 1, S], policy [H, S, A]) of the algorithm's plan, ``bonus`` being that of one visit and range 1."""
    H, S, A = mdp.shape
    values, policy, greedy = np.zeros((H + 1, S)), np.zeros((H, S, A)), np.full((H, S), -1)
    visits, width, mean_loss, arrival = memory
    plan(arrival, mean_loss, float(bonus), width, visits, known, values, np.empty(S * A), greedy, policy)
    return values, policy


def ranges(mdp, known):
    """R [H, 1, 1]."""
    return np.ones((mdp.horizon, 1, 1)) if known else np.arange(mdp.horizon, 0, -1.0)[:, None, None]


@claim("ucbvi.bonus", kind=identity, source=f"{SOURCE} 2", provenance="classical",
       given=(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6), scales(-9, 0)), control={"scale": 0.5})  # fmt: skip
def bonus_closes_the_union(cells, episodes, n, delta, scale=1.0):
    """log(2 cells episodes) - 2 n b^2 = log(delta) for the bonus b of n losses in [0, 1]: Hoeffding's bound for a mean of n, on both sides,
    summed over all cells and all numbers of losses up to that of the episodes, is delta.

    Control: half of the bonus.
    """
    b = hoeffding(scale, delta, float(cells), episodes) / math.sqrt(n)
    return math.log(2 * cells * episodes) - 2 * n * b**2, math.log(delta), 40.0


def histories(mdp, episodes, seed):
    """Paths (states [H + 1], actions [H], losses [H]) of random policies."""
    rng = np.random.default_rng(seed)
    return [play(mdp, rows(rng, mdp.shape, "smooth"), mdp.reward, rng, bernoulli=bool(seed % 2), last=True) for _ in range(episodes)]


_histories = draw(histories, st.integers(1, 12), fit=True)


@claim("ucbvi.counts", kind=identity, source=f"{SOURCE} 1", provenance="classical",
       given=(enumerable_mdps(), _histories, st.booleans(), st.booleans()), control={"after": 1})  # fmt: skip
def counts_are_of_all_steps(mdp, paths, known, shared, after=0):
    """Visits, 1 / sqrt(n), mean losses and empirical distributions are those of the list of all steps.

    Control: without the first episode.
    """
    memory, (H, S, A) = nothing_seen(mdp, known, shared), mdp.shape
    for states, actions, seen in paths:
        learn(known, states, actions, seen, memory.visits, memory.width, memory.mean_loss, memory.arrival)
    steps = [
        (0 if shared else h, *step) for path in paths[after:] for h, step in enumerate(zip(path[0], *path[1:], path[0][1:], strict=False))
    ]
    plain = nothing_seen(mdp, known, shared)
    for g, s, a in np.ndindex(plain.visits.shape):
        here = [step for step in steps if step[:3] == (g, s, a)]
        if here:
            plain.visits[g, s, a], plain.width[g, s, a] = len(here), len(here) ** -0.5
            plain.mean_loss[g, s, a] = np.mean([step[3] for step in here])
            if not known:
                plain.arrival[g, :, s * A + a] = np.bincount([step[4] for step in here], minlength=S) / len(here)
    return np.concatenate([part.ravel() for part in memory]), np.concatenate([part.ravel() for part in plain]), H


def memories(mdp, known, seed):
    """(Memory, bonus) with empirical distributions near the truth, and mean losses so that mean + <estimate, V*> is within the bonus of Q*;
    a third of the pairs were never seen."""
    rng = np.random.default_rng(seed)
    H, S, A = mdp.shape
    optimal, bonus = best_policy(mdp)[0], 10.0 ** rng.uniform(-2, 0.5)
    visits = rng.integers(1, 50, mdp.shape) * (rng.random(mdp.shape) < 2 / 3)
    width = np.where(visits > 0, np.maximum(visits, 1) ** -0.5, 0.0)
    estimate = mdp.transition if known else 0.7 * mdp.transition + 0.3 * rows(rng, mdp.transition.shape, "smooth")
    off = rng.uniform(-1, 1, mdp.shape)
    off = np.where(rng.random(mdp.shape) < 0.3, np.sign(off), off) * bonus * ranges(mdp, known) * width
    moved = np.einsum("hsat,ht->hsa", mdp.transition - estimate, optimal[1:])
    mean = np.where(visits > 0, mdp.reward + moved + off, 0.0)
    arrival = estimate.reshape(H, S * A, S).transpose(0, 2, 1).copy()
    return Memory(visits.astype(float), width, mean, arrival), bonus


_known = st.booleans()


@claim("ucbvi.plan", kind=identity, source=f"{SOURCE} 1", provenance="classical",
       given=(finite_horizon_mdps(), _known, st.booleans(), st.integers(0, 2**16)), control={"spread": 1.5})  # fmt: skip
def plan_is_optimistic_induction(mdp, known, coarse, seed, spread=1.0):
    """V = min_a Q with Q = max(0, mean loss + <estimate, V> - R b / sqrt(n)), 0 where nothing was seen, and the policy plays the first
    action of the least Q.

    ``coarse``: mean losses and rows that repeat, so that actions tie. Control: half as much bonus again.
    """
    memory, bonus = memories(mdp, known, seed)
    if coarse:
        memory.mean_loss[:] = np.round(memory.mean_loss)
        memory.width[:] = np.where(memory.visits > 0, 0.5, 0)
        memory.arrival[:] = memory.arrival[..., :1]
    values, policy = planned(mdp, memory, bonus, known)
    (H, S, A), following = mdp.shape, np.zeros(mdp.n_states)
    plain, chosen = np.zeros((H + 1, S)), np.zeros(mdp.shape)
    for h in range(H - 1, -1, -1):
        Q = memory.mean_loss[h] + (following @ memory.arrival[h]).reshape(S, A) - spread * ranges(mdp, known)[h] * bonus * memory.width[h]
        Q = np.where(memory.visits[h] > 0, np.maximum(0, Q), 0)
        following = plain[h] = Q.min(axis=-1)
        chosen[h] = np.eye(A)[np.argmax(Q.min(axis=-1, keepdims=True) + 1e-12 >= Q, axis=-1)]
    return np.append(values, policy), np.append(plain, chosen), 10.0


@claim("ucbvi.optimism", kind=inequality, source=f"{SOURCE} 2", provenance="derived",
       given=(finite_horizon_mdps(), _known, st.integers(0, 2**16)), control={"scale": 0.5})  # fmt: skip
def optimism(mdp, known, seed, scale=1.0):
    """Where mean loss + <estimate, V*> is at most R b / sqrt(n) above Q*, the planned values are at most V*.

    Control: half of the bonus.
    """
    memory, bonus = memories(mdp, known, seed)
    return planned(mdp, memory, scale * bonus, known)[0], best_policy(mdp)[0], mdp.horizon


@claim("ucbvi.episode", kind=inequality, source=f"{SOURCE} 2", provenance="derived",
       given=(finite_horizon_mdps(), _known, st.integers(0, 2**16)), control={"sides": 0.5})  # fmt: skip
def episode_costs_its_bonuses(mdp, known, seed, sides=2.0):
    """An episode of the planned policy costs V^pi - V* <= <q, loss + P V - Q> with V and Q those of the plan; if the transition is known
    and the mean losses are within their bonus of the truth, on both sides, at most <q, min(2 b / sqrt(n), R)>, R = H - h, which is R where
    nothing was seen.

    Control: half of a bonus.
    """
    memory, bonus = memories(mdp, known, seed)
    values, policy = planned(mdp, memory, bonus, known)
    mu, optimal = state_occupancy(mdp, policy), best_policy(mdp)[0]
    surprise = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, values[1:]) - values[:-1, :, None]
    regret = np.sum(mu[..., None] * policy * mdp.reward) - mdp.initial @ optimal[0]
    paid = np.sum(mu[..., None] * policy * surprise)
    to_go = np.arange(mdp.horizon, 0, -1.0)[:, None, None]
    most = np.where(memory.visits > 0, np.minimum(sides * bonus * memory.width, to_go), to_go)
    total = np.sum(mu[..., None] * policy * most)
    return [regret, paid * known], [paid, total if known else 0.0], mdp.horizon


SMALL = instances.random_losses(2, 2, 2, seed=3)
_MODEL = FiniteHorizonMDP(SMALL.transition, 1 - SMALL.reward, SMALL.initial)  # its losses


@claim("ucbvi.optimism-run", kind=HighProbability(failure=0.2, replicates=64), source=f"{SOURCE} 2", provenance="derived",
       given={"known": lambda: (True,), "unknown": lambda: (False,)}, control={"scale": 0.0})  # fmt: skip
def optimism_along_runs(known, rng, scale=1.0):
    """With probability 1 - delta the planned values of all 60 episodes of a run are at most V*.  delta = 0.2.  Control: no bonus."""
    memory, optimal, T = nothing_seen(_MODEL, known), best_policy(_MODEL)[0], 60
    bonus, good = hoeffding(scale, 0.2, float(np.prod(_MODEL.shape)), T), True
    for _ in range(T):
        values, policy = planned(_MODEL, memory, bonus, known)
        good &= bool(np.all(values <= optimal + 1e-12))
        states, actions, seen = play(_MODEL, policy, _MODEL.reward, rng, last=True)
        learn(known, states, actions, seen, memory.visits, memory.width, memory.mean_loss, memory.arrival)
    return good


class _Plain:
    """The learner of the text, from the list of all steps (h, s, a, loss, successor)."""

    def __init__(self, mdp, learner, T):
        self.mdp, self.learner, self.T, self.steps = mdp, learner, T, []

    def policy(self, t):
        mdp, learner, (H, S, A) = self.mdp, self.learner, self.mdp.shape
        union = 2 * S * A * H * (t if learner.anytime else self.T) * (H if learner.share_steps else 1)
        values, policy, known = np.zeros(S), np.zeros((H, S, A)), learner.transition == "known"
        for h in range(H - 1, -1, -1):
            Q = np.zeros((S, A))
            for s, a in np.ndindex(S, A):
                seen = [step for step in self.steps if step[1:3] == (s, a) and (learner.share_steps or step[0] == h)]
                if seen:
                    ahead = mdp.transition[h, s, a] @ values if known else np.mean([values[step[4]] for step in seen])
                    width = learner.scale * math.sqrt(math.log(union / learner.delta) / (2 * len(seen)))
                    Q[s, a] = max(0, np.mean([step[3] for step in seen]) + ahead - (1 if known else H - h) * width)
            values, policy[h] = Q.min(axis=-1), np.eye(A)[Q.argmin(axis=-1)]
        return policy


_sizes = st.sampled_from([3, 2, 4]), st.sampled_from([2, 3, 1]), st.sampled_from([2, 3, 1])
_untied = draw(episodic, *_sizes, st.sampled_from(["smooth", "peaked"]))
_learners = st.builds(UCBVI, scale=st.sampled_from([0.05, 0.2, 1.0]), delta=st.sampled_from([0.05, 1.0]),
                      transition=st.sampled_from(["known", "unknown"]), anytime=st.booleans(), share_steps=st.booleans())  # fmt: skip


@claim("ucbvi.run", kind=identity, source=f"{SOURCE} 1", provenance="classical",
       given=(_untied, _learners, st.booleans(), st.booleans(), st.integers(0, 2**16)), control={"late": 1})  # fmt: skip
def whole_run(mdp, learner, drifts, same, seed, late=0):
    """30 episodes of the algorithm are those of a plain learner that keeps a list of all steps: losses, regrets and the last policy.

    Losses without noise, constant or drifting, so that no two actions tie; one transition for all steps where counts are shared, and
    elsewhere maybe.
    Control: the plain learner counts an episode one episode late.
    """
    T = 30
    mdp = stationary(mdp) if learner.share_steps or same else mdp
    world = losses.drifting(mdp, 17, mdp.reward, False) if drifts else losses.stochastic(mdp, mdp.reward, False)
    rng, total, loss, found = np.random.default_rng(seed), 0.0, 0.0, []
    plain, waiting = _Plain(mdp, learner, T), []
    for t in range(1, T + 1):
        pi = plain.policy(t)
        means = 0.5 + (mdp.reward - 0.5) * math.cos(2 * math.pi * (t - 1) / 17) if drifts else mdp.reward
        loss, total = loss + np.sum(state_occupancy(mdp, pi)[..., None] * pi * means), total + means
        states, actions, seen = play(mdp, pi, means, rng, bernoulli=False, last=True)
        waiting.append(list(zip(range(mdp.horizon), states, actions, seen, states[1:], strict=False)))
        plain.steps += waiting[t - 1 - late] if t > late else []
        found.append((loss, loss - least_loss(mdp, total)))
    trace = learner.run(world, T, seed)
    mine = np.array(found)[trace.index - 1]
    return np.concatenate([trace["loss"], trace["regret"], trace.policy.ravel()]), np.concatenate([*mine.T, pi.ravel()]), T * mdp.horizon


def _bandit():
    return losses.stochastic(instances.bandit([0.0, 1.0])), 20_000


def _model():
    return losses.stochastic(SMALL), 20_000


@claim("ucbvi.regret", kind=Expectation(replicates=48), source=f"{SOURCE} 2", provenance="derived",
       given={"two arms": _bandit, "random (2, 2, 2)": _model}, control={"learner": "uniform"})  # fmt: skip
def regret_bound(world, n, rng, learner="UCBVI"):
    """Known transition, i.i.d. losses: E regret <= S A H (H + 1) / 2 + 2 H sqrt(2 S A K log(2 S A H K / delta)) + delta H K = ``bound``.

    Control: the same bound for a learner that learns nothing.
    """
    algorithm, H = UCBVI(transition="known", delta=1 / n), world.horizon
    bound = algorithm.bound(world.shape, n)
    regret = (algorithm if learner == "UCBVI" else Uniform()).run(world, n, int(rng.integers(2**62)))["regret"][-1]
    return regret, bound, 0.0, H * n, bound >= H * n


@claim("ucbvi.bound", kind=identity, source=f"{SOURCE} 2", provenance="derived",
       given=(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 10**6), scales(-6, 0)),
       control={"sides": 1})  # fmt: skip
def closed_form_of_the_bound(H, S, A, K, delta, sides=2):
    """``bound`` is what S A K / (S A) visits of each pair add up to, R at the first and 2 b / sqrt(n) at the others, with the sum of
    1 / sqrt(n) at its integral 2 sqrt(n), plus H K when the losses leave their bonuses.

    Control: one bonus.
    """
    width = math.sqrt(math.log(2 * S * A * H * K / delta) / 2)
    plain = sum(S * A * (H - h) + sides * width * 2 * math.sqrt(S * A * K) for h in range(H)) + delta * H * K
    return UCBVI(transition="known", delta=float(delta)).bound((H, S, A), K), plain, 1.0


@claim("ucbvi.logarithmic", kind=Rate(exponent=0), source="Simchowitz, Jamieson 2019; bobw spec 7.7", provenance="classical",
       given={"gap instance": lambda: (instances.gap_instance(gap=0.4),)}, control={"adversary": True})  # fmt: skip
def logarithmic(mdp, rng, adversary=False):
    """In a stochastic world with a positive gap the regret of optimism grows like log K.

    Control: an adversary who charges what UCBVI plays.
    """
    trace = UCBVI(transition="known").run(losses.anti_greedy(mdp) if adversary else losses.stochastic(mdp), 20_000, seed=rng)
    late = trace.index >= 1_000
    return trace.index[late], trace["regret"][late]


theorem(
    "ucbvi",
    statement=r"I.i.d. losses in $[0, 1]$, bonuses $b = R \sqrt{\log(2 S A H K / \delta) / (2 n)}$ with $R = H - h$, or $1$ if the "
    r"transition is known: with probability $1 - \delta$, $Q_h \le Q^\star_h$ for all layers, pairs and episodes, and an episode costs at "
    r"most $\langle q^\pi, m + P V - Q \rangle$. If the transition is known, $\mathbb{E}[R_K] \le S A H (H + 1) / 2 "
    r"+ 2 H \sqrt{2 S A K \log(2 S A H K / \delta)} + \delta H K$.",
    source="derived in the ucbvi spec, section 2; after Azar, Osband, Munos 2017",
    provenance="derived",
    claims=(
        "ucbvi.bonus", "ucbvi.counts", "ucbvi.plan", "ucbvi.run", "ucbvi.optimism", "ucbvi.optimism-run", "ucbvi.episode", "ucbvi.bound",
        "ucbvi.regret",
    ),
    uses={
        "ucbvi.run": ("ucbvi.counts", "ucbvi.plan"),
        "ucbvi.optimism-run": ("ucbvi.bonus", "ucbvi.optimism"),
        "ucbvi.episode": ("ucbvi.plan",),
        "ucbvi.regret": ("ucbvi.bonus", "ucbvi.episode", "ucbvi.bound", "ucbvi.run"),
    },
)  # fmt: skip
