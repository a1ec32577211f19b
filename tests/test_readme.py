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


def test_the_table_has_every_family_and_names_what_there_is():
    from tabular_rl import algorithms

    rows = dict(re.findall(r"^\| (\w+) \| (.*)$", TEXT[TEXT.index("## Algorithms") :], re.MULTILINE))
    families = {kind.__module__.split(".")[2] for kind in algorithms.catalogue().values()}
    assert set(rows) - {"family"} == families
    for family in families:
        named = [name for name in re.findall(r"`([A-Z]\w+)`", rows[family]) if hasattr(algorithms, name)]
        assert named
        assert all(getattr(algorithms, name).__module__.split(".")[2] == family for name in named)
    shown = set(re.findall(r"`([A-Z]\w+)`", "".join(rows.values())))
    assert all(hasattr(algorithms, name) for name in shown)


def test_picture_is_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (ROOT / path).stat().st_size > 10_000
