"""The max function of robust policy gradient: smoothness, subgradients, monotone steps, the rate, the failure without rectangularity.

drpg spec, L5, L6, L11, L12, L14, L19, the outer theorem of 7.4, and 7.6. Phi(pi) = max_P J(pi, P), ell = ell_pi, L = L_pi.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.drpg import SOURCE, game, games
from proofs_check.strategies import draw
from tabular_rl import instances
from tabular_rl.algorithms import DRPG
from tabular_rl.algorithms.drpg import convergence_bound
from tabular_rl.planning import constants, gradients, robust_evaluate, solve

_pairs = draw(game, st.integers(2, 5), st.integers(2, 4), st.sampled_from([0.1, 0.5, 0.9, 0.95]), "sa")
_small = draw(game, st.integers(2, 3), 2, st.sampled_from([0.1, 0.3]), st.sampled_from(["sa", "s"]))


def rows_onto_simplex(x):
    """Euclidean projection of every row onto the simplex, by sorting."""
    ordered = -np.sort(-x, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1
    count = np.sum(ordered - excess / np.arange(1, x.shape[1] + 1) > 0, axis=1)
    level = excess[np.arange(len(x)), count - 1] / count
    return np.maximum(x - level[:, None], 0)


@claim("drpg.smooth", kind=inequality, source=f"{SOURCE} L5, L6", provenance="derived", given=(games,), control={"share": 1e-3})
def smooth(drawn, share=1.0):
    """$\\|\\nabla_\\pi J(\\pi) - \\nabla_\\pi J(\\pi')\\| \\le \\ell_\\pi \\|\\pi - \\pi'\\|$, the same in the kernel, and
    $|J(\\pi') - J(\\pi) - \\langle \\nabla_\\pi J, \\pi' - \\pi \\rangle| \\le \\ell_\\pi \\|\\pi' - \\pi\\|^2 / 2$.

    Control: a thousandth of $\\ell$.
    """
    mdp, policies, kernels = drawn
    c, (one, two) = constants(mdp), (gradients(mdp, policy, kernels[0]) for policy in policies)
    bent, turn, bend = gradients(mdp, policies[0], kernels[1]), policies[1] - policies[0], kernels[1] - kernels[0]
    rest = abs(two.objective - one.objective - np.sum(one.policy * turn))
    lhs = [np.linalg.norm(one.policy - two.policy), np.linalg.norm(one.kernel - bent.kernel), rest]
    rhs = [c.ell_policy * np.linalg.norm(turn), c.ell_kernel * np.linalg.norm(bend), c.ell_policy / 2 * np.sum(turn**2)]
    return lhs, share * np.array(rhs), 10 / (1 - mdp.discount) ** 2


@claim("drpg.weakly_convex", kind=inequality, source=f"{SOURCE} L11", provenance="derived", given=(games,), control={"bend": 0})
def weakly_convex(drawn, bend=1):
    """$\\Phi$ is $\\ell$-weakly convex, at the midpoint of two policies, and $L$-Lipschitz.

    Control: convexity.
    """
    mdp, (one, two), _ = drawn
    c, (first, middle, second) = constants(mdp), (robust_evaluate(mdp, policy).objective for policy in (one, (one + two) / 2, two))
    square = np.sum((one - two) ** 2)
    lhs, rhs = [middle, abs(first - second)], [(first + second) / 2 + bend * c.ell_policy / 8 * square, c.L_policy * np.sqrt(square)]
    return lhs, rhs, 1 / (1 - mdp.discount)


@claim("drpg.subgradient", kind=inequality, source=f"{SOURCE} L12", provenance="derived", given=(games,), control={"inexact": 0})
def subgradient(drawn, inexact=1):
    """$\\Phi(\\pi') \\ge \\Phi(\\pi) - \\epsilon + \\langle \\nabla_\\pi J(\\pi, P), \\pi' - \\pi \\rangle - \\ell \\|\\pi' - \\pi\\|^2/2$
    for every kernel with $J(\\pi, P) \\ge \\Phi(\\pi) - \\epsilon$, and policies near and far.

    Control: $\\epsilon = 0$.
    """
    mdp, (policy, far), (kernel, _) = drawn
    at, here, c = gradients(mdp, policy, kernel), robust_evaluate(mdp, policy).objective, constants(mdp)
    lhs, rhs = [], []
    for share in (1e-3, 1.0):
        turn = share * (far - policy)
        lhs.append(here - inexact * (here - at.objective) + np.sum(at.policy * turn) - c.ell_policy / 2 * np.sum(turn**2))
        rhs.append(robust_evaluate(mdp, policy + turn).objective)
    return lhs, rhs, 1 / (1 - mdp.discount)


@claim("drpg.gradient_mixture", kind=identity, source=f"{SOURCE} L14", provenance="derived",
       given=(*[st.floats(0, 0.5)] * 4, st.floats(0.05, 0.95)), control={"weighted": False})  # fmt: skip
def gradient_mixture(t, u, t2, u2, theta, weighted=True):
    """Gradients at worst kernels form a convex set: a mixture weighted by occupancies is worst, and its gradient the mixture.

    Twin pennies at the uniform policy, routers 0.9 and 0.1.  Control: the plain average of the kernels.
    """
    mdp, uniform = instances.twin_pennies(), np.full((5, 2), 0.5)
    kernels = [instances.twin_pennies_kernel(0.9, t, u), instances.twin_pennies_kernel(0.1, t2, u2)]
    one, two = (gradients(mdp, uniform, kernel) for kernel in kernels)
    x = theta * one.occupancy + (1 - theta) * two.occupancy
    share = (theta * one.occupancy / x if weighted else np.full(5, theta))[:, None, None]
    mixed = gradients(mdp, uniform, share * kernels[0] + (1 - share) * kernels[1])
    mean = theta * one.policy + (1 - theta) * two.policy
    return np.append(mixed.policy, mixed.objective), np.append(mean, one.objective), 100.0


@claim("drpg.monotone", kind=inequality, source=f"{SOURCE} L19", provenance="derived",
       given=(_pairs, st.sampled_from([0.01, 1.0, 100.0])), control={"adversary": False})  # fmt: skip
def monotone(drawn, step, adversary=True):
    """(s,a)-rectangular sets: a projected step of ANY size against the greedy kernel lowers the robust value of every state.

    Control: a step against the nominal kernel.
    """
    mdp, (policy, _), _ = drawn
    worst = robust_evaluate(mdp, policy)
    slope = gradients(mdp, policy, worst.kernel if adversary else mdp.nominal).policy
    moved = robust_evaluate(mdp, rows_onto_simplex(policy - step * slope))
    return moved.values, worst.values, 1e3 / (1 - mdp.discount)


@claim("drpg.rate", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(_small, st.sampled_from([10, 100]), st.sampled_from([0.01, 0.1, 1.0])), control={"share": 1e-3})  # fmt: skip
def rate(drawn, n, step, share=1.0):
    """$\\min_t U_t - J^* \\le K \\sqrt{2 (\\Phi(\\pi_0) - J^*) / (\\alpha T) + 2 \\ell L^2 \\alpha + (4 \\ell / T) \\sum \\epsilon_t}
    + \\tfrac{1}{T} \\sum \\epsilon_t$ for runs with any constant step, on rectangular sets.

    Control: a thousandth of it. At discounts near 1 the bound exceeds the trivial one at every T that can be run.
    """
    mdp, (policy, _), _ = drawn
    trace = DRPG(rule="constant", scale=step, start=policy).run(mdp, n)
    best = mdp.initial @ solve(mdp, tolerance=1e-9).lower
    gaps = np.maximum(trace["upper"][:-1] - trace["objective"][:-1], 0)
    return trace["upper"].min() - best, share * convergence_bound(mdp, step, n, trace["upper"][0] - best, gaps), 1.0


@claim("drpg.trapped", kind=inequality, source=f"{SOURCE} 7.6", provenance="derived",
       given=(st.floats(0.02, 0.12), st.floats(0.02, 0.12)), control={"rectangularity": "s"})  # fmt: skip
def trapped(x, y, rectangularity="none"):
    """A list of two kernels: from starts near the strict local minimum robust policy gradient stays at 0.45 or more, though $J^* = 0$.

    1000 steps 0.2 / sqrt(t + 1), inner maximum exact.  Control: their s-rectangular hull, where it reaches 0.
    """
    mdp = instances.nonrect_two_kernels(rectangularity=rectangularity)
    start = np.array([[0.5, 0.5], [x, 1 - x], [y, 1 - y], [0.5, 0.5], [0.5, 0.5]])
    trace = DRPG(rule="decreasing", scale=0.2, start=start).run(mdp, 1000)
    return 0.45, trace["objective"][-1]


theorem(
    "robust-policy-gradient",
    statement=r"Rectangular convex sets, positive start: with $K = D \sqrt{2 S} / (1 - \gamma) + L / (2 \ell)$, constant steps $\alpha$ "
    r"and certified gaps $\epsilon_t$ of the inner solver, $\min_t U_t - J^* \le K \sqrt{2 (\Phi(\pi_0) - J^*) / (\alpha T) "
    r"+ 2 \ell L^2 \alpha + (4 \ell / T) \sum_t \epsilon_t} + \tfrac{1}{T} \sum_t \epsilon_t$, of order $T^{-1/4}$. Without "
    r"rectangularity it is false. The steps through the Moreau envelope (L16 to L18) are not claimed one by one.",
    source=f"{SOURCE} 7.3 to 7.6; after Wang, Ho, Petrik 2023",
    provenance="derived",
    claims=("drpg.smooth", "drpg.weakly_convex", "drpg.subgradient", "drpg.gradient_mixture", "drpg.dominance", "drpg.monotone",
            "drpg.rate", "drpg.trapped"),
    uses={
        "drpg.weakly_convex": ("drpg.smooth",),
        "drpg.subgradient": ("drpg.smooth",),
        "drpg.rate": ("drpg.weakly_convex", "drpg.subgradient", "drpg.gradient_mixture", "drpg.dominance"),
    },
)  # fmt: skip
