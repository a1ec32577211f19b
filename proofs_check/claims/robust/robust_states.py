"""Ambiguity that joins the rows of a state, and Euclidean projections onto ambiguity sets (drpg spec, sections 3, 4)."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.robust.robust_kernels import SOURCE, radii
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


@claim("states.saddle", kind=identity, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, radii), control={"deterministic": True})  # fmt: skip
def saddle(pair, radius, deterministic=False):
    """Policy and rows of the L1 backup are a saddle point: the worst case of the policy, and the best answer to the rows, are its value.

    Control: the most likely action alone; agents must randomise.
    """
    z, p0 = pair
    value, policy, rows = against(z, p0, radius)
    if deterministic:
        policy = np.eye(len(policy))[np.argmax(policy)]
    return [against(z, p0, radius, policy)[0], np.min((rows * z).sum(axis=1))], value, np.abs(z).max()


@claim("states.budget", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(states, radii), control={"share": 0.5})  # fmt: skip
def budget(pair, radius, share=1.0):
    """The rows of the saddle point, and those that are worst for its policy, spend at most the radius together.

    Control: half of it.
    """
    z, p0 = pair
    _, policy, rows = against(z, p0, radius)
    spent = [np.abs(x - p0).sum() for x in (rows, against(z, p0, radius, policy)[2])]
    return spent, share * radius, max(1.0, radius)


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
    """No policy does better than the saddle point's, and randomising helps: the value lies between the nominal optimum and the best
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
}


def target(first, spread, seed):
    """A point to project, any numbers around the nominal distribution."""
    return first[1, 0] + spread * np.random.default_rng(seed).normal(size=first.shape[2])


@claim("projection.variational", kind=inequality, source=f"{SOURCE} section 4", provenance="derived",
       given=(states, st.sampled_from(tuple(PROJECTED)), radii, draw(target, st.sampled_from([0.01, 0.3, 3.0]), fit=True)),
       control={"clip": True})  # fmt: skip
def variational(pair, kind, radius, x, clip=False):
    """p projects x onto the set exactly if (x - p).(y - p) <= 0 for every member y; the one that maximises (x - p).y stands for all.

    Control: negative entries cut off and the rest scaled to sum 1.
    """
    from tabular_rl.kernels.robust.sweeps import project

    p0, n = pair[1, 0], len(x)
    ambiguity = PROJECTED[kind](radius)
    P = np.tile(p0, (n, 1, 1))
    rows = sets.rows(P, np.zeros((n, 1, n)), ambiguity)
    full, out = np.tile(x, (n, 1, 1)), np.empty(len(rows.nominal))
    project(ambiguity.code, rows, sets.flat(rows, full), out, codes.workspace(rows, ambiguity.code))
    p = sets.kernel(rows, out)[0, 0]
    if clip:
        p = np.maximum(x, 0) * (p0 > 0)
        p = p / p.sum() if p.sum() > 0 else p0
    off = x - p if ambiguity.is_full else np.where(p0 > 0, x - p, 0)
    return worst_case(off, p0, ambiguity).value - off @ p, 0.0, 10 * max(1.0, np.abs(x).max())


theorem(
    "state-ambiguity",
    statement="With one L1 budget for the rows of a state, a randomised policy and rows that spend the budget form a saddle point: "
    "$\\min_\\pi \\max_P \\sum_a \\pi_a P_a \\cdot z_a = \\max_P \\min_a P_a \\cdot z_a$. The value lies between those of the rectangles "
    "inside and around it. Projections onto the sets satisfy the variational inequality.",
    source=f"{SOURCE} sections 3, 4; Ho, Petrik, Wiesemann 2021",
    provenance="derived",
    claims=("states.saddle", "states.budget", "states.rectangles", "states.order", "projection.variational"),
    uses={"states.order": ("states.saddle", "states.budget")},
)
