"""Worst-case expectations over balls that price the moving of mass: Wasserstein-1, and the weighted L1 ball.

    max p.z   over p that p0 can be moved to at cost <= radius, a unit of mass from i to j costing D_ij >= 0, D_ii = 0

The weighted L1 ball sum w |p - p0| <= radius is the same with D_ij = w_i + w_j. For a multiplier l every i sends its mass to the j that
maximizes z_j - l D_ij; the gain G(l) is convex and piecewise linear, its slope is minus the cost B(l) of these moves. The l where B passes
the radius is where two lines of G meet: intersect the lines of both ends of a bracket until no line lies above, then mix the two plans so
that the cost is the radius. Both are maximizers of one Lagrangian, so the mix is. Gains are counted from p0, so that they keep their
relative accuracy at every radius. Conventions as in ``worst_case_l1``; dual: l.

Source: Mohajerin Esfahani, Kuhn 2018; Ho, Petrik, Wiesemann 2021; drpg spec 2.2, 2.7 (the duals; derived), the intersections derived here.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit
from tabular_rl.kernels.ordering import argsort
from tabular_rl.kernels.robust.worst_case_l1 import dot

ROUNDING = 4e-16
LARGEST = 1e308  # of a multiplier
BISECTION = 5  # every fifth step halves the bracket, whatever the lines say


@njit
def _meeting(low, high, gain_low, gain_high, cost_low, cost_high):
    """The multiplier in [low, high] where the lines of both ends meet; the middle where that is too large for a float."""
    meeting = low + (gain_high - gain_low + cost_high * (high - low)) / (cost_high - cost_low)
    return min(max(meeting, low), high) if abs(meeting) < np.inf else 0.5 * low + 0.5 * high


@njit
def worst_weighted_l1(z, p0, weights, radius, p):
    """max p.z with sum_i weights_i |p_i - p0_i| <= radius, weights > 0. One state receives everything: O(n) per step, about ten steps."""
    top, bottom, lightest = z[0], z[0], weights[0]
    for i in range(len(z)):
        p[i] = p0[i]
        top, bottom, lightest = max(top, z[i]), min(bottom, z[i]), min(lightest, weights[i])
    low, high = 0.0, min((top - bottom) / lightest, LARGEST)  # twice what can pay: a tie that rounding decides would still use a radius
    gain_low, cost_low = _weighted_plan(z, p0, weights, low)
    gain_high, cost_high, step, multiplier = 0.0, 0.0, 0, high
    if cost_low <= radius:
        gain = _send_weighted(z, p0, weights, low, 1.0, p)
        return dot(p0, z) + gain, 0.0
    while radius > 0.0:
        step += 1
        halve = step % BISECTION == 0
        multiplier = 0.5 * low + 0.5 * high if halve else _meeting(low, high, gain_low, gain_high, cost_low, cost_high)
        if not low < multiplier < high:
            break
        gain, cost = _weighted_plan(z, p0, weights, multiplier)
        if not halve and gain <= gain_low - cost_low * (multiplier - low) + ROUNDING * gain_low:
            break
        if cost > radius:
            low, gain_low, cost_low = multiplier, gain, cost
        else:
            high, gain_high, cost_high = multiplier, gain, cost
    share = (radius - cost_high) / (cost_low - cost_high)
    gain = _send_weighted(z, p0, weights, high, 1.0 - share, p) + _send_weighted(z, p0, weights, low, share, p)
    return dot(p0, z) + gain, multiplier


@njit
def _receiver(z, weights, multiplier):
    best = 0
    for i in range(1, len(z)):
        if z[i] - multiplier * weights[i] > z[best] - multiplier * weights[best]:
            best = i
    return best


@njit
def _weighted_plan(z, p0, weights, multiplier):
    """(gain after the price, cost) when everyone sends to the best receiver or keeps its mass."""
    k = _receiver(z, weights, multiplier)
    gain, cost = 0.0, 0.0
    for i in range(len(z)):
        profit = z[k] - z[i] - multiplier * (weights[k] + weights[i])
        if i != k and profit > 0.0:
            gain += p0[i] * profit
            cost += p0[i] * (weights[k] + weights[i])
    return gain, cost


@njit
def _send_weighted(z, p0, weights, multiplier, share, p):
    """Adds ``share`` of the plan to p; returns its gain before the price."""
    k = _receiver(z, weights, multiplier)
    gain, moved = 0.0, 0.0
    for i in range(len(z)):
        if i != k and z[k] - z[i] - multiplier * (weights[k] + weights[i]) > 0.0:
            given = min(share * p0[i], p[i])
            p[i] -= given
            moved += given
            gain += given * (z[k] - z[i])
    p[k] += moved
    return gain


@njit
def dual_weighted_l1(z, p0, weights, radius, multiplier):
    """l radius + p0.z + sum_i p0_i (m - z_i - l w_i)^+ with m = max_i (z_i - l w_i): an upper bound for every l >= 0."""
    k = _receiver(z, weights, multiplier)
    level, total = z[k] - multiplier * weights[k], 0.0
    for i in range(len(z)):
        total += p0[i] * max(level - z[i] - multiplier * weights[i], 0.0)
    return multiplier * radius + dot(p0, z) + total


@njit
def worst_wasserstein(z, p0, distance, states, radius, p, places):
    """max p.z with transport cost at most ``radius``; state i of the row is ``states[i]`` of ``distance`` [S, S].

    O(n^2) for the first two plans, then only the states whose targets differ between the ends of the bracket are looked at.
    ``places`` [4 or more, at least n] is overwritten.
    """
    n = len(z)
    now, there, middle, order = places[0], places[1], places[2], places[3]
    argsort(z, n, order, now)
    steepest, gain_high, cost_high = 0.0, 0.0, 0.0
    for i in range(n):
        there[i], now[i], middle[i] = i, -1, 0
        if p0[i] == 0.0:
            continue
        for j in range(n):
            d, rise = distance[states[i], states[j]], z[j] - z[i]
            if rise > steepest * d:
                if d > 0.0:
                    steepest = min(rise / d, 0.5 * LARGEST)
                elif z[j] > z[there[i]]:  # a move that costs nothing pays at every multiplier
                    there[i] = j
        gain_high += p0[i] * (z[there[i]] - z[i])
    low, high = 0.0, 2.0 * steepest
    gain_low, cost_low = _plan(z, p0, distance, states, low, now, there, middle, order)  # -1: everyone is planned anew
    now, middle = middle, now
    multiplier, step, share = high, 0, 1.0
    if cost_low <= radius:
        multiplier = 0.0
    else:
        while radius > 0.0:
            step += 1
            halve = step % BISECTION == 0
            multiplier = 0.5 * low + 0.5 * high if halve else _meeting(low, high, gain_low, gain_high, cost_low, cost_high)
            if not low < multiplier < high:
                break
            gain, cost = _plan(z, p0, distance, states, multiplier, now, there, middle, order)
            if not halve and gain <= gain_low - cost_low * (multiplier - low) + ROUNDING * gain_low:
                break
            if cost > radius:
                low, gain_low, cost_low = multiplier, gain, cost
                now, middle = middle, now
            else:
                high, gain_high, cost_high = multiplier, gain, cost
                there, middle = middle, there
        share = (radius - cost_high) / (cost_low - cost_high)
    for i in range(n):
        p[i] = 0.0
    gained = 0.0
    for i in range(n):
        p[now[i]] += share * p0[i]
        p[there[i]] += p0[i] - share * p0[i]
        gained += p0[i] * (share * (z[now[i]] - z[i]) + (1.0 - share) * (z[there[i]] - z[i]))
    return dot(p0, z) + gained, multiplier


@njit
def _plan(z, p0, distance, states, multiplier, now, there, target, order):
    """(gain after the price, cost) of the best targets at this multiplier; where both ends of the bracket agree, so does what is between.

    ``order`` sorts z, so that the search for a target ends where z does not exceed the best gain (ties: the smaller distance).
    """
    gain, cost = 0.0, 0.0
    for i in range(len(z)):
        if now[i] == there[i] or p0[i] == 0.0:
            best = now[i] if p0[i] > 0.0 else i
            d = distance[states[i], states[best]]
            profit = z[best] - z[i] - multiplier * d
        else:
            best, profit, d = i, 0.0, 0.0
            for k in range(len(z) - 1, -1, -1):
                j = order[k]
                rise = z[j] - z[i]
                if rise < profit or rise <= 0.0:
                    break
                length = distance[states[i], states[j]]
                offer = rise - multiplier * length
                if offer > profit or (offer == profit and length < d):
                    best, profit, d = j, offer, length
        target[i] = best
        gain += p0[i] * profit
        cost += p0[i] * d
    return gain, cost


@njit
def dual_wasserstein(z, p0, distance, states, radius, multiplier):
    """l radius + sum_i p0_i max_j (z_j - l D_ij), an upper bound for every l >= 0."""
    total = 0.0
    for i in range(len(z)):
        best = z[i]
        for j in range(len(z)):
            best = max(best, z[j] - multiplier * distance[states[i], states[j]])
        total += p0[i] * best
    return multiplier * radius + total
