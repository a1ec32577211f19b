"""Mirror steps in relative entropy on the occupancy measures of a known transition: one convex dual, damped Newton steps.

    q = argmin_x KL(x || w)   over x >= 0 with   sum_a x[0,s,a] = initial[s],   sum_a x[h,s,a] = sum_{r,b} x[h-1,r,b] P[h-1,r,b,s]

Dual: multipliers v[1..H-1] in R^S, v[0] = v[H] = 0, and the solution is, normalized in every layer (in every state of layer 0),

    q[h,s,a] proportional to w[h,s,a] exp(v[h,s] - sum_t P[h,s,a,t] v[h+1,t])

where the v minimize the sum of the log-normalizers, a convex function whose gradient is the flow residual.
Source: Zimin, Neu 2013; dapo spec, section 4 item 5.
"""

import numpy as np

from tabular_rl.kernels.compiling import njit


@njit
def reachable_cells(P, initial, log_weights, barrier=None):
    """``log_weights`` [H, S, A] = 0 in the states that some policy reaches, -inf in the others.

    ``barrier`` [H, S, A] is infinite at pairs that do not exist: there ``log_weights`` is -inf as well.
    """
    H, S, A = log_weights.shape
    log_weights.fill(-np.inf)
    for s in range(S):
        for a in range(A):
            if initial[s] > 0.0 and (barrier is None or barrier[0, s, a] < np.inf):
                log_weights[0, s, a] = 0.0
    for h in range(H - 1):
        for s in range(S):
            for a in range(A):
                if log_weights[h, s, a] == 0.0:
                    for t in range(S):
                        if P[h % len(P), s, a, t] > 0.0:
                            for b in range(A):
                                if barrier is None or barrier[h + 1, t, b] < np.inf:
                                    log_weights[h + 1, t, b] = 0.0


@njit
def mirror_step(P, initial, change, log_q, tolerance, max_steps):
    """log_q <- logarithm of the projection of exp(log_q + change); both [H, S, A], ``log_q`` -inf in the states out of reach.

    Newton's method stops when no entry of the flow residual exceeds ``tolerance``, after ``max_steps``, or when rounding allows no more
    descent. A change beyond 10 is made in equal parts: mirror descent may be cut without a change of where it ends.
    Returns (steps, largest residual left). O(H S^2 (S + A)) flops per step.
    """
    H, S, A = log_q.shape
    n = (H - 1) * S
    gradient, step, hessian = np.empty((H, S)), np.empty(n), np.empty((n, n))
    q, log_weights, v, trial = np.empty((H, S, A)), np.empty((H, S, A)), np.empty((H + 1, S)), np.zeros((H + 1, S))
    largest = 0.0
    for x in change.flat:
        largest = max(largest, abs(x))
    parts = max(1, int(np.ceil(largest / 10)))
    steps, worst = 0, 0.0
    for _ in range(parts):
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    log_weights[h, s, a] = log_q[h, s, a] + change[h, s, a] / parts
        v.fill(0.0)
        dual, residual = _dual(P, initial, log_weights, v, log_q, q, gradient)
        for _ in range(max_steps):
            if residual <= tolerance:
                break
            flow_hessian(P, initial, q, hessian)
            slope, length = newton_direction(gradient, hessian, step)
            before, moved = residual, False
            for _ in range(40):
                for i in range(n):
                    trial[1 + i // S, i % S] = v[1 + i // S, i % S] + length * step[i]
                new, residual = _dual(P, initial, log_weights, trial, log_q, q, gradient)
                if descends(new, dual, length * slope, residual, before):
                    moved = True
                    break
                length *= 0.5
            steps += 1
            if not moved:
                dual, residual = _dual(P, initial, log_weights, v, log_q, q, gradient)
                break
            dual = new
            for i in range(n):
                v[1 + i // S, i % S] = trial[1 + i // S, i % S]
        worst = max(worst, residual)
    return steps, worst


@njit
def conditional(log_q, barrier, policy):
    """Fill the ``policy`` that has the occupancy exp(``log_q``) [H, S, A], by a softmax in every state; uniform in unreachable states.

    ``barrier`` [H, S, A] is infinite at pairs that do not exist.
    """
    H, S, A = log_q.shape
    for h in range(H):
        for s in range(S):
            top, total = -np.inf, 0.0
            for x in log_q[h, s]:
                top = max(top, x)
            for a in range(A):
                policy[h, s, a] = np.exp(log_q[h, s, a] - top) if top > -np.inf else (1.0 if barrier[h, s, a] < np.inf else 0.0)
                total += policy[h, s, a]
            for a in range(A):
                policy[h, s, a] /= total


@njit
def _dual(P, initial, log_weights, v, log_q, q, gradient):
    """(The sum of log-normalizers at ``v``, the largest flow residual); fill ``log_q``, ``q`` and the residuals ``gradient`` [H, S]."""
    H, S, A = log_weights.shape
    dual, residual = 0.0, 0.0
    gradient.fill(0.0)
    for h in range(H):
        stage = P[h % len(P)]
        for s in range(S):
            for a in range(A):
                x = log_weights[h, s, a]
                if x > -np.inf:
                    x += v[h, s]
                    if h + 1 < H:
                        for t in range(S):
                            x -= stage[s, a, t] * v[h + 1, t]
                log_q[h, s, a] = x
        normalizer, left = flow_residual(h, stage, initial, log_q, q, gradient)
        dual, residual = dual + normalizer, max(residual, left)
    return dual, residual


@njit
def flow_residual(h, stage, initial, log_q, q, gradient):
    """(Log-normalizer of layer ``h``, its largest flow residual); normalize ``log_q``, fill ``q``, complete the ``gradient`` [H, S] of the
    layer and subtract what flows on by the rows ``stage`` [S, A, S]."""
    H, S, A = q.shape
    dual, residual = 0.0, 0.0
    if h > 0:
        dual = normalize(log_q[h], 0, S, 1.0)
    else:
        for s in range(S):
            if initial[s] > 0.0:
                dual += initial[s] * normalize(log_q[0], s, s + 1, initial[s])
    for s in range(S):
        for a in range(A):
            q[h, s, a] = np.exp(log_q[h, s, a])
            if h > 0:
                gradient[h, s] += q[h, s, a]
            if h + 1 < H and q[h, s, a] > 0.0:
                for t in range(S):
                    gradient[h + 1, t] -= q[h, s, a] * stage[s, a, t]
        residual = max(residual, abs(gradient[h, s]))
    return dual, residual


@njit
def normalize(log_q, first, last, mass):
    """Shift the rows ``first`` to ``last`` - 1 so that their exponentials sum to ``mass``; returns the log of their sum before."""
    top, total = -np.inf, 0.0
    for s in range(first, last):
        for x in log_q[s]:
            top = max(top, x)
    for s in range(first, last):
        for x in log_q[s]:
            total += np.exp(x - top)
    log_sum = top + np.log(total)
    for s in range(first, last):
        for a in range(log_q.shape[1]):
            log_q[s, a] += np.log(mass) - log_sum
    return log_sum


@njit
def newton_direction(gradient, hessian, step):
    """Fill the Newton ``step`` [(H - 1) S] for ``gradient`` [H, S]; (its slope, a first length that moves nothing by more than 10)."""
    S, slope, longest = gradient.shape[1], 0.0, 0.0
    for i in range(len(step)):
        step[i] = -gradient[1 + i // S, i % S]
    solve_banded(hessian, 2 * S, step)
    for i in range(len(step)):
        longest, slope = max(longest, abs(step[i])), slope + step[i] * gradient[1 + i // S, i % S]
    return slope, min(1.0, 10 / longest)


@njit
def descends(new, dual, expected, residual, before):
    """Whether a trial point is taken. Near the minimum the dual no longer tells two points apart, its gradient does."""
    return new <= dual + 1e-4 * expected or (new <= dual + 1e-13 * (1 + abs(dual)) and residual < 0.5 * before)


@njit
def flow_hessian(P, initial, q, hessian):
    """The dual's second derivative: the sum over the layers of the covariance of (unit vector of s, -P[h,s,a]) under q.

    Made invertible without a change of the step that matters: 1 / S in the blocks on the diagonal (constants in a layer change nothing,
    the gradient is orthogonal to them), and 1 on the diagonal where a state has no mass.
    """
    H, S, A = q.shape
    hessian.fill(0.0)
    flow, mass = np.empty(S), np.empty(S)
    for h in range(H):
        stage, here, there = P[h % len(P)], (h - 1) * S, h * S
        mass.fill(0.0)
        flow.fill(0.0)
        for s in range(S):
            if h == 0:
                flow.fill(0.0)
            for a in range(A):
                weight = q[h, s, a]
                mass[s] += weight
                if weight > 0.0 and h + 1 < H:
                    for t in range(S):
                        flow[t] += weight * stage[s, a, t]
                        for u in range(S):
                            hessian[there + t, there + u] += weight * stage[s, a, t] * stage[s, a, u]
                        if h > 0:
                            hessian[there + t, here + s] -= weight * stage[s, a, t]
            if h == 0 and initial[s] > 0.0 and h + 1 < H:  # the first layer is normalized state by state
                for t in range(S):
                    for u in range(S):
                        hessian[t, u] -= flow[t] * flow[u] / initial[s]
        if h > 0:
            for s in range(S):
                hessian[here + s, here + s] += mass[s]
                for t in range(S):
                    hessian[here + s, here + t] -= mass[s] * mass[t]
                    if h + 1 < H:
                        hessian[there + s, there + t] -= flow[s] * flow[t]
                        hessian[there + t, here + s] += mass[s] * flow[t]
    for h in range(H - 1):
        for s in range(S):
            i = h * S + s
            if hessian[i, i] < 1e-290:
                hessian[i, i] = 1.0
            hessian[i, i] *= 1 + 1e-13
            for t in range(S):
                hessian[i, h * S + t] += 1.0 / S


@njit
def solve_banded(matrix, width, x):
    """x = matrix^-1 x by Cholesky in place, for a positive definite matrix whose entries vanish ``width`` off the diagonal."""
    n = len(x)
    for i in range(n):
        first = max(0, i - width + 1)
        for j in range(first, i + 1):
            total = matrix[i, j]
            for m in range(first, j):
                total -= matrix[i, m] * matrix[j, m]
            if j < i:
                matrix[i, j] = total / matrix[j, j]
            else:
                matrix[i, i] = np.sqrt(max(total, 1e-16 * matrix[i, i], 1e-300))
        total = x[i]
        for m in range(first, i):
            total -= matrix[i, m] * x[m]
        x[i] = total / matrix[i, i]
    for i in range(n - 1, -1, -1):
        total = x[i]
        for m in range(i + 1, min(n, i + width)):
            total -= matrix[m, i] * x[m]
        x[i] = total / matrix[i, i]
