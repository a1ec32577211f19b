"""Models from plain Python functions over hashable states."""

import inspect
from collections.abc import Iterable, Mapping

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_setting
from tabular_rl.models.validation import NORMALIZABLE, ROW_TOLERANCE

ENDS = ": a state in which nothing can be done is a terminal one, terminal=lambda state: ..."


def from_functions(
    states, actions, transition, reward, *, initial, discount=None, horizon=None, terminal=None, max_states=1_000_000, normalize=False
):
    """A model from functions; the states are found by walking from the start.

    Parameters
    ----------
    states : iterable of hashables, or None
        All states, or None: those reachable from ``initial`` (within ``horizon`` steps).
    actions : sequence of hashables, or callable
        The actions, or ``actions(state)`` -> those the state has; the model's ``available`` remembers which.
    transition : callable
        ``transition(state, action)`` -> {successor: probability}, or an iterable of (successor, probability), or one successor alone
        (a tuple, string or frozenset is a state). Successors with probability 0 are left out.
    reward : callable
        ``reward(state, action)``, or ``reward(state, action, successor)``: told apart by the number of parameters. True counts 1. Rewards
        that depend on the successor are kept as the model's ``move_rewards``.
    initial : hashable, or {state: probability}
        The start.
    discount, horizon
        Exactly one: in (0, 1), or an integer >= 1.
    terminal : callable, optional
        ``terminal(state)`` -> whether the state is absorbing without reward; its actions and transitions are then not asked for, it has all
        actions.
    max_states : int
        A guard against walks that do not end.
    normalize : bool
        Divide probabilities that sum to 1 only within 5 % by their sum; otherwise they are refused.

    Returns
    -------
    DiscountedMDP (sparse when large) or FiniteHorizonMDP
        With the labels in ``.states`` and ``.actions``.

    Raises
    ------
    ValueError, TypeError
        Naming the state and the action of a bad probability, reward or successor.
    """
    check_setting(discount, horizon)
    normalize = check.flag("normalize", normalize)
    start = _start(initial, normalize)
    if states is not None:
        states = check.distinct("states", states, check.integer("max_states", max_states, 1))
        outside = start.keys() - set(states)
        if outside:
            raise ValueError(f"initial state {check.short(outside.pop())} is not among the states")
    walk = _Walk(transition, reward, actions, terminal, max_states, horizon, normalize)
    walk.run(start if states is None else states, fixed=states is not None)
    S, A = len(walk.index), max(1, len(walk.actions))
    walk.transitions += [(s, a, s, 1.0, 0.0) for s in walk.absorbing for a in range(A)]
    s, a, successors, probabilities, rewards = (np.array(column) for column in zip(*walk.transitions, strict=True))
    # no action is known when every state is terminal
    labels = {"states": tuple(walk.index), "actions": tuple(walk.actions) or (None,)}
    distribution = [start.get(state, 0.0) for state in walk.index]
    setting = {"discount": discount, "horizon": horizon, "normalize": normalize}
    return assemble((S, A), s * A + a, successors, probabilities, rewards, initial=distribution, **setting, **labels)


class _Walk:
    """Breadth-first enumeration of states; collects the transitions (s, a, successor, probability, reward) and the absorbing states."""

    def __init__(self, transition, reward, actions, terminal, max_states, depth, normalize):
        self.transition, self.terminal = (
            _function("transition", transition),
            _function("terminal", terminal if terminal is not None else _never),
        )
        self.max_states, self.depth = check.integer("max_states", max_states, 1), depth
        self.reward = reward if _takes_successor(_function("reward", reward)) else lambda state, action, successor: reward(state, action)
        self.actions_of = actions if callable(actions) else None
        self.actions = {} if self.actions_of else {action: a for a, action in enumerate(self._choices("actions", actions))}
        self.index, self.transitions, self.absorbing = {}, [], []
        self.normalize, self.tolerance = normalize, NORMALIZABLE if normalize else ROW_TOLERANCE

    def run(self, first, fixed):
        self.fixed, frontier = False, []
        for state in first:
            self._number(state, frontier)
        self.fixed, step = fixed, 0
        while frontier:
            following = []
            # beyond the horizon nothing is reached: the last states only need some row
            ended = self.depth is not None and step >= self.depth and not fixed
            for state in frontier:
                if ended or self.terminal(state):
                    self.absorbing.append(self.index[state])
                else:
                    self._expand(state, following)
            frontier, step = following, step + 1

    def _expand(self, state, following):
        choices = self._choices(f"actions of state {check.short(state)}", self.actions_of(state), ENDS) if self.actions_of else self.actions
        for action in choices:
            a, total = self.actions.setdefault(action, len(self.actions)), 0.0
            for successor, probability in self._outcomes(state, action):
                if not _is_plain(probability) or probability < 0:
                    name = f"probability of {check.short(successor)} after state {check.short(state)}, action {check.short(action)}"
                    probability = check.number(name, probability, at_least=0)
                if probability == 0:
                    continue  # not a way to get there
                total += probability
                if total > 1 + self.tolerance:
                    break  # also the end of an endless iterator
                gain = self.reward(state, action, successor)
                if not _is_plain(gain):
                    gain = check.number(f"reward of state {check.short(state)}, action {check.short(action)}", gain)
                try:
                    t = self._number(successor, following)
                except (ValueError, TypeError) as error:
                    raise type(error)(f"{error}, after state {check.short(state)}, action {check.short(action)}") from None
                self.transitions.append((self.index[state], a, t, float(probability), float(gain)))
            if abs(total - 1) > self.tolerance:
                rounded = not self.normalize and abs(total - 1) <= NORMALIZABLE
                remedy = "; if they were rounded, normalize=True divides them by their sum" if rounded else ""
                raise ValueError(
                    f"transition: the probabilities after state {check.short(state)}, action "
                    f"{check.short(action)} sum to {total}, expected 1{remedy}"
                )

    def _outcomes(self, state, action):
        """(successor, probability), one by one."""
        outcome = self.transition(state, action)
        if isinstance(outcome, Mapping):
            yield from outcome.items()
        elif isinstance(outcome, Iterable) and not isinstance(outcome, str | bytes | tuple | frozenset):
            for item in outcome:
                if not (isinstance(item, tuple | list) and len(item) == 2):
                    raise TypeError(
                        f"transition({check.short(state)}, {check.short(action)}) must hold pairs (successor, probability), "
                        f"got {check.short(item)}"
                    )
                yield item
        else:
            yield outcome, 1.0

    def _choices(self, name, actions, remedy=""):
        choices = check.distinct(name, actions, self.max_states)
        if not choices:
            raise ValueError(f"{name} must not be empty{remedy}")
        if len(choices) > self.max_states:
            raise ValueError(f"{name} must end, there are more than max_states={self.max_states}")
        return choices

    def _number(self, state, frontier):
        try:
            number = self.index.get(state)
        except TypeError:
            raise TypeError(f"states must be hashable, got {check.short(state)}") from None
        if number is None:
            if self.fixed:
                raise ValueError(f"successor {check.short(state)} is not among the states")
            if len(self.index) >= self.max_states:
                raise ValueError(f"there are more than max_states={self.max_states} states")
            number = self.index[state] = len(self.index)
            frontier.append(state)
        return number


def _start(initial, normalize):
    """{state: probability > 0} of the start."""
    if not isinstance(initial, Mapping):
        return dict.fromkeys(check.distinct("initial", [initial], 1), 1.0)
    start = {state: check.number(f"initial probability of {check.short(state)}", p, at_least=0) for state, p in initial.items()}
    check.check_row_sums("initial", np.sum(list(start.values())), normalize)
    return {state: p for state, p in start.items() if p > 0}


def _never(state):
    return False


def _function(name, value):
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {check.short(value)}")
    return value


def _takes_successor(reward):
    """Whether ``reward`` wants (state, action, successor) rather than (state, action)."""
    try:
        parameters = inspect.signature(reward).parameters.values()
    except ValueError:  # some functions written in C do not tell
        return False
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) >= 3


def _is_plain(x):
    """Whether x is surely a finite number, seen without building an error's text for every transition."""
    return type(x) in (float, np.float64, int, bool, np.bool_) and -1e300 < x < 1e300
