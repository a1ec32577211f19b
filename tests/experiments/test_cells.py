"""A cell is named by what its numbers depend on, and by nothing else."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import tabular_rl as trl
from tabular_rl.experiments import Cell, cells

RIVER = trl.instances.river_swim(n=3, horizon=4)
BASE = Cell(("test", "river", "uniform", 0), trl.losses.stochastic(RIVER), trl.algorithms.DilatedBonusPO(), 100)
OTHERS = {
    "replicate": replace(BASE, labels=("test", "river", "uniform", 1)),
    "experiment": replace(BASE, labels=("other", "river", "uniform", 0)),
    "problem": replace(BASE, problem=trl.losses.stochastic(trl.instances.river_swim(n=3, horizon=4, right_reward=0.9))),
    "horizon of a stationary problem": replace(BASE, problem=trl.losses.stochastic(trl.instances.river_swim(n=3, horizon=5))),
    "world": replace(BASE, problem=trl.losses.anti_greedy(RIVER)),
    "algorithm": replace(BASE, algorithm=trl.algorithms.UCBVI()),
    "hyper-parameter": replace(BASE, algorithm=trl.algorithms.DilatedBonusPO(delta=0.2)),
    "episodes": replace(BASE, n=101),
}


@pytest.mark.parametrize("what", OTHERS)
def test_key_depends_on(what):
    assert OTHERS[what].key != BASE.key


def test_equal_cells_have_equal_keys():
    again = Cell(
        ("test", "river", "uniform", 0),
        trl.losses.stochastic(trl.instances.river_swim(n=3, horizon=4)),
        trl.algorithms.DilatedBonusPO(),
        100,
    )
    assert again.key == BASE.key
    assert again.seed.generate_state(4).tolist() == BASE.seed.generate_state(4).tolist()


def test_key_is_the_same_in_another_process():
    code = (
        "import tabular_rl as trl; from tabular_rl.experiments import Cell; river = trl.instances.river_swim(n=3, horizon=4);"
        "print(Cell(('test', 'river', 'uniform', 0), trl.losses.stochastic(river), trl.algorithms.DilatedBonusPO(), 100).key)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == BASE.key


def test_key_depends_on_the_code(monkeypatch):
    before = BASE.key
    monkeypatch.setattr(cells, "code_version", lambda: "another")
    assert replace(BASE).key != before


def test_seeds_of_different_labels_differ_and_ignore_everything_else():
    assert OTHERS["replicate"].seed.generate_state(2).tolist() != BASE.seed.generate_state(2).tolist()
    assert OTHERS["experiment"].seed.generate_state(2).tolist() != BASE.seed.generate_state(2).tolist()
    assert OTHERS["hyper-parameter"].seed.generate_state(2).tolist() == BASE.seed.generate_state(2).tolist()


@pytest.mark.parametrize("sparse", [False, True])
def test_descriptions_see_every_entry_of_a_model(sparse):
    def model(shift):
        P = np.array([[[0.5, 0.5]], [[0.25 + shift, 0.75 - shift]]])
        if sparse:
            from scipy.sparse import csr_array

            P = csr_array(P.reshape(2, 2))
        return trl.DiscountedMDP(P, np.zeros((2, 1)), 0.9)

    assert cells.describe(model(0.0)) == cells.describe(model(0.0))
    assert cells.describe(model(0.0)) != cells.describe(model(1e-16 + 2**-54))


def test_what_cannot_be_hashed_is_refused():
    with pytest.raises(TypeError, match="function"):
        cells.describe({"objective": lambda x: x})
