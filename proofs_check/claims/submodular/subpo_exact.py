"""What the other claims stand on: every objective is its formula, and dynamic programs over collected sets are sums over histories."""

import itertools

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, theorem
from proofs_check.claims.submodular.subpo import SOURCE, problems, seeds
from proofs_check.strategies import draw
from tabular_rl import planning
from tabular_rl.algorithms.submodular.starts import tracking_actions
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular.graph import coverage_graph
from tabular_rl.submodular import Concave, DDesign, Entropy, Tabulated, curvature

FORMULAS = ("coverage", "truncated", "soft", "facility", "concave", "ddesign", "mixture", "modular", "cut", "count2")
PHI: dict = {"sqrt": np.sqrt, "log1p": np.log1p, "saturating": lambda x: 1 - np.exp(-x)}


def formula_objective(kind, n, seed):
    """A random objective of any kind that the kernels know."""
    rng = np.random.default_rng(seed)
    if kind in ("kernel", "entropy"):
        x = rng.standard_normal((n, 3))
        return DDesign(x @ x.T, noise=0.5) if kind == "kernel" else Entropy(x @ x.T, jitter=0.1, offset=1.5)
    if kind in ("log1p", "saturating", "knots"):
        phi = np.array([[0.0, 0.0], [0.5, 1.0], [1.0, 1.5], [2.0, 1.75]]) if kind == "knots" else kind
        return Concave(rng.random((n, 4)), rng.random(4), phi)
    if kind == "tabulated":
        return Tabulated(instances.random_objective("facility", n, rng).table())
    return instances.random_objective(kind, n, rng)


def by_formula(f, chosen):
    """F of a list of elements, repeated ones as often as they stand there, from the formula of the objective ``f``."""
    chosen, distinct = list(chosen), sorted(set(chosen))
    name = type(f).__name__
    covers = np.zeros((f.n_elements, len(getattr(f, "weights", ()))))
    if hasattr(f, "sets"):
        for e in range(f.n_elements):
            covers[e, f.sets.items[f.sets.offsets[e] : f.sets.offsets[e + 1]]] = 1
    if name == "Coverage":
        return f.weights @ (covers[chosen].sum(axis=0) > 0)
    if name == "Truncated":
        return sum(min(sum(f.groups[e] == k for e in distinct), cap) for k, cap in enumerate(f.caps))
    if name == "Soft":
        return f.weights @ ((1 - f.beta ** covers[chosen].sum(axis=0)) / (1 - f.beta))
    if name == "Facility":
        return f.weights @ np.max([0 * f.weights, *f.similarity[chosen]], axis=0)
    if name == "Concave":
        amount = f.measure[chosen].sum(axis=0)
        if isinstance(f.phi, str):
            return f.weights @ PHI[f.phi](amount)
        last = (f.phi[-1] - f.phi[-2]) @ [0, 1] / (f.phi[-1, 0] - f.phi[-2, 0])
        return f.weights @ (np.interp(amount, *f.phi.T) + last * np.maximum(amount - f.phi[-1, 0], 0))
    if name == "DDesign":
        return np.linalg.slogdet(np.eye(len(chosen)) + f.covariance(np.array(chosen, int)) / f.noise)[1] / 2
    if name == "Entropy":
        noisy = f.covariance(np.array(chosen, int)) + f.jitter * np.eye(len(chosen))
        return np.linalg.slogdet(noisy)[1] / 2 + f.offset * len(chosen)
    if name == "Mixture":
        return (1 - f.c) * f.modular[chosen].sum() + f.c * f.weights @ (covers[chosen].sum(axis=0) > 0)
    if name == "Modular":
        return f.weights[chosen].sum()
    if name == "Cut":
        rest = [e for e in range(f.n_elements) if e not in chosen]
        return f.weights[np.ix_(distinct, rest)].sum()
    return f.values[sum(1 << e for e in distinct)] if name == "Tabulated" else len(chosen) ** 2


ALL = (*FORMULAS, "kernel", "entropy", "log1p", "saturating", "knots", "tabulated")


def all_objectives(n, seed):
    """One of each kind."""
    return [formula_objective(kind, n, seed + i) for i, kind in enumerate(ALL)]


formulas = draw(formula_objective, st.sampled_from(ALL), st.integers(2, 5))


@claim("subpo-exact.formulas", kind=identity, source=f"{SOURCE} 2, 8", provenance="classical",
       given=(draw(all_objectives, st.integers(2, 4)), seeds), control={"forget": True})  # fmt: skip
def formulas_hold(objectives, seed, forget=False):
    """The table of all sets, gains along sequences (with copies of elements, or counting revisits as nothing), single values and the total
    curvature 1 - min (F(V) - F(V - e)) / F(e) of every objective are those of its formula.

    Control: gains that forget the first element.
    """
    parts = [_formula_sides(f, seed, forget) for f in objectives]
    return tuple(np.concatenate(side) for side in zip(*parts, strict=True))


def _formula_sides(f, seed, forget):
    n, rng, copies = f.n_elements, np.random.default_rng(seed), f.allows_copies
    by_mask = lambda mask: by_formula(f, [e for e in range(n) if mask >> e & 1])
    F = np.array([by_mask(mask) for mask in range(2**n)])
    walk = rng.integers(n, size=60 if type(f).__name__ == "DDesign" else 7)
    first = [walk[i] not in walk[:i] for i in range(len(walk))]
    firsts = [walk[: i + 1][first[: i + 1]] for i in range(len(walk))]
    seen = walk if copies else rng.permutation(n)
    along = [by_formula(f, seen[i * forget : i + 1]) for i in range(len(seen))]
    left = [f.table(), f.singles, np.cumsum(f.gains(seen)), np.cumsum(f.gains(walk, distinct=True)), [f.value(seen)]]
    right = [F, F[1 << np.arange(n)], along, [by_formula(f, part) for part in firsts], along[-1:]]
    single, last = F[1 << np.arange(n)], F[-1] - F[len(F) - 1 - (1 << np.arange(n))]
    least = float(1 - np.min(last[single > 0] / single[single > 0])) if np.any(single > 0) else 0.0
    left.append([f.curvature(), curvature(F)])
    right.append([least, least])
    size = (1 + np.abs(F).max()) ** 2 + len(seen) ** 2  # of what the rounding errors come from
    return np.concatenate(left) / size, np.concatenate(right) / size


def _monotone_submodular(F):
    """[2] whether a table over sets is monotone, and submodular, by all sets and pairs of elements."""
    n, monotone, submodular = int(np.log2(len(F))), True, True
    for T, i, j in itertools.product(range(len(F)), range(n), range(n)):
        if not T >> i & 1:
            monotone &= F[T | 1 << i] >= F[T] - 1e-9
            if i != j and not T >> j & 1:
                submodular &= F[T | 1 << i | 1 << j] - F[T | 1 << j] - F[T | 1 << i] + F[T] <= 1e-9
    return float(monotone), float(submodular)


@claim("subpo-exact.checks", kind=identity, source=f"{SOURCE} L1", provenance="classical", given=(formulas, seeds),
       control={"before": True})  # fmt: skip
def checks(f, seed, before=False):
    """What an objective says of itself, whether it is monotone and submodular, is true of its table by all sets and pairs of elements, and
    so is what is said of the table after a random change of one entry.

    Control: what is true before the change.
    """
    F, rng = f.table(), np.random.default_rng(seed)
    changed = F.copy()
    changed[rng.integers(1, len(F))] += rng.choice([-1, 0, 1]) * 0.1 * max(np.abs(F).max(), 1)
    said = Tabulated(changed, f.n_elements, verify=False)
    own, after = _monotone_submodular(F), _monotone_submodular(F if before else changed)
    return np.array([f.is_monotone, f.is_submodular, said.is_monotone, said.is_submodular], float), np.array([*own, *after])


def over_histories(mdp, rule=None):
    """The value of the best policy with memory, or of the one whose action ``rule(h, s, mask)`` gives, by recursion over all histories."""
    (H, S, A), ground, F, P = mdp.shape, mdp.ground_set(), mdp.table(), mdp.probabilities

    def collected(states):
        return np.bitwise_or.reduce([0, *(1 << e for h, s in enumerate(states) if (e := ground.elements[h, s]) >= 0)])

    def value(states):
        h, s = len(states) - 1, states[-1]
        if h == H:
            return F[collected(states)]
        tried = range(A) if rule is None else [rule(h, s, collected(states))]
        then = {t: value((*states, t)) for t in range(S) if P[h, s, list(tried), t].max() > 0}
        return max(sum(P[h, s, a, t] * v for t, v in then.items()) for a in tried)

    return sum(p * value((s,)) for s, p in enumerate(mdp.initial) if p > 0)


@claim("subpo-exact.optimum", kind=identity, source=f"{SOURCE} 1, 3.4", provenance="derived",
       given=(problems((*FORMULAS[:8], "cut"), actions=(2, 2)),), control={"markov": True})  # fmt: skip
def optimum(mdp, markov=False):
    """OPT by dynamic programming over (h, s, collected set), and the value of greedy with memory, are those of a recursion over whole
    histories: the collected set is all that matters of the past. The actions that the program tells attain OPT; greedy takes the first
    action of the largest expected next gain.

    Control: OPT among policies that remember nothing, by coordinate ascent.
    """
    ground, F, P = mdp.ground_set(), mdp.table(), mdp.probabilities
    best, greedy = planning.history_optimum(mdp), planning.greedy_history(mdp)

    def next_gain(h, s, mask):
        e = ground.elements[h + 1]
        expected = P[h, s] @ F[np.where(e >= 0, mask | 1 << np.maximum(e, 0), mask)]
        return int(np.argmax(expected >= expected.max() - 1e-11))

    plan = lambda h, s, mask: best.actions[h, s, mask]
    top = planning.block_ascent(mdp)[0] if markov else best.value
    found = [top, best.value, greedy.value]
    return np.array(found), np.array([over_histories(mdp), over_histories(mdp, plan), over_histories(mdp, next_gain)]), np.abs(F).max()


def slippery_problem(S, A, H, slip, kind, seed):
    """Random successors with slips, a random start and a random objective."""
    rng = np.random.default_rng(seed)
    return SubmodularMDP(
        rng.integers(S, size=(S, A)), rng.dirichlet(np.ones(S)), instances.random_objective(kind, S, rng), H, slip=slip
    )  # fmt: skip


@claim("subpo-exact.slips", kind=identity, source=f"{SOURCE} 1", provenance="derived",
       given=(draw(slippery_problem, st.integers(2, 4), st.integers(2, 3), st.integers(1, 3), st.sampled_from((0.0, 0.3, 1.0)),
                   st.sampled_from(("coverage", "facility", "mixture"))), seeds), control={"slip": 0.5})  # fmt: skip
def slips(mdp, seed, slip=1.0):
    """A world given by successors and slips is that of its transition probabilities for every tool: the optimum, the additive optimum, the
    plan that tracks a path, the bound of random prices, and the linear program.

    Control: probabilities of half the slip.
    """
    P = (1 - slip * mdp.slip) * np.eye(mdp.n_states)[mdp.successors]
    P += slip * mdp.slip * np.eye(mdp.n_states)[mdp.successors].mean(axis=1, keepdims=True)
    dense, rng = SubmodularMDP(P, mdp.initial, mdp.objective, mdp.horizon), np.random.default_rng(seed)
    path = [int(np.argmax(mdp.initial))]
    for _ in range(mdp.horizon):
        path.append(mdp.successors[path[-1], rng.integers(mdp.n_actions)])
    prices = rng.random(len(coverage_graph(mdp).weights)) * coverage_graph(mdp).weights

    def tools(world):
        policy = np.eye(mdp.n_actions)[tracking_actions(world, np.array(path))]
        values = [planning.history_optimum(world).value, planning.submodular_value(world, policy) if world.slip < 1 else 0.0]
        values += [planning.submodular_value(world, planning.modular_policy(world)), coverage_graph(world).bound(prices)]
        return np.array([*values, planning.coverage_bound(world).relaxation])

    one, other = tools(mdp), tools(dense)
    if mdp.slip == 1.0:  # every plan is as good, and the two may break ties differently
        one[1] = other[1] = 0.0
    return one, other, 1e4 * mdp.table().max()


theorem(
    "subpo-exact",
    statement=r"For every objective of the suite gains along sequences and tables of all sets are those of its formula; the collected set "
    r"is a sufficient statistic of the history, so that $\mathrm{OPT}$ is a dynamic program over $(h, s, \text{set})$.",
    source="subpo spec, sections 1 to 3",
    provenance="derived",
    claims=("subpo-exact.formulas", "subpo-exact.checks", "subpo-exact.optimum", "subpo-exact.slips"),
    uses={"subpo-exact.optimum": ("subpo-exact.formulas",)},
)  # fmt: skip
