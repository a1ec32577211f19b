"""Ambiguity sets as values: frozen, picklable, named by their contents, light to import."""

import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tabular_rl import ambiguity as sets
from tabular_rl.experiments.cells import describe

EXAMPLES = [
    sets.L1(np.array([[0.1, 0.2]])),
    sets.WeightedL1(np.ones(2), 0.5, "full"),
    sets.Interval(np.zeros(2), np.ones(2)),
    sets.DensityRatio(0.5),
    sets.Wasserstein(1 - np.eye(2), 0.1),
    sets.Ellipsoid(np.eye(2), 0.1),
    sets.FiniteRows(np.eye(2)[:, None, None]),
    sets.SRectangularKL([0.1, 0.3]),
    sets.FiniteKernels(np.eye(2)[:, None, None]),
]


@pytest.mark.parametrize("ambiguity", EXAMPLES, ids=lambda x: type(x).__name__)
def test_sets_are_frozen_and_survive_a_pickle(ambiguity):
    copy = pickle.loads(pickle.dumps(ambiguity))
    assert describe(copy) == describe(ambiguity)
    for field in dataclasses.fields(copy):
        value = getattr(copy, field.name)
        assert isinstance(value, str) or not value.flags.writeable
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(copy, field.name, value)


def test_what_was_validated_cannot_be_changed_from_outside():
    radius = np.array([[0.1, 0.2]])
    ambiguity = sets.L1(radius)
    radius[:] = -1
    assert ambiguity.radius.min() == 0.1


def test_sets_are_told_apart_by_their_numbers():
    assert describe(sets.L1(0.1)) != describe(sets.L1(0.2))
    assert describe(sets.L1(0.1)) != describe(sets.LInf(0.1))
    assert describe(sets.L1(0.1)) != describe(sets.L1(0.1, "full"))


def test_sets_do_not_bring_the_compiler():
    code = "import sys, tabular_rl as trl; trl.ambiguity.L1(0.1); print(*sys.modules)"
    assert "numba" not in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_every_set_stands_in_the_list():
    kinds = {name for name, value in vars(sets).items() if isinstance(value, type) and issubclass(value, sets.AmbiguitySet)}
    assert kinds <= set(sets.__all__)
    assert len(kinds) >= 19
