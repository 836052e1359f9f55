"""When a value can be computed: between two barriers all is entrywise, and one loop does it."""

from __future__ import annotations

from collections.abc import Callable

from limitpoint.engines.trace.graph import NUMBER, Node, needed

#: Operations over the entries that a loop has been through.
REDUCTIONS = ("sum", "mean", "amax")
#: Gradients, and what is compiled by hand.
CALLS = (
    "gradient", "gradients", "batch_mean", "ascend", "polar_of", "newton_schulz", "first_largest",
)  # fmt: skip
LEAVES = ("w", "x", "kept", "number", "setting", "schedule", "t", "size")


def levels(outputs: list[Node], *, waits: Callable[[Node], bool]) -> dict[int, int]:
    """The level of each node, by identity: a node that waits comes after the loop of its arguments.

    Args:
        outputs: nodes.
        waits: whether a node needs all entries of its arguments.
    """
    found: dict[int, int] = {}
    for node in needed(outputs):
        before = max((found[id(arg)] for arg in node.args), default=0)
        found[id(node)] = before + waits(node)
    return found


def is_barrier(node: Node) -> bool:
    """Whether a node needs all entries of its arguments, by what it is."""
    return node.op in CALLS or (node.op in REDUCTIONS and node.args[0].axes != NUMBER)
