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

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tabular_rl.algorithms.robust_linear.learning import (
    CLOSED,
    MIRROR,
    PREVIOUS,
    Nominal,
    Rules,
    World,
    blank,
    certificate,
    elliptical_bonus,
    mirror_step,
    successor,
)
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import draw
from tabular_rl.kernels.linear.ridge import count_update, doubled, ridge_refresh, ridge_update
from tabular_rl.kernels.linear.robust_induction import FAIL, TV_FAIL, robust_induction, worst_factor
from tabular_rl.kernels.ordering import argsort
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.linear import log_policy_of, robust_linear_solve

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
        1: theory. Less explores less, without guarantee: no column is then called ``certificate``.
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

    plays = RobustLinearMDP
    unit = "episode"
    series = ("regret", "suboptimality", "plain_regret", "plain_suboptimality", "optimism", "need", "plans")

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
        check.rate("tau", self.tau, zero=True)
        check.rate("scale", self.scale, zero=True)
        check.rate("ridge", self.ridge)
        check.failure("delta", self.delta, at_most=1)
        check.choice("kind", self.kind, ("auto", "tabular", "linear"))
        check.choice("update", self.update, ("closed", "mirror"))
        check.choice("bonus", self.bonus, ("factors", "elliptical"))
        check.integer("evaluate_every", self.evaluate_every, 1)
        for name in ("factor_clip", "shrink", "rare"):
            check.flag(name, getattr(self, name))
        if self.ridge < 1 and self.scale >= 1 and self.beta is None:
            warnings.warn(f"the theorems' constants (scale={self.scale:g}) need ridge >= 1, got {self.ridge:g}", stacklevel=3)
        if self.penalty is not None:
            check.rate("penalty", self.penalty)
        if self.successors is not None:
            check.integer("successors", self.successors, 1)
        if self.update == "mirror" and self.eta is None:
            raise ValueError("update='mirror' needs a step size eta > 0, got None")
        if self.eta is not None:
            check.rate("eta", self.eta)
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
            ``certificate``: G_k >= suboptimality with probability 1 - delta (lemma L14) where the constants are the theory's, else the
            same number as ``allowance``: what the bonuses in force allow, which certifies nothing; ``need``: the least c with which
            bonuses c cap[h+1] sqrt((Lambda^-1)_ii) cover the errors of all factors' worst values (both for the factor bonus); ``plans``:
            how many. ``parameters``: ``beta``, ``cap``, ``kind``, ``guarantee`` (whether the theorems' conditions hold).
        """
        problem = self.plays.of(problem)
        if self.radius is not None:
            problem = problem.with_radius(self.radius)
        index = checkpoints(n)
        tabular = problem.one_hot if self.kind == "auto" else self.kind == "tabular"
        if tabular and not problem.one_hot:
            raise ValueError("kind='tabular' needs one-hot features, these are not")
        if self.bonus == "elliptical" and tabular:
            tabular = False
        beta, cap = self.resolve(problem, n, tabular)
        tau = self.tau if self.tau >= 1e-8 * cap[0] else 0.0
        previous = isinstance(self.reference, str) and self.reference == "previous"
        log_reference = log_policy_of(None if isinstance(self.reference, str) else self.reference, problem.shape)
        penalty = None if self.penalty is None else ("tv_fail", self.penalty)
        soft = robust_linear_solve(problem, tau, np.exp(log_reference), penalty=penalty)
        plain = robust_linear_solve(problem, 0.0, penalty=penalty)
        nominal, world, rules, learner, plan, scratch = self._prepare(problem, beta, cap, tau, log_reference, tabular)
        best, every, rng = np.stack([soft.values, plain.values]), self.evaluate_every, check.generator(seed)
        series = _run(nominal, world, rules, learner, plan, scratch, best, every, index, rng)
        if previous:
            series[0] = series[1] = np.nan
        proven = self.proves(problem, n, tabular, beta)
        allowed = "certificate" if proven else "allowance"
        names = ("regret", "suboptimality", "plain_regret", "plain_suboptimality", "optimism", allowed, "need", "plans")
        parameters = {
            "tau": tau,
            "scale": self.scale,
            "beta": beta,
            "cap": cap,
            "kind": "tabular" if tabular else "linear",
            "guarantee": proven,
        }
        return Trace(index, dict(zip(names, series, strict=True)), plan.policy, parameters, seed)

    def _prepare(self, problem, beta, cap, tau, log_reference, tabular):
        """What the compiled loop reads and overwrites."""
        H, d = problem.horizon, problem.dimension
        sigma = 1.0 if self.penalty is None else self.penalty
        ceiling = np.full((H, d), np.inf)
        if self.factor_clip:
            following = np.append(cap[1:], 0.0)[:, None]
            ceiling[:] = (1 - problem.radius) * following if self.penalty is None else np.minimum(following, sigma)
        previous = isinstance(self.reference, str) and self.reference == "previous"
        update = MIRROR if self.update == "mirror" else PREVIOUS if previous else CLOSED
        refresh = REFRESH if d >= 50 or self.ridge < 1e-2 else 0
        elliptical = self.bonus == "elliptical"
        features, factors, reward, known, radius = (
            np.array(a) for a in (problem.features, problem.factors, problem.reward, problem.known, problem.radius)
        )
        (pointer, column, amount), fail, start = problem.compressed, problem.fail_state, problem.initial
        code, eta = FAIL if self.penalty is None else TV_FAIL, float(self.eta or 1.0)
        nominal = Nominal(features, pointer, column, amount, np.cumsum(factors, -1), fail, start)
        world = World(pointer, column, amount, factors, reward, known, radius, code, sigma, fail, start)
        rules = Rules(
            np.array(beta), cap, ceiling, float(self.ridge), tau, log_reference, update, eta, tabular, elliptical, self.rare, refresh
        )
        return nominal, world, rules, *blank(rules, problem.shape, d)

    def proves(self, problem, n, tabular, beta):
        """Whether the theorems' conditions hold: their bonus or more, ridge >= 1, clipped factors, the constraint, a fixed reference."""
        moves = int((problem.factors[:, ~problem.known] > 0).sum(axis=-1).max(initial=0))
        closed = self.update == "closed" and not (isinstance(self.reference, str) and self.reference == "previous")
        clipped = self.factor_clip and self.penalty is None and self.bonus == "factors"
        if not (closed and clipped and self.ridge >= 1 and moves <= (self.successors or moves)):
            return False
        return bool(np.all(beta >= replace(self, beta=None, scale=1.0).resolve(problem, n, tabular)[0]))

    def resolve(self, problem, n, tabular):
        """(beta [H], cap [H]) in force (dr_rpo spec, section 2.5; L7, L10, L11)."""
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
            factor = np.sqrt(log_term / 2) + np.sqrt(float(self.ridge))
        else:
            inner = d * np.log(1 + n / (d * self.ridge)) + 2 * (d + 1) * np.log(1 + 2 * np.sqrt(n)) + 2 * np.log(H / self.delta)
            factor = (np.sqrt(inner) + 1) / 2 + np.sqrt(float(self.ridge) * d)
        return self.scale * factor * cap[1:], cap[:-1]


@njit
def _run(nominal, world, rules, learner, plan, scratch, best, every, index, rng):
    """The whole run; fills ``plan`` and returns the series [8, len(index)]."""
    row, plans, visits, series = 0, 0, 0, np.zeros((8, len(index)))
    for k in range(index[-1]):
        if k == 0 or not rules.rare or doubled(learner.logdet, plan.logdet):
            make_plan(world, rules, learner, plan, scratch, plans > 0)
            plans += 1
        last = k + 1 == index[row]
        if k % every == 0 or last:
            score(world, rules, plan, scratch, best, k, every, index[-1], series[:, row])
        if last:
            certify(world, rules, learner, plan, scratch, best[0, 0], series[:, row])
            series[7, row] = plans
            row += 1
        visits = play(nominal, rules, learner, plan.policy, visits, rng)
    return series


@njit
def make_plan(world, rules, learner, plan, scratch, again):
    """The policy of the next episodes, by optimistic robust induction from the data so far."""
    if rules.update == MIRROR and again:
        mirror_step(plan.log_policy, plan.policy, rules.log_reference, plan.q, rules.tau, rules.eta)
    if rules.update == PREVIOUS and again:
        plan.anchor[:] = plan.log_policy
    reward = world.reward
    if rules.elliptical:
        elliptical_bonus(world.pointer, world.column, world.amount, learner.inverse, rules.beta, world.reward, scratch.q)
        reward = scratch.q
    robust_induction(
        world.pointer, world.column, world.amount, reward, learner.weights, learner.width, world.known, world.radius, world.code,
        world.penalty, 0.0, rules.cap, rules.ceiling, rules.tau, plan.anchor, rules.update == MIRROR, world.fail,
        plan.policy, plan.log_policy, plan.values, plan.q, plan.u, scratch.order, scratch.spare, scratch.shifted,
    )  # fmt: skip
    plan.logdet[:] = learner.logdet
    plan.width[:] = learner.width


@njit
def play(nominal, rules, learner, policy, visits, rng):
    """One episode of the nominal world, ended by the fail state; each step is one visit of its features. Returns all visits so far."""
    features, pointer, column, amount, cumulative, fail, start = nominal
    inverse, weights, width, direction = learner.inverse, learner.weights, learner.width, learner.direction
    (H, _, A), s = policy.shape, start
    for h in range(H):
        if s == fail:
            break
        a = draw(policy[h, s], rng)
        factor, t = successor(pointer, column, amount, cumulative, h, s * A + a, rng)
        visits += 1
        if rules.tabular:
            count = learner.visits[h, factor] + rules.ridge
            learner.visits[h, factor] += 1.0
            learner.logdet[h] += count_update(weights[h, factor], t, count)
            width[h, factor] = rules.beta[h] / np.sqrt(count + 1.0)
        else:
            learner.logdet[h] += ridge_update(features[s, a], t, inverse[h], weights[h], learner.gram[h], learner.moments[h], direction)
            if rules.refresh > 0 and visits % rules.refresh == 0:
                for g in range(H):
                    ridge_refresh(learner.gram[g], learner.moments[g], inverse[g], weights[g], learner.work)
            if not rules.elliptical:
                for i in range(inverse.shape[1]):
                    width[h, i] = rules.beta[h] * np.sqrt(max(inverse[h, i, i], 0.0))
        s = t
    return visits


@njit
def score(world, rules, plan, scratch, best, k, every, episodes, series):
    """Evaluate the policy of episode k exactly, with and without the KL cost; series[:4] = regret and gap of each, at this episode.

    An evaluation counts for its whole block: what of it lies beyond the present episode is taken off again.
    """
    first = k % every == 0
    for variant in range(2):
        tau = rules.tau if variant == 0 else 0.0
        robust_induction(
            world.pointer, world.column, world.amount, world.reward, world.factors, scratch.zeros, world.known, world.radius, world.code,
            world.penalty, -np.inf, scratch.free, scratch.unbounded, tau, rules.log_reference, True, world.fail,
            plan.policy, plan.log_policy, scratch.values, scratch.q, scratch.u, scratch.order, scratch.spare, scratch.shifted,
        )  # fmt: skip
        gap, ledger = best[variant, 0, world.start] - scratch.values[0, world.start], scratch.ledger[variant]
        if first:
            ledger[0] += gap * min(every, episodes - k)
            ledger[1] = gap
        ahead = min(every * (k // every + 1), episodes) - (k + 1)
        series[2 * variant] = ledger[0] - ledger[1] * ahead
        series[2 * variant + 1] = gap


@njit
def certify(world, rules, learner, plan, scratch, soft, series):
    """series[4:7] = least optimism at step 0, certificate, and what the bonus needed to be."""
    optimism = np.inf
    for s in range(len(soft)):
        optimism = min(optimism, plan.values[0, s] - soft[s])
    series[4] = optimism
    series[5] = certificate(
        world.pointer, world.column, world.amount, world.factors, plan.policy, plan.width, world.known, rules.cap, world.start, world.fail,
        scratch.law,
    )  # fmt: skip
    series[6] = 0.0
    for h in range(len(rules.cap) - 1):
        following = plan.values[h + 1]
        argsort(following, len(following), scratch.order, scratch.spare)
        for i in range(len(world.known)):
            if not world.known[i]:
                radius, order = world.radius[h, i], scratch.order
                error = worst_factor(world.code, following, order, learner.weights[h, i], radius, world.penalty, scratch.shifted)
                error -= worst_factor(world.code, following, order, world.factors[h, i], radius, world.penalty, scratch.shifted)
                spread = 1.0 / (learner.visits[h, i] + rules.ridge) if rules.tabular else max(learner.inverse[h, i, i], 0.0)
                series[6] = max(series[6], abs(error) / (np.sqrt(spread) * rules.cap[h + 1]))
