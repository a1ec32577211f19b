"""A run of SubPO, step by step: every update of the loop against another way to compute it, then whole runs against their definition.

b[h,s]: mean of earlier returns, the older ones counting half with each batch that came there; Adam: Kingma, Ba 2015; starts and report.
"""

import numpy as np
from hypothesis import strategies as st
from scipy.special import softmax

from proofs_check import claim, identity, inequality, theorem
from proofs_check.claims.submodular.subpo import MONOTONE, SOURCE, deterministic_problems, prefix_values, problems, seeds
from proofs_check.strategies import draw
from tabular_rl import planning
from tabular_rl.algorithms import HistoryGreedy, RandomWalk, SubPO
from tabular_rl.algorithms.submodular.starts import starting_logits
from tabular_rl.algorithms.submodular.subpo import adam_step, add_entropy_gradient, gradient_step, update_baseline
from tabular_rl.kernels.submodular.objectives import workspace
from tabular_rl.kernels.submodular.rollouts import Batch, rollouts
from tabular_rl.planning.submodular.exact import additive_optimum

ADAM = "Kingma, Ba 2015, algorithm 1"
VARIANTS = {
    "sgd": SubPO(batch=6, certify=False),
    "fast": SubPO(batch=6, certify=False, weights="full", baseline=False, learning_rate=200.0),
    "natural": SubPO(batch=6, certify=False, optimizer="npg", learning_rate=0.5, lookahead=(1, 2, None)),
    "adam": SubPO(batch=6, certify=False, optimizer="adam", learning_rate=0.1, entropy=0.2),
    "entropy": SubPO(batch=6, certify=False, entropy=0.5, entropy_decay=2.0, weights="prefix"),
    "modular": SubPO(batch=6, certify=False, modular=True, lookahead=2),
    "from-modpo": SubPO(batch=6, certify=False, init="modpo", kappa=1.0, weights="myopic", restarts=2),
}


def gradients(n_rows, n_actions, n_batches, scale, seed):
    """Random gradients [T, n_rows, A], and which rows [T, n_rows] each batch visits; the last row comes late, if at all."""
    rng = np.random.default_rng(seed)
    visited = rng.random((n_batches, n_rows)) < 0.6
    visited[: n_batches // 2, -1] = False
    return 10.0**scale * rng.standard_normal((n_batches, n_rows, n_actions)) * visited[..., None], visited


batches = draw(gradients, st.integers(1, 3), st.integers(2, 4), st.integers(1, 8), st.integers(-6, 3))


def _entropy_slope(pi):
    """[..., A] (diag(pi) - pi pi') (-log pi): the Jacobian of the softmax applied to d entropy / d pi, whose constant it ignores."""
    log = -np.log(np.where(pi > 0, pi, 1))
    return pi * log - pi * np.sum(pi * log, axis=-1, keepdims=True)


@claim("subpo-run.adam", kind=identity, source=ADAM, provenance="classical", given=(batches, st.floats(1e-3, 1.0)),
       control={"corrected": False})  # fmt: skip
def adam(batch, rate, corrected=True):
    """T of Adam's steps move theta by rate * sum_t m_t / (sqrt(v_t) + 1e-8), m_t = sum_i 0.9^(t-i) g_i / sum_i 0.9^(t-i), v_t likewise of
    g^2 with 0.999, in rows that some batch visited; pi = softmax(theta) there, and rows that nobody visited stay.

    The bias-corrected moments are weighted means: (1 - 0.9) sum_{i<=t} 0.9^(t-i) = 1 - 0.9^t. Control: without the correction.
    """
    (G, visited), A = batch, batch[0].shape[2]
    theta, pi = np.zeros(G.shape[1:]), np.full(G.shape[1:], 1 / A)
    moments, moving = np.zeros((2, *theta.shape)), np.zeros(len(theta), bool)
    expected = np.zeros_like(theta)
    for t in range(len(G)):
        adam_step(theta, pi, moments, moving, G[t], np.flatnonzero(visited[t]), rate, t + 1)
        age = np.arange(t, -1, -1.0)[:, None, None]
        first, second = 0.9**age, 0.999**age
        sizes = (first.sum(), second.sum()) if corrected else (10.0, 1000.0)
        m, v = np.sum(first * G[: t + 1], axis=0) / sizes[0], np.sum(second * G[: t + 1] ** 2, axis=0) / sizes[1]
        expected += rate * m / (np.sqrt(v) + 1e-8)
    return np.stack([theta, pi]), np.stack([expected, softmax(expected, axis=1)])


@claim("subpo-run.step", kind=identity, source=f"{SOURCE} 3.2", provenance="derived",
       given=(batches, st.floats(1e-3, 10.0), st.integers(0, 1)), control={"visits": 1.0})  # fmt: skip
def step(batch, rate, natural, visits=0.0):
    """theta grows by rate * gradient, for the natural gradient times B over the visits of the row, on the visited rows; pi is the
    softmax of theta clipped at 50.

    Control: one visit more.
    """
    (G, visited), A, B = batch, batch[0].shape[2], 12
    theta, pi = np.zeros(G.shape[1:]), np.full(G.shape[1:], 1 / A)
    expected = theta.copy()
    for g, there in zip(G, visited, strict=True):
        sums = np.zeros((len(theta), A + 3))
        sums[:, -1] = there * (1 + np.arange(len(theta)))
        gradient_step(theta, pi, g, sums, np.flatnonzero(there), rate, B * natural)
        scale = B / np.maximum(sums[:, -1:] + visits, 1) if natural else 1.0 + visits
        expected = np.clip(expected + rate * scale * g, -50, 50)
    return np.stack([theta, pi]), np.stack([expected, softmax(expected, axis=1)])


@claim("subpo-run.entropy", kind=identity, source=f"{SOURCE} 3.2", provenance="derived",
       given=(batches, st.floats(0.0, 2.0), st.booleans()), control={"sign": -1})  # fmt: skip
def entropy(batch, bonus, sure, sign=1):
    """The entropy term adds bonus * visits / B times d entropy(softmax) / d theta = (diag(pi) - pi pi') (-log pi) on visited rows.

    Control: the sign of a penalty.
    """
    G, visited = batch
    pi, rows = softmax(G[0], axis=1), np.flatnonzero(visited[-1])
    if sure:
        pi[0] = np.eye(pi.shape[1])[0]
    sums, found, B = np.zeros((len(pi), pi.shape[1] + 3)), G[-1].copy(), 12
    sums[:, -1] = 1 + np.arange(len(pi))
    add_entropy_gradient(pi, sums, rows, bonus, B, found)
    expected = G[-1] + sign * visited[-1][:, None] * bonus * sums[:, -1:] / B * _entropy_slope(pi)
    return found, expected, 1.0


@claim("subpo-run.baseline", kind=identity, source=f"{SOURCE} 3.2", provenance="derived", given=(batches,),
       control={"half": 1.0})  # fmt: skip
def baseline(batch, half=0.5):
    """b is the mean of the returns at the visits of a row, weighted by 1/2 for every later batch that came there.

    Control: all of them alike.
    """
    G, visited = batch
    rows, A = G.shape[1:]
    weight, b = np.zeros(rows), np.zeros(rows)
    for t in range(len(G)):
        sums = np.zeros((rows, A + 3))
        sums[:, -1], sums[:, -2] = 1 + np.arange(rows) + t % 3, G[t, :, 0]
        update_baseline(sums, np.flatnonzero(visited[t]), weight, b)
    later = np.cumsum(visited[::-1], axis=0)[::-1] - visited
    share = visited * half**later
    counts = np.sum(share * (1 + np.arange(rows) + np.arange(len(G))[:, None] % 3), axis=0)
    total = np.sum(share * G[..., 0], axis=0)
    return np.stack([weight, b]), np.stack([counts, np.divide(total, counts, out=np.zeros(rows), where=counts > 0)]), np.abs(G).max()


def replayed(mdp, algorithm, n, key, late=False):
    """(values, best values, policy, states and actions of the best path) of one restart of SubPO, from its definition.

    Trajectories are those of the rollout kernel; gains are differences of F by the table of all sets, estimates are sums over score
    vectors, and baselines are ratios of discounted sums. ``late``: the baseline learns from a batch before it serves it.
    """
    H, S, A = mdp.shape
    theta = starting_logits(mdp, algorithm.init, algorithm.path, algorithm.kappa)
    total, count = np.zeros((H, S)), np.zeros((H, S))
    m, v = np.zeros((H, S, A)), np.zeros((H, S, A))
    values, best, top = [], [], (-np.inf, None, None)
    phases = algorithm.lookahead if isinstance(algorithm.lookahead, tuple) else (algorithm.lookahead,)
    work, h, world = workspace(mdp.objective.packed, mdp.objective.n_elements, H + 1), np.arange(H), mdp.world
    for it in range(n):
        policy = softmax(theta, axis=-1)
        drawn = Batch(*(np.empty((algorithm.batch, H + extra), kind) for extra, kind in ((1, int), (0, int), (1, float))))
        with np.errstate(over="ignore"):
            rollouts(world, mdp.objective.packed, work, policy, key, it, it * algorithm.batch, drawn)
        F = prefix_values(mdp, drawn.states)
        values.append(F[:, -1].mean())
        i = int(np.argmax(F[:, -1] > F[:, -1].max() - 1e-9))
        top = max(top, (F[i, -1] - 1e-9, drawn.states[i], drawn.actions[i]), key=lambda path: path[0])
        best.append(top[0] + 1e-9)
        if it + 1 == n:
            break
        if algorithm.modular:
            F = np.cumsum(mdp.additive_reward[np.arange(H + 1), drawn.states], axis=1)
        k = phases[it * len(phases) // n]
        ends = np.minimum(h + (1 if algorithm.weights == "myopic" else k or H), H)
        R = {"full": F[:, -1:] + 0 * F[:, 1:], "prefix": F[:, 1:]}.get(algorithm.weights, F[:, ends] - F[:, :-1])
        visits = np.eye(S)[drawn.states[:, :-1]]  # [B, H, S]
        scores = visits[..., None] * (np.eye(A)[drawn.actions][:, :, None] - policy)
        came = visits.sum(axis=0)
        before = np.divide(total, count, out=np.zeros((H, S)), where=count > 0)
        total = np.where(came > 0, total / 2 + np.sum(visits * R[..., None], axis=0), total)
        count = np.where(came > 0, count / 2 + came, count)
        b = np.divide(total, count, out=np.zeros((H, S)), where=count > 0) if late else before
        weights = R - algorithm.baseline * np.sum(visits * b, axis=2)
        g = np.mean(scores * weights[..., None, None], axis=0)
        g += algorithm.entropy / (1 + it / algorithm.entropy_decay) * (came / algorithm.batch)[..., None] * _entropy_slope(policy)
        if algorithm.optimizer == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            g = m / (1 - 0.9 ** (it + 1)) / (np.sqrt(v / (1 - 0.999 ** (it + 1))) + 1e-8)
        elif algorithm.optimizer == "npg":
            g = g * algorithm.batch / np.maximum(came, 1)[..., None]
        theta = np.clip(theta + algorithm.learning_rate * g, -50, 50)
    return np.array(values), np.array(best), policy, top[1], top[2]


@claim("subpo-run.definition", kind=identity, source=f"{SOURCE} 3.2", provenance="derived",
       given=(problems(), st.sampled_from(sorted(VARIANTS)), seeds), control={"late": True})  # fmt: skip
def definition(mdp, variant, seed, late=False):
    """A run of SubPO is its definition: rollouts, marginal gains, windows, baseline, entropy, optimizer and their order, in every variant;
    the restart of the best last batches is kept, the start is the output if that is better, and the best path is that of all restarts.

    Control: a baseline that learns from a batch before it serves it.
    """
    algorithm, n, H = VARIANTS[variant], 6, mdp.horizon
    trace = algorithm.run(mdp, n, seed)
    found = trace.parameters
    keys = np.random.SeedSequence(seed).generate_state(algorithm.restarts, np.uint64)
    runs = [replayed(mdp, algorithm, n, key, late) for key in keys]
    finals = [run[0][-5:].mean() for run in runs]
    kept, top = int(np.argmax(finals)), max(run[1][-1] for run in runs)
    values, best, policy = runs[kept][:3]
    output, final = policy, finals[kept]
    if algorithm.init != "uniform" and final < values[0]:
        output, final = softmax(starting_logits(mdp, algorithm.init, kappa=algorithm.kappa), axis=-1), values[0]
    states, actions = found["path_states"], found["path_actions"]
    possible = mdp.probabilities[np.arange(H), states[:-1], actions, states[1:]].min() > 0
    left = [trace["sampled_value"], trace["best_value"], trace["environment_steps"], trace.policy.ravel(), trace.output.ravel()]
    left += [[found["final_value"], found["path_value"], mdp.value(states), found["environment_steps"]]]
    steps = algorithm.batch * H * np.arange(1, n + 1)
    right = [values, best, steps, policy.ravel(), output.ravel(), [final, top, top, algorithm.restarts * steps[-1] * possible]]
    return np.concatenate(left), np.concatenate(right), 1e3 * (1 + mdp.table().max())


@claim("subpo-run.report", kind=inequality, source=f"{SOURCE} 7", provenance="derived",
       given=(problems(), st.sampled_from(("uniform", "modpo")), seeds), control={"factor": 0.9})  # fmt: skip
def report(mdp, init, seed, factor=1.0):
    """The upper bound that a run reports is one: OPT <= upper; and its share is the final value as a part of it: share * upper <= final
    value, with equality where that is below the bound, and share <= 1. It is no larger than F of everything and the additive optimum.

    Control: that 0.9 of the bound is one.
    """
    found = SubPO(batch=10, init=init).run(mdp, 3, seed).parameters
    upper, share, value = factor * found["upper_bound"], found["share"], found["final_value"]
    least = min(value, upper)
    trivial = [mdp.table()[-1] * (1 + 2e-9), additive_optimum(mdp, mdp.additive_reward)[0] * (1 + 2e-9)]
    left = [planning.history_optimum(mdp).value, share * upper, least, share, upper, upper]
    right = [upper, value, share * upper, 1.0, *trivial]
    return np.array(left), np.array(right) + 1e-9, 1.0 + mdp.table().max()


@claim("subpo-run.path-start", kind=inequality, source=f"{SOURCE} 10.5", provenance="derived",
       given=(deterministic_problems(MONOTONE, horizons=(1, 3)), seeds, st.floats(0.1, 8.0)), control={"shift": 1})  # fmt: skip
def path_start(mdp, seed, kappa, shift=0):
    """The start that tracks a path follows it with probability at least (e^kappa / (e^kappa + A - 1))^H, hence J >= that part of F(path);
    and from everywhere its favorite actions keep as near to the path as any other plan, sum of distances over time.

    Control: the same of a path that was begun one step later.
    """
    rng, (H, S, A) = np.random.default_rng(seed), mdp.shape
    path = [0]
    for _ in range(H + shift):
        path.append(mdp.successors[path[-1], rng.integers(A)])
    logits = starting_logits(mdp, "path", np.array(path[shift : H + 1 + shift]), kappa)
    weights = np.exp(logits)
    part = (np.exp(kappa) / (np.exp(kappa) + A - 1)) ** H
    value = planning.submodular_value(mdp, weights / weights.sum(axis=-1, keepdims=True))
    distance, steps = np.where(np.eye(S, dtype=bool), 0.0, np.inf), np.zeros((S, S))
    np.put_along_axis(steps, mdp.successors, 1, axis=1)
    reach = np.eye(S)
    for d in range(1, S):
        reach = np.minimum(reach @ (steps + np.eye(S)), 1)
        distance = np.where((reach > 0) & np.isinf(distance), d, distance)
    distance[np.isinf(distance)] = 99.0

    def far(actions, first):
        s, total = np.arange(S), np.zeros(S)
        for h in range(first, H):
            s = mdp.successors[s, actions[h, s]]
            total += distance[s, path[h + 1]]
        return total

    first, least = rng.integers(H), np.zeros(S)
    for h in range(H - 1, first - 1, -1):
        least = np.min((distance[:, path[h + 1]] + least)[mdp.successors], axis=1)
    own = logits.argmax(axis=-1)
    left = [part * mdp.value(np.array(path[: H + 1])), far(own, 0)[path[0]], *far(own, first)]
    return np.array(left), np.array([value, 0.0, *least]), 99.0 * H + mdp.table().max()


@claim("subpo-run.additive-start", kind=inequality, source=f"{SOURCE} 6, C1", provenance="derived",
       given=(problems(), seeds), control={"reverse": True})  # fmt: skip
def additive_start(mdp, seed, reverse=False):
    """The start "modpo" favors the plan of the largest expected sum of F({s_j}), no less than that of any other plan.

    Control: no more than it.
    """
    H, S, A = mdp.shape
    logits = starting_logits(mdp, "modpo", kappa=3.0)
    wild = np.random.default_rng(seed).integers(A, size=(H, S))

    def paid(actions):
        values = mdp.additive_reward[H]
        for h in range(H - 1, -1, -1):
            values = mdp.additive_reward[h] + mdp.probabilities[h, np.arange(S), actions[h]] @ values
        return values

    others = np.max([paid(wild), paid(0 * wild), paid(0 * wild + A - 1)], axis=0)
    own = paid(logits.argmax(axis=-1))
    favored = [3.0 * H * S, logits.sum()] if not reverse else [0.0, 0.0]
    left, right = (own, others) if reverse else (others, own)
    return np.append(left, favored[0]), np.append(right, favored[1]), mdp.additive_reward.sum()


@claim("subpo-run.baselines", kind=inequality, source=f"{SOURCE} S4", provenance="derived",
       given=(problems(("cut", "count2", "coverage")), seeds), control={"rule": RandomWalk()})  # fmt: skip
def baselines(mdp, seed, rule=None):
    """HistoryGreedy plays actions of the largest expected next gain given what it has collected, gains from the table of all sets; what
    both baselines report are means and maxima of their trajectories.

    Control: that RandomWalk plays such actions.
    """
    (H, _, A), ground, F, n = mdp.shape, mdp.ground_set(), mdp.table(), 8
    traces = [(rule or HistoryGreedy()).run(mdp, n, seed), RandomWalk().run(mdp, n, seed)]
    drawn = [planning.sample_trajectories(mdp, "greedy" if rule is None else np.full(mdp.shape, 1 / A), n, seed)]
    drawn += [planning.sample_trajectories(mdp, np.full(mdp.shape, 1 / A), n, seed)]
    lost = 0.0
    for states, actions in zip(drawn[0].states, drawn[0].actions, strict=True):
        mask = 0
        for h in range(H):
            e = ground.elements[h, states[h]]
            mask |= 1 << e if e >= 0 else 0
            after = F[np.where(ground.elements[h + 1] >= 0, mask | 1 << np.maximum(ground.elements[h + 1], 0), mask)]
            expected = mdp.probabilities[h, states[h]] @ after
            lost = max(lost, expected.max() - expected[actions[h]])
    left, right = [np.array([lost])], [np.array([1e-9 * F.max()])]
    for trace, paths in zip(traces, drawn, strict=True):
        values, at = prefix_values(mdp, paths.states)[:, -1], trace.index - 1
        means = np.cumsum(values)[at] / (at + 1)
        told = [trace["sampled_value"], trace["best_value"], [trace.parameters["final_value"], trace.parameters["path_value"]]]
        true = [means, np.maximum.accumulate(values)[at], [values.mean(), values.max()]]
        left += [*told, *true]
        right += [*true, *told]
    played = np.zeros(mdp.shape)
    np.add.at(played, (np.arange(H), drawn[0].states[:, :-1], drawn[0].actions), 1)
    there = played.sum(axis=-1, keepdims=True)
    shares = np.where(there > 0, played / np.maximum(there, 1), 1 / A) if rule is None else np.full(mdp.shape, 1 / A)
    left += [traces[0].policy.ravel(), shares.ravel()]
    right += [shares.ravel(), traces[0].policy.ravel()]
    return np.concatenate(left), np.concatenate(right), F.max()


theorem(
    "subpo-run",
    statement=r"A run of SubPO is its definition: gains to go minus a baseline of earlier batches weigh the score, the gradient moves the "
    r"logits directly, by Adam or by the natural gradient, and what it reports beside its value is an upper bound on every policy.",
    source="Prajapat, Mutny, Zeilinger, Krause 2024; subpo spec, section 3.2",
    provenance="derived",
    claims=(
        "subpo-run.definition", "subpo-run.adam", "subpo-run.step", "subpo-run.entropy", "subpo-run.baseline", "subpo-run.report",
        "subpo-run.path-start", "subpo-run.additive-start", "subpo-run.baselines",
    ),
    uses={
        "subpo-run.definition": (
            "subpo-run.adam", "subpo-run.step", "subpo-run.entropy", "subpo-run.baseline", "subpo-run.path-start",
            "subpo-run.additive-start",
        ),
    },
)  # fmt: skip
