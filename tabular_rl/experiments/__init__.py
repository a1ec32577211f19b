"""Grids of runs: problems times algorithms times replicates, in parallel, kept in a store, resumed where they were interrupted."""

from tabular_rl.algorithms.trace import Trace, checkpoints
from tabular_rl.experiments.cells import Cell, code_version
from tabular_rl.experiments.execution import BACKENDS
from tabular_rl.experiments.experiment import Experiment, run_cells
from tabular_rl.experiments.store import Store

__all__ = ["BACKENDS", "Cell", "Experiment", "Store", "Trace", "checkpoints", "code_version", "run_cells"]
