"""The contributor's door: a new algorithm is four files and nothing else, and the recipes say what is there."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "contributing").glob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for _, text in found]


FOUR = [
    "tabular_rl/algorithms/adversarial/explore_then_commit.py",
    "proofs_check/claims/adversarial/explore_then_commit.py",
    "figures/adversarial/plot_explore_then_commit.py",
    "tests/algorithms/adversarial/test_explore_then_commit.py",
]
NAMES = {"ExploreThenCommit": "EpsilonGreedy", "explore_then_commit": "epsilon_greedy", "explore-then-commit": "epsilon-greedy"}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the house with one algorithm more: four files, which differ from those of another in its name alone."""
    root = tmp_path_factory.mktemp("house")
    leave = shutil.ignore_patterns("__pycache__", "output", "results")
    for folder in ("tabular_rl", "proofs_check", "figures", "benchmarks", "teeth", "tests", "docs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=leave)
    for path in (*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"):
        shutil.copy(path, root)
    for path in FOUR:
        text, new = (ROOT / path).read_text(encoding="utf-8"), path
        for old, name in NAMES.items():
            text, new = text.replace(old, name), new.replace(old, name)
        (root / new).write_text(text, encoding="utf-8")
    return root


def at_home(house, *words):
    """What a Python program prints in the copy, and nowhere else; uncompiled, which is faster here."""
    environment = os.environ | {"PYTHONPATH": str(house), "NUMBA_DISABLE_JIT": "1", "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *words], cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_algorithm_is_listed_with_its_theorem_its_figure_and_its_claims(house):
    listed = at_home(house, "-m", "tabular_rl.cli", "list", "adversarial")
    for name in ("EpsilonGreedy", "epsilon-greedy", "epsilon_greedy", "epsilon-greedy.regret"):
        assert re.search(rf"^{name} ", listed, re.MULTILINE), name
    assert "proofs_check/claims/adversarial/epsilon_greedy.py, Proof" in at_home(house, "-m", "tabular_rl.cli", "explain", "epsilon-greedy")


def test_a_new_algorithm_runs(house):
    assert at_home(house, "-m", "tabular_rl.cli", "run", "EpsilonGreedy").split()[:4] == ["EpsilonGreedy", "plays", "an", "AdversarialMDP:"]
    assert "regret" in at_home(house, "-m", "tabular_rl.cli", "run", "EpsilonGreedy", "bandit", "means=3", "-n", "20", "--seeds", "2")


def test_a_new_algorithm_is_held_to_the_contract_and_to_the_rules_of_the_house(house):
    contract = ["tests/algorithms/test_every_algorithm.py", "tests/test_wrong_kinds.py", "tests/test_mistakes.py"]
    rules = ["tests/test_citations.py", "tests/test_structure.py", "tests/test_readme.py"]
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    held = at_home(house, *words, *contract, "-k", "EpsilonGreedy")
    assert int(re.search(r"(\d+) passed", held)[1]) >= 30
    at_home(house, *words, *rules, "-k", "not python_example")


@pages
def test_what_a_recipe_names_is_there(page):
    """Paths of the house; those of the algorithm that the recipes make are where its family is."""
    named = re.findall(r"`((?:[\w.*-]+/)+[\w.*-]*)`|\]\(([\w./-]+)\)", page.read_text(encoding="utf-8"))
    assert named
    for path in [path for pair in named for path in pair if path]:
        base = page.parent if (page.parent / path).exists() else ROOT
        if "epsilon_greedy" in path:
            path = str(Path(path).parent)
        assert list(base.glob(path)), f"{page.name} names {path}"


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
