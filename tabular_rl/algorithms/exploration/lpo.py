"""LPO: policy optimization with width-based exploration and few policy switches (Li, Wang, Cheng, Yang 2023).

Setting: discounted MDP, only resets to the start; rewards in [0, 1]. A pair (s, a) is known when its squared width w2, given the data kept
so far, is at most tau2; a state is known when all its actions are.

    data    n = 1 .. N: stop a rollout of the epoch's mixture at a random pair z; keep it with probability min(1, C sensitivity(z))
    switch  only when something was kept: a new epoch plans again
    plan    b = 2 alpha sqrt(w2) on known pairs, unknown pairs are worth 1 / (1 - gamma); T steps of natural policy gradient from the
            uniform policy over unknown actions (all actions where the state is known):
                Qhat = clip(f + b / 2, 0, B),   theta += eta Qhat,   pi = softmax(theta)          on known states
            f regresses importance-weighted returns of M rollouts from the cover (all past mixtures); the rollouts are used again until
            the policy has moved too far: max_s log sum_a pi^2 / pi_then > window

Provenance: width bonus, known set, cover, reuse, sensitivity sampling are the paper's ingredients; terminal mode, half bonus and all
constants are derived in the lpo spec (sections 2 and 5). ``preset="practical"`` has no guarantee; the pathwise certificate (5.9,
``pathwise_certificate``) needs none.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.exploration import lpo_constants as theory
from tabular_rl.algorithms.exploration.function_classes import FiniteClass, LinearClass, TabularClass
from tabular_rl.algorithms.exploration.lpo_certificate import exact_gaps, pathwise_certificate
from tabular_rl.algorithms.exploration.lpo_plan import plan, what_is_known
from tabular_rl.algorithms.exploration.sensitivity import add_point, doubled, keep_probability, no_data, remember, squared_width
from tabular_rl.algorithms.exploration.sensitivity_sampler import sampling_constant
from tabular_rl.algorithms.exploration.value_learning import dense_shape
from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.discounted.rollouts import Cover, roll_in, room_for, world_of
from tabular_rl.models import DiscountedMDP
from tabular_rl.models import validation as check

__all__ = ["LPO", "LPOTrace"]

MOST_STEPS = 2**33  # of the rollouts of one iteration, which are kept at four bytes each
SWITCHES = ("sensitivity", "every", "doubling")  # in the order of the kernel's codes
SAMPLES, EPOCH, STEPS, ROLLOUTS, KEPT, LOG_DET, LOG_DET_THEN, ITERATE = range(8)  # places of the kernel's counters


class Epochs(NamedTuple):
    """What LPO planned: ``policies`` [E, T, S, A], ``known`` and ``bonus`` [E, S, A], ``counts`` [E] of outer samples (the cover).

    A pair that does not exist counts as known, with bonus 0: nothing is left open there.

    ``visits`` [E, S, A]: where these samples stopped. ``began``, ``kept`` [E]: outer samples before; ``steps``, ``rollouts`` [E] in all
    until the plan is made, its own among them; ``refreshes`` [E]; ``q_estimates`` [E, T, S, A], with T = 0 unless asked for.
    """

    policies: Any
    known: Any
    bonus: Any
    counts: Any
    visits: Any
    began: Any
    steps: Any
    rollouts: Any
    kept: Any
    refreshes: Any
    q_estimates: Any


class Rules(NamedTuple):
    """Constants of a run: values lie in [0, ``B``], ``interval`` > 0 refreshes the rollouts that often, whatever the window."""

    learning_rate: Any
    bonus_scale: Any
    known_width: Any
    constant: Any
    window: Any
    B: Any
    interval: Any
    lam: Any
    terminal: Any
    subsample: Any
    explore: Any
    warm_start: Any
    switch: Any
    batch: Any
    budget: Any


@dataclass(frozen=True, eq=False)
class LPOTrace(Trace):
    """A Trace with its ``epochs``."""

    epochs: Any = field(default=None)


@dataclass(frozen=True)
class LPO:
    """Natural policy gradient in an optimistic MDP, planned anew only when a sensitive sample was kept.

    Parameters
    ----------
    iterations, rollouts : int
        T steps of each plan, and M rollouts per refresh. Their noise is the floor of the gap, which does not fall with the outer samples:
        on five Garnets (10 states, 2 actions, 3 successors, discount 0.9, V* 5.6 to 6.9), two seeds each, the defaults' last iterate is
        off by 0.36, 0.17, 0.22 after 300, 1000, 3000 of them (medians; single runs .005 to 1.1), with 5000 rollouts by 0.06 after 300
        (.02 to .15).
    function_class : TabularClass, LinearClass or FiniteClass, optional
        Default: tables. Functions of a FiniteClass are multiplied by B.
    preset : str
        "practical", or "theory" (constants of the lpo spec 2.1, vacuous at simulable sizes): where what is None below comes from.
    learning_rate, bonus_scale, known_width, constant, window : float, optional
        eta, alpha, tau2, C, and how far the policy may move on the same rollouts (log second moment). With C >= 1 / tau2 everything is kept
        until it is known.
    lam : float
        Regularization > 0.
    horizon : int, optional
        Cap on a rollout's length; default: discount^horizon <= 1e-6.
    unknown : str
        "terminal" (an unknown pair ends the rollout and is worth 1 / (1 - gamma)) or "bonus" (it pays that bonus).
    subsample, reuse, explore : bool
        False: keep every sample; refresh the rollouts at every step; plain natural policy gradient (nothing is unknown, no bonus).
    warm_start : float
        In [0, 1): a plan starts from that multiple of the last one's logits. 0 is the theory; else log(A) / eta in the regret of the plan
        becomes max log(1 / pi_0) / eta (claim lpo.warm-start), for which nothing is guaranteed, and far fewer iterations do.
    switch : str
        "sensitivity", "every" (batch) or "doubling" (of a determinant or count).
    batch : int
        Switches are looked for every ``batch`` outer samples; the theorem has 1.
    fixed_window : bool
        Refresh the rollouts every floor(2 sqrt(window) / (eta B)) iterations, which keeps the policy within the window (lemma W).
    budget : float, optional
        Environment steps after which no further outer sample is taken.
    mixture : bool
        Also record the exact gap of each epoch's mixture of iterates.
    certify : bool
        Also record the pathwise ``certificate`` of each epoch; costs as much as ``mixture``, and room for all action values.
    """

    plays = DiscountedMDP
    unit = "outer sample"
    series = ("gap_last", "steps", "rollouts", "kept", "known", "refreshes")

    iterations: int = 50
    rollouts: int = 500
    function_class: Any = None
    preset: str = "practical"
    learning_rate: float | None = None
    bonus_scale: float | None = None
    known_width: float | None = None
    constant: float | None = None
    window: float | None = None
    lam: float = 1.0
    horizon: int | None = None
    unknown: str = "terminal"
    subsample: bool = True
    reuse: bool = True
    fixed_window: bool = False
    explore: bool = True
    warm_start: float = 0.0
    switch: str = "sensitivity"
    batch: int = 1
    budget: float | None = None
    mixture: bool = False
    certify: bool = False

    def __post_init__(self):
        for name in ("iterations", "rollouts", "batch"):
            check.integer(name, getattr(self, name), 1)
        for name in ("subsample", "reuse", "fixed_window", "explore", "mixture", "certify"):
            check.flag(name, getattr(self, name))
        check.choice("preset", self.preset, ("practical", "theory"))
        check.choice("unknown", self.unknown, ("terminal", "bonus"))
        check.choice("switch", self.switch, SWITCHES)
        limits = {"learning_rate": {"at_least": 0}, "bonus_scale": {"at_least": 0}, "known_width": {"above": 0}, "constant": {"above": 0}}
        limits |= {"window": {"at_least": 0}, "budget": {"above": 0}}
        for name, bounds in limits.items():
            if getattr(self, name) is not None:
                check.number(name, getattr(self, name), **bounds)
        check.number("lam", self.lam, above=0)
        check.number("warm_start", self.warm_start, at_least=0, below=1)
        if self.preset == "theory" and self.lam < 1:
            raise ValueError(f"lam must be at least 1 in the preset 'theory', whose potential bound has unit steps, got {self.lam}")
        if self.horizon is not None:
            check.integer("horizon", self.horizon, 1)
        if self.function_class is not None:
            check.kind("function_class", self.function_class, TabularClass, LinearClass, FiniteClass)

    suits = staticmethod(dense_shape)

    def run(self, problem, n, seed=0, keep_q=False):
        """Take ``n`` outer samples (fewer when the budget is spent) of a DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        LPOTrace
            One row per epoch; ``index`` counts the outer samples before it. ``gap_last`` = V* - V of its last iterate, exact (of the
            last epoch: the ``output``; ``policy`` is the ``iterate`` that drew the last outer sample); ``steps`` and ``rollouts`` in all
            until this iterate is there; ``kept``, ``known`` pairs, ``refreshes``. ``parameters`` have the constants, ``steps`` and
            ``rollouts`` of the whole run (with the outer samples after the last plan), and ``second_moment_bounded``: whether
            gamma e^window < 1, without which importance weights of whole returns have no bound. With ``mixture`` also ``gap_mixture``,
            the exact gap of each epoch's mixture: the mean over its T iterates; with ``certify`` also ``certificate`` >= that gap, always.
        """
        problem = self.plays.of(problem)
        n, (S, A), keep_q = check.integer("n", n, 1), dense_shape(problem), check.flag("keep_q", keep_q)
        classes = TabularClass((S, A)) if self.function_class is None else self.function_class
        if tuple(classes.shape) != (S, A):
            raise ValueError(f"function_class must be on pairs of shape {(S, A)}, got {tuple(classes.shape)}")
        constants = self.resolve(classes, problem.discount, n)
        horizon = self.longest(problem.discount)
        best = planning.solve(problem, tolerance="exact")
        keep = keep_q or self.certify
        epochs, weights, played = self._explore(problem, classes, constants, horizon, n, check.generator(seed), keep)
        series = {
            "gap_last": exact_gaps(best, epochs.policies[:, -1]),
            "steps": epochs.steps,
            "rollouts": epochs.rollouts,
            "kept": epochs.kept,
        }
        series |= {"known": np.sum(epochs.known & problem.available, axis=(1, 2)), "refreshes": epochs.refreshes}
        if self.mixture:
            series["gap_mixture"] = np.array([np.mean(exact_gaps(best, policies)) for policies in epochs.policies])
        if self.certify:
            series["certificate"] = pathwise_certificate(problem, epochs, self.unknown).total
            epochs = epochs if keep_q else epochs._replace(q_estimates=epochs.q_estimates[:, :0])
        bounded = constants["window"] < -math.log(problem.discount)
        parameters = constants | {"horizon": horizon, "second_moment_bounded": bounded, "weights": weights.reshape(S, A).tolist()} | played
        policy, output = epochs.policies[-1, played["iterate"]], epochs.policies[-1, -1]
        return LPOTrace(epochs.began.astype(np.int64), series, policy, parameters, seed, self.unit, output, epochs)

    def _explore(self, problem, classes, constants, horizon, n, rng, keep_q):
        """(Epochs, kept weights [S*A], {steps, rollouts} in all) of a run."""
        (S, A), (features, differences), T, M = problem.shape, classes.packed, self.iterations, self.rollouts
        if M * horizon > MOST_STEPS:
            raise ValueError(f"{M} rollouts of up to {horizon} steps are more than {MOST_STEPS} steps; give fewer, or a shorter horizon")
        functions = constants["B"] * classes.functions.reshape(-1, S * A) if isinstance(classes, FiniteClass) else np.zeros((0, S * A))
        data, world, rollouts = no_data(features, differences, self.lam), world_of(problem), room_for(M, horizon)
        counters, theta = np.array([0, -1, 0, 0, 0, 0, 0, 0.0]), np.where(problem.available, 0.0, -np.inf)
        epochs = Epochs(
            policies=np.empty((0, T, S, A)), known=np.empty((0, S, A), bool), bonus=np.empty((0, S, A)), counts=np.empty(0),
            visits=np.empty((0, S, A)), began=np.empty(0), steps=np.empty(0), rollouts=np.empty(0), kept=np.empty(0),
            refreshes=np.empty(0), q_estimates=np.empty((0, T if keep_q else 0, S, A)),
        )  # fmt: skip
        size, finished, rules = 64, False, self.rules(constants)
        while not finished:  # the loop comes back for room
            epochs = Epochs(*(_with_room(array, size) for array in epochs))
            finished = _run(world, (features, differences, functions), data, rules, n, counters, theta, epochs, rollouts, rng)
            size *= 2
        played = {"steps": int(counters[STEPS]), "rollouts": int(counters[ROLLOUTS]), "iterate": int(counters[ITERATE])}
        return Epochs(*(array[: int(counters[EPOCH]) + 1] for array in epochs)), data.weights, played

    def rules(self, constants):
        """The Rules of a run with the ``constants`` of ``resolve``."""
        return Rules(
            **constants, interval=self.refresh_interval(constants), lam=self.lam, terminal=self.unknown == "terminal",
            subsample=self.subsample, explore=self.explore, warm_start=float(self.warm_start), switch=SWITCHES.index(self.switch),
            batch=self.batch, budget=np.inf if self.budget is None else float(self.budget),
        )  # fmt: skip

    def longest(self, gamma):
        """Cap on a rollout's length."""
        return self.horizon or math.ceil(math.log(1e-6) / math.log(gamma))

    def refresh_interval(self, constants):
        """Iterations between two refreshes of the rollouts; 0: as the window says."""
        fixed = theory.iterations_within(constants["window"], constants["learning_rate"], constants["B"])
        return (fixed if self.fixed_window else 0) if self.reuse else 1

    def resolve(self, classes, gamma, n):
        """{learning_rate, bonus_scale, known_width, constant, window, B} of the preset and the explicit values.

        The theory's bonus_scale is the leading term sqrt(4 v l) of E1 in a tabular class, assuming that a pair begins half
        as many rollouts as it has kept weight: v bounds the second moment of a return when 2 alpha sqrt(tau2) = 1, l = log(2 S A T n /
        delta) and, with reuse, the logarithm of a cover of the policies within a window (claim lpo.estimation-reused).
        """
        (S, A), terminal = (classes.n_points // classes.shape[-1], classes.shape[-1]), self.unknown == "terminal"
        if self.preset == "theory":
            window, C = theory.widest_window(gamma), sampling_constant(classes, n, lam=self.lam)
            moment = theory.second_moment(2 if terminal else 1 + 1 / (1 - gamma), gamma, self.reuse)  # one pair pays that, at most
            log_term = math.log(2 * S * A * self.iterations * n / theory.FAILURE)
            if self.reuse:
                drift = theory.gradient_rate(max(A, 2), self.iterations, 1.0) * self.iterations
                span = 2 * math.sqrt(window) if self.fixed_window else drift
                log_term += theory.cover_logarithm((S, A), span, n, self.longest(gamma))
            alpha = theory.theory_bonus(moment, log_term)
            tau2 = 1 / (4 * alpha**2)
        else:
            window, C, alpha, tau2 = 0.2, 1.0, 0.05, 1 / (self.lam + 2)
        window, C = (window if self.window is None else self.window), (C if self.constant is None else self.constant)
        alpha, tau2 = (alpha if self.bonus_scale is None else self.bonus_scale), (tau2 if self.known_width is None else self.known_width)
        if self.preset == "theory" and window >= -math.log(gamma):
            raise ValueError(f"window must satisfy discount * exp(window) < 1 in the preset 'theory', got {window} at discount {gamma}")
        B = theory.largest_value(gamma, 2 * alpha * math.sqrt(tau2) if self.explore else 0.0, terminal or not self.explore)
        eta = self.learning_rate
        if eta is None:
            eta = theory.gradient_rate(max(A, 2), self.iterations, B) if self.preset == "theory" else 1.0
        if not math.isfinite(eta * B * self.iterations):
            raise ValueError(
                f"learning_rate * (1 + bonus) / (1 - discount) * iterations must be finite: logits grow to that, got {eta:g} * {B:g} * "
                f"{self.iterations}"
            )
        names = ("learning_rate", "bonus_scale", "known_width", "constant", "window", "B")
        return dict(zip(names, (float(eta), float(alpha), float(tau2), float(C), float(window), float(B)), strict=True))


def _with_room(array, size):
    """The array with ``size`` rows, new ones at the end."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@njit
def _run(world, classes, data, rules, N, counters, theta, epochs, rollouts, rng):
    """Outer samples until all are taken or the budget is spent (True), or there is no room for another epoch (False)."""
    work, widths, cumulated = np.empty(len(data.gram)), np.zeros(len(data.weights)), np.empty(len(epochs.counts))
    while True:
        if switch_is_due(data, rules, N, counters, epochs):
            if counters[EPOCH] + 1 == len(epochs.counts):
                return False
            counters[EPOCH] += 1
            begin_epoch(world, classes, data, rules, counters, theta, epochs, widths, cumulated, rollouts, rng)
        if counters[SAMPLES] == N or counters[STEPS] > rules.budget:
            return True
        take_sample(world, classes, data, rules, counters, epochs, work, rng)


@njit
def switch_is_due(data, rules, N, counters, epochs):
    """Whether to plan anew: something was kept (sensitivity), always (every), or a count or determinant has doubled."""
    n, epoch = int(counters[SAMPLES]), int(counters[EPOCH])
    if epoch < 0:
        return True
    if n % rules.batch != 0 or n >= N or n <= epochs.began[epoch]:
        return False
    if rules.switch == 2:
        return doubled(data, counters[LOG_DET] - counters[LOG_DET_THEN], rules.lam)
    return rules.switch == 1 or counters[KEPT] > epochs.kept[epoch]


@njit
def begin_epoch(world, classes, data, rules, counters, theta, epochs, widths, cumulated, rollouts, rng):
    """Widths, what is known, and T iterates of the policy gradient, for the next epoch."""
    epoch = int(counters[EPOCH])
    epochs.counts[epoch], epochs.began[epoch], epochs.kept[epoch] = 0.0, counters[SAMPLES], counters[KEPT]
    counters[ITERATE] = len(epochs.policies[epoch]) - 1
    squared_widths(world, classes, data, rules.lam, widths)
    what_is_known(widths, rules, world.discount, epochs.known[epoch], epochs.bonus[epoch])
    cover = cover_of(epochs, epoch, rules.explore, cumulated)
    if rules.explore:
        forget(theta, rules.warm_start)
    played, refreshes = plan(
        world, classes, cover, epochs.known[epoch], epochs.bonus[epoch], theta, rules, rollouts, epochs.policies[epoch],
        epochs.q_estimates[epoch], rng,
    )  # fmt: skip
    counters[STEPS] += played
    counters[ROLLOUTS] += refreshes * len(rollouts.first)
    epochs.refreshes[epoch], epochs.steps[epoch], epochs.rollouts[epoch] = refreshes, counters[STEPS], counters[ROLLOUTS]
    remember(data)
    counters[LOG_DET_THEN] = counters[LOG_DET]


@njit
def squared_widths(world, classes, data, lam, widths):
    """Fill ``widths`` [S*A]: w2 of every pair, and 0 of pairs that do not exist."""
    features, differences, _ = classes
    A = world.reward.shape[1]
    for pair in range(len(widths)):
        if world.reward[pair // A, pair % A] > -np.inf:  # the state has the action
            widths[pair] = squared_width(pair, features, differences, lam, data.weights, data.inverse, data.h)


@njit
def cover_of(epochs, epoch, explore, cumulated):
    """The Cover of an epoch: all mixtures before it, by their numbers of outer samples; the last one alone without exploration."""
    oldest, reach = 0 if explore else max(epoch - 1, 0), 0.0
    for e in range(epoch):
        reach += epochs.counts[e]
        cumulated[e] = reach
    return Cover(epochs.policies[oldest:], epochs.known[oldest:], cumulated[oldest:epoch])


@njit
def forget(theta, warm_start):
    """``theta`` [S, A] becomes ``warm_start`` times itself; missing actions keep -inf."""
    for s in range(theta.shape[0]):
        for a in range(theta.shape[1]):
            if theta[s, a] > -np.inf:
                theta[s, a] *= warm_start


@njit
def take_sample(world, classes, data, rules, counters, epochs, work, rng):
    """One outer sample: a rollout of the epoch's mixture stops at a pair, which is kept with the probability of its sensitivity."""
    features, differences, _ = classes
    epoch, lam = int(counters[EPOCH]), rules.lam
    iterate = int(rng.random() * epochs.policies.shape[1])
    counters[ITERATE] = iterate
    s, a, played = roll_in(
        world.accept, world.alias, world.start, world.discount, epochs.policies[epoch, iterate], epochs.known[epoch], rules.terminal, rng
    )
    z = s * world.reward.shape[1] + a
    epochs.counts[epoch] += 1.0
    epochs.visits[epoch, s, a] += 1.0
    counters[SAMPLES] += 1
    counters[STEPS] += played
    counters[ROLLOUTS] += 1
    w2 = squared_width(z, features, differences, lam, data.weights, data.inverse, data.h)
    p = keep_probability(min(1.0, w2), rules.constant, False) if rules.subsample else 1.0
    if rng.random() < p:
        add_point(z, 1.0 / p, features, differences, data.weights, data.gram, data.inverse, data.h, work)
        counters[LOG_DET] += np.log1p(w2 / p)
        counters[KEPT] += 1
