"""Best-of-both-worlds policy optimization, clipped-occupancy variant (after Dann, Wei, Zimmert 2023).

Setting: episodic MDP, adversarial losses in [0, 1], bandit feedback on the played path, transition known or unknown. In every state

    pi_t         = argmin_x <x, sum_{j<t} (Qhat_j - B_j)> + beta_t psi(x)            psi: Tsallis entropy, Shannon entropy or log barrier
    u_t[h,s]     = max(mu_t[h,s], 1 / (eps sqrt(N_{t-1}[h,s])))                      effective occupancy, mu_t the occupancy of pi_t
    Qhat[h,s,a]  = 1{(s_h,a_h) = (s,a)} L_h / (u_t pi_t),   L_h = losses from step h on
    b[h,s]       = penalty + stability + (H - h) (1 - mu_t / u_t)                    rates, bonuses: best_of_both_worlds_rates
    B[h,s,a]     = b[h,s] + (1 + 1/H) E_{t ~ P or max over the confidence set, a' ~ pi_t} B[h+1,t,a']

beta grows with N, the sum of 1 / u: neither T nor a gap need be known. Penalty and stability vanish as the policy becomes deterministic,
whatever action it prefers, so that the regret bounds itself: log T against stochastic losses, sqrt(T) against any.

Provenance. Setting, Tsallis entropy, dilated bonus and upper occupancies are the paper's. The paper does not clip: this variant, its
rates, its bonuses and its theorems are derived in the bobw spec, sections 3 and 4, and it is not the paper's algorithm.
``theory`` constants have E regret <= E certificate; the ``practical`` ones are one of four settings looked at on one small instance.
Unknown transition: sqrt(T) in both worlds by the certificate; log(T)^2 in the stochastic one by ``proofs_check``'s theorem bobw-unknown
(delta = 1 / (8 H T)), whose constants are far beyond what can be run.
"""

import math
from dataclasses import dataclass

import numpy as np

from tabular_rl import planning
from tabular_rl.algorithms.adversarial.best_of_both_worlds_rates import (
    Path,
    Rates,
    Reach,
    Rules,
    advance,
    certify,
    comparator_cost,
    excess,
    inverse_rate,
    layer,
    learn,
    local_bonuses,
    recenter,
    settle,
)
from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.episodic.confidence import (
    bernstein_confidence,
    layer_occupancy_bounds,
    observe,
    optimistic_dilated_bonus,
    renew,
)
from tabular_rl.kernels.episodic.episodes import dilated_bonus, expected_loss, least_loss, sample_episode
from tabular_rl.kernels.episodic.losses import mean_losses
from tabular_rl.kernels.ftrl import LOG_BARRIER
from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check

__all__ = ["BestOfBothWorlds"]

REGULARIZERS = ("tsallis", "shannon", "log_barrier")  # in the order of the kernels' codes


@dataclass(frozen=True)
class BestOfBothWorlds:
    """Follow the regularized leader in every state, with visit-dependent learning rates and a dilated bonus.

    Parameters
    ----------
    regularizer : str
        "tsallis", "shannon" or "log_barrier" (known transition and n >= 3: regret in the loss of the best policy).
    preset : str
        "theory" (guarantee) or "practical" (plots): where the numbers below come from when they are None.
    c0, eps, N0, bonus_scale : float, optional
        Learning rate (beta is proportional to 1 / c0), clip, start of N (in units of (H - h)^2 for the log barrier), all > 0, and a
        factor >= 0 of the bonus in the policy. With "theory", eps sqrt(N0) >= 1.
    transition : str
        "known", or "unknown": learned, with confidence sets at level ``delta`` in (0, 1), by default 1 / (4 H n).
    radius_scale : float
        Multiplies the confidence radii, > 0; 1 is the theory's, below it there is no guarantee.
    entropy : str
        Shannon rates follow the entropy of the "previous" policy, or of the "current" one, which has closed bounds (theorem
        bobw-shannon-rate of ``proofs_check``, at the theory's constants).
    """

    plays = AdversarialMDP
    unit = "episode"
    series = ("regret", "loss")
    examples = ({"regularizer": "shannon", "preset": "practical", "transition": "unknown"}, {"regularizer": "log_barrier"})

    regularizer: str = "tsallis"
    preset: str = "theory"
    c0: float | None = None
    eps: float | None = None
    N0: float | None = None
    bonus_scale: float | None = None
    transition: str = "known"
    delta: float | None = None
    radius_scale: float = 1.0
    entropy: str = "previous"

    def __post_init__(self):
        check.choice("regularizer", self.regularizer, REGULARIZERS)
        check.choice("preset", self.preset, ("theory", "practical"))
        check.choice("transition", self.transition, ("known", "unknown"))
        check.choice("entropy", self.entropy, ("previous", "current"))
        for name in ("c0", "eps", "bonus_scale"):
            if getattr(self, name) is not None:
                check.rate(name, getattr(self, name), zero=name == "bonus_scale")
        if self.N0 is not None:
            check.number("N0", self.N0, above=0, at_most=check.MOST)
        if self.delta is not None:
            check.failure("delta", self.delta)
        check.rate("radius_scale", self.radius_scale)
        if self.regularizer == "log_barrier" and not self._known:
            raise ValueError("transition must be 'known' with regularizer 'log_barrier', got 'unknown': its theory knows the transition")
        if self.entropy == "current" and self.regularizer != "shannon":
            raise ValueError(f"entropy 'current' is a rate of regularizer 'shannon', got {self.regularizer!r}")

    def run(self, problem, n, seed=0, comparator=None, certified=None):
        """Play ``n`` episodes of an AdversarialMDP (or FiniteHorizonMDP).

        ``comparator`` [H, S, A] is a policy fixed in advance. ``certified=True`` insists on the certificate: an error where there is none.

        Returns
        -------
        Trace
            ``regret`` (exact, by mean losses: occupancy of each policy against the best fixed policy in hindsight) and ``loss`` (the
            learner's expected total). ``certificate`` where bonus_scale is 1 and the theorem's conditions hold: its mean bounds the mean
            regret against every policy fixed in advance, in all worlds, for their losses depend on the past alone. The best policy in
            hindsight is fixed in advance if the losses are: then it bounds the mean of ``regret``. In worlds that look at the policies
            (``losses.anti_greedy``, ``losses.corrupted``) it does not, and the column is there with a comparator alone, whose regret it
            bounds. With a comparator: ``comparator_regret``, and ``comparator_bound``, which bounds its mean for every bonus_scale (bobw
            spec 4.4; known transition, the same conditions otherwise).

            ``parameters``: the constants in force; ``initial_term`` (part of the certificate); ``bonus_ratio``, the largest
            4 H local(pi) B / beta, and ``violations``, how many were above 1 (the certificate has paid for them); ``clipped``, how many
            (episode, h, s) were; ``newton_steps`` per solved state; ``entropy_ratio`` r (Shannon); ``epochs`` (unknown transition);
            ``guarantee``.
        """
        problem = self.plays.of(problem)
        index = checkpoints(n)
        sizes = problem.sizes
        if self.regularizer == "log_barrier":
            check.integer("n", n, 3)  # log log n would not do
        rules, proven = self.rules(sizes, n)
        bonus_scale = rules.bonus_scale
        bounded, proven = proven and self._known, proven and bonus_scale == 1
        if certified and not proven:
            raise ValueError(
                f"certified=True needs bonus_scale=1 and the theorem's conditions, got bonus_scale={bonus_scale}: "
                "give a comparator, whose comparator_bound is valid for every bonus_scale (bobw spec 4.4)"
            )
        proven = proven and (problem.oblivious or comparator is not None)
        if certified and not proven:
            raise ValueError(
                f"certified=True needs losses fixed in advance, got {problem!r}: give a comparator, whose regret the certificate bounds"
            )
        comparison = *self._comparator(problem, comparator), comparator is not None
        policy = np.ascontiguousarray(problem.uniform_policy)
        series, counts = _run(problem.world, rules, self._reachable(problem), comparison, policy, index, check.generator(seed))
        loss, least, paid, mixing, against, bound = series
        start = self.initial_term(sizes, n, rules.c0, rules.N0)
        barrier = self.regularizer == "log_barrier"
        columns = {"regret": loss - least, "loss": loss}
        if proven:
            columns["certificate"] = self.certificate(paid, mixing, sizes, n, rules)
        if comparator is not None:
            columns["comparator_regret"] = loss - against
            if bounded:
                columns["comparator_bound"] = bound + start + (bonus_scale * mixing / n if barrier else 0)
        ratio, violations, clips, steps, solved, entropy_ratio, epochs = counts
        parameters = {"c0": rules.c0, "eps": rules.eps, "N0": rules.N0, "bonus_scale": bonus_scale, "guarantee": proven}
        parameters |= {"initial_term": start, "bonus_ratio": ratio, "violations": int(violations), "clipped": int(clips)}
        parameters["newton_steps"] = steps / max(solved, 1)
        if self.regularizer == "shannon":
            parameters["entropy_ratio"] = entropy_ratio
        if not self._known:
            parameters |= {"delta": self._delta(sizes, n), "epochs": int(epochs)}
        return Trace(index, columns, policy, parameters, seed)

    _known = property(lambda self: self.transition == "known")

    def resolve(self, shape, n):
        """(c0, eps, N0, bonus_scale, whether the certificate is valid at bonus_scale 1) for shape (H, S, A) and n episodes."""
        H, S, A = shape
        barrier, steps = self.regularizer == "log_barrier", math.e * H * (H + 1)
        logs = A * math.log(n) if barrier else 1.0
        if self.preset == "practical":
            c0, eps, N0, bonus_scale = 1 / math.sqrt(2), 1.0, 1.0, 0.1
        elif barrier:
            c0 = 0.5 if self.c0 is None else self.c0
            eps = (4 * steps * logs * (1 + 4 * c0**2 + S / 2)) ** -0.5
            N0, bonus_scale = max((4 * steps * c0) ** 2 * logs, (1 + 1e-12) * eps**-2), 1.0
        else:
            c0, eps, N0, bonus_scale = 1 / math.sqrt(2), math.sqrt(2) / 4, 2 * (steps * (1 + math.sqrt(A))) ** 2, 1.0
        given = (self.c0, self.eps, self.N0, self.bonus_scale)
        c0, eps, N0, bonus_scale = (
            float(default if value is None else value) for value, default in zip(given, (c0, eps, N0, bonus_scale), strict=True)
        )
        if self.preset == "theory" and eps * math.sqrt(N0) < 1:
            raise ValueError(f"eps * sqrt(N0) must be at least 1 in theory, got eps={eps}, N0={N0}: the clip would start above 1")
        proven = self._known or self.radius_scale >= 1
        if barrier:
            proven = proven and eps * 4 * c0 * math.sqrt(logs) <= 1
        elif self.entropy == "current":  # its penalty rests on entropies that do not jump: claim bobw-shannon.growth
            least = (1 - 1e-12) * 2 * (steps * (1 + math.sqrt(A))) ** 2
            proven = proven and c0 <= 1 / math.sqrt(2) and eps <= math.sqrt(2) / 4 and least <= N0 and bonus_scale <= 1
        return c0, eps, N0, bonus_scale, proven

    def rules(self, shape, n):
        """(the Rules of the compiled loop, whether the certificate is valid at bonus_scale 1) for shape (H, S, A) and n episodes."""
        H, S, A = shape
        c0, eps, N0, bonus_scale, proven = self.resolve(shape, n)
        log_term = float(np.log(n * H * S * A / self._delta(shape, n)))
        rules = Rules(
            REGULARIZERS.index(self.regularizer), self.entropy == "current", self._known, A, c0, eps, N0, bonus_scale,
            math.log(max(n, 2)), 1 / n, log_term, float(self.radius_scale),
        )  # fmt: skip
        return rules, proven

    def _delta(self, shape, n):
        return 1 / (4 * shape[0] * n) if self.delta is None else self.delta

    def certificate(self, paid, mixing, shape, n, rules):
        """The bound on the mean regret: what the bonuses are worth, I0, and 4 delta H n for a transition outside its confidence sets."""
        missed = 0 if rules.known else 4 * self._delta(shape, n) * shape[0] * n
        mixed = mixing / n if rules.regularizer == LOG_BARRIER else 0
        return paid + self.initial_term(shape, n, rules.c0, rules.N0) + mixed + missed

    def initial_term(self, shape, n, c0, N0):
        """I0 of the certificate: what the first policies cost. The log barrier's mixed comparator adds (1 / n) sum_t sum_h max B."""
        H, _, A = shape
        steps = H * (H + 1) / 2
        if self.regularizer == "tsallis":
            return 2 * steps * math.sqrt(N0) * (math.sqrt(A) - 1) / c0
        if self.regularizer == "shannon":
            return steps * math.sqrt(A * N0) / c0 * math.log(A)
        return steps * (math.sqrt(N0 * A * math.log(n)) / c0 + 1)

    def _reachable(self, problem):
        """[H, S]: where some policy can be, as far as the learner knows."""
        reachable = np.ones(problem.shape[:2], bool)
        reachable[0] = problem.initial > 0
        for h in range(1, problem.horizon if self._known else 0):
            reachable[h] = (problem.transition[h - 1][reachable[h - 1]] > 0).any(axis=(0, 1))
        return reachable

    def _comparator(self, problem, comparator):
        """The comparator [H, S, A] and its occupancy [H, S]; without one zeros."""
        if comparator is None:
            return np.zeros(problem.shape), np.zeros(problem.shape[:2])
        policy = check.distribution("comparator", comparator, problem.shape)
        model = FiniteHorizonMDP(problem.transition, np.zeros(problem.shape), problem.initial, available=problem.packed_available)
        return policy, planning.state_occupancy(model, policy)


@njit
def _run(world, rules, reachable, comparison, policy, index, rng):
    P, initial, schedule, tables, parameters, bernoulli, barred = world
    regularizer, known, log_term, radius_scale = rules.regularizer, rules.known, rules.log_term, rules.radius_scale
    comparator, comparator_visits, compared = comparison
    H, S, A = policy.shape
    barrier = regularizer == LOG_BARRIER
    follow = barrier or rules.current  # rates move after the episode
    total, cumulative, z = barred.copy(), barred.copy(), np.zeros((H, S))
    N, beta = np.empty((H, S)), np.empty((H, S))
    for h in range(H):
        for s in range(S):
            N[h, s] = rules.N0 * (H - h) ** 2 if barrier else rules.N0
            beta[h, s] = inverse_rate(rules, H - h, N[h, s])
    rates = Rates(N, beta, np.zeros((H, S)), np.ones((H, S)))
    occupancy, flow = np.zeros((H, S)), np.zeros((H, S))
    upper, lower = (occupancy, occupancy) if known else (np.zeros((H, S)), np.zeros((H, S)))
    u = np.ones((H, S))
    reach = Reach(upper, lower, u, np.zeros((H, S), np.bool_))
    states, actions, path_losses, to_go = np.empty(H, np.int64), np.empty(H, np.int64), np.empty(H), np.empty(H)
    path = Path(states, actions, to_go)
    b, B, values = np.zeros((H, S)), np.empty((H, S, A)), np.zeros((H + 1, S))
    means, work = np.empty((H, S, A)), np.empty((2, S))

    size = 0 if known else H
    visits, at_epoch, seen = np.zeros((size, S, A)), np.zeros((size, S, A)), np.zeros((size, S, A, S))
    estimate, radius = np.empty((size, S, A, S)), np.empty((size, S, A, S))
    bernstein_confidence(visits, seen, log_term, estimate, radius, radius_scale)

    loss, paid, mixing, against, bound, row, series = 0.0, 0.0, 0.0, 0.0, 0.0, 0, np.zeros((6, len(index)))
    largest, violations, clips, steps, solved, entropy_ratio, epochs = 0.0, 0, 0, 0, 0, 0.0, 0

    for t in range(1, index[-1] + 1):
        # u, N, beta and pi, step by step: u needs the policies of the steps before
        occupancy[0], flow[0] = initial, initial
        for h in range(H):
            if not known:
                layer_occupancy_bounds(estimate, radius, policy, initial, h, upper[h], lower[h])
            count, newton, rows = layer(h, t, rules, reachable, reach, flow, rates, cumulative, z, policy)
            clips, steps, solved = clips + count, steps + newton, solved + rows
            advance(P, h, policy, occupancy, u, reachable, barrier, flow)

        # one episode
        mean_losses(schedule, tables, parameters, t - 1, policy, means)
        loss += expected_loss(occupancy, policy, means)
        total += means
        sample_episode(P, policy, initial, means, bernoulli, rng, states, actions, path_losses)
        tail = 0.0
        for h in range(H - 1, -1, -1):
            tail += path_losses[h]
            to_go[h] = tail

        # b and B
        ratio = local_bonuses(t, rules, reachable, policy, reach, path, rates, b)
        if known:
            dilated_bonus(P, policy, b, 1 + 1 / H, B, values)
        else:
            optimistic_dilated_bonus(estimate, radius, policy, b, 1 + 1 / H, B, values)

        # what they certify
        paid = certify(paid, initial, values)
        size_of_bonus, over, unpaid, most = excess(regularizer, reachable, policy, B, values, beta)
        largest, violations, entropy_ratio = max(largest, size_of_bonus), violations + over, max(entropy_ratio, ratio)
        paid, mixing = paid + unpaid, mixing + most
        if compared:
            against += expected_loss(comparator_visits, comparator, means)
            bound += comparator_cost(regularizer, comparator, comparator_visits, policy, b, B, rules.bonus_scale, beta)

        # Qhat - B
        learn(rules.bonus_scale, B, path, u, policy, cumulative)
        if follow:
            settle(rates)
        if t % 2**20 == 0:
            recenter(cumulative)

        if not known:
            observe(visits, seen, states, actions)
            epochs += renew(visits, seen, at_epoch, log_term, estimate, radius, radius_scale)

        if t == index[row]:
            series[0, row], series[1, row], series[2, row] = loss, least_loss(P, total, initial, work), paid
            series[3, row], series[4, row], series[5, row] = mixing, against, bound
            row += 1
    return series, (largest, violations, clips, steps, solved, entropy_ratio, epochs)
