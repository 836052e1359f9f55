"""Adam, with and without epsilon, bias correction and decoupled weight decay."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from limitpoint.numerics import Scaled, Value, ratio, scaled, sqrt, square, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


class Moments(NamedTuple):
    """First and second moment of the gradient."""

    m: Scaled
    v: Scaled


@role("adam", "w - eta m / (sqrt(v) + epsilon)")
@role("adamw", "Adam with w (1 - eta lambda) before the step")
@dataclass(frozen=True, eq=False)
class Adam(Rule):
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - eta m / sqrt(v).

    The defaults are the theory's: no epsilon and no bias correction (signgd_adam (3a)-(3c)). Every
    entry of both moments has an exponent of its own, so that none leaves float64's range.

    Args:
        beta1: in [0, 1).
        beta2: in [0, 1).
        epsilon: >= 0, added to sqrt(v); a tensor broadcasts over the batch.
        bias_correction: divide m by 1 - b1^(t+1) and v by 1 - b2^(t+1).
        weight_decay: lambda >= 0, decoupled: w <- (1 - eta lambda) w before the step (AdamW).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float | Tensor = 0.0
    bias_correction: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta1", self.beta1, 0.0, 1.0)
        check_range("beta2", self.beta2, 0.0, 1.0)
        check_range("epsilon", self.epsilon, 0.0, float("inf"))
        check_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def init(self, oracle: Oracle, w: Tensor) -> Moments:
        """Zero moments."""
        return Moments(zeros_like(w), zeros_like(w))

    def moments(self, g: Value, state: Moments) -> Moments:
        """The moments after one more gradient."""
        g = scaled(g)
        return Moments(
            self.beta1 * state.m + (1 - self.beta1) * g,
            self.beta2 * state.v + (1 - self.beta2) * square(g),
        )

    def ratio(self, moments: Moments, t: int) -> Tensor:
        """m / (sqrt(v) + epsilon), with bias correction if asked for."""
        m, root = moments.m, sqrt(moments.v)
        if self.bias_correction:
            m = m / (1 - self.beta1 ** (t + 1))
            root = root / (1 - self.beta2 ** (t + 1)) ** 0.5
        return ratio(m, root + scaled(self.epsilon))

    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        """One step."""
        moments = self.moments(oracle.grad(w), state)
        eta = self.step_size.at(t)
        if self.weight_decay:
            w = (1 - eta * self.weight_decay) * w
        return w - eta * self.ratio(moments, t), moments
