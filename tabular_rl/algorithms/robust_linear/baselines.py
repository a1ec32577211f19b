"""Relatives of DR-RPO in the same loop, with the same draws: value-based, not robust, or by mirror descent (dr_rpo spec, section 5)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tabular_rl.algorithms.robust_linear.dr_rpo import DRRPO
from tabular_rl.models import RobustLinearMDP
from tabular_rl.models import validation as check

__all__ = ["DRLSVIUCB", "LSVIUCB", "LinearOPPO"]


@dataclass(frozen=True)
class DRLSVIUCB:
    """Robust, greedy: DR-RPO at tau = 0 (Liu, Xu 2024; here with clipped factors). ``scale`` as there; 1 is the theory's."""

    plays = RobustLinearMDP
    unit = "episode"
    series = DRRPO.series

    scale: float = 0.1
    rare: bool = False

    def __post_init__(self):
        check.rate("scale", self.scale, zero=True)
        check.flag("rare", self.rare)

    def run(self, problem, n, seed=0):
        """See ``DRRPO.run``."""
        return DRRPO(tau=0.0, scale=self.scale, rare=self.rare).run(problem, n, seed)


@dataclass(frozen=True)
class LSVIUCB:
    """Optimistic least squares without robustness (Jin, Yang, Wang, Jordan 2020): bonus beta |phi| in the norm of Lambda^-1.

    ``beta`` >= 0 is a practical constant; the theory's is c d H sqrt(log(2 d T / delta)) with c unspecified. Values are clipped at H - h.
    Regret is the nominal one.
    """

    plays = RobustLinearMDP
    unit = "episode"
    series = DRRPO.series

    beta: float = 1.0
    rare: bool = False

    def __post_init__(self):
        check.rate("beta", self.beta, zero=True)
        check.flag("rare", self.rare)

    def run(self, problem, n, seed=0):
        """See ``DRRPO.run``; the radius of ``problem`` is ignored."""
        problem = self.plays.of(problem)
        beta = np.full(problem.horizon, float(self.beta))
        learner = DRRPO(tau=0.0, radius=0.0, beta=beta, bonus="elliptical", factor_clip=False, shrink=False, rare=self.rare)
        return learner.run(problem, n, seed)


@dataclass(frozen=True)
class LinearOPPO:
    """Optimistic policy optimization: pi_k proportional to pi_{k-1} exp(eta Q_{k-1}) (Cai et al. 2020, for mixtures; here least squares).

    [reconstructed] ``eta``: default sqrt(2 log A / (H^2 K)). ``robust`` evaluates against the problem's radius (DR-mirror, an ablation
    without any bound: the worst case moves with k, and mirror descent's sum does not telescope).
    """

    plays = RobustLinearMDP
    unit = "episode"
    series = DRRPO.series
    examples = ({"robust": True},)

    beta: float = 1.0
    eta: float | None = None
    robust: bool = False
    rare: bool = False

    def __post_init__(self):
        check.rate("beta", self.beta, zero=True)
        check.flag("robust", self.robust)
        check.flag("rare", self.rare)
        if self.eta is not None:
            check.rate("eta", self.eta)

    def run(self, problem, n, seed=0):
        """See ``DRRPO.run``; nominal values and an elliptical bonus, or with ``robust`` the worst case and the factor bonus."""
        problem = self.plays.of(problem)
        H, _, A = problem.shape
        eta = self.eta or float(np.sqrt(2 * np.log(max(A, 2)) / (H**2 * check.integer("n", n, 1))))
        options: dict[str, Any] = {} if self.robust else {"radius": 0.0, "bonus": "elliptical", "factor_clip": False, "shrink": False}
        learner = DRRPO(tau=0.0, beta=np.full(H, float(self.beta)), update="mirror", eta=eta, rare=self.rare, **options)
        return learner.run(problem, n, seed)
