"""One definition: rules and losses are traced, and compiled from what they did.

A rule's `step` is run once with symbols in place of tensors; what it did with them is a graph, from
which `limitpoint.engines.cpu` and `limitpoint.engines.gpu` write their code. What cannot be
followed stays with torch, and says why.
"""

from limitpoint.engines.trace.graph import Graph, Node, NotTraceable, needed
from limitpoint.engines.trace.loss import CLASSES, MARGIN, RESIDUAL, TracedLoss, trace_loss
from limitpoint.engines.trace.rule import Case, Step, TracedRule, trace_rule
from limitpoint.engines.trace.state import leaves

__all__ = [
    "CLASSES",
    "MARGIN",
    "RESIDUAL",
    "Case",
    "Graph",
    "Node",
    "NotTraceable",
    "Step",
    "TracedLoss",
    "TracedRule",
    "leaves",
    "needed",
    "trace_loss",
    "trace_rule",
]
