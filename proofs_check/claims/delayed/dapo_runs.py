"""DAPO as it runs: step by step its pseudo-code, its certificate, the bounds SEQ and JOINT, what it may know when (dapo spec 2 to 7)."""

import math

import numpy as np

from proofs_check import Expectation, HighProbability, claim, identity
from proofs_check.claims.delayed.dapo_estimator import ADAPTED
from proofs_check.claims.delayed.dapo_steps import constants
from proofs_check.claims.delayed.delayed_replay import SlowDAPO, both_sides, chosen, late_worlds, replay, scaled
from proofs_check.strategies import draw
from tabular_rl import delays, instances, losses
from tabular_rl.algorithms import DAPO, DelayedHedge, LinearDAPO, Uniform
from tabular_rl.algorithms.delayed.dapo import ESTIMATORS, KAPPA

_BANDIT = instances.bandit([0.0, 1.0])
_SMALL = instances.delay_instance(2, 2, 2)
_MDP = instances.delay_instance()


def problems(episodes):
    """{name: function that returns (a problem, ``episodes``)}: delays and losses of every kind, so small that the bounds say something."""
    late = {
        "bandit, no delay": lambda: (losses.stochastic(_BANDIT), delays.none()),
        "bandit, losses switch, Pareto delays": lambda: (losses.switching(_BANDIT, episodes // 2), delays.pareto(5.0)),
        "bandit, losses drift, blackout": lambda: (losses.drifting(_BANDIT, episodes), delays.blackout(5.0)),
        "bandit, a fiftieth never arrives": lambda: (losses.stochastic(_BANDIT), delays.missing(0.02)),
        "two steps, delay 2": lambda: (losses.stochastic(_SMALL), delays.fixed(2)),
        "three steps, no delay": lambda: (losses.stochastic(_MDP), delays.none()),
    }
    return {name: lambda make=make: (delays.delayed(*make()), episodes) for name, make in late.items()}


def least_bonus(H, eta, gamma):
    """gamma H + (e - 2) eta H^2: the smallest c that the theorems admit."""
    return gamma * H + (math.e - 2) * eta * H**2


def sizes_of_bonus(H, largest):
    """beta [H] and (1 + 1/H)^H: B[h] <= beta_h = bmax (1 + dilation + ... + dilation^(H-h-1)) for local bonuses up to ``largest``."""
    beta, dilation = [0.0], 1 + 1 / H
    for _ in range(H):
        beta.insert(0, largest + dilation * beta[0])
    return np.array(beta[:-1]), dilation**H


def stated_bound(late, eta, gamma, c, joint, drift=1):
    """Theorem SEQ, or JOINT, episode by episode and pair by pair: what every update costs everything that waits while it happens."""
    H, S, A = late.shape
    beta, dilation = sizes_of_bonus(H, c / gamma)
    theta = eta * beta[0]
    apart, together = late.waits
    omega = math.expm1(theta) / theta
    one, within = 0.0, 0.0
    for h in range(H):
        moved = eta * ((H - h) + omega * beta[h])
        one += (2 * (H - h) + dilation * (c / gamma) * (H - 1 - h)) * moved
        within += ((H - h) + KAPPA * eta * (H - h) ** 2 / gamma + beta[h] + KAPPA * theta * beta[h]) * moved
    explored = sum(dilation * c * S * A for _ in range(late.episodes) for _ in range(H))
    return H * math.log(A) / eta + explored + drift * (apart * one + together * (within if joint else one))


def rate(H, gamma, share):
    """This share of (all but) the largest learning rate that COND admits: no rounding decides about it."""
    return share * (1 - 1e-9) * constants(H, gamma, 1.0).eta


_BATCHES, _SHARES, _EXPLORATIONS = ["sequential", "sequential", "joint"], (-1, 0.5), (-2, 0)


@claim("dapo.replay", kind=identity, source="dapo spec 2 and 5.3", provenance="derived",
       given=(late_worlds(), chosen([*ADAPTED, *ESTIMATORS], _BATCHES, _SHARES, _EXPLORATIONS, [1.0, 1.5, 0.3])),
       control={"dilation": 1})  # fmt: skip
def known_transition(late, settings, dilation=None):
    """A run is that of the pseudo-code, draw by draw: losses, regret, policies, certificate C, and the bound where COND holds.

    Control: the bonus is propagated without its dilation.
    """
    form, batch, share, gamma, scale, seed = settings
    H, joint = late.shape[0], batch == "joint"
    eta = rate(H, gamma, share)
    learner = DAPO("practical", learning_rate=eta, exploration=gamma, bonus_scale=scale, estimator=form, batch=batch)
    trace, c = learner.run(late.problem, late.episodes, seed=seed), scale * least_bonus(H, eta, gamma)
    slow = SlowDAPO(late, eta, gamma, c, form, joint, dilation=dilation)
    found = replay(late, slow, seed)
    theta = eta * sizes_of_bonus(H, c / gamma)[0][0]
    proven = form in ADAPTED and scale >= 1 and max(theta, KAPPA * H * theta) <= 1
    bound = stated_bound(late, eta, gamma, c, joint) if proven else None
    certificate = slow.certificate() if proven and not joint else None
    told = trace.parameters
    return both_sides(trace, found, scaled(eta, told["bound"], bound), scaled(eta, told["certificate"], certificate))


@claim("dapo.replay-unknown", kind=identity, source="dapo spec 2.5 and 5.3", provenance="derived",
       given=(late_worlds(S=2, episodes=12), chosen([*ADAPTED], _BATCHES, ["delayed", "delayed", "immediate"], _SHARES,
                                                    _EXPLORATIONS, [1.0, 1.0, 1.0, 0.1, 0.01], [1.0, 1.0, 1.0, 0.5])),
       control={"failure": 0})  # fmt: skip
def unknown_transition(late, settings, failure=4):
    """The same for an unknown transition: counts, epochs, Bernstein sets, u and l, the optimistic bonus with the set of the time of play;
    certificate C with 4 delta H K for sets that miss the transition.

    Control: the certificate of sets that never fail.
    """
    form, batch, trajectory, share, gamma, radii, confidence_bonus, seed = settings
    H, S, A = late.shape
    K, delta, eta = late.episodes, 0.03, rate(H, gamma, share)
    c = least_bonus(H, eta, gamma)
    learner = DAPO("practical", learning_rate=eta, exploration=gamma, bonus_scale=1.0, estimator=form, batch=batch, transition="unknown",
                   trajectory=trajectory, delta=delta, confidence_scale=radii, confidence_bonus_scale=confidence_bonus)  # fmt: skip
    trace = learner.run(late.problem, K, seed=seed)
    log_term = radii * math.log(H * S * A * K / delta)
    slow = SlowDAPO(late, eta, gamma, c, form, batch == "joint", log_term, trajectory == "immediate", confidence_bonus)
    found = replay(late, slow, seed)
    theta = eta * sizes_of_bonus(H, c / gamma + confidence_bonus * H)[0][0]
    proven = batch == "sequential" and trajectory == "delayed" and min(radii, confidence_bonus) >= 1 and max(theta, KAPPA * H * theta) <= 1
    numbers = scaled(eta, trace.parameters["certificate"], slow.certificate(failure * delta) if proven else None)
    widths = np.cumsum(slow.width)[trace.index - 1]
    return both_sides(trace, found, numbers, *zip(trace["uncertainty"], widths, strict=True))


@claim("dapo.tuning", kind=identity, source="dapo spec 6 and 6.1", provenance="derived",
       given=(late_worlds(H=4, episodes=40), chosen([0.02, 1, 100, 10_000], [0.0, 1.0])), control={"drift": 0})  # fmt: skip
def tuning(late, settings, drift=1):
    """The presets: "theory" has gamma = eta H, c = gamma H + kappa eta H^2 and the eta that makes H log(A) / eta + eta X least under COND,
    with X added up pair by pair; "practical" has eta = 10 sqrt(log A / (H^2 (5 S A K + D~))), gamma = eta H / 2 and a tenth of c.

    Here each episode stands for ``scale`` of them, which multiplies K and D~. Control: X without what waits.
    """
    scale, unknown, _ = settings
    (H, S, A), plan = late.shape, late.problem.schedule(late.episodes)
    K, log_actions, waiting = late.episodes * scale, math.log(max(A, 2)), sum(late.waits) * scale
    plan = plan._replace(effective_total=plan.effective_total * scale)
    transition = "unknown" if unknown else "known"
    eta, gamma, c, condition = DAPO(transition=transition).resolve((H, S, A), K, plan)
    largest = H * (1 + (math.e - 2) + unknown)
    beta, dilation = sizes_of_bonus(H, largest)
    each = sum((2 * (H - h) + dilation * largest * (H - 1 - h)) * ((H - h) + (math.e - 1) * beta[h]) for h in range(H))
    X = dilation * H**3 * (1 + (math.e - 2)) * S * A * K + drift * waiting * each
    best = min(math.sqrt(H * log_actions / X), 1 / beta[0], 1 / ((math.e - 2) * H * beta[0]))
    plot, wide, little, _ = DAPO("practical", transition=transition).resolve((H, S, A), K, plan)
    practical = 10 * math.sqrt(log_actions / (H**2 * (5 * S * A * K + drift * waiting)))
    lhs = [eta, gamma, c / least_bonus(H, eta, gamma), float(condition), plot, wide / plot, little / least_bonus(H, plot, wide)]
    return np.array(lhs), np.array([best, eta * H, 1.0, 1.0, practical, H / 2, 0.1]), 1.0


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
       given={"bandit, no delay": lambda: (delays.delayed(losses.stochastic(_BANDIT), delays.none()), 5000),
              "bandit, delay 1": lambda: (delays.delayed(losses.stochastic(_BANDIT), delays.fixed(1)), 5000)},
       control={"learner": "uniform"})  # fmt: skip
def high_probability_bound(problem, episodes, rng, learner="DAPO"):
    """With c = gamma H + 2 kappa eta H^2 the regret is at most SEQ(c) + iota [H / (2 kappa eta) + H^2 / (2 gamma) + ...] with probability
    1 - delta, iota = log(5 / delta); delta = 0.05. The bounds are about half of the largest possible regret.

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


def an_episode(late, seed):
    """The number of one of the episodes."""
    return int(np.random.default_rng(seed).integers(late.episodes))


@claim("dapo.filtration", kind=identity, source="dapo spec L8", provenance="derived",
       given=(late_worlds(), draw(an_episode, fit=True), chosen(_BATCHES)), control={"after": 1})  # fmt: skip
def filtration(late, i, settings, after=0):
    """A path of episode i drawn anew, with its losses, changes no policy up to the arrival of its feedback: pi^k for k <= i + d[i].

    On the left the run; on the right the pseudo-code with that one path from other draws. Each policy is seen through its expected loss in
    its episode. Control: up to one episode more.
    """
    (batch, seed), H, eta, gamma = settings, late.shape[0], 0.5, 0.2
    learner = DAPO("practical", learning_rate=eta, exploration=gamma, bonus_scale=1.0, batch=batch)
    slow = SlowDAPO(late, eta, gamma, least_bonus(H, eta, gamma), joint=batch == "joint")
    one, other = learner.run(late.problem, late.episodes, seed=seed), replay(late, slow, seed, disturbed=i)
    last = late.arrival[i] + 1 + after
    return one["loss"][:last], other.loss[:last], H * late.episodes


@claim("dapo.zero-information", kind=Expectation(replicates=400, equal=True), source="dapo spec 7.3", provenance="derived",
       given={"blocks of two, one state": lambda: (500,)}, control={"delay": 0})  # fmt: skip
def zero_information(episodes, rng, delay=1):
    """Against blocks of 2 equal fair coins, observed one episode late, the mean loss of an episode is exactly 1/2 for every learner.

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
