"""DAPO as it runs: its certificate, the bounds SEQ and JOINT, what it may know when, and what nobody can know (dapo spec 5 to 7)."""

import numpy as np

from proofs_check import Expectation, HighProbability, claim, identity
from proofs_check.strategies import delay_sequences, draw
from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DAPO, DelayedHedge, LinearDAPO, Uniform
from tabular_rl.algorithms.delayed.dapo import KAPPA

_BANDIT = instances.bandit([0.0, 1.0])
_MDP = instances.delay_instance()


def problems(episodes):
    return {
        "bandit, no delay": lambda: (delays.delayed(losses.stochastic(_BANDIT), delays.none()), episodes),
        "random model, delay 5": lambda: (delays.delayed(losses.stochastic(_MDP), delays.fixed(5)), episodes),
        "losses switch, Pareto delays": lambda: (delays.delayed(losses.switching(_MDP, episodes // 2), delays.pareto(5.0)), episodes),
        "losses drift, blackout": lambda: (delays.delayed(losses.drifting(_MDP, episodes), delays.blackout(5.0)), episodes),
        "a tenth never arrives": lambda: (delays.delayed(losses.stochastic(_MDP), delays.missing(0.1)), episodes),
    }


def _regret(problem, episodes, learner, trace):
    return (Uniform().run(problem.world, episodes) if learner == "uniform" else trace)["regret"][-1]


@claim("dapo.certificate", kind=Expectation(replicates=400), source="dapo spec 5.3", provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def certificate(problem, episodes, rng, learner="DAPO"):
    """Sequential batches, theory constants: E[regret - certificate] <= 0, whatever the delays.

    certificate = H log(A) / eta + sum_k [2 sum_h (H - h) <q*_h, TV(pi^k_h, p^k_h)> + (1 + 1/H) <initial, Bbar^k_0>], with q* of the best
    policy in hindsight of an oblivious world. Control: the same certificate for a learner that learns nothing.
    """
    trace = DAPO(batch="sequential").run(problem, episodes, seed=rng)
    H, _, A = problem.shape
    eta, gamma, c = (trace.parameters[name] for name in ("learning_rate", "exploration", "bonus"))
    promised = trace.parameters["certificate"]
    drift, bonus = H * (H + 1), (1 + 1 / H) * c / gamma * H * ((1 + 1 / H) ** H - 1)  # the most that one episode can add
    largest = H * np.log(A) / eta + episodes * (drift + bonus)
    regret = _regret(problem, episodes, learner, trace)
    return regret - promised, 0.0, -H * episodes - largest, np.inf, promised >= H * episodes


def bound_of_runs(algorithm, problem, episodes, rng, learner):
    """The sides of an Expectation: regret of one run, of ``algorithm`` or of the "uniform" learner, against the bound of ``algorithm``."""
    H = problem.shape[0]
    trace = algorithm.run(problem, episodes, seed=rng)
    regret = _regret(problem, episodes, learner, trace)
    return regret, trace.parameters["bound"], -H * episodes, H * episodes, trace.parameters["vacuous"]


@claim("dapo.sequential-bound", kind=Expectation(replicates=200), source="dapo spec 6, SEQ", provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def sequential_bound(problem, episodes, rng, learner="DAPO"):
    """E regret <= H log(A) / eta + (1 + 1/H)^H c H S A K + D~ sum_h [2 (H - h) + (1 + 1/H)^H bmax (H - 1 - h)] delta_h, known transition.

    Control: the bound for a learner that learns nothing.
    """
    return bound_of_runs(DAPO(batch="sequential"), problem, episodes, rng, learner)


@claim("dapo.joint-bound", kind=Expectation(replicates=200), source="dapo spec 6, JOINT", provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def joint_bound(problem, episodes, rng, learner="DAPO"):
    """The bound SEQ with D_out in place of D~, plus D_in sum_h [(H - h) + kappa eta (H - h)^2 / gamma + beta_h (1 + kappa theta)] delta_h.

    Control: the bound for a learner that learns nothing.
    """
    return bound_of_runs(DAPO(batch="joint"), problem, episodes, rng, learner)


def _most_waiting(schedule):
    """max_j |{k : j in N_k}|: of how many episodes the updates while they wait include that of j (dapo spec, L7 and HP)."""
    K, most = len(schedule.arrival), 0
    place, reach = np.argsort(schedule.order), int(schedule.effective.max())
    for j in range(K if reach > 0 else 0):
        later = np.arange(max(0, j - reach), schedule.arrival[j] + 1)
        most = max(most, int(np.sum(place[later] > place[j])))
    return most


@claim("dapo.high-probability-bound", kind=HighProbability(failure=0.05), source="dapo spec 6, HP", provenance="derived",
       given={"bandit, no delay": lambda: (delays.delayed(losses.stochastic(_BANDIT), delays.none()), 10_000),
              "random model, delay 2": lambda: (delays.delayed(losses.stochastic(_MDP), delays.fixed(2)), 500)},
       control={"learner": "uniform"})  # fmt: skip
def high_probability_bound(problem, episodes, rng, learner="DAPO"):
    """With c = gamma H + 2 kappa eta H^2 the regret is at most SEQ(c) + iota [H / (2 kappa eta) + H^2 / (2 gamma) + ...] with probability
    1 - delta, iota = log(5 / delta); delta = 0.05. The second problem's bound is vacuous.

    Control: the bound for a learner that learns nothing.
    """
    H, _, _ = problem.shape
    plan = problem.schedule(episodes)
    eta, gamma, c, _ = DAPO(batch="sequential").resolve(problem.shape, episodes, plan)
    scale = (gamma * H + 2 * KAPPA * eta * H**2) / c
    trace = DAPO(batch="sequential", learning_rate=eta, exploration=gamma, bonus_scale=scale).run(problem, episodes, seed=rng)
    iota, most, dilation = np.log(5 / 0.05), _most_waiting(plan), (1 + 1 / H) ** H
    deviations = H / (2 * KAPPA * eta) + H**2 / (2 * gamma) + KAPPA * eta * H**3 / (2 * gamma**2)
    deviations += eta * H**3 * most / gamma * (1 + dilation * scale * c / gamma / 2)
    bound = DAPO(batch="sequential").bound(problem.shape, episodes, plan, eta, gamma, scale * c)
    return _regret(problem, episodes, learner, trace) <= bound + iota * deviations


def an_episode(first, seed):
    """The number of one of the episodes whose delays are drawn."""
    return int(np.random.default_rng(seed).integers(len(first)))


@claim("dapo.filtration", kind=identity, source="dapo spec L8", provenance="derived",
       given=(delay_sequences(max_episodes=8), draw(an_episode, fit=True)), control={"after": 1})  # fmt: skip
def filtration(d, i, after=0):
    """A path of episode i drawn anew, with its losses, changes no policy up to the arrival of its feedback: pi^k for k <= i + d[i].

    Each policy is seen through its expected loss in its episode. Control: up to one episode more.
    """
    problem = delays.delayed(losses.stochastic(_MDP), d)
    learner = DAPO("practical", learning_rate=0.5, exploration=0.2, batch="sequential" if i % 2 else "joint")
    one, other = (np.diff(learner.run(problem, len(d), seed=i, disturbed=episode)["loss"], prepend=0) for episode in (-1, i))
    last = problem.schedule(len(d)).arrival[i] + 1 + after
    return one[:last], other[:last]


@claim("dapo.zero-information", kind=Expectation(replicates=400, equal=True), source="dapo spec 7.3", provenance="derived",
       given={"blocks of two, one state": lambda: (500,)}, control={"delay": 0})  # fmt: skip
def zero_information(episodes, rng, delay=1):
    """Against blocks of 2 equal fair coins, heard of one episode late, the mean loss of an episode is exactly 1/2 for every learner.

    Control: feedback that arrives one episode early.
    """
    seed = int(rng.integers(2**40))
    problem = delays.delayed(losses.block(_BANDIT, length=2, seed=seed), delays.fixed(delay))
    trace = DAPO("practical", learning_rate=1.0, exploration=0.5, bonus_scale=0.0).run(problem, episodes, seed=rng)
    return trace["loss"][-1] / episodes, 0.5, 0.0, 1.0


@claim("delayed-hedge.bound", kind=Expectation(replicates=200), source="dapo spec 4, HEDGE", provenance="derived",
       given=problems(1000), control={"learner": "uniform"})  # fmt: skip
def hedge_bound(problem, episodes, rng, learner="Hedge"):
    """Hedge over N policies, one after the other: E regret <= log(N) / eta + eta H^2 S A K / 2 + 2 eta H^2 D~.

    Control: the bound for a learner that learns nothing.
    """
    return bound_of_runs(DelayedHedge(), problem, episodes, rng, learner)


_LINEAR = instances.linear_mdp(S=4, A=2)


@claim("dapo-linear.bound", kind=Expectation(replicates=200), source="dapo spec 3.3, LIN", provenance="derived",
       given={"linear model, delay 1": lambda: (delays.delayed(losses.stochastic(_LINEAR.tabular), delays.fixed(1)), 500)},
       no_control="the theorem is vacuous at every length that can be run: its bound exceeds H K, which nothing violates")  # fmt: skip
def linear_bound(problem, episodes, rng):
    """Linear action values, exact covariances: E regret <= H log(A) / eta + K H gamma Theta^2 / (2 alpha) + ... (theorem LIN)."""
    H = problem.shape[0]
    trace = LinearDAPO(_LINEAR.features).run(problem, episodes, seed=rng)
    return trace["regret"][-1], trace.parameters["bound"], -H * episodes, H * episodes, trace.parameters["vacuous"]
