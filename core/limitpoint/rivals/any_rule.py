"""What goes wrong in any rule: a sign, a stale gradient, a schedule off by one, a step too long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limitpoint.numerics import Value, tensor
from limitpoint.optimizers import GD, Memoryless, Rule
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import mutation


@dataclass(frozen=True, eq=False)
class Mutant(Rule):
    """A rule around another one.

    Args:
        rule: the right one; the step sizes are its own.
    """

    rule: Rule = field(default_factory=GD)

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """The state of the rule."""
        return self.rule.init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """The step of the rule."""
        return self.rule.step(oracle, w, state, t)

    @classmethod
    def around(cls, rule: Rule) -> Mutant:
        """The mutant of a rule."""
        return cls(rule.step_size, rule)


class _UphillStep(Mutant):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return 2 * w - moved, state


class _UphillField(_UphillStep, Memoryless):
    """Memoryless as its rule is, so that it has a flow."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        assert isinstance(self.rule, Memoryless)
        return -self.rule.direction(oracle, w)


@mutation("ascent", "the sign of the step is wrong")
def _uphill(rule: Rule) -> Rule:
    return (_UphillField if isinstance(rule, Memoryless) else _UphillStep).around(rule)


@mutation("stale", "the gradient is that of one step ago")
class _Stale(Mutant):
    """The step is the one that the previous iterate asked for."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return w, super().init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        before, inner = state
        moved, inner = super().step(oracle, before, inner, t)
        return w + (moved - before), (w, inner)


@mutation("schedule-late", "the step-size schedule is off by one")
class _Late(Mutant):
    """Step t has the size of step t + 1."""

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        return super().step(oracle, w, state, t + 1)


@mutation("step-doubled", "every step is twice as long")
class _TwiceAsFar(Mutant):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return 2 * moved - w, state


@mutation("unnormalised", "the normalised step is multiplied by the gradient's norm")
class _AsLongAsTheGradient(Mutant):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return w + (moved - w) * tensor(oracle.norm(oracle.grad(w), 2)), state


@mutation("accelerated", "half of the last displacement is added (heavy ball)")
class _Accelerated(Mutant):
    """Half of the last displacement is added to each."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w), super().init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        last, inner = state
        moved, inner = super().step(oracle, w, inner, t)
        move = moved - w + last / 2
        return w + move, (move, inner)
