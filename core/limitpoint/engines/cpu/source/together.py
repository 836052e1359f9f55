"""Slopes of many examples at one exponent: exponents are numbers, and mantissas alone lanes."""

from __future__ import annotations

from limitpoint.engines.cpu.source.expressions import Expressions, Value, is_name
from limitpoint.engines.cpu.source.loss_writer import LossWriter
from limitpoint.engines.trace.graph import NUMBER, SCALED, Graph, Node, needed
from limitpoint.engines.trace.levels import REDUCTIONS
from limitpoint.engines.trace.loss import TracedLoss


class _Scales(Expressions):
    """Mantissas at exponents that all entries share; those are numbers, which `owner` has."""

    owner: Together

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


class Together(LossWriter):
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
        """The shared exponent, and whether every slope is near enough to it."""
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
