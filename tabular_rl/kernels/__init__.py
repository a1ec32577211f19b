"""Compiled loops over plain arrays. Importing this package imports Numba (0.6 s): the layers above do so when a kernel is first needed."""
