"""DR-RPO step by step: duals, two-sided differences, soft maximum, optimism, elliptical norms (dr_rpo spec, section 4, L1-L9, L13-L19).

Small random linear robust MDPs with a fail state; what is probabilistic in the theorems is planted here as an error within its radius.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import STYLES, draw, rows
from tabular_rl.kernels import linear_robust as kernel
from tabular_rl.models import RobustLinearMDP
from tabular_rl.planning.robust_linear import performance_difference, robust_linear_evaluate, robust_linear_solve, worst_factors

SOURCE = "dr_rpo spec 4"

# --- one factor


class Factor(NamedTuple):
    """``values`` [S], 0 in the last state (fail); ``mass`` [S] a distribution, ``other`` another one, ``signed`` [S] any weights."""

    values: Any
    mass: Any
    other: Any
    signed: Any
    radius: float
    sigma: float


def factor(S, style, seed):
    """A Factor on S states."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=S)
    values[-1] = 0
    mass = rows(rng, (S,), style)
    radius = float(rng.choice([0.0, 0.1, 0.35, 0.8, 1.0]))
    return Factor(values, mass, rows(rng, (S,), "smooth"), rng.normal(size=S), radius, float(np.exp(rng.uniform(-2, 1))))


def dipped(S, ordered, seed):
    """A Factor with V >= 0; ordered: signed weights that grow with the values and sum to 0 off fail: the dual falls, then rises."""
    f = factor(S, "smooth", seed)
    values, signed = np.abs(f.values), f.signed
    if ordered:
        signed = np.append(np.sort(signed[:-1] - signed[:-1].mean())[np.argsort(np.argsort(values[:-1]))], signed[-1])
    return f._replace(values=values, signed=signed)


_factors = draw(factor, st.integers(2, 8), st.sampled_from(STYLES))
_smooth = draw(factor, st.integers(3, 8), st.just("smooth"))
_dipped = draw(dipped, st.integers(3, 8), st.booleans())


def dual(code, values, weights, radius, sigma=1.0):
    """The adversary's value by the planner's kernel."""
    return kernel.worst_factor(code, values, np.argsort(values), weights, radius, sigma, np.empty(len(values)))


def moved(values, mass, radius, target, largest=True):
    """``mass`` after at most ``radius`` of it has left the states above ``target`` for it, the largest value first (or the smallest)."""
    after = mass.copy()
    for s in np.argsort(-values if largest else values):
        if values[s] > values[target]:
            part = min(radius, after[s])
            after[s] -= part
            after[target] += part
            radius -= part
    return after


@claim("dr-rpo.dual-fail", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_dipped,), control={"largest": False})
def dual_of_fail(f, largest=True):
    """max over alpha >= 0 of m min(V, alpha) - radius alpha is the value of the kernel that moves mass from the largest values to fail.

    Control: from the smallest positive ones.  (The greedy kernel is optimal in the linear program: a fractional knapsack.)
    """
    after = moved(f.values, f.mass, f.radius, len(f.values) - 1, largest)
    return dual(kernel.FAIL, f.values, f.mass, f.radius), after @ f.values, 1.0


@claim("dr-rpo.dual-ball", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_smooth,), control={"code": kernel.FAIL})
def dual_of_ball(f, code=kernel.BALL):
    """In the whole ball the mass goes to the least value: min V plus the same dual of V - min V.  Control: the dual of the fail set."""
    after = moved(f.values, f.mass, f.radius, int(np.argmin(f.values)))
    return dual(code, f.values, f.mass, f.radius), after @ f.values, 1.0


@claim("dr-rpo.dual-signed", kind=identity, source=f"{SOURCE} L1", provenance="derived", given=(_dipped,), control={"early": True})
def dual_of_signed_weights(f, early=False):
    """With signed weights (ridge estimates) the dual's maximum lies at 0 or at a positive value.

    Control: stop at the first decrease, which is right for concave functions only.
    """
    points = np.concatenate([[0.0], np.sort(f.values[f.values > 0])])
    g = np.minimum(f.values, points[:, None]) @ f.signed - f.radius * points
    best = g[0]
    for x in g[1:]:
        if early and x < best:
            break
        best = max(best, x)
    return dual(kernel.FAIL, f.values, f.signed, f.radius), best, np.sum(np.abs(f.signed))


@claim("dr-rpo.ball-is-fail", kind=identity, source=f"{SOURCE} L2", provenance="derived", given=(_factors,), control={"negative": True})
def ball_is_fail(f, negative=False):
    """For V >= 0 the ball and the fail set have the same value.  Control: V of any sign."""
    values = f.values if negative else np.abs(f.values)
    return dual(kernel.FAIL, values, f.mass, f.radius), dual(kernel.BALL, values, f.mass, f.radius), 1.0


def divergence(name, other, mass):
    """Df(other || mass); the two are on the same support."""
    if name == "tv":
        return np.sum(np.abs(other - mass)) / 2
    if name == "kl":
        positive = other > 0
        return np.sum(other[positive] * np.log(other[positive] / mass[positive]))
    return np.sum((other - mass) ** 2 / mass)


def penalised_worst(name, values, mass, sigma):
    """The minimiser of m V + sigma Df(m || mass), by its first order condition."""
    if name == "tv":
        after, least = np.where(values > values.min() + sigma, 0, mass), int(np.argmin(values))
        after[least] += 1 - after.sum()
        return after
    if name == "kl":
        after = mass * np.exp((values.min() - values) / sigma)
        return after / after.sum()
    low, high = values.min(), values.max() + 2 * sigma
    for _ in range(60):  # mean of (alpha - V)^+ = 2 sigma
        alpha = (low + high) / 2
        low, high = (alpha, high) if mass @ np.maximum(alpha - values, 0) < 2 * sigma else (low, alpha)
    after = mass * np.maximum(low - values, 0)
    return after / after.sum()


@claim("dr-rpo.penalties", kind=inequality, source="dr_rpo spec 1.4", provenance="derived",
       given=(_smooth, st.sampled_from(["tv", "kl", "chi_square"])), control={"factor": 2.0})  # fmt: skip
def penalties(f, name, factor=1.0):
    """The duals of total variation, KL and chi^2 penalties are the least m V + sigma Df(m || mu): below every m, attained by one.

    Control: twice the penalty in the dual.
    """
    code = {"tv": kernel.TV, "kl": kernel.KL, "chi_square": kernel.CHI_SQUARE}[name]
    value = dual(code, f.values, f.mass, 0.0, factor * f.sigma)
    worst = penalised_worst(name, f.values, f.mass, f.sigma)
    paid = [m @ f.values + f.sigma * divergence(name, m, f.mass) for m in (f.other, f.mass, worst)]
    return np.array([value, value, value, paid[2]]), np.array([*paid, value]), 10 + abs(paid[0])


@claim("dr-rpo.supergradient", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(_smooth,), control={"swap": True})
def supergradient(f, swap=False):
    """w(V) (V - V') <= D(V) - D(V') <= w(V') (V - V') and |D(V) - D(V')| <= max |V - V'|, w the worst kernel.

    Control: the two kernels exchanged.
    """
    values, others = f.values, np.append(f.signed[:-1], 0.0)
    first, second = (moved(v, f.mass, f.radius, len(v) - 1) for v in (values, others))
    change = dual(kernel.FAIL, values, f.mass, f.radius) - dual(kernel.FAIL, others, f.mass, f.radius)
    low, high = first @ (values - others), second @ (values - others)
    low, high = (high, low) if swap else (low, high)
    return np.array([low, change, abs(change)]), np.array([change, high, np.max(np.abs(values - others))]), 10.0


def flat(S, even, seed):
    """A Factor with V >= 0; even: one value in all states but fail, where no mass is."""
    f = factor(S, "smooth", seed)
    values, mass = np.abs(f.values), f.mass
    if even:
        values, mass = np.append(np.full(S - 1, values[0]), 0.0), np.append(mass[:-1] / mass[:-1].sum(), 0.0)
    return f._replace(values=values, mass=mass, radius=0.1 + 0.7 * f.radius)


@claim("dr-rpo.factor-range", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(draw(flat, st.integers(3, 8), st.booleans()),), control={"factor": 1.2})  # fmt: skip
def range_of_factor(f, factor=1.0):
    """0 <= D(V) <= (1 - radius) max V for V >= 0: the fail set has (1 - radius) mu + radius delta_fail.  Control: 1.2 times the radius."""
    D = dual(kernel.FAIL, f.values, f.mass, f.radius)
    return np.array([-D, D]), np.array([0.0, (1 - factor * f.radius) * f.values.max()]), 1.0


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


@claim("dr-rpo.difference", kind=inequality, source=f"{SOURCE} L6", provenance="derived", given=(_any,), control={"swap": True})
def difference(w, swap=False):
    """Robust regularised V_pi - V_pi' lies between the mean advantages of pi under the worst kernels for V_pi and for V_pi'.

    Control: the two kernels exchanged.
    """
    low, change, high = performance_difference(w.mdp, w.policy, w.other, w.tau, w.reference)
    low, high = (high, low) if swap else (low, high)
    return np.array([low, change]), np.array([change, high]), 100.0


def value_range(mdp, factor=1.0):
    """[H+1]: upper bounds cap of all values (L7)."""
    cap = np.zeros(mdp.horizon + 1)
    for h in range(mdp.horizon - 1, -1, -1):
        cap[h] = 1 + (1 - factor * mdp.radius[h, ~mdp.known].min()) * cap[h + 1]
    return cap


@claim("dr-rpo.range", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(_worlds("even", "even", "random", min_horizon=2),), control={"factor": 1.2})  # fmt: skip
def range_of_values(w, factor=1.0):
    """0 <= V*[h] <= cap[h] = 1 + (1 - least radius) cap[h+1], attained where every state pays and only the adversary fails.

    Control: 1.2 times the radius.
    """
    cap, values = value_range(w.mdp, factor), robust_linear_solve(w.mdp, 0.0).values
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
    laws = []
    for factors in (worst, mdp.factors):
        law = [np.eye(mdp.shape[1])[mdp.initial]]
        for h in range(mdp.horizon - 1):
            law.append(np.einsum("s,sa,sad,dt->t", law[-1], w.policy[h], mdp.features, factors[h]))
        laws.append(np.array(law)[:, :-1])
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
    """V_pi(0) >= V_pi(tau) and V*_0 - V_pi(0) <= V*_tau - V_pi(tau) + tau H log(1 / min ref): from regularised regret to the plain one.

    For the optimal regularised policy. Control: without the last term.
    """
    best = [robust_linear_solve(w.mdp, t, w.reference) for t in (0.0, w.tau)]
    played = [robust_linear_evaluate(w.mdp, best[1].policy, t, w.reference).values[0] for t in (0.0, w.tau)]
    gaps = [b.values[0] - p for b, p in zip(best, played, strict=True)]
    allowed = gaps[1] + bias * w.tau * w.mdp.horizon * math.log(1 / w.reference.min())
    return np.concatenate([played[1], gaps[0]]), np.concatenate([played[0], allowed]), 10.0


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


@claim("dr-rpo.three-point", kind=identity, source=f"{SOURCE} L5", provenance="derived", given=(_choices,), control={"anchored": False})
def three_point(c, anchored=True):
    """The mirror step maximises J(p) = <p, q> - tau KL(p || ref) - KL(p || before) / eta, by (tau + 1 / eta) KL(p || new) over any p.

    Control: KL(p || new) / eta only.
    """
    log_new = (np.log(c.before) + c.eta * (c.q + c.tau * np.log(c.reference))) / (1 + c.tau * c.eta)
    new = np.exp(log_new - log_new.max())
    new /= new.sum()
    J = [p @ c.q - c.tau * kl(p, c.reference) - kl(p, c.before) / c.eta for p in (new, c.policy)]
    return J[0] - J[1], (c.tau * anchored + 1 / c.eta) * kl(c.policy, new), 100.0
