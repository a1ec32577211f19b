"""SubPO: policy gradient for returns that are a set function of what the trajectory collects (Prajapat, Mutny, Zeilinger, Krause 2024).

    roll out B trajectories;  g[j] = F(s_0..s_j) - F(s_0..s_{j-1})            marginal gains
    R[h] = g[h+1] + ... + g[H]                                                gains to go: SubPO
    A[h] = R[h] - b[h, s_h]                                                   b from earlier batches only: no bias
    grad[h,s,a] = mean of 1{s_h = s} (1{a_h = a} - pi[h,s,a]) A[h]
    theta += learning_rate * grad                                             or Adam, or natural gradient; pi = softmax(theta[h,s,:])
    b[h,s] <- average of R over visits, the older ones counting half with each iteration

Provenance. The gradient of gains to go is the paper's; its tabular softmax form, the baseline and the natural gradient are derived
(subpo spec, section 3). ``weights="prefix"`` is what the authors' released code does: its expectation is the gradient of the next gain
alone, not that of J [derived, L5]. No constant factor holds for stationary points in general [derived, S5]; see the certificates of
``planning``. The policy is Markov, and knows nothing of P unless ``init`` says otherwise.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tabular_rl.algorithms.submodular.report import certified_share
from tabular_rl.algorithms.submodular.starts import starting_logits
from tabular_rl.algorithms.trace import Trace
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.simplex import entropy, softmax
from tabular_rl.kernels.submodular.objectives import workspace
from tabular_rl.kernels.submodular.rollouts import Batch, rollouts
from tabular_rl.models import SubmodularMDP
from tabular_rl.models import validation as check

__all__ = ["SubPO"]

OPTIMIZERS = ("sgd", "adam", "npg")  # in the order of the kernel's codes
ADAM, NPG = 1, 2
WEIGHTS = ("togo", "full", "prefix", "myopic")
CLIP = 50.0  # of the logits
LAST = 5  # iterations whose mean is the value of a run
ADVANTAGES, RETURNS, VISITS = range(3)  # columns of a row's sums, after its A actions


class Rules(NamedTuple):
    """Switches and numbers of a run, as in SubPO; ``optimizer`` by its code."""

    batch: Any
    modular: Any
    optimizer: Any
    learning_rate: Any
    baseline: Any
    entropy: Any
    entropy_decay: Any


@dataclass(frozen=True)
class SubPO:
    """Policy gradient on marginal gains to go, tabular softmax policy of every step and state.

    Parameters
    ----------
    batch : int
        Trajectories per iteration, >= 1.
    learning_rate : float
        > 0, for unnormalized F of order 10 to 200; about 0.5 for "npg" and 0.1 for "adam".
    optimizer : str
        "sgd", "adam" (0.9, 0.999, 1e-8), or "npg": the natural gradient, weighed by the policy, on visited rows.
    weights : str
        What weighs the score of step h: "togo" (SubPO), "full" (F of the whole trajectory; unbiased, more variance), "prefix" (F up to
        step h + 1; a control, biased), "myopic" (the next gain: ``lookahead=1``).
    lookahead : int, None, or a sequence of these
        How many gains "togo" counts, None for all of them; fewer have less variance and a bias. A sequence is a schedule: (3, None) is 3
        in the first half of the iterations and everything in the second.
    modular : bool
        ModPO: learn from g[j] = F({s_j}) instead, as if rewards were additive. The trace still shows F.
    baseline : bool
        Subtract b.
    entropy, entropy_decay : float
        Bonus ``entropy`` / (1 + iteration / ``entropy_decay``) times the entropy of the rows visited.
    init : str or array
        "uniform"; "modpo" (the additive optimum; needs P); "path" (a policy that tracks ``path``); or logits [H, S, A].
    path : array [H + 1], optional
        States of the path for ``init="path"``. Default: the best one that ``planning`` finds, which needs P.
    kappa : float
        Logit of the favored actions for "modpo" and "path"; 6 keeps a path when the batch is large (subpo spec, section 10.5).
    restarts : int
        Independent runs of n iterations each; the one with the best mean over its last 5 iterations is returned.
    certify : bool
        Report the value as a share of an upper bound on every policy's, which the model gives after the run (a fraction of a second).
    """

    plays = SubmodularMDP
    unit = "iteration"
    series = ("environment_steps", "sampled_value", "best_value")
    examples = ({"optimizer": "npg", "learning_rate": 0.5},)

    batch: int = 500
    learning_rate: float = 5.0
    optimizer: str = "sgd"
    weights: str = "togo"
    lookahead: Any = None
    modular: bool = False
    baseline: bool = True
    entropy: float = 0.0
    entropy_decay: float = 1.0
    init: Any = "uniform"
    path: Any = None
    kappa: float = 6.0
    restarts: int = 1
    certify: bool = True

    def __post_init__(self):
        check.integer("batch", self.batch, 1)
        check.integer("restarts", self.restarts, 1)
        check.number("learning_rate", self.learning_rate, above=0)
        check.number("entropy", self.entropy, at_least=0)
        check.number("entropy_decay", self.entropy_decay, above=0)
        check.number("kappa", self.kappa, at_least=0)
        check.choice("optimizer", self.optimizer, OPTIMIZERS)
        check.choice("weights", self.weights, WEIGHTS)
        for name in ("modular", "baseline", "certify"):
            check.flag(name, getattr(self, name))
        phases = self.lookahead if isinstance(self.lookahead, tuple | list) else (self.lookahead,)
        if not phases:
            raise ValueError("lookahead must have at least one phase")
        phases = tuple(None if k is None else check.integer("lookahead", k, 1) for k in phases)
        if self.weights != "togo" and phases != (None,):
            raise ValueError(f"lookahead must be None with weights={self.weights!r}, which has its own, got {self.lookahead}")
        object.__setattr__(self, "lookahead", phases if len(phases) > 1 else phases[0])
        if isinstance(self.init, str):
            check.choice("init", self.init, ("uniform", "modpo", "path"))

    def run(self, problem, n=400, seed=0):
        """Learn for ``n`` iterations of a SubmodularMDP.

        Returns
        -------
        Trace
            By iteration: ``environment_steps`` so far (in this restart), ``sampled_value``, the mean of F over the batch, and
            ``best_value``, the largest F of any trajectory so far. ``parameters`` hold ``final_value`` (mean of the last 5 batches), the
            best path's ``path_states`` [H + 1], ``path_actions`` [H] (in a deterministic world it is a policy as good as its F) and
            ``path_value``, all over the restarts; ``restart_values``; ``kept``: "end", or "start" where learning from a path or from
            logits ended below its start, whose policy is then the ``output``. With ``certify`` also ``upper_bound``, ``bound_method``
            and ``share`` = final_value / upper_bound. Series and policies are those of the best restart.

        Raises
        ------
        RuntimeError
            When logits are no longer finite, naming the iteration and (h, s).
        """
        problem = self.plays.of(problem)
        n = check.integer("n", n, 1)
        H = problem.horizon
        logits = starting_logits(problem, self.init, self.path, self.kappa)
        sequence = check.seed_sequence(seed)
        keys = sequence.generate_state(self.restarts, np.uint64)
        runs = [self._run(problem, logits, n, key) for key in keys]
        finals = [float(np.mean(run[0][-LAST:])) for run in runs]
        values, best, policy, _, _ = runs[kept := int(np.argmax(finals))]
        top = runs[int(np.argmax([run[1][-1] for run in runs]))]
        cold = isinstance(self.init, str) and self.init == "uniform"
        end = cold or finals[kept] >= values[0]
        parameters = {
            "learning_rate": self.learning_rate,
            "final_value": finals[kept] if end else float(values[0]),
            "path_value": float(top[1][-1]),
            "path_states": top[3],
            "path_actions": top[4],
            "restart_values": finals,
            "kept": "end" if end else "start",
            "environment_steps": self.restarts * n * self.batch * H,
        }
        index = np.arange(1, n + 1)
        series = {"environment_steps": index * self.batch * H, "sampled_value": values, "best_value": best}
        output = policy if end else softmax_policy(logits)
        if self.certify:
            parameters |= certified_share(problem, output, parameters["final_value"])
        return Trace(index, series, policy, parameters, seed, self.unit, output)

    def _run(self, problem, logits, n, key):
        """One restart: values and best values [n], policy [H, S, A], states and actions of the best path."""
        H, S, A = problem.shape
        theta = logits.reshape(H * S, A).copy()
        policy = softmax_policy(logits)
        with np.errstate(over="ignore"):  # the random streams count modulo 2^64; uncompiled, NumPy would warn of it
            values, best, states, actions, failed = _run(
                problem.world, problem.objective.packed, problem.objective.singles, self.windows(H), self.rules, theta, policy, n, key
            )
        if failed[0] >= 0:
            h, s = divmod(int(failed[1]), S)
            raise RuntimeError(f"theta[{h}, {s}] is not finite after iteration {failed[0] + 1}; a smaller learning_rate may help")
        return values, best, policy, states, actions

    @property
    def rules(self):
        """What the compiled loop reads of the parameters."""
        numbers = float(self.entropy), float(self.entropy_decay)
        return Rules(self.batch, self.modular, OPTIMIZERS.index(self.optimizer), float(self.learning_rate), self.baseline, *numbers)

    def windows(self, H):
        """[phases, H, 2] first and last + 1 of the gains 0..H that weigh step h, in each phase of the schedule."""
        phases = self.lookahead if isinstance(self.lookahead, tuple) else (self.lookahead,)
        h = np.arange(H)
        if self.weights == "full":
            return np.stack([0 * h, 0 * h + H + 1], axis=1)[None]
        if self.weights == "prefix":
            return np.stack([0 * h, h + 2], axis=1)[None]
        if self.weights == "myopic":
            phases = (1,)
        return np.array([np.stack([h + 1, np.minimum(h + 1 + (H if k is None else k), H + 1)], axis=1) for k in phases])


def softmax_policy(logits):
    """The policy [H, S, A] of ``logits``."""
    policy = np.empty_like(logits)
    for row in np.ndindex(logits.shape[:-1]):
        softmax(logits[row], policy[row])
    return policy


@njit
def _run(world, objective, singles, windows, rules, theta, policy, n, key):
    B, modular, optimizer, learning_rate, use_baseline, weight_of_entropy, entropy_decay = rules
    H, S, A = policy.shape
    pi, elements, work = policy.reshape(H * S, A), world.elements, workspace(objective, len(singles), H + 1)
    batch = Batch(np.empty((B, H + 1), np.int64), np.empty((B, H), np.int64), np.empty((B, H + 1)))
    paid = Batch(batch.states, batch.actions, np.empty((B, H + 1)) if modular else batch.gains)
    values, best, highest = np.empty(n), np.empty(n), -np.inf
    path_states, path_actions = np.zeros(H + 1, np.int64), np.zeros(H, np.int64)
    b, weight = np.zeros(H * S), np.zeros(H * S)
    sums, rows, gradient = np.zeros((H * S, A + 3)), np.empty(H * S, np.int64), np.zeros((H * S, A))
    size = H * S if optimizer == ADAM else 0
    moments, moving = np.zeros((2, size, A)), np.zeros(size, np.bool_)

    for it in range(n):
        rollouts(world, objective, work, policy, key, it, it * B, batch)
        values[it], top, value = best_of(batch.gains)
        if value > highest:
            highest = value
            for h in range(H):
                path_states[h], path_actions[h] = batch.states[top, h], batch.actions[top, h]
            path_states[H] = batch.states[top, H]
        best[it] = highest
        if it + 1 == n:  # no policy is made that nobody plays
            break
        if modular:
            additive_gains(batch.states, elements, singles, paid.gains)
        visited = rows[: estimate(windows[it * len(windows) // n], paid, b, pi, sums, rows, gradient)]
        if weight_of_entropy > 0:
            add_entropy_gradient(pi, sums, visited, weight_of_entropy / (1 + it / entropy_decay), B, gradient)
        if use_baseline:  # after its use: what a batch learns serves the next ones
            update_baseline(sums, visited, weight, b)
        if optimizer == ADAM:
            failed = adam_step(theta, pi, moments, moving, gradient, visited, learning_rate, it + 1)
        else:
            failed = gradient_step(theta, pi, gradient, sums, visited, learning_rate, B if optimizer == NPG else 0)
        if failed >= 0:
            return values, best, path_states, path_actions, (it, failed)
        for row in visited:
            for column in range(A + 3):
                sums[row, column] = 0.0
            for a in range(A):
                gradient[row, a] = 0.0
    return values, best, path_states, path_actions, (-1, 0)


@njit
def best_of(gains):
    """(mean F, index and F of the best) of trajectories with marginal ``gains`` [B, H + 1]."""
    total, top, highest = 0.0, 0, -np.inf
    for i in range(len(gains)):
        value = np.sum(gains[i])
        total += value
        if value > highest:
            highest, top = value, i
    return total / len(gains), top, highest


@njit
def additive_gains(states, elements, singles, gains):
    """Fill ``gains`` [B, H + 1] with F({element}) of the visited ``states``: the rewards of modular RL."""
    for i in range(len(states)):
        for h in range(states.shape[1]):
            e = elements[h if len(elements) > 1 else 0, states[i, h]]
            gains[i, h] = singles[e] if e >= 0 else 0.0


@njit
def estimate(window, batch, b, pi, sums, rows, gradient):
    """The gradient estimate of a batch: ``gradient`` [H S, A] = mean of 1{s_h = s} (1{a_h = a} - pi[h,s,a]) A[h], A[h] = R[h] - b[h,s_h].

    R[h] sums the gains j with window[h, 0] <= j < window[h, 1]; row h S + s stands for (h, s). Rows of ``sums`` [H S, A + 3], zero
    before, get the sums over the visits of: A[h] by action, A[h], R[h], 1. Returns how many rows were visited; they come first in ``rows``.
    """
    states, actions, gains = batch
    B, H, visited = len(actions), actions.shape[1], 0
    S, A = len(b) // H, pi.shape[1]
    cumulative = np.zeros(H + 2)
    for i in range(B):
        for j in range(H + 1):
            cumulative[j + 1] = cumulative[j] + gains[i, j]
        for h in range(H):
            row = h * S + states[i, h]
            returns = cumulative[window[h, 1]] - cumulative[window[h, 0]]
            advantage = returns - b[row]
            if sums[row, A + VISITS] == 0:
                rows[visited] = row
                visited += 1
            sums[row, actions[i, h]] += advantage
            sums[row, A + ADVANTAGES] += advantage
            sums[row, A + RETURNS] += returns
            sums[row, A + VISITS] += 1
    for row in rows[:visited]:
        for a in range(A):
            gradient[row, a] = (sums[row, a] - pi[row, a] * sums[row, A + ADVANTAGES]) / B
    return visited


@njit
def add_entropy_gradient(pi, sums, rows, bonus, B, gradient):
    """Add to the ``gradient`` of ``rows`` the mean over B trajectories of ``bonus`` * d entropy(pi[row]) / d theta[row] at every visit.

    d entropy / d theta[a] = -pi[a] (log pi[a] + entropy).
    """
    A = pi.shape[1]
    for row in rows:
        factor, now = bonus * sums[row, A + VISITS] / B, entropy(pi[row])
        for a in range(A):
            if pi[row, a] > 0:
                gradient[row, a] -= factor * pi[row, a] * (np.log(pi[row, a]) + now)


@njit
def update_baseline(sums, rows, weight, b):
    """Move b [H S] to the mean of R over the visits of ``rows``, those of every earlier batch that came there counting half as much.

    >>> weight, b = np.zeros(1), np.zeros(1)  # of one row; its sums: A[h] by action (one of them), A[h], R[h], visits
    >>> update_baseline(np.array([[0.0, 0.0, 10.0, 2.0]]), np.array([0]), weight, b)
    >>> b
    array([5.])
    >>> update_baseline(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([0]), weight, b)
    >>> b  # (10 / 2 + 1) / (2 / 2 + 1)
    array([3.])
    """
    A = sums.shape[1] - 3
    for row in rows:
        visits = sums[row, A + VISITS]
        weight[row] = 0.5 * weight[row] + visits
        b[row] += (sums[row, A + RETURNS] - visits * b[row]) / weight[row]


@njit
def gradient_step(theta, pi, gradient, sums, rows, learning_rate, natural):
    """theta += learning_rate * gradient on ``rows``, and their policy; a row that is no longer finite, or -1.

    With ``natural`` = B > 0 the mean over the visits of the row replaces that over the B trajectories.
    """
    A = theta.shape[1]
    for row in rows:
        step = learning_rate * (natural / sums[row, A + VISITS] if natural > 0 else 1.0)
        for a in range(A):
            theta[row, a] += step * gradient[row, a]
        if not refresh(theta[row], pi[row]):
            return row
    return -1


@njit
def adam_step(theta, pi, moments, moving, gradient, rows, learning_rate, count):
    """Adam's step number ``count`` on all rows ever visited, and their policy; a row that is no longer finite, or -1.

    ``moments`` [2, H S, A], ``moving`` [H S]: rows visited before; ``gradient`` is 0 outside of ``rows``.
    """
    first, second = 1 - 0.9**count, 1 - 0.999**count
    for row in rows:
        moving[row] = True
    for row in range(len(moving)):
        if moving[row]:
            for a in range(theta.shape[1]):
                g = gradient[row, a]
                moments[0, row, a] = 0.9 * (moments[0, row, a] + 0.1 / 0.9 * g)
                moments[1, row, a] = 0.999 * (moments[1, row, a] + 0.001 / 0.999 * g * g)
                theta[row, a] += learning_rate * (moments[0, row, a] / first) / (np.sqrt(moments[1, row, a] / second) + 1e-8)
            if not refresh(theta[row], pi[row]):
                return row
    return -1


@njit
def refresh(theta, pi):
    """pi = softmax(theta), theta clipped; whether all is finite."""
    for a in range(len(theta)):
        if not np.isfinite(theta[a]):
            return False
        theta[a] = min(max(theta[a], -CLIP), CLIP)
    softmax(theta, pi)
    return True
