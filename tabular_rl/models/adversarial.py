"""Episodic MDPs whose losses an adversary chooses: what every regret algorithm plays against."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.finite_horizon import initial_distribution, packed

SCHEDULES = ("constant", "periodic", "phases", "drifting", "anti_greedy", "block")


@dataclass(frozen=True, eq=False, repr=False)
class AdversarialMDP:
    """An episodic MDP with a loss world: in every episode a table of mean losses, of which the learner sees its own path.

    Build one with the functions of ``tabular_rl.losses``; the fields are what the compiled loops read.

    Parameters
    ----------
    transition : array [H, S, A, S]
    initial : array [S] or int
    tables : array [M, H, S, A]
        Mean losses in [0, 1] that the schedule chooses from (M may be 1).
    schedule : str
        How the tables become the mean losses of episode k = 0, 1, ...; see ``tabular_rl.losses``:
        one of "constant", "periodic", "phases", "drifting", "anti_greedy", "block".
    parameters : tuple of float
        Numbers of the schedule.
    bernoulli : bool
        Whether a visited loss is seen as a 0/1 draw with its mean, or as the mean itself. Regret always uses the means.

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

    def __post_init__(self):
        check.choice("schedule", self.schedule, SCHEDULES)
        tables = check.real_array("tables", self.tables, (None, None, None, None))
        _, H, S, A = tables.shape
        transition = self.transition
        if not (
            isinstance(transition, np.ndarray) and transition.ndim == 4 and transition.strides[0] == 0 and not transition.flags.writeable
        ):
            transition = check.private(check.distribution("transition", transition, (H, S, A, S)), transition)
        elif transition.shape != (H, S, A, S):
            raise ValueError(f"transition must have shape ({H}, {S}, {A}, {S}), got {transition.shape}")
        outside = (tables < 0) | (tables > 1)
        if outside.any():
            index = check.first_index(outside)
            raise ValueError(f"losses{list(index[1:])} is {tables[index]}, expected a mean in [0, 1]")
        object.__setattr__(self, "transition", check.freeze(transition))
        object.__setattr__(self, "initial", initial_distribution(self.initial, S))
        object.__setattr__(self, "tables", check.freeze(check.private(tables, self.tables)))
        object.__setattr__(self, "parameters", tuple(float(x) for x in self.parameters))

    @property
    def shape(self):
        """(H, S, A)."""
        return self.tables.shape[1:]

    horizon = property(lambda self: self.shape[0])

    @property
    def packed_transition(self):
        """The transition for kernels, C-contiguous: [H, S, A, S], or [1, S, A, S] when it is the same at every step."""
        return packed(self.transition)

    @property
    def world(self):
        """What the compiled loops read: (schedule's code, tables, parameters [2], bernoulli)."""
        parameters = np.zeros(2)
        parameters[: len(self.parameters)] = self.parameters
        return SCHEDULES.index(self.schedule), self.tables, parameters, self.bernoulli

    def __repr__(self):
        H, S, A = self.shape
        return f"AdversarialMDP(H={H}, S={S}, A={A}, {self.schedule} losses)"
