"""Gradient descent along an average of gradients."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import Scaled, scaled, tensor
from limitpoint.optimizers.momentum import Momentum
from limitpoint.optimizers.roles import role
from limitpoint.problems.problem import Oracle


@role("momentum-ema", "m = mu m + (1 - mu) g; w - eta m")
@dataclass(frozen=True, eq=False)
class AveragedMomentum(Momentum):
    """m <- mu m + (1 - mu) grad L(w); w <- w - eta m: heavy ball with the step (1 - mu) eta."""

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        m = self.momentum * state + (1 - self.momentum) * scaled(oracle.grad(w))
        return w - tensor(self.step_size.at(t) * m), m
