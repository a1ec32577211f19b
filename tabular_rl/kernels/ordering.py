"""Allocation-free sorting, for hot loops."""

from tabular_rl.kernels.compiling import njit


@njit
def argsort(keys, n, order, spare):
    """``order[:n]`` = indices of the first n ``keys`` in increasing order, ties by index (stable). ``spare`` [n] is overwritten.

    Runs of 16 by insertion, then merges: O(n log n) always.
    """
    for start in range(0, n, 16):
        stop = min(start + 16, n)
        for i in range(start, stop):
            key, j = keys[i], i
            while j > start and keys[order[j - 1]] > key:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
    width = 16
    source, target = order, spare
    while width < n:
        for start in range(0, n, 2 * width):
            middle, stop = min(start + width, n), min(start + 2 * width, n)
            i, j = start, middle
            for k in range(start, stop):
                if i < middle and (j >= stop or keys[source[i]] <= keys[source[j]]):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
        source, target = target, source
        width *= 2
    if n > 16:  # the result may stand in either buffer
        for k in range(n):
            spare[k] = source[k]
        for k in range(n):
            order[k] = spare[k]
