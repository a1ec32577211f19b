"""What was validated stays valid: nobody writes into a model, and copies of it are frozen as well."""

import copy
import dataclasses
import pickle

import numpy as np
import pandas
import pytest
import scipy.sparse as sp

from tabular_rl import instances, losses
from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP

episodic = instances.random_episodic(3, 4, 2, seed=1)
stationary = FiniteHorizonMDP(episodic.transition[0], episodic.reward[0], horizon=1000, states="abcd", actions=(0, 1))
dense = instances.random_discounted(4, 2)
sparse = DiscountedMDP(sp.csr_array(dense.transition.reshape(8, 4)), dense.reward, 0.9, states="abcd")
adversarial = losses.periodic(stationary, np.full((1, 1000, 4, 2), 0.5), 7)
MODELS = {"episodic": episodic, "stationary": stationary, "dense": dense, "sparse": sparse, "adversarial": adversarial}
each = pytest.mark.parametrize("mdp", MODELS.values(), ids=MODELS)


def arrays(mdp):
    """Every array of the model by name."""
    found = {}
    for field in dataclasses.fields(mdp):
        value = getattr(mdp, field.name)
        if isinstance(value, np.ndarray):
            found[field.name] = value
        elif sp.issparse(value):
            found |= {name: getattr(value, name) for name in ("data", "indices", "indptr")}
    return found


@each
def test_attributes_cannot_be_set(mdp):
    for field in dataclasses.fields(mdp):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(mdp, field.name, None)


@each
def test_arrays_cannot_be_written(mdp):
    assert len(arrays(mdp)) >= 3
    for array in arrays(mdp).values():
        with pytest.raises(ValueError, match="read-only"):
            array[(0,) * array.ndim] = 0


@each
def test_views_cannot_be_made_writeable(mdp):
    for array in arrays(mdp).values():
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            array.view().flags.writeable = True


class Wrapper:
    """What brings an array without being one."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def read_only_view(array):
    view = array.view()
    view.flags.writeable = False
    return view


WAYS = [lambda x: x, np.ndarray.view, read_only_view, Wrapper, memoryview, lambda x: np.broadcast_to(x, (1, *x.shape))[0]]


@pytest.mark.parametrize("bring", WAYS, ids=["array", "view", "read-only view", "wrapper", "buffer", "broadcast"])
def test_later_writes_of_the_caller_change_nothing(bring):
    P, R, start, tables = np.full((2, 2, 2, 2), 0.5), np.ones((2, 2, 2)), np.array([0.5, 0.5]), np.ones((1, 2, 2, 2))
    models = [
        FiniteHorizonMDP(bring(P), bring(R), bring(start)),
        FiniteHorizonMDP(bring(P[0]), bring(R[0]), horizon=3),
        FiniteHorizonMDP(np.broadcast_to(P[0], (3, 2, 2, 2)), np.broadcast_to(R[0], (3, 2, 2))),
        DiscountedMDP(bring(P[0]), bring(R[0]), 0.9, bring(start)),
        AdversarialMDP(bring(P), bring(start), bring(tables)),
        AdversarialMDP(np.broadcast_to(P[0], (2, 2, 2, 2)), bring(start), bring(tables)),
    ]
    for array in (P, R, start, tables):
        assert array.flags.writeable
        array[:] = np.nan
    for mdp in models:
        assert all(np.isfinite(array).all() for array in arrays(mdp).values())


def test_later_writes_into_a_table_change_nothing():
    frame = pandas.DataFrame(np.ones((4, 2)))
    mdp = DiscountedMDP(dense.transition, frame, 0.9)
    frame.iloc[:] = np.nan
    assert np.all(mdp.reward == 1)


def test_later_writes_into_a_sparse_matrix_change_nothing():
    for form in ("csr_array", "csc_array", "coo_matrix"):
        matrix = getattr(sp, form)(dense.transition.reshape(8, 4))
        mdp = DiscountedMDP(matrix, dense.reward, 0.9)
        matrix.data[:] = np.nan
        np.testing.assert_array_equal(mdp.transition.toarray(), dense.transition.reshape(8, 4))


def test_a_model_made_of_another_shares_its_arrays():
    other = dataclasses.replace(dense, discount=0.5)
    assert other.discount == 0.5
    assert other.transition is dense.transition
    assert other.reward is dense.reward


@each
@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "deepcopy", "pickle"])
def test_copies_are_equal_and_frozen(mdp, twin):
    other = twin(mdp)
    assert type(other) is type(mdp)
    for name, array in arrays(mdp).items():
        np.testing.assert_array_equal(arrays(other)[name], array)
        assert arrays(other)[name].strides == array.strides
        assert not arrays(other)[name].flags.writeable
    assert getattr(other, "states", None) == getattr(mdp, "states", None)


def test_a_stationary_model_is_sent_to_other_processes_once():
    assert len(pickle.dumps(stationary)) < 2000
