"""What the text of a rule calls: gradients by the address of their unit, and what is hand-made."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import inline, invoke, kernel, task_at
from limitpoint.engines.cpu.kernels._matrices import newton_schulz, polar_of

__all__ = [
    "ascend", "copied", "first_largest", "gradient", "gradients", "newton_schulz", "polar_of",
    "shrink", "spread", "weight_of",
]  # fmt: skip


@inline
def weight_of(task, count):
    """What the sum over `count` examples is multiplied by."""
    return task.factor / count if task.mean else task.factor


@inline
def gradient(here, points, weight, mantissa, exponent):
    """weight * sum of the examples' gradients, at one point or at a point for each batch."""
    invoke(task_at(here).gradient, (here, points, weight, mantissa, exponent))


@inline
def gradients(here, points, size, mantissa, exponent):
    """The gradient of each batch of `size` examples, at one point or at its own."""
    invoke(task_at(here).gradients, (here, points, size, mantissa, exponent))


@inline
def ascend(here, rho, mantissa, exponent):
    """The gradient with each example taken at w + rho * its own gradient."""
    invoke(task_at(here).ascend, (here, rho, mantissa, exponent))


@kernel
def copied(values, target, source):
    """One place of the room gets what another has."""
    for r in range(values.shape[1]):
        for c in range(values.shape[2]):
            values[target, r, c] = values[source, r, c]


@kernel
def spread(x, value):
    """Every entry gets the value."""
    for g in range(x.shape[0]):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                x[g, r, c] = value


@kernel
def shrink(x, divisor):
    """Every entry is divided."""
    for g in range(x.shape[0]):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                x[g, r, c] /= divisor


@kernel
def first_largest(x, d, ndim):
    """Zero but for the first of the largest entries."""
    row, column = 0, 0
    for r in range(x.shape[0]):
        for c in range(d):
            if abs(x[r, c]) > abs(x[row, column]):
                row, column = r, c
    kept = x[row, column]
    for r in range(x.shape[0]):
        for c in range(d):
            x[r, c] = 0.0
    x[row, column] = kept if kept == kept else math.nan
