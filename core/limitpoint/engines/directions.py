"""Directions one at a time, by the compiled kernels: for flows, and for steps of foreign code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.choice import compiled_or_why, something_else
from limitpoint.engines.integrands import LogLoss
from limitpoint.engines.trajectory import Integrand
from limitpoint.numerics import Scaled, Value, largest, ratio, scaled
from limitpoint.optimizers import GD, Memoryless, OneExample, Rule, Stochastic
from limitpoint.problems.problem import Oracle, Problem

Floats = NDArray[np.float64]
#: Of factors: no factor.
AS_IT_IS = np.zeros(1)


@dataclass(frozen=True, eq=False)
class _Answer(Rule):
    """Stays where it is, and keeps the direction."""

    rule: Memoryless = field(default_factory=GD)
    is_scaled: bool = False

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        zeros = torch.zeros_like(w)
        return scaled(zeros) if self.is_scaled else zeros

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        return w, self.rule.direction(oracle, w)


class Kernels(Protocol):
    """Compiled gradients."""

    def at(self, w: Tensor) -> tuple[Floats, Floats]:
        """The gradient at w as mantissa * 2^exponent, both of the shape of w."""

    def hand(self, w: Tensor, out: Floats) -> tuple[float, float]:
        """The gradient at w in plain numbers; see `Directions.hand`."""


class Directions:
    """The directions of a rule on a problem, at points of one shape; the gradients, if it is GD.

    Args:
        oracle: the problem.
        start: such a point, (*batch, *parameter), float64.
        rule: a memoryless rule.
        integrands: of the oracle, for `integrals`.
        drawn: of one example of the problem's, that which `draw` says.

    Raises:
        limitpoint.engines.cpu.NotCovered: there is no compiled form, or it says something else.
    """

    def __init__(
        self,
        oracle: Oracle,
        start: Tensor,
        rule: Memoryless,
        integrands: Mapping[str, Integrand] = {},
        *,
        drawn: bool = False,
    ) -> None:
        from limitpoint.engines import cpu

        with torch.no_grad():
            if drawn:
                assert isinstance(oracle, Problem)
                oracle = OneExample.of(oracle, torch.zeros(oracle.y.shape[:-1], dtype=torch.int64))
            defined = rule.direction(oracle, start)
            is_scaled = isinstance(defined, Scaled)
            answer: Rule = _Answer(rule=rule, is_scaled=is_scaled)
            if isinstance(oracle, OneExample):
                plan = cpu.plan(oracle.whole, Stochastic(answer, 0), start, integrands)
            else:
                plan = cpu.plan(oracle, answer, start, integrands)
        run = cpu.Run(plan, np.array([1]))
        given = run.given(0, 1)
        self._step = run.part(given, 0, 1, 0, plan.count)
        self._draws, self._sets = given[0], run.y.of
        self._draws[...] = 0
        self._take, self._hand = cpu.handing()
        self._w, self._sums = run.w, run.sums
        self._found = [m[:, 0] for m in (run.memory, run.memory_exponent)]
        self._shape, self._flat = start.shape, (plan.count, plan.rows, plan.d)
        self._is_scaled, self._rule = is_scaled, rule
        self._defined = partial(rule.direction, oracle)
        if _apart(self.value(start), defined) > 1e-9:
            raise cpu.NotCovered(something_else(rule))

    def at(self, w: Tensor) -> tuple[Floats, Floats]:
        """The direction at w as mantissa * 2^exponent, both of the shape of w."""
        self.go(w)
        mantissa, exponent = (m[..., : self._flat[-1]].reshape(self._shape) for m in self._found)
        return mantissa, exponent

    def hand(self, w: Tensor, out: Floats) -> tuple[float, float]:
        """Write the direction at w into plain numbers.

        Between an optimizer's own steps each operation of numpy or torch costs ten times what it
        does in a loop of its own, whatever its size (its code is out of the processor's caches): so
        there is none here.

        Args:
            w: contiguous.
            out: of the shape of w; zero or infinite only where the direction is.

        Returns:
            The least and the largest of what each problem's largest entry is in size; infinite if
            one is no number.
        """
        self.go(w)
        return self.out(AS_IT_IS, out)

    def go(self, w: Tensor) -> None:
        """Find the direction at w, contiguous, and the integrands' values there."""
        self._take(w.detach().numpy().reshape(self._flat), self._w, self._sums)
        self._step()

    def out(self, log_factors: Floats, out: Floats) -> tuple[float, float]:
        """The direction of the last `go`, times e^log_factor: shape (count,), or (1,) for all."""
        least, most = self._hand(*self._found, log_factors, out.reshape(self._flat))
        return least, most

    def draw(self, seen: OneExample) -> Directions:
        """Itself, of the example that a step sees, whose index is known."""
        assert seen.index is not None
        self._draws[0] = seen.index.reshape(-1).numpy()[self._sets]
        self._defined = partial(self._rule.direction, seen)
        return self

    @property
    def integrals(self) -> Floats:
        """The integrands' values, shape (count, all of their numbers)."""
        return self._sums[:, 1:]

    def value(self, w: Tensor) -> Value:
        """The direction at w, as the rule itself gives it."""
        mantissa, exponent = map(torch.from_numpy, self.at(w))
        if not mantissa.any():  # below e^-1e15, where a kernel counts no further
            return self._defined(w)
        return Scaled(mantissa, exponent) if self._is_scaled else mantissa.clone()


def direction(
    oracle: Oracle, rule: Memoryless, start: Tensor, engine: str = "auto"
) -> tuple[Callable[[Tensor], Value], str]:
    """A rule's direction, compiled where there is such a form, and why there is none.

    Args:
        oracle: the problem.
        rule: the rule.
        start: a point of the shape that it will be asked at.
        engine: as of `limitpoint.run`.

    Raises:
        UsageError: the engine asked for does not cover it.
    """

    def compiled() -> Directions:
        rule.init(oracle, start)
        return Directions(oracle, start, rule)

    found = compiled_or_why(engine, rule, compiled)
    return (partial(rule.direction, oracle), found) if isinstance(found, str) else (found.value, "")


def _apart(x: Value, y: Value) -> float:
    """How far two values are apart, relative to the largest entry of the second."""
    own, other = scaled(x), scaled(y)
    dims = range(len(own.shape))
    return float(ratio(largest(own - other, dims), largest(other, dims)))


@lru_cache(maxsize=32)
def compiled(
    oracle: Oracle, shape: torch.Size, *, with_log_loss: bool = False, drawn: bool = False
) -> Directions | None:
    """The compiled gradients of an oracle, or None where there are none.

    Args:
        oracle: the problem.
        shape: of w.
        with_log_loss: log L is in `integrals`.
        drawn: of one example at a time.
    """
    if type(oracle) is not Problem:
        return None
    from limitpoint.engines import cpu

    try:
        sums = {"log_loss": LogLoss(oracle)} if with_log_loss else {}
        found = Directions(oracle, oracle.start.new_zeros(shape), GD(), sums, drawn=drawn)
        w = oracle.start.new_zeros(shape)
        found.hand(w, np.empty(shape))  # loaded by its first call
        return found
    except cpu.NotCovered:
        return None
