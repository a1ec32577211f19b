"""Submodular reinforcement learning: what the problem is, and what no local method can promise (subpo spec, sections 1 and 2).

F counts what a trajectory collects. J(pi) = E F is affine in every time block pi[h]; memory helps where the world or the start is
random; and neither greedy nor a point that no small change improves is within a constant factor of the optimum.
"""

import itertools

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality, theorem
from proofs_check.strategies import draw
from tabular_rl import planning
from tabular_rl.instances import submodular as instances
from tabular_rl.models import SubmodularMDP
from tabular_rl.submodular import Coverage, Modular

SOURCE = "subpo spec"
MONOTONE = ("coverage", "truncated", "soft", "facility", "concave", "ddesign", "mixture", "modular")


def submodular_problem(S, A, H, kind, seed):
    """Random transitions, start and objective of a kind, over the states; with an odd ``seed`` what a state holds changes with time."""
    mdp = instances.random_problem(S, A, H, kind, seed=seed)
    elements = np.random.default_rng(seed).integers(-1, S, (H + 1, S))
    return SubmodularMDP(mdp.transition, mdp.initial, mdp.objective, elements=elements) if seed % 2 else mdp


def submodular_policy(mdp, seed):
    """A softmax policy of standard normal logits."""
    weights = np.exp(np.random.default_rng(seed).standard_normal(mdp.shape))
    return weights / weights.sum(axis=-1, keepdims=True)


def deterministic_problem(S, A, H, kind, seed):
    """Random successors, start 0; kinds "units" and "halves" are coverages whose weights are multiples of 1 and of 1/2."""
    rng = np.random.default_rng(seed)
    successors, round_to = rng.integers(S, size=(S, A)), {"units": 1, "halves": 2}.get(kind, 0)
    objective = instances.random_objective("coverage" if round_to else kind, S, rng)
    if round_to:
        objective = Coverage(np.ceil(3 * round_to * objective.weights) / round_to, objective.sensor)
    return SubmodularMDP(successors, 0, objective, H)


def monotone_objective(kind, n, seed):
    """A random objective over ``n`` elements."""
    return instances.random_objective(kind, n, seed)


def prefix_values(mdp, states):
    """[N, H + 1] F of what the first j + 1 states collect, from the table of all sets."""
    ground, F = mdp.ground_set(), mdp.table()
    e = ground.elements[np.arange(mdp.horizon + 1), states]
    return F[np.bitwise_or.accumulate(np.where(e >= 0, 1 << np.maximum(e, 0), 0), axis=1)]


def tagged_problem(S, A, H, kind, seed):
    """Random transitions, start and objective, time-tagged: every (time, state) is an element of its own, states share their types."""
    rng, base = np.random.default_rng(seed), instances.random_problem(S, A, H, "coverage", seed=seed)
    objective = instances.random_objective(kind, 2, rng)
    return SubmodularMDP(base.transition, base.initial, objective, elements=rng.integers(-1, 2, (H + 1, S)), repeats=True)


tagged_problems = draw(tagged_problem, st.integers(1, 2), 2, st.integers(1, 3), st.sampled_from(("soft", "concave", "ddesign", "mixture")))


def problems(kinds=MONOTONE, horizons=(1, 3), states=(2, 3), actions=(2, 3)):
    """Problems whose trajectories can be listed."""
    return draw(submodular_problem, *(st.integers(*size) for size in (states, actions, horizons)), st.sampled_from(kinds))


def deterministic_problems(kinds=MONOTONE, horizons=(1, 4)):
    """The same with one successor for each pair, and one start."""
    return draw(deterministic_problem, st.integers(2, 4), st.integers(2, 3), st.integers(*horizons), st.sampled_from(kinds))


submodular_policies = draw(submodular_policy, fit=True)
objectives = draw(monotone_objective, st.sampled_from(MONOTONE), st.integers(2, 6))
seeds = st.integers(0, 2**16)
weights_above_zero = st.floats(0.1, 1.0)


def _growth(F):
    """(largest growth of a gain by one more element, largest loss by one more element) of a table over sets."""
    n = int(np.log2(len(F)))
    masks, growth, loss = np.arange(len(F)), [0.0], []
    for i in range(n):
        m = masks[masks >> i & 1 == 0]
        gain = F[m | 1 << i] - F[m]
        loss.append(-gain.min())
        for j in range(i):
            free = m >> j & 1 == 0
            growth.append((F[m[free] | 1 << i | 1 << j] - F[m[free] | 1 << j] - gain[free]).max())
    return max(growth), max(loss)


@claim("subpo.diminishing", kind=inequality, source=f"{SOURCE} L1", provenance="classical", given=(objectives,),
       control={"kind": "count2"})  # fmt: skip
def diminishing(objective, kind=None):
    """F(A + i + j) - F(A + j) <= F(A + i) - F(A) for every set A and all elements i, j, by table, for every objective of the suite.

    Control: F(A) = |A|^2.
    """
    F = (objective if kind is None else instances.random_objective(kind, objective.n_elements, 0)).table()
    return _growth(F)[0], 0.0, np.abs(F).max()


@claim("subpo.monotone", kind=inequality, source=f"{SOURCE} L1", provenance="classical", given=(objectives,),
       control={"kind": "cut"})  # fmt: skip
def monotone(objective, kind=None):
    """F(A) <= F(A + i).  Control: the cut function of a graph, which is submodular but loses what it has cut."""
    F = (objective if kind is None else instances.random_objective(kind, objective.n_elements, 0)).table()
    return _growth(F)[1], 0.0, np.abs(F).max()


@claim("subpo.telescoping", kind=identity, source=f"{SOURCE} L2", provenance="paper", given=(problems(states=(3, 3)), seeds),
       control={"modular": True})  # fmt: skip
def gains_telescope(mdp, seed, modular=False):
    """Marginal gains along any trajectory, computed incrementally, add up to F of the set collected, read from the table of all sets.

    Control: the gains of modular RL, F({s}) whatever was collected before.
    """
    H, S, _ = mdp.shape
    paths = np.random.default_rng(seed).integers(S, size=(20, H + 1))
    gains = mdp.additive_reward[np.arange(H + 1), paths] if modular else mdp.gains(paths)
    return np.cumsum(gains, axis=1), prefix_values(mdp, paths)


@claim("subpo.block-affine", kind=identity, source=f"{SOURCE} S1, L8", provenance="derived",
       given=(problems(horizons=(2, 3)), submodular_policies, seeds), control={"blocks": 2})  # fmt: skip
def block_affine(mdp, policy, seed, blocks=1):
    """J(l x + (1 - l) y) = l J(x) + (1 - l) J(y) for policies that differ in one time block: a trajectory uses one row of every block; and
    J(y) - J(x) = <W, y - x>, W the derivative at x.

    Hence J is maximal at a deterministic Markov policy. Control: two blocks.
    """
    rng = np.random.default_rng(seed)
    h, l = rng.integers(mdp.horizon - blocks + 1), rng.uniform(0.2, 0.8)
    other = policy.copy()
    other[h : h + blocks] = rng.dirichlet(np.full(mdp.n_actions, 0.3), (blocks, mdp.n_states))
    value = lambda p: planning.submodular_value(mdp, p)
    slope = np.sum(planning.submodular_gradient(mdp, policy).policy * (other - policy))
    here, there = value(policy), value(other)
    return np.array([value(l * policy + (1 - l) * other), slope]), np.array([l * here + (1 - l) * there, there - here]), mdp.table().max()


@claim("subpo.deterministic-worlds", kind=identity, source=f"{SOURCE} S2", provenance="reconstructed",
       given=(draw(deterministic_problem, 3, 2, st.integers(1, 2), st.sampled_from(("coverage", "facility", "ddesign", "modular"))),),
       control={"random_start": True})  # fmt: skip
def deterministic_worlds(mdp, random_start=False):
    """Deterministic transitions and one start: the best Markov policy, among all deterministic ones, is as good as the best with memory.

    The optimal history-dependent policy yields one trajectory, which a time-dependent Markov policy replays. Control: a random start.
    """
    if random_start:
        successors = np.array([[0, 0], [0, 0], [0, 1]])  # both states meet in state 0, whose actions then have to differ
        transition = np.eye(3)[np.stack([0 * successors, np.array([[1, 2], [0, 0], [0, 0]])])]
        mdp = SubmodularMDP(transition, [0, 0.5, 0.5], Modular([0.0, 1.0, 1.0]))
    H, S, A = mdp.shape
    value = lambda actions: planning.submodular_value(mdp, np.reshape(actions, (H, S)))
    return max(value(actions) for actions in itertools.product(range(A), repeat=H * S)), planning.history_optimum(mdp).value


@claim("subpo.memory-helps", kind=identity, source=f"{SOURCE} S3", provenance="derived",
       given=(weights_above_zero, weights_above_zero, st.floats(0.1, 0.9)), control={"memory": True})  # fmt: skip
def memory_helps(first, second, p, memory=False):
    """On ``gap`` with weights w1, w2 and chance p of x1: the best Markov policy gets max(w1 + (1 - p) w2, w2 + p w1), memory w1 + w2.

    Control: the Markov policy gets w1 + w2 as well.
    """
    base = instances.gap()
    transition = np.array(base.transition[0])
    transition[0, :, 1:3] = p, 1 - p
    mdp = SubmodularMDP(transition, 0, Modular([first, second]), 3, elements=base.elements)
    markov = [planning.submodular_value(mdp, np.full((3, 4), a)) for a in (0, 1)]
    expected = first + second if memory else max(first + (1 - p) * second, second + p * first)
    return np.array([max(markov), planning.history_optimum(mdp).value]), np.array([expected, first + second])


@claim("subpo.greedy-has-no-factor", kind=inequality, source=f"{SOURCE} S4", provenance="derived",
       given=(st.integers(2, 6), st.floats(4.0, 1e4)), control={"factor": 0.5})  # fmt: skip
def greedy_has_no_factor(H, M, factor=None):
    """On ``bait(H, M)`` greedy gets 1 and the optimum is M: M * greedy <= OPT.  Control: greedy is at least OPT / 2."""
    mdp = instances.bait(H, M)
    greedy, optimum = planning.greedy_history(mdp).value, planning.history_optimum(mdp).value
    return (M * greedy, optimum) if factor is None else (factor * optimum, greedy)


@claim("subpo.stationary-has-no-factor", kind=inequality, source=f"{SOURCE} S5", provenance="derived",
       given=(st.integers(2, 6), st.floats(4.0, 1e4)), control={"blocks": "all"})  # fmt: skip
def stationary_has_no_factor(H, M, blocks="one"):
    """On ``bait(H, M)``, at the policy that enters the dead end and turns back in the corridor, no change of one time block improves J = 1,
    though OPT = M.  Control: changing all blocks, which reaches M.
    """
    mdp = instances.bait(H, M)
    trap, forward = np.zeros(mdp.shape), np.zeros(mdp.shape)
    trap[..., 0], forward[..., 2] = 1, 1
    trap[:, 0] = np.eye(3)[1]
    found = planning.submodular_gradient(mdp, trap)
    if blocks == "all":
        return planning.submodular_value(mdp, forward), found.value
    return np.max(found.policy - np.sum(trap * found.policy, axis=-1, keepdims=True)), 0.0, M


theorem(
    "subpo-limits",
    statement=r"In submodular RL, $J(\pi) = \mathbb{E}\,F(\tau)$ is affine in each time block of the policy. Memory is worth nothing in "
    r"deterministic worlds with one start and something in others, and neither greedy nor stationary policies are within a constant "
    r"factor of the optimum.",
    source="Prajapat, Mutny, Zeilinger, Krause 2024 (setting); subpo spec, sections 1 and 2",
    provenance="derived",
    claims=(
        "subpo.diminishing", "subpo.monotone", "subpo.telescoping", "subpo.block-affine", "subpo.deterministic-worlds",
        "subpo.memory-helps", "subpo.greedy-has-no-factor", "subpo.stationary-has-no-factor",
    ),
    uses={"subpo.stationary-has-no-factor": ("subpo.block-affine",)},
)  # fmt: skip
