"""Coverage: marginal gains telescope, and diminish (subpo spec, section 2)."""

import numpy as np
from hypothesis import strategies as st

from proofs_check import claim, identity, inequality
from proofs_check.strategies import Box, draw


def coverage(n_sets, n_items, seed):
    """Weighted sets as an array [n_sets, n_items]: the weight of the item where the set holds it, else 0."""
    rng = np.random.default_rng(seed)
    return rng.random(n_items) * (rng.random((n_sets, n_items)) < 0.5)


def sequence(sets, seed):
    """Indices of sets in the order of a walk, repeats included."""
    return np.random.default_rng(seed).integers(len(sets), size=len(sets) + 2)


_coverages = draw(coverage, st.integers(1, 5), st.integers(1, 5), space=Box(0.0, 1.0))
_sequences = draw(sequence, fit=True)


def _covered(sets, chosen):
    """F: the total weight of the items that the chosen sets hold."""
    return np.sum(np.max(sets[list(chosen)], axis=0)) if len(chosen) else 0 * sets.sum()


@claim("submodular.telescoping", kind=identity, source="subpo spec L2", provenance="classical",
       given=(_coverages, _sequences), control={"forget": True}, exact=True)  # fmt: skip
def telescoping(sets, walk, forget=False):
    """F of a walk is the sum of its marginal gains, each counted incrementally: what a set holds and no earlier one did.

    Control: gains that forget what is covered.
    """
    seen, gains = 0 * sets[0], 0 * sets.sum()
    for i in walk:
        new = np.maximum(sets[i] - (0 * seen if forget else seen), 0 * seen)
        gains, seen = gains + np.sum(new), np.maximum(seen, sets[i])
    return _covered(sets, walk), gains


@claim("submodular.diminishing", kind=inequality, source="Nemhauser, Wolsey, Fisher 1978", provenance="classical",
       given=(_coverages, _sequences), control={"swap": True})  # fmt: skip
def diminishing(sets, walk, swap=False):
    """The gain of one more set never grows along a walk: F(A + e) - F(A) >= F(B + e) - F(B) for A inside of B.  Control: the reverse."""
    e, rest = walk[-1], walk[:-1]
    gains = np.array([_covered(sets, [*rest[:k], e]) - _covered(sets, rest[:k]) for k in range(len(rest) + 1)])
    earlier, later = gains[:-1], gains[1:]
    return (earlier, later) if swap else (later, earlier)
