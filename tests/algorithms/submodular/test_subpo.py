"""SubPO against plain NumPy, the enumeration of all trajectories and finite differences; its variants; its errors."""

import numpy as np
import pytest

from tabular_rl import planning
from tabular_rl.algorithms import HistoryGreedy, RandomWalk, SubPO
from tabular_rl.algorithms.submodular.starts import starting_logits, tracking_actions
from tabular_rl.algorithms.submodular.subpo import softmax_policy
from tabular_rl.instances import submodular as shelf
from tabular_rl.models import SubmodularMDP
from tabular_rl.planning.simulation import sample_trajectories
from tabular_rl.submodular import Modular

PROBLEM = shelf.tiny(2, 3, 3, 0.3, "2x2", seed=1)


def enumerate_paths(problem, policy):
    """states [m, H + 1], actions [m, H], probabilities [m] of all trajectories."""
    H, S, _ = problem.shape
    P = problem.probabilities
    states, actions, weight = np.arange(S)[:, None], np.zeros((S, 0), int), problem.initial
    for h in range(H):
        s = states[:, -1]
        joint = weight[:, None, None] * policy[h, s][:, :, None] * P[h, s]
        keep, a, t = np.nonzero(joint)
        states, actions, weight = np.column_stack([states[keep], t]), np.column_stack([actions[keep], a]), joint[keep, a, t]
    return states, actions, weight


def exact_value(problem, policy):
    states, _, weight = enumerate_paths(problem, policy)
    return weight @ problem.value(states)


def scores(problem, policy, states, actions):
    """[m, H, S, A] gradients of log policy along trajectories."""
    H, S, A = problem.shape
    found = np.zeros((len(states), H, S, A))
    rows = np.arange(len(states))
    for h in range(H):
        found[rows, h, states[:, h]] -= policy[h, states[:, h]]
        found[rows, h, states[:, h], actions[:, h]] += 1
    return found


def returns(problem, states, weights, lookahead=None):
    """[m, H] what weighs the score of each step, from differences of F."""
    H = problem.horizon
    prefix = [problem.objective.value(np.where(np.arange(H + 1) <= j, states, -1), distinct=True) for j in range(H + 1)]
    prefix = np.stack(prefix, axis=1)
    if weights == "full":
        return np.repeat(prefix[:, -1:], H, axis=1)
    if weights == "prefix":
        return prefix[:, 1:]
    ends = [min(h + (1 if weights == "myopic" else lookahead or H), H) for h in range(H)]
    return np.stack([prefix[:, ends[h]] - prefix[:, h] for h in range(H)], axis=1)


def expected_direction(problem, policy, weights, lookahead=None):
    """[H, S, A] expectation of SubPO's first direction, by enumeration."""
    states, actions, weight = enumerate_paths(problem, policy)
    weighed = scores(problem, policy, states, actions) * returns(problem, states, weights, lookahead)[..., None, None]
    return np.einsum("m,mhsa->hsa", weight, weighed)


def finite_differences(problem, theta, step=1e-5):
    H, _, A = problem.shape
    states, actions, weight = enumerate_paths(problem, np.full(problem.shape, 1 / A))
    worth = weight * A**H * problem.value(states)

    def J(logits):
        return worth @ np.prod(softmax_policy(logits)[np.arange(H), states[:, :-1], actions], axis=1)

    assert J(theta) == pytest.approx(exact_value(problem, softmax_policy(theta)), rel=1e-12)
    found = np.zeros(theta.shape)
    for index in np.ndindex(theta.shape):
        shift = np.zeros(theta.shape)
        shift[index] = step
        found[index] = (J(theta + shift) - J(theta - shift)) / (2 * step)
    return found


def sampled_direction(problem, theta, weights, batch, lookahead=None):
    """SubPO's direction in its first iteration, read off the policies before and after one step of rate 1; centered rows."""
    trace = SubPO(batch=batch, learning_rate=1.0, weights=weights, lookahead=lookahead, init=theta).run(problem, 2, seed=3)
    move = np.log(trace.policy) - np.log(softmax_policy(theta))
    return move - move.mean(axis=-1, keepdims=True)


THETA = np.random.default_rng(0).standard_normal(PROBLEM.shape)


def test_gains_to_go_give_the_gradient():
    policy = softmax_policy(THETA)
    gradient = finite_differences(PROBLEM, THETA)
    np.testing.assert_allclose(expected_direction(PROBLEM, policy, "togo"), gradient, atol=1e-8)
    np.testing.assert_allclose(expected_direction(PROBLEM, policy, "full"), gradient, atol=1e-8)
    prefix = expected_direction(PROBLEM, policy, "prefix")
    np.testing.assert_allclose(prefix, expected_direction(PROBLEM, policy, "myopic"), atol=1e-12)
    assert np.abs(prefix - gradient).max() > 0.05 * np.abs(gradient).max()


@pytest.mark.parametrize(("weights", "lookahead"), [("togo", None), ("togo", 2), ("full", None), ("prefix", None), ("myopic", None)])
def test_the_sampled_direction_is_unbiased_for_its_own_weights(weights, lookahead):
    batch, largest = 400_000, PROBLEM.table()[-1]
    found = sampled_direction(PROBLEM, THETA, weights, batch, lookahead)
    expected = expected_direction(PROBLEM, softmax_policy(THETA), weights, lookahead)
    radius = largest * np.sqrt(2 * np.log(2 * THETA.size / 1e-6) / batch)  # Hoeffding and a union bound, at 1e-6
    assert np.abs(found - (expected - expected.mean(axis=-1, keepdims=True))).max() <= 2 * radius  # centered: twice at most
    gradient = expected_direction(PROBLEM, softmax_policy(THETA), "togo")
    accepted = np.abs(found - (gradient - gradient.mean(axis=-1, keepdims=True))).max() <= 2 * radius
    assert accepted == (weights in ("togo", "full")) or lookahead == 2  # whose bias is too small to be seen here


def test_gains_to_go_vary_less_than_whole_returns_when_f_is_monotone():
    policy = softmax_policy(THETA)
    states, actions, weight = enumerate_paths(PROBLEM, policy)
    score = scores(PROBLEM, policy, states, actions)
    second = {w: np.einsum("m,mhsa->hsa", weight, (score * returns(PROBLEM, states, w)[..., None, None]) ** 2) for w in ("togo", "full")}
    assert np.all(second["togo"] <= second["full"] + 1e-12)
    assert second["togo"].sum() < 0.8 * second["full"].sum()


def replay(algorithm, problem, n, seed):
    """Values and policy of SubPO in plain NumPy, from the trajectories that its key draws."""
    H, S, A = problem.shape
    theta = starting_logits(problem, algorithm.init, algorithm.path, algorithm.kappa)
    b, cb, m, v = np.zeros((H, S)), np.zeros((H, S)), np.zeros((H, S, A)), np.zeros((H, S, A))
    key = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    values = []
    for it in range(n):
        policy = softmax_policy(theta)
        states, actions, gains = draw(problem, policy, key, it, algorithm.batch)
        values.append(gains.sum(axis=1).mean())
        if algorithm.modular:
            gains = problem.additive_reward[np.arange(H + 1), states]
        window = algorithm.windows(H)
        window = window[it * len(window) // n]
        R = np.stack([gains[:, low:high].sum(axis=1) for low, high in window], axis=1)
        G, N, V, C = np.zeros((H, S, A)), np.zeros((H, S)), np.zeros((H, S)), np.zeros((H, S))
        for i in range(len(states)):
            for h in range(H):
                s, a = states[i, h], actions[i, h]
                G[h, s, a] += R[i, h] - b[h, s]
                N[h, s] += R[i, h] - b[h, s]
                V[h, s] += R[i, h]
                C[h, s] += 1
        gradient = (G - policy * N[..., None]) / len(states)
        log = np.log(np.maximum(policy, 1e-300))
        entropy = -policy * (log - np.sum(policy * log, axis=-1, keepdims=True))
        gradient += algorithm.entropy / (1 + it / algorithm.entropy_decay) * C[..., None] / len(states) * entropy
        if algorithm.optimizer == "sgd":
            theta = theta + algorithm.learning_rate * gradient
        elif algorithm.optimizer == "npg":
            theta = theta + algorithm.learning_rate * gradient * len(states) / np.maximum(C, 1)[..., None]
        else:
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            theta = theta + algorithm.learning_rate * (m / (1 - 0.9 ** (it + 1))) / (np.sqrt(v / (1 - 0.999 ** (it + 1))) + 1e-8)
        theta = np.clip(theta, -50, 50)
        if algorithm.baseline:
            cb = np.where(C > 0, 0.5 * cb + C, cb)
            b = b + np.divide(V - C * b, cb, out=np.zeros((H, S)), where=C > 0)
    return np.array(values), policy


def draw(problem, policy, key, batch, n):
    from tabular_rl.kernels.submodular.objectives import workspace
    from tabular_rl.kernels.submodular.rollouts import Batch, rollouts

    H = problem.horizon
    found = np.empty((n, H + 1), np.int64), np.empty((n, H), np.int64), np.empty((n, H + 1))
    work = workspace(problem.objective.packed, problem.objective.n_elements, H + 1)
    with np.errstate(over="ignore"):
        rollouts(problem.world, problem.objective.packed, work, policy, key, batch, 0, Batch(*found))
    return found


@pytest.mark.parametrize(
    "algorithm",
    [
        SubPO(),
        SubPO(optimizer="npg", learning_rate=0.5),
        SubPO(optimizer="adam", learning_rate=0.1, baseline=False),
        SubPO(lookahead=(1, 2, None), entropy=0.3, entropy_decay=2.0),
        SubPO(modular=True, weights="full"),
        SubPO(weights="prefix", learning_rate=1000.0),
        SubPO(init="modpo", kappa=1.0, optimizer="adam", learning_rate=0.2, entropy=0.1),
    ],
    ids=["sgd", "npg", "adam", "schedule", "modpo", "clipped", "start"],
)
@pytest.mark.parametrize("problem", [PROBLEM, shelf.random_problem(4, 3, 3, "ddesign", seed=2)], ids=["grid", "random"])
def test_a_run_is_its_replay(algorithm, problem):
    from dataclasses import replace

    algorithm = replace(algorithm, batch=20)
    trace = algorithm.run(problem, 7, seed=4)
    values, policy = replay(algorithm, problem, 7, 4)
    np.testing.assert_allclose(trace["sampled_value"], values, rtol=1e-10)
    if trace.parameters["kept"] == "end":
        np.testing.assert_allclose(trace.policy, policy, rtol=1e-7, atol=1e-9)


def test_the_same_seed_gives_the_same_trace_and_restarts_are_independent_runs():
    one, two = (SubPO(batch=30).run(PROBLEM, 20, seed=seed) for seed in (1, np.random.SeedSequence(1)))
    np.testing.assert_array_equal(one["sampled_value"], two["sampled_value"])
    np.testing.assert_array_equal(one.policy, two.policy)
    assert not np.array_equal(one.policy, SubPO(batch=30).run(PROBLEM, 20, seed=2).policy)
    several = SubPO(batch=30, restarts=3).run(PROBLEM, 20, seed=1)
    finals = several.parameters["restart_values"]
    assert len(set(finals)) == 3
    assert finals[0] == one.parameters["final_value"]
    assert several.parameters["final_value"] == max(finals)
    assert several.parameters["environment_steps"] == 3 * 20 * 30 * 3


def test_a_trace_tells_the_story():
    trace = SubPO(batch=50).run(PROBLEM, 30)
    assert trace.index_name == "iteration"
    assert trace["environment_steps"].tolist() == [150 * k for k in range(1, 31)]
    assert np.all(np.diff(trace["best_value"]) >= 0)
    assert np.all(trace["best_value"] >= trace["sampled_value"])
    parameters = trace.parameters
    assert PROBLEM.value(parameters["path_states"]) == pytest.approx(parameters["path_value"])
    assert parameters["path_value"] == trace["best_value"][-1]
    assert parameters["final_value"] == pytest.approx(trace["sampled_value"][-5:].mean())
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
    assert trace.policy.shape == PROBLEM.shape


def test_a_run_reports_its_share_of_what_is_possible():
    for trace in (SubPO(batch=50).run(PROBLEM, 5), HistoryGreedy().run(PROBLEM, 50), RandomWalk().run(PROBLEM, 50)):
        report = trace.parameters
        assert report["bound_method"] == "prices"
        assert report["share"] == report["final_value"] / report["upper_bound"]
        assert report["upper_bound"] >= planning.history_optimum(PROBLEM).value
    assert "share" not in SubPO(batch=50, certify=False).run(PROBLEM, 2).parameters
    control = SubPO(batch=50).run(shelf.random_problem(4, 2, 3, "cut", seed=0), 2).parameters
    assert control["bound_method"] == "none"
    assert np.isnan(control["share"])


def test_learning_improves_and_history_is_what_modpo_lacks():
    problem = shelf.tiny(3, 4, 7, 0.0, "self", seed=3)
    best = 3.7784  # subpo spec, section 10.1: the exact optimum
    learned = SubPO(optimizer="npg", learning_rate=0.5).run(problem, 400)
    assert exact_value(problem, np.where(learned.output > 1e-3, learned.output, 0)) >= 0.97 * best
    assert SubPO(modular=True).run(problem, 200).parameters["final_value"] < 0.5 * best
    assert RandomWalk().run(problem, 500).parameters["final_value"] < 0.6 * best
    assert HistoryGreedy().run(problem, 20).parameters["final_value"] == pytest.approx(best, abs=1e-4)


def test_path_starts_follow_the_path_and_return_to_it():
    problem = shelf.two_room()
    path = [34]
    for a in [0, *[1] * 6, *[4] * 2, *[1] * 30]:
        path.append(int(problem.successors[path[-1], a]))
    path = np.array(path[:40])
    actions = tracking_actions(problem, path)
    for start in (34, 35, 47):
        states = [start]
        for h in range(39):
            states.append(int(problem.successors[states[-1], actions[h, states[-1]]]))
        assert states[-1] == path[-1]
        assert (np.array(states) == path).all() or start != 34
    trace = SubPO(init="path", path=path, batch=20, kappa=10.0, learning_rate=1e-9).run(problem, 2)
    assert trace["sampled_value"][0] == pytest.approx(problem.value(path), rel=0.1)
    slippery = tracking_actions(shelf.two_room(slip=0.2), path)
    assert np.mean(slippery == actions) > 0.5
    dense = SubmodularMDP(problem.packed_transition, problem.initial, problem.objective, 39)
    np.testing.assert_array_equal(tracking_actions(dense, path), actions)


def test_the_default_path_is_planned():
    problem = shelf.tiny(3, 4, 7, 0.0, "self", 3)
    logits = starting_logits(problem, "path", kappa=30.0)
    played = sample_trajectories(problem, softmax_policy(logits), 5)
    np.testing.assert_allclose(played.values, 3.7784, atol=5e-5)  # the optimum
    trace = SubPO(init="path", kappa=30.0, batch=20).run(problem, 5)
    assert trace.parameters["final_value"] == pytest.approx(3.7784, abs=5e-5)


def test_additive_starts_are_the_additive_optimum():
    problem = shelf.random_problem(4, 3, 3, "coverage", seed=3)
    actions = starting_logits(problem, "modpo", kappa=2.0).argmax(axis=-1)
    modular = SubmodularMDP(problem.transition, problem.initial, Modular(problem.objective.singles), repeats=True)
    rng = np.random.default_rng(0)

    def total(plan):
        states, _, weight = enumerate_paths(modular, np.eye(3)[plan])
        return weight @ modular.value(states)

    assert all(total(actions) >= total(rng.integers(3, size=(3, 4))) - 1e-12 for _ in range(50))


def test_learning_that_ends_below_its_start_returns_the_start():
    problem = shelf.bait(4, 10.0)
    logits = starting_logits(problem, "path", np.array([0, 2, 3, 4, 5]), 20.0)
    trace = SubPO(init=logits, batch=5, learning_rate=1e-12).run(problem, 3)
    assert trace.parameters["kept"] == "end"
    assert trace.parameters["final_value"] == pytest.approx(10)
    for seed in range(20):  # from a start that still varies some seed ends below its first batch
        trace = SubPO(init=logits / 10, batch=4, learning_rate=1e-12).run(problem, 6, seed=seed)
        if trace["sampled_value"][-5:].mean() < trace["sampled_value"][0]:
            assert trace.parameters["kept"] == "start"
            np.testing.assert_allclose(trace.output, softmax_policy(logits / 10))
            return
    raise AssertionError("no seed ended below its start")


def test_numbers_that_are_not_finite_are_located():
    problem = SubmodularMDP(np.array([[0, 0]]), 0, Modular([1e308]), 2, repeats=True)
    with np.errstate(all="ignore"), pytest.raises(RuntimeError, match=r"^theta\[\d, 0\] is not finite after iteration 1"):
        SubPO(batch=4, learning_rate=1e308, weights="full").run(problem, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SubPO(batch=0), ValueError, "batch must be at least 1"),
        (lambda: SubPO(restarts=0), ValueError, "restarts must be at least 1"),
        (lambda: SubPO(learning_rate=0), ValueError, "learning_rate must lie in"),
        (lambda: SubPO(entropy=-1), ValueError, "entropy must lie in"),
        (lambda: SubPO(entropy_decay=0), ValueError, "entropy_decay must lie in"),
        (lambda: SubPO(kappa=-1), ValueError, "kappa must lie in"),
        (lambda: SubPO(optimizer="lbfgs"), ValueError, "optimizer must be one of 'sgd', 'adam', 'npg'"),
        (lambda: SubPO(weights="past"), ValueError, "weights must be one of"),
        (lambda: SubPO(lookahead=0), ValueError, "lookahead must be at least 1"),
        (lambda: SubPO(lookahead=()), ValueError, "lookahead must have at least one phase"),
        (lambda: SubPO(weights="full", lookahead=3), ValueError, "lookahead must be None with weights='full'"),
        (lambda: SubPO(modular=1), TypeError, "modular must be True or False"),
        (lambda: SubPO(init="best"), ValueError, "init must be one of 'uniform', 'modpo', 'path'"),
        (lambda: SubPO(init=np.zeros((1, 2))).run(PROBLEM, 1), ValueError, "init must have shape"),
        (lambda: SubPO(init="path", path=[0, 1]).run(PROBLEM, 1), ValueError, "path must be 4 states from 0 to 5"),
        (lambda: SubPO().run(PROBLEM, 0), ValueError, "n must be at least 1"),
        (lambda: SubPO().run(shelf, 1), TypeError, "problem must be a SubmodularMDP, got module"),
        (lambda: RandomWalk().run(None, 1), TypeError, "problem must be a SubmodularMDP"),
        (lambda: HistoryGreedy().run(PROBLEM, 0), ValueError, "n must be at least 1"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


def test_baselines_leave_a_trace():
    trace = RandomWalk().run(PROBLEM, 200, seed=1)
    played = sample_trajectories(PROBLEM, np.full(PROBLEM.shape, 0.2), 200, seed=1)
    assert trace.parameters["final_value"] == pytest.approx(played.values.mean())
    assert trace["sampled_value"][-1] == pytest.approx(played.values.mean())
    assert trace.index_name == "trajectory"
    np.testing.assert_allclose(trace.policy.sum(axis=-1), 1)
