"""Projected gradient ascent of the adversary: the inner theorem of robust policy gradient, steps of any size (drpg spec, 7.4, L19, L20).

P <- project(P + beta dJ/dP) on a rectangular convex set, policy fixed.
delta_k = Phi - J(P_k), M_k = (P_{k+1} - P_k) / beta, C = 2 diam(U) D / (1 - discount).
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality, theorem
from proofs_check.claims.robust.drpg import SOURCE, curved, gain, game, games
from proofs_check.strategies import draw
from tabular_rl import instances
from tabular_rl.planning import constants, gradients, robust_evaluate
from tabular_rl.planning.robust.solve import compiled, flat_kernel, kernel_of

_ascents = draw(game, st.integers(2, 4), st.integers(2, 3), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["sa", "s"]))


def adversary_step(mdp, policy, kernel, step):
    """(J(policy, kernel), the kernel after one step of projected ascent)."""
    from tabular_rl.kernels.robust.evaluation import answer_to, ascend, evaluate_policy

    play, policy = compiled(mdp), np.array(policy)
    answer = answer_to(play, flat_kernel(mdp, kernel))
    evaluate_policy(play.rows, answer.kernel, policy, mdp.discount, answer.system, answer.values)
    ascend(play, policy, step, answer)
    return mdp.initial @ answer.values, kernel_of(mdp, answer.kernel)


def diameter(mdp):
    """A bound of the Euclidean diameter of an L1 set: members of a ball of radius r are at most min(2 r, 2) apart in L1, hence
    min(2 r, 2) / sqrt(2) in the Euclidean norm, as their difference sums to 0."""
    radius = mdp.ambiguity.radius
    most = 2.0 if mdp.ambiguity.rectangularity == "sa" else 2.0 * mdp.n_actions
    return np.sqrt(np.sum(np.minimum(2 * radius**2, most)))


def progress_constant(mdp):
    """C of the inner theorem."""
    return 2 * diameter(mdp) * constants(mdp).mismatch / (1 - mdp.discount)


@claim("drpg.diameter", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(games, st.integers(0, 1000)), control={"share": 0.5})  # fmt: skip
def small_diameter(drawn, seed, share=1.0):
    r"""$\operatorname{diam}(U)^2 \le \sum_{sa} \min(2\kappa_{sa}^2, 2)$ for L1 balls around the pairs, $\sum_s \min(2\kappa_s^2, 2A)$ for
    those of the states: tried with kernels that are worst for opposite costs.

    Control: half of the diameter.
    """
    mdp, (policy, _), _ = drawn
    values = 1e6 * np.random.default_rng(seed).normal(size=mdp.n_states)
    if mdp.ambiguity.rectangularity == "s":  # the whole budget on one row
        policy = np.eye(mdp.n_actions)[policy.argmax(axis=1)]
    far = [gain(mdp, policy, sign * values)[1] for sign in (1, -1)]
    return np.linalg.norm(far[0] - far[1]), share * diameter(mdp)


@claim("drpg.inner_ascent", kind=inequality, source=f"{SOURCE} 7.4 (a)", provenance="derived",
       given=(_ascents,), control={"factor": 2.0})  # fmt: skip
def inner_ascent(drawn, factor=0.5):
    r"""Monotone error reduction: a step $P_{k+1} = P_k + \beta M_k$, $\beta = 1/\ell_P$, has
    $J(P_{k+1}) \ge J(P_k) + \tfrac{\beta}{2} \|M_k\|^2$.

    Control: $2\beta$ in place of $\beta/2$.
    """
    mdp, (policy, _), (kernel, _) = drawn
    step = 1 / constants(mdp).ell_kernel
    before, moved = adversary_step(mdp, policy, kernel, step)
    return before + factor * np.sum((moved - kernel) ** 2) / step, gradients(mdp, policy, moved).objective, 1 / (1 - mdp.discount)


@claim("drpg.inner_progress", kind=inequality, source=f"{SOURCE} 7.4 (b)", provenance="derived", given=(_ascents,), control={"share": 1e-3})
def inner_progress(drawn, share=1.0):
    r"""A short step means a small gap $\delta_k = \Phi - J(P_k)$: $\delta_{k+1} \le C \|M_k\|$, $\beta = 1/\ell_P$, and
    $\delta_k - \delta_{k+1} \ge b \, \delta_{k+1}^2$ with $b = \beta/(2 C^2)$.

    Control: a thousandth of C.
    """
    mdp, (policy, _), (kernel, _) = drawn
    step, C = 1 / constants(mdp).ell_kernel, share * progress_constant(mdp)
    before, moved = adversary_step(mdp, policy, kernel, step)
    worst, after = robust_evaluate(mdp, policy).objective, gradients(mdp, policy, moved).objective
    lhs = [worst - after, step / (2 * C**2) * (worst - after) ** 2]
    return lhs, [C * np.linalg.norm(moved - kernel) / step, after - before], 1 / (1 - mdp.discount)


@claim("drpg.inner_rate", kind=inequality, source=f"{SOURCE} 7.4 (c)", provenance="derived",
       given=(_ascents, st.sampled_from([1, 5, 20])), control={"quick": True})  # fmt: skip
def inner_rate(drawn, n, quick=False):
    r"""After $k$ steps $\beta = 1/\ell_P$ the gap $\delta_k = \Phi - J(P_k)$ is at most $1/(1/\delta_0 + k \min(b/2, 1/\delta_0))$: of
    order $1/\epsilon$ steps. The constant b is small: at 20 steps the bound is hardly below the first gap.

    Control: $1/\delta_0$ in place of the minimum.
    """
    mdp, (policy, _), (kernel, _) = drawn
    step, worst = 1 / constants(mdp).ell_kernel, robust_evaluate(mdp, policy).objective
    first = worst - gradients(mdp, policy, kernel).objective
    for _ in range(n):
        kernel = adversary_step(mdp, policy, kernel, step)[1]
    b = step / (2 * progress_constant(mdp) ** 2)
    growth = first if quick else min(b / 2 * first**2, first)  # times 1 / first^2
    last = worst - gradients(mdp, policy, kernel).objective
    return last * (first + n * growth), first**2, first / (1 - mdp.discount)


@claim("drpg.any_step", kind=inequality, source=f"{SOURCE} L20", provenance="derived",
       given=(curved, st.sampled_from([-3, 0, 3, 6, 7]), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0.02, 0.98)),
       control={"shared": True})  # fmt: skip
def any_step(drawn, exponent, x, y, mixed, shared=False):
    r"""Ascent on rectangular sets never lowers J, for steps from $10^{-3}$ to $10^7$ times $1/\ell_P$: on L1 sets, and on the segments
    between the two kernels of the counterexample, state by state.

    Control: one segment for the whole kernel, which is not rectangular: long steps overshoot.
    """
    mdp, (policy, _), (kernel, _) = drawn
    step = 10.0**exponent / constants(mdp).ell_kernel
    before, moved = adversary_step(mdp, policy, kernel, step)
    after = gradients(mdp, policy, moved).objective

    hull = instances.nonrect_two_kernels(rectangularity="s")
    play = np.array([[0.5, 0.5], [x, 1 - x], [y, 1 - y], [0.5, 0.5], [0.5, 0.5]])
    start, toward = hull.ambiguity.kernels[0], hull.ambiguity.kernels[1] - hull.ambiguity.kernels[0]
    at = gradients(hull, play, start + mixed * toward)
    axes = (0, 1, 2) if shared else (1, 2)
    slope, square = (np.sum(factor * toward, axis=axes, keepdims=True) for factor in (at.kernel, toward))
    move = 10.0**exponent / constants(hull).ell_kernel * np.divide(slope, square, out=np.zeros_like(slope), where=square > 0)
    there = gradients(hull, play, start + np.clip(mixed + move, 0, 1) * toward).objective
    return [before, at.objective], [after, there], 1 / (1 - mdp.discount)


theorem(
    "robust-inner-ascent",
    statement=r"Projected gradient ascent on the kernel, step $\beta = 1/\ell_P$, over a rectangular convex set with positive start: every "
    r"step $P_{k+1} = P_k + \beta M_k$ raises J by $\tfrac{\beta}{2} \|M_k\|^2$, and after k steps the gap $\delta_k = \Phi - J(P_k)$ "
    r"is at most $1/(1/\delta_0 + k \min(b/2, 1/\delta_0))$, $b = \beta/(2 C^2)$, $C = 2 \operatorname{diam}(U) D/(1-\gamma)$.",
    source=f"{SOURCE} 7.4; after Wang, Ho, Petrik 2023",
    provenance="derived",
    claims=("drpg.smooth", "drpg.kernel_dominance", "drpg.diameter", "drpg.inner_ascent", "drpg.inner_progress", "drpg.inner_rate"),
    uses={
        "drpg.inner_ascent": ("drpg.smooth",),
        "drpg.inner_progress": ("drpg.inner_ascent", "drpg.kernel_dominance", "drpg.diameter"),
        "drpg.inner_rate": ("drpg.inner_ascent", "drpg.inner_progress"),
    },
)

theorem(
    "robust-any-step",
    statement="Rectangularity makes projected gradient steps of any size monotone: of the adversary on rectangular convex sets, for J; of "
    "the agent on (s,a)-rectangular sets against the kernel that is greedy in all pairs, for the robust value of every state.",
    source=f"{SOURCE} L19, L20",
    provenance="derived",
    claims=("drpg.kernel_difference", "drpg.policy_difference", "drpg.operator", "drpg.any_step", "drpg.monotone"),
    uses={"drpg.any_step": ("drpg.kernel_difference",), "drpg.monotone": ("drpg.policy_difference", "drpg.operator")},
)
