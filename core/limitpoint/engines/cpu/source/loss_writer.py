"""How a function of a loss is written: level by level over examples and classes."""

from __future__ import annotations

import math
from typing import ClassVar

from limitpoint.engines.cpu.source.expressions import DEAR, Expressions, Value
from limitpoint.engines.trace.graph import NUMBER, SCALED, Graph, Node, needed
from limitpoint.engines.trace.levels import REDUCTIONS, levels
from limitpoint.engines.trace.loss import CLASSES, MARGIN, TracedLoss
from limitpoint.engines.trace.rewriting import with_reciprocals

#: An index that may be negative is none that a compiler can turn into lanes.
UNSIGNED = "    first, after = np.uint64(start), np.uint64(end)"


class LossWriter:
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
