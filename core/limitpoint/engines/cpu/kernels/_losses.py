"""What the units of losses share: rows of z are predictions, mantissas, exponents, k of each.

With classes, row 3k keeps the true classes' logits, whose places are minus infinity meanwhile.
"""

from __future__ import annotations

import math

import numpy as np

from limitpoint.engines.cpu.kernels._link import kernel
from limitpoint.engines.cpu.kernels._maths import larger
from limitpoint.engines.cpu.kernels._scaled import power
from limitpoint.engines.cpu.kernels._tiles import largest
from limitpoint.numerics import LEAST

#: A class whose slopes are all below this has too few digits left at the scale of all.
NEAR = 1e-100


@kernel
def opened(z, y, k, start, stop, end):
    """Take the true classes' logits out of the predictions; lanes beyond have no gaps at all."""
    for i in range(start, stop):
        label = int(y[i])
        z[3 * k, i] = z[label, i]
        z[label, i] = -math.inf
    for i in range(stop, end):
        z[3 * k, i] = math.inf


@kernel
def closed(z, y, k, start, stop, m, e):
    """Put the logits back, and in place of their slopes minus the sums: row m, and e if apart."""
    for i in range(start, stop):
        label = int(y[i])
        z[label, i] = z[3 * k, i]
        z[k + label, i] = -z[m, i]
    if e != m:
        for i in range(start, stop):
            z[2 * k + int(y[i]), i] = z[e, i]


@kernel
def signed(z, y, start, stop):
    """A slope in the margin becomes one in the prediction."""
    for i in range(np.uint64(start), np.uint64(stop)):
        z[1, i] *= -y[i]


@kernel
def largest_of(z, row, start, stop):
    """Largest of the entries start..stop of a row; NaN is passed over."""
    if start == 0 and stop == z.shape[1]:
        return largest(z, row)
    found = -math.inf
    for i in range(start, stop):
        found = larger(z[row, i], found)
    return found


@kernel
def all_near(z, k, total, start, stop):
    """Whether each class has a slope near one, mostly one of the first, and all sums are finite."""
    for c in range(k):
        near = False
        for i in range(start, stop):
            if abs(z[k + c, i]) >= NEAR:
                near = True
                break
        if not near:
            return False
    strange = 0
    for i in range(np.uint64(start), np.uint64(stop)):
        strange += 0 if z[total, i] - z[total, i] == 0.0 else 1
    return strange == 0


@kernel
def align(z, k, start, stop, top):
    """Give the slopes of each class one exponent; those far below the largest become zero."""
    for c in range(k):
        scale = LEAST
        for i in range(np.uint64(start), np.uint64(stop)):
            scale = larger(z[2 * k + c, i], scale)
        top[c] = scale
        for i in range(np.uint64(start), np.uint64(stop)):
            z[k + c, i] *= power(z[2 * k + c, i] - scale)
