"""Online sensitivity sampling, path by path: unbiased bounded increments, what is spent, potential, widths (lpo spec, 5.6).

A stream of points in a tabular, linear or finite class; x(v) is the squared value of an index v (cell, direction, pair of functions) at a
point, A_n(v) = lam(v) + sum x(v) over all points, H_n(v) the same with the kept weights. What holds with high probability only is in
``sensitivity_streams``.
"""

import math
from functools import cached_property
from itertools import combinations, product

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl.algorithms import FiniteClass, LinearClass, SensitivitySampler, TabularClass, sampling_constant
from tabular_rl.algorithms.exploration.sensitivity import add_point

SOURCE = "lpo spec 5.6"
KINDS = ("tabular", "linear", "finite")


_EVERYTHING = 1e9  # a constant with which every point is kept


class Stream:
    """Points of a class, coins, and what the sampler did with them: ``kept`` weights, ``probability`` and ``score`` of each."""

    def __init__(self, functions, points, coins, constant, integer=False):
        self.functions, self.points, self.constant, self.integer = functions, points, constant, integer
        self.sampler = SensitivitySampler(functions, constant, integer_weights=integer)
        outcomes, self.scores, self.widths = [], [], [self.sampler.squared_widths()]
        for point, coin in zip(points, coins, strict=True):
            self.scores.append(self.sampler.score(point))
            outcomes.append(self.sampler.offer(point, coin))
            self.widths.append(self.sampler.squared_widths())
        self.kept = np.array([kept for kept, _ in outcomes])
        self.probability = np.array([p for _, p in outcomes])

    @property
    def squares(self):
        """[n, J]: x(v) of every point, for every cell, pair, or a hundred directions (after lam(v) is divided out)."""
        features, differences = self.functions.packed
        if features.shape[1]:
            directions = np.random.default_rng(0).standard_normal((100, features.shape[1]))
            directions = np.concatenate([directions, features, features @ self.sampler.inverse])
            return (features @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T) ** 2
        return differences.T if len(differences) else np.eye(self.functions.n_points)

    @cached_property
    def full(self):
        """The same stream with everything kept."""
        return Stream(self.functions, self.points, np.zeros(len(self.points)), _EVERYTHING)

    @cached_property
    def ratios(self):
        """[length + 1, 2]: the smallest and the largest H_n(v) / A_n(v) over all v, after n = 0 .. length points."""
        offered = np.eye(self.functions.n_points)[self.points]
        weights = offered * (self.kept / np.maximum(self.probability, 1e-300))[:, None]
        counts, kept = (np.concatenate([0 * offered[:1], np.cumsum(array, axis=0)]) for array in (offered, weights))
        return np.stack(extreme_ratios(self.functions, kept, counts), axis=-1)


def extreme_ratios(functions, kept, counts, lam=1.0):
    """The smallest and largest H(v) / A(v) over all v, for weights [..., n_points] of the points kept, and of all of them."""
    features, differences = functions.packed
    if features.shape[1]:
        H, A = (lam * np.eye(features.shape[1]) + features.T * weights[..., None, :] @ features for weights in (kept, counts))
        ratios = np.linalg.eigvals(np.linalg.solve(A, H)).real  # of two symmetric matrices: real and positive
    else:
        squares = differences if len(differences) else np.eye(functions.n_points)
        ratios = (lam + kept @ squares.T) / (lam + counts @ squares.T)
    return ratios.min(axis=-1), ratios.max(axis=-1)


def random_class(kind, size, rng):
    """A class on a few points: ``size`` cells, features of that dimension, or that many functions."""
    if kind == "tabular":
        return TabularClass((size,))
    if kind == "linear":
        features = rng.standard_normal((4 * size, size)) * 2.0 ** -np.arange(size)
        return LinearClass(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1))
    return FiniteClass(np.round(rng.random((size + 1, 6)), 2))


def stream(kind, size, length, constant, integer, seed):
    """A Stream of ``length`` points whose frequencies fall like a power."""
    rng = np.random.default_rng(seed)
    functions = random_class(kind, size, rng)
    frequency = np.arange(1.0, functions.n_points + 1) ** -1.5
    points = rng.choice(functions.n_points, length, p=frequency / frequency.sum())
    return Stream(functions, points, rng.random(length), constant, integer)


_streams = draw(stream, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 400), st.sampled_from([1.0, 2.0, 8.0]), st.booleans())


def random_length(kind, size, length, eps, delta, lam, adaptive, seed):
    """(class, length of the stream, accuracy, failure probability, regularization, whether the stream is adaptive)."""
    return random_class(kind, size, np.random.default_rng(seed)), length, eps, delta, lam, adaptive


def coin_tree(kind, size, length, constant, integer, adaptive, seed):
    """What ``unbiased`` enumerates: a class, how many points, C, how weights are rounded, the first points, whether an adversary plays."""
    rng = np.random.default_rng(seed)
    functions = random_class(kind, size, rng)
    return functions, rng.integers(functions.n_points, size=length), constant, integer, adaptive


_trees = draw(coin_tree, st.sampled_from(KINDS), st.integers(1, 3), st.integers(1, 5), st.sampled_from([0.5, 1.0, 2.0]),
              st.booleans(), st.booleans())  # fmt: skip


def definition(kind, size, seed):
    """(class, its functions or features as they were given, kept weights [n]) with the norms that the definitions need."""
    rng = np.random.default_rng(seed)
    functions = random_class(kind, size, rng)
    given = functions.features if kind == "linear" else functions.functions if kind == "finite" else np.eye(size)
    return functions, given, rng.choice([0.0, 1.0, 2.5, 16.0], functions.n_points)


@claim("sensitivity.width", kind=identity, source="lpo spec 1.1, 3.1 to 3.3", provenance="derived",
       given=(draw(definition, st.sampled_from(KINDS), st.integers(1, 6)),), control={"lam": 2.0})  # fmt: skip
def width_by_definition(case, lam=1.0):
    """What the sampler scores, and its widths at all points, are sup (f - f')^2(z) / (lam(f, f') + sum of kept weights (f - f')^2) over the
    class: the indicator of a cell, the direction Lam^-1 phi, all pairs of the list. Also what is kept of a point, with its probability
    min(1, C w2), and whole weights: p is the next 1 / k above.  Control: twice the regularization.
    """
    functions, given, weights = case
    sampler, coarse = SensitivitySampler(functions, 0.3), SensitivitySampler(functions, 0.3, integer_weights=True)
    for one in (sampler, coarse):
        for point, weight in enumerate(weights):
            if weight:
                add_point(point, weight, one.features, one.differences, one.weights, one.gram, one.inverse, one.h, one._work)
    if isinstance(functions, LinearClass):
        gram = lam * np.eye(given.shape[1]) + given.T @ (weights[:, None] * given)
        best = np.linalg.solve(gram, given.T)
        widths = np.einsum("nd,dn->n", given, best) ** 2 / np.maximum(np.einsum("dn,de,en->n", best, gram, best), 1e-300)
    else:
        squares = (given[:, None] - given) ** 2 if isinstance(functions, FiniteClass) else given[:, None]
        widths = np.max(squares / (lam + squares @ weights)[..., None], axis=(0, 1))
    scores, offered, whole = [], [], []
    for z in range(functions.n_points):
        scores.append(sampler.score(z))
        offered.append(sampler.offer(z, 1.0 - 2**-53)[1])
        whole.append(coarse.offer(z, 1.0 - 2**-53)[1])
    p = np.minimum(1, 0.3 * np.minimum(1, widths))
    up = np.array([max(1 / k for k in (math.floor(1 / x + 1e-9),)) if x > 0 else 0.0 for x in p])
    return np.stack([np.ravel(sampler.squared_widths()), scores, offered, whole]), np.stack([widths, np.minimum(1, widths), p, up]), 100.0


def freedman(jump, variance, deviation):
    """Freedman's bound on how likely a martingale ever deviates that far, to either side."""
    return 2 * math.exp(-(deviation**2) / (2 * (variance + jump * deviation / 3)))


@claim("sensitivity.constant", kind=inequality, source=f"{SOURCE} (S2)", provenance="derived",
       given=(draw(random_length, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 10**6), st.sampled_from([0.5, 0.1]),

                   st.sampled_from([0.05, 1e-6]), st.sampled_from([1.0, 0.25, 4.0]), st.booleans()),),
       control={"factor": 0.99})  # fmt: skip
def constant_by_its_union(case, factor=1.0):
    """With the C of the theory, Freedman's bound at U / 2 < A <= U, jumps (1 + eps) U / C, variance (1 + eps) U^2 / C, threshold eps U / 2
    (linear classes: half of it), times the number of dyadic levels U and of indices (cells, pairs, directions of a net) is at most delta;
    for cells that of each visit, at threshold eps A, if it is less; for a fixed stream in a linear class matrix Freedman's. And it is
    delta up to rounding: the least C that this proof gives.  Control: 1 % less.
    """
    functions, n, eps, delta, lam, adaptive = case
    C, levels = factor * sampling_constant(functions, n, eps, delta, lam, adaptive), 1
    while lam * 2 ** (levels - 1) < lam + n:
        levels += 1

    def level(threshold):
        return levels * freedman((1 + eps) / C, (1 + eps) / C, threshold)

    if isinstance(functions, LinearClass) and not adaptive:
        chance = functions.features.shape[-1] * n * freedman((1 + eps) / C, (1 + eps) / C, eps)
    elif isinstance(functions, LinearClass):
        chance = (1 + 2 / (eps * lam / (10 * (lam + n)))) ** functions.features.shape[-1] * level(eps / 4)
    elif isinstance(functions, FiniteClass):
        values = functions.functions
        distinct = {tuple(np.round((f - g) ** 2, 12)) for f, g in combinations(values, 2)}
        chance = len(distinct) * level(eps / 2)
    else:
        chance = functions.n_points * min(level(eps / 2), n * freedman((1 + eps) / C, (1 + eps) / C, eps))
    return np.array([chance, delta]), np.array([delta, chance * (1 + 1e-6)]) * (1 + 1e-9), 0.0


@claim("sensitivity.unbiased", kind=identity, source=f"{SOURCE} (S1)", provenance="derived", given=(_trees,), control={"reweight": False})
def unbiased(tree, reweight=True):
    """E[kept weight] = E[visits] of every point, over all outcomes of the coins, also when an adversary picks points by past coins.

    He offers the point whose kept weight is now furthest from its visits.  Control: kept points count once.
    """
    functions, points, constant, integer, adaptive = tree
    expected = np.zeros((2, functions.n_points))
    for coins in product((0.0, 1.0 - 2**-53), repeat=len(points)):
        sampler, chance, visits = SensitivitySampler(functions, constant, integer_weights=integer, reweight=reweight), 1.0, 0 * expected[0]
        for point, coin in zip(points, coins, strict=True):
            point = int(np.argmax(np.abs(sampler.weights - visits))) if adaptive and visits.any() else point
            _, p = sampler.offer(point, coin)
            chance *= p if coin == 0 else 1 - p
            visits[point] += 1
        expected += chance * np.stack([sampler.weights, visits])
    return expected[0], expected[1], 2.0 ** len(points)


@claim("sensitivity.increments", kind=inequality, source=f"{SOURCE} (S1)", provenance="derived",
       given=(_streams,), control={"factor": 1 / 8})  # fmt: skip
def increments(run, factor=1.0):
    """|Y_i(v)| <= H_{i-1}(v) / C and E[Y_i(v)^2 | past] <= H_{i-1}(v) x_i(v) / C for Y = (kept / p - 1) x, where p < 1.

    Control: an eighth of both.  Proof: p >= C x(v) / H(v) for every v, as the sensitivity is the largest of these ratios.
    """
    x = run.squares[run.points]
    weights = np.where(run.kept, 1 / run.probability, 0)[:, None]
    H = run.sampler.lam + np.cumsum(weights * x, axis=0) - weights * x
    p, open_ = run.probability[:, None], (run.probability < 1)[:, None]
    Y, variance = np.abs(weights - 1) * x * open_, (1 / p - 1) * x**2 * open_
    allowed = factor * H / run.constant
    return np.stack([Y, variance]), np.stack([allowed * open_, allowed * x * open_]), np.max(H)


@claim("sensitivity.spent", kind=inequality, source=f"{SOURCE} (S3b)", provenance="derived",
       given=(_streams,), control={"factor": 1 / 2})  # fmt: skip
def spent(run, factor=1.0):
    """sum_i p_i <= C / (1 - eps) sum_i min(1, sup_v x_i(v) / A_{i-1}(v)), twice that with integer weights; 1 - eps = min H_n(v) / A_n(v).

    eps is what the path itself shows, so that nothing is assumed of it.  Control: half of it.
    """
    bound = run.constant / run.ratios[:, 0].min() * np.sum(run.full.scores) * (2 if run.integer else 1)
    return np.sum(run.probability), factor * bound


def potential_bound(functions, points, lam=1.0):
    """S4: what the sensitivities of all points can sum to."""
    n = len(points)
    if isinstance(functions, LinearClass):
        d = functions.features.shape[-1]
        return d * math.log(1 + n / (d * lam)) / math.log(2)
    counts = np.bincount(points, minlength=functions.n_points)
    visits = float(np.sum(np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)))
    if isinstance(functions, TabularClass):
        return float(np.sum(np.minimum(counts, 1 + np.log(np.maximum(counts, 1)))))
    pairs = len(functions.packed[1])
    return min(visits, pairs * math.log(1 + n * functions.packed[1].max() / lam) / math.log(2))


@claim("sensitivity.potential", kind=inequality, source=f"{SOURCE} (S4)", provenance="derived",
       given=(draw(stream, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 400), _EVERYTHING, False),),
       control={"factor": 1 / 2})  # fmt: skip
def potential(run, factor=1.0):
    """sum_i min(1, sup_v x_i(v) / A_{i-1}(v)) <= d log2(1 + n / d), sum over cells of 1 + log(visits), or pairs log2(1 + n): logarithmic.

    In the linear class log2 det(A_n) lies between the two. Everything is kept here. Control: half of it.
    """
    total, bound = float(np.sum(run.scores)), potential_bound(run.functions, run.points)
    middle = np.linalg.slogdet(run.sampler.gram)[1] / math.log(2) if isinstance(run.functions, LinearClass) else bound
    return np.array([total, middle]), factor * np.array([middle, bound])


@claim("sensitivity.eluder", kind=inequality, source=f"{SOURCE} (S4)", provenance="derived",
       given=(draw(stream, "finite", st.integers(1, 3), st.integers(20, 400), _EVERYTHING, False),), control={"levels": 0.02})  # fmt: skip
def eluder(run, levels=1.0):
    """sum_i min(1, sup_v x_i(v) / A_{i-1}(v)) <= 1 + L dE (2 log n + 1), dE the eluder dimension at scale sqrt(lam / (2 n)) by brute force.

    L = floor(log2(max D n / lam)) + 2 dyadic levels.  Control: a fiftieth of them.
    """
    D, n = run.functions.packed[1], len(run.points)
    L = max(math.floor(math.log2(max(D.max() * n, 1e-12))) + 2, 0)
    return float(np.sum(run.scores)), 1 + levels * L * eluder_dimension(D, math.sqrt(1 / (2 * n))) * (2 * math.log(n) + 1)


def eluder_dimension(D, scale):
    """The longest sequence of points each of which some pair tells apart by more than e', though it agrees within e' on those before.

    ``D`` [pairs, points]; one e' >= ``scale`` for the whole sequence: only scale^2 and the values just below entries of D matter.
    """
    thresholds = [scale**2, *(v * (1 - 1e-12) for v in np.unique(D) if v * (1 - 1e-12) > scale**2)]

    def longest(agreed, allowed, threshold):
        best = 0
        for z in allowed:
            if np.any((agreed <= threshold) & (D[:, z] > threshold)):
                best = max(best, 1 + longest(agreed + D[:, z], allowed, threshold))
        return best

    return max(longest(np.zeros(len(D)), range(D.shape[1]), threshold) for threshold in thresholds)


@claim("sensitivity.monotone", kind=inequality, source=f"{SOURCE} (S5)", provenance="derived",
       given=(_streams,), control={"order": -1})  # fmt: skip
def monotone(run, order=1):
    """Squared widths never grow, so what is known stays known.  Control: they never shrink."""
    widths = np.array(run.widths).reshape(len(run.widths), -1)[::order]
    return widths[1:], widths[:-1], 10.0


@claim("sensitivity.widths", kind=inequality, source=f"{SOURCE} (S5)", provenance="derived",
       given=(_streams,), control={"power": 0})  # fmt: skip
def widths(run, power=1):
    """w2 of everything / max H(v) / A(v) <= w2 of what is kept <= w2 of everything / min H(v) / A(v), at every n and point.

    With the two-sided bound these factors are 1 + eps and 1 - eps.  Control: the two widths are the same.
    """
    kept, full = (np.array(stream.widths).reshape(len(run.points) + 1, -1) for stream in (run, run.full))
    low, high = (run.ratios.T**power)[..., None]
    return np.stack([full / high, kept]), np.stack([kept, full / low]), 10.0


theorem(
    "sensitivity-sampling",
    statement=r"A point is kept with probability $p = \min(1, C s)$ and weight $1/p$, $s = \min(1, \sup_v x(v) / H(v))$. With $C$ "
    r"(finite and tabular: $8 (1 + \epsilon)(1 + \epsilon / 6) \epsilon^{-2} \log(2 m L / \delta)$), $(1 - \epsilon) A_n(v) \le H_n(v) \le "
    r"(1 + \epsilon) A_n(v)$ for all $n \le N$ and $v$ with probability $1 - \delta$, for adaptive streams too; then at most "
    r"$(e - 1) \tfrac{C}{1 - \epsilon} \mathrm{Pot}_N + \log(1 / \delta)$ points are kept, $\mathrm{Pot}_N = O(d \log N)$.",
    source="Li, Wang, Cheng, Yang 2023 (algorithm); constants from the lpo spec, 5.6",
    provenance="derived",
    claims=(
        "sensitivity.width", "sensitivity.unbiased", "sensitivity.increments", "sensitivity.constant", "sensitivity.two-sided",
        "sensitivity.rare-direction", "sensitivity.weights-needed", "sensitivity.size", "sensitivity.spent", "sensitivity.potential",
        "sensitivity.eluder", "sensitivity.monotone", "sensitivity.widths",
    ),
    uses={
        "sensitivity.increments": ("sensitivity.width",),
        "sensitivity.two-sided": ("sensitivity.unbiased", "sensitivity.increments", "sensitivity.constant"),
        "sensitivity.widths": ("sensitivity.two-sided",),
    },
)  # fmt: skip
