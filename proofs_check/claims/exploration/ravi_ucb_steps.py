"""RAVI-UCB step by step (Moulin, Neu 2023): one regularised backup per rollout is optimistic on average, and its policies move slowly.

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
    """The Rollouts of a Plan whose backups add ``bonus`` times CB."""
    (S, A), K = x.mdp.shape, len(x.bonus)
    values, policy = [x.first], np.full((K, S, A), 1 / A)
    log_policy = np.full((S, A), -np.log(A))
    for k in range(K):
        model = x.mdp.reward + x.mdp.discount * x.mdp.transition @ values[-1] + x.error[k]
        q, after = np.clip(model + bonus * x.bonus[k], 0, x.H), np.empty(S)
        for s in range(S):
            after[s] = soft_maximum(q[s], log_policy[s], 1 / x.eta, policy[k, s], log_policy[s])
        values.append(after)
    d = _occupancies(x.mdp, policy)
    above = np.array(values[1:]) @ x.mdp.initial - np.einsum("ks,ksa,sa->k", d, policy, x.mdp.reward)
    return Rollouts(np.array(values), policy, d, above, optimal(x.mdp))


def excess(x, made, factor=2.0):
    """[K]: <mu_k, min(2 CB_k, H)> + <d_k - nu, V_{k-1} - V_k>."""
    extra = np.einsum("ks,ksa,ksa->k", made.d, made.policy, np.minimum(factor * x.bonus, x.H))
    return extra + np.sum((made.d - x.mdp.initial) * (made.values[:-1] - made.values[1:]), axis=1)


def regulariser(x, made):
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
    return len(x.bonus) * made.best - regulariser(x, made), made.values[1:].sum(axis=0), 1000.0 + 10 / x.eta


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
    regret = np.sum(made.best @ x.mdp.initial - made.values[1:] @ x.mdp.initial + made.above)
    return regret, price * regulariser(x, made) + excess(x, made).sum(), 1000.0 + 10 / x.eta


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
