"""Gradient descent with weight decay."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import tensor
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@role("gd-decay", "w (1 - eta lambda) - eta g")
@dataclass(frozen=True, eq=False)
class DecayedGD(Rule):
    """w <- (1 - eta lambda) w - eta grad L(w): decay in the gradient and decoupled decay are one.

    Args:
        weight_decay: lambda >= 0.
    """

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step."""
        eta = self.step_size.at(t)
        return (1 - eta * self.weight_decay) * w - tensor(eta * oracle.grad(w)), None
