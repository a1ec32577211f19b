"""Whatever is brought, the answer is a sound model or a ValueError or TypeError: property tests over wrong and half-wrong arguments."""

import dataclasses

import numpy as np
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tabular_rl.models import AdversarialMDP, DiscountedMDP, FiniteHorizonMDP, from_arrays

thorough = settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))

WRONG_NUMBERS = [np.nan, np.inf, -np.inf, -1.0, -1e-300, 1e308, 2.0, 1e-8, -0.0, 0.0]
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.lists(st.floats() | st.lists(st.floats(), max_size=3), max_size=3),
    st.dictionaries(st.integers(), st.floats(), max_size=2),
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)),
    st.sampled_from([object(), int, np.random, 10**400, np.array([None]), [[1], [1, 2]], range(3), {0.5}, sp.eye_array(4), iter([1])]),
)
DTYPES = [object, complex, str, bool, np.int64, np.float16, np.float32, np.longdouble, "V8", "M8[s]"]


@st.composite
def corrupted(draw, array):
    """The array with one entry, its dtype or its shape changed, or something else altogether, or itself."""
    array = array.copy()
    kind = draw(st.sampled_from(["itself", "entry", "dtype", "axis", "swap", "anything"]))
    if kind == "entry":
        array[tuple(draw(st.integers(0, n - 1)) for n in array.shape)] = draw(st.sampled_from(WRONG_NUMBERS) | st.floats())
    elif kind == "dtype":
        with np.errstate(all="ignore"):
            array = array.astype(float).astype(draw(st.sampled_from(DTYPES[:-2]))) if draw(st.booleans()) else array.view("V8")
    elif kind == "axis":
        axis = draw(st.integers(0, array.ndim - 1))
        array = np.repeat(array, draw(st.integers(0, 3)), axis)
    elif kind == "swap":
        array = array.transpose(draw(st.permutations(range(array.ndim))))
    elif kind == "anything":
        return draw(anything)
    return array.tolist() if draw(st.booleans()) else array


def assert_sound(build):
    """``build()`` raises ValueError or TypeError, or gives a model in which every number is what it should be."""
    try:
        mdp = build()
    except (ValueError, TypeError):
        return
    transition = mdp.transition.toarray() if sp.issparse(mdp.transition) else mdp.transition
    for name in ("reward", "initial", "tables"):
        assert np.isfinite(getattr(mdp, name, 0)).all()
    for rows in (transition, mdp.initial):
        assert rows.min() >= 0
        np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-9)
    assert min(mdp.shape) > 0


def draw_model(data):
    H, S, A = (data.draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    return rng.dirichlet(np.ones(S), (H, S, A)), rng.random((H, S, A)), rng.dirichlet(np.ones(S))


@thorough
@given(st.data())
def test_episodic_models_are_sound_or_refused(data):
    P, R, start = draw_model(data)
    arguments = [data.draw(corrupted(x)) for x in (P, R, start)]
    horizon = data.draw(st.sampled_from([None, len(P)]) | anything)
    states = data.draw(st.none() | anything)
    assert_sound(lambda: FiniteHorizonMDP(*arguments, horizon, states=states))


@thorough
@given(st.data())
def test_discounted_models_are_sound_or_refused(data):
    P, R, start = draw_model(data)
    arguments = [data.draw(corrupted(x)) for x in (P[0], R[0])]
    discount = data.draw(st.just(0.9) | anything)
    start, actions = data.draw(corrupted(start)), data.draw(st.none() | anything)
    assert_sound(lambda: DiscountedMDP(*arguments, discount, start, actions=actions))


@thorough
@given(st.data())
def test_sparse_models_are_sound_or_refused(data):
    P, R, _ = draw_model(data)
    matrix = sp.csr_array(P[0].reshape(-1, P.shape[-1]))
    name = data.draw(st.sampled_from(["data", "indices", "indptr"]))
    array = getattr(matrix, name)
    wrong = st.sampled_from([-1, 0, 1, 2**31 - 1, -(2**31), 5]) if name != "data" else st.sampled_from(WRONG_NUMBERS)
    array[data.draw(st.integers(0, len(array) - 1))] = data.draw(wrong)
    assert_sound(lambda: DiscountedMDP(matrix, R[0], 0.9))
    assert_sound(lambda: DiscountedMDP(sp.csc_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape[::-1]).T, R[0], 0.9))


@thorough
@given(st.data())
def test_loss_worlds_are_sound_or_refused(data):
    P, R, start = draw_model(data)
    arguments = [data.draw(corrupted(x)) for x in (P, start, R[None])]
    schedule = data.draw(st.sampled_from(["constant", "periodic", "phases", "drifting", "anti_greedy", "block"]) | anything)
    parameters = data.draw(st.lists(st.floats() | st.integers(), max_size=3) | anything)
    assert_sound(lambda: AdversarialMDP(*arguments, schedule, parameters, data.draw(st.booleans())))


@thorough
@given(st.data())
def test_arrays_of_the_toolboxes_are_sound_or_refused(data):
    P, R, start = draw_model(data)
    P, R = P[0].transpose(1, 0, 2), R[0]
    rewards = data.draw(st.sampled_from([R, R[:, 0], np.broadcast_to(R.T[:, :, None], P.shape)]))
    by_action = data.draw(corrupted(P))
    if data.draw(st.booleans()):
        matrices = [sp.csr_array(p) for p in P]
        matrices[-1] = data.draw(st.sampled_from([matrices[-1], matrices[-1] * np.nan, matrices[-1][:0], sp.csr_array((2, 3))]) | anything)
        by_action = matrices
    setting = data.draw(st.sampled_from([{"discount": 0.9}, {"horizon": 2}, {}, {"discount": 1.0}, {"discount": 0.9, "horizon": 2}]))
    rewards = data.draw(corrupted(rewards))
    assert_sound(lambda: from_arrays(by_action, rewards, initial=start, **setting))


@thorough
@given(st.data())
def test_a_sound_model_can_be_built_of_its_own_arrays(data):
    P, R, start = draw_model(data)
    mdp = FiniteHorizonMDP(P, R, start)
    again = dataclasses.replace(mdp)
    for name in ("transition", "reward", "initial"):
        assert getattr(again, name).tobytes() == getattr(mdp, name).tobytes()
