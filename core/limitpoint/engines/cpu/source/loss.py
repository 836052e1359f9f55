"""The text of a loss's units: slopes of many examples at one scale, slopes apart, and values.

Slopes are computed with one exponent for a group of examples where that will do, and each with its
own where it will not; both are written from the same graph. Rows of z: predictions, mantissas and
exponents of slopes, k of each; then what examples have, then more for classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from limitpoint.engines.cpu.source.expressions import DEAR, Expressions, Value, is_name
from limitpoint.engines.trace.graph import NUMBER, SCALED, Graph, Node, needed
from limitpoint.engines.trace.levels import REDUCTIONS, levels
from limitpoint.engines.trace.loss import CLASSES, MARGIN, TracedLoss
from limitpoint.engines.trace.rewriting import with_reciprocals

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
#: An index that may be negative is none that a compiler can turn into lanes.
UNSIGNED = "    first, after = np.uint64(start), np.uint64(end)"


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
    kinds: list[type[_Writer]] = [_Apart, _Together] if traced.scaled else [_Plain]
    writers = [kind(traced, outputs) for kind in kinds] + [_Values(traced, [traced.log_value])]
    *slopes, values = [writer.text() for writer in writers]
    text = HEAD + "".join(slopes) + (SLOPES if traced.scaled else "") + values
    rows = max(w.examples for w in writers), 3 + max(w.more for w in writers)
    return LossSource(text, rows, traced.scaled)


class _Writer:
    """One function over examples and classes: level by level, numbers first, then the loops."""

    head: ClassVar[str]

    def __init__(self, traced: TracedLoss, outputs: list[Node]) -> None:
        self.form, self.many = traced.form, traced.form == CLASSES
        self.outputs = with_reciprocals(outputs, traced.graph)
        wanted = [*self.outputs, *self.extra(traced.graph)]
        self.nodes = needed(wanted)
        self.level = levels(wanted, waits=self.waits)
        self.examples, self.more = int(self.many), 0
        self.rows: dict[int, tuple[str, str]] = {}
        self.taken: list[Node] = []
        self.lines: list[str] = []
        self.body: type[Expressions] = Expressions
        self.numbers = Expressions(self.number, "    ", "n")

    def text(self) -> str:
        """The text of the function."""
        self.lines = self.opening()
        for level in range(max(self.level.values()) + 1):
            self._level(level)
        self.lines += self.closing()
        head = ["", "", "@kernel", self.head]
        return "\n".join([*head, *self.lines]).replace("{more}", str(self.examples)) + "\n"

    # ------------------------------------------------------------------------- of each kind of unit

    def waits(self, node: Node) -> bool:
        """Whether a node comes after the loop of its arguments."""
        return node.op in REDUCTIONS

    def number(self, node: Node) -> Value | None:
        """A number that is there, or that a loop has summed."""
        return f"settings[{node.data}]" if node.op == "setting" else None

    def extra(self, graph: Graph) -> list[Node]:
        """What is computed besides the outputs."""
        return []

    def must_store(self, node: Node) -> bool:
        """Whether a node is written down whatever it costs."""
        return node in self.outputs

    def opening(self) -> list[str]:
        """The first lines."""
        if not self.many:
            return ["    k, end = 1, stop", UNSIGNED]
        # Lanes beyond the last example are worked on as well: their gaps are minus infinity.
        return [
            "    end = z.shape[1] if stop == y.shape[0] else stop",
            "    opened(z, y, k, start, stop, end)",
            UNSIGNED,
        ]

    def closing(self) -> list[str]:
        """The last lines."""
        return []

    # -------------------------------------------------------------------------------- what is where

    def _stores(self, node: Node) -> bool:
        dear = node.op in DEAR and node.axes != NUMBER and self._used_after(node)
        return dear or self.must_store(node)

    def _used_after(self, node: Node, level: int | None = None) -> bool:
        """Whether a later level asks for it, or for what is made of it and not written down."""
        level = self.level[id(node)] if level is None else level
        return any(
            self.level[id(user)] > level or (user.op not in DEAR and self._used_after(user, level))
            for user in self.nodes
            if node in user.args
        )

    def place(self, node: Node) -> tuple[str, str]:
        """Where a node is written down: mantissa and exponent, or the first alone."""
        if id(node) not in self.rows:
            deep = "k" in node.axes
            if node is self.outputs[0]:
                first, second = ("k + c", "2 * k + c") if self.many else ("1", "2")
            elif deep and not any(
                self._used_after(old, self.level[id(node)]) for old in self.taken
            ):
                first, second = "k + c", "2 * k + c"
                self.taken = [node]
            elif deep:
                first, second = (f"(3 + {self.more + j}) * k + {{more}} + c" for j in (0, 1))
                self.more += 2
            else:
                first, second = (f"3 * k + {self.examples + j}" for j in (0, 1))
                self.examples += 2
            self.rows[id(node)] = f"z[{first}, i]", f"z[{second}, i]"
        return self.rows[id(node)]

    def found(self, node: Node, loop: Expressions) -> Value | None:
        """What a loop does not compute itself."""
        if node.axes == NUMBER:
            if node.kind == SCALED:
                loop.depth[id(node)] = self.numbers.depth.get(id(node), math.inf)
            return self.numbers.value(node)
        if id(node) in self.rows:
            loop.depth[id(node)] = 0.0
            place = self.place(node)
            return place if node.kind == SCALED else place[0]
        if node.op == "x":
            margin = "y[i] * z[0, i]" if self.form == MARGIN else "z[0, i] - y[i]"
            return "z[c, i] - z[3 * k, i]" if self.many else margin
        return None

    # ------------------------------------------------------------------------------------ the loops

    def _level(self, level: int) -> None:
        here = [node for node in self.nodes if self.level[id(node)] == level]
        for node in here:
            if node.axes == NUMBER and node.op not in REDUCTIONS:
                self.numbers.value(node)
        stored = [node for node in here if self._stores(node)]
        sums = [
            node
            for node in self.nodes
            if self.level[id(node)] == level + 1 and node.op in REDUCTIONS and self.waits(node)
        ]
        self._loop([node for node in stored if "k" not in node.axes], [], deep=False)
        self._loop([node for node in stored if "k" in node.axes], sums, deep=True)

    def _loop(self, stored: list[Node], sums: list[Node], *, deep: bool) -> None:
        """Compute and store nodes, and sum others, over examples or over classes and examples."""
        if not (stored or sums):
            return
        deep = deep and self.many
        indent = "            " if deep else "        "
        loop = self.body(lambda node: self.found(node, loop), indent, "x")
        values = [loop.plain(node.args[0]) for node in sums]
        parts = [self.parts(node, loop) for node in stored]
        for node, texts in zip(stored, parts, strict=True):
            for place, text in zip(self.place(node), texts, strict=False):
                loop.line(f"{place} = {text}")
        for node, value in zip(sums, values, strict=True):
            place, least = self.place(node)[0], "-math.inf" if node.op == "amax" else "0.0"
            self.lines += ["    for i in range(first, after):", f"        {place} = {least}"]
            add = f"larger({value}, {place})" if node.op == "amax" else f"{place} + {value}"
            loop.line(f"{place} = {add}")
        self.lines += self.numbers.lines + (["    for c in range(k):"] if deep else [])
        self.numbers.lines = []
        self.lines += [f"{indent[4:]}for i in range(first, after):", *loop.lines]

    def parts(self, node: Node, loop: Expressions) -> tuple[str, ...]:
        """What is written down of a node."""
        return loop.normal(node) if node.kind == SCALED else (loop.plain(node),)


class _Plain(_Writer):
    """Slopes without exponents."""

    head = "def slopes(z, y, start, stop, size, settings, top):"

    def closing(self) -> list[str]:
        return [
            "    for group in range(-(-(stop - start) // size)):",
            "        top[group, 0] = 0.0",
        ]


class _Values(_Writer):
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


class _Apart(_Writer):
    """Slopes with an exponent for each."""

    head = "def apart(z, y, k, start, stop, settings):"

    def closing(self) -> list[str]:
        if not self.many:
            return ["    signed(z, y, start, stop)"]
        m, e = (
            place.removesuffix(", i]").removeprefix("z[") for place in self.place(self.outputs[1])
        )
        return [f"    closed(z, y, k, start, stop, {m}, {e})"]


class _Scales(Expressions):
    """Mantissas at exponents that all entries share; those are numbers, which `owner` has."""

    owner: _Together

    def pair(self, node: Node) -> tuple[str, str]:
        """The mantissa, and the exponent that all entries share."""
        return self.plain(node), self.owner.scale(node)

    normal = pair

    def _assigned(self, node: Node, text: str) -> Value:
        if is_name(text):
            return text
        name = f"{self.prefix}{len(self.names)}"
        self.line(f"{name} = {text}")
        return name

    def _with_exponents(self, node: Node) -> Value:
        op, args, owner = node.op, node.args, self.owner
        if op == "exponent":
            return owner.scale(args[0])
        m = [self.plain(arg) for arg in args]
        scales = [owner.scale(arg) if arg.kind == SCALED else "" for arg in args]
        own = owner.scale(node) if node.kind == SCALED else ""

        def moved(place: int) -> str:
            return _times(m[place], owner.factor(scales[place], own))

        text = {
            "scaled": lambda: m[0],
            "scaled_exp": lambda: f"exp_at({m[0]}, {own})",
            "join": lambda: m[0],
            "add": lambda: f"{moved(0)} + {moved(1)}",
            "where": lambda: f"{moved(1)} if {m[0]} else {moved(2)}",
            "mul": lambda: f"{m[0]} * {m[1]}",
            "div": lambda: f"{m[0]} / {m[1]}",
            "neg": lambda: f"-{m[0]}",
            "abs": lambda: f"abs({m[0]})",
            "spread": lambda: m[0],
            "sqrt": lambda: f"math.sqrt({_times(m[0], owner.factor(scales[0], f'2.0 * {own}'))})",
            "at": lambda: _times(m[0], owner.factor(scales[0], m[1])),
            "tensor": lambda: _times(m[0], owner.factor(scales[0], "0.0")),
            "scaled_sign": lambda: f"sign({m[0]})",
            "over": lambda: f"over({m[0]}, {scales[0]}, {m[1]}, {scales[1]})",
            "log_abs": lambda: f"log_abs({m[0]}, {scales[0]})",
        }[op]()
        return self._assigned(node, text)


class _Together(_Writer):
    """Slopes with one exponent for all examples of a group; False where that will not do."""

    head = "def together(z, y, k, start, stop, settings, top):"

    def __init__(self, traced: TracedLoss, outputs: list[Node]) -> None:
        super().__init__(traced, outputs)
        self.body = type("Scales", (_Scales,), {"owner": self})
        self.numbers = self.body(self.number, "    ", "n")
        self.scales: dict[int, str] = {}
        self.factors: dict[tuple[str, str], str] = {}

    def waits(self, node: Node) -> bool:
        """As ever, and an exponential waits for the largest argument of all."""
        shared = node.op == "amax" and node.args[0].op == "exponent"
        return node.op == "scaled_exp" or (node.op in REDUCTIONS and not shared)

    def extra(self, graph: Graph) -> list[Node]:
        """The largest of each example's arguments of an exponential."""
        self.peaks: dict[int, Node] = {}
        for node in needed(self.outputs):
            if node.op == "scaled_exp" and "k" in node.axes:
                arg = node.args[0]
                axes = arg.axes - {"k"}
                self.peaks[id(arg)] = graph.make("amax", arg, axes=axes, data=("k",))
        return list(self.peaks.values())

    def must_store(self, node: Node) -> bool:
        """Also what exponentials are taken of, where it has no peaks."""
        return super().must_store(node) or any(
            user.op == "scaled_exp" and node in user.args and "k" not in node.axes
            for user in self.nodes
        )

    def number(self, node: Node) -> Value | None:
        """Exponents are numbers here, and their maxima themselves."""
        if node.op == "exponent":
            return self.scale(node.args[0])
        if node.op == "amax" and node.args[0].op == "exponent":
            return self.scale(node.args[0].args[0])
        return super().number(node)

    def found(self, node: Node, loop: Expressions) -> Value | None:
        """What a loop does not compute itself; a mantissa is one text."""
        if node.op in ("exponent", "amax") and not self.waits(node):
            return self.number(node)
        if node.axes == NUMBER:
            return self.numbers.value(node)
        if id(node) in self.rows:
            return self.place(node)[0]
        return super().found(node, loop)

    def scale(self, node: Node) -> str:
        """The exponent that all entries of a node share."""
        if id(node) not in self.scales:
            args = [self.scale(arg) for arg in node.args if arg.kind == SCALED]
            name = f"e{len(self.scales)}"
            if node.op == "scaled":
                name = text = "0.0"
            elif node.op == "join":
                name = text = self.numbers.plain(node.args[1])
            elif node.op == "scaled_exp":
                peak = self.peaks.get(id(node.args[0]), node.args[0])
                row = _row(self.place(peak)[0])
                text = f"exponent_of_exp(largest_of(z, {row}, start, end))"
            else:
                text = {
                    "add": "larger({0}, {1})", "where": "larger({0}, {1})", "mul": "{0} + {1}",
                    "div": "{0} - {1}", "sqrt": "math.floor({0} / 2.0)",
                }.get(node.op, "{0}").format(*args)  # fmt: skip
            if name != text:
                self.numbers.line(f"{name} = {text}")
            self.scales[id(node)] = name
        return self.scales[id(node)]

    def factor(self, exponent: str, to: str) -> str:
        """What mantissas at an exponent are multiplied by at another one; "" for nothing."""
        if exponent == to or not exponent or not to:
            return ""
        if (exponent, to) not in self.factors:
            self.factors[exponent, to] = f"f{len(self.factors)}"
            self.numbers.line(f"{self.factors[exponent, to]} = power({exponent} - ({to}))")
        return self.factors[exponent, to]

    def parts(self, node: Node, loop: Expressions) -> tuple[str, ...]:
        """The mantissa alone."""
        return (loop.plain(node),)

    def closing(self) -> list[str]:
        own = self.scale(self.outputs[0])
        lines = [*self.numbers.lines, "    for c in range(k):", f"        top[c] = {own}"]
        self.numbers.lines = []
        if not self.many:
            return [*lines, "    signed(z, y, start, stop)",
                    "    return all_near(z, 1, 1, start, stop)"]  # fmt: skip
        row = _row(self.place(self.outputs[1])[0])
        assert self.scale(self.outputs[1]) == own
        return [*lines, f"    closed(z, y, k, start, stop, {row}, {row})",
                f"    return all_near(z, k, {row}, start, stop)"]  # fmt: skip


def _row(place: str) -> str:
    return place.removeprefix("z[").removesuffix(", i]")


def _times(mantissa: str, factor: str) -> str:
    return f"{mantissa} * {factor}" if factor else mantissa
