"""How tight is a bound? A search for the instance where lhs / rhs is largest.

First Hypothesis, aiming at the ratio; then a local search that moves the arrays themselves inside their spaces, from the best instance of
every shape that was drawn, in rounds of which the better quarter goes on. What it finds is a lower bound on the worst ratio, and a
violation refutes the claim.
"""

from dataclasses import dataclass, replace

import numpy as np

from proofs_check.engine import Search, code_of, compared
from proofs_check.strategies import Box, Drawn, Model, Simplex

ROUNDS = 4  # from 60 shapes to 15, 3, 1


@dataclass(frozen=True)
class Tightest:
    """``ratio`` lhs / rhs at ``instance`` (code), after ``steps`` moves; ``drawn``: before the local search; ``violated``: above 1."""

    id: str
    ratio: float
    drawn: float
    instance: str
    violated: bool
    steps: int


def tighten(claim, examples=500, steps=9000, seed=0):
    """The Tightest instance of an inequality that ``examples`` draws and ``steps`` moves find."""
    if claim.kind.name != "inequality":
        raise ValueError(f"{claim.id} is of the kind {claim.kind.name}: only an inequality has a ratio to tighten")
    search = Search(claim).run(examples, targeted=True)
    rng, drawn = np.random.default_rng(seed), search.ratio
    if search.violated or search.parts is None:
        return Tightest(claim.id, search.ratio, drawn, search.code, search.violated, 0)
    candidates = list(search.best_of_shape.values())
    while True:  # the better quarter goes on, with as many moves as all had before
        moves = -(-steps // (ROUNDS * len(candidates)))
        for i, (_, parts) in enumerate(candidates):
            parts, ratio, violated = _climb(claim, parts, moves, rng)
            if violated:
                return Tightest(claim.id, ratio, drawn, code_of(claim, parts), True, steps)
            candidates[i] = ratio, parts
        candidates = sorted(candidates, key=lambda candidate: -candidate[0])
        if len(candidates) == 1:
            return Tightest(claim.id, candidates[0][0], drawn, code_of(claim, candidates[0][1]), False, steps)
        candidates = candidates[: len(candidates) // 4 or 1]


def _climb(claim, parts, steps, rng):
    """(parts, ratio, violated): moves of shrinking size, kept when the ratio grows."""
    ratio = _judge(claim, parts).ratio
    movable = [i for i, part in enumerate(parts) if part.space is not None]
    for step in range(steps if movable else 0):
        size = 10.0 ** rng.uniform(-4 * (step + 1) / steps, 0)
        i = movable[rng.integers(len(movable))]
        moved = (*parts[:i], _moved(parts[i], size, rng), *parts[i + 1 :])
        try:
            comparison = _judge(claim, moved)
        except (ValueError, FloatingPointError):  # outside of what the claim is defined for
            continue
        if comparison.violation > 0:
            return moved, comparison.ratio, True
        if comparison.ratio > ratio:
            parts, ratio = moved, comparison.ratio
    return parts, ratio, False


def _judge(claim, parts):
    return compared(claim, [part.value for part in parts])


def _moved(part, size, rng):
    """The part after a random move of about ``size`` (relative to its space)."""
    value, space = part.value, part.space
    if isinstance(space, Model):
        value = _moved_model(value, size, rng)
    elif isinstance(space, Simplex):
        value = _moved_rows(value, size, rng)
    else:
        value = _moved_numbers(value, space, size, rng)
    return Drawn(value, _code(value), space)


def _moved_model(mdp, size, rng):
    name = ("transition", "reward", "initial")[rng.integers(3)]
    array = getattr(mdp, name)
    moved = _moved_numbers(array, Box(0.0, 1.0), size, rng) if name == "reward" else _moved_rows(array, size, rng)
    return replace(mdp, **{name: moved})


def _moved_rows(rows, size, rng):
    """One row towards a corner of the simplex, or all weights jittered."""
    rows = np.array(rows, float)
    if rng.random() < 0.5:
        index = tuple(int(rng.integers(n)) for n in rows.shape[:-1])
        weight = 1.0 if rng.random() < 0.2 else size
        rows[index] *= 1 - weight
        rows[index][rng.integers(rows.shape[-1])] += weight
    else:
        rows = rows * np.exp(3 * size * rng.standard_normal(rows.shape))
    return rows / rows.sum(axis=-1, keepdims=True)


def _moved_numbers(value, space, size, rng):
    """Some entries to an end of the box, or jittered inside of it; a single number by a factor."""
    if np.ndim(value) == 0:
        return float(np.clip(value * np.exp(3 * size * rng.standard_normal()), space.low, space.high))
    value = np.array(value, float)
    chosen = rng.random(value.shape) < rng.choice([0.2, 1.0])
    ends = np.where(rng.random(value.shape) < 0.5, space.low, space.high)
    jittered = np.clip(value + size * (space.high - space.low) * rng.standard_normal(value.shape), space.low, space.high)
    return np.where(chosen, ends if rng.random() < 0.3 else jittered, value)


def _code(value):
    """Python that rebuilds a moved value, to the last digit."""
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()})"
    if not hasattr(value, "transition"):
        return repr(value)
    fields = ("transition", "reward", *(["discount"] if hasattr(value, "discount") else []), "initial")
    arguments = [np.asarray(getattr(value, name)).tolist() for name in fields]
    return f"{type(value).__name__}({', '.join(map(repr, arguments))})"
