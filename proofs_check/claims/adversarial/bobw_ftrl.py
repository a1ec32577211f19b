"""Follow the regularized leader on the simplex: exact stability in the local norm, and the regret bound along a path (bobw spec, L5 to L8).

    x = argmin <x, cum> + beta psi(x)
    tsallis      psi(x) = 2 (1 - sum sqrt(x))     local(x) = sqrt(x)
    shannon      psi(x) = sum x log x             local(x) = 1
    log_barrier  psi(x) = - sum log x             local(x) = x

    stab(y, l, beta) = max_{x >= 0} <y - x, l> - beta Breg_psi(x, y) = beta sum_a y / local(y) phi(w),     w = local(y) l / beta

with phi(w) = w^2 / (1 + w), e^-w - 1 + w, w - log(1 + w). Tsallis entropy and log barrier need w > -1.

The solver and stab here are plain NumPy, written apart from those that the algorithm runs (``tabular_rl.kernels.ftrl``), of which the
claims speak.
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.claims.adversarial.bobw_entropy import SOURCE
from proofs_check.strategies import draw, scales, simplex_points, vectors
from tabular_rl.kernels import ftrl

REGULARIZERS = ("tsallis", "shannon", "log_barrier")
LEAST_SHIFT = 0.95  # of w in instances: stab is finite above -1
regularizers = st.sampled_from(REGULARIZERS)


def local(regularizer, x):
    """sqrt(x), 1 or x."""
    if regularizer == "tsallis":
        return np.sqrt(x)
    return np.ones_like(x) if regularizer == "shannon" else np.array(x)


def psi(regularizer, x):
    """The regularizer along the last axis."""
    if regularizer == "tsallis":
        return 2 * (1 - np.sum(np.sqrt(x), axis=-1))
    logs = np.log(np.where(x > 0, x, 1))
    return np.sum(x * logs if regularizer == "shannon" else -logs, axis=-1)


def gradient_of_psi(regularizer, x):
    """Its gradient, up to constants over the actions."""
    if regularizer == "shannon":
        return np.log(x)
    return -1 / (np.sqrt(x) if regularizer == "tsallis" else x)


def bregman(regularizer, x, y):
    """Breg_psi(x, y) along the last axis, in terms that are each nonnegative; y > 0."""
    if regularizer == "tsallis":
        return np.sum((np.sqrt(x) - np.sqrt(y)) ** 2 / np.sqrt(y), axis=-1)
    ratio = x / y
    logs = np.log(np.where(ratio > 0, ratio, 1))
    return np.sum(y * (ratio * logs - ratio + 1) if regularizer == "shannon" else ratio - 1 - logs, axis=-1)


def phi(regularizer, w):
    """phi(w), by its series where the closed form would cancel; infinite where w <= -1 ends the local norm."""
    w = np.asarray(w, float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if regularizer == "tsallis":
            return np.where(w > -1, w**2 / (1 + w), np.inf)
        if regularizer == "shannon":
            return np.where(np.abs(w) > 1e-4, np.expm1(-w) + w, w**2 / 2 - w**3 / 6)
        closed = np.where(w > -1, w - np.log1p(np.maximum(w, -1)), np.inf)
        return np.where(np.abs(w) > 1e-4, closed, w**2 / 2 - w**3 / 3)


def stability(regularizer, y, losses, beta):
    """stab(y, losses, beta) along the last axis; ``beta`` [...]."""
    beta = np.asarray(beta, float)[..., None]
    size = local(regularizer, y)
    return np.sum(beta * y / size * phi(regularizer, size * losses / beta), axis=-1)


def leader(regularizer, cumulative, beta, rounds=60):
    """x = argmin <x, cumulative> + beta psi(x) along the last axis; ``beta`` [...] > 0.

    Newton on the concave power mean (sum (d + z)^-p)^(-1/p) = beta, d = cumulative - min, which rises to its root from z = beta.
    """
    beta = np.asarray(beta, float)[..., None]
    distance = cumulative - cumulative.min(axis=-1, keepdims=True)
    if regularizer == "shannon":
        x = np.exp(-distance / beta)
        return x / x.sum(axis=-1, keepdims=True)
    p = 2 if regularizer == "tsallis" else 1
    z = beta + 0 * distance[..., :1]
    for _ in range(rounds):
        ratio = beta / (distance + z)
        power = ratio**p
        total, slope = power.sum(axis=-1, keepdims=True), (power * ratio).sum(axis=-1, keepdims=True)
        if np.all(np.abs(total - 1) < 1e-14):
            break
        inverse = total ** (-1 / p)
        z = np.minimum(z + beta * (1 - inverse) * total / (inverse * slope), beta * cumulative.shape[-1] ** (1 / p))
    x = (beta / (distance + z)) ** p
    return x / x.sum(axis=-1, keepdims=True)


def response(regularizer, y, losses, beta):
    """argmax over the simplex of <y - x, losses> - beta Breg_psi(x, y)."""
    return leader(regularizer, losses - beta * gradient_of_psi(regularizer, y), beta)


def inner(y, least=1e-6):
    """``y`` with all probabilities at least about ``least``: below, the gradient of psi swallows the losses."""
    y = np.maximum(y, least)
    return y / y.sum(axis=-1, keepdims=True)


def shift_of(v, largest=10.0):
    """[-1, 1] to local shifts w in [-0.95, ``largest``]."""
    return np.where(v < 0, LEAST_SHIFT * v, largest * v)


def losses_of(regularizer, y, w, beta):
    """The losses whose local shift is w."""
    return w * beta / local(regularizer, y)


def gain(regularizer, x, y, losses, beta):
    """<y - x, losses> - beta Breg_psi(x, y), and the size of its terms."""
    penalty = beta * bregman(regularizer, x, y)
    return (y - x) @ losses - penalty, np.sum(np.abs(y - x) * np.abs(losses)) + penalty + np.abs(losses).max() * 1e-3


def compiled_stability(regularizer, y, losses, beta):
    """stab of one row, by the algorithm's kernel."""
    return ftrl.stability(REGULARIZERS.index(regularizer), y, losses, 1.0, 0.0, float(beta))


def compiled_leader(regularizer, cumulative, beta, z=0.0):
    """(x, where Newton's method ended) of one row, by the algorithm's kernel."""
    x = np.empty(len(cumulative))
    z, _ = ftrl.leader(REGULARIZERS.index(regularizer), cumulative, float(beta), z, x)
    return x, z


shifts = vectors(-1.0, 1.0)
rates = scales(-2, 3)


@claim("bobw.leader", kind=identity, source=f"{SOURCE} 5.1", provenance="derived",
       given=(simplex_points(8), scales(-3, 4), rates, regularizers, st.floats(-2, 2)), control={"share": 0.5})  # fmt: skip
def leader_is_optimal(losses, size, beta, regularizer, start, share=1.0):
    """The policy sums to 1, and cumulative + beta psi'(x) is the same number for all actions, wherever Newton's method starts.

    These are the conditions of the minimum of <x, cumulative> + beta psi(x) on the simplex, which is convex.  Control: half of beta.
    """
    cumulative = np.minimum(size * losses, 100 * beta)
    x, _ = compiled_leader(regularizer, cumulative, beta, beta * 10**start)
    slopes = share * beta * gradient_of_psi(regularizer, x)
    level = cumulative + slopes
    return np.append(level / np.abs(slopes).max(), x.sum()), np.append(np.full(len(x), level[0] / np.abs(slopes).max()), 1), 1.0


@claim("bobw.stability", kind=identity, source=f"{SOURCE} L5", provenance="derived",
       given=(simplex_points(8), shifts, rates, regularizers), control={"within": "simplex"})  # fmt: skip
def stability_attained(y, v, beta, regularizer, within="orthant"):
    """stab is attained in the orthant: at x = y / (1 + w)^2 (Tsallis entropy), y e^-w (Shannon), y / (1 + w) (log barrier).

    Control: the maximum over the simplex alone, which is smaller.
    """
    y, w = inner(y), shift_of(v)
    losses = losses_of(regularizer, y, w, beta)
    x = {"tsallis": y / (1 + w) ** 2, "shannon": y * np.exp(-w), "log_barrier": y / (1 + w)}[regularizer]
    if within == "simplex":
        x = response(regularizer, y, losses, beta)
    value, size = gain(regularizer, x, y, losses, beta)
    return value, compiled_stability(regularizer, y, losses, beta), size


@claim("bobw.stability-bound", kind=inequality, source=f"{SOURCE} L5", provenance="derived",
       given=(simplex_points(8), shifts, rates, regularizers, vectors()), control={"coefficient": 0.1})  # fmt: skip
def stability_bounds(y, v, beta, regularizer, other, coefficient=None):
    """<y - x, l> - beta Breg(x, y) <= stab(y, l, beta) for the best response x on the simplex, and for every other x > 0.

    Control: w^2 / 10 in place of phi(w).
    """
    y, w = inner(y), shift_of(v)
    losses = losses_of(regularizer, y, w, beta)
    best, size = gain(regularizer, response(regularizer, y, losses, beta), y, losses, beta)
    else_, size_ = gain(regularizer, np.maximum(other, 1e-3), y, losses, beta)
    bound = compiled_stability(regularizer, y, losses, beta)
    if coefficient is not None:
        bound = coefficient * np.sum(beta * y / local(regularizer, y) * w**2)
    return [best, else_], bound, max(size, size_)


@claim("bobw.local-norm", kind=inequality, source=f"{SOURCE} L5", provenance="derived",
       given=(simplex_points(8), vectors(-1.0, 1.0), rates, regularizers, st.booleans()), control={"constant": 0.45})  # fmt: skip
def local_norm(y, v, beta, regularizer, from_below, constant=1.0):
    """stab <= c sum y l^2 / beta in the local norm y local(y): c = 1 for w >= 0 and 2 for w >= -1/2 (Tsallis entropy), 1/2 for w >= 0
    and 1 for w >= -1/2 (log barrier), 1/2 for w >= 0 and 1 for w >= -1 (Shannon).

    Control: 0.45 times as much.
    """
    least = {"tsallis": 0.5, "shannon": 1.0, "log_barrier": 0.5}[regularizer]
    y, w = inner(y), np.where(v < 0, least * v, 0.01 * v) if from_below else np.abs(v)
    losses = losses_of(regularizer, y, w, beta)
    factor = constant * (1 + from_below) * (1 if regularizer == "tsallis" else 0.5)
    return compiled_stability(regularizer, y, losses, beta), factor * np.sum(y * local(regularizer, y) * losses**2) / beta


@claim("bobw.splitting", kind=inequality, source=f"{SOURCE} L6", provenance="derived",
       given=(simplex_points(8), shifts, shifts, rates, regularizers), control={"share": 1.0})  # fmt: skip
def splitting(y, v, v_other, beta, regularizer, share=0.5):
    """stab(y, l + l', beta) <= stab(y, l, beta / 2) + stab(y, l', beta / 2).  Control: with the whole beta on the right.

    Proof: the maximum of a sum is at most the sum of the maxima, and Breg = Breg / 2 + Breg / 2.
    """
    y, beta_half = inner(y, 1e-12), beta / 2
    one, other = (losses_of(regularizer, y, shift_of(part), beta_half) for part in (v, v_other))
    sides = (compiled_stability(regularizer, y, part, share * beta) for part in (one, other))
    return compiled_stability(regularizer, y, one + other, beta), sum(sides)


@claim("bobw.shift", kind=identity, source=f"{SOURCE} L6", provenance="derived",
       given=(simplex_points(8), shifts, rates, regularizers, vectors(-1.0, 1.0)), control={"constants": False})  # fmt: skip
def shift_invariance(y, v, beta, regularizer, c, constants=True):
    """On the simplex max_x <y - x, l> - beta Breg(x, y) does not change when a constant is added to l: any baseline may be subtracted.

    Control: numbers that differ from action to action.
    """
    y = inner(y, 1e-4)
    losses = losses_of(regularizer, y, shift_of(v, 2.0), beta)
    moved = losses + beta * (c[0] if constants else c)
    values = [gain(regularizer, response(regularizer, y, each, beta), y, each, beta) for each in (losses, moved)]
    return values[0][0], values[1][0], 1e3 * max(size for _, size in values) + 1e3 * beta


# --- the bound along a path

SEQUENCES = ("greedy", "estimates", "signed", "stress")


def path(A, rounds, kind, growth, seed):
    """What drives a run of FTRL: (A, kind, beta [T + 1], uniforms [T, A + 1])."""
    rng = np.random.default_rng(seed)
    beta = np.cumsum(np.append(10.0 ** rng.uniform(-0.5, 1), growth * rng.random(rounds) ** 3))
    return A, kind, beta, rng.random((rounds, A + 1))


def vertices(regularizer, A, rounds):
    """Comparators [A, A]: all actions, for the log barrier (1 - 1/T) e_a + 1 / (A T)."""
    mixing = 1 / rounds if regularizer == "log_barrier" else 0.0
    return (1 - mixing) * np.eye(A) + mixing / A


def next_losses(kind, regularizer, x, beta, uniforms):
    """(losses, the constant c that is subtracted from them inside stab) of an adversary who has seen x."""
    if kind == "greedy":
        return (np.arange(len(x)) == np.argmax(x)).astype(float), 0.0
    if kind == "estimates":
        a = min(int(np.searchsorted(np.cumsum(x), uniforms[-1])), len(x) - 1)
        return np.eye(len(x))[a] * uniforms[0] / x[a], 0.0
    if kind == "signed":  # all stay finite after the constant has been subtracted
        losses = 0.4 * beta * (2 * uniforms[:-1] - 1)
        return losses, x @ losses
    w = shift_of(np.where(uniforms[:-1] < 0.7, 2 * uniforms[:-1] - 1, 1.0), 2.0)
    return losses_of(regularizer, x, w, beta), 0.0


paths = draw(path, st.integers(2, 5), st.integers(2, 30), st.sampled_from(SEQUENCES), st.sampled_from([0.0, 0.1, 3.0]))


@claim("bobw.ftrl", kind=inequality, source=f"{SOURCE} L7", provenance="derived",
       given=(paths, regularizers), control={"stable": 0.0})  # fmt: skip
def follow_the_leader(run, regularizer, stable=1.0):
    """sum <x_t - e, l_t> <= beta_0 (psi(e) - psi(x_1)) + sum (beta_t - beta_{t-1}) (psi(e) - psi(x_t)) + sum stab(x_t, l_t - c_t, beta_t)

    along every path, for nondecreasing beta, constants c_t, and e a vertex (log barrier: mixed with 1/T of the uniform distribution).
    Control: without the stability, against an adversary who charges 1 for the likeliest action.
    """
    A, kind, beta, uniforms = run
    if not stable:
        kind, beta, uniforms = "greedy", np.ones(301), np.ones((300, A + 1))
    return _regret_and_bound(regularizer, A, kind, beta, uniforms, stable)


def _regret_and_bound(regularizer, A, kind, beta, uniforms, stable):
    e, T = vertices(regularizer, A, len(uniforms)), len(uniforms)
    cumulative, regret, size = np.zeros(A), np.zeros(A), 0.0
    start = psi(regularizer, e) - psi(regularizer, np.full(A, 1 / A))
    bound, z = beta[0] * start, 0.0
    for t in range(T):
        x, z = compiled_leader(regularizer, cumulative, beta[t + 1], z)
        losses, c = next_losses(kind, regularizer, x, beta[t + 1], uniforms[t])
        regret += (x - e) @ losses
        bound += (beta[t + 1] - beta[t]) * (psi(regularizer, e) - psi(regularizer, x))
        bound += stable * compiled_stability(regularizer, x, losses - c, beta[t + 1])
        size += np.abs(losses).max() + beta[t + 1] * A * (1 + abs(psi(regularizer, e)[0]))
        cumulative = cumulative + losses
    return regret, bound, size


@claim("bobw.bonus-budget", kind=inequality, source=f"{SOURCE} L8", provenance="derived",
       given=(simplex_points(8), vectors(), rates, regularizers, st.integers(1, 8)), control={"excess": 32})  # fmt: skip
def bonus_budget(y, share, beta, regularizer, horizon, excess=1):
    """stab(y, -B, beta / 2) <= <y, B> / H for B >= 0 with local(y) B / beta <= 1 / (4 H): the dilation pays for the bonus's own stability.

    Control: the condition exceeded 32-fold (Tsallis entropy, log barrier: up to w = -0.95, beyond which stab is infinite).
    """
    y = inner(y, 1e-12)
    budget = excess / (4 * horizon)
    if regularizer != "shannon":
        budget = min(budget, LEAST_SHIFT / 2)
    B = share * budget * beta / local(regularizer, y)
    return compiled_stability(regularizer, y, -B, beta / 2), y @ B / horizon
