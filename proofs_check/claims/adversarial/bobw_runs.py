"""Best of both worlds on whole runs of the algorithm: its certificate in expectation, its growth in either world (bobw spec, 4.4 and 7)."""

import math

import numpy as np

from proofs_check import Expectation, Rate, claim
from proofs_check.claims.adversarial.bobw_entropy import SOURCE
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds, Uniform
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import solve


def _certified(world, regularizer, entropy="previous"):
    return lambda: (world(), BestOfBothWorlds(regularizer, entropy=entropy))


def _bandit():
    return losses.stochastic(instances.bandit([0.0, 1.0]))


def _random(H, S, A, seed):
    """Transition Dirichlet(1), start 0, losses U[0, 1], drawn in this order."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(S), (H, S, A))
    return FiniteHorizonMDP(P, rng.random((H, S, A)))


_WORLDS = {
    "bandit, tsallis": _certified(_bandit, "tsallis"),
    "bandit, shannon": _certified(_bandit, "shannon", "current"),
    "random (2, 2, 2), tsallis": _certified(lambda: losses.stochastic(_random(2, 2, 2, 1)), "tsallis"),
    "random (2, 2, 2), anti-greedy, tsallis": _certified(lambda: losses.anti_greedy(_random(2, 2, 2, 1)), "tsallis"),
}


@claim("bobw.certificate", kind=Expectation(replicates=450), source=f"{SOURCE} 4.4 (theorem M)", provenance="derived",
       given=_WORLDS, control={"learner": "uniform"})  # fmt: skip
def certificate(world, algorithm, rng, learner="best of both worlds"):
    """E[Reg(p) - certificate] <= 0 for a policy p fixed in advance, the best one for the first table of losses, in either world.

    1000 episodes. Control: the same certificate for a learner that learns nothing.
    """
    n, (H, _, A) = 1_000, world.shape
    mdp = FiniteHorizonMDP(world.transition, 1 - world.tables[0], world.initial)
    p = solve(mdp).policy
    trace = algorithm.run(world, n, int(rng.integers(2**62)), comparator=p)
    regret, promised = trace["comparator_regret"][-1], trace["certificate"][-1]
    if learner == "uniform":
        regret = Uniform().run(world, n)["loss"][-1] - (trace["loss"] - trace["comparator_regret"])[-1]
    most = 1 + math.sqrt(A) * (1 if algorithm.regularizer == "tsallis" else (1 + 2.5 * math.log(A)) / 4)  # b <= R most
    low = -H * n - math.e * n * H * (H + 1) / 2 * most - trace.parameters["initial_term"]
    return regret - promised, 0.0, low, np.inf, promised >= H * n


@claim("bobw.logarithmic", kind=Rate(exponent=0, replicates=24), source=f"{SOURCE} 4.5 (theorem T)", provenance="derived",
       given={"gap instance": lambda: (instances.gap_instance(),)}, control={"adversary": True})  # fmt: skip
def logarithmic(mdp, rng, adversary=False):
    """Against stochastic losses the regret of the theory's constants grows like log T.

    From 3000 to 10^5 episodes. Control: the anti-greedy adversary, against whom it grows like sqrt(T).
    """
    world = losses.anti_greedy(mdp) if adversary else losses.stochastic(mdp)
    trace = BestOfBothWorlds().run(world, 100_000, rng)
    late = trace.index >= 3_000
    return trace.index[late], trace["regret"][late]


@claim("bobw.square-root", kind=Rate(exponent=0.5), source=f"{SOURCE} 4.5 and 7.3", provenance="derived",
       given={"gap instance, anti-greedy": lambda: (losses.anti_greedy(instances.gap_instance()),)},
       control={"learner": "UCBVI"})  # fmt: skip
def square_root(world, rng, learner="best of both worlds"):
    """The same algorithm, with practical constants, against an adaptive adversary: of order sqrt(T) at most.

    The theorem covers policies fixed in advance; the best in hindsight asks for more. From 2 10^4 to 2 10^5 episodes.
    Control: UCBVI, which trusts that losses repeat.
    """
    algorithm = BestOfBothWorlds(scale="practical") if learner != "UCBVI" else UCBVI(transition="known")
    trace = algorithm.run(world, 200_000, rng)
    late = trace.index >= 20_000
    return trace.index[late], trace["regret"][late]
