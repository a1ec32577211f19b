"""Files of a package offer names that are found without being imported."""

import subprocess
import sys

import pytest

from tabular_rl import algorithms, discovery


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two families in an empty folder."""
    folder = tmp_path / "offering"
    for family, name in (("one", "First"), ("two", "Second")):
        (folder / family).mkdir(parents=True)
        (folder / family / "__init__.py").touch()
        (folder / family / f"{name.lower()}.py").write_text(
            f'__all__ = ["{name}"]\n\n\nclass {name}:\n    pass\n\n\nclass Other:\n    pass\n'
        )
    (folder / "__init__.py").write_text('__all__ = ["not of a file"]\n')
    (folder / "silent.py").write_text("class Silent:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "offering", str(folder)


def test_names_are_found_and_loaded_by_their_files(package):
    assert discovery.offered(*package) == {"First": ["offering.one.first"], "Second": ["offering.two.second"]}
    assert discovery.load(*package, "Second").__module__ == "offering.two.second"
    assert "offering.one.first" not in sys.modules
    assert discovery.load(*package, "one").__name__ == "offering.one"
    for name in ("Silent", "Other"):
        with pytest.raises(AttributeError, match=f"module 'offering' has no attribute '{name}'"):
            discovery.load(*package, name)


def test_a_name_that_two_files_offer_is_an_error(package):
    name, folder = package
    with open(f"{folder}/two/third.py", "w") as file:
        file.write('__all__ = [\n    "First",\n]\n')
    with pytest.raises(ImportError, match=r"First is offered more than once, by offering\.one\.first and by offering\.two\.third"):
        discovery.load(name, folder, "First")


def test_algorithms_load_when_they_are_used():
    code = "import sys, tabular_rl.algorithms as a; a.Trace; print('numba' in sys.modules); a.Uniform; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]


def test_every_class_with_a_run_is_offered_by_its_own_file():
    for name, kind in algorithms.catalogue().items():
        assert kind.__name__ == name
        assert discovery.offered("tabular_rl.algorithms", algorithms.__path__[0])[name] == [kind.__module__]
    assert not {name for name in dir(algorithms) if name.startswith("Delayed")} - set(algorithms.__all__)
