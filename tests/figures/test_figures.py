"""Figures come from nothing, the same every time, and their program knows its names."""

import ast
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tabular_rl import plotting
from tabular_rl.gallery import SCRIPTS, choose, docstring, names, scripts

INSTALLED = {"tabular_rl", "matplotlib", "numpy", "pandas", "scipy"}  # with the extra figures
TINY = {"dilated_bonus_po_regret": [50, 100], "solver_time": [8, 16], "subpo_curves": 6, "subpo_paths": 1}
TINY |= {"subpo_tiny": 5, "subpo_bandit": 10, "lpo_certificate": 3, "bobw_worlds": 3_000}
TINY |= {"lpo_exploration": lambda quick: 2 if quick < 100 else 3e5, "lpo_switches": lambda quick: 2 if quick < 100 else 1000}
TINY |= {"drpg_convergence": lambda quick: [1, 50] if isinstance(quick, list) else 2, "drpg_tolerance": 2, "drpg_parametric": 1}
TINY |= {"dr_rpo_robustness": 20, "dr_rpo_tau": 100, "dr_rpo_certificate": 100}
TINY |= {"lpo_rate": lambda quick: quick[:2] if isinstance(quick, list) else 2}


READABLE = {"dilated_bonus_po_regret", "bobw_worlds", "bobw_phases", "bobw_certificate", "dapo_unknown", "dapo_delays", "dapo_bound"}
READABLE |= {
    "dr_rpo_beta_need",
    "dr_rpo_tau",
    "dr_rpo_regret",
    "dr_rpo_robustness",
    "dr_rpo_certificate",
    "lpo_certificate",
    "lpo_exploration",
}
READABLE |= {"drpg_bound", "drpg_pennies", "drpg_convergence", "drpg_tolerance", "drpg_counterexample", "drpg_parametric"}
READABLE |= {"subpo_tiny", "subpo_paths", "subpo_bandit", "subpo_curves", "ravi_ucb"}


def tiny(name, quick):
    """A size for tests: the first two of a list, 200 in place of a number."""
    given = TINY.get(name, quick[:2] if isinstance(quick, list) else 200)
    return given(quick) if callable(given) else given


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """A function that runs a script at a size for tests and returns its folder."""
    monkeypatch.setenv("TABULAR_RL_STORE", str(tmp_path / "store"))

    save = plotting.save

    def save_and_look(fig, name, data):
        save(fig, name, data)
        if name.removeprefix("plot_") in READABLE:
            assert_readable(fig)

    def run(name, folder="output"):
        monkeypatch.setenv("TABULAR_RL_FIGURES", str(tmp_path / folder))
        monkeypatch.setattr(plotting, "save", save_and_look)
        monkeypatch.setattr(plotting, "size", lambda quick, full: tiny(name, quick))
        runpy.run_path(str(scripts()[name]), run_name="__main__")
        return tmp_path / folder

    plt.switch_backend("Agg")
    yield run
    plt.close("all")


@pytest.mark.parametrize("name", names())
def test_every_script_leaves_a_picture_a_vector_and_its_numbers(draw, name):
    folder = draw(name)
    assert sorted(path.name for path in folder.iterdir()) == [f"plot_{name}.csv", f"plot_{name}.pdf", f"plot_{name}.png"]
    assert (folder / f"plot_{name}.png").read_bytes().startswith(b"\x89PNG")
    vector = (folder / f"plot_{name}.pdf").read_bytes()
    assert vector.startswith(b"%PDF")
    assert b"/Type3" not in vector
    assert b"/CIDFontType2" in vector
    numbers = pd.read_csv(folder / f"plot_{name}.csv")
    assert len(numbers) > 0
    assert [column for column in numbers.select_dtypes(float) if floored(numbers[column])] == []


def floored(column):
    """Whether the least value of ``column`` is a power of ten below 1 that many rows share: a place on an axis, not a number."""
    least = column.min()
    return 0 < least <= 1e-3 and abs(np.log10(least) - round(np.log10(least))) < 1e-9 and (column == least).sum() > 2


def out_of_sight(axis):
    """Dots beyond the limits of the y axis, and places where a curve leaves them, that no caret marks."""
    (low, high), (first, last) = sorted(axis.get_ylim()), sorted(axis.get_xlim())
    guides, lines = ([line for line in axis.lines if (line.get_gid() == "guide") == guide] for guide in (True, False))
    marked = {x for line in guides if line.get_marker() in ("^", "v") for x in line.get_xdata()}
    for line in lines:
        if line.get_transform() == axis.transData:
            x, y = (np.asarray(values, float) for values in line.get_data())
            out = ((y < low) | (y > high)) & (x >= first) & (x <= last)
            if line.get_marker() in ("None", None, ""):
                out &= ~np.append(False, out[:-1])
            yield from (point for point in zip(x[out], y[out], strict=True) if point[0] not in marked)


def assert_readable(fig):
    """No point of ``fig`` is cut off without a mark; no title, label or legend lies over another one, or leaves a page of 7 inches."""
    assert fig.get_figwidth() <= 7
    for axis in fig.axes:
        assert list(out_of_sight(axis)) == [], axis.get_title()
    fig.canvas.draw()
    words = [text for axis in fig.axes for text in (axis.title, axis.xaxis.label, axis.yaxis.label)] + fig.texts
    words = [text for text in words if text.get_text() and text.get_visible()] + fig.legends
    boxes = [word.get_window_extent().padded(-1) for word in words]
    for word, box in zip(words, boxes, strict=True):
        assert all(fig.bbox.padded(2).contains(*corner) for corner in box.corners()), f"{word} leaves the page"
        assert [other for other, its in zip(words, boxes, strict=True) if other is not word and its.overlaps(box)] == [], word


@pytest.mark.parametrize("name", ["dilated_bonus_po_regret", "frozen_lake_maps"])  # the third one measures time
def test_a_second_run_gives_the_same_bytes(draw, name):
    once, again = draw(name, "once"), draw(name, "again")
    for path in once.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", names())
def test_every_script_is_a_lecture(name):
    text = scripts()[name].read_text(encoding="utf-8")
    title, underline = docstring(name).splitlines()[:2]
    assert underline == "=" * len(title)
    assert text.count("# %%") >= 3
    assert "Exercises" in text
    assert 50 <= len(text.splitlines()) <= 150


@pytest.mark.parametrize("name", names())
def test_a_copy_of_a_script_runs_anywhere(name):
    tree = ast.walk(ast.parse(scripts()[name].read_text(encoding="utf-8")))
    modules = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {module.partition(".")[0] for module in modules} - sys.stdlib_module_names <= INSTALLED


def test_figures_go_to_the_current_folder_and_not_among_scripts(tmp_path, monkeypatch, draw):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TABULAR_RL_FIGURES", raising=False)
    assert plotting.output_folder() == Path("figures")
    plotting.save(plotting.figure()[0], "empty", pd.DataFrame({"x": [1]}))
    assert sorted(path.name for path in Path("figures").iterdir()) == ["empty.csv", "empty.pdf", "empty.png"]
    (tmp_path / "figures" / "family").mkdir()
    (tmp_path / "figures" / "family" / "plot_it.py").touch()
    assert plotting.output_folder() == Path("figures", "output")


def test_the_repository_keeps_its_figures_apart(monkeypatch):
    monkeypatch.chdir(SCRIPTS.parent)
    assert plotting.output_folder() == Path("figures", "output")


def test_choose_takes_names_with_and_without_prefix_and_all_by_default():
    assert choose(["solver_time", "plot_solver_time"]) == ["solver_time", "solver_time"]
    assert choose([]) == names()


def test_unknown_figure_is_an_error_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'solver_time'"):
        choose(["solver_tine"])


@pytest.fixture
def loglog():
    """Logarithmic axes with a curve that passes 0, and a dot."""
    fig, axes = plotting.figure()
    axes[0, 0].plot([1, 10, 100, 1000], [2.0, 1e-3, 0.0, -1e-12])
    axes[0, 0].fill_between([1, 10, 100, 1000], [1.0, 1e-4, 0.0, -1e-12], [3.0, 1e-2, 1e-5, 0.0])
    axes[0, 0].set(xscale="log", yscale="log", ylim=(1e-9, 10))
    yield axes[0, 0]
    plt.close(fig)


def test_floor_draws_at_the_floor_names_it_and_leaves_the_data(loglog):
    data = pd.Series([5.0, 0.0, -1e-9, 1e-3])
    loglog.plot([1, 10, 100, 1000], data, "o")
    plotting.floor(loglog, 1e-6)
    assert loglog.lines[0].get_ydata().tolist() == [2.0, 1e-3, 1e-6, 1e-6]
    assert loglog.lines[1].get_ydata().tolist() == [5.0, 1e-6, 1e-6, 1e-3]
    assert loglog.collections[0].get_paths()[0].vertices[:, 1].min() == 1e-6
    assert data.tolist() == [5.0, 0.0, -1e-9, 1e-3]
    assert loglog.get_yticks()[0] == 1e-6
    assert loglog.get_yticklabels()[0].get_text() == r"$\leq 10^{-6}$"
    low, high = loglog.get_ylim()
    assert low < 1e-6
    assert high == 10
    assert list(out_of_sight(loglog)) == []


def test_beyond_marks_every_dot_out_of_sight_and_the_places_where_a_curve_leaves():
    axis = plotting.figure()[1][0, 0]
    axis.plot([1, 2, 3, 4], [1, 5, 9, 1], "s")
    axis.plot([1, 2, 3, 4, 5], [1, -1, -2, 1, -3])
    axis.set(ylim=(0, 2), xlim=(0, 6))
    assert list(out_of_sight(axis)) == [(2, 5), (3, 9), (2, -1), (5, -3)]
    plotting.beyond(axis)
    assert list(out_of_sight(axis)) == []
    carets = [(*point, line.get_marker()) for line in axis.lines[2:] for point in line.get_xydata()]
    assert sorted(carets) == [(2, 0, "v"), (2, 2, "^"), (3, 2, "^"), (5, 0, "v")]
    assert axis.get_ylim() == (0, 2)
    assert axis.get_xlim() == (0, 6)


def test_the_name_of_a_reference_slope_stands_on_it_and_away_from_curves(loglog):
    loglog.set(xlim=(1, 1000), ylim=(1e-3, 1e3))
    loglog.lines[0].set_data([1, 30], [1, 30])  # the left half of the guide is taken
    plotting.reference_slope(loglog, 1, "slope 1", (1, 1))
    (label,) = loglog.texts
    x, y = label.get_position()
    assert y == pytest.approx(x)
    assert x > 60


def test_the_whole_name_of_a_reference_slope_keeps_off_the_curves(loglog):
    x = np.geomspace(1, 1000, 400)
    loglog.set(xlim=(1, 1000), ylim=(1e-3, 1e3))
    loglog.lines[0].set_data(x, x * np.where(x < 60, 0.7, 0.03))  # beside the guide, then below it
    loglog.collections[0].remove()
    plotting.reference_slope(loglog, 1, "slope 1", (1, 1))
    box = loglog.texts[0].get_window_extent()
    assert not any(box.contains(*point) for point in loglog.transData.transform(loglog.lines[0].get_xydata()))


def test_a_power_of_ten_that_many_rows_share_is_seen_as_a_floor():
    assert floored(pd.Series([1e-9, 1e-9, 1e-9, 0.5]))
    assert not floored(pd.Series([0.0, 0.0, 0.0, 0.5]))
    assert not floored(pd.Series([1e-9, 0.2, 0.5]))


def test_no_markov_policy_of_the_tiny_grids_is_better_than_the_best_one_found(draw):
    table = pd.read_csv(draw("subpo_tiny") / "plot_subpo_tiny.csv")
    for other in ("SubPO", "largest", "ModPO", "uniform"):
        assert (table["best Markov found"] >= table[other] - 1e-9).all(), other


def test_the_file_of_the_two_worlds_has_every_fixed_rate_run(draw):
    table = pd.read_csv(draw("bobw_worlds") / "plot_bobw_worlds.csv")
    tuned = table[table.algorithm == "fixed rate (one run per T)"]
    assert sorted(tuned.length.unique()) == [2000]
    assert len(tuned) == 16


def test_zero_temperature_is_written_as_zero(draw):
    table = pd.read_csv(draw("dr_rpo_tau") / "plot_dr_rpo_tau.csv")
    assert table.tau.min() == 0
