"""Dilated-bonus policy optimization: estimator, confidence sets, certificate, rate (dapo spec 6 at delay zero, bobw spec 6.1).

Chain (dapo spec, section 6, SEQ at delay zero): the estimate is biased downwards by the implicit exploration alone; exponential weights pay
eta E<pi, Qhat^2>; the bonus collects both in the dilated Bellman equation, whose value at the start is the certificate.
"""

import numpy as np

from proofs_check import Expectation, HighProbability, Rate, claim, theorem
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, DilatedBonusPO, Uniform
from tabular_rl.planning import evaluate, sample_episodes, state_occupancy


def _episodic():
    mdp = instances.delay_instance()
    policy = np.random.default_rng(0).dirichlet(np.ones(mdp.n_actions), mdp.shape[:2])
    return mdp, policy


@claim("dilated-bonus-po.estimator", kind=Expectation(replicates=5_000, equal=True), source="Neu 2015; dapo spec L2",
       provenance="classical", given={"delay instance, a random policy": _episodic}, control={"implicit_exploration": False})  # fmt: skip
def estimator(mdp, policy, rng, implicit_exploration=True):
    """E Qhat[h,s,a] = q pi / (q pi + gamma) Q[h,s,a] for Qhat = 1{(s_h,a_h) = (s,a)} L_h / (q pi + gamma), with q the occupancy of (h,s).

    Control: unbiasedness, E Qhat = Q, which implicit exploration gives up.
    """
    H, S, A = mdp.shape
    gamma = 0.05
    visited = state_occupancy(mdp, policy)[..., None] * policy
    loss_values = np.arange(H, 0, -1)[:, None, None] - evaluate(mdp, policy).q_values  # losses are 1 - reward
    n = 1_000
    paths = sample_episodes(mdp, policy, n, seed=rng)
    to_go = np.cumsum((1 - paths.rewards)[:, ::-1], axis=1)[:, ::-1]
    estimates = np.zeros((n, H, S, A))
    steps = np.arange(H)
    weights = 1 / (visited + gamma)
    estimates[np.arange(n)[:, None], steps, paths.states, paths.actions] = to_go * weights[steps, paths.states, paths.actions]
    expected = loss_values * (visited / (visited + gamma) if implicit_exploration else visited > 0)
    return estimates.reshape(n, -1), expected.ravel(), 0.0, (np.broadcast_to(H * weights, (H, S, A))).ravel()


@claim("dilated-bonus-po.confidence", kind=HighProbability(failure=0.2), source="Jin, Jin, Luo, Sra, Yu 2020; dapo spec 2.5",
       provenance="reconstructed", given={"four rows": lambda: (np.random.default_rng(1).dirichlet(np.full(4, 0.5), 4),)},
       control={"scale": 0.02})  # fmt: skip
def confidence(rows, rng, scale=1.0):
    """With log(H S A K / delta) the Bernstein sets contain the true rows after each number of visits up to K, with probability 1 - 4 delta.

    Here delta = 0.05, H = 1, K = 200. Control: a fiftieth of the logarithm.
    """
    from tabular_rl.kernels.episodic.confidence import bernstein_confidence

    n, S = rows.shape
    visits_at_most, delta = 200, 0.05
    draws = np.stack([rng.multinomial(1, row, size=visits_at_most) for row in rows], axis=1)  # [K, n, S]
    counts = np.cumsum(draws, axis=0, dtype=float)[:, None]  # [K, 1, n, S]: one action, the rows in the place of states
    visits = np.arange(1.0, visits_at_most + 1)[:, None, None] * np.ones((1, n, 1))
    log_term = scale * np.log(n * visits_at_most / delta)
    estimate, radius = np.empty((visits_at_most, n, 1, S)), np.empty((visits_at_most, n, 1, S))
    bernstein_confidence(visits, counts.transpose(0, 2, 1, 3).copy(), log_term, estimate, radius)
    return np.all(np.abs(estimate[:, :, 0] - rows) <= radius[:, :, 0] + 1e-12)


_WORLDS = {
    "bandit with losses 0 and 1": lambda: (losses.stochastic(instances.bandit([0.0, 1.0])), 1000),
    "delay instance": lambda: (losses.stochastic(instances.delay_instance()), 1000),
    "delay instance, losses switch": lambda: (losses.switching(instances.delay_instance(), 500), 1000),
}


@claim("dilated-bonus-po.certificate", kind=Expectation(replicates=400), source="Luo, Wei, Lee 2021; dapo spec 5.3 at delay zero",
       provenance="derived", given=_WORLDS, control={"learner": "uniform"})  # fmt: skip
def certificate(world, episodes, rng, learner="policy optimization"):
    """E[regret - certificate] <= 0, with certificate = H log(A) / eta + (1 + 1/H) sum_k <initial, Bbar_k[0]>, in oblivious worlds.

    Control: the same certificate for a learner that learns nothing.
    """
    seed = int(rng.integers(2**62))
    trace = DilatedBonusPO().run(world, episodes, seed=seed)
    regret = (trace if learner != "uniform" else Uniform().run(world, episodes))["regret"][-1]
    H, _, A = world.shape
    eta, gamma, c, _ = DilatedBonusPO().resolve(world.shape, episodes)
    largest = H * np.log(A) / eta + (1 + 1 / H) * episodes * c / gamma * H * ((1 + 1 / H) ** H - 1)
    promised = trace["certificate"][-1]
    return regret - promised, 0.0, -H * episodes - largest, np.inf, promised >= H * episodes


@claim("dilated-bonus-po.rate", kind=Rate(exponent=0.5), source="Luo, Wei, Lee 2021; bobw spec 6.1",
       provenance="reconstructed", given={"river swim, anti-greedy": lambda: (losses.anti_greedy(instances.river_swim(n=4, horizon=8)),)},
       control={"learner": "UCBVI"})  # fmt: skip
def rate(world, rng, learner="policy optimization"):
    """Runs of K episodes, each with the learning rate of its K, have regret of order sqrt(K) against an adaptive adversary.

    The theorem covers policies fixed in advance; the best one in hindsight of an adaptive world asks for more, and is what is measured.
    Fitted over K = 32000 .. 128000. Control: UCBVI, which trusts that losses repeat.
    """
    lengths = np.array([32_000, 64_000, 128_000])
    algorithm = DilatedBonusPO() if learner != "UCBVI" else UCBVI(transition="known")
    return lengths, [algorithm.run(world, int(K), seed=rng)["regret"][-1] for K in lengths]


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
    "dilated-bonus-po",
    statement=r"With $\gamma = \eta H$, $c = \gamma H + (e - 2) \eta H^2$ and $\eta$ small enough, policy optimization with "
    r"dilated bonuses has $\mathbb{E}[R_K] \le \mathbb{E}\left[ \frac{H \log A}{\eta} + (1 + \tfrac{1}{H}) "
    r"\sum_k \langle \rho, \bar B^k_0 \rangle \right] = O(H^2 \sqrt{S A K \log A})$ in every oblivious world.",
    source="Luo, Wei, Lee 2021; constants from the dapo spec, section 6, at delay zero",
    provenance="derived",
    claims=(
        "mdp.performance-difference-episodic", "dilated-bonus-po.estimator", "mw.identity", "bonus.dilated-telescoping", "bonus.unrolled",
        "bonus.at-most-e", "dilated-bonus-po.certificate", "dilated-bonus-po.rate",
    ),
    uses={
        "bonus.at-most-e": ("bonus.unrolled",),
        "dilated-bonus-po.certificate": (
            "mdp.performance-difference-episodic", "dilated-bonus-po.estimator", "mw.identity",
            "bonus.dilated-telescoping", "bonus.at-most-e",
        ),
        "dilated-bonus-po.rate": ("dilated-bonus-po.certificate",),
    },
)  # fmt: skip
