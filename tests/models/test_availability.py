"""Models whose states have different actions: no answer depends on what the arrays hold where a state lacks an action."""

import pickle
from itertools import product

import gymnasium
import numpy as np
import pytest
import scipy.sparse as sp
from quantecon.markov import DiscreteDP

import tabular_rl as trl
from tabular_rl import losses, planning
from tabular_rl.models import (
    AdversarialMDP,
    DiscountedMDP,
    FiniteHorizonMDP,
    RobustMDP,
    from_arrays,
    from_functions,
    from_gymnasium,
    from_quantecon,
    read_csv,
    to_arrays,
    to_gymnasium,
    to_quantecon,
    write_csv,
)

S, A, H = 5, 3, 4


def draws(seed):
    """(P [S, A, S], R [S, A], mask [S, A]): often the missing action is the first, or would be the best."""
    rng = np.random.default_rng(seed)
    mask = rng.random((S, A)) < 0.6
    mask[np.arange(S), rng.integers(A, size=S)] = True
    mask[0] = [False, True, True]
    return rng.dirichlet(np.full(S, 0.5), (S, A)), rng.random((S, A)) + 3 * ~mask, mask


def broken(array, mask):
    """What nobody may look at, made visible."""
    return np.where(mask if array.ndim == mask.ndim else mask[..., None], array, np.nan)


def theirs(P, R, mask, discount):
    """The model as QuantEcon has it: a list of the pairs that exist."""
    s, a = np.nonzero(mask)
    return DiscreteDP(R[s, a], P[s, a], discount, s, a)


def discounted(seed, discount=0.9, sparse=False):
    P, R, mask = draws(seed)
    if sparse:
        rows = sp.csr_array(np.where(mask[..., None], P, 0).reshape(S * A, S))
        return DiscountedMDP(rows, broken(R, mask), discount, available=mask)
    return DiscountedMDP(broken(P, mask), broken(R, mask), discount, available=mask)


seeds = pytest.mark.parametrize("seed", range(8))
forms = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


@seeds
@forms
@pytest.mark.parametrize("method", ["modified_policy_iteration", "policy_iteration", "value_iteration"])
def test_discounted_solvers_agree_with_quantecon(seed, sparse, method):
    P, R, mask = draws(seed)
    reference = theirs(P, R, mask, 0.9).solve(method="policy_iteration")
    mdp = discounted(seed, sparse=sparse)
    solution = planning.solve(mdp, method, tolerance=1e-10)
    np.testing.assert_allclose(solution.values, reference.v, atol=1e-9)
    assert mask[np.arange(S), solution.actions].all()
    np.testing.assert_array_equal(solution.q_values == -np.inf, ~mask)
    np.testing.assert_allclose(planning.evaluate(mdp, solution.actions).values, reference.v, atol=1e-9)


@seeds
def test_gaps_are_those_of_existing_actions(seed):
    mdp = discounted(seed)
    solution = planning.solve(mdp, tolerance="exact")
    uniform = mdp.initial @ (solution.values - planning.evaluate(mdp, mdp.uniform_policy).values)
    assert solution.gap(mdp.uniform_policy) == pytest.approx(uniform, abs=1e-12)
    assert solution.gap(solution.policy) == 0


@seeds
def test_the_linear_program_agrees(seed):
    mdp = discounted(seed)
    program = planning.linear_program(mdp)
    assert program.value == pytest.approx(mdp.initial @ planning.solve(mdp, tolerance=1e-9).values, abs=1e-5)
    assert not program.occupancy[~mdp.available].any()
    assert not program.policy[~mdp.available].any()
    planning.evaluate(mdp, program.policy)


@seeds
@pytest.mark.parametrize("stationary", [True, False])
def test_finite_horizons_agree_with_the_best_of_all_policies(seed, stationary):
    rng = np.random.default_rng(seed)
    mask = rng.random((2, 3, 2)) < 0.6
    mask[..., 1] |= ~mask[..., 0]
    mask = mask[:1].repeat(2, axis=0) if stationary else mask
    P, R = rng.dirichlet(np.ones(3), (3, 2)), rng.random((2, 3, 2)) + 3 * ~mask  # one P for all steps, also where the actions change
    steps = 0 if stationary else slice(None)
    mdp = FiniteHorizonMDP(P, R[steps], rng.dirichlet(np.ones(3)), horizon=2, available=mask[steps])
    best = -np.inf
    for choice in product(range(2), repeat=6):
        actions = np.reshape(choice, (2, 3))
        if np.take_along_axis(mask, actions[..., None], axis=2).all():
            last = R[1 if not stationary else 0, np.arange(3), actions[1]]
            first = R[0, np.arange(3), actions[0]] + P[np.arange(3), actions[0]] @ last
            best = max(best, mdp.initial @ first)
            assert mdp.initial @ planning.evaluate(mdp, actions).values[0] == pytest.approx(mdp.initial @ first, abs=1e-12)
    solution = planning.solve(mdp)
    assert mdp.initial @ solution.values[0] == pytest.approx(best, abs=1e-12)
    assert np.take_along_axis(mask, solution.actions[..., None], axis=2).all()
    assert planning.linear_program(mdp).value == pytest.approx(best, abs=1e-6)
    np.testing.assert_array_equal(solution.q_values == -np.inf, ~mask)


def test_uniform_is_uniform_over_what_exists():
    mdp = discounted(1)
    np.testing.assert_allclose(mdp.uniform_policy, mdp.available / mdp.available.sum(axis=1, keepdims=True))
    episodic = FiniteHorizonMDP(mdp.transition, mdp.reward, 0, horizon=H, available=mdp.available)
    episodes = planning.sample_episodes(episodic, mdp.uniform_policy, 200)
    assert mdp.available[episodes.states, episodes.actions].all()


@pytest.mark.parametrize("policy, message", [
    (np.zeros(S, int), r"policy plays action 0 in state 0, which does not have it, with probability 1"),
    (np.full((S, A), 1 / A), r"policy plays action 0 in state 0, which does not have it, with probability 0.333333"),
])  # fmt: skip
def test_a_policy_names_actions_that_exist(policy, message):
    mdp = discounted(1)
    for function in (planning.evaluate, planning.occupancy, planning.state_occupancy):
        with pytest.raises(ValueError, match=f"^{message}"):
            function(mdp, policy)
    episodic = FiniteHorizonMDP(mdp.transition, mdp.reward, 0, horizon=H, available=mdp.available)
    with pytest.raises(ValueError, match=r"^policy plays action 0 in state 0 at step 0, which does not have it"):
        planning.evaluate(episodic, np.tile(policy, (H, *[1] * policy.ndim)))


def test_a_state_without_any_action_is_an_error_with_a_remedy():
    P, R, mask = draws(0)
    mask[3] = False
    for make in (
        lambda: DiscountedMDP(P, R, 0.9, available=mask),
        lambda: FiniteHorizonMDP(P, R, horizon=2, available=mask),
        lambda: from_arrays(P.transpose(1, 0, 2), np.where(mask, R, -np.inf), discount=0.9),
    ):
        with pytest.raises(ValueError, match=r"^state 3( at step 0)? has no action: give it one; a terminal state stays where it is"):
            make()
    with pytest.raises(ValueError, match=r"^actions of state 1 must not be empty: a state in which nothing can be done is a terminal one"):
        from_functions(None, lambda s: [0] if s == 0 else [], lambda s, a: 1, lambda s, a: 0.0, initial=0, discount=0.9)


@pytest.mark.parametrize("wrong, error, message", [
    (np.ones((S, A + 1), bool), ValueError, r"available must have shape \(5, 3\), got \(5, 4\)"),
    (np.full((S, A), 0.5), TypeError, "available must be an array of True"),
    (np.full((S, A), "yes"), TypeError, "available must be an array of True"),
    (np.ma.masked_array(np.ones((S, A), bool)), TypeError, "available must be an array"),
])  # fmt: skip
def test_a_wrong_mask_is_named(wrong, error, message):
    P, R, _ = draws(0)
    with pytest.raises(error, match=f"^{message}"):
        DiscountedMDP(P, R, 0.9, available=wrong)


def test_all_actions_cost_nothing():
    mdp = trl.instances.garnet()
    assert mdp.has_all_actions
    assert mdp.barred_reward is mdp.reward
    assert mdp.available.strides == (0, 0)
    explicit = DiscountedMDP(mdp.transition, mdp.reward, mdp.discount, available=np.ones(mdp.shape))
    assert explicit.has_all_actions
    assert explicit.available.strides == (0, 0)


@forms
def test_conversions_keep_the_actions(sparse, tmp_path):
    mdp = discounted(2, sparse=sparse)
    write_csv(mdp, tmp_path / "model.csv")
    ways = {
        "csv": read_csv(tmp_path / "model.csv", 0.9),
        "arrays": from_arrays(*to_arrays(mdp), discount=0.9),
        "quantecon": from_quantecon(to_quantecon(mdp)),
        "gymnasium": from_gymnasium(to_gymnasium(mdp), discount=0.9),
        "pickle": pickle.loads(pickle.dumps(mdp)),
        "saved": (trl.save(mdp, tmp_path / "model.npz"), trl.load(tmp_path / "model.npz"))[1],
    }
    for name, again in ways.items():
        np.testing.assert_array_equal(again.available, mdp.available, err_msg=name)
        np.testing.assert_allclose(again.barred_reward, mdp.barred_reward, err_msg=name)
        rows = [m.transition.toarray() if m.is_sparse else m.transition.reshape(S * A, S) for m in (again, mdp)]
        np.testing.assert_array_equal(rows[0][mdp.available.ravel()], rows[1][mdp.available.ravel()], err_msg=name)


@pytest.mark.parametrize("form", ["reward -inf", "reward nan", "row nan", "row zero", "argument"])
def test_arrays_say_it_in_several_ways(form):
    P, R, mask = draws(3)
    given = {}
    if form.startswith("reward"):
        R = np.where(mask, R, -np.inf if "inf" in form else np.nan)
    elif form == "argument":
        given["available"] = mask
    else:
        P = np.where(mask[..., None], P, np.nan if "nan" in form else 0.0)
    for setting in ({"discount": 0.9}, {"horizon": 3}):
        mdp = from_arrays(P.transpose(1, 0, 2), R, **setting, **given)
        np.testing.assert_array_equal(mdp.available if "discount" in setting else mdp.available[1], mask)
    mdp = from_arrays([sp.csr_array(p) for p in np.where(np.isnan(P), 0, P).transpose(1, 0, 2)], R, discount=0.9, **given)
    np.testing.assert_array_equal(mdp.available, mask)
    assert np.isfinite(mdp.reward).all()


def test_functions_say_it(tmp_path):
    has = {"dock": ["charge"], "field": ["mow", "idle"]}
    mdp = from_functions(
        None, has.get, lambda s, a: "dock" if a == "idle" else "field", lambda s, a: float(a == "mow"), initial="dock", discount=0.5
    )
    for s, a in enumerate(planning.solve(mdp).actions):
        assert mdp.actions[a] in has[mdp.states[s]]
    assert mdp.available.tolist() == [[True, False, False], [False, True, True]]


def test_terminal_states_have_all_actions():
    mdp = from_functions(None, [0, 1], lambda s, a: s + 1, lambda s, a: 1.0, initial=0, discount=0.9, terminal=lambda s: s == 3)
    assert mdp.has_all_actions


def test_gymnasium_hears_of_it():
    mdp = discounted(1)
    env = to_gymnasium(mdp, max_episode_steps=20)
    state, info = env.reset(seed=0)
    for _ in range(20):
        np.testing.assert_array_equal(info["action_mask"], mdp.available[state])
        assert info["action_mask"].dtype == np.int8
        missing = np.flatnonzero(~mdp.available[state])
        for action in missing:
            with pytest.raises(ValueError, match=f"^action {action} does not exist in state {state}"):
                env.step(action)
        state, *_, info = env.step(env.action_space.sample(mask=info["action_mask"]))
    assert [sorted(actions) for actions in env.P.values()] == [np.flatnonzero(row).tolist() for row in mdp.available]
    episodic = to_gymnasium(FiniteHorizonMDP(mdp.transition, mdp.reward, 0, horizon=2, available=mdp.available))
    assert isinstance(episodic, gymnasium.Env)
    np.testing.assert_array_equal(episodic.reset()[1]["action_mask"], mdp.available[0])


def test_worlds_keep_the_actions():
    P, R, mask = draws(1)
    mdp = FiniteHorizonMDP(broken(P, mask), broken(np.minimum(R / 4, 1), mask), horizon=H, available=mask)
    worlds = [losses.stochastic(mdp), losses.anti_greedy(mdp), losses.switching(mdp, 3), losses.block(mdp, 3), losses.corrupted(mdp, 3)]
    worlds += [losses.drifting(mdp, 4), losses.stochastic(mdp, np.broadcast_to(broken(R / 4, mask), mdp.shape))]
    for world in worlds:
        np.testing.assert_array_equal(world.available, mdp.available)
        np.testing.assert_array_equal(world.barrier == np.inf, ~mdp.available)
        assert np.isfinite(world.tables).all()
    assert isinstance(pickle.loads(pickle.dumps(worlds[0])), AdversarialMDP)


def test_robust_models_keep_the_actions():
    mdp = discounted(1)
    robust = RobustMDP.from_mdp(mdp, trl.ambiguity.L1(0.2))
    np.testing.assert_array_equal(robust.available, mdp.available)
    np.testing.assert_array_equal(robust.against().available, mdp.available)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(robust)).available, mdp.available)


def test_measures_look_at_what_exists():
    P, R, mask = draws(4)
    mdp = discounted(4)
    reference = theirs(P, R, mask, 0.9)
    v = reference.solve(method="policy_iteration").v
    q = np.full((S, A), -np.inf)
    q[mask] = reference.R + 0.9 * reference.Q @ v
    np.testing.assert_allclose(trl.instances.gaps(mdp), q.max(axis=1, keepdims=True) - q, atol=1e-7)
    assert np.isfinite(trl.instances.hardness(mdp).minimal_gap)
