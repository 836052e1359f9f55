"""Update rules, compiled: each is held to the class of the same name in `limitpoint.optimizers`.

A rule moves w[0] (rows, d) in place by one step of size `eta`. `settings` are its numbers, `memory`
what it keeps between steps (zeros before the first), `work` its room; which are which is written in
`limitpoint.engines.cpu._registry`.
"""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import Slots, kernel
from limitpoint.engines.cpu.kernels._values import (
    add,
    align,
    ascended_gradient,
    blend,
    copy,
    exp_of,
    first_gradient,
    gradient,
    gradients,
    moved,
    power_norm,
    sign,
    square,
)


@kernel
def _slot(slots, start, stop):
    return Slots(slots.mantissa[start:stop], slots.scale[start:stop])


@kernel
def gd(task, w, t, eta, settings, memory, work):
    """w <- w - eta g."""
    first_gradient(task, w, work)
    add(w[0], -eta, work.mantissa[0], work.scale[0])


@kernel
def momentum(task, w, t, eta, settings, memory, work):
    """b <- mu b + g; w <- w - eta b. Settings: mu."""
    first_gradient(task, w, work)
    mu = settings[0] if t > 0 else 0.0
    if t == 0:
        for r in range(w.shape[1]):
            memory.scale[0, r] = work.scale[0, r]
    blend(memory.mantissa[0], memory.scale[0], mu, work.mantissa[0], work.scale[0], 1.0)
    add(w[0], -eta, memory.mantissa[0], memory.scale[0])


@kernel
def steepest_descent(task, w, t, eta, settings, memory, work):
    """w <- w - eta argmax_{|D|_p <= 1} <g, D>. Settings: p."""
    first_gradient(task, w, work)
    p, w, x = settings[0], w[0], work.mantissa[0]
    if p == math.inf:
        for r in range(w.shape[0]):
            for j in range(w.shape[1]):
                w[r, j] -= eta * sign(x[r, j])
        return
    align(x, work.scale[0])
    if p == 1.0:
        _coordinate(w, eta, x)
        return
    q = p / (p - 1)
    norm = power_norm(x, q) ** (q - 1)
    if norm != 0.0:
        for r in range(w.shape[0]):
            for j in range(w.shape[1]):
                power = x[r, j] if q == 2.0 else sign(x[r, j]) * abs(x[r, j]) ** (q - 1)
                w[r, j] -= eta * (power / norm)


@kernel
def _coordinate(w, eta, x):
    """Move along the first of the largest entries."""
    row, column = 0, 0
    for r in range(x.shape[0]):
        for j in range(x.shape[1]):
            if abs(x[r, j]) > abs(x[row, column]):
                row, column = r, j
    w[row, column] -= eta * x[row, column]


@kernel
def spectral_descent(task, w, t, eta, settings, memory, work):
    """w <- w - eta U V^T with g = U S V^T. Settings: the rank's tolerance."""
    first_gradient(task, w, _slot(work, 0, 1))
    align(work.mantissa[0], work.scale[0])
    polar(work.mantissa[0], work.mantissa[1], work.mantissa[2:], settings[0])
    add(w[0], -eta, work.mantissa[0], work.scale[0])


@kernel
def muon(task, w, t, eta, settings, memory, work):
    """M <- b1 M + (1 - b1) g; w <- w - eta U V^T. Settings: b1, iterations or 0, tolerance."""
    beta, iterations, rows = settings[0], int(settings[1]), w.shape[1]
    g, m, m_scale = _slot(work, 0, 1), memory.mantissa[0], memory.scale[0]
    first_gradient(task, w, g)
    if t == 0:
        for r in range(rows):
            m_scale[r] = g.scale[0, r]
    blend(m, m_scale, beta, g.mantissa[0], g.scale[0], 1 - beta)
    copy(g.mantissa[0], m)
    for r in range(rows):
        g.scale[0, r] = m_scale[r]
    align(g.mantissa[0], g.scale[0])
    if iterations == 0:
        polar(g.mantissa[0], work.mantissa[1], work.mantissa[2:], settings[2])
    else:
        half = (work.mantissa.shape[0] + 2) // 2
        first, second = work.mantissa[2:half], work.mantissa[half:]
        newton_schulz(g.mantissa[0], work.mantissa[1], first, second, iterations)
    add(w[0], -eta, g.mantissa[0], g.scale[0])


@kernel
def newton_schulz(x, turned, first, second, iterations):
    """X <- a X + (b X X^T + c (X X^T)^2) X from X / |X|_F (Jordan et al. 2024).

    `turned`, `first` and `second` are room for another X and two matrices of rows x rows.
    """
    rows, d = x.shape
    gram = first.reshape(-1)[: rows * rows].reshape((rows, rows))
    mixed = second.reshape(-1)[: rows * rows].reshape((rows, rows))
    norm = power_norm(x, 2.0)
    for r in range(rows):
        for j in range(d):
            x[r, j] /= norm
    for _ in range(iterations):
        for p in range(rows):
            for q in range(rows):
                gram[p, q] = 0.0
                for j in range(d):
                    gram[p, q] += x[p, j] * x[q, j]
        for p in range(rows):
            for q in range(rows):
                mixed[p, q] = -4.7750 * gram[p, q]
                for s in range(rows):
                    mixed[p, q] += 2.0315 * gram[p, s] * gram[s, q]
        for p in range(rows):
            for j in range(d):
                turned[p, j] = 3.4445 * x[p, j]
                for q in range(rows):
                    turned[p, j] += mixed[p, q] * x[q, j]
        copy(x, turned)


@kernel
def polar(x, turned, room, tolerance):
    """X = U S V^T becomes U V^T, without the singular values below tolerance * the largest.

    One-sided Jacobi (Hestenes 1958): rotation @ x = `turned` has orthogonal rows, of lengths S.
    """
    rows = x.shape[0]
    rotation = room.reshape(-1)[: rows * rows].reshape((rows, rows))
    copy(turned, x)
    _orthogonalise(turned, rotation)
    largest = 0.0
    for r in range(x.shape[0]):
        largest = max(largest, _inner(turned, r, r))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = 0.0
    for r in range(x.shape[0]):
        length = math.sqrt(_inner(turned, r, r))
        if length > tolerance * math.sqrt(largest):
            for i in range(x.shape[0]):
                for j in range(x.shape[1]):
                    x[i, j] += rotation[r, i] / length * turned[r, j]


@kernel
def _inner(x, p, q):
    total = 0.0
    for j in range(x.shape[1]):
        total += x[p, j] * x[q, j]
    return total


@kernel
def _orthogonalise(x, rotation):
    """Rotate pairs of rows until all are orthogonal to rounding; at most 60 sweeps."""
    rows = x.shape[0]
    for r in range(rows):
        for s in range(rows):
            rotation[r, s] = 1.0 if r == s else 0.0
    for _ in range(60):
        turned = False
        for p in range(rows):
            for q in range(p + 1, rows):
                a, b, c = _inner(x, p, p), _inner(x, q, q), _inner(x, p, q)
                if abs(c) > 1e-16 * math.sqrt(a * b):
                    turned = True
                    zeta = (b - a) / (2 * c)
                    tangent = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1 + zeta * zeta))
                    _rotate(x, p, q, tangent)
                    _rotate(rotation, p, q, tangent)
        if not turned:
            return


@kernel
def _rotate(x, p, q, tangent):
    cosine = 1 / math.sqrt(1 + tangent * tangent)
    sine = cosine * tangent
    for j in range(x.shape[1]):
        a, b = x[p, j], x[q, j]
        x[p, j] = cosine * a - sine * b
        x[q, j] = sine * a + cosine * b


@kernel
def adam(task, w, t, eta, settings, memory, work):
    """Settings: beta1, beta2, epsilon, whether biases are corrected, decay."""
    beta1, beta2, epsilon = settings[0], settings[1], settings[2]
    point, w, m, v = w, w[0], memory.mantissa[0], memory.mantissa[1]
    first_gradient(task, point, work)
    g, g_scale = work.mantissa[0], work.scale[0]
    m_scale, v_scale = memory.scale[0], memory.scale[1]
    if t == 0:
        for r in range(w.shape[0]):
            m_scale[r], v_scale[r] = g_scale[r], 2 * g_scale[r]
    blend(m, m_scale, beta1, g, g_scale, 1 - beta1)
    square(g, g_scale)
    blend(v, v_scale, beta2, g, g_scale, 1 - beta2)
    by_m, by_root = 1.0, 1.0
    if settings[3] != 0.0:
        by_m = 1 / (1 - beta1 ** (t + 1))
        by_root = 1 / (1 - beta2 ** (t + 1)) ** 0.5
    keep = 1 - eta * settings[4]
    for r in range(w.shape[0]):
        if epsilon > 0.0:
            # Where there are scales, root and epsilon are added at the larger of theirs.
            top = 0.0
            if v_scale[r] != 0.0:
                top = max(v_scale[r] / 2, math.log(epsilon))
            step, damping = eta * by_m * exp_of(m_scale[r] - top), epsilon * exp_of(-top)
            scale = by_root * exp_of(v_scale[r] / 2 - top)
            for j in range(w.shape[1]):
                ratio = m[r, j] / (scale * math.sqrt(v[r, j]) + damping)
                w[r, j] = keep * w[r, j] - step * ratio
        else:
            step = eta * (by_m / by_root) * exp_of(m_scale[r] - v_scale[r] / 2)
            for j in range(w.shape[1]):
                root = math.sqrt(v[r, j])
                ratio = m[r, j] / (root if root != 0.0 else 1.0)
                w[r, j] = keep * w[r, j] - step * (ratio if root != 0.0 else 0.0)


@kernel
def usam(task, w, t, eta, settings, memory, work):
    """w <- w - eta grad(w + rho g). Settings: rho."""
    g, point = _slot(work, 0, 1), _slot(work, 1, 2)
    first_gradient(task, w, g)
    moved(point.mantissa[0], w[0], settings[0], g.mantissa[0], g.scale[0])
    gradient(task, point.mantissa, g)
    add(w[0], -eta, g.mantissa[0], g.scale[0])


@kernel
def l2_sam(task, w, t, eta, settings, memory, work):
    """w <- w - eta grad(w + rho g / |g|_2). Settings: rho."""
    g, point = _slot(work, 0, 1), _slot(work, 1, 2)
    first_gradient(task, w, g)
    align(g.mantissa[0], g.scale[0])
    norm = power_norm(g.mantissa[0], 2.0)
    radius = settings[0] / norm if norm != 0.0 else 0.0
    copy(point.mantissa[0], w[0])
    for r in range(w.shape[1]):
        for j in range(w.shape[2]):
            point.mantissa[0, r, j] += radius * g.mantissa[0, r, j]
    gradient(task, point.mantissa, g)
    add(w[0], -eta, g.mantissa[0], g.scale[0])


@kernel
def linf_sam(task, w, t, eta, settings, memory, work):
    """w <- w - eta grad(w + rho sign(g)). Settings: rho."""
    g, point = _slot(work, 0, 1), _slot(work, 1, 2)
    first_gradient(task, w, g)
    for r in range(w.shape[1]):
        for j in range(w.shape[2]):
            point.mantissa[0, r, j] = w[0, r, j] + settings[0] * sign(g.mantissa[0, r, j])
    gradient(task, point.mantissa, g)
    add(w[0], -eta, g.mantissa[0], g.scale[0])


@kernel
def m_sam(task, w, t, eta, settings, memory, work):
    """The gradient of every example, each at its batch's perturbed point. Settings: rho, m."""
    rho, size, total = settings[0], int(settings[1]), _slot(work, 0, 1)
    if size == 1 and task.ascended != 0:
        ascended_gradient(task, w, rho, total)
    else:
        groups = (task.hi - task.lo) // size
        g, points = _slot(work, 1, groups + 1), _slot(work, groups + 1, 2 * groups + 1)
        gradients(task, w, size, g)
        for i in range(groups):
            moved(points.mantissa[i], w[0], rho, g.mantissa[i], g.scale[i])
        gradient(task, points.mantissa, total)
    add(w[0], -eta, total.mantissa[0], total.scale[0])
