"""The max function of robust policy gradient: smoothness, subgradients, one-sided derivatives, convex sets of gradients, monotone steps.

drpg spec, L5, L6, L11 to L14, L19. Phi(pi) = max_P J(pi, P), ell = ell_pi, L = L_pi.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.claims.robust.drpg import SOURCE, curved, game, games
from proofs_check.claims.robust.plain import rows_onto_simplex
from proofs_check.strategies import draw
from tabular_rl import ambiguity, instances
from tabular_rl.models import RobustMDP
from tabular_rl.planning import constants, gradients, robust_evaluate

_pairs = draw(game, st.integers(2, 5), st.integers(2, 4), st.sampled_from([0.1, 0.5, 0.9, 0.95]), "sa")


@claim("drpg.smooth", kind=inequality, source=f"{SOURCE} L5, L6", provenance="derived", given=(games,), control={"share": 0.01})
def smooth(drawn, share=1.0):
    """$\\|\\nabla_\\pi J(\\pi) - \\nabla_\\pi J(\\pi')\\| \\le \\ell_\\pi \\|\\pi - \\pi'\\|$, the same in the kernel, and
    $|J(\\pi') - J(\\pi) - \\langle \\nabla_\\pi J, \\pi' - \\pi \\rangle| \\le \\ell_\\pi \\|\\pi' - \\pi\\|^2 / 2$.

    Control: a hundredth of $\\ell$.
    """
    mdp, policies, kernels = drawn
    c, (one, two) = constants(mdp), (gradients(mdp, policy, kernels[0]) for policy in policies)
    bent, turn, bend = gradients(mdp, policies[0], kernels[1]), policies[1] - policies[0], kernels[1] - kernels[0]
    rest = abs(two.objective - one.objective - np.sum(one.policy * turn))
    lhs = [np.linalg.norm(one.policy - two.policy), np.linalg.norm(one.kernel - bent.kernel), rest]
    rhs = [c.ell_policy * np.linalg.norm(turn), c.ell_kernel * np.linalg.norm(bend), c.ell_policy / 2 * np.sum(turn**2)]
    return lhs, share * np.array(rhs), 10 / (1 - mdp.discount) ** 2


@claim("drpg.weakly_convex", kind=inequality, source=f"{SOURCE} L11", provenance="derived",
       given=(curved, st.floats(0.1, 0.9)), control={"bend": 0})  # fmt: skip
def weakly_convex(drawn, theta, bend=1):
    """$\\Phi$ is $\\ell$-weakly convex, $\\Phi(\\theta a + (1-\\theta) b) \\le \\theta \\Phi(a) + (1-\\theta) \\Phi(b)
    + \\tfrac{\\ell}{2} \\theta (1-\\theta) \\|a-b\\|^2$, and $L$-Lipschitz.

    Control: convexity.
    """
    mdp, (one, two), _ = drawn
    c, between = constants(mdp), theta * one + (1 - theta) * two
    first, middle, second = (robust_evaluate(mdp, policy).objective for policy in (one, between, two))
    square = np.sum((one - two) ** 2)
    chord = theta * first + (1 - theta) * second + bend * c.ell_policy / 2 * theta * (1 - theta) * square
    return [middle, abs(first - second)], [chord, c.L_policy * np.sqrt(square)], 1 / (1 - mdp.discount)


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


@claim("drpg.danskin", kind=inequality, source=f"{SOURCE} L13", provenance="derived",
       given=(games, st.sampled_from([1e-5, 1e-3])), control={"adversary": False})  # fmt: skip
def danskin(drawn, h, adversary=True):
    """Worst kernels $P$ at $\\pi$ and $P_h$ at $\\pi + h d$, $d = \\pi' - \\pi$, enclose the one-sided derivative of $\\Phi$: $h \\langle
    \\nabla_\\pi J(\\pi, P), d\\rangle - c \\le \\Phi(\\pi + h d) - \\Phi(\\pi) \\le h \\langle \\nabla_\\pi J(\\pi, P_h), d\\rangle + c$
    with $c = \\ell h^2 \\|d\\|^2 / 2$.

    Control: the gradients are those at the nominal kernel.
    """
    mdp, (policy, far), _ = drawn
    turn, c = far - policy, constants(mdp)
    here, ahead = robust_evaluate(mdp, policy), robust_evaluate(mdp, policy + h * turn)
    kernels = (here.kernel, ahead.kernel) if adversary else (mdp.nominal, mdp.nominal)
    below, above = (h * np.sum(gradients(mdp, policy, kernel).policy * turn) for kernel in kernels)
    curved, moved = c.ell_policy * h**2 * np.sum(turn**2) / 2, ahead.objective - here.objective
    return [below - curved, moved], [moved, above + curved], 0.1 / (1 - mdp.discount)


@claim("drpg.kink", kind=identity, source=f"{SOURCE} L13, L14, 9.5", provenance="derived",
       given=(st.floats(0.1, 1), st.floats(0.1, 0.95)), control={"largest": False})  # fmt: skip
def kink(radius, discount, largest=True):
    """Matching pennies at the uniform policy: the worst kernels put the budget on one action, on the other, or share it. Their gradients
    are $\\tfrac{d_0}{1-\\gamma} \\gamma (b_a + \\gamma v_0)$, $b_a$ the chance to end badly, and the derivative of $\\Phi$ to
    either side is the largest of the slopes.

    Control: the smallest.
    """
    mdp, uniform, toward = instances.pennies(radius, discount), np.full((3, 2), 0.5), np.array([1.0, -1.0])
    found, expected = [], []
    v0 = instances.pennies_values(0.5, radius, discount)[0]
    visits = (0.8 + 0.2 * discount) / (1 - discount**2)
    for spent in (radius, 0.0):  # on action 0; the rest on action 1
        kernel, bad = np.array(mdp.nominal), 0.5 + np.array([spent, radius - spent]) / 2
        kernel[0, :, 1:] = np.column_stack([1 - bad, bad])
        found.append(gradients(mdp, uniform, kernel).policy[0])
        expected.append(visits * discount * (bad + discount * v0))
    rise = visits * discount * radius / 2  # of the closed form, per unit of max(x, 1 - x)
    slopes = [(max if largest else min)(sign * toward @ slope for slope in found) for sign in (1, -1)]
    return [*np.ravel(found), *slopes], [*np.ravel(expected), rise, rise], 100 / (1 - discount)


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
       given=(_pairs, st.sampled_from([0.01, 1.0, 100.0])), control={"by_state": True})  # fmt: skip
def monotone(drawn, step, by_state=False):
    """(s,a)-rectangular sets: a projected step of ANY size against the greedy kernel lowers the robust value of every state.

    Control: the s-rectangular sets of the summed radii, where steps overshoot the kinks.
    """
    mdp, (policy, _), _ = drawn
    if by_state:
        shared = ambiguity.SRectangularL1(mdp.ambiguity.radius.sum(axis=1))
        mdp = RobustMDP(mdp.nominal, mdp.cost, mdp.discount, mdp.initial, shared)
    worst = robust_evaluate(mdp, policy)
    slope = gradients(mdp, policy, worst.kernel).policy
    moved = robust_evaluate(mdp, rows_onto_simplex(policy - step * slope))
    return moved.values, worst.values, 1e3 / (1 - mdp.discount)
