"""Figures come from nothing, the same every time, and their program knows its names."""

import runpy

import pandas as pd
import pytest

import figures.style
from figures.__main__ import SCRIPTS, choose, docstring, names

TINY = {"dilated_bonus_po_regret": [50, 100], "solver_time": [8, 16], "subpo_curves": 6, "subpo_paths": 1}
TINY |= {"subpo_tiny": 5, "subpo_bandit": 10, "lpo_certificate": 3, "bobw_worlds": 3_000}
TINY |= {"lpo_exploration": lambda quick: 2 if quick < 100 else 3e5, "lpo_switches": lambda quick: 2 if quick < 100 else 1000}
TINY |= {"drpg_convergence": lambda quick: [1, 50] if isinstance(quick, list) else 2, "drpg_tolerance": 2, "drpg_parametric": 1}
TINY |= {"dr_rpo_robustness": 20, "dr_rpo_tau": 100, "dr_rpo_certificate": 100}
TINY |= {"lpo_rate": lambda quick: quick[:2] if isinstance(quick, list) else 2}


def tiny(name, quick):
    """A size for tests: the first two of a list, 200 in place of a number."""
    given = TINY.get(name, quick[:2] if isinstance(quick, list) else 200)
    return given(quick) if callable(given) else given


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """A function that runs a script at a size for tests and returns its folder."""
    monkeypatch.setenv("TABULAR_RL_STORE", str(tmp_path / "store"))

    def run(name, folder="output"):
        monkeypatch.setenv("TABULAR_RL_FIGURES", str(tmp_path / folder))
        monkeypatch.setattr(figures.style, "size", lambda quick, full: tiny(name, quick))
        runpy.run_path(str(SCRIPTS / f"plot_{name}.py"), run_name="__main__")
        return tmp_path / folder

    figures.style.plt.switch_backend("Agg")
    yield run
    figures.style.plt.close("all")


@pytest.mark.parametrize("name", names())
def test_every_script_leaves_a_picture_a_vector_and_its_numbers(draw, name):
    folder = draw(name)
    assert sorted(path.name for path in folder.iterdir()) == [f"plot_{name}.csv", f"plot_{name}.pdf", f"plot_{name}.png"]
    assert (folder / f"plot_{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / f"plot_{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(folder / f"plot_{name}.csv")) > 0


@pytest.mark.parametrize("name", ["dilated_bonus_po_regret", "frozen_lake_maps"])  # the third one measures time
def test_a_second_run_gives_the_same_bytes(draw, name):
    once, again = draw(name, "once"), draw(name, "again")
    for path in once.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", names())
def test_every_script_is_a_lecture(name):
    text = (SCRIPTS / f"plot_{name}.py").read_text(encoding="utf-8")
    title, underline = docstring(name).splitlines()[:2]
    assert underline == "=" * len(title)
    assert text.count("# %%") >= 3
    assert "Exercises" in text
    assert 50 <= len(text.splitlines()) <= 150


def test_choose_takes_names_with_and_without_prefix_and_all_by_default():
    assert choose(["solver_time", "plot_solver_time"]) == ["solver_time", "solver_time"]
    assert choose([]) == names()


def test_unknown_figure_is_an_error_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'solver_time'"):
        choose(["solver_tine"])
