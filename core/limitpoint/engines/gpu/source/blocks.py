"""What a node is in the text of a Triton kernel: a block, or two for mantissas and exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from limitpoint.engines.cpu.source.expressions import Expressions
from limitpoint.engines.trace.graph import Node

#: Where Triton's text differs from that of the processor's units.
OWN: dict[str, Callable[..., str]] = {
    "abs": "tl.abs({})".format,
    "sqrt": "tl.sqrt({})".format,
    "exp": "tl.exp({})".format,
    "log": "tl.log({})".format,
    "pow": "pow_of({}, {})".format,
    "log1p": "log1p({})".format,
    "expm1": "expm1({})".format,
    "tanh": "tanh({})".format,
    "where": "tl.where({}, {}, {})".format,
    "and": "{} & {}".format,
    "or": "{} | {}".format,
    "not": "~{}".format,
}
#: Which dimension of a block an axis is.
DIMENSIONS = {"r": 0, "c": 1, "i": 0, "k": 1}


class Blocks(Expressions):
    """Lines that compute blocks, each once."""

    plain_ops: ClassVar[Mapping[str, Callable[..., str]]] = {**Expressions.plain_ops, **OWN}
    scaled_ops: ClassVar[Mapping[str, str]] = {**Expressions.scaled_ops, "abs": "tl.abs({0}), {1}"}
    choice: ClassVar[str] = "tl.where({0}, {1}, {3}), tl.where({0}, {2}, {4})"

    def literal(self, number: float) -> str:
        """A number in float64: Triton would take a short one for a float32."""
        text = repr(number) if abs(number) < float("inf") else f'float("{number}")'
        return f"f64({text})"

    def reduced(self, node: Node) -> str:
        """Sum or maximum over dimensions of a block, kept with size one.

        Lanes beyond a row or a column hold anything, and are left out.
        """
        text, rest = self.plain(node.args[0]), 'float("-inf")' if node.op == "amax" else "0.0"
        for axis in node.data:
            dim, of = DIMENSIONS[axis], "max" if node.op == "amax" else "sum"
            form = "[None, :]" if dim == 0 else "[:, None]"
            text = f"tl.{of}(tl.where(has_{axis}, {text}, {rest}), {dim}){form}"
        sizes = " * ".join(f"size_{axis}" for axis in node.data)
        return f"{text} / ({sizes})" if node.op == "mean" else text
