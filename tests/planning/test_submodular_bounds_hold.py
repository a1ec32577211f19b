"""Every bound, on every objective, with and without repeats: at least the optimum by enumeration, or a refusal that says why."""

from itertools import product

import numpy as np
import pytest

from tabular_rl import algorithms, planning
from tabular_rl.models import SubmodularMDP
from tabular_rl.submodular import (
    Concave,
    CountSquared,
    Coverage,
    Cut,
    DDesign,
    Entropy,
    Facility,
    Mixture,
    Modular,
    Soft,
    Tabulated,
    Truncated,
)

S, A, H = 3, 2, 3
RNG = np.random.default_rng(0)
TABLE = np.array([float(bin(m).count("1")) for m in range(2**S)])
SENSOR = [[0, 1], [1, 2], [3]]
OBJECTIVES = {
    "coverage": lambda: Coverage(RNG.random(4), SENSOR),
    "mixture": lambda: Mixture(0.5, 2 + RNG.random(S), RNG.random(4), SENSOR),
    "modular": lambda: Modular(RNG.random(S)),
    "facility": lambda: Facility(RNG.random((S, 2))),
    "truncated": lambda: Truncated([0, 0, 1], [1, 1]),
    "concave sqrt": lambda: Concave(RNG.random((S, 2)), RNG.random(2), "sqrt"),
    "concave log1p": lambda: Concave(RNG.random((S, 2)), RNG.random(2), "log1p"),
    "soft": lambda: Soft(RNG.random(4), SENSOR),
    "design": lambda: DDesign(features=RNG.random((S, 2)), noise=0.5),
    "entropy": lambda: Entropy(kernel=np.eye(S) + 0.3, jitter=0.5),
    "table": lambda: Tabulated(np.sqrt(TABLE)),
    "unverified table that is one": lambda: Tabulated(np.sqrt(TABLE), verify=False),
    "unverified supermodular": lambda: Tabulated(TABLE**2, verify=False),
    "unverified falling": lambda: Tabulated(TABLE * (4 - TABLE), verify=False),
    "unverified shifted": lambda: Tabulated(TABLE + 1, verify=False),
    "cut": lambda: Cut(np.ones((S, S)) - np.eye(S)),
    "count squared": lambda: CountSquared(S),
}
CONTROLS = {"unverified supermodular", "unverified falling", "unverified shifted", "cut", "count squared"}
BOUNDS = {
    "coverage entries": lambda mdp: planning.coverage_bound(mdp).upper,
    "coverage visits": lambda mdp: planning.coverage_bound(mdp, entering=False).upper,
    "cuts": lambda mdp: planning.cut_bound(mdp).upper,
    "one cut": lambda mdp: planning.cut_bound(mdp, sets=[0]).upper,
    "concave": lambda mdp: planning.concave_bound(mdp).upper,
    "tangent": lambda mdp: planning.tangent_bound(mdp, np.full(mdp.ground_set().n, 0.5)).upper,
    "prices": lambda mdp: planning.coverage_prices(mdp, iterations=50).upper,
    "online": lambda mdp: planning.online_bound(mdp).upper,
    "online from samples": lambda mdp: planning.online_bound(mdp, trajectories=20).upper,
    "best": lambda mdp: planning.submodular_upper_bound(mdp).upper,
    "truncated search": lambda mdp: planning.truncated_search(mdp).upper,
    "priced search": lambda mdp: planning.priced_search(mdp).upper,
    "branch and bound": lambda mdp: planning.branch_and_bound(mdp).upper,
    "integer": lambda mdp: planning.integer_optimum(mdp),
}


def problems(objective, repeats):
    """A deterministic one, and a random one with a random start."""
    yield SubmodularMDP(np.eye(S)[RNG.integers(S, size=(S, A))], np.eye(S)[0], objective, H, repeats=repeats)
    yield SubmodularMDP(RNG.dirichlet(np.ones(S), (S, A)), RNG.dirichlet(np.ones(S)), objective, H, repeats=repeats)


def optimum(mdp):
    """The best policy that may remember everything, by trying every action after every history."""
    P = mdp.probabilities[0]

    def best(history):
        if len(history) == H + 1:
            return mdp.value(np.array(history))
        return max(sum(P[history[-1], a, t] * best((*history, t)) for t in range(S) if P[history[-1], a, t] > 0) for a in range(A))

    return sum(mdp.initial[s] * best((s,)) for s in range(S) if mdp.initial[s] > 0)


def found_or_refusal(function, mdp):
    """The bound, or the text of its error."""
    try:
        return function(mdp)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(("name", "repeats"), list(product(OBJECTIVES, (False, True))))
def test_bounds_hold_or_refuse(name, repeats):
    objective = OBJECTIVES[name]()
    if repeats and not objective.allows_copies:
        return
    for mdp in problems(objective, repeats):
        opt, held = optimum(mdp), set()
        for bound, function in BOUNDS.items():
            upper = found_or_refusal(function, mdp)
            if isinstance(upper, str):
                assert upper.startswith(("the objective must be", "mdp must")), bound
            else:
                held.add(bound)
                assert upper >= opt * (1 - 1e-9) - 1e-12, bound
        if name in CONTROLS:
            assert held <= {"truncated search"}  # whose bound is what it has seen, or F of everything
        else:
            assert {"cuts", "best", "online"} <= held
            trace = algorithms.SubPO(batch=5).run(mdp, 3, seed=0)
            assert 0 <= trace.parameters["share"] <= 1
            best = BOUNDS["best"](mdp)
            for special in held & {"concave", "cuts", "coverage entries"}:
                assert best <= BOUNDS[special](mdp) * (1 + 1e-3) + 1e-9, special


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_no_share_is_reported_where_no_bound_holds(name):
    mdp = next(problems(OBJECTIVES[name](), False))
    parameters = algorithms.SubPO(batch=5).run(mdp, 3, seed=0).parameters
    assert np.isnan(parameters["share"])
    assert parameters["bound_method"] == "none"
