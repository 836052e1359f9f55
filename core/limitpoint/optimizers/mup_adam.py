"""Adam with a step size for each layer, so that its steps do as much at any width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limitpoint.optimizers.adam import Adam, Moments
from limitpoint.optimizers.roles import role
from limitpoint.problems.problem import Oracle
from limitpoint.problems.wide_network import Layer


@role("mup-adam", "AdamW; layer by layer eta over the growth of its input, lambda times it")
@dataclass(frozen=True, eq=False)
class MuAdam(Adam):
    """AdamW with eta / fan_in and lambda fan_in for each layer (Yang et al. 2022, Table 3).

    eta lambda does not depend on the width, as Adam's step over its weights does not.

    Args:
        layers: whose entries follow each other in w; none is one layer of growth one.
    """

    layers: Sequence[Layer] = ()

    def growth(self) -> float | Tensor:
        """fan_in, entry by entry."""
        parts = [torch.full((layer.size,), float(layer.fan_in)).double() for layer in self.layers]
        return torch.cat(parts) if parts else 1.0

    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        """One step."""
        moments = self.moments(oracle.grad(w), state)
        eta = self.step_size.at(t)
        kept = (1 - eta * self.weight_decay) * w
        return kept - eta / self.growth() * self.ratio(moments, t), moments
