"""LPO's theorem on whole runs: every epoch's gap is paid for by what the run has recorded, with no probability at all (lpo spec, 5.9).

    V* - mean_t V^{pi_t} <= (1 / (1 - discount)) { sum d_K^pt mean_t (Qhat_t - <pi_t, Qhat_t>) + mean_t sum d_K^pt slack_t
                                                   + mean_t (sum d_K^{pi_t} b + esc^{pi_t}) }

The first sum is at most that of the policy gradient's regret, the second the estimation errors beyond the bonus, the third the price of
optimism: the bonus of what the epoch's rollouts would meet.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality, theorem
from proofs_check.claims.lpo_optimism import Optimistic, _optimal
from proofs_check.strategies import draw
from tabular_rl import instances, planning
from tabular_rl.algorithms import LPO, LinearClass
from tabular_rl.models import DiscountedMDP

SOURCE = "lpo spec 5.9"


class Terms(NamedTuple):
    """Of one epoch, all over 1 - discount: ``gap`` of its mixture; ``regret``, ``slack``, ``price``: the three sums of the bound."""

    gap: Any
    regret: Any
    slack: Any
    price: Any


def epoch_terms(mdp, epochs, e, terminal=True):
    """The Terms of epoch ``e`` of an LPO run with recorded action values."""
    K = Optimistic(mdp, np.stack([epochs.known[e], np.where(epochs.known[e], epochs.bonus[e], 0), mdp.reward]), terminal)
    known, inside, g = K.data[0], K.inside[:, None], mdp.discount
    best, optimal = _optimal(mdp, mdp.reward)
    d = K.solve(K.policy(optimal))[2] * inside
    gaps, terms = [], []
    for pi, estimate in zip(epochs.policies[e], epochs.q_estimates[e], strict=True):
        gaps.append(mdp.initial @ (best - planning.evaluate(mdp, pi).values))
        _, q, d_pi, esc = K.solve(pi)
        error = (q - estimate) * inside
        slack = np.maximum(error - K.data[1], 0) + np.sum(pi * np.maximum(-error, 0), axis=1, keepdims=True)
        price = np.sum(d_pi * K.data[1]) + (esc if terminal else np.sum(d_pi * (1 - known)) / (1 - g))
        terms.append([np.sum(d * (estimate - np.sum(pi * estimate, axis=1, keepdims=True))), np.sum(d * slack), price])
    return Terms(np.mean(gaps), *(np.mean(terms, axis=0) / (1 - g)))


def lpo_run(problem, terminal, outer, seed):
    """(mdp, epochs, terminal) of a short run with recorded action values."""
    if problem == "linear":
        rng = np.random.default_rng(0)
        features, factors, weights = rng.dirichlet(np.full(4, 0.3), (12, 3)), rng.dirichlet(np.full(12, 0.3), 4), rng.random(4)
        mdp, functions = DiscountedMDP(features @ factors, features @ weights, 0.8), LinearClass(features)
    else:
        mdp = instances.river_swim(6, discount=0.9) if problem == "river swim" else instances.combination_lock(3, 3)
        functions = None
    learner = LPO(4, 60, functions, learning_rate=0.5, bonus_scale=0.2, known_width=1 / 3, unknown="terminal" if terminal else "bonus")
    return mdp, learner.run(mdp, outer, seed, keep_q=True).epochs, terminal


_runs = draw(lpo_run, st.sampled_from(["river swim", "lock", "linear"]), st.booleans(), st.sampled_from([20, 60]))


@claim("lpo.pathwise", kind=inequality, source=SOURCE, provenance="derived", given=(_runs,), control={"priced": False})
def pathwise(run, priced=True):
    """In every epoch of live runs (tables and linear classes, both modes) the gap is at most regret + slack + price.

    Control: optimism for nothing.
    """
    mdp, epochs, terminal = run
    chosen = np.unique(np.linspace(0, len(epochs.counts) - 1, 3)[1:].astype(int))
    terms = [epoch_terms(mdp, epochs, e, terminal) for e in chosen]
    allowed = [term.regret + term.slack + priced * term.price for term in terms]
    return np.array([term.gap for term in terms]), np.array(allowed), 10 / (1 - mdp.discount) ** 2


theorem(
    "lpo",
    statement=r"In every epoch, whatever the data and the regression, $V^* - \tfrac{1}{T} \sum_t V^{\pi_t} \le "
    r"\tfrac{1}{1 - \gamma} \{ \langle d_K^{\tilde\pi}, \tfrac{1}{T} \sum_t (\hat Q_t - \langle \pi_t, \hat Q_t \rangle) \rangle "
    r"+ \mathrm{slack} + \tfrac{1}{T} \sum_t (\langle d_K^{\pi_t}, b \rangle + \mathrm{esc}^{\pi_t}) \}$. The first term is at most "
    r"$B \sqrt{\log A / (2 T)}$, the last sums over outer samples to $O(\alpha \sqrt{N \mathrm{Pot}_N} + \mathrm{Pot}_N / \tau^2)$, and "
    r"there are $O(C\, \mathrm{Pot}_N)$ epochs, $\mathrm{Pot}_N = O(d \log N)$: $O(\epsilon^{-3})$ rollouts. The explicit bound (T1 of the "
    r"spec) is vacuous below $N \approx 10^{11}$, so that what is executed of whole runs is its pathwise part.",
    source="Li, Wang, Cheng, Yang 2023 (the rate); constants and pathwise form from the lpo spec, 5.9",
    provenance="derived",
    claims=(
        "lpo.performance-difference", "lpo.optimism", "lpo.optimism-unknown", "lpo.price-of-optimism", "lpo.policy-gradient", "lpo.window",
        "lpo.importance-mean", "lpo.importance-square", "lpo.estimation",
        "sensitivity.increments", "sensitivity.two-sided", "sensitivity.size",
        "sensitivity.potential", "sensitivity.monotone", "sensitivity.charges", "lpo.pathwise",
    ),
    uses={
        "lpo.optimism": ("lpo.performance-difference",),
        "lpo.importance-square": ("lpo.importance-mean", "lpo.window"),
        "lpo.estimation": ("lpo.importance-square",),
        "lpo.pathwise": ("lpo.optimism", "lpo.optimism-unknown", "lpo.price-of-optimism", "lpo.policy-gradient"),
    },
)  # fmt: skip
