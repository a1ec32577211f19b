"""Best of both worlds along whole paths: logged runs, the bound for any bonus, the closed forms (bobw spec, L7, 4.4, 4.5).

The logged runs are those of ``bobw_replay``, plain NumPy, beside the algorithm's own (claim ``bobw.run``); all others are the algorithm's.
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, inequality, theorem
from proofs_check.claims.adversarial.bobw_bonus import PRACTICAL, theory
from proofs_check.claims.adversarial.bobw_entropy import SOURCE
from proofs_check.claims.adversarial.bobw_replay import Replay
from proofs_check.claims.adversarial.bobw_runs import VARIANTS, constants, learner_and_settings
from proofs_check.claims.adversarial.replaying import stochastic
from proofs_check.strategies import enumerable_mdps
from tabular_rl import instances, losses
from tabular_rl.algorithms import BestOfBothWorlds, Uniform
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import solve


@claim("bobw.path", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(enumerable_mdps(), st.sampled_from(VARIANTS[:4]), constants, st.integers(0, 2**16)), control={"start": 0})  # fmt: skip
def logged_path(mdp, variant, numbers, seed, start=1):
    """``bobw.ftrl`` on the estimates, bonuses and rates of 16 episodes of the algorithm, in every reachable (h, s) against every action.

    The estimates are those of the replay, which ends with the algorithm's policy. Control: without the initial term
    beta_0 (psi(e) - psi(pi_1)).
    """
    learner, settings = learner_and_settings(variant, numbers)
    replay = Replay(mdp, stochastic(mdp.reward), 16, settings).run(np.random.default_rng(seed))
    policy = learner.run(losses.stochastic(mdp, mdp.reward), 16, seed).policy
    size = 1e-9 + np.abs(replay.linear).max() + np.where(np.isfinite(replay.paid), np.abs(replay.paid), 0).max()
    paid = np.minimum(replay.paid, 1e3 * (1 + size)) - (1 - start) * replay.start  # an infinite stability bounds everything
    moved = np.abs(policy - replay.pi) / (1 + replay.amplified)
    return np.append(replay.linear / size, moved), np.append(paid / size, 0 * moved), 100.0


_GAPS = instances.gap_instance()


def _scaled(world, bonus_scale, comparator):
    return lambda: (world(_GAPS), bonus_scale, comparator)


@claim("bobw.any-scale", kind=Expectation(replicates=96), source=f"{SOURCE} 4.4", provenance="derived",
       given={"stochastic, no bonus": _scaled(losses.stochastic, 0.0, solve(_GAPS).policy),
              "stochastic, a tenth of the bonus": _scaled(losses.stochastic, 0.1, solve(_GAPS).policy),
              "anti-greedy, the whole bonus": _scaled(losses.anti_greedy, 1.0, np.eye(2)[np.zeros(_GAPS.shape[:2], int)])},
       control={"local": 0})  # fmt: skip
def any_scale(world, k, p, rng, local=1):
    """Practical constants and k times the bonus in the policy: for every p fixed in advance, whether or not (C_B) holds,
    E Reg(p) <= E sum_t sum mu^p [b + <pi - p, k B> + stab(pi, -k B, beta / 2)] + I0.

    Tsallis entropy, 300 episodes, a constant subtracted from B inside stab. Control: I0 alone.
    """
    T, (H, _, A) = 300, world.shape
    trace = BestOfBothWorlds(preset="practical", bonus_scale=k).run(world, T, int(rng.integers(2**62)), comparator=p)
    c0, eps, N0 = PRACTICAL
    R = np.arange(H, 0, -1)
    b = R * (eps * (math.sqrt(A) - 1) / c0 + 2 * c0 * eps * math.sqrt(A) + 1)  # the most that an episode can add
    B = math.e * np.cumsum(b[::-1])[::-1]
    most = local * np.sum(b + k * B + 2 * (k * B) ** 2 * c0 / (R * math.sqrt(N0)))
    initial, regret = trace.parameters["initial_term"], trace["comparator_regret"][-1]
    promised = trace["comparator_bound"][-1] if local else initial
    least = 0 if world.oblivious else -H * T  # of the regret: p is the best policy where losses repeat
    return regret - promised, 0.0, least - most * T - initial, np.inf, promised >= H * T


def closed_forms(shape, T, gap=None, corruption=0.0, reachable=None):
    """(the adversarial bound, the stochastic one for equal gaps) of theorem T, with the deterministic bound on Lam.

    ``reachable`` [H]: how many states of each layer are, by default all.
    """
    H, S, A = shape
    _, eps, N0 = theory("tsallis", H, S, A)
    d, R, states = eps / math.sqrt(N0), np.arange(H, 0, -1), np.full(H, S) if reachable is None else np.asarray(reachable)
    lam = 2 * math.log1p(eps * T / (2 * math.sqrt(N0)))
    J = math.e * (1 + d) / (4 * eps**2) * lam * states @ R + math.sqrt(2) * H * (H + 1) * math.sqrt(N0) * (math.sqrt(A) - 1)
    factor = math.e * math.sqrt(2) * (math.sqrt(1 + d) * (math.sqrt(A) - 1) + math.sqrt(A))
    adversarial = factor * (R @ np.sqrt(states * T * lam)) + J
    if gap is None:
        return adversarial, np.inf
    k = math.e * math.sqrt(2) * (math.sqrt(1 + d) + 4) * math.sqrt(lam * (A - 1) * (states @ R**2) / gap)
    return adversarial, k**2 + J + k * math.sqrt(J) + k * math.sqrt(corruption)


_BANDIT = instances.bandit([0.0, 1.0])


@claim("bobw.closed-forms", kind=Expectation(replicates=40), source=f"{SOURCE} 4.5 (theorem T)", provenance="derived",
       given={"stochastic": lambda: (losses.stochastic(_BANDIT), 0), "corrupted": lambda: (losses.corrupted(_BANDIT, 100), 100),
              "switching": lambda: (losses.switching(_BANDIT, 10_000), None)},
       control={"learner": "uniform"})  # fmt: skip
def closed_form(world, corrupted, rng, learner="best of both worlds"):
    """Two arms with losses 0 and 1, 20000 episodes: E Reg(pi*) is at most the stochastic bound k^2 + J + k sqrt(J) + k sqrt(C) with
    C = 2 H C0 after C0 adversarial episodes, and at most the adversarial one, which alone is claimed where the losses switch half-way.

    Control: the bound for a learner that learns nothing.
    """
    T, H = 20_000, 1
    best = np.array([[[0.0, 1.0]]]) if _BANDIT.reward[0, 0, 1] > _BANDIT.reward[0, 0, 0] else np.array([[[1.0, 0.0]]])
    adversarial, self_bounding = closed_forms(world.shape, T, None if corrupted is None else 1.0, 2.0 * H * (corrupted or 0))
    if learner == "uniform":
        regret = Uniform().run(world, T)["regret"][-1]
    else:
        regret = BestOfBothWorlds().run(world, T, int(rng.integers(2**62)), comparator=best)["comparator_regret"][-1]
    low = 0.0 if corrupted == 0 else -H * float(corrupted or T)  # nothing is gained on pi* where its losses are least
    bound = min(adversarial, self_bounding)
    return regret, bound, low, H * T, bound >= H * T


def _random(H, S, A, seed):
    """The instance rand_mdp of the bobw spec 7.0, with its mean losses: transition Dirichlet(1), then losses U[0, 1]; start 0."""
    rng = np.random.default_rng(seed)
    mdp = FiniteHorizonMDP(rng.dirichlet(np.ones(S), (H, S, A)), np.zeros((H, S, A)))
    return lambda: (losses.stochastic(mdp, rng.random((H, S, A))),)


@claim("bobw.master", kind=Expectation(replicates=24), source=f"{SOURCE} 4.4 and 7.7", provenance="derived",
       given={"(1, 1, 2)": _random(1, 1, 2, 0), "(2, 2, 2)": _random(2, 2, 2, 1), "(3, 3, 2)": _random(3, 3, 2, 2)},
       control={"bonus_scale": 0.0})  # fmt: skip
def master(world, rng, bonus_scale=1.0):
    """E Reg(pi*) <= E cert + I0 on random models with stochastic losses, 20000 episodes.

    Control: no bonus, whose certificate is I0 alone.
    """
    T = 20_000
    trace = BestOfBothWorlds(bonus_scale=bonus_scale).run(world, T, int(rng.integers(2**62)))
    promised = trace["certificate"][-1] if bonus_scale else trace.parameters["initial_term"]
    low = -closed_forms(world.shape, T)[0] if bonus_scale else -promised  # what the certificate can be at most; regret is at least 0
    return trace["regret"][-1] - promised, 0.0, low, np.inf, promised >= world.shape[0] * T


theorem(
    "bobw-any-scale",
    statement=r"For every factor $k \ge 0$ of the bonus in the policy and every $p$ fixed in advance, whether or not $(C_B)$ holds, "
    r"$\mathbb{E}[R_T(p)] \le \mathbb{E} \sum_t \sum_{h,s} \mu^p [b_t + \langle \pi_t - p, k B_t \rangle + "
    r"\mathrm{stab}(\pi_t, -k B_t, \beta_t / 2)] + I_0$. At $k = 1$ under $(C_B)$ it is at most the certificate.",
    source="derived in the bobw spec, section 4.4",
    provenance="derived",
    claims=("mdp.performance-difference-episodic", "bobw.estimator-bias", "bobw.ftrl", "bobw.path", "bobw.splitting",
            "bobw.estimator-stability", "bobw.any-scale"),
    uses={
        "bobw.path": ("bobw.ftrl",),
        "bobw.any-scale": ("mdp.performance-difference-episodic", "bobw.estimator-bias", "bobw.path", "bobw.splitting",
                           "bobw.estimator-stability"),
    },
)  # fmt: skip

theorem(
    "bobw-closed-forms",
    statement=r"On two arms with losses 0 and 1 the closed bounds of theorem bobw-tsallis are not vacuous, and hold: stochastic losses, "
    r"stochastic losses after an adversary, losses that switch; and without its bonus the learner exceeds $I_0$.",
    source="derived in the bobw spec, sections 4.4, 4.5 and 7.7",
    provenance="derived",
    claims=("bobw.adversarial-cost", "bobw.stochastic-cost", "bobw.self-bounding", "bobw.corruption", "bobw.master", "bobw.closed-forms"),
    uses={"bobw.closed-forms": ("bobw.adversarial-cost", "bobw.stochastic-cost", "bobw.self-bounding", "bobw.corruption", "bobw.master")},
)

theorem(
    "bobw-unknown-certificate",
    statement=r"Unknown transition: with $u_t$ from the upper occupancy, the bias bonus $R_h (u_t - \underline \mu_t) / u_t$ and the bonus "
    r"propagated with the most favorable transition of the confidence set, $\mathbb{E}[R_T(p)] \le \mathbb{E}[\mathrm{cert}_T] + I_0 "
    r"+ 4 \delta H T$: of order $\sqrt T$ in both worlds.",
    source="derived in the bobw spec, section 3.8; confidence sets of Jin, Jin, Luo, Sra, Yu 2020",
    provenance="derived",
    claims=(
        "bobw-certificate",
        "dapo.occupancy-bounds",
        "dapo.optimistic-telescoping",
        "dilated-bonus-po.confidence",
        "bobw.unknown-bonus",
    ),
    uses={
        "bobw.unknown-bonus": ("dapo.occupancy-bounds",),
        "dapo.occupancy-bounds": ("dilated-bonus-po.confidence",),
        "dapo.optimistic-telescoping": ("dilated-bonus-po.confidence",),
    },
)
