"""Robust policy gradient, run: every line of its loop against plain NumPy, its steps, bounds and constants (drpg spec, 6, 7.4).

The left sides are the trace of the product's own run; the right sides are computed from its policies and kernels by other ways.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.robust import plain
from proofs_check.claims.robust.drpg import SOURCE
from proofs_check.strategies import draw
from tabular_rl import ambiguity
from tabular_rl.algorithms import DRPG
from tabular_rl.algorithms.robust.drpg import INNER, RULES, convergence_bound
from tabular_rl.models import RobustMDP
from tabular_rl.planning import constants, gradients, robust_evaluate
from tabular_rl.planning.robust.policy import optimality_radius

N = 4  # steps


def model(S, A, discount, rectangularity, seed):
    """An L1 game with costs in [-1, 2], of moves or of pairs, zeros in its kernel, and pairs that do not exist."""
    rng = np.random.default_rng(seed)
    nominal = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < 0.8)
    nominal[nominal.sum(axis=2) == 0] = 1
    available = rng.random((S, A)) < 0.8
    available[:, rng.integers(A)] = True
    start, radius = 0.1 + rng.random(S), rng.uniform(0.1, 0.8, (S, A))
    balls = ambiguity.L1(radius) if rectangularity == "sa" else ambiguity.SRectangularL1(radius.sum(axis=1))
    nominal /= nominal.sum(axis=2, keepdims=True)
    cost = rng.uniform(-1, 2, (S, A, S) if seed % 3 else (S, A))
    return RobustMDP(nominal, cost, discount, start / start.sum(), balls, available=available)


def first(mdp, seed):
    """A policy, with some actions left out."""
    rng = np.random.default_rng(seed)
    weights = rng.random(mdp.shape) * (rng.random(mdp.shape) < 0.8) * mdp.available
    weights += (weights.sum(axis=1, keepdims=True) == 0) * mdp.available
    return weights / weights.sum(axis=1, keepdims=True)


def step_of(mdp, rule, scale, t):
    """alpha_t of N steps."""
    sa, cost = mdp.ambiguity.rectangularity == "sa", np.abs(mdp.cost_range).max()
    A = np.bincount(np.nonzero(mdp.available)[0]).max()
    return {
        "practical": 0.25 * scale if sa else 0.5 * scale / np.sqrt(t + 1),
        "constant": scale,
        "decreasing": scale / np.sqrt(t + 1),
        "theory": scale / np.sqrt(N),
        "smooth": scale / (2 * mdp.discount * A * cost / (1 - mdp.discount) ** 3),
    }[rule]


models = draw(model, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["sa", "s"]))
starts = draw(first, fit=True)
inner = st.sampled_from([name for name in INNER if name != "parametric"])


@claim("drpg.run_steps", kind=identity, source=f"{SOURCE} 6.1, 6.2", provenance="paper",
       given=(models, starts, inner, st.sampled_from(RULES), st.floats(0.1, 2), st.sampled_from([0.0, 0.2])),
       control={"normalized": True})  # fmt: skip
def run_steps(mdp, start, solver, rule, scale, loss, normalized=False):
    r"""The loop of the algorithm: $J_t = J(\pi_t, P_t)$, $G_t = \nabla_\pi J(\pi_t, P_t)$ by complex steps,
    $\pi_{t+1} = \operatorname{proj}(\pi_t - \alpha_t G_t)$ by sorting, $\alpha_t$ that of the rule, and the policy returned is that of
    the least $U_t$.

    Control: steps shorter by $1-\gamma$.
    """
    trace = DRPG(solver, rule, scale, start, loss=loss, loss_factor=0.5, keep=True).run(mdp, N)
    policies, kernels = trace.parameters["policies"], trace.parameters["kernels"]
    found, expected, shorter = [], [], 1 - mdp.discount if normalized else 1.0
    for t, (policy, kernel) in enumerate(zip(policies, kernels, strict=True)):
        kernel = mdp.nominal if solver == "nominal" else kernel
        slope = np.where(mdp.available, plain.policy_gradient(mdp, policy, kernel), 0.0)
        found += [trace["objective"][t], trace["gradient"][t]]
        expected += [mdp.initial @ plain.values_of(mdp, policy, kernel), np.linalg.norm(slope)]
        if t < N:
            moved = np.where(mdp.available, policy - shorter * step_of(mdp, rule, scale, t) * slope, -1e9)
            found += [*np.ravel(policies[t + 1])]
            expected += [*np.ravel(plain.rows_onto_simplex(moved))]
    best = policies[np.argmin(trace["upper"])]
    found += [*np.ravel(trace.output), *np.ravel(trace.policy), *np.ravel(policies[0])]
    return found, [*expected, *np.ravel(best), *np.ravel(policies[N]), *np.ravel(start)], _size(mdp, scale)


def _size(mdp, scale=1.0):
    """Of what a gradient step adds up."""
    return 100 * scale / (1 - mdp.discount) ** 3


@claim("drpg.run_bounds", kind=inequality, source=f"{SOURCE} 6.2, L9", provenance="derived",
       given=(models, starts, inner, st.sampled_from([0.0, 0.05, 0.3])), control={"gap": 0.0})  # fmt: skip
def run_bounds(mdp, start, solver, loss, gap=1.0):
    r"""$J_t \le \Phi(\pi_t) \le U_t \le \Phi(\pi_t) + \epsilon_t$, the inner tolerances $\epsilon_t = \epsilon_0 \gamma^t$; and $J_t$ is
    $\Phi(\pi_t)$ up to $\epsilon_t$ and what the inner solver gives away on purpose; in sets around pairs the exact kernel is the worst one
    of every pair. $\Phi$ by sorting.

    Control: $J_t$ in place of $U_t$.
    """
    trace = DRPG(solver, "constant", 0.2, start, loss=loss, loss_factor=0.5, keep=True).run(mdp, N)
    lhs, rhs, first_gap = [], [], 1.0 if solver == "projected" else 0.0
    for t, policy in enumerate(trace.parameters["policies"]):
        worst = plain.robust_values(mdp, policy)[0]
        phi, J, allowed = mdp.initial @ worst, trace["objective"][t], first_gap * mdp.discount**t
        U = J + gap * (trace["upper"][t] - J)
        lhs += [J, phi, U]
        rhs += [phi, U, phi + allowed]
        if solver == "exact" and loss == 0 and mdp.ambiguity.rectangularity == "sa":  # greedy in all pairs: L19
            z = plain.costs(mdp) + mdp.discount * worst
            kernels = plain.worst_kernel_at(mdp, policy, worst), trace.parameters["kernels"][t]
            most, found = (np.sum(kernel * z, axis=2)[mdp.available] for kernel in kernels)
            lhs += [*most]
            rhs += [*(found + 1e-9)]
        if solver == "exact":  # the loss, or all that there is to lose
            lost = min(loss * 0.5**t, phi - mdp.initial @ plain.values_of(mdp, policy, mdp.nominal))
            lhs += [J, phi - lost - 1e-9]
            rhs += [phi - lost + 1e-9, J]
        if solver == "projected":
            lhs.append(phi)
            rhs.append(J + allowed + loss * 0.5**t + 1e-9)
    return lhs, rhs, 10 / (1 - mdp.discount) ** 2


@claim("drpg.run_monotone", kind=inequality, source=f"{SOURCE} L19", provenance="derived",
       given=(draw(model, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.1, 0.5, 0.9]), "sa"), starts, st.floats(0.1, 50)),
       control={"inner": "nominal"})  # fmt: skip
def run_monotone(mdp, start, scale, inner="exact"):
    r"""(s,a)-rectangular sets: $\Phi(\pi_{t+1}) \le \Phi(\pi_t)$ for steps of any size, also from policies that leave actions out: the
    kernel is greedy there as well.

    Control: the nominal kernel's gradient.
    """
    trace = DRPG(inner, "constant", scale, start).run(mdp, N)
    return trace["upper"][1:], trace["upper"][:-1], 100 / (1 - mdp.discount) ** 2


@claim("drpg.run_lists", kind=identity, source=f"{SOURCE} 12", provenance="derived",
       given=(st.integers(2, 3), st.integers(2, 3), st.sampled_from(["s", "none"]), st.integers(0, 1000)),
       control={"other": True})  # fmt: skip
def run_lists(S, M, rectangularity, seed, other=False):
    """Finite sets of M kernels: the worst case of a policy is the largest J over the list, or over all ways to choose a kernel in each
    state; in ``robust_evaluate`` and along a run.

    Control: the list for the hull, and the hull for the list.
    """
    rng = np.random.default_rng(seed)
    nominal, *kernels = rng.dirichlet(np.ones(S), (M + 1, S, 2))
    kind = ambiguity.FiniteKernels if rectangularity == "none" else ambiguity.FiniteSRectangular
    mdp = RobustMDP(nominal, rng.random((S, 2, S)), 0.8, np.full(S, 1 / S), kind(np.array(kernels)))
    trace = DRPG("exact", "constant", 0.5, keep=True).run(mdp, 3)
    by_list, found, expected = (rectangularity == "none") != other, [], []
    choices = [(m,) * S for m in range(M)] if by_list else list(np.ndindex((M,) * S))
    for t, policy in enumerate(trace.parameters["policies"]):
        mixed = [np.stack([kernels[m][s] for s, m in enumerate(choice)]) for choice in choices]
        found += [robust_evaluate(mdp, policy).objective, trace["objective"][t], trace["upper"][t]]
        expected += [max(mdp.initial @ plain.values_of(mdp, policy, kernel) for kernel in mixed)] * 3
    return found, expected, 100.0


@claim("drpg.evaluation", kind=identity, source=f"{SOURCE} 5.1, 6.1", provenance="derived",
       given=(models, starts), control={"nominal": True})  # fmt: skip
def evaluation(mdp, policy, nominal=False):
    r"""``robust_evaluate`` and ``gradients`` against plain NumPy: values of the worst case by sorting, the kernel that attains them (and
    in sets around pairs is the worst one of every pair),
    $d = (1-\gamma) (I - \gamma P_\pi^T)^{-1} \rho$, which sums to 1, q, and all partial derivatives in policy and kernel by complex steps.

    Control: the worst case is that of the nominal kernel.
    """
    found, (worst, _) = robust_evaluate(mdp, policy), plain.robust_values(mdp, policy)
    kernel = found.kernel
    at = gradients(mdp, policy, kernel)
    worst = plain.values_of(mdp, policy, mdp.nominal) if nominal else worst
    chain = np.einsum("sa,sat->st", policy, kernel)
    visits = (1 - mdp.discount) * np.linalg.solve((np.eye(mdp.n_states) - mdp.discount * chain).T, mdp.initial)
    q = np.sum(kernel * (plain.costs(mdp) + mdp.discount * worst), axis=2)
    slope = plain.policy_gradient(mdp, policy, kernel)
    bend = plain.derivatives(lambda moved: mdp.initial @ plain.values_of(mdp, policy, moved), kernel)
    there, reached, J = mdp.available, mdp.nominal > 0, mdp.initial @ worst
    everywhere = plain.worst_kernel_at(mdp, policy, worst)
    most = np.sum(everywhere * (plain.costs(mdp) + mdp.discount * worst), axis=2)  # also where the policy does not go
    most = np.where(there, most, 0.0) if mdp.ambiguity.rectangularity == "sa" else np.where(there, q, 0.0)
    pairs = [
        (found.values, worst), (plain.values_of(mdp, policy, kernel), worst), (at.values, worst), (at.occupancy, visits),
        (at.occupancy.sum(), 1.0), (at.objective, J), (found.objective, J), (at.q_values[there], q[there]),
        (at.policy, np.where(there, slope, 0.0)), (at.kernel[reached], bend[reached]), (np.where(there, q, 0.0), most),
    ]  # fmt: skip
    left, right = (np.concatenate([np.ravel(pair[side]) for pair in pairs]) for side in (0, 1))
    return left, right, _size(mdp)


@claim("drpg.constants", kind=identity, source=f"{SOURCE} 7", provenance="derived", given=(models,), control={"power": 2})
def constants_of_the_theory(mdp, power=3):
    r"""Where the constants come from. Some policy's gradient has the length $L_\pi$, some kernel's has $L_P$: all costs are the largest
    and the chain stays in one state. $\ell = 2\gamma \|(I - \gamma P)^{-1}\|^3 \max_u (\sum |u|)^2$ over unit vectors u of the actions
    of a state (of the moves of a pair): twice the resolvent's derivative. K adds what the prox point lacks and the way to it.

    Control: $\ell$ with the square of the resolvent.
    """
    bound, (S, _), g, size = constants(mdp), mdp.shape, mdp.discount, np.abs(mdp.cost_range).max()
    A = int(mdp.available.sum(axis=1).max())
    stay = np.zeros((S, A, S))
    stay[:, :, 0] = 1
    alone = RobustMDP(stay, np.full((S, A, S), size), g, np.eye(S)[0], ambiguity.L1(0.0, "full"))
    steepest = [gradients(alone, np.eye(A)[np.zeros(S, int)], stay), gradients(alone, np.full((S, A), 1 / A), stay)]
    resolvent = np.linalg.norm(np.linalg.inv(np.eye(S) - g * mdp.nominal[:, 0]), np.inf)
    bends = [2 * g * size * resolvent**power * np.sum(np.ones(n) / np.sqrt(n)) ** 2 for n in (A, S)]
    most = 1 / mdp.initial.min()
    radius = most * np.sqrt(2 * S) * resolvent + bound.L_policy / bends[0] / 2
    left = [bound.L_policy, bound.L_kernel, bound.ell_policy, bound.ell_kernel, bound.mismatch, optimality_radius(mdp)]
    right = [np.linalg.norm(steepest[1].policy), np.linalg.norm(steepest[0].kernel), *bends, most, radius]
    return left, right, 10 * max(right)


@claim("drpg.telescoped", kind=inequality, source=f"{SOURCE} 7.4", provenance="derived",
       given=(models, st.floats(0.01, 2), st.floats(0.001, 0.5), st.integers(1, 30), st.floats(0, 0.1), st.booleans(), st.integers(0, 99)),
       control={"share": 0.99})  # fmt: skip
def telescoped(mdp, excess, step, n, gap, realized, seed, share=1.0):
    r"""The bound is what the descent lemma leaves possible, no more and no less: a run whose Moreau envelope begins $\Phi(\pi_0) - J^*$
    above $J^*$ and falls by $\tfrac{\alpha}{2} g^2 - 2\alpha\ell\epsilon_t - \ell\alpha^2 L^2$ with the same g meets $J^*$ at the
    end; then $\min_t U_t - J^* \le K g + \tfrac{1}{T}\sum\epsilon_t$. The largest such g by bisection, run by run.

    Control: 99 % of the bound.
    """
    gaps, c = gap * np.random.default_rng(seed).random(n), constants(mdp)
    length = 0.3 * c.L_policy if realized else c.L_policy

    def left_over(g):
        envelope = excess
        for lost in gaps:
            envelope += -step / 2 * g**2 + 2 * step * c.ell_policy * lost + c.ell_policy * step**2 * length**2
        return envelope

    low, high = 0.0, 1.0
    while left_over(high) > 0:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if left_over(middle) > 0 else (low, middle)
    bound = share * convergence_bound(mdp, step, n, excess, gaps, length if realized else None)
    exact = optimality_radius(mdp) * low + gaps.mean()
    return [exact, bound], [bound, exact], 100 * exact


theorem(
    "robust-policy-gradient-run",
    statement=r"What runs is what is proven: values, gradients, steps and certificates of the compiled loop are those of its policies and "
    r"kernels, $J_t \le \Phi(\pi_t) \le U_t$ for every inner solver, the constants are the suprema they stand for, and the closed bound is "
    r"what the descent lemma adds up to.",
    source=f"{SOURCE} 5, 6, 7",
    provenance="derived",
    claims=("drpg.run_steps", "drpg.run_bounds", "drpg.run_monotone", "drpg.run_lists", "drpg.evaluation", "drpg.constants",
            "drpg.telescoped", "drpg.descent", "drpg.certificate", "drpg.monotone"),
    uses={
        "drpg.run_steps": ("drpg.evaluation",),
        "drpg.run_bounds": ("drpg.certificate",),
        "drpg.run_monotone": ("drpg.monotone",),
        "drpg.telescoped": ("drpg.descent", "drpg.constants"),
    },
)  # fmt: skip
