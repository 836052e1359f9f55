"""The text of a loss's units: slopes of many examples at one scale, slopes apart, and values.

Slopes are computed with one exponent for a group of examples where that will do, and each with its
own where it will not; both are written from the same graph. Rows of z: predictions, mantissas and
exponents of slopes, k of each; then what examples have, then more for classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from limitpoint.engines.cpu.source.loss_writer import LossWriter
from limitpoint.engines.cpu.source.together import Together
from limitpoint.engines.trace.graph import Node
from limitpoint.engines.trace.loss import TracedLoss

HEAD = '''"""Written by limitpoint.engines.cpu from a traced loss; safe to delete."""

import math

import numpy as np

from limitpoint.engines.cpu.kernels._link import kernel
from limitpoint.engines.cpu.kernels._losses import (
    align, all_near, closed, largest_of, opened, signed,
)
from limitpoint.engines.cpu.kernels._maths import exp, exp_at, larger, log_ndtr, sign, smaller
from limitpoint.engines.cpu.kernels._scaled import (
    exponent_of_exp, log_abs, normal, over, plain, plus, power, root, scaled_exp,
)
'''
SLOPES = """

@kernel
def slopes(z, y, lo, hi, size, settings, top):
    k = top.shape[1]
    for start in range(lo, hi, size):
        stop, row = min(start + size, hi), (start - lo) // size
        if not together(z, y, k, start, stop, settings, top[row]):
            apart(z, y, k, start, stop, settings)
            align(z, k, start, stop, top[row])
"""


@dataclass(frozen=True)
class LossSource:
    """The units of a loss.

    Args:
        text: of their module: `slopes`, `values`, and `apart` where slopes have exponents.
        rows: of z for k classes: rows[0] + rows[1] k.
        apart: whether there is a unit of that name.
    """

    text: str
    rows: tuple[int, int]
    apart: bool


@lru_cache(maxsize=64)
def loss_source(traced: TracedLoss) -> LossSource:
    """Write the units of a loss."""
    outputs = [traced.slope, *([traced.true] if traced.true else [])]
    kinds: list[type[LossWriter]] = [_Apart, Together] if traced.scaled else [_Plain]
    writers = [kind(traced, outputs) for kind in kinds] + [_Values(traced, [traced.log_value])]
    *slopes, values = [writer.text() for writer in writers]
    text = HEAD + "".join(slopes) + (SLOPES if traced.scaled else "") + values
    rows = max(w.examples for w in writers), 3 + max(w.more for w in writers)
    return LossSource(text, rows, traced.scaled)


class _Plain(LossWriter):
    """Slopes without exponents."""

    head = "def slopes(z, y, start, stop, size, settings, top):"

    def closing(self) -> list[str]:
        return [
            "    for group in range(-(-(stop - start) // size)):",
            "        top[group, 0] = 0.0",
        ]


class _Values(LossWriter):
    """Logarithms of the losses; what is in z is no good afterwards."""

    head = "def values(z, y, n, k, settings, out):"

    def opening(self) -> list[str]:
        return ["    start, stop = 0, n", *super().opening()]

    def closing(self) -> list[str]:
        place = self.place(self.outputs[0])[0]
        return ["    for i in range(n):", f"        out[i] = {place}"]

    def place(self, node: Node) -> tuple[str, str]:
        if self.many and node is self.outputs[0] and id(node) not in self.rows:
            row = f"z[3 * k + {self.examples}, i]"
            self.examples += 1
            self.rows[id(node)] = row, row
        return super().place(node)


class _Apart(LossWriter):
    """Slopes with an exponent for each."""

    head = "def apart(z, y, k, start, stop, settings):"

    def closing(self) -> list[str]:
        if not self.many:
            return ["    signed(z, y, start, stop)"]
        m, e = (
            place.removesuffix(", i]").removeprefix("z[") for place in self.place(self.outputs[1])
        )
        return [f"    closed(z, y, k, start, stop, {m}, {e})"]
