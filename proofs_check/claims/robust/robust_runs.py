"""The other learners of robust MDPs, run: every line of their loops against plain NumPy (drpg spec 6.3, 8.3 to 8.6)."""

import warnings

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.robust import plain
from proofs_check.claims.robust.drpg import SOURCE, game
from proofs_check.claims.robust.drpg_runs import first, model
from proofs_check.strategies import draw
from tabular_rl import ambiguity
from tabular_rl.algorithms import DRPG, IWOCS, BestResponses, ContaminationGradient, GradientDescentAscent, RobustMirrorDescent
from tabular_rl.models import RobustMDP
from tabular_rl.planning import robust_evaluate

N = 4  # steps
_discounts = st.sampled_from([0.1, 0.5, 0.9])
pairs = draw(model, st.integers(2, 3), st.integers(2, 3), _discounts, "sa")
complete = draw(game, st.integers(2, 3), st.integers(2, 3), _discounts, st.sampled_from(["sa", "s"]))
complete_pairs = draw(game, st.integers(2, 3), st.integers(2, 3), _discounts, "sa")
starts = draw(first, fit=True)


# --- contamination


def contaminated(S, A, discount, by_pairs, seed):
    """A game of contamination with costs in [-1, 2], of pairs or of moves, and pairs that do not exist."""
    mdp = model(S, A, discount, "sa", seed)
    fraction = np.random.default_rng([seed, 1]).uniform(0.05, 0.6, (S, A))
    cost = plain.costs(mdp)[:, :, 0] if by_pairs else plain.costs(mdp)
    return RobustMDP(mdp.nominal, cost, discount, mdp.initial, ambiguity.Contamination(fraction), available=mdp.available)


contaminations = draw(contaminated, st.integers(2, 3), st.integers(2, 3), st.sampled_from([0.1, 0.5, 0.8]), st.booleans())


def smoothed_values(mdp, policy, sigma):
    """[S]: where v = sum pi q(v), by Newton on that equation; complex policies are allowed. sigma None: without smoothing."""
    values, share, cost = np.zeros(mdp.n_states), mdp.ambiguity.fraction[:, :, None], plain.costs(mdp)
    for _ in range(60):
        z = cost + mdp.discount * values
        best = z.real.argmax(axis=2)[:, :, None]
        top, weights = np.take_along_axis(z, best, 2), np.arange(mdp.n_states) == best
        soft = top[:, :, 0]
        if sigma is not None:
            weights = np.exp(sigma / mdp.discount * (z - top))
            soft = soft + mdp.discount / sigma * np.log(weights.sum(axis=2))
            weights = weights / weights.sum(axis=2, keepdims=True)
        off = values - np.sum(policy * ((1 - share[:, :, 0]) * np.sum(mdp.nominal * z, axis=2) + share[:, :, 0] * soft), axis=1)
        if np.abs(off).max() <= 1e-15 * max(1.0, np.abs(values).max()):
            break
        chain = np.einsum("sa,sat->st", policy, (1 - share) * mdp.nominal + share * weights)
        values = values - np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * chain, off)
    return values


@claim("contamination.run", kind=identity, source=f"{SOURCE} 8.3; after Wang, Zou 2022", provenance="reconstructed",
       given=(contaminations, starts, st.sampled_from([1.0, 20.0]), st.floats(0.05, 1)), control={"normalized": True})  # fmt: skip
def contamination_run(mdp, start, sigma, scale, normalized=False):
    r"""The loop: $\Phi(\pi_t)$ and $J_\sigma(\pi_t)$ by Newton's method on their equations, $|G_t|$ and
    $\pi_{t+1} = \operatorname{proj}(\pi_t - \alpha G_t)$ from the derivatives of $J_\sigma$ by complex steps; the policy returned is
    that of the least $\Phi$.

    Control: steps shorter by $1-\gamma$.
    """
    trace = ContaminationGradient(sigma, "constant", scale, start, keep=True).run(mdp, 2)
    policies, found, expected = trace.parameters["policies"], [], []
    for t, policy in enumerate(policies):
        slope = plain.derivatives(lambda moved: mdp.initial @ smoothed_values(mdp, moved, sigma), policy)
        slope = np.where(mdp.available, slope, 0.0)
        found += [trace["objective"][t], trace["smoothed"][t], trace["gradient"][t]]
        expected += [mdp.initial @ smoothed_values(mdp, policy, kind) for kind in (None, sigma)]
        expected.append(np.linalg.norm(slope))
        if t < 2:
            step = scale * (1 - mdp.discount if normalized else 1.0)
            found += [*np.ravel(policies[t + 1])]
            expected += [*np.ravel(plain.rows_onto_simplex(np.where(mdp.available, policy - step * slope, -1e9)))]
    best = policies[np.argmin(trace["objective"])]
    found += [*np.ravel(trace.output), *np.ravel(trace.policy), *np.ravel(policies[0])]
    return found, [*expected, *np.ravel(best), *np.ravel(policies[-1]), *np.ravel(start)], 1e4


@claim("contamination.bias", kind=inequality, source=f"{SOURCE} 8.3", provenance="derived",
       given=(contaminations, starts, st.sampled_from([0.3, 1.0, 20.0])), control={"share": 0.1})  # fmt: skip
def contamination_bias(mdp, start, sigma, share=1.0):
    r"""$0 \le J_\sigma - \Phi \le \gamma R \log S / (\sigma (1-\gamma))$, R the largest fraction; with equality where all costs are the
    same and all is contaminated.

    Control: a tenth of it.
    """
    flat = RobustMDP(mdp.nominal, np.ones(mdp.shape), mdp.discount, mdp.initial, ambiguity.Contamination(1.0))
    lhs, rhs = [], []
    for problem, policy in ((mdp, start), (flat, None)):
        learner = ContaminationGradient(sigma, start=policy)
        trace = learner.run(problem, 1)
        bias = trace["smoothed"] - trace["objective"]
        lhs += [*-bias, *bias]
        rhs += [0, 0, *np.full(2, share * trace.parameters["bias"])]
        most = mdp.discount * np.max(problem.ambiguity.fraction) * np.log(mdp.n_states) / (sigma * (1 - mdp.discount))
        lhs.append(trace.parameters["bias"])
        rhs.append(most)
    return lhs, rhs, 100 / (1 - mdp.discount)


@claim("contamination.descent", kind=inequality, source=f"{SOURCE} 8.3", provenance="derived",
       given=(contaminations, starts, st.sampled_from([0.5, 5.0]), st.sampled_from([0.1, 1.0])), control={"factor": 3.0})  # fmt: skip
def contamination_descent(mdp, start, sigma, scale, factor=1.0):
    r"""Steps $\alpha = c/\ell_\sigma$, $c \le 1$, are a descent method: $J_\sigma(\pi_{t+1}) \le J_\sigma(\pi_t) - (1/\alpha - \ell/2)
    \|\pi_{t+1} - \pi_t\|^2$; and $\ell_\sigma = 2\gamma A Q/(1-\gamma)^2 + \gamma R \sigma A Q^2/(1-\gamma)^3$, $Q = C/(1-\gamma)$ and the
    bias together, is the one used.

    Control: three times as much descent.
    """
    trace = ContaminationGradient(sigma, "smooth", scale, start, keep=True).run(mdp, N)
    g, R, A = mdp.discount, np.max(mdp.ambiguity.fraction), np.bincount(np.nonzero(mdp.available)[0]).max()
    most = (np.abs(mdp.cost_range).max() + g * R * np.log(mdp.n_states) / sigma) / (1 - g)
    ell = 2 * g * A * most / (1 - g) ** 2 + g * R * sigma * A * most**2 / (1 - g) ** 3
    moved = np.sum(np.diff(trace.parameters["policies"], axis=0) ** 2, axis=(1, 2))
    step = scale / ell
    used = [trace.parameters["smoothness"], trace.parameters["step"]]
    return (
        [*trace["smoothed"][1:], used[0], ell, used[1], step],
        [*(trace["smoothed"][:-1] - factor * (1 / step - ell / 2) * moved), ell, used[0], step, used[1]],
        max(100 / (1 - g), ell),
    )


# --- both sides at once


@claim("gda.run", kind=identity, source=f"{SOURCE} 8.6", provenance="derived",
       given=(contaminations, starts, st.floats(0.01, 0.5)), control={"order": "policy first"})  # fmt: skip
def descent_ascent(mdp, start, step, order="at once"):
    r"""Simultaneous gradients: $\pi_{k+1}$ and $P_{k+1}$ both from $(\pi_k, P_k)$, over contaminations, whose projection is that of the
    simplex, moved and scaled. J and $\Phi$ of every round.

    Control: the adversary answers the new policy.
    """
    trace = GradientDescentAscent(step, start, keep=True).run(mdp, N)
    policy, kernel, share = start, np.array(mdp.nominal), mdp.ambiguity.fraction[:, :, None]
    found, expected = [], []
    for k in range(N + 1):
        found += [trace["objective"][k], trace["played"][k], *np.ravel(trace.parameters["policies"][k])]
        expected += [
            mdp.initial @ smoothed_values(mdp, policy, None),
            mdp.initial @ plain.values_of(mdp, policy, kernel),
            *np.ravel(policy),
        ]
        slope = plain.policy_gradient(mdp, policy, kernel)
        moved = plain.rows_onto_simplex(np.where(mdp.available, policy - step * slope, -1e9))
        against = moved if order != "at once" else policy
        bend = plain.derivatives(lambda x, pi=against: mdp.initial @ plain.values_of(mdp, pi, x), kernel)
        low = (1 - share) * mdp.nominal
        rest = ((kernel + step * bend - low) / share).reshape(-1, mdp.n_states)
        policy, kernel = moved, low + share * plain.rows_onto_simplex(rest).reshape(kernel.shape)
    return found, expected, 1e4


@claim("responses.run", kind=identity, source=f"{SOURCE} 8.6", provenance="derived",
       given=(complete, st.sampled_from(["true", "lazy"])), control={"nominal": True})  # fmt: skip
def best_responses(drawn, adversary, nominal=False):
    r"""Alternating best responses: $\Phi(\pi_k)$ of policies that are the best of all deterministic ones against the last worst kernel, by
    enumeration; the lazy adversary leaves rows alone that the policy does not play.

    Control: the best policies against the nominal kernel.
    """
    mdp, _, _ = drawn
    trace, expected = BestResponses(adversary).run(mdp, N), []
    policy = np.eye(mdp.n_actions)[np.zeros(mdp.n_states, int)]
    for _ in range(N + 1):
        values, _ = plain.robust_values(mdp, policy)
        expected.append(mdp.initial @ values)
        kernel = plain.worst_kernel_at(mdp, policy, values)
        kernel = np.where(policy[:, :, None] > 0, kernel, mdp.nominal) if adversary == "lazy" else kernel
        kernel = mdp.nominal if nominal else kernel
        last = policy
        policy = min(plain.deterministic_policies(mdp), key=lambda other: plain.values_of(mdp, other, kernel).sum())
    return [*trace["objective"], *np.ravel(trace.policy)], [*expected, *np.ravel(last)], 100 / (1 - mdp.discount)


@claim("responses.period", kind=identity, source=f"{SOURCE} 8.6", provenance="derived",
       given=(draw(game, 3, 3, st.sampled_from([0.5, 0.9]), "s"),), control={"shift": 1})  # fmt: skip
def period(drawn, shift=0):
    """The period is the least distance at which a policy comes back: 12 rounds cut at every place show it.

    Control: one more.
    """
    mdp, _, _ = drawn
    policies = [tuple(BestResponses().run(mdp, n).policy.argmax(axis=1)) for n in range(1, 13)]
    policies.insert(0, (0,) * mdp.n_states)
    again = next(k for k in range(1, 13) if policies[k] in policies[:k])
    return BestResponses().run(mdp, 12).parameters["period"], again - policies.index(policies[again]) + shift


# --- mirror descent and IWOCS


@claim("mirror.run", kind=identity, source=f"{SOURCE} 8.4", provenance="derived",
       given=(complete_pairs, st.floats(0.1, 3), st.sampled_from([None, 1.0, 1.3])), control={"late": 1})  # fmt: skip
def mirror_run(drawn, rate, growth, late=0):
    r"""The loop: $v_k$ and $q_k$ are robust values of $\pi_k$ and worst cases of all pairs, by sorting, and $\log\pi_{k+1} = \log\pi_k -
    \eta_k q_k$ up to a constant in every state, $\eta_{k+1}/\eta_k$ the growth, by default $1/\gamma$.

    Control: the rate of the next step.
    """
    mdp, (start, _), _ = drawn
    trace = RobustMirrorDescent(rate, growth, start, keep=True).run(mdp, N)
    p, found, expected = trace.parameters, [], []
    factor = 1 / mdp.discount if growth is None else growth
    for k in range(N + 1):
        policy = np.exp(p["log_policies"][k])
        values, _ = plain.robust_values(mdp, policy)
        kernel = plain.worst_kernel_at(mdp, policy, values)
        q = np.sum(kernel * (mdp.cost + mdp.discount * values), axis=2)
        found += [*p["values"][k], *np.ravel(p["q_values"][k]), trace["objective"][k], trace["upper"][k], *policy.sum(axis=1)]
        expected += [*values, *np.ravel(q), *[mdp.initial @ values] * 2, *np.ones(mdp.n_states)]
        if k < N:
            weights = policy * np.exp(-rate * factor ** (k + late) * (q - q.min(axis=1, keepdims=True)))
            found += [*np.ravel(np.exp(p["log_policies"][k + 1]))]
            expected += [*np.ravel(weights / weights.sum(axis=1, keepdims=True))]
    last = np.exp(p["log_policies"][N])
    return [*found, *np.ravel(trace.policy)], [*expected, *np.ravel(last)], 1e3 / (1 - mdp.discount)


@claim("iwocs.bounds", kind=inequality, source=f"{SOURCE} 8.5", provenance="derived",
       given=(complete_pairs, st.sampled_from(["hull", "minq"]), st.booleans()), control={"above": 1})  # fmt: skip
def iwocs_bounds(drawn, variant, whole, above=0):
    r"""Both variants, with responses that are worst everywhere or only where the policy goes: $LB_k \le J^* \le UB_k$, the optimum by
    trying all deterministic policies; the first LB is the nominal optimum, the second one no less than the optimum against the first
    response, UB the worst case of the policy returned; "hull" ends where
    they meet.

    Control: LB is above $J^*$.
    """
    mdp, _, _ = drawn
    trace = IWOCS(variant, complete=whole).run(mdp, 30)
    optimum = mdp.initial @ plain.optimal_values(mdp)
    nominal = min(mdp.initial @ plain.values_of(mdp, policy, mdp.nominal) for policy in plain.deterministic_policies(mdp))
    phi, low, high = mdp.initial @ plain.robust_values(mdp, trace.output)[0], trace["lower"], trace["upper"]
    first_kernel = np.array(mdp.nominal)  # its best answer, and the response to that
    answer = min(plain.deterministic_policies(mdp), key=lambda policy: plain.values_of(mdp, policy, first_kernel).sum())
    response = plain.worst_kernel_at(mdp, answer, plain.robust_values(mdp, answer)[0])
    second = min(mdp.initial @ plain.values_of(mdp, policy, response) for policy in plain.deterministic_policies(mdp))
    ends = high[-1] - low[-1] if trace.parameters["status"] == "optimal" or variant == "hull" else 0.0
    lhs = [*low, *np.full(len(high), optimum), low[0], nominal, phi, high[-1], ends, second if whole and len(low) > 1 else low[0]]
    rhs = [
        *np.full(len(low), optimum + 1e-8),
        *(high + 1e-8),
        nominal + 1e-8,
        low[0] + 1e-8,
        high[-1] + 1e-8,
        phi + 1e-8,
        2e-8,
        low[min(1, len(low) - 1)] + 1e-8,
    ]
    return (rhs, lhs, 10.0) if above else (lhs, rhs, 10.0)


# --- the parametric family


def family(S, A, n, m, seed):
    """A parametric game with costs of moves: features of both signs, temperatures of about 1; policy in the last place."""
    rng = np.random.default_rng(seed)
    nominal = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < 0.8)
    nominal[nominal.sum(axis=2) == 0] = 1
    uncertain = ambiguity.Parametric(rng.normal(size=(S, n)), rng.uniform(0.1, 1, (S, A, m)), rng.normal(size=n), rng.uniform(0.5, 1.5, m),
                                     rng.uniform(0, 1), rng.uniform(0, 0.6))  # fmt: skip
    initial = rng.dirichlet(np.ones(S))
    return RobustMDP(nominal / nominal.sum(axis=2, keepdims=True), rng.random((S, A, S)), 0.8, initial, uncertain)


families = draw(family, st.integers(2, 3), 2, st.integers(1, 3), st.integers(1, 2))


def tilted(mdp, theta, lam):
    """The kernel [S, A, S] of the parameters; complex ones are allowed."""
    weights = mdp.nominal * np.exp((mdp.ambiguity.phi @ theta)[None, None] / (mdp.ambiguity.zeta @ lam)[:, :, None])
    return weights / weights.sum(axis=2, keepdims=True)


def into_ball(x, center, radius, least):
    """Projection onto the L1 ball met with x >= least: the threshold is one of those where a coordinate reaches 0 or ``least``, or between
    two of them, where the distance is linear."""
    y = np.maximum(x, least)
    if np.abs(y - center).sum() <= radius:
        return y
    offset, room = x - center, np.where(x < center, center - least, np.inf)
    lengths = lambda t: np.minimum(np.maximum(np.abs(offset) - t, 0), room).sum()
    corners = np.sort(np.concatenate([[0.0], np.abs(offset), (np.abs(offset) - room)[np.isfinite(room)]]))
    corners = corners[corners >= 0]
    high = next(t for t in corners if lengths(t) <= radius)
    low = max(t for t in corners if lengths(t) >= radius)
    t = low if high == low else low + (high - low) * (lengths(low) - radius) / (lengths(low) - lengths(high))
    return center + np.sign(offset) * np.minimum(np.maximum(np.abs(offset) - t, 0), room)


@claim("parametric.run", kind=identity, source=f"{SOURCE} 6.3 iii; Wang, Ho, Petrik 2023", provenance="derived",
       given=(families, st.sampled_from([0.01, 1.0]), st.floats(0.05, 1)), control={"sign": -1})  # fmt: skip
def parametric_run(mdp, inner_step, scale, sign=1):
    r"""The parametric inner loop, two ascents long, and the outer step on it: kernels $\propto \bar P e^{\theta\phi/\lambda\zeta}$,
    derivatives in $\theta$ and $\lambda$ by complex steps, projections onto the L1 balls by their breakpoints, $\lambda \ge 10^{-5}$.

    Control: descent in place of ascent.
    """
    f, policy = mdp.ambiguity, mdp.uniform_policy
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that two steps are not enough
        trace = DRPG("parametric", "constant", scale, inner_step=inner_step, inner_limit=2, keep=True).run(mdp, 2)
    theta, lam, found, expected = f.theta, f.lam, [], []
    for t in range(3):
        found += [*np.ravel(trace.parameters["policies"][t])]
        expected += [*np.ravel(policy)]
        before = plain.values_of(mdp, policy, tilted(mdp, theta, lam))
        for _ in range(2):
            slopes = (
                plain.derivatives(lambda x, y=lam, pi=policy: mdp.initial @ plain.values_of(mdp, pi, tilted(mdp, x, y)), theta),
                plain.derivatives(lambda y, x=theta, pi=policy: mdp.initial @ plain.values_of(mdp, pi, tilted(mdp, x, y)), lam),
            )
            theta = into_ball(theta + sign * inner_step * slopes[0], f.theta, f.theta_radius, -np.inf)
            lam = into_ball(lam + sign * inner_step * slopes[1], f.lam, f.lam_radius, 1e-5)
            after = plain.values_of(mdp, policy, tilted(mdp, theta, lam))
            if np.abs(after - before).max() < 1e-4:
                break
            before = after
        kernel = tilted(mdp, theta, lam)
        slope = plain.policy_gradient(mdp, policy, kernel)
        found += [trace["objective"][t], trace["gradient"][t], *np.ravel(trace.parameters["kernels"][t])]
        expected += [mdp.initial @ plain.values_of(mdp, policy, kernel), np.linalg.norm(slope), *np.ravel(kernel)]
        policy = plain.rows_onto_simplex(policy - scale * slope)
    best = trace.parameters["policies"][np.argmin(trace["objective"])]
    return [*found, *np.ravel(trace.output)], [*expected, *np.ravel(best)], 1e5


@claim("parametric.kl", kind=inequality, source=f"{SOURCE} 6.3", provenance="derived",
       given=(complete_pairs, st.floats(0.1, 2)), control={"less": 0.01})  # fmt: skip
def parametric_kl(drawn, radius, less=0.0):
    r"""With the states as features and one temperature for each pair the family holds tilts $\bar P e^{v/\lambda}$: the ascent never ends
    below the nominal kernel's J, and never above the worst case of the divergences that it spends, row by row.

    Control: a hundredth more than that.
    """
    mdp, (policy, _), _ = drawn
    (S, A), cost = mdp.shape, mdp.cost[:, :, 0]
    zeta = np.eye(S * A).reshape(S, A, S * A)
    uncertain = ambiguity.Parametric(np.eye(S), zeta, np.zeros(S), np.ones(S * A), radius, 0.0)
    trace = DRPG("parametric", "constant", 1e-9, policy, keep=True).run(
        RobustMDP(mdp.nominal, cost, mdp.discount, mdp.initial, uncertain), 1
    )
    kernel = trace.parameters["kernels"][0]
    spent = np.sum(kernel * np.log(kernel / mdp.nominal), axis=2)
    balls = RobustMDP(mdp.nominal, cost, mdp.discount, mdp.initial, ambiguity.KL(np.maximum(spent, 0)))
    J, nominal = trace["objective"][0], mdp.initial @ plain.values_of(balls, policy, mdp.nominal)
    worst = robust_evaluate(balls, policy).objective
    return [nominal + less, J], [J + 1e-9, worst + 1e-9], 10 / (1 - mdp.discount)


theorem(
    "robust-learners-run",
    statement="The loops of the other learners of robust MDPs do what their heads say, step by step: smoothed gradients on contaminations, "
    "which descend and are off by at most their bias, simultaneous gradients, alternating best responses, mirror descent, incremental "
    "worst cases, ascent in a parametric family.",
    source=f"{SOURCE} 6.3, 8",
    provenance="derived",
    claims=("contamination.run", "contamination.bias", "contamination.descent", "gda.run", "responses.run", "responses.period",
            "mirror.run", "iwocs.bounds", "parametric.run", "parametric.kl", "robust.mirror_descent", "robust.iwocs", "drpg.evaluation"),
    uses={
        "contamination.descent": ("contamination.run",),
        "mirror.run": ("drpg.evaluation",),
        "robust.mirror_descent": ("mirror.run",),
        "robust.iwocs": ("iwocs.bounds",),
    },
)  # fmt: skip
