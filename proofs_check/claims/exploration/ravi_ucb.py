"""RAVI-UCB's theorems: confidence, what the bonuses add up to, whole runs (steps of the proof: ``ravi_ucb_steps``)."""

import math
from itertools import product

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from proofs_check import Expectation, HighProbability, claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl import instances
from tabular_rl.algorithms import RAVIUCB
from tabular_rl.algorithms.exploration.ravi_ucb import count_estimates, count_width
from tabular_rl.kernels.discounted.rollouts import world_of
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import evaluate, solve

BATCHED = 1 + math.sqrt(2)  # what a sum of 1 / sqrt(n) costs, in units of sqrt(N), if n is counted at the start of each rollout only

# --- the data: confidence, and what bonuses add up to


@claim("ravi.confidence", kind=HighProbability(failure=0.05, replicates=200), source="Weissman et al. 2003; ravi_ucb spec 4",
       provenance="classical", given={"even coin": lambda: (np.array([0.5, 0.5]),), "three": lambda: (np.array([0.6, 0.3, 0.1]),)},
       control={"logarithm": 0.0})  # fmt: skip
def confidence(row, rng, logarithm=1.0):
    """gamma |(P_n - P) V| <= CB at all 1 <= n <= 1000 visits of a pair, for all V in [0, H]^S: estimate and bonus are the learner's, V each
    corner of the cube.  With probability 1 - delta = 0.95.

    So it holds for the V_k that the data have chosen. Control: without the logarithms, at one standard deviation or so.
    """
    N, S, gamma, delta = 1000, len(row), 0.9, 0.05
    arrivals = np.zeros((S, N, S))
    arrivals[0] = np.cumsum(rng.multinomial(1, row, N), axis=0)
    visits, (estimate, bonus) = arrivals.sum(axis=-1), np.empty((2, S, N))
    width = count_width(S, 1, N, gamma, delta) if logarithm else gamma / (1 - gamma) * math.sqrt(1 / 2)
    for corner in product((0.0, 1 / (1 - gamma)), repeat=S):
        count_estimates(visits, arrivals, np.array(corner), width, 0.0, estimate, bonus)
        if np.any(gamma * np.abs(estimate[0] - row @ corner) > bonus[0]):
            return False
    return True


def batches(rollouts, doubling, seed):
    """Visits of one pair in each of some rollouts; doubling: as many as in all rollouts before."""
    if doubling:
        return np.append(1, 2 ** np.arange(rollouts - 1))
    return np.random.default_rng(seed).geometric(0.3, rollouts) - 1


@claim("ravi.batches", kind=inequality, source="Auer, Jaksch, Ortner 2010; ravi_ucb spec 4", provenance="classical",
       given=(draw(batches, st.integers(9, 16), st.booleans()),), control={"factor": 2.0})  # fmt: skip
def sums_of_batches(m, factor=BATCHED):
    """With n visits before a rollout and m in it: sum min(m, n) / sqrt(n) <= (1 + sqrt 2) sqrt(N), and m > n at most 1 + log2 N times.

    Bonuses do not see the visits of their own rollout: it costs sqrt 2, and visits beyond n are charged H each. Control: 2 sqrt(N).
    """
    n, N = np.cumsum(m) - m, max(1, m.sum())
    total = np.sum(np.minimum(m, n) / np.sqrt(np.maximum(n, 1)))
    return np.array([total, np.sum(m > n)]), np.array([factor * math.sqrt(N), 1 + math.log2(N)]), 1.0


def regressors(d, length, doubling, seed):
    """(x [T, d] in [0, 1]^d, the rollout that each belongs to [T]); doubling: one x only, rollouts as long as all before."""
    rng = np.random.default_rng(seed)
    x, place = rng.random((length, d)), np.arange(length)
    if doubling:
        return np.ones((length, d)), np.floor(np.log2(1 + place))
    return x, np.cumsum(rng.random(length) < 0.2)


@claim("ravi.regression-batches", kind=inequality, source="Abbasi-Yadkori, Pal, Szepesvari 2011; ravi_ucb spec 4", provenance="derived",
       given=(draw(regressors, st.integers(1, 4), st.integers(20, 80), st.booleans()),), control={"volume": False})  # fmt: skip
def sums_of_regressions(case, volume=True):
    """The same for |x| in the norm of the Gram matrix at the start of the rollout, I + sum x x^T, D = log2 of the last determinant.

    sum min(1, |x|) <= sqrt(2 T D) over the steps until the determinant has doubled in their rollout; it does so in at most D rollouts; and
    D <= d log2(1 + T). Control: 1 in place of D in the sum.
    """
    x, batch = case
    T, d = x.shape
    gram = np.eye(d) + np.cumsum(x[:, :, None] * x[:, None], axis=0)
    gram = np.concatenate([np.eye(d)[None], gram])
    log2_det = np.linalg.slogdet(gram)[1] / math.log(2)
    first = np.searchsorted(batch, batch)  # the step with which each one's rollout began
    size = np.sqrt(np.einsum("ti,ti->t", x, np.linalg.solve(gram[first], x[..., None])[..., 0]))
    within = log2_det[:-1] - log2_det[first] <= 1
    D = log2_det[-1]
    sums = np.array([np.sum(np.minimum(1, size)[within]), len(np.unique(batch[~within])), D])
    return sums, np.array([math.sqrt(2 * T * (D if volume else 1)), D, d * math.log2(1 + T)]), 10.0


@claim("ravi.overflow", kind=Expectation(replicates=400), source="ravi_ucb spec 4", provenance="derived",
       given={"always there": lambda: (0.9, 1.0), "half of the time": lambda: (0.9, 0.5)}, control={"steps": 1.0})  # fmt: skip
def overflow(discount, chance, rng, steps=None):
    """Visits of a pair in a rollout beyond the n before it: at most H times the number of rollouts that have such, in expectation.

    A rollout has no memory: from any of its steps on it lasts H more, that one included. 20 rollouts that are at the pair with some chance
    at every step. Control: one visit each.
    """
    K, n, beyond, times = 20, 0, 0, 0
    for length in rng.geometric(1 - discount, K):
        m = rng.binomial(length, chance)
        beyond, times, n = beyond + max(0, m - n), times + (m > n), n + m
    charge = steps or 1 / (1 - discount)
    return np.array([beyond - charge * times]), 0.0, -charge * K, np.inf


# --- whole runs


def _mixture():
    rng = np.random.default_rng(0)
    basis = rng.dirichlet(np.full(5, 0.5), (3, 5, 3))
    return DiscountedMDP(np.tensordot(rng.dirichlet(np.ones(3)), basis, 1), rng.random((5, 3)), 0.8), basis


_WORLDS = {
    "river swim": lambda: (instances.river_swim(4, discount=0.8), None, 1.0),
    "river swim, greedy": lambda: (instances.river_swim(4, discount=0.8), None, math.inf),
    "mixture": lambda: (*_mixture(), 1.0),
}


def pick(weights, rng):
    """The draw of the compiled loop."""
    u, last = rng.random(), 0
    for i, weight in enumerate(weights):
        if weight > 0:
            last, u = i, u - weight
            if u < 0:
                break
    return last


def replay(mdp, n, seed, eta, basis=None, delta=0.05, late=0):
    """(regret, certificate, last policy, rollouts) of a run: counts or normal equations anew for every plan, values by linear solves."""
    (S, A), gamma, rng = mdp.shape, mdp.discount, np.random.default_rng(seed)
    H, (accept, alias, start, *_) = 1 / (1 - gamma), world_of(mdp)
    best = mdp.initial @ solve(mdp, "policy_iteration", tolerance=1e-9).values
    V, log_policy, data, s, X = np.full(S, H), np.full((S, A), -math.log(A)), [], -1, np.zeros((S, A, 0))
    price = 0.0 if eta == math.inf else H * math.log(A) / eta
    regret = excess = rollouts = 0.0
    for _ in range(n + late):
        if s < 0:
            if basis is None:
                N = np.zeros((S, A, S))
                for i, b, j, *_ in data:
                    N[i, b, j] += 1
                count = N.sum(-1)
                L = S * math.log(2) + math.log(S * A * n / delta)
                estimate = (N @ V) / np.maximum(count, 1)
                bonus = np.where(count > 0, gamma * H * np.sqrt(L / (2 * np.maximum(count, 1))), H)
            else:
                Lambda, moments = H**2 * np.eye(len(basis)), np.zeros(len(basis))
                for *_, x, y in data:
                    Lambda, moments = Lambda + np.outer(x, x), moments + x * y
                beta = H / 2 * math.sqrt(np.linalg.slogdet(Lambda / H**2)[1] + 2 * math.log(1 / delta)) + H
                X = np.moveaxis(basis @ V, 0, -1)
                estimate = X @ np.linalg.solve(Lambda, moments)
                bonus = gamma * beta * np.sqrt(np.einsum("sai,ij,saj->sa", X, np.linalg.inv(Lambda), X))
            Q, old = np.clip(mdp.reward + bonus + gamma * estimate, 0, H), V
            if eta == math.inf:  # optimistic value iteration
                V = Q.max(1)
                policy = (V[:, None] - 1e-12 <= Q).astype(float)
                policy /= policy.sum(1, keepdims=True)
            else:
                V = logsumexp(log_policy + eta * Q, axis=1) / eta
                log_policy = log_policy + eta * (Q - V[:, None])
                policy = np.exp(log_policy)
            X = X if basis is None else np.moveaxis(basis @ V, 0, -1)
            rollouts += 1
            d = np.linalg.solve(np.eye(S) - gamma * np.einsum("sa,sat->ts", policy, mdp.transition), mdp.initial)
            regret += best - mdp.initial @ evaluate(mdp, policy).values
            excess += np.sum(d[:, None] * policy * np.minimum(2 * bonus, H)) + (d - mdp.initial) @ (old - V)
            u = rng.random() * start[-1]
            s = int(np.searchsorted(start, u, side="right"))
        a = pick(policy[s], rng)
        u = rng.random() * S
        t = int(u)
        t = alias[s * A + a, t] if u - t >= accept[s * A + a, t] else t
        data.append((s, a, t, X[s, a], V[t]))
        s = t if rng.random() < gamma else -1
    return regret, price + excess, policy, rollouts


def short_run(eta, mixed, n, delta, seed):
    """(model, basis or None, eta, n, delta, seed)."""
    mdp, basis = _mixture()
    return mdp, basis if mixed else None, eta, n, delta, seed


@claim("ravi.replay", kind=identity, source="ravi_ucb spec 1", provenance="derived",
       given=(draw(short_run, st.sampled_from([0.3, 2.0, math.inf]), st.booleans(), st.integers(1, 60), st.sampled_from([0.05, 0.5])),),
       control={"late": 1})  # fmt: skip
def replay_of_a_run(case, late=0):
    """Regret, certificate, policy and number of rollouts of a run are those of a replay of section 1 in plain Python, with the same draws.

    Control: the replay makes one step more.
    """
    mdp, basis, eta, n, delta, seed = case
    trace = RAVIUCB(eta, basis=basis, delta=delta).run(mdp, n, seed)
    regret, certificate, policy, rollouts = replay(mdp, n, seed, eta, basis, delta, late)
    lhs = [trace["regret"][-1], trace["certificate"][-1], trace["rollouts"][-1], trace["rollouts"].min(), *trace.policy.ravel()]
    return np.array(lhs), np.array([regret, certificate, rollouts, 1, *policy.ravel()]), 1e4


@claim("ravi.run", kind=HighProbability(failure=1e-6, replicates=19), source="ravi_ucb spec 5", provenance="derived",
       given=_WORLDS, control={"scale": 0.0})  # fmt: skip
def run_of_learner(mdp, basis, eta, rng, scale=1.0):
    """At scale 1, with probability 1 - delta at every checkpoint: sum_{k <= K} V_k >= K V* - H log A / eta, regret <= certificate, and the
    number of rollouts is that of a coin of probability 1 - gamma, up to Hoeffding's sqrt(n log(4e6) / 2).

    3000 steps, delta = 1e-6 in all; eta = 1, or infinite (greedy). Tables and a linear mixture. Control: no bonus.
    """
    trace = RAVIUCB(eta, scale, 5e-7, basis).run(mdp, 3_000, int(rng.integers(2**31)))
    promised = trace["certificate" if trace.parameters["guarantee"] else "uncertified"]
    begun = abs(trace["rollouts"][-1] - 1 - 2_999 * (1 - mdp.discount)) <= math.sqrt(3_000 * math.log(4e6) / 2)
    return bool(np.all(trace["optimism"] >= -1e-9) and np.all(trace["regret"] <= promised + 1e-9) and begun)


@claim("ravi.regression", kind=HighProbability(failure=1e-6, replicates=19), provenance="derived",
       source="Abbasi-Yadkori, Pal, Szepesvari 2011; ravi_ucb spec 4", given={"mixture": _mixture}, control={"scale": 0.1})  # fmt: skip
def regression(mdp, basis, rng, scale=1.0):
    """|P V - <x, regression>| <= beta |x| for the regression of V_k(s') on the basis' expectations x, at all pairs in all rollouts.

    The values are targets that the data before them have chosen, so that no net over value functions is needed. Control: beta / 10.
    """
    trace = RAVIUCB(1.0, scale, 1e-6, basis).run(mdp, 3_000, int(rng.integers(2**31)))
    return bool(trace["misses"][-1] == 0)


def bound_on_regret(mdp, n, delta):
    """The bound of theorem ravi-ucb for a run of n steps at the default learning rate."""
    (S, A), discount = mdp.shape, mdp.discount
    H, K, T = 1 / (1 - discount), 1 + n * (1 - discount), n + 1 / (1 - discount)
    eta = RAVIUCB().rate(A, discount, n)
    L = S * math.log(2) + math.log(S * A * n / delta)
    moves = H * math.log(A) / eta + discount * H**2 + K * discount * eta * H**4 / 4
    bonuses = 2 * discount * H * math.sqrt(L / 2) * BATCHED * math.sqrt(S * A * T)
    return moves + bonuses + H**2 * S * A * (1 + math.log2(1 + T / (S * A))) + delta * n * H


def _two_arms():
    reward = np.array([[0.0, 1.0], [0.0, 1.0]])
    return DiscountedMDP(np.full((2, 2, 2), 0.5), reward, 0.5), 40_000


@claim("ravi.bound", kind=Expectation(replicates=60), source="ravi_ucb spec 5", provenance="derived",
       given={"two states": _two_arms}, control={"learning_rate": 1e-9})  # fmt: skip
def expected_regret(mdp, n, rng, learning_rate=None):
    """E sum_k V* - V_{pi_k} <= H log A / eta + gamma H^2 + K gamma eta H^4 / 4 + 2 gamma H sqrt(L / 2) (1 + sqrt 2) sqrt(S A T)
    + H^2 S A (1 + log2(1 + T / (S A))) + delta n H, with K = 1 + n / H rollouts and T = n + H steps in the mean.

    A small world and 40 000 steps, where the bound is a fifth of the trivial one. Control: a learner that does not move its policy.
    """
    trace = RAVIUCB(learning_rate, delta=1e-4).run(mdp, n, int(rng.integers(2**31)))
    H, regret = 1 / (1 - mdp.discount), trace["regret"][-1]
    bound = bound_on_regret(mdp, n, 1e-4)
    return np.array([regret]), bound, 0.0, H * n, bound >= H * trace["rollouts"][-1]


_PLANNING = ("ravi.comparator", "ravi.soft-value", "ravi.optimism", "ravi.rollout", "ravi.increments", "ravi.certificate", "ravi.replay",
             "ravi.rate", "ravi.run")  # fmt: skip
_USES = {
    "ravi.run": ("ravi.replay",),
    "ravi.soft-value": ("ravi.comparator",),
    "ravi.optimism": ("ravi.comparator",),
    "ravi.rollout": ("ravi.soft-value",),
    "ravi.certificate": ("ravi.optimism", "ravi.rollout", "ravi.increments"),
}

theorem(
    "ravi-ucb",
    statement=r"Tables, scale 1, any $\eta > 0$, $H = 1/(1-\gamma)$: with probability $1 - \delta$ for all $K$ at once, "
    r"$\sum_{k \le K} V^* - V_{\pi_k} \le \tfrac{H \log A}{\eta} + \sum_{k \le K} \langle \mu_k, \min(2\,\mathrm{CB}_k, H) \rangle + "
    r"\langle d_k - \nu, V_{k-1} - V_k \rangle$, which each run reports. In expectation, over $K$ rollouts of $T$ steps in all, "
    r"at most $\tfrac{H \log A}{\eta} + \gamma H^2 + \tfrac{1}{4} K \gamma \eta H^4 + 2 (1 + \sqrt 2) \gamma H \sqrt{L/2} \sqrt{SAT} + "
    r"H^2 SA (1 + \log_2(1 + T/SA)) + \delta T H$: of order $\sqrt{H^5 K \log A} + S \sqrt{H^3 A K}$. A policy drawn from the $K$ ones "
    r"has the $K$-th part of this as its gap. The constants and powers are this project's; no contraction argument is used.",
    source="Moulin, Neu 2023; ravi_ucb spec 5",
    provenance="derived",
    claims=(
        *_PLANNING,
        "ravi.step",
        "ravi.shift",
        "ravi.drift",
        "ravi.bonus",
        "ravi.confidence",
        "ravi.batches",
        "ravi.overflow",
        "ravi.bound",
    ),
    uses=_USES
    | {
        "ravi.drift": ("ravi.step", "ravi.shift"),
        "ravi.run": ("ravi.certificate", "ravi.confidence", "ravi.replay"),
        "ravi.confidence": ("ravi.bonus",),
        "ravi.bound": ("ravi.certificate", "ravi.rate", "ravi.drift", "ravi.bonus", "ravi.confidence", "ravi.batches", "ravi.overflow"),
    },
)

theorem(
    "ravi-ucb-mixture",
    statement=r"The same certificate for $P = \sum_i \theta_i P_i$ with known $P_i$ and $\theta$ in the simplex, with $\mathrm{CB} = "
    r"\gamma \beta \lVert x \rVert_{\Lambda^{-1}}$, $\beta = \tfrac{H}{2} \sqrt{\log\det(\Lambda / H^2) + 2 \log(1/\delta)} + H$. "
    r"In expectation at most $\tfrac{H \log A}{\eta} + \gamma H^2 + \tfrac{1}{4} K \gamma \eta H^4 + 2 \sqrt 2\, \bar\beta "
    r"\sqrt{T d \log_2(1+T)} + H^2 d \log_2(1+T) + \delta T H$, $\bar\beta = \tfrac{H}{2} \sqrt{d \log(1+T) + 2 \log(1/\delta)} + H$: of "
    r"order $\sqrt{H^5 K \log A} + d \sqrt{H^3 K}$, whatever $S$. The paper says of mixtures that they are near-optimal, no more.",
    source="Moulin, Neu 2023; ravi_ucb spec 5",
    provenance="derived",
    claims=(
        *_PLANNING, "ravi.step", "ravi.shift", "ravi.drift", "ravi.regression-by-definition", "ravi.regression", "ravi.regression-batches",
        "ravi.overflow",
    ),
    uses=_USES
    | {
        "ravi.drift": ("ravi.step", "ravi.shift"),
        "ravi.run": ("ravi.certificate", "ravi.regression", "ravi.replay"),
        "ravi.regression": ("ravi.regression-by-definition",),
    },
)  # fmt: skip
