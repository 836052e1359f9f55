"""Adagrad: every entry is divided by the root of its squared gradients' sum."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import Scaled, ratio, scaled, sqrt, square, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@role("adagrad", "w - eta g / sqrt(the sum of g^2)")
@dataclass(frozen=True, eq=False)
class Adagrad(Rule):
    """s <- s + g^2; w <- w - eta g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer 2011, diagonal).

    Args:
        epsilon: >= 0; none by default, as in the theory.
    """

    epsilon: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("epsilon", self.epsilon, 0.0, float("inf"))

    def init(self, oracle: Oracle, w: Tensor) -> Scaled:
        """An empty sum."""
        return zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        g = scaled(oracle.grad(w))
        total = state + square(g)
        return w - self.step_size.at(t) * ratio(g, sqrt(total) + scaled(self.epsilon)), total
