"""DR-RPO on whole runs, with the model at hand: the good event and what follows from it, sums along the run (dr_rpo spec 4, L10-L14, L20).

The plans looked at are the learner's own: its compiled loop is stopped before the episodes in question.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, identity, inequality, strategies
from proofs_check.claims.robust_linear.dr_rpo_factors import SOURCE, dual
from tabular_rl.algorithms import DRRPO
from tabular_rl.algorithms.robust_linear.dr_rpo import learn, make_plan, play, regret_bound
from tabular_rl.instances import robust_linear as instances
from tabular_rl.kernels.linear import robust_induction as kernel
from tabular_rl.planning.robust.linear import factor_coverage, feature_moments, robust_linear_evaluate, robust_linear_solve, state_laws

DELTA = 0.001


class Moment(NamedTuple):
    """A plan: values [H+1, S], q and policy [H, S, A]; what it was made from: weights [H, d, S], inverse [H, d, d], kappa [H, d]; X_k.

    X_k = sum along the episode played of min(2 <phi, kappa>, cap), off the fail state.
    """

    values: Any
    q: Any
    policy: Any
    weights: Any
    inverse: Any
    kappa: Any
    paid: float = 0.0


def plans_of(mdp, episodes, rng, tau, scale, keep=None):
    """(beta, cap [H+1], {k: Moment of episode k}) of a DRRPO run; ``keep``: the episodes to report, increasing, default all."""
    state, played, made = DRRPO(tau=tau, scale=scale, delta=DELTA).prepare(mdp, episodes), 0, {}
    nominal, world, rules, learner, plan, basis, scratch = state
    unused, cap = np.zeros((2, *plan.values.shape)), np.append(rules.cap, 0.0)
    for k in range(episodes) if keep is None else keep:
        if k > played:
            learn(*state, unused, episodes, np.array([k - played]), rng)
        make_plan(world, rules, learner, plan, basis, scratch, False)
        kappa, inverse = basis.width * ~mdp.known, learner.inverse.copy()
        if rules.tabular:
            inverse = np.eye(mdp.dimension) / (learner.visits[:, :, None] + rules.ridge)
        moment = Moment(plan.values.copy(), plan.q.copy(), plan.policy.copy(), learner.weights.copy(), inverse, kappa)
        before = learner.gram.sum(axis=-1) + learner.visits
        play(nominal, rules, learner, plan.policy, 0, rng)
        phi = learner.gram.sum(axis=-1) + learner.visits - before  # as phi sums to 1, phi phi^T has the row sums phi; 0 after a failure
        made[k] = moment._replace(paid=float(np.sum(np.minimum(2 * np.sum(phi * kappa, axis=-1), cap[:-1]))))
        played = k + 1
    return rules.beta, cap, made


def worst_values(mdp, weights, values):
    """D [H, d]: the worst value of each factor with ``weights`` [H, d, S] for ``values`` [H+1, S]; 0 at known factors."""
    D = np.zeros(mdp.radius.shape)
    for h, i in np.ndindex(D.shape):
        if not mdp.known[i]:
            D[h, i] = dual(kernel.FAIL, values[h + 1], weights[h, i], mdp.radius[h, i])
    return D


def good_event(mdp, m):
    """E1 for one plan: every estimated worst value is within kappa of the true one."""
    return bool(np.all(np.abs(worst_values(mdp, m.weights, m.values) - worst_values(mdp, mdp.factors, m.values)) <= m.kappa + 1e-9))


def certified_gap(mdp, m, cap):
    """G = nominal E sum_h min(2 <phi, kappa>, cap[h]) of a plan's policy, off the fail state."""
    steps = np.minimum(2 * np.einsum("sad,hd->hsa", mdp.features, m.kappa), cap[:-1, None, None])
    weights = state_laws(mdp, m.policy)[..., None] * m.policy
    weights[:, mdp.fail_state] = 0
    return float(np.sum(weights * steps))


_CHECKED = (0, 10, 100, 149)
_WORLDS = {
    "river swim": lambda: (instances.river_swim(0.02), 0.02),
    "off dynamics": lambda: (instances.off_dynamics(0.3), 0.02),
    "random linear": lambda: (instances.random_linear(6, 6, 4, 4, seed=0, radius=0.2), 0.1),
    "put": lambda: (instances.american_put(0.1, horizon=4), 0.02),
    "cliff": lambda: (instances.cliff(horizon=4), 0.02),
}
_SHORT = {"short river swim": lambda: (instances.river_swim(0.02, n=3, horizon=4), 0.02)}
_ALWAYS = HighProbability(failure=1e-9, replicates=8)  # what holds on every path is refuted by one failure


@claim("dr-rpo.good-event", kind=HighProbability(failure=DELTA, replicates=12), source=f"{SOURCE} E1, 11", provenance="derived",
       given=_WORLDS, control={"scale": 0.02})  # fmt: skip
def good_event_of_runs(mdp, tau, rng, scale=1.0):
    """E1 at scale 1: at episodes 0, 10, 100 and 149, |nu - D(V_k)| <= beta (Lambda^-1)_ii^(1/2) for all steps and unknown factors.

    delta = 0.001. Control: beta / 50.
    """
    _, _, made = plans_of(mdp, 150, rng, tau, scale, _CHECKED)
    return all(good_event(mdp, m) for m in made.values())


@claim("dr-rpo.optimism-run", kind=_ALWAYS, source=f"{SOURCE} L13", provenance="derived",
       given=_WORLDS, control={"scale": 0.02, "event": False})  # fmt: skip
def optimism_of_runs(mdp, tau, rng, scale=0.4, event=True):
    """Where E1 holds, V_k >= V* >= V_pi_k at every step and state; at episodes 0, 10, 100 and 149, with 0.4 of the theory's bonus.

    Control: beta / 50, whether E1 holds or not.
    """
    best = robust_linear_solve(mdp, tau).values
    for m in plans_of(mdp, 150, rng, tau, scale, _CHECKED)[2].values():
        played = robust_linear_evaluate(mdp, m.policy, tau).values
        if (good_event(mdp, m) or not event) and not (np.all(m.values >= best - 1e-9) and np.all(best >= played - 1e-9)):
            return False
    return True


@claim("dr-rpo.sandwich-run", kind=_ALWAYS, source=f"{SOURCE} L13a", provenance="derived",
       given=_SHORT, control={"factor": 1.0})  # fmt: skip
def sandwich_of_runs(mdp, tau, rng, factor=2.0):
    """Where E1 holds, 0 <= Q_k - (r + <phi, D(V_k)>) <= 2 <phi, kappa>; after 300, 400, 500 and 600 episodes at scale 1.

    Before that the clips at cap hide the constant, in the other worlds of the dr_rpo spec, section 6, for good. Control: 1 in place of 2.
    """
    _, _, made = plans_of(mdp, 601, rng, tau, 1.0, (300, 400, 500, 600))
    for m in made.values():
        phi = mdp.features[None, :-1]
        excess = m.q[:, :-1] - mdp.reward[:, :-1] - (phi * worst_values(mdp, mdp.factors, m.values)[:, None, None]).sum(-1)
        allowed = factor * (phi * m.kappa[:, None, None]).sum(-1)
        if good_event(mdp, m) and not (np.all(excess >= -1e-9) and np.all(excess <= allowed + 1e-9)):
            return False
    return True


def _allowed(trace):
    """G_k, by either of its names."""
    return trace["certificate" if trace.parameters["guarantee"] else "allowance"]


@claim("dr-rpo.certificate-run", kind=_ALWAYS, source=f"{SOURCE} L14", provenance="derived",
       given={name: _WORLDS[name] for name in ("river swim", "off dynamics", "random linear")},
       control={"scale": 0.0, "event": False})  # fmt: skip
def certificate_of_runs(mdp, tau, rng, scale=0.4, event=True):
    """Where E1 holds, V* - V_pi_k <= G_k at every checkpoint of 300 episodes, with 0.4 of the theory's bonus.

    E1 in the learner's own words: ``need`` <= beta[h] / cap[h+1], which is the same number at all steps.  Control: no bonus, so that
    G_k = 0, whether E1 holds or not.
    """
    trace = DRRPO(tau=tau, scale=scale, evaluate_every=300).run(mdp, 300, int(rng.integers(2**31)))
    good = trace["need"] <= trace.parameters["beta"][0] / trace.parameters["cap"][1] if event else True
    return bool(np.all((trace["suboptimality"] <= _allowed(trace) + 1e-9) | np.logical_not(good)))


# --- sums along a run


@claim("dr-rpo.pathwise", kind=HighProbability(failure=1e-9, replicates=4), source=f"{SOURCE} L20", provenance="derived",
       given=_SHORT, control={"factor": 2.0})  # fmt: skip
def pathwise_sum(mdp, tau, rng, factor=4.0):
    """One-hot features: sum_k X_k <= 4 sqrt(SA K) sum_h beta[h] on every path, at any scale; here 0.1, 300 episodes.

    X_k = the sum of min(2 kappa, cap) along the episode played. Control: 2 in place of 4.
    """
    beta, _, made = plans_of(mdp, 300, rng, tau, 0.1)
    total = sum(m.paid for m in made.values())
    return bool(total <= factor / 4 * regret_bound(beta, 0 * beta, np.sum(~mdp.known), 300, DELTA))


@claim("dr-rpo.azuma", kind=HighProbability(failure=DELTA, replicates=12), source=f"{SOURCE} proof (d)", provenance="classical",
       given=_SHORT, control={"deviation": 0.0})  # fmt: skip
def azuma(mdp, tau, rng, deviation=1.0):
    """sum_k G_k <= sum_k X_k + c sqrt(K log(1 / delta) / 2), c = sum_h cap[h], delta = 0.001; 60 episodes at scale 0.1.

    G_k is the expectation of X_k, which lies in [0, c], given the episodes before. Control: without the deviation.
    """
    _, cap, made = plans_of(mdp, 60, rng, tau, 0.1)
    gap = sum(certified_gap(mdp, m, cap) - m.paid for m in made.values())
    return bool(gap <= deviation * regret_bound(np.zeros(mdp.horizon), cap, 1, 60, DELTA))


_LINEAR = {name: _WORLDS[name] for name in ("random linear", "off dynamics")}


def linear_sums(mdp, beta, made, coverage=None):
    """2 sum_h beta[h] sqrt(sum_k C_k[h] sum_k E_k phi Lambda^-1 phi) of the plans made; ``coverage`` in place of C_k."""
    C, norms = np.zeros(mdp.horizon), np.zeros(mdp.horizon)
    for m in made.values():
        C += factor_coverage(mdp, m.policy) if coverage is None else coverage
        norms += np.einsum("hij,hij->h", feature_moments(mdp, m.policy)[1], m.inverse)
    paying = beta > 0  # at the last step beta = 0, where C may be infinite
    return float(2 * np.sum(beta[paying] * np.sqrt(C[paying] * norms[paying])))


@claim("dr-rpo.linear-sum", kind=HighProbability(failure=1e-9, replicates=4), source=f"{SOURCE} L20, proof (e)", provenance="derived",
       given=_LINEAR, control={"coverage": 1.0})  # fmt: skip
def linear_sum(mdp, tau, rng, coverage=None):
    """sum_k G_k <= 2 sum_h beta[h] sqrt(sum_k C_k[h] sum_k E_k |phi|^2), norms of Lambda_k^-1, on every path at any scale; here 0.1.

    By L18 and Cauchy-Schwarz. 100 episodes. Control: C = 1, as if features were one-hot.
    """
    beta, cap, made = plans_of(mdp, 100, rng, tau, 0.1)
    return bool(sum(certified_gap(mdp, m, cap) for m in made.values()) <= linear_sums(mdp, beta, made, coverage) + 1e-9)


@claim("dr-rpo.linear-run", kind=HighProbability(failure=DELTA, replicates=12), source=f"{SOURCE} L20, theorem 2", provenance="derived",
       given=_LINEAR, control={"scale": 0.0})  # fmt: skip
def linear_run(mdp, tau, rng, scale=1.0):
    """Theorem 2 before its martingale step, at scale 1: Reg <= sum_k G_k <= 2 sum_h beta sqrt(sum_k C_k sum_k E_k |phi|^2) < infinity.

    30 episodes, where the right side still exceeds the trivial bound; delta = 0.001. Control: no bonus, which makes both right sides 0.
    """
    beta, cap, made = plans_of(mdp, 30, rng, tau, scale)
    best = robust_linear_solve(mdp, tau).values[0, mdp.initial]
    regret = sum(best - robust_linear_evaluate(mdp, m.policy, tau).values[0, mdp.initial] for m in made.values())
    promised, right = sum(certified_gap(mdp, m, cap) for m in made.values()), linear_sums(mdp, beta, made)
    return bool(regret <= promised + 1e-9 and promised <= right + 1e-9 and math.isfinite(right))


def even_visits(H, pairs, each, seed):
    """(beta [H], cap [H], pairs, K, delta): every pair is met in ``each`` of the K = pairs * each episodes."""
    rng = np.random.default_rng(seed)
    return 5 * rng.random(H), 1 + 3 * rng.random(H), pairs, pairs * each, float(np.exp(rng.uniform(-7, -0.1)))


@claim("dr-rpo.regret-bound", kind=identity, source=f"{SOURCE} proof (d)", provenance="derived",
       given=(strategies.draw(even_visits, st.integers(1, 6), st.integers(1, 20), st.integers(1, 50)),), control={"twice": 1})  # fmt: skip
def bound_of_regret(case, twice=2):
    """Theorem 1's right side is made of its steps: 2 sum_h beta[h] sum over pairs of 2 sqrt(visits), and a deviation of probability delta.

    Its tail is exp(-2 y^2 / (K c^2)), c = sum_h cap[h]; the pairs are met equally often.  Control: one width for two.
    """
    beta, cap, pairs, K, delta = case
    widths = sum(twice * b * 2 * math.sqrt(K / pairs) for b in beta for _ in range(pairs))
    y = regret_bound(beta, cap, pairs, K, delta) - widths
    return np.array([math.exp(-2 * (y / cap.sum()) ** 2 / K)]), np.array([delta]), 10.0 + widths


# --- whole runs of the learner


def _swim():
    return instances.river_swim(0.02, n=3, horizon=4), 100


def _linear():
    return instances.random_linear(6, 6, 4, 4, seed=0, radius=0.2), 100


@claim("dr-rpo.run", kind=HighProbability(failure=2 * DELTA, replicates=12), source=f"{SOURCE} L13, L14, L20", provenance="derived",
       given={"river swim": _swim, "random linear": _linear}, control={"scale": 0.0})  # fmt: skip
def run(mdp, episodes, rng, scale=1.0):
    """At scale 1, with probability 1 - 2 delta at every checkpoint: V_k >= V* at step 0 and V* - V_pi_k <= G_k; with one-hot features
    regret <= 4 sqrt(SA K) sum beta + sum cap sqrt(K log(1 / delta) / 2).

    delta = 0.001. That last bound exceeds the trivial one at these sizes.  Control: no bonus.
    """
    trace = DRRPO(tau=0.02, scale=scale, delta=DELTA, evaluate_every=1).run(mdp, episodes, int(rng.integers(2**31)))
    beta, cap, SA = trace.parameters["beta"], trace.parameters["cap"], np.sum(~mdp.known)
    series = trace.series
    good = np.all(series["optimism"] >= -1e-9) and np.all(series["suboptimality"] <= _allowed(trace) + 1e-9)
    return bool(good and (not mdp.one_hot or series["regret"][-1] <= regret_bound(beta, cap, SA, episodes, DELTA)))


def switching(episodes, seed):
    """(model, episodes, seed) of a run."""
    return _swim()[0], episodes, seed


@claim("dr-rpo.plans", kind=inequality, source=f"{SOURCE} L16", provenance="derived",
       given=(strategies.draw(switching, st.sampled_from([300, 500])),), control={"rare": False})  # fmt: skip
def plans(case, rare=True):
    """With rare switching a run plans at most 1 + H d log2(1 + K / (d ridge)) times.  Control: a plan in every episode."""
    mdp, K, seed = case
    planned = DRRPO(rare=rare, evaluate_every=K).run(mdp, K, seed).series["plans"][-1]
    return planned, 1 + mdp.horizon * mdp.dimension * math.log2(1 + K / mdp.dimension), 1.0
