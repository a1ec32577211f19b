"""DR-RPO once more, as the dr_rpo spec, section 2, words it, in plain NumPy: normal equations solved anew in every episode, duals by trying
every alpha, exact worst values by moving mass. Every number that a run of the learner or of a relative leaves is this twin's.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity
from proofs_check.claims.robust_linear.dr_rpo_factors import divergence, penalized_worst
from proofs_check.strategies import draw
from tabular_rl.algorithms import DRLSVIUCB, DRRPO, LSVIUCB, LinearOPPO
from tabular_rl.models import RobustLinearMDP
from tabular_rl.planning.robust.linear import (
    factor_coverage,
    feature_moments,
    robust_linear_evaluate,
    robust_linear_solve,
    state_laws,
    worst_factors,
)

# --- instances


def rectangular_model(S, A, d, H, hot, seed):
    """A RobustLinearMDP of any start, whose fail state is the second.

    hot: a factor for every pair, but two pairs share one in every fourth model. Otherwise every third model has two known factors.
    """
    rng = np.random.default_rng(seed)
    d, more = (S - 1) * A + 1 if hot else d, seed % 3 == 0 and not hot
    features, factors = rng.dirichlet(np.full(d, 0.5), (S, A)), rng.dirichlet(np.full(S, 0.5), (H, d))
    factors = np.where(factors < 0.05, 0, factors)  # not every state follows every factor
    factors /= factors.sum(axis=-1, keepdims=True)
    if hot:
        features[np.arange(S) != 1] = np.eye(d)[1:].reshape(S - 1, A, d)
        features[-1, -1] = features[0, 0] if seed % 4 == 1 else features[-1, -1]
    known = np.arange(d) <= more
    features[1], factors[:, known] = np.eye(d)[0], np.eye(S)[1]
    reward, radius = rng.random((H, S, A)) * (rng.random((S, 1)) < 0.6), rng.uniform(0, 0.6, (H, d)) * ~known
    reward[:, 1] = 0
    return RobustLinearMDP(features, factors, reward, 1, radius, known, int(rng.choice([0, 2, 1], p=[0.6, 0.35, 0.05])))


_SIZES = st.integers(3, 5), st.integers(2, 3), st.integers(2, 4), st.integers(1, 4), st.booleans()
_problems = draw(rectangular_model, *_SIZES)

# --- values


def estimated_worst(values, weights, radius, sigma=None):
    """max over alpha in {0} and the positive values of <w, min(V, alpha)> - radius alpha, for all signed ``weights`` [d, S]."""
    if sigma is not None:
        return weights @ np.minimum(values, sigma)
    alphas = np.append(0.0, values[values > 0])
    return np.max(np.minimum(values, alphas[:, None]) @ weights.T - alphas[:, None] * radius, axis=0)


def exact_worst(values, factors, radius, sigma=None):
    """<m, V> for what is left of ``factors`` [d, S] when mass leaves the largest positive values first; or above sigma, at its price."""
    if sigma is not None:
        return factors @ np.where(values > sigma, sigma, values)
    order = np.argsort(-values)
    mass = factors[:, order] * (values[order] > 0)
    before = np.cumsum(mass, axis=1) - mass
    moved = np.clip(radius[:, None] - before, 0, mass)
    return factors @ values - moved @ values[order]


def greedy(q):
    """Uniform on maximizers, within 1e-12."""
    best = q >= q.max(axis=-1, keepdims=True) - 1e-12
    return best / best.sum(axis=-1, keepdims=True)


def kl_cost(policy, log_reference, tau):
    """tau KL(policy || reference)."""
    if tau == 0:
        return 0.0
    return tau * np.sum(policy * (np.log(np.where(policy > 0, policy, 1.0)) - log_reference), axis=-1)


def softmax(logits):
    """exp, normalized along the last axis; and the logarithm of what it was divided by."""
    total = np.logaddexp.reduce(logits, axis=-1)
    return np.exp(logits - total[..., None]), total


def induction(mdp, worst, reward, tau, log_reference, policy=None, low=-np.inf, ceiling=None, cap=None):
    """(policy, values, q) backwards; ``worst(h, values)`` [d] before it is clipped to [low, ceiling[h]], actions' values to cap[h]."""
    (H, S, A), fail = mdp.shape, mdp.fail_state
    values, q, made = np.zeros((H + 1, S)), np.zeros((H, S, A)), np.exp(log_reference) if policy is None else policy
    for h in reversed(range(H)):
        u = np.clip(worst(h, values[h + 1]), low, np.inf if ceiling is None else ceiling[h]) * ~mdp.known
        q[h] = np.minimum(reward[h] + mdp.features @ u, np.inf if cap is None else cap[h])
        q[h, fail] = 0
        off = np.arange(S) != fail
        if policy is not None:
            values[h, off] = (np.sum(policy[h] * q[h], axis=-1) - kl_cost(policy[h], log_reference[h], tau))[off]
        elif tau == 0:
            made[h, off], values[h, off] = greedy(q[h, off]), q[h, off].max(axis=-1)
        else:
            made[h, off], total = softmax(log_reference[h, off] + q[h, off] / tau)
            values[h, off] = tau * total
    return made, values, q


def exact_plan(mdp, tau, log_reference, policy=None, sigma=None):
    """The induction of the model itself."""
    return induction(mdp, lambda h, v: exact_worst(v, mdp.factors[h], mdp.radius[h], sigma), mdp.reward, tau, log_reference, policy)


def nominal_law(mdp, policy):
    """[H, S]: the nominal law of the state, by the transition matrix."""
    moves, law = np.einsum("sad,hdt->hsat", mdp.features, mdp.factors), [np.eye(mdp.shape[1])[mdp.initial]]
    for h in range(mdp.horizon - 1):
        law.append(np.einsum("s,sa,sat->t", law[-1], policy[h], moves[h]))
    return np.array(law)


# --- constants and options


class Options(NamedTuple):
    """What a learner does; ``beta``: a number for all steps, or the theory's times ``scale``."""

    tau: float = 0.0
    scale: float = 1.0
    beta: float | None = None
    ridge: float = 1.0
    delta: float = 0.05
    kind: str = "auto"
    successors: int | None = None
    sigma: float | None = None
    clip: bool = True
    shrink: bool = True
    eta: float | None = None
    previous: bool = False
    elliptical: bool = False
    rare: bool = False
    every: int = 10
    radius: float | None = None
    reference: bool = False


def constants(mdp, o, K):
    """(beta [H], cap [H+1], whether the theory's conditions hold)."""
    (H, S, _), d, unknown = mdp.shape, mdp.dimension, ~mdp.known
    ranges = [0.0]
    for h in reversed(range(H)):
        least = min(mdp.radius[h, unknown], default=1.0) if o.shrink and o.sigma is None else 0.0
        ranges.insert(0, 1 + (1 - least) * ranges[0])
    cap = np.array(ranges)
    rows = [tuple(row) for s in range(S) if s != mdp.fail_state for row in mdp.features[s]]
    hot = all(max(row) == 1 for row in rows) and len(set(rows)) == len(rows) and o.kind != "linear" and not o.elliptical
    if hot:
        events = 2.0 ** (o.successors or S) * H * unknown.sum() * K / o.delta
        theory = cap[1:] * (math.sqrt(math.log(events) / 2) + math.sqrt(o.ridge))
    else:
        net = H / o.delta * (1 + 2 * math.sqrt(K)) ** (d + 1)
        noise = math.sqrt(d * math.log1p(K / (d * o.ridge)) + 2 * math.log(net))
        theory = cap[1:] / 2 * (noise + 1) + math.sqrt(o.ridge * d) * cap[1:]
    if not unknown.any():
        theory = np.zeros(H)
    beta = np.full(H, o.beta) if o.beta is not None else o.scale * theory
    moves = max((int(np.sum(row > 0)) for row in mdp.factors[:, unknown].reshape(-1, S)), default=0)
    fixed = o.eta is None and not o.previous
    proven = fixed and o.clip and o.sigma is None and not o.elliptical and o.ridge >= 1 and moves <= (o.successors or moves)
    return beta, cap, bool(proven and np.all(beta >= theory))


def uneven(mdp):
    """A positive policy [H, S, A], different at every step and state."""
    (H, S, A), rng = mdp.shape, np.random.default_rng(1)
    return 0.8 * rng.dirichlet(np.ones(A), (H, S)) + 0.2 / A


def learner_of(mdp, o, name, K):
    """(the learner, the Options that it stands for)."""
    if name == "DRLSVIUCB":
        return DRLSVIUCB(scale=o.scale, rare=o.rare), Options(scale=o.scale, rare=o.rare)
    plain = {"radius": 0.0, "elliptical": True, "clip": False, "shrink": False, "rare": o.rare}
    if name == "LSVIUCB":
        return LSVIUCB(beta=0.3, rare=o.rare), Options(beta=0.3, **plain)
    if name in ("LinearOPPO", "DR-mirror"):
        (H, _, A), robust = mdp.shape, name == "DR-mirror"
        eta = o.eta or math.sqrt(2 * math.log(A) / K) / H
        return LinearOPPO(beta=0.3, eta=o.eta, robust=robust, rare=o.rare), Options(
            beta=0.3, eta=eta, **({"rare": o.rare} if robust else plain)
        )
    return DRRPO(
        tau=o.tau, radius=o.radius, reference="previous" if o.previous else uneven(mdp) if o.reference else "uniform",
        beta=None if o.beta is None else np.full(mdp.horizon, o.beta), scale=o.scale, ridge=o.ridge, delta=o.delta, kind=o.kind,
        successors=o.successors, penalty=o.sigma, factor_clip=o.clip, shrink=o.shrink, update="closed" if o.eta is None else "mirror",
        eta=o.eta, bonus="elliptical" if o.elliptical else "factors", rare=o.rare, evaluate_every=o.every,
    ), o  # fmt: skip


_RUNS = [
    ("DRRPO", Options(tau=0.3, every=3)),
    ("DRRPO", Options(tau=0.05, scale=0.1, reference=True, delta=0.2)),
    ("DRRPO", Options(tau=0.1, kind="linear", ridge=1.5, every=2)),
    ("DRRPO", Options(tau=0.0, scale=0.3, every=1)),
    ("DRRPO", Options(tau=1e-9, every=4)),
    ("DRRPO", Options(tau=1.5e-8, scale=0.5)),
    ("DRRPO", Options(tau=0.1, scale=0.1, rare=True, every=1)),
    ("DRRPO", Options(tau=0.2, scale=2.0, sigma=0.4)),
    ("DRRPO", Options(tau=0.2, scale=0.0, sigma=0.6, every=1, kind="linear", ridge=0.05)),
    ("DRRPO", Options(tau=0.2, scale=0.2, clip=False, shrink=False, every=1)),
    ("DRRPO", Options(tau=0.2, clip=False)),
    ("DRRPO", Options(tau=0.3, scale=0.1, eta=0.8, reference=True, every=2)),
    ("DRRPO", Options(tau=0.0, eta=0.8)),
    ("DRRPO", Options(tau=0.2, scale=0.2, previous=True, every=1)),
    ("DRRPO", Options(tau=0.2, previous=True)),
    ("DRRPO", Options(tau=0.2, beta=3.0, radius=0.3)),
    ("DRRPO", Options(tau=0.2, beta=30.0, elliptical=True, rare=True)),
    ("DRRPO", Options(tau=0.2, beta=30.0, ridge=0.3)),
    ("DRRPO", Options(tau=0.2, scale=0.2, ridge=0.3, every=1)),
    ("DRRPO", Options(tau=0.2, scale=1.1, successors=5, shrink=False)),
    ("DRRPO", Options(tau=0.2, successors=1)),
    ("DRRPO", Options(tau=0.2, scale=0.05, elliptical=True)),
    ("DRLSVIUCB", Options(scale=0.2)),
    ("DRLSVIUCB", Options(rare=True)),
    ("LSVIUCB", Options(rare=True)),
    ("LinearOPPO", Options()),
    ("LinearOPPO", Options(eta=0.7, rare=True)),
    ("DR-mirror", Options()),
]

# --- the learner


def twin(mdp, o, K, grid, seed, width=2.0):
    """The rows of a run's series at the episodes of ``grid``, and the last policy."""
    rng, (beta, cap, _) = np.random.default_rng(seed), constants(mdp, o, K)
    (H, S, A), d, unknown, following = mdp.shape, mdp.dimension, ~mdp.known, cap[1:, None]
    tau, made = o.tau if o.tau >= 1e-8 * cap[0] else 0.0, 0
    seen: list[list] = [[] for _ in range(H)]
    gaps: list[list] = []
    rows: list[list] = []
    log_reference = np.log(uneven(mdp) if o.reference else np.full(mdp.shape, 1 / A))
    ceiling = None if not o.clip else (1 - mdp.radius) * following if o.sigma is None else np.minimum(following, o.sigma) + 0 * mdp.radius
    best = [exact_plan(mdp, t, log_reference, sigma=o.sigma)[1] for t in (tau, 0.0)]
    policy, anchor, log_policy, q, logdet = np.exp(log_reference), log_reference, log_reference, None, None
    for k in range(K):
        gram = np.array([sum((np.outer(x, x) for x, _ in visits), o.ridge * np.eye(d)) for visits in seen])
        moments = np.array([sum((np.outer(x, np.eye(S)[t]) for x, t in visits), np.zeros((d, S))) for visits in seen])
        inverse, weights, now = np.linalg.inv(gram), np.linalg.solve(gram, moments), np.linalg.slogdet(gram)[1]
        if not o.rare or logdet is None or np.any(now - logdet >= math.log(2) - 1e-9):
            if o.eta is not None and made:
                pull = tau * o.eta * log_reference if tau > 0 else 0.0
                policy, total = softmax((log_policy + pull + o.eta * q) / (1 + tau * o.eta))
                log_policy = (log_policy + pull + o.eta * q) / (1 + tau * o.eta) - total[..., None]
            anchor = np.log(policy) if o.previous and made else log_reference
            spread = np.sqrt(np.einsum("hii->hi", inverse))
            kappa = 0 * spread if o.elliptical else beta[:, None] * spread
            norms = np.sqrt(np.einsum("sai,hij,saj->hsa", mdp.features, inverse, mdp.features))
            paying = mdp.reward + (beta[:, None, None] * norms if o.elliptical else 0)
            policy, values, q = induction(
                mdp, lambda h, v, w=weights, c=kappa: estimated_worst(v, w[h], mdp.radius[h], o.sigma) + c[h], paying, tau, anchor,
                policy if o.eta is not None else None, 0.0, ceiling, cap,
            )  # fmt: skip
            logdet, made, planned = now, made + 1, kappa
        gaps.append([])
        for b, t in zip(best, (tau, 0.0), strict=True):
            gaps[-1].append(b[0, mdp.initial] - exact_plan(mdp, t, log_reference, policy, o.sigma)[1][0, mdp.initial])
        if k + 1 in grid:
            held = [gaps[o.every * (j // o.every)] for j in range(k + 1)]
            met = nominal_law(mdp, policy)[..., None] * policy
            met[:, mdp.fail_state] = 0
            G = np.sum(met * np.minimum(width * (mdp.features @ (planned * unknown).T).transpose(2, 0, 1), cap[:-1, None, None]))
            need = [0.0]
            for h in range(H - 1):
                v, rho = values[h + 1], mdp.radius[h]
                error = estimated_worst(v, weights[h], rho, o.sigma) - exact_worst(v, mdp.factors[h], rho, o.sigma)
                need.extend((np.abs(error) / (cap[h + 1] * np.sqrt(np.diag(inverse[h]))))[unknown])
            regret = np.sum(held, axis=0)
            rows.append([regret[0], gaps[-1][0], regret[1], gaps[-1][1], np.min(values[0] - best[0][0]), G, max(need), made])
        s = mdp.initial
        for h in range(H):
            if s == mdp.fail_state:
                break
            a = np.searchsorted(np.cumsum(policy[h, s]), rng.random(), side="right")
            i = min(np.searchsorted(np.cumsum(mdp.features[s, a]), rng.random(), side="right"), d - 1)
            t = min(np.searchsorted(np.cumsum(mdp.factors[h, i]), rng.random(), side="right"), S - 1)
            seen[h].append((mdp.features[s, a], t))
            s = t
    series = np.array(rows)
    if o.previous:
        series[:, :2] = -1
    return series, policy


@claim("dr-rpo.twin", kind=identity, source="dr_rpo spec 2, 3, 5", provenance="derived",
       given=(_problems, st.integers(0, 6), st.integers(1, 16)), control={"width": 1.0})  # fmt: skip
def twin_of_runs(mdp, which, K, width=2.0):
    """A run is its definition: constants, policy, both regrets, optimism, certificate, need and plans, for DR-RPO with every option,
    DR-LSVI-UCB, LSVI-UCB, linear OPPO and DR-mirror, in all episodes of the grid.

    Control: a certificate of one bonus in place of two.
    """
    sides = [_two(mdp, *case, K, width) for case in _RUNS[which::7]]
    return *(np.concatenate(side) for side in zip(*sides, strict=True)), 100.0


def _two(model, name, o, K, width):
    """What the learner leaves, and what its twin does."""
    learner, o = learner_of(model, o, name, K)
    trace, mdp = learner.run(model, K, 7), model
    if o.radius is not None:
        radius = np.full(model.radius.shape, o.radius) * ~model.known
        mdp = RobustLinearMDP(model.features, model.factors, model.reward, model.fail_state, radius, model.known, model.initial)
    rows, policy = twin(mdp, o, K, set(trace.index.tolist()), 7, width)
    beta, cap, proven = constants(mdp, o, K)
    columns = ["regret", "suboptimality", "plain_regret", "plain_suboptimality", "optimism"]
    columns += ["certificate" if proven else "allowance", "need", "plans"]
    found = np.column_stack([np.nan_to_num(trace[c], nan=-1) for c in columns])
    tau = o.tau if o.tau >= 1e-8 * cap[0] else 0.0
    parameters = np.concatenate([trace.parameters["beta"], trace.parameters["cap"], [trace.parameters["tau"]]])
    ours, theirs = (found, trace.policy, parameters), (rows, policy, np.concatenate([beta, cap[:-1], [tau]]))
    return tuple(np.concatenate([part.ravel() for part in side]) for side in (ours, theirs))


# --- the planner


_ADVERSARIES = ("fail", "ball", "tv", "kl", "chi_square", "tv_fail")


def worst_value(adversary, values, factors, radius, sigma):
    """[d] factors' worst values by their minimizers: mass moved to the fail state or to the least value, or what a penalty leaves."""
    if adversary in ("fail", "tv_fail"):
        return exact_worst(values, factors, radius, sigma if adversary == "tv_fail" else None)
    if adversary == "ball":
        return values.min() + exact_worst(values - values.min(), factors, radius)
    worst = [penalized_worst(adversary, values, mass, sigma) for mass in factors]
    return np.array([m @ values + sigma * divergence(adversary, m, mass) for m, mass in zip(worst, factors, strict=True)])


@claim("dr-rpo.planner", kind=identity, source="dr_rpo spec 1.3, 1.4, 5", provenance="derived",
       given=(_problems, st.sampled_from([0.0, 0.2, 1.5]), st.sampled_from(_ADVERSARIES)), control={"fixed": False})  # fmt: skip
def planner(mdp, tau, adversary, fixed=True):
    """Optimal values, q, policy and factors' worst values, and those of a policy, are those of a backward induction in plain NumPy.

    Against both constraints and the four penalties. Control: the optimum in place of the policy's values.
    """
    reference, sigma = uneven(mdp), 0.3
    policy = np.random.default_rng(0).dirichlet(np.ones(mdp.shape[2]), mdp.shape[:2])
    options = {"uncertainty": adversary} if adversary in ("fail", "ball") else {"penalty": (adversary, sigma)}
    lhs, rhs = [], []
    for p in (None, policy):
        if p is None:
            ours = robust_linear_solve(mdp, tau, reference, **options)
        else:
            ours = robust_linear_evaluate(mdp, p, tau, reference, **options)

        def worst(h, values):
            u, unknown = np.zeros(mdp.dimension), ~mdp.known
            u[unknown] = worst_value(adversary, values, mdp.factors[h, unknown], mdp.radius[h, unknown], sigma)
            return u

        made, values, q = induction(mdp, worst, mdp.reward, tau, np.log(reference), p if fixed else None)
        u = [worst(h, values[h + 1]) for h in range(mdp.horizon)]
        lhs += [ours.values.ravel(), ours.q_values.ravel(), ours.policy.ravel(), ours.factor_values.ravel()]
        rhs += [values.ravel(), q.ravel(), made.ravel(), np.ravel(u)]
    return np.concatenate(lhs), np.concatenate(rhs), 10.0


@claim("dr-rpo.laws", kind=identity, source="dr_rpo spec 1.1, 3", provenance="classical",
       given=(_problems,), control={"late": 1})  # fmt: skip
def laws(mdp, late=0):
    """The laws of the states, the moments of the features met and the worst kernels are what one step of the chain after another says.

    Control: the law of the step before.
    """
    rng = np.random.default_rng(0)
    policy, values = rng.dirichlet(np.ones(mdp.shape[2]), mdp.shape[:2]), rng.normal(size=(mdp.horizon + 1, mdp.shape[1]))
    values[:, mdp.fail_state] = 0
    law = nominal_law(mdp, policy)
    law[late:] = law[: len(law) - late]
    worst = worst_factors(mdp, values)
    perturbed = RobustLinearMDP(mdp.features, worst, mdp.reward, mdp.fail_state, mdp.radius, mdp.known, mdp.initial)
    tables, start = (mdp.nominal, mdp.target(worst)), np.eye(mdp.shape[1])[mdp.initial]
    mean, second = np.zeros((mdp.horizon, mdp.dimension)), np.zeros((mdp.horizon, mdp.dimension, mdp.dimension))
    for h, s, a in np.ndindex(mdp.shape):
        if s != mdp.fail_state:
            x = mdp.features[s, a]
            mean[h] += law[h, s] * policy[h, s, a] * x
            second[h] += law[h, s] * policy[h, s, a] * np.outer(x, x)
    value = np.array([np.sum(m * v, axis=-1) for m, v in zip(worst, values[1:], strict=True)])
    least = np.array([exact_worst(v, m, r) for v, m, r in zip(values[1:], mdp.factors, mdp.radius, strict=True)])
    moments = feature_moments(mdp, policy)
    step = [table.transition[h, s, a] for table in tables for h, s, a in np.ndindex(mdp.shape)]
    moves = [(mdp.features @ m[h])[s, a] for m in (mdp.factors, worst) for h, s, a in np.ndindex(mdp.shape)]
    begin = [start @ table.initial for table in tables]
    lhs: list[Any] = [state_laws(mdp, policy), state_laws(mdp, policy, worst), *moments, value, np.array(step), begin]
    rhs = [law, nominal_law(perturbed, policy), mean, second, least, np.array(moves), [1.0, 1.0]]
    return np.concatenate([np.ravel(x) for x in lhs]), np.concatenate([np.ravel(x) for x in rhs]), 10.0


@claim("dr-rpo.coverage-form", kind=identity, source="dr_rpo spec 3 (theorem 2)", provenance="derived",
       given=(draw(rectangular_model, st.integers(3, 5), st.integers(2, 4), st.integers(2, 5), st.integers(1, 3), st.booleans()),),
       control={"known": True})  # fmt: skip
def coverage_form(mdp, known=False):
    """C is the largest generalized eigenvalue of (diag E phi 1{unknown}, E phi phi^T), infinite where a factor's share is not seen.

    For the policy that plays the first two actions. Control: known factors counted.
    """
    policy = np.zeros(mdp.shape)
    policy[..., 0], policy[..., 1] = 0.7, 0.3
    found, expected = factor_coverage(mdp, policy), []
    for mean, G in zip(*feature_moments(mdp, policy), strict=True):
        N = np.diag(mean if known else np.where(mdp.known, 0, mean))
        seen, both = np.linalg.matrix_rank(G, tol=1e-12), np.linalg.matrix_rank(np.hstack([G, N]), tol=1e-12)
        expected.append(-1.0 if both > seen else np.linalg.eigvals(np.linalg.pinv(G, rcond=1e-12, hermitian=True) @ N).real.max(initial=0))
    size = 1 + np.max(np.abs(expected))
    return np.where(np.isinf(found), -1.0, found), np.array(expected), size * 100
