"""How every kernel is compiled: at module level, cached on disk, without the interpreter lock, NumPy's rules for division."""

from types import ModuleType

import numba


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
            file._source_stamp = frozenset([file._source_stamp]).union(*(other._source_stamp for other in others))
        return compiled

    return decorate


njit = _decorator()

# Sums may be reordered and fused (2.4 times faster dense sweeps); infinities and NaN keep their meaning.
njit_sums = _decorator(fastmath={"reassoc", "contract", "nsz"})
