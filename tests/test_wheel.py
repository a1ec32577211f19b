"""What is installed: the wheel brings no name that could be a user's own, and works where such names are taken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TAKEN = ("figures", "benchmarks", "style", "tests", "docs")  # a user's files; importing one fails


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the wheel is installed, without what the repository has beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder / "installed", wheel]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    return folder / "installed"


@pytest.fixture
def run(installed, tmp_path):
    """A function that runs Python in the folder of a user who has files of the names TAKEN, and returns what it prints."""
    for name in TAKEN:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a file of the user was imported')\n")
    # the user's folder comes first, as with `python -m` and in notebooks; interpreted: what is tested is where things are
    place = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(installed)]), "NUMBA_DISABLE_JIT": "1", "COLUMNS": "1000"}

    def run(*words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TABULAR_RL_")}
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=tmp_path, env=environment | place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_wheel_brings_two_names(installed):
    assert {path.name for path in installed.iterdir()} == {"tabular_rl", "proofs_check", "tabular_rl-0.1.0.dist-info", "bin"}


def test_the_scripts_of_the_figures_travel_inside_the_package(installed):
    inside, here = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (installed / "tabular_rl" / "_gallery", ROOT / "figures")
    )
    assert inside == {name: text for name, text in here.items() if Path(name).name.startswith("plot_") and name.endswith(".py")}
    assert len(inside) >= 37


COMMANDS = {
    "list": "river_swim",
    "list solver_time": str(Path("tabular_rl", "_gallery", "foundations", "plot_solver_time.py")),
    "figures --help": "--output",
    "explain dilated-bonus": "bonus.at-most-e",
    "verify bonus --examples 3 --jobs 1": "3 of 3 claims hold",
    "run Uniform bandit -n 5 --output trace.csv": "regret",
}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_works_beside_files_of_its_users(installed, run, words):
    assert COMMANDS[words] in run(installed / "bin" / "tabular-rl", *words.split())


@pytest.mark.parametrize("module", ["tabular_rl.cli", "proofs_check"])
def test_every_program_starts_beside_files_of_its_users(run, module):
    assert "Usage" in run("-m", module, "--help")


def test_figures_go_to_the_folder_of_the_user(installed, run, tmp_path):
    files = lambda: {path for path in installed.rglob("*") if "__pycache__" not in path.parts}
    before = files()
    run("-m", "tabular_rl.cli", "figures", "frozen_lake_maps")
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".pdf", ".csv"}
    assert files() == before
    assert str(installed) in run("-c", "import tabular_rl; print(tabular_rl.__file__)")
