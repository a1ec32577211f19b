"""Robust kernels: microseconds of a worst case against the number of states, beside the plain expectation and a linear program."""

import time

import numpy as np

import tabular_rl as trl
from benchmarks.timing import Goal, Row, benchmark, plain_read, race
from tabular_rl import ambiguity as sets

SIZES = (10, 30, 100, 300, 1000)
SLOWEST = 50  # microseconds at S = 100: what takes longer is a defect
KINDS = {
    "L1, shared order": lambda S: sets.L1(0.2),
    "L1": lambda S: sets.L1(0.2),
    "weighted L1": lambda S: sets.WeightedL1(1 + np.arange(S) % 3, 0.2),
    "L infinity": lambda S: sets.LInf(0.5 / S),
    "L2": lambda S: sets.L2(0.1),
    "KL": lambda S: sets.KL(0.1),
    "chi-square": lambda S: sets.ChiSquare(0.2),
    "Wasserstein": lambda S: sets.Wasserstein(np.abs(np.subtract.outer(np.arange(S), np.arange(S))) / S, 0.05),
    "contamination": lambda S: sets.Contamination(0.1),
    "s-rectangular L1, evaluation": lambda S: sets.SRectangularL1(1.0),
    "s-rectangular L1, optimization": lambda S: sets.SRectangularL1(1.0),
}
GOALS = {("L1, shared order", 10): 0.1, ("L1, shared order", 100): 0.5, ("L1", 10): 0.5, ("L1", 100): 6.0}


def full_rows(S, A, moves):
    """(nominal [S, A, S], cost, values): full rows, costs of moves or of pairs."""
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A, S) if moves else (S, A)), 10 * rng.random(S)


@benchmark([(kind, S) for kind in KINDS for S in SIZES], tiny=[(kind, 10) for kind in KINDS])
def worst_cases(repeats, kind, S):
    """One worst case in a sweep, by the number of successors; beside it the nominal expectation of the same rows (the data of figure E)."""
    from tabular_rl.kernels.robust.rows import NOMINAL, workspace
    from tabular_rl.kernels.robust.sweeps import backup, state_backup, state_evaluation

    if kind == "Wasserstein" and S > 300:
        return  # quadratic in S
    A = max(1, 5000 // S**2) if S < 100 else 4
    nominal, cost, values = full_rows(S, A, kind != "L1, shared order")
    ambiguity = KINDS[kind](S)
    rows = sets.rows(nominal, cost, ambiguity)
    work, q, policy = workspace(rows, ambiguity.code), np.empty(S * A), np.full((S, A), 1 / A)
    picked, nothing, improved = np.arange(min(S * A, 400)), np.empty(0), np.empty(S)
    calls = {
        "s-rectangular L1, evaluation": lambda: state_evaluation(ambiguity.code, rows, policy, 0.9, values, improved, nothing, work),
        "s-rectangular L1, optimization": lambda: state_backup(ambiguity.code, rows, 0.9, values, improved, policy, nothing, work),
    }
    ours = calls.get(kind, lambda: backup(ambiguity.code, rows, picked, 0.9, values, q, nothing, work))
    worst = S * A if kind in calls else len(picked)
    seconds = race({"ours": ours, "plain": lambda: backup(NOMINAL, rows, picked, 0.9, values, q, nothing, work)}, repeats)
    goal = GOALS.get((kind, S), SLOWEST if S == 100 else None)
    yield Row(
        f"{kind}, S={S}", "us per (s,a)", seconds["ours"] / worst * 1e6, "nominal expectation", seconds["plain"] / len(picked) * 1e6,
        Goal("value", goal) if goal else None,
    )  # fmt: skip


@benchmark([(50,), (100,)], tiny=[(5,)])
def robust_program(repeats, S):
    """A worst case over an L1 ball as a linear program by HiGHS, one (s, a) at a time."""
    from scipy.optimize import linprog

    from tabular_rl.kernels.robust.rows import L1, workspace
    from tabular_rl.kernels.robust.sweeps import backup

    nominal, cost, values = full_rows(S, 4, True)
    rows = sets.rows(nominal, cost, sets.L1(0.2))
    q, picked, work = np.empty(4 * S), np.arange(4 * S), workspace(rows)
    z, p0, unit = cost[0, 0] + 0.9 * values, nominal[0, 0], np.eye(S)
    constraints = np.block([[unit, -unit], [-unit, -unit], [np.zeros((1, S)), np.ones((1, S))]])
    limits, total = np.concatenate([p0, -p0, [0.2]]), np.concatenate([np.ones(S), np.zeros(S)])[None]
    answer = {}

    def program():
        answer["q"] = -linprog(np.concatenate([-z, np.zeros(S)]), constraints, limits, total, [1.0], method="highs").fun

    seconds = race({"ours": lambda: backup(L1, rows, picked, 0.9, values, q, np.empty(0), work), "program": program}, repeats)
    yield Row(
        f"L1 ball, costs of moves, S={S}", "us per (s,a)", seconds["ours"] / (4 * S) * 1e6, "linear program, SciPy HiGHS",
        seconds["program"] * 1e6, Goal("faster", 1000), note=f"difference {abs(answer['q'] - q[0]):.0e}",
    )  # fmt: skip


@benchmark([(1000, 10, None), (100_000, 4, 6)], tiny=[(20, 2, None), (50, 2, 4)])
def robust_sweep(repeats, S, A, branching):
    """A robust Bellman sweep over L1 balls beside an ordinary one of the same rows."""
    from tabular_rl.kernels.robust.rows import L1, NOMINAL, workspace
    from tabular_rl.kernels.robust.sweeps import backup

    mdp = trl.instances.large_garnet(S, A, branching=branching or S)
    rows = sets.rows(mdp.transition, 1 - mdp.reward, sets.L1(0.2))
    q, picked, values, work, nothing = np.empty(S * A), np.arange(S * A), np.random.default_rng(0).random(S), workspace(rows), np.empty(0)
    seconds = race(
        {
            "robust": lambda: backup(L1, rows, picked, mdp.discount, values, q, nothing, work),
            "plain": lambda: backup(NOMINAL, rows, picked, mdp.discount, values, q, nothing, work),
        },
        repeats,
    )
    yield Row(
        f"robust sweep, {'sparse' if branching else 'dense'}, S={S} A={A}", "ms", seconds["robust"] * 1e3, "ordinary sweep",
        seconds["plain"] * 1e3, Goal("overhead", 3), rows.nominal.nbytes + rows.successor.nbytes,
    )  # fmt: skip


CACHE = 2**26  # bytes that push a model out of every cache


@benchmark([(200, 5)], tiny=[(10, 2)])
def robust_solve(repeats, S, A):
    """A certified robust solve (L1 balls of 0.2) to 1e-6 of a model that was not seen before, in passes over its bytes.

    "warm": the same model again. "from memory": both the solve and the plain read find nothing in the caches. Beside it the ordinary
    solve of the nominal model.
    """
    from tabular_rl.planning.robust.solve import solve_robust

    plain = trl.instances.large_garnet(S, A, branching=S)
    mdp = trl.RobustMDP(plain.transition, 1 - plain.reward, plain.discount, plain.initial, sets.L1(0.2))
    flat, other = mdp.nominal.reshape(-1), np.zeros(CACHE // 8)

    def cold():
        unseen = object.__new__(trl.RobustMDP)  # the same model for the solver, and yet another one
        vars(unseen).update(vars(mdp))
        return solve_robust(unseen, tolerance=1e-6)

    def from_memory(function):
        other[:] += 1
        start = time.process_time()
        function()
        return time.process_time() - start

    contestants = {
        "cold": cold,
        "warm": lambda: solve_robust(mdp, tolerance=1e-6),
        "plain": lambda: trl.planning.solve(plain, tolerance=1e-6),
        "read": lambda: plain_read(flat),
    }
    seconds = race(contestants, repeats)
    solution, bytes_read = cold(), mdp.nbytes
    note = f"certified {solution.radius:.0e}, {solution.iterations} + {solution.evaluations} sweeps"
    job = f"robust solve, dense, S={S} A={A}"
    for name in ("cold", "warm"):
        ours, read = seconds[name] * 1e3, seconds["read"] * 1e3
        yield Row(f"{job}, {name}", "ms", ours, "plain read of P, in cache", read, Goal("overhead", 15), bytes_read, read, note)
    yield Row(f"{job}, cold", "ms", seconds["cold"] * 1e3, "ordinary solve of the nominal model", seconds["plain"] * 1e3, None, note=note)
    pairs = np.array([[from_memory(cold), from_memory(contestants["read"])] for _ in range(max(repeats, 9))]) * 1e3
    yield Row(
        f"{job}, from memory", "ms", pairs[:, 0], "plain read of P, from memory", pairs[:, 1], Goal("overhead", 15), bytes_read, note=note
    )
