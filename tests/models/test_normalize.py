"""Rows that sum to 1 only up to their rounding: refused with the remedy in the text, divided by their sums on request."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from tabular_rl import ambiguity
from tabular_rl.models import (
    AdversarialMDP,
    DiscountedMDP,
    FiniteHorizonMDP,
    RobustMDP,
    SubmodularMDP,
    from_functions,
    from_gymnasium,
    from_quantecon,
)
from tabular_rl.submodular import Modular

P = np.random.default_rng(0).dirichlet(np.ones(5), size=(5, 2))
FORMS = {"float32": P.astype(np.float32), "six digits": P.round(6), "two digits": np.tile([[0.33, 0.33, 0.33, 0, 0]], (5, 2, 1))}


def by_functions(p, **how):
    rows = np.asarray(p, float).tolist()
    return from_functions(range(5), [0, 1], lambda s, a: dict(enumerate(rows[s][a])), lambda s, a: 1.0, initial=0, discount=0.9, **how)


def by_table(p, **how):
    table = {s: {a: [(float(x), t, 1.0, False) for t, x in enumerate(p[s, a])] for a in range(2)} for s in range(5)}
    return from_gymnasium(SimpleNamespace(P=table, initial_state_distrib=np.eye(5)[0]), discount=0.9, **how)


MODELS = {
    "discounted": lambda p, **how: DiscountedMDP(p, np.ones((5, 2)), 0.9, p[1, 0], **how),
    "sparse": lambda p, **how: DiscountedMDP(sp.csr_array(p.reshape(10, 5)), np.ones((5, 2)), 0.9, **how),
    "episodic": lambda p, **how: FiniteHorizonMDP(p, np.ones((5, 2)), p[0, 0], horizon=3, **how),
    "robust": lambda p, **how: RobustMDP(p, np.ones((5, 2)), 0.9, 0, ambiguity.L1(0.1), **how),
    "adversarial": lambda p, **how: AdversarialMDP(p[None], p[0, 0], np.zeros((1, 3, 5, 2)), **how),
    "functions": by_functions,
    "submodular": lambda p, **how: SubmodularMDP(p, 0, Modular(np.ones(5)), 3, **how),
    "quantecon": lambda p, **how: from_quantecon(SimpleNamespace(R=np.ones((5, 2)), Q=p, beta=0.9, s_indices=None, a_indices=None), **how),
    "gymnasium": by_table,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("model", MODELS)
def test_rounded_rows(model, form):
    given = FORMS[form]
    with pytest.raises(ValueError, match=r"sum.* to (0\.99|1\.0)\d*, expected 1.*; if .* rounded, normalize=True divides"):
        MODELS[model](given)
    mdp = MODELS[model](given, normalize=True)
    kernel = mdp.nominal if model == "robust" else mdp.transition
    kernel = kernel.toarray() if hasattr(kernel, "tocsr") else kernel
    rows = given.astype(float) / given.astype(float).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(kernel.reshape(-1, 10, 5)[0], rows.reshape(10, 5), atol=1e-15)
    assert mdp.initial.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_no_rounding_is_refused(model):
    for wrong in (P * 0.9, P * 2):
        with pytest.raises(ValueError, match=r"sum.* to \d\.\d+, expected 1( within 0.05)?$"):
            MODELS[model](wrong, normalize=True)
    with pytest.raises(TypeError, match=r"^normalize must be True or False, got 1"):
        MODELS[model](P, normalize=1)
