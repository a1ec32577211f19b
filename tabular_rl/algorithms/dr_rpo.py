"""DR-RPO: distributionally robust, policy-regularised optimism with linear features (Gu, He, Liu, Xu 2025).

    plan, for h = H-1 .. 0:
        u[h,i]     = clip(max_alpha W[h,i] @ min(V[h+1], alpha) - rho alpha  +  beta[h] sqrt((Lambda[h]^-1)_ii), 0, (1 - rho) cap[h+1])
        Q[h,s,a]   = min(r + <phi, u[h]>, cap[h])
        V[h,s]     = tau log sum_a ref exp(Q / tau),    policy proportional to ref exp(Q / tau)
    play an episode of the nominal world; per step one ridge update of Lambda^-1 and of W = Lambda^-1 sum phi 1{s'}^T

Provenance: dr_rpo spec, sections 2 and 3. Setting, estimator, dual and bonus [paper: Liu, Xu 2024]; clips of factors, constants and
theorems 1 (one-hot) and 2 (linear) [derived]; soft maximum around the reference [reconstructed]. The guarantees need scale = 1,
lambda >= 1, factor_clip and update = "closed" with a fixed reference; the default scale = 0.1 is practical and carries none.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodes import draw
from tabular_rl.kernels.linear import doubled, ridge_refresh, ridge_update
from tabular_rl.kernels.linear_robust import FAIL, TV_FAIL, robust_induction
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust_linear import log_policy_of, robust_linear_solve

CLOSED, MIRROR, PREVIOUS = range(3)
REFRESH = 512  # visits between two refreshes of the inverse, where rounding could add up


@dataclass(frozen=True)
class DRRPO:
    """Optimistic soft-greedy planning against the worst factors.

    Parameters
    ----------
    tau : float
        Temperature >= 0 of the KL cost; 0 is DR-LSVI-UCB (below 1e-8 of the value range it counts as 0).
    radius : float or array [H, d], optional
        rho; default: the model's.
    reference : str or array [H, S, A]
        "uniform", "previous" (the last plan's policy: a proximal heuristic, no guarantee), or a positive policy.
    beta : array [H], optional
        Multiplies the bonus; default: the theory's for ``kind`` times ``scale``.
    scale : float
        1: theory. Less explores less, without guarantee.
    ridge, delta : float
        lambda > 0, failure probability in (0, 1].
    kind : str
        "auto", "tabular" (counts; needs one-hot features) or "linear".
    successors : int, optional
        Bound on the successors of a pair (tabular beta); default S.
    penalty : float, optional
        sigma > 0 of a total variation penalty in place of the constraint (towards the fail state).
    factor_clip, shrink : bool
        Clip factor values (needed by theorem 2), and let the value range shrink with the radius.
    update : str
        "closed", or "mirror" with step size ``eta``: an ablation without any bound.
    bonus : str
        "factors" (the theory's), or "elliptical": beta |phi| in the norm of Lambda^-1 (LSVI-UCB).
    rare : bool
        Plan only after some determinant has doubled.
    evaluate_every : int
        Episodes between two exact evaluations; regret counts each for as many episodes. 1: exact regret.
    """

    tau: float = 0.01
    radius: Any = None
    reference: Any = field(default="uniform", repr=False)
    beta: Any = None
    scale: float = 0.1
    ridge: float = 1.0
    delta: float = 0.05
    kind: str = "auto"
    successors: int | None = None
    penalty: float | None = None
    factor_clip: bool = True
    shrink: bool = True
    update: str = "closed"
    eta: float | None = None
    bonus: str = "factors"
    rare: bool = False
    evaluate_every: int = 10

    def __post_init__(self):
        check.number("tau", self.tau, at_least=0)
        check.number("scale", self.scale, at_least=0)
        check.number("ridge", self.ridge, above=0)
        check.number("delta", self.delta, above=0, at_most=1)
        check.choice("kind", self.kind, ("auto", "tabular", "linear"))
        check.choice("update", self.update, ("closed", "mirror"))
        check.choice("bonus", self.bonus, ("factors", "elliptical"))
        check.integer("evaluate_every", self.evaluate_every, 1)
        if self.penalty is not None:
            check.number("penalty", self.penalty, above=0)
        if self.successors is not None:
            check.integer("successors", self.successors, 1)
        if self.update == "mirror":
            if self.eta is None:
                raise ValueError("update='mirror' needs a step size eta > 0, got None")
            check.number("eta", self.eta, above=0)
        if isinstance(self.reference, str):
            check.choice("reference", self.reference, ("uniform", "previous"))
            if self.reference == "previous" and (self.update == "mirror" or self.tau == 0):
                raise ValueError("reference='previous' is for update='closed' with tau > 0")

    def run(self, problem, n, seed=0):
        """Play ``n`` episodes of a RobustLinearMDP.

        Returns
        -------
        Trace
            ``regret`` and ``suboptimality``: V* - V_k at the start, robust and regularised (NaN for the previous policy as reference);
            ``plain_regret`` and ``plain_suboptimality``: the same policies without the KL cost. ``optimism``: min_s V_k - V* at step 0;
            ``certificate``: G_k of lemma L14 (for the factor bonus); ``plans``: how many. ``parameters``: ``beta``, ``cap``, ``kind``.
        """
        if not isinstance(problem, RobustLinearMDP):
            raise TypeError(f"problem must be a RobustLinearMDP, got {type(problem).__name__}")
        if self.radius is not None:
            problem = problem.with_radius(self.radius)
        H, index = problem.horizon, checkpoints(n)
        tabular = problem.one_hot if self.kind == "auto" else self.kind == "tabular"
        if tabular and not problem.one_hot:
            raise ValueError("kind='tabular' needs one-hot features, these are not")
        if self.bonus == "elliptical" and tabular:
            tabular = False
        beta, cap = self.resolve(problem, n, tabular)
        tau = self.tau if self.tau >= 1e-8 * cap[0] else 0.0
        previous = isinstance(self.reference, str) and self.reference == "previous"
        log_reference = log_policy_of(None if isinstance(self.reference, str) else self.reference, problem.shape)
        sigma = 1.0 if self.penalty is None else self.penalty
        penalty = None if self.penalty is None else ("tv_fail", sigma)
        soft = robust_linear_solve(problem, tau, np.exp(log_reference), penalty=penalty)
        plain = robust_linear_solve(problem, 0.0, penalty=penalty)
        ceiling = np.full((H, problem.dimension), np.inf)
        if self.factor_clip:
            following = np.append(cap[1:], 0.0)[:, None]
            ceiling[:] = (1 - problem.radius) * following if penalty is None else np.minimum(following, sigma)
        update = MIRROR if self.update == "mirror" else PREVIOUS if previous else CLOSED
        refresh = REFRESH if problem.dimension >= 50 or self.ridge < 1e-2 else 0
        series, policy = _run(
            *problem.compressed, problem.features, np.cumsum(problem.factors, -1), problem.factors, problem.reward, problem.known,
            problem.radius, FAIL if penalty is None else TV_FAIL, sigma, problem.fail_state,
            problem.initial, beta, cap, ceiling, self.ridge, tau, log_reference, update, self.eta or 1.0, tabular,
            self.bonus == "elliptical", self.rare, refresh, soft.values, plain.values, self.evaluate_every, index,
            np.random.default_rng(seed),
        )  # fmt: skip
        if previous:
            series[0] = series[1] = np.nan
        names = ("regret", "suboptimality", "plain_regret", "plain_suboptimality", "optimism", "certificate", "plans")
        parameters = {"tau": tau, "scale": self.scale, "beta": beta, "cap": cap, "kind": "tabular" if tabular else "linear"}
        return Trace(index, dict(zip(names, series, strict=True)), policy, parameters, seed)

    def resolve(self, problem, n, tabular):
        """(beta [H], cap [H]) in force (spec, section 2.5; lemmas L7, L10, L11)."""
        (H, S, _), d, unknown = problem.shape, problem.dimension, ~problem.known
        cap = np.zeros(H + 1)
        shrink = self.shrink and self.penalty is None
        for h in range(H - 1, -1, -1):
            least = problem.radius[h, unknown].min() if unknown.any() else 1.0
            cap[h] = 1 + (1 - least * shrink) * cap[h + 1]
        if self.beta is not None:
            beta = check.real_array("beta", self.beta, (H,))
            if beta.min() < 0:
                raise ValueError(f"beta must be at least 0, got {beta.min()}")
            return beta, cap[:-1]
        if not unknown.any():
            return np.zeros(H), cap[:-1]
        if tabular:
            log_term = (self.successors or S) * np.log(2) + np.log(H * unknown.sum() * n / self.delta)
            factor = np.sqrt(log_term / 2) + np.sqrt(self.ridge)
        else:
            inner = d * np.log(1 + n / (d * self.ridge)) + 2 * (d + 1) * np.log(1 + 2 * np.sqrt(n)) + 2 * np.log(H / self.delta)
            factor = (np.sqrt(inner) + 1) / 2 + np.sqrt(self.ridge * d)
        return self.scale * factor * cap[1:], cap[:-1]


@njit
def _run(
    pointer, column, amount, features, cumulative, factors, reward, known, radius, code, penalty, fail, start, beta, cap, ceiling, ridge,
    tau, log_reference, update, eta, tabular, elliptical, rare, refresh, soft, plain, evaluate_every, index, rng,
):  # fmt: skip
    H, S, A = reward.shape
    d = len(known)
    gram, inverse, weights, moments = np.zeros((H, d, d)), np.zeros((H, d, d)), np.zeros((H, d, S)), np.zeros((H, d, S))
    visits, width, planned_width = np.zeros((H, d)), np.empty((H, d)), np.empty((H, d))
    for h in range(H):
        for i in range(d):
            gram[h, i, i], inverse[h, i, i] = ridge, 1.0 / ridge
            width[h, i] = 0.0 if elliptical else beta[h] / np.sqrt(ridge)
    logdet, logdet_then, row, series = np.zeros(H), np.zeros(H), 0, np.zeros((7, len(index)))
    policy, log_policy, values, q, u = (
        np.exp(log_reference),
        log_reference.copy(),
        np.zeros((H + 1, S)),
        np.zeros((H, S, A)),
        np.zeros((H, d)),
    )
    anchor = log_reference.copy()  # the reference in force
    extra, free, bounds = np.empty((H, S, A)), np.full(H, np.inf), np.full((H, d), np.inf)
    zeros, played, scored = np.zeros((H, d)), np.zeros((H + 1, S)), np.empty((H, S, A))
    order, spare, shifted, direction, work = np.empty(S, np.int64), np.empty(S, np.int64), np.empty(S), np.empty(d), np.empty((d, d))
    law, score, spent = np.empty((2, S)), np.empty((H, d)), np.zeros(4)
    plans, updates = 0, 0

    for k in range(index[-1]):
        if k == 0 or not rare or doubled(logdet, logdet_then):
            if update == MIRROR and plans > 0:
                mirror_step(log_policy, policy, log_reference, q, tau, eta)
            if update == PREVIOUS and plans > 0:
                anchor[:] = log_policy
            optimistic = reward
            if elliptical:
                elliptical_bonus(pointer, column, amount, inverse, beta, reward, extra)
                optimistic = extra
            robust_induction(
                pointer, column, amount, optimistic, weights, width, known, radius, code, penalty, 0.0, cap, ceiling, tau, anchor,
                update == MIRROR, fail, policy, log_policy, values, q, u, order, spare, shifted,
            )  # fmt: skip
            logdet_then[:] = logdet
            planned_width[:] = width
            plans += 1

        last = k + 1 == index[row]
        if k % evaluate_every == 0 or last:
            share = min(evaluate_every, index[-1] - k) if k % evaluate_every == 0 else 0
            for variant in range(2):
                robust_induction(
                    pointer, column, amount, reward, factors, zeros, known, radius, code, penalty, -np.inf, free, bounds,
                    tau if variant == 0 else 0.0, log_reference, True, fail, policy, log_policy, played, scored, score, order, spare,
                    shifted,
                )  # fmt: skip
                gap = (soft if variant == 0 else plain)[0, start] - played[0, start]
                # an evaluation counts for its whole block: what of it lies beyond the checkpoint is taken off again
                spent[variant] += gap * share
                spent[2 + variant] = gap if share > 0 else spent[2 + variant]
                if last:
                    ahead = evaluate_every * (k // evaluate_every + 1) - (k + 1)
                    beyond = max(0, min(ahead, index[-1] - (k + 1)))
                    series[2 * variant, row] = spent[variant] - spent[2 + variant] * beyond
                    series[2 * variant + 1, row] = gap
        if last:
            optimism = np.inf
            for s in range(S):
                optimism = min(optimism, values[0, s] - soft[0, s])
            series[4, row] = optimism
            series[5, row] = certificate(pointer, column, amount, factors, policy, planned_width, known, cap, start, fail, law)
            series[6, row] = plans
            row += 1

        s = start
        for h in range(H):
            if s == fail:
                break
            a = draw(policy[h, s], rng)
            entry, remaining = pointer[s * A + a], rng.random()
            while entry + 1 < pointer[s * A + a + 1] and remaining >= amount[entry]:
                remaining -= amount[entry]
                entry += 1
            t, u_next = 0, rng.random()
            while t < S - 1 and u_next >= cumulative[h, column[entry], t]:
                t += 1
            if tabular:
                i = column[entry]
                count = visits[h, i] + ridge
                for y in range(S):
                    weights[h, i, y] *= count / (count + 1.0)
                weights[h, i, t] += 1.0 / (count + 1.0)
                visits[h, i] += 1.0
                width[h, i] = beta[h] / np.sqrt(count + 1.0)
                logdet[h] += np.log((count + 1.0) / count)
            else:
                logdet[h] += ridge_update(features[s, a], t, inverse[h], weights[h], gram[h], moments[h], direction)
                updates += 1
                if refresh > 0 and updates % refresh == 0:
                    for g in range(H):
                        ridge_refresh(gram[g], moments[g], inverse[g], weights[g], work)
                if not elliptical:
                    for i in range(d):
                        width[h, i] = beta[h] * np.sqrt(max(inverse[h, i, i], 0.0))
            s = t
    return series, policy


@njit
def mirror_step(log_policy, policy, log_reference, q, tau, eta):
    """policy <- argmax_p <p, q> - tau KL(p || reference) - KL(p || policy) / eta."""
    H, S, A = q.shape
    for h in range(H):
        for s in range(S):
            top, total = -np.inf, 0.0
            for a in range(A):
                mixed = log_policy[h, s, a] + eta * (q[h, s, a] + (tau * log_reference[h, s, a] if tau > 0.0 else 0.0))
                log_policy[h, s, a] = mixed / (1.0 + tau * eta)
                top = max(top, log_policy[h, s, a])
            for a in range(A):
                total += np.exp(log_policy[h, s, a] - top)
            for a in range(A):
                log_policy[h, s, a] -= top + np.log(total)
                policy[h, s, a] = np.exp(log_policy[h, s, a])


@njit
def elliptical_bonus(pointer, column, amount, inverse, beta, reward, extra):
    """extra = reward + beta[h] sqrt(phi^T inverse[h] phi)."""
    H, S, A = reward.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                square, row = 0.0, s * A + a
                for i in range(pointer[row], pointer[row + 1]):
                    for j in range(pointer[row], pointer[row + 1]):
                        square += amount[i] * amount[j] * inverse[h, column[i], column[j]]
                extra[h, s, a] = reward[h, s, a] + beta[h] * np.sqrt(max(square, 0.0))


@njit
def certificate(pointer, column, amount, factors, policy, width, known, cap, start, fail, law):
    """G = E sum_h min(2 <phi, width[h]>, cap[h]) off the fail state, under ``policy`` and the nominal factors (lemma L14)."""
    H, S, A = policy.shape
    law[:] = 0.0
    law[0, start] = 1.0
    total = 0.0
    for h in range(H):
        now, then = law[h % 2], law[(h + 1) % 2]
        then[:] = 0.0
        for s in range(S):
            if s == fail or now[s] == 0.0:
                continue
            for a in range(A):
                mass, row, bonus = now[s] * policy[h, s, a], s * A + a, 0.0
                for e in range(pointer[row], pointer[row + 1]):
                    i = column[e]
                    if not known[i]:
                        bonus += amount[e] * width[h, i]
                    for t in range(S):
                        then[t] += mass * amount[e] * factors[h, i, t]
                total += mass * min(2.0 * bonus, cap[h])
    return total
