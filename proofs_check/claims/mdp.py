"""Differences of values: the identities that every regret proof starts from (catalogue, section 0).

Values come from the solvers of ``tabular_rl.planning``; the right-hand sides are sums over occupancy measures.
"""

import numpy as np

from proofs_check import claim, identity
from proofs_check.strategies import discounted_mdps, finite_horizon_mdps, policies, tables
from tabular_rl.planning import evaluate, occupancy, state_occupancy


@claim("mdp.performance-difference", kind=identity, source="Kakade, Langford 2002; catalogue PD", provenance="classical",
       given=(discounted_mdps(), policies("old"), policies("new")), control={"visited_by_old": True})  # fmt: skip
def performance_difference(mdp, old, new, visited_by_old=False):
    """<initial, V_new - V_old> = 1/(1 - discount) sum_s d_new(s) sum_a new(a|s) A_old(s,a).  Control: the occupancy of the old policy.

    Proof: r_new = (I - discount P_new) V_new, so (I - discount P_new)(V_new - V_old) = sum_a new A_old; multiply by the resolvent.
    """
    values, q_values = evaluate(mdp, old)
    advantage = q_values - values[:, None]
    d = state_occupancy(mdp, old if visited_by_old else new)
    rhs = d @ np.sum(new * advantage, axis=1) / (1 - mdp.discount)
    return mdp.initial @ (evaluate(mdp, new).values - values), rhs, 1 / (1 - mdp.discount) ** 2


@claim("mdp.performance-difference-episodic", kind=identity, source="bobw spec L1", provenance="classical",
       given=(finite_horizon_mdps(), policies("pi"), policies("comparator")), control={"visited_by_policy": True})  # fmt: skip
def performance_difference_episodic(mdp, pi, comparator, visited_by_policy=False):
    """V_pi - V_* = sum_{h,s} q*(h,s) <pi - pi*, Q_pi>(h,s).  Control: the occupancy of pi in place of the comparator's q*."""
    values, q_values = evaluate(mdp, pi)
    q = state_occupancy(mdp, pi if visited_by_policy else comparator)
    rhs = np.sum(q[..., None] * (pi - comparator) * q_values)
    return mdp.initial @ (values[0] - evaluate(mdp, comparator).values[0]), rhs, mdp.horizon**2


@claim("mdp.bellman-error", kind=identity, source="catalogue BE", provenance="derived",
       given=(discounted_mdps(), policies(), tables()), control={"backup_discount": 1.0})  # fmt: skip
def bellman_error(mdp, pi, f, backup_discount=None):
    """For any table f: <initial, f_pi - V_pi> = 1/(1 - discount) <d_pi, f - r - discount P f_pi>.  Control: a backup without discount."""
    g = mdp.discount
    f_pi = np.sum(pi * f, axis=1)
    error = f - mdp.reward - (backup_discount or g) * mdp.transition @ f_pi
    return mdp.initial @ (f_pi - evaluate(mdp, pi).values), np.sum(occupancy(mdp, pi) * error) / (1 - g), 1 / (1 - g) ** 2


@claim("mdp.any-table", kind=identity, source="catalogue FPD", provenance="derived",
       given=(finite_horizon_mdps(), policies("pi"), policies("comparator"), tables()), control={"residual": 0.0})  # fmt: skip
def any_table(mdp, pi, comparator, f, residual=1.0):
    """For any tables f[h], v = <pi, f>, res = r + P v[h+1] - f:  V_* - V_pi = sum q* <pi* - pi, f> + <q*, res> - <q_pi, res>.

    Control: without the residuals, as if f were the action values of pi.
    """
    v = np.vstack([np.sum(pi * f, axis=-1), np.zeros(mdp.n_states)])
    res = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, v[1:]) - f
    q_star, q_pi = occupancy(mdp, comparator), occupancy(mdp, pi)
    rhs = np.sum(q_star.sum(-1, keepdims=True) * (comparator - pi) * f) + residual * (np.sum(q_star * res) - np.sum(q_pi * res))
    return mdp.initial @ (evaluate(mdp, comparator).values[0] - evaluate(mdp, pi).values[0]), rhs, mdp.horizon**2


@claim("mdp.occupancy-flow", kind=identity, source="Puterman 1994, section 6.9", provenance="classical",
       given=(discounted_mdps(), policies()), control={"inflow": 1.0})  # fmt: skip
def occupancy_flow(mdp, pi, inflow=None):
    """sum_a d(t,a) = (1 - discount) initial(t) + discount sum_{s,a} P(t|s,a) d(s,a), all t.  Control: inflow without the discount."""
    d = occupancy(mdp, pi)
    rhs = (1 - mdp.discount) * mdp.initial + (inflow or mdp.discount) * np.einsum("sa,sat->t", d, mdp.transition)
    return d.sum(axis=1), rhs, 1 / (1 - mdp.discount)


@claim("mdp.occupancy-flow-episodic", kind=identity, source="Puterman 1994, section 4.4", provenance="classical",
       given=(finite_horizon_mdps(min_horizon=2), policies()), control={"shift": 0})  # fmt: skip
def occupancy_flow_episodic(mdp, pi, shift=1):
    """sum_a q(h+1,t,a) = sum_{s,a} P[h](t|s,a) q(h,s,a), and layer 0 is the start distribution.

    Control: the outflow of the wrong layer.
    """
    q = occupancy(mdp, pi)
    flow = np.einsum("hsa,hsat->ht", q[:-1], mdp.transition[:-1])
    layers = q.sum(axis=-1)
    return np.append(layers[0], layers[shift:][: len(flow)]), np.append(mdp.initial, flow)
