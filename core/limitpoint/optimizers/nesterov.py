"""Gradient descent with Nesterov's momentum."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import Scaled, scaled, tensor
from limitpoint.optimizers.momentum import Momentum
from limitpoint.optimizers.roles import role
from limitpoint.problems.problem import Oracle


@role("nesterov", "b = mu b + g; w - eta (g + mu b)")
@dataclass(frozen=True, eq=False)
class Nesterov(Momentum):
    """b <- mu b + g; w <- w - eta (g + mu b), g = grad L(w) (Sutskever et al. 2013, as in torch).

    With a constant step w is Nesterov's extrapolated point y_t = x_t + mu (x_t - x_{t-1}), and
    x_{t+1} = y_t - eta grad L(y_t) (Nesterov 1983).
    """

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        g = scaled(oracle.grad(w))
        buffer = self.momentum * state + g
        return w - tensor(self.step_size.at(t) * (g + self.momentum * buffer)), buffer
