"""Unknown transition, stochastic world: polylogarithmic regret of the clipped-occupancy variant (bobw spec 4.9).

The bias bonus R (u - mu_lo) / u sums to order sqrt(T) even on the optimal path, which is why the certificate against every policy is of
that order. Against pi* less is charged: by telescoping the bonus costs the difference between what pi_t and pi* collect, and along the
optimal path both collect the same. What is left is paid where pi_t leaves the path, and pi_t leaves it seldom.

Notation: on = the pairs (h, s) with mu*[h, s] > 0, m the least of these mu*; W_t = sum mu_t (1 - pi_t(a* | s)) over all (h, s), the
expected number of departures from pi*; an episode is good if W_t <= m / 4. radius = half width of the boxes of the confidence set,
c[h,s,a] = min(1, sum_s' radius), leak[h,s] = min(1, sum of radius[h,s,a*] over the s' off the path), width = u - mu_lo, and
ps = penalty + stability. X_t = sum mu* [ps + stab(-B) + (1 - mu/u) <pi - pi*, Q> + <pi - pi*, B>] is what an episode costs against pi*:
E Reg(pi*) <= I0 + E sum X_t. In every episode X_t <= e sum u b (``dapo.optimistic-telescoping``). In a good one X_t is at most

    (4/3) sum_on mu ps + (8e/3) H sum_off (u ps + R width) + (8e/3) W_t sum_on ps + (16/9) (1 + 2e) (W_t / m) sum_on R width

There are at most 4 W / m bad episodes, W = sum W_t. Widths are at most 2 sum q c plus the clip; off the path at most
2 [sum over departures and off-path pairs of q c + sum_on q* (leak + 2 c (4 W_t / (3 m) + sum leak))] plus the clip. With counts
n >= Q/2 - log, Q = sum of q so far, c <= min(1, 17 sqrt(S iota / Q)) and leak <= min(1, 80 S iota / Q), iota = ln(T H S A / delta). So each
sum is at most log(T)^2 plus sqrt(log(T) W): E Reg <= a0 + a1 sqrt(E W), and W <= (Reg + C) / Delta_min.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import HighProbability, claim, inequality, theorem
from proofs_check.calculus import evaluate, occupancy, state_occupancy
from proofs_check.claims.adversarial.bobw_bonus import compiled
from proofs_check.claims.adversarial.bobw_shannon_rate import C0, EPS, first_N
from proofs_check.strategies import STYLES, Box, Simplex, draw, finite_horizon_mdps, rows, scales, simplex_points
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.algorithms.adversarial.best_of_both_worlds_rates import clip_threshold
from tabular_rl.kernels.episodic.confidence import bernstein_confidence, occupancy_bounds, optimistic_dilated_bonus

SOURCE = "bobw spec 4.9"
LEARNER = BestOfBothWorlds(transition="unknown")


def path_and_policy(mdp, style, near, seed):
    """[2, H, S, A]: a deterministic policy, and one whose expected number of departures from it is at most ``near`` times m / 4."""
    rng = np.random.default_rng(seed)
    path, other = rows(rng, mdp.shape, "deterministic"), rows(rng, mdp.shape, style)
    mu = state_occupancy(mdp, path)
    allowed, mix = near * mu[mu > 0].min() / 4, 1.0
    while departures(mdp, path, path + mix * (other - path)) > allowed:
        mix /= 1.5
    return np.stack([path, path + mix * (other - path)])


def confidence_set(mdp, width, seed):
    """[2, H, S, A, S]: an estimate with no mass where the transition has none, and radii that cover the error, with something to spare."""
    rng = np.random.default_rng(seed)
    weighted = mdp.transition * (1 + width * rng.standard_gamma(0.5, mdp.transition.shape))
    estimate = weighted / weighted.sum(axis=-1, keepdims=True)
    spare = width * rng.random(estimate.shape) ** 4
    return np.stack([estimate, np.minimum(np.abs(mdp.transition - estimate) + spare, 1)])


def visited(mdp, grown, seed):
    """N / N0 of the learning rates [H, S], from 1 to ``grown``."""
    return grown ** np.random.default_rng(seed).random(mdp.shape[:2])


_policies = draw(path_and_policy, st.sampled_from(STYLES), st.sampled_from([1.0, 0.1, 1e-3]), space=Simplex(), fit=True)
_sets = draw(confidence_set, st.sampled_from([1.0, 0.1, 1e-2, 1e-4]), fit=True)
_rates = draw(visited, st.sampled_from([1.0, 1e3, 1e9]), fit=True)
_models = finite_horizon_mdps(min_horizon=2)


def departures(mdp, path, pi):
    """W: the expected number of steps at which ``pi`` leaves ``path``."""
    return np.sum(occupancy(mdp, pi) * (1 - path))


class Episode(NamedTuple):
    """One episode of the algorithm at a given policy, confidence set and rates: [H, S] or [H, S, A], ``m`` and ``W`` numbers."""

    R: Any
    mu: Any
    q: Any
    on: Any
    m: Any
    W: Any
    u: Any
    upper: Any
    lower: Any
    beta: Any
    b: Any
    ps: Any
    B: Any
    c: Any
    leak: Any


def episode(mdp, policies, confidence, grown):
    """The Episode: occupancy bounds, clip, local and dilated optimistic bonus are the algorithm's own (Tsallis, theory's constants)."""
    (path, pi), (estimate, radius), H = policies, confidence, mdp.horizon
    mu_path, q = state_occupancy(mdp, path), occupancy(mdp, pi)
    mu, on, R = q.sum(axis=-1), mu_path > 0, (H - np.arange(H))[:, None] * np.ones((1, mdp.n_states))
    upper, lower = np.empty(mu.shape), np.empty(mu.shape)
    estimate, radius, pi = (np.ascontiguousarray(array) for array in (estimate, radius, pi))
    occupancy_bounds(estimate, radius, pi, mdp.initial, upper, lower)
    rules, _ = LEARNER.rules(mdp.shape, 10)
    N = rules.N0 * grown
    u = np.maximum(upper, np.vectorize(lambda each: clip_threshold(rules, 1, each))(N))
    beta = R * np.sqrt(N + 1 / u) / C0
    b, _, _ = compiled(LEARNER, mdp.shape, 10, pi, upper, u, beta, beta - R * np.sqrt(N) / C0, lower=lower)
    ps = b - R * (u - lower) / u
    B, values = np.empty(mdp.shape), np.empty((H + 1, mdp.n_states))
    optimistic_dilated_bonus(estimate, radius, pi, b, 1 + 1 / H, B, values)
    off_next = np.concatenate([~on[1:], np.zeros((1, mdp.n_states), bool)])  # the last layer leads nowhere
    leak = np.minimum(1, np.einsum("hsa,hsat,ht->hs", path, radius, off_next))
    c = np.minimum(1, radius.sum(axis=-1))
    return Episode(R, mu, q, on, mu_path[on].min(), departures(mdp, path, pi), u, upper, lower, beta, b, ps, B, c, leak)


# --- one good episode


def bonus_cost(policies, e, H):
    """[H, S]: stab(pi, -(B - B(a*)), beta / 2) + <pi - pi*, B>."""
    path, pi = policies
    excess = e.B - np.sum(path * e.B, axis=-1, keepdims=True)
    w = -np.sqrt(pi) * excess / (e.beta / 2)[..., None]
    stability = np.sum(pi**1.5 * excess**2 / ((e.beta / 2)[..., None] * (1 + w)), axis=-1)
    return stability + np.sum(pi * excess, axis=-1)


def bonus_allowed(e, H, on_path=1.0):
    """(8e/3) [sum_off H (u ps + R width) + W sum_on (ps + 4 R width / (3 m))]."""
    width = e.u - e.lower
    off = np.sum(np.where(e.on, 0, H * (e.u * e.ps + e.R * width)))
    return 8 * math.e / 3 * (off + on_path * e.W * np.sum(np.where(e.on, e.ps + 4 / (3 * e.m) * e.R * width, 0)))


@claim("bobw-unknown.bonus-difference", kind=inequality, source=SOURCE, provenance="derived",
       given=(_models, _policies, _sets, _rates), control={"on_path": 0})  # fmt: skip
def bonus_difference(mdp, policies, confidence, grown, on_path=1.0):
    """Good episode: sum_on mu* (stab(-B) + <pi - pi*, B>) <= (8e/3) [sum_off H (u ps + R width) + W sum_on (ps + 4 R width / (3 m))].

    Control: without what is paid on the path.

    Proof: mu >= mu* - W >= 3 mu*/4 on the path, so 1 - pi(a*) <= W / mu <= 1/3. Shifted by B(a*), stab is at most (1/H) sum_{a != a*} pi_a
    |B_a - B_a*| by (C_B), and |B_a - B_a*| is at most what either collects below (h, s), dilated. Departures at (h, s) that follow the
    optimistic kernel from there arrive at y with probability at most u(y), the kernels being spliced within the set, and at most W_h; with
    (1 - pi(a*)) <= pi(a*) / 2 the same holds for what a* collects. Sum over h; b <= ps + R width / u, and u >= 3 m / 4 on the path.
    """
    e, H = episode(mdp, policies, confidence, grown), mdp.horizon
    mu_path = state_occupancy(mdp, policies[0])
    return np.sum(mu_path * bonus_cost(policies, e, H)), bonus_allowed(e, H, on_path), H


@claim("bobw-unknown.good-episode", kind=inequality, source=SOURCE, provenance="derived",
       given=(_models, _policies, _sets, _rates), control={"on_path": 0})  # fmt: skip
def good_episode(mdp, policies, confidence, grown, on_path=1.0):
    """Good episode: X <= (4/3) sum_on mu ps + (8e/3) [H sum_off (u ps + R width) + W sum_on ps] + (16/9) (1 + 2e) (W / m) sum_on R width.

    Control: without the last two terms.

    Proof: ``bobw-unknown.bonus-difference``, mu* <= 4 mu / 3, and <pi - pi*, Q> <= R (1 - pi(a*)) for the bias (1 - mu/u) <= width / u.
    """
    e, H = episode(mdp, policies, confidence, grown), mdp.horizon
    path, pi = policies
    mu_path = state_occupancy(mdp, path)
    bias = (1 - e.mu / e.u) * np.sum((pi - path) * evaluate(mdp, pi).q_values, axis=-1)
    cost = np.sum(mu_path * (e.ps + bias + bonus_cost(policies, e, H)))
    bias_allowed = 16 / 9 * on_path * e.W / e.m * np.sum(np.where(e.on, e.R * (e.u - e.lower), 0))
    return cost, 4 / 3 * np.sum(np.where(e.on, e.mu * e.ps, 0)) + bias_allowed + bonus_allowed(e, H, on_path), H


# --- widths


def _before(array):
    """Sums over the layers before h: [H, 1] of [H, S] or [H, S, A]."""
    per_layer = array.reshape(len(array), -1).sum(axis=1)
    return (np.cumsum(per_layer) - per_layer)[:, None]


@claim("bobw-unknown.width", kind=inequality, source=SOURCE, provenance="derived",
       given=(_models, _policies, _sets, _rates), control={"factor": 1 / 4})  # fmt: skip
def occupancy_width(mdp, policies, confidence, grown, factor=2.0):
    """mu_up - mu_lo <= 2 sum over the layers before of q c.  Control: an eighth of it.

    Proof: with nu the chance of arriving from the next state, mu' - mu = sum q <P' - P, nu>, and |<P' - P, nu>| <= c as nu is in [0, 1].
    """
    e = episode(mdp, policies, confidence, grown)
    return e.upper - e.lower, np.minimum(1, factor * _before(e.q * e.c)), 1.0


@claim("bobw-unknown.width-off-path", kind=inequality, source=SOURCE, provenance="derived",
       given=(_models, _policies, _sets, _rates), control={"leaks": 0})  # fmt: skip
def off_path_width(mdp, policies, confidence, grown, leaks=1):
    """Off the path mu_up - mu_lo <= 2 [sum q c over departures and off-path pairs + sum_on q* (leak + 2 c (D + sum_on leak))].

    The sums run over the layers before, q* = q(s, a*) on the path, D = sum_on (1 - pi(a*)).  Control: without the leaks.

    Proof: as in ``bobw-unknown.width``, but from the path under a* the true rows have no mass off it, and whoever is on the path arrives
    off it by a departure or a leak only.
    """
    e, path = episode(mdp, policies, confidence, grown), policies[0]
    stays = path * e.on[..., None]
    D = np.sum((1 - policies[1]) * stays)
    straying = D + leaks * np.sum(np.where(e.on, e.leak, 0))
    along = stays * e.q * (leaks * e.leak[..., None] + 2 * e.c * straying)
    allowed = 2 * _before((1 - stays) * e.q * e.c + along)
    return np.where(e.on, 0, e.upper - e.lower), np.where(e.on, 0, allowed), 1.0


# --- counts and sums


@claim("bobw-unknown.counts", kind=HighProbability(failure=0.05), source="Ville 1939; bobw spec 4.9", provenance="classical",
       given={"steady": lambda: (0,), "declining": lambda: (0.5,), "following the past": lambda: (-1,)}, control={"share": 1})  # fmt: skip
def counts(decline, rng, share=1 / 2):
    """With probability 1 - delta, at all times: n_t >= Q_t / 2 - ln(1 / delta), n_t visits and Q_t the sum of their probabilities so far.

    Here delta = 0.05 and 2000 episodes. Control: n_t >= Q_t - ln(1 / delta).

    Proof: E exp(q/2 - visit) <= 1 as e^(-1) <= 1/2, so exp(Q_t / 2 - n_t) is a supermartingale.
    """
    n = Q = worst = 0.0
    for t in range(1, 2001):
        q = t**-decline if decline >= 0 else 1 / (1 + n % 10)
        Q += q
        n += rng.random() < q
        worst = max(worst, share * Q - n)
    return worst <= math.log(1 / 0.05)


@claim("bobw-unknown.radius", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(8), scales(-3, 9), st.floats(0, 1), scales(0, 2)), control={"constant": 3})  # fmt: skip
def radius_by_visits(row, Q, within, iota, constant=17):
    """c <= min(1, 17 sqrt(S iota / Q)) and leak <= min(1, 80 S iota / Q) when n >= Q / 2 - iota.

    The set is that of the last epoch, which began with more than n / 2 visits. Control: 3 in place of 17.

    Proof: max(n_epoch - 1, 1) >= n / 4, so c <= 4 sqrt(S iota / n) + 18.7 S iota / n, at most 8.4 sqrt(S iota / n) where it is below 1;
    and n >= Q / 4 unless Q < 4 iota, where the right side is above 1.
    """
    S, n = len(row), max(math.ceil(Q / 2 - iota), 0)
    epoch = max(n // 2 + 1, math.floor(within * n)) if n else 0
    estimate, radius = np.empty((2, 1, S, 1, S))
    seen = np.where(row >= 0.01, row, 0)  # some states were never arrived at
    counted = np.tile(epoch * seen / seen.sum(), (S, 1)).reshape(radius.shape)  # S copies of the row
    bernstein_confidence(np.full((1, S, 1), float(epoch)), counted, iota, estimate, radius)
    widths = radius[0, 0, 0]
    leak = np.sum(widths[(seen == 0) | (epoch == 0)])
    allowed = [min(1, constant * math.sqrt(S * iota / Q)), min(1, 80 * S * iota / Q)]
    return np.minimum(1, [widths.sum(), leak]), np.array(allowed), 1.0


def shares(rounds, style, seed):
    """Numbers in [0, 1]."""
    rng = np.random.default_rng(seed)
    early = np.arange(rounds) < rng.integers(rounds + 1)
    return {"any": rng.random(rounds), "all": np.ones(rounds), "early": early.astype(float), "rare": 10 ** -rng.uniform(0, 6, rounds)}[
        style
    ]


_shares = draw(shares, st.integers(1, 2000), st.sampled_from(["all", "early", "any", "rare"]), space=Box(0.0, 1.0))


@claim("bobw-unknown.sums", kind=inequality, source=SOURCE, provenance="derived",
       given=(_shares, scales(0, 2), scales(-3, 0)), control={"factor": 1 / 2})  # fmt: skip
def sums(share, kappa, m, factor=1):
    """Of any q in [0, 1], Q its sum so far, T its length, and any W_j in [0, m / 4] of sum W:

    sum q min(1, kappa / sqrt(Q)) <= 2 + 2 sqrt(2) kappa sqrt(Q_T);   sum q min(1, kappa / Q) <= 2 + 2 kappa ln(1 + T);
    sum W_j min(1, kappa sqrt(2 / (m j))) <= m / 4 + kappa sqrt(2 W).   Control: half of each.

    Proof: Q_t >= Q_{t+1} / 2 once Q_t >= 1, then integrals; in the third the largest W_j come first.
    """
    Q, W, j = np.cumsum(share) - share, m / 4 * share, np.arange(len(share))
    Q, j = np.maximum(Q, 1e-300), np.maximum(j, 1e-300)
    lhs = [share @ np.minimum(1, kappa / np.sqrt(Q)), share @ np.minimum(1, kappa / Q), W @ np.minimum(1, kappa * np.sqrt(2 / (m * j)))]
    first, second = 2 + 2 * math.sqrt(2) * kappa * math.sqrt(share.sum()), 2 + 2 * kappa * math.log1p(len(share))
    return np.array(lhs), factor * np.array([first, second, m / 4 + kappa * math.sqrt(2 * W.sum())])


# --- altogether


def cost_of_departures(W, H, S, A, m, T, iota):
    """I0 + the bound on sum X_t when the departures sum to W: the module's text, term by term."""
    N0 = first_N(H, A)
    d, log = EPS / math.sqrt(N0), 2 * math.log1p(EPS * T / (2 * math.sqrt(N0)))
    n, kappa, leaks = H * S, 17 * math.sqrt(S * iota), 80 * S * iota
    scale = math.sqrt(2) * (math.sqrt(1 + d) + 4)  # ps <= R scale h1 / (u sqrt N)
    clip, tsallis = (1 + d) * log / EPS**2, math.sqrt(A) - 1
    seldom = 2 * n * A + 2 * math.sqrt(2) * kappa * math.sqrt(n * A * (H + 1) * W)  # sum q c over departures and off-path pairs
    root = m / 4 + kappa * math.sqrt(2 * W)
    leaking = n * (2 + 2 * leaks * math.log1p(T)) + 2 * n * n * (1 + 2 * leaks / m * (1 + math.log(T)))
    off = clip + 2 * (seldom + leaking + 2 * n * 4 / (3 * m) * root)
    on = m / 4 * clip + 2 * (n * root + m / 4 * seldom)
    good = 4 / 3 * H * scale * math.sqrt((A - 1) * log * n * W)
    good += 8 * math.e / 3 * H * (H * scale * tsallis * math.sqrt(n * log * (H * W + n * off)) + H * n * off)
    good += 8 * math.e / 3 * n * H * scale * tsallis * 4 / (3 * m) * math.sqrt(m * W)
    good += 16 / 9 * (1 + 2 * math.e) / m * H * n * on
    bad = n * H * scale * tsallis * math.sqrt(log * 4 * W / m)
    bad += H * n * (clip + 2 * (2 * n * A + 2 * math.sqrt(2) * kappa * math.sqrt(n * A * H * 4 * W / m)))
    return math.sqrt(2) * H * (H + 1) * math.sqrt(N0) * tsallis + good + math.e * bad


def regret_bound(H, S, A, m, gap, T, corruption=0.0):
    """The largest x with x <= 2 + cost_of_departures((x + corruption) / gap), delta = 1 / (8 H T): bounds E Reg_T(pi*)."""
    iota = math.log(8 * H * T * T * H * S * A)
    x = 1.0
    for _ in range(60):  # the right side grows like the root of x: the iteration contracts from any start
        x = 2 + cost_of_departures((x + corruption) / gap, H, S, A, m, T, iota)
    return x


@claim("bobw-unknown.polylogarithmic", kind=inequality, source=SOURCE, provenance="derived",
       given=(st.integers(1, 6), st.integers(1, 20), st.integers(2, 10), scales(-3, 0), scales(-2, 0), scales(2, 30)),
       control={"degree": 1 / 2})  # fmt: skip
def polylogarithmic(H, S, A, m, gap, T, degree=2):
    """The bound at T^2 episodes is at most 2^2 times that at T: it grows no faster than log(T)^2.  Control: sqrt(2) times.

    It is a bound on the rate only: its constants exceed the trivial H T at every T that can be run.
    """
    return regret_bound(H, S, A, m, gap, T * T), 2**degree * regret_bound(H, S, A, m, gap, T)


theorem(
    "bobw-unknown",
    statement=r"Unknown transition, clipped-occupancy variant, Tsallis regularizer, theory constants, $\delta = 1/(8HT)$. Let the world be "
    r"stochastic with corruption $C$, $\pi^*$ unique with gaps at least $\Delta_{\min}$, and $m$ the smallest positive "
    r"probability with which $\pi^*$ visits a state at a step. With $F(W)$ the sum in `cost_of_departures`, $\mathbb{E}[R_T(\pi^*)]$ is at "
    r"most the largest $x$ with $x \le 2 + F((x + C) / \Delta_{\min})$, which is $O(\mathrm{poly}(H, S, A, 1/m)\, "
    r"(\log^2 T + \log T / \Delta_{\min} + \sqrt{C \log T / \Delta_{\min}}))$. The same run has its bound of order $\sqrt{T}$ against "
    r"every adversary.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "dapo.optimistic-telescoping", "dapo.occupancy-bounds", "bobw-unknown.width", "bobw-unknown.width-off-path",
        "bobw-unknown.bonus-difference", "bobw-unknown.good-episode", "bobw-unknown.counts", "bobw-unknown.radius", "bobw-unknown.sums",
        "bobw-unknown.assembly", "bobw-unknown.polylogarithmic",
    ),
    uses={
        "bobw-unknown.good-episode": ("bobw-unknown.bonus-difference",),
        "bobw-unknown.bonus-difference": ("dapo.occupancy-bounds",),
        "bobw-unknown.width-off-path": ("bobw-unknown.width",),
        "bobw-unknown.radius": ("bobw-unknown.counts",),
        "bobw-unknown.assembly": (
            "dapo.optimistic-telescoping", "bobw-unknown.good-episode", "bobw-unknown.width-off-path", "bobw-unknown.radius",
            "bobw-unknown.sums",
        ),
        "bobw-unknown.polylogarithmic": ("bobw-unknown.assembly",),
    },
)  # fmt: skip
