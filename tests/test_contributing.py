"""The contributor's door: the templates are an algorithm, its claims and its figure that work, and the recipes say what is there."""

import importlib.util
import re
import runpy
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from proofs_check import citations, registry
from proofs_check.engine import verify
from tabular_rl import instances, losses, plotting
from tabular_rl.experiments import Experiment

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "docs" / "contributing" / "templates"
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "contributing").glob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for _, text in found]


@pytest.fixture
def moved_in(monkeypatch):
    """Imports a template as the file of the house that a contributor would make of it; its claims are forgotten afterwards."""
    registry.all_theorems()
    for shelf in ("_CLAIMS", "_THEOREMS"):
        monkeypatch.setattr(registry, shelf, {})

    def load(template, name):
        spec = importlib.util.spec_from_file_location(name, TEMPLATES / template)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def algorithm(moved_in):
    return moved_in("algorithm.py", "tabular_rl.algorithms.adversarial.explore_then_commit")


@pytest.fixture
def claims(moved_in, algorithm):
    moved_in("claim.py", "proofs_check.claims.adversarial.explore_then_commit")
    return registry._CLAIMS


def test_the_algorithm_runs_in_an_experiment_and_is_resumed(algorithm, tmp_path):
    grid = Experiment("template", {"bandit": instances.bandit(3)}, {"default": algorithm.ExploreThenCommit()}, episodes=500, replicates=3)
    once, again = (grid.run(tmp_path, progress=False) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)
    assert len(list(tmp_path.rglob("*.parquet"))) == 3
    assert (once.regret.diff()[once.episode > 1] >= 0).all()


def test_the_algorithm_explores_in_turn_and_commits_to_what_it_saw(algorithm):
    world = losses.stochastic(instances.bandit([0.2, 0.9, 0.5]), bernoulli=False)
    trace = algorithm.ExploreThenCommit(m=2).run(world, 100)
    np.testing.assert_allclose(trace["regret"][-1], 2 * (0.7 + 0.4))
    assert trace.policy[0, 0].tolist() == [0, 1, 0]
    np.testing.assert_allclose(algorithm.ExploreThenCommit(m=50).run(world, 4)["loss"], [0.8, 0.9, 1.4, 2.2])


def test_the_algorithm_refuses_what_it_cannot_play(algorithm):
    with pytest.raises(ValueError, match="one step and one state"):
        algorithm.ExploreThenCommit().run(instances.trap(), 10)
    for m in (0, -1, 1.5, "2"):
        with pytest.raises((ValueError, TypeError), match="m "):
            algorithm.ExploreThenCommit(m)


def test_the_claims_hold_and_their_controls_are_refuted(claims):
    assert len(claims) == 2
    for claim in claims.values():
        verdict = verify(claim)
        assert verdict.ok, verdict.reason
        assert verdict.refuted_control
    (theorem,) = registry._THEOREMS.values()
    registry._check_acyclic(theorem)
    assert set(theorem.claims) == set(claims)


FAULTS = {
    "argmin(seen)": "argmax(seen)",  # commits to the worst
    "else np.argmin(seen)": "else t % A",  # never commits
    "if t < m * len(arms) else": "if t < 2 * m * len(arms) else",  # explores twice as long
    "loss += means[0, 0, arm]": "loss += means[0, 0].min()",  # reports too little
}


@pytest.mark.parametrize("line", FAULTS)
def test_the_claims_see_a_fault_of_the_algorithm(moved_in, tmp_path, line):
    source = (TEMPLATES / "algorithm.py").read_text(encoding="utf-8")
    assert source.count(line) == 1
    (tmp_path / "broken.py").write_text(source.replace(line, FAULTS[line]), encoding="utf-8")
    moved_in(tmp_path / "broken.py", "tabular_rl.algorithms.adversarial.explore_then_commit")
    moved_in("claim.py", "proofs_check.claims.adversarial.explore_then_commit")
    verdicts = [verify(claim) for claim in registry._CLAIMS.values()]
    assert not all(verdict.holds for verdict in verdicts)
    assert [verdict.error for verdict in verdicts] == ["", ""]


def test_the_figure_leaves_a_picture_a_vector_and_its_numbers(algorithm, monkeypatch, tmp_path):
    monkeypatch.setenv("TABULAR_RL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TABULAR_RL_FIGURES", str(tmp_path / "output"))
    monkeypatch.setattr(plotting, "size", lambda quick, full: quick[::3])
    plt.switch_backend("Agg")
    runpy.run_path(str(TEMPLATES / "plot_template.py"), run_name="__main__")
    plt.close("all")
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [f"plot_template.{kind}" for kind in ("csv", "pdf", "png")]


def test_the_figure_is_a_lecture():
    text = (TEMPLATES / "plot_template.py").read_text(encoding="utf-8")
    title, underline = text.splitlines()[1:3]
    assert underline == "=" * len(title)
    assert text.count("# %%") >= 3
    assert "Exercises" in text
    assert 50 <= len(text.splitlines()) <= 150


@pages
def test_what_a_recipe_names_is_there(page):
    """Paths of the house; those of the algorithm that the templates make are where its family is."""
    named = re.findall(r"`((?:[\w.*-]+/)+[\w.*-]*)`|\]\(([\w./-]+)\)", page.read_text(encoding="utf-8"))
    assert named
    for path in [path for pair in named for path in pair if path]:
        base = page.parent if (page.parent / path).exists() else ROOT
        if "explore_then_commit" in path:
            path = str(Path(path).parent)
        assert list(base.glob(path)), f"{page.name} names {path}"


def test_the_test_of_the_recipe_passes(algorithm):
    (block,) = blocks(ROOT / "docs" / "contributing" / "algorithm.md", "python")
    namespace = {}
    exec(block, namespace)
    namespace["test_without_noise_only_exploration_costs"]()


def test_the_proof_of_the_recipe_is_found_for_every_claim(claims):
    (block,) = blocks(ROOT / "docs" / "contributing" / "claim.md", "markdown")
    document = citations.Document("template", block)
    for id in [*claims, *registry._THEOREMS]:
        assert [(place.label, place.section) for place in document.named(id)] == [("ETC", "1. Explore-then-commit")]


@pages
def test_the_commands_of_a_recipe_are_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [line.split() for block in blocks(page, "console") for line in block.splitlines()]
    assert len(commands) >= 2
    for command, *arguments in commands:
        if command == "make":
            targets = [word for word in " ".join(arguments).partition("#")[0].split() if "=" not in word]
            assert targets
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), targets
        elif command not in ("cp", "git"):
            assert_tool(command)


def assert_tool(command):
    """A program that ``make install`` puts into .venv."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = {
        "python",
        "lint-imports",
        *project["scripts"],
        *(re.split("[>=<]", need)[0] for need in project["optional-dependencies"]["test"]),
    }
    assert command.startswith(".venv/bin/")
    assert Path(command).name in tools, command


# --- forms and hooks


def test_hooks_are_local_and_run_the_tools_of_the_project():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    assert set(hooks) == {"ruff", "ruff-format", "mypy", "import-linter"}
    for hook in hooks.values():
        assert {"id", "name", "entry", "language"} <= set(hook)
        command = hook["entry"].split()[0]
        assert_tool(command)
        assert subprocess.run([Path(sys.executable).parent / Path(command).name, "--help"], capture_output=True).returncode == 0, command


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_issue_forms_are_what_github_shows(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(content)
    for element in content["body"]:
        assert element["type"] in ("markdown", "input", "textarea", "dropdown", "checkboxes")
        needed = "value" if element["type"] == "markdown" else "label"
        assert element["attributes"][needed]
    fields = [element for element in content["body"] if element["type"] != "markdown"]
    assert len({element["id"] for element in fields}) == len(fields)


def test_there_is_a_form_for_each_kind_of_issue_and_for_changes():
    assert [form.stem for form in FORMS] == ["bug", "request"]
    bug = FORMS[0].read_text(encoding="utf-8")
    assert all(id in bug for id in ("id: model", "id: expected", "id: version"))
    assert "- [ ]" in (ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8")
