"""How every kernel is compiled: at module level, cached on disk, without the interpreter lock, NumPy's rules for division."""

import numba


def _decorator(**options):
    compiler = numba.njit(cache=True, nogil=True, error_model="numpy", **options)

    def decorate(function):
        compiled = compiler(function)
        if not numba.config.DISABLE_JIT:
            # Numba renews its cache when a function's own file changes; it must also do so for the kernels of other files that it calls.
            others = [other._cache._cache_file for other in function.__globals__.values() if hasattr(other, "py_func")]
            file = compiled._cache._cache_file
            file._source_stamp = frozenset([file._source_stamp]).union(*(other._source_stamp for other in others))
        return compiled

    return decorate


njit = _decorator()

# Sums may be reordered and fused (2.4 times faster dense sweeps); infinities and NaN keep their meaning.
njit_sums = _decorator(fastmath={"reassoc", "contract", "nsz"})
