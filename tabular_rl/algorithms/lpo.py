"""LPO: policy optimization that explores by widths and switches seldom (Li, Wang, Cheng, Yang 2023).

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
constants are derived in the lpo spec (sections 2 and 5). ``preset="practical"`` has no guarantee; the pathwise inequality (5.9) needs none.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.function_classes import FiniteClass, LinearClass, TabularClass
from tabular_rl.algorithms.sensitivity_sampler import sampling_constant
from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.linear import invert
from tabular_rl.kernels.rollouts import collect, roll_in, weighted_returns
from tabular_rl.kernels.sampling import alias_tables
from tabular_rl.kernels.sensitivity import add_point, keep_probability, squared_width
from tabular_rl.models import DiscountedMDP
from tabular_rl.models import validation as check

SWITCHES = ("sensitivity", "every", "doubling")  # in the order of the kernel's codes


class Epochs(NamedTuple):
    """What LPO planned: ``policies`` [E, T, S, A], ``known`` and ``bonus`` [E, S, A], ``counts`` [E] of outer samples (the cover).

    ``began`` [E]: outer samples before, ``steps``, ``rollouts`` [E] by then, ``refreshes`` [E]; ``q_estimates`` [E, T, S, A] if asked for.
    """

    policies: Any
    known: Any
    bonus: Any
    counts: Any
    began: Any
    steps: Any
    rollouts: Any
    refreshes: Any
    q_estimates: Any


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
        T steps of each plan, and M rollouts per refresh.
    function_class : TabularClass, LinearClass or FiniteClass, optional
        Default: tables. Functions of a FiniteClass are multiplied by B.
    preset : str
        "practical", or "theory" (constants of the lpo spec 2.1, vacuous at simulable sizes): where what is None below comes from.
    learning_rate, bonus_scale, known_width, constant, window : float, optional
        eta, alpha, tau2, C, and how far the policy may move on the same rollouts (log second moment).
    lam : float
        Regularization > 0.
    horizon : int, optional
        Cap on a rollout's length; default: discount^horizon <= 1e-6.
    unknown : str
        "terminal" (an unknown pair ends the rollout and is worth 1 / (1 - gamma)) or "bonus" (it pays that bonus).
    subsample, reuse, explore : bool
        False: keep every sample; refresh the rollouts at every step; plain natural policy gradient (nothing is unknown, no bonus).
    switch : str
        "sensitivity", "every" (batch) or "doubling" (of a determinant or count).
    batch : int
        Switches are looked for every ``batch`` outer samples; the theorem has 1.
    integer_weights : bool
        Round probabilities up to 1 / k.
    budget : float, optional
        Environment steps after which no further outer sample is taken.
    mixture : bool
        Also record the exact gap of each epoch's mixture of iterates.
    """

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
    explore: bool = True
    switch: str = "sensitivity"
    batch: int = 1
    integer_weights: bool = False
    budget: float | None = None
    mixture: bool = False

    def __post_init__(self):
        for name in ("iterations", "rollouts", "batch"):
            check.integer(name, getattr(self, name), 1)
        check.choice("preset", self.preset, ("practical", "theory"))
        check.choice("unknown", self.unknown, ("terminal", "bonus"))
        check.choice("switch", self.switch, SWITCHES)
        limits = {"learning_rate": {"at_least": 0}, "bonus_scale": {"at_least": 0}, "known_width": {"above": 0}, "constant": {"above": 0}}
        limits |= {"window": {"at_least": 0}, "budget": {"above": 0}}
        for name, bounds in limits.items():
            if getattr(self, name) is not None:
                check.number(name, getattr(self, name), **bounds)
        check.number("lam", self.lam, above=0)
        if self.preset == "theory" and self.lam < 1:
            raise ValueError(f"lam must be at least 1 in the preset 'theory', whose potential bound has unit steps, got {self.lam}")
        if self.horizon is not None:
            check.integer("horizon", self.horizon, 1)
        if self.function_class is not None and not isinstance(self.function_class, TabularClass | LinearClass | FiniteClass):
            raise TypeError(f"function_class must be a TabularClass, LinearClass or FiniteClass, got {type(self.function_class).__name__}")

    def run(self, problem, n, seed=0, keep_q=False):
        """Take ``n`` outer samples (fewer when the budget is spent) of a DiscountedMDP with rewards in [0, 1].

        Returns
        -------
        LPOTrace
            One row per epoch; ``index`` counts the outer samples before it. ``gap_last`` = V* - V of its last iterate, exact; ``steps``,
            ``rollouts``, ``kept``, ``known`` pairs, ``refreshes``. ``parameters`` have the constants, and ``second_moment_bounded``:
            whether gamma e^window < 1, without which importance weights of whole returns have no bound. With ``mixture`` also
            ``gap_mixture``, the exact gap of each epoch's mixture: the mean over its T iterates.
        """
        if not isinstance(problem, DiscountedMDP) or problem.is_sparse:
            raise TypeError(f"problem must be a DiscountedMDP with a dense transition, got {problem!r}")
        if problem.reward.min() < 0 or problem.reward.max() > 1:
            raise ValueError(f"rewards must lie in [0, 1], got [{problem.reward.min()}, {problem.reward.max()}]")
        n, (S, A), gamma = check.integer("n", n, 1), problem.shape, problem.discount
        classes = TabularClass((S, A)) if self.function_class is None else self.function_class
        if tuple(classes.shape) != (S, A):
            raise ValueError(f"function_class must be on pairs of shape {(S, A)}, got {tuple(classes.shape)}")
        constants = self.resolve(classes, gamma, n)
        eta, alpha, tau2, C, window, B = constants.values()
        horizon = self.horizon or math.ceil(math.log(1e-6) / math.log(gamma))
        features, differences = classes.packed
        functions = B * classes.functions.reshape(len(classes.functions), -1) if isinstance(classes, FiniteClass) else np.zeros((0, S * A))
        d, J, T, M = features.shape[1], len(differences), self.iterations, self.rollouts
        model = (*alias_tables(problem.transition.reshape(S * A, S)), np.cumsum(problem.initial), problem.reward, gamma)
        data = (np.zeros(S * A), np.zeros(J), self.lam * np.eye(d), np.eye(d) / self.lam)  # weights, h, gram, inverse
        terminal, window = self.unknown == "terminal", window if self.reuse else -1.0
        rules = (eta, alpha, tau2, C, window, self.lam, B, terminal, self.subsample, self.explore)
        rhythm = (SWITCHES.index(self.switch), self.batch, self.integer_weights, np.inf if self.budget is None else float(self.budget))
        buffers = (np.empty(M, np.int64), np.empty((M, horizon), np.int32), np.empty(M, np.int64), np.empty(M, bool))
        rng, counters, theta = np.random.default_rng(seed), np.array([0, -1, 1, 0, 0, 0, 0.0]), np.zeros((S, A))
        size, finished = 64, False
        policies, known, bonus = np.empty((0, T, S, A)), np.empty((0, S, A), bool), np.empty((0, S, A))
        q_estimates, table = np.empty((0, T, S, A)), np.empty((0, 6))
        while not finished:  # the loop comes back for room
            policies, known, bonus, table = (_with_room(array, size) for array in (policies, known, bonus, table))
            q_estimates = _with_room(q_estimates, size if keep_q else 0)
            finished = _run(
                model, features, differences, functions, data, rules, rhythm, n, counters, theta, policies, known, bonus, q_estimates,
                table, buffers, rng,
            )  # fmt: skip
            size *= 2
        E, weights = int(counters[1]) + 1, data[0]
        policies, known, bonus, q_estimates = policies[:E], known[:E], bonus[:E], q_estimates[:E]
        counts, began, steps, rollouts, kept, refreshes = table[:E].T
        best = float(problem.initial @ planning.solve(problem).values)
        last = np.array([problem.initial @ planning.evaluate(problem, policy[-1]).values for policy in policies])
        series = {"gap_last": best - last, "steps": steps, "rollouts": rollouts, "kept": kept, "known": known.sum(axis=(1, 2))}
        series["refreshes"] = refreshes
        if self.mixture:
            series["gap_mixture"] = best - np.array([np.mean(_values(problem, policy)) for policy in policies])
        bounded = gamma * math.exp(constants["window"]) < 1
        parameters = constants | {"horizon": horizon, "second_moment_bounded": bounded, "weights": weights.reshape(S, A).tolist()}
        epochs = Epochs(policies, known, bonus, counts, began, steps, rollouts, refreshes, q_estimates if keep_q else None)
        return LPOTrace(began.astype(np.int64), series, policies[-1, -1], parameters, seed, "outer sample", epochs)

    def resolve(self, classes, gamma, n):
        """{learning_rate, bonus_scale, known_width, constant, window, B} of the preset and the explicit values."""
        largest, A = 1 / (1 - gamma), max(classes.shape[-1], 2)
        if self.preset == "theory":
            window = math.log((1 + gamma) / (2 * gamma))
            C = sampling_constant(classes, n, lam=self.lam)
            # leading term of E1: sqrt(4 v l), v = (4 X / (1 - gamma))^2 at bmax = 1 [derived up to the coverage it assumes]
            alpha = math.sqrt(4 * (8 * largest) ** 2 * math.log(2 * classes.n_points * self.iterations * n / 0.05))
            tau2 = 1 / (4 * alpha**2)
        else:
            window, C, alpha, tau2 = 0.2, 1.0, 0.05, 1 / (self.lam + 2)
        window, C = (window if self.window is None else self.window), (C if self.constant is None else self.constant)
        alpha, tau2 = (alpha if self.bonus_scale is None else self.bonus_scale), (tau2 if self.known_width is None else self.known_width)
        if self.preset == "theory" and gamma * math.exp(window) >= 1:
            raise ValueError(f"window must satisfy discount * exp(window) < 1 in the preset 'theory', got {window} at discount {gamma}")
        most = 2 * alpha * math.sqrt(tau2) if self.explore else 0.0
        B = (1 + (most if self.unknown == "terminal" or not self.explore else max(most, largest))) * largest
        eta = self.learning_rate
        if eta is None:
            eta = math.sqrt(8 * math.log(A) / self.iterations) / B if self.preset == "theory" else 1.0
        names = ("learning_rate", "bonus_scale", "known_width", "constant", "window", "B")
        return dict(zip(names, (float(eta), float(alpha), float(tau2), float(C), float(window), float(B)), strict=True))


def _values(mdp, policies):
    """[T] values from the start of ``policies`` [T, S, A]."""
    move = np.eye(mdp.n_states) - mdp.discount * np.einsum("nsa,sat->nst", policies, mdp.transition)
    return np.linalg.solve(move, np.einsum("nsa,sa->ns", policies, mdp.reward)[..., None])[..., 0] @ mdp.initial


def _with_room(array, size):
    """The array with ``size`` rows, new ones at the end."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@njit
def _run(
    model, features, differences, functions, data, rules, rhythm, N, counters, theta, policies, known, bonus, q_estimates, table,
    buffers, rng,
):  # fmt: skip
    """Outer samples until all are taken (True) or there is no room for another epoch (False).

    ``counters``: n, epoch, whether a switch is due, steps, rollouts, kept, log det. ``table`` rows: counts, began, steps, rollouts, kept,
    refreshes.
    """
    accept, alias, start, reward, gamma = model
    weights, h, gram, inverse = data
    eta, alpha, tau2, C, window, lam, B, terminal, subsample, explore = rules
    switch, batch, integer_weights, budget = rhythm
    first, pairs, lengths, ended = buffers
    A, T, d = reward.shape[1], policies.shape[1], features.shape[1]
    widths, work, cover = np.empty(len(weights)), np.empty(d), np.empty(len(policies))
    weights_then, h_then = weights.copy(), h.copy()
    n, epoch, changed, pending = int(counters[0]), int(counters[1]), False, counters[2] > 0
    steps, rollouts, kept, log_det, log_det_then = counters[3], counters[4], counters[5], counters[6], counters[6]

    while True:
        due = changed or switch == 1
        if switch == 2:
            due = doubled(weights, weights_then, h, h_then, log_det - log_det_then, lam, d)
        if pending or (due and n % batch == 0 and n < N and n > table[epoch, 1]):
            if epoch + 1 == len(policies):
                counters[0], counters[1], counters[2] = n, epoch, 1.0
                counters[3], counters[4], counters[5], counters[6] = steps, rollouts, kept, log_det
                return False
            epoch += 1
            table[epoch, 0], table[epoch, 1], table[epoch, 2] = 0.0, n, steps
            table[epoch, 3], table[epoch, 4] = rollouts, kept
            for pair in range(len(weights)):
                widths[pair] = squared_width(pair, features, differences, lam, weights, inverse, h)
            what_is_known(widths, tau2, alpha, terminal, explore, gamma, known[epoch], bonus[epoch])
            offset, reach = 0, 0.0
            for e in range(epoch):
                reach += table[e, 0]
                cover[e] = reach
            if explore:
                theta[:] = 0.0
            else:  # only the policy before is sampled, and improved on
                offset = max(epoch - 1, 0)
            played, refreshes = plan(
                accept, alias, start, reward, gamma, features, functions, policies[offset:], known[offset:], cover[offset:epoch],
                policies[epoch], known[epoch], bonus[epoch], theta, eta, window, lam, B, terminal, epoch > 0, first, pairs, lengths, ended,
                q_estimates, epoch, rng,
            )  # fmt: skip
            steps += played
            rollouts += refreshes * len(first)
            table[epoch, 5] = refreshes
            weights_then[:], h_then[:], log_det_then, changed, pending = weights, h, log_det, False, False
        if n == N or steps > budget:
            counters[0], counters[1] = n, epoch
            return True

        iterate = int(rng.random() * T)
        s, a, played = roll_in(accept, alias, start, gamma, policies[epoch, iterate], known[epoch], terminal, rng)
        z = s * A + a
        table[epoch, 0] += 1.0
        steps += played
        rollouts += 1
        sensitivity = min(1.0, squared_width(z, features, differences, lam, weights, inverse, h))
        p = keep_probability(sensitivity, C, integer_weights) if subsample else 1.0
        if rng.random() < p:
            log_det += np.log1p(squared_width(z, features, differences, lam, weights, inverse, h) / p)
            add_point(z, 1.0 / p, features, differences, weights, gram, inverse, h, work)
            kept += 1.0
            changed = True
        n += 1


@njit
def doubled(weights, weights_then, h, h_then, log_det_gain, lam, d):
    """Whether the determinant, or any regularized count, has doubled."""
    if d > 0:
        return log_det_gain >= np.log(2.0)
    for j in range(len(h)):
        if lam + h[j] >= 2 * (lam + h_then[j]):
            return True
    for pair in range(len(weights) if len(h) == 0 else 0):  # noqa: SIM110
        if lam + weights[pair] >= 2 * (lam + weights_then[pair]):
            return True
    return False


@njit
def what_is_known(widths, tau2, alpha, terminal, explore, gamma, known, bonus):
    """Fill ``known`` and ``bonus`` [S, A] from the squared ``widths`` [S*A]."""
    S, A = known.shape
    for s in range(S):
        for a in range(A):
            w2 = widths[s * A + a]
            known[s, a] = not explore or w2 <= tau2 * (1 + 1e-9)
            bonus[s, a] = 2 * alpha * np.sqrt(w2) if known[s, a] and explore else 0.0
            if not known[s, a] and not terminal:
                bonus[s, a] = 1 / (1 - gamma)


@njit
def plan(
    accept, alias, start, reward, gamma, features, functions, policies, knowns, cover, iterates, known, bonus, theta, eta, window, lam, B,
    terminal, any_data, first, pairs, lengths, ended, q_estimates, epoch, rng,
):  # fmt: skip
    """T steps of natural policy gradient into ``iterates`` [T, S, A]; (environment steps, refreshes of the rollouts)."""
    T, S, A = iterates.shape
    d, n_pairs = features.shape[1], S * A
    known_state, wanted, policy = np.empty(S, np.bool_), np.empty(S, np.bool_), np.empty((S, A))
    log_policy, log_then, ratio = np.zeros((S, A)), np.zeros((S, A)), np.ones(n_pairs)
    sums, counts, estimate = np.zeros(n_pairs), np.zeros(n_pairs), np.zeros(n_pairs)
    gram, inverse = np.empty((d, d)), np.empty((d, d))
    paid, flat_reward, lump = np.empty(n_pairs), np.empty(n_pairs), 1 / (1 - gamma)
    some, fresh, played, refreshes = False, False, 0, 0
    for s in range(S):
        unknown = 0
        for a in range(A):
            unknown += not known[s, a]
            flat_reward[s * A + a], paid[s * A + a] = reward[s, a], reward[s, a] + bonus[s, a]
        known_state[s] = unknown == 0
        wanted[s] = known_state[s] or d > 0 or len(functions) > 0  # tables learn nothing of known states from unknown ones
        some |= known_state[s]
        for a in range(A):
            policy[s, a] = 1.0 / A if known_state[s] else (0.0 if known[s, a] else 1.0 / unknown)
            log_policy[s, a] = np.log(policy[s, a]) if policy[s, a] > 0.0 else -np.inf
        if known_state[s]:
            softmax(theta[s], policy[s], log_policy[s])
    for t in range(T):
        iterates[t] = policy
        if not some or not any_data:
            continue
        if refreshes == 0 or window < 0.0 or moved(log_policy, log_then, known_state) > window:
            log_then[:] = log_policy
            played += collect(
                accept, alias, start, gamma, policies, knowns, cover, policy, known, wanted, terminal, rng, first, pairs, lengths, ended
            )
            refreshes += 1
            fresh = True
        for s in range(S):
            for a in range(A):
                ratio[s * A + a] = np.exp(log_policy[s, a] - log_then[s, a]) if known_state[s] else 1.0
        weighted_returns(first, pairs, lengths, ended, ratio, flat_reward, paid, lump, sums, counts)
        if fresh and d > 0:  # the Gram matrix of the rollouts' first pairs
            gram[:] = 0.0
            for i in range(d):
                gram[i, i] = lam
            for pair in range(n_pairs):
                if counts[pair] > 0.0:
                    for i in range(d):
                        for j in range(d):
                            gram[i, j] += counts[pair] * features[pair, i] * features[pair, j]
            invert(gram, inverse)
        fresh = False
        regress(features, functions, inverse, sums, counts, estimate)
        for s in range(S):
            if known_state[s]:
                for a in range(A):
                    q = min(max(estimate[s * A + a] + bonus[s, a] / 2, 0.0), B)
                    theta[s, a] += eta * q
                    if len(q_estimates) > 0:
                        q_estimates[epoch, t, s, a] = q
                softmax(theta[s], policy[s], log_policy[s])
    return played, refreshes


@njit
def regress(features, functions, inverse, sums, counts, estimate):
    """Least squares in the class: means of each pair (0 without data), ridge regression, or the best function of the list."""
    d = features.shape[1]
    if d > 0:
        target, coefficients = np.zeros(d), np.zeros(d)
        for pair in range(len(sums)):
            if counts[pair] > 0.0:
                for i in range(d):
                    target[i] += features[pair, i] * sums[pair]
        for i in range(d):
            for j in range(d):
                coefficients[i] += inverse[i, j] * target[j]
        for pair in range(len(sums)):
            estimate[pair] = 0.0
            for i in range(d):
                estimate[pair] += features[pair, i] * coefficients[i]
    elif len(functions) > 0:
        best, chosen = np.inf, 0
        for k in range(len(functions)):
            error = 0.0
            for pair in range(len(sums)):
                error += functions[k, pair] * (counts[pair] * functions[k, pair] - 2 * sums[pair])
            if error < best:
                best, chosen = error, k
        estimate[:] = functions[chosen]
    else:
        for pair in range(len(sums)):
            estimate[pair] = sums[pair] / counts[pair] if counts[pair] > 0.0 else 0.0


@njit
def softmax(logits, probabilities, logs):
    """probabilities = softmax(logits), and their logarithms."""
    top, total = -np.inf, 0.0
    for a in range(len(logits)):
        top = max(top, logits[a])
    for a in range(len(logits)):
        total += np.exp(logits[a] - top)
    for a in range(len(logits)):
        logs[a] = logits[a] - top - np.log(total)
        probabilities[a] = np.exp(logs[a])


@njit
def moved(log_policy, log_then, known_state):
    """max over known states of log sum_a pi^2 / pi_then, in log space."""
    largest = 0.0
    for s in range(len(known_state)):
        if known_state[s]:
            top, total = -np.inf, 0.0
            for a in range(log_policy.shape[1]):
                top = max(top, 2 * log_policy[s, a] - log_then[s, a])
            for a in range(log_policy.shape[1]):
                total += np.exp(2 * log_policy[s, a] - log_then[s, a] - top)
            largest = max(largest, top + np.log(total))
    return largest
