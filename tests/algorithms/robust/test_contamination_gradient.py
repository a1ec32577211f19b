"""Smoothed policy gradient for contamination: its fixed point, gradient, bias and descent, against plain NumPy; DRPG as its limit."""

import numpy as np
import pytest

from tabular_rl import RobustMDP, ambiguity, instances
from tabular_rl.algorithms import DRPG, ContaminationGradient
from tabular_rl.planning import robust_evaluate, solve

S, A, DISCOUNT = 5, 3, 0.9
FRACTION = np.random.default_rng(7).uniform(0.1, 0.5, (S, A))


def problem(moves=True, seed=0, fraction=FRACTION):
    draws = instances.draw_garnet(S, A, 3, seed)
    cost = draws.cost if moves else draws.cost[:, :, 0]
    return RobustMDP(draws.nominal, cost, DISCOUNT, draws.initial, ambiguity.Contamination(fraction))


def smoothed_objective(mdp, policy, sigma):
    """J_sigma by plain iteration, of policies that need not be normalized."""
    cost = np.broadcast_to(mdp.cost[:, :, None], (S, A, S)) if mdp.cost.ndim == 2 else mdp.cost
    share, values = np.broadcast_to(mdp.ambiguity.fraction, (S, A)), np.zeros(S)
    for _ in range(600):
        z = cost + DISCOUNT * values
        top = z.max(axis=2)
        soft = top + DISCOUNT / sigma * np.log(np.exp(sigma / DISCOUNT * (z - top[:, :, None])).sum(axis=2))
        values = (policy * ((1 - share) * (mdp.nominal * z).sum(axis=2) + share * soft)).sum(axis=1)
    return mdp.initial @ values


@pytest.mark.parametrize("moves", [False, True])
def test_the_fixed_point_and_its_gradient(moves):
    mdp, policy = problem(moves), instances.garnet_policy(S, A)
    for sigma in (0.5, 20.0):
        trace = ContaminationGradient(sigma, scale=1e-6, start=policy, keep=True).run(mdp, 1)
        assert trace["smoothed"][0] == pytest.approx(smoothed_objective(mdp, policy, sigma), abs=1e-10)
        assert trace["objective"][0] == pytest.approx(robust_evaluate(mdp, policy).objective, abs=1e-10)
        assert 0 <= trace["smoothed"][0] - trace["objective"][0] <= trace.parameters["bias"]
        ahead, behind = (np.empty((S, A)) for _ in range(2))
        for index in np.ndindex(S, A):
            for out, h in ((ahead, 1e-6), (behind, -1e-6)):
                moved = policy.copy()
                moved[index] += h
                out[index] = smoothed_objective(mdp, moved, sigma)
        gradient = (ahead - behind) / 2e-6
        assert trace["gradient"][0] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
        # one tiny step moves along the gradient without its component off the simplex
        step = (trace.parameters["policies"][0] - trace.parameters["policies"][1]) / 1e-6
        np.testing.assert_allclose(step, gradient - gradient.mean(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_small_steps_never_go_up_and_the_bound_of_the_curvature_holds(seed):
    mdp = problem(seed=seed)
    trace = ContaminationGradient(5.0, "smooth", start=instances.garnet_policy(S, A, seed), keep=True).run(mdp, 200)
    assert np.all(np.diff(trace["smoothed"]) <= 1e-12)
    moved = (np.diff(trace.parameters["policies"], axis=0) ** 2).sum(axis=(1, 2))
    assert np.all(np.diff(trace["smoothed"]) <= -0.5 * trace.parameters["smoothness"] * moved + 1e-12)  # sufficient descent


def test_sharp_smoothing_is_drpg():
    mdp, start = problem(), instances.garnet_policy(S, A)
    sharp = ContaminationGradient(1e5, start=start).run(mdp, 50)
    exact = DRPG(rule="constant", scale=0.25, start=start).run(mdp, 50)
    np.testing.assert_allclose(sharp["objective"], exact["objective"], atol=1e-3)
    assert sharp["objective"][-1] == pytest.approx(solve(mdp, tolerance=1e-9).objective, rel=0.05)


def test_drpg_follows_a_derivative_where_the_worst_state_is_unique():
    """The contamination's subgradient is the gradient: the worst next state does not change in a small neighborhood."""
    mdp, policy = problem(moves=False), instances.garnet_policy(S, A)
    drpg = DRPG(rule="constant", scale=1e-7, start=policy, keep=True).run(mdp, 1)
    step = (drpg.parameters["policies"][0] - drpg.parameters["policies"][1]) / 1e-7
    toward = step / np.linalg.norm(step)
    high, low = (robust_evaluate(mdp, policy + h * toward).objective for h in (1e-5, -1e-5))
    assert (high - low) / 2e-5 == pytest.approx(np.sum(step * toward), rel=1e-6)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_nothing_or_everything_contaminated(fraction):
    mdp = problem(moves=False, fraction=fraction)
    trace = ContaminationGradient(50.0).run(mdp, 30)
    assert trace.parameters["converged"]
    assert trace.parameters["bias"] >= trace["smoothed"][-1] - trace["objective"][-1] >= -1e-12
    assert trace["objective"][-1] >= solve(mdp, tolerance=1e-9).objective - 1e-9


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ContaminationGradient(0), ValueError, "sigma must"),
        (lambda: ContaminationGradient(rule="theory"), ValueError, "rule must be one of"),
        (lambda: ContaminationGradient(scale=-1), ValueError, "scale must"),
        (lambda: ContaminationGradient(start=[[1.0]]).run(problem(), 1), ValueError, "start must have shape"),
        (lambda: ContaminationGradient().run(problem(), 0), ValueError, "n must be at least 1"),
        (lambda: ContaminationGradient().run(instances.pennies(), 1), TypeError, "needs the set Contamination"),
        (lambda: ContaminationGradient().run(instances.chain(), 1), TypeError, "problem must be a RobustMDP"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()
