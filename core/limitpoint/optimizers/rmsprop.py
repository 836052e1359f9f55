"""RMSprop: every entry is divided by the root of an average of its squared gradients."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from limitpoint.numerics import Scaled, ratio, scaled, sqrt, square, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


class Averages(NamedTuple):
    """Of squares, or of squared deviations; of gradients; of what was stepped along."""

    v: Scaled
    mean: Scaled
    b: Scaled


@role("rmsprop", "b = mu b + g / (sqrt(v) + epsilon); w - eta b")
@dataclass(frozen=True, eq=False)
class RMSprop(Rule):
    """v <- a v + (1 - a) g^2; b <- mu b + g / (sqrt(v) + epsilon); w <- w - eta b (Hinton 2012).

    Centred (Graves 2013, (38)-(45)) v is that less the square of the average gradient, which is
    a v + a (1 - a) (g - mean)^2 with the mean of one step ago: a difference that never is negative.

    Args:
        alpha: in [0, 1).
        epsilon: >= 0; none by default.
        momentum: mu, in [0, 1).
        centered: the squared mean is taken off.
    """

    alpha: float = 0.99
    epsilon: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("alpha", self.alpha, 0.0, 1.0)
        check_range("epsilon", self.epsilon, 0.0, float("inf"))
        check_range("momentum", self.momentum, 0.0, 1.0)

    def init(self, oracle: Oracle, w: Tensor) -> Averages:
        """Zeros."""
        return Averages(zeros_like(w), zeros_like(w), zeros_like(w))

    def averages(self, g: Scaled, state: Averages) -> Averages:
        """After one more gradient."""
        a = self.alpha
        new = a * (1 - a) * square(g - state.mean) if self.centered else (1 - a) * square(g)
        return Averages(a * state.v + new, a * state.mean + (1 - a) * g, state.b)

    def quotient(self, g: Scaled, state: Averages) -> Tensor:
        """g / (sqrt(v) + epsilon)."""
        return ratio(g, sqrt(state.v) + scaled(self.epsilon))

    def step(self, oracle: Oracle, w: Tensor, state: Averages, t: int) -> tuple[Tensor, Any]:
        """One step."""
        g = scaled(oracle.grad(w))
        new = self.averages(g, state)
        b = self.momentum * new.b + scaled(self.quotient(g, new))
        return w - self.step_size.at(t) * b.tensor(), Averages(new.v, new.mean, b)
