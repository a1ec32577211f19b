"""The theory of reinforcement learning, made executable.

    import tabular_rl as trl

Models (``trl.FiniteHorizonMDP``, ``trl.DiscountedMDP``), named problems (``trl.instances``), solvers (``trl.planning``), loss worlds
(``trl.losses``), algorithms (``trl.algorithms``), experiments (``trl.experiments``), what their figures share (``trl.plotting``).
Submodules load when first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
