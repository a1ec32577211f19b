"""Kinds of claims: what each asks of the two sides, and when it counts as refuted.

Exact kinds judge one instance at a time. A side may be an array. A claim returns ``Sides``, or a tuple of its first entries:
(lhs, rhs), or (lhs, rhs, scale) when the terms that were added up are larger than the sides, or (lhs, rhs, scale, trivial).

The tolerance is ROUNDING units in the last place of max(scale, |lhs|, |rhs|, TINY): adding up n terms of total size ``scale`` in any
order is off by at most n - 1 half units (Higham 2002, section 4.2), and no claim on its small instances adds up 2^15 terms. It follows
the magnitudes, it has no tuning parameter. Fractions are compared without any tolerance.

Statistical kinds judge independent replicates at a stated level, the probability to refute a claim that is true.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np

from proofs_check import statistics

ROUNDING = 2**14
TINY = 1e-200
LONGER = (1, 2, 4)
FEWEST, MISSED = 24, 1e-3  # replicates before a mean counts as below its bound, and the probability that it is not
LEVEL = 1e-6  # false alarms of a statistical claim, unless it says otherwise


class Sides(NamedTuple):
    """What a claim of an exact kind returns. ``trivial``: the bound that holds anyway; an inequality whose rhs exceeds it says nothing."""

    lhs: Any
    rhs: Any
    scale: Any = 0.0
    trivial: Any = None


class Comparison(NamedTuple):
    """``violation`` > 0 refutes; ``ratio`` is the largest lhs / rhs seen where both are clearly positive (1 = tight); ``vacuous``:
    the bound says no more than the trivial one (None where none is given)."""

    violation: float
    ratio: float
    vacuous: bool | None = None


@dataclass(frozen=True)
class Exact:
    """lhs == rhs, or lhs <= rhs, on every instance."""

    name: str
    statistical: ClassVar[bool] = False
    returns: ClassVar[str] = "two sides (lhs, rhs), or (lhs, rhs, scale), or (lhs, rhs, scale, trivial)"

    def admits(self, returned):
        """Whether a claim may return this."""
        return isinstance(returned, tuple | list) and 2 <= len(returned) <= 4 and all(side is not None for side in returned[:3])

    def __call__(self, *sides):
        """The Comparison of two sides, up to rounding; exactly when they are fractions."""
        sides = Sides(*sides)
        lhs, rhs = np.broadcast_arrays(np.atleast_1d(sides.lhs), np.asarray(sides.rhs))
        if lhs.dtype == object or rhs.dtype == object:
            return self._of_fractions(lhs, rhs)
        lhs, rhs = lhs.astype(float), rhs.astype(float)
        if not (np.isfinite(lhs).all() and np.isfinite(rhs).all()):
            raise FloatingPointError("a side of the claim is not finite")
        size = max(float(np.max(sides.scale)), float(np.abs(lhs).max()), float(np.abs(rhs).max()), TINY)
        tolerance = ROUNDING * np.finfo(float).eps * size
        excess = np.abs(lhs - rhs) if self.name == "identity" else lhs - rhs
        clear = (rhs > tolerance) & (lhs > 0)
        ratio = float(np.max(lhs[clear] / rhs[clear])) if clear.any() else 0.0
        vacuous = None if sides.trivial is None else bool(np.all(rhs >= np.asarray(sides.trivial, float)))
        return Comparison(float(np.max(excess - tolerance)), ratio, vacuous)

    def _of_fractions(self, lhs, rhs):
        for side in (lhs, rhs):
            if not all(isinstance(x, Fraction | int) for x in side.flat):
                wrong = next(type(x).__name__ for x in side.flat if not isinstance(x, Fraction | int))
                raise TypeError(f"a claim that is said to be exact left the fractions: a side holds a {wrong}")
        excess = [abs(x - y) if self.name == "identity" else x - y for x, y in zip(lhs.flat, rhs.flat, strict=True)]
        return Comparison(float(max(excess)), 0.0)


identity, inequality = Exact("identity"), Exact("inequality")


class Test(NamedTuple):
    """The outcome of a statistical kind: ``refuted`` at ``level``, after ``n`` replicates, ``summary`` for people.

    ``decided``: more replicates are not asked for. ``power``: with which a repetition would refute, estimated from these replicates (0
    where this one did not). ``ratio``: observed over claimed. ``vacuous``: share of the replicates whose bound says no more than the
    trivial one.
    """

    refuted: bool
    level: float
    power: float
    ratio: float
    summary: str
    vacuous: float | None = None
    decided: bool = True
    n: int = 0


@dataclass(frozen=True)
class HighProbability:
    """An event happens with probability at least 1 - ``failure``; the claim returns flags of independent replicates, True where it did.

    At least ``replicates`` are drawn, and then more until it is decided (``statistics.Sequential``): betting refutes a claim that is true
    with probability at most ``level``, and one whose event fails twice as often as claimed, or with probability 0.2 if that is more, with
    probability at least 0.9: ``alternative_power`` is the exact number. Without any failure a dozen replicates decide.
    """

    failure: float
    replicates: int = 40
    level: float = LEVEL
    name: ClassVar[str] = "high_probability"
    statistical: ClassVar[bool] = True
    returns: ClassVar[str] = "the flags of its replicates, an array that is True where the event happened"

    def admits(self, returned):
        """Whether a claim may return this."""
        return np.size(returned) > 0 and np.asarray(returned).dtype.kind in "buif"

    def judge(self, batches, level, effort=1.0, control=False):
        """The Test; a ``control`` is never upheld: it has all the time to be refuted."""
        failed = ~np.concatenate([np.atleast_1d(batch).ravel().astype(bool) for batch in batches])
        test = statistics.sequential(self.failure, level, self.replicates, effort)
        if control:
            test = test._replace(least=test.most + 1)
        outcome, n = test.outcome(failed)
        failures, refuted = int(np.sum(failed[:n])), outcome == "refuted"
        power = test.power(failures / n)[0] if refuted else 0.0
        summary = f"{failures} of {n} failed, at most {self.failure:g} of them claimed"
        return Test(refuted, level, power, failures / n / self.failure, summary, None, bool(outcome), n)

    def alternative_power(self, batches, level, effort=1.0):
        """The exact probability to refute at the alternative."""
        test = statistics.sequential(self.failure, level, self.replicates, effort)
        return test.power(test.alternative)[0]

    def count(self, batch):
        return np.size(batch)


@dataclass(frozen=True)
class Expectation:
    """E[sample] <= bound, or == with ``equal``; the claim returns (samples [n] or [n, m], bound, low, high): samples lie in [low, high],
    of which one side suffices for an inequality (high may be inf). A fifth entry says for how many of them the bound is vacuous.

    Refuted by betting against it: a gambler who multiplies a stake of 1 to 1 / ``level`` in a game that is fair (or worse) if the claim
    holds (Ville 1939; Waudby-Smith, Ramdas 2024), which may stop as soon as it is won. Coordinates and directions share the level. It
    also stops when another gambler has refuted that the mean reaches the bound, who is wrong with probability 1e-3 at most, and goes on
    for up to four times as long when ``replicates`` have too little power.
    ``alternative_power`` is estimated for a mean twice as far above ``low`` as claimed, or 0.2 of the range if that is more.
    """

    replicates: int = 200
    equal: bool = False
    level: float = LEVEL
    name: ClassVar[str] = "expectation"
    statistical: ClassVar[bool] = True
    returns: ClassVar[str] = "(samples, bound, low, high), or with a fifth entry for how many of the samples the bound is vacuous"

    def admits(self, returned):
        """Whether a claim may return this."""
        return isinstance(returned, tuple | list) and 4 <= len(returned) <= 5 and all(part is not None for part in returned)

    def judge(self, batches, level, effort=1.0, control=False):
        """The Test of all replicates so far; a refutation decides at once."""
        samples, bound, low, high = self._samples(batches)
        n, m = samples.shape
        games = statistics.stakes(samples, bound, low, high)
        if self.equal:
            games = np.concatenate([games, statistics.stakes(-samples, -bound, -high, -low)], axis=1)
        share = level / games.shape[1]
        capital, mean = statistics.capital(games), samples.mean(axis=0)
        worst = int(np.argmax(capital)) % m
        relation = "equal to" if self.equal else "at most"
        summary = (
            f"mean {mean[worst]:.4g} of {n}, {relation} {bound[worst]:.4g} claimed, gain e^{capital.max():.1f} of e^{-np.log(share):.1f}"
        )
        ratio = float(mean[worst] / bound[worst]) if bound[worst] > 0 else 0.0
        vacuous = np.mean([np.mean(batch[4]) for batch in batches]) if len(batches[0]) > 4 else None
        refuted, needed = bool(capital.max() >= -np.log(share)), int(np.ceil(self.replicates * effort))
        power = statistics.bootstrap_power(games, share, max(n, needed)) if refuted else 0.0
        decided = refuted or (control and n >= needed)
        if not decided and not control and n >= FEWEST * effort:
            decided = self._is_below(samples, bound, low, high, effort)
            decided = decided or (n >= needed and n >= self._plan(samples, bound, low, high, level, effort)[1])
        return Test(refuted, level, power, ratio, summary, vacuous, decided, n)

    def _is_below(self, samples, bound, low, high, effort):
        """Whether betting has refuted that a mean is at its bound or above: more replicates would show the same."""
        if self.equal or np.isinf(high).any() or (bound >= high).any():
            return False
        return bool((statistics.capital(statistics.stakes(-samples, -bound, -high, -low)) >= -effort * np.log(MISSED)).all())

    def alternative_power(self, batches, level, effort=1.0):
        """The estimated probability to refute at the alternative, of an equality in the worse direction; None where there is none."""
        samples, bound, low, high = self._samples(batches)
        return self._plan(samples, bound, low, high, level, effort)[0]

    def _plan(self, samples, bound, low, high, level, effort):
        """(power, n): that of n replicates, ``replicates`` or, where they do not reach POWER, up to LONGER times as many."""
        share = level / (samples.shape[1] * (2 if self.equal else 1))
        for longer in LONGER:
            n = int(np.ceil(longer * self.replicates * effort))
            powers = [statistics.power_of_mean(samples, bound, low, high, share, n)]
            if self.equal:
                powers.append(statistics.power_of_mean(-samples, -bound, -high, -low, share, n))
            power = min((power for power in powers if power is not None), default=None)
            if power is None or power >= statistics.POWER:
                break
        return power, n

    def _samples(self, batches):
        """(samples [n, m], bound, low, high [m])."""
        samples = np.concatenate([np.reshape(batch[0], (self.count(batch), -1)).astype(float) for batch in batches])
        return samples, *(np.broadcast_to(np.asarray(limit, float), samples.shape[1]) for limit in batches[0][1:4])

    def count(self, batch):
        return np.atleast_1d(batch[0]).shape[0]


@dataclass(frozen=True)
class Rate:
    """How a quantity grows: y of order x^``exponent`` at most, or of order log x with ``exponent=0``.

    The claim returns (x [m], y [n, m]) with n replicates. An exponent is refuted when the bootstrap interval of the fitted one lies above
    it; logarithmic growth when a power law describes more than 1 - ``level`` of the bootstrapped mean curves better. The level of a
    bootstrap is asymptotic: the calibration tests measure it. ``alternative_power`` is estimated for the observed scatter around growth
    by x^(``exponent`` + 1/4). A window of x shows lower orders too: more replicates would test the window,
    not the theorem, so profiles do not multiply them.
    """

    exponent: float
    replicates: int = 16
    level: float = 1e-3
    name: ClassVar[str] = "rate"
    statistical: ClassVar[bool] = True
    returns: ClassVar[str] = "(x [m], y [n, m]): where it was measured, and what, in n replicates"

    def admits(self, returned):
        """Whether a claim may return this."""
        return isinstance(returned, tuple | list) and len(returned) == 2 and all(part is not None for part in returned)

    def judge(self, batches, level, effort=1.0, control=False):
        """The Test of all replicates, of which no effort asks for more."""
        x = np.asarray(batches[0][0], float)
        y = np.concatenate([np.atleast_2d(batch[1]) for batch in batches])
        if len(y) < self.replicates:
            return Test(False, level, 0.0, 0.0, "", decided=False, n=len(y))
        fit = statistics.growth(x, y, level)
        refuted = fit.log_share < level if self.exponent == 0 else fit.low > self.exponent
        claimed = "logarithmic growth" if self.exponent == 0 else f"at most {self.exponent:.3g}"
        summary = f"exponent {fit.exponent:.3f} in [{fit.low:.3f}, {fit.high:.3f}], {claimed} claimed"
        summary += f"; log growth fits better in {100 * fit.log_share:.0f} % of resamples"
        ratio = fit.exponent / self.exponent if self.exponent else 0.0
        return Test(bool(refuted), level, self._power(fit), float(ratio), summary, n=len(y))

    def alternative_power(self, batches, level, effort=1.0):
        """The estimated probability to refute at the alternative."""
        x = np.asarray(batches[0][0], float)
        y = np.concatenate([np.atleast_2d(batch[1]) for batch in batches])
        return self._power(statistics.growth(x, y / y.mean(axis=0) * x ** (self.exponent + 0.25), level))

    def _power(self, fit):
        """How often resamples of what was fitted would be refuted."""
        return float(np.mean(fit.exponents > self.exponent + (fit.exponent - fit.low))) if self.exponent else 1 - fit.log_share

    def count(self, batch):
        return np.atleast_2d(batch[1]).shape[0]
