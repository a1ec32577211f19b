"""The package is there at once: what is heavy loads when it is first used."""

import statistics
import subprocess
import sys

import pytest

import tabular_rl

HEAVY = ("numba", "scipy", "pandas", "matplotlib", "gymnasium", "cvxpy", "joblib", "hypothesis")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def cpu_seconds(code):
    """Median CPU time of a fresh interpreter, waiting for a busy machine not counted."""
    clock = "import time; print(time.process_time())"
    return statistics.median(float(run(f"{code}; {clock}")) for _ in range(5))


def test_import_takes_less_than_300_milliseconds():
    assert cpu_seconds("import tabular_rl") - cpu_seconds("pass") <= 0.3


def test_import_brings_no_heavy_library():
    loaded = run("import sys, tabular_rl; print(*sys.modules)").split()
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_models_and_losses_do_not_bring_numba():
    code = "import sys, tabular_rl as trl; trl.losses.block(trl.FiniteHorizonMDP([[[1.0]]], [[0.5]], horizon=2), 3); print(*sys.modules)"
    assert "numba" not in run(code).split()


def test_plotting_brings_matplotlib_with_the_first_figure():
    code = "import sys, tabular_rl as trl; trl.plotting.size(1, 2); print(*sys.modules)"
    assert "matplotlib" not in run(code).split()


@pytest.mark.parametrize("name", tabular_rl.__all__)
def test_every_public_name_is_there(name):
    assert getattr(tabular_rl, name) is not None


@pytest.mark.parametrize("name", ["algorithms", "ambiguity", "experiments", "instances", "losses", "models", "planning", "plotting"])
def test_every_public_name_of_a_module_is_there(name):
    module = getattr(tabular_rl, name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        _ = tabular_rl.FiniteHorizonMPD
