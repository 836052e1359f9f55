"""Step-size schedules: eta_t = eta_0 / (t + 1)^a."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepSize:
    """eta_t = initial / (t + 1)^decay (signgd_adam, Sec. 3: Assumptions 3.3 and 3.4 hold).

    Args:
        initial: eta_0 > 0; a tensor broadcasts over the batch and keeps the parameter's dimensions.
        decay: a >= 0; 0 is a constant step.
    """

    initial: float | Tensor
    decay: float | Tensor = 0.0

    def __post_init__(self) -> None:
        if not bool((torch.as_tensor(self.initial) > 0).all()):
            raise ValueError(f"step size {self.initial}: must be > 0")
        if not bool((torch.as_tensor(self.decay) >= 0).all()):
            raise ValueError(f"step-size decay {self.decay}: must be >= 0")

    def at(self, t: int) -> float | Tensor:
        """eta_t."""
        if isinstance(self.decay, float) and self.decay == 0.0:
            return self.initial
        return self.initial * (t + 1) ** -self.decay


def as_step_size(step_size: StepSize | float | Tensor) -> StepSize:
    """A number is a constant step."""
    return step_size if isinstance(step_size, StepSize) else StepSize(step_size)
