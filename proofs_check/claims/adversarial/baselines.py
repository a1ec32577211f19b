"""Baselines: whole runs of Tsallis-INF and of the learner that learns nothing, computed otherwise."""

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq

from proofs_check import claim, identity
from proofs_check.calculus import state_occupancy
from proofs_check.claims.adversarial.replaying import WORLDS, least_loss, play, switching, world_of
from proofs_check.strategies import draw, episodic, finite_horizon_mdps
from tabular_rl import losses
from tabular_rl.algorithms import TsallisINF, Uniform

_bandits = draw(episodic, 1, 1, st.integers(1, 5), st.sampled_from(["smooth", "ties"]))


@claim("tsallis-inf.run", kind=identity, source="Zimmert, Seldin 2021; bobw spec 6.4", provenance="paper",
       given=(_bandits, st.integers(0, 2**16)), control={"rate": 1.0})  # fmt: skip
def tsallis_inf(bandit, seed, rate=2.0):
    """40 rounds of the algorithm are those of x_t = 4 / (eta_t (Lhat - z))^2, eta_t = 2 / sqrt(t), with z by bisection and
    Lhat += 1{drawn} loss / x, on the same random numbers; losses switch after 20 rounds.

    Control: half of the rate.
    """
    means_of, rng, T = switching(bandit.reward, 20), np.random.default_rng(seed), 40
    A, total, loss, found, estimates = bandit.n_actions, 0.0, 0.0, [], np.zeros(bandit.n_actions)
    for t in range(1, T + 1):
        eta, means = rate / np.sqrt(t), means_of(t)
        distance = estimates - estimates.min()
        below = brentq(
            lambda w, d=distance, eta=eta: np.sum(4 / (eta * (d + w)) ** 2) - 1, 1.99 / eta, 2.01 * A / eta, xtol=1e-15, rtol=1e-15
        )
        x = 4 / (eta * (distance + below)) ** 2
        x = x / x.sum()
        loss, total = loss + np.sum(x * means), total + means
        _, actions, seen = play(bandit, x[None, None], means, rng)
        estimates[actions[0]] += seen[0] / x[actions[0]]
        found.append((loss, loss - total.min()))
    trace = TsallisINF().run(losses.switching(bandit, 20, bandit.reward), T, seed)
    mine = np.array(found)[trace.index - 1]
    return np.concatenate([trace["loss"], trace["regret"], trace.policy.ravel()]), np.concatenate([*mine.T, x]), 100 * T + estimates.max()


@claim("uniform.run", kind=identity, source="folklore", provenance="classical",
       given=(finite_horizon_mdps(), st.integers(1, 25), st.sampled_from(WORLDS)), control={"best": False})  # fmt: skip
def uniform(mdp, T, kind, best=True):
    """The uniform policy's loss of T episodes is that of its occupancies, its regret what the best policy in hindsight would have saved.

    Control: against the losses of the worst policy.
    """
    mdp, world, means_of = world_of(mdp, kind)
    pi, totals = np.full(mdp.shape, 1 / mdp.n_actions), np.cumsum([means_of(t) for t in range(1, T + 1)], axis=0)
    loss = np.array([np.sum(state_occupancy(mdp, pi)[..., None] * pi * total) for total in totals])
    compared = np.array([least_loss(mdp, total) if best else -least_loss(mdp, -total) - 1 for total in totals])
    trace = Uniform().run(world, T)
    chosen = trace.index - 1
    return np.append(trace["loss"], trace["regret"]), np.append(loss[chosen], (loss - compared)[chosen]), T * mdp.horizon
