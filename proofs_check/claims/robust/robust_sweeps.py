"""Sweeps and solvers of robust MDPs against one row at a time, enumeration and plain NumPy (drpg spec 2 to 5, 11)."""

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.robust import plain
from proofs_check.claims.robust.drpg import SOURCE
from proofs_check.claims.robust.drpg_runs import first, model
from proofs_check.strategies import draw
from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.models import RobustMDP
from tabular_rl.planning import robust_backup, robust_evaluate, saddle_certificate, solve, worst_case
from tabular_rl.planning.robust.solve import compiled

METHODS = ("modified_policy_iteration", "value_iteration", "partial_policy_iteration")
ROWS = {  # the set of a model, and that of its row (s, a)
    "L1": (lambda r, rng, S: sets.L1(r), lambda u, s, a: sets.L1(u.radius[s, a])),
    "full L1": (lambda r, rng, S: sets.L1(r, "full"), lambda u, s, a: sets.L1(u.radius[s, a], "full")),
    "total variation": (lambda r, rng, S: sets.TotalVariation(r), lambda u, s, a: sets.TotalVariation(u.radius[s, a])),
    "weighted L1": (lambda r, rng, S: sets.WeightedL1(rng.uniform(0.5, 2, (*r.shape, S)), r),
                    lambda u, s, a: sets.WeightedL1(u.weights[s, a], u.radius[s, a])),
    "L infinity": (lambda r, rng, S: sets.LInf(r), lambda u, s, a: sets.LInf(u.radius[s, a])),
    "interval": (lambda r, rng, S: sets.Interval(rng.random(S) / (2 * S), 1 - rng.random((*r.shape, S)) / 2, "full"),
                 lambda u, s, a: sets.Interval(u.lower, u.upper[s, a], "full")),
    "density ratio": (lambda r, rng, S: sets.DensityRatio(1 / (1 + r)), lambda u, s, a: sets.DensityRatio(u.level[s, a])),
    "L2": (lambda r, rng, S: sets.L2(r), lambda u, s, a: sets.L2(u.radius[s, a])),
    "KL": (lambda r, rng, S: sets.KL(r), lambda u, s, a: sets.KL(u.radius[s, a])),
    "chi-square": (lambda r, rng, S: sets.ChiSquare(r), lambda u, s, a: sets.ChiSquare(u.radius[s, a])),
    "Wasserstein": (lambda r, rng, S: sets.Wasserstein(np.abs(np.subtract.outer(np.arange(S), np.arange(S))) / S, r),
                    lambda u, s, a: sets.Wasserstein(u.distance, u.radius[s, a])),
    "contamination": (lambda r, rng, S: sets.Contamination(np.minimum(r, 1)), lambda u, s, a: sets.Contamination(u.fraction[s, a])),
    "ellipsoid": (lambda r, rng, S: sets.Ellipsoid(rng.uniform(0.5, 2, S), r), lambda u, s, a: sets.Ellipsoid(u.matrix, u.radius[s, a])),
    "finite": (lambda r, rng, S: sets.FiniteRows(rng.dirichlet(np.ones(S), (3, *r.shape))),
               lambda u, s, a: sets.FiniteRows(u.kernels[:, s : s + 1, a : a + 1])),
}  # fmt: skip


def uncertain(S, A, kind, by_pairs, sparse, seed):
    """(kind, game with such a set): costs of pairs or of moves, a dense or sparse kernel with few or many successors; in a third of them
    some pairs do not exist."""
    rng = np.random.default_rng(seed)
    share = rng.choice([0.2, 0.6, 1.0])
    nominal = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < share)
    nominal[nominal.sum(axis=2) == 0, rng.integers(S)] = 1
    nominal /= nominal.sum(axis=2, keepdims=True)
    cost = rng.uniform(-1, 1, (S, A)) if by_pairs else rng.uniform(-1, 1, (S, A, S))
    kernel = nominal
    if sparse:
        kernel = csr_array(nominal.reshape(S * A, S))
        if not by_pairs:
            cost = csr_array((cost.reshape(S * A, S)[nominal.reshape(S * A, S) > 0], kernel.indices, kernel.indptr), kernel.shape)
    available = rng.random((S, A)) < (0.7 if seed % 3 == 0 else 1.0)
    available[np.arange(S), rng.integers(A, size=S)] = True
    balls = ROWS[kind][0](rng.uniform(0.02, 0.9, (S, A)), rng, S)
    return kind, RobustMDP(kernel, cost, 0.8, rng.dirichlet(np.ones(S)), balls, available=available)


def worst_rows(kind, mdp, values):
    """q [S, A]: row by row, infinite at pairs that do not exist."""
    nominal = mdp.nominal.toarray().reshape(*mdp.shape, -1) if mdp.is_sparse else mdp.nominal
    z, q = plain.costs(mdp) + mdp.discount * values, np.full(mdp.shape, np.inf)
    for s, a in zip(*np.nonzero(mdp.available), strict=True):
        q[s, a] = worst_case(z[s, a], nominal[s, a], ROWS[kind][1](mdp.ambiguity, s, a)).value
    return q


sizes = st.sampled_from([2, 3, 5, 8, 30])
games = draw(uncertain, sizes, st.integers(1, 2), st.sampled_from(tuple(ROWS)), st.booleans(), st.booleans())
small = draw(uncertain, st.integers(2, 4), st.integers(1, 3), st.sampled_from(tuple(ROWS)), st.booleans(), st.booleans())


@claim("sweep.rows", kind=identity, source=f"{SOURCE} sections 2, 11", provenance="derived",
       given=(games, st.integers(0, 1000)), control={"shift": 0.01})  # fmt: skip
def every_row(drawn, seed, shift=0.0):
    r"""A sweep is the worst case of $c + \gamma v$ over every row, alone: for every kind of set, few successors or many, costs of pairs
    or of moves, dense or sparse; with the worst kernel, which attains it, or without; also of some of the rows only. $T v$ is its least.

    Control: of $v + 0.01$.
    """
    from tabular_rl.kernels.robust.sweeps import backup, expected

    (kind, mdp), rng = drawn, np.random.default_rng(seed)
    values, game = rng.normal(size=mdp.n_states) * 3, compiled(mdp)
    values = np.round(values) if rng.random() < 0.3 else values
    work, pairs, there = codes.workspace(game.rows, game.code), np.arange(mdp.available.size), np.ravel(mdp.available)
    q, again, means, worst = np.empty(len(pairs)), np.full(len(pairs), 7.0), np.empty(len(pairs)), np.empty(len(game.rows.nominal))
    backup(game.code, game.rows, pairs, mdp.discount, values, q, worst, work)
    some = pairs[rng.random(len(pairs)) < 0.6]
    backup(game.code, game.rows, some, mdp.discount, values, again, np.empty(0), work)
    expected(game.rows, worst, pairs, mdp.discount, values, means)
    exact, whole = worst_rows(kind, mdp, values + shift), robust_backup(mdp, values)
    P, z = sets.kernel(game.rows, worst), plain.costs(mdp) + mdp.discount * values
    flat = exact.ravel()[there]
    left = np.where(np.isin(pairs, some), exact.ravel(), 7.0)[there]
    found = [*q[there], *again[there], *means[there], *np.sum(P * z, axis=2).ravel()[there], *whole.values]
    return found, [*flat, *left, *flat, *flat, *exact.min(axis=1)], 10.0


@claim("sweep.evaluation", kind=inequality, source=f"{SOURCE} 5.1", provenance="derived",
       given=(small, st.integers(0, 1000)), control={"share": 0.0})  # fmt: skip
def every_evaluation(drawn, seed, share=1.0):
    r"""``robust_evaluate`` finds the fixed point $v = T_\pi v$, for every kind of set, up to its gap: $v \le T_\pi v$ and
    $T_\pi v \le v + (1-\gamma)$ gap, $T_\pi$ row by row; with a member of the set, also where the nominal kernel is none.

    Control: $T_\pi v \le v$, when one round is all that it may do.
    """
    kind, mdp = drawn
    policy = first(mdp, seed)
    found = robust_evaluate(mdp, policy, max_iterations=1000 if seed % 2 and share else 1)
    q = worst_rows(kind, mdp, found.values)
    improved = np.sum(policy * np.where(mdp.available, q, 0), axis=1)
    slack = 1e-11 / (1 - mdp.discount)
    kernel = found.kernel.toarray().reshape(*mdp.shape, -1) if hasattr(found.kernel, "toarray") else found.kernel
    again = plain.values_of(mdp, policy, kernel) if found.gap < 1e-9 else found.values
    lhs = [*found.values, *improved, *again, *found.values]
    above = found.values + share * (1 - mdp.discount) * found.gap + slack
    rhs = [*(improved + slack), *above, *(found.values + 1e-8), *(again + 1e-8)]
    return lhs, rhs, 10.0


@claim("sweep.optimum", kind=inequality, source=f"{SOURCE} 5.2, 5.3", provenance="derived",
       given=(small, st.sampled_from(METHODS)), control={"share": 0.01})  # fmt: skip
def every_optimum(drawn, method, share=1.0):
    r"""``solve`` finds the fixed point $v = T v$ for every kind of set, by all methods: $|v - T v| \le (1+\gamma)$ times its certified
    error, T row by row, which is at most the tolerance; the policy attains the least, and ``q_values`` are the worst cases of the pairs.

    Control: a hundredth of the error.
    """
    kind, mdp = drawn
    found = solve(mdp, method, tolerance=0.05)
    q = worst_rows(kind, mdp, found.values)
    greedy = worst_rows(kind, mdp, found.lower)
    played = np.sum(found.policy * np.where(mdp.available, greedy, 0), axis=1)
    slack = 1e-10
    off = np.abs(found.q_values[mdp.available] - q[mdp.available])
    lhs = [*np.abs(found.values - q.min(axis=1)), found.radius, *(played - found.upper), off.max()]
    rhs = [*np.full(mdp.n_states, share * (1 + mdp.discount) * found.radius + slack), 0.05 + slack, *np.full(mdp.n_states + 1, slack)]
    return lhs, rhs, 10.0


@claim("sweep.bounds", kind=inequality, source=f"{SOURCE} 5.2, 5.3", provenance="derived",
       given=(draw(model, st.integers(2, 3), st.integers(2, 4), st.sampled_from([0.3, 0.9]), "sa"), st.sampled_from(METHODS),
              st.sampled_from([0.3, 1e-3, 1e-9])), control={"share": 0.0})  # fmt: skip
def bounds(mdp, method, tolerance, share=1.0):
    r"""$v_{low} \le V^* \le v_{up}$, at most twice the tolerance apart, and so is the robust value of the policy returned: $V^*$ by
    trying all deterministic policies, worst cases by sorting; sets around pairs.

    Control: the middle of the bounds for both.
    """
    found = solve(mdp, method, tolerance=tolerance)
    best, played = plain.optimal_values(mdp), plain.robust_values(mdp, found.policy)[0]
    low, high = (found.values + share * (end - found.values) for end in (found.lower, found.upper))
    return [*low, *best, *low, *played, found.radius], [*best, *high, *played, *high, tolerance + 1e-12], 10 / (1 - mdp.discount)


@claim("sweep.elimination", kind=identity, source=f"{SOURCE} 5.2", provenance="derived",
       given=(st.floats(0.1, 0.9), st.floats(0.05, 0.95), st.floats(0.1, 0.6), st.sampled_from(METHODS), st.booleans()),
       control={"tight": 1.05})  # fmt: skip
def elimination(share, late, discount, method, by_moves, tight=1.0):
    r"""Actions leave when the bounds prove them suboptimal, and no sooner. From v = 0 the one that leads to the free state costs
    ``late`` times the width $\tfrac{\gamma}{1-\gamma}$ of the bounds more at once, and less in the end; both ends are absorbing, so
    the bounds are tight there.

    Control: 1.05 times the width, where it does not pay.
    """
    width = share * discount / (1 - discount)
    gain = late if tight == 1.0 else tight
    cost = np.array([[0.0, gain * width], [share, share], [0.0, 0.0]])  # of the ends: share and 0
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1
    cost = np.repeat(cost[:, :, None], 3, axis=2) if by_moves else cost
    found = solve(RobustMDP(P, cost, discount, 0, sets.L1(0.3)), method, tolerance=1e-10)
    return found.values, [gain * width, share / (1 - discount), 0.0], 1e3 / (1 - discount)


@claim("sweep.saddle", kind=inequality, source=f"{SOURCE} 5.4", provenance="derived",
       given=(draw(model, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.3, 0.9]), "s"), st.sampled_from(METHODS)),
       control={"nominal": True})  # fmt: skip
def saddle(mdp, method, nominal=False):
    r"""Sets around states: the policy's worst case, by sorting, and the best answer to the worst kernel, by trying all deterministic
    policies, both are $J^*$: within the bounds, and no member of the set is left.

    Control: the best answer to the nominal kernel.
    """
    found = solve(mdp, method, tolerance=1e-9)
    kernel = mdp.nominal if nominal else found.kernel
    worst = plain.robust_values(mdp, found.policy)[0]
    answers = np.min([plain.values_of(mdp, policy, kernel) for policy in plain.deterministic_policies(mdp)], axis=0)
    spent = np.abs((kernel - mdp.nominal) * mdp.available[:, :, None]).sum(axis=(1, 2))
    off = np.abs(kernel.sum(axis=2) - 1).max() + np.maximum(-kernel, 0).max()
    lhs = [*worst, *found.lower, *found.lower, *spent, off]
    rhs = [*(found.upper + 1e-9), *(worst + 1e-9), *(answers + 1e-7), *(mdp.ambiguity.radius + 1e-9), 1e-9]
    return lhs, rhs, 10 / (1 - mdp.discount)


@claim("sweep.certificate", kind=inequality, source=f"{SOURCE} 5.4", provenance="derived",
       given=(draw(model, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.3, 0.9]), st.sampled_from(["sa", "s"])),
              draw(first, fit=True), st.floats(0, 1)), control={"above": 0.01})  # fmt: skip
def certificate(mdp, policy, share, above=0.0):
    r"""``saddle_certificate`` of any policy and any kernel of the set: lower is the best answer to the kernel, by trying all deterministic
    policies, upper the worst case of the policy, by sorting; and they are gap apart.

    Control: lower is above that.
    """
    worst, kernel = plain.robust_values(mdp, policy)
    kernel = mdp.nominal + share * (kernel - mdp.nominal)
    found = saddle_certificate(mdp, policy, kernel)
    low = min(mdp.initial @ plain.values_of(mdp, other, kernel) for other in plain.deterministic_policies(mdp))
    high, slack = mdp.initial @ worst, 1e-8 / (1 - mdp.discount)
    lhs = [found.lower + above, low - slack, found.upper - slack, high, abs(found.upper - found.lower - found.gap)]
    return lhs, [low, found.lower, high, found.upper, 0.0], 10 / (1 - mdp.discount)


theorem(
    "robust-sweeps",
    statement="Compiled sweeps are the worst cases of their rows, for every kind of set and layout; policy iteration of the adversary "
    "finds the fixed point of $T_\\pi$, the solvers that of T, within certified bounds, by all methods.",
    source=f"{SOURCE} 2 to 5, 11",
    provenance="derived",
    claims=(
        "sweep.rows",
        "sweep.evaluation",
        "sweep.optimum",
        "sweep.bounds",
        "sweep.saddle",
        "sweep.certificate",
        "sweep.elimination",
        "worst.certificate",
    ),
    uses={
        "sweep.rows": ("worst.certificate",),
        "sweep.evaluation": ("sweep.rows",),
        "sweep.optimum": ("sweep.rows",),
        "sweep.saddle": ("sweep.evaluation",),
    },
)
