"""Ambiguity that joins the rows of a state, and Euclidean projections onto ambiguity sets (drpg spec, sections 3, 4)."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.robust.plain import rows_onto_simplex
from proofs_check.claims.robust.robust_kernels import SOURCE, radii, relative_entropy
from proofs_check.strategies import STYLES, draw
from proofs_check.strategies import rows as distributions
from tabular_rl import ambiguity as sets
from tabular_rl.kernels.robust import rows as codes
from tabular_rl.planning import worst_case


def state(A, n, style, ties, seed):
    """(z, p0) as an array [2, A, n]: costs to come of the rows of one state, and their nominal distributions."""
    rng = np.random.default_rng(seed)
    z = rng.random((A, n)) * 10.0 ** rng.uniform(-1, 1)
    return np.stack([np.round(z, 1) if ties else z, distributions(rng, (A, n), style)])


def policy_of(first, style, seed):
    """Probabilities of the actions of the state ``first``."""
    return distributions(np.random.default_rng(seed), (first.shape[1],), style)


states = draw(state, st.integers(1, 4), st.integers(1, 7), st.sampled_from(STYLES), st.booleans())
choices = draw(policy_of, st.sampled_from(STYLES), fit=True)


def against(z, p0, radius, policy=None, ambiguity=sets.SRectangularL1):
    """(value, policy [A], worst rows [A, n]): the worst case of ``policy``, or the least one over policies."""
    from tabular_rl.kernels.robust.sweeps import state_backup, state_evaluation

    A, n = z.shape
    size = max(n, 2)  # a model with n states, of which the first has the rows in question
    P, cost = np.zeros((size, A, size)), np.zeros((size, A, size))
    P[..., 0] = 1
    P[0] = 0
    P[0, :, :n], cost[0, :, :n] = p0, z
    uncertain = ambiguity(np.where(np.arange(size) == 0, radius, 0.0))
    rows = sets.rows(P, cost, uncertain)
    work, improved, worst = codes.workspace(rows, uncertain.code), np.empty(size), np.empty(len(rows.nominal))
    if policy is None:
        policy = np.empty((size, A))
        state_backup(uncertain.code, rows, 0.5, np.zeros(size), improved, policy, worst, work)
    else:
        policy = np.tile(policy, (size, 1))
        state_evaluation(uncertain.code, rows, policy, 0.5, np.zeros(size), improved, worst, work)
    return improved[0], policy[0], sets.kernel(rows, worst)[0, :, :n]


JOINT: dict[str, Any] = {  # the set, and what it is a ball of
    "L1": (sets.SRectangularL1, lambda p, p0: np.abs(p - p0).sum()),
    "KL": (sets.SRectangularKL, lambda p, p0: sum(relative_entropy(*pair) for pair in zip(p, p0, strict=True))),
    "L2": (sets.SRectangularL2, lambda p, p0: np.linalg.norm(p - p0)),
}
joint = st.sampled_from(tuple(JOINT))


@claim("states.saddle", kind=identity, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, radii, joint), control={"deterministic": True})  # fmt: skip
def saddle(pair, radius, kind, deterministic=False):
    """Policy and rows of the backup are a saddle point: the worst case of the policy, and the best answer to the rows, are its value. L1,
    relative entropy, and Euclidean distance, summed over the actions of a state.

    Control: the most likely action alone; agents must randomize.
    """
    z, p0 = pair
    value, policy, rows = against(z, p0, radius, ambiguity=JOINT[kind][0])
    if deterministic:
        policy = np.eye(len(policy))[np.argmax(policy)]
    worst, _, played = against(z, p0, radius, policy, JOINT[kind][0])
    return [worst, policy @ (played * z).sum(axis=1), np.min((rows * z).sum(axis=1)), policy.sum()], [value] * 3 + [1], np.abs(z).max()


@claim("states.multiplier", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, st.floats(0.01, 1.0), joint, choices), control={"radius_of": 0.9})  # fmt: skip
def multiplier(pair, radius, kind, policy, radius_of=1.0):
    r"""The worst case of a policy over a joint budget is the least, over multipliers, of what separate rows reach:
    $\min_\lambda \lambda r + \sum_a \max_p (\pi_a p \cdot z_a - \lambda f(p, \bar p_a))$, f the distance (for L2 its square, and $r^2$),
    the maxima by sorting, in closed form, and by projections; the least by golden sections.

    Control: of 0.9 times the radius.
    """
    from scipy.optimize import minimize_scalar

    z, p0 = pair
    r = radius_of * (radius**2 if kind == "L2" else radius)

    def of_row(z, p0, price):
        on = p0 > 0
        z, p0 = z[on], p0[on]
        if kind == "KL":  # price log E exp(z / price)
            top = z.max()
            return top + price * np.log(p0 @ np.exp((z - top) / price)) if price > 0 else top
        if kind == "L1":  # a unit moved costs 2 price
            return p0 @ np.maximum(z, z.max() - 2 * price)
        p = rows_onto_simplex((p0 + z / (2 * price))[None])[0] if price > 0 else np.eye(len(z))[z.argmax()]
        return p @ z - price * np.sum((p - p0) ** 2)

    def dual(price):
        return price * r + sum(of_row(pi * row, p, price) for pi, row, p in zip(policy, z, p0, strict=True))

    value, size = against(z, p0, radius, policy, JOINT[kind][0])[0], np.ptp(z) + np.abs(z).max()
    if kind == "L1":  # piecewise linear in the price
        gains = np.where(p0 > 0, z, -np.inf).max(axis=1)[:, None] - z
        bound, precision = min(dual(max(price, 0.0)) for price in [0.0, *np.ravel(policy[:, None] * gains / 2)]), 0.0
    else:
        ends, precision = np.log([1e-9 * size, 1e3 * size]), 1e-7 * size
        bound = minimize_scalar(lambda x: dual(np.exp(x)), bounds=ends, method="bounded", options={"xatol": 1e-10}).fun
        bound = min(bound, dual(0.0)) if kind == "KL" else bound
    return [value - bound, bound - value], precision, size


@claim("states.budget", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, radii, joint), control={"share": 0.5})  # fmt: skip
def budget(pair, radius, kind, share=1.0):
    """The rows of the saddle point, and those that are worst for its policy, spend at most the radius together.

    Control: half of it.
    """
    z, p0 = pair
    _, policy, rows = against(z, p0, radius, ambiguity=JOINT[kind][0])
    members = rows, against(z, p0, radius, policy, JOINT[kind][0])[2]
    spent = [JOINT[kind][1](x, p0) for x in members]
    off = [np.abs(x.sum(axis=1) - 1).max() + np.maximum(-x, 0).max() + x[p0 == 0].sum() for x in members]
    return [*spent, *off], [share * radius] * 2 + [0.0] * 2, max(1.0, radius)


@claim("states.rectangles", kind=inequality, source=f"{SOURCE} section 13 item 22", provenance="derived",
       given=(states, radii, choices), control={"share": 0.25})  # fmt: skip
def rectangles(pair, radius, policy, share=1.0):
    """A policy's worst case over a joint budget r is at least that of r / A for every row, and at most that of r for every row.

    Control: at most that of r / 4 for every row.
    """
    z, p0 = pair
    A = len(policy)
    low, high = (sum(policy[a] * worst_case(z[a], p0[a], sets.L1(r)).value for a in range(A)) for r in (radius / A, share * radius))
    joint = against(z, p0, radius, policy)[0]
    return [low, joint], [joint, high], np.abs(z).max()


@claim("states.order", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, radii, choices), control={"sign": -1})  # fmt: skip
def order(pair, radius, policy, sign=1):
    """No policy does better than the saddle point's, and randomizing helps: the value lies between the nominal optimum and the best
    deterministic policy's worst case. Control: it is no larger than the nominal optimum.
    """
    z, p0 = pair
    value, worst = against(z, p0, radius)[0], against(z, p0, radius, policy)[0]
    nominal = (p0 * z).sum(axis=1).min()
    alone = min(worst_case(z[a], p0[a], sets.L1(radius)).value for a in range(len(policy)))
    first = (nominal, value) if sign > 0 else (value, nominal)
    return [first[0], value, value], [first[1], worst, alone], np.abs(z).max()


PROJECTED: dict[str, Any] = {
    "L1": sets.L1,
    "L infinity": sets.LInf,
    "L2": sets.L2,
    "contamination": lambda r: sets.Contamination(min(r, 1)),
    "density ratio": lambda r: sets.DensityRatio(1 / (1 + r)),
    "joint L1": sets.SRectangularL1,
}


def target(first, spread, seed):
    """A point to project, any numbers around the nominal distribution."""
    return first[1, 0] + spread * np.random.default_rng(seed).normal(size=first.shape[2])


@claim("projection.variational", kind=inequality, source=f"{SOURCE} section 4", provenance="derived",
       given=(states, radii, draw(target, st.sampled_from([0.01, 0.3, 3.0]), fit=True)), control={"clip": True})  # fmt: skip
def variational(pair, radius, x, clip=False):
    """p projects x onto the set exactly if it is a member and (x - p).(y - p) <= 0 for every member y; the one that maximizes (x - p).y
    stands for all. Every kind of set.

    Control: negative entries cut off and the rest scaled to sum 1.
    """
    from tabular_rl.kernels.robust.sweeps import project

    p0, n, lhs = pair[1, 0], len(x), []
    for kind, make in PROJECTED.items():
        ambiguity = make(radius)
        rows = sets.rows(np.tile(p0, (n, 1, 1)), np.zeros((n, 1, n)), ambiguity)
        out = np.empty(len(rows.nominal))
        project(ambiguity.code, rows, sets.flat(rows, np.tile(x, (n, 1, 1))), out, codes.workspace(rows, ambiguity.code))
        p = sets.kernel(rows, out)[0, 0]
        if clip:
            p = np.maximum(x, 0) * (p0 > 0)
            p = p / p.sum() if p.sum() > 0 else p0
        off = x - p if ambiguity.is_full else np.where(p0 > 0, x - p, 0)
        alone = sets.L1(radius) if kind == "joint L1" else ambiguity  # of one action
        far = [worst_case(sign * x, p0, alone).distribution @ x for sign in (1, -1)]  # p is a member: no further than these
        lhs += [worst_case(off, p0, alone).value - off @ p, p @ x - far[0], far[1] - p @ x, abs(p.sum() - 1), -p.min()]
    return lhs, 0.0, 10 * max(1.0, np.abs(x).max())


@claim("projection.joint", kind=inequality, source=f"{SOURCE} section 4", provenance="derived",
       given=(states, st.floats(0.01, 2.0), st.sampled_from([0.01, 0.3, 3.0]), st.integers(0, 1000)),
       control={"separate": True})  # fmt: skip
def joint_projection(pair, radius, spread, seed, separate=False):
    """The rows of a state onto one L1 ball: the variational inequality against the member that maximizes (x - p).y, a member itself.

    Control: every row onto its own ball of that radius.
    """
    from tabular_rl.kernels.robust.sweeps import project

    p0, (A, n) = pair[1], pair[1].shape
    x = p0 + spread * np.random.default_rng(seed).normal(size=(A, n))
    size = max(n, 2)
    P = np.zeros((size, A, size))
    P[..., 0] = 1
    P[0] = 0
    P[0, :, :n] = p0
    uncertain = sets.L1(radius) if separate else sets.SRectangularL1(radius)
    rows, full = sets.rows(P, np.zeros((size, A, size)), uncertain), P.copy()
    full[0, :, :n] = x
    out = np.empty(len(rows.nominal))
    project(uncertain.code, rows, sets.flat(rows, full), out, codes.workspace(rows, uncertain.code))
    p = sets.kernel(rows, out)[0, :, :n]
    off = np.where(p0 > 0, x - p, 0)
    best = against(off, p0, radius, np.ones(A))[0]
    return (
        [best - np.sum(off * p), np.abs(p - p0).sum(), np.abs(p.sum(axis=1) - 1).max()],
        [0.0, radius, 0.0],
        10 * max(1.0, np.abs(x).max()),
    )


def point(n, style, seed):
    """Numbers of any size, some of them tied or minus infinity."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) * 10.0 ** rng.uniform(-2, 5)
    return np.round(x, 1) if style == "ties" else x


@claim("projection.simplex", kind=identity, source="Michelot 1986; drpg spec section 4", provenance="derived",
       given=(draw(point, st.integers(1, 12), st.sampled_from(["plain", "ties"])),), control={"mass": 0.9})  # fmt: skip
def simplex_projection(x, mass=1.0):
    """One row onto the simplex, in place or not: the threshold that sorted fractions give, exactly; an action that does not exist gets 0.

    Control: the threshold of the mass 0.9.
    """
    from fractions import Fraction

    from tabular_rl.kernels.simplex import project_simplex

    exact, total, threshold = [Fraction(value) for value in x.tolist()], -Fraction(mass), Fraction(0)
    for count, value in enumerate(sorted(exact, reverse=True), 1):
        total += value
        if value * count > total:
            threshold = total / count
    p, again = np.empty(len(x) + 1), np.append(x, -np.inf)
    project_simplex(again, p)
    project_simplex(again, again)
    expected = [*(float(max(value - threshold, Fraction(0))) for value in exact), 0.0]
    return [*p, *again], [*expected, *expected], max(1.0, min(np.abs(x).max(), 1e3))


theorem(
    "state-ambiguity",
    statement="With one L1 budget for the rows of a state, a randomized policy and rows that spend the budget form a saddle point: "
    "$\\min_\\pi \\max_P \\sum_a \\pi_a P_a \\cdot z_a = \\max_P \\min_a P_a \\cdot z_a$. The value lies between those of the rectangles "
    "inside and around it. Projections onto the sets satisfy the variational inequality.",
    source=f"{SOURCE} sections 3, 4; Ho, Petrik, Wiesemann 2021",
    provenance="derived",
    claims=(
        "states.saddle", "states.multiplier", "states.budget", "states.rectangles", "states.order", "projection.simplex",
        "projection.variational", "projection.joint",
    ),
    uses={"states.order": ("states.saddle", "states.budget")},
)  # fmt: skip
