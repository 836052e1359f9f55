"""Adam, with and without epsilon, bias correction and decoupled weight decay."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limitpoint.numerics.scaled import Scaled, Value, rescaled, safe_ratio, sqrt, square
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


class Moments(NamedTuple):
    """First and second moment of the gradient."""

    m: Value
    v: Value


@dataclass(frozen=True, eq=False)
class Adam(Rule):
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - eta m / sqrt(v).

    The defaults are the theory's: no epsilon and no bias correction (signgd_adam (3a)-(3c)). Both
    moments are `Scaled` where the gradient is, so that neither leaves float64's range.

    Args:
        beta1: in [0, 1).
        beta2: in [0, 1).
        epsilon: >= 0, added to sqrt(v); a tensor broadcasts over the batch.
        bias_correction: divide m by 1 - b1^(t+1) and v by 1 - b2^(t+1).
        decay: lambda >= 0, decoupled: w <- (1 - eta lambda) w before the step (AdamW).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float | Tensor = 0.0
    bias_correction: bool = False
    decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta1", self.beta1, 0.0, 1.0)
        check_range("beta2", self.beta2, 0.0, 1.0)
        for epsilon in torch.as_tensor(self.epsilon).reshape(-1).tolist():
            check_range("epsilon", epsilon, 0.0, float("inf"))
        check_range("decay", self.decay, 0.0, float("inf"))

    def moments(self, g: Value, state: Moments | None) -> Moments:
        """The moments after one more gradient, from zero moments at the start."""
        m, v = (1 - self.beta1) * g, (1 - self.beta2) * square(g)
        if state is not None:
            m, v = self.beta1 * state.m + m, self.beta2 * state.v + v
        return Moments(rescaled(m), rescaled(v))

    def ratio(self, moments: Moments, t: int) -> Tensor:
        """m / (sqrt(v) + epsilon), with bias correction if asked for."""
        m, root = moments.m, sqrt(moments.v)
        if self.bias_correction:
            m = m / (1 - self.beta1 ** (t + 1))
            root = root / (1 - self.beta2 ** (t + 1)) ** 0.5
        return safe_ratio(m, self._damped(root))

    def _damped(self, root: Value) -> Value:
        """sqrt(v) + epsilon, in the range of sqrt(v) where that is below float64's."""
        if isinstance(self.epsilon, float) and self.epsilon == 0:
            return root
        if not isinstance(root, Scaled):
            return root + self.epsilon
        x = root.mantissa
        epsilon = torch.as_tensor(self.epsilon, dtype=x.dtype, device=x.device)
        present = epsilon > 0
        scale = torch.where(present, epsilon.log(), root.log_scale)
        return root + Scaled(present.to(epsilon.dtype).expand_as(scale), scale)

    def step(self, oracle: Oracle, w: Tensor, state: Moments | None, t: int) -> tuple[Tensor, Any]:
        """One step."""
        moments = self.moments(oracle.grad(w), state)
        eta = self.step_size.at(t)
        if self.decay:
            w = (1 - eta * self.decay) * w
        return w - eta * self.ratio(moments, t), moments
