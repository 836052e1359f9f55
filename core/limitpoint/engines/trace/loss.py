"""Tracing a loss: its slope and its logarithm, as functions of one prediction or of the gaps."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from limitpoint.engines.trace.graph import Graph, Node, NotTraceable
from limitpoint.engines.trace.symbols import Frame, Symbol, SymbolicScaled
from limitpoint.problems.losses import FiniteRootLoss, Loss, MarginLoss, MulticlassLoss

#: What a compiled loss is a function of, by its kind.
RESIDUAL, MARGIN, CLASSES = "residual", "margin", "classes"


@dataclass(frozen=True, eq=False)
class TracedLoss:
    """A loss as graphs.

    Args:
        form: a function of the residual u, of the margin z, or of the gaps of the classes.
        slope: of an example: dl/du; -dl/dz; the residuals of the wrong classes.
        true: of classes, the sum of those residuals: minus that of the true class.
        log_value: log l.
        graph: that they are in, with the numbers given to the code.
    """

    form: str
    slope: Node
    true: Node | None
    log_value: Node
    graph: Graph

    @property
    def scaled(self) -> bool:
        """Whether slopes have exponents."""
        return self.slope.kind == "scaled"


@lru_cache(maxsize=64)
def trace_loss(loss: Loss) -> TracedLoss:
    """Follow a loss.

    Raises:
        NotTraceable: it cannot be followed; says why.
    """
    form, order, slope, log_value = _functions(loss)
    graph = Graph()
    frame = Frame(graph, order, {})
    symbolic = copy(loss)
    for name, value in vars(loss).items():
        if isinstance(value, float) and name not in ("mean", "factor"):
            object.__setattr__(symbolic, name, Symbol(frame, graph.setting(value), ()))
    x = Symbol(frame, graph.make("x", axes=frozenset(order)), order)
    try:
        slopes, value = getattr(symbolic, slope)(x), getattr(symbolic, log_value)(x)
        true = _node(slopes.sum((-1,), keepdim=True)) if form == CLASSES else None
    except NotTraceable:
        raise
    except Exception as exc:
        raise NotTraceable(f"its slope, which raised {type(exc).__name__}: {exc}") from exc
    return TracedLoss(form, _node(slopes), true, _node(value), graph)


def _functions(loss: Loss) -> tuple[str, tuple[str, ...], str, str]:
    if isinstance(loss, MulticlassLoss):
        return CLASSES, ("i", "k"), "residual", "log_of_gaps"
    if isinstance(loss, MarginLoss):
        return MARGIN, ("i",), "decline", "log_of_margin"
    if isinstance(loss, FiniteRootLoss):
        return RESIDUAL, ("i",), "slope_of", "log_of_residual"
    raise NotTraceable("a loss that is none of a residual, a margin or classes")


def _node(value: Any) -> Node:
    if isinstance(value, SymbolicScaled):
        return value.symbol.node
    if isinstance(value, Symbol):
        return value.node
    raise NotTraceable(f"a slope that is a {type(value).__name__}")
