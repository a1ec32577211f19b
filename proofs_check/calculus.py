"""Values, occupancies and bonuses for claims: on floats the solvers of ``tabular_rl.planning``, on fractions plain exact arithmetic.

A claim written with these functions can be verified without any tolerance. The exact half is a second, independent implementation:
Gaussian elimination over whatever field the entries come from, dual numbers included, which differentiate by themselves.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_check.rational import RationalMDP
from tabular_rl import planning
from tabular_rl.planning import Evaluation


@dataclass(frozen=True, slots=True)
class Dual:
    """value + slope * epsilon with epsilon^2 = 0: arithmetic on it differentiates."""

    value: Any
    slope: Any = 0

    def __add__(self, other):
        other = _dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = _dual(other)
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __sub__(self, other):
        return self + -_dual(other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        other = _dual(other)
        return Dual(self.value / other.value, (self.slope * other.value - self.value * other.slope) / (other.value * other.value))

    def __rtruediv__(self, other):
        return _dual(other) / self

    def __bool__(self):
        return bool(self.value)

    __radd__, __rmul__ = __add__, __mul__


def _dual(x):
    return x if isinstance(x, Dual) else Dual(x)


def evaluate(mdp, policy):
    """Values and q-values of a policy, as ``tabular_rl.planning.evaluate``."""
    if not isinstance(mdp, RationalMDP):
        return planning.evaluate(mdp, policy)
    if mdp.horizon is None:
        P, reward = np.einsum("sa,sat->st", policy, mdp.transition), np.sum(policy * mdp.reward, axis=1)
        values = solve_linear(_identity(len(P)) - mdp.discount * P, reward)
        return Evaluation(values, mdp.reward + mdp.discount * mdp.transition @ values)
    values, q_values = [_zeros(mdp.n_states)], []
    for h in reversed(range(len(mdp.transition))):
        q_values.append(mdp.reward[h] + mdp.transition[h] @ values[-1])
        values.append(np.sum(policy[h] * q_values[-1], axis=1))
    return Evaluation(np.stack(values[::-1]), np.stack(q_values[::-1]))


def state_occupancy(mdp, policy):
    """[H, S], or [S] normalized: as ``tabular_rl.planning.state_occupancy``."""
    if not isinstance(mdp, RationalMDP):
        return planning.state_occupancy(mdp, policy)
    if mdp.horizon is None:
        P = np.einsum("sa,sat->st", policy, mdp.transition)
        return (1 - mdp.discount) * solve_linear(_identity(len(P)) - mdp.discount * P.T, mdp.initial)
    layers = [mdp.initial]
    for h in range(len(mdp.transition) - 1):
        layers.append(np.einsum("s,sa,sat->t", layers[-1], policy[h], mdp.transition[h]))
    return np.stack(layers)


def occupancy(mdp, policy):
    """The state occupancy times the policy: [H, S, A] or [S, A]."""
    return state_occupancy(mdp, policy)[..., None] * policy


def dilated_bonus(mdp, policy, local_bonus, dilation=None):
    """B [H, S, A] of the dilated Bellman equation, as ``tabular_rl.planning.dilated_bonus``."""
    if not isinstance(mdp, RationalMDP):
        return planning.dilated_bonus(mdp, policy, local_bonus, dilation)
    dilation = 1 + 1 / mdp.horizon if dilation is None else Fraction(dilation)
    following, layers = _zeros(mdp.n_states), []
    for h in reversed(range(len(mdp.transition))):
        layers.append(local_bonus[h][:, None] + dilation * mdp.transition[h] @ following)
        following = np.sum(policy[h] * layers[-1], axis=1)
    return np.stack(layers[::-1])


def directional_derivative(mdp, policy, direction):
    """d/dt at t = 0 of <initial, V of (policy + t direction)> in a discounted model, by differentiating the arithmetic that solves for V.

    Dual numbers on fractions; on floats a complex step of 1e-100, exact to rounding.
    """
    if isinstance(mdp, RationalMDP):
        moved = np.array([Dual(p, d) for p, d in zip(policy.flat, direction.flat, strict=True)], dtype=object).reshape(policy.shape)
        return np.sum(mdp.initial * evaluate(mdp, moved).values).slope
    moved = policy + 1e-100j * direction
    P, reward = np.einsum("sa,sat->st", moved, mdp.transition), np.sum(moved * mdp.reward, axis=1)
    return (mdp.initial @ np.linalg.solve(np.eye(len(P)) - mdp.discount * P, reward)).imag / 1e-100


def solve_linear(matrix, right):
    """x of matrix x = right, by Gauss-Jordan elimination over any field."""
    rows = [[*row, x] for row, x in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for j in range(len(rows)):
            if j != i:  # also where the entry is 0: its slope may not be
                factor = rows[j][i]
                rows[j] = [entry - factor * above for entry, above in zip(rows[j], rows[i], strict=True)]
    return np.array([row[-1] for row in rows], dtype=object)


def _identity(n):
    return np.array([[Fraction(int(i == j)) for j in range(n)] for i in range(n)], dtype=object)


def _zeros(n):
    return np.array([Fraction(0)] * n, dtype=object)
