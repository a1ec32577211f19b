"""How every kernel is compiled: at module level, cached on disk, without the interpreter lock, NumPy's rules for division."""

import contextlib
import hashlib
import multiprocessing
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import numba
from numba.core import event
from numba.core.caching import IndexDataCacheFile
from numba.core.serialize import dumps
from numba.core.typing import templates
from numba.np import arrayobj

SECONDS_OF_SILENCE = 1.0


def _spare_shape_texts():
    """Let Numba say "cannot assign slice from input of different size" without the two shapes.

    Every process that compiles an assignment between arrays also compiles the text with the shapes: a third of the time of a first call
    (DAPO: 10 of 32 s). Numba has the short form for other targets; where it cannot be found, nothing changes.
    """
    for function, kind in templates.builtin_registry.globals:
        if getattr(function, "__name__", "") == "raise_with_shape_context":
            for template in kind.templates:
                if template.metadata.get("target") == "CPU":
                    template._overload_func = staticmethod(arrayobj.ol_raise_with_shape_context_generic)


with contextlib.suppress(AttributeError):  # of another version of Numba
    _spare_shape_texts()


class _CacheFile(IndexDataCacheFile):
    """The compiled code of one function on disk, one file for each kind of arguments.

    Numba numbers these files, so two processes that compile a function for different arguments at the same time may both write number 1,
    and one loads the other's code. Here a file is named after what is in it; at worst, one process compiles again what it finds missing.
    """

    def save(self, key, data):
        overloads = self._load_index()
        if not overloads:  # all that is there is of another version of the source
            for stale in Path(self._cache_path).glob(f"{self._index_name.removesuffix('.nbi')}.*.nbc"):
                stale.unlink(missing_ok=True)
        name = f"{self._index_name.removesuffix('.nbi')}.{hashlib.sha256(dumps((self._source_stamp, key))).hexdigest()[:16]}.nbc"
        self._save_data(name, data)
        self._save_index(overloads | {key: name})


class _Notice(event.Listener):
    """One line on a terminal, once in a process, as soon as compilations have taken so long that a user wonders."""

    def __init__(self):
        self.depth, self.spent, self.said = 0, 0.0, False

    def on_start(self, _):  # never two at once: Numba holds its lock
        self.depth += 1
        if self.depth == 1 and not self.said:
            self.started, self.timer = time.monotonic(), threading.Timer(SECONDS_OF_SILENCE - self.spent, self.say)
            self.timer.daemon = True
            self.timer.start()

    def on_end(self, _):
        self.depth -= 1
        if self.depth == 0 and not self.said:
            self.timer.cancel()
            self.spent += time.monotonic() - self.started

    def say(self):
        self.said = True
        print("compiling, once: the next run finds it on disk", file=sys.stderr, flush=True)


if sys.stderr is not None and sys.stderr.isatty() and multiprocessing.current_process().name == "MainProcess":
    event.register("numba:compile", _Notice())


def _in_reach(names):
    """The values of ``names``, and of the kernel modules among them (those that compile anything)."""
    for value in names.values():
        yield value
        if isinstance(value, ModuleType) and ("njit" in vars(value) or "njit_sums" in vars(value)):
            yield from vars(value).values()


def _decorator(**options):
    compiler = numba.njit(cache=True, nogil=True, error_model="numpy", **options)

    def decorate(function):
        compiled = compiler(function)
        if not numba.config.DISABLE_JIT:
            # Numba renews its cache when a function's own file changes; it must also do so for the kernels of other files that it calls.
            others = [other._cache._cache_file for other in _in_reach(function.__globals__) if hasattr(other, "py_func")]
            file = compiled._cache._cache_file
            stamp = frozenset([file._source_stamp]).union(*(other._source_stamp for other in others))
            compiled._cache._cache_file = _CacheFile(file._cache_path, file._index_name.removesuffix(".nbi"), stamp)
        return compiled

    return decorate


njit = _decorator()

# A step of a loop that has one place: LLVM goes over all that is below a function once more for every function above it.
njit_inline = _decorator(inline="always")

# Sums may be reordered and fused (2.4 times faster dense sweeps); infinities and NaN keep their meaning.
njit_sums = _decorator(fastmath={"reassoc", "contract", "nsz"})
