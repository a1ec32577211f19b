"""Every compiled function is cached on disk and frees the interpreter lock; and all of them run uncompiled too."""

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core import event
from numba.core.caching import IndexDataCacheFile

import tabular_rl
from tabular_rl.kernels import compiling

MODULES = [
    module.name
    for package in ("kernels", "planning", "algorithms")
    for module in pkgutil.walk_packages([f"{tabular_rl.__path__[0]}/{package}"], f"tabular_rl.{package}.")
]
NAMES = [
    f"{name}.{attribute}"
    for name in MODULES
    for attribute, value in vars(importlib.import_module(name)).items()
    if hasattr(value, "py_func") and value.__module__ == name
]
interpreted = bool(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0")


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
def test_the_kernels_are_found():
    assert len(NAMES) >= 25
    assert "tabular_rl.kernels.episodic.episodes.state_occupancy" in NAMES
    assert "tabular_rl.algorithms.optimistic.ucbvi._run" in NAMES


@pytest.mark.parametrize("path", NAMES)
def test_compiled_functions_are_cached_and_free_the_lock(path):
    module, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    assert function.targetoptions["nogil"]
    assert type(function._cache).__name__ == "FunctionCache"
    assert function.targetoptions["error_model"] == "numpy"
    assert not {"nnan", "ninf", "fast"} & set(function.targetoptions.get("fastmath") or ())


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
@pytest.mark.parametrize("imported", ["from callee import inner", "import callee"])
def test_an_edited_kernel_renews_the_cache_of_its_callers_in_other_files(tmp_path, imported):
    def write(name, body):
        (tmp_path / f"{name}.py").write_text(f"from tabular_rl.kernels.compiling import njit\n{body}")

    def run():
        code = "import caller; print(caller.outer(1.0), sum(caller.outer.stats.cache_hits.values()))"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path)}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.split()

    write("callee", "@njit\ndef inner(x):\n    return x + 1\n")
    name = "inner" if imported.startswith("from") else "callee.inner"
    write("caller", f"{imported}\n@njit\ndef outer(x):\n    return 10 * {name}(x)\n")
    assert run() == ["20.0", "0"]
    assert run() == ["20.0", "1"]
    write("callee", "@njit\ndef inner(x):\n    return x + 2\n")
    assert run() == ["30.0", "0"]


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
def test_an_assignment_between_arrays_compiles_no_text_of_shapes():
    """The text alone compiled for 5 s in every process."""
    compiled = []

    class Watch(event.Listener):
        def on_start(self, happened):
            compiled.append(happened.data["dispatcher"].py_func.__module__)

        def on_end(self, _):
            pass

    @numba.njit(error_model="numpy")
    def assign(a, b):
        a[1:] = b

    message = "cannot assign slice from input of different size"
    with event.install_listener("numba:compile", Watch()), pytest.raises(ValueError, match=message):
        assign(np.zeros((3, 1, 1, 1)), np.ones((3, 1, 1, 1)))
    assert compiled
    assert "numba.cpython.unicode" not in compiled


def two_writers(kind, folder):
    """What a third process reads of ``a`` and ``b``, when one saved ``b`` while the other was about to write ``a``."""
    first, second, third = (kind(str(folder), "f", "stamp") for _ in range(3))
    second._load_index = dict  # it has looked before the other wrote anything
    write = first._save_data

    def late(name, data):
        second.save("b", "code of b")
        write(name, data)

    first._save_data = late
    first.save("a", "code of a")
    return third.load("a"), third.load("b")


def test_two_processes_that_compile_at_once_do_not_mix_up_their_code(tmp_path):
    for folder in ("ours", "numba"):
        (tmp_path / folder).mkdir()
    assert two_writers(compiling._CacheFile, tmp_path / "ours") == ("code of a", None)  # None: compiled again
    assert two_writers(IndexDataCacheFile, tmp_path / "numba")[1] == "code of a"  # why the class exists


def test_code_of_an_older_source_is_removed(tmp_path):
    for stamp in ("old", "new"):
        compiling._CacheFile(str(tmp_path), "f", stamp).save("a", stamp)
    assert compiling._CacheFile(str(tmp_path), "f", "old").load("a") is None
    assert compiling._CacheFile(str(tmp_path), "f", "new").load("a") == "new"
    assert len(list(tmp_path.glob("*.nbc"))) == 1


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_is_told_once_that_kernels_are_compiled(tmp_path):
    script, cached = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(
        "from tabular_rl.kernels import compiling\ncompiling.SECONDS_OF_SILENCE = 0\n"
        "@compiling.njit\ndef f(x):\n    return x + 1\nf(1), f(1.0)\n"
    )

    def told(terminal):
        reader, writer = os.openpty()
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cached)}
        done = subprocess.run([sys.executable, script], env=environment, stderr=writer if terminal else subprocess.PIPE, check=True)
        os.close(writer)
        try:
            return os.read(reader, 1000) if terminal else done.stderr
        except OSError:  # nothing was written
            return b""
        finally:
            os.close(reader)

    assert told(terminal=False) == b""
    shutil.rmtree(cached)
    assert told(terminal=True).splitlines() == [b"compiling, once: the next run finds it on disk"]
    assert told(terminal=True) == b""  # as it says


RUNS = [f"tests/test_claims.py::test_claim[{name}.run]" for name in ("bobw", "dilated-bonus-po", "ucbvi")]  # whole runs of algorithms


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", ["tests/kernels", "tests/planning", "tests/test_losses.py", *RUNS])
def test_the_suite_passes_uncompiled(part, pytestconfig):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning", part]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, cwd=pytestconfig.rootpath, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
