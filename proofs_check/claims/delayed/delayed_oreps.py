"""Mirror descent on occupancy measures with delayed feedback: the steps of theorem OREPS (``algorithms.delayed_oreps``).

An episode was played with the occupancy q of a policy; its losses, the model's ``reward``, arrive when the occupancy is p.

    lhat[h,s,a] = 1{(s_h,a_h) = (s,a)} loss / (max(q, p) + gamma),   p' = argmin_x eta <x, lhat> + KL(x || p) over the occupancy measures
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, inequality, theorem
from proofs_check.calculus import occupancy
from proofs_check.claims.delayed.dapo_estimator import explorations, trajectories
from proofs_check.claims.delayed.dapo_runs import bound_of_runs, problems
from proofs_check.claims.delayed.dapo_steps import interior, rates
from proofs_check.strategies import Model, draw, enumerable_mdps, episodic, policies, scales
from tabular_rl.algorithms import DelayedOREPS
from tabular_rl.kernels.episodic.flow_projection import mirror_step

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


theorem(
    "delayed-oreps",
    statement=r"Mirror descent in relative entropy on the occupancy measures of a known transition, with the estimator $1\{\cdot\} \ell / "
    r"(\max(q, p) + \gamma)$, one after the other, every $\eta > 0$, $\gamma \ge 0$: $\mathbb{E}[R_K] \le \frac{\mathcal{H}(q^0)}{\eta} + "
    r"\left(\frac{\eta}{2} + \gamma\right) H S A K + \eta \tilde D H \sqrt{S A}$, with $\mathcal{H}(q^0)$ the largest entropy.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "delayed-oreps.mirror-step", "delayed-oreps.estimator", "delayed-oreps.second-moment", "delayed-oreps.drift",
        "delayed-oreps.value-drift", "delays.truncation", "delays.counting", "delayed-oreps.bound",
    ),
    uses={
        "delayed-oreps.bound": (
            "delayed-oreps.mirror-step", "delayed-oreps.estimator", "delayed-oreps.second-moment", "delayed-oreps.drift",
            "delayed-oreps.value-drift", "delays.truncation", "delays.counting",
        ),
    },
)  # fmt: skip
