"""RAVI-UCB's theorems: confidence, what the bonuses add up to, whole runs (steps of the proof: ``ravi_ucb_steps``)."""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, HighProbability, claim, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl import instances
from tabular_rl.algorithms import RAVIUCB
from tabular_rl.models import DiscountedMDP

BATCHED = 1 + math.sqrt(2)  # what a sum of 1 / sqrt(n) costs, in units of sqrt(N), if n is counted at the start of each rollout only

# --- the data: confidence, and what bonuses add up to


@claim("ravi.confidence", kind=HighProbability(failure=0.1, replicates=200), source="Weissman et al. 2003; ravi_ucb spec 4",
       provenance="classical", given={"even coin": lambda: (np.array([0.5, 0.5]),), "three": lambda: (np.array([0.6, 0.3, 0.1]),)},
       control={"logarithm": 0.0})  # fmt: skip
def confidence(row, rng, logarithm=1.0):
    """max over V in [0, 1]^S of |(P_n - P) V| = |P_n - P| in l1 / 2 <= sqrt((S log 2 + log(1000 / 0.1)) / (2 n)) at all n <= 1000.

    So it holds for the V_k that the data have chosen. Control: without the logarithms, at one standard deviation or so.
    """
    N, S = np.arange(1, 1001), len(row)
    seen = np.cumsum(rng.multinomial(1, row, 1000), axis=0) / N[:, None]
    L = logarithm * (S * math.log(2) + math.log(1000 / 0.1)) + (1 - logarithm)
    return bool(np.all(np.abs(seen - row).sum(axis=1) / 2 <= np.sqrt(L / (2 * N))))


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


@claim("ravi.run", kind=HighProbability(failure=0.05, replicates=40), source="ravi_ucb spec 5", provenance="derived",
       given=_WORLDS, control={"scale": 0.0})  # fmt: skip
def run_of_learner(mdp, basis, eta, rng, scale=1.0):
    """At scale 1, with probability 1 - delta at every checkpoint: sum_{k <= K} V_k >= K V* - H log A / eta, regret <= certificate.

    3000 steps, delta = 0.05; eta = 1, or infinite (greedy). Tables and a linear mixture. Control: no bonus.
    """
    trace = RAVIUCB(eta, scale, basis=basis).run(mdp, 3_000, int(rng.integers(2**31)))
    promised = trace["certificate" if trace.parameters["guarantee"] else "uncertified"]
    return bool(np.all(trace["optimism"] >= -1e-9) and np.all(trace["regret"] <= promised + 1e-9))


@claim("ravi.regression", kind=HighProbability(failure=0.05, replicates=40), source="Abbasi-Yadkori, Pal, Szepesvari 2011; ravi_ucb spec 4",
       provenance="derived", given={"mixture": _mixture}, control={"scale": 0.2})  # fmt: skip
def regression(mdp, basis, rng, scale=1.0):
    """|P V - <x, regression>| <= beta |x| for the regression of V_k(s') on the basis' expectations x, at all pairs in all rollouts.

    The values are targets that the data before them have chosen, so that no net over value functions is needed. Control: beta / 5.
    """
    trace = RAVIUCB(1.0, scale, basis=basis).run(mdp, 3_000, int(rng.integers(2**31)))
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


_PLANNING = ("ravi.comparator", "ravi.soft-value", "ravi.optimism", "ravi.rollout", "ravi.certificate", "ravi.run")
_USES = {
    "ravi.soft-value": ("ravi.comparator",),
    "ravi.optimism": ("ravi.comparator",),
    "ravi.rollout": ("ravi.soft-value",),
    "ravi.certificate": ("ravi.optimism", "ravi.rollout"),
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
    claims=(*_PLANNING, "ravi.step", "ravi.shift", "ravi.drift", "ravi.confidence", "ravi.batches", "ravi.overflow", "ravi.bound"),
    uses=_USES
    | {
        "ravi.drift": ("ravi.step", "ravi.shift"),
        "ravi.run": ("ravi.certificate", "ravi.confidence"),
        "ravi.bound": ("ravi.certificate", "ravi.drift", "ravi.confidence", "ravi.batches", "ravi.overflow"),
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
        *_PLANNING,
        "ravi.step",
        "ravi.shift",
        "ravi.drift",
        "ravi.regression",
        "ravi.regression-batches",
        "ravi.overflow",
    ),
    uses=_USES | {"ravi.drift": ("ravi.step", "ravi.shift"), "ravi.run": ("ravi.certificate", "ravi.regression")},
)
