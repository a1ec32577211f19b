"""What solvers return: certificates that hold, sweeps that are sweeps, ties to the lowest action, the gap of a policy.

The left sides are the solvers themselves, dense and sparse. The right sides are policy iteration in a few lines of NumPy, or fractions.
"""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import Box, discounted_mdps, draw, finite_horizon_mdps, policies, state_tables
from tabular_rl.kernels.discounted import markov_systems
from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP
from tabular_rl.planning import Solution, bellman_backup, deterministic_policy, evaluate, evaluation, occupancy, solve
from tabular_rl.planning.discounted import METHODS, DenseSweeps, SparseSweeps, span_bounds, two_sided_bounds


def howard(P, reward, discount):
    """V* [S], by policy iteration with LAPACK; rows of ``P`` [S, A, S] need not sum to 1."""
    states = np.arange(len(P))
    best = np.full(len(P), -np.inf)
    actions = reward.argmax(axis=1)
    while True:
        values = np.linalg.solve(np.eye(len(P)) - discount * P[states, actions], reward[states, actions])
        if not (values > best + 1e-14 * (1 + np.abs(values))).any():
            return np.maximum(values, best)
        best, actions = np.maximum(values, best), (reward + discount * P @ values).argmax(axis=1)


def in_rows(mdp):
    """The same model, its transition in CSR."""
    from scipy.sparse import csr_array

    return DiscountedMDP(csr_array(mdp.transition.reshape(-1, mdp.n_states)), mdp.reward, mdp.discount, mdp.initial)


def few_successors(S, A, entries, discount, seed):
    """A sparse DiscountedMDP, ``entries`` successors of each pair at most, at least one."""
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    P = np.zeros((S * A, S))
    for row in P:
        chosen = rng.permutation(S)[: rng.integers(1, min(entries, S) + 1)]
        row[chosen] = rng.dirichlet(np.ones(len(chosen)))
    return DiscountedMDP(csr_array(P), rng.random((S, A)), discount, np.full(S, 1 / S))


def late_reward(discount, share, seed):
    """A DiscountedMDP whose better action pays nothing at first, by less than the solvers may cut."""
    least = discount / (2 - discount)
    now = least + (0.1 + 0.8 * share) * (discount - least)
    P = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    return DiscountedMDP(P, np.array([[now, 0.0], [1.0, 1.0]]), discount, np.array([1.0, 0.0]))


def paired(S, A, discount, seed):
    """A DiscountedMDP whose actions 2 i and 2 i + 1 are the same."""
    rng = np.random.default_rng(seed)
    P, reward = rng.dirichlet(np.ones(S), (S, A)).repeat(2, axis=1), rng.random((S, A)).repeat(2, axis=1)
    return DiscountedMDP(P, reward, discount, np.full(S, 1 / S))


def slips(mdp, seed):
    """Numbers in [-1, 1] over the pairs of ``mdp``, half of them at the ends."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(mdp.shape) < 0.5, rng.choice([-1.0, 1.0], mdp.shape), rng.uniform(-1, 1, mdp.shape))


_discounts = st.sampled_from([0.9, 0.5, 0.99])
_models = st.one_of(discounted_mdps(), draw(late_reward, st.sampled_from([0.5, 0.7, 0.9]), st.floats(0, 1)))
_sizes, _entries = st.sampled_from([1, 2, 3, 5, 6, 9, 11, 11]), st.sampled_from([1, 2, 4, 6, 8, 11, 11, 11])  # each kind of row
_sparse_mdps = draw(few_successors, _sizes, st.integers(1, 3), _entries, _discounts)
_noises = draw(slips, space=Box(-1.0, 1.0), fit=True)
_methods = st.sampled_from(["auto", *METHODS])


# --- certificates


@claim("solver.certificate", kind=inequality, source="MacQueen 1966, Porteus 1971", provenance="classical",
       given=(_models, st.booleans(), _methods, st.sampled_from([0.3, 1e-2, 1e-5, "exact"])), control={"share": 0})  # fmt: skip
def certificate(mdp, sparse, method, accuracy, share=1):
    """Whatever the method, lower <= V* <= upper and lower <= V of the policy <= V*; the values are their middle, and the radius is at most
    the tolerance that was asked for (or a hundred roundings of a sweep, for "exact").

    Control: the values without their bounds.
    """
    g, largest = mdp.discount, max(np.abs(mdp.reward).max(), 1e-3) / (1 - mdp.discount)
    tolerance = accuracy if accuracy == "exact" else accuracy * largest
    found = solve(in_rows(mdp) if sparse else mdp, method, tolerance)
    optimal, states = howard(mdp.transition, mdp.reward, g), np.arange(mdp.n_states)
    earned = np.linalg.solve(np.eye(mdp.n_states) - g * mdp.transition[states, found.actions], mdp.reward[states, found.actions])
    lower, upper = (found.values + share * (bound - found.values) for bound in (found.lower, found.upper))
    most = 100 * (mdp.n_states + 3) * np.finfo(float).eps * largest / (1 - g) if accuracy == "exact" else tolerance
    lhs = lower, lower, optimal, earned, [found.radius, np.max(np.abs(found.values - (lower + upper) / 2))]
    rhs = optimal, earned, upper, optimal, [most, most if accuracy == "exact" else 0.0]
    return np.concatenate(lhs), np.concatenate(rhs), largest / (1 - g)


@claim("solver.span-bounds", kind=identity, source="MacQueen 1966, Porteus 1971", provenance="classical",
       given=(discounted_mdps(), state_tables()), control={"power": 2})  # fmt: skip
def bounds_of_a_sweep(mdp, v, power=1):
    """The bounds that every solver stops on are c min(T v - v) and c max(T v - v), c = discount / (1 - discount), up to rounding.

    Control: discount^2 in the numerator.
    """
    change = bellman_backup(mdp, v).max(axis=1) - v
    below, above, _ = span_bounds(mdp, v, change.min(), change.max())
    c = mdp.discount**power / (1 - mdp.discount)
    return [below, above], [c * change.min(), c * change.max()], (1 + np.abs(v).max()) / (1 - mdp.discount) ** 2


@claim("solver.imperfect-sweeps", kind=inequality, source="Porteus 1971", provenance="derived",
       given=(discounted_mdps(), state_tables(), _noises, st.sampled_from([0.0, 1e-3, 0.5])), control={"known": False})  # fmt: skip
def imperfect_sweeps(mdp, v, errors, slip, known=True):
    """Rows that sum to 1 up to e, and a sweep that is off by up to rho, widen the two-sided bounds, and V* stays between them.

    Control: the bounds of perfect rows and sweeps.
    """
    g = mdp.discount
    e = 0.5 * (1 - g)
    P = mdp.transition * (1 + e * errors[..., None])
    improved = (mdp.reward + g * P @ v).max(axis=1) + slip * errors[:, 0]
    change = improved - v
    below, above = two_sided_bounds(g, e * known, slip * known, change.min(), change.max())
    optimal = howard(P, mdp.reward, g)
    return np.append(improved + below, optimal), np.append(optimal, improved + above), (1 + np.abs(v).max()) / (1 - g) ** 2


@claim("solver.rounding", kind=inequality, source="Higham 2002, section 3.1", provenance="classical",
       given=(discounted_mdps(), state_tables(-100.0, 100.0)), control={"share": 1e-3})  # fmt: skip
def rounding_of_a_sweep(mdp, v, share=1):
    """A computed sweep is nearer to the exact one (of fractions) than the rounding that widens the bounds.  Control: a thousandth of it."""
    computed = bellman_backup(mdp, v)
    fraction = np.vectorize(Fraction, otypes=[object])
    exact = fraction(mdp.reward) + Fraction(mdp.discount) * (fraction(mdp.transition) @ fraction(v))
    off = np.abs(fraction(computed) - exact).astype(float).max()
    return off, share * span_bounds(mdp, v, 0.0, 0.0)[2]


@claim("solver.episodic-rounding", kind=inequality, source="Higham 2002, section 3.1", provenance="classical",
       given=(finite_horizon_mdps(), st.booleans()), control={"share": 1e-3})  # fmt: skip
def rounding_of_an_induction(mdp, stationary, share=1):
    """The optimal values of an episodic model, in fractions, lie between lower and upper; nothing is uncertain after the last step.

    Control: a thousandth of the widths.
    """
    if stationary:
        mdp = FiniteHorizonMDP(mdp.transition[0], mdp.reward[0], mdp.initial, horizon=mdp.horizon)
    found = solve(mdp)
    fraction = np.vectorize(Fraction, otypes=[object])
    P, reward, exact = fraction(mdp.transition), fraction(mdp.reward), [np.array([Fraction(0)] * mdp.n_states, dtype=object)]
    for h in reversed(range(mdp.horizon)):
        exact.insert(0, (reward[h % len(reward)] + P[h % len(P)] @ exact[0]).max(axis=1))
    off = (fraction(found.values) - np.array(exact)).astype(float)
    above, below = (share * np.abs(bound - found.values) for bound in (found.upper, found.lower))
    return np.concatenate([off, -off, above[-1:]]), np.concatenate([below, above, 0 * above[-1:]])


# --- sweeps


@claim("solver.improvement", kind=identity, source="MacQueen 1967", provenance="classical",
       given=(_sparse_mdps, st.booleans(), state_tables(), st.sampled_from([0.05, 0.3, np.inf])), control={"back": 1})  # fmt: skip
def improvement(mdp, sparse, v, cut, back=0):
    """A sweep takes maxima over the actions whose last q-value is no more than ``cut`` under the best, and returns the extreme changes.

    Control: the values before the last sweep.
    """
    P = mdp.transition.toarray().reshape(*mdp.shape, -1)
    sweeps = SparseSweeps(mdp) if sparse else DenseSweeps(DiscountedMDP(P, mdp.reward, mdp.discount, mdp.initial))
    q, first, second, actions = np.zeros(mdp.shape), np.empty(len(v)), np.empty(len(v)), np.empty(len(v), np.int64)
    sweeps.improve(v, np.inf, q, first, actions)
    before = q.copy()
    low, high = sweeps.improve(first, cut, q, second, actions)
    expected = mdp.reward + mdp.discount * P @ (v if back else first)
    expected = np.where(before.max(axis=1, keepdims=True) - before > cut, -9.0, expected)
    change = expected.max(axis=1) - first
    lhs = [
        np.where(np.isinf(q), -9.0, q).ravel(),
        second,
        np.take_along_axis(expected, actions[:, None], axis=1)[:, 0],
        np.array([low, high]),
    ]
    rhs = [expected.ravel(), expected.max(axis=1), expected.max(axis=1), np.array([change.min(), change.max()])]
    return np.concatenate(lhs), np.concatenate(rhs), 1.0


@claim("solver.evaluation-sweeps", kind=identity, source="Puterman 1994, section 6.5", provenance="classical",
       given=(_sparse_mdps, st.booleans(), state_tables(), st.sampled_from([-1.0, 1e-3, np.inf])), control={"shift": False})  # fmt: skip
def evaluation_sweeps(mdp, sparse, v, target, shift=True):
    """Sweeps of a fixed policy until the span of a change is below the target, and half of c (min + max) of the last one on top.

    Control: without what is added at the end.
    """
    g, states = mdp.discount, np.arange(mdp.n_states)
    P = mdp.transition.toarray().reshape(*mdp.shape, -1)
    sweeps = SparseSweeps(mdp) if sparse else DenseSweeps(DiscountedMDP(P, mdp.reward, g, mdp.initial))
    actions = (np.arange(mdp.n_states) * 7 + 1) % mdp.n_actions
    values = v.copy()
    count = sweeps.evaluate(actions, values, np.empty(len(v)), target)
    for expected_count in range(1, 101):
        change = mdp.reward[states, actions] + g * P[states, actions] @ v - v
        v = v + change
        if np.ptp(change) <= target:
            break
    middle = shift * g / (1 - g) * (change.min() + change.max()) / 2
    return np.append(values, count), np.append(v + middle, expected_count), 1 / (1 - g) ** 2


@claim("solver.ties", kind=identity, source="docs of Solution.actions", provenance="derived",
       given=(draw(paired, st.integers(1, 5), st.integers(1, 3), _discounts), st.booleans(), _methods), control={"last": True})  # fmt: skip
def ties(mdp, sparse, method, last=False):
    """Of two actions that are the same the policy plays the first.  Control: the second."""
    return solve(in_rows(mdp) if sparse else mdp, method).actions % 2, float(last)


# --- what is computed of a policy


@claim("solver.radius", kind=identity, source="docs of Solution.radius", provenance="derived",
       given=(discounted_mdps(), state_tables(), state_tables(0.0, 1.0), state_tables(0.0, 1.0)), control={"sides": 1})  # fmt: skip
def radius(mdp, v, up, down, sides=2):
    """The certified error of values is the largest distance to a bound, above or below.  Control: above alone."""
    found = Solution(mdp, v, np.zeros(len(v), int), v - down, v + up, 1, 0, "by hand")
    return found.radius, max(np.max(distance) for distance in (up, down)[:sides])


@claim("solver.gap", kind=identity, source="Kakade, Langford 2002", provenance="classical",
       given=(discounted_mdps(), policies()), control={"steps": False})  # fmt: skip
def gap(mdp, pi, steps=True):
    """Solution.gap is V* - V of a policy from the start, and 0 for the solution's own policy; the values of both from linear systems.

    Control: without the factor 1/(1 - discount).
    """
    g, found = mdp.discount, solve(mdp, tolerance="exact")
    P, reward = np.einsum("sa,sat->st", pi, mdp.transition), np.sum(pi * mdp.reward, axis=1)
    lost = mdp.initial @ (howard(mdp.transition, mdp.reward, g) - np.linalg.solve(np.eye(len(P)) - g * P, reward))
    return [found.gap(pi), found.gap(found.policy)], [lost if steps else (1 - g) * lost, 0.0], 1 / (1 - g) ** 3


@claim("solver.gap-episodic", kind=identity, source="Kakade, Langford 2002", provenance="classical",
       given=(finite_horizon_mdps(min_horizon=2), policies()), control={"steps": 1})  # fmt: skip
def gap_episodic(mdp, pi, steps=None):
    """The same over H steps: V* - V of the policy.  Control: the loss of the first step alone."""
    found = solve(mdp)
    optimal, of_policy = np.zeros(mdp.n_states), np.zeros(mdp.n_states)
    for h in reversed(range(steps or mdp.horizon)):
        optimal = (mdp.reward[h] + mdp.transition[h] @ optimal).max(axis=1)
        of_policy = np.sum(pi[h] * (mdp.reward[h] + mdp.transition[h] @ of_policy), axis=1)
    return [found.gap(pi), found.gap(found.actions)], [mdp.initial @ (optimal - of_policy), 0.0], mdp.horizon**2


@claim("solver.backup-episodic", kind=identity, source="Puterman 1994, section 4.3", provenance="classical",
       given=(finite_horizon_mdps(min_horizon=2), policies()), control={"shift": 0})  # fmt: skip
def backup_episodic(mdp, pi, shift=1):
    """The backup of step h reads the values of step h + 1; of a policy's values it is the policy's q-values.  Control: of step h."""
    values, q_values = evaluate(mdp, pi)
    H = mdp.horizon
    expected = mdp.reward + np.einsum("hsat,ht->hsa", mdp.transition, values[shift : H + shift])
    return np.stack([bellman_backup(mdp, values), q_values]), np.stack([expected, expected]), H


@claim("solver.sparse-chain", kind=identity, source="Puterman 1994, section 6.1", provenance="classical",
       given=(_sparse_mdps, policies(), st.booleans()), control={"power": 2})  # fmt: skip
def sparse_chain(mdp, pi, large, power=1):
    """Values, q-values and occupancy of a policy in a sparse model solve the dense equations, by LAPACK and (``large``) by SuperLU.

    Control: the square of the discount.
    """
    g, P = mdp.discount**power, mdp.transition.toarray().reshape(*mdp.shape, -1)
    kept, evaluation.DIRECT_STATES = evaluation.DIRECT_STATES, 0 if large else evaluation.DIRECT_STATES
    try:
        (values, q_values), d = evaluate(mdp, pi), occupancy(mdp, pi)
    finally:
        evaluation.DIRECT_STATES = kept
    inflow = (1 - g) * mdp.initial + g * np.einsum("sa,sat->t", d, P)
    lhs = [values, q_values.ravel(), d.sum(axis=1)]
    rhs = [np.sum(pi * (mdp.reward + g * P @ values), axis=1), (mdp.reward + g * P @ values).ravel(), inflow]
    return np.concatenate(lhs), np.concatenate(rhs), 1 / (1 - g)


@claim("solver.refinement", kind=identity, source="Higham 2002, section 12.1", provenance="classical",
       given=(discounted_mdps(), policies(), state_tables()), control={"steps": 0})  # fmt: skip
def refinement(mdp, pi, wrong, steps=1):
    """A step of iterative refinement leads from any x to the values; those of actions are those of their probabilities.

    Control: no step.
    """
    P, reward = evaluation.policy_system(mdp, pi)
    values = np.linalg.solve(np.eye(len(P)) - mdp.discount * P, reward)
    x = values + wrong
    for _ in range(steps):
        x = evaluation.refined(mdp, P, reward, x)
    actions = pi.argmax(axis=1)
    systems = evaluation.policy_system(mdp, actions), evaluation.policy_system(mdp, deterministic_policy(actions, mdp.n_actions))
    lhs, rhs = (np.append(np.ravel(matrix), right) for matrix, right in systems)
    return np.append(x, lhs), np.append(values, rhs), 1 / (1 - mdp.discount) ** 2


@claim("solver.factors", kind=identity, source="Higham 2002, section 9.3", provenance="classical",
       given=(discounted_mdps(), policies(), state_tables()), control={"transposed": False})  # fmt: skip
def factors(mdp, pi, right, transposed=True):
    """Factored once, I - discount P is solved for columns and, transposed, for rows.  Control: the row's system not transposed."""
    system = np.eye(mdp.n_states) - mdp.discount * np.einsum("sa,sat->st", pi, mdp.transition)
    factored, x, y = system.copy(), right.copy(), right.copy()
    markov_systems.factor(factored)
    markov_systems.solve_factored(factored, x)
    markov_systems.solve_transposed(factored, y)
    both = np.linalg.solve(system, right), np.linalg.solve(system.T if transposed else system, right)
    return np.append(x, y), np.append(*both), 1 / (1 - mdp.discount) ** 2


theorem(
    "certified-solutions",
    statement=r"Every solver returns $\underline V \le V^* \le \overline V$ and a policy with $\underline V \le V^\pi$, rounding and rows "
    r"that do not quite sum to 1 included; the gap of a policy is $V^*(\rho) - V^\pi(\rho)$.",
    source="MacQueen 1966; Porteus 1971; Kakade, Langford 2002",
    provenance="classical",
    claims=(
        "solver.certificate", "solver.span-bounds", "solver.imperfect-sweeps", "solver.rounding", "solver.episodic-rounding",
        "solver.improvement", "solver.evaluation-sweeps", "solver.ties", "solver.radius", "solver.gap", "solver.gap-episodic",
        "solver.backup-episodic", "solver.sparse-chain", "solver.refinement", "solver.factors",
    ),
    uses={
        "solver.certificate": ("solver.imperfect-sweeps", "solver.rounding", "solver.improvement", "solver.evaluation-sweeps"),
        "solver.imperfect-sweeps": ("solver.span-bounds",),
        "solver.gap": ("solver.certificate", "solver.sparse-chain"),
    },
)  # fmt: skip
