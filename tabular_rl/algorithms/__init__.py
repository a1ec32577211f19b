"""One file per algorithm, by family; the update reads like the paper's pseudo-code.

No list names them: a file offers what is in its ``__all__``, which loads when it is first used.
"""

from pathlib import Path
from typing import Any

from tabular_rl import discovery

__all__ = sorted(discovery.offered(__name__, str(Path(__file__).parent)))


def __getattr__(name: str) -> Any:
    value = globals()[name] = discovery.load(__name__, str(Path(__file__).parent), name)
    return value


def __dir__():
    return [*globals(), *__all__]


def catalogue():
    """{name: class} of every algorithm, that is of every class here with a ``run``; by family, then by name."""
    families = discovery.offered(__name__, str(Path(__file__).parent))
    names = sorted(families, key=lambda name: (families[name][0].rpartition(".")[0], name.lower()))
    return {name: kind for name in names if hasattr(kind := __getattr__(name), "run")}
