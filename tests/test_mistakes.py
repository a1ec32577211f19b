"""A plain mistake in one argument is answered by the suite itself, not by NumPy, SciPy or Numba from its depths."""

import inspect
import traceback
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

import tabular_rl
from tabular_rl import algorithms, ambiguity, delays, instances, losses, models, planning, submodular
from tabular_rl.planning.robust import linear as robust_linear
from tabular_rl.planning.submodular import bandit as submodular_bandit

HOME = Path(tabular_rl.__file__).parent
MISTAKES = {
    "None": None,
    "text": "x",
    "nan": np.nan,
    "infinite": np.inf,
    "negative": -1,
    "zero": 0,
    "fraction": 2.5,
    "beyond int64": 10**19,
    "complex": 1j,
    "object": object(),
    "empty": [],
    "ragged": [[1, 2], [3]],
    "dict": {},
    "array": np.ones((2, 2)),
    "nan array": np.full((3, 2), np.nan),
    "class": int,
    "set": {1},
    "masked": np.ma.array([1.0, 2], mask=[0, 1]),
    "sparse": csr_array(eye_array(3)),
    "tuple": (1,),
    "date": np.datetime64("2026-01-01"),
    "no rows": np.zeros((0, 2)),
}


def foreign(call):
    """What went wrong in ``call`` if somebody else than the suite says so."""
    try:
        call()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        own = Path(last.filename).is_relative_to(HOME) and "raise " in last.line and isinstance(error, TypeError | ValueError)
        return None if own else f"{type(error).__name__} {error} at {last.filename}:{last.lineno}"


def defaults(function):
    """All arguments of a function by their defaults; seeds have tests of their own."""
    return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty and name != "seed"}


dense, episodic = instances.random_discounted(3, 2), instances.random_episodic(2, 3, 2)
robust, factored = models.RobustMDP.from_mdp(dense, ambiguity.L1(0.1)), instances.robust_linear.random_linear(3, 2, 2, 2)
world, problem = losses.stochastic(episodic), instances.submodular.random_problem()
bandit = submodular_bandit.bandit_of(instances.submodular.bandit())
policy, means, W, SENSOR = np.full((3, 2), 0.5), 1 - episodic.reward, np.ones(3), [[0], [1, 2], []]
uniform, played = np.full(factored.shape, 1 / 2), np.full(bandit.shape, 1 / bandit.shape[1])
sparse = csr_array(dense.transition.reshape(6, 3))
SETS = [
    (ambiguity.L1, 0.1), (ambiguity.WeightedL1, W, 0.1), (ambiguity.Interval, 0 * W, W), (ambiguity.DensityRatio, 0.5), (ambiguity.KL, 0.1),
    (ambiguity.Wasserstein, 1 - np.eye(3), 0.1), (ambiguity.Contamination, 0.1), (ambiguity.Ellipsoid, W, 0.1),
    (ambiguity.FiniteRows, dense.transition[None]), (ambiguity.SRectangularL2, 0.1), (ambiguity.FiniteKernels, dense.transition[None]),
    (ambiguity.Parametric, np.eye(3), np.ones((3, 2, 1)), np.zeros(3), [1.0], 0.1, 0.1),
]  # fmt: skip
CALLS = [
    (models.FiniteHorizonMDP, episodic.transition, episodic.reward, 0, 2, "abc", "uv"),
    (models.DiscountedMDP, dense.transition, dense.reward, 0.9, 0, "abc", "uv"),
    (models.DiscountedMDP, sparse, dense.reward, 0.9, 0, "abc", "uv"),
    (models.LinearMDP, factored.features, factored.factors, factored.reward, 0),
    (models.RobustMDP, dense.transition, dense.reward, 0.9, 0, ambiguity.L1(0.1), "abc", "uv", (0, 1)),
    (models.RobustLinearMDP, factored.features, factored.factors, factored.reward, factored.fail_state, 0.1, None, 0),
    (models.SubmodularMDP, episodic.transition, 0, submodular.Modular([1.0, 2, 3]), 2, [0, 1, 2], False, 0.0, "abc", "uv"),
    (models.AdversarialMDP, episodic.transition, 0, world.tables, "periodic", (3, 1), True),
    (planning.evaluate, dense, policy),
    (planning.occupancy, episodic, policy),
    (planning.solve, dense, "auto", 1e-3, 1000),
    (planning.solve, robust, "auto", 1e-3, 100),
    (planning.bellman_backup, dense, np.zeros(3)),
    (planning.bellman_backup, episodic, np.zeros((3, 3))),
    (planning.deterministic_policy, [0, 1], 2),
    (planning.dilated_bonus, episodic, policy, np.ones((2, 3)), 1.5),
    (planning.worst_case, [0.0, 1, 2], [0.2, 0.3, 0.5], ambiguity.L1(0.2)),
    (planning.linear_program, dense, "CLARABEL"),
    (planning.robust_evaluate, robust, policy, 1e-6, dense.transition, True, 50),
    (planning.robust_backup, robust, W),
    (planning.gradients, robust, policy, dense.transition),
    (planning.saddle_certificate, robust, policy, dense.transition),
    (robust_linear.robust_linear_solve, factored, 0.1, None, "fail", ("tv", 1.0)),
    (robust_linear.robust_linear_evaluate, factored, uniform, 0.1, None, "fail", None),
    (robust_linear.worst_factors, factored, np.zeros((3, 3))),
    (robust_linear.state_laws, factored, uniform, factored.factors),
    (planning.additive_optimum, problem, problem.additive_reward),
    (planning.natural_block_step, problem, None, 0, 1.0),
    (planning.coverage_prices, problem, 5, None, None),
    (planning.cut_bound, problem, [0, 1]),
    (submodular_bandit.bandit_of, instances.submodular.bandit(), 1e-9),
    (submodular_bandit.relaxed_value, bandit, played),
    (submodular_bandit.bandit_certificate, bandit, played),
    (submodular_bandit.continuous_greedy, bandit, 3),
    (instances.gaps, dense, 1e-6),
    (instances.mixing_time, dense, policy, 0.25),
    (instances.make, "bandit"),
    (losses.stochastic, episodic, means, True),
    (losses.periodic, episodic, means[None], 3, 1, True),
    (losses.phases, episodic, means / 2, 1.6, True),
    (losses.recorded, episodic, means[None], False),
    (delays.uniform, 3),
    (delays.geometric, 3.0),
    (delays.skip, delays.fixed(3), 2),
    (delays.schedule, [1, 2, -1]),
    (delays.fixed(3).sequence, 4),
    (submodular.Coverage, W, SENSOR),
    (submodular.Truncated, [0, 1, -1], [1.0, 2]),
    (submodular.Soft, W, SENSOR, 0.5),
    (submodular.Facility, np.ones((3, 3)), W),
    (submodular.Concave, np.ones((3, 3)), W, "sqrt"),
    (submodular.Entropy, np.eye(3), 1.0, 1.0),
    (submodular.Mixture, 0.5, W * 3, W, SENSOR),
    (submodular.Tabulated, [0.0, 1], 1, True),
    (submodular.check_table, [0.0, 1], 1e-9),
    (submodular.Coverage(W, SENSOR).gains, [0, 1]),
    (submodular.Coverage(W, SENSOR).table, [0, 1]),
    *((lambda *given, kind=kind: models.RobustMDP(dense.transition, dense.reward, 0.9, 0, kind(*given)), *given) for kind, *given in SETS),
]  # fmt: skip


def called(function):
    return getattr(function, "__qualname__", str(function)).replace("<lambda>", "RobustMDP")


@pytest.mark.parametrize("call", CALLS, ids=[f"{i} {called(function)}" for i, (function, *_) in enumerate(CALLS)])
def test_a_mistake_in_one_argument_is_named(call):
    function, *given = call
    assert foreign(lambda: function(*given)) is None
    for place in range(len(given)):
        for name, mistake in MISTAKES.items():
            if name == "class" and function is submodular.Tabulated:
                continue  # a function: it is called
            what = foreign(lambda place=place, mistake=mistake: function(*given[:place], mistake, *given[place + 1 :]))
            assert what is None, f"argument {place}, {name}: {what}"


SLOW = {"taxi", "mountain_car", *(f"submodular.{name}" for name in ("gp30", "bimodal30", "cov30", "entropy30", "steiner", "two_room"))}
NAMED = [entry.function for entry in instances.catalogue() if entry.name not in SLOW]


@pytest.mark.parametrize("function", NAMED, ids=lambda f: f"{f.__module__.rpartition('.')[2]}.{f.__name__}")
def test_a_mistake_in_a_parameter_of_an_instance_is_named(function):
    given = defaults(function)
    for parameter in given:
        for name, mistake in MISTAKES.items():
            if name == "beyond int64" and parameter == "m":
                continue
            what = foreign(lambda parameter=parameter, mistake=mistake: function(**given | {parameter: mistake}))
            assert what is None, f"{parameter}, {name}: {what}"


@pytest.mark.parametrize("kind", algorithms.catalogue().values(), ids=algorithms.catalogue())
def test_a_mistake_in_a_parameter_of_an_algorithm_is_named(kind):
    for parameter in inspect.signature(kind).parameters:
        for name, mistake in MISTAKES.items():
            what = foreign(lambda parameter=parameter, mistake=mistake: kind(**{parameter: mistake}))
            assert what is None, f"{parameter}, {name}: {what}"


def test_what_another_setting_would_use_is_checked_too():
    with pytest.raises(TypeError, match=r"^eta must be a real number, got str 'x'"):
        algorithms.DRRPO(eta="x")
    with pytest.raises(ValueError, match=r"^start must be a rectangular array"):
        algorithms.BestResponses(start=[[1, 2], [3]]).run(robust, 2)


def test_a_parameter_may_be_a_whole_number_of_any_size():
    trace = algorithms.RobustMirrorDescent(growth=10**19).run(robust, 3)
    np.testing.assert_array_equal(trace["objective"], algorithms.RobustMirrorDescent(growth=1e19).run(robust, 3)["objective"])


def test_a_horizon_that_no_array_can_have_is_named():
    for horizon in (10**19, 2**62, 10**17 + 10**18):
        with pytest.raises(ValueError, match=rf"^horizon must be (below|at most) .*, got {horizon}"):
            models.FiniteHorizonMDP(episodic.transition[:1], episodic.reward[:1], horizon=horizon)
        with pytest.raises(ValueError, match=rf"^horizon must be (below|at most) .*, got {horizon}"):
            instances.river_swim(5, horizon=horizon)
