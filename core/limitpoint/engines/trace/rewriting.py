"""Graphs that compute the same to rounding, and faster."""

from __future__ import annotations

from collections.abc import Callable

from limitpoint.engines.trace.graph import NUMBER, SCALED, Graph, Node, needed


def _rewritten(
    outputs: list[Node], graph: Graph, change: Callable[[Node, tuple[Node, ...]], Node | None]
) -> list[Node]:
    """Outputs in which nodes are changed, given what their arguments have become."""
    made: dict[int, Node] = {}
    for node in needed(outputs):
        args = tuple(made[id(arg)] for arg in node.args)
        found = change(node, args)
        if found is None and args != node.args:
            found = graph.make(node.op, *args, kind=node.kind, axes=node.axes, data=node.data)
        made[id(node)] = node if found is None else found
    return [made[id(node)] for node in outputs]


def with_reciprocals(outputs: list[Node], graph: Graph) -> list[Node]:
    """A product in place of a division by what several entries share: they divide once."""

    def change(node: Node, args: tuple[Node, ...]) -> Node | None:
        if node.op != "div" or not args[1].axes < args[0].axes:
            return None
        one = graph.number(1.0)
        if args[1].kind == SCALED:
            one = graph.make("scaled", one, kind=SCALED)
        return graph.make("mul", args[0], graph.make("div", one, args[1]))

    return _rewritten(outputs, graph, change)


def with_ascents(outputs: list[Node], graph: Graph) -> list[Node]:
    """One call for 1-SAM's gradient, in which no point of an example is written down.

    That is the mean of the examples' gradients at w + rho times each example's own gradient.
    """

    def change(node: Node, args: tuple[Node, ...]) -> Node | None:
        if node.op != "batch_mean" or node.data != 1 or args[0].op != "add":
            return None
        w, moved = args[0].args
        if w.op != "w" or moved.op != "mul":
            return None
        rho, own = moved.args
        if own.op != "gradients" or own.data != 1 or own.args[0] is not w or rho.axes != NUMBER:
            return None
        return graph.make("ascend", w, rho, axes=node.axes)

    return _rewritten(outputs, graph, change)
