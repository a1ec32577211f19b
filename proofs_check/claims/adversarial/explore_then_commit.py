"""Explore-then-commit: what exploration costs, and how seldom it misleads (Lattimore, Szepesvari 2020, theorem 6.1).

Proof: the regret of a run is that of its exploration plus the gap of the chosen arm in every later round. Arm a is chosen over the best
one only if m differences of losses, of mean D_a, add up to at most 0: 2m independent numbers in [0, 1] are off by m D_a, which has
probability at most exp(-m D_a^2) (Hoeffding 1963).
"""

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, claim, identity, theorem
from proofs_check.strategies import simplex_points
from tabular_rl import instances, losses
from tabular_rl.algorithms.adversarial.explore_then_commit import ExploreThenCommit
from tabular_rl.algorithms.adversarial.uniform import Uniform

SOURCE = "Lattimore, Szepesvari 2020, theorem 6.1"


def _bandit(means):
    """The stochastic bandit with mean losses ``means`` [A]."""
    return losses.stochastic(instances.bandit(len(means)), np.reshape(means, (1, 1, -1)))


@claim("explore-then-commit.decomposition", kind=identity, source=SOURCE, provenance="classical",
       given=(simplex_points(), st.integers(1, 4), st.integers(1, 40), st.integers(0, 9)), control={"exploration": 0})  # fmt: skip
def decomposition(means, m, n, seed, exploration=1):
    """Regret = gaps of the arms explored in turn + (n - m A)^+ times the gap of the arm committed to, on every run.

    Control: exploration is free.
    """
    trace = ExploreThenCommit(m).run(_bandit(means), n, seed)
    gaps, explored = means - means.min(), min(n, m * len(means))
    committed = gaps[trace.policy[0, 0].argmax()]
    return trace["regret"][-1], exploration * gaps[np.arange(explored) % len(means)].sum() + (n - explored) * committed, n


BANDITS = {
    "two arms": lambda: (np.array([0.7, 0.3]), 20, 1_000),
    "many good arms": lambda: (np.array([0.9, 0.3, 0.3, 0.25]), 30, 2_000),
    "a small gap": lambda: (np.array([0.6, 0.4]), 20, 100),
}


@claim("explore-then-commit.regret", kind=Expectation(replicates=400), source=f"{SOURCE} by Hoeffding", provenance="derived",
       given=BANDITS, control={"commits": False})  # fmt: skip
def regret(means, m, n, rng, commits=True):
    """E regret <= sum_a D_a (m + (n - m A) exp(-m D_a^2)), where n >= m A.  Control: a learner that explores and never commits."""
    learner, gaps = ExploreThenCommit(m) if commits else Uniform(), means - means.min()
    runs = [learner.run(_bandit(means), n, seed)["regret"][-1] for seed in rng.integers(2**32, size=50)]
    bound = gaps @ (m + (n - m * len(means)) * np.exp(-m * gaps**2))
    return np.array(runs), bound, 0.0, n * gaps.max()


theorem(
    "explore-then-commit",
    statement=r"With $m$ rounds of exploration per arm, the expected regret after $n \ge mA$ rounds is at most "
    r"$\sum_a \Delta_a \left(m + (n - mA) e^{-m \Delta_a^2}\right)$.",
    source=SOURCE,
    provenance="derived",
    claims=("explore-then-commit.decomposition", "explore-then-commit.regret"),
    uses={"explore-then-commit.regret": ("explore-then-commit.decomposition",)},
)
