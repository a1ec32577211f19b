"""Submodular bandits, where P[h, s, a] = D[h, a]: constant factors of the history-dependent optimum (subpo spec, section 5).

Jt(x) = E F(R_x), R_x what independent steps collect, step h an element of law sum_a x[h,a] D[h,a] or nothing;
g[h,a] = E[F(R without step h, and e) - F(R without step h)], e of law D[h,a].
"""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import SOURCE, seeds
from proofs_check.strategies import draw
from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.submodular import bandit as bandits
from tabular_rl.submodular import CountSquared, Modular

KINDS = ("coverage", "facility", "ddesign", "concave")
CLASSIC = "Prajapat, Mutny, Zeilinger, Krause 2024"


def bandit_problem(H, A, n, kind, random, collects, seed):
    """A bandit over ``n`` elements, its laws Dirichlet(1) rows with ``random``, else sure; the start ``collects`` element 0, or nothing.

    Which state holds which element changes with time.
    """
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.ones(n), (H, A)) if random else np.eye(n)[rng.integers(n, size=(H, A))]
    mdp = instances.bandit(distributions=laws, objective=instances.random_objective(kind, n, rng))
    elements = np.array([[collects - 1, *rng.permutation(n)] for _ in range(H + 1)])
    return SubmodularMDP(mdp.transition, 0, mdp.objective, elements=elements)


def fork(lean, prize, rounds):
    """Nearly a bandit: left (action 0) or right, then a coin for the prize (action 0) or nothing, again ``rounds`` times; the coin is fair
    but for ``lean`` in [0, 1/2], to no on the left and to yes on the right. States start, left, right, prize, nothing."""
    choose, toss = np.zeros((5, 2, 5)), np.zeros((5, 2, 5))
    choose[:] = np.eye(5)[[1, 2]]
    toss[..., 4] = 1
    toss[1, 0, 3:], toss[2, 0, 3:] = (0.5 - lean, 0.5 + lean), (0.5 + lean, 0.5 - lean)
    return SubmodularMDP(np.stack([choose, toss] * rounds), 0, Modular([prize]), elements=[-1, -1, -1, 0, -1])


def sub_probabilities(mdp, seed):
    """x [H, A] with rows that sum to less than 1."""
    return np.random.default_rng(seed).dirichlet(np.full(mdp.n_actions + 1, 0.7), mdp.horizon)[:, :-1]


def probabilities(mdp, seed):
    """x [H, A] with rows that sum to 1."""
    return np.random.default_rng(seed).dirichlet(np.full(mdp.n_actions, 0.7), mdp.horizon)


SHAPES = st.sampled_from(KINDS), st.booleans(), st.booleans()
problems = draw(bandit_problem, st.integers(2, 4), st.integers(2, 3), st.integers(2, 6), *SHAPES)
some_x = draw(sub_probabilities, fit=True)
some_policy = draw(probabilities, fit=True)


def _top(mdp):
    return mdp.table().max()


def _optimum(mdp):
    return planning.history_optimum(mdp).value


def no_slack_gradient(bandit, x):
    """The gradient of the polynomial sum over actions of prod x * F, which agrees with Jt on the simplices only."""
    g, H = np.empty(x.shape), len(x)
    mass = x.sum(axis=1)
    for h in range(H):
        others = np.delete(np.arange(H), h)
        rows = x / mass[:, None]
        value = bandits.relaxed_gradient(bandit, rows) * np.prod(mass[others])
        rows_without = rows.copy()
        rows_without[h] = 0
        g[h] = value[h] + bandits.relaxed_value(bandit, rows_without) * np.prod(mass[others])
    return g


@claim("subpo-bandit.relaxation", kind=identity, source=f"{SOURCE} 5", provenance="derived", given=(problems, some_policy),
       control={"improve": True})  # fmt: skip
def relaxation(mdp, x, improve=False):
    """Jt(x) = J of the policy that plays row h of x in every state, when the rows sum to 1, by dynamic programming over collected sets.

    Control: what coordinate ascent makes of that policy.
    """
    bandit = bandits.bandit_of(mdp)
    policy = bandit.policy(x, mdp.n_states)
    if improve:
        policy = planning.block_ascent(mdp, policy)[1]
    return bandits.relaxed_value(bandit, x), planning.submodular_value(mdp, policy), _top(mdp)


def enumerated(mdp, x):
    """E F of what independent steps collect, from the law of the collected set after every step."""
    ground, F = mdp.ground_set(), mdp.table()
    masks, law = np.arange(len(F)), np.zeros(len(F))
    first = ground.elements[0, mdp.start]
    law[1 << first if first >= 0 else 0] = 1
    for h in range(mdp.horizon):
        chances = x[h] @ mdp.probabilities[h, mdp.start]
        following = (1 - chances.sum()) * law
        for t, chance in enumerate(chances):
            e = ground.elements[h + 1, t]
            np.add.at(following, masks | (1 << e if e >= 0 else 0), chance * law)
        law = following
    return law @ F


@claim("subpo-bandit.multilinear", kind=identity, source=f"{SOURCE} 5", provenance="derived", given=(problems, some_x),
       control={"rest": 1.0})  # fmt: skip
def multilinear(mdp, x, rest=0.0):
    """Jt(x), by Moebius inversion, is the mean of F over the law of the collected set, followed step by step; and g[h,a] is Jt with row h
    at a minus Jt with row h at nothing.

    Control: minus Jt(x).
    """
    bandit = bandits.bandit_of(mdp)
    value, g = enumerated(mdp, x), np.empty(x.shape)
    for h, a in np.ndindex(x.shape):
        chosen, empty = x.copy(), x.copy()
        chosen[h], empty[h] = np.eye(x.shape[1])[a], rest * x[h]
        g[h, a] = enumerated(mdp, chosen) - enumerated(mdp, empty)
    found = np.append(bandits.relaxed_gradient(bandit, x), bandits.relaxed_value(bandit, x))
    return found, np.append(g, value), 2 ** bandit.distributions.shape[-1] * _top(mdp)


@claim("subpo-bandit.antitone", kind=inequality, source=f"{CLASSIC}; {SOURCE} B1", provenance="paper", given=(problems, some_x, seeds),
       control={"slack": False})  # fmt: skip
def antitone(mdp, x, seed, slack=True):
    """0 <= g(y) <= g(x) for x <= y: Jt is monotone and DR-submodular.

    Control: the polynomial without slack, sum over (a_1..a_H) of prod x * F, whose gradient grows with x.
    """
    bandit = bandits.bandit_of(mdp)
    y = x + np.random.default_rng(seed).random(x.shape) * (1 - x.sum(axis=1, keepdims=True)) / x.shape[1]
    gradient = bandits.relaxed_gradient if slack else no_slack_gradient
    low, high = gradient(bandit, y), gradient(bandit, x)
    return np.stack([low, -low]), np.stack([high, 0 * low]), _top(mdp)


@claim("subpo-bandit.last-gains", kind=inequality, source=f"{SOURCE} B2", provenance="derived", given=(problems, some_x),
       control={"forget": True})  # fmt: skip
def last_gains(mdp, x, forget=False):
    """sum_{h,a} x g(x) <= Jt(x) - F(start): gains on top of all others add up to F at most.  Control: gains on top of nothing."""
    bandit = bandits.bandit_of(mdp)
    g = bandits.relaxed_gradient(bandit, 0 * x if forget else x)
    return np.sum(x * g), bandits.relaxed_value(bandit, x) - bandit.table[bandit.start], _top(mdp)


def _marginals(mdp, policy):
    """(value, y [H, A]) of the history-dependent ``policy`` [H, S, 2^n] of actions, by simulation of all histories."""
    ground, F = mdp.ground_set(), mdp.table()
    y = np.zeros(mdp.shape[::2])
    layer = {}
    for s in np.flatnonzero(mdp.initial):
        e = ground.elements[0, s]
        mask = 1 << e if e >= 0 else 0
        layer[s, mask] = layer.get((s, mask), 0) + mdp.initial[s]
    for h in range(mdp.horizon):
        following: dict = {}
        for (s, mask), mass in layer.items():
            a = policy[h, s, mask]
            y[h, a] += mass
            for t in np.flatnonzero(mdp.probabilities[h, s, a]):
                e = ground.elements[h + 1, t]
                key = t, mask | 1 << e if e >= 0 else mask
                following[key] = following.get(key, 0) + mass * mdp.probabilities[h, s, a, t]
        layer = following
    return sum(mass * F[mask] for (_, mask), mass in layer.items()), y


small_problems = draw(bandit_problem, st.integers(2, 3), st.integers(2, 3), st.integers(2, 4), *SHAPES)


@claim("subpo-bandit.any-policy", kind=inequality, source=f"{SOURCE} B3", provenance="derived", given=(small_problems, some_x, seeds),
       control={"objective": "count2"})  # fmt: skip
def any_policy(mdp, x, seed, objective="own"):
    """J_ad <= Jt(x) + <y, g(x)> for every history-dependent policy with action marginals y: random ones, and the optimal one.

    Run it independently of R_x. Control: F(A) = |A|^2 at x = 0, where different elements are worth more together.
    """
    if objective == "count2":
        H = 3
        mdp = instances.bandit(objective=CountSquared(H), distributions=np.broadcast_to(np.eye(H), (H, H, H)))
        x = np.zeros((H, H))
    bandit, best = bandits.bandit_of(mdp), planning.history_optimum(mdp).actions
    wild = np.random.default_rng(seed).integers(mdp.n_actions, size=best.shape)
    (value, y), (other, z) = _marginals(mdp, best), _marginals(mdp, wild)
    reach, g = bandits.relaxed_value(bandit, x), bandits.relaxed_gradient(bandit, x)
    return np.array([value, other]), np.array([reach + np.sum(y * g), reach + np.sum(z * g)]), _top(mdp)


@claim("subpo-bandit.start", kind=inequality, source=f"{SOURCE} 5, start", provenance="derived", given=(problems, some_policy),
       control={"random_start": True})  # fmt: skip
def one_start(mdp, x, random_start=False):
    """OPT <= J(x) + sum_h max_a g: the online certificate, for a start that collects nothing.

    Control: three random starts, start i covering all of three items but item i: memory sees what is missing, x does not.
    """
    if not random_start:
        return _optimum(mdp), bandits.bandit_certificate(bandits.bandit_of(mdp), x).upper, _top(mdp)
    from tabular_rl.submodular import Coverage

    starts = ~np.eye(3, dtype=bool)
    objective = Coverage(np.ones(3), np.concatenate([starts, np.eye(3, dtype=bool)]))
    transition = np.broadcast_to(np.eye(6)[3:], (1, 6, 3, 6))
    problem = SubmodularMDP(transition, np.repeat([1 / 3, 0], 3), objective)
    x = x[:1, : min(3, x.shape[1])]
    x = np.pad(x / x.sum(), ((0, 0), (0, 3 - x.shape[1])))
    found = planning.submodular_gradient(problem, np.repeat(x[:, None], 6, axis=1))
    gains = found.policy.sum(axis=1) - problem.initial @ problem.objective.singles
    return _optimum(problem), found.value + gains.max(), 3.0


@claim("subpo-bandit.half", kind=inequality, source=f"{CLASSIC}; {SOURCE} B4", provenance="derived",
       given=(problems, some_policy, st.booleans()), control={"factor": 1.0})  # fmt: skip
def half(mdp, x, stationary, factor=2.0):
    """OPT <= 2 J(x) + gap(x), gap = sum_h (max_a g - sum_a x g), for every x whose rows sum to 1 and OPT with memory.

    At block-stationary points the gap is 0, and J no smaller than at the x from which they are found.

    Control: OPT <= J + gap, at the uniform x on ``permutation(3)``, which is stationary.
    """
    bandit = bandits.bandit_of(mdp)
    found = start = bandits.bandit_certificate(bandit, x)
    if stationary:
        found = bandits.bandit_certificate(bandit, bandits.block_stationary(bandit, x))
    if factor == 1.0:
        mdp, stationary = instances.permutation(3), True
        start = found = bandits.bandit_certificate(bandits.bandit_of(mdp), np.full((3, 3), 1 / 3))
    left = [_optimum(mdp), found.gap * stationary, start.value, 0.0, found.gap]
    right = [factor * found.value + found.gap, 1e-9 * _top(mdp), found.value, found.gap, found.upper - found.value]
    return np.array(left), np.array(right), _top(mdp)


@claim("subpo-bandit.continuous-greedy", kind=inequality, source=f"{CLASSIC}; {SOURCE} B5", provenance="derived",
       given=(problems, st.integers(1, 30)), control={"factor": 0.8})  # fmt: skip
def continuous(mdp, K, factor=None):
    """J(x_K) >= (1 - (1 - 1/K)^K) OPT - M1 H (H - 1) / (2 K) after K steps of continuous greedy (Frank-Wolfe), M1 = max F({e}); those are
    the factor and the slack that it states, and J(x_K) its last value.

    Control: the factor 0.8, on ``permutation(3)``, where ties keep x uniform and J = 1 - (1 - 1/3)^3 = 0.7037 of OPT.
    """
    if factor is not None:
        mdp, K = instances.permutation(3), 300
    found, H = bandits.continuous_greedy(bandits.bandit_of(mdp), K), mdp.horizon
    exact = 1 - Fraction(K - 1, K) ** K, Fraction(H * (H - 1), 2 * K)
    told = np.array([found.factor, found.slack, found.values[-1]])
    true = np.array([float(exact[0]), float(exact[1]) * mdp.objective.singles.max(), enumerated(mdp, found.x)])
    least = (found.factor if factor is None else factor) * _optimum(mdp) - found.slack
    return np.array([least, *told, *true]), np.array([found.values[-1], *true, *told]), _top(mdp)


@claim("subpo-bandit.sequential-greedy", kind=inequality, source=f"{SOURCE} B6", provenance="derived", given=(problems,),
       control={"factor": 0.6})  # fmt: skip
def sequential(mdp, factor=0.5):
    """Choosing the steps one after the other, each the best given those before, gets OPT / 2, of the optimum with memory.

    Control: 0.6 OPT, on the instance where an unlucky tie gives exactly one half.
    """
    if factor != 0.5:
        laws = np.zeros((2, 2, 2))  # step 0 chooses between two elements, step 1 collects the first
        laws[0, 0, 0] = laws[0, 1, 1] = laws[1, :, 0] = 1
        mdp = instances.bandit(distributions=laws, objective=Modular([1.0, 1.0]))
    bandit = bandits.bandit_of(mdp)
    return factor * _optimum(mdp), bandits.relaxed_value(bandit, bandits.sequential_greedy(bandit)), _top(mdp)


@claim("subpo-bandit.nearly", kind=inequality, source=f"{SOURCE} B7", provenance="derived",
       given=(small_problems, some_policy, st.floats(0.01, 0.3), seeds), control={"error": 0.0})  # fmt: skip
def nearly(mdp, x, noise, seed, error=1.0):
    """Rows within eps_h of a bandit's: |J_P - J_D| <= e = F(V) min(1, sum eps), and OPT <= J_D + sum max g + e, the certificate.

    Control: without e.
    """
    rng = np.random.default_rng(seed)
    rows = (1 - noise) * mdp.transition + noise * np.pad(rng.dirichlet(np.ones(mdp.n_states - 1), mdp.shape), [(0, 0)] * 3 + [(1, 0)])
    left, right = _held(SubmodularMDP(rows, mdp.initial, mdp.objective, elements=mdp.elements), x, error)
    return left, right, _top(mdp)


@claim("subpo-bandit.fork", kind=inequality, source=f"{SOURCE} B7", provenance="derived",
       given=(st.floats(0.0, 0.5), st.floats(0.1, 10.0), st.integers(1, 2), st.booleans()), control={"error": 0.75})  # fmt: skip
def fork_is_tight(lean, prize, rounds, idle, error=1.0):
    """On ``fork``, where eps = ``lean`` in every other step and F(V) = ``prize``, with one round: J_P = J_D - e for who always goes left,
    and OPT = J_D + sum max g + e for who is idle, and never tosses. So e = F(V) min(1, sum eps) and no less.

    Control: 3 e / 4 in place of e.
    """
    mdp = fork(lean, prize, rounds)
    left, right = _held(mdp, np.eye(2)[[0, int(idle)] * rounds], error)
    bandit, eps = bandits.nearest_bandit(mdp)
    told, true = np.array([bandit.error, *eps]), np.array([prize * min(1, rounds * lean), *[0.0, lean] * rounds])
    return np.concatenate([left, told, true]), np.concatenate([right, true, told]), prize


def _held(mdp, x, error):
    """Two sides [3] of B7 for an ``mdp`` that is nearly a bandit: the distance of the values, the certificate, continuous greedy."""
    bandit, _ = bandits.nearest_bandit(mdp)
    found, greedy = bandits.bandit_certificate(bandit, x), bandits.continuous_greedy(bandit, 20)
    value = lambda x: planning.submodular_value(mdp, bandit.policy(x, mdp.n_states))
    optimum, missing = _optimum(mdp), (1 - error) * bandit.error
    left = [abs(value(x) - found.value), optimum, greedy.factor * optimum - greedy.slack + (1 + greedy.factor) * missing]
    return np.array(left), np.array([error * bandit.error, found.upper - missing, value(greedy.x)])


theorem(
    "subpo-bandit",
    statement=r"When an action leads to the same law from every state, stationary points satisfy $J \ge \tfrac12 \mathrm{OPT}$, continuous "
    r"greedy $J \ge (1 - (1 - \tfrac1K)^K)\,\mathrm{OPT} - O(1/K)$ and sequential greedy $J \ge \tfrac12 \mathrm{OPT}$, where OPT "
    r"ranges over history-dependent policies; $\mathrm{OPT} \le J(x) + \sum_h \max_a g_{h,a}(x)$ certifies every $x$.",
    source=f"{CLASSIC}, epsilon-bandit SMDPs; subpo spec, section 5",
    provenance="reconstructed",
    claims=(
        "subpo-bandit.relaxation", "subpo-bandit.multilinear", "subpo-bandit.antitone", "subpo-bandit.last-gains",
        "subpo-bandit.any-policy", "subpo-bandit.start", "subpo-bandit.half", "subpo-bandit.continuous-greedy",
        "subpo-bandit.sequential-greedy", "subpo-bandit.nearly", "subpo-bandit.fork",
    ),
    uses={
        "subpo-bandit.any-policy": ("subpo-bandit.antitone",),
        "subpo-bandit.start": ("subpo-bandit.any-policy",),
        "subpo-bandit.half": ("subpo-bandit.last-gains", "subpo-bandit.any-policy", "subpo-bandit.relaxation"),
        "subpo-bandit.continuous-greedy": ("subpo-bandit.any-policy", "subpo-bandit.antitone"),
        "subpo-bandit.sequential-greedy": ("subpo-bandit.any-policy",),
        "subpo-bandit.nearly": ("subpo-bandit.any-policy",),
        "subpo-bandit.fork": ("subpo-bandit.nearly",),
    },
)  # fmt: skip
