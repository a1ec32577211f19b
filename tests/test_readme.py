"""What the README shows works as it is shown."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_python_example_runs(capsys):
    exec(blocks("python")[0], {})
    output = capsys.readouterr().out
    assert output.startswith("1.0\n")
    assert "error <= " in output


def test_the_claim_shown_is_the_claim():
    shown = re.search(r"def at_most_e.*", blocks("python")[1], re.DOTALL)[0].strip()
    source = (ROOT / "proofs_check" / "claims" / "foundations" / "bonus.py").read_text(encoding="utf-8")
    assert shown in source


@pytest.mark.parametrize("line", [line for block in blocks("console") for line in block.splitlines() if line.startswith("make ")])
def test_make_targets_exist(line):
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_algorithm_is_in_the_table():
    from tabular_rl import algorithms

    for name in algorithms.__all__:
        if hasattr(getattr(algorithms, name), "run"):
            assert f"`{name}`" in TEXT


def test_picture_is_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (ROOT / path).stat().st_size > 10_000
