"""Optimistic policy optimization with delayed feedback, transition known: the steps of theorem OPPO (``algorithms.delayed_oppo``).

An episode was played with ``pi``, of occupancy q; its losses, the model's ``reward``, arrive when the policy is ``p``.

    lhat[h,s,a] = 1{(s_h,a_h) = (s,a)} loss / (q pi + gamma),   Qhat = lhat + P pi Qhat,   p' = p exp(-eta Qhat) / Z

Expectations are exact: sums over all trajectories of pi.
"""

import math

import numpy as np

from proofs_check import Expectation, claim, identity, inequality, theorem
from proofs_check.calculus import evaluate, state_occupancy
from proofs_check.claims.delayed.dapo_estimator import explorations, to_go, total_variation, trajectories
from proofs_check.claims.delayed.dapo_runs import bound_of_runs, problems
from proofs_check.claims.delayed.dapo_steps import interior, rates, updated
from proofs_check.claims.delayed.delayed_replay import SlowOPPO, both_sides, chosen, late_worlds, replay, scaled
from proofs_check.strategies import enumerable_mdps, policies
from tabular_rl.algorithms import DelayedOPPO

SOURCE = "theorem OPPO of the algorithm's docstring"


def estimates(mdp, pi, p, gamma, policy="played"):
    """(Qhat [H, S, A, n] along all n paths of ``pi``, their probabilities); ``policy``: whose probabilities divide the losses."""
    H, S, A = mdp.shape
    paths, n = trajectories(mdp, pi), S * A
    charged = paths.at(mdp.reward / (state_occupancy(mdp, pi)[..., None] * (pi if policy == "played" else p) + gamma))
    q_values = np.zeros((H, n, len(paths.probability)))
    for h in reversed(range(H)):
        if h + 1 < H:
            following = np.sum(pi[h + 1][..., None] * q_values[h + 1].reshape(S, A, -1), axis=1)
            q_values[h] = mdp.transition[h].reshape(n, S) @ following
        q_values[h, paths.cells[h], np.arange(q_values.shape[-1])] += charged[h]
    return q_values.reshape(H, S, A, -1), paths.probability


@claim("delayed-oppo.estimator", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations), control={"policy": "arrived"})  # fmt: skip
def oppo_estimator(mdp, pi, p, gamma, policy="played"):
    """E Qhat <= Q <= H - h, and <initial, sum_a pi (Q - E Qhat)> <= gamma H S A.  Control: losses divided by the policy at arrival."""
    q_hat, probability = estimates(mdp, pi, p, gamma, policy)
    mean, q_values = q_hat @ probability, evaluate(mdp, pi).q_values
    bias = np.sum(mdp.initial[:, None] * pi[0] * (q_values - mean)[0])
    most = np.broadcast_to(to_go(mdp), mdp.shape)
    rhs = np.array([*q_values.ravel(), *most.ravel(), gamma * np.prod(mdp.shape)])
    return np.array([*mean.ravel(), *q_values.ravel(), bias]), rhs, mdp.horizon / gamma


@claim("delayed-oppo.second-moment", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations), control={"explored": False})  # fmt: skip
def oppo_second_moment(mdp, pi, p, gamma, explored=True):
    """Qhat <= (H - h) / gamma on every path, and E Qhat^2 <= (H - h)^2 / gamma.  Control: without 1 / gamma."""
    q_hat, probability = estimates(mdp, pi, p, gamma)
    most = np.broadcast_to(to_go(mdp), mdp.shape).ravel()
    rhs = np.concatenate([most / gamma, most**2 / (gamma if explored else 1)])
    return np.concatenate([q_hat.max(axis=-1).ravel(), (q_hat**2 @ probability).ravel()]), rhs, mdp.horizon / gamma**2


@claim("delayed-oppo.drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations, rates), control={"factor": 1 / 2})  # fmt: skip
def oppo_drift(mdp, pi, p, gamma, eta, factor=1):
    """E TV(p, p') <= eta <p, E Qhat> <= eta (H - h) in every state: how far one update moves the policy.  Control: half of it."""
    (q_hat, probability), p = estimates(mdp, pi, p, gamma), interior(p)
    after = np.exp(updated(p[:, :, None], eta * np.moveaxis(q_hat, 3, 2)))
    moved = total_variation(after, p[:, :, None]) @ probability
    bound = eta * np.sum(p * (q_hat @ probability), axis=-1)
    most = eta * np.broadcast_to(to_go(mdp)[..., 0], bound.shape)
    return np.concatenate([moved.ravel(), bound.ravel()]), np.concatenate([factor * bound.ravel(), most.ravel()]), eta / gamma


@claim("delayed-oppo.value-drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("arrived"), explorations), control={"factor": 1 / 4})  # fmt: skip
def oppo_value_drift(mdp, pi, p, gamma, factor=1):
    """E <pi - p, Qhat> <= max_a E Qhat TV(pi, p) <= (H - h) TV(pi, p) in every state: playing pi for p.  Control: a quarter of it."""
    q_hat, probability = estimates(mdp, pi, p, gamma)
    mean, distance = q_hat @ probability, total_variation(pi, p)
    largest = mean.max(axis=-1) * distance
    most = to_go(mdp)[..., 0] * distance
    lhs = np.concatenate([np.sum((pi - p) * mean, axis=-1).ravel(), largest.ravel()])
    return lhs, np.concatenate([factor * largest.ravel(), most.ravel()]), mdp.horizon


@claim("delayed-oppo.bound", kind=Expectation(replicates=200), source=SOURCE, provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def oppo_bound(problem, episodes, rng, learner="OPPO"):
    """E regret <= H log(A) / eta + gamma H S A K + eta (K / (2 gamma) + D~) sum_h (H - h)^2, transition known.

    Control: the bound for a learner that learns nothing.
    """
    return bound_of_runs(DelayedOPPO(), problem, episodes, rng, learner)


def _squares(H):
    return sum((H - h) ** 2 for h in range(H))


@claim("delayed-oppo.replay", kind=identity, source="dapo spec, section 4 item 3", provenance="derived",
       given=(late_worlds(S=2, episodes=12), chosen([None, None, 1.0, 0.05], (-3, 0), (-2, 0))), control={"delay": 1})  # fmt: skip
def oppo_replay(late, settings, delay=0):
    """A run is that of the pseudo-code, draw by draw: known transition, or (``radii``: factor of the logarithm) the set of the time of
    play, whose least expectations make Qhat; the bound is what the steps add up to.

    Control: all feedback comes one episode later.
    """
    (radii, eta, gamma, seed), (H, S, A), K = settings, late.shape, late.episodes
    known = radii is None
    unknown = {} if known else {"transition": "unknown", "delta": 0.2, "confidence_scale": radii}
    trace = DelayedOPPO(eta, gamma, **unknown).run(late.problem, K, seed=seed)
    slow = SlowOPPO(late, eta, gamma, None if known else radii * math.log(H * S * A * K / 0.2))
    found, bound = replay(late, slow, seed, delay=delay), None
    if known:
        each = gamma * H * S * A + eta / (2 * gamma) * _squares(H)
        bound = H * math.log(A) / eta + sum(each for _ in range(K)) + sum(late.waits) * eta * _squares(H)
    widths = [] if known else zip(trace["uncertainty"], np.cumsum(slow.width)[trace.index - 1], strict=True)
    return both_sides(trace, found, scaled(eta, trace.parameters["bound"], bound), *widths)


@claim("delayed-oppo.tuning", kind=inequality, source=SOURCE, provenance="derived",
       given=(late_worlds(S=2), chosen([1, 1000], (-0.5, 0.5), (-0.5, 0.5))), control={"rate": 1.5})  # fmt: skip
def oppo_tuning(late, settings, rate=1):
    """No other eta and gamma, here within a factor of about 3, make the bound OPPO smaller than the default ones do.

    Each episode stands for ``scale`` of them, which multiplies K and D~. Control: another eta than the default.
    """
    scale, one, other, _ = settings
    sizes, K, plan = late.shape, late.episodes * scale, late.problem.schedule(late.episodes)
    plan = plan._replace(effective_total=plan.effective_total * scale)
    A = max(sizes[2], 2)
    sizes = (*sizes[:2], A)
    eta, gamma = DelayedOPPO().resolve(sizes, K, plan)
    near = [(eta * one, gamma * other), (eta / 1.2, gamma), (eta * 1.2, gamma), (eta, gamma * one)]
    return DelayedOPPO.bound(sizes, K, plan, eta * rate, gamma), np.array([DelayedOPPO.bound(sizes, K, plan, *numbers) for numbers in near])


theorem(
    "delayed-oppo",
    statement=r"Optimistic policy optimization with known transition and the estimator $1\{\cdot\} \ell / (q \pi + \gamma)$, every $\eta, "
    r"\gamma > 0$: $\mathbb{E}[R_K] \le \frac{H \log A}{\eta} + \gamma H S A K + \eta \left(\frac{K}{2 \gamma} + \tilde D\right) "
    r"\sum_h (H - h)^2$.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "mdp.performance-difference-episodic", "delayed-oppo.estimator", "delayed-hedge.weights-step", "delayed-oppo.second-moment",
        "delayed-oppo.drift", "delayed-oppo.value-drift", "delays.truncation", "delays.counting", "delayed-oppo.replay",
        "delayed-oppo.tuning", "delayed-oppo.bound",
    ),
    uses={
        "delayed-oppo.second-moment": ("delayed-oppo.estimator",),
        "delayed-oppo.drift": ("delayed-oppo.estimator",),
        "delayed-oppo.value-drift": ("delayed-oppo.estimator",),
        "delayed-oppo.bound": (
            "mdp.performance-difference-episodic", "delayed-hedge.weights-step", "delayed-oppo.second-moment", "delayed-oppo.drift",
            "delayed-oppo.value-drift", "delays.truncation", "delays.counting", "delayed-oppo.replay", "delayed-oppo.tuning",
        ),
    },
)  # fmt: skip
