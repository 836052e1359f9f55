"""The problem that a rule sees while it is traced: it answers for gradients alone."""

from __future__ import annotations

from typing import Any, NoReturn

from limitpoint.engines.trace.graph import PLAIN, SCALED, NotTraceable
from limitpoint.engines.trace.symbols import Frame, Symbol, SymbolicScaled
from limitpoint.optimizers import OneExample
from limitpoint.problems.problem import Oracle, Problem


class SymbolicOracle(Oracle):
    """Gradients as symbols.

    Args:
        frame: where they live.
        problem: the real problem.
        scaled: whether its gradients are `Scaled`.
        stochastic: whether the first gradient of a step may be another than the later ones.
        batch_size: of the batches of m-SAM that this is, or None for the whole.
    """

    def __init__(
        self,
        frame: Frame,
        problem: Problem,
        *,
        scaled: bool,
        stochastic: bool = False,
        batch_size: int | None = None,
    ) -> None:
        self.frame, self.problem, self.scaled = frame, problem, scaled
        self.stochastic, self.batch_size = stochastic, batch_size
        self.asked = 0

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return self.problem.ndim

    def value(self, w: Any) -> NoReturn:
        """Not compiled."""
        raise NotTraceable("the value of the objective")

    def grad(self, w: Any) -> Any:
        """The gradient at a point; of batches, at one point for each or at one for all."""
        if not isinstance(w, Symbol):
            raise NotTraceable(f"a gradient at a {type(w).__name__}")
        order = self.frame.order if self.batch_size else self.frame.order[1:]
        if w.dims != order:
            raise NotTraceable(f"a gradient at a point with dimensions {w.dims}")
        # What a stochastic step sees first is not what it sees later.
        call = self.asked if self.stochastic and not self.batch_size else 0
        self.asked += 1
        op, data = ("gradients", self.batch_size) if self.batch_size else ("gradient", call)
        kind = SCALED if self.scaled else PLAIN
        node = self.frame.graph.make(op, w.node, kind=kind, axes=frozenset(order), data=data)
        found = Symbol(self.frame, node, order)
        return SymbolicScaled(found) if self.scaled else found

    def sharpness_batches(self, batch_size: int) -> SymbolicOracle:
        """The objective as a batch of objectives."""
        seen = 1 if self.stochastic else self.problem.n
        if batch_size < 1 or seen % batch_size:
            raise NotTraceable(f"batches of {batch_size} that do not divide the {seen} examples")
        self.frame.sizes["g"] = seen // batch_size
        here = type(self)
        return here(self.frame, self.problem, scaled=self.scaled, batch_size=batch_size)

    def batch_weight(self, batch_size: int) -> Any:
        """What the mean over those objectives is multiplied by."""
        weight = 1.0 if self.stochastic else self.problem.batch_weight(batch_size)
        return Symbol(self.frame, self.frame.graph.setting(weight), ())

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotTraceable(f"the problem's {name}")


class SymbolicProblem(SymbolicOracle, Problem):  # type: ignore[misc]
    """A `Problem`, for a rule that asks."""

    __setattr__ = object.__setattr__
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class SymbolicExample(SymbolicOracle, OneExample):  # type: ignore[misc]
    """A `OneExample`, for a rule that asks."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__
