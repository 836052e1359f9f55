"""Gradient descent with heavy-ball momentum."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics.scaled import Value, rescaled, tensor
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@dataclass(frozen=True, eq=False)
class Momentum(Rule):
    """b <- mu b + grad L(w); w <- w - eta b (Polyak 1964, as torch.optim.SGD writes it).

    Args:
        momentum: mu in [0, 1).
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("momentum", self.momentum, 0.0, 1.0)

    def step(self, oracle: Oracle, w: Tensor, state: Value | None, t: int) -> tuple[Tensor, Any]:
        """One step; the first buffer is the gradient itself."""
        g = oracle.grad(w)
        buffer = g if state is None else rescaled(self.momentum * state + g)
        return w - tensor(self.step_size.at(t) * buffer), buffer
