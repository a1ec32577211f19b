"""LPO's constants and closed bounds (lpo spec 2.1, 5.4 to 5.7 [derived]); ``discount`` < 1, values are at most 1 / (1 - discount)."""

import math

FAILURE = 0.05  # of all estimates of a run together


def largest_value(discount, bonus, terminal):
    """B: the largest value of the optimistic MDP, whose known pairs pay at most ``bonus`` on top of a reward of 1."""
    most = bonus if terminal else max(bonus, 1 / (1 - discount))
    return (1 + most) * (1 / (1 - discount))


def gradient_rate(A, T, B):
    """eta = sqrt(8 log A / T) / B, with which the policy gradient's average regret over T steps is at most ``gradient_bound``."""
    return math.sqrt(8 * math.log(A) / T) / B


def gradient_bound(A, T, B, eta=None):
    """log(A) / (eta T) + eta B^2 / 8 (N1), or B sqrt(log A / (2 T)) at the best eta."""
    return B * math.sqrt(math.log(A) / (2 * T)) if eta is None else math.log(A) / (eta * T) + eta * B**2 / 8


def widest_window(discount):
    """c = log((1 + discount) / (2 discount)): discount e^c = (1 + discount) / 2, so that weighted returns have a second moment."""
    return math.log((1 + discount) / (2 * discount))


def iterations_within(window, eta, B):
    """Steps of at most eta B in the span of logits after which log sum pi^2 / pi_then is still <= ``window`` (W); at least 1."""
    most = 2.0**62
    return max(1, math.floor(min(2 * math.sqrt(window) / (eta * B), most) if eta * B > 0 else most))


def second_moment(pays, discount, reuse):
    """v >= E G^2 for returns of pairs that pay at most ``pays``: (2 pays / (1 - discount))^2, four times that within the widest window."""
    return (2 * pays * (1 / (1 - discount))) ** 2 * (4 if reuse else 1)


def cover_logarithm(shape, span, rollouts, horizon):
    """log of how many policies stand for all tilts of span ``span``: S (A - 1) log ceil(2 span rollouts horizon) (E1), shape = (S, A)."""
    S, A = shape
    return S * A * (1 - 1 / max(A, 2)) * math.log(math.ceil(2 * span * rollouts * horizon))


def theory_bonus(moment, log_term):
    """alpha = sqrt(4 v l): alpha sqrt(w2) is the leading term sqrt(2 v l / m) of E1 where m >= 1 / (2 w2) rollouts begin at the pair."""
    return math.sqrt(4 * moment * log_term)
