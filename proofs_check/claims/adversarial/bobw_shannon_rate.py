"""A Shannon rate without a measured ratio: the learning rate follows the entropy of the policy that is played (bobw spec 4.8).

The rates of its section 3.3 set that of episode t by the entropy of policy t - 1 and measure how much larger that of policy t can be.
Here the order is that of the log-barrier: the rate of an episode is known before it, the episode's own entropy moves the next one, and no
move is large.

    hhat_t = max(Ent(pi_t) / ln A, 1 / t),   cap_t = N_{t-1} / (8 ln(e A (t + 1)))
    N_t = N_{t-1} + max(min(1 / (u_t hhat_t), cap_t), 1 / u_t),   beta_t = R sqrt(A N_{t-1}) / c0
    b_t = (beta_{t+1} - beta_t) (5/2) ln A hhat_t + R^2 mu_t A / (u_t^2 beta_t) + R (1 - mu_t / u_t)

at one (h, s), R = H - h, with the constants c0 = 1/sqrt(2), eps = sqrt(2)/4, N0 of theory. Then, whatever was drawn,
Ent(pi_{t+1}) <= (5/2) ln A hhat_t, so b_t pays for the penalty, and the chain of the certificate goes through with nothing left to measure.

N, the thresholds and b of the claims are the algorithm's own.
"""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality, theorem
from proofs_check.calculus import state_occupancy
from proofs_check.claims.adversarial.bobw_bonus import compiled
from proofs_check.strategies import Box, draw, finite_horizon_mdps, policies, scales, simplex_points, vectors
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.algorithms.adversarial.best_of_both_worlds_rates import clip_threshold, increment_after
from tabular_rl.planning import dilated_bonus

SOURCE = "bobw spec 4.8"
RATIO = 5 / 2
EPS, C0 = math.sqrt(2) / 4, 1 / math.sqrt(2)
LEARNER = BestOfBothWorlds("shannon", entropy="current")


def entropy(x):
    """Ent(x), 0 ln 0 = 0."""
    return -np.sum(x * np.log(np.where(x > 0, x, 1)), axis=-1)


def spread(x, vertex):
    """sum over a != vertex of x_a ln(e / x_a)."""
    others = np.delete(x, vertex)
    return np.sum(others * (1 - np.log(np.where(others > 0, others, 1))))


def log_term(A, t):
    """ln(e A (t + 1))."""
    return np.log(math.e * A * (np.asarray(t, float) + 1))


def first_N(H, A):
    """N0 of the theory: sqrt(N0) = sqrt(2) e H (H + 1) (1 + sqrt A)."""
    return (math.sqrt(2) * math.e * H * (H + 1) * (1 + math.sqrt(A))) ** 2


# --- how fast an entropy can grow


@claim("bobw-shannon.vertex", kind=inequality, source=SOURCE, provenance="derived", given=(simplex_points(),), control={"constant": 1.1})
def entropy_and_spread(x, constant=1.3):
    """Ent(x) <= sum_{a != m} x_a ln(e / x_a) for every m, and that is at most 1.3 Ent(x) for the most probable m.  Control: 1.1.

    Proof: -x_m ln x_m <= 1 - x_m gives the first. For the second, Ent(x) >= -ln x_m, and 1 - q + q ln q <= -0.3 ln q on (0, 1]: the ratio
    (1 - q + q ln q) / (-ln q) has its maximum 0.2985 at q = 0.17.
    """
    bounds = [spread(x, m) for m in range(len(x))]
    return np.array([entropy(x)] * len(x) + [bounds[np.argmax(x)]]), np.array([*bounds, constant * entropy(x)])


@claim("bobw-shannon.growth", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(8), scales(0, 7), st.floats(0, 1), st.floats(0, 1), vectors(0.0, 1 / 8), st.floats(0, 1)),
       control={"power": 1 / 2})  # fmt: skip
def entropy_growth(x, time, drawn, loss, bonus, moved, power=None):
    """Ent(y) <= (5/2) max(Ent(x), ln A / t) for y ~ x^alpha exp(bonus - estimate), one episode later.

    alpha = beta_t / beta_{t+1} >= (1 + 1/(8 ln(e A (t + 1))))^(-1/2); estimate = w at the drawn action, w <= 1 / (4 sqrt(A) x_drawn);
    bonus in [0, 1/8] (for H = 1 it is 0: a bonus that is constant over the actions does nothing).  Control: beta four times as large.

    Proof: the normalizer is at least 1 - x_d (1 - e^-w) >= 1 - 1/(4 sqrt A), so y_a <= g x_a^alpha, g = e^(1/8) / (1 - 1/(4 sqrt 2)) <=
    1.3765. With tau = (e A (t + 1))^-2: x_a >= tau has x_a^alpha <= e^(1/8) x_a. As p ln(e / p) increases and G p ln(e / p) >=
    (G p) ln(e / (G p)) for G >= 1, these a give at most 1.3 g e^(1/8) Ent(x) by ``bobw-shannon.vertex``, the others at most
    (A - 1) g e^(1/8) tau ln(e / tau) <= 0.141 g e^(1/8) ln A / t. Altogether 1.441 x 1.3765 x 1.1332 = 2.248.
    """
    A, t = len(x), int(time)
    x = np.maximum(x, 1e-300)
    d = min(int(drawn * A), A - 1)
    alpha = power if power else (1 + moved / (8 * log_term(A, t))) ** -0.5
    weights = alpha * np.log(x) + bonus
    weights[d] -= loss / (4 * math.sqrt(A) * x[d])
    y = np.exp(weights - weights.max())
    return entropy(y / y.sum()), RATIO * max(entropy(x), math.log(A) / t)


@claim("bobw-shannon.cap", kind=inequality, source=SOURCE, provenance="derived",
       given=(st.integers(1, 30), st.integers(2, 300), scales(0, 9)), control={"cap": 30})  # fmt: skip
def cap_above_clip(H, A, time, cap=8):
    """8 ln(e A (t + 1))^2 <= N0 + t - 1 <= N_{t-1}: then 1 / u_t <= eps sqrt(N_{t-1}) <= cap_t, and a clipped episode is never capped.

    Control: the cap N / (30 ln(e A (t + 1))).
    """
    t = np.floor(time * np.linspace(1, 10, 200))
    return (EPS * cap * log_term(A, t)) ** 2, first_N(H, A) + t - 1


# --- what the rate sums to


def masses(rounds, style, seed):
    """[2, T]: occupancies mu_t and normalized entropies of T episodes."""
    rng = np.random.default_rng(seed)
    mu = {"visited": np.ones(rounds), "rare": np.full(rounds, 1e-3), "any": rng.random(rounds) ** 4}[style]
    return np.stack([mu, np.where(rng.random(rounds) < rng.random(), rng.random(rounds) ** 8, 0)])


_masses = draw(masses, st.integers(1, 600), st.sampled_from(["visited", "any", "rare"]), space=Box(0.0, 1.0))


def rate_sequence(sequence, H, A):
    """(N [T + 1], u [T], hhat [T], capped [T], ln(e A (T + 1))) of the recursion in the module's text."""
    mu, normalized = sequence
    rules, _ = LEARNER.rules((H, 1, A), len(mu))
    N, u, hhat, capped = [rules.N0], [], [], []
    for t, (m, h) in enumerate(zip(mu, normalized, strict=True), start=1):
        u.append(max(m, clip_threshold(rules, H, N[-1])))
        hhat.append(max(h, 1 / t))
        capped.append(1 / (u[-1] * hhat[-1]) > N[-1] / (8 * log_term(A, t)))
        N.append(N[-1] + increment_after(rules, t, H, N[-1], u[-1], hhat[-1], False, 0.0))
    return np.array(N), np.array(u), np.array(hhat), np.array(capped), log_term(A, len(mu))


@claim("bobw-shannon.capped", kind=inequality, source=SOURCE, provenance="derived",
       given=(_masses, st.integers(1, 4), st.integers(2, 9)), control={"constant": 4})  # fmt: skip
def capped_episodes(sequence, H, A, constant=17.5):
    """sum over capped t of 1 / sqrt(N_{t-1}) <= 17.5 ln(e A (T + 1)) / sqrt(N0): a logarithm, not its square.  Control: the constant 4.

    Proof: each multiplies N by at least 1 + z, z = 1 / (8 ln(e A (T + 1))) <= 0.053, so the sum is geometric: at most
    1 / (sqrt(N0) (1 - (1 + z)^(-1/2))) <= (2 / z) (1 + z)^(3/2) / sqrt(N0).
    """
    N, _, _, capped, log = rate_sequence(sequence, H, A)
    return np.sum(capped / np.sqrt(N[:-1])), constant * log / math.sqrt(N[0])


@claim("bobw-shannon.sum", kind=inequality, source=SOURCE, provenance="derived",
       given=(_masses, st.integers(1, 4), st.integers(2, 9)), control={"constant": 1 / 2, "capped": 0})  # fmt: skip
def rate_sum(sequence, H, A, constant=1.03, capped=17.5):
    """sum mu_t / (u_t sqrt(N_{t-1})) <= sqrt(1.03 ln(N_T / N0) sum mu_t hhat_t) + 17.5 ln(e A (T + 1)) / sqrt(N0).

    Control: half of the logarithm, and no term for the capped episodes.

    Proof: where nothing is capped, Cauchy-Schwarz with mu / u^2 / (hhat N_{t-1}) <= (N_t - N_{t-1}) / N_{t-1} <= 1.03 ln(N_t / N_{t-1});
    elsewhere mu <= u and ``bobw-shannon.capped``.
    """
    N, u, hhat, _, log = rate_sequence(sequence, H, A)
    mu = sequence[0]
    allowed = math.sqrt(constant * math.log(N[-1] / N[0]) * np.sum(mu * hhat)) + capped * log / math.sqrt(N[0])
    return np.sum(mu / (u * np.sqrt(N[:-1]))), allowed


@claim("bobw-shannon.mass", kind=inequality, source=SOURCE, provenance="derived",
       given=(simplex_points(12), vectors(), st.integers(2, 9)), control={"spare": 0})  # fmt: skip
def entropy_mass(gaps, mu, A, spare=1):
    """sum mu_t p_t ln(e A / p_t) <= (W + 1) ln(e A T) with W = sum mu_t p_t: entropies cost what leaving the best action does, up to a log.

    Control: without the 1.  Proof: p ln(e A / p) is concave, so by Jensen the sum is at most W ln(e A T / W).
    """
    p = np.maximum(gaps, 1e-300)
    W = np.sum(mu * p)
    return np.sum(mu * p * np.log(math.e * A / p)), (W + spare) * math.log(math.e * A * len(p))


# --- the bonus keeps the policies of the states above stable


def bonus_arrays(mdp, style, seed):
    """[H, S]: how far N has grown beyond N0 (from 1 on)."""
    return np.ones(mdp.shape[:2]) if style == "start" else 10.0 ** np.random.default_rng(seed).uniform(0, 6, mdp.shape[:2])


_arrays = draw(bonus_arrays, st.sampled_from(["start", "grown"]), fit=True)


@claim("bobw-shannon.bonus", kind=inequality, source=SOURCE, provenance="derived",
       given=(finite_horizon_mdps(), policies(), _arrays, scales(0, 6)), control={"first": 1e-4})  # fmt: skip
def bonus_condition(mdp, pi, arrays, time, first=1.0):
    """b_t <= R (1 + sqrt(A) (1 + (5/2) ln A) / 4), and the dilated bonus has B / beta <= 1 / (4 H): (C_B) holds by the constants alone.

    Control: N0 ten thousand times smaller.

    Proof: beta_{t+1} - beta_t <= R sqrt(A) / (2 c0 u hhat sqrt(N_{t-1})) and 1/u <= eps sqrt(N_{t-1}), so penalty and stability are at most
    R sqrt(A) (5/2) ln A / 4 and R sqrt(A) / 4. Summing over the layers below h with dilation e leaves
    1/sqrt(A) + (1 + (5/2) ln A) / 4 <= 1 + sqrt(A), which holds from A = 2 on.
    """
    H, S, A = mdp.shape
    if A == 1:
        return 0.0, 0.0
    R, mu, rules = (H - np.arange(H))[:, None] * np.ones((1, S)), state_occupancy(mdp, pi), LEARNER.rules(mdp.shape, int(time))[0]
    N = first * rules.N0 * arrays
    u = np.maximum(mu, np.vectorize(lambda each: clip_threshold(rules, 1, each))(N))
    beta = R * np.sqrt(A * N) / C0
    b, _, _ = compiled(LEARNER, mdp.shape, int(time), pi, mu, u, beta, 0, N=N, t=int(time))
    B = dilated_bonus(mdp, pi, b) / beta[..., None]
    largest = R * (1 + math.sqrt(A) * (1 + RATIO * math.log(A)) / 4)
    return np.append(b, B), np.append(largest, np.full(B.shape, 1 / (4 * H))), H


theorem(
    "bobw-shannon-rate",
    statement=r"Known transition, Shannon regularizer, rates and bonuses as in this file. With $\Lambda = \max_{h,s} \ln(N_T / N_0) "
    r"\le 4 \ln(1 + T)$, $\ell = \ln(e A T) / \ln A$, $\rho = 1 + \tfrac{5}{2} \ln A$ and "
    r"$J = e \sum_{h,s} R_h \{ \sqrt{A/2}\, \rho\, [ \sqrt{1.03 \Lambda (\ell + \ln(e T))} + 17.5 \ln(e A (T + 1)) / \sqrt{N_0} ] "
    r"+ (1 + d) \Lambda / (4 \epsilon^2) \} + I_0$: every adversary has $\mathbb{E}[R_T(p)] \le e \sqrt{A/2}\, \rho \sum_h R_h "
    r"\sqrt{1.03 \Lambda S_h T} + J$, and in the stochastic world with corruption $C$ "
    r"$\mathbb{E}[R_T(\pi^*)] \le k^2 + J + k (\sqrt{J} + \sqrt{C})$ with $k^2 = 0.515\, e^2 A \rho^2 \Lambda \ell "
    r"\sum_{h,s} R_h^2 / \Delta_{\min}(h, s) = O(\log^2 T)$.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "bobw-shannon.vertex", "bobw-shannon.growth", "bobw-shannon.cap", "bobw-shannon.capped", "bobw-shannon.sum",
        "bobw-shannon.mass", "bobw-shannon.bonus",
    ),
    uses={
        "bobw-shannon.growth": ("bobw-shannon.vertex", "bobw-shannon.cap"),
        "bobw-shannon.sum": ("bobw-shannon.capped", "bobw-shannon.cap"),
    },
)  # fmt: skip
