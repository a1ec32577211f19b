"""Every example in a docstring gives what it says."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import tabular_rl

ROOT = Path(tabular_rl.__file__).parent
FILES = [file for file in sorted(ROOT.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]


def test_the_kernels_that_a_lecturer_opens_have_examples():
    assert len(FILES) >= 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_examples_in_docstrings(file):
    result = doctest.testmod(import_module(".".join(["tabular_rl", *file.relative_to(ROOT).with_suffix("").parts])))
    assert result == doctest.TestResults(failed=0, attempted=file.read_text(encoding="utf-8").count(">>> "))
