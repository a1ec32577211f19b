"""Models from plain Python functions over hashable states."""

import inspect
from collections.abc import Iterable, Mapping

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble, check_setting
from tabular_rl.models.validation import ROW_TOLERANCE


def from_functions(states, actions, transition, reward, *, initial, discount=None, horizon=None, terminal=None, max_states=1_000_000):
    """A model from functions; the states are found by walking from the start.

    Parameters
    ----------
    states : iterable of hashables, or None
        All states, or None: those reachable from ``initial`` (within ``horizon`` steps).
    actions : sequence of hashables, or callable
        The actions, or ``actions(state)`` -> those the state has (the others copy its first one, which changes no value).
    transition : callable
        ``transition(state, action)`` -> {successor: probability}, or an iterable of (successor, probability), or one successor alone.
    reward : callable
        ``reward(state, action)``, or ``reward(state, action, successor)``: told apart by the number of parameters.
    initial : hashable, or {state: probability}
        The start.
    discount, horizon
        Exactly one: in (0, 1), or an integer >= 1.
    terminal : callable, optional
        ``terminal(state)`` -> whether the state is absorbing without reward; its transitions are then not asked for.
    max_states : int
        A guard against walks that do not end.

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
    start = dict(initial) if isinstance(initial, Mapping) else {initial: 1.0}
    walk = _Walk(transition, reward, actions, terminal, max_states, depth=horizon)
    walk.run(start if states is None else states, fixed=states is not None)
    outside = [state for state in start if state not in walk.index]
    if outside:
        raise ValueError(f"initial state {outside[0]!r} is not among the states")
    walk.actions = walk.actions or {None: 0}  # every state is terminal, and actions were never asked for
    S, A = len(walk.index), len(walk.actions)
    distribution = [start.get(state, 0.0) for state in walk.index]
    pairs = [s * A + a for s, a in walk.pairs]
    labels = {"states": tuple(walk.index), "actions": tuple(walk.actions)}
    transitions = (pairs, walk.successors, walk.probabilities, walk.rewards)
    return assemble((S, A), *transitions, initial=distribution, discount=discount, horizon=horizon, **labels)


class _Walk:
    """Breadth-first enumeration of states; collects the transitions."""

    def __init__(self, transition, reward, actions, terminal, max_states, depth):
        self.transition, self.terminal, self.depth = transition, terminal, depth
        self.actions_of = actions if callable(actions) else None
        self.max_states = check.integer("max_states", max_states, 1)
        required = [
            p
            for p in inspect.signature(reward).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.reward = reward if len(required) >= 3 else lambda s, a, t: reward(s, a)
        self.index, self.actions = {}, {} if self.actions_of else {action: i for i, action in enumerate(actions)}
        self.pairs, self.successors, self.probabilities, self.rewards = [], [], [], []
        if not self.actions_of and not self.actions:
            raise ValueError("actions must not be empty")

    def run(self, first, fixed):
        self.fixed, frontier = False, []
        for state in first:
            self._number(state, frontier)
        self.fixed, step = fixed, 0
        while frontier:
            following = []
            # beyond the horizon nothing is reached any more: the last states only need some row
            ended = self.depth is not None and step >= self.depth and not fixed
            for state in frontier:
                self._expand(state, following, ended or (self.terminal is not None and self.terminal(state)))
            frontier, step = following, step + 1

    def _expand(self, state, following, absorbing):
        s = self.index[state]
        choices = self.actions_of(state) if self.actions_of and not absorbing else list(self.actions)
        if absorbing:
            choices = choices[:1] or [None]
        if not choices:
            raise ValueError(f"state {state!r} has no actions")
        for action in choices:
            a = self.actions.setdefault(action, len(self.actions)) if action is not None or not absorbing else 0
            total = 0.0
            for successor, probability in [(state, 1.0)] if absorbing else self._successors(state, action):
                probability = check.number(
                    f"probability of {successor!r} after state {state!r}, action {action!r}", probability, at_least=0
                )
                gain = (
                    0.0
                    if absorbing
                    else check.number(f"reward of state {state!r}, action {action!r}", self.reward(state, action, successor))
                )
                self.pairs.append((s, a))
                self.successors.append(self._number(successor, following))
                self.probabilities.append(probability)
                self.rewards.append(gain)
                total += probability
            if abs(total - 1) > ROW_TOLERANCE:
                raise ValueError(f"transition: the probabilities after state {state!r}, action {action!r} sum to {total!r}, expected 1")

    def _successors(self, state, action):
        outcome = self.transition(state, action)
        if isinstance(outcome, Mapping):
            return outcome.items()
        if isinstance(outcome, list) or (isinstance(outcome, Iterable) and not isinstance(outcome, str | bytes | tuple | frozenset)):
            return [self._pair(item, state, action) for item in outcome]
        return [(outcome, 1.0)]

    @staticmethod
    def _pair(item, state, action):
        if not (isinstance(item, tuple) and len(item) == 2):
            raise TypeError(f"transition({state!r}, {action!r}) must hold pairs (successor, probability), got {item!r}")
        return item

    def _number(self, state, frontier):
        try:
            number = self.index.get(state)
        except TypeError:
            raise TypeError(f"states must be hashable, got {state!r}") from None
        if number is None:
            if self.fixed:
                raise ValueError(f"successor {state!r} is not among the states")
            if len(self.index) >= self.max_states:
                raise ValueError(f"more than max_states={self.max_states} states are reachable")
            number = self.index[state] = len(self.index)
            frontier.append(state)
        return number
