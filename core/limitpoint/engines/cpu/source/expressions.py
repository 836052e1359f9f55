"""What a node is in the text of a unit: a name, or two for a mantissa and its exponent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from limitpoint.engines.trace.graph import SCALED, Node

#: Text of an entrywise operation on plain values.
PLAIN_OPS: dict[str, Callable[..., str]] = {
    "add": "{} + {}".format,
    "sub": "{} - {}".format,
    "mul": "{} * {}".format,
    "div": "{} / {}".format,
    "neg": "-{}".format,
    "abs": "abs({})".format,
    "sign": "sign({})".format,
    "sqrt": "math.sqrt({})".format,
    "exp": "exp({})".format,
    "log": "math.log({})".format,
    "log1p": "math.log1p({})".format,
    "expm1": "math.expm1({})".format,
    "tanh": "math.tanh({})".format,
    "log_ndtr": "log_ndtr({})".format,
    "pow": "{} ** {}".format,
    "max": "larger({}, {})".format,
    "min": "smaller({}, {})".format,
    "where": "{1} if {0} else {2}".format,
    "lt": "{} < {}".format,
    "le": "{} <= {}".format,
    "gt": "{} > {}".format,
    "ge": "{} >= {}".format,
    "eq": "{} == {}".format,
    "ne": "{} != {}".format,
    "and": "{} and {}".format,
    "or": "{} or {}".format,
    "not": "not {}".format,
    "spread": "{}".format,
}
#: What an operation on values with exponents needs: mantissas that are normal or nearly so.
NORMAL = {
    "add": "plus({0}, {1}, {2}, {3})",
    "mul": "{0} * {2}, {1} + {3}",
    "div": "{0} / {2}, {1} - {3}",
    "sqrt": "root({0}, {1})",
    "over": "over({0}, {1}, {2}, {3})",
    "log_abs": "log_abs({0}, {1})",
}
#: Mantissas that may be anything will do for these.
ANY = {
    "neg": "-{0}, {1}",
    "abs": "abs({0}), {1}",
    "spread": "{0}, {1}",
    "tensor": "plain({0}, {1})",
    "scaled_sign": "sign({0})",
}
#: Bits by which a mantissa may be below one half and still count as nearly normal.
NEARLY = 200.0

#: What is not worth computing twice.
DEAR = frozenset((
    "scaled_exp", "exp", "log", "log1p", "expm1", "tanh", "log_ndtr", "div", "sqrt", "pow", "over",
    "log_abs",
))  # fmt: skip

Value = str | tuple[str, str]


class Expressions:
    """Lines that compute nodes, each once; leaves and what was stored are found by `load`.

    Args:
        load: text of a node that is there already, or None; two texts for a scaled one.
        indent: of the lines.
        prefix: of the names.

    Attributes:
        plain_ops: text of an operation on plain values.
        scaled_ops: text of one on mantissas and exponents.
        choice: text of a choice between two scaled values.
    """

    plain_ops: ClassVar[Mapping[str, Callable[..., str]]] = PLAIN_OPS
    scaled_ops: ClassVar[Mapping[str, str]] = {**NORMAL, **ANY}
    choice: ClassVar[str] = "({1} if {0} else {3}), ({2} if {0} else {4})"

    def __init__(self, load: Callable[[Node], Value | None], indent: str, prefix: str) -> None:
        self.load, self.indent, self.prefix = load, indent, prefix
        self.lines: list[str] = []
        self.names: dict[int, Value] = {}
        self.normals: dict[int, tuple[str, str]] = {}
        #: How many bits a mantissa may be below one half.
        self.depth: dict[int, float] = {}

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append(self.indent + text)

    def plain(self, node: Node) -> str:
        """The name of a plain node."""
        found = self.value(node)
        assert isinstance(found, str)
        return found

    def pair(self, node: Node) -> tuple[str, str]:
        """The names of a scaled node."""
        found = self.value(node)
        assert isinstance(found, tuple)
        return found

    def value(self, node: Node) -> Value:
        """The name or names of a node, computed here if nobody has yet."""
        if id(node) not in self.names:
            self.names[id(node)] = self._made(node)
        return self.names[id(node)]

    def normal(self, node: Node) -> tuple[str, str]:
        """A scaled node in normal form."""
        if id(node) not in self.normals:
            m, e = self.pair(node)
            if self.depth.get(id(node), math.inf) == 0.0:
                return m, e
            self.line(f"{m}n, {e}n = normal({m}, {e})")
            self.normals[id(node)] = f"{m}n", f"{e}n"
        return self.normals[id(node)]

    def _near(self, node: Node) -> tuple[str, str]:
        pair = self.pair(node)
        return pair if self.depth.get(id(node), math.inf) < NEARLY else self.normal(node)

    def _depth(self, node: Node) -> float:
        found = self.depth.get(id(node), math.inf)
        return found if found < NEARLY else 0.0

    def _made(self, node: Node) -> Value:
        loaded = self.load(node)
        if loaded is not None:
            return self._assigned(node, loaded if isinstance(loaded, str) else ", ".join(loaded))
        if node.op == "number":
            return self.literal(node.data)
        scaled = node.kind == SCALED
        if not scaled and not any(arg.kind == SCALED for arg in node.args) and node.op != "at":
            text = self.plain_ops[node.op](*(self._atom(arg) for arg in node.args))
            return self._assigned(node, text)
        return self._with_exponents(node)

    def _assigned(self, node: Node, text: str) -> Value:
        parts = tuple(text.split(", "))
        if all(map(is_name, parts)) and len(parts) == 1 + (node.kind == SCALED):
            return (parts[0], parts[1]) if len(parts) == 2 else parts[0]
        name = f"{self.prefix}{len(self.names)}"
        if node.kind == SCALED:
            self.line(f"{name}, {name}e = {text}")
            return name, f"{name}e"
        self.line(f"{name} = {text}")
        return name

    def literal(self, number: float) -> str:
        """A number as it stands in the text."""
        return literal(number)

    def _atom(self, node: Node) -> str:
        found = self.plain(node)
        return f"({found})" if found.startswith("-") else found

    def _with_exponents(self, node: Node) -> Value:
        op, args = node.op, node.args
        if op == "scaled":
            self.depth[id(node)] = 0.0
            return self._assigned(node, f"normal({self.plain(args[0])}, 0.0)")
        if op == "scaled_exp":
            self.depth[id(node)] = 1.0
            return self._assigned(node, f"scaled_exp({self.plain(args[0])})")
        if op == "join":
            self.depth[id(node)] = math.inf
            return self._assigned(node, f"{self.plain(args[0])}, {self.plain(args[1])}")
        if op == "where":
            condition, (m, e), (n, f) = self.plain(args[0]), self.pair(args[1]), self.pair(args[2])
            self.depth[id(node)] = max(self.depth.get(id(arg), math.inf) for arg in args[1:])
            return self._assigned(node, self.choice.format(condition, m, e, n, f))
        if op == "exponent":
            return self.normal(args[0])[1]
        if op == "at":
            m, e = self.normal(args[0])
            return self._assigned(node, f"{m} * power({e} - {self.plain(args[1])})")
        if op in ANY:
            self.depth[id(node)] = self.depth.get(id(args[0]), math.inf)
            return self._assigned(node, self.scaled_ops[op].format(*self.pair(args[0])))
        parts = [part for arg in args for part in self._near(arg)]
        below = [self._depth(arg) for arg in args]
        self.depth[id(node)] = {
            "mul": sum(below) + 1, "div": below[0] + 1, "sqrt": below[0] / 2 + 1,
        }.get(op, math.inf)  # fmt: skip
        return self._assigned(node, self.scaled_ops[op].format(*parts))


def is_name(text: str) -> bool:
    """Whether a text is a name or a number, that need not be given another name."""
    return text.isidentifier() or text.replace(".", "", 1).replace("e-", "", 1).isdigit()


def literal(number: float) -> str:
    """A number as it stands in the text."""
    if math.isinf(number):
        return "math.inf" if number > 0 else "(-math.inf)"
    return "math.nan" if math.isnan(number) else repr(number)
