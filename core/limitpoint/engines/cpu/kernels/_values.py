"""`limitpoint.numerics`, compiled: values mantissa * exp(scale), one scale a row."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import Task, inline, invoke, kernel
from limitpoint.engines.cpu.kernels._tiles import largest_absolute

#: A mantissa beyond these is brought back to one.
SMALL = 2.0**-100
LARGE = 2.0**100
#: Numbers of X that are worked on at a time: half of a first-level cache, or thereabouts.
CACHED = 8192


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
def _weight(task, count):
    """What the sum over `count` examples is multiplied by."""
    return task.factor / count if task.mean else task.factor


@kernel
def _slopes(task, w, lo, hi, size):
    invoke(task.predict, (task.X, w, lo, hi, task.n, task.z, task.scratch))
    invoke(task.slopes, (task.z, task.y, lo, hi, size, task.shape, task.top))


@kernel
def _pullback(task, w, lo, hi, out):
    invoke(task.pullback, (task.X, w, lo, hi, task.n, task.z, out, task.scratch))


@kernel
def _scale(task, weight, slots):
    """Multiply by the weight, and hand the slopes' scales to the rows."""
    classes = task.top.shape[1]
    for g in range(slots.scale.shape[0]):
        for r in range(slots.scale.shape[1]):
            slots.scale[g, r] = task.top[g, r if classes > 1 else 0]
            for j in range(slots.mantissa.shape[2]):
                slots.mantissa[g, r, j] *= weight


@kernel
def gradients(task, w, size, slots):
    """The gradient of each batch of `size` consecutive examples at w, one a slot."""
    clear(slots.mantissa)
    _slopes(task, w, task.lo, task.hi, size)
    _pullback(task, w, task.lo, task.hi, slots.mantissa)
    _scale(task, _weight(task, size), slots)


@kernel
def gradient(task, w, slots):
    """Gradient of the objective at w; w (G, rows, d) may hold a point for each group of examples.

    Examples that do not fit the cache together are done in pieces, so that each is read once.
    """
    lo, hi, n = task.lo, task.hi, task.hi - task.lo
    clear(slots.mantissa)
    in_rows, width = task.top.shape[1] == 1, task.X.shape[1]
    if w.shape[0] == 1 and in_rows and n * width > CACHED:
        _in_pieces(task, w, lo, hi, max(8, CACHED // width // 8 * 8), slots.mantissa)
    else:
        _slopes(task, w, lo, hi, n)
        _pullback(task, w, lo, hi, slots.mantissa)
    _scale(task, _weight(task, n), slots)


@kernel
def _in_pieces(task, w, lo, hi, size, out):
    """Sum of the pieces' gradients, at the largest scale so far; leaves that in `top`."""
    scale = -math.inf
    pieces = -(-(hi - lo) // size)
    for number in range(pieces):
        start = lo + size * (pieces - 1 - number if task.backwards else number)
        stop = min(start + size, hi)
        _slopes(task, w, start, stop, stop - start)
        own = task.top[0, 0]
        if number == 0:
            scale = own
        elif own > scale:
            ratio, scale = math.exp(scale - own), own
            for r in range(out.shape[1]):
                for j in range(out.shape[2]):
                    out[0, r, j] *= ratio
        elif own < scale:
            ratio = math.exp(own - scale)
            for i in range(start, stop):
                task.z[0, i] *= ratio
        _pullback(task, w, start, stop, out)
    task.top[0, 0] = scale


@kernel
def first_gradient(task, w, slots):
    """The first gradient of a step at w: of all examples if `ascent_on_all`."""
    if task.ascent_on_all:
        gradient(with_examples(task, 0, task.n, False), w, slots)
    else:
        gradient(task, w, slots)


@inline
def with_examples(task, lo, hi, ascent_on_all):
    """The task of the examples lo..hi."""
    return Task(
        task.X, task.y, task.z, task.scratch, task.top,
        task.predict, task.pullback, task.ascended, task.descended, task.slopes, task.values,
        task.shape, task.factor, task.mean, task.n, lo, hi, ascent_on_all, task.backwards,
    )  # fmt: skip


@inline
def with_order(task, backwards):
    """The task with its pieces in this order."""
    return Task(
        task.X, task.y, task.z, task.scratch, task.top,
        task.predict, task.pullback, task.ascended, task.descended, task.slopes, task.values,
        task.shape, task.factor, task.mean, task.n, task.lo, task.hi, task.ascent_on_all, backwards,
    )  # fmt: skip


@kernel
def ascended_gradient(task, w, rho, slots):
    """Gradient with each example taken at w + rho * its own gradient, points left unwritten.

    Row 1 of z holds how far each example moves along the gradient of its prediction.
    """
    lo, hi = task.lo, task.hi
    reach = rho * _weight(task, 1)
    _slopes(task, w, lo, hi, 1)
    for i in range(lo, hi):
        task.z[1, i] = reach * task.z[0, i] * exp_of(task.top[i - lo, 0])
    invoke(task.ascended, (task.X, w, lo, hi, task.n, task.z, task.scratch))
    invoke(task.slopes, (task.z, task.y, lo, hi, hi - lo, task.shape, task.top))
    clear(slots.mantissa)
    out = slots.mantissa
    invoke(task.descended, (task.X, w, lo, hi, task.n, task.z, out, task.scratch))
    _scale(task, _weight(task, hi - lo), slots)


@inline
def exp_of(scale):
    """e^scale, for nothing where there is no scale."""
    return 1.0 if scale == 0.0 else math.exp(scale)


@kernel
def add(w, factor, x, scale):
    """w += factor * x for one parameter: w, x (rows, d)."""
    for r in range(w.shape[0]):
        ratio = factor * exp_of(scale[r])
        for j in range(w.shape[1]):
            w[r, j] += ratio * x[r, j]


@kernel
def moved(point, w, factor, x, scale):
    """Point = w + factor * x for one parameter."""
    for r in range(w.shape[0]):
        ratio = factor * exp_of(scale[r])
        for j in range(w.shape[1]):
            point[r, j] = w[r, j] + ratio * x[r, j]


@kernel
def blend(old, old_scale, a, new, new_scale, b):
    """Old = a * old + b * new, its mantissa kept near one where it has a scale."""
    for r in range(old.shape[0]):
        # A scale of exactly zero is a value's own at the start of a run, or that of a plain value.
        scaled = old_scale[r] != 0.0 or new_scale[r] != 0.0
        top = max(old_scale[r], new_scale[r])
        keep, take = a * exp_of(old_scale[r] - top), b * exp_of(new_scale[r] - top)
        for j in range(old.shape[1]):
            old[r, j] = keep * old[r, j] + take * new[r, j]
        old_scale[r] = top
        if scaled:
            _renormalise(old, old_scale, r)


@kernel
def _renormalise(x, scale, r):
    peak = largest_absolute(x, r)
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
        peak = largest_absolute(x, r)
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
