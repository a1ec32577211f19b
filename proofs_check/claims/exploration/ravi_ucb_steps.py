"""RAVI-UCB step by step (Moulin, Neu 2023): one regularized backup per rollout is optimistic on average, and its policies move slowly.

The update and two checks of its proof (the comparator identity, optimism on average) are the paper's; the rest of the chain is derived
(ravi_ucb spec, sections 2 and 3). Sizes: H = 1 / (1 - gamma), values in [0, H], d [S] = sum_t gamma^t P(s_t = s) (its sum is H),
mu = d pi, nu the start. On the good event gamma |P V_{k-1} - estimate| <= CB_k at every pair. Then, with excess_k =
Q_k - r - gamma P V_{k-1} in [0, min(2 CB_k, H)]:

    sum_k V_k >= K V* - H log A / eta                                            comparator at pi*, summed over k, resolvent of pi*
    <nu, V_k> - V_{pi_k} = <mu_k, V_k - gamma P V_k - r>                         flow of d_k
                        <= <mu_k, excess_k> + <d_k - nu, V_{k-1} - V_k>          V_k <= <pi_k, Q_k>
    sum_k <d_k - nu, V_{k-1} - V_k> <= gamma H^2 + K gamma eta H^4 / 4           by parts; a policy moves by eta H / 2 in l1 at most
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import draw
from tabular_rl.algorithms import RAVIUCB
from tabular_rl.algorithms.exploration import ravi_ucb as product
from tabular_rl.kernels.linear.robust_induction import soft_maximum
from tabular_rl.models import DiscountedMDP
from tabular_rl.planning import solve

SOURCE = "ravi_ucb spec"

# --- one state


class Backup(NamedTuple):
    """Action values ``q``, the policy ``old``, a ``comparator`` and what the backup gives: ``value`` and the policy ``new``."""

    q: Any
    old: Any
    comparator: Any
    eta: float
    value: float
    new: Any


def backup(A, even, seed):
    """A Backup among A actions; even: the old policy is uniform and the action values are at the ends of an interval."""
    rng = np.random.default_rng(seed)
    q, (old, comparator) = 3 * rng.random(A), 0.99 * rng.dirichlet(np.full(A, 2.0), 2) + 0.01 / A
    eta = float(np.exp(rng.uniform(-3, 1)))
    if even:
        q, old, eta = q[0] + np.where(np.arange(A) % 2 == 1, q[1], 0), np.full(A, 1 / A), eta / 10
    new = np.empty(A)
    value = soft_maximum(q, np.log(old), 1 / eta, new, np.empty(A))
    return Backup(q, old, comparator, eta, value, new)


_backups = draw(backup, st.integers(2, 5), st.booleans())
_even = draw(backup, st.sampled_from([2, 4]), st.just(True))


def relative_entropy(p, q):
    """KL(p || q) of positive distributions."""
    return np.sum(p * np.log(p / q))


@claim("ravi.comparator", kind=identity, source=f"{SOURCE}, check 1", provenance="derived", given=(_backups,), control={"soft": False})
def comparator(b, soft=True):
    """V = <p, Q> - (KL(p || old) - KL(p || new)) / eta for every p: over rollouts the divergences telescope.

    Control: V = <old, Q>, the value of the old policy.
    """
    value = b.value if soft else b.old @ b.q
    gain = relative_entropy(b.comparator, b.old) - relative_entropy(b.comparator, b.new)
    return value, b.comparator @ b.q - gain / b.eta, 10 / b.eta


@claim("ravi.soft-value", kind=inequality, source=f"{SOURCE}, check 3", provenance="derived", given=(_backups,), control={"swap": True})
def soft_value(b, swap=False):
    """<old, Q> <= V <= <new, Q>: the comparator identity at p = old and p = new.  Control: old and new exchanged."""
    low, high = (b.new @ b.q, b.old @ b.q) if swap else (b.old @ b.q, b.new @ b.q)
    return np.array([low, b.value]), np.array([b.value, high]), 10 / b.eta


@claim("ravi.step", kind=inequality, source=f"{SOURCE}, step", provenance="derived", given=(_even,), control={"factor": 1 / 4})
def step(b, factor=1 / 2):
    """|new - old| in l1 <= eta (max Q - min Q) / 2: Hoeffding's lemma bounds KL(old || new) by (eta span)^2 / 8, Pinsker does the rest.

    Even policies and two values attain it as eta falls. Control: a quarter.
    """
    return np.sum(np.abs(b.new - b.old)), factor * b.eta * np.ptp(b.q), 1.0


# --- rollouts with planted errors


class Plan(NamedTuple):
    """A model, eta, V_0 [S], bonuses CB_k and errors gamma (estimate - P V_{k-1}) [K, S, A], within the bonuses."""

    mdp: Any
    eta: float
    first: Any
    bonus: Any
    error: Any

    @property
    def H(self):
        """1 / (1 - discount)."""
        return 1 / (1 - self.mdp.discount)


class Rollouts(NamedTuple):
    """What it leads to: ``values`` [K+1, S], ``policy`` [K, S, A], occupancies ``d`` [K, S]; [K]: <nu, V_k> - V of pi_k; V* [S]."""

    values: Any
    policy: Any
    d: Any
    above: Any
    best: Any


def planned(S, A, discount, K, first, sign, size, seed):
    """A Plan; ``first``: V_0 is "top" (H), "optimal" (V*) or "random"; bonuses up to ``size``; errors ``sign`` times them, or any."""
    rng = np.random.default_rng(seed)
    P, r, initial = rng.dirichlet(np.full(S, 0.5), (S, A)), rng.random((S, A)), rng.dirichlet(np.ones(S))
    mdp, H = DiscountedMDP(P, r, discount, initial), 1 / (1 - discount)
    start = optimal(mdp) if first == "optimal" else np.full(S, H) if first == "top" else H * rng.random(S)
    bonus = size * rng.random((K, S, A))
    return Plan(mdp, float(np.exp(rng.uniform(-3, 3))), start, bonus, bonus * (rng.uniform(-1, 1, bonus.shape) if sign == 0 else sign))


def optimal(mdp):
    """V* [S], to rounding."""
    return solve(mdp, "policy_iteration", tolerance=1e-10).values


def _occupancies(mdp, policy):
    """d [.., S] = sum_t gamma^t P(s_t = s) of policies [.., S, A]."""
    move = np.einsum("...sa,sat->...ts", policy, mdp.transition)
    start = np.broadcast_to(mdp.initial, move.shape[:-1])[..., None]
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * move, start)[..., 0]


def play(x, bonus=1.0):
    """The Rollouts of a Plan whose backups, the learner's own, add ``bonus`` times CB."""
    (S, A), K, gamma = x.mdp.shape, len(x.bonus), x.mdp.discount
    values, policy = [x.first], np.empty((K, S, A))
    q, log_policy = np.empty((2, S, A))
    product.uniform_policy(x.mdp.reward, policy[0], log_policy)
    for k in range(K):
        estimate, after = x.mdp.transition @ values[-1] + x.error[k] / gamma, np.empty(S)
        product.backup(x.mdp.reward, bonus * x.bonus[k], estimate, gamma, 1 / x.eta, q, after, policy[k], log_policy)
        values.append(after)
    d = _occupancies(x.mdp, policy)
    above = np.array(values[1:]) @ x.mdp.initial - np.einsum("ks,ksa,sa->k", d, policy, x.mdp.reward)
    return Rollouts(np.array(values), policy, d, above, optimal(x.mdp))


def increments(x, made, factor=2.0):
    """[K] each: V* - V of pi_k at the start, and <mu_k, min(2 CB_k, H)> + <d_k - nu, V_{k-1} - V_k>, as the learner adds them up."""
    d, system, lost, rows = np.empty(x.mdp.n_states), np.empty((x.mdp.n_states,) * 2), solve(x.mdp, tolerance="exact").advantage_lost, []
    for k, pi in enumerate(made.policy):
        product.occupy(x.mdp.transition, pi, x.mdp.discount, x.mdp.initial, system, d)
        around = made.values[k], made.values[k + 1]
        rows.append(product.charge(d, x.mdp.initial, *around, pi, factor / 2 * x.bonus[k], lost, x.H, 0.0))
    return np.array(rows).T


def excess(x, made, factor=2.0):
    """[K]: <mu_k, min(2 CB_k, H)> + <d_k - nu, V_{k-1} - V_k>."""
    return increments(x, made, factor)[1]


def regularizer(x, made):
    """H (log A / eta + max (V_K - V_0)_+): what optimism on average falls short of K V*."""
    return x.H * (math.log(x.mdp.n_actions) / x.eta + max(0.0, np.max(made.values[-1] - made.values[0])))


def _plans(firsts, sign, sizes=(0.3,), discounts=(0.5, 0.8, 0.9), K=(4, 8)):
    shape = st.integers(2, 4), st.integers(2, 3), st.sampled_from(discounts), st.integers(*K)
    return draw(planned, *shape, st.sampled_from(firsts), st.just(sign), st.sampled_from(sizes))


@claim("ravi.optimism", kind=inequality, source=f"{SOURCE}, check 2", provenance="derived",
       given=(_plans(["top", "optimal", "optimal", "random"], -1),), control={"bonus": -1.0})  # fmt: skip
def optimism_on_average(x, bonus=1.0):
    """sum_{k <= K} V_k >= K V* - H (log A / eta + max (V_K - V_0)_+) in every state, if gamma |P V_{k-1} - estimate| <= CB_k.

    Here the estimates are as low as that allows: Q_k = r + gamma P V_{k-1}. Control: the bonus is subtracted.

    Proof: with the comparator pi*, sum_k V_k >= K r* + gamma P* sum_k V_{k-1} - log A / eta; apply (I - gamma P*)^-1 >= 0, rows H.
    """
    made = play(x, bonus)
    return len(x.bonus) * made.best - regularizer(x, made), made.values[1:].sum(axis=0), 1000.0 + 10 / x.eta


@claim("ravi.rollout", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(_plans(["top", "optimal", "random"], 1),), control={"factor": 1.0})  # fmt: skip
def one_rollout(x, factor=2.0):
    """<nu, V_k> - V_{pi_k} <= <mu_k, min(2 CB_k, H)> + <d_k - nu, V_{k-1} - V_k> for every k, for errors <= CB_k.

    Here the estimates are too high by all of CB_k. Control: CB_k in place of 2 CB_k.
    """
    made = play(x)
    return made.above, excess(x, made, factor), 1000.0 + 10 / x.eta


@claim("ravi.certificate", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(_plans(["optimal", "optimal", "top"], 0, (1e-3, 1e-3, 0.3), (0.5, 0.8), (12, 16)),), control={"price": 0.0})  # fmt: skip
def certificate_of_rollouts(x, price=1.0):
    """sum_k V* - V_{pi_k} <= H (log A / eta + max (V_K - V_0)_+) + sum_k <mu_k, min(2 CB_k, H)> + <d_k - nu, V_{k-1} - V_k>.

    For any errors <= CB_k. From V_0 = H the maximum is 0: this is the learner's certificate. Control: without the first term.
    """
    made = play(x)
    regret = np.sum(increments(x, made)[0])
    return regret, price * regularizer(x, made) + excess(x, made).sum(), 1000.0 + 10 / x.eta


@claim("ravi.increments", kind=identity, source=f"{SOURCE} section 3", provenance="derived",
       given=(_plans(["top", "optimal", "random"], 0),), control={"occupancy": 0.5})  # fmt: skip
def increments_by_definition(x, occupancy=1.0):
    """What the learner adds to its regret and its certificate in each rollout, and reports as optimism, from occupancies by linear solves.

    Also its first policy is uniform over the actions that a state has, and a miss is an error beyond the bonus.

    Control: half of the bonuses.
    """
    made, (S, A) = play(x), x.mdp.shape
    gaps = made.best @ x.mdp.initial - np.einsum("ks,ksa,sa->k", made.d, made.policy, x.mdp.reward)
    extra = np.einsum("ks,ksa,ksa->k", made.d, made.policy, np.minimum(2 * occupancy * x.bonus, x.H))
    extra += np.sum((made.d - x.mdp.initial) * (made.values[:-1] - made.values[1:]), axis=1)
    total, K, logs, first = made.values[1:].sum(axis=0), len(x.bonus), np.empty((S, A)), np.empty((S, A))
    barred, there = x.mdp.reward.copy(), np.ones((S, A), bool)
    there[0, 0] = there[-1, -1] = False
    barred[~there], first[:], logs[:] = -np.inf, 0, -np.inf
    product.uniform_policy(barred, first, logs)
    uniform = (there / there.sum(axis=1, keepdims=True)).ravel()
    estimates, missed = [x.mdp.transition @ V + 1.01 * e / x.mdp.discount for V, e in zip(made.values, x.error, strict=False)], []
    for V, estimate, bonus in zip(made.values, estimates, x.bonus, strict=False):
        missed.append(product.wrong(x.mdp.transition, x.mdp.reward, V, x.mdp.discount, estimate, bonus))
    beyond = np.any(1.01 * np.abs(x.error) > x.bonus + 1e-9, axis=(1, 2))
    lhs = [*increments(x, made), [product.optimism(total, made.best, 0.7, K)], missed, first.ravel(), np.exp(logs).ravel()]
    rhs = [gaps, extra, [np.min(total - K * made.best + 0.7) / K], beyond, uniform, uniform]
    return np.concatenate(lhs), np.concatenate(rhs), 1000.0 + 10 / x.eta


def rule(states, actions, discount, steps, delta, scale, seed):
    """(model, n, RAVIUCB)."""
    rng = np.random.default_rng(seed)
    mdp = DiscountedMDP(rng.dirichlet(np.ones(states), (states, actions)), rng.random((states, actions)), discount)
    return mdp, steps, RAVIUCB(delta=delta, scale=scale)


_rules = draw(rule, st.integers(1, 5), st.integers(2, 4), st.sampled_from([0.9, 0.5, 0.99]), st.integers(10, 10**6),
              st.sampled_from([0.05, 1e-3, 1.0]), st.sampled_from([1.0, 2.0]))  # fmt: skip


@claim("ravi.rate", kind=inequality, source=f"{SOURCE} section 5", provenance="derived", given=(_rules, st.floats(0.3, 3.0)),
       control={"factor": 0.5})  # fmt: skip
def best_rate(case, other, factor=1.0):
    """The default eta minimizes H log A / eta + K gamma eta H^4 / 4, K = max(1, n / H), whose least value is sqrt(gamma H^5 K log A).

    Control: half of it.
    """
    mdp, n, learner = case
    g, A = mdp.discount, mdp.n_actions
    H, K, eta = 1 / (1 - g), max(1, n * (1 - g)), factor / learner.rules(mdp, n).tau
    costs = [H * math.log(A) / rate + K * g * rate * H**4 / 4 for rate in (eta, eta * other)]
    least = math.sqrt(g * H**5 * K * math.log(A))
    return np.array([costs[0], costs[0], least]), np.array([costs[1], least * (1 + 1e-9), costs[0] * (1 + 1e-9)])


@claim("ravi.bonus", kind=identity, source=f"{SOURCE} section 1", provenance="derived", given=(_rules,), control={"pairs": 1})  # fmt: skip
def bonus_by_definition(case, pairs=None):
    """Tables: after n visits CB = scale gamma H sqrt(L / (2 n)), L = S log 2 + log(S A N / delta), and H without any, whatever the scale;
    estimates are the means of V at the next states.  Control: no union over the pairs.
    """
    mdp, n, learner = case
    (S, A), g, rules, rng = mdp.shape, mdp.discount, learner.rules(mdp, n), np.random.default_rng(n)
    arrivals, values = rng.integers(0, 3, (S, A, S)).astype(float), rng.random(S) / (1 - g)
    visits, estimate, bonus = arrivals.sum(axis=-1), np.empty((S, A)), np.empty((S, A))
    product.count_estimates(visits, arrivals, values, rules.width, rules.unknown, estimate, bonus)
    L = S * math.log(2) + math.log((pairs or S * A) * n / learner.delta)
    known = learner.scale * g / (1 - g) * np.sqrt(L / (2 * np.maximum(visits, 1)))
    mean = np.where(visits > 0, arrivals / np.maximum(visits, 1)[..., None] @ values, 0)
    return np.stack([estimate, bonus]), np.stack([mean, np.where(visits > 0, known, 1 / (1 - g))]), 1000.0


def stream_of_targets(d, states, length, discount, delta, seed):
    """(basis [d, S, A, S], values V of each step [T, S], pairs (s, a) and next states of the steps, discount, delta)."""
    rng = np.random.default_rng(seed)
    basis = rng.dirichlet(np.ones(states), (d, states, 2))
    V = rng.random((length + 1, states)) / (1 - discount)
    return basis, V, rng.integers(states, size=length), rng.integers(2, size=length), rng.integers(states, size=length), discount, delta


@claim("ravi.regression-by-definition", kind=identity, source=f"{SOURCE} section 1", provenance="derived",
       given=(draw(stream_of_targets, st.integers(1, 3), st.integers(1, 4), st.integers(1, 30), st.sampled_from([0.9, 0.5]),
                   st.sampled_from([0.05, 1.0])),), control={"ridge": 1.0})  # fmt: skip
def regression_by_definition(case, ridge=2.0):
    """Mixtures: the estimate <x, theta> of the ridge regression of y_t = V_t(s') on x_t = (P_i V_t)(s, a), Lambda = H^2 I + sum x x^T, and
    CB = gamma beta |x| in the norm of Lambda^-1, beta = H / 2 sqrt(log det(Lambda / H^2) + 2 log(1 / delta)) + H.

    By normal equations in place of rank-one updates.  Control: H I in place of H^2 I.
    """
    basis, V, s, a, t, g, delta = case
    d, S = len(basis), V.shape[1]
    H, targets, moments, work, logdet = 1 / (1 - g), np.empty((S, 2, d)), np.zeros(d), np.empty(d), 0.0
    inverse, (estimate, bonus), rows = np.eye(d) / H**2, np.empty((2, S, 2)), []
    for k, pair in enumerate(zip(s, a, strict=True)):
        product.expected_values(basis, V[k], targets)
        logdet += product.regression_update(targets[pair], V[k, t[k]], inverse, moments, work)
        rows.append(np.array([basis[i][pair] @ V[k] for i in range(d)]))
    product.expected_values(basis, V[-1], targets)
    beta = product.regression_width(H, logdet, math.log(1 / delta))
    product.regression_estimates(targets, moments, inverse, g * beta, work, estimate, bonus)
    X, y, x = np.array(rows), V[np.arange(len(t)), t], np.moveaxis(basis @ V[-1], 0, -1)
    Lambda = H**ridge * np.eye(d) + X.T @ X
    own = H / 2 * math.sqrt(np.linalg.slogdet(Lambda / H**2)[1] + 2 * math.log(1 / delta)) + H if ridge == 2 else beta
    norm = np.sqrt(np.einsum("sai,ij,saj->sa", x, np.linalg.inv(Lambda), x))
    return np.stack([estimate, bonus]), np.stack([x @ np.linalg.solve(Lambda, X.T @ y), g * own * norm]), 1000.0


@claim("ravi.drift", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(_plans(["top", "optimal", "random"], 0),), control={"moves": 0.0})  # fmt: skip
def drift(x, moves=1.0):
    """sum_k <d_k - nu, V_{k-1} - V_k> <= <d_1 - nu, V_0> - <d_K - nu, V_K> + sum_{k < K} span(V_k) / 2 gamma H^2 eta H / 2.

    By parts: d_{k+1} - d_k has no mass in all, and ravi.shift and ravi.step bound its l1 norm. Control: as if the policy stood still.
    """
    made = play(x)
    w, V = made.d - x.mdp.initial, made.values
    ends = w[0] @ V[0] - w[-1] @ V[-1]
    still = np.sum(np.ptp(V[1:-1], axis=1)) / 2 * x.mdp.discount * x.H**2 * x.eta * x.H / 2
    return np.sum(w * (V[:-1] - V[1:])), ends + moves * still, 1000.0 + 10 / x.eta


def two_policies(discount, still, seed):
    """(model, old, new); still: only one action leaves state 0, both policies seldom choose it."""
    rng = np.random.default_rng(seed)
    P, (old, new) = rng.dirichlet(np.full(2, 0.5), (2, 2)), rng.dirichlet(np.ones(2), (2, 2))
    if still:
        P = np.array([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], float)
        old[0], new[0] = ([1 - p, p] for p in rng.uniform(0, 0.02, 2))
        old[1] = new[1]
    return DiscountedMDP(P, np.zeros((2, 2)), discount, 0), old, new


@claim("ravi.shift", kind=inequality, source=f"{SOURCE} section 3", provenance="derived",
       given=(draw(two_policies, st.sampled_from([0.5, 0.8, 0.9]), st.booleans()),), control={"power": 1})  # fmt: skip
def shift(pair, power=2):
    """|d' - d| in l1 <= gamma H^2 max_s |pi' - pi| in l1: d' - d = gamma P_{pi'}^T (d' - d) + gamma (P_{pi'} - P_pi)^T d.

    A state that only one action leaves attains it as that action gets rare. Control: H in place of H^2.
    """
    mdp, old, new = pair
    moved = np.sum(np.abs(_occupancies(mdp, new) - _occupancies(mdp, old)))
    return moved, mdp.discount / (1 - mdp.discount) ** power * np.abs(new - old).sum(-1).max(), 10.0
