"""Double-loop robust policy gradient: identities, certificates and gradient dominance (drpg spec, sections 7 and 9)."""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl import ambiguity, instances
from tabular_rl.models import RobustMDP
from tabular_rl.planning import constants, gradients, robust_backup, robust_evaluate, solve
from tabular_rl.planning.robust.solve import compiled, kernel_of

SOURCE = "drpg spec"


def game(S, A, discount, rectangularity, seed):
    """(mdp, policies [2, S, A], kernels [2, S, A, S]): L1 balls, positive start, and two kernels of the set between nominal and worst."""
    rng = np.random.default_rng(seed)
    nominal, policies = rng.dirichlet(np.ones(S), (S, A)), rng.dirichlet(np.ones(A), (3, S))
    start = 0.1 + rng.random(S)
    radius = rng.uniform(0.2, 1.0, (S, A))
    balls = ambiguity.L1(radius) if rectangularity == "sa" else ambiguity.SRectangularL1(radius.sum(axis=1))
    mdp = RobustMDP(nominal, rng.random((S, A, S)), discount, start / start.sum(), balls)
    far = [robust_evaluate(mdp, policy).kernel for policy in policies[1:]]
    return mdp, policies[:2], np.stack([nominal + share * (kernel - nominal) for share, kernel in zip(rng.random(2), far, strict=True)])


games = draw(game, st.integers(2, 5), st.integers(2, 4), st.sampled_from([0.1, 0.5, 0.9, 0.95]), st.sampled_from(["sa", "s"]))
curved = draw(game, st.integers(2, 5), st.integers(2, 4), st.sampled_from([0.5, 0.9, 0.95]), st.sampled_from(["sa", "s"]))


def moves(mdp, values):
    """cost + discount v of every move, [S, A, S]."""
    return mdp.cost + mdp.discount * values


def objective(mdp, policy, kernel):
    """J by one linear system; complex arguments are allowed."""
    chain = np.einsum("sa,sat->st", policy, kernel)
    cost = np.einsum("sa,sat,sat->s", policy, kernel, mdp.cost)
    return mdp.initial @ np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * chain, cost)


def gain(mdp, policy, values):
    """(T_policy v - v, the greedy kernel): what the adversary's best answer to ``values`` adds."""
    from tabular_rl.kernels.robust.evaluation import answer_to, policy_backup

    play = compiled(mdp)
    answer = answer_to(play)._replace(values=np.array(values))
    policy_backup(play, np.array(policy), answer)
    return answer.improved - values, kernel_of(mdp, answer.greedy)


@claim("drpg.policy_difference", kind=identity, source=f"{SOURCE} L1", provenance="classical", given=(games,), control={"of": 0})
def policy_difference(drawn, of=1):
    """$J(\\pi', P) - J(\\pi, P) = \\frac{1}{1-\\gamma} \\sum_s d^{\\pi'}_s \\sum_a (\\pi' - \\pi)_{sa} q^{\\pi}_{sa}$.

    Control: the occupancy is that of $\\pi$.
    """
    mdp, policies, (kernel, _) = drawn
    both = [gradients(mdp, policy, kernel) for policy in policies]
    step = ((policies[1] - policies[0]) * both[0].q_values).sum(axis=1)
    return both[1].objective - both[0].objective, both[of].occupancy @ step / (1 - mdp.discount), 1 / (1 - mdp.discount)


@claim("drpg.kernel_difference", kind=identity, source=f"{SOURCE} L2", provenance="classical", given=(games,), control={"of": 0})
def kernel_difference(drawn, of=1):
    """$J(\\pi, P') - J(\\pi, P) = \\frac{1}{1-\\gamma} \\sum_s d^{P'}_s \\sum_{at} \\pi_{sa} (P' - P)_{sat} (c + \\gamma v^P)_{sat}$.

    Control: the occupancy is that of $P$.
    """
    mdp, (policy, _), kernels = drawn
    both = [gradients(mdp, policy, kernel) for kernel in kernels]
    step = np.einsum("sa,sat,sat->s", policy, kernels[1] - kernels[0], moves(mdp, both[0].values))
    return both[1].objective - both[0].objective, both[of].occupancy @ step / (1 - mdp.discount), 1 / (1 - mdp.discount)


@claim("drpg.gradients", kind=identity, source=f"{SOURCE} L3", provenance="paper", given=(games,), control={"normalized": True})
def gradient(drawn, normalized=False):
    """The gradients of $J$ in policy and kernel are its derivatives, by complex steps along $\\pi' - \\pi$ and $P' - P$.

    Control: the factor $1/(1-\\gamma)$ is left out.
    """
    mdp, policies, kernels = drawn
    at = gradients(mdp, policies[0], kernels[0])
    turn, bend, h = policies[1] - policies[0], kernels[1] - kernels[0], 1e-30
    slopes = [objective(mdp, policies[0] + 1j * h * turn, kernels[0]), objective(mdp, policies[0], kernels[0] + 1j * h * bend)]
    factor = 1 - mdp.discount if normalized else 1.0
    return np.imag(slopes) / h, factor * np.array([(at.policy * turn).sum(), (at.kernel * bend).sum()]), 1 / (1 - mdp.discount) ** 2


@claim("drpg.lipschitz", kind=inequality, source=f"{SOURCE} L4", provenance="paper", given=(games,), control={"share": 0.01})
def lipschitz(drawn, share=1.0):
    """$\\|\\nabla_\\pi J\\| \\le \\sqrt A/(1-\\gamma)^2$ and $\\|\\nabla_P J\\| \\le \\sqrt S/(1-\\gamma)^2$.

    Control: a hundredth of it.
    """
    mdp, policies, kernels = drawn
    at, bound = gradients(mdp, policies[0], kernels[0]), constants(mdp)
    return [np.linalg.norm(at.policy), np.linalg.norm(at.kernel)], [share * bound.L_policy, share * bound.L_kernel], bound.L_kernel


@claim("drpg.contraction", kind=inequality, source=f"{SOURCE} L7", provenance="classical", given=(games,), control={"share": 0.99})
def contraction(drawn, share=1.0):
    r"""$\|T v - T u\|_\infty \le \gamma \|v - u\|_\infty$ for the robust Bellman operator and for that of a policy, also where $u = v + 1$
    (with equality).

    Control: the modulus $0.99 \gamma$.
    """
    mdp, (policy, other), (kernel, _) = drawn
    first, second = (gradients(mdp, x, kernel).values for x in (policy, other))
    far, apart = np.array([np.abs(second - first).max(), 1.0]), []
    for T in (lambda v: robust_backup(mdp, v).values, lambda v: v + gain(mdp, policy, v)[0]):
        apart += [np.abs(T(u) - T(first)).max() for u in (second, first + 1)]
    return apart, share * mdp.discount * np.tile(far, 2), 1 / (1 - mdp.discount)


@claim("drpg.operator", kind=inequality, source=f"{SOURCE} L7", provenance="classical",
       given=(games, st.floats(-3, 3)), control={"discounted": False})  # fmt: skip
def operator(drawn, constant, discounted=True):
    r"""Robust Bellman operators are monotone, $u \le v \Rightarrow T u \le T v$, and $T(v + k) = T v + \gamma k$; also that of a policy.

    Control: $T(v + k) = T v + k$.
    """
    mdp, (policy, other), (kernel, _) = drawn
    first, second = (gradients(mdp, x, kernel).values for x in (policy, other))
    lower, factor, lhs, rhs = np.minimum(first, second), mdp.discount if discounted else 1.0, [], []
    for T in (lambda v: robust_backup(mdp, v).values, lambda v: v + gain(mdp, policy, v)[0]):
        here, shifted = T(first), T(first + constant)
        lhs += [*T(lower), *shifted, *(here + factor * constant)]
        rhs += [*here, *(here + factor * constant), *shifted]
    return lhs, rhs, 1 / (1 - mdp.discount)


@claim("drpg.linear_oracle", kind=identity, source=f"{SOURCE} L8", provenance="derived", given=(games,), control={"normalized": True})
def linear_oracle(drawn, normalized=False):
    """One backup is the linear oracle: $\\langle \\nabla_P J, P_g - P\\rangle = \\frac{1}{1-\\gamma} \\sum_s d_s (T_\\pi v - v)_s$.

    Control: the factor $1/(1-\\gamma)$ is left out.
    """
    mdp, (policy, _), (kernel, _) = drawn
    at = gradients(mdp, policy, kernel)
    more, greedy = gain(mdp, policy, at.values)
    factor = 1.0 if normalized else 1 / (1 - mdp.discount)
    return (at.kernel * (greedy - kernel)).sum(), factor * at.occupancy @ more, 1 / (1 - mdp.discount) ** 2


@claim("drpg.certificate", kind=inequality, source=f"{SOURCE} L9", provenance="derived", given=(curved,), control={"normalized": True})
def certificate(drawn, normalized=False):
    """$J(\\pi, P) \\le \\Phi(\\pi) \\le J(\\pi, P) + \\max_s (T_\\pi v - v)_s / (1-\\gamma)$ for every kernel of the set.

    Control: without $1/(1-\\gamma)$.
    """
    mdp, (policy, _), (kernel, _) = drawn
    at, worst = gradients(mdp, policy, kernel), robust_evaluate(mdp, policy).objective
    gap = gain(mdp, policy, at.values)[0].max() / (1 if normalized else 1 - mdp.discount)
    return [at.objective, worst], [worst, at.objective + gap], 1 / (1 - mdp.discount)


@claim("drpg.kernel_dominance", kind=inequality, source=f"{SOURCE} L10", provenance="derived", given=(curved,), control={"share": 0.01})
def kernel_dominance(drawn, share=1.0):
    """$\\Phi(\\pi) - J(\\pi, P) \\le \\frac{D}{1-\\gamma} \\max_{P'} \\langle \\nabla_P J, P' - P\\rangle$ with $D = 1/\\min \\rho$.

    Control: a hundredth of it.
    """
    mdp, (policy, _), (kernel, _) = drawn
    at, worst = gradients(mdp, policy, kernel), robust_evaluate(mdp, policy).objective
    slope = at.occupancy @ gain(mdp, policy, at.values)[0] / (1 - mdp.discount)
    return worst - at.objective, share * constants(mdp).mismatch * slope / (1 - mdp.discount), 1 / (1 - mdp.discount)


@claim("drpg.dominance", kind=inequality, source=f"{SOURCE} L15", provenance="derived", given=(curved,), control={"constant": 1.0})
def dominance(drawn, constant=None):
    """$\\Phi(\\pi) - J^* \\le \\frac{D}{1-\\gamma} \\max_{\\pi'} \\langle \\nabla_\\pi J, \\pi - \\pi'\\rangle$ at a worst kernel.

    Control: the constant 1.
    """
    mdp, (policy, _), _ = drawn
    worst = robust_evaluate(mdp, policy)
    slope = gradients(mdp, policy, worst.kernel).policy
    most = ((slope * policy).sum(axis=1) - slope.min(axis=1)).sum()
    best = mdp.initial @ solve(mdp, tolerance=1e-8).upper
    factor = constants(mdp).mismatch / (1 - mdp.discount) if constant is None else constant
    return worst.objective - best, factor * most, 1 / (1 - mdp.discount)


@claim("drpg.pennies", kind=identity, source=f"{SOURCE} 9.5", provenance="derived",
       given=(st.floats(0, 1), st.floats(0.2, 1), st.floats(0.3, 0.95)), control={"blind": True})  # fmt: skip
def pennies(first, radius, discount, blind=False):
    """Matching pennies have the worst case in closed form: the bad probability is $1/2 + \\kappa \\max(x, 1-x)/2$.

    Control: that of a policy that puts 0.3 more on its likelier action, or 0.2 less where it puts 0.7 or more on it.
    """
    policy = np.array([[first, 1 - first], [0.5, 0.5], [0.5, 0.5]])
    likely = max(first, 1 - first)
    likely += (0.3 if likely < 0.7 else -0.2) if blind else 0.0
    values = robust_evaluate(instances.pennies(radius, discount), policy).values
    return values, instances.pennies_values(likely, radius, discount), 1 / (1 - discount)


theorem(
    "robust-dominance",
    statement="""For costs in $[0,1]$, a rectangular L1 set and a positive start distribution, every policy and every worst kernel $P$
    of it have
    $\\Phi(\\pi) - J^* \\le \\frac{1}{(1-\\gamma) \\min\\rho} \\max_{\\pi'} \\langle \\nabla_\\pi J(\\pi, P), \\pi - \\pi'\\rangle$,
    and a kernel that a backup raises by at most $r$ is worst up to $r/(1-\\gamma)$. The rate of the outer loop is not claimed here.""",
    source=f"{SOURCE} L1-L4, L7-L10, L15",
    provenance="derived",
    claims=("drpg.policy_difference", "drpg.kernel_difference", "drpg.gradients", "drpg.lipschitz", "drpg.contraction",
            "drpg.linear_oracle", "drpg.certificate", "drpg.kernel_dominance", "drpg.dominance", "drpg.pennies"),
    uses={
        "drpg.dominance": ("drpg.policy_difference", "drpg.gradients"),
        "drpg.certificate": ("drpg.kernel_difference",),
        "drpg.kernel_dominance": ("drpg.kernel_difference", "drpg.linear_oracle"),
        "drpg.linear_oracle": ("drpg.gradients",),
    },
)  # fmt: skip
