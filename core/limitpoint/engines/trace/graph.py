"""The graph of a step or of a loss: what was computed from what, in order.

A node is a value at each point of some axes: rows and columns of a parameter ("r", "c") and the
batches of m-SAM ("g"), or examples and classes ("i", "k"). Without axes it is a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PLAIN, SCALED, BOOL = "plain", "scaled", "bool"
Axes = frozenset[str]
NUMBER: Axes = frozenset()


class NotTraceable(Exception):  # noqa: N818 - it is no error
    """A step that stays with torch; says what in it cannot be followed."""


@dataclass(frozen=True, eq=False)
class Node:
    """A value.

    Args:
        op: what made it.
        args: of what.
        kind: "plain", "scaled" or "bool".
        axes: where it differs.
        data: what else the operation needs to know.
        value: of a number that is known, one for all problems or one a problem, shape (B,).
    """

    op: str
    args: tuple[Node, ...] = ()
    kind: str = PLAIN
    axes: Axes = NUMBER
    data: Any = None
    value: Any = field(default=None, repr=False)


@dataclass
class Graph:
    """Nodes, each made once.

    Args:
        settings: the numbers that are given to the compiled code, in the order of their use.
    """

    nodes: list[Node] = field(default_factory=list)
    settings: list[Any] = field(default_factory=list)
    _made: dict[Any, Node] = field(default_factory=dict, repr=False)

    def make(
        self,
        op: str,
        *args: Node,
        kind: str | None = None,
        axes: Axes | None = None,
        data: Any = None,
    ) -> Node:
        """The node of an operation; its kind and axes are those of its arguments by default."""
        key = (op, tuple(map(id, args)), data)
        if key not in self._made:
            simpler = _simpler(op, args)
            if simpler is not None:
                return simpler
            node = Node(
                op,
                args,
                kind or _kind(op, args),
                frozenset().union(*(arg.axes for arg in args)) if axes is None else axes,
                data,
                _known(op, args),
            )
            self.nodes.append(node)
            self._made[key] = node
        return self._made[key]

    def number(self, value: float) -> Node:
        """A constant that stands in the code."""
        key = ("number", (), float(value))
        if key not in self._made:
            self._made[key] = Node("number", data=float(value), value=float(value))
            self.nodes.append(self._made[key])
        return self._made[key]

    def setting(self, value: Any) -> Node:
        """A number that is given to the code: one for all problems, or a tensor with one each."""
        node = Node("setting", data=len(self.settings), value=value)
        self.settings.append(value)
        self.nodes.append(node)
        return node


def _kind(op: str, args: tuple[Node, ...]) -> str:
    if op in COMPARISONS or op in ("and", "or", "not"):
        return BOOL
    chosen = args[1:] if op == "where" else args
    return SCALED if any(arg.kind == SCALED for arg in chosen) else PLAIN


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
#: Arithmetic of numbers that are known while tracing.
KNOWN: dict[str, Callable[..., Any]] = COMPARISONS | {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "pow": np.power, "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log,
    "max": np.maximum, "min": np.minimum, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not,
}  # fmt: skip


def _known(op: str, args: tuple[Node, ...]) -> Any:
    if op not in KNOWN or any(arg.value is None or arg.kind == SCALED for arg in args):
        return None
    with np.errstate(all="ignore"):
        return KNOWN[op](*(np.float64(arg.value) for arg in args))


def is_all(node: Node, number: float) -> bool:
    """Whether a node is known to be this number, for every problem."""
    return node.value is not None and bool(np.all(np.asarray(node.value) == number))


def _simpler(op: str, args: tuple[Node, ...]) -> Node | None:
    """An argument that is the value, where the other one changes nothing."""
    if len(args) != 2 or any(arg.kind != PLAIN for arg in args):
        return None
    x, y = args
    if (op in ("mul", "div") and y.data == 1.0 and y.op == "number") or (
        op in ("add", "sub") and y.data == 0.0 and y.op == "number"
    ):
        return x
    if (op == "mul" and x.data == 1.0 and x.op == "number") or (
        op == "add" and x.data == 0.0 and x.op == "number"
    ):
        return y
    return None


def branch(node: Node, what: str) -> bool:
    """The answer of a comparison that a rule's own code asks for.

    Raises:
        NotTraceable: it is not known before the run, or differs between problems.
    """
    if node.value is None:
        raise NotTraceable(f"a branch that depends on {what}")
    answers = np.unique(np.asarray(node.value).astype(bool))
    if len(answers) != 1:
        raise NotTraceable("a branch that differs between the problems of a batch")
    return bool(answers[0])


def needed(outputs: list[Node]) -> list[Node]:
    """The nodes that outputs are made of, each after its arguments."""
    found: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in found:
            for arg in node.args:
                visit(arg)
            found[id(node)] = node

    for node in outputs:
        visit(node)
    return list(found.values())


def fingerprint(outputs: list[Node]) -> tuple[Any, ...]:
    """What two graphs have in common if and only if they compute the same."""
    nodes = needed(outputs)
    order = {id(node): place for place, node in enumerate(nodes)}
    made = [
        (node.op, tuple(order[id(arg)] for arg in node.args), node.data, _bits(node.value))
        for node in nodes
    ]
    return (*made, *(order[id(node)] for node in outputs))


def _bits(value: Any) -> bytes | None:
    return None if value is None else np.asarray(value, dtype=float).tobytes()
