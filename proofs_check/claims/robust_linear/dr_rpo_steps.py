"""DR-RPO step by step: two-sided differences, ranges, bias, soft maximum, mirror steps (dr_rpo spec, section 4, L3-L7, L15, L17).

Small random linear robust MDPs with a fail state; what is probabilistic in the theorems is planted here as an error within its radius.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.claims.robust_linear.dr_rpo_factors import SOURCE, dual, moved
from proofs_check.strategies import draw, rows
from tabular_rl.algorithms.robust_linear.dr_rpo import value_range
from tabular_rl.algorithms.robust_linear.learning import mirror_step
from tabular_rl.kernels.linear import robust_induction as kernel
from tabular_rl.kernels.simplex import relative_entropy
from tabular_rl.models import RobustLinearMDP
from tabular_rl.planning.robust.linear import performance_difference, robust_linear_evaluate, robust_linear_solve, state_laws, worst_factors

# --- models


class World(NamedTuple):
    """A model, its temperature, a reference and two policies [H, S, A]."""

    mdp: Any
    tau: float
    reference: Any
    policy: Any
    other: Any


def world(S, A, d, H, style, seed):
    """A World; "even": nothing else leads to fail, reward 1, one radius; "split": one action pays, whatever it does, and no radius."""
    rng = np.random.default_rng(seed)
    features, factors = rng.dirichlet(np.full(d, 0.5), (S, A)), rng.dirichlet(np.full(S, 0.5), (H, d))
    reward, radius = rng.random((H, S, A)), rng.uniform(0, 0.6, (H, d))
    if style != "random":
        features[..., -1], factors[..., -1] = 0, 0
        features, factors = (x / x.sum(-1, keepdims=True) for x in (features, factors))
        reward[:], radius[:] = 1, rng.uniform(0.1, 0.6)
    if style == "split":
        features[:], reward[..., 1:], radius[:] = features[:, :1], 0, 0
    features[-1], reward[:, -1], factors[:, -1], radius[:, -1] = np.eye(d)[-1], 0, np.eye(S)[-1], 0
    mdp = RobustLinearMDP(features, factors, reward, S - 1, radius)
    policies = [rows(rng, mdp.shape, "peaked" if n == 0 else "smooth") for n in range(2)]
    reference = np.full(mdp.shape, 1 / A) if style == "split" else 0.9 * rows(rng, mdp.shape, "smooth") + 0.1 / A
    for policy in policies:
        policy[:, -1] = reference[:, -1]
    return World(mdp, float(np.exp(rng.uniform(np.log(0.01), 0))), reference, *policies)


def _worlds(*styles, min_horizon=1):
    sizes = st.integers(3, 6), st.integers(2, 3), st.integers(2, 5), st.integers(min_horizon, 5)
    return draw(world, *sizes, st.sampled_from(styles))


_any = _worlds("random", min_horizon=2)


@claim("dr-rpo.rectangular", kind=inequality, source=f"{SOURCE} L3", provenance="derived", given=(_any,), control={"reverse": True})
def rectangular(w, reverse=False):
    """sum phi_i D_i(V) is at least the value of the ball of radius <phi, radius> around P0: d-rectangular adversaries are weaker.

    Control: at most.
    """
    mdp, S = w.mdp, w.mdp.shape[1]
    values = np.append(np.random.default_rng(0).normal(size=S - 1), 0.0)
    each = np.array([dual(kernel.BALL, values, m, r) for m, r in zip(mdp.factors[0], mdp.radius[0], strict=True)])
    phi = mdp.features[0]
    together = np.array([dual(kernel.BALL, values, x @ mdp.factors[0], x @ mdp.radius[0]) for x in phi])
    return (phi @ each, together, 1.0) if reverse else (together, phi @ each, 1.0)


@claim("dr-rpo.separate", kind=inequality, source=f"{SOURCE} L3", provenance="derived", given=(_any,), control={"own": False})
def separate(w, own=True):
    """min over sum phi_i m_i of its mean of V is sum phi_i D_i(V), phi >= 0: each factor's worst serves all pairs at once.

    Below every choice of members, attained by ``worst_factors``. Control: the worst factors for other values.
    """
    mdp, rng = w.mdp, np.random.default_rng(0)
    values = robust_linear_evaluate(mdp, w.policy, w.tau, w.reference).values
    others = values if own else np.where(np.arange(mdp.shape[1]) == mdp.fail_state, 0.0, rng.normal(size=values.shape))
    worst, nominal = worst_factors(mdp, others)[0], mdp.factors[0]
    D = np.array([dual(kernel.FAIL, values[1], m, r) for m, r in zip(nominal, mdp.radius[0], strict=True)])
    mixed = [nominal + share * (worst - nominal) for share in (0.0, rng.random((len(nominal), 1)))]
    means = [mdp.features @ (factors @ values[1]) for factors in (*mixed, worst)]
    low = mdp.features @ D
    return np.array([low, low, low, means[2]]), np.array([*means, low]), 10.0


@claim("dr-rpo.difference", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(_any,), control={"swap": True})
def difference(w, swap=False):
    """Robust regularized V_pi - V_pi' lies between the mean advantages of pi under the worst kernels for V_pi and for V_pi'.

    Control: the two kernels exchanged.
    """
    low, change, high = performance_difference(w.mdp, w.policy, w.other, w.tau, w.reference)
    low, high = (high, low) if swap else (low, high)
    return np.array([low, change]), np.array([change, high]), 100.0


@claim("dr-rpo.range", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(_worlds("even", "even", "random", min_horizon=2),), control={"factor": 1.2})  # fmt: skip
def range_of_values(w, factor=1.0):
    """0 <= V*[h] <= cap[h] = 1 + (1 - least radius) cap[h+1], attained where every state pays and only the adversary fails.

    Control: 1.2 times the radius.
    """
    cap, values = value_range(factor * w.mdp.radius, w.mdp.known), robust_linear_solve(w.mdp, 0.0).values
    soft = robust_linear_solve(w.mdp, w.tau, w.reference).values
    return np.concatenate([values, soft, -soft]).max(axis=1), np.concatenate([cap, cap, 0 * cap]), 10.0


@claim("dr-rpo.domination", kind=inequality, source=f"{SOURCE} L15", provenance="derived", given=(_any,), control={"uncertainty": "ball"})
def domination(w, uncertainty="fail"):
    """Under the worst kernel of the fail set no other state is visited more often than under the nominal one.

    Control: the whole ball, at a temperature that makes values negative.
    """
    mdp = w.mdp
    values = robust_linear_evaluate(mdp, w.policy, 3.0, w.reference, uncertainty).values
    worst = worst_factors(mdp, values)
    if uncertainty == "ball":
        for h, i in np.ndindex(mdp.radius.shape):
            worst[h, i] = moved(values[h + 1], mdp.factors[h, i], mdp.radius[h, i], int(np.argmin(values[h + 1])))
    laws = [state_laws(mdp, w.policy, factors)[:, :-1] for factors in (worst, mdp.factors)]
    return laws[0], laws[1], 1.0


@claim("dr-rpo.bias", kind=inequality, source=f"{SOURCE} L17", provenance="derived",
       given=(_worlds("split", "split", "random", min_horizon=2),), control={"steps": False})  # fmt: skip
def bias(w, steps=True):
    """0 <= V*_0 - V*_tau <= tau (H - h) log(1 / min ref), and V*_tau falls with tau.  Control: without the factor H - h."""
    H, tau = w.mdp.horizon, min(w.tau, 0.05)
    plain, soft, softer = (robust_linear_solve(w.mdp, t, w.reference).values for t in (0.0, tau, 2 * tau))
    left = (H - np.arange(H + 1))[:, None] if steps else np.minimum(H - np.arange(H + 1), 1)[:, None]
    allowed = tau * left * math.log(1 / w.reference.min()) + 0 * plain
    return np.array([soft - plain, plain - soft, softer - soft]), np.array([0 * plain, allowed, 0 * plain]), 10.0


@claim("dr-rpo.corollary", kind=inequality, source="dr_rpo spec 3 (corollary)", provenance="derived",
       given=(_worlds("random", min_horizon=2),), control={"bias": 0.0})  # fmt: skip
def corollary(w, bias=1.0):
    """V_pi(0) >= V_pi(tau) and V*_0 - V_pi(0) <= V*_tau - V_pi(tau) + tau H log(1 / min ref): from regularized regret to the plain one.

    For the optimal regularized policy. Control: without the last term.
    """
    best = [robust_linear_solve(w.mdp, t, w.reference) for t in (0.0, w.tau)]
    played = [robust_linear_evaluate(w.mdp, best[1].policy, t, w.reference).values[0] for t in (0.0, w.tau)]
    gaps = [b.values[0] - p for b, p in zip(best, played, strict=True)]
    allowed = gaps[1] + bias * w.tau * w.mdp.horizon * math.log(1 / w.reference.min())
    return np.concatenate([played[1], gaps[0]]), np.concatenate([played[0], allowed]), 10.0


@claim("dr-rpo.telescoping", kind=identity, source="dr_rpo spec 2.4", provenance="derived", given=(_any,), control={"robust": True})
def telescoping(w, robust=False):
    """sum_k E_law [KL(pi* || pi_k) - KL(pi* || pi_{k+1})] = E_law [KL(pi* || pi_0) - KL(pi* || pi_K)] for one law of pi*.

    Control: pi* under the worst kernel for V_k, as the robust difference has it: that law moves with k, and the proof of mirror descent
    ends there.
    """
    mdp, comparator, log_policy, laws = w.mdp, w.other, np.log(w.reference), []
    divergences = [np.sum(comparator * (np.log(comparator) - log_policy), axis=-1)]
    for _ in range(3):
        played = robust_linear_evaluate(mdp, np.exp(log_policy))
        laws.append(state_laws(mdp, comparator, worst_factors(mdp, played.values) if robust else None))
        log_policy = log_policy + 2 * played.q_values
        log_policy -= np.log(np.exp(log_policy).sum(-1, keepdims=True))
        divergences.append(np.sum(comparator * (np.log(comparator) - log_policy), axis=-1))
    total = sum(np.sum(law * (divergences[k] - divergences[k + 1])) for k, law in enumerate(laws))
    return total, np.sum(laws[0] * (divergences[0] - divergences[-1])), 100.0


# --- one state: the soft maximum


class Choice(NamedTuple):
    """Action values, reference, an earlier policy and a competitor [A]; temperature and step size."""

    q: Any
    reference: Any
    before: Any
    policy: Any
    tau: float
    eta: float


def choice(A, seed):
    """A Choice among A actions."""
    rng = np.random.default_rng(seed)
    return Choice(3 * rng.random(A), *rng.dirichlet(np.full(A, 2.0), 3) * 0.99 + 0.01 / A, *np.exp(rng.uniform(-2, 1, 2)))


_choices = draw(choice, st.integers(2, 6))


def kl(p, q):
    """KL(p || q) of positive distributions."""
    return np.sum(p * np.log(p / q))


def soft(q, reference, tau):
    """(value, policy) of the soft maximum by the planner's kernel."""
    policy = np.empty(len(q))
    return kernel.soft_maximum(q, np.log(reference), tau, policy, np.empty(len(q))), policy


@claim("dr-rpo.closed-form", kind=identity, source=f"{SOURCE} L4", provenance="derived", given=(_choices,), control={"reverse": True})
def closed_form(c, reverse=False):
    """tau log sum ref e^(q / tau) = <p, q> - tau KL(p || ref) + tau KL(p || softmax) for every p.  Control: KL(softmax || p)."""
    value, best = soft(c.q, c.reference, c.tau)
    p = c.policy
    return value, p @ c.q - c.tau * kl(p, c.reference) + c.tau * (kl(best, p) if reverse else kl(p, best)), 100.0


@claim("dr-rpo.regularized-mean", kind=identity, source="dr_rpo spec 1.3", provenance="derived",
       given=(_choices, st.sampled_from([1e-3, 1.0, 1e3, 1e6])), control={"reverse": True})  # fmt: skip
def regularized_mean(c, temperature, reverse=False):
    """The kernels' <p, q> - tau KL(p || ref) and KL(p || ref), at small temperatures and at large ones, where other formulas serve.

    Also for a deterministic p. Control: KL(ref || p).
    """
    lhs, rhs, tau = [], [], temperature * c.tau
    for p in (c.policy, np.eye(len(c.q))[0]):
        logs = np.log(np.where(p > 0, p, 1.0)), np.log(c.reference)
        cost = kl(c.reference, c.policy) if reverse else np.sum(p * (logs[0] - logs[1]))
        lhs += [kernel.regularized_mean(c.q, p, *logs, tau) / (1 + tau), relative_entropy(p, *logs)]
        rhs += [(p @ c.q - tau * cost) / (1 + tau), cost]
    return np.array(lhs), np.array(rhs), 100.0


@claim("dr-rpo.three-point", kind=identity, source=f"{SOURCE} L5", provenance="derived", given=(_choices,), control={"anchored": False})
def three_point(c, anchored=True):
    """The mirror step maximizes J(p) = <p, q> - tau KL(p || ref) - KL(p || before) / eta, by (tau + 1 / eta) KL(p || new) over any p.

    Control: KL(p || new) / eta only.
    """
    log_policy, new = np.log(c.before)[None, None], np.empty((1, 1, len(c.q)))
    mirror_step(log_policy, new, np.log(c.reference)[None, None], c.q[None, None], c.tau, c.eta)
    new = new[0, 0]
    J = [p @ c.q - c.tau * kl(p, c.reference) - kl(p, c.before) / c.eta for p in (new, c.policy)]
    return J[0] - J[1], (c.tau * anchored + 1 / c.eta) * kl(c.policy, new), 100.0
