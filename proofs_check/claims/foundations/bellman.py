"""Bellman operators: contraction, monotonicity, and the two-sided bounds that every discounted solver stops on."""

import numpy as np

from proofs_check import claim, inequality, theorem
from proofs_check.claims.foundations.solvers import howard
from proofs_check.strategies import discounted_mdps, policies, state_tables
from tabular_rl.planning import bellman_backup, evaluate
from tabular_rl.planning.discounted import span_bounds


@claim("bellman.contraction", kind=inequality, source="Denardo 1967", provenance="classical",
       given=(discounted_mdps(), state_tables(), state_tables()), control={"power": 2})  # fmt: skip
def contraction(mdp, v, w, power=1):
    """max |T v - T w| <= discount max |v - w| for the optimality operator T.  Control: the modulus discount^2."""
    change = bellman_backup(mdp, v).max(axis=1) - bellman_backup(mdp, w).max(axis=1)
    return np.abs(change).max(), mdp.discount**power * np.abs(v - w).max(), 1 + np.abs(mdp.reward).max()


@claim("bellman.contraction-of-policy", kind=inequality, source="Denardo 1967", provenance="classical",
       given=(discounted_mdps(), policies(), state_tables(), state_tables()), control={"power": 2})  # fmt: skip
def contraction_of_policy(mdp, pi, v, w, power=1):
    """max |T_pi v - T_pi w| <= discount max |v - w| for the operator of a policy.  Control: the modulus discount^2."""
    change = np.sum(pi * (bellman_backup(mdp, v) - bellman_backup(mdp, w)), axis=1)
    return np.abs(change).max(), mdp.discount**power * np.abs(v - w).max(), 1 + np.abs(mdp.reward).max()


@claim("bellman.monotonicity", kind=inequality, source="Denardo 1967", provenance="classical",
       given=(discounted_mdps(), state_tables(), state_tables(0.0, 1.0)), control={"gain": "largest"})  # fmt: skip
def monotonicity(mdp, v, increase, gain="smallest"):
    """T v + discount min(w - v) <= T w elementwise for w >= v: monotone, and a constant passes as discount times itself.

    Control: the largest increase in place of the smallest.
    """
    extreme = increase.max() if gain == "largest" else increase.min()
    lhs = bellman_backup(mdp, v).max(axis=1) + mdp.discount * extreme
    return lhs, bellman_backup(mdp, v + increase).max(axis=1), 1 + np.abs(mdp.reward).max()


@claim("bellman.span-bounds", kind=inequality, source="MacQueen 1966, Porteus 1971", provenance="classical",
       given=(discounted_mdps(), state_tables()), control={"power": 2})  # fmt: skip
def between_span_bounds(mdp, v, power=1):
    """T v + below <= V* <= T v + above, with the bounds that the solvers stop on.  Control: bounds smaller by the factor discount.

    V* comes from policy iteration with LAPACK.
    """
    improved = bellman_backup(mdp, v).max(axis=1)
    change = improved - v
    below, above = (mdp.discount ** (power - 1) * bound for bound in span_bounds(mdp, v, change.min(), change.max())[:2])
    optimal = howard(mdp.transition, mdp.reward, mdp.discount)
    scale = (1 + np.abs(v).max()) / (1 - mdp.discount) ** 2
    return np.append(improved + below, optimal), np.append(optimal, improved + above), scale


@claim("bellman.greedy-policy", kind=inequality, source="Porteus 1971", provenance="classical",
       given=(discounted_mdps(), state_tables()), control={"bound": "upper"})  # fmt: skip
def greedy_policy(mdp, v, bound="lower"):
    """The greedy policy of v earns at least T v + below: the lower bound certifies the policy, not only V*.

    Control: that it earns the upper bound.
    """
    g = mdp.discount
    q_values = bellman_backup(mdp, v)
    improved = q_values.max(axis=1)
    below, above, _ = span_bounds(mdp, v, (improved - v).min(), (improved - v).max())
    earned = evaluate(mdp, q_values.argmax(axis=1)).values
    return improved + (below if bound == "lower" else above), earned, (1 + np.abs(v).max()) / (1 - g) ** 2


theorem(
    "certified-values",
    statement=r"For every $v$, with $w = T v$, $c = \gamma / (1 - \gamma)$ and $\delta = w - v$: "
    r"$w + c \min \delta \le V^{\pi} \le V^* \le w + c \max \delta$ for the greedy policy $\pi$ of $v$. "
    r"Every discounted solver of the suite stops on these bounds.",
    source="MacQueen 1966; Porteus 1971",
    provenance="classical",
    claims=("bellman.monotonicity", "bellman.contraction", "bellman.contraction-of-policy", "bellman.greedy-policy", "bellman.span-bounds"),
    uses={
        "bellman.contraction": ("bellman.monotonicity",),
        "bellman.span-bounds": ("bellman.monotonicity", "bellman.contraction"),
        "bellman.greedy-policy": ("bellman.monotonicity", "bellman.contraction-of-policy"),
    },
)
