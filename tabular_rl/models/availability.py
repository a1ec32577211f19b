"""Which actions a state has.

Arrays have a place for every pair (s, a). A pair that does not exist keeps a filler, a copy of the first action that its state has:
finite and stochastic, so that 0 * filler is 0. It decides nothing: policies have no mass there, and optimizers read the
``barred_reward`` (or start from the ``barrier``), in which it costs infinity.
"""

import numpy as np

from tabular_rl.models import validation as check

ALL = np.array(True)
ALL.flags.writeable = False


class Available:
    """What every model with a mask ``available`` [S, A] or [H, S, A] answers."""

    available: np.ndarray

    @property
    def has_all_actions(self):
        """Whether every state has every action (at every step)."""
        return complete(self.available)

    @property
    def uniform_policy(self):
        """[S, A] or [H, S, A]: every action that a state has, with the same probability."""
        return self.available / self.available.sum(axis=-1, keepdims=True)

    @property
    def packed_available(self):
        """The mask as the constructor takes it: None when every state has every action."""
        stationary = self.available.ndim == 3 and self.available.strides[0] == 0
        return None if self.has_all_actions else self.available[:1] if stationary else self.available

    def barred(self, array, price):
        """``array`` [..., S, A] with ``price`` (an infinity) at missing pairs, read-only; itself when there are none."""
        if self.has_all_actions:
            return array
        result = np.where(self.packed_available, array, price)
        result.flags.writeable = False
        return result


def mask(value, shape):
    """``available`` as a read-only bool array of ``shape`` [S, A] or [H, S, A] (there the step axis may be missing or of length 1)."""
    if value is None:
        return np.broadcast_to(ALL, shape)
    array = check.unmasked("available", value)
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise TypeError("available must be an array of True (the state has the action) and False")
    if array.shape not in (shape, shape[-2:], (1, *shape[1:])):
        raise ValueError(f"available must have shape {shape}, got {array.shape}")
    empty = ~array.any(axis=-1)
    if empty.any():
        raise no_action(check.first_index(empty))
    array = np.array(array[:1] if array.ndim == 3 and array.strides[0] == 0 else array, bool)
    if array.all():
        return np.broadcast_to(ALL, shape)
    array.flags.writeable = False
    return np.broadcast_to(array, shape)


def complete(available):
    """Whether nothing is missing: ``mask`` makes it a view of one True then, whatever its size."""
    return not any(available.strides)


def no_action(index, label=None):
    """The error of a state without any action; ``index`` is (s,) or (h, s)."""
    name = f"state {index[-1]}" + (f" ({label!r})" if label is not None else "") + (f" at step {index[0]}" if len(index) > 1 else "")
    return ValueError(f"{name} has no action: give it one; a terminal state stays where it is (probability 1 to itself) and earns 0")


def filled(array, available):
    """A copy of ``array`` [S, A, ...] or [T, S, A, ...] with the filler at pairs that are missing at all steps that share its entry."""
    state = available.ndim - 2  # the axis of states
    if state and len(array) == 1 and len(available) > 1:
        available = available.any(axis=0, keepdims=True)
    trailing = (...,) + (None,) * (array.ndim - available.ndim)
    first = available.argmax(axis=-1)[..., None]
    return np.where(available[trailing], array, np.take_along_axis(array, first[trailing], axis=state + 1))


def filled_rows(matrix, available):
    """``filled`` of a CSR matrix (S*A, n), row s * A + a."""
    S, A = available.shape
    first = np.arange(S) * A + available.argmax(axis=-1)
    return matrix[np.where(available, np.arange(S * A).reshape(S, A), first[:, None]).ravel()]


def real_where(available, name, value, shape):
    """A finite real array [..., S, A] or [..., S, A, S], with the filler at pairs that do not exist, whatever stands there."""
    everywhere = complete(available)
    array = check.real_array(name, value, shape, finite=everywhere)
    return array if everywhere else check.check_finite(name, filled(array, available))


def sparse_where(available, name, value):
    """The same of a scipy.sparse matrix (S*A, S), as CSR."""
    if complete(available):
        return check.sparse_array(name, value)
    return check.sparse_array(name, filled_rows(check.csr_within(name, value), available))
