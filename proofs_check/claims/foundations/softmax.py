"""The softmax objective of a bandit, f(theta) = <softmax(theta), r>: smooth, and gradient-dominated (foundations spec SM)."""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, inequality, theorem
from proofs_check.strategies import Box, Drawn, Simplex, scales, simplex_points, vectors
from tabular_rl.kernels import simplex

# p and direction where the curvature reaches 1/(3 sqrt 3) of the span, the largest there is for two arms
_CRITICAL = np.array([0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3)])


def _remainder(p, rewards, direction, size):
    """|f(theta + v) - f(theta) - <grad f, v>| and |v|^2, from p = softmax(theta), v = size * direction."""
    p = np.maximum(p, 1e-12) / np.maximum(p, 1e-12).sum()
    v = size * direction
    gradient = p * (rewards - p @ rewards)
    moved = np.empty(len(p))
    simplex.softmax(np.log(p) + v, moved)
    return abs((moved - p) @ rewards - gradient @ v), v @ v


_points = st.one_of(simplex_points(), st.just(Drawn(_CRITICAL, "np.array([0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3)])", Simplex())))


def _directions(p):
    along = st.just(Drawn(np.array([1.0, -1.0]), "np.array([1.0, -1.0])", Box(-1.0, 1.0))) if len(p) == 2 else st.nothing()
    return st.one_of(along, vectors(-1.0, 1.0)(p))


@claim("softmax.smoothness", kind=inequality, source="Mei, Xiao, Szepesvari, Schuurmans 2020", provenance="paper",
       given=(_points, vectors(), _directions, scales(-2, 1)), control={"constant": 0.19})  # fmt: skip
def smoothness(p, rewards, direction, size, constant=5 / 2):
    """f is (5/2) max r smooth: |f(theta + v) - f(theta) - <grad f, v>| <= (5/4) max r |v|^2.  Control: the constant 0.19."""
    remainder, square = _remainder(p, rewards, direction, size)
    return remainder, constant / 2 * rewards.max() * square, 1.0


@claim("softmax.smoothness-sharp", kind=inequality, source="foundations spec SM (a)", provenance="derived",
       given=(_points, vectors(), _directions, scales(-2, 1)), control={"constant": 0.19})  # fmt: skip
def smoothness_sharp(p, rewards, direction, size, constant=1 / 2):
    """f is (max r - min r)/2 smooth.  Control: the constant 0.19, below the curvature 1/(3 sqrt 3) = 0.1925 that two arms attain."""
    remainder, square = _remainder(p, rewards, direction, size)
    return remainder, constant / 2 * np.ptp(rewards) * square, 1.0


@claim("softmax.gradient-domination", kind=inequality, source="Mei, Xiao, Szepesvari, Schuurmans 2020", provenance="paper",
       given=(simplex_points(), vectors()), control={"weight": 1.0})  # fmt: skip
def gradient_domination(p, rewards, weight=None):
    """p(a*) (max r - <p, r>) <= |grad f|: no flat spot but the optimum, as long as the best arm keeps probability.

    Control: without the factor p(a*).
    """
    best = int(np.argmax(rewards))
    gap = rewards[best] - p @ rewards
    return (p[best] if weight is None else weight) * gap, np.linalg.norm(p * (rewards - p @ rewards))


theorem(
    "softmax-gradient-ascent",
    statement=r"The softmax objective of a bandit, $f(\theta) = \langle \mathrm{softmax}(\theta), r \rangle$, has an $L$-Lipschitz "
    r"gradient with $L = \tfrac{1}{2} (\max r - \min r)$, and $p(a^*) (\max r - f) \le \lVert \nabla f \rVert$: gradient ascent with "
    r"step $1/L$ gains at least $p(a^*)^2 (\max r - f)^2 / (2 L)$ in each step.",
    source="Mei, Xiao, Szepesvari, Schuurmans 2020; foundations spec SM",
    provenance="paper",
    claims=("softmax.smoothness", "softmax.smoothness-sharp", "softmax.gradient-domination"),
    uses={"softmax.smoothness": ("softmax.smoothness-sharp",)},
)
