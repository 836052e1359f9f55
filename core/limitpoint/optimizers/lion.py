"""Lion: the sign of an average of gradients, and a second average behind it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import Scaled, scaled, sign, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@role("lion", "w (1 - eta lambda) - eta sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g")
@dataclass(frozen=True, eq=False)
class Lion(Rule):
    """w <- (1 - eta lambda) w - eta sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g.

    Chen et al. 2023, Algorithm 2; the decay is decoupled.

    Args:
        beta1: in [0, 1), of the average whose sign is the step.
        beta2: in [0, 1), of the average that is kept.
        weight_decay: lambda >= 0.
    """

    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta1", self.beta1, 0.0, 1.0)
        check_range("beta2", self.beta2, 0.0, 1.0)
        check_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def init(self, oracle: Oracle, w: Tensor) -> Scaled:
        """An empty average."""
        return zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        g = scaled(oracle.grad(w))
        eta = self.step_size.at(t)
        seen = sign(self.beta1 * state + (1 - self.beta1) * g)
        kept = self.beta2 * state + (1 - self.beta2) * g
        return (1 - eta * self.weight_decay) * w - eta * seen, kept
