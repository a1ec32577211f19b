"""Unknown transition: the costs of good and bad episodes, summed over a whole run (the last step of ``bobw_unknown``'s proof)."""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality
from proofs_check.calculus import occupancy, state_occupancy
from proofs_check.claims.adversarial.bobw_shannon_rate import C0, EPS, first_N
from proofs_check.claims.adversarial.bobw_unknown import SOURCE, _before, cost_of_departures
from proofs_check.strategies import draw, finite_horizon_mdps, rows


class Approach(NamedTuple):
    """``path`` [H, S, A], deterministic, and ``policies`` [T, H, S, A] that come near it; ``iota``; ``seed`` of where the bounds lie."""

    path: np.ndarray
    policies: np.ndarray
    iota: float
    seed: int


def approach(mdp, rounds, speed, exponent, seed):
    """An Approach with iota = 10^exponent: shares of another policy that fall like t^-speed, or are 0."""
    rng = np.random.default_rng(seed)
    path, other = rows(rng, mdp.shape, "deterministic"), rows(rng, mdp.shape, "smooth")
    share = rng.random(rounds) ** 0.3 * (0 if speed is None else np.arange(1.0, rounds + 1) ** -speed)
    return Approach(path, path + share[:, None, None, None] * (other - path), 10.0**exponent, seed)


class _Run:
    """N [H, S] of the learning rates and Q [H, S, A], the sum of the occupancies so far; the boxes are as wide as their bounds allow."""

    def __init__(self, mdp, history):
        self.mdp, self.path, self.iota, self.rng = mdp, history.path, history.iota, np.random.default_rng(history.seed)
        H, S, A = mdp.shape
        self.N, self.Q, self.R = np.full((H, S), first_N(H, A)), np.zeros(mdp.shape), (H - np.arange(H))[:, None] * np.ones((1, S))
        mu_path = state_occupancy(mdp, history.path)
        self.on, self.m = mu_path > 0, mu_path[mu_path > 0].min()

    def widths(self, pi, q):
        """[H, S] what ``bobw-unknown.width`` and ``.width-off-path`` allow, with the c and leak of ``.radius``."""
        with np.errstate(divide="ignore"):
            ratio = self.mdp.n_states * self.iota / self.Q
        c, leak = np.minimum(1, 17 * np.sqrt(ratio)), np.sum(self.path * np.minimum(1, 80 * ratio), axis=-1)
        stays = self.path * self.on[..., None]
        straying = np.sum((1 - pi) * stays) + np.sum(np.where(self.on, leak, 0))
        off = (1 - stays) * q * c + stays * q * (leak[..., None] + 2 * c * straying)
        return np.minimum(1, 2 * np.where(self.on, _before(q * c), _before(off)))

    def cost(self, pi):
        """(what ``bobw-unknown.good-episode`` allows for a good episode, e sum u b for a bad one; its departures W)."""
        q = occupancy(self.mdp, pi)
        mu, away, width = q.sum(axis=-1), np.sum(q * (1 - self.path)), self.widths(pi, q)
        lower = np.maximum(0, mu - self.rng.random(mu.shape) * width)
        u = np.maximum(np.minimum(1, lower + width), np.minimum(1, 1 / (EPS * np.sqrt(self.N))))
        beta, root = self.R * np.sqrt(self.N + 1 / u) / C0, np.sqrt(pi)
        penalty = 2 * (beta - self.R * np.sqrt(self.N) / C0) * (root.sum(axis=-1) - 1)
        w = 2 * self.R / (beta * u)  # at most 1/2 with the theory's constants
        ps = penalty + self.R**2 / (u * beta) * np.minimum(2 * root.sum(axis=-1), 2 * np.sum(root * (1 - pi), axis=-1) / (1 - w))
        self.N, self.Q = self.N + 1 / u, self.Q + q
        bias, on, H = self.R * (u - lower), self.on, self.mdp.horizon
        if away > self.m / 4:
            return math.e * np.sum(u * ps + bias), away
        off_path = H * np.sum(np.where(on, 0, u * ps + bias))
        paid = 4 / 3 * np.sum(np.where(on, mu * ps, 0)) + 8 * math.e / 3 * (off_path + away * np.sum(np.where(on, ps, 0)))
        return paid + 16 / 9 * (1 + 2 * math.e) * away / self.m * np.sum(np.where(on, bias, 0)), away


@claim("bobw-unknown.assembly", kind=inequality, source=SOURCE, provenance="derived",
       given=(finite_horizon_mdps(min_horizon=2),
              draw(approach, st.integers(20, 60), st.sampled_from([None, 0.5, 1.0]), st.integers(-8, 1), fit=True)),
       control={"share": 1e-6})  # fmt: skip
def assembly(mdp, history, share=1.0):
    """Over any episodes, whose widths are all that the counts allow: the sum of their costs <= ``cost_of_departures`` of sum W.

    iota is any positive number here, so that short runs see radii below 1 too. The bound is loose: the largest ratio seen is about 1/80,
    in most instances it is below 1e-3. Control: a millionth of it.
    """
    run, (H, S, A), T = _Run(mdp, history), mdp.shape, len(history.policies)
    costs, departures = np.sum([run.cost(pi) for pi in history.policies], axis=0)
    first = math.sqrt(2) * H * (H + 1) * math.sqrt(first_N(H, A)) * (math.sqrt(A) - 1)  # I0, which is charged once and beside the sum
    return costs, share * (cost_of_departures(departures, H, S, A, run.m, T, history.iota) - first)
