"""Every function that takes a model says what it wants and what it got: the suite's other models, and what is not a model at all."""

import gymnasium
import numpy as np
import pytest
import scipy.sparse as sp
from quantecon.markov import DiscreteDP

from tabular_rl import algorithms, ambiguity, delays, instances, losses, models, planning, submodular
from tabular_rl.algorithms import fitting
from tabular_rl.planning.robust import linear as robust_linear
from tabular_rl.planning.submodular import bandit as submodular_bandit

dense = instances.random_discounted(3, 2)
episodic = instances.random_episodic(2, 3, 2)
MODELS = {
    "FiniteHorizonMDP": episodic,
    "DiscountedMDP": dense,
    "DiscountedMDP sparse": models.DiscountedMDP(sp.csr_array(dense.transition.reshape(6, 3)), dense.reward, 0.9),
    "LinearMDP": instances.linear_mdp(3, 2, 2, 2),
    "RobustMDP": instances.garnet_robust(),
    "RobustLinearMDP": instances.robust_linear.random_linear(),
    "SubmodularMDP": instances.submodular.random_problem(),
    "AdversarialMDP": losses.stochastic(episodic),
    "DelayedMDP": delays.delayed(episodic, delays.fixed(2)),
}
FOREIGN = {
    "NoneType": None,
    "dict": gymnasium.make("FrozenLake-v1").unwrapped.P,
    "TimeLimit": gymnasium.make("FrozenLake-v1"),
    "DiscreteDP": DiscreteDP(np.array(dense.reward), np.array(dense.transition), 0.9),
    "ndarray": dense.transition,
    "tuple": (dense.transition, dense.reward),
    "the class DiscountedMDP": models.DiscountedMDP,
    "the class SubmodularMDP": models.SubmodularMDP,
    "str": "garnet",
    "float": 0.5,
}
FINITE, DISCOUNTED, ROBUST, SUBMODULAR, FACTORED, WORLD, LATE = (
    "FiniteHorizonMDP", "DiscountedMDP", "RobustMDP", "SubmodularMDP", "RobustLinearMDP", "AdversarialMDP", "DelayedMDP",
)  # fmt: skip
POLICY, PATH, L1, FEATURES = np.full((3, 2), 0.5), "unused.csv", ambiguity.L1(0.1), np.ones((3, 2, 1))


def takes(kinds, first="mdp", /, **calls):
    """{name: (kinds, argument, call)} of functions whose ``first`` argument is of these kinds."""
    return {name: (kinds, first, call) for name, call in calls.items()}


def plain(module, *names, with_policy=()):
    """{name: call} of functions of the model alone, or of the model and a policy."""
    calls = {name: getattr(module, name) for name in names}
    return calls | {name: (lambda mdp, name=name: getattr(module, name)(mdp, POLICY)) for name in with_policy}


FUNCTIONS = {
    **takes((FINITE, DISCOUNTED, ROBUST), solve=planning.solve),
    **takes((FINITE, DISCOUNTED), **plain(planning, "linear_program", with_policy=["evaluate"])),
    **takes((FINITE, DISCOUNTED), bellman_backup=lambda mdp: planning.bellman_backup(mdp, np.zeros(3))),
    **takes((FINITE, DISCOUNTED, WORLD, SUBMODULAR), **plain(planning, with_policy=["occupancy", "state_occupancy"])),
    **takes((FINITE, WORLD), dilated_bonus=lambda mdp: planning.dilated_bonus(mdp, POLICY, np.ones((2, 3)))),
    **takes((FINITE, DISCOUNTED), sample_episodes=lambda mdp: planning.sample_episodes(mdp, POLICY, 3)),
    **takes((ROBUST,), **plain(planning, "constants", "optimality_radius", with_policy=["robust_evaluate", "gradients"])),
    **takes((ROBUST,), robust_backup=lambda mdp: planning.robust_backup(mdp, np.zeros(3))),
    **takes((ROBUST,), saddle_certificate=lambda mdp: planning.saddle_certificate(mdp, POLICY, dense.transition)),
    **takes(
        (FACTORED,),
        **plain(
            robust_linear,
            "robust_linear_solve",
            with_policy=["robust_linear_evaluate", "worst_factors", "state_laws", "feature_moments", "factor_coverage"],
        ),
        performance_difference=lambda mdp: robust_linear.performance_difference(mdp, POLICY, POLICY),
    ),
    **takes(
        (SUBMODULAR,),
        **plain(
            planning, "block_ascent", "branch_and_bound", "collected_distribution", "concave_bound", "coverage_bound", "coverage_prices",
            "cut_bound", "greedy_history", "history_optimum", "integer_optimum", "modular_policy", "natural_ascent", "online_bound",
            "priced_search", "projected_ascent", "replan", "submodular_gradient", "submodular_upper_bound", "submodular_value",
            "truncated_search", with_policy=["additive_optimum", "tangent_bound"],
        ),
        natural_block_step=lambda mdp: planning.natural_block_step(mdp, POLICY, 0, 1.0),
        **plain(submodular_bandit, "bandit_of", "nearest_bandit"),
    ),
    **takes((SUBMODULAR,), "problem", sample_trajectories=lambda mdp: planning.sample_trajectories(mdp, POLICY, 3)),
    **takes((FINITE, DISCOUNTED), **plain(instances, "hardness", "gaps", "minimal_gap", "value_span", "visitation_ratio", "reachable")),
    **takes((DISCOUNTED,), **plain(instances, "diameter", with_policy=["mixing_time"])),
    **takes(
        (FINITE, WORLD),
        **plain(losses, "stochastic", "anti_greedy", "phases"),
        periodic=lambda mdp: losses.periodic(mdp, np.zeros((1, 2, 3, 2)), 3),
        recorded=lambda mdp: losses.recorded(mdp, np.zeros((1, 2, 3, 2))),
        switching=lambda mdp: losses.switching(mdp, 3),
        drifting=lambda mdp: losses.drifting(mdp, 3),
        corrupted=lambda mdp: losses.corrupted(mdp, 3),
        block=lambda mdp: losses.block(mdp, 3),
    ),
    **takes((FINITE, WORLD), "world", delayed=lambda mdp: delays.delayed(mdp, delays.none())),
    **takes((FINITE, WORLD), "world", DelayedMDP=lambda mdp: delays.DelayedMDP(mdp, [1])),
    **takes((FINITE, DISCOUNTED), to_gymnasium=models.to_gymnasium),
    **takes((DISCOUNTED,), **plain(models, "to_arrays", "to_quantecon")),
    **takes((DISCOUNTED,), write_csv=lambda mdp: models.write_csv(mdp, PATH), from_mdp=lambda mdp: models.RobustMDP.from_mdp(mdp, L1)),
}  # fmt: skip
for name, kind in algorithms.catalogue().items():
    FUNCTIONS |= takes(
        tuple(model.__name__ for model in fitting.takes(kind)), "problem", **{name: lambda mdp, kind=kind: kind().run(mdp, 3)}
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_kind_of_model_is_named_with_what_is_wanted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds, argument, call = FUNCTIONS[name]
    wrong = [brought for brought in MODELS | FOREIGN if brought.split(" sparse")[0] not in kinds]
    assert len(wrong) >= len(FOREIGN) + 4
    for brought in wrong:
        with pytest.raises(TypeError) as caught:
            call((MODELS | FOREIGN)[brought])
        expected, got = str(caught.value).split(";")[0].split(", got ")
        assert expected.startswith(f"{argument} must be ")
        assert all(f"{'an' if kind[0] == 'A' else 'a'} {kind}" in expected for kind in kinds)
        assert got == brought.split(" sparse")[0]
        assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


def test_the_table_has_every_function_of_planning_that_takes_a_model():
    others = {"deterministic_policy", "worst_case"}
    functions = {name for name in planning.__all__ if callable(thing := getattr(planning, name)) and not isinstance(thing, type)}
    assert functions - others <= FUNCTIONS.keys()
    worlds = {name for name in losses.__all__ if callable(getattr(losses, name))}
    assert worlds <= FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("name", "brought", "remedy"),
    [
        ("evaluate", "LinearMDP", "mdp.tabular is one"),
        ("evaluate", "RobustMDP", "planning.robust_evaluate"),
        ("evaluate", "RobustLinearMDP", "robust_linear_evaluate"),
        ("evaluate", "SubmodularMDP", "planning.submodular_value"),
        ("evaluate", "dict", "instances.from_gymnasium(env, horizon=...) is one"),
        ("evaluate", "TimeLimit", "instances.from_gymnasium(env, horizon=...) is one"),
        ("solve", "DiscreteDP", "models.from_quantecon(mdp) is one"),
        ("solve", "tuple", "models.from_arrays(P, R, horizon=...) is one"),
        ("solve", "the class DiscountedMDP", "give an instance of it"),
        ("solve", "SubmodularMDP", "planning.history_optimum"),
        (
            "dilated_bonus",
            "DiscountedMDP",
            "FiniteHorizonMDP(mdp.transition, mdp.reward, mdp.initial, horizon=..., available=mdp.available) is one",
        ),
        ("robust_evaluate", "DiscountedMDP", "RobustMDP.from_mdp(mdp, ambiguity) is one"),
        ("DRPG", "DiscreteDP", "RobustMDP.from_mdp(models.from_quantecon(problem), ambiguity) is one"),
        ("to_arrays", "RobustMDP", "mdp.against() is one"),
        ("anti_greedy", "LinearMDP", "mdp.tabular is one"),
        ("UCBVI", "DelayedMDP", "problem.world is one"),
        ("sample_trajectories", "FiniteHorizonMDP", "planning.sample_episodes"),
        ("stochastic", "AdversarialMDP", "means are needed"),
        ("mixing_time", "FiniteHorizonMDP", "only a DiscountedMDP has the same transition at every step"),
    ],
)
def test_a_remedy_is_named_where_there_is_one(name, brought, remedy):
    with pytest.raises(TypeError) as caught:
        FUNCTIONS[name][2]((MODELS | FOREIGN)[brought])
    assert remedy in str(caught.value)


def test_the_remedies_are_true():
    assert isinstance(MODELS["LinearMDP"].tabular, models.FiniteHorizonMDP)
    assert isinstance(MODELS[FACTORED].nominal, models.FiniteHorizonMDP)
    mdp = MODELS[ROBUST].against()
    assert isinstance(
        models.FiniteHorizonMDP(mdp.transition, mdp.reward, mdp.initial, horizon=3, available=mdp.available), models.FiniteHorizonMDP
    )
    assert isinstance(models.from_arrays(dense.transition.transpose(1, 0, 2), dense.reward, horizon=3), models.FiniteHorizonMDP)
    assert isinstance(models.RobustMDP.from_mdp(models.from_quantecon(FOREIGN["DiscreteDP"]), L1), models.RobustMDP)
    assert isinstance(models.from_gymnasium(FOREIGN["TimeLimit"], horizon=3), models.FiniteHorizonMDP)
    assert isinstance(losses.stochastic(episodic), models.AdversarialMDP)


def test_sets_and_objectives_are_instances_too():
    with pytest.raises(TypeError, match=r"ambiguity must be a set of tabular_rl.ambiguity, got the class L1; give an instance of it"):
        models.RobustMDP.from_mdp(dense, ambiguity.L1)
    with pytest.raises(TypeError, match=r"ambiguity must be a set of tabular_rl.ambiguity, got float"):
        planning.worst_case([0.0, 1.0], [0.5, 0.5], 0.1)
    with pytest.raises(TypeError, match=r"objective must be one of tabular_rl.submodular, got the class Modular"):
        models.SubmodularMDP(episodic.transition, 0, submodular.Modular)
    with pytest.raises(TypeError, match=r"bandit must be a SubmodularBandit, got SubmodularMDP; planning.submodular.bandit.bandit_of"):
        submodular_bandit.sequential_greedy(MODELS[SUBMODULAR])


def test_a_raw_table_is_not_printed():
    with pytest.raises(TypeError, match=r"^env must carry .*, dict \{.{36}\.\.\. does not$"):
        models.from_gymnasium(FOREIGN["dict"], discount=0.9)


@pytest.mark.parametrize("mdp", [dense, episodic], ids=repr)
@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda v: v[:-1], ValueError, "values must have shape"),
        (lambda v: v * np.nan, ValueError, r"values\[.*\] is nan"),
        (lambda v: v + np.inf, ValueError, r"values\[.*\] is inf"),
        (lambda v: v + 1j, TypeError, "values must be an array of real numbers, got dtype complex128"),
        (lambda v: v.astype(object), TypeError, "values must be an array of numbers"),
        (lambda v: np.ma.array(v, mask=v == 0), TypeError, "its mask would be lost"),
    ],
)
def test_a_backup_checks_its_values(mdp, spoil, error, message):
    values = np.zeros((3, 3) if mdp is episodic else 3)
    planning.bellman_backup(mdp, values)
    with pytest.raises(error, match=message):
        planning.bellman_backup(mdp, spoil(values))


MASKED = np.ma.array(POLICY, mask=[[0, 1]] * 3)
RANDOM = MODELS[SUBMODULAR]


@pytest.mark.parametrize(
    "call",
    [
        lambda: planning.evaluate(dense, MASKED),
        lambda: planning.evaluate(episodic, list(MASKED)),
        lambda: planning.evaluate(dense, np.ma.array([0, 1, 0], mask=[0, 1, 0])),
        lambda: planning.occupancy(dense, MASKED),
        lambda: planning.deterministic_policy(np.ma.array([0, 1], mask=[0, 1]), 2),
        lambda: delays.schedule(np.ma.array([0, 1], mask=[0, 1])),
        lambda: delays.delayed(episodic, np.ma.array([0, 1], mask=[0, 1])),
        lambda: models.DiscountedMDP(dense.transition, [list(row) for row in np.ma.array(dense.reward, mask=True)], 0.9),
        lambda: models.from_arrays(list(np.ma.array(dense.transition.transpose(1, 0, 2), mask=True)), dense.reward, discount=0.9),
        lambda: models.SubmodularMDP(np.ma.array([[0, 1], [1, 0]], mask=True), 0, submodular.Modular([1.0, 1.0]), 2),
        lambda: submodular.Truncated(np.ma.array([0, 0], mask=True), [1.0]),
        lambda: RANDOM.value(np.ma.array(np.zeros(RANDOM.horizon + 1, int), mask=True)),
    ],
)
def test_a_mask_is_never_ignored(call):
    with pytest.raises(TypeError, match="its mask would be lost"):
        call()


def test_remedies_name_functions_that_there_are():
    problem = MODELS[FACTORED]
    with pytest.raises(TypeError, match=r"planning.robust_linear_solve does$"):
        planning.solve(problem)
    with pytest.raises(TypeError, match=r"planning.robust_linear_evaluate has the worst case"):
        planning.evaluate(problem, POLICY)
    assert planning.robust_linear_solve is robust_linear.robust_linear_solve
    assert planning.robust_linear_evaluate is robust_linear.robust_linear_evaluate
