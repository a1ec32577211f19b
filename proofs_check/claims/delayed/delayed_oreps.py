"""Mirror descent on occupancy measures with delayed feedback: the steps of theorem OREPS (``algorithms.delayed_oreps``).

An episode was played with the occupancy q of a policy; its losses, the model's ``reward``, arrive when the occupancy is p.

    lhat[h,s,a] = 1{(s_h,a_h) = (s,a)} loss / (max(q, p) + gamma),   p' = argmin_x eta <x, lhat> + KL(x || p) over the occupancy measures
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, identity, inequality, theorem
from proofs_check.calculus import occupancy
from proofs_check.claims.delayed.dapo_estimator import explorations, trajectories
from proofs_check.claims.delayed.dapo_runs import bound_of_runs, problems
from proofs_check.claims.delayed.dapo_steps import interior, rates
from proofs_check.claims.delayed.delayed_replay import SlowOREPS, SlowUOB, both_sides, chosen, late_worlds, replay, scaled
from proofs_check.strategies import Model, draw, enumerable_mdps, episodic, policies, scales
from tabular_rl.algorithms import DelayedOREPS, DelayedUOB
from tabular_rl.algorithms.delayed import oreps
from tabular_rl.algorithms.delayed.uob_projection import confidence_step
from tabular_rl.kernels.episodic.flow_projection import mirror_step, reachable_cells

SOURCE = "theorem OREPS of the algorithm's docstring"
SOLVED = 100  # scale of what a projection leaves: a flow residual of 1e-11, and its rounding


def visited_pairs(mdp, kind, seed):
    """Losses [H, S, A] on one path through ``mdp`` only: up to 1, or up to 1000 as if divided by small probabilities."""
    rng = np.random.default_rng(seed)
    H, S, A = mdp.shape
    charged = np.zeros((H, S, A))
    s = rng.choice(S, p=mdp.initial)
    for h in range(H):
        a = rng.integers(A)
        charged[h, s, a] = 1.0 if kind == "one" else 10.0 ** rng.uniform(-1, 3)
        s = rng.choice(S, p=mdp.transition[h, s, a])
    return charged


_tiny_mdps = draw(episodic, st.integers(1, 3), st.integers(1, 3), st.integers(2, 3), st.sampled_from(("smooth", "peaked")), space=Model())
_paths = draw(visited_pairs, st.sampled_from(("one", "large")), fit=True)
_rates = scales(-4, -1)


def mirrored(mdp, p, charged):
    """(log p, log p') [H, S, A] of the mirror step from the occupancy ``p`` for the charges eta lhat; -inf in the states out of reach."""
    log_p = np.full(p.shape, -np.inf)
    np.log(p, where=p > 0, out=log_p)
    after = log_p.copy()
    _, residual = mirror_step(mdp.transition, mdp.initial, -charged, after, 1e-11, 200)
    assert residual <= 1e-8
    return log_p, after


@claim("delayed-oreps.mirror-step", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, policies("now"), policies("comparator"), _paths, _rates), control={"constant": 1 / 8})  # fmt: skip
def oreps_mirror_step(mdp, now, comparator, lhat, eta, constant=1 / 2):
    """<p - u, lhat> <= (KL(u, p) - KL(u, p')) / eta + eta <p, lhat^2> / 2 for every occupancy measure u.  Control: the constant 1/8."""
    p, u = occupancy(mdp, interior(now)), occupancy(mdp, comparator)
    log_p, after = mirrored(mdp, p, eta * lhat)
    reached = p > 0
    decrease = np.sum(u[reached] * (after - log_p)[reached])
    return np.sum((p - u) * lhat), decrease / eta + constant * eta * np.sum(p * lhat**2), SOLVED * (lhat.max() + 1) + 1 / eta


@claim("delayed-oreps.drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(_tiny_mdps, policies("now"), _paths, rates), control={"factor": 1 / 4})  # fmt: skip
def oreps_drift(mdp, now, lhat, eta, factor=1):
    """|p - p'|_1 <= eta sqrt(H <p, lhat^2>): how far one update moves the occupancy measure.  Control: a quarter of it."""
    p = occupancy(mdp, interior(now))
    _, after = mirrored(mdp, p, eta * lhat)
    return np.sum(np.abs(p - np.exp(after))), factor * eta * np.sqrt(mdp.horizon * np.sum(p * lhat**2)), SOLVED


@claim("delayed-oreps.estimator", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("now"), explorations), control={"drift": 0})  # fmt: skip
def oreps_estimator(mdp, played, now, gamma, drift=1):
    """E lhat <= loss, and <p, loss - E lhat> <= |q - p|_1 / 2 + gamma sum p / (max(q, p) + gamma), of which the sum is at most H S A.

    Control: without |q - p|_1, as if nothing had moved.
    """
    q, p = occupancy(mdp, played), occupancy(mdp, now)
    paths = trajectories(mdp, played)
    mean = paths.mean_at(paths.at(mdp.reward / (np.maximum(q, p) + gamma)), mdp.shape)
    explored = np.sum(p / (np.maximum(q, p) + gamma))
    rhs = [*mdp.reward.ravel(), drift * np.sum(np.abs(q - p)) / 2 + gamma * explored, np.prod(mdp.shape)]
    return np.array([*mean.ravel(), np.sum(p * (mdp.reward - mean)), explored]), np.array(rhs), mdp.horizon


@claim("delayed-oreps.second-moment", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("now"), explorations), control={"adapt": False})  # fmt: skip
def oreps_second_moment(mdp, played, now, gamma, adapt=True):
    """E <p, lhat^2> <= H S A.  Control: importance weights 1 / q alone, neither adapted to the delay nor explored."""
    q, p = occupancy(mdp, played), occupancy(mdp, now)
    weights = 1 / (np.maximum(q, p) + gamma) if adapt else 1 / np.maximum(q, 1e-60)
    paths = trajectories(mdp, played)
    return np.sum(paths.at(p * (mdp.reward * weights) ** 2), axis=0) @ paths.probability, np.prod(mdp.shape), 1.0


@claim("delayed-oreps.value-drift", kind=inequality, source=SOURCE, provenance="derived",
       given=(enumerable_mdps(), policies("played"), policies("now")), control={"factor": 1 / 8})  # fmt: skip
def oreps_value_drift(mdp, played, now, factor=1 / 2):
    """|<q - p, loss>| <= |q - p|_1 / 2: playing q in place of p.  Control: a quarter of it."""
    difference = occupancy(mdp, played) - occupancy(mdp, now)
    return abs(np.sum(difference * mdp.reward)), factor * np.sum(np.abs(difference)), mdp.horizon


@claim("delayed-oreps.bound", kind=Expectation(replicates=200), source=SOURCE, provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def oreps_bound(problem, episodes, rng, learner="O-REPS"):
    """One after the other: E regret <= entropy(q^0) / eta + (eta / 2 + gamma) H S A K + eta D~ H sqrt(S A).

    Control: the bound for a learner that learns nothing.
    """
    return bound_of_runs(DelayedOREPS(batch="sequential"), problem, episodes, rng, learner)


@claim("delayed-oreps.projection", kind=identity, source="dapo spec, section 4 item 5", provenance="derived",
       given=(_tiny_mdps, policies("now"), policies("comparator"), _paths, _rates), control={"size": 1.5})  # fmt: skip
def oreps_projection(mdp, now, comparator, lhat, eta, size=1):
    """KL(u || w) = KL(u || p') + KL(p' || w) for w = p exp(-eta lhat), its projection p' and every occupancy measure u, and p' flows as
    the transition says: this characterizes the projection. So is q^0 of w = 1 on the pairs within reach.

    Control: the projection of a change half as large again.
    """
    p, u = occupancy(mdp, interior(now)), occupancy(mdp, comparator)
    log_p, after = mirrored(mdp, p, size * eta * lhat)
    start = np.empty(mdp.shape)
    reachable_cells(mdp.transition, mdp.initial, start)
    first = start.copy()
    mirror_step(mdp.transition, mdp.initial, np.zeros(mdp.shape), first, 1e-11, 200)
    reached = p > 0
    lhs, rhs = [], []
    for log_w, log_x in ((log_p - eta * lhat, after), (start, first)):
        x, log_w, log_x = np.exp(log_x), log_w[reached], log_x[reached]
        # KL(u || w) without the terms of u alone: both sides have them
        lhs.append(np.sum(u[reached] * (log_x - log_w)))
        rhs.append(np.sum(x[reached] * (log_x - log_w)))
        flow = np.concatenate([mdp.initial, np.einsum("hsa,hsat->ht", x, mdp.transition)[:-1].ravel()])
        lhs, rhs = [*lhs, *x.sum(axis=2).ravel()], [*rhs, *flow]
    return np.array(lhs), np.array(rhs), SOLVED * (1 + eta * lhat.max())


@claim("delayed-oreps.replay", kind=identity, source="dapo spec, section 4 item 5", provenance="derived",
       given=(late_worlds(3, 2, 2), chosen([True, True, False], ["sequential", "joint"], [True, False], [0.01, 0.3], (-2, 0))),
       control={"delay": 1})  # fmt: skip
def oreps_replay(late, settings, delay=0):
    """A run is that of the pseudo-code, draw by draw, also when its projections are lazy; its bound is what the steps add up to.

    Control: all feedback comes one episode later.
    """
    adapted, batch, lazy, eta, gamma, seed = settings
    (H, S, A), K, joint = late.shape, late.episodes, batch == "joint"
    trace = DelayedOREPS(eta, gamma, adapted, batch, lazy).run(late.problem, K, seed=seed)
    found = replay(late, SlowOREPS(late, eta, gamma, adapted, joint), seed, delay=delay)
    log_q, _ = oreps.start(late.problem.world)
    reached = np.isfinite(log_q)
    entropy = -float(np.exp(log_q[reached]) @ log_q[reached])
    crowds = np.bincount(late.arrival, minlength=K)[:-1].max(initial=0) > 1
    stated = entropy / eta + sum((eta / 2 + gamma) * H * S * A for _ in range(K)) + sum(late.waits) * eta * H * math.sqrt(S * A)
    numbers = scaled(eta, trace.parameters["bound"], stated if adapted and not (joint and crowds) else None)
    lhs, rhs, _ = both_sides(trace, found, numbers)
    return lhs, rhs, SOLVED * (H * K + 1 / gamma)


@claim("delayed-oreps.tuning", kind=inequality, source=SOURCE, provenance="derived",
       given=(late_worlds(2, 3, 3), chosen((-1, 1), (-1, 1))), control={"factor": 2})  # fmt: skip
def oreps_tuning(late, settings, factor=1):
    """No other eta makes the bound OREPS at gamma = eta / 2 smaller than the default does, which has that gamma; H log S A is the most
    that the entropy can be.

    Control: twice the default rate.
    """
    sizes, K, plan = late.shape, late.episodes, late.problem.schedule(late.episodes)
    entropy, other = math.log(2) + settings[0], settings[1]
    eta, gamma = DelayedOREPS().resolve(sizes, K, plan, entropy)
    one, two = (DelayedOREPS.bound(sizes, K, plan, rate, rate / 2, entropy) for rate in (eta * other, eta * 1.2))
    default = DelayedOREPS.bound(sizes, K, plan, factor * eta, factor * eta / 2, entropy)
    _, most = oreps.start(late.problem.world)
    lhs = np.array([default, default, gamma, most])
    return lhs, np.array([one, two, eta / 2, sizes[0] * math.log(sizes[1] * sizes[2]) + 1e-9])


def _confident(mdp, width, seed):
    """(low, high) [H, S, A, S]: boxes around rows of ``mdp``, which they contain; ``width`` 0: the rows alone."""
    rng = np.random.default_rng(seed)
    below, above = (width * rng.random(mdp.transition.shape) for _ in range(2))
    return np.maximum(mdp.transition - below, 0), np.minimum(mdp.transition + above, 1)


@claim("delayed-uob.projection", kind=inequality, source="Jin, Jin, Luo, Sra, Yu 2020; dapo spec, section 4 item 6", provenance="derived",
       given=(_tiny_mdps, policies("comparator"), _paths, _rates, st.sampled_from((0.0, 0.1, 0.5)), st.integers(0, 2**16)),
       control={"size": 3})  # fmt: skip
def uob_projection(mdp, comparator, lhat, eta, width, seed, size=1):
    """KL(u || w) >= KL(u || x) + KL(x || w) for the projection x of w = exp(-eta lhat) / S on the occupancy measures of all transitions of
    a set, and every u of the set: this characterizes it. And x lies in the set: its flow, its rows.

    Control: the projection of a change three times as large.
    """
    (H, S, A), rng = mdp.shape, np.random.default_rng(seed)
    low, high = _confident(mdp, width, rng)
    log_q, moves, v = np.empty((H, S, A)), np.zeros((H, S, A, S)), np.zeros((H + 1, S))
    log_w, log_moves = -eta * lhat, np.full((H, S, A, S), -math.log(S))
    reachable_cells(high, mdp.initial, log_q)
    _, residual = confidence_step(low, high, mdp.initial, size * log_w, log_moves, v, log_q, moves, 1e-11, 200)
    assert residual <= 1e-8
    u, x = occupancy(mdp, comparator), np.exp(log_q)
    ratio = np.where(x > 0, log_q - log_w, 0.0)  # log x / w, layer by layer; the last step has no successor
    pairs = moves[:-1] > 0
    rows = np.where(pairs, np.log(np.where(pairs, moves[:-1], 1.0)) - log_moves[:-1], 0.0)
    nearer, other = (np.sum(q * ratio) + np.sum(q[:-1, ..., None] * P[:-1] * rows) for q, P in ((x, moves), (u, mdp.transition)))
    flow = np.concatenate([mdp.initial, np.einsum("hsa,hsat->ht", x[:-1], moves[:-1]).ravel()])
    outside = np.maximum(moves - high, low - moves)[:-1]
    lhs = [nearer - other, *(np.abs(x.sum(axis=2).ravel() - flow) - 1e-9), *(outside.ravel() - 1e-9)]
    return np.array(lhs), np.zeros(len(lhs)), SOLVED * (1 + eta * lhat.max())


@claim("delayed-uob.replay", kind=identity, source="dapo spec, section 4 item 6", provenance="derived",
       given=(late_worlds(3, 2, 2), chosen([True, False], [0.01, 0.1, 0.3], (-1, 0), [1.0, 0.1, 0.01])),
       control={"delay": 1})  # fmt: skip
def uob_replay(late, settings, delay=0):
    """A run of UOB-REPS or UOB-FTRL is that of the pseudo-code, draw by draw: sets, upper occupancies, adapted estimates; the default eta
    is sqrt(log(S^2 A) / (S A K + D~ sqrt(S A))), the default gamma half of it.

    Control: all feedback comes one episode later.
    """
    (lazy, eta, gamma, radii, seed), (H, S, A), K = settings, late.shape, late.episodes
    trace = DelayedUOB(lazy, eta, gamma, delta=0.2, confidence_scale=radii).run(late.problem, K, seed=seed)
    slow = SlowUOB(late, lazy, eta, gamma, radii * math.log(H * S * A * K / 0.2))
    found = replay(late, slow, seed, delay=delay)
    widths = zip(trace["uncertainty"], np.cumsum(slow.width)[trace.index - 1], strict=True)
    best = math.sqrt(math.log(max(S * S * A, 2)) / (S * A * K + sum(late.waits) * math.sqrt(S * A)))
    default = DelayedUOB(lazy).resolve(late.shape, K, late.problem.schedule(K))
    lhs, rhs, _ = both_sides(trace, found, *widths, (default[0], best), (default[1], best / 2))
    return lhs, rhs, 100 * SOLVED * (H * K + 1 / gamma)


@claim("delayed-uob.radius-zero", kind=identity, source="dapo spec, section 4 item 6", provenance="derived",
       given=(late_worlds(3, 2, 2), chosen([True, False], [0.01, 0.1], (-1, 0))), control={"prior": 4.0})  # fmt: skip
def uob_radius_zero(late, settings, prior=2.0**60):
    """With sets of one transition, after very many visits and with radius 0, UOB-REPS and UOB-FTRL are O-REPS of the known transition, draw
    by draw; their sum of u - l is 0.

    Control: after four visits, which what is seen still changes.
    """
    lazy, eta, gamma, seed = settings
    unknown = DelayedUOB(lazy, eta, gamma, confidence_scale=0.0, prior_visits=prior).run(late.problem, late.episodes, seed=seed)
    known = DelayedOREPS(eta, gamma, batch="joint").run(late.problem, late.episodes, seed=seed)
    lhs, rhs = ([*trace["loss"], *trace["regret"]] for trace in (unknown, known))
    scale = SOLVED * (late.shape[0] * late.episodes + 1 / gamma)
    return np.array([*lhs, *unknown["uncertainty"]]), np.array([*rhs, *np.zeros(len(known.index))]), scale


theorem(
    "delayed-oreps",
    statement=r"Mirror descent in relative entropy on the occupancy measures of a known transition, with the estimator $1\{\cdot\} \ell / "
    r"(\max(q, p) + \gamma)$, one after the other, every $\eta > 0$, $\gamma \ge 0$: $\mathbb{E}[R_K] \le \frac{\mathcal{H}(q^0)}{\eta} + "
    r"\left(\frac{\eta}{2} + \gamma\right) H S A K + \eta \tilde D H \sqrt{S A}$, with $\mathcal{H}(q^0)$ the largest entropy.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "delayed-oreps.mirror-step", "delayed-oreps.estimator", "delayed-oreps.second-moment", "delayed-oreps.drift",
        "delayed-oreps.value-drift", "delays.truncation", "delays.counting", "delayed-oreps.projection", "delayed-oreps.replay",
        "delayed-oreps.tuning", "delayed-oreps.bound",
    ),
    uses={
        "delayed-oreps.mirror-step": ("delayed-oreps.projection",),
        "delayed-oreps.replay": ("delayed-oreps.projection",),
        "delayed-oreps.bound": (
            "delayed-oreps.mirror-step", "delayed-oreps.estimator", "delayed-oreps.second-moment", "delayed-oreps.drift",
            "delayed-oreps.value-drift", "delays.truncation", "delays.counting", "delayed-oreps.replay", "delayed-oreps.tuning",
        ),
    },
)  # fmt: skip

theorem(
    "delayed-uob",
    statement=r"The projections of UOB-REPS and UOB-FTRL are those in relative entropy on the occupancy measures of all transitions of a "
    r"set; where the set holds one transition both are delayed O-REPS.",
    source="Jin, Jin, Luo, Sra, Yu 2020; dapo spec, section 4 item 6",
    provenance="derived",
    claims=("delayed-oreps.projection", "delayed-uob.projection", "delayed-uob.replay", "delayed-uob.radius-zero"),
    uses={
        "delayed-uob.replay": ("delayed-uob.projection",),
        "delayed-uob.radius-zero": ("delayed-oreps.projection", "delayed-uob.replay"),
    },
)
