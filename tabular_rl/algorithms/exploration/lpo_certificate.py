"""What an epoch of LPO has lost at most, whatever its data and its regression: the pathwise inequality (lpo spec 5.9 [derived]).

    V* - mean_t V^{pi_t} <= (1 / (1 - discount)) { sum d_K^pt mean_t (Qhat_t - <pi_t, Qhat_t>) + mean_t sum d_K^pt slack_t
                                                   + mean_t (sum d_K^{pi_t} b + esc^{pi_t}) }

In the optimistic MDP K a pair pays its reward and its bonus b; an unknown one is worth 1 / (1 - discount) and ends the episode
("terminal"), or pays that on top ("bonus"). d_K is the normalized occupancy before anything unknown is played, esc the discounted chance
to play it, pt the optimal policy where all actions are known. The first sum is the regret of the policy gradient, the second what the
estimates Qhat miss of the action values of K beyond the bonus, the third the price of optimism.

It needs the true model: it is a diagnosis and no stopping rule. Nothing in it is random.
"""

from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning

__all__ = ["PathwiseCertificate", "pathwise_certificate"]


class PathwiseCertificate(NamedTuple):
    """[E] each, in units of value: the three sums over 1 - discount. ``total`` is at least the gap of the epoch's mixture of iterates."""

    regret: Any
    slack: Any
    price: Any

    @property
    def total(self):
        return self.regret + self.slack + self.price


def pathwise_certificate(problem, epochs, unknown="terminal", chosen=None):
    """The PathwiseCertificate of the ``epochs`` of a run with ``keep_q=True``, or of the ``chosen`` ones (indices [E]).

    ``problem`` and ``unknown`` are those of the run. ValueError: the run did not keep its estimates of action values.
    """
    if epochs.q_estimates.shape[1] != epochs.policies.shape[1]:
        raise ValueError("the certificate needs the estimates of action values: run with keep_q=True, or certify=True")
    optimal = planning.solve(problem, tolerance="exact").policy
    chosen = range(len(epochs.policies)) if chosen is None else chosen
    terms = [_terms(problem, epochs, e, optimal, unknown == "terminal") for e in chosen]
    return PathwiseCertificate(*np.reshape(terms, (-1, 3)).T / (1 - problem.discount))


def exact_gaps(best, policies):
    """[N] gaps of ``policies`` [N, S, A] to the Solution ``best``, as its ``gap`` has them one by one."""
    mdp = best.mdp
    move = np.eye(mdp.n_states) - mdp.discount * np.einsum("nsa,sat->nts", policies, mdp.transition)
    visits = np.maximum(np.linalg.solve(move, mdp.initial[:, None])[..., 0], 0.0)
    return np.einsum("ns,nsa,sa->n", visits, policies, best.advantage_lost)


class OptimisticMDP(NamedTuple):
    """Of N policies in the optimistic MDP K: ``values`` [N, S], ``q_values`` [N, S, A], ``occupancy`` d_K [N, S], ``escapes`` esc [N]."""

    values: Any
    q_values: Any
    occupancy: Any
    escapes: Any


def optimistic_mdp(mdp, known, bonus, policies, terminal):
    """The OptimisticMDP of ``policies`` [N, S, A], which play unknown actions where there are any; ``known`` and ``bonus`` [S, A]."""
    g, largest, inside = mdp.discount, 1 / (1 - mdp.discount), known.all(axis=1)
    lives = inside if terminal else np.ones(mdp.n_states, bool)  # where the episode goes on
    paid, move = mdp.reward + bonus, np.einsum("nsa,sat->nst", policies, mdp.transition)
    system = np.eye(len(lives)) - g * move * lives[:, None] * lives
    pays = lives * (np.sum(policies * paid, axis=-1) + g * largest * np.sum(move[..., ~lives], axis=-1))
    values = np.where(lives, np.linalg.solve(system, pays[..., None])[..., 0], largest)
    q_values = paid + g * np.einsum("sat,nt->nsa", mdp.transition, values)
    start = (mdp.initial * lives)[:, None]
    occupancy = (1 - g) * np.linalg.solve(np.swapaxes(system, -1, -2), start)[..., 0]
    escapes = mdp.initial @ ~lives + g * largest * np.sum(occupancy * np.sum(move[..., ~lives], axis=-1), axis=-1)
    return OptimisticMDP(values, q_values, occupancy, escapes)


def slack_of(errors, width, policies):
    """(e - b)^+ + <pi, (-e)^+> [N, S, A]: what ``errors`` e of action values cost beyond the bonus ``width`` b [S, A]."""
    return np.maximum(errors - width, 0) + np.sum(policies * np.maximum(-errors, 0), axis=-1, keepdims=True)


def _terms(mdp, epochs, e, optimal, terminal):
    """(regret, slack, price) of epoch ``e``, all times 1 - discount; policies and estimates [T, S, A]."""
    policies, known, bonus, estimates = epochs.policies[e], epochs.known[e], epochs.bonus[e], epochs.q_estimates[e]
    inside, width = known.all(axis=1)[:, None], np.where(known, bonus, 0.0)
    outside = ~known / np.maximum((~known).sum(axis=1, keepdims=True), 1)  # where policies agree
    comparator = np.where(inside, optimal, outside)
    K = optimistic_mdp(mdp, known, bonus, policies, terminal)

    promised = optimistic_mdp(mdp, known, bonus, comparator[None], terminal).occupancy[0][:, None] * comparator * inside
    regret = promised * (estimates - np.sum(policies * estimates, axis=-1, keepdims=True))
    slack = slack_of((K.q_values - estimates) * inside, width, policies)
    unknown = K.escapes if terminal else 1 / (1 - mdp.discount) * np.einsum("ns,nsa,sa->n", K.occupancy, policies, ~known)
    price = np.einsum("ns,nsa,sa->n", K.occupancy, policies, width) + unknown
    return np.mean(np.sum(regret, axis=(1, 2))), np.mean(np.sum(promised * slack, axis=(1, 2))), np.mean(price)
