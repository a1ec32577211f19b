"""Dilated-bonus policy optimization: estimator, confidence sets, certificate, rate (dapo spec 6 at delay zero, bobw spec 6.1).

Chain (dapo spec, section 6, SEQ at delay zero): the estimate is biased downwards by the implicit exploration alone; exponential weights pay
eta E<pi, Qhat^2>; the bonus collects both in the dilated Bellman equation, whose value at the start is the certificate.
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, HighProbability, Rate, claim, identity, inequality, theorem
from proofs_check.calculus import evaluate, state_occupancy
from proofs_check.claims.adversarial.replaying import WORLDS, Transition, least_loss, log_of_union, play, world_of
from proofs_check.claims.delayed.dapo_estimator import trajectories
from proofs_check.strategies import bonuses, enumerable_mdps, finite_horizon_mdps, policies, scales, tables
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, DilatedBonusPO, Uniform
from tabular_rl.algorithms.adversarial.dilated_bonus_po import KAPPA, learn, local_bonuses
from tabular_rl.planning import dilated_bonus


@claim("dilated-bonus-po.kappa", kind=inequality, source="dapo spec 5.3", provenance="classical",
       given=(st.floats(-1, 30),), control={"kappa": 0.5})  # fmt: skip
def kappa(y, kappa=KAPPA):
    """exp(-y) <= 1 - y + KAPPA y^2 for y >= -1, with equality at -1.  Control: 1/2, the constant of y >= 0."""
    return np.exp(-np.array([y, -1.0])), 1 - np.array([y, -1.0]) + kappa * np.array([y * y, 1.0]), 3.0


def _log_weights(mdp, pi, gamma, bonus=None):
    """E [H, S, A] of what the algorithm's ``learn`` adds to the log weights at eta = 1, over all trajectories; u is the occupancy."""
    paths, mean, u = trajectories(mdp, pi), np.zeros(mdp.shape), state_occupancy(mdp, pi)
    losses_ = paths.to_go - np.concatenate([paths.to_go[1:], np.zeros((1, paths.to_go.shape[1]))])
    for n in np.flatnonzero(paths.probability):
        moved, (states, actions) = np.zeros(mdp.shape), np.divmod(paths.cells[:, n], mdp.n_actions)
        learn(1.0, gamma, np.zeros(mdp.shape) if bonus is None else bonus, states, actions, losses_[:, n].copy(), u, pi, moved)
        mean += paths.probability[n] * moved
    return mean, u[..., None] * pi


@claim("dilated-bonus-po.estimator", kind=identity, source="Neu 2015; dapo spec L2", provenance="classical",
       given=(enumerable_mdps(), policies(), tables(0.0, 1.0), scales(-2, 0)), control={"implicit_exploration": False})  # fmt: skip
def estimator(mdp, policy, bonus, gamma, implicit_exploration=True):
    """E[Qhat - B] = q pi / (q pi + gamma) Q - B for Qhat = 1{(s_h,a_h) = (s,a)} L_h / (q pi + gamma), with q the occupancy of (h,s): what
    the algorithm learns from an episode, over all trajectories. The losses are the model's ``reward``.

    Control: unbiasedness, E Qhat = Q, which implicit exploration gives up.
    """
    mean, visited = _log_weights(mdp, policy, gamma, bonus)
    share = visited / (visited + gamma) if implicit_exploration else visited > 0
    return -mean, share * evaluate(mdp, policy).q_values - bonus, mdp.horizon


@claim("dilated-bonus-po.local-bonus", kind=inequality, source="dapo spec, section 6, SEQ", provenance="derived",
       given=(finite_horizon_mdps(), policies(), bonuses(), bonuses(), scales(-3, 0), st.booleans()), control={"share": 0.5})  # fmt: skip
def local_bonus_pays(mdp, pi, above, below, eta, unknown, share=1.0):
    """gamma = eta H: sum_a pi (gamma / (q pi + gamma) Q + kappa eta Q^2 q pi / (q pi + gamma)^2) <= b for any Q in [0, H]: the bias of the
    estimate and the second moment that exponential weights pay for. At the true q with u = q, or with l <= q <= u, where b also pays for
    the (u - q) pi / (u pi + gamma) Q that u hides.

    Control: half of the bonus.
    """
    H, _, _ = mdp.shape
    q, gamma, Q, kappa_ = state_occupancy(mdp, pi), eta * H, np.arange(mdp.horizon, 0, -1.0)[:, None, None], math.e - 2
    upper, lower = (q + above * (1 - q), q * below) if unknown else (q, q)
    b, u = np.empty(q.shape), upper[..., None]
    local_bonuses(upper, lower, pi, gamma, gamma * H + kappa_ * eta * H**2, b)
    weight = 1 / (u * pi + gamma)
    bias = (1 - q[..., None] * pi * weight) * Q
    return np.sum(pi * (bias + kappa_ * eta * Q**2 * q[..., None] * pi * weight**2), axis=-1), share * b, 1.0


@claim("dilated-bonus-po.largest-bonus", kind=inequality, source="dapo spec, section 6, SEQ", provenance="derived",
       given=(finite_horizon_mdps(), policies(), bonuses(), bonuses(), st.booleans(), scales(0, 5)),
       control={"preset": "practical"})  # fmt: skip
def largest_bonus(mdp, pi, above, below, unknown, n, preset="theory"):
    """The theory's numbers keep every bonus of every episode small: eta B <= 1 and kappa H eta B <= 1, so that exponents stay above -1.

    And the closed bound holds: an episode adds at most (1 + 1/H)^H c H S A to the certificate if the transition is known.
    Control: the practical numbers with the whole bonus.
    """
    (H, S, A), kind = mdp.shape, "unknown" if unknown else "known"
    learner = DilatedBonusPO(preset, transition=kind, bonus_scale=1.0)
    eta, gamma, c, _ = learner.resolve(mdp.shape, int(n))
    q = state_occupancy(mdp, pi)
    upper, lower = (q + above * (1 - q), q * below) if unknown else (q, q)
    b = np.empty(q.shape)
    local_bonuses(upper, lower, pi, gamma, c, b)
    B = dilated_bonus(mdp, pi, b)
    added = learner.certificate(mdp.shape, eta, mdp.initial @ np.sum(pi[0] * B[0], axis=-1), 0) - H * np.log(A) / eta
    largest = eta * B.max() * max(1, (math.e - 2) * H)
    return [largest, 0.0 if unknown else added], [1.0, (1 + 1 / H) ** H * c * H * S * A], 1.0


presets = st.sampled_from(["theory", "practical", "luo"])


@claim("dilated-bonus-po.constants", kind=identity, source="dapo spec 6 and 6.1; bobw spec 6.1", provenance="derived",
       given=(st.integers(1, 9), st.integers(1, 9), st.integers(2, 9), scales(0, 6), presets, st.booleans()),
       control={"exploration": 2})  # fmt: skip
def constants(H, S, A, n, preset, unknown, exploration=1):
    """eta, gamma and c in force are those of the text, kappa = e - 2. theory: gamma = eta H, c = gamma H + kappa eta H^2, and eta the least
    of sqrt(log A / ((1 + kappa) (1 + 1/H)^H H^2 S A n)), 1 / m and 1 / (kappa H m), with m = H^2 ((1 + 1/H)^H - 1) (1 + kappa) the largest
    bonus per eta, 2 + kappa if the transition is unknown.  Control: twice the exploration.
    """
    k, growth, n = math.e - 2, (1 + 1 / H) ** H, int(n)
    m = H * H * (growth - 1) * (1 + k + unknown)
    eta = {
        "theory": min(math.sqrt(math.log(A) / ((1 + k) * growth * H * H * S * A * n)), 1 / m, 1 / (k * H * m)),
        "practical": 10 * math.sqrt(math.log(A) / (5 * H * H * S * A * n)),
        "luo": math.sqrt(math.log(A) / (S * A * n)) / H,
    }[preset]
    gamma = exploration * eta * H * {"theory": 1, "practical": 0.5, "luo": 2}[preset]
    c = {"theory": 1, "practical": 0.1, "luo": 0}[preset] * (gamma * H + k * eta * H * H) + 3 * gamma * H * (preset == "luo")
    found = DilatedBonusPO(preset, transition="unknown" if unknown else "known").resolve((H, S, A), n)
    return np.array(found[:3]) / [eta, gamma, c], np.ones(3), 1.0


@claim("dilated-bonus-po.condition", kind=identity, source="dapo spec 6", provenance="derived",
       given=(st.integers(1, 9), scales(-1, 1), st.sampled_from([0.9, 1.0, 1.5]), st.sampled_from([1.0, 0.5]), st.booleans()),
       control={"extra": 0})  # fmt: skip
def condition(H, factor, scale, confidence, unknown, extra=1):
    """There is a guarantee if and only if c >= gamma H + kappa eta H^2, theta <= 1 and kappa H theta <= 1, where theta =
    eta (c / gamma + H if the transition is unknown) H ((1 + 1/H)^H - 1), and the confidence sets are the theory's.

    eta is ``factor`` times where these turn, and never that by itself, where rounding would decide. Control: theta without the unknown
    transition.
    """
    k, growth = math.e - 2, H * ((1 + 1 / H) ** H - 1)
    largest = (scale * H * (1 + k) + extra * unknown * H) * growth * max(1, k * H)
    eta = 1.001 * factor / ((scale * H * (1 + k) + unknown * H) * growth * max(1, k * H))
    kind = "unknown" if unknown else "known"
    learner = DilatedBonusPO(learning_rate=eta, bonus_scale=scale, transition=kind, confidence_scale=confidence)
    expected = scale >= 1 and eta * largest <= 1 and (confidence == 1 or not unknown)
    return float(learner.resolve((H, 3, 2), 10)[3]), float(expected)


_learners = st.builds(DilatedBonusPO, preset=st.sampled_from(["theory", "practical", "luo", "theory"]),
                      learning_rate=st.sampled_from([None, 0.3, 0.003]), transition=st.sampled_from(["known", "unknown"]),
                      confidence_scale=st.sampled_from([1.0, 1e-3]))  # fmt: skip


@claim("dilated-bonus-po.run", kind=identity, source="Luo, Wei, Lee 2021; dapo spec 6", provenance="derived",
       given=(enumerable_mdps(), _learners, st.sampled_from(WORLDS), st.integers(0, 2**16)), control={"dilated": False})  # fmt: skip
def whole_run(mdp, learner, kind, seed, dilated=True):
    """16 episodes of the compiled algorithm are those of a plain one on the same random numbers: losses, regrets, certificates, the last
    policy.  Control: the certificate without 1 + 1/H.
    """
    (H, _, A), T, known = mdp.shape, 16, learner.transition == "known"
    (mdp, world, means_of), rng = world_of(mdp, kind), np.random.default_rng(seed)
    eta, gamma, c, proven = learner.resolve(mdp.shape, T)
    transition, steps = Transition(mdp, known, learner.confidence_scale * log_of_union(mdp.shape, T, learner.delta)), np.arange(H)
    total, sums, paid, loss, found, rounding = np.zeros(mdp.shape), np.zeros(mdp.shape), 0.0, 0.0, [], 0.0
    for t in range(1, T + 1):
        pi = np.exp(-eta * (sums - sums.min(axis=-1, keepdims=True)))
        pi, means = pi / pi.sum(axis=-1, keepdims=True), means_of(t)
        q = upper = lower = state_occupancy(mdp, pi)
        loss, total = loss + np.sum(q[..., None] * pi * means), total + means
        states, actions, seen = play(mdp, pi, means, rng)
        if not known:
            upper, lower = (np.array(side) for side in zip(*(transition.arrivals(h, pi) for h in range(H)), strict=True))
        weight = 1 / (upper[..., None] * pi + gamma)
        b = np.sum(pi * weight * (c + np.arange(H, 0, -1)[:, None, None] * (upper - lower)[..., None] * pi), axis=-1)
        B, values = transition.dilated(pi, b)
        paid += mdp.initial @ values[0]
        sums = sums - B
        sums[steps, states, actions] += np.cumsum(seen[::-1])[::-1] * weight[steps, states, actions]
        rounding = max(rounding, eta * np.abs(sums).max())
        if not known:
            transition.observe(states, actions)
        found.append((loss, loss - least_loss(mdp, total), H * math.log(A) / eta + (1 + dilated / H) * paid))
    trace, columns = learner.run(world, T, seed), np.array(found).T
    columns[2] += 0 if known else 4 * learner.delta * H * np.arange(1, T + 1)
    names = ("loss", "regret", "certificate") if proven else ("loss", "regret")
    if set(names) != set(trace.series):
        return 0.0, 1.0
    sizes = [1 + np.abs(column).max() for column in columns]
    run = np.concatenate([trace[name] / size for name, size in zip(names, sizes, strict=False)])
    plain = np.concatenate([column[trace.index - 1] / size for _, column, size in zip(names, columns, sizes, strict=False)])
    return np.append(run, trace.policy), np.append(plain, pi), 1 + rounding


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


@claim("dilated-bonus-po.rate", kind=Rate(exponent=0.5, replicates=8), source="Luo, Wei, Lee 2021; bobw spec 6.1",
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


theorem(
    "dilated-bonus-po",
    statement=r"With $\gamma = \eta H$, $c = \gamma H + (e - 2) \eta H^2$ and $\eta$ small enough, policy optimization with "
    r"dilated bonuses has $\mathbb{E}[R_K] \le \mathbb{E}\left[ \frac{H \log A}{\eta} + (1 + \tfrac{1}{H}) "
    r"\sum_k \langle \rho, \bar B^k_0 \rangle \right] = O(H^2 \sqrt{S A K \log A})$ in every oblivious world.",
    source="Luo, Wei, Lee 2021; constants from the dapo spec, section 6, at delay zero",
    provenance="derived",
    claims=(
        "mdp.performance-difference-episodic", "dilated-bonus-po.estimator", "mw.identity", "bonus.dilated-telescoping", "bonus.unrolled",
        "bonus.at-most-e", "dilated-bonus-po.kappa", "dilated-bonus-po.constants", "dilated-bonus-po.condition",
        "dilated-bonus-po.local-bonus", "dilated-bonus-po.largest-bonus", "dilated-bonus-po.run", "dilated-bonus-po.certificate",
        "dilated-bonus-po.rate",
    ),
    uses={
        "bonus.at-most-e": ("bonus.unrolled",),
        "dilated-bonus-po.largest-bonus": ("dilated-bonus-po.constants", "dilated-bonus-po.condition"),
        "dilated-bonus-po.certificate": (
            "mdp.performance-difference-episodic", "dilated-bonus-po.estimator", "mw.identity",
            "bonus.dilated-telescoping", "bonus.at-most-e", "dilated-bonus-po.kappa", "dilated-bonus-po.local-bonus",
            "dilated-bonus-po.largest-bonus", "dilated-bonus-po.run",
        ),
        "dilated-bonus-po.rate": ("dilated-bonus-po.certificate",),
    },
)  # fmt: skip
