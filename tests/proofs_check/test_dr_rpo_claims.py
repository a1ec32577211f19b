"""The plans that DR-RPO's claims look at are the learner's own."""

import numpy as np
import pytest

from proofs_check.claims.robust_linear import dr_rpo_runs as runs
from tabular_rl.algorithms import DRRPO


@pytest.mark.parametrize("name", sorted(runs._WORLDS))
def test_the_stopped_run_is_the_learners(name):
    mdp, tau = runs._WORLDS[name]()
    _, cap, made = runs.plans_of(mdp, 60, np.random.default_rng(3), tau, 0.5, (20, 59))
    trace = DRRPO(tau=tau, scale=0.5, delta=runs.DELTA, evaluate_every=60).run(mdp, 60, 3)
    np.testing.assert_allclose(made[59].policy, trace.policy, atol=1e-9)
    assert runs.certified_gap(mdp, made[59], cap) == pytest.approx(runs._allowed(trace)[-1], abs=1e-9)
