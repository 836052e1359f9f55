"""Gradients: a model and a loss put together by the addresses of their units.

A gradient is a product with one exponent for each class. An entry that comes out far below it may
have lost what light examples say, beside heavy ones that have nothing to say on it: such entries
are done again, term by term.
"""

from __future__ import annotations

from limitpoint.engines.cpu.kernels._link import inner, invoke, kernel, task_at
from limitpoint.engines.cpu.kernels._scaled import plain, power
from limitpoint.numerics import LEAST

#: Numbers of X that are worked on at a time: an eighth of a second-level cache, or thereabouts.
CACHED = 16384
#: A sum below this may have lost a slope that is below `FAINT`, both at the scale of their class.
SMALL, FAINT = 2.0**-500, 2.0**-400


@kernel
def clear(x):
    """Zero x (G, rows, d)."""
    for g in range(x.shape[0]):
        for r in range(x.shape[1]):
            for j in range(x.shape[2]):
                x[g, r, j] = 0.0


@inner
def _slopes(task, w, lo, hi, size):
    invoke(task.predict, (task.X, w, lo, hi, task.n, task.z, task.scratch))
    invoke(task.slopes, (task.z, task.y, lo, hi, size, task.loss, task.top))


@inner
def _pullback(task, w, lo, hi, out):
    k = task.top.shape[1]
    invoke(task.pullback, (task.X, w, lo, hi, task.n, task.z[k:], out, task.scratch))


@kernel
def _finish(here, w, weight, mantissa, exponent):
    """Multiply by the weight, hand the slopes' exponents over, and do again what may be lost."""
    task = task_at(here)
    classes, small = task.top.shape[1], 0
    for g in range(mantissa.shape[0]):
        for r in range(mantissa.shape[1]):
            scale = task.top[g, r if classes > 1 else 0]
            for j in range(task.d):
                small += 1 if abs(mantissa[g, r, j]) < SMALL else 0
                mantissa[g, r, j] *= weight
                exponent[g, r, j] = scale
    if small > 0 and task.apart != 0:
        invoke(task.again, (here, w, weight, mantissa, exponent))


@kernel
def gradients(here, w, size, mantissa, exponent):
    """The gradient of each batch of `size` consecutive examples."""
    task = task_at(here)
    clear(mantissa)
    _slopes(task, w, task.lo, task.hi, size)
    _pullback(task, w, task.lo, task.hi, mantissa)
    weight = task.factor / size if task.mean else task.factor
    _finish(here, w, weight, mantissa, exponent)


@kernel
def gradient(here, w, weight, mantissa, exponent):
    """weight * the sum of the examples' gradients; w (G, rows, d) may hold a point for each batch.

    Examples that do not fit the cache together are done in pieces, so that each is read once.
    """
    task = task_at(here)
    lo, hi, n = task.lo, task.hi, task.hi - task.lo
    clear(mantissa)
    in_rows, width = task.top.shape[1] == 1, task.X.shape[1]
    if w.shape[0] == 1 and in_rows and n * width > CACHED:
        _in_pieces(task, w, lo, hi, max(8, CACHED // width // 8 * 8), mantissa)
    else:
        _slopes(task, w, lo, hi, n)
        _pullback(task, w, lo, hi, mantissa)
    _finish(here, w, weight, mantissa, exponent)


@inner
def _in_pieces(task, w, lo, hi, size, out):
    """Sum of the pieces' gradients, at the largest exponent so far; leaves that in `top`."""
    scale = LEAST
    pieces = -(-(hi - lo) // size)
    for number in range(pieces):
        start = lo + size * (pieces - 1 - number if task.backwards else number)
        stop = min(start + size, hi)
        _slopes(task, w, start, stop, stop - start)
        own = task.top[0, 0]
        if number == 0:
            scale = own
        elif own > scale:
            ratio, scale = power(scale - own), own
            for r in range(out.shape[1]):
                for j in range(out.shape[2]):
                    out[0, r, j] *= ratio
        elif own < scale:
            ratio = power(own - scale)
            for i in range(start, stop):
                task.z[1, i] *= ratio
        _pullback(task, w, start, stop, out)
    task.top[0, 0] = scale


@kernel
def ascend(here, rho, mantissa, exponent):
    """Mean of the examples' gradients, each at w + rho * its own; points are left unwritten.

    Row 2 of z holds how far each example moves along the gradient of its prediction.
    """
    task = task_at(here)
    w, lo, hi = task.w, task.lo, task.hi
    reach = rho * task.factor
    _slopes(task, w, lo, hi, 1)
    for i in range(lo, hi):
        task.z[2, i] = reach * plain(task.z[1, i], task.top[i - lo, 0])
    invoke(task.ascended, (task.X, w, lo, hi, task.n, task.z, task.scratch))
    invoke(task.slopes, (task.z, task.y, lo, hi, hi - lo, task.loss, task.top))
    clear(mantissa)
    invoke(task.descended, (task.X, w, lo, hi, task.n, task.z[1:], mantissa, task.scratch))
    _finish(here, w, task.factor / (hi - lo), mantissa, exponent)
