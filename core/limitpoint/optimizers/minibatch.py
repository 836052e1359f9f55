"""Stochastic forms of the rules: the gradients of a step are those of minibatches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from limitpoint.errors import NotApplicable
from limitpoint.optimizers.rule import Memoryless, Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.finite_sum import FiniteSum, Sampled
from limitpoint.problems.problem import Oracle


@dataclass(frozen=True, eq=False)
class Minibatch(Rule):
    """A rule that sees minibatches of a `FiniteSum`.

    n-SAM with two batches a step, one for the ascent and one for the descent, is understanding_sam
    (21); with one batch for both it is its (4), stochastic m-SAM.

    The rule has to be memoryless, as the theorems' are; the runs of a batch then cost one step.

    Args:
        rule: the rule; the step sizes are its own.
        batches: the indices of each step, shape (steps, calls, *batch, b): see `Sampled`.
    """

    step_size: Schedule = field(init=False, repr=False)
    rule: Rule
    batches: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_size", self.rule.step_size)

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return f"stochastic {self.rule.name}"

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """None, as the rule is without memory.

        Raises:
            NotApplicable: it is not.
        """
        if not isinstance(self.rule, Memoryless):
            raise NotApplicable(f"hypothesis not met: a memoryless rule ({self.rule.name} is none)")
        return None

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step of the rule on the step's minibatches."""
        return self.rule.step(self._sampled(oracle, t), w, state, t)

    def _sampled(self, oracle: Oracle, t: int) -> Sampled:
        if not isinstance(oracle, FiniteSum):
            raise TypeError(f"{type(oracle).__name__} has no terms to sample: use a FiniteSum")
        return Sampled(oracle, self.batches[t])
