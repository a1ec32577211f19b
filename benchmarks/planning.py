"""Exact solvers: dense and sparse discounted models, one dense sweep, finite horizons."""

import numpy as np

import tabular_rl as trl
from benchmarks import peers
from benchmarks.timing import Goal, Row, benchmark, plain_read, race

TOLERANCE = 1e-6
TINY_GARNET = (trl.instances.large_garnet, {"S": 20, "A": 3, "branching": 4})


def versus_quantecon(repeats, mdp, goal):
    """A discounted solve beside QuantEcon's modified policy iteration, each with its own stopping rule; the floor is one pass over P."""
    other = peers.quantecon(mdp.transition, mdp.reward, mdp.discount)
    arrays = (mdp.transition.data, mdp.transition.indices) if mdp.is_sparse else (mdp.transition.reshape(-1),)
    answers = {}

    def ours():
        answers["ours"] = trl.planning.solve(mdp, tolerance=TOLERANCE)

    def theirs():
        answers["theirs"] = other.solve(method="modified_policy_iteration", epsilon=TOLERANCE, max_iter=100_000)

    seconds = race({"ours": ours, "theirs": theirs, "plain": lambda: [plain_read(array) for array in arrays]}, repeats)
    exact, solution = accurate(mdp), answers["ours"]
    errors = [np.abs(values - exact).max() for values in (solution.values, answers["theirs"].v)]
    return Row(
        f"{'sparse' if mdp.is_sparse else 'dense'} solve, {mdp!r}", "ms", seconds["ours"] * 1e3,
        "QuantEcon modified policy iteration", seconds["theirs"] * 1e3, goal, mdp.nbytes, seconds["plain"] * 1e3,
        f"error {errors[0]:.0e} (certified {solution.radius:.0e}), peer {errors[1]:.0e}; "
        f"{solution.iterations} + {solution.evaluations} sweeps, peer {answers['theirs'].num_iter} x 21",
    )  # fmt: skip


def accurate(mdp):
    """V* to rounding error: policy iteration with LAPACK; by modified policy iteration to 1e-9 where the model is sparse."""
    if mdp.is_sparse:
        return trl.planning.solve(mdp, tolerance=1e-9).values
    return trl.planning.solve(mdp, "policy_iteration", tolerance=1e-8).values


@benchmark([(1000, 10)], tiny=[(20, 3)])
def dense_solve(repeats, S, A):
    """Garnet with full rows: it mixes fast, a few sweeps are enough."""
    yield versus_quantecon(repeats, trl.instances.large_garnet(S, A, branching=S), Goal("faster", 1.4))


@benchmark([(1000, 10)], tiny=[(20, 3)])
def dense_sweep(repeats, S, A):
    """One Bellman sweep, beside NumPy and beside a plain read of P."""
    from tabular_rl.kernels.discounted.sweeps import improve_dense

    mdp = trl.instances.large_garnet(S, A, branching=S)
    P, values = mdp.transition, np.random.default_rng(0).random(S)
    q_values, improved, actions, flat = np.zeros((S, A)), np.empty(S), np.empty(S, np.int64), P.reshape(S * A, S)

    def numpy_sweep():
        q = mdp.reward + mdp.discount * (flat @ values).reshape(S, A)
        return q.max(axis=1), q.argmax(axis=1)

    seconds = race(
        {
            "ours": lambda: improve_dense(P, mdp.reward, mdp.discount, values, np.inf, q_values, improved, actions),
            "numpy": numpy_sweep,
            "plain": lambda: plain_read(P.reshape(-1)),
        },
        repeats,
    )
    ours, plain = seconds["ours"] * 1e3, seconds["plain"] * 1e3
    job = f"dense Bellman sweep, S={S} A={A}"
    yield Row(job, "ms", ours, "plain read of P", plain, Goal("overhead", 1.2), P.nbytes, plain)
    yield Row(job, "ms", ours, "NumPy matmul and max", seconds["numpy"] * 1e3, None, P.nbytes, plain)


@benchmark(
    [
        (trl.instances.large_garnet, {"S": 20_000, "A": 4, "branching": 6}),
        (trl.instances.large_garnet, {"S": 100_000, "A": 4, "branching": 6}),
        (trl.instances.gridworld, {"n": 100, "goals": "scattered"}),
        (trl.instances.gridworld, {"n": 316, "goals": "scattered"}),
        (trl.instances.line, {"S": 1000, "A": 5}),
    ],
    tiny=[TINY_GARNET, (trl.instances.line, {"S": 40, "A": 2})],
)
def sparse_solve(repeats, make, arguments):
    """Models that mix fast (garnet), and that do not (grid, line)."""
    row = versus_quantecon(repeats, make(**arguments), Goal("faster", 1.0))
    yield Row(**(vars(row) | {"job": f"sparse solve, {make.__name__} {' '.join(f'{k}={v}' for k, v in arguments.items())}"}))


@benchmark(
    [("garnet", 50, 5, 100, 2.5), ("garnet", 200, 10, 50, 1.3), ("garnet", 1000, 10, 20, 1.3), ("line", 1000, 10, 20, None)],
    tiny=[("garnet", 10, 2, 5, 1.3), ("line", 20, 2, 5, None)],
)
def backward_induction(repeats, kind, S, A, H, goal):
    """Finite horizon, stationary: full rows, where most actions are soon ruled out; a line, where every byte is read H times."""
    if kind == "garnet":
        mdp = trl.instances.large_garnet(S, A, branching=S, horizon=H)
    else:
        line = trl.instances.line(S, A)
        mdp = trl.FiniteHorizonMDP(line.transition.toarray().reshape(S, A, S), line.reward, horizon=H)
    from quantecon.markov.ddp import backward_induction

    P = mdp.packed_transition.reshape(-1)
    other = peers.quantecon(mdp.transition[0], mdp.reward[0])
    seconds = race(
        {
            "ours": lambda: trl.planning.solve(mdp),
            "theirs": lambda: backward_induction(other, H),
            "plain": lambda: [plain_read(P) for _ in range(H)],
        },
        repeats,
    )
    error = np.abs(trl.planning.solve(mdp).values - backward_induction(other, H)[0]).max()
    yield Row(
        f"backward induction, {kind}, S={S} A={A} H={H}", "ms", seconds["ours"] * 1e3, "QuantEcon", seconds["theirs"] * 1e3,
        goal and Goal("faster", goal), H * P.nbytes, seconds["plain"] * 1e3, f"difference {error:.0e}",
    )  # fmt: skip


@benchmark([(200, 10, 50), (1000, 10, 20)], tiny=[(10, 2, 5)])
def occupancy(repeats, S, A, H):
    """Occupancy measure of a stochastic policy; the floor is H - 1 passes over P."""
    mdp = trl.instances.large_garnet(S, A, branching=S, horizon=H)
    P = mdp.packed_transition[0]
    policy = np.random.default_rng(0).dirichlet(np.ones(A), (H, S))
    seconds = race(
        {
            "ours": lambda: trl.planning.occupancy(mdp, policy),
            "theirs": lambda: peers.occupancy(P, policy, mdp.initial),
            "plain": lambda: [plain_read(P.reshape(-1)) for _ in range(H - 1)],
        },
        repeats,
    )
    yield Row(
        f"occupancy measure, S={S} A={A} H={H}", "ms", seconds["ours"] * 1e3, "NumPy matmul", seconds["theirs"] * 1e3,
        None, (H - 1) * P.nbytes, seconds["plain"] * 1e3,
    )  # fmt: skip
