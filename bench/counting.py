"""Flops and bytes of one step of each workload, counted from the kernels' sources.

An addition, a multiplication and a maximum are a flop each, a fused multiplication and addition are
two; an exponential is the 29 that `kernels._maths.exp` is written with, a division or a root four.
Bytes are what a step has to read or write at least once: data, predictions and slopes, the
parameter and the rule's memory. What is read again is taken to come from a nearer cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

EXP, DIVISION, NUMBER = 29, 4, 8


class Cost(NamedTuple):
    """Flops and bytes of a step, and the bytes that the run keeps coming back to."""

    flops: float
    bytes: float
    resident: float


def one_sam(n: int, d: int) -> Cost:
    """1-SAM on a diagonal network: predictions, those at the moved points, their pullback."""
    products = (2 + 7 + 5) * n * d
    vectors = (3 + 5 + 8 + 4) * d
    size = NUMBER * (n * d + 5 * n + 4 * d)
    return Cost(products + vectors + 5 * n, size, size)


def adam(n: int, d: int, k: int) -> Cost:
    """Adam on cross-entropy: logits, residuals, their pullback, two moments."""
    products = 4 * n * d * k
    residuals = n * k * (EXP + 6) + n * (EXP + DIVISION + 4)
    moments = k * d * (3 + 4 + 2 * DIVISION + 3)
    # Logits are written and read; gaps are written, read, become exponentials, are read again; and
    # residuals are written and read.
    data, rows = n * d, 8 * n * k
    size = NUMBER * (data + rows + 8 * k * d)
    return Cost(products + residuals + moments, size, NUMBER * (data + 2 * n * k))


def gradient(n: int, d: int, passes: int) -> Cost:
    """Gradient descent on a logistic loss, or USAM with two passes."""
    flops = passes * (4 * n * d + n * (3 * EXP + DIVISION + 6) + 3 * d)
    size = NUMBER * (n * d + 4 * n + 3 * d)
    return Cost(flops, passes * size, size)


COSTS: Mapping[str, Callable[[], Cost]] = {
    "1-SAM": lambda: one_sam(20, 30),
    "Adam": lambda: adam(500, 25, 10),
    "GD": lambda: gradient(200, 1024, 1),
    "USAM": lambda: gradient(200, 1024, 2),
}
