"""DR-RPO: distributionally robust, policy-regularized optimism with linear features (Gu, He, Liu, Xu 2025).

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
    State,
    blank,
    bonus_widths,
    booked,
    certificate,
    elliptical_bonus,
    mirror_step,
    needed,
    successor,
)
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.episodes import draw
from tabular_rl.kernels.linear.ridge import count_update, doubled, ridge_refresh, ridge_update
from tabular_rl.kernels.linear.robust_induction import FAIL, TV_FAIL, Belief, Limits, robust_induction
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check
from tabular_rl.planning.robust.linear import log_policy_of, robust_linear_solve, work_space, world_of

__all__ = ["DRRPO"]

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
    examples = ({"rare": True},)

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
            ``regret`` and ``suboptimality``: V* - V_k at the start, robust and regularized (NaN for the previous policy as reference);
            ``plain_regret`` and ``plain_suboptimality``: the same policies without the KL cost. ``optimism``: min_s V_k - V* at step 0;
            ``certificate``: G_k >= suboptimality with probability 1 - delta (lemma L14) where the constants are the theory's, else the
            same number as ``allowance``: what the bonuses in force allow, which certifies nothing; ``need``: the least c with which
            bonuses c cap[h+1] sqrt((Lambda^-1)_ii) cover the errors of all factors' worst values (both for the factor bonus); ``plans``:
            how many. ``parameters``: ``beta``, ``cap``, ``kind``, ``guarantee`` (whether the theorems' conditions hold).
        """
        problem = self.plays.of(problem)
        if self.radius is not None:
            problem = problem.with_radius(self.radius)
        index, state = checkpoints(n), self.prepare(problem, n)
        rules, policy = state.rules, state.plan.policy
        penalty = None if self.penalty is None else ("tv_fail", self.penalty)
        soft = robust_linear_solve(problem, rules.tau, np.exp(rules.log_reference), penalty=penalty)
        plain = robust_linear_solve(problem, 0.0, penalty=penalty)
        best, rng = np.stack([soft.values, plain.values]), check.generator(seed)
        series = learn(*state, best, self.evaluate_every, index, rng)
        if rules.update == PREVIOUS:
            series[0] = series[1] = np.nan
        proven = self.proves(problem, n, rules.tabular, rules.beta)
        allowed = "certificate" if proven else "allowance"
        names = ("regret", "suboptimality", "plain_regret", "plain_suboptimality", "optimism", allowed, "need", "plans")
        parameters = {
            "tau": rules.tau,
            "scale": self.scale,
            "beta": rules.beta,
            "cap": rules.cap,
            "kind": "tabular" if rules.tabular else "linear",
            "guarantee": proven,
        }
        return Trace(index, dict(zip(names, series, strict=True)), policy, parameters, seed)

    def prepare(self, problem, n):
        """The State before the first of ``n`` episodes: what the compiled loop reads and overwrites."""
        S, d = problem.shape[1], problem.dimension
        tabular = problem.one_hot if self.kind == "auto" else self.kind == "tabular"
        if tabular and not problem.one_hot:
            raise ValueError("kind='tabular' needs one-hot features, these are not")
        elliptical = self.bonus == "elliptical"
        tabular = tabular and not elliptical
        beta, cap = self.resolve(problem, n, tabular)
        named = isinstance(self.reference, str)
        rules = Rules(
            beta=np.array(beta),
            cap=cap,
            ceiling=self._ceiling(problem, cap),
            ridge=float(self.ridge),
            tau=self.tau if self.tau >= 1e-8 * cap[0] else 0.0,
            log_reference=log_policy_of(None if named else self.reference, problem.shape),
            update=MIRROR if self.update == "mirror" else PREVIOUS if named and self.reference == "previous" else CLOSED,
            eta=float(self.eta or 1.0),
            tabular=tabular,
            elliptical=elliptical,
            rare=self.rare,
            refresh=REFRESH if d >= 50 or self.ridge < 1e-2 else 0,
        )
        world = world_of(problem, FAIL) if self.penalty is None else world_of(problem, TV_FAIL, self.penalty)
        features, cumulative = np.array(problem.features), np.cumsum(problem.factors, axis=-1)
        nominal = Nominal(features, world.pointer, world.column, world.amount, cumulative, problem.fail_state, problem.initial)
        return State(nominal, world, rules, *blank(rules, world.reward, d, work_space(S)))

    def _ceiling(self, problem, cap):
        """[H, d]: what a factor's value may be at most."""
        following = np.append(cap[1:], 0.0)[:, None]
        if not self.factor_clip:
            return np.full(problem.radius.shape, np.inf)
        if self.penalty is None:
            return (1 - problem.radius) * following
        return np.minimum(following, np.full(problem.radius.shape, float(self.penalty)))

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
        (H, S, _), d, pairs = problem.shape, problem.dimension, int(np.sum(~problem.known))
        cap = value_range(problem.radius, problem.known, self.shrink and self.penalty is None)
        if self.beta is not None:
            beta = check.real_array("beta", self.beta, (H,))
            if beta.min() < 0:
                raise ValueError(f"beta must be at least 0, got {beta.min()}")
            return beta, cap[:-1]
        if pairs == 0:
            return np.zeros(H), cap[:-1]
        if tabular:
            factor = tabular_factor(H, pairs, n, self.successors or S, self.ridge, self.delta)
        else:
            factor = linear_factor(H, d, n, self.ridge, self.delta)
        return self.scale * factor * cap[1:], cap[:-1]


def value_range(radius, known, shrink=True):
    """cap [H+1]: no value exceeds cap[h] = 1 + (1 - least radius of an unknown factor) cap[h+1] (L7); H - h without ``shrink``.

    >>> value_range(np.array([[0.5, 0.0], [0.5, 0.0]]), np.array([False, True]))
    array([1.5, 1. , 0. ])
    """
    cap = np.zeros(len(radius) + 1)
    for h in range(len(radius) - 1, -1, -1):
        least = radius[h, ~known].min() if not known.all() else 1.0
        cap[h] = 1 + (1 - least * shrink) * cap[h + 1]
    return cap


def tabular_factor(H, pairs, n, successors, ridge, delta):
    """beta[h] / cap[h+1] with one-hot features: sqrt(l / 2) + sqrt(ridge), l = successors log 2 + log(H pairs n / delta) (L11).

    One event for each step, unknown pair and number of visits up to n, of total probability ``delta``.
    """
    log_term = successors * np.log(2) + np.log(H * pairs * n / delta)
    return np.sqrt(log_term / 2) + np.sqrt(float(ridge))


def linear_factor(H, d, n, ridge, delta):
    """beta[h] / cap[h+1]: (sqrt(d log(1 + n / (d ridge)) + 2 (d+1) log(1 + 2 sqrt n) + 2 log(H / delta)) + 1) / 2 + sqrt(d ridge) (L10).

    One event for each step and each of the (1 + 2 sqrt n)^(d+1) functions of the net, of total probability ``delta``.
    """
    inner = d * np.log(1 + n / (d * ridge)) + 2 * (d + 1) * np.log(1 + 2 * np.sqrt(n)) + 2 * np.log(H / delta)
    return (np.sqrt(inner) + 1) / 2 + np.sqrt(float(ridge) * d)


def regret_bound(beta, cap, pairs, n, delta):
    """Theorem 1, with probability 1 - 2 delta: 4 sqrt(pairs n) sum_h beta[h] + sum_h cap[h] sqrt(n log(1 / delta) / 2)."""
    return 4 * np.sqrt(pairs * n) * beta.sum() + cap.sum() * np.sqrt(n * np.log(1 / delta) / 2)


@njit
def learn(nominal, world, rules, learner, plan, basis, scratch, best, every, index, rng):
    """The whole run: the series [8, len(index)]. ``plan`` is left as that of the last episode, ``learner`` has seen it.

    ``best`` [2, H+1, S]: optimal values with and without the KL cost.
    """
    row, plans, visits, series = 0, 0, 0, np.zeros((8, len(index)))
    for k in range(index[-1]):
        if k == 0 or not rules.rare or doubled(learner.logdet, basis.logdet):
            make_plan(world, rules, learner, plan, basis, scratch, plans > 0)
            plans += 1
        last = k + 1 == index[row]
        if k % every == 0 or last:
            score(world, rules, scratch, best, k, every, index[-1], series[:4, row])
        if last:
            series[4, row] = optimism(plan.values, best[0])
            series[5, row] = certificate(world, plan.policy, basis.width, rules.cap, scratch.law)
            series[6, row] = needed(world, rules, learner, plan.values, scratch.work)
            series[7, row] = plans
            row += 1
        visits = play(nominal, rules, learner, plan.policy, visits, rng)
    return series


@njit
def make_plan(world, rules, learner, plan, basis, scratch, again):
    """The policy of the next episodes, by optimistic robust induction from the data so far. ``again``: not for the first time."""
    H, S, A = plan.q.shape
    if rules.update == MIRROR and again:
        mirror_step(plan.log_policy, plan.policy, rules.log_reference, plan.q, rules.tau, rules.eta)
    if rules.update == PREVIOUS and again:
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    basis.anchor[h, s, a] = plan.log_policy[h, s, a]
    if rules.elliptical:
        elliptical_bonus(world, learner.inverse, rules.beta, basis.reward)
    belief = Belief(learner.weights, learner.width, basis.reward)
    limits = Limits(0.0, rules.ceiling, rules.cap)
    robust_induction(world, belief, limits, rules.tau, basis.anchor, rules.update == MIRROR, plan, scratch.work)
    for h in range(H):
        basis.logdet[h] = learner.logdet[h]
        for i in range(learner.width.shape[1]):
            basis.width[h, i] = learner.width[h, i]


@njit
def play(nominal, rules, learner, policy, visits, rng):
    """One episode of the nominal world, ended by the fail state; each step is one visit of its features. Returns all visits so far."""
    features, pointer, column, amount, cumulative, fail, start = nominal
    beta, ridge, tabular, elliptical, refresh = rules.beta, rules.ridge, rules.tabular, rules.elliptical, rules.refresh
    gram, inverse, weights, moments, count, width, logdet, direction, work = learner
    (H, _, A), s = policy.shape, start
    for h in range(H):
        if s == fail:
            break
        a = draw(policy[h, s], rng)
        factor, t = successor(pointer, column, amount, cumulative[h], s * A + a, rng)
        visits += 1
        if tabular:
            n = count[h, factor] + ridge
            count[h, factor] += 1.0
            logdet[h] += count_update(weights[h, factor], t, n)
            width[h, factor] = beta[h] / np.sqrt(n + 1.0)
        else:
            logdet[h] += ridge_update(features[s, a], t, inverse[h], weights[h], gram[h], moments[h], direction)
            if refresh > 0 and visits % refresh == 0:
                for g in range(H):
                    ridge_refresh(gram[g], moments[g], inverse[g], weights[g], work)
            if not elliptical:
                bonus_widths(beta[h], inverse[h], width[h])
        s = t
    return visits


@njit
def score(world, rules, scratch, best, k, every, episodes, series):
    """Evaluate the policy of episode k exactly, with and without the KL cost; series [4] = regret and gap of each, at this episode."""
    exact, unlimited = Belief(world.factors, scratch.zeros, world.reward), Limits(-np.inf, scratch.unbounded, scratch.free)
    for variant in range(2):
        tau = rules.tau if variant == 0 else 0.0
        robust_induction(world, exact, unlimited, tau, rules.log_reference, True, scratch.played, scratch.work)
        gap = best[variant, 0, world.start] - scratch.played.values[0, world.start]
        series[2 * variant] = booked(scratch.ledger[variant], gap, k, every, episodes)
        series[2 * variant + 1] = gap


@njit
def optimism(values, best):
    """min_s V_k - V* at step 0."""
    least = np.inf
    for s in range(best.shape[1]):
        least = min(least, values[0, s] - best[0, s])
    return least
