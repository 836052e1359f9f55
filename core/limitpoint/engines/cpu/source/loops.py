"""The loops of a step: what each computes, and what it writes down for later ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from limitpoint.engines.cpu.source.expressions import DEAR
from limitpoint.engines.trace.graph import NUMBER, SCALED, Node, needed
from limitpoint.engines.trace.levels import CALLS, LEAVES, REDUCTIONS, is_barrier
from limitpoint.engines.trace.rule import Step


@dataclass(frozen=True, eq=False)
class Loop:
    """One way through all entries.

    Args:
        order: of the loop among those of a step.
        grouped: whether it goes through the batches of m-SAM as well.
        sums: what is summed.
        points: what is written down for calls.
        step: whose outputs it writes, for the last one.
    """

    order: int
    grouped: bool
    sums: list[Node]
    points: list[Node]
    step: Step | None

    @classmethod
    def of(
        cls, step: Step, nodes: list[Node], level: Mapping[int, int], now: int, last: int
    ) -> list[Loop]:
        """The loops of a level: over batches, then over entries alone."""
        after = [node for node in nodes if level[id(node)] == now + 1 and is_barrier(node)]
        calls = [node for node in after if node.op in CALLS and node.args[0].op != "w"]
        points = list(dict.fromkeys(call.args[0] for call in calls))
        return [
            cls(
                2 * now + (not grouped),
                grouped,
                [n for n in after if n.op in REDUCTIONS and ("g" in n.args[0].axes) == grouped],
                [node for node in points if ("g" in node.axes) == grouped],
                step if now == last and not grouped else None,
            )
            for grouped in (True, False)
        ]

    @property
    def roots(self) -> list[Node]:
        """What is computed for somebody else."""
        outputs = [] if self.step is None else self.step.outputs
        return [*(node.args[0] for node in self.sums), *self.points, *outputs]

    def nodes(self, known: Collection[int] = ()) -> list[Node]:
        """What is computed in it, from leaves, from barriers, and from what is known."""
        found: dict[int, Node] = {}

        def visit(node: Node) -> None:
            there = node.op in LEAVES or is_barrier(node) or node.axes == NUMBER
            if not there and id(node) not in found and id(node) not in known:
                for arg in node.args:
                    visit(arg)
                found[id(node)] = node

        for root in self.roots:
            visit(root)
        return list(found.values())


def worth_saving(loops: list[Loop]) -> dict[Loop, list[Node]]:
    """What each loop writes down because later ones would have to compute it again."""
    inside = [{id(node) for node in loop.nodes()} for loop in loops]
    found: dict[Loop, list[Node]] = {}
    known: set[int] = set()
    for place, loop in enumerate(loops):
        later = set().union(*inside[place + 1 :])
        found[loop] = [n for n in loop.nodes(known) if id(n) in later and _is_dear(n)]
        # What is only an ingredient of something saved is not asked for again.
        parts = {id(arg) for node in found[loop] for arg in needed([node]) if arg is not node}
        found[loop] = [node for node in found[loop] if id(node) not in parts]
        known |= {id(node) for node in found[loop]}
    return found


def _is_dear(node: Node) -> bool:
    """Whether a value is better read than computed."""
    return node.op in DEAR or (node.kind == SCALED and node.op in ("add", "where"))
