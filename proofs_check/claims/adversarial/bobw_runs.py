"""Best of both worlds on whole runs of the algorithm: that it is the algorithm, its certificate in expectation, its growth in either world
(bobw spec, 3, 4.4 and 7)."""

import math

import numpy as np
from hypothesis import strategies as st

from proofs_check import Expectation, Rate, claim, identity
from proofs_check.claims.adversarial.bobw_bonus import Constants
from proofs_check.claims.adversarial.bobw_entropy import SOURCE
from proofs_check.claims.adversarial.bobw_replay import Replay, Settings
from proofs_check.claims.adversarial.replaying import WORLDS, world_of
from proofs_check.strategies import MODEL_STYLES, draw, episodic, policies
from tabular_rl import instances, losses
from tabular_rl.algorithms import UCBVI, BestOfBothWorlds, Uniform
from tabular_rl.models import FiniteHorizonMDP
from tabular_rl.planning import solve

CONSTANTS = {
    "theory": {},
    "practical": {"c0": 0.7, "eps": 1.0, "N0": 1.5, "bonus_scale": 0.1},
    "loose": {"c0": 2.0, "eps": 0.3, "N0": 30.0, "bonus_scale": 1.0},
    "steep": {"c0": 6.0, "eps": 1.0, "N0": 1.5, "bonus_scale": 0.0},  # no bonus, and policies that soon are nearly deterministic
}
VARIANTS = (
    ("tsallis", "known", "previous"), ("shannon", "known", "previous"), ("shannon", "known", "current"),
    ("log_barrier", "known", "previous"), ("tsallis", "unknown", "previous"), ("shannon", "unknown", "current"),
)  # fmt: skip
variants, constants = st.sampled_from(VARIANTS), st.sampled_from(["theory", "loose", "practical", "steep", "loose"])
_sizes = st.sampled_from([3, 2, 1, 3])
_models = draw(episodic, _sizes, _sizes, st.sampled_from([2, 3, 1, 2]), st.sampled_from(MODEL_STYLES))


def learner_and_settings(variant, numbers):
    """(the algorithm, the same for its Replay)."""
    (regularizer, transition, entropy), given = variant, CONSTANTS[numbers]
    radii = 1e-3 if transition == "unknown" and numbers in ("practical", "steep") else 1.0  # else no radius is below 1 in a few episodes
    settings = {"transition": transition, "entropy": entropy, "radius_scale": radii}
    learner = BestOfBothWorlds(regularizer, "practical" if given else "theory", **given, **settings)
    own = Constants(given["c0"], given["eps"], given["N0"]) if given else None
    return learner, Settings(regularizer, own, given.get("bonus_scale", 1.0), entropy == "current", transition == "known", None, radii)


@claim("bobw.run", kind=identity, source=f"{SOURCE} 3", provenance="derived",
       given=(_models, policies("comparator"), variants, constants, st.sampled_from(WORLDS), st.integers(0, 2**16)),
       control={"dilated": False})  # fmt: skip
def whole_run(mdp, comparator, variant, numbers, kind, seed, dilated=True):
    """16 episodes of the compiled algorithm are those of the plain NumPy one on the same random numbers: losses, regrets, certificates, the
    bound against a comparator, the last policy and all that is counted; also where losses switch, or all steps have one transition.

    Control: the certificate without 1 + 1/H.
    """
    T, H = 16, mdp.horizon
    learner, settings = learner_and_settings(variant, numbers)
    model, world, means = world_of(mdp, kind)
    trace = learner.run(world, T, seed, comparator=comparator)
    replay = Replay(model, means, T, settings, comparator).run(np.random.default_rng(seed))
    proven = numbers == "theory" or variant in VARIANTS[:2] or variant == VARIANTS[4]  # the others rest on the theory's constants
    loss, k, initial = np.array(replay.loss), settings.bonus_scale, replay.initial
    mixing = (settings.regularizer == "log_barrier") * np.array(replay.mixing)
    series = {"loss": loss, "regret": np.array(replay.regret), "comparator_regret": loss - replay.against}
    if proven and k == 1:
        certificate = np.array(replay.certificate) / (1 if dilated else 1 + 1 / H)
        series["certificate"] = certificate + initial + mixing + (not settings.known)  # 4 delta H T = 1
    if proven and settings.known:
        series["comparator_bound"] = np.array(replay.always) + initial + k * mixing
    counts = {"bonus_ratio": replay.largest, "violations": replay.violations, "clipped": replay.clips, "initial_term": initial}
    counts |= {"entropy_ratio": replay.entropy_ratio} if settings.regularizer == "shannon" else {}
    counts |= {"guarantee": proven and k == 1} | ({} if settings.known else {"epochs": replay.transition.epochs})
    if set(series) != set(trace.series):
        return 0.0, 1.0
    pairs = [(trace[name], series[name][trace.index - 1]) for name in series]
    pairs += [(np.ravel(float(trace.parameters[name])), np.ravel(float(value))) for name, value in counts.items()]
    sizes = [1 + np.abs(plain).max() for _, plain in pairs]
    run, plain = (np.concatenate([pair[side] / size for pair, size in zip(pairs, sizes, strict=True)]) for side in (0, 1))
    return np.append(run, trace.policy), np.append(plain, replay.pi), 1 + replay.amplified


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
       given={"gap instance (2, 2, 2)": lambda: (instances.gap_instance(2, 2, 2),)}, control={"adversary": True})  # fmt: skip
def logarithmic(mdp, rng, adversary=False):
    """Against stochastic losses the regret of the theory's constants grows like log T.

    From 3000 to 10^5 episodes. Control: the anti-greedy adversary, against whom it grows like sqrt(T).
    """
    world = losses.anti_greedy(mdp) if adversary else losses.stochastic(mdp)
    trace = BestOfBothWorlds().run(world, 100_000, rng)
    late = trace.index >= 3_000
    return trace.index[late], trace["regret"][late]


@claim("bobw.square-root", kind=Rate(exponent=0.5), source=f"{SOURCE} 4.5 and 7.3", provenance="derived",
       given={"gap instance (2, 2, 2), anti-greedy": lambda: (losses.anti_greedy(instances.gap_instance(2, 2, 2)),)},
       control={"learner": "UCBVI"})  # fmt: skip
def square_root(world, rng, learner="best of both worlds"):
    """The same algorithm, with practical constants, against an adaptive adversary: of order sqrt(T) at most.

    The theorem covers policies fixed in advance; the best in hindsight asks for more. From 6000 to 60000 episodes.
    Control: UCBVI, which trusts that losses repeat.
    """
    algorithm = BestOfBothWorlds(preset="practical") if learner != "UCBVI" else UCBVI(transition="known")
    trace = algorithm.run(world, 60_000, rng)
    late = trace.index >= 6_000
    return trace.index[late], trace["regret"][late]
