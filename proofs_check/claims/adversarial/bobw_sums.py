"""What clipped occupancies add up to over the episodes, and a regret that bounds itself (bobw spec, L10 and L11).

In one state of remaining horizon R, with any mu_t in [0, 1] and eps sqrt(N_0) >= 1:

    thr_t = min(1, 1 / (eps sqrt(N_{t-1})))     u_t = max(mu_t, thr_t)     N_t = N_{t-1} + 1 / u_t
    d = eps / sqrt(N_0)                         Lam = log(N_T / N_0)

thr and what N grows by are the algorithm's own.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality
from proofs_check.claims.adversarial.bobw_entropy import SOURCE
from proofs_check.strategies import draw, scales
from tabular_rl.algorithms import BestOfBothWorlds
from tabular_rl.algorithms.adversarial.best_of_both_worlds_rates import clip_threshold, increment_before

KINDS = ("constant", "vanishing", "random", "bursts", "half_threshold", "near_threshold")


def occupancies(rounds, kind, seed):
    """(mu [T] in [0, 1], whether they are in units of the threshold)."""
    rng, t = np.random.default_rng(seed), np.arange(rounds)
    return {
        "constant": np.full(rounds, 10.0 ** -rng.uniform(0, 3)),
        "vanishing": 2.0**-t,
        "random": rng.random(rounds),
        "bursts": np.where(rng.random(rounds) < 0.3, rng.random(rounds), 0.0),
        "half_threshold": np.full(rounds, 0.5),
        "near_threshold": rng.uniform(0.2, 1.2, rounds),
    }[kind], kind.endswith("threshold")


class Clipped:
    """mu, u [T] and N [T + 1] of one state; ``unit``: N grows by 1 instead of 1 / u; ``clip=False``: u = mu."""

    def __init__(self, visits, eps, excess, unit=False, clip=True):
        mu, relative = visits
        self.eps, self.N = eps, np.empty(len(mu) + 1)
        self.N[0] = excess / eps**2
        self.mu, self.u = mu.copy(), np.empty(len(mu))
        rules, _ = BestOfBothWorlds(preset="practical", eps=eps).rules((1, 1, 2), len(mu))
        for t in range(len(mu)):
            threshold = clip_threshold(rules, 1, self.N[t])
            if relative:
                self.mu[t] = min(1.0, mu[t] * threshold)
            self.u[t] = max(self.mu[t], threshold if clip else 1e-12)
            self.N[t + 1] = self.N[t] + (1 if unit else increment_before(rules, t + 1, self.N[t], self.u[t], 1.0))
        self.d, self.lam = eps / self.N[0] ** 0.5, np.log(self.N[-1] / self.N[0])


visit_sequences = draw(occupancies, st.integers(1, 100), st.sampled_from(KINDS))
clip_scales, excesses = scales(-2, 0.5), scales(0, 3)  # eps, and N_0 eps^2 >= 1
GIVEN = (visit_sequences, clip_scales, excesses)


@claim("bobw.rate-step", kind=inequality, source=f"{SOURCE} L10a", provenance="derived", given=GIVEN, control={"slack": 0})  # fmt: skip
def rate_step(visits, eps, excess, slack=1):
    """2 (sqrt(N_t) - sqrt(N_{t-1})) <= sqrt(1 + d) / (u_t sqrt(N_t)), as N_t <= (1 + d) N_{t-1}.  Control: d = 0."""
    path = Clipped(visits, eps, excess)
    roots = np.sqrt(path.N)
    return 2 * np.diff(roots), np.sqrt(1 + slack * path.d) / (path.u * roots[1:]), roots[-1]


@claim("bobw.inverse-occupancies", kind=inequality, source=f"{SOURCE} L10b", provenance="derived", given=GIVEN,
       control={"unit": True})  # fmt: skip
def inverse_occupancies(visits, eps, excess, unit=False):
    """sum 1 / (u_t N_t) <= Lam.  Control: N grows by 1 per episode instead of 1 / u."""
    path = Clipped(visits, eps, excess, unit)
    return np.sum(1 / (path.u * path.N[1:])), path.lam, 1.0


@claim("bobw.visits", kind=inequality, source=f"{SOURCE} L10c", provenance="derived", given=GIVEN, control={"unit": True})  # fmt: skip
def visits_by_rate(visits, eps, excess, unit=False):
    """sum mu_t / (u_t sqrt(N_t)) <= sqrt(Lam sum mu_t): Cauchy-Schwarz.  Control: N grows by 1 per episode instead of 1 / u."""
    path = Clipped(visits, eps, excess, unit)
    return np.sum(path.mu / (path.u * np.sqrt(path.N[1:]))), np.sqrt(path.lam * np.sum(path.mu)), 1.0


@claim("bobw.clip-bias", kind=inequality, source=f"{SOURCE} L10d", provenance="derived", given=GIVEN,
       control={"share": 1 / 20})  # fmt: skip
def clip_bias(visits, eps, excess, share=1.0):
    """sum mu_t (1 - mu_t / u_t) <= (1 + d) / (4 eps^2) Lam: what the clip hides is logarithmic.  Control: a twentieth of it.

    Proof: x (1 - x / u) <= u / 4, and log(N_t / N_{t-1}) >= (eps / sqrt(N_{t-1})) / (1 + d) in a clipped episode.
    """
    path = Clipped(visits, eps, excess)
    return np.sum(path.mu * (1 - path.mu / path.u)), share * (1 + path.d) / (4 * eps**2) * path.lam, 1.0


@claim("bobw.clip-growth", kind=inequality, source=f"{SOURCE} L10e", provenance="derived", given=GIVEN,
       control={"clip": False})  # fmt: skip
def clip_growth(visits, eps, excess, clip=True):
    """N_T <= (sqrt(N_0) + eps T / 2)^2, so that Lam <= 2 log(1 + eps T / (2 sqrt(N_0))).  Control: no clip, u = mu."""
    path = Clipped(visits, eps, excess, clip=clip)
    return path.N[-1], (np.sqrt(path.N[0]) + eps * len(path.mu) / 2) ** 2


@claim("bobw.self-bounding", kind=inequality, source=f"{SOURCE} L11", provenance="derived",
       given=(scales(-3, 3), scales(-3, 3), scales(-3, 3), st.sampled_from([0.0, 0.1, 1.0])), control={"corruption": 0})  # fmt: skip
def self_bounding(root, k, C, slack, corruption=1):
    """X <= k sqrt(X + C) + J implies X <= J + k (k + sqrt(k^2 + 4 (J + C))) / 2 <= J + k^2 + k sqrt(J) + k sqrt(C), for k, J, C >= 0.

    Instances: X = root^2 - C with the least J >= 0 that allows it, and more. Control: without C on the right.
    """
    X = root**2 - C
    J = max(X - k * root, 0.0) * (1 + slack)
    C *= corruption
    middle = J + k * (k + np.sqrt(k**2 + 4 * (J + C))) / 2
    return [X, middle], [middle, J + k**2 + k * np.sqrt(J) + k * np.sqrt(C)], root**2 + C + k**2
