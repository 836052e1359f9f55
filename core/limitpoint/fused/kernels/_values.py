"""Arithmetic with values mantissa * exp(scale), one scale a row: `limitpoint.scaled`, compiled."""

from __future__ import annotations

import math

from limitpoint.fused.kernels._link import invoke, kernel

#: A mantissa beyond these is brought back to one.
SMALL = 2.0**-100
LARGE = 2.0**100


@kernel
def clear(x):
    """Zero x (G, rows, d)."""
    for g in range(x.shape[0]):
        for r in range(x.shape[1]):
            for j in range(x.shape[2]):
                x[g, r, j] = 0.0


@kernel
def copy(target, source):
    """Target = source, one parameter (rows, d)."""
    for r in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[r, j] = source[r, j]


@kernel
def gradient(task, w, lo, hi, weight, slots):
    """Gradient over the examples lo..hi at w, times `weight`.

    `slots` holds one gradient for all of them, or one for each group of consecutive examples; w
    (G, rows, d) one parameter for all, or one for each group.
    """
    groups, rows = slots.scale.shape
    invoke(task.predict, (task.X, w, lo, hi, task.n, task.z))
    size = max((hi - lo) // groups, 1)
    invoke(task.slopes, (task.z, task.y, lo, hi, size, task.shape, task.top))
    clear(slots.mantissa)
    invoke(task.pullback, (task.X, w, lo, hi, task.n, task.z, slots.mantissa))
    classes = task.z.shape[0]
    for g in range(groups):
        for r in range(rows):
            slots.scale[g, r] = task.top[g, r if classes > 1 else 0]
            for j in range(slots.mantissa.shape[2]):
                slots.mantissa[g, r, j] *= weight


@kernel
def full_gradient(task, w, slots):
    """Gradient of the objective at w."""
    weight = task.factor / task.n if task.mean else task.factor
    gradient(task, w, 0, task.n, weight, slots)


@kernel
def add(w, factor, x, scale):
    """w += factor * x for one parameter: w, x (rows, d)."""
    for r in range(w.shape[0]):
        ratio = factor * math.exp(scale[r])
        for j in range(w.shape[1]):
            w[r, j] += ratio * x[r, j]


@kernel
def moved(point, w, factor, x, scale):
    """Point = w + factor * x for one parameter."""
    for r in range(w.shape[0]):
        ratio = factor * math.exp(scale[r])
        for j in range(w.shape[1]):
            point[r, j] = w[r, j] + ratio * x[r, j]


@kernel
def peak_of(x, r):
    """Largest absolute value in row r; NaN is left to the row itself."""
    peak = 0.0
    for j in range(x.shape[1]):
        peak = max(peak, abs(x[r, j]))
    return peak


@kernel
def blend(old, old_scale, a, new, new_scale, b):
    """Old = a * old + b * new, its mantissa kept near one where it has a scale."""
    for r in range(old.shape[0]):
        top = max(old_scale[r], new_scale[r])
        keep, take = a * math.exp(old_scale[r] - top), b * math.exp(new_scale[r] - top)
        for j in range(old.shape[1]):
            old[r, j] = keep * old[r, j] + take * new[r, j]
        old_scale[r] = top
        if top != 0.0:
            _renormalise(old, old_scale, r)


@kernel
def _renormalise(x, scale, r):
    peak = peak_of(x, r)
    if peak != 0.0 and (peak < SMALL or peak > LARGE):
        for j in range(x.shape[1]):
            x[r, j] /= peak
        scale[r] += math.log(peak)


@kernel
def square(x, scale):
    """X = x^2."""
    for r in range(x.shape[0]):
        scale[r] *= 2
        for j in range(x.shape[1]):
            x[r, j] *= x[r, j]


@kernel
def align(x, scale):
    """Give all rows one scale and largest entry one, the value unchanged but for that factor.

    Returns the logarithm of the factor, -inf for x = 0: what is left in x is x / |x|_inf.
    """
    top = -math.inf
    for r in range(x.shape[0]):
        peak = peak_of(x, r)
        if peak > 0.0:
            top = max(top, scale[r] + math.log(peak))
    if top > -math.inf:
        for r in range(x.shape[0]):
            ratio = math.exp(scale[r] - top)
            for j in range(x.shape[1]):
                x[r, j] *= ratio
            scale[r] = 0.0
    return top


@kernel
def power_norm(x, q):
    """Entrywise q-norm of x (rows, d) with entries at most one; inf as well."""
    total, peak = 0.0, 0.0
    for r in range(x.shape[0]):
        for j in range(x.shape[1]):
            peak = max(peak, abs(x[r, j]))
            if q == 2.0:
                total += x[r, j] * x[r, j]
            elif q != math.inf:
                total += abs(x[r, j]) ** q
    if q == math.inf:
        return peak
    return math.sqrt(total) if q == 2.0 else total ** (1 / q)


@kernel
def sign(x):
    """-1, 0 or 1; NaN for NaN."""
    return x if x != x else (1.0 if x > 0 else (-1.0 if x < 0 else 0.0))
