"""Gradient descent with heavy-ball momentum."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import Scaled, scaled, tensor, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@role("momentum", "b = mu b + g; w - eta b")
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

    def init(self, oracle: Oracle, w: Tensor) -> Scaled:
        """An empty buffer, so that the first is the gradient itself."""
        return zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        buffer = self.momentum * state + scaled(oracle.grad(w))
        return w - tensor(self.step_size.at(t) * buffer), buffer
