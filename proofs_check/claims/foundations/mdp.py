"""Differences of values: the identities that every regret proof starts from (foundations spec, section 1).

Values come from solvers, the right-hand sides are sums over occupancy measures.
"""

import numpy as np

from proofs_check import claim, identity, theorem
from proofs_check.calculus import directional_derivative, evaluate, occupancy, state_occupancy
from proofs_check.strategies import discounted_mdps, finite_horizon_mdps, policies, tables


@claim("mdp.performance-difference", kind=identity, source="Kakade, Langford 2002; foundations spec PD", provenance="classical",
       given=(discounted_mdps(), policies("old"), policies("new")), control={"visited_by_old": True}, exact=True)  # fmt: skip
def performance_difference(mdp, old, new, visited_by_old=False):
    """<initial, V_new - V_old> = 1/(1 - discount) sum_s d_new(s) sum_a new(a|s) A_old(s,a).  Control: the occupancy of the old policy.

    Proof: r_new = (I - discount P_new) V_new, so (I - discount P_new)(V_new - V_old) = sum_a new A_old; multiply by the resolvent.
    """
    values, q_values = evaluate(mdp, old)
    advantage = q_values - values[:, None]
    d = state_occupancy(mdp, old if visited_by_old else new)
    rhs = d @ np.sum(new * advantage, axis=1) / (1 - mdp.discount)
    return mdp.initial @ (evaluate(mdp, new).values - values), rhs, 1 / (1 - mdp.discount) ** 2


@claim("mdp.gradient", kind=identity, source="Sutton, McAllester, Singh, Mansour 2000", provenance="classical",
       given=(discounted_mdps(), policies("pi"), policies("towards")), control={"advantage": "reward"}, exact=True)  # fmt: skip
def gradient(mdp, pi, towards, advantage="q_values"):
    """d/dt <initial, V of pi + t (towards - pi)> at t = 0 equals 1/(1 - discount) sum_s d_pi(s) sum_a (towards - pi)(a|s) Q_pi(s,a).

    The left side differentiates the linear solve itself (dual numbers, or a complex step). Control: rewards in place of Q.
    """
    direction = towards - pi
    weights = mdp.reward if advantage == "reward" else evaluate(mdp, pi).q_values
    rhs = state_occupancy(mdp, pi) @ np.sum(direction * weights, axis=1) / (1 - mdp.discount)
    return directional_derivative(mdp, pi, direction), rhs, 1 / (1 - mdp.discount) ** 3


@claim("mdp.performance-difference-episodic", kind=identity, source="bobw spec L1", provenance="classical",
       given=(finite_horizon_mdps(), policies("pi"), policies("comparator")), control={"visited_by_policy": True}, exact=True)  # fmt: skip
def performance_difference_episodic(mdp, pi, comparator, visited_by_policy=False):
    """V_pi - V_* = sum_{h,s} q*(h,s) <pi - pi*, Q_pi>(h,s).  Control: the occupancy of pi in place of the comparator's q*."""
    values, q_values = evaluate(mdp, pi)
    q = state_occupancy(mdp, pi if visited_by_policy else comparator)
    rhs = np.sum(q[..., None] * (pi - comparator) * q_values)
    return mdp.initial @ (values[0] - evaluate(mdp, comparator).values[0]), rhs, mdp.horizon**2


@claim("mdp.bellman-error", kind=identity, source="foundations spec BE", provenance="derived",
       given=(discounted_mdps(), policies(), tables()), control={"backup_discount": 1}, exact=True)  # fmt: skip
def bellman_error(mdp, pi, f, backup_discount=None):
    """For any table f: <initial, f_pi - V_pi> = 1/(1 - discount) <d_pi, f - r - discount P f_pi>.  Control: a backup without discount."""
    g = mdp.discount
    f_pi = np.sum(pi * f, axis=1)
    error = f - mdp.reward - (backup_discount or g) * (mdp.transition @ f_pi)
    return mdp.initial @ (f_pi - evaluate(mdp, pi).values), np.sum(occupancy(mdp, pi) * error) / (1 - g), 1 / (1 - g) ** 2


@claim("mdp.any-table", kind=identity, source="foundations spec FPD", provenance="derived",
       given=(finite_horizon_mdps(), policies("pi"), policies("comparator"), tables()), control={"residual": 0}, exact=True)  # fmt: skip
def any_table(mdp, pi, comparator, f, residual=1):
    """For any tables f[h], v = <pi, f>, res = r + P v[h+1] - f:  V_* - V_pi = sum q* <pi* - pi, f> + <q*, res> - <q_pi, res>.

    Control: without the residuals, as if f were the action values of pi.
    """
    v = np.sum(pi * f, axis=-1)
    following = np.concatenate([v[1:], 0 * v[:1]])
    res = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, following) - f
    q_star, q_pi = occupancy(mdp, comparator), occupancy(mdp, pi)
    rhs = np.sum(q_star.sum(-1)[..., None] * (comparator - pi) * f) + residual * (np.sum(q_star * res) - np.sum(q_pi * res))
    return mdp.initial @ (evaluate(mdp, comparator).values[0] - evaluate(mdp, pi).values[0]), rhs, mdp.horizon**2


@claim("mdp.occupancy-flow", kind=identity, source="Puterman 1994, section 6.9", provenance="classical",
       given=(discounted_mdps(), policies()), control={"inflow": 1}, exact=True)  # fmt: skip
def occupancy_flow(mdp, pi, inflow=None):
    """sum_a d(t,a) = (1 - discount) initial(t) + discount sum_{s,a} P(t|s,a) d(s,a), all t.  Control: inflow without the discount."""
    d = occupancy(mdp, pi)
    rhs = (1 - mdp.discount) * mdp.initial + (inflow or mdp.discount) * np.einsum("sa,sat->t", d, mdp.transition)
    return d.sum(axis=1), rhs, 1 / (1 - mdp.discount)


@claim("mdp.occupancy-flow-episodic", kind=identity, source="Puterman 1994, section 4.4", provenance="classical",
       given=(finite_horizon_mdps(min_horizon=2), policies()), control={"shift": 0}, exact=True)  # fmt: skip
def occupancy_flow_episodic(mdp, pi, shift=1):
    """sum_a q(h+1,t,a) = sum_{s,a} P[h](t|s,a) q(h,s,a), and layer 0 is the start distribution.

    Control: the outflow of the wrong layer.
    """
    q = occupancy(mdp, pi)
    flow = np.einsum("hsa,hsat->ht", q[:-1], mdp.transition[:-1])
    layers = q.sum(axis=-1)
    return np.append(layers[0], layers[shift:][: len(flow)]), np.append(mdp.initial, flow)


theorem(
    "performance-difference",
    statement=r"For all policies $\pi$ and $\pi'$ of a discounted model, "
    r"$V^{\pi'}(\rho) - V^{\pi}(\rho) = \frac{1}{1-\gamma} \sum_s d^{\pi'}_\rho(s) \sum_a \pi'(a \mid s) A^{\pi}(s, a)$; "
    r"differentiated, it is the policy gradient theorem.",
    source="Kakade, Langford 2002; Sutton, McAllester, Singh, Mansour 2000",
    provenance="classical",
    claims=("mdp.occupancy-flow", "mdp.bellman-error", "mdp.performance-difference", "mdp.gradient"),
    uses={
        "mdp.bellman-error": ("mdp.occupancy-flow",),
        "mdp.performance-difference": ("mdp.bellman-error",),
        "mdp.gradient": ("mdp.performance-difference",),
    },
)

theorem(
    "regret-decomposition",
    statement=r"For all tables $f_h$ with $v_h = \langle \pi_h, f_h \rangle$ and residuals $\epsilon_h = r_h + P_h v_{h+1} - f_h$, "
    r"$V^{\pi^*} - V^{\pi} = \sum_h \langle q^*_h, \langle \pi^*_h - \pi_h, f_h \rangle \rangle "
    r"+ \langle q^*, \epsilon \rangle - \langle q^\pi, \epsilon \rangle$: "
    r"regret is the sum of one online learning problem per state and of the errors of the estimates.",
    source="foundations spec FPD; bobw spec L1",
    provenance="derived",
    claims=("mdp.occupancy-flow-episodic", "mdp.performance-difference-episodic", "mdp.any-table"),
    uses={
        "mdp.any-table": ("mdp.occupancy-flow-episodic",),
        "mdp.performance-difference-episodic": ("mdp.any-table",),
    },
)
