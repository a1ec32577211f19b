"""The outer theorem of robust policy gradient, through the Moreau envelope of the max function (drpg spec, L16 to L18 and 7.4).

Phi_l(pi) = min over policies x of F(x) = Phi(x) + ell |x - pi|^2, attained at the prox point; ell = ell_pi, g(pi) = 2 ell |pi - prox|.
F is ell-strongly convex, so a point whose F exceeds a lower bound by ``gap`` is within sqrt(2 gap / ell) of the prox point: the claims
take each side at the end of these intervals that weakens them.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality, theorem
from proofs_check.claims.robust.drpg import SOURCE, game
from proofs_check.claims.robust.plain import rows_onto_simplex
from proofs_check.strategies import draw
from proofs_check.verdicts import Sides
from tabular_rl import instances
from tabular_rl.algorithms import DRPG
from tabular_rl.algorithms.robust.drpg import convergence_bound, envelope_change
from tabular_rl.models import RobustMDP
from tabular_rl.planning import constants, gradients, robust_evaluate, solve
from tabular_rl.planning.robust.policy import optimality_radius

MOST_CUTS = 16
small_games = draw(game, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["sa", "s"]))
_runs = draw(game, st.integers(2, 3), 2, st.sampled_from([0.1, 0.1, 0.3, 0.9]), st.sampled_from(["sa", "s"]))


class Prox(NamedTuple):
    """``lower`` <= Phi_l(pi) <= ``upper`` = F(``point``), and ``point`` is within ``radius`` of the prox point; ``worst`` = Phi(pi)."""

    point: np.ndarray
    lower: float
    upper: float
    radius: float
    worst: float


def prox(mdp, policy):
    """The prox point of ``policy`` by cutting planes, with its certificate.

    Every policy y and kernel P give a cut F(x) >= J(y, P) + <dJ(y, P), x - y> - ell |x - y|^2 / 2 + ell |x - pi|^2 (L6), which is
    ell |x - pi|^2 / 2 and a linear function. Any weights on the cuts give a lower bound, whose minimizer is one projection;
    weight is moved between pairs of cuts while that gains, and cuts without weight are dropped.
    """
    ell, here = constants(mdp).ell_policy, robust_evaluate(mdp, policy)
    precision = 1e-12 / (1 - mdp.discount) ** 2  # above the rounding of a linear solve with costs in [0, 1]
    point, upper, lower = policy, here.objective + here.gap, -np.inf
    heights, slopes, weights, x, at = [], [], np.zeros(0), policy, here
    for _ in range(MOST_CUTS):
        used = np.flatnonzero(weights)
        heights, slopes, weights = [heights[i] for i in used], [slopes[i] for i in used], weights[used]
        slope = gradients(mdp, x, at.kernel).policy
        off = x - policy
        slopes.append(slope + ell * off)
        heights.append(at.objective - np.sum(slope * x) + ell / 2 * np.sum(off**2) - ell * np.sum(off * x))
        weights = np.append(weights, 0.0 if len(weights) else 1.0)
        x, lower = _lowest(np.array(heights), np.array(slopes), weights, ell, policy, precision / 4)
        at = robust_evaluate(mdp, x, kernel=at.kernel)
        value = at.objective + at.gap + ell * np.sum((x - policy) ** 2)
        if value < upper:
            point, upper = x, value
        if upper - lower <= precision:
            break
    gap = max(upper - lower, 0) + precision
    return Prox(point, lower - precision, upper + precision, float(np.sqrt(2 * gap / ell)), here.objective)


def _lowest(heights, slopes, weights, ell, policy, target):
    """The weights that raise the bound most, found in place; returns (its minimizer, the bound)."""

    def minimizer(w):
        x = rows_onto_simplex(policy - np.tensordot(w, slopes, 1) / ell)
        return x, heights + np.tensordot(slopes, x, 2)

    x, cuts = minimizer(weights)
    for _ in range(60):
        rise, fall = int(np.argmax(cuts)), int(np.argmin(np.where(weights > 0, cuts, np.inf)))
        if cuts[rise] - weights @ cuts <= target or cuts[rise] - cuts[fall] <= target:
            break
        # the difference of the two cuts falls, piecewise linearly, as weight moves from one to the other: regula falsi (Illinois)
        low, high, start = 0.0, weights[fall], weights.copy()
        top = cuts[rise] - cuts[fall]
        move = np.zeros_like(weights)
        move[rise], move[fall] = 1, -1
        x, cuts = minimizer(start + high * move)
        bottom, moved = cuts[rise] - cuts[fall], high
        for _ in range(40):
            if bottom >= 0 or high - low <= 1e-16:
                break
            moved = (low * bottom - high * top) / (bottom - top)
            x, cuts = minimizer(start + moved * move)
            now = cuts[rise] - cuts[fall]
            if abs(now) <= target / 4:
                break
            if now > 0:
                low, top, bottom = moved, now, bottom / 2
            else:
                high, bottom, top = moved, now, top / 2
        weights[:] = np.maximum(start + moved * move, 0)
    weights /= weights.sum()
    x, cuts = minimizer(weights)
    return x, float(weights @ cuts + ell / 2 * np.sum((x - policy) ** 2))


def _moves(mdp, policy, found):
    """(least, most) of g(policy) that the certificate of its prox point leaves possible."""
    ell = constants(mdp).ell_policy
    distance = np.linalg.norm(policy - found.point)
    return 2 * ell * max(distance - found.radius, 0.0), 2 * ell * (distance + found.radius)


@claim("drpg.prox", kind=inequality, source=f"{SOURCE} 7.4, 9.5", provenance="derived",
       given=(st.floats(0, 1), st.floats(0.1, 1), st.sampled_from([0.1, 0.3, 0.5, 0.7])), control={"factor": 0.5})  # fmt: skip
def prox_of_pennies(first, radius, discount, factor=1.0):
    r"""Matching pennies have the prox point in closed form, a soft threshold towards 1/2: the cutting planes find it within their
    certified radius.

    Control: half of $\ell$, where it moves twice as far.
    """
    mdp = instances.pennies(radius, discount)
    policy = np.array([[first, 1 - first], [0.5, 0.5], [0.5, 0.5]])
    rise = (0.8 + 0.2 * discount) / (1 - discount**2) * discount * radius / 2
    step = rise / (4 * factor * constants(mdp).ell_policy)
    exact = np.array(policy)
    exact[0, 0] = max(first - step, 0.5) if first > 0.5 else min(first + step, 0.5)
    exact[0, 1] = 1 - exact[0, 0]
    found = prox(mdp, policy)
    return np.linalg.norm(found.point - exact), found.radius


@claim("drpg.envelope", kind=inequality, source=f"{SOURCE} L16", provenance="classical", given=(small_games,), control={"reverse": True})
def envelope(drawn, reverse=False):
    r"""$J^* \le \Phi_\ell(\pi) \le \Phi(\pi)$.

    Control: $\Phi(\pi) \le \Phi_\ell(\pi)$.
    """
    mdp, (policy, _), _ = drawn
    found, best = prox(mdp, policy), mdp.initial @ solve(mdp, tolerance=1e-9).lower
    above = (found.worst, found.upper) if reverse else (found.lower, found.worst)
    return [best, above[0]], [found.upper, above[1]], 1 / (1 - mdp.discount)


@claim("drpg.prox_growth", kind=inequality, source=f"{SOURCE} L18", provenance="derived", given=(small_games,), control={"convex": 2.0})
def prox_growth(drawn, convex=0.5):
    r"""$\Phi(\pi') + \ell\|\pi' - \pi\|^2 \ge \Phi_\ell(\pi) + \tfrac{\ell}{2} \|\pi' - \hat\pi\|^2$ for every policy
    $\pi'$, the prox point $\hat\pi$ of $\pi$; at $\pi' = \pi$: $\Phi(\pi) - \Phi(\hat\pi) \ge \tfrac{3\ell}{2}
    \|\pi - \hat\pi\|^2$.

    Control: $2 \ell$ in place of $\ell/2$.
    """
    mdp, (policy, far), _ = drawn
    ell, found = constants(mdp).ell_policy, prox(mdp, policy)
    lhs, rhs = [], []
    for other in (policy, 0.9 * found.point + 0.1 * far, far):
        away = max(np.linalg.norm(other - found.point) - found.radius, 0.0)
        lhs.append(found.lower + convex * ell * away**2)
        rhs.append(robust_evaluate(mdp, other).objective + ell * np.sum((other - policy) ** 2))
    return lhs, rhs, 1 / (1 - mdp.discount)


@claim("drpg.stationary", kind=inequality, source=f"{SOURCE} L17", provenance="derived", given=(small_games,), control={"share": 0.1})
def stationary(drawn, share=1.0):
    r"""With $g = 2\ell\|\pi - \hat\pi\|$: $\Phi(\hat\pi) - J^* \le \tfrac{D \sqrt{2S}}{1-\gamma} g$ at the prox point, and
    $\Phi(\pi) - J^* \le K g$, $K = \tfrac{D \sqrt{2S}}{1-\gamma} + \tfrac{L}{2\ell}$.

    Control: a tenth of both constants.
    """
    mdp, (policy, _), _ = drawn
    c, found, best = constants(mdp), prox(mdp, policy), mdp.initial @ solve(mdp, tolerance=1e-9).upper
    at_prox = robust_evaluate(mdp, found.point).objective - c.L_policy * found.radius
    most, near = _moves(mdp, policy, found)[1], c.mismatch * np.sqrt(2 * mdp.n_states) / (1 - mdp.discount)
    return [at_prox - best, found.worst - best], share * most * np.array([near, optimality_radius(mdp)]), 1 / (1 - mdp.discount)


@claim("drpg.descent", kind=inequality, source=f"{SOURCE} L18", provenance="derived",
       given=(small_games, st.sampled_from([-5, -4, -3, -2, -1, 0, 1]), st.sampled_from([0.0, 0.0, 0.01, 0.1])),
       control={"factor": 2.0})  # fmt: skip
def descent(drawn, exponent, loss, factor=0.5):
    r"""One projected step lowers the envelope: $\Phi_\ell(\pi_{t+1}) \le \Phi_\ell(\pi_t) - \tfrac{\alpha}{2} g(\pi_t)^2
    + 2 \alpha \ell \epsilon_t + \ell \alpha^2 \|G_t\|^2$, for steps $\alpha = 10^{-5}/\ell$ to $10/\ell$ and kernels that are
    worst up to $\epsilon_t$, also $\epsilon_t = 0$.

    Control: $2 \alpha$ in place of $\alpha/2$ (small steps lower it by about $\alpha g^2$).
    """
    mdp, (policy, _), (kernel, _) = drawn
    ell, found = constants(mdp).ell_policy, prox(mdp, policy)
    at = gradients(mdp, policy, (1 - loss) * robust_evaluate(mdp, policy).kernel + loss * kernel)
    step = 10.0**exponent / ell
    after = prox(mdp, rows_onto_simplex(policy - step * at.policy))
    lost, least = max(found.worst - at.objective, 0.0), _moves(mdp, policy, found)[0]
    change = -factor * step * least**2 + envelope_change(constants(mdp), step, lost, np.linalg.norm(at.policy))
    return after.lower, found.upper + change, 1 / (1 - mdp.discount)


def _run_and_bound(mdp, policy, n, step, loss=0.0):
    """(lhs, rhs, scale, trivial) of the outer theorem on one run; the realized gradients stand for L."""
    trace = DRPG(rule="constant", scale=step, start=policy, loss=loss).run(mdp, n)
    best = mdp.initial @ solve(mdp, tolerance=1e-10).lower
    gaps = np.maximum(trace["upper"][:-1] - trace["objective"][:-1], 0)
    bound = convergence_bound(mdp, step, n, trace["upper"][0] - best, gaps, trace["gradient"][:-1].max())
    return Sides(trace["upper"][:-1].min() - best, bound, 1.0, 1 / (1 - mdp.discount))


@claim("drpg.rate", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(_runs, st.sampled_from([10, 100]), st.sampled_from([0.003, 0.03, 0.3, 3.0]), st.sampled_from([0.0, 0.0, 0.05])),
       control={"share": 1e-3})  # fmt: skip
def rate(drawn, n, step, loss, share=1.0):
    r"""$\min_t U_t - J^* \le K \sqrt{2 (\Phi(\pi_0) - J^*) / (\alpha T) + 2 \ell L^2 \alpha + (4 \ell / T) \sum \epsilon_t}
    + \tfrac{1}{T} \sum \epsilon_t$ for runs with any constant step, on rectangular sets, also where the inner solver gives away 0.05;
    under the root $L = \max_t \|G_t\|$ of the run.

    Control: a thousandth of it. These bounds exceed the trivial one, 1 / (1 - discount); at discounts near 1 they do at every T that can
    be run.
    """
    mdp, (policy, _), _ = drawn
    sides = _run_and_bound(mdp, policy, n, step, loss)
    return sides._replace(rhs=share * sides.rhs)


def two_state_garnet(rectangularity, seed):
    """(mdp, start policy): the garnet with S = A = 2 at discount 0.1, uniform start, where the bound comes below the trivial one."""
    garnet = instances.garnet_robust(2, 2, 2, seed, discount=0.1, rectangularity=rectangularity)
    mdp = RobustMDP(garnet.nominal, garnet.cost, garnet.discount, [0.5, 0.5], garnet.ambiguity)
    return mdp, instances.garnet_policy(2, 2, seed)


@claim("drpg.rate_informative", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(draw(two_state_garnet, st.sampled_from(["sa", "s"])), st.sampled_from([100, 3000])), control={"share": 1e-3})  # fmt: skip
def rate_informative(drawn, n, share=1.0):
    r"""The same bound with the best step $\alpha = \sqrt{(\Phi(\pi_0) - J^*) / (\ell L^2 T)}$ at discount 0.1, where it says more than the
    trivial one from some thousand steps on.

    Control: a thousandth of it.
    """
    mdp, policy = drawn
    c, excess = constants(mdp), robust_evaluate(mdp, policy).objective - mdp.initial @ solve(mdp, tolerance=1e-10).lower
    sides = _run_and_bound(mdp, policy, n, np.sqrt(excess / (c.ell_policy * c.L_policy**2 * n)))
    return sides._replace(rhs=share * sides.rhs)


@claim("drpg.order", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(small_games, st.sampled_from([0.01, 1.0, 100.0]), st.integers(0, 6), st.floats(0, 1)), control={"power": 0.5})  # fmt: skip
def order(drawn, delta, exponent, share, power=0.25):
    r"""With steps $\delta/\sqrt T$ and gaps $\epsilon_0 \gamma^t$, $\epsilon_0 \le \sqrt T$, the bound is at most $K \sqrt C T^{-1/4}
    + T^{-1/2}/(1-\gamma)$ with $C = 2(\Phi(\pi_0) - J^*)/\delta + 2\delta\ell L^2 + 4\ell/(1-\gamma)$: of order $\epsilon^{-4}$ steps.

    Control: $T^{-1/2}$ in place of $T^{-1/4}$.
    """
    mdp, (policy, _), _ = drawn
    n, c, g = 10**exponent, constants(mdp), mdp.discount
    excess = robust_evaluate(mdp, policy).objective - mdp.initial @ solve(mdp, tolerance=1e-9).lower
    total = share * np.sqrt(n) * (1 - g**n) / (1 - g)  # of the gaps
    bound = convergence_bound(mdp, delta / np.sqrt(n), n, excess, total)
    C = 2 * excess / delta + 2 * delta * c.ell_policy * c.L_policy**2 + 4 * c.ell_policy / (1 - g)
    return bound, optimality_radius(mdp) * np.sqrt(C) * n**-power + 1 / ((1 - g) * np.sqrt(n))


theorem(
    "robust-policy-gradient",
    statement=r"Rectangular convex sets, positive start: with $K = D \sqrt{2 S} / (1 - \gamma) + L / (2 \ell)$, constant steps $\alpha$ "
    r"and certified gaps $\epsilon_t$ of the inner solver, $\min_t U_t - J^* \le K \sqrt{2 (\Phi(\pi_0) - J^*) / (\alpha T) "
    r"+ 2 \ell L^2 \alpha + (4 \ell / T) \sum_t \epsilon_t} + \tfrac{1}{T} \sum_t \epsilon_t$, of order $T^{-1/4}$. Steps lower "
    r"the Moreau envelope $\Phi_\ell$ by $\tfrac{\alpha}{2} g^2$ up to errors, and its gradient $g$ bounds the distance to the optimum, "
    r"because the gradients at the worst kernels form a convex set. Without rectangularity that fails (theorem robust-failures).",
    source=f"{SOURCE} 7.3, 7.4; after Wang, Ho, Petrik 2023",
    provenance="derived",
    claims=("drpg.smooth", "drpg.weakly_convex", "drpg.subgradient", "drpg.danskin", "drpg.kink", "drpg.gradient_mixture", "drpg.dominance",
            "drpg.prox", "drpg.envelope", "drpg.prox_growth", "drpg.stationary", "drpg.descent", "drpg.rate",
            "drpg.rate_informative", "drpg.order"),
    uses={
        "drpg.weakly_convex": ("drpg.smooth",),
        "drpg.subgradient": ("drpg.smooth",),
        "drpg.danskin": ("drpg.smooth", "drpg.subgradient"),
        "drpg.kink": ("drpg.danskin",),
        "drpg.prox": ("drpg.subgradient",),
        "drpg.prox_growth": ("drpg.weakly_convex", "drpg.prox"),
        "drpg.stationary": ("drpg.gradient_mixture", "drpg.dominance", "drpg.weakly_convex", "drpg.prox"),
        "drpg.descent": ("drpg.subgradient", "drpg.prox_growth", "drpg.envelope"),
        "drpg.rate": ("drpg.stationary", "drpg.descent", "drpg.envelope"),
        "drpg.rate_informative": ("drpg.rate",),
        "drpg.order": ("drpg.rate",),
    },
)  # fmt: skip
