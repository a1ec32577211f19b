"""The local bonuses: they pay for the estimator's stability, and theory's constants keep them small (bobw spec, 3.1 to 3.4, L9, 4.4).

With R the remaining horizon, mu the occupancy, u >= mu its clipped upper bound, beta the inverse learning rate, w = 2 R / (beta u):

    b = penalty + stability + R (1 - mu / u)
    tsallis       2 (beta - beta_before) h1(pi)                R^2 mu / (u^2 beta) g,   g = min(2 sum sqrt(pi), 2 h2 / (1 - w) if w < 1)
    shannon       (beta - beta_before) Ent(pi)                 R^2 mu A / (u^2 beta)
    log_barrier   (beta_after - beta) A log(T)                 2 (L / u)^2 zeta / beta in the visited state

(C_B), the condition of ``bobw.bonus-budget``: local(pi) B / beta <= 1 / (4 H) in every (h, s, a).

The formulas here are written apart from the algorithm, for the replay; what is claimed is claimed of the algorithm's own: ``compiled``.
"""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.calculus import state_occupancy
from proofs_check.claims.adversarial.bobw_entropy import SOURCE, h1, h2, shannon
from proofs_check.claims.adversarial.bobw_ftrl import REGULARIZERS, inner, regularizers, stability
from proofs_check.strategies import bonuses, draw, finite_horizon_mdps, policies, scales, simplex_points, state_tables, vectors
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.algorithms.adversarial import best_of_both_worlds_rates as product
from tabular_rl.planning import dilated_bonus


class Constants(NamedTuple):
    """Learning-rate scale ``c0``, clip ``eps`` and start ``N0`` (log barrier: N_0 is N0 R^2) of the bobw spec, 3.5."""

    c0: float
    eps: float
    N0: float


def theory(regularizer, H, S, A, T=None):
    """The Constants of the guarantees; the log barrier needs the number ``T`` of episodes."""
    if regularizer != "log_barrier":
        return Constants(1 / math.sqrt(2), math.sqrt(2) / 4, (math.sqrt(2) * math.e * H * (H + 1) * (1 + math.sqrt(A))) ** 2)
    logs, c0 = A * math.log(T), 0.5
    eps = (4 * math.e * H * (H + 1) * logs * (1 + 4 * c0**2 + S / 2)) ** -0.5
    return Constants(c0, eps, max((4 * math.e * c0 * H * (H + 1)) ** 2 * logs, eps**-2))


PRACTICAL = Constants(1 / math.sqrt(2), 1.0, 1.0)


@claim("bobw.constants", kind=identity, source=f"{SOURCE} 3.5 and 4.4", provenance="derived",
       given=(st.integers(1, 9), st.integers(1, 9), st.integers(2, 9), st.integers(3, 10**7), st.sampled_from(REGULARIZERS),
              st.sampled_from(["theory", "practical"])), control={"actions": 0})  # fmt: skip
def constants_in_force(H, S, A, T, regularizer, preset, actions=1):
    """The algorithm's c0, eps, N0 and factor of the bonus are those of the text, and I0 is sum_h beta_0[h] (psi(e) - psi(uniform)), for the
    log barrier with e mixed with 1/T, at most sum_h (beta_0 A log T + R).

    Control: sqrt(N0) without the number of actions.
    """
    learner = BestOfBothWorlds(regularizer, preset)
    c0, eps, N0 = theory(regularizer, H, S, A, T) if preset == "theory" else PRACTICAL
    plain = learner.resolve((H, S, A), T)
    beta = to_go(H).sum() * math.sqrt({"tsallis": 1, "shannon": A, "log_barrier": 1 / (A * math.log(T))}[regularizer] * N0) / c0
    start = beta * {"tsallis": 2 * (math.sqrt(A) - 1), "shannon": math.log(A), "log_barrier": A * math.log(T)}[regularizer]
    start += (regularizer == "log_barrier") * to_go(H).sum()
    expected = [c0, eps, math.sqrt(N0) if actions else math.sqrt(N0) / (1 + math.sqrt(A)), 1.0 if preset == "theory" else 0.1, start]
    found = [plain[0], plain[1], math.sqrt(plain[2]), plain[3], learner.initial_term((H, S, A), T, plain[0], plain[2])]
    return np.array(found) / expected, np.ones(5), 1.0


@claim("bobw.rates", kind=identity, source=f"{SOURCE} 3.1 to 3.4 and 4.8", provenance="derived",
       given=(scales(0, 9), scales(-4, 0), scales(-7, 0), st.integers(1, 10**4), st.integers(1, 9), st.integers(2, 9), regularizers,
              st.booleans()), control={"floor": 0.0})  # fmt: skip
def rates_in_force(N, u, doubt, t, R, A, regularizer, flag, floor=1.0):
    """The algorithm's thresholds, inverse rates and increments of N before and after an episode are those of the text, at any N and t.

    ``flag``: whether a Shannon rate follows the current entropy, whether the log barrier was clipped. Control: no floor 1/t of entropies.
    """
    current, barrier = flag and regularizer == "shannon", regularizer == "log_barrier"
    rules, _ = BestOfBothWorlds(regularizer, entropy="current" if current else "previous").rules((R, 1, A), 10**4)
    root = math.sqrt(N) / rules.c0
    beta = {"tsallis": R * root, "shannon": R * math.sqrt(A) * root, "log_barrier": root / math.sqrt(A * math.log(10**4))}[regularizer]
    relative = max(doubt, floor / t)
    before, after = 1 / u if regularizer == "tsallis" else shannon_increment(N, u, relative), R**2 * doubt + flag * (R / u) ** 2
    if not barrier:
        after = max(min(1 / (u * doubt), N / (8 * math.log(math.e * A * (t + 1)))), 1 / u)
    found = [product.clip_threshold(rules, R, N), product.inverse_rate(rules, R, N), product.increment_before(rules, t, N, u, doubt)]
    found += [product.increment_after(rules, t, R, N, u, doubt, flag, R**2 * doubt)]
    expected = [min(1, (R if barrier else 1) / (rules.eps * math.sqrt(N))), beta, before, after]
    chosen = [0, 1] + [2] * (not barrier) + [3] * (barrier or current)
    return np.array([found[i] / expected[i] for i in chosen]), np.ones(len(chosen)), 1.0


def compiled(learner, shape, T, pi, upper, u, beta, growth, lower=None, N=None, t=1, doubt=None, clipped=None, path=None):
    """(b, N and beta after the episode) [H, S] of the algorithm's own ``local_bonuses``; ``path``: (states, actions, to_go) [H]."""
    H, S, _ = shape
    b, reachable, everywhere = np.empty((H, S)), np.ones((H, S), bool), np.zeros((H, S))
    N, beta, growth, doubt = (everywhere + (1.0 if each is None else each) for each in (N, beta, growth, doubt))
    lower = upper if lower is None else lower
    reach = product.Reach(everywhere + upper, everywhere + lower, everywhere + u, everywhere < (0 if clipped is None else clipped))
    states, actions, losses = (np.zeros(H, int), np.zeros(H, int), np.zeros(H)) if path is None else path
    played = product.Path(states, actions, losses)
    rates = product.Rates(N, beta, growth, doubt)
    product.local_bonuses(t, learner.rules(shape, T)[0], reachable, np.ascontiguousarray(pi), reach, played, rates, b)
    return b, N, beta + growth


def variance_factor(pi, w):
    """g of the file's head along the last axis."""
    plain = 2 * np.sum(np.sqrt(pi), axis=-1)
    return np.where(w < 1, np.minimum(plain, 2 * h2(pi) / np.where(w < 1, 1 - w, 1)), plain)


def tsallis_bonus(R, pi, mu, u, beta, beta_before):
    """b; all arguments [...] but ``pi`` [..., A]."""
    stable = R**2 * mu / (u**2 * beta) * variance_factor(pi, 2 * R / (beta * u))
    return 2 * (beta - beta_before) * h1(pi) + stable + R * (1 - mu / u)


def shannon_bonus(R, pi, mu, u, beta, beta_before):
    """b, as ``tsallis_bonus``."""
    return (beta - beta_before) * shannon(pi) + R**2 * mu * pi.shape[-1] / (u**2 * beta) + R * (1 - mu / u)


def shannon_increment(N, u, relative_entropy):
    """What N grows by: 1 / (u htil), but at most N / 10 where that is more than 1 / u."""
    increment = 1 / (u * relative_entropy)
    return np.where(increment > N / 10, np.maximum(N / 10, 1 / u), increment)


def log_barrier_increment(R, u, clipped, visited, square):
    """What N grows by; ``square``: L^2 zeta of the drawn action."""
    return visited * square / u**2 + clipped * (R / u) ** 2


def log_barrier_bonus(R, A, log_T, mu, u, beta, beta_after, visited, square):
    """b of one trajectory."""
    return (beta_after - beta) * A * log_T + visited * 2 * square / (u**2 * beta) + R * (1 - mu / u)


def propagated(mdp, pi, threshold, floor):
    """(u, inflow) [H, S] of the log barrier: u = min(1, max(inflow, floor, threshold)) flows on in place of the occupancy."""
    u, inflow = np.empty(pi.shape[:2]), mdp.initial
    inflows = np.empty_like(u)
    for h in range(len(u)):
        inflows[h] = inflow
        u[h] = np.minimum(1, np.maximum(np.maximum(inflow, floor), threshold[h]))
        inflow = np.einsum("s,sa,sat->t", u[h], pi[h], mdp.transition[h])
    return u, inflows


def to_go(H):
    """R [H, 1]."""
    return np.arange(H, 0, -1.0)[:, None]


@claim("bobw.estimator-stability", kind=inequality, source=f"{SOURCE} L9", provenance="derived",
       given=(simplex_points(8), vectors(), scales(0, 1), scales(-3, 0), scales(-3, 0), scales(0, 6), regularizers),
       control={"constant": 0.45})  # fmt: skip
def estimator_stability(pi, share, R, occupancy, u, beta, regularizer, constant=1.0):
    """E stab(pi, Qhat - c, beta / 2) <= the bonus's stability, for any losses to go L_a in [0, R]. Tsallis entropy: for c = 0, and if w < 1
    for c = <pi, Qhat>; Shannon: for c = 0; log barrier: for c = <pi, Qhat>, along every path, if 2 R / (u beta) <= 1/2.

    Control: 0.45 times as much.
    """
    pi, L, mu, A = inner(pi, 1e-12), R * share**0.1, min(occupancy, u), len(pi)
    if regularizer == "log_barrier":
        beta = max(beta, 4 * R / u)
    estimates = np.diag([product.estimate(L[a], u, pi[a]) for a in range(A)])  # one row for each drawn action
    plain = stability(regularizer, pi, estimates, beta / 2)
    if regularizer == "shannon":
        return mu * pi @ plain, constant * product.shannon_stability(R, A, mu, u, beta)
    shifted = stability(regularizer, pi, estimates - L[:, None] / u, beta / 2)
    if regularizer == "log_barrier":
        paid = 2 / beta * np.array([product.squared_error(L[a], u, pi, a) for a in range(A)])
        return shifted, constant * paid, (R / u) ** 2 / beta  # the shift cancels near a vertex
    least = min(mu * pi @ plain, mu * pi @ shifted) if 2 * R / (beta * u) < 1 else mu * pi @ plain
    return least, constant * product.tsallis_bonus(R, pi, mu, u, beta, 0.0), (R / u) ** 2 / beta


# --- (C_B) by theory's constants


def _condition(mdp, regularizer, pi, b, beta):
    """max local(pi) B / beta as the algorithm counts it, and 1 / (4 H)."""
    B, H = dilated_bonus(mdp, pi, b), mdp.horizon
    values = np.zeros((H + 1, mdp.n_states))
    code, beta = REGULARIZERS.index(regularizer), np.ascontiguousarray(np.broadcast_to(beta, b.shape))
    largest = product.excess(code, np.ones(b.shape, bool), np.ascontiguousarray(pi), B, values, beta)[0]
    return largest / (4 * H), 1 / (4 * H)


def _start(learner, shape, T, progress):
    """(Rules, N [H, S], clip thresholds [H, S], beta of N [H, S]) of the algorithm, N up to a million times N_0."""
    rules, R = learner.rules(shape, T)[0], to_go(shape[0])
    N = rules.N0 * (R**2 if learner.regularizer == "log_barrier" else 1) * 10 ** (6 * progress)
    threshold = _each(lambda h, s: product.clip_threshold(rules, shape[0] - h, N[h, s]), N.shape)
    return rules, N, threshold, _inverse_rates(rules, N)


def _inverse_rates(rules, N):
    return _each(lambda h, s: product.inverse_rate(rules, len(N) - h, N[h, s]), N.shape)


def _grown(rules, N, u, doubt):
    """N after what it grows by before an episode, with ``doubt`` in [0, 1] the entropy before it."""
    return N + _each(lambda h, s: product.increment_before(rules, 10**9, N[h, s], u[h, s], doubt[h, s]), N.shape)


def _each(function, shape):
    return np.array([[function(h, s) for s in range(shape[1])] for h in range(shape[0])], float)


_progress = state_tables(0.0, 1.0)  # of log N, up to a factor of a million


@claim("bobw.condition", kind=inequality, source=f"{SOURCE} 4.4", provenance="derived",
       given=(finite_horizon_mdps(), policies(), _progress), control={"preset": "practical"})  # fmt: skip
def condition(mdp, pi, progress, preset="theory"):
    """Tsallis entropy, theory's constants, any N >= N_0: b <= R (1 + sqrt(A)), and (C_B) holds.  Control: the practical constants.

    Proof: 1 / u <= eps sqrt(N), so that the penalty is at most R h1 / 2, the stability R g / 4 with w <= 1/2, and beta >= R sqrt(N_0) / c0.
    """
    A, learner, R = mdp.shape[-1], BestOfBothWorlds("tsallis", preset), to_go(mdp.horizon)
    pi, mu = inner(pi, 1e-12), state_occupancy(mdp, pi)
    rules, N, threshold, before = _start(learner, mdp.shape, 10, progress)
    u = np.maximum(mu, threshold)
    beta = _inverse_rates(rules, _grown(rules, N, u, np.ones(u.shape)))
    b, _, _ = compiled(learner, mdp.shape, 10, pi, mu, u, beta, beta - before)
    size, budget = _condition(mdp, "tsallis", pi, b, beta)
    return [*(b / R).ravel(), size], [*np.full(b.size, 1 + np.sqrt(A)), budget], 1.0


@claim("bobw.condition-shannon", kind=inequality, source=f"{SOURCE} 4.4", provenance="derived",
       given=(finite_horizon_mdps(), policies(), _progress, bonuses(), st.sampled_from([1.0, 1.33, 6.0])),
       control={"preset": "practical"})  # fmt: skip
def condition_shannon(mdp, pi, progress, share, r, preset="theory"):
    """Shannon, the same constants: if Ent(pi) <= r log(A) htil then b <= R (1 + sqrt(A) (1 + r log A) / 4), and (C_B) holds for r <= 6.

    Control: the practical constants.
    """
    A, learner, R = mdp.shape[-1], BestOfBothWorlds("shannon", preset), to_go(mdp.horizon)
    pi, mu = inner(pi, 1e-12), state_occupancy(mdp, pi)
    rules, N, threshold, before = _start(learner, mdp.shape, 10, progress)
    least, u = np.minimum(1, np.maximum(shannon(pi) / (r * np.log(max(A, 2))), 1e-6)), np.maximum(mu, threshold)
    beta = _inverse_rates(rules, _grown(rules, N, u, least + share * (1 - least)))
    b, _, _ = compiled(learner, mdp.shape, 10, pi, mu, u, beta, beta - before)
    size, budget = _condition(mdp, "shannon", pi, b, beta)
    return [*(b / R).ravel(), size], [*np.full(b.size, 1 + np.sqrt(A) * (1 + r * np.log(A)) / 4), budget], 1.0


def a_path(mdp, seed):
    """(states [H], actions [H]) of a path that has positive probability under every policy that tries everything."""
    rng, s, states, actions = np.random.default_rng(seed), None, [], []
    for h in range(mdp.horizon):
        row = mdp.initial if s is None else mdp.transition[h - 1, s, actions[-1]]
        s = int(rng.choice(np.flatnonzero(row)))
        states.append(s)
        actions.append(int(rng.integers(mdp.n_actions)))
    return np.array(states), np.array(actions)


_a_path = draw(a_path, fit=True)
lengths = st.sampled_from([10, 1_000, 1_000_000])


@claim("bobw.condition-log-barrier", kind=inequality, source=f"{SOURCE} 4.7", provenance="derived",
       given=(finite_horizon_mdps(), policies(), _progress, _a_path, lengths), control={"preset": "practical"})  # fmt: skip
def condition_log_barrier(mdp, pi, progress, a_path, T, preset="theory"):
    """Log barrier, theory's constants, any N >= N_0: 2 R / (u beta) <= 1/2, and (C_B) holds, along every path and for the largest losses.

    Control: the practical constants.

    Proof: u[h+1, s'] >= u[h, s] pi P, so that pi(a) times the probability to reach a later state is at most a ratio of u.
    """
    (states, actions), pi, R, learner = a_path, inner(pi, 1e-12), to_go(mdp.horizon), BestOfBothWorlds("log_barrier", preset)
    _, N, threshold, beta = _start(learner, mdp.shape, T, progress)
    (u, inflow), mu = propagated(mdp, pi, threshold, 1 / T), state_occupancy(mdp, pi)
    path = states, actions, R[:, 0].copy()
    b, _, _ = compiled(learner, mdp.shape, T, pi, mu, u, beta, 0, N=N, clipped=np.maximum(inflow, 1 / T) < threshold, path=path)
    size, budget = _condition(mdp, "log_barrier", pi, b, beta)
    ratio = 2 * R / (u * beta)
    return [*ratio.ravel(), size], [*np.full(ratio.size, 0.5), budget], 1.0


@claim("bobw.propagated-occupancy", kind=inequality, source=f"{SOURCE} 3.1 and 4.7", provenance="derived",
       given=(finite_horizon_mdps(), policies(), bonuses(), lengths), control={"flows": False})  # fmt: skip
def propagated_occupancy(mdp, pi, threshold, T, flows=True):
    """mu <= u and u[h,s] pi P(s'|s,a) <= u[h+1,s'] for the u that flows on.  Control: the occupancy, clipped where it stands."""
    u, mu = propagated(mdp, pi, threshold, 1 / T)[0], state_occupancy(mdp, pi)
    if not flows:
        u = np.minimum(1, np.maximum(np.maximum(mu, 1 / T), threshold))
    flow = (u[:-1, :, None, None] * pi[:-1, ..., None] * mdp.transition[:-1]).max(axis=(1, 2), initial=0)
    return [*mu.ravel(), *flow.ravel()], [*u.ravel(), *u[1:].ravel()], 1.0


@claim("bobw.propagated-clips", kind=inequality, source=f"{SOURCE} 4.7", provenance="derived",
       given=(finite_horizon_mdps(), policies(), bonuses(), lengths), control={"later": False})  # fmt: skip
def propagated_clips(mdp, pi, threshold, T, later=True):
    """sum R (u - mu) <= sum over the clipped (k, s) of (u - inflow) sum_{h >= k} R_h: each clip flows into all later layers.

    Control: each clip counts in its own layer only.
    """
    R = to_go(mdp.horizon)
    u, inflow = propagated(mdp, pi, threshold**4, 1 / T)
    weight = np.cumsum(R[::-1], axis=0)[::-1] if later else R
    return np.sum(R * (u - state_occupancy(mdp, pi))), np.sum(weight * np.maximum(u - inflow, 0)), mdp.horizon**2


@claim("bobw.unknown-bonus", kind=inequality, source=f"{SOURCE} 3.8", provenance="derived",
       given=(finite_horizon_mdps(), policies(), _progress, bonuses(), bonuses()), control={"covered": False})  # fmt: skip
def unknown_bonus(mdp, pi, progress, above, below, covered=True):
    """Unknown transition, lower <= mu <= upper: the bonus with u = max(upper, threshold), mu / u -> 1 in the stability, and the bias
    R (u - lower) / u is at least that of the true mu at the same u.  Control: upper in the place of lower.
    """
    learner, pi = BestOfBothWorlds(transition="unknown"), inner(pi, 1e-12)
    R, mu = to_go(mdp.horizon), state_occupancy(mdp, pi)
    upper, lower = mu + above * (1 - mu), mu * below
    rules, N, threshold, before = _start(learner, mdp.shape, 10, progress)
    u = np.maximum(upper, threshold)
    beta = _inverse_rates(rules, _grown(rules, N, u, np.ones(u.shape)))
    b, _, _ = compiled(learner, mdp.shape, 10, pi, upper, u, beta, beta - before, lower=lower if covered else upper)
    return tsallis_bonus(R, pi, mu, u, beta, before), b, 1.0
