"""Episodic MDPs whose losses an adversary chooses: what every regret algorithm plays against."""

from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tabular_rl.models import availability
from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import FiniteHorizonMDP, initial_distribution, packed, unrepeated
from tabular_rl.models.playable import Playable

EXACT = 2**53  # whole numbers up to here are floats, and their sums with numbers of episodes fit into int64

# the parameters of every schedule and their bounds, in the order of the kernels' codes
PARAMETERS = {
    "constant": {},
    "periodic": {"period": {"at_least": 1, "at_most": EXACT}, "offset": {"at_least": 0, "at_most": EXACT}},
    "phases": {"ratio": {"above": 1}},
    "drifting": {"period": {"at_least": 1}},
    "anti_greedy": {"episodes": {"at_least": 0}},
    "block": {"length": {"at_least": 1, "at_most": EXACT}, "seed": {"at_least": 0, "at_most": EXACT}},
}
SCHEDULES = tuple(PARAMETERS)


@dataclass(frozen=True, eq=False, repr=False)
class AdversarialMDP(availability.Available, Playable):
    """An episodic MDP with a loss world: in every episode a table of mean losses, of which the learner sees its own path.

    Build one with the functions of ``tabular_rl.losses``; the fields are what the compiled loops read.

    Parameters
    ----------
    transition : array [H, S, A, S], or [1, S, A, S] when it is the same at every step
    initial : array [S] or int
    tables : array [M, H, S, A]
        Mean losses in [0, 1] that the schedule chooses from (M may be 1).
    schedule : str
        How the tables become the mean losses of episode k = 0, 1, ...; see ``tabular_rl.losses``:
        one of "constant", "periodic", "phases", "drifting", "anti_greedy", "block".
    parameters : tuple of float
        Numbers of the schedule: periodic (period, offset), phases (ratio), drifting (period), anti_greedy (episodes, may be
        infinite), block (length, seed).
    bernoulli : bool
        Whether a visited loss is seen as a 0/1 draw with its mean, or as the mean itself. Regret always uses the means.
    available : bool array [H, S, A] or [S, A], optional
        Which actions each state has, at least one. Default: all. Mean losses of missing pairs become 0 and never count.
    normalize : bool
        Divide rows that sum to 1 only within 5 % (float32, rounded files) by their sums; otherwise they are refused.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the offending index and its value.
    """

    transition: Any
    initial: Any
    tables: Any
    schedule: str = "constant"
    parameters: tuple = ()
    bernoulli: bool = True
    available: Any = None
    normalize: InitVar[bool] = False

    made_of = (FiniteHorizonMDP,)

    def __post_init__(self, normalize):
        check.choice("schedule", self.schedule, SCHEDULES)
        normalize = check.flag("normalize", normalize)
        tables = check.real_array("tables", self.tables, (None, None, None, None), finite=False)
        if 0 in tables.shape:
            raise ValueError(f"tables must have shape [M, H, S, A] without zeros, got {tables.shape}")
        _, H, S, A = tables.shape
        given, available = unrepeated(self.transition, 4), availability.mask(self.available, (H, S, A))
        transition = check.real_array("transition", given, (None, S, A, S), finite=False)
        steps = np.shape(self.transition)[0]
        if steps not in (1, H):
            raise ValueError(f"transition has {steps} steps, expected {H} as in tables")
        if not availability.complete(available):
            tables, transition = np.where(available, tables, 0.0), availability.filled(transition, packed(available))
        for name, array in ("tables", tables), ("transition", transition):
            check.check_finite(name, array)
        transition = check.probabilities("transition", transition, normalize)
        outside = (tables < 0) | (tables > 1)
        if outside.any():
            index = check.first_index(outside)
            raise ValueError(f"tables{list(index)} is {tables[index]}, expected a mean loss in [0, 1]")
        check.flag("bernoulli", self.bernoulli)
        for name, value in {
            "transition": np.broadcast_to(check.frozen(transition, given), (H, S, A, S)),
            "initial": initial_distribution(self.initial, S, normalize),
            "available": available,
            "tables": check.frozen(tables, self.tables),
            "parameters": _parameters(self.schedule, self.parameters),
        }.items():
            object.__setattr__(self, name, value)

    @classmethod
    def convert(cls, problem):
        """The world of an episodic MDP with mean losses 1 - reward in every episode, seen as 0/1 draws: the MDP of the textbook.

        So every learner that is given a plain model sees noise. Losses without any are a world to be asked for:
        ``losses.stochastic(problem, bernoulli=False)``.
        """
        return cls(problem.transition, problem.initial, losses_of(problem)[None], available=problem.packed_available)

    @property
    def shape(self):
        """(H, S, A)."""
        return self.tables.shape[1:]

    horizon = property(lambda self: self.shape[0])

    @property
    def sizes(self):
        """(H, S, A), A the largest number of actions that a state has: what rates and bounds depend on, whatever columns stay empty."""
        H, S, A = self.shape
        return H, S, A if self.has_all_actions else int(self.packed_available.sum(axis=-1).max())

    @property
    def oblivious(self):
        """Whether all losses are fixed before the run; otherwise they look at the policies, and so at what the learner has drawn."""
        return self.schedule != "anti_greedy" or self.parameters[0] == 0

    @property
    def packed_transition(self):
        """The transition for kernels, C-contiguous: [H, S, A, S], or [1, S, A, S] when it is the same at every step."""
        return packed(self.transition)

    @cached_property
    def barrier(self):
        """[H, S, A]: 0, and +inf at pairs that do not exist: where learners start to sum up losses."""
        return self.barred(np.zeros(self.shape), np.inf)

    @property
    def world(self):
        """What the compiled loops read."""
        from tabular_rl.kernels.episodic.losses import World

        parameters, code = np.zeros(2), SCHEDULES.index(self.schedule)
        parameters[: len(self.parameters)] = self.parameters
        return World(self.packed_transition, self.initial, code, self.tables, parameters, self.bernoulli, self.barrier)

    def __reduce__(self):
        """Pickled as its arguments: small when stationary, and what comes out is read-only as well."""
        schedule = self.schedule, self.parameters, self.bernoulli
        return type(self), (self.packed_transition, self.initial, self.tables, *schedule, self.packed_available)

    def __repr__(self):
        H, S, A = self.shape
        return f"AdversarialMDP(H={H}, S={S}, A={A}, {self.schedule} losses)"


def losses_of(mdp):
    """Mean losses 1 - reward [H, S, A] of a FiniteHorizonMDP, whose rewards must lie in [0, 1]."""
    if mdp.reward.min() < 0 or mdp.reward.max() > 1:
        index = check.first_index((mdp.reward < 0) | (mdp.reward > 1))
        raise ValueError(
            f"reward{list(index)} is {mdp.reward[index]}, expected rewards in [0, 1]: losses are 1 - reward. Rescale, or give means"
        )
    return 1 - mdp.reward


def _parameters(schedule, values):
    """The parameters of the schedule as floats, each within its bounds."""
    expected = PARAMETERS[schedule]
    if not isinstance(values, tuple | list) or len(values) != len(expected):
        raise ValueError(f"parameters of a {schedule} schedule must be ({', '.join(expected)}), got {check.short(values)}")
    forever = schedule == "anti_greedy" and values[0] == np.inf
    return (np.inf,) if forever else tuple(check.number(name, x, **expected[name]) for name, x in zip(expected, values, strict=True))
